/** Requirements of RFC.md that no other test shows. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { compile } from '../../src/compile/compile.js';
import { splitFrame } from '../../src/dataplane/fragmentation.js';
import { filteringBehaviour, mappingBehaviour } from '../../src/dataplane/layout.generated.js';
import { expectValidChecksums } from '../support/checksum.js';
import { dissect, layerOf } from '../support/dissect.js';
import { GatewayFixture, hooks, ticksAgo, type MappingEntry, type RunResult } from '../support/gateway-fixture.js';
import { ethernet, frame, geneve, GENEVE_PORT, icmp, ICMP, ipv4, payload, split, tcp, TCP, udp, type Ipv4, type Layer } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { emittedBy, expectDropped, expectToOutside, expectToVm } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, frameFromVm, fromOutside, otherServer, server, type VirtualMachine } from '../support/world.js';
import { facts, parse } from '../unit/compile/states.js';
import { exampleWith } from '../unit/config/example.js';

const query = udp({ sourcePort: 5000, destinationPort: 53 });

describe.each(hooks)('at %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  const out = (vm: VirtualMachine, destination: string, ...segment: Layer[]): RunResult =>
    gateway.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), ...segment]));
  const back = (source: string, destination: string, ...segment: Layer[]): RunResult =>
    gateway.run('external', fromOutside([ipv4({ source, destination }), ...segment]));

  function onlyMapping(): MappingEntry & { readonly index: number } {
    const [entry, ...others] = gateway.mappings();
    expect(others).toEqual([]);
    const [[index]] = [...gateway.mappingTable.used()] as [[number, unknown]];
    return { ...entry!, index };
  }

  /** As if its packets had stopped that long ago. */
  function makeOld(ticks: number): void {
    const { index, first } = onlyMapping();
    gateway.mappingTable.update(index, { first: { ...first, lastSeen: ticksAgo(ticks) } });
  }

  const age = (): number => (ticksAgo(0) - onlyMapping().first.lastSeen) >>> 0;

  describe('RFC 4787', () => {
    it('REQ-2: a VM has one external address, whatever the protocol, the port and the remote', () => {
      const segments = [1, 2, 3].flatMap((port) => [udp({ sourcePort: port, destinationPort: 53 }), tcp({ sourcePort: port, destinationPort: 80, flags: TCP.SYN }), icmp({ type: ICMP.echo, identifier: port })]);
      const results = [server, otherServer].flatMap((remote) => segments.map((segment) => out(a1, remote, segment)));
      expect(new Set(results.map((result) => layerOf(dissect(result.frame), 'ipv4').source))).toEqual(new Set([a1.tenant.externalAddress]));
    });

    it('REQ-6: what the VM sends keeps its mapping alive', () => {
      out(a1, server, query);
      makeOld(200);
      out(a1, server, query);
      expect(age()).toBeLessThan(10);
    });

    it('REQ-6a: so does what it is sent, once it has asked', () => {
      out(a1, server, query);
      makeOld(200);
      const { externalAddress, externalPort } = onlyMapping();
      expect(back(server, externalAddress, udp({ sourcePort: 53, destinationPort: externalPort })).verdict).toBe('REDIRECT');
      expect(age()).toBeLessThan(10);
    });
  });

  describe('RFC 4787, fragments', () => {
    const MTU = 1500;
    const TUNNEL = 58;
    const body = payload(Buffer.from(Array.from({ length: 1700 }, (_, index) => index & 0xff)));
    const header = (source: string, destination: string, more: Partial<Ipv4> = {}): Ipv4 => ipv4({ source, destination, identification: 77, ...more });
    const request = (port: number): Layer[] => [udp({ sourcePort: port, destinationPort: 53 }), body];
    const response = (port: number): Layer[] => [udp({ sourcePort: 53, destinationPort: port }), body];
    /** As one network after another would split it: the most that fits, in eights. */
    const parts = (mtu: number, network: Ipv4, segment: readonly Layer[]): Layer[][] => split(Math.floor((mtu - 20) / 8) * 8, [network, ...segment]);

    /** What the control plane does with the frame of the event: src/gateway/slow-packets.ts. */
    async function sendLong(program: 'underlay' | 'external', bytes: Buffer): Promise<RunResult[]> {
      const events = await emittedBy(gateway);
      expectDropped(gateway.run(program, bytes), 'fragmentation_needed');
      await vi.waitFor(() => expect(events).toHaveLength(1));
      return splitFrame(events[0]!.frame, program, events[0]!.event.mtu)!.map((part) => gateway.run(program, part));
    }

    it('REQ-13a: a packet without DF leaves as fragments that fit, in their order', async () => {
      const results = await sendLong('underlay', frameFromVm(a1, [header(a1.address, server), ...request(5000)]));
      const { externalAddress, externalPort } = onlyMapping();
      const expected = parts(MTU, header(externalAddress, server, { ttl: 63 }), request(externalPort));
      expect(results).toHaveLength(expected.length);
      results.forEach((result, index) => expectToOutside(result, expected[index]!));
    });

    it.each(['shared SNAT', 'a floating IP'])('REQ-13a: so does one to %s', async (how) => {
      const vm = how === 'shared SNAT' ? a1 : a2;
      gateway.setInterface('underlay', { mtu: MTU });
      out(vm, server, query);
      const { address, port } = vm === a1 ? { address: onlyMapping().externalAddress, port: onlyMapping().externalPort } : { address: a2.floatingIp!, port: 5000 };
      const results = await sendLong('external', fromOutside([header(server, address), ...response(port)]));
      const expected = parts(MTU - TUNNEL, header(server, vm.address, { ttl: 63 }), response(5000));
      expect(results).toHaveLength(expected.length);
      results.forEach((result, index) => expectToVm(result, vm, expected[index]!));
    });

    it('REQ-14a: a flood of fragments that never become packets disturbs neither fragments in order nor whole packets', () => {
      out(a1, server, query);
      const { externalAddress, externalPort } = onlyMapping();
      const flood = (count: number): void => {
        for (let index = 0; index < count; index++) {
          const of = { source: otherServer, destination: externalAddress, identification: index & 0xffff };
          gateway.execute('external', fromOutside([ipv4({ ...of, moreFragments: true }), udp({ sourcePort: 53, destinationPort: externalPort, length: 900 }), payload(Buffer.alloc(16))]));
          gateway.execute('external', fromOutside([ipv4({ ...of, identification: ~index & 0xffff, protocol: 17, fragmentOffset: 3 }), payload('never')]));
        }
      };
      const before = gateway.tables();
      for (let identification = 0; identification < 20; identification++) {
        const [first, ...later] = parts(MTU, header(server, externalAddress, { identification }), response(externalPort));
        const expected = parts(MTU, header(server, a1.address, { identification, ttl: 63 }), response(5000));
        expectToVm(gateway.run('external', fromOutside(first!)), a1, expected[0]!);
        flood(20);
        later.forEach((part, index) => expectToVm(gateway.run('external', fromOutside(part)), a1, expected[index + 1]!));
        flood(400);
        expect(out(a1, server, query).counters).toEqual({ outbound_snat: 1 });
      }
      expect(gateway.tables().vms.map(({ address }) => address)).toEqual(before.vms.map(({ address }) => address));
      expect(gateway.mappings()).toHaveLength(1);
    });
  });

  describe('ICMP that no one asked for', () => {
    const ROUTER_ADVERTISEMENT = 9, SOLICITATION = 10, INFORMATION_REQUEST = 15, MASK_REQUEST = 17, TRACEROUTE = 30;

    // RFC 5508 REQ-10c, REQ-11.
    it.each([ROUTER_ADVERTISEMENT, SOLICITATION, INFORMATION_REQUEST, MASK_REQUEST, TRACEROUTE])('type %i is neither translated nor answered', (type) => {
      out(a1, server, query);
      for (const destination of [server, a1.tenant.gateway]) expect(out(a1, destination, icmp({ type })).counters).toEqual({ drop_icmp_type: 1 });
      expect(back(server, a1.tenant.externalAddress, icmp({ type })).counters).toEqual({ drop_icmp_type: 1 });
    });
  });

  describe('ICMP errors', () => {
    const errors = [[3, 0], [3, 1], [3, 2], [3, 3], [3, 4], [3, 13], [4, 0], [5, 1], [11, 0], [11, 1], [12, 0]] as const;
    const requests: readonly (readonly [string, Layer])[] = [
      ['udp', query],
      ['tcp', tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN })],
      ['icmp echo', icmp({ type: ICMP.echo, identifier: 5000, sequence: 1 })],
    ];

    // RFC 4787 REQ-12, RFC 5382 REQ-10, RFC 5508 REQ-6.
    it.each(requests)('from outside, whatever their type, end no mapping of %s and keep none alive', (_, request) => {
      const quoted = out(a1, server, request).frame.subarray(14);
      makeOld(50);
      const before = onlyMapping();
      for (const [type, code] of errors) back(otherServer, before.externalAddress, icmp({ type, code }), payload(quoted));

      expect(onlyMapping()).toEqual(before);
      expect(out(a1, server, request).counters).toMatchObject({ outbound_snat: 1 });
    });

    it.each(requests)('from the VM itself neither, about an answer of %s', (_, request) => {
      out(a1, server, request);
      makeOld(50);
      const before = onlyMapping();
      const answered = frame(ethernet({ source: a1.mac, destination: a1.mac }), ipv4({ source: server, destination: a1.address }), request).subarray(14);
      for (const [type, code] of errors) out(a1, server, icmp({ type, code }), payload(answered));

      expect(onlyMapping()).toEqual(before);
    });
  });

  /** No block of the shared addresses is free. */
  function exhaustPorts(): void {
    for (let block = 0; block < gateway.portBlockTable.length; block++) {
      if (gateway.portBlockTable.get(block).vm === 0) gateway.portBlockTable.update(block, { vm: 64, mappings: 256, lastSeen: 1 });
    }
  }

  describe('RFC 5382', () => {
    const syn = (flags: number = TCP.SYN): Layer => tcp({ sourcePort: 5000, destinationPort: 80, flags });
    const answer = (flags: number): RunResult => {
      const { externalAddress, externalPort } = onlyMapping();
      return back(server, externalAddress, tcp({ sourcePort: 80, destinationPort: externalPort, flags }));
    };
    const forwarded = (...results: RunResult[]): void => expect(results.map(({ verdict }) => verdict)).toEqual(results.map(() => 'REDIRECT'));
    const ESTABLISHED = 2;

    it('REQ-2: every phase of a connection from inside passes: handshake, data, half-close, close, late segments', () => {
      forwarded(out(a1, server, syn()), answer(TCP.SYN | TCP.ACK), out(a1, server, syn(TCP.ACK)));
      expect(onlyMapping().first.state).toBe(ESTABLISHED);
      forwarded(out(a1, server, syn(TCP.PSH | TCP.ACK)), answer(TCP.ACK));
      forwarded(answer(TCP.FIN | TCP.ACK), out(a1, server, syn(TCP.ACK)), out(a1, server, syn(TCP.PSH | TCP.ACK)), answer(TCP.ACK));
      forwarded(out(a1, server, syn(TCP.FIN | TCP.ACK)), answer(TCP.ACK), answer(TCP.FIN | TCP.ACK), out(a1, server, syn(TCP.ACK)));
    });

    it('REQ-2: a connection from outside to a floating IP passes', () => {
      out(a2, server, query);
      const inward = (flags: number): RunResult => back(server, a2.floatingIp!, tcp({ sourcePort: 5000, destinationPort: 22, flags }));
      const outward = (flags: number): RunResult => out(a2, server, tcp({ sourcePort: 22, destinationPort: 5000, flags }));
      forwarded(inward(TCP.SYN), outward(TCP.SYN | TCP.ACK), inward(TCP.ACK), outward(TCP.FIN | TCP.ACK), inward(TCP.FIN | TCP.ACK), outward(TCP.ACK));
    });

    it('REQ-2a: simultaneous open: both send a SYN, both a SYN-ACK', () => {
      forwarded(out(a1, server, syn()), answer(TCP.SYN), out(a1, server, syn(TCP.SYN | TCP.ACK)), answer(TCP.SYN | TCP.ACK), out(a1, server, syn(TCP.ACK)));
      expect(onlyMapping().first.state).toBe(ESTABLISHED);
    });

    it('REQ-4: an unsolicited SYN is dropped without a word, and a SYN of the VM to the same remote opens the connection', () => {
      out(a1, otherServer, syn());
      const { externalAddress, externalPort } = onlyMapping();
      const unsolicited = (port: number): RunResult => back(server, externalAddress, tcp({ sourcePort: 80, destinationPort: port, flags: TCP.SYN }));
      for (const port of [externalPort, externalPort ^ 1]) {
        const result = unsolicited(port);
        expect(result.verdict).toBe('DROP');
        expect(Object.values(result.counters)).toEqual([1]);
      }
      forwarded(out(a1, server, syn()), unsolicited(externalPort));
    });
  });

  describe('RFC 5382, ports', () => {
    it('REQ-7: no external port is given to two connections of different endpoints', () => {
      const vms = [a1, { ...a1, address: '172.16.100.20', mac: 'fa:16:3e:00:03:14' }];
      const ports = vms.flatMap((vm) =>
        Array.from({ length: 200 }, (_, i) => layerOf(dissect(out(vm, server, tcp({ sourcePort: 5000 + i, destinationPort: 80, flags: TCP.SYN })).frame), 'tcp').sourcePort),
      );
      expect(new Set(ports).size).toBe(400);
    });
  });

  describe('RFC 6888', () => {
    it('REQ-4: ports below 1024 and query ids count as all others do', () => {
      gateway.setRouter({ vmSessionLimit: 12 });
      for (let port = 100; port < 120; port++) out(a1, server, udp({ sourcePort: port, destinationPort: 53 }));
      expect(gateway.mappings()).toHaveLength(12);
      expect(out(a1, server, icmp({ type: ICMP.echo, identifier: 1 })).counters).toMatchObject({ drop_vm_session_limit: 1 });
      expect(out(a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN })).counters).toMatchObject({ drop_vm_session_limit: 1 });
    });
  });

  describe('RFC 7857', () => {
    it('§4: a new session is dropped where the address has no port left, of TCP as well', () => {
      exhaustPorts();
      for (const segment of [query, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN }), icmp({ type: ICMP.echo, identifier: 1 })]) {
        expect(out(a1, server, segment).counters).toMatchObject({ drop_ports_exhausted: 1 });
      }
      expect(gateway.mappings()).toEqual([]);
    });

    it('§7: what is filtered keeps no mapping alive', () => {
      for (const segment of [query, tcp({ sourcePort: 5000, destinationPort: 53, flags: TCP.SYN })]) {
        gateway.reset({ syncMode: 'none' });
        out(a1, server, segment);
        makeOld(50);
        const before = onlyMapping();
        const ports = { sourcePort: 53, destinationPort: before.externalPort };
        expect(back(otherServer, before.externalAddress, segment.layer === 'udp' ? udp(ports) : tcp({ ...ports, flags: TCP.ACK })).verdict).toBe('DROP');
        expect(onlyMapping()).toEqual(before);
      }
    });

    it('§2.2: a reset is translated in both directions and leaves the mapping to the transitory timeout', () => {
      const reset = (result: RunResult): number => layerOf(dissect(result.frame), 'tcp').flags! & TCP.RST;
      for (const inwards of [true, false]) {
        gateway.reset({ syncMode: 'none' });
        out(a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN }));
        const { externalAddress, externalPort } = onlyMapping();
        const result = inwards
          ? back(server, externalAddress, tcp({ sourcePort: 80, destinationPort: externalPort, flags: TCP.RST }))
          : out(a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.RST }));
        expect(result.verdict).toBe('REDIRECT');
        expect(reset(result)).toBe(TCP.RST);
        expect(onlyMapping()).toMatchObject({ externalPort, internalPort: 5000 });
      }
    });

    it('§6: a mapping of one protocol lets no other one in', () => {
      out(a1, server, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN }));
      const { externalAddress, externalPort } = onlyMapping();
      expect(back(server, externalAddress, udp({ sourcePort: 80, destinationPort: externalPort })).counters).toEqual({ drop_no_mapping: 1 });
      expect(back(server, externalAddress, icmp({ type: ICMP.echoReply, identifier: externalPort })).counters).toEqual({ drop_no_mapping: 1 });
    });
  });

  describe('RFC 8926', () => {
    it('§3.3: flows are spread over source ports, whichever part of the 5-tuple differs', () => {
      out(a2, server, query);
      const entropy = (remote: string, sourcePort: number, destinationPort: number): number =>
        layerOf(dissect(back(remote, a2.floatingIp!, udp({ sourcePort, destinationPort })).frame), 'udp').sourcePort;
      const variants = [(i: number) => entropy(`198.51.100.${i + 1}`, 1, 2), (i: number) => entropy(server, 1000 + i, 2), (i: number) => entropy(server, 1, 1000 + i)];
      for (const variant of variants) expect(new Set(Array.from({ length: 100 }, (_, i) => variant(i))).size).toBeGreaterThan(90);
    });

    const summed = (segment: Layer): Buffer => frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), segment, payload('payload')], { udp: { checksum: undefined } });
    const SOURCE_PORT = 34, SUM = 40, GENEVE = 42, INNER_ETHERNET = 58, INNER_IPV4 = 72, SEGMENT = 92;

    it.each([
      ['the outer source port', SOURCE_PORT], ['the sum itself', SUM], ['reserved bits of Geneve', GENEVE + 7], ['an option', GENEVE + 15],
      ['the inner source MAC', INNER_ETHERNET + 11], ['the inner identification', INNER_IPV4 + 5],
    ])('§3.3: a bit that has changed in %s is found by the sum, and the packet dropped', (_, offset) => {
      for (const segment of [query, tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN }), icmp({ type: ICMP.echo, identifier: 5 })]) {
        const bytes = summed(segment);
        bytes[offset]! ^= 1;
        expect(gateway.run('underlay', bytes).verdict).toBe('DROP');
        expect(gateway.mappings()).toEqual([]);
      }
    });

    it('§3.3: so is one in a segment that has no sum of a pseudo-header', () => {
      for (const segment of [icmp({ type: ICMP.echo, identifier: 5 }), udp({ sourcePort: 5000, destinationPort: 53, checksum: 0 })]) {
        const length = summed(segment).length;
        for (let offset = SEGMENT + 8; offset < length; offset++) {
          const bytes = summed(segment);
          bytes[offset]! ^= 1;
          expectDropped(gateway.run('underlay', bytes), 'outer_checksum');
        }
      }
    });

    it('§3.3: so is one in a segment of TCP or UDP that has', () => {
      const bytes = summed(query);
      bytes[bytes.length - 1]! ^= 1;
      expectDropped(gateway.run('underlay', bytes), 'outer_checksum');
    });

    it('§3.5: the control flags of an option are ignored', () => {
      const option = { ...a1.option, reserved: 7 };
      const packet = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), query], { geneve: { options: [option] } });
      expect(gateway.run('underlay', packet).verdict).toBe('REDIRECT');
    });

    it('§3.5: and sent as zero, whatever the compute sent', () => {
      const option = { ...a2.option, reserved: 7 };
      gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), query], { geneve: { options: [option] } }));
      const [sent] = layerOf(dissect(back(server, a2.floatingIp!, query).frame), 'geneve').options!;
      expect(sent).toMatchObject({ optionClass: a2.option.optionClass, type: a2.option.type, reserved: 0 });
    });

    const tunnelled = [geneve({ vni: 200, options: [] }), ethernet({ source: a1.mac, destination: a1.tenant.gatewayMac }), ipv4({ source: a1.address, destination: otherServer }), query];

    it('§6.2: Geneve that a VM sends is payload like any other', () => {
      const sent = dissect(out(a1, server, udp({ sourcePort: 5000, destinationPort: GENEVE_PORT }), ...tunnelled).frame);
      expect(layerOf(sent, 'ipv4')).toMatchObject({ source: a1.tenant.externalAddress, destination: server });
      expect(onlyMapping()).toMatchObject({ externalAddress: a1.tenant.externalAddress, internalPort: 5000 });

      gateway.reset({ syncMode: 'none' });
      out(a1, world.VIRTUAL_ADDRESS, udp({ sourcePort: 5000, destinationPort: GENEVE_PORT }), ...tunnelled);
      for (const { externalAddress } of gateway.mappings()) expect(externalAddress).toBe(a1.tenant.externalAddress);
    });

    it('§6.2: and so is Geneve from outside', () => {
      out(a2, server, query);
      const result = back(server, a2.floatingIp!, udp({ sourcePort: 5000, destinationPort: GENEVE_PORT }), ...tunnelled);
      expect(layerOf(dissect(result.frame), 'geneve').vni).toBe(a2.tenant.vni);
      expect(gateway.mappings()).toEqual([]);
    });
  });

  describe('RFC 6040', () => {
    it.each([0, 1, 2, 3])('§4.1: %i is copied to the outer header, the inner stays what it is', (codepoint) => {
      out(a2, server, query);
      const packet = fromOutside([ipv4({ source: server, destination: a2.floatingIp!, typeOfService: 0xb8 | codepoint }), udp({ sourcePort: 53, destinationPort: 5000 })]);
      const result = gateway.run('external', packet);
      expect([0, 1].map((index) => layerOf(dissect(result.frame), 'ipv4', index).typeOfService! & 3)).toEqual([codepoint, codepoint]);
      expectValidChecksums(result.frame);
    });

    const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3];
    // Figure 4: arriving inner, arriving outer, outgoing.
    it.each([
      [NOT, NOT, NOT], [NOT, ECT0, NOT], [NOT, ECT1, NOT], [NOT, CE, undefined],
      [ECT0, NOT, ECT0], [ECT0, ECT0, ECT0], [ECT0, ECT1, ECT1], [ECT0, CE, CE],
      [ECT1, NOT, ECT1], [ECT1, ECT0, ECT1], [ECT1, ECT1, ECT1], [ECT1, CE, CE],
      [CE, NOT, CE], [CE, ECT0, CE], [CE, ECT1, CE], [CE, CE, CE],
    ])('§4.2: inner %i, outer %i: %s', decapsulate);

    function decapsulate(inner: number | undefined, outer: number | undefined, outgoing: number | undefined): void {
      const packet = [ipv4({ source: a1.address, destination: server, typeOfService: inner! }), query];
      const result = gateway.run('underlay', frameFromVm(a1, packet, { ipv4: { typeOfService: outer! } }));
      expect(result.verdict).toBe(outgoing === undefined ? 'DROP' : 'REDIRECT');
      if (outgoing === undefined) return;
      expect(layerOf(dissect(result.frame), 'ipv4').typeOfService).toBe(outgoing);
      expectValidChecksums(result.frame);
    }
  });

  describe('RFC 7348', () => {
    it('§6.1: a frame with an inner VLAN tag is dropped', () => {
      const tenant = { ...a1.tenant, encapsulation: 'vxlan' as const };
      gateway.addNetwork(tenant, 3);
      const vm = { ...a1, tenant };
      const inner = [ipv4({ source: vm.address, destination: server }), query];
      expect(gateway.run('underlay', frameFromVm(vm, inner)).verdict).toBe('REDIRECT');
      const untagged = frameFromVm(vm, inner);
      const tag = (identifier: number): Layer[] => [
        ...world.fromVm(vm, []).slice(0, 4), ethernet({ source: vm.mac, destination: tenant.gatewayMac, etherType: 0x8100 }),
        payload(Buffer.concat([Buffer.from([identifier >> 8, identifier & 0xff, 8, 0]), untagged.subarray(-28)])),
      ];
      for (const identifier of [0, 1, 12]) expectDropped(gateway.run('underlay', frame(...(tag(identifier) as [Layer, ...Layer[]]))), 'inner_not_ipv4');
    });
  });

  describe('RFC 1812', () => {
    it('§4.2.2.3: the reserved flag of a header drops no packet', () => {
      const packet = [ipv4({ source: a1.address, destination: server, reservedFlag: true }), query];
      expect(gateway.run('underlay', frameFromVm(a1, packet)).verdict).toBe('REDIRECT');
      expect(gateway.run('external', fromOutside([ipv4({ source: server, destination: onlyMapping().externalAddress, reservedFlag: true }), udp({ sourcePort: 53, destinationPort: onlyMapping().externalPort })])).verdict).toBe('REDIRECT');
    });

    it('§4.3.2.5: an echo reply has the type of service of its request', () => {
      const request = icmp({ type: ICMP.echo, identifier: 1, sequence: 1 });
      const inside = gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: a1.tenant.gateway, typeOfService: 0xb8 }), request]));
      const outside = gateway.run('external', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress, typeOfService: 0xb8 }), request]));
      expect(layerOf(dissect(inside.frame), 'ipv4', 1).typeOfService).toBe(0xb8);
      expect(layerOf(dissect(outside.frame), 'ipv4').typeOfService).toBe(0xb8);
    });
  });
});

