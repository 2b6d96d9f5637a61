/** C compilers for tests, in a folder that the test owns. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** A new folder, and what removes it. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'libbpf-ts-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Compiles C source to a BPF object with debug information; returns its path. */
export function compileBpf(directory: string, name: string, source: string): string {
  const input = join(directory, `${name}.bpf.c`);
  const output = join(directory, `${name}.bpf.o`);
  writeFileSync(input, source);
  const triplet = execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  // glibc takes -target bpf for a 32-bit x86 and asks for headers that only libc6-dev-i386 has.
  const wordSize = process.arch === 'x64' ? ['-D__x86_64__'] : [];
  execFileSync('clang-19', [
    '-O2', '-g', '-target', 'bpf', '-mcpu=v3', ...wordSize, '-I', join(repository, 'bpf'), '-I', `/usr/include/${triplet}`,
    '-c', input, '-o', output,
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  return output;
}

/** Compiles and runs a C program of this machine; returns what it prints. */
export function runC(directory: string, name: string, source: string): string {
  const input = join(directory, `${name}.c`);
  const output = join(directory, name);
  writeFileSync(input, source);
  execFileSync('gcc', ['-I', join(repository, 'bpf'), '-o', output, input], { stdio: ['ignore', 'pipe', 'inherit'] });
  return execFileSync(output, { encoding: 'utf8' });
}
