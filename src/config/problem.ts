/**
 * What can be wrong with a configuration, as values: code, place, sentence.
 *
 * Every message is one sentence that a person can act on without looking
 * anything up: where, which key, what it says, what it may say.
 */

/** Stable codes: scripts may rely on them; messages may change. */
export type ConfigurationErrorCode =
  /** Not YAML, or YAML that says one thing twice. */
  | 'FLOATGATE_ERR_CONFIG_SYNTAX'
  | 'FLOATGATE_ERR_CONFIG_UNKNOWN_KEY'
  | 'FLOATGATE_ERR_CONFIG_MISSING_KEY'
  | 'FLOATGATE_ERR_CONFIG_INVALID_VALUE'
  /** Each value is good by itself, together they are not. */
  | 'FLOATGATE_ERR_CONFIG_CONFLICT'
  /** A name that nothing in the file has. */
  | 'FLOATGATE_ERR_CONFIG_UNKNOWN_REFERENCE';

export type ConfigurationWarningCode =
  /** A timeout shorter than an RFC demands. */
  | 'FLOATGATE_WARN_CONFIG_SHORT_TIMEOUT'
  | 'FLOATGATE_WARN_CONFIG_UNUSED'
  /** Allowed, but sessions will not survive what they could survive. */
  | 'FLOATGATE_WARN_CONFIG_UNPROTECTED';

/** Keys and list positions from the top of the file: `['routers', 0, 'name']`. */
export type KeyPath = readonly (string | number)[];

export interface Problem<Code extends string> {
  readonly code: Code;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `routers[0].name`; empty for the file as a whole. */
  readonly path: string;
  /** One sentence, the place included. */
  readonly message: string;
}

export type ConfigurationError = Problem<ConfigurationErrorCode>;
export type ConfigurationWarning = Problem<ConfigurationWarningCode>;

/**
 * Makes problems: `says` is the tail of a sentence about the key at `path`. The
 * value as the user wrote it comes in for `{value}`, for it is not always what
 * it was parsed to.
 */
export type Reporter = <Code extends string>(code: Code, path: KeyPath, says: string, at?: 'key' | 'value') => Problem<Code>;

/** `['routers', 0, 'name']` → `routers[0].name`. */
export function formatPath(path: KeyPath): string {
  return path
    .map((part, depth) => (typeof part === 'number' ? `[${part}]` : depth === 0 ? formatKey(part) : `.${formatKey(part)}`))
    .join('');
}

/** A key as it is, or quoted when it holds what would break the line or the path. */
function formatKey(key: string): string {
  return /^[\w-]+$/.test(key) ? key : JSON.stringify(shorten(key));
}

/** The value as the user wrote it, on one line and not too long. */
export function shorten(value: string): string {
  const line = value.replace(/\s+/g, ' ').trim();
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
