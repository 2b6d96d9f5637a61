/**
 * RFC 4787 §4.1 and §5 as a stranger would test them: which external port an
 * internal endpoint shows to whom, and who may answer.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { filteringBehaviour, mappingBehaviour } from '../../src/dataplane/layout.generated.js';
import { dissect, layerOf } from '../support/dissect.js';
import { GatewayFixture, hooks, type RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ipv4, tcp, TCP } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { expectDropped, expectSent, expectToVm, overIcmp, overTcp, overUdp, receive, send, type Protocol } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, frameFromVm, otherServer, server, vmOf } from '../support/world.js';

const PORT = 40_000;
const ADDRESS = world.tenantA.externalAddress;
const UNRELATED = '198.51.100.77';
const REMOTE_PORTS = [7000, 7001] as const;

const filterings = Object.entries(filteringBehaviour) as readonly [keyof typeof filteringBehaviour, number][];
const mappings = Object.entries(mappingBehaviour) as readonly [keyof typeof mappingBehaviour, number][];

describe.each(hooks)('behaviours, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  /** The external port with which it left. */
  function portOf(result: RunResult, protocol: Protocol): number {
    expectSent(result);
    const layers = dissect(result.frame);
    if (protocol.name === 'icmp') return layerOf(layers, 'icmp').identifier;
    return protocol.name === 'udp' ? layerOf(layers, 'udp').sourcePort : layerOf(layers, 'tcp').sourcePort;
  }

  const out = (protocol: Protocol, port: number, remote: string, remotePort?: number): number =>
    portOf(send(gateway, a1, remote, protocol.request(port, remotePort)), protocol);

  const remotes = [server, otherServer].flatMap((remote) => REMOTE_PORTS.map((port) => [remote, port] as const));

  describe('mapping', () => {
    it.each([overTcp, overUdp, overIcmp])('endpoint-independent $name: one external port for every remote and port', (protocol) => {
      const ports = remotes.map(([remote, remotePort]) => out(protocol, PORT, remote, remotePort));
      expect(new Set(ports).size).toBe(1);
      expect(gateway.mappings()).toHaveLength(1);
      expect(tableFaults(gateway)).toEqual([]);
    });

    it('endpoint-independent: no external port for two internal ones (RFC 4787 REQ-3)', () => {
      const ports = Array.from({ length: 100 }, (_, index) => out(overUdp, 5000 + index, `198.51.100.${index + 1}`));
      expect(new Set(ports).size).toBe(100);
    });

    describe('address-and-port-dependent', () => {
      beforeEach(() => gateway.setRouter({ mapping: mappingBehaviour.addressAndPortDependent, filtering: filteringBehaviour.addressAndPortDependent }));

      it.each([overTcp, overUdp])('$name: the same flow keeps its port', (protocol) => {
        for (const [remote, remotePort] of remotes) {
          const first = out(protocol, PORT, remote, remotePort);
          expect(out(protocol, PORT, remote, remotePort)).toBe(first);
        }
        expect(tableFaults(gateway)).toEqual([]);
      });

      it.each([overTcp, overUdp, overIcmp])('$name: two internal ports never share an external one towards one remote', (protocol) => {
        const seen = new Map<string, number>();
        for (let port = 5000; port < 5040; port++) {
          for (const [remote, remotePort] of remotes.slice(0, 1)) {
            const key = `${out(protocol, port, remote, remotePort)} ${remote}:${remotePort}`;
            expect(seen.get(key), key).toBeUndefined();
            seen.set(key, port);
          }
        }
      });

      it('overloading: more flows than ports, each answered at the internal port that it belongs to', () => {
        gateway.setRouter({ vmBlockLimit: 1 });
        const flows: { port: number; remote: string; externalPort: number }[] = [];
        for (let index = 0; index < 420; index++) {
          const remote = `198.51.${100 + Math.floor(index / 200)}.${1 + (index % 200)}`;
          const result = send(gateway, a1, remote, overTcp.request(20_000 + index));
          if (result.verdict === 'REDIRECT') flows.push({ port: 20_000 + index, remote, externalPort: portOf(result, overTcp) });
        }
        const externalPorts = new Set(flows.map(({ externalPort }) => externalPort));
        expect(gateway.portBlocks()).toHaveLength(1);
        expect(flows.length).toBeGreaterThan(externalPorts.size + 30);
        for (const { port, remote, externalPort } of flows) {
          const back = receive(gateway, remote, ADDRESS, overTcp.reply(externalPort));
          expectToVm(back, a1, [ipv4({ source: remote, destination: a1.address, ttl: 63 }), ...overTcp.reply(port)]);
        }
        for (const { port, remote, externalPort } of flows) {
          const ack = [tcp({ sourcePort: port, destinationPort: 80, flags: TCP.ACK })];
          expect(portOf(send(gateway, a1, remote, ack), overTcp)).toBe(externalPort);
        }
        expect(tableFaults(gateway)).toEqual([]);
      });

      it('one VM\'s ports are never another\'s', () => {
        const other = vmOf(world.tenantA, 30);
        out(overUdp, PORT, server);
        const theirs = portOf(send(gateway, other, otherServer, overUdp.request(PORT)), overUdp);
        for (const mapping of gateway.mappings()) {
          if (mapping.externalPort === theirs) expect(mapping.vm - 1).toBe(gateway.vmIndex(other));
        }
        expect(tableFaults(gateway)).toEqual([]);
      });
    });
  });

  /** What an unsolicited packet of each kind of stranger meets. */
  const strangers = [
    { name: 'the remote, from the port that was written to', remote: server, remotePort: REMOTE_PORTS[0], in: ['endpointIndependent', 'addressDependent', 'addressAndPortDependent'] },
    { name: 'the remote, from another port', remote: server, remotePort: REMOTE_PORTS[1], in: ['endpointIndependent', 'addressDependent'] },
    { name: 'somebody else', remote: UNRELATED, remotePort: REMOTE_PORTS[0], in: ['endpointIndependent'] },
  ] as const;

  describe.each(mappings)('filtering, mapping %s', (_, mapping) => {
    describe.each(filterings)('filtering %s (RFC 4787 REQ-8)', (name, filtering) => {
      beforeEach(() => gateway.setRouter({ mapping, filtering }));

      describe.each([overUdp, overTcp])('$name', (protocol) => {
        it.each(strangers)('$name', ({ remote, remotePort, in: admitted }) => {
          const externalPort = out(protocol, PORT, server, REMOTE_PORTS[0]);
          const before = gateway.tables();
          const result = receive(gateway, remote, ADDRESS, protocol.reply(externalPort, remotePort));
          if ((admitted as readonly string[]).includes(name)) {
            expectToVm(result, a1, [ipv4({ source: remote, destination: a1.address, ttl: 63 }), ...protocol.reply(PORT, remotePort)]);
            expect(result.counters).toEqual({ inbound_snat: 1 });
          } else {
            expectDropped(result, 'filtered');
            expect(gateway.tables()).toEqual(before);
          }
          expect(tableFaults(gateway)).toEqual([]);
        });

        it('a mapping is no longer open for a remote that only wrote in', () => {
          const externalPort = out(protocol, PORT, server, REMOTE_PORTS[0]);
          receive(gateway, UNRELATED, ADDRESS, protocol.reply(externalPort, 9));
          gateway.setRouter({ filtering: filteringBehaviour.addressAndPortDependent });
          expectDropped(receive(gateway, UNRELATED, ADDRESS, protocol.reply(externalPort, 9)), 'filtered');
        });
      });

      it('ICMP: by address, for it has no ports', () => {
        const externalPort = out(overIcmp, 9, server);
        expectSent(receive(gateway, server, ADDRESS, overIcmp.reply(externalPort)));
        const stranger = receive(gateway, UNRELATED, ADDRESS, overIcmp.reply(externalPort));
        if (name === 'endpointIndependent') expectSent(stranger);
        else expectDropped(stranger, 'filtered');
      });

      it('whoever is written to as well may answer', () => {
        const externalPort = out(overUdp, PORT, server, REMOTE_PORTS[0]);
        const second = out(overUdp, PORT, otherServer, REMOTE_PORTS[1]);
        expectSent(receive(gateway, server, ADDRESS, overUdp.reply(externalPort, REMOTE_PORTS[0])));
        expectSent(receive(gateway, otherServer, ADDRESS, overUdp.reply(second, REMOTE_PORTS[1])));
      });
    });
  });

  it('simultaneous open: both SYNs pass, and the connection is established (RFC 5382 REQ-2)', () => {
    const externalPort = out(overTcp, PORT, server);
    const syn = [tcp({ sourcePort: 80, destinationPort: externalPort, flags: TCP.SYN })];
    expectToVm(receive(gateway, server, ADDRESS, syn), a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), tcp({ sourcePort: 80, destinationPort: PORT, flags: TCP.SYN })]);
    expectSent(send(gateway, a1, server, [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.SYN | TCP.ACK })]));
    expectSent(receive(gateway, server, ADDRESS, [tcp({ sourcePort: 80, destinationPort: externalPort, flags: TCP.SYN | TCP.ACK })]));
    send(gateway, a1, server, [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.ACK })]);
    expect(gateway.mappings()[0]!.first.state).toBe(2);
  });

  it('an unsolicited SYN is dropped without a word (RFC 5382 REQ-4)', () => {
    const externalPort = out(overTcp, PORT, server);
    const result = receive(gateway, UNRELATED, ADDRESS, overTcp.request(5, externalPort));
    expect(result.counters).toEqual({ drop_filtered: 1 });
    expect(result.verdict).toBe('DROP');
  });
});

