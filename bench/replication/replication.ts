/**
 * What replication costs where it is done for a million sessions at once: summing
 * them up, writing them into frames, and applying those. Programs run by
 * BPF_PROG_TEST_RUN, a frame at a time, so each figure has a system call in it.
 *
 *   npx vite-node bench/replication/replication.ts
 *
 * Checks what it measures: afterwards the sums of both tables are the same.
 */
import { fileURLToPath } from 'node:url';
import { TypedMap, u32, type BpfObject } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { fill, firstVni, load, REMOTE, ROUTERS, TUNNEL_ENDPOINT, vmAddress } from '../hot-path/world.js';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/floatgate.bpf.o', import.meta.url));
const VMS_PER_ROUTER = 31;
const BLOCKS_PER_VM = 4;
const BLOCK = 256;
const UDP = 1;
const SEED = 0x0123_4567_89ab_cdefn;
const ROOM = Buffer.alloc(14 + 20 + 8 + 32 + 12 * 72);
const XDP = { drop: 1, tx: 3 } as const;

/** A million UDP sessions, each the first of its mapping, in VMs that hold four blocks each. */
function populate(object: BpfObject): number {
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
          const first = { remote: REMOTE, remotePort: 0, state: 2, flags: 3, lastSeen: seen, internalPort: port, sequence: 0 };
          layout.mappingCodec.encode({ vm: index + 1, internalPort: port, flags: 0, lastSeen: 0, sessionCount: 0, first }, mappings!, at);
          sessions += 1;
        }
      }
    }
  }
  states!.writeUInt32LE(base + ROUTERS * VMS_PER_ROUTER, layout.gatewayStateOffsets.vms);
  return sessions;
}

function seconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Frames of a whole walk. */
function walk(object: BpfObject, kind: keyof typeof layout.walkKind): Buffer[] {
  new TypedMap(object.map('walks'), u32, layout.walkCodec).set(layout.walkKind[kind], { phase: 0, position: 0, records: 0, seed: SEED });
  const program = object.program(`${kind}_xdp`), frames: Buffer[] = [];
  for (;;) {
    const { returnValue, data } = program.testRun({ data: ROOM, dataOutSize: ROOM.length });
    if (returnValue === XDP.drop) return frames;
    if (returnValue === XDP.tx) frames.push(Buffer.from(data));
  }
}

function digests(object: BpfObject): string {
  const memory = object.map('segments').mmap();
  memory.fill(0);
  walk(object, 'digest');
  return memory.toString('hex');
}

function gateway(id: number, state: number): BpfObject {
  const object = load(OBJECT);
  fill(object, layout as never);
  const gateways = new TypedMap(object.map('gateways'), u32, layout.gatewayCodec);
  gateways.set(0, { ...gateways.get(0)!, id, epoch: 1, key: [1n, 2n], haAddress: 0x0a000001 + id, peerAddress: 0x0a000002 - id, syncMode: 2, soloAfterNs: 3_600_000_000_000n });
  object.map('virtual_routers').mmap().writeUInt32LE(state, 51 * layout.virtualRouterCodec.size);
  return object;
}

const [a, b] = [gateway(0, 2), gateway(1, 1)];
const sessions = populate(a);
let frames: Buffer[] = [], refused = 0, ours = '', theirs = '';
const summed = seconds(() => (ours = digests(a)));
const written = seconds(() => (frames = walk(a, 'bulk')));
const ha = b.program('ha_xdp');
const applied = seconds(() => {
  for (const frame of frames) if (ha.testRun({ data: frame, dataOutSize: frame.length }).returnValue !== XDP.tx) refused += 1;
});
theirs = digests(b);
const rate = (s: number): string => `${s.toFixed(2)} s, ${Math.round(sessions / s).toLocaleString('en')} a second, ${(s / sessions * 1e9).toFixed(0)} ns each`;
console.log(`${sessions.toLocaleString('en')} sessions on ${ROUTERS} addresses, ${frames.length.toLocaleString('en')} frames, ${refused} refused`);
console.log(`summed up (digest)       ${rate(summed)}`);
console.log(`written into frames      ${rate(written)}`);
console.log(`verified and applied     ${rate(applied)}`);
console.log(ours === theirs && refused === 0 ? 'both tables are equal' : 'the tables DIFFER');
if (ours !== theirs || refused > 0) process.exitCode = 1;
for (const object of [a, b]) object.close();
