/** Why packets left the programs, summed over CPUs. */

export interface Counter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** What is needed of libbpf-ts's PerCpuMap. */
export interface PerCpuCounters {
  get(reason: number): readonly Counter[];
}

export class Counters {
  readonly #map: PerCpuCounters;
  /** Index = enum reason. */
  readonly #names: readonly string[];

  constructor(map: PerCpuCounters, names: readonly string[]) {
    this.#map = map;
    this.#names = names;
  }

  /** One reason; enum reason. */
  read(reason: number): Counter {
    let packets = 0n;
    let bytes = 0n;
    for (const cpu of this.#map.get(reason)) {
      packets += cpu.packets;
      bytes += cpu.bytes;
    }
    return { packets, bytes };
  }

  /** Every reason by its name, in the order of enum reason. */
  readAll(): Map<string, Counter> {
    return new Map(this.#names.map((name, reason) => [name, this.read(reason)]));
  }
}
