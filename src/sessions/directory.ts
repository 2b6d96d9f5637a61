/** What is known of a session beside the tables: names, addresses, roles, clocks. */
import type { Ipv4Address } from '../config/address.js';

export interface Place {
  readonly router: string;
  readonly network: string;
  /** VRID of the virtual router that carries it. */
  readonly vrid: number;
}

/** As it is now: made anew for every answer. */
export interface Directory {
  /** Of a network by its VNI, encapsulation included; undefined: the configuration does not have it. */
  place(vni: number): Place | undefined;
  /** Whether a virtual router is Active here. */
  isActive(vrid: number): boolean;
  /** By index into snat_addresses. */
  externalAddress(index: number): Ipv4Address | undefined;
  readonly routers: readonly string[];
  readonly networks: readonly string[];
  /** The present tick. */
  readonly tick: number;
  /** Which sessions the peer holds as well: all since it has confirmed that, those whose records it has acknowledged, or none without a peer. */
  readonly peerHolds: 'everything' | 'acknowledged' | 'nothing';
}

/** One tick is 2^30 ns. */
export const TICK_SECONDS = 2 ** 30 / 1e9;

/** To a tenth; ticks wrap as the programs' do. */
export function secondsSince(tick: number, now: number): number {
  // Another CPU may be a tick ahead.
  return Math.round(Math.max(0, (now - tick) | 0) * TICK_SECONDS * 10) / 10;
}
