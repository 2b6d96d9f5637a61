import type { Configuration } from '../config/schema.js';
import { mappingProtocolCount } from '../dataplane/layout.generated.js';

/* Of bpf/layout.h and bpf/maps.h: macros are not in BTF, so the unit test compares these with the headers' text. */
export const portBlocksPerAddress = 256;
export const portsPerProtocol = 65_536;
export const sessionBucketSize = 8;
export const externalNetworks = 256;
export const advertisementPeers = 8;

/** Of the table of pools for each address: room for runs that come and go, see pool-runs.ts. */
const poolEntriesPerAddress = 16;

export function poolEntries({ externalAddresses }: Configuration['limits']): number {
  return externalAddresses * poolEntriesPerAddress;
}

/** max_entries of every map whose size the configuration decides, to be set before the object is loaded. */
export function mapSizes({ limits }: Pick<Configuration, 'limits'>): Readonly<Record<string, number>> {
  return {
    vms: limits.vms,
    vm_by_address: limits.vms,
    free_vms: limits.vms,
    networks: limits.networks,
    network_by_vni: limits.networks,
    network_states: limits.networks,
    routers: limits.routers,
    router_states: limits.routers,
    snat_addresses: limits.externalAddresses,
    pools: poolEntries(limits),
    forwardings: limits.forwardings,
    // 0 is nobody's.
    floating_ip_counters: limits.floatingIps + 1,
    external_addresses: limits.floatingIps + limits.externalAddresses,
    port_blocks: limits.externalAddresses * portBlocksPerAddress,
    mappings: limits.externalAddresses * mappingProtocolCount * portsPerProtocol,
    sessions: limits.sessions,
  };
}
