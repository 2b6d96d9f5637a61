import { afterEach, describe, expect, it, vi } from 'vitest';
import { SYNC_FRAME_HEAD_BYTES, SYNC_RECORD_BYTES, SYNC_TYPE_CONTROL, SYNC_TYPE_RECORDS } from '../../../src/sync/frame.js';
import { SyncLink } from '../../../src/sync/link.js';
import type { HeartbeatWay } from '../../../src/sync/link.js';
import { SYNC_MACHINE_DEFAULTS } from '../../../src/sync/machine.js';
import type { VirtualRouterView } from '../../../src/sync/messages.js';
import type { WalkStep } from '../../../src/sync/walk.js';

const HEADER = SYNC_FRAME_HEAD_BYTES - 32;
const path = { sourceMac: Buffer.alloc(6, 1), destinationMac: Buffer.alloc(6, 2), sourceAddress: 1, destinationAddress: 2 };

/** A gateway whose data plane is a list of records and whose ha link is a function call. */
class Side {
  peer: Side | undefined;
  connected = true;
  records: Buffer[];
  received = new Set<string>();
  acknowledged = 0n;
  bulkAcknowledged = 0n;
  digests = Array.from({ length: 1024 }, () => '0'.repeat(16));
  peerHeardNs = 0n;
  unprotected = 0n;
  position = 0;
  log: string[] = [];
  virtualRouters: VirtualRouterView[] = [{ vrid: 51, state: 1, term: 3, penalty: 0 }];
  beacons: { ways: readonly HeartbeatWay[]; closed: boolean }[] = [];
  /** The first frame that carries this record is lost. */
  losesOnce: Buffer | undefined;
  /** The first frame that carries this record finds the queue full. */
  refusesOnce: Buffer | undefined;
  readonly link: SyncLink;

  constructor(name: string, id: number, records: number) {
    this.records = Array.from({ length: records }, (_, i) => Buffer.alloc(SYNC_RECORD_BYTES, `${name}${i} `));
    this.link = new SyncLink({ name, id, epoch: 1, underlayAddress: 11 + id, instance: Date.now(), soloAfterNs: 50_000_000n, ...SYNC_MACHINE_DEFAULTS, seed: '0123456789abcdef', helloIntervalNs: 10_000_000n, acknowledgementTimeoutNs: 20_000_000n }, {
      nowNs: () => process.hrtime.bigint(),
      readGatewayState: () => ({ peerHeardNs: this.peerHeardNs, acknowledged: this.acknowledged, bulkAcknowledged: this.bulkAcknowledged }),
      clearDigests: () => undefined,
      readDigests: () => this.digests,
      wantSegments: () => undefined,
      unprotectedSessions: () => this.unprotected,
      virtualRouters: () => this.virtualRouters,
      seal: (frame) => frame,
      transmit: (frame) => this.#transmit(frame),
      rewind: () => void (this.position = 0),
      step: (walk) => (walk === 'bulk' ? this.#step() : { kind: 'Ended' }),
      startBeacon: (ways) => {
        const beacon = { ways, closed: false };
        this.beacons.push(beacon);
        return { stats: { sent: 0n, failed: 0n, lateMaxUs: 0 }, close: () => void (beacon.closed = true) };
      },
    }, {
      peerChanged: (alive) => void this.log.push(alive ? 'peer alive' : 'peer silent'),
      synchronisedChanged: (synchronised) => void this.log.push(synchronised ? 'synchronised' : 'not synchronised'),
      peerRolesHeard: (views) => void this.log.push(`roles ${views.map(({ term }) => term).join()}`),
      peerPlaceHeard: (address) => void this.log.push(`place ${address}`),
      bulkCompleted: (rounds) => void this.log.push(`bulk complete in ${rounds}`),
      bulkFailed: () => void this.log.push('bulk failed'),
      tablesCompared: ({ kind }) => void this.log.push(`tables ${kind}`),
      tablesRepaired: () => void this.log.push('repaired'),
    });
  }

  start(): void {
    this.link.setPath(path);
    this.link.start(true);
  }

  #step(): WalkStep {
    const batch = this.records.slice(this.position, this.position + 12);
    if (batch.length === 0) return { kind: 'Ended' };
    this.position += batch.length;
    const frame = Buffer.concat([Buffer.alloc(SYNC_FRAME_HEAD_BYTES), ...batch]);
    frame[HEADER + 1] = SYNC_TYPE_RECORDS;
    frame[HEADER + 3] = batch.length;
    frame[HEADER + 5] = 1;
    return { kind: 'Frame', frame };
  }

