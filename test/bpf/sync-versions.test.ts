/** A peer of the neighbouring version: what it adds is skipped, what it must know is said, nothing is misread. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../support/gateway-fixture.js';
import { dissect, layerOf } from '../support/dissect.js';
import { ethernet, ipv4, payload, udp } from '../support/packet.js';
import { decodeSync, RECORD_KIND, SYNC_FLAG, SYNC_TYPE, type Sync } from '../support/sync-frame.js';
import { Pair, syncMessage } from '../support/pair.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromPeer, nodeA, nodeB, server } from '../support/world.js';

const gateway = GatewayFixture.load();
const pair = Pair.load();
afterAll(() => {
  gateway.close();
  pair.close();
});
beforeEach(() => {
  gateway.reset({ node: nodeB, state: 'backup', peerAlive: false });
  pair.reset();
});

const SYNC_UNAPPLIED = 4;
const record = {
  kind: RECORD_KIND.session, protocol: 1, state: 2, term: 1, vni: 100, internalAddress: a1.address, externalAddress: a1.tenant.externalAddress,
  remote: server, internalPort: 5000, externalPort: 0x0400, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address, mac: a1.mac, nextHopMac: a1.compute.mac,
};
const second = { ...record, internalPort: 5002, externalPort: 0x0402 };
const packet = [
  ethernet({ source: world.VIRTUAL_MAC, destination: world.externalRouter.mac }),
  ipv4({ source: a1.tenant.externalAddress, destination: server }),
  udp({ sourcePort: 0x0400, destinationPort: 53 }),
  payload('odd'),
];
const records = (message: Partial<Omit<Sync, 'layer'>>): Buffer => fromPeer(nodeA, nodeB, { type: SYNC_TYPE.records, sequence: 1n, records: [record, second], ...message });
const commit = (message: Partial<Omit<Sync, 'layer'>>): Buffer => fromPeer(nodeA, nodeB, { type: SYNC_TYPE.commit, egress: 1, sequence: 1n, records: [record], ...message }, packet);
const flagsOf = (frame: Buffer): number => decodeSync(syncMessage(frame))!.sync.flags!;

describe('a frame of version', () => {
  it.each([0, 3, 4, 255])('%i is refused, and its sequence is not used up', (version) => {
    expect(gateway.run('ha_xdp', records({ version })).counters).toEqual({ drop_sync_version: 1 });
    expect(gateway.run('ha_xdp', commit({ version })).counters).toEqual({ drop_sync_version: 1 });
    expect(gateway.mappings()).toEqual([]);
    expect(gateway.run('ha_xdp', records({})).verdict).toBe('TX');
  });

  it.each([1, 2])('%i is applied, and answered in the version that it came in', (version) => {
    const { verdict, frame } = gateway.run('ha_xdp', records({ version }));
    expect(verdict).toBe('TX');
    expect(layerOf(dissect(frame), 'sync')).toMatchObject({ version, flags: SYNC_FLAG.reply });
    expect(gateway.mappings().map(({ internalPort }) => internalPort)).toEqual([5000, 5002]);
  });

  it.each([1, 2])('%i is a heartbeat as well', (version) => {
    expect(gateway.run('ha_xdp', fromPeer(nodeA, nodeB, { type: SYNC_TYPE.heartbeat, version, sequence: 1n })).verdict).toBe('TX');
  });
});

describe('records that are longer than ours', () => {
  it.each([9, 10, 16, 31])('of %i words are read as far as we know them', (recordWords) => {
    const { frame } = gateway.run('ha_xdp', records({ version: 2, recordWords, filler: 0xee }));
    expect(flagsOf(frame)).toBe(SYNC_FLAG.reply);
    const held = (): object => ({ mappings: gateway.mappings().map((mapping) => ({ ...mapping, lastSeen: 0, first: { ...mapping.first, lastSeen: 0 } })), vm: { ...gateway.vm(a1)!, lastSeen: 0, stamp: 0 } });
    const longer = held();
    gateway.reset({ node: nodeB, state: 'backup', peerAlive: false });
    gateway.run('ha_xdp', records({}));
    expect(longer).toEqual(held());
  });

  it('wait for their packet all the same: a commit comes home whole', () => {
    const held = pair.a.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 5000, destinationPort: 53 }), payload('odd')]));
    const sent = decodeSync(syncMessage(held.frame))!;
    const longer = fromPeer(nodeA, nodeB, { ...sent.sync, version: 2, recordWords: 12, filler: 0xee, mac: undefined, recordCount: 1 } as never, [payload(sent.body)]);
    const turned = pair.b.run('ha_xdp', longer);
    expect(turned.counters).toEqual({ commit_applied: 1 });
    const plain = pair.a.run('ha_xdp', pair.b.run('ha_xdp', held.frame).frame);
    expect(plain.counters, 'the same sequence was used above').not.toMatchObject({ commit_released: 1 });
    const released = pair.a.run('ha_xdp', turned.frame);
    expect(released.counters).toMatchObject({ commit_released: 1 });
    expect(released.frame.subarray(-sent.body.length)).toEqual(sent.body);
    expect(released.frame).toHaveLength(sent.body.length);
  });

  it.each([1, 8, 32])('of %i words are refused: shorter ones never were, and such long ones do not fit', (recordWords) => {
    expect(gateway.run('ha_xdp', records({ version: 2, recordWords })).counters).toEqual({ drop_sync_malformed: 1 });
    expect(gateway.mappings()).toEqual([]);
  });

  it('that say less than there is are refused', () => {
    expect(gateway.run('ha_xdp', records({ version: 2, recordWords: 10, length: 8 })).counters).toEqual({ drop_sync_malformed: 1 });
  });
});

describe('records of a kind that we do not know', () => {
  it.each([0, 5, 77, 255])('%i: the peer hears that we do not hold it, and nothing is made of it', (kind) => {
    const before = gateway.tables();
    const { verdict, frame } = gateway.run('ha_xdp', records({ version: 2, records: [{ ...record, kind }] }));
    expect(verdict).toBe('TX');
    expect(flagsOf(frame)).toBe(SYNC_FLAG.reply | SYNC_UNAPPLIED);
    expect(gateway.tables()).toEqual(before);
  });

  it('do not keep those beside them from being applied', () => {
    gateway.run('ha_xdp', records({ version: 2, records: [{ ...record, kind: 9 }, second] }));
    expect(gateway.mappings().map(({ internalPort }) => internalPort)).toEqual([5002]);
  });
});
