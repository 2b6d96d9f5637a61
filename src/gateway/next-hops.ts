/** The next hops that the programs need: the kernel's answers in, probes and map entries out. */
import type { Neighbour } from 'libbpf-ts';
import type { NeighbourTarget } from '../compile/contents.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { interfaceRole } from '../dataplane/layout.generated.js';
import type { NeighbourId } from '../dataplane/neighbour-table.js';
import { Resolver } from '../dataplane/resolver.js';
import type { ResolverPorts } from '../dataplane/resolver.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';

export interface NextHopEvents {
  peerResolved(mac: Buffer): void;
  gatewayResolved(): void;
}

export class NextHops {
  readonly #basis: Basis;
  readonly #events: NextHopEvents;
  readonly #resolver: Resolver;
  #targets: readonly NeighbourTarget[] = [];

  constructor(basis: Basis, events: NextHopEvents) {
    this.#basis = basis;
    this.#events = events;
    const ifindexes = basis.inForce.nodes.map((node): [number, number] => [interfaceRole[node.role], node.ifindex]);
    this.#resolver = new Resolver(new Map(ifindexes), this.#ports());
  }

  get status(): Resolver['status'] {
    return this.#resolver.status;
  }

  get peerMac(): Buffer | undefined {
    const { peer } = this.#basis.configuration;
    return peer && this.#resolver.macOf({ role: interfaceRole.ha, address: peer.address });
  }

  /** Whether the gateways of all external networks have answered. */
  get allGatewaysResolved(): boolean {
    return this.#targets.every((target) => target.for !== 'external_network' || this.#resolver.macOf(idOf(target)) !== undefined);
  }

  /** Asks from now on for what the configuration in force needs, and for nothing else. */
  follow(targets: readonly NeighbourTarget[]): void {
    const has = (list: readonly NeighbourTarget[], { interface: side, address }: NeighbourTarget): boolean => list.some((other) => other.interface === side && other.address === address);
    for (const target of this.#targets) if (!has(targets, target)) this.#resolver.unwant(idOf(target));
    for (const target of targets) if (!has(this.#targets, target)) this.#resolver.want(idOf(target), target.for === 'peer' ? 'peer' : 'gateway');
    this.#targets = targets;
    this.#rewriteResolved();
  }

  /** What the kernel knows already, and what it told while events were lost. */
  async readKernel(): Promise<void> {
    this.#resolver.replace(await this.#basis.netlink.neighbours());
  }

  observe(neighbour: Neighbour, gone: boolean): void {
    this.#resolver.observe(neighbour, gone);
  }

  /** A packet has no next hop. */
  unresolved(event: DataPlaneEvent): void {
    this.#resolver.unresolved({ role: event.interface, address: event.address }, event.frame);
  }

  /** Asks what is due. */
  tick(): void {
    this.#resolver.tick();
  }

  /** Two networks may share a gateway, and a network may change to one that was resolved long ago. */
  #rewriteResolved(): void {
    for (const target of this.#targets) {
      const mac = this.#resolver.macOf(idOf(target));
      if (target.for === 'external_network' && mac !== undefined) this.#basis.dataPlane.writeGatewayMac(target.index, target.address, mac);
    }
  }

  #ports(): ResolverPorts {
    const { log, netlink, dataPlane } = this.#basis;
    return {
      probe: (ifindex, address) => void netlink.probeNeighbour(ifindex, address).catch((error: Error) => log.debug({ address }, error.message)),
      writeNeighbour: (id, mac) => dataPlane.writeNeighbour(id, mac),
      writeGateway: ({ address }, mac) => this.#gatewayAnswered(address, mac),
      writePeer: (_, mac) => this.#events.peerResolved(mac),
      resume: (frame) => this.#resume(frame),
      nowNs: monotonicNs,
      log: ({ type, purpose, address, mac }) => log[purpose === 'onDemand' ? 'debug' : 'info']({ reason: `neighbour_${type}`, purpose, address, mac }, `next hop ${type}`),
    };
  }

  #gatewayAnswered(address: number, mac: Buffer | undefined): void {
    const { dataPlane, installation } = this.#basis;
    for (const index of installation.state.maps.external_networks.keys()) dataPlane.writeGatewayMac(index, address, mac);
    if (mac !== undefined) this.#events.gatewayResolved();
  }

  #resume(frame: Buffer): void {
    try {
      this.#basis.dataPlane.receiveTunnelledAgain(frame);
    } catch (error) {
      this.#basis.log.debug({ reason: 'held_frame' }, (error as Error).message);
    }
  }
}

function idOf(target: NeighbourTarget): NeighbourId {
  return { role: interfaceRole[target.interface], address: target.address };
}
