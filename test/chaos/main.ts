/**
 * Random faults on a gateway pair with real traffic, and what must hold all the same.
 *
 *   npm run chaos -- [--seed N] [--seconds S] [--connections N] [--flows N]
 *
 * Daemons are killed and stopped, nodes lose power, links and frames are lost,
 * clocks jump, configurations change, gateways are drained. The same seed makes
 * the same faults in the same order. Exit status 0: everything held.
 */
import { parseArgs } from 'node:util';
import { LabError, messageOf } from '../../src/lab/error.js';
import { interruption } from '../support/interruption.js';
import { runChaos } from './run.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '100' },
    flows: { type: 'string', default: '100' },
  },
});

function wholeNumber(name: keyof typeof values): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < (name === 'seed' ? 0 : 1)) throw new LabError(`--${name} is ${values[name]}: a whole number is needed`);
  return value;
}

const started = performance.now();
const say = (line: string): void => void process.stdout.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
const { signal, release } = interruption(say);

try {
  const [seed, seconds] = [wholeNumber('seed'), wholeNumber('seconds')];
  say(`seed ${seed}, ${seconds} s of faults`);
  const violations = await runChaos({ seed, seconds, connections: wholeNumber('connections'), flows: wholeNumber('flows'), say, signal });
  say(violations.length === 0 ? 'everything held' : `${violations.length} violations; the same faults again: npm run chaos -- --seed ${seed} --seconds ${seconds}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`chaos: ${messageOf(error)}\n`);
  process.exitCode = 2;
} finally {
  release();
}
