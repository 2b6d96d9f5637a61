/** Which of the kernel's links work, by name. */
import type { Tracker } from './prober.js';
import type { TrackState } from './tracking.js';

export interface ObservedLink {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly running: boolean;
}

export class LinkStates {
  readonly #links = new Map<number, ObservedLink>();
  readonly #watchers = new Set<() => void>();
  #read = false;

  /** One has changed, or is gone. */
  observe(link: ObservedLink, gone: boolean): void {
    if (gone) this.#links.delete(link.index);
    else this.#links.set(link.index, link);
    this.#tell();
  }

  /** All that there are. */
  replace(links: readonly ObservedLink[]): void {
    this.#read = true;
    this.#links.clear();
    for (const link of links) this.#links.set(link.index, link);
    this.#tell();
  }

  track(name: string, changed: () => void): Tracker {
    const states = this;
    this.#watchers.add(changed);
    return {
      get state(): TrackState {
        return states.#stateOf(name);
      },
      get detail(): string {
        return states.#detailOf(name);
      },
      close: () => void this.#watchers.delete(changed),
    };
  }

  #stateOf(name: string): TrackState {
    if (!this.#read) return 'unknown';
    const link = this.#find(name);
    return link !== undefined && link.up && link.running ? 'up' : 'down';
  }

  #detailOf(name: string): string {
    const link = this.#find(name);
    if (link === undefined) return 'there is no such interface';
    if (!link.up) return 'it is set down';
    return link.running ? 'it has carrier' : 'it has no carrier';
  }

  #find(name: string): ObservedLink | undefined {
    return [...this.#links.values()].find((link) => link.name === name);
  }

  #tell(): void {
    for (const changed of [...this.#watchers]) changed();
  }
}
