// Gateways that get no processor: all of them taken by others, or their daemon stopped. A role is lost to the end of
// its lease alone, and then for good. Observed at the switches, which belong to neither gateway. The long form:
// `npm run starvation -- --minutes 10 --interval 100ms`.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/lab/clock.js';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import { tunnelVip, vmNamed } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { mapAt, RunningLab, type GatewayNode } from '../support/running-lab.js';
import { Starvation, stopFor, underlayAddress } from '../support/starvation.js';

const connections = 20;
const flows = 20;
/** Three intervals and the skew of priority 100: RFC 9568 §6.1. */
const activeDownMs = 300 + (100 * 156) / 256;
/** Behind gw-a and gw-b, whoever is Active. */
const floatingAddress = vmNamed('vm-a2').floatingAddress ?? '';

let lab: RunningLab;
let load: Load;
let starvation: Starvation;

beforeAll(async () => {
  lab = new RunningLab(await up({ sync: 'strict', say: () => {}, crowded: true }, 'running'));
  starvation = new Starvation(lab);
  await starvation.prepare('100ms');
  load = new Load(lab.state, { connections, flows });
  await load.start();
}, 90_000);

afterAll(async () => {
  load?.close();
  starvation?.close();
  await downIfOurs();
}, 30_000);

/** Which gateways' programs answer ARP at both switches for what belongs to the Active. */
async function answering(): Promise<Record<GatewayNode, boolean[]>> {
  const of = (node: GatewayNode) => Promise.all([starvation.underlay.answersFor(node, tunnelVip), starvation.external.answersFor(node, floatingAddress)]);
  return { 'gw-a': await of('gw-a'), 'gw-b': await of('gw-b') };
}

async function heardSince(fromMs: number) {
  const [underlay, external] = await Promise.all([starvation.underlay.heard(fromMs, monotonicMs()), starvation.external.heard(fromMs, monotonicMs())]);
  return { sources: [...new Set(underlay.adverts.map(({ source }) => source))], moves: [...underlay.moves, ...external.moves], adverts: underlay.adverts };
}

describe('all processors taken', () => {
  it.each([0, -20])('by processes of niceness %s/nobody takes over, adverts go out in time', { timeout: 60_000 }, async (nice) => {
    const stretch = await starvation.among(nice, 5000);
    const told = JSON.stringify(stretch);
    expect(stretch.busy, told).toBeGreaterThan(0.98);
    expect([stretch.takeovers, stretch.moves, stretch.foreignAdverts], told).toEqual([0, 0, 0]);
    expect(stretch.adverts, told).toBeGreaterThan(40);
    expect(stretch.longestGap.ms, told).toBeLessThan(activeDownMs);
  });
});

describe('the daemon stopped', () => {
  it("the Active's, for less than its lease/nobody takes over, nothing is lost", { timeout: 60_000 }, async () => {
    const [before, fromMs] = [await lab.histories(), monotonicMs()];
    const { windows } = await lab.observe(load, async () => {
      for (let round = 0; round < 3; round += 1) {
        await stopFor(lab, 'gw-a', 200);
        await delay(300);
      }
    });
    expect(windows.map(({ window }) => window.lost), JSON.stringify(windows)).toEqual([0, 0]);
    expect(await lab.histories()).toEqual(before);
    const { sources, moves } = await heardSince(fromMs);
    expect([sources, moves]).toEqual([[underlayAddress['gw-a']], []]);
  });

  it("the Backup's/changes nothing, neither while it sleeps nor when it wakes", { timeout: 60_000 }, async () => {
    const [before, fromMs] = [await lab.histories(), monotonicMs()];
    const { windows } = await lab.observe(load, async () => {
      await stopFor(lab, 'gw-b', 1500);
      await delay(1000);
    });
    expect(windows.map(({ window }) => window.lost), JSON.stringify(windows)).toEqual([0, 0]);
    expect(await lab.histories()).toEqual(before);
    const { sources, moves } = await heardSince(fromMs);
    expect([sources, moves]).toEqual([[underlayAddress['gw-a']], []]);
  });

  it("the Active's, for longer than its lease/its programs stand down, and awake it disturbs nobody", { timeout: 60_000 }, async () => {
    await lab.reconfigure((configuration) => mapAt(configuration, 'virtualRouters', 0).set('preempt', false));
    expect(await answering()).toEqual({ 'gw-a': [true, true], 'gw-b': [false, false] });
    lab.signal('gw-a', 'SIGSTOP');
    expect(await lab.reaches('gw-b', 'active')).toBe('active-silent');
    await until("gw-a's programs to stand down", async () => !(await answering())['gw-a'].includes(true), { deadlineMs: 2000 });
    const takenOverMs = monotonicMs();
    expect(await answering()).toEqual({ 'gw-a': [false, false], 'gw-b': [true, true] });
    await delay(500);

    const wokenMs = monotonicMs();
    lab.signal('gw-a', 'SIGCONT');
    await until('gw-a to notice', async () => (await lab.virtualRouter('gw-a')).history.some(({ reason }) => reason === 'was-silent'));
    await delay(1500);
    const windows = await load.windows(wokenMs, monotonicMs());
    expect(windows.map(({ window }) => window.lost), JSON.stringify(windows)).toEqual([0, 0]);
    const { sources, moves } = await heardSince(takenOverMs);
    expect([sources, moves]).toEqual([[underlayAddress['gw-b']], []]);
    expect(await answering()).toEqual({ 'gw-a': [false, false], 'gw-b': [true, true] });
    expect([(await lab.virtualRouter('gw-a')).state, (await lab.virtualRouter('gw-b')).state]).toEqual(['backup', 'active']);
  });
});
