/** Machines in each state, and effects as short lines, for the tests of src/vrrp/machine.ts. */
import { createMachine, step } from '../../../src/vrrp/machine.js';
import { parseIpv4 } from '../../../src/vrrp/ipv4.js';
import type { Effect, Event, Machine, MachineConfig, StartTimer, TimerName } from '../../../src/vrrp/state.js';

/** Skew_Time 609375 µs, Active_Down_Interval 3609375 µs. */
export const baseConfig: MachineConfig = {
  version: 3,
  priority: 100,
  advertisementIntervalUs: 1_000_000,
  primaryAddress: parseIpv4('10.9.0.2'),
  preempt: true,
  preemptDelayUs: 0,
  lingerUs: 500_000,
  handOverLimitUs: 2_000_000,
  gratuitousArpRepeatUs: 2_000_000,
  gratuitousArpRefreshUs: 60_000_000,
};

export interface Given extends Partial<MachineConfig> {
  readonly synchronised?: boolean;
}

export function initialize({ synchronised = true, ...config }: Given = {}): Machine {
  return createMachine({ ...baseConfig, ...config }, { synchronised });
}

/** Never through the owner's short cut, so that every priority can be put there. */
export function backup(given: Given = {}): Machine {
  const unsynchronised = step(initialize({ ...given, synchronised: false }), { type: 'Startup' }).machine;
  return step(unsynchronised, { type: 'SynchronisedChanged', synchronised: given.synchronised ?? true }).machine;
}

export function active(given: Given = {}): Machine {
  return run(backup(given), (machine) => expiry(machine, 'ActiveDown'));
}

/** Active whose announcement was repeated already. */
export function settledActive(given: Given = {}): Machine {
  return run(active(given), (machine) => expiry(machine, 'GratuitousArp'));
}

export function handingOver(given: Given = {}, event: Event = { type: 'Shutdown' }): Machine {
  return step(active(given), event).machine;
}

/** Applies events, each given as a value or computed from the machine so far. */
export function run(machine: Machine, ...events: (Event | ((machine: Machine) => Event))[]): Machine {
  return events.reduce((m, event) => step(m, typeof event === 'function' ? event(m) : event).machine, machine);
}

/** The expiry of the timer that the machine's state owns. */
export function expiry(machine: Machine, timer: TimerName): Event {
  const generation = generationOf(machine, timer);
  if (generation === undefined) throw new Error(`no ${timer} timer runs in ${machine.state.name}`);
  return { type: `${timer}TimerExpired`, generation } as Event;
}

export function generationOf({ state }: Machine, timer: TimerName): number | undefined {
  switch (timer) {
    case 'Adver': return 'adverTimer' in state ? state.adverTimer : undefined;
    case 'ActiveDown': return state.name === 'Backup' ? state.activeDownTimer : undefined;
    case 'GratuitousArp': return state.name === 'Active' ? state.gratuitousArp?.timer : undefined;
    case 'Linger': return 'lingerTimer' in state ? state.lingerTimer : undefined;
    case 'PreemptDelay': return state.name === 'Backup' && state.preemption?.phase === 'delayed' ? state.preemption.timer : undefined;
    case 'HandOver': return state.name === 'HandingOver' ? state.limitTimer : undefined;
  }
}

export function advert(priority: number, source = '10.9.0.1', intervalUs = 1_000_000): Event {
  return { type: 'AdvertisementReceived', priority, intervalUs, source: parseIpv4(source) };
}

/** One line per effect: `SetRole active 1`, `StartTimer Adver 1000000`, `Backup > Active (active-silent)`. */
export function lines(effects: readonly Effect[]): string[] {
  return effects.map((effect) => {
    switch (effect.type) {
      case 'SetRole': return `SetRole ${effect.role}${effect.role === 'active' ? ` ${effect.term}` : ''}`;
      case 'SendAdvertisement': return `SendAdvertisement ${effect.priority}`;
      case 'StartTimer': return `StartTimer ${effect.timer} ${effect.afterUs}`;
      case 'CancelTimer': return `CancelTimer ${effect.timer}`;
      case 'NoteDeferral': return `NoteDeferral ${effect.reason}`;
      case 'RecordTransition': return `${effect.from} > ${effect.to} (${effect.reason})`;
      case 'SendGratuitousArp':
      case 'Stopped': return effect.type;
    }
  });
}

export function startedTimers(effects: readonly Effect[]): StartTimer[] {
  return effects.filter((effect) => effect.type === 'StartTimer');
}
