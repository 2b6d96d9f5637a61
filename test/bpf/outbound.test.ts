/** VM → outside, by shared SNAT: the whole packet, the verdict, the mapping, the counters. */
import { afterAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { expectValidChecksums } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, type MappingEntry } from '../support/gateway-fixture.js';
import { icmp, ICMP, ipv4, payload, tcp, TCP, udp, type Ipv4, type Layer, type Udp } from '../support/packet.js';
import { numberToIpv4 } from '../support/bytes.js';
import * as world from '../support/world.js';
import { a1, b1, frameFromVm, server, toOutside, type TunnelOverrides } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => gateway.reset({ syncMode: 'none' }));

interface Flow {
  readonly name: string;
  readonly protocol: number;
  readonly internalPort: number;
  /** What the VM sends, and what leaves once `port` was chosen. */
  readonly segment: (port: number) => Layer[];
}

const flows: readonly Flow[] = [
  {
    name: 'tcp syn',
    protocol: 0,
    internalPort: 40001,
    segment: (port) => [tcp({ sourcePort: port, destinationPort: 80, flags: TCP.SYN, sequence: 7, options: Buffer.from('020405b4', 'hex') })],
  },
  {
    name: 'udp',
    protocol: 1,
    internalPort: 40002,
    segment: (port) => [udp({ sourcePort: port, destinationPort: 53 }), payload('odd')],
  },
  {
    name: 'udp without checksum',
    protocol: 1,
    internalPort: 40002,
    segment: (port) => [udp({ sourcePort: port, destinationPort: 53, checksum: 0 }), payload('even')],
  },
  {
    name: 'icmp echo',
    protocol: 2,
    internalPort: 77,
    segment: (port) => [icmp({ type: ICMP.echo, identifier: port, sequence: 3 }), payload(Buffer.alloc(56, 0xa5))],
  },
];

const innerVariants: readonly { name: string; header: Partial<Ipv4> }[] = [
  { name: 'plain header', header: {} },
  { name: 'header with options', header: { options: Buffer.from('94040000' + '01010100', 'hex') } },
  { name: 'longest header', header: { options: Buffer.alloc(40, 1) } },
  { name: 'DF, id, TTL 2 and DSCP', header: { dontFragment: true, identification: 0xbeef, ttl: 2, typeOfService: 0xb8 } },
];

const unknownOption = (type: number, words: number) => ({ optionClass: 0x0107, type, data: Buffer.alloc(words * 4, 0x5a) });
const tunnelVariants: readonly { name: string; tunnel: TunnelOverrides }[] = [
  { name: 'OVN option', tunnel: {} },
  { name: 'no option', tunnel: { geneve: { options: [] } } },
  { name: 'unknown option before', tunnel: { geneve: { options: [unknownOption(1, 0), a1.option] } } },
  { name: 'unknown option behind', tunnel: { geneve: { options: [a1.option, unknownOption(2, 3)] } } },
  { name: 'longest options', tunnel: { geneve: { options: [a1.option, unknownOption(1, 31), unknownOption(2, 27)] } } },
  { name: '63 empty options', tunnel: { geneve: { options: Array.from({ length: 63 }, () => unknownOption(3, 0)) } } },
  { name: 'outer header with options', tunnel: { ipv4: { options: Buffer.from('01010101', 'hex') } } },
  { name: 'outer fragmentation allowed', tunnel: { ipv4: { dontFragment: false } } },
  { name: 'outer VNI reserved byte set', tunnel: { geneve: { options: [], reserved: 0x3f, reserved2: 0xff } } },
];

function onlyMapping(): MappingEntry {
  const mappings = gateway.mappings();
  expect(mappings).toHaveLength(1);
  return mappings[0]!;
}

function inner(flow: Flow, header: Partial<Ipv4>): Layer[] {
  return [ipv4({ source: a1.address, destination: server, ...header }), ...flow.segment(flow.internalPort)];
}

function expected(flow: Flow, header: Partial<Ipv4>, externalPort: number): Layer[] {
  const ttl = (header.ttl ?? 64) - 1;
  const network = ipv4({ source: world.tenantA.externalAddress, destination: server, ...header, ttl });
  return toOutside([network, ...flow.segment(externalPort)]);
}

