// The clients that run through a failover: TCP sessions and UDP flows of both tenants, and a 1 kHz probe each way.
import { LabClient } from './client.js';
import type { FlowReport } from './clients/flow-client.js';
import type { ProbeWindow } from './clients/probe-log.js';
import type { ProgressReport, SessionReport } from './clients/session-client.js';
import type { ConnectionReport } from './clients/session-server.js';
import type { NamedWindow } from './measurements.js';
import type { LabState } from './state.js';
import { outsideAddress, ports, vmNamed } from './topology.js';
import { until } from './wait.js';

export interface LoadOptions {
  readonly connections: number;
  readonly flows: number;
  /** Who talks to whom; by default the VMs of the lab. */
  readonly places?: LoadPlaces;
  /** Of each connection, and of each flow; default 10. */
  readonly messagesPerSecond?: number;
  readonly signal?: AbortSignal | undefined;
}

/** The servers of the lab (ports) are at these addresses. */
export interface LoadPlaces {
  readonly server: { readonly node: string; readonly address: string };
  /** The connections and flows are shared between them, and between their addresses; by default they have one. */
  readonly senders: readonly { readonly node: string; readonly addresses?: readonly string[] }[];
  readonly probes: readonly { readonly name: string; readonly node: string; readonly address: string }[];
}

export interface Progress {
  readonly sessions: ProgressReport;
  readonly flows: ProgressReport;
}

/** Shared SNAT is what needs replicated sessions, so the sessions and flows are of the VMs without a floating IP. */
const placesOfLab: LoadPlaces = {
  server: { node: 'outside', address: outsideAddress },
  senders: [{ node: 'vm-a1' }, { node: 'vm-b1' }],
  probes: [
    { name: 'shared SNAT', node: 'vm-a1', address: outsideAddress },
    { name: 'floating IP', node: 'outside', address: vmNamed('vm-a2').floatingAddress ?? '' },
  ],
};
const probesPerSecond = 1000;
/** A new connection is retried by TCP after 1, 3 and 7 s. */
const connectDeadlineMs = 20_000;

export class Load {
  readonly #server: LabClient;
  readonly #sessions: readonly LabClient[];
  readonly #flows: readonly LabClient[];
  readonly #probes: readonly { readonly name: string; readonly client: LabClient }[];
  readonly #signal: AbortSignal | undefined;

  constructor(state: LabState, { connections, flows, places = placesOfLab, messagesPerSecond = 10, signal }: LoadOptions) {
    const { server, senders, probes } = places;
    this.#signal = signal;
    this.#server = new LabClient(state, { program: 'session-server', name: 'session-server', node: server.node, args: [server.address, ports.sessions] });
    this.#sessions = shares(senders, connections).map(({ node, addresses, first, count }) => {
      const args = [server.address, ports.sessions, count, first, messagesPerSecond, ...addresses];
      return new LabClient(state, { program: 'session-client', name: `${node}-sessions`, node, args });
    });
    this.#flows = shares(senders, flows).map(({ node, addresses, first, count }) => {
      const args = [server.address, ports.datagrams, count, first, messagesPerSecond, ...addresses];
      return new LabClient(state, { program: 'flow-client', name: `${node}-flows`, node, args });
    });
    this.#probes = probes.map(({ name, node, address }) => ({ name, client: probe(state, node, address) }));
  }

  /** Resolves when every session is connected and everything gets answers. */
  async start(): Promise<void> {
    await this.#server.call('ready');
    await Promise.all(this.#sessions.map((client) => client.call('connect', {}, connectDeadlineMs)));
    await Promise.all([...this.#flows, ...this.#probes.map(({ client }) => client)].map((client) => client.call('start')));
    await until('all sessions and flows to get answers', async () => isWhole(await this.progress()), { signal: this.#signal, deadlineMs: connectDeadlineMs });
  }

  /** From here on `progress` counts what has had an answer to something sent later than this. */
  async checkpoint(): Promise<void> {
    await Promise.all([...this.#sessions, ...this.#flows].map((client) => client.call('checkpoint')));
  }

  async progress(): Promise<Progress> {
    const [sessions, flows] = await Promise.all([merged(this.#sessions), merged(this.#flows)]);
    return { sessions, flows };
  }

  /** Waits until everything has advanced since the checkpoint, or the deadline: what has not by then is a finding, not an error. */
  async progressWithin(deadlineMs: number): Promise<Progress> {
    await this.#reached('all sessions and flows to go on', async () => isWhole(await this.progress()), deadlineMs);
    return this.progress();
  }

  /** Waits until every probe has had `count` more replies; false when one of them has not by the deadline. */
  async probed(count: number, deadlineMs = 6000): Promise<boolean> {
    const received = () => Promise.all(this.#probes.map(async ({ client }) => (await client.call<{ received: number }>('received')).received));
    const before = await received();
    const look = async () => (await received()).every((now, index) => now >= (before[index] ?? 0) + count);
    return this.#reached(`${count} more probe replies`, look, deadlineMs);
  }

  windows(fromMs: number, toMs: number): Promise<NamedWindow[]> {
    return Promise.all(this.#probes.map(async ({ name, client }) => ({ probe: name, window: await client.call<ProbeWindow>('window', { fromMs, toMs }) })));
  }

  /** Stops sending, waits for what is under way (at most `deadlineMs`), and returns what each side has seen. */
  async stop(deadlineMs = 10_000): Promise<{ sessions: SessionReport[]; connections: ConnectionReport[]; flows: FlowReport[] }> {
    const sessions = await Promise.all(this.#sessions.map((client) => client.call<{ sessions: SessionReport[] }>('stop', { deadlineMs })));
    const { connections } = await this.#server.call<{ connections: ConnectionReport[] }>('report');
    const flows = await Promise.all(this.#flows.map((client) => client.call<{ flows: FlowReport[] }>('stop')));
    await Promise.all(this.#probes.map(({ client }) => client.call('stop')));
    return { sessions: sessions.flatMap((report) => report.sessions), connections, flows: flows.flatMap((report) => report.flows) };
  }

  /** Like until(), for what may well not come. */
  async #reached(awaited: string, look: () => Promise<boolean>, deadlineMs: number): Promise<boolean> {
    try {
      return await until(awaited, look, { signal: this.#signal, deadlineMs, intervalMs: 50 });
    } catch {
      this.#signal?.throwIfAborted();
      return false;
    }
  }

  close(): void {
    for (const client of [this.#server, ...this.#sessions, ...this.#flows, ...this.#probes.map((each) => each.client)]) client.close();
  }
}

function probe(state: LabState, node: string, address: string): LabClient {
  const args = [address, ports.probe, probesPerSecond];
  return new LabClient(state, { program: 'probe', name: `${node}-probe`, node, args, prompt: true });
}

/** Divides numbers 0 to total − 1 between the senders. */
function shares(senders: LoadPlaces['senders'], total: number): { node: string; addresses: readonly string[]; first: number; count: number }[] {
  const size = Math.ceil(total / senders.length);
  return senders
    .map(({ node, addresses = [] }, index) => ({ node, addresses, first: index * size, count: Math.min(size, total - index * size) }))
    .filter(({ count }) => count > 0);
}

async function merged(clients: readonly LabClient[]): Promise<ProgressReport> {
  const reports = await Promise.all(clients.map((client) => client.call<ProgressReport>('progress')));
  return { advanced: reports.reduce((sum, { advanced }) => sum + advanced, 0), broken: reports.flatMap(({ broken }) => broken) };
}

function isWhole({ sessions, flows }: Progress): boolean {
  return sessions.broken.length === 0 && flows.broken.length === 0;
}
