// ICMP errors about translated packets: routers between the ends say them, the gateways translate or say them, and the
// programs that live on them (traceroute, tracepath, TCP's path MTU discovery) find out what is true. One lab for all cases.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { run, runIn } from '../../src/lab/process.js';
import { forwardedPorts, networkOf, outsideAddress, outsideRouter, outsideSubnet, ports, topology, vmNamed } from '../../src/lab/topology.js';
import { mapAt, RunningLab } from '../support/running-lab.js';
import { echoed, iperf, iperfServer, listening, tracedMtu, traceroute, withDaemon } from '../support/nat-tools.js';

const gatewayOf = (node: string): string => networkOf(vmNamed(node)).gatewayAddress;
const floating = (node: string): string => vmNamed(node).floatingAddress ?? '';
const provider = '10.0.2.1';
const routerA = '10.0.2.201';
const routerC = '198.51.100.201';
const vlanHops = ['198.51.100.1', provider];

let lab: RunningLab;

beforeAll(async () => {
  lab = new RunningLab(await up({ sync: 'strict', say: () => {} }, 'running'));
}, 90_000);

afterAll(async () => {
  await downIfOurs();
}, 30_000);

const methods = [
  { method: 'UDP', options: [] },
  { method: 'ICMP', options: ['-I'] },
  { method: 'TCP', options: ['-T', '-p', String(ports.http)] },
];

describe('traceroute', () => {
  const ways = [
    { path: 'out by shared SNAT', from: 'vm-a1', to: outsideAddress, hops: [gatewayOf('vm-a1'), provider, outsideAddress] },
    { path: 'out by a floating IP', from: 'vm-a2', to: outsideAddress, hops: [gatewayOf('vm-a2'), provider, outsideAddress] },
    { path: 'out by VXLAN and VLAN', from: 'vm-c1', to: outsideAddress, hops: [gatewayOf('vm-c1'), ...vlanHops, outsideAddress] },
    { path: 'in by a floating IP', from: 'outside', to: floating('vm-a2'), hops: [outsideRouter, routerA, floating('vm-a2')] },
    { path: 'in by VLAN and VXLAN', from: 'outside', to: floating('vm-c2'), hops: [outsideRouter, '10.0.2.2', routerC, floating('vm-c2')] },
    { path: 'hairpin', from: 'vm-b1', to: floating('vm-a2'), hops: [gatewayOf('vm-b1'), floating('vm-a2')] },
    { path: 'east-west', from: 'vm-a1', to: vmNamed('vm-a3').address, hops: [gatewayOf('vm-a1'), vmNamed('vm-a3').address] },
  ];

  it.each(ways.flatMap((way) => methods.map((method) => ({ ...way, ...method }))))(
    '$path, $method/every router says that the time is exceeded, and the end is reached (RFC 5508 REQ-4, RFC 1812)',
    async ({ from, to, hops, options }) => {
      expect(await traceroute(from, to, ...options)).toEqual(hops);
    },
  );

  it('in by a port forwarding, TCP/every router says so, and the end is reached', async () => {
    const hops = await traceroute('outside', routerA, '-T', '-p', String(forwardedPorts.http));
    expect([hops[0], hops.at(-1)]).toEqual([outsideRouter, routerA]);
  });
});

describe('port unreachable', () => {
  const closed = 4999;
  it.each([
    { path: 'from outside to shared SNAT', from: 'vm-a1', to: outsideAddress },
    { path: 'from outside to a floating IP', from: 'vm-a2', to: outsideAddress },
    { path: 'from a VM behind a floating IP', from: 'outside', to: floating('vm-a2') },
    { path: 'hairpinned', from: 'vm-b1', to: floating('vm-a2') },
    { path: 'east-west', from: 'vm-a1', to: vmNamed('vm-a3').address },
  ])('$path/the program that sent is told (RFC 5508 REQ-4, REQ-7)', async ({ from, to }) => {
    const program = `const s = require('dgram').createSocket('udp4'); s.connect(${closed}, '${to}', () => s.send('x'));
      s.on('error', (e) => { console.log(e.code); s.close(); }); setTimeout(() => s.close(), 3000).unref();`;
    expect((await runIn(from, [process.execPath, '-e', program])).trim()).toBe('ECONNREFUSED');
  });
});

