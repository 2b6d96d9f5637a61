/** RFC 9293 §3.7.1: SYNs name no larger segment than fits into a tunnel. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture, hooks, type RunResult } from '../support/gateway-fixture.js';
import { ipv4, payload, split, tcp, TCP, tcpOption, tcpOptions, type Layer } from '../support/packet.js';
import { expectToOutside, expectToVm, learn, mappingOf, overTcp, receive, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b2, frameFromVm, server } from '../support/world.js';

const PORT = 40_000;
const MSS = 1388;
const ADDRESS = world.tenantA.externalAddress;

interface Case {
  readonly name: string;
  readonly options: Buffer;
  /** What leaves; undefined: as it came. */
  readonly clamped?: Buffer;
}

const { mss, nop, sackPermitted, windowScale, timestamps, end } = tcpOption;
const cases: readonly Case[] = [
  { name: 'alone', options: mss(1460), clamped: mss(MSS) },
  { name: 'one too many', options: mss(MSS + 1), clamped: mss(MSS) },
  { name: 'the largest', options: mss(65535), clamped: mss(MSS) },
  { name: 'that fits', options: mss(MSS) },
  { name: 'smaller', options: mss(536) },
  { name: 'zero', options: mss(0) },
  { name: 'before others', options: tcpOptions(mss(1460), sackPermitted, timestamps(1, 2), nop, windowScale(7)), clamped: tcpOptions(mss(MSS), sackPermitted, timestamps(1, 2), nop, windowScale(7)) },
  { name: 'behind others', options: tcpOptions(timestamps(1, 2), sackPermitted, mss(1460)), clamped: tcpOptions(timestamps(1, 2), sackPermitted, mss(MSS)) },
  { name: 'at an odd place', options: tcpOptions(nop, mss(1460)), clamped: tcpOptions(nop, mss(MSS)) },
  { name: 'at the last place', options: Buffer.concat([Buffer.alloc(36, 1), mss(1460)]), clamped: Buffer.concat([Buffer.alloc(36, 1), mss(MSS)]) },
  { name: 'at an odd place behind an odd option', options: tcpOptions(windowScale(2), nop, nop, mss(1460)), clamped: tcpOptions(windowScale(2), nop, nop, mss(MSS)) },
  { name: 'behind the end of options', options: Buffer.concat([end, mss(1460), Buffer.alloc(3)]) },
  { name: 'none', options: Buffer.alloc(0) },
  { name: 'none among others', options: tcpOptions(sackPermitted, timestamps(1)) },
  { name: 'of a wrong length', options: Buffer.from('0203ffff', 'hex') },
  { name: 'longer than the options', options: Buffer.from('01010204', 'hex') },
  { name: 'behind an option without length', options: tcpOptions(Buffer.from([9, 0]), mss(1460)) },
  { name: 'behind an option longer than the options', options: tcpOptions(Buffer.from([9, 40]), mss(1460)) },
];

