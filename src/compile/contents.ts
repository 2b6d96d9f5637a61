import type { Ipv4Address } from '../config/address.js';
import type { SecretKey } from '../config/key.js';
import type { Password } from '../config/password.js';
import type * as layout from '../dataplane/layout.generated.js';

/*
 * What the configuration decides about each map. Fields of a struct that are
 * missing here belong to somebody else (the election, neighbour tracking, the
 * programs) and are left as they are by whoever writes these.
 */

/** Without `peerMac` (neighbour tracking), `seed` (the writer), `epoch` and `peerUnderlayAddress` (synchronisation). */
export type GatewayContents = Omit<layout.Gateway, 'key' | 'otherKey' | 'seed' | 'peerMac' | 'epoch' | 'peerUnderlayAddress'> & {
  /** Undefined without a peer: the writer then draws a random one, so that no frame is authentic. */
  readonly key: SecretKey | undefined;
  readonly otherKey: SecretKey | undefined;
};

export type InterfaceContents = layout.Interface;
/** Without `state`, `term`, `leaseUntilNs` and `activeSinceNs`: the election's. */
export type VirtualRouterContents = Pick<layout.VirtualRouter, 'address' | 'mac'>;
/** What advertisements for a virtual router have to be like. */
export type AdvertisementRuleContents = Omit<layout.AdvertisementRule, 'password'> & {
  /** Undefined: none. */
  readonly password: Password | undefined;
};
/** `vni`: with its encapsulation, see Segment. */
export type NetworkContents = layout.Network;
export type RouterContents = layout.Router;
/** Without `gatewayMac`: neighbour tracking's. */
export type ExternalNetworkContents = Omit<layout.ExternalNetwork, 'gatewayMac'>;
export type ExternalAddressContents = layout.ExternalAddress;

/** A VNI with enum encapsulation in its upper byte, as the programs have it: a number in two spaces. */
export type Segment = number;

/** Key and value of every map that follows from the configuration, under the map's own name. */
export interface MapEntries {
  gateways: GatewayContents;
  /** Key: enum interface_role. */
  interfaces: InterfaceContents;
  /** Key: enum interface_role; value: ifindex. */
  ports: number;
  /** Key: VRID. */
  virtual_routers: VirtualRouterContents;
  /** Key: VRID. */
  advertisement_rules: AdvertisementRuleContents;
  /** Key: address; value: VRID. */
  virtual_router_by_address: number;
  external_networks: ExternalNetworkContents;
  snat_addresses: layout.SnatAddress;
  /** Value: index into snat_addresses. */
  pools: number;
  routers: RouterContents;
  networks: NetworkContents;
  /** Key: routeKey(). */
  routes: layout.Route;
  /** Key: externalKey(). Routers' own addresses only; those of floating IPs follow from FloatingIp. */
  external_addresses: ExternalAddressContents;
  /** Key: Segment; value: index into networks. */
  network_by_vni: number;
}

export type MapName = keyof MapEntries;
export type KeyOf<Name extends MapName> = Name extends 'routes' | 'external_addresses' ? string : number;
export type MapContents = { readonly [Name in MapName]: ReadonlyMap<KeyOf<Name>, MapEntries[Name]> };

/** struct external_key. */
export function externalKey(vlan: number, address: number): string {
  return `${vlan}/${address}`;
}

export function parseExternalKey(key: string): layout.ExternalKey {
  const [vlan, address] = key.split('/').map(Number) as [number, number];
  return { vlan, address };
}

/** ROUTE_SCOPE_EXTERNAL of bpf/layout.h. */
export const scopeExternal = 0x80000000;

/** struct route_key; `prefixLength` is the route's own here. */
export function routeKey(scope: number, address: number, prefixLength: number): string {
  return `${scope}/${address}/${prefixLength}`;
}

export function parseRouteKey(key: string): layout.RouteKey {
  const [scope, address, prefixLength] = key.split('/').map(Number) as [number, number, number];
  return { scope, address, prefixLength: 32 + prefixLength };
}

/** A VM of the configuration, as `vm_ensure` is told: all that is said of it. */
export interface VmContents {
  readonly segment: Segment;
  readonly address: Ipv4Address;
  /** 0: none. */
  readonly floatingIp: number;
  /** 0: none. */
  readonly floatingIpCounter: number;
  /** enum vm_flag */
  readonly flags: number;
  /** 0 unless pinned. */
  readonly tunnelEndpoint: number;
  readonly mac: Buffer;
}

export function vmName({ segment, address }: Pick<VmContents, 'segment' | 'address'>): string {
  return `${segment}/${address}`;
}

/** Needs the index of its VM, which only the programs know. */
export interface FloatingIp {
  readonly address: Ipv4Address;
  readonly vlan: number;
  readonly segment: Segment;
  readonly fixedIp: Ipv4Address;
  /** Index into routers. */
  readonly router: number;
}

/** One port of a port forwarding. */
export interface Forwarding {
  /** Index into mappings: address, protocol and port outside. */
  readonly mapping: number;
  readonly address: Ipv4Address;
  readonly port: number;
  /** enum mapping_protocol */
  readonly protocol: number;
  readonly segment: Segment;
  readonly fixedIp: Ipv4Address;
  readonly fixedPort: number;
}

/** An address whose MAC the control plane must know, and where it goes. */
export type NeighbourTarget =
  | { readonly interface: 'ha'; readonly vlan: 0; readonly address: Ipv4Address; readonly for: 'peer' }
  | { readonly interface: 'external'; readonly vlan: number; readonly address: Ipv4Address; readonly for: 'external_network'; readonly index: number }
  /** A static route's next hop, a compute that is known beforehand, or whom tagged advertisements go to. */
  | { readonly interface: 'external' | 'underlay'; readonly vlan: number; readonly address: Ipv4Address; readonly for: 'packets' };
