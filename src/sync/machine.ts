/**
 * Who holds what: liveness of the peer, the hello exchange and bulk
 * synchronisation, as (state, event) → (state, ordered effects).
 *
 * Each gateway has a **generation**, which grows whenever it may hold state that
 * its peer was never sent: at start, when the peer falls silent, when a session
 * was created unprotected. Each gateway also says which generation of its peer
 * it **holds** in full. A gateway whose peer holds less than its generation
 * sends all it has in rounds until one round is acknowledged completely, then
 * says so (`bulkComplete`). Sessions created meanwhile are committed one by one,
 * so a complete round plus those is everything.
 *
 * A gateway is **synchronised** while it hears its peer and holds its generation.
 * It decides only about preemption. A peer that is silent here may be Active all
 * the same, for adverts take another way, and makes sessions that we never see.
 */
import { SYNC_VERSION } from './frame.js';
import { VIRTUAL_ROUTERS_PER_HELLO } from './messages.js';
import type { BulkComplete, Hello, Message, VirtualRouterView } from './messages.js';

export interface SyncMachineConfig {
  readonly name: string;
  readonly id: number;
  readonly epoch: number;
  /** Our own on the underlay. */
  readonly underlayAddress: number;
  /** First generation and first want: any number that no earlier run of this gateway used, such as Unix ms. */
  readonly instance: number;
  /** The peer counts as silent after this long without an authentic frame. */
  readonly soloAfterNs: bigint;
  /** How often a hello goes out. */
  readonly helloIntervalNs: bigint;
  /** How long the acknowledgement of a round's last frame is waited for. */
  readonly acknowledgementTimeoutNs: bigint;
  /** How long after a failed series of rounds the next one starts. */
  readonly retryAfterNs: bigint;
  /** Rounds in one series. */
  readonly maxRounds: number;
}

export const SYNC_MACHINE_DEFAULTS = {
  helloIntervalNs: 100_000_000n,
  acknowledgementTimeoutNs: 200_000_000n,
  retryAfterNs: 1_000_000_000n,
  maxRounds: 5,
} as const;

type Peer =
  | { readonly kind: 'Silent' }
  | { readonly kind: 'Alive'; readonly hello?: Hello; readonly helloNs: bigint };

/** Frames before `baseSent` were answered or given up when the round began. */
interface Round {
  readonly generation: number;
  readonly want: number;
  readonly round: number;
  readonly baseSent: bigint;
  readonly baseAcknowledged: bigint;
}

type Bulk =
  | { readonly kind: 'Idle'; readonly notBeforeNs: bigint }
  /** Waits until no earlier records frame is outstanding, so that late answers are not counted for the round. */
  | { readonly kind: 'Settling'; readonly want: number; readonly deadlineNs: bigint }
  | ({ readonly kind: 'Walking' } & Round)
  | ({ readonly kind: 'AwaitingAcknowledgements'; readonly deadlineNs: bigint } & Round);

export interface SyncState {
  readonly generation: number;
  readonly want: number;
  readonly holds: number | undefined;
  readonly synchronised: boolean;
  readonly peer: Peer;
  readonly bulk: Bulk;
  /** What the peer has been sent in full, and for which of its requests. */
  readonly completed: { readonly generation: number; readonly want: number } | undefined;
  readonly nextHelloNs: bigint;
  readonly unprotected: bigint;
}

/** Counts since the data plane was loaded, and the time, read together. */
export interface Reading {
  /** CLOCK_MONOTONIC. */
  readonly nowNs: bigint;
  /** CLOCK_MONOTONIC of the peer's last authentic frame; 0: never. */
  readonly peerHeardNs: bigint;
  /** SYNC_RECORDS frames of bulk synchronisation that this daemon sent. */
  readonly sent: bigint;
  /** Those that the peer applied and turned round. */
  readonly acknowledged: bigint;
  /** Sessions created while the peer was silent. */
  readonly unprotected: bigint;
}

/** `virtualRouters` is read where a hello is due only. */
export interface Polled {
  readonly type: 'Polled';
  readonly reading: Reading;
  readonly virtualRouters: readonly VirtualRouterView[];
}

