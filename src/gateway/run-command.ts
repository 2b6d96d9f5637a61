/** Programs that the configuration names, within bounds: one user, one environment, one span of time. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Command {
  /** The program by its absolute path, and its arguments; no shell. */
  readonly words: readonly string[];
  /** Of /etc/passwd. */
  readonly user: string;
  readonly timeoutMs: number;
  /** Beside PATH, which is all that it gets of ours. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface CommandResult {
  /** Exit code 0 in time. */
  readonly succeeded: boolean;
  /** For people: `exit code 2`. */
  readonly detail: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Never rejects: what cannot be run has failed. */
export function runCommand({ words: [program = '', ...args], user, timeoutMs, environment }: Command): Promise<CommandResult> {
  const account = accountOf(user);
  if (account === undefined) return Promise.resolve(failure(`there is no user ${user} in /etc/passwd`));
  // A change of user needs a right that who has it already does not need.
  const identity = account.uid === process.getuid?.() ? {} : account;
  return new Promise((resolve) => {
    // A session of its own, so that all of it can be ended.
    const child = spawn(program, args, { cwd: '/', env: { PATH, ...environment }, stdio: 'ignore', detached: true, ...identity });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(child.pid);
    }, timeoutMs);
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve(failure(`${program} cannot be run: ${error.code ?? error.message}`));
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid!);
      if (late) resolve(failure(`killed after ${timeoutMs} ms`));
      else resolve({ succeeded: code === 0, detail: signal === null ? `exit code ${code}` : `ended by ${signal}` });
    });
    if (child.pid !== undefined) running.add(child.pid);
  });
}

const running = new Set<number>();

/** Whatever still runs. */
export function endCommands(): void {
  for (const pid of running) endGroup(pid);
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function failure(detail: string): CommandResult {
  return { succeeded: false, detail };
}

function accountOf(user: string): { readonly uid: number; readonly gid: number } | undefined {
  const fields = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([name]) => name === user);
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
}
