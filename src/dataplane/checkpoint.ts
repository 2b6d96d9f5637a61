/**
 * What the pinned maps hold by our own account, in a file beside them: the next
 * daemon plans its changes from there, and every router, network and address
 * keeps its index. Secrets are never written; the next daemon reads its own.
 * While the maps are changed, a second file says what they are to hold: a daemon
 * that dies half way leaves things that the first one does not know of.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { CompiledState } from '../compile/compile.js';
import { SecretKey } from '../config/key.js';
import { Password } from '../config/password.js';

const FORMAT = 2;

const announced = (file: string): string => `${file}.next`;

/** Before the maps are changed: what they are going to hold. Atomic, as everything here. */
export function announceCheckpoint(file: string, next: CompiledState): void {
  const path = announced(file);
  writeFileSync(`${path}.new`, written(next), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** They do hold it. */
export function confirmCheckpoint(file: string): void {
  renameSync(announced(file), file);
}

/** They hold what they held before. */
export function withdrawCheckpoint(file: string): void {
  rmSync(announced(file), { force: true });
}

/** Undefined: there is none that this version can read. */
export function readCheckpoint(file: string): CompiledState | undefined {
  return read(file);
}

/** What an earlier daemon was about to put into the maps when it died, unless that is `next`: then it is as good as begun. */
export function readAbandoned(file: string, next: CompiledState): CompiledState | undefined {
  const path = announced(file);
  if (!existsSync(path) || readFileSync(path, 'utf8') === written(next)) return undefined;
  return read(path);
}

export function removeCheckpoint(file: string): void {
  for (const path of [file, announced(file)]) rmSync(path, { force: true });
}

function written(state: CompiledState): string {
  return `${JSON.stringify({ format: FORMAT, state: encode(state) })}\n`;
}

function read(file: string): CompiledState | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const { format, state } = JSON.parse(readFileSync(file, 'utf8')) as { format?: number; state?: unknown };
    return format === FORMAT ? (decode(state) as CompiledState) : undefined;
  } catch {
    return undefined;
  }
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
