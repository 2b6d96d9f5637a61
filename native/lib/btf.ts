/**
 * A reader of BTF, the type information of BPF objects, maps and the kernel
 * (Documentation/bpf/btf.rst): pure TypeScript, every kind up to ENUM64.
 *
 * The bytes may come from anyone's pinned map, so they are hostile input: all
 * bounds and references are checked when they are parsed, cycles when they are
 * followed.
 */
import { readFileSync } from 'node:fs';
import { elfSection, isElf } from './elf.js';

const MAGIC = 0xeb9f;
const MAGIC_SWAPPED = 0x9feb;
const VERSION = 1;
const HEADER_SIZE = 24;
const POINTER_SIZE = 8;
/** Deeper chains than the kernel itself accepts (MAX_RESOLVE_DEPTH) are cycles or mischief. */
const MAX_DEPTH = 32;
const MAX_NAME_BYTES = 512;

/** The bytes are not BTF, contradict themselves, or lack what was asked for. */
export class BtfError extends Error {
  readonly code = 'ERR_BTF';
  override readonly name = 'BtfError';
}

export interface BtfInt {
  readonly kind: 'int'; readonly id: number; readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly bits: number;
  readonly signed: boolean; readonly char: boolean; readonly bool: boolean;
}
export interface BtfFloat { readonly kind: 'float'; readonly id: number; readonly name: string; readonly size: number }
export interface BtfMember {
  /** '' for an anonymous struct or union. */
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0: not a bitfield. */
  readonly bitfieldSize: number;
}
export interface BtfComposite {
  readonly kind: 'struct' | 'union'; readonly id: number; readonly name: string;
  readonly size: number; readonly members: readonly BtfMember[];
}
export interface BtfArray {
  readonly kind: 'array'; readonly id: number; readonly name: '';
  readonly type: number; readonly indexType: number; readonly count: number;
}
export interface BtfEnum {
  readonly kind: 'enum'; readonly id: number; readonly name: string; readonly size: number; readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}
export interface BtfEnum64 {
  readonly kind: 'enum64'; readonly id: number; readonly name: string; readonly size: number; readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}
/** A type that is another type under a name, with a qualifier, or one step away. */
export interface BtfReference {
  readonly kind: 'pointer' | 'typedef' | 'volatile' | 'const' | 'restrict' | 'type_tag' | 'function';
  readonly id: number; readonly name: string; readonly type: number;
}
export interface BtfForward { readonly kind: 'forward'; readonly id: number; readonly name: string; readonly union: boolean }
export interface BtfPrototype {
  readonly kind: 'prototype'; readonly id: number; readonly name: ''; readonly type: number;
  readonly parameters: readonly { readonly name: string; readonly type: number }[];
}
export interface BtfVariable {
  readonly kind: 'variable'; readonly id: number; readonly name: string; readonly type: number;
  readonly linkage: 'static' | 'global' | 'extern';
}
export interface BtfDataSection {
  readonly kind: 'data_section'; readonly id: number; readonly name: string; readonly size: number;
  readonly variables: readonly { readonly type: number; readonly offset: number; readonly size: number }[];
}
export interface BtfDeclarationTag {
  readonly kind: 'declaration_tag'; readonly id: number; readonly name: string; readonly type: number;
  /** Which member or parameter; -1: the declaration itself. */
  readonly component: number;
}
export interface BtfVoid { readonly kind: 'void'; readonly id: 0; readonly name: 'void' }

export type BtfType = BtfVoid | BtfInt | BtfFloat | BtfComposite | BtfArray | BtfEnum | BtfEnum64 | BtfReference
  | BtfForward | BtfPrototype | BtfVariable | BtfDataSection | BtfDeclarationTag;

export type BtfKind = BtfType['kind'];

/** The types that can be of kind K. */
export type BtfOfKind<K extends BtfKind, T extends BtfType = BtfType> = T extends BtfType ? (K extends T['kind'] ? T : never) : never;

