/**
 * The edge of an election: what its parts hear, and time, become events in one
 * queue, and effects go to its parts and the rest of the gateway. It decides nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ReceivedAdvertisement } from './advertisement.js';
import { Advertiser, type ElectionSockets } from './advertiser.js';
import { Announcer, type AnnouncementSide } from './announcer.js';
import { systemClock, type Cancel, type Clock } from './clock.js';
import { createCounters, type ElectionCounters } from './counters.js';
import { virtualRouterMac } from './ethernet.js';
import { formatIpv4 } from './ipv4.js';
import { Listener } from './listener.js';
import { createMachine, step } from './machine.js';
import { limitNotices, type Notice } from './notices.js';
import type { DeferralReason, PeerSight } from './peer.js';
import { describeVirtualRouter, type VirtualRouter, type VirtualRouterOptions } from './options.js';
import { effectivePriority } from './state.js';
import type { Effect, Event, Generation, Machine, RecordTransition, Role, StartTimer, StateName, TimerName, TransitionReason } from './state.js';
import { Timers } from './timers.js';
import { leaseNs } from './timing.js';

/** What an election asks of the rest of the gateway. Called synchronously, in the order of the machine's effects. */
export interface ElectionActions {
  setRole(role: Role): void;
  /** The data plane may believe that it is Active until then (CLOCK_MONOTONIC). Called before `setRole` active and after every advert sent. */
  renewLease(untilNs: bigint): void;
  transition?(transition: Transition): void;
  /** A sentence worth logging; at most one per kind and 10 s. */
  notice?(kind: string, sentence: string): void;
}

export interface Transition {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly from: StateName;
  readonly to: StateName;
  readonly reason: TransitionReason;
  /** The highest known; of a transition to Active, ours. */
  readonly term: number;
}

export interface LastAdvertisement {
  readonly source: string;
  readonly priority: number;
  readonly intervalUs: number;
  /** CLOCK_MONOTONIC, the kernel's stamp. */
  readonly atNs: bigint;
}

export interface ElectionStatus {
  readonly vrid: number;
  readonly state: StateName;
  readonly role: Role['role'];
  /** As configured. */
  readonly priority: number;
  /** Points that tracked things which are down take from it. */
  readonly penalty: number;
  /** What is advertised and compared: the priority less the penalty, 1 at least; the owner's is always 255. */
  readonly effectivePriority: number;
  readonly term: number;
  readonly synchronised: boolean;
  readonly drained: boolean;
  readonly faulty: boolean;
  /** Of another router; absent until one was heard. */
  readonly lastAdvertisement?: LastAdvertisement;
  /** Newest first. */
  readonly history: readonly Transition[];
  readonly counters: Readonly<ElectionCounters>;
}

export interface ElectionParts {
  readonly options: VirtualRouterOptions;
  /** True where there is no peer to synchronise with. */
  readonly synchronised: boolean;
  /** Known from the pinned maps. Default 0. */
  readonly highestTerm?: number;
  readonly sockets: ElectionSockets;
  /** Where gratuitous ARP goes: the underlay with the virtual addresses, the external side with floating and router addresses. */
  readonly announce: readonly AnnouncementSide[];
  readonly actions: ElectionActions;
  readonly clock?: Clock;
}

/** Takeovers that the former Active may not have heard of. */
const unannounced: ReadonlySet<TransitionReason> = new Set(['active-silent', 'peer-silent', 'peer-cut-off']);

const HISTORY_LENGTH = 32;
/** Programs compare their lease with a coarse clock. */
const LEASE_MARGIN_NS = 5_000_000n;
/** LEASE_LINGER_NS of bpf/virtual_router.h. */
const LEASE_LINGER_NS = 500_000_000n;

export class Election {
  readonly counters: ElectionCounters = createCounters();
  readonly #clock: Clock;
  readonly #sockets: ElectionSockets;
  readonly #actions: ElectionActions;
  readonly #announcer: Announcer;
  readonly #advertiser: Advertiser;
  readonly #listener: Listener;
  readonly #notice: Notice;
  readonly #timers: Timers;
  readonly #history: Transition[] = [];
  readonly #queue: { event: Event; atNs: bigint }[] = [];
  #router: VirtualRouter;
  #machine: Machine;
  #role: Role['role'] = 'initialize';
  #busy = false;
  #cancelConfirmation: Cancel | undefined;
  #closed = false;
  #packets = 0;
  /** Of the newest advert that was noted by the data plane and read; what was noted before we were is not for us. */
  #notedNs: bigint;
  #last: LastAdvertisement | undefined;
  #whenStopped: (() => void)[] = [];

