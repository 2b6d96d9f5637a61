import type { Ipv4Address } from '../config/address.js';
import type { SecretKey } from '../config/key.js';
import type * as layout from '../dataplane/layout.generated.js';

/*
 * What the configuration decides about each map. Fields of a struct that are
 * missing here belong to somebody else (the election, neighbour tracking, the
 * programs) and are left as they are by whoever writes these.
 */

/** Without `peerMac` (neighbour tracking) and `epoch` (synchronisation). */
export type GatewayContents = Pick<
  layout.Gateway,
  | 'id'
  | 'syncMode'
  | 'soloAfterNs'
  | 'haAddress'
  | 'peerAddress'
  | 'tcpEstablishedTicks'
  | 'tcpTransitoryTicks'
  | 'udpTicks'
  | 'icmpTicks'
  | 'holdDownTicks'
  | 'externalAddresses'
  | 'sessionBuckets'
> & {
  /** Undefined without a peer: the writer then draws a random one, so that no frame is authentic. */
  readonly key: SecretKey | undefined;
};

export type InterfaceContents = Pick<layout.Interface, 'ifindex' | 'mtu' | 'address' | 'mac'>;
/** Without `state`, `term`, `leaseUntilNs` and `activeSinceNs`: the election's. */
export type VirtualRouterContents = Pick<layout.VirtualRouter, 'address' | 'mac'>;
export type NetworkContents = Pick<layout.Network, 'vni' | 'router' | 'subnet' | 'netmask' | 'gateway' | 'gatewayMac'>;
export type RouterContents = Pick<layout.Router, 'externalAddress' | 'externalAddressIndex' | 'externalNetwork' | 'virtualRouter'>;
/** Without `gatewayMac`: neighbour tracking's. */
export type ExternalNetworkContents = Pick<layout.ExternalNetwork, 'subnet' | 'netmask' | 'gateway'>;
export type ExternalAddressContents = Pick<layout.ExternalAddress, 'kind' | 'index' | 'router'>;

/** Key and value of every map that follows from the configuration, under the map's own name. */
export interface MapEntries {
  gateways: GatewayContents;
  /** Key: enum interface_role. */
  interfaces: InterfaceContents;
  /** Key: enum interface_role; value: ifindex. */
  ports: number;
  /** Key: VRID. */
  virtual_routers: VirtualRouterContents;
  /** Key: address; value: VRID. */
  virtual_router_by_address: number;
  external_networks: ExternalNetworkContents;
  routers: RouterContents;
  networks: NetworkContents;
  /** Key: VNI; value: index into networks. */
  network_by_vni: number;
  /** Key: address. Routers' own addresses only; those of floating IPs follow from FloatingIp. */
  external_addresses: ExternalAddressContents;
}

export type MapName = keyof MapEntries;
export type MapContents = { readonly [Name in MapName]: ReadonlyMap<number, MapEntries[Name]> };

/** Needs the index of its VM, which only the program `vm_ensure` knows. */
export interface FloatingIp {
  readonly address: Ipv4Address;
  readonly vni: number;
  readonly fixedIp: Ipv4Address;
  /** Index into routers. */
  readonly router: number;
}

/** An address whose MAC the control plane must know, and where it goes. */
export type NeighbourTarget =
  | { readonly interface: 'ha'; readonly address: Ipv4Address; readonly for: 'peer' }
  | { readonly interface: 'external'; readonly address: Ipv4Address; readonly for: 'external_network'; readonly index: number };
