/**
 * Do the bytes in a pinned map mean what this daemon believes they mean? The
 * layouts that it was built with (layout.generated.ts) against the types that
 * the kernel keeps with the map.
 */
import { BtfError, describeValue, kernelBtf, readBtf } from 'libbpf-ts';
import type { BpfMap, BpfObject, Btf, FieldLayout, MapInfo, MapLayout, StructLayout, ValueLayout } from 'libbpf-ts';
import { layoutHash as hashOf, select } from 'libbpf-ts/codegen';
import { layoutHash, mapLayouts } from './layout.generated.js';

/** Map types for which libbpf hands no types to the kernel; their sizes must do. */
const UNTYPED: ReadonlySet<string> = new Set(['ringbuf', 'devmap', 'devmap_hash', 'cpumap', 'xskmap', 'prog_array', 'perf_event_array']);

/**
 * The first difference between two structs, as a sentence naming struct and field.
 * @param theirs what `ours` is compared with, e.g. 'in the pinned map'
 * @returns undefined if every byte means the same
 */
export function compareLayouts(expected: StructLayout, actual: StructLayout, theirs = 'in the pinned map'): string | undefined {
  const struct = `struct ${expected.name}`;
  if (expected.name !== actual.name) return `${struct} here, struct ${actual.name} ${theirs}`;
  for (const field of expected.fields) {
    const other = actual.fields.find((candidate) => candidate.name === field.name);
    if (other === undefined) return `${struct}: field ${field.name} ${place(field)} here, absent ${theirs}`;
    const difference = compareFields(field, other, theirs);
    if (difference !== undefined) return `${struct}: ${difference}`;
  }
  const extra = actual.fields.find((field) => !expected.fields.some(({ name }) => name === field.name));
  if (extra !== undefined) return `${struct}: field ${extra.name} absent here, ${place(extra)} ${theirs}`;
  if (expected.size !== actual.size) return `${struct}: ${expected.size} bytes here, ${actual.size} bytes ${theirs}`;
  return undefined;
}

function compareFields(expected: FieldLayout, actual: FieldLayout, theirs: string): string | undefined {
  if (expected.offset !== actual.offset || expected.size !== actual.size) {
    return `field ${expected.name} ${place(expected)} here, ${place(actual)} ${theirs}`;
  }
  return compareValues(`field ${expected.name}`, expected, actual, theirs);
}

function compareValues(what: string, expected: ValueLayout, actual: ValueLayout, theirs: string): string | undefined {
  if (expected.struct !== undefined && actual.struct !== undefined) {
    const difference = compareLayouts(expected.struct, actual.struct, theirs);
    if (difference !== undefined) return `${what}: ${difference}`;
  }
  const [ours, others] = [kindOf(expected), kindOf(actual)];
  return ours === others ? undefined : `${what} is ${ours} here, ${others} ${theirs}`;
}

function place({ offset, size }: FieldLayout): string {
  return `at byte ${offset} of ${size} bytes`;
}

/** As one would write it in C: be32, u8[6], struct session. */
function kindOf({ kind, count, size, struct }: ValueLayout): string {
  const element = struct === undefined ? (kind === 'opaque' ? `${size} bytes` : kind) : `struct ${struct.name}`;
  return count === undefined ? element : `${element}[${count}]`;
}

/**
 * The first difference between a map as this daemon knows it and as the kernel has it.
 * @param readTypes of a BTF id; throws BtfError when they are malformed
 */
export function compareMap(
  name: string, expected: MapLayout, info: MapInfo, readTypes: (btfId: number) => Btf = kernelBtf,
): string | undefined {
  const sides = [
    { side: 'key', layout: expected.key, size: info.keySize, typeId: info.btfKeyTypeId },
    { side: 'value', layout: expected.value, size: info.valueSize, typeId: info.btfValueTypeId },
  ].filter((side): side is MapSide => side.layout !== undefined);
  for (const { side, layout, size } of sides) {
    if (layout.size !== size) return `map ${name}: its ${side} takes ${layout.size} bytes here, ${size} bytes in the pinned map`;
  }
  if (UNTYPED.has(info.type)) return undefined;
  for (const { side, layout, typeId } of sides) {
    if (layout.kind === 'opaque') continue;
    if (info.btfId === 0 || typeId === 0) return `map ${name}: the pinned map does not tell the type of its ${side}`;
    const difference = compareSide(side, layout, typeId, () => readTypes(info.btfId));
    if (difference !== undefined) return `map ${name}: ${difference}`;
  }
  return undefined;
}

interface MapSide { readonly side: string; readonly layout: ValueLayout; readonly size: number; readonly typeId: number }

function compareSide(side: string, expected: ValueLayout, typeId: number, types: () => Btf): string | undefined {
  try {
    const actual = describeValue(types(), typeId);
    if (expected.struct !== undefined && actual.struct !== undefined) return compareLayouts(expected.struct, actual.struct);
    return compareValues(`its ${side}`, expected, actual, 'in the pinned map');
  } catch (error) {
    if (error instanceof BtfError) return `the type of its ${side} in the pinned map cannot be read: ${error.message}`;
    throw error;
  }
}

/**
 * Refuses a pinned map whose bytes mean something else than this daemon's.
 * @throws Error with one sentence, naming map, struct and field; SystemError EPERM without CAP_SYS_ADMIN
 */
export function checkLayout(_object: BpfObject, name: string, pinned: BpfMap): void {
  const expected = mapLayouts[name];
  if (expected === undefined) throw new Error(`map ${name} is unknown to this daemon: rebuild it (npm run build)`);
  const difference = compareMap(name, expected, pinned.info);
  if (difference !== undefined) throw new Error(difference);
}

/**
 * Refuses an object file that was compiled from another layout.h than this daemon.
 * @throws Error with one sentence; BtfError for an object without types
 */
export function checkObject(path: string): void {
  if (hashOf(select(readBtf(path))) !== layoutHash) {
    throw new Error(`${path} has other layouts than this daemon was built with: rebuild both (npm run build)`);
  }
}
