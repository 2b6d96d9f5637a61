/**
 * Frames that overtake each other on the ha link. A walk's frame is sealed first
 * and sent from user space, a commit leaves in the driver; commits of several CPUs
 * pass each other; a record that no packet carries goes through the ring buffer
 * first. What the Active has never to say again must not be undone.
 */
import fc from 'fast-check';
import type { RingBuffer } from 'libbpf-ts';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ipv4ToNumber, macToBuffer, numberToIpv4 } from '../support/bytes.js';
import { fuzzAsync, fuzzRuns } from '../support/fuzz.js';
import { ticksAgo, type GatewayFixture, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { isSyncFrame, kindOf, Pair } from '../support/pair.js';
import { ipv4, payload, tcp, TCP, type Layer } from '../support/packet.js';
import { SYNC_HEADER_BYTES, SYNC_RECORD_BYTES } from '../support/sync-frame.js';
import { syncFrame, SYNC_TYPE_RECORDS } from '../../src/sync/frame.js';
import { eventType, sessionEndCodec, syncRecordCodec } from '../../src/dataplane/layout.generated.js';
import { mappingOf, overTcp, overUdp } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromOutside, otherServer, server, type VirtualMachine } from '../support/world.js';

const runs = fuzzRuns(40);
vi.setConfig({ testTimeout: 60_000 + runs * 200 });
const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const ESTABLISHED = 2;
const REPLIED = 32;
const ESTABLISHED_COMMITTED = 2;
/** Beyond every timeout of the fixture. */
const LONG_AGO = 20_000;
const ROOM = Buffer.alloc(42 + SYNC_HEADER_BYTES + 12 * SYNC_RECORD_BYTES);
const ADDRESS = world.tenantA.externalAddress;

const out = (vm: VirtualMachine, remote: string, segment: readonly Layer[]): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination: remote }), ...segment]);
const forward = (frame: Buffer, gateway = pair.a): { final: RunResult; steps: RunResult[] } => pair.forward(gateway, 'underlay', frame);
const acknowledge = (port: number): Layer[] => [tcp({ sourcePort: port, destinationPort: 80, flags: TCP.ACK })];
const apply = (frames: readonly Buffer[]): void => {
  for (const frame of frames) expect(pair.b.run('ha_xdp', frame).verdict).toBe('TX');
};

/** The sealed frames of a whole pass by A, on their way. */
function walkFrames(program: 'bulk_xdp' | 'age_xdp'): Buffer[] {
  const frames: Buffer[] = [];
  pair.a.walks.set(kindOf(program), { phase: 0, position: 0, records: 0, seed: 0n });
  for (;;) {
    const step = pair.a.run(program, ROOM);
    if (step.verdict === 'DROP') return frames;
    if (step.verdict === 'TX') frames.push(step.frame);
  }
}

/** A's sessions for which `isOld` holds have idled beyond every timeout. */
function idle(isOld: (remote: string, index: number) => boolean = () => true): void {
  pair.a.setState('active', { activeSinceNs: 1n });
  for (const [index, mapping] of pair.a.mappingTable.used()) {
    if (isOld(numberToIpv4(mapping.first.remote), index)) pair.a.mappingTable.update(index, { first: { ...mapping.first, lastSeen: ticksAgo(LONG_AGO) } });
  }
  for (const [slot, { mapping, session }] of pair.a.sessionTable.used()) {
    if (isOld(numberToIpv4(session.remote), mapping - 1)) pair.a.sessionTable.update(slot, { session: { ...session, lastSeen: ticksAgo(LONG_AGO) } });
  }
}

/** What a takeover finds: every session by name, and whether its peer has been told that it is established. */
function sessionsOf(gateway: GatewayFixture): Map<string, { state: number; told: boolean }> {
  const found = new Map<string, { state: number; told: boolean }>();
  for (const mapping of gateway.mappings()) {
    const name = `${gateway.vms.get(mapping.vm - 1).address}:${mapping.internalPort}/${mapping.protocol} by ${mapping.externalPort}`;
    const sessions = [mapping.first, ...gateway.sessions().filter((slot) => slot.mapping === mapping.index + 1 && slot.vm === mapping.vm).map(({ session }) => session)];
    for (const { remote, remotePort, state, flags } of sessions) {
      if (state !== 0) found.set(`${name} with ${numberToIpv4(remote)}:${remotePort}`, { state, told: mapping.protocol === 0 && (flags & ESTABLISHED_COMMITTED) !== 0 });
    }
  }
  return found;
}

