/**
 * Writes the file system that a guest starts from: a cpio archive ("newc"), put
 * together from files and folders of this machine.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, readFileSync, readdirSync, readlinkSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const FOLDER = 0o040755;
const FILE = 0o100000;
const LINK = 0o120777;
const HEADER_BYTES = 110;
/** Where Debian's dynamic linker looks without being told. */
const LIBRARY_FOLDER = '/lib/x86_64-linux-gnu';

export class Initramfs {
  readonly #file: number;
  readonly #written = new Set<string>(['/']);
  #inode = 0;

  /** @param path the archive, made anew */
  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  folder(path: string): void {
    if (this.#written.has(path)) return;
    this.#entry(path, FOLDER);
  }

  /** @param mode permissions, octal */
  text(path: string, content: string, mode = 0o644): void {
    this.#entry(path, FILE | mode, Buffer.from(content));
  }

  /** A file of this machine, or what a symbolic link of that name leads to. */
  file(path: string, source = path): void {
    this.#entry(path, FILE | (statSync(source).mode & 0o777), readFileSync(source));
  }

  /** A folder of this machine with all below it; symbolic links stay links. Names in `except` are left out. */
  tree(path: string, source: string, except: readonly string[] = []): void {
    this.folder(path);
    for (const name of readdirSync(source)) {
      if (except.includes(name)) continue;
      const [from, to] = [join(source, name), join(path, name)];
      const kind = lstatSync(from);
      if (kind.isDirectory()) this.tree(to, from, except);
      else if (kind.isSymbolicLink()) this.#entry(to, LINK, Buffer.from(readlinkSync(from)));
      else if (kind.isFile()) this.file(to, from);
    }
  }

  /** Programs of this machine, in /usr/bin. */
  programs(paths: readonly string[]): void {
    for (const path of paths) this.file(`/usr/bin/${basename(path)}`, path);
    this.libraries(paths);
  }

  /** The shared libraries that these programs or libraries need, theirs included. */
  libraries(binaries: readonly string[]): void {
    for (const library of sharedLibraries(binaries)) {
      const place = library.startsWith('/lib64/') ? library : join(LIBRARY_FOLDER, basename(library));
      if (!this.#written.has(place)) this.file(place, library);
    }
  }

  close(): void {
    this.#append('TRAILER!!!', 0, Buffer.alloc(0));
    closeSync(this.#file);
  }

  #entry(path: string, mode: number, content: Buffer = Buffer.alloc(0)): void {
    this.folder(dirname(path));
    if (this.#written.has(path)) throw new Error(`${path} is in the initramfs already`);
    this.#written.add(path);
    this.#append(path.slice(1), mode, content);
  }

  #append(name: string, mode: number, content: Buffer): void {
    const nameBytes = Buffer.byteLength(name) + 1;
    const numbers = [++this.#inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, nameBytes, 0];
    const head = Buffer.alloc(roundUp4(HEADER_BYTES + nameBytes));
    head.write(`070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}${name}`);
    writeSync(this.#file, head);
    writeSync(this.#file, content);
    writeSync(this.#file, Buffer.alloc(roundUp4(content.length) - content.length));
  }
}

function roundUp4(bytes: number): number {
  return (bytes + 3) & ~3;
}

function sharedLibraries(binaries: readonly string[]): Set<string> {
  const { stdout, stderr } = spawnSync('ldd', [...binaries], { encoding: 'utf8' });
  const missing = /^\s*(\S+) => not found/m.exec(stdout);
  if (missing) throw new Error(`a library of the guest's programs is not installed: ${missing[1]}`);
  const found = new Set(stdout.match(/\/\S+(?= \(0x)/g));
  if (found.size === 0) throw new Error(`ldd names no library of ${binaries.join(' ')}: ${stderr}`);
  return found;
}
