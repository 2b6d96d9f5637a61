/** The programs' events, as the ring buffer delivers them: a head, then a frame. */

export interface DataPlaneEvent {
  /** enum event_type */
  readonly type: number;
  /** enum interface_role */
  readonly interface: number;
  /** Unsigned 32-bit, host order. */
  readonly address: number;
  /** A part of the record, which is larger: whoever keeps it keeps a copy. */
  readonly frame: Buffer;
}

const EVENT_HEAD_BYTES = 16;

/** Undefined for a record that is shorter than it says. */
export function decodeEvent(record: Buffer): DataPlaneEvent | undefined {
  if (record.length < EVENT_HEAD_BYTES) return undefined;
  const length = record.readUInt32LE(12);
  if (EVENT_HEAD_BYTES + length > record.length) return undefined;
  return {
    type: record.readUInt32LE(0),
    interface: record.readUInt32LE(4),
    address: record.readUInt32BE(8),
    frame: record.subarray(EVENT_HEAD_BYTES, EVENT_HEAD_BYTES + length),
  };
}
