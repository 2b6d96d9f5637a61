/** What everybody shares, and how much of it one may take: the control plane's attention, ports that rest. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { GatewayFixture, hooks, ticksAgo, type ProgramName } from '../support/gateway-fixture.js';
import { Pair } from '../support/pair.js';
import { ipv4, payload, split, udp, type Layer } from '../support/packet.js';
import { emittedBy, expectSent, learn, mappingOf, overUdp, send, type Emitted } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, b2, frameFromVm, fromOutside, server, vmOf, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
/** HAND_OVERS_PER_TICK */
const SHARE = 64;
/** More than the ring buffer has room for. */
const FLOOD = 200;
/** Of 250 Hz, or of 100. */
const JIFFY_NS = 10_000_000n;

describe.each(hooks)('what a router may hand over to the control plane in a tick, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    learn(gateway, a1, a2, a3, b1, b2);
    gateway.setInterface('underlay', { mtu: 1500 });
  });

  type Arrival = readonly [ProgramName, Buffer];
  const fromVm = (vm: VirtualMachine, packet: readonly Layer[]): Arrival => ['underlay', frameFromVm(vm, packet)];
  const small = (vm: VirtualMachine, destination: string): Arrival => fromVm(vm, [ipv4({ source: vm.address, destination }), ...overUdp.request(PORT)]);
  const large = (vm: VirtualMachine, identification: number): Arrival =>
    fromVm(vm, [ipv4({ source: vm.address, destination: server, identification }), udp({ sourcePort: PORT, destinationPort: 53 }), payload(Buffer.alloc(1473))]);
  const secondPart = (vm: VirtualMachine, identification: number): Arrival =>
    fromVm(vm, split(32, [ipv4({ source: vm.address, destination: server, identification }), udp({ sourcePort: 1, destinationPort: 2 }), payload(Buffer.alloc(64))])[1]!);
  const inbound = (destination: string): Arrival => ['external', fromOutside([ipv4({ source: server, destination }), ...overUdp.request(PORT)])];
  const silentA = '10.0.2.230';
  const silentB = '10.0.2.231';

  interface Flood {
    readonly name: string;
    readonly type: number;
    /** Of tenant A, one of many. */
    readonly of: (i: number) => Arrival;
    /** Of tenant B. */
    readonly another: () => Arrival;
  }

  const floods: readonly Flood[] = [
    { name: 'next hops', type: eventType.neighbourUnresolved, of: (i) => small(a1, `10.0.2.${20 + (i % 100)}`), another: () => small(b1, '10.0.2.19') },
    { name: 'VMs, from outside', type: eventType.endpointUnresolved, of: () => inbound(silentA), another: () => inbound(silentB) },
    { name: 'VMs, from another network', type: eventType.endpointUnresolved, of: (i) => small(a1, `172.16.101.${20 + (i % 100)}`), another: () => inbound(silentB) },
    { name: 'parts of packets', type: eventType.fragmentEarly, of: (i) => secondPart(a1, i), another: () => secondPart(b1, 7) },
    { name: 'packets to be split', type: eventType.fragmentationNeeded, of: (i) => large(a1, i), another: () => large(b1, 7) },
  ];
  const run = ([program, bytes]: Arrival): void => void gateway.execute(program, bytes);

  /** What the programs emit meanwhile. Again, where a tick has ended in between: theirs ends up to a jiffy after ours, as their clock is the coarse one. */
  async function inOneTick(what: () => void): Promise<Emitted[]> {
    const events = await emittedBy(gateway);
    for (;;) {
      for (const tenant of world.tenants) gateway.routerStates.update(tenant.router, { handOverTick: 0, handOvers: 0 });
      events.length = 0;
      const before = ticksAgo(0, JIFFY_NS);
      what();
      const whole = ticksAgo(0) === before;
      await quiet(events);
      if (whole) return events;
    }
  }

  async function quiet(events: readonly Emitted[]): Promise<void> {
    let seen = -1;
    while (events.length !== seen) {
      seen = events.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it.each(floods)('$name: one router\'s flood leaves the others\' share alone', async ({ type, of, another }) => {
    gateway.addFloatingIp(vmOf(world.tenantA, 90), silentA);
    gateway.addFloatingIp(vmOf(world.tenantB, 91), silentB);
    const events = await inOneTick(() => {
      for (let i = 0; i < FLOOD; i++) run(of(i));
      run(another());
    });
    expect(events).toHaveLength(SHARE + 1);
    expect(events.slice(0, SHARE).every(({ event }) => event.type === type)).toBe(true);
  });

  it('all reasons count together', async () => {
    gateway.addFloatingIp(vmOf(world.tenantA, 90), silentA);
    const events = await inOneTick(() => {
      for (const { of } of floods) for (let i = 0; i < 20; i++) run(of(i));
    });
    expect(events).toHaveLength(SHARE);
  });

  it('the next tick brings a new share', async () => {
    const { of } = floods[0]!;
    const events = await inOneTick(() => {
      for (let i = 0; i < FLOOD / 2; i++) run(of(i));
      gateway.routerStates.update(0, { handOverTick: ticksAgo(1) });
      run(of(1));
    });
    expect(events).toHaveLength(SHARE + 1);
  });

  it('what is not handed over is dropped and counted as ever', async () => {
    const { of } = floods[0]!;
    let beyond;
    await inOneTick(() => {
      for (let i = 0; i < SHARE; i++) run(of(i));
      beyond = gateway.run(...of(1));
    });
    expect(beyond).toMatchObject({ verdict: 'DROP', counters: { drop_neighbour_unresolved: 1 } });
    expectSent(send(gateway, a1, server, overUdp.request(PORT)));
    expectSent(send(gateway, a1, a3.address, overUdp.request(PORT)));
  });
});

