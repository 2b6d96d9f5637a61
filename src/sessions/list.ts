/** Sessions, a page at a time. */
import { formatCursor } from '../api/session-query.js';
import type { ListQuery } from '../api/session-query.js';
import type { SessionPage, SessionView } from '../api/sessions.js';
import type { Directory } from './directory.js';
import { matcher } from './filter.js';
import { cursorAt, positionOf, scan } from './scan.js';
import type { Pace } from './scan.js';
import type { SessionTables } from './tables.js';
import { viewOf } from './view.js';

/** One page looks at no more slots: whoever asked is to hear something, and may have gone. */
export const PAGE_SLOTS = 1 << 22;

export async function listSessions(query: ListQuery, tables: SessionTables, directory: Directory, pace: Pace): Promise<SessionPage> {
  const matches = matcher(query, tables, directory);
  const sessions: SessionView[] = [];
  const from = positionOf(query.after, tables);
  const end = await scan(tables, { from, end: Math.min(tables.slots, from + PAGE_SLOTS) }, pace, (session) => {
    if (matches(session)) sessions.push(viewOf(session, tables, directory));
    return sessions.length < query.limit ? 'more' : 'enough';
  });
  const next = cursorAt(end, tables);
  return { sessions, next: next && formatCursor(next) };
}