describe.each(flows)('outbound / $name', (flow) => {
  it.each(innerVariants)('$name', ({ header }) => {
    const result = gateway.run('underlay', frameFromVm(a1, inner(flow, header)));

    expect(result.verdict).toBe('REDIRECT');
    expectFrame(result.frame, expected(flow, header, onlyMapping().externalPort));
    expectValidChecksums(result.frame);
  });

  it.each(tunnelVariants)('tunnel: $name', ({ tunnel }) => {
    const result = gateway.run('underlay', frameFromVm(a1, inner(flow, {}), tunnel));

    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    expectFrame(result.frame, expected(flow, {}, onlyMapping().externalPort));
  });

  it('outer UDP checksum present', () => {
    const tunnel: TunnelOverrides = { udp: { checksum: undefined } };
    const frame = frameFromVm(a1, inner(flow, {}), tunnel);
    expect(layerOf(dissect(frame), 'udp').checksum).not.toBe(0);

    expectFrame(gateway.run('underlay', frame).frame, expected(flow, {}, onlyMapping().externalPort));
  });

  it('mapping, session, VM and counters', () => {
    const result = gateway.run('underlay', frameFromVm(a1, inner(flow, {})));

    expect(result.counters).toMatchObject({ outbound_snat: 1, session_created: 1, vm_learned: 1 });
    const mapping = onlyMapping();
    expect(mapping).toMatchObject({
      externalAddress: world.tenantA.externalAddress,
      protocol: flow.protocol,
      internalPort: flow.internalPort,
      vm: gateway.vmIndex(a1)! + 1,
      sessionCount: 0,
    });
    expect(numberToIpv4(mapping.first.remote)).toBe(server);
    expect(mapping.first.remotePort).toBe(flow.protocol === 0 ? 80 : 0);
    expect(numberToIpv4(gateway.vm(a1)!.tunnelEndpoint)).toBe(a1.compute.address);
  });

  it('the second packet uses the same mapping and creates nothing', () => {
    const frame = frameFromVm(a1, inner(flow, {}));
    const first = gateway.run('underlay', frame);
    const second = gateway.run('underlay', frame);

    expect(second.counters).toEqual({ outbound_snat: 1 });
    expect(second.frame.equals(first.frame)).toBe(true);
    expect(gateway.mappings()).toHaveLength(1);
    expect(gateway.sessions()).toHaveLength(0);
  });
});

describe('outbound / checksum corners', () => {
  /** Payload that makes the translated datagram's sum come out as zero. */
  it('a UDP sum that becomes zero is sent as all ones (RFC 768)', () => {
    gateway.run('underlay', frameFromVm(a1, inner(flows[1]!, {})));
    const externalPort = onlyMapping().externalPort;
    const out = (bytes: Buffer): Buffer => {
      const segment = [udp({ sourcePort: flows[1]!.internalPort, destinationPort: 53 }), payload(bytes)];
      return gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...segment])).frame;
    };
    const sum = layerOf(dissect(out(Buffer.alloc(2))), 'udp').checksum;
    const zeroing = Buffer.alloc(2);
    zeroing.writeUInt16BE(sum!);

    const frame = out(zeroing);

    expect(layerOf(dissect(frame), 'udp')).toMatchObject({ sourcePort: externalPort, checksum: 0xffff });
    expectValidChecksums(frame);
  });

  it('a wrong inner transport checksum stays wrong by the same amount: it is the receiver who judges', () => {
    const wrong: Udp = { ...udp({ sourcePort: 40002, destinationPort: 53 }), checksum: 0x1234 };
    const result = gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), wrong, payload('x')]));

    expect(result.verdict).toBe('REDIRECT');
    expect(() => expectValidChecksums(result.frame)).toThrow(/UDP checksum/);
  });

  it('every external port and address sums right: 2,000 ports', () => {
    for (let port = 2000; port < 4000; port++) {
      const segment = port % 2 === 0 ? udp({ sourcePort: port, destinationPort: 53 }) : tcp({ sourcePort: port, destinationPort: 53, flags: TCP.SYN });
      const frame = frameFromVm(a1, [ipv4({ source: a1.address, destination: server, identification: port }), segment]);
      const result = gateway.execute('underlay', frame);
      if (result.verdict === 'REDIRECT') expectValidChecksums(result.frame);
    }
    expect(gateway.mappings().length).toBeGreaterThan(1000);
  });
});

describe('outbound / next hop', () => {
  const packetTo = (destination: string): Buffer =>
    frameFromVm(a1, [ipv4({ source: a1.address, destination }), udp({ sourcePort: 9, destinationPort: 9 })]);

  it('a host of the provider network is reached directly', () => {
    const result = gateway.run('underlay', packetTo(world.neighbour.address));

    expect(result.verdict).toBe('REDIRECT');
    expect(layerOf(dissect(result.frame), 'ethernet')).toMatchObject({ destination: world.neighbour.mac, source: world.VIRTUAL_MAC });
  });

  it('everybody else by the router', () => {
    expect(layerOf(dissect(gateway.run('underlay', packetTo('8.8.8.8')).frame), 'ethernet').destination).toBe(world.externalRouter.mac);
  });

  it.skipIf(gateway.hook === 'tc')('goes out by the external interface and no other', () => {
    gateway.setPorts('underlay', 'ha');
    expect(gateway.run('underlay', packetTo(server)).verdict).toBe('ABORTED');
    gateway.setPorts('external');
    expect(gateway.run('underlay', packetTo(server)).verdict).toBe('REDIRECT');
  });
});

