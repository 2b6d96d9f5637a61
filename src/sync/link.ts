/**
 * Everything that this gateway does over the ha link: heartbeats, messages,
 * records, walks. One object, put together from the parts of this folder over
 * what the data plane offers.
 */
import { RecordBatch } from './batch.js';
import { Channel } from './channel.js';
import type { ChannelStats } from './channel.js';
import { COMPARISON_DEFAULTS } from './comparison.js';
import type { ComparisonConfig } from './comparison.js';
import { heartbeatFrame, syncPaths } from './frame.js';
import type { HaPath, SyncPath } from './frame.js';
import type { SyncMachineConfig } from './machine.js';
import { Synchroniser } from './synchroniser.js';
import type { SynchroniserEvents, SynchroniserPorts, WalkName } from './synchroniser.js';
import { AGE_LIMITS, BULK_LIMITS, COMPARISON_LIMITS, Walk } from './walk.js';
import type { WalkLimits, WalkStep } from './walk.js';

export interface BeaconStats {
  readonly sent: bigint;
  readonly failed: bigint;
  readonly lateMaxUs: number;
}

/** What the data plane does for the link. */
export interface LinkPorts extends Omit<SynchroniserPorts, 'channel' | 'walks'> {
  seal(template: Buffer): Buffer | undefined;
  transmit(frame: Buffer): void;
  /** Back to the first slot. @param seed of the sums by which a comparison's walks tell segments apart */
  rewind(walk: WalkName, seed: string): void;
  step(walk: WalkName): WalkStep;
  /** Sends each way's template, sealed anew each time, at the configured interval until closed, and watches the answers. */
  startBeacon(ways: readonly HeartbeatWay[]): { readonly stats: BeaconStats; close(): void };
}

export interface HeartbeatWay {
  readonly way: SyncPath;
  /** Without a tag. */
  readonly frame: Buffer;
}

export type { WalkName } from './synchroniser.js';

export class SyncLink {
  readonly synchroniser: Synchroniser;
  readonly #ports: LinkPorts;
  readonly #channel: Channel;
  readonly #batch: RecordBatch;
  readonly #ways = new Map<SyncPath, HaPath>();
  #beacon: ReturnType<LinkPorts['startBeacon']> | undefined;

  constructor(config: SyncMachineConfig & Partial<ComparisonConfig> & Pick<ComparisonConfig, 'seed'>, ports: LinkPorts, events: SynchroniserEvents) {
    this.#ports = ports;
    this.#channel = new Channel({ seal: (template) => ports.seal(template), transmit: (frame) => ports.transmit(frame) });
    this.#batch = new RecordBatch({
      send: (records, count) => this.#channel.sendRecords(records, count),
      defer: (flush) => void setImmediate(flush),
    });
    this.synchroniser = new Synchroniser({ ...COMPARISON_DEFAULTS, ...config }, {
      ...ports,
      channel: this.#channel,
      walks: {
        bulk: this.#walk('bulk', BULK_LIMITS), repair: this.#walk('repair', BULK_LIMITS), age: this.#walk('age', AGE_LIMITS),
        digest: this.#walk('digest', COMPARISON_LIMITS), doubt: this.#walk('doubt', COMPARISON_LIMITS), sweep: this.#walk('sweep', COMPARISON_LIMITS),
      },
    }, events);
  }

  /** `withPeer` false: nobody is spoken to, and sessions expire all the same. */
  start(withPeer: boolean): void {
    this.synchroniser.start(withPeer);
  }

  /** The peer's MAC address is known, or has changed. */
  setPath(path: HaPath): void {
    this.#channel.setPath(path);
    this.#beat('ha', path);
  }

  /** Heartbeats go there as well from now on. */
  setUnderlayPath(path: HaPath): void {
    this.#beat('underlay', path);
  }

  #beat(way: SyncPath, path: HaPath): void {
    this.#ways.set(way, path);
    this.#beacon?.close();
    const ways = syncPaths.flatMap((each) => {
      const ends = this.#ways.get(each);
      return ends === undefined ? [] : [{ way: each, frame: heartbeatFrame(ends, each) }];
    });
    this.#beacon = this.#ports.startBeacon(ways);
  }

  /** A record that did not travel with its packet. */
  record(record: Buffer): void {
    this.#batch.add(record);
  }

  get frames(): ChannelStats {
    return this.#channel.stats;
  }

  get heartbeats(): BeaconStats | undefined {
    return this.#beacon?.stats;
  }

  close(): void {
    this.synchroniser.close();
    this.#beacon?.close();
    this.#beacon = undefined;
  }

  #walk(name: WalkName, limits: WalkLimits): Walk {
    const before = this.#ports.readGatewayState().acknowledged;
    return new Walk({
      rewind: (seed) => this.#ports.rewind(name, seed),
      step: () => this.#ports.step(name),
      send: (frame) => this.#channel.sendSealedRecords(frame, name === 'bulk' || name === 'repair'),
      outstanding: () => Number(this.#channel.stats.recordFramesSent - (this.#ports.readGatewayState().acknowledged - before)),
      nowNs: () => this.#ports.nowNs(),
      schedule: (turn, afterMs) => void (afterMs === 0 ? setImmediate(turn) : setTimeout(turn, afterMs)),
    }, limits);
  }
}
