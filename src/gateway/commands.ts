/**
 * Runs commands while elections go on: to start a process copies the tables of
 * a large one, milliseconds in which no advert would be sent. So a thread does it.
 */
import { Worker } from 'node:worker_threads';
import type { Command, CommandResult } from './run-command.js';

export class Commands {
  readonly #waiting = new Map<number, (result: CommandResult) => void>();
  #worker: Worker | undefined;
  #next = 0;

  /** A thread takes its time to start: better now than when something has happened. */
  prepare(): void {
    this.#worker ??= this.#start();
  }

  /** Never rejects. */
  run(command: Command): Promise<CommandResult> {
    this.#worker ??= this.#start();
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#worker?.postMessage({ id, command });
    });
  }

  /** Ends what still runs. */
  close(): void {
    this.#worker?.postMessage('end');
    this.#worker = undefined;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./command-worker.js', import.meta.url));
    worker.unref();
    worker.on('message', ({ id, result }: { readonly id: number; readonly result: CommandResult }) => {
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
    worker.on('error', (error) => this.#failed(worker, error.message));
    worker.on('exit', () => this.#failed(worker, 'the thread that runs commands has ended'));
    return worker;
  }

  /** The next command starts another thread. */
  #failed(worker: Worker, detail: string): void {
    if (this.#worker === worker) this.#worker = undefined;
    for (const resolve of this.#waiting.values()) resolve({ succeeded: false, detail });
    this.#waiting.clear();
  }
}
