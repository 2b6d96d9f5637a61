// What changes while a NAT works: VMs move, floating IPs are taken away, sessions are killed, the provider's router is gone
// for a while, the Active dies. Everything else goes on. One lab for all cases.
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FloatingIpView } from '../../src/api/floating-ips.js';
import type { SessionView } from '../../src/api/sessions.js';
import { isIntact, longestOutageMs } from '../../src/lab/checks.js';
import { LabClient } from '../../src/lab/client.js';
import type { ProbeWindow } from '../../src/lab/clients/probe-log.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { configurationFile, gatewayFolder } from '../../src/lab/gateway.js';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { moveVm } from '../../src/lab/openvswitch.js';
import { run } from '../../src/lab/process.js';
import { externalRouter, externalSubnet, forwardedPorts, outsideAddress, ports, routesOf, taggedRouter, taggedSubnet, tenantOf, topology, vmNamed, type Compute } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { answersPing, listAt, mapAt, RunningLab, type GatewayNode } from '../support/running-lab.js';
import { echoed, ping, Sessions, whoAsked } from '../support/nat-tools.js';

const routerA = '10.0.2.201';
const floating = (node: string): string => vmNamed(node).floatingAddress ?? '';
const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];

let lab: RunningLab;

beforeAll(async () => {
  lab = new RunningLab(await up({ sync: 'strict', say: () => {} }, 'running'));
}, 90_000);

afterAll(async () => {
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  await lab.restore();
}, 60_000);

/** Numbered datagrams at a fixed rate, echoed. */
class Probe {
  readonly #client: LabClient;

  private constructor(from: string, to: string, perSecond: number) {
    this.#client = new LabClient(lab.state, { program: 'probe', name: `${from}-probe-${to}`, node: from, args: [to, ports.probe, perSecond], prompt: true });
  }

  static async start(from: string, to: string, perSecond: number): Promise<Probe> {
    const probe = new Probe(from, to, perSecond);
    await probe.#client.call('start');
    await probe.replies(perSecond / 10);
    return probe;
  }

