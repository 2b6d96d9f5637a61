import type { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { defaultStateDirectory } from '../config/schema.js';
import { statePaths } from '../dataplane/state-paths.js';
import { readConfiguration } from '../files/configuration-file.js';
import { findDaemon } from './find-daemon.js';
import { raisePriority } from './priority.js';

/** How the user says which gateway is meant. */
interface DaemonOptions {
  readonly config?: string;
  readonly stateDirectory?: string;
}

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

function forDaemon(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'find the gateway by its configuration file')
    .option('-s, --state-directory <path>', `find it by its stateDirectory (default: ${defaultStateDirectory}, or the one folder in it where a gateway answers)`);
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
  process.stdout.write(`reloaded: ${changes} change${changes === 1 ? '' : 's'}\n`);
}

async function detachAction(options: DaemonOptions): Promise<void> {
  const { detach } = await import('./detach.js');
  // Never a guess: what is detached is gone.
  const roles = await detach(namedStateDirectory(options) ?? defaultStateDirectory);
  process.stdout.write(roles.length === 0 ? 'nothing was attached\n' : `detached from: ${roles.join(', ')}\n`);
}

/** @throws Error when the gateway that is meant cannot be found */
async function clientOf(options: DaemonOptions): Promise<ApiClient> {
  const { ApiClient } = await import('../api/client.js');
  const stateDirectory = namedStateDirectory(options);
  return new ApiClient(stateDirectory === undefined ? await findDaemon(defaultStateDirectory) : statePaths(stateDirectory).socket);
}

/** @throws Error when the configuration cannot be read or has errors */
function namedStateDirectory({ config, stateDirectory }: DaemonOptions): string | undefined {
  return config === undefined ? stateDirectory : readConfiguration(config).configuration.stateDirectory;
}
