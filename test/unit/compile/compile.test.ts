import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { checkFacts } from '../../../src/compile/facts.js';
import { compile, toTicks, virtualRouterMac } from '../../../src/compile/compile.js';
import { externalKey, parseRouteKey, routeKey, scopeExternal } from '../../../src/compile/contents.js';
import { advertisementPeers, externalNetworks, mapSizes, portBlocksPerAddress, portsPerProtocol, sessionBucketSize } from '../../../src/compile/map-sizes.js';
import type { Milliseconds } from '../../../src/config/duration.js';
import * as layout from '../../../src/dataplane/layout.generated.js';
import { example, exampleWith, smallest } from '../config/example.js';
import { facts, ip, parse } from './states.js';

const bytes = (...octets: number[]): Buffer => Buffer.from(octets);

describe('compile/example', () => {
  const { maps, floatingIps, vms, neighbourTargets } = compile(parse(example), facts);

  it('gateways/the node in the units of the programs', () => {
    const { key, otherKey: _, ...gateway } = maps.gateways.get(0)!;
    expect(gateway).toEqual({
      id: 0,
      syncMode: layout.syncMode.strict,
      soloAfterNs: 20_000_000n,
      haAddress: ip('169.254.77.1'),
      peerAddress: ip('169.254.77.2'),
      tcpEstablishedTicks: 6930,
      tcpTransitoryTicks: 224,
      udpTicks: 280,
      icmpTicks: 56,
      holdDownTicks: 112,
      externalAddresses: 2,
      sessionBuckets: 32_768,
      vmTicks: 3353,
      icmpErrorsPerSecond: 1000,
      restingPortLimit: 0,
      logPorts: 0,
    });
    expect(key!.words()).toEqual([0x0706050403020100n, 0x0f0e0d0c0b0a0908n]);
  });

  it('interfaces and ports/by role', () => {
    expect([...maps.interfaces]).toEqual([
      [layout.interfaceRole.underlay, { ifindex: 5, mtu: 1600, address: ip('192.168.33.11'), mac: bytes(2, 0, 0, 0, 1, 1), vlan: 0 }],
      [layout.interfaceRole.external, { ifindex: 6, mtu: 1500, address: ip('10.0.2.11'), mac: bytes(2, 0, 0, 0, 1, 2), vlan: 0 }],
      [layout.interfaceRole.ha, { ifindex: 7, mtu: 2000, address: ip('169.254.77.1'), mac: bytes(2, 0, 0, 0, 1, 3), vlan: 0 }],
    ]);
    expect([...maps.ports]).toEqual([
      [0, 5],
      [1, 6],
      [2, 7],
    ]);
  });

  it('virtual routers/address and virtual MAC, nothing of the election', () => {
    expect([...maps.virtual_routers]).toEqual([[51, { address: ip('192.168.33.100'), mac: bytes(0, 0, 0x5e, 0, 1, 51) }]]);
    expect([...maps.virtual_router_by_address]).toEqual([[ip('192.168.33.100'), 51]]);
  });

  it('advertisements/what they have to be like, the password where nothing shows it', () => {
    const nobody = [0, 0, 0, 0, 0, 0, 0, 0];
    expect([...maps.advertisement_rules]).toEqual([[51, { version: 3, authentication: 0, priority: 200, interval: 0, peers: 0, password: undefined, peer: nobody }]]);
    const text = exampleWith('advertisementInterval: 100ms, preempt: true', 'advertisementInterval: 3s, version: 2, authentication: hunter22, unicastPeers: [ 192.168.33.12 ]');
    const rule = compile(parse(text), facts).maps.advertisement_rules.get(51)!;
    expect(rule).toMatchObject({ version: 2, authentication: 1, interval: 3, peers: 1, peer: [ip('192.168.33.12'), ...nobody.slice(1)] });
    expect(rule.password!.data().toString('latin1')).toBe('hunter22');
    expect(`${JSON.stringify(rule)} ${inspect(rule)} ${String(rule.password)}`).not.toContain('hunter');
  });

  it('routers, networks and outside/joined by index', () => {
    expect([...maps.external_networks]).toEqual([[0, { subnet: ip('10.0.2.0'), netmask: 0xffffff00, gateway: ip('10.0.2.1'), vlan: 0, flags: 0 }]]);
    const behaviour = { mapping: 0, filtering: 1, vmBlockLimit: 8, sessionLimit: 0, vmSessionLimit: 32_768, vmSessionsPerSecond: 0 };
    expect([...maps.routers]).toEqual([
      [0, { externalAddress: ip('10.0.2.201'), pool: 0, poolSize: 1, externalNetwork: 0, virtualRouter: 51, innerPrefix: ip('172.16.100.0'), innerMask: ip('255.255.254.0'), ...behaviour }],
      [1, { externalAddress: ip('10.0.2.202'), pool: 1, poolSize: 1, externalNetwork: 0, virtualRouter: 51, innerPrefix: ip('172.16.100.0'), innerMask: ip('255.255.255.0'), ...behaviour }],
    ]);
    expect([...maps.pools]).toEqual([[0, 0], [1, 1]]);
    expect([...maps.snat_addresses]).toEqual([
      [0, { address: ip('10.0.2.201'), router: 0 }],
      [1, { address: ip('10.0.2.202'), router: 1 }],
    ]);
    expect([...maps.external_addresses]).toEqual([
      [externalKey(0, ip('10.0.2.201')), { kind: layout.externalAddressKind.router, index: 0, router: 0 }],
      [externalKey(0, ip('10.0.2.202')), { kind: layout.externalAddressKind.router, index: 1, router: 1 }],
    ]);
    expect([...maps.routes]).toEqual([
      [routeKey(0, ip('172.16.100.0'), 24), { kind: layout.routeKind.network, network: 0, via: 0 }],
      [routeKey(0, ip('172.16.101.0'), 24), { kind: layout.routeKind.network, network: 1, via: 0 }],
      [routeKey(1, ip('172.16.100.0'), 24), { kind: layout.routeKind.network, network: 2, via: 0 }],
    ]);
    expect([...maps.network_by_vni]).toEqual([
      [100, 0],
      [101, 1],
      [200, 2],
    ]);
    expect(maps.networks.get(2)).toEqual({
      vni: 200,
      router: 1,
      subnet: ip('172.16.100.0'),
      netmask: 0xffffff00,
      gateway: ip('172.16.100.1'),
      gatewayMac: bytes(0xfa, 0x16, 0x3e, 0, 2, 1),
      // The external MTU; 1600 - 58 would allow more.
      mss: 1460,
      flags: 0,
      vmLimit: 2_048,
      mtu: 0,
    });
  });

  it('floating IPs/by VNI and fixed IP, for vm_ensure', () => {
    expect([...floatingIps.values()]).toEqual([
      { address: ip('10.0.2.215'), vlan: 0, segment: 100, fixedIp: ip('172.16.100.11'), router: 0 },
      { address: ip('10.0.2.216'), vlan: 0, segment: 200, fixedIp: ip('172.16.100.11'), router: 1 },
    ]);
    const unpinned = { flags: 0, tunnelEndpoint: 0, mac: Buffer.alloc(6) };
    expect([...vms.values()]).toEqual([
      { segment: 100, address: ip('172.16.100.11'), floatingIp: ip('10.0.2.215'), floatingIpCounter: 1, ...unpinned },
      { segment: 200, address: ip('172.16.100.11'), floatingIp: ip('10.0.2.216'), floatingIpCounter: 2, ...unpinned },
    ]);
  });

  it('neighbours/the peer and every external gateway', () => {
    expect(neighbourTargets).toEqual([
      { interface: 'ha', vlan: 0, address: ip('169.254.77.2'), for: 'peer' },
      { interface: 'external', vlan: 0, address: ip('10.0.2.1'), for: 'external_network', index: 0 },
    ]);
  });

  it('values/fit the generated codecs, owned by others filled with zeros', () => {
    const { key, otherKey: _, ...gateway } = maps.gateways.get(0)!;
    const whole: layout.Gateway = { ...gateway, key: key!.words(), otherKey: [0n, 0n], seed: [0n, 0n], epoch: 0, peerMac: Buffer.alloc(6), peerUnderlayAddress: 0 };
    const buffer = Buffer.alloc(layout.gatewayCodec.size);
    layout.gatewayCodec.encode(whole, buffer);
    expect(whole).toMatchObject(layout.gatewayCodec.decode(buffer));
    const network = Buffer.alloc(layout.networkCodec.size);
    layout.networkCodec.encode(maps.networks.get(0)!, network);
    expect(layout.networkCodec.decode(network)).toEqual(maps.networks.get(0));
  });
});

