import { beforeEach, describe, expect, it } from 'vitest';
import { mappingCodec, portBlockCodec, sessionSlotCodec, vmCodec } from '../../../src/dataplane/layout.generated.js';
import type { Mapping, Session, Vm } from '../../../src/dataplane/layout.generated.js';
import { PortTables } from '../../../src/dataplane/port-tables.js';

/** Two external addresses, four VMs, eight session slots. */
const memory = {
  vms: Buffer.alloc(4 * vmCodec.size),
  portBlocks: Buffer.alloc(2 * 256 * portBlockCodec.size),
  mappings: Buffer.alloc(2 * 3 * 65_536 * mappingCodec.size),
  sessions: Buffer.alloc(8 * sessionSlotCodec.size),
};
const TICK_NS = 1n << 30n;
const UDP = 1;
let tables: PortTables;

const session: Session = { remote: 0x0a000201, remotePort: 7, state: 2, flags: 1, lastSeen: 3, term: 4 };
const vm: Vm = {
  vni: 100, address: 0xac10640a, network: 1, floatingIp: 0, tunnelEndpoint: 1, mac: Buffer.alloc(6, 2), nextHopMac: Buffer.alloc(6, 3),
  optionLength: 0, flags: 0, option: Buffer.alloc(8), portKey: 5, lastSeen: 6, blocks: [20, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0],
};

const mappingIndex = (address: number, protocol: number, port: number): number => (address * 3 + protocol) * 65_536 + port;
const readVm = (index: number): Vm => vmCodec.decode(memory.vms, index * vmCodec.size);
const readMapping = (index: number): Mapping => mappingCodec.decode(memory.mappings, index * mappingCodec.size);
const blockOf = (address: number, number: number) => portBlockCodec.decode(memory.portBlocks, (address * 256 + number) * portBlockCodec.size);

/** VM `index` of `vni` holds block 20 + index of `address`, with one mapping and one more session. */
function populate(index: number, vni: number, address: number): void {
  vmCodec.encode({ ...vm, vni, blocks: vm.blocks.map((block) => (block === 20 ? 20 + index : block)) }, memory.vms, index * vmCodec.size);
  portBlockCodec.encode({ vm: index + 1, mappings: 1, lastSeen: 1 }, memory.portBlocks, (address * 256 + 20 + index) * portBlockCodec.size);
  const mapping = mappingIndex(address, UDP, (20 + index) * 256 + 5);
  mappingCodec.encode({ vm: index + 1, internalPort: 20_000, lastSeen: 1, sessionCount: 1, first: session }, memory.mappings, mapping * mappingCodec.size);
  sessionSlotCodec.encode({ mapping: mapping + 1, session }, memory.sessions, index * sessionSlotCodec.size);
}

beforeEach(() => {
  for (const buffer of Object.values(memory)) buffer.fill(0);
  const map = (buffer: Buffer) => ({ mmap: () => buffer });
  tables = new PortTables({ vms: map(memory.vms), portBlocks: map(memory.portBlocks), mappings: map(memory.mappings), sessions: map(memory.sessions) }, () => 77n * TICK_NS);
  populate(0, 100, 0);
  populate(1, 200, 0);
  populate(2, 100, 1);
});

function isFree(index: number, address: number): boolean {
  const mapping = readMapping(mappingIndex(address, UDP, (20 + index) * 256 + 5));
  const slot = sessionSlotCodec.decode(memory.sessions, index * sessionSlotCodec.size);
  const block = blockOf(address, 20 + index);
  const free = [mapping.vm === 0, mapping.first.state === 0, mapping.sessionCount === 0, slot.mapping === 0, slot.session.state === 0, block.vm === 0, block.mappings === 0, !readVm(index).blocks.includes(20 + index)];
  if (new Set(free).size !== 1) throw new Error(`half free: ${free.join()}`);
  return free[0]!;
}

describe('port tables', () => {
  it('release all of one address and nothing of another', () => {
    tables.releaseAddress(0);
    expect([isFree(0, 0), isFree(1, 0), isFree(2, 1)]).toEqual([true, true, false]);
  });

  it('release all of one network, whatever its address', () => {
    tables.releaseNetwork(100);
    expect([isFree(0, 0), isFree(1, 0), isFree(2, 1)]).toEqual([true, false, true]);
  });

  it('let freed ports rest from now on', () => {
    tables.releaseAddress(0);
    expect(readMapping(mappingIndex(0, UDP, 20 * 256 + 5)).lastSeen).toBe(77);
    expect(blockOf(0, 20).lastSeen).toBe(77);
  });

  it('leave the VM what it has of others', () => {
    tables.releaseAddress(0);
    expect(readVm(0)).toEqual({ ...vm, blocks: vm.blocks.map((block) => (block === 20 ? 0 : block)) });
  });

  it('give the VMs of a network that has moved their new index', () => {
    tables.adoptVms(100, 9);
    expect([readVm(0).network, readVm(1).network, readVm(2).network, readVm(3).network]).toEqual([9, 1, 9, 0]);
  });
});
