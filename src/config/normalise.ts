import { addressesOf } from './address.js';
import type { Ipv4Address } from './address.js';
import type { Microseconds } from './duration.js';
import type { Configuration, Filtering, PortForwardingConfiguration, RouterConfiguration, SyncMode, WrittenConfiguration, WrittenForwarding, WrittenRouter } from './schema.js';
import { tracksOf } from './tracking.js';

/*
 * What can be written in several ways, or has a default that depends on another
 * key, in the one form that everything else reads. Of a file that has been checked.
 */

export function normalise(written: WrittenConfiguration): Configuration {
  const { sync, virtualRouters, routers, limits } = written;
  return {
    ...written,
    sync: { ...sync, mode: syncModeOf(written), livenessAfter: livenessAfterOf(sync) },
    virtualRouters: virtualRouters.map((router) => ({ ...router, track: tracksOf(router, virtualRouters) })),
    routers: routers.map((router) => normaliseRouter(router, limits)),
  };
}

export function syncModeOf({ sync, peer }: Pick<WrittenConfiguration, 'sync' | 'peer'>): SyncMode {
  return sync.mode ?? (peer ? 'strict' : 'none');
}

/** A beat and its answer may each be late by one. */
const beatsOfSilence = 3;
const shortestSilence = 5_000;

function livenessAfterOf({ livenessAfter, heartbeatInterval }: WrittenConfiguration['sync']): Microseconds {
  return livenessAfter ?? (Math.max(beatsOfSilence * heartbeatInterval, shortestSilence) as Microseconds);
}

/** An external port that depends on the remote can tell internal ones apart by nothing less. */
export function filteringOf({ mapping, filtering }: Pick<WrittenRouter, 'mapping' | 'filtering'>): Filtering {
  return filtering ?? (mapping === 'endpoint-independent' ? 'address-dependent' : 'address-and-port-dependent');
}

/** So many must come together to fill a table, where the file does not say how much of it each may take. */
const tenantsPerTable = 8;
/** An eighth of the smallest tables is no room for a network. */
const fewestVms = 16;

type TableSizes = WrittenConfiguration['limits'];

function normaliseRouter(written: WrittenRouter, tables: TableSizes): RouterConfiguration {
  const { externalAddress, externalAddresses: ranges, ...router } = written;
  const first = externalAddress === undefined ? [] : [externalAddress];
  const externalAddresses = [...new Set([...first, ...ranges.flatMap(addressesOf)])];
  const named = namedVms(written);
  return {
    ...router,
    externalAddresses,
    filtering: filteringOf(router),
    limits: { ...router.limits, sessionsPerVm: router.limits.sessionsPerVm ?? tables.sessions / tenantsPerTable },
    networks: router.networks.map((network) => ({ ...network, vmLimit: network.vmLimit ?? defaultVmLimit(named.get(network.name)!.size, tables) })),
    portForwardings: router.portForwardings.map((forwarding) => normaliseForwarding(forwarding, externalAddresses[0]!)),
  };
}

/** Named VMs count and are never refused: they leave others half a share or more. In whole shares, so that a floating IP more changes nothing else. */
function defaultVmLimit(named: number, { vms }: TableSizes): number {
  const share = Math.max(vms / tenantsPerTable, fewestVms);
  return Math.min(share * Math.ceil(named / share + 0.5), vms);
}

/** By network: addresses of the VMs that the file says something about. */
export function namedVms({ networks, floatingIps, portForwardings }: WrittenRouter): Map<string, Set<Ipv4Address>> {
  const found = new Map(networks.map(({ name, endpoints }) => [name, new Set(endpoints.map(({ address }) => address))]));
  for (const { network, fixedIp } of [...floatingIps, ...portForwardings]) found.get(network)?.add(fixedIp);
  return found;
}

function normaliseForwarding({ address, protocol, port, network, fixedIp, fixedPort }: WrittenForwarding, first: Ipv4Address): PortForwardingConfiguration {
  return { address: address ?? first, protocol, ports: port, network, fixedIp, fixedPorts: fixedPort ?? port };
}
