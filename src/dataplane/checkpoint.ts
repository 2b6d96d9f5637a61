/**
 * What the pinned maps hold by our own account, in a file beside them: the next
 * daemon plans its changes from there, and every router, network and address
 * keeps its index. Secrets are never written; the next daemon reads its own.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { CompiledState } from '../compile/compile.js';
import { SecretKey } from '../config/key.js';
import { Password } from '../config/password.js';

const FORMAT = 2;

/** Atomic: a daemon that dies meanwhile leaves the earlier one. */
export function writeCheckpoint(file: string, state: CompiledState): void {
  writeFileSync(`${file}.new`, `${JSON.stringify({ format: FORMAT, state: encode(state) })}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Undefined: there is none that this version can read. */
export function readCheckpoint(file: string): CompiledState | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const { format, state } = JSON.parse(readFileSync(file, 'utf8')) as { format?: number; state?: unknown };
    return format === FORMAT ? (decode(state) as CompiledState) : undefined;
  } catch {
    return undefined;
  }
}

export function removeCheckpoint(file: string): void {
  rmSync(file, { force: true });
}

function encode(value: unknown): unknown {
  if (value instanceof SecretKey || value instanceof Password) return undefined;
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (Buffer.isBuffer(value)) return { $hex: value.toString('hex') };
  if (value instanceof Map) return { $map: [...value].map(([key, entry]) => [key, encode(entry)]) };
  if (Array.isArray(value)) return value.map(encode);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, encode(entry)]));
  return value;
}

function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value !== 'object' || value === null) return value;
  const { $bigint, $hex, $map } = value as { $bigint?: string; $hex?: string; $map?: [unknown, unknown][] };
  if ($bigint !== undefined) return BigInt($bigint);
  if ($hex !== undefined) return Buffer.from($hex, 'hex');
  if ($map !== undefined) return new Map($map.map(([key, entry]) => [key, decode(entry)]));
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, decode(entry)]));
}
