/**
 * A gateway of the packet tests whose maps hold what src/compile makes of a configuration, carried out step by
 * step by src/dataplane as a reload does it; and what they hold, told without any index.
 */
import { compile, type CompiledState } from '../../src/compile/compile.js';
import type { Facts } from '../../src/compile/facts.js';
import { plan } from '../../src/compile/plan.js';
import type { MacAddress, Ipv4Address } from '../../src/config/address.js';
import { SecretKey } from '../../src/config/key.js';
import type { Configuration } from '../../src/config/schema.js';
import { applyChange, type ApplyTargets } from '../../src/dataplane/apply.js';
import { mappingFlag, routeKind, sessionEndCodec, syncRecordCodec, vmFlag, walkKind, type Vm } from '../../src/dataplane/layout.generated.js';
import { openMaps } from '../../src/dataplane/maps.js';
import { PortTables } from '../../src/dataplane/port-tables.js';
import { Roles } from '../../src/dataplane/roles.js';
import { bufferToMac, ipv4ToNumber, macToBuffer, numberToIpv4 } from './bytes.js';
import { GatewayFixture, nowNs } from './gateway-fixture.js';
import { nodeA, nodeB, SYNC_KEY, type Node } from './world.js';

const LOOPBACK_IFINDEX = 1;
const ROUTE_SCOPE_EXTERNAL = 0x80000000;
const HOUR_NS = 3_600_000_000_000n;
/** Entries of index tables that a small configuration can have touched. */
const INDEXES = 8;
const POOL_ENTRIES = 64;
/** Room for a frame full of records. */
const FULL_FRAME_BYTES = 1_000;
const NO_RECORD = syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size));

export class ConfiguredGateway {
  readonly fixture: GatewayFixture;
  readonly #targets: ApplyTargets;
  #node: Node = nodeA;
  #state: CompiledState | undefined;
  /** What a daemon that died had begun to carry out. */
  #abandoned: CompiledState | undefined;

