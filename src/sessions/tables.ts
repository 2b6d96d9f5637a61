/**
 * The tables that the programs fill, session by session, in mapped memory. Port
 * forwardings are mappings that have no sessions. The tables
 * are written meanwhile: what is read is true of its slot at that moment, and a
 * slot that changed hands while it was read counts as free.
 *
 * A position is a number: first come the mappings, of which each has the place
 * of its first session, then the slots of all further ones.
 */
import type { Ipv4Address } from '../config/address.js';
import { mappingCodec, mappingFlag, mappingOffsets, mappingProtocolCount, sessionOffsets, sessionSlotCodec, sessionSlotOffsets, sessionState, vmCodec, vmOffsets } from '../dataplane/layout.generated.js';

const PORTS = 65_536;
const MAPPING_WORDS = mappingCodec.size / 4;
const SLOT_WORDS = sessionSlotCodec.size / 4;
const VM_WORDS = vmCodec.size / 4;

export interface SessionMemory {
  readonly mappings: Buffer;
  readonly sessions: Buffer;
  readonly vms: Buffer;
}

export interface Session {
  readonly position: number;
  /** Index into mappings. */
  readonly mapping: number;
  /** Index into vms. */
  readonly vm: number;
  /** enum mapping_protocol */
  readonly protocol: number;
  /** Index into snat_addresses. */
  readonly addressIndex: number;
  readonly externalPort: number;
  readonly internalPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
  /** enum session_state */
  readonly state: number;
  /** enum session_flag */
  readonly flags: number;
  /** Ticks. */
  readonly lastSeen: number;
}

export interface Vm {
  /** 0: not heard yet. */
  readonly tunnelEndpoint: Ipv4Address;
  readonly mac: Buffer;
  /** Index into floating_ip_counters; 0: none. */
  readonly floatingIpCounter: number;
  /** Ticks; 0: not heard yet. */
  readonly lastSeen: number;
}

export class SessionTables {
  readonly mappingSlots: number;
  /** Of both tables: positions are below. */
  readonly slots: number;
  readonly vmSlots: number;
  /** Words do not keep the mapping alive by themselves. */
  readonly memory: SessionMemory;
  readonly #mappings: Uint32Array;
  readonly #sessions: Uint32Array;
  readonly #vms: Uint32Array;

