/**
 * SipHash-2-4 (Aumasson, Bernstein 2012), written from the paper with bigints so
 * that it shares no line with bpf/siphash.h.
 */
const MASK = (1n << 64n) - 1n;

function rotateLeft(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

type State = [bigint, bigint, bigint, bigint];

function sipRound([v0, v1, v2, v3]: State): State {
  v0 = (v0 + v1) & MASK;
  v1 = rotateLeft(v1, 13n) ^ v0;
  v0 = rotateLeft(v0, 32n);
  v2 = (v2 + v3) & MASK;
  v3 = rotateLeft(v3, 16n) ^ v2;
  v0 = (v0 + v3) & MASK;
  v3 = rotateLeft(v3, 21n) ^ v0;
  v2 = (v2 + v1) & MASK;
  v1 = rotateLeft(v1, 17n) ^ v2;
  v2 = rotateLeft(v2, 32n);
  return [v0, v1, v2, v3];
}

function compress(state: State, word: bigint): State {
  const mixed = sipRound(sipRound([state[0], state[1], state[2], state[3] ^ word]));
  return [mixed[0] ^ word, mixed[1], mixed[2], mixed[3]];
}

/** The 64-bit hash of `bytes` under the key (k0, k1), each little-endian as in the paper. */
export function sipHash24(key: readonly [bigint, bigint], bytes: Uint8Array): bigint {
  const [k0, k1] = key;
  let state: State = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const padded = Buffer.alloc(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  for (let offset = 0; offset < padded.length; offset += 8) {
    state = compress(state, padded.readBigUInt64LE(offset));
  }
  state = [state[0], state[1], state[2] ^ 0xffn, state[3]];
  for (let round = 0; round < 4; round++) state = sipRound(state);
  return state[0] ^ state[1] ^ state[2] ^ state[3];
}