  async replies(count: number): Promise<void> {
    const received = async () => (await this.#client.call<{ received: number }>('received')).received;
    const before = await received();
    await until(`${count} more replies`, async () => (await received()) >= before + count, { deadlineMs: 10_000 });
  }

  window(fromMs: number, toMs: number): Promise<ProbeWindow> {
    return this.#client.call<ProbeWindow>('window', { fromMs, toMs });
  }

  close(): void {
    this.#client.close();
  }
}

describe('VM', () => {
  const vm = vmNamed('vm-a1');
  const elsewhere = topology.computes.find(({ node }) => node !== vm.compute)?.node ?? '';

  it('moves to another compute/TCP out and in by a forwarding/goes on, every byte right, from the same port', { timeout: 60_000 }, async () => {
    const out = await Sessions.open(lab.state, { server: { node: 'outside', address: outsideAddress, port: ports.sessions }, clients: [{ node: vm.node, address: outsideAddress, port: ports.sessions }], connections: 10 });
    const inwards = await Sessions.open(lab.state, { server: { node: vm.node, address: vm.address, port: ports.sessions }, clients: [{ node: 'outside', address: routerA, port: forwardedPorts.sessions }], connections: 10 });
    try {
      await expectToGoOn(out, inwards);
      const moved = await lab.counted('gw-a', 'vm_moved');
      await moveVm(vm, vm.compute, elsewhere);
      try {
        await expectToGoOn(out, inwards);
        expect(await lab.counted('gw-a', 'vm_moved')).toBeGreaterThan(moved);
        expect(await echoed('outside', routerA, forwardedPorts.datagrams)).toBe(outsideAddress);
      } finally {
        await moveVm(vm, elsewhere, vm.compute);
      }
      await expectToGoOn(out, inwards);
      await expectIntact(out);
      await expectIntact(inwards);
    } finally {
      out.close();
      inwards.close();
    }
  });
});

describe('VM with a pinned endpoint', () => {
  // Its network has no option that its compute wants to see, and an endpoint names none.
  const vm = vmNamed('vm-c1');
  const [home, elsewhere] = [computeNamed(vm.compute), topology.computes.find(({ node }) => node !== vm.compute) ?? computeNamed(vm.compute)];

  it('is heard from another compute/its packets are dropped as spoofed, until it is back', { timeout: 60_000 }, async () => {
    const [router, network] = [topology.tenants.indexOf(tenantOf(vm)), 0];
    await lab.reconfigure((configuration) =>
      mapAt(configuration, 'routers', router, 'networks', network).set('endpoints', configuration.createNode([{ address: vm.address, mac: vm.mac, compute: home.tunnelAddress }])));
    expect((await ping(vm.node, outsideAddress)).received).toBe(3);
    const before = await lab.counted('gw-a', 'drop_endpoint_spoofed');
    await moveVm(vm, home.node, elsewhere.node);
    try {
      expect((await ping(vm.node, outsideAddress)).received).toBe(0);
      expect(await lab.counted('gw-a', 'drop_endpoint_spoofed')).toBeGreaterThan(before);
    } finally {
      await moveVm(vm, elsewhere.node, home.node);
    }
    await until('the VM to be heard again', () => answersPing(vm.node, outsideAddress), { deadlineMs: 5000 });
  });
});

function computeNamed(node: string): Compute {
  const found = topology.computes.find((compute) => compute.node === node);
  if (found === undefined) throw new Error(`the lab has no compute ${node}`);
  return found;
}

async function expectToGoOn(...all: readonly Sessions[]): Promise<void> {
  for (const sessions of all) expect(await sessions.goOn()).toEqual([]);
}

/** Every byte there and back, and each connection seen from one endpoint only. */
async function expectIntact(sessions: Sessions): Promise<void> {
  const { sessions: reports, connections } = await sessions.stop();
  expect(reports.filter((report) => !isIntact(report, connections))).toEqual([]);
  expect(reports.map(({ id }) => connections.filter((connection) => connection.id === id).length)).toEqual(reports.map(() => 1));
}

describe('floating IP', () => {
  it('removed from both gateways/its traffic stops within 10 ms, that of the others loses nothing', { timeout: 60_000 }, async () => {
    const perSecond = 1000;
    const [removed, kept, shared] = await Promise.all([
      Probe.start('outside', floating('vm-b2'), perSecond),
      Probe.start('outside', floating('vm-a2'), perSecond),
      Probe.start('vm-b1', outsideAddress, perSecond),
    ]);
    try {
      const fromMs = monotonicMs();
      const routerB = topology.tenants.findIndex(({ name }) => name === 'tenant-b');
      for (const node of both) lab.edit(node, (configuration) => void listAt(configuration, 'routers', routerB, 'floatingIps').items.pop());
      await Promise.all(both.map((node) => lab.api(node).reload()));
      const appliedMs = monotonicMs();
      for (const node of both) expect(await answersFor(node, floating('vm-b2')), node).toBe(false);
      await kept.replies(1000);
      const after = await removed.window(appliedMs + 10, monotonicMs());
      expect([after.sent > 500, after.lost]).toEqual([true, after.sent]);
      for (const probe of [kept, shared]) {
        const { lost, sent } = await probe.window(fromMs, monotonicMs());
        expect([sent > 500, lost]).toEqual([true, 0]);
      }
      await lab.restore();
      await removed.replies(100);
      for (const node of both) expect(await answersFor(node, floating('vm-b2')), node).toBe(true);
    } finally {
      for (const probe of [removed, kept, shared]) probe.close();
    }
  });

  it('fip list/bytes of IPv4 packets in both directions are counted for the address, and for no other', async () => {
    const [count, bytes] = [5, 972];
    const ipv4Bytes = count * (20 + 8 + bytes);
    const before = await floatingIpsOf('gw-a');
    expect((await ping('outside', floating('vm-a2'), { count, bytes })).received).toBe(count);
    const after = await floatingIpsOf('gw-a');
    const counted = after.map(({ address, inbound, outbound }, index) => ({
      address,
      inbound: { packets: inbound.packets - before[index]!.inbound.packets, bytes: inbound.bytes - before[index]!.inbound.bytes },
      outbound: { packets: outbound.packets - before[index]!.outbound.packets, bytes: outbound.bytes - before[index]!.outbound.bytes },
    }));
    const [some, none] = [{ packets: count, bytes: ipv4Bytes }, { packets: 0, bytes: 0 }];
    const floatingAddresses = topology.vms.flatMap(({ floatingAddress }) => floatingAddress ?? []).sort();
    expect(counted.sort((a, b) => (a.address < b.address ? -1 : 1))).toEqual(floatingAddresses.map((address) => {
      const traffic = address === floating('vm-a2') ? some : none;
      return { address, inbound: traffic, outbound: traffic };
    }));
  });
});

async function floatingIpsOf(node: GatewayNode): Promise<FloatingIpView[]> {
  const lines = await lab.floatgate('fip', 'list', '--json', '--config', configurationFile(node));
  return lines.trimEnd().split('\n').map((line) => JSON.parse(line) as FloatingIpView);
}

/** Whether the programs take what is for an untagged external address. */
async function answersFor(node: GatewayNode, address: string): Promise<boolean> {
  const map = join(gatewayFolder(node), 'state', 'bpf', 'maps', 'external_addresses');
  const entries = JSON.parse(await run('bpftool', ['-j', 'map', 'dump', 'pinned', map])) as { key: string[] }[];
  return entries.some(({ key }) => key.slice(0, 4).map(Number).join('.') === address);
}

describe('sessions', () => {
  const [vm, sourcePort, untouched] = [vmNamed('vm-b1'), 40_001, 40_002];
  const ofVm = ['--router', 'tenant-b', '--vm', vm.address, '--protocol', 'udp'];
  const ask = (from: number) => echoed(vm.node, outsideAddress, ports.datagrams, 64, from);
  const sessions = (node: GatewayNode, command: string, ...filters: readonly string[]) => lab.floatgate('sessions', command, '--json', '--config', configurationFile(node), ...filters);
  const list = async (node: GatewayNode) => (await sessions(node, 'list', ...ofVm)).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as SessionView]));
  const ends = async (node: GatewayNode) => (await list(node)).map(({ internalPort, remoteAddress }) => `${internalPort} → ${remoteAddress}`).sort();
  const bothToHold = async (...wanted: readonly string[]) => {
    for (const node of both) await until(`${node} to hold ${wanted.join(', ')}`, async () => JSON.stringify(await ends(node)) === JSON.stringify(wanted), { deadlineMs: 10_000, intervalMs: 200 });
  };
  const end = (port: number) => `${port} → ${outsideAddress}`;

  it('list, count, kill/gone on both gateways, the others stay, and the next packet of its client makes a new one', { timeout: 60_000 }, async () => {
    await sessions('gw-a', 'kill', ...ofVm, '--yes');
    await ask(untouched);
    const address = await ask(sourcePort);
    await bothToHold(end(sourcePort), end(untouched));
    const found = (await list('gw-a')).find(({ internalPort }) => internalPort === sourcePort);
    expect(found).toMatchObject({ router: 'tenant-b', network: vm.network, internalAddress: vm.address, externalAddress: address, remoteAddress: outsideAddress, protected: true });
    for (const node of both) expect(JSON.parse(await sessions(node, 'count', ...ofVm, '--by', 'vm')), node).toMatchObject({ sessions: 2 });

    const which = ['--external', `${found?.externalAddress}:${found?.externalPort}`, '--protocol', 'udp', '--yes'];
    // Whoever is not Active for it cannot end it.
    await expect(sessions('gw-b', 'kill', ...which)).rejects.toThrow('"notActiveHere":1');
    await bothToHold(end(sourcePort), end(untouched));
    expect(JSON.parse(await sessions('gw-a', 'kill', ...which))).toMatchObject({ killed: 1, notActiveHere: 0 });
    await bothToHold(end(untouched));

    expect(await ask(sourcePort)).toBe(address);
    await bothToHold(end(sourcePort), end(untouched));
    // A port that was given up rests before anybody gets it again.
    expect((await list('gw-a')).find(({ internalPort }) => internalPort === sourcePort)?.externalPort).not.toBe(found?.externalPort);
  });
});

