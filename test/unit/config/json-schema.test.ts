import { describe, expect, it } from 'vitest';
import { configurationJsonSchema, isSecret, keysAt } from '../../../src/config/json-schema.js';
import type { JsonSchema } from '../../../src/config/json-schema.js';

/** Every key of the file with its schema. */
function* keys(schema: JsonSchema, path = ''): Generator<[path: string, schema: JsonSchema, required: boolean]> {
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const here = path === '' ? key : `${path}.${key}`;
    yield [here, child, schema.required?.includes(key) ?? false];
    yield* keys(child, here);
    if (child.items) yield* keys(child.items, `${here}[]`);
  }
}

const all = [...keys(configurationJsonSchema())];

describe('json schema', () => {
  it('keys/are as many as the file has', () => {
    expect(all.length).toBeGreaterThan(55);
    expect(all.map(([path]) => path)).toContain('routers[].networks[].mac');
  });

  it.each(all)('%s/is described, and its default is both machine-readable and told', (_, schema, required) => {
    expect(schema.description).toMatch(/^\S.{8,}[.]$/s);
    if (required || schema.type === 'object') return;
    if (schema.default === undefined) expect(schema.description).toMatch(/Optional:|Default: strict with a peer|Needed by/);
    else if (!Array.isArray(schema.default)) expect(schema.description).toContain(`Default: ${String(schema.default)}`);
    else expect(schema.description).toContain('Default: none');
  });

  it('unknown keys/refused by editors as well', () => {
    const objects = all.map(([, schema]) => schema.items ?? schema).filter(({ type }) => type === 'object');
    expect(objects.length).toBeGreaterThan(10);
    for (const schema of [configurationJsonSchema(), ...objects]) expect(schema.additionalProperties).toBe(false);
  });

  it('sections with defaults/do not have to be written', () => {
    expect(configurationJsonSchema().required).toEqual(['gateway', 'interfaces']);
  });

  it('secrets/are known by their place, and marked for editors', () => {
    expect(isSecret(['virtualRouters', 0, 'authentication'])).toBe(true);
    expect(isSecret(['virtualRouters', 0, 'vrid'])).toBe(false);
    expect(all.filter(([, schema]) => schema['writeOnly'] === true).map(([path]) => path)).toEqual(['virtualRouters[].authentication']);
  });

  it('keys at a place/through lists and mappings', () => {
    expect(keysAt(['routers', 3, 'floatingIps', 0])).toEqual(['address', 'network', 'fixedIp']);
    expect(keysAt(['no', 'such', 1])).toEqual([]);
  });
});
