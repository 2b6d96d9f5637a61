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
  forDaemon(program, 'drain', 'Hand virtual routers over to the peer without losing a packet, and keep out of their elections until undrain, over restarts too; returns when it is done, or with code 3 when it is refused as things are: the peer could not go on without a loss or has not taken over, or there is no such virtual router.')
    .option('--vrid <n...>', 'these, and those in a sync group with them (default: all)')
    .option('--force', 'also when sessions are lost by it, or when nobody takes over')
    .action(drainAction);
  forDaemon(program, 'undrain', 'Take part in elections again.').option('--vrid <n...>', 'in these (default: all)').action(undrainAction);
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

interface DrainOptions extends DaemonOptions {
  readonly vrid?: readonly string[];
  readonly force?: boolean;
}

async function drainAction(options: DrainOptions): Promise<void> {
  const { virtualRouters } = await (await clientOf(options)).drain({ vrid: options.vrid?.join(','), force: options.force === true ? 'true' : undefined });
  process.stdout.write(`drained: virtual router ${virtualRouters.join(', ') || 'none'}\n`);
}

async function undrainAction(options: DrainOptions): Promise<void> {
  const { virtualRouters } = await (await clientOf(options)).undrain({ vrid: options.vrid?.join(',') });
  process.stdout.write(`takes part again: virtual router ${virtualRouters.join(', ')}\n`);
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
