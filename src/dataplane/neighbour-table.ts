/**
 * Which next hops the programs need, what the kernel knows of them, and when to
 * ask again: (observation | want | time) → effects. The kernel resolves; this
 * keeps its answers fresh, because forwarded packets do not pass it and so
 * never confirm them.
 */

import { Shares } from './shares.js';
import type { Holder } from './shares.js';

/** Why an address must be resolved. */
export type NeighbourPurpose =
  /** Gateway of an external network: always kept resolved; unresolved is all zero. */
  | 'gateway'
  /** A next hop that the configuration names: always kept resolved. */
  | 'nextHop'
  /** The other gateway on the ha link: the last known MAC stands, silence is judged by heartbeats. */
  | 'peer'
  /** A packet asked for it. Forgotten when it does not answer. */
  | 'onDemand';

export interface NeighbourId {
  /** enum interface_role. */
  readonly role: number;
  /** 0: untagged; always on underlay, whatever its tag. */
  readonly vlan: number;
  /** Unsigned 32-bit, host order. */
  readonly address: number;
}

/** The kernel's entry, or its end. */
export interface NeighbourObservation extends NeighbourId {
  /** As RouteNetlink says it: REACHABLE, STALE, DELAY, PROBE, INCOMPLETE, FAILED, PERMANENT, NOARP, NONE. */
  readonly state: string;
  readonly mac: Buffer | undefined;
}

export type NeighbourEffect =
  | ({ readonly type: 'Probe' } & NeighbourId)
  | ({ readonly type: 'Resolved'; readonly purpose: NeighbourPurpose; readonly mac: Buffer } & NeighbourId)
  | ({ readonly type: 'Unresolved'; readonly purpose: NeighbourPurpose } & NeighbourId);

interface Entry extends NeighbourId {
  readonly purpose: NeighbourPurpose;
  /** Of a share of what waits; undefined: of none. */
  share: { readonly holder: Holder } | undefined;
  mac: Buffer | undefined;
  /** Confirmed by the kernel recently enough that it need not be asked. */
  fresh: boolean;
  probes: number;
  nextProbeNs: bigint;
}

/** More on-demand neighbours than this are not tracked: their packets stay counted as unresolved. */
export const MAX_ON_DEMAND = 8192;
/** So many of them have not answered yet, and not more than its share for one tenant: the kernel's own table holds 1024 (gc_thresh3). */
export const MAX_UNANSWERED = 1024;
/** The kernel itself asks three times, one second apart, for each probe that it is told to make. */
const FIRST_RETRY_NS = 200_000_000n;
const RETRY_NS = 1_000_000_000n;
/** A stale entry is still good; asking moves it through DELAY and PROBE. */
const STALE_RETRY_NS = 2_000_000_000n;
const ON_DEMAND_PROBES = 4;

const FRESH = new Set(['REACHABLE', 'PERMANENT', 'NOARP', 'DELAY', 'PROBE']);
const USABLE = new Set([...FRESH, 'STALE']);

export function neighbourName(id: NeighbourId): string {
  return `${id.role}/${id.vlan}/${id.address}`;
}

export class NeighbourTable {
  readonly #entries = new Map<string, Entry>();
  readonly #unanswered = new Shares(MAX_UNANSWERED);
  #onDemand = 0;

