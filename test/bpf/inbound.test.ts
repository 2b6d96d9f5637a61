/** Outside → VM, by the mapping that the VM's own packet made. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { expectValidChecksums } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, type MappingEntry } from '../support/gateway-fixture.js';
import { icmp, ICMP, ipv4, payload, tcp, TCP, udp, type Ipv4, type Layer } from '../support/packet.js';
import * as world from '../support/world.js';
import { a1, b1, frameFromVm, fromOutside, otherServer, server, toVm } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => gateway.reset({ syncMode: 'none' }));

interface Exchange {
  readonly name: string;
  readonly internalPort: number;
  readonly request: Layer[];
  readonly reply: (port: number) => Layer[];
}

const exchanges: readonly Exchange[] = [
  {
    name: 'tcp',
    internalPort: 40001,
    request: [tcp({ sourcePort: 40001, destinationPort: 80, flags: TCP.SYN })],
    reply: (port) => [tcp({ sourcePort: 80, destinationPort: port, flags: TCP.SYN | TCP.ACK, acknowledgement: 1 }), payload('abc')],
  },
  {
    name: 'udp',
    internalPort: 40002,
    request: [udp({ sourcePort: 40002, destinationPort: 53 })],
    reply: (port) => [udp({ sourcePort: 53, destinationPort: port }), payload('odd')],
  },
  {
    name: 'udp without checksum',
    internalPort: 40002,
    request: [udp({ sourcePort: 40002, destinationPort: 53 })],
    reply: (port) => [udp({ sourcePort: 53, destinationPort: port, checksum: 0 }), payload('even')],
  },
  {
    name: 'icmp echo reply',
    internalPort: 77,
    request: [icmp({ type: ICMP.echo, identifier: 77, sequence: 3 })],
    reply: (port) => [icmp({ type: ICMP.echoReply, identifier: port, sequence: 3 }), payload('ping')],
  },
];

/** Sends the request and returns the mapping that it made. */
function open(exchange: Exchange, vm = a1): MappingEntry {
  const result = gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...exchange.request]));
  expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
  return gateway.mappings().find((mapping) => mapping.externalAddress === vm.tenant.externalAddress)!;
}

const replyTo = (mapping: MappingEntry, exchange: Exchange, header: Partial<Ipv4> = {}): Buffer =>
  fromOutside([ipv4({ source: server, destination: mapping.externalAddress, ...header }), ...exchange.reply(mapping.externalPort)]);

const entropy = (frame: Buffer): number => layerOf(dissect(frame), 'udp').sourcePort;

const headers: readonly { name: string; header: Partial<Ipv4> }[] = [
  { name: 'plain header', header: {} },
  { name: 'header with options', header: { options: Buffer.from('01010101', 'hex') } },
  { name: 'longest header', header: { options: Buffer.alloc(40, 1) } },
  { name: 'DF, id and TTL 2', header: { dontFragment: true, identification: 0xbeef, ttl: 2 } },
];

describe.each(exchanges)('inbound / $name', (exchange) => {
  it.each(headers)('$name', ({ header }) => {
    const mapping = open(exchange);
    const result = gateway.run('external', replyTo(mapping, exchange, header));

    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    const inner = ipv4({ source: server, destination: a1.address, ...header, ttl: (header.ttl ?? 64) - 1 });
    expectFrame(result.frame, toVm(a1, entropy(result.frame), [inner, ...exchange.reply(exchange.internalPort)]));
    expectValidChecksums(result.frame);
    expect(result.counters).toMatchObject({ inbound_snat: 1 });
  });

  it('the tunnel goes back the way the VM came: no option stays no option', () => {
    const request = [ipv4({ source: a1.address, destination: server }), ...exchange.request];
    gateway.run('underlay', frameFromVm(a1, request, { geneve: { options: [] } }));
    const result = gateway.run('external', replyTo(gateway.mappings()[0]!, exchange));

    expect(layerOf(dissect(result.frame), 'geneve')).toMatchObject({ options: [], optionLength: 0, critical: false });
  });

  it('another remote is refused and leaves everything as it was', () => {
    const mapping = open(exchange);
    const before = gateway.tables();
    const stranger = replyTo(mapping, exchange, { source: otherServer });
    const result = gateway.run('external', stranger);

    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_filtered: 1 });
    expect(gateway.tables()).toEqual(before);
  });

  it('a port without mapping is refused', () => {
    const mapping = open(exchange);
    const result = gateway.run('external', replyTo({ ...mapping, externalPort: mapping.externalPort ^ 1 }, exchange));

    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_no_mapping: 1 });
  });

  it('backup drops', () => {
    const mapping = open(exchange);
    gateway.setState('backup');

    const result = gateway.run('external', replyTo(mapping, exchange));
    expect(result.verdict).toBe('DROP');
    expect(result.counters).toEqual({ drop_not_active: 1 });
  });

  it('draining tunnels with the virtual MAC: computes keep the MAC that tunnelled packets come from', () => {
    const mapping = open(exchange);
    gateway.setState('draining');
    const result = gateway.run('external', replyTo(mapping, exchange));

    expect(result.verdict).toBe('REDIRECT');
    expect(layerOf(dissect(result.frame), 'ethernet')).toMatchObject({ source: world.VIRTUAL_MAC, destination: a1.compute.mac });
    expect(layerOf(dissect(result.frame), 'ipv4').source).toBe(world.VIRTUAL_ADDRESS);
  });
});

