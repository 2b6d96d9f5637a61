/** Who lives, and where it is Active: heartbeats on both ways, answered and noted by programs alone. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { virtualRouterState } from '../../src/dataplane/layout.generated.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, nowNs } from '../support/gateway-fixture.js';
import { ethernet, frame, ipv4, payload, sync, udp, vlan, type Ipv4, type Layer } from '../support/packet.js';
import { messageMac, SYNC_FLAG, SYNC_PATH, SYNC_PORT, SYNC_TYPE, type Sync } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, server, VIRTUAL_MAC, VRID } from '../support/world.js';

const MS = 1_000_000n;
const VLAN = 33;
const ROLE_BYTES = 32;

/** A set of VRIDs as the wire has it. */
function rolesOf(...vrids: readonly number[]): Buffer {
  const bytes = Buffer.alloc(ROLE_BYTES);
  for (const vrid of vrids) bytes[vrid >> 3]! |= 1 << (vrid & 7);
  return bytes;
}

interface Beat extends Partial<Omit<Sync, 'layer'>> {
  readonly ipv4?: Partial<Omit<Ipv4, 'layer'>>;
  readonly roles?: Buffer;
  readonly tag?: number;
  readonly destinationMac?: string;
}

/** Over the underlay, from `sender`, sealed with the pair's key. */
function beatLayers(sender: world.Node, receiver: world.Node, { ipv4: ip, roles = Buffer.alloc(ROLE_BYTES), tag = 0, destinationMac, ...message }: Beat = {}): Layer[] {
  return [
    ethernet({ source: sender.underlay.mac, destination: destinationMac ?? receiver.underlay.mac }),
    ...(tag === 0 ? [] : [vlan(tag)]),
    ipv4({ source: sender.underlay.address, destination: receiver.underlay.address, ttl: 255, dontFragment: true, typeOfService: 0xc0, ...ip }),
    udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
    sync({ type: SYNC_TYPE.heartbeat, gateway: sender.id, epoch: 1, sequence: 1n, path: SYNC_PATH.underlay, key: world.SYNC_KEY, ...message }),
    payload(roles),
  ];
}

const beat = (options: Beat = {}): Buffer => frame(...beatLayers(nodeB, nodeA, options));
/** The peer's answer to a beat of ours. */
const answerLayers = (options: Beat = {}): Layer[] => beatLayers(nodeB, nodeA, { gateway: nodeA.id, flags: SYNC_FLAG.reply | SYNC_FLAG.roles, ...options });
const answer = (options: Beat = {}): Buffer => frame(...answerLayers(options));
const wordsOf = (...vrids: readonly number[]): bigint[] => [0, 1, 2, 3].map((word) => rolesOf(...vrids).readBigUInt64LE(word * 8));

