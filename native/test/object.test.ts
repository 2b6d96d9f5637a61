import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BpfMap, BpfObject, kernelBtf, SystemError } from '../lib/index.js';
import { diagnose } from '../lib/binding.js';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, failureOf, mountBpffs, openDescriptors } from './support/fixture.js';

const directory = temporaryDirectory();
let features = '';
let refused = '';
let bpffs: ReturnType<typeof mountBpffs>;

beforeAll(() => {
  features = compileFixture(directory.path, 'features');
  refused = compileFixture(directory.path, 'refused');
  bpffs = mountBpffs(directory.path);
});

afterAll(() => {
  bpffs.unmount();
  directory.remove();
});

describe('open', () => {
  test('lists what the object declares', () => {
    using object = BpfObject.open(features);
    expect([...object.maps.keys()].sort()).toEqual([
      '.bss', '.rodata', 'counters', 'counters_by_key', 'events', 'odd_values', 'pairs', 'ports', 'prefixes',
    ]);
    expect([...object.programs.keys()].sort()).toEqual(['add', 'count_packet', 'emit', 'grow_packet', 'mark_packet', 'queue_verdict']);
    expect(object.map('pairs').info).toMatchObject({ id: 0, type: 'hash', name: 'pairs', keySize: 4, valueSize: 16, maxEntries: 2000 });
    expect(object.program('mark_packet').type).toBe('sched_cls');
    expect(object.program('add').type).toBe('syscall');
  });

  test('a missing name lists the existing ones', () => {
    using object = BpfObject.open(features);
    const error = failureOf(() => object.map('pears'));
    expect(error).toBeInstanceOf(SystemError);
    expect(error.code).toBe('ENOENT');
    expect(error.message).toMatch(/no map 'pears'; it has: .*pairs/);
    expect(failureOf(() => object.program('nothing')).message).toContain('count_packet');
  });

  test('a missing file is ENOENT and names the path', () => {
    const error = failureOf(() => BpfObject.open('/nonexistent/x.bpf.o'));
    expect(error).toMatchObject({ code: 'ENOENT', errno: 2, operation: 'bpf_object__open' });
    expect(error.message).toContain('/nonexistent/x.bpf.o');
  });

  test('a file that is no BPF object is refused with libbpf\'s reason', () => {
    const path = join(directory.path, 'text.o');
    writeFileSync(path, 'this is not an ELF file, but it is long enough to have a header of one'.repeat(4));
    expect(failureOf(() => BpfObject.open(path)).code).toBe('LIBBPF_ERRNO__FORMAT');
  });
});

describe('before load', () => {
  test('maps can be resized, have no descriptor and no elements', () => {
    using object = BpfObject.open(features);
    const map = object.map('pairs');
    expect(failureOf(() => map.fd).code).toBe('EBADF');
    expect(failureOf(() => map.lookup(Buffer.alloc(4))).message).toContain("map 'pairs' is not loaded");
    map.setMaxEntries(17);
    object.load();
    expect(map.info.maxEntries).toBe(17);
    expect(map.info.id).toBeGreaterThan(0);
    expect(failureOf(() => map.setMaxEntries(18)).code).toBe('EINVAL');
  });

  test('constants can be set', () => {
    using object = BpfObject.open(features);
    const constants = object.map('.rodata');
    const value = constants.initialValue();
    expect(value?.readUInt32LE(0)).toBe(1);
    value?.writeUInt32LE(1000, 0);
    constants.setInitialValue(value ?? Buffer.alloc(0));
    object.load();
    object.program('count_packet').testRun({ data: Buffer.alloc(64), repeat: 3 });
    expect(object.map('.bss').lookup(Buffer.alloc(4))?.readBigUInt64LE(0)).toBe(3000n);
    expect(object.map('pairs').info.name).toBe('pairs');
  });

  test('a program can be left out', () => {
    using object = BpfObject.open(features);
    object.program('emit').setAutoload(false);
    object.load();
    expect(failureOf(() => object.program('emit').info).message).toContain("program 'emit' is not loaded");
    expect(object.program('add').info.type).toBe('syscall');
  });

  test('an existing map is reused with its contents', () => {
    const pinned = join(bpffs.path, 'reused');
    using first = BpfObject.open(features);
    first.load();
    first.map('pairs').update(Buffer.from([1, 0, 0, 0]), Buffer.alloc(16, 9));
    first.map('pairs').pin(pinned);

    using second = BpfObject.open(features);
    using existing = BpfMap.openPinned(pinned);
    second.map('pairs').reuse(existing);
    second.load();
    expect(second.map('pairs').info.id).toBe(first.map('pairs').info.id);
    expect(second.map('pairs').lookup(Buffer.from([1, 0, 0, 0]))).toEqual(Buffer.alloc(16, 9));
    first.map('pairs').unpin(pinned);
  });

  test.each(['counters', 'events', 'odd_values', 'ports', 'prefixes'])('%s, as the kernel describes it, is what was declared', (name) => {
    using first = BpfObject.open(features);
    first.load();
    using second = BpfObject.open(features);
    second.map(name).reuse(first.map(name));
    second.load();
    expect(second.map(name).info).toEqual(first.map(name).info);
  });

  test('reuse of a map of another shape names the difference', () => {
    using object = BpfObject.open(features);
    using other = BpfMap.create({ type: 'hash', name: 'other', keySize: 4, valueSize: 24, maxEntries: 2000 });
    const error = failureOf(() => object.map('pairs').reuse(other));
    expect(error.code).toBe('EINVAL');
    expect(error.message).toContain('declares valueSize 16, the existing map has 24');
  });
});

