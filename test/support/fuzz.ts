/**
 * Bounded random testing. A failure prints seed and path (fast-check);
 * FUZZ_SEED=… repeats it, FUZZ_RUNS=… looks longer.
 */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';

/** Between two of these the event loop turns: vitest takes a worker that is silent for a minute for dead. */
const RUNS_PER_TURN = 500;

/** How many runs a test that normally does `usual` has to do, by FUZZ_RUNS. */
export function fuzzRuns(usual: number): number {
  return Number(process.env['FUZZ_RUNS'] ?? usual);
}

/** A test that is run again sees what it saw at first. */
const givenSeed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));

/** As fuzz(), of what has to wait for something. */
export async function fuzzAsync<T>(property: fc.IAsyncPropertyWithHooks<T>, runs: number): Promise<void> {
  await fc.assert(property.afterEach(async () => setImmediate()), { numRuns: runs, seed: givenSeed });
}

/** Checks the property `runs` times. Throws fast-check's report of the smallest counterexample. */
export async function fuzz<T>(property: fc.IProperty<T>, runs: number): Promise<void> {
  for (let done = 0; done < runs; done += RUNS_PER_TURN) {
    fc.assert(property, { numRuns: Math.min(RUNS_PER_TURN, runs - done), seed: done === 0 ? givenSeed : (givenSeed + done) | 0 });
    await setImmediate();
  }
}
