import { describe, expect, it } from 'vitest';
import { VersionWatch } from '../../../src/gateway/version-watch.js';

const SECOND = 1_000_000_000n;

function watch(): { world: { refused: bigint; alive: boolean; warnings: number }; versions: VersionWatch } {
  const world = { refused: 7n, alive: false, warnings: 0 };
  const versions = new VersionWatch({ refused: () => world.refused, peerAlive: () => world.alive, warn: () => void (world.warnings += 1) });
  return { world, versions };
}

describe('frames of a version that is not read', () => {
  it('are told of once while they come, and not those of before', () => {
    const { world, versions } = watch();
    versions.tick(0n);
    expect([versions.isRefused, world.warnings]).toEqual([false, 0]);
    for (let second = 1n; second < 10n; second += 1n) {
      world.refused += 200n;
      versions.tick(second * SECOND);
      expect([versions.isRefused, world.warnings]).toEqual([true, 1]);
    }
  });

  it('are over when no more come, or the peer is alive', () => {
    const { world, versions } = watch();
    world.refused += 1n;
    versions.tick(SECOND);
    versions.tick(2n * SECOND);
    expect(versions.isRefused).toBe(true);
    versions.tick(5n * SECOND);
    expect(versions.isRefused).toBe(false);
    world.refused += 1n;
    versions.tick(6n * SECOND);
    expect([versions.isRefused, world.warnings]).toEqual([true, 2]);
    world.alive = true;
    versions.tick(7n * SECOND);
    expect(versions.isRefused).toBe(false);
  });

  it('say nothing of a peer that is alive: a stranger sends them', () => {
    const { world, versions } = watch();
    world.alive = true;
    world.refused += 1n;
    versions.tick(SECOND);
    expect([versions.isRefused, world.warnings]).toEqual([false, 0]);
  });
});
