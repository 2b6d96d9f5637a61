/**
 * Real traffic of OVN 23.03 and of a plain Open vSwitch compute through the
 * programs. OVN's own gateway stands beside us as an oracle: what it made of a
 * packet on its other side is what we have to make of it. (It does not
 * decrement the TTL of outbound packets, its computes did; we do.)
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ipv4ToNumber, macToBuffer } from '../support/bytes.js';
import { checksumFaults } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, type RunResult } from '../support/gateway-fixture.js';
import { frame, icmp, ICMP, ipv4, payload, quote, split, udp, type Icmp, type Ipv4, type Layer, type Payload, type Udp } from '../support/packet.js';
import { readPcap } from '../support/pcap.js';
import { a2, tenantA, VIRTUAL_MAC, VRID, type Tenant } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());

const OUTSIDE_MAC = 'd6:82:25:f4:71:e9';
/** Of OVN's router outside: frames are sent to it. */
const ROUTER_MAC = 'fa:16:3e:5e:01:d1';
const COMPUTE = '192.168.33.30';
const SNAT_ADDRESS = '10.0.2.211';
const FLOATING_IP = '10.0.2.215';

interface Captured {
  readonly bytes: Buffer;
  readonly layers: Layer[];
}

function capture(name: string): Captured[] {
  return readPcap(`${name}.pcap`).packets.map(({ data }) => ({ bytes: Buffer.from(data), layers: dissect(Buffer.from(data)) }));
}

const fromCompute = ({ layers }: Captured): boolean => layers.some((layer) => layer.layer === 'geneve') && layerOf(layers, 'ipv4').source === COMPUTE;
const toCompute = ({ layers }: Captured): boolean => layers.some((layer) => layer.layer === 'geneve') && layerOf(layers, 'ipv4').destination === COMPUTE;
const isIpv4From = (source: string) => ({ layers }: Captured): boolean => layers.some((layer) => layer.layer === 'ipv4' && layer.source === source);

/** From the innermost IPv4 header on, with computed fields left to be computed again where `change` touched them. */
function innermost(layers: readonly Layer[]): Layer[] {
  return layers.slice(layers.findLastIndex((layer) => layer.layer === 'ipv4')).filter((layer) => layer.layer !== 'padding');
}

/** The packet with other addresses, TTL or ports, and its sums computed from scratch. */
function changed(packet: readonly Layer[], header: object, ports: object): Layer[] {
  return packet.map((layer) => {
    if (layer.layer === 'ipv4') return { ...layer, ...header, checksum: undefined } as unknown as Layer;
    if (layer.layer === 'udp' && layer.checksum === 0) return { ...layer, ...ports };
    if (layer.layer === 'udp' || layer.layer === 'tcp') return { ...layer, ...ports, checksum: undefined } as Layer;
    if (layer.layer === 'icmp' && 'identifier' in ports) return { ...layer, ...ports, checksum: undefined } as unknown as Layer;
    return layer;
  });
}

const ovn: Tenant = { ...tenantA, vni: 2, gatewayMac: OUTSIDE_MAC, externalAddress: SNAT_ADDRESS };

function setEndpoint(address: string): void {
  gateway.virtualRouters.update(VRID, { address: ipv4ToNumber(address) });
  gateway.virtualRouterByAddress.set(ipv4ToNumber(address), VRID);
}

/** A gateway that stands where OVN's gw-1 stood. */
function configureAsOvn(): void {
  gateway.reset({ syncMode: 'none' });
  setEndpoint('192.168.33.10');
  gateway.setInterface('external', { mac: macToBuffer(ROUTER_MAC) });
  gateway.networkByVni.set(2, 0);
  gateway.setNetwork({ vni: 2, gatewayMac: macToBuffer(OUTSIDE_MAC) }, ovn);
  gateway.setRouter({ externalAddress: ipv4ToNumber(SNAT_ADDRESS) }, ovn);
  gateway.addSnatAddress(0, SNAT_ADDRESS, ovn);
  gateway.setExternalNetwork({ gateway: ipv4ToNumber('10.0.2.2'), gatewayMac: macToBuffer(OUTSIDE_MAC) });
  gateway.addNeighbour('external', '10.0.2.2', OUTSIDE_MAC);
  gateway.addFloatingIp({ ...a2, tenant: ovn }, FLOATING_IP);
}

