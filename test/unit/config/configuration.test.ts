import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIpv4, formatIpv4Subnet } from '../../../src/config/address.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import type { Configuration } from '../../../src/config/schema.js';
import { example, exampleWith, smallest } from './example.js';

function accepted(text: string): Configuration {
  const result = parseConfiguration(text, 'gw.yaml');
  expect(result.errors?.map(({ message }) => message)).toBeUndefined();
  return result.configuration!;
}

function messages(text: string): string[] {
  return (parseConfiguration(text, 'gw.yaml').errors ?? []).map(({ message }) => message);
}

function warnings(text: string): string[] {
  const result = parseConfiguration(text, 'gw.yaml');
  expect(result.errors).toBeUndefined();
  return result.configuration ? result.warnings.map(({ message }) => message) : [];
}

describe('configuration/accepted', () => {
  it('example/every value is parsed', () => {
    const configuration = accepted(example);
    expect(warnings(example)).toEqual([]);
    expect(configuration.gateway).toEqual({ name: 'gw-a', id: 0, icmpErrorsPerSecond: 1_000, restingPorts: 0 });
    expect(configuration.interfaces).toEqual({
      underlay: { name: 'underlay0', mode: 'auto', vlan: 0 },
      external: { name: 'external0', mode: 'auto' },
      ha: { name: 'ha0', mode: 'auto' },
    });
    expect(configuration.sync).toEqual({ mode: 'strict', keyFile: '/etc/floatgate/sync.key', heartbeatInterval: 2_000, livenessAfter: 6_000, soloAfter: 20_000 });
    expect(configuration.virtualRouters).toEqual([
      { vrid: 51, interface: 'underlay', address: 0xc0a82164, priority: 200, advertisementInterval: 100_000, preempt: true, preemptDelay: 0, version: 3, checksum: 'message', unicastPeers: [], track: [], bfd: { mode: 'passive', minTx: 100_000, minRx: 100_000, multiplier: 3, peers: [], share: 100, weight: 253, holdDown: 60_000_000 } },
    ]);
    expect(formatIpv4Subnet(configuration.externalNetworks[0]!.subnet)).toBe('10.0.2.0/24');
    const [a, b] = configuration.routers;
    expect(a!.externalAddresses.map(formatIpv4)).toEqual(['10.0.2.201']);
    expect(a!.networks.map(({ mac }) => mac)).toEqual(['fa:16:3e:00:01:01', 'fa:16:3e:00:01:02']);
    expect(b!.floatingIps).toEqual([{ address: 0x0a0002d8, network: 'b-net', fixedIp: 0xac10640b }]);
    expect(configuration.timeouts).toEqual({ tcpEstablished: 7_440_000, tcpTransitory: 240_000, udp: 300_000, icmp: 60_000, portHoldDown: 120_000, vm: 3_600_000 });
    expect(configuration.metrics).toEqual({ listen: { host: '127.0.0.1', port: 9477 }, floatingIps: false });
  });

  it('smallest/defaults are filled in', () => {
    expect(accepted(smallest)).toEqual({
      gateway: { name: 'gw-a', id: 1, icmpErrorsPerSecond: 1_000, restingPorts: 0 },
      interfaces: { underlay: { name: 'underlay0', mode: 'auto', vlan: 0 }, external: { name: 'external0', mode: 'auto' } },
      sync: { mode: 'none', heartbeatInterval: 2_000, livenessAfter: 6_000, soloAfter: 20_000 },
      virtualRouters: [],
      externalNetworks: [],
      routers: [],
      timeouts: { tcpEstablished: 7_440_000, tcpTransitory: 240_000, udp: 300_000, icmp: 60_000, portHoldDown: 120_000, vm: 3_600_000 },
      limits: { vms: 16_384, sessions: 262_144, externalAddresses: 4, floatingIps: 65_536, forwardings: 16_384, networks: 4_096, routers: 4_096 },
      stateDirectory: '/run/floatgate',
      log: { level: 'info', portAllocations: false },
    });
  });

  it('router/what is not written', () => {
    const { name: _, networks: [network], externalAddresses, ...rest } = accepted(exampleWith('    externalAddress: 10.0.2.202\n', '')).routers[1]!;
    expect(externalAddresses).toEqual([]);
    expect(rest).toMatchObject({
      mapping: 'endpoint-independent', filtering: 'address-dependent', routes: [], portForwardings: [],
      limits: { sessions: 0, sessionsPerVm: 32_768, newSessionsPerSecondPerVm: 0, portBlocksPerVm: 8 },
    });
    expect(network).toMatchObject({ encapsulation: 'geneve', mssClamp: true, endpoints: [], learnEndpoints: true, vmLimit: 2_048 });
  });

  it.each<[string, string, string, number, number]>([
    ['an eighth of each table', '', '', 32_768, 2_048],
    ['of the smallest tables enough to go on with', 'vms: 16384, sessions: 262144', 'vms: 16, sessions: 1024', 128, 16],
    ['of small ones no less', 'vms: 16384, sessions: 262144', 'vms: 64, sessions: 2048', 256, 16],
    ['VMs as written, and 0 is no limit', 'vni: 200,', 'vni: 200, vmLimit: 0,', 32_768, 0],
    ['sessions as written, and 0 is no limit', '10.0.2.202\n', '10.0.2.202\n    limits: { sessionsPerVm: 0 }\n', 0, 2_048],
  ])('what one tenant may take (RFC 6888 REQ-4, REQ-5)/%s', (_, from, to, sessions, vms) => {
    const { limits, networks: [network] } = accepted(from === '' ? example : exampleWith(from, to)).routers[1]!;
    expect([limits.sessionsPerVm, network!.vmLimit, limits.sessions]).toEqual([sessions, vms, 0]);
  });

  it('what one network may take/more where the file names many VMs of it, so that others are learned as well', () => {
    const floatingIps = (count: number): string => Array.from({ length: count }, (_, at) => `{ address: 10.0.2.${20 + at}, network: b-net, fixedIp: 172.16.100.${20 + at} }`).join(', ');
    const limitWith = (count: number): number => accepted(exampleWith('{ address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 }', floatingIps(count)).replace('vms: 16384', 'vms: 64')).routers[1]!.networks[0]!.vmLimit;
    expect([0, 8, 9, 24, 25, 40, 60].map(limitWith)).toEqual([16, 16, 32, 32, 48, 48, 64]);
  });

  it('filtering/follows a mapping that leaves no choice', () => {
    expect(accepted(exampleWith('10.0.2.202', '10.0.2.202\n    mapping: address-and-port-dependent')).routers[1]!.filtering).toBe('address-and-port-dependent');
  });

  it('external addresses/single ones, prefixes and ranges in one list, each once', () => {
    const { externalAddresses } = accepted(exampleWith('10.0.2.202', '10.0.2.202\n    externalAddresses: [ 10.0.2.203, 10.0.2.204/31, 10.0.2.201-10.0.2.202 ]').replace('10.0.2.201\n', '10.0.2.199\n').replace('externalAddresses: 4', 'externalAddresses: 8')).routers[1]!;
    expect(externalAddresses.map(formatIpv4)).toEqual(['10.0.2.202', '10.0.2.203', '10.0.2.204', '10.0.2.205', '10.0.2.201']);
  });

  it('external networks/the same addresses on different VLANs', () => {
    const configuration = accepted(exampleWith('gateway: 10.0.2.1 }', 'gateway: 10.0.2.1 }\n  - { name: other, vlan: 12, subnet: 10.0.2.0/24, subnets: [ 198.51.100.0/24 ], gateway: 10.0.2.1, routes: [ { destination: 10.0.0.0/8, via: 198.51.100.7 } ] }')
      .replace('externalNetwork: provider\n    externalAddress: 10.0.2.202', 'externalNetwork: other\n    externalAddress: 10.0.2.201')
      .replace('10.0.2.216', '198.51.100.215'));
    expect(configuration.externalNetworks.map(({ vlan }) => vlan)).toEqual([0, 12]);
  });

  it('networks/one VNI in each encapsulation', () => {
    expect(accepted(exampleWith('vni: 200', 'vni: 100, encapsulation: vxlan')).routers[1]!.networks[0]).toMatchObject({ vni: 100, encapsulation: 'vxlan' });
  });

  it("port forwardings/the router's first address and the same port where nothing is said", () => {
    const [one, range] = accepted(withForwardings('{ protocol: tcp, port: 8080, network: b-net, fixedIp: 172.16.100.12, fixedPort: 80 }', '{ address: 10.0.2.220, protocol: udp, port: "8000-8010", network: b-net, fixedIp: 172.16.100.12 }')).routers[1]!.portForwardings;
    expect(one).toEqual({ address: 0x0a0002ca, protocol: 'tcp', ports: { first: 8080, last: 8080 }, network: 'b-net', fixedIp: 0xac10640c, fixedPorts: { first: 80, last: 80 } });
    expect(range).toMatchObject({ address: 0x0a0002dc, ports: { first: 8000, last: 8010 }, fixedPorts: { first: 8000, last: 8010 } });
  });

  it('sync mode/strict when there is a peer and nothing is said', () => {
    expect(accepted(exampleWith('mode: strict, ', '')).sync.mode).toBe('strict');
  });

  it('tenants/the same subnet in two routers', () => {
    const [a, b] = accepted(example).routers;
    expect(a!.networks[0]!.subnet).toEqual(b!.networks[0]!.subnet);
  });

  it('aliases/anchors are followed', () => {
    const text = exampleWith('tcpEstablished: 7440s, tcpTransitory: 240s, udp: 300s', 'tcpEstablished: &long 8000s, tcpTransitory: *long, udp: *long');
    expect(accepted(text).timeouts.udp).toBe(8_000_000);
  });
});

