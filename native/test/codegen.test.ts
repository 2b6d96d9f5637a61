import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { generate, select } from '../codegen/index.js';
import { camelCase, commonPrefix, isCount, isPadding } from '../codegen/names.js';
import { readBtf } from '../lib/btf.js';
import { isKernelStruct, type FieldLayout, type MapLayout, type StructLayout } from '../lib/layout.js';
import { compileBpf, repository, temporaryDirectory } from './support/compile.js';
import { measure, readHeader, type Declared, type DeclaredField, type Measured } from './support/header.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

interface AnyCodec {
  readonly name: string;
  readonly size: number;
  encode(value: unknown, into: Buffer, offset?: number): void;
  decode(from: Buffer, offset?: number): Record<string, unknown>;
}
type Generated = Record<string, unknown> & { layoutHash: string; mapLayouts: Record<string, MapLayout> };

const directory = temporaryDirectory();
let declared: Declared;
let measured: Measured;
let object = '';
let text = '';
let generated: Generated;

/** A program without code whose BTF holds everything that bpf/layout.h declares. */
function layoutProgram({ structs, enums }: Declared): string {
  return `#include "layout.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
${[...structs.keys()].map((name) => `struct ${name} *layout_${name};`).join('\n')}
${[...enums.keys()].map((name) => `enum ${name} *layout_enum_${name};`).join('\n')}
struct unrelated { int x; } *not_selected;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, __be32); __type(value, struct vm); } a_hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 24); } a_sized_array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } a_ring SEC(".maps");
`;
}

beforeAll(async () => {
  declared = readHeader(readFileSync(join(repository, 'bpf/layout.h'), 'utf8'));
  measured = measure(directory.path, 'layout.h', declared);
  object = compileBpf(directory.path, 'layout', layoutProgram(declared));
  text = generate(readBtf(object), { source: 'layout.bpf.o' });
  const path = join(directory.path, 'layout.generated.ts');
  writeFileSync(path, text);
  generated = await import(path) as Generated;
});
afterAll(() => directory.remove());

function layoutOf(name: string): StructLayout {
  return generated[`${camelCase(name)}Layout`] as StructLayout;
}

function codecOf(name: string): AnyCodec {
  return generated[`${camelCase(name)}Codec`] as AnyCodec;
}

/** A bpf_spin_lock and its like, by the declared type. */
function isKernels(field: DeclaredField): boolean {
  return field.ctype.startsWith('struct ') && isKernelStruct(field.ctype.slice('struct '.length));
}

function isHidden(field: DeclaredField): boolean {
  return isPadding(field.name) || isKernels(field);
}

describe('codegen/layout.h against gcc', () => {
  test('the header has structs and enums to compare', () => {
    expect(declared.structs.size).toBeGreaterThan(10);
    expect(declared.enums.size).toBeGreaterThan(5);
    expect([...declared.structs.values()].every((fields) => fields.length > 0)).toBe(true);
  });

  test('every field is where gcc puts it', () => {
    for (const [name, { size, fields }] of Object.entries(measured.structs)) {
      const layout = layoutOf(name);
      expect({ name, size: layout.size }).toEqual({ name, size });
      const actual = layout.fields.map((field) => [field.name, { offset: field.offset, size: field.size, element: field.size / (field.count ?? 1) }]);
      expect([name, Object.fromEntries(actual)]).toEqual([name, fields]);
      const shown = new Set(declared.structs.get(name)!.filter((field) => !isHidden(field)).map((field) => field.name));
      const offsets = Object.entries(fields).filter(([field]) => shown.has(field)).map(([field, { offset }]) => [camelCase(field), offset]);
      expect(generated[`${camelCase(name)}Offsets`]).toEqual(Object.fromEntries(offsets));
    }
  });

  test('byte order and width follow the declared type', () => {
    const kinds: Record<string, string> = {
      __u8: 'u8', __u16: 'u16', __u32: 'u32', __u64: 'u64', __be16: 'be16', __be32: 'be32', __be64: 'be64', __s32: 'i32', __s64: 'i64',
    };
    for (const [name, fields] of declared.structs) {
      const actual = layoutOf(name).fields.map((field) => [field.name, field.kind, field.struct?.name]);
      const expected = fields.map((field) => isKernels(field)
        ? [field.name, 'opaque', undefined]
        : field.ctype.startsWith('struct ')
          ? [field.name, 'struct', field.ctype.slice('struct '.length)]
          : [field.name, kinds[field.ctype], undefined]);
      expect([name, actual]).toEqual([name, expected]);
    }
  });

  test('every enumerator has the value that gcc gives it, as property and as name', () => {
    for (const [name, values] of Object.entries(measured.enums)) {
      const object = generated[camelCase(name)] as Record<string, number>;
      const names = generated[`${camelCase(name)}Names`] as Record<number, string>;
      const count = generated[`${camelCase(name)}Count`] as number | undefined;
      for (const [enumerator, value] of Object.entries(values)) {
        const label = names[value];
        if (label === undefined) {
          expect([enumerator, count]).toEqual([enumerator, value]);
          continue;
        }
        expect(enumerator.toLowerCase().endsWith(label)).toBe(true);
        expect(object[camelCase(label)]).toBe(value);
      }
      expect(Object.keys(object).length + (count === undefined ? 0 : 1)).toBe(Object.keys(values).length);
    }
  });

  test('labels of reasons are the words of the metrics', () => {
    const reasons = generated['reason'] as Record<string, number>;
    const names = generated['reasonNames'] as string[];
    expect(names[reasons['dropSyncMac']!]).toBe('drop_sync_mac');
    expect(names.length).toBe(generated['reasonCount']);
    expect(names.length).toBe(measured.enums['reason']!['REASONS']);
  });
});