describe('OVN, shared SNAT', () => {
  beforeEach(configureAsOvn);

  it.each([
    ['ovn-02-snat-ping', 6],
    ['ovn-03-snat-tcp-udp', 12],
  ])('%s: both directions of the exchange', (name, packets) => {
    const north = capture(`${name}-underlay`).filter(fromCompute);
    const south = capture(`${name}-underlay`).filter(toCompute).map(({ layers }) => innermost(layers));
    const replies = capture(`${name}-external`).filter(isIpv4From('8.8.8.8')).map(({ layers }) => layers);
    expect(north.length + replies.length).toBe(packets);

    for (const { bytes, layers } of north) expectTranslatedNorth(bytes, innermost(layers));
    for (const [index, reply] of replies.entries()) expectTranslatedSouth(reply, south[index]!);
  });

  /** Our port is ours to choose; the rest of the packet is not. */
  function expectTranslatedNorth(bytes: Buffer, packet: Layer[]): void {
    const result = gateway.run('underlay', bytes);
    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    const mapping = mappingOf(packet[1]!);
    const ports = packet[1]!.layer === 'icmp' ? { identifier: mapping.externalPort } : { sourcePort: mapping.externalPort };
    const network = layerOf(packet, 'ipv4');
    expectFrame(result.frame, [
      { layer: 'ethernet', source: VIRTUAL_MAC, destination: OUTSIDE_MAC },
      ...changed(packet, { source: SNAT_ADDRESS, ttl: network.ttl - 1 }, ports),
    ]);
  }

  /** The reply as it came to OVN, but to our port: the VM has to see what OVN showed it. */
  function expectTranslatedSouth(reply: Layer[], shown: Layer[]): void {
    const mapping = mappingOf(shown[1]!);
    const ports = shown[1]!.layer === 'icmp' ? { identifier: mapping.externalPort } : { destinationPort: mapping.externalPort };
    const result = gateway.run('external', frame(reply[0]!, ...changed(reply.slice(1), {}, ports)));
    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    expectFrame(frame(...innermost(dissect(result.frame))), frame(...shown));
    expectTunnel(result);
  }

  function mappingOf(segment: Layer) {
    const protocol = { tcp: 0, udp: 1, icmp: 2 }[segment.layer as 'tcp' | 'udp' | 'icmp'];
    return gateway.mappings().find((mapping) => mapping.protocol === protocol)!;
  }
});

function expectTunnel(result: RunResult): void {
  const layers = dissect(result.frame);
  expect(layerOf(layers, 'ipv4')).toMatchObject({ source: '192.168.33.10', destination: COMPUTE });
  expect(layerOf(layers, 'ethernet').destination).toBe('02:00:00:33:00:01');
  expect(checksumFaults(result.frame)).toEqual([]);
}

