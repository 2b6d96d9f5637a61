// From runs to figures. Pure: what is printed, drawn and written all comes from here.
import type { Scenario } from './faults.js';
import type { Outage, RunResult, Sessions } from './run.js';

export interface Distribution {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

/** By nearest rank: every figure is one that was measured. Of nothing, all are NaN. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { count: sorted.length, median: rank(0.5), p99: rank(0.99), min: rank(0), max: rank(1) };
}

/** Points of the distribution function: so large a share of the values is at most so large. */
export function cumulative(values: readonly number[]): { value: number; share: number }[] {
  return values.toSorted((a, b) => a - b).map((value, index) => ({ value, share: (index + 1) / values.length }));
}

export interface Count {
  readonly lost: number;
  readonly of: number;
}

/** All runs of one system in one scenario. */
export interface Figures {
  readonly system: string;
  readonly scenario: Scenario;
  readonly advertisementIntervalMs: number;
  readonly runs: number;
  /** Milliseconds, by probe. */
  readonly outages: Readonly<Record<string, Distribution>>;
  /** Milliseconds: in each run the probe that was out for longest. */
  readonly worstOutage: Distribution;
  /** The longest gap of any probe before the fault: what the machine and the instruments add by themselves. */
  readonly steadyGap: Distribution;
  /** Milliseconds. */
  readonly stall: Distribution;
  readonly packets: Count;
  /** Runs in which no probe lost anything. */
  readonly runsWithoutLoss: number;
  readonly tcp: Count;
  readonly udp: Count;
  readonly young: Count;
  readonly corrupt: number;
}

export function figuresOf(results: readonly RunResult[]): Figures[] {
  const groups = grouped(results, ({ scenario, advertisementIntervalMs, system }) => `${scenario} ${advertisementIntervalMs} ${system}`);
  return [...groups.values()].flatMap((runs) => (runs[0] === undefined ? [] : [figuresOfGroup(runs[0], runs)]));
}

function figuresOfGroup({ system, scenario, advertisementIntervalMs }: RunResult, runs: readonly RunResult[]): Figures {
  const outages = runs.flatMap((run) => run.outages);
  const byProbe = grouped(outages, ({ probe }) => probe);
  return {
    system, scenario, advertisementIntervalMs,
    runs: runs.length,
    outages: Object.fromEntries([...byProbe].map(([probe, seen]) => [probe, distributionOf(seen.map(({ gapMs }) => gapMs))])),
    worstOutage: distributionOf(runs.map((run) => longest(run.outages))),
    steadyGap: distributionOf(runs.map((run) => longest(run.steady))),
    stall: distributionOf(runs.flatMap(({ stallsMs }) => stallsMs)),
    packets: { lost: sum(outages.map(({ lost }) => lost)), of: sum(outages.map(({ sent }) => sent)) },
    runsWithoutLoss: runs.filter((run) => run.outages.every(({ lost }) => lost === 0)).length,
    tcp: total(runs.map(({ tcp }) => tcp)),
    udp: total(runs.map(({ udp }) => udp)),
    young: total(runs.map(({ young }) => young)),
    corrupt: sum(runs.map(({ corrupt }) => corrupt)),
  };
}

export function grouped<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

export function longest(outages: readonly Outage[]): number {
  return Math.max(...outages.map(({ gapMs }) => gapMs));
}

function total(sessions: readonly Sessions[]): Count {
  return { lost: sum(sessions.map(({ lost }) => lost)), of: sum(sessions.map(({ wanted }) => wanted)) };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
