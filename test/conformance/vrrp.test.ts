/** Requirements of VRRP.md that no other test shows. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { checkFacts } from '../../src/compile/facts.js';
import type { Authentication, InvalidReason } from '../../src/vrrp/advertisement.js';
import { describeVirtualRouter, type VirtualRouterOptions } from '../../src/vrrp/options.js';
import { finishChecksum, sumWords } from '../../src/vrrp/ipv4.js';
import { activeDownIntervalUs } from '../../src/vrrp/timing.js';
import { ipv4ToNumber } from '../support/bytes.js';
import { internetChecksum, pseudoHeader } from '../support/checksum.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks } from '../support/gateway-fixture.js';
import { ethernet, frame, icmp, ICMP, ipv4, payload, type Layer } from '../support/packet.js';
import { compute1, frameFromVm, a1, nodeA, VIRTUAL_ADDRESS, VIRTUAL_MAC } from '../support/world.js';
import { facts, parse } from '../unit/compile/states.js';
import { example, exampleWith } from '../unit/config/example.js';
import { DOWN_MS, Loop, advertPacket, options as defaults, setUp, type Heard } from '../unit/vrrp/edge.js';

type Lab = ReturnType<typeof setUp>;

const none: Authentication = { type: 'none' };
const password: Authentication = { type: 'simple-text', password: 'openstac' };
const v2: Partial<VirtualRouterOptions> = { version: 2, advertisementIntervalUs: 1_000_000 };

function downMs(change: Partial<VirtualRouterOptions>): number {
  const { machine } = describeVirtualRouter({ ...defaults, ...change });
  return activeDownIntervalUs(machine.version, machine.priority, machine.advertisementIntervalUs) / 1000;
}

function startedActive(change: Partial<VirtualRouterOptions> = {}): Lab {
  const lab = setUp(change);
  lab.election.start();
  lab.loop.advanceMs(downMs(change) + 1);
  expect(lab.election.status().state).toBe('Active');
  return lab;
}

function hear(lab: Lab, packet: Buffer): void {
  const timestampNs = lab.loop.now;
  lab.loop.arrive(() => lab.receiver.emit('message', packet, { timestampNs }));
  lab.loop.advanceMs(0);
}

describe('what is sent', () => {
  /** Written by hand from the figures of the RFCs; the checksum's place is left zero. */
  const messages: [string, Partial<VirtualRouterOptions>, string][] = [
    ['v3', {}, '31 33 64 01 000a 0000 0a090064'],
    ['v3 at its slowest', { advertisementIntervalUs: 40_950_000 }, '31 33 64 01 0fff 0000 0a090064'],
    ['v2', v2, '21 33 64 01 00 01 0000 0a090064 0000000000000000'],
    ['v2 with a password', { ...v2, authentication: password }, '21 33 64 01 01 01 0000 0a090064 6f70656e73746163'],
  ];

  it.each(messages)('%s: every byte of the frame, from the virtual MAC to the group, with TTL 255 and the sum of the message alone', (_, change, hex) => {
    const { sender } = startedActive(change);
    const message = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    message.writeUInt16BE(internetChecksum(message), 6);
    expectFrame(sender.frames[0]!, [
      ethernet({ source: '00:00:5e:00:01:33', destination: '01:00:5e:00:00:12' }),
      ipv4({ source: '10.9.0.2', destination: '224.0.0.18', protocol: 112, ttl: 255, typeOfService: 0xc0, identification: 0, dontFragment: false }),
      payload(message),
    ]);
  });

  it('v3 with a pseudo-header in its sum, where that is asked for', () => {
    const { sender } = startedActive({ checksum: 'pseudo-header' });
    const message = sender.frames[0]!.subarray(34);
    const sum = message.readUInt16BE(6);
    message.writeUInt16BE(0, 6);
    expect(sum).toBe(internetChecksum(Buffer.concat([pseudoHeader(sender.frames[0]!.subarray(26, 30), sender.frames[0]!.subarray(30, 34), 112, message.length), message])));
    expect(sum).not.toBe(internetChecksum(message));
  });

  it('by a Backup: nothing at all', () => {
    const lab = setUp();
    lab.election.start();
    for (let i = 0; i < 50; i++) {
      hear(lab, advertPacket());
      lab.loop.advanceMs(100);
    }
    expect([lab.sender.frames, lab.external.frames, lab.receiver.unicast]).toEqual([[], [], []]);
  });
});

