/**
 * Two gateways on one ha link: frames that one sends to the other are carried
 * by hand, so that a test can look at, lose, change or repeat each of them.
 */
import { expect } from 'vitest';
import { walkKind } from '../../src/dataplane/layout.generated.js';
import { dissect } from './dissect.js';
import { GatewayFixture, type FixtureOptions, type LoadOptions, type ProgramName, type RunResult } from './gateway-fixture.js';
import { SYNC_HEADER_BYTES, SYNC_RECORD_BYTES } from './sync-frame.js';
import * as world from './world.js';

/** Ethernet, IPv4 and UDP. */
const SYNC_OFFSET = 42;
const MAX_RECORDS = 12;
/** More runs than any walk over the fixture's small tables takes. */
const MAX_WALK_RUNS = 2000;
/** Of digests; any will do. */
const SEED = 0x0123_4567_89ab_cdefn;

export type WalkProgram = `${keyof typeof walkKind}_xdp`;

export function kindOf(program: WalkProgram): number {
  return walkKind[program.slice(0, -'_xdp'.length) as keyof typeof walkKind];
}

export class Pair {
  readonly a: GatewayFixture;
  readonly b: GatewayFixture;
  /** What the way makes of a frame. */
  crossing: (frame: Buffer, from: GatewayFixture) => Buffer = (frame) => frame;

  private constructor(a: GatewayFixture, b: GatewayFixture) {
    this.a = a;
    this.b = b;
  }

  static load(options: LoadOptions = {}): Pair {
    return new Pair(GatewayFixture.load(options), GatewayFixture.load(options));
  }

  close(): void {
    this.a.close();
    this.b.close();
  }

  /** A Active, B Backup, both alive and in the same term. */
  reset(options: FixtureOptions = {}): this {
    this.a.reset({ node: world.nodeA, ...options });
    this.b.reset({ node: world.nodeB, state: 'backup', ...options });
    this.crossing = (frame) => frame;
    return this;
  }

  other(gateway: GatewayFixture): GatewayFixture {
    return gateway === this.a ? this.b : this.a;
  }

  /**
   * A packet into `gateway` and, if it was held for a commit, the commit's way
   * to the peer and back. Returns what leaves in the end and every step.
   */
  forward(gateway: GatewayFixture, program: ProgramName, frame: Buffer): { final: RunResult; steps: RunResult[] } {
    const held = gateway.run(program, frame);
    if (held.verdict !== 'REDIRECT' || !isSyncFrame(held.frame)) return { final: held, steps: [held] };
    const turned = this.other(gateway).run('ha_xdp', this.crossing(held.frame, gateway));
    expect(turned.verdict, JSON.stringify(turned.counters)).toBe('TX');
    const released = gateway.run('ha_xdp', this.crossing(turned.frame, this.other(gateway)));
    return { final: released, steps: [held, turned, released] };
  }

  /** `to` becomes Active in the next term; the former Active drains, or is dead and silent. */
  takeOver(to: GatewayFixture, former: 'draining' | 'dead'): void {
    const from = this.other(to);
    const term = Math.max(from.virtualRouters.get(world.VRID).term, to.virtualRouters.get(world.VRID).term) + 1;
    from.setState(former === 'draining' ? 'draining' : 'initialize');
    // A minute ahead: the grace for stragglers must not end while a slow machine is still at the test.
    to.setState('active', { term, activeSinceNs: process.hrtime.bigint() + 60_000_000_000n });
    if (former === 'dead') to.setPeerAlive(false);
  }

  /**
   * A whole pass of bulk synchronisation or ageing by `gateway`; each frame goes
   * to the peer and back. Returns the frames and what the peer made of them.
   */
  walk(gateway: GatewayFixture, program: WalkProgram, seed = SEED): { sent: Buffer[]; applied: RunResult[]; acknowledged: RunResult[] } {
    const result = { sent: [] as Buffer[], applied: [] as RunResult[], acknowledged: [] as RunResult[] };
    const room = Buffer.alloc(SYNC_OFFSET + SYNC_HEADER_BYTES + MAX_RECORDS * SYNC_RECORD_BYTES);
    gateway.walks.set(kindOf(program), { phase: 0, position: 0, records: 0, seed });
    for (let run = 0; run < MAX_WALK_RUNS; run++) {
      const step = gateway.run(program, room);
      if (step.verdict === 'DROP') return result;
      if (step.verdict === 'PASS') continue;
      expect(step.verdict).toBe('TX');
      result.sent.push(step.frame);
      const applied = this.other(gateway).run('ha_xdp', this.crossing(step.frame, gateway));
      result.applied.push(applied);
      if (applied.verdict === 'TX') result.acknowledged.push(gateway.run('ha_xdp', this.crossing(applied.frame, this.other(gateway))));
    }
    throw new Error(`${program} has not come to an end after ${MAX_WALK_RUNS} runs`);
  }

  /** The sum of each segment of what the gateway holds. */
  digests(gateway: GatewayFixture, seed = SEED): bigint[] {
    const segments = Array.from({ length: gateway.segments.length }, (_, index) => index);
    for (const index of segments) gateway.segments.update(index, { digest: 0n });
    this.walk(gateway, 'digest_xdp', seed);
    return segments.map((index) => gateway.segments.get(index).digest);
  }

  /** Segments in which the two gateways differ. */
  differences(): number[] {
    return differing(this.digests(this.a), this.digests(this.b));
  }

  /** What the walk is about; without `segments`, everything. */
  want(gateway: GatewayFixture, walk: 'repair_xdp' | 'doubt_xdp', segments?: readonly number[]): void {
    for (let index = 0; index < gateway.segments.length; index++) {
      gateway.segments.update(index, { wanted: segments?.includes(index) ?? true ? 1 << kindOf(walk) : 0 });
    }
  }

  /** `active` says what there is of the segments, the other gives up what it has besides. Returns the frames. */
  repair(active: GatewayFixture, segments: readonly number[]): Buffer[] {
    const standby = this.other(active);
    this.want(active, 'repair_xdp', segments);
    this.want(standby, 'doubt_xdp', segments);
    this.walk(standby, 'doubt_xdp');
    const { sent } = this.walk(active, 'repair_xdp');
    this.walk(standby, 'sweep_xdp');
    return sent;
  }
}

/** Numbers of the segments in which two lists of digests differ. */
export function differing(a: readonly bigint[], b: readonly bigint[]): number[] {
  return a.flatMap((digest, segment) => (digest === b[segment] ? [] : [segment]));
}

export function isSyncFrame(frame: Buffer): boolean {
  return dissect(frame).some((layer) => layer.layer === 'sync');
}

/** The UDP payload of a replication frame. */
export function syncMessage(frame: Buffer): Buffer {
  return frame.subarray(SYNC_OFFSET, 14 + frame.readUInt16BE(16));
}