describe('what the file says reaches the programs', () => {
  const B_ADDRESS = '    externalAddress: 10.0.2.202\n';
  const router = (text: string): object => [...compile(parse(exampleWith(B_ADDRESS, `${B_ADDRESS}${text}`)), facts).maps.routers.values()][1]!;

  it('limits of a router and its VMs (RFC 6888 REQ-4a, REQ-4c, REQ-5a)', () => {
    expect(router('    limits: { sessions: 4000, sessionsPerVm: 300, newSessionsPerSecondPerVm: 20, portBlocksPerVm: 1 }\n'))
      .toMatchObject({ sessionLimit: 4000, vmSessionLimit: 300, vmSessionsPerSecond: 20, vmBlockLimit: 1 });
  });

  it.each(['endpointIndependent', 'addressDependent', 'addressAndPortDependent'] as const)('filtering %s (RFC 4787 REQ-8a, RFC 5382 REQ-3a)', (name) => {
    expect(router(`    filtering: ${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}\n`)).toMatchObject({ mapping: mappingBehaviour.endpointIndependent, filtering: filteringBehaviour[name] });
  });

  it('a mapping that depends on the remote (RFC 7857 §3)', () => {
    expect(router('    mapping: address-and-port-dependent\n')).toMatchObject({ mapping: mappingBehaviour.addressAndPortDependent, filtering: filteringBehaviour.addressAndPortDependent });
  });

  it('and none is the one that RFC 4787 REQ-8 and RFC 5382 REQ-3 call more stringent', () => {
    expect(router('')).toMatchObject({ mapping: mappingBehaviour.endpointIndependent, filtering: filteringBehaviour.addressDependent });
  });

  it('how long freed ports rest, and how many (RFC 6888 REQ-8)', () => {
    const { maps } = compile(parse(exampleWith('{ name: gw-a, id: 0 }', '{ name: gw-a, id: 0, restingPorts: 1000 }').replace('portHoldDown: 120s', 'portHoldDown: 240s')), facts);
    expect(maps.gateways.get(0)).toMatchObject({ holdDownTicks: 224, restingPortLimit: 1000 });
  });

  it('addresses that are not contiguous (RFC 6888 REQ-3)', () => {
    const { maps } = compile(parse(exampleWith(B_ADDRESS, '    externalAddresses: [ 10.0.2.240/31, 10.0.2.230, 10.0.2.210 ]\n').replace('externalAddresses: 4', 'externalAddresses: 8')), facts);
    expect([...maps.routers.values()][1]).toMatchObject({ poolSize: 4 });
  });
});

