/**
 * What two control planes say to each other inside SYNC_CONTROL frames.
 *
 * JSON, because a neighbouring version must be able to skip what it does not
 * know: unknown fields are ignored, an unknown `type` is dropped by the reader.
 * Frames are authenticated, sequenced and replay-checked by the programs, so
 * nothing here repeats that.
 */

import { SYNC_VERSION } from './frame.js';

/** VRID, state (enum virtual_router_state), term and penalty, as one gateway holds them. */
export interface VirtualRouterView {
  readonly vrid: number;
  readonly state: number;
  readonly term: number;
  /** How unfit the sender is for it: points that tracking takes, and UNDERLAY_DEAF; 0 from an earlier version. */
  readonly penalty: number;
  /** Of an Active that watches its tunnels: compute nodes whose BFD is Up. */
  readonly tunnelsUp?: number | undefined;
}

/** Added to a penalty: nobody is heard on the underlay. More than tracking can take. */
export const UNDERLAY_DEAF = 256;

/** Sent every hello interval and at once after anything in it changed. */
export interface Hello {
  readonly type: 'hello';
  /** Of replication, as the sender speaks it (bpf/WIRE.md). */
  readonly version: number;
  readonly name: string;
  /** Gateway id, 0 or 1. */
  readonly id: number;
  /** Epoch of the sender's sequence numbers. */
  readonly epoch: number;
  /** When, by the sender's CLOCK_MONOTONIC: of two the later counts, in whatever order they come; absent from an earlier version. */
  readonly sentUs?: number | undefined;
  /** Grows whenever the sender may hold state that the receiver was never sent. */
  readonly generation: number;
  /** The receiver's generation that the sender holds in full; null: none. */
  readonly holds: number | null;
  /** Names one request for bulk synchronisation; a new number asks again. */
  readonly want: number;
  /** The sender's own on the underlay, where its heartbeats come from; absent from an earlier version. */
  readonly underlayAddress?: number | undefined;
  /** At most VIRTUAL_ROUTERS_PER_HELLO of them: a longer list goes out in several hellos. */
  readonly virtualRouters: readonly VirtualRouterView[];
}

/** Every record of `generation` has been acknowledged; answers the hello that carried `want`. */
export interface BulkComplete {
  readonly type: 'bulkComplete';
  readonly generation: number;
  readonly want: number;
}

/** Asks for the sums of these parts of a round; the first one begins it. */
export interface Compare {
  readonly type: 'compare';
  readonly round: number;
  /** 64 bits, 16 hexadecimal digits. */
  readonly seed: string;
  readonly parts: readonly number[];
}

/** One part of what the sender holds, summed up: segments from `part` times SEGMENTS_PER_MESSAGE on. */
export interface Digests {
  readonly type: 'digests';
  readonly round: number;
  readonly part: number;
  /** 16 hexadecimal digits each. */
  readonly digests: readonly string[];
}

/** Asks the standby to doubt what it holds of these segments, or to end what is still in doubt; `done`: its answer. */
export interface Repair {
  readonly type: 'repair';
  readonly repair: number;
  readonly step: 'doubt' | 'sweep';
  readonly seed: string;
  /** Ascending. On the wire 1024 bits in hexadecimal digits, segment 0 first. */
  readonly segments: readonly number[];
  readonly done: boolean;
}

export type Message = Hello | BulkComplete | Compare | Digests | Repair;

/** Keeps a hello below 1 KiB, so that it fits any ha MTU and any ring buffer record. */
export const VIRTUAL_ROUTERS_PER_HELLO = 24;

/** What is replicated falls into so many segments; SEGMENTS of bpf/layout.h. */
export const SEGMENTS = 1024;
/** Sums in one message: they keep it below any MTU. */
export const SEGMENTS_PER_MESSAGE = 32;
const DIGEST_DIGITS = 16;

export function encodeMessage(message: Message): Buffer {
  return Buffer.from(JSON.stringify({ version: SYNC_VERSION, ...bodyOf(message) }), 'utf8');
}

function bodyOf(message: Message): object {
  if (message.type === 'hello') return { ...message, virtualRouters: message.virtualRouters.map(encodeView) };
  if (message.type === 'digests') return { ...message, digests: message.digests.join('') };
  return message.type === 'repair' ? { ...message, segments: encodeSegments(message.segments) } : message;
}

