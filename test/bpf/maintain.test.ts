/** Bulk synchronisation of a joining peer, ageing, VM slots for the control plane. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { reason } from '../../src/dataplane/layout.generated.js';
import { dissect, layerOf } from '../support/dissect.js';
import { ticksAgo, type GatewayFixture, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { Pair, syncMessage } from '../support/pair.js';
import { icmp, ICMP, ipv4, tcp, TCP, udp, type Layer } from '../support/packet.js';
import { messageMac, RECORD_KIND, SYNC_TYPE, type SyncRecord } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, a2, b1, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, server, type VirtualMachine } from '../support/world.js';

const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const UDP_TICKS = 280;
const ICMP_TICKS = 56;
const TRANSITORY_TICKS = 224;
const ESTABLISHED_TICKS = 6929;
const HOLD_DOWN_TICKS = 112;

function send(gateway: GatewayFixture, vm: VirtualMachine, destination: string, ...segment: Layer[]): RunResult {
  return gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), ...segment]));
}

const query = (port: number): Layer => udp({ sourcePort: port, destinationPort: 53 });

/** What both gateways have to agree on; clocks and slot numbers are each gateway's own. */
function comparable(gateway: GatewayFixture): unknown {
  const vmName = (slot: number): string => `${gateway.vms.get(slot).vni}/${gateway.vms.get(slot).address}`;
  const mappings = gateway.mappings().map(({ externalAddress, protocol, externalPort, internalPort, vm, sessionCount, first }) => ({
    externalAddress, protocol, externalPort, internalPort, vm: vmName(vm - 1), sessionCount, remote: first.remote, remotePort: first.remotePort, state: first.state,
  }));
  const sessions = gateway.sessions().map(({ mapping, session }) => [mapping, session.remote, session.remotePort, session.state].join());
  const vms = [...gateway.vms.used()]
    .map(([, vm]) => ({ ...vm, lastSeen: 0, stamp: 0, flags: 0, blocks: [...vm.blocks].sort((x, y) => x - y) }))
    .filter((vm) => vm.tunnelEndpoint !== 0)
    .sort((x, y) => x.vni - y.vni || x.address - y.address);
  const blocks = gateway.portBlocks().map(({ externalAddress, block, vm, mappings: used }) => ({ externalAddress, block, vm: vmName(vm - 1), used }));
  return { mappings, sessions: sessions.sort(), vms, blocks };
}

/** A has done all of this alone. */
function busyAlone(): void {
  pair.a.setPeerAlive(false);
  for (let port = 5000; port < 5040; port++) send(pair.a, port % 2 ? a1 : b1, server, query(port));
  for (let host = 1; host < 6; host++) send(pair.a, a1, `198.51.100.${host}`, query(5001));
  send(pair.a, a1, server, tcp({ sourcePort: 6000, destinationPort: 80, flags: TCP.SYN }));
  send(pair.a, a1, server, icmp({ type: ICMP.echo, identifier: 1 }));
  send(pair.a, a2, server, query(1));
  pair.a.setPeerAlive(true);
}

