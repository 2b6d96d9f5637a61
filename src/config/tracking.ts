import { formatIpv4 } from './address.js';
import type { Track, TrackKind, WrittenTrack, WrittenVirtualRouter } from './schema.js';

/* What a virtual router tracks: its own things, and those of the others in its sync group. */

/** Also of an entry that says too little or too much, which is reported elsewhere. */
export function tracksIn(entry: WrittenTrack): Track[] {
  return (Object.keys(entry) as TrackKind[]).flatMap((kind) => {
    const written = entry[kind];
    if (written === undefined) return [];
    return [{ kind, ...written, ...('interval' in written && { timeout: written.timeout ?? written.interval }) } as Track];
  });
}

/** Two that have one name watch the same thing in the same way, whatever its loss means to whom. */
export function trackIdentity({ weight: _, ...watched }: Track): string {
  return JSON.stringify(watched);
}

/** What people call it: its kind and its target. */
export function trackName(track: Track): string {
  switch (track.kind) {
    case 'link': return `link ${track.name}`;
    case 'gateway': return `gateway ${formatIpv4(track.address)}`;
    case 'script': return `script ${track.command.join(' ')}`;
  }
}

/** Each thing once; of two weights the one that does more: none, which is a fault, or the greater. */
export function tracksOf(router: WrittenVirtualRouter, all: readonly WrittenVirtualRouter[]): Track[] {
  const group = router.syncGroup === undefined ? [router] : [router, ...all.filter((other) => other !== router && other.syncGroup === router.syncGroup)];
  const found = new Map<string, Track>();
  for (const track of group.flatMap((member) => member.track.flatMap(tracksIn))) {
    const known = found.get(trackIdentity(track));
    if (known === undefined || outweighs(track, known)) found.set(trackIdentity(track), track);
  }
  return [...found.values()];
}

function outweighs(one: Track, other: Track): boolean {
  return (one.weight ?? Infinity) > (other.weight ?? Infinity);
}