describe.each(hooks)('heartbeats on the underlay, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ peerAlive: false }));

  const nothingNoted = (): void => {
    expect(gateway.liveness.get(0)).toEqual({ answeredNs: [0n, 0n], roles: [0n, 0n, 0n, 0n], rolesKnown: 0n, sequence: 0n });
    expect(gateway.states.get(0)).toMatchObject({ peerHeardNs: 0n, peerHeardUnderlayNs: 0n });
  };

  describe.each([['untagged', 0], ['tagged', VLAN]] as const)('%s', (_, tag) => {
    beforeEach(() => gateway.setInterface('underlay', { vlan: tag }));

    it('the peer\'s is turned round with where we are Active, sealed anew', () => {
      const before = nowNs();
      const result = gateway.run('underlay', beat({ tag }));
      expect([result.verdict, result.counters]).toEqual(['TX', { heartbeat_turned: 1 }]);
      expectFrame(result.frame, beatLayers(nodeA, nodeB, { tag, gateway: nodeB.id, flags: SYNC_FLAG.reply | SYNC_FLAG.roles, roles: rolesOf(VRID) }));
      const { peerHeardUnderlayNs, peerHeardNs } = gateway.states.get(0);
      expect(peerHeardUnderlayNs).toBeGreaterThanOrEqual(before);
      expect(peerHeardNs, 'what is committed goes by the ha link: the underlay says nothing of it').toBe(0n);
    });

    it('the answer to our own is noted with its time and the peer\'s roles', () => {
      const before = nowNs();
      const result = gateway.run('underlay', answer({ tag, roles: rolesOf(1, 63, 64, VRID, 255) }));
      expect([result.verdict, result.counters]).toEqual(['DROP', { heartbeat_returned: 1 }]);
      const { answeredNs, roles, rolesKnown } = gateway.liveness.get(0);
      expect(answeredNs[SYNC_PATH.ha]).toBe(0n);
      expect(answeredNs[SYNC_PATH.underlay]).toBeGreaterThanOrEqual(before);
      expect(answeredNs[SYNC_PATH.underlay]).toBeLessThanOrEqual(nowNs());
      expect([roles, rolesKnown]).toEqual([wordsOf(1, 63, 64, VRID, 255), 1n]);
    });
  });

  it('our own MAC is the source of the answer, whatever MAC the heartbeat was for', () => {
    const result = gateway.run('underlay', beat({ destinationMac: VIRTUAL_MAC }));
    expect(layerOf(dissect(result.frame), 'ethernet').source).toBe(nodeA.underlay.mac);
  });

  it.each<[string, Buffer, string]>([
    ['with another key', beat({ key: [1n, 2n] }), 'drop_sync_mac'],
    ['without a MAC', beat({ key: undefined, mac: 0n }), 'drop_sync_mac'],
    ['of no version', beat({ version: 0 }), 'drop_sync_version'],
    ['of a version beyond the next', beat({ version: 3 }), 'drop_sync_version'],
    ['of our own, thrown back', beat({ gateway: nodeA.id }), 'drop_sync_own'],
    ['of the peer, as its own answer', answer({ gateway: nodeB.id }), 'drop_sync_own'],
    ['as an answer to an earlier epoch of ours', answer({ epoch: 9 }), 'drop_sync_replayed'],
    ['of the ha link', beat({ path: SYNC_PATH.ha }), 'drop_sync_malformed'],
    ['of no path', beat({ path: 7 }), 'drop_sync_malformed'],
    ['of another type', beat({ type: SYNC_TYPE.control }), 'drop_sync_malformed'],
    ['with a record', beat({ recordCount: 1 }), 'drop_sync_malformed'],
    ['without room for roles', beat({ roles: Buffer.alloc(0) }), 'drop_sync_malformed'],
    ['with more than roles', beat({ roles: Buffer.alloc(ROLE_BYTES + 8) }), 'drop_sync_malformed'],
    ['whose length is a lie', beat({ length: 8 }), 'drop_sync_malformed'],
    ['by a router', beat({ ipv4: { ttl: 254 } }), 'drop_sync_malformed'],
    ['from somebody else', beat({ ipv4: { source: world.compute1.address } }), 'drop_sync_malformed'],
    ['in a fragment', beat({ ipv4: { moreFragments: true, dontFragment: false } }), 'drop_sync_malformed'],
  ])('one %s gets no answer and proves nothing', (_, bytes, reason) => {
    expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'DROP', counters: { [reason]: 1 } });
    nothingNoted();
  });

  it.each<[string, () => void, Buffer]>([
    ['to somebody else', () => undefined, beat({ ipv4: { destination: world.compute1.address } })],
    ['where the peer\'s address is not known', () => gateway.setGateway({ peerUnderlayAddress: 0 }), beat()],
    ['where nothing is replicated', () => gateway.setGateway({ syncMode: 0 }), beat()],
  ])('one %s is the kernel\'s', (_, arrange, bytes) => {
    arrange();
    expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
    nothingNoted();
  });

  it('each counts once, in a window that what crosses the ha link does not move', () => {
    expect(gateway.execute('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 900_000n })).verdict).toBe('TX');
    expect(gateway.run('underlay', beat({ sequence: 7n })).verdict).toBe('TX');
    expect(gateway.run('underlay', beat({ sequence: 7n })).counters).toEqual({ drop_sync_replayed: 1 });
    expect(gateway.run('underlay', answer({ sequence: 7n })).counters).toEqual({ heartbeat_returned: 1 });
    expect(gateway.run('underlay', answer({ sequence: 7n })).counters).toEqual({ drop_sync_replayed: 1 });
    expect(gateway.execute('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 900_001n })).verdict).toBe('TX');
  });

  it('no bit of what is sealed can be changed', () => {
    const good = beat();
    for (let bit = 42 * 8; bit < good.length * 8; bit++) {
      const changed = Buffer.from(good);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(gateway.execute('underlay', changed).verdict, `bit ${bit}`).toBe('DROP');
    }
    nothingNoted();
    expect(gateway.run('underlay', good).verdict).toBe('TX');
  });

  it('the peer\'s on the underlay alone ends an ended lease too', () => {
    const packet = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 9, destinationPort: 9 })]);
    gateway.reset({ syncMode: 'async', leaseMs: -1000, peerAlive: false });
    expect(gateway.run('underlay', packet).verdict).toBe('REDIRECT');
    gateway.run('underlay', beat());
    expect(gateway.run('underlay', packet).counters).toEqual({ drop_not_active: 1 });
  });
});

