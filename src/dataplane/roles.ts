/**
 * The virtual_routers array, written through its mapping into this process: a
 * role changes by single aligned 8-byte stores, which programs on other CPUs
 * see whole, and costs no system call.
 */
import type { BpfMap } from 'libbpf-ts';

/** Offsets into struct virtual_router; checked against the generated layout in the unit test. */
export const VIRTUAL_ROUTER_BYTES = 40;
const STATE_AND_TERM = 0;
const LEASE_UNTIL_NS = 8;
const ACTIVE_SINCE_NS = 16;

export interface RoleWord {
  readonly state: number;
  readonly term: number;
}

export class Roles {
  readonly #memory: Buffer;
  readonly #words: BigUint64Array;

  constructor(map: Pick<BpfMap, 'mmap'>) {
    // Kept: the words do not keep the mapping alive by themselves.
    this.#memory = map.mmap();
    this.#words = new BigUint64Array(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length / 8);
  }

  read(vrid: number): RoleWord & { readonly leaseUntilNs: bigint; readonly activeSinceNs: bigint } {
    const word = Atomics.load(this.#words, index(vrid, STATE_AND_TERM));
    return {
      state: Number(word & 0xffffffffn),
      term: Number(word >> 32n),
      leaseUntilNs: Atomics.load(this.#words, index(vrid, LEASE_UNTIL_NS)),
      activeSinceNs: Atomics.load(this.#words, index(vrid, ACTIVE_SINCE_NS)),
    };
  }

  /** State and term are one word (little-endian machines only, as the addon is built for). */
  setRole(vrid: number, role: RoleWord): void {
    Atomics.store(this.#words, index(vrid, STATE_AND_TERM), BigInt(role.state >>> 0) | (BigInt(role.term >>> 0) << 32n));
  }

  /** CLOCK_MONOTONIC: past it, and with a living peer, the programs stop forwarding. */
  renewLease(vrid: number, untilNs: bigint): void {
    Atomics.store(this.#words, index(vrid, LEASE_UNTIL_NS), untilNs);
  }

  setActiveSince(vrid: number, atNs: bigint): void {
    Atomics.store(this.#words, index(vrid, ACTIVE_SINCE_NS), atNs);
  }
}

function index(vrid: number, offset: number): number {
  return (vrid * VIRTUAL_ROUTER_BYTES + offset) / 8;
}