function arbitrary(field: FieldLayout): fc.Arbitrary<unknown> {
  if (field.kind === 'u8' && field.count !== undefined) {
    return fc.uint8Array({ minLength: field.size, maxLength: field.size }).map((bytes) => Buffer.from(bytes));
  }
  const element = field.struct !== undefined ? arbitraryStruct(field.struct) : arbitraryScalar(field);
  return field.count === undefined ? element : fc.array(element, { minLength: field.count, maxLength: field.count });
}

function arbitraryScalar(field: FieldLayout): fc.Arbitrary<unknown> {
  const bits = (8 * field.size) / (field.count ?? 1);
  return bits === 64 ? fc.bigInt(0n, 2n ** 64n - 1n) : fc.integer({ min: 0, max: 2 ** bits - 1 });
}

function arbitraryStruct(layout: StructLayout): fc.Arbitrary<Record<string, unknown>> {
  const shown = layout.fields.filter((field) => !isPadding(field.name) && field.kind !== 'opaque');
  return fc.record(Object.fromEntries(shown.map((field) => [camelCase(field.name), arbitrary(field)])), { noNullPrototype: true });
}

/** The bytes by the declared types and gcc's offsets alone. */
function expectedBytes(name: string, value: Record<string, unknown>): Buffer {
  const { size, fields } = measured.structs[name]!;
  const bytes = Buffer.alloc(size);
  for (const { name: field, ctype, array } of declared.structs.get(name)!.filter((candidate) => !isHidden(candidate))) {
    const { offset, element } = fields[field]!;
    const elements = (array && !Buffer.isBuffer(value[camelCase(field)]) ? value[camelCase(field)] : [value[camelCase(field)]]) as unknown[];
    elements.forEach((item, index) => {
      const at = offset + index * element;
      if (Buffer.isBuffer(item)) item.copy(bytes, at);
      else if (ctype.startsWith('struct ')) expectedBytes(ctype.slice(7), item as Record<string, unknown>).copy(bytes, at);
      else {
        const hex = BigInt(item as number | bigint).toString(16).padStart(element * 2, '0');
        const wire = Buffer.from(hex, 'hex');
        (ctype.startsWith('__be') ? wire : wire.reverse()).copy(bytes, at);
      }
    });
  }
  return bytes;
}

