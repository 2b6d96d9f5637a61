/** What is to be known of a gateway: for the API, and for metrics. */
import type { BfdStatus, RouterStatus, Status, TrackedStatus, VirtualRouterStatus } from '../api/status.js';
import { formatIpv4 } from '../config/address.js';
import type { AttachedInterface } from '../dataplane/dataplane.js';
import { virtualRouterState, virtualRouterStateNames } from '../dataplane/layout.generated.js';
import type { MetricsSource } from '../metrics/metrics.js';
import { SYNC_VERSION, syncPaths } from '../sync/frame.js';
import type { Election } from '../vrrp/election.js';
import { deferralReasons } from '../vrrp/peer.js';
import { monotonicNs, replicates } from './basis.js';
import type { Basis } from './basis.js';
import type { Bfd } from './bfd.js';
import type { Elections, RunningElection } from './elections.js';
import type { Faults } from './faults.js';
import type { NextHops } from './next-hops.js';
import { publicState, reasonOf } from './public-state.js';
import type { SlowPackets } from './slow-packets.js';
import type { Sessions } from './sessions.js';
import type { Synchronisation } from './synchronisation.js';
import type { Trackers } from './trackers.js';

export interface Observed {
  readonly basis: Basis;
  readonly bfd: Bfd;
  readonly elections: Elections;
  readonly nextHops: NextHops;
  readonly slowPackets: SlowPackets;
  readonly synchronisation: Synchronisation;
  readonly faults: Faults;
  readonly trackers: Trackers;
  readonly attached: readonly AttachedInterface[];
  readonly startedAt: Date;
  readonly version: string;
}

export function statusOf(observed: Observed): Status {
  const { basis, elections, nextHops, slowPackets, synchronisation, trackers, attached, startedAt, version } = observed;
  const { gateway } = basis.configuration;
  return {
    gateway: {
      name: gateway.name, id: gateway.id, pid: process.pid, startedAt: startedAt.toISOString(),
      adopted: basis.dataPlane.adopted, draining: elections.draining, version,
    },
    virtualRouters: elections.running.map((router) => virtualRouterStatus(router, observed)),
    tracked: trackers.things.map(({ sinceMs, ...thing }): TrackedStatus => ({ ...thing, since: new Date(sinceMs).toISOString() })),
    peer: peerStatus(basis, synchronisation),
    interfaces: attached.map(({ node: { role }, mode }) => interfaceStatus(basis, role, mode)),
    neighbours: heldOf(nextHops, slowPackets),
    counters: countersOf(basis, (packets) => packets > 0n),
  };
}

function interfaceStatus(basis: Basis, role: AttachedInterface['node']['role'], mode: AttachedInterface['mode']): Status['interfaces'][number] {
  const { name, mtu, address } = basis.node(role);
  return { role, name, hook: hookName(mode), mtu, address: formatIpv4(address) };
}

export function hookName(mode: AttachedInterface['mode']): Status['interfaces'][number]['hook'] {
  return mode === 'tc' ? mode : `xdp ${mode}`;
}

function bfdStatus(bfd: Bfd, vrid: number): BfdStatus | undefined {
  const status = bfd.statusOf(vrid);
  return status && {
    ...status,
    sessions: status.sessions.map(({ address, sinceNs, detectionTimeUs, ...session }) => ({
      address: formatIpv4(address), ...session, detectionTimeMs: detectionTimeUs / 1000, since: wallTimeOf(sinceNs),
    })),
  };
}

/** Of a moment on the programs' clock. */
function wallTimeOf(atNs: bigint): string {
  return new Date(Date.now() - Number((monotonicNs() - atNs) / 1_000_000n)).toISOString();
}

type AboutRoles = Pick<Observed, 'basis' | 'bfd' | 'synchronisation' | 'faults' | 'trackers' | 'startedAt'>;

function virtualRouterStatus(router: RunningElection, observed: AboutRoles): VirtualRouterStatus {
  const { configuration: { vrid, address, syncGroup }, election } = router;
  const { state, term } = observed.basis.dataPlane.roles.read(vrid);
  const { priority, effectivePriority, drained, history } = election.status();
  const bfd = bfdStatus(observed.bfd, vrid);
  return {
    vrid, state: nameOf(state), term, priority, effectivePriority, address: formatIpv4(address), syncGroup, drained,
    causes: [...new Set([...observed.faults.causes, ...observed.trackers.downFor(vrid), ...(bfd !== undefined && bfd.penalty > 0 ? [`tunnels ${bfd.tunnels}`] : [])])],
    bfd,
    ...roleOf(router, observed),
    history: history.map((step) => ({ at: new Date(step.atMs).toISOString(), from: step.from, to: step.to, term: step.term, reason: step.reason })),
  };
}

function roleOf({ configuration: { vrid }, election }: RunningElection, { basis, synchronisation, startedAt }: AboutRoles): Pick<VirtualRouterStatus, 'condition' | 'since' | 'reason' | 'activeOn' | 'peerState'> {
  const status = election.status();
  const peer = synchronisation.peer;
  const there = synchronisation.peerListens ? peer?.virtualRouters.find((view) => view.vrid === vrid)?.state : undefined;
  const { state } = basis.dataPlane.roles.read(vrid);
  const last = status.history[0];
  return {
    condition: publicState(status),
    since: last === undefined ? startedAt.toISOString() : new Date(last.atMs).toISOString(),
    reason: reasonOf(status),
    activeOn: state === virtualRouterState.active ? basis.configuration.gateway.name : there === virtualRouterState.active ? peer?.name : undefined,
    peerState: there === undefined ? undefined : nameOf(there),
  };
}

