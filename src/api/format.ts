/** `floatgate status` for people. */
import type { BfdStatus, Status, VirtualRouterStatus } from './status.js';

export function formatStatus(status: Status, now: Date = new Date()): string {
  const { gateway } = status;
  const lines = [
    `${gateway.name} (id ${gateway.id}), pid ${gateway.pid}, up ${age(gateway.startedAt, now)}${gateway.draining ? ', drained' : ''}`,
    '',
    ...status.virtualRouters.flatMap((router) => formatVirtualRouter(router, now)),
    '',
    formatPeer(status),
    ...status.interfaces.map((i) => `interface  ${pad(i.role, 9)} ${i.name}, ${i.address}, MTU ${i.mtu}, ${i.hook}`),
    `neighbours ${status.neighbours.resolved} resolved, ${status.neighbours.unresolved} unresolved, ${status.neighbours.heldFrames} frames waiting`,
    '',
    ...formatCounters(status.counters),
  ];
  return `${lines.join('\n')}\n`;
}

function formatVirtualRouter(router: VirtualRouterStatus, now: Date): string[] {
  const head = `vrid ${pad(String(router.vrid), 5)} ${router.state.toUpperCase()} for ${age(router.since, now)}, term ${router.term}, `
    + `priority ${router.priority}, ${router.address}: ${router.reason}`;
  const earlier = router.history.slice(1, 4);
  return [head, ...formatBfd(router.bfd), ...earlier.map((step) => `             before: ${step.to} since ${step.at}, term ${step.term}: ${step.reason}`)];
}

/** Nothing where no compute speaks BFD, and nothing is held against the tunnels. */
function formatBfd(bfd: BfdStatus | undefined): string[] {
  if (bfd === undefined || (bfd.sessions.length === 0 && bfd.penalty === 0)) return [];
  const states = [...new Set(bfd.sessions.map(({ state }) => state))].toSorted();
  const counts = states.map((state) => `${bfd.sessions.filter((session) => session.state === state).length} ${state}`).join(', ');
  const lowered = bfd.penalty === 0 ? '' : `, priority lowered by ${bfd.penalty}`;
  return [`             tunnels ${bfd.tunnels}${lowered}; BFD with computes: ${counts || 'none'}`];
}

function formatPeer(status: Status): string {
  const { peer } = status;
  if (!peer.configured) return 'peer       none: this gateway is alone';
  if (peer.syncMode === 'none') return `peer       ${peer.address ?? ''}, sync none: sessions are not replicated`;
  const heard = peer.lastHeardMs === undefined ? 'never heard' : `heard ${peer.lastHeardMs.toFixed(1)} ms ago`;
  const answers = peer.answersOn.length === 0 ? 'answers nowhere' : `answers on ${peer.answersOn.join(' and ')}`;
  const holds = `${peer.synchronised ? 'we hold all it has' : 'we lack what it has'}, ${peer.holdsOurs ? 'it holds all we have' : 'it lacks what we have'}`;
  return `peer       ${peer.name ?? '?'} ${peer.address ?? ''} ${peer.alive ? 'alive' : 'silent'}, ${heard}, ${answers}; sync ${peer.syncMode}: ${holds}; ${formatTables(peer)}`;
}

function formatTables({ tablesEqual, tablesComparedMs = 0 }: Status['peer']): string {
  if (tablesEqual === undefined) return 'tables not compared';
  return `tables ${tablesEqual ? 'equal' : 'different'} ${formatMilliseconds(tablesComparedMs)} ago`;
}

function formatCounters(counters: Status['counters']): string[] {
  const rows = Object.entries(counters).filter(([, { packets }]) => packets > 0);
  if (rows.length === 0) return ['no packets counted yet'];
  const width = Math.max(...rows.map(([reason]) => reason.length));
  return rows.map(([reason, { packets, bytes }]) => `${pad(reason, width)} ${String(packets).padStart(14)} packets ${String(bytes).padStart(16)} bytes`);
}

function pad(text: string, width: number): string {
  return text.padEnd(width);
}

export function age(since: string, now: Date): string {
  return formatMilliseconds(Math.max(0, now.getTime() - Date.parse(since)));
}

/** Two units of it at most: 1h02m, 3m05s, 4.2s. */
export function formatMilliseconds(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${(ms / 1000).toFixed(1)}s`;
  const [large, small, units] = seconds < 3600
    ? [Math.floor(seconds / 60), seconds % 60, 'ms']
    : seconds < 86400
      ? [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, 'hm']
      : [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, 'dh'];
  return `${large}${units[0]}${String(small).padStart(2, '0')}${units[1]}`;
}
