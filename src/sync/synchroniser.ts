/** Executes the synchronisation machine: polls the data plane, sends messages, runs walks. */
import type { Channel } from './channel.js';
import { decodeMessage } from './messages.js';
import type { VirtualRouterView } from './messages.js';
import { initialSyncState, stepSync } from './machine.js';
import type { SyncEffect, SyncEvent, SyncMachineConfig, SyncState } from './machine.js';
import { ACTIVE } from './terms.js';
import { initialComparisonState, stepComparison } from './comparison.js';
import type { ComparisonConfig, ComparisonEffect, ComparisonEvent, ComparisonState, Verdict } from './comparison.js';
import type { Walk } from './walk.js';

export type WalkName = 'bulk' | 'repair' | 'age' | 'digest' | 'doubt' | 'sweep';

export interface SynchroniserPorts {
  readonly channel: Channel;
  readonly walks: Readonly<Record<WalkName, Walk>>;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
  /** From gateway_states: CLOCK_MONOTONIC of the peer's last authentic frame, and records frames that it acknowledged, those in bulk by themselves too. */
  readGatewayState(): { readonly peerHeardNs: bigint; readonly acknowledged: bigint; readonly bulkAcknowledged: bigint };
  /** Packets counted as session_unprotected. */
  unprotectedSessions(): bigint;
  virtualRouters(): readonly VirtualRouterView[];
  /** Before sums are taken anew. */
  clearDigests(): void;
  /** By segment, 16 hexadecimal digits each. */
  readDigests(): string[];
  /** What the walk is about from now on. */
  wantSegments(walk: 'doubt' | 'repair', segments: readonly number[]): void;
}

export interface SynchroniserEvents {
  peerChanged(alive: boolean): void;
  synchronisedChanged(synchronised: boolean): void;
  peerRolesHeard(virtualRouters: readonly VirtualRouterView[]): void;
  peerPlaceHeard(underlayAddress: number): void;
  bulkCompleted(rounds: number, frames: bigint): void;
  bulkFailed(rounds: number, missing: bigint): void;
  tablesCompared(verdict: Verdict): void;
  tablesRepaired(segments: number, complete: boolean): void;
}

export interface PeerStatus {
  readonly alive: boolean;
  readonly name: string | undefined;
  readonly epoch: number | undefined;
  /** Of replication, as it speaks it. */
  readonly version: number | undefined;
  /** ms since its last authentic frame; undefined: never heard. */
  readonly lastHeardMs: number | undefined;
  /** ms since its control plane's last hello. */
  readonly lastHelloMs: number | undefined;
  /** Whether the peer holds all that we have. */
  readonly holdsOurs: boolean;
  /** Whether both really hold the same; undefined: not known. */
  readonly tablesEqual: boolean | undefined;
  /** ms since they were found so. */
  readonly tablesComparedMs: number | undefined;
  readonly virtualRouters: readonly VirtualRouterView[];
}

/** How often liveness and acknowledgements are looked at. */
const POLL_INTERVAL_MS = 5;
const AGE_INTERVAL_MS = 1000;

function comparedStatus(verdict: Verdict, nowNs: bigint): Pick<PeerStatus, 'tablesEqual' | 'tablesComparedMs'> {
  if (verdict.kind === 'Unknown') return { tablesEqual: undefined, tablesComparedMs: undefined };
  return { tablesEqual: verdict.kind === 'Equal', tablesComparedMs: Number(nowNs - verdict.atNs) / 1e6 };
}

export class Synchroniser {
  readonly #config: SyncMachineConfig & ComparisonConfig;
  readonly #ports: SynchroniserPorts;
  readonly #events: SynchroniserEvents;
  #state: SyncState;
  #comparison: ComparisonState;
  #timers: NodeJS.Timeout[] = [];
  #peerVirtualRouters = new Map<number, VirtualRouterView>();
  /** Acknowledgements that an earlier daemon's frames earned. */
  readonly #acknowledgedBefore: bigint;

  constructor(config: SyncMachineConfig & ComparisonConfig, ports: SynchroniserPorts, events: SynchroniserEvents) {
    this.#config = config;
    this.#ports = ports;
    this.#events = events;
    this.#acknowledgedBefore = ports.readGatewayState().bulkAcknowledged;
    this.#comparison = initialComparisonState(config);
    this.#state = { ...initialSyncState(config), unprotected: ports.unprotectedSessions() };
  }

