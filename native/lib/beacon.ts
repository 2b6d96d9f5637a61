/** Heartbeats that do not depend on the event loop. */
import { errnos, SystemError } from './errors.js';
import { kernel, type NativeBeacon } from './kernel.js';
import type { BpfProgram } from './program.js';

export interface BeaconOptions {
  /** An XDP program: fills in what changes (a sequence number, a MAC) and returns XDP_TX. */
  program: BpfProgram;
  /** The template that every run starts from: a whole Ethernet frame. */
  frame: Buffer;
  /** Index of the interface to send on, in this process's network namespace. */
  interface: number;
  /** 100 to 60000000. */
  intervalUs: number;
}

export interface BeaconStats {
  /** Frames handed to the interface. */
  readonly sent: bigint;
  /** Beats without a frame: the program returned something else than XDP_TX, or sending failed. */
  readonly failed: bigint;
  /** Beats left out because the thread ran more than an interval late. */
  readonly skipped: bigint;
  /** The longest time from a deadline until its frame was sent. */
  readonly lateMaxUs: number;
  /** Why the last failed beat failed; 0: none did. ECANCELED (125): the program declined. */
  readonly lastErrno: number;
  /** Whether the thread got SCHED_FIFO (CAP_SYS_NICE). */
  readonly realtime: boolean;
}

/** Not the garbage collector's to stop. */
const running = new Set<Beacon>();

/**
 * A native thread that runs `program` on `frame` every interval and sends what comes out,
 * by absolute deadlines on CLOCK_MONOTONIC: lateness does not add up. It runs until
 * close() or the end of its environment, and does not keep the process alive. Since Linux 4.12.
 */
export class Beacon {
  readonly #beacon: NativeBeacon;

  /** @throws SystemError ENODEV, EPERM (CAP_NET_RAW); RangeError for an interval or frame out of range */
  constructor(o: BeaconOptions) {
    if (!Number.isInteger(o.intervalUs) || o.intervalUs < 100 || o.intervalUs > 60_000_000) {
      throw new RangeError(`Beacon: intervalUs must be an integer from 100 to 60000000, not ${o.intervalUs}`);
    }
    if (o.frame.length < 14) throw new RangeError(`Beacon: a frame has at least 14 bytes, not ${o.frame.length}`);
    if (o.program.type !== 'xdp') {
      throw new SystemError('Beacon', errnos.EINVAL, `program '${o.program.name}' is of type ${o.program.type}, not xdp`);
    }
    this.#beacon = new (kernel().Beacon)(o.program.fd, o.frame, o.interface, o.intervalUs);
    running.add(this);
  }

  get stats(): BeaconStats {
    return this.#beacon.stats();
  }

  /** Stops the thread before it returns; the statistics stay readable. Idempotent. */
  close(): void {
    running.delete(this);
    this.#beacon.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
