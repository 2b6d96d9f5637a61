/** How the user says which gateway a command is for, and the way to it. */
import type { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { defaultStateDirectory } from '../config/schema.js';
import { statePaths } from '../dataplane/state-paths.js';
import { readConfiguration } from '../files/configuration-file.js';
import { findDaemon } from './find-daemon.js';

export interface DaemonOptions {
  readonly config?: string;
  readonly stateDirectory?: string;
}

export function forDaemon(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'find the gateway by its configuration file')
    .option('-s, --state-directory <path>', `find it by its stateDirectory (default: ${defaultStateDirectory}, or the one folder in it where a gateway answers)`);
}

/** @throws Error when the gateway that is meant cannot be found */
export async function clientOf(options: DaemonOptions): Promise<ApiClient> {
  const { ApiClient } = await import('../api/client.js');
  const stateDirectory = namedStateDirectory(options);
  return new ApiClient(stateDirectory === undefined ? await findDaemon(defaultStateDirectory) : statePaths(stateDirectory).socket);
}

/** @throws Error when the configuration cannot be read or has errors */
export function namedStateDirectory({ config, stateDirectory }: DaemonOptions): string | undefined {
  return config === undefined ? stateDirectory : readConfiguration(config).configuration.stateDirectory;
}
