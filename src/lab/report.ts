// Renders a timeline and the table of checks as text.
import type { Check } from './checks.js';

export interface TimelineEvent {
  /** CLOCK_MONOTONIC. */
  readonly atMs: number;
  readonly text: string;
}

/** One line per event; times are relative to `originMs`. */
export function renderTimeline(events: readonly TimelineEvent[], originMs: number): string {
  const times = events.map(({ atMs }) => signed(atMs - originMs));
  const width = Math.max(0, ...times.map((time) => time.length));
  return events.map(({ text }, index) => `${(times[index] ?? '').padStart(width)} ms  ${text}`).join('\n');
}

function signed(value: number): string {
  const rounded = Math.round(value);
  return rounded > 0 ? `+${rounded}` : String(rounded);
}

const verdicts = new Map<boolean | undefined, string>([[true, 'ok'], [false, 'FAILED'], [undefined, '']]);

export function renderChecks(checks: readonly Check[]): string {
  const heading = { name: 'check', measured: 'measured', wanted: 'wanted', verdict: 'verdict' };
  const rows = [heading, ...checks.map(({ name, measured, wanted, passed }) => ({ name, measured, wanted, verdict: verdicts.get(passed) ?? '' }))];
  const width = (column: keyof typeof heading) => Math.max(...rows.map((row) => row[column].length));
  const [nameWidth, measuredWidth, wantedWidth] = [width('name'), width('measured'), width('wanted')];
  const line = (row: typeof heading) => [row.name.padEnd(nameWidth), row.measured.padEnd(measuredWidth), row.wanted.padEnd(wantedWidth), row.verdict].join('  ').trimEnd();
  const rule = '─'.repeat(nameWidth + measuredWidth + wantedWidth + 6 + Math.max(...rows.map(({ verdict }) => verdict.length)));
  return [line(heading), rule, ...rows.slice(1).map(line)].join('\n');
}

export function renderVerdict(checks: readonly Check[]): string {
  const judged = checks.filter(({ passed }) => passed !== undefined);
  const failed = judged.filter(({ passed }) => passed === false);
  return failed.length === 0 ? `all ${judged.length} checks passed` : `${failed.length} of ${judged.length} checks failed`;
}