function encodeView({ vrid, state, term, penalty, tunnelsUp }: VirtualRouterView): number[] {
  return tunnelsUp === undefined ? [vrid, state, term, penalty] : [vrid, state, term, penalty, tunnelsUp];
}

/** The message in `payload`, or undefined when it is not one that this version understands. */
export function decodeMessage(payload: Buffer): Message | undefined {
  let body: unknown;
  try {
    body = JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!isRecord(body)) return undefined;
  if (body['type'] === 'hello') return decodeHello(body);
  if (body['type'] === 'bulkComplete') return decodeBulkComplete(body);
  if (body['type'] === 'compare') return decodeCompare(body);
  if (body['type'] === 'digests') return decodeDigests(body);
  if (body['type'] === 'repair') return decodeRepair(body);
  return undefined;
}

function decodeHello(body: Record<string, unknown>): Hello | undefined {
  const { version, name, id, epoch, generation, holds, want, virtualRouters, underlayAddress, sentUs } = body;
  if (!isCount(version) || typeof name !== 'string' || !isCount(id) || !isCount(epoch) || !isCount(generation) || !isCount(want)) return undefined;
  if (holds !== null && !isCount(holds)) return undefined;
  if (underlayAddress !== undefined && !isCount(underlayAddress)) return undefined;
  if (sentUs !== undefined && !isCount(sentUs)) return undefined;
  if (!Array.isArray(virtualRouters)) return undefined;
  const views: VirtualRouterView[] = [];
  for (const entry of virtualRouters) {
    if (!Array.isArray(entry) || entry.length < 3 || !entry.every(isCount)) return undefined;
    const [vrid, state, term, penalty = 0, tunnelsUp] = entry as [number, number, number, number?, number?];
    views.push({ vrid, state, term, penalty, ...(tunnelsUp !== undefined && { tunnelsUp }) });
  }
  return { type: 'hello', version, name, id, epoch, generation, holds, want, virtualRouters: views, ...(underlayAddress !== undefined && { underlayAddress }), ...(sentUs !== undefined && { sentUs }) };
}

function decodeBulkComplete(body: Record<string, unknown>): BulkComplete | undefined {
  const { generation, want } = body;
  return isCount(generation) && isCount(want) ? { type: 'bulkComplete', generation, want } : undefined;
}

function decodeCompare(body: Record<string, unknown>): Compare | undefined {
  const { round, seed, parts } = body;
  if (!isCount(round) || !isDigits(seed, DIGEST_DIGITS) || !Array.isArray(parts) || !parts.every(isCount)) return undefined;
  return { type: 'compare', round, seed, parts: parts as number[] };
}

function decodeDigests(body: Record<string, unknown>): Digests | undefined {
  const { round, part, digests } = body;
  if (!isCount(round) || !isCount(part) || !isDigits(digests) || digests.length % DIGEST_DIGITS !== 0) return undefined;
  return { type: 'digests', round, part, digests: Array.from({ length: digests.length / DIGEST_DIGITS }, (_, i) => digests.slice(i * DIGEST_DIGITS, (i + 1) * DIGEST_DIGITS)) };
}

function decodeRepair(body: Record<string, unknown>): Repair | undefined {
  const { repair, step, seed, segments, done } = body;
  if (!isCount(repair) || (step !== 'doubt' && step !== 'sweep') || !isDigits(seed, DIGEST_DIGITS) || !isDigits(segments, SEGMENTS / 4) || typeof done !== 'boolean') return undefined;
  return { type: 'repair', repair, step, seed, segments: decodeSegments(segments), done };
}

function encodeSegments(segments: readonly number[]): string {
  const bits = Buffer.alloc(SEGMENTS / 8);
  for (const segment of segments) bits.writeUInt8(bits.readUInt8(segment >> 3) | (0x80 >> (segment & 7)), segment >> 3);
  return bits.toString('hex');
}

function decodeSegments(digits: string): number[] {
  const bits = Buffer.from(digits, 'hex');
  return Array.from({ length: SEGMENTS }, (_, segment) => segment).filter((segment) => (bits.readUInt8(segment >> 3) & (0x80 >> (segment & 7))) !== 0);
}

function isDigits(value: unknown, length?: number): value is string {
  return typeof value === 'string' && /^[0-9a-f]*$/.test(value) && (length === undefined || value.length === length);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