/** The example with port forwardings of tenant-b. */
function withForwardings(...forwardings: string[]): string {
  return exampleWith('network: b-net, fixedIp: 172.16.100.11 } ]', `network: b-net, fixedIp: 172.16.100.11 } ]\n    portForwardings: [ ${forwardings.join(', ')} ]`);
}

/** The end of the example's first external network. */
const EXTERNAL = 'gateway: 10.0.2.1 }';
const FLOATING = 'floatingIps: [ { address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 } ]';
const forwardings = (text: string): string => `${FLOATING}\n    portForwardings: [ ${text} ]`;
const WEB = 'protocol: tcp, port: 80, network: b-net, fixedIp: 172.16.100.12';
const B_MAC = 'mac: "fa:16:3e:00:02:01"';
const B_ADDRESS = '    externalAddress: 10.0.2.202\n';

/** What is replaced in the example, by what, and the one sentence that follows, which must name the place of the ▸. */
const refusals: [name: string, from: string, to: string, message: string][] = [
  ['syntax', '/etc/floatgate/sync.key', '▸/etc/a: b', 'the configuration is not valid YAML here: '],
  ['syntax/key twice', 'gateway: { name: gw-a, id: 0 }', 'gateway: { name: gw-a, id: 0, ▸id: 1 }', 'the configuration is not valid YAML here: map keys must be unique.'],
  ['unknown key/close', 'preempt: true', '▸premept: true', 'virtualRouters[0].premept is not a key that exists: did you mean preempt.'],
  ['unknown key/far', 'log: { level', '▸wibble: 1\nlog: { level', 'wibble is not a key that exists: the keys here are gateway, interfaces, peer, sync, virtualRouters, notify, externalNetworks, routers, timeouts, limits, stateDirectory, metrics, log.'],
  ['unknown key/other style', 'soloAfter', '▸solo_after', 'sync.solo_after is not a key that exists: did you mean soloAfter.'],
  ['unknown key/of objects', 'log: { level', '▸__proto__: 1\nlog: { level', '__proto__ is not a key that exists: the keys here are '],
  ['missing key', '{ name: gw-a, id: 0', '▸{ name: gw-a', 'gateway.id is missing: it must be a whole number from 0 to 1.'],
  ['missing mapping', 'underlay: { name: underlay0, mode: auto }\n  external', '▸external', 'interfaces.underlay is missing: it must be a mapping with the keys name, mode, vlan.'],
  ['empty mapping', 'peer: { address: 169.254.77.2 }', 'peer:▸', 'peer is empty, but must be a mapping with the keys address.'],
  ['integer/too large', 'priority: 200', 'priority: ▸256', 'virtualRouters[0].priority is 256, but must be a whole number from 1 to 255.'],
  ['integer/fraction', 'priority: 200', 'priority: ▸1.5', 'virtualRouters[0].priority is 1.5, but must be a whole number from 1 to 255.'],
  ['integer/quoted', 'vrid: 51', 'vrid: ▸"51"', 'virtualRouters[0].vrid is "51", but must be a whole number from 1 to 255.'],
  ['integer/vrid 0', 'vrid: 51', 'vrid: ▸0', 'virtualRouters[0].vrid is 0, but must be a whole number from 1 to 255.'],
  ['integer/gateway id', 'id: 0', 'id: ▸2', 'gateway.id is 2, but must be a whole number from 0 to 1.'],
  ['integer/vni', 'vni: 100', 'vni: ▸16777216', 'routers[0].networks[0].vni is 16777216, but must be a whole number from 1 to 16777215.'],
  ['word/not one of them', 'mode: strict', 'mode: ▸master', 'sync.mode is master, but must be one of strict, async, none.'],
  ['word/only one', 'interface: underlay', 'interface: ▸external', 'virtualRouters[0].interface is external, but must be underlay.'],
  ['boolean', 'preempt: true', 'preempt: ▸yes', 'virtualRouters[0].preempt is yes, but must be true or false.'],
  ['duration/no unit', 'udp: 300s', 'udp: ▸300', 'timeouts.udp is 300, but must be a duration from 1s to 7d in steps of 1ms, with its unit (us, ms, s, m, h, d).'],
  ['duration/too short', 'Interval: 100ms', 'Interval: ▸9ms', 'virtualRouters[0].advertisementInterval is 9ms, but must be a duration from 10ms to 40950ms in steps of 10ms, with its unit'],
  ['duration/too long', 'Interval: 100ms', 'Interval: ▸41s', 'virtualRouters[0].advertisementInterval is 41s, but must be a duration from 10ms to 40950ms'],
  ['duration/between steps', 'Interval: 100ms', 'Interval: ▸15ms', 'virtualRouters[0].advertisementInterval is 15ms, but must be a duration from 10ms to 40950ms in steps of 10ms'],
  ['address/octet', '169.254.77.2', '▸169.254.77.256', 'peer.address is 169.254.77.256, but must be the IPv4 address of one host, such as 10.0.2.1.'],
  ['address/leading zero', '169.254.77.2', '▸169.254.77.02', 'peer.address is 169.254.77.02, but must be the IPv4 address of one host'],
  ['address/multicast', '169.254.77.2', '▸224.0.0.18', 'peer.address is 224.0.0.18, but must be the IPv4 address of one host'],
  ['subnet/host bits', '10.0.2.0/24', '▸10.0.2.1/24', 'externalNetworks[0].subnet is 10.0.2.1/24, but must be a subnet without host bits: did you mean 10.0.2.0/24.'],
  ['subnet/prefix', '10.0.2.0/24', '▸10.0.2.0/31', 'externalNetworks[0].subnet is 10.0.2.0/31, but must be an IPv4 subnet with a prefix length from 8 to 30'],
  ['mac/multicast', '"fa:16:3e:00:02:01"', '▸"01:00:5e:00:00:01"', 'routers[1].networks[0].mac is "01:00:5e:00:00:01", but must be the MAC address of one host, such as fa:16:3e:00:01:01.'],
  ['mac/dashes', '"fa:16:3e:00:02:01"', '▸fa-16-3e-00-02-01', 'routers[1].networks[0].mac is fa-16-3e-00-02-01, but must be the MAC address'],
  ['name/space', 'name: tenant-b', 'name: ▸tenant b', 'routers[1].name is tenant b, but must be a name of 1 to 63'],
  ['interface/too long', 'external0', '▸external01234567', 'interfaces.external.name is external01234567, but must be the name of a network interface: 1 to 15 characters'],
  ['path/relative', '/run/floatgate/gw-a', '▸run', 'stateDirectory is run, but must be an absolute path of at most 98 bytes.'],
  ['path/too long for a socket', '/run/floatgate/gw-a', `▸/${'x'.repeat(98)}`, `stateDirectory is /${'x'.repeat(56)}..., but must be an absolute path of at most 98 bytes.`],
  ['limits/no power of two', 'vms: 16384', 'vms: ▸10000', 'limits.vms is 10000, but must be a power of two from 16 to 1048576.'],
  ['listen/port', '127.0.0.1:9477', '▸127.0.0.1:70000', 'metrics.listen is 127.0.0.1:70000, but must be an IPv4 address and a port from 1 to 65535'],
  ['list/a mapping instead', 'externalNetworks:\n  - {', 'externalNetworks:\n  ▸{', 'externalNetworks is a mapping, but must be a list of at most 256 external networks.'],

  ['interfaces/one name twice', 'name: ha0', 'name: ▸external0', 'interfaces.ha.name is external0, but must be unique: interfaces.external.name has it already.'],
  ['interfaces/no ha', '  underlay: { name: underlay0, mode: auto }\n  external: { name: external0 }\n  ha:       { name: ha0 }\n', '  ▸underlay: { name: underlay0, mode: auto }\n  external: { name: external0 }\n', 'interfaces.ha is missing: with a peer it must name the interface towards the peer.'],
  ['sync/strict without a peer', 'peer: { address: 169.254.77.2 }\nsync: { mode: strict', 'sync: { mode: ▸strict', 'sync.mode is strict, but without a peer it must be none.'],
  ['sync/strict without a key', '{ mode: strict, keyFile: /etc/floatgate/sync.key, ', '▸{ mode: strict, ', 'sync.keyFile is missing: with sync.mode strict it must be the absolute path of the file with the shared key.'],
  ['sync/liveness too soon', 'heartbeatInterval: 2ms, soloAfter: 20ms', 'heartbeatInterval: 2ms, livenessAfter: ▸5ms', 'sync.livenessAfter is 5ms, but must be at least three heartbeat intervals: 6ms.'],
  ['sync/solo too soon', 'heartbeatInterval: 2ms, soloAfter: 20ms', 'heartbeatInterval: 7ms, soloAfter: ▸20ms', 'sync.soloAfter is 20ms, but must be at least three heartbeat intervals: 21ms.'],
  ['virtual routers/vrid twice', 'externalNetworks:', '  - { vrid: ▸51, address: 192.168.33.101 }\nexternalNetworks:', 'virtualRouters[1].vrid is 51, but must be unique: virtualRouters[0].vrid has it already.'],
  ['virtual routers/checksum', 'preempt: true', 'checksum: ▸rfc9568', 'virtualRouters[0].checksum is rfc9568, but must be one of message, pseudo-header.'],
  ['virtual routers/version', 'preempt: true', 'version: ▸4', 'virtualRouters[0].version is 4, but must be 2 or 3.'],
  ['virtual routers/v2, faster than its wire', 'advertisementInterval: 100ms, preempt: true', 'advertisementInterval: ▸1500ms, version: 2', 'virtualRouters[0].advertisementInterval is 1500ms, but with version 2 it must be whole seconds from 1s to 255s.'],
  ['virtual routers/v2, slower than its wire would take it', 'advertisementInterval: 100ms, preempt: true', 'advertisementInterval: ▸40950ms, version: 2', 'virtualRouters[0].advertisementInterval is 40950ms, but with version 2 it must be whole seconds from 1s to 255s.'],
  ['virtual routers/v2, checksum', 'advertisementInterval: 100ms, preempt: true', 'version: 2, checksum: ▸pseudo-header', 'virtualRouters[0].checksum is pseudo-header, but with version 2 it must be message.'],
  ['virtual routers/v3, authentication', 'preempt: true', 'authentication: ▸hunter22', 'virtualRouters[0].authentication is given, but needs version 2: version 3 has no authentication (RFC 9568 §9).'],
  ['virtual routers/authentication too long', 'preempt: true', 'authentication: ▸hunter2222', 'virtualRouters[0].authentication is [secret], but must be a text of 1 to 8 printable ASCII characters without spaces, in quotes where it is all digits.'],
  ['virtual routers/authentication, a number', 'preempt: true', 'authentication: ▸12345678', 'virtualRouters[0].authentication is [secret], but must be a text of 1 to 8 printable ASCII characters'],
  ['virtual routers/unicast peer twice', 'preempt: true', 'unicastPeers: [ 192.168.33.12, ▸192.168.33.12 ]', 'virtualRouters[0].unicastPeers[1] is 192.168.33.12, but must be unique within the virtual router: virtualRouters[0].unicastPeers[0] has it already.'],
  ['virtual routers/unicast peer is the virtual address', 'preempt: true', 'unicastPeers: [ ▸192.168.33.100 ]', 'virtualRouters[0].unicastPeers[0] is 192.168.33.100, but must be unique within the virtual router: virtualRouters[0].address has it already.'],
  ['virtual routers/address twice', 'externalNetworks:', '  - { vrid: 52, address: ▸192.168.33.100 }\nexternalNetworks:', 'virtualRouters[1].address is 192.168.33.100, but must be unique: virtualRouters[0].address has it already.'],
  ['virtual routers/an owner that does not preempt', 'priority: 200, advertisementInterval: 100ms, preempt: true', 'priority: 255, preempt: ▸false', 'virtualRouters[0].preempt is false, but with priority 255 it must be true.'],
  ['external networks/gateway outside', 'gateway: 10.0.2.1 }', 'gateway: ▸10.0.3.1 }', 'externalNetworks[0].gateway is 10.0.3.1, but must be a host address of its subnet 10.0.2.0/24: 10.0.2.1 to 10.0.2.254.'],
  ['external networks/gateway is broadcast', 'gateway: 10.0.2.1 }', 'gateway: ▸10.0.2.255 }', 'externalNetworks[0].gateway is 10.0.2.255, but must be a host address of its subnet'],
  ['external networks/overlap', 'routers:\n  - name: tenant-a', '  - { name: wide, subnet: ▸10.0.0.0/16, gateway: 10.0.0.1 }\nrouters:\n  - name: tenant-a', 'externalNetworks[1].subnet is 10.0.0.0/16, but must not overlap externalNetworks[0].subnet, which is 10.0.2.0/24.'],
  ['routers/name twice', 'name: tenant-b', 'name: ▸tenant-a', 'routers[1].name is tenant-a, but must be unique: routers[0].name has it already.'],
  ['routers/vni twice', 'vni: 200', 'vni: ▸101', 'routers[1].networks[0].vni is 101, but must be unique: routers[0].networks[1].vni has it already.'],
  ['routers/unknown virtual router', 'name: tenant-b\n    virtualRouter: 51', 'name: tenant-b\n    virtualRouter: ▸52', 'routers[1].virtualRouter is 52, but must be the vrid of one of the virtualRouters: there is 51.'],
  ['routers/unknown external network', 'name: tenant-b\n    virtualRouter: 51\n    externalNetwork: provider', 'name: tenant-b\n    virtualRouter: 51\n    externalNetwork: ▸Provider', 'routers[1].externalNetwork is Provider, but must be the name of one of the externalNetworks: did you mean provider.'],
  ['routers/external address outside', '10.0.2.202', '▸10.0.9.202', "routers[1].externalAddress is 10.0.9.202, but must be a host address of provider's subnet 10.0.2.0/24"],
  ['routers/external address shared', '10.0.2.202', '▸10.0.2.201', 'routers[1].externalAddress is 10.0.2.201, but must be unique on the external side: routers[0].externalAddress has it already.'],
  ['routers/external address is the gateway', '10.0.2.202', '▸10.0.2.1', 'routers[1].externalAddress is 10.0.2.1, but must be unique on the external side: externalNetworks[0].gateway has it already.'],
  ['networks/gateway outside', 'gateway: 172.16.101.1', 'gateway: ▸172.16.100.9', 'routers[0].networks[1].gateway is 172.16.100.9, but must be a host address of its subnet 172.16.101.0/24: 172.16.101.1 to 172.16.101.254.'],
  ['networks/overlap in one router', 'subnet: 172.16.101.0/24', 'subnet: ▸172.16.0.0/16', 'routers[0].networks[1].subnet is 172.16.0.0/16, but must not overlap routers[0].networks[0].subnet, which is 172.16.100.0/24.'],
  ['networks/name twice', 'mac: "fa:16:3e:00:02:01" }', 'mac: "fa:16:3e:00:02:01" }, { name: ▸b-net, vni: 201, subnet: 10.1.0.0/16, gateway: 10.1.0.1, mac: "fa:16:3e:00:02:02" }', 'routers[1].networks[1].name is b-net, but must be unique within the router: routers[1].networks[0].name has it already.'],
  ['floating IPs/address twice', '10.0.2.216', '▸10.0.2.215', 'routers[1].floatingIps[0].address is 10.0.2.215, but must be unique on the external side: routers[0].floatingIps[0].address has it already.'],
  ['floating IPs/address is a router\'s', '10.0.2.216', '▸10.0.2.201', 'routers[1].floatingIps[0].address is 10.0.2.201, but must be unique on the external side: routers[0].externalAddress has it already.'],
  ['floating IPs/address outside', '10.0.2.216', '▸10.1.2.216', "routers[1].floatingIps[0].address is 10.1.2.216, but must be a host address of provider's subnet"],
  ['floating IPs/network of another router', 'network: b-net', 'network: ▸a-net', "routers[1].floatingIps[0].network is a-net, but must be the name of one of the router's networks: did you mean b-net."],
  ['floating IPs/fixed IP outside', 'network: b-net, fixedIp: 172.16.100.11', 'network: b-net, fixedIp: ▸172.16.101.11', "routers[1].floatingIps[0].fixedIp is 172.16.101.11, but must be a host address of b-net's subnet 172.16.100.0/24"],
  ['floating IPs/fixed IP is the gateway', 'network: b-net, fixedIp: 172.16.100.11', 'network: b-net, fixedIp: ▸172.16.100.1', "routers[1].floatingIps[0].fixedIp is 172.16.100.1, but must be a VM's address: it is the gateway of b-net."],
  ['floating IPs/fixed IP twice', '{ address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 }', '{ address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 }, { address: 10.0.2.217, network: b-net, fixedIp: ▸172.16.100.11 }', 'routers[1].floatingIps[1].fixedIp is 172.16.100.11, but must be unique within its network: routers[1].floatingIps[0].fixedIp has it already.'],
  ['limits/too few addresses', 'externalAddresses: 4', 'externalAddresses: ▸1', 'limits.externalAddresses is 1, but must be at least 2: the file has that many of them.'],
  ['vlan/too large', 'name: underlay0, mode: auto', 'name: underlay0, vlan: ▸4095', 'interfaces.underlay.vlan is 4095, but must be a whole number from 0 to 4094.'],
  ['vlan/of the external interface', 'name: external0', 'name: external0, ▸vlan: 5', 'interfaces.external.vlan is not a key that exists: the keys here are name, mode.'],
  ['external networks/more subnets overlap', EXTERNAL, 'subnets: [ 10.0.3.0/24, ▸10.0.2.128/25 ], gateway: 10.0.2.1 }', 'externalNetworks[0].subnets[1] is 10.0.2.128/25, but must not overlap externalNetworks[0].subnet, which is 10.0.2.0/24.'],
  ['external networks/route to what is on link', EXTERNAL, 'routes: [ { destination: ▸10.0.2.128/25, via: 10.0.2.2 } ], gateway: 10.0.2.1 }', 'externalNetworks[0].routes[0].destination is 10.0.2.128/25, but must not be within 10.0.2.0/24, which is on link.'],
  ['external networks/route twice', EXTERNAL, 'routes: [ { destination: 10.8.0.0/16, via: 10.0.2.2 }, { destination: ▸10.8.0.0/16, via: 10.0.2.3 } ], gateway: 10.0.2.1 }', 'externalNetworks[0].routes[1].destination is 10.8.0.0/16, but must be unique within the network: externalNetworks[0].routes[0].destination has it already.'],
  ['external networks/default route', EXTERNAL, 'routes: [ { destination: ▸0.0.0.0/0, via: 10.0.2.2 } ], gateway: 10.0.2.1 }', 'externalNetworks[0].routes[0].destination is 0.0.0.0/0, but must be an IPv4 prefix with a length from 1 to 32, such as 192.168.0.0/16.'],
  ['external networks/route by way of nowhere', EXTERNAL, 'subnets: [ 10.0.3.0/24 ], routes: [ { destination: 10.8.0.0/16, via: ▸10.0.4.2 } ], gateway: 10.0.2.1 }', 'externalNetworks[0].routes[0].via is 10.0.4.2, but must be a host address of one of its subnets 10.0.2.0/24, 10.0.3.0/24.'],
  ['external networks/route by way of ourselves', B_ADDRESS, '    externalAddress: ▸10.0.2.9\n', 'routers[1].externalAddress is 10.0.2.9, but must be unique on the external side: externalNetworks[0].routes[0].via has it already.'],
  ['pool/outside', B_ADDRESS, '    externalAddresses: [ ▸10.0.2.254-10.0.2.255 ]\n', "routers[1].externalAddresses[0] is 10.0.2.254-10.0.2.255, but must be a host address of provider's subnet 10.0.2.0/24"],
  ['pool/no range', B_ADDRESS, '    externalAddresses: [ ▸10.0.2.9-10.0.2.3 ]\n', 'routers[1].externalAddresses[0] is 10.0.2.9-10.0.2.3, but must be an IPv4 address, a prefix or a range, such as 10.0.2.1, 10.0.2.16/28 or 10.0.2.1-10.0.2.9.'],
  ['pool/too large', B_ADDRESS, '    externalAddresses: ▸[ 10.0.2.2-10.0.2.66 ]\n', 'routers[1].externalAddresses has 65 addresses, but must have at most 64.'],
  ['pool/of two routers', B_ADDRESS, '    externalAddresses: [ ▸10.0.2.200-10.0.2.202 ]\n', 'routers[1].externalAddresses[0] holds 10.0.2.201, which must be unique on the external side: routers[0].externalAddress has it already.'],
  ['mapping/filtering that cannot be', B_ADDRESS, `${B_ADDRESS}    mapping: address-and-port-dependent\n    filtering: ▸address-dependent\n`, 'routers[1].filtering is address-dependent, but with mapping address-and-port-dependent it must be address-and-port-dependent.'],
  ['mapping/unknown', B_ADDRESS, `${B_ADDRESS}    mapping: ▸symmetric\n`, 'routers[1].mapping is symmetric, but must be one of endpoint-independent, address-and-port-dependent.'],
  ['router limits/blocks', B_ADDRESS, `${B_ADDRESS}    limits: { portBlocksPerVm: ▸9 }\n`, 'routers[1].limits.portBlocksPerVm is 9, but must be a whole number from 1 to 8.'],
  ['router routes/by way of the gateway', B_ADDRESS, `${B_ADDRESS}    routes: [ { destination: 10.99.0.0/16, via: ▸172.16.100.1 } ]\n`, "routers[1].routes[0].via is 172.16.100.1, but must be a VM's address: it is the gateway of b-net."],
  ['router routes/by way of elsewhere', B_ADDRESS, `${B_ADDRESS}    routes: [ { destination: 10.99.0.0/16, via: ▸172.16.101.9 } ]\n`, "routers[1].routes[0].via is 172.16.101.9, but must be a VM's address in one of the router's networks: 172.16.100.0/24."],
  ['router routes/to its own network', B_ADDRESS, `${B_ADDRESS}    routes: [ { destination: ▸172.16.100.0/24, via: 172.16.100.9 } ]\n`, 'routers[1].routes[0].destination is 172.16.100.0/24, but must be unique within the router: routers[1].networks[0].subnet has it already.'],
  ['networks/encapsulation', B_MAC, `encapsulation: ▸gre, ${B_MAC}`, 'routers[1].networks[0].encapsulation is gre, but must be one of geneve, vxlan.'],
  ['endpoints/outside', B_MAC, `endpoints: [ { address: ▸172.16.101.9, mac: "fa:16:3e:00:02:09", compute: 192.168.33.31 } ], ${B_MAC}`, 'routers[1].networks[0].endpoints[0].address is 172.16.101.9, but must be a host address of its subnet 172.16.100.0/24: 172.16.100.1 to 172.16.100.254.'],
  ['endpoints/twice', B_MAC, `endpoints: [ { address: 172.16.100.9, mac: "fa:16:3e:00:02:09", compute: 192.168.33.31 }, { address: ▸172.16.100.9, mac: "fa:16:3e:00:02:0a", compute: 192.168.33.32 } ], ${B_MAC}`, 'routers[1].networks[0].endpoints[1].address is 172.16.100.9, but must be unique within the network: routers[1].networks[0].endpoints[0].address has it already.'],
  ['endpoints/without a MAC', B_MAC, `endpoints: [ ▸{ address: 172.16.100.9, compute: 192.168.33.31 } ], ${B_MAC}`, 'routers[1].networks[0].endpoints[0].mac is missing: it must be the MAC address of one host, such as fa:16:3e:00:01:01.'],
  ['endpoints/a floating IP of a VM that nobody can know', `${B_MAC} } ]\n    floatingIps: [ { address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11`, `learnEndpoints: false, ${B_MAC} } ]\n    floatingIps: [ { address: 10.0.2.216, network: b-net, fixedIp: ▸172.16.100.11`, 'routers[1].floatingIps[0].fixedIp is 172.16.100.11, but must be one of the endpoints of b-net, which learns no others.'],
  ['networks/fewer VMs than endpoints', B_MAC, `vmLimit: ▸1, endpoints: [ { address: 172.16.100.9, mac: "fa:16:3e:00:02:09", compute: 192.168.33.31 }, { address: 172.16.100.10, mac: "fa:16:3e:00:02:0a", compute: 192.168.33.31 } ], ${B_MAC}`, 'routers[1].networks[0].vmLimit is 1, but must be at least 2: the network has that many endpoints.'],
  ['port forwardings/port', FLOATING, forwardings('{ protocol: tcp, port: ▸70000, network: b-net, fixedIp: 172.16.100.12 }'), 'routers[1].portForwardings[0].port is 70000, but must be a port from 1 to 65535 or a range of them, such as 8080 or "8000-8010".'],
  ['port forwardings/range backwards', FLOATING, forwardings('{ protocol: tcp, port: ▸90-80, network: b-net, fixedIp: 172.16.100.12 }'), 'routers[1].portForwardings[0].port is 90-80, but must be a port from 1 to 65535'],
  ['port forwardings/protocol', FLOATING, forwardings('{ protocol: ▸icmp, port: 80, network: b-net, fixedIp: 172.16.100.12 }'), 'routers[1].portForwardings[0].protocol is icmp, but must be one of tcp, udp.'],
  ['port forwardings/ranges of two sizes', FLOATING, forwardings('{ protocol: tcp, port: "80-90", fixedPort: ▸80-89, network: b-net, fixedIp: 172.16.100.12 }'), 'routers[1].portForwardings[0].fixedPort is 80-89, but must be a range of 11 ports, as many as port has.'],
  ['port forwardings/one port twice', FLOATING, forwardings(`{ ${WEB} }, { protocol: tcp, port: ▸"70-80", network: b-net, fixedIp: 172.16.100.13 }`), 'routers[1].portForwardings[1].port is "70-80", but must be unique for 10.0.2.202 and tcp: routers[1].portForwardings[0].port has it already.'],
  ['port forwardings/two ways back', FLOATING, forwardings(`{ ${WEB} }, { protocol: tcp, port: 8080, fixedPort: ▸80, network: b-net, fixedIp: 172.16.100.12 }`), 'routers[1].portForwardings[1].fixedPort is 80, but must be a port of 172.16.100.12 that no other port outside stands for, or its answers could leave by either: routers[1].portForwardings[0] does already.'],
  ['port forwardings/a VM with a floating IP', FLOATING, forwardings('{ protocol: tcp, port: 80, network: b-net, fixedIp: ▸172.16.100.11 }'), 'routers[1].portForwardings[0].fixedIp is 172.16.100.11, but must be a VM without a floating IP: routers[1].floatingIps[0] gives it one.'],
  ['port forwardings/a floating IP as address', FLOATING, forwardings(`{ address: ▸10.0.2.216, ${WEB} }`), 'routers[1].portForwardings[0].address is 10.0.2.216, but must be unique on the external side: routers[1].floatingIps[0].address has it already.'],
  ['port forwardings/address of another router', FLOATING, forwardings(`{ address: ▸10.0.2.201, ${WEB} }`), 'routers[1].portForwardings[0].address is 10.0.2.201, but must be unique on the external side: routers[0].externalAddress has it already.'],
  ['port forwardings/no address at all', `${B_ADDRESS}    networks: [ { name: b-net, vni: 200, subnet: 172.16.100.0/24, gateway: 172.16.100.1, ${B_MAC} } ]\n    ${FLOATING}`, `    networks: [ { name: b-net, vni: 200, subnet: 172.16.100.0/24, gateway: 172.16.100.1, ${B_MAC} } ]\n    portForwardings: [ ▸{ ${WEB} } ]`, 'routers[1].portForwardings[0].address is missing: it must be an address outside, for the router has no externalAddress.'],
  ['port forwardings/network of another router', FLOATING, forwardings('{ protocol: tcp, port: 80, network: ▸a-net, fixedIp: 172.16.100.12 }'), "routers[1].portForwardings[0].network is a-net, but must be the name of one of the router's networks: did you mean b-net."],
  ['port forwardings/more than the table has', 'networks: 4096, routers: 4096', 'forwardings: ▸16', 'limits.forwardings is 16, but must be at least 17: the file has that many of them.'],
];

