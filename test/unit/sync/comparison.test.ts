/**
 * Two comparison machines, their tables as sets of items, and a link that loses,
 * repeats, delays and reorders whatever crosses it: messages, records, answers.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPARISON_DEFAULTS, initialComparisonState, stepComparison } from '../../../src/sync/comparison.js';
import type { ComparisonConfig, ComparisonEffect, ComparisonEvent, ComparisonState } from '../../../src/sync/comparison.js';
import { decodeMessage, encodeMessage, SEGMENTS } from '../../../src/sync/messages.js';
import type { Compare, Digests, Message, Repair } from '../../../src/sync/messages.js';
import { fuzzRuns } from '../../support/fuzz.js';

const MS = 1_000_000n;
const STEP_MS = 20n;
/** How long a walk takes. */
const WALK_MS = 60n;

/** An item is a number; its segment is that modulo SEGMENTS. */
class Gateway {
  readonly config: ComparisonConfig;
  readonly items: Set<number>;
  readonly active: boolean;
  state: ComparisonState;
  settled = true;
  sent = 0n;
  acknowledged = 0n;
  readonly doubted = new Set<number>();
  readonly told: ComparisonEffect[] = [];
  readonly messages: Message[] = [];
  /** Records of a repair, that go out one by one. */
  readonly records: number[] = [];
  #walks: { endsMs: bigint; end: () => void }[] = [];
  nowMs = 1000n;

  constructor(id: number, items: readonly number[], active: boolean) {
    this.config = { ...COMPARISON_DEFAULTS, id, seed: id === 0 ? 'a'.repeat(16) : 'b'.repeat(16), instance: 1000 + id };
    this.items = new Set(items);
    this.active = active;
    this.state = initialComparisonState(this.config);
  }

  tick(nowMs: bigint): void {
    this.nowMs = nowMs;
    const due = this.#walks.filter(({ endsMs }) => endsMs <= nowMs);
    this.#walks = this.#walks.filter(({ endsMs }) => endsMs > nowMs);
    for (const { end } of due) end();
    this.step({ type: 'Polled', reading: { nowNs: nowMs * MS, settled: this.settled, active: this.active, sent: this.sent, acknowledged: this.acknowledged } });
  }

  receive(message: Message): void {
    // Through its encoding, as on the wire.
    const decoded = decodeMessage(encodeMessage(message)) as Compare | Digests | Repair;
    this.step({ type: 'MessageReceived', nowNs: this.nowMs * MS, message: decoded });
  }

  step(event: ComparisonEvent): void {
    const { state, effects } = stepComparison(this.config, this.state, event);
    this.state = state;
    for (const effect of effects) this.#execute(effect);
  }

  digests(): string[] {
    const sums = Array.from({ length: SEGMENTS }, () => 0n);
    for (const item of this.items) sums[item % SEGMENTS] = (sums[item % SEGMENTS]! + BigInt(item + 1) * 0x9e37_79b9_7f4a_7c15n) & ((1n << 64n) - 1n);
    return sums.map((sum) => sum.toString(16).padStart(16, '0'));
  }

  #after(end: () => void): void {
    this.#walks.push({ endsMs: this.nowMs + WALK_MS, end });
  }

  #execute(effect: ComparisonEffect): void {
    this.told.push(effect);
    const within = (segments: readonly number[]): number[] => [...this.items].filter((item) => segments.includes(item % SEGMENTS));
    if (effect.type === 'SendMessage') this.messages.push(effect.message);
    if (effect.type === 'StopWalks') this.#walks = [];
    if (effect.type === 'StartDigestWalk') this.#after(() => this.step({ type: 'DigestWalkEnded', nowNs: this.nowMs * MS, digests: this.digests() }));
    if (effect.type === 'StartRepairWalk') {
      this.records.push(...within(effect.segments));
      this.#after(() => this.step({ type: 'RepairWalkEnded', nowNs: this.nowMs * MS }));
    }
    if (effect.type === 'StartService') {
      if (effect.step === 'doubt') for (const item of within(effect.segments)) this.doubted.add(item);
      if (effect.step === 'sweep') for (const item of within(effect.segments)) if (this.doubted.has(item)) this.items.delete(item);
      this.#after(() => this.step({ type: 'ServiceEnded', step: effect.step }));
    }
  }

  verdict(): string {
    return this.state.verdict.kind;
  }
}

