import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterProbe, judge, unknownHealth } from '../../../src/gateway/tracking.js';
import type { Health, Tracked, TrackState } from '../../../src/gateway/tracking.js';

const tracked = (state: TrackState, weight?: number): Tracked => ({ name: 'link ens5', state, weight });

describe('judge', () => {
  it.each<[string, Tracked[], ReturnType<typeof judge>]>([
    ['nothing', [], { faulty: false, undecided: false, penalty: 0 }],
    ['all up', [tracked('up'), tracked('up', 20)], { faulty: false, undecided: false, penalty: 0 }],
    ['down without a weight', [tracked('down'), tracked('up', 20)], { faulty: true, undecided: false, penalty: 0 }],
    ['down with a weight', [tracked('up'), tracked('down', 20)], { faulty: false, undecided: false, penalty: 20 }],
    ['several down', [tracked('down', 5), tracked('down', 20), tracked('down')], { faulty: true, undecided: false, penalty: 25 }],
    ['unknown without a weight', [tracked('unknown'), tracked('up')], { faulty: false, undecided: true, penalty: 0 }],
    ['unknown with a weight', [tracked('unknown', 20)], { faulty: false, undecided: false, penalty: 0 }],
    ['more than a priority has', [tracked('down', 200), tracked('down', 200)], { faulty: false, undecided: false, penalty: 253 }],
  ])('%s', (_, given, judgement) => {
    expect(judge(given)).toEqual(judgement);
  });
});

describe('afterProbe', () => {
  const patience = { rise: 2, fall: 3 };
  const states = (results: readonly boolean[], from: Health = unknownHealth): TrackState[] => {
    let health = from;
    return results.map((succeeded) => (health = afterProbe(health, succeeded, patience)).state);
  };

  it('believes the first success, and not the first failure', () => {
    expect(states([true])).toEqual(['up']);
    expect(states([false, false, false, true])).toEqual(['unknown', 'unknown', 'down', 'down']);
    expect(states([false, false, true])).toEqual(['unknown', 'unknown', 'up']);
  });

  it('falls after as many failures in a row as it is told, and rises likewise', () => {
    expect(states([true, false, false, false, true, true])).toEqual(['up', 'up', 'up', 'down', 'down', 'up']);
  });

  it('starts over when the row is broken', () => {
    expect(states([true, false, false, true, false, false, false])).toEqual(['up', 'up', 'up', 'up', 'up', 'up', 'down']);
    expect(states([false, true, false, true, true], { state: 'down', contradictions: 0 })).toEqual(['down', 'down', 'down', 'down', 'up']);
  });

  it('with 1 and 1 is what was seen last', () => {
    fc.assert(fc.property(fc.array(fc.boolean(), { minLength: 1 }), (results) => {
      const last = results.reduce((health, succeeded) => afterProbe(health, succeeded, { rise: 1, fall: 1 }), unknownHealth);
      expect(last).toEqual({ state: results.at(-1) === true ? 'up' : 'down', contradictions: 0 });
    }));
  });
});
