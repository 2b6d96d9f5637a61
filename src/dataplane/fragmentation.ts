/**
 * RFC 791 §3.2: a packet that is too long for the way ahead, in parts that are
 * not. Of a frame as it came: with its Ethernet header, and in its tunnel.
 */
import type { FrameSource } from './frame-source.js';
import { at, DONT_FRAGMENT, ETHERTYPE_IPV4, FRAGMENT_UNIT, headerLengthOf, HEADER_BYTES, MORE_FRAGMENTS, OFFSET_MASK, writeChecksum } from './ipv4.js';
import { innerOffsetOf, withInner } from './tunnel.js';
import { ethernetOf } from './vlan.js';

/**
 * @param mtu bytes of IPv4 packet, of the inner one in a tunnel
 * @returns the frames in their order; undefined when it cannot be split: it is
 *   none, must not be, or its parts would have no room for anything
 */
export function splitFrame(frame: Buffer, from: FrameSource, mtu: number): Buffer[] | undefined {
  const start = from === 'underlay' ? innerOffsetOf(frame) : 0;
  if (start === undefined) return undefined;
  const ethernet = ethernetOf(frame.subarray(start));
  if (ethernet === undefined || ethernet.etherType !== ETHERTYPE_IPV4) return undefined;
  const before = frame.subarray(start, start + ethernet.length);
  const parts = splitPacket(frame.subarray(start + ethernet.length), mtu)?.map((part) => Buffer.concat([before, part]));
  return from === 'external' ? parts : parts?.map((inner) => withInner(frame, start, inner));
}

/** One IPv4 packet; what stands behind its end is padding. */
export function splitPacket(packet: Buffer, mtu: number): Buffer[] | undefined {
  const headerLength = headerLengthOf(packet);
  if (headerLength === undefined || (packet.readUInt16BE(at.fragment) & DONT_FRAGMENT) !== 0) return undefined;
  const total = packet.readUInt16BE(at.totalLength);
  const first = packet.subarray(0, headerLength);
  const later = laterHeader(first);
  const payload = packet.subarray(headerLength, total);
  const parts: Buffer[] = [];
  for (let offset = 0; offset < payload.length; ) {
    const header = offset === 0 ? first : later;
    const rest = payload.length - offset;
    const room = mtu - header.length;
    const length = rest <= room ? rest : room - (room % FRAGMENT_UNIT);
    if (length <= 0) return undefined;
    parts.push(part(header, payload.subarray(offset, offset + length), offset, length < rest));
    offset += length;
  }
  return parts;
}

/** `offset`: within the packet, which may be a part of a larger one itself. */
function part(header: Buffer, payload: Buffer, offset: number, more: boolean): Buffer {
  const packet = Buffer.concat([header, payload]);
  const field = header.readUInt16BE(at.fragment);
  const position = (field & OFFSET_MASK) + offset / FRAGMENT_UNIT;
  packet.writeUInt16BE(packet.length, at.totalLength);
  packet.writeUInt16BE((field & ~OFFSET_MASK) | position | (more ? MORE_FRAGMENTS : 0), at.fragment);
  writeChecksum(packet.subarray(0, header.length));
  return packet;
}

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const COPIED = 0x80;

/** With those options only that every part must have (RFC 791 §3.1, the copied flag). */
function laterHeader(header: Buffer): Buffer {
  const copied = [...optionsOf(header.subarray(HEADER_BYTES))].filter((option) => (option[0]! & COPIED) !== 0);
  const options = Buffer.concat(copied);
  const later = Buffer.concat([header.subarray(0, HEADER_BYTES), options, Buffer.alloc((4 - (options.length % 4)) % 4, END_OF_OPTIONS)]);
  later[at.versionAndLength] = 0x40 | (later.length / 4);
  return later;
}

/** Ends at one that lies about its length. */
function* optionsOf(options: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < options.length; ) {
    const type = options[offset]!;
    if (type === END_OF_OPTIONS) return;
    const length = type === NO_OPERATION ? 1 : (options[offset + 1] ?? 0);
    if (length === 0 || (type !== NO_OPERATION && length < 2) || offset + length > options.length) return;
    yield options.subarray(offset, offset + length);
    offset += length;
  }
}
