import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readPcap } from './pcap.js';
import { checksumFaults, internetChecksum } from './checksum.js';
import { dissect, layerOf } from './dissect.js';
import { describeDifference, expectFrame } from './expect-frame.js';
import * as packet from './packet.js';
import type { Layer } from './packet.js';

const PCAPS = new URL('../pcaps/', import.meta.url);
const captures = readdirSync(PCAPS).filter((name) => /^(ovn|plain)-.*\.pcap$/.test(name));

function framesOf(name: string): Buffer[] {
  return readPcap(name).packets.map((packet) => Buffer.from(packet.data));
}

/** The same description with everything that can be computed left out. */
function withoutComputed(layers: readonly Layer[]): Layer[] {
  return layers.map((layer) => {
    switch (layer.layer) {
      case 'ipv4': {
        const { checksum: _1, totalLength: _2, headerLength: _3, ...kept } = layer;
        return kept;
      }
      case 'udp': {
        const { length: _1, checksum, ...kept } = layer;
        return checksum === 0 ? { ...kept, checksum } : kept;
      }
      case 'tcp': {
        const { dataOffset: _1, checksum: _2, ...kept } = layer;
        return kept;
      }
      case 'icmp': {
        const { checksum: _1, ...kept } = layer;
        return kept;
      }
      default:
        return layer;
    }
  });
}

const isFragment = (layers: readonly Layer[]): boolean =>
  layers.some((layer) => layer.layer === 'ipv4' && (layer.moreFragments || (layer.fragmentOffset ?? 0) > 0));

describe('captures of real traffic', () => {
  it('are there', () => {
    expect(captures.length).toBeGreaterThanOrEqual(19);
  });

  it.each(captures)('%s / dissected and rebuilt is the same bytes', (name) => {
    for (const bytes of framesOf(name)) expectFrame(packet.frame(...dissect(bytes)), bytes);
  });

  it.each(captures)('%s / lengths and checksums computed anew are the same bytes', (name) => {
    for (const bytes of framesOf(name)) {
      const layers = dissect(bytes);
      if (!isFragment(layers)) expectFrame(packet.frame(...withoutComputed(layers)), bytes);
    }
  });

  it.each(captures)('%s / every checksum verifies, and no longer when the TTL is changed', (name) => {
    for (const bytes of framesOf(name)) {
      expect(checksumFaults(bytes)).toEqual([]);
      const layers = dissect(bytes);
      const link = layerOf(layers, 'ethernet');
      if (link.etherType !== packet.ETHER_TYPE.ipv4) continue;
      const ttlFlipped = Buffer.from(bytes);
      ttlFlipped[14 + 8]! ^= 1;
      expect(checksumFaults(ttlFlipped)).toContain('frame: IPv4 header checksum');
    }
  });

  it('reaches the inner checksums', () => {
    const inner = framesOf('ovn-03-snat-tcp-udp-underlay.pcap').filter((bytes) => {
      const layers = dissect(bytes);
      return layers.some((layer) => layer.layer === 'tcp');
    });
    expect(inner.length).toBeGreaterThan(0);
    for (const bytes of inner) {
      const damaged = Buffer.from(bytes);
      damaged[damaged.length - 1]! ^= 1;
      expect(checksumFaults(damaged)).toContain('frame.inner: TCP checksum');
    }
  });
});