describe('bulk synchronisation', () => {
  it('an empty gateway has nothing to say', () => {
    expect(pair.walk(pair.a, 'bulk_xdp').sent).toEqual([]);
  });

  it('afterwards both tables say the same', () => {
    busyAlone();
    const { sent, applied, acknowledged } = pair.walk(pair.a, 'bulk_xdp');

    expect(sent.length).toBeGreaterThan(3);
    for (const result of applied) expect(result.counters).toMatchObject({ sync_applied: 1 });
    for (const result of acknowledged) expect(result.counters).toEqual({ sync_acknowledged: 1 });
    expect(pair.a.states.get(0).acknowledged).toBe(BigInt(sent.length));
    expect(comparable(pair.b)).toEqual(comparable(pair.a));
    expect(pair.b.mappings()).toHaveLength(42);
    expect(pair.b.sessions()).toHaveLength(5);
  });

  it('a second pass changes nothing', () => {
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');
    const before = comparable(pair.b);
    pair.walk(pair.a, 'bulk_xdp');
    expect(comparable(pair.b)).toEqual(before);
  });

  it('frames are full, sealed and count up', () => {
    busyAlone();
    const { sent } = pair.walk(pair.a, 'bulk_xdp');
    const headers = sent.map((bytes) => layerOf(dissect(bytes), 'sync'));

    // Records: 3 VMs, 42 mappings' first sessions, 5 further ones.
    expect(headers.reduce((sum, header) => sum + header.recordCount, 0)).toBe(50);
    for (const [index, header] of headers.entries()) {
      expect(header.type).toBe(SYNC_TYPE.records);
      expect(header.recordCount).toBeLessThanOrEqual(12);
      expect(header.mac).toBe(messageMac(syncMessage(sent[index]!), world.SYNC_KEY));
      if (index > 0) expect(header.sequence).toBe(headers[index - 1]!.sequence + 1n);
    }
  });

  it('the joined gateway takes over with every port as it was', () => {
    busyAlone();
    const before = pair.a.mappings();
    pair.walk(pair.a, 'bulk_xdp');
    pair.takeOver(pair.b, 'dead');

    for (const { internalPort, externalPort, protocol, externalAddress } of before) {
      if (protocol !== 1) continue;
      const vm = externalAddress === a1.tenant.externalAddress ? (internalPort === 1 ? a2 : a1) : b1;
      const result = send(pair.b, vm, server, query(internalPort));
      expect(layerOf(dissect(result.frame), 'udp').sourcePort).toBe(externalPort);
      expect(result.counters).toEqual({ outbound_snat: 1 });
    }
  });

  it('what the peer made alone wins where the joining gateway still has old mappings of its ports', () => {
    send(pair.b, a1, server, query(1));
    pair.b.setState('active');
    pair.b.setPeerAlive(false);
    send(pair.b, a1, server, query(5000));
    const stale = pair.b.mappings().map(({ externalPort }) => externalPort);
    pair.b.setState('backup');
    pair.b.setPeerAlive(true);
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');

    const ours = new Set(pair.a.mappings().map(({ externalPort }) => externalPort));
    const theirs = pair.b.mappings().map(({ externalPort }) => externalPort);
    for (const port of ours) expect(theirs).toContain(port);
    for (const port of stale) expect(ours.has(port)).toBe(false);
  });
});

/** Makes every session of a gateway look as old as that. */
function makeOld(gateway: GatewayFixture, ticks: number): void {
  for (const [index, mapping] of gateway.mappingTable.used()) {
    gateway.mappingTable.update(index, { first: { ...mapping.first, lastSeen: ticksAgo(ticks) } });
  }
  for (const [index, slot] of gateway.sessionTable.used()) {
    gateway.sessionTable.update(index, { session: { ...slot.session, lastSeen: ticksAgo(ticks) } });
  }
}

/** As if it had been Active since long before. */
function beActiveForLong(gateway: GatewayFixture): void {
  gateway.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(2 * ESTABLISHED_TICKS)) << 30n });
}

const expired = (): number => pair.a.counters()[reason.sessionExpired]!;

