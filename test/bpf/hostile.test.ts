/** Frames that end early or lie about their lengths: refused, and nothing is learned from them. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture, type ProgramName } from '../support/gateway-fixture.js';
import { arp, ethernet, frame, icmp, ICMP, ipv4, payload, tcp, TCP, udp, type Layer } from '../support/packet.js';
import { RECORD_KIND, SYNC_TYPE } from '../support/sync-frame.js';
import * as world from '../support/world.js';
import { a1, a2, frameFromVm, fromOutside, fromPeer, nodeA, nodeB, server, type TunnelOverrides } from '../support/world.js';

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => gateway.reset());

const MIN_FRAME = 14;
const datagram = [udp({ sourcePort: 5000, destinationPort: 53 }), payload('some payload')];
const segment = [tcp({ sourcePort: 5000, destinationPort: 80, flags: TCP.SYN, options: Buffer.from('020405b4', 'hex') })];
const echo = [icmp({ type: ICMP.echo, identifier: 1 }), payload('ping')];
const request = arp({ operation: 1, senderMac: a1.mac, senderAddress: a1.address, targetMac: '00:00:00:00:00:00', targetAddress: a1.tenant.gateway });
const fromA1 = (inner: readonly Layer[], tunnel: TunnelOverrides = {}): Buffer =>
  frameFromVm(a1, [ipv4({ source: a1.address, destination: server, options: Buffer.alloc(4, 1) }), ...inner], tunnel);
const toFloatingIp = (inner: readonly Layer[]): Buffer =>
  fromOutside([ipv4({ source: server, destination: a2.floatingIp!, options: Buffer.alloc(4, 1) }), ...inner]);
const record = {
  kind: RECORD_KIND.session, protocol: 1, state: 2, term: 1, vni: 100, internalAddress: a1.address, externalAddress: a1.tenant.externalAddress,
  remote: server, internalPort: 5000, externalPort: 0x0500, virtualRouter: world.VRID, tunnelEndpoint: a1.compute.address, mac: a1.mac, nextHopMac: a1.compute.mac,
};
const commit = fromPeer(nodeB, nodeA, { type: SYNC_TYPE.commit, sequence: 1n, records: [record], egress: 1 }, [
  ethernet({ source: world.VIRTUAL_MAC, destination: world.externalRouter.mac }),
  ipv4({ source: a1.tenant.externalAddress, destination: server }),
  ...datagram,
]);

const frames: readonly [ProgramName, string, Buffer][] = [
  ['underlay', 'UDP in a tunnel', fromA1(datagram)],
  ['underlay', 'TCP in a tunnel without option', fromA1(segment, { geneve: { options: [] } })],
  ['underlay', 'echo in a tunnel with options', fromA1(echo, { geneve: { options: [a1.option, { optionClass: 1, type: 1, data: Buffer.alloc(12) }] } })],
  ['underlay', 'echo to the gateway', frameFromVm(a1, [ipv4({ source: a1.address, destination: a1.tenant.gateway }), ...echo])],
  ['underlay', 'ARP in a tunnel', frameFromVm(a1, [request])],
  ['external', 'UDP to a floating IP', toFloatingIp(datagram)],
  ['external', 'TCP to a floating IP', toFloatingIp(segment)],
  ['external', 'echo to a router', fromOutside([ipv4({ source: server, destination: a1.tenant.externalAddress }), ...echo])],
  ['ha_xdp', 'a commit', commit],
  ['ha_xdp', 'records', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.records, sequence: 1n, records: [record, record] })],
  ['ha_xdp', 'a heartbeat', fromPeer(nodeB, nodeA, { type: SYNC_TYPE.heartbeat, sequence: 1n })],
];

describe.each(frames)('%s / %s', (program, _, bytes) => {
  it('is good as a whole', () => {
    const verdict = gateway.execute(program, bytes).verdict;
    // To a floating IP whose VM was never heard of there is no way.
    if (bytes.readUInt16BE(12) === 0x0800 && program === 'external' && verdict === 'DROP') {
      gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), ...echo]));
      expect(gateway.execute(program, bytes).verdict).toBe('REDIRECT');
    } else {
      expect(['REDIRECT', 'TX']).toContain(verdict);
    }
  });

  it('cut off at every byte is dropped and teaches nothing', () => {
    const before = gateway.tables();
    for (let length = MIN_FRAME; length < bytes.length; length++) {
      expect(gateway.execute(program, bytes.subarray(0, length)).verdict, `${length} bytes`).toBe('DROP');
    }
    expect(gateway.tables()).toEqual(before);
  });

  it('followed by any number of bytes is still good: Ethernet pads', () => {
    for (const more of [1, 2, 7, 18, 46]) {
      gateway.reset();
      gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), ...echo]));
      const verdict = gateway.execute(program, Buffer.concat([bytes, Buffer.alloc(more)])).verdict;
      expect(['REDIRECT', 'TX'], `${more} bytes`).toContain(verdict);
    }
  });
});

describe.each([
  ['underlay', frame(ethernet({ source: world.compute1.mac, destination: 'ff:ff:ff:ff:ff:ff' }), { ...request, targetAddress: world.VIRTUAL_ADDRESS })],
  ['external', frame(ethernet({ source: world.compute1.mac, destination: 'ff:ff:ff:ff:ff:ff' }), { ...request, targetAddress: a2.floatingIp! })],
] as const)('%s / ARP', (program, bytes) => {
  it('cut off at every byte is the kernel\'s', () => {
    expect(gateway.run(program, bytes).verdict).toBe('TX');
    // The kernel gives TC none that is shorter than a header of IPv4.
    for (let length = gateway.hook === 'tc' ? 34 : MIN_FRAME; length < bytes.length; length++) {
      expect(gateway.execute(program, bytes.subarray(0, length)).verdict, `${length} bytes`).toBe('PASS');
    }
  });

  it.each([
    ['hardware type', { hardwareType: 6 }],
    ['protocol type', { protocolType: 0x86dd }],
    ['hardware length', { hardwareLength: 8 }],
    ['protocol length', { protocolLength: 16 }],
    ['operation', { operation: 3 }],
  ])('with another %s is not answered', (_name, lie) => {
    const message = { ...request, targetAddress: program === 'external' ? a2.floatingIp! : world.VIRTUAL_ADDRESS, ...lie };
    const bytesWithLie = frame(ethernet({ source: world.compute1.mac, destination: 'ff:ff:ff:ff:ff:ff' }), message);
    expect(gateway.execute(program, bytesWithLie).verdict).toBe('PASS');
  });
});

/** Every value of a length field but the right one. */
function lies(from: number, to: number, truth: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((value) => value !== truth);
}

