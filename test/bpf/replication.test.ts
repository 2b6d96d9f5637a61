/** Commit on create between two gateways, end to end: hold, apply, turn round, release. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RingBuffer } from 'libbpf-ts';
import { numberToIpv4 } from '../support/bytes.js';
import { expectValidChecksums } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import type { GatewayFixture, RunResult } from '../support/gateway-fixture.js';
import { isSyncFrame, Pair, syncMessage } from '../support/pair.js';
import { arp, ethernet, frame, icmp, ICMP, ipv4, payload, sync, tcp, TCP, udp, type Layer } from '../support/packet.js';
import { messageMac, RECORD_KIND, SYNC_FLAG, SYNC_PORT, SYNC_TYPE } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, a2, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, otherServer, server, toOutside, toVm } from '../support/world.js';

const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const rings: RingBuffer[] = [];
const listen = (gateway: GatewayFixture, onEvent: Parameters<GatewayFixture['listen']>[0]): void => void rings.push(gateway.listen(onEvent));
afterEach(() => {
  for (const ring of rings.splice(0)) ring.close();
});

const SESSION_COMMITTED = 1;
const SESSION_ESTABLISHED_COMMITTED = 2;
const SESSION_UNPROTECTED = 16;
const SYNC_UNAPPLIED = 4;

const udpPacket = (destination = server, port = 5000): Layer[] => [
  ipv4({ source: a1.address, destination }),
  udp({ sourcePort: port, destinationPort: 53 }),
  payload('question'),
];
const tcpPacket = (flags: number, data = ''): Layer[] => [
  ipv4({ source: a1.address, destination: server }),
  tcp({ sourcePort: 5000, destinationPort: 80, flags }),
  payload(data),
];
const out = (packet: Layer[]): Buffer => frameFromVm(a1, packet);
const mappingOf = (gateway = pair.a) => gateway.mappings()[0]!;
const syncOf = (result: RunResult) => layerOf(dissect(result.frame), 'sync');

describe('a packet that creates a session', () => {
  it('is held: wrapped with its record and sent to the peer', () => {
    const held = pair.a.run('underlay', out(udpPacket()));

    expect(held.verdict).toBe('REDIRECT');
    expect(held.counters).toEqual({ commit_sent: 1, session_created: 1, vm_learned: 1 });
    const mapping = mappingOf();
    const record = {
      kind: RECORD_KIND.session,
      protocol: 1,
      state: mapping.first.state,
      term: 1,
      vni: 100,
      internalAddress: a1.address,
      externalAddress: a1.tenant.externalAddress,
      remote: server,
      internalPort: 5000,
      externalPort: mapping.externalPort,
      remotePort: 0,
      optionLength: 8,
      virtualRouter: world.VRID,
      tunnelEndpoint: a1.compute.address,
      mac: a1.mac,
      nextHopMac: a1.compute.mac,
      option: Buffer.from('010280010001000a', 'hex'),
      portKey: pair.a.vm(a1)!.portKey,
    };
    const translated = [
      ipv4({ source: a1.tenant.externalAddress, destination: server, ttl: 63 }),
      udp({ sourcePort: mapping.externalPort, destinationPort: 53 }),
      payload('question'),
    ];
    expectFrame(held.frame, [
      ethernet({ source: nodeA.ha.mac, destination: nodeB.ha.mac }),
      ipv4({ source: nodeA.ha.address, destination: nodeB.ha.address, ttl: 255, typeOfService: 0xc0, dontFragment: true }),
      udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
      sync({ type: SYNC_TYPE.commit, gateway: 0, egress: 1, epoch: 1, sequence: 1n, records: [record], key: world.SYNC_KEY }),
      ...toOutside(translated),
    ]);
    expectValidChecksums(held.frame);
  });

  it.skipIf(pair.a.hook === 'tc')('is held on its way to the ha interface and no other', () => {
    pair.a.setPorts('underlay', 'external');
    expect(pair.a.run('underlay', out(udpPacket())).verdict).toBe('ABORTED');
  });

  it('is applied by the peer and turned round', () => {
    const held = pair.a.run('underlay', out(udpPacket()));
    const turned = pair.b.run('ha_xdp', held.frame);

    expect(turned.verdict).toBe('TX');
    expect(turned.counters).toMatchObject({ commit_applied: 1 });
    expect(syncOf(turned)).toMatchObject({ flags: SYNC_FLAG.reply, gateway: 0, sequence: 1n, epoch: 1 });
    expect(syncOf(turned).mac).toBe(messageMac(syncMessage(turned.frame), world.SYNC_KEY));
    expect(layerOf(dissect(turned.frame), 'ethernet')).toMatchObject({ source: nodeB.ha.mac, destination: nodeA.ha.mac });
    expect(layerOf(dissect(turned.frame), 'ipv4')).toMatchObject({ source: nodeB.ha.address, destination: nodeA.ha.address });
    expectValidChecksums(turned.frame);

    const [ours, theirs] = [mappingOf(pair.a), mappingOf(pair.b)];
    expect(theirs).toMatchObject({ externalAddress: ours.externalAddress, externalPort: ours.externalPort, protocol: 1, internalPort: 5000 });
    expect(numberToIpv4(theirs.first.remote)).toBe(server);
    expect(theirs.first.flags & SESSION_COMMITTED).toBe(SESSION_COMMITTED);
    expect(theirs.vm).toBe(pair.b.vmIndex(a1)! + 1);
    const [ourVm, theirVm] = [pair.a.vm(a1)!, pair.b.vm(a1)!];
    for (const field of ['vni', 'address', 'network', 'tunnelEndpoint', 'mac', 'nextHopMac', 'optionLength', 'option', 'portKey'] as const) {
      expect(theirVm[field], field).toEqual(ourVm[field]);
    }
    expect(pair.b.portBlocks().map(({ block, vm }) => [block, vm - 1])).toEqual([[Math.floor(ours.externalPort / 256), pair.b.vmIndex(a1)]]);
  });

  it('is released unchanged by the interface that it wanted, once', () => {
    const { steps, final } = pair.forward(pair.a, 'underlay', out(udpPacket()));

    expect(steps).toHaveLength(3);
    expect(final.verdict).toBe('REDIRECT');
    expect(final.counters).toEqual({ commit_released: 1 });
    const translated = [
      ipv4({ source: a1.tenant.externalAddress, destination: server, ttl: 63 }),
      udp({ sourcePort: mappingOf().externalPort, destinationPort: 53 }),
      payload('question'),
    ];
    expectFrame(final.frame, toOutside(translated));
    expect(mappingOf().first.flags & SESSION_COMMITTED).toBe(SESSION_COMMITTED);
    expect(pair.a.run('ha_xdp', steps[1]!.frame).counters).toEqual({ drop_sync_replayed: 1 });
  });

  it('is released to the external interface and no other', () => {
    const turned = pair.b.run('ha_xdp', pair.a.run('underlay', out(udpPacket())).frame);
    pair.a.setPorts('external');
    expect(pair.a.run('ha_xdp', turned.frame).verdict).toBe('REDIRECT');
  });

  it('padded by Ethernet on its way comes out without padding', () => {
    const turned = pair.b.run('ha_xdp', Buffer.concat([pair.a.run('underlay', out(udpPacket())).frame, Buffer.alloc(9)]));
    const released = pair.a.run('ha_xdp', turned.frame);
    expect(released.frame.length).toBe(14 + 20 + 8 + 8);
  });

  it('the next packet pays nothing', () => {
    pair.forward(pair.a, 'underlay', out(udpPacket()));
    expect(pair.a.run('underlay', out(udpPacket())).counters).toEqual({ outbound_snat: 1 });
  });

  it('a second remote of the same port is held again', () => {
    pair.forward(pair.a, 'underlay', out(udpPacket()));
    const { steps } = pair.forward(pair.a, 'underlay', out(udpPacket(otherServer)));
    expect(steps).toHaveLength(3);
    expect(pair.b.sessions()).toHaveLength(1);
    expect(numberToIpv4(pair.b.sessions()[0]!.session.remote)).toBe(otherServer);
  });
});

describe('TCP', () => {
  const answer = (flags: number): RunResult => {
    const segment = tcp({ sourcePort: 80, destinationPort: mappingOf().externalPort, flags });
    return pair.a.run('external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), segment]));
  };

  it('SYN and the ACK that establishes are held, nothing else', () => {
    const lengths = [pair.forward(pair.a, 'underlay', out(tcpPacket(TCP.SYN))).steps.length];
    expect(answer(TCP.SYN | TCP.ACK).counters).toEqual({ inbound_snat: 1 });
    lengths.push(pair.forward(pair.a, 'underlay', out(tcpPacket(TCP.ACK))).steps.length);
    lengths.push(pair.forward(pair.a, 'underlay', out(tcpPacket(TCP.ACK | TCP.PSH, 'GET /'))).steps.length);

    expect(lengths).toEqual([3, 3, 1]);
    expect(mappingOf(pair.b).first).toMatchObject({ state: 2, flags: expect.any(Number) });
    const wanted = SESSION_COMMITTED | SESSION_ESTABLISHED_COMMITTED;
    expect(mappingOf(pair.a).first.flags & wanted).toBe(wanted);
    expect(mappingOf(pair.b).first.flags & wanted).toBe(wanted);
  });
});

describe('what is lost on the ha link', () => {
  it('a lost commit: the client\'s own retransmission repeats it', () => {
    const lost = pair.a.run('underlay', out(tcpPacket(TCP.SYN)));
    expect(isSyncFrame(lost.frame)).toBe(true);
    const { final } = pair.forward(pair.a, 'underlay', out(tcpPacket(TCP.SYN)));

    expect(final.counters).toMatchObject({ commit_released: 1 });
    expect(pair.b.mappings()).toHaveLength(1);
  });

  it('a lost reply: the peer applies the repetition without a second effect', () => {
    pair.b.run('ha_xdp', pair.a.run('underlay', out(tcpPacket(TCP.SYN))).frame);
    const before = pair.b.tables();
    const { final } = pair.forward(pair.a, 'underlay', out(tcpPacket(TCP.SYN)));

    expect(final.counters).toMatchObject({ commit_released: 1 });
    expect(pair.b.tables()).toEqual(before);
  });

  it('a silent peer: packets leave at once, sessions are counted as unprotected, once', () => {
    pair.a.setPeerAlive(false);
    const first = pair.a.run('underlay', out(udpPacket()));
    const second = pair.a.run('underlay', out(udpPacket()));

    expect(isSyncFrame(first.frame)).toBe(false);
    expect(first.counters).toMatchObject({ outbound_snat: 1, session_unprotected: 1 });
    expect(second.counters).toEqual({ outbound_snat: 1 });
    expect(mappingOf().first.flags & SESSION_UNPROTECTED).toBe(SESSION_UNPROTECTED);
  });

  it('silence begins when solo_after has passed since the last authentic frame', () => {
    pair.a.setGateway({ soloAfterNs: 100_000_000n });
    pair.a.states.update(0, { peerHeardNs: process.hrtime.bigint() - 150_000_000n });
    expect(isSyncFrame(pair.a.run('underlay', out(udpPacket())).frame)).toBe(false);

    pair.a.setGateway({ soloAfterNs: 3_600_000_000_000n });
    pair.a.setPeerAlive(false);
    pair.a.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n }));
    expect(isSyncFrame(pair.a.run('underlay', out(udpPacket(otherServer))).frame)).toBe(true);
  });

  it('a peer without room does not stop the packet; the session counts as unprotected', () => {
    pair.b.states.update(0, { vms: pair.b.vms.length });
    const { final, steps } = pair.forward(pair.a, 'underlay', out(udpPacket()));

    expect(syncOf(steps[1]!).flags).toBe(SYNC_FLAG.reply | SYNC_UNAPPLIED);
    expect(final.counters).toMatchObject({ commit_released: 1, session_unprotected: 1 });
    expect(pair.b.mappings()).toEqual([]);
  });
});

describe('larger than the ha link takes', () => {
  it('the packet leaves at once and its record goes by the ring buffer', async () => {
    const records: Buffer[] = [];
    listen(pair.a, (_event, bytes) => records.push(bytes));
    pair.a.interfaces.set(2, { ...pair.a.interfaces.get(2)!, mtu: 1500 });
    const held = pair.a.run('underlay', out([...udpPacket().slice(0, 2), payload(Buffer.alloc(1400))]));

    expect(isSyncFrame(held.frame)).toBe(false);
    expect(held.counters).toMatchObject({ outbound_snat: 1, commit_oversize: 1 });
    await vi.waitFor(() => expect(records).toHaveLength(1));
  });
});

describe('asynchronous mode', () => {
  it('packets leave at once, each change gives one record to the ring buffer', async () => {
    pair.reset({ syncMode: 'async' });
    const records: Buffer[] = [];
    listen(pair.a, (_event, bytes) => records.push(bytes));
    const results = [udpPacket(), udpPacket(), udpPacket(otherServer)].map((packet) => pair.a.run('underlay', out(packet)));

    expect(results.map(({ frame: bytes }) => isSyncFrame(bytes))).toEqual([false, false, false]);
    await vi.waitFor(() => expect(records).toHaveLength(2));
    expect(records[0]!.readUInt16BE(26)).toBe(mappingOf().externalPort);
  });
});

describe('what the gateway answers itself', () => {
  it('a new VM\'s ARP request is committed before the reply leaves by the underlay', () => {
    const request = arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: '00:00:00:00:00:00', targetAddress: a1.tenant.gateway });
    const { final, steps } = pair.forward(pair.a, 'underlay', frameFromVm(a1, [request]));

    expect(steps).toHaveLength(3);
    expect(syncOf(steps[0]!)).toMatchObject({ egress: 0 });
    expect(syncOf(steps[0]!).records[0]).toMatchObject({ kind: RECORD_KIND.vm, internalAddress: a1.address });
    const reply = arp({ operation: 2, senderMac: a1.tenant.gatewayMac, senderAddress: a1.tenant.gateway, targetMac: a1.mac, targetAddress: a1.address });
    expectFrame(final.frame, toVm(a1, layerOf(dissect(final.frame), 'udp').sourcePort, [reply]));
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(a1.compute.address);
  });

  it('a VM that moved is committed again', () => {
    pair.forward(pair.a, 'underlay', out(udpPacket()));
    const moved = frameFromVm({ ...a1, compute: world.compute2 }, udpPacket());
    const { steps } = pair.forward(pair.a, 'underlay', moved);

    expect(steps).toHaveLength(3);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });
});

describe('takeover', () => {
  const reply = (port: number): Buffer =>
    fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), udp({ sourcePort: 53, destinationPort: port }), payload('answer')]);

  beforeEach(() => {
    pair.forward(pair.a, 'underlay', out(udpPacket()));
    pair.forward(pair.a, 'underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), icmp({ type: ICMP.echo })]));
  });

  it('before it the Backup forwards nothing', () => {
    expect(pair.b.run('external', reply(mappingOf().externalPort)).counters).toEqual({ drop_not_active: 1 });
  });

  it('the new Active serves the session both ways with the same port, without hearing the VM first', () => {
    const before = mappingOf(pair.a);
    pair.takeOver(pair.b, 'dead');
    const inbound = pair.b.run('external', reply(before.externalPort));
    const outbound = pair.b.run('underlay', out(udpPacket()));

    expect(inbound.verdict).toBe('REDIRECT');
    const answer = [ipv4({ source: server, destination: a1.address, ttl: 63 }), udp({ sourcePort: 53, destinationPort: 5000 }), payload('answer')];
    expectFrame(inbound.frame, toVm(a1, layerOf(dissect(inbound.frame), 'udp').sourcePort, answer));
    expect(layerOf(dissect(outbound.frame), 'udp').sourcePort).toBe(before.externalPort);
    expect(outbound.counters).toEqual({ outbound_snat: 1 });
  });

  it('the new Active serves floating IPs at once', () => {
    pair.takeOver(pair.b, 'dead');
    const packet = fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), tcp({ sourcePort: 1, destinationPort: 22 })]);
    const result = pair.b.run('external', packet);

    expect(result.verdict).toBe('REDIRECT');
    expect(layerOf(dissect(result.frame), 'ipv4').destination).toBe(a2.compute.address);
  });

  it('new sessions of the new Active take ports from its own half', () => {
    pair.takeOver(pair.b, 'dead');
    pair.b.run('underlay', out(udpPacket(server, 6000)));
    const fresh = pair.b.mappings().find((mapping) => mapping.internalPort === 6000)!;
    expect(Math.floor(fresh.externalPort / 256) % 2).toBe(1);
  });

  it('stragglers of the former Active are still committed during the grace, later they are refused', () => {
    pair.takeOver(pair.b, 'draining');
    const straggler = pair.forward(pair.a, 'underlay', out(udpPacket(otherServer, 7000)));
    expect(straggler.final.counters).toMatchObject({ commit_released: 1 });

    pair.b.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
    const late = pair.forward(pair.a, 'underlay', out(udpPacket(otherServer, 7001)));
    expect(syncOf(late.steps[1]!).flags & SYNC_FLAG.refused).toBe(SYNC_FLAG.refused);
    expect(late.final.verdict).toBe('DROP');
    expect(late.final.counters).toEqual({ drop_sync_term: 1 });
    expect(pair.b.mappings().map((mapping) => mapping.internalPort)).not.toContain(7001);
  });

  it('a straggler with another key for a VM\'s ports does not hide the sessions of the new Active', () => {
    pair.takeOver(pair.b, 'draining');
    const before = pair.b.run('underlay', out(udpPacket(server, 6000)));
    const held = pair.b.mappings().find((mapping) => mapping.internalPort === 6000)!;
    pair.a.vms.update(pair.a.vmIndex(a1)!, { portKey: (pair.a.vm(a1)!.portKey ^ 0x5a5a5a5a) >>> 0 });
    pair.forward(pair.a, 'underlay', out(udpPacket(otherServer, 7000)));
    const after = pair.b.run('underlay', out(udpPacket(otherServer, 6000)));

    expect([before, after].map(({ verdict }) => verdict)).toEqual(['REDIRECT', 'REDIRECT']);
    expect(pair.b.mappings().filter((mapping) => mapping.internalPort === 6000)).toHaveLength(1);
    expect(pair.b.mappings().find((mapping) => mapping.internalPort === 6000)!.externalPort).toBe(held.externalPort);
  });

  it.each([
    ['of a VM that both know', true],
    ['of a VM that each got to know alone, with another key', false],
  ])('what a lost commit left behind %s does not move the endpoint to another port after the way back', (_, known) => {
    if (!known) pair.reset();
    pair.a.run('underlay', out(udpPacket(server, 6000)));
    pair.takeOver(pair.b, 'draining');
    pair.a.setState('backup');
    const { final } = pair.forward(pair.b, 'underlay', out(udpPacket(server, 6000)));
    const port = layerOf(dissect(final.frame), 'udp').sourcePort;
    pair.takeOver(pair.a, 'dead');

    expect(layerOf(dissect(pair.a.run('underlay', out(udpPacket(server, 6000))).frame), 'udp').sourcePort).toBe(port);
    expect(pair.a.mappings().filter((mapping) => mapping.internalPort === 6000)).toHaveLength(1);
  });

  it('split brain: a new session of the fenced Active changes nothing at the rightful one', () => {
    pair.b.setState('active', { term: 2, activeSinceNs: 1n });
    const before = pair.b.tables();
    const { final } = pair.forward(pair.a, 'underlay', out(udpPacket(otherServer, 7000)));

    expect(final.verdict).toBe('DROP');
    expect(pair.b.tables()).toEqual(before);
  });

  it('the Backup follows the Active\'s term', () => {
    pair.a.setState('active', { term: 7 });
    pair.forward(pair.a, 'underlay', out(udpPacket(otherServer, 7000)));
    expect(pair.b.virtualRouters.get(world.VRID).term).toBe(7);
  });
});

describe('heartbeats and messages', () => {
  const template = (type: number, body: Layer[] = []): Buffer =>
    frame(
      ethernet({ source: nodeA.ha.mac, destination: nodeB.ha.mac }),
      ipv4({ source: nodeA.ha.address, destination: nodeB.ha.address, ttl: 255 }),
      udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
      sync({ type }),
      ...body,
    );

  it('a heartbeat is sealed, turned round and noted by both', () => {
    const sealed = pair.a.run('seal_xdp', template(SYNC_TYPE.heartbeat));
    expect(sealed.verdict).toBe('TX');
    expect(syncOf(sealed).mac).toBe(messageMac(syncMessage(sealed.frame), world.SYNC_KEY));

    pair.a.setPeerAlive(false);
    pair.b.setPeerAlive(false);
    const turned = pair.b.run('ha_xdp', sealed.frame);
    const returned = pair.a.run('ha_xdp', turned.frame);

    expect([turned.verdict, turned.counters]).toEqual(['TX', { heartbeat_turned: 1 }]);
    expect([returned.verdict, returned.counters]).toEqual(['DROP', { heartbeat_returned: 1 }]);
    for (const gateway of [pair.a, pair.b]) expect(gateway.states.get(0).peerHeardNs).toBeGreaterThan(0n);
  });

  it('sequence numbers grow by one whatever is sealed', () => {
    const sequences = [1, 2, 3].map(() => syncOf(pair.a.run('seal_xdp', template(SYNC_TYPE.heartbeat))).sequence);
    expect(sequences).toEqual([1n, 2n, 3n]);
    expect(syncOf(pair.a.run('underlay', out(udpPacket()))).sequence).toBe(4n);
  });

  it('a control message reaches the peer\'s control plane with its payload', async () => {
    const events: { type: number; body: string }[] = [];
    listen(pair.b, (event, bytes) => events.push({ type: event.type, body: bytes.toString() }));
    const sealed = pair.a.run('seal_xdp', template(SYNC_TYPE.control, [payload('{"hello":"peer"}')]));
    const result = pair.b.run('ha_xdp', sealed.frame);

    expect([result.verdict, result.counters]).toEqual(['DROP', { sync_to_control_plane: 1 }]);
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]).toEqual({ type: 2, body: '{"hello":"peer"}' });
  });
});
