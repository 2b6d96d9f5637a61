/**
 * Several machines on one simulated LAN, in virtual time: messages are delayed and
 * lost, timers run exactly. Everything is decided by the numbers that the caller
 * gives, so a failure replays.
 */
import { createMachine, step } from '../../../src/vrrp/machine.js';
import type { Effect, Event, Machine, MachineConfig, Role, TimerName, TransitionReason } from '../../../src/vrrp/state.js';

export interface Router {
  readonly name: string;
  machine: Machine;
  role: Role['role'];
  stopped: boolean;
}

export interface Transition {
  readonly atUs: number;
  readonly router: string;
  readonly reason: TransitionReason;
  readonly to: string;
  readonly synchronised: boolean;
  readonly term: number;
}

interface Occurrence {
  readonly atUs: number;
  readonly happen: () => void;
}

/** Whether a message gets through, and how long it takes. */
export type Fate = (from: string, to: string) => { lost: boolean; delayUs: number };

export class Lan {
  nowUs = 0;
  fate: Fate = () => ({ lost: false, delayUs: 100 });
  readonly routers: Router[] = [];
  readonly transitions: Transition[] = [];
  readonly #agenda: Occurrence[] = [];
  readonly #timers = new Map<string, number>();

  add(name: string, config: MachineConfig, synchronised: boolean): Router {
    const machine = createMachine(config, { synchronised });
    const router: Router = { name, machine, role: 'initialize', stopped: false };
    this.routers.push(router);
    return router;
  }

  at(atUs: number, happen: () => void): void {
    // Latest first, so that the next one is taken off the end; of two at one time, the later made waits.
    let low = 0;
    for (let high = this.#agenda.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.#agenda[middle]!.atUs > atUs) low = middle + 1;
      else high = middle;
    }
    this.#agenda.splice(low, 0, { atUs, happen });
  }

  /** The process dies: no word, no timer any more. */
  crash(router: Router): void {
    for (const key of [...this.#timers.keys()]) if (key.startsWith(`${router.name}/`)) this.#timers.delete(key);
    const { config, highestTerm } = router.machine;
    router.machine = createMachine(config, { synchronised: false, highestTerm });
    router.role = 'initialize';
  }

  dispatch(router: Router, event: Event): void {
    const { machine, effects } = step(router.machine, event);
    router.machine = machine;
    for (const effect of effects) this.#execute(router, effect);
  }

  runUntil(endUs: number): void {
    for (;;) {
      const next = this.#takeNext(endUs);
      if (next === undefined) break;
      this.nowUs = next.atUs;
      next.happen();
    }
    this.nowUs = endUs;
  }

  #takeNext(endUs: number): Occurrence | undefined {
    const next = this.#agenda.at(-1);
    return next !== undefined && next.atUs <= endUs ? this.#agenda.pop() : undefined;
  }

  #execute(router: Router, effect: Effect): void {
    switch (effect.type) {
      case 'SetRole': router.role = effect.role; return;
      case 'SendAdvertisement': return this.#multicast(router, effect.priority);
      case 'StartTimer': return this.#startTimer(router, effect.timer, effect.generation, effect.afterUs);
      case 'CancelTimer': this.#timers.delete(`${router.name}/${effect.timer}`); return;
      case 'RecordTransition': return this.#record(router, effect.to, effect.reason);
      case 'Stopped': router.stopped = true; return;
      case 'SendGratuitousArp': return;
    }
  }

  #record(router: Router, to: string, reason: TransitionReason): void {
    const { synchronised, highestTerm } = router.machine;
    this.transitions.push({ atUs: this.nowUs, router: router.name, to, reason, synchronised, term: highestTerm });
  }

  #startTimer(router: Router, timer: TimerName, generation: number, afterUs: number): void {
    const key = `${router.name}/${timer}`;
    this.#timers.set(key, generation);
    this.at(this.nowUs + afterUs, () => {
      if (this.#timers.get(key) !== generation) return;
      this.#timers.delete(key);
      this.dispatch(router, { type: `${timer}TimerExpired`, generation } as Event);
    });
  }

  #multicast(from: Router, priority: number): void {
    const { primaryAddress: source, advertisementIntervalUs: intervalUs } = from.machine.config;
    const term = from.machine.highestTerm;
    for (const to of this.routers) {
      if (to === from) continue;
      const { lost, delayUs } = this.fate(from.name, to.name);
      if (lost) continue;
      this.at(this.nowUs + delayUs, () => {
        // In the product terms travel with the session records and their acknowledgements, on another link.
        this.dispatch(to, { type: 'TermSeen', term });
        this.dispatch(from, { type: 'TermSeen', term: to.machine.highestTerm });
        this.dispatch(to, { type: 'AdvertisementReceived', priority, intervalUs, source });
      });
    }
  }
}
