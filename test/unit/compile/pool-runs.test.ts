import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignRuns } from '../../../src/compile/pool-runs.js';
import type { Runs } from '../../../src/compile/pool-runs.js';

const ADDRESSES = 64;
const SIZE = 16 * ADDRESSES;

/** Who has which addresses, by turns: all of them together no more than there are. */
const history = fc.array(
  fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.integer({ min: 0, max: 32 })), { maxLength: 8 }).map((parts) => {
    let next = 0;
    return new Map(parts.map(([router, count]) => [router, Array.from({ length: Math.min(count, ADDRESSES - next) }, () => next++)]));
  }),
  { maxLength: 30 },
);

describe('pool runs', () => {
  it('any history/all fit, and none is written over what is read now', () => {
    fc.assert(
      fc.property(history, (steps) => {
        let previous: Runs = new Map();
        for (const wanted of steps) {
          const runs = assignRuns(previous, wanted, SIZE);
          expect(new Map([...runs].map(([router, { members }]) => [router, members]))).toEqual(new Map([...wanted].filter(([, members]) => members.length > 0)));
          const live = new Map([...previous, ...runs].map(([, run]) => [run, run]));
          const entries = [...new Set([...previous.values(), ...live.values()])].flatMap(({ first, members }) => members.map((_, offset) => first + offset));
          expect(new Set(entries).size).toBe(entries.length);
          previous = runs;
        }
      }),
    );
  });

  it('the same members/the same run; others/another one', () => {
    const first = assignRuns(new Map(), new Map([['a', [0, 1]], ['b', [2]]]), SIZE);
    const second = assignRuns(first, new Map([['a', [0, 1]], ['b', [2, 3]]]), SIZE);
    expect(second.get('a')).toBe(first.get('a'));
    expect(second.get('b')).toEqual({ first: 3, members: [2, 3] });
    expect(assignRuns(second, new Map([['b', [4]]]), SIZE).get('b')).toEqual({ first: 2, members: [4] });
  });

  it('no room/refused', () => {
    expect(() => assignRuns(new Map(), new Map([['a', [0, 1, 2]]]), 2)).toThrow('a run of 3 does not fit into 2 entries');
  });
});
