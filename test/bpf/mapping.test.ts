/** RFC 4787, 5382, 6888: which external port an internal endpoint gets, and who may use it. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { dissect, layerOf } from '../support/dissect.js';
import { GatewayFixture, ticksAgo, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { icmp, ICMP, ipv4, tcp, TCP, udp } from '../support/packet.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, fromOutside, otherServer, server, type VirtualMachine } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => gateway.reset({ syncMode: 'none' }));

/** Thousands of frames, on a machine that does other things. */
const SLOW_TEST_MS = 120_000;
const BLOCK = 256;
const OWN_BLOCKS = (256 - 4) / 2;

function udpOut(vm: VirtualMachine, port: number, destination = server, destinationPort = 53): RunResult {
  return gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), udp({ sourcePort: port, destinationPort })]));
}

/** As udpOut, for loops: whether it got out. */
function udpGetsOut(vm: VirtualMachine, port: number): boolean {
  const segment = udp({ sourcePort: port, destinationPort: 53 });
  return gateway.execute('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), segment])).verdict === 'REDIRECT';
}

function tcpOut(vm: VirtualMachine, port: number, destination = server, destinationPort = 80): RunResult {
  const segment = tcp({ sourcePort: port, destinationPort, flags: TCP.SYN });
  return gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), segment]));
}

const udpPort = (result: RunResult): number => layerOf(dissect(result.frame), 'udp').sourcePort;
const tcpPort = (result: RunResult): number => layerOf(dissect(result.frame), 'tcp').sourcePort;

/** A VM of tenant A that has no special role. */
const vmNumber = (host: number): VirtualMachine => ({ ...a1, address: `172.16.100.${host}`, mac: `fa:16:3e:00:03:${host.toString(16).padStart(2, '0')}` });

describe('endpoint-independent mapping (RFC 4787 REQ-1)', () => {
  it('UDP: the same internal port to other remotes and ports is the same external port', () => {
    const ports = [udpOut(a1, 5000), udpOut(a1, 5000, otherServer), udpOut(a1, 5000, server, 123)].map(udpPort);
    expect(new Set(ports).size).toBe(1);
    expect(gateway.mappings()).toHaveLength(1);
    expect(gateway.sessions()).toHaveLength(1);
    expect(gateway.mappings()[0]!.sessionCount).toBe(1);
  });

  it('TCP: another connection of the same internal port is the same external port', () => {
    const ports = [tcpOut(a1, 5000), tcpOut(a1, 5000, otherServer), tcpOut(a1, 5000, server, 443)].map(tcpPort);
    expect(new Set(ports).size).toBe(1);
    expect(gateway.sessions()).toHaveLength(2);
  });

  it('TCP: connections of one internal port with one remote address are as many as the table holds, not two buckets', () => {
    const results = Array.from({ length: 40 }, (_, n) => tcpOut(a1, 5000, server, 1000 + n));
    expect(new Set(results.map(({ verdict }) => verdict))).toEqual(new Set(['REDIRECT']));
    expect(gateway.sessions()).toHaveLength(39);
    // Each is found again, and none is made twice.
    expect(tcpOut(a1, 5000, server, 1039).counters).toEqual({ outbound_snat: 1 });
    expect(tableFaults(gateway)).toEqual([]);
  });

  it.each([{ remotePort: 80, made: [] }, { remotePort: 80, made: [81] }])('TCP: a reset makes no session, and passes where a mapping is: $made', ({ remotePort, made }) => {
    const reset = (): RunResult =>
      gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), tcp({ sourcePort: 5000, destinationPort: remotePort, flags: TCP.RST })]));
    for (const port of made) tcpOut(a1, 5000, server, port);
    const before = gateway.tables();
    if (made.length === 0) expect(reset().counters).toMatchObject({ drop_no_mapping: 1 });
    else expect(tcpPort(reset())).toBe(gateway.mappings()[0]!.externalPort);
    if (made.length > 0) expect(gateway.tables()).toEqual(before);
    expect(gateway.mappings()).toHaveLength(made.length);
    expect(gateway.sessions()).toEqual([]);
  });

  it('ICMP: the same query id to another remote is the same external id (RFC 5508 REQ-1)', () => {
    const ids = [server, otherServer].map((destination) => {
      const packet = [ipv4({ source: a1.address, destination }), icmp({ type: ICMP.echo, identifier: 9 })];
      return layerOf(dissect(gateway.run('underlay', frameFromVm(a1, packet)).frame), 'icmp').identifier;
    });
    expect(ids[0]).toBe(ids[1]);
    expect(gateway.mappings()).toHaveLength(1);
  });

  it('protocols do not share mappings', () => {
    udpOut(a1, 5000);
    tcpOut(a1, 5000);
    expect(gateway.mappings().map((mapping) => mapping.protocol).sort()).toEqual([0, 1]);
  });

  it('each remote that was written to may answer', () => {
    const port = udpPort(udpOut(a1, 5000));
    udpOut(a1, 5000, otherServer);
    for (const source of [server, otherServer]) {
      const answer = [ipv4({ source, destination: a1.tenant.externalAddress }), udp({ sourcePort: 53, destinationPort: port })];
      expect(gateway.run('external', fromOutside(answer)).verdict).toBe('REDIRECT');
    }
  });
});