describe('what is refused', () => {
  interface Refused {
    /** As it claims the role, or resigns it. */
    readonly packet: (priority: number) => Buffer;
    readonly options?: Partial<VirtualRouterOptions>;
    /** A good one, for the same options. */
    readonly good?: Heard;
  }

  /** Bytes of a packet changed, and its sums made right again. */
  function changed(packet: Buffer, changes: Record<number, number>, resize = 0): Buffer {
    const copy = Buffer.alloc(packet.length + resize);
    packet.copy(copy);
    copy.writeUInt16BE(copy.length, 2);
    for (const [offset, value] of Object.entries(changes)) copy[Number(offset)] = value;
    copy.writeUInt16BE(0, 26);
    copy.writeUInt16BE(finishChecksum(sumWords(copy.subarray(20))), 26);
    return copy;
  }

  const advert = (change: Heard) => (priority: number): Buffer => advertPacket({ ...change, priority });
  const forged = (changes: Record<number, number>, resize = 0, heard: Heard = {}) => (priority: number): Buffer => changed(advertPacket({ ...heard, priority }), changes, resize);
  const second: Heard = { authentication: none, intervalUs: 1_000_000 };

  const refused: Record<InvalidReason, Refused> = {
    'ip-truncated': { packet: (priority) => advertPacket({ priority }).subarray(0, 31) },
    'ip-header': { packet: forged({ 0: 0x65 }) },
    'ip-fragment': { packet: forged({ 7: 1 }) },
    'ip-protocol': { packet: forged({ 9: 17 }) },
    ttl: { packet: advert({ ttl: 254 }) },
    truncated: { packet: forged({ 23: 2 }) },
    version: { packet: forged({ 20: 0x41 }) },
    type: { packet: forged({ 20: 0x32 }) },
    'no-addresses': { packet: forged({ 23: 0 }, -4) },
    length: { packet: forged({}, 4) },
    checksum: { packet: (priority) => advertPacket({ priority }).fill(0xee, 26, 28) },
    'authentication-type': { packet: forged({ 24: 2 }, 0, second), options: v2, good: second },
    'interval-zero': { packet: forged({ 24: 0, 25: 0 }) },
    vrid: { packet: advert({ vrid: 52 }) },
    'own-source': { packet: advert({ source: '10.9.0.2' }) },
    'unexpected-source': { packet: advert({ source: '10.9.0.3' }), options: { unicastPeers: ['10.9.0.1'] } },
    'version-mismatch': { packet: advert({}), options: v2, good: second },
    authentication: { packet: advert({ ...second, authentication: { type: 'simple-text', password: 'opensta' } }), options: { ...v2, authentication: password }, good: { ...second, authentication: password } },
    'address-mismatch': { packet: advert({ ...second, addresses: ['10.9.0.101'] }), options: v2, good: second },
    'interval-mismatch': { packet: advert({ ...second, intervalUs: 2_000_000 }), options: v2, good: second },
  };
  const rows = Object.entries(refused).map(([reason, row]) => ({ reason: reason as InvalidReason, ...row, ...row.options, intervalMs: (row.options?.advertisementIntervalUs ?? defaults.advertisementIntervalUs) / 1000 }));

  /** One every 10 ms, of either kind in turn, for so long. */
  function flood(lab: Lab, { packet }: Refused, forMs: number): void {
    for (let i = 0; i < forMs / 10; i++) {
      hear(lab, packet(i % 2 === 0 ? 254 : 0));
      lab.loop.advanceMs(10);
    }
  }

  describe.each(rows)('$reason', ({ reason, options, good, intervalMs, ...row }) => {
    it('does not keep a Backup from taking over when it should', () => {
      const lab = setUp(options);
      lab.election.start();
      const waitMs = Math.floor(downMs(options ?? {}) / 10) * 10;
      flood(lab, row, waitMs);
      expect(lab.election.status().state).toBe('Backup');
      flood(lab, row, 10);
      expect(lab.election.status().state).toBe('Active');
      expect(lab.election.counters.invalid[reason]).toBe(waitMs / 10 + 1);
    });

    it('does not make a Backup take over from an Active that is heard', () => {
      const lab = setUp(options);
      lab.election.start();
      for (let i = 0; i < 8; i++) {
        hear(lab, advertPacket(good));
        flood(lab, row, intervalMs);
      }
      expect(lab.election.status()).toMatchObject({ state: 'Backup', lastAdvertisement: { source: '10.9.0.1', priority: 200 } });
      expect(lab.transitions).toHaveLength(1);
    });

    it('neither moves an Active nor makes it speak or fall silent', () => {
      const lab = startedActive(options);
      const { transitions: { length }, election: { counters } } = lab;
      const sent = counters.advertisementsSent;
      flood(lab, row, 8 * intervalMs);
      expect(lab.election.status().state).toBe('Active');
      expect(lab.transitions).toHaveLength(length);
      expect(counters.advertisementsSent).toBe(sent + 8);
    });

    it('is logged, at most once in ten seconds; what is another virtual router\'s is none of our business', () => {
      const once = reason === 'vrid' ? 0 : 1;
      const lab = setUp(options);
      lab.election.start();
      flood(lab, row, 9_900);
      expect(lab.calls.filter((call) => call === `notice invalid-${reason}`)).toHaveLength(once);
      flood(lab, row, 200);
      expect(lab.calls.filter((call) => call === `notice invalid-${reason}`)).toHaveLength(2 * once);
    });
  });

  it('but what it is not about is heard: a good one among many of each', () => {
    const lab = setUp();
    lab.election.start();
    for (const row of rows.filter(({ options }) => options === undefined)) flood(lab, row, 10);
    hear(lab, advertPacket({ priority: 0 }));
    expect(lab.election.counters.resignationsReceived).toBe(1);
  });
});

