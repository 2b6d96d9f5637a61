/**
 * One gateway's programs and maps, loaded but attached to nothing, for packet
 * tests by BPF_PROG_TEST_RUN:
 *
 *   const gateway = GatewayFixture.load();
 *   gateway.reset({ syncMode: 'none' });
 *   const result = gateway.run('underlay_xdp', frameFromVm(a1, […]));
 *   expect(result.verdict).toBe('REDIRECT');
 *
 * The maps hold the two tenants of world.ts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { be32, BpfObject, PerCpuMap, RingBuffer, TypedMap, u32, type BpfMap, type Codec } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber, macToBuffer } from './bytes.js';
import * as world from './world.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OBJECT = `${ROOT}dist/bpf/floatgate.bpf.o`;

/** Small, so that a test can fill them. */
const SIZES = { vms: 64, externalAddresses: 2, sessionBuckets: 8 };
const SESSION_BUCKET_SIZE = 8;
const PORT_BLOCKS_PER_ADDRESS = 256;
const PROTOCOLS = 3;
const PORTS = 65536;
const TICK_SHIFT = 30n;

export type ProgramName = 'underlay_xdp' | 'external_xdp' | 'ha_xdp' | 'seal_xdp' | 'bulk_xdp' | 'age_xdp';
export type Verdict = 'ABORTED' | 'DROP' | 'PASS' | 'TX' | 'REDIRECT';
const VERDICTS: readonly Verdict[] = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'];

/** Lower case, without the prefix: a reason as metrics and the CLI name it. */
export type ReasonName = string;

export interface RunResult {
  readonly verdict: Verdict;
  readonly frame: Buffer;
  /** Packets counted by this run, of every reason that counted any. */
  readonly counters: Readonly<Record<ReasonName, number>>;
}

export interface FixtureOptions {
  readonly node?: world.Node;
  readonly peer?: world.Node;
  /** Default: strict. */
  readonly syncMode?: keyof typeof layout.syncMode;
  /** Default: active. */
  readonly state?: keyof typeof layout.virtualRouterState;
  /** Whether an authentic frame of the peer was heard just now. Default: true. */
  readonly peerAlive?: boolean;
  /** Default: one hour from now; negative: it has ended. */
  readonly leaseMs?: number;
  readonly term?: number;
  readonly epoch?: number;
}

export interface MappingEntry extends layout.Mapping {
  readonly externalAddress: string;
  readonly protocol: number;
  readonly externalPort: number;
}

export interface PortBlockEntry extends layout.PortBlock {
  readonly externalAddress: string;
  readonly block: number;
}

/** What a test run sees of its interfaces: a redirect to a missing one is ABORTED, so they all lead to lo. */
const LOOPBACK_IFINDEX = 1;
const MS = 1_000_000n;

export function nowNs(): bigint {
  return process.hrtime.bigint();
}

/** The unit of every last_seen: so many of them ago. Before the machine's start it wraps, as the programs' arithmetic does. */
export function ticksAgo(ticks: number): number {
  return (Number(nowNs() >> TICK_SHIFT) - ticks) >>> 0;
}

/** An array map in shared memory, slot by slot. */
class SharedArray<T> {
  private readonly memory: Buffer;
  private readonly codec: Codec<T>;
  private readonly stride: number;
  readonly length: number;

  constructor(map: BpfMap, codec: Codec<T>) {
    this.memory = map.mmap();
    this.codec = codec;
    this.stride = Math.ceil(codec.size / 8) * 8;
    this.length = map.info.maxEntries;
  }

  get(index: number): T {
    return this.codec.decode(this.memory, index * this.stride);
  }

  set(index: number, value: T): void {
    this.codec.encode(value, this.memory, index * this.stride);
  }

  update(index: number, change: Partial<T>): void {
    this.set(index, { ...this.get(index), ...change });
  }

  clear(): void {
    this.memory.fill(0);
  }

