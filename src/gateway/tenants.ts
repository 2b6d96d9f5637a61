/** Whose a frame is: so each has a share of what waits. */
import { externalKey } from '../compile/contents.js';
import type { CompiledState } from '../compile/compile.js';
import type { Holder } from '../dataplane/shares.js';
import { destinationOf, segmentOf } from '../dataplane/tunnel.js';
import { ethernetOf } from '../dataplane/vlan.js';

type Known = Pick<CompiledState, 'floatingIps'> & {
  readonly maps: Pick<CompiledState['maps'], 'external_addresses' | 'network_by_vni' | 'networks' | 'virtual_router_by_address'>;
};

/** The router that its tunnel's network, or its destination outside, belongs to. */
export function tenantOf(frame: Buffer, { maps, floatingIps }: Known): Holder {
  const destination = destinationOf(frame);
  if (destination === undefined) return undefined;
  // Only what is addressed to our end of a tunnel is in one: anybody outside can send to its port.
  if (maps.virtual_router_by_address.has(destination)) return tenantOfSegment(segmentOf(frame), maps);
  const key = externalKey(ethernetOf(frame)?.vlan ?? 0, destination);
  return (maps.external_addresses.get(key) ?? floatingIps.get(key))?.router;
}

function tenantOfSegment(segment: number | undefined, { network_by_vni: byVni, networks }: Known['maps']): Holder {
  const network = segment === undefined ? undefined : byVni.get(segment);
  return network === undefined ? undefined : networks.get(network)?.router;
}
