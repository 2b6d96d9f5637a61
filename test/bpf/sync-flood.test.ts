/**
 * What somebody on the ha link or the underlay can do without the key, by the
 * thousand: frames of a real pair recorded and repeated, changed, sent back to
 * their sender, sealed with another key, kept from before a restart. Nothing in any
 * map changes, and every frame is counted under its reason.
 *
 * SYNC_FORGERIES: how many, 9,000 by default.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { reasonNames } from '../../src/dataplane/layout.generated.js';
import { heartbeatFrame, syncFrame, SYNC_TYPE_CONTROL, type HaPath } from '../../src/sync/frame.js';
import { ipv4ToNumber, macToBuffer } from '../support/bytes.js';
import type { GatewayFixture, ProgramName } from '../support/gateway-fixture.js';
import { ipv4, tcp, TCP } from '../support/packet.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { messageMac } from '../support/sync-frame.js';
import { overTcp, overUdp } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, b1, frameFromVm, nodeA, nodeB, server } from '../support/world.js';

const forgeries = Number(process.env['SYNC_FORGERIES'] ?? 9000);
const MS_PER_FORGERY = 1;
/** Ethernet, IPv4, UDP. */
const SYNC_OFFSET = 42;
const EPOCH = SYNC_OFFSET + 8;
const SEQUENCE = SYNC_OFFSET + 16;
const MAC = SYNC_OFFSET + 24;
const BPF_F_MMAPABLE = 1 << 10;
/** Between two of these the event loop turns: vitest takes a worker that is silent for a minute for dead. */
const FORGERIES_PER_TURN = 500;

const pair = Pair.load();
afterAll(() => pair.close());

/** A frame of the pair, and who it was for. */
interface Recorded {
  readonly receiver: GatewayFixture;
  readonly program: ProgramName;
  readonly frame: Buffer;
}

