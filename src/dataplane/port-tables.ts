/**
 * What a change of configuration takes away from the tables that the programs
 * fill: port blocks in mapped memory, mappings and sessions through the program
 * that ends them, for it keeps the counts right while packets go on.
 *
 * The change has removed every pointer before, so no packet finds these entries
 * any more; what a program on another CPU still does with one ends with it.
 */
import type { BpfMap } from 'libbpf-ts';
import { mappingCodec, mappingFlag, mappingOffsets, mappingProtocolCount, networkStateCodec, portBlockCodec, portBlockOffsets, sessionOffsets, sessionSlotCodec, sessionSlotOffsets, vmCodec, vmFlag, vmOffsets } from './layout.generated.js';

const PORTS = 65_536;
/** Of bpf/layout.h, where they are macros. */
const PORT_BLOCK_SIZE = 256;
const PORT_BLOCKS_PER_ADDRESS = PORTS / PORT_BLOCK_SIZE;
/** Ports below have blocks that no VM holds. */
const FIRST_PORT_BLOCK = 1024 / PORT_BLOCK_SIZE;
/** vm.blocks */
const BLOCKS_PER_VM = 16;
/** One tick is 2^30 ns. */
const TICK_SHIFT = 30n;
/** Sessions that are ended, or slots that are looked at, before somebody else has a turn. */
const ENDS_PER_TURN = 64;
const SLOTS_PER_TURN = 65_536;

export interface PortTableMaps {
  readonly vms: Pick<BpfMap, 'mmap'>;
  readonly portBlocks: Pick<BpfMap, 'mmap'>;
  readonly mappings: Pick<BpfMap, 'mmap'>;
  readonly sessions: Pick<BpfMap, 'mmap'>;
  readonly networkStates: Pick<BpfMap, 'mmap'>;
}

export interface PortTablePorts {
  /** `session_end`; remote 0: the mapping with all of its sessions. What has gone meanwhile is no mistake. */
  endSession(which: { readonly mapping: number; readonly remote: number; readonly remotePort: number }): void;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
}

export class PortTables {
  readonly #vms: Buffer;
  readonly #portBlocks: Buffer;
  readonly #mappings: Buffer;
  readonly #sessions: Buffer;
  readonly #networkStates: Buffer;
  readonly #ports: PortTablePorts;

  constructor(maps: PortTableMaps, ports: PortTablePorts) {
    this.#vms = maps.vms.mmap();
    this.#portBlocks = maps.portBlocks.mmap();
    this.#mappings = maps.mappings.mmap();
    this.#sessions = maps.sessions.mmap();
    this.#networkStates = maps.networkStates.mmap();
    this.#ports = ports;
  }

