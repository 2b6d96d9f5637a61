import { describe, expect, it } from 'vitest';
import { Walk } from '../../../src/sync/walk.js';
import type { WalkLimits, WalkStep } from '../../../src/sync/walk.js';

const limits: WalkLimits = { sliceNs: 1_000_000n, window: 4, pauseMs: 1, stallNs: 100_000_000n, leisurely: false };

/** A table of `frames` frames with an empty step before each; every step takes 100 µs. */
class Table {
  nowNs = 0n;
  position = 0;
  rewinds = 0;
  sent: number[] = [];
  acknowledged = 0;
  turns: { run: () => void; afterMs: number }[] = [];
  longestTurnNs = 0n;
  readonly frames: number;

  constructor(frames: number) {
    this.frames = frames;
  }

  readonly ports = {
    rewind: () => {
      this.rewinds += 1;
      this.position = 0;
    },
    step: (): WalkStep => {
      this.nowNs += 100_000n;
      if (this.position >= this.frames * 2) return { kind: 'Ended' };
      this.position += 1;
      return this.position % 2 === 1 ? { kind: 'Nothing' } : { kind: 'Frame', frame: Buffer.from([this.position / 2]) };
    },
    send: (frame: Buffer) => void this.sent.push(frame[0]!),
    outstanding: () => this.sent.length - this.acknowledged,
    nowNs: () => this.nowNs,
    schedule: (run: () => void, afterMs: number) => void this.turns.push({ run, afterMs }),
  };

  /** One turn of the event loop. */
  turn(): void {
    const next = this.turns.shift();
    if (next === undefined) throw new Error('nothing is scheduled');
    this.nowNs += BigInt(next.afterMs) * 1_000_000n;
    const before = this.nowNs;
    next.run();
    const took = this.nowNs - before;
    if (took > this.longestTurnNs) this.longestTurnNs = took;
  }
}

describe('a walk', () => {
  it('sends every frame in order and ends once', () => {
    const table = new Table(20);
    let ends = 0;
    new Walk(table.ports, limits).start(() => void (ends += 1));
    while (table.turns.length > 0) {
      table.turn();
      table.acknowledged = table.sent.length;
    }
    expect(table.sent).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect({ ends, rewinds: table.rewinds }).toEqual({ ends: 1, rewinds: 1 });
  });

  it('holds the event loop no longer than its slice and one step', () => {
    const table = new Table(100);
    new Walk(table.ports, { ...limits, window: 1000 }).start(() => undefined);
    while (table.turns.length > 0) table.turn();
    expect(table.longestTurnNs).toBeLessThanOrEqual(limits.sliceNs + 100_000n);
  });

  it('has no more frames in flight than its window', () => {
    const table = new Table(20);
    new Walk(table.ports, limits).start(() => undefined);
    for (let i = 0; i < 10; i += 1) table.turn();
    expect(table.sent).toHaveLength(4);
    table.acknowledged = 2;
    table.turn();
    expect(table.sent).toHaveLength(6);
  });

  it('goes on when acknowledgements stay away: the round will be repeated', () => {
    const table = new Table(10);
    const walk = new Walk(table.ports, limits);
    walk.start(() => undefined);
    for (let i = 0; i < 500 && walk.active; i += 1) table.turn();
    expect(walk.active).toBe(false);
    expect(table.sent).toHaveLength(10);
  });

  it('does nothing more after stop, also when started again', () => {
    const table = new Table(10);
    let firstEnded = false;
    const walk = new Walk(table.ports, { ...limits, window: 1000 });
    walk.start(() => void (firstEnded = true));
    table.turn();
    walk.stop();
    let secondEnded = 0;
    table.sent = [];
    walk.start(() => void (secondEnded += 1));
    while (table.turns.length > 0) table.turn();
    expect(firstEnded).toBe(false);
    expect(secondEnded).toBe(1);
    expect(table.sent).toHaveLength(10);
  });

  it('pauses between slices when it is in no hurry', () => {
    const table = new Table(50);
    new Walk(table.ports, { ...limits, window: 1000, leisurely: true, pauseMs: 10 }).start(() => undefined);
    table.turn();
    expect(table.turns[0]?.afterMs).toBe(10);
  });
});
