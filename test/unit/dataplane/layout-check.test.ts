import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap, BpfObject, Btf, describeStruct, readBtf, SystemError } from 'libbpf-ts';
import type { MapInfo, StructLayout } from 'libbpf-ts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { compileBpf, repository, temporaryDirectory } from '../../../native/test/support/compile.js';
import { ensureBpffs, unmountBpffs } from '../../../src/dataplane/bpffs.js';
import { checkLayout, checkObject, compareLayouts, compareMap } from '../../../src/dataplane/layout-check.js';
import { gatewayLayout, mapLayouts, mappingLayout, vmLayout } from '../../../src/dataplane/layout.generated.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const directory = temporaryDirectory();
afterAll(() => directory.remove());

/** The layout of the first struct of a C declaration. */
function layoutOf(declaration: string): StructLayout {
  const name = /struct (\w+) \{/.exec(declaration)![1]!;
  const btf = readBtf(compileBpf(directory.path, 'layout', `#include <linux/types.h>\n${declaration} *layout_${name};`));
  return describeStruct(btf, btf.struct(name));
}

const BASE = 'struct vm { __u32 vni; __be32 address; __u8 mac[6]; __u8 pad[2]; }';

describe('layout-check/compareLayouts', () => {
  test.each([
    ['a field has moved',
      'struct vm { __u32 vni; __u32 more; __be32 address; __u8 mac[6]; __u8 pad[2]; }',
      'struct vm: field address at byte 4 of 4 bytes here, at byte 8 of 4 bytes in the pinned map'],
    ['a field has grown',
      'struct vm { __u32 vni; __be32 address; __u8 mac[8]; }',
      'struct vm: field mac at byte 8 of 6 bytes here, at byte 8 of 8 bytes in the pinned map'],
    ['a field is not there',
      'struct vm { __u32 vni; __be32 tunnel; __u8 mac[6]; __u8 pad[2]; }',
      'struct vm: field address at byte 4 of 4 bytes here, absent in the pinned map'],
    ['a field was added at the end',
      'struct vm { __u32 vni; __be32 address; __u8 mac[6]; __u8 pad[2]; __u32 extra; }',
      'struct vm: field extra absent here, at byte 16 of 4 bytes in the pinned map'],
    ['another byte order',
      'struct vm { __u32 vni; __u32 address; __u8 mac[6]; __u8 pad[2]; }',
      'struct vm: field address is be32 here, u32 in the pinned map'],
    ['another element width',
      'struct vm { __u32 vni; __be32 address; __u16 mac[3]; __u8 pad[2]; }',
      'struct vm: field mac is u8[6] here, u16[3] in the pinned map'],
    ['another alignment',
      'struct vm { __u32 vni; __be32 address; __u8 mac[6]; __u8 pad[2]; } __attribute__((aligned(32)))',
      'struct vm: 16 bytes here, 32 bytes in the pinned map'],
    ['another struct',
      'struct host { __u32 vni; __be32 address; __u8 mac[6]; __u8 pad[2]; }',
      'struct vm here, struct host in the pinned map'],
  ])('%s', (_name, declaration, sentence) => {
    expect(compareLayouts(layoutOf(BASE), layoutOf(declaration))).toBe(sentence);
  });

  test('nothing to say about the same struct', () => {
    expect(compareLayouts(layoutOf(BASE), layoutOf(BASE))).toBeUndefined();
  });

  test('a difference within a nested struct is named with its path', () => {
    const outer = (inner: string): string => `struct outer { __u32 a; struct inner { ${inner} } b; }`;
    expect(compareLayouts(layoutOf(outer('__u32 x; __u32 y;')), layoutOf(outer('__u32 y; __u32 x;'))))
      .toBe('struct outer: field b: struct inner: field x at byte 0 of 4 bytes here, at byte 4 of 4 bytes in the pinned map');
  });
});

describe('layout-check/pinned maps of the kernel', () => {
  const source = (header: string): string => `${header}
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct vm); } vms SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 3); __type(key, __u32); __type(value, __u32); } ports SEC(".maps");
char _license[] SEC("license") = "GPL";
SEC("xdp") int use(struct xdp_md *context) { __u32 zero = 0; return bpf_map_lookup_elem(&vms, &zero) ? 2 : 1; }
`;
  const pins = join(directory.path, 'bpf');
  const opened: BpfObject[] = [];

  beforeAll(() => ensureBpffs(pins));
  afterAll(() => {
    for (const object of opened) object.close();
    unmountBpffs(pins);
  });

  /** Loads the program, pins its map and hands the pin to a check, as a second daemon would find it. */
  function withPinned(header: string, name: string, check: (object: BpfObject, pinned: BpfMap) => void): void {
    const object = BpfObject.open(compileBpf(directory.path, 'pinned', source(header)));
    opened.push(object);
    object.load();
    const path = join(pins, name);
    object.map(name).pin(path);
    const pinned = BpfMap.openPinned(path);
    try {
      check(object, pinned);
    } finally {
      pinned.close();
      object.map(name).unpin(path);
    }
  }

  const header = readFileSync(join(repository, 'bpf/layout.h'), 'utf8').replace('#pragma once', '');

  test.each(['vms', 'events', 'ports'])('a map %s of this very layout is accepted', (name) => {
    withPinned(header, name, (object, pinned) => expect(() => checkLayout(object, name, pinned)).not.toThrow());
  });

  test('fields that have changed places are refused by name, though all sizes are the same', () => {
    const swapped = header.replace(/(struct vm \{\n)(\t__u32 vni;[^\n]*\n)(\t__be32 address;[^\n]*\n)/, '$1$3$2');
    expect(swapped).not.toBe(header);
    withPinned(swapped, 'vms', (object, pinned) => expect(() => checkLayout(object, 'vms', pinned))
      .toThrow('map vms: struct vm: field vni at byte 0 of 4 bytes here, at byte 4 of 4 bytes in the pinned map'));
  });

  test('a map that this daemon does not know is refused', () => {
    withPinned(header, 'vms', (object, pinned) => expect(() => checkLayout(object, 'strangers', pinned)).toThrow('map strangers is unknown to this daemon'));
  });

  test('a map without types is refused where its type matters', () => {
    const map = BpfMap.create({ type: 'array', name: 'vms', keySize: 4, valueSize: vmLayout.size, maxEntries: 1 });
    expect(compareMap('vms', mapLayouts['vms']!, map.info)).toBe('map vms: the pinned map does not tell the type of its key');
    map.close();
  });

  test('the object that was built with this daemon is accepted, another is not', () => {
    const built = join(repository, 'dist/bpf/floatgate.bpf.o');
    expect(() => checkObject(built)).not.toThrow();
    const other = compileBpf(directory.path, 'other', source(header));
    expect(() => checkObject(other)).toThrow(`${other} has other layouts than this daemon was built with`);
  });
});

describe('layout-check/compareMap', () => {
  const info: MapInfo = {
    id: 1, type: 'hash', name: 'm', keySize: 4, valueSize: vmLayout.size, maxEntries: 1, flags: 0, btfId: 9, btfKeyTypeId: 1, btfValueTypeId: 2,
  };
  const expected = { key: { kind: 'u32', size: 4 }, value: { kind: 'struct', size: vmLayout.size, struct: vmLayout } } as const;

  test('sizes come first, for they need no types', () => {
    expect(compareMap('m', expected, { ...info, valueSize: 8 })).toBe(`map m: its value takes ${vmLayout.size} bytes here, 8 bytes in the pinned map`);
    expect(compareMap('m', expected, { ...info, keySize: 8 })).toBe('map m: its key takes 4 bytes here, 8 bytes in the pinned map');
  });

  test('a scalar key of another kind', () => {
    const btf = readBtf(compileBpf(directory.path, 'key', '#include <linux/types.h>\n__be32 *layout_key;'));
    const wire = btf.find('typedef', '__be32')!.id;
    expect(compareMap('m', expected, { ...info, btfKeyTypeId: wire }, () => btf)).toBe('map m: its key is u32 here, be32 in the pinned map');
  });

  test('types that cannot be read are a sentence, a refusal of the kernel is an error', () => {
    expect(compareMap('m', expected, info, () => Btf.parse(Buffer.alloc(24))))
      .toBe('map m: the type of its key in the pinned map cannot be read: not BTF: the magic number is missing');
    expect(() => compareMap('m', expected, info, () => { throw new SystemError('bpf_btf_get_fd_by_id', 1); })).toThrow(SystemError);
  });

  test('layouts of the generated file nest as those of the kernel do', () => {
    expect(compareLayouts(mappingLayout, mappingLayout)).toBeUndefined();
    expect(compareLayouts(gatewayLayout, vmLayout)).toBe('struct gateway here, struct vm in the pinned map');
  });
});