describe('OVN, floating IP', () => {
  beforeEach(configureAsOvn);

  it('ovn-04: what comes from the VM leaves as OVN sent it', () => {
    const north = capture('ovn-04-fip-underlay').filter(fromCompute);
    const expected = capture('ovn-04-fip-external').filter(isIpv4From(FLOATING_IP)).map(({ layers }) => innermost(layers));
    expect(north.length).toBeGreaterThanOrEqual(6);
    expect(expected.length).toBe(north.length);
    for (const [index, { bytes }] of north.entries()) {
      const result = gateway.run('underlay', bytes);
      const theirs = expected[index]!;
      expectFrame(result.frame, [
        { layer: 'ethernet', source: VIRTUAL_MAC, destination: OUTSIDE_MAC },
        ...changed(theirs, { ttl: layerOf(theirs, 'ipv4').ttl - 1 }, {}),
      ]);
    }
    expect(gateway.mappings()).toEqual([]);
  });

  it('ovn-04: what comes from outside reaches the VM as OVN showed it', () => {
    gateway.run('underlay', capture('ovn-04-fip-underlay').find(fromCompute)!.bytes);
    const inbound = capture('ovn-04-fip-external').filter(isIpv4From('10.0.2.2'));
    const shown = capture('ovn-04-fip-underlay').filter(toCompute).filter(isIpv4From('10.0.2.2')).map(({ layers }) => innermost(layers));
    expect(shown.length).toBeGreaterThanOrEqual(6);
    expect(inbound.length).toBe(shown.length);
    for (const [index, { bytes }] of inbound.entries()) {
      const result = gateway.run('external', bytes);
      expectFrame(frame(...innermost(dissect(result.frame))), frame(...shown[index]!));
      expectTunnel(result);
    }
  });

  it('ovn-04: ARP for it is answered as by OVN, with our MAC', () => {
    const [request, reply] = capture('ovn-04-fip-external');
    const result = gateway.run('external', request!.bytes);
    const expected = reply!.layers.map((layer): Layer => {
      if (layer.layer === 'ethernet') return { ...layer, source: VIRTUAL_MAC };
      return layer.layer === 'arp' ? { ...layer, senderMac: VIRTUAL_MAC } : layer;
    });
    expect(result.verdict).toBe('TX');
    expectFrame(result.frame, expected);
  });
});

const isBfd = (layers: readonly Layer[]): boolean => layers.some((layer) => layer.layer === 'geneve' && layer.vni === 0);
const isToUs = (layers: readonly Layer[]): boolean => layerOf(layers, 'ipv4').destination === '192.168.33.10';

describe('OVN, what we refuse', () => {
  beforeEach(configureAsOvn);

  it.each([
    ['ovn-01-bfd-establish-underlay', 'BFD of another gateway\'s world', 'drop_vni_unknown', ({ layers }: Captured) => isBfd(layers) && !isToUs(layers)],
    ['ovn-09-bfd-steady-underlay', 'BFD of another gateway\'s world', 'drop_vni_unknown', ({ layers }: Captured) => isBfd(layers) && !isToUs(layers)],
    ['ovn-01-bfd-establish-underlay', 'BFD of who is not admitted', 'drop_bfd_stranger', ({ layers }: Captured) => isBfd(layers) && isToUs(layers)],
    ['ovn-08-arp-nexthop-through-tunnel-underlay', 'a compute that asks for the next hop', 'drop_source_not_in_subnet', ({ layers }: Captured) => layers.some(({ layer }) => layer === 'arp')],
  ] as const)('%s / %s', (name, _, reason, selects) => {
    const selected = capture(name).filter(selects);
    expect(selected.length).toBeGreaterThan(0);
    for (const { bytes } of selected) {
      const result = gateway.run('underlay', bytes);
      expect(result.verdict).toBe('DROP');
      expect(result.counters).toMatchObject({ [reason]: 1 });
    }
  });
});

/** The whole packet of a capture's fragments, its transport header and sums as they were sent. */
function whole(parts: readonly Captured[], depth: number): { network: Ipv4; message: Icmp; body: Buffer } {
  const network = layerOf(parts[0]!.layers, 'ipv4', depth);
  const { identifier, sequence, type } = layerOf(parts[0]!.layers, 'icmp');
  const body = Buffer.concat(parts.map(({ layers }) => (layers.at(-1) as Payload).bytes));
  const { source, destination, identification, ttl, typeOfService } = network;
  return { network: ipv4({ source, destination, identification, ttl, typeOfService }), message: icmp({ type, identifier, sequence }), body };
}

