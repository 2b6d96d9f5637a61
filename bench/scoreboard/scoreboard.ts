/**
 * The same failures, of floatgate and of keepalived + conntrackd + nftables: see README.md.
 *
 *   npm run scoreboard -- [--runs N] [--scenario LIST] [--adverts LIST] [--systems LIST]
 *                         [--connections N] [--flows N] [--open N] [--output DIRECTORY] [--continue] [--quick]
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { LabError, messageOf } from '../../src/lab/error.js';
import { interruption } from '../../test/support/interruption.js';
import { figuresOf } from './figures.js';
import { readOptions, usage, type Options } from './options.js';
import { drawOutages } from './plot.js';
import { legend, renderFigures, renderRun } from './report.js';
import { measure, type RunOptions, type RunResult } from './run.js';

// Root has no such folders in its path after `su` without a dash; the lab's tools are there.
process.env['PATH'] = `${process.env['PATH']}:/usr/sbin:/sbin`;

const write = (text: string) => void process.stdout.write(text);

interface Planned extends Omit<RunOptions, 'signal'> {
  readonly turn: number;
}

/** All systems in turn, and in the other order in every other run: what the machine does meanwhile does it to both. */
function plan({ runs, scenarios, advertisementIntervalsMs, systems, connections, flows, openPerSecond }: Options, from: number): Planned[] {
  return Array.from({ length: runs }, (_, index) => from + index).flatMap((turn) =>
    scenarios.flatMap((scenario) =>
      advertisementIntervalsMs.flatMap((advertisementIntervalMs) =>
        (turn % 2 === 0 ? systems : systems.toReversed()).map((system) => ({ turn, scenario, advertisementIntervalMs, system, connections, flows, openPerSecond })),
      ),
    ),
  );
}

interface Failure {
  readonly run: string;
  readonly reason: string;
}

/** A run that cannot be carried out is told, and counts against nobody; the others go on. */
async function runAll(options: Options, signal: AbortSignal): Promise<Measured> {
  const { runs: results, failures } = options.continued ? read(options) : { runs: [], failures: [] };
  const planned = plan(options, turnsIn(results));
  for (const [index, { turn, ...run }] of planned.entries()) {
    const title = `run ${turn + 1}, ${run.scenario}, adverts ${run.advertisementIntervalMs} ms, ${run.system.name}`;
    write(`[${index + 1}/${planned.length}] ${title}: `);
    try {
      const result = await measure({ ...run, signal });
      results.push(result);
      write(`${renderRun(result)}\n`);
    } catch (error) {
      if (signal.aborted) break;
      failures.push({ run: title, reason: messageOf(error) });
      write(`not measured: ${messageOf(error)}\n`);
    }
    await save(options, results, failures);
  }
  return { runs: results, failures };
}

interface Measured {
  readonly runs: RunResult[];
  readonly failures: Failure[];
}

const fileIn = (folder: string): string => join(folder, 'results.json');

/** @throws LabError when there is nothing to continue */
function read({ output = '' }: Options): Measured {
  try {
    return JSON.parse(readFileSync(fileIn(output), 'utf8')) as Measured;
  } catch (error) {
    throw new LabError(`--continue: ${messageOf(error)}`);
  }
}

/** How often every system has had its turn. */
function turnsIn(runs: readonly RunResult[]): number {
  return Math.max(0, ...figuresOf(runs).map((figures) => figures.runs));
}

/** After every run: what was measured is there also if the rest never comes. */
async function save({ output }: Options, runs: readonly RunResult[], failures: readonly Failure[]): Promise<void> {
  if (output === undefined) return;
  mkdirSync(output, { recursive: true });
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, kernel: release(), node: process.version, at: new Date().toISOString() };
  writeFileSync(fileIn(output), `${JSON.stringify({ machine, figures: figuresOf(runs), failures, runs }, undefined, 2)}\n`);
  for (const { name, svg } of await drawOutages(runs)) writeFileSync(join(output, name), svg);
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  if (words.includes('--help')) return write(usage);
  if (process.getuid?.() !== 0) throw new LabError('the scoreboard needs root: it makes network namespaces and loads BPF programs');
  const options = readOptions(words);
  const { signal, release } = interruption((line) => write(`\n${line}\n`));
  const { runs, failures } = await runAll(options, signal);
  release();
  if (runs.length > 0) write(`\n${renderFigures(figuresOf(runs))}\n\n${legend}\n`);
  if (failures.length > 0) write(`\n${failures.length} runs could not be measured\n`);
  if (failures.length > 0 || signal.aborted) process.exitCode = 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof LabError ? error.message : ((error as Error).stack ?? String(error))}\n`);
  process.exitCode = 1;
});
