/** Counts by number, for up to millions of numbers, that never hold the event loop for long. */
import type { Pace } from './scan.js';

/** One map of millions would stand still whenever it grows. */
const SHARD_BITS = 10;
/** Groups between two turns of everybody else. */
const CHUNK = 8192;

export interface Group {
  readonly key: number;
  readonly count: number;
}

export class Groups {
  readonly #shards = Array.from({ length: 1 << SHARD_BITS }, () => new Map<number, number>());

  add(key: number): void {
    const shard = this.#shards[Math.imul(key, 0x9e3779b1) >>> (32 - SHARD_BITS)]!;
    shard.set(key, (shard.get(key) ?? 0) + 1);
  }

  get size(): number {
    return this.#shards.reduce((sum, { size }) => sum + size, 0);
  }

  /** Largest first, of equal ones the lower number. */
  async largest(limit: number, pace: Pace): Promise<Group[]> {
    let best: Group[] = [];
    let seen = 0;
    for (const [key, count] of this.#entries()) {
      if (++seen % CHUNK === 0) await pace.breathe();
      best.push({ key, count });
      if (best.length >= 2 * limit + CHUNK) best = best.sort(compareGroups).slice(0, limit);
    }
    return best.sort(compareGroups).slice(0, limit);
  }

  *#entries(): Generator<[number, number]> {
    for (const shard of this.#shards) yield* shard;
  }
}

function compareGroups(one: Group, other: Group): number {
  return other.count - one.count || one.key - other.key;
}
