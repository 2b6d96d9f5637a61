/**
 * Do gateways keep their roles while every processor is taken from them?
 *
 *   npm run starvation -- [--minutes 10] [--interval 100ms]
 *
 * Two real gateways in the lab (see src/lab/topology.ts), adverts at the given interval, and two busy processes for
 * each processor, of niceness 0, −20 and 19 in turn, every thirty seconds. Takeovers are counted by terms, and by the
 * switches, which belong to neither gateway; gaps between adverts are the switch's, by the kernel's time. Prints a
 * line for each stretch and a summary; the exit status is 1 if a role has changed, 2 if it could not be carried out. Needs root, as the lab does, and
 * the machine for itself.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/lab/error.js';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { interruption } from '../../test/support/interruption.js';
import { RunningLab } from '../../test/support/running-lab.js';
import { Starvation, type Stretch } from '../../test/support/starvation.js';

const STRETCH_MS = 30_000;
const NICENESSES = [0, -20, 19];

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, interval: { type: 'string', default: '100ms' } } });
  const totalMs = Number(values.minutes) * 60_000;
  if (!(totalMs > 0)) throw new Error(`--minutes is ${values.minutes}: a number above 0`);
  const { signal, release } = interruption((line) => console.log(line));
  try {
    return await starve(totalMs, values.interval, signal);
  } finally {
    await downIfOurs();
    release();
  }
}

async function starve(totalMs: number, interval: string, signal: AbortSignal): Promise<boolean> {
  const lab = new RunningLab(await up({ sync: 'strict', say: (line) => console.log(line), crowded: true, signal }, 'running'));
  const starvation = new Starvation(lab);
  try {
    await starvation.prepare(interval);
    console.log(`adverts every ${interval}; ${STRETCH_MS / 1000} s each among processes of niceness ${NICENESSES.join(', ')}`);
    const stretches: Stretch[] = [];
    for (let doneMs = 0; doneMs < totalMs; doneMs += STRETCH_MS) {
      const nice = NICENESSES[stretches.length % NICENESSES.length] ?? 0;
      stretches.push(await starvation.among(nice, Math.min(STRETCH_MS, totalMs - doneMs), signal));
      console.log(line(stretches.length, nice, stretches.at(-1)!));
    }
    return summary(stretches);
  } finally {
    starvation.close();
  }
}

function line(number: number, nice: number, { seconds, busy, takeovers, moves, adverts, foreignAdverts, longestGap }: Stretch): string {
  const counts = `takeovers ${takeovers}, moves ${moves}, adverts ${adverts} + ${foreignAdverts} of the Backup`;
  return `${String(number).padStart(3)}  nice ${String(nice).padStart(3)}  ${seconds.toFixed(1)} s, ${(busy * 100).toFixed(1)} % busy: ${counts}, longest gap ${longestGap.ms.toFixed(1)} ms`;
}

function summary(stretches: readonly Stretch[]): boolean {
  const sum = (count: (stretch: Stretch) => number): number => stretches.reduce((total, stretch) => total + count(stretch), 0);
  const changes = sum(({ takeovers, moves, foreignAdverts }) => takeovers + moves + foreignAdverts);
  const seconds = sum((stretch) => stretch.seconds);
  console.log(`\n${(seconds / 60).toFixed(1)} minutes, ${sum(({ adverts }) => adverts)} adverts: ${sum(({ takeovers }) => takeovers)} takeovers`);
  console.log(`longest gap between adverts ${Math.max(...stretches.map(({ longestGap }) => longestGap.ms)).toFixed(1)} ms`);
  for (const [what, ms] of Object.entries(stretches.at(-1)?.latenessMs ?? {})) console.log(`worst lateness, ${what}: ${ms.toFixed(2)} ms`);
  return changes === 0;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`starvation: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
