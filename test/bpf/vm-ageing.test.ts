/** VMs that come and go: those that nobody needs are forgotten, and their places are others'. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { reasonNames, vmFlag } from '../../src/dataplane/layout.generated.js';
import { bufferToMac, numberToIpv4 } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import { ticksAgo, type GatewayFixture, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { Pair } from '../support/pair.js';
import { ipv4, type Layer } from '../support/packet.js';
import { expectSent, learn, overUdp, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, b1, frameFromVm, server, vmOf, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
const VM_TICKS = 1000;
/** RECORD_VM_DELETE */
const VM_DELETE = 4;

const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => {
  pair.reset();
  for (const gateway of [pair.a, pair.b]) {
    gateway.setGateway({ vmTicks: VM_TICKS });
    gateway.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
  }
});

const idle = (vm: VirtualMachine, ticks: number, gateway = pair.a): void => gateway.vms.update(gateway.vmIndex(vm)!, { lastSeen: ticksAgo(ticks) });
/** The VM is known on both gateways. */
const meet = (vm: VirtualMachine): void => {
  const echo: Layer[] = [ipv4({ source: vm.address, destination: vm.tenant.gateway }), { layer: 'icmp', type: 8 }];
  pair.forward(pair.a, 'underlay', frameFromVm(vm, echo));
};
const age = (): ReturnType<Pair['walk']> => pair.walk(pair.a, 'age_xdp');
const knows = (gateway: GatewayFixture, vm: VirtualMachine): boolean => gateway.vmIndex(vm) !== undefined;
const reasonOf = (name: string): number => reasonNames.indexOf(name);
/** Retired places rest for a moment before they are given away: that moment is over. */
const makeRested = (gateway: GatewayFixture): void => {
  for (const [index, vm] of gateway.vms.used()) if (vm.flags & vmFlag.retired) gateway.vms.update(index, { lastSeen: ticksAgo(10) });
};

describe('a VM that is idle', () => {
  it('for longer than it may be is forgotten, here and by the peer, and counted', () => {
    meet(a1);
    expect([knows(pair.a, a1), knows(pair.b, a1)]).toEqual([true, true]);
    const networkVms = pair.a.networkStates.get(0).vms;
    idle(a1, VM_TICKS + 10);
    const before = pair.a.counters();
    const { sent, applied } = age();

    expect(pair.a.counters()[reasonOf('vm_expired')]! - before[reasonOf('vm_expired')]!).toBe(1);
    const records = sent.flatMap((bytes) => layerOf(dissect(bytes), 'sync').records);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ kind: VM_DELETE, vni: 100, internalAddress: a1.address, virtualRouter: world.VRID });
    expect(applied).toHaveLength(1);
    expect(applied[0]!.counters).toMatchObject({ sync_applied: 1 });
    expect([knows(pair.a, a1), knows(pair.b, a1)]).toEqual([false, false]);
    expect(pair.a.networkStates.get(0).vms).toBe(networkVms - 1);
    for (const gateway of [pair.a, pair.b]) expect(tableFaults(gateway)).toEqual([]);
  });

  it('not as long is kept', () => {
    meet(a1);
    idle(a1, VM_TICKS - 10);
    expect(age().sent).toEqual([]);
    expect(knows(pair.a, a1)).toBe(true);
  });

  it('comes back as a new one, on both gateways', () => {
    meet(a1);
    idle(a1, VM_TICKS + 10);
    age();
    meet({ ...a1, compute: world.compute2 });
    for (const gateway of [pair.a, pair.b]) {
      expect(numberToIpv4(gateway.vm(a1)!.tunnelEndpoint)).toBe(world.compute2.address);
      expect(tableFaults(gateway)).toEqual([]);
    }
  });

  it('with 0 never is forgotten', () => {
    pair.a.setGateway({ vmTicks: 0 });
    meet(a1);
    idle(a1, 1_000_000);
    expect(age().sent).toEqual([]);
    expect(knows(pair.a, a1)).toBe(true);
  });

  it('has its time from the takeover on: a standby hears nothing', () => {
    meet(a1);
    idle(a1, VM_TICKS + 10);
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(5)) << 30n });
    expect(age().sent).toEqual([]);
    expect(knows(pair.a, a1)).toBe(true);
  });

  it('is not forgotten by a backup', () => {
    meet(a1);
    idle(a1, VM_TICKS + 10, pair.b);
    pair.walk(pair.b, 'age_xdp');
    expect(knows(pair.b, a1)).toBe(true);
  });
});

