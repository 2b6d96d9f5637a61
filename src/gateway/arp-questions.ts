/** ARP where the kernel cannot ask: on VLANs of either side, and outside in subnets that it has no address in. */
import { PacketSocket } from 'libbpf-ts';
import { virtualRouterMac } from '../compile/compile.js';
import { macBytes, subnetContains } from '../config/address.js';
import type { Ipv4Address, Ipv4Subnet } from '../config/address.js';
import { onLinkOf } from '../config/external-checks.js';
import type { Configuration } from '../config/schema.js';
import { arpRequest } from '../dataplane/arp.js';
import { interfaceRole, virtualRouterState } from '../dataplane/layout.generated.js';
import type { NeighbourId } from '../dataplane/neighbour-table.js';
import { tagged } from '../dataplane/vlan.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';

export type Side = 'underlay' | 'external';

export interface Asker {
  readonly sender: number;
  readonly senderMac: Buffer;
}

export class ArpQuestions {
  readonly #basis: Basis;
  readonly #sockets = new Map<Side, PacketSocket>();

  constructor(basis: Basis) {
    this.#basis = basis;
  }

  /** What cannot be sent is asked again later. */
  ask(id: NeighbourId): void {
    const { configuration: { interfaces: { underlay } }, log } = this.#basis;
    const side = id.role === interfaceRole.underlay ? 'underlay' : 'external';
    const { sender, senderMac } = side === 'underlay' ? this.#underlayAsker() : this.#externalAsker(id);
    try {
      this.#open(side).send(tagged(arpRequest({ sender, senderMac, target: id.address }), side === 'underlay' ? underlay.vlan : id.vlan));
    } catch (error) {
      log.debug({ reason: 'arp' }, (error as Error).message);
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
  }

  /** The node's own address, which the programs answer for. */
  #underlayAsker(): Asker {
    const { address, mac } = this.#basis.node('underlay');
    return { sender: address, senderMac: mac };
  }

  #externalAsker(id: NeighbourId): Asker {
    const { configuration, dataPlane } = this.#basis;
    // Past its lease an Active may have a successor, whose MAC the switches must not look for here: so it is after a restart.
    const isActive = (vrid: number): boolean => {
      const { state, leaseUntilNs } = dataPlane.roles.read(vrid);
      return state === virtualRouterState.active && monotonicNs() < leaseUntilNs;
    };
    return askerFor(id, configuration, isActive) ?? { sender: 0, senderMac: this.#basis.node('external').mac };
  }

  #open(side: Side): PacketSocket {
    const known = this.#sockets.get(side);
    if (known !== undefined) return known;
    const { name } = this.#basis.node(side);
    const socket = new PacketSocket({ interface: name });
    // What a link that is down means is told by netlink.
    socket.on('error', (error) => this.#basis.log.debug({ interface: name }, error.message));
    this.#sockets.set(side, socket);
    return socket;
  }
}

/**
 * Who asks: an address of ours in the neighbour's subnet whose virtual router is
 * Active here, with its virtual MAC, so that the neighbour learns both. Undefined:
 * we have none, and must claim none, for the Active gateway has it.
 */
export function askerFor({ vlan, address }: NeighbourId, { externalNetworks, routers }: Configuration, isActive: (vrid: number) => boolean): Asker | undefined {
  for (const network of externalNetworks.filter((candidate) => candidate.vlan === vlan)) {
    const subnet = onLinkOf(network).find((candidate) => subnetContains(candidate, address as Ipv4Address));
    if (subnet === undefined) continue;
    for (const router of routers) {
      if (router.externalNetwork !== network.name || !isActive(router.virtualRouter)) continue;
      const sender = addressIn(subnet, router);
      if (sender !== undefined) return { sender, senderMac: macBytes(virtualRouterMac(router.virtualRouter)) };
    }
  }
  return undefined;
}

function addressIn(subnet: Ipv4Subnet, { externalAddresses, floatingIps }: Configuration['routers'][number]): Ipv4Address | undefined {
  return [...externalAddresses, ...floatingIps.map(({ address }) => address)].find((address) => subnetContains(subnet, address));
}
