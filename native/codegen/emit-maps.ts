import type { EnumLayout, MapLayout, ValueLayout } from '../lib/layout.js';
import { emitShape } from './emit-shape.js';
import type { Selection } from './select.js';

/** `mapLayouts` and `enumLayouts`: what a pinned map is compared with before it is adopted. */
export function emitMaps({ maps, enums }: Selection): string {
  const mapLines = [...maps].map(([name, layout]) => `  ${name}: ${emitMap(layout)},\n`);
  const enumLines = enums.map((layout) => `  ${emitEnumLayout(layout)},\n`);
  return '/** What the maps of the object hold. */\n'
    + `export const mapLayouts: Readonly<Record<string, MapLayout>> = {\n${mapLines.join('')}};\n\n`
    + '/** The enumerators under their names in C. */\n'
    + `export const enumLayouts: readonly EnumLayout[] = [\n${enumLines.join('')}];\n`;
}

function emitMap({ key, value }: MapLayout): string {
  return `{ key: ${emitValue(key)}, value: ${emitValue(value)} }`;
}

function emitValue(layout: ValueLayout | undefined): string {
  if (layout === undefined) return 'undefined';
  return `{ ${emitShape(layout)} }`;
}

function emitEnumLayout({ name, values }: EnumLayout): string {
  const entries = Object.entries(values)
    .map(([key, value]) => `      ${key}: ${typeof value === 'bigint' ? `${value}n` : value},\n`);
  return `{\n    name: '${name}',\n    values: {\n${entries.join('')}    },\n  }`;
}
