// The lab, as data. Everything below is made from this file: namespaces, links, bridges, Open vSwitch, configurations.
//
//   tenant A  a-net  VNI 100 172.16.100.0/24    tenant B  b-net  VNI 200 172.16.100.0/24 (the same addresses)
//             a2-net VNI 101 172.16.101.0/24    tenant C  c-net  VXLAN VNI 300 172.16.200.0/24
//
//   vm-a1 a-net .10                             vm-a2 a-net  .11 = 10.0.2.215
//   vm-b2 b-net .11 = 10.0.2.216                vm-a3 a2-net .10 = 10.0.3.215 (of a subnet that is on the link, too)
//   vm-c1 c-net .10                             vm-b1 b-net  .10
//      │                                        vm-c2 c-net  .11 = 198.51.100.215
//      └─────┬─────┘                               └─────┬─────┘
//      compute-1 (OVS)  .31                        compute-2 (OVS)  .32
//            └────────────┬──────────────────────────────┘
//                  underlay (bridge)  192.168.33.0/24, Geneve and VXLAN to .100, MTU 1600
//            ┌────────────┴─────────────┐
//      .11 gw-a ═══ 169.254.77.0/30 ═══ gw-b .12         VIP .100 on VRID 51
//            └────────────┬─────────────┘     └ ha: direct, MTU 2000
//                  external (bridge)  10.0.2.0/24: A leaves as .201, B as .202 or .203
//                         │     └ 802.1Q VLAN 20, 198.51.100.0/24: C leaves as .201 ──────┐
//                  .1 router .1 ─── 203.0.113.0/24 ─── .10 outside              .1, .2 router-20 (OVS)
//                                   (nginx, iperf3, UDP echo, session server)      192.0.2.10, by a route of the gateways

export type NodeKind = 'switch' | 'compute' | 'gateway' | 'router' | 'server' | 'vm';

export interface Node {
  /** What people type: `floatgate lab exec vm-a1 …`. */
  readonly name: string;
  readonly kind: NodeKind;
}

export interface LinkEnd {
  readonly node: string;
  readonly interface: string;
  /** IPv4 address and prefix length; a switch's ports and a compute's ports have none. */
  readonly address?: string;
  readonly mac?: string;
  /** Where it takes more than the link's: a switch lets full packets with a tag through. */
  readonly mtuBytes?: number;
}

/** A veth pair. */
export interface Link {
  readonly ends: readonly [LinkEnd, LinkEnd];
  readonly mtuBytes: number;
}

export type Encapsulation = 'geneve' | 'vxlan';

export interface Network {
  readonly name: string;
  readonly tenant: string;
  readonly encapsulation: Encapsulation;
  readonly vni: number;
  readonly subnet: string;
  readonly gatewayAddress: string;
  readonly gatewayMac: string;
  /** Of its VMs. */
  readonly mtuBytes: number;
}

/** Has one router, to which all of its networks are attached. */
export interface Tenant {
  readonly name: string;
  readonly externalNetwork: string;
  /** Where the tenant's shared SNAT leaves; a VM keeps to one of them. */
  readonly externalAddresses: readonly [string, ...string[]];
  readonly forwardings: readonly Forwarding[];
}

/** To a VM, at its router's address. */
export interface Forwarding {
  readonly protocol: 'tcp' | 'udp';
  /** A port, or a range such as '8002-8003'. */
  readonly externalPort: number | string;
  readonly node: string;
  /** As many. */
  readonly port: number | string;
}

export interface ExternalNetwork {
  readonly name: string;
  /** 802.1Q; absent: untagged. */
  readonly vlan?: number;
  readonly subnet: string;
  readonly gateway: string;
  /** Further subnets on the link. */
  readonly subnets: readonly string[];
  readonly routes: readonly Route[];
}

export interface Route {
  readonly destination: string;
  readonly via: string;
}

export interface Vm {
  readonly node: string;
  readonly network: string;
  readonly compute: string;
  readonly address: string;
  readonly mac: string;
  /** Its port at the compute, and the key of that port in the Geneve option that OVN would send; see ovnOption(). */
  readonly portKey: number;
  readonly floatingAddress?: string;
}

export interface Compute {
  readonly node: string;
  /** Source of its tunnels. */
  readonly tunnelAddress: string;
}

