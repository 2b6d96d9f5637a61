/**
 * BFD of all virtual routers: who may speak with us, a session for each that does
 * while we are Active, and what they say together about our tunnels.
 */
import { PacketSocket, Repeater } from 'libbpf-ts';
import { decodeControlPacket, diagnostic, sessionStates } from '../bfd/control-packet.js';
import type { SessionState } from '../bfd/control-packet.js';
import type { SessionConfig } from '../bfd/machine.js';
import { isLowered, judge, wholeTunnelPlane } from '../bfd/tunnel-plane.js';
import type { TunnelPlane } from '../bfd/tunnel-plane.js';
import { virtualRouterMac } from '../compile/compile.js';
import { formatIpv4, macBytes, subnetContains } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import type { VirtualRouterConfiguration } from '../config/schema.js';
import { BFD_SESSIONS, decodeBfdReport } from '../dataplane/bfd-table.js';
import type { BfdEndpoint, BfdReport, BfdTable } from '../dataplane/bfd-table.js';
import type { Computes } from '../dataplane/computes.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { encapsulationNames, virtualRouterState } from '../dataplane/layout.generated.js';
import type { VirtualRouterView } from '../sync/messages.js';
import { systemClock } from '../vrrp/clock.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { BfdSession } from './bfd-session.js';
import type { BfdTransition } from './bfd-session.js';
import { discriminatorOf } from './discriminators.js';

export interface BfdPorts {
  /** Whether our broken tunnels lower the priority may be otherwise now. */
  changed(): void;
}

export interface BfdSessionStatus {
  readonly address: Ipv4Address;
  readonly encapsulation: string;
  readonly state: SessionState;
  readonly remoteState: SessionState;
  /** RFC 5880 §4.1. */
  readonly diagnostic: number;
  readonly detectionTimeUs: number;
  /** CLOCK_MONOTONIC. */
  readonly sinceNs: bigint;
}

export interface BfdStatus {
  readonly tunnels: TunnelPlane['phase'];
  /** Points taken from the priority. */
  readonly penalty: number;
  readonly sessions: readonly BfdSessionStatus[];
}

/** Until one session of those that our predecessor had Up has to come to us: three packets at a second each, and as much again. */
const PATIENCE_US = 5_000_000;
/** Who is known is looked up so often, and who has left is forgotten. */
const REVIEW_NS = 10_000_000_000n;
const REVIEW_STRANGER_NS = 1_000_000_000n;
/** Sessions of endpoints that are admitted by bfd.peers alone and have not come Up: so many, and for so long. */
const MOST_STRANGERS = 64;
const STRANGER_NS = 10_000_000_000n;
/** A session that is not Up and heard nothing for so long was somebody's who is gone. */
const SILENT_NS = 600_000_000_000n;

/** While we are Active for it. */
interface Tenure {
  readonly sinceNs: bigint;
  readonly inherited: number;
  readonly sessions: Map<string, Speaker>;
}

interface Speaker {
  readonly endpoint: BfdEndpoint;
  readonly session: BfdSession;
}

interface Watched {
  configuration: VirtualRouterConfiguration;
  plane: TunnelPlane;
  tenure: Tenure | undefined;
  /** Sessions that the peer had Up when it last spoke as the Active. */
  peerUp: number;
}

export class Bfd {
  readonly #basis: Basis;
  readonly #ports: BfdPorts;
  readonly #table: BfdTable;
  readonly #computes: Computes;
  readonly #watched = new Map<number, Watched>();
  /** In the programs' table, by name. */
  readonly #admitted = new Map<string, { readonly endpoint: BfdEndpoint; readonly localDiscriminator: number; known: boolean; readonly sinceNs: bigint }>();
  readonly #discriminators = new Set<number>();
  #repeater: Repeater | undefined;
  #socket: PacketSocket | undefined;
  #reviewedNs: bigint | undefined;
  #refused = 0;

  constructor(basis: Basis, ports: BfdPorts) {
    this.#basis = basis;
    this.#ports = ports;
    this.#table = basis.dataPlane.bfdTable();
    this.#computes = basis.dataPlane.computes();
    // What an earlier daemon was told is not told again.
    this.#table.clear();
  }

  // ------------------------------------------------------------- configuration

