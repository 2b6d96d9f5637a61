import { Secret } from './secret.js';

/**
 * The key that the two gateways share: SipHash-2-4's 128 bits, as the two
 * little-endian words that its specification calls k0 and k1.
 */
export class SecretKey extends Secret {
  readonly #words: readonly [bigint, bigint];

  constructor(words: readonly [bigint, bigint]) {
    super();
    this.#words = words;
  }

  /** k0 and k1, for `struct gateway`'s `key`. */
  words(): [bigint, bigint] {
    return [...this.#words];
  }

  equals(other: SecretKey): boolean {
    return this.#words[0] === other.#words[0] && this.#words[1] === other.#words[1];
  }
}

/** What a key file holds. */
export interface Keys {
  /** What this gateway says is sealed with it. */
  readonly key: SecretKey;
  /** Accepted as well, while one key follows another. */
  readonly otherKey: SecretKey | undefined;
}

/** Reads a key file's text: one key, or two on lines of their own. The error is as parseKey()'s. */
export function parseKeys(text: string): Keys | { readonly error: string } {
  const lines = text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [{ text: line, number: index + 1 }]));
  if (lines.length > 2) return { error: `it has ${lines.length} keys, but must have one, or two on lines of their own while one follows the other: the first signs, both are accepted` };
  const [first, second] = lines;
  const key = parseKey(first?.text ?? '');
  if ('error' in key) return second === undefined ? key : { error: `line ${first!.number}: ${key.error}` };
  if (second === undefined) return { key: key.key, otherKey: undefined };
  const other = parseKey(second.text);
  if ('error' in other) return { error: `line ${second.number}: ${other.error}` };
  if (other.key.equals(key.key)) return { error: `line ${second.number}: the key is that of line ${first!.number}, but the second one must be another` };
  return { key: key.key, otherKey: other.key };
}

/**
 * Reads one key: 32 hexadecimal digits (128 bits), white space around
 * them ignored. The error is one sentence and quotes nothing of the file.
 */
export function parseKey(text: string): { readonly key: SecretKey } | { readonly error: string } {
  const digits = text.trim();
  const advice = 'write one with: openssl rand -hex 16';
  if (digits.length !== 32) {
    return { error: `the key has ${digits.length} characters, but must have 32 hexadecimal digits (128 bits); ${advice}` };
  }
  const wrong = digits.search(/[^0-9a-fA-F]/);
  if (wrong !== -1) {
    return { error: `the key's character ${wrong + 1} is not a hexadecimal digit, but the key must have 32 of them; ${advice}` };
  }
  if (/^0+$/.test(digits)) {
    return { error: `the key is all zeros, which protects nothing; ${advice}` };
  }
  const bytes = Buffer.from(digits, 'hex');
  return { key: new SecretKey([bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)]) };
}
