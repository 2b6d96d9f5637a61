// A client process of the lab, as seen by the scenario: commands out, results back.
import { createInterface } from 'node:readline';
import { LabError } from './error.js';
import { startClient, type Client } from './process.js';
import { clientCommand } from './servers.js';
import type { LabState } from './state.js';

export interface ClientOptions {
  /** File below clients/, or the command line of something else that speaks like those. */
  readonly program: string | readonly string[];
  /** In messages and as the name of its log. */
  readonly name: string;
  readonly node: string;
  readonly args: readonly (string | number)[];
  readonly prompt?: boolean;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class LabClient {
  readonly #name: string;
  readonly #child: Client;
  readonly #log: string;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(state: LabState, { program, name, node, args, prompt = false }: ClientOptions) {
    this.#name = name;
    const command = typeof program === 'string' ? clientCommand(program, ...args) : [...program, ...args.map(String)];
    const { child, record } = startClient(state, { name, node, command, prompt });
    this.#child = child;
    this.#log = record.log;
    createInterface({ input: child.stdout }).on('line', (line) => this.#settle(JSON.parse(line) as Reply));
    child.on('exit', (code, signal) => {
      state.removeProcess(record);
      this.#failAll(`ended (${code ?? signal})`);
    });
    child.stdin.on('error', () => {}); // its end is told by 'exit'
  }

  /** @throws LabError when the client refuses, ends, or does not answer within `deadlineMs` (default 30 000). */
  call<T>(command: string, args: object = {}, deadlineMs = 30_000): Promise<T> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new LabError(`${this.#name} has not answered '${command}' within ${deadlineMs / 1000} s`)), deadlineMs);
      const settled = <V>(settle: (value: V) => void) => (value: V) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        settle(value);
      };
      this.#waiting.set(id, { resolve: settled(resolve as (value: unknown) => void), reject: settled(reject) });
      this.#child.stdin.write(`${JSON.stringify({ id, command, arguments: args })}\n`);
    });
  }

  /** The client ends when its standard input does. */
  close(): void {
    this.#child.stdin.end();
  }

  #settle({ id, result, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new LabError(`${this.#name}: ${error}`));
  }

  #failAll(reason: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new LabError(`${this.#name} ${reason}; see ${this.#log}`));
  }
}
