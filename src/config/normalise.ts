import { addressesOf } from './address.js';
import type { Ipv4Address } from './address.js';
import type { Configuration, Filtering, PortForwardingConfiguration, RouterConfiguration, SyncMode, WrittenConfiguration, WrittenForwarding, WrittenRouter } from './schema.js';

/*
 * What can be written in several ways, or has a default that depends on another
 * key, in the one form that everything else reads. Of a file that has been checked.
 */

export function normalise(written: WrittenConfiguration): Configuration {
  return { ...written, sync: { ...written.sync, mode: syncModeOf(written) }, routers: written.routers.map(normaliseRouter) };
}

export function syncModeOf({ sync, peer }: Pick<WrittenConfiguration, 'sync' | 'peer'>): SyncMode {
  return sync.mode ?? (peer ? 'strict' : 'none');
}

/** An external port that depends on the remote can tell internal ones apart by nothing less. */
export function filteringOf({ mapping, filtering }: Pick<WrittenRouter, 'mapping' | 'filtering'>): Filtering {
  return filtering ?? (mapping === 'endpoint-independent' ? 'address-dependent' : 'address-and-port-dependent');
}

function normaliseRouter({ externalAddress, externalAddresses: ranges, ...router }: WrittenRouter): RouterConfiguration {
  const first = externalAddress === undefined ? [] : [externalAddress];
  const externalAddresses = [...new Set([...first, ...ranges.flatMap(addressesOf)])];
  return {
    ...router,
    externalAddresses,
    filtering: filteringOf(router),
    portForwardings: router.portForwardings.map((forwarding) => normaliseForwarding(forwarding, externalAddresses[0]!)),
  };
}

function normaliseForwarding({ address, protocol, port, network, fixedIp, fixedPort }: WrittenForwarding, first: Ipv4Address): PortForwardingConfiguration {
  return { address: address ?? first, protocol, ports: port, network, fixedIp, fixedPorts: fixedPort ?? port };
}
