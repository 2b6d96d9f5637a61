/**
 * What both gateways hold, summed up: the same on both after whatever traffic,
 * different where something is missing, superfluous or wrong, and repaired then.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sessionEndCodec, sessionFlag, sessionState, syncRecordCodec, vmFlag } from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber, numberToIpv4 } from '../support/bytes.js';
import type { GatewayFixture } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { differing, Pair } from '../support/pair.js';
import { ipv4, tcp, TCP, type Layer } from '../support/packet.js';
import { mappingOf, overTcp, overUdp } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, frameFromVm, fromOutside, otherServer, server, type VirtualMachine } from '../support/world.js';

vi.setConfig({ testTimeout: 60_000 });
const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const ADDRESS = world.tenantA.externalAddress;
const SEED = 0x0123_4567_89ab_cdefn;
const out = (vm: VirtualMachine, remote: string, segment: readonly Layer[]): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination: remote }), ...segment]);
const send = (vm: VirtualMachine, remote: string, segment: readonly Layer[], gateway = pair.a): void => void pair.forward(gateway, 'underlay', out(vm, remote, segment));

/** UDP to three remotes, TCP established and half open, a port below 1024, two VMs. */
function traffic(): void {
  for (const remote of [server, otherServer, '203.0.113.77']) send(a1, remote, overUdp.request(4000));
  send(a1, server, overTcp.request(5000));
  const { externalPort } = mappingOf(pair.a, a1, overTcp, 5000);
  pair.a.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS }), ...overTcp.reply(externalPort)]));
  send(a1, server, [tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.ACK })]);
  send(a3, server, overTcp.request(5000));
  send(a3, server, overUdp.request(500));
  send(a2, server, overUdp.request(7));
}

describe('digests', () => {
  it('of nothing are zero, whatever the configuration names', () => {
    expect(pair.digests(pair.a).every((digest) => digest === 0n)).toBe(true);
  });

  it('are the same on both gateways, whose indexes differ', () => {
    // Slots of VMs that only B has had: its indexes are others from here on.
    for (let i = 0; i < 3; i++) pair.b.states.update(0, { vms: pair.b.states.get(0).vms + 1 });
    traffic();
    expect(pair.a.vmIndex(a3)).not.toBe(pair.b.vmIndex(a3));
    expect(pair.digests(pair.a).filter((digest) => digest !== 0n).length).toBeGreaterThan(5);
    expect(pair.differences()).toEqual([]);
  });

  it('are what the documentation says they are', () => {
    traffic();
    expect(pair.digests(pair.a)).toEqual(digestsByHand(pair.a, SEED));
    expect(pair.digests(pair.b)).toEqual(digestsByHand(pair.a, SEED));
  });

  it('follow their seed', () => {
    traffic();
    const [one, other] = [pair.digests(pair.a, 1n), pair.digests(pair.a, 2n)];
    expect(differing(one, other).length).toBeGreaterThan(5);
    expect(one).toEqual(digestsByHand(pair.a, 1n));
  });

  it('take no notice of clocks, of what only one side sees, and of acknowledgements', () => {
    traffic();
    const before = pair.digests(pair.a);
    for (const [index, mapping] of pair.a.mappingTable.used()) {
      const first = { ...mapping.first, lastSeen: 7, flags: mapping.first.flags ^ sessionFlag.committed ^ sessionFlag.replied ^ sessionFlag.finInbound, sequence: 9 };
      pair.a.mappingTable.update(index, { lastSeen: 1, first });
    }
    pair.a.vms.update(pair.a.vmIndex(a1)!, { lastSeen: 1, stamp: 2, moved: 3 });
    expect(pair.digests(pair.a)).toEqual(before);
  });

  it('of one session that changes leave all other segments as they are', () => {
    traffic();
    const before = pair.digests(pair.a);
    const { index, first } = mappingOf(pair.a, a1, overUdp, 4000);
    pair.a.mappingTable.update(index, { first: { ...first, remotePort: 1 } });
    expect(differing(before, pair.digests(pair.a))).toHaveLength(1);
  });
});

