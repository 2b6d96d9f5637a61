/**
 * VMs that packets are for and that were never heard: they are asked for in
 * their network, and the packets wait. Whether a VM was learned is looked at
 * when the programs have learned something, so that a scan costs little.
 */
import type { FrameSource } from './frame-source.js';
import { HeldFrames } from './held-frames.js';

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
/** More VMs than this are not searched for at a time: their packets stay counted as dropped. */
const MAX_SEARCHES = 1024;
/** How often to call `tick` while something is searched for. */
export const SEARCH_TICK_MS = 10;

interface Search {
  readonly id: EndpointId;
  questions: number;
  nextNs: bigint;
}

const sources: readonly FrameSource[] = ['underlay', 'external'];

export class EndpointSearch {
  readonly #ports: EndpointSearchPorts;
  readonly #searches = new Map<string, Search>();
  readonly #held = new HeldFrames();
  #learned = -1n;

  constructor(ports: EndpointSearchPorts) {
    this.#ports = ports;
  }

  get status(): { readonly searches: number; readonly heldFrames: number; readonly heldFramesDropped: number } {
    return { searches: this.#searches.size, heldFrames: this.#held.count, heldFramesDropped: this.#held.dropped };
  }

  /** A packet for such a VM: it waits. */
  unresolved(id: EndpointId, from: FrameSource, frame: Buffer): void {
    const name = nameOf(id);
    if (!this.#searches.has(name) && this.#searches.size >= MAX_SEARCHES) return;
    this.#held.hold(`${from}/${name}`, frame);
    if (this.#searches.has(name)) return;
    const search = { id: { network: id.network, address: id.address }, questions: 0, nextNs: this.#ports.nowNs() };
    this.#searches.set(name, search);
    // Learned while the event was on its way.
    if (this.#ports.isKnown(id)) this.#found(name);
    else this.#ask(search);
  }

  tick(): void {
    const learned = this.#ports.learned();
    const isNews = learned !== this.#learned;
    this.#learned = learned;
    for (const [name, search] of this.#searches) {
      const isDue = this.#ports.nowNs() >= search.nextNs;
      if ((isNews || isDue) && this.#ports.isKnown(search.id)) this.#found(name);
      else if (isDue && search.questions >= QUESTIONS) this.#giveUp(name);
      else if (isDue) this.#ask(search);
    }
  }

  #ask(search: Search): void {
    search.questions += 1;
    search.nextNs = this.#ports.nowNs() + QUESTION_INTERVAL_NS;
    this.#ports.ask(search.id);
  }

  #found(name: string): void {
    this.#searches.delete(name);
    for (const from of sources) for (const frame of this.#held.release(`${from}/${name}`)) this.#ports.resume(from, frame);
  }

  #giveUp(name: string): void {
    this.#searches.delete(name);
    for (const from of sources) this.#held.drop(`${from}/${name}`);
  }
}

function nameOf({ network, address }: EndpointId): string {
  return `${network}/${address}`;
}
