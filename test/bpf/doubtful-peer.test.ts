/** A peer that is heard and does not answer, falls silent again and again, or lacks room: nothing stops, and nothing passes for safe that is not. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RingBuffer } from 'libbpf-ts';
import { numberToIpv4 } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import { nowNs, ticksAgo, type RunResult } from '../support/gateway-fixture.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { ethernet, frame, ipv4, payload, sync, tcp, TCP, udp, type Layer } from '../support/packet.js';
import { RECORD_KIND, SYNC_PORT, SYNC_RECORD_BYTES, SYNC_TYPE } from '../support/sync-frame.js';
import { vmsOfRouters } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, otherServer, server } from '../support/world.js';

const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const rings: RingBuffer[] = [];
afterEach(() => {
  for (const ring of rings.splice(0)) ring.close();
});

const UNRESOLVED_EVENT = 1;
const MESSAGE_EVENT = 2;
const RECORD_EVENT = 4;
const SYNC_HEAD_BYTES = 14 + 20 + 8 + 32;
const MS = 1_000_000n;
const query = (bytes = 8, destination = server): Layer[] => [ipv4({ source: a1.address, destination }), udp({ sourcePort: 5000, destinationPort: 53 }), payload(Buffer.alloc(bytes))];
const send = (packet: Layer[], vm: world.VirtualMachine = a1): RunResult => pair.a.run('underlay', frameFromVm(vm, packet));
const segment = (flags: number): Layer[] => [ipv4({ source: a1.address, destination: server }), tcp({ sourcePort: 5000, destinationPort: 80, flags })];
const template = (type: number, body: Layer[] = []): Buffer =>
  frame(ethernet({ source: nodeA.ha.mac, destination: nodeB.ha.mac }), ipv4({ source: nodeA.ha.address, destination: nodeB.ha.address, ttl: 255 }), udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }), sync({ type }), ...body);

describe('a peer that we hear and that does not hear us', () => {
  beforeEach(() => {
    pair.a.setGateway({ soloAfterNs: 100n * MS });
    pair.a.run('seal_xdp', template(SYNC_TYPE.heartbeat));
    pair.a.states.update(0, { unansweredSinceNs: nowNs() - 150n * MS, peerHeardNs: 0n });
    pair.a.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n }));
  });

  it('gets no packet to turn round: it leaves at once, and counts as unprotected', () => {
    const result = send(query());
    expect(isSyncFrame(result.frame)).toBe(false);
    expect(result.counters).toMatchObject({ outbound_snat: 1, session_unprotected: 1 });
  });

  it('counts as alive again with its first answer', () => {
    const turned = pair.b.run('ha_xdp', pair.a.run('seal_xdp', template(SYNC_TYPE.heartbeat)).frame);
    expect(pair.a.run('ha_xdp', turned.frame).counters).toEqual({ heartbeat_returned: 1 });
    expect(isSyncFrame(send(query()).frame)).toBe(true);
  });
});

describe('what was asked', () => {
  it('and has not been answered is timed from the first question on', () => {
    pair.a.run('seal_xdp', template(SYNC_TYPE.heartbeat));
    const { unansweredSinceNs } = pair.a.states.get(0);
    expect(unansweredSinceNs).toBeGreaterThan(0n);
    send(query());
    expect(pair.a.states.get(0).unansweredSinceNs).toBe(unansweredSinceNs);
  });

  it('does not include control messages, which have no answer', () => {
    pair.a.run('seal_xdp', template(SYNC_TYPE.control, [payload('{}')]));
    expect(pair.a.states.get(0).unansweredSinceNs).toBe(0n);
  });
});

describe('short silences', () => {
  it('a session that is made in one and established in another counts as unprotected twice', () => {
    pair.a.setPeerAlive(false);
    expect(send(segment(TCP.SYN)).counters).toMatchObject({ session_unprotected: 1 });
    const { externalPort } = pair.a.mappings()[0]!;
    pair.a.setPeerAlive(true);
    pair.a.run('external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), tcp({ sourcePort: 80, destinationPort: externalPort, flags: TCP.SYN | TCP.ACK })]));
    pair.a.setPeerAlive(false);
    expect(send(segment(TCP.ACK)).counters).toMatchObject({ session_unprotected: 1 });
    expect(send(segment(TCP.ACK)).counters).toEqual({ outbound_snat: 1 });
  });

  it('where a VM moved to in one is told with its next packet', () => {
    pair.forward(pair.a, 'underlay', frameFromVm(a1, query()));
    pair.a.setPeerAlive(false);
    const moved = { ...a1, compute: world.compute2 };
    expect(isSyncFrame(send(query(), moved).frame)).toBe(false);
    pair.a.setPeerAlive(true);
    expect(pair.forward(pair.a, 'underlay', frameFromVm(moved, query())).steps).toHaveLength(3);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });
});

describe('a packet that cannot travel with its record', () => {
  const BIG = 1400;
  beforeEach(() => pair.a.interfaces.set(2, { ...pair.a.interfaces.get(2)!, mtu: 1500 }));

  it('tells it until it is acknowledged, and not again', async () => {
    const records: Buffer[] = [];
    rings.push(pair.a.listen((event, bytes) => void (event.type === RECORD_EVENT && records.push(bytes))));
    send(query(BIG));
    await vi.waitFor(() => expect(records).toHaveLength(1));
    const bare = template(SYNC_TYPE.records, [payload(records[0]!)]);
    bare.writeUInt8(1, 42 + 3);
    bare.writeUInt16BE(0, 42 + 6);
    expect(bare.length).toBe(SYNC_HEAD_BYTES + SYNC_RECORD_BYTES);
    const turned = pair.b.run('ha_xdp', pair.a.run('seal_xdp', bare).frame);
    expect(pair.a.run('ha_xdp', turned.frame).counters).toEqual({ sync_acknowledged: 1 });
    expect(send(query(BIG)).counters).toEqual({ outbound_snat: 1 });
  });

  /** Types of all events that wait, in order. */
  const readAll = async (): Promise<number[]> => {
    const types: number[] = [];
    rings.push(pair.a.listen((event) => void types.push(event.type)));
    let before = -1;
    while (types.length !== before) {
      before = types.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return types;
  };

  it('counts as unprotected where the ring buffer has no room for its record', async () => {
    for (let sequence = 1n; sequence < 600n; sequence++) pair.a.execute('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.control, sequence }, [payload('{}')]));
    expect(send(query(BIG)).counters).toMatchObject({ outbound_snat: 1, commit_oversize: 1, session_unprotected: 1 });
    await readAll();
  });

  it('has room for its record, and messages of the peer for theirs, whatever VMs ask for', async () => {
    const nowhere = (host: number): Layer[] => [ipv4({ source: a1.address, destination: `10.0.2.${host}` }), udp({ sourcePort: 1, destinationPort: 1 })];
    const vms = vmsOfRouters(pair.a, 5);
    for (let i = 0; i < 1000; i++) pair.a.execute('underlay', frameFromVm(vms[i % vms.length]!, nowhere(i % 100)));
    expect(send(query(BIG)).counters).not.toHaveProperty('session_unprotected');
    pair.a.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.control, sequence: 1n }, [payload('{}')]));

    const types = await readAll();
    expect(types.slice(-2)).toEqual([RECORD_EVENT, MESSAGE_EVENT]);
    expect(types.filter((type) => type === UNRESOLVED_EVENT).length).toBeGreaterThan(100);
  });

  it('is also one that is longer than what is authenticated', () => {
    pair.a.interfaces.set(2, { ...pair.a.interfaces.get(2)!, mtu: 9000 });
    pair.a.interfaces.set(1, { ...pair.a.interfaces.get(1)!, mtu: 9000 });
    for (const bytes of [1750, 1850, 1860, 1900, 2500]) {
      pair.b.reset({ node: nodeB, state: 'backup' });
      const { final } = pair.forward(pair.a, 'underlay', frameFromVm(a1, query(bytes, `198.51.100.${bytes % 250}`)));
      expect(final.verdict, String(bytes)).toBe('REDIRECT');
      expect(isSyncFrame(final.frame), String(bytes)).toBe(false);
    }
  });
});