/** What a lost record, a lost delete or a fault may leave behind on the standby. */
const DAMAGES: readonly (readonly [string, (b: GatewayFixture) => void])[] = [
  ['a session is missing', (b) => void b.mappingTable.update(mappingOf(b, a1, overTcp, 5000).index, { first: { ...mappingOf(b, a1, overTcp, 5000).first, remote: 0, remotePort: 0, state: 0, flags: 0 } })],
  ['a connection is not known to be established', (b) => {
    const { index, first } = mappingOf(b, a1, overTcp, 5000);
    b.mappingTable.update(index, { first: { ...first, state: sessionState.transitory, flags: first.flags & ~sessionFlag.establishedCommitted } });
  }],
  ['the VM is elsewhere', (b) => void b.vms.update(b.vmIndex(a1)!, { tunnelEndpoint: b.vm(a1)!.tunnelEndpoint + 1 })],
  ['its option is another', (b) => void b.vms.update(b.vmIndex(a1)!, { option: Buffer.from('0102800100010099', 'hex') })],
  ['its key is another', (b) => void b.vms.update(b.vmIndex(a1)!, { portKey: 2 })],
  ['a block is another VM\'s', (b) => {
    const { externalPort } = mappingOf(b, a1, overUdp, 4000);
    b.portBlockTable.update(Math.floor(externalPort / 256), { vm: 60 });
  }],
];
/** The same, made by records that A never sent: what B holds besides. */
const SURPLUS: readonly (readonly [string, () => void])[] = [
  ['the end of a session beyond the first was lost', () => endOn(pair.a, otherServer)],
  ['the end of the first session was lost', () => endOn(pair.a, server)],
  ['the end of a mapping with all its sessions was lost', () => endOn(pair.a, undefined)],
  ['the end of a VM was lost', () => {
    endOn(pair.a, undefined, a3, 5000, 'tcp');
    endOn(pair.a, undefined, a3, 500, 'udp');
    for (let block = 0; block < pair.a.portBlockTable.length; block++) {
      if (pair.a.portBlockTable.get(block).vm === pair.a.vmIndex(a3)! + 1) pair.a.portBlockTable.update(block, { vm: 0 });
    }
    const index = pair.a.vmIndex(a3)!;
    pair.a.vms.update(index, { blocks: pair.a.vms.get(index).blocks.map(() => 0), snatAddress: 0, lastSeen: 1 });
    pair.a.setState('active', { activeSinceNs: 1n });
    pair.a.setGateway({ vmTicks: 1 });
    while (pair.a.execute('age_xdp', Buffer.alloc(1200)).verdict !== 'DROP');
    pair.a.setGateway({ vmTicks: 0 });
  }],
];

const NO_RECORD = syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size));

/** Ends a session, or a mapping with all of its own, and tells nobody. */
function endOn(gateway: GatewayFixture, remote: string | undefined, vm = a1, port = 4000, protocol: 'tcp' | 'udp' = 'udp'): void {
  const { index } = mappingOf(gateway, vm, protocol === 'udp' ? overUdp : overTcp, port);
  const context = Buffer.alloc(sessionEndCodec.size);
  sessionEndCodec.encode({ mapping: index, remote: remote === undefined ? 0 : ipv4ToNumber(remote), remotePort: 0, record: NO_RECORD }, context);
  expect(gateway.object.program('session_end').testRun({ context }).returnValue).toBe(0);
}

describe('a difference is found and repaired', () => {
  beforeEach(traffic);

  it.each(DAMAGES)('%s', (_, damage) => {
    damage(pair.b);
    const different = pair.differences();
    expect(different.length).toBeGreaterThan(0);
    expect(different.length).toBeLessThan(4);
    pair.repair(pair.a, different);
    expect(pair.differences()).toEqual([]);
  });

  it.each(SURPLUS)('%s', (_, lose) => {
    lose();
    const before = pair.digests(pair.a);
    const different = pair.differences();
    expect(different.length).toBeGreaterThan(0);
    pair.repair(pair.a, different);
    expect(pair.differences()).toEqual([]);
    expect(pair.digests(pair.a), 'the Active changes nothing of its own').toEqual(before);
    expect(tableFaults(pair.b)).toEqual([]);
  });

  it('with the counts of sessions and mappings, and the ports at rest', () => {
    for (const remote of [otherServer, undefined]) endOn(pair.a, remote);
    pair.repair(pair.a, pair.differences());
    // What a mapping has left behind is counted until ageing comes to it.
    for (const gateway of [pair.a, pair.b]) pair.walk(gateway, 'age_xdp');
    const counts = (gateway: GatewayFixture): object => ({
      sessions: gateway.vm(a1)!.sessions, mappings: gateway.vm(a1)!.mappingCount, router: gateway.routerStates.get(0).sessions, resting: gateway.states.get(0).restingPorts,
    });
    expect(counts(pair.b)).toEqual(counts(pair.a));
  });

  it('a standby that has lost everything gets it back', () => {
    pair.b.vms.clear();
    pair.b.mappingTable.clear();
    pair.b.sessionTable.clear();
    pair.b.portBlockTable.clear();
    pair.b.states.update(0, { vms: 0 });
    for (const key of [...pair.b.object.map('vm_by_address').keys()]) pair.b.object.map('vm_by_address').delete(key);
    pair.repair(pair.a, pair.differences());
    expect(pair.differences()).toEqual([]);
  });
});

