import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toYield, withSiblings } from '../../../src/gateway/sync-groups.js';
import type { Member, Rank } from '../../../src/gateway/sync-groups.js';
import { effectivePriority } from '../../../src/vrrp/state.js';
import type { Event, StateName } from '../../../src/vrrp/state.js';
import { baseConfig } from '../vrrp/machines.js';
import { Lan, type Router } from '../vrrp/simulation.js';

const rank = (priority: number, address = 1): Rank => ({ priority, address });

function member(vrid: number, state: StateName, own: Rank, follows?: Rank, group: string | null = 'all'): Member {
  return { vrid, group: group ?? undefined, state, rank: own, follows };
}

describe('toYield', () => {
  it.each<[string, Member[], number[]]>([
    ['a sibling follows who outranks us', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100), rank(101))], [51]],
    ['by the address', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100), rank(100, 2))], [51]],
    ['a sibling follows who does not', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100), rank(99, 2))], []],
    ['a sibling follows nobody', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100))], []],
    ['all are here', [member(51, 'Active', rank(100), rank(200)), member(52, 'Active', rank(100), rank(200))], []],
    ['another group', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100), rank(200), 'others')], []],
    ['no group', [member(51, 'Active', rank(100), undefined, null), member(52, 'Backup', rank(100), rank(200), null)], []],
    ['all but the follower', [member(51, 'Active', rank(100)), member(52, 'Backup', rank(100), rank(200)), member(53, 'Active', rank(100)), member(54, 'HandingOver', rank(100))], [51, 53]],
  ])('%s', (_, members, vrids) => {
    expect(toYield(members)).toEqual(vrids);
  });
});

it('siblings are those of the same group', () => {
  const routers = [{ vrid: 51, syncGroup: 'a' }, { vrid: 52, syncGroup: 'b' }, { vrid: 53, syncGroup: 'a' }, { vrid: 54 }, { vrid: 55 }];
  expect(withSiblings([51], routers)).toEqual([51, 53]);
  expect(withSiblings([54, 52], routers)).toEqual([52, 54]);
});

const MS = 1_000;
const intervalUs = 100 * MS;

/** One VRID, remembering who was heard last. */
class HearingLan extends Lan {
  readonly heard = new Map<Router, { readonly rank: Rank; readonly atUs: number }>();

  override dispatch(router: Router, event: Event): void {
    if (event.type === 'AdvertisementReceived' && event.priority > 0) this.heard.set(router, { rank: { priority: event.priority, address: event.source }, atUs: this.nowUs });
    super.dispatch(router, event);
  }

  memberOf(router: Router, vrid: number): Member {
    const { machine } = router;
    const last = this.heard.get(router);
    return {
      vrid, group: 'all', state: machine.state.name, rank: { priority: effectivePriority(machine), address: machine.config.primaryAddress },
      follows: last !== undefined && this.nowUs - last.atUs < 3 * intervalUs ? last.rank : undefined,
    };
  }
}

/** Two gateways with three virtual routers of one group. */
class Pair {
  readonly lans = [51, 52, 53].map(() => new HearingLan());

  constructor(priorities: readonly [number, number], preempt: boolean) {
    this.lans.forEach((lan) => {
      priorities.forEach((priority, i) => {
        const config = { ...baseConfig, priority, preempt, advertisementIntervalUs: intervalUs, lingerUs: 50 * MS, handOverLimitUs: 1_000 * MS, primaryAddress: 0x0a090001 + i };
        const router = lan.add(`gw-${i}`, config, true);
        lan.at(i * 2_000 * MS, () => lan.dispatch(router, { type: 'Startup' }));
      });
    });
  }

  /** As the gateway does: the rule is looked at every so often. */
  run(ms: number): void {
    for (let passed = 0; passed < ms; passed += 10) {
      for (const lan of this.lans) lan.runUntil(lan.nowUs + 10 * MS);
      for (const gateway of [0, 1]) {
        const members = this.lans.map((lan, i) => lan.memberOf(lan.routers[gateway]!, 51 + i));
        for (const vrid of toYield(members)) this.dispatch(gateway, { type: 'Yield' }, vrid - 51);
      }
    }
  }

  dispatch(gateway: number, event: Event, ...of: number[]): void {
    for (const lan of of.length === 0 ? this.lans : of.map((i) => this.lans[i]!)) lan.dispatch(lan.routers[gateway]!, event);
  }

  crash(gateway: number): void {
    for (const lan of this.lans) lan.crash(lan.routers[gateway]!);
  }

  /** Adverts of one virtual router are lost, both ways. */
  cut(which: number, lost: boolean): void {
    this.lans[which]!.fate = () => ({ lost, delayUs: 100 });
  }