describe('ports', () => {
  it.each([
    [world.nodeA, world.nodeB],
    [world.nodeB, world.nodeA],
  ])('gateway $id takes only blocks of its own parity', (node, peer) => {
    gateway.reset({ syncMode: 'none', node, peer });
    for (let host = 20; host < 50; host++) udpOut(vmNumber(host), 5000);

    const blocks = gateway.portBlocks();
    expect(blocks).toHaveLength(30);
    expect(new Set(blocks.map(({ block }) => block % 2))).toEqual(new Set([node.id]));
    for (const mapping of gateway.mappings()) expect(Math.floor(mapping.externalPort / BLOCK) % 2).toBe(node.id);
  });

  it('are never below 1024', () => {
    for (let host = 20; host < 80; host++) udpOut(vmNumber(host), 5000);
    for (const mapping of gateway.mappings()) expect(mapping.externalPort).toBeGreaterThanOrEqual(1024);
  });

  it('UDP keeps its parity (RFC 4787 REQ-4)', () => {
    for (let port = 5000; port < 5100; port++) expect(udpPort(udpOut(a1, port)) % 2).toBe(port % 2);
  });

  it('are never given to two endpoints', () => {
    for (let port = 5000; port < 5200; port++) udpOut(a1, port), udpOut(vmNumber(20), port);
    const ports = gateway.mappings().map(({ externalPort }) => externalPort);
    expect(ports).toHaveLength(400);
    expect(new Set(ports).size).toBe(400);
    for (const { externalPort, vm } of gateway.mappings()) {
      const block = gateway.portBlocks().find((entry) => entry.block === Math.floor(externalPort / BLOCK))!;
      expect(block.vm).toBe(vm);
    }
  });

  it('a block counts its mappings', () => {
    for (let port = 5000; port < 5010; port++) udpOut(a1, port), tcpOut(a1, port);
    expect(gateway.portBlocks().reduce((sum, block) => sum + block.mappings, 0)).toBe(20);
  });

  it('of one VM are not predictable from those of another: the offset inside of blocks differs', () => {
    const offsets = new Set<number>();
    for (let host = 20; host < 50; host++) offsets.add(udpPort(udpOut(vmNumber(host), 5000)) % BLOCK);
    expect(offsets.size).toBeGreaterThan(10);
  });
});

describe('exhaustion', () => {
  it('a VM that used all of its blocks is refused, counted, and others go on', () => {
    let port = 1024;
    // At TC an answer is a redirect as well.
    gateway.setGateway({ icmpErrorsPerSecond: 0 });
    while (udpGetsOut(a1, port)) port++;
    gateway.setGateway({ icmpErrorsPerSecond: 1000 });
    const refused = udpOut(a1, port);

    expect(port - 1024).toBeGreaterThan(8 * BLOCK * 0.5);
    expect(refused.counters).toEqual({ drop_ports_exhausted: 1, icmp_error_to_vm: 1 });
    expect(gateway.portBlocks()).toHaveLength(8);
    expect(udpOut(vmNumber(20), 5000).verdict).toBe('REDIRECT');
  });

  it('an address without free blocks refuses, and its existing mappings go on', () => {
    const port = udpPort(udpOut(a1, 5000));
    for (let block = 0; block < 256; block++) {
      if (gateway.portBlockTable.get(block).vm === 0) gateway.portBlockTable.update(block, { vm: 63, mappings: 256, lastSeen: 1 });
    }
    const before = gateway.tables();
    const result = udpOut(vmNumber(20), 5000);

    expect(result.counters).toMatchObject({ drop_ports_exhausted: 1, icmp_error_to_vm: 1 });
    expect(gateway.tables().mappings).toEqual(before.mappings);
    expect(udpPort(udpOut(a1, 5000))).toBe(port);
  });

  it('the blocks of the address are all usable', () => {
    const taken = new Set<number>();
    for (let host = 20; host < 40; host++) {
      const vm = vmNumber(host);
      for (let port = 1024; udpGetsOut(vm, port); port++);
    }
    for (const { block } of gateway.portBlocks()) taken.add(block);
    expect(taken.size).toBe(OWN_BLOCKS);
  }, SLOW_TEST_MS);

  it('a full session table refuses a new remote and keeps the old', () => {
    let refused: RunResult | undefined;
    for (let host = 1; host < 250 && refused === undefined; host++) {
      const result = udpOut(a1, 5000, `198.51.100.${host}`);
      if (result.verdict !== 'REDIRECT') refused = result;
    }
    expect(refused?.counters).toMatchObject({ drop_session_table_full: 1 });
    expect(udpOut(a1, 5000, '198.51.100.1').verdict).toBe('REDIRECT');
    expect(gateway.mappings()[0]!.sessionCount).toBe(gateway.sessions().length);
  });
});

describe('hold-down (RFC 6888 REQ-8)', () => {
  it('a port that was just freed is not given to anybody, later it is', () => {
    const port = udpPort(udpOut(a1, 5000));
    const index = (0 * 3 + 1) * 65536 + port;
    const free = (freedTicksAgo: number): void => {
      const mapping = gateway.mappingTable.get(index);
      gateway.mappingTable.set(index, { ...mapping, vm: 0, internalPort: 0, sessionCount: 0, lastSeen: ticksAgo(freedTicksAgo) });
      gateway.mappingTable.update(index, { first: { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 } });
    };
    gateway.setGateway({ holdDownTicks: 100 });

    free(10);
    expect(udpPort(udpOut(a1, 5000))).not.toBe(port);

    gateway.reset({ syncMode: 'none' });
    const again = udpPort(udpOut(a1, 5000));
    gateway.setGateway({ holdDownTicks: 100 });
    const slot = (0 * 3 + 1) * 65536 + again;
    gateway.mappingTable.set(slot, { vm: 0, internalPort: 0, flags: 0, lastSeen: ticksAgo(101), sessionCount: 0, first: { remote: 0, remotePort: 0, state: 0, flags: 0, lastSeen: 0, internalPort: 0, sequence: 0 } });
    expect(udpPort(udpOut(a1, 5000))).toBe(again);
  });
});
