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

/**
 * Shows every session from a position on, `slots` of them at most, until `visit`
 * says that it has enough.
 * @returns where to go on
 */
export async function scan(tables: SessionTables, from: number, slots: number, pace: Pace, visit: (session: Session) => 'more' | 'enough'): Promise<number> {
  const end = Math.min(tables.slots, from + slots);
  let sliceEnds = pace.now() + SLICE_MS;
  for (let position = from; position < end; ) {
    const chunkEnd = Math.min(end, position + CHUNK);
    position = scanChunk(tables, position, chunkEnd, visit);
    if (position < chunkEnd || position === end) return position;
    if (pace.now() < sliceEnds) continue;
    await pace.breathe();
    sliceEnds = pace.now() + SLICE_MS;
  }
  return end;
}

/** Returns `end`, or the position after the one that was enough. */
function scanChunk(tables: SessionTables, from: number, end: number, visit: (session: Session) => 'more' | 'enough'): number {
  for (let position = tables.nextUsed(from, end); position < end; position = tables.nextUsed(position + 1, end)) {
    const session = tables.sessionAt(position);
    if (session !== undefined && visit(session) === 'enough') return position + 1;
  }
  return end;
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