describe('a peer that lacks room', () => {
  it('does not acknowledge what it could not take', () => {
    pair.a.setPeerAlive(false);
    send(query());
    pair.b.states.update(0, { vms: pair.b.vms.length });
    const { applied, acknowledged } = pair.walk(pair.a, 'bulk_xdp');

    for (const result of applied) expect(layerOf(dissect(result.frame), 'sync').flags & 4).toBe(4);
    for (const result of acknowledged) expect(result.counters).toEqual({ drop_sync_unapplied: 1 });
    expect(pair.a.states.get(0).acknowledged).toBe(0n);
  });
});

describe('a mapping that has no session', () => {
  const left = (): number => {
    pair.walk(pair.a, 'age_xdp');
    return pair.a.mappings().length;
  };

  it('is left alone at first, for another CPU may be about to give it one, and freed by a later pass', () => {
    pair.reset({ syncMode: 'none' });
    send(query());
    const index = 65536 + pair.a.mappings()[0]!.externalPort;
    const none = { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 };
    // A slot that was free for long and has just been claimed.
    pair.a.mappingTable.update(index, { lastSeen: ticksAgo(1000), first: none });
    expect([left(), left()]).toEqual([1, 1]);
    pair.a.mappingTable.update(index, { first: { ...none, lastSeen: ticksAgo(5) } });
    expect(left()).toBe(0);
  });
});

describe('a session that another CPU is making', () => {
  const UNDER_WAY = { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 };
  beforeEach(() => {
    send(query());
    send(query(8, otherServer));
  });

  it('beyond the first is not expired before it is there, and not told', () => {
    const [index, slot] = [...pair.a.sessionTable.used()][0]!;
    pair.a.sessionTable.update(index, { session: { ...UNDER_WAY, internalPort: slot.session.internalPort } });
    expect(pair.walk(pair.a, 'age_xdp').sent).toEqual([]);
    expect(pair.a.sessionTable.get(index).mapping).toBe(slot.mapping);
    const { records } = layerOf(dissect(pair.walk(pair.a, 'bulk_xdp').sent.at(-1)!), 'sync');
    expect(records.filter(({ kind }) => kind === RECORD_KIND.session)).toHaveLength(1);
  });

  it('in its mapping is not expired before it has a time', () => {
    const index = 65536 + pair.a.mappings()[0]!.externalPort;
    pair.a.mappingTable.update(index, { first: { ...pair.a.mappingTable.get(index).first, lastSeen: 0 } });
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(10_000)) << 30n });
    expect(pair.walk(pair.a, 'age_xdp').sent).toEqual([]);
  });
});

it('a second remote that comes while the first is held is told as well', () => {
  send(query());
  const { steps } = pair.forward(pair.a, 'underlay', frameFromVm(a1, query(8, otherServer)));
  expect(steps).toHaveLength(3);
});
