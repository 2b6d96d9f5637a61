/**
 * Who has which index of a table in the kernel.
 *
 * Sessions and VMs refer to networks, routers and addresses by index, so an
 * index must not change while its holder is there, and must not pass to another
 * holder as long as there is any other way: what is left of the old holder
 * would be taken for the new one's.
 */
export interface IndexTable {
  readonly held: ReadonlyMap<string, number>;
  /** Given back, longest ago first; the last holder gets its index back if it returns. */
  readonly released: readonly { readonly holder: string; readonly index: number }[];
  /** The lowest index that nobody has ever had. */
  readonly fresh: number;
}

export const emptyIndexTable: IndexTable = { held: new Map(), released: [], fresh: 0 };

/**
 * The table for exactly these holders: those that are in it keep their index,
 * those that return get theirs back, new ones get one that was never used, else
 * the one that was released longest ago.
 *
 * @param size how many indexes there are
 * @throws RangeError when there are more holders than indexes; the configuration's checks prevent that
 */
export function assignIndexes(table: IndexTable, holders: readonly string[], size: number): IndexTable {
  const wanted = new Set(holders);
  if (wanted.size > size) throw new RangeError(`${wanted.size} holders do not fit into ${size} indexes`);
  const held = new Map([...table.held].filter(([holder]) => wanted.has(holder)));
  const dropped = [...table.held].filter(([holder]) => !wanted.has(holder)).map(([holder, index]) => ({ holder, index }));
  const returning = table.released.filter(({ holder }) => wanted.has(holder));
  for (const { holder, index } of returning) held.set(holder, index);
  const free = [...table.released.filter(({ holder }) => !wanted.has(holder)), ...dropped];
  let { fresh } = table;
  for (const holder of wanted) {
    if (!held.has(holder)) held.set(holder, fresh < size ? fresh++ : free.shift()!.index);
  }
  return { held, released: free, fresh };
}

/** Indexes that have passed from one holder to another: nothing may refer to the old one when the new one moves in. */
export function repurposedIndexes(previous: IndexTable, next: IndexTable): Set<number> {
  const holders = new Map([...next.held].map(([holder, index]) => [index, holder]));
  const moved = [...previous.held].filter(([holder, index]) => holders.has(index) && holders.get(index) !== holder);
  return new Set(moved.map(([, index]) => index));
}
