import type { z } from 'zod';
import { crossCheck } from './cross-checks.js';
import { ConfigurationDocument } from './document.js';
import { isSecret, keysAt } from './json-schema.js';
import { normalise } from './normalise.js';
import { formatPath } from './problem.js';
import type { ConfigurationError, ConfigurationErrorCode, ConfigurationWarning, KeyPath, Reporter } from './problem.js';
import { configurationSchema } from './schema.js';
import type { Configuration } from './schema.js';
import { suggest } from './suggestion.js';

export type ConfigurationResult =
  | { readonly configuration: Configuration; readonly warnings: readonly ConfigurationWarning[]; readonly errors?: undefined }
  | { readonly configuration?: undefined; readonly errors: readonly ConfigurationError[] };

/**
 * Reads a configuration file's text. Never throws, reads nothing else.
 *
 * @param text the file's content, YAML 1.2
 * @param fileName for the messages only
 * @returns the configuration and what is odd about it, or everything that is
 *   wrong with it, in the order of the file
 */
export function parseConfiguration(text: string, fileName: string): ConfigurationResult {
  const document = new ConfigurationDocument(text, fileName);
  if (document.errors.length > 0) return { errors: document.errors };
  const result = configurationSchema.safeParse(document.value);
  const report = reporter(document, fileName);
  if (!result.success) return { errors: inFileOrder(result.error.issues.flatMap((issue) => schemaErrors(issue, document, report))) };
  const { errors, warnings } = crossCheck(result.data, report);
  if (errors.length > 0) return { errors: inFileOrder(errors) };
  return { configuration: normalise(result.data), warnings: inFileOrder(warnings) };
}

/** In the place of what is nobody's business. */
const SECRET = '[secret]';

function reporter(document: ConfigurationDocument, file: string): Reporter {
  return (code, path, says, at = 'value') => {
    const position = at === 'key' ? document.keyPosition(path) : document.position(path);
    const sentence = says.replace('{value}', () => (isSecret(path) ? SECRET : document.source(path) ?? '(not written)'));
    return { code, file, ...position, path: formatPath(path), message: document.sentence(path, position, sentence) };
  };
}

function schemaErrors(issue: z.core.$ZodIssue, document: ConfigurationDocument, report: Reporter): ConfigurationError[] {
  const path = issue.path as KeyPath;
  if (issue.code === 'unrecognized_keys') {
    const allowed = keysAt(path);
    return issue.keys.map((key) => report<ConfigurationErrorCode>('FLOATGATE_ERR_CONFIG_UNKNOWN_KEY', [...path, key], unknownKey(key, allowed), 'key'));
  }
  const value = valueAt(document.value, path);
  if (value === undefined) {
    return [report('FLOATGATE_ERR_CONFIG_MISSING_KEY', path, `is missing: it must be ${issue.message}`)];
  }
  return [report('FLOATGATE_ERR_CONFIG_INVALID_VALUE', path, `is ${isSecret(path) ? SECRET : describe(value, document.source(path))}, but must be ${issue.message}`)];
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const guess = suggest(key, allowed);
  const advice = guess === undefined ? `the keys here are ${allowed.join(', ')}` : `did you mean ${guess}`;
  return `is not a key that exists: ${advice}`;
}

/** The bad value, in as few words as still tell what it is. */
function describe(value: unknown, source: string | undefined): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return source === undefined || source === '' ? JSON.stringify(value) : source;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((parent, part) => (parent as Record<string | number, unknown> | null | undefined)?.[part], value);
}

function inFileOrder<P extends { line: number; column: number }>(problems: P[]): P[] {
  return problems.sort((one, other) => one.line - other.line || one.column - other.column);
}
