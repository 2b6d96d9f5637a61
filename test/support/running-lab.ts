/**
 * The lab as a test drives it: brought up, brought back to its ordinary state
 * whatever a case has left, and asked what its daemons, its kernel and its
 * clients know.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isSeq, parseDocument, type Document, type YAMLMap, type YAMLSeq } from 'yaml';
import { ApiClient } from '../../src/api/client.js';
import type { SessionView } from '../../src/api/sessions.js';
import type { Status, VirtualRouterStatus } from '../../src/api/status.js';
import { LabClient } from '../../src/lab/client.js';
import type { FlowReport } from '../../src/lab/clients/flow-client.js';
import type { ProgressReport } from '../../src/lab/clients/session-client.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { configurationFile, configureGateways, daemonOf, forgetGateway, gatewayFolder, program, readStatus, startGateway, type DaemonStart } from '../../src/lab/gateway.js';
import { gatewaysReady, isSynchronised } from '../../src/lab/lab.js';
import type { Load, Progress } from '../../src/lab/load.js';
import type { NamedWindow } from '../../src/lab/measurements.js';
import { setLinks } from '../../src/lab/network.js';
import { isRunning, run, runIn, sendSignal } from '../../src/lab/process.js';
import { LabState, stateFolder } from '../../src/lab/state.js';
import { outsideAddress, ports, topology } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';

export type GatewayNode = 'gw-a' | 'gw-b';

const gateways: readonly GatewayNode[] = ['gw-a', 'gw-b'];

/** After this even a client that has backed off twice has tried again; what does not go on by then is broken. */
const goOnDeadlineMs = 8000;
/** The start of a Node process, on a machine that may have other things to do. */
const startDeadlineMs = 60_000;

/** What one gateway has in the kernel. */
export interface Pinned {
  /** Ids by name. */
  readonly maps: Readonly<Record<string, number>>;
  /** By interface role: the link, and the program that is in it now. */
  readonly links: Readonly<Record<string, { readonly id: number; readonly program: number }>>;
}

/** What the probes saw while something was done. */
export interface Observed<T> {
  readonly result: T;
  readonly windows: readonly NamedWindow[];
  readonly progress: Progress;
}

export class RunningLab {
  readonly state: LabState;
  #edited = false;
  readonly #key = readFileSync(join(stateFolder, 'sync.key'), 'utf8');

  constructor(state: LabState) {
    this.state = state;
  }

  // ------------------------------------------------------------------ daemons

  status(node: GatewayNode): Promise<Status> {
    return readStatus(this.state, node);
  }

  /** Packets that the gateway has counted under a reason. */
  async counted(node: GatewayNode, reason: string): Promise<number> {
    return (await this.status(node)).counters[reason]?.packets ?? 0;
  }

  async virtualRouter(node: GatewayNode): Promise<VirtualRouterStatus> {
    const [router] = (await this.status(node)).virtualRouters;
    if (router === undefined) throw new Error(`${node} has no virtual router`);
    return router;
  }

  /** Of both gateways: what moves no role leaves them as they are. */
  histories(): Promise<VirtualRouterStatus['history'][]> {
    return Promise.all(gateways.map(async (node) => (await this.virtualRouter(node)).history));
  }

  /**
   * Waits until the election and the programs agree on the role: a daemon that starts finds programs in a role that
   * it has not decided about.
   * @returns the reason of the transition that made it so
   */
  async reaches(node: GatewayNode, role: 'active' | 'backup'): Promise<string> {
    const settled = async () => {
      const { state, history } = await this.virtualRouter(node);
      return state === role && history[0]?.to.toLowerCase() === role && history[0].reason;
    };
    return until(`${node} to be ${role}`, settled, { deadlineMs: startDeadlineMs });
  }

  async synchronised(): Promise<void> {
    for (const node of gateways) {
      await until(`${node} and its peer to hold the same`, async () => isSynchronised(await this.status(node)), { deadlineMs: startDeadlineMs });
    }
  }

