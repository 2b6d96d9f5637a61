/** The replication link under attack: forged, changed, repeated, reflected, cut off. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../support/gateway-fixture.js';
import { ethernet, ipv4, payload, udp } from '../support/packet.js';
import { RECORD_KIND, SYNC_FLAG, SYNC_TYPE, type Sync } from '../support/sync-frame.js';
import { Pair } from '../support/pair.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromPeer, nodeA, nodeB, server } from '../support/world.js';

const gateway = GatewayFixture.load();
const pair = Pair.load();
afterAll(() => {
  gateway.close();
  pair.close();
});
/** B, a Backup, that hears A. */
beforeEach(() => gateway.reset({ node: nodeB, state: 'backup', peerAlive: false }));

/** Thousands of frames, on a machine that does other things. */
const SLOW_TEST_MS = 120_000;
/** Ethernet, IPv4, UDP: what the MAC does not cover. */
const SYNC_OFFSET = 42;
/** SYNC_WINDOW of layout.h. */
const WINDOW = 16_384n;
const record = {
  kind: RECORD_KIND.session, protocol: 1, state: 2, term: 1, vni: 100, internalAddress: a1.address, externalAddress: a1.tenant.externalAddress,
  remote: server, internalPort: 5000, externalPort: 0x0400, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address, mac: a1.mac, nextHopMac: a1.compute.mac,
};
const packet = [
  ethernet({ source: world.VIRTUAL_MAC, destination: world.externalRouter.mac }),
  ipv4({ source: a1.tenant.externalAddress, destination: server }),
  udp({ sourcePort: 0x0400, destinationPort: 53 }),
  payload('odd'),
];
const commit = (message: Partial<Omit<Sync, 'layer'>> = {}): Buffer =>
  fromPeer(nodeA, nodeB, { type: SYNC_TYPE.commit, egress: 1, sequence: 1n, records: [record], ...message }, packet);
const heartbeat = (sequence: bigint, epoch = 1): Buffer => fromPeer(nodeA, nodeB, { type: SYNC_TYPE.heartbeat, sequence, epoch });
const verdictOf = (bytes: Buffer): string => gateway.execute('ha_xdp', bytes).verdict;

describe('a changed frame', () => {
  it('unchanged is applied', () => {
    expect(verdictOf(commit())).toBe('TX');
    expect(gateway.mappings()).toHaveLength(1);
  });

  it('with any single bit of the message flipped is refused, and the peer counts as unheard', () => {
    const good = commit();
    const before = gateway.tables();
    for (let bit = SYNC_OFFSET * 8; bit < good.length * 8; bit++) {
      const changed = Buffer.from(good);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(verdictOf(changed), `bit ${bit}`).toBe('DROP');
    }
    expect(gateway.tables()).toEqual(before);
    expect(gateway.states.get(0).peerHeardNs).toBe(0n);
    expect(verdictOf(good), 'no refused frame has used up the sequence number').toBe('TX');
  });

  it('with any bit of the headers before it flipped is refused, or says what was meant', () => {
    verdictOf(commit());
    const meant = gateway.tables();
    for (let bit = 0; bit < SYNC_OFFSET * 8; bit++) {
      const changed = commit({ sequence: BigInt(bit + 2) });
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(['TX', 'DROP', 'PASS'], `bit ${bit}`).toContain(verdictOf(changed));
      expect(gateway.tables(), `bit ${bit}`).toEqual(meant);
    }
  }, SLOW_TEST_MS);

  it.each([
    ['length shortened, bytes behind', { length: 10 }],
    ['length beyond the frame', { length: 1000 }],
    ['more records than there are', { recordCount: 2 }],
    ['no record', { recordCount: 0 }],
    ['255 records', { recordCount: 255 }],
    ['egress that is none', { egress: 7, flags: SYNC_FLAG.reply, gateway: nodeB.id }],
    ['egress back into the ha link', { egress: 2, flags: SYNC_FLAG.reply, gateway: nodeB.id }],
  ] as const)('%s, sealed with the right key, is refused all the same', (_, lie) => {
    const before = gateway.tables();
    expect(verdictOf(commit(lie))).toBe('DROP');
    expect(gateway.tables()).toEqual(before);
  });
});

describe('keys', () => {
  it.each<[string, readonly [bigint, bigint]]>([
    ['another', [1n, 2n]],
    ['all zero', [0n, 0n]],
    ['the halves exchanged', [world.SYNC_KEY[1], world.SYNC_KEY[0]]],
    ['one bit away', [world.SYNC_KEY[0] ^ 1n, world.SYNC_KEY[1]]],
  ])('%s key is refused', (_, key) => {
    expect(gateway.run('ha_xdp', commit({ key })).counters).toEqual({ drop_sync_mac: 1 });
  });
});

