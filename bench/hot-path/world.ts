/**
 * Fills the maps of a data plane with routers and networks enough for a million
 * mappings, alone (nothing is replicated). Knows the layout of two versions, so
 * that one can be compared with the one before it.
 */
import { BpfObject, be32, TypedMap, u32, type Codec } from 'libbpf-ts';

/** What layout.generated.ts exports, of either version. */
export interface Layout {
  readonly reasonNames: readonly string[];
  readonly [name: string]: unknown;
}

const GATEWAY_MAC = Buffer.from('fa163e000101', 'hex');
const ROUTER_MAC = Buffer.from('020000000201', 'hex');
const VIRTUAL_MAC = Buffer.from('00005e000133', 'hex');
const VRID = 51;
const HOUR_NS = 3_600_000_000_000n;

export const TUNNEL_ENDPOINT = 0xc0a82164; // 192.168.33.100
export const REMOTE = 0xcb00710a; // 203.0.113.10
/** A router, a network and an external address each. */
export const ROUTERS = 32;
/** VMs of each router that have one. */
const FLOATING_IPS_PER_ROUTER = 56;
export const firstVni = 1000;

export const externalAddress = (router: number): number => 0x0a000300 + router; // 10.0.3.x
export const vmAddress = (vm: number): number => 0xac100000 + 256 + vm; // 172.16.1.0 and on
export const floatingVmAddress = (n: number): number => 0xac100000 + 512 + n; // 172.16.2.0 and on
export const floatingIp = (router: number, n: number): number => 0x0a000400 + router * 64 + n; // 10.0.4.0 and on

export function load(objectPath: string): BpfObject {
  const object = BpfObject.open(objectPath);
  const sizes: Record<string, number> = {
    vms: 4096, vm_by_address: 4096, free_vms: 4096, snat_addresses: ROUTERS, port_blocks: ROUTERS * 256,
    mappings: ROUTERS * 3 * 65536, sessions: 65536, floating_ip_counters: 4096,
  };
  for (const [name, entries] of Object.entries(sizes)) object.maps.get(name)?.setMaxEntries(entries);
  object.load();
  return object;
}

export function fill(object: BpfObject, layout: Layout): void {
  const set = <K>(name: string, keys: Codec<K>, key: K, struct: string, value: Record<string, unknown>): void => {
    const codec = layout[`${struct}Codec`] as Codec<Record<string, unknown>>;
    new TypedMap(object.map(name), keys, codec).set(key, { ...codec.decode(Buffer.alloc(codec.size)), ...value });
  };
  const now = process.hrtime.bigint();
  set('gateways', u32, 0, 'gateway', {
    externalAddresses: ROUTERS, sessionBuckets: 8192, udpTicks: 300, tcpTransitoryTicks: 240, tcpEstablishedTicks: 7440, icmpTicks: 60,
  });
  for (const role of [0, 1, 2]) {
    set('interfaces', u32, role, 'interface', { ifindex: 1, mtu: 1600, address: 0x0a000001 + role, mac: GATEWAY_MAC });
    object.map('ports').update(word(role), word(1));
  }
  set('virtual_routers', u32, VRID, 'virtualRouter', { state: 2, term: 1, leaseUntilNs: now + HOUR_NS, activeSinceNs: now, address: TUNNEL_ENDPOINT, mac: VIRTUAL_MAC });
  new TypedMap(object.map('virtual_router_by_address'), be32, u32).set(TUNNEL_ENDPOINT, VRID);
  set('external_networks', u32, 0, 'externalNetwork', { subnet: 0x0a000200, netmask: 0xffffff00, gateway: 0x0a000201, gatewayMac: ROUTER_MAC });
  for (let router = 0; router < ROUTERS; router++) {
    fillRouter(object, layout, set, router);
    for (let n = 0; n < FLOATING_IPS_PER_ROUTER; n++) fillFloatingIp(object, layout, set, router, n);
  }
}

function setExternalAddress(object: BpfObject, layout: Layout, set: Set, address: number, entry: Record<string, unknown>): void {
  if (!object.maps.has('pools')) set('external_addresses', be32, address, 'externalAddress', entry);
  else set('external_addresses', layout['externalKeyCodec'] as Codec<Record<string, unknown>>, { address, vlan: 0 }, 'externalAddress', entry);
}

function fillFloatingIp(object: BpfObject, layout: Layout, set: Set, router: number, n: number): void {
  const codec = layout['vmEnsureCodec'] as Codec<Record<string, unknown> & { vm: number }>;
  const wanted = { vni: firstVni + router, address: floatingVmAddress(n), floatingIp: floatingIp(router, n), floatingIpCounter: router * FLOATING_IPS_PER_ROUTER + n + 1 };
  const context = Buffer.alloc(codec.size);
  codec.encode({ ...codec.decode(context), ...wanted }, context);
  const result = object.program('vm_ensure').testRun({ context });
  if (result.returnValue !== 0) throw new Error(`vm_ensure returned ${result.returnValue | 0}`);
  const { vm } = codec.decode(result.context);
  setExternalAddress(object, layout, set, wanted.floatingIp, { kind: 1, index: vm, router });
}

type Set = <K>(name: string, keys: Codec<K>, key: K, struct: string, value: Record<string, unknown>) => void;

function fillRouter(object: BpfObject, layout: Layout, set: Set, router: number): void {
  const address = externalAddress(router);
  const subnet = { subnet: 0xac100000, netmask: 0xffff0000, gateway: 0xac100001, gatewayMac: GATEWAY_MAC };
  new TypedMap(object.map('network_by_vni'), u32, u32).set(firstVni + router, router);
  set('networks', u32, router, 'network', { vni: firstVni + router, router, ...subnet });
  const entry = { kind: 2, index: router, router };
  const common = { externalAddress: address, virtualRouter: VRID };
  if (!object.maps.has('pools')) {
    set('routers', u32, router, 'router', { ...common, externalAddressIndex: router });
    setExternalAddress(object, layout, set, address, entry);
    return;
  }
  set('routers', u32, router, 'router', {
    ...common, pool: router, poolSize: 1, vmBlockLimit: 8, filtering: 1, innerPrefix: 0xac100000, innerMask: 0xffff0000,
  });
  setExternalAddress(object, layout, set, address, entry);
  set('snat_addresses', u32, router, 'snatAddress', { address, router });
  object.map('pools').update(word(router), word(router));
}

export function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
