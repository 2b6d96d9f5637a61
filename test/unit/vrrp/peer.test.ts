/** What the election makes of what is known of the peer beside its adverts: src/vrrp/peer.ts and its part of machine.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../src/vrrp/ipv4.js';
import { step } from '../../../src/vrrp/machine.js';
import { isFenced, isFencing, reasonToDefer, unknownPeer, type PeerSight, type PeerWord } from '../../../src/vrrp/peer.js';
import type { Event, Machine } from '../../../src/vrrp/state.js';
import { active, advert, backup, expiry, handingOver, lines, run } from './machines.js';

const address = parseIpv4('10.9.0.1');
const third = '10.9.0.3';
const word = (change: Partial<PeerWord> = {}): PeerWord => ({ isActive: true, term: 1, fitness: 'equal', winsTies: false, ...change });
/** Alive on both ways, and Active. */
const alive = (change: Partial<PeerSight> = {}): PeerSight => ({ address, answersOnHa: true, answersOnUnderlay: true, isActive: true, word: word(), ...change });
/** The underlay between us carries nothing. */
const cut = (change: Partial<PeerWord> = {}): PeerSight => alive({ answersOnUnderlay: false, word: word(change) });
const silent: PeerSight = { address, answersOnHa: false, answersOnUnderlay: false };
const stopped: PeerSight = { address, answersOnHa: true, answersOnUnderlay: true, isActive: true };
const seen = (peer: PeerSight, died = false): Event => ({ type: 'PeerSeen', peer, died });
const effectsOf = (machine: Machine, event: Event): string[] => lines(step(machine, event).effects);
const transitionOf = (machine: Machine, event: Event): string | undefined => effectsOf(machine, event).find((line) => line.includes(' > '));
/** Follows the peer's adverts, at a priority below it. */
const following = (peer: PeerSight = alive(), source = '10.9.0.1'): Machine => run(backup(), advert(200, source), seen(peer));
const overdue = (peer: PeerSight): Machine => run(following(peer), (m) => expiry(m, 'ActiveDown'));

describe('Backup/the peer falls silent on all ways at once', () => {
  it('takes over at once, whose adverts it followed', () => {
    expect(transitionOf(following(), seen(silent, true))).toBe('Backup > Active (peer-silent)');
    expect(run(following(), seen(silent, true)).state).toMatchObject({ name: 'Active', term: 1 });
  });

  it('waits for the Active_Down_Timer where another router is Active', () => {
    expect(effectsOf(following(alive({ isActive: false }), third), seen(silent, true))).toEqual([]);
  });

  it('waits for it where no advert was heard', () => {
    expect(effectsOf(run(backup(), seen(alive())), seen(silent, true))).toEqual([]);
  });

  it('waits for it where the ways were lost one after the other', () => {
    const machine = run(following(), seen(alive({ answersOnUnderlay: false })));
    expect(effectsOf(machine, seen(silent))).toEqual([]);
    expect(transitionOf(run(machine, seen(silent)), expiry(machine, 'ActiveDown'))).toBe('Backup > Active (active-silent)');
  });

  it('a single way that is lost changes nothing', () => {
    for (const one of [alive({ answersOnHa: false }), alive({ answersOnUnderlay: false })]) expect(effectsOf(following(), seen(one))).toEqual([]);
  });

  it.each([['holding back to preempt', advert(50)], ['after a resignation', advert(0)]])('takes over also %s', (_, last) => {
    expect(transitionOf(run(following(), last), seen(silent, true))).toBe('Backup > Active (peer-silent)');
  });
});

describe('Backup/no adverts, and the peer\'s programs say that it is Active', () => {
  it.each<[string, PeerSight]>([
    ['its process is stopped', stopped],
    ['adverts alone get lost', alive()],
    ['on the underlay alone', alive({ answersOnHa: false })],
  ])('%s: does not take over, and looks again after an interval', (_, peer) => {
    const machine = following(peer);
    expect(effectsOf(machine, expiry(machine, 'ActiveDown'))).toEqual(['NoteDeferral peer-is-active', 'StartTimer ActiveDown 1000000']);
    const again = overdue(peer);
    expect(effectsOf(again, expiry(again, 'ActiveDown'))).toEqual(['StartTimer ActiveDown 1000000']);
  });

  it('takes over the moment that its lease ends', () => {
    expect(transitionOf(overdue(stopped), seen({ ...stopped, isActive: false }))).toBe('Backup > Active (active-silent)');
  });

  it('takes over the moment that it falls silent, also one way after the other', () => {
    const half = run(overdue(stopped), seen({ ...stopped, answersOnHa: false }));
    expect(half.state.name).toBe('Backup');
    expect(transitionOf(half, seen(silent))).toBe('Backup > Active (active-silent)');
  });

  it('goes on as ever with the next advert', () => {
    const heard = run(overdue(alive()), advert(200));
    expect(heard.state).not.toHaveProperty('deferred');
    expect(effectsOf(heard, seen(alive({ isActive: false })))).toEqual(['StartTimer ActiveDown 609375']);
  });

  it('a version that does not tell is left to VRRP', () => {
    const { isActive: _, ...untold } = alive();
    const machine = following(untold);
    expect(transitionOf(machine, expiry(machine, 'ActiveDown'))).toBe('Backup > Active (active-silent)');
  });

  it('preempts and succeeds one that resigned all the same', () => {
    for (const [last, reason] of [[advert(50), 'preempting'], [advert(0), 'active-resigned']] as const) {
      const machine = run(following(), last);
      expect(transitionOf(machine, expiry(machine, 'ActiveDown'))).toBe(`Backup > Active (${reason})`);
    }
  });
});