/** A router with one port for several VLANs. Linux may lack VLAN devices (CONFIG_VLAN_8021Q); Open vSwitch does without. */
export interface TrunkRouter {
  readonly node: string;
  readonly port: string;
  readonly interfaces: readonly { readonly name: string; readonly vlan?: number; readonly address: string }[];
}

export interface Gateway {
  readonly node: string;
  readonly id: 0 | 1;
  readonly haAddress: string;
  readonly peerHaAddress: string;
  readonly priority: number;
}

/** Of a node, beside those to its own subnets. */
export interface NodeRoute extends Route {
  readonly node: string;
}

/** What network.ts makes: machines, cables and addresses, whatever runs there. */
export interface Cabling {
  readonly nodes: readonly Node[];
  readonly links: readonly Link[];
  readonly trunkRouters: readonly TrunkRouter[];
  readonly routes: readonly NodeRoute[];
  /** IPv4 addresses and prefix lengths on `lo`, or as further ones of an interface. */
  readonly furtherAddresses: readonly { readonly node: string; readonly interface: string; readonly address: string }[];
}

export interface Topology extends Cabling {
  readonly externalNetworks: readonly ExternalNetwork[];
  readonly tenants: readonly Tenant[];
  readonly networks: readonly Network[];
  readonly vms: readonly Vm[];
  readonly computes: readonly Compute[];
  readonly gateways: readonly Gateway[];
}

export const vrid = 51;
export const tunnelVip = '192.168.33.100';
export const externalSubnet = '10.0.2.0/24';
export const externalRouter = '10.0.2.1';
export const outsideAddress = '203.0.113.10';
export const outsideSubnet = '203.0.113.0/24';
export const outsideRouter = '203.0.113.1';
/** On the external link without an address of the gateways in it: floating IPs alone. */
export const floatingSubnet = '10.0.3.0/24';
/** Untagged, and the way to what is behind it. */
export const trunkRouter = '10.0.2.2';
export const taggedSubnet = '198.51.100.0/24';
export const taggedRouter = '198.51.100.1';
/** The server that is reached by the route of the gateways, not by way of their default router. */
export const routedAddress = '192.0.2.10';
export const routedSubnet = '192.0.2.0/24';

export const ports = { http: 80, sessions: 7001, datagrams: 7002, probe: 7003, busy: 7004, iperf: 5201 } as const;
/** At the address of tenant A's router. */
export const forwardedPorts = { http: 8080, sessions: 7001, datagrams: 8002, probe: 8003 } as const;

/** Room for Geneve around a full Ethernet packet: 1500 + 20 (IPv4) + 8 (UDP) + 8 (Geneve) + 8 (option) + 14 (inner Ethernet) = 1558. */
const underlayMtuBytes = 1600;
/** Room for the replication header and record around the largest packet that creates a session. */
const haMtuBytes = 2000;
const externalMtuBytes = 1500;
const vlanTagBytes = 4;
/** The outside's: with a VM that takes less than the underlay leaves room for, nobody would know why its full packets are lost. */
const vmMtuBytes = 1500;

const externalNetworks: readonly ExternalNetwork[] = [
  { name: 'provider', subnet: externalSubnet, gateway: externalRouter, subnets: [floatingSubnet], routes: [{ destination: routedSubnet, via: trunkRouter }] },
  { name: 'provider-20', vlan: 20, subnet: taggedSubnet, gateway: taggedRouter, subnets: [], routes: [] },
];

const tenants: readonly Tenant[] = [
  {
    name: 'tenant-a',
    externalNetwork: 'provider',
    externalAddresses: ['10.0.2.201'],
    forwardings: [
      { protocol: 'tcp', externalPort: forwardedPorts.http, node: 'vm-a1', port: ports.http },
      { protocol: 'tcp', externalPort: forwardedPorts.sessions, node: 'vm-a1', port: ports.sessions },
      { protocol: 'udp', externalPort: `${forwardedPorts.datagrams}-${forwardedPorts.probe}`, node: 'vm-a1', port: `${ports.datagrams}-${ports.probe}` },
    ],
  },
  { name: 'tenant-b', externalNetwork: 'provider', externalAddresses: ['10.0.2.202', '10.0.2.203'], forwardings: [] },
  { name: 'tenant-c', externalNetwork: 'provider-20', externalAddresses: ['198.51.100.201'], forwardings: [] },
];

