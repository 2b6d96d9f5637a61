/**
 * Every reason to drop, with a packet that is dropped for it. A reason of
 * bpf/layout.h without a row here is dead or untested, and fails the last test.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { advertisementKind, advertisementKindCount, reasonNames } from '../../src/dataplane/layout.generated.js';
import { advertFrame, malformedV2, malformedV3, passwordWords, type Advert } from '../support/adverts.js';
import { GatewayFixture, nowNs, type FixtureOptions, type ProgramName } from '../support/gateway-fixture.js';
import { arp, frame, icmp, ICMP, ipv4, padding, payload, PROTOCOL, quote, tcp, TCP, udp, ethernet, type Layer } from '../support/packet.js';
import { RECORD_KIND, SYNC_FLAG, SYNC_TYPE } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, a2, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, otherServer, server, type TunnelOverrides } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());

interface Row {
  readonly reason: string;
  readonly because: string;
  readonly program: ProgramName;
  readonly options?: FixtureOptions;
  /** What has to be so before. */
  readonly arrange?: () => void;
  readonly frame: () => Buffer;
  /** At TC: so much payload is in each of the segments that the frame stands for. */
  readonly segmentSize?: number;
}

const datagram = [udp({ sourcePort: 5000, destinationPort: 53 }), payload('x')];
const fromA1 = (network: Partial<Parameters<typeof ipv4>[0]> = {}, segment: readonly Layer[] = datagram, tunnel: TunnelOverrides = {}): Buffer =>
  frameFromVm(a1, [ipv4({ source: a1.address, destination: server, ...network }), ...segment], tunnel);
const good = (tunnel: TunnelOverrides): (() => Buffer) => () => fromA1({}, datagram, tunnel);
const option = (type: number, words = 1) => ({ optionClass: 0x0999, type, data: Buffer.alloc(words * 4) });
const LONG = [udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(1500 - 28 + 1))];
const downPacket = Buffer.from('2040031886b9c31100000000000f4240000f424000000000', 'hex');
const bfd = (network: Partial<Parameters<typeof ipv4>[0]>): Buffer =>
  frameFromVm(a1, [
    ipv4({ source: '169.254.1.1', destination: '169.254.1.0', ttl: 255, ...network }), udp({ sourcePort: 49152, destinationPort: 3784, checksum: 0 }), payload(downPacket),
  ], { geneve: { vni: 0, options: [] } });
const complaint = icmp({ type: ICMP.unreachable, code: 3 });
const teach = (): void => void gateway.run('underlay', fromA1());
const mapped = () => gateway.mappings()[0]!;
const answer = (source: string): Buffer =>
  fromOutside([ipv4({ source, destination: mapped().externalAddress }), udp({ sourcePort: 53, destinationPort: mapped().externalPort })]);

