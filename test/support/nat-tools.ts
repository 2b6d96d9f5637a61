/** What programs at both ends of a NAT find out about it: each function runs the real program in a node of the lab. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabClient } from '../../src/lab/client.js';
import type { ProgressReport, SessionReport } from '../../src/lab/clients/session-client.js';
import type { ConnectionReport } from '../../src/lab/clients/session-server.js';
import { logFileOf, runIn, startDaemon, stop, type DaemonOptions } from '../../src/lab/process.js';
import { stateFolder, type LabState } from '../../src/lab/state.js';
import { until } from '../../src/lab/wait.js';

const script = (name: string): string[] => [process.execPath, new URL(`nodes/${name}.mjs`, import.meta.url).pathname];

/** Fetches a page from a server and returns who asked, as the server told and as it has logged. */
export async function whoAsked(from: string, authority: string, server: string): Promise<string> {
  const mark = randomUUID();
  const told = (await runIn(from, ['curl', '-sS', '--max-time', '10', `http://${authority}/address?${mark}`])).trim();
  const log = join(stateFolder, server, 'nginx-access.log');
  const line = await until(`${server} to log the request`, () => readFileSync(log, 'utf8').split('\n').find((text) => text.includes(mark)), { deadlineMs: 2000 });
  const logged = line.split(' ')[0];
  if (told !== logged) throw new Error(`${server} told ${told} and logged ${logged}`);
  return told;
}

export interface Ping {
  readonly received: number;
  /** Of the first reply. */
  readonly ttl: number | undefined;
  /** A router has said that there is no way. */
  readonly unreachable: boolean;
}

/** @param bytes of payload */
export async function ping(from: string, address: string, { count = 3, bytes = 56 } = {}): Promise<Ping> {
  // ping exits with 1 when replies are missing: an answer, not an error.
  const output = await runIn(from, ['sh', '-c', `ping -n -c ${count} -i 0.2 -W 1 -s ${bytes} ${address} || [ $? = 1 ]`]);
  const ttl = /ttl=(\d+)/.exec(output)?.[1];
  return { received: Number(/(\d+) received/.exec(output)?.[1] ?? 0), ttl: ttl === undefined ? undefined : Number(ttl), unreachable: output.includes('Unreachable') };
}

/** One UDP datagram to the lab's echo and back. @param sourcePort 0: any @returns the source that the echo saw */
export async function echoed(from: string, address: string, port: number, bytes = 64, sourcePort = 0): Promise<string> {
  return (await runIn(from, [...script('datagram'), address, String(port), String(bytes), String(sourcePort)])).trim();
}

/** @param order of the fragments: '210' is the last one first */
export async function echoedInFragments(from: string, source: string, address: string, port: number, order: string): Promise<void> {
  await runIn(from, [...script('fragments'), source, address, String(port), order]);
}

/** A packet of a protocol without ports. @returns the source of the answer */
export async function askedByProtocol(from: string, protocol: number, address: string): Promise<string> {
  return (await runIn(from, [...script('protocol-ask'), String(protocol), address])).trim();
}

export function protocolEcho(node: string, protocol: number): DaemonOptions {
  return { name: `${node}-protocol-${protocol}`, node, command: [...script('protocol-echo'), String(protocol)] };
}

export async function saysReady({ name }: DaemonOptions): Promise<void> {
  if (!readFileSync(logFileOf(name), 'utf8').includes('ready')) throw new Error(`${name} is not ready`);
}

/** Hop by hop who says "time exceeded", then who is there; '*' for silence. */
export async function traceroute(from: string, address: string, ...options: readonly string[]): Promise<string[]> {
  const output = await runIn(from, ['traceroute', '-n', '-N', '1', '-q', '2', '-w', '1', '-m', '6', ...options, address]);
  return output.split('\n').slice(1).flatMap((line) => (/^ *\d+ /.test(line) ? [/ (\d+\.\d+\.\d+\.\d+) /.exec(`${line} `)?.[1] ?? '*'] : []));
}

/** The path MTU that tracepath has found, in bytes. */
export async function tracedMtu(from: string, address: string): Promise<number> {
  const output = await runIn(from, ['tracepath', '-n', '-m', '6', address]);
  const mtu = /Resume: pmtu (\d+)/.exec(output)?.[1];
  if (mtu === undefined) throw new Error(`tracepath has found no path MTU:\n${output}`);
  return Number(mtu);
}

export interface Throughput {
  readonly megabitsPerSecond: number;
  readonly receivedBytes: number;
  /** TCP: bytes of payload in a full segment. */
  readonly mss: number;
}

/** A server that is started beforehand; see iperfServer. */
export async function iperf(from: string, address: string, ...options: readonly string[]): Promise<Throughput> {
  const output = await runIn(from, ['iperf3', '--client', address, '--json', '--connect-timeout', '3000', ...options]);
  const { start, end, error } = JSON.parse(output) as { start: { tcp_mss_default?: number }; end: Partial<Record<'sum_received' | 'sum', { bits_per_second: number; bytes: number }>>; error?: string };
  const received = end.sum_received ?? end.sum;
  if (error !== undefined || received === undefined) throw new Error(`iperf3 ${from} → ${address}: ${error ?? output}`);
  return { megabitsPerSecond: received.bits_per_second / 1e6, receivedBytes: received.bytes, mss: start.tcp_mss_default ?? 0 };
}

