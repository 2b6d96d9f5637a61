/** RFC 4787 REQ-14: fragments go where their first one went. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, ticksAgo, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ethernet, frame, icmp, ICMP, ipv4, payload, PROTOCOL, split, tcp, TCP, udp, type Ipv4, type Layer } from '../support/packet.js';
import { emittedBy, expectDropped, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, send, type Protocol } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, fromOutside, otherServer, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const WEB = vmOf(world.tenantA, 20);
const BODY = payload(Buffer.from(Array.from({ length: 100 }, (_, index) => index)));

interface Long {
  readonly name: string;
  readonly protocol: Protocol;
  readonly request: (port: number) => Layer[];
  readonly reply: (port: number) => Layer[];
}

const longs: readonly Long[] = [
  {
    name: 'udp',
    protocol: overUdp,
    request: (port) => [udp({ sourcePort: port, destinationPort: 53 }), BODY],
    reply: (port) => [udp({ sourcePort: 53, destinationPort: port }), BODY],
  },
  {
    name: 'udp without checksum',
    protocol: overUdp,
    request: (port) => [udp({ sourcePort: port, destinationPort: 53, checksum: 0 }), BODY],
    reply: (port) => [udp({ sourcePort: 53, destinationPort: port, checksum: 0 }), BODY],
  },
  {
    name: 'tcp',
    protocol: overTcp,
    request: (port) => [tcp({ sourcePort: port, destinationPort: 80, flags: TCP.SYN }), BODY],
    reply: (port) => [tcp({ sourcePort: 80, destinationPort: port, flags: TCP.SYN | TCP.ACK }), BODY],
  },
  {
    name: 'icmp echo',
    protocol: overIcmp,
    request: (port) => [icmp({ type: ICMP.echo, identifier: port }), BODY],
    reply: (port) => [icmp({ type: ICMP.echoReply, identifier: port }), BODY],
  },
];

/** Of at most 48 bytes each: three. */
const parts = (network: Ipv4, segment: readonly Layer[]): Layer[][] => split(48, [network, ...segment]);

