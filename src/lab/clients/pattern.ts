// The bytes that a session carries. Every message differs from every other, so that a byte lost, repeated or swapped
// anywhere changes the hash of the stream.
import { createHash } from 'node:crypto';

const headerBytes = 8;
const shortestBytes = 100;
const longestBytes = 1000;

/** Pseudo-random but the same in every process: SHA-256 of a counter. */
const noise = Buffer.concat(Array.from({ length: 256 }, (_, index) => createHash('sha256').update(`floatgate ${index}`).digest()));

/** Message number `sequence` (from 0) of session `id`: both numbers, then 92 to 992 bytes of noise. */
export function message(id: number, sequence: number): Buffer {
  const length = shortestBytes + ((sequence * 7919 + id * 104_729) % (longestBytes - shortestBytes + 1));
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32BE(id, 0);
  bytes.writeUInt32BE(sequence, 4);
  const from = (sequence * 31 + id * 17) % (noise.length - length);
  noise.copy(bytes, headerBytes, from, from + length - headerBytes);
  return bytes;
}

/** The session that a stream belongs to: its first four bytes. */
export function sessionIdOf(stream: Buffer): number {
  return stream.readUInt32BE(0);
}
