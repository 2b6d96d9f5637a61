/**
 * Two synchronisation machines over a link that loses, repeats, delays and reorders
 * whatever crosses it, and below each what the programs do: replay windows, commits,
 * answers. Daemons restart; gateways crash and lose their tables.
 */
import { initialSyncState, stepSync, SYNC_MACHINE_DEFAULTS } from '../../../src/sync/machine.js';
import type { Polled, SyncEffect, SyncEvent, SyncMachineConfig, SyncState } from '../../../src/sync/machine.js';
import { decodeMessage, encodeMessage } from '../../../src/sync/messages.js';
import type { BulkComplete, Hello, Message } from '../../../src/sync/messages.js';

const MS = 1_000_000n;
const POLL_MS = 5;
const SOLO_AFTER_MS = 20;
const COMMIT_AGAIN_MS = 60;
/** How often the sender of a packet repeats it. */
const COMMIT_TRIES = 4;
/** So fast goes a walk. */
const FRAMES_PER_POLL = 2;
const RECORDS_PER_FRAME = 2;

export interface Faults {
  /** 0 to 1. */
  readonly loss: number;
  readonly repetition: number;
  readonly lateness: number;
  /** Below half of acknowledgementTimeout: a later answer is counted for a round that it is not of. */
  readonly delayMs: number;
}

export const reliable: Faults = { loss: 0, repetition: 0, lateness: 0, delayMs: 0 };

export type Act =
  | { readonly kind: 'Create'; readonly node: number; readonly sessions: number }
  | { readonly kind: 'RestartDaemon' | 'Crash'; readonly node: number; readonly offMs: number }
  | { readonly kind: 'Cut'; readonly from: number | 'both'; readonly forMs: number }
  | { readonly kind: 'ChangeRoles'; readonly node: number };

type Body =
  | { readonly kind: 'Heartbeat' }
  | { readonly kind: 'Control'; readonly message: Message; readonly about: Sent }
  | { readonly kind: 'Records' | 'Commit'; readonly sessions: readonly number[] }
  | { readonly kind: 'Answer'; readonly to: Body; readonly sequence: number };

interface Frame {
  readonly epoch: number;
  readonly sequence: number;
  readonly body: Body;
}

/** What a message leaves unsaid, and is to be judged by. */
interface Sent {
  readonly atMs: number;
  readonly epoch: number;
  /** All that its sender knew that it must replicate. */
  readonly sessions: ReadonlySet<number>;
}

class ReplayWindow {
  #epoch = 0;
  #seen = new Set<number>();

