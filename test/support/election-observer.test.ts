import { describe, expect, it } from 'vitest';
import { longestGap } from './election-observer.js';

const advertsAt = (...times: number[]) => times.map((atMs) => ({ atMs, source: '192.0.2.1' }));

describe('longestGap', () => {
  it.each([
    { name: 'between two adverts', adverts: advertsAt(100, 200, 350, 440), gap: { ms: 150, fromMs: 200 } },
    { name: 'before the first', adverts: advertsAt(300, 400, 480), gap: { ms: 300, fromMs: 0 } },
    { name: 'after the last', adverts: advertsAt(50, 100), gap: { ms: 400, fromMs: 100 } },
    { name: 'without any', adverts: [], gap: { ms: 500, fromMs: 0 } },
  ])('$name', ({ adverts, gap }) => {
    expect(longestGap(adverts, 0, 500)).toEqual(gap);
  });
});
