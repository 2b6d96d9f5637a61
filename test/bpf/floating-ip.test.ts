/** Floating IPs: a stateless 1:1 rewrite of every protocol, both ways. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { expectValidChecksums } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture } from '../support/gateway-fixture.js';
import {
  ethernet, fragments, frame, icmp, ICMP, ipv4, padding, payload, PROTOCOL, tcp, TCP, udp, type Ipv4, type Layer,
} from '../support/packet.js';
import * as world from '../support/world.js';
import { a1, a2, b2, frameFromVm, fromOutside, server, toOutside, toVm } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => {
  gateway.reset({ syncMode: 'none' });
  learn(a2);
  learn(b2);
});

const FIP = a2.floatingIp!;

/** The endpoint of a VM is known after any packet of its own. */
function learn(vm: world.VirtualMachine): void {
  gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), icmp({ type: ICMP.echo })]));
}

interface Case {
  readonly name: string;
  readonly header?: Partial<Ipv4>;
  readonly segment: Layer[];
}

const cases: readonly Case[] = [
  { name: 'tcp', segment: [tcp({ sourcePort: 22, destinationPort: 5000, flags: TCP.ACK }), payload('hello')] },
  { name: 'udp', segment: [udp({ sourcePort: 53, destinationPort: 5000 }), payload('odd')] },
  { name: 'udp without checksum', segment: [udp({ sourcePort: 53, destinationPort: 5000, checksum: 0 }), payload('x')] },
  { name: 'icmp echo', segment: [icmp({ type: ICMP.echo, identifier: 9, sequence: 1 }), payload('ping')] },
  { name: 'icmp echo reply', segment: [icmp({ type: ICMP.echoReply, identifier: 9, sequence: 1 }), payload('ping')] },
  { name: 'gre', header: { protocol: PROTOCOL.gre }, segment: [payload(Buffer.from('00000800deadbeef', 'hex'))] },
  { name: 'esp', header: { protocol: PROTOCOL.esp }, segment: [payload(Buffer.alloc(40, 7))] },
  { name: 'sctp', header: { protocol: PROTOCOL.sctp }, segment: [payload(Buffer.alloc(28, 9))] },
  { name: 'a protocol without any payload', header: { protocol: 253 }, segment: [] },
  { name: 'header options', header: { options: Buffer.alloc(12, 1), dontFragment: true }, segment: [udp({ sourcePort: 1, destinationPort: 2 })] },
  {
    name: 'first fragment of udp',
    header: { moreFragments: true, identification: 7, protocol: PROTOCOL.udp },
    // The checksum is of the whole datagram: it has to be moved by the addresses alone.
    segment: [udp({ sourcePort: 53, destinationPort: 5000, length: 2008, checksum: 0x1234 }), payload(Buffer.alloc(992))],
  },
  {
    name: 'later fragment of udp',
    header: { fragmentOffset: 125, identification: 7, protocol: PROTOCOL.udp },
    segment: [payload(Buffer.alloc(1000, 0xee))],
  },
  {
    name: 'last fragment, shorter than a transport header',
    header: { fragmentOffset: 125, identification: 7, protocol: PROTOCOL.tcp },
    segment: [payload('abc')],
  },
];

