// The distribution of the outages, as SVG.
import { Warn, View, parse } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { cumulative, grouped } from './figures.js';
import type { RunResult } from './run.js';

export interface Drawing {
  /** Without a folder. */
  readonly name: string;
  readonly svg: string;
}

/** One drawing for each scenario and interval; a panel for each probe, a curve for each system. */
export async function drawOutages(results: readonly RunResult[]): Promise<Drawing[]> {
  const groups = grouped(results, ({ scenario, advertisementIntervalMs }) => `${scenario}-${advertisementIntervalMs}ms`);
  return Promise.all([...groups].map(async ([name, runs]) => ({ name: `outage-${name}.svg`, svg: await svgOf(specificationOf(runs)) })));
}

interface Point {
  readonly probe: string;
  readonly system: string;
  readonly outageMs: number;
  readonly share: number;
}

function pointsOf(runs: readonly RunResult[]): Point[] {
  const seen = runs.flatMap(({ system, outages }) => outages.map(({ probe, gapMs }) => ({ probe, system, gapMs })));
  return [...grouped(seen, ({ probe, system }) => `${probe} ${system}`).values()].flatMap((group) => {
    const points = cumulative(group.map(({ gapMs }) => gapMs));
    const { probe, system } = group[0] ?? { probe: '', system: '' };
    // The curve begins on the axis.
    return [{ value: points[0]?.value ?? 0, share: 0 }, ...points].map(({ value, share }) => ({ probe, system, outageMs: value, share }));
  });
}

function specificationOf(runs: readonly RunResult[]): TopLevelSpec {
  const [first] = runs;
  const systems = [...new Set(runs.map(({ system }) => system))];
  const counts = systems.map((system) => `${runs.filter((run) => run.system === system).length} of ${system}`).join(', ');
  return {
    background: 'white',
    title: { text: `Outage: ${first?.scenario}, adverts every ${first?.advertisementIntervalMs} ms`, subtitle: `runs: ${counts}; 1 kHz probes` },
    data: { values: pointsOf(runs).map((point) => ({ ...point })) },
    facet: { column: { field: 'probe', type: 'nominal', title: null, sort: first?.outages.map(({ probe }) => probe) ?? [] } },
    spec: {
      width: 240,
      height: 180,
      mark: { type: 'line', interpolate: 'step-after', strokeWidth: 2 },
      encoding: {
        x: { field: 'outageMs', type: 'quantitative', title: 'outage, ms', scale: { type: 'log', nice: true } },
        y: { field: 'share', type: 'quantitative', title: 'share of runs', scale: { domain: [0, 1] } },
        color: { field: 'system', type: 'nominal', title: null, sort: systems, legend: { orient: 'bottom' } },
        order: { field: 'share', type: 'quantitative' },
      },
    },
  };
}

async function svgOf(specification: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(specification).spec), { renderer: 'none', logLevel: Warn });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