export type SyncEvent =
  | Polled
  | { readonly type: 'MessageReceived'; readonly nowNs: bigint; readonly message: Hello | BulkComplete }
  /** A program noticed a silence that may have been over before the next poll. */
  | { readonly type: 'PeerSilenceReported'; readonly nowNs: bigint }
  | { readonly type: 'BulkWalkEnded'; readonly nowNs: bigint }
  /** A role changed: the peer should hear of it now. */
  | { readonly type: 'RolesChanged'; readonly nowNs: bigint; readonly virtualRouters: readonly VirtualRouterView[] };

export type SyncEffect =
  | { readonly type: 'SendMessage'; readonly message: Message }
  | { readonly type: 'StartBulkWalk'; readonly round: number }
  | { readonly type: 'StopBulkWalk' }
  | { readonly type: 'PeerAppeared' }
  | { readonly type: 'PeerVanished' }
  | { readonly type: 'SynchronisedChanged'; readonly synchronised: boolean }
  | { readonly type: 'PeerRolesHeard'; readonly virtualRouters: readonly VirtualRouterView[] }
  /** Where its heartbeats on the underlay come from, and are answered. */
  | { readonly type: 'PeerPlaceHeard'; readonly underlayAddress: number }
  | { readonly type: 'BulkCompleted'; readonly rounds: number; readonly frames: bigint }
  | { readonly type: 'BulkFailed'; readonly rounds: number; readonly missing: bigint };

export interface SyncStep {
  readonly state: SyncState;
  readonly effects: readonly SyncEffect[];
}

export function initialSyncState(config: SyncMachineConfig): SyncState {
  return {
    generation: config.instance,
    want: config.instance,
    holds: undefined,
    synchronised: false,
    peer: { kind: 'Silent' },
    bulk: { kind: 'Idle', notBeforeNs: 0n },
    completed: undefined,
    nextHelloNs: 0n,
    unprotected: 0n,
  };
}

export function stepSync(config: SyncMachineConfig, state: SyncState, event: SyncEvent): SyncStep {
  switch (event.type) {
    case 'Polled':
      return polled(config, state, event);
    case 'MessageReceived':
      return event.message.type === 'hello'
        ? helloReceived(state, event.message, event.nowNs)
        : bulkCompleteReceived(state, event.message);
    case 'PeerSilenceReported':
      return { state: state.peer.kind === 'Alive' ? nextGeneration(state) : state, effects: [] };
    case 'BulkWalkEnded':
      return { state: walkEnded(config, state, event.nowNs), effects: [] };
    case 'RolesChanged':
      return { state: { ...state, nextHelloNs: event.nowNs + config.helloIntervalNs }, effects: hellos(config, state, event.nowNs, event.virtualRouters) };
  }
}

function polled(config: SyncMachineConfig, before: SyncState, event: Polled): SyncStep {
  const { reading } = event;
  const effects: SyncEffect[] = [];
  let state = noteUnprotected(before, reading.unprotected);
  const alive = reading.peerHeardNs !== 0n && reading.nowNs - reading.peerHeardNs < config.soloAfterNs;
  if (alive && state.peer.kind === 'Silent') state = peerAppeared(state, effects);
  if (!alive && state.peer.kind === 'Alive') state = peerVanished(state, effects);
  // What is new is told before anything that a round of before has completed.
  if (reading.nowNs >= state.nextHelloNs) {
    effects.push(...hellos(config, state, reading.nowNs, event.virtualRouters));
    state = { ...state, nextHelloNs: reading.nowNs + config.helloIntervalNs };
  }
  return { state: driveBulk(config, state, reading, effects), effects };
}

/** While the peer is silent its return starts a bulk run anyway; while it is alive this tells that a silence was missed. */
function noteUnprotected(state: SyncState, unprotected: bigint): SyncState {
  if (unprotected === state.unprotected) return state;
  const noted = { ...state, unprotected };
  return state.peer.kind === 'Alive' ? nextGeneration(noted) : noted;
}

/** A peer that was told that it holds everything hears at once that it does not. */
function nextGeneration(state: SyncState): SyncState {
  const isTold = state.completed?.generation === state.generation;
  return { ...state, generation: state.generation + 1, nextHelloNs: isTold ? 0n : state.nextHelloNs };
}

