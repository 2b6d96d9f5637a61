/** ARP on the external side where the kernel cannot ask: on VLANs, and in subnets that it has no address in. */
import { PacketSocket } from 'libbpf-ts';
import { virtualRouterMac } from '../compile/compile.js';
import { macBytes, subnetContains } from '../config/address.js';
import type { Ipv4Address, Ipv4Subnet } from '../config/address.js';
import type { Configuration } from '../config/schema.js';
import { arpRequest } from '../dataplane/arp.js';
import { virtualRouterState } from '../dataplane/layout.generated.js';
import type { NeighbourId } from '../dataplane/neighbour-table.js';
import { tagged } from '../dataplane/vlan.js';
import type { Basis } from './basis.js';

export interface Asker {
  readonly sender: number;
  readonly senderMac: Buffer;
}

export class ArpQuestions {
  readonly #basis: Basis;
  #socket: PacketSocket | undefined;

  constructor(basis: Basis) {
    this.#basis = basis;
  }

  /** What cannot be sent is asked again later. */
  ask(id: NeighbourId): void {
    const { configuration, dataPlane, log } = this.#basis;
    const isActive = (vrid: number): boolean => dataPlane.roles.read(vrid).state === virtualRouterState.active;
    const { sender, senderMac } = askerFor(id, configuration, isActive) ?? { sender: 0, senderMac: this.#basis.node('external').mac };
    try {
      this.#open().send(tagged(arpRequest({ sender, senderMac, target: id.address }), id.vlan));
    } catch (error) {
      log.debug({ reason: 'arp' }, (error as Error).message);
    }
  }

  close(): void {
    this.#socket?.close();
  }

  #open(): PacketSocket {
    if (this.#socket !== undefined) return this.#socket;
    const { name } = this.#basis.node('external');
    const socket = new PacketSocket({ interface: name });
    // What a link that is down means is told by netlink.
    socket.on('error', (error) => this.#basis.log.debug({ interface: name }, error.message));
    this.#socket = socket;
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
    const subnet = [network.subnet, ...network.subnets].find((candidate) => subnetContains(candidate, address as Ipv4Address));
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
