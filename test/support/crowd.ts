/** Processes that do nothing but want the processors. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { startDaemon, stop } from '../../src/lab/process.js';
import type { LabState, ProcessRecord } from '../../src/lab/state.js';

export class Crowd {
  readonly #state: LabState;
  readonly #processes: readonly ProcessRecord[];
  readonly #from = readTicks();

  private constructor(state: LabState, processes: readonly ProcessRecord[]) {
    this.#state = state;
    this.#processes = processes;
  }

  /** Two for each processor. `nice`: −20 (as much as anybody can want) to 19, whatever ours is. */
  static start(state: LabState, nice: number): Crowd {
    const command = ['sh', '-c', `renice -n ${nice} -p $$ > /dev/null; while :; do :; done`];
    const names = Array.from({ length: 2 * availableParallelism() }, (_, index) => `crowd-${index}`);
    // Any node: they send nothing.
    return new Crowd(state, names.map((name) => startDaemon(state, { name, node: 'outside', command })));
  }

  /** @returns how busy the processors were since the start, 0 to 1 */
  async end(): Promise<number> {
    const { idle, total } = readTicks();
    await Promise.all(this.#processes.map((record) => stop(record)));
    for (const record of this.#processes) this.#state.removeProcess(record);
    return 1 - (idle - this.#from.idle) / (total - this.#from.total);
  }
}

function readTicks(): { idle: number; total: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, ioWait = 0, ...rest] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/\s+/).slice(1, 9).map(Number);
  return { idle: idle + ioWait, total: [user, nice, system, idle, ioWait, ...rest].reduce((sum, ticks) => sum + ticks, 0) };
}
