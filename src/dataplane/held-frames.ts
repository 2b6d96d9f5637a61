/**
 * Frames that wait for their next hop's MAC address. Bounded per neighbour and
 * in total, oldest first out: a scan of an empty subnet costs no more than this.
 */
export class HeldFrames {
  readonly #perNeighbour: number;
  readonly #total: number;
  /** Insertion order of the keys is the order of the neighbours' oldest frames, near enough to drop by. */
  readonly #frames = new Map<string, Buffer[]>();
  #count = 0;
  #dropped = 0;

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
  hold(neighbour: string, frame: Buffer): void {
    const queue = this.#frames.get(neighbour) ?? [];
    if (queue.length === 0) this.#frames.set(neighbour, queue);
    if (queue.length >= this.#perNeighbour) this.#dropOldest(neighbour, queue);
    queue.push(Buffer.from(frame));
    this.#count += 1;
    if (this.#count > this.#total) {
      const [oldest] = this.#frames;
      if (oldest !== undefined) this.#dropOldest(...oldest);
    }
  }

  /** All frames for a neighbour that has answered, in their order. */
  release(neighbour: string): Buffer[] {
    const queue = this.#frames.get(neighbour) ?? [];
    this.#frames.delete(neighbour);
    this.#count -= queue.length;
    return queue;
  }

  /** The neighbour does not answer. */
  drop(neighbour: string): void {
    this.#dropped += this.release(neighbour).length;
  }

  #dropOldest(neighbour: string, queue: Buffer[]): void {
    queue.shift();
    this.#count -= 1;
    this.#dropped += 1;
    if (queue.length === 0) this.#frames.delete(neighbour);
  }
}
