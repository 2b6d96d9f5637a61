/** Passes over the tables in slices, because elections and heartbeats cannot wait for millions of slots. */
import type { Cursor } from '../api/session-query.js';
import type { Session, SessionTables } from './tables.js';

export interface Pace {
  /** ms */
  now(): number;
  /** Lets everybody else have a turn. */
  breathe(): Promise<void>;
}

/** How long the event loop is held at a time, ms. */
const SLICE_MS = 2;
/** Slots between two looks at the clock. */
const CHUNK = 2048;

export interface Stretch {
  readonly from: number;
  /** Exclusive. */
  readonly end: number;
  /** What a position holds; by default its session. */
  readonly read?: (position: number) => Session | undefined;
}

/**
 * Shows every session of a stretch of positions, until `visit` says that it has enough.
 * @returns where to go on
 */
export async function scan(tables: SessionTables, { from, end, read = (position) => tables.sessionAt(position) }: Stretch, pace: Pace, visit: Visit): Promise<number> {
  let sliceEnds = pace.now() + SLICE_MS;
  for (let position = from; position < end; ) {
    const chunkEnd = Math.min(end, position + CHUNK);
    const enough = scanChunk(tables, { from: position, end: chunkEnd, read }, visit);
    if (enough !== undefined) return enough;
    position = chunkEnd;
    if (pace.now() < sliceEnds) continue;
    await pace.breathe();
    sliceEnds = pace.now() + SLICE_MS;
  }
  return end;
}

type Visit = (session: Session) => 'more' | 'enough';

/** Returns the position after the one that was enough. */
function scanChunk(tables: SessionTables, { from, end, read }: Required<Stretch>, visit: Visit): number | undefined {
  for (let position = tables.nextUsed(from, end); position < end; position = tables.nextUsed(position + 1, end)) {
    const session = read(position);
    if (session !== undefined && visit(session) === 'enough') return position + 1;
  }
  return undefined;
}

/** @returns undefined where there is nothing after it */
export function cursorAt(position: number, { mappingSlots, slots }: SessionTables): Cursor | undefined {
  if (position >= slots) return undefined;
  return position < mappingSlots ? { table: 'mappings', index: position } : { table: 'sessions', index: position - mappingSlots };
}

/** A cursor of other times, when the tables were larger, is at the end. */
export function positionOf(cursor: Cursor | undefined, { mappingSlots, slots }: SessionTables): number {
  if (cursor === undefined) return 0;
  return cursor.table === 'mappings' ? Math.min(cursor.index, mappingSlots) : Math.min(mappingSlots + cursor.index, slots);
}