describe('a repair', () => {
  beforeEach(traffic);
  const all = Array.from({ length: 1024 }, (_, segment) => segment);

  it('speaks of the segments that differ, and of no other', () => {
    DAMAGES[0]![1](pair.b);
    expect(pair.repair(pair.a, pair.differences())).toHaveLength(1);
    expect(pair.a.sessions().length).toBeGreaterThan(1);
  });

  it('ends nothing where its records were lost before it is over: the doubt stays without a sweep', () => {
    pair.want(pair.b, 'doubt_xdp');
    pair.walk(pair.b, 'doubt_xdp');
    expect(pair.b.mappings().filter(({ first }) => (first.flags & sessionFlag.doubted) !== 0).length).toBeGreaterThan(2);
    expect(pair.b.vm(a1)!.flags & vmFlag.doubted).not.toBe(0);
    expect(pair.differences()).toEqual([]);
    pair.walk(pair.a, 'bulk_xdp');
    expect(pair.b.mappings().filter(({ first }) => (first.flags & sessionFlag.doubted) !== 0)).toEqual([]);
    expect(pair.b.sessions().filter(({ session }) => (session.flags & sessionFlag.doubted) !== 0)).toEqual([]);
    expect(pair.b.vm(a1)!.flags & vmFlag.doubted).toBe(0);
  });

  it('spares what a commit has made meanwhile', () => {
    pair.want(pair.b, 'doubt_xdp');
    pair.want(pair.a, 'repair_xdp');
    pair.walk(pair.b, 'doubt_xdp');
    pair.walk(pair.a, 'repair_xdp');
    send(a1, '203.0.113.99', overUdp.request(4000));
    send(a1, '203.0.113.99', overUdp.request(4001));
    pair.walk(pair.b, 'sweep_xdp');
    expect(pair.differences()).toEqual([]);
    expect(pair.b.sessions().some(({ session }) => numberToIpv4(session.remote) === '203.0.113.99')).toBe(true);
  });

  it('ends nothing on a gateway that is Active itself', () => {
    endOn(pair.a, otherServer);
    pair.takeOver(pair.b, 'dead');
    const before = pair.b.tables();
    pair.want(pair.b, 'doubt_xdp');
    pair.walk(pair.b, 'doubt_xdp');
    pair.walk(pair.b, 'sweep_xdp');
    expect(pair.b.tables()).toEqual(before);
  });

  it('by a standby says nothing', () => {
    pair.want(pair.b, 'repair_xdp');
    expect(pair.walk(pair.b, 'repair_xdp').sent).toEqual([]);
  });

  it('of a session that is made again after it was swept begins anew', () => {
    endOn(pair.a, otherServer);
    pair.repair(pair.a, all);
    send(a1, otherServer, overUdp.request(4000));
    expect(pair.differences()).toEqual([]);
    expect(tableFaults(pair.b)).toEqual([]);
  });
});

/* ------------------------------------------------------------- by hand, from bpf/README.md */

const MASK = (1n << 64n) - 1n;
function mix(hash: bigint, word: bigint): bigint {
  let mixed = ((hash ^ word) * 0x9e37_79b9_7f4a_7c15n) & MASK;
  mixed ^= mixed >> 32n;
  mixed = (mixed * 0xd6e8_feb8_6659_fd93n) & MASK;
  return mixed ^ (mixed >> 29n);
}

function digestsByHand(gateway: GatewayFixture, seed: bigint): bigint[] {
  const sums = Array.from({ length: 1024 }, () => 0n);
  const add = (begun: bigint, words: readonly bigint[]): void => {
    const segment = Number(begun >> 54n);
    sums[segment] = (sums[segment]! + words.reduce(mix, begun)) & MASK;
  };
  const nameOf = ({ vni, address }: { vni: number; address: number }): bigint => (BigInt(vni) << 32n) | BigInt(address);
  for (const [, vm] of gateway.vms.used()) {
    if (vm.tunnelEndpoint === 0) continue;
    const words = [
      (BigInt(vm.tunnelEndpoint) << 32n) | (vm.mappingCount === 0 ? 0n : BigInt(vm.portKey)),
      (BigInt(vm.optionLength) << 48n) | BigInt(`0x${vm.mac.toString('hex')}`), BigInt(`0x${vm.nextHopMac.toString('hex')}`), vm.option.readBigUInt64BE(),
    ];
    add(mix(mix(seed, 1n), nameOf(vm)), words);
  }
  const blocks = gateway.portBlocks();
  for (const mapping of gateway.mappings()) {
    const { externalAddress, protocol, externalPort, internalPort } = mapping;
    const address = externalAddress.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const begun = mix(mix(seed, 2n), (address << 32n) | (BigInt(protocol) << 16n) | BigInt(externalPort));
    const vm = nameOf(gateway.vms.get(mapping.vm - 1));
    const held = blocks.some((block) => block.externalAddress === externalAddress && block.block === Math.floor(externalPort / 256) && block.vm === mapping.vm);
    add(begun, [vm, (held ? 1n << 32n : 0n) | BigInt(internalPort)]);
    const sessions = [mapping.first, ...gateway.sessions().filter((slot) => slot.mapping === mapping.index + 1).map(({ session }) => session)];
    for (const session of sessions.filter(({ state }) => state !== 0)) {
      const told = protocol === 0 && (session.flags & sessionFlag.establishedCommitted) !== 0;
      add(begun, [3n, vm, (BigInt(session.remote) << 32n) | (BigInt(session.remotePort) << 16n) | BigInt(session.internalPort), told ? 1n : 0n]);
    }
  }
  return sums;
}
