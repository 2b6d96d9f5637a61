// The ordinary lab with both gateways at TC instead of XDP: changed to while sessions run, what a NAT does there, and a
// failover. What only TC is for, packets that the kernel has merged, is in tc.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isIntact, longestOutageMs } from '../../src/lab/checks.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { forwardedPorts, outsideAddress, ports, vmNamed } from '../../src/lab/topology.js';
import { checksumErrors, echoed, iperf, ping, Sessions, traceroute, whoAsked } from '../support/nat-tools.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import { mapAt, type Observed, type RunningLab } from '../support/running-lab.js';

const [connections, flows] = [20, 20];
const routerA = '10.0.2.201';
const floating = (node: string): string => vmNamed(node).floatingAddress ?? '';

let lab: RunningLab;
let load: Load;
/** By a port forwarding, from outside. */
let inwards: Sessions;

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }));
  inwards = await Sessions.open(lab.state, {
    server: { node: 'vm-a1', address: vmNamed('vm-a1').address, port: ports.sessions },
    clients: [{ node: 'outside', address: routerA, port: forwardedPorts.sessions }],
    connections: 5,
  });
}, 90_000);

afterAll(async () => {
  inwards?.close();
  load?.close();
  await downIfOurs();
}, 30_000);

async function expectToGoOn({ progress: { sessions, flows: datagrams } }: Observed<unknown>): Promise<void> {
  expect([...sessions.broken, ...datagrams.broken]).toEqual([]);
  expect([sessions.advanced, datagrams.advanced]).toEqual([connections, flows]);
  expect(await inwards.goOn()).toEqual([]);
}

async function expectUndisturbed(observed: Observed<unknown>): Promise<void> {
  expectNothingLost(observed);
  await expectToGoOn(observed);
}

/** One after the other, as an administrator does it: the standby first. */
async function changeMode(mode: 'native' | 'tc'): Promise<void> {
  for (const node of ['gw-b', 'gw-a'] as const) {
    lab.edit(node, (configuration) => {
      for (const role of ['underlay', 'external']) mapAt(configuration, 'interfaces', role).set('mode', mode);
      // What TC redirects passes generic XDP by on a veth.
      mapAt(configuration, 'interfaces', 'ha').set('mode', 'native');
    });
    await lab.end(node, 'SIGTERM');
    await lab.start(node);
    await lab.synchronised();
    expect((await lab.status(node)).interfaces.map(({ role, hook }) => [role, hook])).toEqual([
      ['underlay', mode === 'tc' ? 'tc' : 'xdp native'],
      ['external', mode === 'tc' ? 'tc' : 'xdp native'],
      ['ha', 'xdp native'],
    ]);
  }
  await lab.reaches('gw-a', 'active');
  await lab.reaches('gw-b', 'backup');
}

