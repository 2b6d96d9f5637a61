/** RFC 6888 REQ-4, REQ-5: what one VM, one router, one network may have at most, and that the counts are true. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { mappingBehaviour } from '../../src/dataplane/layout.generated.js';
import { GatewayFixture, hooks, ticksAgo } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { Pair } from '../support/pair.js';
import { ipv4, tcp, TCP } from '../support/packet.js';
import { expectSent, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const remote = (host: number): string => `198.51.100.${host}`;

describe.each(hooks)('limits, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  const sessionsOf = (vm: world.VirtualMachine): number => gateway.vm(vm)!.sessions;
  const routerSessions = (tenant = world.tenantA): number => gateway.routerStates.get(tenant.router).sessions;

  describe('sessions of a VM (RFC 6888 REQ-5)', () => {
    beforeEach(() => gateway.setRouter({ vmSessionLimit: 5 }));

    it('as many as it may have, and not one more', () => {
      for (let host = 1; host <= 5; host++) expectSent(send(gateway, a1, remote(host), overUdp.request(PORT)));
      const before = gateway.tables();
      for (let host = 6; host < 20; host++) {
        expect(send(gateway, a1, remote(host), overUdp.request(PORT)).counters).toMatchObject({ drop_vm_session_limit: 1 });
        expect(send(gateway, a1, remote(host), overTcp.request(PORT)).counters).toMatchObject({ drop_vm_session_limit: 1 });
      }
      expect(gateway.tables()).toEqual(before);
      expect(sessionsOf(a1)).toBe(5);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('those that it has go on', () => {
      for (let host = 1; host <= 8; host++) send(gateway, a1, remote(host), overUdp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      for (let host = 1; host <= 5; host++) {
        expect(send(gateway, a1, remote(host), overUdp.request(PORT)).counters).toEqual({ outbound_snat: 1 });
        expectSent(receive(gateway, remote(host), ADDRESS, overUdp.reply(externalPort)));
      }
    });

    it('another VM of the router is not touched by it', () => {
      for (let host = 1; host <= 8; host++) send(gateway, a1, remote(host), overUdp.request(PORT));
      for (let host = 1; host <= 5; host++) expectSent(send(gateway, a3, remote(host), overUdp.request(PORT)));
      expect(sessionsOf(a3)).toBe(5);
    });

    it('all protocols count together', () => {
      for (const protocol of protocols) expectSent(send(gateway, a1, server, protocol.request(PORT)));
      expectSent(send(gateway, a1, remote(1), overTcp.request(PORT)));
      expectSent(send(gateway, a1, remote(2), overTcp.request(PORT)));
      expect(send(gateway, a1, remote(3), overIcmp.request(PORT)).counters).toMatchObject({ drop_vm_session_limit: 1 });
    });

    it('a floating IP needs no session', () => {
      learn(gateway, a2);
      for (let host = 1; host <= 20; host++) expectSent(send(gateway, a2, remote(host), overUdp.request(PORT)));
      expect(sessionsOf(a2)).toBe(0);
    });

    it('0 is none', () => {
      gateway.setRouter({ vmSessionLimit: 0 });
      for (let host = 1; host <= 20; host++) expectSent(send(gateway, a1, remote(host), overUdp.request(PORT)));
    });

    it('lowered below what there is: nothing ends, nothing new begins', () => {
      for (let host = 1; host <= 5; host++) send(gateway, a1, remote(host), overUdp.request(PORT));
      gateway.setRouter({ vmSessionLimit: 2 });
      for (let host = 1; host <= 5; host++) expect(send(gateway, a1, remote(host), overUdp.request(PORT)).counters).toEqual({ outbound_snat: 1 });
      expect(send(gateway, a1, remote(6), overUdp.request(PORT)).counters).toMatchObject({ drop_vm_session_limit: 1 });
    });
  });

  describe('sessions of a router', () => {
    beforeEach(() => gateway.setRouter({ sessionLimit: 5 }));

    it('all VMs of all of its networks together', () => {
      const vms = [a1, a3, vmOf(world.tenantA, 30)];
      let sent = 0;
      let refused = 0;
      for (let host = 1; host <= 4; host++) {
        for (const vm of vms) {
          const { counters } = send(gateway, vm, remote(host), overUdp.request(PORT));
          if ('outbound_snat' in counters) sent++;
          if ('drop_router_session_limit' in counters) refused++;
        }
      }
      expect([sent, refused]).toEqual([5, 7]);
      expect(routerSessions()).toBe(5);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('another router is not touched by it', () => {
      for (let host = 1; host <= 8; host++) send(gateway, a1, remote(host), overUdp.request(PORT));
      for (let host = 1; host <= 8; host++) expectSent(send(gateway, b1, remote(host), overUdp.request(PORT)));
      expect(routerSessions(world.tenantB)).toBe(8);
    });
  });

  describe('new sessions of a VM in a second', () => {
    it('a burst of one second\'s, then as many as time brings', async () => {
      gateway.setRouter({ vmSessionsPerSecond: 10 });
      const results = Array.from({ length: 30 }, (_, index) => send(gateway, a1, remote(index + 1), overUdp.request(PORT)));
      const sent = results.filter(({ verdict }) => verdict === 'REDIRECT').length;
      expect(sent).toBeGreaterThanOrEqual(10);
      expect(sent).toBeLessThanOrEqual(22);
      for (const { verdict, counters } of results) {
        if (verdict !== 'REDIRECT') expect(counters).toMatchObject({ drop_vm_session_rate: 1 });
      }
      let host = 100;
      await vi.waitFor(() => expectSent(send(gateway, a1, remote(host++), overUdp.request(PORT))), { timeout: 4000, interval: 100 });
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('existing ones cost nothing', () => {
      gateway.setRouter({ vmSessionsPerSecond: 2 });
      expectSent(send(gateway, a1, remote(1), overUdp.request(PORT)));
      for (let i = 0; i < 50; i++) expect(send(gateway, a1, remote(1), overUdp.request(PORT)).counters).toEqual({ outbound_snat: 1 });
    });

    it('each VM has its own', () => {
      gateway.setRouter({ vmSessionsPerSecond: 2 });
      for (let host = 1; host < 10; host++) send(gateway, a1, remote(host), overUdp.request(PORT));
      expectSent(send(gateway, a3, remote(1), overUdp.request(PORT)));
    });
  });

  describe('ports of a VM (RFC 6888 REQ-4)', () => {
    it.each([1, 2, 8])('%i blocks', (vmBlockLimit) => {
      gateway.setRouter({ vmBlockLimit });
      for (let port = 1024; port < 1024 + 400 * vmBlockLimit; port++) send(gateway, a1, server, overTcp.request(port));
      expect(gateway.portBlocks()).toHaveLength(vmBlockLimit);
      expect(gateway.mappings().length).toBeGreaterThan(200 * vmBlockLimit);
      expect(gateway.mappings().length).toBeLessThanOrEqual(256 * vmBlockLimit);
      expect(send(gateway, a3, server, overTcp.request(1024)).verdict).toBe('REDIRECT');
      expect(tableFaults(gateway)).toEqual([]);
    }, 60_000);
  });

  describe('VMs of a network', () => {
    beforeEach(() => gateway.setNetwork({ vmLimit: 4 }));

    it('are learned up to it', () => {
      // a2 is the configuration's: it counts, and is never refused.
      const known = gateway.networkStates.get(0).vms;
      const results = Array.from({ length: 8 }, (_, index) => send(gateway, vmOf(world.tenantA, 30 + index), server, overUdp.request(PORT)));
      expect(results.filter(({ verdict }) => verdict === 'REDIRECT')).toHaveLength(4 - known);
      expect(results.at(-1)!.counters).toMatchObject({ drop_network_vm_limit: 1 });
      expect(gateway.networkStates.get(0).vms).toBe(4);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('known ones go on, other networks of the router as well', () => {
      for (let host = 30; host < 40; host++) send(gateway, vmOf(world.tenantA, host), server, overUdp.request(PORT));
      expect(send(gateway, vmOf(world.tenantA, 30), server, overUdp.request(PORT)).counters).toEqual({ outbound_snat: 1 });
      expectSent(send(gateway, a3, server, overUdp.request(PORT)));
    });

    it('those of the configuration are not refused', () => {
      for (let host = 30; host < 40; host++) send(gateway, vmOf(world.tenantA, host), server, overUdp.request(PORT));
      expect(() => gateway.ensureVm(vmOf(world.tenantA, 99))).not.toThrow();
    });
  });

  describe('whoever floods', () => {
    const establish = (host: number): void => {
      expectSent(send(gateway, a1, remote(host), overTcp.request(PORT)));
      const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
      expectSent(receive(gateway, remote(host), ADDRESS, overTcp.reply(externalPort)));
      expectSent(send(gateway, a1, remote(host), [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.ACK })]));
    };
    const works = (host: number): void => {
      const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
      const data = (sourcePort: number, destinationPort: number) => [tcp({ sourcePort, destinationPort, flags: TCP.ACK | TCP.PSH })];
      expect(send(gateway, a1, remote(host), data(PORT, 80)).counters).toEqual({ outbound_snat: 1 });
      expect(receive(gateway, remote(host), ADDRESS, data(80, externalPort)).counters).toEqual({ inbound_snat: 1 });
    };

    it.each([
      ['the session table', {}],
      ['its own quota', { vmSessionLimit: 40 }],
      ['the router\'s quota', { sessionLimit: 40 }],
    ])('fills %s with SYNs that nobody answers: no established session is lost', (_, limits) => {
      gateway.setRouter(limits);
      for (let host = 1; host <= 8; host++) establish(host);
      let refused = 0;
      for (let host = 9; host < 250; host++) if (send(gateway, a1, remote(host), overTcp.request(PORT)).verdict !== 'REDIRECT') refused++;
      expect(refused).toBeGreaterThan(100);
      for (let host = 1; host <= 8; host++) works(host);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('scans ports: no established session of another VM is lost', () => {
      for (let host = 1; host <= 8; host++) establish(host);
      const scanner = vmOf(world.tenantA, 66);
      for (let port = 1; port < 3000; port++) gateway.execute('underlay', frameFromVm(scanner, [ipv4({ source: scanner.address, destination: server }), ...overTcp.request(port)]));
      for (let host = 1; host <= 8; host++) works(host);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('invents senders: VMs that are known go on', () => {
      establish(1);
      for (let host = 20; host < 250; host++) send(gateway, vmOf(world.tenantA, host), server, overUdp.request(PORT));
      works(1);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('from outside, makes nothing at all', () => {
      establish(1);
      const before = gateway.tables();
      for (let port = 1; port < 3000; port++) gateway.execute('external', world.fromOutside([ipv4({ source: remote(port % 250), destination: ADDRESS }), ...overTcp.request(PORT, port)]));
      expect(gateway.tables().sessions).toEqual(before.sessions);
      expect(gateway.tables().vms).toEqual(before.vms);
      works(1);
    });
  });
});

describe('counts of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());
  beforeEach(() => pair.reset());

  const traffic = (): void => {
    for (const vm of [a1, a3, b1, vmOf(world.tenantA, 50)]) {
      for (const protocol of protocols) {
        for (let port = 500; port < 506; port++) {
          for (const destination of [server, remote(port % 7)]) {
            pair.forward(pair.a, 'underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), ...protocol.request(port)]));
          }
        }
      }
    }
  };
  const sound = (): void => {
    for (const gateway of [pair.a, pair.b]) expect(tableFaults(gateway)).toEqual([]);
  };

  it('are true on both gateways after commits', () => {
    traffic();
    sound();
    expect(pair.b.routerStates.get(0).sessions).toBe(pair.a.routerStates.get(0).sessions);
  });

  it('are true after bulk synchronisation, once and twice', () => {
    pair.a.setPeerAlive(false);
    traffic();
    pair.a.setPeerAlive(true);
    for (let pass = 0; pass < 2; pass++) {
      pair.walk(pair.a, 'bulk_xdp');
      sound();
    }
  });

  it.each(['endpointIndependent', 'addressAndPortDependent'] as const)('fall to nothing when everything ages, mapping %s', (behaviour) => {
    for (const gateway of [pair.a, pair.b]) gateway.setRouter({ mapping: mappingBehaviour[behaviour] });
    traffic();
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
    for (let pass = 0; pass < 3; pass++) {
      for (const [index, mapping] of pair.a.mappingTable.used()) pair.a.mappingTable.update(index, { lastSeen: ticksAgo(20_000), first: { ...mapping.first, lastSeen: ticksAgo(20_000) } });
      for (const [index, slot] of pair.a.sessionTable.used()) pair.a.sessionTable.update(index, { session: { ...slot.session, lastSeen: ticksAgo(20_000) } });
      pair.walk(pair.a, 'age_xdp');
      sound();
    }
    for (const gateway of [pair.a, pair.b]) {
      expect(gateway.mappings()).toEqual([]);
      expect(gateway.sessions()).toEqual([]);
      expect([0, 1].map((index) => gateway.routerStates.get(index).sessions)).toEqual([0, 0]);
    }
  });

  it('limits hold after a takeover: the successor counts what it has got', () => {
    for (const gateway of [pair.a, pair.b]) gateway.setRouter({ vmSessionLimit: 5 });
    for (let host = 1; host <= 5; host++) pair.forward(pair.a, 'underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: remote(host) }), ...overUdp.request(PORT)]));
    pair.takeOver(pair.b, 'dead');
    expect(send(pair.b, a1, remote(6), overUdp.request(PORT)).counters).toMatchObject({ drop_vm_session_limit: 1 });
    expect(send(pair.b, a1, remote(5), overUdp.request(PORT)).counters).toEqual({ outbound_snat: 1 });
  });
});
