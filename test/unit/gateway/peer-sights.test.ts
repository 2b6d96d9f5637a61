import { describe, expect, it } from 'vitest';
import { areHeard, hasDied, noteStrangers, sightOf, TOGETHER_NS, WORD_LOST_NS, type Answers, type Strangers } from '../../../src/gateway/peer-sights.js';
import { virtualRouterState } from '../../../src/dataplane/layout.generated.js';
import type { SyncPath } from '../../../src/sync/frame.js';

const NOW = 1_000_000_000_000n;
const answersOf = (ways: readonly SyncPath[], roles: readonly bigint[] = [0n, 0n, 0n, 0n]): Answers => ({ answering: new Set(ways), roles });
const view = { vrid: 51, state: virtualRouterState.active, term: 7, penalty: 30 };
const known = { answers: answersOf(['ha', 'underlay'], [1n << 51n, 0n, 0n, 1n << 63n]), address: 0xc0a8210c, heard: { view, atNs: NOW }, nowNs: NOW };

describe('sightOf', () => {
  it('has each of its parts', () => {
    expect(sightOf(known, { vrid: 51, penalty: 0, id: 0 })).toEqual({
      address: 0xc0a8210c, answersOnHa: true, answersOnUnderlay: true, isActive: true, word: { isActive: true, term: 7, fitness: 'worse', winsTies: false },
    });
  });

  it.each([[51, true], [50, false], [255, true], [191, false], [1, false]])('finds the bit of VRID %i', (vrid, isActive) => {
    expect(sightOf(known, { vrid, penalty: 0, id: 0 }).isActive).toBe(isActive);
  });

  it.each([[0, 'worse'], [30, 'equal'], [256, 'better']])('against a penalty of our own of %i the peer is %s', (penalty, fitness) => {
    expect(sightOf(known, { vrid: 51, penalty, id: 0 }).word?.fitness).toBe(fitness);
  });

  it('lets one of the two win ties', () => {
    expect([0, 1].map((id) => sightOf(known, { vrid: 51, penalty: 0, id }).word?.winsTies)).toEqual([false, true]);
  });

  it('says nothing of roles that are not told, or that nobody stands for any more', () => {
    expect(sightOf({ ...known, answers: { ...answersOf(['ha']), roles: undefined } }, { vrid: 51, penalty: 0, id: 0 })).not.toHaveProperty('isActive');
    expect(sightOf({ ...known, answers: answersOf([], [1n << 51n, 0n, 0n, 0n]) }, { vrid: 51, penalty: 0, id: 0 })).not.toHaveProperty('isActive');
  });

  it('forgets the word of a control plane that says nothing any more', () => {
    expect(sightOf({ ...known, nowNs: NOW + WORD_LOST_NS - 1n }, { vrid: 51, penalty: 0, id: 0 })).toHaveProperty('word');
    expect(sightOf({ ...known, nowNs: NOW + WORD_LOST_NS }, { vrid: 51, penalty: 0, id: 0 })).not.toHaveProperty('word');
  });

  it('has no address before it was told one', () => {
    expect(sightOf({ ...known, address: 0 }, { vrid: 51, penalty: 0, id: 0 })).not.toHaveProperty('address');
  });
});

describe('hasDied', () => {
  const lately = [NOW - 6_000_000n, NOW - 8_000_000n];
  const nobody: Strangers = { count: 7n, heardNs: undefined };

  it('when the last of its ways falls silent, and the others did so just now', () => {
    expect(hasDied(answersOf(['ha']), answersOf([]), lately, nobody, NOW)).toBe(true);
    expect(hasDied(answersOf(['ha', 'underlay']), answersOf([]), lately, nobody, NOW)).toBe(true);
  });

  it.each<[string, Answers, Answers, readonly bigint[]]>([
    ['while one is left', answersOf(['ha', 'underlay']), answersOf(['ha']), lately],
    ['a second time', answersOf([]), answersOf([]), lately],
    ['where the other was lost long before', answersOf(['ha']), answersOf([]), [NOW - 6_000_000n, NOW - TOGETHER_NS]],
    ['where there never was another', answersOf(['ha']), answersOf([]), [NOW - 6_000_000n, 0n]],
  ])('not %s', (_, before, now, answeredNs) => {
    expect(hasDied(before, now, answeredNs, nobody, NOW)).toBe(false);
  });

  it('not where somebody sends under another key, for that may be the peer', () => {
    const strangers = noteStrangers(nobody, 8n, NOW);
    expect(hasDied(answersOf(['ha', 'underlay']), answersOf([]), lately, strangers, NOW)).toBe(false);
    expect(hasDied(answersOf(['ha', 'underlay']), answersOf([]), lately.map((at) => at + 1_000_000_000n), strangers, NOW + 1_000_000_000n), 'long after the last of them').toBe(true);
  });
});

describe('strangers', () => {
  const quiet: Strangers = { count: 7n, heardNs: undefined };

  it('are heard while there are more and more of them, and half a second longer', () => {
    const heard = noteStrangers(quiet, 8n, NOW);
    expect([NOW, NOW + 499_999_999n, NOW + 500_000_000n].map((nowNs) => areHeard(noteStrangers(heard, 8n, nowNs), nowNs))).toEqual([true, true, false]);
  });

  it('of before we looked are nobody', () => {
    expect(areHeard(noteStrangers(quiet, 7n, NOW), NOW)).toBe(false);
  });
});