describe('a frame of a walk that a commit has overtaken', () => {
  it('does not end the session that the commit has made again', () => {
    forward(out(a1, server, overUdp.request(4000)));
    forward(out(a1, otherServer, overUdp.request(4000)));
    idle((remote) => remote === otherServer);
    const late = walkFrames('age_xdp');
    expect(late).toHaveLength(1);
    expect(forward(out(a1, otherServer, overUdp.request(4000))).steps).toHaveLength(3);
    apply(late);

    const { externalPort } = mappingOf(pair.a, a1, overUdp, 4000);
    expect(sessionsOf(pair.b).size).toBe(2);
    expect(forward(out(a1, otherServer, overUdp.request(4000))).steps).toHaveLength(1);
    pair.takeOver(pair.b, 'dead');
    const answer = pair.b.run('external', fromOutside([ipv4({ source: otherServer, destination: ADDRESS }), ...overUdp.reply(externalPort)]));
    expect(answer.counters).toMatchObject({ inbound_snat: 1 });
  });

  it('does not end the mapping that the commit has made again, where ports do not rest', () => {
    for (const gateway of [pair.a, pair.b]) gateway.setGateway({ holdDownTicks: 0 });
    forward(out(a1, server, overTcp.request(4000)));
    idle();
    const late = walkFrames('age_xdp');
    forward(out(a1, otherServer, overTcp.request(4000)));
    expect(mappingOf(pair.b, a1, overTcp, 4000).sessionCount).toBe(1);
    apply(late);

    expect([...sessionsOf(pair.b).keys()]).toEqual([...sessionsOf(pair.a).keys()]);
    expect(tableFaults(pair.b)).toEqual([]);
  });

  it('does not take an established session back', () => {
    forward(out(a1, server, overTcp.request(4000)));
    const late = walkFrames('bulk_xdp');
    const { externalPort } = mappingOf(pair.a, a1, overTcp, 4000);
    pair.a.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS }), ...overTcp.reply(externalPort)]));
    expect(forward(out(a1, server, acknowledge(4000))).steps).toHaveLength(3);
    apply(late);

    const { first } = mappingOf(pair.b, a1, overTcp, 4000);
    expect(first.state).toBe(ESTABLISHED);
    expect(first.flags & REPLIED).toBe(REPLIED);
  });

  it('does not move a VM back', () => {
    forward(out(a1, server, overUdp.request(1)));
    const late = walkFrames('bulk_xdp');
    const moved = { ...a1, compute: world.compute2 };
    pair.a.vms.update(pair.a.vmIndex(a1)!, { moved: 0 });
    forward(out(moved, server, overUdp.request(1)));
    apply(late);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });

  it('does not give a port back to the mapping that had it before', () => {
    for (const gateway of [pair.a, pair.b]) gateway.setGateway({ holdDownTicks: 0 });
    forward(out(a1, server, overUdp.request(4000)));
    const late = walkFrames('bulk_xdp');
    const { index, externalPort } = mappingOf(pair.a, a1, overUdp, 4000);
    idle();
    apply(walkFrames('age_xdp'));
    // Another endpoint of the VM that probes the same slot.
    const heir = Array.from({ length: 3000 }, (_, n) => 5000 + n).find((port) => {
      forward(out(a1, server, overUdp.request(port)));
      return pair.a.mappingTable.get(index).vm !== 0;
    });
    apply(late);
    expect(mappingOf(pair.b, a1, overUdp, heir!).externalPort).toBe(externalPort);
    expect(tableFaults(pair.b)).toEqual([]);
  });
});