describe('both gateways at TC', () => {
  it('changed to, one after the other/every session goes on, nothing is lost', { timeout: 120_000 }, async () => {
    await expectUndisturbed(await lab.observe(load, () => changeMode('tc')));
  });

  it.each([
    { path: 'shared SNAT', from: 'vm-a1', to: outsideAddress, server: 'outside', seen: [routerA] },
    { path: 'shared SNAT by a pool', from: 'vm-b1', to: outsideAddress, server: 'outside', seen: ['10.0.2.202', '10.0.2.203'] },
    { path: 'shared SNAT, VXLAN and VLAN', from: 'vm-c1', to: outsideAddress, server: 'outside', seen: ['198.51.100.201'] },
    { path: 'floating IP, out', from: 'vm-a2', to: outsideAddress, server: 'outside', seen: [floating('vm-a2')] },
    { path: 'floating IP, in', from: 'outside', to: floating('vm-a2'), server: 'vm-a2', seen: [outsideAddress] },
    { path: 'floating IP, VLAN and VXLAN, in', from: 'outside', to: floating('vm-c2'), server: 'vm-c2', seen: [outsideAddress] },
    { path: 'port forwarding, in', from: 'outside', to: `${routerA}:${forwardedPorts.http}`, server: 'vm-a1', seen: [outsideAddress] },
    { path: 'hairpin, shared SNAT → floating IP', from: 'vm-b1', to: floating('vm-a2'), server: 'vm-a2', seen: ['10.0.2.202', '10.0.2.203'] },
    { path: 'hairpin, floating IP → its own', from: 'vm-a2', to: floating('vm-a2'), server: 'vm-a2', seen: [floating('vm-a2')] },
    { path: 'hairpin, shared SNAT → its own port forwarding', from: 'vm-a1', to: `${routerA}:${forwardedPorts.http}`, server: 'vm-a1', seen: [routerA] },
    { path: 'hairpin, VXLAN and VLAN → floating IP', from: 'vm-c1', to: floating('vm-a2'), server: 'vm-a2', seen: ['198.51.100.201'] },
    { path: 'east-west', from: 'vm-a1', to: vmNamed('vm-a3').address, server: 'vm-a3', seen: [vmNamed('vm-a1').address] },
  ])('$path/$from → $to/the server sees the external source', async ({ from, to, server, seen }) => {
    expect(seen).toContain(await whoAsked(from, to, server));
  });

  it.each([
    { from: 'vm-a1', to: outsideAddress },
    { from: 'vm-c1', to: outsideAddress },
    { from: 'outside', to: floating('vm-a2') },
    { from: 'outside', to: floating('vm-c2') },
    { from: 'vm-b1', to: floating('vm-a2') },
    { from: 'vm-a1', to: vmNamed('vm-a3').address },
  ])('ping $from → $to/every echo is answered, in fragments as well', async ({ from, to }) => {
    expect((await ping(from, to)).received).toBe(3);
    expect((await ping(from, to, { bytes: 3000 })).received).toBe(3);
  });

  it('UDP with 8000 bytes/every byte there and back', async () => {
    expect(await echoed('vm-a1', outsideAddress, ports.datagrams, 8000)).toBe(routerA);
    expect(await echoed('outside', routerA, forwardedPorts.datagrams, 8000)).toBe(outsideAddress);
  });

  it('traceroute/every router says that the time is exceeded', async () => {
    expect(await traceroute('vm-a1', outsideAddress)).toEqual(['172.16.100.1', '10.0.2.1', outsideAddress]);
  });

  it.each([
    { path: 'shared SNAT', from: 'vm-a1', options: ['--reverse'] },
    { path: 'shared SNAT', from: 'vm-a1', options: [] },
    { path: 'floating IP', from: 'vm-a2', options: ['--reverse'] },
    { path: 'VLAN and VXLAN', from: 'vm-c1', options: ['--reverse'] },
  ])('TCP, $path $options/bulk arrives, no checksum is wrong', async ({ from, options }) => {
    const errors = () => Promise.all([from, 'outside'].map(checksumErrors));
    const before = await errors();
    expect((await iperf(from, outsideAddress, '--time', '2', ...options)).megabitsPerSecond).toBeGreaterThan(20);
    expect(await errors()).toEqual(before);
  });

  it('the Active dies and comes back/every session goes on', { timeout: 120_000 }, async () => {
    const lost = await lab.observe(load, async () => {
      await lab.loseNode('gw-a');
      return lab.reaches('gw-b', 'active');
    });
    // The links go one after the other: on a slow machine the election may be first.
    expect(['peer-silent', 'active-silent']).toContain(lost.result);
    await expectToGoOn(lost);
    for (const { window } of lost.windows) expect(window.longestGapMs, JSON.stringify(window)).toBeLessThan(longestOutageMs);
    const back = await lab.observe(load, async () => {
      await lab.returnNode('gw-a');
      return lab.reaches('gw-a', 'active');
    });
    expect(back.result).toBe('preempting');
    await expectUndisturbed(back);
    await lab.synchronised();
  });

  it('changed back to XDP/every session goes on, nothing is lost, and every byte was right', { timeout: 120_000 }, async () => {
    await expectUndisturbed(await lab.observe(load, () => changeMode('native')));
    const { sessions, connections: accepted, flows: datagrams } = await load.stop();
    const forwarded = await inwards.stop();
    expect(sessions.filter((session) => !isIntact(session, accepted))).toEqual([]);
    expect(forwarded.sessions.filter((session) => !isIntact(session, forwarded.connections))).toEqual([]);
    expect(sessions.map(({ id }) => accepted.filter((connection) => connection.id === id).length)).toEqual(sessions.map(() => 1));
    expect(datagrams.filter(({ peers }) => peers.length !== 1)).toEqual([]);
  });
});
