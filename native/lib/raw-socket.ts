import { EventEmitter } from 'node:events';
import { addon } from './binding.js';
import { deliver, interfaceIndex, type NativeSocket, type OnMessages } from './socket.js';
import type { SystemError } from './errors.js';

export interface RawSocketOptions {
  /** IP protocol number, 1–254: VRRP is 112. */
  readonly protocol: number;
  /** Receive only what arrives on this interface, and send multicast through it. Default: any. */
  readonly interface?: string | undefined;
  /** IPv4 groups to receive, on `interface` if given. Default: none. */
  readonly multicast?: readonly string[] | undefined;
  /** Of packets sent, 1–255. Default: the kernel's, 64 for unicast and 1 for multicast. */
  readonly ttl?: number | undefined;
  /** Packets for send() begin with their IPv4 header (IP_HDRINCL). Default: false. */
  readonly headerIncluded?: boolean | undefined;
  /** Multicast that we send is also delivered to this machine. Default: false. */
  readonly multicastLoop?: boolean | undefined;
}

export interface RawPacketInfo {
  /** Where it arrived. */
  readonly ifindex: number;
  /** When the kernel received it, on the clock of process.hrtime.bigint(). */
  readonly timestampNs: bigint;
}

interface NativeRawSocket extends NativeSocket {
  bindToDevice(name: string): void;
  joinGroup(group: string, ifindex: number): void;
  setMulticast(ifindex: number, ttl: number, loop: boolean): void;
  setTtl(ttl: number): void;
  setHeaderIncluded(): void;
  send(packet: Buffer, destination: string): void;
}

interface Binding {
  RawSocket: new (protocol: number, onMessages: OnMessages) => NativeRawSocket;
}

const DEFAULT_MULTICAST_TTL = 1;

/**
 * An IPv4 raw socket (CAP_NET_RAW). Emits 'message' with each packet, IPv4
 * header included, and 'error' with a {@link SystemError} of recvmsg; after an
 * error it goes on receiving. Keeps the process alive until close() or unref().
 */
export class RawSocket extends EventEmitter<{ message: [packet: Buffer, info: RawPacketInfo]; error: [error: SystemError] }> {
  readonly #native: NativeRawSocket;
  #open = true;

  /** @throws {SystemError} EPERM, ENODEV (no such interface), EINVAL (not a multicast address) … */
  constructor(options: RawSocketOptions) {
    super();
    const ifindex = options.interface === undefined ? 0 : interfaceIndex(options.interface);
    this.#native = new (addon<Binding>().RawSocket)(options.protocol, (messages, errno) => {
      deliver(messages, errno, () => this.#open,
        ({ data, ifindex: arrivedOn, timestampNs }) => this.emit('message', data, { ifindex: arrivedOn, timestampNs }),
        (error) => this.emit('error', error));
    });
    try {
      this.#configure(options, ifindex);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #configure(options: RawSocketOptions, ifindex: number): void {
    if (options.interface !== undefined) this.#native.bindToDevice(options.interface);
    this.#native.setMulticast(ifindex, options.ttl ?? DEFAULT_MULTICAST_TTL, options.multicastLoop ?? false);
    if (options.ttl !== undefined) this.#native.setTtl(options.ttl);
    if (options.headerIncluded === true) this.#native.setHeaderIncluded();
    for (const group of options.multicast ?? []) this.#native.joinGroup(group, ifindex);
  }

  /**
   * Sends without waiting.
   * @param packet the IP payload; with `headerIncluded` the whole packet, whose
   *   checksum, total length and, if zero, id and source the kernel fills in
   * @param destination dotted decimal
   * @throws {SystemError} EAGAIN or ENOBUFS when a queue is full, ENETDOWN, ENETUNREACH, EMSGSIZE, EBADF after close …
   */
  send(packet: Buffer, destination: string): void {
    this.#native.send(packet, destination);
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
