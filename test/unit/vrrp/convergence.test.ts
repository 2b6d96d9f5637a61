/** Properties of two and three routers that elect over a network which loses messages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectivePriority } from '../../../src/vrrp/state.js';
import { baseConfig } from './machines.js';
import { Lan, type Router } from './simulation.js';

const SECOND_US = 1_000_000;
const CHAOS_US = 10 * SECOND_US;

const actives = (lan: Lan): string[] => lan.routers.filter(({ role }) => role === 'active').map(({ name }) => name);

interface Member {
  readonly priority: number;
  readonly synchronised: boolean;
  readonly preempt: boolean;
  readonly startUs: number;
}

const member = fc.record<Member>({
  priority: fc.constantFrom(1, 100, 101, 200, 254, 255),
  synchronised: fc.boolean(),
  preempt: fc.boolean(),
  startUs: fc.nat(2 * SECOND_US),
});
const members = fc.array(member, { minLength: 2, maxLength: 3 });
const intervalUs = fc.constantFrom(10_000, 100_000, 1_000_000);

interface Incident {
  readonly atUs: number;
  readonly who: number;
  readonly what: 'crash' | 'shutdown' | 'drain' | 'undrain' | 'fault' | 'repair' | 'synchronise' | 'desynchronise' | 'lower' | 'lift';
}

const incident = fc.record<Incident>({
  atUs: fc.nat(CHAOS_US),
  who: fc.nat(2),
  what: fc.constantFrom('crash', 'shutdown', 'drain', 'undrain', 'fault', 'repair', 'synchronise', 'desynchronise', 'lower', 'lift'),
});

function build(specs: readonly Member[], advertisementIntervalUs: number): Lan {
  const lan = new Lan();
  specs.forEach(({ priority, synchronised, preempt, startUs }, i) => {
    const config = { ...baseConfig, priority, preempt, advertisementIntervalUs, primaryAddress: 0x0a090001 + i };
    const router = lan.add(`r${i}`, config, synchronised);
    lan.at(startUs, () => lan.start(router));
  });
  return lan;
}

function strike(lan: Lan, router: Router, what: Incident['what']): void {
  switch (what) {
    case 'crash': return lan.crash(router);
    case 'shutdown': return lan.dispatch(router, { type: 'Shutdown' });
    case 'drain': return lan.dispatch(router, { type: 'Drain' });
    case 'undrain': return lan.dispatch(router, { type: 'Undrain' });
    case 'fault': return lan.dispatch(router, { type: 'FaultRaised' });
    case 'repair': return lan.dispatch(router, { type: 'FaultCleared' });
    case 'synchronise': return lan.dispatch(router, { type: 'SynchronisedChanged', synchronised: true });
    case 'desynchronise': return lan.dispatch(router, { type: 'SynchronisedChanged', synchronised: false });
    case 'lower': return lan.dispatch(router, { type: 'PenaltyChanged', penalty: 120 });
    case 'lift': return lan.dispatch(router, { type: 'PenaltyChanged', penalty: 0 });
  }
}

/** Loss and jitter from a list of numbers, over and over. */
function weather(lan: Lan, lossPercent: number, numbers: readonly number[]): void {
  let next = 0;
  lan.fate = () => {
    const number = numbers[next++ % numbers.length]!;
    return { lost: number % 100 < lossPercent, delayUs: 50 + (number % 997) };
  };
}

/** Everybody is put right, the network too, and long enough passes for every timer to have run out. */
function calm(lan: Lan, advertisementIntervalUs: number): void {
  lan.fate = () => ({ lost: false, delayUs: 100 });
  for (const router of lan.routers) for (const what of ['undrain', 'repair'] as const) strike(lan, router, what);
  for (const router of lan.routers) lan.start(router);
  lan.runUntil(lan.nowUs + 12 * advertisementIntervalUs + 3 * SECOND_US);
}

const storm = fc.record({
  specs: members,
  interval: intervalUs,
  incidents: fc.array(incident, { maxLength: 12 }),
  lossPercent: fc.nat(60),
  numbers: fc.array(fc.nat(1_000_000), { minLength: 7, maxLength: 64 }),
});

function survive({ specs, interval, incidents, lossPercent, numbers }: typeof storm extends fc.Arbitrary<infer T> ? T : never): Lan {
  const lan = build(specs, interval);
  weather(lan, lossPercent, numbers);
  for (const { atUs, who, what } of incidents) lan.at(atUs, () => strike(lan, lan.routers[who % lan.routers.length]!, what));
  lan.runUntil(CHAOS_US);
  calm(lan, interval);
  return lan;
}

// A few seconds on an idle machine.
const timeout = 120_000;