type Crossing = { readonly atMs: bigint; readonly deliver: () => void };

class Pair {
  readonly a: Gateway;
  readonly b: Gateway;
  nowMs = 1000n;
  /** 0 to 1: how much is lost, repeated, delayed. */
  faults = 0;
  #crossing: Crossing[] = [];
  readonly #random: () => number;

  constructor(a: Gateway, b: Gateway, random: () => number) {
    [this.a, this.b] = [a, b];
    this.#random = random;
  }

  run(ms: bigint, each: () => void = () => undefined): void {
    for (const until = this.nowMs + ms; this.nowMs < until; this.nowMs += STEP_MS) {
      each();
      for (const [from, to] of [[this.a, this.b], [this.b, this.a]] as const) {
        from.tick(this.nowMs);
        for (const message of from.messages.splice(0)) this.#cross(() => to.receive(message));
        for (const item of from.records.splice(0)) this.#sendRecord(from, to, item);
      }
      const due = this.#crossing.filter(({ atMs }) => atMs <= this.nowMs);
      this.#crossing = this.#crossing.filter(({ atMs }) => atMs > this.nowMs);
      for (const { deliver } of due) deliver();
    }
  }

  #sendRecord(from: Gateway, to: Gateway, item: number): void {
    from.sent += 1n;
    let answered = false;
    this.#cross(() => {
      // What the Active has ended meanwhile its delete follows; here nothing does but the next round.
      to.items.add(item);
      to.doubted.delete(item);
      this.#cross(() => {
        // The replay window lets one answer through.
        if (!answered) from.acknowledged += 1n;
        answered = true;
      });
    });
  }

  #cross(deliver: () => void): void {
    if (this.#random() < this.faults) return;
    const late = this.#random() < this.faults ? BigInt(Math.floor(this.#random() * 500)) : 0n;
    this.#crossing.push({ atMs: this.nowMs + late, deliver });
    if (this.#random() < this.faults) this.#crossing.push({ atMs: this.nowMs + late + 40n, deliver });
  }
}

const seeded = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const pairOf = (ours: readonly number[], theirs: readonly number[], seed = 1, active: 'a' | 'b' = 'a'): Pair =>
  new Pair(new Gateway(0, ours, active === 'a'), new Gateway(1, theirs, active === 'b'), seeded(seed));
const told = (gateway: Gateway, type: ComparisonEffect['type']): number => gateway.told.filter((effect) => effect.type === type).length;

