/** How many sessions there are, by whom. */
import type { CountQuery } from '../api/session-query.js';
import type { SessionCount, SessionGroup } from '../api/sessions.js';
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { mappingProtocolNames, sessionStateNames } from '../dataplane/layout.generated.js';
import type { Directory } from './directory.js';
import { matcher } from './filter.js';
import { Groups } from './groups.js';
import { scan } from './scan.js';
import type { Pace } from './scan.js';
import type { Session, SessionTables } from './tables.js';

export async function countSessions(query: CountQuery, tables: SessionTables, directory: Directory, pace: Pace): Promise<SessionCount> {
  const matches = matcher(query, tables, directory);
  const keyOf = query.by && grouping(query.by, tables, directory);
  const groups = new Groups();
  let sessions = 0;
  await scan(tables, { from: 0, end: tables.slots }, pace, (session) => {
    if (!matches(session)) return 'more';
    sessions++;
    if (keyOf !== undefined) groups.add(keyOf(session));
    return 'more';
  });
  if (query.by === undefined) return { sessions };
  const largest = await groups.largest(query.limit, pace);
  return { sessions, groups: largest.map(({ key, count }) => named(query.by!, key, count, tables, directory)), moreGroups: groups.size - largest.length };
}

type By = NonNullable<CountQuery['by']>;

/** A number for each group: most of millions need no name. */
function grouping(by: By, tables: SessionTables, { place, routers }: Directory): (session: Session) => number {
  if (by === 'remote') return ({ remote }) => remote;
  if (by === 'protocol') return ({ protocol }) => protocol;
  if (by === 'state') return ({ state }) => state;
  if (by === 'vm') return ({ vm }) => vm;
  const indexes = new Map(routers.map((router, index) => [router, index]));
  // Worked out once for each VM.
  const ofVm = new Int32Array(tables.vmSlots).fill(UNKNOWN);
  return ({ vm }) => (ofVm[vm] === UNKNOWN ? (ofVm[vm] = indexes.get(place(tables.vmKey(vm).vni)?.router ?? '') ?? routers.length) : ofVm[vm]!);
}

const UNKNOWN = -1;

function named(by: By, key: number, sessions: number, tables: SessionTables, directory: Directory): SessionGroup {
  return { group: nameOf(by, key, tables, directory), sessions };
}

function nameOf(by: By, key: number, tables: SessionTables, { place, routers }: Directory): string {
  if (by === 'protocol') return mappingProtocolNames[key]!;
  if (by === 'state') return sessionStateNames[key] ?? String(key);
  if (by === 'remote') return formatIpv4(key as Ipv4Address);
  if (by === 'router') return routers[key] ?? '?';
  const { vni, address } = tables.vmKey(key);
  const where = place(vni);
  return `${formatIpv4(address)} ${where === undefined ? '?' : `${where.router}/${where.network}`}`;
}