describe.each(hooks)('an Active whose lease has just ended, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'async', leaseMs: -50 }));

  it('forwards stragglers as one that drains: with its own MAC outside, and answers no ARP', () => {
    const out = gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 9, destinationPort: 9 })]));
    expect(out.counters).toMatchObject({ outbound_snat: 1 });
    expect(layerOf(dissect(out.frame), 'ethernet').source).toBe(nodeA.external.mac);
    const { externalPort } = gateway.mappings()[0]!;
    const inward = fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), udp({ sourcePort: 9, destinationPort: externalPort })]);
    expect(gateway.run('external', inward).counters).toEqual({ inbound_snat: 1 });
  });

  it('is no longer Active in its answers', () => {
    expect(layerOf(dissect(gateway.run('underlay', beat()).frame), 'payload').bytes).toEqual(rolesOf());
  });
});

describe('where we are Active, as an answer says it', () => {
  const gateway = GatewayFixture.load();
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ state: 'initialize' }));

  const told = (message: Partial<Sync> = {}): Buffer => {
    const { frame: turned } = gateway.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n, ...message }, [payload(Buffer.alloc(ROLE_BYTES, 0xff))]));
    return turned.subarray(-ROLE_BYTES);
  };
  const put = (vrid: number, state: keyof typeof virtualRouterState, leaseMs: bigint): void =>
    gateway.virtualRouters.update(vrid, { state: virtualRouterState[state], leaseUntilNs: nowNs() + leaseMs * MS });

  it('names every virtual router that is Active and whose lease runs, and no other', () => {
    for (const vrid of [1, 63, 64, 127, 128, 255]) put(vrid, 'active', 60_000n);
    put(2, 'backup', 60_000n);
    put(3, 'draining', 60_000n);
    put(4, 'initialize', 60_000n);
    put(5, 'active', -20n);
    expect(told()).toEqual(rolesOf(1, 63, 64, 127, 128, 255));
  });

  it('names none where none is', () => expect(told()).toEqual(rolesOf()));

  it('an old peer\'s heartbeat, without room, is turned round as before', () => {
    put(VRID, 'active', 60_000n);
    const { frame: turned } = gateway.run('ha_xdp', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n }));
    expect(layerOf(dissect(turned), 'sync')).toMatchObject({ flags: SYNC_FLAG.reply, length: 0 });
  });
});

describe('the peer\'s roles', () => {
  const gateway = GatewayFixture.load();
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset());

  const overHa = (sequence: bigint, vrids: readonly number[], message: Partial<Sync> = {}): void => {
    const reply = { type: SYNC_TYPE.heartbeat, gateway: nodeA.id, flags: SYNC_FLAG.reply | SYNC_FLAG.roles, sequence, ...message };
    expect(gateway.run('ha_xdp', fromPeer(nodeB, nodeA, reply, [payload(rolesOf(...vrids))])).counters).toEqual({ heartbeat_returned: 1 });
  };

  it('come by either way; what was asked earlier says nothing new', () => {
    overHa(5n, [VRID]);
    gateway.run('underlay', answer({ sequence: 4n, roles: rolesOf() }));
    expect(gateway.liveness.get(0)).toMatchObject({ roles: wordsOf(VRID), sequence: 5n });
    expect(gateway.liveness.get(0).answeredNs.every((at) => at > 0n)).toBe(true);
    gateway.run('underlay', answer({ sequence: 6n, roles: rolesOf(1) }));
    expect(gateway.liveness.get(0).roles).toEqual(wordsOf(1));
  });

  it('are unknown of a peer that turns heartbeats round as they were', () => {
    overHa(5n, [VRID]);
    overHa(6n, [], { flags: SYNC_FLAG.reply });
    expect(gateway.liveness.get(0).rolesKnown).toBe(0n);
  });
});

describe('a heartbeat that we seal', () => {
  const gateway = GatewayFixture.load();
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset());

  it.each([['untagged', 0, 42], ['tagged', VLAN, 46]])('%s, is authentic, and no request that waits on the ha link', (_, tag, offset) => {
    const template = frame(...beatLayers(nodeA, nodeB, { tag, epoch: 0, sequence: 0n, key: undefined }));
    const sealed = gateway.run('seal_xdp', template);
    expect(sealed.verdict).toBe('TX');
    const message = sealed.frame.subarray(offset);
    expect(message.readBigUInt64BE(24)).toBe(messageMac(message, world.SYNC_KEY));
    expectFrame(sealed.frame, beatLayers(nodeA, nodeB, { tag, sequence: 1n }));
    expect(gateway.states.get(0).unansweredSinceNs).toBe(0n);
  });
});
