import type { Check } from './check.js';
import { formatDuration } from './duration.js';
import type { Microseconds } from './duration.js';
import type { KeyPath } from './problem.js';
import type { Track, WrittenConfiguration, WrittenVirtualRouter } from './schema.js';
import { trackIdentity, tracksIn } from './tracking.js';

/* What virtual routers depend on, and on one another. */

export function checkTracking({ virtualRouters, notify }: WrittenConfiguration, check: Check): void {
  virtualRouters.forEach((router, index) => checkTracks(router, ['virtualRouters', index], check));
  checkSyncGroups(virtualRouters, check);
  if (notify && notify.command === undefined && notify.fifo === undefined) {
    check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', ['notify'], 'says nobody to tell: it must have a command or a fifo');
  }
}

function checkTracks({ track, priority }: WrittenVirtualRouter, at: KeyPath, check: Check): void {
  const placed = track.flatMap((entry, index): [KeyPath, Track][] => {
    const kinds = tracksIn(entry);
    if (kinds.length !== 1) check.conflict([...at, 'track', index], `has ${kinds.length === 0 ? 'none' : kinds.map(({ kind }) => kind).join(' and ')} of the keys link, gateway and script, but must have exactly one`);
    return kinds.map((one) => [[...at, 'track', index, one.kind], one]);
  });
  const first = new Map<string, KeyPath>();
  for (const [path, one] of placed) {
    const identity = trackIdentity(one);
    if (first.has(identity)) check.conflict(path, 'must be tracked once, but an earlier entry tracks the same in the same way');
    first.set(identity, path);
    if (priority === 255 && one.weight !== undefined) check.conflict([...path, 'weight'], 'is {value}, but with priority 255, which never changes, there must be none: then its loss is a fault');
    if ('timeout' in one && one.timeout > one.interval) check.conflict([...path, 'timeout'], `is {value}, but must be at most the interval, ${formatDuration((one.interval * 1_000) as Microseconds)}`);
  }
}

const shared = ['version', 'priority', 'preempt', 'preemptDelay', 'advertisementInterval'] as const;

/** Members whose timers run differently would be Active in different places again and again. */
function checkSyncGroups(virtualRouters: readonly WrittenVirtualRouter[], check: Check): void {
  const first = new Map<string, number>();
  virtualRouters.forEach((router, index) => {
    if (router.syncGroup === undefined) return;
    const leader = first.get(router.syncGroup);
    if (leader === undefined) return void first.set(router.syncGroup, index);
    for (const key of shared) {
      if (router[key] === virtualRouters[leader]![key]) continue;
      check.conflict(['virtualRouters', index, key], `is {value}, but must be as in virtualRouters[${leader}], which is in the same syncGroup`);
    }
  });
  for (const [group, index] of first) {
    if (virtualRouters.filter(({ syncGroup }) => syncGroup === group).length > 1) continue;
    check.warn('FLOATGATE_WARN_CONFIG_UNUSED', ['virtualRouters', index, 'syncGroup'], 'is {value}, but no other virtual router is in it');
  }
}