describe('compile/special cases', () => {
  it('solo gateway/no key, no peer, no ha interface', () => {
    const { underlay, external } = facts.interfaces;
    const { maps, neighbourTargets } = compile(parse(smallest), { interfaces: { underlay, external } });
    expect(maps.gateways.get(0)).toMatchObject({ syncMode: layout.syncMode.none, key: undefined, haAddress: 0, peerAddress: 0, externalAddresses: 0 });
    expect([...maps.interfaces.keys()]).toEqual([0, 1]);
    expect(neighbourTargets).toEqual([]);
  });

  it('router without a shared address/no pool, and nothing to answer for', () => {
    const { maps } = compile(parse(exampleWith('    externalAddress: 10.0.2.202\n', '')), facts);
    expect(maps.routers.get(1)).toMatchObject({ externalAddress: 0, poolSize: 0 });
    expect([...maps.external_addresses.keys()]).toEqual([externalKey(0, ip('10.0.2.201'))]);
  });

  it.each([
    [0, 0],
    [1, 1],
    [1_073, 1],
    [1_074, 2],
    [604_800_000, 563_264],
  ])('ticks of %d ms/rounded up to %d', (milliseconds, ticks) => expect(toTicks(milliseconds as Milliseconds)).toBe(ticks));

  it('router without networks/looks for nothing in the routes', () => {
    const text = exampleWith('    networks: [ { name: b-net', '    networks: []\n    x: [ { name: b-net').replace(/    x: .*\n    floatingIps: .*\n/, '');
    const { innerPrefix, innerMask } = compile(parse(text), facts).maps.routers.get(1)!;
    for (const address of ['0.0.0.0', '10.0.0.1', '172.16.100.1', '223.255.255.254']) expect((ip(address) & innerMask) >>> 0).not.toBe(innerPrefix);
  });

  it('static routes/by way of a VM, and within what is looked for', () => {
    const text = exampleWith('    externalAddress: 10.0.2.202\n', '    routes: [ { destination: 10.99.0.0/16, via: 172.16.100.9 } ]\n');
    const { maps } = compile(parse(text), facts);
    expect(maps.routes.get(routeKey(1, ip('10.99.0.0'), 16))).toEqual({ kind: layout.routeKind.vm, network: 2, via: ip('172.16.100.9') });
    expect(maps.routers.get(1)).toMatchObject({ innerPrefix: 0, innerMask: 0 });
  });

  it('external network with more than its subnet/all of it stands in the routes', () => {
    const { maps, neighbourTargets } = compile(parse(exampleWith('gateway: 10.0.2.1 }', 'vlan: 12, subnets: [ 198.51.100.0/24 ], gateway: 10.0.2.1, routes: [ { destination: 10.8.0.0/16, via: 198.51.100.7 } ] }')), facts);
    expect(maps.external_networks.get(0)).toMatchObject({ vlan: 12, flags: 1 });
    const external = [...maps.routes].filter(([key]) => key.startsWith('2147483648/'));
    expect(external).toEqual([
      [routeKey(0x80000000, ip('10.0.2.0'), 24), { kind: layout.routeKind.onLink, network: 0, via: 0 }],
      [routeKey(0x80000000, ip('198.51.100.0'), 24), { kind: layout.routeKind.onLink, network: 0, via: 0 }],
      [routeKey(0x80000000, ip('10.8.0.0'), 16), { kind: layout.routeKind.gateway, network: 0, via: ip('198.51.100.7') }],
    ]);
    expect(parseRouteKey(external[2]![0])).toEqual({ scope: 0x80000000, address: ip('10.8.0.0'), prefixLength: 48 });
    expect([...maps.external_addresses.keys()]).toEqual([externalKey(12, ip('10.0.2.201')), externalKey(12, ip('10.0.2.202'))]);
    expect(neighbourTargets).toContainEqual({ interface: 'external', vlan: 12, address: ip('198.51.100.7'), for: 'packets' });
  });

  it('VXLAN/a VNI of its own, and 8 bytes more for a segment', () => {
    const narrow = { ...facts, interfaces: { ...facts.interfaces, underlay: { ...facts.interfaces.underlay, mtu: 1500 } } };
    const { maps } = compile(parse(exampleWith('vni: 200,', 'vni: 100, encapsulation: vxlan,')), narrow);
    expect([...maps.network_by_vni.keys()]).toEqual([100, 101, 0x01000064]);
    expect([maps.networks.get(0)!.mss, maps.networks.get(2)!.mss]).toEqual([1402, 1410]);
    expect(maps.networks.get(2)!.vni).toBe(0x01000064);
  });

  it('endpoints/pinned VMs, whose computes are kept resolved', () => {
    const text = exampleWith('mac: "fa:16:3e:00:02:01" }', 'mssClamp: false, mtu: 1442, learnEndpoints: false, vmLimit: 5, mac: "fa:16:3e:00:02:01", endpoints: [ { address: 172.16.100.11, mac: "fa:16:3e:00:02:11", compute: 192.168.33.32 } ] }');
    const { maps, vms, neighbourTargets } = compile(parse(text), facts);
    expect(maps.networks.get(2)).toMatchObject({ mss: 0, flags: layout.networkFlag.pinned, vmLimit: 5, mtu: 1442 });
    expect(vms.get(`200/${ip('172.16.100.11')}`)).toEqual({
      segment: 200, address: ip('172.16.100.11'), floatingIp: ip('10.0.2.216'), floatingIpCounter: 2, flags: layout.vmFlag.pinned,
      tunnelEndpoint: ip('192.168.33.32'), mac: bytes(0xfa, 0x16, 0x3e, 0, 2, 0x11),
    });
    expect(neighbourTargets).toContainEqual({ interface: 'underlay', vlan: 0, address: ip('192.168.33.32'), for: 'packets' });
  });

  it.each([[0, 0], [33, 1]])('unicast peers, underlay on VLAN %i/kept resolved %i time', (vlan, times) => {
    const text = exampleWith('name: underlay0, mode: auto', `name: underlay0, vlan: ${vlan}`).replace('preemptDelay: 0s', 'unicastPeers: [ 192.168.33.12 ]');
    const { neighbourTargets } = compile(parse(text), facts);
    expect(neighbourTargets.filter((target) => target.interface === 'underlay')).toEqual(Array(times).fill({ interface: 'underlay', vlan: 0, address: ip('192.168.33.12'), for: 'packets' }));
  });

  it('virtual MAC/RFC 9568 §7.3', () => {
    expect(virtualRouterMac(1)).toBe('00:00:5e:00:01:01');
    expect(virtualRouterMac(255)).toBe('00:00:5e:00:01:ff');
  });
});

