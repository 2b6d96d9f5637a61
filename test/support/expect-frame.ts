/** Whole-frame comparison that says which field differs. */
import { hexdump } from './bytes.js';
import { dissect } from './dissect.js';
import { frame, type Layer } from './packet.js';

/** Throws unless `actual` is `expected` to the byte; the message names every differing field. */
export function expectFrame(actual: Buffer, expected: Buffer | readonly Layer[]): void {
  const wanted = Buffer.isBuffer(expected) ? expected : frame(...expected);
  if (actual.equals(wanted)) return;
  throw new Error(describeDifference(actual, wanted));
}

export function describeDifference(actual: Buffer, expected: Buffer): string {
  const actualFields = fields(actual);
  const expectedFields = fields(expected);
  const names = [...new Set([...expectedFields.keys(), ...actualFields.keys()])];
  const lines = names
    .filter((name) => actualFields.get(name) !== expectedFields.get(name))
    .map((name) => `  ${name}: expected ${expectedFields.get(name) ?? 'absent'}, got ${actualFields.get(name) ?? 'absent'}`);
  const differs = (offset: number): boolean => actual[offset] !== expected[offset];
  return [
    `frames differ (expected ${expected.length} bytes, got ${actual.length}):`,
    ...lines,
    'expected:',
    hexdump(expected, differs),
    'got:',
    hexdump(actual, differs),
  ].join('\n');
}

/** 'layer number.layer.field' → text, in the order of the wire. */
function fields(bytes: Buffer): Map<string, string> {
  const result = new Map<string, string>();
  collect(dissect(bytes), '', result);
  return result;
}

function collect(layers: readonly Layer[], prefix: string, result: Map<string, string>): void {
  layers.forEach((layer, index) => {
    if (layer.layer === 'quote') return collect(layer.layers, `${prefix}${index}.quote.`, result);
    for (const [name, value] of Object.entries(layer)) {
      if (name !== 'layer') result.set(`${prefix}${index}.${layer.layer}.${name}`, format(value));
    }
  });
}

function format(value: unknown): string {
  if (typeof value === 'number') return `${value} (0x${value.toString(16)})`;
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) return `[${value.map(format).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value).map(([name, field]) => `${name} ${format(field)}`).join(', ')}}`;
  }
  return String(value);
}
