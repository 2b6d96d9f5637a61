/** Executes the neighbour table: answers in, questions and map entries out, held frames on their way. */
import type { Ipv4Address } from '../config/address.js';
import { formatIpv4, parseIpv4 } from '../config/address.js';
import { ArpCache } from './arp-cache.js';
import { HeldFrames } from './held-frames.js';
import { NeighbourTable, neighbourName } from './neighbour-table.js';
import type { NeighbourEffect, NeighbourId, NeighbourObservation, NeighbourPurpose } from './neighbour-table.js';
import type { Holder } from './shares.js';

/** What RouteNetlink tells of a neighbour. */
export interface NeighbourView {
  readonly ifindex: number;
  /** Dotted decimal; IPv6 is skipped. */
  readonly address: string;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac?: string | undefined;
  readonly state: string;
}

export interface ResolverPorts {
  /** Whether the kernel can ask for it: it has an address and a way there. */
  isKernels(id: NeighbourId): boolean;
  /** Asks for what the kernel cannot. A failure is repeated later. */
  ask(id: NeighbourId): void;
  /** Makes the kernel ask. A failure is repeated later. */
  probe(ifindex: number, address: string): void;
  /** mac undefined: unresolved. */
  writeNeighbour(id: NeighbourId, mac: Buffer | undefined): void;
  writeGateway(id: NeighbourId, mac: Buffer | undefined): void;
  writePeer(id: NeighbourId, mac: Buffer): void;
  /** Sends a frame that waited. */
  resume(frame: Buffer): void;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
  log(event: { readonly type: 'resolved' | 'unresolved'; readonly purpose: NeighbourPurpose; readonly address: string; readonly mac?: string }): void;
}

/** A neighbour that does not answer: so packets to it are told, until it is asked for again. */
const NOBODY = Buffer.alloc(6);
const SILENT_NS = 3_000_000_000n;
/** More than these are not remembered: the table of neighbours has room for others. */
const MAX_SILENT = 4096;

/** How often questions that are due are asked, ms. */
export const RESOLVER_TICK_MS = 100;

export class Resolver {
  readonly #ports: ResolverPorts;
  /** Index: enum interface_role. */
  readonly #ifindexes: ReadonlyMap<number, number>;
  readonly #roles: ReadonlyMap<number, number>;
  readonly #table = new NeighbourTable();
  readonly #held = new HeldFrames();
  readonly #arp = new ArpCache();
  /** That packets asked for in vain, and until when they are taken for absent. */
  readonly #silent = new Map<string, { readonly id: NeighbourId; readonly untilNs: bigint }>();
  /** The kernel's table: a want may come after the kernel has resolved it for somebody else, and told so. */
  readonly #known = new Map<string, NeighbourObservation>();

  /** @param ifindexes by enum interface_role */
  constructor(ifindexes: ReadonlyMap<number, number>, ports: ResolverPorts) {
    this.#ports = ports;
    this.#ifindexes = ifindexes;
    this.#roles = new Map([...ifindexes].map(([role, ifindex]) => [ifindex, role]));
  }

  want(id: NeighbourId, purpose: NeighbourPurpose, holder?: Holder): void {
    this.#execute(this.#table.want(id, purpose, this.#ports.nowNs(), holder));
    const known = this.#known.get(neighbourName(id));
    if (known !== undefined) this.#execute(this.#table.observe(known));
    this.#execute(this.#table.ask(id, this.#ports.nowNs()));
  }

  unwant(id: NeighbourId): void {
    this.#arp.forget(id);
    this.#execute(this.#table.unwant(id));
    this.#ports.writeNeighbour(id, undefined);
  }

