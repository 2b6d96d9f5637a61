/**
 * Is any of a million sessions lost when the Active dies?
 *
 *   npm run failover -- [--sessions 1000000] [--fault power|kill|link] [--rate 20000] [--json FILE]
 *
 * In the lab, strict replication: a crowd of VMs behind one tunnel endpoint opens as many UDP sessions, each a five-tuple
 * of its own, through the Active; what gets lost on the way is sent again, as a client would. A server outside notes
 * which address and port it sees each from. While the last of them come, the Active loses power (or its daemon, by SIGKILL, or its underlay link),
 * and the server answers every session exactly there: its answer has to arrive at the very VM and port that opened it, by way of the other gateway. Answers that a full
 * queue loses are sent again, at most ten times. Those that came last send once more: none may be seen from elsewhere.
 * Meanwhile TCP connections and UDP flows of other VMs run on. A gateway that lost power returns in the end, and is told
 * everything. Exit status 0: nothing was lost. Needs root and minutes.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reason } from '../../src/dataplane/layout.generated.js';
import { LabClient } from '../../src/lab/client.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { LabError, messageOf } from '../../src/lab/error.js';
import { forgetGateway, gatewayFolder } from '../../src/lab/gateway.js';
import { downIfOurs, gatewaysReady, up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import { run } from '../../src/lab/process.js';
import { namespaceOf, outsideAddress, tunnelVip } from '../../src/lab/topology.js';
import { interruption } from '../../test/support/interruption.js';
import { RunningLab, type GatewayNode } from '../../test/support/running-lab.js';
import { ENDPOINT, Marks } from './crowd.js';
import { addCrowd, EXTERNAL_SUBNET } from './routers.js';

const viteNode = fileURLToPath(new URL('../../node_modules/.bin/vite-node', import.meta.url));
const CONNECTIONS = 100;
const ROUNDS = 10;
/** Seconds of new sessions around the fault. */
const YOUNG_SECONDS = 4;
/** Before the fault every so many-th session is answered as well: the router knows all addresses then. */
const SAMPLE_STEP = 500;
const COMMAND_DEADLINE_MS = 400_000;

const faults = {
  power: (lab: RunningLab) => lab.loseNode('gw-a'),
  kill: (lab: RunningLab) => lab.end('gw-a', 'SIGKILL'),
  link: async () => void (await run('ip', ['-n', namespaceOf('gw-a'), 'link', 'set', 'underlay0', 'down'])),
} as const satisfies Record<string, (lab: RunningLab) => Promise<void>>;
type Fault = keyof typeof faults;

interface Plan {
  readonly sessions: number;
  readonly fault: Fault;
  readonly rate: number;
}

interface Marked {
  readonly count: number;
  readonly marks: string;
}

interface Result extends Omit<Plan, 'rate'> {
  /** Opened and seen outside, so held by both. */
  readonly made: number;
  /** Of those, made from two seconds before the fault on. */
  readonly young: number;
  /** Young ones that were seen from two places. */
  readonly moved: number;
  /** That the Active let out without its peer, and counted so, for it got no answer from there for `soloAfter`. */
  readonly unprotected: number;
  readonly heldByBackup: number;
  readonly takeoverMs: number;
  /** Of the answers, by how many had arrived after each time that they were sent. */
  readonly answeredByRound: readonly number[];
  readonly lost: number;
  readonly wrong: number;
  /** Power: what the gateway that returned holds, and how long after its first answer both held the same. */
  readonly returned?: { readonly ms: number; readonly sessions: number };
  readonly live: { readonly of: number; readonly broken: number; readonly longestGapMs: number };
}

class Failover {
  readonly #lab: RunningLab;
  readonly #plan: Plan;
  readonly #say: (line: string) => void;
  readonly #vms: LabClient;
  readonly #server: LabClient;
  readonly #load: Load;

  constructor(lab: RunningLab, plan: Plan, say: (line: string) => void) {
    const { sessions, rate } = plan;
    this.#lab = lab;
    this.#plan = plan;
    this.#say = say;
    const script = (name: string): string[] => [viteNode, fileURLToPath(new URL(`${name}.ts`, import.meta.url))];
    this.#server = new LabClient(lab.state, { program: script('server'), name: 'crowd-server', node: 'outside', args: [sessions, rate, outsideAddress], prompt: true });
    this.#vms = new LabClient(lab.state, { program: script('vms'), name: 'crowd', node: 'underlay', args: [sessions, rate, outsideAddress, tunnelVip], prompt: true });
    this.#load = new Load(lab.state, { connections: CONNECTIONS, flows: CONNECTIONS });
  }

