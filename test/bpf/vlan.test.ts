/** IEEE 802.1Q: several external networks on one interface, and an underlay that is tagged. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber, numberToIpv4 } from '../support/bytes.js';
import { expectValidChecksums } from '../support/checksum.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { arp, ethernet, frame, icmp, ICMP, ipv4, payload, quote, vlan, type Layer } from '../support/packet.js';
import { emittedBy, entropyOf, expectSent, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, b1, b2, externalRouter, frameFromVm, fromOutside, server, toOutside, toVm, VIRTUAL_MAC } from '../support/world.js';

const PORT = 40_000;
const VLAN = 100;
const UNDERLAY_VLAN = 33;
const ADDRESS_B = '198.51.100.202';
const FIP_B = '198.51.100.216';
/** The provider's router in the tagged network: the same MAC as in the untagged one would hide a mistake. */
const tagged = { address: '198.51.100.1', mac: '02:00:00:00:64:01' };
const host = { address: '198.51.100.2', mac: '02:00:00:00:64:02' };

/** Tenant B's router is moved to an external network of its own, with a tag. */
function moveTenantB(gateway: GatewayFixture, identifier = VLAN): void {
  const { tenantB } = world;
  gateway.addExternalNetwork(1, { subnet: '198.51.100.0', netmask: '255.255.255.0', gateway: tagged.address, gatewayMac: tagged.mac, vlan: identifier });
  gateway.addNeighbour('external', host.address, host.mac, identifier);
  gateway.removeExternalAddress(tenantB.externalAddress);
  gateway.removeExternalAddress(b2.floatingIp!);
  gateway.addSnatAddress(1, ADDRESS_B, tenantB, identifier);
  gateway.setRouter({ externalAddress: ipv4ToNumber(ADDRESS_B), externalNetwork: 1 }, tenantB);
  gateway.addFloatingIp(b2, FIP_B, identifier);
}

