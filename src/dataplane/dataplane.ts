/**
 * The data plane as the rest of the daemon sees it: loaded or adopted, attached,
 * configured; roles, counters, events.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RingBuffer } from 'libbpf-ts';
import type { BpfMap, BpfObject, BpfProgram } from 'libbpf-ts';
import { AdvertisementNotes } from './advertisement-notes.js';
import { BfdTable } from './bfd-table.js';
import { ensureBpffs } from './bpffs.js';
import { Computes } from './computes.js';
import { Counters } from './counters.js';
import { decodeEvent } from './events.js';
import type { DataPlaneEvent } from './events.js';
import type { FrameSource } from './frame-source.js';
import type { NodeInterface, Role } from './interfaces.js';
import { eventType, interfaceRole, reasonNames, sessionEndCodec, syncRecordCodec } from './layout.generated.js';
import type { Gateway as GatewayEntry } from './layout.generated.js';
import { attachHooks } from './hooks.js';
import type { AttachedInterface, HookMode, WantedModes } from './hooks.js';
import { FrameReturn } from './frame-return.js';
import { loadPrograms, loadTwin, mapsDirectory } from './loader.js';
import { openMaps } from './maps.js';
import type { DataPlaneMaps } from './maps.js';
import type { NeighbourId } from './neighbour-table.js';
import { PortTables } from './port-tables.js';
import { leaseOffset, Roles } from './roles.js';
import { Segments } from './segments.js';
import { SessionMaps } from './session-maps.js';
import { Tables } from './tables.js';
import { detachFilters } from './tc.js';
import { finishFrame } from './unfinished.js';
import { detachPrograms } from './xdp.js';

export type { AttachedInterface } from './hooks.js';

export interface DataPlaneOptions {
  /** dist/bpf/floatgate.bpf.o */
  readonly objectPath: string;
  /** Becomes a BPF file system. */
  readonly pinDirectory: string;
  readonly mapSizes: Readonly<Record<string, number>>;
  readonly checkLayout: (object: BpfObject, name: string, pinned: BpfMap) => void;
}

/** The passes over all tables, by their programs' names. */
export type WalkName = 'bulk' | 'age' | 'digest' | 'doubt' | 'repair' | 'sweep';

/** Where session_end writes what it has ended. */
const NO_RECORD = syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size));

/** XDP actions of linux/bpf.h, as the test-run programs use them. */
const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;

export class DataPlane {
  readonly adopted: boolean;
  readonly maps: DataPlaneMaps;
  readonly roles: Roles;
  readonly advertisementNotes: AdvertisementNotes;
  readonly counters: Counters;
  readonly tables: Tables;
  readonly segments: Segments;
  readonly #object: BpfObject;
  readonly #options: DataPlaneOptions;
  readonly #frames = new FrameReturn();
  #twin: BpfObject | undefined;
  #computes: Computes | undefined;
  #modes: Partial<Record<Role, HookMode>> = {};
  #events: RingBuffer | undefined;

  /** Loads, or adopts what an earlier daemon pinned. Nothing is attached yet. @throws AdoptionError, SystemError */
  static open(options: DataPlaneOptions): DataPlane {
    ensureBpffs(options.pinDirectory);
    const { object, adopted } = loadPrograms(options);
    return new DataPlane(object, adopted, options);
  }

  private constructor(object: BpfObject, adopted: boolean, options: DataPlaneOptions) {
    this.#object = object;
    this.#options = options;
    this.adopted = adopted;
    this.maps = openMaps(object);
    this.roles = new Roles(object.map('virtual_routers'));
    this.advertisementNotes = new AdvertisementNotes(object.map('advertisements'));
    this.counters = new Counters(this.maps.counters, reasonNames);
    this.tables = new Tables({ gatewayStates: object.map('gateway_states'), portBlocks: object.map('port_blocks'), liveness: object.map('liveness') });
    this.segments = new Segments(object.map('segments'));
  }

  /** For Beacon. */
  get sealProgram(): BpfProgram {
    return this.#object.program('seal_xdp');
  }

  /** For Beacon. */
  get livenessMap(): BpfMap {
    return this.#object.map('liveness');
  }