  private constructor(fixture: GatewayFixture) {
    this.fixture = fixture;
    const { object } = fixture;
    const map = (name: string) => object.map(name);
    const runSystemCall = (program: string, context: Buffer) => {
      const run = object.program(program).testRun({ context });
      return { result: run.returnValue | 0, context: run.context };
    };
    const endSession = (which: { mapping: number; remote: number; remotePort: number }): void => {
      const request = Buffer.alloc(sessionEndCodec.size);
      sessionEndCodec.encode({ ...which, record: NO_RECORD }, request);
      runSystemCall('session_end', request);
    };
    this.#targets = {
      maps: openMaps(object),
      roles: new Roles(map('virtual_routers')),
      ports: new PortTables({ vms: map('vms'), portBlocks: map('port_blocks'), mappings: map('mappings'), sessions: map('sessions'), networkStates: map('network_states') }, { endSession, nowNs }),
      runSystemCall,
    };
  }

  static load(): ConfiguredGateway {
    return new ConfiguredGateway(GatewayFixture.load());
  }

  /** One that no packet will come to. */
  static loadWithoutPackets(): ConfiguredGateway {
    return new ConfiguredGateway(GatewayFixture.load({ hook: 'xdp', programs: ['vm_ensure', 'forwarding_ensure', 'forwarding_remove', 'session_end'] }));
  }

  close(): void {
    this.fixture.close();
  }

  /** As a daemon that starts over maps that nobody has written. */
  startOver(node: Node): void {
    this.fixture.empty();
    this.#node = node;
    this.#state = undefined;
    this.#abandoned = undefined;
  }

  /** By the daemon that runs; or else by the next one at its start. */
  reload(configuration: Configuration): void {
    const { next, changes } = this.#prepare(configuration);
    this.#apply(changes);
    this.#state = next;
    this.#abandoned = undefined;
    this.#resolve();
  }

  /** As reload() of a daemon that dies on the way. @param part of its changes, in percent */
  die(configuration: Configuration, part: number): void {
    const { next, changes } = this.#prepare(configuration);
    this.#apply(changes.slice(0, Math.round((changes.length * part) / 100)));
    this.#abandoned = next;
  }

  /** As reload() of a daemon that the kernel refuses a step: what was in force before is so again. */
  fail(configuration: Configuration, part: number): void {
    const { next, changes } = this.#prepare(configuration);
    this.#apply(changes.slice(0, Math.round((changes.length * part) / 100)));
    if (this.#state !== undefined) this.#apply(plan(next, this.#state, 'everything'));
    this.#resolve();
  }

  /** As src/dataplane/installation.ts does it, at a reload and at a start over maps that an earlier daemon has left. */
  #prepare(configuration: Configuration): { next: CompiledState; changes: ReturnType<typeof plan> } {
    const next = compile(configuration, factsOf(this.#node), this.#state);
    if (this.#abandoned !== undefined && this.#state !== undefined && plan(this.#abandoned, next).length > 0) this.#apply(plan(this.#abandoned, this.#state, 'everything'));
    return { next, changes: plan(this.#state, next, this.#abandoned === undefined ? 'changes' : 'everything') };
  }

  #apply(changes: ReturnType<typeof plan>): void {
    for (const change of changes) for (const _ of applyChange(change, this.#targets)) continue;
  }

  /** What the resolver and the synchronisation add: next hops, and the peer. */
  #resolve(): void {
    const { fixture } = this;
    const peer = this.#node === nodeA ? nodeB : nodeA;
    fixture.setGateway({ peerMac: macToBuffer(peer.ha.mac), epoch: 1, soloAfterNs: HOUR_NS });
    fixture.setPeerAlive(true);
    for (let index = 0; index < INDEXES; index++) {
      const network = fixture.externalNetworks.get(index)!;
      if (network.gateway !== 0) fixture.externalNetworks.set(index, { ...network, gatewayMac: macToBuffer('02:00:00:00:02:01') });
    }
    for (const host of [31, 32]) fixture.addNeighbour('underlay', `192.168.33.${host}`, `02:00:00:00:33:${host}`);
  }

  /** Of every virtual router. */
  setRole(state: number, term: number): void {
    const { virtualRouters } = this.fixture;
    for (const vrid of this.#state!.maps.virtual_routers.keys()) virtualRouters.update(vrid, { state, term, leaseUntilNs: nowNs() + HOUR_NS, activeSinceNs: nowNs() + HOUR_NS });
  }

  /** A whole pass; what it says to the peer is lost. */
  age(): void {
    this.fixture.walks.set(walkKind.age, { phase: 0, position: 0, records: 0, seed: 0n });
    const room = Buffer.alloc(FULL_FRAME_BYTES);
    while (this.fixture.execute('age_xdp', room).verdict !== 'DROP') continue;
  }

  /** What the maps say, by names: two that hold the same configuration say the same, whatever they held before. */
  configured(): unknown {
    return new Reading(this.fixture).all();
  }

  /** Everything in the tables that the packets fill for which nothing of the configuration stands any more. */
  stale(): string[] {
    return new Reading(this.fixture).stale();
  }
}

function factsOf({ underlay, external, ha }: Node): Facts {
  const of = ({ address, mac }: Node['ha'], mtu: number) => ({ ifindex: LOOPBACK_IFINDEX, mtu, mac: mac as MacAddress, address: ipv4ToNumber(address) as Ipv4Address, prefixLength: 24 });
  return { interfaces: { underlay: of(underlay, 1600), external: of(external, 1500), ha: of(ha, 2000) }, key: new SecretKey([...SYNC_KEY] as [bigint, bigint]) };
}

/** An index resolves to what stands there, or to a sentence that no other gateway's reading has. */
class Reading {
  readonly #gateway: GatewayFixture;

  constructor(gateway: GatewayFixture) {
    this.#gateway = gateway;
  }

  all(): unknown {
    const { virtualRouters, virtualRouterByAddress, advertisementRules, interfaces, gateways, forwardings } = this.#gateway;
    const { externalAddresses: _, peerMac: __, ...gateway } = gateways.get(0)!;
    return {
      gateway: plain(gateway),
      interfaces: [0, 1, 2].map((role) => plain(interfaces.get(role))),
      virtualRouters: [51, 52].map((vrid) => plain({ ...virtualRouters.get(vrid), state: 0, term: 0, leaseUntilNs: 0n, activeSinceNs: 0n })),
      virtualRouterByAddress: sorted([...virtualRouterByAddress.entries()].map(([address, vrid]) => `${numberToIpv4(address)} ${vrid}`)),
      advertisementRules: [51, 52].map((vrid) => plain(advertisementRules.get(vrid))),
      externalNetworks: sorted(this.#indexes((index) => this.#externalNetwork(index))),
      routers: sorted(this.#indexes((index) => this.#router(index))),
      snatAddresses: sorted([0, 1, 2, 3].flatMap((index) => this.#snatAddress(index) ?? [])),
      networks: sorted(this.#indexes((index) => this.#network(index))),
      segments: sorted([...this.#gateway.networkByVni.entries()].map(([vni, index]) => `${vni}: ${this.#network(index) ?? `nothing at ${index}`}`)),
      routes: sorted([...this.#gateway.routes.entries()].map(([{ scope, address, prefixLength }, route]) => this.#route(scope, `${numberToIpv4(address)}/${prefixLength - 32}`, route))),
      externalAddresses: sorted([...this.#gateway.externalAddresses.entries()].map(([{ vlan, address }, to]) => `${vlan}/${numberToIpv4(address)}: ${this.#outside(to)}`)),
      vms: sorted([...this.#gateway.vms.used()].flatMap(([index, vm]) => this.#configuredVm(index, vm))),
      forwardings: sorted([...forwardings.entries()].map(([{ vm, protocol, internalPort }, to]) => `${this.#vm(vm)} ${protocol}:${internalPort} ${plain(to)}`)),
      staticMappings: sorted(this.#gateway.mappings().filter(({ flags }) => (flags & mappingFlag.static) !== 0).map(({ externalAddress, protocol, externalPort, vm, internalPort }) =>
        `${externalAddress} ${protocol}:${externalPort} ${this.#vm(vm - 1)} ${internalPort}`)),
      unusedPoolEntries: this.#poolEntriesOfNobody(),
      sharedCounters: this.#sharedCounters(),
    };
  }

  stale(): string[] {
    const { gateway } = { gateway: this.#gateway };
    const mappings = gateway.mappings().flatMap(({ index, flags, vm, externalAddress, protocol, externalPort }) => {
      if ((flags & mappingFlag.static) !== 0) return [];
      const reason = this.#noReasonForMapping(Math.floor(index / 3 / 65_536), gateway.vms.get(vm - 1));
      return reason === undefined ? [] : [`${externalAddress} ${protocol}:${externalPort} of ${this.#vm(vm - 1)}: ${reason}`];
    });
    const slots = gateway.sessions().flatMap(({ mapping, vm }) => {
      const owner = gateway.mappingTable.get(mapping - 1);
      return owner.vm === vm && (owner.flags & mappingFlag.static) === 0 ? [] : [`session of ${this.#vm(vm - 1)}: its mapping is another's`];
    });
    return [...mappings, ...slots];
  }

  #noReasonForMapping(addressIndex: number, { vni, network }: Vm): string | undefined {
    const index = this.#gateway.networkByVni.get(vni);
    if (index === undefined) return 'its network is gone';
    if (index !== network) return 'its VM is in another network';
    const { router } = this.#gateway.networks.get(index)!;
    const { pool, poolSize } = this.#gateway.routers.get(router)!;
    const address = this.#gateway.snatAddresses.get(addressIndex)!;
    if (address.address === 0) return 'its address is gone';
    if (address.router !== router) return "its address is another router's";
    const members = Array.from({ length: poolSize }, (_, place) => this.#gateway.pools.get(pool + place));
    return members.includes(addressIndex) ? undefined : "its address is not in its router's pool";
  }

  #indexes(read: (index: number) => string | undefined): string[] {
    return Array.from({ length: INDEXES }, (_, index) => read(index)).flatMap((one) => one ?? []);
  }

  #externalNetwork(index: number): string | undefined {
    const { gatewayMac: _, ...network } = this.#gateway.externalNetworks.get(index)!;
    return network.gateway === 0 ? undefined : plain(network);
  }

  #router(index: number): string | undefined {
    const { pool, poolSize, externalNetwork, ...router } = this.#gateway.routers.get(index)!;
    if (router.virtualRouter === 0) return Object.values(router).some((value) => value !== 0) ? `remains of router ${index}` : undefined;
    const members = Array.from({ length: poolSize }, (_, place) => this.#snatAddress(this.#gateway.pools.get(pool + place)!) ?? 'nothing');
    return plain({ ...router, members, externalNetwork: this.#externalNetwork(externalNetwork) ?? 'nothing' });
  }

  /** With its router by what is in it. */
  #snatAddress(index: number): string | undefined {
    const { address, router } = this.#gateway.snatAddresses.get(index)!;
    return address === 0 ? undefined : `${numberToIpv4(address)} of ${this.#namesOf(router)}`;
  }

  /** Routers have no names in the kernel: their networks and addresses tell them apart. */
  #namesOf(router: number): string {
    const vnis = this.#indexes((index) => {
      const network = this.#gateway.networks.get(index)!;
      return network.vni !== 0 && network.router === router ? String(network.vni) : undefined;
    });
    return `${sorted(vnis).join('+')}@${numberToIpv4(this.#gateway.routers.get(router)!.externalAddress)}`;
  }

  #network(index: number): string | undefined {
    const { router, ...network } = this.#gateway.networks.get(index)!;
    if (network.vni === 0) return undefined;
    return plain({ ...network, router: this.#router(router) ?? 'nothing' });
  }

  #route(scope: number, prefix: string, { kind, network, via }: { kind: number; network: number; via: number }): string {
    const of = scope >= ROUTE_SCOPE_EXTERNAL ? this.#externalNetwork(scope - ROUTE_SCOPE_EXTERNAL) : this.#router(scope);
    const to = kind === routeKind.network || kind === routeKind.vm ? this.#network(network) : '';
    return `${prefix} of ${of}: ${kind} ${to} ${numberToIpv4(via)}`;
  }

  #outside({ kind, index, router }: { kind: number; index: number; router: number }): string {
    const what = kind === 1 ? `${this.#vm(index)} ${this.#isCounted(index)}` : this.#snatAddress(index);
    return `${kind} ${what} of ${this.#router(router)}`;
  }

  #vm(index: number): string {
    const { vni, address, flags } = this.#gateway.vms.get(index);
    return (flags & vmFlag.retired) !== 0 || address === 0 ? `nobody at ${index}` : `${vni}/${numberToIpv4(address)}`;
  }

  #isCounted(index: number): string {
    const { floatingIp, floatingIpCounter } = this.#gateway.vms.get(index);
    return `${numberToIpv4(floatingIp)}${floatingIpCounter === 0 ? ', not counted' : ''}`;
  }

  /** VMs of which the configuration says something, with what it says. */
  #configuredVm(index: number, { floatingIp, floatingIpCounter, flags, tunnelEndpoint, mac, staticMappingCount }: Vm): string[] {
    const said = flags & (vmFlag.pinned | vmFlag.hasForwardings);
    if (floatingIp === 0 && floatingIpCounter === 0 && said === 0 && staticMappingCount === 0) return [];
    const place = (flags & vmFlag.pinned) === 0 ? '' : `${numberToIpv4(tunnelEndpoint)} ${bufferToMac(mac)}`;
    return [`${this.#vm(index)} ${this.#isCounted(index)} ${said} ${place} ${staticMappingCount}`];
  }

  #poolEntriesOfNobody(): number[] {
    const used = new Set(Array.from({ length: INDEXES }, (_, index) => this.#gateway.routers.get(index)!).flatMap(({ pool, poolSize }) => Array.from({ length: poolSize }, (_, place) => pool + place)));
    return Array.from({ length: POOL_ENTRIES }, (_, entry) => entry).filter((entry) => this.#gateway.pools.get(entry) !== 0 && !used.has(entry));
  }

  #sharedCounters(): number[] {
    const counters = [...this.#gateway.vms.used()].flatMap(([, { floatingIpCounter }]) => (floatingIpCounter === 0 ? [] : [floatingIpCounter]));
    return counters.filter((counter, place) => counters.indexOf(counter) !== place);
  }
}

const sorted = (lines: string[]): string[] => lines.sort();

function plain(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return String(part);
    return typeof part === 'object' && part !== null && 'type' in part && part.type === 'Buffer' ? Buffer.from((part as unknown as { data: number[] }).data).toString('hex') : part;
  });
}