describe('load', () => {
  test('a refused program carries the verifier\'s last words', () => {
    using object = BpfObject.open(refused);
    const error = failureOf(() => object.load());
    expect(error.code).toBe('EACCES');
    expect(error.operation).toBe('bpf_object__load');
    expect(error.message).toContain("R0 invalid mem access 'map_value_or_null'");
    expect(error.message).toContain(refused);
    expect(error.log).toContain('BEGIN PROG LOAD LOG');
  });

  test('the log of accepted programs is there when asked for', () => {
    using quiet = BpfObject.open(features);
    quiet.load();
    expect(quiet.log).toBe('');
    using verbose = BpfObject.open(features, { kernelLogLevel: 1 });
    verbose.load();
    expect(verbose.log).toMatch(/processed \d+ insns/);
  });

  test('a second load and uses after close fail with EBADF', () => {
    const object = BpfObject.open(features);
    object.load();
    expect(failureOf(() => object.load()).code).toBe('EBADF');
    object.close();
    object.close();
    expect(failureOf(() => object.map('pairs').keys().next()).message).toContain("map 'pairs' is closed");
    expect(failureOf(() => object.program('add').testRun({})).message).toContain("program 'add' is closed");
  });

  test('the kernel\'s copy of the types is readable', () => {
    using object = BpfObject.open(features);
    object.load();
    const { btfId, btfValueTypeId } = object.map('pairs').info;
    const btf = kernelBtf(btfId);
    expect(btf.type(btfValueTypeId)).toMatchObject({ kind: 'struct', name: 'pair', size: 16 });
    expect(failureOf(() => kernelBtf(0x7fffffff)).code).toBe('ENOENT');
  });
});

describe('descriptors', () => {
  test('none is left after 1000 objects were loaded and closed', () => {
    const cycle = (): void => {
      using object = BpfObject.open(refused);
      expect(() => object.load()).toThrow();
      using loaded = BpfObject.open(features);
      for (const program of loaded.programs.values()) program.setAutoload(program.name === 'queue_verdict');
      loaded.load();
    };
    cycle();
    const before = openDescriptors();
    for (let i = 0; i < 1000; i++) cycle();
    expect(openDescriptors()).toBe(before);
  }, 60_000);
});

describe('a native addon that cannot be loaded', () => {
  test.each([
    ['libelf.so.1: cannot open shared object file: No such file', /needs libelf\.so\.1: install/],
    ['/x/libbpf_ts.node: wrong ELF class: ELFCLASS32', /built for another architecture/],
    ["/lib/libc.so.6: version `GLIBC_2.38' not found", /newer C library/],
    ['something new', /cannot be loaded: something new/],
  ])('%s', (message, sentence) => {
    expect(diagnose('/x/libbpf_ts.node', message)).toMatch(sentence);
  });
});
