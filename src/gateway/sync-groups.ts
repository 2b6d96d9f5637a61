/**
 * Virtual routers that are Active in one place, as a rule that both gateways
 * follow without asking each other.
 *
 * keepalived forces the others of a group into the state that one of them has
 * come to, by a loss as well as by a gain: one VRID whose adverts are lost
 * makes both nodes take and give up all of them in turns, and a peer without
 * the group leaves them dark. Here nothing is taken because a sibling has it.
 * A gateway gives an Active member away when a sibling follows a router that
 * outranks it, and what it gives away the other one takes by its election. Of
 * two gateways with a part each only one is outranked, so it ends.
 */
import type { StateName } from '../vrrp/state.js';

export interface Member {
  readonly vrid: number;
  /** Undefined: by itself. */
  readonly group: string | undefined;
  readonly state: StateName;
  /** What decides an election (RFC 9568 §6.4.3): the priority as advertised, then the address. */
  readonly rank: Rank;
  /** Of the Active that was heard within its last three intervals. */
  readonly follows: Rank | undefined;
}

export interface Rank {
  readonly priority: number;
  readonly address: number;
}

/** VRIDs of those that are Active here and should be where another of their group is. */
export function toYield(members: readonly Member[]): number[] {
  const followers = members.filter(({ group, state, follows }) => group !== undefined && state === 'Backup' && follows !== undefined);
  return members
    .filter(({ state, group, rank }) => state === 'Active' && followers.some((sibling) => sibling.group === group && outranks(sibling.follows!, rank)))
    .map(({ vrid }) => vrid);
}

function outranks(one: Rank, other: Rank): boolean {
  return one.priority > other.priority || (one.priority === other.priority && one.address > other.address);
}

/** These and all that share a group with one of them. */
export function withSiblings(vrids: readonly number[], routers: readonly { readonly vrid: number; readonly syncGroup?: string | undefined }[]): number[] {
  const groups = new Set(routers.filter(({ vrid, syncGroup }) => syncGroup !== undefined && vrids.includes(vrid)).map(({ syncGroup }) => syncGroup));
  return routers.filter(({ vrid, syncGroup }) => vrids.includes(vrid) || groups.has(syncGroup)).map(({ vrid }) => vrid);
}
