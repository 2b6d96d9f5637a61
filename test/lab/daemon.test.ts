// What people do to daemons, and what happens to them: killed, stopped, drained, reloaded, asleep, cut off from each other.
// One lab for all cases, traffic through all of it; what each case must not disturb is counted by sequence number.
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from 'yaml';
import type { Status } from '../../src/api/status.js';
import { isIntact, longestOutageMs } from '../../src/lab/checks.js';
import type { FlowReport } from '../../src/lab/clients/flow-client.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { configurationFile, gatewayFolder } from '../../src/lab/gateway.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { run, runIn } from '../../src/lab/process.js';
import { outsideAddress, tenantOf, topology, vmNamed } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import { answersPing, listAt, mapAt, MoreClients, type GatewayNode, type Observed, type RunningLab } from '../support/running-lab.js';

const connections = 50;
const flows = 50;
/**
 * Nearly always 0: the dead Active's programs forward until their lease ends, 25 ms after the Backup has taken over. A
 * Backup that runs late, or a packet in flight that takes the virtual MAC back at the switches, leaves a few milliseconds.
 */
const shortGapPackets = 25;
const addedFloatingIp = '10.0.2.217';

let lab: RunningLab;
let load: Load;
const more: MoreClients[] = [];

/** Everything that was sent came back, and everything that ran goes on from the port that it had. */
function expectUndisturbed(observed: Observed<unknown>): void {
  expectNothingLost(observed);
  expectNothingBroken(observed);
}

function expectNothingBroken({ progress: { sessions, flows: datagrams } }: Pick<Observed<unknown>, 'progress'>): void {
  expect([...sessions.broken, ...datagrams.broken]).toEqual([]);
  expect([sessions.advanced, datagrams.advanced]).toEqual([connections, flows]);
}

async function roles(): Promise<Record<GatewayNode, string>> {
  return { 'gw-a': (await lab.virtualRouter('gw-a')).state, 'gw-b': (await lab.virtualRouter('gw-b')).state };
}

const configured = (node: GatewayNode): ['--config', string] => ['--config', configurationFile(node)];

const stateDirectoryOf = (node: GatewayNode): string => join(gatewayFolder(node), 'state');

const unprotected = ({ counters }: Status): number => counters['session_unprotected']?.packets ?? 0;

function withInterval(interval: string): (configuration: Document) => void {
  return (configuration) => mapAt(configuration, 'virtualRouters', 0).set('advertisementInterval', interval);
}

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }));
}, 90_000);

afterAll(async () => {
  load?.close();
  for (const clients of more) clients.close();
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  await lab.restore();
  // What an earlier case may have broken is no finding of this one.
  await load.checkpoint();
  expect((await load.progressWithin(8000)).sessions.advanced).toBe(connections);
}, 60_000);

