/**
 * Terms order the rule of Active gateways: records of a lower term than the
 * receiver's are refused, so the gateway that the election leaves Active must
 * hold the highest term of all.
 */

/** enum virtual_router_state of bpf/layout.h. */
const ACTIVE = 2;

export interface RoleTerm {
  readonly state: number;
  readonly term: number;
}

/** The term of a gateway that takes over now: above every term that it knows of. */
export function takeoverTerm(ownTerm: number, heardTerm: number): number {
  return (Math.max(ownTerm, heardTerm) + 1) >>> 0;
}

/**
 * The term to hold after hearing the peer's. Whoever is not Active adopts a
 * higher one. An Active that hears a higher one, or its own from another Active,
 * survived a partition: it goes above, or the peer would refuse its records.
 */
export function reconciledTerm(own: RoleTerm, peer: RoleTerm): number {
  if (own.state !== ACTIVE) return Math.max(own.term, peer.term);
  const contested = peer.term > own.term || (peer.term === own.term && peer.state === ACTIVE);
  return contested ? (peer.term + 1) >>> 0 : own.term;
}