  /** Ends a daemon by a signal and waits until it has ended. */
  async end(node: GatewayNode, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const daemon = daemonOf(this.state, node);
    if (daemon === undefined) throw new Error(`the daemon of ${node} does not run`);
    sendSignal(daemon.pid, signal);
    await until(`the daemon of ${node} to end`, () => !isRunning(daemon), { deadlineMs: 5000, intervalMs: 2 });
  }

  signal(node: GatewayNode, signal: 'SIGSTOP' | 'SIGCONT'): void {
    const daemon = daemonOf(this.state, node);
    if (daemon === undefined) throw new Error(`the daemon of ${node} does not run`);
    sendSignal(daemon.pid, signal);
  }

  /** Starts a daemon and waits until it answers. */
  async start(node: GatewayNode, how?: DaemonStart): Promise<Status> {
    startGateway(this.state, node, how);
    return until(`the daemon of ${node} to answer`, () => this.status(node), { deadlineMs: startDeadlineMs });
  }

  /** The node loses power: its daemon is gone, its links are down. */
  async loseNode(node: GatewayNode): Promise<void> {
    await Promise.all([this.end(node, 'SIGKILL'), setLinks(topology, node, 'down')]);
  }

  /** And comes back as after a reboot: without a map, without a program. */
  async returnNode(node: GatewayNode, how?: DaemonStart): Promise<void> {
    await forgetGateway(node);
    await setLinks(topology, node, 'up');
    await this.start(node, how);
  }

  /** All that the gateway holds. */
  async sessions(node: GatewayNode): Promise<SessionView[]> {
    const all: SessionView[] = [];
    for (let after: string | undefined; ; ) {
      const { sessions, next } = await this.api(node).sessions({ limit: '1000', ...(after === undefined ? {} : { after }) });
      all.push(...sessions);
      if (next === undefined) return all;
      after = next;
    }
  }

  /** What the command line uses, without the start of a process each time. */
  api(node: GatewayNode): ApiClient {
    return new ApiClient(join(gatewayFolder(node), 'state', 'api.sock'));
  }

  /** `floatgate …` as a user types it. @throws LabError with what it says when it fails */
  floatgate(...args: readonly string[]): Promise<string> {
    return run(process.execPath, [program, ...args]);
  }

