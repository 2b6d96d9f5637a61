// `floatgate lab run`: up, scenario, report, down; down also when interrupted.
import { setMaxListeners } from 'node:events';
import { hasPassed, judge } from './checks.js';
import { LabError } from './error.js';
import type { SyncMode } from './gateway.js';
import { downIfOurs, leftovers, up } from './lab.js';
import { renderChecks, renderTimeline, renderVerdict } from './report.js';
import { runScenario, type ScenarioResult } from './scenario.js';

export interface RunLabOptions {
  readonly sync: SyncMode;
  /** Leave the lab up at the end. */
  readonly keep: boolean;
  readonly connections: number;
  readonly flows: number;
  readonly write: (text: string) => void;
}

/** Returns whether every check has passed. @throws LabError when the run could not be carried out; the lab is down then. */
export async function runLab(options: RunLabOptions): Promise<boolean> {
  const started = performance.now();
  const say = (line: string) => options.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  const interruption = interruptedBySignals(say);
  let kept = false;
  try {
    const state = await up({ sync: options.sync, say, signal: interruption.signal }, 'running');
    const result = await runScenario(state, { ...options, say, signal: interruption.signal });
    options.write(render(result));
    if (options.keep) {
      state.setPhase('up');
      kept = true;
    }
    return hasPassed(judge(result.measurements));
  } catch (error) {
    // What was under way says in many ways that it was interrupted; the reason is one.
    interruption.signal.throwIfAborted();
    throw error;
  } finally {
    if (!kept) await downWholly(say);
    interruption.release();
  }
}

function render({ measurements, timeline, killedAtMs }: ScenarioResult): string {
  const checks = judge(measurements);
  return `\n${renderTimeline(timeline, killedAtMs)}\n\n${renderChecks(checks)}\n\n${renderVerdict(checks)}\n\n`;
}

async function downWholly(say: (line: string) => void): Promise<void> {
  if (!(await downIfOurs())) return;
  const left = leftovers();
  if (left.length > 0) throw new LabError(`the lab was taken down but has left ${left.join(', ')}`);
  say('lab is down');
}

/** While it runs, Ctrl-C ends the waits, not the process: what was made must be removed first. */
export function interruptedBySignals(say: (line: string) => void): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  // Many wait for it at a time: Node takes more than ten for a leak.
  setMaxListeners(0, controller.signal);
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const interrupt = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) return;
    say(`${name}: taking the lab down`);
    controller.abort(new LabError(`interrupted by ${name}`));
  };
  for (const name of signals) process.on(name, interrupt);
  return { signal: controller.signal, release: () => signals.forEach((name) => process.off(name, interrupt)) };
}
