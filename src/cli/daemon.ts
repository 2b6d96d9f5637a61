import type { Command } from 'commander';
import { defaultStateDirectory } from '../config/schema.js';
import { counted } from './counted.js';
import { clientOf, forDaemon, namedStateDirectory } from './daemon-client.js';
import type { DaemonOptions } from './daemon-client.js';
import { raisePriority } from './priority.js';

/** The daemon, and the commands that talk to one. What they do is loaded when one of them runs. */
export function register(program: Command): void {
  program
    .command('run')
    .description('Run a gateway until SIGTERM or SIGINT; SIGHUP reads its configuration again.')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--detach-on-exit', 'give up sessions and programs at the end, instead of leaving them to forward until the next start')
    .action(runAction);
  forDaemon(program, 'status', 'Print the state of a running gateway: roles, peer, synchronisation, counters.').option('--json', 'print it as JSON').action(statusAction);
  forDaemon(program, 'drain', 'Hand everything over to the peer without losing a packet; returns when it is done.')
    .action(async (options: DaemonOptions) => (await clientOf(options)).drain());
  forDaemon(program, 'undrain', 'Take part in the election again.').action(async (options: DaemonOptions) => (await clientOf(options)).undrain());
  forDaemon(program, 'reload', 'Read the configuration again and apply what has changed.').action(reloadAction);
  forDaemon(program, 'detach', 'Give up what a stopped gateway has left in the kernel: its programs stop forwarding, its sessions are gone.').action(detachAction);
}

async function runAction(options: { config: string; detachOnExit?: boolean }): Promise<void> {
  // Before the rest is loaded, which takes most of the time that a start takes.
  raisePriority();
  const { run } = await import('./run.js');
  // Not by exitCode: after a failure there may be sockets and timers left that would keep the process alive.
  process.exit(await run(options));
}

async function statusAction(options: DaemonOptions & { json?: boolean }): Promise<void> {
  const { formatStatus } = await import('../api/format.js');
  const status = await (await clientOf(options)).status();
  process.stdout.write(options.json === true ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status));
}

async function reloadAction(options: DaemonOptions): Promise<void> {
  const { changes } = await (await clientOf(options)).reload();
  process.stdout.write(`reloaded: ${counted(changes, 'change')}\n`);
}

async function detachAction(options: DaemonOptions): Promise<void> {
  const { detach } = await import('./detach.js');
  // Never a guess: what is detached is gone.
  const roles = await detach(namedStateDirectory(options) ?? defaultStateDirectory);
  process.stdout.write(roles.length === 0 ? 'nothing was attached\n' : `detached from: ${roles.join(', ')}\n`);
}
