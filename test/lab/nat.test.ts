// What a NAT does for the programs at both of its ends: who is seen by whom, on every path through the gateways that the
// lab has. One lab for all cases. ICMP errors are in nat-errors.test.ts, what changes while it runs in nat-changes.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { run, runIn } from '../../src/lab/process.js';
import { forwardedPorts, networkOf, outsideAddress, outsideSubnet, ports, routedAddress, taggedRouter, tenantOf, topology, tunnelVip, vmNamed } from '../../src/lab/topology.js';
import { mapAt, RunningLab } from '../support/running-lab.js';
import { askedByProtocol, behaviourOf, checksumErrors, echoed, echoedInFragments, iperf, iperfServer, listening, ping, protocolEcho, saysReady, stunServer, traceroute, whoAsked, withDaemon } from '../support/nat-tools.js';

const routerA = '10.0.2.201';
const poolB = ['10.0.2.202', '10.0.2.203'];
const routerC = '198.51.100.201';
const floating = (node: string): string => vmNamed(node).floatingAddress ?? '';
const forwardedHttp = `${routerA}:${forwardedPorts.http}`;

let lab: RunningLab;

beforeAll(async () => {
  lab = new RunningLab(await up({ sync: 'strict', say: () => {} }, 'running'));
}, 90_000);

afterAll(async () => {
  await downIfOurs();
}, 30_000);

async function countedBy<T>(reason: string, what: () => Promise<T>): Promise<{ result: T; packets: number }> {
  const before = await lab.counted('gw-a', reason);
  const result = await what();
  return { result, packets: (await lab.counted('gw-a', reason)) - before };
}

describe('external addresses', () => {
  it.each([
    { path: 'shared SNAT', from: 'vm-a1', to: outsideAddress, server: 'outside', seen: [routerA] },
    { path: 'shared SNAT by a pool', from: 'vm-b1', to: outsideAddress, server: 'outside', seen: poolB },
    { path: 'shared SNAT, VXLAN and VLAN', from: 'vm-c1', to: outsideAddress, server: 'outside', seen: [routerC] },
    { path: 'shared SNAT by a static route', from: 'vm-a1', to: routedAddress, server: 'router-20', seen: [routerA] },
    { path: 'floating IP, out', from: 'vm-a2', to: outsideAddress, server: 'outside', seen: [floating('vm-a2')] },
    { path: 'floating IP of a further subnet, out', from: 'vm-a3', to: outsideAddress, server: 'outside', seen: [floating('vm-a3')] },
    { path: 'floating IP, VXLAN and VLAN, out', from: 'vm-c2', to: outsideAddress, server: 'outside', seen: [floating('vm-c2')] },
    { path: 'floating IP, in', from: 'outside', to: floating('vm-a2'), server: 'vm-a2', seen: [outsideAddress] },
    { path: 'floating IP of a further subnet, in', from: 'outside', to: floating('vm-a3'), server: 'vm-a3', seen: [outsideAddress] },
    { path: 'floating IP, VLAN and VXLAN, in', from: 'outside', to: floating('vm-c2'), server: 'vm-c2', seen: [outsideAddress] },
    { path: 'floating IP, VLAN and VXLAN, in from a neighbour', from: 'router-20', to: floating('vm-c2'), server: 'vm-c2', seen: [taggedRouter] },
    { path: 'port forwarding, in', from: 'outside', to: forwardedHttp, server: 'vm-a1', seen: [outsideAddress] },
  ])('$path/$from → $to/the server sees the external source', async ({ from, to, server, seen }) => {
    expect(seen).toContain(await whoAsked(from, to, server));
  });

  it('UDP port forwarding, a range/each port reaches its own, answers come from the forwarded one', async () => {
    expect(await echoed('outside', routerA, forwardedPorts.datagrams)).toBe(outsideAddress);
    expect(await echoed('outside', routerA, forwardedPorts.probe)).toBe(outsideAddress);
  });

  it('pool/all connections and protocols of a VM/one and the same address (RFC 4787 REQ-2)', async () => {
    const address = await whoAsked('vm-b1', outsideAddress, 'outside');
    for (let round = 0; round < 5; round += 1) {
      expect(await whoAsked('vm-b1', outsideAddress, 'outside')).toBe(address);
      expect(await echoed('vm-b1', outsideAddress, ports.datagrams)).toBe(address);
    }
  });

  it.each([
    { from: 'vm-a1', to: outsideAddress },
    { from: 'vm-a1', to: '10.0.2.1' },
    { from: 'vm-a2', to: outsideAddress },
    { from: 'vm-c1', to: outsideAddress },
    { from: 'vm-c1', to: taggedRouter },
    { from: 'outside', to: floating('vm-a2') },
    { from: 'outside', to: floating('vm-a3') },
    { from: 'router-20', to: floating('vm-c2') },
    { from: 'outside', to: routerA },
    { from: 'router-20', to: routerC },
  ])('ping $from → $to/every echo is answered', async ({ from, to }) => {
    expect((await ping(from, to)).received).toBe(3);
  });

  it('static route/the packet does not pass the default router', async () => {
    expect(await traceroute('vm-a1', routedAddress)).toEqual([networkOf(vmNamed('vm-a1')).gatewayAddress, routedAddress]);
  });
});

