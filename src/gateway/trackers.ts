/** Watches what virtual routers track: each thing once, however many of them do. */
import { trackIdentity, trackName } from '../config/tracking.js';
import type { Track, TrackKind, TrackOf, VirtualRouterConfiguration } from '../config/schema.js';
import type { Logger } from '../log.js';
import type { Tracker } from './prober.js';
import { judge } from './tracking.js';
import type { Judgement, Tracked, TrackState } from './tracking.js';

/** How a thing of each kind is watched; `changed` is to be called when its state is another one. */
export type TrackerMakers = { readonly [Kind in TrackKind]: (track: TrackOf<Kind>, changed: () => void) => Tracker };

export interface TrackersPorts {
  readonly makers: TrackerMakers;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Judgements may be others now. */
  changed(): void;
}

/** For status and metrics. */
export interface TrackedThing {
  readonly name: string;
  readonly kind: TrackKind;
  readonly state: TrackState;
  readonly detail: string;
  readonly sinceMs: number;
  /** Who tracks it; without a weight its loss is a fault. */
  readonly virtualRouters: readonly { readonly vrid: number; readonly weight: number | undefined }[];
}

interface Watch {
  readonly track: Track;
  readonly tracker: Tracker;
  state: TrackState;
  sinceMs: number;
}

interface Wanted {
  readonly identity: string;
  readonly name: string;
  readonly weight: number | undefined;
}

export class Trackers {
  readonly #ports: TrackersPorts;
  readonly #watches = new Map<string, Watch>();
  /** What each virtual router tracks: named once, and judged at every tick. */
  #wants = new Map<number, readonly Wanted[]>();

  constructor(ports: TrackersPorts) {
    this.#ports = ports;
  }

  /** Watches what these track from now on; what is watched already goes on without a break. */
  follow(virtualRouters: readonly Pick<VirtualRouterConfiguration, 'vrid' | 'track'>[]): void {
    this.#wants = new Map(virtualRouters.map(({ vrid, track }) => [vrid, track.map((one) => ({ identity: trackIdentity(one), name: trackName(one), weight: one.weight }))]));
    const wanted = new Map(virtualRouters.flatMap(({ track }) => track.map((one): [string, Track] => [trackIdentity(one), one])));
    for (const [identity, { tracker }] of [...this.#watches]) {
      if (wanted.has(identity)) continue;
      tracker.close();
      this.#watches.delete(identity);
    }
    for (const [identity, track] of wanted) if (!this.#watches.has(identity)) this.#watch(identity, track);
  }

  judgementOf(vrid: number): Judgement {
    return judge(this.#trackedBy(vrid));
  }

  /** Names of what is down for a virtual router, and whose loss counts. */
  downFor(vrid: number): string[] {
    return this.#trackedBy(vrid).filter(({ state }) => state === 'down').map(({ name }) => name);
  }

  get things(): TrackedThing[] {
    return [...this.#watches].map(([identity, { track, tracker: { detail }, state, sinceMs }]) => ({
      name: trackName(track), kind: track.kind, state, detail, sinceMs,
      virtualRouters: [...this.#wants].flatMap(([vrid, wants]) => wants.filter((one) => one.identity === identity).map(({ weight }) => ({ vrid, weight }))),
    }));
  }

  close(): void {
    for (const { tracker } of this.#watches.values()) tracker.close();
    this.#watches.clear();
  }

  #trackedBy(vrid: number): Tracked[] {
    const wants = this.#wants.get(vrid) ?? [];
    return wants.map(({ identity, name, weight }) => ({ name, state: this.#watches.get(identity)?.state ?? 'unknown', weight }));
  }

  #watch(identity: string, track: Track): void {
    const tracker = this.#make(track, () => this.#observe(identity));
    this.#watches.set(identity, { track, tracker, state: tracker.state, sinceMs: Date.now() });
  }

  #make<Kind extends TrackKind>(track: TrackOf<Kind>, changed: () => void): Tracker {
    return (this.#ports.makers[track.kind as Kind] as (track: TrackOf<Kind>, changed: () => void) => Tracker)(track, changed);
  }

  #observe(identity: string): void {
    const watch = this.#watches.get(identity);
    if (watch === undefined || watch.tracker.state === watch.state) return;
    watch.state = watch.tracker.state;
    watch.sinceMs = Date.now();
    const name = trackName(watch.track);
    this.#ports.log[watch.state === 'down' ? 'warn' : 'info']({ reason: `tracked_${watch.state}`, tracked: name, detail: watch.tracker.detail }, `${name} is ${watch.state}`);
    this.#ports.changed();
  }
}
