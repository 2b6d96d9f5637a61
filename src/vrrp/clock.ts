/** Time as the election's edge sees it; unit tests put a simulated one in its place. */

/** Undoes a `Clock` call whose callback has not run yet; harmless afterwards. */
export type Cancel = () => void;

export interface Clock {
  /** CLOCK_MONOTONIC: the time of leases, and of the kernel's stamps on packets. */
  nowNs(): bigint;
  /** Milliseconds since 1970, for people. */
  wallMs(): number;
  /** Calls back at the deadline or later, never before, never from within this call. */
  schedule(deadlineNs: bigint, callback: () => void): Cancel;
  /** Calls back after the sockets have been read once. */
  afterInput(callback: () => void): Cancel;
}

/**
 * Timers of libuv count milliseconds from the start of a round of the event loop,
 * so they may be early by the time that the round took: then they are set again.
 */
export const systemClock: Clock = {
  nowNs: () => process.hrtime.bigint(),
  wallMs: () => Date.now(),
  schedule: scheduleAt,
  // Sockets are read between the timers and the immediates of a round.
  afterInput: (callback) => {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
};

function scheduleAt(deadlineNs: bigint, callback: () => void): Cancel {
  let cancel: Cancel;
  const arm = (): void => {
    const left = deadlineNs - process.hrtime.bigint();
    if (left <= 0n) {
      const immediate = setImmediate(callback);
      cancel = () => clearImmediate(immediate);
      return;
    }
    const timeout = setTimeout(check, Math.ceil(Number(left) / 1e6));
    cancel = () => clearTimeout(timeout);
  };
  const check = (): void => (process.hrtime.bigint() < deadlineNs ? arm() : callback());
  arm();
  return () => cancel();
}
