/** What an election is in, in the words of notifications and of status. */
import type { ElectionStatus } from '../vrrp/election.js';
import type { TransitionReason } from '../vrrp/state.js';

export type PublicState = 'active' | 'backup' | 'handing-over' | 'fault' | 'drained' | 'stopped';

type Known = Pick<ElectionStatus, 'state' | 'faulty' | 'drained' | 'history'>;

/** A gateway out of the election says why: of two holds the one that nobody has wished for. */
export function publicState({ state, faulty, drained }: Known): PublicState {
  switch (state) {
    case 'Active': return 'active';
    case 'Backup': return 'backup';
    case 'HandingOver': return 'handing-over';
    case 'Initialize': return faulty ? 'fault' : drained ? 'drained' : 'stopped';
  }
}

/** Why it is in this state: a hold that was there before the election began has made no transition. */
export function reasonOf(status: Known): TransitionReason {
  const state = publicState(status);
  if (state === 'fault') return 'fault';
  if (state === 'drained') return 'drain';
  return status.history[0]?.reason ?? 'startup';
}
