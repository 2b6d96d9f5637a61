/** Durations for people. */

export function age(since: string, now: Date): string {
  return formatMilliseconds(Math.max(0, now.getTime() - Date.parse(since)));
}

/** Two units of it at most: 1h02m, 3m05s, 4.2s. */
export function formatMilliseconds(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${(ms / 1000).toFixed(1)}s`;
  const [large, small, units] = seconds < 3600
    ? [Math.floor(seconds / 60), seconds % 60, 'ms']
    : seconds < 86400
      ? [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, 'hm']
      : [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, 'dh'];
  return `${large}${units[0]}${String(small).padStart(2, '0')}${units[1]}`;
}