  async run(signal: AbortSignal): Promise<Result> {
    const { sessions, fault, rate } = this.#plan;
    const young = Math.min(sessions / 2, rate * YOUNG_SECONDS), old = sessions - young;
    await this.#load.start();
    await this.#open(old, signal);
    await this.#lab.synchronised();
    const { sessions: heldByBackup } = await this.#lab.api('gw-b').countSessions({});
    const rest = new Marks(sessions);
    for (let index = old; index < sessions; index++) rest.add(index);
    await this.#server.call('answer', { done: String(rest), step: SAMPLE_STEP }, COMMAND_DEADLINE_MS);
    await this.#vms.call('forget');
    await this.#load.checkpoint();

    this.#say(`${old} sessions made, ${heldByBackup} held by gw-b; ${young} more come; gw-a: ${fault}`);
    const { killedAtMs, takeoverMs } = await this.#fail(old);
    await this.#open(sessions, signal);
    const { count: made } = await this.#seen();
    const answeredByRound = await this.#answer(signal);
    const { wrong } = await this.#vms.call<{ wrong: number }>('answered');
    const { moved } = await this.#again(old);
    const unprotected = await unprotectedOf('gw-a');
    const live = await this.#live(killedAtMs);
    const returned = fault === 'power' ? await this.#return() : undefined;
    return { sessions, fault, made, young, moved, unprotected, heldByBackup, takeoverMs, answeredByRound, lost: made - answeredByRound.at(-1)!, wrong, live, ...(returned === undefined ? {} : { returned }) };
  }

