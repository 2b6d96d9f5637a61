import type { Command } from 'commander';
import { parseConfiguration } from '../config/configuration.js';
import { defaultStateDirectory } from '../config/schema.js';
import { raisePriority } from './priority.js';
import { readTextFile } from './text-file.js';

/** How the user says which daemon is meant. */
interface DaemonOptions {
  readonly config?: string;
  readonly stateDirectory: string;
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
  forDaemon(program, 'drain', 'Hand everything over to the peer without losing a packet; returns when it is done.').action(
    async (options: DaemonOptions) => (await import('./drain.js')).drain(socketOf(options)),
  );
  forDaemon(program, 'undrain', 'Take part in the election again.').action(async (options: DaemonOptions) => (await import('./drain.js')).undrain(socketOf(options)));
  forDaemon(program, 'reload', 'Read the configuration again and apply what has changed.').action(reloadAction);
  forDaemon(program, 'detach', 'Give up what a stopped gateway has left in the kernel: its programs stop forwarding, its sessions are gone.').action(detachAction);
}

function forDaemon(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'find the gateway by its configuration file')
    .option('-s, --state-directory <path>', 'find it by its stateDirectory', defaultStateDirectory);
}

async function runAction(options: { config: string; detachOnExit?: boolean }): Promise<void> {
  // Before the rest is loaded, which takes most of the time that a start takes.
  raisePriority();
  const { run } = await import('./run.js');
  // Not by exitCode: after a failure there may be sockets and timers left that would keep the process alive.
  process.exit(await run(options));
}

async function statusAction(options: DaemonOptions & { json?: boolean }): Promise<void> {
  const { status } = await import('./status.js');
  process.stdout.write(await status({ socket: socketOf(options), json: options.json === true }));
}

async function reloadAction(options: DaemonOptions): Promise<void> {
  const { reload } = await import('./drain.js');
  process.stdout.write(`reloaded: ${await reload(socketOf(options))} changes\n`);
}

async function detachAction(options: DaemonOptions): Promise<void> {
  const { detach } = await import('./detach.js');
  const roles = await detach(stateDirectoryOf(options));
  process.stdout.write(roles.length === 0 ? 'nothing was attached\n' : `detached from: ${roles.join(', ')}\n`);
}

function socketOf(options: DaemonOptions): string {
  return `${stateDirectoryOf(options)}/api.sock`;
}

/** @throws Error when the configuration cannot be read or has errors */
function stateDirectoryOf({ config, stateDirectory }: DaemonOptions): string {
  if (config === undefined) return stateDirectory;
  const { configuration, errors } = parseConfiguration(readTextFile(config, 'the configuration'), config);
  if (configuration === undefined) throw new Error(errors.map(({ message }) => message).join('\n'));
  return configuration.stateDirectory;
}
