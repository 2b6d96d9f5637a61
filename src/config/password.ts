import { Secret } from './secret.js';

/** RFC 2338 §5.3.10: the authentication data of VRRPv2. */
const DATA_BYTES = 8;

/**
 * The password of a virtual router, as the programs compare it.
 */
export class Password extends Secret {
  readonly #text: string;

  /** At most 8 bytes count; Latin-1. */
  constructor(text: string) {
    super();
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
}
