/** Heartbeats that do not depend on the event loop, and a watch over their answers that does not either. */
import { EventEmitter } from 'node:events';
import { errnos, SystemError } from './errors.js';
import { kernel, type NativeBeacon, type NativeWatch } from './kernel.js';
import { wordsOf } from './map-word.js';
import type { BpfMap } from './map.js';
import type { BpfProgram } from './program.js';

export interface BeaconPath {
  /** Index of the interface to send on, in this process's network namespace. */
  readonly interface: number;
  /** The template that every run starts from: a whole Ethernet frame. */
  readonly frame: Buffer;
}

export interface BeaconWatch {
  /** An array with BPF_F_MMAPABLE. It need not stay open. */
  readonly map: BpfMap;
  /** Of each path, the byte offset in `map.mmap()` of a u64: CLOCK_MONOTONIC in ns of its last answer, which a program writes. */
  readonly answeredNs: readonly number[];
  /** Byte offsets of u64 values whose change is to be told. Default: none. */
  readonly words?: readonly number[] | undefined;
  /** Unanswered for longer than this, a path is silent: see {@link Beacon}. 100 to 60000000. */
  readonly silentAfterUs: number;
}

export interface BeaconOptions {
  /** An XDP program: fills in what changes (a sequence number, a MAC) and returns XDP_TX. Runs once per beat and path. */
  readonly program: BpfProgram;
  /** Every beat leaves on each of them; what fails on one does not concern the others. */
  readonly paths: readonly BeaconPath[];
  /** 100 to 60000000. */
  readonly intervalUs: number;
  /** Default: answers are not watched. */
  readonly watch?: BeaconWatch | undefined;
}

export interface BeaconPathStats {
  /** Frames handed to the interface. */
  readonly sent: bigint;
  /** Beats without a frame: the program returned something else than XDP_TX, or sending failed. */
  readonly failed: bigint;
  /** Why the last failed beat failed; 0: none did. ECANCELED (125): the program declined. */
  readonly lastErrno: number;
}

/** `sent` and `failed` of all paths together. */
export interface BeaconStats extends BeaconPathStats {
  /** Beats left out because the thread ran more than an interval late. */
  readonly skipped: bigint;
  /** The longest time from a deadline until its frame was sent. */
  readonly lateMaxUs: number;
  /** Whether the thread got SCHED_FIFO (CAP_SYS_NICE). */
  readonly realtime: boolean;
  /** In the order of the options. */
  readonly paths: readonly BeaconPathStats[];
}

export interface BeaconFindings {
  /** Of each path. */
  readonly silent: readonly boolean[];
  /** The watched values. */
  readonly words: readonly bigint[];
  /** CLOCK_MONOTONIC, when the last of it was found. */
  readonly atNs: bigint;
}

/** Not the garbage collector's to stop. */
const running = new Set<Beacon>();

/**
 * A native thread that runs `program` on each path's frame every interval and sends what comes
 * out, by absolute deadlines on CLOCK_MONOTONIC: lateness does not add up. It runs until
 * close() or the end of its environment, and does not keep the process alive. Since Linux 4.12.
 *
 * With a `watch` (since Linux 5.5) it judges every path before each beat. A path is silent once
 * its last answer is older than `silentAfterUs` and as many beats as fit into that time left
 * since then, one after the other and each less than an interval late: a delay of our own begins
 * the count anew, and so do beats that the program declines, while one that cannot leave because
 * the interface is down, or refuses it, counts. At the first newer answer the path is
 * silent no more. A path without an answer in the last `silentAfterUs` is silent to begin with.
 *
 * Emits 'change' when a verdict or a word has changed. Changes faster than the event loop are
 * told as one, the newest. None after close().
 */
export class Beacon extends EventEmitter<{ change: [findings: BeaconFindings] }> {
  readonly #beacon: NativeBeacon;
  #toldNs = 0n;

  /**
   * @throws SystemError ENODEV, EPERM (CAP_NET_RAW), EINVAL for a program or map of another type;
   *   RangeError for an interval, frame, number of paths or offset out of range
   */
  constructor(o: BeaconOptions) {
    super();
    checkMicroseconds('intervalUs', o.intervalUs);
    if (o.paths.length === 0) throw new RangeError('Beacon: there must be a path');
    for (const { frame } of o.paths) {
      if (frame.length < 14) throw new RangeError(`Beacon: a frame has at least 14 bytes, not ${frame.length}`);
    }
    if (o.program.type !== 'xdp') {
      throw new SystemError('Beacon', errnos.EINVAL, `program '${o.program.name}' is of type ${o.program.type}, not xdp`);
    }
    this.#beacon = new (kernel().Beacon)(o.program.fd, o.paths, o.intervalUs, o.watch && nativeWatch(o, o.watch), () => this.#tell());
    running.add(this);
  }

  get stats(): BeaconStats {
    return this.#beacon.stats();
  }

  /** As of the last beat, also before 'change' tells it. undefined: nothing is watched. */
  get findings(): BeaconFindings | undefined {
    return this.#beacon.findings();
  }

  /** Stops the thread before it returns; statistics and findings stay readable. Idempotent. */
  close(): void {
    running.delete(this);
    this.#beacon.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Woken once more for what was read along with an earlier change, it has nothing to tell. */
  #tell(): void {
    const findings = this.#beacon.findings();
    if (findings === undefined || findings.atNs === this.#toldNs) return;
    this.#toldNs = findings.atNs;
    this.emit('change', findings);
  }
}

function nativeWatch(o: BeaconOptions, watch: BeaconWatch): NativeWatch {
  const { map, answeredNs: answered, words = [], silentAfterUs } = watch;
  checkMicroseconds('silentAfterUs', silentAfterUs);
  if (answered.length !== o.paths.length) {
    throw new RangeError(`Beacon: ${o.paths.length} paths need as many offsets of answers, not ${answered.length}`);
  }
  const mapFd = wordsOf(map, [...answered, ...words]);
  return { mapFd, answered, words, silentAfterUs, beats: Math.ceil(silentAfterUs / o.intervalUs) };
}

function checkMicroseconds(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 100 || value > 60_000_000) {
    throw new RangeError(`Beacon: ${name} must be an integer from 100 to 60000000, not ${value}`);
  }
}