describe('hairpinning', () => {
  it.each([
    { path: 'shared SNAT → floating IP of the same network', from: 'vm-a1', to: floating('vm-a2'), server: 'vm-a2', seen: [routerA] },
    { path: 'shared SNAT → floating IP of another tenant', from: 'vm-b1', to: floating('vm-a2'), server: 'vm-a2', seen: poolB },
    { path: 'floating IP → floating IP', from: 'vm-a2', to: floating('vm-b2'), server: 'vm-b2', seen: [floating('vm-a2')] },
    { path: 'floating IP → its own', from: 'vm-a2', to: floating('vm-a2'), server: 'vm-a2', seen: [floating('vm-a2')] },
    { path: 'floating IP → floating IP of a further subnet', from: 'vm-b2', to: floating('vm-a3'), server: 'vm-a3', seen: [floating('vm-b2')] },
    { path: 'shared SNAT → its own port forwarding', from: 'vm-a1', to: forwardedHttp, server: 'vm-a1', seen: [routerA] },
    { path: 'shared SNAT of another tenant → port forwarding', from: 'vm-b1', to: forwardedHttp, server: 'vm-a1', seen: poolB },
    { path: 'floating IP → port forwarding of its own router', from: 'vm-a2', to: forwardedHttp, server: 'vm-a1', seen: [floating('vm-a2')] },
    { path: 'floating IP of another network → port forwarding', from: 'vm-a3', to: forwardedHttp, server: 'vm-a1', seen: [floating('vm-a3')] },
  ])('$path/TCP/the server sees the external source (RFC 4787 REQ-9, RFC 5382 REQ-8)', async ({ from, to, server, seen }) => {
    const { result, packets } = await countedBy('hairpin', () => whoAsked(from, to, server));
    expect(seen).toContain(result);
    expect(packets).toBeGreaterThan(0);
  });

  it.each([
    { path: 'shared SNAT → floating IP', from: 'vm-b1', to: floating('vm-a2'), port: ports.datagrams, seen: poolB },
    { path: 'shared SNAT → its own port forwarding', from: 'vm-a1', to: routerA, port: forwardedPorts.datagrams, seen: [routerA] },
    { path: 'floating IP → its own', from: 'vm-a2', to: floating('vm-a2'), port: ports.datagrams, seen: [floating('vm-a2')] },
  ])('$path/UDP/the echo sees the external source', async ({ from, to, port, seen }) => {
    expect(seen).toContain(await echoed(from, to, port));
  });

  it.each([
    { from: 'vm-a1', to: floating('vm-b2') },
    { from: 'vm-a2', to: floating('vm-b2') },
    { from: 'vm-a2', to: floating('vm-a2') },
    { from: 'vm-a1', to: routerA },
  ])('ping $from → $to/every echo is answered', async ({ from, to }) => {
    expect((await ping(from, to)).received).toBe(3);
  });

  it('between external networks/VXLAN and VLAN on one side only/the server sees the external source', async () => {
    expect(await whoAsked('vm-c1', floating('vm-a2'), 'vm-a2')).toBe(routerC);
    expect(await whoAsked('vm-a2', floating('vm-c2'), 'vm-c2')).toBe(floating('vm-a2'));
  });
});

describe('east-west', () => {
  const [a1, a3] = [vmNamed('vm-a1'), vmNamed('vm-a3')];

  it.each([
    { from: a1, to: a3 },
    { from: a3, to: a1 },
  ])('$from.node → $to.node/one TTL less, and the server sees the private source', async ({ from, to }) => {
    const { result, packets } = await countedBy('east_west', () => whoAsked(from.node, to.address, to.node));
    expect(result).toBe(from.address);
    expect(packets).toBeGreaterThan(0);
    expect(await ping(from.node, to.address)).toMatchObject({ received: 3, ttl: 63 });
    expect(await traceroute(from.node, to.address)).toEqual([networkOf(from).gatewayAddress, to.address]);
  });

  it('gateway of the other network/ping/answered', async () => {
    expect((await ping(a1.node, networkOf(a3).gatewayAddress)).received).toBe(3);
  });

  it('static route by way of a VM/ping to what is behind it/answered, from and to the private address', async () => {
    const [behind, prefix] = ['10.99.0.1', '10.99.0.0/24'];
    const tenant = topology.tenants.indexOf(tenantOf(a1));
    await run('ip', ['-n', `fg-${a1.node}`, 'address', 'add', `${behind}/32`, 'dev', 'lo']);
    try {
      await lab.reconfigure((configuration) => mapAt(configuration, 'routers', tenant).set('routes', configuration.createNode([{ destination: prefix, via: a1.address }])));
      expect(await ping(a3.node, behind)).toMatchObject({ received: 3, ttl: 63 });
    } finally {
      await run('ip', ['-n', `fg-${a1.node}`, 'address', 'del', `${behind}/32`, 'dev', 'lo']);
      await lab.restore();
    }
    expect((await ping(a3.node, behind, { count: 1 })).received).toBe(0);
  });

  it('network of another tenant/ping/not reached', async () => {
    expect((await ping('vm-b1', a3.address, { count: 1 })).received).toBe(0);
  });
});

