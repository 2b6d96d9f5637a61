import { macBytes, netmaskOf } from '../config/address.js';
import type { MacAddress } from '../config/address.js';
import { toNanoseconds } from '../config/duration.js';
import { Password } from '../config/password.js';
import type { Milliseconds } from '../config/duration.js';
import type { Configuration, ExternalNetworkConfiguration, InterfaceRole, VirtualRouterConfiguration } from '../config/schema.js';
import { externalNetworkFlag, interfaceRole, routeKind, syncMode } from '../dataplane/layout.generated.js';
import type { Route } from '../dataplane/layout.generated.js';
import { externalKey, routeKey, scopeExternal } from './contents.js';
import type { AdvertisementRuleContents, FloatingIp, Forwarding, GatewayContents, InterfaceContents, MapContents, NeighbourTarget, VirtualRouterContents, VmContents } from './contents.js';
import type { Facts, InterfaceFacts } from './facts.js';
import { assignIndexes, emptyIndexTable } from './index-table.js';
import type { IndexTable } from './index-table.js';
import { advertisementPeers, externalNetworks as externalNetworksSize, poolEntries, sessionBucketSize } from './map-sizes.js';
import { compileNamedVms } from './named-vms.js';
import { assignRuns } from './pool-runs.js';
import type { Runs } from './pool-runs.js';
import { addressHolder, addressesOf, compileNetworks, compileRouters, poolsOf, segmentOf, vlansOf } from './routers.js';

/** Where each object is in its table; must be carried from one compilation to the next. */
export interface Indexes {
  /** By VNI: a network that is renamed, or given to another router, keeps its VMs. */
  readonly networks: IndexTable;
  /** By name. */
  readonly routers: IndexTable;
  /** By name. */
  readonly externalNetworks: IndexTable;
  /** By router and address: what a router leaves in an address's mappings is no other router's business. */
  readonly externalAddresses: IndexTable;
  /** By VLAN and address: a floating IP that moves to another VM goes on counting. Its counter's index, less one. */
  readonly floatingIps: IndexTable;
}

/** What cannot change while the programs are attached and the maps exist. */
export type FixedSettings = Pick<Configuration, 'interfaces' | 'limits' | 'stateDirectory'> & { readonly gatewayId: number };

/** A configuration as the programs see it. */
export interface CompiledState {
  readonly fixed: FixedSettings;
  readonly indexes: Indexes;
  /** By router. */
  readonly runs: Runs;
  readonly maps: MapContents;
  /** By vmName(). */
  readonly vms: ReadonlyMap<string, VmContents>;
  /** By externalKey(). */
  readonly floatingIps: ReadonlyMap<string, FloatingIp>;
  /** By index into mappings. */
  readonly forwardings: ReadonlyMap<number, Forwarding>;
  readonly neighbourTargets: readonly NeighbourTarget[];
}

/**
 * Configuration and facts → the contents of every map. Pure: the same input
 * gives the same output.
 *
 * @param configuration checked: references resolve, everything fits its limit
 * @param previous what the maps hold now, so that everything that stays keeps
 *   its index; left out for maps that are empty
 */
export function compile(configuration: Configuration, facts: Facts, previous?: CompiledState): CompiledState {
  const indexes = assignAllIndexes(configuration, previous?.indexes);
  const runs = assignRuns(previous?.runs ?? new Map(), poolsOf(configuration, indexes), poolEntries(configuration.limits));
  const { routes, ...external } = compileExternalNetworks(configuration, indexes);
  const { routes: innerRoutes, ...routers } = compileRouters(configuration, indexes, runs);
  return {
    fixed: fixedSettings(configuration),
    indexes,
    runs,
    maps: {
      gateways: new Map([[0, compileGateway(configuration, facts, indexes)]]),
      ...compileInterfaces(configuration, facts),
      ...compileVirtualRouters(configuration),
      ...external,
      ...routers,
      pools: new Map([...runs.values()].flatMap(({ first, members }) => members.map((member, offset) => [first + offset, member] as const))),
      routes: new Map([...routes, ...innerRoutes]),
      ...compileNetworks(configuration, facts, indexes),
    },
    ...compileNamedVms(configuration, indexes),
    neighbourTargets: compileNeighbourTargets(configuration, indexes),
  };
}