  /** Slots whose first 32-bit word is not zero: all of our tables mark use there. */
  *used(): IterableIterator<[number, T]> {
    const words = new Uint32Array(this.memory.buffer, this.memory.byteOffset, (this.length * this.stride) / 4);
    for (let index = 0, word = 0; index < this.length; index++, word += this.stride / 4) {
      if (words[word] !== 0) yield [index, this.get(index)];
    }
  }
}

function objectPath(): string {
  if (existsSync(OBJECT)) return OBJECT;
  const build = spawnSync(process.execPath, [`${ROOT}.ci/build.mjs`, 'bpf'], { cwd: ROOT, encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`building ${OBJECT} failed:\n${build.stdout}${build.stderr}`);
  return OBJECT;
}

function resize(object: BpfObject): void {
  object.map('vms').setMaxEntries(SIZES.vms);
  object.map('vm_by_address').setMaxEntries(SIZES.vms);
  object.map('port_blocks').setMaxEntries(SIZES.externalAddresses * PORT_BLOCKS_PER_ADDRESS);
  object.map('mappings').setMaxEntries(SIZES.externalAddresses * PROTOCOLS * PORTS);
  object.map('sessions').setMaxEntries(SIZES.sessionBuckets * SESSION_BUCKET_SIZE);
}

const hashMaps = ['virtual_router_by_address', 'network_by_vni', 'external_addresses', 'neighbours', 'vm_by_address'] as const;

export class GatewayFixture {
  readonly object: BpfObject;
  readonly vms: SharedArray<layout.Vm>;
  readonly portBlockTable: SharedArray<layout.PortBlock>;
  readonly mappingTable: SharedArray<layout.Mapping>;
  readonly sessionTable: SharedArray<layout.SessionSlot>;
  readonly states: SharedArray<layout.GatewayState>;
  readonly virtualRouters: SharedArray<layout.VirtualRouter>;
  readonly gateways: TypedMap<number, layout.Gateway>;
  readonly interfaces: TypedMap<number, layout.Interface>;
  readonly networks: TypedMap<number, layout.Network>;
  readonly routers: TypedMap<number, layout.Router>;
  readonly externalNetworks: TypedMap<number, layout.ExternalNetwork>;
  readonly externalAddresses: TypedMap<number, layout.ExternalAddress>;
  readonly virtualRouterByAddress: TypedMap<number, number>;
  readonly networkByVni: TypedMap<number, number>;
  readonly neighbours: TypedMap<layout.NeighbourKey, layout.Neighbour>;
  readonly vmByAddress: TypedMap<layout.VmKey, number>;
  readonly walks: TypedMap<number, layout.Walk>;
  readonly replayWindows: TypedMap<number, layout.ReplayWindow>;
  readonly ports: TypedMap<number, number>;
  private readonly counterMap: PerCpuMap<number, layout.Counter>;
  private options: Required<FixtureOptions>;

  private constructor(object: BpfObject) {
    this.object = object;
    const shared = <T>(name: string, codec: Codec<T>): SharedArray<T> => new SharedArray(object.map(name), codec);
    const array = <T>(name: string, codec: Codec<T>): TypedMap<number, T> => new TypedMap(object.map(name), u32, codec);
    this.vms = shared('vms', layout.vmCodec);
    this.portBlockTable = shared('port_blocks', layout.portBlockCodec);
    this.mappingTable = shared('mappings', layout.mappingCodec);
    this.sessionTable = shared('sessions', layout.sessionSlotCodec);
    this.states = shared('gateway_states', layout.gatewayStateCodec);
    this.virtualRouters = shared('virtual_routers', layout.virtualRouterCodec);
    this.gateways = array('gateways', layout.gatewayCodec);
    this.interfaces = array('interfaces', layout.interfaceCodec);
    this.networks = array('networks', layout.networkCodec);
    this.routers = array('routers', layout.routerCodec);
    this.externalNetworks = array('external_networks', layout.externalNetworkCodec);
    this.externalAddresses = new TypedMap(object.map('external_addresses'), be32, layout.externalAddressCodec);
    this.virtualRouterByAddress = new TypedMap(object.map('virtual_router_by_address'), be32, u32);
    this.networkByVni = array('network_by_vni', u32);
    this.neighbours = new TypedMap(object.map('neighbours'), layout.neighbourKeyCodec, layout.neighbourCodec);
    this.vmByAddress = new TypedMap(object.map('vm_by_address'), layout.vmKeyCodec, u32);
    this.walks = array('walks', layout.walkCodec);
    this.replayWindows = array('replay_windows', layout.replayWindowCodec);
    this.ports = array('ports', u32);
    this.counterMap = new PerCpuMap(object.map('counters'), u32, layout.counterCodec);
    this.options = defaults({});
  }

  /** Opens, resizes and loads the object; the first reset() fills the maps. */
  static load(): GatewayFixture {
    const object = BpfObject.open(objectPath());
    resize(object);
    object.load();
    return new GatewayFixture(object);
  }

  close(): void {
    this.object.close();
  }

  /** Back to the standard gateway of world.ts with no VM learned and no session. */
  reset(options: FixtureOptions = {}): this {
    this.options = defaults(options);
    this.clear();
    this.fillNode();
    this.fillTenants();
    return this;
  }

  /** One packet through a program: what came out and what was counted. */
  run(program: ProgramName, frame: Buffer): RunResult {
    const before = this.counters();
    const { verdict, frame: output } = this.execute(program, frame);
    const counters: Record<ReasonName, number> = {};
    this.counters().forEach((packets, index) => {
      const name = layout.reasonNames[index]!;
      if (packets !== before[index]) counters[name] = packets - before[index]!;
    });
    return { verdict, frame: output, counters };
  }

  /** As run(), without looking at the counters: for loops over thousands of frames. */
  execute(program: ProgramName, frame: Buffer): { verdict: Verdict; frame: Buffer } {
    const result = this.object.program(program).testRun({ data: frame, dataOutSize: frame.length + 512 });
    return { verdict: VERDICTS[result.returnValue] ?? 'ABORTED', frame: Buffer.from(result.data) };
  }

  /** Packets counted so far, by number of reason, over all CPUs. */
  counters(): number[] {
    const totals: number[] = [];
    for (const [reason, perCpu] of this.counterMap.entries()) {
      totals[reason] = perCpu.reduce((sum, counter) => sum + Number(counter.packets), 0);
    }
    return totals;
  }

  setState(state: keyof typeof layout.virtualRouterState, change: Partial<layout.VirtualRouter> = {}): void {
    this.virtualRouters.update(world.VRID, { state: layout.virtualRouterState[state], ...change });
  }

  setGateway(change: Partial<layout.Gateway>): void {
    this.gateways.set(0, { ...this.gateways.get(0)!, ...change });
  }

  /** With the hour-long silence limit of the fixture: heard just now, or never. */
  setPeerAlive(alive: boolean): void {
    this.states.update(0, { peerHeardNs: alive ? nowNs() : 0n });
  }

  /** Leaves only these ways out: a redirect by another one is ABORTED. */
  setPorts(...roles: readonly (keyof typeof layout.interfaceRole)[]): void {
    for (const [role, index] of Object.entries(layout.interfaceRole)) {
      if (roles.includes(role as keyof typeof layout.interfaceRole)) this.ports.set(index, LOOPBACK_IFINDEX);
      else this.ports.delete(index);
    }
  }

  /** Index of a VM's slot, made if it does not exist, as the control plane does it. */
  ensureVm(vm: world.VirtualMachine): number {
    const context = Buffer.alloc(layout.vmEnsureCodec.size);
    const floatingIp = vm.floatingIp === undefined ? 0 : ipv4ToNumber(vm.floatingIp);
    layout.vmEnsureCodec.encode(
      { vni: vm.tenant.vni, address: ipv4ToNumber(vm.address), floatingIp, vm: 0 },
      context,
    );
    const result = this.object.program('vm_ensure').testRun({ context });
    if ((result.returnValue | 0) !== 0) throw new Error(`vm_ensure returned ${result.returnValue | 0}`);
    return layout.vmEnsureCodec.decode(result.context).vm;
  }

  vmIndex(vm: { readonly tenant: world.Tenant; readonly address: string }): number | undefined {
    return this.vmByAddress.get({ vni: vm.tenant.vni, address: ipv4ToNumber(vm.address) });
  }

  vm(vm: { readonly tenant: world.Tenant; readonly address: string }): layout.Vm | undefined {
    const index = this.vmIndex(vm);
    return index === undefined ? undefined : this.vms.get(index);
  }

  mappings(): MappingEntry[] {
    return [...this.mappingTable.used()].map(([index, mapping]) => ({
      ...mapping,
      externalAddress: world.tenants[Math.floor(index / (PROTOCOLS * PORTS))]!.externalAddress,
      protocol: Math.floor(index / PORTS) % PROTOCOLS,
      externalPort: index % PORTS,
    }));
  }

  /** Sessions beyond the first of each mapping. */
  sessions(): layout.SessionSlot[] {
    return [...this.sessionTable.used()].map(([, slot]) => slot);
  }

  portBlocks(): PortBlockEntry[] {
    return [...this.portBlockTable.used()].map(([index, block]) => ({
      ...block,
      externalAddress: world.tenants[Math.floor(index / PORT_BLOCKS_PER_ADDRESS)]!.externalAddress,
      block: index % PORT_BLOCKS_PER_ADDRESS,
    }));
  }

  /** Everything that a refused packet must leave as it was. Clocks read 0: a tick may pass between two looks. */
  tables(): { mappings: MappingEntry[]; sessions: layout.SessionSlot[]; portBlocks: PortBlockEntry[]; vms: layout.Vm[] } {
    const mappings = this.mappings().map((mapping) => ({ ...mapping, lastSeen: 0, first: { ...mapping.first, lastSeen: 0 } }));
    const sessions = this.sessions().map((slot) => ({ ...slot, session: { ...slot.session, lastSeen: 0 } }));
    const portBlocks = this.portBlocks().map((block) => ({ ...block, lastSeen: 0 }));
    const vms = [...this.vms.used()].map(([, vm]) => ({ ...vm, lastSeen: 0 }));
    return { mappings, sessions, portBlocks, vms };
  }

  /** Calls back with the events that programs emit, until closed. */
  listen(onEvent: (event: layout.Event, frame: Buffer) => void): RingBuffer {
    return new RingBuffer(this.object.map('events'), (record) => {
      const event = layout.eventCodec.decode(record);
      const start = layout.eventCodec.size;
      onEvent(event, Buffer.from(record.subarray(start, start + event.length)));
    });
  }

  private clear(): void {
    for (const table of [this.vms, this.portBlockTable, this.mappingTable, this.sessionTable, this.states, this.virtualRouters]) {
      table.clear();
    }
    for (const name of hashMaps) {
      const map = this.object.map(name);
      for (const key of [...map.keys()]) map.delete(key);
    }
    for (const [name, entries] of [['walks', 2], ['replay_windows', 2], ['networks', 4], ['routers', 4]] as const) {
      const map = this.object.map(name);
      for (let index = 0; index < entries; index++) map.update(key32(index), Buffer.alloc(map.info.valueSize));
    }
  }

  private fillNode(): void {
    const { node, peer, syncMode, state, peerAlive, leaseMs, term, epoch } = this.options;
    this.gateways.set(0, gatewayValue(node, peer, layout.syncMode[syncMode], epoch));
    const roles = [['underlay', 1600], ['external', 1500], ['ha', 2000]] as const;
    for (const [role, mtu] of roles) {
      const { address, mac } = node[role];
      const value = { ifindex: LOOPBACK_IFINDEX, mtu, address: ipv4ToNumber(address), mac: macToBuffer(mac) };
      this.interfaces.set(layout.interfaceRole[role], value);
    }
    this.setPorts('underlay', 'external', 'ha');
    this.virtualRouters.set(world.VRID, {
      state: layout.virtualRouterState[state],
      term,
      leaseUntilNs: nowNs() + BigInt(leaseMs) * MS,
      activeSinceNs: 1n,
      address: ipv4ToNumber(world.VIRTUAL_ADDRESS),
      mac: macToBuffer(world.VIRTUAL_MAC),
    });
    this.virtualRouterByAddress.set(ipv4ToNumber(world.VIRTUAL_ADDRESS), world.VRID);
    this.setPeerAlive(peerAlive);
  }

  private fillTenants(): void {
    this.externalNetworks.set(0, {
      subnet: ipv4ToNumber(world.provider.subnet),
      netmask: ipv4ToNumber(world.provider.netmask),
      gateway: ipv4ToNumber(world.externalRouter.address),
      gatewayMac: macToBuffer(world.externalRouter.mac),
    });
    const key = { interface: layout.interfaceRole.external, address: ipv4ToNumber(world.neighbour.address) };
    this.neighbours.set(key, { mac: macToBuffer(world.neighbour.mac) });
    world.tenants.forEach((tenant, index) => this.fillTenant(tenant, index));
    for (const vm of world.vms) {
      if (vm.floatingIp !== undefined) this.fillFloatingIp(vm, vm.floatingIp);
    }
  }

  private fillTenant(tenant: world.Tenant, index: number): void {
    this.networkByVni.set(tenant.vni, index);
    this.networks.set(index, {
      vni: tenant.vni,
      router: index,
      subnet: ipv4ToNumber(tenant.subnet),
      netmask: ipv4ToNumber(tenant.netmask),
      gateway: ipv4ToNumber(tenant.gateway),
      gatewayMac: macToBuffer(tenant.gatewayMac),
    });
    const externalAddress = ipv4ToNumber(tenant.externalAddress);
    this.routers.set(index, { externalAddress, externalAddressIndex: index, externalNetwork: 0, virtualRouter: world.VRID });
    this.externalAddresses.set(externalAddress, { kind: layout.externalAddressKind.router, index, router: index });
  }

  private fillFloatingIp(vm: world.VirtualMachine, floatingIp: string): void {
    this.externalAddresses.set(ipv4ToNumber(floatingIp), {
      kind: layout.externalAddressKind.floatingIp,
      index: this.ensureVm(vm),
      router: world.tenants.indexOf(vm.tenant as (typeof world.tenants)[number]),
    });
  }
}

function key32(index: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  return key;
}

function defaults(options: FixtureOptions): Required<FixtureOptions> {
  const node = options.node ?? world.nodeA;
  return {
    node,
    peer: node === world.nodeA ? world.nodeB : world.nodeA,
    syncMode: 'strict',
    state: 'active',
    peerAlive: true,
    leaseMs: 3_600_000,
    term: 1,
    epoch: 1,
    ...options,
  };
}

function gatewayValue(node: world.Node, peer: world.Node, syncMode: number, epoch: number): layout.Gateway {
  return {
    id: node.id,
    syncMode,
    key: [...world.SYNC_KEY],
    soloAfterNs: 3_600_000n * MS,
    epoch,
    haAddress: ipv4ToNumber(node.ha.address),
    peerAddress: ipv4ToNumber(peer.ha.address),
    peerMac: macToBuffer(peer.ha.mac),
    tcpEstablishedTicks: 6929,
    tcpTransitoryTicks: 224,
    udpTicks: 280,
    icmpTicks: 56,
    holdDownTicks: 112,
    externalAddresses: SIZES.externalAddresses,
    sessionBuckets: SIZES.sessionBuckets,
  };
}