  constructor(memory: SessionMemory) {
    this.memory = memory;
    this.#mappings = wordsOf(memory.mappings);
    this.#sessions = wordsOf(memory.sessions);
    this.#vms = wordsOf(memory.vms);
    this.mappingSlots = this.#mappings.length / MAPPING_WORDS;
    this.slots = this.mappingSlots + this.#sessions.length / SLOT_WORDS;
    this.vmSlots = Math.floor(this.#vms.length / VM_WORDS);
  }

  /** The first position from `from` on, and before `end`, that is in use; `end` when there is none. */
  nextUsed(from: number, end: number): number {
    if (from >= this.mappingSlots) return this.mappingSlots + firstUsed(this.#sessions, SLOT_WORDS, from - this.mappingSlots, end - this.mappingSlots);
    const found = firstUsed(this.#mappings, MAPPING_WORDS, from, Math.min(end, this.mappingSlots));
    return found === this.mappingSlots && end > found ? this.nextUsed(found, end) : found;
  }

  sessionAt(position: number): Session | undefined {
    if (position < this.mappingSlots) {
      const first = this.mappingAt(position);
      return first?.state === sessionState.free ? undefined : first;
    }
    const slot = (position - this.mappingSlots) * SLOT_WORDS;
    const owner = this.#sessions[slot + sessionSlotOffsets.mapping / 4]!;
    if (owner === 0 || owner > this.mappingSlots) return undefined;
    const session = this.#session(position, owner - 1, this.#sessions, slot + sessionSlotOffsets.session / 4);
    // Not one that is being made, or that was left by an earlier mapping in the same place.
    const isOfMapping = session !== undefined && this.#sessions[slot + sessionSlotOffsets.vm / 4] === session.vm + 1;
    const stays = this.#sessions[slot + sessionSlotOffsets.mapping / 4] === owner;
    return isOfMapping && stays && session.state !== sessionState.free ? session : undefined;
  }

  /** A mapping that is not a port forwarding, as its first session; that may be free. */
  mappingAt(mapping: number): Session | undefined {
    return this.#session(mapping, mapping, this.#mappings, mapping * MAPPING_WORDS + mappingOffsets.first / 4);
  }

  isForwarding(mapping: number): boolean {
    return isStatic(this.#mappings[mapping * MAPPING_WORDS + mappingOffsets.internalPort / 4] ?? 0);
  }

  /** Sessions of a mapping beyond its first. */
  sessionCount(mapping: number): number {
    return this.#mappings[mapping * MAPPING_WORDS + mappingOffsets.sessionCount / 4]!;
  }

  vm(index: number): Vm | undefined {
    const at = index * VM_WORDS;
    if (index >= this.vmSlots || this.#vms[at + vmOffsets.vni / 4] === 0) return undefined;
    const mac = index * vmCodec.size + vmOffsets.mac;
    return {
      tunnelEndpoint: fromNetwork(this.#vms[at + vmOffsets.tunnelEndpoint / 4]!),
      mac: Buffer.from(this.memory.vms.subarray(mac, mac + 6)),
      floatingIpCounter: this.#vms[at + vmOffsets.floatingIpCounter / 4]!,
      lastSeen: this.#vms[at + vmOffsets.lastSeen / 4]!,
    };
  }

  /** VNI and address of a VM, without the rest of it. */
  vmKey(index: number): { readonly vni: number; readonly address: Ipv4Address } {
    const at = index * VM_WORDS;
    return { vni: this.#vms[at + vmOffsets.vni / 4] ?? 0, address: fromNetwork(this.#vms[at + vmOffsets.address / 4] ?? 0) };
  }

  #session(position: number, mapping: number, words: Uint32Array, at: number): Session | undefined {
    const head = mapping * MAPPING_WORDS;
    const owner = this.#mappings[head]!;
    const endpoint = this.#mappings[head + mappingOffsets.internalPort / 4]!;
    if (owner === 0 || isStatic(endpoint)) return undefined;
    const status = words[at + sessionOffsets.remotePort / 4]!;
    const third = Math.floor(mapping / PORTS);
    const session = {
      position, mapping, vm: owner - 1,
      protocol: third % mappingProtocolCount, addressIndex: Math.floor(third / mappingProtocolCount), externalPort: mapping % PORTS,
      internalPort: port(words[at + sessionOffsets.internalPort / 4]!) || port(endpoint),
      remote: fromNetwork(words[at + sessionOffsets.remote / 4]!),
      remotePort: port(status), state: (status >>> 16) & 0xff, flags: status >>> 24,
      lastSeen: words[at + sessionOffsets.lastSeen / 4]!,
    };
    return this.#mappings[head] === owner ? session : undefined;
  }
}

/** Slots are marked as used by their first word. */
function firstUsed(words: Uint32Array, stride: number, from: number, end: number): number {
  let at = from * stride;
  for (let index = from; index < end; index++, at += stride) if (words[at] !== 0) return index;
  return end;
}

function wordsOf(memory: Buffer): Uint32Array {
  return new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
}

/** Of a mapping's word of internal port and flags. */
function isStatic(word: number): boolean {
  return ((word >>> 16) & mappingFlag.static) !== 0;
}

/** The lower half of a word, in network order; the addon is built for little-endian machines. */
function port(word: number): number {
  return ((word & 0xff) << 8) | ((word >>> 8) & 0xff);
}

function fromNetwork(word: number): Ipv4Address {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0 as Ipv4Address;
}