function fixedSettings({ gateway, interfaces, limits, stateDirectory }: Configuration): FixedSettings {
  return { gatewayId: gateway.id, interfaces, limits, stateDirectory };
}

function assignAllIndexes({ externalNetworks, routers, limits }: Configuration, previous: Indexes | undefined): Indexes {
  const assign = (table: keyof Indexes, holders: readonly string[], size: number): IndexTable => assignIndexes(previous?.[table] ?? emptyIndexTable, holders, size);
  const vlans = vlansOf(externalNetworks);
  return {
    networks: assign('networks', routers.flatMap(({ networks }) => networks.map((network) => String(segmentOf(network)))), limits.networks),
    routers: assign('routers', routers.map(({ name }) => name), limits.routers),
    externalNetworks: assign('externalNetworks', externalNetworks.map(({ name }) => name), externalNetworksSize),
    externalAddresses: assign('externalAddresses', routers.flatMap((router) => addressesOf(router).map((address) => addressHolder(router, address))), limits.externalAddresses),
    floatingIps: assign('floatingIps', routers.flatMap(({ externalNetwork, floatingIps }) => floatingIps.map(({ address }) => externalKey(vlans.get(externalNetwork)!, address))), limits.floatingIps),
  };
}

/** One coarse tick is 2^30 ns, as in bpf/layout.h. */
const tickShift = 30n;

/** Never shorter than asked for; nothing times out in no time at all, except a hold-down of zero. */
export function toTicks(duration: Milliseconds): number {
  const nanoseconds = BigInt(duration) * 1_000_000n;
  return Number((nanoseconds + (1n << tickShift) - 1n) >> tickShift);
}

function compileGateway({ gateway, sync, peer, timeouts, limits, log }: Configuration, facts: Facts, indexes: Indexes): GatewayContents {
  return {
    id: gateway.id,
    syncMode: syncMode[sync.mode],
    key: facts.key,
    otherKey: facts.otherKey,
    soloAfterNs: toNanoseconds(sync.soloAfter),
    haAddress: facts.interfaces.ha?.address ?? 0,
    peerAddress: peer?.address ?? 0,
    tcpEstablishedTicks: toTicks(timeouts.tcpEstablished),
    tcpTransitoryTicks: toTicks(timeouts.tcpTransitory),
    udpTicks: toTicks(timeouts.udp),
    icmpTicks: toTicks(timeouts.icmp),
    holdDownTicks: toTicks(timeouts.portHoldDown),
    // Released addresses as well: walks must still come by what is left of their mappings.
    externalAddresses: indexes.externalAddresses.fresh,
    sessionBuckets: limits.sessions / sessionBucketSize,
    vmTicks: toTicks(timeouts.vm),
    icmpErrorsPerSecond: gateway.icmpErrorsPerSecond,
    restingPortLimit: gateway.restingPorts,
    logPorts: log.portAllocations ? 1 : 0,
  };
}

function compileInterfaces(configuration: Configuration, { interfaces }: Facts): Pick<MapContents, 'interfaces' | 'ports'> {
  const contents = new Map<number, InterfaceContents>();
  const ports = new Map<number, number>();
  for (const role of Object.keys(interfaceRole) as InterfaceRole[]) {
    const facts: InterfaceFacts | undefined = interfaces[role];
    if (facts === undefined) continue;
    const { ifindex, mtu, address, mac } = facts;
    const vlan = role === 'underlay' ? configuration.interfaces.underlay.vlan : 0;
    contents.set(interfaceRole[role], { ifindex, mtu, address, mac: macBytes(mac), vlan });
    ports.set(interfaceRole[role], ifindex);
  }
  return { interfaces: contents, ports };
}

/** RFC 9568 §7.3: 00-00-5E-00-01-{VRID} for IPv4. */
export function virtualRouterMac(vrid: number): MacAddress {
  return `00:00:5e:00:01:${vrid.toString(16).padStart(2, '0')}` as MacAddress;
}

