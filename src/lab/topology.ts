// The lab, as data. Everything below is made from this file: namespaces, links, bridges, Open vSwitch, configurations.
//
//   tenant A  VNI 100  172.16.100.0/24          tenant B  VNI 200  172.16.100.0/24 (the same addresses)
//
//   vm-a1 .10   vm-b2 .11 = 10.0.2.216          vm-b1 .10   vm-a2 .11 = 10.0.2.215
//      └─────┬─────┘                               └─────┬─────┘
//      compute-1 (OVS)  .31                        compute-2 (OVS)  .32
//            └────────────┬──────────────────────────────┘
//                  underlay (bridge)  192.168.33.0/24, Geneve to .100, MTU 1600
//            ┌────────────┴─────────────┐
//      .11 gw-a ═══ 169.254.77.0/30 ═══ gw-b .12         VIP .100 on VRID 51
//            └────────────┬─────────────┘     └ ha: direct, MTU 2000
//                  external (bridge)  10.0.2.0/24: A leaves as .201, B as .202
//                         │
//                  .1 router .1 ─── 203.0.113.0/24 ─── .10 outside (nginx, iperf3, UDP echo, session server)

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
}

/** A veth pair. */
export interface Link {
  readonly ends: readonly [LinkEnd, LinkEnd];
  readonly mtuBytes: number;
}

export interface Tenant {
  readonly name: string;
  readonly networkName: string;
  readonly vni: number;
  readonly subnet: string;
  readonly gatewayAddress: string;
  readonly gatewayMac: string;
  /** Where the tenant's shared SNAT leaves. */
  readonly externalAddress: string;
}

export interface Vm {
  readonly node: string;
  readonly tenant: string;
  readonly compute: string;
  readonly address: string;
  readonly mac: string;
  /** Key of its port in the Geneve option that OVN would send; see ovnOption(). */
  readonly portKey: number;
  readonly floatingAddress?: string;
}

export interface Compute {
  readonly node: string;
  /** Source of its tunnels. */
  readonly tunnelAddress: string;
}

export interface Gateway {
  readonly node: string;
  readonly id: 0 | 1;
  readonly haAddress: string;
  readonly peerHaAddress: string;
  readonly priority: number;
}