  /** Points all VMs of a VNI at another index of the network table, where they are counted from now on. */
  adoptVms(segment: number, network: number): void {
    for (let at = 0; at < this.#vms.length; at += vmCodec.size) {
      const before = this.#vms.readUInt32LE(at + vmOffsets.network);
      if (before === network || !this.#isVmOf(at, segment)) continue;
      addAtomically(this.#networkStates, before * networkStateCodec.size, -1);
      addAtomically(this.#networkStates, network * networkStateCodec.size, 1);
      this.#vms.writeUInt32LE(network, at + vmOffsets.network);
    }
  }

  /** Frees everything of one external address but static mappings. */
  *releaseAddress(index: number): Generator<void, void> {
    const first = index * PORT_BLOCKS_PER_ADDRESS;
    this.#takeAddress((at) => this.#vms.readUInt32LE(at + vmOffsets.snatAddress) === index + 1);
    yield* this.#release(range(first, first + PORT_BLOCKS_PER_ADDRESS).filter((block) => isLow(block) || this.#holderOf(block) !== undefined), () => true);
  }

  /** Frees everything of the VMs of one VNI but static mappings. */
  *releaseNetwork(segment: number): Generator<void, void> {
    const isOf = (vm: number | undefined): boolean => vm !== undefined && this.#isVmOf(vm * vmCodec.size, segment);
    this.#takeAddress((at) => this.#isVmOf(at, segment));
    const blocks = range(0, this.#portBlocks.length / portBlockCodec.size);
    yield* this.#release(blocks.filter((block) => isLow(block) || isOf(this.#holderOf(block))), isOf);
  }

  /** From here on such a VM gets another address, and blocks of that one. */
  #takeAddress(whose: (at: number) => boolean): void {
    for (let at = 0; at < this.#vms.length; at += vmCodec.size) {
      if (this.#vms.readUInt32LE(at + vmOffsets.snatAddress) === 0 || !whose(at)) continue;
      this.#vms.writeUInt32LE(0, at + vmOffsets.snatAddress);
      this.#vms.fill(0, at + vmOffsets.blocks, at + vmOffsets.blocks + BLOCKS_PER_VM * 4);
    }
  }

  #isVmOf(at: number, segment: number): boolean {
    const isRetired = (this.#vms.readUInt32LE(at + vmOffsets.flags) & vmFlag.retired) !== 0;
    return this.#vms.readUInt32LE(at + vmOffsets.vni) === segment && this.#vms.readUInt32LE(at + vmOffsets.address) !== 0 && !isRetired;
  }

  /** Index of the VM that holds a block. */
  #holderOf(block: number): number | undefined {
    const vm = this.#portBlocks.readUInt32LE(block * portBlockCodec.size + portBlockOffsets.vm);
    return vm === 0 ? undefined : vm - 1;
  }

  *#release(blocks: readonly number[], isWanted: (vm: number) => boolean): Generator<void, void> {
    const mappings: number[] = [];
    for (const block of blocks) {
      mappings.push(...mappingsOf(block).filter((mapping) => this.#isDynamic(mapping, isWanted)));
      yield;
    }
    yield* this.#endBeyondFirst(new Set(mappings.filter((mapping) => this.#mappings.readUInt32LE(mapping * mappingCodec.size + mappingOffsets.sessionCount) > 0)));
    for (const [done, mapping] of mappings.entries()) {
      if (done % ENDS_PER_TURN === 0) yield;
      this.#ports.endSession({ mapping, remote: 0, remotePort: 0 });
    }
    for (const block of blocks) if (!isLow(block)) this.#freeBlock(block);
  }

  #isDynamic(index: number, isWanted: (vm: number) => boolean): boolean {
    const at = index * mappingCodec.size;
    const vm = this.#mappings.readUInt32LE(at + mappingOffsets.vm);
    return vm !== 0 && (this.#mappings.readUInt16LE(at + mappingOffsets.flags) & mappingFlag.static) === 0 && isWanted(vm - 1);
  }

  /** One pass for all: a mapping that still has some is ended with a pass of its own. */
  *#endBeyondFirst(mappings: ReadonlySet<number>): Generator<void, void> {
    if (mappings.size === 0) return;
    for (let at = 0, slot = 0; at < this.#sessions.length; at += sessionSlotCodec.size, slot++) {
      if (slot % SLOTS_PER_TURN === 0) yield;
      const mapping = this.#sessions.readUInt32LE(at + sessionSlotOffsets.mapping);
      if (mapping === 0 || !mappings.has(mapping - 1)) continue;
      const session = at + sessionSlotOffsets.session;
      const remote = this.#sessions.readUInt32BE(session + sessionOffsets.remote);
      if (remote !== 0) this.#ports.endSession({ mapping: mapping - 1, remote, remotePort: this.#sessions.readUInt16BE(session + sessionOffsets.remotePort) });
    }
  }

  #freeBlock(index: number): void {
    const at = index * portBlockCodec.size;
    this.#portBlocks.writeUInt32LE(Number(BigInt.asUintN(32, this.#ports.nowNs() >> TICK_SHIFT)), at + portBlockOffsets.lastSeen);
    this.#portBlocks.writeUInt32LE(0, at + portBlockOffsets.vm);
  }
}

/** The programs count there as well. */
function addAtomically(memory: Buffer, at: number, change: number): void {
  const word = new Uint32Array(memory.buffer, memory.byteOffset + at, 1);
  Atomics.add(word, 0, change);
}

function isLow(block: number): boolean {
  return block % PORT_BLOCKS_PER_ADDRESS < FIRST_PORT_BLOCK;
}

/** Indexes of the mappings, of all protocols, whose ports are in a block. */
function mappingsOf(block: number): number[] {
  const address = Math.floor(block / PORT_BLOCKS_PER_ADDRESS);
  const firstPort = (block % PORT_BLOCKS_PER_ADDRESS) * PORT_BLOCK_SIZE;
  return range(0, mappingProtocolCount).flatMap((protocol) => {
    const first = (address * mappingProtocolCount + protocol) * PORTS + firstPort;
    return range(first, first + PORT_BLOCK_SIZE);
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