describe('facts', () => {
  it('example/nothing to say', () => expect(checkFacts(parse(example), facts)).toEqual([]));

  it.each([
    ['10.0.2.216', '10.0.2.11', "routers[1].floatingIps[0].address is 10.0.2.11, but that is this node's own address on the external interface."],
    ['10.0.2.202', '10.0.2.11', "routers[1] shares the external address 10.0.2.11, but that is this node's own address on the external interface."],
    ['gateway: 10.0.2.1 }', 'gateway: 10.0.2.11 }', "externalNetworks[0].gateway is 10.0.2.11, but that is this node's own address on the external interface."],
    ['169.254.77.2', '169.254.77.1', "peer.address is 169.254.77.1, but that is this node's own address on the ha interface."],
    ['192.168.33.100', '192.168.33.11', "virtualRouters[0].address is 192.168.33.11, but that is this node's own address on the underlay interface."],
    ['preempt: true', 'unicastPeers: [ 192.168.33.11 ]', "virtualRouters[0].unicastPeers[0] is 192.168.33.11, but that is this node's own address on the underlay interface."],
    ['priority: 200', 'priority: 255', "virtualRouters[0].address is 192.168.33.100, but with priority 255 it must be this node's own address on the underlay interface, 192.168.33.11."],
  ])('%s → %s', (from, to, sentence) => expect(checkFacts(parse(exampleWith(from, to)), facts)).toEqual([sentence]));

  it('unicast peers/on a tagged underlay within its subnet, where that is known', () => {
    const sentences = (vlan: number, prefixLength: number): string[] => checkFacts(
      parse(exampleWith('name: underlay0, mode: auto', `name: underlay0, vlan: ${vlan}`).replace('preempt: true', 'unicastPeers: [ 192.168.33.12, 192.168.34.12 ]')),
      { ...facts, interfaces: { ...facts.interfaces, underlay: { ...facts.interfaces.underlay, prefixLength } } },
    );
    expect(sentences(33, 24)).toEqual(["virtualRouters[0].unicastPeers[1] is 192.168.34.12, but on a tagged underlay must be in this node's own subnet there, 192.168.33.0/24."]);
    expect([sentences(33, 16), sentences(33, 32), sentences(0, 24)]).toEqual([[], [], []]);
  });
});

