/** Loads the native addon, or says in one sentence why it cannot be loaded. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SystemError } from './errors.js';

/** The part of the addon that every environment has. */
interface Loaded {
  setErrorClass(errorClass: typeof SystemError): void;
}

let loaded: Loaded | undefined;

/**
 * The addon's exports, loaded on first use, so that importing the library (for
 * its types, codecs or the BTF reader) needs neither Linux nor a build.
 *
 * @typeParam T the exports that the caller uses, declared next to their use
 * @throws Error when the addon is missing or does not fit this machine
 */
export function addon<T>(): T {
  loaded ??= load();
  return loaded as T;
}

function load(): Loaded {
  if (process.platform !== 'linux') {
    throw new Error(`libbpf-ts needs Linux; this is ${process.platform}`);
  }
  const path = join(packageDirectory(), 'build/Release/libbpf_ts.node');
  if (!existsSync(path)) {
    throw new Error(`libbpf-ts is not built (${path} is missing): run \`npm rebuild libbpf-ts\``);
  }
  try {
    const exports = createRequire(import.meta.url)(path) as Loaded;
    exports.setErrorClass(SystemError);
    return exports;
  } catch (error) {
    throw new Error(diagnose(path, error instanceof Error ? error.message : String(error)), { cause: error });
  }
}

/** The folder of binding.gyp: one up from lib/ in the sources, two from dist/lib. */
function packageDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'binding.gyp')) && dirname(directory) !== directory) {
    directory = dirname(directory);
  }
  return directory;
}

/** Turns the dynamic linker's words into a sentence with a remedy. Exported for its test. */
export function diagnose(path: string, message: string): string {
  const library = /(lib(?:elf|z)\.so\.\d+): cannot open shared object/.exec(message)?.[1];
  if (library) return `libbpf-ts needs ${library}: install Debian's libelf1 and zlib1g, or their like`;
  if (/wrong ELF class|Exec format error|invalid ELF header/.test(message)) {
    return `${path} was built for another architecture than ${process.arch}: run \`npm rebuild libbpf-ts\``;
  }
  if (/GLIBC(?:XX)?_[\d.]+' not found/.test(message)) {
    return `${path} was built on a system with a newer C library: run \`npm rebuild libbpf-ts\` on this one`;
  }
  return `${path} cannot be loaded: ${message}`;
}
