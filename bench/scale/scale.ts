/**
 * What thousands of routers and many elections cost a pair.
 *
 *   npm run scale -- [--routers 4096] [--elections 16] [--json FILE]
 *
 * In the lab, two real daemons; its own tenants stay, and a kHz probe runs through one of them all along. Every further
 * router has a network and a floating IP, and they are shared among the elections. Measured: the start, a reload that
 * changes one line, the memory and the idle processor time of a daemon, and the takeover when the Active of all
 * elections loses power. Exit status 0: all of it came to pass, and what is a matter of seconds took no longer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Document } from 'yaml';
import type { Status } from '../../src/api/status.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { LabError, messageOf } from '../../src/lab/error.js';
import { configurationFile, daemonOf, forgetGateway, program, startGateway } from '../../src/lab/gateway.js';
import { downIfOurs, gatewayReachable, isSynchronised, up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import { run } from '../../src/lab/process.js';
import { topology, vrid } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { interruption } from '../../test/support/interruption.js';
import { listAt, mapAt, RunningLab, type GatewayNode } from '../../test/support/running-lab.js';

const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];
const FIRST_VNI = 100_000;
const FIRST_VRID = 101;
/** 10.64.0.0 and on; and one that the reload adds. */
const FIRST_FLOATING = 0x0a400000;
const FLOATING_SUBNET = '10.64.0.0/15';
const ADDED = '10.65.255.1';
const DEADLINE_MS = 120_000;
const IDLE_MS = 10_000;
/** On a machine that does other things as well. */
const GOAL = { startMs: 30_000, reloadMs: 5_000, gapMs: 1_000 } as const;

const dotted = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');

interface Size {
  readonly routers: number;
  readonly elections: number;
}

/** The lab's own election is one of them. */
function vridsOf({ elections }: Size): number[] {
  return [vrid, ...Array.from({ length: elections - 1 }, (_, i) => FIRST_VRID + i)];
}

function grow(configuration: Document, size: Size): void {
  const vrids = vridsOf(size), own = mapAt(configuration, 'virtualRouters', 0);
  listAt(configuration, 'externalNetworks', 0, 'subnets').add(FLOATING_SUBNET);
  configuration.set('limits', { routers: 8192, networks: 8192 });
  for (const [i, id] of vrids.entries()) {
    if (id === vrid) continue;
    const { priority, advertisementInterval } = own.toJSON() as { priority: number; advertisementInterval: string };
    listAt(configuration, 'virtualRouters').add(configuration.createNode({ vrid: id, address: `192.168.33.${100 + i}`, priority, advertisementInterval }));
  }
  const routers = listAt(configuration, 'routers');
  for (let i = routers.items.length; i < size.routers; i++) {
    routers.add(configuration.createNode({
      name: `router-${i}`, virtualRouter: vrids[i % vrids.length], externalNetwork: mapAt(configuration, 'externalNetworks', 0).get('name'),
      networks: [{ name: 'net', vni: FIRST_VNI + i, subnet: '172.16.0.0/24', gateway: '172.16.0.1', mac: 'fa:16:3e:00:09:01' }],
      floatingIps: [{ address: dotted(FIRST_FLOATING + i), network: 'net', fixedIp: '172.16.0.10' }],
    }));
  }
}

interface Result extends Size {
  readonly checkMs: number;
  /** Until the API answers; until every election is decided, and both hold the same. */
  readonly answersMs: number;
  readonly startMs: number;
  readonly reloadMs: number;
  readonly residentMiB: number;
  /** Of one processor, 0 to 1. */
  readonly idle: Readonly<Record<GatewayNode, number>>;
  /** Until the other daemon says that it is Active for all. */
  readonly takeoverMs: number;
  /** Of a probe through one of them: the reload's, and the takeover's. */
  readonly reloadGapMs: number;
  readonly takeoverGapMs: number;
  readonly broken: number;
}

class Scale {
  readonly #lab: RunningLab;
  readonly #size: Size;
  readonly #say: (line: string) => void;

  constructor(lab: RunningLab, size: Size, say: (line: string) => void) {
    this.#lab = lab;
    this.#size = size;
    this.#say = say;
  }

