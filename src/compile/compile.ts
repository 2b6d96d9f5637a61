import { macBytes, netmaskOf } from '../config/address.js';
import type { Ipv4Address, MacAddress } from '../config/address.js';
import { toNanoseconds } from '../config/duration.js';
import type { Milliseconds } from '../config/duration.js';
import type { Configuration, InterfaceRole, NetworkConfiguration, RouterConfiguration } from '../config/schema.js';
import { externalAddressKind, interfaceRole, syncMode } from '../dataplane/layout.generated.js';
import type { FloatingIp, GatewayContents, InterfaceContents, MapContents, NeighbourTarget, NetworkContents, RouterContents, VirtualRouterContents } from './contents.js';
import type { Facts, InterfaceFacts } from './facts.js';
import { assignIndexes, emptyIndexTable } from './index-table.js';
import type { IndexTable } from './index-table.js';
import { externalNetworks as externalNetworksSize, sessionBucketSize } from './map-sizes.js';

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
}

/** What cannot change while the programs are attached and the maps exist. */
export type FixedSettings = Pick<Configuration, 'interfaces' | 'limits' | 'stateDirectory'> & { readonly gatewayId: number };

/** A configuration as the programs see it. */
export interface CompiledState {
  readonly fixed: FixedSettings;
  readonly indexes: Indexes;
  readonly maps: MapContents;
  /** By address. */
  readonly floatingIps: ReadonlyMap<number, FloatingIp>;
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
  const fixed = fixedSettings(configuration);
  const indexes = assignAllIndexes(configuration, previous?.indexes);
  return {
    fixed,
    indexes,
    maps: {
      gateways: new Map([[0, compileGateway(configuration, facts, indexes)]]),
      ...compileInterfaces(facts),
      ...compileVirtualRouters(configuration),
      ...compileExternalNetworks(configuration, indexes),
      ...compileRouters(configuration, indexes),
      ...compileNetworks(configuration, indexes),
    },
    floatingIps: compileFloatingIps(configuration, indexes),
    neighbourTargets: compileNeighbourTargets(configuration, indexes),
  };
}

function fixedSettings({ gateway, interfaces, limits, stateDirectory }: Configuration): FixedSettings {
  return { gatewayId: gateway.id, interfaces, limits, stateDirectory };
}

function assignAllIndexes({ externalNetworks, routers, limits }: Configuration, previous: Indexes | undefined): Indexes {
  const networks = routers.flatMap((router) => router.networks);
  const addresses = routers.filter(({ externalAddress }) => externalAddress !== undefined);
  return {
    networks: assignIndexes(previous?.networks ?? emptyIndexTable, networks.map(networkHolder), limits.networks),
    routers: assignIndexes(previous?.routers ?? emptyIndexTable, routers.map(({ name }) => name), limits.routers),
    externalNetworks: assignIndexes(previous?.externalNetworks ?? emptyIndexTable, externalNetworks.map(({ name }) => name), externalNetworksSize),
    externalAddresses: assignIndexes(previous?.externalAddresses ?? emptyIndexTable, addresses.map(addressHolder), limits.externalAddresses),
  };
}

function networkHolder({ vni }: NetworkConfiguration): string {
  return String(vni);
}

function addressHolder({ name, externalAddress }: RouterConfiguration): string {
  return `${name}/${externalAddress}`;
}

/** One coarse tick is 2^30 ns, as in bpf/layout.h. */
const tickShift = 30n;

/** Never shorter than asked for; nothing times out in no time at all, except a hold-down of zero. */
export function toTicks(duration: Milliseconds): number {
  const nanoseconds = BigInt(duration) * 1_000_000n;
  return Number((nanoseconds + (1n << tickShift) - 1n) >> tickShift);
}

function compileGateway({ gateway, sync, peer, timeouts, limits }: Configuration, facts: Facts, indexes: Indexes): GatewayContents {
  return {
    id: gateway.id,
    syncMode: syncMode[sync.mode],
    key: facts.key,
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
  };
}