  isNew({ epoch, sequence }: { readonly epoch: number; readonly sequence: number }): boolean {
    if (epoch > this.#epoch) [this.#epoch, this.#seen] = [epoch, new Set()];
    if (epoch < this.#epoch || this.#seen.has(sequence)) return false;
    this.#seen.add(sequence);
    return true;
  }
}

export class Node {
  /** Undefined while the daemon is down. */
  daemon: { readonly config: SyncMachineConfig; state: SyncState; sent: bigint; readonly acknowledgedBefore: bigint; walk: number[] | undefined } | undefined;
  /** As its events have it. */
  toldSynchronised = false;
  tables = new Set<number>();
  /** The newest of the peer's messages, by when it was sent, that this daemon has read. */
  heard: Sent | undefined;
  /** Generations that the peer has said to be complete since its first hello of its epoch. */
  completedByPeer = new Set<number>();
  #helloEpoch = 0;
  readonly #id: number;
  readonly #transmit: (frame: Frame) => void;
  #epoch = 0;
  #sequence = 0;
  #acknowledged = 0n;
  #unprotected = 0n;
  #heardMs = Number.NEGATIVE_INFINITY;
  #requests = new ReplayWindow();
  #replies = new ReplayWindow();
  /** Of packets that wait for their commit. */
  readonly #waiting = new Map<number, { againMs: number; tries: number }>();
  #noted: ReadonlySet<number> = new Set();

  constructor(id: number, transmit: (frame: Frame) => void) {
    this.#id = id;
    this.#transmit = transmit;
  }

  /** With the maps of before, or without any. */
  start(nowMs: number, instance: number, keepsTables: boolean): void {
    if (!keepsTables) this.#loseTables();
    const config = {
      name: `gw-${this.#id}`, id: this.#id, epoch: this.#epoch, underlayAddress: 10 + this.#id, instance, soloAfterNs: BigInt(SOLO_AFTER_MS) * MS, ...SYNC_MACHINE_DEFAULTS,
    };
    this.daemon = { config, state: { ...initialSyncState(config), unprotected: this.#unprotected }, sent: 0n, acknowledgedBefore: this.#acknowledged, walk: undefined };
    [this.heard, this.toldSynchronised] = [undefined, false];
    this.completedByPeer.clear();
    this.poll(nowMs);
  }

  #loseTables(): void {
    this.#epoch += 1;
    [this.#sequence, this.#acknowledged, this.#unprotected, this.#heardMs] = [0, 0n, 0n, Number.NEGATIVE_INFINITY];
    [this.#requests, this.#replies, this.tables] = [new ReplayWindow(), new ReplayWindow(), new Set()];
    this.#waiting.clear();
  }

  stop(): void {
    this.daemon = undefined;
  }

  create(session: number, nowMs: number): void {
    this.tables.add(session);
    this.#waiting.set(session, { againMs: nowMs, tries: 0 });
  }

  /** The packets of new sessions, and whoever waits for an answer and sends again. */
  tick(nowMs: number): void {
    for (const [session, wait] of this.#waiting) {
      if (nowMs < wait.againMs) continue;
      if (nowMs - this.#heardMs >= SOLO_AFTER_MS) {
        this.#waiting.delete(session);
        this.#unprotected += 1n;
      } else if (wait.tries < COMMIT_TRIES) {
        this.#send({ kind: 'Commit', sessions: [session] });
        this.#waiting.set(session, { againMs: nowMs + COMMIT_AGAIN_MS, tries: wait.tries + 1 });
      }
    }
  }

  poll(nowMs: number): void {
    const { daemon } = this;
    if (daemon === undefined) return;
    this.#send({ kind: 'Heartbeat' });
    // Whoever waits for ever has been promised nothing.
    this.#noted = new Set([...this.tables].filter((session) => !this.#waiting.has(session)));
    this.#step({ type: 'Polled', reading: this.#reading(nowMs), virtualRouters: [{ vrid: 51, state: 1, term: 3, penalty: 0 }] }, nowMs);
    this.#walkOn(nowMs);
  }

  #reading(nowMs: number): Polled['reading'] {
    const { sent, acknowledgedBefore } = this.daemon!;
    const peerHeardNs = this.#heardMs < 0 ? 0n : BigInt(this.#heardMs) * MS;
    return { nowNs: BigInt(nowMs) * MS, peerHeardNs, sent, acknowledged: this.#acknowledged - acknowledgedBefore, unprotected: this.#unprotected };
  }

  changeRoles(nowMs: number): void {
    this.#step({ type: 'RolesChanged', nowNs: BigInt(nowMs) * MS, virtualRouters: [] }, nowMs);
  }

  /** In an order of its own: what is new may be before the place where it stands. */
  #walkOn(nowMs: number): void {
    const { daemon } = this;
    for (let frame = 0; frame < FRAMES_PER_POLL && daemon?.walk !== undefined; frame += 1) {
      const sessions = daemon.walk.splice(0, RECORDS_PER_FRAME);
      if (sessions.length === 0) {
        daemon.walk = undefined;
        this.#step({ type: 'BulkWalkEnded', nowNs: BigInt(nowMs) * MS }, nowMs);
      } else {
        daemon.sent += 1n;
        this.#send({ kind: 'Records', sessions });
      }
    }
  }

  #step(event: SyncEvent, nowMs: number): void {
    const { daemon } = this;
    if (daemon === undefined) return;
    const { state, effects } = stepSync(daemon.config, daemon.state, event);
    daemon.state = state;
    for (const effect of effects) this.#execute(effect, nowMs);
  }

  #execute(effect: SyncEffect, nowMs: number): void {
    if (effect.type === 'SendMessage') this.#send({ kind: 'Control', message: effect.message, about: { atMs: nowMs, epoch: this.#epoch, sessions: this.#noted } });
    if (effect.type === 'StartBulkWalk') this.daemon!.walk = [...this.tables];
    if (effect.type === 'StopBulkWalk') this.daemon!.walk = undefined;
    if (effect.type === 'SynchronisedChanged') this.toldSynchronised = effect.synchronised;
  }

  #send(body: Body): void {
    this.#sequence += 1;
    this.#transmit({ epoch: this.#epoch, sequence: this.#sequence, body });
  }

  receive({ epoch, sequence, body }: Frame, nowMs: number): void {
    if (body.kind === 'Answer') {
      if (epoch !== this.#epoch || !this.#replies.isNew({ epoch, sequence: body.sequence })) return;
      this.#heardMs = nowMs;
      return this.#answered(body.to);
    }
    if (!this.#requests.isNew({ epoch, sequence })) return;
    this.#heardMs = nowMs;
    if (body.kind === 'Control') return this.#read(body.message, body.about, nowMs);
    if (body.kind !== 'Heartbeat') for (const session of body.sessions) this.tables.add(session);
    // Sequence and epoch stay its sender's.
    this.#transmit({ epoch, sequence, body: { kind: 'Answer', to: body, sequence } });
  }

  #answered(request: Body): void {
    if (request.kind === 'Commit') for (const session of request.sessions) this.#waiting.delete(session);
    if (request.kind === 'Records') this.#acknowledged += 1n;
  }

  #read(message: Message, about: Sent, nowMs: number): void {
    if (this.daemon === undefined) return;
    if (message.type === 'bulkComplete') this.completedByPeer.add(message.generation);
    if (message.type === 'hello' && message.epoch !== this.#helloEpoch) {
      this.#helloEpoch = message.epoch;
      this.completedByPeer.clear();
    }
    if (this.heard === undefined || about.epoch > this.heard.epoch || about.atMs >= this.heard.atMs) this.heard = about;
    // Through its encoding, as on the wire.
    this.#step({ type: 'MessageReceived', nowNs: BigInt(nowMs) * MS, message: decodeMessage(encodeMessage(message)) as Hello | BulkComplete }, nowMs);
  }
}

export class HostilePair {
  readonly nodes: readonly [Node, Node];
  faults: Faults;
  nowMs = 1000;
  readonly #random: () => number;
  readonly #crossing = new Map<number, (() => void)[]>();
  readonly #due = new Map<number, (() => void)[]>();
  readonly #cutUntilMs = [0, 0];
  #sessions = 0;
  #instances: number;

