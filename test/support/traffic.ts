/** Packets there and back, as most packet tests send them, and what has to come out. */
import { expect, onTestFinished } from 'vitest';
import type { Event } from '../../src/dataplane/layout.generated.js';
import { expectValidChecksums } from './checksum.js';
import { dissect, layerOf } from './dissect.js';
import { expectFrame } from './expect-frame.js';
import type { GatewayFixture, MappingEntry, RunResult } from './gateway-fixture.js';
import { icmp, ICMP, ipv4, payload, tcp, TCP, udp, type Ipv4, type Layer } from './packet.js';
import { a1, externalRouter, frameFromVm, fromOutside, toOutside, toVm, type TunnelOverrides, type VirtualMachine } from './world.js';

type Header = Partial<Omit<Ipv4, 'layer'>>;

/** A protocol with ports or query ids: what one end says to the other, and its answer. */
export interface Protocol {
  readonly name: 'tcp' | 'udp' | 'icmp';
  /** enum mapping_protocol */
  readonly number: number;
  readonly remotePort: number;
  /** From `port`: the end that speaks first. */
  readonly request: (port: number, remotePort?: number) => Layer[];
  /** To `port`. */
  readonly reply: (port: number, remotePort?: number) => Layer[];
}

export const overTcp: Protocol = {
  name: 'tcp',
  number: 0,
  remotePort: 80,
  request: (port, remotePort = 80) => [tcp({ sourcePort: port, destinationPort: remotePort, flags: TCP.SYN, sequence: 7 })],
  reply: (port, remotePort = 80) => [tcp({ sourcePort: remotePort, destinationPort: port, flags: TCP.SYN | TCP.ACK, acknowledgement: 8 })],
};
export const overUdp: Protocol = {
  name: 'udp',
  number: 1,
  remotePort: 53,
  request: (port, remotePort = 53) => [udp({ sourcePort: port, destinationPort: remotePort }), payload('question')],
  reply: (port, remotePort = 53) => [udp({ sourcePort: remotePort, destinationPort: port }), payload('answer!')],
};
export const overIcmp: Protocol = {
  name: 'icmp',
  number: 2,
  remotePort: 0,
  request: (port) => [icmp({ type: ICMP.echo, identifier: port, sequence: 1 }), payload('ping ping ping')],
  reply: (port) => [icmp({ type: ICMP.echoReply, identifier: port, sequence: 1 }), payload('ping ping ping')],
};
export const protocols: readonly Protocol[] = [overTcp, overUdp, overIcmp];

/** From a VM. */
export function send(
  gateway: GatewayFixture, vm: VirtualMachine, destination: string, segment: readonly Layer[], header: Header = {}, tunnel: TunnelOverrides = {},
): RunResult {
  return gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination, ...header }), ...segment], tunnel));
}

/** From the provider network. */
export function receive(gateway: GatewayFixture, source: string, destination: string, segment: readonly Layer[], header: Header = {}): RunResult {
  return gateway.run('external', fromOutside([ipv4({ source, destination, ...header }), ...segment]));
}

/** The VM sends one packet, so that its endpoint is known; nothing else is known afterwards of one with a floating IP. */
export function learn(gateway: GatewayFixture, ...vms: readonly VirtualMachine[]): void {
  for (const vm of vms) {
    expectSent(gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: vm.tenant.gateway }), ...overIcmp.request(1)])));
  }
}

/** Forwarded or answered: the counters say why not. */
export function expectSent(result: RunResult): void {
  expect(['REDIRECT', 'TX'], JSON.stringify(result.counters)).toContain(result.verdict);
}

/** Dropped for this reason and no other. */
export function expectDropped(result: RunResult, reason: string): void {
  const drops = Object.keys(result.counters).filter((name) => name.startsWith('drop_'));
  expect(drops, `${result.verdict} ${JSON.stringify(result.counters)}`).toEqual([`drop_${reason}`]);
  expect(result.verdict).toBe('DROP');
}

/** The tunnel's source port, which is entropy (RFC 8926 §3.3). */
export function entropyOf(frame: Buffer): number {
  return layerOf(dissect(frame), 'udp').sourcePort;
}

/** The whole frame: this packet in a tunnel to the VM, which has its type of service (RFC 6040 §4.1), all sums right. */
export function expectToVm(result: RunResult, vm: VirtualMachine, inner: readonly Layer[], tunnel: TunnelOverrides = {}): void {
  expectSent(result);
  const typeOfService = (inner[0] as Ipv4).typeOfService ?? 0;
  const outer = { ...tunnel, ipv4: { typeOfService, ...tunnel.ipv4 } };
  expectFrame(result.frame, toVm(vm, entropyOf(result.frame), inner, outer));
  expectValidChecksums(result.frame);
}

/** The whole frame: this packet on the provider network, all sums right. */
export function expectToOutside(result: RunResult, packet: readonly Layer[], nextHop: string = externalRouter.mac, vlan?: number): void {
  expectSent(result);
  expectFrame(result.frame, toOutside(packet, nextHop, vlan));
  expectValidChecksums(result.frame);
}

/** The mapping of an internal endpoint. Throws if there is none. */
export function mappingOf(gateway: GatewayFixture, vm: VirtualMachine, protocol: Protocol, internalPort: number): MappingEntry {
  const slot = gateway.vmIndex(vm);
  const found = gateway.mappings().find(
    (mapping) => mapping.vm - 1 === slot && mapping.protocol === protocol.number && mapping.internalPort === internalPort,
  );
  if (found === undefined) throw new Error(`${vm.address}:${internalPort}/${protocol.name} has no mapping`);
  return found;
}

/** One VM of each of further routers: a router hands over only so much to the control plane in a tick. At most five. */
export function vmsOfRouters(gateway: GatewayFixture, count: number): VirtualMachine[] {
  return Array.from({ length: count }, (_, i) => {
    const tenant = { ...a1.tenant, router: 2 + i, vni: 300 + i };
    gateway.routers.set(tenant.router, gateway.routers.get(a1.tenant.router)!);
    gateway.addNetwork(tenant, 3 + i);
    return { ...a1, tenant };
  });
}

export interface Emitted {
  readonly event: Event;
  readonly frame: Buffer;
}

/** Longer than the ring buffer takes to deliver. */
const QUIET_MS = 30;

/** The events from now on, until the test ends; what earlier packets have left is thrown away. */
export async function emittedBy(gateway: GatewayFixture): Promise<Emitted[]> {
  const events: Emitted[] = [];
  const ring = gateway.listen((event, frame) => events.push({ event, frame }));
  onTestFinished(() => ring.close());
  do {
    events.length = 0;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  } while (events.length > 0);
  return events;
}
