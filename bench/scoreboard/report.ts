// Figures as text.
import { grouped, longest, type Count, type Distribution, type Figures } from './figures.js';
import type { RunResult } from './run.js';

type Column = readonly [heading: string, cell: (figures: Figures) => string];

const columns: readonly Column[] = [
  ['system', ({ system }) => system],
  ['runs', ({ runs }) => String(runs)],
  ['shared SNAT', ({ outages }) => told(outages['shared SNAT'])],
  ['floating IP out', ({ outages }) => told(outages['floating IP outwards'])],
  ['floating IP in', ({ outages }) => told(outages['floating IP inwards'])],
  ['before', ({ steadyGap }) => told(steadyGap)],
  ['TCP stall', ({ stall }) => told(stall)],
  ['packets lost', ({ packets }) => count(packets)],
  ['TCP lost', ({ tcp }) => count(tcp)],
  ['UDP lost', ({ udp }) => count(udp)],
  ['young lost', ({ young }) => count(young)],
  ['corrupt', ({ corrupt }) => String(corrupt)],
];

export const legend = 'outages and stalls in ms: median, p99 (min–max) over the runs; TCP stall over all busy connections; before: the longest gap of any probe before the fault';

/** One table for each scenario and interval, the systems in rows. */
export function renderFigures(figures: readonly Figures[]): string {
  const groups = grouped(figures, ({ scenario, advertisementIntervalMs }) => `${scenario}, adverts every ${advertisementIntervalMs} ms`);
  return [...groups].map(([title, group]) => [title, table(group), ...ratios(group)].join('\n')).join('\n\n');
}

function table(group: readonly Figures[]): string {
  const rows = [columns.map(([heading]) => heading), ...group.map((figures) => columns.map(([, cell]) => cell(figures)))];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '));
  return [lines[0], '─'.repeat(lines[0]?.length ?? 0), ...lines.slice(1)].join('\n');
}

/** How much longer the others take than the first. */
function ratios([first, ...others]: readonly Figures[]): string[] {
  if (first === undefined) return [];
  return others.map((other) => {
    const outage = other.worstOutage.median / first.worstOutage.median;
    const stall = other.stall.median / first.stall.median;
    return `${other.system} / ${first.system}: outage × ${outage.toFixed(1)}, TCP stall × ${stall.toFixed(1)} (medians; the probe that is out for longest)`;
  });
}

export function renderRun({ outages, tcp, udp, young, stallsMs }: RunResult): string {
  const lost = [`TCP ${tcp.lost}/${tcp.wanted}`, `UDP ${udp.lost}/${udp.wanted}`, `young ${young.lost}/${young.wanted}`];
  const gaps = outages.map(({ gapMs, lost: packets }) => `${milliseconds(gapMs)} (−${packets})`);
  return `out ${milliseconds(longest(outages))} ms [${gaps.join(', ')}], stall ${milliseconds(Math.max(...stallsMs))} ms, lost ${lost.join(', ')}`;
}

function told(distribution: Distribution | undefined): string {
  if (distribution === undefined) return '–';
  const { median, p99, min, max } = distribution;
  return `${milliseconds(median)}, ${milliseconds(p99)} (${milliseconds(min)}–${milliseconds(max)})`;
}

function milliseconds(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

function count({ lost, of }: Count): string {
  return `${lost} of ${of}`;
}
