import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drained } from '../../../src/gateway/drained.js';

let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'floatgate-drained-'));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const path = (): string => join(folder, 'drained.json');
/** As a daemon that has just started. */
const started = (): Drained => new Drained(path(), (sentence) => void warnings.push(sentence));
const of = (drained: Drained): number[] => [51, 52, 53].filter((vrid) => drained.has(vrid));

describe('what was drained', () => {
  it('is remembered over a restart', () => {
    started().add([51]);
    started().add([53]);
    expect(of(started())).toEqual([51, 53]);
    started().remove([51], [51, 52, 53]);
    expect(of(started())).toEqual([53]);
    started().remove([53], [51, 52, 53]);
    expect(existsSync(path())).toBe(false);
  });

  it('with all of them is also what a reload adds, until one is undrained', () => {
    started().add('all');
    expect(of(started())).toEqual([51, 52, 53]);
    started().remove([52], [51, 52]);
    expect(of(started())).toEqual([51]);
    started().remove('all', [51, 52]);
    expect(of(started())).toEqual([]);
  });

  it('is nothing when the file is not ours to read', () => {
    for (const text of ['{', '{"all":1,"vrids":[]}', '{"all":false,"vrids":["x"]}']) {
      writeFileSync(path(), text);
      expect(of(started())).toEqual([]);
    }
    expect(warnings).toHaveLength(3);
  });
});
