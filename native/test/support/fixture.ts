/** Fixtures of the kernel: compiled objects, a bpffs, processes in a network of their own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileBpf, repository } from './compile.js';

const fixtures = join(repository, 'native/test/fixtures');

/** Compiles test/fixtures/<name>.bpf.c into `directory`; returns the object's path. */
export function compileFixture(directory: string, name: string): string {
  return compileBpf(directory, name, readFileSync(join(fixtures, `${name}.bpf.c`), 'utf8'));
}

/** Mounts a bpffs below `directory`; `unmount` drops it with all its pins. */
export function mountBpffs(directory: string): { path: string; unmount: () => void } {
  const path = join(directory, 'bpf');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'bpf', 'bpf', path]);
  let mounted = true;
  const unmount = (): void => {
    if (!mounted) return;
    mounted = false;
    execFileSync('umount', ['-l', path]);
  };
  // Also when the runner gives up before afterAll().
  process.once('exit', unmount);
  return { path, unmount };
}

/** Open descriptors of this process. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/**
 * Runs test/fixtures/<script>.ts in unnamed network and mount namespaces, which disappear with the
 * process however it ends; returns the JSON that it prints. @throws what it writes to stderr
 */
export function runIsolated<T>(script: string, ...args: string[]): Promise<T> {
  const viteNode = join(repository, 'node_modules/.bin/vite-node');
  const child = spawn('unshare', ['--net', '--mount', '--', viteNode, join(fixtures, `${script}.ts`), ...args], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A script that hangs must not outlive its test.
    timeout: 25_000,
    killSignal: 'SIGTERM',
  });
  const kill = (): void => void child.kill();
  process.once('exit', kill);
  child.once('close', () => process.removeListener('exit', kill));
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 && output !== '') resolve(JSON.parse(output) as T);
      else reject(new Error(`${script} ended with ${code} and printed '${output}':\n${errors}`));
    });
  });
}

/** The error that `call` throws. */
export function failureOf(call: () => unknown): Error & { code?: string; errno?: number; operation?: string; log?: string } {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}