const VOID: BtfVoid = { kind: 'void', id: 0, name: 'void' };

export class Btf {
  /** Indexed by type id; [0] is void. */
  readonly types: readonly BtfType[];

  private constructor(types: readonly BtfType[]) {
    this.types = types;
  }

  /**
   * Parses a .BTF section, or what the kernel gives for a BTF id.
   * @throws {BtfError} at the first byte that cannot be right.
   */
  static parse(bytes: Buffer): Btf {
    const types = parseTypes(bytes);
    for (const type of types) checkReferences(type, types.length);
    return new Btf(types);
  }

  /** @throws {BtfError} if no type has this id. */
  type(id: number): BtfType {
    const type = this.types[id];
    if (type === undefined) throw new BtfError(`BTF has no type ${id}`);
    return type;
  }

  /** The first type of this kind and name. */
  find<K extends BtfKind>(kind: K, name: string): BtfOfKind<K> | undefined {
    return this.ofKind(kind).find((type) => type.name === name);
  }

  ofKind<K extends BtfKind>(kind: K): BtfOfKind<K>[] {
    return this.types.filter((type) => type.kind === kind) as BtfOfKind<K>[];
  }

  /** @throws {BtfError} if there is no such struct. */
  struct(name: string): BtfComposite {
    const found = this.types.find((type): type is BtfComposite => type.kind === 'struct' && type.name === name);
    if (found === undefined) throw new BtfError(`BTF has no struct ${name}`);
    return found;
  }

  /**
   * Follows typedefs and qualifiers to the type that has a shape.
   * @returns that type, and the typedef names passed on the way, outermost first.
   */
  resolve(id: number): { type: BtfType; typedefs: readonly string[] } {
    const typedefs: string[] = [];
    let type = this.type(id);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      if (!isAlias(type)) return { type, typedefs };
      if (type.kind === 'typedef') typedefs.push(type.name);
      type = this.type(type.type);
    }
    throw new BtfError(`BTF type ${id} does not resolve within ${MAX_DEPTH} steps`);
  }

  /** Bytes that a value of the type takes. @throws {BtfError} for types that have no size. */
  sizeOf(id: number): number {
    return this.#sizeOf(id, 0);
  }

  #sizeOf(id: number, depth: number): number {
    if (depth > MAX_DEPTH) throw new BtfError(`BTF type ${id} is nested too deeply`);
    const { type } = this.resolve(id);
    switch (type.kind) {
      case 'pointer': return POINTER_SIZE;
      case 'array': return checkedSize(type.count * this.#sizeOf(type.type, depth + 1), id);
      case 'variable': return this.#sizeOf(type.type, depth + 1);
      case 'int': case 'float': case 'struct': case 'union': case 'enum': case 'enum64': case 'data_section':
        return type.size;
      default: throw new BtfError(`BTF type ${id}, a ${type.kind}, has no size`);
    }
  }
}

/**
 * Reads BTF from a file: an object's .BTF section, or raw BTF such as /sys/kernel/btf/vmlinux.
 * @throws {BtfError} if there is none, {@link ElfError} for a malformed object.
 */
export function readBtf(path: string): Btf {
  const file = readFileSync(path);
  if (!isElf(file)) return Btf.parse(file);
  const section = elfSection(file, '.BTF');
  if (section === undefined) throw new BtfError(`${path} has no .BTF section: was it compiled with -g?`);
  return Btf.parse(section);
}

function isAlias(type: BtfType): type is BtfReference {
  return type.kind === 'typedef' || type.kind === 'volatile' || type.kind === 'const'
    || type.kind === 'restrict' || type.kind === 'type_tag';
}

function checkedSize(size: number, id: number): number {
  if (!Number.isSafeInteger(size)) throw new BtfError(`BTF type ${id} is absurdly large`);
  return size;
}

function checkReferences(type: BtfType, count: number): void {
  for (const id of references(type)) {
    if (id >= count) throw new BtfError(`BTF type ${type.id} (${type.name}) refers to type ${id} of only ${count}`);
  }
}

