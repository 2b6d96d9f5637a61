/** Ends sessions here; what the peer must be told goes to it. */
import { formatCursor } from '../api/session-query.js';
import type { KillQuery } from '../api/session-query.js';
import type { SessionsKilled } from '../api/sessions.js';
import type { Directory } from './directory.js';
import { isAboutMappings, matcher } from './filter.js';
import { PAGE_SLOTS } from './list.js';
import { cursorAt, positionOf, scan } from './scan.js';
import type { Pace } from './scan.js';
import type { Session, SessionTables } from './tables.js';

/** Remote 0: the mapping with all of its sessions. */
export interface SessionEnd {
  readonly mapping: number;
  readonly remote: number;
  readonly remotePort: number;
}

/** False: it was gone already. */
export type EndSession = (which: SessionEnd) => boolean;

/** Sessions of one page: each is a system call, and the peer hears of it. */
const PAGE_KILLS = 500;
/** Between two looks at the clock. */
const KILLS_AT_ONCE = 32;

export async function killSessions(query: KillQuery, tables: SessionTables, directory: Directory, pace: Pace, end: EndSession): Promise<SessionsKilled> {
  const matches = matcher(query, tables, directory);
  const found: Session[] = [];
  const position = await scan(tables, positionOf(query.after, tables), PAGE_SLOTS, pace, (session) => {
    if (matches(session)) found.push(session);
    return found.length < PAGE_KILLS ? 'more' : 'enough';
  });
  const next = cursorAt(position, tables);
  return { ...(await endAll(found, isAboutMappings(query), { tables, directory, pace, end })), next: next && formatCursor(next) };
}

interface Means {
  readonly tables: SessionTables;
  readonly directory: Directory;
  readonly pace: Pace;
  readonly end: EndSession;
}

async function endAll(found: readonly Session[], wholeMappings: boolean, { tables, directory, pace, end }: Means): Promise<SessionsKilled> {
  const ofForwardings = found.filter(({ isStatic }) => isStatic).length;
  const ours = found.filter(({ isStatic, vm }) => !isStatic && isActiveHere(vm, tables, directory));
  let killed = 0;
  for (const [index, session] of ours.entries()) {
    if (index % KILLS_AT_ONCE === KILLS_AT_ONCE - 1) await pace.breathe();
    killed += wholeMappings ? endMapping(session, tables, end) : endOne(session, tables, end);
  }
  return { killed, ofForwardings, notActiveHere: found.length - ofForwardings - ours.length };
}

function isActiveHere(vm: number, tables: SessionTables, directory: Directory): boolean {
  const place = directory.place(tables.vmKey(vm).vni);
  return place !== undefined && directory.isActive(place.vrid);
}

function endOne(session: Session, tables: SessionTables, end: EndSession): number {
  const { mapping, remote, remotePort } = session;
  return isStill(session, tables) && end({ mapping, remote, remotePort }) ? 1 : 0;
}

/** The sessions of a mapping that has ended on the way are no longer there. */
function endMapping(session: Session, tables: SessionTables, end: EndSession): number {
  if (!isStill(session, tables)) return 0;
  const { mapping, position } = session;
  const first = mapping === position || tables.sessionAt(mapping) !== undefined ? 1 : 0;
  const sessions = first + tables.sessionCount(mapping);
  return end({ mapping, remote: 0, remotePort: 0 }) ? sessions : 0;
}

/** Others may have had a turn since it was found. */
function isStill(session: Session, tables: SessionTables): boolean {
  const now = tables.sessionAt(session.position);
  return now !== undefined && now.mapping === session.mapping && now.vm === session.vm
    && now.internalPort === session.internalPort && now.remote === session.remote && now.remotePort === session.remotePort;
}
