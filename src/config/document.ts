import { isAlias, isCollection, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node, Pair } from 'yaml';
import { formatPath, shorten } from './problem.js';
import type { ConfigurationError, KeyPath } from './problem.js';

/** Where something is in the file; both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * A YAML file that remembers where everything was, so that whatever turns out
 * to be wrong with a value later can be reported at its line and column.
 */
export class ConfigurationDocument {
  /** The file's data; undefined when there are syntax errors. */
  readonly value: unknown;
  readonly errors: readonly ConfigurationError[];
  readonly #text: string;
  readonly #file: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, logLevel: 'silent' });
    // The first one only: what a parser finds after it has stumbled is mostly about its own fall.
    const errors = [...this.#document.errors, ...this.#document.warnings]
      .sort((one, other) => one.pos[0] - other.pos[0])
      .slice(0, 1)
      .map((error) => this.#syntaxError(error.message, this.#positionOf(error.pos[0])));
    if (errors.length === 0) {
      try {
        this.value = this.#document.toJS({ maxAliasCount: 100 });
      } catch (error) {
        // Aliases that multiply (the "billion laughs") are noticed only here.
        errors.push(this.#syntaxError((error as Error).message, { line: 1, column: 1 }));
      }
    }
    this.errors = errors;
  }

  /** Where the value of that key path is; where its nearest parent is when the file does not have it. */
  position(path: KeyPath): Position {
    const { pair, node } = this.#nearest(path);
    return this.#positionOf(node?.range?.[0] ?? keyOffset(pair) ?? 0);
  }

  /** Where the key is, rather than its value: for keys that should not be there at all. */
  keyPosition(path: KeyPath): Position {
    const { pair, node } = this.#nearest(path);
    return this.#positionOf(keyOffset(pair) ?? node?.range?.[0] ?? 0);
  }

  /** The value as written, quotes included; undefined when the file has no such key or it is a list or mapping. */
  source(path: KeyPath): string | undefined {
    const { node, complete } = this.#nearest(path);
    if (!complete || !isScalar(node) || !node.range) return undefined;
    return shorten(this.#text.slice(node.range[0], node.range[1]));
  }

  /** Builds the one sentence of an error; `says` starts with a verb ("is 300, but must be …"). */
  sentence(path: KeyPath, position: Position, says: string): string {
    const subject = path.length === 0 ? 'the configuration' : formatPath(path);
    return `${this.#file}:${position.line}:${position.column}: ${subject} ${says}.`;
  }

  #syntaxError(message: string, position: Position): ConfigurationError {
    const says = shortenSyntax(message);
    return {
      code: 'FLOATGATE_ERR_CONFIG_SYNTAX',
      file: this.#file,
      ...position,
      path: '',
      message: this.sentence([], position, `is not valid YAML here: ${says}`),
    };
  }

  #positionOf(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  #nearest(path: KeyPath): { pair: Pair | undefined; node: Node | undefined; complete: boolean } {
    let node: unknown = this.#document.contents;
    let pair: Pair | undefined;
    for (const part of path) {
      const next = this.#child(node, part);
      if (next === undefined) return { pair, node: this.#resolved(node), complete: false };
      pair = isPair(next) ? next : undefined;
      node = isPair(next) ? next.value : next;
    }
    return { pair, node: this.#resolved(node), complete: true };
  }

  #child(parent: unknown, part: string | number): unknown {
    const collection = this.#resolved(parent);
    if (isMap(collection)) return collection.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
    if (isSeq(collection)) return collection.items[Number(part)];
    return undefined;
  }

  #resolved(node: unknown): Node | undefined {
    if (isAlias(node)) return node.resolve(this.#document);
    return isScalar(node) || isCollection(node) ? node : undefined;
  }
}

function keyOffset(pair: Pair | undefined): number | undefined {
  return isScalar(pair?.key) || isCollection(pair?.key) ? pair.key.range?.[0] : undefined;
}

/** The parser's words as the tail of our sentence. */
function shortenSyntax(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim().replace(/[.:]$/, '');
  return line.charAt(0).toLowerCase() + line.slice(1);
}
