/** A compiled BPF object file: its maps and programs, before and after load. */
import { errnos, SystemError } from './errors.js';
import { kernel, type ObjectFile } from './kernel.js';
import { BpfMap } from './map.js';
import { BpfProgram } from './program.js';

export interface OpenOptions {
  /**
   * 0 (default): the verifier's log only of a program that it refuses. 1, 2: the log of
   * every program, in {@link BpfObject.log}. 4: statistics only.
   */
  kernelLogLevel?: number;
}

export class BpfObject {
  readonly path: string;
  /** By name; global variables are the maps `.data`, `.rodata` and `.bss`. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, BpfProgram>;
  readonly #file: ObjectFile;
  #libbpfNames = new Map<string, string>();
  #log = '';

  private constructor(path: string, file: ObjectFile) {
    this.path = path;
    this.#file = file;
    const maps = new Map<string, BpfMap>();
    for (const declaration of file.maps()) {
      // libbpf prefixes the sections of global variables with the object's name.
      const name = declaration.internal ? declaration.name.replace(/^[^.]*/, '') : declaration.name;
      maps.set(name, BpfMap.declared(file, name, declaration));
      this.#libbpfNames.set(name, declaration.name);
    }
    this.maps = maps;
    this.programs = new Map(file.programs().map(({ name, type }) => [name, BpfProgram.declared(file, name, type)]));
  }

  /**
   * Reads the file; the kernel is not asked yet.
   * @throws SystemError ENOENT; LIBBPF_ERRNO__* for what is not a BPF object
   */
  static open(path: string, options: OpenOptions = {}): BpfObject {
    return new BpfObject(path, new (kernel().ObjectFile)(path, options.kernelLogLevel ?? 0));
  }

  /** @throws SystemError ENOENT naming the maps that there are */
  map(name: string): BpfMap {
    return this.maps.get(name) ?? this.#missing('map', name, this.maps);
  }

  /** @throws SystemError ENOENT naming the programs that there are */
  program(name: string): BpfProgram {
    return this.programs.get(name) ?? this.#missing('program', name, this.programs);
  }

  /** What libbpf warned of in load(), and the verifier's log if `kernelLogLevel` asked for it. */
  get log(): string {
    return this.#log;
  }

  /**
   * Creates the maps and has the programs verified, all or nothing.
   * @throws SystemError EPERM (CAP_BPF and CAP_NET_ADMIN), EINVAL or EACCES (refused by the
   *   verifier); message and `log` carry the end of the verifier's log
   */
  load(): void {
    this.#log = this.#file.load();
    for (const [name, map] of this.maps) {
      const handle = this.#file.mapHandle(this.#libbpfNames.get(name) ?? name);
      if (handle) map.adopt(handle);
    }
    for (const [name, program] of this.programs) program.adopt(this.#file.programHandle(name));
    // Everything is held by descriptors of our own now.
    this.#file.close();
  }

  /** Closes every map and program of the object; attachments and pins keep theirs alive. Idempotent. */
  close(): void {
    for (const map of this.maps.values()) map.close();
    for (const program of this.programs.values()) program.close();
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #missing(kind: string, name: string, existing: ReadonlyMap<string, unknown>): never {
    const names = [...existing.keys()].join(', ') || 'none';
    throw new SystemError(`BpfObject.${kind}`, errnos.ENOENT, `${this.path} has no ${kind} '${name}'; it has: ${names}`);
  }
}
