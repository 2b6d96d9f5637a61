/** The configuration file as the daemon and the commands that look for one read it. */
import { parseConfiguration } from '../config/configuration.js';
import type { ConfigurationResult } from '../config/configuration.js';
import type { ConfigurationWarning } from '../config/problem.js';
import type { Configuration } from '../config/schema.js';
import { readTextFile } from './text-file.js';

/** What is wrong with a configuration: one line for each problem. */
export class ConfigurationRefused extends Error {}

export interface ReadConfiguration {
  readonly configuration: Configuration;
  readonly warnings: readonly ConfigurationWarning[];
}

/** @throws Error with one sentence when the file cannot be read; ConfigurationRefused */
export function readConfiguration(file: string): ReadConfiguration {
  return accepted(parseConfiguration(readTextFile(file, 'the configuration'), file));
}

/** @throws ConfigurationRefused with every error of it */
export function accepted(result: ConfigurationResult): ReadConfiguration {
  if (result.errors !== undefined) throw new ConfigurationRefused(result.errors.map(({ message }) => message).join('\n'));
  return result;
}
