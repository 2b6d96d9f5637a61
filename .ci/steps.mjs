// What setup.mjs and build.mjs share: a step prints one line when it starts and one when it ends,
// keeps its tools' output in a log, and shows that log only when the step has failed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

// Root has no such folders in its path after `su` without a dash; dpkg and the lab's tools are there.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A failure that is fully told by its sentence: printed without a stack. */
export class StepError extends Error {}

export function say(line) {
  process.stdout.write(`${line}\n`);
}

/** Prints the sentence of a StepError (the stack of anything else) and leaves with status 1. */
export function fail(error) {
  process.stderr.write(`${error instanceof StepError ? error.message : (error.stack ?? error)}\n`);
  process.exit(1);
}

const heartbeatMs = 10_000;
const children = new Set();

/** Ends the tools that are still running: called when the script itself is interrupted. */
export function endChildren() {
  for (const child of children) child.kill('SIGTERM');
}

/** Runs a tool with its output in dist/log/<name>.log; rejects with a StepError that carries the log's tail. */
export async function runQuiet(name, title, command, args, { cwd = root, env = {} } = {}) {
  const started = process.hrtime.bigint();
  const seconds = () => (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
  const log = join(root, 'dist', 'log', `${name}.log`);
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, 'w');
  say(`  ${title}`);
  const heartbeat = setInterval(() => say(`  … ${name}: ${Math.round(Number(seconds()))} s`), heartbeatMs);
  try {
    const status = await exitOf(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    if (status !== 0) {
      throw new StepError(`${tail(log, 60)}\n${name}: '${command} ${args.join(' ')}' failed (${status}); whole output in ${relative(process.cwd(), log)}`);
    }
  } finally {
    clearInterval(heartbeat);
    closeSync(output);
  }
  say(`  ${name}: done in ${seconds()} s`);
}

function exitOf(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    children.add(child);
    child.on('error', (error) => reject(new StepError(`cannot run '${command}': ${error.message}`)));
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve(code ?? signal);
    });
  });
}

function tail(path, lines) {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/** All files below the given files and folders, sorted; names in `except` are not entered. */
export function filesBelow(paths, except = ['node_modules', 'build', 'dist']) {
  const found = [];
  const visit = (path) => {
    if (!existsSync(path)) return;
    if (!statSync(path).isDirectory()) {
      found.push(path);
      return;
    }
    for (const entry of readdirSync(path)) if (!except.includes(entry)) visit(join(path, entry));
  };
  for (const path of paths) visit(path);
  return found.sort();
}

/** Hash over names and contents, so that a touched but unchanged file builds nothing. */
export function hashOf(files, salt = '') {
  const hash = createHash('sha256').update(salt);
  for (const file of files) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

export function readStamp(name) {
  const path = join(root, 'dist', '.stamps', name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

export function writeStamp(name, value) {
  const path = join(root, 'dist', '.stamps', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, value);
}

/** node-gyp would download Node's headers; where they came with Node it must take those. */
export function nodeHeaders() {
  const prefix = join(dirname(process.execPath), '..');
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
}