describe.each(hooks)('maximum segment size, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    for (const network of [world.tenantA, world.networkA2]) gateway.setNetwork({ mss: MSS }, network);
    learn(gateway, a1, a2, a3);
  });

  const segment = (sourcePort: number, destinationPort: number, flags: number, options: Buffer): Layer[] => [tcp({ sourcePort, destinationPort, flags, options, sequence: 3 }), payload('odd')];
  const expectCounted = (result: RunResult, clamped: boolean): void => expect(result.counters['mss_clamped'] ?? 0).toBe(clamped ? 1 : 0);

  describe.each(cases)('$name', ({ options, clamped }) => {
    const left = clamped ?? options;

    it('outbound SYN by shared SNAT', () => {
      const result = send(gateway, a1, server, segment(PORT, 80, TCP.SYN, options));
      const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
      expectToOutside(result, [ipv4({ source: ADDRESS, destination: server, ttl: 63 }), ...segment(externalPort, 80, TCP.SYN, left)]);
      expectCounted(result, clamped !== undefined);
    });

    it('inbound SYN-ACK to shared SNAT', () => {
      send(gateway, a1, server, overTcp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
      const result = receive(gateway, server, ADDRESS, segment(80, externalPort, TCP.SYN | TCP.ACK, options));
      expectToVm(result, a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), ...segment(80, PORT, TCP.SYN | TCP.ACK, left)]);
      expectCounted(result, clamped !== undefined);
    });

    it('SYN to and from a floating IP', () => {
      const inbound = receive(gateway, server, a2.floatingIp!, segment(PORT, 80, TCP.SYN, options));
      expectToVm(inbound, a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), ...segment(PORT, 80, TCP.SYN, left)]);
      const outbound = send(gateway, a2, server, segment(80, PORT, TCP.SYN | TCP.ACK, options));
      expectToOutside(outbound, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...segment(80, PORT, TCP.SYN | TCP.ACK, left)]);
    });
  });

  it('between two networks of a router', () => {
    const result = send(gateway, a1, a3.address, segment(PORT, 80, TCP.SYN, mss(1460)));
    expectToVm(result, a3, [ipv4({ source: a1.address, destination: a3.address, ttl: 63 }), ...segment(PORT, 80, TCP.SYN, mss(MSS))]);
  });

  it('hairpinned', () => {
    const result = send(gateway, a2, a2.floatingIp!, segment(PORT, 80, TCP.SYN, mss(1460)));
    expectToVm(result, a2, [ipv4({ source: a2.floatingIp!, destination: a2.address, ttl: 63 }), ...segment(PORT, 80, TCP.SYN, mss(MSS))]);
  });

  describe('both tunnels between two VMs count', () => {
    const [WIDE, NARROW] = [1388, 1280];
    const clamped = (value: number): Layer[] => segment(PORT, 80, TCP.SYN, mss(value));
    const configure = (a: number, other: number): void => {
      gateway.setNetwork({ mss: a }, world.tenantA);
      for (const network of [world.networkA2, world.tenantB]) gateway.setNetwork({ mss: other }, network);
    };
    beforeEach(() => learn(gateway, b2));

    it.each([
      ['the sender\'s is narrower', NARROW, WIDE, NARROW],
      ['the receiver\'s is narrower', WIDE, NARROW, NARROW],
      ['the sender\'s alone is known', NARROW, 0, NARROW],
      ['the receiver\'s alone is known', 0, NARROW, NARROW],
      ['neither is known', 0, 0, 1460],
    ])('%s', (_, from, to, left) => {
      configure(from, to);
      expectToVm(send(gateway, a1, a3.address, clamped(1460)), a3, [ipv4({ source: a1.address, destination: a3.address, ttl: 63 }), ...clamped(left)]);
      expectToVm(send(gateway, a2, b2.floatingIp!, clamped(1460)), b2, [ipv4({ source: a2.floatingIp!, destination: b2.address, ttl: 63 }), ...clamped(left)]);
    });

    it('a packet from outside has one tunnel before it, whatever came before', () => {
      configure(NARROW, WIDE);
      send(gateway, a2, b2.floatingIp!, clamped(1460));
      expectToVm(receive(gateway, server, b2.floatingIp!, clamped(1460)), b2, [ipv4({ source: server, destination: b2.address, ttl: 63 }), ...clamped(WIDE)]);
    });
  });

  it('every value of both bytes keeps the sum right, at even and odd places', () => {
    for (const before of [Buffer.alloc(0), nop]) {
      for (let value = 1300; value < 1500; value++) {
        const result = send(gateway, a2, server, segment(PORT, 80, TCP.SYN, tcpOptions(before, mss(value))));
        const left = segment(PORT, 80, TCP.SYN, tcpOptions(before, mss(Math.min(value, MSS))));
        expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...left]);
      }
    }
  });

  it.each([
    ['ACK', TCP.ACK],
    ['data', TCP.ACK | TCP.PSH],
    ['FIN', TCP.FIN | TCP.ACK],
    ['RST', TCP.RST],
  ])('%s segments are left alone: there the option means nothing', (_, flags) => {
    const result = send(gateway, a2, server, segment(PORT, 80, flags, mss(1460)));
    expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...segment(PORT, 80, flags, mss(1460))]);
    expectCounted(result, false);
  });

  it('a network without the setting leaves SYNs alone', () => {
    gateway.setNetwork({ mss: 0 });
    const result = send(gateway, a2, server, segment(PORT, 80, TCP.SYN, mss(9000)));
    expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63 }), ...segment(PORT, 80, TCP.SYN, mss(9000))]);
  });

  it('the first fragment of a SYN is clamped, its data are not looked at', () => {
    const whole = (port: number, value: number, source: string, ttl: number) =>
      [ipv4({ source, destination: server, ttl, identification: 4 }), ...segment(port, 80, TCP.SYN, mss(value)), payload(Buffer.alloc(40))] as const;
    const results = split(24, whole(PORT, 1460, a1.address, 64)).map((part) => gateway.run('underlay', frameFromVm(a1, part)));
    const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
    split(24, whole(externalPort, MSS, ADDRESS, 63)).forEach((part, index) => expectToOutside(results[index]!, part));
  });

  it('with header options in front', () => {
    const header = { options: Buffer.alloc(40, 1) };
    const result = send(gateway, a2, server, segment(PORT, 80, TCP.SYN, mss(1460)), header);
    expectToOutside(result, [ipv4({ source: a2.floatingIp!, destination: server, ttl: 63, ...header }), ...segment(PORT, 80, TCP.SYN, mss(MSS))]);
  });
});
