/** What the gateway says itself about packets that go no further: RFC 792, RFC 1812 §4.3, RFC 1191, RFC 5508 REQ-8. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { expectValidChecksums } from '../support/checksum.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, type RunResult } from '../support/gateway-fixture.js';
import {
  icmp, ICMP, ipv4, payload, PROTOCOL, quote, tcp, TCP, udp, UNREACHABLE, type Icmp, type Ipv4, type Layer,
} from '../support/packet.js';
import { emittedBy, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, externalRouter, fromOutside, server, toOutside, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const WEB = vmOf(world.tenantA, 20);
/** RFC 1812 §4.3.2.3: an error has at most 576 bytes. */
const MOST_QUOTED = 576 - 28;
/** Outer IPv4, UDP, Geneve with OVN's option, inner Ethernet. */
const OVERHEAD = 20 + 8 + 8 + 8 + 14;

const exceeded = icmp({ type: ICMP.timeExceeded });
const unreachable = (code: number, mtu = 0): Icmp => icmp({ type: ICMP.unreachable, code, sequence: mtu });

/** RFC 1812 §4.3.2.5: said with the precedence of internetwork control; never split, so it needs no identification. */
const says = (source: string, destination: string): Ipv4 => ipv4({ source, destination, typeOfService: 0xc0, dontFragment: true });

function quoteOf(packet: readonly Layer[], headerBytes = 20): Layer {
  const whole = quote(packet);
  const bytes = packet.slice(1).reduce((sum, layer) => sum + (layer.layer === 'payload' ? layer.bytes.length : layer.layer === 'tcp' ? 20 : 8), 0);
  return headerBytes + bytes > MOST_QUOTED ? quote(packet, MOST_QUOTED - headerBytes) : whole;
}

/** A UDP packet of this length. */
const sized = (source: string, destination: string, length: number, header: Partial<Ipv4> = {}): [Ipv4, ...Layer[]] =>
  [ipv4({ source, destination, ...header }), udp({ sourcePort: PORT, destinationPort: 53 }), payload(Buffer.alloc(length - 28, 0x6d))];

