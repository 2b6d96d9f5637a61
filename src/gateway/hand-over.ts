/** A planned hand-over of everything to the peer: only to one that can go on without a loss. */
import { ApiConflict } from '../api/server.js';
import { formatIpv4 } from '../config/address.js';
import type { Configuration } from '../config/schema.js';
import { virtualRouterState } from '../dataplane/layout.generated.js';
import type { Elections, RunningElection } from './elections.js';
import type { Synchronisation } from './synchronisation.js';

const POLL_MS = 10;
/** A gateway that ends waits so long for its peer to be filled; service managers give a minute and a half. */
const FILLING_LIMIT_MS = 10_000;

export interface DrainRequest {
  /** Undefined: all. */
  readonly vrids: readonly number[] | undefined;
  /** Whatever is lost by it, and though nobody may follow. */
  readonly force: boolean;
}

export interface HandOverParts {
  readonly configuration: Configuration;
  readonly elections: Elections;
  readonly synchronisation: Synchronisation;
  /** The gateway is ending, and nobody will follow. */
  stopping(): boolean;
}

/**
 * Resolves when nothing is forwarded here any more, with the VRIDs of which that is so.
 * @throws ApiConflict when there is nobody who could go on without a loss, or when it is called off
 */
export async function handOver(parts: HandOverParts, { vrids, force }: DrainRequest): Promise<readonly number[]> {
  const { elections } = parts;
  const chosen = elections.chosen(vrids);
  const obstacle = force ? undefined : obstacleOf(parts, chosen);
  if (obstacle !== undefined) throw new ApiConflict(`not drained: ${obstacle}`);
  for (const { election } of chosen) election.drain({ forced: force });
  await complete(chosen, parts);
  const drained = chosen.map(({ configuration: { vrid } }) => vrid);
  elections.rememberDrained(vrids === undefined ? 'all' : drained);
  return drained;
}

async function complete(chosen: readonly RunningElection[], { elections, stopping }: HandOverParts): Promise<void> {
  while (chosen.some(({ election }) => election.status().state !== 'Initialize')) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (stopping()) throw new ApiConflict('the hand-over was called off before it was complete');
    const back = chosen.filter(({ election }) => !election.status().drained);
    if (back.length === 0) continue;
    // One that nobody has followed takes itself back; one that was undrained has been asked to.
    const alone = back.some(({ election }) => election.status().history[0]?.reason === 'no-successor');
    elections.undrain(chosen.map(({ configuration: { vrid } }) => vrid));
    throw new ApiConflict(alone ? 'not drained: the peer has not taken over, so this gateway goes on' : 'the hand-over was called off before it was complete');
  }
}

/** Why what is Active here cannot be handed over now. A gateway that is Backup everywhere needs nobody. */
function obstacleOf({ configuration, synchronisation }: HandOverParts, chosen: readonly RunningElection[]): string | undefined {
  const active = chosen.filter(({ election }) => election.status().state === 'Active').map(({ configuration: { vrid } }) => vrid);
  if (active.length === 0) return undefined;
  if (configuration.peer === undefined) return 'this gateway is Active and has no peer to hand over to';
  const { peer, peerListens } = synchronisation;
  if (peer === undefined) return undefined;
  const address = formatIpv4(configuration.peer.address);
  if (!peerListens) return `this gateway is Active and its peer ${address} is silent`;
  if (!peer.holdsOurs) return `the peer ${address} does not hold all of our sessions yet`;
  const waits = (wanted: number): boolean => peer.virtualRouters.some(({ vrid, state }) => vrid === wanted && state === virtualRouterState.backup);
  const orphan = active.find((vrid) => !waits(vrid));
  return orphan === undefined ? undefined : `the peer ${address} is not Backup of virtual router ${orphan}`;
}

/**
 * What the peer lacks at a hand-over is lost: while it is being filled, the end of this gateway waits.
 * Resolves to false when the peer has fallen silent or the limit is over.
 */
export async function peerIsFilled(synchronisation: Pick<Synchronisation, 'peer' | 'peerListens'>, limitMs = FILLING_LIMIT_MS): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (synchronisation.peer !== undefined && !synchronisation.peer.holdsOurs) {
    if (!synchronisation.peerListens || performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}
