import { join } from 'node:path';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  be16, be32, be64, BpfLink, BpfMap, BpfObject, BpfProgram, bytes, i16, i32, i64, i8, MMAPABLE, NO_PREALLOC, PerCpuMap,
  possibleCpus, SystemError, TypedMap, u16, u32, u64, u8, type Codec, type MapTypeName,
} from '../lib/index.js';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, failureOf, mountBpffs, openDescriptors } from './support/fixture.js';

// Machines that run tests are busy.
vi.setConfig({ testTimeout: 20_000 });
const soon = { timeout: 15_000 };

const directory = temporaryDirectory();
let bpffs: ReturnType<typeof mountBpffs>;
let object: BpfObject;

beforeAll(() => {
  bpffs = mountBpffs(directory.path);
  object = BpfObject.open(compileFixture(directory.path, 'features'));
  object.load();
});

afterAll(() => {
  object.close();
  bpffs.unmount();
  directory.remove();
});

function key(value: number): Buffer {
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32LE(value);
  return encoded;
}

function create(type: MapTypeName, maxEntries: number, flags = 0): BpfMap {
  return BpfMap.create({ type, name: type, keySize: 4, valueSize: 4, maxEntries, flags });
}

describe('elements', () => {
  test('are there after update and gone after delete', () => {
    using map = create('hash', 8);
    expect(map.lookup(key(1))).toBeUndefined();
    map.update(key(1), key(10));
    map.update(key(1), key(11));
    expect(map.lookup(key(1))).toEqual(key(11));
    expect(map.delete(key(1))).toBe(true);
    expect(map.delete(key(1))).toBe(false);
    expect(map.lookup(key(1))).toBeUndefined();
  });

  test('noexist and exist insist', () => {
    using map = create('hash', 8);
    const missing = failureOf(() => map.update(key(1), key(1), 'exist'));
    expect(missing).toMatchObject({ code: 'ENOENT', errno: 2, operation: 'bpf_map_update_elem', name: 'SystemError' });
    map.update(key(1), key(1), 'noexist');
    expect(failureOf(() => map.update(key(1), key(2), 'noexist')).code).toBe('EEXIST');
    expect(map.lookup(key(1))).toEqual(key(1));
  });

  test('a full map is E2BIG and the message names the map', () => {
    using map = create('hash', 1);
    map.update(key(1), key(1));
    const error = failureOf(() => map.update(key(2), key(2)));
    expect(error.code).toBe('E2BIG');
    expect(error.message).toContain("map 'hash'");
  });

  test('buffers of another length never reach the kernel', () => {
    using map = create('hash', 8);
    expect(failureOf(() => map.update(Buffer.alloc(3), key(1))).message).toContain("key of map 'hash' must have 4 bytes, not 3");
    expect(failureOf(() => map.update(key(1), Buffer.alloc(5))).message).toContain("value of map 'hash' must have 4 bytes, not 5");
    expect(failureOf(() => map.lookup(Buffer.alloc(0))).code).toBe('EINVAL');
    expect(failureOf(() => map.updateBatch(Buffer.alloc(8), Buffer.alloc(4))).code).toBe('EINVAL');
    expect(failureOf(() => map.deleteBatch(Buffer.alloc(7))).code).toBe('EINVAL');
  });

  test('elements of an array cannot be deleted', () => {
    using map = create('array', 4);
    expect(failureOf(() => map.delete(key(1))).code).toBe('EINVAL');
  });

  test('create refuses what the kernel refuses', () => {
    expect(failureOf(() => create('hash', 0)).code).toBe('EINVAL');
    expect(failureOf(() => create('unknown' as MapTypeName, 1)).message).toContain("unknown map type 'unknown'");
  });
});

