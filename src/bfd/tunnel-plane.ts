/**
 * What the BFD sessions of a virtual router say about this gateway's tunnel plane,
 * as a function of time: whether the other gateway should have the role instead.
 *
 * Only an Active has sessions, so only an Active can judge, and by what has been seen
 * to work alone: sessions that have been Up since it became Active, and that the
 * remote has not taken down on purpose. Where enough of them are Down, the plane is
 * broken, and the gateway's priority is lowered. These rules keep the role from
 * wandering, and from staying where nothing works:
 *
 * - Who has just taken over has seen no session Up. If the computes themselves have
 *   died it finds nothing broken, and stays.
 * - But if its predecessor said that it had some Up, one of them has to come within
 *   `patienceUs`.
 * - A Backup cannot see whether it is whole again. It stays lowered for `holdDownUs`
 *   after it has lost the role over this, and twice as long each time that it happens
 *   again soon after.
 * - Where both are lowered, who has the role keeps it.
 */

export interface TunnelPlaneConfig {
  /** Which part of the sessions must be Down: 0 exclusive to 1. */
  readonly share: number;
  readonly holdDownUs: number;
  readonly patienceUs: number;
}

/** A session at one moment. */
export interface SessionView {
  readonly state: 'AdminDown' | 'Down' | 'Init' | 'Up';
  /** At any time since we became Active. */
  readonly wasUp: boolean;
  /** The remote says AdminDown: that is no fault. */
  readonly remoteAdminDown: boolean;
}

/** Our time as Active. */
export interface Tenure {
  readonly sinceUs: number;
  /** How many sessions the gateway that was Active before us had Up when it last spoke. */
  readonly inherited: number;
  readonly sessions: readonly SessionView[];
}

export interface TunnelPlane {
  /** `whole`: as far as is known. `broken`: Active, and it does not work. `held`: lowered for what was, until `untilUs`. */
  readonly phase: 'whole' | 'broken' | 'held';
  /** The end of the last hold-down. */
  readonly untilUs: number;
  /** How often in a row the role was lost over it. */
  readonly strikes: number;
}

/** The hold-down doubles so often at most: 64 times the first. */
const MOST_DOUBLINGS = 6;
/** Of first hold-downs: after as many without a strike, the next one is the first again. */
const FORGET_AFTER_HOLD_DOWNS = 10;

export const wholeTunnelPlane: TunnelPlane = { phase: 'whole', untilUs: 0, strikes: 0 };

/** Whether the priority is to be lowered. */
export function isLowered({ phase }: TunnelPlane): boolean {
  return phase !== 'whole';
}

/** `tenure`: undefined while this gateway is not Active. `nowUs`: of a clock that never goes back. */
export function judge(plane: TunnelPlane, config: TunnelPlaneConfig, tenure: Tenure | undefined, nowUs: number): TunnelPlane {
  if (tenure === undefined) return asBackup(plane, config, nowUs);
  const seen = tenure.sessions.filter(({ wasUp, remoteAdminDown }) => wasUp && !remoteAdminDown);
  if (seen.length === 0) return unseen(plane, config, tenure, nowUs);
  const down = seen.filter(({ state }) => state !== 'Up').length;
  // What works shows that nothing is to be held against us any more.
  return { ...plane, phase: down >= seen.length * config.share ? 'broken' : 'whole' };
}

function unseen(plane: TunnelPlane, config: TunnelPlaneConfig, { sinceUs, inherited, sessions }: Tenure, nowUs: number): TunnelPlane {
  const isMissing = inherited > 0 && !sessions.some(({ remoteAdminDown }) => remoteAdminDown) && nowUs - sinceUs >= config.patienceUs;
  if (isMissing) return { ...plane, phase: 'broken' };
  return plane.phase === 'broken' ? { ...plane, phase: 'whole' } : released(plane, nowUs);
}

function asBackup(plane: TunnelPlane, config: TunnelPlaneConfig, nowUs: number): TunnelPlane {
  if (plane.phase !== 'broken') return released(plane, nowUs);
  const isFirst = plane.strikes === 0 || nowUs - plane.untilUs > config.holdDownUs * FORGET_AFTER_HOLD_DOWNS;
  const strikes = isFirst ? 1 : plane.strikes + 1;
  return { phase: 'held', untilUs: nowUs + config.holdDownUs * 2 ** Math.min(strikes - 1, MOST_DOUBLINGS), strikes };
}

function released(plane: TunnelPlane, nowUs: number): TunnelPlane {
  return plane.phase === 'held' && nowUs >= plane.untilUs ? { ...plane, phase: 'whole' } : plane;
}