describe('outbound / unresolved next hop', () => {
  const packetTo = (destination: string): Buffer =>
    frameFromVm(a1, [ipv4({ source: a1.address, destination }), udp({ sourcePort: 9, destinationPort: 9 }), payload('held')]);

  it.each([
    ['a host of the provider network', '10.0.2.99', '10.0.2.99', 'drop_neighbour_unresolved'],
    ['the router', server, world.externalRouter.address, 'drop_gateway_unresolved'],
  ])('%s: the control plane is told whom to resolve, and gets the frame to send it again', async (_, destination, nextHop, reason) => {
    gateway.externalNetworks.set(0, { ...gateway.externalNetworks.get(0)!, gatewayMac: Buffer.alloc(6) });
    const events: { type: number; address: string; interface: number; frame: Buffer }[] = [];
    const ring = gateway.listen((event, frame) => events.push({ type: event.type, address: numberToIpv4(event.address), interface: event.interface, frame }));
    onTestFinished(() => ring.close());
    const bytes = packetTo(destination);

    expect(gateway.run('underlay', bytes).counters).toEqual({ [reason]: 1 });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]).toMatchObject({ type: 1, address: nextHop, interface: 1 });
    expectFrame(events[0]!.frame, bytes);
    expect(gateway.mappings()).toEqual([]);
  });
});

describe('outbound / two tenants with the same addresses', () => {
  it('each leaves by its own external address and keeps its own mapping', () => {
    const packet = [ipv4({ source: '172.16.100.10', destination: server }), udp({ sourcePort: 5000, destinationPort: 53 })];
    const frameA = gateway.run('underlay', frameFromVm(a1, packet)).frame;
    const frameB = gateway.run('underlay', frameFromVm(b1, packet)).frame;

    expect(layerOf(dissect(frameA), 'ipv4').source).toBe(world.tenantA.externalAddress);
    expect(layerOf(dissect(frameB), 'ipv4').source).toBe(world.tenantB.externalAddress);
    const owners = gateway.mappings().map((mapping) => [mapping.externalAddress, mapping.vm - 1]);
    expect(owners).toEqual([
      [world.tenantA.externalAddress, gateway.vmIndex(a1)],
      [world.tenantB.externalAddress, gateway.vmIndex(b1)],
    ]);
  });
});

describe('outbound / who forwards', () => {
  const frame = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 9, destinationPort: 9 })]);

  it.each(['initialize', 'backup'] as const)('%s drops and learns nothing', (state) => {
    gateway.reset({ syncMode: 'none', state });
    const before = gateway.tables();
    const result = gateway.run('underlay', frame);

    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_not_active: 1 });
    expect(gateway.tables()).toEqual(before);
  });

  it('draining forwards an existing session with the own MAC', () => {
    gateway.run('underlay', frame);
    gateway.setState('draining');
    const result = gateway.run('underlay', frame);

    expect(result.verdict).toBe('REDIRECT');
    expect(layerOf(dissect(result.frame), 'ethernet')).toMatchObject({
      source: world.nodeA.external.mac,
      destination: world.externalRouter.mac,
    });
  });

  it('an ended lease with a living peer stands down, with a silent peer it does not', () => {
    gateway.reset({ syncMode: 'async', leaseMs: -1000, peerAlive: true });
    expect(gateway.run('underlay', frame).counters).toEqual({ drop_not_active: 1 });
    gateway.setPeerAlive(false);
    expect(gateway.run('underlay', frame).verdict).toBe('REDIRECT');
  });
});

describe('outbound / ECN', () => {
  const packet = (inner: number, outer: number): Buffer =>
    frameFromVm(
      a1,
      [ipv4({ source: a1.address, destination: server, typeOfService: inner }), udp({ sourcePort: 9, destinationPort: 9 })],
      { ipv4: { typeOfService: outer } },
    );

  // RFC 6040 §4.2: the inner field, but congestion met in the tunnel is carried on.
  it.each([
    { inner: 0, outer: 0, out: 0 },
    { inner: 2, outer: 2, out: 2 },
    { inner: 1, outer: 1, out: 1 },
    { inner: 2, outer: 3, out: 3 },
    { inner: 1, outer: 3, out: 3 },
    { inner: 3, outer: 3, out: 3 },
    { inner: 0, outer: 2, out: 0 },
    { inner: 0xb9, outer: 0x03, out: 0xbb },
    { inner: 3, outer: 0, out: 3 },
  ])('inner $inner, outer $outer → $out', ({ inner: innerEcn, outer, out }) => {
    const result = gateway.run('underlay', packet(innerEcn, outer));

    expect(layerOf(dissect(result.frame), 'ipv4').typeOfService).toBe(out);
    expectValidChecksums(result.frame);
  });
});

