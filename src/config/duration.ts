/**
 * Durations as people write them, and as the programs count them.
 *
 * A number alone has no unit, so the types carry one: a function that wants
 * Milliseconds does not compile with Microseconds.
 */

declare const unit: unique symbol;

/** A whole number of microseconds. VRRP and heartbeats are counted in these. */
export type Microseconds = number & { readonly [unit]: 'us' };
/** A whole number of milliseconds. */
export type Milliseconds = number & { readonly [unit]: 'ms' };

const microsecondsPer = {
  us: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
} as const;

type Suffix = keyof typeof microsecondsPer;

/** What `parseDuration` accepts; exported so that editors check it as well. */
export const durationPattern = /^(\d{1,12})(us|ms|s|m|h|d)$/;

/** `100ms`, `2s`, `7440s`, `2h` → microseconds; undefined when it is not a duration or too large to count exactly. */
export function parseDuration(text: string): Microseconds | undefined {
  const match = durationPattern.exec(text);
  if (match === null) return undefined;
  const microseconds = Number(match[1]) * microsecondsPer[match[2] as Suffix];
  return Number.isSafeInteger(microseconds) ? (microseconds as Microseconds) : undefined;
}

/** The shortest exact way to write it: 40950000 → `40950ms`. */
export function formatDuration(duration: Microseconds): string {
  const largestFirst = Object.entries(microsecondsPer).reverse();
  const [suffix, size] = largestFirst.find(([, size]) => duration >= size && duration % size === 0) ?? ['s', 1];
  return `${duration / size}${suffix}`;
}

/** Whole milliseconds, rounded down; the schema lets only whole ones through. */
export function toMilliseconds(duration: Microseconds): Milliseconds {
  return Math.floor(duration / 1_000) as Milliseconds;
}

/** Exact: nanoseconds fit no double, so they are a bigint. */
export function toNanoseconds(duration: Microseconds): bigint {
  return BigInt(duration) * 1_000n;
}