describe('iteration', () => {
  test.each<[MapTypeName, number]>([
    ['hash', 0],
    ['array', 0],
    ['lru_hash', 0],
    ['devmap_hash', 0],
  ])('%s yields every element once', (type, flags) => {
    using map = create(type, 3000, flags);
    const count = type === 'array' ? 3000 : 1000;
    // A devmap takes interfaces: loopback is number 1.
    const valueOf = (i: number): Buffer => key(type === 'devmap_hash' ? 1 : i * 3);
    for (let i = 0; i < count; i++) map.update(key(i), valueOf(i));
    const seen = new Map([...map.entries()].map(([k, v]) => [k.readUInt32LE(), v.readUInt32LE()]));
    expect(seen).toEqual(new Map(Array.from({ length: count }, (_, i) => [i, valueOf(i).readUInt32LE()])));
    expect([...map.keys()]).toHaveLength(count);
  });

  test('an empty map yields nothing', () => {
    using map = create('hash', 10);
    expect([...map.entries()]).toEqual([]);
  });

  test('a prefix tree, whose keys are structs, yields its elements', () => {
    using map = BpfMap.create({ type: 'lpm_trie', name: 'lpm', keySize: 8, valueSize: 4, maxEntries: 10, flags: NO_PREALLOC });
    const prefix = Buffer.from([24, 0, 0, 0, 10, 1, 2, 0]);
    map.update(prefix, key(5));
    expect([...map.entries()]).toEqual([[prefix, key(5)]]);
    expect(map.lookup(Buffer.from([32, 0, 0, 0, 10, 1, 2, 3]))).toEqual(key(5));
  });

  test('what was yielded may be deleted', () => {
    using map = create('hash', 3000);
    for (let i = 0; i < 3000; i++) map.update(key(i), key(i));
    let deleted = 0;
    for (const found of map.keys()) if (map.delete(found)) deleted++;
    expect(deleted).toBe(3000);
  });

  test('a batch goes on where the last one ended', () => {
    using map = create('array', 10);
    const first = map.lookupBatch(4);
    const second = map.lookupBatch(100, first.cursor);
    expect(first.count).toBe(4);
    expect(second.count).toBe(6);
    expect(second.keys.subarray(0, 4)).toEqual(key(4));
    expect(second.cursor).toBeUndefined();
    expect(() => map.lookupBatch(0)).toThrow(RangeError);
  });

  test('a hash bucket larger than the batch is not lost', () => {
    // Two buckets for a thousand elements would need collisions; the kernel rounds buckets up
    // to max_entries, so the smallest batches are the ones that meet crowded buckets.
    using map = create('hash', 1024);
    for (let i = 0; i < 1000; i++) map.update(key(i * 7919), key(i));
    const seen = new Set<number>();
    let cursor;
    do {
      const batch = map.lookupBatch(1, cursor);
      for (let i = 0; i < batch.count; i++) seen.add(batch.values.readUInt32LE(i * 4));
      cursor = batch.cursor;
    } while (cursor);
    expect(seen.size).toBe(1000);
  });
});

describe('batches', () => {
  test.each<MapTypeName>(['hash', 'array', 'devmap_hash'])('%s: update and delete', (type) => {
    using map = create(type, 600);
    const keys = Buffer.concat(Array.from({ length: 500 }, (_, i) => key(i)));
    const values = Buffer.concat(Array.from({ length: 500 }, () => key(1)));
    map.updateBatch(keys, values);
    expect(map.lookup(key(499))).toEqual(key(1));
    if (type === 'array') return;
    // 100 of them are absent, in the middle and at the end.
    for (let i = 50; i < 100; i++) map.delete(key(i));
    for (let i = 450; i < 500; i++) map.delete(key(i));
    expect(map.deleteBatch(keys)).toBe(400);
    expect([...map.keys()]).toEqual([]);
  });

  test('a batch that does not fit says how far it came', () => {
    using map = create('hash', 10);
    const keys = Buffer.concat(Array.from({ length: 20 }, (_, i) => key(i)));
    const error = failureOf(() => map.updateBatch(keys, keys));
    expect(error.code).toBe('E2BIG');
    expect(error.message).toMatch(/after 10 of 20 elements/);
  });
});

describe('typed maps', () => {
  test('get, has, set, delete, entries', () => {
    using raw = create('hash', 100);
    const map = new TypedMap(raw, u32, be32);
    map.set(7, 0x0a000001);
    expect(raw.lookup(key(7))).toEqual(Buffer.from([10, 0, 0, 1]));
    expect(map.get(7)).toBe(0x0a000001);
    expect(map.has(8)).toBe(false);
    expect(map.get(8)).toBeUndefined();
    expect([...map]).toEqual([[7, 0x0a000001]]);
    expect(map.delete(7)).toBe(true);
    expect([...map.keys()]).toEqual([]);
  });

  test('setMany and deleteMany cross the batch size', () => {
    using raw = create('hash', 5000);
    const map = new TypedMap(raw, u32, u32);
    map.setMany(Array.from({ length: 2500 }, (_, i) => [i, i * 2] as const));
    expect(new Map(map.entries())).toEqual(new Map(Array.from({ length: 2500 }, (_, i) => [i, i * 2])));
    expect(map.deleteMany([1, 2, 3, 9999])).toBe(3);
    map.setMany([]);
    expect(map.has(0)).toBe(true);
  });

  test('a codec of another size is refused with both sizes', () => {
    using raw = create('hash', 1);
    expect(failureOf(() => new TypedMap(raw, u32, u64)).message).toContain("value of map 'hash' has 4 bytes, codec u64 has 8");
    expect(failureOf(() => new TypedMap(object.map('counters'), u32, bytes(16))).message).toContain('use PerCpuMap');
    expect(failureOf(() => new PerCpuMap(raw, u32, u32)).message).toContain('use TypedMap');
  });
});