describe('kill -9 of the Active daemon alone', () => {
  it('restarted within its lease/stays Active, adopts maps and links, nothing is lost', { timeout: 60_000 }, async () => {
    // A lease of 18 s: a Node process starts within it on any machine.
    await lab.reconfigure(withInterval('5s'));
    const [before, pinned, peer] = [await lab.virtualRouter('gw-a'), await lab.pinned('gw-a'), await lab.virtualRouter('gw-b')];
    expect(Object.keys(pinned.maps).length).toBeGreaterThan(15);
    const observed = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGKILL');
      const status = await lab.start('gw-a');
      expect(await lab.reaches('gw-a', 'active')).toBe('resumed');
      return status;
    });
    expectUndisturbed(observed);
    expect(observed.result.gateway.adopted).toBe(true);
    const after = await lab.pinned('gw-a');
    expect(after.maps).toEqual(pinned.maps);
    for (const role of ['underlay', 'external', 'ha']) {
      expect(after.links[role]?.id).toBe(pinned.links[role]?.id);
      // Each daemon runs the programs that it came with.
      expect(after.links[role]?.program).not.toBe(pinned.links[role]?.program);
    }
    expect((await lab.virtualRouter('gw-a')).term).toBe(before.term);
    expect((await lab.virtualRouter('gw-b')).history).toEqual(peer.history);
    await lab.synchronised();
  });

  it('restarted after its lease/the Backup goes on, it comes back in order, nothing is lost', { timeout: 60_000 }, async () => {
    const pinned = await lab.pinned('gw-a');
    const gone = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGKILL');
      return lab.reaches('gw-b', 'active');
    });
    expect(gone.result).toBe('active-silent');
    expectNothingBroken(gone);
    for (const { window } of gone.windows) expect(window.lost, JSON.stringify(window)).toBeLessThanOrEqual(shortGapPackets);
    const back = await lab.observe(load, async () => {
      const status = await lab.start('gw-a');
      expect(await lab.reaches('gw-a', 'active')).toBe('preempting');
      expect(await lab.reaches('gw-b', 'backup')).toBe('higher-priority');
      return status;
    });
    expectUndisturbed(back);
    expect(back.result.gateway.adopted).toBe(true);
    const after = await lab.pinned('gw-a');
    expect(after.maps).toEqual(pinned.maps);
    expect(Object.values(after.links).map(({ id }) => id)).toEqual(Object.values(pinned.links).map(({ id }) => id));
  });

  it('while the Backup is drained/nobody would follow, so its programs go on until it is back, nothing is lost', { timeout: 60_000 }, async () => {
    await lab.floatgate('drain', ...configured('gw-b'));
    await until('gw-a to have heard of it', async () => (await lab.status('gw-a')).peer.alive && (await roles())['gw-b'] === 'initialize');
    const heardAtMs = monotonicMs();
    const observed = await lab.observe(load, async () => {
      await until('two more adverts, and with them leases', () => monotonicMs() - heardAtMs > 300);
      const endedAtMs = monotonicMs();
      await lab.end('gw-a', 'SIGKILL');
      await until('an ordinary lease to be long over', () => monotonicMs() - endedAtMs > 1500);
      await lab.start('gw-a');
      return lab.reaches('gw-a', 'active');
    });
    expect(observed.result).toBe('resumed');
    expectUndisturbed(observed);
    await lab.floatgate('undrain', ...configured('gw-b'));
    await lab.synchronised();
  });
});

describe('planned', () => {
  it('SIGTERM/the Backup takes over by priority 0; started again it synchronises and preempts; nothing is lost', { timeout: 60_000 }, async () => {
    const stopped = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGTERM');
      return lab.reaches('gw-b', 'active');
    });
    expect(stopped.result).toBe('active-resigned');
    expectUndisturbed(stopped);
    const back = await lab.observe(load, async () => {
      await lab.start('gw-a');
      return lab.reaches('gw-a', 'active');
    });
    expect(back.result).toBe('preempting');
    expectUndisturbed(back);
    await lab.synchronised();
  });

  it('drain and undrain/by the command line, nothing is lost', { timeout: 60_000 }, async () => {
    const drained = await lab.observe(load, () => lab.floatgate('drain', ...configured('gw-a')));
    expectUndisturbed(drained);
    // The command returns when it is done, not before.
    expect(await roles()).toEqual({ 'gw-a': 'initialize', 'gw-b': 'active' });
    expect((await lab.virtualRouter('gw-b')).reason).toBe('active-resigned');
    await expect(lab.floatgate('drain', ...configured('gw-b'))).rejects.toThrow('not drained: the peer 169.254.77.1 is not Backup of virtual router 51');
    const back = await lab.observe(load, async () => {
      await lab.floatgate('undrain', ...configured('gw-a'));
      return lab.reaches('gw-a', 'active');
    });
    expect(back.result).toBe('preempting');
    expectUndisturbed(back);
    await expect(lab.floatgate('undrain', ...configured('gw-a'))).rejects.toThrow('this gateway is not drained');
  });

  it('drain without a peer that listens/is refused, nothing is lost', { timeout: 60_000 }, async () => {
    const observed = await lab.observe(load, async () => {
      await lab.end('gw-b', 'SIGKILL');
      // Its programs still answer for it, and its last word is not a second old: the election finds out.
      await expect(lab.api('gw-a').drain()).rejects.toThrow('not drained: the peer has not taken over, so this gateway goes on');
      await expect(lab.floatgate('drain', ...configured('gw-a'))).rejects.toThrow('floatgate: not drained: this gateway is Active and its peer 169.254.77.2 is silent');
    });
    expectUndisturbed(observed);
    const { gateway, virtualRouters } = await lab.status('gw-a');
    expect([gateway.draining, virtualRouters[0]?.state, virtualRouters[0]?.reason]).toEqual([false, 'active', 'no-successor']);
  });

  it('the Active changes ten times/every flow keeps its port, nothing is lost', { timeout: 90_000 }, async () => {
    const { term } = await lab.virtualRouter('gw-a');
    const observed = await lab.observe(load, async () => {
      for (let round = 0; round < 5; round += 1) {
        await lab.api('gw-a').drain();
        await lab.api('gw-a').undrain();
        await lab.reaches('gw-a', 'active');
        await lab.reaches('gw-b', 'backup');
      }
    });
    expectUndisturbed(observed);
    expect((await lab.virtualRouter('gw-a')).term).toBe(term + 10);
  });
});

