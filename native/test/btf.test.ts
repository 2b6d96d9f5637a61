import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Btf, BtfError, readBtf, type BtfKind, type BtfType } from '../lib/btf.js';
import { ElfError, elfSection } from '../lib/elf.js';
import { describeStruct, describeValue } from '../lib/layout.js';
import { compileBpf, temporaryDirectory } from './support/compile.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** Every kind that clang emits for BPF, each with its awkward cases. */
const EVERY_KIND = `
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
enum small { SMALL_NEGATIVE = -3, SMALL_ZERO = 0, SMALL_BIG = 2147483647 };
enum unsigned_enum { UNSIGNED_TOP = 4294967295u };
enum wide { WIDE = 0x123456789abcdefULL, WIDER = 0xffffffffffffffffULL };
enum wide_signed { WIDE_NEGATIVE = -0x123456789abcdefLL };
struct forward;
struct inner { __be16 port; const volatile __u8 mac[6]; };
typedef struct inner inner_t;
struct every {
  _Bool flag; char letter; __s8 i8; __s16 i16; __s32 i32; __s64 i64; __u64 u64; __be32 wire; __be64 wide_wire;
  enum small small; enum wide wide; inner_t nested; inner_t pair[2]; __u16 grid[2][3];
  struct forward *opaque; int (*function)(const char *restrict text, ...);
  unsigned int bits_a : 3; unsigned int bits_b : 29;
  union { __u32 word; __u8 bytes[4]; };
};
struct every *layout_every;
enum unsigned_enum *layout_enum_unsigned_enum;
enum wide_signed *layout_enum_wide_signed;
float *layout_float;
int __attribute__((btf_type_tag("user"))) *layout_tagged;
int counter __attribute__((btf_decl_tag("declared"))) = 1;
static volatile const int tunable = 7;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u32); __type(value, struct inner); } map SEC(".maps");
__attribute__((noinline)) int twice(int value) { return value * 2 + tunable; }
SEC("xdp") int program(struct xdp_md *context) { counter++; return twice(counter); }
char _license[] SEC("license") = "GPL";
`;

const directory = temporaryDirectory();
let object = '';
let section = Buffer.alloc(0);

beforeAll(() => {
  object = compileBpf(directory.path, 'every', EVERY_KIND);
  section = Buffer.from(elfSection(readFileSync(object), '.BTF') ?? []);
});
afterAll(() => directory.remove());

const BPFTOOL_KINDS: Readonly<Record<Exclude<BtfKind, 'void'>, string>> = {
  int: 'INT', pointer: 'PTR', array: 'ARRAY', struct: 'STRUCT', union: 'UNION', enum: 'ENUM', enum64: 'ENUM64',
  forward: 'FWD', typedef: 'TYPEDEF', volatile: 'VOLATILE', const: 'CONST', restrict: 'RESTRICT', function: 'FUNC',
  prototype: 'FUNC_PROTO', variable: 'VAR', data_section: 'DATASEC', float: 'FLOAT', declaration_tag: 'DECL_TAG',
  type_tag: 'TYPE_TAG',
};

/** What bpftool prints about a type, as far as it is in BtfType too. */
function asBpftool(type: Exclude<BtfType, { kind: 'void' }>): Record<string, unknown> {
  const head = { id: type.id, kind: BPFTOOL_KINDS[type.kind], name: type.name === '' ? '(anon)' : type.name };
  switch (type.kind) {
    case 'int': return { ...head, size: type.size, nr_bits: type.bits };
    case 'array': return { ...head, type_id: type.type, index_type_id: type.indexType, nr_elems: type.count };
    case 'struct': case 'union':
      return {
        ...head, size: type.size, vlen: type.members.length,
        members: type.members.map((member) => ({
          name: member.name === '' ? '(anon)' : member.name, type_id: member.type, bits_offset: member.bitOffset,
          ...(member.bitfieldSize === 0 ? {} : { bitfield_size: member.bitfieldSize }),
        })),
      };
    case 'enum': case 'enum64':
      return { ...head, size: type.size, vlen: type.values.length, values: type.values.map(({ name }) => name) };
    case 'forward': return { ...head, fwd_kind: type.union ? 'union' : 'struct' };
    case 'prototype':
      return {
        ...head, ret_type_id: type.type,
        params: type.parameters.map(({ name, type: id }) => ({ name: name === '' ? '(anon)' : name, type_id: id })),
      };
    case 'variable': return { ...head, type_id: type.type, linkage: type.linkage };
    case 'data_section':
      return { ...head, vars: type.variables.map(({ type: id, offset, size }) => ({ type_id: id, offset, size })) };
    case 'float': return { ...head, size: type.size };
    case 'declaration_tag': return { ...head, type_id: type.type, component_idx: type.component };
    default: return { ...head, type_id: type.type };
  }
}