  constructor(faults: Faults, random: () => number) {
    this.faults = faults;
    this.#random = random;
    this.#instances = 1_000_000;
    this.nodes = [new Node(0, (frame) => this.#cross(0, frame)), new Node(1, (frame) => this.#cross(1, frame))];
    for (const node of this.nodes) node.start(this.nowMs, this.#instance(), false);
  }

  act(act: Act): void {
    if (act.kind === 'Create') for (let i = 0; i < act.sessions; i += 1) this.nodes[act.node]!.create(this.#sessions++, this.nowMs);
    if (act.kind === 'RestartDaemon' || act.kind === 'Crash') this.#restart(this.nodes[act.node]!, act.offMs, act.kind === 'RestartDaemon');
    if (act.kind === 'ChangeRoles') this.nodes[act.node]!.changeRoles(this.nowMs);
    if (act.kind === 'Cut') for (const from of act.from === 'both' ? [0, 1] : [act.from]) this.#cutUntilMs[from] = this.nowMs + act.forMs;
  }

  /** `each` is called after every step. */
  run(ms: number, each: () => void): void {
    for (const until = this.nowMs + ms; this.nowMs < until; this.nowMs += 1) {
      for (const happen of [...take(this.#crossing, this.nowMs), ...take(this.#due, this.nowMs)]) happen();
      for (const [i, node] of this.nodes.entries()) {
        node.tick(this.nowMs);
        if ((this.nowMs + i * 2) % POLL_MS === 0) node.poll(this.nowMs);
      }
      each();
    }
  }

  #restart(node: Node, offMs: number, keepsTables: boolean): void {
    if (node.daemon === undefined) return;
    node.stop();
    push(this.#due, this.nowMs + offMs, () => node.start(this.nowMs, this.#instance(), keepsTables));
  }

  /** No run's numbers are another's, but the clock may step back. */
  #instance(): number {
    this.#instances += this.#random() < 0.5 ? 1_000 : -100_000;
    return this.#instances += Math.floor(this.#random() * 10) * 2_000_000;
  }

  #cross(from: number, frame: Frame): void {
    if (this.nowMs < this.#cutUntilMs[from]! || this.#random() < this.faults.loss) return;
    const arrive = (): void => {
      const lateMs = this.#random() < this.faults.lateness ? Math.floor(this.#random() * this.faults.delayMs) : 0;
      push(this.#crossing, this.nowMs + 1 + lateMs, () => this.nodes[1 - from]!.receive(frame, this.nowMs));
    };
    arrive();
    if (this.#random() < this.faults.repetition) arrive();
  }
}

function push<Item>(items: Map<number, Item[]>, at: number, item: Item): void {
  const there = items.get(at);
  if (there === undefined) items.set(at, [item]);
  else there.push(item);
}

function take<Item>(items: Map<number, Item[]>, at: number): Item[] {
  const found = items.get(at) ?? [];
  items.delete(at);
  return found;
}
