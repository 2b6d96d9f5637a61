/** BFD of compute nodes, in VNI 0 of their tunnels: what is noted, what is told, and what is no BFD of theirs. */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeControlPacket, type ControlPacket } from '../../src/bfd/control-packet.js';
import { bfdReportCodec, encapsulation, eventType, interfaceRole, type BfdReport } from '../../src/dataplane/layout.generated.js';
import { macToBuffer, numberToIpv4, ipv4ToNumber } from '../support/bytes.js';
import { GatewayFixture, hooks, nowNs } from '../support/gateway-fixture.js';
import { ethernet, frame, ipv4, payload, udp, type Ipv4, type Layer, type Udp } from '../support/packet.js';
import { emittedBy, expectDropped, overUdp, vmsOfRouters, type Emitted } from '../support/traffic.js';
import { a1, b1, compute1, compute2, neighbour, nodeA, VIRTUAL_ADDRESS, VIRTUAL_MAC, VRID, frameFromVm, fromVm, type Compute, type Tenant, type TunnelOverrides, type VirtualMachine } from '../support/world.js';

const LOCAL = 0x11223344;
const REMOTE = 0x55667788;
const BFD_PORT = 3784;
/** BFD_TELL_INTERVAL_NS, and a little more. */
const TELL_INTERVAL_MS = 12;
const STRANGERS_PER_SECOND = 64;
/** EVENTS_BYTES, over what a frame takes at least. */
const MOST_EVENTS = (1 << 20) / 2048;
const OVS_MAC = '00:23:20:00:00:01';

const up: ControlPacket = {
  diagnostic: 0, state: 'Up', poll: false, final: false, demand: false, detectMult: 3, myDiscriminator: REMOTE, yourDiscriminator: LOCAL, desiredMinTxUs: 100_000, requiredMinRxUs: 1_000_000,
};
const down: ControlPacket = { ...up, state: 'Down', yourDiscriminator: 0 };

interface Spoken {
  readonly packet?: Partial<ControlPacket>;
  /** In place of an encoded packet. */
  readonly bytes?: Buffer;
  readonly network?: Partial<Omit<Ipv4, 'layer'>>;
  readonly datagram?: Partial<Omit<Udp, 'layer'>>;
  readonly inner?: readonly Layer[];
  readonly compute?: Compute;
  readonly vni?: number;
  readonly tunnel?: TunnelOverrides;
  readonly encapsulation?: 'geneve' | 'vxlan';
}

/** As Open vSwitch sends it. */
function spoken({ packet = {}, bytes, network, datagram, inner, compute = compute1, vni = 0, tunnel, encapsulation: kind = 'geneve' }: Spoken = {}): Buffer {
  const tenant: Tenant = { ...a1.tenant, vni, encapsulation: kind };
  const vm: VirtualMachine = { ...a1, tenant, compute };
  const layers = inner ?? [
    ipv4({ source: '169.254.1.1', destination: '169.254.1.0', ttl: 255, typeOfService: 0xc0, ...network }),
    udp({ sourcePort: 49152, destinationPort: BFD_PORT, checksum: 0, ...datagram }),
    payload(bytes ?? Buffer.from(encodeControlPacket({ ...up, ...packet }))),
  ];
  const options = kind === 'geneve' ? { geneve: { options: [] } } : {};
  return frame(...fromVm(vm, layers, { ...options, inner: { source: 'f2:92:a8:9c:6b:2d', destination: OVS_MAC }, ...tunnel }));
}

function packetWith(...changes: readonly (readonly [offset: number, value: number])[]): Buffer {
  const bytes = Buffer.from(encodeControlPacket(up));
  for (const [offset, value] of changes) bytes[offset] = value;
  return bytes;
}

const reportOf = ({ frame: bytes }: Emitted): BfdReport => bfdReportCodec.decode(bytes);
const key = (compute = compute1, kind: keyof typeof encapsulation = 'geneve') => ({ endpoint: ipv4ToNumber(compute.address), virtualRouter: VRID, encapsulation: encapsulation[kind] });
const quiet = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

