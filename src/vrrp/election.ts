/**
 * The edge of an election: turns packets and time into events, and effects into
 * frames and calls. It decides nothing except when a timer may be believed.
 */
import {
  PRIORITY_OWNER,
  PRIORITY_RESIGN,
  VRRP_MULTICAST,
  checkAdvertisement,
  decodePacket,
  encodeMessage,
  type Advertisement,
  type InvalidReason,
  type ReceivedAdvertisement,
} from './advertisement.js';
import { Announcer, type AnnouncementSide, type FrameSender } from './announcer.js';
import { systemClock, type Cancel, type Clock } from './clock.js';
import { createCounters, type ElectionCounters } from './counters.js';
import { ETHERTYPE_IPV4, VRRP_MULTICAST_MAC, encodeEthernet, virtualRouterMac } from './ethernet.js';
import { encodeIpv4, formatIpv4, type Ipv4Address } from './ipv4.js';
import { createMachine, step } from './machine.js';
import { describeVirtualRouter, type VirtualRouter, type VirtualRouterOptions } from './options.js';
import type { Effect, Event, Machine, RecordTransition, Role, StartTimer, StateName, TimerName, TransitionReason } from './state.js';
import { leaseNs } from './timing.js';

/** A raw IPv4 socket of protocol 112 (libbpf-ts RawSocket with `headerIncluded`). */
export interface PacketChannel {
  /** `timestampNs`: the kernel's stamp, CLOCK_MONOTONIC. */
  on(event: 'message', listener: (packet: Buffer, info: { readonly timestampNs: bigint }) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** A whole IPv4 packet; used for unicast peers only. A peer that does not answer ARP is no error. */
  send(packet: Buffer, destination: string): void;
  close(): void;
}

export interface ElectionSockets {
  readonly receiver: PacketChannel;
  /** Of the interface on which the election takes place. */
  readonly sender: FrameSender & { close(): void };
}

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
  readonly priority: number;
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

interface RunningTimer {
  readonly generation: number;
  readonly deadlineNs: bigint;
  readonly cancel: Cancel;
}

const HISTORY_LENGTH = 32;
const NOTICE_INTERVAL_MS = 10_000;
/** Programs compare their lease with a coarse clock. */
const LEASE_MARGIN_NS = 5_000_000n;

export class Election {
  readonly counters: ElectionCounters = createCounters();
  readonly #clock: Clock;
  readonly #sockets: ElectionSockets;
  readonly #actions: ElectionActions;
  readonly #announcer: Announcer;
  readonly #timers = new Map<TimerName, RunningTimer>();
  readonly #history: Transition[] = [];
  readonly #noticedAtMs = new Map<string, number>();
  readonly #queue: { event: Event; atNs: bigint }[] = [];
  #router: VirtualRouter;
  #machine: Machine;
  #role: Role['role'] = 'initialize';
  #busy = false;
  #cancelConfirmation: Cancel | undefined;
  #closed = false;
  #packets = 0;
  /** When the last advert left that claims the role. */
  #advertisedAtNs = 0n;
  #last: LastAdvertisement | undefined;
  #whenStopped: (() => void)[] = [];

