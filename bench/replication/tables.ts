/** Two gateways' tables, and a million sessions in one of them. */
import { fileURLToPath } from 'node:url';
import { TypedMap, u32, type BpfObject } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { fill, firstVni, load, REMOTE, ROUTERS, TUNNEL_ENDPOINT, vmAddress } from '../hot-path/world.js';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/floatgate.bpf.o', import.meta.url));
const VRID = 51;
const VMS_PER_ROUTER = 31;
const BLOCKS_PER_VM = 4;
const BLOCK = 256;
const UDP = 1;
const SEED = 0x0123_4567_89ab_cdefn;
const HOUR_NS = 3_600_000_000_000n;

/** Room for the largest frame of records. */
export const ROOM = Buffer.alloc(14 + 20 + 8 + 32 + 12 * 72);

export function gateway(id: 0 | 1, state: 'active' | 'backup'): BpfObject {
  const object = load(OBJECT);
  fill(object, layout as never);
  const gateways = new TypedMap(object.map('gateways'), u32, layout.gatewayCodec);
  gateways.set(0, { ...gateways.get(0)!, id, epoch: 1, key: [1n, 2n], haAddress: 0x0a000001 + id, peerAddress: 0x0a000002 - id, syncMode: layout.syncMode.async, soloAfterNs: HOUR_NS });
  object.map('virtual_routers').mmap().writeUInt32LE(layout.virtualRouterState[state], VRID * layout.virtualRouterCodec.size);
  return object;
}

/** A million UDP sessions, each the first of its mapping, in VMs that hold four blocks each. @returns how many */
export function populate(object: BpfObject): number {
  const [vms, blocks, mappings, states] = ['vms', 'port_blocks', 'mappings', 'gateway_states'].map((name) => object.map(name).mmap());
  const byAddress = new TypedMap(object.map('vm_by_address'), layout.vmKeyCodec, u32);
  const base = layout.gatewayStateCodec.decode(states!).vms;
  const seen = Number(process.hrtime.bigint() >> 30n);
  let sessions = 0;
  for (let router = 0; router < ROUTERS; router++) {
    for (let n = 0; n < VMS_PER_ROUTER; n++) {
      const index = base + router * VMS_PER_ROUTER + n, vni = firstVni + router, address = vmAddress(n);
      const own = Array.from({ length: BLOCKS_PER_VM }, (_, i) => 4 + 2 * (n * BLOCKS_PER_VM + i));
      const { size } = layout.vmCodec;
      layout.vmCodec.encode({
        ...layout.vmCodec.decode(Buffer.alloc(size)), vni, address, network: router, tunnelEndpoint: TUNNEL_ENDPOINT + 1, mac: Buffer.from('fa1630000001', 'hex'), nextHopMac: Buffer.from('020000000001', 'hex'),
        portKey: 2 * index, lastSeen: seen, blocks: [...own, ...Array.from({ length: 12 }, () => 0)], snatAddress: router + 1, sessions: BLOCKS_PER_VM * BLOCK, sessionRouter: router, mappingCount: BLOCKS_PER_VM * BLOCK,
      }, vms!, index * size);
      byAddress.set({ vni, address }, index);
      for (const block of own) {
        layout.portBlockCodec.encode({ vm: index + 1, mappings: BLOCK, lastSeen: seen, exhausted: 0 }, blocks!, (router * 256 + block) * layout.portBlockCodec.size);
        for (let i = 0; i < BLOCK; i++) {
          const port = block * BLOCK + i, at = ((router * 3 + UDP) * 65536 + port) * layout.mappingCodec.size;
          const first = { remote: REMOTE, remotePort: 0, state: layout.sessionState.established, flags: 3, lastSeen: seen, internalPort: port, sequence: 0 };
          layout.mappingCodec.encode({ vm: index + 1, internalPort: port, flags: 0, lastSeen: 0, sessionCount: 0, first }, mappings!, at);
          sessions += 1;
        }
      }
    }
  }
  states!.writeUInt32LE(base + ROUTERS * VMS_PER_ROUTER, layout.gatewayStateOffsets.vms);
  return sessions;
}

/** Every session has idled for longer than it may, and its gateway was Active all along. */
export function expire(object: BpfObject): void {
  const gateways = new TypedMap(object.map('gateways'), u32, layout.gatewayCodec);
  gateways.set(0, { ...gateways.get(0)!, udpTicks: 1 });
  const routers = object.map('virtual_routers').mmap();
  const at = VRID * layout.virtualRouterCodec.size;
  layout.virtualRouterCodec.encode({ ...layout.virtualRouterCodec.decode(routers, at), activeSinceNs: 1n }, routers, at);
}

export function rewind(object: BpfObject, kind: keyof typeof layout.walkKind): void {
  new TypedMap(object.map('walks'), u32, layout.walkCodec).set(layout.walkKind[kind], { phase: layout.walkPhase.vms, position: 0, records: 0, seed: SEED });
}

export function hasEnded(object: BpfObject, kind: keyof typeof layout.walkKind): boolean {
  return new TypedMap(object.map('walks'), u32, layout.walkCodec).get(layout.walkKind[kind])!.phase === layout.walkPhase.ended;
}

/** The sums of all that is replicated. */
export function digests(object: BpfObject, sumUp: () => void): string {
  const memory = object.map('segments').mmap();
  memory.fill(0);
  sumUp();
  return memory.toString('hex');
}
