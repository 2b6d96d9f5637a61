/** What heartbeats and hellos say of the peer, put together for each virtual router. Rules alone; who listens is in liveness.ts. */
import type { Ipv4Address } from '../config/address.js';
import { virtualRouterState } from '../dataplane/layout.generated.js';
import type { SyncPath } from '../sync/frame.js';
import type { VirtualRouterView } from '../sync/messages.js';
import type { PeerSight, PeerWord } from '../vrrp/peer.js';

/** Its control plane may be stopped after this long without a word: five hellos. */
export const WORD_LOST_NS = 500_000_000n;
/** Ways that fall silent within so long of each other have one cause: the peer has died, or was cut off whole. */
export const TOGETHER_NS = 1_000_000_000n;

/** After so long without a frame that is not sealed with our key nobody sends such any more. */
const STRANGERS_LOST_NS = 500_000_000n;

/** Frames that are not sealed with our key: a peer that has another one sends them all the time. */
export interface Strangers {
  readonly count: bigint;
  /** CLOCK_MONOTONIC of when there were last more of them; undefined: never. */
  readonly heardNs: bigint | undefined;
}

/** `count`: those that the programs have dropped so far. */
export function noteStrangers(before: Strangers, count: bigint, nowNs: bigint): Strangers {
  return count === before.count ? before : { count, heardNs: nowNs };
}

export function areHeard({ heardNs }: Strangers, nowNs: bigint): boolean {
  return heardNs !== undefined && nowNs - heardNs < STRANGERS_LOST_NS;
}

/** What the programs and the thread that sends heartbeats have found, at one moment. */
export interface Answers {
  /** Ways by which the peer answers. */
  readonly answering: ReadonlySet<SyncPath>;
  /** A bit for each VRID; undefined: of a version that does not tell. */
  readonly roles: readonly bigint[] | undefined;
}

export interface HeardView {
  readonly view: VirtualRouterView;
  /** CLOCK_MONOTONIC. */
  readonly atNs: bigint;
}

export interface Known {
  readonly answers: Answers;
  /** The peer's own on the underlay; 0: not told. */
  readonly address: number;
  readonly heard: HeardView | undefined;
  readonly nowNs: bigint;
}

export interface Ours {
  readonly vrid: number;
  readonly penalty: number;
  /** Of the two gateways. */
  readonly id: number;
}

export function sightOf({ answers, address, heard, nowNs }: Known, ours: Ours): PeerSight {
  const { answering, roles } = answers;
  const word = heard !== undefined && nowNs - heard.atNs < WORD_LOST_NS ? wordOf(heard.view, ours) : undefined;
  return {
    ...(address !== 0 && { address: address as Ipv4Address }),
    answersOnHa: answering.has('ha'),
    answersOnUnderlay: answering.has('underlay'),
    ...(roles !== undefined && answering.size > 0 && { isActive: includes(roles, ours.vrid) }),
    ...(word !== undefined && { word }),
  };
}

function wordOf({ state, term, penalty }: VirtualRouterView, ours: Ours): PeerWord {
  const fitness = penalty === ours.penalty ? 'equal' : penalty > ours.penalty ? 'worse' : 'better';
  return { isActive: state === virtualRouterState.active, term, fitness, winsTies: ours.id === 1 };
}

function includes(roles: readonly bigint[], vrid: number): boolean {
  return ((roles[vrid >> 6] ?? 0n) >> BigInt(vrid & 63) & 1n) === 1n;
}

/**
 * Whether the peer has died, rather than lost one way after the other, or answers
 * under another key than ours: of that VRRP decides. `answeredNs`: CLOCK_MONOTONIC of
 * the last answer on each way, 0 for never.
 */
export function hasDied(before: Answers, now: Answers, answeredNs: readonly bigint[], strangers: Strangers, nowNs: bigint): boolean {
  if (before.answering.size === 0 || now.answering.size > 0 || areHeard(strangers, nowNs)) return false;
  return answeredNs.every((at) => at !== 0n && nowNs - at < TOGETHER_NS);
}