  /** A packet of that tenant has no next hop: asks for it, and keeps the packet meanwhile. */
  unresolved(id: NeighbourId, frame: Buffer, holder?: Holder): void {
    if (frame.length > 0) this.#held.hold(neighbourName(id), frame, holder);
    this.want(id, 'onDemand', holder);
    // Resolved between the packet and us.
    if (this.#table.macOf(id) !== undefined) this.#release(id);
    // Refused for want of room.
    else if (!this.#table.wants(id)) this.#held.drop(neighbourName(id));
  }

  /** An entry of the kernel's, or with `gone` its end. */
  observe(view: NeighbourView, gone = false): void {
    const role = this.#roles.get(view.ifindex);
    const address = parseIpv4(view.address);
    if (role === undefined || address === undefined) return;
    if (!this.#ports.isKernels({ role, vlan: 0, address })) return;
    const mac = view.mac === undefined ? undefined : Buffer.from(view.mac.replaceAll(':', ''), 'hex');
    this.#observe(gone ? { role, vlan: 0, address, state: 'FAILED', mac: undefined } : { role, vlan: 0, address, state: view.state, mac }, gone);
  }

  #observe(seen: NeighbourObservation, gone: boolean): void {
    if (gone) this.#known.delete(neighbourName(seen));
    else this.#known.set(neighbourName(seen), seen);
    this.#execute(this.#table.observe(seen));
  }

  /** The kernel's whole table: what is no longer in it has ended. */
  replace(views: readonly NeighbourView[]): void {
    const gone = new Map(this.#known);
    for (const view of views) {
      this.observe(view);
      const role = this.#roles.get(view.ifindex);
      const address = parseIpv4(view.address);
      if (role !== undefined && address !== undefined) gone.delete(neighbourName({ role, vlan: 0, address }));
    }
    for (const { role, vlan, address } of gone.values()) this.#observe({ role, vlan, address, state: 'FAILED', mac: undefined }, true);
  }

  /** Somebody says where it is, in a frame that the programs have seen. */
  heard(id: NeighbourId, mac: Buffer): void {
    if (this.#ports.isKernels(id) || !this.#table.wants(id)) return;
    this.#execute(this.#table.observe(this.#arp.heard(id, mac, this.#ports.nowNs())));
  }

  tick(): void {
    const now = this.#ports.nowNs();
    for (const seen of this.#arp.tick(now)) this.#execute(this.#table.observe(seen));
    this.#execute(this.#table.tick(now));
    this.#forgetSilent(now);
  }

  #forgetSilent(nowNs: bigint): void {
    for (const [name, { id, untilNs }] of this.#silent) {
      // In the order in which they fell silent.
      if (nowNs < untilNs) return;
      this.#silent.delete(name);
      this.#ports.writeNeighbour(id, undefined);
    }
  }

  get status(): { resolved: number; unresolved: number; heldFrames: number; heldFramesDropped: number } {
    return { ...this.#table.size, heldFrames: this.#held.count, heldFramesDropped: this.#held.dropped };
  }

  macOf(id: NeighbourId): Buffer | undefined {
    return this.#table.macOf(id);
  }

  #execute(effects: readonly NeighbourEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'Probe') this.#probe(effect);
      if (effect.type === 'Resolved') this.#resolved(effect);
      if (effect.type === 'Unresolved') this.#failed(effect);
    }
  }

  #probe(id: NeighbourId): void {
    if (!this.#ports.isKernels(id)) {
      this.#arp.asked(id, this.#ports.nowNs());
      return this.#ports.ask(id);
    }
    const ifindex = this.#ifindexes.get(id.role);
    if (ifindex !== undefined) this.#ports.probe(ifindex, formatIpv4(id.address as Ipv4Address));
  }

  #resolved(effect: NeighbourEffect & { type: 'Resolved' }): void {
    this.#silent.delete(neighbourName(effect));
    const { purpose, mac, address } = effect;
    if (purpose === 'gateway') this.#ports.writeGateway(effect, mac);
    if (purpose === 'peer') this.#ports.writePeer(effect, mac);
    // Packets to the gateway's own address need it like any other.
    if (purpose !== 'peer') this.#ports.writeNeighbour(effect, mac);
    this.#ports.log({ type: 'resolved', purpose, address: formatIpv4(address as Ipv4Address), mac: mac.toString('hex').match(/../g)?.join(':') ?? '' });
    this.#release(effect);
  }

  #failed(effect: NeighbourEffect & { type: 'Unresolved' }): void {
    const { purpose, address } = effect;
    if (purpose === 'gateway') this.#ports.writeGateway(effect, undefined);
    this.#fallSilent(effect, purpose);
    this.#ports.log({ type: 'unresolved', purpose, address: formatIpv4(address as Ipv4Address) });
  }

  /** What waited goes on, and whoever sent it hears that nobody is there (RFC 1812 §4.3.3.1). */
  #fallSilent({ role, vlan, address }: NeighbourId, purpose: NeighbourPurpose): void {
    const id = { role, vlan, address };
    const name = neighbourName(id);
    const isForgotten = purpose === 'onDemand';
    const isRemembered = !isForgotten || this.#silent.size < MAX_SILENT;
    this.#ports.writeNeighbour(id, isRemembered ? NOBODY : undefined);
    if (!isRemembered) return this.#held.drop(name);
    this.#silent.delete(name);
    if (isForgotten) this.#silent.set(name, { id, untilNs: this.#ports.nowNs() + SILENT_NS });
    this.#release(id);
  }

  #release(id: NeighbourId): void {
    for (const frame of this.#held.release(neighbourName(id))) this.#ports.resume(frame);
  }
}
