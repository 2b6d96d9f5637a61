import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignIndexes, emptyIndexTable, repurposedIndexes } from '../../../src/compile/index-table.js';
import type { IndexTable } from '../../../src/compile/index-table.js';

function assignAll(steps: readonly (readonly string[])[], size: number): IndexTable[] {
  const tables: IndexTable[] = [emptyIndexTable];
  for (const holders of steps) tables.push(assignIndexes(tables.at(-1)!, holders, size));
  return tables;
}

const held = (table: IndexTable): Record<string, number> => Object.fromEntries(table.held);

describe('index table', () => {
  it('new holders/in order from zero', () => {
    expect(held(assignIndexes(emptyIndexTable, ['a', 'b', 'c'], 4))).toEqual({ a: 0, b: 1, c: 2 });
  });

  it('after a removal/a fresh index before a used one', () => {
    const [, , after] = assignAll([['a', 'b'], ['b', 'c']], 4);
    expect(held(after!)).toEqual({ b: 1, c: 2 });
  });

  it('a holder that returns/has its index again', () => {
    const tables = assignAll([['a', 'b'], ['b'], ['c', 'b', 'a']], 4);
    expect(held(tables[3]!)).toEqual({ a: 0, b: 1, c: 2 });
  });

  it('no fresh index left/the one released longest ago, not the one released now', () => {
    const tables = assignAll([['a', 'b', 'c'], ['b', 'c'], ['c'], ['d']], 3);
    expect(held(tables[4]!)).toEqual({ d: 0 });
    expect(repurposedIndexes(tables[3]!, tables[4]!)).toEqual(new Set());
  });

  it('only what is released now is left/it passes, and is told', () => {
    const tables = assignAll([['a', 'b'], ['b', 'c']], 2);
    expect(held(tables[2]!)).toEqual({ b: 1, c: 0 });
    expect(repurposedIndexes(tables[1]!, tables[2]!)).toEqual(new Set([0]));
  });

  it('more holders than indexes/refused', () => {
    expect(() => assignIndexes(emptyIndexTable, ['a', 'b'], 1)).toThrow('2 holders do not fit into 1 indexes');
  });

  it('any history/indexes are within the table, of one holder, and none is lost', () => {
    const size = 4;
    const steps = fc.array(fc.subarray(['a', 'b', 'c', 'd', 'e', 'f', '__proto__'], { maxLength: size }), { maxLength: 12 });
    fc.assert(
      fc.property(steps, (history) => {
        for (const table of assignAll(history, size)) {
          const known = [...table.held.values(), ...table.released.map(({ index }) => index)].sort();
          expect(known).toEqual(Array.from({ length: table.fresh }, (_, index) => index));
          expect(table.fresh).toBeLessThanOrEqual(size);
        }
      }),
    );
  });
});
