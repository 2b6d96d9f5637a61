import type { EnumLayout } from '../lib/layout.js';
import { camelCase, commonPrefix, isCount, pascalCase, variableName } from './names.js';

interface Enumerator {
  /** As in C. */
  readonly name: string;
  /** Prefix removed, lower case: drop_sync_mac. */
  readonly label: string;
  readonly value: number | bigint;
}

/**
 * `reason = { dropSyncMac: 40, … }`, the type `Reason` of its values, and
 * `reasonNames[40] === 'drop_sync_mac'`. A last enumerator that counts the
 * others (REASONS) becomes `reasonCount` and is no value.
 */
export function emitEnum(layout: EnumLayout): string {
  const { values, count } = enumerators(layout);
  const variable = variableName(layout.name);
  const type = pascalCase(layout.name);
  const lines = values.map(({ label, value }) => `  ${propertyName(camelCase(label))}: ${literal(value)},`);
  return `/** enum ${layout.name} */\n`
    + `export const ${variable} = {\n${lines.join('\n')}\n} as const;\n`
    + `export type ${type} = (typeof ${variable})[keyof typeof ${variable}];\n`
    + emitNames(variable, values)
    + (count === undefined ? '' : `export const ${variable}Count = ${literal(count)};\n`);
}

export function enumerators(layout: EnumLayout): { values: Enumerator[]; count: number | bigint | undefined } {
  const entries = Object.entries(layout.values);
  const withoutLast = entries.slice(0, -1).map(([name]) => name);
  const last = entries.at(-1);
  const counted = last !== undefined && withoutLast.length > 0
    && isCount(last[0], layout.name, commonPrefix(layout.name, withoutLast));
  const listed = counted ? entries.slice(0, -1) : entries;
  const prefix = commonPrefix(layout.name, listed.map(([name]) => name));
  const values = listed.map(([name, value]) => ({ name, label: name.slice(prefix.length).toLowerCase(), value }));
  return { values, count: counted ? last[1] : undefined };
}

function emitNames(variable: string, values: readonly Enumerator[]): string {
  const dense = values.every(({ value }, index) => value === index);
  if (dense) {
    const names = values.map(({ label }) => `  '${label}',`);
    return `export const ${variable}Names: readonly string[] = [\n${names.join('\n')}\n];\n`;
  }
  const names = values.map(({ value, label }) => `  ${value < 0 ? `[${value}]` : value}: '${label}',`);
  return `export const ${variable}Names: Readonly<Record<number, string>> = {\n${names.join('\n')}\n};\n`;
}

function propertyName(name: string): string {
  return /^[A-Za-z_$]/.test(name) ? name : `'${name}'`;
}

function literal(value: number | bigint): string {
  return typeof value === 'bigint' ? `${value}n` : `${value}`;
}
