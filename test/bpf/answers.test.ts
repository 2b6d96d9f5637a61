/** What the gateway answers itself: ARP on three sides, echo to router addresses. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { expectValidChecksums } from '../support/checksum.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture } from '../support/gateway-fixture.js';
import { arp, ethernet, frame, icmp, ICMP, ipv4, padding, payload, type Arp, type Layer } from '../support/packet.js';
import { dissect, layerOf } from '../support/dissect.js';
import * as world from '../support/world.js';
import { a1, a2, b2, frameFromVm, fromOutside, server, toOutside, toVm } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => gateway.reset({ syncMode: 'none' }));

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';

function request(sender: { mac: string; address: string }, target: string): Arp {
  return arp({ operation: 1, senderMac: sender.mac, senderAddress: sender.address, targetMac: NOBODY, targetAddress: target });
}

function reply(mac: string, address: string, to: { mac: string; address: string }): Arp {
  return arp({ operation: 2, senderMac: mac, senderAddress: address, targetMac: to.mac, targetAddress: to.address });
}

const wire = (sender: { mac: string; address: string }, target: string, ...more: Layer[]): Buffer =>
  frame(ethernet({ source: sender.mac, destination: BROADCAST }), request(sender, target), ...more);

describe('ARP on the underlay', () => {
  it('the virtual address is answered with the virtual MAC', () => {
    const result = gateway.run('underlay', wire(world.compute1, world.VIRTUAL_ADDRESS));

    expect(result.verdict).toBe('TX');
    expectFrame(result.frame, [
      ethernet({ source: world.VIRTUAL_MAC, destination: world.compute1.mac }),
      reply(world.VIRTUAL_MAC, world.VIRTUAL_ADDRESS, world.compute1),
    ]);
    expect(result.counters).toEqual({ arp_reply_underlay: 1 });
  });

  it('a padded request is answered too', () => {
    const result = gateway.run('underlay', wire(world.compute1, world.VIRTUAL_ADDRESS, padding(18)));
    expect(result.verdict).toBe('TX');
    expect(layerOf(dissect(result.frame), 'arp').senderMac).toBe(world.VIRTUAL_MAC);
  });

  it.each([world.nodeA.underlay.address, '192.168.33.99'])('%s is the kernel\'s', (target) => {
    const result = gateway.run('underlay', wire(world.compute1, target));
    expect(result.verdict).toBe('PASS');
    expect(result.counters).toEqual({ pass_to_kernel: 1 });
  });
});

describe('ARP on the external side', () => {
  it.each([a1.tenant.externalAddress, world.tenantB.externalAddress, a2.floatingIp!, b2.floatingIp!])('%s is answered with the virtual MAC', (target) => {
    const result = gateway.run('external', wire(world.externalRouter, target));

    expect(result.verdict).toBe('TX');
    expectFrame(result.frame, [
      ethernet({ source: world.VIRTUAL_MAC, destination: world.externalRouter.mac }),
      reply(world.VIRTUAL_MAC, target, world.externalRouter),
    ]);
    expect(result.counters).toEqual({ arp_reply_external: 1 });
  });

  it.each([world.nodeA.external.address, '10.0.2.77'])('%s is the kernel\'s', (target) => {
    expect(gateway.run('external', wire(world.externalRouter, target)).verdict).toBe('PASS');
  });

  it('a reply is the kernel\'s: it keeps next hops resolved', () => {
    const answer = reply(world.externalRouter.mac, world.externalRouter.address, { mac: world.nodeA.external.mac, address: world.nodeA.external.address });
    const result = gateway.run('external', frame(ethernet({ source: world.externalRouter.mac, destination: world.nodeA.external.mac }), answer));
    expect(result.verdict).toBe('PASS');
  });
});

describe.each(['initialize', 'backup', 'draining'] as const)('ARP while %s', (state) => {
  it('answers nothing with the virtual MAC', () => {
    gateway.reset({ syncMode: 'none', state });
    const results = [
      gateway.run('underlay', wire(world.compute1, world.VIRTUAL_ADDRESS)),
      gateway.run('external', wire(world.externalRouter, a2.floatingIp!)),
      gateway.run('external', wire(world.externalRouter, a1.tenant.externalAddress)),
    ];
    for (const result of results) expect(['DROP', 'PASS']).toContain(result.verdict);
  });
});

describe('ARP of VMs', () => {
  it('the subnet\'s gateway is answered in the tunnel', () => {
    const result = gateway.run('underlay', frameFromVm(a1, [request(a1, a1.tenant.gateway)], { inner: { destination: BROADCAST } }));

    expect(result.verdict).toBe('TX');
    const sourcePort = layerOf(dissect(result.frame), 'udp').sourcePort;
    expectFrame(result.frame, toVm(a1, sourcePort, [reply(a1.tenant.gatewayMac, a1.tenant.gateway, a1)]));
    expectValidChecksums(result.frame);
    expect(result.counters).toMatchObject({ arp_reply_inner: 1 });
  });

  it('a unicast refresh is answered', () => {
    expect(gateway.run('underlay', frameFromVm(a1, [request(a1, a1.tenant.gateway)])).verdict).toBe('TX');
  });

  it.each([
    ['another VM\'s address', request(a1, a2.address)],
    ['neither request nor reply', { ...request(a1, a1.tenant.gateway), operation: 3 }],
  ])('%s is nobody\'s business', (_, message) => {
    const result = gateway.run('underlay', frameFromVm(a1, [message], { inner: { destination: BROADCAST } }));
    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_inner_arp: 1 });
  });

  it.each([
    ['an option that we do not know', { geneve: { options: [a1.option, { optionClass: 0x7fff, type: 0x01, data: Buffer.from('deadbeef', 'hex') }] } }],
    ['outer IP options', { ipv4: { options: Buffer.from('01010101', 'hex') } }],
    ['outer TTL and type of service', { ipv4: { ttl: 3, tos: 0xb8 } }],
  ])('%s is not reflected to the compute', (_, tunnel) => {
    const result = gateway.run('underlay', frameFromVm(a1, [request(a1, a1.tenant.gateway)], tunnel));
    const sourcePort = layerOf(dissect(result.frame), 'udp').sourcePort;
    expectFrame(result.frame, toVm(a1, sourcePort, [reply(a1.tenant.gatewayMac, a1.tenant.gateway, a1)]));
  });

  it('keeps no option where there was none', () => {
    const result = gateway.run('underlay', frameFromVm(a1, [request(a1, a1.tenant.gateway)], { geneve: { options: [] } }));
    expect(layerOf(dissect(result.frame), 'geneve').options).toEqual([]);
    expectValidChecksums(result.frame);
  });
});

describe('echo', () => {
  const echo = (type: number): Layer[] => [icmp({ type, identifier: 5, sequence: 6 }), payload('sixteen bytes...')];

  it('to the subnet\'s gateway is answered in the tunnel', () => {
    const packet = [ipv4({ source: a1.address, destination: a1.tenant.gateway, identification: 3 }), ...echo(ICMP.echo)];
    const result = gateway.run('underlay', frameFromVm(a1, packet));

    expect(result.verdict).toBe('TX');
    const layers = dissect(result.frame);
    const { ttl } = layerOf(layers, 'ipv4', 1);
    expect(ttl).toBe(64);
    const inner = ipv4({ source: a1.tenant.gateway, destination: a1.address, identification: layerOf(layers, 'ipv4', 1).identification, ttl });
    expectFrame(result.frame, toVm(a1, layerOf(layers, 'udp').sourcePort, [inner, ...echo(ICMP.echoReply)]));
    expectValidChecksums(result.frame);
    expect(result.counters).toMatchObject({ echo_reply_inner: 1 });
    expect(gateway.mappings()).toEqual([]);
  });

  it('to the gateway from TTL 1 is answered: it is for us, not through us', () => {
    const packet = [ipv4({ source: a1.address, destination: a1.tenant.gateway, ttl: 1 }), ...echo(ICMP.echo)];
    expect(gateway.run('underlay', frameFromVm(a1, packet)).verdict).toBe('TX');
  });

  it.each([world.tenantA, world.tenantB])('to external address $externalAddress is answered', ({ externalAddress }) => {
    const result = gateway.run('external', fromOutside([ipv4({ source: server, destination: externalAddress }), ...echo(ICMP.echo)]));

    expect(result.verdict).toBe('TX');
    const { ttl, identification } = layerOf(dissect(result.frame), 'ipv4');
    expect(ttl).toBe(64);
    expectFrame(result.frame, toOutside([ipv4({ source: externalAddress, destination: server, ttl, identification }), ...echo(ICMP.echoReply)]));
    expectValidChecksums(result.frame);
    expect(result.counters).toEqual({ echo_reply_external: 1 });
  });

  it('backup answers none', () => {
    gateway.reset({ syncMode: 'none', state: 'backup' });
    const inner = gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: a1.tenant.gateway }), ...echo(ICMP.echo)]));
    const outer = gateway.run('external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), ...echo(ICMP.echo)]));
    expect([inner.verdict, outer.verdict]).toEqual(['DROP', 'DROP']);
  });
});

describe('what is not ours goes to the kernel', () => {
  const own = { underlay: world.nodeA.underlay, external: world.nodeA.external };
  const ssh = (to: { mac: string; address: string }): Buffer =>
    frame(ethernet({ source: world.compute1.mac, destination: to.mac }), ipv4({ source: '192.0.2.1', destination: to.address, protocol: 6 }), payload(Buffer.alloc(20)));
  const vrrp = frame(
    ethernet({ source: world.VIRTUAL_MAC, destination: '01:00:5e:00:00:12' }),
    ipv4({ source: world.nodeB.underlay.address, destination: '224.0.0.18', protocol: 112, ttl: 255 }),
    payload(Buffer.alloc(12)),
  );
  const ipv6 = frame(ethernet({ source: world.compute1.mac, destination: '33:33:00:00:00:01', etherType: 0x86dd }), payload(Buffer.alloc(40, 0x60)));

  it.each([
    ['underlay', 'own address', ssh(own.underlay)],
    ['underlay', 'VRRP', vrrp],
    ['underlay', 'IPv6', ipv6],
    ['external', 'own address', ssh(own.external)],
    ['external', 'IPv6', ipv6],
    ['ha_xdp', 'IPv6', ipv6],
    ['ha_xdp', 'other traffic', ssh(world.nodeA.ha)],
  ] as const)('%s / %s', (program, _, bytes) => {
    const result = gateway.run(program, bytes);
    expect(result.verdict).toBe('PASS');
    expect(result.counters).toEqual({ pass_to_kernel: 1 });
    expectFrame(result.frame, bytes);
  });
});
