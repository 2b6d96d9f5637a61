/** RFC 4787 §6: a VM reaches another one, or itself, by an external address that is ours. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { macToBuffer } from '../support/bytes.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { icmp, ICMP, ipv4, payload, PROTOCOL, quote, split, udp, UNREACHABLE } from '../support/packet.js';
import {
  expectDropped, expectSent, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send,
} from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, b2, frameFromVm, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS_A = world.tenantA.externalAddress;
const ADDRESS_B = world.tenantB.externalAddress;
const WEB = vmOf(world.tenantA, 20);
const forwarded = { vm: WEB, protocol: 'tcp', internalPort: 80, externalPort: 8080 } as const;

describe.each(hooks)('hairpinning, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, b1, b2);
  });

  describe.each(protocols)('$name', (protocol) => {
    it('a VM behind shared SNAT and one with a floating IP see each other\'s external address (RFC 4787 REQ-9a)', () => {
      const there = send(gateway, a1, a2.floatingIp!, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
      expectToVm(there, a2, [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), ...protocol.request(externalPort)]);
      expect(there.counters).toEqual({ hairpin: 1, session_created: 1 });

      const back = send(gateway, a2, ADDRESS_A, protocol.reply(externalPort));
      expectToVm(back, a1, [ipv4({ source: a2.floatingIp!, destination: a1.address, ttl: 63 }), ...protocol.reply(PORT)]);
      expect(back.counters).toEqual({ hairpin: 1 });
    });

    it('two VMs with floating IPs, of two routers of the gateway', () => {
      const before = gateway.tables();
      const result = send(gateway, a2, b2.floatingIp!, protocol.request(PORT));
      expectToVm(result, b2, [ipv4({ source: a2.floatingIp!, destination: b2.address, ttl: 63 }), ...protocol.request(PORT)]);
      expect(result.counters).toEqual({ hairpin: 1 });
      expect(gateway.tables()).toEqual(before);
    });

    it('a VM reaches its own floating IP, and sees it as the sender', () => {
      const result = send(gateway, a2, a2.floatingIp!, protocol.request(PORT));
      expectToVm(result, a2, [ipv4({ source: a2.floatingIp!, destination: a2.address, ttl: 63 }), ...protocol.request(PORT)]);
    });

    it('from shared SNAT to a floating IP of another router', () => {
      const there = send(gateway, a1, b2.floatingIp!, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
      expectToVm(there, b2, [ipv4({ source: ADDRESS_A, destination: b2.address, ttl: 63 }), ...protocol.request(externalPort)]);
      const back = send(gateway, b2, ADDRESS_A, protocol.reply(externalPort));
      expectToVm(back, a1, [ipv4({ source: b2.floatingIp!, destination: a1.address, ttl: 63 }), ...protocol.reply(PORT)]);
    });

    it('the mapping is the one that other remotes see', () => {
      send(gateway, a1, server, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
      const result = send(gateway, a1, a2.floatingIp!, protocol.request(PORT));
      expectToVm(result, a2, [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), ...protocol.request(externalPort)]);
    });
  });

  it('any protocol between floating IPs', () => {
    const segment = [payload(Buffer.alloc(20, 7))];
    const result = send(gateway, a2, b2.floatingIp!, segment, { protocol: PROTOCOL.esp });
    expectToVm(result, b2, [ipv4({ source: a2.floatingIp!, destination: b2.address, ttl: 63, protocol: PROTOCOL.esp }), ...segment]);
  });

  it('header options and the UDP checksum zero stay', () => {
    const options = Buffer.from('94040000', 'hex');
    const segment = [udp({ sourcePort: PORT, destinationPort: 53, checksum: 0 }), payload('odd')];
    const result = send(gateway, a2, b2.floatingIp!, segment, { options });
    expectToVm(result, b2, [ipv4({ source: a2.floatingIp!, destination: b2.address, ttl: 63, options }), ...segment]);
  });

  it('counts for the floating IP at both ends', () => {
    send(gateway, a2, b2.floatingIp!, overUdp.request(PORT));
    const bytes = BigInt(20 + 8 + 8);
    expect(gateway.floatingIpCounter(a2.floatingIp!)).toMatchObject({ outboundPackets: 1n, outboundBytes: bytes, inboundPackets: 0n });
    expect(gateway.floatingIpCounter(b2.floatingIp!)).toMatchObject({ inboundPackets: 1n, inboundBytes: bytes, outboundPackets: 0n });
  });

  describe('port forwardings', () => {
    beforeEach(() => {
      gateway.addForwarding(forwarded);
      learn(gateway, WEB);
    });

    it.each([
      ['behind shared SNAT of the same router', a1, ADDRESS_A],
      ['behind shared SNAT of the same router, in another network', a3, ADDRESS_A],
      ['behind shared SNAT of another router', b1, ADDRESS_B],
    ] as const)('are reached by a VM %s, both ways', (_, client, clientAddress) => {
      const there = send(gateway, client, ADDRESS_A, overTcp.request(PORT, 8080));
      const { externalPort } = mappingOf(gateway, client, overTcp, PORT);
      expectToVm(there, WEB, [ipv4({ source: clientAddress, destination: WEB.address, ttl: 63 }), ...overTcp.request(externalPort, 80)]);
      expect(there.counters).toMatchObject({ hairpin: 1 });

      const back = send(gateway, WEB, clientAddress, overTcp.reply(externalPort, 80));
      expectToVm(back, client, [ipv4({ source: ADDRESS_A, destination: client.address, ttl: 63 }), ...overTcp.reply(PORT, 8080)]);
      expect(back.counters).toEqual({ hairpin: 1 });
    });

    it('are reached by a VM with a floating IP', () => {
      const there = send(gateway, a2, ADDRESS_A, overTcp.request(PORT, 8080));
      expectToVm(there, WEB, [ipv4({ source: a2.floatingIp!, destination: WEB.address, ttl: 63 }), ...overTcp.request(PORT, 80)]);
      const back = send(gateway, WEB, a2.floatingIp!, overTcp.reply(PORT, 80));
      expectToVm(back, a2, [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), ...overTcp.reply(PORT, 8080)]);
    });

    it('are reached by the VM that they lead to', () => {
      const there = send(gateway, WEB, ADDRESS_A, overTcp.request(PORT, 8080));
      const { externalPort } = mappingOf(gateway, WEB, overTcp, PORT);
      expectToVm(there, WEB, [ipv4({ source: ADDRESS_A, destination: WEB.address, ttl: 63 }), ...overTcp.request(externalPort, 80)]);
    });
  });

  describe('between two mappings of shared SNAT', () => {
    const mapped = (vm: world.VirtualMachine): number => {
      send(gateway, vm, server, overUdp.request(PORT));
      return mappingOf(gateway, vm, overUdp, PORT).externalPort;
    };

    it.each([
      ['of two routers', a1, b1],
      ['of one address', a1, a3],
    ] as const)('%s: filtered until both have written, as any remote is', (_, one, other) => {
      const [onePort, otherPort] = [mapped(one), mapped(other)];
      const [oneAddress, otherAddress] = [one.tenant.externalAddress, other.tenant.externalAddress];
      expectDropped(send(gateway, one, otherAddress, overUdp.request(PORT, otherPort)), 'filtered');
      const there = send(gateway, other, oneAddress, overUdp.request(PORT, onePort));
      expectToVm(there, one, [ipv4({ source: otherAddress, destination: one.address, ttl: 63 }), ...overUdp.request(otherPort, PORT)]);
      const back = send(gateway, one, otherAddress, overUdp.request(PORT, otherPort));
      expectToVm(back, other, [ipv4({ source: oneAddress, destination: other.address, ttl: 63 }), ...overUdp.request(onePort, PORT)]);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('endpoint-independent filtering lets the first packet in', () => {
      const port = mapped(b1);
      gateway.setRouter({ filtering: 0 }, world.tenantB);
      const result = send(gateway, a1, ADDRESS_B, overUdp.request(PORT, port));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      expectToVm(result, b1, [ipv4({ source: ADDRESS_A, destination: b1.address, ttl: 63 }), ...overUdp.request(externalPort, PORT)]);
    });
  });

  describe('ICMP errors', () => {
    it('of a VM with a floating IP reach the sender with what it had sent (RFC 5508 REQ-7)', () => {
      send(gateway, a1, a2.floatingIp!, overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const before = gateway.tables();
      const seen = [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), ...overUdp.request(externalPort)];
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.port });
      const result = send(gateway, a2, ADDRESS_A, [error, quote(seen)]);

      const sent = [ipv4({ source: a1.address, destination: a2.floatingIp!, ttl: 63 }), ...overUdp.request(PORT)];
      expectToVm(result, a1, [ipv4({ source: a2.floatingIp!, destination: a1.address, ttl: 63 }), error, quote(sent)]);
      expect(result.counters).toEqual({ hairpin: 1 });
      expect(gateway.tables()).toEqual(before);
    });

    it('of a VM behind shared SNAT reach one with a floating IP', () => {
      send(gateway, a1, a2.floatingIp!, overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.port });
      const seen = [ipv4({ source: a2.floatingIp!, destination: a1.address, ttl: 63 }), ...overUdp.reply(PORT)];
      const result = send(gateway, a1, a2.floatingIp!, [error, quote(seen, 8)]);

      const sent = [ipv4({ source: a2.address, destination: ADDRESS_A, ttl: 63 }), ...overUdp.reply(externalPort)];
      expectToVm(result, a2, [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), error, quote(sent, 8)]);
    });

    it('of a port forwarding\'s VM reach the VM that used it', () => {
      gateway.addForwarding(forwarded);
      learn(gateway, WEB);
      send(gateway, b1, ADDRESS_A, overTcp.request(PORT, 8080));
      const { externalPort } = mappingOf(gateway, b1, overTcp, PORT);
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.prohibited });
      const seen = [ipv4({ source: ADDRESS_B, destination: WEB.address, ttl: 63 }), ...overTcp.request(externalPort, 80)];
      const result = send(gateway, WEB, ADDRESS_B, [error, quote(seen, 8)]);

      const sent = [ipv4({ source: b1.address, destination: ADDRESS_A, ttl: 63 }), ...overTcp.request(PORT, 8080)];
      expectToVm(result, b1, [ipv4({ source: ADDRESS_A, destination: b1.address, ttl: 63 }), error, quote(sent, 8)]);
    });
  });

  describe('our own addresses', () => {
    it.each([ADDRESS_A, ADDRESS_B])('echo to %s is answered as by any router', (address) => {
      const result = send(gateway, a1, address, overIcmp.request(5));
      expectToVm(result, a1, [ipv4({ source: address, destination: a1.address, ttl: 64 }), ...overIcmp.reply(5)]);
      expect(result.verdict).toBe('TX');
      expect(result.counters).toEqual({ echo_reply_inner: 1 });
    });

    it('an address without mapping or forwarding at that port refuses', () => {
      expectDropped(send(gateway, a2, ADDRESS_A, overTcp.request(PORT, 81)), 'no_mapping');
      expectDropped(send(gateway, a2, ADDRESS_B, overUdp.request(PORT)), 'no_mapping');
    });
  });

  it('fragments take the same way, the later ones by what the first has said', () => {
    const packet = (source: string, destination: string, port: number, ttl: number) =>
      [ipv4({ source, destination, identification: 9, ttl }), udp({ sourcePort: port, destinationPort: 53 }), payload(Buffer.alloc(60, 3))] as const;
    const results = split(32, packet(a1.address, a2.floatingIp!, PORT, 64)).map((part) => gateway.run('underlay', frameFromVm(a1, part)));
    const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
    split(32, packet(ADDRESS_A, a2.address, externalPort, 63)).forEach((part, index) => {
      expectToVm(results[index]!, a2, part);
    });
  });

  it('an address that another gateway serves is reached on the provider network', () => {
    const peer = { vrid: 52, mac: '00:00:5e:00:01:34' };
    gateway.virtualRouters.set(peer.vrid, { ...gateway.virtualRouters.get(world.VRID), state: 1, mac: macToBuffer(peer.mac) });
    gateway.setRouter({ virtualRouter: peer.vrid }, world.tenantB);
    gateway.addNeighbour('external', b2.floatingIp!, peer.mac);
    const result = send(gateway, a2, b2.floatingIp!, overUdp.request(PORT));
    expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: b2.floatingIp!, ttl: 63 }), ...overUdp.request(PORT)], peer.mac);
    expect(result.counters).toEqual({ outbound_floating_ip: 1 });
  });

  it('a packet from outside with one of our addresses as its source is none of ours', () => {
    const result = receive(gateway, a2.floatingIp!, b2.floatingIp!, overUdp.request(PORT));
    expectSent(result);
    expect(result.counters).toEqual({ inbound_floating_ip: 1 });
  });

  it('TTL 1 does not come round', () => {
    gateway.setGateway({ icmpErrorsPerSecond: 0 });
    const result = send(gateway, a2, b2.floatingIp!, overUdp.request(PORT), { ttl: 1 });
    expect(result.verdict).toBe('DROP');
    expect(result.counters).toMatchObject({ drop_ttl_exceeded: 1 });
  });
});

describe.each(hooks)('hairpinning of a pair, %s', (hook) => {
  const pair = Pair.load({ hook });
  afterAll(() => pair.close());
  beforeEach(() => {
    pair.reset();
    for (const vm of [a1, a2]) pair.forward(pair.a, 'underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: vm.tenant.gateway }), ...overIcmp.request(1)]));
  });

  it('the session is on the peer before the packet reaches the other VM', () => {
    const bytes = frameFromVm(a1, [ipv4({ source: a1.address, destination: a2.floatingIp! }), ...overUdp.request(PORT)]);
    const { final, steps } = pair.forward(pair.a, 'underlay', bytes);
    const { externalPort } = mappingOf(pair.a, a1, overUdp, PORT);

    expect(steps.map(({ frame }) => isSyncFrame(frame))).toEqual([true, true, false]);
    expectToVm(final, a2, [ipv4({ source: ADDRESS_A, destination: a2.address, ttl: 63 }), ...overUdp.request(externalPort)]);
    expect(mappingOf(pair.b, a1, overUdp, PORT).externalPort).toBe(externalPort);
  });
});