describe('behaviours of a pair', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());

  it('overloaded ports survive a takeover: every flow keeps its own', () => {
    pair.reset();
    for (const gateway of [pair.a, pair.b]) {
      gateway.setRouter({ mapping: mappingBehaviour.addressAndPortDependent, filtering: filteringBehaviour.addressAndPortDependent, vmBlockLimit: 1 });
    }
    const flows = Array.from({ length: 300 }, (_, index) => ({ port: 20_000 + index, remote: `198.51.100.${1 + (index % 200)}` }));
    const packet = ({ port, remote }: { port: number; remote: string }): Buffer => frameFromVm(a1, [ipv4({ source: a1.address, destination: remote }), ...overTcp.request(port)]);
    const before = new Map<number, number>();
    for (const flow of flows) {
      const { final } = pair.forward(pair.a, 'underlay', packet(flow));
      if (final.verdict === 'REDIRECT') before.set(flow.port, layerOf(dissect(final.frame), 'tcp').sourcePort);
    }
    expect(before.size).toBeGreaterThan(new Set(before.values()).size);
    pair.takeOver(pair.b, 'dead');
    for (const flow of flows) {
      const externalPort = before.get(flow.port);
      if (externalPort === undefined) continue;
      expect(layerOf(dissect(pair.b.run('underlay', packet(flow)).frame), 'tcp').sourcePort, JSON.stringify(flow)).toBe(externalPort);
      const back = receive(pair.b, flow.remote, ADDRESS, overTcp.reply(externalPort));
      expectToVm(back, a1, [ipv4({ source: flow.remote, destination: a1.address, ttl: 63 }), ...overTcp.reply(flow.port)]);
    }
  });
});