describe('per-CPU maps', () => {
  test('hold one value per possible CPU, also when values are no multiple of 8', () => {
    const map = new PerCpuMap(object.map('counters_by_key'), u32, u32);
    const values = Array.from({ length: possibleCpus() }, (_, cpu) => cpu + 100);
    expect(map.get(5)).toEqual([]);
    map.set(5, values);
    expect(map.get(5)).toEqual(values);
    expect([...map]).toEqual([[5, values]]);
    expect(map.delete(5)).toBe(true);
    expect(failureOf(() => map.set(5, [])).code).toBe('EINVAL');
  });

  test('show what programs counted', () => {
    const map = new PerCpuMap(object.map('counters'), u32, bytes(16));
    object.program('count_packet').testRun({ data: Buffer.alloc(64), repeat: 10 });
    expect(map.get(1).reduce((sum, value) => sum + value.readUInt32LE(0), 0)).toBe(10);
    expect([...map.entries()].map(([index]) => index)).toEqual([0, 1, 2, 3]);
  });
});

describe('mmap', () => {
  test('is the memory that programs and system calls see, with a stride of 8', () => {
    const map = object.map('odd_values');
    const memory = map.mmap();
    expect(memory.length).toBe(100 * 8);
    map.update(key(1), Buffer.from([1, 2, 3, 4, 0]));
    expect(memory.subarray(8, 13)).toEqual(Buffer.from([1, 2, 3, 4, 0]));
    object.program('count_packet').testRun({ data: Buffer.alloc(64), repeat: 4 });
    expect(memory[12]).toBe(4);
    memory[8] = 200;
    expect(map.lookup(key(1))?.[0]).toBe(200);
    expect(map.mmap()[8]).toBe(200);
  });

  test('outlives its map', () => {
    const map = create('array', 10, MMAPABLE);
    const memory = map.mmap();
    map.close();
    memory.writeUInt32LE(77, 72);
    expect(memory.readUInt32LE(72)).toBe(77);
  });

  test('is refused for other maps', () => {
    using map = create('array', 10);
    expect(failureOf(() => map.mmap()).message).toContain('not an array with BPF_F_MMAPABLE');
  });
});

describe('pins', () => {
  test('share the map under a name', () => {
    const path = join(bpffs.path, 'shared');
    using map = create('hash', 4);
    map.pin(path);
    using same = BpfMap.openPinned(path);
    expect(same.info.id).toBe(map.info.id);
    same.update(key(3), key(4));
    expect(map.lookup(key(3))).toEqual(key(4));
    expect(failureOf(() => map.pin(path)).code).toBe('EEXIST');
    using byId = BpfMap.openId(map.info.id);
    expect(byId.lookup(key(3))).toEqual(key(4));
    map.unpin(path);
    expect(failureOf(() => BpfMap.openPinned(path))).toMatchObject({ code: 'ENOENT', operation: 'bpf_obj_get' });
    expect(failureOf(() => map.unpin(path)).code).toBe('ENOENT');
  });

  test('of another kind are refused', () => {
    const path = join(bpffs.path, 'program');
    object.program('add').pin(path);
    expect(failureOf(() => BpfMap.openPinned(path)).message).toContain('is a bpf-prog, not a map');
    expect(failureOf(() => BpfLink.openPinned(path)).message).toContain('is a bpf-prog, not a link');
    using program = BpfProgram.openPinned(path);
    expect(program.info.id).toBe(object.program('add').info.id);
    program.unpin(path);
  });

  test('outside of a bpffs are refused and cost nobody a file', () => {
    using map = create('hash', 4);
    const file = join(directory.path, 'precious');
    writeFileSync(file, 'data');
    expect(failureOf(() => map.pin(join(directory.path, 'map'))).message).toContain('must be in a bpffs');
    expect(failureOf(() => map.unpin(file)).message).toContain('is not in a bpffs');
    expect(existsSync(file)).toBe(true);
    mkdirSync(join(bpffs.path, 'sub'));
    expect(failureOf(() => map.pin(join(bpffs.path, 'none/map'))).code).toBe('ENOENT');
  });
});

