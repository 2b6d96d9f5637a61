/**
 * The epoch of our sequence numbers. A peer refuses an earlier one, so it must
 * grow with every fresh set of maps, across restarts and reboots.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** 2026-01-01T00:00:00Z: epochs are quarter seconds since then, which last until 2060. */
const ORIGIN_MS = Date.UTC(2026, 0, 1);
const UNIT_MS = 250;

/** Above `last` and, if the clock is right, above every epoch that was ever given out on this node. */
export function nextEpoch(last: number, nowMs: number): number {
  return Math.max(last + 1, Math.floor((nowMs - ORIGIN_MS) / UNIT_MS), 1) >>> 0;
}

/** Takes the next epoch and remembers it in `file`, for a clock that steps back. */
export function takeEpoch(file: string, nowMs: number): number {
  const epoch = nextEpoch(lastEpoch(file), nowMs);
  writeFileSync(file, `${epoch}\n`, { mode: 0o600 });
  return epoch;
}

function lastEpoch(file: string): number {
  try {
    const epoch = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(epoch) ? epoch : 0;
  } catch {
    return 0;
  }
}
