/** VRRP and ARP of the gateways themselves where the underlay is tagged, and the kernel hears neither. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType, interfaceRole } from '../../src/dataplane/layout.generated.js';
import { advertFrame, VRRP_GROUP, type Advert } from '../support/adverts.js';
import { numberToIpv4 } from '../support/bytes.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, nowNs } from '../support/gateway-fixture.js';
import { arp, ethernet, frame, ipv4, vlan, type Layer } from '../support/packet.js';
import { emittedBy, overUdp, vmsOfRouters } from '../support/traffic.js';
import { compute1, frameFromVm, nodeA, nodeB, neighbour, VIRTUAL_ADDRESS } from '../support/world.js';

const VLAN = 33;
/** EVENTS_BYTES, over what a frame takes at least. */
const MOST_EVENTS = (1 << 20) / 2048;
const NOBODY = '00:00:00:00:00:00';

const advertOf = (advert: Advert = {}): Buffer => advertFrame({ tag: VLAN, ...advert });
const tagOf = (tag: number): Layer[] => (tag === 0 ? [] : [vlan(tag)]);

describe.each(hooks)('elections on a tagged underlay, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    gateway.setInterface('underlay', { vlan: VLAN });
  });

  const quiet = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

  it.each([
    ['to the group', VRRP_GROUP],
    ['to our own address', nodeA.underlay.address],
  ])('an advertisement %s is told with its frame and its time', async (_, destination) => {
    const events = await emittedBy(gateway);
    const bytes = advertOf({ destination });
    const before = nowNs();
    expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
    const after = nowNs();
    await vi.waitFor(() => expect(events).toHaveLength(1));
    const { event, frame: told } = events[0]!;
    expect(event).toMatchObject({ type: eventType.advertisement, interface: interfaceRole.underlay });
    expect(event.receivedNs).toBeGreaterThanOrEqual(before);
    expect(event.receivedNs).toBeLessThanOrEqual(after);
    expect(told).toEqual(bytes);
  });

  it.each<[string, Advert]>([
    ['that came by a router', { ipv4: { ttl: 254 } }],
    ['whose checksum is wrong', { checksum: 1 }],
  ])('one %s is told to nobody', async (_, advert) => {
    const events = await emittedBy(gateway);
    expect(gateway.run('underlay', advertOf(advert)).verdict).toBe('DROP');
    await quiet();
    expect(events).toEqual([]);
  });

  it('one for a virtual router that is not ours is told to nobody', async () => {
    const events = await emittedBy(gateway);
    expect(gateway.run('underlay', advertOf({ vrid: 52 })).verdict).toBe('PASS');
    await quiet();
    expect(events).toEqual([]);
  });

  it.each<[string, Advert]>([
    ['on another VLAN', { tag: VLAN + 1 }],
    ['untagged', { tag: 0 }],
    ['to somebody else', { destination: compute1.address }],
    ['to the virtual address, which is no gateway\'s own', { destination: VIRTUAL_ADDRESS }],
  ])('one %s is the kernel\'s alone', async (_, advert) => {
    const events = await emittedBy(gateway);
    const bytes = advertOf(advert);
    const result = gateway.run('underlay', bytes);
    expect(result.verdict).toBe('PASS');
    expectFrame(result.frame, bytes);
    await quiet();
    expect(events).toEqual([]);
  });

  it('on an untagged underlay all of them are', async () => {
    gateway.setInterface('underlay', { vlan: 0 });
    const events = await emittedBy(gateway);
    expect(gateway.run('underlay', advertOf({ tag: 0 })).verdict).toBe('PASS');
    expect(gateway.run('underlay', advertOf({ tag: VLAN })).verdict).toBe('PASS');
    await quiet();
    expect(events).toEqual([]);
  });

  it('one whose IPv4 header is wrong is dropped, and told to nobody', async () => {
    const events = await emittedBy(gateway);
    const bytes = advertOf();
    bytes[18 + 10]! ^= 1;
    expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'DROP', counters: { drop_ipv4_header: 1 } });
    for (const length of [19, 30, 37]) expect(gateway.execute('underlay', advertOf().subarray(0, length)).verdict).toBe('DROP');
    await quiet();
    expect(events).toEqual([]);
  });

  it('what VMs cause leaves room for advertisements, and those for the peer\'s messages', async () => {
    const events = await emittedBy(gateway);
    gateway.removeNeighbour('external', neighbour.address);
    const packets = vmsOfRouters(gateway, 5).map((vm) => frameFromVm(vm, [ipv4({ source: vm.address, destination: neighbour.address }), ...overUdp.request(40_000)], { vlan: VLAN }));
    // Nothing reads meanwhile: test runs are synchronous.
    for (let i = 0; i < MOST_EVENTS; i += 1) gateway.execute('underlay', packets[i % packets.length]!);
    for (let i = 0; i < MOST_EVENTS; i += 1) {
      // As if each came in a window of its own.
      gateway.advertisements.clear();
      gateway.execute('underlay', advertOf());
    }
    await vi.waitFor(() => expect(events.length).toBeGreaterThan(0));
    await quiet();
    const shareOf = (type: number): number => events.filter(({ event }) => event.type === type).length / MOST_EVENTS;
    const tenants = shareOf(eventType.neighbourUnresolved);
    expect(tenants).toBeGreaterThan(0.2);
    expect(tenants).toBeLessThan(0.26);
    expect(tenants + shareOf(eventType.advertisement)).toBeCloseTo(1 / 2, 1);
    expect(events.slice(-1)[0]!.event.type).toBe(eventType.advertisement);
  });

  describe('ARP', () => {
    const ask = (target: string, tag = VLAN, from: { address: string; mac: string } = nodeB.underlay): Buffer =>
      frame(ethernet({ source: from.mac, destination: 'ff:ff:ff:ff:ff:ff' }), ...tagOf(tag), arp({ operation: 1, senderMac: from.mac, senderAddress: from.address, targetMac: NOBODY, targetAddress: target }));
    const answer = (from: { address: string; mac: string }, tag = VLAN): Buffer =>
      frame(ethernet({ source: from.mac, destination: nodeA.underlay.mac }), ...tagOf(tag), arp({ operation: 2, senderMac: from.mac, senderAddress: from.address, targetMac: nodeA.underlay.mac, targetAddress: nodeA.underlay.address }));

    it.each(['active', 'backup'] as const)('for our own address is answered with our own MAC, %s; who asks is heard', async (state) => {
      gateway.setState(state);
      const events = await emittedBy(gateway);
      const result = gateway.run('underlay', ask(nodeA.underlay.address));
      expect(result).toMatchObject({ verdict: 'TX', counters: { arp_reply_underlay: 1 } });
      expectFrame(result.frame, [
        ethernet({ source: nodeA.underlay.mac, destination: nodeB.underlay.mac }),
        vlan(VLAN),
        arp({ operation: 2, senderMac: nodeA.underlay.mac, senderAddress: nodeA.underlay.address, targetMac: nodeB.underlay.mac, targetAddress: nodeB.underlay.address }),
      ]);
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.neighbourHeard, interface: interfaceRole.underlay, vlan: 0 });
      expect(numberToIpv4(events[0]!.event.address)).toBe(nodeB.underlay.address);
    });

    it('answers are heard', async () => {
      const events = await emittedBy(gateway);
      expect(gateway.run('underlay', answer(nodeB.underlay)).verdict).toBe('PASS');
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.neighbourHeard, interface: interfaceRole.underlay, vlan: 0 });
    });

    it('announcements are heard of those whom we send to', async () => {
      const events = await emittedBy(gateway);
      gateway.removeNeighbour('underlay', compute1.address);
      gateway.run('underlay', ask(compute1.address, VLAN, compute1));
      await quiet();
      expect(events).toEqual([]);
      gateway.addNeighbour('underlay', compute1.address, compute1.mac);
      gateway.run('underlay', ask(compute1.address, VLAN, compute1));
      await vi.waitFor(() => expect(events).toHaveLength(1));
    });

    it.each([
      ['untagged', 0],
      ['on another VLAN', VLAN + 1],
    ])('%s is the kernel\'s', async (_, tag) => {
      const events = await emittedBy(gateway);
      expect(gateway.run('underlay', ask(nodeA.underlay.address, tag)).verdict).toBe('PASS');
      expect(gateway.run('underlay', answer(nodeB.underlay, tag)).verdict).toBe('PASS');
      await quiet();
      expect(events).toEqual([]);
    });

    it('on an untagged underlay for our own address is the kernel\'s', async () => {
      gateway.setInterface('underlay', { vlan: 0 });
      const events = await emittedBy(gateway);
      expect(gateway.run('underlay', ask(nodeA.underlay.address, 0)).verdict).toBe('PASS');
      expect(gateway.run('underlay', answer(nodeB.underlay, 0)).verdict).toBe('PASS');
      await quiet();
      expect(events).toEqual([]);
    });
  });
});
