/**
 * The last well-formed advertisements, as the programs have noted them: read
 * through the map's mapping into this process, while the programs go on writing.
 */
import type { BpfMap } from 'libbpf-ts';
import { advertisementCodec, advertisementKindCount, advertisementOffsets } from './layout.generated.js';

export interface NotedAdvertisement {
  /** IPv4, header included. */
  readonly packet: Buffer;
  /** CLOCK_MONOTONIC. */
  readonly receivedNs: bigint;
}

/** A program that is at it takes less than a microsecond. */
const ATTEMPTS = 100;

export class AdvertisementNotes {
  readonly #memory: Buffer;
  readonly #words: BigUint64Array;
  /** By index: when the one that was read last had come. */
  readonly #readNs = new Map<number, bigint>();

  constructor(map: Pick<BpfMap, 'mmap'>) {
    // Kept: the words do not keep the mapping alive by themselves.
    this.#memory = map.mmap();
    this.#words = new BigUint64Array(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length / 8);
  }

  /** What came since the last call for this virtual router, the oldest first: at most one of each kind. */
  unread(vrid: number): NotedAdvertisement[] {
    const indexes = Array.from({ length: advertisementKindCount }, (_, kind) => vrid * advertisementKindCount + kind);
    return indexes
      .flatMap((index) => this.#unreadAt(index) ?? [])
      .sort((one, other) => (one.receivedNs < other.receivedNs ? -1 : 1));
  }

  #unreadAt(index: number): NotedAdvertisement | undefined {
    const word = (index * advertisementCodec.size + advertisementOffsets.receivedNs) / 8;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const receivedNs = Atomics.load(this.#words, word);
      if (receivedNs === this.#readNs.get(index)) return undefined;
      // None, or it is being written.
      if (receivedNs === 0n) continue;
      const packet = this.#packetAt(index);
      if (Atomics.load(this.#words, word) !== receivedNs) continue;
      this.#readNs.set(index, receivedNs);
      return { packet, receivedNs };
    }
    return undefined;
  }

  #packetAt(index: number): Buffer {
    const at = index * advertisementCodec.size;
    const length = this.#memory.readUInt32LE(at + advertisementOffsets.length);
    const start = at + advertisementOffsets.packet;
    return Buffer.from(this.#memory.subarray(start, Math.min(start + length, at + advertisementCodec.size)));
  }
}
