/** Where VMs are: learned from what they send, announced, or said by the configuration. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType, networkFlag } from '../../src/dataplane/layout.generated.js';
import { numberToIpv4 } from '../support/bytes.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, ticksAgo } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { arp, ipv4, type Arp } from '../support/packet.js';
import { decodeRecord, RECORD_KIND, SYNC_RECORD_BYTES, SYNC_TYPE } from '../support/sync-frame.js';
import { emittedBy, expectDropped, expectSent, expectToOutside, expectToVm, learn, overIcmp, overUdp, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, server, vmOf, type TunnelOverrides, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';
const at = (vm: VirtualMachine, compute: world.Compute): VirtualMachine => ({ ...vm, compute });
const moved = at(a2, world.compute1);
/** Longer than the ring buffer takes to deliver. */
const quiet = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

/** RFC 5227 §3: both forms in use. */
const announcements: readonly { readonly name: string; readonly make: (vm: VirtualMachine) => Arp }[] = [
  { name: 'a gratuitous request', make: (vm) => arp({ operation: 1, senderMac: vm.mac, senderAddress: vm.address, targetMac: NOBODY, targetAddress: vm.address }) },
  { name: 'a gratuitous reply', make: (vm) => arp({ operation: 2, senderMac: vm.mac, senderAddress: vm.address, targetMac: BROADCAST, targetAddress: vm.address }) },
  { name: 'the answer to our request', make: (vm) => arp({ operation: 2, senderMac: vm.mac, senderAddress: vm.address, targetMac: vm.tenant.gatewayMac, targetAddress: vm.tenant.gateway }) },
];