  #transmit(frame: Buffer): void {
    const { peer } = this;
    if (this.refusesOnce !== undefined && frame.includes(this.refusesOnce)) {
      this.refusesOnce = undefined;
      throw new Error('ENOBUFS');
    }
    if (!this.connected || peer === undefined) return;
    if (this.losesOnce !== undefined && frame.includes(this.losesOnce)) {
      this.losesOnce = undefined;
      return;
    }
    setImmediate(() => peer.#receive(frame));
  }

  #receive(frame: Buffer): void {
    this.peerHeardNs = process.hrtime.bigint();
    this.peer!.peerHeardNs = this.peerHeardNs;
    if (frame[HEADER + 1] === SYNC_TYPE_CONTROL) return this.link.synchroniser.messageReceived(frame.subarray(SYNC_FRAME_HEAD_BYTES));
    for (let i = 0; i < frame[HEADER + 3]!; i += 1) {
      const at = SYNC_FRAME_HEAD_BYTES + i * SYNC_RECORD_BYTES;
      this.received.add(frame.toString('latin1', at, at + SYNC_RECORD_BYTES));
    }
    this.peer!.acknowledged += 1n;
    if (frame[HEADER + 5] === 1) this.peer!.bulkAcknowledged += 1n;
  }
}

let sides: Side[] = [];
function pair(records: number): [Side, Side] {
  const [a, b] = [new Side('a', 0, records), new Side('b', 1, 0)];
  [a.peer, b.peer] = [b, a];
  sides = [a, b];
  return [a, b];
}

afterEach(() => sides.forEach((side) => side.link.close()));

const until = (condition: () => boolean): Promise<void> => vi.waitFor(() => expect(condition()).toBe(true), { timeout: 5000, interval: 5 });

