/**
 * Generates a TypeScript module from the BTF of a BPF object: interfaces,
 * codecs, offsets and layouts of its structs, values and names of its enums.
 */
import { createHash } from 'node:crypto';
import { Btf } from '../lib/btf.js';
import { emitEnum } from './emit-enum.js';
import { emitMaps } from './emit-maps.js';
import { emitStruct } from './emit-struct.js';
import { select, type Selection } from './select.js';

export { select, type Selection } from './select.js';

export interface GenerateOptions {
  /** What the module's first line says it was generated from. */
  readonly source: string;
  /** Names of further structs and enums; those of maps and of layout_* variables come by themselves. */
  readonly types?: readonly string[];
}

/**
 * The text of the module: the same for the same layouts, however the compiler numbered the types.
 * @throws {BtfError} naming the field that cannot be expressed.
 */
export function generate(btf: Btf, options: GenerateOptions): string {
  const selection = select(btf, options.types);
  const body = [
    ...selection.enums.map(emitEnum),
    ...selection.structs.map(emitStruct),
    emitMaps(selection),
  ].join('\n');
  return `${preamble(options.source, selection)}${helpers(body)}\n${body}`;
}

/** Identifies everything that the two sides must agree on; 32 hexadecimal digits. */
export function layoutHash({ structs, enums, maps }: Selection): string {
  const canonical = JSON.stringify({ structs, enums, maps: [...maps] }, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 32);
}

function preamble(source: string, selection: Selection): string {
  const imported = ['EnumLayout', 'MapLayout', ...(selection.structs.length > 0 ? ['Codec', 'StructLayout'] : [])];
  return `// Generated from ${source} by libbpf-ts/codegen: do not edit. Run \`npm run generate\`.\n`
    + `import type { ${imported.sort().join(', ')} } from 'libbpf-ts';\n\n`
    + '/** Changes whenever a struct, an enum or a map changes its layout. */\n'
    + `export const layoutHash = '${layoutHash(selection)}';\n`;
}

const HELPERS: Readonly<Record<string, string>> = {
  expectLength: `
function expectLength(actual: number, expected: number, field: string): void {
  if (actual !== expected) throw new RangeError(\`\${field} takes \${expected} elements, not \${actual}\`);
}
`,
  expectRoom: `
function expectRoom(buffer: Buffer, offset: number, size: number, struct: string): void {
  if (offset + size <= buffer.length) return;
  throw new RangeError(\`struct \${struct} takes \${size} bytes at \${offset}: the buffer has \${buffer.length}\`);
}
`,
};

/** Only those that the body uses: the compiler refuses unused functions. */
function helpers(body: string): string {
  return Object.entries(HELPERS).filter(([name]) => body.includes(`${name}(`)).map(([, text]) => text).join('');
}
