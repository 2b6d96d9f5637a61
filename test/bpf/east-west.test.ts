/** Between the networks of one router: routed, not translated. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { numberToIpv4 } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { esp, gre, icmp, ICMP, ipv4, payload, PROTOCOL, quote, tcp, TCP, udp, UNREACHABLE, type Ipv4, type Layer } from '../support/packet.js';
import { emittedBy, expectDropped, expectSent, expectToOutside, expectToVm, learn, overIcmp, overUdp, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, networkA2, server, vmOf } from '../support/world.js';

const PORT = 40_000;

interface Case {
  readonly name: string;
  readonly header?: Partial<Ipv4>;
  readonly segment: readonly Layer[];
}

const cases: readonly Case[] = [
  { name: 'tcp', segment: [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.SYN })] },
  { name: 'udp', segment: [udp({ sourcePort: PORT, destinationPort: 53 }), payload('odd')] },
  { name: 'udp without checksum', segment: [udp({ sourcePort: PORT, destinationPort: 53, checksum: 0 }), payload('x')] },
  { name: 'icmp echo', segment: overIcmp.request(7) },
  { name: 'icmp timestamp', segment: [icmp({ type: ICMP.timestamp }), payload(Buffer.alloc(12))] },
  { name: 'gre', header: { protocol: PROTOCOL.gre }, segment: [gre()] },
  { name: 'esp', header: { protocol: PROTOCOL.esp }, segment: [esp()] },
  { name: 'header options, DF, DSCP', header: { options: Buffer.alloc(8, 1), dontFragment: true, typeOfService: 0xb8 }, segment: overUdp.request(PORT) },
  { name: 'a later fragment', header: { fragmentOffset: 10, protocol: PROTOCOL.udp, identification: 4 }, segment: [payload(Buffer.alloc(20, 4))] },
  {
    name: 'an ICMP error, with what it quotes',
    segment: [icmp({ type: ICMP.unreachable, code: UNREACHABLE.port }), quote([ipv4({ source: a3.address, destination: a1.address }), ...overUdp.request(PORT)])],
  },
];

describe.each(hooks)('east-west, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, b1);
  });

  it.each(cases)('$name: one hop older and otherwise as it was', ({ header = {}, segment }) => {
    const before = gateway.tables();
    const result = send(gateway, a1, a3.address, segment, header);
    expectToVm(result, a3, [ipv4({ source: a1.address, destination: a3.address, ...header, ttl: 63 }), ...segment]);
    expect(result.verdict).toBe('REDIRECT');
    expect(result.counters).toEqual({ east_west: 1 });
    expect(gateway.tables()).toEqual(before);
  });

  it('the other way as well, and from a VM with a floating IP', () => {
    expectToVm(send(gateway, a3, a1.address, overUdp.reply(PORT)), a1, [ipv4({ source: a3.address, destination: a1.address, ttl: 63 }), ...overUdp.reply(PORT)]);
    expectToVm(send(gateway, a2, a3.address, overUdp.request(PORT)), a3, [ipv4({ source: a2.address, destination: a3.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('learns the sender by it', () => {
    const fresh = vmOf(world.tenantA, 50);
    const result = send(gateway, fresh, a3.address, overUdp.request(PORT));
    expect(result.counters).toEqual({ east_west: 1, vm_learned: 1 });
    expect(numberToIpv4(gateway.vm(fresh)!.tunnelEndpoint)).toBe(fresh.compute.address);
  });

  it.skipIf(hook === 'tc')('goes out by the underlay', () => {
    gateway.setPorts('external', 'ha');
    expect(send(gateway, a1, a3.address, overUdp.request(PORT)).verdict).toBe('ABORTED');
  });

  it.each([
    ['that was never heard of', false],
    ['that the configuration knows', true],
  ])('to a VM %s: the control plane is told whom to ask for, and gets the frame', async (_, known) => {
    const silent = vmOf(networkA2, 77);
    if (known) gateway.ensureVm(silent);
    const events = await emittedBy(gateway);
    const bytes = frameFromVm(a1, [ipv4({ source: a1.address, destination: silent.address }), ...overUdp.request(PORT)]);
    const result = gateway.run('underlay', bytes);

    expect(result.counters).toMatchObject({ drop_endpoint_unknown: 1 });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]!.event).toMatchObject({ type: eventType.endpointUnresolved, network: gateway.networkIndex(networkA2) });
    expect(numberToIpv4(events[0]!.event.address)).toBe(silent.address);
    expectFrame(events[0]!.frame, bytes);
  });

  it('TTL 1 ends at the router', () => {
    gateway.setGateway({ icmpErrorsPerSecond: 0 });
    expect(send(gateway, a1, a3.address, overUdp.request(PORT), { ttl: 1 }).counters).toMatchObject({ drop_ttl_exceeded: 1 });
  });

  it('the other network\'s gateway address answers echo, and nothing else', () => {
    const result = send(gateway, a1, networkA2.gateway, overIcmp.request(3));
    expectToVm(result, a1, [ipv4({ source: networkA2.gateway, destination: a1.address }), ...overIcmp.reply(3)]);
    expect(result.counters).toEqual({ echo_reply_inner: 1 });
    expect(send(gateway, a1, networkA2.gateway, overUdp.request(PORT)).counters).toEqual({ drop_port_unreachable: 1, icmp_error_to_vm: 1 });
    expect(send(gateway, a1, networkA2.gateway, [gre()], { protocol: PROTOCOL.gre }).counters).toEqual({ drop_destination_not_routed: 1, icmp_error_to_vm: 1 });
  });

  it('another tenant\'s networks are not there: the same address is one of the own network', () => {
    const before = gateway.tables();
    const result = send(gateway, b1, a3.address, overUdp.request(PORT));
    // For tenant B it is an address of the outside like any other.
    expectSent(result);
    expect(result.counters).toMatchObject({ outbound_snat: 1 });
    expect(layerOf(dissect(result.frame), 'ipv4').destination).toBe(a3.address);
    expect(gateway.tables().vms).toHaveLength(before.vms.length);
  });

  it('a packet to the own network is not for the router', () => {
    gateway.setGateway({ icmpErrorsPerSecond: 0 });
    expect(send(gateway, a1, a2.address, overUdp.request(PORT)).counters).toMatchObject({ drop_destination_not_routed: 1 });
  });

  it('the tunnel of the sender is not reflected: option, type of service, addresses are the receiver\'s', () => {
    const tunnel = { geneve: { options: [] }, ipv4: { ttl: 3, typeOfService: 0x28 } };
    const result = send(gateway, a1, a3.address, overUdp.request(PORT), {}, tunnel);
    expectToVm(result, a3, [ipv4({ source: a1.address, destination: a3.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('congestion met on the way to us is carried on (RFC 6040 §4.2)', () => {
    const result = send(gateway, a1, a3.address, overUdp.request(PORT), { typeOfService: 2 }, { ipv4: { typeOfService: 3 } });
    expectToVm(result, a3, [ipv4({ source: a1.address, destination: a3.address, ttl: 63, typeOfService: 3 }), ...overUdp.request(PORT)]);
  });

  it('draining forwards with the virtual MAC, backup does not', () => {
    gateway.setState('draining');
    expectToVm(send(gateway, a1, a3.address, overUdp.request(PORT)), a3, [ipv4({ source: a1.address, destination: a3.address, ttl: 63 }), ...overUdp.request(PORT)]);
    gateway.setState('backup');
    expectDropped(send(gateway, a1, a3.address, overUdp.request(PORT)), 'not_active');
  });

  describe('static routes by way of a VM', () => {
    const behind = '10.99.1.7';
    beforeEach(() => gateway.addRoute(world.tenantA, { address: '10.99.0.0', length: 16 }, { kind: 'vm', network: networkA2, via: a3.address }));

    it('lead to that VM, destination unchanged', () => {
      const result = send(gateway, a1, behind, overUdp.request(PORT));
      expectToVm(result, a3, [ipv4({ source: a1.address, destination: behind, ttl: 63 }), ...overUdp.request(PORT)]);
      expect(result.counters).toEqual({ east_west: 1 });
    });

    it('the longest prefix wins', () => {
      gateway.addRoute(world.tenantA, { address: '10.99.1.0', length: 24 }, { kind: 'vm', network: world.tenantA, via: a2.address });
      expectToVm(send(gateway, a1, behind, overUdp.request(PORT)), a2, [ipv4({ source: a1.address, destination: behind, ttl: 63 }), ...overUdp.request(PORT)]);
      expectToVm(send(gateway, a1, '10.99.2.7', overUdp.request(PORT)), a3, [ipv4({ source: a1.address, destination: '10.99.2.7', ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('what is behind it may send by it, to VMs and to the outside', () => {
      const routed = { ...a3, address: behind };
      const inside = send(gateway, routed, a1.address, overUdp.reply(PORT));
      expectToVm(inside, a1, [ipv4({ source: behind, destination: a1.address, ttl: 63 }), ...overUdp.reply(PORT)]);
      const outside = send(gateway, routed, server, overUdp.request(PORT));
      expect(outside.counters).toMatchObject({ outbound_snat: 1 });
    });

    it('nobody in another network may send from there', () => {
      expectDropped(send(gateway, { ...a1, address: behind }, server, overUdp.request(PORT)), 'source_not_in_subnet');
    });

    it('are not those of other tenants', () => {
      const result = send(gateway, b1, behind, overUdp.request(PORT));
      expect(result.counters).toMatchObject({ outbound_snat: 1 });
    });

    it('an ICMP error of the VM about a packet through it reaches the sender (traceroute)', () => {
      const sent = [ipv4({ source: a1.address, destination: behind, ttl: 1 }), ...overUdp.request(PORT)];
      const exceeded = icmp({ type: ICMP.timeExceeded });
      const result = send(gateway, a3, a1.address, [exceeded, quote(sent)]);
      expectToVm(result, a1, [ipv4({ source: a3.address, destination: a1.address, ttl: 63 }), exceeded, quote(sent)]);
    });

    it('without the route it is the outside', () => {
      gateway.routes.delete({ prefixLength: 32 + 16, scope: 0, address: 0x0a630000 });
      const result = send(gateway, a2, behind, overUdp.request(PORT));
      expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: behind, ttl: 63 }), ...overUdp.request(PORT)]);
    });
  });
});
