/** Records that programs write, delivered on the event loop. */
import { kernel, type NativeRing } from './kernel.js';
import type { BpfMap } from './map.js';

/**
 * Reads a `ringbuf` map. One reader per map: readers share the consumer position.
 * It keeps the process alive until close() or unref(), and does not need the map to stay open.
 * Since Linux 5.8.
 */
export class RingBuffer {
  readonly #ring: NativeRing;
  readonly #onRecord: (record: Buffer) => void;
  #closed = false;

  /**
   * @param onRecord called once per record, in order; the buffer is the callee's to keep. What it
   *   throws becomes an uncaught exception; later records are delivered all the same.
   * @throws SystemError EINVAL when the map is not a ring buffer
   */
  constructor(map: BpfMap, onRecord: (record: Buffer) => void) {
    this.#onRecord = onRecord;
    this.#ring = new (kernel().Ring)(map.fd, (records) => this.#deliver(records));
  }

  /** No record is delivered any more. Idempotent; allowed in `onRecord`. */
  close(): void {
    this.#closed = true;
    this.#ring.close();
  }

  /** Lets the process end while this is open. */
  unref(): this {
    this.#ring.unref();
    return this;
  }

  ref(): this {
    this.#ring.ref();
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #deliver(records: Buffer[]): void {
    for (const record of records) {
      if (this.#closed) return;
      try {
        this.#onRecord(record);
      } catch (error) {
        // Thrown from here it would take the rest of the batch along.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
