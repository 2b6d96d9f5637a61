import { commonPrefixOf, macBytes, netmaskOf, subnetContains } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import type { Configuration, NetworkConfiguration, RouterConfiguration } from '../config/schema.js';
import { encapsulation, externalAddressKind, filteringBehaviour, mappingBehaviour, networkFlag, routeKind } from '../dataplane/layout.generated.js';
import type { Route } from '../dataplane/layout.generated.js';
import type { Indexes } from './compile.js';
import { externalKey, routeKey } from './contents.js';
import type { MapContents, NetworkContents, RouterContents, Segment } from './contents.js';
import type { Facts } from './facts.js';
import type { Run, Runs } from './pool-runs.js';

/** Where enum encapsulation stands in a segment; ENCAPSULATION_SHIFT of bpf/layout.h. */
export const encapsulationShift = 24;

export function segmentOf(network: Pick<NetworkConfiguration, 'vni' | 'encapsulation'>): Segment {
  return ((encapsulation[network.encapsulation] << encapsulationShift) | network.vni) >>> 0;
}

/** By name of the external network. */
export function vlansOf(externalNetworks: Configuration['externalNetworks']): Map<string, number> {
  return new Map(externalNetworks.map(({ name, vlan }) => [name, vlan]));
}

/** Every address that the router has mappings of: its pool, and what else is forwarded. */
export function addressesOf({ externalAddresses, portForwardings }: RouterConfiguration): Ipv4Address[] {
  return [...new Set([...externalAddresses, ...portForwardings.map(({ address }) => address)])];
}

export function addressHolder({ name }: RouterConfiguration, address: Ipv4Address): string {
  return `${name}/${address}`;
}

/** By router: the indexes of the addresses that its VMs share. */
export function poolsOf({ routers }: Configuration, { externalAddresses }: Indexes): Map<string, number[]> {
  return new Map(routers.map((router) => [router.name, router.externalAddresses.map((address) => externalAddresses.held.get(addressHolder(router, address))!)]));
}

export function compileRouters({ externalNetworks, routers }: Configuration, indexes: Indexes, runs: Runs): Pick<MapContents, 'routers' | 'snat_addresses' | 'external_addresses' | 'routes'> {
  const vlans = vlansOf(externalNetworks);
  const contents = new Map<number, RouterContents>();
  const outside = new Map<number, { address: number; router: number }>();
  const addresses = new Map<string, { kind: number; index: number; router: number }>();
  for (const router of routers) {
    const index = indexes.routers.held.get(router.name)!;
    contents.set(index, compileRouter(router, indexes, runs.get(router.name)));
    for (const address of addressesOf(router)) {
      const snat = indexes.externalAddresses.held.get(addressHolder(router, address))!;
      outside.set(snat, { address, router: index });
      addresses.set(externalKey(vlans.get(router.externalNetwork)!, address), { kind: externalAddressKind.router, index: snat, router: index });
    }
  }
  return {
    routers: contents,
    snat_addresses: outside,
    external_addresses: addresses,
    routes: new Map(routers.flatMap((router) => compileRoutes(router, indexes))),
  };
}

/** Matches no address that a packet may go to: RFC 1812 §5.3.7. */
const nothing = { address: 0xffffffff, prefixLength: 32 };

function compileRouter(router: RouterConfiguration, indexes: Indexes, run: Run | undefined): RouterContents {
  const { externalNetwork, virtualRouter, mapping, filtering, limits, networks, routes } = router;
  const inner = commonPrefixOf([...networks.map(({ subnet }) => subnet), ...routes.map(({ destination }) => destination)]) ?? nothing;
  return {
    externalAddress: addressesOf(router)[0] ?? 0,
    // Without a pool the programs do not look where it begins.
    pool: run?.first ?? 0,
    poolSize: run?.members.length ?? 0,
    externalNetwork: indexes.externalNetworks.held.get(externalNetwork)!,
    virtualRouter,
    innerPrefix: inner.address,
    innerMask: netmaskOf(inner.prefixLength),
    mapping: mapping === 'endpoint-independent' ? mappingBehaviour.endpointIndependent : mappingBehaviour.addressAndPortDependent,
    filtering: filteringBehaviours[filtering],
    vmBlockLimit: limits.portBlocksPerVm,
    sessionLimit: limits.sessions,
    vmSessionLimit: limits.sessionsPerVm,
    vmSessionsPerSecond: limits.newSessionsPerSecondPerVm,
  };
}

const filteringBehaviours = {
  'endpoint-independent': filteringBehaviour.endpointIndependent,
  'address-dependent': filteringBehaviour.addressDependent,
  'address-and-port-dependent': filteringBehaviour.addressAndPortDependent,
} as const;

function compileRoutes({ name, networks, routes }: RouterConfiguration, indexes: Indexes): [string, Route][] {
  const scope = indexes.routers.held.get(name)!;
  const indexOf = (network: NetworkConfiguration): number => indexes.networks.held.get(String(segmentOf(network)))!;
  return [
    ...networks.map((network): [string, Route] => [routeKey(scope, network.subnet.address, network.subnet.prefixLength), { kind: routeKind.network, network: indexOf(network), via: 0 }]),
    ...routes.map(({ destination: { address, prefixLength }, via }): [string, Route] => [
      routeKey(scope, address, prefixLength),
      { kind: routeKind.vm, network: indexOf(networks.find(({ subnet }) => subnetContains(subnet, via))!), via },
    ]),
  ];
}

export function compileNetworks({ routers }: Configuration, facts: Facts, indexes: Indexes): Pick<MapContents, 'networks' | 'network_by_vni'> {
  const contents = new Map<number, NetworkContents>();
  const bySegment = new Map<number, number>();
  for (const router of routers) {
    for (const network of router.networks) {
      const segment = segmentOf(network);
      const index = indexes.networks.held.get(String(segment))!;
      contents.set(index, {
        vni: segment,
        router: indexes.routers.held.get(router.name)!,
        subnet: network.subnet.address,
        netmask: netmaskOf(network.subnet.prefixLength),
        gateway: network.gateway,
        gatewayMac: macBytes(network.mac),
        mss: mssOf(network, facts),
        flags: network.learnEndpoints ? 0 : networkFlag.pinned,
        vmLimit: network.vmLimit,
        mtu: network.mtu ?? 0,
      });
      bySegment.set(segment, index);
    }
  }
  return { networks: contents, network_by_vni: bySegment };
}

/** IPv4 (20), UDP (8), VXLAN (8) or Geneve with OVN's option (16), Ethernet (14). */
const overheadBytes = { geneve: 58, vxlan: 50 } as const;
/** IPv4 and TCP without options, which is what a segment size counts with (RFC 879 §2). */
const headersBytes = 40;

function mssOf({ mssClamp, mtu, encapsulation: kind }: NetworkConfiguration, { interfaces }: Facts): number {
  if (!mssClamp) return 0;
  const fits = Math.min(mtu ?? Infinity, interfaces.underlay.mtu - overheadBytes[kind], interfaces.external.mtu) - headersBytes;
  return Math.min(Math.max(fits, 0), 0xffff);
}
