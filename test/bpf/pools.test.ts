/** Several external addresses of a router: RFC 4787 REQ-2, paired pooling. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { dissect, layerOf } from '../support/dissect.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ipv4 } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { expectDropped, expectToVm, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a3, b1, frameFromVm, server, vmOf, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
const FIRST = world.tenantA.externalAddress;
const SECOND = '10.0.2.203';
const THIRD = '10.0.2.204';

/** Tenant A's router has three addresses, two of them for shared SNAT. */
function widen(gateway: GatewayFixture): void {
  gateway.addSnatAddress(2, SECOND);
  gateway.addSnatAddress(3, THIRD);
  gateway.setPool([0, 2]);
}

describe.each(hooks)('address pools, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    widen(gateway);
  });

  const addressOf = (vm: VirtualMachine, port = PORT, protocol = overUdp): string => layerOf(dissect(send(gateway, vm, server, protocol.request(port)).frame), 'ipv4').source;
  const vms = Array.from({ length: 30 }, (_, index) => vmOf(world.tenantA, 20 + index));
  const fill = (address: number): void => {
    for (let block = 0; block < 256; block++) gateway.portBlockTable.update(address * 256 + block, { vm: 64, mappings: 256 });
  };

  it('VMs are spread over all addresses', () => {
    const used = new Set(vms.map((vm) => addressOf(vm)));
    expect([...used].sort()).toEqual([FIRST, SECOND]);
  });

  it('one VM keeps one address, for all ports, protocols and remotes (RFC 4787 REQ-2)', () => {
    for (const vm of vms.slice(0, 8)) {
      const used = new Set<string>();
      for (const protocol of protocols) for (const port of [500, 2000, 2001, 60_000]) used.add(addressOf(vm, port, protocol));
      for (let host = 1; host < 5; host++) used.add(layerOf(dissect(send(gateway, vm, `198.51.100.${host}`, overUdp.request(PORT)).frame), 'ipv4').source);
      expect(used.size).toBe(1);
    }
    expect(tableFaults(gateway)).toEqual([]);
  });

  it('answers come in at the address that was used', () => {
    for (const vm of vms.slice(0, 8)) {
      const address = addressOf(vm);
      const { externalPort } = mappingOf(gateway, vm, overUdp, PORT);
      const back = receive(gateway, server, address, overUdp.reply(externalPort));
      expectToVm(back, vm, [ipv4({ source: server, destination: vm.address, ttl: 63 }), ...overUdp.reply(PORT)]);
      const other = address === FIRST ? SECOND : FIRST;
      expectDropped(receive(gateway, server, other, overUdp.reply(externalPort)), 'no_mapping');
    }
  });

  it('VMs of both networks of a router share the pool; other routers have their own', () => {
    expect([FIRST, SECOND]).toContain(addressOf(a3));
    expect(addressOf(b1)).toBe(world.tenantB.externalAddress);
  });

  it('an address without free ports is passed over by VMs that have none yet', () => {
    fill(0);
    for (const vm of vms.slice(0, 10)) expect(addressOf(vm)).toBe(SECOND);
  });

  it('a VM whose address is full is refused: it does not appear from two addresses', () => {
    gateway.setPool([0]);
    addressOf(a1);
    fill(0);
    gateway.setPool([0, 2]);
    gateway.setRouter({ vmBlockLimit: 1 });
    let refused = 0;
    for (let port = 1024; port < 2048; port++) {
      const result = send(gateway, a1, server, overUdp.request(port));
      if (result.verdict === 'REDIRECT') expect(layerOf(dissect(result.frame), 'ipv4').source).toBe(FIRST);
      else refused++;
    }
    expect(refused).toBeGreaterThan(500);
  });

  it('all addresses full: refused, and counted', () => {
    fill(0);
    fill(2);
    expect(send(gateway, a1, server, overUdp.request(PORT)).counters).toMatchObject({ drop_ports_exhausted: 1 });
    expect(gateway.mappings()).toEqual([]);
  });

  it('each address answers echo and ARP', () => {
    for (const address of [FIRST, SECOND, THIRD]) {
      expect(receive(gateway, server, address, overIcmp.request(1)).counters).toEqual({ echo_reply_external: 1 });
    }
  });

  describe('when the configuration changes', () => {
    it('an added address is used by VMs that come', () => {
      gateway.setPool([0]);
      for (const vm of vms.slice(0, 5)) expect(addressOf(vm)).toBe(FIRST);
      gateway.setPool([0, 2]);
      expect(new Set(vms.slice(5).map((vm) => addressOf(vm))).size).toBe(2);
      for (const vm of vms.slice(0, 5)) expect(addressOf(vm)).toBe(FIRST);
    });

    it('a VM of an address that left the pool keeps it while it is the router\'s', () => {
      gateway.setPool([0]);
      addressOf(a1);
      gateway.setPool([2]);
      expect(addressOf(a1)).toBe(FIRST);
      expect(addressOf(vms[0]!)).toBe(SECOND);
    });

    it('a VM whose address is no longer the router\'s starts anew at another', () => {
      gateway.setPool([0]);
      addressOf(a1);
      gateway.snatAddresses.set(0, { address: 0, router: 0 });
      gateway.removeExternalAddress(FIRST);
      gateway.setPool([2]);
      expect(addressOf(a1)).toBe(SECOND);
      const { externalPort } = gateway.mappings().find(({ externalAddress }) => externalAddress === SECOND)!;
      expectToVm(receive(gateway, server, SECOND, overUdp.reply(externalPort)), a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), ...overUdp.reply(PORT)]);
    });

    it('an address that now is another router\'s serves that one alone', () => {
      gateway.setPool([0]);
      addressOf(a1);
      gateway.addSnatAddress(0, FIRST, world.tenantB);
      gateway.setPool([2]);
      expect(addressOf(a1)).toBe(SECOND);
    });

    it('an empty pool gives no address', () => {
      gateway.setPool([]);
      expect(send(gateway, a1, server, overTcp.request(PORT)).counters).toMatchObject({ drop_no_shared_snat: 1 });
    });
  });
});

describe('address pools of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());

  it('after a takeover every VM still has its address, for new mappings as well', () => {
    pair.reset();
    for (const gateway of [pair.a, pair.b]) widen(gateway);
    const vms = Array.from({ length: 12 }, (_, index) => vmOf(world.tenantA, 20 + index));
    const out = (vm: VirtualMachine, port: number): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...overUdp.request(port)]);
    const before = vms.map((vm) => layerOf(dissect(pair.forward(pair.a, 'underlay', out(vm, PORT)).final.frame), 'ipv4').source);
    expect(new Set(before).size).toBe(2);
    pair.takeOver(pair.b, 'dead');
    for (const port of [PORT, PORT + 1]) {
      expect(vms.map((vm) => layerOf(dissect(pair.b.run('underlay', out(vm, port)).frame), 'ipv4').source)).toEqual(before);
    }
    for (const gateway of [pair.a, pair.b]) expect(tableFaults(gateway)).toEqual([]);
  });
});
