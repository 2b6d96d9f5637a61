/**
 * Who has how much of what all share. Nobody gets more than a part, so that what
 * one tenant's scan leaves behind keeps no other tenant's packets from waiting.
 */

/** A tenant, as far as it is known: an index into routers. Nobody's has a part like any other. */
export type Holder = number | undefined;

/** So many must come together to take all. */
export const HOLDERS_OF_ALL = 4;

export class Shares {
  readonly #total: number;
  readonly #part: number;
  readonly #taken = new Map<Holder, number>();
  #sum = 0;

  constructor(total: number) {
    this.#total = total;
    this.#part = total / HOLDERS_OF_ALL;
  }

  /** @returns false when there is no room for this one */
  take(holder: Holder): boolean {
    const taken = this.of(holder);
    if (this.#sum >= this.#total || taken >= this.#part) return false;
    this.#taken.set(holder, taken + 1);
    this.#sum += 1;
    return true;
  }

  give(holder: Holder): void {
    const left = this.of(holder) - 1;
    if (left > 0) this.#taken.set(holder, left);
    else this.#taken.delete(holder);
    this.#sum -= 1;
  }

  of(holder: Holder): number {
    return this.#taken.get(holder) ?? 0;
  }
}