describe.each(hooks)('endpoints, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  const endpointOf = (vm: VirtualMachine): string => numberToIpv4(gateway.vm(vm)!.tunnelEndpoint);
  const toFip = (): ReturnType<typeof receive> => receive(gateway, server, a2.floatingIp!, overUdp.request(PORT));
  const announce = (vm: VirtualMachine, message: Arp) => gateway.run('underlay', frameFromVm(vm, [message], { inner: { destination: BROADCAST } }));

  describe('learned', () => {
    it.each([
      ['a packet to the outside', (vm: VirtualMachine) => send(gateway, vm, server, overUdp.request(PORT))],
      ['an echo to its gateway', (vm: VirtualMachine) => send(gateway, vm, vm.tenant.gateway, overIcmp.request(1))],
      ['an ARP request for its gateway', (vm: VirtualMachine) => announce(vm, arp({ operation: 1, senderMac: vm.mac, senderAddress: vm.address, targetMac: NOBODY, targetAddress: vm.tenant.gateway }))],
    ])('from %s, and again when it moves', (_, speak) => {
      expect(speak(a2).counters).toMatchObject({ vm_learned: 1 });
      expectToVm(toFip(), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
      expect(speak(moved).counters).toMatchObject({ vm_moved: 1 });
      expectToVm(toFip(), moved, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('a VM that gets another MAC or option is followed', () => {
      learn(gateway, a2);
      const reborn = { ...a2, mac: 'fa:16:3e:00:09:09', option: world.b2.option };
      expect(send(gateway, reborn, server, overUdp.request(PORT)).counters).toMatchObject({ vm_moved: 1 });
      expectToVm(toFip(), reborn, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('nothing from a packet that is dropped', () => {
      learn(gateway, a2);
      const before = gateway.tables();
      for (const header of [{ checksum: 1 }, { version: 5 }, { totalLength: 9 }]) expect(send(gateway, moved, server, overUdp.request(PORT), header).verdict).toBe('DROP');
      expect(send(gateway, moved, '10.0.2.99', overUdp.request(PORT)).verdict).toBe('DROP');
      expect(gateway.tables()).toEqual(before);
    });
  });

  describe('announced', () => {
    it.each(announcements)('by $name: known at once, and where it is after a migration', ({ make }) => {
      const first = announce(a2, make(a2));
      expect(first.counters).toEqual({ endpoint_announced: 1, vm_learned: 1 });
      expect(first.verdict).toBe('DROP');
      expect(endpointOf(a2)).toBe(a2.compute.address);
      expect(announce(moved, make(moved)).counters).toEqual({ endpoint_announced: 1, vm_moved: 1 });
      expectToVm(toFip(), moved, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it.each(announcements)('by $name: for an address outside of the network it is refused', ({ make }) => {
      const stranger = { ...a2, address: '10.1.2.3' };
      expectDropped(announce(stranger, make(stranger)), 'source_not_in_subnet');
    });

    it.each(announcements)('by $name: nobody is the gateway but us', ({ make }) => {
      const thief = { ...a2, address: a2.tenant.gateway };
      expectDropped(announce(thief, make(thief)), 'source_not_in_subnet');
    });

    it('only while we are Active', () => {
      gateway.setState('backup');
      expectDropped(announce(a2, announcements[0]!.make(a2)), 'not_active');
    });
  });

  describe('asked for', () => {
    it('a floating IP whose VM was never heard: the control plane is told whom to ask for, and gets the frame', async () => {
      const events = await emittedBy(gateway);
      const bytes = fromOutside([ipv4({ source: server, destination: a2.floatingIp! }), ...overUdp.request(PORT)]);
      gateway.run('external', bytes);
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.endpointUnresolved, interface: 1, network: 0 });
      expect(numberToIpv4(events[0]!.event.address)).toBe(a2.address);
      expectFrame(events[0]!.frame, bytes);

      announce(a2, announcements[2]!.make(a2));
      expectToVm(gateway.run('external', events[0]!.frame), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('while the frame waits, its sender is told nothing', () => {
      expect(toFip().counters).toEqual({ drop_endpoint_unknown: 1 });
    });

    it('a hairpinned packet asks as well', async () => {
      const events = await emittedBy(gateway);
      send(gateway, a1, a2.floatingIp!, overUdp.request(PORT));
      await vi.waitFor(() => expect(events.map(({ event }) => event.type)).toEqual([eventType.endpointUnresolved]));
      expect(numberToIpv4(events[0]!.event.address)).toBe(a2.address);
    });
  });

  describe('pinned', () => {
    beforeEach(() => void gateway.pinVm(a2));

    it('a VM that never spoke is reached, by its compute\'s MAC', () => {
      expectToVm(toFip(), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('an unresolved compute is asked for on the underlay', async () => {
      gateway.removeNeighbour('underlay', a2.compute.address);
      const events = await emittedBy(gateway);
      expect(toFip().counters).toEqual({ drop_neighbour_unresolved: 1 });
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.neighbourUnresolved, interface: 0, vlan: 0 });
      expect(numberToIpv4(events[0]!.event.address)).toBe(a2.compute.address);
    });

    it('it sends from there', () => {
      expectToOutside(send(gateway, a2, server, overUdp.request(PORT)), [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it.each<[string, VirtualMachine]>([
      ['another compute', moved],
      ['another MAC', { ...a2, mac: 'fa:16:3e:00:09:09' }],
    ])('from %s it is spoofed: dropped, and nothing learned', (_, spoofed) => {
      const before = gateway.tables();
      expectDropped(send(gateway, spoofed, server, overUdp.request(PORT)), 'endpoint_spoofed');
      expectDropped(send(gateway, spoofed, spoofed.tenant.gateway, overIcmp.request(1)), 'endpoint_spoofed');
      for (const { make } of announcements) expectDropped(announce(spoofed, make(spoofed)), 'endpoint_spoofed');
      expect(gateway.tables()).toEqual(before);
    });

    it('the configuration moves it', () => {
      learn(gateway, a2);
      gateway.pinVm(moved);
      expectToVm(toFip(), moved, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
      expectDropped(send(gateway, a2, server, overUdp.request(PORT)), 'endpoint_spoofed');
    });

    describe('how to get there it teaches: its compute asks for the option that it sends', () => {
      const taught = { ...a2, option: world.b2.option };
      const shown = [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)];

      it.each<[string, VirtualMachine, TunnelOverrides]>([
        ['another option', taught, {}],
        ['no option', a2, { geneve: { options: [] } }],
      ])('%s', (_, vm, tunnel) => {
        const result = send(gateway, vm, server, overUdp.request(PORT), {}, tunnel);
        expect(result.counters).toEqual({ outbound_floating_ip: 1 });
        expectToVm(toFip(), vm, shown, tunnel);
      });

      it('the next hop as well', () => {
        gateway.removeNeighbour('underlay', a2.compute.address);
        const compute = { ...a2.compute, mac: '02:00:00:00:33:77' };
        send(gateway, at(a2, compute), server, overUdp.request(PORT));
        expectToVm(toFip(), at(a2, compute), shown);
      });

      it('and the configuration, read again, does not undo it', () => {
        send(gateway, taught, server, overUdp.request(PORT));
        gateway.pinVm(a2);
        expectToVm(toFip(), taught, shown);
      });

      it('until it says another place', () => {
        send(gateway, taught, server, overUdp.request(PORT));
        gateway.pinVm(moved);
        expectToVm(toFip(), moved, shown);
      });

      it('a spoofed packet teaches none of it', () => {
        send(gateway, { ...taught, compute: world.compute1 }, server, overUdp.request(PORT));
        expectToVm(toFip(), a2, shown);
      });
    });

    it('no longer pinned, it is followed again', () => {
      gateway.ensureVm(a2);
      expect(send(gateway, moved, server, overUdp.request(PORT)).counters).toMatchObject({ vm_moved: 1 });
      expectToVm(toFip(), moved, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
    });

    it('others of the network are learned as ever', () => {
      expect(send(gateway, a1, server, overUdp.request(PORT)).counters).toMatchObject({ vm_learned: 1, outbound_snat: 1 });
    });
  });

  describe('a network of pinned VMs alone', () => {
    beforeEach(() => {
      gateway.pinVm(a2);
      gateway.setNetwork({ flags: networkFlag.pinned });
    });

    it('those may send', () => {
      expectSent(send(gateway, a2, server, overUdp.request(PORT)));
    });

    it('others may not, and are not learned', () => {
      const before = gateway.tables();
      expectDropped(send(gateway, a1, server, overUdp.request(PORT)), 'endpoint_spoofed');
      expectDropped(announce(a1, announcements[0]!.make(a1)), 'endpoint_spoofed');
      expectDropped(announce(a1, arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: NOBODY, targetAddress: a1.tenant.gateway })), 'endpoint_spoofed');
      expect(gateway.tables()).toEqual(before);
    });

    it('nor may one that was learned before', () => {
      gateway.setNetwork({ flags: 0 });
      learn(gateway, a1);
      gateway.setNetwork({ flags: networkFlag.pinned });
      expectDropped(send(gateway, a1, server, overUdp.request(PORT)), 'endpoint_spoofed');
    });
  });
});

describe('endpoints of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());
  beforeEach(() => pair.reset());

  /** Records that are told without a packet, as the control plane brings them: to the peer, and its answer home. */
  const deliver = (record: Buffer): void => {
    const sealed = pair.a.run('seal_xdp', fromPeer(nodeA, nodeB, { type: SYNC_TYPE.records, records: [decodeRecord(record)] }));
    const turned = pair.b.run('ha_xdp', sealed.frame);
    expect(turned.counters).toMatchObject({ sync_applied: 1 });
    expect(pair.a.run('ha_xdp', turned.frame).counters).toEqual({ sync_acknowledged: 1 });
  };
  const toServer = (vm: VirtualMachine): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...overUdp.request(PORT)]);

  describe.each(announcements)('what $name says reaches the peer', ({ make }) => {
    const announced = (vm: VirtualMachine): Buffer => frameFromVm(vm, [make(vm)], { inner: { destination: BROADCAST } });

    it('at once, by way of the control plane: nothing leaves that could carry it', async () => {
      const events = await emittedBy(pair.a);
      for (const vm of [a2, moved]) {
        events.length = 0;
        expect(pair.a.run('underlay', announced(vm))).toMatchObject({ verdict: 'DROP', counters: { endpoint_announced: 1 } });
        await vi.waitFor(() => expect(events).toHaveLength(1));
        expect(events[0]!.event).toMatchObject({ type: eventType.record, length: SYNC_RECORD_BYTES });
        expect(decodeRecord(events[0]!.frame)).toMatchObject({ kind: RECORD_KIND.vm, vni: 100, internalAddress: a2.address, tunnelEndpoint: vm.compute.address, mac: a2.mac });
        deliver(events[0]!.frame);
        expect(numberToIpv4(pair.b.vm(a2)!.tunnelEndpoint)).toBe(vm.compute.address);
      }
      // What the peer has acknowledged no packet has to wait for.
      expect(pair.a.run('underlay', toServer(moved)).counters).toEqual({ outbound_floating_ip: 1 });
      events.length = 0;
      pair.a.run('underlay', announced(moved));
      await quiet();
      expect(events).toEqual([]);
    });

    it('not where there is no peer', async () => {
      pair.a.setPeerAlive(false);
      const events = await emittedBy(pair.a);
      pair.a.run('underlay', announced(a2));
      await quiet();
      expect(events).toEqual([]);
    });

    it('the next packet tells it where the event was lost', () => {
      pair.forward(pair.a, 'underlay', announced(a2));
      expect(pair.forward(pair.a, 'underlay', toServer(a2)).steps).toHaveLength(3);
      expect(numberToIpv4(pair.b.vm(a2)!.tunnelEndpoint)).toBe(a2.compute.address);
    });
  });

  it('a VM that is in two places moves once in a tick: most of its packets leave without the peer', () => {
    pair.forward(pair.a, 'underlay', toServer(a2));
    const before = ticksAgo(0);
    const ways = Array.from({ length: 40 }, (_, i) => pair.forward(pair.a, 'underlay', toServer(i % 2 === 0 ? moved : a2)));
    const ticks = ticksAgo(0) - before;
    const moves = ways.filter(({ steps }) => steps.length > 1);
    expect(moves.length).toBeGreaterThanOrEqual(1);
    expect(moves.length).toBeLessThanOrEqual(ticks + 2);
    for (const { final } of ways) expect(final.verdict).toBe('REDIRECT');
  });

  it('what a pinned VM has taught of the way to it is on the peer as well', () => {
    for (const gateway of [pair.a, pair.b]) gateway.pinVm(a2);
    const taught = { ...a2, option: world.b2.option };
    expect(pair.forward(pair.a, 'underlay', toServer(taught)).steps).toHaveLength(3);
    pair.takeOver(pair.b, 'dead');
    expectToVm(receive(pair.b, server, a2.floatingIp!, overUdp.request(PORT)), taught, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('a pinned VM needs no record for where it is', () => {
    for (const gateway of [pair.a, pair.b]) gateway.pinVm(a2);
    learn(pair.b);
    pair.takeOver(pair.b, 'dead');
    expectToVm(receive(pair.b, server, a2.floatingIp!, overUdp.request(PORT)), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT)]);
  });

  it('records of the peer do not move a pinned VM', () => {
    pair.b.pinVm(a2);
    pair.forward(pair.a, 'underlay', frameFromVm(moved, [ipv4({ source: a2.address, destination: server }), ...overUdp.request(PORT)]));
    expect(numberToIpv4(pair.b.vm(a2)!.tunnelEndpoint)).toBe(a2.compute.address);
  });

  it('a VM of the second network of a router is replicated with it', () => {
    const vm = vmOf(world.networkA2, 40);
    const { steps } = pair.forward(pair.a, 'underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...overUdp.request(PORT)]));
    expect(steps.map(({ frame }) => isSyncFrame(frame))).toEqual([true, true, false]);
    expect(numberToIpv4(pair.b.vm(vm)!.tunnelEndpoint)).toBe(vm.compute.address);
    expect(pair.b.vm(vm)!.network).toBe(2);
    expect(tableFaults(pair.b)).toEqual([]);
  });
});
