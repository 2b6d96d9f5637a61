import { describe, expect, it } from 'vitest';
import { Marks, paced, sessionOf } from '../../../bench/failover/crowd.js';

describe('the crowd', () => {
  it('every session is an endpoint of its own, in the subnet, on a port that a mapping may have', () => {
    const sessions = Array.from({ length: 30_000 }, (_, i) => sessionOf(i * 33));
    expect(new Set(sessions.map(({ vni, address, port }) => `${vni} ${address} ${port}`)).size).toBe(sessions.length);
    for (const { address, port } of sessions) {
      expect(address >>> 16).toBe(0xac14);
      expect(port).toBeGreaterThanOrEqual(1024);
      expect(port).toBeLessThan(65_536);
    }
  });

  it('marks count each once, and travel as text', () => {
    const marks = new Marks(100);
    for (const index of [3, 99, 3]) marks.add(index);
    expect(marks.count).toBe(2);
    const copy = new Marks(100, String(marks));
    expect(Array.from({ length: 100 }, (_, i) => i).filter((i) => copy.has(i))).toEqual([3, 99]);
  });

  it('what is paced is sent once each, but for what is done, no faster than asked', async () => {
    const done = new Marks(1000), sent: number[] = [], fromMs = performance.now();
    done.add(7);
    expect(await paced(1000, done, 10_000, (index) => sent.push(index))).toBe(999);
    expect(sent).toEqual(Array.from({ length: 1000 }, (_, i) => i).filter((i) => i !== 7));
    expect(performance.now() - fromMs).toBeGreaterThan(90);
  });
});
