import { beforeAll, describe, expect, test, vi } from 'vitest';
import { runIsolated } from './support/fixture.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ hookTimeout: 60_000 });

interface Stats {
  sent: number;
  failed: number;
  skipped: number;
  lapsed: number;
  lateMaxUs: number;
  lastErrno: number;
}

interface Packet {
  destination: string;
  protocol: number;
  ttl: number;
  addresses: string;
  bytes: number;
  checksum: number;
  payload: string;
}

interface Steps {
  pace: { stats: Stats; arrived: number; intervals: number; afterClose: number };
  lease: { lapsed: Stats & { arrived: number; late: number }; renewed: number; late: number; afterRevocation: number };
  stopped: { wary: { unasked: number; renewed: number; lapsed: number }; pauseMs: number; short: Stats & { arrived: number; late: number }; long: Stats & { resumed: number; resumedMs: number } };
  update: { fromTheLast: number[]; oldAfterwards: number; across: number[] };
  jitter: { mean: number; tenth: number; ninth: number };
  routed: { stats: Stats; unicast: Packet[]; multicast: Packet[] };
  stamps: { raised: boolean; changed: boolean; kept: boolean; lapsed: number; failed: number };
  failing: { down: Stats; onTheOther: number };
  many: { rounds: number; least: number; most: number; entries: number[]; failed: number };
  refusals: Record<string, string>;
  closed: { late: number; add: string; stats: Stats & { realtime: boolean } };
}

// fixtures/repeater-steps.ts runs once, in a network of its own; its findings are judged here.
let steps: Steps;

beforeAll(async () => {
  steps = await runIsolated<Steps>('repeater-steps');
});

describe('a repeater', () => {
  test('keeps the pace, also while the event loop is blocked', () => {
    const { stats, arrived, intervals } = steps.pace;
    expect(arrived).toBe(stats.sent);
    expect(Math.abs(stats.sent + stats.skipped - intervals)).toBeLessThanOrEqual(2 + stats.lateMaxUs / 2000);
    expect(stats.skipped).toBeLessThan(stats.sent / 5);
    expect(stats).toMatchObject({ failed: 0, lapsed: 0, lastErrno: 0 });
  });

  test('sends nothing of an entry after close() has returned', () => {
    expect(steps.pace.afterClose).toBe(0);
    expect(steps.closed.late).toBe(0);
  });

  test('sends only while the lease lasts, and goes on when it is renewed', () => {
    const { lapsed, renewed, late, afterRevocation } = steps.lease;
    expect(lapsed.arrived).toBeGreaterThanOrEqual(6);
    expect(lapsed.arrived).toBe(lapsed.sent);
    expect(lapsed.late).toBe(0);
    expect(lapsed.lapsed).toBeGreaterThanOrEqual(6);
    expect(renewed).toBeGreaterThanOrEqual(6);
    expect(late).toBe(0);
    expect(afterRevocation).toBe(0);
  });

  test('says nothing stale after the process was stopped for longer than the lease', () => {
    const { pauseMs, short } = steps.stopped;
    expect(pauseMs).toBeGreaterThan(300);
    expect(short.arrived).toBeGreaterThan(0);
    expect(short.late).toBe(0);
    expect(short.lapsed).toBeGreaterThan(0);
  });

  test('asks before it goes on where it may not be silent for so long, though the lease still runs', () => {
    const { unasked, renewed, lapsed } = steps.stopped.wary;
    expect(unasked).toBe(0);
    expect(lapsed).toBeGreaterThan(0);
    expect(renewed).toBeGreaterThan(0);
  });

  test('leaves out what it missed while it was stopped', () => {
    const { long, pauseMs } = steps.stopped;
    expect(long.skipped).toBeGreaterThanOrEqual(Math.floor(pauseMs / 5) - 20);
    expect(long.resumed).toBeGreaterThan(0);
    // At most the one that was due and the grid after it.
    expect(long.resumed).toBeLessThanOrEqual(long.resumedMs / 5 + 3);
  });

  test('counts a changed interval from the last round, and keeps the deadline when only the messages change', () => {
    const { fromTheLast, oldAfterwards, across } = steps.update;
    expect(fromTheLast).toHaveLength(1);
    expect(fromTheLast[0]).toBeGreaterThan(39);
    expect(fromTheLast[0]).toBeLessThan(80);
    expect(oldAfterwards).toBe(0);
    expect(across).toHaveLength(2);
    for (const gap of across) expect(Math.abs(gap - 40)).toBeLessThan(20);
  });

  test('takes a random part of the interval off', () => {
    const { mean, tenth, ninth } = steps.jitter;
    // Uniform from 1.5 to 2 ms.
    expect(mean).toBeGreaterThan(1.7);
    expect(mean).toBeLessThan(1.8);
    expect(tenth).toBeLessThan(1.65);
    expect(ninth).toBeGreaterThan(1.85);
  });

  test('sends packets by the routes of their destinations, out of the interface that was named', () => {
    const { stats, unicast, multicast } = steps.routed;
    expect(stats.failed).toBe(0);
    const common = { protocol: 112, ttl: 255, bytes: 33, checksum: 0, payload: 'advertisement' };
    expect(unicast.length).toBeGreaterThanOrEqual(2);
    for (const packet of unicast) expect(packet).toEqual({ ...common, destination: '020000000902', addresses: '10.9.0.1.10.9.0.2' });
    expect(multicast.length).toBeGreaterThanOrEqual(2);
    for (const packet of multicast) expect(packet).toEqual({ ...common, destination: '01005e000012', addresses: '10.9.1.77.224.0.0.18' });
  });

  test('stamps a map from the time of sending, never back, and only if something was sent', () => {
    expect(steps.stamps).toEqual({ raised: true, changed: true, kept: true, lapsed: 0, failed: 0 });
  });

  test('goes on with the other messages when one cannot be sent', () => {
    const { down, onTheOther } = steps.failing;
    expect(down.lastErrno).toBe(100);
    expect(down.failed).toBeGreaterThanOrEqual(4);
    expect(onTheOther).toBeGreaterThanOrEqual(5);
  });

  test('serves three hundred entries', () => {
    const { rounds, least, most, entries, failed } = steps.many;
    // The last was added later than the first, and was read later too.
    expect(most).toBeLessThanOrEqual(rounds + 2);
    expect(least).toBeGreaterThan(rounds / 2);
    expect(entries).toEqual([0, 300, 0]);
    expect(failed).toBe(0);
  });

  test('refuses what cannot work', () => {
    expect(steps.refusals).toEqual({
      noInterface: 'ENODEV', noMessages: 'RangeError', shortFrame: 'RangeError', noPacket: 'RangeError', cutPacket: 'RangeError',
      tooFast: 'RangeError', tooMuchJitter: 'RangeError', unmappable: 'EINVAL', unaligned: 'RangeError', outside: 'RangeError', fine: 'none',
    });
    expect(steps.closed.add).toBe('EBADF');
    expect(steps.closed.stats.realtime).toBe(true);
  });
});
