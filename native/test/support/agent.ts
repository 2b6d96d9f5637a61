/**
 * A process in a network namespace that makes and uses objects of the library
 * for a test: sockets belong to the namespace of the process that opens them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { repository } from './compile.js';

/** To the agent. `object` 0: a function of the library instead of a method. */
export interface Call { readonly id: number; readonly object: number; readonly method: string; readonly args: readonly unknown[] }
/** From the agent. */
export type Report =
  | { readonly type: 'ready' }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: RemoteError }
  | { readonly type: 'event'; readonly object: number; readonly event: string; readonly args: readonly unknown[] };
export interface RemoteError { readonly name: string; readonly message: string; readonly code?: string; readonly errno?: number; readonly operation?: string }

const TIMEOUT_MS = 10_000;

interface Waiting { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }

export class Agent {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, Waiting>();
  readonly #objects = new Map<number, RemoteObject>();
  readonly #ready: Promise<void>;
  #nextId = 1;

  /** @param namespace path, such as /run/netns/x */
  constructor(namespace: string) {
    const runner = join(repository, 'node_modules/vite-node/vite-node.mjs');
    const script = join(repository, 'native/test/fixtures/agent.ts');
    // nsenter becomes node, so the pid and the channel are node's.
    this.#child = spawn('nsenter', [`--net=${namespace}`, process.execPath, runner, script], {
      cwd: repository, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced',
    });
    this.#ready = new Promise((resolve, reject) => {
      this.#child.on('message', (report: Report) => (report.type === 'ready' ? resolve() : this.#onReport(report)));
      this.#child.once('exit', (code) => {
        const error = new Error(`the agent has exited with ${code}`);
        reject(error);
        for (const id of [...this.#calls.keys()]) this.#settle(id)?.reject(error);
      });
    });
    // Whoever calls it sees the failure; stopping an agent that was never used is none.
    this.#ready.catch(() => {});
  }

  /** `new Class(...args)` of the library. Rejects with the error that the constructor throws. */
  async create(className: string, ...args: unknown[]): Promise<RemoteObject> {
    const object = await this.call(0, 'create', [className, ...args]) as number;
    const remote = new RemoteObject(this, object);
    this.#objects.set(object, remote);
    return remote;
  }

  /** Calls a function that the library exports. */
  async run(name: string, ...args: unknown[]): Promise<unknown> {
    return this.call(0, 'run', [name, ...args]);
  }

  async call(object: number, method: string, args: readonly unknown[]): Promise<unknown> {
    await this.#ready;
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, object, method, args } satisfies Call);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await exited;
  }

  #onReport(report: Report): void {
    if (report.type === 'event') this.#objects.get(report.object)?.onEvent(report.event, report.args);
    else if (report.type === 'result') this.#settle(report.id)?.resolve(report.value);
    else if (report.type === 'error') this.#settle(report.id)?.reject(report.error);
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#calls.get(id);
    this.#calls.delete(id);
    return waiting;
  }
}

/** An object in an agent. Its events are kept until a test asks for them. */
export class RemoteObject {
  readonly #agent: Agent;
  readonly #object: number;
  readonly #events: { name: string; args: readonly unknown[] }[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(agent: Agent, object: number) {
    this.#agent = agent;
    this.#object = object;
  }

  async call(method: string, ...args: unknown[]): Promise<unknown> {
    return this.#agent.call(this.#object, method, args);
  }

  onEvent(name: string, args: readonly unknown[]): void {
    this.#events.push({ name, args });
    for (const look of [...this.#waiting]) look();
  }

  /** The arguments of the first event, past or to come, that `matches`. It is then forgotten, with all before it. */
  async next<Args extends unknown[] = unknown[]>(name: string, matches: (...args: Args) => boolean = () => true): Promise<Args> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const index = this.#events.findIndex((event) => event.name === name && matches(...event.args as Args));
        if (index < 0) return false;
        const found = this.#events.splice(0, index + 1).at(-1)!;
        this.#waiting.delete(look);
        clearTimeout(timer);
        resolve(found.args as Args);
        return true;
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`no such ${name} within ${TIMEOUT_MS} ms; seen: ${this.#events.map((event) => event.name).join(', ') || 'nothing'}`));
      }, TIMEOUT_MS);
      if (!look()) this.#waiting.add(look);
    });
  }

  /** Events of this name that nobody has asked for. */
  pending(name: string): (readonly unknown[])[] {
    return this.#events.filter((event) => event.name === name).map((event) => event.args);
  }
}