  async run(signal: AbortSignal): Promise<Result> {
    const lab = this.#lab;
    for (const node of both) {
      lab.edit(node, (configuration) => grow(configuration, this.#size));
      await lab.end(node, 'SIGTERM');
      await forgetGateway(node, signal);
    }
    const checkMs = await timed(() => run(process.execPath, [program, 'check', '--config', configurationFile('gw-a')]));
    this.#say(`checked in ${checkMs.toFixed(0)} ms; starting both`);
    const fromMs = monotonicMs();
    for (const node of both) startGateway(lab.state, node);
    const answersMs = await timed(() => until('gw-a to answer', () => lab.status('gw-a'), { signal, deadlineMs: DEADLINE_MS, intervalMs: 20 }));
    await this.#allAre('gw-a', 'active', signal);
    await this.#allAre('gw-b', 'backup', signal);
    for (const node of both) await until(`${node} to be synchronised`, async () => isSynchronised(await lab.status(node)), { signal, deadlineMs: DEADLINE_MS, intervalMs: 20 });
    const startMs = monotonicMs() - fromMs;
    this.#say(`${this.#size.elections} elections decided, both synchronised after ${startMs.toFixed(0)} ms`);
    // Both have forgotten where the VMs are.
    await Promise.all(topology.vms.map((vm) => gatewayReachable(vm, signal)));
    const idle = await this.#idle();
    const residentMiB = residentMiBOf(this.#pidOf('gw-a'));
    const load = new Load(lab.state, { connections: 20, flows: 20, signal });
    try {
      await load.start();
      return { ...this.#size, checkMs, answersMs, startMs, idle, residentMiB, ...(await this.#disturb(load, signal)) };
    } finally {
      load.close();
    }
  }

  async #disturb(load: Load, signal: AbortSignal): Promise<Pick<Result, 'reloadMs' | 'reloadGapMs' | 'takeoverMs' | 'takeoverGapMs' | 'broken'>> {
    const lab = this.#lab;
    lab.edit('gw-a', (configuration) => listAt(configuration, 'routers', this.#size.routers - 1, 'floatingIps').add(configuration.createNode({ address: ADDED, network: 'net', fixedIp: '172.16.0.11' })));
    const reload = await lab.observe(load, () => timed(() => lab.api('gw-a').reload()));
    this.#say(`reloaded in ${reload.result.toFixed(0)} ms; gw-a loses power`);
    const takeover = await lab.observe(load, () => timed(async () => {
      await lab.loseNode('gw-a');
      await this.#allAre('gw-b', 'active', signal);
    }));
    const gapOf = ({ windows }: typeof reload): number => Math.max(...windows.map(({ window }) => window.longestGapMs));
    const { sessions, flows } = takeover.progress;
    return { reloadMs: reload.result, reloadGapMs: gapOf(reload), takeoverMs: takeover.result, takeoverGapMs: gapOf(takeover), broken: sessions.broken.length + flows.broken.length };
  }

  async #allAre(node: GatewayNode, state: string, signal: AbortSignal): Promise<void> {
    const wanted = vridsOf(this.#size);
    const are = ({ virtualRouters }: Status): boolean => wanted.every((id) => virtualRouters.find((router) => router.vrid === id)?.state === state);
    await until(`all elections of ${node} to be ${state}`, async () => are(await this.#lab.status(node)), { signal, deadlineMs: DEADLINE_MS, intervalMs: 5 });
  }

  async #idle(): Promise<Record<GatewayNode, number>> {
    const used = (node: GatewayNode): number => processorSecondsOf(this.#pidOf(node));
    const before = { 'gw-a': used('gw-a'), 'gw-b': used('gw-b') }, fromMs = monotonicMs();
    await delay(IDLE_MS);
    const seconds = (monotonicMs() - fromMs) / 1000;
    return { 'gw-a': (used('gw-a') - before['gw-a']) / seconds, 'gw-b': (used('gw-b') - before['gw-b']) / seconds };
  }

  #pidOf(node: GatewayNode): number {
    const daemon = daemonOf(this.#lab.state, node);
    if (daemon === undefined) throw new LabError(`the daemon of ${node} does not run`);
    return daemon.pid;
  }
}

async function timed(what: () => Promise<unknown>): Promise<number> {
  const fromMs = monotonicMs();
  await what();
  return monotonicMs() - fromMs;
}

function residentMiBOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** All threads, user and system: fields 14 and 15 of proc(5), in ticks of 10 ms. */
function processorSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function tableOf(result: Result): string {
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const rows: [string, string][] = [
    ['routers, elections', `${result.routers}, ${result.elections}`], ['floatgate check', ms(result.checkMs)], ['start, until the API answers', ms(result.answersMs)],
    ['start, until all is decided and synchronised', ms(result.startMs)], ['reload of one line', ms(result.reloadMs)], ['longest gap of a probe in the reload', `${result.reloadGapMs.toFixed(1)} ms`],
    ['resident memory of a daemon', `${result.residentMiB.toFixed(0)} MiB`], ['idle, of one processor', both.map((node) => `${node} ${(result.idle[node] * 100).toFixed(1)} %`).join(', ')],
    ['takeover, until all are said to be Active', ms(result.takeoverMs)], ['outage of a probe in the takeover', `${result.takeoverGapMs.toFixed(1)} ms`], ['live TCP and UDP broken', `${result.broken} of 40`],
  ];
  return rows.map(([what, value]) => `${what.padEnd(48)}${value.padStart(28)}`).join('\n');
}

const isGood = ({ startMs, reloadMs, takeoverGapMs, broken }: Result): boolean => startMs <= GOAL.startMs && reloadMs <= GOAL.reloadMs && takeoverGapMs <= GOAL.gapMs && broken === 0;

function wholeNumber(option: string, word: string, min: number, max: number): number {
  const value = Number(word);
  if (!Number.isInteger(value) || value < min || value > max) throw new LabError(`--${option} is ${word}: a whole number from ${min} to ${max}`);
  return value;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { routers: { type: 'string', default: '4096' }, elections: { type: 'string', default: '16' }, json: { type: 'string' } } });
  const size = { routers: wholeNumber('routers', values.routers, 16, 8000), elections: wholeNumber('elections', values.elections, 1, 100) };
  const started = performance.now();
  const say = (line: string): void => void process.stdout.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  const { signal, release: releaseSignals } = interruption(say);
  const loadBefore = loadavg()[0]!;
  try {
    const lab = new RunningLab(await up({ sync: 'strict', say, signal }, 'running'));
    const result = await new Scale(lab, size, say).run(signal);
    const machine = { cpus: cpus().length, model: cpus()[0]?.model, kernel: release(), loadBefore, loadAfter: loadavg()[0]! };
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, result }, undefined, 2)}\n`);
    process.stdout.write(`\n${tableOf(result)}\nload average ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after\n`);
    return isGood(result);
  } finally {
    await downIfOurs();
    releaseSignals();
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`scale: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
