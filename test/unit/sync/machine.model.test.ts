/** What two machines promise each other, whatever the link does to what they say (hostile-pair.ts). */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { fuzz, fuzzRuns } from '../../support/fuzz.js';
import { HostilePair, reliable } from './hostile-pair.js';
import type { Act, Faults, Node } from './hostile-pair.js';

const OFF_MS = 400;

const node = fc.constantFrom(0, 1);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('Create' as const), node, sessions: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('Cut' as const), from: fc.constantFrom(0, 1, 'both' as const), forMs: fc.oneof(fc.integer({ min: 20, max: 40 }), fc.integer({ min: 5, max: 150 })) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('RestartDaemon' as const), node, offMs: fc.integer({ min: 150, max: OFF_MS }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Crash' as const), node, offMs: fc.integer({ min: 1, max: OFF_MS }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ChangeRoles' as const), node }) },
);
const faults: fc.Arbitrary<Faults> = fc.record({ loss: fc.constantFrom(0, 0.05, 0.3), repetition: fc.constantFrom(0, 0.3), lateness: fc.constantFrom(0, 0.1, 0.5), delayMs: fc.constant(60) });
const pauseMs = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 120 }));
/** What the peer does not know of, though it hears us: the case for which there are generations. */
const madeAlone = fc.tuple(node, fc.integer({ min: 20, max: 28 })).map(([alone, afterMs]): [number, Act][] => [
  [0, { kind: 'ChangeRoles', node: alone }],
  [0, { kind: 'Cut', from: 1 - alone, forMs: 30 }],
  [afterMs, { kind: 'Create', node: alone, sessions: 4 }],
]);
const acts = fc.array(fc.oneof({ weight: 5, arbitrary: fc.tuple(fc.tuple(pauseMs, act)) }, { weight: 1, arbitrary: madeAlone }), { maxLength: 20 });
const scenario = fc.record({ faults, isWarm: fc.boolean(), seed: fc.integer(), acts: acts.map((groups) => groups.flat()) });

/** A failed series of five rounds, the pause after it, a round that succeeds, and hellos between. */
const BOUND_MS = 5 * 300 + 1000 + 1000;
/** Thousands find what is rarer: FUZZ_RUNS=5000. */
const RUNS = fuzzRuns(300);
vi.setConfig({ testTimeout: 30_000 + 100 * RUNS });

function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    const mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    return ((mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Plays the scenario, and asks `each` of both gateways after every millisecond. */
function play({ faults: chosen, isWarm, seed, acts }: typeof scenario extends fc.Arbitrary<infer Scenario> ? Scenario : never, each: (node: Node) => void): HostilePair {
  const pair = new HostilePair(reliable, seeded(seed));
  const both = (): void => pair.nodes.forEach(each);
  // Far enough to be synchronised.
  if (isWarm) pair.run(300, both);
  pair.faults = chosen;
  for (const [afterMs, next] of acts) {
    pair.run(afterMs, both);
    pair.act(next);
  }
  pair.run(100, both);
  pair.faults = reliable;
  return pair;
}

const lacks = ({ tables, heard }: Node): number[] => [...heard?.sessions ?? []].filter((session) => !tables.has(session));

describe('two machines over a hostile link', () => {
  it('never say that they are synchronised while they lack what they could know of', async () => {
    await fuzz(fc.property(scenario, (chosen) => {
      play(chosen, (each) => {
        if (each.daemon?.state.synchronised === true && lacks(each).length > 0) throw new Error(`synchronised without ${lacks(each).join()}`);
      });
    }), RUNS);
  });

  it('hold nothing of a former epoch, and tell the election what they are', async () => {
    await fuzz(fc.property(scenario, (chosen) => {
      play(chosen, (each) => {
        const { daemon, completedByPeer, toldSynchronised } = each;
        if (daemon === undefined) return;
        const { holds, peer, synchronised } = daemon.state;
        if (toldSynchronised !== synchronised) throw new Error(`synchronised: ${synchronised}, and told otherwise`);
        if (holds !== undefined && !completedByPeer.has(holds)) throw new Error(`holds ${holds}, which nobody of this epoch has completed`);
        if (peer.kind === 'Silent' && synchronised) throw new Error('synchronised with nobody');
      });
    }), RUNS);
  });

  it('become synchronised, and hold the same, once the link is reliable', async () => {
    await fuzz(fc.property(scenario, (chosen) => {
      const pair = play(chosen, () => undefined);
      const [a, b] = pair.nodes;
      const isDone = (): boolean => [a, b].every(({ daemon }) => daemon?.state.synchronised === true && daemon.state.bulk.kind === 'Idle');
      pair.run(OFF_MS, () => undefined);
      for (const untilMs = pair.nowMs + BOUND_MS; pair.nowMs < untilMs && !isDone();) pair.run(5, () => undefined);
      // What has just begun shows.
      pair.run(200, () => undefined);
      expect(isDone()).toBe(true);
      expect([a.daemon!.state.holds, b.daemon!.state.holds]).toEqual([b.daemon!.state.generation, a.daemon!.state.generation]);
      expect([lacks(a), lacks(b)]).toEqual([[], []]);
    }), RUNS);
  });
});
