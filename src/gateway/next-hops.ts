/** The next hops that the programs need: answers in, questions and map entries out. */
import type { Neighbour } from 'libbpf-ts';
import type { NeighbourTarget } from '../compile/contents.js';
import { subnetContains } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { arpSender } from '../dataplane/arp.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { interfaceRole } from '../dataplane/layout.generated.js';
import { neighbourName } from '../dataplane/neighbour-table.js';
import type { NeighbourId, NeighbourPurpose } from '../dataplane/neighbour-table.js';
import { Resolver } from '../dataplane/resolver.js';
import type { ResolverPorts } from '../dataplane/resolver.js';
import { destinationOf } from '../dataplane/tunnel.js';
import { ArpQuestions } from './arp-questions.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { tenantOf } from './tenants.js';

export interface NextHopEvents {
  peerResolved(mac: Buffer): void;
  gatewayResolved(): void;
  underlayResolved(address: number, mac: Buffer): void;
}

export class NextHops {
  readonly #basis: Basis;
  readonly #events: NextHopEvents;
  readonly #resolver: Resolver;
  readonly #questions: ArpQuestions;
  #targets: readonly NeighbourTarget[] = [];

  constructor(basis: Basis, events: NextHopEvents) {
    this.#basis = basis;
    this.#events = events;
    this.#questions = new ArpQuestions(basis);
    const ifindexes = basis.inForce.nodes.map((node): [number, number] => [interfaceRole[node.role], node.ifindex]);
    this.#resolver = new Resolver(new Map(ifindexes), this.#ports());
  }

  get status(): Resolver['status'] {
    return this.#resolver.status;
  }

  get peerMac(): Buffer | undefined {
    const { peer } = this.#basis.configuration;
    return peer && this.#resolver.macOf({ role: interfaceRole.ha, vlan: 0, address: peer.address });
  }

  /** Whether the gateways of all external networks have answered. */
  get allGatewaysResolved(): boolean {
    return this.#targets.every((target) => target.for !== 'external_network' || this.#resolver.macOf(idOf(target)) !== undefined);
  }

  /** Asks from now on for what the configuration in force needs, and for nothing else. */
  follow(targets: readonly NeighbourTarget[]): void {
    const [before, wanted] = [neighboursOf(this.#targets), neighboursOf(targets)];
    for (const [name, { id, purpose }] of before) if (wanted.get(name)?.purpose !== purpose) this.#resolver.unwant(id);
    for (const [name, { id, purpose }] of wanted) if (before.get(name)?.purpose !== purpose) this.#resolver.want(id, purpose);
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
    this.#resolver.unresolved({ role: event.interface, vlan: event.vlan, address: event.address }, event.frame, tenantOf(event.frame, this.#basis.installation.state));
  }

  /** Somebody has answered us, or announces itself. */
  heard(event: DataPlaneEvent): void {
    const sender = arpSender(event.frame);
    if (sender !== undefined) this.#resolver.heard({ role: event.interface, vlan: event.vlan, address: sender.address }, sender.mac);
  }

  /** Of a compute. */
  underlayMac(address: number): Buffer | undefined {
    return this.#resolver.macOf({ role: interfaceRole.underlay, vlan: 0, address });
  }

  /** A compute, for a question that we send ourselves. */
  wantUnderlay(address: number): void {
    this.#resolver.want({ role: interfaceRole.underlay, vlan: 0, address }, 'onDemand');
  }

  /** The peer's own address there: for good, it does not change. */
  wantPeer(address: number): void {
    this.#resolver.want({ role: interfaceRole.underlay, vlan: 0, address }, 'nextHop');
  }

  /** Whether known or not: any answer shows that the way is open. The kernel would ask when it thinks fit. */
  askUnderlay(address: number): void {
    this.#questions.ask({ role: interfaceRole.underlay, vlan: 0, address });
  }

  close(): void {
    this.#questions.close();
  }

  /** Asks what is due. */
  tick(): void {
    this.#resolver.tick();
  }

  /** Two networks may share a gateway, and a network may change to one that was resolved long ago. */
  #rewriteResolved(): void {
    for (const target of this.#targets) {
      const mac = this.#resolver.macOf(idOf(target));
      if (target.for === 'external_network' && mac !== undefined) this.#basis.dataPlane.writeGatewayMac(target.index, target, mac);
    }
  }

  #ports(): ResolverPorts {
    const { log, netlink } = this.#basis;
    return {
      isKernels: (id) => this.#isKernels(id),
      ask: (id) => this.#questions.ask(id),
      probe: (ifindex, address) => void netlink.probeNeighbour(ifindex, address).catch((error: Error) => log.debug({ address }, error.message)),
      writeNeighbour: (id, mac) => this.#neighbourChanged(id, mac),
      writeGateway: (id, mac) => this.#gatewayAnswered(id, mac),
      writePeer: (_, mac) => this.#events.peerResolved(mac),
      resume: (frame) => this.#resume(frame),
      nowNs: monotonicNs,
      log: ({ type, purpose, address, mac }) => log[purpose === 'onDemand' ? 'debug' : 'info']({ reason: `neighbour_${type}`, purpose, address, mac }, `next hop ${type}`),
    };
  }