describe('reload', () => {
  it('floating IP/added it answers and removed it stops, the others lose nothing', { timeout: 60_000 }, async () => {
    const seen = () => runIn('vm-b1', ['curl', '-s', '--max-time', '5', `http://${outsideAddress}/address`]);
    const tenant = topology.tenants.indexOf(tenantOf(vmNamed('vm-b1')));
    expect(await answersPing('outside', addedFloatingIp)).toBe(false);
    const added = await lab.observe(load, async () => {
      const { address: fixedIp } = vmNamed('vm-b1');
      await lab.reconfigure((configuration) => {
        const { network } = vmNamed('vm-b1');
        listAt(configuration, 'routers', tenant, 'floatingIps').add(configuration.createNode({ address: addedFloatingIp, network, fixedIp }));
      });
      await until('the added floating IP to answer', () => answersPing('outside', addedFloatingIp), { deadlineMs: 5000 });
      return seen();
    });
    // Sessions of this very VM keep shared SNAT's port; what it opens from now on has the floating IP.
    expectUndisturbed(added);
    expect(added.result).toBe(addedFloatingIp);
    const removed = await lab.observe(load, async () => {
      await lab.reconfigure((configuration) => void listAt(configuration, 'routers', tenant, 'floatingIps').items.pop());
      return [await answersPing('outside', addedFloatingIp), await seen()];
    });
    expectUndisturbed(removed);
    expect(removed.result[0]).toBe(false);
    expect(tenantOf(vmNamed('vm-b1')).externalAddresses).toContain(removed.result[1]);
  });

  it.each([
    {
      name: 'a value out of range',
      change: (configuration: Document) => mapAt(configuration, 'virtualRouters', 0).set('priority', 300),
      line: 'priority: 300',
      says: 'virtualRouters[0].priority is 300',
    },
    {
      name: 'an unknown key',
      change: (configuration: Document) => configuration.set('virtualRooters', []),
      line: 'virtualRooters',
      says: 'virtualRooters',
    },
  ])('refused, $name/with key path and line, the last good configuration stays in force', { timeout: 60_000 }, async ({ change, line, says }) => {
    const before = await lab.status('gw-a');
    const observed = await lab.observe(load, async () => {
      const lines = lab.edit('gw-a', change).split('\n');
      const place = `${configurationFile('gw-a')}:${lines.findIndex((text) => text.includes(line)) + 1}:`;
      const said = await lab.floatgate('reload', '--state-directory', stateDirectoryOf('gw-a')).then(() => '', (error: Error) => error.message);
      expect(said).toContain(place);
      expect(said).toContain(says);
    });
    expectUndisturbed(observed);
    const after = await lab.status('gw-a');
    expect(after.gateway).toEqual(before.gateway);
    expect(after.virtualRouters).toEqual(before.virtualRouters);
  });

  it('refused, what needs a restart/nothing of it is in force', { timeout: 60_000 }, async () => {
    const before = await lab.virtualRouter('gw-a');
    const observed = await lab.observe(load, async () => {
      lab.edit('gw-a', (configuration) => {
        mapAt(configuration, 'virtualRouters', 0).set('vrid', 52);
        topology.tenants.forEach((_, index) => mapAt(configuration, 'routers', index).set('virtualRouter', 52));
        configuration.set('limits', { vms: 8192 });
      });
      await expect(lab.floatgate('reload', ...configured('gw-a'))).rejects.toThrow('limits.vms has changed from 16384 to 8192, which needs a restart.');
    });
    expectUndisturbed(observed);
    expect(await lab.virtualRouter('gw-a')).toEqual(before);
  });
});

