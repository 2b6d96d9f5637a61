/**
 * The election's roles into the programs' words. What an earlier daemon left
 * Active is not taken away by the mere start of another one: only an Active
 * elsewhere, or the election's own decision, changes it.
 */
import type { Roles } from './roles.js';
import { virtualRouterState } from './layout.generated.js';

export type RoleName = 'initialize' | 'backup' | 'active' | 'draining';

export class RoleWriter {
  readonly #roles: Pick<Roles, 'read' | 'setRole' | 'setActiveSince' | 'raiseTerm'>;
  readonly #nowNs: () => bigint;
  /** VRIDs that an earlier daemon left Active and that the election has not decided about yet. */
  readonly #inherited = new Set<number>();

  constructor(roles: Pick<Roles, 'read' | 'setRole' | 'setActiveSince' | 'raiseTerm'>, nowNs: () => bigint) {
    this.#roles = roles;
    this.#nowNs = nowNs;
  }

  /**
   * What the election starts from. `resume`: the pinned data plane is Active and
   * nobody else can be: its lease runs, or there is no peer. Otherwise an Active
   * data plane is left alone until `release`.
   */
  inherit(vrid: number, hasPeer: boolean): { readonly term: number; readonly resume: boolean } {
    const { state, term, leaseUntilNs } = this.#roles.read(vrid);
    const active = state === virtualRouterState.active;
    const resume = active && (!hasPeer || this.#nowNs() < leaseUntilNs);
    if (active && !resume) this.#inherited.add(vrid);
    return { term, resume };
  }

  /** Whether the programs still have the role that an earlier daemon left. */
  isInherited(vrid: number): boolean {
    return this.#inherited.has(vrid);
  }

  /** Somebody else is Active: what was inherited ends. */
  release(vrid: number): void {
    if (this.#inherited.delete(vrid)) this.#write(vrid, virtualRouterState.backup, 0);
  }

  /** `term`: of an Active; others keep the highest that they know. */
  setRole(vrid: number, role: RoleName, term = 0): void {
    if (role === 'backup' && this.#inherited.has(vrid)) return;
    this.#inherited.delete(vrid);
    this.#write(vrid, virtualRouterState[role], term);
  }

  #write(vrid: number, state: number, term: number): void {
    const now = this.#roles.read(vrid);
    const becomesActive = state === virtualRouterState.active && now.state !== virtualRouterState.active;
    if (becomesActive) this.#roles.setActiveSince(vrid, this.#nowNs());
    // The programs adopt terms from records: one that they have seen is not ours to use again.
    const outbid = becomesActive && now.term >= term ? now.term + 1 : Math.max(now.term, term);
    this.#roles.setRole(vrid, { state, term: outbid });
  }
}
