/** A BPF map: bytes in, bytes out. TypedMap puts types on it. */
import { errnos, SystemError } from './errors.js';
import { kernel, type BatchResult, type Handle, type MapNumbers, type ObjectFile } from './kernel.js';
import { descriptorOf, pin } from './pin.js';

/** In the order of the kernel's `enum bpf_map_type`. */
const mapTypes = [
  'unspec', 'hash', 'array', 'prog_array', 'perf_event_array', 'percpu_hash', 'percpu_array', 'stack_trace',
  'cgroup_array', 'lru_hash', 'lru_percpu_hash', 'lpm_trie', 'array_of_maps', 'hash_of_maps', 'devmap', 'sockmap',
  'cpumap', 'xskmap', 'sockhash', 'cgroup_storage', 'reuseport_sockarray', 'percpu_cgroup_storage', 'queue', 'stack',
  'sk_storage', 'devmap_hash', 'struct_ops', 'ringbuf', 'inode_storage', 'task_storage', 'bloom_filter',
  'user_ringbuf', 'cgrp_storage', 'arena',
] as const;

export type MapTypeName = (typeof mapTypes)[number];

/** What an update does about an existing element: overwrite, refuse (EEXIST), or insist (ENOENT). */
export type UpdateMode = 'any' | 'noexist' | 'exist';

const updateFlags: Readonly<Record<UpdateMode, number>> = { any: 0, noexist: 1, exist: 2 };

/** `BPF_F_MMAPABLE`, for {@link BpfMap.create}. Since Linux 5.5. */
export const MMAPABLE = 1 << 10;
/** `BPF_F_NO_PREALLOC`, for {@link BpfMap.create}; required by `lpm_trie`. */
export const NO_PREALLOC = 1;

const perCpuTypes: ReadonlySet<MapTypeName> = new Set(['percpu_hash', 'percpu_array', 'lru_percpu_hash', 'percpu_cgroup_storage']);

export interface MapInfo {
  /** System-wide; 0 before load. */
  readonly id: number;
  /** A type newer than this library reads `unspec`. */
  readonly type: MapTypeName;
  /** As declared; for a map opened by pin or id the kernel's copy, cut to 15 bytes. */
  readonly name: string;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes, of one CPU's value if the map is per CPU. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** `BPF_F_*` */
  readonly flags: number;
  /** Of the types of key and value; 0 if the map has none. */
  readonly btfId: number;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
}

export interface MapBatch {
  readonly count: number;
  /** `count` keys, packed. */
  readonly keys: Buffer;
  /** `count` values, packed. */
  readonly values: Buffer;
  /** For the next call; undefined: that was all. */
  readonly cursor: MapCursor | undefined;
}

/** A position in a map's iteration; opaque. */
export interface MapCursor {
  readonly token: Buffer;
}

/** @internal A map that an object declares. */
export interface MapDeclaration {
  readonly object: ObjectFile;
  /** libbpf's name for it. */
  readonly name: string;
}

const BATCH = 256;

/** The flags that a map was declared with: the kernel adds BPF_F_RDONLY_PROG to every devmap. */
function declaredFlags({ type, flags }: MapInfo): number {
  const BPF_F_RDONLY_PROG = 1 << 7;
  return type === 'devmap' || type === 'devmap_hash' ? flags & ~BPF_F_RDONLY_PROG : flags;
}

function align8(size: number): number {
  return (size + 7) & ~7;
}

function toInfo(numbers: MapNumbers & { id?: number; btfId?: number }, name: string): MapInfo {
  return {
    id: numbers.id ?? 0,
    type: mapTypes[numbers.type] ?? 'unspec',
    name,
    keySize: numbers.keySize,
    valueSize: numbers.valueSize,
    maxEntries: numbers.maxEntries,
    flags: numbers.flags,
    btfId: numbers.btfId ?? 0,
    btfKeyTypeId: numbers.btfKeyTypeId,
    btfValueTypeId: numbers.btfValueTypeId,
  };
}

/** Made by {@link BpfMap.create}, {@link BpfMap.openPinned} and {@link BpfMap.openId}, or declared by a BpfObject. */
export class BpfMap {
  #info: MapInfo;
  #handle: Handle | undefined;
  #declaration: MapDeclaration | undefined;
  /** Bytes of an element's value as system calls see it: of all CPUs, or one. */
  #valueBytes = 0;
  /** Found out by trying: not every type of map has batch operations. */
  #batches = true;

