// What takes a role away and what does not: a lost way, a stopped or killed process, a dead node. Real daemons, real
// traffic; what is lost is counted by sequence number. LIVENESS_RUNS: how often a node dies for the figures, 3 by default.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cutPower, givePower, wirePower } from '../../bench/scoreboard/power.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { setLinks } from '../../src/lab/network.js';
import { run } from '../../src/lab/process.js';
import { topology } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import type { GatewayNode, RunningLab } from '../support/running-lab.js';
import { setUnderlayBetween } from '../support/partition.js';

const connections = 20;
const flows = 20;
const runs = Number(process.env['LIVENESS_RUNS'] ?? 3);
/** Three heartbeats go unanswered, the role changes, the switches learn, on a busy machine: well below VRRP's 361 ms. */
const crashOutageMs = 200;
const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];

let lab: RunningLab;
let load: Load;

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }));
  await wirePower(topology, 'gw-a');
}, 90_000);

afterAll(async () => {
  load?.close();
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  givePower();
  await setUnderlayBetween('whole');
  await lab.restore();
  for (const node of both) await until(`${node} to be answered on both ways`, async () => (await answersOn(node)).length === 2);
  await load.checkpoint();
  expect((await load.progressWithin(8000)).sessions.advanced).toBe(connections);
}, 60_000);

const answersOn = async (node: GatewayNode): Promise<readonly string[]> => (await lab.status(node)).peer.answersOn;

const pause = (ms: number): Promise<void> => {
  const endMs = monotonicMs() + ms;
  return until(`${ms} ms to pass`, () => monotonicMs() >= endMs).then(() => undefined);
};

describe('a single way', () => {
  it('ha alone is cut/nothing changes, the peer is seen on the underlay, nothing is lost', { timeout: 60_000 }, async () => {
    const before = await lab.histories();
    const observed = await lab.observe(load, async () => {
      await run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', 'down']);
      for (const node of both) await until(`${node} to miss the ha link`, async () => (await answersOn(node)).join() === 'underlay');
      await pause(1000);
      await run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', 'up']);
      for (const node of both) await until(`${node} to have it back`, async () => (await answersOn(node)).length === 2);
    });
    expectNothingLost(observed);
    expect(await lab.histories()).toEqual(before);
    await lab.synchronised();
  });

  it('the underlay between the gateways alone is cut/nothing changes, nothing is lost', { timeout: 60_000 }, async () => {
    const before = await lab.histories();
    const observed = await lab.observe(load, async () => {
      await setUnderlayBetween('cut');
      for (const node of both) await until(`${node} to miss the underlay`, async () => (await answersOn(node)).join() === 'ha');
      await pause(3000);
      await setUnderlayBetween('whole');
      for (const node of both) await until(`${node} to have it back`, async () => (await answersOn(node)).length === 2);
    });
    expectNothingLost(observed);
    expect(await lab.histories()).toEqual(before);
  });
});

describe('the process of the Active', () => {
  it('stopped for less than its lease/keeps the role, nothing is lost', { timeout: 60_000 }, async () => {
    const before = await lab.histories();
    const observed = await lab.observe(load, async () => {
      lab.signal('gw-a', 'SIGSTOP');
      // Half of 1.2 times the Active_Down_Interval at the least.
      await pause(150);
      lab.signal('gw-a', 'SIGCONT');
      await pause(500);
    });
    expectNothingLost(observed);
    expect(await lab.histories()).toEqual(before);
  });

  it('killed/its programs go on until its lease ends, then the Backup\'s, nothing is lost', { timeout: 60_000 }, async () => {
    const gone = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGKILL');
      return lab.reaches('gw-b', 'active');
    });
    expect(gone.result).toBe('active-silent');
    expectNothingLost(gone);
  });
});

/**
 * All that gw-a sends stops at one moment, and its daemon at the same: links that are taken down go one after the other,
 * and on a busy machine a killed daemon's lease ends before the last of them does. The cable between the gateways, which
 * ends at no switch, goes before; alone it changes nothing.
 */
async function losePower(): Promise<void> {
  await run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', 'down']);
  cutPower();
  await lab.end('gw-a', 'SIGKILL');
}

/** As after a reboot: what it was is gone before anything of it is heard. */
async function returnPower(): Promise<void> {
  await setLinks(topology, 'gw-a', 'down');
  givePower();
  await lab.returnNode('gw-a');
}

describe('the node of the Active dies', () => {
  it('the Backup notices by heartbeats and takes over at once', { timeout: 60_000 + runs * 30_000 }, async () => {
    const outages: number[] = [];
    for (let i = 0; i < runs; i++) {
      const lost = await lab.observe(load, async () => {
        await losePower();
        return lab.reaches('gw-b', 'active');
      });
      expect(lost.result).toBe('peer-silent');
      expect([...lost.progress.sessions.broken, ...lost.progress.flows.broken]).toEqual([]);
      outages.push(...lost.windows.map(({ window }) => window.longestGapMs));
      await returnPower();
      await lab.reaches('gw-a', 'active');
      await lab.synchronised();
    }
    outages.sort((x, y) => x - y);
    const at = (share: number): number => outages[Math.min(outages.length - 1, Math.floor(outages.length * share))]!;
    console.log(`outage of ${outages.length} probes over ${runs} crashes: median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, all ${outages.map((ms) => ms.toFixed(1)).join(' ')}`);
    expect(at(0.5)).toBeLessThan(crashOutageMs);
  });
});