/** Two of them need a second edit. */
function prepared(name: string, text: string): string {
  if (name === 'external networks/route by way of ourselves') return text.replace(EXTERNAL, 'routes: [ { destination: 10.8.0.0/16, via: 10.0.2.9 } ], gateway: 10.0.2.1 }');
  if (name === 'port forwardings/more than the table has') return text.replace(FLOATING, forwardings('{ protocol: tcp, port: "1000-1016", network: b-net, fixedIp: 172.16.100.12 }'));
  return text;
}

describe('configuration/refused with one sentence', () => {
  it.each(refusals)('%s', (name, from, to, message) => {
    const marked = prepared(name, exampleWith(from, to));
    const before = marked.slice(0, marked.indexOf('▸')).split('\n');
    const place = `gw.yaml:${before.length}:${before.at(-1)!.length + 1}: `;
    expect(marked).toContain('▸');
    const found = messages(marked.replace('▸', ''));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(place + message);
    expect(found[0]).toMatch(/\.$/);
  });

  it('several errors/all of them, in the order of the file', () => {
    const text = exampleWith('log: { level: info }', 'log: { level: loud, color: 1 }').replace('id: 0', 'id: 7');
    expect(messages(text)).toEqual([
      'gw.yaml:2:28: gateway.id is 7, but must be a whole number from 0 to 1.',
      'gw.yaml:33:15: log.level is loud, but must be one of fatal, error, warn, info, debug, trace.',
      'gw.yaml:33:21: log.color is not a key that exists: the keys here are level, portAllocations.',
    ]);
  });

  it('empty file/says what it must be', () => {
    expect(messages('')).toEqual([expect.stringMatching(/^gw\.yaml:1:1: the configuration is empty, but must be a mapping with the keys gateway, /)]);
  });

  it('aliases that multiply/refused before they take the memory', () => {
    const levels = Array.from({ length: 12 }, (_, level) => `l${level}: &l${level} [${Array(9).fill(level === 0 ? 'x' : `*l${level - 1}`).join(', ')}]`);
    expect(messages(levels.join('\n'))).toEqual([expect.stringContaining('excessive alias count')]);
  });

  it('codes/one for each kind', () => {
    const codes = (text: string) => parseConfiguration(text, 'gw.yaml').errors?.map(({ code }) => code);
    expect(codes('a: [')).toContain('FLOATGATE_ERR_CONFIG_SYNTAX');
    expect(codes(exampleWith('log:', 'logs:'))).toEqual(['FLOATGATE_ERR_CONFIG_UNKNOWN_KEY']);
    expect(codes(exampleWith('id: 0', ''))).toEqual(['FLOATGATE_ERR_CONFIG_MISSING_KEY']);
    expect(codes(exampleWith('id: 0', 'id: 3'))).toEqual(['FLOATGATE_ERR_CONFIG_INVALID_VALUE']);
    expect(codes(exampleWith('vni: 200', 'vni: 100'))).toEqual(['FLOATGATE_ERR_CONFIG_CONFLICT']);
    expect(codes(exampleWith('network: b-net', 'network: none'))).toEqual(['FLOATGATE_ERR_CONFIG_UNKNOWN_REFERENCE']);
  });
});