  /** Both gateways work, gw-a is Active, both hold the same; also after a case that has failed half way. */
  async restore(): Promise<void> {
    if (this.#edited) await configureGateways(topology, 'strict', this.#key);
    for (const node of gateways) {
      await setLinks(topology, node, 'up');
      if (daemonOf(this.state, node) === undefined) await this.start(node);
      this.signal(node, 'SIGCONT');
      if (this.#edited) await this.api(node).reload();
      if ((await this.status(node)).gateway.draining) await this.api(node).undrain();
    }
    this.#edited = false;
    await gatewaysReady(this.state, 'strict');
  }

  // ------------------------------------------------------------ configuration

  /** Changes a gateway's configuration file; takes effect with `reload`. @returns its new text */
  edit(node: GatewayNode, change: (configuration: Document) => void): string {
    const file = configurationFile(node);
    this.#edited = true;
    const document = parseDocument(readFileSync(file, 'utf8'));
    change(document);
    const text = document.toString();
    writeFileSync(file, text);
    return text;
  }

  textOf(node: GatewayNode): string {
    return readFileSync(configurationFile(node), 'utf8');
  }

  /** Has a gateway read another file. */
  async replace(node: GatewayNode, text: string): Promise<void> {
    this.#edited = true;
    writeFileSync(configurationFile(node), text);
    await this.api(node).reload();
  }

  /** Changes the configuration of both and has both read it. */
  async reconfigure(change: (configuration: Document) => void): Promise<void> {
    for (const node of gateways) {
      this.edit(node, change);
      await this.api(node).reload();
    }
  }

  // ------------------------------------------------------------------- kernel

  async pinned(node: GatewayNode): Promise<Pinned> {
    const folder = join(gatewayFolder(node), 'state', 'bpf');
    const show = async (kind: 'map' | 'link', name: string) => JSON.parse(await run('bpftool', ['-j', kind, 'show', 'pinned', join(folder, `${kind}s`, name)])) as { id: number; prog_id?: number };
    const all = async <T>(kind: 'map' | 'link', shape: (shown: { id: number; prog_id?: number }) => T) =>
      Object.fromEntries(await Promise.all(pinsIn(join(folder, `${kind}s`)).map(async (name) => [name, shape(await show(kind, name))] as const)));
    return { maps: await all('map', ({ id }) => id), links: await all('link', ({ id, prog_id }) => ({ id, program: prog_id ?? 0 })) };
  }

  // ------------------------------------------------------------------ clients

  /** Does something while the load runs; the windows reach from just before it until everything has gone on after it. */
  async observe<T>(load: Load, what: () => Promise<T>): Promise<Observed<T>> {
    const fromMs = monotonicMs();
    const result = await what();
    await load.checkpoint();
    const progress = await load.progressWithin(goOnDeadlineMs);
    if (!(await load.probed(200))) throw new Error('the probes get no answers any more');
    return { result, windows: await load.windows(fromMs, monotonicMs()), progress };
  }

  /** TCP sessions and UDP flows of one VM beyond those of the load, with numbers of their own from `first` on. */
  async moreClients(node: string, first: number, count: number): Promise<MoreClients> {
    return MoreClients.start(this.state, node, first, count);
  }
}

function pinsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

/** Their server is the load's. */
export class MoreClients {
  readonly #sessions: LabClient;
  readonly #flows: LabClient;

  private constructor(sessions: LabClient, flows: LabClient) {
    this.#sessions = sessions;
    this.#flows = flows;
  }

  static async start(state: LabState, node: string, first: number, count: number): Promise<MoreClients> {
    const perSecond = 10;
    const sessions = new LabClient(state, { program: 'session-client', name: `${node}-more-sessions`, node, args: [outsideAddress, ports.sessions, count, first, perSecond] });
    const flows = new LabClient(state, { program: 'flow-client', name: `${node}-more-flows`, node, args: [outsideAddress, ports.datagrams, count, first, perSecond] });
    const clients = new MoreClients(sessions, flows);
    await Promise.all([sessions.call('connect', {}, startDeadlineMs), flows.call('start')]);
    await clients.goOn();
    return clients;
  }

  /** Waits until each has had an answer to something new. @returns those that have not within the deadline */
  async goOn(): Promise<ProgressReport['broken']> {
    const both = [this.#sessions, this.#flows];
    await Promise.all(both.map((client) => client.call('checkpoint')));
    const broken = async () => (await Promise.all(both.map((client) => client.call<ProgressReport>('progress')))).flatMap((report) => report.broken);
    await until('the added clients to go on', async () => (await broken()).length === 0, { deadlineMs: goOnDeadlineMs }).catch(() => undefined);
    return broken();
  }

  close(): void {
    this.#sessions.close();
    this.#flows.close();
  }

  async stop(): Promise<{ readonly flows: readonly FlowReport[] }> {
    await this.#sessions.call('stop', { deadlineMs: 5000 });
    const { flows } = await this.#flows.call<{ flows: FlowReport[] }>('stop');
    this.close();
    return { flows };
  }
}

/** The mapping at a path of a configuration file. */
export function mapAt(document: Document, ...path: readonly (string | number)[]): YAMLMap {
  const found = document.getIn(path);
  if (!isMap(found)) throw new Error(`${path.join('.')} is not a mapping`);
  return found;
}

export function listAt(document: Document, ...path: readonly (string | number)[]): YAMLSeq {
  const found = document.getIn(path);
  if (!isSeq(found)) throw new Error(`${path.join('.')} is not a list`);
  return found;
}

/** A command in a node that is a measurement: its failure is an answer, too. */
export async function answersPing(from: string, address: string): Promise<boolean> {
  return runIn(from, ['ping', '-n', '-c', '1', '-W', '1', address]).then(() => true, () => false);
}