describe('Backup/the peer stands down', () => {
  it.each<[string, PeerSight]>([
    ['its lease has ended', alive({ isActive: false })],
    ['its underlay is dead, and the ha link tells', cut({ isActive: false })],
  ])('%s: Skew_Time, as by an advert of priority 0', (_, peer) => {
    const after = { ...peer, isActive: false };
    expect(effectsOf(following(), seen(after))).toEqual(['StartTimer ActiveDown 609375']);
    const machine = run(following(), seen(after));
    expect(transitionOf(machine, expiry(machine, 'ActiveDown'))).toBe('Backup > Active (active-resigned)');
  });

  it('an earlier version\'s word counts where its programs tell nothing', () => {
    const old = (isActive: boolean): PeerSight => ({ address, answersOnHa: true, answersOnUnderlay: false, word: word({ isActive }) });
    expect(effectsOf(following(old(true)), seen(old(false)))).toEqual(['StartTimer ActiveDown 609375']);
  });

  it('does not concern us where a third router has followed it', () => {
    const machine = run(following(), advert(220, third));
    expect(effectsOf(machine, seen(alive({ isActive: false })))).toEqual([]);
  });

  it('nor twice', () => {
    const machine = run(following(), advert(0));
    expect(effectsOf(machine, seen(alive({ isActive: false })))).toEqual([]);
  });
});

describe('the underlay is cut, and the ha link tells that the peer is Active', () => {
  it('takes over from one that is less fit', () => {
    const machine = following(cut({ fitness: 'worse' }));
    expect(transitionOf(machine, expiry(machine, 'ActiveDown'))).toBe('Backup > Active (peer-cut-off)');
  });

  it.each(['equal', 'better'] as const)('not from one that is %s', (fitness) => {
    const machine = following(cut({ fitness }));
    expect(effectsOf(machine, expiry(machine, 'ActiveDown'))).toEqual(['NoteDeferral underlay-cut', 'StartTimer ActiveDown 1000000']);
    expect(transitionOf(overdue(cut({ fitness })), seen(cut({ fitness: 'worse' })))).toBe('Backup > Active (peer-cut-off)');
  });

  it('not while its control plane says nothing: its lease ends', () => {
    const machine = following({ address, answersOnHa: true, answersOnUnderlay: false, isActive: true });
    expect(effectsOf(machine, expiry(machine, 'ActiveDown'))[0]).toBe('NoteDeferral peer-is-active');
  });

  it('one that was fenced stays Backup until it hears an advert', () => {
    const fenced = run(active(), seen(cut({ term: 2, fitness: 'worse' })));
    expect(effectsOf(fenced, expiry(fenced, 'ActiveDown'))[0]).toBe('NoteDeferral underlay-cut');
    const heard = run(fenced, advert(200), (m) => expiry(m, 'ActiveDown'));
    expect(heard.state.name).toBe('Active');
  });

  it('one that was fenced takes over when the peer falls silent, or stands down', () => {
    const fenced = run(active(), seen(cut({ term: 2 })), (m) => expiry(m, 'ActiveDown'));
    expect(transitionOf(fenced, seen(silent, true))).toBe('Backup > Active (active-silent)');
    expect(transitionOf(fenced, seen(alive({ isActive: false, answersOnUnderlay: false })))).toBe('Backup > Active (active-silent)');
  });
});