describe('commits of two CPUs that overtake each other', () => {
  it('leave a session as far as it has got', () => {
    const first = pair.a.run('underlay', out(a1, server, overTcp.request(4000)));
    const { externalPort } = mappingOf(pair.a, a1, overTcp, 4000);
    pair.a.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS }), ...overTcp.reply(externalPort)]));
    const second = pair.a.run('underlay', out(a1, server, acknowledge(4000)));
    apply([second.frame, first.frame]);
    expect(mappingOf(pair.b, a1, overTcp, 4000).first).toMatchObject({ state: ESTABLISHED });
  });

  it('leave a VM where it was last', () => {
    const first = pair.a.run('underlay', out(a1, server, overUdp.request(1)));
    const second = pair.a.run('underlay', out({ ...a1, compute: world.compute2 }, server, overUdp.request(1)));
    apply([second.frame, first.frame]);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });
});

describe('what is not late', () => {
  const commit = (): Buffer => pair.a.run('underlay', out(a1, server, overUdp.request(4000))).frame;

  it('is a delete whose sequence only looks so: the session is older than any frame on its way', () => {
    pair.a.states.update(0, { sequence: 500n });
    apply([commit()]);
    const index = pair.b.mappings()[0]!.index;
    pair.b.mappingTable.update(index, { lastSeen: 0 });
    idle();
    // 65,536 frames on, less 100.
    pair.a.states.update(0, { sequence: 500n + 65_436n });
    apply(walkFrames('age_xdp'));
    expect(pair.b.mappings()).toEqual([]);
  });

  it('is a record that is repeated in another frame', () => {
    apply([commit()]);
    const before = pair.b.tables();
    apply(walkFrames('bulk_xdp'));
    apply(walkFrames('bulk_xdp'));
    expect(pair.b.tables()).toEqual(before);
  });
});

/** Sealed by A at this moment, as its control plane does with what it has read from the ring buffer. */
function framed(records: readonly Buffer[]): Buffer {
  const path = { sourceMac: macToBuffer(world.nodeA.ha.mac), destinationMac: macToBuffer(world.nodeB.ha.mac), sourceAddress: ipv4ToNumber(world.nodeA.ha.address), destinationAddress: ipv4ToNumber(world.nodeB.ha.address) };
  return pair.a.run('seal_xdp', syncFrame(path, SYNC_TYPE_RECORDS, records.length, Buffer.concat(records))).frame;
}

/** What A's programs hand to its control plane, in order. */
class Told {
  readonly records: Buffer[] = [];
  readonly #ring: RingBuffer;

  constructor() {
    this.#ring = pair.a.listen(({ type }, record) => {
      if (type === eventType.record) this.records.push(record);
    });
  }

  /** The records that `work` makes A tell: each takes a sequence number, so there are as many as it has used more than frames. */
  async by(work: () => RunResult): Promise<{ result: RunResult; records: Buffer[] }> {
    const before = pair.a.states.get(0).sequence;
    const result = work();
    const wanted = Number(pair.a.states.get(0).sequence - before) - (isSyncFrame(result.frame) ? 1 : 0);
    while (this.records.length < wanted) await setImmediate();
    return { result, records: this.records.splice(0) };
  }

  close(): void {
    this.#ring.close();
  }
}

const LARGE = payload(Buffer.alloc(1400));