describe('ports that rest (RFC 6888 REQ-8)', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());
  beforeEach(() => {
    pair.reset({ syncMode: 'none' });
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: 1n });
  });

  const resting = (): number => pair.a.states.get(0).restingPorts;
  const age = (): void => void pair.walk(pair.a, 'age_xdp');
  /** Slots of UDP that this many mappings have had, after their end. */
  function endMappings(count: number): number[] {
    const slots = Array.from({ length: count }, (_, i) => {
      send(pair.a, a1, server, overUdp.request(PORT + i));
      return pair.a.mappingIndex(world.tenantA.externalAddress, 'udp', mappingOf(pair.a, a1, overUdp, PORT + i).externalPort);
    });
    for (const slot of slots) pair.a.mappingTable.update(slot, { first: { ...pair.a.mappingTable.get(slot).first, lastSeen: ticksAgo(10_000) } });
    age();
    expect(pair.a.mappings()).toEqual([]);
    return slots;
  }
  const restingOf = (slots: readonly number[]): number => slots.filter((slot) => pair.a.mappingTable.get(slot).lastSeen !== 0).length;

  it.each([
    [0, 6],
    [1, 1],
    [4, 4],
    [6, 6],
    [100, 6],
  ])('with a limit of %i, of six that end %i rest; 0 is no limit', (restingPortLimit, rest) => {
    pair.a.setGateway({ restingPortLimit });
    const slots = endMappings(6);
    expect([restingOf(slots), resting()]).toEqual([rest, rest]);
  });

  it('the port beyond is free at once: its internal port gets it back', () => {
    pair.a.setGateway({ restingPortLimit: 1 });
    const slots = endMappings(3);
    const free = slots.map((slot, i) => ({ slot, port: PORT + i })).filter(({ slot }) => pair.a.mappingTable.get(slot).lastSeen === 0);
    expect(free).toHaveLength(2);
    for (const { slot, port } of free) {
      send(pair.a, a1, server, overUdp.request(port));
      expect(mappingOf(pair.a, a1, overUdp, port).index).toBe(slot);
    }
    expect(resting()).toBe(1);
  });

  it('one that has rested for long enough makes room for another', () => {
    pair.a.setGateway({ restingPortLimit: 2 });
    const slots = endMappings(3);
    for (const slot of slots) if (pair.a.mappingTable.get(slot).lastSeen !== 0) pair.a.mappingTable.update(slot, { lastSeen: ticksAgo(113) });
    age();
    expect([restingOf(slots), resting()]).toEqual([0, 0]);
    expect(restingOf(endMappings(3))).toBe(2);
  });

  it('one that is given away again rests no longer', () => {
    const [slot] = endMappings(1);
    pair.a.mappingTable.update(slot!, { lastSeen: ticksAgo(113) });
    send(pair.a, a1, server, overUdp.request(PORT));
    expect(mappingOf(pair.a, a1, overUdp, PORT).index).toBe(slot);
    expect(resting()).toBe(0);
  });

  it('those of port forwardings count as well', () => {
    pair.a.setGateway({ restingPortLimit: 1 });
    const forwardings = [8080, 8081].map((externalPort) => ({ vm: a1, protocol: 'tcp', internalPort: externalPort, externalPort }) as const);
    for (const forwarding of forwardings) pair.a.addForwarding(forwarding);
    for (const forwarding of forwardings) pair.a.removeForwarding(forwarding);
    const slots = forwardings.map(({ externalPort }) => pair.a.mappingIndex(world.tenantA.externalAddress, 'tcp', externalPort));
    expect([restingOf(slots), resting()]).toEqual([1, 1]);
    pair.a.addForwarding(forwardings[0]!);
    expect(resting()).toBe(0);
  });
});