const underlay: readonly Omit<Row, 'program'>[] = [
  { reason: 'truncated', because: 'the outer packet is longer than the frame', frame: good({ ipv4: { totalLength: 1400 } }) },
  { reason: 'truncated', because: 'the inner packet is longer than the frame', frame: () => fromA1({ totalLength: 1000 }) },
  { reason: 'truncated', because: 'the inner datagram is longer than its packet', frame: () => fromA1({}, [udp({ sourcePort: 1, destinationPort: 2, length: 999 })]) },
  { reason: 'not_active', because: 'backup', options: { syncMode: 'none', state: 'backup' }, frame: () => fromA1() },
  { reason: 'not_active', because: 'to another address than the router\'s tunnel endpoint', frame: good({ ipv4: { destination: '192.168.33.101' } }) },
  { reason: 'geneve_version', because: 'version 1', frame: good({ geneve: { version: 1 } }) },
  { reason: 'geneve_option_length', because: 'options end behind the packet', frame: good({ geneve: { optionLength: 63 } }) },
  {
    reason: 'geneve_option_length',
    because: 'an option ends behind the options',
    frame: good({ geneve: { options: [{ optionClass: 1, type: 1, length: 31, data: Buffer.alloc(4) }] } }),
  },
  { reason: 'geneve_critical_option', because: 'unknown class', frame: good({ geneve: { options: [option(0x80)] } }) },
  { reason: 'geneve_critical_option', because: 'unknown, behind the known one', frame: good({ geneve: { options: [a1.option, option(0xff, 0)] } }) },
  {
    reason: 'geneve_critical_option',
    because: 'OVN\'s class and type with another length',
    frame: good({ geneve: { options: [{ optionClass: 0x0102, type: 0x80, data: Buffer.alloc(8) }] } }),
  },
  { reason: 'geneve_control', because: 'O bit', frame: good({ geneve: { control: true } }) },
  { reason: 'geneve_protocol', because: 'an IPv4 packet without Ethernet', frame: good({ geneve: { protocolType: 0x0800 } }) },
  { reason: 'outer_fragment', because: 'first fragment', frame: good({ ipv4: { moreFragments: true, dontFragment: false } }) },
  { reason: 'vni_unknown', because: 'no such network', frame: good({ geneve: { vni: 300 } }) },
  { reason: 'vni_unknown', because: 'VNI 0', frame: good({ geneve: { vni: 0 } }) },
  { reason: 'bfd_malformed', because: 'from further away than the other end of the tunnel', frame: () => bfd({ ttl: 254 }) },
  { reason: 'bfd_stranger', because: 'nobody has let it in', frame: () => bfd({}) },
  {
    reason: 'inner_not_ipv4',
    because: 'IPv6',
    frame: () => frame(...world.fromVm(a1, []).slice(0, 4), ethernet({ source: a1.mac, destination: a1.tenant.gatewayMac, etherType: 0x86dd }), payload(Buffer.alloc(40))),
  },
  { reason: 'inner_mac', because: 'for another station', frame: good({ inner: { destination: a2.mac } }) },
  { reason: 'inner_mac', because: 'broadcast', frame: good({ inner: { destination: 'ff:ff:ff:ff:ff:ff' } }) },
  {
    reason: 'inner_arp',
    because: 'for another VM',
    frame: () => frameFromVm(a1, [arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: '00:00:00:00:00:00', targetAddress: a2.address })]),
  },
  { reason: 'ipv4_header', because: 'inner version 6', frame: () => fromA1({ version: 6 }) },
  { reason: 'ipv4_header', because: 'inner IHL 4', frame: () => fromA1({ headerLength: 4 }) },
  { reason: 'ipv4_header', because: 'inner header checksum', frame: () => fromA1({ checksum: 0xdead }) },
  { reason: 'ipv4_header', because: 'inner total length below the header', frame: () => fromA1({ totalLength: 19 }) },
  { reason: 'ipv4_header', because: 'outer header checksum', frame: good({ ipv4: { checksum: 0xdead } }) },
  { reason: 'source_not_in_subnet', because: 'foreign address', frame: () => fromA1({ source: '172.16.101.10' }) },
  { reason: 'source_not_in_subnet', because: 'the gateway\'s address', frame: () => fromA1({ source: a1.tenant.gateway }) },
  { reason: 'source_not_in_subnet', because: 'the subnet\'s broadcast address', frame: () => fromA1({ source: '172.16.100.255' }) },
  { reason: 'source_not_in_subnet', because: 'the server\'s own address', frame: () => fromA1({ source: server }) },
  ...['224.0.0.1', '224.0.0.18', '255.255.255.255', '127.0.0.1', '0.0.0.0', '172.16.100.12', '240.0.0.1'].map((destination) => ({
    reason: 'destination_not_routed',
    because: `to ${destination}`,
    frame: () => fromA1({ destination }),
  })),
  { reason: 'ttl_exceeded', because: 'TTL 1', frame: () => fromA1({ ttl: 1 }) },
  { reason: 'ttl_exceeded', because: 'TTL 0', frame: () => fromA1({ ttl: 0 }) },
  { reason: 'congestion', because: 'met in the tunnel by a packet that cannot carry the mark', frame: good({ ipv4: { typeOfService: 3 } }) },
  { reason: 'mtu_exceeded', because: 'longer than the external interface takes, and not to be split', arrange: teach, frame: () => fromA1({ dontFragment: true }, LONG) },
  { reason: 'fragmentation_needed', because: 'longer than the external interface takes', frame: () => fromA1({}, LONG) },
  ...['169.254.1.1', '169.254.169.254'].map((destination) => ({ reason: 'destination_not_routed', because: `to ${destination}`, frame: () => fromA1({ destination }) })),
  { reason: 'port_unreachable', because: 'UDP to the gateway', arrange: teach, frame: () => fromA1({ destination: a1.tenant.gateway }) },
  { reason: 'port_unreachable', because: 'TCP to the gateway', arrange: teach, frame: () => fromA1({ destination: a1.tenant.gateway }, [tcp({ sourcePort: 1, destinationPort: 22, flags: TCP.SYN })]) },
  { reason: 'inner_mac', because: 'from a group', frame: good({ inner: { source: '01:00:5e:00:00:01' } }) },
  { reason: 'fragment', because: 'a first fragment too short for TCP\'s header', arrange: teach, frame: () => fromA1({ moreFragments: true }, [tcp({ sourcePort: 1, destinationPort: 2, options: Buffer.alloc(20, 1), dataOffset: 15 })]) },
  { reason: 'fragment', because: 'part of an echo to the gateway', arrange: teach, frame: () => fromA1({ destination: a1.tenant.gateway, moreFragments: true }, [icmp({ type: ICMP.echo }), payload('12345678')]) },
  { reason: 'fragment_early', because: 'a later fragment whose first has not come', arrange: teach, frame: () => fromA1({ fragmentOffset: 3, protocol: 17 }, [payload('x')]) },
  { reason: 'protocol_not_translated', because: 'GRE to shared SNAT', arrange: teach, frame: () => fromA1({ protocol: PROTOCOL.gre }, [payload('12345678')]) },
  { reason: 'icmp_type', because: 'timestamp to shared SNAT', arrange: teach, frame: () => fromA1({}, [icmp({ type: ICMP.timestamp }), payload(Buffer.alloc(12))]) },
  { reason: 'icmp_quote', because: 'an error about a packet to somebody else', arrange: teach, frame: () => fromA1({}, [complaint, quote([ipv4({ source: server, destination: '172.16.100.99' }), ...datagram])]) },
  { reason: 'icmp_quote', because: 'an error with a wrong checksum', arrange: teach, frame: () => fromA1({}, [{ ...complaint, checksum: 1 }, quote([ipv4({ source: server, destination: a1.address }), ...datagram])]) },
  { reason: 'no_mapping', because: 'an error about a flow that is not there', arrange: teach, frame: () => fromA1({}, [complaint, quote([ipv4({ source: server, destination: a1.address }), udp({ sourcePort: 53, destinationPort: 4999 })])]) },
  {
    reason: 'no_shared_snat',
    because: 'a router without a pool',
    arrange: () => {
      teach();
      gateway.setRouter({ poolSize: 0 });
    },
    frame: () => fromA1({}, [udp({ sourcePort: 5001, destinationPort: 53 })]),
  },
  {
    reason: 'no_mapping',
    because: 'a reset opens nothing',
    arrange: teach,
    frame: () => fromA1({}, [tcp({ sourcePort: 6000, destinationPort: 80, flags: TCP.RST })]),
  },
  {
    reason: 'ports_exhausted',
    because: 'no free block',
    arrange: () => {
      for (let block = 0; block < 512; block++) gateway.portBlockTable.update(block, { vm: 64, mappings: 256, lastSeen: 1 });
    },
    frame: () => fromA1(),
  },
  {
    reason: 'vm_table_full',
    because: 'no slot left',
    arrange: () => gateway.states.update(0, { vms: gateway.vms.length }),
    frame: () => fromA1(),
  },
  {
    reason: 'session_table_full',
    because: 'a new remote of a known port',
    arrange: () => {
      teach();
      for (let index = 0; index < gateway.sessionTable.length; index++) gateway.sessionTable.update(index, { mapping: 1 });
    },
    frame: () => fromA1({ destination: otherServer }),
  },
  {
    reason: 'vm_session_limit',
    because: 'another session than it may have',
    arrange: () => (gateway.setRouter({ vmSessionLimit: 1 }), teach()),
    frame: () => fromA1({ destination: otherServer }),
  },
  {
    reason: 'router_session_limit',
    because: 'another session than all VMs together may have',
    arrange: () => (gateway.setRouter({ sessionLimit: 1 }), teach()),
    frame: () => fromA1({ destination: otherServer }),
  },
  {
    reason: 'vm_session_rate',
    because: 'too many new sessions at once',
    arrange: () => (gateway.setRouter({ vmSessionsPerSecond: 1 }), teach()),
    frame: () => fromA1({ destination: otherServer }),
  },
  {
    reason: 'network_vm_limit',
    because: 'another VM than the network may have',
    arrange: () => (teach(), gateway.setNetwork({ vmLimit: gateway.networkStates.get(0).vms })),
    frame: () => frameFromVm(world.vmOf(world.tenantA, 50), [ipv4({ source: '172.16.100.50', destination: server }), ...datagram]),
  },
  { reason: 'endpoint_spoofed', because: 'a pinned VM from elsewhere', arrange: () => void gateway.pinVm({ ...a1, compute: world.compute2 }), frame: () => fromA1() },
  { reason: 'endpoint_spoofed', because: 'a VM that a pinned network does not know', arrange: () => gateway.setNetwork({ flags: 1 }), frame: () => fromA1() },
  {
    reason: 'vxlan_header',
    because: 'without a valid VNI',
    frame: () => frameFromVm({ ...a1, tenant: { ...a1.tenant, encapsulation: 'vxlan' } }, [ipv4({ source: a1.address, destination: server }), ...datagram], { vxlan: { flags: 0 } }),
  },
  {
    reason: 'endpoint_unknown',
    because: 'a VM of another network that never spoke',
    arrange: teach,
    frame: () => fromA1({ destination: '172.16.101.99' }),
  },
  { reason: 'outer_checksum', because: 'one that is there and wrong', frame: good({ udp: { checksum: 0x1234 } }) },
  {
    reason: 'neighbour_unreachable',
    because: 'a host of the provider network that does not answer',
    arrange: () => gateway.addNeighbour('external', '10.0.2.99', '00:00:00:00:00:00'),
    frame: () => fromA1({ destination: '10.0.2.99' }),
  },
  {
    reason: 'gateway_unreachable',
    because: 'the provider\'s router does not answer',
    arrange: () => {
      gateway.setExternalNetwork({ gatewayMac: Buffer.alloc(6) });
      gateway.addNeighbour('external', world.externalRouter.address, '00:00:00:00:00:00');
    },
    frame: () => fromA1(),
  },
  { reason: 'neighbour_unresolved', because: 'a silent host of the provider network', frame: () => fromA1({ destination: '10.0.2.99' }) },
  {
    reason: 'gateway_unresolved',
    because: 'the provider\'s router is silent',
    arrange: () => gateway.externalNetworks.set(0, { ...gateway.externalNetworks.get(0)!, gatewayMac: Buffer.alloc(6) }),
    frame: () => fromA1(),
  },
];

