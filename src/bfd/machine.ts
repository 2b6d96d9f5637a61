/**
 * A BFD session of RFC 5880 in asynchronous mode as a function from (session,
 * event) to (session, effects). No clock, no socket: a timer is a number that
 * comes back. We take the passive role (§6.1): nothing is sent to who has not
 * spoken. No demand mode of our own, no echo, no authentication.
 *
 * What is ours beyond the RFC is `adoptable`, see `adopt`.
 */
import { diagnostic } from './control-packet.js';
import type { ControlPacket, SessionState } from './control-packet.js';

export interface SessionConfig {
  /** bfd.LocalDiscr: not zero. */
  readonly localDiscriminator: number;
  /** bfd.DetectMult: 1 to 255. */
  readonly detectMult: number;
  /** While the session is Up; before that at least a second (§6.8.3). */
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
}

/** The variables of RFC 5880 §6.8.1, less those of echo, demand and authentication. */
export interface Session {
  readonly config: SessionConfig;
  readonly sessionState: SessionState;
  readonly remoteSessionState: SessionState;
  readonly localDiagnostic: number;
  /** 0: not known. */
  readonly remoteDiscriminator: number;
  readonly remoteMinRxUs: number;
  /** Of the last packet; 0 before it. */
  readonly remoteDesiredMinTxUs: number;
  readonly remoteDetectMult: number;
  /** The remote wants no periodic packets while both are Up (§6.6). */
  readonly remoteDemandMode: boolean;
  /** What our packets say. */
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
  /** A Poll Sequence is under way (§6.5). */
  readonly polling: boolean;
  /** What holds until it ends, where a change has to wait for that (§6.8.3). */
  readonly transmitAsUs: number;
  readonly detectAsUs: number;
  /** Nothing was heard yet. */
  readonly adoptable: boolean;
  /** What is being sent, over and over. */
  readonly periodic: Periodic | undefined;
  /** Of the detection timer that was started last. */
  readonly generation: number;
}

export interface Periodic {
  readonly packet: ControlPacket;
  /** Before jitter. */
  readonly intervalUs: number;
}

export type Event =
  /** One that §6.8.6 does not discard before it looks for a session. */
  | { readonly type: 'PacketReceived'; readonly packet: ControlPacket }
  | { readonly type: 'DetectionTimerExpired'; readonly generation: number }
  /** §6.8.16. */
  | { readonly type: 'Disabled' }
  | { readonly type: 'ConfigChanged'; readonly config: SessionConfig };

/** To be carried out in the order given. */
export type Effect =
  /** Once, now, whatever the interval. */
  | { readonly type: 'Transmit'; readonly packet: ControlPacket }
  /** In place of what was before; the edge takes 0 to 25 % off each interval, or with a detectMult of 1 10 to 25 % (§6.8.7). */
  | ({ readonly type: 'TransmitPeriodically' } & Periodic)
  | { readonly type: 'StopTransmitting' }
  /** In place of the one before; counted from when the packet came. */
  | { readonly type: 'StartDetectionTimer'; readonly generation: number; readonly afterUs: number }
  | { readonly type: 'RecordTransition'; readonly from: SessionState; readonly to: SessionState; readonly diagnostic: number; readonly adopted: boolean };

export interface Step {
  readonly session: Session;
  readonly effects: readonly Effect[];
}

/** §6.8.3: slower than that while the session is not Up. */
const SLOW_TX_US = 1_000_000;

/** A session that nothing was heard of. @throws RangeError for a discriminator of zero */
export function createSession(config: SessionConfig): Session {
  if (config.localDiscriminator === 0) throw new RangeError('a discriminator is not zero (RFC 5880 §6.3)');
  const desiredMinTxUs = Math.max(config.desiredMinTxUs, SLOW_TX_US);
  return {
    config,
    sessionState: 'Down',
    remoteSessionState: 'Down',
    localDiagnostic: diagnostic.none,
    remoteDiscriminator: 0,
    remoteMinRxUs: 1,
    remoteDesiredMinTxUs: 0,
    remoteDetectMult: 0,
    remoteDemandMode: false,
    desiredMinTxUs,
    requiredMinRxUs: config.requiredMinRxUs,
    polling: false,
    transmitAsUs: desiredMinTxUs,
    detectAsUs: config.requiredMinRxUs,
    adoptable: true,
    periodic: undefined,
    generation: 0,
  };
}

/** What an event makes of a session. Total: every event is allowed in every state. */
export function step(session: Session, event: Event): Step {
  const draft: Draft = { ...session, effects: [] };
  handle(draft, event);
  follow(draft);
  const { effects, ...next } = draft;
  return { session: next, effects };
}

