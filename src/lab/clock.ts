/** Milliseconds of CLOCK_MONOTONIC: the same clock in every process of the lab. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
