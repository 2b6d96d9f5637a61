/**
 * The election of RFC 9568 §6.4 as a function from (machine, event) to (machine,
 * effects). No clock, no socket: a timer is a number that comes back.
 *
 * What is ours beyond the RFC: `synchronised`, terms, resume, drain, the linger
 * during which a former Active forwards stragglers, and what is known of the peer
 * beside its adverts (peer.ts).
 */
import { PRIORITY_OWNER, PRIORITY_RESIGN } from './advertisement.js';
import type { Ipv4Address } from './ipv4.js';
import { isFenced, isFencing, peerAnswers, peerSaysActive, programsSayActive, reasonToDefer, unknownPeer, type DeferralReason, type PeerSight } from './peer.js';
import { effectivePriority } from './state.js';
import type {
  Active,
  AdvertisementReceived,
  Backup,
  Effect,
  Event,
  Generation,
  HandingOver,
  Holds,
  Machine,
  MachineConfig,
  Startup,
  State,
  StateName,
  TimerName,
  TransitionReason,
} from './state.js';
import { activeDownIntervalUs, skewTimeUs, type Microseconds } from './timing.js';

export interface Step {
  readonly machine: Machine;
  readonly effects: readonly Effect[];
}

/** A machine in Initialize, waiting for Startup. `synchronised` is true from the start where there is nothing to synchronise with. */
export function createMachine(config: MachineConfig, initial: { synchronised: boolean; highestTerm?: number }): Machine {
  return {
    config,
    penalty: 0,
    state: { name: 'Initialize' },
    holds: { stopped: true, drained: false, faulty: false, forced: false },
    synchronised: initial.synchronised,
    peer: unknownPeer,
    highestTerm: initial.highestTerm ?? 0,
    generation: 0,
  };
}

/** What an event makes of a machine. Total: every event is allowed in every state. */
export function step(machine: Machine, event: Event): Step {
  const draft: Draft = { ...machine, effects: [] };
  handle(draft, event);
  const { effects, ...next } = draft;
  return { machine: next, effects };
}

/** The machine while one event is worked on. Never leaves this file. */
type Draft = { -readonly [K in keyof Machine]: Machine[K] } & { effects: Effect[] };

function handle(draft: Draft, event: Event): void {
  switch (event.type) {
    case 'Startup': return startup(draft, event);
    case 'Shutdown': return hold(draft, { stopped: true }, 'shutdown');
    case 'Drain': return hold(draft, { drained: true, forced: event.forced === true }, 'drain');
    case 'Undrain': return release(draft, { drained: false, forced: false }, 'undrain');
    case 'Yield': return yieldRole(draft);
    case 'FaultRaised': return hold(draft, { faulty: true }, 'fault');
    case 'FaultCleared': return release(draft, { faulty: false }, 'fault-cleared');
    case 'SynchronisedChanged': return void (draft.synchronised = event.synchronised);
    case 'TermSeen': return void (draft.highestTerm = Math.max(draft.highestTerm, event.term));
    case 'WasSilent': return wasSilent(draft);
    case 'ConfigChanged': return configChanged(draft, event.config);
    case 'PenaltyChanged': return penaltyChanged(draft, event.penalty);
    case 'PeerSeen': return peerSeen(draft, event.peer, event.died);
    case 'AdvertisementReceived': return advertisementReceived(draft, event);
    case 'AdverTimerExpired': return adverTimerExpired(draft, event.generation);
    case 'ActiveDownTimerExpired': return activeDownTimerExpired(draft, event.generation);
    case 'GratuitousArpTimerExpired': return gratuitousArpTimerExpired(draft, event.generation);
    case 'LingerTimerExpired': return lingerTimerExpired(draft, event.generation);
    case 'PreemptDelayTimerExpired': return preemptDelayTimerExpired(draft, event.generation);
    case 'HandOverTimerExpired': return handOverTimerExpired(draft, event.generation);
  }
}

// ------------------------------------------------------------- into and out of the election

function startup(draft: Draft, event: Startup): void {
  if (event.resume !== undefined) draft.highestTerm = Math.max(draft.highestTerm, event.resume.term);
  const mayResume = draft.state.name === 'Initialize' && !draft.holds.drained && !draft.holds.faulty;
  if (event.resume === undefined || !mayResume) return release(draft, { stopped: false }, 'startup');
  draft.holds = { ...draft.holds, stopped: false };
  becomeActive(draft, 'resumed', event.resume.term);
}

