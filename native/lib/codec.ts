/** How values and bytes correspond. */
import { endianness } from 'node:os';

/** Encodes and decodes values of a fixed size. */
export interface Codec<T> {
  /** For messages, e.g. `u32` or `session`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Writes `size` bytes at `offset` (default 0). @throws RangeError when the value does not fit. */
  encode(value: T, into: Buffer, offset?: number): void;
  /** Reads `size` bytes at `offset` (default 0). */
  decode(from: Buffer, offset?: number): T;
}

const host = endianness();

function scalar<T>(
  name: string,
  size: number,
  read: (from: Buffer, offset: number) => T,
  write: (into: Buffer, value: T, offset: number) => void,
): Codec<T> {
  return {
    name,
    size,
    encode: (value, into, offset = 0) => write(into, value, offset),
    decode: (from, offset = 0) => read(from, offset),
  };
}

/** Unsigned 8 bits. */
export const u8 = scalar('u8', 1, (b, o) => b.readUInt8(o), (b, v: number, o) => b.writeUInt8(v, o));
/** Signed 8 bits. */
export const i8 = scalar('i8', 1, (b, o) => b.readInt8(o), (b, v: number, o) => b.writeInt8(v, o));
/** Unsigned 16 bits, host order. */
export const u16 = scalar('u16', 2, (b, o) => b[`readUInt16${host}`](o), (b, v: number, o) => b[`writeUInt16${host}`](v, o));
/** Signed 16 bits, host order. */
export const i16 = scalar('i16', 2, (b, o) => b[`readInt16${host}`](o), (b, v: number, o) => b[`writeInt16${host}`](v, o));
/** Unsigned 32 bits, host order. */
export const u32 = scalar('u32', 4, (b, o) => b[`readUInt32${host}`](o), (b, v: number, o) => b[`writeUInt32${host}`](v, o));
/** Signed 32 bits, host order. */
export const i32 = scalar('i32', 4, (b, o) => b[`readInt32${host}`](o), (b, v: number, o) => b[`writeInt32${host}`](v, o));
/** Unsigned 64 bits, host order. */
export const u64 = scalar('u64', 8, (b, o) => b[`readBigUInt64${host}`](o), (b, v: bigint, o) => b[`writeBigUInt64${host}`](v, o));
/** Signed 64 bits, host order. */
export const i64 = scalar('i64', 8, (b, o) => b[`readBigInt64${host}`](o), (b, v: bigint, o) => b[`writeBigInt64${host}`](v, o));
/** Unsigned 16 bits in network order (`__be16`). */
export const be16 = scalar('be16', 2, (b, o) => b.readUInt16BE(o), (b, v: number, o) => b.writeUInt16BE(v, o));
/** Unsigned 32 bits in network order (`__be32`). */
export const be32 = scalar('be32', 4, (b, o) => b.readUInt32BE(o), (b, v: number, o) => b.writeUInt32BE(v, o));
/** Unsigned 64 bits in network order (`__be64`). */
export const be64 = scalar('be64', 8, (b, o) => b.readBigUInt64BE(o), (b, v: bigint, o) => b.writeBigUInt64BE(v, o));

/** `size` raw bytes. Decoding copies. @throws RangeError when a value has another length. */
export function bytes(size: number): Codec<Buffer> {
  return {
    name: `bytes(${size})`,
    size,
    encode(value, into, offset = 0) {
      if (value.length !== size) throw new RangeError(`bytes(${size}): the value has ${value.length} bytes`);
      if (offset + size > into.length) throw new RangeError(`bytes(${size}): no room at offset ${offset} of ${into.length} bytes`);
      value.copy(into, offset);
    },
    decode(from, offset = 0) {
      if (offset + size > from.length) throw new RangeError(`bytes(${size}): only ${from.length - offset} bytes left`);
      return Buffer.from(from.subarray(offset, offset + size));
    },
  };
}
