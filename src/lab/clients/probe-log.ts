// What a probe has sent and got back, and what that says about a stretch of time.

export interface ProbeWindow {
  readonly sent: number;
  /** Sent in the window and never answered. */
  readonly lost: number;
  /** When the first and the last of those were sent, CLOCK_MONOTONIC; absent when there are none. */
  readonly lostFromMs?: number;
  readonly lostToMs?: number;
  /** The longest time in the window without any reply, its edges included. */
  readonly longestGapMs: number;
  /** When that gap began, CLOCK_MONOTONIC. */
  readonly gapFromMs: number;
  readonly medianRoundTripMs: number;
  readonly longestRoundTripMs: number;
}

export class ProbeLog {
  readonly #sentAt: number[] = [];
  readonly #repliedAt: (number | undefined)[] = [];
  /** Arrival times in order of arrival. */
  readonly #arrivals: number[] = [];
  #highest = -1;

  /** Returns the sequence number to send. */
  send(nowMs: number): number {
    this.#repliedAt.push(undefined);
    return this.#sentAt.push(nowMs) - 1;
  }

  receive(sequence: number, nowMs: number): void {
    if (sequence >= this.#sentAt.length || this.#repliedAt[sequence] !== undefined) return;
    this.#repliedAt[sequence] = nowMs;
    this.#arrivals.push(nowMs);
    this.#highest = Math.max(this.#highest, sequence);
  }

  /** True when something sent after `ms` was answered: what was sent before and has no reply will not get one. */
  isAnsweredAfter(ms: number): boolean {
    return this.#highest >= 0 && (this.#sentAt[this.#highest] ?? 0) > ms;
  }

  get received(): number {
    return this.#arrivals.length;
  }

  /** @param fromMs @param toMs CLOCK_MONOTONIC milliseconds */
  window(fromMs: number, toMs: number): ProbeWindow {
    const sent = this.#sentAt.flatMap((at, sequence) => (at >= fromMs && at < toMs ? [sequence] : []));
    const roundTrips = sent.flatMap((sequence) => {
      const reply = this.#repliedAt[sequence];
      return reply === undefined ? [] : [reply - (this.#sentAt[sequence] ?? reply)];
    });
    roundTrips.sort((a, b) => a - b);
    return {
      sent: sent.length,
      lost: sent.length - roundTrips.length,
      ...this.#lossTimes(sent),
      ...this.#longestGap(fromMs, toMs),
      medianRoundTripMs: roundTrips[roundTrips.length >> 1] ?? Number.NaN,
      longestRoundTripMs: roundTrips.at(-1) ?? Number.NaN,
    };
  }

  #lossTimes(sequences: readonly number[]): { lostFromMs?: number; lostToMs?: number } {
    const times = sequences.flatMap((sequence) => (this.#repliedAt[sequence] === undefined ? [this.#sentAt[sequence] ?? 0] : []));
    const [first, last] = [times[0], times.at(-1)];
    return first === undefined || last === undefined ? {} : { lostFromMs: first, lostToMs: last };
  }

  #longestGap(fromMs: number, toMs: number): { longestGapMs: number; gapFromMs: number } {
    let longestGapMs = 0;
    let gapFromMs = fromMs;
    let last = fromMs;
    for (const at of [...this.#arrivals.filter((arrival) => arrival >= fromMs && arrival < toMs), toMs]) {
      if (at - last > longestGapMs) {
        longestGapMs = at - last;
        gapFromMs = last;
      }
      last = at;
    }
    return { longestGapMs, gapFromMs };
  }
}