describe('two gateways over the ha link', () => {
  it('end with the joiner holding all, and both knowing so', async () => {
    const [a, b] = pair(5000);
    a.start();
    b.start();
    await until(() => a.link.synchroniser.synchronised && b.link.synchroniser.synchronised);
    expect(b.received.size).toBe(5000);
    await until(() => a.link.synchroniser.peerStatus().holdsOurs);
    expect(a.log).toContain('roles 3');
    // Again after a silence, which a busy machine may make.
    const placesIn = (log: readonly string[]): string[] => [...new Set(log.filter((line) => line.startsWith('place')))];
    expect([placesIn(a.log), placesIn(b.log)]).toEqual([['place 12'], ['place 11']]);
  });

  it('compare what they hold as soon as each holds all, and say so', async () => {
    const [a, b] = pair(12);
    a.start();
    b.start();
    await until(() => a.log.includes('tables Equal') && b.log.includes('tables Equal'));
    expect(a.link.synchroniser.peerStatus()).toMatchObject({ tablesEqual: true });
    expect(b.link.synchroniser.peerStatus().tablesComparedMs).toBeLessThan(5000);
  });

  it('do not wait for what others send meanwhile: a round counts its own answers', async () => {
    const [a, b] = pair(600);
    const busy = setInterval(() => a.link.record(Buffer.alloc(SYNC_RECORD_BYTES, `r${Math.random()}`)), 0);
    a.start();
    b.start();
    await until(() => b.link.synchroniser.synchronised && a.link.synchroniser.synchronised);
    clearInterval(busy);
  });

  it('repeat rounds until no frame is missing', async () => {
    const [a, b] = pair(600);
    a.losesOnce = a.records[300];
    a.start();
    b.start();
    await until(() => b.link.synchroniser.synchronised);
    expect(a.losesOnce).toBeUndefined();
    expect(b.received.size).toBe(600);
  });

  it('repeat rounds until no frame has found a full queue', async () => {
    const [a, b] = pair(600);
    a.refusesOnce = a.records[300];
    a.start();
    b.start();
    await until(() => b.link.synchroniser.synchronised);
    expect(a.refusesOnce).toBeUndefined();
    expect(b.received.size).toBe(600);
  });

  it('do it again after a silence', async () => {
    const [a, b] = pair(24);
    a.start();
    b.start();
    await until(() => b.link.synchroniser.synchronised && a.link.synchroniser.peerStatus().holdsOurs);
    a.connected = b.connected = false;
    await until(() => !a.link.synchroniser.peerStatus().alive && !b.link.synchroniser.peerStatus().alive);
    expect(b.link.synchroniser.synchronised).toBe(false);
    a.records.push(Buffer.alloc(SYNC_RECORD_BYTES, 'made alone'));
    a.connected = b.connected = true;
    await until(() => b.log.includes('not synchronised') && b.link.synchroniser.synchronised);
    expect(b.received.size).toBe(25);
  });

  it('do it again for what was made unprotected, without a silence that anyone noticed', async () => {
    const [a, b] = pair(24);
    a.start();
    b.start();
    await until(() => b.link.synchroniser.synchronised && a.link.synchroniser.peerStatus().holdsOurs);
    a.records.push(Buffer.alloc(SYNC_RECORD_BYTES, 'made alone'));
    a.unprotected += 1n;
    await until(() => b.received.size === 25);
    await until(() => b.link.synchroniser.synchronised);
  });

  it('hear of a role at once', async () => {
    const [a, b] = pair(0);
    const heardTerm = (): number | undefined => b.link.synchroniser.peerStatus().virtualRouters.find(({ vrid }) => vrid === 51)?.term;
    a.start();
    b.start();
    await until(() => heardTerm() === 3);
    a.virtualRouters = [{ vrid: 51, state: 2, term: 8, penalty: 0 }];
    a.link.synchroniser.rolesChanged();
    await until(() => heardTerm() === 8);
  });
});

describe('a link', () => {
  it('sends heartbeats by every way that it knows, each with its own mark', () => {
    const [a] = pair(0);
    a.link.setUnderlayPath(path);
    a.link.setPath(path);
    expect(a.beacons.map(({ ways, closed }) => [ways.map(({ way }) => way), closed])).toEqual([[['underlay'], true], [['ha', 'underlay'], false]]);
    const [ha, underlay] = a.beacons[1]!.ways.map(({ frame }) => frame);
    expect([ha!.length, ha!.readUInt8(HEADER + 12), underlay!.readUInt8(HEADER + 12), ha!.readUInt16BE(HEADER + 6)]).toEqual([SYNC_FRAME_HEAD_BYTES + 32, 0, 1, 32]);
  });

  it('replaces its heartbeats when the peer has another MAC, and ends them', () => {
    const [a] = pair(0);
    a.link.setPath(path);
    a.link.setPath({ ...path, destinationMac: Buffer.alloc(6, 9) });
    expect(a.beacons.map(({ closed }) => closed)).toEqual([true, false]);
    expect(a.beacons[1]!.ways[0]!.frame.subarray(0, 6)).toEqual(Buffer.alloc(6, 9));
    a.link.close();
    expect(a.beacons.map(({ closed }) => closed)).toEqual([true, true]);
  });

  it('sends records that did not travel with their packets', async () => {
    const [a, b] = pair(0);
    a.link.setPath(path);
    a.link.record(Buffer.alloc(SYNC_RECORD_BYTES, 'x'));
    await until(() => b.received.size === 1);
    expect(a.acknowledged).toBe(1n);
  });
});
