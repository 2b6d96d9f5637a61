/**
 * RFC 3768 §6.4 (VRRP version 2), sentence by sentence, in its order. `must` rows show that
 * the sentence is kept; `mustNot` rows the neighbouring case in which the same thing may not
 * happen. What the RFC calls Master is Active here, as in RFC 9568.
 */
import { describe, expect, it } from 'vitest';
import { step } from '../../../src/vrrp/machine.js';
import type { Event, Machine, StateName } from '../../../src/vrrp/state.js';
import { active, advert, backup, expiry, initialize, lines, run, settledActive } from './machines.js';

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

const v2 = { version: 2 } as const;
/** Three seconds each, and a Skew_Time that does not grow with them. */
const slow = { ...v2, advertisementIntervalUs: 3_000_000 } as const;

const becomesActive = (priority: number): string[] => ['SetRole active 1', `SendAdvertisement ${priority}`, 'SendGratuitousArp'];

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
    section: '6.1',
    says: 'Skew_Time is (256 - Priority) / 256 seconds whatever the interval, Master_Down_Interval three intervals and that',
    must: { given: initialize(slow), event: { type: 'Startup' }, state: 'Backup', effects: ['SetRole backup', 'StartTimer ActiveDown 9609375', 'Initialize > Backup (startup)'] },
    mustNot: {
      given: initialize({ ...slow, version: 3 }),
      event: { type: 'Startup' },
      state: 'Backup',
      effects: ['SetRole backup', 'StartTimer ActiveDown 10828125', 'Initialize > Backup (startup)'],
    },
  },
  {
    section: '6.1',
    says: 'The owner always preempts, independent of Preempt_Mode',
    must: { given: backup({ ...v2, preempt: false, priority: 255 }), event: advert(254), state: 'Backup', effects: [] },
    mustNot: { given: backup({ ...v2, preempt: false }), event: advert(99), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
  },
  {
    section: '6.4.1',
    says: 'Startup, Priority = 255: send an ADVERTISEMENT, gratuitous ARP, set the Adver_Timer, transition to Master',
    must: {
      given: initialize({ ...v2, priority: 255 }),
      event: { type: 'Startup' },
      state: 'Active',
      effects: [...becomesActive(255), 'StartTimer Adver 1000000', 'StartTimer GratuitousArp 2000000', 'Initialize > Active (owner-startup)'],
    },
    mustNot: { given: initialize({ ...v2, priority: 254 }), event: { type: 'Startup' }, state: 'Backup', effects: ['SetRole backup', 'StartTimer ActiveDown 3007812', 'Initialize > Backup (startup)'] },
  },
  {
    section: '6.4.1',
    says: 'Startup, not the owner: set the Master_Down_Timer to Master_Down_Interval, transition to Backup',
    must: { given: initialize(v2), event: { type: 'Startup' }, state: 'Backup', effects: ['SetRole backup', 'StartTimer ActiveDown 3609375', 'Initialize > Backup (startup)'] },
    mustNot: { given: backup(v2), event: { type: 'Startup' }, state: 'Backup', effects: [] },
  },
  {
    section: '6.4.2',
    says: 'Backup, Shutdown: cancel the Master_Down_Timer, transition to Initialize',
    must: {
      given: backup(v2),
      event: { type: 'Shutdown' },
      state: 'Initialize',
      effects: ['CancelTimer ActiveDown', 'SetRole initialize', 'Backup > Initialize (shutdown)', 'Stopped'],
    },
    mustNot: { given: initialize(v2), event: { type: 'Shutdown' }, state: 'Initialize', effects: ['Stopped'] },
  },
  {
    section: '6.4.2',
    says: 'Master_Down_Timer fires: send an ADVERTISEMENT, gratuitous ARP, set the Adver_Timer to Advertisement_Interval, transition to Master',
    must: {
      given: backup(v2),
      event: (machine) => expiry(machine, 'ActiveDown'),
      state: 'Active',
      effects: [...becomesActive(100), 'CancelTimer ActiveDown', 'StartTimer Adver 1000000', 'StartTimer GratuitousArp 2000000', 'Backup > Active (active-silent)'],
    },
    mustNot: { given: backup(v2), event: { type: 'ActiveDownTimerExpired', generation: 0 }, state: 'Backup', effects: [] },
  },
  {
    section: '6.4.2',
    says: 'Priority zero: set the Master_Down_Timer to Skew_Time',
    must: { given: backup(slow), event: advert(0, '10.9.0.1', 3_000_000), state: 'Backup', effects: ['StartTimer ActiveDown 609375'] },
    mustNot: { given: backup(slow), event: advert(255, '10.9.0.1', 3_000_000), state: 'Backup', effects: ['StartTimer ActiveDown 9609375'] },
  },
  {
    section: '6.4.2',
    says: 'Preempt_Mode False, or Priority greater than or equal to the local Priority: reset the Master_Down_Timer to Master_Down_Interval',
    must: { given: backup({ ...v2, preempt: false }), event: advert(1), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
    mustNot: { given: backup(v2), event: advert(99), state: 'Backup', effects: [] },
  },
  {
    section: '6.4.2',
    says: 'Equal Priority is authoritative whatever the addresses are',
    must: { given: backup(v2), event: advert(100, '10.9.0.1'), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
    mustNot: { given: active(v2), event: advert(100, '10.9.0.1'), state: 'Active', effects: ['SendAdvertisement 100'] },
  },
  {
    section: '6.4.2',
    says: 'Otherwise: discard the ADVERTISEMENT',
    must: { given: backup(v2), event: advert(99), state: 'Backup', effects: [] },
    mustNot: { given: backup(v2), event: advert(100), state: 'Backup', effects: ['StartTimer ActiveDown 3609375'] },
  },
  {
    section: '6.4.3',
    says: 'Master, Shutdown: cancel the Adver_Timer, send an ADVERTISEMENT with Priority = 0, leave the Master state',
    must: {
      given: active(v2),
      event: { type: 'Shutdown' },
      state: 'HandingOver',
      effects: ['SetRole draining', 'SendAdvertisement 0', 'CancelTimer Adver', 'CancelTimer GratuitousArp', 'StartTimer HandOver 2000000', 'StartTimer Adver 1500000', 'Active > HandingOver (shutdown)'],
    },
    mustNot: {
      given: backup(v2),
      event: { type: 'Shutdown' },
      state: 'Initialize',
      effects: ['CancelTimer ActiveDown', 'SetRole initialize', 'Backup > Initialize (shutdown)', 'Stopped'],
    },
  },
  {
    section: '6.4.3',
    says: 'Adver_Timer fires: send an ADVERTISEMENT, reset the Adver_Timer to Advertisement_Interval',
    must: { given: active(v2), event: (machine) => expiry(machine, 'Adver'), state: 'Active', effects: ['SendAdvertisement 100', 'StartTimer Adver 1000000'] },
    mustNot: { given: active(v2), event: { type: 'AdverTimerExpired', generation: 0 }, state: 'Active', effects: [] },
  },
  {
    section: '6.4.3',
    says: 'Master, Priority zero: send an ADVERTISEMENT, reset the Adver_Timer',
    must: { given: active(v2), event: advert(0), state: 'Active', effects: ['SendAdvertisement 100', 'StartTimer Adver 1000000'] },
    mustNot: { given: backup(v2), event: advert(0), state: 'Backup', effects: ['StartTimer ActiveDown 609375'] },
  },
  {
    section: '6.4.3',
    says: 'Master, greater Priority: cancel the Adver_Timer, set the Master_Down_Timer to Master_Down_Interval, transition to Backup',
    must: { given: active(v2), event: advert(101), state: 'Backup', effects: yields(3_609_375, 'higher-priority') },
    mustNot: { given: active(v2), event: advert(99), state: 'Active', effects: ['SendAdvertisement 100'] },
  },
  {
    section: '6.4.3',
    says: 'Master, equal Priority: yield if the sender\'s primary address is greater',
    must: { given: active(v2), event: advert(100, '200.9.0.1'), state: 'Backup', effects: yields(3_609_375, 'higher-address') },
    mustNot: { given: active(v2), event: advert(100, '10.8.255.255'), state: 'Active', effects: ['SendAdvertisement 100'] },
  },
  {
    // RFC 3768 asks for no advert here, nor forbids one; RFC 9568 asks for it.
    section: '6.4.3',
    says: 'Master, otherwise: discard the ADVERTISEMENT',
    must: { given: settledActive(v2), event: advert(99), state: 'Active', effects: ['SendAdvertisement 100', 'SendGratuitousArp', 'StartTimer GratuitousArp 2000000'] },
    mustNot: { given: settledActive(v2), event: advert(101), state: 'Backup', effects: yields(3_609_375, 'higher-priority') },
  },
  {
    section: '7.1',
    says: 'The owner discards every ADVERTISEMENT',
    must: { given: settledActive({ ...v2, priority: 255 }), event: advert(255, '200.9.0.1'), state: 'Active', effects: [] },
    // Erratum 8298 of RFC 9568: two owners decide by their addresses, as everybody does.
    mustNot: { given: settledActive({ priority: 255 }), event: advert(255, '200.9.0.1'), state: 'Backup', effects: yields(3_003_906, 'higher-address') },
  },
  {
    section: '7.1',
    says: 'The owner discards a resignation too, and one that was silent for too long begins anew',
    must: { given: settledActive({ ...v2, priority: 255 }), event: advert(0), state: 'Active', effects: [] },
    mustNot: { given: run(settledActive({ ...v2, priority: 255 }), { type: 'WasSilent' }), event: advert(50), state: 'Backup', effects: yields(3_003_906, 'was-silent') },
  },
];

describe.each(requirements)('RFC 3768 §$section: $says', ({ must, mustNot }) => {
  it.each([
    ['must', must],
    ['must not', mustNot],
  ])('%s', (_, row) => {
    const event = typeof row.event === 'function' ? row.event(row.given) : row.event;
    const { machine, effects } = step(row.given, event);
    expect({ state: machine.state.name, effects: lines(effects) }).toEqual({ state: row.state, effects: row.effects });
  });
});