describe('a record that goes through user space', () => {
  let told: Told;
  beforeEach(async () => {
    told = new Told();
    await setTimeout(20);
    told.records.length = 0;
    pair.a.setInterface('ha', { mtu: 1500 });
  });
  afterEach(() => told.close());

  it('keeps its order behind the commit that overtakes it: a VM stays where it was last', async () => {
    const { records } = await told.by(() => pair.a.run('underlay', out(a1, server, [...overUdp.request(1), LARGE])));
    expect(records).toHaveLength(1);
    forward(out({ ...a1, compute: world.compute2 }, server, overUdp.request(1)));
    apply([framed(records)]);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });

  it('does not take back what a commit has said since: a session stays established', async () => {
    const { records } = await told.by(() => pair.a.run('underlay', out(a1, server, [...overTcp.request(4000), LARGE])));
    const { externalPort } = mappingOf(pair.a, a1, overTcp, 4000);
    pair.a.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS }), ...overTcp.reply(externalPort)]));
    expect(forward(out(a1, server, acknowledge(4000))).steps).toHaveLength(3);
    apply([framed(records)]);
    expect(mappingOf(pair.b, a1, overTcp, 4000).first.state).toBe(ESTABLISHED);
  });

  it('that ends a session does not end the one that a packet has made again meanwhile', async () => {
    forward(out(a1, server, overUdp.request(4000)));
    const { index } = mappingOf(pair.a, a1, overUdp, 4000);
    for (const gateway of [pair.a, pair.b]) gateway.setGateway({ holdDownTicks: 0 });
    const context = Buffer.alloc(sessionEndCodec.size);
    sessionEndCodec.encode({ mapping: index, remote: ipv4ToNumber(server), remotePort: 0, record: syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size)) }, context);
    const { context: ended } = pair.a.object.program('session_end').testRun({ context });
    const end = Buffer.alloc(syncRecordCodec.size);
    syncRecordCodec.encode(sessionEndCodec.decode(ended).record, end);
    forward(out(a1, server, overUdp.request(4000)));
    apply([framed([end])]);
    expect([...sessionsOf(pair.b).keys()]).toEqual([...sessionsOf(pair.a).keys()]);
    expect(sessionsOf(pair.b).size).toBe(1);
  });

  it('is newer than what was sealed before it was made, in whatever frame it comes', async () => {
    const first = pair.a.run('underlay', out(a1, server, overUdp.request(1)));
    const { records } = await told.by(() => pair.a.run('underlay', out({ ...a1, compute: world.compute2 }, server, [...overUdp.request(1), LARGE])));
    apply([framed(records), first.frame]);
    expect(numberToIpv4(pair.b.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
  });
});

/* ------------------------------------------------------------------ histories */

type Event =
  | { readonly kind: 'out'; readonly port: number; readonly remote: number; readonly compute: number; readonly tcp: boolean; readonly large: boolean }
  | { readonly kind: 'answer'; readonly which: number }
  | { readonly kind: 'bulk' }
  | { readonly kind: 'age'; readonly half: number };
const REMOTES = [server, otherServer, '203.0.113.77'];
const COMPUTES = [world.compute1, world.compute2];
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('out' as const), port: fc.constantFrom(500, 5000, 5001), remote: fc.nat(2), compute: fc.nat(1), tcp: fc.boolean(), large: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'bulk' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('age' as const), half: fc.nat(2) }) },
);

/**
 * A's frames are given to B in another order than they were sealed in: those of
 * walks late, but one after the other as user space sends them; commits in any
 * order among those of the same moment. What ends has idled longer than any frame
 * is on its way: its commits have arrived.
 */
class History {
  /** What user space sends: walks' frames, and records that are sealed when their turn comes. */
  private walks: (Buffer | { readonly records: readonly Buffer[] })[] = [];
  private commits: Buffer[] = [];
  private readonly random: () => number;
  private readonly told: Told | undefined;

  /** `told`: some packets are too large to travel with their records, or none does. */
  constructor(random: () => number, told?: Told) {
    this.random = random;
    this.told = told;
  }

  async take(next: Event): Promise<void> {
    if (next.kind === 'out') await this.out(next);
    else if (next.kind === 'answer') this.answer(next.which);
    else if (next.kind === 'bulk') this.walks.push(...walkFrames('bulk_xdp'));
    else this.age(next.half);
    while (this.random() < 0.3 && this.deliverOne());
  }

  finish(): void {
    while (this.deliverOne());
  }

  private async out({ port, remote, compute, tcp: isTcp, large }: Extract<Event, { kind: 'out' }>): Promise<void> {
    const vm = { ...a1, compute: COMPUTES[compute]! };
    const known = pair.a.vmIndex(a1);
    if (known !== undefined) pair.a.vms.update(known, { moved: 0 });
    const segment = isTcp ? acknowledge(port) : overUdp.request(port);
    const send = (): RunResult => pair.a.run('underlay', out(vm, REMOTES[remote]!, this.told !== undefined && large ? [...segment, LARGE] : segment));
    const { result, records } = this.told === undefined ? { result: send(), records: [] } : await this.told.by(send);
    if (isSyncFrame(result.frame)) this.commits.push(result.frame);
    if (records.length > 0) this.walks.push({ records });
  }

