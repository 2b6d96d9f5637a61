/**
 * Which types of an object TypeScript gets to see: whatever its maps hold, and
 * whatever a global variable named layout_* points at. The variables are how a
 * type that no map holds (an enum, a wire format) gets into BTF at all.
 */
import { Btf, BtfError, type BtfComposite, type BtfEnum, type BtfEnum64, type BtfType } from '../lib/btf.js';
import { describeStruct, describeValue, isKernelStruct } from '../lib/layout.js';
import type { EnumLayout, MapLayout, StructLayout, ValueLayout } from '../lib/layout.js';

const MAPS_SECTION = '.maps';
const LAYOUT_VARIABLE = 'layout_';

/** Everything sorted by name, except that a struct follows the structs that it contains. */
export interface Selection {
  readonly structs: readonly StructLayout[];
  readonly enums: readonly EnumLayout[];
  readonly maps: ReadonlyMap<string, MapLayout>;
}

/**
 * @param types names of further structs and enums.
 * @throws {BtfError} if a name is unknown or declared twice with different layouts.
 */
export function select(btf: Btf, types: readonly string[] = []): Selection {
  const named = [...layoutVariables(btf), ...types.map((name) => namedType(btf, name))];
  const structs = new Map<string, StructLayout>();
  const enums = new Map<string, EnumLayout>();
  for (const type of named) {
    if (type.kind === 'struct') addStruct(structs, describeStruct(btf, type));
    else if (type.kind === 'enum' || type.kind === 'enum64') addEnum(enums, type);
    else throw new BtfError(`${type.kind} ${type.name} has no layout: only structs and enums have`);
  }
  const maps = new Map(mapDefinitions(btf).map((map) => [map.name, describeMap(btf, map)]));
  for (const { key, value } of maps.values()) {
    if (key?.struct !== undefined) addStruct(structs, key.struct);
    if (value?.struct !== undefined) addStruct(structs, value.struct);
  }
  return {
    structs: containedFirst(sortedByName(structs.values())),
    enums: sortedByName(enums.values()),
    maps: new Map([...maps].sort(([a], [b]) => compare(a, b))),
  };
}

function layoutVariables(btf: Btf): BtfType[] {
  return btf.ofKind('variable')
    .filter((variable) => variable.name.startsWith(LAYOUT_VARIABLE))
    .map((variable) => {
      const { type } = btf.resolve(variable.type);
      const target = type.kind === 'pointer' ? btf.resolve(type.type).type : type;
      if (target.kind === 'forward') throw new BtfError(`variable ${variable.name} is of an undeclared type`);
      return target;
    });
}

function namedType(btf: Btf, name: string): BtfType {
  const found = btf.types.find((type) => type.name === name
    && (type.kind === 'struct' || type.kind === 'enum' || type.kind === 'enum64'));
  if (found === undefined) throw new BtfError(`the object declares neither struct ${name} nor enum ${name}`);
  return found;
}

function addStruct(structs: Map<string, StructLayout>, layout: StructLayout): void {
  if (layout.name === '') throw new BtfError('a struct without a name cannot be generated');
  const known = structs.get(layout.name);
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(layout)) {
    throw new BtfError(`struct ${layout.name} is declared twice, differently`);
  }
  structs.set(layout.name, layout);
  for (const { struct } of layout.fields) if (struct !== undefined) addStruct(structs, struct);
}

function addEnum(enums: Map<string, EnumLayout>, type: BtfEnum | BtfEnum64): void {
  if (type.name === '') throw new BtfError('an enum without a name cannot be generated');
  const values = Object.fromEntries(type.values.map(({ name, value }) => [name, safeNumber(value)]));
  enums.set(type.name, { name: type.name, values });
}

function safeNumber(value: number | bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

interface MapDefinition { readonly name: string; readonly definition: BtfComposite }

function mapDefinitions(btf: Btf): MapDefinition[] {
  const section = btf.find('data_section', MAPS_SECTION);
  return (section?.variables ?? []).map((entry) => {
    const variable = btf.type(entry.type);
    if (variable.kind !== 'variable') throw new BtfError(`${MAPS_SECTION} holds a ${variable.kind}`);
    const { type } = btf.resolve(variable.type);
    if (type.kind !== 'struct') throw new BtfError(`map ${variable.name} is not defined by a struct`);
    return { name: variable.name, definition: type };
  });
}

function describeMap(btf: Btf, { definition }: MapDefinition): MapLayout {
  return { key: mapSide(btf, definition, 'key'), value: mapSide(btf, definition, 'value') };
}

/** `__type(key, T)` is a member `T *key`; `__uint(key_size, n)` a member `int (*key_size)[n]`. */
function mapSide(btf: Btf, definition: BtfComposite, side: 'key' | 'value'): ValueLayout | undefined {
  const pointee = (name: string): number | undefined => {
    const member = definition.members.find((candidate) => candidate.name === name);
    if (member === undefined) return undefined;
    const { type } = btf.resolve(member.type);
    return type.kind === 'pointer' ? type.type : undefined;
  };
  const typed = pointee(side);
  if (typed !== undefined) return describeSide(btf, typed);
  const sized = pointee(`${side}_size`);
  if (sized === undefined) return undefined;
  const { type } = btf.resolve(sized);
  return type.kind === 'array' ? { kind: 'opaque', size: type.count } : undefined;
}

function describeSide(btf: Btf, typeId: number): ValueLayout {
  const { type } = btf.resolve(typeId);
  if (isKernelStruct(type.name)) return { kind: 'opaque', size: btf.sizeOf(typeId) };
  return describeValue(btf, typeId);
}

function containedFirst(structs: readonly StructLayout[]): StructLayout[] {
  const ordered = new Map<string, StructLayout>();
  const visit = (layout: StructLayout): void => {
    if (ordered.has(layout.name)) return;
    for (const { struct } of layout.fields) if (struct !== undefined) visit(struct);
    ordered.set(layout.name, layout);
  };
  structs.forEach(visit);
  return [...ordered.values()];
}

function sortedByName<T extends { readonly name: string }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => compare(a.name, b.name));
}

/** By code unit: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
