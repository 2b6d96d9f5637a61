import type { ValueLayout } from '../lib/layout.js';
import { camelCase } from './names.js';

export function structLayoutName(structName: string): string {
  return `${camelCase(structName)}Layout`;
}

/** The properties that a key, a value and a field have in common. */
export function emitShape({ kind, size, count, struct }: ValueLayout): string {
  return [
    `size: ${size}`,
    `kind: '${kind}'`,
    ...(count === undefined ? [] : [`count: ${count}`]),
    ...(struct === undefined ? [] : [`struct: ${structLayoutName(struct.name)}`]),
  ].join(', ');
}