/** §6.8.4: how long the remote may be silent. 0: nothing was heard of it. */
export function detectionTimeUs({ remoteDetectMult, detectAsUs, remoteDesiredMinTxUs }: Session): number {
  return remoteDetectMult * Math.max(detectAsUs, remoteDesiredMinTxUs);
}

/** §6.8.7: between two packets, before jitter. */
export function transmitIntervalUs({ transmitAsUs, remoteMinRxUs }: Session): number {
  return Math.max(transmitAsUs, remoteMinRxUs);
}

/** What we say now. */
export function controlPacket(session: Session, bits: { readonly poll?: boolean; readonly final?: boolean } = {}): ControlPacket {
  return {
    diagnostic: session.localDiagnostic,
    state: session.sessionState,
    poll: bits.poll ?? false,
    final: bits.final ?? false,
    demand: false,
    detectMult: session.config.detectMult,
    myDiscriminator: session.config.localDiscriminator,
    yourDiscriminator: session.remoteDiscriminator,
    desiredMinTxUs: session.desiredMinTxUs,
    requiredMinRxUs: session.requiredMinRxUs,
  };
}

/** The session while one event is worked on. Never leaves this file. */
type Draft = { -readonly [K in keyof Session]: Session[K] } & { effects: Effect[] };

function handle(draft: Draft, event: Event): void {
  switch (event.type) {
    case 'PacketReceived': return packetReceived(draft, event.packet);
    case 'DetectionTimerExpired': return detectionTimerExpired(draft, event.generation);
    case 'Disabled': return disabled(draft);
    case 'ConfigChanged': return configChanged(draft, event.config);
  }
}

// ------------------------------------------------------------------- reception

/** §6.8.6, from where the session is known. */
function packetReceived(draft: Draft, packet: ControlPacket): void {
  const { yourDiscriminator } = packet;
  if (yourDiscriminator !== 0 && yourDiscriminator !== draft.config.localDiscriminator) return;
  const isFirst = draft.adoptable;
  draft.adoptable = false;
  draft.remoteDiscriminator = packet.myDiscriminator;
  draft.remoteSessionState = packet.state;
  draft.remoteMinRxUs = packet.requiredMinRxUs;
  draft.remoteDesiredMinTxUs = packet.desiredMinTxUs;
  draft.remoteDetectMult = packet.detectMult;
  draft.remoteDemandMode = packet.demand;
  if (packet.final && draft.polling) {
    endPoll(draft);
    agree(draft);
  }
  // Also of an AdminDown, which discards the packet here: for as long as it knows the remote.
  startDetectionTimer(draft);
  if (draft.sessionState === 'AdminDown') return;
  const from = draft.sessionState;
  remoteSays(draft, packet, isFirst);
  if (packet.poll) draft.effects.push({ type: 'Transmit', packet: controlPacket(draft, { final: true }) });
  else if (draft.sessionState !== from) draft.effects.push({ type: 'Transmit', packet: controlPacket(draft, { poll: draft.polling }) });
}

/** The state machine of §6.2. */
function remoteSays(draft: Draft, packet: ControlPacket, isFirst: boolean): void {
  const { state } = packet;
  if (state === 'AdminDown') {
    if (draft.sessionState !== 'Down') transition(draft, 'Down', diagnostic.neighborSignaledSessionDown);
    return;
  }
  switch (draft.sessionState) {
    case 'Down':
      if (state === 'Down') return transition(draft, 'Init', draft.localDiagnostic);
      if (state === 'Init') return transition(draft, 'Up', draft.localDiagnostic);
      return adopt(draft, packet, isFirst);
    case 'Init':
      if (state !== 'Down') transition(draft, 'Up', draft.localDiagnostic);
      return;
    case 'Up':
      if (state === 'Down') transition(draft, 'Down', diagnostic.neighborSignaledSessionDown);
      return;
    case 'AdminDown':
  }
}

/**
 * The two gateways of a virtual router are one system to those who speak with it:
 * they share its address, its MAC and, since they derive them alike, its
 * discriminators. What says Up to a discriminator that is not easily guessed has
 * shaken hands with one of them, and after a takeover it goes on with the other,
 * which has neither said nor heard anything in this session: nothing that it could
 * have to take back. That the way to the remote is whole as well, the remote's own
 * detection says, as ever. A session that has heard anything before is not adopted:
 * it may have gone Down without the remote's knowledge, and has to say so.
 */
function adopt(draft: Draft, packet: ControlPacket, isFirst: boolean): void {
  if (isFirst && packet.yourDiscriminator === draft.config.localDiscriminator) transition(draft, 'Up', diagnostic.none, true);
}