describe.each(hooks)('VLANs on the external side, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    moveTenantB(gateway);
    learn(gateway, a1, a2, b1, b2);
  });

  describe.each(protocols)('$name', (protocol) => {
    it('outbound by shared SNAT leaves with the tag, and the answer with the tag comes in', () => {
      const out = send(gateway, b1, server, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, b1, protocol, PORT);
      expectToOutside(out, [ipv4({ source: ADDRESS_B, destination: server, ttl: 63 }), ...protocol.request(externalPort)], tagged.mac, VLAN);
      const back = gateway.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS_B }), ...protocol.reply(externalPort)], tagged.mac, VLAN));
      expectToVm(back, b1, [ipv4({ source: server, destination: b1.address, ttl: 63 }), ...protocol.reply(PORT)]);
    });

    it('floating IPs, both ways', () => {
      expectToOutside(send(gateway, b2, host.address, protocol.request(PORT)), [ipv4({ source: FIP_B, destination: host.address, ttl: 63 }), ...protocol.request(PORT)], host.mac, VLAN);
      const back = gateway.run('external', fromOutside([ipv4({ source: server, destination: FIP_B }), ...protocol.request(PORT)], tagged.mac, VLAN));
      expectToVm(back, b2, [ipv4({ source: server, destination: b2.address, ttl: 63 }), ...protocol.request(PORT)]);
    });
  });

  it('priority and drop eligibility of the tag do not matter', () => {
    const bytes = frame(ethernet({ source: tagged.mac, destination: VIRTUAL_MAC }), vlan(VLAN, { priority: 7, dropEligible: true }), ipv4({ source: server, destination: FIP_B }), ...overUdp.request(PORT));
    expectToVm(gateway.run('external', bytes), b2, [ipv4({ source: server, destination: b2.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('a frame that is tagged with its priority alone is untagged (IEEE 802.1Q §6.9)', () => {
    const bytes = frame(ethernet({ source: externalRouter.mac, destination: VIRTUAL_MAC }), vlan(0, { priority: 5 }), ipv4({ source: server, destination: a2.floatingIp! }), ...overUdp.request(PORT));
    expectToVm(gateway.run('external', bytes), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it.each([
    ['a floating IP of the tagged network, untagged', FIP_B, undefined],
    ['a floating IP of the tagged network, with another tag', FIP_B, VLAN + 1],
    ['a floating IP of the untagged network, tagged', a2.floatingIp!, VLAN],
    ['a router of the tagged network, untagged', ADDRESS_B, undefined],
  ])('%s is not ours', (_, destination, identifier) => {
    const bytes = fromOutside([ipv4({ source: server, destination }), ...overUdp.request(PORT)], tagged.mac, identifier);
    const result = gateway.run('external', bytes);
    expect(result.verdict).toBe('PASS');
    expect(result.counters).toEqual({ pass_to_kernel: 1 });
    expectFrame(result.frame, bytes);
  });

  it('the same address in two VLANs is two addresses', () => {
    gateway.addFloatingIp(b2, a2.floatingIp!, VLAN);
    learn(gateway, b2);
    const packet = [ipv4({ source: server, destination: a2.floatingIp! }), ...overUdp.request(PORT)];
    expectToVm(gateway.run('external', fromOutside(packet)), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    expectToVm(gateway.run('external', fromOutside(packet, tagged.mac, VLAN)), b2, [ipv4({ source: server, destination: b2.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  describe('ARP', () => {
    const request = (target: string, identifier?: number): Buffer => frame(
      ethernet({ source: tagged.mac, destination: 'ff:ff:ff:ff:ff:ff' }),
      ...(identifier === undefined ? [] : [vlan(identifier)]),
      arp({ operation: 1, senderMac: tagged.mac, senderAddress: tagged.address, targetMac: '00:00:00:00:00:00', targetAddress: target }),
    );

    it.each([ADDRESS_B, FIP_B])('for %s is answered with the tag', (address) => {
      const result = gateway.run('external', request(address, VLAN));
      expect(result.verdict).toBe('TX');
      expectFrame(result.frame, toOutside([
        arp({ operation: 2, senderMac: VIRTUAL_MAC, senderAddress: address, targetMac: tagged.mac, targetAddress: tagged.address }),
      ], tagged.mac, VLAN));
      expect(result.counters).toEqual({ arp_reply_external: 1 });
    });

    it.each([
      [FIP_B, undefined],
      [FIP_B, 101],
      [a2.floatingIp!, VLAN],
    ])('for %s in VLAN %s is the kernel\'s', (address, identifier) => {
      expect(gateway.run('external', request(address, identifier)).verdict).toBe('PASS');
    });
  });

  it('echo to the router is answered with the tag', () => {
    const result = gateway.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS_B }), ...overIcmp.request(4)], tagged.mac, VLAN));
    expect(result.verdict).toBe('TX');
    expectFrame(result.frame, toOutside([ipv4({ source: ADDRESS_B, destination: server }), ...overIcmp.reply(4)], tagged.mac, VLAN));
  });

  it('ICMP errors are translated and generated with the tag', () => {
    const sent = [ipv4({ source: server, destination: FIP_B, ttl: 1 }), ...overUdp.request(PORT)];
    const result = gateway.run('external', fromOutside(sent, tagged.mac, VLAN));
    const exceeded = icmp({ type: ICMP.timeExceeded });
    const says = ipv4({ source: ADDRESS_B, destination: server, typeOfService: 0xc0, dontFragment: true });
    expectFrame(result.frame, toOutside([says, exceeded, quote(sent)], tagged.mac, VLAN));
    const quoted = (address: string): Layer => quote([ipv4({ source: address, destination: server }), ...overUdp.request(PORT)], 8);
    const error = gateway.run('external', fromOutside([ipv4({ source: tagged.address, destination: FIP_B }), exceeded, quoted(FIP_B)], tagged.mac, VLAN));
    expectToVm(error, b2, [ipv4({ source: tagged.address, destination: b2.address, ttl: 63 }), exceeded, quoted(b2.address)]);
  });

  it('a silent neighbour is asked for in its VLAN', async () => {
    const events = await emittedBy(gateway);
    expect(send(gateway, b2, '198.51.100.99', overUdp.request(PORT)).counters).toEqual({ drop_neighbour_unresolved: 1 });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]!.event).toMatchObject({ type: eventType.neighbourUnresolved, interface: 1, vlan: VLAN });
    expect(numberToIpv4(events[0]!.event.address)).toBe('198.51.100.99');
  });

  it('a neighbour of the untagged network is none in the VLAN', () => {
    gateway.addNeighbour('external', '198.51.100.50', host.mac);
    expect(send(gateway, b2, '198.51.100.50', overUdp.request(PORT)).counters).toMatchObject({ drop_neighbour_unresolved: 1 });
  });

  it('from one external network to the other it goes by the provider, whose business that is', () => {
    expectToOutside(send(gateway, a2, FIP_B, overUdp.request(PORT)), [ipv4({ source: a2.floatingIp!, destination: FIP_B, ttl: 63 }), ...overUdp.request(PORT)]);
    expectToOutside(send(gateway, b2, a2.floatingIp!, overUdp.request(PORT)), [ipv4({ source: FIP_B, destination: a2.floatingIp!, ttl: 63 }), ...overUdp.request(PORT)], tagged.mac, VLAN);
  });

  it('hairpinned within the VLAN', () => {
    const result = send(gateway, b1, FIP_B, overTcp.request(PORT));
    const { externalPort } = mappingOf(gateway, b1, overTcp, PORT);
    expectToVm(result, b2, [ipv4({ source: ADDRESS_B, destination: b2.address, ttl: 63 }), ...overTcp.request(externalPort)]);
  });

  it('the largest identifier', () => {
    moveTenantB(gateway, 4094);
    expectToOutside(send(gateway, b2, server, overUdp.request(PORT)), [ipv4({ source: FIP_B, destination: server, ttl: 63 }), ...overUdp.request(PORT)], tagged.mac, 4094);
  });

  it.each([
    ['two tags', [vlan(VLAN), vlan(VLAN), ipv4({ source: server, destination: FIP_B }), ...overUdp.request(PORT)]],
    ['IPv6 in it', [vlan(VLAN, { etherType: 0x86dd }), payload(Buffer.alloc(40, 0x60))]],
  ])('%s is the kernel\'s', (_, layers) => {
    const bytes = frame(ethernet({ source: tagged.mac, destination: VIRTUAL_MAC }), ...layers);
    const result = gateway.run('external', bytes);
    expect(result.verdict).toBe('PASS');
    expectFrame(result.frame, bytes);
  });

  it('a tag that is cut off is dropped', () => {
    const bytes = fromOutside([ipv4({ source: server, destination: FIP_B }), ...overUdp.request(PORT)], tagged.mac, VLAN);
    // TC is behind the kernel, which takes tags off, and would not pass on a part of one.
    for (const length of hook === 'tc' ? [18, 20, 37] : [14, 15, 17, 18, 20, 37]) expect(gateway.execute('external', bytes.subarray(0, length)).verdict, `${length} bytes`).toBe('DROP');
  });
});

describe.each(hooks)('a tagged underlay, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  const tunnel = { vlan: UNDERLAY_VLAN };
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    gateway.setInterface('underlay', { vlan: UNDERLAY_VLAN });
    for (const vm of [a1, a2]) {
      expectSent(send(gateway, vm, vm.tenant.gateway, overIcmp.request(1), {}, tunnel));
    }
  });

  it.each(protocols)('$name by shared SNAT, both ways', (protocol) => {
    const out = send(gateway, a1, server, protocol.request(PORT), {}, tunnel);
    const { externalPort } = mappingOf(gateway, a1, protocol, PORT);
    expectToOutside(out, [ipv4({ source: a1.tenant.externalAddress, destination: server, ttl: 63 }), ...protocol.request(externalPort)]);
    const back = gateway.run('external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), ...protocol.reply(externalPort)]));
    expectToVm(back, a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), ...protocol.reply(PORT)], tunnel);
  });

  it('hairpinned', () => {
    const result = send(gateway, a2, a2.floatingIp!, overUdp.request(PORT), {}, tunnel);
    expectToVm(result, a2, [ipv4({ source: a2.floatingIp!, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)], tunnel);
  });

  it('answers echo and ARP of VMs with the tag', () => {
    const echo = send(gateway, a1, a1.tenant.gateway, overIcmp.request(1), {}, tunnel);
    expectToVm(echo, a1, [ipv4({ source: a1.tenant.gateway, destination: a1.address }), ...overIcmp.reply(1)], tunnel);
    const request = arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: '00:00:00:00:00:00', targetAddress: a1.tenant.gateway });
    const answered = gateway.run('underlay', frameFromVm(a1, [request], tunnel));
    const reply = arp({ operation: 2, senderMac: a1.tenant.gatewayMac, senderAddress: a1.tenant.gateway, targetMac: a1.mac, targetAddress: a1.address });
    expectFrame(answered.frame, toVm(a1, entropyOf(answered.frame), [reply], tunnel));
    expectValidChecksums(answered.frame);
  });

  it('answers ARP for the tunnel endpoint with the tag', () => {
    const request = arp({ operation: 1, senderMac: world.compute1.mac, senderAddress: world.compute1.address, targetMac: '00:00:00:00:00:00', targetAddress: world.VIRTUAL_ADDRESS });
    const result = gateway.run('underlay', frame(ethernet({ source: world.compute1.mac, destination: 'ff:ff:ff:ff:ff:ff' }), vlan(UNDERLAY_VLAN), request));
    expect(result.verdict).toBe('TX');
    const reply = arp({ operation: 2, senderMac: VIRTUAL_MAC, senderAddress: world.VIRTUAL_ADDRESS, targetMac: world.compute1.mac, targetAddress: world.compute1.address });
    expectFrame(result.frame, [ethernet({ source: VIRTUAL_MAC, destination: world.compute1.mac }), vlan(UNDERLAY_VLAN), reply]);
  });

  it.each([undefined, UNDERLAY_VLAN + 1])('a tunnel in VLAN %s is the host\'s', (identifier) => {
    const bytes = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(PORT)], { ...(identifier === undefined ? {} : { vlan: identifier }) });
    const result = gateway.run('underlay', bytes);
    expect(result.verdict).toBe('PASS');
    expectFrame(result.frame, bytes);
  });

  it('the tag costs nothing of the MTU, which is of IPv4 packets', () => {
    gateway.setInterface('underlay', { mtu: 1500 });
    const packet = (length: number): Buffer => fromOutside([ipv4({ source: server, destination: a2.floatingIp!, dontFragment: true }), ...overUdp.request(PORT).slice(0, 1), payload(Buffer.alloc(length - 28))]);
    expect(gateway.run('external', packet(1500 - 58)).verdict).toBe('REDIRECT');
    expect(gateway.run('external', packet(1500 - 57)).counters).toMatchObject({ drop_mtu_exceeded: 1 });
  });
});

describe.each(hooks)('VLANs and commits, %s', (hook) => {
  const pair = Pair.load({ hook });
  afterAll(() => pair.close());

  it('a packet that was held for its record leaves with its tag', () => {
    pair.reset();
    for (const gateway of [pair.a, pair.b]) moveTenantB(gateway);
    const bytes = frameFromVm(b1, [ipv4({ source: b1.address, destination: server }), ...overUdp.request(PORT)]);
    const { final, steps } = pair.forward(pair.a, 'underlay', bytes);
    const { externalPort } = mappingOf(pair.a, b1, overUdp, PORT);

    expect(steps.map((step) => isSyncFrame(step.frame))).toEqual([true, true, false]);
    expectToOutside(final, [ipv4({ source: ADDRESS_B, destination: server, ttl: 63 }), ...overUdp.request(externalPort)], tagged.mac, VLAN);
  });
});
