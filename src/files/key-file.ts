/** The file with the key that both gateways share. Nothing said about it quotes it. */
import { readFileSync, statSync } from 'node:fs';
import { parseKey } from '../config/key.js';
import type { SecretKey } from '../config/key.js';
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
  readonly key: SecretKey;
  /** A sentence, when others than the owner can read or change the file. */
  readonly warning: string | undefined;
}

/** @throws KeyFileError with one sentence */
export function readKeyFile(file: string): KeyFile {
  const parsed = parseKey(textOf(file));
  if ('error' in parsed) throw new KeyFileError('FLOATGATE_ERR_KEY_INVALID', `sync.keyFile is ${file}, but ${parsed.error}.`);
  const isOpen = (statSync(file).mode & 0o077) !== 0;
  return { key: parsed.key, warning: isOpen ? `sync.keyFile is ${file}, but other users can read or change it: chmod 600 ${file}.` : undefined };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new KeyFileError('FLOATGATE_ERR_KEY_UNREADABLE', `sync.keyFile is ${file}, but it cannot be read: ${reasonOf(error)}.`);
  }
}
