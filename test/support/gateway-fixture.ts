/**
 * One gateway's programs and maps, loaded but attached to nothing, for packet
 * tests by BPF_PROG_TEST_RUN:
 *
 *   const gateway = GatewayFixture.load();
 *   gateway.reset({ syncMode: 'none' });
 *   const result = gateway.run('underlay', frameFromVm(a1, […]));
 *   expect(result.verdict).toBe('REDIRECT');
 *
 * The maps hold the two tenants of world.ts. The same tables of packets go
 * through the programs of both hooks: describe.each(hooks)('…, %s', (hook) => …).
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { be32, BpfObject, PerCpuMap, RingBuffer, TypedMap, u32, type BpfMap, type BpfProgram, type Codec } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber, macToBuffer, numberToIpv4 } from './bytes.js';
import { frame, geneve } from './packet.js';
import * as world from './world.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** FLOATGATE_TEST_OBJECT: another build than the one of dist, its TC twin beside it. */
const OBJECT = process.env['FLOATGATE_TEST_OBJECT'] ?? `${ROOT}dist/bpf/floatgate.bpf.o`;
const TC_OBJECT = join(dirname(OBJECT), 'floatgate-tc.bpf.o');

/** Small, so that a test can fill them. */
const SIZES = { vms: 64, snatAddresses: 4, sessionBuckets: 8 };
const SESSION_BUCKET_SIZE = 8;
const PORT_BLOCKS_PER_ADDRESS = 256;
const PROTOCOLS = 3;
const PORTS = 65536;
const VM_PORT_BLOCKS = 8;
const ROUTE_SCOPE_EXTERNAL = 0x80000000;
const TICK_SHIFT = 30n;
/** Entries of index tables that a test may have touched. */
const INDEXES = 8;
const POOL_ENTRIES = 64;

export type Hook = 'xdp' | 'tc';
/** Where the programs that forward run: what a packet test has to be run at. Only a build of one's own may lack the twin. */
export const hooks: readonly Hook[] = process.env['FLOATGATE_TEST_OBJECT'] === undefined || existsSync(TC_OBJECT) ? ['xdp', 'tc'] : ['xdp'];

let defaultHook: Hook = 'xdp';

/** Where load() has the programs run unless it is told. */
export function loadByDefault(hook: Hook): void {
  defaultHook = hook;
}

export type ProgramName = 'underlay' | 'external' | 'ha_xdp' | 'seal_xdp' | 'bulk_xdp' | 'age_xdp' | 'digest_xdp' | 'doubt_xdp' | 'repair_xdp' | 'sweep_xdp';
export type Verdict = 'ABORTED' | 'DROP' | 'PASS' | 'TX' | 'REDIRECT';
const XDP_VERDICTS: readonly Verdict[] = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'];
/** TC_ACT_OK, TC_ACT_SHOT, TC_ACT_PIPE, TC_ACT_REDIRECT. */
const TC_VERDICTS: Readonly<Record<number, Verdict>> = { 0: 'PASS', 2: 'DROP', 3: 'PASS', 7: 'REDIRECT' };
/** Ethernet and IPv4, by EtherType; and IPv6. */
const SHORTEST_AT_TC: Readonly<Record<number, number>> = { 0x0800: 34, 0x86dd: 54 };
/** struct __sk_buff, and its cb[1]: the VLAN tag, which is beside the frame's bytes there. */
const SK_BUFF_BYTES = 192;
const SK_BUFF_TAG = 52;
/** Its gso_size. */
const SK_BUFF_SEGMENT_SIZE = 176;
/** TC knows no way back but a redirect to where the packet came from. */
const ANSWERED_IN_PLACE: readonly string[] = [
  'arp_reply_inner', 'arp_reply_underlay', 'arp_reply_external', 'echo_reply_inner', 'echo_reply_external',
  'icmp_error_to_vm', 'icmp_error_to_outside', 'heartbeat_turned',
];

/** Lower case, without the prefix: a reason as metrics and the CLI name it. */
export type ReasonName = string;

export interface RunResult {
  readonly verdict: Verdict;
  /** At TC without its 802.1Q tag: the kernel carries that beside the bytes, and a test run does not show it. */
  readonly frame: Buffer;
  readonly hook: Hook;
  /** Packets counted by this run, of every reason that counted any. */
  readonly counters: Readonly<Record<ReasonName, number>>;
}

export interface RunOptions {
  /** The frame stands for many, with so much payload in each: at TC only. */
  readonly segmentSize?: number;
}

