// What both systems stand in. Made anew for every run, so that no run sees what another has left.
//
//   vm-1 .10, .32–.47   vm-2 .11, .48–.63   vm-3 .12 = 10.0.2.215        172.16.100.0/24, VXLAN VNI 100
//     │                    └───┬───┘
//   compute-1 .31          compute-2 .32                        the kernel's VXLAN, to .100
//     └───────────┬────────────┘
//           underlay (bridge)  192.168.33.0/24, MTU 1600
//     ┌───────────┴────────────┐
//   .11 gw-a ── ha (bridge) ─── gw-b .12                        VIP .100 on VRID 51; 169.254.77.0/30, MTU 2000
//     └───────────┬────────────┘
//           external (bridge)  10.0.2.0/24: vm-1 and vm-2 leave as .201, vm-3 as .215
//                 │
//             .1 outside 203.0.113.10
import { batch } from '../../src/lab/network.js';
import type { Cabling, Link } from '../../src/lab/topology.js';

export const vni = 100;
export const vrid = 51;
export const tunnelVip = '192.168.33.100';
export const tenantSubnet = '172.16.100.0/24';
export const tenantGateway = { address: '172.16.100.1', mac: 'fa:16:3e:00:01:01' } as const;
export const externalSubnet = '10.0.2.0/24';
export const externalRouter = '10.0.2.1';
/** Where the VMs without a floating IP leave. */
export const sharedAddress = '10.0.2.201';
export const floatingAddress = '10.0.2.215';
export const outsideAddress = '203.0.113.10';

export interface Machine {
  readonly node: string;
  readonly address: string;
  /** More of the same interface, as if there were so many VMs: a gateway may well limit the ports of one. */
  readonly furtherAddresses: readonly string[];
  readonly mac: string;
  readonly compute: string;
}

const further = (from: number) => Array.from({ length: 16 }, (_, index) => `172.16.100.${from + index}`);

/** Both without a floating IP, so that two of their ports may well want to be the same outside. */
export const sharers: readonly Machine[] = [
  { node: 'vm-1', address: '172.16.100.10', furtherAddresses: further(32), mac: 'fa:16:3e:00:01:10', compute: 'compute-1' },
  { node: 'vm-2', address: '172.16.100.11', furtherAddresses: further(48), mac: 'fa:16:3e:00:01:11', compute: 'compute-2' },
];
export const floating: Machine = { node: 'vm-3', address: '172.16.100.12', furtherAddresses: [], mac: 'fa:16:3e:00:01:12', compute: 'compute-2' };
export const machines: readonly Machine[] = [...sharers, floating];

export interface Compute {
  readonly node: string;
  readonly tunnelAddress: string;
}

export const computes: readonly Compute[] = [
  { node: 'compute-1', tunnelAddress: '192.168.33.31' },
  { node: 'compute-2', tunnelAddress: '192.168.33.32' },
];

export interface Gateway {
  readonly node: string;
  readonly id: 0 | 1;
  readonly underlayAddress: string;
  readonly externalAddress: string;
  readonly haAddress: string;
  readonly peerHaAddress: string;
  readonly priority: number;
}

export const victim: Gateway = {
  node: 'gw-a', id: 0, priority: 254,
  underlayAddress: '192.168.33.11', externalAddress: '10.0.2.11', haAddress: '169.254.77.1', peerHaAddress: '169.254.77.2',
};
export const survivor: Gateway = {
  node: 'gw-b', id: 1, priority: 253,
  underlayAddress: '192.168.33.12', externalAddress: '10.0.2.12', haAddress: '169.254.77.2', peerHaAddress: '169.254.77.1',
};
/** As high as they may be: the skew that a Backup waits is the shortest then, in both systems. */
export const gateways: readonly Gateway[] = [victim, survivor];

/** As in the lab: room for a tunnel around a full packet, and for a record around that. */
const mtuBytes = { underlay: 1600, external: 1500, ha: 2000 } as const;

const gatewayLinks = ({ node, underlayAddress, externalAddress, haAddress }: Gateway): Link[] => [
  { ends: [{ node, interface: 'underlay0', address: `${underlayAddress}/24` }, { node: 'underlay', interface: node }], mtuBytes: mtuBytes.underlay },
  { ends: [{ node, interface: 'external0', address: `${externalAddress}/24` }, { node: 'external', interface: node }], mtuBytes: mtuBytes.external },
  { ends: [{ node, interface: 'ha0', address: `${haAddress}/30` }, { node: 'ha', interface: node }], mtuBytes: mtuBytes.ha },
];

/** Every cable of a gateway ends at a switch, the one between the gateways too: there the machine's power can be taken from all at once. */
export const cabling: Cabling = {
  nodes: [
    { name: 'underlay', kind: 'switch' },
    { name: 'external', kind: 'switch' },
    { name: 'ha', kind: 'switch' },
    ...computes.map(({ node }) => ({ name: node, kind: 'compute' }) as const),
    ...gateways.map(({ node }) => ({ name: node, kind: 'gateway' }) as const),
    { name: 'outside', kind: 'server' },
    ...machines.map(({ node }) => ({ name: node, kind: 'vm' }) as const),
  ],
  links: [
    ...computes.map(({ node, tunnelAddress }): Link => ({ ends: [{ node, interface: 'underlay0', address: `${tunnelAddress}/24` }, { node: 'underlay', interface: node }], mtuBytes: mtuBytes.underlay })),
    ...gateways.flatMap(gatewayLinks),
    { ends: [{ node: 'outside', interface: 'eth0', address: `${externalRouter}/24` }, { node: 'external', interface: 'outside' }], mtuBytes: mtuBytes.external },
    ...machines.map(({ node, address, mac, compute }): Link => ({ ends: [{ node, interface: 'eth0', address: `${address}/24`, mac }, { node: compute, interface: node }], mtuBytes: mtuBytes.external })),
  ],
  trunkRouters: [],
  routes: [
    ...machines.map(({ node }) => ({ node, destination: 'default', via: tenantGateway.address })),
    ...gateways.map(({ node }) => ({ node, destination: 'default', via: externalRouter })),
  ],
  furtherAddresses: [
    { node: 'outside', interface: 'lo', address: `${outsideAddress}/32` },
    ...machines.flatMap(({ node, furtherAddresses }) => furtherAddresses.map((address) => ({ node, interface: 'eth0', address: `${address}/24` }))),
  ],
};

/** A compute as Linux makes one: a bridge of its VMs and of a tunnel to the gateway, which everything that is not here goes into. */
export async function plugCompute({ node, tunnelAddress }: Compute): Promise<void> {
  const here = machines.filter(({ compute }) => compute === node);
  await batch(
    [
      `link add vxlan0 type vxlan id ${vni} local ${tunnelAddress} remote ${tunnelVip} dstport 4789 nolearning`,
      'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      ...['vxlan0', ...here.map((vm) => vm.node)].flatMap((port) => [`link set ${port} master br0`, `link set ${port} up`]),
      'link set br0 up',
    ],
    node,
  );
}
