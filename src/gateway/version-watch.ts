/** Whether the peer is silent because it speaks a version that the programs do not read: they can only count its frames. */

export interface VersionWatchPorts {
  /** Packets counted as drop_sync_version. */
  refused(): bigint;
  peerAlive(): boolean;
  warn(): void;
}

/** Heartbeats come every few milliseconds: after so long without one nobody speaks so any more. */
const OVER_NS = 3_000_000_000n;

export class VersionWatch {
  readonly #ports: VersionWatchPorts;
  #seen: bigint;
  #lastNs: bigint | undefined;

  constructor(ports: VersionWatchPorts) {
    this.#ports = ports;
    this.#seen = ports.refused();
  }

  /** Nothing else is heard of the peer. Not authenticated: whoever is alive is believed before. */
  get isRefused(): boolean {
    return this.#lastNs !== undefined;
  }

  tick(nowNs: bigint): void {
    const refused = this.#ports.refused();
    const isNew = refused !== this.#seen;
    this.#seen = refused;
    if (this.#ports.peerAlive() || (!isNew && this.#lastNs !== undefined && nowNs - this.#lastNs > OVER_NS)) {
      this.#lastNs = undefined;
      return;
    }
    if (!isNew) return;
    if (this.#lastNs === undefined) this.#ports.warn();
    this.#lastNs = nowNs;
  }
}
