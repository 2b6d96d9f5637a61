/**
 * What replication costs for a million sessions.
 *
 *   npm run replication -- [--json FILE]
 *
 * First each program for itself (parts.ts): ns per record, by the kernel's clock around the program. Then all of them
 * together (path.ts): one gateway's table goes to the other over a veth pair, and one core does the work of both.
 * Each part proves what it has measured: the sums of both tables are the same.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureParts, type Parts } from './parts.js';
import type { Path } from './path.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Records a second and core, seconds for a million sessions. */
const GOAL = { recordsPerSecond: 1_000_000, seconds: 1 } as const;

function measurePath(): Path {
  const script = fileURLToPath(new URL('path.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync('unshare', ['--net', '--mount', '--', `${ROOT}node_modules/.bin/vite-node`, script], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`path.ts ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Path;
}

const grouped = (value: number): string => Math.round(value).toLocaleString('en');
const verdict = (met: boolean): string => (met ? 'met' : 'MISSED');

function tableOf({ sessions, frames, parts }: Parts): string {
  const rows = parts.map(({ name, records, meanNs, medianNs }) =>
    [name.padEnd(40), grouped(records).padStart(10), meanNs.toFixed(0).padStart(8), medianNs.toFixed(0).padStart(8), grouped(1e9 / meanNs).padStart(12)].join(' '));
  const head = [`${grouped(sessions)} sessions, ${grouped(frames)} frames`.padEnd(40), 'records'.padStart(10), 'mean ns'.padStart(8), 'median'.padStart(8), 'a second'.padStart(12)].join(' ');
  return [head, ...rows].join('\n');
}

function pathOf({ sessions, frames, seconds, cpuSeconds, programSeconds: { written, applied, acknowledged } }: Path): string {
  return [
    `bulk of ${grouped(sessions)} sessions in ${grouped(frames)} frames over veth, both gateways on one core: ${seconds.toFixed(2)} s (processor ${cpuSeconds.toFixed(2)} s)`,
    `  sender's programs ${(written + acknowledged).toFixed(2)} s (written ${written.toFixed(2)}, acknowledged ${acknowledged.toFixed(2)}), receiver's ${applied.toFixed(2)} s`,
    `  records applied a second and core: ${grouped(sessions / applied)}: ${verdict(sessions / applied >= GOAL.recordsPerSecond)}`,
    `  a million sessions where each gateway has a core, by the slower one: ${(Math.max(written + acknowledged, applied) / sessions * 1e6).toFixed(2)} s: ${verdict(Math.max(written + acknowledged, applied) / sessions * 1e6 <= GOAL.seconds)}`,
  ].join('\n');
}

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const loadBefore = loadavg()[0]!;
const path = measurePath(), parts = measureParts();
const machine = { cpus: cpus().length, model: cpus()[0]?.model, kernel: release(), loadBefore, loadAfter: loadavg()[0]! };
console.log(`${tableOf(parts)}\n\n${pathOf(path)}\n\nload average ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after`);
if (!path.equal) console.log('the tables DIFFER');
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, parts, path }, undefined, 2)}\n`);
process.exitCode = path.equal ? 0 : 1;
