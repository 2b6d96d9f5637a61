/** The sums of what is replicated, and which of them a walk is about. In shared memory. */
import type { BpfMap } from 'libbpf-ts';
import { segmentCodec, segmentOffsets, walkKind } from './layout.generated.js';

export class Segments {
  readonly #memory: Buffer;

  constructor(map: Pick<BpfMap, 'mmap'>) {
    this.#memory = map.mmap();
  }

  /** Before a walk sums up anew. */
  clear(): void {
    for (const at of this.#places()) this.#memory.writeBigUInt64LE(0n, at + segmentOffsets.digest);
  }

  /** 16 hexadecimal digits each. */
  digests(): string[] {
    return this.#places().map((at) => this.#memory.readBigUInt64LE(at + segmentOffsets.digest).toString(16).padStart(16, '0'));
  }

  /** The walk is about these segments from now on, and no others. What other walks are about stays. */
  want(walk: 'doubt' | 'repair', segments: readonly number[]): void {
    const bit = 1 << walkKind[walk], chosen = new Set(segments);
    for (const [index, at] of this.#places().entries()) {
      const others = this.#memory.readUInt32LE(at + segmentOffsets.wanted) & ~bit;
      this.#memory.writeUInt32LE((chosen.has(index) ? others | bit : others) >>> 0, at + segmentOffsets.wanted);
    }
  }

  #places(): number[] {
    return Array.from({ length: Math.floor(this.#memory.length / segmentCodec.size) }, (_, index) => index * segmentCodec.size);
  }
}