/** RFC 1624 by plain arithmetic on one's-complement sums: moves a checksum from one address to another. */
function moved(checksum: number, from: string, to: string): number {
  const words = (address: string): number[] => {
    const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
    return [a * 256 + b, c * 256 + d];
  };
  const sum = (~checksum & 0xffff) + words(from).reduce((s, w) => s + (~w & 0xffff), 0) + words(to).reduce((s, w) => s + w, 0);
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

/** The segment as it leaves: only a fragment's checksum cannot be computed from what is there. */
function translated(segment: readonly Layer[], isFragment: boolean, from: string, to: string): Layer[] {
  return segment.map((layer) =>
    layer.layer === 'udp' && isFragment && layer.checksum ? { ...layer, checksum: moved(layer.checksum, from, to) } : layer,
  );
}

describe.each(cases)('floating IP / $name', ({ header = {}, segment }) => {
  const isFragment = header.moreFragments === true;

  it('outbound', () => {
    const before = gateway.tables().mappings;
    const packet = [ipv4({ source: a2.address, destination: server, ...header }), ...segment];
    const result = gateway.run('underlay', frameFromVm(a2, packet));

    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    const expected = [
      ipv4({ source: FIP, destination: server, ...header, ttl: 63 }),
      ...translated(segment, isFragment, a2.address, FIP),
    ];
    expectFrame(result.frame, toOutside(expected));
    expect(result.counters).toEqual({ outbound_floating_ip: 1 });
    expect(gateway.tables().mappings).toEqual(before);
  });

  it('inbound', () => {
    const before = gateway.tables();
    const packet = [ipv4({ source: server, destination: FIP, ...header }), ...segment];
    const result = gateway.run('external', fromOutside(packet));

    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    const sourcePort = layerOf(dissect(result.frame), 'udp').sourcePort;
    const expected = [
      ipv4({ source: server, destination: a2.address, ...header, ttl: 63 }),
      ...translated(segment, isFragment, FIP, a2.address),
    ];
    expectFrame(result.frame, toVm(a2, sourcePort, expected));
    expect(result.counters).toEqual({ inbound_floating_ip: 1 });
    expect(gateway.tables()).toEqual(before);
  });
});

describe('floating IP', () => {
  it('all fragments of a datagram, in any order, put together sum right', () => {
    const datagram = [udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(3000, 0x3c))];
    const link = ethernet({ source: world.externalRouter.mac, destination: world.VIRTUAL_MAC });
    const parts = fragments(1480, link, ipv4({ source: server, destination: FIP, identification: 5 }), ...datagram);
    const bodies = parts
      .reverse()
      .map((part) => gateway.run('external', part).frame)
      .map((out) => dissect(out))
      .map((layers) => ({ offset: layerOf(layers, 'ipv4', 1).fragmentOffset, layers }))
      .sort((x, y) => x.offset - y.offset)
      .map(({ layers }) => frame(...layers.slice(layers.findLastIndex((layer) => layer.layer === 'ipv4') + 1)));
    const whole = frame(link, ipv4({ source: server, destination: a2.address, protocol: PROTOCOL.udp }), payload(Buffer.concat(bodies)));

    expect(parts).toHaveLength(3);
    expectValidChecksums(whole);
    expect(layerOf(dissect(whole), 'udp').length).toBe(3008);
  });

  it('short frames from outside are padded: the padding is no part of the packet', () => {
    const packet = [ipv4({ source: server, destination: FIP }), udp({ sourcePort: 1, destinationPort: 2 }), padding(18)];
    const result = gateway.run('external', fromOutside(packet));

    expect(result.verdict).toBe('REDIRECT');
    expect(layerOf(dissect(result.frame), 'ipv4', 1).totalLength).toBe(28);
    expectValidChecksums(result.frame);
  });

  it('of two tenants lead to the right one', () => {
    const to = (vm: world.VirtualMachine): Layer[] => [ipv4({ source: server, destination: vm.floatingIp! }), tcp({ sourcePort: 1, destinationPort: 22 })];
    for (const vm of [a2, b2]) {
      const layers = dissect(gateway.run('external', fromOutside(to(vm))).frame);
      expect(layerOf(layers, 'geneve').vni).toBe(vm.tenant.vni);
      expect(layerOf(layers, 'ethernet', 1).destination).toBe(vm.mac);
    }
  });

  it('a VM that was never heard of cannot be reached, once heard it can', () => {
    gateway.reset({ syncMode: 'none' });
    const packet = fromOutside([ipv4({ source: server, destination: FIP }), tcp({ sourcePort: 1, destinationPort: 22, flags: TCP.SYN })]);
    expect(gateway.run('external', packet).counters).toEqual({ drop_endpoint_unknown: 1 });
    learn(a2);
    expect(gateway.run('external', packet).verdict).toBe('REDIRECT');
  });

  it('its neighbour without one still uses shared SNAT', () => {
    const packet = [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 1, destinationPort: 2 })];
    const result = gateway.run('underlay', frameFromVm(a1, packet));
    expect(layerOf(dissect(result.frame), 'ipv4').source).toBe(a1.tenant.externalAddress);
  });

  it('a session of shared SNAT keeps its translation when its VM gains a floating IP', () => {
    const packet = [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 1024, destinationPort: 53 })];
    const before = gateway.run('underlay', frameFromVm(a1, packet)).frame;
    gateway.ensureVm({ ...a1, floatingIp: '10.0.2.217' });
    const after = gateway.run('underlay', frameFromVm(a1, packet)).frame;
    const fresh = [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 1025, destinationPort: 53 })];

    expectFrame(after, before);
    expect(layerOf(dissect(gateway.run('underlay', frameFromVm(a1, fresh)).frame), 'ipv4').source).toBe('10.0.2.217');
  });

  it('a removed floating IP ends at once', () => {
    gateway.ensureVm({ tenant: a2.tenant, address: a2.address, mac: a2.mac, compute: a2.compute, option: a2.option });
    const packet = [ipv4({ source: a2.address, destination: server }), udp({ sourcePort: 1, destinationPort: 2 })];
    const result = gateway.run('underlay', frameFromVm(a2, packet));
    expect(layerOf(dissect(result.frame), 'ipv4').source).toBe(a2.tenant.externalAddress);
  });
});

