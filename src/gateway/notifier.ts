/** Tells programs of the user's what a virtual router has become. Nobody waits for them. */
import type { NotifyConfiguration } from '../config/schema.js';
import type { CommandResult, Command } from './run-command.js';
import { Fifo } from './fifo.js';
import type { PublicState } from './public-state.js';

export interface StateChange {
  readonly vrid: number;
  readonly state: PublicState;
  readonly previous: PublicState;
  /** As in `floatgate status`. */
  readonly reason: string;
  /** As advertised. */
  readonly priority: number;
  readonly term: number;
}

export interface NotifierPorts {
  run(command: Command): Promise<CommandResult>;
  warn(fields: object, sentence: string): void;
}

/** Of changes that wait for an earlier command; the oldest goes first. */
const QUEUE_LENGTH = 8;

export class Notifier {
  readonly #ports: NotifierPorts;
  /** By VRID; present while a command runs. */
  readonly #queues = new Map<number, StateChange[]>();
  #configuration: NotifyConfiguration | undefined;
  #gateway = '';
  #fifo: Fifo | undefined;
  #idle: (() => void)[] = [];

  constructor(ports: NotifierPorts) {
    this.#ports = ports;
  }

  /** What waits is told by the new one. */
  configure(configuration: NotifyConfiguration | undefined, gateway: string): void {
    if (configuration?.fifo !== this.#configuration?.fifo) {
      this.#fifo?.close();
      this.#fifo = configuration?.fifo === undefined ? undefined : new Fifo(configuration.fifo, (sentence) => this.#ports.warn({ reason: 'notify' }, sentence));
    }
    this.#configuration = configuration;
    this.#gateway = gateway;
  }

  tell(change: StateChange): void {
    this.#fifo?.write(change.vrid, lineOf(change));
    if (this.#configuration?.command === undefined) return;
    const queue = this.#queues.get(change.vrid);
    if (queue === undefined) return void this.#run(change);
    queue.push(change);
    if (queue.length > QUEUE_LENGTH) queue.shift();
  }

  /** Resolves when all has been told, or the limit is over. */
  async finished(limitMs: number): Promise<void> {
    if (this.#queues.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  close(): void {
    this.#fifo?.close();
  }

  async #run(first: StateChange): Promise<void> {
    const queue: StateChange[] = [];
    this.#queues.set(first.vrid, queue);
    for (let change: StateChange | undefined = first; change !== undefined; change = queue.shift()) await this.#runOne(change);
    this.#queues.delete(first.vrid);
    if (this.#queues.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #runOne(change: StateChange): Promise<void> {
    const { command: words, user, timeout } = this.#configuration ?? {};
    if (words === undefined || user === undefined || timeout === undefined) return;
    const { succeeded, detail } = await this.#ports.run({ words, user, timeoutMs: timeout, environment: environmentOf(change, this.#gateway) });
    if (!succeeded) this.#ports.warn({ reason: 'notify', vrid: change.vrid, state: change.state, detail }, `notify.command failed: ${detail}`);
  }
}

export function environmentOf({ vrid, state, previous, reason, priority, term }: StateChange, gateway: string): Record<string, string> {
  return {
    FLOATGATE_GATEWAY: gateway,
    FLOATGATE_VRID: String(vrid),
    FLOATGATE_STATE: state,
    FLOATGATE_PREVIOUS: previous,
    FLOATGATE_REASON: reason,
    FLOATGATE_PRIORITY: String(priority),
    FLOATGATE_TERM: String(term),
  };
}

/** As keepalived writes it, in our words. */
export function lineOf({ vrid, state, priority }: StateChange): string {
  return `INSTANCE "${vrid}" ${state.toUpperCase()} ${priority}\n`;
}