/** Clears a hold and, if it was the last one, enters the election (RFC 9568 §6.4.1). */
function release(draft: Draft, change: Partial<Holds>, reason: TransitionReason): void {
  draft.holds = { ...draft.holds, ...change };
  if (draft.holds.stopped || draft.holds.drained || draft.holds.faulty) return;
  if (draft.state.name === 'Initialize') return enterElection(draft, reason);
  // Nobody has followed us yet: take back what we were giving away.
  if (draft.state.name === 'HandingOver' && draft.state.lingerTimer === undefined) return becomeActive(draft, reason);
  if (draft.state.name === 'HandingOver') becomeBackup(draft, reason, draft.config.advertisementIntervalUs);
}

function enterElection(draft: Draft, reason: TransitionReason): void {
  // An owner that is not synchronised yet would preempt an Active that is: it waits as Backup.
  const owner = draft.config.priority === PRIORITY_OWNER && draft.synchronised;
  if (owner) return becomeActive(draft, reason === 'startup' ? 'owner-startup' : reason);
  becomeBackup(draft, reason, draft.config.advertisementIntervalUs);
}

/** Leaves the election: at once from Backup, by handing over from Active. */
function hold(draft: Draft, change: Partial<Holds>, reason: TransitionReason): void {
  draft.holds = { ...draft.holds, ...change };
  const { state } = draft;
  if (state.name === 'Active') return resign(draft, reason);
  if (state.name === 'Backup') return leaveBackup(draft, state, reason);
  if (state.name === 'Initialize') reportStopped(draft);
}

/** RFC 9568 §6.4.3: "Cancel the Adver_Timer, send an ADVERTISEMENT with Priority = 0, transition to the {Initialize} state." */
function resign(draft: Draft, reason: TransitionReason): void {
  // The peer answers the advert; what still comes to us must find an open door already.
  draft.effects.push({ type: 'SetRole', role: 'draining' });
  draft.effects.push({ type: 'SendAdvertisement', priority: PRIORITY_RESIGN });
  cancel(draft, 'Adver', 'GratuitousArp');
  const limitTimer = startTimer(draft, 'HandOver', draft.config.handOverLimitUs);
  const adverTimer = startTimer(draft, 'Adver', resignationIntervalUs(draft.config));
  transition(draft, { name: 'HandingOver', limitTimer, adverTimer }, reason);
}

/** More than any Skew_Time, or the repetition would restart the timer of a Backup that is about to take over. */
function resignationIntervalUs(config: MachineConfig): Microseconds {
  return Math.floor((config.advertisementIntervalUs * 3) / 2);
}

/** RFC 9568 §6.4.2: "Cancel the Active_Down_Timer, transition to the {Initialize} state." */
function leaveBackup(draft: Draft, state: Backup, reason: TransitionReason): void {
  cancel(draft, 'ActiveDown', 'PreemptDelay');
  if (state.lingerTimer === undefined) return initialize(draft, reason);
  const limitTimer = startTimer(draft, 'HandOver', draft.config.handOverLimitUs);
  transition(draft, { name: 'HandingOver', limitTimer, lingerTimer: state.lingerTimer }, reason);
}

function initialize(draft: Draft, reason: TransitionReason): void {
  draft.effects.push({ type: 'SetRole', role: 'initialize' });
  transition(draft, { name: 'Initialize' }, reason);
  reportStopped(draft);
}

function reportStopped(draft: Draft): void {
  if (draft.holds.stopped) draft.effects.push({ type: 'Stopped' });
}

// ------------------------------------------------------------------------ becoming

function becomeActive(draft: Draft, reason: TransitionReason, term = draft.highestTerm + 1): void {
  const { config } = draft;
  draft.highestTerm = Math.max(draft.highestTerm, term);
  // First the data plane, so that nothing that the announcements attract is dropped.
  draft.effects.push({ type: 'SetRole', role: 'active', term });
  draft.effects.push({ type: 'SendAdvertisement', priority: effectivePriority(draft) });
  draft.effects.push({ type: 'SendGratuitousArp' });
  cancel(draft, 'ActiveDown', 'PreemptDelay', 'Linger', 'HandOver');
  const adverTimer = startTimer(draft, 'Adver', config.advertisementIntervalUs);
  const gratuitousArp = { phase: 'repeat', timer: startTimer(draft, 'GratuitousArp', config.gratuitousArpRepeatUs) } as const;
  transition(draft, { name: 'Active', term, adverTimer, gratuitousArp, wasSilent: false }, reason);
}