/** What only the kernel makes, of what has come one by one. */
const merged: readonly Omit<Row, 'program'>[] = [
  { reason: 'segments', because: 'many datagrams in one, which the kernel could not cut behind the tunnel', arrange: teach, segmentSize: 100, frame: () => fromA1({}, [udp({ sourcePort: 5000, destinationPort: 53 }), payload(Buffer.alloc(300))]) },
  { reason: 'segments', because: 'more in the tunnel than the packet', arrange: teach, segmentSize: 100, frame: () => fromA1({}, [tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.ACK }), payload(Buffer.alloc(300)), padding(3)]) },
];

const external: readonly Omit<Row, 'program'>[] = [
  ...['0.0.0.0', '127.0.0.1', '169.254.0.1', '224.0.0.1', '255.255.255.255', a1.address, a1.tenant.externalAddress].map((source) => ({
    reason: 'source_not_outside',
    because: `from ${source}`,
    frame: () => fromOutside([ipv4({ source, destination: a1.tenant.externalAddress }), ...datagram]),
  })),
  {
    reason: 'truncated',
    because: 'longer than the frame',
    arrange: teach,
    frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress, totalLength: 500 }), ...datagram]),
  },
  { reason: 'not_active', because: 'backup', arrange: () => (teach(), gateway.setState('backup')), frame: () => answer(server) },
  { reason: 'no_mapping', because: 'no such port', frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), ...datagram]) },
  { reason: 'filtered', because: 'a stranger', arrange: teach, frame: () => answer(otherServer) },
  {
    reason: 'endpoint_unknown',
    because: 'a floating IP of a VM that never spoke',
    frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), ...datagram]),
  },
  {
    reason: 'mtu_exceeded',
    because: 'with its tunnel longer than the underlay allows',
    arrange: () => void gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), ...datagram])),
    frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp!, dontFragment: true }), udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(1600 - 58 - 28 + 1))]),
  },
  { reason: 'icmp_type', because: 'a timestamp request to a router', frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), icmp({ type: ICMP.timestamp }), payload(Buffer.alloc(12))]) },
  { reason: 'icmp_quote', because: 'an error that quotes another address\'s packet', frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), complaint, quote([ipv4({ source: a1.tenant.externalAddress, destination: server }), ...datagram])]) },
  { reason: 'no_mapping', because: 'an error about a port that nobody has', frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), complaint, quote([ipv4({ source: a1.tenant.externalAddress, destination: server }), ...datagram])]) },
  { reason: 'truncated', because: 'an error that quotes less than ports', frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), complaint, quote([ipv4({ source: a2.floatingIp!, destination: server }), ...datagram], 4)]) },
  { reason: 'fragment_early', because: 'a later fragment whose first has not come', frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress, fragmentOffset: 3, protocol: 17 }), payload('x')]) },
  { reason: 'ttl_exceeded', because: 'TTL 1', arrange: teach, frame: () => fromOutside([ipv4({ source: server, destination: mapped().externalAddress, ttl: 1 }), udp({ sourcePort: 53, destinationPort: mapped().externalPort })]) },
];