describe.each(hooks)('BFD, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    admit(compute1);
  });

  function admit(compute: Compute, kind: keyof typeof encapsulation = 'geneve'): void {
    gateway.bfdSessions.set(key(compute, kind), { receivedNs: 0n, toldNs: 0n, localDiscriminator: LOCAL, mac: Buffer.alloc(6), untold: 0, term: 0, packet: Buffer.alloc(24) });
  }

  const session = (compute = compute1, kind: keyof typeof encapsulation = 'geneve') => gateway.bfdSessions.get(key(compute, kind))!;

  async function told(events: readonly Emitted[], count: number): Promise<BfdReport[]> {
    await vi.waitFor(() => expect(events.length).toBeGreaterThanOrEqual(count));
    await quiet();
    expect(events).toHaveLength(count);
    return events.map(reportOf);
  }

  describe('of a compute that is admitted', () => {
    it.each(['geneve', 'vxlan'] as const)('is stamped and told, in %s', async (kind) => {
      admit(compute1, kind);
      const events = await emittedBy(gateway);
      const before = nowNs();
      expect(gateway.run('underlay', spoken({ encapsulation: kind }))).toMatchObject({ verdict: 'DROP', counters: { bfd_heard: 1 } });
      const after = nowNs();
      const [report] = await told(events, 1);
      expect(report).toMatchObject({ key: key(compute1, kind), known: 1, mac: macToBuffer(compute1.mac), packet: Buffer.from(encodeControlPacket(up)) });
      expect(events[0]!.event).toMatchObject({ type: eventType.bfd, interface: interfaceRole.underlay });
      expect(numberToIpv4(events[0]!.event.address)).toBe(compute1.address);
      const { receivedNs, packet, mac } = session(compute1, kind);
      expect(receivedNs).toBeGreaterThanOrEqual(before);
      expect(receivedNs).toBeLessThanOrEqual(after);
      expect(events[0]!.event.receivedNs).toBe(receivedNs);
      expect({ packet, mac }).toEqual({ packet: Buffer.from(encodeControlPacket(up)), mac: macToBuffer(compute1.mac) });
    });

    it('what is steady is stamped alone', async () => {
      gateway.run('underlay', spoken());
      const events = await emittedBy(gateway);
      const { receivedNs } = session();
      await quiet();
      for (let i = 0; i < 5; i += 1) expect(gateway.run('underlay', spoken()).counters).toEqual({ bfd_heard: 1 });
      expect(session().receivedNs).toBeGreaterThan(receivedNs);
      await told(events, 0);
    });

    it.each<[string, Partial<ControlPacket>]>([
      ['another state', { state: 'Down' }],
      ['another diagnostic', { diagnostic: 7 }],
      ['another interval', { desiredMinTxUs: 50_000 }],
      ['another discriminator', { myDiscriminator: 9 }],
      ['Poll', { poll: true }],
      ['Final', { final: true }],
    ])('%s is told', async (_, packet) => {
      gateway.run('underlay', spoken());
      await new Promise((resolve) => setTimeout(resolve, TELL_INTERVAL_MS));
      const events = await emittedBy(gateway);
      gateway.run('underlay', spoken({ packet }));
      expect((await told(events, 1))[0]!.packet).toEqual(Buffer.from(encodeControlPacket({ ...up, ...packet })));
    });

    it('Poll again and again, each time', async () => {
      const events = await emittedBy(gateway);
      for (let i = 0; i < 3; i += 1) {
        gateway.run('underlay', spoken({ packet: { poll: true } }));
        await new Promise((resolve) => setTimeout(resolve, TELL_INTERVAL_MS));
      }
      await told(events, 3);
    });

    it('another way back is told', async () => {
      gateway.run('underlay', spoken());
      await new Promise((resolve) => setTimeout(resolve, TELL_INTERVAL_MS));
      const events = await emittedBy(gateway);
      gateway.run('underlay', spoken({ compute: { ...compute1, mac: compute2.mac } }));
      expect((await told(events, 1))[0]!.mac).toEqual(macToBuffer(compute2.mac));
    });

    it('a new Active is told of everybody once', async () => {
      gateway.run('underlay', spoken());
      await new Promise((resolve) => setTimeout(resolve, TELL_INTERVAL_MS));
      const events = await emittedBy(gateway);
      gateway.setState('active', { term: 2 });
      for (let i = 0; i < 3; i += 1) gateway.run('underlay', spoken());
      await told(events, 1);
    });

    it('a flood of changes is told of in rate, and in the end by its last', async () => {
      const events = await emittedBy(gateway);
      const states = ['Up', 'Init'] as const;
      const begin = nowNs();
      for (let i = 0; i < 1001; i += 1) gateway.execute('underlay', spoken({ packet: { state: states[i % 2]! } }));
      const lastedMs = Number((nowNs() - begin) / 1_000_000n);
      await new Promise((resolve) => setTimeout(resolve, TELL_INTERVAL_MS));
      // The next one of the same kind says what was not told.
      gateway.execute('underlay', spoken());
      await vi.waitFor(() => expect(events.length).toBeGreaterThan(0));
      await quiet();
      expect(events.length).toBeLessThanOrEqual(2 + lastedMs / 10);
      expect(reportOf(events.at(-1)!).packet).toEqual(Buffer.from(encodeControlPacket(up)));
    });

    it('is told although tenants have filled what is theirs of the ring buffer', async () => {
      const events = await emittedBy(gateway);
      gateway.removeNeighbour('external', neighbour.address);
      const packets = vmsOfRouters(gateway, 5).map((vm) => frameFromVm(vm, [ipv4({ source: vm.address, destination: neighbour.address }), ...overUdp.request(40_000)]));
      // Nothing reads meanwhile: test runs are synchronous.
      for (let i = 0; i < MOST_EVENTS; i += 1) gateway.execute('underlay', packets[i % packets.length]!);
      gateway.execute('underlay', spoken());
      await vi.waitFor(() => expect(events.at(-1)?.event.type).toBe(eventType.bfd));
      expect(events.length).toBeGreaterThan(MOST_EVENTS / 8);
    });

    it.each(['active', 'draining'] as const)('is heard by an %s gateway', (state) => {
      gateway.setState(state);
      expect(gateway.run('underlay', spoken()).counters).toEqual({ bfd_heard: 1 });
    });

    it.each(['backup', 'initialize'] as const)('not by a gateway in %s', (state) => {
      gateway.setState(state);
      expectDropped(gateway.run('underlay', spoken()), 'not_active');
      expect(session().receivedNs).toBe(0n);
    });

    it('what names the session of another changes nothing', async () => {
      const events = await emittedBy(gateway);
      expectDropped(gateway.run('underlay', spoken({ packet: { yourDiscriminator: LOCAL + 1 } })), 'bfd_stranger');
      expect(session()).toMatchObject({ receivedNs: 0n, packet: Buffer.alloc(24) });
      await told(events, 0);
    });

    it('what does not know us yet is heard', () => {
      expect(gateway.run('underlay', spoken({ packet: down })).counters).toEqual({ bfd_heard: 1 });
    });
  });

  describe('of a stranger', () => {
    const stranger = (host: number): Compute => ({ address: `192.168.33.${host}`, mac: compute2.mac });

    it('is dropped, and told', async () => {
      const events = await emittedBy(gateway);
      expectDropped(gateway.run('underlay', spoken({ compute: compute2 })), 'bfd_stranger');
      expect((await told(events, 1))[0]).toMatchObject({ key: key(compute2), known: 0, mac: macToBuffer(compute2.mac) });
    });

    it('a flood of them makes nothing, and little noise', async () => {
      const events = await emittedBy(gateway);
      const entries = [...gateway.bfdSessions.keys()].length;
      for (let i = 0; i < 2000; i += 1) gateway.execute('underlay', spoken({ compute: stranger(i % 250), packet: { myDiscriminator: i + 1 } }));
      await vi.waitFor(() => expect(events.length).toBeGreaterThan(0));
      await quiet();
      // A new second may begin meanwhile, and the run may change CPUs.
      expect(events.length).toBeLessThanOrEqual(4 * STRANGERS_PER_SECOND);
      expect([...gateway.bfdSessions.keys()]).toHaveLength(entries);
      // Those that are admitted are heard all the same.
      expect(gateway.run('underlay', spoken()).counters).toEqual({ bfd_heard: 1 });
      await vi.waitFor(() => expect(reportOf(events.at(-1)!).known).toBe(1));
    });

    it('of the other encapsulation is one as well', () => {
      expectDropped(gateway.run('underlay', spoken({ encapsulation: 'vxlan' })), 'bfd_stranger');
    });
  });

  describe('RFC 5880 §6.8.6, and what is around it', () => {
    it.each<[string, Spoken]>([
      ['TTL 254', { network: { ttl: 254 } }],
      ['another inner source', { network: { source: '169.254.1.2' } }],
      ['another inner destination', { network: { destination: '169.254.1.1' } }],
      ['an inner header that is not summed right', { network: { checksum: 0x1234 } }],
      ['a UDP checksum', { datagram: { checksum: 0x1234 } }],
      ['a datagram that is longer than its packet', { datagram: { length: 33 } }],
      ['a packet that is longer than its tunnel', { network: { totalLength: 53 } }],
      ['version 0', { bytes: packetWith([0, 0]) }],
      ['version 2', { bytes: packetWith([0, 0x40]) }],
      ['Length 23', { bytes: packetWith([3, 23]) }],
      ['Length 25 of 24', { bytes: packetWith([3, 25]) }],
      ['Detect Mult 0', { bytes: packetWith([2, 0]) }],
      ['the M bit', { bytes: packetWith([1, 0xc1]) }],
      ['the A bit', { bytes: packetWith([1, 0xc4]) }],
      ['My Discriminator 0', { bytes: packetWith([4, 0], [5, 0], [6, 0], [7, 0]) }],
      ['Up without Your Discriminator', { packet: { yourDiscriminator: 0 } }],
      ['Init without Your Discriminator', { packet: { state: 'Init', yourDiscriminator: 0 } }],
    ])('%s is discarded', async (_, what) => {
      const events = await emittedBy(gateway);
      const result = gateway.run('underlay', spoken(what));
      expectDropped(result, 'bfd_malformed');
      expect(session()).toMatchObject({ receivedNs: 0n, packet: Buffer.alloc(24) });
      await told(events, 0);
    });

    it('an outer checksum that is wrong is not believed', () => {
      expectDropped(gateway.run('underlay', spoken({ tunnel: { geneve: { options: [] }, udp: { checksum: 0x4242 } } })), 'outer_checksum');
      expect(session().receivedNs).toBe(0n);
    });

    it('one that is right is', () => {
      expect(gateway.run('underlay', spoken({ tunnel: { geneve: { options: [] }, udp: { checksum: undefined } } })).counters).toEqual({ bfd_heard: 1 });
    });

    it('a longer packet counts with its first 24 bytes', () => {
      expect(gateway.run('underlay', spoken({ bytes: Buffer.concat([packetWith(), Buffer.alloc(8, 0xff)]) })).counters).toEqual({ bfd_heard: 1 });
    });

    it('no frame that ends too soon is read beyond its end', () => {
      const whole = spoken();
      for (let length = 14; length < whole.length; length += 1) expect(['DROP', 'PASS']).toContain(gateway.execute('underlay', whole.subarray(0, length)).verdict);
      expect(session().receivedNs).toBe(0n);
    });
  });

  describe('VNI 0', () => {
    it.each<[string, Spoken]>([
      ['a VM\'s packet', { inner: [ipv4({ source: a1.address, destination: '203.0.113.10' }), ...overUdp.request(40_000)] }],
      ['another port', { datagram: { destinationPort: 3785 } }],
      ['a fragment', { network: { moreFragments: true } }],
      ['an ICMP message', { network: { protocol: 1 } }],
      ['a header with options', { network: { options: Buffer.from([1, 1, 1, 0]) } }],
    ])('with %s is a network that nobody has', (_, what) => {
      expectDropped(gateway.run('underlay', spoken(what)), 'vni_unknown');
      expect(session().receivedNs).toBe(0n);
    });

    it('to another address as well', () => {
      expectDropped(gateway.run('underlay', spoken({ tunnel: { geneve: { options: [] }, ipv4: { destination: '192.168.33.101' } } })), 'vni_unknown');
    });

    it('to our own address is the kernel\'s', () => {
      const bytes = spoken({ tunnel: { geneve: { options: [] }, ipv4: { destination: nodeA.underlay.address } } });
      expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'PASS', frame: bytes });
    });
  });

  describe('of a tenant', () => {
    it.each([a1, b1])('in its own VNI is no BFD, $tenant.vni', async (vm) => {
      const events = await emittedBy(gateway);
      for (const packet of [up, down, { ...up, state: 'AdminDown' as const }]) {
        expectDropped(gateway.run('underlay', spoken({ vni: vm.tenant.vni, packet })), 'source_not_in_subnet');
      }
      expect(session().receivedNs).toBe(0n);
      await told(events, 0);
    });

    it('neither from its own address: it is a datagram like any other', async () => {
      gateway.run('underlay', spoken({ vni: a1.tenant.vni, network: { source: a1.address }, tunnel: { geneve: { options: [a1.option] }, inner: { source: a1.mac, destination: a1.tenant.gatewayMac } } }));
      expect(session().receivedNs).toBe(0n);
    });

    it('behind its own tunnel header inside the tunnel neither', () => {
      const bfd = spoken();
      const inner = [ipv4({ source: a1.address, destination: VIRTUAL_ADDRESS }), udp({ sourcePort: 1, destinationPort: 6081 }), payload(bfd.subarray(14 + 20 + 8))];
      gateway.run('underlay', frame(...fromVm(a1, inner)));
      expect(session().receivedNs).toBe(0n);
    });
  });

  it('on a tagged underlay it comes with the tag', () => {
    gateway.setInterface('underlay', { vlan: 33 });
    expect(gateway.run('underlay', spoken({ tunnel: { geneve: { options: [] }, vlan: 33 } })).counters).toEqual({ bfd_heard: 1 });
    expect(gateway.run('underlay', spoken()).verdict).toBe('PASS');
  });

  it('the frames above are what they say', () => {
    expect(spoken().subarray(0, 12).toString('hex')).toBe(frame(ethernet({ source: compute1.mac, destination: VIRTUAL_MAC })).subarray(0, 12).toString('hex'));
    // As in test/pcaps/ovn-01-bfd-establish-underlay.pcap: MAC, IPv4, UDP.
    expect(spoken().subarray(14 + 20 + 8 + 8).toString('hex')).toMatch(/^002320000001.{12}080045c00034........ff11....a9fe0101a9fe0100c0000ec800200000/);
  });
});
