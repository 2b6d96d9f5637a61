/** How many sessions there are, by whom. */
import type { CountQuery } from '../api/session-query.js';
import type { SessionCount } from '../api/sessions.js';
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { mappingProtocolNames, sessionStateNames } from '../dataplane/layout.generated.js';
import type { Directory } from './directory.js';
import { matcher } from './filter.js';
import { scan } from './scan.js';
import type { Pace } from './scan.js';
import type { Session, SessionTables } from './tables.js';

export async function countSessions(query: CountQuery, tables: SessionTables, directory: Directory, pace: Pace): Promise<SessionCount> {
  const matches = matcher(query, tables, directory);
  const keyOf = query.by && keys[query.by];
  const groups = new Map<number, number>();
  let sessions = 0;
  await scan(tables, 0, tables.slots, pace, (session) => {
    if (!matches(session)) return 'more';
    sessions++;
    const key = keyOf?.(session);
    if (key !== undefined) groups.set(key, (groups.get(key) ?? 0) + 1);
    return 'more';
  });
  return query.by === undefined ? { sessions } : { sessions, ...largest(named(query.by, groups, tables, directory), query.limit) };
}

type By = NonNullable<CountQuery['by']>;

/** Numbers, to be named when they have been counted. */
const keys: Readonly<Record<By, (session: Session) => number>> = {
  router: ({ vm }) => vm,
  vm: ({ vm }) => vm,
  protocol: ({ protocol }) => protocol,
  state: ({ state }) => state,
  remote: ({ remote }) => remote,
};

function named(by: By, groups: ReadonlyMap<number, number>, tables: SessionTables, directory: Directory): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [key, sessions] of groups) {
    const name = nameOf(by, key, tables, directory);
    sums.set(name, (sums.get(name) ?? 0) + sessions);
  }
  return sums;
}

function nameOf(by: By, key: number, tables: SessionTables, directory: Directory): string {
  if (by === 'protocol') return mappingProtocolNames[key]!;
  if (by === 'state') return sessionStateNames[key] ?? String(key);
  if (by === 'remote') return formatIpv4(key as Ipv4Address);
  const { vni, address } = tables.vmKey(key);
  const place = directory.place(vni);
  if (by === 'router') return place?.router ?? '?';
  return `${formatIpv4(address)} ${place === undefined ? '?' : `${place.router}/${place.network}`}`;
}

function largest(groups: ReadonlyMap<string, number>, limit: number): Pick<SessionCount, 'groups' | 'moreGroups'> {
  const sorted = [...groups].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
  return {
    groups: sorted.slice(0, limit).map(([group, sessions]) => ({ group, sessions })),
    moreGroups: Math.max(0, sorted.length - limit),
  };
}