/** Starts the Active_Down_Timer. Whoever was forwarding until now goes on with stragglers for the linger. */
function becomeBackup(draft: Draft, reason: TransitionReason, activeAdverIntervalUs: Microseconds, following?: Ipv4Address): void {
  const wasForwarding = draft.state.name !== 'Initialize';
  draft.effects.push({ type: 'SetRole', role: wasForwarding ? 'draining' : 'backup' });
  cancel(draft, 'Adver', 'GratuitousArp', 'HandOver');
  const activeDownTimer = startActiveDownTimer(draft, activeAdverIntervalUs);
  const state: Backup = { name: 'Backup', activeDownTimer, activeAdverIntervalUs, awaiting: 'advertisement', ...(following !== undefined && { following }) };
  if (!wasForwarding) return transition(draft, state, reason);
  transition(draft, { ...state, lingerTimer: startTimer(draft, 'Linger', draft.config.lingerUs) }, reason);
}

function startActiveDownTimer(draft: Draft, activeAdverIntervalUs: Microseconds): Generation {
  const downUs = activeDownIntervalUs(draft.config.version, effectivePriority(draft), activeAdverIntervalUs);
  return startTimer(draft, 'ActiveDown', downUs);
}

// ------------------------------------------------------------------------ adverts

function advertisementReceived(draft: Draft, event: AdvertisementReceived): void {
  switch (draft.state.name) {
    case 'Initialize': return;
    case 'Backup': return backupReceived(draft, draft.state, event);
    case 'Active': return activeReceived(draft, draft.state, event);
    case 'HandingOver': return successorReceived(draft, draft.state, event);
  }
}

function backupReceived(draft: Draft, state: Backup, event: AdvertisementReceived): void {
  const priority = effectivePriority(draft);
  if (event.priority === PRIORITY_RESIGN) {
    // RFC 9568 §6.4.2: "Set the Active_Down_Timer to Skew_Time."
    return expectSuccession(draft, state);
  }
  if (event.priority >= priority) return follow(draft, withoutPreemption(draft, state), event);
  if (!mayPreempt(draft)) return follow(draft, withoutPreemption(draft, state), event);
  const patient = state.preemption ?? beginPreemption(draft);
  if (patient.phase === 'delayed') return follow(draft, { ...state, preemption: patient }, event);
  // RFC 9568 §6.4.2: "Discard the ADVERTISEMENT": the timer goes on and makes us Active.
  draft.state = { ...undeferred(state), following: event.source, preemption: patient, awaiting: state.awaiting === 'resignation' ? state.awaiting : 'preemption' };
}

/** The Active has said that it is none any more: by an advert, by ha, or by its programs. */
function expectSuccession(draft: Draft, state: Backup): void {
  const skewUs = skewTimeUs(draft.config.version, effectivePriority(draft), state.activeAdverIntervalUs);
  draft.state = { ...undeferred(state), awaiting: 'resignation', activeDownTimer: startTimer(draft, 'ActiveDown', skewUs) };
}

function undeferred({ deferred: _, ...state }: Backup): Backup {
  return state;
}

/** RFC 9568 §6.1: the owner "always preempts, independent of the setting of this flag". Nobody does before it holds the sessions. */
function mayPreempt(draft: Draft): boolean {
  return draft.synchronised && (draft.config.preempt || draft.config.priority === PRIORITY_OWNER);
}

function beginPreemption(draft: Draft): NonNullable<Backup['preemption']> {
  const { preemptDelayUs } = draft.config;
  if (preemptDelayUs === 0) return { phase: 'due' };
  return { phase: 'delayed', timer: startTimer(draft, 'PreemptDelay', preemptDelayUs) };
}

function withoutPreemption(draft: Draft, state: Backup): Backup {
  if (state.preemption === undefined) return state;
  cancel(draft, 'PreemptDelay');
  const { preemption: _, ...rest } = state;
  return rest;
}

/** RFC 9568 §6.4.2: adopt the Active's interval, reset the Active_Down_Timer to Active_Down_Interval. */
function follow(draft: Draft, state: Backup, event: AdvertisementReceived): void {
  const activeAdverIntervalUs = event.intervalUs;
  const activeDownTimer = startActiveDownTimer(draft, activeAdverIntervalUs);
  draft.state = { ...undeferred(state), activeDownTimer, activeAdverIntervalUs, awaiting: 'advertisement', following: event.source };
}