  /** Throws RangeError for options that no advert can carry. */
  constructor(parts: ElectionParts) {
    const { sockets, actions } = parts;
    this.#router = describeVirtualRouter(parts.options);
    this.#clock = parts.clock ?? systemClock;
    this.#notedNs = this.#clock.nowNs();
    this.#sockets = sockets;
    this.#actions = actions;
    this.#notice = limitNotices(this.#clock, (kind, sentence) => actions.notice?.(kind, sentence));
    const shared = { clock: this.#clock, counters: this.counters, notice: this.#notice };
    this.#announcer = new Announcer(this.#clock, virtualRouterMac(this.#router.vrid), parts.announce, this.counters);
    this.#advertiser = new Advertiser(this.#router, { ...shared, sockets, renewLease: (untilNs) => actions.renewLease(untilNs) });
    this.#listener = new Listener(this.#router, { ...shared, self: () => ({ active: this.#machine.state.name === 'Active', priority: effectivePriority(this.#machine) }) });
    this.#timers = this.#createTimers();
    this.#machine = createMachine(this.#router.machine, parts);
    sockets.receiver.on('message', (packet, { timestampNs }) => this.#received(packet, timestampNs));
    sockets.receiver.on('error', () => void (this.counters.receiveErrors += 1));
  }

  #createTimers(): Timers {
    return new Timers({
      clock: this.#clock,
      readNotes: () => this.#readNotes(),
      packetsRead: () => this.#packets,
      awaitedIntervalNs: () => (this.#machine.state.name === 'Backup' ? BigInt(this.#machine.state.activeAdverIntervalUs) * 1000n : 0n),
      wasSilent: () => this.#wasSilent(),
      noteOwnSilence: () => this.#noteOwnSilence(),
      late: () => void (this.counters.lateTimers += 1),
      expired: (timer, generation, deadlineNs) => this.#expired(timer, generation, deadlineNs),
    });
  }

  /** Enters the election. `resume`: the pinned data plane is Active in this term, and its lease runs. */
  start(resume?: { readonly term: number }): void {
    this.#dispatch(resume === undefined ? { type: 'Startup' } : { type: 'Startup', resume });
  }

  /** Leaves the election for good; resolves when nothing is forwarded any more. */
  shutdown(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenStopped.push(resolve);
      this.#dispatch({ type: 'Shutdown' });
    });
  }

  /** `forced`: also when nobody follows. Default false: then we take the role back. */
  drain({ forced = false }: { readonly forced?: boolean } = {}): void {
    this.#dispatch({ type: 'Drain', forced });
  }

  undrain(): void {
    this.#dispatch({ type: 'Undrain' });
  }

  /** Hands the role to whom another member of our sync group follows. */
  yieldRole(): void {
    this.#dispatch({ type: 'Yield' });
  }