const networks: readonly Network[] = [
  { name: 'a-net', tenant: 'tenant-a', encapsulation: 'geneve', vni: 100, subnet: '172.16.100.0/24', gatewayAddress: '172.16.100.1', gatewayMac: 'fa:16:3e:00:01:01', mtuBytes: vmMtuBytes },
  { name: 'a2-net', tenant: 'tenant-a', encapsulation: 'geneve', vni: 101, subnet: '172.16.101.0/24', gatewayAddress: '172.16.101.1', gatewayMac: 'fa:16:3e:00:03:01', mtuBytes: vmMtuBytes },
  { name: 'b-net', tenant: 'tenant-b', encapsulation: 'geneve', vni: 200, subnet: '172.16.100.0/24', gatewayAddress: '172.16.100.1', gatewayMac: 'fa:16:3e:00:02:01', mtuBytes: vmMtuBytes },
  { name: 'c-net', tenant: 'tenant-c', encapsulation: 'vxlan', vni: 300, subnet: '172.16.200.0/24', gatewayAddress: '172.16.200.1', gatewayMac: 'fa:16:3e:00:04:01', mtuBytes: vmMtuBytes },
];

const vms: readonly Vm[] = [
  { node: 'vm-a1', network: 'a-net', compute: 'compute-1', address: '172.16.100.10', mac: 'fa:16:3e:00:01:10', portKey: 10 },
  { node: 'vm-a2', network: 'a-net', compute: 'compute-2', address: '172.16.100.11', mac: 'fa:16:3e:00:01:11', portKey: 11, floatingAddress: '10.0.2.215' },
  { node: 'vm-a3', network: 'a2-net', compute: 'compute-2', address: '172.16.101.10', mac: 'fa:16:3e:00:03:10', portKey: 30, floatingAddress: '10.0.3.215' },
  { node: 'vm-b1', network: 'b-net', compute: 'compute-2', address: '172.16.100.10', mac: 'fa:16:3e:00:02:10', portKey: 20 },
  { node: 'vm-b2', network: 'b-net', compute: 'compute-1', address: '172.16.100.11', mac: 'fa:16:3e:00:02:11', portKey: 21, floatingAddress: '10.0.2.216' },
  { node: 'vm-c1', network: 'c-net', compute: 'compute-1', address: '172.16.200.10', mac: 'fa:16:3e:00:04:10', portKey: 40 },
  { node: 'vm-c2', network: 'c-net', compute: 'compute-2', address: '172.16.200.11', mac: 'fa:16:3e:00:04:11', portKey: 41, floatingAddress: '198.51.100.215' },
];

const computes: readonly Compute[] = [
  { node: 'compute-1', tunnelAddress: '192.168.33.31' },
  { node: 'compute-2', tunnelAddress: '192.168.33.32' },
];

const trunkRouters: readonly TrunkRouter[] = [
  { node: 'router-20', port: 'trunk0', interfaces: [{ name: 'br-ext', address: `${trunkRouter}/24` }, { name: 'vlan20', vlan: 20, address: `${taggedRouter}/24` }] },
];

const gateways: readonly Gateway[] = [
  { node: 'gw-a', id: 0, haAddress: '169.254.77.1', peerHaAddress: '169.254.77.2', priority: 200 },
  { node: 'gw-b', id: 1, haAddress: '169.254.77.2', peerHaAddress: '169.254.77.1', priority: 100 },
];

const gatewayLinks = (node: string, host: number): Link[] => [
  { ends: [{ node, interface: 'underlay0', address: `192.168.33.${host}/24` }, { node: 'underlay', interface: node }], mtuBytes: underlayMtuBytes },
  { ends: [{ node, interface: 'external0', address: `10.0.2.${host}/24` }, { node: 'external', interface: node, mtuBytes: externalMtuBytes + vlanTagBytes }], mtuBytes: externalMtuBytes },
];

const computeLink = ({ node }: Compute): Link => ({
  // The tunnel address is on Open vSwitch's own interface (br-phy), which has this port.
  ends: [{ node, interface: 'underlay0' }, { node: 'underlay', interface: node }],
  mtuBytes: underlayMtuBytes,
});

const vmLink = (vm: Vm): Link => ({
  ends: [{ node: vm.node, interface: 'eth0', address: `${vm.address}/24`, mac: vm.mac }, { node: vm.compute, interface: vm.node }],
  mtuBytes: networkOf(vm).mtuBytes,
});

