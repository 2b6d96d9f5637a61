// What a run must show, decided from the measured values alone.
import type { SessionReport } from './clients/session-client.js';
import type { ConnectionReport } from './clients/session-server.js';
import type { Download, Measurements, NamedWindow } from './measurements.js';

export interface Check {
  readonly name: string;
  readonly measured: string;
  readonly wanted: string;
  /** undefined: told for information. */
  readonly passed: boolean | undefined;
}

/** Three adverts missed at 100 ms and the skew are 361 ms; the rest is for a busy machine. */
export const longestOutageMs = 1000;

export function judge(measured: Measurements): Check[] {
  return [
    ...measured.addresses.map(({ vm, wanted, seen }) => same(`${vm} is seen outside as`, seen, wanted)),
    ...measured.downloads.map(judgeDownload),
    ...measured.echoes.map(({ from, to, wanted, seen }) => same(`UDP echo ${from} → ${to}, seen from`, seen, wanted)),
    ...measured.pings.map(({ from, to, sent, received }) => same(`ping ${from} → ${to}`, `${received} of ${sent}`, `${sent} of ${sent}`)),
    ...measured.throughput.map(judgeThroughput),
    ...measured.steady.map((probe) => nothingLost('undisturbed', probe)),
    ...judgeFailover(measured),
    ...judgeHandOver(measured),
    ...judgeSessions(measured),
    ...judgeFlows(measured),
  ];
}

export function hasPassed(checks: readonly Check[]): boolean {
  return checks.every(({ passed }) => passed !== false);
}

function judgeDownload({ path, bytes, sha256, wantedSha256, durationMs }: Download): Check {
  const speed = ((bytes * 8) / durationMs / 1000).toFixed(0);
  const measured = `${(bytes / 2 ** 20).toFixed(0)} MiB, ${speed} Mbit/s, SHA-256 ${sha256 === wantedSha256 ? 'right' : 'wrong'}`;
  return { name: `download ${path}`, measured, wanted: 'every byte right', passed: sha256 === wantedSha256 };
}

/** How fast depends on the machine; that it moves anything at all does not. */
function judgeThroughput({ path, megabitsPerSecond, error }: Measurements['throughput'][number]): Check {
  return { name: `iperf3 TCP ${path}`, measured: error ?? `${megabitsPerSecond.toFixed(0)} Mbit/s`, wanted: 'any', passed: error === undefined && megabitsPerSecond > 0 };
}

function judgeFailover({ failover, sessions, flows }: Measurements): Check[] {
  return [
    information('failover: Backup is Active after', milliseconds(failover.takeoverMs)),
    ...failover.probes.map(outage),
    goesOn('failover: TCP connections that go on', sessions.afterFailover.advanced, sessions.wanted),
    goesOn('failover: UDP flows that go on', flows.afterFailover.advanced, flows.wanted),
    information('failover: the last of them goes on after', milliseconds(failover.allGoOnMs)),
  ];
}

function judgeHandOver({ handOver, sessions, flows }: Measurements): Check[] {
  return [
    ...(handOver.synchronisedMs === undefined ? [] : [information('return: gateways hold the same after', milliseconds(handOver.synchronisedMs))]),
    information('return: hand-over is done after', milliseconds(handOver.activeMs)),
    ...handOver.probes.map((probe) => nothingLost('return and hand-over', probe)),
    goesOn('hand-over: TCP connections that go on', sessions.afterHandOver.advanced, sessions.wanted),
    goesOn('hand-over: UDP flows that go on', flows.afterHandOver.advanced, flows.wanted),
  ];
}

function judgeSessions({ sessions }: Measurements): Check[] {
  const { wanted, clients, server } = sessions;
  const broken = clients.filter(({ error }) => error !== undefined);
  const reset = server.filter(({ error }) => error !== undefined);
  const intact = clients.filter((client) => isIntact(client, server));
  const onePeer = clients.filter(({ id }) => server.filter((connection) => connection.id === id).length === 1);
  const bytes = clients.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
  return [
    goesOn(`TCP: all bytes there and back right by hash (${(bytes / 2 ** 20).toFixed(0)} MiB)`, intact.length, wanted),
    goesOn('TCP: one and the same port outside', onePeer.length, wanted),
    same('TCP: resets and closes', String(broken.length + reset.length), '0'),
  ];
}

/** What was sent, what the server got, and what came back are the same bytes in the same order. */
export function isIntact(client: SessionReport, server: readonly ConnectionReport[]): boolean {
  const connection = server.find(({ id }) => id === client.id);
  return (
    connection !== undefined &&
    client.error === undefined &&
    client.sentBytes > 0 &&
    client.sentBytes === connection.bytes &&
    client.sentSha256 === connection.sha256 &&
    client.sentBytes === client.receivedBytes &&
    client.sentSha256 === client.receivedSha256
  );
}

function judgeFlows({ flows }: Measurements): Check[] {
  const sent = flows.clients.reduce((sum, flow) => sum + flow.sent, 0);
  const received = flows.clients.reduce((sum, flow) => sum + flow.received, 0);
  const duplicates = flows.clients.reduce((sum, flow) => sum + flow.duplicates, 0);
  return [
    goesOn('UDP: one and the same port outside', flows.clients.filter(({ peers }) => peers.length === 1).length, flows.wanted),
    same('UDP: duplicated datagrams', String(duplicates), '0'),
    information('UDP: datagrams lost over the whole run', `${sent - received} of ${sent}`),
  ];
}

function outage({ probe, window }: NamedWindow): Check {
  return {
    name: `failover: outage, 1 kHz probe ${probe}`,
    measured: `${milliseconds(window.longestGapMs)}, ${window.lost} lost`,
    wanted: `below ${longestOutageMs} ms`,
    passed: window.sent > 0 && window.lost < window.sent && window.longestGapMs < longestOutageMs,
  };
}

function nothingLost(phase: string, { probe, window }: NamedWindow): Check {
  return {
    name: `${phase}: lost, 1 kHz probe ${probe}`,
    measured: `${window.lost} of ${window.sent}, gap ${milliseconds(window.longestGapMs)}`,
    wanted: '0',
    passed: window.sent > 0 && window.lost === 0,
  };
}

function goesOn(name: string, count: number, wanted: number): Check {
  return { name, measured: `${count} of ${wanted}`, wanted: `${wanted} of ${wanted}`, passed: count === wanted };
}

function same(name: string, measured: string, wanted: string): Check {
  return { name, measured, wanted, passed: measured === wanted };
}

function information(name: string, measured: string): Check {
  return { name, measured, wanted: '', passed: undefined };
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
