/** What the programs keep, read through mapped memory: no system call, however often. */
import type { BpfMap } from 'libbpf-ts';
import { livenessAnswered } from './liveness.js';
import { gatewayStateOffsets, portBlockCodec, portBlockOffsets } from './layout.generated.js';

export interface GatewayStateView {
  /** CLOCK_MONOTONIC of the peer's last authentic frame; 0: never. */
  readonly peerHeardNs: bigint;
  /** Records frames that the peer has applied. */
  readonly acknowledged: bigint;
  /** Those of them that are of bulk synchronisation or a repair. */
  readonly bulkAcknowledged: bigint;
  /** VM slots ever taken. */
  readonly vms: number;
}

export class Tables {
  readonly #state: Buffer;
  readonly #stateWords: BigUint64Array;
  readonly #portBlocks: Buffer;
  readonly #liveness: Buffer;
  readonly #livenessWords: BigUint64Array;

  constructor(maps: { readonly gatewayStates: Pick<BpfMap, 'mmap'>; readonly portBlocks: Pick<BpfMap, 'mmap'>; readonly liveness: Pick<BpfMap, 'mmap'> }) {
    this.#state = maps.gatewayStates.mmap();
    this.#stateWords = new BigUint64Array(this.#state.buffer, this.#state.byteOffset, this.#state.length / 8);
    this.#portBlocks = maps.portBlocks.mmap();
    this.#liveness = maps.liveness.mmap();
    this.#livenessWords = new BigUint64Array(this.#liveness.buffer, this.#liveness.byteOffset, this.#liveness.length / 8);
  }

  gatewayState(): GatewayStateView {
    const word = (offset: number): bigint => Atomics.load(this.#stateWords, offset / 8);
    return {
      peerHeardNs: word(gatewayStateOffsets.peerHeardNs),
      acknowledged: word(gatewayStateOffsets.acknowledged),
      bulkAcknowledged: word(gatewayStateOffsets.bulkAcknowledged),
      vms: this.#state.readUInt32LE(gatewayStateOffsets.vms),
    };
  }

  /** CLOCK_MONOTONIC of the peer's last answer to a heartbeat of ours; 0: never. `way`: enum sync_path. */
  answeredNs(way: number): bigint {
    return Atomics.load(this.#livenessWords, livenessAnswered(way) / 8);
  }

  /** Shared-SNAT mappings in use: the port blocks count theirs, so nobody walks the mappings. */
  mappingsInUse(): number {
    let sum = 0;
    for (let at = 0; at + portBlockCodec.size <= this.#portBlocks.length; at += portBlockCodec.size) {
      sum += this.#portBlocks.readUInt32LE(at + portBlockOffsets.mappings);
    }
    return sum;
  }
}
