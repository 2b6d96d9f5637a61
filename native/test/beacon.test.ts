import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, runIsolated } from './support/fixture.js';

interface Stats {
  sent: number;
  failed: number;
  skipped: number;
  lateMaxUs: number;
  lastErrno: number;
  realtime: boolean;
}

const directory = temporaryDirectory();
// fixtures/beacon-steps.ts runs once, in a network of its own; its findings are judged here.
let steps: Record<string, unknown>;

beforeAll(async () => {
  steps = await runIsolated('beacon-steps', compileFixture(directory.path, 'beacon'));
}, 30_000);

afterAll(() => directory.remove());

describe('a beacon', () => {
  test('beats at its rate, also while the event loop is blocked', () => {
    const stats = steps['stats'] as Stats;
    const { beats, received, intervals } = steps['whileBlocked'] as { beats: number; received: number; intervals: number };
    // As many beats as intervals; late ones may fall to either side of the two readings.
    expect(Math.abs(beats - intervals)).toBeLessThanOrEqual(2 + stats.lateMaxUs / 1000);
    expect(received).toBeGreaterThan(intervals / 2);
    expect(stats.skipped).toBeLessThan(stats.sent / 10);
    expect(stats.failed).toBe(0);
  });

  test('has every frame sealed by the program and delivered in order', () => {
    const stats = steps['stats'] as Stats;
    expect(steps['arrived']).toEqual({ sealed: stats.sent, received: stats.sent, last: stats.sent, outOfOrder: 0 });
    expect(steps['templateUntouched']).toBe(true);
  });

  test('runs in real time as root and measures its lateness', () => {
    const stats = steps['stats'] as Stats;
    expect(stats.realtime).toBe(true);
    expect(stats.lateMaxUs).toBeGreaterThan(0);
    // Far below what a timer on the event loop reaches when the machine is loaded.
    expect(stats.lateMaxUs).toBeLessThan(20_000);
  });

  test('stops without waiting for the next beat', () => {
    expect(steps['slowSent']).toBe(1);
    expect(steps['closeMs']).toBeLessThan(1000);
  });

  test('counts what the program declines', () => {
    expect(steps['declined']).toMatchObject({ sent: 0, lastErrno: 125 });
  });

  test('survives an interface that goes down', () => {
    const down = steps['down'] as Stats;
    expect(down.lastErrno).toBe(100);
  });

  test('refuses what cannot work', () => {
    expect(steps['noInterface']).toBe('ENODEV');
    expect(steps['tooFast']).toBe('RangeError');
    expect(steps['noFrame']).toBe('RangeError');
  });
});