const outerTotal = 20 + 8 + 16 + 14 + 28 + 12;
const plain = [ipv4({ source: a1.address, destination: server })];
const lyingFrames: readonly [string, number[], (lie: number) => Buffer][] = [
  ['outer IHL', lies(0, 15, 5), (headerLength) => frameFromVm(a1, [...plain, ...datagram], { ipv4: { headerLength } })],
  ['outer total length below', lies(0, outerTotal, outerTotal), (totalLength) => frameFromVm(a1, [...plain, ...datagram], { ipv4: { totalLength } })],
  ['outer total length above', lies(outerTotal, outerTotal + 64, outerTotal), (totalLength) => frameFromVm(a1, [...plain, ...datagram], { ipv4: { totalLength } })],
  ['outer total length far above', [0x7fff, 0x8000, 0xfffe, 0xffff], (totalLength) => frameFromVm(a1, [...plain, ...datagram], { ipv4: { totalLength } })],
  [
    'outer lengths that agree with each other, below the inner packet\'s end',
    lies(20 + 8 + 16 + 14, outerTotal - 1, outerTotal),
    (totalLength) => frameFromVm(a1, [...plain, ...datagram], { ipv4: { totalLength }, udp: { length: totalLength - 20 } }),
  ],
  ['outer UDP length above', lies(outerTotal - 20, outerTotal + 44, outerTotal - 20), (length) => frameFromVm(a1, [...plain, ...datagram], { udp: { length } })],
  ['outer UDP length below a header', lies(0, 7, 8), (length) => frameFromVm(a1, [...plain, ...datagram], { udp: { length } })],
  ['Geneve option length', lies(0, 63, 2), (optionLength) => frameFromVm(a1, [...plain, ...datagram], { geneve: { optionLength } })],
  ['option length', lies(0, 31, 1), (length) => frameFromVm(a1, [...plain, ...datagram], { geneve: { options: [{ ...a1.option, length }] } })],
  ['inner IHL', lies(0, 15, 5), (headerLength) => frameFromVm(a1, [{ ...plain[0]!, headerLength }, ...datagram])],
  ['inner total length', [...lies(0, 40, 40), ...lies(40, 104, 40), 0xffff], (totalLength) => frameFromVm(a1, [{ ...plain[0]!, totalLength }, ...datagram])],
  ['inner UDP length above', [...lies(20, 84, 20), 0xffff], (length) => frameFromVm(a1, [...plain, { ...udp({ sourcePort: 1, destinationPort: 2 }), length }, payload('some payload')])],
  ['inner UDP length below a header', lies(0, 7, 8), (length) => frameFromVm(a1, [...plain, { ...udp({ sourcePort: 1, destinationPort: 2 }), length }, payload('some payload')])],
];

describe('lies about lengths on the underlay', () => {
  it('the truth gets through', () => {
    expect(gateway.execute('underlay', frameFromVm(a1, [...plain, ...datagram])).verdict).toBe('REDIRECT');
  });

  it.each(lyingFrames)('%s', (_, values, make) => {
    const before = gateway.tables();
    for (const value of values) expect(gateway.execute('underlay', make(value)).verdict, `${value}`).toBe('DROP');
    expect(gateway.tables()).toEqual(before);
  });
});

describe('lies about lengths on the external side', () => {
  const header = { source: server, destination: a2.floatingIp! };
  const lying: readonly [string, number[], (lie: number) => Buffer][] = [
    ['IHL', lies(0, 15, 5), (headerLength) => fromOutside([ipv4({ ...header, headerLength }), ...datagram])],
    ['total length', [...lies(0, 40, 40), ...lies(40, 104, 40), 0xffff], (totalLength) => fromOutside([ipv4({ ...header, totalLength }), ...datagram])],
    ['UDP length', [...lies(0, 7, 8), ...lies(20, 84, 20)], (length) => fromOutside([ipv4(header), { ...udp({ sourcePort: 1, destinationPort: 2 }), length }, payload('some payload')])],
  ];

  it.each(lying)('%s', (_, values, make) => {
    gateway.run('underlay', frameFromVm(a2, [ipv4({ source: a2.address, destination: server }), ...echo]));
    const before = gateway.tables();
    for (const value of values) expect(gateway.execute('external', make(value)).verdict, `${value}`).toBe('DROP');
    expect(gateway.tables()).toEqual(before);
  });
});
