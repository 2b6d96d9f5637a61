/**
 * Drives a table walk that runs in BPF (`bulk_xdp`, `age_xdp` and others) one test run at a
 * time: as fast as acknowledgements allow, never longer than a time slice per
 * turn of the event loop.
 */

/** One test run's answer. */
export type WalkStep =
  | { readonly kind: 'Frame'; readonly frame: Buffer }
  /** This step found nothing to send. */
  | { readonly kind: 'Nothing' }
  | { readonly kind: 'Ended' };

export interface WalkPorts {
  /** Puts the walk back to the first slot. */
  rewind(seed: string): void;
  step(): WalkStep;
  /** Sends one sealed records frame to the peer. */
  send(frame: Buffer): void;
  /** Records frames sent and not yet acknowledged. */
  outstanding(): number;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
  /** Calls `turn` after other work of the event loop, or after `afterMs`. */
  schedule(turn: () => void, afterMs: number): void;
}

export interface WalkLimits {
  /** Longest time that one turn may hold the event loop. */
  readonly sliceNs: bigint;
  /** Frames in flight; the peer's queue must hold them. */
  readonly window: number;
  /** Pause when the window is full or, for a walk in no hurry, between slices; ms. */
  readonly pauseMs: number;
  /** A window that stays full for so long has lost frames: go on, the round will be repeated. */
  readonly stallNs: bigint;
  /** True: pause between slices too. */
  readonly leisurely: boolean;
}

export const BULK_LIMITS: WalkLimits = { sliceNs: 1_500_000n, window: 256, pauseMs: 1, stallNs: 100_000_000n, leisurely: false };
export const AGE_LIMITS: WalkLimits = { sliceNs: 1_000_000n, window: 64, pauseMs: 10, stallNs: 100_000_000n, leisurely: true };
/** A comparison is in no hurry: its two sides need not look at one moment. */
export const COMPARISON_LIMITS: WalkLimits = { ...AGE_LIMITS, pauseMs: 5 };

const NO_SEED = '0'.repeat(16);

export class Walk {
  readonly #ports: WalkPorts;
  readonly #limits: WalkLimits;
  /** Turns scheduled by an earlier run belong to nobody. */
  #run = 0;
  #active = false;
  #fullSinceNs: bigint | undefined;
  /** Outstanding frames that a stall has given up. */
  #lost = 0;

  constructor(ports: WalkPorts, limits: WalkLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  get active(): boolean {
    return this.#active;
  }

  /**
   * Walks the whole table from the start; `onEnd` is called once, unless `stop` comes first.
   * `seed`: 16 hexadecimal digits, for walks of a comparison.
   */
  start(onEnd: () => void, seed = NO_SEED): void {
    this.#run += 1;
    this.#active = true;
    this.#fullSinceNs = undefined;
    this.#lost = 0;
    this.#ports.rewind(seed);
    this.#schedule(this.#run, onEnd, 0);
  }

  stop(): void {
    this.#run += 1;
    this.#active = false;
  }

  #schedule(run: number, onEnd: () => void, afterMs: number): void {
    this.#ports.schedule(() => this.#turn(run, onEnd), afterMs);
  }

  #turn(run: number, onEnd: () => void): void {
    if (run !== this.#run) return;
    const until = this.#ports.nowNs() + this.#limits.sliceNs;
    while (this.#ports.nowNs() < until) {
      if (this.#windowFull()) return this.#schedule(run, onEnd, this.#limits.pauseMs);
      const step = this.#ports.step();
      if (step.kind === 'Frame') this.#ports.send(step.frame);
      if (step.kind === 'Ended') {
        this.#active = false;
        return onEnd();
      }
    }
    this.#schedule(run, onEnd, this.#limits.leisurely ? this.#limits.pauseMs : 0);
  }

  #windowFull(): boolean {
    const outstanding = this.#ports.outstanding();
    if (outstanding - this.#lost < this.#limits.window) {
      this.#fullSinceNs = undefined;
      return false;
    }
    const now = this.#ports.nowNs();
    this.#fullSinceNs ??= now;
    if (now - this.#fullSinceNs < this.#limits.stallNs) return true;
    this.#lost = outstanding;
    this.#fullSinceNs = undefined;
    return false;
  }
}
