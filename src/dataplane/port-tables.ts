/**
 * What a change of configuration takes away from the tables that the programs
 * fill: VMs, port blocks, mappings and sessions, swept in mapped memory.
 *
 * The change has removed every pointer before, so no packet finds these entries
 * any more; what a program on another CPU still does with one ends with it.
 */
import type { BpfMap } from 'libbpf-ts';
import { mappingCodec, mappingOffsets, mappingProtocolCount, portBlockCodec, portBlockOffsets, sessionSlotCodec, sessionSlotOffsets, vmCodec, vmOffsets } from './layout.generated.js';

const PORTS = 65_536;
/** Of bpf/layout.h, where they are macros. */
const PORT_BLOCK_SIZE = 256;
const PORT_BLOCKS_PER_ADDRESS = PORTS / PORT_BLOCK_SIZE;
/** vm.blocks */
const BLOCKS_PER_VM = 16;
/** One tick is 2^30 ns. */
const TICK_SHIFT = 30n;

export interface PortTableMaps {
  readonly vms: Pick<BpfMap, 'mmap'>;
  readonly portBlocks: Pick<BpfMap, 'mmap'>;
  readonly mappings: Pick<BpfMap, 'mmap'>;
  readonly sessions: Pick<BpfMap, 'mmap'>;
}

export class PortTables {
  readonly #vms: Buffer;
  readonly #portBlocks: Buffer;
  readonly #mappings: Buffer;
  readonly #sessions: Buffer;
  readonly #nowNs: () => bigint;

  constructor(maps: PortTableMaps, nowNs: () => bigint) {
    this.#vms = maps.vms.mmap();
    this.#portBlocks = maps.portBlocks.mmap();
    this.#mappings = maps.mappings.mmap();
    this.#sessions = maps.sessions.mmap();
    this.#nowNs = nowNs;
  }

  /** Points all VMs of a VNI at another index of the network table. */
  adoptVms(vni: number, network: number): void {
    for (let at = 0; at < this.#vms.length; at += vmCodec.size) {
      if (this.#isVmOf(at, vni)) this.#vms.writeUInt32LE(network, at + vmOffsets.network);
    }
  }

  /** Frees everything of one external address. */
  releaseAddress(index: number): void {
    const first = index * PORT_BLOCKS_PER_ADDRESS;
    this.#releaseBlocks(range(first, first + PORT_BLOCKS_PER_ADDRESS).filter((block) => this.#holderOf(block) !== undefined));
  }

  /** Frees everything of the VMs of one VNI. */
  releaseNetwork(vni: number): void {
    const blocks = range(0, this.#portBlocks.length / portBlockCodec.size);
    this.#releaseBlocks(blocks.filter((block) => {
      const vm = this.#holderOf(block);
      return vm !== undefined && this.#isVmOf(vm * vmCodec.size, vni);
    }));
  }

  #isVmOf(at: number, vni: number): boolean {
    return this.#vms.readUInt32LE(at + vmOffsets.vni) === vni && this.#vms.readUInt32LE(at + vmOffsets.address) !== 0;
  }

  /** Index of the VM that holds a block. */
  #holderOf(block: number): number | undefined {
    const vm = this.#portBlocks.readUInt32LE(block * portBlockCodec.size + portBlockOffsets.vm);
    return vm === 0 ? undefined : vm - 1;
  }

  #releaseBlocks(blocks: readonly number[]): void {
    if (blocks.length === 0) return;
    const tick = Number(this.#nowNs() >> TICK_SHIFT) >>> 0;
    const freed = new Set<number>();
    for (const block of blocks) {
      this.#forgetBlock(block);
      for (const mapping of mappingsOf(block)) {
        this.#freeMapping(mapping, tick);
        freed.add(mapping);
      }
      this.#freeBlock(block, tick);
    }
    this.#freeSessions(freed);
  }

  #forgetBlock(block: number): void {
    const vm = this.#holderOf(block);
    if (vm === undefined) return;
    const blocks = vm * vmCodec.size + vmOffsets.blocks;
    for (let at = blocks; at < blocks + BLOCKS_PER_VM * 4; at += 4) {
      if (this.#vms.readUInt32LE(at) === block % PORT_BLOCKS_PER_ADDRESS) this.#vms.writeUInt32LE(0, at);
    }
  }

  /** The owner last: a slot without one is free for the next packet. */
  #freeMapping(index: number, tick: number): void {
    const at = index * mappingCodec.size;
    this.#mappings.fill(0, at + mappingOffsets.sessionCount, at + mappingCodec.size);
    this.#mappings.writeUInt32LE(tick, at + mappingOffsets.lastSeen);
    this.#mappings.fill(0, at, at + mappingOffsets.lastSeen);
  }

  #freeBlock(index: number, tick: number): void {
    const at = index * portBlockCodec.size;
    this.#portBlocks.writeUInt32LE(0, at + portBlockOffsets.mappings);
    this.#portBlocks.writeUInt32LE(tick, at + portBlockOffsets.lastSeen);
    this.#portBlocks.writeUInt32LE(0, at + portBlockOffsets.vm);
  }

  #freeSessions(freed: ReadonlySet<number>): void {
    for (let at = 0; at < this.#sessions.length; at += sessionSlotCodec.size) {
      const mapping = this.#sessions.readUInt32LE(at + sessionSlotOffsets.mapping);
      if (mapping === 0 || !freed.has(mapping - 1)) continue;
      this.#sessions.fill(0, at + sessionSlotOffsets.session, at + sessionSlotCodec.size);
      this.#sessions.writeUInt32LE(0, at + sessionSlotOffsets.mapping);
    }
  }
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