  /**
   * From now on the address is kept resolved. A second purpose wins over on demand. The first question follows by `ask` or `tick`.
   * @param holder whose packet asks for it, on demand
   */
  want(id: NeighbourId, purpose: NeighbourPurpose, nowNs: bigint, holder?: Holder): NeighbourEffect[] {
    const name = neighbourName(id);
    const known = this.#entries.get(name);
    if (known !== undefined && (known.purpose !== 'onDemand' || purpose === 'onDemand')) return [];
    const isOnDemand = purpose === 'onDemand';
    if (isOnDemand && (this.#onDemand >= MAX_ON_DEMAND || !this.#unanswered.take(holder))) return [];
    if (known !== undefined) this.#remove(name, known);
    if (isOnDemand) this.#onDemand += 1;
    const { role, vlan, address } = id;
    const mac = known?.mac;
    this.#entries.set(name, { role, vlan, address, purpose, share: isOnDemand ? { holder } : undefined, mac, fresh: known?.fresh ?? false, probes: 0, nextProbeNs: nowNs });
    return mac === undefined ? [] : [{ type: 'Resolved', role, vlan, address, purpose, mac }];
  }

  unwant(id: NeighbourId): NeighbourEffect[] {
    const name = neighbourName(id);
    const entry = this.#entries.get(name);
    if (entry === undefined) return [];
    this.#remove(name, entry);
    return entry.mac === undefined ? [] : [unresolved(entry)];
  }

  observe(seen: NeighbourObservation): NeighbourEffect[] {
    const entry = this.#entries.get(neighbourName(seen));
    if (entry === undefined) return [];
    if (USABLE.has(seen.state) && seen.mac !== undefined) return this.#confirm(entry, seen.mac, FRESH.has(seen.state));
    entry.fresh = false;
    // INCOMPLETE is a question under way, not an answer.
    return seen.state === 'INCOMPLETE' ? [] : this.#fail(entry);
  }

  /** Questions that are due. Call every 100 ms or so. */
  tick(nowNs: bigint): NeighbourEffect[] {
    return [...this.#entries.values()].flatMap((entry) => this.#ask(entry, nowNs));
  }

  /** The same for one of them, at once: a scan of a subnet wants thousands within one tick. */
  ask(id: NeighbourId, nowNs: bigint): NeighbourEffect[] {
    const entry = this.#entries.get(neighbourName(id));
    return entry === undefined ? [] : this.#ask(entry, nowNs);
  }

  /** Counts, for metrics. */
  get size(): { readonly resolved: number; readonly unresolved: number } {
    let resolved = 0;
    for (const entry of this.#entries.values()) if (entry.mac !== undefined) resolved += 1;
    return { resolved, unresolved: this.#entries.size - resolved };
  }

  wants(id: NeighbourId): boolean {
    return this.#entries.has(neighbourName(id));
  }

  macOf(id: NeighbourId): Buffer | undefined {
    return this.#entries.get(neighbourName(id))?.mac;
  }

  #ask(entry: Entry, nowNs: bigint): NeighbourEffect[] {
    if (entry.fresh || nowNs < entry.nextProbeNs) return [];
    const { role, vlan, address } = entry;
    if (entry.mac === undefined && entry.purpose === 'onDemand' && entry.probes >= ON_DEMAND_PROBES) {
      this.#remove(neighbourName(entry), entry);
      return [unresolved(entry)];
    }
    entry.probes += 1;
    entry.nextProbeNs = nowNs + retryNs(entry);
    return [{ type: 'Probe', role, vlan, address }];
  }

  #confirm(entry: Entry, mac: Buffer, fresh: boolean): NeighbourEffect[] {
    entry.fresh = fresh;
    if (fresh) entry.probes = 0;
    if (entry.mac?.equals(mac) === true) return [];
    entry.mac = Buffer.from(mac);
    this.#giveShare(entry);
    const { role, vlan, address, purpose } = entry;
    return [{ type: 'Resolved', role, vlan, address, purpose, mac: entry.mac }];
  }

  #fail(entry: Entry): NeighbourEffect[] {
    if (entry.mac === undefined || entry.purpose === 'peer') return [];
    entry.mac = undefined;
    if (entry.purpose === 'onDemand') this.#remove(neighbourName(entry), entry);
    return [unresolved(entry)];
  }

  #remove(name: string, entry: Entry): void {
    this.#entries.delete(name);
    if (entry.purpose === 'onDemand') this.#onDemand -= 1;
    this.#giveShare(entry);
  }

  #giveShare(entry: Entry): void {
    if (entry.share !== undefined) this.#unanswered.give(entry.share.holder);
    entry.share = undefined;
  }
}

function retryNs(entry: Entry): bigint {
  if (entry.mac !== undefined) return STALE_RETRY_NS;
  return entry.probes <= 3 ? FIRST_RETRY_NS : RETRY_NS;
}

function unresolved(entry: Entry): NeighbourEffect {
  const { role, vlan, address, purpose } = entry;
  return { type: 'Unresolved', role, vlan, address, purpose };
}
