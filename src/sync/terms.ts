/**
 * Terms order the rule of Active gateways: records of a lower term than the
 * receiver's are refused. The election gives a new one to each takeover; here
 * is only what a gateway that is not Active does with one that it hears.
 */

/** enum virtual_router_state of bpf/layout.h. */
export const ACTIVE = 2;

export interface RoleTerm {
  readonly state: number;
  readonly term: number;
}

/**
 * The term to hold after hearing the peer's. Whoever is not Active adopts a
 * higher one: its stragglers' records would be refused otherwise. An Active
 * keeps its own until the election has decided.
 */
export function adoptedTerm(own: RoleTerm, peerTerm: number): number {
  return own.state === ACTIVE ? own.term : Math.max(own.term, peerTerm);
}
