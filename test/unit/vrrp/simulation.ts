/**
 * Several machines on one simulated LAN, in virtual time: messages are delayed and
 * lost, timers run exactly. Everything is decided by the numbers that the caller
 * gives, so a failure replays.
 */
import type { PeerWord } from '../../../src/vrrp/peer.js';
import { createMachine, step } from '../../../src/vrrp/machine.js';
import type { Effect, Event, Machine, MachineConfig, Role, TimerName, TransitionReason } from '../../../src/vrrp/state.js';

export interface Router {
  readonly name: string;
  machine: Machine;
  role: Role['role'];
  stopped: boolean;
  /** Its programs answer nobody. */
  isDead: boolean;
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

/** Two of the routers, as gateways of a pair: an ha link, and heartbeats on both ways. */
interface Peers {
  readonly routers: readonly [Router, Router];
  /** By the index of who hears. */
  readonly words: [PeerWord | undefined, PeerWord | undefined];
}

/** A beat and its answer, and what a hello takes. */
const BEAT_US = 2_000;
const SILENT_AFTER_US = 6_000;
const HELLO_US = 100_000;

/** Whether a message gets through, and how long it takes. */
export type Fate = (from: string, to: string) => { lost: boolean; delayUs: number };

export class Lan {
  nowUs = 0;
  fate: Fate = () => ({ lost: false, delayUs: 100 });
  readonly routers: Router[] = [];
  readonly transitions: Transition[] = [];
  /** Of a pair. */
  haIsUp = true;
  underlayIsUp = true;
  #peers: Peers | undefined;
  readonly #agenda: Occurrence[] = [];
  readonly #timers = new Map<string, number>();

  add(name: string, config: MachineConfig, synchronised: boolean): Router {
    const machine = createMachine(config, { synchronised });
    const router: Router = { name, machine, role: 'initialize', stopped: false, isDead: true };
    this.routers.push(router);
    return router;
  }

  /** The first two are gateways of a pair. Hellos go on until the end. */
  pair(): void {
    const [a, b] = this.routers;
    this.#peers = { routers: [a!, b!], words: [undefined, undefined] };
    const hello = (): void => {
      this.#sayHello(0);
      this.#sayHello(1);
      this.at(this.nowUs + HELLO_US, hello);
    };
    hello();
  }

  /** A way between the two of the pair is cut, or whole again: heartbeats tell. */
  setWays(ways: { readonly ha?: boolean; readonly underlay?: boolean }): void {
    this.haIsUp = ways.ha ?? this.haIsUp;
    this.underlayIsUp = ways.underlay ?? this.underlayIsUp;
    this.#answersChange();
    // A peer that appears is greeted at once.
    if (ways.ha === true) for (const index of [0, 1] as const) this.#sayHello(index);
  }

  /** What each of the pair sees of the other from now on, after the time that noticing takes. */
  #answersChange(): void {
    const lost = !this.haIsUp || !this.underlayIsUp || this.#peers?.routers.some(({ isDead }) => isDead);
    this.at(this.nowUs + (lost ? SILENT_AFTER_US : BEAT_US), () => this.#look());
  }

  #look(): void {
    this.#peers?.routers.forEach((router, index) => {
      const other = this.#peers!.routers[1 - index]!;
      if (router.isDead) return;
      const before = router.machine.peer;
      const [answersOnHa, answersOnUnderlay] = [this.haIsUp && !other.isDead, this.underlayIsUp && !other.isDead];
      const answers = answersOnHa || answersOnUnderlay;
      if (!answersOnHa) this.#peers!.words[index] = undefined;
      const word = this.#peers!.words[index];
      const peer = { address: other.machine.config.primaryAddress, answersOnHa, answersOnUnderlay, ...(answers && { isActive: other.role === 'active' }), ...(word && { word }) };
      this.dispatch(router, { type: 'PeerSeen', peer, died: !answers && before.answersOnHa && before.answersOnUnderlay });
    });
  }

  #sayHello(from: 0 | 1): void {
    const router = this.#peers?.routers[from];
    if (router === undefined || router.isDead || !this.haIsUp) return;
    const { state, highestTerm } = router.machine;
    const word: PeerWord = { isActive: router.role === 'active', term: state.name === 'Active' ? state.term : highestTerm, fitness: 'equal', winsTies: from === 0 };
    this.at(this.nowUs + 200, () => {
      const hearing = from === 0 ? 1 : 0;
      if (!this.haIsUp || this.#peers!.routers[hearing]!.isDead) return;
      this.#peers!.words[hearing] = word;
      this.#look();
      this.dispatch(this.#peers!.routers[hearing]!, { type: 'TermSeen', term: word.term });
    });
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
    router.isDead = true;
    this.#answersChange();
  }

  /** Its process runs, for the first time or again. */
  start(router: Router): void {
    router.isDead = false;
    this.#answersChange();
    this.dispatch(router, { type: 'Startup' });
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
      case 'SetRole': return this.#setRole(router, effect.role);
      case 'SendAdvertisement': return this.#multicast(router, effect.priority);
      case 'StartTimer': return this.#startTimer(router, effect.timer, effect.generation, effect.afterUs);
      case 'CancelTimer': this.#timers.delete(`${router.name}/${effect.timer}`); return;
      case 'RecordTransition': return this.#record(router, effect.to, effect.reason);
      case 'Stopped': router.stopped = true; return;
      case 'NoteDeferral':
      case 'SendGratuitousArp': return;
    }
  }

  #setRole(router: Router, role: Router['role']): void {
    router.role = role;
    const index = this.#peers?.routers.indexOf(router);
    if (index !== 0 && index !== 1) return;
    this.at(this.nowUs + BEAT_US, () => this.#look());
    this.#sayHello(index);
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

  #isPair(...routers: readonly Router[]): boolean {
    return this.#peers !== undefined && routers.every((router) => this.#peers!.routers.includes(router));
  }

  #multicast(from: Router, priority: number): void {
    const { primaryAddress: source, advertisementIntervalUs: intervalUs } = from.machine.config;
    const term = from.machine.highestTerm;
    for (const to of this.routers) {
      if (to === from || (!this.underlayIsUp && this.#isPair(from, to))) continue;
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