/** bpftool's JSON, with enumerators reduced to names: JSON numbers cannot hold 64 bits; values are tested below. */
function bpftoolTypes(path: string): Record<string, unknown>[] {
  const printed = JSON.parse(execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', path], { encoding: 'utf8' })) as
    { types: Record<string, unknown>[] };
  return printed.types.map((type) => {
    const values = type['values'] as { name: string }[] | undefined;
    return values === undefined ? type : { ...type, values: values.map(({ name }) => name) };
  });
}

describe('btf/parse', () => {
  test('reads every type of an object as bpftool does', () => {
    const types = readBtf(object).types.slice(1) as Exclude<BtfType, { kind: 'void' }>[];
    const expected = bpftoolTypes(object);
    expect(types.length).toBe(expected.length);
    types.forEach((type, index) => expect(expected[index]).toMatchObject(asBpftool(type)));
  });

  test('the object contains every kind', () => {
    const kinds = new Set(readBtf(object).types.map((type) => type.kind));
    expect([...kinds].sort()).toEqual([...Object.keys(BPFTOOL_KINDS), 'void'].sort());
  });

  test('enumerators keep their sign and all 64 bits', () => {
    const btf = readBtf(object);
    expect(btf.find('enum', 'small')?.values.map(({ value }) => value)).toEqual([-3, 0, 2147483647]);
    expect(btf.find('enum', 'unsigned_enum')?.values[0]?.value).toBe(4294967295);
    expect(btf.find('enum64', 'wide')?.values.map(({ value }) => value)).toEqual([0x123456789abcdefn, 2n ** 64n - 1n]);
    expect(btf.find('enum64', 'wide_signed')?.values[0]?.value).toBe(-0x123456789abcdefn);
  });

  test('a name resolves through typedefs and qualifiers, and has the size that the compiler gave it', () => {
    const btf = readBtf(object);
    const every = btf.struct('every');
    const member = (name: string): number => every.members.find((candidate) => candidate.name === name)?.type ?? -1;
    expect(btf.resolve(member('wire'))).toMatchObject({ typedefs: ['__be32', '__u32'], type: { kind: 'int', size: 4 } });
    expect(btf.sizeOf(member('grid'))).toBe(12);
    expect(btf.sizeOf(member('pair'))).toBe(16);
    expect(btf.sizeOf(member('opaque'))).toBe(8);
    expect(() => btf.struct('absent')).toThrow('BTF has no struct absent');
  });

  test('the running kernel can be read', () => {
    const btf = readBtf('/sys/kernel/btf/vmlinux');
    const list = btf.struct('list_head');
    expect(list.members.map(({ name, bitOffset }) => [name, bitOffset])).toEqual([['next', 0], ['prev', 64]]);
    expect(describeStruct(btf, btf.struct('ethhdr')).fields.map(({ name, offset, size, kind }) => [name, offset, size, kind]))
      .toEqual([['h_dest', 0, 6, 'u8'], ['h_source', 6, 6, 'u8'], ['h_proto', 12, 2, 'be16']]);
  });
});

describe('layout/describe', () => {
  test('what has no fixed layout is refused by the name of the field', () => {
    const btf = readBtf(object);
    expect(() => describeStruct(btf, btf.struct('every'))).toThrow(/every\.bits_a is a bitfield/);
  });

  test('a typedef of a qualified struct is described by its fields', () => {
    const btf = readBtf(object);
    const typedef = btf.find('typedef', 'inner_t');
    expect(describeValue(btf, typedef?.id ?? -1)).toEqual({
      kind: 'struct', size: 8,
      struct: {
        name: 'inner', size: 8,
        fields: [{ name: 'port', offset: 0, size: 2, kind: 'be16' }, { name: 'mac', offset: 2, size: 6, kind: 'u8', count: 6 }],
      },
    });
  });
});

/** Does with untrusted BTF whatever the library does with it. */
function useEverything(bytes: Buffer): void {
  const btf = Btf.parse(bytes);
  for (const type of btf.types) {
    for (const use of [() => btf.resolve(type.id), () => btf.sizeOf(type.id), () => describeValue(btf, type.id)]) {
      try {
        use();
      } catch (error) {
        if (!(error instanceof BtfError)) throw error;
      }
    }
  }
}

function expectOnly(errors: readonly (new (...all: never[]) => Error)[], use: () => void): void {
  try {
    use();
  } catch (error) {
    if (!errors.some((known) => error instanceof known)) throw error;
  }
}

/** BTF of hand-written types: each a list of words behind its name. */
function craft(types: readonly (readonly number[])[], strings = '\0a\0'): Buffer {
  const body = Buffer.alloc(types.flat().length * 4);
  types.flat().forEach((word, index) => body.writeUInt32LE(word >>> 0, index * 4));
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header[2] = 1;
  [24, 0, body.length, body.length, strings.length].forEach((word, index) => header.writeUInt32LE(word, 4 + index * 4));
  return Buffer.concat([header, body, Buffer.from(strings, 'latin1')]);
}

const kind = (number: number, count = 0): number => (number << 24) | count;

describe('btf/hostile', () => {
  const cases: [string, Buffer, string | RegExp][] = [
    ['nothing', Buffer.alloc(0), 'BTF of 0 bytes has no header'],
    ['another magic number', Buffer.alloc(24, 1), 'the magic number is missing'],
    ['unknown kind', craft([[1, kind(31), 0]]), 'BTF type 1 is of unknown kind 31'],
    ['kind zero', craft([[1, kind(0), 0]]), 'BTF type 1 is of unknown kind 0'],
    ['reference beyond the types', craft([[1, kind(8), 9]]), 'BTF type 1 (a) refers to type 9 of only 2'],
    ['name beyond the strings', craft([[77, kind(2), 0]]), 'BTF name at 77 exceeds the strings'],
    ['unterminated name', craft([[1, kind(2), 0]], '\0a'), 'BTF name at 1 exceeds the strings'],
    ['members that are not there', craft([[1, kind(4, 65535), 8]]), 'BTF ends within a type'],
    ['member behind its struct', craft([[1, kind(4, 1), 4, 1, 1, 999]]), 'BTF member a.a begins behind its struct'],
    ['absurd integer', craft([[1, kind(1), 4, 64]]), 'BTF integer a has 64 bits in 4 bytes'],
  ];
  test.each(cases)('%s', (_name, bytes, message) => {
    expect(() => Btf.parse(bytes)).toThrow(BtfError);
    expect(() => Btf.parse(bytes)).toThrow(message);
  });

  test('typedefs in a circle', () => {
    const btf = Btf.parse(craft([[1, kind(8), 2], [1, kind(8), 1]]));
    expect(() => btf.resolve(1)).toThrow('BTF type 1 does not resolve within 32 steps');
  });

  test('an array of itself', () => {
    const btf = Btf.parse(craft([[0, kind(3), 0, 1, 1, 2]]));
    expect(() => btf.sizeOf(1)).toThrow(BtfError);
    expect(() => describeValue(btf, 1)).toThrow(BtfError);
  });

  test('a struct within itself', () => {
    const btf = Btf.parse(craft([[1, kind(4, 1), 4, 1, 1, 0]]));
    expect(() => describeValue(btf, 1)).toThrow('struct a is nested too deeply or contains itself');
  });

  test('structs that nest exponentially cost linear time', () => {
    const members = (type: number): number[] => Array.from({ length: 64 }, () => [1, type, 0]).flat();
    const level = (index: number): number[] => [1, kind(4, 64), 4, ...members(index)];
    const levels = Array.from({ length: 14 }, (_, index) => level(index + 1));
    const btf = Btf.parse(craft([[1, kind(1), 4, 32], ...levels]));
    expect(describeValue(btf, 15).size).toBe(4);
  });

  test('no mutation of real BTF gets past the checks', () => {
    const mutation = fc.array(fc.tuple(fc.nat(section.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 12 });
    fc.assert(fc.property(mutation, (changes) => {
      const bytes = Buffer.from(section);
      for (const [at, value] of changes) bytes[at] = value;
      expectOnly([BtfError], () => useEverything(bytes));
    }), { numRuns: 400 });
  });

  test('no truncation of real BTF gets past the checks', () => {
    fc.assert(fc.property(fc.nat(section.length - 1), (length) => {
      expect(() => Btf.parse(section.subarray(0, length))).toThrow(BtfError);
    }));
  });

  test('no mutation of an ELF file gets past the checks', () => {
    const file = readFileSync(object);
    const headers = Number(file.readBigUInt64LE(40));
    const place = fc.oneof(fc.nat(63), fc.integer({ min: headers, max: file.length - 1 }));
    fc.assert(fc.property(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(file);
      for (const [at, value] of changes) bytes[at] = value;
      expectOnly([ElfError], () => elfSection(bytes, '.BTF'));
    }), { numRuns: 400 });
  });

  test('an object without BTF says how to get it', () => {
    expect(() => readBtf('/proc/self/exe')).toThrow('has no .BTF section: was it compiled with -g?');
  });
});