  /** Throws RangeError for options that no advert can carry. */
  constructor(parts: ElectionParts) {
    this.#router = describeVirtualRouter(parts.options);
    this.#clock = parts.clock ?? systemClock;
    this.#sockets = parts.sockets;
    this.#actions = parts.actions;
    this.#announcer = new Announcer(this.#clock, virtualRouterMac(this.#router.vrid), parts.announce, this.counters);
    this.#machine = createMachine(this.#router.machine, parts);
    // Options that no advert can carry must fail now, not at the first takeover.
    encodeMessage(this.#advertisement(this.#router.machine.priority), this.#checksumTo(VRRP_MULTICAST));
    parts.sockets.receiver.on('message', (packet, { timestampNs }) => this.#received(packet, timestampNs));
    parts.sockets.receiver.on('error', () => void (this.counters.receiveErrors += 1));
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

  drain(): void {
    this.#dispatch({ type: 'Drain' });
  }

  undrain(): void {
    this.#dispatch({ type: 'Undrain' });
  }

  /** Something without which we cannot be Active is missing, or is there again. */
  setFaulty(faulty: boolean): void {
    if (faulty !== this.#machine.holds.faulty) this.#dispatch({ type: faulty ? 'FaultRaised' : 'FaultCleared' });
  }

  setSynchronised(synchronised: boolean): void {
    this.#dispatch({ type: 'SynchronisedChanged', synchronised });
  }

  termSeen(term: number): void {
    this.#dispatch({ type: 'TermSeen', term });
  }

  /** New options of the same virtual router. Throws RangeError for options that no advert can carry; the old ones stay then. */
  reconfigure(options: VirtualRouterOptions): void {
    const before = this.#router;
    if (options.vrid !== before.vrid) throw new RangeError(`an election for virtual router ${before.vrid} cannot become one for ${options.vrid}`);
    this.#router = describeVirtualRouter(options);
    try {
      encodeMessage(this.#advertisement(this.#router.machine.priority), this.#checksumTo(VRRP_MULTICAST));
    } catch (error) {
      this.#router = before;
      throw error;
    }
    this.#dispatch({ type: 'ConfigChanged', config: this.#router.machine });
  }

  /** Sends gratuitous ARP again, for addresses that were added while Active. */
  announce(): void {
    if (this.#role === 'active') this.#announcer.announce();
  }

  status(): ElectionStatus {
    const { state, config, holds, highestTerm, synchronised } = this.#machine;
    return {
      vrid: this.#router.vrid,
      state: state.name,
      role: this.#role,
      priority: config.priority,
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
    for (const timer of [...this.#timers.keys()]) this.#cancelTimer(timer);
    this.#cancelAnnouncements();
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
    const decoded = decodePacket(packet);
    if (!decoded.ok) return this.#refuse(decoded.reason);
    const reason = checkAdvertisement(decoded.received, this.#router.expectation);
    if (reason !== undefined) return this.#refuse(reason, decoded.received.source);
    this.#believe(decoded.received, timestampNs);
  }

  #refuse(reason: InvalidReason, source?: Ipv4Address): void {
    this.counters.invalid[reason] += 1;
    // Other virtual routers on the same link are no event at all.
    if (reason === 'vrid') return;
    const from = source === undefined ? '' : ` from ${formatIpv4(source)}`;
    this.#notice(`invalid-${reason}`, `refused an advertisement${from}: ${reason}`);
  }

  #believe({ advertisement, source, checksumForm }: ReceivedAdvertisement, timestampNs: bigint): void {
    const { priority, intervalUs } = advertisement;
    this.counters.advertisementsReceived += 1;
    this.counters.checksumForms[checksumForm] += 1;
    if (priority === PRIORITY_RESIGN) this.counters.resignationsReceived += 1;
    this.#compare(advertisement, source);
    const nowNs = this.#clock.nowNs();
    const atNs = timestampNs < nowNs ? timestampNs : nowNs;
    this.#last = { source: formatIpv4(source), priority, intervalUs, atNs };
    this.#noteOwnSilence();
    this.#dispatch({ type: 'AdvertisementReceived', priority, intervalUs, source }, atNs);
  }

  /** RFC 9568 §7.1, §8.3.2: differences that are to be noted, and that change nothing. */
  #compare({ addresses, intervalUs, priority }: Advertisement, source: Ipv4Address): void {
    const { machine, addresses: ours } = this.#router;
    const from = formatIpv4(source);
    if (intervalUs !== machine.advertisementIntervalUs) {
      this.counters.intervalMismatches += 1;
      this.#notice('interval', `${from} advertises every ${intervalUs / 1000} ms, we every ${machine.advertisementIntervalUs / 1000} ms`);
    }
    if (addresses.length !== ours.length || addresses.some((address) => !ours.includes(address))) {
      this.counters.addressMismatches += 1;
      this.#notice('addresses', `${from} advertises ${addresses.map(formatIpv4).join(', ')}, we ${ours.map(formatIpv4).join(', ')}`);
    }
    if (priority === PRIORITY_OWNER && machine.priority === PRIORITY_OWNER) {
      this.counters.ownerConflicts += 1;
      this.#notice('owner', `${from} claims to own the virtual addresses, as we do`);
    }
  }

  /** We were asleep, or could not send: whoever took over meanwhile has the right to stay. */
  #noteOwnSilence(): void {
    if (this.#wasSilent()) this.#dispatch({ type: 'WasSilent' });
  }

  /** Every Active_Down_Interval is longer than three intervals, by its skew. */
  #wasSilent(): boolean {
    const limitNs = BigInt(this.#router.machine.advertisementIntervalUs) * 3_000n;
    return this.#machine.state.name === 'Active' && this.#clock.nowNs() - this.#advertisedAtNs > limitNs;
  }

  #notice(kind: string, sentence: string): void {
    const nowMs = this.#clock.wallMs();
    if (nowMs - (this.#noticedAtMs.get(kind) ?? -Infinity) < NOTICE_INTERVAL_MS) return;
    this.#noticedAtMs.set(kind, nowMs);
    this.#actions.notice?.(kind, sentence);
  }

  // ------------------------------------------------------------------- timers

  #startTimer({ timer, generation, afterUs }: StartTimer, baseNs: bigint): void {
    this.#cancelTimer(timer);
    const deadlineNs = baseNs + BigInt(afterUs) * 1000n;
    this.#arm(timer, generation, deadlineNs, () => this.#due(timer, generation, deadlineNs));
  }

  #arm(timer: TimerName, generation: number, deadlineNs: bigint, callback: () => void): void {
    this.#timers.set(timer, { generation, deadlineNs, cancel: this.#clock.schedule(deadlineNs, callback) });
  }

  #cancelTimer(timer: TimerName): void {
    this.#timers.get(timer)?.cancel();
    this.#timers.delete(timer);
  }

  #due(timer: TimerName, generation: number, deadlineNs: bigint): void {
    const lateNs = this.#clock.nowNs() - deadlineNs;
    if (timer === 'ActiveDown') return this.#doubtSilence(generation, deadlineNs, lateNs);
    if ((timer === 'Adver' || timer === 'GratuitousArp') && this.#wasSilent()) return this.#doubtRole(timer, generation, deadlineNs);
    this.#expire(timer, generation, deadlineNs);
  }

  #expire(timer: TimerName, generation: number, deadlineNs: bigint): void {
    if (this.#timers.get(timer)?.generation !== generation) return;
    this.#cancelTimer(timer);
    this.#dispatch({ type: `${timer}TimerExpired`, generation } as Event, deadlineNs);
  }

  /**
   * Silence is believed once the sockets are empty: an advert may lie there, read
   * too late because the process was not running. After a long pause not even
   * that is enough, since a full socket buffer keeps the oldest packets and drops
   * the newest: then the Active gets one more interval to be heard.
   */
  #doubtSilence(generation: number, deadlineNs: bigint, lateNs: bigint): void {
    const { state } = this.#machine;
    const intervalNs = state.name === 'Backup' ? BigInt(state.activeAdverIntervalUs) * 1000n : 0n;
    if (lateNs <= intervalNs) return this.#expireAfterInput('ActiveDown', generation, deadlineNs);
    this.counters.lateTimers += 1;
    const secondNs = this.#clock.nowNs() + intervalNs + intervalNs / 2n;
    this.#arm('ActiveDown', generation, secondNs, () => this.#expireAfterInput('ActiveDown', generation, secondNs));
  }

  /** The adverts of a successor must be heard before we send one of ours, or anything else that draws traffic here. */
  #doubtRole(timer: 'Adver' | 'GratuitousArp', generation: number, deadlineNs: bigint): void {
    this.counters.lateTimers += 1;
    this.#noteOwnSilence();
    this.#expireAfterInput(timer, generation, deadlineNs);
  }

  /** Reads the sockets until a round brings nothing. An advert that matters restarts the timer, which ends this. */
  #expireAfterInput(timer: TimerName, generation: number, deadlineNs: bigint): void {
    const before = this.#packets;
    const cancel = this.#clock.afterInput(() => {
      if (this.#timers.get(timer)?.generation !== generation) return;
      if (this.#packets !== before) return this.#expireAfterInput(timer, generation, deadlineNs);
      this.#expire(timer, generation, deadlineNs);
    });
    this.#timers.set(timer, { generation, deadlineNs, cancel });
  }

  // ------------------------------------------------------------------- effects

  #execute(effect: Effect, cause: Event, atNs: bigint): void {
    switch (effect.type) {
      case 'SetRole': return this.#setRole(effect);
      case 'SendAdvertisement': return this.#sendAdvertisement(effect.priority);
      case 'SendGratuitousArp': return this.#announcer.announce();
      case 'StartTimer': return this.#startTimer(effect, this.#baseOf(effect, cause, atNs));
      case 'CancelTimer': return this.#cancelTimer(effect.timer);
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

  #setRole(role: Role): void {
    if (role.role === 'active') this.#renewLease();
    else this.#cancelAnnouncements();
    this.#role = role.role;
    this.#actions.setRole(role.role === 'active' ? { role: role.role, term: role.term } : { role: role.role });
  }

  #renewLease(): void {
    const { version, priority, advertisementIntervalUs } = this.#router.machine;
    this.#actions.renewLease(this.#clock.nowNs() + leaseNs(version, priority, advertisementIntervalUs));
  }

  #sendAdvertisement(priority: number): void {
    try {
      this.#transmit(this.#advertisement(priority));
    } catch (error) {
      // No lease either: if this goes on, the data plane stands down for the peer that does not hear us.
      this.counters.sendErrors += 1;
      this.#notice('send', `an advertisement could not be sent: ${(error as Error).message}`);
      return;
    }
    this.counters.advertisementsSent += 1;
    if (priority === PRIORITY_RESIGN) {
      this.counters.resignationsSent += 1;
      return;
    }
    this.#advertisedAtNs = this.#clock.nowNs();
    this.#renewLease();
  }

