/**
 * Fragments that came before the first one of their packet, which alone has
 * ports: each is brought again a little later, three times at most. What still
 * comes back then has no first fragment. Pure: time comes in, frames go out.
 */
import type { FrameSource } from './frame-source.js';
import { Shares } from './shares.js';
import type { Holder } from './shares.js';

export const RETRY_AFTER_MS = [5, 20, 100] as const;
/** A frame that has not come back this long after it was brought has found its way. */
const FORGET_AFTER_MS = 200;
/** Of all; of each tenant its share. */
const MAX_FRAMES = 256;

interface Waiting {
  readonly from: FrameSource;
  readonly frame: Buffer;
  readonly holder: Holder;
  /** How often it has been brought. */
  attempts: number;
  /** Undefined: it is on its way. */
  dueMs: number | undefined;
  forgetMs: number;
}

export class EarlyFragments {
  /** By content: a frame that is brought comes back as it was. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #shares = new Shares(MAX_FRAMES);
  #dropped = 0;

  get count(): number {
    return this.#waiting.size;
  }

  /** Given up: its first fragment did not come, or there was no room. */
  get dropped(): number {
    return this.#dropped;
  }

  early(from: FrameSource, frame: Buffer, nowMs: number, holder?: Holder): void {
    const key = `${from}/${frame.toString('latin1')}`;
    const known = this.#waiting.get(key);
    if (known === undefined ? !this.#shares.take(holder) : known.attempts >= RETRY_AFTER_MS.length) {
      if (known !== undefined) this.#forget(key, known);
      this.#dropped += 1;
      return;
    }
    // A copy: it is a small part of a record of the ring buffer.
    const waiting = known ?? { from, frame: Buffer.from(frame), holder, attempts: 0, dueMs: undefined, forgetMs: 0 };
    waiting.dueMs ??= nowMs + RETRY_AFTER_MS[waiting.attempts]!;
    this.#waiting.set(key, waiting);
  }

  /** What is to be brought now. */
  due(nowMs: number): { readonly from: FrameSource; readonly frame: Buffer }[] {
    const due: Waiting[] = [];
    for (const [key, waiting] of this.#waiting) {
      if (waiting.dueMs === undefined && nowMs >= waiting.forgetMs) this.#forget(key, waiting);
      if (waiting.dueMs === undefined || nowMs < waiting.dueMs) continue;
      waiting.attempts += 1;
      waiting.dueMs = undefined;
      waiting.forgetMs = nowMs + FORGET_AFTER_MS;
      due.push(waiting);
    }
    return due;
  }

  #forget(key: string, { holder }: Waiting): void {
    this.#waiting.delete(key);
    this.#shares.give(holder);
  }
}
