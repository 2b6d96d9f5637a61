/**
 * How long the programs go on as Active when nobody renews their lease.
 *
 * The lease ends so that a gateway whose daemon has died makes way for the
 * Backup that takes over. Where nobody would (the peer is drained, has a fault,
 * or its daemon is down while its programs still answer), its end would only
 * stop the traffic until the daemon has been restarted.
 */
import { virtualRouterState } from '../dataplane/layout.generated.js';
import type { VirtualRouterView } from '../sync/messages.js';

/** For the restart of a daemon; short, because a peer that comes back meanwhile is not told of it. */
export const PATIENT_LEASE_NS = 10_000_000_000n;

export interface PeerView {
  /** A daemon is there and speaks. */
  readonly listens: boolean;
  readonly virtualRouters: readonly VirtualRouterView[];
}

/** Whether the peer would become Active for this VRID. `undefined`, no replication: who listens is not known, so it would. */
export function wouldFollow(peer: PeerView | undefined, vrid: number): boolean {
  if (peer === undefined) return true;
  const ready = ({ state }: VirtualRouterView): boolean => state === virtualRouterState.backup || state === virtualRouterState.active;
  return peer.listens && peer.virtualRouters.some((view) => view.vrid === vrid && ready(view));
}

/** CLOCK_MONOTONIC. `electionUntilNs`: what the election wants, a little longer than a Backup waits. */
export function leaseUntil(electionUntilNs: bigint, nowNs: bigint, followed: boolean): bigint {
  const patientNs = nowNs + PATIENT_LEASE_NS;
  return followed || patientNs < electionUntilNs ? electionUntilNs : patientNs;
}
