/**
 * The network around the gateways of the packet tests, and its frames. Two
 * tenants with the same private addresses, each with a VM behind shared SNAT and
 * one with a floating IP; tenant A's router has a second network:
 *
 *   a1 172.16.100.10 ─ compute 1 ═╗ VNI 100/200            ┌ 10.0.2.1 router ─ 203.0.113.10 server
 *   a2 172.16.100.11 ─ compute 2 ═╬═ 192.168.33.100 [A|B] ─┼ 10.0.2.201, .202 shared SNAT
 *   b1 172.16.100.10 ─ compute 2 ═╣                        ├ 10.0.2.215 → a2, 10.0.2.216 → b2
 *   b2 172.16.100.11 ─ compute 1 ═╣                        └ 10.0.2.2 neighbour
 *   a3 172.16.101.10 ─ compute 2 ═╝ VNI 101
 */
import {
  ethernet,
  frame,
  geneve,
  GENEVE_PORT,
  ipv4,
  ovnOption,
  sync,
  udp,
  vlan,
  vxlan,
  VXLAN_PORT,
  type Geneve,
  type GeneveOption,
  type Ipv4,
  type Layer,
  type Udp,
  type Vxlan,
} from './packet.js';
import { SYNC_PORT, type Sync, type SyncKey } from './sync-frame.js';

export interface Compute {
  readonly address: string;
  readonly mac: string;
}

/** A network of a tenant, and what its router is from outside. */
export interface Tenant {
  /** Index of the router. */
  readonly router: number;
  readonly vni: number;
  /** Default: Geneve. */
  readonly encapsulation?: 'geneve' | 'vxlan';
  readonly subnet: string;
  readonly netmask: string;
  readonly gateway: string;
  readonly gatewayMac: string;
  readonly externalAddress: string;
}

export interface VirtualMachine {
  readonly tenant: Tenant;
  readonly address: string;
  readonly mac: string;
  readonly compute: Compute;
  /** What the compute puts on its packets; the gateway keeps it for the way back. */
  readonly option: GeneveOption;
  readonly floatingIp?: string;
}

export const VRID = 51;
export const VIRTUAL_MAC = '00:00:5e:00:01:33';
export const VIRTUAL_ADDRESS = '192.168.33.100';
export const SYNC_KEY: SyncKey = [0x0123456789abcdefn, 0xfedcba9876543210n];

export const compute1: Compute = { address: '192.168.33.31', mac: '02:00:00:00:33:1f' };
export const compute2: Compute = { address: '192.168.33.32', mac: '02:00:00:00:33:20' };

const subnet = { subnet: '172.16.100.0', netmask: '255.255.255.0', gateway: '172.16.100.1' };
export const tenantA: Tenant = { ...subnet, router: 0, vni: 100, gatewayMac: 'fa:16:3e:00:01:01', externalAddress: '10.0.2.201' };
export const tenantB: Tenant = { ...subnet, router: 1, vni: 200, gatewayMac: 'fa:16:3e:00:02:01', externalAddress: '10.0.2.202' };
/** One of each router. */
export const tenants = [tenantA, tenantB] as const;
/** Tenant A's second network. */
export const networkA2: Tenant = {
  ...tenantA,
  vni: 101,
  subnet: '172.16.101.0',
  gateway: '172.16.101.1',
  gatewayMac: 'fa:16:3e:00:01:02',
};
/** By their index. */
export const networks: readonly Tenant[] = [tenantA, tenantB, networkA2];

/** The number by which programs know a network: both encapsulations have a space of 24 bits. */
export function vniKey({ vni, encapsulation = 'geneve' }: Tenant): number {
  return encapsulation === 'vxlan' ? 0x01000000 + vni : vni;
}

const first = { address: '172.16.100.10' };
const second = { address: '172.16.100.11' };
export const a1: VirtualMachine = { ...first, tenant: tenantA, mac: 'fa:16:3e:00:01:0a', compute: compute1, option: ovnOption(1, 10) };
export const a2: VirtualMachine = {
  ...second,
  tenant: tenantA,
  mac: 'fa:16:3e:00:01:0b',
  compute: compute2,
  option: ovnOption(1, 11),
  floatingIp: '10.0.2.215',
};
export const b1: VirtualMachine = { ...first, tenant: tenantB, mac: 'fa:16:3e:00:02:0a', compute: compute2, option: ovnOption(2, 10) };
export const b2: VirtualMachine = {
  ...second,
  tenant: tenantB,
  mac: 'fa:16:3e:00:02:0b',
  compute: compute1,
  option: ovnOption(2, 11),
  floatingIp: '10.0.2.216',
};
export const a3: VirtualMachine = {
  tenant: networkA2,
  address: '172.16.101.10',
  mac: 'fa:16:3e:00:01:1a',
  compute: compute2,
  option: ovnOption(3, 10),
};
export const vms = [a1, a2, b1, b2, a3] as const;

/** Another VM of the network, at this host number: MAC and option are its own. */
export function vmOf(tenant: Tenant, host: number, compute = compute1): VirtualMachine {
  const address = tenant.subnet.replace(/\d+$/, String(host));
  return { tenant, address, mac: `fa:16:3e:00:03:${host.toString(16).padStart(2, '0')}`, compute, option: ovnOption(9, host) };
}

export const provider = { subnet: '10.0.2.0', netmask: '255.255.255.0' } as const;
export const externalRouter = { address: '10.0.2.1', mac: '02:00:00:00:02:01' } as const;
/** On the provider's own network: reached without the router. */
export const neighbour = { address: '10.0.2.2', mac: '02:00:00:00:02:02' } as const;
export const server = '203.0.113.10';
export const otherServer = '203.0.113.11';