  /** Something without which we cannot be Active is missing, or is there again. */
  setFaulty(faulty: boolean): void {
    if (faulty !== this.#machine.holds.faulty) this.#dispatch({ type: faulty ? 'FaultRaised' : 'FaultCleared' });
  }

  /** By how much tracked things that are down lower the priority, 0 for nothing; advertised at once. */
  setPenalty(points: number): void {
    if (points !== this.#machine.penalty) this.#dispatch({ type: 'PenaltyChanged', penalty: points });
  }

  setSynchronised(synchronised: boolean): void {
    this.#dispatch({ type: 'SynchronisedChanged', synchronised });
  }

  termSeen(term: number): void {
    this.#dispatch({ type: 'TermSeen', term });
  }

  /** What is known of the peer now. `died`: it has just stopped answering on all ways at once. */
  peerSeen(peer: PeerSight, died: boolean): void {
    if (died || !isDeepStrictEqual(peer, this.#machine.peer)) this.#dispatch({ type: 'PeerSeen', peer, died });
  }

  /** New options of the same virtual router. Throws RangeError for options that no advert can carry; the old ones stay then. */
  reconfigure(options: VirtualRouterOptions): void {
    const before = this.#router;
    if (options.vrid !== before.vrid) throw new RangeError(`an election for virtual router ${before.vrid} cannot become one for ${options.vrid}`);
    const router = describeVirtualRouter(options);
    this.#advertiser.router = router;
    this.#listener.router = router;
    this.#router = router;
    this.#dispatch({ type: 'ConfigChanged', config: this.#router.machine });
  }

  /** Sends gratuitous ARP again, for addresses that were added while Active. */
  announce(): void {
    if (this.#role === 'active') this.#announcer.announce();
  }

  /** Points that tracked things which are down take from the priority. */
  get penalty(): number {
    return this.#machine.penalty;
  }

  status(): ElectionStatus {
    const { state, config, penalty, holds, highestTerm, synchronised } = this.#machine;
    return {
      vrid: this.#router.vrid,
      state: state.name,
      role: this.#role,
      priority: config.priority,
      penalty,
      effectivePriority: effectivePriority(this.#machine),
      term: state.name === 'Active' ? state.term : highestTerm,
      synchronised,
      drained: holds.drained,
      faulty: holds.faulty,
      ...(this.#last === undefined ? {} : { lastAdvertisement: this.#last }),
      history: [...this.#history],
      counters: this.counters,
    };
  }

  /** Lets go of timers and sockets, saying nothing to anyone: the data plane keeps its role. */
  close(): void {
    this.#closed = true;
    this.#timers.cancelAll();
    this.#fallSilent();
    this.#sockets.receiver.close();
    this.#sockets.sender.close();
  }

  // ------------------------------------------------------------------- events

  /** Effects may cause events; those wait until all effects of the first are done. */
  #dispatch(event: Event, atNs = this.#clock.nowNs()): void {
    this.#queue.push({ event, atNs });
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#closed; next = this.#queue.shift()) {
        const { machine, effects } = step(this.#machine, next.event);
        this.#machine = machine;
        for (const effect of effects) this.#execute(effect, next.event, next.atNs);
      }
    } finally {
      this.#busy = false;
    }
  }

  #received(packet: Uint8Array, timestampNs: bigint): void {
    if (this.#closed) return;
    this.#packets += 1;
    // What a note has overtaken on its way through the socket says what was, not what is.
    if (timestampNs < this.#notedNs) return void (this.counters.overtaken += 1);
    const heard = this.#listener.hear(packet);
    if (heard !== undefined) this.#believe(heard, timestampNs);
  }

  #believe({ advertisement: { priority, intervalUs }, source }: ReceivedAdvertisement, timestampNs: bigint): void {
    const nowNs = this.#clock.nowNs();
    const atNs = timestampNs < nowNs ? timestampNs : nowNs;
    this.#last = { source: formatIpv4(source), priority, intervalUs, atNs };
    this.#noteOwnSilence();
    this.#dispatch({ type: 'AdvertisementReceived', priority, intervalUs, source }, atNs);
  }

  #readNotes(): void {
    for (const { packet, receivedNs } of this.#sockets.noted?.() ?? []) {
      this.counters.notesRead += 1;
      this.#received(packet, receivedNs);
      if (receivedNs > this.#notedNs) this.#notedNs = receivedNs;
    }
  }

  /** We were asleep, or could not send: whoever took over meanwhile has the right to stay. */
  #noteOwnSilence(): void {
    if (this.#wasSilent()) this.#dispatch({ type: 'WasSilent' });
  }

  #wasSilent(): boolean {
    return this.#machine.state.name === 'Active' && this.#advertiser.silentTooLong;
  }

  #expired(timer: TimerName, generation: Generation, deadlineNs: bigint): void {
    this.#dispatch({ type: `${timer}TimerExpired`, generation } as Event, deadlineNs);
  }

  // ------------------------------------------------------------------- effects

  #execute(effect: Effect, cause: Event, atNs: bigint): void {
    switch (effect.type) {
      case 'SetRole': return this.#setRole(effect);
      case 'SendAdvertisement': return this.#advertise(effect.priority, cause);
      case 'SendGratuitousArp': return this.#announcer.announce();
      case 'StartTimer': return this.#startTimer(effect, this.#baseOf(effect, cause, atNs));
      case 'CancelTimer': return this.#timers.cancel(effect.timer);
      case 'NoteDeferral': return this.#noteDeferral(effect.reason);
      case 'RecordTransition': return this.#recordTransition(effect);
      case 'Stopped': return this.#stopped();
    }
  }

  /**
   * From when a timer counts: silence from the moment in which the kernel received
   * the advert, adverts from the last deadline, so that they do not drift.
   */
  #baseOf({ timer, afterUs }: StartTimer, cause: Event, atNs: bigint): bigint {
    const nowNs = this.#clock.nowNs();
    if (timer === 'ActiveDown' && cause.type === 'AdvertisementReceived') return atNs;
    if (timer === 'Adver' && cause.type === 'AdverTimerExpired' && nowNs - atNs < BigInt(afterUs) * 1000n) return atNs;
    return nowNs;
  }

  /** What the Adver_Timer asks for leaves by itself; here the event loop says that it is there. */
  #advertise(priority: number, cause: Event): void {
    if (cause.type === 'AdverTimerExpired' && this.#machine.state.name === 'Active') this.#advertiser.goOn(priority);
    else this.#advertiser.send(priority);
  }

  #startTimer({ timer, generation, afterUs }: StartTimer, baseNs: bigint): void {
    this.#timers.start(timer, generation, baseNs + BigInt(afterUs) * 1000n);
  }

  #setRole(role: Role): void {
    if (role.role === 'active') this.#advertiser.renewLease(effectivePriority(this.#machine));
    else this.#fallSilent();
    this.#role = role.role;
    this.#actions.setRole(role.role === 'active' ? { role: role.role, term: role.term } : { role: role.role });
  }

