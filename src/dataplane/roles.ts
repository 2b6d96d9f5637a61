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
const ADDRESS = 24;
const MAC = 28;

/** Of a virtual router's lease, in the mapping of virtual_routers. */
export function leaseOffset(vrid: number): number {
  return vrid * VIRTUAL_ROUTER_BYTES + LEASE_UNTIL_NS;
}

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

  /** Adopts a higher term without touching the state, also while programs do the same. */
  raiseTerm(vrid: number, term: number): void {
    const at = index(vrid, STATE_AND_TERM);
    for (;;) {
      const word = Atomics.load(this.#words, at);
      if (Number(word >> 32n) >= term) return;
      const raised = (word & 0xffffffffn) | (BigInt(term >>> 0) << 32n);
      if (Atomics.compareExchange(this.#words, at, word, raised) === word) return;
    }
  }

  /** CLOCK_MONOTONIC: past it, and with a living peer, the programs stop forwarding. */
  renewLease(vrid: number, untilNs: bigint): void {
    Atomics.store(this.#words, index(vrid, LEASE_UNTIL_NS), untilNs);
  }

  setActiveSince(vrid: number, atNs: bigint): void {
    Atomics.store(this.#words, index(vrid, ACTIVE_SINCE_NS), atNs);
  }

  /** What the configuration says of a virtual router; its role stays. `address`: unsigned 32-bit, host order. */
  configure(vrid: number, address: number, mac: Buffer): void {
    const at = vrid * VIRTUAL_ROUTER_BYTES;
    this.#memory.writeUInt32BE(address, at + ADDRESS);
    mac.copy(this.#memory, at + MAC, 0, 6);
  }

  /** A virtual router that is gone: first it stops forwarding. */
  clear(vrid: number): void {
    this.setRole(vrid, { state: 0, term: 0 });
    const at = vrid * VIRTUAL_ROUTER_BYTES;
    this.#memory.fill(0, at, at + VIRTUAL_ROUTER_BYTES);
  }
}

function index(vrid: number, offset: number): number {
  return (vrid * VIRTUAL_ROUTER_BYTES + offset) / 8;
}
