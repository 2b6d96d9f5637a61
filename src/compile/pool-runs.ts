/**
 * Where each router's shared addresses stand in the table of pools: one run of
 * neighbouring entries. A router whose addresses change gets another run, so
 * that the programs, which read where it begins and how long it is from one
 * entry, never see one that is half written.
 */
export interface Run {
  readonly first: number;
  /** Indexes into snat_addresses. */
  readonly members: readonly number[];
}

/** By router. */
export type Runs = ReadonlyMap<string, Run>;

/**
 * Runs for exactly these routers: those whose members are the same stay where
 * they are, the others get room that nobody has now.
 *
 * @param size of the table: first fit needs less than log2 of the longest run
 *   times what is in use, old and new (Robson 1977), which map-sizes.ts gives it
 * @throws RangeError when there is no room
 */
export function assignRuns(previous: Runs, wanted: ReadonlyMap<string, readonly number[]>, size: number): Map<string, Run> {
  const runs = new Map<string, Run>();
  const taken = [...previous.values()];
  for (const [router, members] of wanted) {
    const old = previous.get(router);
    if (members.length === 0) continue;
    const run = old !== undefined && sameMembers(old.members, members) ? old : { first: firstFit(taken, members.length, size), members };
    if (run !== old) taken.push(run);
    runs.set(router, run);
  }
  return runs;
}

function firstFit(taken: Run[], length: number, size: number): number {
  let first = 0;
  for (const run of taken.sort((one, other) => one.first - other.first)) {
    if (first + length <= run.first) return first;
    first = Math.max(first, run.first + run.members.length);
  }
  if (first + length > size) throw new RangeError(`a run of ${length} does not fit into ${size} entries`);
  return first;
}

function sameMembers(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((member, position) => member === other[position]);
}