describe('Active/the peer is Active too', () => {
  const stepsDown = ['SetRole draining', 'CancelTimer Adver', 'CancelTimer GratuitousArp', 'StartTimer ActiveDown 3609375', 'StartTimer Linger 500000', 'Active > Backup (fenced)'];

  it('in a later term: steps down at once where no adverts arrive, and forwards stragglers', () => {
    expect(effectsOf(active(), seen(cut({ term: 2 })))).toEqual(stepsDown);
  });

  it('in a later term: leaves it to the adverts where they arrive, steps down rather than send one, and outbids no term', () => {
    const machine = run(active(), seen(alive({ word: word({ term: 2 }) })), { type: 'TermSeen', term: 2 });
    expect(transitionOf(machine, advert(200))).toBe('Active > Backup (higher-priority)');
    expect(effectsOf(machine, advert(50))).toEqual(['SendAdvertisement 100']);
    expect(effectsOf(machine, expiry(machine, 'Adver'))).toEqual(stepsDown);
  });

  it('one that yields to it takes over again should it yield as well', () => {
    const machine = run(active(), seen(alive({ word: word({ term: 2 }) })), advert(200));
    expect(effectsOf(machine, seen(alive({ isActive: false })))).toEqual(['StartTimer ActiveDown 609375']);
  });

  it('in an earlier term: takes no notice of its adverts, whatever their priority, for it is about to step down', () => {
    const machine = run(active(), { type: 'TermSeen', term: 4 }, (m) => expiry(m, 'Adver'), seen(alive({ word: word({ term: 4 }) })));
    expect(machine.state).toMatchObject({ name: 'Active', term: 5 });
    expect(effectsOf(machine, advert(255))).toEqual([]);
    expect(effectsOf(machine, advert(50))).toEqual([]);
    expect(transitionOf(machine, advert(255, third))).toBe('Active > Backup (higher-priority)');
  });

  it('yields to it by priority where it does not hear us on the ha link', () => {
    const machine = run(active(), { type: 'TermSeen', term: 4 }, (m) => expiry(m, 'Adver'), seen(alive({ answersOnHa: false, word: word({ term: 4 }) })));
    expect(transitionOf(machine, advert(255))).toBe('Active > Backup (higher-priority)');
  });

  it.each<[string, PeerSight, boolean]>([
    ['adverts decide where they arrive', alive(), false],
    ['the fitter one stays', cut({ fitness: 'worse' }), false],
    ['the less fit one goes', cut({ fitness: 'better' }), true],
    ['of equals, one', cut({ winsTies: true }), true],
    ['and the other not', cut({ winsTies: false }), false],
  ])('in the same term: %s', (_, peer, goes) => {
    expect(run(active(), seen(peer)).state.name).toBe(goes ? 'Backup' : 'Active');
  });

  it('a peer that is Backup fences nobody, whatever term it knows', () => {
    expect(run(active(), seen(alive({ isActive: false, word: word({ isActive: false, term: 9 }) }))).state.name).toBe('Active');
  });
});

describe('HandingOver', () => {
  it('hears its successor on the ha link where no advert arrives', () => {
    expect(effectsOf(handingOver(), seen(cut({ term: 2 })))).toEqual(['CancelTimer Adver', 'StartTimer Linger 500000']);
  });

  it('not in an earlier term', () => {
    expect(effectsOf(run(handingOver(), { type: 'TermSeen', term: 3 }), seen(cut({ term: 2 })))).toEqual([]);
  });
});

const anySight: fc.Arbitrary<PeerSight> = fc.record({
  address: fc.constant(address),
  answersOnHa: fc.boolean(),
  answersOnUnderlay: fc.boolean(),
  isActive: fc.boolean(),
  word: fc.record({ isActive: fc.boolean(), term: fc.integer({ min: 1, max: 4 }), fitness: fc.constantFrom('better', 'equal', 'worse'), winsTies: fc.boolean() }),
}, { requiredKeys: ['address', 'answersOnHa', 'answersOnUnderlay'] }) as fc.Arbitrary<PeerSight>;

describe('whatever is seen', () => {
  it('two Actives that see each other never both step down, nor both refuse to', () => {
    const opposite = { better: 'worse', equal: 'equal', worse: 'better' } as const;
    fc.assert(fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.constantFrom('better', 'equal', 'worse'), fc.boolean(), (a, b, fitness, tie) => {
      const ofB = cut({ term: b, fitness, winsTies: tie });
      const ofA = cut({ term: a, fitness: opposite[fitness], winsTies: !tie });
      expect(isFenced(ofB, a)).toBe(!isFenced(ofA, b));
      expect(isFencing({ ...ofB, answersOnUnderlay: true }, a, address)).toBe(isFenced({ ...ofA, answersOnUnderlay: true }, b));
    }));
  });

  it('a takeover is put off only by programs that answer and say that they are Active', () => {
    fc.assert(fc.property(anySight, fc.boolean(), (peer, followed) => {
      if (reasonToDefer(peer, followed) === undefined) return;
      expect(peer.answersOnHa || peer.answersOnUnderlay).toBe(true);
      expect(peer.isActive).toBe(true);
    }));
    expect(reasonToDefer(unknownPeer, true)).toBeUndefined();
  });

  it('what is seen in Initialize has no effect', () => {
    fc.assert(fc.property(anySight, fc.boolean(), (peer, died) => {
      const drained = run(backup(), { type: 'Drain' });
      expect(step(drained, seen(peer, died)).effects).toEqual([]);
    }));
  });
});
