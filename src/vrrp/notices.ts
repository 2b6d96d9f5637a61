/** Sentences worth logging, however often their cause repeats. */
import type { Clock } from './clock.js';

const NOTICE_INTERVAL_MS = 10_000;

export type Notice = (kind: string, sentence: string) => void;

/** At most one of a kind in 10 s. */
export function limitNotices(clock: Pick<Clock, 'wallMs'>, notice: Notice): Notice {
  const noticedAtMs = new Map<string, number>();
  return (kind, sentence) => {
    const nowMs = clock.wallMs();
    if (nowMs - (noticedAtMs.get(kind) ?? -Infinity) < NOTICE_INTERVAL_MS) return;
    noticedAtMs.set(kind, nowMs);
    notice(kind, sentence);
  };
}
