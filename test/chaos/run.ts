/** A plan carried out on a lab with load; what must hold is looked at after every step and at the end. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Transition } from '../../src/api/status.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { downIfOurs, isSynchronised, up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import { until } from '../../src/lab/wait.js';
import { RunningLab } from '../support/running-lab.js';
import { Faults } from './faults.js';
import { Observer } from './observer.js';
import { describe, dividesUnderlay, makePlan, names, type GatewayName, type Step } from './plan.js';
import { rivalClaims, sharedPorts, sharedTerms, type Division } from './verdict.js';

export interface ChaosOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly connections: number;
  readonly flows: number;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A client that has backed off for as long as the longest fault tries again within this. */
const GO_ON_DEADLINE_MS = 12_000;
const HEAL_DEADLINE_MS = 30_000;

/** @returns what did not hold, a sentence each @throws LabError when the lab itself fails */
export async function runChaos(options: ChaosOptions): Promise<string[]> {
  const lab = new RunningLab(await up({ sync: 'strict', say: options.say, signal: options.signal }, 'running'));
  try {
    return await new Chaos(lab, options).run();
  } finally {
    await downIfOurs();
  }
}

class Chaos {
  readonly #lab: RunningLab;
  readonly #options: ChaosOptions;
  readonly #faults: Faults;
  readonly #load: Load;
  readonly #violations: string[] = [];
  readonly #divisions: Division[] = [];
  readonly #histories: Record<GatewayName, Map<string, Transition>> = { 'gw-a': new Map(), 'gw-b': new Map() };

  constructor(lab: RunningLab, options: ChaosOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#faults = new Faults(lab);
    this.#load = new Load(lab.state, options);
  }

  async run(): Promise<string[]> {
    const { seed, seconds, signal } = this.#options;
    await this.#giveClocks();
    await this.#load.start();
    const observer = new Observer(this.#lab.state);
    await until('the observer to hear the Active', () => observer.heard.length > 0, { signal });
    try {
      for (const step of makePlan(seed, seconds)) {
        signal?.throwIfAborted();
        await this.#carryOut(step);
        await this.#heal();
        await this.#look();
      }
      for (const sentence of [...rivalClaims(observer.heard, this.#divisions).slice(0, 5), ...sharedTerms(this.#told())]) this.#violated(sentence);
    } finally {
      await observer.stop();
      this.#load.close();
      for (const clients of this.#faults.arrived) clients.close();
    }
    return this.#violations;
  }

  /** Daemons whose clocks can be moved, one after the other. */
  async #giveClocks(): Promise<void> {
    for (const node of names) {
      await this.#faults.giveClock(node);
      await this.#lab.restore();
    }
  }

  async #carryOut({ fault, afterMs, lastsMs, during }: Step): Promise<void> {
    const { say } = this.#options;
    await delay(afterMs);
    const fromMs = monotonicMs();
    say(`${describe(fault)}, for ${lastsMs} ms`);
    const end = await this.#faults.begin(fault);
    await Promise.all([delay(lastsMs), during === undefined ? undefined : this.#carryOut(during)]);
    await end();
    if (dividesUnderlay(fault)) this.#divisions.push({ fromMs, toMs: monotonicMs() });
  }

  async #heal(): Promise<void> {
    const startedMs = monotonicMs();
    try {
      await until('gw-a to be Active, gw-b Backup, and both to hold the same', () => this.#isWhole(), { deadlineMs: HEAL_DEADLINE_MS, signal: this.#options.signal });
    } catch (error) {
      this.#violated((error as Error).message);
    }
    this.#options.say(`  healed after ${(monotonicMs() - startedMs).toFixed(0)} ms`);
  }

  async #isWhole(): Promise<boolean> {
    const [a, b] = await Promise.all(names.map((node) => this.#lab.status(node)));
    return isSynchronised(a!) && isSynchronised(b!) && a!.virtualRouters[0]?.state === 'active' && b!.virtualRouters[0]?.state === 'backup';
  }

  async #look(): Promise<void> {
    await this.#load.checkpoint();
    const { sessions, flows } = await this.#load.progressWithin(GO_ON_DEADLINE_MS);
    for (const { id, error } of [...sessions.broken, ...flows.broken].slice(0, 5)) this.#violated(`session or flow ${id} was lost: ${error}`);
    for (const clients of this.#faults.arrived) {
      for (const { id, error } of (await clients.goOn()).slice(0, 5)) this.#violated(`session or flow ${id}, which came later, was lost: ${error}`);
    }
    await this.#remember();
    const views = await Promise.all(names.map(async (node) => [node, await this.#lab.sessions(node)] as const));
    for (const sentence of sharedPorts(Object.fromEntries(views)).slice(0, 5)) this.#violated(sentence);
  }

  /** A daemon that ends forgets its history. */
  async #remember(): Promise<void> {
    for (const node of names) {
      for (const transition of (await this.#lab.virtualRouter(node)).history) this.#histories[node].set(JSON.stringify(transition), transition);
    }
  }

  #told(): Record<string, Transition[]> {
    return Object.fromEntries(names.map((node) => [node, [...this.#histories[node].values()]]));
  }

  #violated(sentence: string): void {
    this.#violations.push(sentence);
    this.#options.say(`  VIOLATED: ${sentence}`);
  }
}
