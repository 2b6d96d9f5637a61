/**
 * Records that the programs hand to the control plane (mode async, and commits
 * larger than the ha MTU), gathered into as few frames as their haste allows.
 */
import { SYNC_MAX_RECORDS, SYNC_RECORD_BYTES } from './frame.js';

export interface BatchPorts {
  /** Sends `count` records, one after the other in `records`. */
  send(records: Buffer, count: number): void;
  /** Calls `flush` once, after the ring buffer's current backlog was read. */
  defer(flush: () => void): void;
}

export class RecordBatch {
  readonly #ports: BatchPorts;
  #records: Buffer[] = [];
  #deferred = false;

  constructor(ports: BatchPorts) {
    this.#ports = ports;
  }

  /** `record` is one wire record; it is copied. Another size is a programming error of the data plane. */
  add(record: Buffer): void {
    if (record.length !== SYNC_RECORD_BYTES) throw new RangeError(`a sync record has ${SYNC_RECORD_BYTES} bytes, this one has ${record.length}`);
    this.#records.push(Buffer.from(record));
    if (this.#records.length === SYNC_MAX_RECORDS) return this.flush();
    if (this.#deferred) return;
    this.#deferred = true;
    this.#ports.defer(() => {
      this.#deferred = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#records.length === 0) return;
    const records = this.#records;
    this.#records = [];
    this.#ports.send(Buffer.concat(records), records.length);
  }
}
