import { describe, expect, it } from 'vitest';
import { cumulative, distributionOf, figuresOf } from '../../../bench/scoreboard/figures.js';
import { readOptions } from '../../../bench/scoreboard/options.js';
import { drawOutages } from '../../../bench/scoreboard/plot.js';
import { renderFigures, renderRun } from '../../../bench/scoreboard/report.js';
import type { RunResult } from '../../../bench/scoreboard/run.js';

const probes = ['shared SNAT', 'floating IP outwards', 'floating IP inwards'];

function run(system: string, gapsMs: readonly number[], more: Partial<RunResult> = {}): RunResult {
  return {
    system, scenario: 'crash', advertisementIntervalMs: 100,
    steady: probes.map((probe) => ({ probe, gapMs: 2, lost: 0, sent: 1000 })),
    outages: gapsMs.map((gapMs, index) => ({ probe: probes[index] ?? '', gapMs, lost: gapMs - 1, sent: 2000 })),
    tcp: { wanted: 200, lost: 0 }, udp: { wanted: 100, lost: 1, example: 'number 4: nothing comes back' }, young: { wanted: 50, lost: 0 },
    stallsMs: [10, 30], corrupt: 1, inflictedWithinMs: 5, ...more,
  };
}

describe('distributionOf', () => {
  it('by nearest rank: every figure is one of the values', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(distributionOf(values)).toEqual({ count: 200, median: 100, p99: 198, min: 1, max: 200 });
  });

  it('one value is all of them; an even number has the lower middle', () => {
    expect(distributionOf([7])).toEqual({ count: 1, median: 7, p99: 7, min: 7, max: 7 });
    expect(distributionOf([4, 1, 3, 2]).median).toBe(2);
  });

  it('of nothing/no figure', () => {
    expect(distributionOf([])).toEqual({ count: 0, median: NaN, p99: NaN, min: NaN, max: NaN });
  });
});

it('cumulative/rises to 1', () => {
  expect(cumulative([30, 10, 10, 20])).toEqual([{ value: 10, share: 0.25 }, { value: 10, share: 0.5 }, { value: 20, share: 0.75 }, { value: 30, share: 1 }]);
});

describe('figuresOf', () => {
  const figures = figuresOf([run('a', [10, 12, 11]), run('b', [100, 90, 95]), run('a', [20, 22, 23]), run('a', [1, 1, 1], { advertisementIntervalMs: 10 })]);

  it('runs of one system, scenario and interval are one row', () => {
    expect(figures.map(({ system, advertisementIntervalMs, runs }) => [system, advertisementIntervalMs, runs])).toEqual([['a', 100, 2], ['b', 100, 1], ['a', 10, 1]]);
  });

  it('outages by probe, and of each run the longest', () => {
    expect(figures[0]?.outages['floating IP outwards']).toEqual({ count: 2, median: 12, p99: 22, min: 12, max: 22 });
    expect(figures[0]?.worstOutage).toEqual({ count: 2, median: 12, p99: 23, min: 12, max: 23 });
  });

  it('losses are added up over the runs', () => {
    expect(figures[0]).toMatchObject({ tcp: { lost: 0, of: 400 }, udp: { lost: 2, of: 200 }, young: { lost: 0, of: 100 }, packets: { lost: 92, of: 12_000 }, runsWithoutLoss: 0 });
    expect(figures[2]).toMatchObject({ runsWithoutLoss: 1 });
  });

  it('rendered/one table for each interval, with the ratio of the medians', () => {
    const text = renderFigures(figures);
    expect(text).toContain('crash, adverts every 100 ms');
    expect(text).toContain('crash, adverts every 10 ms');
    expect(text).toContain('b / a: outage × 8.3, TCP stall × 1.0');
    expect(text).toMatch(/^a +2 +10, 20 \(10–20\) +12, 22 \(12–22\) +11, 23 \(11–23\) +2\.0, 2\.0 \(2\.0–2\.0\) .* 92 of 12000 +0 of 400 +2 of 200 +0 of 100 +2$/m);
  });

  it('a run/the worst first, what was lost behind it', () => {
    expect(renderRun(run('a', [10, 12, 11]))).toBe('out 12 ms [10 (−9), 12 (−11), 11 (−10)], stall 30 ms, lost TCP 0/200, UDP 1/100, young 0/50');
  });
});

describe('drawOutages', () => {
  it('one drawing for each scenario and interval, with a panel for each probe and a curve for each system', async () => {
    const drawings = await drawOutages([run('floatgate', [10, 12, 11]), run('floatgate', [11, 13, 12]), run('keepalived', [100, 90, 95]), run('keepalived', [110, 90, 95], { scenario: 'planned' })]);
    expect(drawings.map(({ name }) => name)).toEqual(['outage-crash-100ms.svg', 'outage-planned-100ms.svg']);
    const svg = drawings[0]?.svg ?? '';
    expect(svg).toMatch(/^<svg /);
    for (const text of ['Outage: crash, adverts every 100 ms', 'runs: 2 of floatgate, 1 of keepalived', ...probes]) expect(svg).toContain(text);
    expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(6);
  });
});

describe('readOptions', () => {
  it('defaults', () => {
    const { systems, ...rest } = readOptions([]);
    expect(systems.map(({ name }) => name)).toEqual(['floatgate', 'keepalived']);
    expect(rest).toEqual({ runs: 5, scenarios: ['crash', 'planned'], advertisementIntervalsMs: [100], connections: 200, flows: 200, openPerSecond: 100, continued: false });
  });

  it('lists; what is said beats --quick', () => {
    const options = readOptions(['--quick', '--runs', '3', '--scenario', 'kill,link', '--adverts', '10ms,1s', '--systems', 'keepalived-direct', '--output', '/tmp/figures']);
    expect(options).toMatchObject({ runs: 3, scenarios: ['kill', 'link'], advertisementIntervalsMs: [10, 1000], connections: 50, output: '/tmp/figures' });
    expect(options.systems.map(({ name }) => name)).toEqual(['keepalived-direct']);
  });

  it.each([
    [['--runs', '0'], "--runs: '0' is no whole number from 1 to 10000"],
    [['--runs', '1e3'], "--runs: '1e3' is no whole number from 1 to 10000"],
    [['--scenario', 'fire'], "--scenario: 'fire' is none of crash, kill, link, planned"],
    [['--systems', 'ucarp'], "--systems: 'ucarp' is none of floatgate, keepalived, keepalived-direct"],
    [['--adverts', '15ms'], "--adverts: '15ms' is no interval from 10ms to 10s in steps of 10ms"],
    [['--adverts', '100'], "--adverts: '100' is no interval"],
    [['--continue'], '--continue: which runs? --output names their directory'],
    [['--fast'], '--fast'],
  ])('%j/one sentence', (words, sentence) => {
    expect(() => readOptions(words)).toThrow(sentence);
  });
});