/** xorshift32, so that a failure can be had again. */
class Random {
  #state = 0x2545_f491;

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

function way(from: world.Node, to: world.Node, role: 'ha' | 'underlay'): HaPath {
  return {
    sourceMac: macToBuffer(from[role].mac), destinationMac: macToBuffer(to[role].mac),
    sourceAddress: ipv4ToNumber(from[role].address), destinationAddress: ipv4ToNumber(to[role].address),
  };
}

/** The frame arrives, and its answer, if there is one, at home. */
function deliver(recorded: Recorded[], sender: GatewayFixture, program: ProgramName, frame: Buffer): void {
  const receiver = pair.other(sender);
  recorded.push({ receiver, program, frame });
  const { verdict, frame: answer } = receiver.execute(program, frame);
  if (verdict !== 'TX') return;
  recorded.push({ receiver: sender, program, frame: answer });
  sender.execute(program, answer);
}

/** Everything that crosses between two gateways at work: commits, records, heartbeats on both ways, messages. */
function work(recorded: Recorded[]): void {
  for (const [gateway, from, to] of [[pair.a, nodeA, nodeB], [pair.b, nodeB, nodeA]] as const) {
    for (const role of ['ha', 'underlay'] as const) {
      const template = heartbeatFrame(way(from, to, role), role);
      deliver(recorded, gateway, role === 'ha' ? 'ha_xdp' : 'underlay', gateway.execute('seal_xdp', template).frame);
    }
    const message = syncFrame(way(from, to, 'ha'), SYNC_TYPE_CONTROL, 0, Buffer.from('{"type":"bulkComplete","generation":7,"want":9}'));
    deliver(recorded, gateway, 'ha_xdp', gateway.execute('seal_xdp', message).frame);
    const { sent, applied, acknowledged } = pair.walk(gateway, 'bulk_xdp');
    expect(acknowledged).toHaveLength(sent.length);
    recorded.push(...sent.map((frame) => ({ receiver: pair.other(gateway), program: 'ha_xdp' as const, frame })));
    recorded.push(...applied.map(({ frame }) => ({ receiver: gateway, program: 'ha_xdp' as const, frame })));
  }
}

function sessions(recorded: Recorded[], firstPort: number): void {
  for (let port = firstPort; port < firstPort + 20; port++) {
    for (const vm of [a1, b1]) {
      for (const segment of [overTcp.request(port), overUdp.request(port), [tcp({ sourcePort: port, destinationPort: 80, flags: TCP.ACK })]]) {
        const { frame } = pair.a.execute('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...segment]));
        if (isSyncFrame(frame)) deliver(recorded, pair.a, 'ha_xdp', frame);
      }
    }
  }
}

/** Of two epochs: A has restarted in between. */
function record(): { readonly current: Recorded[]; readonly former: Recorded[] } {
  pair.reset();
  const former: Recorded[] = [], current: Recorded[] = [];
  sessions(former, 5000);
  work(former);
  for (const gateway of [pair.a, pair.b]) gateway.setGateway({ epoch: 2 });
  sessions(current, 6000);
  work(current);
  return { current, former };
}

type Forgery = (random: Random, number: number) => Recorded;

function changed({ frame, ...to }: Recorded, change: (bytes: Buffer) => Buffer | void): Recorded {
  const bytes = Buffer.from(frame);
  return { ...to, frame: change(bytes) ?? bytes };
}

/** Back to whoever sent it, addressed as the answer would be. */
function reflected({ receiver, program, frame }: Recorded): Recorded {
  const bytes = Buffer.from(frame);
  frame.copy(bytes, 26, 30, 34);
  frame.copy(bytes, 30, 26, 30);
  return { receiver: pair.other(receiver), program, frame: bytes };
}

const anotherKey = [world.SYNC_KEY[0] ^ 1n, world.SYNC_KEY[1]] as const;

/** With the reasons that may be counted. */
function kinds({ current, former }: ReturnType<typeof record>): readonly (readonly [name: string, reasons: readonly string[], forge: Forgery])[] {
  return [
    ['replayed', ['drop_sync_replayed'], (random) => random.of(current)],
    ['of before a restart', ['drop_sync_replayed'], (random) => random.of(former)],
    ['sent back', ['drop_sync_own'], (random) => reflected(random.of(current))],
    ['of the next sequence number, the MAC as it was', ['drop_sync_mac'], (random, number) => changed(random.of(current), (bytes) => void bytes.writeBigUInt64BE(BigInt(1_000_000 + number), SEQUENCE))],
    ['of a later epoch, the MAC as it was', ['drop_sync_mac'], (random, number) => changed(random.of(current), (bytes) => void bytes.writeUInt32BE(3 + number, EPOCH))],
    ['sealed with another key', ['drop_sync_mac'], (random, number) => changed(random.of(current), (bytes) => {
      bytes.writeBigUInt64BE(BigInt(1_000_000 + number), SEQUENCE);
      bytes.writeBigUInt64BE(messageMac(bytes.subarray(SYNC_OFFSET), anotherKey), MAC);
    })],
    ['with a bit flipped', ['drop_sync_mac', 'drop_sync_malformed', 'drop_sync_version'], (random) => changed(random.of(current), (bytes) => {
      const bit = SYNC_OFFSET * 8 + random.below((bytes.length - SYNC_OFFSET) * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    })],
    ['of noise behind its length', ['drop_sync_mac', 'drop_sync_malformed'], (random) => changed(random.of(current), (bytes) => {
      for (let i = EPOCH; i < bytes.length; i++) bytes[i] = random.below(256);
    })],
    ['cut off', ['drop_truncated'], (random) => changed(random.of(current), (bytes) => bytes.subarray(0, SYNC_OFFSET + random.below(bytes.length - SYNC_OFFSET)))],
  ];
}

/** What is counted is meant to change; the others hold a packet while it is looked at. */
const passing: readonly string[] = ['counters', 'packets', 'commits', 'siphash_jobs', 'events'];

/** Of each map, everything in it. */
function contents({ object }: GatewayFixture): Record<string, string> {
  const lasting = [...object.maps].filter(([name, map]) => !passing.includes(name) && !name.includes('.') && map.info.type !== 'ringbuf');
  return Object.fromEntries(lasting.map(([name, map]) => {
    const hash = createHash('sha256');
    if ((map.info.flags & BPF_F_MMAPABLE) !== 0) hash.update(map.mmap());
    else for (const [key, value] of map.entries()) hash.update(key).update(value);
    return [name, hash.digest('hex')];
  }));
}

/** Names of the maps that are not what they were. */
function differences(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] {
  return Object.keys(before).filter((name) => before[name] !== after[name]);
}

function countersOf(gateways: readonly GatewayFixture[]): number[] {
  return gateways.map((gateway) => gateway.counters()).reduce((sum, counters) => sum.map((packets, index) => packets + counters[index]!));
}

function countedSince(before: readonly number[]): Record<string, number> {
  const counted = countersOf([pair.a, pair.b]).map((packets, index) => [reasonNames[index]!, packets - before[index]!] as const);
  return Object.fromEntries(counted.filter(([, packets]) => packets > 0));
}

describe('frames without the key', () => {
  it(`${forgeries} repeated, changed, sent back, kept or made up/each is dropped and counted, and nothing changes anywhere`, async () => {
    const recorded = record();
    expect(new Set(recorded.current.map(({ frame }) => frame[SYNC_OFFSET + 1])), 'every type of frame').toEqual(new Set([1, 2, 3, 4]));
    const random = new Random();
    const [a, b] = [contents(pair.a), contents(pair.b)];
    const list = kinds(recorded), share = Math.ceil(forgeries / list.length);
    const told: string[] = [];
    for (const [name, reasons, forge] of list) {
      const before = countersOf([pair.a, pair.b]);
      for (let number = 0; number < share; number++) {
        const { receiver, program, frame } = forge(random, number);
        const { verdict } = receiver.execute(program, frame);
        if (verdict !== 'DROP') expect.fail(`${name}: ${program} says ${verdict} to ${frame.toString('hex')}`);
        if (number % FORGERIES_PER_TURN === 0) await setImmediate();
      }
      const counted = countedSince(before);
      told.push(`${name}: ${JSON.stringify(counted)}`);
      expect(Object.keys(counted).filter((reason) => !reasons.includes(reason)), name).toEqual([]);
      expect(Object.values(counted).reduce((sum, packets) => sum + packets, 0), name).toBe(share);
    }
    if (process.env['SYNC_FORGERIES'] !== undefined) console.log(told.join('\n'));
    expect(differences(a, contents(pair.a)), 'of A').toEqual([]);
    expect(differences(b, contents(pair.b)), 'of B').toEqual([]);
  }, 60_000 + forgeries * MS_PER_FORGERY);

  it('afterwards the pair goes on: the next commit, heartbeat and record are taken', () => {
    const before = countersOf([pair.a, pair.b]);
    const more: Recorded[] = [];
    sessions(more, 7000);
    work(more);
    const counted = countedSince(before);
    expect(Object.keys(counted).filter((reason) => reason.startsWith('drop_'))).toEqual([]);
    expect(counted).toMatchObject({ heartbeat_turned: 4, heartbeat_returned: 4, sync_to_control_plane: 2 });
    expect(counted['commit_released']).toBe(counted['commit_applied']);
  });
});