function compileVirtualRouters({ virtualRouters }: Configuration): Pick<MapContents, 'virtual_routers' | 'advertisement_rules' | 'virtual_router_by_address'> {
  const contents = virtualRouters.map(({ vrid, address }): [number, VirtualRouterContents] => [vrid, { address, mac: macBytes(virtualRouterMac(vrid)) }]);
  return {
    virtual_routers: new Map(contents),
    advertisement_rules: new Map(virtualRouters.map((router) => [router.vrid, advertisementRule(router)])),
    virtual_router_by_address: new Map(virtualRouters.map(({ vrid, address }) => [address, vrid])),
  };
}

/** RFC 2338 §5.3.6. */
const SIMPLE_TEXT = 1;
const SECOND_US = 1_000_000;

/** A v3 interval that differs is adopted, a v2 one is refused (RFC 3768 §7.1). */
function advertisementRule({ version, authentication, priority, advertisementInterval, unicastPeers }: VirtualRouterConfiguration): AdvertisementRuleContents {
  return {
    version,
    authentication: authentication === undefined ? 0 : SIMPLE_TEXT,
    priority,
    interval: version === 2 ? advertisementInterval / SECOND_US : 0,
    peers: unicastPeers.length,
    password: authentication === undefined ? undefined : new Password(authentication),
    peer: Array.from({ length: advertisementPeers }, (_, index) => unicastPeers[index] ?? 0),
  };
}

function compileExternalNetworks({ externalNetworks }: Configuration, indexes: Indexes): Pick<MapContents, 'external_networks' | 'routes'> {
  const withIndex = externalNetworks.map((network) => ({ network, index: indexes.externalNetworks.held.get(network.name)! }));
  return {
    external_networks: new Map(
      withIndex.map(({ network: { vlan, subnet, subnets, gateway, routes }, index }) => [
        index,
        {
          subnet: subnet.address,
          netmask: netmaskOf(subnet.prefixLength),
          gateway,
          vlan,
          flags: subnets.length + routes.length > 0 ? externalNetworkFlag.hasRoutes : 0,
        },
      ]),
    ),
    routes: new Map(withIndex.flatMap(({ network, index }) => compileExternalRoutes(network, index))),
  };
}

/** All that is on link stands there, or nothing does: the programs look at the table or at the subnet, never at both. */
function compileExternalRoutes({ subnet, subnets, routes }: ExternalNetworkConfiguration, index: number): [string, Route][] {
  if (subnets.length + routes.length === 0) return [];
  const scope = scopeExternal + index;
  return [
    ...[subnet, ...subnets].map(({ address, prefixLength }): [string, Route] => [routeKey(scope, address, prefixLength), { kind: routeKind.onLink, network: 0, via: 0 }]),
    ...routes.map(({ destination: { address, prefixLength }, via }): [string, Route] => [routeKey(scope, address, prefixLength), { kind: routeKind.gateway, network: 0, via }]),
  ];
}

function compileNeighbourTargets({ interfaces, peer, virtualRouters, externalNetworks, routers }: Configuration, indexes: Indexes): NeighbourTarget[] {
  const gateways = externalNetworks.map(({ name, vlan, gateway }): NeighbourTarget => ({
    interface: 'external', vlan, address: gateway, for: 'external_network', index: indexes.externalNetworks.held.get(name)!,
  }));
  const hops = externalNetworks.flatMap(({ vlan, routes }) => routes.map(({ via }): NeighbourTarget => ({ interface: 'external', vlan, address: via, for: 'packets' })));
  const computes = routers.flatMap(({ networks }) => networks.flatMap(({ endpoints }) => endpoints.map(({ compute }) => compute)));
  // Untagged advertisements find their way by the kernel.
  const gatewaysOfElections = interfaces.underlay.vlan === 0 ? [] : virtualRouters.flatMap(({ unicastPeers }) => unicastPeers);
  return [
    ...(peer === undefined ? [] : [{ interface: 'ha', vlan: 0, address: peer.address, for: 'peer' } as const]),
    ...gateways,
    ...hops,
    ...[...new Set([...computes, ...gatewaysOfElections])].map((address): NeighbourTarget => ({ interface: 'underlay', vlan: 0, address, for: 'packets' })),
  ];
}