  /** Gateways that are Active, for each virtual router. */
  get actives(): number[][] {
    return this.lans.map((lan) => lan.routers.flatMap(({ role }, i) => (role === 'active' ? [i] : [])));
  }
}

const here = (gateway: number): number[][] => [[gateway], [gateway], [gateway]];

describe('two gateways', { timeout: 120_000 }, () => {
  it('start as one', () => {
    const pair = new Pair([100, 200], true);
    pair.run(1_500);
    expect(pair.actives).toEqual(here(0));
    pair.run(4_000);
    expect(pair.actives).toEqual(here(1));
  });

  it('without preemption, one that has taken a single role takes all: the adverts of one VRID were lost', () => {
    const pair = new Pair([100, 200], false);
    pair.run(4_000);
    expect(pair.actives).toEqual(here(0));
    pair.cut(1, true);
    pair.run(1_000);
    expect(pair.actives).toEqual([[0], [0, 1], [0]]);
    pair.cut(1, false);
    pair.run(1_000);
    expect(pair.actives).toEqual(here(1));
  });

  it('a lesser one that has taken a single role gives it back, and nothing else moves', () => {
    const pair = new Pair([200, 100], false);
    pair.run(4_000);
    const moves = pair.lans.map((lan) => lan.transitions.length);
    pair.cut(1, true);
    pair.run(1_000);
    pair.cut(1, false);
    pair.run(1_000);
    expect(pair.actives).toEqual(here(0));
    expect([0, 2].map((i) => pair.lans[i]!.transitions.length)).toEqual([moves[0], moves[2]]);
  });

  it('somebody forwards at every moment while the roles move', () => {
    const pair = new Pair([100, 200], false);
    pair.run(4_000);
    pair.cut(1, true);
    pair.run(500);
    pair.cut(1, false);
    for (let i = 0; i < 150; i += 1) {
      pair.run(10);
      for (const lan of pair.lans) expect(lan.routers.some(({ role }) => role === 'active' || role === 'draining')).toBe(true);
    }
    expect(pair.actives).toEqual(here(1));
  });

  interface Incident {
    readonly what: 'crash' | 'start' | 'fault' | 'repair' | 'drain' | 'undrain' | 'lower' | 'lift' | 'cut' | 'mend' | 'move';
    readonly gateway: number;
    readonly which: number;
    readonly afterMs: number;
  }

  function strike(pair: Pair, { what, gateway, which }: Incident): void {
    switch (what) {
      case 'crash': return pair.crash(gateway);
      case 'start': return pair.dispatch(gateway, { type: 'Startup' });
      case 'fault': return pair.dispatch(gateway, { type: 'FaultRaised' });
      case 'repair': return pair.dispatch(gateway, { type: 'FaultCleared' });
      case 'drain': return pair.dispatch(gateway, { type: 'Drain' });
      case 'undrain': return pair.dispatch(gateway, { type: 'Undrain' });
      case 'lower': return pair.dispatch(gateway, { type: 'PenaltyChanged', penalty: 150 });
      case 'lift': return pair.dispatch(gateway, { type: 'PenaltyChanged', penalty: 0 });
      case 'cut': return pair.cut(which, true);
      case 'mend': return pair.cut(which, false);
      // One role alone, by whatever means.
      case 'move': return pair.dispatch(gateway, { type: 'Yield' }, which);
    }
  }

  it('whatever happened, all end up in one place, and stay there', () => {
    const incident = fc.record<Incident>({
      what: fc.constantFrom('crash', 'start', 'fault', 'repair', 'drain', 'undrain', 'lower', 'lift', 'cut', 'mend', 'move'),
      gateway: fc.nat(1), which: fc.nat(2), afterMs: fc.nat(600),
    });
    const priorities = fc.constantFrom<[number, number]>([100, 200], [200, 100], [100, 100], [254, 253]);
    fc.assert(fc.property(fc.array(incident, { maxLength: 12 }), priorities, fc.boolean(), (incidents, both, preempt) => {
      const pair = new Pair(both, preempt);
      pair.run(3_000);
      for (const each of incidents) {
        strike(pair, each);
        pair.run(each.afterMs);
      }
      for (const what of ['repair', 'undrain', 'start', 'mend'] as const) for (const gateway of [0, 1]) for (const which of [0, 1, 2]) strike(pair, { what, gateway, which, afterMs: 0 });
      pair.run(5_000);
      expect(pair.actives.map((each) => each.length)).toEqual([1, 1, 1]);
      expect(new Set(pair.actives.flat()).size).toBe(1);
      const moves = pair.lans.map((lan) => lan.transitions.length);
      pair.run(3_000);
      expect(pair.lans.map((lan) => lan.transitions.length)).toEqual(moves);
    }), { numRuns: 100 });
  });
});
