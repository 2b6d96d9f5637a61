/**
 * Where the fields of a C struct are: the form in which the layout that a
 * program was compiled with is compared with the layout of a map that it finds.
 */
import { Btf, BtfError, type BtfComposite, type BtfInt, type BtfType } from './btf.js';

/** Integers; be* are in network byte order whatever the machine is. */
export type ScalarKind = 'u8' | 'u16' | 'u32' | 'u64' | 'i8' | 'i16' | 'i32' | 'i64'
  | 'be16' | 'be32' | 'be64' | 'bool' | 'pointer';

/** The shape of a map's key or value, or of a field. */
export interface ValueLayout {
  /** opaque: bytes that belong to the kernel, such as a bpf_spin_lock. */
  readonly kind: ScalarKind | 'struct' | 'opaque';
  /** Bytes, of all elements. */
  readonly size: number;
  /** An array of so many; dimensions are flattened. */
  readonly count?: number;
  /** Of kind 'struct'. */
  readonly struct?: StructLayout;
}

export interface FieldLayout extends ValueLayout {
  /** As in C. */
  readonly name: string;
  /** Bytes from the start of its struct. */
  readonly offset: number;
}

export interface StructLayout {
  readonly name: string;
  /** Bytes, trailing padding included. */
  readonly size: number;
  readonly fields: readonly FieldLayout[];
}

export interface EnumLayout {
  readonly name: string;
  /** Enumerators as in C, in the order of their declaration. */
  readonly values: Readonly<Record<string, number | bigint>>;
}

/** undefined: a map without keys (ring buffer), or declared by size alone. */
export interface MapLayout {
  readonly key: ValueLayout | undefined;
  readonly value: ValueLayout | undefined;
}

/** Deeper nesting by value is a cycle. */
const MAX_DEPTH = 16;

/** @throws {BtfError} naming the field for bitfields, unions, anonymous members and floats. */
export function describeStruct(btf: Btf, struct: BtfComposite): StructLayout {
  return describeComposite({ btf, known: new Map() }, struct, 0);
}

/** @throws {BtfError} as {@link describeStruct}. */
export function describeValue(btf: Btf, typeId: number): ValueLayout {
  return describe({ btf, known: new Map() }, typeId, btf.type(typeId).name, 0);
}

/** Kernel structs inside of maps are the kernel's to change. */
export function isKernelStruct(name: string): boolean {
  return name.startsWith('bpf_') || name === 'xdp_md' || name === '__sk_buff';
}

interface Context {
  readonly btf: Btf;
  /** By type id: a struct is described once, however often hostile types nest it in one another. */
  readonly known: Map<number, StructLayout>;
}

function describeComposite(context: Context, struct: BtfComposite, depth: number): StructLayout {
  const known = context.known.get(struct.id);
  if (known !== undefined) return known;
  if (depth > MAX_DEPTH) throw new BtfError(`struct ${struct.name} is nested too deeply or contains itself`);
  if (struct.kind === 'union') throw new BtfError(`union ${struct.name} has no single layout`);
  const fields = struct.members.map((member): FieldLayout => {
    const path = `${struct.name}.${member.name}`;
    if (member.bitfieldSize !== 0 || member.bitOffset % 8 !== 0) throw new BtfError(`${path} is a bitfield`);
    if (member.name === '') throw new BtfError(`struct ${struct.name} has an anonymous member`);
    return { name: member.name, offset: member.bitOffset / 8, ...describe(context, member.type, path, depth) };
  });
  const beyond = fields.find((field) => field.offset + field.size > struct.size);
  if (beyond !== undefined) throw new BtfError(`${struct.name}.${beyond.name} exceeds its struct`);
  const layout = { name: struct.name, size: struct.size, fields };
  context.known.set(struct.id, layout);
  return layout;
}

function describe(context: Context, typeId: number, path: string, depth: number): ValueLayout {
  const { btf } = context;
  let { type, typedefs } = btf.resolve(typeId);
  const size = btf.sizeOf(typeId);
  const isArray = type.kind === 'array';
  let count = 1;
  // sizeOf has refused arrays that are nested endlessly.
  while (type.kind === 'array') {
    count *= type.count;
    ({ type, typedefs } = btf.resolve(type.type));
  }
  const element = describeElement(context, type, typedefs, path, depth);
  return isArray ? { ...element, size, count } : { ...element, size };
}

function describeElement(
  context: Context, type: BtfType, typedefs: readonly string[], path: string, depth: number,
): Pick<ValueLayout, 'kind' | 'struct'> {
  switch (type.kind) {
    case 'int': return { kind: integerKind(type, typedefs, path) };
    case 'pointer': return { kind: 'pointer' };
    case 'enum': case 'enum64': return { kind: sizedKind(type.size, type.signed, path) };
    case 'struct':
      if (isKernelStruct(type.name)) return { kind: 'opaque' };
      return { kind: 'struct', struct: describeComposite(context, type, depth + 1) };
    default: throw new BtfError(`${path} is a ${type.kind}, which has no fixed layout`);
  }
}

function integerKind(type: BtfInt, typedefs: readonly string[], path: string): ScalarKind {
  if (type.bool || type.name === '_Bool') return 'bool';
  if (type.size === 1 && (type.char || type.name === 'char')) return 'u8';
  if (type.bits !== type.size * 8) throw new BtfError(`${path} is a bitfield`);
  const bigEndian = typedefs.find((name) => /^__be(16|32|64)$/.test(name));
  if (bigEndian !== undefined) return bigEndian.slice(2) as ScalarKind;
  return sizedKind(type.size, type.signed, path);
}

function sizedKind(size: number, signed: boolean, path: string): ScalarKind {
  if (![1, 2, 4, 8].includes(size)) throw new BtfError(`${path} is an integer of ${size} bytes`);
  return `${signed ? 'i' : 'u'}${size * 8}` as ScalarKind;
}