describe('map sizes', () => {
  const header = (name: string): string => readFileSync(new URL(`../../../bpf/${name}`, import.meta.url), 'utf8');

  it('constants/are those of the C headers', () => {
    expect(header('layout.h')).toContain(`#define PORT_BLOCK_SIZE ${portsPerProtocol / portBlocksPerAddress}\n`);
    expect(header('layout.h')).toContain(`#define PORT_BLOCKS_PER_ADDRESS (${portsPerProtocol} / PORT_BLOCK_SIZE)\n`);
    expect(header('layout.h')).toContain(`#define SESSION_BUCKET_SIZE ${sessionBucketSize}\n`);
    expect(header('layout.h')).toContain(`#define ADVERTISEMENT_PEERS ${advertisementPeers}\n`);
    expect(header('layout.h')).toContain('#define TICK_SHIFT 30\n');
    expect(header('layout.h')).toContain(`#define ROUTE_SCOPE_EXTERNAL 0x${scopeExternal.toString(16)}u\n`);
    expect(header('maps.h')).toContain(`ARRAY(external_networks, struct external_network, ${externalNetworks}, 0);`);
  });

  it('example/from its limits', () => {
    expect(mapSizes(parse(example))).toEqual({
      vms: 16_384,
      vm_by_address: 16_384,
      free_vms: 16_384,
      networks: 4_096,
      network_by_vni: 4_096,
      network_states: 4_096,
      routers: 4_096,
      router_states: 4_096,
      snat_addresses: 4,
      pools: 64,
      forwardings: 16_384,
      floating_ip_counters: 65_537,
      external_addresses: 65_540,
      port_blocks: 1_024,
      mappings: 786_432,
      sessions: 262_144,
    });
  });

  it('maps/exist, all that are marked as sized by the control plane', () => {
    const marked = [...header('maps.h').matchAll(/^(?:ARRAY|HASH|PERCPU_ARRAY)\((\w+),.*\/\* \*.*\*\/$/gm)].map(([, name]) => name!);
    expect(marked.length).toBeGreaterThan(4);
    expect(Object.keys(mapSizes(parse(example)))).toEqual(expect.arrayContaining(marked));
    for (const name of Object.keys(mapSizes(parse(example)))) expect(layout.mapLayouts).toHaveProperty(name);
  });
});