/** All, or the one of that name. */
export function routersOf(observed: AboutRoles & Pick<Observed, 'elections'>, name: string | undefined): RouterStatus[] {
  const roles = new Map(observed.elections.running.map((running) => [running.configuration.vrid, roleOf(running, observed)]));
  return observed.basis.configuration.routers
    .filter((router) => name === undefined || router.name === name)
    .flatMap(({ name: router, virtualRouter: vrid }) => {
      const role = roles.get(vrid);
      if (role === undefined) return [];
      const { condition, activeOn, since, reason } = role;
      return [{ name: router, vrid, condition, activeOn, since, reason }];
    });
}

function peerStatus({ configuration }: Basis, synchronisation: Synchronisation): Status['peer'] {
  const { peer, sync } = configuration;
  const status = synchronisation.peer;
  return {
    configured: peer !== undefined,
    address: peer && formatIpv4(peer.address),
    name: status?.name,
    alive: status?.alive ?? false,
    wire: { ours: SYNC_VERSION, theirs: status?.version, refused: synchronisation.versionRefused },
    synchronised: synchronisation.synchronised,
    holdsOurs: status?.holdsOurs ?? !replicates(configuration),
    syncMode: sync.mode,
    tablesEqual: status?.tablesEqual,
    tablesComparedMs: status?.tablesComparedMs,
    lastHeardMs: status?.lastHeardMs,
    answersOn: synchronisation.answersOn,
    hearsOtherKey: replicates(configuration) && synchronisation.hearsOtherKey,
    virtualRouters: (status?.virtualRouters ?? []).map(({ vrid, state, term }) => ({ vrid, state: nameOf(state), term })),
  };
}

/** A later version's peer may have states that this one does not know. */
function nameOf(state: number): string {
  return virtualRouterStateNames[state] ?? String(state);
}

/** Packets and bytes of the reasons that are wanted, by name. */
export function countersOf({ dataPlane }: Basis, wanted: (packets: bigint) => boolean): Status['counters'] {
  const all = [...dataPlane.counters.readAll()].filter(([, { packets }]) => wanted(packets));
  return Object.fromEntries(all.map(([name, { packets, bytes }]) => [name, { packets: Number(packets), bytes: Number(bytes) }]));
}

export function metricsSource({ basis, bfd, elections, nextHops, slowPackets, synchronisation, sessions, trackers, version }: Omit<Observed, 'attached' | 'startedAt' | 'faults'> & { readonly sessions: Sessions }): MetricsSource {
  const { dataPlane } = basis;
  return {
    version,
    counters: () => dataPlane.counters.readAll(),
    virtualRouters: () => elections.running.map(({ configuration: { vrid }, election }) => {
      const { state, term } = dataPlane.roles.read(vrid);
      const { effectivePriority, faulty, drained } = election.status();
      return { vrid, state, term, transitions: sum(Object.values(election.counters.transitions)), priority: effectivePriority, faulty, drained };
    }),
    tracked: () => trackers.things,
    peer: () => {
      const { alive, synchronised, holdsOurs, tablesEqual } = peerStatus(basis, synchronisation);
      return { alive, synchronised, holdsOurs, tablesEqual };
    },
    sessions: () => ({ mappings: dataPlane.tables.mappingsInUse(), vms: dataPlane.tables.gatewayState().vms }),
    floatingIps: async () => (basis.configuration.metrics?.floatingIps === true ? sessions.floatingIpTraffic() : []),
    neighbours: () => nextHops.status,
    heldFramesDropped: () => droppedOf(nextHops, slowPackets),
    advertisements: () => advertisementCounts(elections.running.map(({ election }) => election)),
    bfdSessions: () => bfd.sessionCounts(),
    tunnelPenalties: () => elections.running.map(({ configuration: { vrid } }) => [vrid, bfd.penaltyOf(vrid)]),
    gratuitousArps: () => sum(elections.running.map(({ election }) => election.counters.gratuitousArpsSent)),
    takeoversDeferred: () => deferralReasons.map((why) => [why.replaceAll('-', '_'), sum(elections.running.map(({ election }) => election.counters.deferrals[why]))]),
    peerAnswers: () => (replicates(basis.configuration) ? syncPaths.map((way) => [way, Number(synchronisation.answersOn.includes(way))]) : []),
    syncFrames: () => synchronisation.frames,
    heartbeats: () => synchronisation.heartbeats,
  };
}

/** Frames wait for a next hop, for a VM, or for the fragment before them. */
function heldOf(nextHops: NextHops, { status }: SlowPackets): Status['neighbours'] {
  const dropped = droppedOf(nextHops, { status }).reduce((total, [, count]) => total + count, 0);
  return { ...nextHops.status, heldFrames: nextHops.status.heldFrames + status.heldFrames, heldFramesDropped: dropped };
}

/** By cause. */
function droppedOf(nextHops: NextHops, { status }: Pick<SlowPackets, 'status'>): [string, number][] {
  return [
    ['unresolved', nextHops.status.heldFramesDropped],
    ['endpoint_unknown', status.endpointUnknown],
    ['fragment_early', status.fragmentEarly],
    ['not_split', status.notSplit],
  ];
}

/** Refusals of other virtual routers' adverts are no fault, and come first in number. */
function advertisementCounts(elections: readonly Election[]): [string, number][] {
  const counters = elections.map((election) => election.counters);
  const refusals = Object.keys(counters[0]?.invalid ?? {}) as (keyof Election['counters']['invalid'])[];
  return [
    ['sent', sum(counters.map(({ advertisementsSent }) => advertisementsSent))],
    ['received', sum(counters.map(({ advertisementsReceived }) => advertisementsReceived))],
    ['send_error', sum(counters.map(({ sendErrors }) => sendErrors))],
    ...refusals.map((why): [string, number] => [`refused_${why.replaceAll('-', '_')}`, sum(counters.map(({ invalid }) => invalid[why]))]),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