describe('close', () => {
  test('is idempotent, and later uses fail with EBADF', () => {
    const map = create('hash', 4);
    map.close();
    map.close();
    const error = failureOf(() => map.lookup(key(1)));
    expect(error).toBeInstanceOf(SystemError);
    expect(error).toMatchObject({ code: 'EBADF', errno: 9 });
  });

  test('leaves no descriptor after 1000 maps, pins and failures', () => {
    const path = join(bpffs.path, 'cycled');
    const cycle = (): void => {
      using map = create('hash', 4);
      map.pin(path);
      using again = BpfMap.openPinned(path);
      expect(() => BpfProgram.openPinned(path)).toThrow();
      again.unpin(path);
    };
    cycle();
    const before = openDescriptors();
    for (let i = 0; i < 1000; i++) cycle();
    expect(openDescriptors()).toBe(before);
  });
});

describe('garbage collection', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  function mappings(): number {
    return readFileSync('/proc/self/maps', 'utf8').split('\n').filter((line) => line.includes('bpf-map')).length;
  }

  test('closes descriptors and undoes mappings that nobody closed', async () => {
    const before = { descriptors: openDescriptors(), mappings: mappings() };
    (() => {
      for (let i = 0; i < 100; i++) {
        const map = create('array', 10, MMAPABLE);
        map.mmap();
      }
    })();
    expect(openDescriptors()).toBeGreaterThanOrEqual(before.descriptors + 100);
    expect(mappings()).toBeGreaterThanOrEqual(before.mappings + 100);
    await vi.waitFor(() => {
      collect();
      expect(openDescriptors()).toBeLessThanOrEqual(before.descriptors);
      expect(mappings()).toBeLessThanOrEqual(before.mappings);
    }, soon);
  });
});

describe('codecs', () => {
  const numbers: [Codec<number>, number, number][] = [
    [u8, 0, 0xff], [i8, -0x80, 0x7f], [u16, 0, 0xffff], [i16, -0x8000, 0x7fff], [be16, 0, 0xffff],
    [u32, 0, 0xffffffff], [i32, -0x80000000, 0x7fffffff], [be32, 0, 0xffffffff],
  ];
  test.each(numbers.map((row) => [row[0].name, ...row] as const))('%s returns what it was given, at any offset', (_, codec, min, max) => {
    fc.assert(fc.property(fc.integer({ min, max }), fc.nat(16), (value, offset) => {
      const buffer = Buffer.alloc(offset + codec.size);
      codec.encode(value, buffer, offset);
      return codec.decode(buffer, offset) === value;
    }));
    expect(() => codec.encode(max + 1, Buffer.alloc(8))).toThrow(RangeError);
    expect(() => codec.decode(Buffer.alloc(codec.size - 1))).toThrow();
  });

  const bigints: [Codec<bigint>, bigint, bigint][] = [
    [u64, 0n, (1n << 64n) - 1n], [i64, -(1n << 63n), (1n << 63n) - 1n], [be64, 0n, (1n << 64n) - 1n],
  ];
  test.each(bigints.map((row) => [row[0].name, ...row] as const))('%s returns what it was given, at any offset', (_, codec, min, max) => {
    fc.assert(fc.property(fc.bigInt({ min, max }), fc.nat(16), (value, offset) => {
      const buffer = Buffer.alloc(offset + codec.size);
      codec.encode(value, buffer, offset);
      return codec.decode(buffer, offset) === value;
    }));
    expect(() => codec.encode(max + 1n, Buffer.alloc(8))).toThrow(RangeError);
  });

  test('be* is network order', () => {
    const buffer = Buffer.alloc(14);
    be16.encode(0x0102, buffer, 0);
    be32.encode(0x03040506, buffer, 2);
    be64.encode(0x0708090a0b0c0d0en, buffer, 6);
    expect(buffer.toString('hex')).toBe('0102030405060708090a0b0c0d0e');
  });

  test('bytes copies and keeps to its size', () => {
    const codec = bytes(3);
    const buffer = Buffer.alloc(4);
    codec.encode(Buffer.from([1, 2, 3]), buffer, 1);
    const decoded = codec.decode(buffer, 1);
    buffer.fill(0);
    expect(decoded).toEqual(Buffer.from([1, 2, 3]));
    expect(() => codec.encode(Buffer.alloc(2), buffer)).toThrow(RangeError);
    expect(() => codec.encode(Buffer.alloc(3), buffer, 2)).toThrow(RangeError);
    expect(() => codec.decode(buffer, 2)).toThrow(RangeError);
  });
});