  /** The configuration in force may be another one. */
  follow(): void {
    const wanted = this.#basis.configuration.virtualRouters.filter(({ bfd }) => bfd.mode !== 'off');
    for (const vrid of [...this.#watched.keys()]) if (!wanted.some((router) => router.vrid === vrid)) this.#forget(vrid);
    for (const configuration of wanted) {
      const watched = this.#watched.get(configuration.vrid);
      if (watched === undefined) this.#watched.set(configuration.vrid, { configuration, plane: wholeTunnelPlane, tenure: undefined, peerUp: 0 });
      else this.#change(watched, configuration);
    }
    this.#reviewedNs = undefined;
    this.rolesChanged(() => false);
  }

  #change(watched: Watched, configuration: VirtualRouterConfiguration): void {
    // Nobody would find a session again whose virtual router has moved to another address.
    if (watched.configuration.address !== configuration.address) endTenure(watched);
    watched.configuration = configuration;
    for (const { session, endpoint } of speakersOf(watched)) session.reconfigure(this.#configOf(configuration, this.#admitted.get(nameOf(endpoint))?.localDiscriminator ?? 1));
  }

  #forget(vrid: number): void {
    const watched = this.#watched.get(vrid);
    if (watched !== undefined) endTenure(watched);
    this.#watched.delete(vrid);
    for (const [name, { endpoint }] of [...this.#admitted]) if (endpoint.vrid === vrid) this.#expel(name);
  }

  #configOf({ bfd }: VirtualRouterConfiguration, localDiscriminator: number): SessionConfig {
    return { localDiscriminator, detectMult: bfd.multiplier, desiredMinTxUs: bfd.minTx, requiredMinRxUs: bfd.minRx };
  }

  // --------------------------------------------------------------------- roles

  /** `isHandingOver`: whether we leave on purpose, and say so while we still forward. */
  rolesChanged(isHandingOver: (vrid: number) => boolean): void {
    for (const [vrid, watched] of this.#watched) {
      const isActive = this.#basis.dataPlane.roles.read(vrid).state === virtualRouterState.active;
      if (isActive && watched.tenure === undefined) this.#beginTenure(watched);
      if (isActive || watched.tenure === undefined) continue;
      if (isHandingOver(vrid)) for (const { session } of speakersOf(watched)) session.disable();
      endTenure(watched);
    }
    this.#judge();
  }

  #beginTenure(watched: Watched): void {
    watched.tenure = { sinceNs: monotonicNs(), inherited: watched.peerUp, sessions: new Map() };
    watched.peerUp = 0;
  }

  peerRolesHeard(views: readonly VirtualRouterView[]): void {
    for (const { vrid, state, tunnelsUp } of views) {
      const watched = this.#watched.get(vrid);
      if (watched !== undefined && state === virtualRouterState.active && tunnelsUp !== undefined) watched.peerUp = tunnelsUp;
    }
  }

  /** Sessions that are Up; undefined where nobody watches. */
  tunnelsUp(vrid: number): number | undefined {
    const watched = this.#watched.get(vrid);
    return watched && speakersOf(watched).filter(({ session }) => session.view.state === 'Up').length;
  }

  // ----------------------------------------------------------------- reception

  /** The programs have heard something new. */
  reported(event: DataPlaneEvent): void {
    const report = decodeBfdReport(event);
    const watched = report && this.#watched.get(report.vrid);
    if (report === undefined || watched?.tenure === undefined) return;
    const decoded = decodeControlPacket(report.packet);
    const speaker = decoded.ok ? this.#speakerOf(watched, watched.tenure, report) : undefined;
    if (decoded.ok) speaker?.session.received(decoded.packet, report.receivedNs, report.mac);
  }

  #speakerOf(watched: Watched, { sessions }: Tenure, report: BfdReport): Speaker | undefined {
    const name = nameOf(report);
    const present = sessions.get(name);
    if (present !== undefined) return present;
    const admitted = this.#admitted.get(name) ?? this.#admitStranger(watched, report);
    if (admitted === undefined) return undefined;
    const { vrid, address, encapsulation } = report;
    const speaker = { endpoint: { vrid, address, encapsulation }, session: this.#open(watched, admitted.localDiscriminator, report) };
    sessions.set(name, speaker);
    return speaker;
  }

  #open({ configuration }: Watched, localDiscriminator: number, { address: remote, encapsulation, vrid, mac }: BfdReport): BfdSession {
    const underlay = this.#basis.node('underlay');
    const endpoint = { vrid, address: remote, encapsulation };
    const path = {
      ifindex: underlay.ifindex, vlan: this.#basis.configuration.interfaces.underlay.vlan,
      mac: macBytes(virtualRouterMac(vrid)), address: configuration.address, remote, encapsulation,
    };
    return new BfdSession(this.#configOf(configuration, localDiscriminator), path, mac, {
      clock: systemClock,
      repeater: this.#repeater ??= new Repeater(),
      socket: this.#socket ??= this.#openSocket(underlay.name),
      stampNs: () => this.#table.receivedNs(endpoint),
      transition: (transition) => this.#transition(endpoint, transition),
    });
  }

  #openSocket(name: string): PacketSocket {
    const socket = new PacketSocket({ interface: name });
    socket.on('error', (error) => this.#basis.log.debug({ interface: name }, error.message));
    return socket;
  }

  #transition({ vrid, address, encapsulation }: BfdEndpoint, { from, to, diagnostic: why, adopted }: BfdTransition): void {
    const compute = formatIpv4(address as Ipv4Address);
    const level = from === 'Up' && why !== diagnostic.administrativelyDown ? 'warn' : 'info';
    this.#basis.log[level]({ vrid, compute, encapsulation: encapsulationNames[encapsulation], from, to, diagnostic: why, adopted, reason: 'bfd' }, `BFD with ${compute}: ${from} → ${to}`);
    // Not from within the machine's own effects.
    setImmediate(() => this.#judge());
  }

  // ------------------------------------------------------------------ admission

  #admitStranger({ configuration }: Watched, endpoint: BfdEndpoint): { readonly localDiscriminator: number } | undefined {
    this.#review(REVIEW_STRANGER_NS);
    const known = this.#admitted.get(nameOf(endpoint));
    if (known !== undefined) return known;
    const isPeer = configuration.bfd.peers.some((prefix) => subnetContains(prefix, endpoint.address as Ipv4Address));
    const strangers = [...this.#admitted.entries()].filter(([name, { known: isKnown }]) => !isKnown && !this.#isUp(name)).length;
    if (isPeer && strangers < MOST_STRANGERS) return this.#admit(endpoint, false);
    this.#refused += 1;
    return undefined;
  }

  #admit({ vrid, address, encapsulation }: BfdEndpoint, known: boolean): { readonly localDiscriminator: number } | undefined {
    const endpoint = { vrid, address, encapsulation };
    const localDiscriminator = discriminatorOf(this.#basis.dataPlane.readGateway().key, endpoint);
    // RFC 5880 §6.3 wants each once, both gateways the same: of two that collide the second has to do without.
    if (this.#admitted.size >= BFD_SESSIONS || this.#discriminators.has(localDiscriminator)) return undefined;
    this.#table.set(endpoint, localDiscriminator);
    this.#discriminators.add(localDiscriminator);
    const admitted = { endpoint, localDiscriminator, known, sinceNs: monotonicNs() };
    this.#admitted.set(nameOf(endpoint), admitted);
    return admitted;
  }

  #expel(name: string): void {
    const admitted = this.#admitted.get(name);
    if (admitted === undefined) return;
    this.#table.delete(admitted.endpoint);
    this.#discriminators.delete(admitted.localDiscriminator);
    this.#admitted.delete(name);
    const sessions = this.#watched.get(admitted.endpoint.vrid)?.tenure?.sessions;
    sessions?.get(name)?.session.close();
    sessions?.delete(name);
  }

  /** Who is known now, unless that was asked less than `everyNs` ago. */
  #review(everyNs: bigint): void {
    const nowNs = monotonicNs();
    if (this.#watched.size === 0 || (this.#reviewedNs !== undefined && nowNs - this.#reviewedNs < everyNs)) return;
    this.#reviewedNs = nowNs;
    const known = new Map<string, BfdEndpoint>();
    for (const { address, encapsulation } of this.#computes.endpoints()) {
      for (const vrid of this.#watched.keys()) known.set(nameOf({ vrid, address, encapsulation }), { vrid, address, encapsulation });
    }
    for (const [name, admitted] of [...this.#admitted]) {
      admitted.known = known.has(name);
      if (this.#isGone(name, admitted, nowNs)) this.#expel(name);
    }
    for (const [name, endpoint] of known) if (!this.#admitted.has(name)) this.#admit(endpoint, true);
  }

  #isGone(name: string, { endpoint, known, sinceNs }: { readonly endpoint: BfdEndpoint; readonly known: boolean; readonly sinceNs: bigint }, nowNs: bigint): boolean {
    if (this.#isUp(name)) return false;
    const session = this.#watched.get(endpoint.vrid)?.tenure?.sessions.get(name)?.session;
    if (session !== undefined && session.view.wasUp) return nowNs - session.lastNs > SILENT_NS;
    return !known && nowNs - sinceNs > STRANGER_NS;
  }

  #isUp(name: string): boolean {
    for (const watched of this.#watched.values()) if (watched.tenure?.sessions.get(name)?.session.view.state === 'Up') return true;
    return false;
  }

  // -------------------------------------------------------------------- verdict

  /** What comes without an event. */
  tick(): void {
    for (const watched of this.#watched.values()) for (const { session } of speakersOf(watched)) session.renew();
    this.#review(REVIEW_NS);
    this.#judge();
  }

  /** Points to take from the priority: the most that any of its sync group takes. */
  penaltyOf(vrid: number): number {
    const group = this.#watched.get(vrid)?.configuration.syncGroup;
    const members = [...this.#watched].filter(([other, { configuration }]) => other === vrid || (group !== undefined && configuration.syncGroup === group));
    return Math.max(0, ...members.map(([, { plane, configuration }]) => (isLowered(plane) ? configuration.bfd.weight : 0)));
  }

  #judge(): void {
    const nowUs = Number(monotonicNs() / 1000n);
    let changed = false;
    for (const [vrid, watched] of this.#watched) {
      const { share, holdDown } = watched.configuration.bfd;
      const tenure = watched.tenure && { sinceUs: Number(watched.tenure.sinceNs / 1000n), inherited: watched.tenure.inherited, sessions: speakersOf(watched).map(({ session }) => session.view) };
      const plane = judge(watched.plane, { share: share / 100, holdDownUs: holdDown, patienceUs: PATIENCE_US }, tenure, nowUs);
      if (plane.phase !== watched.plane.phase) this.#tell(vrid, watched.plane, plane);
      changed ||= isLowered(plane) !== isLowered(watched.plane);
      watched.plane = plane;
    }
    if (changed) this.#ports.changed();
  }

  #tell(vrid: number, before: TunnelPlane, { phase, strikes, untilUs }: TunnelPlane): void {
    const { log } = this.#basis;
    if (phase === 'broken') log.error({ vrid, reason: 'tunnels_broken' }, `virtual router ${vrid}: no compute that spoke BFD is heard in its tunnel any more`);
    else if (phase === 'held') log.warn({ vrid, reason: 'tunnels_held', strikes, untilUs }, `virtual router ${vrid}: stays back for a while, its tunnels were broken`);
    else log.info({ vrid, reason: 'tunnels_whole', before: before.phase }, `virtual router ${vrid}: nothing is held against its tunnels any more`);
  }

  statusOf(vrid: number): BfdStatus | undefined {
    const watched = this.#watched.get(vrid);
    if (watched === undefined) return undefined;
    return { tunnels: watched.plane.phase, penalty: this.penaltyOf(vrid), sessions: speakersOf(watched).map(statusOf) };
  }

  /** By state, of all virtual routers. */
  sessionCounts(): [SessionState, number][] {
    const all = [...this.#watched.values()].flatMap(speakersOf).map(({ session }) => session.view.state);
    return sessionStates.map((state) => [state, all.filter((other) => other === state).length]);
  }

  /** Strangers that were turned away. */
  get refused(): number {
    return this.#refused;
  }

  /** Says nothing to anyone. */
  close(): void {
    for (const watched of this.#watched.values()) endTenure(watched);
    this.#repeater?.close();
    this.#socket?.close();
  }
}

function endTenure(watched: Watched): void {
  for (const { session } of speakersOf(watched)) session.close();
  watched.tenure = undefined;
}

function speakersOf({ tenure }: Watched): Speaker[] {
  return tenure === undefined ? [] : [...tenure.sessions.values()];
}

function statusOf({ endpoint, session }: Speaker): BfdSessionStatus {
  const { sessionState, remoteSessionState, localDiagnostic } = session.variables;
  return {
    address: endpoint.address as Ipv4Address, encapsulation: encapsulationNames[endpoint.encapsulation] ?? '',
    state: sessionState, remoteState: remoteSessionState, diagnostic: localDiagnostic, detectionTimeUs: session.detectionTimeUs, sinceNs: session.sinceNs,
  };
}

function nameOf({ vrid, address, encapsulation }: BfdEndpoint): string {
  return `${vrid}/${encapsulation}/${address}`;
}
