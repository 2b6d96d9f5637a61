/**
 * The intervals of RFC 9568 §6.1 and RFC 3768 §6.1, in whole microseconds.
 *
 * Microseconds, and multiplied before divided: in the centiseconds of the wire,
 * skew would be 0 for every priority at 10 ms adverts, and Backups would promote
 * themselves together.
 */

export type VrrpVersion = 2 | 3;
export type Microseconds = number;

const SECOND_US = 1_000_000;

/** Skew_Time: the higher the priority, the shorter. v3 scales with the Active's interval, v2 does not. */
export function skewTimeUs(version: VrrpVersion, priority: number, activeAdverIntervalUs: Microseconds): Microseconds {
  const scaleUs = version === 3 ? activeAdverIntervalUs : SECOND_US;
  return Math.floor(((256 - priority) * scaleUs) / 256);
}

/** Active_Down_Interval: how long a Backup waits in silence before it takes over. */
export function activeDownIntervalUs(
  version: VrrpVersion,
  priority: number,
  activeAdverIntervalUs: Microseconds,
): Microseconds {
  return 3 * activeAdverIntervalUs + skewTimeUs(version, priority, activeAdverIntervalUs);
}

/**
 * How long the data plane may believe that it is Active after an advert was sent:
 * the Active_Down_Interval of the slowest Backup (priority 1) would be the latest
 * moment of a takeover; ours is what we know, so 20 % are added to it.
 */
export function leaseNs(version: VrrpVersion, priority: number, advertisementIntervalUs: Microseconds): bigint {
  const downUs = activeDownIntervalUs(version, priority, advertisementIntervalUs);
  return BigInt(Math.ceil((downUs * 12) / 10)) * 1000n;
}
