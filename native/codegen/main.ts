#!/usr/bin/env node
/**
 * libbpf-ts-codegen --object <file.o> --output <file.ts> [--types a,b] [--check]
 *
 * --check writes nothing and exits with 1 if the output is not what it would write.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { readBtf } from '../lib/btf.js';
import { generate } from './index.js';

const USAGE = 'usage: libbpf-ts-codegen --object <file.o> --output <file.ts> [--types a,b] [--check]';

function main(): number {
  const { values } = parseArgs({
    options: {
      object: { type: 'string' },
      output: { type: 'string' },
      types: { type: 'string', default: '' },
      check: { type: 'boolean', default: false },
    },
  });
  if (values.object === undefined || values.output === undefined) {
    console.error(USAGE);
    return 2;
  }
  const types = values.types.split(',').filter((name) => name !== '');
  const text = generate(readBtf(values.object), { source: basename(values.object), types });
  const current = existsSync(values.output) ? readFileSync(values.output, 'utf8') : undefined;
  if (current === text) return 0;
  if (values.check) {
    console.error(`${values.output} does not match ${values.object}: run \`npm run generate\` and commit the result`);
    return 1;
  }
  writeFileSync(values.output, text);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(`libbpf-ts-codegen: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
