/** What an operator who has to answer for an address keeps: who had which of its ports, and when (RFC 6888 REQ-12, RFC 7422). */
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import type { Configuration } from '../config/schema.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { eventType, portLogCodec } from '../dataplane/layout.generated.js';
import { placesOf } from './places.js';

export interface PortLogLine {
  readonly reason: 'ports_allocated' | 'ports_released';
  readonly router: string;
  readonly network: string;
  readonly vm: string;
  readonly externalAddress: string;
  /** First and last. */
  readonly ports: string;
  readonly protocol: 'all' | 'tcp' | 'udp';
}

const protocols = new Map<number, PortLogLine['protocol']>([[0, 'all'], [6, 'tcp'], [17, 'udp']]);

/** Undefined for a record that is shorter than its struct, or of a protocol that has no ports. */
export function portLogLine(event: DataPlaneEvent, configuration: Configuration): PortLogLine | undefined {
  if (event.frame.length < portLogCodec.size) return undefined;
  const log = portLogCodec.decode(event.frame);
  const protocol = protocols.get(log.protocol);
  if (protocol === undefined) return undefined;
  const place = placesOf(configuration).byVni.get(log.vni);
  return {
    reason: event.type === eventType.portsAllocated ? 'ports_allocated' : 'ports_released',
    router: place?.router ?? '',
    network: place?.network ?? '',
    vm: formatIpv4(log.internalAddress as Ipv4Address),
    externalAddress: formatIpv4(log.externalAddress as Ipv4Address),
    ports: `${log.firstPort}-${log.firstPort + log.ports - 1}`,
    protocol,
  };
}
