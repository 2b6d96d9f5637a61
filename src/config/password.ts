/** RFC 2338 §5.3.10: the authentication data of VRRPv2. */
const DATA_BYTES = 8;

/**
 * The password of a virtual router, as the programs compare it.
 *
 * It never shows itself: JSON, string and console output are `[secret]`.
 */
export class Password {
  readonly #text: string;

  /** At most 8 bytes count; Latin-1. */
  constructor(text: string) {
    this.#text = text;
  }

  /** Padded with zeros, as on the wire. */
  data(): Buffer {
    const data = Buffer.alloc(DATA_BYTES);
    data.write(this.#text, 'latin1');
    return data;
  }

  equals(other: Password): boolean {
    return this.data().equals(other.data());
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
