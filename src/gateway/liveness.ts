/** Who answers our heartbeats, by which way, and what the elections are told of it. */
import { readFileSync } from 'node:fs';
import { Beacon } from 'libbpf-ts';
import type { BeaconFindings } from 'libbpf-ts';
import { reason } from '../dataplane/layout.generated.js';
import { livenessAnswered, livenessRoles, livenessRolesKnown } from '../dataplane/liveness.js';
import type { Computes } from '../dataplane/computes.js';
import { tagged } from '../dataplane/vlan.js';
import { syncPaths } from '../sync/frame.js';
import type { SyncPath } from '../sync/frame.js';
import type { HeartbeatWay } from '../sync/link.js';
import { UNDERLAY_DEAF } from '../sync/messages.js';
import type { VirtualRouterView } from '../sync/messages.js';
import type { PeerSight } from '../vrrp/peer.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { areHeard, hasDied, noteStrangers, sightOf } from './peer-sights.js';
import type { Answers, HeardView, Strangers } from './peer-sights.js';

/** Nobody on the underlay answers for so long, though asked: it is we who are cut off, or all of it is down. */
const DEAF_NS = 300_000_000n;
/** So many computes are asked whether they hear us. */
const ASKED_COMPUTES = 8;

export interface LivenessPorts {
  /** `died`: it has just stopped answering on all ways at once. */
  changed(died: boolean): void;
  /** Somebody on the underlay shall say something: by its address. */
  askUnderlay(address: number): void;
}

const nothing: Answers = { answering: new Set(), roles: undefined };

export class Liveness {
  readonly #basis: Basis;
  readonly #ports: LivenessPorts;
  readonly #heard = new Map<number, HeardView>();
  #answers = nothing;
  #address = 0;
  /** Beats that our underlay interface had refused when the peer last answered there. */
  #refused = 0n;
  #strangers: Strangers;
  readonly #computes: Computes;
  /** Frames received on the underlay, and since when there were no more; while the peer answers on the ha link alone. */
  #ear: { readonly frames: string; readonly sinceNs: bigint } | undefined;

  constructor(basis: Basis, ports: LivenessPorts) {
    this.#basis = basis;
    this.#ports = ports;
    this.#computes = basis.dataPlane.computes;
    // The counters outlive a daemon.
    this.#strangers = { count: this.#strangeFrames(), heardNs: undefined };
  }

