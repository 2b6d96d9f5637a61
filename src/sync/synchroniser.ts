/** Executes the synchronisation machine: polls the data plane, sends messages, runs walks. */
import type { Channel } from './channel.js';
import { decodeMessage } from './messages.js';
import type { VirtualRouterView } from './messages.js';
import { initialSyncState, stepSync } from './machine.js';
import type { SyncEffect, SyncEvent, SyncMachineConfig, SyncState } from './machine.js';
import type { Walk } from './walk.js';

export interface SynchroniserPorts {
  readonly channel: Channel;
  readonly bulk: Walk;
  readonly age: Walk;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
  /** From gateway_states: CLOCK_MONOTONIC of the peer's last authentic frame, and records frames that it acknowledged. */
  readGatewayState(): { readonly peerHeardNs: bigint; readonly acknowledged: bigint };
  /** Packets counted as session_unprotected. */
  unprotectedSessions(): bigint;
  virtualRouters(): readonly VirtualRouterView[];
}

export interface SynchroniserEvents {
  peerChanged(alive: boolean): void;
  synchronisedChanged(synchronised: boolean): void;
  peerRolesHeard(virtualRouters: readonly VirtualRouterView[]): void;
  bulkCompleted(rounds: number, frames: bigint): void;
  bulkFailed(rounds: number, missing: bigint): void;
}

export interface PeerStatus {
  readonly alive: boolean;
  readonly name: string | undefined;
  readonly epoch: number | undefined;
  /** ms since its last authentic frame; undefined: never heard. */
  readonly lastHeardMs: number | undefined;
  /** ms since its control plane's last hello. */
  readonly lastHelloMs: number | undefined;
  /** Whether the peer holds all that we have. */
  readonly holdsOurs: boolean;
  readonly virtualRouters: readonly VirtualRouterView[];
}

/** How often liveness and acknowledgements are looked at. */
const POLL_INTERVAL_MS = 5;
const AGE_INTERVAL_MS = 1000;

export class Synchroniser {
  readonly #config: SyncMachineConfig;
  readonly #ports: SynchroniserPorts;
  readonly #events: SynchroniserEvents;
  #state: SyncState;
  #timers: NodeJS.Timeout[] = [];
  #peerVirtualRouters = new Map<number, VirtualRouterView>();
  /** Acknowledgements that an earlier daemon's frames earned. */
  readonly #acknowledgedBefore: bigint;

  constructor(config: SyncMachineConfig, ports: SynchroniserPorts, events: SynchroniserEvents) {
    this.#config = config;
    this.#ports = ports;
    this.#events = events;
    this.#acknowledgedBefore = ports.readGatewayState().acknowledged;
    this.#state = { ...initialSyncState(config), unprotected: ports.unprotectedSessions() };
  }

  start(withPeer: boolean): void {
    if (withPeer) this.#timers.push(setInterval(() => this.poll(), POLL_INTERVAL_MS));
    this.#timers.push(setInterval(() => this.age(), AGE_INTERVAL_MS));
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#ports.bulk.stop();
    this.#ports.age.stop();
  }

  get synchronised(): boolean {
    return this.#state.synchronised;
  }

  peerStatus(): PeerStatus {
    const { peer, completed, generation } = this.#state;
    const now = this.#ports.nowNs();
    const { peerHeardNs } = this.#ports.readGatewayState();
    const hello = peer.kind === 'Alive' ? peer.hello : undefined;
    return {
      alive: peer.kind === 'Alive',
      name: hello?.name,
      epoch: hello?.epoch,
      lastHeardMs: peerHeardNs === 0n ? undefined : Number(now - peerHeardNs) / 1e6,
      lastHelloMs: hello && peer.kind === 'Alive' ? Number(now - peer.helloNs) / 1e6 : undefined,
      holdsOurs: completed?.generation === generation && peer.kind === 'Alive',
      virtualRouters: [...this.#peerVirtualRouters.values()],
    };
  }

  poll(): void {
    const { peerHeardNs, acknowledged } = this.#ports.readGatewayState();
    const reading = {
      nowNs: this.#ports.nowNs(),
      peerHeardNs,
      sent: this.#ports.channel.stats.recordFramesSent,
      acknowledged: acknowledged - this.#acknowledgedBefore,
      unprotected: this.#ports.unprotectedSessions(),
    };
    this.#step({ type: 'Polled', reading, virtualRouters: this.#ports.virtualRouters() });
  }

  /**
   * One walk a second, not during a bulk round, whose acknowledgements are being
   * counted. Sessions expire where their virtual router is Active only: the
   * program sees to that. Empty port blocks are given back on a standby as well.
   */
  age(): void {
    const { age, bulk } = this.#ports;
    if (age.active || bulk.active || this.#state.bulk.kind !== 'Idle') return;
    age.start(() => undefined);
  }

  /** Payload of a SYNC_CONTROL frame that the ha program has verified. */
  messageReceived(payload: Buffer): void {
    const message = decodeMessage(payload);
    if (message !== undefined) this.#step({ type: 'MessageReceived', nowNs: this.#ports.nowNs(), message });
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
    const { channel, bulk, age } = this.#ports;
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
      case 'BulkCompleted':
        return this.#events.bulkCompleted(effect.rounds, effect.frames);
      case 'BulkFailed':
        return this.#events.bulkFailed(effect.rounds, effect.missing);
    }
  }
}