describe('provider router', () => {
  const routers = [
    { network: 'untagged', node: 'router', device: 'external0', address: externalRouter, subnet: externalSubnet, vm: 'vm-a1' },
    { network: 'VLAN', node: 'router-20', device: 'vlan20', address: taggedRouter, subnet: taggedSubnet, vm: 'vm-c1' },
  ];

  it.each(routers)('$network, gone and back/the VM is told and it is counted, works again by itself', { timeout: 120_000 }, async ({ node, device, address, subnet, vm }) => {
    const withLength = `${address}/${subnet.split('/')[1]}`;
    const reaches = () => answersPing(vm, outsideAddress);
    expect(await reaches()).toBe(true);
    await run('ip', ['-n', `fg-${node}`, 'address', 'del', withLength, 'dev', device]);
    try {
      const before = await lab.counted('gw-a', 'drop_gateway_unreachable');
      // The kernel believes in a neighbour for up to 45 s.
      await until('VMs to be told that there is no way out', async () => (await ping(vm, outsideAddress, { count: 1 })).unreachable, { deadlineMs: 60_000 });
      expect(await lab.counted('gw-a', 'drop_gateway_unreachable')).toBeGreaterThan(before);
    } finally {
      await run('ip', ['-n', `fg-${node}`, 'address', 'add', withLength, 'dev', device]);
      for (const route of routesOf(node)) await run('ip', ['-n', `fg-${node}`, 'route', 'replace', route.destination, 'via', route.via]);
    }
    await until('the outside to be reached again', reaches, { deadlineMs: 30_000 });
  });
});

