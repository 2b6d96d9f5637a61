/** Asks again and again whether something is there. */
import { afterProbe, unknownHealth } from './tracking.js';
import type { Health, Hysteresis, TrackState } from './tracking.js';

/** Watches one thing. */
export interface Tracker {
  readonly state: TrackState;
  /** What was seen last, for people. */
  readonly detail: string;
  close(): void;
}

export interface ProbeResult {
  readonly succeeded: boolean;
  readonly detail: string;
}

export interface ProberParts extends Hysteresis {
  /** From one question to the next; one that takes longer delays the next, so that there is never more than one. */
  readonly intervalMs: number;
  /** Never rejects. */
  probe(): Promise<ProbeResult>;
  /** The state has changed. */
  changed(): void;
}

export class Prober implements Tracker {
  readonly #parts: ProberParts;
  #health: Health = unknownHealth;
  #detail = 'not probed yet';
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: ProberParts) {
    this.#parts = parts;
    // Not from within the constructor: who makes it does not have it yet.
    this.#timer = setTimeout(() => void this.#probe(), 0);
  }

  get state(): TrackState {
    return this.#health.state;
  }

  get detail(): string {
    return this.#detail;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #probe(): Promise<void> {
    const begunMs = performance.now();
    const { succeeded, detail } = await this.#parts.probe();
    if (this.#closed) return;
    const before = this.#health.state;
    this.#health = afterProbe(this.#health, succeeded, this.#parts);
    this.#detail = detail;
    this.#timer = setTimeout(() => void this.#probe(), Math.max(0, begunMs + this.#parts.intervalMs - performance.now()));
    if (this.#health.state !== before) this.#parts.changed();
  }
}
