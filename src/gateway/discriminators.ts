/**
 * Our discriminators (RFC 5880 §6.3): the same on both gateways of a pair, so that
 * the one that takes over knows what the computes' packets speak of. They come of the
 * key that the pair shares: who does not have it guesses one in 2^32.
 */
import { createHmac } from 'node:crypto';
import type { BfdEndpoint } from '../dataplane/bfd-table.js';

/** Never zero. `key`: of the pair; zeros where nothing is replicated. */
export function discriminatorOf(key: readonly bigint[], { vrid, address, encapsulation }: BfdEndpoint): number {
  const secret = Buffer.alloc(8 * key.length);
  key.forEach((word, index) => secret.writeBigUInt64BE(word, 8 * index));
  const subject = Buffer.from(`floatgate bfd ${vrid} ${encapsulation} ${address}`);
  return createHmac('sha256', secret).update(subject).digest().readUInt32BE(0) || 1;
}