/** What the peer did in its silence is unknown: ask for all of it again. */
function peerAppeared(state: SyncState, effects: SyncEffect[]): SyncState {
  effects.push({ type: 'PeerAppeared' });
  const asking: SyncState = { ...state, peer: { kind: 'Alive', helloNs: 0n }, holds: undefined, want: state.want + 1, nextHelloNs: 0n };
  return settleSynchronised(asking, effects);
}

function peerVanished(state: SyncState, effects: SyncEffect[]): SyncState {
  effects.push({ type: 'PeerVanished' });
  return settleSynchronised({ ...nextGeneration(stopBulk(state, 0n, effects)), peer: { kind: 'Silent' } }, effects);
}

function stopBulk(state: SyncState, notBeforeNs: bigint, effects: SyncEffect[]): SyncState {
  if (state.bulk.kind === 'Walking') effects.push({ type: 'StopBulkWalk' });
  return { ...state, bulk: { kind: 'Idle', notBeforeNs } };
}

function settleSynchronised(state: SyncState, effects: SyncEffect[]): SyncState {
  const hello = state.peer.kind === 'Alive' ? state.peer.hello : undefined;
  const synchronised = hello !== undefined && hello.generation === state.holds;
  if (synchronised === state.synchronised) return state;
  effects.push({ type: 'SynchronisedChanged', synchronised });
  return { ...state, synchronised };
}

function helloReceived(before: SyncState, hello: Hello, nowNs: bigint): SyncStep {
  const effects: SyncEffect[] = [];
  let state = before;
  const known = state.peer.kind === 'Alive' ? state.peer.hello : undefined;
  if (known !== undefined && isOvertaken(hello, known)) return { state, effects };
  // A control frame is as authentic as a heartbeat, and may be polled before it.
  if (state.peer.kind === 'Silent') state = peerAppeared(state, effects);
  // The peer lost its tables: what it made before them is of no use, and what it makes now is new.
  if (known !== undefined && known.epoch !== hello.epoch) state = { ...state, holds: undefined, want: state.want + 1, nextHelloNs: 0n };
  state = { ...state, peer: { kind: 'Alive', hello, helloNs: nowNs } };
  if (hello.underlayAddress !== undefined && hello.underlayAddress !== known?.underlayAddress) effects.push({ type: 'PeerPlaceHeard', underlayAddress: hello.underlayAddress });
  if (hello.virtualRouters.length > 0) effects.push({ type: 'PeerRolesHeard', virtualRouters: hello.virtualRouters });
  state = settleSynchronised(state, effects);
  if (lacks(state, hello) && isCompleted(state, hello)) {
    // It holds everything and has not heard so: the message was lost.
    effects.push({ type: 'SendMessage', message: { type: 'bulkComplete', generation: state.generation, want: hello.want } });
  }
  return { state, effects };
}

/** What it says was so, and is not: a clock that counts from its node's start outlives every epoch. */
function isOvertaken(hello: Hello, known: Hello): boolean {
  return hello.epoch === known.epoch && hello.sentUs !== undefined && known.sentUs !== undefined && hello.sentUs < known.sentUs;
}

/** Of a peer that has not said since it appeared who it is, it may be of its former tables; it is repeated. */
function bulkCompleteReceived(before: SyncState, message: BulkComplete): SyncStep {
  const isOfNow = before.peer.kind === 'Alive' && before.peer.hello !== undefined;
  if (!isOfNow || message.want !== before.want) return { state: before, effects: [] };
  const effects: SyncEffect[] = [];
  const state = settleSynchronised({ ...before, holds: message.generation, nextHelloNs: 0n }, effects);
  return { state, effects };
}

function lacks(state: SyncState, hello: Hello): boolean {
  return hello.holds !== state.generation;
}

function isCompleted(state: SyncState, hello: Hello): boolean {
  return state.completed?.generation === state.generation && state.completed.want === hello.want;
}

