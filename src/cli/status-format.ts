/** `floatgate status` for people, in 100 columns. */
import { age, formatMilliseconds } from '../api/format.js';
import type { BfdStatus, RouterStatus, Status, TrackedStatus, VirtualRouterStatus } from '../api/status.js';
import { Table } from './table.js';
import type { Column } from './table.js';

const TRACKED_NAME_WIDTH = 40;

export function formatStatus(status: Status, now: Date = new Date()): string {
  const { gateway, neighbours } = status;
  const sections = [
    [`${gateway.name} (id ${gateway.id}), pid ${gateway.pid}, up ${age(gateway.startedAt, now)}${gateway.draining ? ', drained' : ''}\n`],
    [new Table(virtualRouterColumns(now)).format(status.virtualRouters)],
    status.virtualRouters.flatMap(formatBfd),
    [new Table(trackedColumns(now)).format(status.tracked)],
    [
      ...formatPeer(status).map((line) => `${line}\n`),
      ...status.interfaces.map((i) => `interface  ${i.role.padEnd(9)} ${i.name}, ${i.address}, MTU ${i.mtu}, ${i.hook}\n`),
      `neighbours ${neighbours.resolved} resolved, ${neighbours.unresolved} unresolved, ${neighbours.heldFrames} frames waiting\n`,
    ],
    [formatCounters(status.counters)],
  ];
  return sections.map((lines) => lines.join('')).filter((text) => text !== '').join('\n');
}

function virtualRouterColumns(now: Date): readonly Column<VirtualRouterStatus>[] {
  return [
    { heading: 'vrid', value: ({ vrid }) => String(vrid), align: 'right' },
    { heading: 'address', value: ({ address }) => address },
    { heading: 'state', value: stateHere },
    { heading: 'for', value: ({ since }) => age(since, now), align: 'right' },
    { heading: 'peer', value: ({ peerState }) => stateNamed(peerState ?? '-') },
    { heading: 'term', value: ({ term }) => String(term), align: 'right' },
    { heading: 'priority', value: ({ priority, effectivePriority }) => (priority === effectivePriority ? String(priority) : `${effectivePriority} of ${priority}`), align: 'right' },
    { heading: 'why', value: ({ reason, causes }) => (causes.length === 0 ? reason : `${reason}; down: ${causes.join(', ')}`) },
  ];
}

/** The programs go on in a role that an earlier daemon has left until the election decides. */
function stateHere({ state, condition }: Pick<VirtualRouterStatus, 'state' | 'condition'>): string {
  return state === 'active' && condition !== 'active' ? `ACTIVE (${condition})` : stateNamed(condition);
}

function stateNamed(state: string): string {
  return state === 'active' || state === 'fault' ? state.toUpperCase() : state;
}

/** Nothing where no compute speaks BFD, and nothing is held against the tunnels. */
function formatBfd({ vrid, bfd }: { readonly vrid: number; readonly bfd?: BfdStatus | undefined }): string[] {
  if (bfd === undefined || (bfd.sessions.length === 0 && bfd.penalty === 0)) return [];
  const states = [...new Set(bfd.sessions.map(({ state }) => state))].toSorted();
  const counts = states.map((state) => `${bfd.sessions.filter((session) => session.state === state).length} ${state}`).join(', ');
  const lowered = bfd.penalty === 0 ? '' : `, priority lowered by ${bfd.penalty}`;
  return [`vrid ${vrid}: tunnels ${bfd.tunnels}${lowered}; BFD with computes: ${counts || 'none'}\n`];
}

function trackedColumns(now: Date): readonly Column<TrackedStatus>[] {
  return [
    { heading: 'tracked', value: ({ name }) => (name.length > TRACKED_NAME_WIDTH ? `${name.slice(0, TRACKED_NAME_WIDTH - 3)}...` : name) },
    { heading: 'state', value: ({ state }) => (state === 'down' ? 'DOWN' : state) },
    { heading: 'for', value: ({ since }) => age(since, now), align: 'right' },
    { heading: 'vrid', value: ({ virtualRouters }) => virtualRouters.map(({ vrid, weight }) => `${vrid} ${weight === undefined ? 'fault' : `-${weight}`}`).join(', ') },
    { heading: 'seen', value: ({ detail }) => detail },
  ];
}

function formatPeer({ peer }: Status): string[] {
  if (!peer.configured) return ['peer       none: this gateway is alone'];
  if (peer.syncMode === 'none') return [`peer       ${peer.address ?? ''}, sync none: sessions are not replicated`];
  const heard = peer.lastHeardMs === undefined ? 'never heard' : `heard ${peer.lastHeardMs.toFixed(1)} ms ago`;
  const answers = peer.answersOn.length === 0 ? 'answers nowhere' : `answers on ${peer.answersOn.join(' and ')}`;
  const holds = `${peer.synchronised ? 'we hold all it has' : 'we lack what it has'}, ${peer.holdsOurs ? 'it holds all we have' : 'it lacks what we have'}`;
  return [
    `peer       ${peer.name ?? '?'} ${peer.address ?? ''} ${peer.alive ? 'alive' : 'silent'}, ${heard}, ${answers}`,
    ...formatVersion(peer),
    `sync       ${peer.syncMode}: ${holds}; ${formatTables(peer)}`,
    ...(peer.hearsOtherKey ? ['key        frames come that are not sealed with ours: is sync.keyFile the same on both gateways?'] : []),
  ];
}

