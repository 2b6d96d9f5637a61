/**
 * One ear for all elections on an interface. However many adverts come, an
 * election is told of the first and the last that one router has sent in a round
 * of the event loop: those between say nothing that is still true.
 */
import { EventEmitter } from 'node:events';
import type { PacketChannel } from './advertiser.js';
import type { Cancel } from './clock.js';

interface PacketInfo {
  /** CLOCK_MONOTONIC, the kernel's stamp. */
  readonly timestampNs: bigint;
}

interface Waiting {
  readonly packet: Buffer;
  readonly info: PacketInfo;
}

/** Of one VRID and one source. */
interface Talker {
  readonly channel: Channel;
  /** The last since the one that was told at once. */
  waiting?: Waiting;
}

const SHORTEST_HEADER_BYTES = 20;
const SOURCE_OFFSET = 12;
const VRID_OFFSET = 1;

export class Receiver {
  readonly #channels = new Map<number, Set<Channel>>();
  readonly #afterRound: (callback: () => void) => Cancel;
  /** Heard in this round of the event loop. */
  #talkers = new Map<string, Talker[]>();

  /** `afterRound`: when all that had arrived has been read. */
  constructor(afterRound: (callback: () => void) => Cancel) {
    this.#afterRound = afterRound;
  }

  /** What an election hears and sends to unicast peers by. */
  channelOf(vrid: number, send: PacketChannel['send']): PacketChannel {
    const channel: Channel = new Channel(send, () => this.#channels.get(vrid)?.delete(channel));
    this.#channels.set(vrid, (this.#channels.get(vrid) ?? new Set()).add(channel));
    return channel;
  }

  /** An IPv4 packet of protocol 112, whatever it is: what nobody waits for is no event. */
  received(packet: Buffer, info: PacketInfo): void {
    const vrid = vridOf(packet);
    const channels = vrid === undefined ? undefined : this.#channels.get(vrid);
    if (channels === undefined || channels.size === 0) return;
    const key = `${vrid}/${packet.readUInt32BE(SOURCE_OFFSET)}`;
    const talkers = this.#talkers.get(key);
    if (talkers !== undefined) return talkers.forEach((talker) => void (talker.waiting = { packet, info }));
    if (this.#talkers.size === 0) this.#afterRound(() => this.#endRound());
    this.#talkers.set(key, [...channels].map((channel) => ({ channel })));
    for (const channel of channels) channel.emit('message', packet, info);
  }

  failed(error: Error): void {
    for (const channels of this.#channels.values()) for (const channel of channels) channel.emit('error', error);
  }

  #endRound(): void {
    const talkers = this.#talkers;
    this.#talkers = new Map();
    for (const { channel, waiting } of [...talkers.values()].flat()) if (waiting !== undefined) channel.emit('message', waiting.packet, waiting.info);
  }
}

/** In the place of a raw socket. */
class Channel extends EventEmitter<{ message: [packet: Buffer, info: PacketInfo]; error: [error: Error] }> implements PacketChannel {
  readonly send: PacketChannel['send'];
  readonly #closed: () => void;

  constructor(send: PacketChannel['send'], closed: () => void) {
    super();
    this.send = send;
    this.#closed = closed;
  }

  close(): void {
    this.#closed();
    this.removeAllListeners();
  }
}

/** Undefined for a packet that is too short to have one. */
function vridOf(packet: Buffer): number | undefined {
  if (packet.length < SHORTEST_HEADER_BYTES) return undefined;
  return packet[(packet[0]! & 15) * 4 + VRID_OFFSET];
}
