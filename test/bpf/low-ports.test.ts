/** RFC 4787 REQ-3a: internal ports below 1024 keep to external ones below 1024, and the others to the others. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture, hooks, ticksAgo } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ipv4 } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { expectToOutside, expectToVm, mappingOf, overIcmp, overTcp, overUdp, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, server, vmOf } from '../support/world.js';

const ADDRESS = world.tenantA.externalAddress;

describe.each(hooks)('ports below 1024, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  describe.each([overTcp, overUdp])('$name', (protocol) => {
    it.each([1, 22, 123, 500, 1022, 1023])('%i leaves from below 1024, and is answered', (port) => {
      const out = send(gateway, a1, server, protocol.request(port));
      const { externalPort } = mappingOf(gateway, a1, protocol, port);
      expect(externalPort).toBeGreaterThan(0);
      expect(externalPort).toBeLessThan(1024);
      expectToOutside(out, [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), ...protocol.request(externalPort)]);
      const back = receive(gateway, server, ADDRESS, protocol.reply(externalPort));
      expectToVm(back, a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), ...protocol.reply(port)]);
      expect(send(gateway, a1, server, protocol.request(port)).counters).toMatchObject({ outbound_snat: 1 });
      expect(gateway.mappings()).toHaveLength(1);
    });

    it.each([1024, 1025, 49152, 65535])('%i leaves from 1024 or above', (port) => {
      send(gateway, a1, server, protocol.request(port));
      expect(mappingOf(gateway, a1, protocol, port).externalPort).toBeGreaterThanOrEqual(1024);
    });

    it('to other remotes it is the same (RFC 4787 REQ-1)', () => {
      for (let host = 1; host < 6; host++) send(gateway, a1, `198.51.100.${host}`, protocol.request(500));
      expect(gateway.mappings()).toHaveLength(1);
      expect(tableFaults(gateway)).toEqual([]);
    });
  });

  it('UDP keeps its parity (RFC 4787 REQ-4)', () => {
    for (let port = 100; port < 160; port++) {
      send(gateway, a1, server, overUdp.request(port));
      expect(mappingOf(gateway, a1, overUdp, port).externalPort % 2).toBe(port % 2);
    }
  });

  it('query ids of ICMP have no such ranges', () => {
    send(gateway, a1, server, overIcmp.request(5));
    expect(mappingOf(gateway, a1, overIcmp, 5).externalPort).toBeGreaterThanOrEqual(1024);
  });

  it.each([
    [world.nodeA, world.nodeB],
    [world.nodeB, world.nodeA],
  ])('gateway $id takes only those of its own blocks', (node, peer) => {
    gateway.reset({ syncMode: 'none', node, peer });
    for (let host = 20; host < 60; host++) send(gateway, vmOf(world.tenantA, host), server, overUdp.request(500));
    for (const { externalPort } of gateway.mappings()) expect(Math.floor(externalPort / 256) % 2).toBe(node.id);
    expect(gateway.mappings()).toHaveLength(40);
  });

  it('several VMs want the same one: each gets its own', () => {
    const vms = Array.from({ length: 40 }, (_, index) => vmOf(world.tenantA, 20 + index));
    for (const vm of vms) send(gateway, vm, server, overUdp.request(500));
    const ports = vms.map((vm) => mappingOf(gateway, vm, overUdp, 500).externalPort);
    expect(new Set(ports).size).toBe(vms.length);
    expect(tableFaults(gateway)).toEqual([]);
  });

  it('one VM may use them all up: it is refused or served from above, others\' mappings go on, and nothing drifts', () => {
    const victim = vmOf(world.tenantA, 20);
    send(gateway, victim, server, overUdp.request(500));
    const { externalPort } = mappingOf(gateway, victim, overUdp, 500);
    for (let port = 1; port < 1024; port++) send(gateway, a1, server, overUdp.request(port));
    expect(gateway.mappings().filter((mapping) => mapping.externalPort < 1024).length).toBeGreaterThan(400);
    expect(send(gateway, victim, server, overUdp.request(500)).counters).toEqual({ outbound_snat: 1 });
    expect(mappingOf(gateway, victim, overUdp, 500).externalPort).toBe(externalPort);
    expect(tableFaults(gateway)).toEqual([]);
  });

  it('rest after their end, as all do (RFC 6888 REQ-8)', () => {
    send(gateway, a1, server, overUdp.request(500));
    const { externalPort } = mappingOf(gateway, a1, overUdp, 500);
    const index = gateway.mappingIndex(ADDRESS, 'udp', externalPort);
    gateway.mappingTable.set(index, {
      vm: 0, internalPort: 0, flags: 0, sessionCount: 0, lastSeen: ticksAgo(10),
      first: { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 },
    });
    send(gateway, a1, server, overUdp.request(500));
    expect(mappingOf(gateway, a1, overUdp, 500).externalPort).not.toBe(externalPort);
  });
});

describe('ports below 1024 of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());

  it('survive a takeover', () => {
    pair.reset();
    const bytes = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(500)]);
    pair.forward(pair.a, 'underlay', bytes);
    const { externalPort } = mappingOf(pair.a, a1, overUdp, 500);
    pair.takeOver(pair.b, 'dead');
    expect(pair.b.run('underlay', bytes).counters).toEqual({ outbound_snat: 1 });
    expect(mappingOf(pair.b, a1, overUdp, 500).externalPort).toBe(externalPort);
    for (const gateway of [pair.a, pair.b]) expect(tableFaults(gateway)).toEqual([]);
  });

  it('are ended by ageing', () => {
    pair.reset({ syncMode: 'none' });
    send(pair.a, a1, server, overUdp.request(500));
    const index = pair.a.mappingIndex(ADDRESS, 'udp', mappingOf(pair.a, a1, overUdp, 500).externalPort);
    pair.a.mappingTable.update(index, { first: { ...pair.a.mappingTable.get(index).first, lastSeen: ticksAgo(10_000) } });
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
    pair.walk(pair.a, 'age_xdp');
    expect(pair.a.mappings()).toEqual([]);
    expect(tableFaults(pair.a)).toEqual([]);
  });
});