  start(withPeer: boolean): void {
    if (withPeer) this.#timers.push(setInterval(() => this.poll(), POLL_INTERVAL_MS));
    this.#timers.push(setInterval(() => this.age(), AGE_INTERVAL_MS));
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    for (const walk of Object.values(this.#ports.walks)) walk.stop();
  }

  get synchronised(): boolean {
    return this.#state.synchronised;
  }

  get #holdsOurs(): boolean {
    const { peer, completed, generation } = this.#state;
    return completed?.generation === generation && peer.kind === 'Alive';
  }

  peerStatus(): PeerStatus {
    const { peer } = this.#state;
    const now = this.#ports.nowNs();
    const { peerHeardNs } = this.#ports.readGatewayState();
    const hello = peer.kind === 'Alive' ? peer.hello : undefined;
    return {
      alive: peer.kind === 'Alive',
      name: hello?.name,
      epoch: hello?.epoch,
      version: hello?.version,
      lastHeardMs: peerHeardNs === 0n ? undefined : Number(now - peerHeardNs) / 1e6,
      lastHelloMs: hello && peer.kind === 'Alive' ? Number(now - peer.helloNs) / 1e6 : undefined,
      holdsOurs: this.#holdsOurs,
      ...comparedStatus(this.#comparison.verdict, now),
      virtualRouters: [...this.#peerVirtualRouters.values()],
    };
  }

  poll(): void {
    const { peerHeardNs, bulkAcknowledged } = this.#ports.readGatewayState();
    const reading = {
      nowNs: this.#ports.nowNs(),
      peerHeardNs,
      sent: this.#ports.channel.stats.bulkFrames,
      acknowledged: bulkAcknowledged - this.#acknowledgedBefore,
      unprotected: this.#ports.unprotectedSessions(),
    };
    const views = (): readonly VirtualRouterView[] => this.#ports.virtualRouters();
    // Views cost more than all the rest, and few polls look at them.
    this.#step({ type: 'Polled', reading, get virtualRouters() { return views(); } });
    const settled = this.#state.synchronised && this.#holdsOurs && this.#state.bulk.kind === 'Idle';
    this.#compare({ type: 'Polled', reading: { ...reading, settled, get active() { return views().some(({ state }) => state === ACTIVE); } } });
  }

  /**
   * One walk a second, not during a bulk round, whose acknowledgements are being
   * counted. Sessions expire where their virtual router is Active only: the
   * program sees to that. Empty port blocks are given back on a standby as well.
   */
  age(): void {
    const { age, bulk } = this.#ports.walks;
    if (age.active || bulk.active || this.#state.bulk.kind !== 'Idle') return;
    age.start(() => undefined);
  }

  /** Payload of a SYNC_CONTROL frame that the ha program has verified. */
  messageReceived(payload: Buffer): void {
    const message = decodeMessage(payload);
    const nowNs = this.#ports.nowNs();
    if (message?.type === 'hello' || message?.type === 'bulkComplete') this.#step({ type: 'MessageReceived', nowNs, message });
    else if (message !== undefined) this.#compare({ type: 'MessageReceived', nowNs, message });
  }

  peerSilenceReported(): void {
    this.#step({ type: 'PeerSilenceReported', nowNs: this.#ports.nowNs() });
  }

  rolesChanged(): void {
    this.#step({ type: 'RolesChanged', nowNs: this.#ports.nowNs(), virtualRouters: this.#ports.virtualRouters() });
  }

  #step(event: SyncEvent): void {
    const { state, effects } = stepSync(this.#config, this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#execute(effect);
  }

  #execute(effect: SyncEffect): void {
    const { channel, walks: { bulk, age } } = this.#ports;
    switch (effect.type) {
      case 'SendMessage':
        return channel.sendMessage(effect.message);
      case 'StartBulkWalk':
        age.stop();
        return bulk.start(() => this.#step({ type: 'BulkWalkEnded', nowNs: this.#ports.nowNs() }));
      case 'StopBulkWalk':
        return bulk.stop();
      case 'PeerAppeared':
        return this.#events.peerChanged(true);
      case 'PeerVanished':
        return this.#events.peerChanged(false);
      case 'SynchronisedChanged':
        return this.#events.synchronisedChanged(effect.synchronised);
      case 'PeerRolesHeard':
        for (const view of effect.virtualRouters) this.#peerVirtualRouters.set(view.vrid, view);
        return this.#events.peerRolesHeard(effect.virtualRouters);
      case 'PeerPlaceHeard':
        return this.#events.peerPlaceHeard(effect.underlayAddress);
      case 'BulkCompleted':
        return this.#events.bulkCompleted(effect.rounds, effect.frames);
      case 'BulkFailed':
        return this.#events.bulkFailed(effect.rounds, effect.missing);
    }
  }

  #compare(event: ComparisonEvent): void {
    const { state, effects } = stepComparison(this.#config, this.#comparison, event);
    this.#comparison = state;
    for (const effect of effects) this.#executeComparison(effect);
  }

  #executeComparison(effect: ComparisonEffect): void {
    const { channel, walks } = this.#ports;
    switch (effect.type) {
      case 'SendMessage':
        return channel.sendMessage(effect.message);
      case 'StartDigestWalk':
        this.#ports.clearDigests();
        return walks.digest.start(() => this.#compare({ type: 'DigestWalkEnded', nowNs: this.#ports.nowNs(), digests: this.#ports.readDigests() }), effect.seed);
      case 'StartRepairWalk':
        this.#ports.wantSegments('repair', effect.segments);
        return walks.repair.start(() => this.#compare({ type: 'RepairWalkEnded', nowNs: this.#ports.nowNs() }), effect.seed);
      case 'StartService': {
        this.#ports.wantSegments('doubt', effect.segments);
        const { step } = effect;
        return walks[step].start(() => this.#compare({ type: 'ServiceEnded', step }), effect.seed);
      }
      case 'StopWalks':
        for (const walk of [walks.digest, walks.repair, walks.doubt, walks.sweep]) walk.stop();
        return undefined;
      case 'VerdictChanged':
        return this.#events.tablesCompared(effect.verdict);
      case 'RepairEnded':
        return this.#events.tablesRepaired(effect.segments, effect.complete);
    }
  }
}
