/**
 * RFC 9568 §6.4, sentence by sentence. `must` rows show that the sentence is kept;
 * `mustNot` rows show the neighbouring case in which the same thing may not happen,
 * so that a machine which always does it fails too.
 */
import { describe, expect, it } from 'vitest';
import { step } from '../../../src/vrrp/machine.js';
import type { Event, Machine, StateName } from '../../../src/vrrp/state.js';
import { active, advert, backup, expiry, initialize, lines, settledActive } from './machines.js';

interface Row {
  readonly given: Machine;
  readonly event: Event | ((machine: Machine) => Event);
  readonly state: StateName;
  readonly effects: readonly string[];
}

interface Requirement {
  readonly section: string;
  readonly says: string;
  readonly must: Row;
  readonly mustNot: Row;
}

const becomesActive = (priority: number): string[] => [
  'SetRole active 1',
  `SendAdvertisement ${priority}`,
  'SendGratuitousArp',
];

const yields = (activeDownUs: number, reason: string): string[] => [
  'SetRole draining',
  'CancelTimer Adver',
  'CancelTimer GratuitousArp',
  `StartTimer ActiveDown ${activeDownUs}`,
  'StartTimer Linger 500000',
  `Active > Backup (${reason})`,
];

const requirements: readonly Requirement[] = [
  {
    section: '6.4.1',
    says: 'Startup, Priority = 255: send an ADVERTISEMENT, gratuitous ARP, set the Adver_Timer, transition to Active',
    must: {
      given: initialize({ priority: 255 }),
      event: { type: 'Startup' },
      state: 'Active',
      effects: [
        ...becomesActive(255),
        'StartTimer Adver 1000000',
        'StartTimer GratuitousArp 2000000',
        'Initialize > Active (owner-startup)',
      ],
    },
    mustNot: {
      given: initialize({ priority: 254 }),
      event: { type: 'Startup' },
      state: 'Backup',
      effects: ['SetRole backup', 'StartTimer ActiveDown 3007812', 'Initialize > Backup (startup)'],
    },
  },
  {
    section: '6.4.1',
    says: 'Startup, not the owner: set Active_Adver_Interval to Advertisement_Interval and the Active_Down_Timer to Active_Down_Interval, transition to Backup',
    must: {
      given: initialize(),
      event: { type: 'Startup' },
      state: 'Backup',
      effects: ['SetRole backup', 'StartTimer ActiveDown 3609375', 'Initialize > Backup (startup)'],
    },
    mustNot: {
      given: backup(),
      event: { type: 'Startup' },
      state: 'Backup',
      effects: [],
    },
  },
  {
    section: '6.4.1',
    says: 'Initialize: adverts are not acted upon before a Startup event',
    must: { given: initialize(), event: advert(0), state: 'Initialize', effects: [] },
    mustNot: { given: backup(), event: advert(0), state: 'Backup', effects: ['StartTimer ActiveDown 609375'] },
  },
  {
    section: '6.4.2',
    says: 'Backup, Shutdown: cancel the Active_Down_Timer, transition to Initialize',
    must: {
      given: backup(),
      event: { type: 'Shutdown' },
      state: 'Initialize',
      effects: ['CancelTimer ActiveDown', 'SetRole initialize', 'Backup > Initialize (shutdown)', 'Stopped'],
    },
    // Only an Active resigns with priority 0: a Backup's would make the others elect for nothing.
    mustNot: { given: initialize(), event: { type: 'Shutdown' }, state: 'Initialize', effects: ['Stopped'] },
  },
  {
    section: '6.4.2',
    says: 'Active_Down_Timer fires: send an ADVERTISEMENT, gratuitous ARP, set the Adver_Timer to Advertisement_Interval, transition to Active',
    must: {
      given: backup(),
      event: (machine) => expiry(machine, 'ActiveDown'),
      state: 'Active',
      effects: [
        ...becomesActive(100),
        'CancelTimer ActiveDown',
        'StartTimer Adver 1000000',
        'StartTimer GratuitousArp 2000000',
        'Backup > Active (active-silent)',
      ],
    },
    mustNot: {
      given: backup(),
      event: { type: 'ActiveDownTimerExpired', generation: 0 },
      state: 'Backup',
      effects: [],
    },
  },
  {
    section: '6.4.2',
    says: 'Priority zero: set the Active_Down_Timer to Skew_Time',
    must: { given: backup(), event: advert(0), state: 'Backup', effects: ['StartTimer ActiveDown 609375'] },
    mustNot: { given: backup(), event: advert(255), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
  },
  {
    section: '6.4.2',
    says: 'Priority greater than or equal to the local Priority: adopt the interval, recompute Skew_Time and Active_Down_Interval, reset the Active_Down_Timer',
    must: {
      given: backup(),
      event: advert(101, '10.9.0.1', 100_000),
      state: 'Backup',
      effects: ['StartTimer ActiveDown 360937'],
    },
    mustNot: { given: backup(), event: advert(99, '10.9.0.1', 100_000), state: 'Backup', effects: [] },
  },
  {
    section: '6.4.2',
    says: 'Equal Priority is authoritative whatever the addresses are',
    must: { given: backup(), event: advert(100, '10.9.0.1'), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
    // The tie-break by address is the Active's alone.
    mustNot: {
      given: active(),
      event: advert(100, '10.9.0.1'),
      state: 'Active',
      effects: ['SendAdvertisement 100'],
    },
  },
  {
    section: '6.4.2',
    says: 'Preempt_Mode False: lower priorities are authoritative too',
    must: {
      given: backup({ preempt: false }),
      event: advert(1),
      state: 'Backup',
      effects: ['StartTimer ActiveDown 3609375'],
    },
    // §6.1: the owner always preempts, independent of the setting of this flag.
    mustNot: { given: backup({ preempt: false, priority: 255 }), event: advert(254), state: 'Backup', effects: [] },
  },
  {
    section: '6.4.2',
    says: 'Preempt_Mode True and a lower Priority: discard the ADVERTISEMENT',
    must: { given: backup(), event: advert(99), state: 'Backup', effects: [] },
    mustNot: { given: backup(), event: advert(100), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
  },
  {
    section: '6.4.3',
    says: 'Active, Shutdown: cancel the Adver_Timer, send an ADVERTISEMENT with Priority = 0, leave the Active state',
    must: {
      given: active(),
      event: { type: 'Shutdown' },
      state: 'HandingOver',
      effects: [
        'SetRole draining',
        'SendAdvertisement 0',
        'CancelTimer Adver',
        'CancelTimer GratuitousArp',
        'StartTimer HandOver 2000000',
        'StartTimer Adver 1500000',
        'Active > HandingOver (shutdown)',
      ],
    },
    mustNot: {
      given: backup(),
      event: { type: 'Shutdown' },
      state: 'Initialize',
      effects: ['CancelTimer ActiveDown', 'SetRole initialize', 'Backup > Initialize (shutdown)', 'Stopped'],
    },
  },
  {
    section: '6.4.3',
    says: 'Adver_Timer fires: send an ADVERTISEMENT, reset the Adver_Timer to Advertisement_Interval',
    must: {
      given: active(),
      event: (machine) => expiry(machine, 'Adver'),
      state: 'Active',
      effects: ['SendAdvertisement 100', 'StartTimer Adver 1000000'],
    },
    mustNot: { given: active(), event: { type: 'AdverTimerExpired', generation: 0 }, state: 'Active', effects: [] },
  },
  {
    section: '6.4.3',
    says: 'Active, Priority zero: send an ADVERTISEMENT, reset the Adver_Timer',
    must: { given: active(), event: advert(0), state: 'Active', effects: ['SendAdvertisement 100', 'StartTimer Adver 1000000'] },
    // A Backup sends nothing, ever.
    mustNot: { given: backup(), event: advert(0), state: 'Backup', effects: ['StartTimer ActiveDown 609375'] },
  },
  {
    section: '6.4.3',
    says: 'Active, greater Priority: cancel the Adver_Timer, adopt the interval, set the Active_Down_Timer to Active_Down_Interval, transition to Backup',
    must: {
      given: active(),
      event: advert(101, '10.9.0.1', 100_000),
      state: 'Backup',
      effects: yields(360_937, 'higher-priority'),
    },
    mustNot: { given: active(), event: advert(99), state: 'Active', effects: ['SendAdvertisement 100'] },
  },
  {
    section: '6.4.3',
    says: 'Active, equal Priority: yield if the sender\'s primary address is greater, compared as an unsigned integer in network byte order',
    must: {
      // 200.… is negative as a signed number, and its last byte is the smaller one.
      given: active(),
      event: advert(100, '200.9.0.1'),
      state: 'Backup',
      effects: yields(3_609_375, 'higher-address'),
    },
    mustNot: { given: active(), event: advert(100, '10.8.255.255'), state: 'Active', effects: ['SendAdvertisement 100'] },
  },
  {
    section: '6.4.3',
    says: 'Active, otherwise: discard the ADVERTISEMENT and send one immediately, to assert the Active state and to teach bridges',
    must: {
      given: settledActive(),
      event: advert(99),
      state: 'Active',
      effects: ['SendAdvertisement 100', 'SendGratuitousArp', 'StartTimer GratuitousArp 2000000'],
    },
    mustNot: { given: backup(), event: advert(99), state: 'Backup', effects: [] },
  },
];

describe.each(requirements)('RFC 9568 §$section: $says', ({ must, mustNot }) => {
  it.each([
    ['must', must],
    ['must not', mustNot],
  ])('%s', (_, row) => {
    const event = typeof row.event === 'function' ? row.event(row.given) : row.event;
    const { machine, effects } = step(row.given, event);
    expect({ state: machine.state.name, effects: lines(effects) }).toEqual({ state: row.state, effects: row.effects });
  });
});
