/** What two gateways do while the processors are taken from them, as their switch sees it and as they say themselves. */
import { constants, getPriority, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../src/lab/clock.js';
import { runIn } from '../../src/lab/process.js';
import { topology } from '../../src/lab/topology.js';
import { Crowd } from './crowd.js';
import { ElectionObserver, longestGap, type Gap } from './election-observer.js';
import { mapAt, type GatewayNode, type RunningLab } from './running-lab.js';

const gateways = ['gw-a', 'gw-b'] as const;
const metricsAddress = '127.0.0.1:9477';

/** As their adverts bear it. */
export const underlayAddress: Readonly<Record<GatewayNode, string>> = { 'gw-a': addressOf('gw-a'), 'gw-b': addressOf('gw-b') };

function addressOf(node: GatewayNode): string {
  const ends = topology.links.flatMap((link) => link.ends);
  return ends.find((end) => end.node === node && end.interface === 'underlay0')?.address?.split('/')[0] ?? '';
}

export interface Stretch {
  readonly seconds: number;
  /** Of the processors, 0 to 1. */
  readonly busy: number;
  /** Transitions to Active, of either gateway. */
  readonly takeovers: number;
  /** The virtual MAC was learned on another port of a switch. */
  readonly moves: number;
  readonly adverts: number;
  /** Adverts of the Backup. */
  readonly foreignAdverts: number;
  readonly longestGap: Gap;
  /** Since the daemons started: the worst lateness of what they send at fixed times, by metric and gateway. */
  readonly latenessMs: Readonly<Record<string, number>>;
}

export class Starvation {
  readonly underlay: ElectionObserver;
  readonly external: ElectionObserver;
  readonly #lab: RunningLab;

  constructor(lab: RunningLab) {
    this.#lab = lab;
    this.underlay = new ElectionObserver(lab.state, 'underlay');
    this.external = new ElectionObserver(lab.state, 'external');
  }

  /** Before the crowds come: the metrics tell the daemons' lateness. */
  async prepare(advertisementInterval: string): Promise<void> {
    await this.#lab.reconfigure((configuration) => {
      mapAt(configuration, 'virtualRouters', 0).set('advertisementInterval', advertisementInterval);
      configuration.set('metrics', { listen: metricsAddress });
    });
    // Whatever the change of the interval has stirred up is no finding.
    await delay(1000);
    await this.#lab.reaches('gw-a', 'active');
    await this.#lab.reaches('gw-b', 'backup');
  }

  /** Has a crowd of this niceness want all processors for a time, or until the signal. gw-a is Active. */
  async among(nice: number, forMs: number, signal?: AbortSignal): Promise<Stretch> {
    const before = await this.#takeovers();
    const ours = getPriority();
    // Who ends the crowd must get its turn.
    setPriority(constants.priority.PRIORITY_HIGHEST);
    const crowd = Crowd.start(this.#lab.state, nice);
    const fromMs = monotonicMs();
    await delay(forMs, undefined, { signal }).catch(() => undefined);
    const toMs = monotonicMs();
    const busy = await crowd.end();
    setPriority(ours);
    signal?.throwIfAborted();
    const [underlay, external] = await Promise.all([this.underlay.heard(fromMs, toMs), this.external.heard(fromMs, toMs)]);
    const own = underlay.adverts.filter(({ source }) => source === underlayAddress['gw-a']);
    return {
      seconds: (toMs - fromMs) / 1000,
      busy,
      takeovers: (await this.#takeovers()) - before,
      moves: underlay.moves.length + external.moves.length,
      adverts: own.length,
      foreignAdverts: underlay.adverts.length - own.length,
      longestGap: longestGap(own, fromMs, toMs),
      latenessMs: await this.#lateness(),
    };
  }

  close(): void {
    this.underlay.close();
    this.external.close();
  }

  /** Every takeover raises the term, whoever has heard of it. */
  async #takeovers(): Promise<number> {
    const terms = await Promise.all(gateways.map(async (node) => (await this.#lab.virtualRouter(node)).term));
    return Math.max(...terms);
  }

  async #lateness(): Promise<Record<string, number>> {
    const read = async (node: GatewayNode) => {
      const metrics = await runIn(node, ['curl', '-sS', '--max-time', '5', `http://${metricsAddress}/metrics`]);
      return [...metrics.matchAll(/^floatgate_(\w+)_lateness_max_seconds(?:{[^}]*})? (\S+)$/gm)].map(([, what, seconds]) => [`${node} ${what}`, Number(seconds) * 1000] as const);
    };
    return Object.fromEntries((await Promise.all(gateways.map(read))).flat());
  }
}

/** SIGSTOP, and SIGCONT after `ms`, by somebody whom a busy machine does not delay. */
export async function stopFor(lab: RunningLab, node: GatewayNode, ms: number): Promise<void> {
  const { pid } = (await lab.status(node)).gateway;
  await runIn(node, ['chrt', '--rr', '20', 'sh', '-c', `kill -STOP ${pid}; sleep ${ms / 1000}; kill -CONT ${pid}`]);
}
