import type { Command } from 'commander';
import { configurationJsonSchema } from '../config/json-schema.js';

export function register(program: Command): void {
  program
    .command('schema')
    .description("Print the configuration file's JSON Schema (draft 2020-12): the reference of all keys, and what editors complete from.")
    .action(() => {
      process.stdout.write(`${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
    });
}
