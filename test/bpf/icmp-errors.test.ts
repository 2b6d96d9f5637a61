/** RFC 5508 §4: ICMP errors are translated together with the packet that they quote. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture, hooks, ticksAgo, type RunResult } from '../support/gateway-fixture.js';
import {
  icmp, ICMP, ipv4, payload, PROTOCOL, quote, tcp, TCP, udp, udpLite, UNREACHABLE, type Icmp, type Ipv4, type Layer,
} from '../support/packet.js';
import {
  expectDropped, expectToOutside, expectToVm, learn, mappingOf, overIcmp, overTcp, overUdp, protocols, receive, send, type Protocol,
} from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, externalRouter, otherServer, server, vmOf, type VirtualMachine } from '../support/world.js';

const PORT = 40_000;
const WEB = vmOf(world.tenantA, 20);
const ADDRESS = world.tenantA.externalAddress;

const errors: readonly { readonly name: string; readonly error: Icmp }[] = [
  { name: 'port unreachable', error: icmp({ type: ICMP.unreachable, code: UNREACHABLE.port }) },
  { name: 'fragmentation needed', error: icmp({ type: ICMP.unreachable, code: UNREACHABLE.fragmentationNeeded, sequence: 1400 }) },
  { name: 'prohibited', error: icmp({ type: ICMP.unreachable, code: UNREACHABLE.prohibited }) },
  { name: 'time exceeded', error: icmp({ type: ICMP.timeExceeded }) },
  { name: 'parameter problem', error: icmp({ type: ICMP.parameterProblem, identifier: 0x1400 }) },
  { name: 'source quench', error: icmp({ type: ICMP.sourceQuench }) },
];

const quotes: readonly { readonly name: string; readonly bytes: number | undefined; readonly header: Partial<Ipv4> }[] = [
  { name: 'whole packet', bytes: undefined, header: {} },
  { name: 'eight bytes', bytes: 8, header: {} },
  { name: 'eight bytes behind header options', bytes: 8, header: { options: Buffer.from('9404000001010100', 'hex') } },
  { name: 'whole packet with the longest header', bytes: undefined, header: { options: Buffer.alloc(40, 1) } },
  { name: 'nine bytes', bytes: 9, header: { typeOfService: 0x20, identification: 77, dontFragment: true } },
];

/** One way of being translated: who is inside, and what outsiders see of it. */
interface Kind {
  readonly name: string;
  readonly vm: VirtualMachine;
  readonly outside: string;
  readonly protocols: readonly Protocol[];
}

const kinds: readonly Kind[] = [
  { name: 'shared SNAT', vm: a1, outside: ADDRESS, protocols },
  { name: 'floating IP', vm: a2, outside: a2.floatingIp!, protocols },
  { name: 'port forwarding', vm: WEB, outside: ADDRESS, protocols: [overTcp, overUdp] },
];
const EXTERNAL_PORT = 8080;

