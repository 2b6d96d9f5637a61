/** Messages that are repeated at fixed intervals, each for as long as its lease lasts. */
import { errnos, SystemError } from './errors.js';
import { kernel, type NativeMessage, type NativeRepeater, type NativeRepeaterEntry } from './kernel.js';
import { wordsOf } from './map-word.js';
import type { BpfMap } from './map.js';

export type RepeaterMessage =
  /** A whole Ethernet frame, sent on the interface with this index. */
  | { readonly interface: number; readonly frame: Buffer }
  /**
   * A whole IPv4 packet, header included, sent by the kernel's routes to its destination, out of the
   * interface with this index. The kernel fills in total length, checksum and, if zero, id and source.
   */
  | { readonly interface: number; readonly packet: Buffer };

export interface RepeaterStamp {
  /** An array with BPF_F_MMAPABLE. It need not stay open. */
  readonly map: BpfMap;
  /** Byte offset in `map.mmap()` of a u64. */
  readonly offset: number;
  readonly forNs: bigint;
}

export interface RepeaterEntryOptions {
  /** What is sent each time, in this order; what fails does not keep back the rest. */
  readonly messages: readonly RepeaterMessage[];
  /** 100 to 255000000. */
  readonly intervalUs: number;
  /** The largest part of the interval that is taken off at random each time (RFC 5880 §6.8.7): 0 to 0.25. Default: 0. */
  readonly jitter?: number | undefined;
  /** The lease, on CLOCK_MONOTONIC: no message is handed over at or after it, until renew(). */
  readonly untilNs: bigint;
  /**
   * Sends nothing either once nothing was handed over, nor renew() called, for longer than this: who was
   * stopped for so long (SIGSTOP) asks before it goes on, though its lease still runs. Default: no limit.
   */
  readonly silenceNs?: bigint | undefined;
  /** 0 to 255000000. Default: one interval from now. */
  readonly firstAfterUs?: number | undefined;
  /**
   * A promise to programs: after a round of which at least one message was handed over, its time (read
   * before the first hand-over) plus `forNs` is stored there atomically, unless what is there is later.
   */
  readonly stamp?: RepeaterStamp | undefined;
}

/** What is left out stays as it is. */
export interface RepeaterEntryChange {
  readonly messages?: readonly RepeaterMessage[] | undefined;
  readonly intervalUs?: number | undefined;
  readonly jitter?: number | undefined;
  /** Of an entry with a stamp. */
  readonly stampForNs?: bigint | undefined;
}

interface RepeaterCounts {
  /** Messages handed over. */
  readonly sent: bigint;
  /** Messages that the kernel did not take. */
  readonly failed: bigint;
  /** Rounds left out because the thread ran more than an interval late. */
  readonly skipped: bigint;
  /** Rounds not sent, or not to their end, because the lease was over. */
  readonly lapsed: bigint;
  /** The longest time from a deadline until a message of its round was handed over. */
  readonly lateMaxUs: number;
}

export interface RepeaterEntryStats extends RepeaterCounts {
  /** Why the last failed message failed; 0: none did. */
  readonly lastErrno: number;
  /** CLOCK_MONOTONIC of the last message handed over; 0: none was. */
  readonly lastSentNs: bigint;
}

/** Of all entries together, also those that are closed. */
export interface RepeaterStats extends RepeaterCounts {
  readonly entries: number;
  /** Whether the thread got SCHED_FIFO (CAP_SYS_NICE). */
  readonly realtime: boolean;
}

/** One of a {@link Repeater}'s. Goes on until it or the repeater is closed, also when nobody refers to it. */
export class RepeaterEntry {
  readonly #entry: NativeRepeaterEntry;

  /** @internal */
  constructor(entry: NativeRepeaterEntry) {
    this.#entry = entry;
  }

  get stats(): RepeaterEntryStats {
    return this.#entry.stats();
  }

  /**
   * When it returns, only the new messages leave. The deadline is kept, unless the interval changes:
   * then the next round is one new interval after the last one (at once if that is past).
   * @throws as Repeater.add()
   */
  update(change: RepeaterEntryChange): void {
    if (change.intervalUs !== undefined) checkInterval(change.intervalUs);
    if (change.jitter !== undefined) checkJitter(change.jitter);
    this.#entry.update(change.messages && nativeMessages(change.messages), change.intervalUs, change.jitter, change.stampForNs);
  }