describe('what is noted', () => {
  const noticed = (lab: Lab): string[] => lab.calls.filter((call) => call.startsWith('notice'));

  it('RFC 9568 §2.5: another one that became Active though we advertise, once', () => {
    const lab = startedActive();
    for (let i = 0; i < 3; i++) hear(lab, advertPacket({ priority: 50 }));
    expect(noticed(lab)).toEqual(['notice unheard']);
  });

  it('RFC 9568 §2.5: not one that resigns, nor one that we preempt, nor one that preempts us', () => {
    const active = startedActive();
    hear(active, advertPacket({ priority: 0 }));
    hear(active, advertPacket({ priority: 200 }));
    const backup = setUp();
    backup.election.start();
    hear(backup, advertPacket({ priority: 50 }));
    expect([noticed(active), noticed(backup)]).toEqual([[], []]);
  });

  it('RFC 9568 §8.3.2: an equal priority, once, and two owners', () => {
    const lab = setUp();
    lab.election.start();
    for (let i = 0; i < 3; i++) hear(lab, advertPacket({ priority: 100 }));
    expect(noticed(lab)).toEqual(['notice priority']);
    const owner = setUp({ priority: 255 });
    owner.election.start();
    hear(owner, advertPacket({ priority: 255 }));
    expect(noticed(owner)).toEqual(['notice owner']);
  });

  it('RFC 9568 §8.3.2: not another priority', () => {
    const lab = setUp();
    lab.election.start();
    for (const priority of [0, 99, 101, 255]) hear(lab, advertPacket({ priority }));
    expect(noticed(lab)).toEqual([]);
  });
});

describe('who may be the owner', () => {
  const ownerOf = (address: string): string => exampleWith('address: 192.168.33.100, priority: 200', `address: ${address}, priority: 255`);

  it('RFC 9568 §5.2.4: the node whose address it is', () => {
    expect(checkFacts(parse(ownerOf('192.168.33.11')), facts)).toEqual([]);
  });

  it('RFC 9568 §5.2.4: no other; and that one is nothing else', () => {
    expect(checkFacts(parse(ownerOf('192.168.33.100')), facts)).toHaveLength(1);
    expect(checkFacts(parse(example.replace('192.168.33.100', '192.168.33.11')), facts)).toHaveLength(1);
  });
});

