/** Random and mutated frames through every program. */
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { checksumFaults } from '../support/checksum.js';
import { dissect } from '../support/dissect.js';
import { fuzz, fuzzRuns } from '../support/fuzz.js';
import { GatewayFixture, hooks, type ProgramName } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { arp, frame, icmp, ICMP, ipv4, payload, quote, split, tcp, TCP, udp, udpLite, type Layer } from '../support/packet.js';
import { SYNC_TYPE, type SyncRecord } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, fromOutside, fromPeer, networkA2, nodeA, nodeB, server } from '../support/world.js';

const runs = fuzzRuns(3000);
/** Long runs are asked for on purpose. */
vi.setConfig({ testTimeout: 60_000 + runs * 20 });
const vxlanNetwork: world.Tenant = { ...world.tenantA, encapsulation: 'vxlan', subnet: '172.16.102.0', gateway: '172.16.102.1' };
const v1 = world.vmOf(vxlanNetwork, 10);
const web = world.vmOf(world.tenantA, 20);
/** Everything that the configuration may ask for at once. */
function arrange(gateway: GatewayFixture): void {
  gateway.addNetwork(vxlanNetwork, 3);
  gateway.addForwarding({ vm: web, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
  gateway.addRoute(world.tenantA, { address: '10.99.0.0', length: 16 }, { kind: 'vm', network: world.networkA2, via: a3.address });
  for (const network of world.networks) gateway.setNetwork({ mss: 1388 }, network);
  for (const vm of [a1, a2, a3, b1, v1, web]) gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: vm.tenant.gateway }), ...segments[2]!]));
}
const PROGRAMS = ['underlay', 'external', 'ha_xdp'] as const;
const MIN_FRAME = 14;

const segments: readonly Layer[][] = [
  [tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN, options: Buffer.from('020405b4', 'hex') })],
  [udp({ sourcePort: 5000, destinationPort: 53 }), payload('payload')],
  [icmp({ type: ICMP.echo, identifier: 5 }), payload('payload')],
];
const request = arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: '00:00:00:00:00:00', targetAddress: a1.tenant.gateway });
const announcement = arp({ operation: 2, senderMac: a2.mac, senderAddress: a2.address, targetMac: 'ff:ff:ff:ff:ff:ff', targetAddress: a2.address });
const complaint = icmp({ type: ICMP.unreachable, code: 3 });
const corpus: readonly [ProgramName, Buffer][] = [
  ...segments.flatMap((segment) =>
    [a1, a2, b1].map((vm): [ProgramName, Buffer] => ['underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...segment])]),
  ),
  ['underlay', frameFromVm(a1, [request])],
  ['underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: a1.tenant.gateway }), ...segments[2]!])],
  ...segments.map((segment): [ProgramName, Buffer] => ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), ...segment])]),
  ...segments.map((segment): [ProgramName, Buffer] => ['external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), ...segment])]),
  ['ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n })],
  // East-west, hairpinned, in VXLAN, by a route, by a forwarding.
  ...[a3.address, a2.floatingIp!, b1.tenant.externalAddress, '10.99.1.1', v1.address, networkA2.gateway].flatMap((destination) =>
    segments.map((segment): [ProgramName, Buffer] => ['underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination }), ...segment])]),
  ),
  ['underlay', frameFromVm(v1, [ipv4({ source: v1.address, destination: server }), ...segments[1]!])],
  ['underlay', frameFromVm(a2, [announcement])],
  ['underlay', frameFromVm(web, [ipv4({ source: web.address, destination: server }), tcp({ sourcePort: 80, destinationPort: 5000 })])],
  ['external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), tcp({ sourcePort: 5000, destinationPort: 8080 })])],
  // Errors, and what causes them.
  ...[8, undefined].flatMap((bytes): [ProgramName, Buffer][] => [
    ['underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), complaint, quote([ipv4({ source: server, destination: a2.address }), ...segments[1]!], bytes)])],
    ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), complaint, quote([ipv4({ source: a2.floatingIp!, destination: server }), ...segments[0]!], bytes)])],
  ]),
  ['underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server, ttl: 1 }), ...segments[1]!])],
  ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp!, ttl: 1 }), ...segments[1]!])],
  ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp!, dontFragment: true }), ...segments[1]!, payload(Buffer.alloc(1550))])],
  // Fragments, tags.
  ...split(16, [ipv4({ source: a1.address, destination: server, identification: 7 }), udp({ sourcePort: 5000, destinationPort: 53 }), payload(Buffer.alloc(40))])
    .map((part): [ProgramName, Buffer] => ['underlay', frameFromVm(a1, part)]),
  ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), ...segments[1]!], world.externalRouter.mac, 100)],
  ['external', fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), udpLite({ sourcePort: 1, destinationPort: 2, coverage: 8 }), payload('x')])],
];

type Mutation = (bytes: Buffer) => Buffer;

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]): Mutation => (bytes) => {
    bytes[at % bytes.length]! ^= 1 << bit;
    return bytes;
  }),
  fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)).map(([at, value]): Mutation => (bytes) => {
    bytes[at % bytes.length] = value;
    return bytes;
  }),
  fc.tuple(fc.nat(), fc.nat(0xffff)).map(([at, value]): Mutation => (bytes) => {
    bytes.writeUInt16BE(value, at % (bytes.length - 1));
    return bytes;
  }),
  fc.nat().map((at): Mutation => (bytes) => bytes.subarray(0, Math.max(MIN_FRAME, at % bytes.length))),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 64 })).map(([at, more]): Mutation => (bytes) => {
    const place = at % bytes.length;
    return Buffer.concat([bytes.subarray(0, place), more, bytes.subarray(place)]);
  }),
);

