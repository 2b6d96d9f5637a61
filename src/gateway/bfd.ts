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
import { decodeBfdReport } from '../dataplane/bfd-table.js';
import type { BfdEndpoint, BfdMessage, BfdTable } from '../dataplane/bfd-table.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { encapsulationNames, virtualRouterState } from '../dataplane/layout.generated.js';
import type { VirtualRouterView } from '../sync/messages.js';
import { systemClock } from '../vrrp/clock.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { BfdAdmission, endpointName } from './bfd-admission.js';
import type { Standing } from './bfd-admission.js';
import { BfdSession } from './bfd-session.js';
import type { BfdHeard, BfdTransition } from './bfd-session.js';

export interface BfdPorts {
  /** Whether our broken tunnels lower the priority may be otherwise now. */
  changed(): void;
}

/** What sends at intervals, and what at once on an interface: made when it is needed first. */
export interface BfdOutlets {
  repeater(): Pick<Repeater, 'add' | 'close'>;
  socket(name: string): Pick<PacketSocket, 'send' | 'close'>;
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

/** At a tick: a long table takes a while, and no tick does. */
const LOOKED_UP_AT_ONCE = 64;

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
  readonly #outlets: BfdOutlets;
  readonly #table: BfdTable;
  readonly #watched = new Map<number, Watched>();
  readonly #admission: BfdAdmission;
  #repeater: ReturnType<BfdOutlets['repeater']> | undefined;
  #socket: ReturnType<BfdOutlets['socket']> | undefined;
  #lookingUp: Iterator<BfdEndpoint, undefined> | undefined;

