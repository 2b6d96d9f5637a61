/** Port forwardings: an external port that always leads to one internal one. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { mappingFlag } from '../../src/dataplane/layout.generated.js';
import { GatewayFixture, hooks, ticksAgo, type PortForwarding } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ipv4, tcp, TCP, udp } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { expectDropped, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, otherServer, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const WEB = vmOf(world.tenantA, 20);

interface Case {
  readonly name: string;
  readonly forwarding: PortForwarding;
}
const cases: readonly Case[] = [
  { name: 'tcp, another port', forwarding: { vm: WEB, protocol: 'tcp', internalPort: 80, externalPort: 8080 } },
  { name: 'tcp, the same port below 1024', forwarding: { vm: WEB, protocol: 'tcp', internalPort: 22, externalPort: 22 } },
  { name: 'udp, the first port', forwarding: { vm: WEB, protocol: 'udp', internalPort: 53, externalPort: 1 } },
  { name: 'udp, the last port', forwarding: { vm: WEB, protocol: 'udp', internalPort: 65535, externalPort: 65535 } },
  { name: 'to a VM that has a floating IP as well', forwarding: { vm: a2, protocol: 'tcp', internalPort: 443, externalPort: 443 } },
];

describe.each(hooks)('port forwardings, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, WEB);
  });

  describe.each(cases)('$name', ({ forwarding }) => {
    const { vm, protocol, internalPort, externalPort } = forwarding;
    const { request, reply } = protocol === 'tcp' ? overTcp : overUdp;
    beforeEach(() => gateway.addForwarding(forwarding));

    it('anybody gets in, and the answers have the external port', () => {
      for (const remote of [server, otherServer]) {
        const there = receive(gateway, remote, ADDRESS, request(PORT, externalPort));
        expectToVm(there, vm, [ipv4({ source: remote, destination: vm.address, ttl: 63 }), ...request(PORT, internalPort)]);
        expect(there.counters).toEqual({ inbound_forwarding: 1 });
        const back = send(gateway, vm, remote, reply(PORT, internalPort));
        expectToOutside(back, [ipv4({ source: ADDRESS, destination: remote, ttl: 63 }), ...reply(PORT, externalPort)]);
        expect(back.counters).toEqual({ outbound_forwarding: 1 });
      }
    });

    it('what the VM begins from that port has the external port as well', () => {
      const result = send(gateway, vm, server, request(internalPort));
      expectToOutside(result, [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), ...request(externalPort)]);
      expect(result.counters).toEqual({ outbound_forwarding: 1 });
    });

    it('no session is made, whoever comes', () => {
      const before = gateway.tables();
      for (let host = 1; host < 20; host++) receive(gateway, `198.51.100.${host}`, ADDRESS, request(PORT, externalPort));
      send(gateway, vm, server, reply(PORT, internalPort));
      expect(gateway.tables()).toEqual(before);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('once removed, nobody gets in', () => {
      gateway.removeForwarding(forwarding);
      expectDropped(receive(gateway, server, ADDRESS, request(PORT, externalPort)), 'no_mapping');
      expect(gateway.mappings()).toEqual([]);
      expect(tableFaults(gateway)).toEqual([]);
    });
  });

  const web: PortForwarding = { vm: WEB, protocol: 'tcp', internalPort: 80, externalPort: 8080 };

  it('are of one protocol', () => {
    gateway.addForwarding(web);
    expectDropped(receive(gateway, server, ADDRESS, overUdp.request(PORT, 8080)), 'no_mapping');
    expect(send(gateway, WEB, server, overUdp.request(80)).counters).toMatchObject({ outbound_snat: 1 });
  });

  it('are of one address', () => {
    gateway.addForwarding(web);
    expectDropped(receive(gateway, server, world.tenantB.externalAddress, overTcp.request(PORT, 8080)), 'no_mapping');
  });

  it('other ports and queries of the VM use shared SNAT', () => {
    gateway.addForwarding(web);
    const result = send(gateway, WEB, server, overTcp.request(PORT));
    expect(result.counters).toMatchObject({ outbound_snat: 1 });
    expect(send(gateway, WEB, server, overIcmp.request(80)).counters).toMatchObject({ outbound_snat: 1 });
  });

  it('other ports of a VM with a floating IP use that', () => {
    gateway.addForwarding({ vm: a2, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
    const result = send(gateway, a2, server, overTcp.request(PORT));
    expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...overTcp.request(PORT)]);
    expectToVm(receive(gateway, server, a2.floatingIp!, overUdp.request(PORT, 80)), a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...overUdp.request(PORT, 80)]);
  });

  it('several of one VM, and one external port for each protocol', () => {
    const all: readonly PortForwarding[] = [web, { ...web, protocol: 'udp', internalPort: 53 }, { ...web, internalPort: 443, externalPort: 8443 }];
    for (const forwarding of all) gateway.addForwarding(forwarding);
    expectToVm(receive(gateway, server, ADDRESS, overTcp.request(PORT, 8443)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overTcp.request(PORT, 443)]);
    expectToVm(receive(gateway, server, ADDRESS, overUdp.request(PORT, 8080)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overUdp.request(PORT, 53)]);
  });

  it('to be made anew for another VM at once: the port need not rest', () => {
    gateway.addForwarding(web);
    gateway.removeForwarding(web);
    gateway.addForwarding({ ...web, vm: a1 });
    expectToVm(receive(gateway, server, ADDRESS, overTcp.request(PORT, 8080)), a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), ...overTcp.request(PORT, 80)]);
  });

  it('ensured twice are one', () => {
    gateway.addForwarding(web);
    const before = gateway.tables();
    gateway.addForwarding(web);
    expect(gateway.tables()).toEqual(before);
  });

  it('take a port that a mapping has: the configuration\'s word comes first', () => {
    send(gateway, a1, server, overTcp.request(PORT));
    send(gateway, a1, otherServer, overTcp.request(PORT));
    const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
    gateway.addForwarding({ ...web, externalPort });
    expectToVm(receive(gateway, server, ADDRESS, overTcp.request(80, externalPort)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overTcp.request(80, 80)]);
    expect(gateway.sessions().map(({ vm }) => vm - 1)).toEqual([gateway.vmIndex(a1)]);
    // What was beyond the first is nobody's: from here on to nobody.
    expect(gateway.mappings().map(({ flags }) => flags)).toEqual([mappingFlag.static]);
    expect(tableFaults(gateway)).toEqual([]);
    // The VM goes on with another port.
    expect(send(gateway, a1, server, overTcp.request(PORT)).counters).toMatchObject({ outbound_snat: 1, session_created: 1 });
    expect(mappingOf(gateway, a1, overTcp, PORT).externalPort).not.toBe(externalPort);
  });

  it('no mapping takes their port, however many are wanted', () => {
    send(gateway, a1, server, overUdp.request(1024));
    const { block } = gateway.portBlocks()[0]!;
    const taken = Array.from({ length: 128 }, (_, index) => block * 256 + 2 * index);
    for (const [index, externalPort] of taken.entries()) {
      if (externalPort === mappingOf(gateway, a1, overUdp, 1024).externalPort) continue;
      gateway.addForwarding({ vm: WEB, protocol: 'udp', internalPort: 2000 + index, externalPort });
    }
    for (let port = 1026; port < 1400; port += 2) send(gateway, a1, server, overUdp.request(port));
    for (const [index, externalPort] of taken.entries()) {
      if (externalPort === mappingOf(gateway, a1, overUdp, 1024).externalPort) continue;
      expect(mappingOf(gateway, WEB, overUdp, 2000 + index).externalPort).toBe(externalPort);
    }
    expect(tableFaults(gateway)).toEqual([]);
  });

  it('TCP is not looked at: resets and stray segments go through', () => {
    gateway.addForwarding(web);
    for (const flags of [TCP.RST, TCP.ACK, TCP.FIN | TCP.ACK]) {
      const result = receive(gateway, server, ADDRESS, [tcp({ sourcePort: PORT, destinationPort: 8080, flags })]);
      expectToVm(result, WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), tcp({ sourcePort: PORT, destinationPort: 80, flags })]);
    }
  });

  it('a UDP checksum of zero stays', () => {
    gateway.addForwarding({ ...web, protocol: 'udp' });
    const result = receive(gateway, server, ADDRESS, [udp({ sourcePort: PORT, destinationPort: 8080, checksum: 0 })]);
    expectToVm(result, WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), udp({ sourcePort: PORT, destinationPort: 80, checksum: 0 })]);
  });

  it('a backup forwards none, draining does', () => {
    gateway.addForwarding(web);
    gateway.setState('backup');
    expectDropped(receive(gateway, server, ADDRESS, overTcp.request(PORT, 8080)), 'not_active');
    gateway.setState('draining');
    expectToVm(receive(gateway, server, ADDRESS, overTcp.request(PORT, 8080)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overTcp.request(PORT, 80)]);
  });

  it('an address without a pool still forwards', () => {
    gateway.setRouter({ poolSize: 0 });
    gateway.addForwarding(web);
    expectToVm(receive(gateway, server, ADDRESS, overTcp.request(PORT, 8080)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overTcp.request(PORT, 80)]);
    expectToOutside(send(gateway, WEB, server, overTcp.reply(PORT, 80)), [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), ...overTcp.reply(PORT, 8080)]);
  });
});

describe('port forwardings of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());
  beforeEach(() => pair.reset());
  const web: PortForwarding = { vm: WEB, protocol: 'tcp', internalPort: 80, externalPort: 8080 };

  it('are neither replicated nor aged: each gateway has its configuration', () => {
    pair.a.addForwarding(web);
    learn(pair.a, WEB);
    const index = pair.a.mappingIndex(ADDRESS, 'tcp', 8080);
    pair.a.mappingTable.update(index, { lastSeen: ticksAgo(100_000) });
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
    expect(pair.walk(pair.a, 'age_xdp').sent).toEqual([]);
    pair.walk(pair.a, 'bulk_xdp');
    expect(pair.a.mappings()).toHaveLength(1);
    expect(pair.b.mappings()).toEqual([]);
  });

  it('serve at once after a takeover, the VM\'s endpoint having been told', () => {
    for (const gateway of [pair.a, pair.b]) gateway.addForwarding(web);
    pair.forward(pair.a, 'underlay', world.frameFromVm(WEB, [ipv4({ source: WEB.address, destination: server }), ...overTcp.reply(PORT, 80)]));
    pair.takeOver(pair.b, 'dead');
    expectToVm(receive(pair.b, server, ADDRESS, overTcp.request(PORT, 8080)), WEB, [ipv4({ source: server, destination: WEB.address, ttl: 63 }), ...overTcp.request(PORT, 80)]);
  });
});
