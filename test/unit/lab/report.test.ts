import { expect, it } from 'vitest';
import { renderChecks, renderTimeline, renderVerdict } from '../../../src/lab/report.js';

const checks = [
  { name: 'ping', measured: '4 of 5', wanted: '5 of 5', passed: false },
  { name: 'TCP connections', measured: '200', wanted: '200', passed: true },
  { name: 'speed', measured: '900 Mbit/s', wanted: '', passed: undefined },
];

it('timeline/times are relative to the origin and aligned', () => {
  const events = [{ atMs: 900.4, text: 'before' }, { atMs: 1000, text: 'kill' }, { atMs: 1372.2, text: 'after' }];
  expect(renderTimeline(events, 1000)).toBe('-100 ms  before\n   0 ms  kill\n+372 ms  after');
});

it('table/columns are as wide as their longest cell, failures stand out', () => {
  expect(renderChecks(checks).split('\n')).toEqual([
    'check            measured    wanted  verdict',
    '─'.repeat(15 + 2 + 10 + 2 + 6 + 2 + 7),
    'ping             4 of 5      5 of 5  FAILED',
    'TCP connections  200         200     ok',
    'speed            900 Mbit/s',
  ]);
});

it('verdict/counts what was judged, not what was told', () => {
  expect(renderVerdict(checks)).toBe('1 of 2 checks failed');
  expect(renderVerdict(checks.slice(1))).toBe('all 1 checks passed');
});
