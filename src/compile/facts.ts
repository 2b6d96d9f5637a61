import type { Ipv4Address, MacAddress } from '../config/address.js';
import { formatIpv4, formatIpv4Subnet, networkAddressOf, subnetContains } from '../config/address.js';
import type { SecretKey } from '../config/key.js';
import { formatPath } from '../config/problem.js';
import type { KeyPath } from '../config/problem.js';
import type { Configuration, RouterConfiguration } from '../config/schema.js';

/** What the machine knows about one of our interfaces. */
export interface InterfaceFacts {
  readonly ifindex: number;
  /** Bytes of IPv4 packet. */
  readonly mtu: number;
  readonly mac: MacAddress;
  /** Its primary IPv4 address; 0: none, which only external may have. */
  readonly address: Ipv4Address;
  /** Bits of that address's subnet. */
  readonly prefixLength: number;
}

/** What compiling needs and the configuration does not say. */
export interface Facts {
  readonly interfaces: {
    readonly underlay: InterfaceFacts;
    readonly external: InterfaceFacts;
    readonly ha?: InterfaceFacts | undefined;
  };
  /** From sync.keyFile. */
  readonly key?: SecretKey | undefined;
  /** The second one there. */
  readonly otherKey?: SecretKey | undefined;
}

/**
 * What in the configuration cannot be true on this machine: an address that is
 * the node's own and is also given to a router, to a floating IP or to the peer.
 * One sentence each; none when all is well.
 */
export function checkFacts(configuration: Configuration, facts: Facts): string[] {
  const { underlay, external, ha } = facts.interfaces;
  const found: string[] = [];
  const own = (path: KeyPath, address: Ipv4Address | undefined, role: string, ours: Ipv4Address | undefined): void => {
    if (address === undefined || address !== ours) return;
    found.push(`${formatPath(path)} is ${formatIpv4(address)}, but that is this node's own address on the ${role} interface.`);
  };
  configuration.virtualRouters.forEach(({ address, priority, unicastPeers }, index) => {
    unicastPeers.forEach((other, at) => own(['virtualRouters', index, 'unicastPeers', at], other, 'underlay', underlay.address));
    found.push(...beyondReach(configuration, unicastPeers, index, underlay));
    const path = ['virtualRouters', index, 'address'];
    if (priority !== 255) own(path, address, 'underlay', underlay.address);
    else if (address !== underlay.address) {
      found.push(`${formatPath(path)} is ${formatIpv4(address)}, but with priority 255 it must be this node's own address on the underlay interface, ${formatIpv4(underlay.address)}.`);
    }
  });
  configuration.externalNetworks.forEach(({ gateway, routes, vlan }, index) => {
    if (vlan !== 0) return;
    own(['externalNetworks', index, 'gateway'], gateway, 'external', external.address);
    routes.forEach(({ via }, route) => own(['externalNetworks', index, 'routes', route, 'via'], via, 'external', external.address));
  });
  configuration.routers.forEach((router, index) => {
    router.networks.forEach(({ endpoints }, network) =>
      endpoints.forEach(({ compute }, at) => own(['routers', index, 'networks', network, 'endpoints', at, 'compute'], compute, 'underlay', underlay.address)));
    // On another VLAN the address is another's.
    if (configuration.externalNetworks.find(({ name }) => name === router.externalNetwork)?.vlan === 0) found.push(...ownOutside(router, index, external.address));
  });
  own(['peer', 'address'], configuration.peer?.address, 'ha', ha?.address);
  return found;
}

/** Tagged advertisements are not routed. With 32 bits, which keep the kernel from routing, the subnet is unknown. */
function beyondReach({ interfaces }: Configuration, peers: readonly Ipv4Address[], index: number, own: InterfaceFacts): string[] {
  if (interfaces.underlay.vlan === 0 || own.prefixLength === 32) return [];
  const subnet = { address: networkAddressOf(own), prefixLength: own.prefixLength };
  return peers.flatMap((peer, at) => (subnetContains(subnet, peer)
    ? []
    : [`${formatPath(['virtualRouters', index, 'unicastPeers', at])} is ${formatIpv4(peer)}, but on a tagged underlay must be in this node's own subnet there, ${formatIpv4Subnet(subnet)}.`]));
}

function ownOutside({ externalAddresses, floatingIps, portForwardings }: RouterConfiguration, index: number, ours: Ipv4Address): string[] {
  const says = (what: string): string => `${what} ${formatIpv4(ours)}, but that is this node's own address on the external interface.`;
  const path = (...rest: KeyPath): string => `${formatPath(['routers', index, ...rest])} is`;
  return [
    ...(externalAddresses.includes(ours) ? [says(`routers[${index}] shares the external address`)] : []),
    ...floatingIps.flatMap(({ address }, at) => (address === ours ? [says(path('floatingIps', at, 'address'))] : [])),
    ...portForwardings.flatMap(({ address }, at) => (address === ours && !externalAddresses.includes(ours) ? [says(path('portForwardings', at, 'address'))] : [])),
  ];
}