describe('configuration/warnings', () => {
  it.each([
    ['short timeout', 'tcpEstablished: 7440s', 'tcpEstablished: 2h', 'gw.yaml:29:29: timeouts.tcpEstablished is 2h, less than the 7440s that RFC 5382 REQ-5 asks for.'],
    ['no replication', 'mode: strict', 'mode: none', 'gw.yaml:8:15: sync.mode is none although there is a peer: sessions will break at a takeover.'],
    ['unused virtual router', 'externalNetworks:', '  - { vrid: 52, address: 192.168.33.101 }\nexternalNetworks:', 'gw.yaml:11:13: virtualRouters[1].vrid is 52, but no router uses it.'],
    ['unused external network', 'routers:\n  - name: tenant-a', '  - { name: spare, subnet: 10.0.3.0/24, gateway: 10.0.3.1 }\nrouters:\n  - name: tenant-a', 'gw.yaml:13:13: externalNetworks[1].name is spare, but no router uses it.'],
  ])('%s', (_, from, to, message) => {
    expect(warnings(exampleWith(from, to))).toEqual([message]);
  });
});

describe('configuration/whatever comes', () => {
  it('any text/an answer, never an exception', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const result = parseConfiguration(text, 'gw.yaml');
        expect(result.errors?.length).toBeGreaterThan(0);
      }),
    );
  });

  it('the example with any part overwritten/an answer, and errors within the file', () => {
    const lines = example.split('\n').length;
    fc.assert(
      fc.property(fc.nat(example.length), fc.nat(20), fc.string({ maxLength: 12 }), (start, length, text) => {
        const mutated = example.slice(0, start) + text + example.slice(start + length);
        for (const error of parseConfiguration(mutated, 'gw.yaml').errors ?? []) {
          expect(error.line).toBeGreaterThanOrEqual(1);
          expect(error.line).toBeLessThanOrEqual(lines + 1);
          expect(error.message.split('\n')).toHaveLength(1);
        }
      }),
      { numRuns: 200 },
    );
  });
});
