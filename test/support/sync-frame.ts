/**
 * The replication frames on the wire (bpf/layout.h, sync_header and sync_record),
 * written a second time by hand: the wire format is a contract between gateways
 * of neighbouring versions, so the tests do not take it from generated code.
 */
import { ipv4ToNumber, macToBuffer, bufferToMac, numberToIpv4 } from './bytes.js';
import { sipHash24 } from './siphash.js';

export const SYNC_PORT = 6086;
export const SYNC_TYPE = { commit: 1, records: 2, heartbeat: 3, control: 4 } as const;
export const SYNC_FLAG = { reply: 1, refused: 2, roles: 8 } as const;
export const SYNC_PATH = { ha: 0, underlay: 1 } as const;
export const RECORD_KIND = { vm: 1, session: 2, delete: 3 } as const;
export const SYNC_HEADER_BYTES = 32;
export const SYNC_RECORD_BYTES = 72;
const MAC_OFFSET = 24;

export type SyncKey = readonly [bigint, bigint];

export interface SyncRecord {
  readonly kind: number;
  readonly protocol?: number;
  readonly state?: number;
  readonly sessionFlags?: number;
  readonly term?: number;
  readonly vni?: number;
  readonly internalAddress?: string;
  readonly externalAddress?: string;
  readonly remote?: string;
  readonly internalPort?: number;
  readonly externalPort?: number;
  readonly remotePort?: number;
  readonly optionLength?: number;
  readonly virtualRouter?: number;
  readonly tunnelEndpoint?: string;
  readonly mac?: string;
  readonly nextHopMac?: string;
  readonly option?: Buffer;
  readonly portKey?: number;
  readonly idle?: number;
  /** Low half of the sequence that it was made at; 0: that of its frame. */
  readonly sequence?: number;
  /** Zero. */
  readonly pad?: number;
}

export interface Sync {
  readonly layer: 'sync';
  readonly type: number;
  readonly version?: number;
  readonly flags?: number;
  readonly recordCount?: number;
  readonly records?: readonly SyncRecord[];
  readonly gateway?: number;
  readonly egress?: number;
  /** Bytes after header and records. */
  readonly length?: number;
  readonly epoch?: number;
  readonly path?: number;
  /** Bytes of each record / 8; 0: 72. What `records` is encoded with is filled up with `filler`. */
  readonly recordWords?: number;
  readonly filler?: number;
  /** 24 bits, of which `recordWords` are the upper ones. */
  readonly pad?: number;
  readonly sequence?: bigint;
  /** As given; else computed with `key`; else zero. */
  readonly mac?: bigint;
  readonly key?: SyncKey | undefined;
}

export function encodeSync(sync: Sync, body: Buffer): Buffer {
  const longer = Buffer.alloc(Math.max(0, (sync.recordWords ?? 0) * 8 - SYNC_RECORD_BYTES), sync.filler ?? 0);
  const records = (sync.records ?? []).map((record) => Buffer.concat([encodeRecord(record), longer]));
  const message = Buffer.concat([Buffer.alloc(SYNC_HEADER_BYTES), ...records, body]);
  message[0] = sync.version ?? 1;
  message[1] = sync.type;
  message[2] = sync.flags ?? 0;
  message[3] = sync.recordCount ?? records.length;
  message[4] = sync.gateway ?? 0;
  message[5] = sync.egress ?? 0;
  message.writeUInt16BE(sync.length ?? body.length, 6);
  message.writeUInt32BE(sync.epoch ?? 0, 8);
  message[12] = sync.path ?? 0;
  message.writeUIntBE(sync.pad ?? 0, 13, 3);
  if (sync.recordWords !== undefined) message[13] = sync.recordWords;
  message.writeBigUInt64BE(sync.sequence ?? 0n, 16);
  message.writeBigUInt64BE(sync.mac ?? (sync.key ? messageMac(message, sync.key) : 0n), MAC_OFFSET);
  return message;
}

/** The MAC that a message (UDP payload) ought to carry. */
export function messageMac(message: Buffer, key: SyncKey): bigint {
  const unsealed = Buffer.from(message);
  unsealed.writeBigUInt64BE(0n, MAC_OFFSET);
  return sipHash24(key, unsealed);
}

