// The command line.
import { parseArgs } from 'node:util';
import { LabError } from '../../src/lab/error.js';
import { scenarios, type Scenario } from './faults.js';
import { floatgate } from './floatgate.js';
import { keepalived } from './keepalived.js';
import type { System } from './system.js';

export const usage = `npm run scoreboard -- [options]

  --runs N            of every scenario, interval and system (default 5)
  --scenario LIST     of crash, kill, link, planned (default crash,planned)
  --adverts LIST      intervals between advertisements, such as 100ms,10ms: 10ms to 10s, in steps of 10ms (default 100ms)
  --systems LIST      of floatgate, keepalived, keepalived-direct (default floatgate,keepalived)
  --connections N     idle TCP connections (default 200)
  --flows N           UDP flows (default 200)
  --open N            new TCP connections per second from a second before the fault (default 100)
  --output DIRECTORY  for results.json and the distributions as SVG (default none)
  --continue          add to the runs that are in DIRECTORY already
  --quick             one run of crash, 50 connections, 50 flows: below a minute
`;

export interface Options {
  readonly runs: number;
  readonly scenarios: readonly Scenario[];
  readonly advertisementIntervalsMs: readonly number[];
  readonly systems: readonly System[];
  readonly connections: number;
  readonly flows: number;
  readonly openPerSecond: number;
  readonly output?: string;
  /** The runs in `output` stay, and are counted among the others. */
  readonly continued: boolean;
}

const systems: readonly System[] = [floatgate, keepalived('external'), keepalived('direct')];

/** @throws LabError with one sentence about what is wrong */
export function readOptions(words: readonly string[]): Options {
  const values = parsed(words);
  const quick = values.quick === true;
  return {
    runs: wholeNumber('--runs', values.runs ?? (quick ? '1' : '5'), 1, 10_000),
    scenarios: listed(values.scenario ?? (quick ? 'crash' : 'crash,planned')).map((word) => oneOf('--scenario', scenarios, word)),
    advertisementIntervalsMs: listed(values.adverts ?? '100ms').map(interval),
    systems: listed(values.systems ?? 'floatgate,keepalived').map((word) => systemNamed(word)),
    connections: wholeNumber('--connections', values.connections ?? (quick ? '50' : '200'), 1, 28_000),
    flows: wholeNumber('--flows', values.flows ?? (quick ? '50' : '200'), 1, 28_000),
    openPerSecond: wholeNumber('--open', values.open ?? '100', 0, 1000),
    ...(values.output === undefined ? {} : { output: values.output }),
    continued: continues(values),
  };
}

function continues(values: ReturnType<typeof parsed>): boolean {
  if (values.continue === true && values.output === undefined) throw new LabError('--continue: which runs? --output names their directory');
  return values.continue === true;
}

function parsed(words: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { runs: text, scenario: text, adverts: text, systems: text, connections: text, flows: text, open: text, output: text, quick: { type: 'boolean' }, continue: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args: [...words], options }).values;
  } catch (error) {
    throw new LabError(error instanceof Error ? error.message : String(error));
  }
}

function listed(text: string): string[] {
  return text.split(',').map((word) => word.trim());
}

function oneOf<T extends string>(option: string, allowed: readonly T[], word: string): T {
  const found = allowed.find((candidate) => candidate === word);
  if (found === undefined) throw new LabError(`${option}: '${word}' is none of ${allowed.join(', ')}`);
  return found;
}

function systemNamed(word: string): System {
  const name = oneOf('--systems', systems.map((system) => system.name), word);
  return systems.find((system) => system.name === name) as System;
}

function wholeNumber(option: string, word: string, min: number, max: number): number {
  const value = Number(word);
  if (!/^\d+$/.test(word) || value < min || value > max) throw new LabError(`${option}: '${word}' is no whole number from ${min} to ${max}`);
  return value;
}

/** VRRP counts in hundredths of a second. */
function interval(word: string): number {
  const [, digits, unit] = /^(\d+)(ms|s)$/.exec(word) ?? [];
  const value = Number(digits) * (unit === 's' ? 1000 : 1);
  if (!(value >= 10 && value <= 10_000) || value % 10 !== 0) throw new LabError(`--adverts: '${word}' is no interval from 10ms to 10s in steps of 10ms`);
  return value;
}