describe('internet checksum', () => {
  it('RFC 1071 §3 example', () => {
    expect(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex'))).toBe(~0xddf2 & 0xffff);
  });

  it('an odd byte counts as high half', () => {
    expect(internetChecksum(Buffer.from([0xab]))).toBe(~0xab00 & 0xffff);
  });
});

describe('builder', () => {
  const link = packet.ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
  const network = packet.ipv4({ source: '10.0.0.1', destination: '10.0.0.2' });
  const datagram = packet.udp({ sourcePort: 1, destinationPort: 2 });

  it('writes the bytes of a hand-computed datagram', () => {
    const bytes = packet.frame(link, network, datagram, packet.payload('hi'));
    expect(bytes.toString('hex')).toBe(
      '020000000002' + '020000000001' + '0800' + '4500001e00000000401166cd0a0000010a000002' + '00010002000a836b' + '6869',
    );
  });

  it('a lie is written as told', () => {
    const bytes = packet.frame(link, { ...network, totalLength: 9999, headerLength: 15, checksum: 0x1234 }, { ...datagram, length: 7 });
    const layers = [bytes.readUInt16BE(16), bytes[14]! & 0xf, bytes.readUInt16BE(24), bytes.readUInt16BE(38)];
    expect(layers).toEqual([9999, 15, 0x1234, 7]);
  });

  it('a computed UDP sum of zero is sent as all ones', () => {
    const base = packet.frame(link, network, { ...datagram, checksum: 0 }, packet.payload(Buffer.alloc(2)));
    const sum = packet.frame(link, network, datagram, packet.payload(Buffer.alloc(2))).readUInt16BE(40);
    const bytes = packet.frame(link, network, datagram, packet.payload(Buffer.from([sum >> 8, sum & 0xff])));
    expect(base.readUInt16BE(40)).toBe(0);
    expect(bytes.readUInt16BE(40)).toBe(0xffff);
    expect(checksumFaults(bytes)).toEqual([]);
  });

  it('padding of the inner frame is inside the outer lengths, a second padding outside', () => {
    const outer = packet.udp({ sourcePort: 5, destinationPort: packet.GENEVE_PORT });
    const bytes = packet.frame(link, network, outer, packet.geneve({ vni: 7 }), link, network, datagram, packet.padding(4), packet.padding(6));
    const layers = dissect(bytes);
    expect(checksumFaults(bytes)).toEqual([]);
    expect(layerOf(layers, 'ipv4', 1).totalLength).toBe(28);
    expect(layerOf(layers, 'ipv4', 0).totalLength).toBe(20 + 8 + 8 + 14 + 28 + 4);
    expect(layerOf(layers, 'padding', 1).bytes.length).toBe(6);
  });

  it('fragments put together are the packet', () => {
    const body = Buffer.from(Array.from({ length: 50 }, (_, index) => index));
    const parts = packet.fragments(24, link, network, datagram, packet.payload(body));
    const joined = Buffer.concat(parts.map((part) => part.subarray(34)));
    expect(joined.equals(packet.frame(link, network, datagram, packet.payload(body)).subarray(34))).toBe(true);
    expect(parts.map((part) => part.readUInt16BE(20))).toEqual([0x2000, 0x2003, 0x0006]);
    for (const part of parts) expect(checksumFaults(part)).toEqual([]);
  });

  it('Geneve option lengths and the critical bit follow the options', () => {
    const layer = packet.geneve({ vni: 100, options: [packet.ovnOption(3, 4), { optionClass: 9, type: 1, data: Buffer.alloc(8) }] });
    const bytes = packet.frame(layer, packet.payload('x'));
    expect(bytes.subarray(0, 28).toString('hex')).toBe('0540' + 'ffff' + '00006400' + '0102800100030004' + '00090102' + '00'.repeat(8));
  });
});

describe('builder / tags and tunnels', () => {
  const link = packet.ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
  const network = packet.ipv4({ source: '10.0.0.1', destination: '10.0.0.2' });
  const datagram = packet.udp({ sourcePort: 1, destinationPort: 2 });
  const inside = [link, network, datagram, packet.payload('inner')];

  it('802.1Q: priority, drop eligible, identifier, then the type of what follows', () => {
    const bytes = packet.frame(link, packet.vlan(100, { priority: 5, dropEligible: true }), network, datagram);
    expect(bytes.subarray(12, 18).toString('hex')).toBe('8100b0640800');
    expect(checksumFaults(bytes)).toEqual([]);
    expectFrame(packet.frame(...dissect(bytes)), bytes);
    expect(layerOf(dissect(bytes), 'vlan')).toMatchObject({ identifier: 100, priority: 5, dropEligible: true, etherType: 0x0800 });
  });

  it('802.1Q does not hide a wrong sum', () => {
    const bytes = packet.frame(link, packet.vlan(1), { ...network, checksum: 1 }, datagram);
    expect(checksumFaults(bytes)).toEqual(['frame: IPv4 header checksum']);
  });

  it('VXLAN: the flag that the VNI is valid, and the VNI (RFC 7348 §5)', () => {
    const bytes = packet.frame(link, network, packet.udp({ sourcePort: 5, destinationPort: packet.VXLAN_PORT }), packet.vxlan({ vni: 0x123456 }), ...inside);
    expect(bytes.subarray(42, 50).toString('hex')).toBe('0800000012345600');
    expect(checksumFaults(bytes)).toEqual([]);
    expectFrame(packet.frame(...dissect(bytes)), bytes);
    expect(layerOf(dissect(bytes), 'ipv4', 1).source).toBe('10.0.0.1');
    bytes[bytes.length - 1]! ^= 1;
    expect(checksumFaults(bytes)).toContain('frame.inner: UDP checksum');
  });
});

describe('builder / ICMP errors', () => {
  const link = packet.ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
  const outer = packet.ipv4({ source: '10.0.0.9', destination: '10.0.0.1' });
  const sent = [packet.ipv4({ source: '10.0.0.1', destination: '10.0.0.2' }), packet.udp({ sourcePort: 1, destinationPort: 2 }), packet.payload('sent')];
  const error = packet.icmp({ type: packet.ICMP.unreachable, code: packet.UNREACHABLE.port });
  const wholeQuote = packet.frame(link, outer, error, packet.quote(sent));

  it('quote the packet with the sums that it had', () => {
    expect(wholeQuote.subarray(42).equals(packet.frame(...sent))).toBe(true);
    expect(checksumFaults(wholeQuote)).toEqual([]);
    expectFrame(packet.frame(...dissect(wholeQuote)), wholeQuote);
  });

  it('cut to eight bytes keep the lengths of the packet that was sent (RFC 792)', () => {
    const bytes = packet.frame(link, outer, error, packet.quote(sent, 8));
    expect(bytes.length).toBe(42 + 20 + 8);
    expect(bytes.readUInt16BE(42 + 2)).toBe(32);
    expect(bytes.subarray(42 + 20).equals(packet.frame(...sent).subarray(20, 28))).toBe(true);
    expect(checksumFaults(bytes)).toEqual([]);
    expectFrame(packet.frame(...dissect(bytes)), bytes);
  });

  it.each([
    ['the quoted header', 42 + 8, 'frame.quote: IPv4 header checksum'],
    ['the quoted ports', 42 + 20, 'frame.quote: UDP checksum'],
    ['the message', 34 + 1, 'frame: ICMP checksum'],
  ])('a change of %s is a fault', (_, offset, fault) => {
    const bytes = Buffer.from(wholeQuote);
    bytes[offset]! ^= 1;
    expect(checksumFaults(bytes)).toContain(fault);
  });

  it('a difference inside of the quote is named', () => {
    const other = packet.frame(link, outer, error, packet.quote([{ ...sent[0]!, ttl: 3 } as Layer, ...sent.slice(1)]));
    expect(describeDifference(other, wholeQuote)).toContain('3.quote.0.ipv4.ttl: expected 64 (0x40), got 3 (0x3)');
  });
});

describe('builder / transport', () => {
  const link = packet.ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
  const network = packet.ipv4({ source: '10.0.0.1', destination: '10.0.0.2' });

  it('TCP options fill whole words', () => {
    const options = packet.tcpOptions(packet.tcpOption.mss(1460), packet.tcpOption.sackPermitted, packet.tcpOption.windowScale(7));
    expect(options.toString('hex')).toBe('020405b4' + '0402' + '030307' + '000000');
    const bytes = packet.frame(link, network, packet.tcp({ sourcePort: 1, destinationPort: 2, options }));
    expect(layerOf(dissect(bytes), 'tcp').dataOffset).toBe(8);
    expect(checksumFaults(bytes)).toEqual([]);
  });

  it.each([undefined, 0, 8, 12])('UDP-Lite with a coverage of %s (RFC 3828)', (coverage) => {
    const datagram = packet.udpLite({ sourcePort: 1, destinationPort: 2, ...(coverage === undefined ? {} : { coverage }) });
    const bytes = packet.frame(link, network, datagram, packet.payload('eight by'));
    expect(bytes[23]).toBe(packet.PROTOCOL.udpLite);
    expect(checksumFaults(bytes)).toEqual([]);
    expectFrame(packet.frame(...dissect(bytes)), bytes);
    bytes[bytes.length - 1]! ^= 1;
    expect(checksumFaults(bytes)).toEqual(coverage ? [] : ['frame: UDP-Lite checksum']);
    bytes[26]! ^= 1;
    expect(checksumFaults(bytes)).toContain('frame: UDP-Lite checksum');
  });

  it('a packet inside of a tunnel is split into fragments without a link layer', () => {
    const datagram = [network, packet.udp({ sourcePort: 1, destinationPort: 2 }), packet.payload(Buffer.alloc(30))] as const;
    const parts = packet.split(16, datagram).map((part) => packet.frame(...part));
    expect(parts.map((part) => part.readUInt16BE(6))).toEqual([0x2000, 0x2002, 0x0004]);
    expect(Buffer.concat(parts.map((part) => part.subarray(20))).equals(packet.frame(...datagram).subarray(20))).toBe(true);
  });
});

describe('difference', () => {
  it('names the field and marks the byte', () => {
    const link = packet.ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
    const make = (ttl: number): Buffer =>
      packet.frame(link, packet.ipv4({ source: '10.0.0.1', destination: '10.0.0.2', ttl, checksum: 0 }), packet.icmp({ type: 8 }));
    const text = describeDifference(make(63), make(64));
    expect(text).toContain('1.ipv4.ttl: expected 64 (0x40), got 63 (0x3f)');
    expect(text).toContain('[3f]');
    expect(text).not.toContain('source: expected');
    expect(() => expectFrame(make(63), make(64))).toThrow(/ipv4\.ttl/);
  });

  it('a frame that is too short is shown as such', () => {
    const bytes = packet.frame(packet.payload('abcdef'));
    expect(describeDifference(bytes.subarray(0, 3), bytes)).toContain('expected 6 bytes, got 3');
  });
});
