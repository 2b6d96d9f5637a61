/** The link to the peer, over what the data plane offers. */
import { randomBytes } from 'node:crypto';
import { PacketSocket } from 'libbpf-ts';
import { toNanoseconds } from '../config/duration.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { reason, walkKind } from '../dataplane/layout.generated.js';
import { RECORDS_FRAME_BYTES, SYNC_VERSION, syncPaths } from '../sync/frame.js';
import type { SyncPath } from '../sync/frame.js';
import { SyncLink } from '../sync/link.js';
import type { BeaconStats, LinkPorts } from '../sync/link.js';
import { SYNC_MACHINE_DEFAULTS } from '../sync/machine.js';
import type { VirtualRouterView } from '../sync/messages.js';
import type { PeerStatus, SynchroniserEvents } from '../sync/synchroniser.js';
import { monotonicNs, replicates } from './basis.js';
import type { Basis } from './basis.js';
import type { PeerView } from './lease.js';
import type { Liveness } from './liveness.js';
import { VersionWatch } from './version-watch.js';

/** The peer's control plane counts as gone after this long without a hello. */
const HELLO_LOST_MS = 1000;

export interface SynchronisationPorts {
  views(): readonly VirtualRouterView[];
  synchronisedChanged(synchronised: boolean): void;
  peerRolesHeard(views: readonly VirtualRouterView[]): void;
  /** Its own address on the underlay is to be resolved. */
  wantPeer(underlayAddress: number): void;
}

export class Synchronisation {
  readonly #basis: Basis;
  readonly #ports: SynchronisationPorts;
  readonly #liveness: Liveness;
  #underlayMac: Buffer | undefined;
  #socket: PacketSocket | undefined;
  #link: SyncLink;
  readonly #versions: VersionWatch;