describe('a comparison', () => {
  it('of the same is equal on both, after one round', () => {
    const pair = pairOf([1, 2, 3000], [3000, 2, 1]);
    pair.run(1000n);
    expect([pair.a.verdict(), pair.b.verdict()]).toEqual(['Equal', 'Equal']);
    expect(told(pair.a, 'StartDigestWalk')).toBe(1);
    expect(told(pair.a, 'VerdictChanged')).toBe(1);
  });

  it('goes on at its interval', () => {
    const pair = pairOf([1], [1]);
    pair.run(25_000n);
    expect(told(pair.a, 'StartDigestWalk')).toBe(3);
    expect(told(pair.b, 'StartDigestWalk')).toBe(3);
  });

  it.each(['a', 'b'] as const)('finds what is missing and what is too much, and repairs it, where %s is Active', (active) => {
    const pair = pairOf([1, 2, 3, 4], [3, 4, 5, 6 + SEGMENTS], 1, active);
    const authority = [...(active === 'a' ? pair.a : pair.b).items];
    pair.run(4000n);
    expect([...pair.a.items].sort()).toEqual(authority.sort());
    expect([...pair.b.items].sort()).toEqual(authority.sort());
    expect([pair.a.verdict(), pair.b.verdict()]).toEqual(['Equal', 'Equal']);
    expect(told(active === 'a' ? pair.a : pair.b, 'RepairEnded')).toBe(1);
    expect(told(active === 'a' ? pair.b : pair.a, 'RepairEnded')).toBe(0);
  });

  it('takes what changes all the time for no difference, and what does not for equal', () => {
    const pair = pairOf([], []);
    let item = 0;
    // Both hold it, the standby a moment later: in every round it is on its way.
    pair.run(40_000n, () => {
      pair.b.items.delete(SEGMENTS * (item - 1));
      pair.b.items.add(SEGMENTS * item);
      item += 1;
      pair.a.items.delete(SEGMENTS * (item - 1));
      pair.a.items.add(SEGMENTS * item);
    });
    expect(told(pair.a, 'RepairEnded')).toBe(0);
    expect(pair.a.verdict()).toBe('Unknown');
  });

  it('where nobody is Active changes nothing, and says so', () => {
    const pair = new Pair(new Gateway(0, [1], false), new Gateway(1, [2], false), seeded(1));
    pair.run(10_000n);
    expect([pair.a.verdict(), pair.b.verdict()]).toEqual(['Different', 'Different']);
    expect([...pair.b.items]).toEqual([2]);
  });

  it('that a repair cannot help is repaired more and more rarely', () => {
    const pair = pairOf([1], []);
    pair.run(120_000n, () => pair.b.items.clear());
    expect(told(pair.a, 'RepairEnded')).toBeLessThan(9);
    expect(told(pair.a, 'RepairEnded')).toBeGreaterThan(3);
    expect(pair.a.verdict()).toBe('Different');
  });

  it('ends with a silence, and is not known then', () => {
    const pair = pairOf([1], [2]);
    pair.run(1500n);
    for (const gateway of [pair.a, pair.b]) gateway.settled = false;
    pair.run(100n);
    expect([pair.a.verdict(), pair.b.verdict()]).toEqual(['Unknown', 'Unknown']);
    expect(pair.a.state.repairing.kind).toBe('Idle');
  });

  it('never sweeps what was not doubted for the same repair', () => {
    const b = new Gateway(1, [1, 2], false);
    const sweep = { type: 'repair', repair: 7, step: 'sweep', seed: 'a'.repeat(16), segments: [1, 2], done: false } as const;
    b.receive(sweep);
    b.receive({ ...sweep, step: 'doubt', repair: 6 });
    b.tick(2000n);
    b.receive(sweep);
    expect([...b.items]).toEqual([1, 2]);
  });
});

describe('over any link', () => {
  const items = fc.uniqueArray(fc.nat(5000), { maxLength: 60 });
  it('what the Active holds is never lost, and both are equal once the faults end', () => {
    fc.assert(
      fc.property(items, items, items, fc.constantFrom('a' as const, 'b' as const), fc.nat(), fc.double({ min: 0, max: 0.5, noNaN: true }), (common, ours, theirs, active, seed, faults) => {
        const pair = pairOf([...common, ...ours], [...common, ...theirs], seed, active);
        const authority = active === 'a' ? pair.a : pair.b;
        const wanted = [...authority.items].sort();
        pair.faults = faults;
        pair.run(8_000n, () => expect([...authority.items].sort()).toEqual(wanted));
        pair.faults = 0;
        pair.run(90_000n);
        expect([...pair.a.items].sort()).toEqual(wanted);
        expect([...pair.b.items].sort()).toEqual(wanted);
        expect([pair.a.verdict(), pair.b.verdict()]).toEqual(['Equal', 'Equal']);
      }),
      { numRuns: fuzzRuns(20) },
    );
  });
});
