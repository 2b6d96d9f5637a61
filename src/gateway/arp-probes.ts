/** ARP from the node's own address, whatever its roles are: a Backup that asks as somebody else takes their traffic. */
import { PacketSocket } from 'libbpf-ts';
import { subnetContains } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { onLinkOf } from '../config/external-checks.js';
import type { Configuration } from '../config/schema.js';
import { arpRequest, arpSender, ETHERTYPE_ARP } from '../dataplane/arp.js';
import { interfaceRole } from '../dataplane/layout.generated.js';
import { tagged } from '../dataplane/vlan.js';
import { AnswersAwaited } from './answers-awaited.js';
import type { Side } from './arp-questions.js';
import type { Basis } from './basis.js';
import type { ProbeResult } from './prober.js';

/** Where a neighbour is. */
export interface Whereabouts {
  readonly side: Side;
  readonly vlan: number;
}

/** The external network that has the address, else the underlay. */
export function whereaboutsOf(address: Ipv4Address, { externalNetworks, interfaces }: Pick<Configuration, 'externalNetworks' | 'interfaces'>): Whereabouts {
  const network = externalNetworks.find((candidate) => onLinkOf(candidate).some((subnet) => subnetContains(subnet, address)));
  return network === undefined ? { side: 'underlay', vlan: interfaces.underlay.vlan } : { side: 'external', vlan: network.vlan };
}

export class ArpProbes {
  readonly #basis: Basis;
  readonly #awaited = new AnswersAwaited();
  readonly #sockets = new Map<Side, PacketSocket>();

  constructor(basis: Basis) {
    this.#basis = basis;
  }

  probe(address: Ipv4Address, timeoutMs: number): Promise<ProbeResult> {
    const at = whereaboutsOf(address, this.#basis.configuration);
    return this.#awaited.answered(nameOf(at, address), timeoutMs, () => this.#ask(at, address));
  }

  /** The programs tell of it where the kernel's sockets do not. */
  heard(role: number, vlan: number, address: number): void {
    this.#awaited.heard(nameOf({ side: role === interfaceRole.underlay ? 'underlay' : 'external', vlan }, address));
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
  }

  #ask(at: Whereabouts, target: Ipv4Address): void {
    const own = this.#basis.node(at.side);
    // RFC 5227 §2.1.1: without an address of ours there we claim none, and are answered all the same.
    const sender = own.address !== 0 && (at.side === 'underlay' || (at.vlan === 0 && subnetContains(own, target))) ? own.address : 0;
    this.#open(at).send(tagged(arpRequest({ sender, senderMac: own.mac, target }), at.vlan));
  }

  #open({ side, vlan }: Whereabouts): PacketSocket {
    const known = this.#sockets.get(side);
    if (known !== undefined) return known;
    // What has a tag, and all that is heard outside, the programs tell of.
    const listens = side === 'underlay' && vlan === 0;
    const socket = new PacketSocket({ interface: this.#basis.node(side).name, protocol: listens ? ETHERTYPE_ARP : undefined });
    socket.on('frame', (frame, { packetType }) => {
      const sender = packetType === 'outgoing' ? undefined : arpSender(frame);
      if (sender !== undefined) this.#awaited.heard(nameOf({ side, vlan }, sender.address));
    });
    // What a link that is down means is told by netlink.
    socket.on('error', () => undefined);
    this.#sockets.set(side, socket);
    return socket;
  }
}

function nameOf({ side, vlan }: Whereabouts, address: number): string {
  return `${side} ${vlan} ${address}`;
}
