/**
 * Whose BFD the programs take note of: tunnel endpoints that VMs are behind, and
 * those that the configuration names. Bounded, whoever claims to be whom: somebody
 * who is named alone has a short time to come Up, together with few others.
 */
import { BFD_SESSIONS } from '../dataplane/bfd-table.js';
import type { BfdEndpoint, BfdTable } from '../dataplane/bfd-table.js';
import type { TunnelEndpoint } from '../dataplane/computes.js';
import { discriminatorOf } from './discriminators.js';

/** What a session has come to. */
export interface Standing {
  readonly isUp: boolean;
  readonly wasUp: boolean;
  /** CLOCK_MONOTONIC of its last packet. */
  readonly lastNs: bigint;
}

export interface BfdAdmissionPorts {
  readonly table: Pick<BfdTable, 'set' | 'delete'>;
  /** That VMs are behind. */
  endpoints(): readonly TunnelEndpoint[];
  /** Whom BFD is spoken with. */
  vrids(): readonly number[];
  /** Whether the configuration names it (bfd.peers). */
  isNamed(endpoint: BfdEndpoint): boolean;
  /** Of its session, if it has one. */
  standingOf(endpoint: BfdEndpoint): Standing | undefined;
  /** Its session, if it has one, ends. */
  expelled(endpoint: BfdEndpoint): void;
  /** Of the pair. */
  seed(): readonly bigint[];
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
}

/** Who is known is looked up so often, and who has left is forgotten; for a stranger sooner. */
const REVIEW_NS = 10_000_000_000n;
const REVIEW_STRANGER_NS = 1_000_000_000n;
/** Of those that are named alone and have not come Up: so many, for so long. */
const MOST_STRANGERS = 64;
const STRANGER_NS = 10_000_000_000n;
/** One that was Up and is silent for so long is gone. */
const SILENT_NS = 600_000_000_000n;

interface Admitted {
  readonly endpoint: BfdEndpoint;
  readonly localDiscriminator: number;
  readonly sinceNs: bigint;
  /** VMs are behind it. */
  known: boolean;
}

export class BfdAdmission {
  readonly #ports: BfdAdmissionPorts;
  readonly #admitted = new Map<string, Admitted>();
  readonly #discriminators = new Set<number>();
  #reviewedNs: bigint | undefined;
  #refused = 0;

  constructor(ports: BfdAdmissionPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#admitted.size;
  }

  /** Who is admitted, also while that changes. */
  *endpoints(): Generator<BfdEndpoint, undefined> {
    for (const { endpoint } of this.#admitted.values()) yield endpoint;
    return undefined;
  }

  /** Strangers that were turned away. */
  get refused(): number {
    return this.#refused;
  }

  /** Our discriminator towards one that is admitted; undefined for a stranger. */
  discriminatorOf(endpoint: BfdEndpoint): number | undefined {
    return this.#admitted.get(endpointName(endpoint))?.localDiscriminator;
  }

  /** @returns our discriminator towards it, if it may speak with us after all */
  stranger(endpoint: BfdEndpoint): number | undefined {
    this.#review(REVIEW_STRANGER_NS);
    const known = this.discriminatorOf(endpoint);
    if (known !== undefined) return known;
    const admitted = this.#ports.isNamed(endpoint) && this.#strangers < MOST_STRANGERS ? this.#admit(endpoint, false) : undefined;
    if (admitted === undefined) this.#refused += 1;
    return admitted?.localDiscriminator;
  }

  /** To be called often. */
  tick(): void {
    this.#review(REVIEW_NS);
  }

  /** The configuration may be another one. */
  follow(): void {
    const vrids = new Set(this.#ports.vrids());
    for (const [name, { endpoint }] of [...this.#admitted]) if (!vrids.has(endpoint.vrid)) this.#expel(name);
    this.#reviewedNs = undefined;
  }

  get #strangers(): number {
    return [...this.#admitted.values()].filter(({ known, endpoint }) => !known && this.#ports.standingOf(endpoint)?.isUp !== true).length;
  }

  #admit({ vrid, address, encapsulation }: BfdEndpoint, known: boolean): Admitted | undefined {
    const endpoint = { vrid, address, encapsulation };
    const localDiscriminator = discriminatorOf(this.#ports.seed(), endpoint);
    // RFC 5880 §6.3 wants each once, and both gateways need the same: of two that collide the second has to do without.
    if (this.#admitted.size >= BFD_SESSIONS || this.#discriminators.has(localDiscriminator)) return undefined;
    this.#ports.table.set(endpoint, localDiscriminator);
    this.#discriminators.add(localDiscriminator);
    const admitted = { endpoint, localDiscriminator, known, sinceNs: this.#ports.nowNs() };
    this.#admitted.set(endpointName(endpoint), admitted);
    return admitted;
  }

  #expel(name: string): void {
    const admitted = this.#admitted.get(name);
    if (admitted === undefined) return;
    this.#ports.table.delete(admitted.endpoint);
    this.#discriminators.delete(admitted.localDiscriminator);
    this.#admitted.delete(name);
    this.#ports.expelled(admitted.endpoint);
  }

  /** Unless that was done less than `everyNs` ago. */
  #review(everyNs: bigint): void {
    const nowNs = this.#ports.nowNs();
    const vrids = this.#ports.vrids();
    if (vrids.length === 0 || (this.#reviewedNs !== undefined && nowNs - this.#reviewedNs < everyNs)) return;
    this.#reviewedNs = nowNs;
    const known = new Map<string, BfdEndpoint>();
    for (const { address, encapsulation } of this.#ports.endpoints()) {
      for (const vrid of vrids) known.set(endpointName({ vrid, address, encapsulation }), { vrid, address, encapsulation });
    }
    for (const [name, admitted] of [...this.#admitted]) {
      admitted.known = known.has(name);
      if (this.#isGone(admitted, nowNs)) this.#expel(name);
    }
    for (const [name, endpoint] of known) if (!this.#admitted.has(name)) this.#admit(endpoint, true);
  }

  #isGone({ endpoint, known, sinceNs }: Admitted, nowNs: bigint): boolean {
    const standing = this.#ports.standingOf(endpoint);
    if (standing?.isUp === true) return false;
    if (standing?.wasUp === true) return nowNs - standing.lastNs > SILENT_NS;
    return !known && nowNs - sinceNs > STRANGER_NS;
  }
}

export function endpointName({ vrid, address, encapsulation }: BfdEndpoint): string {
  return `${vrid}/${encapsulation}/${address}`;
}
