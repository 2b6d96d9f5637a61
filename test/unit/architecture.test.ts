import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { breaches, rules } from './architecture.js';

const root = fileURLToPath(new URL('../../src/', import.meta.url));

function sources(): Map<string, string> {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return new Map(files.map((file) => [file, readFileSync(root + file, 'utf8')]));
}

describe('architecture', () => {
  it('every file of src/imports only what its folder may', () => {
    const files = sources();
    expect(files.size).toBeGreaterThan(50);
    expect(breaches(files)).toEqual([]);
  });

  it('rules/are about folders and files that exist', () => {
    const files = [...sources().keys()];
    for (const folder of Object.keys(rules)) expect(files.some((file) => file === folder || file.startsWith(`${folder}/`)), folder).toBe(true);
    for (const [folder, { pure = [] }] of Object.entries(rules)) {
      for (const name of pure) if (name !== '*') expect(files).toContain(`${folder}/${name}.ts`);
    }
  });

  it('nothing but cli itself/may import cli', () => {
    const ways = Object.entries(rules).filter(([, { sources: allowed }]) => allowed.some((entry) => 'cli/main.js'.startsWith(entry.replace('*', ''))));
    expect(ways).toEqual([]);
  });
});

/** File, text, and what is said about it. */
const cases: [what: string, file: string, text: string, says: string][] = [
  ['a system module in config', 'config/a.ts', "import { readFileSync } from 'node:fs';", 'config/a.ts imports the package node:fs'],
  ['a package that is not on the list', 'config/a.ts', "import pino from 'pino';", 'config/a.ts imports the package pino'],
  ['a package with a similar name', 'config/a.ts', "import 'zod-extra';", 'config/a.ts imports the package zod-extra'],
  ['the addon in compile', 'compile/a.ts', "import { BpfMap } from 'libbpf-ts';", 'compile/a.ts imports the package libbpf-ts'],
  ['the addon in compile, as a type', 'compile/a.ts', "import type { BpfMap } from 'libbpf-ts';", 'compile/a.ts imports the package libbpf-ts'],
  ['against the flow', 'config/a.ts', "import { plan } from '../compile/plan.js';", 'config/a.ts imports compile/plan.js'],
  ['the data plane in compile', 'compile/a.ts', "import { Roles } from '../dataplane/roles.js';", 'compile/a.ts imports dataplane/roles.js'],
  ['codecs in compile', 'compile/a.ts', "import { vmCodec } from '../dataplane/layout.generated.js';", 'compile/a.ts imports vmCodec of dataplane/layout.generated.js, which is about bytes'],
  ['codecs under another name', 'compile/a.ts', "import { vmOffsets as syncMode } from '../dataplane/layout.generated.js';", 'compile/a.ts imports vmOffsets of dataplane/layout.generated.js, which is about bytes'],
  ['the whole layout in compile', 'compile/a.ts', "import * as layout from '../dataplane/layout.generated.js';", 'compile/a.ts imports * of dataplane/layout.generated.js, which is about bytes'],
  ['one subsystem in another', 'vrrp/a.ts', "export { x } from '../sync/machine.js';", 'vrrp/a.ts imports sync/machine.js'],
  ['the composition root from below', 'api/a.ts', "import type { Gateway } from '../gateway/gateway.js';", 'api/a.ts imports gateway/gateway.js'],
  ['cli', 'gateway/a.ts', "import { register } from '../cli/run.js';", 'gateway/a.ts imports cli/run.js'],
  ['a part of the composition root', 'cli/a.ts', "import { Basis } from '../gateway/basis.js';", 'cli/a.ts imports gateway/basis.js'],
  ['cli, when it is called', 'lab/a.ts', "export const f = async () => import('../cli/run.js');", 'lab/a.ts imports cli/run.js'],
  ['in a type', 'metrics/a.ts', "export type T = import('../sync/machine.js').T;", 'metrics/a.ts imports sync/machine.js'],
  ['computed', 'cli/a.ts', 'export const f = (x: string) => import(x);', 'cli/a.ts imports the package (computed)'],
  ['a folder without rules', 'misc/a.ts', '', 'misc/a.ts is in no folder that test/unit/architecture.ts knows'],
  ['the addon in a machine', 'vrrp/machine.ts', "import { RawSocket } from 'libbpf-ts';", 'vrrp/machine.ts must be pure, but imports libbpf-ts'],
  ['a system module in a machine', 'sync/machine.ts', "import { now } from 'node:perf_hooks';", 'sync/machine.ts must be pure, but imports node:perf_hooks'],
  ['what is impure beside a machine', 'vrrp/machine.ts', "import { open } from './sockets.js';", 'vrrp/machine.ts must be pure, but imports sockets.ts, which is not'],
  ['the clock in a machine', 'vrrp/machine.ts', 'export const now = () => Date.now();', 'vrrp/machine.ts must be pure, but uses Date'],
  ['a timer in a machine', 'sync/machine.ts', 'setTimeout(() => 1, 2);', 'sync/machine.ts must be pure, but uses setTimeout'],
  ['chance in compile', 'compile/a.ts', 'export const x = Math.random();', 'compile/a.ts must be pure, but uses Math.random'],
  ['the process in config', 'config/a.ts', 'export const x = process.env.HOME;', 'config/a.ts must be pure, but uses process'],
];

describe('architecture/the test itself', () => {
  it.each(cases)('%s/is found', (_, file, text, says) => {
    expect(breaches(new Map([[file, text]]))).toEqual([says]);
  });

  it.each([
    ['vrrp/election.ts', "import { RawSocket } from 'libbpf-ts';\nimport { step } from './machine.js';\nsetTimeout(() => step, 1);"],
    ['compile/a.ts', "import { syncMode } from '../dataplane/layout.generated.js';\nimport type { Vm } from '../dataplane/layout.generated.js';\nimport { x } from '../config/address.js';"],
    ['config/a.ts', "import { z } from 'zod';\nexport interface Process { readonly process: string }\nexport const x = (y: Process) => y.process;"],
    ['gateway/a.ts', "import { step } from '../vrrp/machine.js';\nimport { readFileSync } from 'node:fs';"],
  ])('what is allowed in %s/is not found', (file, text) => {
    expect(breaches(new Map([[file, text]]))).toEqual([]);
  });
});