  #seen(): Promise<Marked & { moved: number }> {
    return this.#server.call('seen');
  }

  /** Every session below `upTo` is seen outside, unless ten times are not enough. */
  async #open(upTo: number, signal: AbortSignal): Promise<void> {
    for (let round = 1; round <= ROUNDS; round++) {
      signal.throwIfAborted();
      const done = new Marks(this.#plan.sessions, (await this.#seen()).marks);
      for (let index = upTo; index < this.#plan.sessions; index++) done.add(index);
      await this.#vms.call('send', { done: String(done) }, COMMAND_DEADLINE_MS);
      const { count } = await this.#seen();
      this.#say(`  opened ${count}`);
      if (count >= upTo) return;
    }
  }

  /** In the middle of the opening of all from `old` on. */
  async #fail(old: number): Promise<{ killedAtMs: number; takeoverMs: number }> {
    const opening = this.#sendFrom(old);
    await delay(YOUNG_SECONDS * 500);
    const killedAtMs = monotonicMs();
    await faults[this.#plan.fault](this.#lab);
    await this.#lab.reaches('gw-b', 'active');
    const takeoverMs = monotonicMs() - killedAtMs;
    await opening;
    return { killedAtMs, takeoverMs };
  }

  #sendFrom(first: number): Promise<unknown> {
    const done = new Marks(this.#plan.sessions);
    for (let index = 0; index < first; index++) done.add(index);
    return this.#vms.call('send', { done: String(done) }, COMMAND_DEADLINE_MS);
  }

  async #again(old: number): Promise<{ moved: number }> {
    await this.#sendFrom(old);
    return this.#seen();
  }

  async #return(): Promise<{ ms: number; sessions: number }> {
    await this.#lab.returnNode('gw-a');
    const fromMs = monotonicMs();
    await this.#lab.synchronised();
    const ms = monotonicMs() - fromMs;
    return { ms, sessions: (await this.#lab.api('gw-a').countSessions({})).sessions };
  }

  async #answer(signal: AbortSignal): Promise<number[]> {
    const byRound: number[] = [];
    const { count: made } = await this.#seen();
    while (byRound.length < ROUNDS && byRound.at(-1) !== made) {
      signal.throwIfAborted();
      const { marks } = await this.#vms.call<Marked>('answered');
      await this.#server.call('answer', { done: marks, step: 1 }, COMMAND_DEADLINE_MS);
      byRound.push((await this.#vms.call<Marked>('answered')).count);
      this.#say(`  answered ${byRound.at(-1)}`);
    }
    return byRound;
  }

  async #live(killedAtMs: number): Promise<Result['live']> {
    await this.#load.checkpoint();
    const { sessions, flows } = await this.#load.progressWithin(12_000);
    const windows = await this.#load.windows(killedAtMs - 100, killedAtMs + 3000);
    return { of: 2 * CONNECTIONS, broken: sessions.broken.length + flows.broken.length, longestGapMs: Math.max(...windows.map(({ window }) => window.longestGapMs)) };
  }

  close(): void {
    for (const client of [this.#vms, this.#server, this.#load]) client.close();
  }
}

/** From its programs, whose tables outlive the daemon. */
async function unprotectedOf(node: GatewayNode): Promise<number> {
  const counters = join(gatewayFolder(node), 'state', 'bpf', 'maps', 'counters');
  const dump = JSON.parse(await run('bpftool', ['-j', 'map', 'dump', 'pinned', counters])) as { formatted: { key: number; values: { value: { packets: number } }[] } }[];
  return dump.filter(({ formatted }) => formatted.key === reason.sessionUnprotected).flatMap(({ formatted }) => formatted.values).reduce((sum, { value }) => sum + value.packets, 0);
}

/** Both gateways begin anew, with room and routers for the crowd. */
async function makeRoom(lab: RunningLab, signal: AbortSignal): Promise<void> {
  await run('ip', ['-n', namespaceOf('underlay'), 'address', 'add', `${ENDPOINT}/24`, 'dev', 'br0']);
  await run('ip', ['-n', namespaceOf('router'), 'route', 'add', EXTERNAL_SUBNET, 'dev', 'external0']);
  for (const node of ['gw-a', 'gw-b'] as const) {
    lab.edit(node, addCrowd);
    await lab.end(node, 'SIGTERM');
    await forgetGateway(node, signal);
    await lab.start(node);
  }
  await gatewaysReady(lab.state, 'strict', signal);
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { sessions: { type: 'string', default: '1000000' }, rate: { type: 'string', default: '20000' }, fault: { type: 'string', default: 'power' }, json: { type: 'string' } } });
  const [sessions, rate, fault] = [Number(values.sessions), Number(values.rate), values.fault];
  if (!(Number.isInteger(sessions) && sessions >= 1000 && sessions <= 4_000_000)) throw new LabError(`--sessions is ${values.sessions}: a number from 1000 to 4000000`);
  if (!(rate >= 100)) throw new LabError(`--rate is ${values.rate}: packets a second, 100 at least`);
  if (!isFault(fault)) throw new LabError(`--fault is ${fault}: none of ${Object.keys(faults).join(', ')}`);
  const started = performance.now();
  const say = (line: string): void => void process.stdout.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  const { signal, release: releaseSignals } = interruption(say);
  const loadBefore = loadavg()[0]!;
  try {
    const lab = new RunningLab(await up({ sync: 'strict', say, signal }, 'running'));
    await makeRoom(lab, signal);
    const failover = new Failover(lab, { sessions, rate, fault }, say);
    try {
      const result = await failover.run(signal);
      const machine = { cpus: cpus().length, model: cpus()[0]?.model, kernel: release(), loadBefore, loadAfter: loadavg()[0]! };
      if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, result }, undefined, 2)}\n`);
      process.stdout.write(`\n${tableOf(result)}\nload average ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after\n`);
      return isGood(result);
    } finally {
      failover.close();
    }
  } finally {
    await downIfOurs();
    releaseSignals();
  }
}

function isFault(word: string): word is Fault {
  return word in faults;
}

function tableOf({ sessions, fault, made, young, moved, unprotected, heldByBackup, takeoverMs, answeredByRound, lost, wrong, live, returned }: Result): string {
  const rows: [string, string][] = [
    ['fault of the Active', fault], ['sessions made', `${made} of ${sessions}`], ['of those, within seconds of the fault', String(young)], ['held by the Backup before', String(heldByBackup)], ['until the Backup said that it is Active', `${takeoverMs.toFixed(0)} ms`],
    ['answered at the right tuple, sent once', String(answeredByRound[0])], [`after ${answeredByRound.length} times at most`, String(answeredByRound.at(-1))],
    ['LOST', String(lost)], ['at a wrong tuple', String(wrong)], ['young ones that have moved', String(moved)], ['let out unprotected, by the count of the Active', String(unprotected)], ['live TCP and UDP broken', `${live.broken} of ${live.of}`], ['longest gap of a 1 kHz probe', `${live.longestGapMs.toFixed(1)} ms`],
    ...(returned === undefined ? [] : [['returned, until both hold the same', `${returned.ms.toFixed(0)} ms, ${returned.sessions}`] as [string, string]]),
  ];
  return rows.map(([what, value]) => `${what.padEnd(46)}${value.padStart(20)}`).join('\n');
}

function isGood({ sessions, made, moved, lost, wrong, live, returned }: Result): boolean {
  return made === sessions && moved === 0 && lost === 0 && wrong === 0 && live.broken === 0 && (returned === undefined || returned.sessions >= sessions + live.of);
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`failover: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