export interface Node {
  readonly id: number;
  readonly underlay: { readonly address: string; readonly mac: string };
  readonly external: { readonly address: string; readonly mac: string };
  readonly ha: { readonly address: string; readonly mac: string };
}

export const nodeA: Node = {
  id: 0,
  underlay: { address: '192.168.33.11', mac: '02:00:00:00:33:0b' },
  external: { address: '10.0.2.11', mac: '02:00:00:00:02:0b' },
  ha: { address: '169.254.77.1', mac: '02:00:00:00:4d:01' },
};
export const nodeB: Node = {
  id: 1,
  underlay: { address: '192.168.33.12', mac: '02:00:00:00:33:0c' },
  external: { address: '10.0.2.12', mac: '02:00:00:00:02:0c' },
  ha: { address: '169.254.77.2', mac: '02:00:00:00:4d:02' },
};

/** What may be different about the tunnel of one packet. */
export interface TunnelOverrides {
  readonly ethernet?: { readonly source?: string; readonly destination?: string };
  readonly ipv4?: Partial<Omit<Ipv4, 'layer'>>;
  readonly udp?: Partial<Omit<Udp, 'layer'>>;
  readonly geneve?: Partial<Omit<Geneve, 'layer'>>;
  readonly vxlan?: Partial<Omit<Vxlan, 'layer'>>;
  /** 802.1Q identifier of the outer frame. Default: none. */
  readonly vlan?: number;
  readonly inner?: { readonly source?: string; readonly destination?: string };
}

/** The outer layers of a packet in a tunnel of the VM's network. */
function tunnel(vm: VirtualMachine, sourcePort: number, overrides: TunnelOverrides): Layer[] {
  if (vm.tenant.encapsulation === 'vxlan') {
    return [
      udp({ sourcePort, destinationPort: VXLAN_PORT, checksum: 0, ...overrides.udp }),
      vxlan({ vni: vm.tenant.vni, ...overrides.vxlan }),
    ];
  }
  return [
    udp({ sourcePort, destinationPort: GENEVE_PORT, checksum: 0, ...overrides.udp }),
    geneve({ vni: vm.tenant.vni, options: [vm.option], ...overrides.geneve }),
  ];
}

const tag = (identifier: number | undefined): Layer[] => (identifier ? [vlan(identifier)] : []);

/** The layers of a packet that `vm`'s compute sends to the gateway, around the inner IPv4 or ARP layers. */
export function fromVm(vm: VirtualMachine, inner: readonly Layer[], overrides: TunnelOverrides = {}): Layer[] {
  return [
    ethernet({ source: vm.compute.mac, destination: VIRTUAL_MAC, ...overrides.ethernet }),
    ...tag(overrides.vlan),
    ipv4({ source: vm.compute.address, destination: VIRTUAL_ADDRESS, dontFragment: true, ...overrides.ipv4 }),
    ...tunnel(vm, 51234, overrides),
    ethernet({ source: vm.mac, destination: vm.tenant.gatewayMac, ...overrides.inner }),
    ...inner,
  ];
}

export function frameFromVm(vm: VirtualMachine, inner: readonly Layer[], overrides: TunnelOverrides = {}): Buffer {
  return frame(...fromVm(vm, inner, overrides));
}

/** The layers of a packet as the gateway has to send it to `vm`; the tunnel's source port is entropy (RFC 8926 §3.3). */
export function toVm(vm: VirtualMachine, sourcePort: number, inner: readonly Layer[], overrides: TunnelOverrides = {}): Layer[] {
  return [
    ethernet({ source: VIRTUAL_MAC, destination: vm.compute.mac, ...overrides.ethernet }),
    ...tag(overrides.vlan),
    ipv4({ source: VIRTUAL_ADDRESS, destination: vm.compute.address, dontFragment: true, ...overrides.ipv4 }),
    ...tunnel(vm, sourcePort, overrides),
    ethernet({ source: vm.tenant.gatewayMac, destination: vm.mac, ...overrides.inner }),
    ...inner,
  ];
}

/** From the provider network to one of our addresses, by way of the router. */
export function fromOutside(layers: readonly Layer[], source: string = externalRouter.mac, identifier?: number): Buffer {
  return frame(ethernet({ source, destination: VIRTUAL_MAC }), ...tag(identifier), ...layers);
}

/** To the provider network, by way of the router. */
export function toOutside(layers: readonly Layer[], destination: string = externalRouter.mac, identifier?: number): Layer[] {
  return [ethernet({ source: VIRTUAL_MAC, destination }), ...tag(identifier), ...layers];
}

export interface SyncOverrides {
  readonly ipv4?: Partial<Omit<Ipv4, 'layer'>>;
  readonly udp?: Partial<Omit<Udp, 'layer'>>;
}

/** A replication frame from `sender` to `receiver`, sealed with the pair's key unless `message` says otherwise. */
export function fromPeer(
  sender: Node,
  receiver: Node,
  message: Omit<Sync, 'layer'>,
  body: readonly Layer[] = [],
  overrides: SyncOverrides = {},
): Buffer {
  return frame(
    ethernet({ source: sender.ha.mac, destination: receiver.ha.mac }),
    ipv4({ source: sender.ha.address, destination: receiver.ha.address, ttl: 255, dontFragment: true, typeOfService: 0xc0, ...overrides.ipv4 }),
    udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0, ...overrides.udp }),
    sync({ gateway: sender.id, epoch: 1, key: SYNC_KEY, ...message }),
    ...body,
  );
}
