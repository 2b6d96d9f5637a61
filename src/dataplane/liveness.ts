/** Where the liveness map keeps what: byte offsets into its memory. */
import { livenessOffsets } from './layout.generated.js';

const WORD_BYTES = 8;
const ROLE_WORDS = 4;

/** CLOCK_MONOTONIC of the last answer by that way, by enum sync_path. */
export function livenessAnswered(way: number): number {
  return livenessOffsets.answeredNs + way * WORD_BYTES;
}

/** Where the peer is Active: a bit for each VRID. */
export const livenessRoles: readonly number[] = Array.from({ length: ROLE_WORDS }, (_, word) => livenessOffsets.roles + word * WORD_BYTES);
/** 0: the peer does not tell. */
export const livenessRolesKnown = livenessOffsets.rolesKnown;
