/** Tables in ordinary memory, with two tenants whose addresses overlap. */
import { mappingCodec, mappingFlag, mappingProtocol, sessionFlag, sessionSlotCodec, sessionState, vmCodec } from '../../../src/dataplane/layout.generated.js';
import type { Session as SessionEntry } from '../../../src/dataplane/layout.generated.js';
import type { Ipv4Address } from '../../../src/config/address.js';
import type { Directory, Place } from '../../../src/sessions/directory.js';
import type { Pace } from '../../../src/sessions/scan.js';
import { SessionTables } from '../../../src/sessions/tables.js';
import { ipv4ToNumber } from '../../support/bytes.js';

const TICK = 5000;
export const EXTERNAL = [ipv4ToNumber('10.0.2.201'), ipv4ToNumber('10.0.2.202')] as Ipv4Address[];
const SLOTS_PER_ADDRESS = 3 * 65_536;

export interface Wanted {
  readonly vm?: number;
  readonly remote?: string | number;
  readonly remotePort?: number;
  readonly state?: keyof typeof sessionState;
  readonly flags?: number;
  readonly idleTicks?: number;
}

const places = new Map<number, Place>([
  [100, { router: 'tenant-a', network: 'a-net', vrid: 51 }],
  [101, { router: 'tenant-a', network: 'a-other', vrid: 51 }],
  [(1 << 24) | 100, { router: 'tenant-b', network: 'a-net', vrid: 52 }],
]);

export const directory: Directory = {
  place: (vni) => places.get(vni),
  isActive: (vrid) => vrid === 51,
  externalAddress: (index) => EXTERNAL[index],
  routers: ['tenant-a', 'tenant-b'],
  networks: ['a-net', 'a-other'],
  tick: TICK,
  peerHolds: 'acknowledged',
};

export const pace: Pace = { now: () => 0, breathe: async () => undefined };

export class World {
  readonly tables: SessionTables;
  readonly mappings: Buffer;
  readonly sessions: Buffer;
  readonly vms = Buffer.alloc(16 * vmCodec.size);

  constructor({ addresses = EXTERNAL.length, sessionSlots = 1024 } = {}) {
    this.mappings = Buffer.alloc(addresses * SLOTS_PER_ADDRESS * mappingCodec.size);
    this.sessions = Buffer.alloc(sessionSlots * sessionSlotCodec.size);
    this.tables = new SessionTables(this);
    // 0 and 1: tenants a and b with the same address; 2: another network of a; 3: a network that has gone.
    for (const [index, vni, address] of [[0, 100, '172.16.100.10'], [1, (1 << 24) | 100, '172.16.100.10'], [2, 101, '172.16.101.11'], [3, 999, '172.16.0.1']] as const) {
      const empty = vmCodec.decode(Buffer.alloc(vmCodec.size));
      vmCodec.encode({ ...empty, vni, address: ipv4ToNumber(address) }, this.vms, index * vmCodec.size);
    }
  }

  /** @returns the index of the mapping */
  map(port: number, wanted: Wanted & { protocol?: keyof typeof mappingProtocol; address?: number; internalPort?: number; isStatic?: boolean; sessionCount?: number; empty?: boolean } = {}): number {
    const { protocol = 'tcp', address = 0, vm = 0, internalPort = 40_000, isStatic = false, sessionCount = 0, empty = false } = wanted;
    const index = address * SLOTS_PER_ADDRESS + mappingProtocol[protocol] * 65_536 + port;
    const first = empty ? sessionEntry({ state: 'free', remote: 0 }) : sessionEntry(wanted);
    mappingCodec.encode({ vm: vm + 1, internalPort, flags: isStatic ? mappingFlag.static : 0, lastSeen: TICK, sessionCount, first }, this.mappings, index * mappingCodec.size);
    return index;
  }

  unmap(index: number): void {
    this.mappings.fill(0, index * mappingCodec.size, (index + 1) * mappingCodec.size);
  }

  /** A further session of a mapping. */
  add(slot: number, mapping: number, wanted: Wanted & { internalPort?: number } = {}): void {
    const vm = wanted.vm === undefined ? this.mappings.readUInt32LE(mapping * mappingCodec.size) : wanted.vm + 1;
    sessionSlotCodec.encode({ mapping: mapping + 1, vm, session: { ...sessionEntry(wanted), internalPort: wanted.internalPort ?? 0 } }, this.sessions, slot * sessionSlotCodec.size);
  }

  /** One session of a mapping, wherever it is. */
  end(mapping: number, remote: number, remotePort: number): void {
    for (let slot = 0; slot * sessionSlotCodec.size < this.sessions.length; slot++) {
      const { mapping: owner, session } = sessionSlotCodec.decode(this.sessions, slot * sessionSlotCodec.size);
      if (owner !== mapping + 1 || session.remote !== remote || session.remotePort !== remotePort) continue;
      this.remove(slot);
      const entry = mappingCodec.decode(this.mappings, mapping * mappingCodec.size);
      mappingCodec.encode({ ...entry, sessionCount: entry.sessionCount - 1 }, this.mappings, mapping * mappingCodec.size);
      return;
    }
  }

  remove(slot: number): void {
    this.sessions.fill(0, slot * sessionSlotCodec.size, (slot + 1) * sessionSlotCodec.size);
  }
}

function sessionEntry({ remote = '203.0.113.10', remotePort = 443, state = 'established', flags = sessionFlag.committed, idleTicks = 0 }: Wanted): SessionEntry {
  return { remote: typeof remote === 'number' ? remote : ipv4ToNumber(remote), remotePort, state: sessionState[state], flags, lastSeen: TICK - idleTicks, internalPort: 0, sequence: 0 };
}
