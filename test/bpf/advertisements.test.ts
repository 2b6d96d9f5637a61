/** VRRP as it arrives: what is malformed goes no further, what is not is noted whole and goes on. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { advertisementKind, advertisementKindCount } from '../../src/dataplane/layout.generated.js';
import { decodePacket } from '../../src/vrrp/advertisement.js';
import { advertFrame, malformedV2, malformedV3, passwordWords, type Advert } from '../support/adverts.js';
import { ipv4ToNumber } from '../support/bytes.js';
import { expectFrame } from '../support/expect-frame.js';
import { GatewayFixture, hooks, nowNs } from '../support/gateway-fixture.js';
import { ipv4, udp } from '../support/packet.js';
import { a1, compute1, frameFromVm, nodeA, nodeB, server, VIRTUAL_ADDRESS, VRID } from '../support/world.js';

const ETHERNET_BYTES = 14;
const PER_WINDOW = 16;
const WINDOW_SHIFT = 24n;
const v2 = { version: 2, authentication: 1, interval: 10, password: passwordWords('openflag') };
const goodV2: Advert = { version: 2, authentication: 1, password: 'openflag' };
const NOBODY = [0, 0, 0, 0, 0, 0, 0, 0];

describe.each(hooks)('advertisements, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none' }));

  const notes = (): Buffer[] => (['superior', 'inferior'] as const).map((kind) => gateway.advertisementNote(kind).packet);
  const packetOf = (frame: Buffer, padding = 0): Buffer => frame.subarray(ETHERNET_BYTES, frame.length - padding);

  describe.each([
    ['version 3', {}, malformedV3],
    ['version 2', v2, malformedV2],
  ] as const)('%s', (_, rule, malformed) => {
    it.each(malformed)('$reason / $because: dropped, counted once, not noted', ({ reason, advert }) => {
      gateway.setAdvertisementRule(rule);
      const result = gateway.run('underlay', advertFrame(advert));
      expect(result).toMatchObject({ verdict: 'DROP', counters: { [`drop_advertisement_${reason}`]: 1 } });
      expect(Object.keys(result.counters)).toHaveLength(1);
      expect(notes().map(({ length }) => length)).toEqual([0, 0]);
    });

    it('what the election would refuse is refused here, whatever byte is changed', () => {
      gateway.setAdvertisementRule(rule);
      const good = advertFrame('version' in rule ? goodV2 : {});
      for (let at = ETHERNET_BYTES + 20; at < good.length; at++) {
        gateway.reset({ syncMode: 'none' }).setAdvertisementRule(rule);
        const changed = Buffer.from(good);
        changed[at]! ^= 0x11;
        expect(decodePacket(changed.subarray(ETHERNET_BYTES)).ok, `byte ${at}`).toBe(false);
        // Of another virtual router it is the kernel's.
        expect(gateway.execute('underlay', changed).verdict, `byte ${at}`).toBe(at === ETHERNET_BYTES + 21 ? 'PASS' : 'DROP');
        expect(notes().map(({ length }) => length)).toEqual([0, 0]);
      }
    });
  });

  it.each<[string, Advert, object]>([
    ['checksum of RFC 9568', {}, {}],
    ['checksum over a pseudo-header', { checksum: 'pseudo-header' }, {}],
    ['to our own address', { destination: nodeA.underlay.address, checksum: 'pseudo-header' }, {}],
    ['reserved bits, which are ignored', { reserved: 0xf }, {}],
    ['the longest interval', { interval: 4095 }, {}],
    ['the most addresses', { addresses: Array.from({ length: 255 }, (_, i) => `10.0.0.${i}`) }, {}],
    ['the most addresses, and IPv4 options', { addresses: Array.from({ length: 255 }, (_, i) => `10.0.0.${i}`), ipv4: { options: Buffer.alloc(40, 1) } }, {}],
    ['other addresses than ours, which the election notes', { addresses: ['192.168.33.7'] }, {}],
    ['padded as Ethernet does', { padding: 14 }, {}],
    ['priority 0', { priority: 0 }, {}],
    ['v2, simple text', goodV2, v2],
    ['v2, no authentication; the data is ignored', { version: 2, password: 'whatever' }, { ...v2, authentication: 0, password: [0, 0] }],
    ['from a unicast peer', { destination: nodeA.underlay.address }, { peers: 2, peer: [1, ipv4ToNumber(nodeB.underlay.address), ...NOBODY.slice(2)] }],
  ])('well-formed, %s: passed on as it is, noted whole, with its time', (_, advert, rule) => {
    gateway.setAdvertisementRule(rule);
    const bytes = advertFrame(advert);
    const before = nowNs();
    const result = gateway.run('underlay', bytes);
    expect(result).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
    expectFrame(result.frame, bytes);
    const { packet, receivedNs } = gateway.advertisementNote(advert.priority === 0 ? 'inferior' : 'superior');
    expect(packet).toEqual(packetOf(bytes, advert.padding));
    expect(receivedNs).toBeGreaterThanOrEqual(before);
    expect(receivedNs).toBeLessThanOrEqual(nowNs());
    expect(decodePacket(packet).ok).toBe(true);
  });

  it.each<[string, Advert]>([
    ['for a virtual router that is not ours', { vrid: 52 }],
    ['malformed, for a virtual router that is not ours', { vrid: 52, version: 7, ipv4: { ttl: 1 } }],
    ['to somebody else', { destination: compute1.address }],
    ['to the virtual address, which is no gateway\'s own', { destination: VIRTUAL_ADDRESS }],
    ['too short to have a VRID', { cutTo: 1 }],
    ['a later fragment, which says for whom it is nowhere', { ipv4: { fragmentOffset: 2 } }],
  ])('one %s is the kernel\'s, and noted nowhere', (_, advert) => {
    const bytes = advertFrame(advert);
    const result = gateway.run('underlay', bytes);
    expect(result).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
    expectFrame(result.frame, bytes);
    expect(notes().map(({ length }) => length)).toEqual([0, 0]);
  });

  it.each<[string, Advert, object]>([
    ['our own, reflected', { source: nodeA.underlay.address }, {}],
    ['none of the unicast peers', { source: '192.168.33.77' }, { peers: 1, peer: [ipv4ToNumber(nodeB.underlay.address), ...NOBODY.slice(1)] }],
    ['an entry beyond the peers', { source: '192.168.33.77' }, { peers: 1, peer: [1, ipv4ToNumber('192.168.33.77'), ...NOBODY.slice(2)] }],
  ])('source / %s: dropped', (_, advert, rule) => {
    gateway.setAdvertisementRule(rule);
    expect(gateway.run('underlay', advertFrame(advert))).toMatchObject({ verdict: 'DROP', counters: { drop_advertisement_source: 1 } });
    expect(notes().map(({ length }) => length)).toEqual([0, 0]);
  });

  it('a first fragment is dropped, so that nothing comes together behind our back', () => {
    const bytes = advertFrame({ ipv4: { moreFragments: true } });
    expect(gateway.run('underlay', bytes)).toMatchObject({ verdict: 'DROP', counters: { drop_outer_fragment: 1 } });
  });

  it('a flood of lower priority is cut off, and hides neither its last one nor one of higher priority', () => {
    const superior = advertFrame({ priority: 100 });
    expect(gateway.execute('underlay', superior).verdict).toBe('PASS');
    const { receivedNs } = gateway.advertisementNote('superior');
    const start = nowNs() >> WINDOW_SHIFT;
    let passed = 0;
    for (let i = 0; i < 1_000; i++) passed += gateway.execute('underlay', advertFrame({ priority: 99, source: `192.168.33.${i % 200}` })).verdict === 'PASS' ? 1 : 0;
    const windows = Number((nowNs() >> WINDOW_SHIFT) - start) + 1;
    expect(passed).toBeGreaterThanOrEqual(PER_WINDOW);
    expect(passed).toBeLessThanOrEqual(PER_WINDOW * windows);
    const last = advertFrame({ priority: 98 });
    gateway.execute('underlay', last);
    expect(gateway.advertisementNote('inferior').packet).toEqual(packetOf(last));
    expect(gateway.advertisementNote('superior')).toMatchObject({ receivedNs, packet: packetOf(superior) });
    // Nor does it use up what one of higher priority needs to be heard at once.
    expect(gateway.execute('underlay', superior).verdict).toBe('PASS');
  });

  it('beyond the rate the reason says so', () => {
    // In a window that is not over before they come.
    const window = Number((nowNs() >> WINDOW_SHIFT) + 1_000n);
    gateway.advertisements.update(VRID * advertisementKindCount + advertisementKind.superior, { window, passed: PER_WINDOW - 1 });
    expect(gateway.run('underlay', advertFrame())).toMatchObject({ verdict: 'PASS', counters: { pass_to_kernel: 1 } });
    const beyond = gateway.run('underlay', advertFrame({ interval: 20 }));
    expect(beyond).toMatchObject({ verdict: 'DROP', counters: { drop_advertisement_rate: 1 } });
    expect(Object.keys(beyond.counters)).toHaveLength(1);
    expect(gateway.advertisementNote('superior').packet).toEqual(packetOf(advertFrame({ interval: 20 })));
  });
});

describe.each(hooks)('an Active whose control plane is gone, and its lease with it, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.reset({ syncMode: 'none', leaseMs: -1000 }));

  const packet = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 5000, destinationPort: 53 })]);
  const forwards = (): boolean => gateway.run('underlay', packet).verdict === 'REDIRECT';

  it.each([['less', 50], ['more', 200]])('goes on until another router says that it is Active, with %s priority than ours', (_, priority) => {
    expect(forwards()).toBe(true);
    gateway.run('underlay', advertFrame({ priority }));
    expect(gateway.run('underlay', packet).counters).toEqual({ drop_not_active: 1 });
    gateway.virtualRouters.update(VRID, { leaseUntilNs: nowNs() + 1_000_000_000n });
    expect(forwards(), 'with a lease again').toBe(true);
  });

  it('what was heard before the end of the lease, or what nobody may believe, changes nothing', () => {
    gateway.run('underlay', advertFrame({ priority: 200, checksum: 1 }));
    gateway.run('underlay', advertFrame({ priority: 200, vrid: VRID + 1 }));
    const { leaseUntilNs } = gateway.virtualRouters.get(VRID);
    for (const kind of Object.values(advertisementKind)) gateway.advertisements.update(VRID * advertisementKindCount + kind, { receivedNs: leaseUntilNs });
    expect(forwards()).toBe(true);
  });
});