  /** All zero: it does not answer. */
  #neighbourChanged(id: NeighbourId, mac: Buffer | undefined): void {
    this.#basis.dataPlane.writeNeighbour(id, mac);
    if (id.role === interfaceRole.underlay && mac?.some((byte) => byte !== 0)) this.#events.underlayResolved(id.address, mac);
  }

  #gatewayAnswered(id: NeighbourId, mac: Buffer | undefined): void {
    const { dataPlane, installation } = this.#basis;
    for (const index of installation.state.maps.external_networks.keys()) dataPlane.writeGatewayMac(index, id, mac);
    if (mac !== undefined) this.#events.gatewayResolved();
  }

  /** It hears nothing with a tag, and asks outside for nothing that its own address is not in the subnet of. */
  #isKernels({ role, vlan, address }: NeighbourId): boolean {
    if (role === interfaceRole.underlay) return this.#basis.configuration.interfaces.underlay.vlan === 0;
    if (role !== interfaceRole.external) return true;
    const own = this.#basis.node('external');
    return vlan === 0 && own.address !== 0 && subnetContains(own, address as Ipv4Address);
  }

  /** A next hop on the underlay is wanted from either side: what is addressed to a tunnel's end came in one. */
  #resume(frame: Buffer): void {
    const { configuration, dataPlane, log } = this.#basis;
    const destination = destinationOf(frame);
    const isTunnelled = configuration.virtualRouters.some(({ address }) => address === destination);
    try {
      dataPlane.receiveAgain(isTunnelled ? 'underlay' : 'external', frame);
    } catch (error) {
      log.debug({ reason: 'held_frame' }, (error as Error).message);
    }
  }
}

function idOf({ interface: side, vlan, address }: NeighbourTarget): NeighbourId {
  return { role: interfaceRole[side], vlan, address };
}

/** By name; what is a gateway as well as a next hop is a gateway. */
function neighboursOf(targets: readonly NeighbourTarget[]): Map<string, { readonly id: NeighbourId; readonly purpose: NeighbourPurpose }> {
  const found = new Map<string, { id: NeighbourId; purpose: NeighbourPurpose }>();
  for (const target of targets) {
    const id = idOf(target);
    const name = neighbourName(id);
    if (found.get(name)?.purpose !== 'gateway') found.set(name, { id, purpose: purposes[target.for] });
  }
  return found;
}

const purposes = { peer: 'peer', external_network: 'gateway', packets: 'nextHop' } as const satisfies Record<NeighbourTarget['for'], NeighbourPurpose>;
