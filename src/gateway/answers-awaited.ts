/** Questions on the wire, and who waits for their answers. */
import type { ProbeResult } from './prober.js';

export class AnswersAwaited {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** `ask` sends the question. What cannot be sent is not answered. */
  async answered(name: string, timeoutMs: number, ask: () => void): Promise<ProbeResult> {
    const begunMs = performance.now();
    return new Promise((resolve) => {
      const end = (result: ProbeResult): void => {
        clearTimeout(timer);
        this.#forget(name, heard);
        resolve(result);
      };
      const heard = (): void => end({ succeeded: true, detail: `answered in ${(performance.now() - begunMs).toFixed(1)} ms` });
      // The answer may lie in a socket that was not read yet, because the process was not running.
      const timer = setTimeout(() => setImmediate(() => end({ succeeded: false, detail: `no answer within ${timeoutMs} ms` })), timeoutMs);
      const set = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, set.add(heard));
      try {
        ask();
      } catch (error) {
        end({ succeeded: false, detail: (error as Error).message });
      }
    });
  }

  heard(name: string): void {
    for (const heard of [...(this.#waiting.get(name) ?? [])]) heard();
  }

  #forget(name: string, heard: () => void): void {
    const set = this.#waiting.get(name);
    set?.delete(heard);
    if (set?.size === 0) this.#waiting.delete(name);
  }
}
