/** Where the VMs of each network are, read from the programs' table in mapped memory. */
import type { BpfMap } from 'libbpf-ts';
import { encapsulationShift } from '../compile/routers.js';
import { vmCodec, vmFlag, vmOffsets } from './layout.generated.js';

/** One of a compute's tunnel endpoints. */
export interface TunnelEndpoint {
  /** Unsigned 32-bit, host order. */
  readonly address: number;
  /** enum encapsulation. */
  readonly encapsulation: number;
}

export interface Compute {
  /** Its tunnel endpoint: unsigned 32-bit, host order. */
  readonly address: number;
  /** All zero: the configuration says that it is there, and nothing was heard of it. */
  readonly nextHopMac: Buffer;
}

/** A table is read no more often. */
const FRESH_NS = 1_000_000_000n;

export class Computes {
  readonly #vms: Buffer;
  readonly #nowNs: () => bigint;
  #byNetwork: ReadonlyMap<number, ReadonlyMap<number, Compute>> = new Map();
  #readNs: bigint | undefined;

  constructor(vms: Pick<BpfMap, 'mmap'>, nowNs: () => bigint) {
    this.#vms = vms.mmap();
    this.#nowNs = nowNs;
  }

  /** Those that VMs of the network are on; where none is known, all that any VM is on. */
  of(network: number): readonly Compute[] {
    this.#refresh();
    const own = this.#byNetwork.get(network);
    return own === undefined ? this.#all() : [...own.values()];
  }

  /** Those that any VM is on. */
  all(): readonly Compute[] {
    this.#refresh();
    return this.#all();
  }

  #all(): readonly Compute[] {
    return [...new Map([...this.#byNetwork.values()].flatMap((computes) => [...computes])).values()];
  }

  #refresh(): void {
    const now = this.#nowNs();
    if (this.#readNs === undefined || now - this.#readNs >= FRESH_NS) {
      this.#byNetwork = this.#read();
      this.#readNs = now;
    }
  }

  /** All that VMs are on, each once. */
  endpoints(): TunnelEndpoint[] {
    const found = new Map<string, TunnelEndpoint>();
    for (const at of this.#used()) {
      const address = this.#vms.readUInt32BE(at + vmOffsets.tunnelEndpoint);
      const encapsulation = this.#vms.readUInt32LE(at + vmOffsets.vni) >>> encapsulationShift;
      found.set(`${encapsulation}/${address}`, { address, encapsulation });
    }
    return [...found.values()];
  }

  #read(): Map<number, Map<number, Compute>> {
    const found = new Map<number, Map<number, Compute>>();
    for (const at of this.#used()) {
      const address = this.#vms.readUInt32BE(at + vmOffsets.tunnelEndpoint);
      const network = this.#vms.readUInt32LE(at + vmOffsets.network);
      const computes = found.get(network) ?? new Map<number, Compute>();
      found.set(network, computes);
      const nextHopMac = Buffer.from(this.#vms.subarray(at + vmOffsets.nextHopMac, at + vmOffsets.nextHopMac + 6));
      const isBlank = (mac: Buffer | undefined): boolean => mac?.every((byte) => byte === 0) ?? true;
      if (isBlank(computes.get(address)?.nextHopMac)) computes.set(address, { address, nextHopMac });
    }
    return found;
  }

  /** Where VMs stand whose place is known. */
  *#used(): IterableIterator<number> {
    for (let at = 0; at < this.#vms.length; at += vmCodec.size) {
      if (this.#vms.readUInt32BE(at + vmOffsets.tunnelEndpoint) === 0) continue;
      if ((this.#vms.readUInt32LE(at + vmOffsets.flags) & vmFlag.retired) === 0) yield at;
    }
  }
}
