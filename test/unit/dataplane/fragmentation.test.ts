import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitFrame, splitPacket } from '../../../src/dataplane/fragmentation.js';
import { writeChecksum } from '../../../src/dataplane/ipv4.js';
import { innerOffsetOf, tunnelFrame } from '../../../src/dataplane/tunnel.js';
import { tagged } from '../../../src/dataplane/vlan.js';

interface Shape {
  readonly payload: Uint8Array;
  readonly options: Uint8Array;
  /** In units of eight bytes: of a packet that is a part itself. */
  readonly offset: number;
  readonly more: boolean;
}

/** As the RFC has it: written without the code under test. */
function packetOf({ payload, options, offset, more }: Shape, flags = 0): Buffer {
  const header = Buffer.alloc(20 + options.length);
  header[0] = 0x40 | (header.length / 4);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(0x1234, 4);
  header.writeUInt16BE(offset | (more ? 0x2000 : 0) | flags, 6);
  header[8] = 63;
  header[9] = 17;
  header.writeUInt32BE(0xac10640a, 12);
  header.writeUInt32BE(0xcb007107, 16);
  Buffer.from(options).copy(header, 20);
  writeChecksum(header);
  return Buffer.concat([header, payload]);
}

const headerOf = (packet: Buffer): Buffer => packet.subarray(0, (packet[0]! & 15) * 4);
const offsetOf = (packet: Buffer): number => (packet.readUInt16BE(6) & 0x1fff) * 8;

/** RFC 1071: the sum over a header with a right checksum is all ones. */
function hasRightChecksum(packet: Buffer): boolean {
  let sum = 0;
  const header = headerOf(packet);
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

/** NOP, record route (not copied) and router alert (copied), in any order, padded. */
const anyOptions = fc.shuffledSubarray([[1], [7, 7, 4, 0, 0, 0, 0], [148, 4, 0, 0]]).map((options) => {
  const bytes = options.flat();
  return Uint8Array.from([...bytes, ...Array<number>((4 - (bytes.length % 4)) % 4).fill(0)]);
});
const anyShape: fc.Arbitrary<Shape> = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 1500 }), options: anyOptions, offset: fc.constantFrom(0, 100), more: fc.boolean(),
}).map((shape) => (shape.more ? { ...shape, payload: shape.payload.subarray(0, Math.max(8, shape.payload.length - (shape.payload.length % 8))) } : shape))
  .filter(({ payload, more }) => !more || payload.length % 8 === 0);

describe('a packet that is split', () => {
  it('fits, has right headers, and is put together to what it was', () => {
    fc.assert(
      fc.property(anyShape, fc.integer({ min: 68, max: 1600 }), (shape, mtu) => {
        const packet = packetOf(shape);
        const parts = splitPacket(packet, mtu)!;
        const payload = Buffer.alloc(shape.payload.length);
        parts.forEach((part, position) => {
          const isLast = position === parts.length - 1;
          expect(part.length).toBeLessThanOrEqual(mtu);
          expect(part.readUInt16BE(2)).toBe(part.length);
          expect(hasRightChecksum(part)).toBe(true);
          expect((part.readUInt16BE(6) & 0x2000) !== 0).toBe(!isLast || shape.more);
          const body = part.subarray(headerOf(part).length);
          if (!isLast) expect(body.length % 8).toBe(0);
          body.copy(payload, offsetOf(part) - shape.offset * 8);
          // Identification, TTL, protocol and addresses.
          expect([part.readUInt16BE(4), part[8], part[9], part.readUInt32BE(12), part.readUInt32BE(16)]).toEqual([0x1234, 63, 17, 0xac10640a, 0xcb007107]);
        });
        expect(payload).toEqual(Buffer.from(shape.payload));
        expect(parts.reduce((sum, part) => sum + part.length - headerOf(part).length, 0)).toBe(shape.payload.length);
      }),
    );
  });

  it('has all options in the first part, and those to be copied in every other', () => {
    const options = Uint8Array.from([7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0]);
    const [first, second] = splitPacket(packetOf({ payload: new Uint8Array(200), options, offset: 0, more: false }), 120)!;
    expect(headerOf(first!).subarray(20)).toEqual(Buffer.from(options));
    expect(headerOf(second!).subarray(20)).toEqual(Buffer.from([148, 4, 0, 0]));
  });

  it('loses what is padding behind it', () => {
    const packet = packetOf({ payload: new Uint8Array(100), options: new Uint8Array(), offset: 0, more: false });
    expect(splitPacket(Buffer.concat([packet, Buffer.alloc(9)]), 1500)).toEqual([packet]);
  });

  it.each([
    ['must not be split', (packet: Buffer) => void packet.writeUInt16BE(0x4000, 6), 100],
    ['is longer than its frame', (packet: Buffer) => void packet.writeUInt16BE(1000, 2), 100],
    ['is no IPv4', (packet: Buffer) => void packet.writeUInt8(0x65, 0), 100],
    ['has a header that is too short', (packet: Buffer) => void packet.writeUInt8(0x44, 0), 100],
    ['would have parts without room', () => undefined, 27],
  ])('that %s is not', (_, change, mtu) => {
    const packet = packetOf({ payload: new Uint8Array(200), options: new Uint8Array(), offset: 0, more: false });
    change(packet);
    expect(splitPacket(packet, mtu)).toBeUndefined();
  });

  it('whose options lie about their length is split all the same', () => {
    for (const options of [[7, 0, 0, 0], [7, 99, 0, 0], [148, 1, 0, 0]]) {
      expect(splitPacket(packetOf({ payload: new Uint8Array(200), options: Uint8Array.from(options), offset: 0, more: false }), 120)).toHaveLength(3);
    }
  });

  it('of any bytes is parts or nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, mtu) => {
      for (const from of ['underlay', 'external'] as const) splitFrame(Buffer.from(bytes), from, mtu);
      splitPacket(Buffer.from(bytes), mtu);
    }));
  });
});

