/** Maps of values instead of bytes. */
import type { Codec } from './codec.js';
import { errnos, SystemError } from './errors.js';
import { possibleCpus, type BpfMap, type UpdateMode } from './map.js';

/** Elements that one batch call of setMany() writes. */
const BATCH = 1024;

function requireSize(map: BpfMap, what: 'key' | 'value', codec: { name: string; size: number }, size: number): void {
  if (codec.size !== size) {
    throw new SystemError('TypedMap', errnos.EINVAL, `the ${what} of map '${map.info.name}' has ${size} bytes, codec ${codec.name} has ${codec.size}`);
  }
}

/** A map with one value per key. */
export class TypedMap<K, V> {
  readonly raw: BpfMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  /** @throws SystemError EINVAL when a codec's size is not the map's, or the map is per CPU */
  constructor(map: BpfMap, key: Codec<K>, value: Codec<V>) {
    if (map.isPerCpu) throw new SystemError('TypedMap', errnos.EINVAL, `map '${map.info.name}' is per CPU: use PerCpuMap`);
    requireSize(map, 'key', key, map.info.keySize);
    requireSize(map, 'value', value, map.info.valueSize);
    this.raw = map;
    this.#key = key;
    this.#value = value;
  }

  get(key: K): V | undefined {
    const value = this.raw.lookup(this.#encodeKey(key));
    return value && this.#value.decode(value);
  }

  has(key: K): boolean {
    return this.raw.lookup(this.#encodeKey(key)) !== undefined;
  }

  /** @throws SystemError as {@link BpfMap.update} */
  set(key: K, value: V, mode: UpdateMode = 'any'): void {
    const encoded = Buffer.alloc(this.#value.size);
    this.#value.encode(value, encoded);
    this.raw.update(this.#encodeKey(key), encoded, mode);
  }

  /** Whether the key was there. */
  delete(key: K): boolean {
    return this.raw.delete(this.#encodeKey(key));
  }

  /** Overwrites many elements with few system calls. Not atomic: an error leaves the earlier ones written. */
  setMany(elements: Iterable<readonly [K, V]>): void {
    const keys = Buffer.alloc(BATCH * this.#key.size);
    const values = Buffer.alloc(BATCH * this.#value.size);
    let count = 0;
    const flush = (): void => {
      this.raw.updateBatch(keys.subarray(0, count * this.#key.size), values.subarray(0, count * this.#value.size));
      // Codecs may leave padding alone, which must be zero in keys.
      keys.fill(0);
      values.fill(0);
      count = 0;
    };
    for (const [key, value] of elements) {
      this.#key.encode(key, keys, count * this.#key.size);
      this.#value.encode(value, values, count * this.#value.size);
      if (++count === BATCH) flush();
    }
    if (count > 0) flush();
  }

  /** Deletes many elements with few system calls; returns how many were there. */
  deleteMany(keys: Iterable<K>): number {
    const list = [...keys];
    const encoded = Buffer.alloc(list.length * this.#key.size);
    list.forEach((key, i) => this.#key.encode(key, encoded, i * this.#key.size));
    return this.raw.deleteBatch(encoded);
  }

  *keys(): IterableIterator<K> {
    for (const key of this.raw.keys()) yield this.#key.decode(key);
  }

  /** Not a snapshot; see {@link BpfMap.keys}. */
  *entries(): IterableIterator<[K, V]> {
    for (const [key, value] of this.raw.entries()) yield [this.#key.decode(key), this.#value.decode(value)];
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  #encodeKey(key: K): Buffer {
    const encoded = Buffer.alloc(this.#key.size);
    this.#key.encode(key, encoded);
    return encoded;
  }
}

/** A map with one value per key and possible CPU. */
export class PerCpuMap<K, V> {
  readonly raw: BpfMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;
  readonly #stride: number;
  readonly #cpus: number;

  /** @throws SystemError EINVAL when a codec's size is not the map's, or the map is not per CPU */
  constructor(map: BpfMap, key: Codec<K>, value: Codec<V>) {
    if (!map.isPerCpu) throw new SystemError('PerCpuMap', errnos.EINVAL, `map '${map.info.name}' is not per CPU: use TypedMap`);
    requireSize(map, 'key', key, map.info.keySize);
    requireSize(map, 'value', value, map.info.valueSize);
    this.raw = map;
    this.#key = key;
    this.#value = value;
    this.#stride = (value.size + 7) & ~7;
    this.#cpus = possibleCpus();
  }

  /** One value per possible CPU, by CPU number; empty: no such key. */
  get(key: K): V[] {
    const values = this.raw.lookup(this.#encodeKey(key));
    return values ? this.#decode(values) : [];
  }

  /** `values`: one per possible CPU. */
  set(key: K, values: readonly V[], mode: UpdateMode = 'any'): void {
    if (values.length !== this.#cpus) {
      throw new SystemError('bpf_map_update_elem', errnos.EINVAL, `map '${this.raw.info.name}' takes ${this.#cpus} values, one per possible CPU, not ${values.length}`);
    }
    const encoded = Buffer.alloc(this.#stride * this.#cpus);
    values.forEach((value, cpu) => this.#value.encode(value, encoded, cpu * this.#stride));
    this.raw.update(this.#encodeKey(key), encoded, mode);
  }

  /** Whether the key was there. */
  delete(key: K): boolean {
    return this.raw.delete(this.#encodeKey(key));
  }

  /** Not a snapshot; see {@link BpfMap.keys}. */
  *entries(): IterableIterator<[K, V[]]> {
    for (const [key, values] of this.raw.entries()) yield [this.#key.decode(key), this.#decode(values)];
  }

  [Symbol.iterator](): IterableIterator<[K, V[]]> {
    return this.entries();
  }

  #encodeKey(key: K): Buffer {
    const encoded = Buffer.alloc(this.#key.size);
    this.#key.encode(key, encoded);
    return encoded;
  }

  #decode(values: Buffer): V[] {
    return Array.from({ length: this.#cpus }, (_, cpu) => this.#value.decode(values, cpu * this.#stride));
  }
}
