/** A standby sends all that it holds after every silence and every restart: the Active, which knows better, must come to no harm. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { numberToIpv4 } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import { ticksAgo, type GatewayFixture } from '../support/gateway-fixture.js';
import { Pair } from '../support/pair.js';
import { ipv4, payload, udp, type Layer } from '../support/packet.js';
import { RECORD_KIND, SYNC_TYPE } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromPeer, nodeA, nodeB, server } from '../support/world.js';

const pair = Pair.load();
afterAll(() => pair.close());

const UDP_TICKS = 280;
const UDP = 1;
const query = (port = 5000): Layer[] => [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: port, destinationPort: 53 }), payload('question')];
const out = (port?: number): Buffer => frameFromVm(a1, query(port));
const sourcePort = (frame: Buffer): number => layerOf(dissect(frame), 'udp').sourcePort;

function setLastSeen(gateway: GatewayFixture, ticks: number): void {
  for (const [index, mapping] of gateway.mappingTable.used()) gateway.mappingTable.update(index, { first: { ...mapping.first, lastSeen: ticksAgo(ticks) } });
}

beforeEach(() => {
  pair.reset();
  pair.forward(pair.a, 'underlay', out());
  pair.a.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
});

describe('what a standby sends to the Active', () => {
  it('does not make a session old that is in use', () => {
    setLastSeen(pair.b, UDP_TICKS + 100);
    const { externalPort } = pair.a.mappings()[0]!;
    pair.walk(pair.b, 'bulk_xdp');
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(1000)) << 30n });
    pair.walk(pair.a, 'age_xdp');

    const next = pair.a.run('underlay', out());
    expect(next.counters).toEqual({ outbound_snat: 1 });
    expect(sourcePort(next.frame)).toBe(externalPort);
  });

  it('does not undo what has become of a session', () => {
    const index = pair.a.mappings()[0]!.externalPort + UDP * 65536;
    const { first } = pair.a.mappingTable.get(index);
    pair.a.mappingTable.update(index, { first: { ...first, state: 3, flags: first.flags | 12 } });
    pair.walk(pair.b, 'bulk_xdp');
    expect(pair.a.mappingTable.get(index).first).toMatchObject({ state: 3, flags: first.flags | 12 });
  });

  it('does not send packets to where a VM was before', () => {
    pair.a.setPeerAlive(false);
    pair.a.run('underlay', frameFromVm({ ...a1, compute: world.compute2 }, query()));
    pair.walk(pair.b, 'bulk_xdp');
    expect(numberToIpv4(pair.a.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });

  it('does not move an endpoint back to a port that it had before', () => {
    const stale = pair.a.mappings()[0]!;
    const index = stale.externalPort + UDP * 65536;
    // Ended and made anew in a silence: the old port rests, so the new one is another.
    pair.a.mappingTable.set(index, { ...pair.a.mappingTable.get(index), vm: 0, internalPort: 0, lastSeen: ticksAgo(0), first: { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 } });
    pair.a.setPeerAlive(false);
    const port = sourcePort(pair.a.run('underlay', out()).frame);
    expect(port).not.toBe(stale.externalPort);
    pair.a.setPeerAlive(true);
    pair.walk(pair.b, 'bulk_xdp');

    expect(sourcePort(pair.a.run('underlay', out()).frame)).toBe(port);
    pair.walk(pair.a, 'bulk_xdp');
    expect(pair.b.mappings().map(({ externalPort }) => externalPort)).toEqual([port]);
    for (const result of pair.walk(pair.b, 'bulk_xdp').acknowledged) expect(result.counters).toEqual({ sync_acknowledged: 1 });
  });

  it('ends nothing', () => {
    const { externalPort, externalAddress } = pair.a.mappings()[0]!;
    const before = pair.a.tables();
    const end = {
      kind: RECORD_KIND.delete, protocol: UDP, term: 1, vni: 100, internalAddress: a1.address, externalAddress,
      internalPort: 5000, externalPort, virtualRouter: world.VRID,
    };
    const result = pair.a.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.records, gateway: 1, sequence: 100n, records: [{ ...end, remote: server }, { ...end, remote: '0.0.0.0' }] }));

    expect(result.counters).toEqual({ sync_applied: 1 });
    expect(pair.a.tables()).toEqual(before);
  });

  it('is taken where the Active knows nothing of it', () => {
    pair.reset();
    pair.a.setState('backup');
    pair.b.setState('active');
    pair.forward(pair.b, 'underlay', out());
    const [mapping] = pair.b.mappings();
    pair.b.setState('backup');
    pair.a.reset({ node: nodeA });
    pair.walk(pair.b, 'bulk_xdp');
    expect(pair.a.mappings().map(({ externalPort, internalPort }) => [externalPort, internalPort])).toEqual([[mapping!.externalPort, 5000]]);
  });
});

describe('a former Active that does not know it yet', () => {
  it('takes over what its successor says of a session, of a VM and of ends', () => {
    const { externalPort, externalAddress } = pair.a.mappings()[0]!;
    pair.b.setState('active', { term: 2 });
    pair.b.run('underlay', frameFromVm({ ...a1, compute: world.compute2 }, query()));
    pair.walk(pair.b, 'bulk_xdp');
    expect(numberToIpv4(pair.a.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);

    const end = { kind: RECORD_KIND.delete, protocol: UDP, term: 2, vni: 100, internalAddress: a1.address, externalAddress, internalPort: 5000, externalPort, virtualRouter: world.VRID };
    pair.a.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.records, gateway: 1, sequence: 900n, records: [{ ...end, remote: '0.0.0.0' }] }));
    expect(pair.a.mappings()).toEqual([]);
  });
});