  /** The new end of the lease, also an earlier one. A lapsed entry goes on with its next round. Costs an atomic store. */
  renew(untilNs: bigint): void {
    this.#entry.renew(untilNs);
  }

  /** When it returns, nothing of it leaves any more; the statistics stay readable. Idempotent. */
  close(): void {
    this.#entry.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Not the garbage collector's to stop. */
const running = new Set<Repeater>();

/**
 * A native real-time thread that sends the messages of many entries, each at its own interval, by
 * absolute deadlines on CLOCK_MONOTONIC: lateness does not add up, and missed rounds are left out.
 * An entry is sent only while its lease lasts; the lease is read immediately before every system
 * call, so that a process that was stopped (SIGSTOP) and continues sends nothing stale, but for the
 * one message that was on its way into the kernel. It runs until close() or the end of its
 * environment, and does not keep the process alive. Interfaces are those of the process's network
 * namespace. Stamps since Linux 5.5.
 */
export class Repeater {
  readonly #repeater: NativeRepeater;
  #open = true;

  /** @throws SystemError EPERM (CAP_NET_RAW) */
  constructor() {
    this.#repeater = new (kernel().Repeater)();
    running.add(this);
  }

  /**
   * @throws SystemError ENODEV (no such interface), EINVAL for a stamp's map of another type, EBADF after close();
   *   RangeError for an interval, jitter, message or offset out of range
   */
  add(o: RepeaterEntryOptions): RepeaterEntry {
    if (!this.#open) throw new SystemError('Repeater.add', errnos.EBADF, 'the repeater is closed');
    checkInterval(o.intervalUs);
    checkJitter(o.jitter ?? 0);
    const firstAfterUs = o.firstAfterUs ?? o.intervalUs;
    if (!Number.isInteger(firstAfterUs) || firstAfterUs < 0 || firstAfterUs > 255_000_000) {
      throw new RangeError(`Repeater: firstAfterUs must be an integer from 0 to 255000000, not ${firstAfterUs}`);
    }
    const stampFd = o.stamp && wordsOf(o.stamp.map, [o.stamp.offset]);
    return new RepeaterEntry(new (kernel().RepeaterEntry)(
      this.#repeater, nativeMessages(o.messages), o.intervalUs, o.jitter ?? 0, o.untilNs, firstAfterUs,
      stampFd, o.stamp?.offset ?? 0, o.stamp?.forNs ?? 0n, o.silenceNs ?? 0n,
    ));
  }

  get stats(): RepeaterStats {
    return this.#repeater.stats();
  }

  /** Stops the thread, and so every entry, before it returns; the statistics stay readable. Idempotent. */
  close(): void {
    this.#open = false;
    running.delete(this);
    this.#repeater.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function checkInterval(intervalUs: number): void {
  if (!Number.isInteger(intervalUs) || intervalUs < 100 || intervalUs > 255_000_000) {
    throw new RangeError(`Repeater: intervalUs must be an integer from 100 to 255000000, not ${intervalUs}`);
  }
}

function checkJitter(jitter: number): void {
  if (!(jitter >= 0 && jitter <= 0.25)) throw new RangeError(`Repeater: jitter must be from 0 to 0.25, not ${jitter}`);
}

function nativeMessages(messages: readonly RepeaterMessage[]): NativeMessage[] {
  if (messages.length === 0) throw new RangeError('Repeater: there must be a message');
  return messages.map((message) => {
    if ('frame' in message) {
      if (message.frame.length < 14) throw new RangeError(`Repeater: a frame has at least 14 bytes, not ${message.frame.length}`);
      return { interface: message.interface, isFrame: true, bytes: message.frame };
    }
    checkPacket(message.packet);
    return { interface: message.interface, isFrame: false, bytes: message.packet };
  });
}

function checkPacket(packet: Buffer): void {
  const headerBytes = packet.length < 20 || packet[0]! >> 4 !== 4 ? 0 : (packet[0]! & 15) * 4;
  if (headerBytes < 20 || packet.length < headerBytes) {
    throw new RangeError('Repeater: a packet begins with a whole IPv4 header');
  }
}
