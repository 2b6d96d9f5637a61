/**
 * Two hosts on one cable, for tests of protocols against other implementations.
 *
 * The namespaces have no names: they live as long as a process in them does, and
 * all of those end with the test, however it ends.
 */
import { spawn, execFileSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A process whose lines of output can be waited for. */
export class Talker {
  readonly lines: string[] = [];
  readonly #child: Child;
  readonly #watchers = new Set<() => void>();
  #ended = false;

  constructor(command: readonly string[]) {
    // The kernel ends it if the test is killed.
    const [program, ...args] = ['setpriv', '--pdeathsig', 'KILL', ...command] as const;
    this.#child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
    this.#child.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  closeInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first line from `from` on for which `pick` gives something. Fails with all lines when the process ends or `deadlineMs` pass. */
  async find<T>(what: string, pick: (line: string) => T | undefined, from = 0, deadlineMs = 15_000): Promise<T> {
    const deadline = AbortSignal.timeout(deadlineMs);
    deadline.addEventListener('abort', () => this.#wake());
    for (let i = from; ; i++) {
      while (i >= this.lines.length) {
        if (deadline.aborted || this.#ended) throw new Error(`waited in vain for ${what}; heard:\n${this.lines.join('\n')}`);
        await new Promise<void>((resolve) => this.#watchers.add(resolve));
      }
      const found = pick(this.lines[i]!);
      if (found !== undefined) return found;
    }
  }

  /** Ends it and waits until it is gone. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#child, 'close');
    this.#child.kill(signal);
    await closed;
  }

  #wake(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake();
  }
}

export interface Host {
  readonly address: string;
  /** Puts a command into the host's network namespace. */
  within(command: readonly string[]): string[];
}

export interface TwoHosts {
  readonly ours: Host;
  readonly theirs: Host;
  remove(): Promise<void>;
}

export const INTERFACE = 'eth0';

/** Both hosts have `eth0`, at the ends of one veth pair. */
export async function connectTwoHosts(ourAddress: string, theirAddress: string): Promise<TwoHosts> {
  const holders = [await holdNamespace(), await holdNamespace()] as const;
  const [ours, theirs] = holders.map(({ pid }) => String(pid)) as [string, string];
  const ip = (...args: string[]): void => void execFileSync('ip', args);
  ip('link', 'add', INTERFACE, 'netns', ours, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', theirs);
  const host = (pid: string, address: string): Host => {
    const made = hostIn(pid, address);
    const [program, ...args] = made.within(['ip', '-batch', '-']);
    execFileSync(program!, args, { input: `link set lo up\naddress add ${address}/24 dev ${INTERFACE}\nlink set ${INTERFACE} up\n` });
    return made;
  };
  return {
    ours: host(ours, ourAddress),
    theirs: host(theirs, theirAddress),
    remove: async () => void (await Promise.all(holders.map((holder) => holder.end('SIGKILL')))),
  };
}

/** The network namespace of a process. */
export function hostIn(pid: string, address: string): Host {
  return { address, within: (command) => ['nsenter', `--net=/proc/${pid}/ns/net`, ...command] };
}

/** A process that keeps a network namespace of its own. */
export async function holdNamespace(): Promise<Talker> {
  const holder = new Talker(['unshare', '--net', 'sh', '-c', 'echo ready; exec cat']);
  await holder.find('a network namespace', (line) => line === 'ready' || undefined);
  return holder;
}
