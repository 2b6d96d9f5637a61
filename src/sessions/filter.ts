/** From what was asked to a test of one session. */
import type { SessionFilter } from '../api/session-query.js';
import type { Remote } from '../api/query.js';
import { netmaskOf } from '../config/address.js';
import { mappingProtocol, sessionFlag, sessionState } from '../dataplane/layout.generated.js';
import { secondsSince } from './directory.js';
import type { Directory } from './directory.js';
import type { Session, SessionTables } from './tables.js';

export type Matches = (session: Session) => boolean;

export function matcher(filter: SessionFilter, tables: SessionTables, directory: Directory): Matches {
  const tests = [...ofSession(filter), ...ofPlace(filter, directory), ...ofVm(filter, tables, directory), ...ofProtection(filter, directory)];
  return (session) => tests.every((test) => test(session));
}

function ofSession({ protocol, state, remote }: SessionFilter): Matches[] {
  const tests: Matches[] = [];
  if (protocol !== undefined) tests.push((session) => session.protocol === mappingProtocol[protocol]);
  if (state !== undefined) tests.push((session) => session.state === sessionState[state]);
  if (remote !== undefined) tests.push(ofRemote(remote));
  return tests;
}

/** A session with all ports of a remote is also with the one that is asked for. */
function ofRemote({ subnet, port }: Remote): Matches {
  const mask = netmaskOf(subnet.prefixLength);
  return ({ remote, remotePort }) => ((remote ^ subnet.address) & mask) === 0 && (port === undefined || remotePort === 0 || remotePort === port);
}

function ofPlace({ external, idleOver }: SessionFilter, directory: Directory): Matches[] {
  const tests: Matches[] = [];
  if (external?.port !== undefined) tests.push(({ externalPort }) => externalPort === external.port);
  if (external !== undefined) tests.push(({ addressIndex }) => directory.externalAddress(addressIndex) === external.address);
  if (idleOver !== undefined) tests.push(({ lastSeen }) => secondsSince(lastSeen, directory.tick) * 1e6 > idleOver);
  return tests;
}

/** Worked out once for each VM: most have many sessions. */
function ofVm({ router, network, vm }: SessionFilter, tables: SessionTables, directory: Directory): Matches[] {
  if (router === undefined && network === undefined && vm === undefined) return [];
  const known = new Uint8Array(tables.vmSlots);
  const judge = (index: number): boolean => {
    const { vni, address } = tables.vmKey(index);
    if (vm !== undefined && address !== vm) return false;
    if (router === undefined && network === undefined) return true;
    const place = directory.place(vni);
    return place !== undefined && (router === undefined || place.router === router) && (network === undefined || place.network === network);
  };
  return [({ vm: index }) => (known[index] ||= judge(index) ? 2 : 1) === 2];
}

function ofProtection({ unprotected }: SessionFilter, directory: Directory): Matches[] {
  return unprotected === true ? [({ flags }) => !isProtected(flags, directory)] : [];
}

/** Flags tell of the moment that set them: what was made in a silence of the peer it has once it holds everything. */
export function isProtected(flags: number, { peerHolds }: Directory): boolean {
  if (peerHolds !== 'acknowledged') return peerHolds === 'everything';
  return (flags & sessionFlag.committed) !== 0 && (flags & sessionFlag.unprotected) === 0;
}

/** No session of a mapping is meant without the others: the mapping is to end with them. */
export function isAboutMappings({ remote, state, unprotected, idleOver }: SessionFilter): boolean {
  return remote === undefined && state === undefined && unprotected !== true && idleOver === undefined;
}
