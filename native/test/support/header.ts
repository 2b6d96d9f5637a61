/**
 * Reads struct and enum declarations out of the *text* of a C header: a view of
 * the layout that shares nothing with BTF, for comparing the two.
 */
import { runC } from './compile.js';

export interface DeclaredField { readonly name: string; readonly ctype: string; readonly array: boolean }
export interface Declared {
  readonly structs: ReadonlyMap<string, readonly DeclaredField[]>;
  readonly enums: ReadonlyMap<string, readonly string[]>;
}

export function readHeader(text: string): Declared {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '');
  const structs = new Map<string, DeclaredField[]>();
  const enums = new Map<string, string[]>();
  for (const [, name = '', body = ''] of code.matchAll(/^struct (\w+) \{([^}]*)\}/gm)) {
    const fields = [...body.matchAll(/^\s*((?:struct )?\w+) (\w+)(\[[^;]*\])?;/gm)];
    structs.set(name, fields.map(([, ctype = '', field = '', array]) => ({ name: field, ctype, array: array !== undefined })));
  }
  for (const [, name = '', body = ''] of code.matchAll(/^enum (\w+) \{([^}]*)\}/gm)) {
    enums.set(name, body.split(',').map((item) => item.trim().split(/\s/)[0] ?? '').filter((item) => item !== ''));
  }
  return { structs, enums };
}

export interface Measured {
  readonly structs: Readonly<Record<string, { size: number; fields: Readonly<Record<string, { offset: number; size: number; element: number }>> }>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** What gcc says about sizes, offsets and values. */
export function measure(directory: string, include: string, { structs, enums }: Declared): Measured {
  const statements = [
    ...[...structs].map(([name, fields]) => `printf("struct ${name} %zu\\n", sizeof(struct ${name}));\n`
      + fields.map((field) => measureField(name, field)).join('')),
    ...[...enums].flatMap(([name, values]) => values.map((value) => `printf("enum ${name} ${value} %d\\n", ${value});\n`)),
  ];
  const source = `#include <stdio.h>\n#include <stddef.h>\n#include "${include}"\nint main(void) {\n${statements.join('')}}\n`;
  return parseMeasured(runC(directory, 'measure', source));
}

function measureField(struct: string, field: DeclaredField): string {
  const member = `((struct ${struct} *)0)->${field.name}`;
  return `printf("field ${struct} ${field.name} %zu %zu %zu\\n", offsetof(struct ${struct}, ${field.name}), `
    + `sizeof(${member}), sizeof(${member}${field.array ? '[0]' : ''}));\n`;
}

function parseMeasured(output: string): Measured {
  const structs: Record<string, { size: number; fields: Record<string, { offset: number; size: number; element: number }> }> = {};
  const enums: Record<string, Record<string, number>> = {};
  for (const line of output.trim().split('\n')) {
    const [what, owner = '', name = '', ...numbers] = line.split(' ');
    const [offset = 0, size = 0, element = 0] = numbers.map(Number);
    if (what === 'struct') structs[owner] = { size: Number(name), fields: {} };
    else if (what === 'field') structs[owner]!.fields[name] = { offset, size, element };
    else (enums[owner] ??= {})[name] = offset;
  }
  return { structs, enums };
}