describe.each(hooks)('fragments, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, WEB);
  });

  const fromA1 = (part: readonly Layer[]): RunResult => gateway.run('underlay', frameFromVm(a1, part));
  const fromServer = (part: readonly Layer[]): RunResult => gateway.run('external', fromOutside(part));

  describe.each(longs)('$name', ({ protocol, request, reply }) => {
    it('outbound by shared SNAT: put together they are the translated packet', () => {
      const results = parts(ipv4({ source: a1.address, destination: server, identification: 7 }), request(PORT)).map(fromA1);
      const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
      const expected = parts(ipv4({ source: ADDRESS, destination: server, identification: 7, ttl: 63 }), request(externalPort));
      expect(results).toHaveLength(expected.length);
      results.forEach((result, index) => {
        expectToOutside(result, expected[index]!);
        expect(result.counters).toMatchObject({ outbound_snat: 1 });
      });
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('inbound to shared SNAT', () => {
      send(gateway, a1, server, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
      const results = parts(ipv4({ source: server, destination: ADDRESS, identification: 8 }), reply(externalPort)).map(fromServer);
      const expected = parts(ipv4({ source: server, destination: a1.address, identification: 8, ttl: 63 }), reply(PORT));
      results.forEach((result, index) => {
        expectToVm(result, a1, expected[index]!);
        expect(result.counters).toEqual({ inbound_snat: 1 });
      });
    });
  });

  it('of a port forwarding, both ways', () => {
    gateway.addForwarding({ vm: WEB, protocol: 'udp', internalPort: 53, externalPort: 5353 });
    const request = (port: number): Layer[] => [udp({ sourcePort: PORT, destinationPort: port }), BODY];
    const reply = (port: number): Layer[] => [udp({ sourcePort: port, destinationPort: PORT }), BODY];
    const inbound = parts(ipv4({ source: server, destination: ADDRESS, identification: 1 }), request(5353)).map(fromServer);
    const toWeb = parts(ipv4({ source: server, destination: WEB.address, identification: 1, ttl: 63 }), request(53));
    inbound.forEach((result, index) => expectToVm(result, WEB, toWeb[index]!));
    const outbound = parts(ipv4({ source: WEB.address, destination: server, identification: 2 }), reply(53)).map((part) => gateway.run('underlay', frameFromVm(WEB, part)));
    const toServer = parts(ipv4({ source: ADDRESS, destination: server, identification: 2, ttl: 63 }), reply(5353));
    outbound.forEach((result, index) => expectToOutside(result, toServer[index]!));
  });

  it('of a VM with a floating IP go in any order, without a table', () => {
    const packet = parts(ipv4({ source: a2.address, destination: server, identification: 3 }), longs[1]!.request(PORT));
    const expected = parts(ipv4({ source: a2.floatingIp!, destination: server, identification: 3, ttl: 63 }), longs[1]!.request(PORT));
    for (const index of [2, 0, 1]) expectToOutside(gateway.run('underlay', frameFromVm(a2, packet[index]!)), expected[index]!);
    const back = parts(ipv4({ source: server, destination: a2.floatingIp!, identification: 4 }), longs[1]!.reply(PORT));
    const toA2 = parts(ipv4({ source: server, destination: a2.address, identification: 4, ttl: 63 }), longs[1]!.reply(PORT));
    for (const index of [1, 2, 0]) expectToVm(fromServer(back[index]!), a2, toA2[index]!);
    expect([...gateway.fragments.keys()]).toEqual([]);
  });

  it('between two networks of a router go in any order', () => {
    const packet = parts(ipv4({ source: a1.address, destination: a3.address, identification: 3 }), longs[0]!.request(PORT));
    const expected = parts(ipv4({ source: a1.address, destination: a3.address, identification: 3, ttl: 63 }), longs[0]!.request(PORT));
    for (const index of [2, 1, 0]) expectToVm(fromA1(packet[index]!), a3, expected[index]!);
  });

  describe('out of order (RFC 4787 REQ-14a)', () => {
    it.each(['outbound', 'inbound'] as const)('%s: the control plane gets what came too early, and brings it again', async (direction) => {
      send(gateway, a1, server, overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const outbound = direction === 'outbound';
      const packet = outbound
        ? parts(ipv4({ source: a1.address, destination: server, identification: 9 }), longs[0]!.request(PORT))
        : parts(ipv4({ source: server, destination: ADDRESS, identification: 9 }), longs[0]!.reply(externalPort));
      const bytes = packet.map((part) => (outbound ? frameFromVm(a1, part) : fromOutside(part)));
      const program = outbound ? 'underlay' : 'external';
      const events = await emittedBy(gateway);

      expectDropped(gateway.run(program, bytes[2]!), 'fragment_early');
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.fragmentEarly, interface: outbound ? 0 : 1 });
      expectFrame(events[0]!.frame, bytes[2]!);
      for (const index of [0, 1]) expect(gateway.run(program, bytes[index]!).verdict).toBe('REDIRECT');
      const again = gateway.run(program, events[0]!.frame);
      if (outbound) expectToOutside(again, parts(ipv4({ source: ADDRESS, destination: server, identification: 9, ttl: 63 }), longs[0]!.request(externalPort))[2]!);
      else expectToVm(again, a1, parts(ipv4({ source: server, destination: a1.address, identification: 9, ttl: 63 }), longs[0]!.reply(PORT))[2]!);
    });
  });

  describe('are not taken for those of another packet', () => {
    const datagram = parts(ipv4({ source: a1.address, destination: server, identification: 9 }), longs[0]!.request(PORT));
    const later = (change: Partial<Ipv4>): Layer[] => [{ ...(datagram[1]![0] as Ipv4), ...change }, datagram[1]![1]!];
    beforeEach(() => void fromA1(datagram[0]!));

    it.each<[string, Partial<Ipv4>]>([
      ['another identification', { identification: 10 }],
      ['another destination', { destination: otherServer }],
      ['another protocol', { protocol: PROTOCOL.tcp, fragmentOffset: 6 }],
    ])('with %s', (_, change) => {
      expectDropped(fromA1(later(change)), 'fragment_early');
    });

    it('of a VM with the same address in another network', () => {
      learn(gateway, b1);
      expectDropped(gateway.run('underlay', frameFromVm(b1, later({}))), 'fragment_early');
    });

    it('from outside, as if it were the VM\'s', () => {
      expectDropped(fromServer(later({ source: server, destination: ADDRESS })), 'fragment_early');
    });

    it('once half a minute has passed', () => {
      const [[key, fragment]] = [...gateway.fragments] as [[Parameters<typeof gateway.fragments.set>[0], Parameters<typeof gateway.fragments.set>[1]]];
      expect(fromA1(later({})).verdict).toBe('REDIRECT');
      gateway.fragments.set(key, { ...fragment, lastSeen: ticksAgo(30) });
      expectDropped(fromA1(later({})), 'fragment_early');
    });
  });

  describe('that hide the transport header (RFC 1858)', () => {
    const inner = (network: Partial<Ipv4>, bytes: number): Layer[] => [
      ipv4({ source: a1.address, destination: server, protocol: PROTOCOL.tcp, identification: 6, ...network }),
      payload(frame(ethernet({ source: a1.mac, destination: a1.mac }), ipv4({ source: a1.address, destination: server }), tcp({ sourcePort: PORT, destinationPort: 80, options: Buffer.alloc(12, 1) })).subarray(34, 34 + bytes)),
    ];

    it.each([8, 16])('a first fragment of TCP with only %i bytes is dropped', (bytes) => {
      const before = gateway.mappings();
      expect(fromA1(inner({ moreFragments: true }, bytes)).verdict).toBe('DROP');
      expect(gateway.mappings()).toEqual(before);
    });

    it('one whose options do not fit is dropped', () => {
      expectDropped(fromA1(inner({ moreFragments: true }, 24)), 'fragment');
    });

    it('one that would overwrite the flags is dropped', () => {
      fromA1(inner({ moreFragments: true }, 32));
      expectDropped(fromA1(inner({ fragmentOffset: 1 }, 32)), 'fragment');
    });
  });

  it('a later fragment neither makes nor refreshes a session', () => {
    const packet = parts(ipv4({ source: a1.address, destination: server, identification: 9 }), longs[0]!.request(PORT)).map((part) => frameFromVm(a1, part));
    gateway.run('underlay', packet[0]!);
    const before = gateway.tables();
    gateway.run('underlay', packet[1]!);
    expect(gateway.tables()).toEqual(before);
  });

  it('a fragment to an echo address of ours is dropped: echo is answered whole', () => {
    expectDropped(fromServer([ipv4({ source: server, destination: ADDRESS, moreFragments: true }), icmp({ type: ICMP.echo }), payload(Buffer.alloc(16))]), 'fragment');
  });
});
