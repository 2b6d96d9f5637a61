/**
 * VMs that packets are for and that were never heard: they are asked for in
 * their network, and the packets wait. Whether a VM was learned is looked at
 * when the programs have learned something, so that a scan costs little.
 */
import type { FrameSource } from './frame-source.js';
import { HeldFrames } from './held-frames.js';
import { Shares } from './shares.js';
import type { Holder } from './shares.js';

export interface EndpointId {
  /** Index into networks. */
  readonly network: number;
  /** Unsigned 32-bit, host order. */
  readonly address: number;
}

export interface EndpointSearchPorts {
  /** Asks on every compute that may have it. */
  ask(id: EndpointId): void;
  isKnown(id: EndpointId): boolean;
  /** Grows whenever the programs have learned where a VM is. */
  learned(): bigint;
  resume(from: FrameSource, frame: Buffer): void;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
}

const QUESTIONS = 3;
const QUESTION_INTERVAL_NS = 1_000_000_000n;
/** More VMs than this are not searched for at a time, and not more than its share for one tenant: their packets stay counted as dropped. */
const MAX_SEARCHES = 1024;
/** How often to call `tick` while something is searched for. */
export const SEARCH_TICK_MS = 10;

interface Search {
  readonly id: EndpointId;
  readonly holder: Holder;
  questions: number;
  nextNs: bigint;
}

const sources: readonly FrameSource[] = ['underlay', 'external'];

export class EndpointSearch {
  readonly #ports: EndpointSearchPorts;
  readonly #searches = new Map<string, Search>();
  readonly #held = new HeldFrames();
  readonly #shares = new Shares(MAX_SEARCHES);
  #learned = -1n;

  constructor(ports: EndpointSearchPorts) {
    this.#ports = ports;
  }

  get status(): { readonly searches: number; readonly heldFrames: number; readonly heldFramesDropped: number } {
    return { searches: this.#searches.size, heldFrames: this.#held.count, heldFramesDropped: this.#held.dropped };
  }

  /** A packet for such a VM, of that tenant: it waits. */
  unresolved(id: EndpointId, holder: Holder, from: FrameSource, frame: Buffer): void {
    const name = nameOf(id);
    const isNew = !this.#searches.has(name);
    if (isNew && !this.#shares.take(holder)) return;
    this.#held.hold(`${from}/${name}`, frame, holder);
    if (!isNew) return;
    const search = { id: { network: id.network, address: id.address }, holder, questions: 0, nextNs: this.#ports.nowNs() };
    this.#searches.set(name, search);
    // Learned while the event was on its way.
    if (this.#ports.isKnown(id)) this.#found(name, search);
    else this.#ask(search);
  }

  tick(): void {
    const learned = this.#ports.learned();
    const isNews = learned !== this.#learned;
    this.#learned = learned;
    for (const [name, search] of this.#searches) {
      const isDue = this.#ports.nowNs() >= search.nextNs;
      if ((isNews || isDue) && this.#ports.isKnown(search.id)) this.#found(name, search);
      else if (isDue && search.questions >= QUESTIONS) this.#giveUp(name, search);
      else if (isDue) this.#ask(search);
    }
  }

  #ask(search: Search): void {
    search.questions += 1;
    search.nextNs = this.#ports.nowNs() + QUESTION_INTERVAL_NS;
    this.#ports.ask(search.id);
  }

  #found(name: string, search: Search): void {
    this.#end(name, search);
    for (const from of sources) for (const frame of this.#held.release(`${from}/${name}`)) this.#ports.resume(from, frame);
  }

  #giveUp(name: string, search: Search): void {
    this.#end(name, search);
    for (const from of sources) this.#held.drop(`${from}/${name}`);
  }

  #end(name: string, { holder }: Search): void {
    this.#searches.delete(name);
    this.#shares.give(holder);
  }
}

function nameOf({ network, address }: EndpointId): string {
  return `${network}/${address}`;
}