const HEARTBEAT = { type: SYNC_TYPE.heartbeat, sequence: 1n };
const vmRecord = { kind: RECORD_KIND.vm, term: 1, vni: 100, internalAddress: a1.address, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address };
const replyOf = (flags: number) => ({ type: SYNC_TYPE.records, gateway: nodeA.id, flags: SYNC_FLAG.reply | flags, sequence: 1n, records: [vmRecord] });
const fromB = (message: Parameters<typeof fromPeer>[2], overrides: Parameters<typeof fromPeer>[4] = {}): Buffer => fromPeer(nodeB, nodeA, message, [], overrides);

const ha: readonly Omit<Row, 'program'>[] = [
  { reason: 'sync_version', because: 'another version', frame: () => fromB({ ...HEARTBEAT, version: 3 }) },
  { reason: 'sync_malformed', because: 'it came by a router', frame: () => fromB(HEARTBEAT, { ipv4: { ttl: 254 } }) },
  { reason: 'sync_malformed', because: 'more records than allowed', frame: () => fromB({ ...HEARTBEAT, type: SYNC_TYPE.records, records: Array.from({ length: 13 }, () => vmRecord) }) },
  { reason: 'sync_malformed', because: 'its length lies', frame: () => fromB({ ...HEARTBEAT, length: 1 }) },
  { reason: 'sync_malformed', because: 'an unknown type', frame: () => fromB({ ...HEARTBEAT, type: 9 }) },
  { reason: 'sync_mac', because: 'another key', frame: () => fromB({ ...HEARTBEAT, key: [1n, 2n] }) },
  { reason: 'sync_mac', because: 'no MAC', frame: () => fromB({ ...HEARTBEAT, mac: 0n }) },
  {
    reason: 'sync_mac',
    because: 'too long to be authenticated, with the zero that a MAC function may return for that',
    frame: () => fromPeer(nodeB, nodeA, { type: SYNC_TYPE.control, sequence: 1n, mac: 0n }, [payload(Buffer.alloc(2100))]),
  },
  { reason: 'sync_replayed', because: 'a second time', arrange: () => void gateway.run('ha_xdp', fromB(HEARTBEAT)), frame: () => fromB(HEARTBEAT) },
  { reason: 'sync_replayed', because: 'sequence 0', frame: () => fromB({ ...HEARTBEAT, sequence: 0n }) },
  { reason: 'sync_replayed', because: 'an earlier epoch', arrange: () => void gateway.run('ha_xdp', fromB({ ...HEARTBEAT, epoch: 5 })), frame: () => fromB({ ...HEARTBEAT, epoch: 4, sequence: 2n }) },
  { reason: 'sync_own', because: 'our own request reflected', frame: () => fromB({ ...HEARTBEAT, gateway: nodeA.id }) },
  { reason: 'sync_own', because: 'a reply to nothing of ours', frame: () => fromB({ ...HEARTBEAT, flags: SYNC_FLAG.reply }) },
  { reason: 'sync_term', because: 'the peer follows a later Active', frame: () => fromB(replyOf(SYNC_FLAG.refused)) },
  {
    reason: 'adjust_failed',
    because: 'a commit that comes home without its packet',
    frame: () => fromB({ ...replyOf(0), type: SYNC_TYPE.commit }),
  },
  { reason: 'sync_unapplied', because: 'the peer had no room', frame: () => fromB(replyOf(4)) },
];

