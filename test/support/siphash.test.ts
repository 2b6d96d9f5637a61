import { describe, expect, it } from 'vitest';
import { sipHash24 } from './siphash.js';

/** The paper's key 00 01 … 0f as two little-endian words. */
const KEY = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
const message = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index));

describe('SipHash-2-4', () => {
  // Appendix A of the paper (15 bytes) and vectors.h of the reference implementation (little-endian bytes).
  it.each([
    [0, 0x726fdb47dd0e0e31n],
    [1, 0x74f839c593dc67fdn],
    [7, 0xab0200f58b01d137n],
    [8, 0x93f5f5799a932462n],
    [15, 0xa129ca6149be45e5n],
    [63, 0x958a324ceb064572n],
  ])('%i bytes', (length, hash) => {
    expect(sipHash24(KEY, message(length))).toBe(hash);
  });

  it('another key gives another hash', () => {
    expect(sipHash24([KEY[0] ^ 1n, KEY[1]], message(15))).not.toBe(0xa129ca6149be45e5n);
  });
});
