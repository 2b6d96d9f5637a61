/** The object's maps by name, with types from the generated layout. */
import { PerCpuMap, TypedMap, be32, u32 } from 'libbpf-ts';
import type { BpfObject, Codec } from 'libbpf-ts';
import {
  advertisementRuleCodec, counterCodec, externalAddressCodec, externalKeyCodec, externalNetworkCodec, floatingIpCounterCodec, forwardingCodec, forwardingKeyCodec,
  gatewayCodec, interfaceCodec, neighbourCodec, neighbourKeyCodec, networkCodec, routeCodec, routeKeyCodec, routerCodec, snatAddressCodec,
  virtualRouterCodec, vmCodec, vmKeyCodec, walkCodec,
} from './layout.generated.js';

export type DataPlaneMaps = ReturnType<typeof openMaps>;

export function openMaps(object: BpfObject) {
  const typed = <K, V>(name: string, key: Codec<K>, value: Codec<V>): TypedMap<K, V> => new TypedMap(object.map(name), key, value);
  return {
    gateways: typed('gateways', u32, gatewayCodec),
    interfaces: typed('interfaces', u32, interfaceCodec),
    virtualRouters: typed('virtual_routers', u32, virtualRouterCodec),
    advertisementRules: typed('advertisement_rules', u32, advertisementRuleCodec),
    virtualRouterByAddress: typed('virtual_router_by_address', be32, u32),
    networkByVni: typed('network_by_vni', u32, u32),
    networks: typed('networks', u32, networkCodec),
    routers: typed('routers', u32, routerCodec),
    snatAddresses: typed('snat_addresses', u32, snatAddressCodec),
    pools: typed('pools', u32, u32),
    routes: typed('routes', routeKeyCodec, routeCodec),
    externalNetworks: typed('external_networks', u32, externalNetworkCodec),
    externalAddresses: typed('external_addresses', externalKeyCodec, externalAddressCodec),
    neighbours: typed('neighbours', neighbourKeyCodec, neighbourCodec),
    vmByAddress: typed('vm_by_address', vmKeyCodec, u32),
    vms: typed('vms', u32, vmCodec),
    forwardings: typed('forwardings', forwardingKeyCodec, forwardingCodec),
    floatingIpCounters: new PerCpuMap(object.map('floating_ip_counters'), u32, floatingIpCounterCodec),
    walks: typed('walks', u32, walkCodec),
    ports: typed('ports', u32, u32),
    counters: new PerCpuMap(object.map('counters'), u32, counterCodec),
  };
}