describe('inbound / which remote', () => {
  it('UDP is filtered by address: another port of the same remote may answer (RFC 4787 REQ-8)', () => {
    const mapping = open(exchanges[1]!);
    const answer = [udp({ sourcePort: 5353, destinationPort: mapping.externalPort })];
    const result = gateway.run('external', fromOutside([ipv4({ source: server, destination: mapping.externalAddress }), ...answer]));

    expect(result.verdict).toBe('REDIRECT');
  });

  it('TCP is filtered by address and port where the router says so', () => {
    gateway.setRouter({ filtering: 2 });
    const mapping = open(exchanges[0]!);
    const answer = [tcp({ sourcePort: 81, destinationPort: mapping.externalPort })];
    const result = gateway.run('external', fromOutside([ipv4({ source: server, destination: mapping.externalAddress }), ...answer]));

    expect(result.counters).toEqual({ drop_filtered: 1 });
  });

  it('each tenant gets its own answers, though internal addresses and ports are the same', () => {
    for (const vm of [a1, b1]) {
      const mapping = open(exchanges[1]!, vm);
      const result = gateway.run('external', replyTo(mapping, exchanges[1]!));
      const layers = dissect(result.frame);
      expect(layerOf(layers, 'geneve').vni).toBe(vm.tenant.vni);
      expect(layerOf(layers, 'ethernet', 1)).toMatchObject({ source: vm.tenant.gatewayMac, destination: vm.mac });
      expect(layerOf(layers, 'ethernet', 0).destination).toBe(vm.compute.mac);
    }
  });

  it('a VM that moved is answered where it is now', () => {
    const mapping = open(exchanges[1]!);
    const moved = { ...a1, compute: world.compute2 };
    const learned = gateway.run('underlay', frameFromVm(moved, [ipv4({ source: a1.address, destination: server }), ...exchanges[1]!.request]));
    const result = gateway.run('external', replyTo(mapping, exchanges[1]!));

    expect(learned.counters).toMatchObject({ vm_moved: 1 });
    expect(layerOf(dissect(result.frame), 'ipv4').destination).toBe(world.compute2.address);
    expect(layerOf(dissect(result.frame), 'ethernet').destination).toBe(world.compute2.mac);
  });
});

describe('inbound / tunnel', () => {
  it('the source port is in the dynamic range and the same for all packets of a flow', () => {
    const mapping = open(exchanges[1]!);
    const ports = [1, 2, 3].map((identification) =>
      entropy(gateway.run('external', replyTo(mapping, exchanges[1]!, { identification })).frame),
    );
    expect(new Set(ports).size).toBe(1);
    expect(ports[0]).toBeGreaterThanOrEqual(0xc000);
  });

  it.skipIf(gateway.hook === 'tc')('goes out by the underlay and no other interface', () => {
    const mapping = open(exchanges[1]!);
    gateway.setPorts('external', 'ha');
    expect(gateway.run('external', replyTo(mapping, exchanges[1]!)).verdict).toBe('ABORTED');
    gateway.setPorts('underlay');
    expect(gateway.run('external', replyTo(mapping, exchanges[1]!)).verdict).toBe('REDIRECT');
  });

  it('traffic class is copied to the outer header (RFC 6040 §4.1)', () => {
    const mapping = open(exchanges[1]!);
    const result = gateway.run('external', replyTo(mapping, exchanges[1]!, { typeOfService: 0x02 }));
    expect(layerOf(dissect(result.frame), 'ipv4', 0).typeOfService & 3).toBe(2);
  });
});

describe('TCP session state', () => {
  const segment = (flags: number) => tcp({ sourcePort: 40001, destinationPort: 80, flags });
  const out = (flags: number) => gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), segment(flags)]));
  const back = (flags: number) => {
    const mapping = gateway.mappings()[0]!;
    const answer = tcp({ sourcePort: 80, destinationPort: mapping.externalPort, flags });
    return gateway.run('external', fromOutside([ipv4({ source: server, destination: mapping.externalAddress }), answer]));
  };
  const state = (): number => gateway.mappings()[0]!.first.state;

  it('SYN, SYN-ACK, ACK: transitory, transitory, established', () => {
    out(TCP.SYN);
    expect(state()).toBe(1);
    back(TCP.SYN | TCP.ACK);
    expect(state()).toBe(1);
    const acknowledged = out(TCP.ACK);
    expect(state()).toBe(2);
    expect(acknowledged.counters).toMatchObject({ outbound_snat: 1, session_established: 1 });
  });

  it('a SYN and an ACK without an answer are not established', () => {
    out(TCP.SYN);
    out(TCP.ACK);
    expect(state()).toBe(1);
  });

  it('one FIN keeps it established, both close it, a RST closes it', () => {
    out(TCP.SYN), back(TCP.SYN | TCP.ACK), out(TCP.ACK);
    out(TCP.FIN | TCP.ACK);
    expect(state()).toBe(2);
    back(TCP.FIN | TCP.ACK);
    expect(state()).toBe(3);

    gateway.reset({ syncMode: 'none' });
    out(TCP.SYN), back(TCP.SYN | TCP.ACK), out(TCP.ACK);
    back(TCP.RST);
    expect(state()).toBe(3);
    expect(back(TCP.ACK).verdict).toBe('REDIRECT');
  });

  it('a new SYN on a closed connection starts again', () => {
    out(TCP.SYN), back(TCP.RST | TCP.ACK);
    out(TCP.SYN);
    expect(state()).toBe(1);
  });
});
