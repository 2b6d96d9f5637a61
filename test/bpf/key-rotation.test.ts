/** One key follows another: both are accepted meanwhile, the first signs, and what is held stays where it is. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GatewayFixture } from '../support/gateway-fixture.js';
import { frame, ethernet, ipv4, payload, sync, udp } from '../support/packet.js';
import { Pair, syncMessage } from '../support/pair.js';
import { messageMac, SYNC_PATH, SYNC_PORT, SYNC_TYPE, type SyncKey } from '../support/sync-frame.js';
import { mappingOf, overUdp } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, server } from '../support/world.js';

vi.setConfig({ testTimeout: 60_000 });
const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const OLD = world.SYNC_KEY;
const NEW: SyncKey = [0x1111_2222_3333_4444n, 0x5555_6666_7777_8888n];
const WRONG: SyncKey = [1n, 2n];
const NONE: SyncKey = [0n, 0n];
const MAC_OFFSET = 24;

/** As its key file has them. */
function holds(gateway: GatewayFixture, first: SyncKey, second: SyncKey = NONE): void {
  gateway.setGateway({ key: [...first], otherKey: [...second] });
}

let port = 4000;
const out = (): Buffer => frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(port++)]);

/** A new session, by way of the peer. */
function commit(): void {
  const { steps } = pair.forward(pair.a, 'underlay', out());
  expect(steps.map(({ counters }) => counters)).toMatchObject([{ commit_sent: 1 }, { commit_applied: 1 }, { commit_released: 1 }]);
}

const signedWith = (frameSent: Buffer, key: SyncKey): boolean => {
  const message = syncMessage(frameSent);
  return message.readBigUInt64BE(MAC_OFFSET) === messageMac(message, key);
};

const heartbeat = (key: SyncKey, sequence: bigint): Buffer => fromPeer(nodeA, nodeB, { type: SYNC_TYPE.heartbeat, sequence, key }, [payload(Buffer.alloc(32))]);
const underlayHeartbeat = (key: SyncKey, sequence: bigint): Buffer => frame(
  ethernet({ source: nodeA.underlay.mac, destination: nodeB.underlay.mac }),
  ipv4({ source: nodeA.underlay.address, destination: nodeB.underlay.address, ttl: 255, dontFragment: true, typeOfService: 0xc0 }),
  udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
  sync({ type: SYNC_TYPE.heartbeat, gateway: nodeA.id, epoch: 1, sequence, path: SYNC_PATH.underlay, key }),
  payload(Buffer.alloc(32)),
);

describe('a key that follows another', () => {
  const steps: [string, (a: GatewayFixture, b: GatewayFixture) => void][] = [
    ['second on one', (a) => holds(a, OLD, NEW)],
    ['second on both', (_, b) => holds(b, OLD, NEW)],
    ['first on one', (a) => holds(a, NEW, OLD)],
    ['first on both', (_, b) => holds(b, NEW, OLD)],
    ['alone on one', (a) => holds(a, NEW)],
    ['alone on both', (_, b) => holds(b, NEW)],
  ];

  it.each([['the Active', false], ['the standby', true]] as const)('changes nothing, step by step, beginning with %s', (_, standbyFirst) => {
    const order = standbyFirst ? [pair.b, pair.a] as const : [pair.a, pair.b] as const;
    commit();
    for (const [, step] of steps) {
      step(...order);
      commit();
    }
    expect(pair.differences()).toEqual([]);
    expect([pair.a.mappings().length, pair.b.mappings().length]).toEqual([steps.length + 1, steps.length + 1]);
  });

  it('is used when it is the first one only', () => {
    holds(pair.a, OLD, NEW);
    const before = pair.a.run('underlay', out()).frame;
    expect([signedWith(before, OLD), signedWith(before, NEW)]).toEqual([true, false]);
    holds(pair.a, NEW, OLD);
    const after = pair.a.run('underlay', out()).frame;
    expect([signedWith(after, OLD), signedWith(after, NEW)]).toEqual([false, true]);
  });

  it('finds answers to what was sealed before', () => {
    const held = pair.a.run('underlay', out());
    const turned = pair.b.run('ha_xdp', held.frame);
    holds(pair.a, NEW, OLD);
    expect(pair.a.run('ha_xdp', turned.frame).counters).toEqual({ commit_released: 1 });
  });

  it('leaves sessions where they are found', () => {
    // More than a mapping's own place: the second remote of a mapping is in a bucket.
    const request = (remote: string): Buffer => frameFromVm(a1, [ipv4({ source: a1.address, destination: remote }), ...overUdp.request(7000)]);
    for (const remote of [server, world.otherServer]) pair.forward(pair.a, 'underlay', request(remote));
    const { externalPort } = mappingOf(pair.a, a1, overUdp, 7000);
    holds(pair.a, NEW, OLD);
    holds(pair.b, NEW, OLD);
    const known = pair.a.run('underlay', request(world.otherServer));
    expect([known.verdict, known.counters.session_created, known.counters.commit_sent]).toEqual(['REDIRECT', undefined, undefined]);
    pair.takeOver(pair.b, 'dead');
    const back = pair.b.run('external', fromOutside([ipv4({ source: world.otherServer, destination: world.tenantA.externalAddress }), ...overUdp.reply(externalPort)]));
    expect(back.verdict).toBe('REDIRECT');
  });
});

describe.each([
  ['ha', (key: SyncKey, sequence: bigint) => pair.b.run('ha_xdp', heartbeat(key, sequence))],
  ['underlay', (key: SyncKey, sequence: bigint) => pair.b.run('underlay', underlayHeartbeat(key, sequence))],
] as const)('on the %s interface', (_, receive) => {
  it('each of two keys is accepted, and no other one', () => {
    holds(pair.b, NEW, OLD);
    expect(receive(OLD, 1n).counters).toEqual({ heartbeat_turned: 1 });
    expect(receive(NEW, 2n).counters).toEqual({ heartbeat_turned: 1 });
    expect(receive(WRONG, 3n).counters).toEqual({ drop_sync_mac: 1 });
  });

  it('of one key no second one is accepted, least of all none', () => {
    holds(pair.b, NEW);
    for (const key of [OLD, WRONG, NONE]) expect(receive(key, 1n).counters).toEqual({ drop_sync_mac: 1 });
    expect(receive(NEW, 1n).counters).toEqual({ heartbeat_turned: 1 });
  });
});
