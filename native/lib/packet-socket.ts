import { EventEmitter } from 'node:events';
import { addon } from './binding.js';
import { deliver, interfaceIndex, type NativeSocket, type OnMessages } from './socket.js';
import type { SystemError } from './errors.js';

/** ETH_P_ALL: frames of every EtherType, also those that this machine sends. */
export const ETHERTYPE_ALL = 3;

export interface PacketSocketOptions {
  readonly interface: string;
  /** EtherType to receive, e.g. 0x0806 for ARP, or {@link ETHERTYPE_ALL}. Default 0: send only. */
  readonly protocol?: number | undefined;
  /** Receive frames for other MAC addresses too, as long as the socket is open. Default: false. */
  readonly promiscuous?: boolean | undefined;
}

/** To whom a frame is addressed, or that it leaves from here. */
export type PacketType = 'host' | 'broadcast' | 'multicast' | 'otherHost' | 'outgoing';

export interface FrameInfo {
  readonly ifindex: number;
  /** When the kernel received it, on the clock of process.hrtime.bigint(). */
  readonly timestampNs: bigint;
  readonly packetType: PacketType;
}

interface NativePacketSocket extends NativeSocket {
  setPromiscuous(): void;
  send(frame: Buffer): void;
}

interface Binding {
  PacketSocket: new (ifindex: number, protocol: number, onMessages: OnMessages) => NativePacketSocket;
}

/** Indexed by PACKET_*. */
const PACKET_TYPES: readonly PacketType[] = ['host', 'broadcast', 'multicast', 'otherHost', 'outgoing'];

/**
 * An AF_PACKET socket of one interface (CAP_NET_RAW). Emits 'frame' with each
 * frame, Ethernet header included, less a VLAN tag that the card has removed,
 * and 'error' with a {@link SystemError}: ENETDOWN when the interface goes
 * down, after which it goes on receiving once the interface is up again. A
 * receiving socket keeps the process alive until close() or unref().
 */
export class PacketSocket extends EventEmitter<{ frame: [frame: Buffer, info: FrameInfo]; error: [error: SystemError] }> {
  readonly #native: NativePacketSocket;
  #open = true;

  /** @throws {SystemError} EPERM, ENODEV (no such interface) … */
  constructor(options: PacketSocketOptions) {
    super();
    const bound = interfaceIndex(options.interface);
    this.#native = new (addon<Binding>().PacketSocket)(bound, options.protocol ?? 0, (messages, errno) => {
      deliver(messages, errno, () => this.#open,
        ({ data, ifindex, timestampNs, packetType }) =>
          this.emit('frame', data, { ifindex, timestampNs, packetType: PACKET_TYPES[packetType] ?? 'otherHost' }),
        (error) => this.emit('error', error));
    });
    try {
      if (options.promiscuous === true) this.#native.setPromiscuous();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Sends a whole frame, without waiting.
   * @throws {SystemError} EAGAIN or ENOBUFS when the queue is full, ENETDOWN, EMSGSIZE (longer than the MTU), EBADF after close …
   */
  send(frame: Buffer): void {
    this.#native.send(frame);
  }

  /** Idempotent. No event follows. */
  close(): void {
    this.#open = false;
    this.#native.close();
  }

  ref(): void {
    this.#native.ref();
  }

  unref(): void {
    this.#native.unref();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
