/** RFC 7348: networks whose computes speak VXLAN, beside those that speak Geneve. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { numberToIpv4 } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { arp, icmp, ICMP, ipv4, payload, udp, UNREACHABLE, VXLAN_PORT, type Layer } from '../support/packet.js';
import { entropyOf, expectDropped, expectSent, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overUdp, protocols, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, server, toVm, vmOf, type Tenant } from '../support/world.js';

const PORT = 40_000;
/** Of tenant A's router, with the VNI of its Geneve network: the two spaces have nothing to do with each other. */
const network: Tenant = {
  ...world.tenantA, encapsulation: 'vxlan', subnet: '172.16.102.0', gateway: '172.16.102.1', gatewayMac: 'fa:16:3e:00:01:03',
};
const v1 = vmOf(network, 10);
const v2 = { ...vmOf(network, 11, world.compute2), floatingIp: '10.0.2.220' };
const ADDRESS = world.tenantA.externalAddress;
const OVERHEAD = 20 + 8 + 8 + 14;

describe.each(hooks)('VXLAN, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    gateway.addNetwork(network, 3);
    gateway.addFloatingIp(v2, v2.floatingIp);
    learn(gateway, a1, a2, a3, v1, v2);
  });

  describe.each(protocols)('$name', (protocol) => {
    it('by shared SNAT, both ways', () => {
      const out = send(gateway, v1, server, protocol.request(PORT));
      const { externalPort } = mappingOf(gateway, v1, protocol, PORT);
      expectToOutside(out, [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), ...protocol.request(externalPort)]);
      const back = receive(gateway, server, ADDRESS, protocol.reply(externalPort));
      expectToVm(back, v1, [ipv4({ source: server, destination: v1.address, ttl: 63 }), ...protocol.reply(PORT)]);
    });

    it('by a floating IP, both ways', () => {
      expectToOutside(send(gateway, v2, server, protocol.request(PORT)), [ipv4({ source: v2.floatingIp, destination: server, ttl: 63 }), ...protocol.request(PORT)]);
      expectToVm(receive(gateway, server, v2.floatingIp, protocol.reply(PORT)), v2, [ipv4({ source: server, destination: v2.address, ttl: 63 }), ...protocol.reply(PORT)]);
    });

    it('to a VM that is reached by Geneve, and back', () => {
      expectToVm(send(gateway, v1, a3.address, protocol.request(PORT)), a3, [ipv4({ source: v1.address, destination: a3.address, ttl: 63 }), ...protocol.request(PORT)]);
      expectToVm(send(gateway, a3, v1.address, protocol.reply(PORT)), v1, [ipv4({ source: a3.address, destination: v1.address, ttl: 63 }), ...protocol.reply(PORT)]);
    });

    it('hairpinned between the two encapsulations', () => {
      expectToVm(send(gateway, v2, a2.floatingIp!, protocol.request(PORT)), a2, [ipv4({ source: v2.floatingIp, destination: a2.address, ttl: 63 }), ...protocol.request(PORT)]);
      expectToVm(send(gateway, a2, v2.floatingIp, protocol.request(PORT)), v2, [ipv4({ source: a2.floatingIp!, destination: v2.address, ttl: 63 }), ...protocol.request(PORT)]);
    });
  });

  it('the same VNI and address in Geneve is another VM', () => {
    const twin = { ...vmOf(world.tenantA, 10), address: a1.address };
    expect(gateway.vmIndex(twin)).toBe(gateway.vmIndex(a1));
    expect(gateway.vmIndex(v1)).not.toBe(gateway.vmIndex(a1));
    expect(gateway.vm(v1)!.vni).toBe(0x01000000 + 100);
  });

  it('the source port is entropy (RFC 7348 §5)', () => {
    const results = [1, 2, 3].map((identification) => receive(gateway, server, v2.floatingIp, overUdp.request(PORT), { identification }));
    expect(new Set(results.map(({ frame }) => entropyOf(frame))).size).toBe(1);
    expect(entropyOf(results[0]!.frame)).toBeGreaterThanOrEqual(49152);
    const other = receive(gateway, server, v2.floatingIp, overUdp.request(PORT + 1));
    expect(entropyOf(other.frame)).not.toBe(entropyOf(results[0]!.frame));
  });

  it('answers ARP and echo in VXLAN', () => {
    const request = arp({ operation: 1, senderMac: v1.mac, senderAddress: v1.address, targetMac: '00:00:00:00:00:00', targetAddress: network.gateway });
    const answered = gateway.run('underlay', frameFromVm(v1, [request]));
    const reply = arp({ operation: 2, senderMac: network.gatewayMac, senderAddress: network.gateway, targetMac: v1.mac, targetAddress: v1.address });
    expectFrame(answered.frame, toVm(v1, entropyOf(answered.frame), [reply]));
    const echo = send(gateway, v1, network.gateway, overIcmp.request(1));
    expectToVm(echo, v1, [ipv4({ source: network.gateway, destination: v1.address }), ...overIcmp.reply(1)]);
  });

  it('errors of ours go back in VXLAN, with its MTU', () => {
    gateway.setInterface('underlay', { mtu: 1500 });
    const packet = (length: number): Layer[] => [udp({ sourcePort: PORT, destinationPort: 53 }), payload(Buffer.alloc(length - 28))];
    expectSent(receive(gateway, server, v2.floatingIp, packet(1500 - OVERHEAD), { dontFragment: true }));
    const result = receive(gateway, server, v2.floatingIp, packet(1500 - OVERHEAD + 1), { dontFragment: true });
    expect(layerOf(dissect(result.frame), 'icmp')).toMatchObject({ type: ICMP.unreachable, code: UNREACHABLE.fragmentationNeeded, sequence: 1500 - OVERHEAD });
    const exceeded = send(gateway, v1, server, overUdp.request(PORT), { ttl: 1 });
    expect(layerOf(dissect(exceeded.frame), 'vxlan').vni).toBe(network.vni);
    expect(layerOf(dissect(exceeded.frame), 'icmp').type).toBe(icmp({ type: ICMP.timeExceeded }).type);
  });

  it.each([0x00, 0xf7, 0x04])('flags %i: without a valid VNI it is dropped', (flags) => {
    expectDropped(send(gateway, v1, server, overUdp.request(PORT), {}, { vxlan: { flags } }), 'vxlan_header');
  });

  it('reserved bits are ignored on receipt (RFC 7348 §5)', () => {
    const result = send(gateway, v2, server, overUdp.request(PORT), {}, { vxlan: { flags: 0xff, reserved: 0xffffff, reserved2: 0xff } });
    expectToOutside(result, [ipv4({ source: v2.floatingIp, destination: server, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('the outer UDP checksum may be there or not (RFC 7348 §5)', () => {
    const result = send(gateway, v2, server, overUdp.request(PORT), {}, { udp: { checksum: undefined } });
    expectToOutside(result, [ipv4({ source: v2.floatingIp, destination: server, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('congestion met in the tunnel is carried on (RFC 6040 §4.2)', () => {
    const result = send(gateway, v2, server, overUdp.request(PORT), { typeOfService: 2 }, { ipv4: { typeOfService: 3 } });
    expectToOutside(result, [ipv4({ source: v2.floatingIp, destination: server, ttl: 63, typeOfService: 3 }), ...overUdp.request(PORT)]);
    expectDropped(send(gateway, v2, server, overUdp.request(PORT), {}, { ipv4: { typeOfService: 3 } }), 'congestion');
  });

  it('a VNI that only Geneve has is unknown, and the other way round', () => {
    const stranger = { ...b1, tenant: { ...b1.tenant, encapsulation: 'vxlan' as const } };
    expectDropped(send(gateway, stranger, server, overUdp.request(PORT)), 'vni_unknown');
    const misplaced = { ...v1, tenant: { ...network, encapsulation: 'geneve' as const, vni: 102 } };
    expectDropped(send(gateway, misplaced, server, overUdp.request(PORT)), 'vni_unknown');
  });

  it('cut off at every byte is dropped and teaches nothing', () => {
    const bytes = frameFromVm(v2, [ipv4({ source: v2.address, destination: server }), ...overUdp.request(PORT)]);
    const before = gateway.tables();
    for (let length = 14; length < bytes.length; length++) expect(gateway.execute('underlay', bytes.subarray(0, length)).verdict, `${length} bytes`).toBe('DROP');
    expect(gateway.tables()).toEqual(before);
  });

  it('a VM that moves within VXLAN is answered where it is', () => {
    send(gateway, { ...v2, compute: world.compute1 }, server, overUdp.request(PORT));
    expect(numberToIpv4(gateway.vm(v2)!.tunnelEndpoint)).toBe(world.compute1.address);
    const back = receive(gateway, server, v2.floatingIp, overUdp.reply(PORT));
    expectToVm(back, { ...v2, compute: world.compute1 }, [ipv4({ source: server, destination: v2.address, ttl: 63 }), ...overUdp.reply(PORT)]);
    expect(layerOf(dissect(back.frame), 'udp').destinationPort).toBe(VXLAN_PORT);
  });
});