  private constructor(info: MapInfo, source: { handle: Handle } | { declaration: MapDeclaration }) {
    this.#info = info;
    if ('handle' in source) this.#handle = source.handle;
    else this.#declaration = source.declaration;
    this.#measure();
  }

  /**
   * A map without an object. `name` is cut to 15 bytes by the kernel; `flags` are `BPF_F_*`.
   * @throws SystemError EPERM (CAP_BPF), EINVAL (a size or flag that the type does not take), E2BIG, ENOMEM
   */
  static create(o: { type: MapTypeName; name: string; keySize: number; valueSize: number; maxEntries: number; flags?: number }): BpfMap {
    const type = mapTypes.indexOf(o.type);
    if (type <= 0) throw new SystemError('bpf_map_create', errnos.EINVAL, `unknown map type '${o.type}'`);
    const handle = kernel().mapCreate(type, o.name.slice(0, 15), o.keySize, o.valueSize, o.maxEntries, o.flags ?? 0);
    return BpfMap.#fromHandle(handle);
  }

  /** @throws SystemError ENOENT; EINVAL when the pin is not a map */
  static openPinned(path: string): BpfMap {
    return BpfMap.#fromHandle(kernel().openPin(path, 'map'));
  }

  /** Any map of the system, by {@link MapInfo.id}. @throws SystemError ENOENT, EPERM (CAP_SYS_ADMIN) */
  static openId(id: number): BpfMap {
    return BpfMap.#fromHandle(kernel().mapOpen(id));
  }