  private answer(which: number): void {
    const mappings = pair.a.mappings().filter(({ first }) => first.state !== 0);
    const mapping = mappings[which % Math.max(1, mappings.length)];
    if (mapping === undefined) return;
    const segment = mapping.protocol === 0 ? tcp({ sourcePort: mapping.first.remotePort, destinationPort: mapping.externalPort, flags: TCP.ACK }) : undefined;
    const layers = segment === undefined ? overUdp.reply(mapping.externalPort) : [segment];
    pair.a.run('external', fromOutside([ipv4({ source: numberToIpv4(mapping.first.remote), destination: ADDRESS }), ...layers]));
  }

  private age(half: number): void {
    while (this.commits.length > 0) this.deliverCommit();
    idle((_, index) => half === 2 || index % 2 === half);
    this.walks.push(...walkFrames('age_xdp'));
  }

  private deliverCommit(): void {
    const at = Math.floor(this.random() * this.commits.length);
    this.deliver(this.commits.splice(at, 1)[0]!);
  }

  private deliverOne(): boolean {
    if (this.commits.length > 0 && (this.walks.length === 0 || this.random() < 0.7)) this.deliverCommit();
    else if (this.walks.length > 0) this.deliverFromUserSpace(this.walks.shift()!);
    else return false;
    return true;
  }

  private deliverFromUserSpace(next: Buffer | { readonly records: readonly Buffer[] }): void {
    this.deliver(Buffer.isBuffer(next) ? next : framed(next.records));
  }

  /** There and back. */
  private deliver(frame: Buffer): void {
    const turned = pair.b.run('ha_xdp', frame);
    expect(turned.verdict, JSON.stringify(turned.counters)).toBe('TX');
    pair.a.run('ha_xdp', turned.frame);
  }
}

const history = fc.tuple(fc.array(event, { minLength: 2, maxLength: 30 }), fc.infiniteStream(fc.double({ min: 0, max: 0.999_999, noNaN: true })));

function expectSame(): void {
  const [ours, theirs] = [sessionsOf(pair.a), sessionsOf(pair.b)];
  expect([...theirs.keys()].sort()).toEqual([...ours.keys()].sort());
  for (const [name, { told }] of ours) if (told) expect(theirs.get(name)!.state, name).toBe(ESTABLISHED);
  const vm = pair.a.vm(a1);
  if (vm !== undefined) expect(pair.b.vm(a1)!.tunnelEndpoint).toBe(vm.tunnelEndpoint);
  expect(tableFaults(pair.b)).toEqual([]);
  expect(pair.differences()).toEqual([]);
}

describe('any order of the frames of a history', () => {
  it.each([{ rests: true }, { rests: false }])('leaves the standby with what the Active holds, ports resting: $rests', async ({ rests }) => {
    await fuzzAsync(
      fc.asyncProperty(history, async ([events, chances]) => {
        pair.reset();
        if (!rests) for (const gateway of [pair.a, pair.b]) gateway.setGateway({ holdDownTicks: 0 });
        const past = new History(() => chances.next().value as number);
        for (const next of events) await past.take(next);
        past.finish();
        expectSame();
      }),
      runs,
    );
  });

  it.each(['strict', 'async'] as const)('does so where records go through user space, mode %s', async (syncMode) => {
    const told = new Told();
    try {
      await fuzzAsync(
        fc.asyncProperty(history, async ([events, chances]) => {
          pair.reset({ syncMode });
          pair.a.setInterface('ha', { mtu: 1500 });
          const past = new History(() => chances.next().value as number, told);
          for (const next of events) await past.take(next);
          past.finish();
          expectSame();
        }),
        runs,
      );
    } finally {
      told.close();
    }
  });
});