describe('path MTU', () => {
  const narrowBytes = 1400;
  /** IPv4, and TCP with the option that Linux always sends: timestamps. */
  const headersBytes = 20 + 32;
  /** What iperf3 has sent last is not counted: it ends when the sender's buffer took all. A black hole lets hardly anything through. */
  const blackHoleBytes = 1_000_000;

  afterEach(async () => {
    await run('ip', ['-n', 'fg-router', 'route', 'replace', outsideSubnet, 'dev', 'outside0', 'scope', 'link', 'src', outsideRouter]);
    await lab.restore();
    await forgetPathMtu('outside', ...topology.vms.map(({ node }) => node));
  });

  /** The router forwards no more than this towards the outside server. */
  async function narrowOutside(): Promise<void> {
    await run('ip', ['-n', 'fg-router', 'route', 'replace', outsideSubnet, 'dev', 'outside0', 'mtu', 'lock', String(narrowBytes)]);
  }

  const clampedOff = () =>
    lab.reconfigure((configuration) => topology.tenants.forEach((tenant, router) =>
      topology.networks.filter((network) => network.tenant === tenant.name).forEach((_, network) => mapAt(configuration, 'routers', router, 'networks', network).set('mssClamp', false))));

  it.each([
    { path: 'shared SNAT', from: 'vm-a1' },
    { path: 'floating IP', from: 'vm-a2' },
    { path: 'VXLAN and VLAN', from: 'vm-c1' },
  ])('narrow outside, $path/tracepath/the VM learns it from the router there', async ({ from }) => {
    await narrowOutside();
    expect(await tracedMtu(from, outsideAddress)).toBe(narrowBytes);
  });

  it.each(['vm-a1', 'vm-a2'])('narrow outside, MSS not clamped, %s/bulk TCP arrives (no black hole)', { timeout: 60_000 }, async (from) => {
    await clampedOff();
    await narrowOutside();
    const before = await lab.counted('gw-a', 'icmp_error_inbound');
    const { receivedBytes, mss } = await iperf(from, outsideAddress, '--bytes', '20000000');
    expect(mss).toBeGreaterThan(narrowBytes - headersBytes);
    expect(receivedBytes).toBeGreaterThan(blackHoleBytes);
    expect(await lab.counted('gw-a', 'icmp_error_inbound')).toBeGreaterThan(before);
  });

  describe('narrow underlay', () => {
    const underlayBytes = 1500;
    const geneveBytes = 58;
    const vxlanBytes = 50;

    const tunnels = [
      { encapsulation: 'Geneve', node: 'vm-a2', mtu: underlayBytes - geneveBytes },
      { encapsulation: 'VXLAN', node: 'vm-c2', mtu: underlayBytes - vxlanBytes },
    ];

    const setUnderlayMtu = async (bytes: number) => {
      for (const node of ['gw-b', 'gw-a'] as const) {
        await lab.end(node, 'SIGTERM');
        await run('ip', ['-n', `fg-${node}`, 'link', 'set', 'underlay0', 'mtu', String(bytes)]);
        await lab.start(node);
      }
      await lab.restore();
    };

    const routeBy = (node: string, ...options: readonly string[]) => run('ip', ['-n', `fg-${node}`, 'route', 'replace', 'default', 'via', gatewayOf(node), ...options]);

    /** Bulk from outside, over a connection that either side has opened. */
    const bulkTo = async (node: string, bytes: number) => {
      const sent = ['--bytes', String(bytes)];
      const { receivedBytes } = await iperf(node, outsideAddress, '--reverse', ...sent);
      const { address } = vmNamed(node);
      await forgetPathMtu('outside');
      const into = await withDaemon(lab.state, iperfServer(node, address), () => listening(node, 'tcp', ports.iperf), () => iperf('outside', floating(node), ...sent));
      return { mss: into.mss, receivedBytes: Math.min(receivedBytes, into.receivedBytes) };
    };

    beforeAll(async () => {
      await setUnderlayMtu(underlayBytes);
      // They send no more than fits, but ask for full segments.
      for (const { node, mtu } of tunnels) await routeBy(node, 'mtu', String(mtu), 'advmss', '1460');
    }, 60_000);

    afterAll(async () => {
      for (const { node } of tunnels) await routeBy(node);
      await setUnderlayMtu(1600);
    }, 60_000);

    it.each(tunnels)('$encapsulation/tracepath from outside/the gateway says what fits (RFC 4787 REQ-13)', async ({ node, mtu }) => {
      expect(await tracedMtu('outside', floating(node))).toBe(mtu);
    });

    it.each(tunnels)('$encapsulation, MSS not clamped/bulk TCP from outside arrives (no black hole)', { timeout: 60_000 }, async ({ node }) => {
      await clampedOff();
      const before = await lab.counted('gw-a', 'icmp_error_to_outside');
      const { receivedBytes, mss } = await bulkTo(node, 10_000_000);
      expect(mss).toBe(1500 - headersBytes);
      expect(receivedBytes).toBeGreaterThan(blackHoleBytes);
      expect(await lab.counted('gw-a', 'icmp_error_to_outside')).toBeGreaterThan(before);
    });

    it.each(tunnels)('$encapsulation, MSS clamped/bulk TCP from outside/segments fit from the first on (RFC 879)', { timeout: 60_000 }, async ({ node, mtu }) => {
      const before = await lab.counted('gw-a', 'icmp_error_to_outside');
      expect((await bulkTo(node, 2_000_000)).mss).toBe(mtu - headersBytes);
      expect(await lab.counted('gw-a', 'icmp_error_to_outside')).toBe(before);
    });

    it.each(tunnels)('$encapsulation, without "do not fragment"/UDP from outside/split by the gateway, every byte arrives', async ({ node }) => {
      await discoverPathMtu('outside', false);
      try {
        for (const bytes of [1400, 1472]) expect(await echoed('outside', floating(node), ports.datagrams, bytes)).toBe(outsideAddress);
      } finally {
        await discoverPathMtu('outside', true);
      }
    });
  });
});

async function forgetPathMtu(...nodes: readonly string[]): Promise<void> {
  for (const node of nodes) await run('ip', ['-n', `fg-${node}`, 'route', 'flush', 'cache']);
}

/** Linux sets "do not fragment" wherever it discovers. */
async function discoverPathMtu(node: string, does: boolean): Promise<void> {
  await runIn(node, ['sh', '-c', `echo ${does ? 0 : 1} > /proc/sys/net/ipv4/ip_no_pmtu_disc`]);
}