function compileInterfaces({ interfaces }: Facts): Pick<MapContents, 'interfaces' | 'ports'> {
  const contents = new Map<number, InterfaceContents>();
  const ports = new Map<number, number>();
  for (const role of Object.keys(interfaceRole) as InterfaceRole[]) {
    const facts: InterfaceFacts | undefined = interfaces[role];
    if (facts === undefined) continue;
    const { ifindex, mtu, address, mac } = facts;
    contents.set(interfaceRole[role], { ifindex, mtu, address, mac: macBytes(mac) });
    ports.set(interfaceRole[role], ifindex);
  }
  return { interfaces: contents, ports };
}

/** RFC 9568 §7.3: 00-00-5E-00-01-{VRID} for IPv4. */
export function virtualRouterMac(vrid: number): MacAddress {
  return `00:00:5e:00:01:${vrid.toString(16).padStart(2, '0')}` as MacAddress;
}

function compileVirtualRouters({ virtualRouters }: Configuration): Pick<MapContents, 'virtual_routers' | 'virtual_router_by_address'> {
  const contents = virtualRouters.map(({ vrid, address }): [number, VirtualRouterContents] => [vrid, { address, mac: macBytes(virtualRouterMac(vrid)) }]);
  return {
    virtual_routers: new Map(contents),
    virtual_router_by_address: new Map(virtualRouters.map(({ vrid, address }) => [address, vrid])),
  };
}

function compileExternalNetworks({ externalNetworks }: Configuration, indexes: Indexes): Pick<MapContents, 'external_networks'> {
  return {
    external_networks: new Map(
      externalNetworks.map(({ name, subnet, gateway }) => [
        indexes.externalNetworks.held.get(name)!,
        { subnet: subnet.address, netmask: netmaskOf(subnet.prefixLength), gateway },
      ]),
    ),
  };
}

function compileRouters({ routers }: Configuration, indexes: Indexes): Pick<MapContents, 'routers' | 'external_addresses'> {
  const contents = new Map<number, RouterContents>();
  const addresses = new Map<number, { kind: number; index: number; router: number }>();
  for (const router of routers) {
    const index = indexes.routers.held.get(router.name)!;
    // Without an address the programs do not look at its index.
    const addressIndex = indexes.externalAddresses.held.get(addressHolder(router)) ?? 0;
    contents.set(index, {
      externalAddress: router.externalAddress ?? 0,
      externalAddressIndex: addressIndex,
      externalNetwork: indexes.externalNetworks.held.get(router.externalNetwork)!,
      virtualRouter: router.virtualRouter,
    });
    if (router.externalAddress !== undefined) addresses.set(router.externalAddress, { kind: externalAddressKind.router, index: addressIndex, router: index });
  }
  return { routers: contents, external_addresses: addresses };
}

function compileNetworks({ routers }: Configuration, indexes: Indexes): Pick<MapContents, 'networks' | 'network_by_vni'> {
  const contents = new Map<number, NetworkContents>();
  const byVni = new Map<number, number>();
  for (const router of routers) {
    for (const network of router.networks) {
      const index = indexes.networks.held.get(networkHolder(network))!;
      contents.set(index, {
        vni: network.vni,
        router: indexes.routers.held.get(router.name)!,
        subnet: network.subnet.address,
        netmask: netmaskOf(network.subnet.prefixLength),
        gateway: network.gateway,
        gatewayMac: macBytes(network.mac),
      });
      byVni.set(network.vni, index);
    }
  }
  return { networks: contents, network_by_vni: byVni };
}

function compileFloatingIps({ routers }: Configuration, indexes: Indexes): Map<number, FloatingIp> {
  return new Map(
    routers.flatMap(({ name, networks, floatingIps }) => {
      const vnis = new Map(networks.map((network) => [network.name, network.vni]));
      const router = indexes.routers.held.get(name)!;
      return floatingIps.map(({ address, network, fixedIp }): [Ipv4Address, FloatingIp] => [address, { address, vni: vnis.get(network)!, fixedIp, router }]);
    }),
  );
}

function compileNeighbourTargets({ peer, externalNetworks }: Configuration, indexes: Indexes): NeighbourTarget[] {
  const gateways = externalNetworks.map(({ name, gateway }): NeighbourTarget => ({
    interface: 'external',
    address: gateway,
    for: 'external_network',
    index: indexes.externalNetworks.held.get(name)!,
  }));
  return peer === undefined ? gateways : [{ interface: 'ha', address: peer.address, for: 'peer' }, ...gateways];
}