/** So that a mutation is not merely found by a checksum: headers' sums are computed again. */
function withRightSums(bytes: Buffer): Buffer {
  const layers = dissect(bytes).map((layer): Layer => (layer.layer === 'ipv4' ? ({ ...layer, checksum: undefined } as unknown as Layer) : layer));
  return frame(...layers);
}

/** Reasons that a packet can end with; the others are counted on the way. */
const ALONG_THE_WAY = new Set([
  'session_created', 'session_established', 'session_unprotected', 'vm_learned', 'vm_moved', 'commit_oversize', 'mss_clamped', 'icmp_error_limited',
]);
/** Said about a packet that is dropped: with the reason for that, two. */
const SAID = ['icmp_error_to_vm', 'icmp_error_to_outside'];

/** The reasons that a packet ended with, where it is as it should be: one. */
function endings(counters: Readonly<Record<string, number>>): string[] {
  const ended = Object.keys(counters).filter((name) => !ALONG_THE_WAY.has(name));
  const isSaid = ended.some((name) => SAID.includes(name));
  // An answer that is held until the peer knows the VM counts as a commit.
  const isHeld = ended.includes('commit_sent');
  return isSaid || isHeld ? ended.filter((name) => !name.startsWith('drop_')) : ended;
}

describe.each(hooks)('at %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset();
    arrange(gateway);
  });

  describe('random bytes', () => {
    it.each(PROGRAMS)('%s: no abort, no state', async (program) => {
      const before = gateway.tables();
      await fuzz(
        fc.property(fc.uint8Array({ minLength: MIN_FRAME, maxLength: 300 }), fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x8100), (bytes, etherType) => {
          const data = Buffer.from(bytes);
          data.writeUInt16BE(etherType, 12);
          expect(['DROP', 'PASS']).toContain(gateway.execute(program, data).verdict);
        }),
        runs,
      );
      expect(gateway.tables()).toEqual(before);
    });
  });

  describe('mutated frames', () => {
    it.each(['strict', 'none'] as const)('sync mode %s: one verdict, sound tables, right sums', async (syncMode) => {
      gateway.reset({ syncMode });
      arrange(gateway);
      await fuzz(
        fc.property(fc.constantFrom(...corpus), fc.array(mutation, { minLength: 0, maxLength: 4 }), fc.boolean(), ([program, original], mutations, repair) => {
          let bytes: Buffer = Buffer.from(original);
          for (const mutate of mutations) bytes = mutate(bytes);
          if (repair) bytes = withRightSums(bytes);
          const sumsWereRight = checksumFaults(bytes).length === 0;
          const result = gateway.run(program, bytes);
          if (!gateway.takes(program, bytes)) return;

          expect(result.verdict).not.toBe('ABORTED');
          expect(endings(result.counters), JSON.stringify(result.counters)).toHaveLength(1);
          if (result.verdict === 'DROP') expect(Object.keys(result.counters).some((name) => /^(drop_|sync_|endpoint_announced)/.test(name))).toBe(true);
          if (result.verdict === 'PASS') expect(result.frame.equals(bytes)).toBe(true);
          if (sumsWereRight && (result.verdict === 'TX' || result.verdict === 'REDIRECT')) expect(checksumFaults(result.frame)).toEqual([]);
        }),
        runs,
      );
      expect(tableFaults(gateway)).toEqual([]);
    });
  });
});

describe('authentic frames with random records', () => {
  const gateway = GatewayFixture.load();
  afterAll(() => gateway.close());

  const port = fc.integer({ min: 1024, max: 1600 });
  const records: fc.Arbitrary<SyncRecord> = fc.record({
    kind: fc.integer({ min: 0, max: 4 }),
    protocol: fc.integer({ min: 0, max: 3 }),
    state: fc.integer({ min: 0, max: 4 }),
    sessionFlags: fc.nat(255),
    term: fc.nat(3),
    vni: fc.constantFrom(100, 200, 300),
    internalAddress: fc.constantFrom('172.16.100.10', '172.16.100.11', '172.16.100.12'),
    externalAddress: fc.constantFrom('10.0.2.201', '10.0.2.202', '10.0.2.215', '1.2.3.4'),
    remote: fc.constantFrom('0.0.0.0', '203.0.113.10', '203.0.113.11', '203.0.113.12'),
    internalPort: fc.constantFrom(1, 2, 5000),
    externalPort: port,
    remotePort: fc.constantFrom(0, 80),
    optionLength: fc.constantFrom(0, 4, 8, 9, 255),
    virtualRouter: fc.constantFrom(0, world.VRID, 255),
    tunnelEndpoint: fc.constantFrom('0.0.0.0', '192.168.33.31'),
    idle: fc.constantFrom(0, 1, 0xffffffff),
  });

  it('whatever an authentic peer says, it is answered and no mapping lacks its VM or its sessions', async () => {
    gateway.reset({ node: nodeB, state: 'backup' });
    let sequence = 0n;
    await fuzz(
      fc.property(fc.array(records, { minLength: 1, maxLength: 12 }), (list) => {
        const result = gateway.execute('ha_xdp', fromPeer(nodeA, nodeB, { type: SYNC_TYPE.records, sequence: ++sequence, records: list }));
        expect(result.verdict).toBe('TX');
      }),
      runs,
    );
    const mine = tableFaults(gateway).filter((fault) => fault.startsWith('session') || fault.includes('sessions'));
    expect(mine).toEqual([]);
  });
});