function activeReceived(draft: Draft, state: Active, event: AdvertisementReceived): void {
  if (isDeaf(draft, state)) return;
  if (event.priority === PRIORITY_RESIGN) {
    // RFC 9568 §6.4.3: "Send an ADVERTISEMENT. Reset the Adver_Timer to Advertisement_Interval."
    return advertise(draft, state);
  }
  // Were we to yield to one that is about to yield to us, nobody would be left; were we to answer it, neither would end.
  if (isFencing(draft.peer, state.term, event.source)) return;
  const yields = reasonToYield(draft, state, event);
  if (yields !== undefined) return becomeBackup(draft, yields, event.intervalUs, event.source);
  // RFC 9568 §6.4.3: "Send an ADVERTISEMENT immediately to assert the {Active} state", so that bridges relearn.
  // The interface without adverts has only gratuitous ARP for that.
  const raised = raiseTerm(draft, state);
  draft.effects.push({ type: 'SendAdvertisement', priority: effectivePriority(draft) });
  draft.state = announceAgain(draft, raised);
}

/** RFC 3768 §7.1: a v2 owner believes nobody. Erratum 8298 has taken that back for v3. One that was silent begins anew. */
function isDeaf(machine: Machine, { wasSilent }: Active): boolean {
  return machine.config.version === 2 && effectivePriority(machine) === PRIORITY_OWNER && !wasSilent;
}

function reasonToYield(machine: Machine, state: Active, event: AdvertisementReceived): TransitionReason | undefined {
  const priority = effectivePriority(machine);
  if (event.priority > priority) return 'higher-priority';
  if (event.priority === priority && event.source > machine.config.primaryAddress) return 'higher-address';
  return state.wasSilent ? 'was-silent' : undefined;
}

/** Once per repetition interval, however many losing adverts come. */
function announceAgain(draft: Draft, state: Active): Active {
  if (state.gratuitousArp?.phase === 'repeat') return state;
  draft.effects.push({ type: 'SendGratuitousArp' });
  const timer = startTimer(draft, 'GratuitousArp', draft.config.gratuitousArpRepeatUs);
  return { ...state, gratuitousArp: { phase: 'repeat', timer } };
}

/** No hold is raised: whoever follows makes us a Backup at once. */
function yieldRole(draft: Draft): void {
  if (draft.state.name === 'Active') resign(draft, 'sync-group');
}

function successorReceived(draft: Draft, state: HandingOver, event: AdvertisementReceived): void {
  if (event.priority !== PRIORITY_RESIGN) succeeded(draft, state, event.intervalUs, event.source);
}

/** Somebody is Active in our place. */
function succeeded(draft: Draft, state: HandingOver, activeAdverIntervalUs: Microseconds, successor?: Ipv4Address): void {
  if (state.lingerTimer !== undefined) return;
  const { stopped, drained, faulty } = draft.holds;
  if (!stopped && !drained && !faulty) return becomeBackup(draft, 'handed-over', activeAdverIntervalUs, successor);
  cancel(draft, 'Adver');
  const lingerTimer = startTimer(draft, 'Linger', draft.config.lingerUs);
  draft.state = { name: 'HandingOver', limitTimer: state.limitTimer, lingerTimer };
}

// ------------------------------------------------------------------------ the peer

function peerSeen(draft: Draft, peer: PeerSight, died: boolean): void {
  const before = draft.peer;
  draft.peer = peer;
  switch (draft.state.name) {
    case 'Initialize': return;
    case 'Backup': return backupSees(draft, draft.state, before, died);
    case 'Active': return activeSees(draft, draft.state);
    case 'HandingOver': return handingOverSees(draft, draft.state);
  }
}

function backupSees(draft: Draft, state: Backup, before: PeerSight, died: boolean): void {
  const { peer } = draft;
  const follows = followsPeer(state, peer);
  if (died && follows) return becomeActive(draft, 'peer-silent');
  if (state.deferred !== undefined) return reasonToDefer(peer, follows) === undefined ? judgeSilence(draft, state) : undefined;
  const stoodDown = peerAnswers(peer) && peerSaysActive(before) === true && peerSaysActive(peer) === false;
  // Heard before its advert of priority 0, or where none can be.
  if (stoodDown && follows && state.awaiting !== 'resignation') expectSuccession(draft, state);
}