describe('whatever happened before', { timeout }, () => {
  const numRuns = 150;

  it('exactly one router is Active once the network is whole, and all others are Backup', () => {
    fc.assert(
      fc.property(storm, (scenario) => {
        const lan = survive(scenario);
        expect(actives(lan)).toHaveLength(1);
        expect(lan.routers.filter(({ role }) => role === 'backup')).toHaveLength(lan.routers.length - 1);
      }),
      { numRuns },
    );
  });

  it('it stays so, without a further transition', () => {
    fc.assert(
      fc.property(storm, (scenario) => {
        const lan = survive(scenario);
        const settled = lan.transitions.length;
        lan.runUntil(lan.nowUs + 10 * SECOND_US);
        expect(lan.transitions.length).toBe(settled);
      }),
      { numRuns },
    );
  });

  it('nobody ever preempted who was not synchronised', () => {
    fc.assert(
      fc.property(storm, (scenario) => {
        const preempting = survive(scenario).transitions.filter(({ reason }) => reason === 'preempting' || reason === 'owner-startup');
        expect(preempting.filter(({ synchronised }) => !synchronised)).toEqual([]);
      }),
      { numRuns },
    );
  });

  it('the Active has the highest term of all', () => {
    fc.assert(
      fc.property(storm, (scenario) => {
        const lan = survive(scenario);
        const active = lan.routers.find(({ role }) => role === 'active')!;
        const state = active.machine.state;
        const highest = Math.max(...lan.routers.map(({ machine }) => machine.highestTerm));
        expect(state.name === 'Active' && state.term).toBe(highest);
      }),
      { numRuns },
    );
  });

  it('with preemption and everybody synchronised, it is one of the highest priority', () => {
    fc.assert(
      fc.property(storm, (scenario) => {
        const specs = scenario.specs.map((spec) => ({ ...spec, preempt: true, synchronised: true }));
        const lan = survive({ ...scenario, specs });
        for (const router of lan.routers) strike(lan, router, 'synchronise');
        lan.runUntil(lan.nowUs + 12 * scenario.interval + 3 * SECOND_US);
        const active = lan.routers.find(({ role }) => role === 'active')!;
        expect(effectivePriority(active.machine)).toBe(Math.max(...lan.routers.map(({ machine }) => effectivePriority(machine))));
      }),
      { numRuns },
    );
  });
});

describe('a quiet LAN', { timeout }, () => {
  it('a Backup that starts while another is Active and loses nothing makes no transition, without preemption', () => {
    fc.assert(
      fc.property(members, intervalUs, (specs, interval) => {
        const quiet = specs.map((spec, i) => ({ ...spec, priority: Math.min(spec.priority, 254), preempt: false, startUs: i * 5 * SECOND_US }));
        const lan = build(quiet, interval);
        lan.runUntil(30 * SECOND_US);
        expect(lan.transitions.filter(({ to }) => to === 'Active')).toHaveLength(1);
        expect(actives(lan)).toEqual(['r0']);
      }),
    );
  });

  it('two Actives of equal priority: the one with the greater address stays', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 100, 254), intervalUs, (priority, interval) => {
        const equal = { priority, synchronised: true, preempt: true, startUs: 0 };
        const lan = build([equal, equal], interval);
        lan.fate = () => ({ lost: true, delayUs: 0 });
        lan.runUntil(5 * interval);
        expect(actives(lan)).toEqual(['r0', 'r1']);
        lan.fate = () => ({ lost: false, delayUs: 100 });
        lan.runUntil(7 * interval);
        expect(actives(lan)).toEqual(['r1']);
      }),
    );
  });

  it('a synchronised drain leaves no moment without a router that forwards', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 100, 254), intervalUs, (priority, interval) => {
        const lan = build([{ priority: 254, synchronised: true, preempt: true, startUs: 0 }, { priority, synchronised: true, preempt: false, startUs: 5 * SECOND_US }], interval);
        lan.runUntil(10 * SECOND_US);
        lan.dispatch(lan.routers[0]!, { type: 'Drain' });
        for (let i = 0; i < 5_000; i++) {
          lan.runUntil(lan.nowUs + 1_000);
          expect(lan.routers.some(({ role }) => role === 'active' || role === 'draining')).toBe(true);
        }
        expect(lan.routers.map(({ role }) => role)).toEqual(['initialize', 'active']);
      }),
      { numRuns: 9 },
    );
  });

  it('a dead Active is succeeded within the Active_Down_Interval of the best Backup', () => {
    fc.assert(
      fc.property(intervalUs, fc.nat(SECOND_US), (interval, phase) => {
        const spec = (priority: number, startUs: number): Member => ({ priority, synchronised: false, preempt: true, startUs });
        const lan = build([spec(200, 0), spec(150, 5 * SECOND_US), spec(100, 5 * SECOND_US)], interval);
        lan.runUntil(10 * SECOND_US + phase);
        lan.crash(lan.routers[0]!);
        const downUs = 3 * interval + Math.floor((106 * interval) / 256);
        lan.runUntil(lan.nowUs + downUs + 200);
        expect(actives(lan)).toEqual(['r1']);
      }),
    );
  });
});