describe('codegen/codec', () => {
  test('every struct survives the way to bytes and back, at any offset, with padding zero', () => {
    for (const name of declared.structs.keys()) {
      const codec = codecOf(name);
      fc.assert(fc.property(arbitraryStruct(layoutOf(name)), fc.nat(9), (value, offset) => {
        const bytes = Buffer.alloc(codec.size + offset + 3, 0xff);
        codec.encode(value, bytes, offset);
        expect(bytes.subarray(offset, offset + codec.size)).toEqual(expectedBytes(name, value));
        expect(bytes.subarray(0, offset).every((byte) => byte === 0xff)).toBe(true);
        expect(bytes.subarray(offset + codec.size)).toEqual(Buffer.alloc(3, 0xff));
        expect(codec.decode(bytes, offset)).toEqual(value);
      }), { numRuns: 50 });
    }
  });

  test('a decoded value does not alias the map that it was read from', () => {
    const memory = Buffer.alloc(codecOf('vm').size);
    const { mac } = codecOf('vm').decode(memory) as { mac: Buffer };
    memory.fill(0xee);
    expect(mac).toEqual(Buffer.alloc(6));
  });

  test('buffers that are too short and values of the wrong shape are refused', () => {
    const vm = codecOf('vm');
    const value = vm.decode(Buffer.alloc(vm.size));
    for (let size = 0; size < vm.size; size++) {
      expect(() => vm.decode(Buffer.alloc(size)), `${size} bytes`).toThrow(RangeError);
      expect(() => vm.encode(value, Buffer.alloc(size)), `${size} bytes`).toThrow(RangeError);
    }
    expect(() => vm.encode({ ...value, mac: Buffer.alloc(5) }, Buffer.alloc(vm.size)))
      .toThrow('vm.mac takes 6 elements, not 5');
    expect(() => vm.encode({ ...value, vni: 2 ** 32 }, Buffer.alloc(vm.size))).toThrow(RangeError);
  });
});