function driveBulk(config: SyncMachineConfig, state: SyncState, reading: Reading, effects: SyncEffect[]): SyncState {
  const { bulk, peer } = state;
  if (peer.kind === 'Silent' || peer.hello === undefined) return state;
  const { hello } = peer;
  if (bulk.kind === 'Idle') {
    const due = lacks(state, hello) && !isCompleted(state, hello) && reading.nowNs >= bulk.notBeforeNs;
    if (!due) return state;
    const deadlineNs = reading.nowNs + config.acknowledgementTimeoutNs;
    return driveBulk(config, { ...state, bulk: { kind: 'Settling', want: hello.want, deadlineNs } }, reading, effects);
  }
  // The round answers an older request. What is newer than its generation gets a round of its own
  // when it ends: were it to begin anew each time, a peer that lacks room for some would never get the rest.
  if (bulk.want !== hello.want) return stopBulk(state, 0n, effects);
  if (bulk.kind === 'Settling') {
    const settled = reading.acknowledged >= reading.sent || reading.nowNs >= bulk.deadlineNs;
    return settled ? startRound(state, { ...bulk, round: 1 }, reading, effects) : state;
  }
  return bulk.kind === 'AwaitingAcknowledgements' ? judgeRound(config, state, bulk, reading, effects) : state;
}

/** Every round goes over everything, so it stands for what there is when it begins. */
function startRound(state: SyncState, { want, round }: { want: number; round: number }, reading: Reading, effects: SyncEffect[]): SyncState {
  effects.push({ type: 'StartBulkWalk', round });
  return { ...state, bulk: { kind: 'Walking', generation: state.generation, want, round, baseSent: reading.sent, baseAcknowledged: reading.acknowledged } };
}

function walkEnded(config: SyncMachineConfig, state: SyncState, nowNs: bigint): SyncState {
  if (state.bulk.kind !== 'Walking') return state;
  return { ...state, bulk: { ...state.bulk, kind: 'AwaitingAcknowledgements', deadlineNs: nowNs + config.acknowledgementTimeoutNs } };
}

function judgeRound(config: SyncMachineConfig, state: SyncState, bulk: Round & { deadlineNs: bigint }, reading: Reading, effects: SyncEffect[]): SyncState {
  const frames = reading.sent - bulk.baseSent;
  const missing = frames - (reading.acknowledged - bulk.baseAcknowledged);
  if (missing <= 0n) {
    const { generation, want } = bulk;
    effects.push({ type: 'BulkCompleted', rounds: bulk.round, frames });
    // Of what is new since the round began the peer lacks some.
    if (generation === state.generation) effects.push({ type: 'SendMessage', message: { type: 'bulkComplete', generation, want } });
    return { ...state, bulk: { kind: 'Idle', notBeforeNs: 0n }, completed: { generation, want } };
  }
  if (reading.nowNs < bulk.deadlineNs) return state;
  if (bulk.round < config.maxRounds) return startRound(state, { ...bulk, round: bulk.round + 1 }, reading, effects);
  effects.push({ type: 'BulkFailed', rounds: bulk.round, missing });
  return { ...state, bulk: { kind: 'Idle', notBeforeNs: reading.nowNs + config.retryAfterNs } };
}

function hellos(config: SyncMachineConfig, state: SyncState, nowNs: bigint, virtualRouters: readonly VirtualRouterView[]): SyncEffect[] {
  const effects: SyncEffect[] = [];
  let from = 0;
  do {
    const part = virtualRouters.slice(from, from + VIRTUAL_ROUTERS_PER_HELLO);
    effects.push({ type: 'SendMessage', message: hello(config, state, nowNs, part) });
    from += VIRTUAL_ROUTERS_PER_HELLO;
  } while (from < virtualRouters.length);
  return effects;
}

function hello(config: SyncMachineConfig, state: SyncState, nowNs: bigint, virtualRouters: readonly VirtualRouterView[]): Hello {
  const { name, id, epoch, underlayAddress } = config;
  const sentUs = Number(nowNs / 1000n);
  return { type: 'hello', version: SYNC_VERSION, name, id, epoch, underlayAddress, sentUs, generation: state.generation, holds: state.holds ?? null, want: state.want, virtualRouters };
}
