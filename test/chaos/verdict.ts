/** What must hold whatever goes wrong, judged from what was seen. Nothing here acts or waits. */
import type { SessionView } from '../../src/api/sessions.js';
import type { Transition } from '../../src/api/status.js';

/** An advertisement that claims the role, as anybody on the underlay hears it. */
export interface HeardAdvertisement {
  /** CLOCK_MONOTONIC. */
  readonly atMs: number;
  readonly source: string;
}

/** From when to when the gateways may not hear each other. */
export interface Division {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What the world may hear of two Actives after they can hear each other again: an advertisement of each, and a late one. */
export const SETTLING_MS = 1000;
/** Two that take turns are one handing over to the other only if it happens once. */
const TURNS_OF_A_HAND_OVER = 2;

/**
 * "At most one Active": two sources that go on taking turns while they could
 * hear each other. A hand-over is one turn, and a resignation called off two.
 */
export function rivalClaims(heard: readonly HeardAdvertisement[], divisions: readonly Division[]): string[] {
  const undivided = heard.filter(({ atMs }) => divisions.every(({ fromMs, toMs }) => atMs < fromMs || atMs > toMs + SETTLING_MS));
  const turns = undivided.flatMap((each, i) => (i > 0 && undivided[i - 1]!.source !== each.source ? [each] : []));
  return turns.flatMap((turn, i) => {
    const earlier = turns[i - TURNS_OF_A_HAND_OVER];
    if (earlier === undefined || turn.atMs - earlier.atMs > SETTLING_MS) return [];
    return [`two routers claim to be Active by turns at ${turn.atMs.toFixed(0)} ms: ${earlier.source}, ${turns[i - 1]!.source}, ${turn.source}`];
  });
}

/** A term has one Active. */
export function sharedTerms(histories: Readonly<Record<string, readonly Transition[]>>): string[] {
  const owners = new Map<number, Set<string>>();
  for (const [node, history] of Object.entries(histories)) {
    for (const { term } of history.filter(({ to }) => to.toLowerCase() === 'active')) {
      owners.set(term, (owners.get(term) ?? new Set()).add(node));
    }
  }
  return [...owners].filter(([, nodes]) => nodes.size > 1).map(([term, nodes]) => `term ${term} had more than one Active: ${[...nodes].join(', ')}`);
}

/** An external port belongs to one internal one, on whichever gateway. */
export function sharedPorts(sessions: Readonly<Record<string, readonly SessionView[]>>): string[] {
  const owners = new Map<string, Map<string, string>>();
  for (const [node, views] of Object.entries(sessions)) {
    for (const view of views) {
      const port = `${view.protocol} ${view.externalAddress}:${view.externalPort}`;
      const owner = `${view.network ?? '?'} ${view.internalAddress}:${view.internalPort}`;
      const known = owners.get(port) ?? new Map<string, string>();
      owners.set(port, known.set(owner, node));
    }
  }
  return [...owners].filter(([, known]) => known.size > 1)
    .map(([port, known]) => `${port} was given twice: ${[...known].map(([owner, node]) => `to ${owner} (${node})`).join(', ')}`);
}
