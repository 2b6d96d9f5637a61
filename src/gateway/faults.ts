/** What keeps this node from being Active, other than a better one. */
import type { Role } from '../dataplane/interfaces.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import type { NextHops } from './next-hops.js';

/** How long an external gateway that does not answer, or what is not known yet, keeps us from becoming Active after a start or a link's return. */
const NEXT_HOP_PATIENCE_NS = 3_000_000_000n;

export class Faults {
  readonly #basis: Basis;
  readonly #nextHops: Pick<NextHops, 'allGatewaysResolved'>;
  readonly #down = new Set<Role>();
  #patientUntilNs = monotonicNs() + NEXT_HOP_PATIENCE_NS;

  constructor(basis: Basis, nextHops: Pick<NextHops, 'allGatewaysResolved'>) {
    this.#basis = basis;
    this.#nextHops = nextHops;
  }

  /** @returns whether that is news */
  linkObserved(ifindex: number, works: boolean): boolean {
    const role = this.#basis.inForce.nodes.find((node) => node.ifindex === ifindex)?.role;
    if (role === undefined || works !== this.#down.has(role)) return false;
    if (works) this.#down.delete(role);
    else this.#down.add(role);
    if (works) this.#patientUntilNs = monotonicNs() + NEXT_HOP_PATIENCE_NS;
    this.#basis.log[works ? 'info' : 'error']({ role, reason: works ? 'link_up' : 'link_down' }, `the ${role} interface is ${works ? 'up again' : 'down'}`);
    return true;
  }

  /** Names of what is down. */
  get causes(): string[] {
    return [...this.#down].filter((role) => role !== 'ha').map((role) => `link ${this.#basis.node(role).name}`);
  }

  /** Without underlay or external side nobody can be Active. */
  get links(): boolean {
    return this.#down.has('underlay') || this.#down.has('external');
  }

  /** Nor should a gateway become Active that would drop what it attracts, for the moment that a next hop takes, or the first probe of what it tracks. */
  hesitates({ undecided }: { readonly undecided: boolean }): boolean {
    return monotonicNs() < this.#patientUntilNs && (undecided || !this.#nextHops.allGatewaysResolved);
  }
}