/** Where adverts arrive they decide, before we send our next one: most takeovers are by a better priority. */
function activeSees(draft: Draft, state: Active): void {
  if (!draft.peer.answersOnUnderlay) yieldIfFenced(draft, state);
}

function yieldIfFenced(draft: Draft, state: Active): boolean {
  const isOver = isFenced(draft.peer, state.term);
  if (isOver) becomeBackup(draft, 'fenced', draft.config.advertisementIntervalUs);
  return isOver;
}

/** Where no advert arrives, the successor is heard over the ha link. */
function handingOverSees(draft: Draft, state: HandingOver): void {
  const { word } = draft.peer;
  if (word !== undefined && word.isActive && word.term >= draft.highestTerm) succeeded(draft, state, draft.config.advertisementIntervalUs);
}

/** The Active_Down_Interval is over, without an advert. */
function judgeSilence(draft: Draft, state: Backup): void {
  const reason = reasonToDefer(draft.peer, followsPeer(state, draft.peer));
  if (reason !== undefined) return defer(draft, state, reason);
  becomeActive(draft, programsSayActive(draft.peer) ? 'peer-cut-off' : 'active-silent');
}

/** The Active that was heard last is the peer, and no third router. */
function followsPeer({ following }: Backup, { address }: PeerSight): boolean {
  return following !== undefined && following === address;
}

/** Looks again after an interval, and at every news of the peer. */
function defer(draft: Draft, state: Backup, reason: DeferralReason): void {
  if (state.deferred !== reason) draft.effects.push({ type: 'NoteDeferral', reason });
  draft.state = { ...state, deferred: reason, activeDownTimer: startTimer(draft, 'ActiveDown', state.activeAdverIntervalUs) };
}

// ------------------------------------------------------------------------ timers

function adverTimerExpired(draft: Draft, generation: Generation): void {
  const { state } = draft;
  if (state.name === 'Active' && state.adverTimer === generation) return yieldIfFenced(draft, state) ? undefined : advertise(draft, state);
  if (state.name !== 'HandingOver' || state.adverTimer !== generation) return;
  draft.effects.push({ type: 'SendAdvertisement', priority: PRIORITY_RESIGN });
  draft.state = { ...state, adverTimer: startTimer(draft, 'Adver', resignationIntervalUs(draft.config)) };
}

function advertise(draft: Draft, state: Active): void {
  const raised = raiseTerm(draft, state);
  draft.effects.push({ type: 'SendAdvertisement', priority: effectivePriority(draft) });
  const adverTimer = startTimer(draft, 'Adver', draft.config.advertisementIntervalUs);
  draft.state = { ...raised, adverTimer, wasSilent: false };
}

/** After a split the router that stays Active must outrank what the other one did meanwhile. At most once per advert. */
function raiseTerm(draft: Draft, state: Active): Active {
  // Nobody outbids a peer that is Active: one of the two goes.
  if (draft.highestTerm <= state.term || isFenced(draft.peer, state.term)) return state;
  const term = draft.highestTerm + 1;
  draft.highestTerm = term;
  draft.effects.push({ type: 'SetRole', role: 'active', term });
  return { ...state, term };
}

function activeDownTimerExpired(draft: Draft, generation: Generation): void {
  const { state } = draft;
  if (state.name !== 'Backup' || state.activeDownTimer !== generation) return;
  if (state.awaiting === 'preemption' && !mayPreempt(draft)) {
    // The right to preempt was lost while the timer ran; the Active was alive when it was last heard.
    const activeDownTimer = startActiveDownTimer(draft, state.activeAdverIntervalUs);
    draft.state = { ...withoutPreemption(draft, state), activeDownTimer, awaiting: 'advertisement' };
    return;
  }
  if (state.awaiting === 'advertisement') return judgeSilence(draft, state);
  const reasons = { resignation: 'active-resigned', preemption: 'preempting' } as const;
  becomeActive(draft, reasons[state.awaiting]);
}

function gratuitousArpTimerExpired(draft: Draft, generation: Generation): void {
  const { state, config } = draft;
  if (state.name !== 'Active' || state.gratuitousArp?.timer !== generation) return;
  draft.effects.push({ type: 'SendGratuitousArp' });
  const { gratuitousArp: _, ...rest } = state;
  if (config.gratuitousArpRefreshUs === 0) return void (draft.state = rest);
  const timer = startTimer(draft, 'GratuitousArp', config.gratuitousArpRefreshUs);
  draft.state = { ...rest, gratuitousArp: { phase: 'refresh', timer } };
}

