/**
 * Our discriminators (RFC 5880 §6.3): the same on both gateways of a pair, so that
 * the one that takes over knows what the computes' packets speak of. They come of a
 * seed that the pair shares: who does not have it guesses one in 2^32. It stays when
 * the key changes, or every tunnel would be down for a moment at the next takeover, as
 * it is where the maps of the two began with different keys.
 */
import { createHmac } from 'node:crypto';
import type { BfdEndpoint } from '../dataplane/bfd-table.js';

/** Never zero. */
export function discriminatorOf(seed: readonly bigint[], { vrid, address, encapsulation }: BfdEndpoint): number {
  const secret = Buffer.alloc(8 * seed.length);
  seed.forEach((word, index) => secret.writeBigUInt64BE(word, 8 * index));
  const subject = Buffer.from(`floatgate bfd ${vrid} ${encapsulation} ${address}`);
  return createHmac('sha256', secret).update(subject).digest().readUInt32BE(0) || 1;
}