describe.each(hooks)('ICMP errors, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    gateway.addForwarding({ vm: WEB, protocol: 'tcp', internalPort: PORT, externalPort: EXTERNAL_PORT });
    gateway.addForwarding({ vm: WEB, protocol: 'udp', internalPort: PORT, externalPort: EXTERNAL_PORT });
    learn(gateway, a2, WEB);
  });

  /** The port by which outsiders know the VM's, after it has spoken to `remote`. */
  function open({ vm, name }: Kind, protocol: Protocol, remote = server): number {
    if (name === 'port forwarding') return EXTERNAL_PORT;
    send(gateway, vm, remote, protocol.request(PORT));
    return name === 'floating IP' ? PORT : mappingOf(gateway, vm, protocol, PORT).externalPort;
  }

  const cases = kinds.flatMap((kind) => kind.protocols.map((protocol) => ({ title: `${kind.name}, ${protocol.name}`, kind, protocol })));

  describe.each(cases)('$title', ({ kind, protocol }) => {
    const { vm, outside } = kind;

    it.each(quotes)('inbound, quoting $name', ({ bytes, header }) => {
      const port = open(kind, protocol);
      const before = gateway.tables();
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.host });
      const sent = (source: string, from: number): Layer[] => [ipv4({ source, destination: server, ttl: 5, ...header }), ...protocol.request(from)];
      const result = receive(gateway, externalRouter.address, outside, [error, quote(sent(outside, port), bytes)]);

      expectToVm(result, vm, [ipv4({ source: externalRouter.address, destination: vm.address, ttl: 63 }), error, quote(sent(vm.address, PORT), bytes)]);
      expect(result.counters).toEqual({ icmp_error_inbound: 1 });
      expect(gateway.tables()).toEqual(before);
    });

    it.each(quotes)('outbound, quoting $name', ({ bytes, header }) => {
      const port = open(kind, protocol);
      const before = gateway.tables();
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.port });
      const got = (destination: string, to: number): Layer[] => [ipv4({ source: server, destination, ttl: 5, ...header }), ...protocol.reply(to)];
      const result = send(gateway, vm, server, [error, quote(got(vm.address, PORT), bytes)]);

      expectToOutside(result, [ipv4({ source: outside, destination: server, ttl: 63 }), error, quote(got(outside, port), bytes)]);
      expect(result.counters).toEqual({ icmp_error_outbound: 1 });
      expect(gateway.tables()).toEqual(before);
    });

    it.each(errors)('inbound, $name from the remote itself', ({ error }) => {
      const port = open(kind, protocol);
      const sent = (source: string, from: number): Layer[] => [ipv4({ source, destination: server, ttl: 63 }), ...protocol.request(from)];
      const result = receive(gateway, server, outside, [error, quote(sent(outside, port))]);
      expectToVm(result, vm, [ipv4({ source: server, destination: vm.address, ttl: 63 }), error, quote(sent(vm.address, PORT))]);
    });

    it('outer header options, DSCP and identification stay', () => {
      const port = open(kind, protocol);
      const error = icmp({ type: ICMP.timeExceeded });
      const header = { options: Buffer.from('01010101', 'hex'), typeOfService: 0xc0, identification: 0xbeef };
      const sent = (source: string, from: number): Layer[] => [ipv4({ source, destination: server, ttl: 1 }), ...protocol.request(from)];
      const result = receive(gateway, externalRouter.address, outside, [error, quote(sent(outside, port), 8)], header);
      const network = ipv4({ source: externalRouter.address, destination: vm.address, ttl: 63, ...header });
      expectToVm(result, vm, [network, error, quote(sent(vm.address, PORT), 8)]);
    });
  });

  describe('checksums of what is quoted', () => {
    const kind = kinds[0]!;

    it('a UDP checksum that was not computed stays zero', () => {
      open(kind, overUdp);
      const port = mappingOf(gateway, a1, overUdp, PORT).externalPort;
      const sent = (source: string, from: number): Layer[] =>
        [ipv4({ source, destination: server }), udp({ sourcePort: from, destinationPort: 53, checksum: 0 }), payload('x')];
      const error = icmp({ type: ICMP.timeExceeded });
      const result = receive(gateway, externalRouter.address, ADDRESS, [error, quote(sent(ADDRESS, port))]);
      expectToVm(result, a1, [ipv4({ source: externalRouter.address, destination: a1.address, ttl: 63 }), error, quote(sent(a1.address, PORT))]);
    });

    it('of UDP-Lite to a floating IP', () => {
      const sent = (source: string): Layer[] => [ipv4({ source, destination: server }), udpLite({ sourcePort: 5, destinationPort: 6, coverage: 8 }), payload('body')];
      const error = icmp({ type: ICMP.timeExceeded });
      const result = receive(gateway, externalRouter.address, a2.floatingIp!, [error, quote(sent(a2.floatingIp!))]);
      expectToVm(result, a2, [ipv4({ source: externalRouter.address, destination: a2.address, ttl: 63 }), error, quote(sent(a2.address))]);
    });

    it.each([
      ['GRE', PROTOCOL.gre],
      ['ESP', PROTOCOL.esp],
      ['SCTP', PROTOCOL.sctp],
    ])('%s to a floating IP has none that an address changes', (_, protocol) => {
      const sent = (source: string): Layer[] => [ipv4({ source, destination: server, protocol }), payload(Buffer.alloc(24, 0x33))];
      const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.protocol });
      const result = receive(gateway, server, a2.floatingIp!, [error, quote(sent(a2.floatingIp!), 8)]);
      expectToVm(result, a2, [ipv4({ source: server, destination: a2.address, ttl: 63 }), error, quote(sent(a2.address), 8)]);
    });

    it('quotes of odd length', () => {
      open(kind, overTcp);
      const port = mappingOf(gateway, a1, overTcp, PORT).externalPort;
      const sent = (source: string, from: number): Layer[] => [ipv4({ source, destination: server }), ...overTcp.request(from), payload('odd')];
      // Not 17: half of a checksum cannot be put right.
      for (const bytes of [8, 9, 16, 18, 19, 21, 23]) {
        const error = icmp({ type: ICMP.timeExceeded });
        const result = receive(gateway, externalRouter.address, ADDRESS, [error, quote(sent(ADDRESS, port), bytes)]);
        expectToVm(result, a1, [ipv4({ source: externalRouter.address, destination: a1.address, ttl: 63 }), error, quote(sent(a1.address, PORT), bytes)]);
      }
    });
  });

  describe('never refresh and never end a session (RFC 5508 REQ-6, RFC 5382 REQ-10)', () => {
    const IDLE = 100;
    const open = (): { readonly index: number; readonly port: number } => {
      send(gateway, a1, server, overTcp.request(PORT));
      const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
      receive(gateway, server, ADDRESS, overTcp.reply(externalPort));
      send(gateway, a1, server, [tcp({ sourcePort: PORT, destinationPort: 80, flags: TCP.ACK })]);
      const index = gateway.mappingIndex(ADDRESS, 'tcp', externalPort);
      const mapping = gateway.mappingTable.get(index);
      gateway.mappingTable.update(index, { lastSeen: ticksAgo(IDLE), first: { ...mapping.first, lastSeen: ticksAgo(IDLE) } });
      return { index, port: externalPort };
    };

    it.each(errors)('$name, both ways', ({ error }) => {
      const { index, port } = open();
      const before = gateway.mappingTable.get(index);
      expect(before.first.state).toBe(2);
      const sent = [ipv4({ source: ADDRESS, destination: server }), ...overTcp.request(port)];
      const got = [ipv4({ source: server, destination: a1.address }), ...overTcp.reply(PORT)];
      expect(receive(gateway, server, ADDRESS, [error, quote(sent, 8)]).counters).toEqual({ icmp_error_inbound: 1 });
      expect(send(gateway, a1, server, [error, quote(got, 8)]).counters).toEqual({ icmp_error_outbound: 1 });
      expect(gateway.mappingTable.get(index)).toEqual(before);
    });

    it('an error about a RST or a FIN ends nothing either', () => {
      const { index, port } = open();
      const before = gateway.mappingTable.get(index);
      for (const flags of [TCP.RST, TCP.FIN | TCP.ACK]) {
        const sent = [ipv4({ source: ADDRESS, destination: server }), tcp({ sourcePort: port, destinationPort: 80, flags })];
        receive(gateway, server, ADDRESS, [icmp({ type: ICMP.unreachable }), quote(sent)]);
      }
      expect(gateway.mappingTable.get(index)).toEqual(before);
    });

    it('makes no mapping: an error of a VM about a flow that is not there is dropped', () => {
      const before = gateway.tables();
      const got = [ipv4({ source: server, destination: a1.address }), ...overUdp.reply(PORT)];
      learn(gateway, a1);
      expectDropped(send(gateway, a1, server, [icmp({ type: ICMP.unreachable, code: UNREACHABLE.port }), quote(got)]), 'no_mapping');
      expect(gateway.tables().mappings).toEqual(before.mappings);
    });
  });

  describe('what is quoted may be invented', () => {
    interface Forgery {
      readonly name: string;
      readonly reason: string;
      readonly make: (port: number) => RunResult;
    }
    const error = icmp({ type: ICMP.unreachable, code: UNREACHABLE.port });
    const sent = (header: Partial<Ipv4> = {}, port = 0, layers = overUdp.request(port)): Layer[] => [ipv4({ source: ADDRESS, destination: server, ...header }), ...layers];
    const inbound = (...layers: Layer[]): RunResult => receive(gateway, server, ADDRESS, layers);
    const forgeries: readonly Forgery[] = [
      { name: 'a port that has no mapping', reason: 'no_mapping', make: (port) => inbound(error, quote(sent({}, port ^ 1))) },
      { name: 'a remote that the VM never wrote to', reason: 'filtered', make: (port) => inbound(error, quote(sent({ destination: otherServer }, port))) },
      { name: 'a packet of another address than the one it is sent to', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({ source: world.tenantB.externalAddress }, port))) },
      { name: 'a header with a wrong checksum (RFC 5508 REQ-3a)', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({ checksum: 0xdead }, port))) },
      { name: 'another version of IP', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({ version: 6 }, port))) },
      { name: 'a header shorter than a header', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({ headerLength: 4 }, port))) },
      { name: 'a packet shorter than its header', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({ totalLength: 19 }, port))) },
      { name: 'an ICMP error', reason: 'icmp_quote', make: (port) => inbound(error, quote(sent({}, port, [icmp({ type: ICMP.timeExceeded }), payload(Buffer.alloc(28))]))) },
      { name: 'less than a header', reason: 'truncated', make: () => inbound(error, payload(Buffer.alloc(19, 0x45))) },
      { name: 'nothing', reason: 'truncated', make: () => inbound(error) },
      { name: 'less than the ports', reason: 'truncated', make: (port) => inbound(error, quote(sent({}, port), 7)) },
      { name: 'a protocol that has no mapping', reason: 'protocol_not_translated', make: () => inbound(error, quote(sent({ protocol: PROTOCOL.gre }, 0, [payload(Buffer.alloc(8))]))) },
      {
        name: 'another remote port, where ports are filtered',
        reason: 'filtered',
        make: () => {
          gateway.setRouter({ filtering: 2 });
          send(gateway, a1, server, overTcp.request(PORT));
          const { externalPort } = mappingOf(gateway, a1, overTcp, PORT);
          return inbound(error, quote(sent({}, 0, overTcp.request(externalPort, 81))));
        },
      },
    ];

    it.each(forgeries)('$name', ({ reason, make }) => {
      open(kinds[0]!, overUdp);
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const before = gateway.mappings().filter(({ protocol }) => protocol === 1);
      expectDropped(make(externalPort), reason);
      expect(gateway.mappings().filter(({ protocol }) => protocol === 1)).toEqual(before);
    });

    it.each([
      ['shared SNAT', ADDRESS],
      ['a floating IP', a2.floatingIp!],
    ])('an error with a wrong ICMP checksum to %s is dropped (RFC 5508 REQ-3)', (_, address) => {
      open(kinds[0]!, overUdp);
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const packet = [ipv4({ source: address, destination: server }), ...overUdp.request(externalPort)];
      expectDropped(receive(gateway, server, address, [{ ...error, checksum: 0x1234 }, quote(packet)]), 'icmp_quote');
    });

    it('a floating IP gets no error about a packet that was another\'s', () => {
      const packet = [ipv4({ source: ADDRESS, destination: server }), ...overUdp.request(PORT)];
      expectDropped(receive(gateway, server, a2.floatingIp!, [error, quote(packet)]), 'icmp_quote');
    });

    it('a VM cannot complain about a packet to somebody else', () => {
      open(kinds[0]!, overUdp);
      const packet = [ipv4({ source: server, destination: '172.16.100.99' }), ...overUdp.reply(PORT)];
      expectDropped(send(gateway, a1, server, [error, quote(packet)]), 'icmp_quote');
    });

    it('a VM cannot complain to somebody who has not sent what it quotes', () => {
      open(kinds[0]!, overUdp);
      const packet = [ipv4({ source: otherServer, destination: a1.address }), ...overUdp.reply(PORT)];
      expectDropped(send(gateway, a1, server, [error, quote(packet)]), 'icmp_quote');
    });

    it('an error in fragments is dropped: its checksum is of the whole', () => {
      open(kinds[0]!, overUdp);
      const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
      const packet = [ipv4({ source: ADDRESS, destination: server }), ...overUdp.request(externalPort)];
      expectDropped(receive(gateway, server, ADDRESS, [error, quote(packet)], { moreFragments: true }), 'fragment');
    });
  });

  it('another query of ICMP is no error and has no mapping', () => {
    open(kinds[0]!, overIcmp);
    expectDropped(receive(gateway, server, ADDRESS, [icmp({ type: ICMP.timestamp }), payload(Buffer.alloc(12))]), 'icmp_type');
  });

  it('quoted bytes behind the quoted packet stay as they are', () => {
    open(kinds[0]!, overUdp);
    const { externalPort } = mappingOf(gateway, a1, overUdp, PORT);
    const error = icmp({ type: ICMP.timeExceeded });
    const sent = (source: string, from: number): Layer[] => [ipv4({ source, destination: server }), ...overUdp.request(from)];
    const result = receive(gateway, server, ADDRESS, [error, quote(sent(ADDRESS, externalPort)), payload('and more')]);
    expectToVm(result, a1, [ipv4({ source: server, destination: a1.address, ttl: 63 }), error, quote(sent(a1.address, PORT)), payload('and more')]);
  });

  it('an error about an error that we translated is not passed on, whoever says it', () => {
    const inner = [ipv4({ source: a2.floatingIp!, destination: server }), icmp({ type: ICMP.unreachable, code: 1 }), payload(Buffer.alloc(28))];
    expectDropped(receive(gateway, server, a2.floatingIp!, [icmp({ type: ICMP.timeExceeded }), quote(inner)]), 'icmp_quote');
  });
});
