/** A network whose VMs take less than their tunnel has room for: whoever sends them more is told (RFC 1191). */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { expectFrame } from '../support/expect-frame.js';
import { dissect, layerOf } from '../support/dissect.js';
import { GatewayFixture, hooks, type RunResult } from '../support/gateway-fixture.js';
import { ICMP, ipv4, payload, udp, UNREACHABLE, type Layer } from '../support/packet.js';
import { emittedBy, expectSent, learn, mappingOf, overUdp, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, b2, frameFromVm, fromOutside, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const MTU = 1342;
const ADDRESS = world.tenantA.externalAddress;
const WEB = vmOf(world.tenantA, 20);
/** Outer IPv4, UDP, Geneve with OVN's option, inner Ethernet. */
const OVERHEAD = 20 + 8 + 8 + 8 + 14;

describe.each(hooks)('the MTU of a network, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, b1, b2, WEB);
    gateway.setNetwork({ mtu: MTU }, world.tenantA);
  });

  const sized = (source: string, destination: string, length: number, destinationPort = 53, dontFragment = true): Layer[] =>
    [ipv4({ source, destination, dontFragment }), udp({ sourcePort: PORT, destinationPort }), payload(Buffer.alloc(length - 28, 0x6d))];

  function expectTold(result: RunResult, mtu = MTU): void {
    expect(Object.keys(result.counters).sort()[0]).toBe('drop_mtu_exceeded');
    expect(result.verdict).toBe('TX');
    expect(layerOf(dissect(result.frame), 'icmp')).toMatchObject({ type: ICMP.unreachable, code: UNREACHABLE.fragmentationNeeded, sequence: mtu });
  }

  const ways: readonly [string, (length: number, dontFragment?: boolean) => Buffer][] = [
    ['from outside to a floating IP', (length, dontFragment) => fromOutside(sized(server, a2.floatingIp!, length, 53, dontFragment))],
    ['from outside to shared SNAT', (length, dontFragment) => {
      send(gateway, a1, server, overUdp.request(53, PORT));
      return fromOutside(sized(server, ADDRESS, length, mappingOf(gateway, a1, overUdp, 53).externalPort, dontFragment));
    }],
    ['from outside to a port forwarding', (length, dontFragment) => {
      gateway.addForwarding({ vm: WEB, protocol: 'udp', internalPort: 53, externalPort: 5353 });
      return fromOutside(sized(server, ADDRESS, length, 5353, dontFragment));
    }],
    ['from another network of the router', (length, dontFragment) => frameFromVm(a3, sized(a3.address, a1.address, length, 53, dontFragment))],
    ['hairpinned, from another router', (length, dontFragment) => frameFromVm(b1, sized(b1.address, a2.floatingIp!, length, 53, dontFragment))],
    ['hairpinned, within the network', (length, dontFragment) => frameFromVm(a1, sized(a1.address, a2.floatingIp!, length, 53, dontFragment))],
  ];
  const run = (way: string, bytes: Buffer): RunResult => gateway.run(way.startsWith('from outside') ? 'external' : 'underlay', bytes);

  describe.each(ways)('%s', (way, of) => {
    it('what fits passes', () => expectSent(run(way, of(MTU))));

    it('one byte more is told', () => expectTold(run(way, of(MTU + 1))));

    it('where it may be split, the control plane gets it', async () => {
      const bytes = of(MTU + 1, false);
      const events = await emittedBy(gateway);
      expect(run(way, bytes)).toMatchObject({ verdict: 'DROP', counters: { drop_fragmentation_needed: 1 } });
      await vi.waitFor(() => expect(events).toHaveLength(1));
      expect(events[0]!.event).toMatchObject({ type: eventType.fragmentationNeeded, mtu: MTU });
      expectFrame(events[0]!.frame, bytes);
    });
  });

  it('what its VMs send to the outside is limited by the outside alone', () => {
    expectSent(gateway.run('underlay', frameFromVm(a1, sized(a1.address, server, 1500))));
  });

  it('what they send to another network, by that one\'s', () => {
    expectSent(gateway.run('underlay', frameFromVm(a1, sized(a1.address, a3.address, 1500))));
    expectSent(gateway.run('underlay', frameFromVm(a2, sized(a2.address, b2.floatingIp!, 1500))));
  });

  it('a tunnel that has room for less counts', () => {
    gateway.setInterface('underlay', { mtu: MTU });
    expectSent(gateway.run('external', fromOutside(sized(server, a2.floatingIp!, MTU - OVERHEAD))));
    expectTold(gateway.run('external', fromOutside(sized(server, a2.floatingIp!, MTU - OVERHEAD + 1))), MTU - OVERHEAD);
  });

  it.each([0, 65_535])('with %i the tunnel alone counts', (mtu) => {
    gateway.setNetwork({ mtu }, world.tenantA);
    expectSent(gateway.run('external', fromOutside(sized(server, a2.floatingIp!, 1600 - OVERHEAD))));
    expectTold(gateway.run('external', fromOutside(sized(server, a2.floatingIp!, 1600 - OVERHEAD + 1))), 1600 - OVERHEAD);
  });
});
