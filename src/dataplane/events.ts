/** The programs' events, as the ring buffer delivers them: a head, then a frame. */
import { eventCodec } from './layout.generated.js';
import type { Event } from './layout.generated.js';

/** Addresses are unsigned 32-bit numbers in host order. */
export interface DataPlaneEvent extends Omit<Event, 'length'> {
  /** A part of the record, which is larger: whoever keeps it keeps a copy. */
  readonly frame: Buffer;
}

/** Undefined for a record that is shorter than it says. */
export function decodeEvent(record: Buffer): DataPlaneEvent | undefined {
  if (record.length < eventCodec.size) return undefined;
  const { length, ...about } = eventCodec.decode(record);
  if (eventCodec.size + length > record.length) return undefined;
  return { ...about, frame: record.subarray(eventCodec.size, eventCodec.size + length) };
}
