/** Lines into a FIFO that may have no reader: then the newest of each key waits. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

const RETRY_MS = 1000;

export class Fifo {
  readonly #path: string;
  readonly #warn: (sentence: string) => void;
  readonly #waiting = new Map<string | number, string>();
  #retry: NodeJS.Timeout | undefined;
  #warned = false;

  constructor(path: string, warn: (sentence: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  /** Never waits. */
  write(key: string | number, line: string): void {
    // Among what waits, the newest comes last.
    this.#waiting.delete(key);
    this.#waiting.set(key, line);
    this.#flush();
  }

  close(): void {
    clearTimeout(this.#retry);
  }

  #flush(): void {
    clearTimeout(this.#retry);
    try {
      this.#writeAll();
    } catch (error) {
      this.#complain(error as NodeJS.ErrnoException);
    }
    if (this.#waiting.size > 0) this.#retry = setTimeout(() => this.#flush(), RETRY_MS).unref();
  }

  #writeAll(): void {
    // Opened anew each time: without a reader that fails, and a reader may go at any time.
    const fd = openSync(this.#path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(fd).isFIFO()) throw new Error(`${this.#path} is not a FIFO`);
      for (const [key, line] of this.#waiting) {
        // Less than PIPE_BUF: all of it or nothing.
        writeSync(fd, line);
        this.#waiting.delete(key);
      }
      this.#warned = false;
    } finally {
      closeSync(fd);
    }
  }

  /** Nobody who reads, or reads fast enough, is no mistake. */
  #complain(error: NodeJS.ErrnoException): void {
    if (error.code === 'ENXIO' || error.code === 'EAGAIN' || this.#warned) return;
    this.#warned = true;
    this.#warn(`notify.fifo: ${error.message}`);
  }
}
