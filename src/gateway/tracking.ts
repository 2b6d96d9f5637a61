/**
 * What the things that a virtual router depends on make of its election. Rules
 * alone, from values to values; who watches those things is in trackers.ts.
 */

/** `unknown`: not observed for long enough to say. */
export type TrackState = 'up' | 'down' | 'unknown';

/** One thing, as one virtual router tracks it. */
export interface Tracked {
  /** What status, logs and metrics call it: its kind and its target, such as `link ens5`. */
  readonly name: string;
  readonly state: TrackState;
  /** How many points its loss takes from the priority; undefined: its loss is a fault. */
  readonly weight: number | undefined;
}

export interface Judgement {
  /** Something is down that nobody can be Active without. */
  readonly faulty: boolean;
  /** Of something that nobody can be Active without it is not known yet whether it is there. */
  readonly undecided: boolean;
  /** Points to take from the priority. */
  readonly penalty: number;
}

/** More than any priority can lose: 255 is the owner's and stays, 1 is the least. */
const MAX_PENALTY = 253;

/** What is unknown takes nothing away: an Active that has just been restarted would lose its role to a question. */
export function judge(tracked: readonly Tracked[]): Judgement {
  const vital = tracked.filter(({ weight }) => weight === undefined);
  const down = tracked.filter(({ state }) => state === 'down');
  return {
    faulty: vital.some(({ state }) => state === 'down'),
    undecided: vital.some(({ state }) => state === 'unknown'),
    penalty: Math.min(MAX_PENALTY, down.reduce((total, { weight = 0 }) => total + weight, 0)),
  };
}

/** As well for something that is not a thing of the configuration's. */
export function withPenalty(judgement: Judgement, points: number): Judgement {
  return { ...judgement, penalty: Math.min(MAX_PENALTY, judgement.penalty + points) };
}

/** How many results in a row it takes to change one's mind. */
export interface Hysteresis {
  readonly rise: number;
  readonly fall: number;
}

/** What is believed of something that is probed. */
export interface Health {
  readonly state: TrackState;
  /** Results in a row that contradict `state`. */
  readonly contradictions: number;
}

export const unknownHealth: Health = { state: 'unknown', contradictions: 0 };

/** The first success is believed: only a loss, and the return after it, must prove themselves. */
export function afterProbe({ state, contradictions }: Health, succeeded: boolean, { rise, fall }: Hysteresis): Health {
  const says = succeeded ? 'up' : 'down';
  if (says === state) return { state, contradictions: 0 };
  const needed = state === 'unknown' && succeeded ? 1 : succeeded ? rise : fall;
  return contradictions + 1 < needed ? { state, contradictions: contradictions + 1 } : { state: says, contradictions: 0 };
}
