/** Next hops on the external side: on link, by the gateway, by other routers. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { numberToIpv4 } from '../support/bytes.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { ipv4 } from '../support/packet.js';
import { emittedBy, expectToOutside, expectToVm, learn, overUdp, send } from '../support/traffic.js';
import { a1, a2, externalRouter, frameFromVm, neighbour, server } from '../support/world.js';

const PORT = 40_000;
const other = { address: '10.0.2.3', mac: '02:00:00:00:02:03' };
const onLink = { address: '198.51.100.9', mac: '02:00:00:00:02:09' };

describe.each(hooks)('external routes, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2);
    gateway.addNeighbour('external', other.address, other.mac);
    gateway.addNeighbour('external', onLink.address, onLink.mac);
  });

  const expectBy = (destination: string, mac: string): void =>
    expectToOutside(send(gateway, a2, destination, overUdp.request(PORT)), [ipv4({ source: a2.floatingIp!, destination, ttl: 63 }), ...overUdp.request(PORT)], mac);

  it('without any: the own subnet is on link, the rest by the gateway', () => {
    expectBy(neighbour.address, neighbour.mac);
    expectBy(server, externalRouter.mac);
  });

  it('a static route leads by its router, the rest by the gateway', () => {
    gateway.addExternalRoute({ address: '203.0.113.0', length: 24 }, other.address);
    expectBy(server, other.mac);
    expectBy('8.8.8.8', externalRouter.mac);
    expectBy(neighbour.address, neighbour.mac);
  });

  it('a route to a single host', () => {
    gateway.addExternalRoute({ address: server, length: 32 }, other.address);
    expectBy(server, other.mac);
    expectBy('203.0.113.11', externalRouter.mac);
  });

  it('the longest prefix wins', () => {
    gateway.addExternalRoute({ address: '203.0.0.0', length: 16 }, neighbour.address);
    gateway.addExternalRoute({ address: '203.0.113.0', length: 24 }, other.address);
    expectBy(server, other.mac);
    expectBy('203.0.1.1', neighbour.mac);
  });

  it('another subnet on the same link is reached directly', () => {
    gateway.addExternalRoute({ address: '198.51.100.0', length: 24 });
    expectBy(onLink.address, onLink.mac);
  });

  it('a floating IP of a subnet that is on link by a route is hairpinned', () => {
    gateway.addExternalRoute({ address: '198.51.100.0', length: 24 });
    gateway.addFloatingIp({ ...a1 }, '198.51.100.20');
    const result = send(gateway, a2, '198.51.100.20', overUdp.request(PORT));
    expectToVm(result, a1, [ipv4({ source: a2.floatingIp!, destination: a1.address, ttl: 63 }), ...overUdp.request(PORT)]);
    expect(result.counters).toEqual({ hairpin: 1 });
  });

  it.each([
    ['a router of a static route', '10.0.2.99', () => gateway.addExternalRoute({ address: '203.0.113.0', length: 24 }, '10.0.2.99'), 'gateway_unresolved'],
    ['a host of another subnet on link', server, () => gateway.addExternalRoute({ address: '203.0.113.0', length: 24 }), 'neighbour_unresolved'],
  ] as const)('%s that is not resolved: the control plane is told whom to ask for, and gets the frame', async (_, asked, arrange, reason) => {
    arrange();
    const events = await emittedBy(gateway);
    const before = gateway.tables();
    const bytes = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(PORT)]);

    expect(gateway.run('underlay', bytes).counters).toEqual({ [`drop_${reason}`]: 1 });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]!.event).toMatchObject({ type: eventType.neighbourUnresolved, interface: 1, vlan: 0 });
    expect(numberToIpv4(events[0]!.event.address)).toBe(asked);
    expectFrame(events[0]!.frame, bytes);
    expect(gateway.tables().mappings).toEqual(before.mappings);
  });
});
