import { describe, expect, it } from 'vitest';
import { ProbeLog } from '../../../src/lab/clients/probe-log.js';

/** One probe per millisecond from 0 on, each answered 1 ms later unless its number is in `unanswered`. */
function logOf(count: number, unanswered: (sequence: number) => boolean): ProbeLog {
  const log = new ProbeLog();
  for (let sequence = 0; sequence < count; sequence += 1) {
    log.send(sequence);
    if (sequence > 0 && !unanswered(sequence - 1)) log.receive(sequence - 1, sequence);
  }
  return log;
}

describe('probe log', () => {
  it('window/nothing missing: the longest gap is the interval', () => {
    const window = logOf(1000, () => false).window(100, 900);
    expect(window).toMatchObject({ sent: 800, lost: 0, longestGapMs: 1, medianRoundTripMs: 1, longestRoundTripMs: 1 });
  });

  it('window/an outage: its length, its begin and its losses', () => {
    const window = logOf(1000, (sequence) => sequence >= 300 && sequence < 400).window(100, 900);
    expect(window).toMatchObject({ sent: 800, lost: 100, lostFromMs: 300, lostToMs: 399, longestGapMs: 101, gapFromMs: 300 });
  });

  it('window/an outage that reaches over its end counts up to the end', () => {
    expect(logOf(1000, (sequence) => sequence >= 800).window(100, 900).longestGapMs).toBe(100);
  });

  it('window/no reply at all: the gap is the window, not zero', () => {
    const window = logOf(1000, () => true).window(100, 900);
    expect(window).toMatchObject({ sent: 800, lost: 800, longestGapMs: 800, medianRoundTripMs: Number.NaN });
  });

  it('receive/a repeated or unknown reply is not counted', () => {
    const log = new ProbeLog();
    log.send(0);
    log.receive(0, 1);
    log.receive(0, 2);
    log.receive(7, 3);
    expect(log.received).toBe(1);
  });

  it('isAnsweredAfter/only by a reply to something sent later', () => {
    const log = new ProbeLog();
    log.send(10);
    log.send(20);
    log.receive(0, 30);
    expect(log.isAnsweredAfter(10)).toBe(false);
    log.receive(1, 31);
    expect(log.isAnsweredAfter(10)).toBe(true);
  });
});
