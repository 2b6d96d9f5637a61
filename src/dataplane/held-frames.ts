/**
 * Frames that wait for their next hop's MAC address. Bounded per neighbour and
 * in total, oldest first out: a scan of an empty subnet costs no more than this.
 * Each bound is met by frames of whoever has most waiting, so that one tenant's
 * scan pushes none of another's out.
 */
import type { Holder } from './shares.js';

/** Neighbours in the order of their oldest frames, near enough to drop by. */
type Queues = Map<string, Buffer[]>;

interface Held {
  readonly queues: Queues;
  count: number;
}

export class HeldFrames {
  readonly #perNeighbour: number;
  readonly #total: number;
  readonly #held = new Map<Holder, Held>();
  #count = 0;
  #dropped = 0;

  /** @param limits `perNeighbour`: of each holder */
  constructor(limits: { readonly perNeighbour: number; readonly total: number } = { perNeighbour: 16, total: 1024 }) {
    this.#perNeighbour = limits.perNeighbour;
    this.#total = limits.total;
  }

  get count(): number {
    return this.#count;
  }

  /** Frames that were given up, for want of room or of an answer. */
  get dropped(): number {
    return this.#dropped;
  }

  /** `frame` is copied: it is a small part of a record of the ring buffer. */
  hold(neighbour: string, frame: Buffer, holder?: Holder): void {
    const held = this.#held.get(holder) ?? { queues: new Map(), count: 0 };
    this.#held.set(holder, held);
    const queue = held.queues.get(neighbour) ?? [];
    held.queues.set(neighbour, queue);
    queue.push(Buffer.from(frame));
    held.count += 1;
    this.#count += 1;
    if (queue.length > this.#perNeighbour) this.#dropOldest(holder, held, neighbour, queue);
    if (this.#count > this.#total) this.#dropOfLargest();
  }

  /** All frames for a neighbour that has answered; those of one holder in their order. */
  release(neighbour: string): Buffer[] {
    return [...this.#held].flatMap(([holder, held]) => {
      const queue = held.queues.get(neighbour) ?? [];
      held.queues.delete(neighbour);
      this.#forget(holder, held, queue.length);
      return queue;
    });
  }

  /** The neighbour does not answer. */
  drop(neighbour: string): void {
    this.#dropped += this.release(neighbour).length;
  }

  #dropOfLargest(): void {
    const [holder, held] = [...this.#held].reduce((most, one) => (one[1].count > most[1].count ? one : most));
    const [neighbour, queue] = held.queues.entries().next().value!;
    this.#dropOldest(holder, held, neighbour, queue);
  }

  #dropOldest(holder: Holder, held: Held, neighbour: string, queue: Buffer[]): void {
    queue.shift();
    if (queue.length === 0) held.queues.delete(neighbour);
    this.#forget(holder, held, 1);
    this.#dropped += 1;
  }

  #forget(holder: Holder, held: Held, frames: number): void {
    held.count -= frames;
    this.#count -= frames;
    if (held.count === 0) this.#held.delete(holder);
  }
}
