/** Properties of the two gateways of a pair, which see each other on two ways: cut off from each other, healed, crashed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { baseConfig } from './machines.js';
import { Lan } from './simulation.js';

const SECOND_US = 1_000_000;
/** Noticing that a way is silent, and a beat. */
const NOTICING_US = 10_000;

const actives = (lan: Lan): string[] => lan.routers.filter(({ role }) => role === 'active').map(({ name }) => name);

const pairOf = fc.record({
  priorities: fc.tuple(fc.constantFrom(1, 100, 200, 254), fc.constantFrom(1, 100, 200, 254)),
  preempt: fc.boolean(),
  intervalUs: fc.constantFrom(10_000, 100_000, 1_000_000),
  synchronised: fc.boolean(),
});
type Spec = typeof pairOf extends fc.Arbitrary<infer T> ? T : never;

/** Both run, one is Active. */
function settled({ priorities, preempt, intervalUs, synchronised }: Spec): Lan {
  const lan = new Lan();
  priorities.forEach((priority, i) => lan.add(`r${i}`, { ...baseConfig, priority, preempt, advertisementIntervalUs: intervalUs, primaryAddress: 0x0a090001 + i }, synchronised));
  lan.pair();
  for (const router of lan.routers) lan.start(router);
  lan.runUntil(12 * intervalUs + 3 * SECOND_US);
  return lan;
}

/** How many were Active, sampled every millisecond. */
function watch(lan: Lan, forUs: number): number[] {
  const counts: number[] = [];
  for (const endUs = lan.nowUs + forUs; lan.nowUs < endUs; ) {
    lan.runUntil(lan.nowUs + 1000);
    counts.push(actives(lan).length);
  }
  return counts;
}

const numRuns = 60;
const timeout = 120_000;

describe('two gateways that see each other on two ways', { timeout }, () => {
  it('one is Active, in the highest term', () => {
    fc.assert(fc.property(pairOf, (spec) => {
      expect(actives(settled(spec))).toHaveLength(1);
    }), { numRuns });
  });

  it.each([{ ha: false }, { underlay: false }])('%j is cut: the same one stays Active, and alone, also when it is healed', (ways) => {
    fc.assert(fc.property(pairOf, fc.integer({ min: 1, max: 20 }), (spec, intervals) => {
      const lan = settled(spec);
      const [before, transitions] = [actives(lan), lan.transitions.length];
      lan.setWays(ways);
      const during = watch(lan, intervals * spec.intervalUs);
      lan.setWays({ ha: true, underlay: true });
      const after = watch(lan, SECOND_US);
      expect(new Set([...during, ...after])).toEqual(new Set([1]));
      expect(actives(lan)).toEqual(before);
      expect(lan.transitions.length).toBe(transitions);
    }), { numRuns: 30 });
  });

  it('all is cut: both are Active; healed, exactly one within a second, or an interval, and no term is outbid', () => {
    fc.assert(fc.property(pairOf, fc.constantFrom<readonly ['ha' | 'underlay', 'ha' | 'underlay']>(['ha', 'underlay'], ['underlay', 'ha']), fc.nat(50_000), (spec, [first, second], apartUs) => {
      const lan = settled(spec);
      lan.setWays({ ha: false, underlay: false });
      lan.runUntil(lan.nowUs + 2 * SECOND_US + 5 * spec.intervalUs);
      expect(actives(lan)).toHaveLength(2);
      const terms = lan.routers.map(({ machine }) => machine.highestTerm);
      lan.setWays({ [first]: true });
      const between = watch(lan, apartUs);
      lan.setWays({ [second]: true });
      const counts = [...between, ...watch(lan, Math.max(SECOND_US, 2 * spec.intervalUs + NOTICING_US))];
      // Both may yield to each other in the same moment: then the first to see that takes it back, and stragglers are forwarded meanwhile.
      expect(counts.filter((count) => count === 0).length * 1000).toBeLessThanOrEqual(spec.intervalUs + NOTICING_US);
      expect(counts.at(-1)).toBe(1);
      lan.runUntil(lan.nowUs + 12 * spec.intervalUs + 3 * SECOND_US);
      expect(actives(lan)).toHaveLength(1);
      // One more takeover at most: of a gateway that preempts, or outranks what the other did meanwhile.
      expect(Math.max(...lan.routers.map(({ machine }) => machine.highestTerm))).toBeLessThanOrEqual(Math.max(...terms) + 2);
    }), { numRuns });
  });

  it('the Active dies: the other is Active as soon as both ways are silent', () => {
    fc.assert(fc.property(pairOf, fc.nat(1_000_000), (spec, moment) => {
      const lan = settled(spec);
      lan.runUntil(lan.nowUs + moment);
      const dead = lan.routers.find(({ role }) => role === 'active')!;
      lan.crash(dead);
      lan.runUntil(lan.nowUs + NOTICING_US);
      expect(lan.transitions.at(-1)).toMatchObject({ reason: 'peer-silent', to: 'Active' });
      expect(actives(lan)).toHaveLength(1);
    }), { numRuns });
  });

  it('whatever is cut, healed and crashed: in the end one is Active, the other Backup', () => {
    const incident = fc.record({ atUs: fc.nat(10 * SECOND_US), what: fc.constantFrom('ha', 'underlay', 'crash0', 'crash1', 'start0', 'start1', 'fault0', 'repair0'), up: fc.boolean() });
    fc.assert(fc.property(pairOf, fc.array(incident, { maxLength: 12 }), (spec, incidents) => {
      const lan = settled(spec);
      const t0 = lan.nowUs;
      for (const { atUs, what, up } of incidents) {
        lan.at(t0 + atUs, () => {
          const router = lan.routers[Number(what.at(-1)) || 0]!;
          if (what === 'ha' || what === 'underlay') lan.setWays({ [what]: up });
          else if (what.startsWith('crash')) lan.crash(router);
          else if (what.startsWith('start')) lan.start(router);
          else lan.dispatch(router, { type: what.startsWith('fault') ? 'FaultRaised' : 'FaultCleared' });
        });
      }
      lan.runUntil(t0 + 10 * SECOND_US);
      lan.setWays({ ha: true, underlay: true });
      lan.dispatch(lan.routers[0]!, { type: 'FaultCleared' });
      for (const router of lan.routers) lan.start(router);
      lan.runUntil(lan.nowUs + 15 * spec.intervalUs + 3 * SECOND_US);
      expect(lan.routers.map(({ role }) => role).sort()).toEqual(['active', 'backup']);
    }), { numRuns: 100 });
  });
});
