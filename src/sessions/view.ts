/** A session as the API tells it. */
import type { SessionView } from '../api/sessions.js';
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { mappingProtocolNames, sessionStateNames } from '../dataplane/layout.generated.js';
import { secondsSince } from './directory.js';
import type { Directory } from './directory.js';
import { isProtected } from './filter.js';
import type { Session, SessionTables } from './tables.js';

export function viewOf(session: Session, tables: SessionTables, directory: Directory): SessionView {
  const { vni, address } = tables.vmKey(session.vm);
  const place = directory.place(vni);
  return {
    protocol: mappingProtocolNames[session.protocol]!,
    router: place?.router,
    network: place?.network,
    internalAddress: formatIpv4(address),
    internalPort: session.internalPort,
    externalAddress: formatIpv4(directory.externalAddress(session.addressIndex) ?? (0 as Ipv4Address)),
    externalPort: session.externalPort,
    remoteAddress: formatIpv4(session.remote),
    remotePort: session.remotePort === 0 ? undefined : session.remotePort,
    state: sessionStateNames[session.state] ?? String(session.state),
    idleSeconds: secondsSince(session.lastSeen, directory.tick),
    protected: isProtected(session.flags, directory),
  };
}