  #recordTransition({ from, to, reason }: RecordTransition): void {
    const transition = { atMs: this.#clock.wallMs(), from, to, reason, term: this.#machine.highestTerm };
    this.counters.transitions[reason] += 1;
    this.#history.unshift(transition);
    this.#history.length = Math.min(this.#history.length, HISTORY_LENGTH);
    this.#actions.transition?.(transition);
    if (unannounced.has(reason)) this.#confirmAfterLease();
  }

  #noteDeferral(reason: DeferralReason): void {
    this.counters.deferrals[reason] += 1;
    const whys = {
      'peer-is-active': 'no advertisements, but the programs of the peer answer and say that it is Active: not taking over while its lease runs',
      'underlay-cut': 'no advertisements and no heartbeats on the underlay, but the peer says on the ha link that it is Active, and is no worse than we are: not taking over',
    } as const;
    this.#notice(`deferred-${reason}`, whys[reason]);
  }

  /**
   * The programs of an Active whose process has died forward until their lease
   * ends, and stragglers a little longer; a packet of theirs that crosses our
   * announcement takes the virtual MAC back at the switches. Once they have stopped
   * nobody contradicts us.
   */
  #confirmAfterLease(): void {
    if (this.#last === undefined) return;
    const { atNs, priority, intervalUs } = this.#last;
    const nowNs = this.#clock.nowNs();
    const leaseEndNs = atNs + leaseNs(this.#router.machine.version, priority, intervalUs);
    const drainedNs = (leaseEndNs > nowNs ? leaseEndNs : nowNs) + LEASE_LINGER_NS;
    this.#confirmAt([leaseEndNs, drainedNs].map((endNs) => endNs + LEASE_MARGIN_NS).filter((endNs) => endNs > nowNs));
  }

  #confirmAt([nextNs, ...later]: readonly bigint[]): void {
    if (nextNs === undefined) return;
    this.#cancelConfirmation = this.#clock.schedule(nextNs, () => {
      if (!this.#wasSilent()) this.announce();
      this.#confirmAt(later);
    });
  }

  /** Before the data plane stops, and before anything else is said. */
  #fallSilent(): void {
    this.#advertiser.stop();
    this.#cancelAnnouncements();
  }

  #cancelAnnouncements(): void {
    this.#announcer.cancel();
    this.#cancelConfirmation?.();
    this.#cancelConfirmation = undefined;
  }

  #stopped(): void {
    const resolvers = this.#whenStopped;
    this.#whenStopped = [];
    for (const resolve of resolvers) resolve();
  }
}