function references(type: BtfType): readonly number[] {
  switch (type.kind) {
    case 'struct': case 'union': return type.members.map((member) => member.type);
    case 'array': return [type.type, type.indexType];
    case 'prototype': return [type.type, ...type.parameters.map((parameter) => parameter.type)];
    case 'data_section': return type.variables.map((variable) => variable.type);
    case 'void': case 'int': case 'float': case 'enum': case 'enum64': case 'forward': return [];
    default: return [type.type];
  }
}

// ---------------------------------------------------------------- parsing

function parseTypes(bytes: Buffer): BtfType[] {
  const { types, strings } = sections(bytes);
  const cursor = new Cursor(types, strings);
  const parsed: BtfType[] = [VOID];
  while (!cursor.atEnd()) parsed.push(parseType(cursor, parsed.length));
  return parsed;
}

function sections(bytes: Buffer): { types: Buffer; strings: Buffer } {
  if (bytes.length < HEADER_SIZE) throw new BtfError(`BTF of ${bytes.length} bytes has no header`);
  const magic = bytes.readUInt16LE(0);
  if (magic === MAGIC_SWAPPED) throw new BtfError('BTF is big-endian');
  if (magic !== MAGIC) throw new BtfError('not BTF: the magic number is missing');
  if (bytes[2] !== VERSION) throw new BtfError(`BTF of version ${bytes[2]} is unknown`);
  const headerSize = bytes.readUInt32LE(4);
  if (headerSize < HEADER_SIZE || headerSize > bytes.length) throw new BtfError(`BTF header of ${headerSize} bytes`);
  const section = (at: number, what: string): Buffer => {
    const start = headerSize + bytes.readUInt32LE(at);
    const end = start + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) throw new BtfError(`BTF ${what} exceed the data`);
    return bytes.subarray(start, end);
  };
  return { types: section(8, 'types'), strings: section(16, 'strings') };
}

/** Reads 32-bit words in order; whoever reads past the end gets a BtfError. */
class Cursor {
  readonly #types: Buffer;
  readonly #strings: Buffer;
  #offset = 0;

  constructor(types: Buffer, strings: Buffer) {
    this.#types = types;
    this.#strings = strings;
  }

  atEnd(): boolean {
    return this.#offset === this.#types.length;
  }