describe('OVN, ICMP errors, fragments and hairpinning', () => {
  beforeEach(configureAsOvn);
  const inner = (frameBytes: Buffer): Buffer => frame(...innermost(dissect(frameBytes)));

  it('ovn-06: an error to shared SNAT is shown to the VM as OVN shows it, with the packet that the VM sent', () => {
    const [sent, shown] = capture('ovn-06-icmp-errors-underlay');
    const error = capture('ovn-06-icmp-errors-external')[1]!.layers;
    const left = gateway.run('underlay', sent!.bytes);
    const { sourcePort } = layerOf(dissect(left.frame), 'udp');
    const [network, datagram, data] = layerOf(error, 'quote').layers as [Ipv4, Udp, Layer];
    const toOurPort = [ipv4({ ...network }), udp({ sourcePort, destinationPort: datagram.destinationPort }), data];
    const { type, code } = layerOf(error, 'icmp');
    const result = gateway.run('external', frame(error[0]!, error[1]!, icmp({ type, code }), quote(toOurPort)));

    expect(result.counters).toEqual({ icmp_error_inbound: 1 });
    expectFrame(inner(result.frame), frame(...innermost(shown!.layers)));
    expect(checksumFaults(result.frame)).toEqual([]);
  });

  it('ovn-06: a packet of traceroute that ends here is answered', () => {
    const probe = capture('ovn-06-icmp-errors-underlay')[2]!;
    const result = gateway.run('underlay', probe.bytes);
    expect(result.counters).toMatchObject({ drop_ttl_exceeded: 1, icmp_error_to_vm: 1 });
    const layers = dissect(result.frame);
    expect(layerOf(layers, 'ipv4', 1)).toMatchObject({ source: '172.16.100.1', destination: '172.16.100.10' });
    expectFrame(frame(layerOf(layers, 'quote')), frame(...innermost(probe.layers)));
    expect(checksumFaults(result.frame)).toEqual([]);
  });

  it('ovn-07b: fragments to shared SNAT and back, each as OVN makes it', () => {
    const FRAGMENT_BYTES = 1416;
    const outbound = capture('ovn-07b-fragments-mtu1442-underlay').filter(fromCompute);
    const shown = capture('ovn-07b-fragments-mtu1442-underlay').filter(toCompute);
    const request = whole(outbound, 1);
    const left = outbound.map(({ bytes }) => gateway.run('underlay', bytes));
    const { externalPort } = gateway.mappings()[0]!;
    const translated = [{ ...request.network, source: SNAT_ADDRESS, ttl: request.network.ttl! - 1 }, { ...request.message, identifier: externalPort }, payload(request.body)] as const;
    split(FRAGMENT_BYTES, translated).forEach((part, index) => {
      expectFrame(left[index]!.frame, [{ layer: 'ethernet', source: VIRTUAL_MAC, destination: OUTSIDE_MAC }, ...part]);
    });

    const reply = whole(capture('ovn-07b-fragments-mtu1442-external').filter(isIpv4From('8.8.8.8')), 0);
    const toOurPort = [reply.network, { ...reply.message, identifier: externalPort }, payload(reply.body)] as const;
    split(FRAGMENT_BYTES, toOurPort).forEach((part, index) => {
      const result = gateway.run('external', frame({ layer: 'ethernet', source: OUTSIDE_MAC, destination: VIRTUAL_MAC }, ...part));
      expectFrame(inner(result.frame), frame(...innermost(shown[index]!.layers)));
    });
  });

  it('ovn-07c: 1500 bytes that must not be split, where 1442 fit, are said to be too big', () => {
    gateway.setInterface('underlay', { mtu: 1500 });
    const [sent] = capture('ovn-04-fip-underlay').filter(fromCompute);
    gateway.run('underlay', sent!.bytes);
    for (const { bytes } of capture('ovn-07c-1500B-DF-from-outside-external')) {
      const result = gateway.run('external', bytes);
      expect(result.counters).toEqual({ drop_mtu_exceeded: 1, icmp_error_to_outside: 1 });
      expect(layerOf(dissect(result.frame), 'icmp')).toMatchObject({ type: ICMP.unreachable, code: 4, sequence: 1442 });
      expect(checksumFaults(result.frame)).toEqual([]);
    }
  });

  it('ovn-05: a VM that pings another one\'s floating IP, both ways', () => {
    gateway.setNetwork({ gatewayMac: macToBuffer(ROUTER_MAC) }, ovn);
    const frames = capture('ovn-05-hairpin-fip-underlay');
    const [ping, pinged, pong, ponged] = frames as [Captured, Captured, Captured, Captured];
    // Its endpoint is learned from whatever it sends.
    gateway.run('underlay', pong.bytes);
    const there = gateway.run('underlay', ping.bytes);
    const { externalPort } = gateway.mappings()[0]!;
    expect(there.counters).toMatchObject({ hairpin: 1 });
    expectFrame(inner(there.frame), frame(...changed(innermost(pinged.layers), {}, { identifier: externalPort })));

    const inTunnel = pong.layers.slice(0, pong.layers.findLastIndex((layer) => layer.layer === 'ipv4'));
    const back = gateway.run('underlay', frame(...inTunnel, ...changed(innermost(pong.layers), {}, { identifier: externalPort })));
    expect(back.counters).toMatchObject({ hairpin: 1 });
    expectFrame(inner(back.frame), frame(...innermost(ponged.layers)));
  });
});

