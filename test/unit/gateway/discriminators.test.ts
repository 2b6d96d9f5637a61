import { describe, expect, it } from 'vitest';
import { discriminatorOf } from '../../../src/gateway/discriminators.js';

const KEY = [0x0123456789abcdefn, 0xfedcba9876543210n];
const endpoint = { vrid: 51, address: 0xc0a8211f, encapsulation: 0 };

describe('discriminators', () => {
  it('are the same wherever they are derived', () => {
    expect(discriminatorOf(KEY, endpoint)).toBe(discriminatorOf([...KEY], { ...endpoint }));
    // Gateways of different versions have to agree.
    expect(discriminatorOf(KEY, endpoint)).toBe(0x6d0264f0);
  });

  it.each([
    ['virtual router', KEY, { ...endpoint, vrid: 52 }],
    ['compute', KEY, { ...endpoint, address: endpoint.address + 1 }],
    ['encapsulation', KEY, { ...endpoint, encapsulation: 1 }],
    ['key', [1n, 2n], endpoint],
  ])('are another one for another %s', (_, key, other) => {
    expect(discriminatorOf(key, other)).not.toBe(discriminatorOf(KEY, endpoint));
  });

  it('are never zero, hardly ever two alike, and spread over all 32 bits', () => {
    const all = Array.from({ length: 5000 }, (_, i) => discriminatorOf(KEY, { ...endpoint, address: i }));
    expect(all).not.toContain(0);
    expect(new Set(all).size).toBeGreaterThan(4995);
    for (let bit = 0; bit < 32; bit += 1) {
      const set = all.filter((discriminator) => (discriminator >>> bit) & 1).length;
      expect(set / all.length).toBeCloseTo(0.5, 1);
    }
  });
});
