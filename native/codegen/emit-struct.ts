import type { FieldLayout, ScalarKind, StructLayout } from '../lib/layout.js';
import { emitShape, structLayoutName } from './emit-shape.js';
import { camelCase, isPadding, pascalCase } from './names.js';

/** What Buffer calls the accessors of a scalar, and what it is in TypeScript. */
const SCALARS: Readonly<Record<Exclude<ScalarKind, 'bool'>, { accessor: string; type: 'number' | 'bigint' }>> = {
  u8: { accessor: 'UInt8', type: 'number' },
  u16: { accessor: 'UInt16LE', type: 'number' },
  u32: { accessor: 'UInt32LE', type: 'number' },
  u64: { accessor: 'BigUInt64LE', type: 'bigint' },
  i8: { accessor: 'Int8', type: 'number' },
  i16: { accessor: 'Int16LE', type: 'number' },
  i32: { accessor: 'Int32LE', type: 'number' },
  i64: { accessor: 'BigInt64LE', type: 'bigint' },
  be16: { accessor: 'UInt16BE', type: 'number' },
  be32: { accessor: 'UInt32BE', type: 'number' },
  be64: { accessor: 'BigUInt64BE', type: 'bigint' },
  pointer: { accessor: 'BigUInt64LE', type: 'bigint' },
};

/** The interface, the layout, the offsets and the codec of one struct. */
export function emitStruct(layout: StructLayout): string {
  rejectDuplicates(layout);
  return [emitInterface(layout), emitLayout(layout), emitOffsets(layout), emitCodec(layout)].join('\n');
}

/** Padding and what is the kernel's own (a bpf_spin_lock) are written as zero and not shown. */
function visibleFields(layout: StructLayout): FieldLayout[] {
  return layout.fields.filter((field) => !isPadding(field.name) && field.kind !== 'opaque');
}

function rejectDuplicates(layout: StructLayout): void {
  const names = visibleFields(layout).map((field) => camelCase(field.name));
  const duplicate = names.find((name, index) => names.indexOf(name) !== index);
  if (duplicate !== undefined) throw new Error(`struct ${layout.name} has two fields that become ${duplicate}`);
}

function emitInterface(layout: StructLayout): string {
  const fields = visibleFields(layout).map((field) => `  ${camelCase(field.name)}: ${fieldType(field)};\n`);
  return `/** struct ${layout.name}, ${layout.size} bytes */\n`
    + `export interface ${pascalCase(layout.name)} {\n${fields.join('')}}\n`;
}

function fieldType(field: FieldLayout): string {
  if (isBytes(field)) return 'Buffer';
  const element = field.struct !== undefined ? pascalCase(field.struct.name) : scalarType(field.kind as ScalarKind);
  return field.count === undefined ? element : `${element}[]`;
}

function scalarType(kind: ScalarKind): string {
  return kind === 'bool' ? 'boolean' : SCALARS[kind].type;
}

/** Arrays of bytes are Buffers: MAC addresses, options. */
function isBytes(field: FieldLayout): boolean {
  return field.kind === 'u8' && field.count !== undefined;
}

function emitLayout(layout: StructLayout): string {
  const fields = layout.fields
    .map((field) => `    { name: '${field.name}', offset: ${field.offset}, ${emitShape(field)} },\n`);
  return `export const ${structLayoutName(layout.name)}: StructLayout = {\n`
    + `  name: '${layout.name}',\n  size: ${layout.size},\n  fields: [\n${fields.join('')}  ],\n};\n`;
}

function emitOffsets(layout: StructLayout): string {
  const fields = visibleFields(layout).map((field) => `  ${camelCase(field.name)}: ${field.offset},\n`);
  return `/** Bytes from the start of struct ${layout.name}. */\n`
    + `export const ${camelCase(layout.name)}Offsets = {\n${fields.join('')}} as const;\n`;
}

function emitCodec(layout: StructLayout): string {
  const fields = visibleFields(layout);
  const encode = fields.map((field) => emitEncode(layout, field));
  const decode = fields.map((field) => `      ${camelCase(field.name)}: ${decodeExpression(field)},\n`);
  const check = (buffer: string): string => `    expectRoom(${buffer}, offset, ${layout.size}, '${layout.name}');\n`;
  const clear = hasGaps(layout, fields) ? `    into.fill(0, offset, offset + ${layout.size});\n` : '';
  return `export const ${camelCase(layout.name)}Codec: Codec<${pascalCase(layout.name)}> = {\n`
    + `  name: '${layout.name}',\n  size: ${layout.size},\n`
    + `  encode(value, into, offset = 0) {\n${check('into')}${clear}${encode.join('')}  },\n`
    + `  decode(from, offset = 0) {\n${check('from')}    return {\n${decode.join('')}    };\n  },\n};\n`;
}

/** Padding, named or not, goes to the kernel as zero: it takes part in the comparison of keys. */
function hasGaps(layout: StructLayout, fields: readonly FieldLayout[]): boolean {
  return fields.reduce((sum, field) => sum + field.size, 0) < layout.size;
}

function at(offset: number): string {
  return offset === 0 ? 'offset' : `offset + ${offset}`;
}

function emitEncode(layout: StructLayout, field: FieldLayout): string {
  const value = `value.${camelCase(field.name)}`;
  const path = `'${layout.name}.${field.name}'`;
  if (isBytes(field)) {
    return `    expectLength(${value}.length, ${field.size}, ${path});\n`
      + `    into.set(${value}, ${at(field.offset)});\n`;
  }
  if (field.count === undefined) return `    ${encodeStatement(field, value, at(field.offset))};\n`;
  const element = encodeStatement(field, 'element', `${at(field.offset)} + index * ${stride(field)}`);
  return `    expectLength(${value}.length, ${field.count}, ${path});\n`
    + `    ${value}.forEach((element, index) => ${element});\n`;
}

function encodeStatement(field: FieldLayout, value: string, position: string): string {
  if (field.struct !== undefined) return `${camelCase(field.struct.name)}Codec.encode(${value}, into, ${position})`;
  if (field.kind === 'bool') return `into.writeUInt8(${value} ? 1 : 0, ${position})`;
  return `into.write${SCALARS[field.kind as Exclude<ScalarKind, 'bool'>].accessor}(${value}, ${position})`;
}

function decodeExpression(field: FieldLayout): string {
  if (isBytes(field)) return `Buffer.from(from.subarray(${at(field.offset)}, ${at(field.offset + field.size)}))`;
  if (field.count === undefined) return decodeElement(field, at(field.offset));
  const element = decodeElement(field, `${at(field.offset)} + index * ${stride(field)}`);
  return `Array.from({ length: ${field.count} }, (_, index) => ${element})`;
}

function decodeElement(field: FieldLayout, position: string): string {
  if (field.struct !== undefined) return `${camelCase(field.struct.name)}Codec.decode(from, ${position})`;
  if (field.kind === 'bool') return `from.readUInt8(${position}) !== 0`;
  return `from.read${SCALARS[field.kind as Exclude<ScalarKind, 'bool'>].accessor}(${position})`;
}

function stride(field: FieldLayout): number {
  return field.count === undefined || field.count === 0 ? 0 : field.size / field.count;
}