describe('Active', () => {
  const vm = vmNamed('vm-a1');
  const [c2, connections] = [vmNamed('vm-c2'), 5];
  const atOutside = { node: 'outside', address: outsideAddress, port: ports.sessions };

  it('dies and comes back/hairpin, forwarding, VXLAN and VLAN, east-west/every session goes on, every byte right', { timeout: 120_000 }, async () => {
    const all = [
      // By the router's address: from outside, from another tenant, from the same one with a floating IP.
      await Sessions.open(lab.state, {
        server: { node: vm.node, address: vm.address, port: ports.sessions },
        clients: ['outside', 'vm-b1', 'vm-a2'].map((node) => ({ node, address: routerA, port: forwardedPorts.sessions })),
        connections,
      }),
      await Sessions.open(lab.state, { server: atOutside, clients: ['vm-c1', 'vm-a1'].map((node) => ({ ...atOutside, node })), connections }),
      await Sessions.open(lab.state, {
        server: { node: c2.node, address: c2.address, port: ports.sessions },
        clients: ['outside', 'vm-b1'].map((node) => ({ node, address: floating('vm-c2'), port: ports.sessions })),
        connections,
      }),
      await Sessions.open(lab.state, {
        server: { node: 'vm-a3', address: vmNamed('vm-a3').address, port: ports.sessions },
        clients: [{ node: 'vm-a1', address: vmNamed('vm-a3').address, port: ports.sessions }],
        connections,
      }),
    ];
    // What comes first is the gateways' work: at 1 kHz, three paths through Open vSwitch would leave none of two cores to a daemon that starts.
    const perSecond = 100;
    const probes = await Promise.all([Probe.start('vm-b1', floating('vm-a2'), perSecond), Probe.start('vm-c1', outsideAddress, perSecond), Probe.start('outside', floating('vm-c2'), perSecond)]);
    try {
      const fromMs = monotonicMs();
      await lab.loseNode('gw-a');
      await lab.reaches('gw-b', 'active');
      await expectToGoOn(...all);
      await Promise.all(probes.map((probe) => probe.replies(perSecond)));
      for (const probe of probes) expect((await probe.window(fromMs, monotonicMs())).longestGapMs).toBeLessThan(longestOutageMs);
      await lab.returnNode('gw-a');
      await lab.reaches('gw-a', 'active');
      await expectToGoOn(...all);
      for (const sessions of all) await expectIntact(sessions);
      expect(await whoAsked('outside', `${routerA}:${forwardedPorts.http}`, 'vm-a1')).toBe(outsideAddress);
    } finally {
      for (const probe of probes) probe.close();
      for (const sessions of all) sessions.close();
    }
  });
});
