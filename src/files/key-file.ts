/** The file with the key that both gateways share, or two of them while one follows the other. Nothing said about it quotes it. */
import { readFileSync, statSync } from 'node:fs';
import { parseKeys } from '../config/key.js';
import type { Keys } from '../config/key.js';
import { reasonOf } from './text-file.js';

export type KeyFileErrorCode = 'FLOATGATE_ERR_KEY_UNREADABLE' | 'FLOATGATE_ERR_KEY_INVALID';
export const keyPermissionsCode = 'FLOATGATE_WARN_KEY_PERMISSIONS';

/** A key file that cannot be used. */
export class KeyFileError extends Error {
  readonly code: KeyFileErrorCode;

  constructor(code: KeyFileErrorCode, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

export interface KeyFile {
  readonly keys: Keys;
  /** A sentence, when others than the owner can read or change the file. */
  readonly warning: string | undefined;
}

/** @throws KeyFileError with one sentence */
export function readKeyFile(file: string): KeyFile {
  const parsed = parseKeys(textOf(file));
  if ('error' in parsed) throw new KeyFileError('FLOATGATE_ERR_KEY_INVALID', `sync.keyFile is ${file}, but ${parsed.error}.`);
  const isOpen = (statSync(file).mode & 0o077) !== 0;
  return { keys: parsed, warning: isOpen ? `sync.keyFile is ${file}, but other users can read or change it: chmod 600 ${file}.` : undefined };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new KeyFileError('FLOATGATE_ERR_KEY_UNREADABLE', `sync.keyFile is ${file}, but it cannot be read: ${reasonOf(error)}.`);
  }
}