describe('ageing', () => {
  const establish = (): void => {
    const answer = (flags: number): void => {
      const mapping = pair.a.mappings()[0]!;
      const segment = tcp({ sourcePort: 80, destinationPort: mapping.externalPort, flags });
      pair.a.run('external', world.fromOutside([ipv4({ source: server, destination: mapping.externalAddress }), segment]));
    };
    send(pair.a, a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN }));
    answer(TCP.SYN | TCP.ACK);
    send(pair.a, a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.ACK }));
  };

  const kinds: readonly { name: string; timeout: number; open: () => void }[] = [
    { name: 'udp', timeout: UDP_TICKS, open: () => void send(pair.a, a1, server, query(5000)) },
    { name: 'icmp', timeout: ICMP_TICKS, open: () => void send(pair.a, a1, server, icmp({ type: ICMP.echo, identifier: 5 })) },
    { name: 'tcp transitory', timeout: TRANSITORY_TICKS, open: () => void send(pair.a, a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN })) },
    { name: 'tcp established', timeout: ESTABLISHED_TICKS, open: establish },
  ];

  describe.each(kinds)('$name', ({ timeout, open }) => {
    beforeEach(() => {
      pair.reset({ syncMode: 'none' });
      open();
      beActiveForLong(pair.a);
    });

    it('stays until its timeout', () => {
      makeOld(pair.a, timeout - 10);
      expect(pair.walk(pair.a, 'age_xdp').sent).toEqual([]);
      expect(pair.a.mappings()).toHaveLength(1);
    });

    it('is freed behind it, counted, and its port rests', () => {
      const { externalPort, protocol } = pair.a.mappings()[0]!;
      makeOld(pair.a, timeout + 2);
      const before = expired();
      pair.walk(pair.a, 'age_xdp');

      expect(pair.a.mappings()).toEqual([]);
      expect(expired() - before).toBe(1);
      const freed = pair.a.mappingTable.get(protocol * 65536 + externalPort);
      expect((ticksAgo(0) - freed.lastSeen) >>> 0).toBeLessThan(10);
      expect(pair.a.portBlocks()[0]!.mappings).toBe(0);
    });
  });

  it('tells the peer, which frees the same and no more', () => {
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');
    beActiveForLong(pair.a);
    makeOld(pair.a, UDP_TICKS + 2);
    const { sent } = pair.walk(pair.a, 'age_xdp');

    const records = sent.flatMap((bytes) => layerOf(dissect(bytes), 'sync').records);
    expect(new Set(records.map(({ kind }) => kind))).toEqual(new Set([RECORD_KIND.delete]));
    expect(comparable(pair.b)).toEqual(comparable(pair.a));
  });

  it('ends with nothing left when everything is old, within a few passes', () => {
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');
    beActiveForLong(pair.a);
    for (let pass = 0; pass < 3; pass++) {
      makeOld(pair.a, 2 * ESTABLISHED_TICKS);
      pair.walk(pair.a, 'age_xdp');
    }

    for (const gateway of [pair.a, pair.b]) {
      expect(gateway.mappings()).toEqual([]);
      expect(gateway.sessions()).toEqual([]);
    }
  });

  it('of one session of a mapping keeps the others, and the mapping', () => {
    pair.reset({ syncMode: 'none' });
    send(pair.a, a1, server, query(5000));
    beActiveForLong(pair.a);
    makeOld(pair.a, UDP_TICKS + 2);
    send(pair.a, a1, '198.51.100.1', query(5000));
    const { externalPort } = pair.a.mappings()[0]!;
    pair.walk(pair.a, 'age_xdp');

    expect(pair.a.mappings()).toHaveLength(1);
    expect(pair.a.mappings()[0]!.sessionCount).toBe(1);
    const result = send(pair.a, a1, server, query(5000));
    expect(layerOf(dissect(result.frame), 'udp').sourcePort).toBe(externalPort);
    expect(result.counters).toMatchObject({ session_created: 1 });
  });

  it('counts each session once, however many passes look at what is left', () => {
    pair.reset({ syncMode: 'none' });
    send(pair.a, a1, server, query(5000));
    beActiveForLong(pair.a);
    makeOld(pair.a, UDP_TICKS + 2);
    send(pair.a, a1, '198.51.100.1', query(5000));
    const before = expired();
    for (let pass = 0; pass < 4; pass++) pair.walk(pair.a, 'age_xdp');

    expect(expired() - before).toBe(1);
  });

  it('a Backup never ages', () => {
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');
    makeOld(pair.b, 2 * ESTABLISHED_TICKS);
    const before = comparable(pair.b);
    expect(pair.walk(pair.b, 'age_xdp').sent).toEqual([]);
    expect(comparable(pair.b)).toEqual(before);
  });

  it('a new Active gives every session a new life: the old clock says nothing', () => {
    busyAlone();
    pair.walk(pair.a, 'bulk_xdp');
    makeOld(pair.b, 2 * ESTABLISHED_TICKS);
    pair.takeOver(pair.b, 'dead');
    expect(pair.walk(pair.b, 'age_xdp').sent).toEqual([]);
    expect(pair.b.mappings()).toHaveLength(42);
  });

  it('a block that was empty for the hold-down is free for another VM, not before', () => {
    pair.reset({ syncMode: 'none' });
    send(pair.a, a1, server, query(5000));
    beActiveForLong(pair.a);
    makeOld(pair.a, UDP_TICKS + 2);
    pair.walk(pair.a, 'age_xdp');
    pair.walk(pair.a, 'age_xdp');
    expect(pair.a.portBlocks()).toHaveLength(1);

    const [[index]] = [...pair.a.portBlockTable.used()] as [[number, unknown]];
    pair.a.portBlockTable.update(index, { lastSeen: ticksAgo(2 * HOLD_DOWN_TICKS) });
    pair.walk(pair.a, 'age_xdp');

    expect(pair.a.portBlocks()).toEqual([]);
    expect(pair.a.vm(a1)!.blocks.every((block) => block === 0)).toBe(true);
  });
});

