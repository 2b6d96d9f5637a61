/**
 * Ends sessions here; what the peer must be told goes to it.
 *
 * A pass over the sessions beyond the first comes before the one over the
 * mappings: the program that ends a mapping walks all of `sessions` for those
 * that it still has.
 */
import { ApiMistake } from '../api/query.js';
import type { Endpoint } from '../api/query.js';
import { formatCursor } from '../api/session-query.js';
import type { Cursor, KillQuery } from '../api/session-query.js';
import type { SessionsKilled } from '../api/sessions.js';
import { formatIpv4 } from '../config/address.js';
import { mappingProtocolCount, sessionState } from '../dataplane/layout.generated.js';
import type { Directory } from './directory.js';
import { isAboutMappings, matcher } from './filter.js';
import { PAGE_SLOTS } from './list.js';
import { cursorAt, positionOf, scan } from './scan.js';
import type { Pace, Stretch } from './scan.js';
import type { Session, SessionTables } from './tables.js';

/** Remote 0: the mapping with all of its sessions. */
export interface SessionEnd {
  readonly mapping: number;
  readonly remote: number;
  readonly remotePort: number;
}

export interface KillPorts {
  readonly tables: SessionTables;
  readonly directory: Directory;
  readonly pace: Pace;
  /** False: it was gone already. */
  end(which: SessionEnd): boolean;
}

const PORTS = 65_536;
/** Sessions of one page: each is a system call, and the peer hears of it. */
const PAGE_KILLS = 500;
/** Between two turns of everybody else. */
const KILLS_AT_ONCE = 32;

/** One page. @throws ApiMistake for the address and port of a port forwarding, which has no sessions */
export async function killSessions(query: KillQuery, ports: KillPorts): Promise<SessionsKilled> {
  const { tables, directory, pace } = ports;
  if (query.external !== undefined) refuseForwarding(query.external, tables, directory);
  const wholeMappings = isAboutMappings(query);
  const matches = matcher(query, tables, directory);
  const stretch = stretchFrom(query.after, tables, wholeMappings);
  const found: Session[] = [];
  const position = await scan(tables, stretch, pace, (session) => {
    if (matches(session)) found.push(session);
    return found.length < PAGE_KILLS ? 'more' : 'enough';
  });
  return { ...(await endAll(found, wholeMappings, ports)), next: nextOf(position, tables) };
}

/** First all of `sessions`, then all of `mappings`. */
function stretchFrom(after: Cursor | undefined, tables: SessionTables, wholeMappings: boolean): Stretch {
  const { mappingSlots, slots } = tables;
  const from = after === undefined ? mappingSlots : positionOf(after, tables);
  if (from >= mappingSlots && after?.table !== 'mappings') return { from, end: Math.min(slots, from + PAGE_SLOTS) };
  const end = Math.min(mappingSlots, from + PAGE_SLOTS);
  return wholeMappings ? { from, end, read: (position) => tables.mappingAt(position) } : { from, end };
}

function nextOf(position: number, tables: SessionTables): string | undefined {
  const next = position === tables.slots ? cursorAt(0, tables) : position === tables.mappingSlots ? undefined : cursorAt(position, tables);
  return next && formatCursor(next);
}

/** Its port is in use for good. */
function refuseForwarding({ address, port }: Endpoint, tables: SessionTables, { externalAddress }: Directory): void {
  for (let start = 0; port !== undefined && start < tables.mappingSlots; start += PORTS) {
    if (externalAddress(Math.floor(start / PORTS / mappingProtocolCount)) !== address || !tables.isForwarding(start + port)) continue;
    throw new ApiMistake(`external is ${formatIpv4(address)}:${port}, which is a port forwarding: it has no sessions, and ends when it is removed from the configuration`);
  }
}

async function endAll(found: readonly Session[], wholeMappings: boolean, ports: KillPorts): Promise<SessionsKilled> {
  const ours = found.filter((session) => isActiveHere(session, ports));
  let killed = 0;
  for (const [index, session] of ours.entries()) {
    if (index % KILLS_AT_ONCE === KILLS_AT_ONCE - 1) await ports.pace.breathe();
    if (!isStill(session, ports.tables)) continue;
    killed += wholeMappings && session.position === session.mapping ? endMapping(session, ports) : endOne(session, ports);
  }
  return { killed, notActiveHere: found.length - ours.length };
}

function isActiveHere({ vm }: Session, { tables, directory }: KillPorts): boolean {
  const place = directory.place(tables.vmKey(vm).vni);
  return place !== undefined && directory.isActive(place.vrid);
}

/** Others may have had a turn since it was found. */
function isStill({ position, mapping, vm, internalPort, remote, remotePort }: Session, tables: SessionTables): boolean {
  const now = position === mapping ? tables.mappingAt(mapping) : tables.sessionAt(position);
  return now !== undefined && now.mapping === mapping && now.vm === vm
    && now.internalPort === internalPort && now.remote === remote && now.remotePort === remotePort;
}

function endOne({ mapping, remote, remotePort }: Session, { end }: KillPorts): number {
  return end({ mapping, remote, remotePort }) ? 1 : 0;
}

/** Those beyond the first were made since the pass over them. */
function endMapping({ mapping, state }: Session, { tables, end }: KillPorts): number {
  const sessions = (state === sessionState.free ? 0 : 1) + tables.sessionCount(mapping);
  return end({ mapping, remote: 0, remotePort: 0 }) ? sessions : 0;
}