// ---------------------------------------------------------------------- timers

/** §6.8.4. The remote is told once where it might still hear us; then it is forgotten, and passive as we are we are silent (§6.8.1, §6.8.7). */
function detectionTimerExpired(draft: Draft, generation: number): void {
  if (generation !== draft.generation) return;
  if (draft.sessionState === 'Init' || draft.sessionState === 'Up') {
    transition(draft, 'Down', diagnostic.controlDetectionTimeExpired);
    draft.effects.push({ type: 'Transmit', packet: controlPacket(draft) });
  }
  draft.remoteDiscriminator = 0;
  endPoll(draft);
}

/** §6.8.16: said for one more Detection Time. */
function disabled(draft: Draft): void {
  if (draft.sessionState === 'AdminDown') return;
  transition(draft, 'AdminDown', diagnostic.administrativelyDown);
  if (draft.remoteDiscriminator === 0) return;
  draft.effects.push({ type: 'Transmit', packet: controlPacket(draft) });
  startDetectionTimer(draft);
}

function startDetectionTimer(draft: Draft): void {
  draft.generation += 1;
  draft.effects.push({ type: 'StartDetectionTimer', generation: draft.generation, afterUs: detectionTimeUs(draft) });
}

// ------------------------------------------------------------------ parameters

function configChanged(draft: Draft, config: SessionConfig): void {
  // The remote takes a new one from what we send (§6.3), but one that is new to us alone would cut it off.
  draft.config = { ...config, localDiscriminator: draft.config.localDiscriminator };
  agree(draft);
}

function transition(draft: Draft, to: SessionState, localDiagnostic: number, adopted = false): void {
  const from = draft.sessionState;
  if (from === to) return;
  draft.sessionState = to;
  draft.localDiagnostic = localDiagnostic;
  agree(draft);
  draft.effects.push({ type: 'RecordTransition', from, to, diagnostic: localDiagnostic, adopted });
}

/** §6.8.3: what our packets say from now on, and what has to wait for the end of a Poll Sequence. */
function agree(draft: Draft): void {
  const isUp = draft.sessionState === 'Up';
  // A Final that is on its way answers what was said until now: the next change waits for it.
  if (isUp && draft.polling) return;
  const desiredMinTxUs = isUp ? draft.config.desiredMinTxUs : Math.max(draft.config.desiredMinTxUs, SLOW_TX_US);
  const { requiredMinRxUs } = draft.config;
  const changed = desiredMinTxUs !== draft.desiredMinTxUs || requiredMinRxUs !== draft.requiredMinRxUs;
  draft.desiredMinTxUs = desiredMinTxUs;
  draft.requiredMinRxUs = requiredMinRxUs;
  // A longer interval of ours, or a shorter one of theirs, would be taken for silence by who has not heard of it.
  draft.transmitAsUs = isUp ? Math.min(draft.transmitAsUs, desiredMinTxUs) : desiredMinTxUs;
  draft.detectAsUs = isUp ? Math.max(draft.detectAsUs, requiredMinRxUs) : requiredMinRxUs;
  if (changed) draft.polling = draft.remoteDiscriminator !== 0;
  if (!draft.polling) endPoll(draft);
}

/** §6.5: the remote has heard of what our packets say. */
function endPoll(draft: Draft): void {
  draft.polling = false;
  draft.transmitAsUs = draft.desiredMinTxUs;
  draft.detectAsUs = draft.requiredMinRxUs;
}

/** Has sent periodically what the session is now (§6.8.7). */
function follow(draft: Draft): void {
  // Passive: not before something was heard. And never to who asks for nothing.
  const wanted = draft.remoteDiscriminator === 0 || draft.remoteMinRxUs === 0 || isSpared(draft)
    ? undefined
    : { packet: controlPacket(draft, { poll: draft.polling }), intervalUs: transmitIntervalUs(draft) };
  if (isSame(draft.periodic, wanted)) return;
  draft.periodic = wanted;
  draft.effects.push(wanted === undefined ? { type: 'StopTransmitting' } : { type: 'TransmitPeriodically', ...wanted });
}

/** §6.6: a Poll Sequence goes on all the same. */
function isSpared({ remoteDemandMode, sessionState, remoteSessionState, polling }: Draft): boolean {
  return remoteDemandMode && sessionState === 'Up' && remoteSessionState === 'Up' && !polling;
}

function isSame(a: Periodic | undefined, b: Periodic | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const keys = Object.keys(a.packet) as (keyof ControlPacket)[];
  return a.intervalUs === b.intervalUs && keys.every((key) => a.packet[key] === b.packet[key]);
}
