import { beforeEach, describe, expect, it } from 'vitest';
import { mappingCodec, mappingFlag, networkStateCodec, portBlockCodec, sessionCodec, sessionSlotCodec, vmCodec, vmFlag } from '../../../src/dataplane/layout.generated.js';
import type { Session, Vm } from '../../../src/dataplane/layout.generated.js';
import { PortTables } from '../../../src/dataplane/port-tables.js';

/** Two external addresses, four VMs, eight session slots, four networks. */
const memory = {
  vms: Buffer.alloc(4 * vmCodec.size),
  portBlocks: Buffer.alloc(2 * 256 * portBlockCodec.size),
  mappings: Buffer.alloc(2 * 3 * 65_536 * mappingCodec.size),
  sessions: Buffer.alloc(8 * sessionSlotCodec.size),
  networkStates: Buffer.alloc(4 * networkStateCodec.size),
};
const TICK_NS = 1n << 30n;
const [TCP, UDP] = [0, 1];
/** A port below 1024, of whose block no VM is the owner. */
const LOW_PORT = 53;
let tables: PortTables;
let ended: string[];

const session: Session = { ...sessionCodec.decode(Buffer.alloc(sessionCodec.size)), remote: 0x0a000201, remotePort: 7, state: 2 };
const vm: Vm = { ...vmCodec.decode(Buffer.alloc(vmCodec.size)), vni: 100, address: 0xac10640a, network: 1, blocks: [20, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0] };

const mappingIndex = (address: number, protocol: number, port: number): number => (address * 3 + protocol) * 65_536 + port;
const readVm = (index: number): Vm => vmCodec.decode(memory.vms, index * vmCodec.size);
const blockOf = (address: number, number: number) => portBlockCodec.decode(memory.portBlocks, (address * 256 + number) * portBlockCodec.size);
const vmsOf = (network: number): number => networkStateCodec.decode(memory.networkStates, network * networkStateCodec.size).vms;

function map(index: number, mapping: number, change: { flags?: number; sessionCount?: number } = {}): void {
  const empty = mappingCodec.decode(Buffer.alloc(mappingCodec.size));
  mappingCodec.encode({ ...empty, vm: index + 1, internalPort: 20_000, first: session, ...change }, memory.mappings, mapping * mappingCodec.size);
}

/** VM `index` of `vni` holds block 20 + index of `address`, with one mapping, one more session, and a mapping below 1024. */
function populate(index: number, vni: number, address: number): void {
  vmCodec.encode({ ...vm, vni, snatAddress: address + 1, blocks: vm.blocks.map((block) => (block === 20 ? 20 + index : block)) }, memory.vms, index * vmCodec.size);
  portBlockCodec.encode({ ...blockOf(0, 0), vm: index + 1, mappings: 1, lastSeen: 1 }, memory.portBlocks, (address * 256 + 20 + index) * portBlockCodec.size);
  const mapping = mappingIndex(address, UDP, (20 + index) * 256 + 5);
  map(index, mapping, { sessionCount: 1 });
  map(index, mappingIndex(address, TCP, LOW_PORT + index));
  sessionSlotCodec.encode({ mapping: mapping + 1, vm: index + 1, session: { ...session, remote: 0x0a000202 } }, memory.sessions, index * sessionSlotCodec.size);
}

beforeEach(() => {
  for (const buffer of Object.values(memory)) buffer.fill(0);
  ended = [];
  const map = (buffer: Buffer) => ({ mmap: () => buffer });
  const maps = { vms: map(memory.vms), portBlocks: map(memory.portBlocks), mappings: map(memory.mappings), sessions: map(memory.sessions), networkStates: map(memory.networkStates) };
  tables = new PortTables(maps, { endSession: ({ mapping, remote }) => void ended.push(`${mapping}/${remote.toString(16)}`), nowNs: () => 77n * TICK_NS });
  populate(0, 100, 0);
  populate(1, 200, 0);
  populate(2, 100, 1);
});

const endsOf = (index: number, address: number): string[] => {
  const mapping = mappingIndex(address, UDP, (20 + index) * 256 + 5);
  return [`${mapping}/a000202`, `${mappingIndex(address, TCP, LOW_PORT + index)}/0`, `${mapping}/0`];
};
const isFree = (index: number, address: number): boolean => blockOf(address, 20 + index).vm === 0;

describe('port tables', () => {
  it('release all of one address and nothing of another', () => {
    expect([...tables.releaseAddress(0)].length).toBeGreaterThan(0);
    expect(new Set(ended)).toEqual(new Set([...endsOf(0, 0), ...endsOf(1, 0)]));
    expect([isFree(0, 0), isFree(1, 0), isFree(2, 1)]).toEqual([true, true, false]);
  });

  it('release all of one network, whatever its address', () => {
    [...tables.releaseNetwork(100)];
    expect(new Set(ended)).toEqual(new Set([...endsOf(0, 0), ...endsOf(2, 1)]));
    expect([isFree(0, 0), isFree(1, 0), isFree(2, 1)]).toEqual([true, false, true]);
  });

  it('end sessions beyond the first before their mapping, which would look for them one by one', () => {
    [...tables.releaseAddress(0)];
    expect(ended.indexOf(endsOf(0, 0)[0]!)).toBeLessThan(ended.indexOf(endsOf(0, 0)[2]!));
  });

  it('take the address from its VMs first, so that they get another', () => {
    const release = tables.releaseAddress(0);
    release.next();
    expect([0, 1, 2].map((index) => readVm(index).snatAddress)).toEqual([0, 0, 2]);
    expect(readVm(0).blocks.every((block) => block === 0)).toBe(true);
    expect(ended).toEqual([]);
    [...release];
    expect(readVm(2)).toMatchObject({ snatAddress: 2, blocks: expect.arrayContaining([22, 21]) as number[] });
  });

  it('leave port forwardings', () => {
    const mapping = mappingIndex(0, TCP, 80);
    map(0, mapping, { flags: mappingFlag.static });
    [...tables.releaseAddress(0)];
    expect(ended).not.toContain(`${mapping}/0`);
  });

  it('let freed ports rest from now on', () => {
    [...tables.releaseAddress(0)];
    expect(blockOf(0, 20).lastSeen).toBe(77);
  });

  it('give the VMs of a network that has moved their new index, and count them there', () => {
    networkStateCodec.encode({ vms: 3 }, memory.networkStates, networkStateCodec.size);
    vmCodec.encode({ ...vm, flags: vmFlag.retired }, memory.vms, 3 * vmCodec.size);
    tables.adoptVms(100, 3);
    expect([0, 1, 2, 3].map((index) => readVm(index).network)).toEqual([3, 1, 3, 1]);
    expect([vmsOf(1), vmsOf(3)]).toEqual([1, 2]);
    tables.adoptVms(100, 3);
    expect([vmsOf(1), vmsOf(3)]).toEqual([1, 2]);
  });
});