  constructor(basis: Basis, ports: BfdPorts, outlets: BfdOutlets = outletsOf(basis)) {
    this.#basis = basis;
    this.#ports = ports;
    this.#outlets = outlets;
    this.#table = basis.dataPlane.bfdTable();
    // What an earlier daemon was told is not told again.
    this.#table.clear();
    const computes = basis.dataPlane.computes;
    this.#admission = new BfdAdmission({
      table: this.#table,
      endpoints: () => computes.endpoints(),
      vrids: () => [...this.#watched.keys()],
      isNamed: ({ vrid, address }) => this.#watched.get(vrid)?.configuration.bfd.peers.some((prefix) => subnetContains(prefix, address as Ipv4Address)) ?? false,
      standingOf: (endpoint) => this.#standingOf(endpoint),
      expelled: (endpoint) => this.#end(endpoint),
      seed: () => basis.dataPlane.readGateway().seed,
      nowNs: monotonicNs,
    });
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
    this.#admission.follow();
    this.rolesChanged(() => false);
  }

  #change(watched: Watched, configuration: VirtualRouterConfiguration): void {
    // Nobody would find a session again whose virtual router has moved to another address.
    if (watched.configuration.address !== configuration.address) endTenure(watched);
    watched.configuration = configuration;
    for (const { session } of speakersOf(watched)) session.reconfigure(configOf(configuration, session.variables.config.localDiscriminator));
  }

  #forget(vrid: number): void {
    const watched = this.#watched.get(vrid);
    if (watched !== undefined) endTenure(watched);
    this.#watched.delete(vrid);
  }

  // --------------------------------------------------------------------- roles

  /** `isHandingOver`: whether we leave on purpose, and say so while we still forward. */
  rolesChanged(isHandingOver: (vrid: number) => boolean): void {
    for (const [vrid, watched] of this.#watched) {
      const isActive = this.#isActive(vrid);
      if (isActive && watched.tenure === undefined) this.#beginTenure(watched);
      if (isActive || watched.tenure === undefined) continue;
      if (isHandingOver(vrid)) for (const { session } of speakersOf(watched)) session.disable();
      endTenure(watched);
    }
    this.#judge();
  }

  #isActive(vrid: number): boolean {
    return this.#basis.dataPlane.roles.read(vrid).state === virtualRouterState.active;
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
    if (report === undefined || watched === undefined) return;
    // The programs go by the role from when it is written, and tell of a steady remote once: that may come before rolesChanged().
    if (watched.tenure === undefined && this.#isActive(report.vrid)) this.#beginTenure(watched);
    const { vrid, address, encapsulation } = report;
    this.#hear(watched, { vrid, address, encapsulation }, heardOf(report));
  }

  #hear(watched: Watched, endpoint: BfdEndpoint, heard: BfdHeard | undefined): void {
    if (watched.tenure === undefined || heard === undefined) return;
    this.#speakerOf(watched, watched.tenure, endpoint, heard.mac)?.session.received(heard);
  }

  #speakerOf(watched: Watched, { sessions }: Tenure, endpoint: BfdEndpoint, mac: Buffer): Speaker | undefined {
    const name = endpointName(endpoint);
    const present = sessions.get(name);
    if (present !== undefined) return present;
    const localDiscriminator = this.#admission.discriminatorOf(endpoint) ?? this.#admission.stranger(endpoint);
    if (localDiscriminator === undefined) return undefined;
    const speaker = { endpoint, session: this.#open(watched, localDiscriminator, endpoint, mac) };
    sessions.set(name, speaker);
    return speaker;
  }

  /**
   * The programs tell once what a remote says steadily. Of whom we know nothing
   * they may have told in vain: before the session forgot it, or in a tenure that
   * another address has ended. What the table holds is the truth.
   */
  #lookUp(): void {
    this.#lookingUp ??= this.#admission.endpoints();
    for (let looked = 0; looked < LOOKED_UP_AT_ONCE; looked += 1) {
      const { value: endpoint } = this.#lookingUp.next();
      if (endpoint === undefined) return void (this.#lookingUp = undefined);
      this.#lookUpOne(endpoint);
    }
  }

  #lookUpOne(endpoint: BfdEndpoint): void {
    const watched = this.#watched.get(endpoint.vrid);
    if (watched?.tenure === undefined) return;
    const speaker = watched.tenure.sessions.get(endpointName(endpoint));
    if (speaker?.session.isForgotten === false) return;
    const heard = this.#lastOf(endpoint);
    // What came before it was said to another Active, or another address.
    if (heard !== undefined && heard.receivedNs > watched.tenure.sinceNs) this.#hear(watched, endpoint, heard);
  }

  #lastOf(endpoint: BfdEndpoint): BfdHeard | undefined {
    const message = this.#table.heard(endpoint);
    return message && heardOf(message);
  }

  #standingOf(endpoint: BfdEndpoint): Standing | undefined {
    const session = this.#watched.get(endpoint.vrid)?.tenure?.sessions.get(endpointName(endpoint))?.session;
    return session && { isUp: session.view.state === 'Up', wasUp: session.view.wasUp, lastNs: session.lastNs };
  }

  #end(endpoint: BfdEndpoint): void {
    const sessions = this.#watched.get(endpoint.vrid)?.tenure?.sessions;
    sessions?.get(endpointName(endpoint))?.session.close();
    sessions?.delete(endpointName(endpoint));
  }

  #open({ configuration }: Watched, localDiscriminator: number, endpoint: BfdEndpoint, mac: Buffer): BfdSession {
    const underlay = this.#basis.node('underlay');
    const { vrid, address: remote, encapsulation } = endpoint;
    const path = {
      ifindex: underlay.ifindex, vlan: this.#basis.configuration.interfaces.underlay.vlan,
      mac: macBytes(virtualRouterMac(vrid)), address: configuration.address, remote, encapsulation,
    };
    return new BfdSession(configOf(configuration, localDiscriminator), path, mac, {
      clock: systemClock,
      repeater: this.#repeater ??= this.#outlets.repeater(),
      socket: this.#socket ??= this.#outlets.socket(underlay.name),
      heard: () => this.#lastOf(endpoint),
      transition: (transition) => this.#transition(endpoint, transition),
    });
  }

  #transition({ vrid, address, encapsulation }: BfdEndpoint, { from, to, diagnostic: why, adopted }: BfdTransition): void {
    const compute = formatIpv4(address as Ipv4Address);
    const level = from === 'Up' && why !== diagnostic.administrativelyDown ? 'warn' : 'info';
    this.#basis.log[level]({ vrid, compute, encapsulation: encapsulationNames[encapsulation], from, to, diagnostic: why, adopted, reason: 'bfd' }, `BFD with ${compute}: ${from} → ${to}`);
    // Not from within the machine's own effects.
    setImmediate(() => this.#judge());
  }

  // -------------------------------------------------------------------- verdict

  /** What comes without an event. */
  tick(): void {
    for (const watched of this.#watched.values()) for (const { session } of speakersOf(watched)) session.renew();
    this.#admission.tick();
    this.#lookUp();
    this.#judge();
  }

  /** Points to take from the priority: the most that any of its sync group takes. */
  penaltyOf(vrid: number): number {
    const watched = this.#watched.get(vrid);
    if (watched === undefined) return 0;
    const { syncGroup } = watched.configuration;
    if (syncGroup === undefined) return taken(watched);
    return Math.max(...[...this.#watched.values()].filter(({ configuration }) => configuration.syncGroup === syncGroup).map(taken));
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

  /** Says nothing to anyone. */
  close(): void {
    for (const watched of this.#watched.values()) endTenure(watched);
    this.#repeater?.close();
    this.#socket?.close();
  }
}

function taken({ plane, configuration }: Watched): number {
  return isLowered(plane) ? configuration.bfd.weight : 0;
}

function outletsOf({ log }: Basis): BfdOutlets {
  return {
    repeater: () => new Repeater(),
    socket: (name) => new PacketSocket({ interface: name }).on('error', (error) => log.debug({ interface: name }, error.message)),
  };
}

function heardOf({ packet, receivedNs, mac }: BfdMessage): BfdHeard | undefined {
  const decoded = decodeControlPacket(packet);
  return decoded.ok ? { packet: decoded.packet, receivedNs, mac } : undefined;
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

function configOf({ bfd }: VirtualRouterConfiguration, localDiscriminator: number): SessionConfig {
  return { localDiscriminator, detectMult: bfd.multiplier, desiredMinTxUs: bfd.minTx, requiredMinRxUs: bfd.minRx };
}
