/**
 * Every reason to drop, with a packet that is dropped for it. A reason of
 * bpf/layout.h without a row here is dead or untested, and fails the last test.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { reasonNames } from '../../src/dataplane/layout.generated.js';
import { GatewayFixture, type FixtureOptions, type ProgramName } from '../support/gateway-fixture.js';
import { arp, frame, icmp, ICMP, ipv4, payload, PROTOCOL, tcp, TCP, udp, ethernet, type Layer } from '../support/packet.js';
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
}

const datagram = [udp({ sourcePort: 5000, destinationPort: 53 }), payload('x')];
const fromA1 = (network: Partial<Parameters<typeof ipv4>[0]> = {}, segment: readonly Layer[] = datagram, tunnel: TunnelOverrides = {}): Buffer =>
  frameFromVm(a1, [ipv4({ source: a1.address, destination: server, ...network }), ...segment], tunnel);
const good = (tunnel: TunnelOverrides): (() => Buffer) => () => fromA1({}, datagram, tunnel);
const option = (type: number, words = 1) => ({ optionClass: 0x0999, type, data: Buffer.alloc(words * 4) });
const teach = (): void => void gateway.run('underlay', fromA1());
const mapped = () => gateway.mappings()[0]!;
const answer = (source: string): Buffer =>
  fromOutside([ipv4({ source, destination: mapped().externalAddress }), udp({ sourcePort: 53, destinationPort: mapped().externalPort })]);

const underlay: readonly Omit<Row, 'program'>[] = [
  { reason: 'truncated', because: 'the outer packet is longer than the frame', frame: good({ ipv4: { totalLength: 1400 } }) },
  { reason: 'truncated', because: 'the inner packet is longer than the frame', frame: () => fromA1({ totalLength: 1000 }) },
  { reason: 'truncated', because: 'the inner datagram is longer than its packet', frame: () => fromA1({}, [udp({ sourcePort: 1, destinationPort: 2, length: 999 })]) },
  { reason: 'not_active', because: 'backup', options: { syncMode: 'none', state: 'backup' }, frame: () => fromA1() },
  { reason: 'not_active', because: 'to the gateway\'s own address', frame: good({ ipv4: { destination: nodeA.underlay.address } }) },
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
  ...['224.0.0.1', '255.255.255.255', '127.0.0.1', '0.0.0.0', '172.16.100.12', '240.0.0.1'].map((destination) => ({
    reason: 'destination_not_routed',
    because: `to ${destination}`,
    frame: () => fromA1({ destination }),
  })),
  { reason: 'ttl_exceeded', because: 'TTL 1', frame: () => fromA1({ ttl: 1 }) },
  { reason: 'ttl_exceeded', because: 'TTL 0', frame: () => fromA1({ ttl: 0 }) },
  { reason: 'congestion', because: 'met in the tunnel by a packet that cannot carry the mark', frame: good({ ipv4: { typeOfService: 3 } }) },
  { reason: 'mtu_exceeded', because: 'longer than the external interface takes', frame: () => fromA1({}, [udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(1500 - 28 + 1))]) },
  { reason: 'fragment', because: 'first fragment to shared SNAT', arrange: teach, frame: () => fromA1({ moreFragments: true }) },
  { reason: 'fragment', because: 'later fragment to shared SNAT', arrange: teach, frame: () => fromA1({ fragmentOffset: 3, protocol: 17 }, [payload('x')]) },
  { reason: 'protocol_not_translated', because: 'GRE to shared SNAT', arrange: teach, frame: () => fromA1({ protocol: PROTOCOL.gre }, [payload('12345678')]) },
  { reason: 'icmp_type', because: 'timestamp to shared SNAT', arrange: teach, frame: () => fromA1({}, [icmp({ type: ICMP.timestamp }), payload(Buffer.alloc(12))]) },
  {
    reason: 'icmp_type',
    because: 'an error of a floating IP: the quoted packet would have to be translated too',
    arrange: () => void gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), ...datagram])),
    frame: () => frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), icmp({ type: ICMP.timeExceeded }), payload(Buffer.alloc(28))]),
  },
  {
    reason: 'no_shared_snat',
    because: 'a router without external address',
    arrange: () => {
      teach();
      gateway.routers.set(0, { ...gateway.routers.get(0)!, externalAddress: 0 });
    },
    frame: () => fromA1(),
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
      for (let block = 0; block < 512; block++) gateway.portBlockTable.set(block, { vm: 64, mappings: 256, lastSeen: 1 });
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
  { reason: 'neighbour_unresolved', because: 'a silent host of the provider network', frame: () => fromA1({ destination: '10.0.2.99' }) },
  {
    reason: 'gateway_unresolved',
    because: 'the provider\'s router is silent',
    arrange: () => gateway.externalNetworks.set(0, { ...gateway.externalNetworks.get(0)!, gatewayMac: Buffer.alloc(6) }),
    frame: () => fromA1(),
  },
];

const external: readonly Omit<Row, 'program'>[] = [
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
    frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(1600 - 58 - 28 + 1))]),
  },
  { reason: 'icmp_type', because: 'an error to a floating IP', frame: () => fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), icmp({ type: ICMP.unreachable, code: 4, sequence: 1400 }), payload(Buffer.alloc(28))]) },
  { reason: 'icmp_type', because: 'an error to shared SNAT', frame: () => fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), icmp({ type: ICMP.unreachable }), payload(Buffer.alloc(28))]) },
  { reason: 'ttl_exceeded', because: 'TTL 1', arrange: teach, frame: () => fromOutside([ipv4({ source: server, destination: mapped().externalAddress, ttl: 1 }), udp({ sourcePort: 53, destinationPort: mapped().externalPort })]) },
];

const HEARTBEAT = { type: SYNC_TYPE.heartbeat, sequence: 1n };
const vmRecord = { kind: RECORD_KIND.vm, term: 1, vni: 100, internalAddress: a1.address, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address };
const replyOf = (flags: number) => ({ type: SYNC_TYPE.records, gateway: nodeA.id, flags: SYNC_FLAG.reply | flags, sequence: 1n, records: [vmRecord] });
const fromB = (message: Parameters<typeof fromPeer>[2], overrides: Parameters<typeof fromPeer>[4] = {}): Buffer => fromPeer(nodeB, nodeA, message, [], overrides);

const ha: readonly Omit<Row, 'program'>[] = [
  { reason: 'sync_version', because: 'another version', frame: () => fromB({ ...HEARTBEAT, version: 2 }) },
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

const rows: readonly Row[] = [
  ...underlay.map((row) => ({ ...row, program: 'underlay' as const })),
  ...external.map((row) => ({ ...row, program: 'external' as const })),
  ...ha.map((row) => ({ options: { syncMode: 'strict' as const }, ...row, program: 'ha_xdp' as const })),
];

beforeEach(() => gateway.reset({ syncMode: 'none' }));

describe.each(rows)('drop / $reason / $because', ({ reason, program, options, arrange, frame: make }) => {
  it('is dropped, counted once and changes nothing', () => {
    if (options) gateway.reset(options);
    arrange?.();
    const bytes = make();
    const before = gateway.tables();
    const result = gateway.run(program, bytes);

    expect(result.counters).toMatchObject({ [`drop_${reason}`]: 1 });
    expect(result.verdict).toBe('DROP');
    expect(Object.keys(result.counters).filter((name) => name.startsWith('drop_'))).toHaveLength(1);
    expect(gateway.tables().mappings).toEqual(before.mappings);
    expect(gateway.tables().sessions).toEqual(before.sessions);
    if (reason !== 'ports_exhausted') expect(gateway.tables().vms).toEqual(before.vms);
  });
});

describe('coverage', () => {
  it('every reason to drop has a packet above', () => {
    const tested = new Set(rows.map(({ reason }) => `drop_${reason}`));
    const reasons = reasonNames.filter((name) => name.startsWith('drop_'));
    expect(reasons.length).toBeGreaterThan(30);
    expect(reasons.filter((name) => !tested.has(name))).toEqual([]);
    expect([...tested].filter((name) => !reasons.includes(name))).toEqual([]);
  });
});

