/**
 * Packets that the programs cannot finish by themselves: for VMs that were never
 * heard, fragments before their first one, and packets that have to be split.
 */
import { PacketSocket } from 'libbpf-ts';
import { arpRequest } from '../dataplane/arp.js';
import { Computes } from '../dataplane/computes.js';
import { EarlyFragments } from '../dataplane/early-fragments.js';
import { EndpointSearch, SEARCH_TICK_MS } from '../dataplane/endpoint-search.js';
import type { EndpointId } from '../dataplane/endpoint-search.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { splitFrame } from '../dataplane/fragmentation.js';
import type { FrameSource } from '../dataplane/frame-source.js';
import { interfaceRole, reason, virtualRouterState } from '../dataplane/layout.generated.js';
import { tunnelFrame } from '../dataplane/tunnel.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import type { NextHops } from './next-hops.js';
import { tenantOf } from './tenants.js';

/** While a fragment waits. */
const FRAGMENT_TICK_MS = 5;

export interface SlowPacketsStatus {
  /** That wait now. */
  readonly heldFrames: number;
  /* Frames that were given up, by cause. */
  readonly endpointUnknown: number;
  readonly fragmentEarly: number;
  readonly notSplit: number;
}

export class SlowPackets {
  readonly #basis: Basis;
  readonly #nextHops: Pick<NextHops, 'underlayMac' | 'wantUnderlay'>;
  readonly #search: EndpointSearch;
  readonly #fragments = new EarlyFragments();
  readonly #computes: Computes;
  #socket: PacketSocket | undefined;
  #searching: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #notSplit = 0;

  constructor(basis: Basis, nextHops: Pick<NextHops, 'underlayMac' | 'wantUnderlay'>) {
    this.#basis = basis;
    this.#nextHops = nextHops;
    this.#computes = basis.dataPlane.computes;
    this.#search = new EndpointSearch({
      ask: (id) => this.#ask(id),
      isKnown: (id) => this.#isKnown(id),
      learned: () => this.#learned(),
      resume: (from, frame) => this.#resume(from, frame),
      nowNs: monotonicNs,
    });
  }

  get status(): SlowPacketsStatus {
    const { heldFrames, heldFramesDropped } = this.#search.status;
    return { heldFrames: heldFrames + this.#fragments.count, endpointUnknown: heldFramesDropped, fragmentEarly: this.#fragments.dropped, notSplit: this.#notSplit };
  }

  /** A VM was never heard. */
  endpointUnresolved(event: DataPlaneEvent): void {
    const holder = this.#basis.installation.state.maps.networks.get(event.network)?.router;
    this.#search.unresolved({ network: event.network, address: event.address }, holder, sourceOf(event), event.frame);
    this.#searching ??= setInterval(() => this.#searchTick(), SEARCH_TICK_MS);
  }

  fragmentEarly(event: DataPlaneEvent): void {
    this.#fragments.early(sourceOf(event), event.frame, performance.now(), tenantOf(event.frame, this.#basis.installation.state));
    this.#waiting ??= setInterval(() => this.#fragmentTick(), FRAGMENT_TICK_MS);
  }

  fragmentationNeeded(event: DataPlaneEvent): void {
    const parts = splitFrame(event.frame, sourceOf(event), event.mtu);
    if (parts === undefined) this.#notSplit += 1;
    for (const part of parts ?? []) this.#resume(sourceOf(event), part);
  }

  /** It is finished by now. */
  frameUnfinished(event: DataPlaneEvent): void {
    this.#resume(sourceOf(event), event.frame);
  }

  close(): void {
    clearInterval(this.#searching);
    clearInterval(this.#waiting);
    this.#socket?.close();
  }

  #searchTick(): void {
    this.#search.tick();
    if (this.#search.status.searches > 0) return;
    clearInterval(this.#searching);
    this.#searching = undefined;
  }

  #fragmentTick(): void {
    for (const { from, frame } of this.#fragments.due(performance.now())) this.#resume(from, frame);
    if (this.#fragments.count > 0) return;
    clearInterval(this.#waiting);
    this.#waiting = undefined;
  }

  #resume(from: FrameSource, frame: Buffer): void {
    try {
      this.#basis.dataPlane.receiveAgain(from, frame);
    } catch (error) {
      this.#basis.log.debug({ reason: 'held_frame' }, (error as Error).message);
    }
  }

  #isKnown({ network, address }: EndpointId): boolean {
    const { dataPlane, installation } = this.#basis;
    const vni = installation.state.maps.networks.get(network)?.vni;
    const index = vni === undefined ? undefined : dataPlane.maps.vmByAddress.get({ vni, address });
    return index !== undefined && dataPlane.maps.vms.get(index)?.tunnelEndpoint !== 0;
  }

  #learned(): bigint {
    const { counters } = this.#basis.dataPlane;
    return [reason.vmLearned, reason.vmMoved, reason.endpointAnnounced, reason.commitApplied, reason.syncApplied].reduce((sum, of) => sum + counters.read(of).packets, 0n);
  }

  /** As the network's gateway, in a tunnel to every compute that may have the VM. Only the Active gateway has packets for it. */
  #ask({ network: index, address }: EndpointId): void {
    const { installation: { state: { maps } }, dataPlane, configuration } = this.#basis;
    const network = maps.networks.get(index);
    const vrid = network && maps.routers.get(network.router)?.virtualRouter;
    const virtualRouter = vrid === undefined ? undefined : maps.virtual_routers.get(vrid);
    if (network === undefined || virtualRouter === undefined || dataPlane.roles.read(vrid!).state !== virtualRouterState.active) return;
    const question = arpRequest({ senderMac: network.gatewayMac, sender: network.gateway, target: address });
    const { vlan } = configuration.interfaces.underlay;
    for (const compute of this.#computes.of(index)) {
      const destinationMac = this.#nextHopOf(compute);
      if (destinationMac === undefined) continue;
      this.#send(tunnelFrame({ sourceMac: virtualRouter.mac, destinationMac, vlan, source: virtualRouter.address, destination: compute.address, segment: network.vni }, question));
    }
  }

  /** Undefined: it is being asked for, and will be known when the question is repeated. */
  #nextHopOf({ address, nextHopMac }: { readonly address: number; readonly nextHopMac: Buffer }): Buffer | undefined {
    if (nextHopMac.some((byte) => byte !== 0)) return nextHopMac;
    const mac = this.#nextHops.underlayMac(address);
    if (mac === undefined) this.#nextHops.wantUnderlay(address);
    return mac;
  }

  #send(frame: Buffer): void {
    try {
      this.#socket ??= this.#open();
      this.#socket.send(frame);
    } catch (error) {
      this.#basis.log.debug({ reason: 'endpoint_question' }, (error as Error).message);
    }
  }

  #open(): PacketSocket {
    const { name } = this.#basis.node('underlay');
    const socket = new PacketSocket({ interface: name });
    // What a link that is down means is told by netlink.
    socket.on('error', (error) => this.#basis.log.debug({ interface: name }, error.message));
    return socket;
  }
}

function sourceOf(event: DataPlaneEvent): FrameSource {
  return event.interface === interfaceRole.underlay ? 'underlay' : 'external';
}