  /** Sends by these ways from now on, until closed. @throws SystemError */
  beat(ways: readonly HeartbeatWay[]): Beacon {
    this.#refused = 0n;
    const { dataPlane, configuration: { sync, interfaces } } = this.#basis;
    const beacon = new Beacon({
      program: dataPlane.sealProgram,
      paths: ways.map(({ way, frame }) => ({ interface: this.#basis.node(way).ifindex, frame: way === 'underlay' ? tagged(frame, interfaces.underlay.vlan) : frame })),
      intervalUs: sync.heartbeatInterval,
      watch: {
        map: dataPlane.livenessMap,
        answeredNs: ways.map(({ way }) => livenessAnswered(syncPaths.indexOf(way))),
        words: [livenessRolesKnown, ...livenessRoles],
        silentAfterUs: sync.livenessAfter,
      },
    });
    const names = ways.map(({ way }) => way);
    const refused = (): bigint => beacon.stats.paths[names.indexOf('underlay')]?.failed ?? 0n;
    beacon.on('change', (findings) => this.#judge(answersOf(names, findings), refused()));
    // What it begins with is no news of the peer: between two beacons nobody has asked.
    if (beacon.findings !== undefined) this.#tell(answersOf(names, beacon.findings), false);
    return beacon;
  }

  /** Nobody is spoken to any more. */
  end(): void {
    this.#tell(nothing, false);
  }

  /** The peer's own address on the underlay. */
  placeHeard(address: number): void {
    this.#address = address;
  }

  viewsHeard(views: readonly VirtualRouterView[]): void {
    const atNs = monotonicNs();
    for (const view of views) this.#heard.set(view.vrid, { view, atNs });
    this.#ports.changed(false);
  }

  /** What comes without an event: a control plane that says nothing any more, an underlay that is silent. */
  tick(): void {
    this.#listen();
    this.#noteStrangers();
    this.#ports.changed(false);
  }

  sightOf(vrid: number, penalty: number): PeerSight {
    const known = { answers: this.#answers, address: this.#address, heard: this.#heard.get(vrid), nowNs: monotonicNs() };
    return sightOf(known, { vrid, penalty: penalty + this.penalty, id: this.#basis.configuration.gateway.id });
  }

  get answering(): ReadonlySet<SyncPath> {
    return this.#answers.answering;
  }

  /** Somebody, perhaps the peer, sends what is not sealed with our key. */
  get hearsOtherKey(): boolean {
    return areHeard(this.#strangers, monotonicNs());
  }

  /** Points for every virtual router: nobody answers on the underlay. */
  get penalty(): number {
    return this.#ear !== undefined && monotonicNs() - this.#ear.sinceNs >= DEAF_NS ? UNDERLAY_DEAF : 0;
  }

  /** `refused`: beats that our own underlay interface has not taken so far. Where it takes none it is we who are cut off. */
  #judge(answers: Answers, refused: bigint): void {
    const answeredNs = syncPaths.map((_, way) => this.#basis.dataPlane.tables.answeredNs(way));
    const isOurs = refused > this.#refused;
    if (answers.answering.has('underlay')) this.#refused = refused;
    this.#noteStrangers();
    this.#tell(answers, !isOurs && hasDied(this.#answers, answers, answeredNs, this.#strangers, monotonicNs()));
  }

  #noteStrangers(): void {
    const before = this.hearsOtherKey;
    this.#strangers = noteStrangers(this.#strangers, this.#strangeFrames(), monotonicNs());
    if (!before && this.hearsOtherKey) this.#basis.log.warn({ reason: 'other_key' }, 'frames come that are not sealed with our key: sync.keyFile is not the same on both gateways, or somebody forges them');
  }

  #strangeFrames(): bigint {
    return this.#basis.dataPlane.counters.read(reason.dropSyncMac).packets;
  }

  #tell(answers: Answers, died: boolean): void {
    const before = this.#answers;
    this.#answers = answers;
    for (const way of syncPaths) if (before.answering.has(way) !== answers.answering.has(way)) this.#log(way, answers.answering.has(way));
    this.#ports.changed(died);
  }

  #log(way: SyncPath, answers: boolean): void {
    const { log } = this.#basis;
    log[answers ? 'info' : 'warn']({ way, reason: answers ? 'peer_answers' : 'peer_answers_not' }, `heartbeats on the ${way} interface are ${answers ? 'answered' : 'not answered any more'}`);
  }

  /**
   * Where the peer answers on the ha link alone, one of us is cut off: whoever hears
   * nobody. Computes are asked, for by themselves they speak to the Active only.
   */
  #listen(): void {
    const { answering } = this.#answers;
    if (!answering.has('ha') || answering.has('underlay')) {
      this.#ear = undefined;
      return;
    }
    const frames = framesReceived(this.#basis.node('underlay').name);
    if (this.#ear?.frames !== frames) this.#ear = { frames, sinceNs: monotonicNs() };
    for (const { address } of this.#computes.all().slice(0, ASKED_COMPUTES)) this.#ports.askUnderlay(address);
  }
}

function answersOf(ways: readonly SyncPath[], { silent, words: [rolesKnown, ...roles] }: BeaconFindings): Answers {
  return { answering: new Set(ways.filter((_, index) => !silent[index])), roles: rolesKnown === 0n ? undefined : roles };
}

/** As the kernel counts them, in this network namespace. */
function framesReceived(interfaceName: string): string {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').split('\n');
  const counts = lines.find((line) => line.trim().startsWith(`${interfaceName}:`))?.split(':')[1];
  return counts?.trim().split(/\s+/)[1] ?? '';
}