function lingerTimerExpired(draft: Draft, generation: Generation): void {
  const { state } = draft;
  if (state.name === 'HandingOver' && state.lingerTimer === generation) {
    cancel(draft, 'HandOver');
    return initialize(draft, 'handed-over');
  }
  if (state.name !== 'Backup' || state.lingerTimer !== generation) return;
  draft.effects.push({ type: 'SetRole', role: 'backup' });
  const { lingerTimer: _, ...rest } = state;
  draft.state = rest;
}

function preemptDelayTimerExpired(draft: Draft, generation: Generation): void {
  const { state } = draft;
  if (state.name !== 'Backup' || state.preemption?.phase !== 'delayed' || state.preemption.timer !== generation) return;
  draft.state = { ...state, preemption: { phase: 'due' } };
}

function handOverTimerExpired(draft: Draft, generation: Generation): void {
  const { state, holds } = draft;
  if (state.name !== 'HandingOver' || state.limitTimer !== generation) return;
  const heard = state.lingerTimer !== undefined;
  if (!heard && !holds.stopped && !holds.faulty && !holds.forced) {
    // Only a drain, and nobody to drain to: an outage is not what was asked for.
    draft.holds = { ...holds, drained: false };
    return becomeActive(draft, 'no-successor');
  }
  cancel(draft, 'Adver', 'Linger');
  initialize(draft, heard ? 'handed-over' : 'no-successor');
}

// ------------------------------------------------------------------------ the rest

function wasSilent(draft: Draft): void {
  if (draft.state.name === 'Active') draft.state = { ...draft.state, wasSilent: true };
}

/** A new priority or interval is advertised at once; a Backup applies it from the next advert on. */
function configChanged(draft: Draft, config: MachineConfig): void {
  const before = { priority: effectivePriority(draft), intervalUs: draft.config.advertisementIntervalUs };
  draft.config = config;
  if (before.intervalUs !== config.advertisementIntervalUs && draft.state.name === 'Active') return advertise(draft, draft.state);
  priorityChanged(draft, before.priority);
}

/** Never keeps us from succeeding a dead Active: only what is advertised and compared changes. */
function penaltyChanged(draft: Draft, penalty: number): void {
  const before = effectivePriority(draft);
  draft.penalty = penalty;
  priorityChanged(draft, before);
}

function priorityChanged(draft: Draft, before: number): void {
  const { state } = draft;
  const now = effectivePriority(draft);
  if (now === before) return;
  if (state.name === 'Active') return advertise(draft, state);
  if (now > before || state.name !== 'Backup' || state.awaiting !== 'preemption') return;
  // The right to preempt may be gone; the next advert tells.
  draft.state = { ...withoutPreemption(draft, state), activeDownTimer: startActiveDownTimer(draft, state.activeAdverIntervalUs), awaiting: 'advertisement' };
}

function transition(draft: Draft, to: State, reason: TransitionReason): void {
  const from: StateName = draft.state.name;
  draft.state = to;
  draft.effects.push({ type: 'RecordTransition', from, to: to.name, reason });
}

function startTimer(draft: Draft, timer: TimerName, afterUs: Microseconds): Generation {
  draft.generation += 1;
  draft.effects.push({ type: 'StartTimer', timer, generation: draft.generation, afterUs });
  return draft.generation;
}

function cancel(draft: Draft, ...timers: TimerName[]): void {
  const runs = runningTimers(draft.state);
  for (const timer of timers) if (runs.includes(timer)) draft.effects.push({ type: 'CancelTimer', timer });
}

/** The timers that a state owns. */
export function runningTimers(state: State): readonly TimerName[] {
  const owned: TimerName[] = [];
  if (state.name === 'Backup') owned.push('ActiveDown');
  if (state.name === 'Backup' && state.preemption?.phase === 'delayed') owned.push('PreemptDelay');
  if (state.name === 'HandingOver') owned.push('HandOver');
  if ((state.name === 'Backup' || state.name === 'HandingOver') && state.lingerTimer !== undefined) owned.push('Linger');
  if (state.name === 'Active' || (state.name === 'HandingOver' && state.adverTimer !== undefined)) owned.push('Adver');
  if (state.name === 'Active' && state.gratuitousArp !== undefined) owned.push('GratuitousArp');
  return owned;
}
