import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, runIsolated } from './support/fixture.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ hookTimeout: 60_000 });

interface Muted {
  afterAnswersMs: number[];
}

interface Steps {
  start: { atStart: string; first: string; changes: number };
  quiet: { changes: string[] };
  stopped: { changes: string[]; answer: number[] };
  oneMute: Muted;
  bothMute: Muted;
  answeredAgain: { changes: string[] };
  muteWhileStopped: { changes: string[]; unanswered: number };
  words: { medianUs: number };
  coalesced: { changes: number; readable: number };
  down: { paths: { sent: number; failed: number; lastErrno: number }[]; sentMeanwhile: number[] };
  adopted: { atStart: string; changes: number };
  closed: { changes: number; findings: number; stats: { sent: number; paths: { sent: number }[] } };
  declined: { atStart: string; changes: number };
  closedByListener: number;
  unwatched: string;
  refusals: Record<string, string>;
}

const directory = temporaryDirectory();
// fixtures/watch-steps.ts runs once, in a network of its own; its findings are judged here.
// Paths are written as bits: '01' is the first answered, the second silent.
let steps: Steps;

beforeAll(async () => {
  steps = await runIsolated<Steps>('watch-steps', compileFixture(directory.path, 'beacon'));
});

afterAll(() => directory.remove());

describe("a beacon's watch", () => {
  test('takes every path for silent until it has answered, and tells only that it did', () => {
    expect(steps.start.atStart).toBe('11');
    expect(steps.start.first).not.toBe('11');
    expect(steps.start.changes).toBeLessThanOrEqual(2);
  });

  test('begins with what is known from before', () => {
    expect(steps.adopted).toEqual({ atStart: '00', changes: 0 });
  });

  test('finds nothing while there are answers, also when the event loop is blocked', () => {
    expect(steps.quiet.changes).toEqual([]);
  });

  test('does not take a standstill of its own process for silence', () => {
    expect(steps.stopped.answer.at(-1)).toBeGreaterThan(200);
    expect(steps.stopped.changes).toEqual([]);
  });

  test('tells silence of each path, once the time is over and no sooner', () => {
    for (const { afterAnswersMs } of [steps.oneMute, steps.bothMute]) {
      for (const ms of afterAnswersMs) expect(ms).toBeGreaterThan(5);
    }
    // The path that fell silent just now; late beats begin the count anew on a busy machine.
    expect(steps.oneMute.afterAnswersMs[0]).toBeLessThan(100);
    expect(steps.bothMute.afterAnswersMs[0]).toBeLessThan(100);
  });

  test('finds silence that began during a standstill by beats of its own', () => {
    expect(steps.muteWhileStopped.changes).toEqual(['10']);
    expect(steps.muteWhileStopped.unanswered).toBeGreaterThanOrEqual(5);
  });

  test('tells the first answer after silence', () => {
    expect(steps.answeredAgain.changes.at(-1)).toBe('00');
    expect(steps.answeredAgain.changes).not.toContain('11');
  });

  test('tells a word that has changed, soon', () => {
    expect(steps.words.medianUs).toBeLessThan(5000);
  });

  test('tells changes faster than the event loop as one, the newest', () => {
    const { changes, readable } = steps.coalesced;
    expect(changes).toBeLessThanOrEqual(2);
    // Found, though not told yet.
    expect(readable).toBeGreaterThan(50);
  });

  test('takes a path whose interface is down for silent, and beats on on the other', () => {
    const { paths, sentMeanwhile } = steps.down;
    expect(paths[0]).toMatchObject({ lastErrno: 100 });
    expect(paths[0]!.failed).toBeGreaterThan(5);
    expect(paths[1]).toMatchObject({ failed: 0, lastErrno: 0 });
    expect(sentMeanwhile[1]).toBeGreaterThan(sentMeanwhile[0]!);
  });

  test('takes nobody for silent whom it did not ask', () => {
    expect(steps.declined).toEqual({ atStart: '00', changes: 0 });
  });

  test('tells nothing after close(), and what it found stays readable', () => {
    const { changes, findings, stats } = steps.closed;
    expect(changes).toBe(0);
    expect(findings).toBe(60);
    expect(stats.sent).toBe(stats.paths[0]!.sent + stats.paths[1]!.sent);
    expect(steps.closedByListener).toBe(1);
    expect(steps.unwatched).toBe('undefined');
  });

  test('refuses what cannot work', () => {
    expect(steps.refusals).toEqual({
      unmappable: 'EINVAL', outside: 'RangeError', unaligned: 'RangeError', onePath: 'RangeError', tooSoon: 'RangeError', noPath: 'RangeError',
    });
  });
});