export const topology: Topology = {
  nodes: [
    { name: 'underlay', kind: 'switch' },
    { name: 'external', kind: 'switch' },
    ...computes.map(({ node }) => ({ name: node, kind: 'compute' }) as const),
    ...gateways.map(({ node }) => ({ name: node, kind: 'gateway' }) as const),
    { name: 'router', kind: 'router' },
    { name: 'router-20', kind: 'router' },
    { name: 'outside', kind: 'server' },
    ...vms.map(({ node }) => ({ name: node, kind: 'vm' }) as const),
  ],
  links: [
    ...computes.map(computeLink),
    ...gatewayLinks('gw-a', 11),
    ...gatewayLinks('gw-b', 12),
    { ends: [{ node: 'gw-a', interface: 'ha0', address: '169.254.77.1/30' }, { node: 'gw-b', interface: 'ha0', address: '169.254.77.2/30' }], mtuBytes: haMtuBytes },
    { ends: [{ node: 'router', interface: 'external0', address: `${externalRouter}/24` }, { node: 'external', interface: 'router' }], mtuBytes: externalMtuBytes },
    { ends: [{ node: 'router-20', interface: 'trunk0' }, { node: 'external', interface: 'router-20' }], mtuBytes: externalMtuBytes },
    { ends: [{ node: 'router', interface: 'outside0', address: `${outsideRouter}/24` }, { node: 'outside', interface: 'eth0', address: `${outsideAddress}/24` }], mtuBytes: externalMtuBytes },
    ...vms.map(vmLink),
  ],
  externalNetworks,
  tenants,
  networks,
  vms,
  computes,
  trunkRouters,
  gateways,
  routes: [
    { node: 'outside', destination: 'default', via: outsideRouter },
    ...[taggedSubnet, routedSubnet].map((destination) => ({ node: 'router', destination, via: trunkRouter })),
    { node: 'router-20', destination: 'default', via: externalRouter },
    ...vms.map((vm) => ({ node: vm.node, destination: 'default', via: networkOf(vm).gatewayAddress })),
  ],
  furtherAddresses: [
    { node: 'router', interface: 'external0', address: '10.0.3.1/24' },
    { node: 'router-20', interface: 'lo', address: `${routedAddress}/32` },
  ],
};

export function routesOf(node: string, { routes }: Cabling = topology): readonly Route[] {
  return routes.filter((route) => route.node === node);
}

export function networkOf(vm: Vm): Network {
  return found(networks, ({ name }) => name === vm.network, `network ${vm.network}`);
}

export function tenantOf(vm: Vm): Tenant {
  const { tenant } = networkOf(vm);
  return found(tenants, ({ name }) => name === tenant, `tenant ${tenant}`);
}

export function vmNamed(node: string): Vm {
  return found(vms, (vm) => vm.node === node, `VM ${node}`);
}

export function gatewayNamed(node: string): Gateway {
  return found(gateways, (gateway) => gateway.node === node, `gateway ${node}`);
}

/** The addresses by which the world may see a VM: its floating IP, or else its tenant's shared SNAT. */
export function outsideAddressesOf(vm: Vm): readonly string[] {
  return vm.floatingAddress === undefined ? tenantOf(vm).externalAddresses : [vm.floatingAddress];
}

/** What the world can reach of a VM on its own: all of it behind a floating IP, else what is forwarded. */
export function isServer({ node, floatingAddress }: Vm): boolean {
  return floatingAddress !== undefined || tenants.some(({ forwardings }) => forwardings.some((forwarding) => forwarding.node === node));
}

/** Payload of OVN's option (class 0x0102, type 0x80): ingress key in bits 30–16, egress key (here the gateway's, always 1) in 15–0. */
export function ovnOption(vm: Vm): number {
  return vm.portKey * 0x10000 + 1;
}

/** The far end of a gateway's link, but for the other gateway's, which has programs of its own. */
export function facesGateway(link: Link, end: LinkEnd): boolean {
  const isGateway = ({ node }: LinkEnd) => gateways.some((gateway) => gateway.node === node);
  return !isGateway(end) && link.ends.some((other) => other !== end && isGateway(other));
}

export function namespaceOf(node: string): string {
  return `fg-${node}`;
}

function found<T>(list: readonly T[], matches: (item: T) => boolean, what: string): T {
  const item = list.find(matches);
  if (item === undefined) throw new Error(`the lab has no ${what}`);
  return item;
}
