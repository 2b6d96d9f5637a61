import { describe, expect, it } from 'vitest';
import { activeDownIntervalUs, leaseNs, skewTimeUs } from '../../../src/vrrp/timing.js';

describe('skewTimeUs', () => {
  it.each([
    { version: 3, priority: 100, intervalUs: 1_000_000, skewUs: 609_375 },
    { version: 3, priority: 254, intervalUs: 1_000_000, skewUs: 7_812 },
    // In centiseconds both would be 0, and equal Backups would promote themselves together.
    { version: 3, priority: 100, intervalUs: 10_000, skewUs: 6_093 },
    { version: 3, priority: 254, intervalUs: 10_000, skewUs: 78 },
    // RFC 3768 §6.1: (256 - Priority) / 256 seconds, whatever the interval.
    { version: 2, priority: 100, intervalUs: 10_000_000, skewUs: 609_375 },
  ] as const)('v$version priority $priority interval $intervalUs µs', ({ version, priority, intervalUs, skewUs }) => {
    expect(skewTimeUs(version, priority, intervalUs)).toBe(skewUs);
  });

  it('orders every pair of priorities at 10 ms adverts', () => {
    const skews = Array.from({ length: 255 }, (_, i) => skewTimeUs(3, i + 1, 10_000));
    expect(new Set(skews).size).toBe(255);
    expect(skews).toEqual([...skews].sort((a, b) => b - a));
  });
});

describe('activeDownIntervalUs', () => {
  it('is three intervals and the skew', () => {
    expect(activeDownIntervalUs(3, 100, 10_000)).toBe(36_093);
    expect(activeDownIntervalUs(2, 100, 1_000_000)).toBe(3_609_375);
  });
});

describe('leaseNs', () => {
  it('is a fifth longer than the Active_Down_Interval', () => {
    expect(leaseNs(3, 200, 100_000)).toBe(386_250_000n);
  });
});
