/** Whose BFD the programs take note of, and what they tell of it. */
import { bfdKeyCodec, bfdReportCodec, bfdSessionCodec } from './layout.generated.js';
import type { BfdKey } from './layout.generated.js';
import { BpfMap, TypedMap } from 'libbpf-ts';
import type { DataPlaneEvent } from './events.js';

/** Of bpf/layout.h: a macro is not in BTF. */
export const BFD_SESSIONS = 4096;

/** A compute's tunnel endpoint towards a virtual router. */
export interface BfdEndpoint {
  readonly vrid: number;
  /** Unsigned 32-bit, host order. */
  readonly address: number;
  /** enum encapsulation: of the tunnel. */
  readonly encapsulation: number;
}

/** What a compute has said, whose headers and fields are in order (RFC 5880 §6.8.6). */
export interface BfdMessage {
  /** Where its frame came from: the way back. */
  readonly mac: Buffer;
  /** RFC 5880 §4.1. */
  readonly packet: Buffer;
  /** CLOCK_MONOTONIC. */
  readonly receivedNs: bigint;
}

export interface BfdReport extends BfdEndpoint, BfdMessage {
  /** It is in the table. */
  readonly known: boolean;
}

/** Undefined for a record that is shorter than its struct. */
export function decodeBfdReport({ frame, receivedNs }: Pick<DataPlaneEvent, 'frame' | 'receivedNs'>): BfdReport | undefined {
  if (frame.length < bfdReportCodec.size) return undefined;
  const { key, mac, known, packet } = bfdReportCodec.decode(frame);
  return { ...endpointOf(key), known: known !== 0, mac: Buffer.from(mac), packet: Buffer.from(packet), receivedNs };
}

export class BfdTable {
  readonly #map: TypedMap<BfdKey, ReturnType<typeof bfdSessionCodec.decode>>;

  constructor(map: BpfMap) {
    this.#map = new TypedMap(map, bfdKeyCodec, bfdSessionCodec);
  }

  /** From now on the programs take note of it; what they knew of it is forgotten. @throws SystemError E2BIG when the table is full */
  set(endpoint: BfdEndpoint, localDiscriminator: number): void {
    this.#map.set(keyOf(endpoint), { receivedNs: 0n, toldNs: 0n, localDiscriminator, mac: Buffer.alloc(6), untold: 0, term: 0, packet: Buffer.alloc(24) });
  }

  delete(endpoint: BfdEndpoint): void {
    this.#map.delete(keyOf(endpoint));
  }

  /** The last packet that counts. */
  heard(endpoint: BfdEndpoint): BfdMessage | undefined {
    const session = this.#map.get(keyOf(endpoint));
    return session === undefined || session.receivedNs === 0n ? undefined : session;
  }

  /** Of an earlier daemon, perhaps. */
  clear(): void {
    for (const key of [...this.#map.keys()]) this.#map.delete(key);
  }
}

function keyOf({ vrid, address, encapsulation }: BfdEndpoint): BfdKey {
  return { endpoint: address, virtualRouter: vrid, encapsulation };
}

function endpointOf({ endpoint, virtualRouter, encapsulation }: BfdKey): BfdEndpoint {
  return { vrid: virtualRouter, address: endpoint, encapsulation };
}