describe('a frame that is split', () => {
  const packet = packetOf({ payload: new Uint8Array(300).fill(7), options: new Uint8Array(), offset: 0, more: false });
  const inner = Buffer.concat([Buffer.from('fa163e000101fa163e0001100800', 'hex'), packet]);
  const tunnel = { sourceMac: Buffer.alloc(6, 2), destinationMac: Buffer.alloc(6, 4), source: 0xc0a8211f, destination: 0xc0a82164, segment: 100 };

  it.each([0, 12])('from outside, VLAN %i: the Ethernet header before each part', (vlan) => {
    const parts = splitFrame(tagged(inner, vlan), 'external', 200)!;
    expect(parts.map((part) => part.subarray(vlan === 0 ? 14 : 18))).toEqual(splitPacket(packet, 200));
    for (const part of parts) expect(part.subarray(0, 12)).toEqual(inner.subarray(0, 12));
  });

  it.each([
    ['Geneve', 100, 0],
    ['Geneve on a VLAN', 100, 7],
    ['VXLAN', 0x01000064, 0],
  ])('from a tunnel, %s: each part in one of its own, with right lengths', (_, segment, vlan) => {
    const parts = splitFrame(tunnelFrame({ ...tunnel, segment, vlan }, inner), 'underlay', 200)!;
    expect(parts).toEqual(splitPacket(packet, 200)!.map((part) => tunnelFrame({ ...tunnel, segment, vlan }, Buffer.concat([inner.subarray(0, 14), part]))));
    for (const part of parts) {
      const outer = part.subarray(vlan === 0 ? 14 : 18);
      expect([outer.readUInt16BE(2), outer.readUInt16BE(24), hasRightChecksum(outer)]).toEqual([outer.length, outer.length - 20, true]);
    }
  });

  it('from a tunnel with options: they stay', () => {
    const plain = tunnelFrame({ ...tunnel, vlan: 0 }, inner);
    const withOption = Buffer.concat([plain.subarray(0, 50), Buffer.from('0102800100010002', 'hex'), plain.subarray(50)]);
    withOption[42] = 2;
    withOption.writeUInt16BE(withOption.length - 14, 16);
    expect(innerOffsetOf(withOption)).toBe(58);
    const parts = splitFrame(withOption, 'underlay', 200)!;
    expect(parts).toHaveLength(2);
    for (const part of parts) expect(part.subarray(42, 58)).toEqual(withOption.subarray(42, 58));
  });

  it('that is no tunnel, or carries no IPv4, is not', () => {
    expect(splitFrame(inner, 'underlay', 200)).toBeUndefined();
    expect(splitFrame(tunnelFrame({ ...tunnel, vlan: 0 }, Buffer.alloc(60)), 'underlay', 200)).toBeUndefined();
  });
});
