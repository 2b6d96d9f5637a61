// Waiting for conditions. Nothing in the lab sleeps for a time and hopes.
import { setTimeout as delay } from 'node:timers/promises';
import { HopelessError, LabError, messageOf } from './error.js';

export interface WaitOptions {
  /** Default 30 000. */
  readonly deadlineMs?: number;
  /** Pause between two looks; default 20. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks until `look` gives something other than undefined or false, and returns that.
 * A throwing look counts as "not yet" (unless by a HopelessError); its last message is told when the deadline passes.
 */
export async function until<T>(awaited: string, look: () => Promise<T | undefined | false> | T | undefined | false, options: WaitOptions = {}): Promise<T> {
  const { deadlineMs = 30_000, intervalMs = 20, signal } = options;
  const end = performance.now() + deadlineMs;
  let lastError = '';
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
      lastError = '';
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      lastError = ` (${messageOf(error)})`;
    }
    if (performance.now() >= end) throw new LabError(`waited ${deadlineMs / 1000} s in vain for ${awaited}${lastError}`);
    await delay(intervalMs, undefined, { signal });
  }
}