describe('fragments', () => {
  const bytes = 3000;

  it.each([
    { path: 'shared SNAT', from: 'vm-a1', to: outsideAddress },
    { path: 'shared SNAT, VXLAN and VLAN', from: 'vm-c1', to: outsideAddress },
    { path: 'floating IP, out', from: 'vm-a2', to: outsideAddress },
    { path: 'floating IP, in', from: 'outside', to: floating('vm-a2') },
    { path: 'floating IP, VLAN and VXLAN, in', from: 'outside', to: floating('vm-c2') },
    { path: 'hairpin', from: 'vm-b1', to: floating('vm-a2') },
    { path: 'east-west', from: 'vm-a1', to: vmNamed('vm-a3').address },
  ])('$path/ping with 3000 bytes/every echo is answered (RFC 4787 REQ-14)', async ({ from, to }) => {
    expect((await ping(from, to, { bytes })).received).toBe(3);
  });

  it.each([
    { path: 'shared SNAT', from: 'vm-a1', to: outsideAddress, port: ports.datagrams, seen: routerA },
    { path: 'floating IP, out', from: 'vm-a2', to: outsideAddress, port: ports.datagrams, seen: floating('vm-a2') },
    { path: 'floating IP, in', from: 'outside', to: floating('vm-a2'), port: ports.datagrams, seen: outsideAddress },
    { path: 'port forwarding, in', from: 'outside', to: routerA, port: forwardedPorts.datagrams, seen: outsideAddress },
  ])('$path/UDP with 8000 bytes/every byte there and back', async ({ from, to, port, seen }) => {
    expect(await echoed(from, to, port, 8000)).toBe(seen);
  });

  it.each([
    { path: 'shared SNAT', from: 'vm-a1', source: vmNamed('vm-a1').address, to: outsideAddress, port: ports.datagrams },
    { path: 'floating IP, out', from: 'vm-a2', source: vmNamed('vm-a2').address, to: outsideAddress, port: ports.datagrams },
    { path: 'floating IP, in', from: 'outside', source: outsideAddress, to: floating('vm-a2'), port: ports.datagrams },
    { path: 'port forwarding, in', from: 'outside', source: outsideAddress, to: routerA, port: forwardedPorts.datagrams },
  ])('$path/any order/put together and answered (RFC 4787 REQ-14a)', async ({ from, source, to, port }) => {
    for (const order of ['012', '210', '102', '201']) await echoedInFragments(from, source, to, port, order);
  });
});

describe('behaviour that a host finds out by STUN (RFC 5780)', () => {
  const alternate = '203.0.113.11';
  const discovered = (node: string) =>
    withDaemon(lab.state, stunServer('outside', [outsideAddress, alternate]), () => listening('outside', 'udp', 3479), () => behaviourOf(node, outsideAddress));

  beforeAll(async () => {
    await run('ip', ['-n', 'fg-outside', 'address', 'add', `${alternate}/${outsideSubnet.split('/')[1]}`, 'dev', 'eth0']);
  });

  afterAll(async () => {
    await run('ip', ['-n', 'fg-outside', 'address', 'del', `${alternate}/${outsideSubnet.split('/')[1]}`, 'dev', 'eth0']);
    await lab.restore();
  });

  it('default/endpoint-independent mapping, address-dependent filtering (RFC 4787 REQ-1, REQ-8)', async () => {
    expect(await discovered('vm-a1')).toEqual({ mapping: 'Endpoint Independent', filtering: 'Address Dependent' });
  });

  const routerB = topology.tenants.indexOf(tenantOf(vmNamed('vm-b1')));

  it('filtering endpoint-independent/anybody may answer', { timeout: 60_000 }, async () => {
    await lab.reconfigure((configuration) => mapAt(configuration, 'routers', routerB).set('filtering', 'endpoint-independent'));
    expect(await discovered('vm-b1')).toEqual({ mapping: 'Endpoint Independent', filtering: 'Endpoint Independent' });
  });

  it('filtering address-and-port-dependent/only the port that was asked', { timeout: 60_000 }, async () => {
    await lab.reconfigure((configuration) => mapAt(configuration, 'routers', routerB).set('filtering', 'address-and-port-dependent'));
    expect(await discovered('vm-b1')).toEqual({ mapping: 'Endpoint Independent', filtering: 'Address and Port Dependent' });
  });

  it('mapping address-and-port-dependent/another port for another remote', { timeout: 60_000 }, async () => {
    await lab.reconfigure((configuration) => {
      mapAt(configuration, 'routers', routerB).delete('filtering');
      mapAt(configuration, 'routers', routerB).set('mapping', 'address-and-port-dependent');
    });
    expect(await discovered('vm-b1')).toEqual({ mapping: 'Address and Port Dependent', filtering: 'Address and Port Dependent' });
  });
});