const advertisement = (reason: string, because: string, advert: Advert, arrange?: () => void): Omit<Row, 'program'> =>
  ({ reason: `advertisement_${reason}`, because, frame: () => advertFrame(advert), ...(arrange && { arrange }) });
const inVersion2 = (): void => gateway.setAdvertisementRule({ version: 2, authentication: 1, interval: 10, password: passwordWords('openflag') });
const ADVERTISEMENTS_PER_WINDOW = 16;

/** The whole of them, and what passes, is in advertisements.test.ts. */
const advertisements: readonly Omit<Row, 'program'>[] = [
  ...malformedV3.map(({ reason, because, advert }) => advertisement(reason, because, advert)),
  ...malformedV2.map(({ reason, because, advert }) => advertisement(reason, because, advert, inVersion2)),
  advertisement('source', 'our own', { source: nodeA.underlay.address }),
  advertisement('rate', 'more than an election can need', {}, () => {
    // All of them in a window that is not over before the packet comes.
    const window = Number((nowNs() >> 24n) + 1_000n);
    gateway.advertisements.update(world.VRID * advertisementKindCount + advertisementKind.superior, { window, passed: ADVERTISEMENTS_PER_WINDOW });
  }),
];

const rows: readonly Row[] = [
  ...advertisements.map((row) => ({ ...row, program: 'underlay' as const })),
  ...underlay.map((row) => ({ ...row, program: 'underlay' as const })),
  ...(gateway.hook === 'tc' ? merged : []).map((row) => ({ ...row, program: 'underlay' as const })),
  ...external.map((row) => ({ ...row, program: 'external' as const })),
  ...ha.map((row) => ({ options: { syncMode: 'strict' as const }, ...row, program: 'ha_xdp' as const })),
];

