import { z } from 'zod';
import { configurationSchema } from './schema.js';
import type { KeyPath } from './problem.js';

/** The parts of JSON Schema (draft 2020-12) that our schema is made of. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: boolean;
  readonly [keyword: string]: unknown;
}

/** The configuration file's JSON Schema, as `floatgate schema` prints it: what people write, not what it becomes. */
export function configurationJsonSchema(): JsonSchema {
  return z.toJSONSchema(configurationSchema, { io: 'input' }) as JsonSchema;
}

let schemaForKeys: JsonSchema | undefined;

function schemaAt(path: KeyPath): JsonSchema | undefined {
  // Once is enough, and only when something is wrong with the file.
  schemaForKeys ??= configurationJsonSchema();
  return path.reduce<JsonSchema | undefined>((schema, part) => (typeof part === 'number' ? schema?.items : schema?.properties?.[part]), schemaForKeys);
}

/** The keys that the mapping at this place of the file may have. */
export function keysAt(path: KeyPath): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

/** Whether the value at this place of the file is one that no message may show. */
export function isSecret(path: KeyPath): boolean {
  return schemaAt(path)?.['writeOnly'] === true;
}
