/** What the election does beyond RFC 9568: synchronisation, terms, resume, hand-over, linger, stale timers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runningTimers, step } from '../../../src/vrrp/machine.js';
import type { Event, Machine } from '../../../src/vrrp/state.js';
import {
  active,
  advert,
  backup,
  baseConfig,
  expiry,
  generationOf,
  handingOver,
  initialize,
  lines,
  run,
  settledActive,
  startedTimers,
} from './machines.js';

const effectsOf = (machine: Machine, event: Event): string[] => lines(step(machine, event).effects);

describe('Backup/lower priority/not synchronised', () => {
  const waiting = backup({ synchronised: false });

  it('follows the Active instead of preempting it', () => {
    expect(effectsOf(waiting, advert(1))).toEqual(['StartTimer ActiveDown 3609375']);
  });

  it('takes over from a silent Active all the same', () => {
    expect(run(waiting, (m) => expiry(m, 'ActiveDown')).state.name).toBe('Active');
  });

  it('takes over from an Active that resigned, after Skew_Time', () => {
    expect(effectsOf(waiting, advert(0))).toEqual(['StartTimer ActiveDown 609375']);
  });

  it('preempts once it is synchronised', () => {
    const synchronised = run(waiting, advert(1), { type: 'SynchronisedChanged', synchronised: true });
    const { machine, effects } = step(synchronised, advert(1));
    expect(effects).toEqual([]);
    expect(lines(step(machine, expiry(machine, 'ActiveDown')).effects)).toContain('Backup > Active (preempting)');
  });

  it('does not preempt when synchronisation is lost while the timer already runs', () => {
    const lost = run(backup(), advert(1), { type: 'SynchronisedChanged', synchronised: false });
    expect(effectsOf(lost, expiry(lost, 'ActiveDown'))).toEqual(['StartTimer ActiveDown 3609375']);
  });

  it('holds an owner back too', () => {
    const owner = initialize({ priority: 255, synchronised: false });
    expect(run(owner, { type: 'Startup' }).state.name).toBe('Backup');
  });
});

describe('Backup/lower priority/preempt delay', () => {
  const patient = run(backup({ preemptDelayUs: 5_000_000 }), advert(50));

  it('starts the delay at the first lower-priority advert, and follows meanwhile', () => {
    const first = step(backup({ preemptDelayUs: 5_000_000 }), advert(50));
    expect(lines(first.effects)).toEqual(['StartTimer PreemptDelay 5000000', 'StartTimer ActiveDown 3609375']);
    expect(effectsOf(patient, advert(50))).toEqual(['StartTimer ActiveDown 3609375']);
  });

  it('discards adverts when the delay is over', () => {
    const due = run(patient, (m) => expiry(m, 'PreemptDelay'));
    expect(effectsOf(due, advert(50))).toEqual([]);
  });

  it('never delays taking over from a dead Active', () => {
    expect(effectsOf(patient, expiry(patient, 'ActiveDown'))).toContain('Backup > Active (active-silent)');
  });

  it('starts anew after an advert of a higher priority', () => {
    const { machine, effects } = step(patient, advert(200));
    expect(lines(effects)).toEqual(['CancelTimer PreemptDelay', 'StartTimer ActiveDown 3609375']);
    expect(effectsOf(machine, advert(50))).toContain('StartTimer PreemptDelay 5000000');
  });
});

describe('Active/transition', () => {
  it('tells the data plane first, then the routers, then the hosts', () => {
    const effects = effectsOf(backup(), expiry(backup(), 'ActiveDown'));
    expect(effects.slice(0, 3)).toEqual(['SetRole active 1', 'SendAdvertisement 100', 'SendGratuitousArp']);
  });

  it('announces again after 2 s, then at the refresh interval', () => {
    const machine = active();
    const repeated = step(machine, expiry(machine, 'GratuitousArp'));
    expect(lines(repeated.effects)).toEqual(['SendGratuitousArp', 'StartTimer GratuitousArp 60000000']);
    expect(effectsOf(repeated.machine, expiry(repeated.machine, 'GratuitousArp'))).toEqual(lines(repeated.effects));
  });

  it('announces no more than twice without a refresh interval', () => {
    const machine = active({ gratuitousArpRefreshUs: 0 });
    expect(effectsOf(machine, expiry(machine, 'GratuitousArp'))).toEqual(['SendGratuitousArp']);
  });

  it('announces once, not with every advert, while another router insists', () => {
    const contested = step(settledActive(), advert(1));
    expect(lines(contested.effects)).toContain('SendGratuitousArp');
    expect(effectsOf(contested.machine, advert(1))).toEqual(['SendAdvertisement 100']);
  });
});

describe('Active/terms', () => {
  it('outranks every takeover heard of', () => {
    const machine = run(backup(), { type: 'TermSeen', term: 41 });
    expect(effectsOf(machine, expiry(machine, 'ActiveDown'))[0]).toBe('SetRole active 42');
  });

  it('ignores a lower term than one seen', () => {
    const machine = run(backup(), { type: 'TermSeen', term: 41 }, { type: 'TermSeen', term: 7 });
    expect(machine.highestTerm).toBe(41);
  });

  it.each([
    ['its next advert', (m: Machine) => expiry(m, 'Adver')],
    ['asserting itself', () => advert(1)],
  ])('raises its term with %s when the other side of a split took over meanwhile', (_, event) => {
    const machine = run(active(), { type: 'TermSeen', term: 9 });
    expect(effectsOf(machine, event(machine))[0]).toBe('SetRole active 10');
    expect(effectsOf(active(), event(active()))[0]).toBe('SendAdvertisement 100');
  });
});

describe('Initialize/Startup/resume', () => {
  it('goes on as Active in the same term', () => {
    const { machine, effects } = step(initialize(), { type: 'Startup', resume: { term: 7 } });
    expect(machine.state).toMatchObject({ name: 'Active', term: 7 });
    expect(lines(effects)[0]).toBe('SetRole active 7');
    expect(machine.highestTerm).toBe(7);
  });

  it('does not while drained', () => {
    const machine = run(initialize(), { type: 'Drain' });
    expect(run(machine, { type: 'Startup', resume: { term: 7 } }).state.name).toBe('Initialize');
  });
});

describe('Active/another router wins', () => {
  const loser = run(active(), advert(200));

  it('forwards stragglers for the linger, then no more', () => {
    expect(effectsOf(active(), advert(200))[0]).toBe('SetRole draining');
    expect(effectsOf(loser, expiry(loser, 'Linger'))).toEqual(['SetRole backup']);
  });

  it('is ready to take over again during the linger', () => {
    const { machine, effects } = step(loser, expiry(loser, 'ActiveDown'));
    expect(lines(effects)).toEqual(expect.arrayContaining(['SetRole active 2', 'CancelTimer Linger']));
    expect(generationOf(machine, 'Linger')).toBeUndefined();
  });

  it('finishes the linger when it is stopped meanwhile', () => {
    const leaving = step(loser, { type: 'Shutdown' });
    expect(leaving.machine.state.name).toBe('HandingOver');
    expect(lines(leaving.effects)).not.toContain('SetRole initialize');
    expect(effectsOf(leaving.machine, expiry(leaving.machine, 'Linger'))).toEqual([
      'CancelTimer HandOver',
      'SetRole initialize',
      'HandingOver > Initialize (handed-over)',
      'Stopped',
    ]);
  });
});

describe('HandingOver/Shutdown', () => {
  const leaving = handingOver();

  it('waits for the successor, then lingers, then stops', () => {
    const heard = step(leaving, advert(50));
    expect(lines(heard.effects)).toEqual(['CancelTimer Adver', 'StartTimer Linger 500000']);
    expect(effectsOf(heard.machine, advert(50))).toEqual([]);
    expect(effectsOf(heard.machine, expiry(heard.machine, 'Linger')).slice(-1)).toEqual(['Stopped']);
  });

  it('does not take another resignation for a successor', () => {
    expect(effectsOf(leaving, advert(0))).toEqual([]);
  });

  it('repeats the resignation until then, more slowly than any Skew_Time', () => {
    const { machine, effects } = step(leaving, expiry(leaving, 'Adver'));
    expect(lines(effects)).toEqual(['SendAdvertisement 0', 'StartTimer Adver 1500000']);
    expect(runningTimers(run(machine, advert(50)).state)).not.toContain('Adver');
  });

  it('stops at the limit though nobody follows', () => {
    expect(effectsOf(leaving, expiry(leaving, 'HandOver'))).toEqual([
      'CancelTimer Adver',
      'SetRole initialize',
      'HandingOver > Initialize (no-successor)',
      'Stopped',
    ]);
  });
});

describe('HandingOver/Drain', () => {
  const draining = handingOver({}, { type: 'Drain' });

  it('stays out of the election once handed over, however silent it gets', () => {
    const drained = run(draining, advert(50), (m) => expiry(m, 'Linger'));
    expect(drained.state.name).toBe('Initialize');
    expect(effectsOf(drained, advert(0))).toEqual([]);
    expect(run(drained, { type: 'Startup' }).state.name).toBe('Initialize');
    expect(run(drained, { type: 'Undrain' }).state.name).toBe('Backup');
  });

  it('stays Active if there is nobody to hand over to', () => {
    const { machine, effects } = step(draining, expiry(draining, 'HandOver'));
    expect(lines(effects)[0]).toBe('SetRole active 2');
    expect(machine.holds.drained).toBe(false);
  });

  it('takes the role back when it is undrained before a successor is heard', () => {
    expect(run(draining, { type: 'Undrain' }).state.name).toBe('Active');
  });

  it('becomes Backup when it is undrained after a successor is heard', () => {
    expect(run(draining, advert(50), { type: 'Undrain' }).state.name).toBe('Backup');
  });

  it('stops, though nobody followed, when the process is told to', () => {
    const both = run(draining, { type: 'Shutdown' });
    expect(effectsOf(both, expiry(both, 'HandOver'))).toContain('Stopped');
  });
});

describe('faults', () => {
  it('resign an Active and keep it out until they are cleared', () => {
    const faulty = handingOver({}, { type: 'FaultRaised' });
    const out = run(faulty, (m) => expiry(m, 'HandOver'));
    expect(out.state.name).toBe('Initialize');
    expect(run(out, { type: 'FaultCleared' }).state.name).toBe('Backup');
  });

  it('and drains are independent: both must be cleared', () => {
    const both = run(backup(), { type: 'FaultRaised' }, { type: 'Drain' }, { type: 'FaultCleared' });
    expect(both.state.name).toBe('Initialize');
    expect(run(both, { type: 'Undrain' }).state.name).toBe('Backup');
  });
});

describe('Active/was silent', () => {
  const slept = run(active(), { type: 'WasSilent' });

  it('yields to whoever is Active now, even of lower priority', () => {
    expect(effectsOf(slept, advert(1))).toContain('Active > Backup (was-silent)');
    expect(run(active(), advert(1)).state.name).toBe('Active');
  });

  it('goes on if nobody is', () => {
    const { machine, effects } = step(slept, expiry(slept, 'Adver'));
    expect(lines(effects)).toEqual(['SendAdvertisement 100', 'StartTimer Adver 1000000']);
    expect(run(machine, advert(1)).state.name).toBe('Active');
  });
});

describe('ConfigChanged', () => {
  it('is advertised at once by an Active', () => {
    const config = { ...baseConfig, priority: 150 };
    expect(effectsOf(active(), { type: 'ConfigChanged', config })).toEqual(['SendAdvertisement 150', 'StartTimer Adver 1000000']);
  });

  it('makes no noise when nothing audible changed', () => {
    expect(effectsOf(active(), { type: 'ConfigChanged', config: { ...baseConfig, lingerUs: 1 } })).toEqual([]);
  });

  it('decides about the next advert in a Backup', () => {
    const machine = run(backup(), { type: 'ConfigChanged', config: { ...baseConfig, priority: 10 } });
    expect(effectsOf(machine, advert(50))).toEqual(['StartTimer ActiveDown 3960937']);
  });
});

describe('Yield', () => {
  it('resigns, and makes a Backup of us once somebody follows', () => {
    const { machine, effects } = step(active(), { type: 'Yield' });
    expect(lines(effects).slice(0, 2)).toEqual(['SetRole draining', 'SendAdvertisement 0']);
    expect(lines(effects)).toContain('Active > HandingOver (sync-group)');
    const followed = step(machine, advert(50));
    expect(lines(followed.effects)).toEqual([
      'SetRole draining', 'CancelTimer Adver', 'CancelTimer HandOver', 'StartTimer ActiveDown 3609375', 'StartTimer Linger 500000', 'HandingOver > Backup (handed-over)',
    ]);
    expect(lines(step(followed.machine, expiry(followed.machine, 'Linger')).effects)).toEqual(['SetRole backup']);
  });

  it('takes the role back when nobody follows', () => {
    const yielding = run(active(), { type: 'Yield' });
    expect(effectsOf(yielding, expiry(yielding, 'HandOver'))).toContain('HandingOver > Active (no-successor)');
  });

  it('is nothing to who is not Active', () => {
    for (const machine of [initialize(), backup(), handingOver()]) expect(effectsOf(machine, { type: 'Yield' })).toEqual([]);
  });
});

describe('Drain/forced', () => {
  const drained = run(active(), { type: 'Drain', forced: true });

  it('ends without a successor, too', () => {
    const { machine, effects } = step(drained, expiry(drained, 'HandOver'));
    expect(lines(effects)).toEqual(['CancelTimer Adver', 'SetRole initialize', 'HandingOver > Initialize (no-successor)']);
    expect(run(machine, { type: 'Undrain' }).state.name).toBe('Backup');
  });

  it('is taken back by an ordinary one that follows it', () => {
    const again = run(drained, { type: 'Undrain' }, { type: 'Drain' });
    expect(run(again, (machine) => expiry(machine, 'HandOver')).state.name).toBe('Active');
  });
});

describe('PenaltyChanged', () => {
  const penalty = (points: number): Event => ({ type: 'PenaltyChanged', penalty: points });

  it('lowers what an Active advertises, at once, and is taken back at once', () => {
    const { machine, effects } = step(active(), penalty(30));
    expect(lines(effects)).toEqual(['SendAdvertisement 70', 'StartTimer Adver 1000000']);
    expect(effectsOf(machine, penalty(0))).toEqual(['SendAdvertisement 100', 'StartTimer Adver 1000000']);
  });

  it('makes an Active yield to who is better now', () => {
    const lowered = run(active(), penalty(30));
    expect(effectsOf(lowered, advert(80))).toContain('Active > Backup (higher-priority)');
    expect(run(lowered, advert(60)).state.name).toBe('Active');
  });

  it('says nothing when nothing changes', () => {
    expect(effectsOf(run(active(), penalty(30)), penalty(30))).toEqual([]);
    expect(effectsOf(backup(), penalty(30))).toEqual([]);
  });

  it('never reaches 0, which would be a resignation', () => {
    expect(effectsOf(active(), penalty(100))).toEqual(['SendAdvertisement 1', 'StartTimer Adver 1000000']);
    expect(effectsOf(active(), penalty(254))).toEqual(['SendAdvertisement 1', 'StartTimer Adver 1000000']);
  });

  it('leaves the owner what it is', () => {
    const owner = active({ priority: 255 });
    expect(effectsOf(owner, penalty(30))).toEqual([]);
    expect(run(owner, penalty(30), advert(254)).state.name).toBe('Active');
  });

  it('makes a Backup follow whom it would have preempted', () => {
    const lowered = run(backup(), penalty(30));
    expect(effectsOf(lowered, advert(80))).toEqual(['StartTimer ActiveDown 3726562']);
    expect(effectsOf(lowered, advert(0))).toEqual(['StartTimer ActiveDown 726562']);
  });

  it('ends a preemption that is under way', () => {
    const preempting = run(backup(), advert(80));
    const { machine, effects } = step(preempting, penalty(30));
    expect(lines(effects)).toEqual(['StartTimer ActiveDown 3726562']);
    expect(step(machine, expiry(preempting, 'ActiveDown')).effects).toEqual([]);
    expect(lines(step(machine, expiry(machine, 'ActiveDown')).effects)).toContain('Backup > Active (active-silent)');
  });

  it('does not put off the succession of an Active that has resigned', () => {
    const succeeding = run(backup(), advert(80), advert(0));
    const { machine, effects } = step(succeeding, penalty(30));
    expect(effects).toEqual([]);
    expect(lines(step(machine, expiry(machine, 'ActiveDown')).effects)).toContain('Backup > Active (active-resigned)');
  });

  it('lets a Backup succeed a silent Active, however low', () => {
    expect(run(backup(), penalty(254), (m) => expiry(m, 'ActiveDown')).state.name).toBe('Active');
  });

  it('stays when the configuration changes', () => {
    const config = { ...baseConfig, priority: 150 };
    expect(effectsOf(run(active(), penalty(30)), { type: 'ConfigChanged', config })).toEqual(['SendAdvertisement 120', 'StartTimer Adver 1000000']);
  });
});

describe('timers', () => {
  const anyEvent = fc.oneof(
    fc.constantFrom<Event>(
      { type: 'Startup' },
      { type: 'Startup', resume: { term: 3 } },
      { type: 'Shutdown' },
      { type: 'Drain' },
      { type: 'Drain', forced: true },
      { type: 'Yield' },
      { type: 'Undrain' },
      { type: 'FaultRaised' },
      { type: 'FaultCleared' },
      { type: 'WasSilent' },
    ),
    fc.constantFrom(0, 1, 99, 254).map<Event>((penalty) => ({ type: 'PenaltyChanged', penalty })),
    fc.boolean().map<Event>((synchronised) => ({ type: 'SynchronisedChanged', synchronised })),
    fc.nat(20).map<Event>((term) => ({ type: 'TermSeen', term })),
    fc
      .record({ priority: fc.constantFrom(0, 1, 99, 100, 101, 255), intervalUs: fc.constantFrom(10_000, 1_000_000), source: fc.nat() })
      .map<Event>((fields) => ({ type: 'AdvertisementReceived', ...fields })),
    fc
      .record({
        timer: fc.constantFrom('Adver', 'ActiveDown', 'GratuitousArp', 'Linger', 'PreemptDelay', 'HandOver'),
        generation: fc.nat(40),
      })
      .map<Event>(({ timer, generation }) => ({ type: `${timer}TimerExpired`, generation }) as Event),
  );
  const walk = fc.record({
    events: fc.array(anyEvent, { maxLength: 60 }),
    preempt: fc.boolean(),
    preemptDelayUs: fc.constantFrom(0, 5_000_000),
    priority: fc.constantFrom(1, 100, 255),
  });

  it('running outside are exactly those that the state owns, by generation', () => {
    fc.assert(
      fc.property(walk, ({ events, ...config }) => {
        let machine = initialize({ ...config, synchronised: false });
        const outside = new Map<string, number>();
        for (const event of events) {
          const match = /^(\w+)TimerExpired$/.exec(event.type);
          // An expiry ends the timer outside, if it is that one.
          if (match && 'generation' in event && outside.get(match[1]!) === event.generation) outside.delete(match[1]!);
          const { machine: next, effects } = step(machine, event);
          for (const effect of effects) {
            if (effect.type === 'StartTimer') outside.set(effect.timer, effect.generation);
            if (effect.type === 'CancelTimer') outside.delete(effect.timer);
          }
          const owned = runningTimers(next.state).map((timer) => [timer, generationOf(next, timer)]);
          expect(Object.fromEntries(outside)).toEqual(Object.fromEntries(owned));
          machine = next;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('of a generation that the state does not own change nothing', () => {
    fc.assert(
      fc.property(walk, ({ events, ...config }) => {
        const machine = run(initialize({ ...config, synchronised: false }), ...events);
        for (const timer of ['Adver', 'ActiveDown', 'GratuitousArp', 'Linger', 'PreemptDelay', 'HandOver'] as const) {
          const stale = { type: `${timer}TimerExpired`, generation: machine.generation + 1 } as Event;
          expect(step(machine, stale)).toEqual({ machine, effects: [] });
        }
      }),
    );
  });

  it('are started with positive whole microseconds', () => {
    fc.assert(
      fc.property(walk, ({ events, ...config }) => {
        let machine = initialize({ ...config, synchronised: false });
        for (const event of events) {
          const { machine: next, effects } = step(machine, event);
          for (const { afterUs } of startedTimers(effects)) expect(Number.isInteger(afterUs) && afterUs > 0).toBe(true);
          machine = next;
        }
      }),
    );
  });
});

describe('step', () => {
  it('changes neither the machine nor the event that it is given', () => {
    const machine = active();
    const copy = structuredClone(machine);
    step(machine, advert(200));
    step(machine, { type: 'Shutdown' });
    expect(machine).toEqual(copy);
  });
});