export function encodeRecord(record: SyncRecord): Buffer {
  const bytes = Buffer.alloc(SYNC_RECORD_BYTES);
  bytes[0] = record.kind;
  bytes[1] = record.protocol ?? 0;
  bytes[2] = record.state ?? 0;
  bytes[3] = record.sessionFlags ?? 0;
  bytes.writeUInt32BE(record.term ?? 0, 4);
  bytes.writeUInt32BE(record.vni ?? 0, 8);
  bytes.writeUInt32BE(ipv4ToNumber(record.internalAddress ?? '0.0.0.0'), 12);
  bytes.writeUInt32BE(ipv4ToNumber(record.externalAddress ?? '0.0.0.0'), 16);
  bytes.writeUInt32BE(ipv4ToNumber(record.remote ?? '0.0.0.0'), 20);
  bytes.writeUInt16BE(record.internalPort ?? 0, 24);
  bytes.writeUInt16BE(record.externalPort ?? 0, 26);
  bytes.writeUInt16BE(record.remotePort ?? 0, 28);
  bytes[30] = record.optionLength ?? 0;
  bytes[31] = record.virtualRouter ?? 0;
  bytes.writeUInt32BE(ipv4ToNumber(record.tunnelEndpoint ?? '0.0.0.0'), 32);
  bytes.set(macToBuffer(record.mac ?? '00:00:00:00:00:00'), 36);
  bytes.set(macToBuffer(record.nextHopMac ?? '00:00:00:00:00:00'), 42);
  bytes.set(record.option ?? [], 48);
  bytes.writeUInt32BE(record.portKey ?? 0, 56);
  bytes.writeUInt32BE(record.idle ?? 0, 60);
  bytes.writeUInt32BE(record.sequence ?? 0, 64);
  bytes.writeUInt32BE(record.pad ?? 0, 68);
  return bytes;
}

export function decodeRecord(bytes: Buffer): Required<SyncRecord> {
  return {
    kind: bytes[0]!,
    protocol: bytes[1]!,
    state: bytes[2]!,
    sessionFlags: bytes[3]!,
    term: bytes.readUInt32BE(4),
    vni: bytes.readUInt32BE(8),
    internalAddress: numberToIpv4(bytes.readUInt32BE(12)),
    externalAddress: numberToIpv4(bytes.readUInt32BE(16)),
    remote: numberToIpv4(bytes.readUInt32BE(20)),
    internalPort: bytes.readUInt16BE(24),
    externalPort: bytes.readUInt16BE(26),
    remotePort: bytes.readUInt16BE(28),
    optionLength: bytes[30]!,
    virtualRouter: bytes[31]!,
    tunnelEndpoint: numberToIpv4(bytes.readUInt32BE(32)),
    mac: bufferToMac(bytes.subarray(36, 42)),
    nextHopMac: bufferToMac(bytes.subarray(42, 48)),
    option: Buffer.from(bytes.subarray(48, 56)),
    portKey: bytes.readUInt32BE(56),
    idle: bytes.readUInt32BE(60),
    sequence: bytes.readUInt32BE(64),
    pad: bytes.readUInt32BE(68),
  };
}

/** Header and records of a message; the rest of it is `body`. Undefined if the records do not fit. */
export function decodeSync(message: Buffer): { sync: Sync; body: Buffer } | undefined {
  const recordCount = message[3] ?? 0;
  const start = SYNC_HEADER_BYTES + recordCount * SYNC_RECORD_BYTES;
  if (message.length < SYNC_HEADER_BYTES || message.length < start) return undefined;
  const records = Array.from({ length: recordCount }, (_, index) =>
    decodeRecord(message.subarray(SYNC_HEADER_BYTES + index * SYNC_RECORD_BYTES)),
  );
  const sync: Sync = {
    layer: 'sync',
    version: message[0]!,
    type: message[1]!,
    flags: message[2]!,
    recordCount,
    records,
    gateway: message[4]!,
    egress: message[5]!,
    length: message.readUInt16BE(6),
    epoch: message.readUInt32BE(8),
    path: message[12]!,
    pad: message.readUIntBE(13, 3),
    sequence: message.readBigUInt64BE(16),
    mac: message.readBigUInt64BE(MAC_OFFSET),
  };
  return { sync, body: message.subarray(start) };
}