describe('a VM that is needed is kept:', () => {
  const kept = (vm: VirtualMachine): void => {
    idle(vm, 100_000);
    age();
    expect(knows(pair.a, vm)).toBe(true);
    expect(tableFaults(pair.a)).toEqual([]);
  };

  it('it has a floating IP', () => {
    meet(a2);
    kept(a2);
    expect(pair.a.vm(a2)!.tunnelEndpoint).not.toBe(0);
  });

  it('it is pinned', () => {
    pair.a.pinVm(a1);
    kept(a1);
  });

  it('it has a port forwarding', () => {
    pair.a.addForwarding({ vm: a1, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
    kept(a1);
  });

  it('it has a mapping', () => {
    pair.forward(pair.a, 'underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(PORT)]));
    kept(a1);
  });

  it('its ports rest', () => {
    pair.forward(pair.a, 'underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), ...overUdp.request(PORT)]));
    for (const [index, mapping] of pair.a.mappingTable.used()) pair.a.mappingTable.update(index, { first: { ...mapping.first, lastSeen: ticksAgo(10_000) } });
    kept(a1);
    expect(pair.a.mappings()).toEqual([]);
  });
});

describe('once no longer needed it goes:', () => {
  const goes = (vm: VirtualMachine): void => {
    idle(vm, 100_000);
    age();
    expect(knows(pair.a, vm)).toBe(false);
    expect(tableFaults(pair.a)).toEqual([]);
  };

  it('its floating IP was taken away', () => {
    meet(a2);
    const { floatingIp: _, ...without } = a2;
    pair.a.ensureVm(without);
    goes(a2);
  });

  it('it is no longer pinned', () => {
    pair.a.pinVm(a1);
    pair.a.ensureVm(a1);
    goes(a1);
  });

  it('its port forwarding was removed', () => {
    const forwarding = { vm: a1, protocol: 'tcp', internalPort: 80, externalPort: 8080 } as const;
    pair.a.addForwarding(forwarding);
    pair.a.removeForwarding(forwarding);
    goes(a1);
  });
});

describe('places', () => {
  it('of forgotten VMs are given to others: more VMs come by than there are places', () => {
    let learned = 0;
    for (let generation = 0; generation < 6; generation++) {
      const vms = Array.from({ length: 30 }, (_, index) => vmOf(world.tenantB, 20 + ((generation * 30 + index) % 200)));
      for (const vm of vms) {
        const result: RunResult = send(pair.a, vm, vm.tenant.gateway, [{ layer: 'icmp', type: 8 }]);
        if (result.verdict !== 'DROP') learned++;
        if (knows(pair.a, vm)) idle(vm, VM_TICKS + 10);
      }
      for (let pass = 0; pass < 3; pass++) {
        age();
        makeRested(pair.a);
      }
      expect(tableFaults(pair.a)).toEqual([]);
    }
    expect(learned).toBe(180);
  });

  it('a VM that takes over a place has nothing of the one before', () => {
    meet(a1);
    pair.forward(pair.a, 'underlay', frameFromVm(b1, [ipv4({ source: b1.address, destination: server }), ...overUdp.request(PORT)]));
    const place = pair.a.vmIndex(a1)!;
    idle(a1, VM_TICKS + 10);
    age();
    makeRested(pair.a);
    age();
    const heir = vmOf(world.networkA2, 77);
    learn(pair.a, heir);
    expect(pair.a.vmIndex(heir)).toBe(place);
    expect(pair.a.vm(heir)).toMatchObject({ vni: 101, network: 2, floatingIp: 0, sessions: 0, mappingCount: 0, snatAddress: 0 });
    expect(bufferToMac(pair.a.vm(heir)!.mac)).toBe(heir.mac);
    expectSent(send(pair.a, heir, server, overUdp.request(PORT)));
    expect(tableFaults(pair.a)).toEqual([]);
  });

  it('a place rests before it is given away', () => {
    meet(a1);
    const place = pair.a.vmIndex(a1)!;
    idle(a1, VM_TICKS + 10);
    age();
    const heir = vmOf(world.networkA2, 77);
    learn(pair.a, heir);
    expect(pair.a.vmIndex(heir)).not.toBe(place);
  });

  it('after a full table is aged, new VMs are learned again', () => {
    for (let host = 20; host < 120; host++) send(pair.a, vmOf(world.tenantB, host), world.tenantB.gateway, [{ layer: 'icmp', type: 8 }]);
    const late = vmOf(world.networkA2, 50);
    expect(send(pair.a, late, server, overUdp.request(PORT)).counters).toMatchObject({ drop_vm_table_full: 1 });
    for (let host = 20; host < 120; host++) if (knows(pair.a, vmOf(world.tenantB, host))) idle(vmOf(world.tenantB, host), VM_TICKS + 10);
    age();
    makeRested(pair.a);
    age();
    expectSent(send(pair.a, late, server, overUdp.request(PORT)));
    expect(tableFaults(pair.a)).toEqual([]);
  });
});