describe('partial failures', () => {
  it('SIGSTOP of the Active daemon for two seconds/one failover, one Active, no session broken', { timeout: 60_000 }, async () => {
    const asleep = await lab.observe(load, async () => {
      lab.signal('gw-a', 'SIGSTOP');
      const reason = await lab.reaches('gw-b', 'active');
      expect(await load.probed(2000)).toBe(true);
      return reason;
    });
    expect(asleep.result).toBe('active-silent');
    expectNothingBroken(asleep);
    for (const { window } of asleep.windows) expect(window.longestGapMs).toBeLessThan(longestOutageMs);
    const awake = await lab.observe(load, async () => {
      lab.signal('gw-a', 'SIGCONT');
      await until('gw-a to notice', async () => (await lab.virtualRouter('gw-a')).history.some(({ reason }) => reason === 'was-silent'));
      return [await lab.reaches('gw-a', 'active'), await lab.reaches('gw-b', 'backup')];
    });
    expect(awake.result).toEqual(['preempting', 'higher-priority']);
    expectUndisturbed(awake);
    expect(await roles()).toEqual({ 'gw-a': 'active', 'gw-b': 'backup' });
  });

  it('ha link cut for a second/both keep their roles; what began meanwhile is replicated afterwards', { timeout: 90_000 }, async () => {
    const before = { a: await lab.virtualRouter('gw-a'), b: await lab.virtualRouter('gw-b'), unprotected: unprotected(await lab.status('gw-a')) };
    const added = 5;
    const cut = await lab.observe(load, async () => {
      const cutAtMs = monotonicMs();
      await run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', 'down']);
      for (const node of ['gw-a', 'gw-b'] as const) await until(`${node} to miss its peer`, async () => !(await lab.status(node)).peer.alive);
      more.push(await lab.moreClients('vm-a1', 1000, added));
      await until('a second to have passed', () => monotonicMs() - cutAtMs > 1000);
      const count = unprotected(await lab.status('gw-a')) - before.unprotected;
      await run('ip', ['-n', 'fg-gw-a', 'link', 'set', 'ha0', 'up']);
      await lab.synchronised();
      return count;
    });
    expectUndisturbed(cut);
    // Once for each session, and once more for each TCP connection that is established.
    expect(cut.result).toBe(3 * added);
    expect((await lab.virtualRouter('gw-a')).history).toEqual(before.a.history);
    expect((await lab.virtualRouter('gw-b')).history).toEqual(before.b.history);

    const lost = await lab.observe(load, async () => {
      await lab.loseNode('gw-a');
      return lab.reaches('gw-b', 'active');
    });
    expectNothingBroken(lost);
    expect(await more[0]?.goOn()).toEqual([]);
    for (const { window } of lost.windows) expect(window.longestGapMs).toBeLessThan(longestOutageMs);

    const back = await lab.observe(load, async () => {
      await lab.returnNode('gw-a');
      return lab.reaches('gw-a', 'active');
    });
    expect(back.result).toBe('preempting');
    expectUndisturbed(back);
    expect(await more[0]?.goOn()).toEqual([]);
  });
});

describe('after all of it', () => {
  it('every byte was right and every port the same', { timeout: 60_000 }, async () => {
    const { sessions, connections: accepted, flows: datagrams } = await load.stop();
    expect(sessions.filter((session) => !isIntact(session, accepted))).toEqual([]);
    expect(sessions.map(({ id }) => accepted.filter((connection) => connection.id === id).length)).toEqual(sessions.map(() => 1));
    expect(datagrams.filter(({ peers }: FlowReport) => peers.length !== 1)).toEqual([]);
    expect([sessions.length, datagrams.length]).toEqual([connections, flows]);
    expect(datagrams.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(0);
    for (const clients of more.splice(0)) {
      const { flows: late } = await clients.stop();
      expect(late.filter(({ peers }) => peers.length !== 1)).toEqual([]);
    }
  });
});