describe('many virtual routers of two gateways', () => {
  const VRIDS = Array.from({ length: 16 }, (_, index) => index + 1);

  /** Every frame that one gateway sends is heard by all elections of the other, as raw sockets do. */
  function pair(): { readonly loop: Loop; readonly a: Lab[]; readonly b: Lab[] } {
    const loop = new Loop();
    const gateway = (address: string, prefers: (vrid: number) => boolean): Lab[] =>
      VRIDS.map((vrid) => setUp({ vrid, addresses: [`10.9.1.${vrid}`], primaryAddress: address, priority: prefers(vrid) ? 200 : 100 }, { clock: loop }));
    const gateways = { loop, a: gateway('10.9.0.1', (vrid) => vrid % 2 === 0), b: gateway('10.9.0.2', (vrid) => vrid % 2 === 1) };
    const connect = (from: Lab[], to: Lab[]): void => {
      for (const { sender } of from) {
        const send = sender.send.bind(sender);
        sender.send = (sent, destination) => {
          send(sent, destination);
          const timestampNs = loop.now;
          if (sent.readUInt16BE(12) === 0x0800) for (const { receiver } of to) loop.arrive(() => receiver.emit('message', sent.subarray(14), { timestampNs }));
        };
      }
    };
    connect(gateways.a, gateways.b);
    connect(gateways.b, gateways.a);
    for (const { election } of [...gateways.a, ...gateways.b]) election.start();
    loop.advanceMs(2_000);
    return gateways;
  }

  const active = (labs: Lab[]): number[] => labs.map(({ election }) => election.status()).flatMap(({ vrid, state }) => (state === 'Active' ? [vrid] : []));

  it('each is Active for those that it is preferred for, and Backup for the rest', () => {
    const { a, b } = pair();
    expect(active(a)).toEqual(VRIDS.filter((vrid) => vrid % 2 === 0));
    expect(active(b)).toEqual(VRIDS.filter((vrid) => vrid % 2 === 1));
    const macs = a.flatMap(({ sender }) => sender.frames.map((sent) => sent.subarray(6, 12).toString('hex')));
    expect(new Set(macs)).toEqual(new Set(active(a).map((vrid) => `00005e0001${vrid.toString(16).padStart(2, '0')}`)));
  });

  it('one gateway serves all when the other is gone, and one virtual router alone can be handed over', () => {
    const { loop, a, b } = pair();
    a[1]!.election.drain();
    loop.advanceMs(DOWN_MS);
    expect(active(b)).toEqual(VRIDS.filter((vrid) => vrid === 2 || vrid % 2 === 1));
    for (const { election } of a) election.close();
    loop.advanceMs(1_000);
    expect(active(b)).toEqual(VRIDS);
  });
});

describe.each(hooks)('the virtual address at %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  const ping: Layer[] = [ipv4({ source: compute1.address, destination: VIRTUAL_ADDRESS }), icmp({ type: ICMP.echo }), payload('12345678')];

  it.each(['active', 'backup', 'initialize'] as const)('RFC 9568 §6.4.3, §8.3.1: what is in no tunnel is left to the kernel, which has neither that address nor that MAC: %s', (state) => {
    gateway.setState(state);
    const before = gateway.tables();
    const bytes = frame(ethernet({ source: compute1.mac, destination: VIRTUAL_MAC }), ...ping);
    const result = gateway.run('underlay', bytes);
    expect(result.verdict).toBe('PASS');
    expectFrame(result.frame, bytes);
    expect(gateway.tables()).toEqual(before);
    expect(nodeA.underlay).not.toMatchObject({ address: VIRTUAL_ADDRESS });
    expect(nodeA.underlay).not.toMatchObject({ mac: VIRTUAL_MAC });
  });

  it.each(['active', 'backup'] as const)('RFC 9568 §6.4.3: its owner accepts what is for it, by way of the kernel, which has the address, as %s', (state) => {
    gateway.setInterface('underlay', { address: ipv4ToNumber(VIRTUAL_ADDRESS) });
    gateway.setState(state);
    const sent = (destination: string): Buffer => frame(ethernet({ source: compute1.mac, destination }), ...ping);
    const result = gateway.run('underlay', sent(VIRTUAL_MAC));
    expect(result.verdict).toBe('PASS');
    // The kernel takes what has its MAC, and drops what has another.
    expectFrame(result.frame, sent(state === 'active' ? nodeA.underlay.mac : VIRTUAL_MAC));
    const foreign = sent('00:00:5e:00:01:fe');
    expectFrame(gateway.run('underlay', foreign).frame, foreign);
  });

  it('RFC 9568 §5.1.1.2: nothing that a VM sends to the group is forwarded, whatever its TTL', () => {
    for (const ttl of [1, 2, 255]) {
      const result = gateway.run('underlay', frameFromVm(a1, [ipv4({ source: a1.address, destination: '224.0.0.18', protocol: 112, ttl }), payload(Buffer.alloc(12))]));
      expect(result.verdict).toBe('DROP');
    }
  });
});