describe('codegen/module', () => {
  test('maps are described by type or by size; a ring buffer by nothing', () => {
    const maps = generated.mapLayouts;
    expect(maps['a_hash']).toEqual({ key: { kind: 'be32', size: 4 }, value: { kind: 'struct', size: layoutOf('vm').size, struct: layoutOf('vm') } });
    expect(maps['a_sized_array']).toEqual({ key: { kind: 'opaque', size: 4 }, value: { kind: 'opaque', size: 24 } });
    expect(maps['a_ring']).toEqual({ key: undefined, value: undefined });
  });

  test('only what layout_ variables and maps name is generated', () => {
    expect(text).not.toContain('unrelated');
    expect(generate(readBtf(object), { source: 'x', types: ['unrelated'] })).toContain('export const unrelatedCodec');
    expect(() => select(readBtf(object), ['absent'])).toThrow('the object declares neither struct absent nor enum absent');
  });

  test('the order of declarations does not change the output', () => {
    const reversed: Declared = { structs: new Map([...declared.structs].reverse()), enums: new Map([...declared.enums].reverse()) };
    const other = compileBpf(directory.path, 'reversed', layoutProgram(reversed));
    expect(generate(readBtf(other), { source: 'layout.bpf.o' })).toBe(text);
  });

  test('the hash changes with any field', () => {
    const hash = (fields: string): string => {
      const source = `#include <linux/types.h>\nstruct a { ${fields} } *layout_a;`;
      return /layoutHash = '(\w{32})'/.exec(generate(readBtf(compileBpf(directory.path, 'hash', source)), { source: '' }))![1]!;
    };
    const hashes = ['__u32 x; __u32 y;', '__u32 y; __u32 x;', '__u32 x; __be32 y;', '__u64 x;', '__u32 x; __s32 y;'].map(hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hash('__u32 x; __u32 y;')).toBe(hashes[0]);
  });

  test('what is the kernel\'s own takes its place, but is nobody\'s to write', () => {
    const source = '#include <linux/bpf.h>\nstruct a { struct bpf_spin_lock lock; __u32 x; } *layout_a;';
    const module = generate(readBtf(compileBpf(directory.path, 'lock', source)), { source: '' });
    expect(module).toContain('export interface A {\n  x: number;\n}');
    expect(module).toContain("{ name: 'lock', offset: 0, size: 4, kind: 'opaque' }");
    expect(module).toContain('into.fill(0, offset, offset + 8)');
  });

  test('what cannot be expressed is refused by name', () => {
    const from = (source: string) => () => select(readBtf(compileBpf(directory.path, 'refused', `#include <linux/types.h>\n${source}`)));
    expect(from('struct a { __u32 x : 3; } *layout_a;')).toThrow('a.x is a bitfield');
    expect(from('struct a { union { __u32 x; __u8 y; }; } *layout_a;')).toThrow('struct a has an anonymous member');
    expect(from('struct a { union u { __u32 x; __u8 y; } z; } *layout_a;')).toThrow('a.z is a union, which has no fixed layout');
    expect(from('struct a *layout_a;')).toThrow('variable layout_a is of an undeclared type');
  });

  test('the compiler accepts the module under the strictest settings', () => {
    writeFileSync(join(directory.path, 'libbpf-ts.ts'), `
      export interface Codec<T> { readonly name: string; readonly size: number; encode(value: T, into: Buffer, offset?: number): void; decode(from: Buffer, offset?: number): T }
      export type * from '${join(repository, 'native/lib/layout.js')}';`);
    writeFileSync(join(directory.path, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(directory.path, 'tsconfig.json'), JSON.stringify({
      extends: join(repository, 'tsconfig.json'),
      compilerOptions: {
        noEmit: true, incremental: false, rootDir: '/', paths: { 'libbpf-ts': ['./libbpf-ts.ts'] },
        typeRoots: [join(repository, 'node_modules/@types')],
      },
      files: ['layout.generated.ts'], include: [],
    }));
    const compiler = join(repository, 'node_modules/typescript/bin/tsc');
    const { stdout, status } = spawnSync(process.execPath, [compiler, '-p', directory.path], { encoding: 'utf8' });
    expect([stdout, status]).toEqual(['', 0]);
  }, 60_000);
});

describe('codegen/main', () => {
  const run = (...args: string[]): { status: number; error: string } => {
    const runner = join(repository, 'node_modules/vite-node/vite-node.mjs');
    const { status, stderr } = spawnSync(process.execPath, [runner, join(repository, 'native/codegen/main.ts'), '--', ...args], { encoding: 'utf8' });
    return { status: status ?? -1, error: stderr };
  };

  test('writes, accepts what it wrote, and refuses anything else', () => {
    const output = join(directory.path, 'main.ts');
    expect(run('--object', object, '--output', output)).toEqual({ status: 0, error: '' });
    expect(readFileSync(output, 'utf8')).toBe(text);
    expect(run('--object', object, '--output', output, '--check').status).toBe(0);
    writeFileSync(output, `${text} `);
    const check = run('--object', object, '--output', output, '--check');
    expect(check.status).toBe(1);
    expect(check.error).toContain('run `npm run generate` and commit the result');
    expect(readFileSync(output, 'utf8')).toBe(`${text} `);
  }, 60_000);

  test('a missing object is one sentence, not a stack', () => {
    const { status, error } = run('--object', '/nonexistent.o', '--output', '/nonexistent.ts');
    expect(status).toBe(2);
    expect(error.trim().split('\n')).toHaveLength(1);
  }, 60_000);
});

describe('codegen/names', () => {
  test('prefixes end at whole words and leave something of every name', () => {
    expect(commonPrefix('reason', ['REASON_A', 'REASON_AB'])).toBe('REASON_');
    expect(commonPrefix('x', ['RECORD_VM', 'RECORD_VM_OLD'])).toBe('RECORD_');
    expect(commonPrefix('vm_flag', ['VM_COMMITTED'])).toBe('VM_');
    expect(commonPrefix('x', ['ALPHA', 'BETA'])).toBe('');
  });

  test('an enumerator that counts the others is recognised', () => {
    expect(isCount('REASONS', 'reason', 'REASON_')).toBe(true);
    expect(isCount('INTERFACES', 'interface_role', 'INTERFACE_')).toBe(true);
    expect(isCount('MAPPING_PROTOCOLS', 'mapping_protocol', 'MAPPING_')).toBe(true);
    expect(isCount('SESSION_CLOSING', 'session_state', 'SESSION_')).toBe(false);
  });

  test('padding is what is called pad, with or without a number', () => {
    expect(['pad', 'pad2', 'pad_3', '__pad', 'padding'].every(isPadding)).toBe(true);
    expect(['padlock', 'ipad', 'paddington'].some(isPadding)).toBe(false);
  });
});