describe('protocols without ports', () => {
  it.each([
    { name: 'GRE', protocol: 47 },
    { name: 'ESP', protocol: 50 },
    { name: 'SCTP', protocol: 132 },
  ])('$name/floating IP, both directions/translated', async ({ protocol }) => {
    const fip = floating('vm-a2');
    expect(await askedOf('vm-a2', 'outside', protocol, fip)).toBe(fip);
    expect(await askedOf('outside', 'vm-a2', protocol, outsideAddress)).toBe(outsideAddress);
  });
});

/** Runs the echo for the question: two echoes would answer each other for ever. */
function askedOf(server: string, from: string, protocol: number, address: string): Promise<string> {
  const echo = protocolEcho(server, protocol);
  return withDaemon(lab.state, echo, () => saysReady(echo), () => askedByProtocol(from, protocol, address));
}

describe('throughput', () => {
  const least = 50;
  const receivers = ['vm-a1', 'vm-a2', 'vm-a3', 'vm-c1', 'vm-c2', 'outside'];
  const seconds = ['--time', '2'];

  it.each([
    { path: 'TCP, shared SNAT, up', from: 'vm-a1', to: outsideAddress, options: [] },
    { path: 'TCP, shared SNAT, down', from: 'vm-a1', to: outsideAddress, options: ['--reverse'] },
    { path: 'TCP, floating IP, up', from: 'vm-a2', to: outsideAddress, options: [] },
    { path: 'TCP, floating IP, down', from: 'vm-a2', to: outsideAddress, options: ['--reverse'] },
    { path: 'UDP, shared SNAT, up', from: 'vm-a1', to: outsideAddress, options: ['--udp', '--bitrate', '100M'] },
    { path: 'UDP, shared SNAT, down', from: 'vm-a1', to: outsideAddress, options: ['--udp', '--bitrate', '100M', '--reverse'] },
    { path: 'TCP, VXLAN and VLAN, up', from: 'vm-c1', to: outsideAddress, options: [] },
    { path: 'TCP, VLAN and VXLAN, down', from: 'vm-c1', to: outsideAddress, options: ['--reverse'] },
  ])('$path/more than 50 Mbit/s, no checksum is wrong', async ({ from, to, options }) => {
    const before = await errorsAt(receivers);
    expect((await iperf(from, to, ...seconds, ...options)).megabitsPerSecond).toBeGreaterThan(least);
    expect(await errorsAt(receivers)).toEqual(before);
  });

  it('TCP, east-west, both directions/more than 50 Mbit/s, no checksum is wrong', async () => {
    const { address } = vmNamed('vm-a3');
    const before = await errorsAt(receivers);
    await withDaemon(lab.state, iperfServer('vm-a3', address), () => listening('vm-a3', 'tcp', ports.iperf), async () => {
      expect((await iperf('vm-a1', address, ...seconds)).megabitsPerSecond).toBeGreaterThan(least);
      expect((await iperf('vm-a1', address, ...seconds, '--reverse')).megabitsPerSecond).toBeGreaterThan(least);
    });
    expect(await errorsAt(receivers)).toEqual(before);
  });
});

async function errorsAt(nodes: readonly string[]): Promise<number[]> {
  return Promise.all(nodes.map(checksumErrors));
}

describe('tunnels', () => {
  it('VXLAN network/what its compute sends and gets is VXLAN, to and from the virtual router alone', async () => {
    const capture = runIn('compute-1', ['timeout', '10', 'tcpdump', '-c', '2', '-nni', 'underlay0', `udp and host ${tunnelVip} and (port 4789)`]);
    const pinged = ping('vm-c1', outsideAddress, { count: 5 });
    expect(await capture).toMatch(new RegExp(`> ${tunnelVip}\\.4789: VXLAN.*vni 300`));
    expect((await pinged).received).toBe(5);
  });
});