  static #fromHandle(handle: Handle): BpfMap {
    const numbers = kernel().mapInfo(handle.fd);
    return new BpfMap(toInfo(numbers, numbers.name), { handle });
  }

  /** @internal */
  static declared(object: ObjectFile, name: string, numbers: MapNumbers): BpfMap {
    return new BpfMap(toInfo(numbers, name), { declaration: { object, name: numbers.name } });
  }

  /** @internal Called by BpfObject once the kernel has the map. */
  adopt(handle: Handle): void {
    this.#handle = handle;
    this.#declaration = undefined;
    this.#info = toInfo(kernel().mapInfo(handle.fd), this.#info.name);
    this.#measure();
  }

  get info(): MapInfo {
    return this.#info;
  }

  /** The descriptor. @throws SystemError EBADF when the map is not loaded or closed */
  get fd(): number {
    return descriptorOf(this.#handle, `map '${this.#info.name}'`);
  }

  /** Whether an element has one value per possible CPU. */
  get isPerCpu(): boolean {
    return perCpuTypes.has(this.#info.type);
  }

  /** Before load: how many elements the map is to hold. */
  setMaxEntries(maxEntries: number): void {
    const { object, name } = this.#undeclaredRefused('setMaxEntries');
    object.setMaxEntries(name, maxEntries);
    this.#info = { ...this.#info, maxEntries };
  }

  /**
   * Before load: takes an existing map instead of creating one.
   * @throws SystemError EINVAL naming the first property in which the two differ
   */
  reuse(existing: BpfMap): void {
    const { object, name } = this.#undeclaredRefused('reuse');
    for (const property of ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const) {
      const declared = this.#info[property];
      const found = property === 'flags' ? declaredFlags(existing.info) : existing.info[property];
      if (declared !== found) {
        throw new SystemError('bpf_map__reuse_fd', errnos.EINVAL, `map '${this.#info.name}' declares ${property} ${declared}, the existing map has ${found}`);
      }
    }
    object.reuse(name, existing.fd);
  }

  /** Before load, for `.data`, `.rodata` and `.bss`: a copy of the contents; undefined for other maps. */
  initialValue(): Buffer | undefined {
    const { object, name } = this.#undeclaredRefused('initialValue');
    return object.initialValue(name);
  }

  /** Before load, for `.data`, `.rodata` and `.bss`: all `valueSize` bytes of the contents. */
  setInitialValue(value: Buffer): void {
    const { object, name } = this.#undeclaredRefused('setInitialValue');
    this.#check('value', value, this.#info.valueSize);
    object.setInitialValue(name, value);
  }

  /** The value of a key; of a per-CPU map all CPUs' values, each rounded up to 8 bytes. undefined: no such key. */
  lookup(key: Buffer): Buffer | undefined {
    const fd = this.fd;
    this.#check('key', key, this.#info.keySize);
    const value = Buffer.allocUnsafe(this.#valueBytes);
    const status = kernel().mapLookup(fd, key, value, 0);
    if (status === 0) return value;
    if (status === -errnos.ENOENT) return undefined;
    throw this.#error('bpf_map_lookup_elem', status);
  }

  /** @throws SystemError EEXIST, ENOENT (see {@link UpdateMode}), E2BIG when the map is full */
  update(key: Buffer, value: Buffer, mode: UpdateMode = 'any'): void {
    const fd = this.fd;
    this.#check('key', key, this.#info.keySize);
    this.#check('value', value, this.#valueBytes);
    const status = kernel().mapUpdate(fd, key, value, updateFlags[mode]);
    if (status !== 0) throw this.#error('bpf_map_update_elem', status);
  }

  /** Whether the key was there. @throws SystemError EINVAL on arrays, whose elements always exist */
  delete(key: Buffer): boolean {
    const fd = this.fd;
    this.#check('key', key, this.#info.keySize);
    const status = kernel().mapDelete(fd, key);
    if (status === 0) return true;
    if (status === -errnos.ENOENT) return false;
    throw this.#error('bpf_map_delete_elem', status);
  }

  /**
   * All keys. Like every iteration of a hash it is not a snapshot: elements that come
   * or go meanwhile may or may not be seen. Deleting what was yielded is fine.
   */
  *keys(): IterableIterator<Buffer> {
    for (const [key] of this.entries()) yield key;
  }

  /** All elements, by batches where the type has them; see {@link keys}. */
  *entries(): IterableIterator<[key: Buffer, value: Buffer]> {
    const { keySize } = this.#info;
    let cursor: MapCursor | undefined;
    do {
      const batch = this.lookupBatch(BATCH, cursor);
      for (let i = 0; i < batch.count; i++) {
        yield [
          batch.keys.subarray(i * keySize, (i + 1) * keySize),
          batch.values.subarray(i * this.#valueBytes, (i + 1) * this.#valueBytes),
        ];
      }
      cursor = batch.cursor;
    } while (cursor);
  }

  /**
   * Up to about `count` elements from `cursor` on (a hash bucket is never split, so it may be
   * more). Since Linux 5.6; element by element on types without the operation.
   */
  lookupBatch(count: number = BATCH, cursor?: MapCursor): MapBatch {
    const fd = this.fd;
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`lookupBatch: count must be a positive integer, not ${count}`);
    if (!this.#batches) return this.#lookupOneByOne(fd, count, cursor);
    const { keySize } = this.#info;
    // The token of hashes is a bucket number of 32 bits, of other types a key.
    const token = Buffer.alloc(Math.max(4, keySize));
    for (let room = count; ; room *= 2) {
      const keys = Buffer.allocUnsafe(room * keySize);
      const values = Buffer.allocUnsafe(room * this.#valueBytes);
      const result = kernel().mapLookupBatch(fd, cursor?.token, token, keys, values, room);
      if (result.status === -errnos.ENOSPC) continue;
      if (this.#lacksBatches(result)) return this.#lookupOneByOne(fd, count, cursor);
      const end = result.status === -errnos.ENOENT;
      if (result.status !== 0 && !end) throw this.#error('bpf_map_lookup_batch', result.status);
      return {
        count: result.count,
        keys: keys.subarray(0, result.count * keySize),
        values: values.subarray(0, result.count * this.#valueBytes),
        cursor: end ? undefined : { token },
      };
    }
  }

  /**
   * Sets `keys.length / keySize` packed elements. Since Linux 5.6; element by element on
   * types without the operation. @throws SystemError as update(), with the number already written
   */
  updateBatch(keys: Buffer, values: Buffer): void {
    const fd = this.fd;
    const { keySize } = this.#info;
    const count = this.#countOf(keys);
    this.#check('values', values, count * this.#valueBytes);
    if (count === 0) return;
    if (this.#batches) {
      const result = kernel().mapUpdateBatch(fd, keys, values, count);
      if (result.status === 0) return;
      if (!this.#lacksBatches(result)) {
        throw this.#error('bpf_map_update_batch', result.status, `after ${result.count} of ${count} elements`);
      }
    }
    for (let i = 0; i < count; i++) {
      this.update(keys.subarray(i * keySize, (i + 1) * keySize), values.subarray(i * this.#valueBytes, (i + 1) * this.#valueBytes));
    }
  }

  /** Deletes packed keys; absent ones are skipped. Returns how many were there. Since Linux 5.6, as {@link updateBatch}. */
  deleteBatch(keys: Buffer): number {
    const fd = this.fd;
    const { keySize } = this.#info;
    const count = this.#countOf(keys);
    let deleted = 0;
    for (let done = 0; done < count; ) {
      const rest = keys.subarray(done * keySize);
      if (this.#batches) {
        const result = kernel().mapDeleteBatch(fd, rest, count - done);
        if (result.status === 0) return deleted + result.count;
        if (!this.#lacksBatches(result)) {
          if (result.status !== -errnos.ENOENT) throw this.#error('bpf_map_delete_batch', result.status, `after ${done + result.count} of ${count} keys`);
          // It stopped at an absent key, which counts as done.
          deleted += result.count;
          done += result.count + 1;
          continue;
        }
      }
      if (this.delete(rest.subarray(0, keySize))) deleted++;
      done++;
    }
    return deleted;
  }

  /**
   * The memory of an array map that was created with `BPF_F_MMAPABLE`, shared with the
   * kernel and every program: element i is at `i * stride`, where the stride is
   * `valueSize` rounded up to 8. Stays valid after close(), until it is collected.
   * Since Linux 5.5. @throws SystemError EINVAL when the map cannot be mapped
   */
  mmap(): Buffer {
    const { type, name, valueSize, maxEntries, flags } = this.#info;
    if (type !== 'array' || (flags & MMAPABLE) === 0) {
      throw new SystemError('mmap', errnos.EINVAL, `map '${name}' is not an array with BPF_F_MMAPABLE`);
    }
    return kernel().mapMemory(this.fd, align8(valueSize) * maxEntries);
  }

  /** Names the map in a bpffs, which keeps it alive. @throws SystemError EEXIST, ENOENT, EPERM (not a bpffs) */
  pin(path: string): void {
    pin(this.fd, path);
  }

  /** Removes a name; the map lives on while anybody uses it. @throws SystemError ENOENT; EINVAL outside of a bpffs */
  unpin(path: string): void {
    kernel().unpin(path);
  }

  /** Gives up the descriptor. Idempotent. */
  close(): void {
    this.#handle?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #measure(): void {
    this.#valueBytes = this.isPerCpu ? align8(this.#info.valueSize) * kernel().possibleCpus() : this.#info.valueSize;
  }

  #undeclaredRefused(method: string): MapDeclaration {
    if (!this.#declaration) {
      throw new SystemError(method, errnos.EINVAL, `map '${this.#info.name}' is already loaded`);
    }
    return this.#declaration;
  }

  #check(what: string, buffer: Buffer, size: number): void {
    if (buffer.length !== size) {
      throw new SystemError('bpf', errnos.EINVAL, `${what} of map '${this.#info.name}' must have ${size} bytes, not ${buffer.length}`);
    }
  }

  #countOf(keys: Buffer): number {
    const { keySize } = this.#info;
    if (keySize === 0) throw new SystemError('bpf', errnos.EINVAL, `map '${this.#info.name}' has no keys`);
    this.#check('keys', keys, Math.floor(keys.length / keySize) * keySize);
    return keys.length / keySize;
  }

  #error(operation: string, status: number, detail = ''): SystemError {
    return new SystemError(operation, -status, `map '${this.#info.name}'${detail && ` ${detail}`}`);
  }

  /** Notes it for the next time. */
  #lacksBatches(result: BatchResult): boolean {
    if (result.status === -errnos.ENOTSUPP || result.status === -errnos.EOPNOTSUPP) this.#batches = false;
    return !this.#batches;
  }

  #lookupOneByOne(fd: number, count: number, cursor: MapCursor | undefined): MapBatch {
    const { keySize } = this.#info;
    const keys: Buffer[] = [];
    const values: Buffer[] = [];
    let at = cursor?.token;
    let end = false;
    while (keys.length < count) {
      const key = Buffer.allocUnsafe(keySize);
      const status = kernel().mapNextKey(fd, at, key);
      if (status === -errnos.ENOENT) {
        end = true;
        break;
      }
      if (status !== 0) throw this.#error('bpf_map_get_next_key', status);
      at = key;
      const value = this.lookup(key);
      // Empty slots of a devmap and elements deleted meanwhile.
      if (!value) continue;
      keys.push(key);
      values.push(value);
    }
    return {
      count: keys.length,
      keys: Buffer.concat(keys),
      values: Buffer.concat(values),
      cursor: end || !at ? undefined : { token: at },
    };
  }
}

/** How many values an element of a per-CPU map has. */
export function possibleCpus(): number {
  return kernel().possibleCpus();
}