describe('a VM that gains a floating IP while it has mappings of shared SNAT', () => {
  const vm = { ...a1, address: '172.16.100.30', mac: 'fa:16:3e:00:01:1e' };
  const GAINED = '10.0.2.230';
  const CLIENT = '198.51.100.7';
  const packet = (destination: string, segment: Layer): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination }), segment]);
  const sourceOf = (bytes: Buffer): string => layerOf(dissect(gateway.run('underlay', bytes).frame), 'ipv4').source;
  beforeEach(() => {
    gateway.run('underlay', packet(server, udp({ sourcePort: 51820, destinationPort: 51820 })));
    gateway.run('underlay', packet(server, tcp({ sourcePort: 40000, destinationPort: 80, flags: TCP.SYN })));
    gateway.addFloatingIp(vm, GAINED);
  });

  it('keeps the sessions that it has', () => {
    expect(sourceOf(packet(server, udp({ sourcePort: 51820, destinationPort: 51820 })))).toBe(a1.tenant.externalAddress);
    expect(sourceOf(packet(server, tcp({ sourcePort: 40000, destinationPort: 80, flags: TCP.ACK })))).toBe(a1.tenant.externalAddress);
  });

  it('answers a new client as whom it has asked, from the same port', () => {
    const asked = gateway.run('external', fromOutside([ipv4({ source: CLIENT, destination: GAINED }), udp({ sourcePort: 4444, destinationPort: 51820 })]));
    expect(asked.counters).toMatchObject({ inbound_floating_ip: 1 });
    expect(sourceOf(packet(CLIENT, udp({ sourcePort: 51820, destinationPort: 4444 })))).toBe(GAINED);
    expect(gateway.sessions()).toEqual([]);
  });

  it('begins with a new remote as its floating IP, from the same port', () => {
    expect(sourceOf(packet(CLIENT, tcp({ sourcePort: 40000, destinationPort: 80, flags: TCP.SYN })))).toBe(GAINED);
    expect(sourceOf(packet(server, tcp({ sourcePort: 40000, destinationPort: 443, flags: TCP.SYN })))).toBe(GAINED);
  });
});
