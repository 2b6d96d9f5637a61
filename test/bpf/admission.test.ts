/** Who may speak, and of what: sources, stations, tunnels, errors that are believed (RFC 1812 §5.3, RFC 2827). */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, type RunResult } from '../support/gateway-fixture.js';
import { arp, ethernet, frame, icmp, ICMP, ipv4, payload, quote, tcp, TCP, udp, UNREACHABLE, vlan, type Arp, type Layer } from '../support/packet.js';
import { expectDropped, expectSent, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, b2, externalRouter, frameFromVm, networkA2, nodeA, server, VIRTUAL_ADDRESS, VIRTUAL_MAC, vmOf, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';
/** Nobody's address that could send a packet across a router. */
const noHosts = [
  ['this network', '0.0.0.0'],
  ['this network', '0.1.2.3'],
  ['loopback', '127.0.0.1'],
  ['link-local (RFC 3927 §7)', '169.254.0.1'],
  ['link-local (RFC 3927 §7)', '169.254.255.254'],
  ['a group', '224.0.0.5'],
  ['a group', '239.255.255.255'],
  ['reserved', '240.0.0.1'],
  ['all', '255.255.255.255'],
] as const;

describe.each(hooks)('admission, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, b1, b2);
  });

  /** Neither forwarded nor answered, and nothing is said of it. */
  function expectSilence(result: RunResult, reason: string): void {
    expect(result.counters).toEqual({ [`drop_${reason}`]: 1 });
    expect(result.verdict).toBe('DROP');
  }

  describe('a source outside has to be of the outside (RFC 1812 §5.3.7, RFC 2827)', () => {
    const targets = [
      ['a floating IP', a2.floatingIp!, overUdp.request(PORT)],
      ['a router, with an echo', ADDRESS, overIcmp.request(1)],
      ['shared SNAT', ADDRESS, overUdp.reply(PORT)],
    ] as const;

    describe.each(targets)('to %s', (_, target, segment) => {
      it.each(noHosts)('%s, %s, is refused', (_kind, source) => {
        const before = gateway.tables();
        expectSilence(receive(gateway, source, target, segment), 'source_not_outside');
        expect(gateway.tables()).toEqual(before);
      });

      it.each([
        ['of the VM\'s network', '172.16.100.77'],
        ['of a VM', a1.address],
        ['of another network of the router', a3.address],
        ['of a subnet\'s gateway', networkA2.gateway],
      ])('one %s, %s, is refused', (_kind, source) => expectSilence(receive(gateway, source, target, segment), 'source_not_outside'));

      it('the address itself is refused: it would answer itself', () => {
        expectSilence(receive(gateway, target, target, segment), 'source_not_outside');
      });

      it('one behind a VM that routes is refused', () => {
        const source = '10.99.1.7';
        expect(receive(gateway, source, target, segment).counters).not.toHaveProperty('drop_source_not_outside');
        gateway.addRoute(world.tenantA, { address: '10.99.0.0', length: 16 }, { kind: 'vm', network: networkA2, via: a3.address });
        expectSilence(receive(gateway, source, target, segment), 'source_not_outside');
      });
    });

    it.each([
      ['that only another router has inside', a3.address],
      ['of the provider network', world.neighbour.address],
      ['beside link-local', '169.253.255.255'],
      ['beside link-local', '169.255.0.1'],
      ['that is the last of all networks', '223.255.255.254'],
      ['of another floating IP, whose router the peer may serve', a2.floatingIp!],
    ])('one %s, %s, comes in', (_, source) => {
      expectToVm(receive(gateway, source, b2.floatingIp!, overUdp.request(PORT)), b2, [ipv4({ source, destination: b2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });
  });

  describe('a frame outside has to be for us (RFC 1812 §5.3.4)', () => {
    const to = (destination: string, tag?: number): Buffer =>
      frame(ethernet({ source: externalRouter.mac, destination }), ...(tag === undefined ? [] : [vlan(tag)]), ipv4({ source: server, destination: a2.floatingIp! }), ...overUdp.request(PORT));
    const shown = [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)];

    it.each([
      ['the virtual MAC', VIRTUAL_MAC],
      ['our own MAC', nodeA.external.mac],
    ])('%s is ours', (_, mac) => expectToVm(gateway.run('external', to(mac)), a2, shown));

    it('while draining as well', () => {
      gateway.setState('draining');
      expectToVm(gateway.run('external', to(nodeA.external.mac)), a2, shown);
    });

    it.each([
      ['another station', world.neighbour.mac],
      ['the peer', world.nodeB.external.mac],
      ['our underlay', nodeA.underlay.mac],
      ['all', BROADCAST],
      ['a group', '01:00:5e:00:00:01'],
      ['nobody', NOBODY],
    ])('%s is not: the kernel knows what to do with it', (_, mac) => {
      const bytes = to(mac);
      const result = gateway.run('external', bytes);
      expect(result).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
      expectFrame(result.frame, bytes);
    });

    it('on a VLAN alike', () => {
      gateway.addFloatingIp(a2, '10.0.2.230', 7);
      const tagged = (mac: string): Buffer => frame(ethernet({ source: externalRouter.mac, destination: mac }), vlan(7), ipv4({ source: server, destination: '10.0.2.230' }), ...overUdp.request(PORT));
      expectSent(gateway.run('external', tagged(VIRTUAL_MAC)));
      expect(gateway.run('external', tagged(world.neighbour.mac)).verdict).toBe('PASS');
    });
  });

  describe('an ICMP redirect is not carried to the other side, where its route means nothing', () => {
    const redirect = icmp({ type: ICMP.redirect, code: 1 });

    it('from a VM behind shared SNAT', () => {
      send(gateway, a1, server, overUdp.request(PORT));
      expectSilence(send(gateway, a1, server, [redirect, quote([ipv4({ source: server, destination: a1.address }), ...overUdp.reply(PORT)])]), 'icmp_type');
    });

    it('from a VM with a floating IP', () => {
      expectSilence(send(gateway, a2, server, [redirect, quote([ipv4({ source: server, destination: a2.address }), ...overUdp.reply(PORT)])]), 'icmp_type');
    });

    it('from a VM to one of another network', () => {
      expectSilence(send(gateway, a1, a3.address, [redirect, quote([ipv4({ source: a3.address, destination: a1.address }), ...overUdp.reply(PORT)])]), 'icmp_type');
    });

    it('from outside to a floating IP', () => {
      expectSilence(receive(gateway, externalRouter.address, a2.floatingIp!, [redirect, quote([ipv4({ source: a2.floatingIp!, destination: server }), ...overUdp.request(PORT)])]), 'icmp_type');
    });

    it('from outside to shared SNAT', () => {
      send(gateway, a1, server, overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      expectSilence(receive(gateway, externalRouter.address, ADDRESS, [redirect, quote([ipv4({ source: ADDRESS, destination: server }), ...overUdp.request(externalPort)])]), 'icmp_type');
    });
  });

  describe('an ICMP error speaks for its sender, or for whoever is behind it', () => {
    const exceeded = icmp({ type: ICMP.timeExceeded });
    const complaint = icmp({ type: ICMP.unreachable, code: UNREACHABLE.port });

    it.each(protocols)('$name: what a VM says of a packet to another one of its subnet is invented', (protocol) => {
      const other = vmOf(world.tenantA, 50);
      send(gateway, other, server, protocol.request(PORT));
      for (const error of [exceeded, complaint]) {
        expectSilence(send(gateway, a1, server, [error, quote([ipv4({ source: server, destination: other.address }), ...protocol.reply(PORT)])]), 'icmp_quote');
      }
    });

    it('and so is what it says of one to a VM with a floating IP', () => {
      expectSilence(send(gateway, a1, server, [complaint, quote([ipv4({ source: server, destination: a2.address }), ...overUdp.reply(PORT)])]), 'icmp_quote');
    });

    it('of one to a VM of another network, or to the gateway, too', () => {
      for (const destination of [a3.address, a1.tenant.gateway]) {
        expectSilence(send(gateway, a1, server, [complaint, quote([ipv4({ source: server, destination }), ...overUdp.reply(PORT)])]), 'icmp_quote');
      }
    });

    it.each(protocols)('$name: a VM that routes tells of packets to those behind it, with their translation undone', (protocol) => {
      const behind = { ...a3, address: '10.99.1.7' };
      gateway.addRoute(world.tenantA, { address: '10.99.0.0', length: 16 }, { kind: 'vm', network: networkA2, via: a3.address });
      expectSent(send(gateway, behind, server, protocol.request(PORT)));
      const { externalPort } = mappingOf(gateway, behind, protocol, PORT);
      const result = send(gateway, a3, server, [exceeded, quote([ipv4({ source: server, destination: behind.address, ttl: 1 }), ...protocol.reply(PORT)])]);
      expectToOutside(result, [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), exceeded, quote([ipv4({ source: server, destination: ADDRESS, ttl: 1 }), ...protocol.reply(externalPort)])]);
      expect(result.counters).toEqual({ icmp_error_outbound: 1 });
    });
  });

  describe('an endpoint that is learned has to be a host\'s', () => {
    const at = (vm: VirtualMachine, address: string): VirtualMachine => ({ ...vm, compute: { ...vm.compute, address } });
    const asks = (vm: VirtualMachine): Arp => arp({ operation: 1, senderMac: vm.mac, senderAddress: vm.address, targetMac: NOBODY, targetAddress: vm.tenant.gateway });
    const announces = (vm: VirtualMachine): Arp => arp({ operation: 1, senderMac: vm.mac, senderAddress: vm.address, targetMac: NOBODY, targetAddress: vm.address });
    const over = (vm: VirtualMachine, message: Layer): RunResult => gateway.run('underlay', frameFromVm(vm, [message], { inner: { destination: BROADCAST } }));
    const fresh = vmOf(world.tenantA, 60);

    it.each([...noHosts, ['our own tunnel endpoint', VIRTUAL_ADDRESS] as const])('%s, %s, teaches nothing', (_, address) => {
      const before = gateway.tables();
      for (const vm of [at(a2, address), at(fresh, address)]) {
        expectDropped(send(gateway, vm, server, overUdp.request(PORT)), 'endpoint_spoofed');
        expectDropped(send(gateway, vm, vm.tenant.gateway, overIcmp.request(1)), 'endpoint_spoofed');
        expectDropped(over(vm, asks(vm)), 'endpoint_spoofed');
        expectDropped(over(vm, announces(vm)), 'endpoint_spoofed');
      }
      expect(gateway.tables()).toEqual(before);
    });

    it.each([BROADCAST, '01:00:5e:00:00:01', '33:33:00:00:00:01'])('a VM whose MAC is a group\'s, %s, teaches nothing (RFC 1812 §3.3.2)', (mac) => {
      const before = gateway.tables();
      for (const vm of [{ ...a2, mac }, { ...fresh, mac }]) {
        expectDropped(send(gateway, vm, server, overUdp.request(PORT)), 'inner_mac');
        expectDropped(over(vm, asks(vm)), 'inner_mac');
        expectDropped(over(vm, announces(vm)), 'inner_mac');
      }
      expect(gateway.tables()).toEqual(before);
    });
  });

  describe('a tunnel holds what its headers say', () => {
    const length = 8 + 8 + 8 + 14 + 20 + 8 + 8;
    const inner = [ipv4({ source: a2.address, destination: server }), udp({ sourcePort: PORT, destinationPort: 53 }), payload('question')];
    const sized = (bytes: number): RunResult => gateway.run('underlay', frameFromVm(a2, inner, { udp: { length: bytes } }));

    it('exactly', () => expectSent(sized(length)));

    it.each([1, 2, 8, 16])('a packet that ends %i bytes behind the outer datagram is cut off', (bytes) => {
      const before = gateway.tables();
      expectDropped(sized(length - bytes), 'truncated');
      expect(gateway.tables()).toEqual(before);
    });
  });

  describe('an outer checksum of a jumbo frame (RFC 8926 §3.3)', () => {
    const BYTES = 3000;
    beforeEach(() => {
      for (const role of ['underlay', 'external'] as const) gateway.setInterface(role, { mtu: 9000 });
    });
    const bulk = payload(Buffer.from(Array.from({ length: BYTES }, (_, i) => (i * 7) & 0xff)));
    const segments = [
      ['tcp', [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.ACK }), bulk]],
      ['udp', [udp({ sourcePort: PORT, destinationPort: 53 }), bulk]],
      ['udp without a sum', [udp({ sourcePort: PORT, destinationPort: 53, checksum: 0 }), bulk]],
      ['an echo', [icmp({ type: ICMP.echo }), bulk]],
    ] as const;

    it.each(segments)('%s: one that is right passes', (_, segment) => {
      const result = send(gateway, a2, server, segment, {}, { udp: { checksum: undefined } });
      expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...segment]);
    });

    it.each(segments)('%s: none passes', (_, segment) => {
      expectToOutside(send(gateway, a2, server, segment), [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...segment]);
    });
  });

  describe('what no router forwards', () => {
    it.each(['169.254.0.1', '169.254.169.254', '169.254.255.255'])('a packet to %s goes no further, whatever routes say (RFC 3927 §7)', (destination) => {
      gateway.addRoute(world.tenantA, { address: '169.254.0.0', length: 16 }, { kind: 'vm', network: networkA2, via: a3.address });
      gateway.addExternalRoute({ address: '169.254.0.0', length: 16 });
      for (const vm of [a1, a2]) {
        const result = send(gateway, vm, destination, overUdp.request(PORT));
        expect(result.counters).toEqual({ drop_destination_not_routed: 1, icmp_error_to_vm: 1 });
      }
      expect(gateway.mappings()).toEqual([]);
    });

    it.each(['169.253.255.255', '169.255.0.1'])('a packet to %s does', (destination) => expectSent(send(gateway, a1, destination, overTcp.request(PORT))));
  });
});