describe('repetition', () => {
  it('each sequence number counts once, in whatever order they come', () => {
    const order = [5n, 3n, 4n, 1n, 2n, 900n, 500n, 899n];
    for (const sequence of order) expect(verdictOf(heartbeat(sequence)), `${sequence}`).toBe('TX');
    for (const sequence of order) expect(gateway.run('ha_xdp', heartbeat(sequence)).counters).toEqual({ drop_sync_replayed: 1 });
  });

  it('a number that has fallen out of the window is refused, seen or not', () => {
    expect(verdictOf(heartbeat(50_000n))).toBe('TX');
    expect(gateway.run('ha_xdp', heartbeat(50_000n - WINDOW + 32n)).counters).toEqual({ drop_sync_replayed: 1 });
    expect(verdictOf(heartbeat(50_000n - WINDOW + 33n))).toBe('TX');
    expect(gateway.run('ha_xdp', heartbeat(3000n)).counters).toEqual({ drop_sync_replayed: 1 });
  });

  it('numbers over several windows: accepted once, refused the second time', () => {
    for (let sequence = 1n; sequence < 3n * WINDOW; sequence += sequence % WINDOW < 130n ? 1n : 37n) {
      if (verdictOf(heartbeat(sequence)) !== 'TX' || verdictOf(heartbeat(sequence)) !== 'DROP') expect.fail(`${sequence}`);
    }
  }, SLOW_TEST_MS);

  it('a jump over the whole window forgets nothing that could be repeated', () => {
    for (const sequence of [1n, 63n, 64n, 65n, 1_000n, 1_000_000n, 1_000_001n]) verdictOf(heartbeat(sequence));
    for (const sequence of [1n, 63n, 64n, 65n, 1_000n, 1_000_000n, 1_000_001n]) expect(verdictOf(heartbeat(sequence)), `${sequence}`).toBe('DROP');
    expect(verdictOf(heartbeat(999_999n))).toBe('TX');
  });

  it('frames that come in any order within the window are all accepted, and none twice', () => {
    verdictOf(heartbeat(3n * WINDOW));
    const base = 2n * WINDOW + 33n;
    // Never in order: 7919 is a prime.
    for (let i = 0n; i < 2000n; i++) {
      const sequence = base + (i * 7919n) % (WINDOW - 33n);
      if (verdictOf(heartbeat(sequence)) !== 'TX') expect.fail(`${sequence} is refused`);
      if (i % 64n === 0n && verdictOf(heartbeat(sequence)) !== 'DROP') expect.fail(`${sequence} is accepted twice`);
    }
  }, SLOW_TEST_MS);

  it('the largest number there is does not wrap the window', () => {
    const last = (1n << 64n) - 1n;
    expect(verdictOf(heartbeat(last))).toBe('TX');
    expect(verdictOf(heartbeat(last))).toBe('DROP');
    expect(verdictOf(heartbeat(1n))).toBe('DROP');
  });

  it('a restarted peer begins a later epoch at one; the earlier epoch is over', () => {
    expect(verdictOf(heartbeat(100n, 1))).toBe('TX');
    expect(verdictOf(heartbeat(1n, 2))).toBe('TX');
    expect(verdictOf(heartbeat(101n, 1))).toBe('DROP');
    expect(verdictOf(heartbeat(1n, 2))).toBe('DROP');
    expect(verdictOf(heartbeat(2n, 2))).toBe('TX');
  });

  it('a forged frame of a later epoch does not shut the peer out', () => {
    verdictOf(fromPeer(nodeA, nodeB, { type: SYNC_TYPE.heartbeat, sequence: 1n, epoch: 0xffffffff, key: [0n, 0n] }));
    expect(verdictOf(heartbeat(1n, 1))).toBe('TX');
  });
});

describe('reflection', () => {
  beforeEach(() => void pair.reset());
  const held = (): Buffer =>
    pair.a.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 1, destinationPort: 2 })])).frame;

  it('our own request thrown back is not the peer\'s', () => {
    const frame = held();
    const swapped = Buffer.from(frame);
    swapped.set(frame.subarray(26, 30), 30);
    swapped.set(frame.subarray(30, 34), 26);
    const result = pair.a.run('ha_xdp', swapped);
    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_sync_own: 1 });
  });

  it('the peer\'s reply thrown back at it is not ours', () => {
    const turned = pair.b.run('ha_xdp', held()).frame;
    const swapped = Buffer.from(turned);
    swapped.set(turned.subarray(26, 30), 30);
    swapped.set(turned.subarray(30, 34), 26);
    expect(pair.b.run('ha_xdp', swapped).counters).toEqual({ drop_sync_own: 1 });
  });

  it('a reply of before our restart releases nothing', () => {
    const turned = pair.b.run('ha_xdp', held()).frame;
    pair.a.setGateway({ epoch: 2 });
    expect(pair.a.run('ha_xdp', turned).counters).toEqual({ drop_sync_replayed: 1 });
  });
});