describe('records of the peer', () => {
  const record: SyncRecord = {
    kind: RECORD_KIND.session, protocol: 1, state: 2, term: 1, vni: 100, internalAddress: a1.address, externalAddress: a1.tenant.externalAddress,
    remote: server, internalPort: 5000, externalPort: 0x0400, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address, mac: a1.mac, nextHopMac: a1.compute.mac,
  };
  let sequence = 0n;
  const tell = (...records: SyncRecord[]): RunResult =>
    pair.b.run('ha_xdp', fromPeer(nodeA, nodeB, { type: SYNC_TYPE.records, sequence: ++sequence, records }));
  const flags = (result: RunResult): number => layerOf(dissect(result.frame), 'sync').flags;
  beforeEach(() => void (sequence = 0n));

  it('a mapping that the peer ends takes all of its sessions along', () => {
    tell(record, { ...record, remote: '198.51.100.1' }, { ...record, remote: '198.51.100.2' });
    expect(pair.b.sessions()).toHaveLength(2);
    tell({ ...record, kind: RECORD_KIND.delete, remote: '0.0.0.0' });

    expect(pair.b.mappings()).toEqual([]);
    expect(tableFaults(pair.b)).toEqual([]);
    // What is beyond the first is nobody's, and goes with the next pass on either gateway.
    expect(pair.walk(pair.b, 'age_xdp').sent).toEqual([]);
    expect(pair.b.sessions()).toEqual([]);
    expect(pair.b.vms.get(0).sessions).toBe(0);
    expect(tableFaults(pair.b)).toEqual([]);
  });

  it('a mapping that another one of the peer replaces takes its sessions along', () => {
    tell(record, { ...record, remote: '198.51.100.1' });
    tell({ ...record, internalAddress: '172.16.100.50', internalPort: 6000, remote: '198.51.100.9' });

    expect(pair.b.mappings().map(({ internalPort }) => internalPort)).toEqual([6000]);
    pair.walk(pair.b, 'age_xdp');
    expect(pair.b.mappings().map(({ sessionCount }) => sessionCount)).toEqual([0]);
    expect(pair.b.sessions()).toEqual([]);
    expect(tableFaults(pair.b)).toEqual([]);
  });

  it('what an ended mapping has left behind lets nobody through to who has its port next', () => {
    const REMOTE = '198.51.100.1';
    tell(record, { ...record, remote: REMOTE });
    tell({ ...record, internalPort: 6000 });
    pair.takeOver(pair.b, 'dead');
    const answer = (): RunResult => pair.b.run('external', fromOutside([ipv4({ source: REMOTE, destination: a1.tenant.externalAddress }), udp({ sourcePort: 53, destinationPort: 0x0400 })]));
    expect(answer().counters).toEqual({ drop_filtered: 1 });

    pair.walk(pair.b, 'age_xdp');
    expect(pair.b.sessions()).toEqual([]);
    expect(tableFaults(pair.b)).toEqual([]);
  });

  it('brings how long it has been idle', () => {
    tell({ ...record, idle: 100 });
    const idle = (ticksAgo(0) - pair.b.mappings()[0]!.first.lastSeen) >>> 0;
    expect(idle).toBeGreaterThanOrEqual(100);
    expect(idle).toBeLessThan(110);
  });

  it('deleting one session leaves the others', () => {
    tell(record, { ...record, remote: '198.51.100.1' }, { ...record, remote: '198.51.100.2' });
    tell({ ...record, kind: RECORD_KIND.delete, remote: '198.51.100.1' });
    expect(pair.b.mappings()[0]!.sessionCount).toBe(1);
    expect(pair.b.sessions()).toHaveLength(1);
  });

  it('an end that comes late does not end what others have made of the port meanwhile', () => {
    tell(record);
    const before = pair.b.tables();
    tell({ ...record, kind: RECORD_KIND.delete, internalPort: 4999, remote: '0.0.0.0' });
    tell({ ...record, kind: RECORD_KIND.delete, internalAddress: '172.16.100.99', remote: '0.0.0.0' });
    expect(pair.b.tables()).toEqual(before);
  });

  it('a record for a port of our own block does not replace what we gave it to', () => {
    pair.b.setState('active');
    pair.b.setPeerAlive(false);
    send(pair.b, a1, server, query(5000));
    const ours = pair.b.mappings()[0]!;
    const result = tell({ ...record, internalAddress: '172.16.100.50', internalPort: 7, externalPort: ours.externalPort });

    expect(flags(result) & 4).toBe(4);
    expect(pair.b.mappings()).toHaveLength(1);
    expect(pair.b.mappings()[0]!.internalPort).toBe(5000);
  });

  it.each<[string, Partial<SyncRecord>]>([
    ['an unknown network', { vni: 999 }],
    ['an unknown external address', { externalAddress: '10.0.2.250' }],
    ['a floating IP for an external address', { externalAddress: a2.floatingIp! }],
    ['an unknown protocol', { protocol: 3 }],
    ['no state', { state: 0 }],
    ['an unknown state', { state: 4 }],
    ['no remote', { remote: '0.0.0.0' }],
    ['an unknown kind', { kind: 9 }],
  ])('with %s is not applied, and said so', (_, change) => {
    const result = tell({ ...record, ...change });
    expect(flags(result) & 4).toBe(4);
    expect(pair.b.mappings()).toEqual([]);
  });

  it('with an option that is too long does not change the VM', () => {
    tell(record);
    tell({ ...record, optionLength: 200, tunnelEndpoint: '192.168.33.99' });
    expect(pair.b.vm(a1)!.optionLength).toBe(0);
    expect(pair.b.vm(a1)!.tunnelEndpoint).not.toBe(0);
  });
});

describe('vm_ensure', () => {
  it('finds or makes the slot, sets and removes the floating IP', () => {
    const fresh: VirtualMachine = { ...a1, address: '172.16.100.77', floatingIp: '10.0.2.230' };
    const index = pair.a.ensureVm(fresh);
    expect(pair.a.vmIndex(fresh)).toBe(index);
    expect(pair.a.vm(fresh)!.floatingIp).toBe(0x0a0002e6);
    expect(pair.a.ensureVm({ tenant: fresh.tenant, address: fresh.address, mac: fresh.mac, compute: fresh.compute, option: fresh.option })).toBe(index);
    expect(pair.a.vm(fresh)!.floatingIp).toBe(0);
  });

  it('of an unknown network is ENOENT, without room ENOSPC', () => {
    expect(() => pair.a.ensureVm({ ...a1, tenant: { ...a1.tenant, vni: 999 } })).toThrow('-2');
    pair.a.states.update(0, { vms: pair.a.vms.length });
    expect(() => pair.a.ensureVm({ ...a1, address: '172.16.100.78' })).toThrow('-28');
  });
});
