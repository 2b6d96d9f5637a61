import { describe, expect, it } from 'vitest';
import { virtualRouterState } from '../../../src/dataplane/layout.generated.js';
import { leaseUntil, PATIENT_LEASE_NS, wouldFollow } from '../../../src/gateway/lease.js';

const saying = (state: number, listens = true) => ({ listens, virtualRouters: [{ vrid: 51, state, term: 3, penalty: 0 }] });

describe('a peer would follow', () => {
  it.each(['backup', 'active'] as const)('as %s', (state) => {
    expect(wouldFollow(saying(virtualRouterState[state]), 51)).toBe(true);
  });

  it.each(['initialize', 'draining'] as const)('not as %s: it is drained, has a fault or is going', (state) => {
    expect(wouldFollow(saying(virtualRouterState[state]), 51)).toBe(false);
  });

  it('not without a daemon, nor for a VRID that it does not have', () => {
    expect(wouldFollow(saying(virtualRouterState.backup, false), 51)).toBe(false);
    expect(wouldFollow(saying(virtualRouterState.backup), 52)).toBe(false);
  });

  it('where nothing is replicated it is taken for granted', () => {
    expect(wouldFollow(undefined, 51)).toBe(true);
  });
});

describe('the lease', () => {
  it('is the election\'s where somebody follows', () => {
    expect(leaseUntil(5_000n, 1_000n, true)).toBe(5_000n);
  });

  it('lasts a restart where nobody does, and never shorter than the election wants', () => {
    expect(leaseUntil(5_000n, 1_000n, false)).toBe(1_000n + PATIENT_LEASE_NS);
    expect(leaseUntil(1_001n + PATIENT_LEASE_NS, 1_000n, false)).toBe(1_001n + PATIENT_LEASE_NS);
  });
});