describe('a plain Open vSwitch compute', () => {
  it('plain-geneve: two tenants with one address are answered in the tunnels that they used', () => {
    gateway.reset({ syncMode: 'none' });
    setEndpoint('192.168.33.50');
    for (const index of [0, 1]) gateway.networks.set(index, { ...gateway.networks.get(index)!, gatewayMac: macToBuffer('fa:16:3e:c5:31:1e') });
    const frames = capture('plain-geneve-compute');
    const requests = frames.filter(fromCompute);
    const replies = frames.filter(toCompute);
    expect(requests.length).toBeGreaterThan(3);

    for (const [index, { bytes, layers }] of requests.entries()) {
      const outbound = gateway.run('underlay', bytes);
      expect(outbound.verdict).toBe('REDIRECT');
      const sent = dissect(outbound.frame);
      const answer = innermost(sent).map((layer): Layer => {
        if (layer.layer === 'ipv4') return { ...layer, source: layer.destination, destination: layer.source, ttl: 65, checksum: undefined } as unknown as Layer;
        return layer.layer === 'icmp' ? ({ ...layer, type: ICMP.echoReply, checksum: undefined } as unknown as Layer) : layer;
      });
      const inbound = gateway.run('external', frame({ layer: 'ethernet', source: OUTSIDE_MAC, destination: VIRTUAL_MAC }, ...answer));
      const got = dissect(inbound.frame);
      const shown = replies[index]!.layers;
      expect(layerOf(got, 'geneve')).toEqual(layerOf(shown, 'geneve'));
      expect(layerOf(got, 'ethernet', 1)).toEqual(layerOf(shown, 'ethernet', 1));
      expect(layerOf(got, 'icmp').identifier).toBe(layerOf(layers, 'icmp').identifier);
      expect(layerOf(got, 'ipv4').destination).toBe(COMPUTE);
      expect(checksumFaults(inbound.frame)).toEqual([]);
    }
    expect(new Set(gateway.mappings().map(({ externalAddress }) => externalAddress)).size).toBe(2);
  });
});

describe('every captured frame through every program', () => {
  const names = readdirSync(new URL('../pcaps/', import.meta.url)).map((name) => name.replace(/\.pcap$/, ''));

  it.each(names)('%s: no program aborts, and what comes out sums right', (name) => {
    configureAsOvn();
    for (const { bytes } of capture(name)) {
      for (const program of ['underlay', 'external', 'ha_xdp'] as const) {
        const { verdict, frame: output } = gateway.execute(program, bytes);
        expect(verdict).not.toBe('ABORTED');
        if (verdict === 'REDIRECT' || verdict === 'TX') expect(checksumFaults(output)).toEqual([]);
      }
    }
  });
});