  /** Where the lease of a virtual router stands, for threads that renew it. */
  leaseWord(vrid: number): { readonly map: BpfMap; readonly offset: number } {
    return { map: this.#object.map('virtual_routers'), offset: leaseOffset(vrid) };
  }

  /** The tables that the programs fill, for what a change of configuration takes away. */
  portTables(): PortTables {
    const map = (name: string): BpfMap => this.#object.map(name);
    const maps = { vms: map('vms'), portBlocks: map('port_blocks'), mappings: map('mappings'), sessions: map('sessions'), networkStates: map('network_states') };
    return new PortTables(maps, { endSession: (which) => this.#endSession(which), nowNs: () => process.hrtime.bigint() });
  }

  #endSession(which: { readonly mapping: number; readonly remote: number; readonly remotePort: number }): void {
    const request = Buffer.alloc(sessionEndCodec.size);
    sessionEndCodec.encode({ ...which, record: NO_RECORD }, request);
    this.runSystemCall('session_end', request);
  }

  /** Of BFD. */
  bfdTable(): BfdTable {
    return new BfdTable(this.#object.map('bfd_sessions'));
  }

  /** Where the VMs are. */
  get computes(): Computes {
    this.#computes ??= new Computes(this.#object.map('vms'), () => process.hrtime.bigint());
    return this.#computes;
  }

  /** For answers about sessions and floating IPs. */
  sessionMaps(): SessionMaps {
    return new SessionMaps((name) => this.#object.map(name));
  }

  /** From here on packets are processed. @param chosen is told why a mode that was left open is not native */
  attach(nodes: readonly NodeInterface[], modes: WantedModes, chosen: (sentence: string) => void): AttachedInterface[] {
    const programs = {
      xdp: (role: Role): BpfProgram => this.#object.program(`${role}_xdp`),
      tc: (role: FrameSource): BpfProgram => this.#twinObject().program(`${role}_tc`),
    };
    const attached = attachHooks(this.#options.pinDirectory, programs, nodes, modes, chosen);
    this.#modes = Object.fromEntries(attached.map(({ node: { role }, mode }) => [role, mode]));
    this.#frames.names = Object.fromEntries(nodes.map(({ role, name }) => [role, name]));
    return attached;
  }

  /** The programs of TC, over the same maps. Verifying them takes its time: not before somebody needs them. */
  #twinObject(): BpfObject {
    this.#twin ??= loadTwin(this.#object, this.#options);
    return this.#twin;
  }

  readGateway(): GatewayEntry {
    const entry = this.maps.gateways.get(0);
    if (entry === undefined) throw new Error('the map gateways has no element: it was not made by floatgate');
    return entry;
  }

  writeGateway(change: Partial<GatewayEntry>): void {
    this.maps.gateways.set(0, { ...this.readGateway(), ...change });
  }

  /** mac undefined: unresolved. */
  writeNeighbour({ role, vlan, address }: NeighbourId, mac: Buffer | undefined): void {
    const key = { interface: role, vlan, address };
    if (mac === undefined) this.maps.neighbours.delete(key);
    else this.maps.neighbours.set(key, { mac });
  }

  /** Of the external network at `index`, while its gateway is this one. mac undefined: unresolved. */
  writeGatewayMac(index: number, gateway: Pick<NeighbourId, 'vlan' | 'address'>, mac: Buffer | undefined): void {
    const network = this.maps.externalNetworks.get(index);
    if (network?.gateway === gateway.address && network.vlan === gateway.vlan) this.maps.externalNetworks.set(index, { ...network, gatewayMac: mac ?? Buffer.alloc(6) });
  }

  /** Seals a frame; undefined when the program refuses it. */
  seal(template: Buffer): Buffer | undefined {
    const { returnValue, data } = this.sealProgram.testRun({ data: template, dataOutSize: template.length });
    return returnValue === XDP_TX ? data : undefined;
  }

  /** @param seed of the sums by which a comparison's walks tell segments apart */
  rewindWalk(kind: number, seed = 0n): void {
    this.maps.walks.set(kind, { phase: 0, position: 0, records: 0, seed });
  }

  /** One step of a walk. @throws Error when the program gives up, which it does for want of its maps only */
  stepWalk(program: `${WalkName}_xdp`, template: Buffer): { kind: 'Frame'; frame: Buffer } | { kind: 'Nothing' } | { kind: 'Ended' } {
    const { returnValue, data } = this.#object.program(program).testRun({ data: template, dataOutSize: template.length });
    if (returnValue === XDP_TX) return { kind: 'Frame', frame: data };
    if (returnValue === XDP_PASS) return { kind: 'Nothing' };
    if (returnValue === XDP_DROP) return { kind: 'Ended' };
    throw new Error(`${program} gave up with XDP action ${returnValue}`);
  }

  /** Runs a SEC("syscall") program on a copy of `context`. @returns its return value, signed, and the context after it */
  runSystemCall(program: string, context: Buffer): { result: number; context: Buffer } {
    const run = this.#object.program(program).testRun({ context });
    return { result: run.returnValue | 0, context: run.context };
  }

  /** A packet that had to wait goes on. */
  receiveAgain(from: FrameSource, frame: Buffer): void {
    if (this.#modes[from] === 'tc') this.#frames.byTc(this.#twinObject().program(`${from}_tc`), from, finishFrame(frame, from));
    else this.#frames.byXdp(this.#object.program(`${from}_xdp`), frame);
  }

  /** One reader; the earlier daemon's unread events come first. */
  onEvent(handler: (event: DataPlaneEvent) => void): void {
    this.#events = new RingBuffer(this.#object.map('events'), (record) => {
      const event = decodeEvent(record);
      if (event !== undefined) handler(this.#finished(event));
    });
  }

  /** What is to be split must have its sum before. */
  #finished(event: DataPlaneEvent): DataPlaneEvent {
    const from = event.interface === interfaceRole.underlay ? 'underlay' : 'external';
    if (this.#modes[from] !== 'tc') return event;
    if (event.type === eventType.fragmentationNeeded) return { ...event, frame: finishFrame(event.frame, from) };
    return event.type === eventType.frameUnfinished ? { ...event, frame: finishFrame(event.frame, from, event.mtu) } : event;
  }

  /** Ends this process's part; programs stay attached and maps pinned. */
  close(): void {
    this.#events?.close();
    this.#frames.close();
    this.#twin?.close();
    this.#object.close();
  }
}

/** Detaches all programs and gives up all state of a gateway that is not running. Returns the roles that were attached. */
export function detachDataPlane(pinDirectory: string): string[] {
  const roles = [...detachPrograms(pinDirectory), ...detachFilters(pinDirectory)];
  for (const directory of [mapsDirectory(pinDirectory), join(pinDirectory, 'links'), join(pinDirectory, 'filters')]) {
    if (existsSync(directory)) rmSync(directory, { recursive: true });
  }
  return roles;
}
