/**
 * What the kernel leaves to hardware in the frames that TC programs see, and a
 * program cannot do: L4 sums (CHECKSUM_PARTIAL), and cutting what GRO merged.
 */
import type { FrameSource } from './frame-source.js';
import { at, ETHERTYPE_IPV4, headerLengthOf, MORE_FRAGMENTS, OFFSET_MASK, writeChecksum } from './ipv4.js';
import { innerOffsetOf, withInner } from './tunnel.js';
import { ethernetOf } from './vlan.js';

/** By IPv4 protocol: where the sum stands in the header, where the header says its length, and how long it is else. */
const layouts: Readonly<Record<number, { readonly check: number; readonly dataOffset?: number; readonly header: number; readonly optional: boolean }>> = {
  6: { check: 16, dataOffset: 12, header: 20, optional: false },
  17: { check: 6, header: 8, optional: true },
};
const UDP_LENGTH = 4;
const PROTOCOL_UDP = 17;

/**
 * The frame as the wire would have had it.
 * @param segment payload of each segment where the frame stands for many: then it is the first of them, and `frame` may end behind it
 */
export function finishFrame(frame: Buffer, from: FrameSource, segment = 0): Buffer {
  const whole = segment === 0 ? Buffer.from(frame) : withTrueLength(frame);
  const start = from === 'underlay' ? innerOffsetOf(whole) : 0;
  if (start === undefined) return whole;
  const ethernet = ethernetOf(whole.subarray(start));
  if (ethernet === undefined || ethernet.etherType !== ETHERTYPE_IPV4) return whole;
  const before = whole.subarray(start, start + ethernet.length);
  const packet = finishPacket(whole.subarray(start + ethernet.length), segment);
  const inner = Buffer.concat([before, packet]);
  return from === 'underlay' ? withInner(whole, start, inner) : inner;
}

/** The outermost packet ends where the bytes do. */
function withTrueLength(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  const packet = copy.subarray(ethernetOf(copy)?.length ?? copy.length);
  if (packet.length > at.totalLength + 2) packet.writeUInt16BE(packet.length, at.totalLength);
  return copy;
}

function finishPacket(packet: Buffer, segment: number): Buffer {
  const layout = layouts[packet[at.protocol] ?? 0];
  if (layout === undefined) return packet;
  const first = segment === 0 ? packet : firstSegment(packet, layout, segment);
  const header = headerLengthOf(first);
  if (header === undefined || (first.readUInt16BE(at.fragment) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0) return first;
  const l4 = first.subarray(header, first.readUInt16BE(at.totalLength));
  if (l4.length < layout.header || (layout.optional && l4.readUInt16BE(layout.check) === 0)) return first;
  const pseudoHeader = sumOf(first.subarray(at.source, at.source + 8)) + first[at.protocol]! + l4.length;
  if (segment === 0 && l4.readUInt16BE(layout.check) !== fold(pseudoHeader)) return first;
  l4.writeUInt16BE(0, layout.check);
  const sum = ~fold(pseudoHeader + sumOf(l4)) & 0xffff;
  l4.writeUInt16BE(sum === 0 && layout.optional ? 0xffff : sum, layout.check);
  return first;
}

function firstSegment(packet: Buffer, layout: (typeof layouts)[number], segment: number): Buffer {
  const header = (packet[at.versionAndLength]! & 15) * 4;
  const l4Header = layout.dataOffset === undefined ? layout.header : (packet[header + layout.dataOffset] ?? 0) >> 4 << 2;
  const first = Buffer.from(packet.subarray(0, header + l4Header + segment));
  if (first.length < header + layout.header) return first;
  first.writeUInt16BE(first.length, at.totalLength);
  if (first[at.protocol] === PROTOCOL_UDP) first.writeUInt16BE(first.length - header, header + UDP_LENGTH);
  writeChecksum(first.subarray(0, header));
  return first;
}

/** Of 16-bit words; an odd byte is the upper one of its word. */
function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset + 1 < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  return bytes.length % 2 === 0 ? sum : sum + (bytes[bytes.length - 1]! << 8);
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}