describe.each(hooks)('ICMP of our own, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, WEB);
  });

  const sendPacket = (vm: world.VirtualMachine, [network, ...rest]: readonly Layer[]): RunResult => send(gateway, vm, (network as Ipv4).destination, rest, network as Ipv4);

  function expectSaidToVm(result: RunResult, vm: world.VirtualMachine, error: Icmp, packet: readonly Layer[], reason: string): void {
    expect(result.counters).toEqual({ [`drop_${reason}`]: 1, icmp_error_to_vm: 1 });
    expect(result.verdict).toBe('TX');
    expectToVm(result, vm, [says(vm.tenant.gateway, vm.address), error, quoteOf(packet)]);
  }

  function expectSaidToOutside(result: RunResult, source: string, error: Icmp, packet: readonly Layer[], reason: string): void {
    expect(result.counters).toEqual({ [`drop_${reason}`]: 1, icmp_error_to_outside: 1 });
    expect(result.verdict).toBe('TX');
    expectFrame(result.frame, toOutside([says(source, (packet[0] as Ipv4).source), error, quoteOf(packet)]));
    expectValidChecksums(result.frame);
  }

  describe('time exceeded', () => {
    it.each(protocols)('outbound $name: from the subnet\'s gateway (RFC 1812 §4.3.2.4)', (protocol) => {
      const packet = [ipv4({ source: a1.address, destination: server, ttl: 1, identification: 5 }), ...protocol.request(PORT)];
      expectSaidToVm(sendPacket(a1, packet), a1, exceeded, packet, 'ttl_exceeded');
      expect(gateway.mappings()).toEqual([]);
    });

    it('of a VM with a floating IP, too: traceroute begins with the gateway', () => {
      const packet = [ipv4({ source: a2.address, destination: server, ttl: 1 }), ...overUdp.request(PORT, 33434)];
      expectSaidToVm(sendPacket(a2, packet), a2, exceeded, packet, 'ttl_exceeded');
    });

    it('to a VM of another network of the router', () => {
      const packet = [ipv4({ source: a1.address, destination: a3.address, ttl: 1 }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, packet), a1, exceeded, packet, 'ttl_exceeded');
    });

    it('on the way to an address of ours', () => {
      const packet = [ipv4({ source: a1.address, destination: a2.floatingIp!, ttl: 1 }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, packet), a1, exceeded, packet, 'ttl_exceeded');
    });

    it.each(protocols)('inbound $name to a floating IP: from the router\'s address', (protocol) => {
      const packet = [ipv4({ source: server, destination: a2.floatingIp!, ttl: 1 }), ...protocol.request(PORT)];
      expectSaidToOutside(gateway.run('external', fromOutside(packet)), ADDRESS, exceeded, packet, 'ttl_exceeded');
    });

    it('inbound to shared SNAT', () => {
      send(gateway, a1, server, overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const packet = [ipv4({ source: server, destination: ADDRESS, ttl: 1 }), ...overUdp.reply(externalPort)];
      expectSaidToOutside(gateway.run('external', fromOutside(packet)), ADDRESS, exceeded, packet, 'ttl_exceeded');
    });

    it('inbound to a port forwarding', () => {
      gateway.addForwarding({ vm: WEB, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
      const packet = [ipv4({ source: server, destination: ADDRESS, ttl: 1 }), ...overTcp.request(PORT, 8080)];
      expectSaidToOutside(gateway.run('external', fromOutside(packet)), ADDRESS, exceeded, packet, 'ttl_exceeded');
    });

    it('goes back to the neighbour that the packet came from', () => {
      const packet = [ipv4({ source: world.neighbour.address, destination: a2.floatingIp!, ttl: 1 }), ...overUdp.request(PORT)];
      const result = gateway.run('external', fromOutside(packet, world.neighbour.mac));
      expectFrame(result.frame, toOutside([says(ADDRESS, world.neighbour.address), exceeded, quoteOf(packet)], world.neighbour.mac));
    });

    it('a router without an address of its own speaks with the one that was asked', () => {
      gateway.setRouter({ externalAddress: 0 });
      const packet = [ipv4({ source: server, destination: a2.floatingIp!, ttl: 1 }), ...overUdp.request(PORT)];
      expectSaidToOutside(gateway.run('external', fromOutside(packet)), a2.floatingIp!, exceeded, packet, 'ttl_exceeded');
    });

    it('while draining, with the interface\'s own MAC', () => {
      gateway.setState('draining');
      const packet = [ipv4({ source: server, destination: a2.floatingIp!, ttl: 1 }), ...overUdp.request(PORT)];
      const [, ...rest] = toOutside([says(ADDRESS, server), exceeded, quoteOf(packet)]);
      const result = gateway.run('external', fromOutside(packet));
      expectFrame(result.frame, [{ layer: 'ethernet', source: world.nodeA.external.mac, destination: externalRouter.mac }, ...rest]);
    });
  });

  describe('fragmentation needed (RFC 4787 REQ-13, RFC 1191)', () => {
    it.each([1501, 1502, 1600])('outbound, %i bytes: the external interface\'s MTU', (length) => {
      const packet = sized(a1.address, server, length, { dontFragment: true });
      expectSaidToVm(sendPacket(a1, packet), a1, unreachable(UNREACHABLE.fragmentationNeeded, 1500), packet, 'mtu_exceeded');
      expect(gateway.mappings()).toEqual([]);
    });

    it('outbound, what just fits goes out', () => {
      expect(sendPacket(a1, sized(a1.address, server, 1500, { dontFragment: true })).counters).toMatchObject({ outbound_snat: 1 });
    });

    it.each([
      ['a floating IP', a2.floatingIp!],
      ['shared SNAT', ADDRESS],
      ['a port forwarding', ADDRESS],
    ])('inbound to %s: the underlay\'s MTU without the tunnel', (kind, address) => {
      gateway.setInterface('underlay', { mtu: 1500 });
      let port = 53;
      if (kind === 'shared SNAT') {
        send(gateway, a1, server, overUdp.request(PORT, PORT));
        port = mappingOf(gateway, a1, overUdp, PORT).externalPort;
      }
      if (kind === 'a port forwarding') gateway.addForwarding({ vm: WEB, protocol: 'udp', internalPort: 53, externalPort: port });
      const packet = (length: number): Layer[] =>
        [ipv4({ source: server, destination: address, dontFragment: true }), udp({ sourcePort: PORT, destinationPort: port }), payload(Buffer.alloc(length - 28, 9))];

      expect(gateway.run('external', fromOutside(packet(1500 - OVERHEAD))).verdict).toBe('REDIRECT');
      const large = packet(1500 - OVERHEAD + 1);
      const error = unreachable(UNREACHABLE.fragmentationNeeded, 1500 - OVERHEAD);
      expectSaidToOutside(gateway.run('external', fromOutside(large)), ADDRESS, error, large, 'mtu_exceeded');
    });

    it('a VM whose tunnel has no option has eight bytes more', () => {
      gateway.setInterface('underlay', { mtu: 1500 });
      send(gateway, a2, server, overIcmp.request(1), {}, { geneve: { options: [] } });
      const packet = sized(server, a2.floatingIp!, 1500, { dontFragment: true });
      const error = unreachable(UNREACHABLE.fragmentationNeeded, 1500 - OVERHEAD + 8);
      expectSaidToOutside(gateway.run('external', fromOutside(packet)), ADDRESS, error, packet, 'mtu_exceeded');
    });

    it('between two networks of a router', () => {
      const long = vmOf(world.networkA2, 30, world.compute2);
      learn(gateway, long);
      gateway.setInterface('underlay', { mtu: 1500 });
      const packet = sized(a1.address, long.address, 1500 - OVERHEAD + 1, { dontFragment: true });
      expectSaidToVm(sendPacket(a1, packet), a1, unreachable(UNREACHABLE.fragmentationNeeded, 1500 - OVERHEAD), packet, 'mtu_exceeded');
    });

    it('a hairpinned packet is said to be too big as well', () => {
      gateway.setInterface('underlay', { mtu: 1500 });
      const packet = sized(a1.address, a2.floatingIp!, 1500 - OVERHEAD + 1, { dontFragment: true });
      expectSaidToVm(sendPacket(a1, packet), a1, unreachable(UNREACHABLE.fragmentationNeeded, 1500 - OVERHEAD), packet, 'mtu_exceeded');
    });

    it.each(['outbound', 'inbound'] as const)('%s, where the sender allows fragments, the control plane gets the frame to split it', async (direction) => {
      const events = await emittedBy(gateway);
      gateway.setInterface('underlay', { mtu: 1500 });
      const bytes = direction === 'outbound'
        ? world.frameFromVm(a1, sized(a1.address, server, 1501))
        : fromOutside(sized(server, a2.floatingIp!, 1500 - OVERHEAD + 1));
      const result = gateway.run(direction === 'outbound' ? 'underlay' : 'external', bytes);

      expect(result.counters).toEqual({ drop_fragmentation_needed: 1 });
      expect(result.verdict).toBe('DROP');
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({
        type: eventType.fragmentationNeeded,
        interface: direction === 'outbound' ? 0 : 1,
        mtu: direction === 'outbound' ? 1500 : 1500 - OVERHEAD,
      });
      expectFrame(events[0]!.frame, bytes);
      expect(gateway.mappings()).toEqual([]);
    });
  });

  describe('unreachable', () => {
    const packet = [ipv4({ source: a1.address, destination: server }), ...overUdp.request(PORT)];

    it('without a free port: host unreachable (RFC 6888 REQ-11)', () => {
      for (let block = 0; block < gateway.portBlockTable.length; block++) gateway.portBlockTable.update(block, { vm: 64, mappings: 256, lastSeen: 1 });
      expectSaidToVm(sendPacket(a1, packet), a1, unreachable(UNREACHABLE.host), packet, 'ports_exhausted');
    });

    it('beyond a limit: communication administratively prohibited (RFC 5508 REQ-8)', () => {
      gateway.setRouter({ vmSessionLimit: 1 });
      sendPacket(a1, packet);
      const second = [ipv4({ source: a1.address, destination: world.otherServer }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, second), a1, unreachable(UNREACHABLE.prohibited), second, 'vm_session_limit');
    });

    it.each([
      ['to the own subnet', '172.16.100.99'],
    ])('without a route, %s: network unreachable', (_, destination) => {
      const lost = [ipv4({ source: a1.address, destination }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, lost), a1, unreachable(UNREACHABLE.network), lost, 'destination_not_routed');
    });

    it('a router without shared SNAT: prohibited', () => {
      gateway.setRouter({ poolSize: 0 });
      expectSaidToVm(sendPacket(a1, packet), a1, unreachable(UNREACHABLE.prohibited), packet, 'no_shared_snat');
    });

    it('a neighbour that does not answer: host unreachable (RFC 1812 §5.2.7.1)', () => {
      gateway.addNeighbour('external', '10.0.2.99', '00:00:00:00:00:00');
      const lost = [ipv4({ source: a1.address, destination: '10.0.2.99' }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, lost), a1, unreachable(UNREACHABLE.host), lost, 'neighbour_unreachable');
      expect(gateway.mappings()).toEqual([]);
    });

    it.each([
      ['the provider\'s router', '10.0.2.1', server],
      ['a router of a static route', '10.0.2.50', '198.18.0.1'],
    ])('%s that does not answer: network unreachable (RFC 1812 §5.2.7.1)', (_, router, destination) => {
      gateway.setExternalNetwork({ gatewayMac: Buffer.alloc(6) });
      gateway.addExternalRoute({ address: '198.18.0.0', length: 15 }, '10.0.2.50');
      gateway.addNeighbour('external', router, '00:00:00:00:00:00');
      const lost = [ipv4({ source: a1.address, destination }), ...overUdp.request(PORT)];
      expectSaidToVm(sendPacket(a1, lost), a1, unreachable(UNREACHABLE.network), lost, 'gateway_unreachable');
      expect(gateway.mappings()).toEqual([]);
    });

    it('a compute that does not answer: host unreachable, to the outside and to other VMs', () => {
      const silent = vmOf(world.networkA2, 70, { address: '192.168.33.77', mac: '02:00:00:00:33:4d' });
      gateway.pinVm(gateway.addFloatingIp(silent, '10.0.2.230'));
      gateway.addNeighbour('underlay', silent.compute.address, '00:00:00:00:00:00');
      const inbound = [ipv4({ source: server, destination: '10.0.2.230' }), ...overUdp.request(PORT)];
      expectSaidToOutside(gateway.run('external', fromOutside(inbound)), ADDRESS, unreachable(UNREACHABLE.host), inbound, 'neighbour_unreachable');
      for (const destination of [silent.address, '10.0.2.230']) {
        const lost = [ipv4({ source: a1.address, destination }), ...overUdp.request(PORT)];
        expectSaidToVm(sendPacket(a1, lost), a1, unreachable(UNREACHABLE.host), lost, 'neighbour_unreachable');
      }
      expect(gateway.mappings()).toEqual([]);
    });

    describe.each([
      ['its own', a1.tenant.gateway],
      ['another network\'s', world.networkA2.gateway],
    ])('a port of the router, at %s address', (_, destination) => {
      it.each([overTcp, overUdp])('$name: port unreachable (RFC 1122 §3.2.2.1)', (protocol) => {
        const lost = [ipv4({ source: a1.address, destination }), ...protocol.request(PORT)];
        expectSaidToVm(sendPacket(a1, lost), a1, unreachable(UNREACHABLE.port), lost, 'port_unreachable');
      });
    });

    it('a neighbour that may still answer: nothing, its frame waits', () => {
      const result = send(gateway, a1, '10.0.2.98', overUdp.request(PORT));
      expect(result.counters).toEqual({ drop_neighbour_unresolved: 1 });
    });

    it('the whole packet is quoted up to 576 bytes (RFC 1812 §4.3.2.3)', () => {
      gateway.setRouter({ poolSize: 0 });
      for (const length of [28, 29, 31, 547, 548, 549, 1400]) {
        const long = sized(a1.address, server, length);
        expectSaidToVm(sendPacket(a1, long), a1, unreachable(UNREACHABLE.prohibited), long, 'no_shared_snat');
      }
    });

    it('Ethernet padding is not quoted', () => {
      gateway.setRouter({ poolSize: 0 });
      const result = gateway.run('underlay', Buffer.concat([world.frameFromVm(a1, packet), Buffer.alloc(18)]));
      expectToVm(result, a1, [says(a1.tenant.gateway, a1.address), unreachable(UNREACHABLE.prohibited), quote(packet)]);
    });

    it('header options are quoted with it', () => {
      gateway.setRouter({ poolSize: 0 });
      const withOptions = [ipv4({ source: a1.address, destination: server, options: Buffer.alloc(40, 1) }), ...overUdp.request(PORT)];
      const result = sendPacket(a1, withOptions);
      expectToVm(result, a1, [says(a1.tenant.gateway, a1.address), unreachable(UNREACHABLE.prohibited), quote(withOptions)]);
    });
  });

  describe('nothing is said (RFC 1812 §4.3.2.7)', () => {
    const silent = (result: RunResult, reason: string): void => {
      expect(result.counters).toEqual({ [`drop_${reason}`]: 1 });
      expect(result.verdict).toBe('DROP');
    };

    it('about an ICMP error', () => {
      const quoted = quote([ipv4({ source: server, destination: a2.address }), ...overUdp.reply(PORT)]);
      silent(send(gateway, a2, server, [unreachable(UNREACHABLE.port), quoted], { ttl: 1 }), 'ttl_exceeded');
    });

    it('about a later fragment', () => {
      silent(send(gateway, a2, server, [payload(Buffer.alloc(64))], { ttl: 1, protocol: PROTOCOL.udp, fragmentOffset: 5 }), 'ttl_exceeded');
    });

    it.each(['224.0.0.1', '239.1.2.3', '255.255.255.255', '127.0.0.1', '0.0.0.0', '240.0.0.1'])('about a packet to %s', (destination) => {
      silent(send(gateway, a1, destination, overUdp.request(PORT)), 'destination_not_routed');
    });

    it.each(['0.0.0.0', '127.0.0.1', '224.0.0.5', '255.255.255.255'])('to %s, as whose packet it came', (source) => {
      silent(receive(gateway, source, a2.floatingIp!, overUdp.request(PORT), { ttl: 1 }), 'source_not_outside');
    });

    it('about a packet that lies', () => {
      silent(send(gateway, a1, server, overUdp.request(PORT), { ttl: 1, checksum: 0xdead }), 'ipv4_header');
    });

    it('to a VM whose address is not of its network', () => {
      silent(send(gateway, a1, server, overUdp.request(PORT), { ttl: 1, source: '172.16.200.1' }), 'source_not_in_subnet');
    });

    it('about what nobody may send in: no mapping, filtered', () => {
      silent(receive(gateway, server, ADDRESS, overTcp.request(PORT, 81)), 'no_mapping');
      send(gateway, a1, server, overUdp.request(PORT));
      silent(receive(gateway, world.otherServer, ADDRESS, overUdp.reply(mappingOf(gateway, a1, overUdp, PORT).externalPort)), 'filtered');
    });

    it('about a reset that opens nothing', () => {
      silent(send(gateway, a1, server, [tcp({ sourcePort: 1234, destinationPort: 80, flags: TCP.RST })]), 'no_mapping');
    });

    it.each(['backup', 'initialize'] as const)('by a gateway that is %s', (state) => {
      gateway.setState(state);
      silent(send(gateway, a1, server, overUdp.request(PORT), { ttl: 1 }), 'not_active');
      silent(receive(gateway, server, a2.floatingIp!, overUdp.request(PORT), { ttl: 1 }), 'not_active');
    });
  });

  describe('how often (RFC 1812 §4.3.2.8)', () => {
    const exceed = (): RunResult => send(gateway, a1, server, overUdp.request(PORT), { ttl: 1 });

    it('as many a second as the configuration says, the rest is counted', () => {
      gateway.setGateway({ icmpErrorsPerSecond: 3 });
      const results = Array.from({ length: 8 }, exceed);
      const said = results.filter(({ counters }) => 'icmp_error_to_vm' in counters);
      const limited = results.filter(({ counters }) => 'icmp_error_limited' in counters);
      expect(said.length).toBeGreaterThanOrEqual(3);
      expect(said.length).toBeLessThanOrEqual(4);
      expect(said.length + limited.length).toBe(8);
      for (const { verdict, counters } of limited) {
        expect(verdict).toBe('DROP');
        expect(counters).toEqual({ drop_ttl_exceeded: 1, icmp_error_limited: 1 });
      }
    });

    it('with 0 never', () => {
      gateway.setGateway({ icmpErrorsPerSecond: 0 });
      expect(exceed().verdict).toBe('DROP');
      expect(exceed().counters).toMatchObject({ drop_ttl_exceeded: 1 });
    });

    it.each([0, 3])('that a packet is too big is said beyond %i: without it a path is a black hole for good (RFC 1191)', (errors) => {
      gateway.setGateway({ icmpErrorsPerSecond: errors });
      for (let i = 0; i < 5; i++) exceed();
      const outbound = sized(a1.address, server, 1501, { dontFragment: true });
      const inbound = sized(server, a2.floatingIp!, 1600 - OVERHEAD + 1, { dontFragment: true });
      for (let i = 0; i < 5; i++) {
        expectSaidToVm(sendPacket(a1, outbound), a1, unreachable(UNREACHABLE.fragmentationNeeded, 1500), outbound, 'mtu_exceeded');
        expectSaidToOutside(gateway.run('external', fromOutside(inbound)), ADDRESS, unreachable(UNREACHABLE.fragmentationNeeded, 1600 - OVERHEAD), inbound, 'mtu_exceeded');
      }
      expect(exceed().counters).toEqual({ drop_ttl_exceeded: 1, icmp_error_limited: 1 });
    });

    it('time gives new ones', async () => {
      gateway.setGateway({ icmpErrorsPerSecond: 20 });
      for (let i = 0; i < 30; i++) exceed();
      await vi.waitFor(() => expect(exceed().counters).toHaveProperty('icmp_error_to_vm'));
    });
  });

  it('a new VM\'s first packet may be one that is answered so', () => {
    gateway.reset({ syncMode: 'none' });
    const packet = [ipv4({ source: b1.address, destination: server, ttl: 1 }), ...overUdp.request(PORT)];
    const result = send(gateway, b1, server, overUdp.request(PORT), { ttl: 1 });
    expectToVm(result, b1, [says(b1.tenant.gateway, b1.address), exceeded, quote(packet)]);
    expect(result.counters).toEqual({ drop_ttl_exceeded: 1, icmp_error_to_vm: 1, vm_learned: 1 });
  });
});