/** Where it is ours there is nothing to say. */
function formatVersion({ wire: { ours, theirs, refused } }: Status['peer']): string[] {
  if (refused) return [`version    the peer speaks another one than ${ours} and its neighbours: nothing is replicated`];
  return theirs === undefined || theirs === ours ? [] : [`version    the peer speaks ${theirs}, this gateway ${ours}: each reads the other`];
}

function formatTables({ tablesEqual, tablesComparedMs = 0 }: Status['peer']): string {
  if (tablesEqual === undefined) return 'tables not compared';
  return `tables ${tablesEqual ? 'equal' : 'different'} ${formatMilliseconds(tablesComparedMs)} ago`;
}

function formatCounters(counters: Status['counters']): string {
  const rows = Object.entries(counters).filter(([, { packets }]) => packets > 0);
  if (rows.length === 0) return 'no packets counted yet\n';
  return new Table<(typeof rows)[number]>([
    { heading: 'counted', value: ([reason]) => reason },
    { heading: 'packets', value: ([, { packets }]) => String(packets), align: 'right' },
    { heading: 'bytes', value: ([, { bytes }]) => String(bytes), align: 'right' },
  ]).format(rows);
}

export function formatRouters(routers: readonly RouterStatus[], now: Date = new Date()): string {
  return new Table<RouterStatus>([
    { heading: 'router', value: ({ name }) => name },
    { heading: 'vrid', value: ({ vrid }) => String(vrid), align: 'right' },
    { heading: 'active on', value: ({ activeOn }) => activeOn ?? '-' },
    { heading: 'here', value: ({ condition }) => stateNamed(condition) },
    { heading: 'for', value: ({ since }) => age(since, now), align: 'right' },
    { heading: 'why', value: ({ reason }) => reason },
  ]).format(routers);
}

/** One sentence, then what its virtual router has been. */
export function formatRouter({ name, vrid, activeOn, condition, since, reason }: RouterStatus, status: Status, now: Date = new Date()): string {
  const here = status.gateway.name;
  const where = activeOn === undefined ? 'is Active nowhere that this gateway knows of' : `is Active on ${activeOn}${activeOn === here ? ', this gateway' : ''}`;
  const own = `${here} is ${stateNamed(condition)} for ${age(since, now)}: ${reason}`;
  const router = status.virtualRouters.filter((one) => one.vrid === vrid);
  return `${name}, virtual router ${vrid}, ${where}\n${own}\n\n${formatHistory({ ...status, virtualRouters: router })}`;
}

interface Step {
  readonly vrid: number;
  readonly step: VirtualRouterStatus['history'][number];
}

export function formatHistory({ virtualRouters }: Status): string {
  const steps = virtualRouters.flatMap(({ vrid, history }) => history.map((step): Step => ({ vrid, step })));
  steps.sort((one, other) => (one.step.at < other.step.at ? 1 : one.step.at > other.step.at ? -1 : 0));
  if (steps.length === 0) return 'nothing has changed since the daemon started\n';
  return new Table<Step>([
    { heading: 'at', value: ({ step }) => step.at },
    { heading: 'vrid', value: ({ vrid }) => String(vrid), align: 'right' },
    { heading: 'from', value: ({ step }) => step.from },
    { heading: 'to', value: ({ step }) => step.to },
    { heading: 'term', value: ({ step }) => String(step.term), align: 'right' },
    { heading: 'why', value: ({ step }) => step.reason },
  ]).format(steps);
}

/** One line for each thing that is another one now; all of them when there is nothing before. */
export function changesBetween(before: Status | undefined, now: Status, at: Date = new Date()): string[] {
  const [then, later] = [before && sayings(before), sayings(now)];
  const lines = [...later].filter(([what, saying]) => then?.get(what) !== saying).map(([what, saying]) => `${what} ${saying}`);
  const gone = [...(then?.keys() ?? [])].filter((what) => !later.has(what)).map((what) => `${what} is no longer there`);
  return [...lines, ...gone].map((line) => `${at.toISOString()} ${line}\n`);
}

/** What is told of, without what grows by itself. */
function sayings({ gateway, virtualRouters, tracked, peer }: Status): Map<string, string> {
  const roles = virtualRouters.map((router): [string, string] => [
    `virtual router ${router.vrid}`,
    `is ${stateHere(router)}, priority ${router.effectivePriority}, Active on ${router.activeOn ?? 'none'}: ${[router.reason, ...router.causes].join(', ')}`,
  ]);
  const things = tracked.map(({ name, state }): [string, string] => [name, `is ${state}`]);
  const synchronised = peer.synchronised && peer.holdsOurs ? 'in synchronisation' : 'not in synchronisation';
  const other: [string, string][] = peer.configured && peer.syncMode !== 'none' ? [['peer', `is ${peer.alive ? 'alive' : 'silent'}, ${synchronised}`]] : [];
  return new Map([[gateway.name, `runs as pid ${gateway.pid}`], ...roles, ...things, ...other]);
}