describe('RFC 6888, ports at rest', () => {
  const pair = Pair.load();
  afterAll(() => pair.close());
  const LONG_AGO = 20_000;

  /** Ports of a1 that were freed; those that rest know since when. */
  function free(count: number): number[] {
    for (let port = 5000; port < 5000 + count; port++) pair.a.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: port, destinationPort: 53 })]));
    const slots = pair.a.mappings().map(({ externalAddress, externalPort }) => pair.a.mappingIndex(externalAddress, 'udp', externalPort));
    pair.a.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(2 * LONG_AGO)) << 30n });
    for (const slot of slots) pair.a.mappingTable.update(slot, { first: { ...pair.a.mappingTable.get(slot).first, lastSeen: ticksAgo(LONG_AGO) } });
    pair.walk(pair.a, 'age_xdp');
    expect(pair.a.mappings()).toEqual([]);
    return slots.map((slot) => pair.a.mappingTable.get(slot).lastSeen);
  }

  it.each([
    [0, 6],
    [4, 4],
    [100, 6],
  ])('REQ-8: with restingPorts %i, of six that are freed %i rest', (restingPortLimit, resting) => {
    pair.reset({ syncMode: 'none' });
    pair.a.setGateway({ restingPortLimit });
    expect(free(6).filter((since) => since !== 0)).toHaveLength(resting);
    expect(pair.a.states.get(0).restingPorts).toBe(resting);
  });
});