beforeEach(() => gateway.reset({ syncMode: 'none' }));

describe.each(rows)('drop / $reason / $because', ({ reason, program, options, arrange, segmentSize, frame: make }) => {
  it('is dropped, counted once and changes nothing', () => {
    if (options) gateway.reset(options);
    // What is said about it is another file's matter.
    gateway.setGateway({ icmpErrorsPerSecond: 0 });
    arrange?.();
    const bytes = make();
    const before = gateway.tables();
    const result = gateway.run(program, bytes, segmentSize === undefined ? {} : { segmentSize });

    expect(result.counters).toMatchObject({ [`drop_${reason}`]: 1 });
    // That a packet is too big is said whatever the limit is.
    expect(result.verdict).toBe(reason === 'mtu_exceeded' ? 'TX' : 'DROP');
    expect(Object.keys(result.counters).filter((name) => name.startsWith('drop_'))).toHaveLength(1);
    expect(gateway.tables().mappings).toEqual(before.mappings);
    expect(gateway.tables().sessions).toEqual(before.sessions);
    if (reason !== 'ports_exhausted') expect(gateway.tables().vms).toEqual(before.vms);
  });
});

describe('coverage', () => {
  it('every reason to drop has a packet above', () => {
    const tested = new Set(rows.map(({ reason }) => `drop_${reason}`));
    const shown = (name: string): boolean => name !== 'drop_segments' || gateway.hook === 'tc';
    const reasons = reasonNames.filter((name) => name.startsWith('drop_') && shown(name));
    expect(reasons.length).toBeGreaterThan(30);
    expect(reasons.filter((name) => !tested.has(name))).toEqual([]);
    expect([...tested].filter((name) => !reasons.includes(name))).toEqual([]);
  });
});

