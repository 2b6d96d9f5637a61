import { describe, expect, it } from 'vitest';
import { peerIsFilled } from '../../../src/gateway/hand-over.js';

type Synchronisation = Parameters<typeof peerIsFilled>[0];

/** Each look at the peer sees the next of these; the last one stays. */
function peerThat(...looks: readonly { holdsOurs: boolean; listens?: boolean }[]): Synchronisation {
  let turn = 0;
  const now = () => looks[Math.min(turn, looks.length - 1)] ?? { holdsOurs: true };
  return {
    get peer() {
      return { holdsOurs: now().holdsOurs } as NonNullable<Synchronisation['peer']>;
    },
    get peerListens() {
      const { listens = true } = now();
      turn += 1;
      return listens;
    },
  };
}

describe('the end of a gateway', () => {
  it('waits for a peer that is being filled', async () => {
    expect(await peerIsFilled(peerThat({ holdsOurs: false }, { holdsOurs: false }, { holdsOurs: true }))).toBe(true);
  });

  it('does not wait for a peer that holds everything, nor without replication', async () => {
    expect(await peerIsFilled(peerThat({ holdsOurs: true }), 0)).toBe(true);
    expect(await peerIsFilled({ peer: undefined, peerListens: false }, 0)).toBe(true);
  });

  it('does not wait for a peer that has fallen silent, nor for ever', async () => {
    expect(await peerIsFilled(peerThat({ holdsOurs: false }, { holdsOurs: false, listens: false }))).toBe(false);
    expect(await peerIsFilled(peerThat({ holdsOurs: false }), 30)).toBe(false);
  });
});