export interface LoadOptions {
  /** Default: that of loadByDefault(), xdp. */
  readonly hook?: Hook;
  /** Default: all; verifying the others takes its time. */
  readonly programs?: readonly string[];
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
  /** Of its slot. */
  readonly index: number;
  readonly externalAddress: string;
  readonly protocol: number;
  readonly externalPort: number;
}

export interface Prefix {
  readonly address: string;
  readonly length: number;
}

export interface PortForwarding {
  readonly vm: world.VirtualMachine;
  readonly protocol: 'tcp' | 'udp';
  readonly internalPort: number;
  readonly externalPort: number;
  /** Default: the first of the VM's router. */
  readonly externalAddress?: string;
}

/** What the configuration may say of a VM beside its name. */
export interface VmConfiguration {
  /** Its endpoint is where the world's VM is, and nowhere else. */
  readonly pinned?: boolean;
  readonly hasForwardings?: boolean;
}

export interface ExternalNetworkDescription {
  readonly subnet: string;
  readonly netmask: string;
  readonly gateway: string;
  readonly gatewayMac?: string;
  readonly vlan?: number;
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

/**
 * The unit of every last_seen: so many of them, and so many nanoseconds, ago.
 * Before the machine's start it wraps, as the programs' arithmetic does.
 */
export function ticksAgo(ticks: number, ns = 0n): number {
  return (Number((nowNs() - ns) >> TICK_SHIFT) - ticks) >>> 0;
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

/** One of the two objects; built where it is missing. */
function built(object: string): string {
  if (existsSync(object)) return object;
  if (process.env['FLOATGATE_TEST_OBJECT'] !== undefined) throw new Error(`FLOATGATE_TEST_OBJECT: there is no ${object}`);
  const build = spawnSync(process.execPath, [`${ROOT}.ci/build.mjs`, 'bpf'], { cwd: ROOT, encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`building ${object} failed:\n${build.stdout}${build.stderr}`);
  return object;
}

const sizes: Readonly<Record<string, number>> = {
  vms: SIZES.vms,
  vm_by_address: SIZES.vms,
  free_vms: SIZES.vms,
  snat_addresses: SIZES.snatAddresses,
  port_blocks: SIZES.snatAddresses * PORT_BLOCKS_PER_ADDRESS,
  mappings: SIZES.snatAddresses * PROTOCOLS * PORTS,
  sessions: SIZES.sessionBuckets * SESSION_BUCKET_SIZE,
  floating_ip_counters: 64,
};

function resize(object: BpfObject): void {
  for (const [name, entries] of Object.entries(sizes)) object.maps.get(name)?.setMaxEntries(entries);
}

function withTag(bytes: Buffer, control: number): Buffer {
  if (control === 0) return Buffer.from(bytes);
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(0x8100, 0);
  tag.writeUInt16BE(control, 2);
  return Buffer.concat([bytes.subarray(0, 12), tag, bytes.subarray(12)]);
}

function segmented(segmentSize: number): Buffer {
  const context = Buffer.alloc(SK_BUFF_BYTES);
  context.writeUInt32LE(segmentSize, SK_BUFF_SEGMENT_SIZE);
  return context;
}

/** The TC programs over the maps of the object that is loaded. */
function loadTwin(object: BpfObject): BpfObject {
  const twin = BpfObject.open(built(TC_OBJECT));
  resize(twin);
  for (const [name, map] of twin.maps) {
    const shared = object.maps.get(name);
    if (shared !== undefined && !name.includes('.')) map.reuse(shared);
  }
  twin.load();
  return twin;
}

const hashMaps = [
  'virtual_router_by_address', 'network_by_vni', 'external_addresses', 'neighbours', 'vm_by_address', 'forwardings', 'routes', 'fragments', 'bfd_sessions',
] as const;
const indexedMaps = [
  ['walks', 6], ['replay_windows', 4], ['advertisement_rules', 256], ['networks', INDEXES], ['routers', INDEXES], ['external_networks', INDEXES],
  ['snat_addresses', SIZES.snatAddresses], ['pools', POOL_ENTRIES], ['network_states', INDEXES], ['router_states', INDEXES],
] as const;

/** Bits from the left. */
function netmaskOf(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

function lengthOf(netmask: string): number {
  return 32 - Math.log2(2 ** 32 - ipv4ToNumber(netmask));
}

export class GatewayFixture {
  readonly hook: Hook;
  readonly object: BpfObject;
  readonly vms: SharedArray<layout.Vm>;
  readonly portBlockTable: SharedArray<layout.PortBlock>;
  readonly mappingTable: SharedArray<layout.Mapping>;
  readonly sessionTable: SharedArray<layout.SessionSlot>;
  readonly states: SharedArray<layout.GatewayState>;
  readonly liveness: SharedArray<layout.Liveness>;
  readonly virtualRouters: SharedArray<layout.VirtualRouter>;
  readonly gateways: TypedMap<number, layout.Gateway>;
  readonly interfaces: TypedMap<number, layout.Interface>;
  readonly networks: TypedMap<number, layout.Network>;
  readonly routers: TypedMap<number, layout.Router>;
  readonly externalNetworks: TypedMap<number, layout.ExternalNetwork>;
  readonly externalAddresses: TypedMap<layout.ExternalKey, layout.ExternalAddress>;
  readonly snatAddresses: TypedMap<number, layout.SnatAddress>;
  readonly pools: TypedMap<number, number>;
  readonly routes: TypedMap<layout.RouteKey, layout.Route>;
  readonly forwardings: TypedMap<layout.ForwardingKey, layout.Forwarding>;
  readonly fragments: TypedMap<layout.FragmentKey, layout.Fragment>;
  readonly networkStates: SharedArray<layout.NetworkState>;
  readonly routerStates: SharedArray<layout.RouterState>;
  readonly advertisementRules: TypedMap<number, layout.AdvertisementRule>;
  readonly advertisements: SharedArray<layout.Advertisement>;
  readonly virtualRouterByAddress: TypedMap<number, number>;
  readonly networkByVni: TypedMap<number, number>;
  readonly neighbours: TypedMap<layout.NeighbourKey, layout.Neighbour>;
  readonly vmByAddress: TypedMap<layout.VmKey, number>;
  readonly bfdSessions: TypedMap<layout.BfdKey, layout.BfdSession>;
  readonly walks: TypedMap<number, layout.Walk>;
  readonly segments: SharedArray<layout.Segment>;
  readonly replayWindows: TypedMap<number, layout.ReplayWindow>;
  readonly ports: TypedMap<number, number>;
  private readonly counterMap: PerCpuMap<number, layout.Counter>;
  private readonly floatingIpCounters: PerCpuMap<number, layout.FloatingIpCounter>;
  private readonly icmpBudgets: PerCpuMap<number, layout.IcmpBudget>;
  private readonly bfdBudgets: PerCpuMap<number, layout.BfdBudget>;
  private readonly twin: BpfObject | undefined;
  /** Floating IPs by the index of their counter; 0 is none. */
  private readonly counted: string[] = [];
  private options: Required<FixtureOptions>;

  private constructor(object: BpfObject, hook: Hook) {
    this.object = object;
    this.hook = hook;
    this.twin = hook === 'tc' ? loadTwin(object) : undefined;
    const shared = <T>(name: string, codec: Codec<T>): SharedArray<T> => new SharedArray(object.map(name), codec);
    const array = <T>(name: string, codec: Codec<T>): TypedMap<number, T> => new TypedMap(object.map(name), u32, codec);
    this.vms = shared('vms', layout.vmCodec);
    this.portBlockTable = shared('port_blocks', layout.portBlockCodec);
    this.mappingTable = shared('mappings', layout.mappingCodec);
    this.sessionTable = shared('sessions', layout.sessionSlotCodec);
    this.states = shared('gateway_states', layout.gatewayStateCodec);
    this.liveness = shared('liveness', layout.livenessCodec);
    this.virtualRouters = shared('virtual_routers', layout.virtualRouterCodec);
    this.gateways = array('gateways', layout.gatewayCodec);
    this.interfaces = array('interfaces', layout.interfaceCodec);
    this.networks = array('networks', layout.networkCodec);
    this.routers = array('routers', layout.routerCodec);
    this.externalNetworks = array('external_networks', layout.externalNetworkCodec);
    this.externalAddresses = new TypedMap(object.map('external_addresses'), layout.externalKeyCodec, layout.externalAddressCodec);
    this.snatAddresses = array('snat_addresses', layout.snatAddressCodec);
    this.pools = array('pools', u32);
    this.routes = new TypedMap(object.map('routes'), layout.routeKeyCodec, layout.routeCodec);
    this.forwardings = new TypedMap(object.map('forwardings'), layout.forwardingKeyCodec, layout.forwardingCodec);
    this.fragments = new TypedMap(object.map('fragments'), layout.fragmentKeyCodec, layout.fragmentCodec);
    this.networkStates = shared('network_states', layout.networkStateCodec);
    this.routerStates = shared('router_states', layout.routerStateCodec);
    this.advertisementRules = array('advertisement_rules', layout.advertisementRuleCodec);
    this.advertisements = shared('advertisements', layout.advertisementCodec);
    this.virtualRouterByAddress = new TypedMap(object.map('virtual_router_by_address'), be32, u32);
    this.networkByVni = array('network_by_vni', u32);
    this.neighbours = new TypedMap(object.map('neighbours'), layout.neighbourKeyCodec, layout.neighbourCodec);
    this.vmByAddress = new TypedMap(object.map('vm_by_address'), layout.vmKeyCodec, u32);
    this.bfdSessions = new TypedMap(object.map('bfd_sessions'), layout.bfdKeyCodec, layout.bfdSessionCodec);
    this.walks = array('walks', layout.walkCodec);
    this.segments = shared('segments', layout.segmentCodec);
    this.replayWindows = array('replay_windows', layout.replayWindowCodec);
    this.ports = array('ports', u32);
    this.counterMap = new PerCpuMap(object.map('counters'), u32, layout.counterCodec);
    this.floatingIpCounters = new PerCpuMap(object.map('floating_ip_counters'), u32, layout.floatingIpCounterCodec);
    this.icmpBudgets = new PerCpuMap(object.map('icmp_budgets'), u32, layout.icmpBudgetCodec);
    this.bfdBudgets = new PerCpuMap(object.map('bfd_budgets'), u32, layout.bfdBudgetCodec);
    this.options = defaults({});
  }

  /** Opens, resizes and loads the object; the first reset() fills the maps. */
  static load({ hook = defaultHook, programs }: LoadOptions = {}): GatewayFixture {
    const object = BpfObject.open(built(OBJECT));
    resize(object);
    if (programs !== undefined) for (const [name, program] of object.programs) program.setAutoload(programs.includes(name));
    object.load();
    return new GatewayFixture(object, hook);
  }

  close(): void {
    this.twin?.close();
    this.object.close();
  }

  /** Back to the standard gateway of world.ts with no VM learned and no session. */
  reset(options: FixtureOptions = {}): this {
    this.options = defaults(options);
    this.empty();
    this.fillNode();
    this.fillTenants();
    return this;
  }

  /** One packet through a program: what came out and what was counted. */
  run(program: ProgramName, frame: Buffer, options: RunOptions = {}): RunResult {
    const before = this.counters();
    const { verdict, frame: output } = this.execute(program, frame, options);
    const counters: Record<ReasonName, number> = {};
    this.counters().forEach((packets, index) => {
      const name = layout.reasonNames[index]!;
      if (packets !== before[index]) counters[name] = packets - before[index]!;
    });
    const answered = this.hook === 'tc' && verdict === 'REDIRECT' && ANSWERED_IN_PLACE.some((name) => name in counters);
    return { verdict: answered ? 'TX' : verdict, frame: output, hook: this.runsAtTc(program) ? 'tc' : 'xdp', counters };
  }

  /** As run(), without looking at the counters: for loops over thousands of frames. */
  execute(program: ProgramName, frame: Buffer, { segmentSize }: RunOptions = {}): { verdict: Verdict; frame: Buffer } {
    const dataOutSize = frame.length + 512;
    if (this.runsAtTc(program)) {
      if (!this.takes(program, frame)) return { verdict: 'DROP', frame };
      const { returnValue, data, context } = this.program(program).testRun({
        data: frame,
        dataOutSize,
        contextOutSize: SK_BUFF_BYTES,
        ...(segmentSize !== undefined && { context: segmented(segmentSize) }),
      });
      return { verdict: TC_VERDICTS[returnValue] ?? 'ABORTED', frame: withTag(data, context.readUInt32LE(SK_BUFF_TAG)) };
    }
    const { returnValue, data } = this.program(program).testRun({ data: frame, dataOutSize });
    return { verdict: XDP_VERDICTS[returnValue] ?? 'ABORTED', frame: Buffer.from(data) };
  }

  /** Whether the program sees the frame at all: the kernel gives TC none that is shorter than its header. */
  takes(program: ProgramName, frame: Buffer): boolean {
    return !this.runsAtTc(program) || frame.length >= (SHORTEST_AT_TC[frame.readUInt16BE(12)] ?? 34);
  }

  /** Only what forwards for VMs has a twin. */
  private runsAtTc(program: ProgramName): boolean {
    return this.hook === 'tc' && (program === 'underlay' || program === 'external');
  }

  private program(name: ProgramName): BpfProgram {
    if (this.runsAtTc(name)) return this.twin!.program(`${name}_tc`);
    return this.object.program(name === 'underlay' || name === 'external' ? `${name}_xdp` : name);
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

  /** Of the world's virtual router: version 3, priority 100, whoever the peer is. */
  setAdvertisementRule(change: Partial<layout.AdvertisementRule>): void {
    const rule = { version: 3, authentication: 0, priority: 100, interval: 0, peers: 0, password: [0, 0], peer: [0, 0, 0, 0, 0, 0, 0, 0] };
    this.advertisementRules.set(world.VRID, { ...rule, ...change });
  }

  /** The last advertisement that was noted, of the world's virtual router. */
  advertisementNote(kind: 'superior' | 'inferior'): { readonly receivedNs: bigint; readonly packet: Buffer } {
    const { receivedNs, length, packet } = this.advertisements.get(world.VRID * layout.advertisementKindCount + layout.advertisementKind[kind]);
    return { receivedNs, packet: packet.subarray(0, length) };
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

  setRouter(change: Partial<layout.Router>, tenant: world.Tenant = world.tenantA): void {
    this.routers.set(tenant.router, { ...this.routers.get(tenant.router)!, ...change });
  }

  setNetwork(change: Partial<layout.Network>, tenant: world.Tenant = world.tenantA): void {
    const index = this.networkIndex(tenant);
    this.networks.set(index, { ...this.networks.get(index)!, ...change });
  }

  setInterface(role: keyof typeof layout.interfaceRole, change: Partial<layout.Interface>): void {
    const index = layout.interfaceRole[role];
    this.interfaces.set(index, { ...this.interfaces.get(index)!, ...change });
  }

  setExternalNetwork(change: Partial<layout.ExternalNetwork>, index = 0): void {
    this.externalNetworks.set(index, { ...this.externalNetworks.get(index)!, ...change });
  }

  networkIndex(tenant: world.Tenant): number {
    const index = this.networkByVni.get(world.vniKey(tenant));
    if (index === undefined) throw new Error(`no network has VNI ${tenant.vni}`);
    return index;
  }

  /** A further network, of the router that `tenant.router` says. */
  addNetwork(tenant: world.Tenant, index: number): void {
    this.networkByVni.set(world.vniKey(tenant), index);
    this.networks.set(index, {
      vni: world.vniKey(tenant),
      router: tenant.router,
      subnet: ipv4ToNumber(tenant.subnet),
      netmask: ipv4ToNumber(tenant.netmask),
      gateway: ipv4ToNumber(tenant.gateway),
      gatewayMac: macToBuffer(tenant.gatewayMac),
      mss: 0,
      flags: 0,
      vmLimit: 0,
      mtu: 0,
    });
    const length = lengthOf(tenant.netmask);
    this.addRoute(tenant, { address: tenant.subnet, length }, { kind: 'network', network: tenant });
  }

  /** An inner route of the tenant's router. The prefix over all of them grows with it. */
  addRoute(
    tenant: world.Tenant,
    prefix: Prefix,
    route: { readonly kind: 'network' | 'vm'; readonly network: world.Tenant; readonly via?: string },
  ): void {
    this.routes.set(
      { prefixLength: 32 + prefix.length, scope: tenant.router, address: ipv4ToNumber(prefix.address) },
      { kind: layout.routeKind[route.kind], network: this.networkIndex(route.network), via: ipv4ToNumber(route.via ?? '0.0.0.0') },
    );
    this.coverInnerRoutes(tenant.router);
  }

  /** A route of an external network: `via` a router, or on link. */
  addExternalRoute(prefix: Prefix, via?: string, network = 0): void {
    this.routes.set(
      { prefixLength: 32 + prefix.length, scope: externalScope(network), address: ipv4ToNumber(prefix.address) },
      { kind: via === undefined ? layout.routeKind.onLink : layout.routeKind.gateway, network: 0, via: ipv4ToNumber(via ?? '0.0.0.0') },
    );
    const { flags } = this.externalNetworks.get(network)!;
    this.setExternalNetwork({ flags: flags | layout.externalNetworkFlag.hasRoutes }, network);
  }

  /** Its own subnet is among its routes, which nobody asks before it has another. */
  addExternalNetwork(index: number, description: ExternalNetworkDescription): void {
    const { subnet, netmask, gateway, gatewayMac, vlan = 0 } = description;
    this.externalNetworks.set(index, {
      subnet: ipv4ToNumber(subnet),
      netmask: ipv4ToNumber(netmask),
      gateway: ipv4ToNumber(gateway),
      gatewayMac: gatewayMac === undefined ? Buffer.alloc(6) : macToBuffer(gatewayMac),
      vlan,
      flags: 0,
    });
    this.routes.set(
      { prefixLength: 32 + lengthOf(netmask), scope: externalScope(index), address: ipv4ToNumber(subnet) },
      { kind: layout.routeKind.onLink, network: 0, via: 0 },
    );
  }

  /** Who answers for an address beyond one of the interfaces. */
  addNeighbour(role: keyof typeof layout.interfaceRole, address: string, mac: string, vlan = 0): void {
    this.neighbours.set({ interface: layout.interfaceRole[role], vlan, address: ipv4ToNumber(address) }, { mac: macToBuffer(mac) });
  }

  removeNeighbour(role: keyof typeof layout.interfaceRole, address: string, vlan = 0): void {
    this.neighbours.delete({ interface: layout.interfaceRole[role], vlan, address: ipv4ToNumber(address) });
  }

  /** An address of a router's own, at its place in the tables: for shared SNAT once a pool has it. */
  addSnatAddress(index: number, address: string, tenant: world.Tenant = world.tenantA, vlan = 0): void {
    this.snatAddresses.set(index, { address: ipv4ToNumber(address), router: tenant.router });
    this.setExternalAddress(address, { kind: layout.externalAddressKind.router, index, router: tenant.router }, vlan);
    this.setGateway({ externalAddresses: Math.max(this.gateways.get(0)!.externalAddresses, index + 1) });
  }

  /** Which addresses a router uses for shared SNAT, by their places in the tables. */
  setPool(addresses: readonly number[], tenant: world.Tenant = world.tenantA): void {
    const first = 4 + tenant.router * 2;
    if (addresses.length > 2 && tenant.router > 0) throw new Error('there is room for two');
    addresses.forEach((address, place) => this.pools.set(first + place, address));
    this.setRouter({ pool: first, poolSize: addresses.length }, tenant);
  }

  setExternalAddress(address: string, value: layout.ExternalAddress, vlan = 0): void {
    this.externalAddresses.set({ address: ipv4ToNumber(address), vlan }, value);
  }

  removeExternalAddress(address: string, vlan = 0): void {
    this.externalAddresses.delete({ address: ipv4ToNumber(address), vlan });
  }

  /** A floating IP of a VM that the world does not give one. */
  addFloatingIp(vm: world.VirtualMachine, floatingIp: string, vlan = 0): world.VirtualMachine {
    const configured = { ...vm, floatingIp };
    this.fillFloatingIp(configured, floatingIp, vlan);
    return configured;
  }

  /** Both ways of a port forwarding. */
  addForwarding(forwarding: PortForwarding): void {
    const vm = this.ensureVm(forwarding.vm, { hasForwardings: true });
    this.runForwarding('forwarding_ensure', forwarding, vm);
    const { protocol, internalPort, externalPort } = forwarding;
    const externalAddress = ipv4ToNumber(forwarding.externalAddress ?? forwarding.vm.tenant.externalAddress);
    this.forwardings.set({ vm, protocol: layout.mappingProtocol[protocol], internalPort }, { externalAddress, externalPort });
  }

  removeForwarding(forwarding: PortForwarding): void {
    const vm = this.vmIndex(forwarding.vm)!;
    this.forwardings.delete({ vm, protocol: layout.mappingProtocol[forwarding.protocol], internalPort: forwarding.internalPort });
    this.runForwarding('forwarding_remove', forwarding, vm);
    this.ensureVm(forwarding.vm);
  }

  private runForwarding(program: 'forwarding_ensure' | 'forwarding_remove', forwarding: PortForwarding, vm: number): void {
    const { externalAddress = forwarding.vm.tenant.externalAddress, protocol, externalPort, internalPort } = forwarding;
    const context = Buffer.alloc(layout.forwardingEnsureCodec.size);
    layout.forwardingEnsureCodec.encode({ mapping: this.mappingIndex(externalAddress, protocol, externalPort), vm, internalPort }, context);
    const result = this.object.program(program).testRun({ context }).returnValue | 0;
    if (result !== 0) throw new Error(`${program} returned ${result}`);
  }

  /** The slot of an external port, whoever has it. */
  mappingIndex(externalAddress: string, protocol: keyof typeof layout.mappingProtocol, externalPort: number): number {
    const address = ipv4ToNumber(externalAddress);
    for (const [index, entry] of this.snatAddresses) {
      if (entry.address === address) return (index * PROTOCOLS + layout.mappingProtocol[protocol]) * PORTS + externalPort;
    }
    throw new Error(`${externalAddress} is no address of a router`);
  }

  /** Index of a VM's slot, made if it does not exist, as the control plane does it. */
  ensureVm(vm: world.VirtualMachine, { pinned = false, hasForwardings = false }: VmConfiguration = {}): number {
    const context = Buffer.alloc(layout.vmEnsureCodec.size);
    const geneveOption = vm.tenant.encapsulation === 'vxlan' ? Buffer.alloc(0) : geneveOptionBytes(vm);
    const option = Buffer.alloc(8);
    if (pinned) geneveOption.copy(option);
    layout.vmEnsureCodec.encode(
      {
        vni: world.vniKey(vm.tenant),
        address: ipv4ToNumber(vm.address),
        floatingIp: vm.floatingIp === undefined ? 0 : ipv4ToNumber(vm.floatingIp),
        floatingIpCounter: vm.floatingIp === undefined ? 0 : this.counterOf(vm.floatingIp),
        flags: (pinned ? layout.vmFlag.pinned : 0) | (hasForwardings ? layout.vmFlag.hasForwardings : 0),
        tunnelEndpoint: pinned ? ipv4ToNumber(vm.compute.address) : 0,
        mac: pinned ? macToBuffer(vm.mac) : Buffer.alloc(6),
        optionLength: pinned ? geneveOption.length : 0,
        option,
        vm: 0,
      },
      context,
    );
    const result = this.object.program('vm_ensure').testRun({ context });
    if ((result.returnValue | 0) !== 0) throw new Error(`vm_ensure returned ${result.returnValue | 0}`);
    return layout.vmEnsureCodec.decode(result.context).vm;
  }

  /** The VM's endpoint is the configuration's; its compute answers ARP. */
  pinVm(vm: world.VirtualMachine): number {
    this.addNeighbour('underlay', vm.compute.address, vm.compute.mac);
    return this.ensureVm(vm, { pinned: true });
  }

  /** What a floating IP has carried, over all CPUs. */
  floatingIpCounter(floatingIp: string): layout.FloatingIpCounter {
    const sum = { inboundPackets: 0n, inboundBytes: 0n, outboundPackets: 0n, outboundBytes: 0n };
    for (const counter of this.floatingIpCounters.get(this.counterOf(floatingIp)) ?? []) {
      sum.inboundPackets += counter.inboundPackets;
      sum.inboundBytes += counter.inboundBytes;
      sum.outboundPackets += counter.outboundPackets;
      sum.outboundBytes += counter.outboundBytes;
    }
    return sum;
  }

  private counterOf(floatingIp: string): number {
    if (!this.counted.includes(floatingIp)) this.counted.push(floatingIp);
    return this.counted.indexOf(floatingIp) + 1;
  }

  vmIndex(vm: { readonly tenant: world.Tenant; readonly address: string }): number | undefined {
    return this.vmByAddress.get({ vni: world.vniKey(vm.tenant), address: ipv4ToNumber(vm.address) });
  }

  vm(vm: { readonly tenant: world.Tenant; readonly address: string }): layout.Vm | undefined {
    const index = this.vmIndex(vm);
    return index === undefined ? undefined : this.vms.get(index);
  }

  /** Addresses for shared SNAT, by their places in the tables. */
  private snatAddressNames(): string[] {
    return [...this.snatAddresses].map(([, { address }]) => numberToIpv4(address));
  }

  mappings(): MappingEntry[] {
    const names = this.snatAddressNames();
    return [...this.mappingTable.used()].map(([index, mapping]) => ({
      ...mapping,
      index,
      externalAddress: names[Math.floor(index / (PROTOCOLS * PORTS))]!,
      protocol: Math.floor(index / PORTS) % PROTOCOLS,
      externalPort: index % PORTS,
    }));
  }

  /** Sessions beyond the first of each mapping. */
  sessions(): layout.SessionSlot[] {
    return [...this.sessionTable.used()].map(([, slot]) => slot);
  }

  portBlocks(): PortBlockEntry[] {
    const names = this.snatAddressNames();
    return [...this.portBlockTable.used()].map(([index, block]) => ({
      ...block,
      externalAddress: names[Math.floor(index / PORT_BLOCKS_PER_ADDRESS)]!,
      block: index % PORT_BLOCKS_PER_ADDRESS,
    }));
  }

  /** Everything that a refused packet must leave as it was. Clocks read 0: a tick may pass between two looks. */
  tables(): { mappings: MappingEntry[]; sessions: layout.SessionSlot[]; portBlocks: PortBlockEntry[]; vms: layout.Vm[] } {
    const mappings = this.mappings().map((mapping) => ({ ...mapping, lastSeen: 0, first: { ...mapping.first, lastSeen: 0, sequence: 0 } }));
    const sessions = this.sessions().map((slot) => ({ ...slot, session: { ...slot.session, lastSeen: 0, sequence: 0 } }));
    const portBlocks = this.portBlocks().map((block) => ({ ...block, lastSeen: 0 }));
    const vms = [...this.vms.used()].map(([, vm]) => ({ ...vm, lastSeen: 0, stamp: 0 }));
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

  /** Maps that nobody has written; of array maps as much as a test can have touched. */
  empty(): void {
    for (const table of [this.vms, this.portBlockTable, this.mappingTable, this.sessionTable, this.states, this.liveness, this.virtualRouters, this.segments, this.advertisements]) {
      table.clear();
    }
    for (const name of hashMaps) {
      const map = this.object.map(name);
      for (const key of [...map.keys()]) map.delete(key);
    }
    for (const [name, entries] of indexedMaps) {
      const map = this.object.map(name);
      for (let index = 0; index < entries; index++) map.update(key32(index), Buffer.alloc(map.info.valueSize));
    }
    for (const { raw } of [this.floatingIpCounters, this.icmpBudgets, this.bfdBudgets]) {
      for (const [key, value] of [...raw.entries()]) raw.update(Buffer.from(key), Buffer.alloc(value.length));
    }
  }

  private fillNode(): void {
    const { node, peer, syncMode, state, peerAlive, leaseMs, term, epoch } = this.options;
    this.gateways.set(0, gatewayValue(node, peer, layout.syncMode[syncMode], epoch));
    const roles = [['underlay', 1600], ['external', 1500], ['ha', 2000]] as const;
    for (const [role, mtu] of roles) {
      const { address, mac } = node[role];
      const value = { ifindex: LOOPBACK_IFINDEX, mtu, address: ipv4ToNumber(address), mac: macToBuffer(mac), vlan: 0 };
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
    this.setAdvertisementRule({});
    this.setPeerAlive(peerAlive);
  }

  private fillTenants(): void {
    const { provider, externalRouter, neighbour } = world;
    this.addExternalNetwork(0, { ...provider, gateway: externalRouter.address, gatewayMac: externalRouter.mac });
    this.addNeighbour('external', neighbour.address, neighbour.mac);
    world.tenants.forEach((tenant, index) => this.fillRouter(tenant, index));
    world.networks.forEach((network, index) => this.addNetwork(network, index));
    for (const vm of world.vms) {
      if (vm.floatingIp !== undefined) this.fillFloatingIp(vm, vm.floatingIp, 0);
    }
  }

  private fillRouter(tenant: world.Tenant, index: number): void {
    this.routers.set(tenant.router, {
      externalAddress: ipv4ToNumber(tenant.externalAddress),
      pool: 0,
      poolSize: 0,
      externalNetwork: 0,
      virtualRouter: world.VRID,
      innerPrefix: 0,
      innerMask: 0,
      mapping: layout.mappingBehaviour.endpointIndependent,
      filtering: layout.filteringBehaviour.addressDependent,
      vmBlockLimit: VM_PORT_BLOCKS,
      sessionLimit: 0,
      vmSessionLimit: 0,
      vmSessionsPerSecond: 0,
    });
    this.addSnatAddress(index, tenant.externalAddress, tenant);
    this.setPool([index], tenant);
  }

  /** The smallest prefix over all inner routes of a router: outside of it nobody looks for them. */
  private coverInnerRoutes(router: number): void {
    const prefixes = [...this.routes.keys()].filter(({ scope }) => scope === router);
    let length = Math.min(...prefixes.map(({ prefixLength }) => prefixLength - 32));
    const within = (): boolean => new Set(prefixes.map(({ address }) => (address & netmaskOf(length)) >>> 0)).size === 1;
    while (!within()) length--;
    const innerMask = netmaskOf(length);
    this.routers.set(router, { ...this.routers.get(router)!, innerMask, innerPrefix: (prefixes[0]!.address & innerMask) >>> 0 });
  }

  private fillFloatingIp(vm: world.VirtualMachine, floatingIp: string, vlan: number): void {
    const value = { kind: layout.externalAddressKind.floatingIp, index: this.ensureVm(vm), router: vm.tenant.router };
    this.setExternalAddress(floatingIp, value, vlan);
  }
}

function externalScope(network: number): number {
  return (ROUTE_SCOPE_EXTERNAL | network) >>> 0;
}

function geneveOptionBytes(vm: world.VirtualMachine): Buffer {
  return frame(geneve({ vni: 0, options: [vm.option] })).subarray(8);
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
    otherKey: [0n, 0n],
    seed: [...world.SYNC_KEY],
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
    externalAddresses: 0,
    sessionBuckets: SIZES.sessionBuckets,
    vmTicks: 3352,
    icmpErrorsPerSecond: 1000,
    restingPortLimit: 0,
    logPorts: 0,
    peerUnderlayAddress: ipv4ToNumber(peer.underlay.address),
  };
}
