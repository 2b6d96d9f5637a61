/**
 * What two control planes say to each other inside SYNC_CONTROL frames.
 *
 * JSON, because a neighbouring version must be able to skip what it does not
 * know: unknown fields are ignored, an unknown `type` is dropped by the reader.
 * Frames are authenticated, sequenced and replay-checked by the programs, so
 * nothing here repeats that.
 */

/** VRID, state (enum virtual_router_state) and term, as one gateway holds them. */
export interface VirtualRouterView {
  readonly vrid: number;
  readonly state: number;
  readonly term: number;
}

/** Sent every hello interval and at once after anything in it changed. */
export interface Hello {
  readonly type: 'hello';
  readonly name: string;
  /** Gateway id, 0 or 1. */
  readonly id: number;
  /** Epoch of the sender's sequence numbers. */
  readonly epoch: number;
  /** Grows whenever the sender may hold state that the receiver was never sent. */
  readonly generation: number;
  /** The receiver's generation that the sender holds in full; null: none. */
  readonly holds: number | null;
  /** Names one request for bulk synchronisation; a new number asks again. */
  readonly want: number;
  /** At most VIRTUAL_ROUTERS_PER_HELLO of them: a longer list goes out in several hellos. */
  readonly virtualRouters: readonly VirtualRouterView[];
}

/** Every record of `generation` has been acknowledged; answers the hello that carried `want`. */
export interface BulkComplete {
  readonly type: 'bulkComplete';
  readonly generation: number;
  readonly want: number;
}

export type Message = Hello | BulkComplete;

/** Keeps a hello below 1 KiB, so that it fits any ha MTU and any ring buffer record. */
export const VIRTUAL_ROUTERS_PER_HELLO = 32;

const MESSAGE_VERSION = 1;

export function encodeMessage(message: Message): Buffer {
  const body = message.type === 'hello'
    ? { ...message, virtualRouters: message.virtualRouters.map((v) => [v.vrid, v.state, v.term]) }
    : message;
  return Buffer.from(JSON.stringify({ version: MESSAGE_VERSION, ...body }), 'utf8');
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
  return undefined;
}

function decodeHello(body: Record<string, unknown>): Hello | undefined {
  const { name, id, epoch, generation, holds, want, virtualRouters } = body;
  if (typeof name !== 'string' || !isCount(id) || !isCount(epoch) || !isCount(generation) || !isCount(want)) return undefined;
  if (holds !== null && !isCount(holds)) return undefined;
  if (!Array.isArray(virtualRouters)) return undefined;
  const views: VirtualRouterView[] = [];
  for (const entry of virtualRouters) {
    if (!Array.isArray(entry) || entry.length < 3 || !entry.every(isCount)) return undefined;
    const [vrid, state, term] = entry as [number, number, number];
    views.push({ vrid, state, term });
  }
  return { type: 'hello', name, id, epoch, generation, holds, want, virtualRouters: views };
}

function decodeBulkComplete(body: Record<string, unknown>): BulkComplete | undefined {
  const { generation, want } = body;
  return isCount(generation) && isCount(want) ? { type: 'bulkComplete', generation, want } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
