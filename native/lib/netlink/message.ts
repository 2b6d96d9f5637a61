/**
 * Netlink messages and attributes as bytes (linux/netlink.h), of little-endian
 * machines. Lengths come from outside, so none is believed.
 */

const HEADER_SIZE = 16;
const ATTRIBUTE_HEADER_SIZE = 4;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/** nlmsg_type below 16. */
export const control = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** nlmsg_flags. REPLACE, EXCL and CREATE qualify requests that make something. */
export const flag = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  /** In an answer: what is dumped changed meanwhile, so the dump may be inconsistent. */
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  /** In an error: attributes follow that explain it. */
  explained: 0x200,
  /** In an error: only the header of the request is repeated. */
  capped: 0x100,
} as const;

/** Bytes from the kernel that are no netlink messages. */
export class NetlinkFormatError extends Error {
  readonly code = 'ERR_NETLINK_FORMAT';
  override readonly name = 'NetlinkFormatError';
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** A view of the datagram. */
  readonly payload: Buffer;
}

/** Attributes by type; of repeated ones the last. */
export type Attributes = ReadonlyMap<number, Buffer>;

/** @throws {NetlinkFormatError} when a length contradicts the datagram. */
export function parseMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let offset = 0; offset < datagram.length;) {
    if (offset + HEADER_SIZE > datagram.length) {
      throw new NetlinkFormatError(`${datagram.length - offset} bytes are no netlink message`);
    }
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER_SIZE || offset + length > datagram.length) {
      throw new NetlinkFormatError(`netlink message of ${length} bytes in ${datagram.length - offset}`);
    }
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      payload: datagram.subarray(offset + HEADER_SIZE, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

export function buildMessage(type: number, flags: number, sequence: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_SIZE + payload.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  payload.copy(message, HEADER_SIZE);
  return message;
}

/** @throws {NetlinkFormatError} when a length contradicts the payload. */
export function parseAttributes(payload: Buffer, start = 0): Attributes {
  return new Map(eachAttribute(payload, start));
}

/** In their order, with those that are repeated. @throws {NetlinkFormatError} when a length contradicts the payload. */
export function eachAttribute(payload: Buffer, start = 0): [type: number, value: Buffer][] {
  const attributes: [number, Buffer][] = [];
  for (let offset = start; offset < payload.length;) {
    // The kernel pads messages; what cannot hold a header is padding.
    if (offset + ATTRIBUTE_HEADER_SIZE > payload.length) break;
    const length = payload.readUInt16LE(offset);
    if (length < ATTRIBUTE_HEADER_SIZE || offset + length > payload.length) {
      throw new NetlinkFormatError(`netlink attribute of ${length} bytes in ${payload.length - offset}`);
    }
    const type = payload.readUInt16LE(offset + 2) & ATTRIBUTE_TYPE_MASK;
    attributes.push([type, payload.subarray(offset + ATTRIBUTE_HEADER_SIZE, offset + length)]);
    offset += align(length);
  }
  return attributes;
}

/** One attribute with its padding. A number is written as 32 bits, a string with its NUL. */
export function attribute(type: number, value: Buffer | number | string): Buffer {
  const data = typeof value === 'number' ? u32(value) : typeof value === 'string' ? Buffer.from(`${value}\0`) : value;
  const bytes = Buffer.alloc(align(ATTRIBUTE_HEADER_SIZE + data.length));
  bytes.writeUInt16LE(ATTRIBUTE_HEADER_SIZE + data.length, 0);
  bytes.writeUInt16LE(type, 2);
  data.copy(bytes, ATTRIBUTE_HEADER_SIZE);
  return bytes;
}

/** @throws {NetlinkFormatError} unless the attribute, if present, is 4 bytes long. */
export function u32Attribute(attributes: Attributes, type: number): number | undefined {
  return sized(attributes, type, 4)?.readUInt32LE();
}

/** @throws {NetlinkFormatError} unless the attribute, if present, is `size` bytes long. */
export function sized(attributes: Attributes, type: number, size: number): Buffer | undefined {
  const data = attributes.get(type);
  if (data !== undefined && data.length !== size) {
    throw new NetlinkFormatError(`netlink attribute ${type} has ${data.length} bytes, not ${size}`);
  }
  return data;
}

/** Up to its NUL. */
export function stringAttribute(attributes: Attributes, type: number): string | undefined {
  const data = attributes.get(type);
  if (data === undefined) return undefined;
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end < 0 ? data.length : end);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
