#!/usr/bin/env node
// Builds what has changed: addon → native TypeScript → BPF object → generated layout → TypeScript.
// usage: build.mjs [STEP…]     without a step: all, in order
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { StepError, endChildren, fail, filesBelow, hashOf, nodeHeaders, readStamp, root, runQuiet, say, writeStamp } from './steps.mjs';

const at = (...parts) => join(root, ...parts);
const tsc = at('node_modules', 'typescript', 'bin', 'tsc');
const object = at('dist', 'bpf', 'floatgate.bpf.o');
/** Programs that are objects of their own: the gateway's, which includes all the others, those again for the TC hook, and the lab's. */
const objects = ['floatgate', 'floatgate-tc', 'pass'];
/** What only the programs of XDP need. */
const extraFlags = { 'floatgate-tc': ['-Wno-unused-function'] };
const layout = at('src', 'dataplane', 'layout.generated.ts');
const triplets = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Where node-pre-gyp puts the addon, as native/package.json tells it. */
function addonPath() {
  const { module_name: name, module_path: path } = JSON.parse(readFileSync(at('native', 'package.json'), 'utf8')).binary;
  return at('native', path, `${name}.node`);
}

/**
 * A step runs when the hash of `inputs` differs from its last successful run or an output is missing.
 * `inputs` is a function because the outputs of one step are inputs of the next.
 */
export const steps = [
  {
    name: 'addon',
    inputs: () => filesBelow([at('native', 'src'), at('native', 'binding.gyp'), at('native', 'package.json')]),
    salt: () => process.version,
    outputs: [addonPath()],
    // Not 'install': in a work tree the sources are the truth, not a published binary, and only what has changed is compiled.
    run: () =>
      runQuiet('addon', 'addon: compiling native/src', process.execPath, [at('node_modules', '@mapbox', 'node-pre-gyp', 'bin', 'node-pre-gyp'), 'configure', 'build'], {
        cwd: at('native'),
        env: { JOBS: 'max', ...nodeHeaders() },
      }),
  },
  {
    name: 'native',
    inputs: () => filesBelow([at('native', 'lib'), at('native', 'codegen'), at('native', 'tsconfig.json')]),
    outputs: [at('native', 'dist', 'lib', 'index.js')],
    run: () => runQuiet('native', 'native: compiling libbpf-ts', process.execPath, [tsc, '-p', at('native', 'tsconfig.json')]),
  },
  {
    name: 'bpf',
    inputs: () => filesBelow([at('bpf')]).filter((file) => /\.[ch]$/.test(file)),
    outputs: objects.map((name) => at('dist', 'bpf', `${name}.bpf.o`)),
    run: compileBpf,
  },
  {
    name: 'layout',
    inputs: () => [...filesBelow([object, layout]), ...filesBelow([at('native', 'dist', 'codegen')])],
    outputs: [layout],
    run: generateLayout,
  },
  {
    name: 'typescript',
    inputs: () => [...filesBelow([at('src'), at('tsconfig.json')]), ...filesBelow([at('native', 'dist', 'lib')]).filter((file) => file.endsWith('.d.ts'))],
    outputs: [at('dist', 'cli', 'main.js')],
    run: () => runQuiet('typescript', 'typescript: compiling src', process.execPath, [tsc, '-p', at('tsconfig.json')]),
  },
];

async function compileBpf() {
  mkdirSync(at('dist', 'bpf'), { recursive: true });
  // For -target bpf clang does not look where Debian keeps asm/types.h.
  const headers = `/usr/include/${triplets[process.arch] ?? `${process.arch}-linux-gnu`}`;
  // linux/icmp.h leads to glibc, which takes -target bpf for a 32-bit x86 and asks for headers that only libc6-dev-i386 has.
  const wordSize = process.arch === 'x64' ? ['-D__x86_64__'] : [];
  const flags = ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-target', 'bpf', '-mcpu=v3', ...wordSize, '-I', 'bpf', '-idirafter', headers];
  for (const name of objects) {
    await runQuiet('bpf', `bpf: compiling ${name}.bpf.o`, 'clang-19', [...flags, ...(extraFlags[name] ?? []), '-c', `bpf/${name}.bpf.c`, '-o', at('dist', 'bpf', `${name}.bpf.o`)]);
  }
}

/** The generated file is committed: elsewhere it is renewed in place, under CI a difference is an error. */
async function generateLayout() {
  const fresh = at('dist', 'layout.generated.ts');
  await runQuiet('layout', 'layout: generating codecs from BTF', process.execPath, [at('native', 'dist', 'codegen', 'main.js'), '--object', object, '--output', fresh]);
  const generated = readFileSync(fresh, 'utf8');
  if (existsSync(layout) && readFileSync(layout, 'utf8') === generated) return;
  if (process.env.CI === 'true') {
    throw new StepError('src/dataplane/layout.generated.ts is not what bpf/layout.h gives: run "npm run build" and commit the file');
  }
  copyFileSync(fresh, layout);
  say('  layout: src/dataplane/layout.generated.ts has changed, commit it');
}

const stateOf = (step) => hashOf(step.inputs(), step.salt?.() ?? '');
const isDone = (step) => step.outputs.every((output) => existsSync(output)) && readStamp(step.name) === stateOf(step);

/** Builds the named steps (all by default); returns how many had something to do. */
export async function build(names = steps.map((step) => step.name)) {
  const chosen = steps.filter((step) => names.includes(step.name));
  const unknown = names.find((name) => !steps.some((step) => step.name === name));
  if (unknown !== undefined) throw new StepError(`unknown build step '${unknown}': one of ${steps.map((step) => step.name).join(', ')}`);
  let ran = 0;
  for (const step of chosen) {
    if (isDone(step)) continue;
    if (step.inputs().length === 0) throw new StepError(`${step.name}: no sources found, is this a whole clone?`);
    await step.run();
    const missing = step.outputs.find((output) => !existsSync(output));
    if (missing !== undefined) throw new StepError(`${step.name}: the tools succeeded but left no ${missing}`);
    // After the run: a step may renew one of its own inputs (the generated layout).
    writeStamp(step.name, stateOf(step));
    ran += 1;
  }
  return ran;
}

/** True when no step has anything to do; reads files only. */
export function isBuilt() {
  return steps.every(isDone);
}

/** Two builds in one work tree would write the same outputs: the second waits for the first. */
function underLock(names) {
  mkdirSync(at('dist'), { recursive: true });
  const child = spawnSync('flock', [at('dist', '.build.lock'), process.execPath, at('.ci', 'build.mjs'), ...names], {
    stdio: 'inherit',
    env: { ...process.env, FLOATGATE_BUILD_LOCKED: '1' },
  });
  return child.status ?? 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const names = process.argv.slice(2);
  if (process.env.FLOATGATE_BUILD_LOCKED !== '1') process.exit(underLock(names));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { endChildren(); process.exit(130); });
  build(names.length > 0 ? names : undefined).catch(fail);
}