  #advertisement(priority: number): Advertisement {
    const { vrid, addresses, authentication, machine } = this.#router;
    const fields = { vrid, priority, intervalUs: machine.advertisementIntervalUs, addresses };
    return machine.version === 3 ? { version: 3, ...fields } : { version: 2, ...fields, authentication };
  }

  #checksumTo(destination: Ipv4Address): Parameters<typeof encodeMessage>[1] {
    return { form: this.#router.checksum, source: this.#router.machine.primaryAddress, destination };
  }

  /** Multicast leaves with the virtual MAC (RFC 9568 §7.2); unicast takes the channel's way, which for the kernel's is its route, with the interface's own. */
  #transmit(advertisement: Advertisement): void {
    const { vrid, unicastPeers } = this.#router;
    if (unicastPeers === undefined) {
      const packet = this.#packet(advertisement, VRRP_MULTICAST);
      const frame = encodeEthernet(VRRP_MULTICAST_MAC, virtualRouterMac(vrid), ETHERTYPE_IPV4, packet);
      return this.#sockets.sender.send(Buffer.from(frame.buffer));
    }
    const errors: unknown[] = [];
    for (const peer of unicastPeers) {
      const packet = this.#packet(advertisement, peer);
      try {
        this.#sockets.receiver.send(Buffer.from(packet.buffer), formatIpv4(peer));
      } catch (error) {
        // One peer without a route must not silence us for the others.
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #packet(advertisement: Advertisement, destination: Ipv4Address): Uint8Array {
    const source = this.#router.machine.primaryAddress;
    return encodeIpv4({ source, destination }, encodeMessage(advertisement, this.#checksumTo(destination)));
  }

  #recordTransition({ from, to, reason }: RecordTransition): void {
    const transition = { atMs: this.#clock.wallMs(), from, to, reason, term: this.#machine.highestTerm };
    this.counters.transitions[reason] += 1;
    this.#history.unshift(transition);
    this.#history.length = Math.min(this.#history.length, HISTORY_LENGTH);
    this.#actions.transition?.(transition);
    if (reason === 'active-silent') this.#confirmAfterLease();
  }

  /**
   * The programs of an Active whose process has died forward until their lease
   * ends, and a packet of theirs that crosses our announcement takes the virtual
   * MAC back at the switches. Once they have stopped nobody contradicts us.
   */
  #confirmAfterLease(): void {
    if (this.#last === undefined) return;
    const { atNs, priority, intervalUs } = this.#last;
    const endNs = atNs + leaseNs(this.#router.machine.version, priority, intervalUs) + LEASE_MARGIN_NS;
    if (endNs <= this.#clock.nowNs()) return;
    this.#cancelConfirmation = this.#clock.schedule(endNs, () => {
      if (!this.#wasSilent()) this.announce();
    });
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