  u32(): number {
    if (this.#offset + 4 > this.#types.length) throw new BtfError('BTF ends within a type');
    const value = this.#types.readUInt32LE(this.#offset);
    this.#offset += 4;
    return value;
  }

  i32(): number {
    return this.u32() | 0;
  }

  name(): string {
    const start = this.u32();
    const end = this.#strings.indexOf(0, start);
    if (start >= this.#strings.length || end < 0) throw new BtfError(`BTF name at ${start} exceeds the strings`);
    if (end - start > MAX_NAME_BYTES) throw new BtfError(`BTF name at ${start} is ${end - start} bytes long`);
    return this.#strings.toString('latin1', start, end);
  }

  list<T>(count: number, read: () => T): T[] {
    return Array.from({ length: count }, read);
  }
}

interface Head {
  readonly id: number;
  readonly name: string;
  readonly count: number;
  readonly flag: boolean;
  /** The third word: size or type, as the kind has it. */
  readonly word: number;
}

function parseType(cursor: Cursor, id: number): BtfType {
  const name = cursor.name();
  const info = cursor.u32();
  const kind = (info >>> 24) & 0x1f;
  const parse = PARSERS[kind];
  if (parse === undefined) throw new BtfError(`BTF type ${id} is of unknown kind ${kind}`);
  return parse(cursor, { id, name, count: info & 0xffff, flag: info >>> 31 === 1, word: cursor.u32() });
}

type Parser = (cursor: Cursor, head: Head) => BtfType;

const reference = (kind: BtfReference['kind']): Parser =>
  (_cursor, { id, name, word }) => ({ kind, id, name, type: word });

/** Indexed by BTF_KIND_*. */
const PARSERS: readonly (Parser | undefined)[] = [
  undefined, parseInteger, reference('pointer'), parseArray, parseComposite('struct'), parseComposite('union'),
  parseEnum, parseForward, reference('typedef'), reference('volatile'), reference('const'), reference('restrict'),
  reference('function'), parsePrototype, parseVariable, parseDataSection, parseFloat, parseDeclarationTag,
  reference('type_tag'), parseEnum64,
];

function parseInteger(cursor: Cursor, { id, name, word }: Head): BtfInt {
  const encoding = cursor.u32();
  const flags = (encoding >>> 24) & 0xf;
  const bits = encoding & 0xff;
  if (word > 16 || bits > word * 8) throw new BtfError(`BTF integer ${name} has ${bits} bits in ${word} bytes`);
  return {
    kind: 'int', id, name, size: word, bits,
    signed: (flags & 1) !== 0, char: (flags & 2) !== 0, bool: (flags & 4) !== 0,
  };
}

function parseArray(cursor: Cursor, { id }: Head): BtfArray {
  return { kind: 'array', id, name: '', type: cursor.u32(), indexType: cursor.u32(), count: cursor.u32() };
}

function parseComposite(kind: 'struct' | 'union'): Parser {
  return (cursor, { id, name, count, flag, word }) => {
    const member = (): BtfMember => {
      const memberName = cursor.name();
      const type = cursor.u32();
      const offset = cursor.u32();
      const bitOffset = flag ? offset & 0xffffff : offset;
      if (bitOffset > word * 8) throw new BtfError(`BTF member ${name}.${memberName} begins behind its ${kind}`);
      return { name: memberName, type, bitOffset, bitfieldSize: flag ? offset >>> 24 : 0 };
    };
    return { kind, id, name, size: word, members: cursor.list(count, member) };
  };
}

function parseEnum(cursor: Cursor, { id, name, count, flag, word }: Head): BtfEnum {
  const values = cursor.list(count, () => ({ name: cursor.name(), value: flag ? cursor.i32() : cursor.u32() }));
  return { kind: 'enum', id, name, size: word, signed: flag, values };
}

function parseEnum64(cursor: Cursor, { id, name, count, flag, word }: Head): BtfEnum64 {
  const value = (): bigint => {
    const low = BigInt(cursor.u32());
    const bits = (BigInt(cursor.u32()) << 32n) | low;
    return flag ? BigInt.asIntN(64, bits) : bits;
  };
  const values = cursor.list(count, () => ({ name: cursor.name(), value: value() }));
  return { kind: 'enum64', id, name, size: word, signed: flag, values };
}

function parseForward(_cursor: Cursor, { id, name, flag }: Head): BtfForward {
  return { kind: 'forward', id, name, union: flag };
}

function parsePrototype(cursor: Cursor, { id, count, word }: Head): BtfPrototype {
  const parameters = cursor.list(count, () => ({ name: cursor.name(), type: cursor.u32() }));
  return { kind: 'prototype', id, name: '', type: word, parameters };
}

function parseVariable(cursor: Cursor, { id, name, word }: Head): BtfVariable {
  const linkage = (['static', 'global', 'extern'] as const)[cursor.u32()];
  if (linkage === undefined) throw new BtfError(`BTF variable ${name} has unknown linkage`);
  return { kind: 'variable', id, name, type: word, linkage };
}

function parseDataSection(cursor: Cursor, { id, name, count, word }: Head): BtfDataSection {
  const variables = cursor.list(count, () => ({ type: cursor.u32(), offset: cursor.u32(), size: cursor.u32() }));
  return { kind: 'data_section', id, name, size: word, variables };
}

function parseFloat(_cursor: Cursor, { id, name, word }: Head): BtfFloat {
  return { kind: 'float', id, name, size: word };
}

function parseDeclarationTag(cursor: Cursor, { id, name, word }: Head): BtfDeclarationTag {
  return { kind: 'declaration_tag', id, name, type: word, component: cursor.i32() };
}