  constructor(basis: Basis, liveness: Liveness, ports: SynchronisationPorts) {
    this.#basis = basis;
    this.#liveness = liveness;
    this.#ports = ports;
    this.#link = this.#createLink();
    this.#versions = new VersionWatch({
      refused: () => basis.dataPlane.counters.read(reason.dropSyncVersion).packets,
      peerAlive: () => this.peer?.alive ?? false,
      warn: () => basis.log.warn({ reason: 'peer_version' }, `the peer speaks another version of replication than ${SYNC_VERSION} and its neighbours: nothing is replicated; upgrade by one version at a time`),
    });
  }

  start(): void {
    const { configuration, log } = this.#basis;
    if (replicates(configuration) && this.#socket === undefined) {
      this.#socket = new PacketSocket({ interface: this.#basis.node('ha').name });
      // Silence tells it.
      this.#socket.on('error', (error) => log.debug({ interface: 'ha' }, error.message));
    }
    this.#link.start(replicates(configuration));
  }

  /** Where an earlier daemon was told that the peer is on the underlay: it may not be able to tell us again. */
  resume(): void {
    const { peerUnderlayAddress } = this.#basis.dataPlane.readGateway();
    if (peerUnderlayAddress !== 0) this.#placeHeard(peerUnderlayAddress);
  }

  /** Begins anew with the configuration in force. */
  restart(peerMac: Buffer | undefined): void {
    this.#link.close();
    this.#liveness.end();
    this.#link = this.#createLink();
    this.start();
    if (peerMac !== undefined) this.peerResolved(peerMac);
    this.#beatOnUnderlay();
  }

  close(): void {
    this.#link.close();
    this.#socket?.close();
  }

  /** Without a peer nothing is lacking. */
  get synchronised(): boolean {
    return !replicates(this.#basis.configuration) || this.#link.synchroniser.synchronised;
  }

  /** Undefined: nothing is replicated. */
  get peer(): PeerStatus | undefined {
    return replicates(this.#basis.configuration) ? this.#link.synchroniser.peerStatus() : undefined;
  }

  /** What must be noticed without an event. */
  tick(): void {
    if (replicates(this.#basis.configuration)) this.#versions.tick(monotonicNs());
  }

  /** It is silent, and frames of a version that is not read arrive. */
  get versionRefused(): boolean {
    return this.#versions.isRefused;
  }

  /** Ways by which the peer's programs answer. */
  get answersOn(): readonly SyncPath[] {
    return syncPaths.filter((way) => this.#liveness.answering.has(way));
  }

  /** Frames come that are not sealed with our key. */
  get hearsOtherKey(): boolean {
    return this.#liveness.hearsOtherKey;
  }

  get heartbeats(): BeaconStats | undefined {
    return this.#link.heartbeats;
  }

  get frames(): { messages: number; records: number; failed: number } {
    const { messagesSent, recordFramesSent, failed } = this.#link.frames;
    return { messages: messagesSent, records: Number(recordFramesSent), failed };
  }

  /** Not only its programs: somebody there who can take over. */
  get peerListens(): boolean {
    if (this.#basis.configuration.peer === undefined) return false;
    // Nothing is heard of it on the ha link: the election must know.
    if (this.peer === undefined) return true;
    const { alive, lastHelloMs } = this.peer;
    return alive && lastHelloMs !== undefined && lastHelloMs < HELLO_LOST_MS;
  }

  get peerView(): PeerView | undefined {
    return this.peer && { listens: this.peerListens, virtualRouters: this.peer.virtualRouters };
  }

  peerResolved(mac: Buffer): void {
    const { configuration, dataPlane } = this.#basis;
    dataPlane.writeGateway({ peerMac: mac });
    if (!replicates(configuration) || configuration.peer === undefined) return;
    const ha = this.#basis.node('ha');
    this.#link.setPath({ sourceMac: ha.mac, destinationMac: mac, sourceAddress: ha.address, destinationAddress: configuration.peer.address });
  }

  /** Somebody there has told its MAC address. */
  underlayResolved(address: number, mac: Buffer): void {
    if (address !== this.#basis.dataPlane.readGateway().peerUnderlayAddress || this.#underlayMac?.equals(mac) === true) return;
    this.#underlayMac = mac;
    this.#beatOnUnderlay();
  }

  #placeHeard(address: number): void {
    const { dataPlane } = this.#basis;
    if (dataPlane.readGateway().peerUnderlayAddress !== address) {
      dataPlane.writeGateway({ peerUnderlayAddress: address });
      this.#underlayMac = undefined;
    }
    this.#liveness.placeHeard(address);
    this.#ports.wantPeer(address);
  }

  #beatOnUnderlay(): void {
    const { configuration, dataPlane } = this.#basis;
    if (!replicates(configuration) || this.#underlayMac === undefined) return;
    const underlay = this.#basis.node('underlay');
    const destinationAddress = dataPlane.readGateway().peerUnderlayAddress;
    this.#link.setUnderlayPath({ sourceMac: underlay.mac, destinationMac: this.#underlayMac, sourceAddress: underlay.address, destinationAddress });
  }

  messageReceived(event: DataPlaneEvent): void {
    this.#link.synchroniser.messageReceived(event.frame);
  }

  silenceReported(): void {
    this.#link.synchroniser.peerSilenceReported();
  }

  /** A record that did not travel with its packet. */
  recordReceived(event: DataPlaneEvent): void {
    this.tell(event.frame);
  }

  /** One wire record for the peer, as soon as there are enough or nothing else is to be done. */
  tell(record: Buffer): void {
    this.#link.record(record);
  }

  rolesChanged(): void {
    this.#link.synchroniser.rolesChanged();
  }

  #createLink(): SyncLink {
    const { configuration: { gateway, sync }, dataPlane } = this.#basis;
    return new SyncLink({
      name: gateway.name, id: gateway.id, epoch: dataPlane.readGateway().epoch, underlayAddress: this.#basis.node('underlay').address, instance: Date.now(),
      soloAfterNs: toNanoseconds(sync.soloAfter), ...SYNC_MACHINE_DEFAULTS, seed: randomBytes(8).toString('hex'),
    }, this.#linkPorts(), this.#linkEvents());
  }

  #linkPorts(): LinkPorts {
    const { dataPlane } = this.#basis;
    const template = Buffer.alloc(RECORDS_FRAME_BYTES);
    return {
      nowNs: monotonicNs,
      readGatewayState: () => dataPlane.tables.gatewayState(),
      unprotectedSessions: () => dataPlane.counters.read(reason.sessionUnprotected).packets,
      virtualRouters: () => this.#ports.views(),
      seal: (frame) => dataPlane.seal(frame),
      transmit: (frame) => this.#socket?.send(frame),
      rewind: (walk, seed) => dataPlane.rewindWalk(walkKind[walk], BigInt(`0x${seed}`)),
      clearDigests: () => dataPlane.segments.clear(),
      readDigests: () => dataPlane.segments.digests(),
      wantSegments: (walk, segments) => dataPlane.segments.want(walk, segments),
      step: (walk) => dataPlane.stepWalk(`${walk}_xdp`, template),
      startBeacon: (ways) => this.#liveness.beat(ways),
    };
  }

  #linkEvents(): SynchroniserEvents {
    const { log } = this.#basis;
    return {
      peerChanged: (alive) => log[alive ? 'info' : 'warn']({ reason: alive ? 'peer_alive' : 'peer_silent' }, alive ? 'peer is alive' : 'peer is silent: on our own'),
      synchronisedChanged: (synchronised) => {
        log.info({ reason: synchronised ? 'synchronised' : 'not_synchronised' }, synchronised ? 'we hold all that the peer has' : 'the peer has what we lack');
        this.#ports.synchronisedChanged(synchronised);
      },
      peerRolesHeard: (views) => this.#ports.peerRolesHeard(views),
      peerPlaceHeard: (address) => this.#placeHeard(address),
      bulkCompleted: (rounds, frames) => log.info({ reason: 'bulk_complete', rounds, frames: Number(frames) }, 'peer holds all that we have'),
      bulkFailed: (rounds, missing) => log.warn({ reason: 'bulk_failed', rounds, missing: Number(missing) }, 'peer did not take all that we have'),
      tablesCompared: (verdict) => {
        if (verdict.kind === 'Equal') log.info({ reason: 'tables_equal' }, 'both gateways hold the same');
        if (verdict.kind === 'Different') log.warn({ reason: 'tables_differ', segments: verdict.segments.length }, 'the gateways do not hold the same: the Active repairs it');
      },
      tablesRepaired: (segments, complete) => log[complete ? 'info' : 'warn']({ reason: complete ? 'tables_repaired' : 'tables_not_repaired', segments }, complete ? 'peer holds what we have of the segments that differed' : 'peer did not take what we have of the segments that differ'),
    };
  }
}
