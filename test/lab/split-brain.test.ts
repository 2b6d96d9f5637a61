// The two gateways cut off from each other, one way at a time and whole, with traffic all along: who is Active, what is
// given twice, how long it takes to be one again, and what is left of the sessions.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/lab/clock.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { run } from '../../src/lab/process.js';
import { until } from '../../src/lab/wait.js';
import { sharedPorts } from '../chaos/verdict.js';
import { loadedLab } from '../support/loaded-lab.js';
import { MoreClients, type GatewayNode, type RunningLab } from '../support/running-lab.js';
import { setPort, setUnderlayBetween } from '../support/partition.js';

const connections = 20;
const flows = 20;
const added = 5;
const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];
/** `SPLIT_SECONDS=180 npx vitest run test/lab/split-brain.test.ts` is the longer form. */
const splitMs = Number(process.env['SPLIT_SECONDS'] ?? 1) * 1000;
const healMs = 1000;
/** What it takes to ask both who they are, on a busy machine. */
const askingMs = 500;

let lab: RunningLab;
let load: Load;
const more: MoreClients[] = [];

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }));
}, 90_000);

afterAll(async () => {
  load?.close();
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  await heal();
  await lab.restore();
  for (const node of both) await until(`${node} to be answered on both ways`, async () => (await lab.status(node)).peer.answersOn.length === 2);
  await load.checkpoint();
  expect((await load.progressWithin(8000)).sessions.advanced).toBe(connections);
}, 60_000);

afterEach(() => {
  for (const clients of more.splice(0)) clients.close();
});

async function heal(): Promise<void> {
  await setUnderlayBetween('whole');
  for (const node of both) await setPort('underlay', node, 'whole');
  await setHa('up');
}

const setHa = (state: 'up' | 'down'): Promise<string> => run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', state]);

async function roles(): Promise<string[]> {
  return Promise.all(both.map(async (node) => (await lab.virtualRouter(node)).state));
}

/** Ports of forwardings are the configuration's. */
async function portsGivenTwice(): Promise<string[]> {
  const [a, b] = [await lab.sessions('gw-a'), await lab.sessions('gw-b')];
  expect(a.length + b.length).toBeGreaterThan(connections);
  return sharedPorts({ 'gw-a': a, 'gw-b': b });
}

/** Until one is Active and the other Backup, and stays so. */
async function untilOne(): Promise<number> {
  const fromMs = monotonicMs();
  await until('one to be Active', async () => (await roles()).sort().join() === 'active,backup', { intervalMs: 5 });
  return monotonicMs() - fromMs;
}

/** Summed up and compared since, by the gateways themselves. */
async function untilTablesAreEqual(sinceMs: number): Promise<void> {
  for (const node of both) {
    await until(`the tables of both to be the same, says ${node}`, async () => {
      const { tablesEqual, tablesComparedMs = Infinity } = (await lab.status(node)).peer;
      if (tablesEqual === true && tablesComparedMs < monotonicMs() - sinceMs) return true;
      throw new Error(`${String(tablesEqual)}, ${tablesComparedMs} ms ago`);
    }, { deadlineMs: 60_000, intervalMs: 200 });
  }
}

async function expectAllGoOn(): Promise<void> {
  await load.checkpoint();
  const { sessions, flows: datagrams } = await load.progressWithin(8000);
  expect([...sessions.broken, ...datagrams.broken]).toEqual([]);
  for (const clients of more) expect(await clients.goOn()).toEqual([]);
}

describe('split', () => {
  it('only ha/each keeps its role; no port is given twice; what began meanwhile is replicated afterwards', { timeout: 150_000 + splitMs }, async () => {
    await setHa('down');
    more.push(await lab.moreClients('vm-a1', 1000, added));
    await delay(splitMs);
    expect(await roles()).toEqual(['active', 'backup']);
    await setHa('up');
    const healedMs = monotonicMs();
    await lab.synchronised();
    await untilTablesAreEqual(healedMs);
    expect(await portsGivenTwice()).toEqual([]);
    expect(await roles()).toEqual(['active', 'backup']);
    await expectAllGoOn();
  });

  it('only the underlay between them/one stays Active, decided on the ha link', { timeout: 150_000 + splitMs }, async () => {
    await setUnderlayBetween('cut');
    const sinceMs = monotonicMs();
    const seen: string[] = [];
    await until('seconds to pass', async () => {
      seen.push((await roles()).join());
      return monotonicMs() - sinceMs > 3000 + splitMs;
    }, { intervalMs: 20, deadlineMs: 30_000 + splitMs });
    expect(new Set(seen)).toEqual(new Set(['active,backup']));
    more.push(await lab.moreClients('vm-b1', 2000, added));
    await setUnderlayBetween('whole');
    await expectAllGoOn();
    expect(await roles()).toEqual(['active', 'backup']);
    expect(await portsGivenTwice()).toEqual([]);
  });

  it('the Active alone is cut off from the underlay, its link up/the other takes over by the ha link\'s word, and one is Active throughout', { timeout: 150_000 + splitMs }, async () => {
    await setPort('underlay', 'gw-a', 'cut');
    expect(await lab.reaches('gw-b', 'active')).toBe('peer-cut-off');
    expect(await lab.reaches('gw-a', 'backup')).toBe('fenced');
    const { term } = await lab.virtualRouter('gw-b');
    await delay(splitMs);
    await expectAllGoOn();
    expect((await lab.virtualRouter('gw-b')).term, 'nobody outbids').toBe(term);
    await setPort('underlay', 'gw-a', 'whole');
    expect(await lab.reaches('gw-a', 'active')).toBe('preempting');
    await lab.reaches('gw-b', 'backup');
    await expectAllGoOn();
    expect(await portsGivenTwice()).toEqual([]);
  });

  it('whole/both are Active; healed, one within a second, no port was given twice, what was established goes on', { timeout: 180_000 + splitMs }, async () => {
    await setUnderlayBetween('cut');
    await setHa('down');
    await until('both to be Active', async () => (await roles()).join() === 'active,active');
    const terms = await Promise.all(both.map(async (node) => (await lab.virtualRouter(node)).term));
    // To whichever the switches deliver at the moment: both make sessions, and of those each knows its own.
    const torn = await Promise.all([lab.moreClients('vm-a1', 3000, added), lab.moreClients('vm-b1', 4000, added)]);
    await delay(splitMs);
    expect(await portsGivenTwice()).toEqual([]);

    for (const clients of torn) clients.close();
    await Promise.all([setHa('up'), setUnderlayBetween('whole')]);
    const healedMs = monotonicMs();
    const tookMs = await untilOne();
    console.log(`split brain healed after ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(healMs + askingMs);
    await lab.synchronised();
    await expectAllGoOn();
    expect(await lab.reaches('gw-a', 'active')).toBeDefined();
    await lab.synchronised();
    await untilTablesAreEqual(healedMs);
    await expectAllGoOn();
    expect(await portsGivenTwice()).toEqual([]);
    const after = Math.max(...(await Promise.all(both.map(async (node) => (await lab.virtualRouter(node)).term))));
    expect(after, 'nobody outbids').toBeLessThanOrEqual(Math.max(...terms) + 2);
  });
});