export function iperfServer(node: string, address: string): DaemonOptions {
  return { name: `${node}-iperf3`, node, command: ['iperf3', '--server', '--bind', address] };
}

/** Packets that a node has thrown away because of a wrong checksum, of any protocol, since it exists. */
export async function checksumErrors(node: string): Promise<number> {
  const output = await runIn(node, ['nstat', '-asz']);
  return [...output.matchAll(/^\w*InCsumErrors\s+(\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** What RFC 5780 tells a host about the NAT before it. */
export interface Behaviour {
  readonly mapping: string;
  readonly filtering: string;
}

export async function behaviourOf(node: string, stunServer: string): Promise<Behaviour> {
  const discover = async (what: 'm' | 'f', word: string) => {
    const output = await runIn(node, ['turnutils_natdiscovery', `-${what}`, stunServer], { timeoutMs: 60_000 });
    const verdicts = [...output.matchAll(new RegExp(`NAT with (.+) ${word}!`, 'g'))];
    const last = verdicts.at(-1)?.[1];
    if (last === undefined) throw new Error(`turnutils_natdiscovery has found out nothing:\n${output}`);
    return last;
  };
  return { mapping: await discover('m', 'Mapping'), filtering: await discover('f', 'Filtering') };
}

/** A STUN server needs two addresses to find out by, and coturn an own file for its process id. */
export function stunServer(node: string, addresses: readonly [string, string]): DaemonOptions {
  const options = ['--no-tls', '--no-dtls', '--no-auth', '--no-cli', '--stun-only', '--log-file', 'stdout', '--simple-log', '--pidfile', join(stateFolder, 'turnserver.pid')];
  return { name: `${node}-turnserver`, node, command: ['turnserver', '-n', ...options, ...addresses.flatMap((address) => ['-L', address])] };
}

/** Runs a daemon while something is done. @param ready awaited before that */
export async function withDaemon<T>(state: LabState, options: DaemonOptions, ready: () => Promise<unknown>, what: () => Promise<T>): Promise<T> {
  const record = startDaemon(state, options);
  try {
    await until(`${options.name} to be ready`, async () => (await ready()) ?? true, { deadlineMs: 10_000 });
    return await what();
  } finally {
    await stop(record);
    state.removeProcess(record);
  }
}

export async function listening(node: string, protocol: 'tcp' | 'udp', port: number): Promise<void> {
  const sockets = await runIn(node, ['ss', '-Hln', `--${protocol}`, `sport = :${port}`]);
  if (sockets.trim() === '') throw new Error(`${node} does not listen on ${protocol} port ${port}`);
}

export interface SessionsOptions {
  /** Where the connections end, and the server listens. */
  readonly server: { readonly node: string; readonly address: string; readonly port: number };
  readonly clients: readonly { readonly node: string; readonly address: string; readonly port: number }[];
  /** Of each client. */
  readonly connections: number;
}

/** TCP connections that carry numbered messages both ways; every byte is in a hash on both ends. */
export class Sessions {
  readonly #server: LabClient;
  readonly #clients: readonly LabClient[];

  private constructor(state: LabState, { server, clients, connections }: SessionsOptions) {
    const messagesPerSecond = 20;
    this.#server = new LabClient(state, { program: 'session-server', name: `${server.node}-session-server`, node: server.node, args: [server.address, server.port] });
    this.#clients = clients.map(({ node, address, port }, index) => {
      const args = [address, port, connections, index * connections, messagesPerSecond];
      return new LabClient(state, { program: 'session-client', name: `${node}-to-${server.node}-sessions`, node, args });
    });
  }

  static async open(state: LabState, options: SessionsOptions): Promise<Sessions> {
    const sessions = new Sessions(state, options);
    try {
      await sessions.#server.call('ready');
      await Promise.all(sessions.#clients.map((client) => client.call('connect', {}, 20_000)));
    } catch (error) {
      sessions.close();
      throw error;
    }
    return sessions;
  }

  /** Waits until each has had an answer to something new. @returns those that have not within the deadline */
  async goOn(deadlineMs = 8000): Promise<ProgressReport['broken']> {
    await Promise.all(this.#clients.map((client) => client.call('checkpoint')));
    const broken = async () => (await Promise.all(this.#clients.map((client) => client.call<ProgressReport>('progress')))).flatMap((report) => report.broken);
    await until('the sessions to go on', async () => (await broken()).length === 0, { deadlineMs }).catch(() => undefined);
    return broken();
  }

  async stop(): Promise<{ readonly sessions: readonly SessionReport[]; readonly connections: readonly ConnectionReport[] }> {
    const reports = await Promise.all(this.#clients.map((client) => client.call<{ sessions: SessionReport[] }>('stop', { deadlineMs: 10_000 })));
    const { connections } = await this.#server.call<{ connections: ConnectionReport[] }>('report');
    this.close();
    return { sessions: reports.flatMap(({ sessions }) => sessions), connections };
  }

  close(): void {
    for (const client of [this.#server, ...this.#clients]) client.close();
  }
}