export interface Topology {
  readonly nodes: readonly Node[];
  readonly links: readonly Link[];
  readonly tenants: readonly Tenant[];
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

export const ports = { http: 80, sessions: 7001, datagrams: 7002, probe: 7003, iperf: 5201 } as const;

/** Room for Geneve around a full Ethernet packet: 1500 + 20 (IPv4) + 8 (UDP) + 8 (Geneve) + 8 (option) + 14 (inner Ethernet) = 1558. */
const underlayMtuBytes = 1600;
/** Room for the replication header and record around the largest packet that creates a session. */
const haMtuBytes = 2000;
const externalMtuBytes = 1500;
/** What Neutron gives VMs whose underlay is 1500: 1500 − 58 bytes of the encapsulation above. */
const vmMtuBytes = 1442;

const tenants: readonly Tenant[] = [
  { name: 'tenant-a', networkName: 'a-net', vni: 100, subnet: '172.16.100.0/24', gatewayAddress: '172.16.100.1', gatewayMac: 'fa:16:3e:00:01:01', externalAddress: '10.0.2.201' },
  { name: 'tenant-b', networkName: 'b-net', vni: 200, subnet: '172.16.100.0/24', gatewayAddress: '172.16.100.1', gatewayMac: 'fa:16:3e:00:02:01', externalAddress: '10.0.2.202' },
];

const vms: readonly Vm[] = [
  { node: 'vm-a1', tenant: 'tenant-a', compute: 'compute-1', address: '172.16.100.10', mac: 'fa:16:3e:00:01:10', portKey: 10 },
  { node: 'vm-a2', tenant: 'tenant-a', compute: 'compute-2', address: '172.16.100.11', mac: 'fa:16:3e:00:01:11', portKey: 11, floatingAddress: '10.0.2.215' },
  { node: 'vm-b1', tenant: 'tenant-b', compute: 'compute-2', address: '172.16.100.10', mac: 'fa:16:3e:00:02:10', portKey: 20 },
  { node: 'vm-b2', tenant: 'tenant-b', compute: 'compute-1', address: '172.16.100.11', mac: 'fa:16:3e:00:02:11', portKey: 21, floatingAddress: '10.0.2.216' },
];

const computes: readonly Compute[] = [
  { node: 'compute-1', tunnelAddress: '192.168.33.31' },
  { node: 'compute-2', tunnelAddress: '192.168.33.32' },
];

const gateways: readonly Gateway[] = [
  { node: 'gw-a', id: 0, haAddress: '169.254.77.1', peerHaAddress: '169.254.77.2', priority: 200 },
  { node: 'gw-b', id: 1, haAddress: '169.254.77.2', peerHaAddress: '169.254.77.1', priority: 100 },
];

const gatewayLinks = (node: string, host: number): Link[] => [
  { ends: [{ node, interface: 'underlay0', address: `192.168.33.${host}/24` }, { node: 'underlay', interface: node }], mtuBytes: underlayMtuBytes },
  { ends: [{ node, interface: 'external0', address: `10.0.2.${host}/24` }, { node: 'external', interface: node }], mtuBytes: externalMtuBytes },
];

const computeLink = ({ node }: Compute): Link => ({
  // The tunnel address is on Open vSwitch's own interface (br-phy), which has this port.
  ends: [{ node, interface: 'underlay0' }, { node: 'underlay', interface: node }],
  mtuBytes: underlayMtuBytes,
});

const vmLink = ({ node, compute, address, mac }: Vm): Link => ({
  ends: [{ node, interface: 'eth0', address: `${address}/24`, mac }, { node: compute, interface: node }],
  mtuBytes: vmMtuBytes,
});

export const topology: Topology = {
  nodes: [
    { name: 'underlay', kind: 'switch' },
    { name: 'external', kind: 'switch' },
    ...computes.map(({ node }) => ({ name: node, kind: 'compute' }) as const),
    ...gateways.map(({ node }) => ({ name: node, kind: 'gateway' }) as const),
    { name: 'router', kind: 'router' },
    { name: 'outside', kind: 'server' },
    ...vms.map(({ node }) => ({ name: node, kind: 'vm' }) as const),
  ],
  links: [
    ...computes.map(computeLink),
    ...gatewayLinks('gw-a', 11),
    ...gatewayLinks('gw-b', 12),
    { ends: [{ node: 'gw-a', interface: 'ha0', address: '169.254.77.1/30' }, { node: 'gw-b', interface: 'ha0', address: '169.254.77.2/30' }], mtuBytes: haMtuBytes },
    { ends: [{ node: 'router', interface: 'external0', address: `${externalRouter}/24` }, { node: 'external', interface: 'router' }], mtuBytes: externalMtuBytes },
    { ends: [{ node: 'router', interface: 'outside0', address: `${outsideRouter}/24` }, { node: 'outside', interface: 'eth0', address: `${outsideAddress}/24` }], mtuBytes: externalMtuBytes },
    ...vms.map(vmLink),
  ],
  tenants,
  vms,
  computes,
  gateways,
};

/** Default route by node: the VMs' to their tenant's gateway, the server's to the router. */
export function defaultRouteOf(node: string): string | undefined {
  if (node === 'outside') return outsideRouter;
  const vm = vms.find((candidate) => candidate.node === node);
  return vm === undefined ? undefined : tenantOf(vm).gatewayAddress;
}

export function tenantOf(vm: Vm): Tenant {
  return found(tenants, (tenant) => tenant.name === vm.tenant, `tenant ${vm.tenant}`);
}

export function vmNamed(node: string): Vm {
  return found(vms, (vm) => vm.node === node, `VM ${node}`);
}

export function gatewayNamed(node: string): Gateway {
  return found(gateways, (gateway) => gateway.node === node, `gateway ${node}`);
}

/** The address by which the world sees a VM: its floating IP, or else its tenant's shared SNAT. */
export function outsideAddressOf(vm: Vm): string {
  return vm.floatingAddress ?? tenantOf(vm).externalAddress;
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
