/** The VRRP codec against bytes written down by hand, against itself, and against garbage. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  VRRP_MULTICAST,
  checkAdvertisement,
  decodePacket,
  encodeMessage,
  invalidReasons,
  type Advertisement,
  type ChecksumForm,
  type Expectation,
  type InvalidReason,
  type ReceivedAdvertisement,
} from '../../../src/vrrp/advertisement.js';
import { encodeIpv4, finishChecksum, formatIpv4, parseIpv4, sumPseudoHeader, sumWords } from '../../../src/vrrp/ipv4.js';

const source = parseIpv4('10.9.0.1');
const example: Advertisement = {
  version: 3,
  vrid: 51,
  priority: 150,
  intervalUs: 100_000,
  addresses: [parseIpv4('10.9.0.100')],
};
const exampleV2: Advertisement = { ...example, version: 2, intervalUs: 1_000_000, authentication: { type: 'none' } };

function packetOf(advertisement: Advertisement, form: ChecksumForm = 'message', destination = VRRP_MULTICAST): Uint8Array {
  return encodeIpv4({ source, destination }, encodeMessage(advertisement, { form, source, destination }));
}

/** Changes bytes of a valid packet, and makes both checksums right again. */
function forge(changes: Record<number, number>, advertisement: Advertisement = example, resize = 0): Uint8Array {
  const original = packetOf(advertisement);
  const packet = new Uint8Array(original.length + resize);
  packet.set(original.subarray(0, packet.length));
  const view = new DataView(packet.buffer);
  view.setUint16(2, packet.length);
  for (const [offset, value] of Object.entries(changes)) packet[Number(offset)] = value;
  if (packet.length >= 28) {
    view.setUint16(26, 0);
    view.setUint16(26, finishChecksum(sumWords(packet.subarray(20))));
  }
  return packet;
}

const reasonOf = (packet: Uint8Array): InvalidReason | 'ok' => {
  const decoded = decodePacket(packet);
  return decoded.ok ? 'ok' : decoded.reason;
};

describe('encodeMessage', () => {
  it.each([
    { form: 'message', hex: '313396010' + '00a2e54' + '0a090064' },
    { form: 'pseudo-header', hex: '313396010' + '00a43bb' + '0a090064' },
  ] as const)('v3 with the checksum over $form', ({ form, hex }) => {
    const message = encodeMessage(example, { form, source, destination: VRRP_MULTICAST });
    expect(Buffer.from(message).toString('hex')).toBe(hex);
  });

  it('v2 with its trailer, without one pseudo-header ever', () => {
    const message = encodeMessage(exampleV2, { form: 'pseudo-header', source, destination: VRRP_MULTICAST });
    expect(Buffer.from(message).toString('hex')).toBe('2133960100013e5d0a0900640000000000000000');
  });

  it('sets the reserved bits to zero at the largest interval', () => {
    const message = encodeMessage({ ...example, intervalUs: 40_950_000 }, { form: 'message', source, destination: VRRP_MULTICAST });
    expect([message[4], message[5]]).toEqual([0x0f, 0xff]);
  });

  it.each([
    ['interval', { intervalUs: 5_000 }],
    ['interval', { intervalUs: 40_960_000 }],
    ['priority', { priority: 256 }],
    ['virtual router id', { vrid: 0 }],
    ['addresses', { addresses: [] }],
  ])('refuses what the wire cannot carry: %s %j', (field, change) => {
    expect(() => packetOf({ ...example, ...change })).toThrow(new RegExp(field));
  });
});

describe('decodePacket', () => {
  const lengthField = { 2: 0, 3: 19 };
  it.each<[string, Uint8Array, InvalidReason | 'ok']>([
    ['a valid packet', packetOf(example), 'ok'],
    ['a valid v2 packet', packetOf(exampleV2), 'ok'],
    ['no bytes', new Uint8Array(0), 'ip-truncated'],
    ['a total length beyond the bytes', packetOf(example).subarray(0, 31), 'ip-truncated'],
    ['IPv6', forge({ 0: 0x65 }), 'ip-header'],
    ['an IHL of four words', forge({ 0: 0x44 }), 'ip-header'],
    ['a total length within the header', forge(lengthField), 'ip-header'],
    ['a first fragment', forge({ 6: 0x20 }), 'ip-fragment'],
    ['a later fragment', forge({ 7: 1 }), 'ip-fragment'],
    ['another protocol', forge({ 9: 17 }), 'ip-protocol'],
    ['TTL 254: forwarded by somebody', forge({ 8: 254 }), 'ttl'],
    ['seven bytes of message', forge({}, example, -5), 'truncated'],
    ['a missing address', forge({}, example, -1), 'truncated'],
    ['more addresses than bytes', forge({ 23: 2 }), 'truncated'],
    ['a byte too many', forge({}, example, 1), 'length'],
    ['fewer addresses than bytes', forge({}, example, 4), 'length'],
    ['v2 without its trailer', forge({}, exampleV2, -8), 'truncated'],
    ['version 1', forge({ 20: 0x11 }), 'version'],
    ['version 4', forge({ 20: 0x41 }), 'version'],
    ['type 2', forge({ 20: 0x32 }), 'type'],
    ['no addresses', forge({ 23: 0 }, example, -4), 'no-addresses'],
    ['interval 0', forge({ 24: 0, 25: 0 }), 'interval-zero'],
    ['v2 with interval 0', forge({ 25: 0 }, exampleV2), 'interval-zero'],
    ['v2 with authentication type 2', forge({ 24: 2 }, exampleV2), 'authentication-type'],
    ['a wrong checksum', packetOf(example).fill(0xee, 26, 28), 'checksum'],
    ['a pseudo-header of another destination', readdressed(), 'checksum'],
    ['v2 with a pseudo-header', withPseudoHeaderV2(), 'checksum'],
  ])('%s', (_, packet, reason) => {
    expect(reasonOf(packet)).toBe(reason);
  });

  /** Summed for multicast, sent to a peer. */
  function readdressed(): Uint8Array {
    const message = encodeMessage(example, { form: 'pseudo-header', source, destination: VRRP_MULTICAST });
    return encodeIpv4({ source, destination: parseIpv4('10.9.0.2') }, message);
  }

  /** RFC 3768 §5.3.8 knows no pseudo-header, and nobody ever sent one. */
  function withPseudoHeaderV2(): Uint8Array {
    const packet = packetOf(exampleV2);
    const view = new DataView(packet.buffer);
    view.setUint16(26, 0);
    view.setUint16(26, finishChecksum(sumWords(packet.subarray(20), sumPseudoHeader(source, VRRP_MULTICAST, packet.length - 20))));
    return packet;
  }

  it('looks at the TTL before anything of the message', () => {
    expect(reasonOf(forge({ 8: 1, 20: 0x99 }))).toBe('ttl');
  });

  it('ignores the reserved bits above the interval', () => {
    const decoded = decodePacket(forge({ 24: 0xf0 }));
    expect(decoded).toMatchObject({ ok: true, received: { advertisement: { intervalUs: 100_000 } } });
  });

  it('strips IPv4 options by IHL', () => {
    const plain = packetOf(example);
    const packet = new Uint8Array(plain.length + 4);
    packet.set(plain.subarray(0, 20));
    packet.set([0x94, 4, 0, 0], 20);
    packet.set(plain.subarray(20), 24);
    packet[0] = 0x46;
    packet[3] = packet.length;
    expect(decodePacket(packet)).toMatchObject({ ok: true, received: { advertisement: example } });
  });

  it('ignores Ethernet padding behind the packet', () => {
    const padded = new Uint8Array(46);
    padded.set(packetOf(example));
    expect(reasonOf(padded)).toBe('ok');
  });

  it.each([
    ['v3', packetOf(example)],
    ['v2', packetOf(exampleV2)],
  ])('%s truncated at every byte offset is refused', (_, packet) => {
    for (let length = 0; length < packet.length; length++) {
      expect(reasonOf(packet.slice(0, length))).not.toBe('ok');
      const lying = packet.slice(0, length);
      if (length >= 4) new DataView(lying.buffer).setUint16(2, length);
      expect(reasonOf(lying)).not.toBe('ok');
    }
  });

  it('refuses every flip of one bit of the message', () => {
    const packet = packetOf(example);
    for (let bit = 20 * 8; bit < packet.length * 8; bit++) {
      const flipped = packet.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(reasonOf(flipped), `bit ${bit}`).not.toBe('ok');
    }
  });

  it('never throws, and names a known reason, whatever the bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 80 });
    const plausible = fc
      .tuple(fc.constantFrom(packetOf(example), packetOf(exampleV2)), fc.array(fc.tuple(fc.nat(39), fc.nat(255)), { maxLength: 6 }))
      .map(([packet, changes]) => changes.reduce((p, [offset, value]) => p.fill(value, offset, offset + 1), packet.slice()));
    fc.assert(
      fc.property(fc.oneof(bytes, plausible), (packet) => {
        const reason = reasonOf(packet);
        return reason === 'ok' || invalidReasons.includes(reason);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('round trip', () => {
  const common = {
    vrid: fc.integer({ min: 1, max: 255 }),
    priority: fc.integer({ min: 0, max: 255 }),
    addresses: fc.array(fc.nat(0xffffffff), { minLength: 1, maxLength: 255 }),
  };
  const v3 = fc.record({
    version: fc.constant(3 as const),
    ...common,
    intervalUs: fc.integer({ min: 1, max: 4095 }).map((centiseconds) => centiseconds * 10_000),
  });
  const password = fc.string({ maxLength: 8, unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)) });
  const v2 = fc.record({
    version: fc.constant(2 as const),
    ...common,
    intervalUs: fc.integer({ min: 1, max: 255 }).map((seconds) => seconds * 1_000_000),
    authentication: fc.oneof(
      fc.constant({ type: 'none' } as const),
      password.map((text) => ({ type: 'simple-text', password: text }) as const),
    ),
  });

  it('decodes what it encodes', () => {
    const form = fc.constantFrom<ChecksumForm>('message', 'pseudo-header');
    fc.assert(
      fc.property(fc.oneof<fc.Arbitrary<Advertisement>[]>(v3, v2), form, fc.nat(0xffffffff), (advertisement, wanted, destination) => {
        const decoded = decodePacket(packetOf(advertisement, wanted, destination));
        expect(decoded).toMatchObject({ ok: true, received: { source, destination, advertisement } });
        if (advertisement.version === 2) expect(decoded).toMatchObject({ received: { checksumForm: 'message' } });
      }),
    );
  });

  it('tells the checksum forms apart', () => {
    for (const form of ['message', 'pseudo-header'] as const) {
      expect(decodePacket(packetOf(example, form))).toMatchObject({ received: { checksumForm: form } });
    }
  });
});

describe('checkAdvertisement', () => {
  const expected: Expectation = { version: 3, vrid: 51, intervalUs: 100_000, primaryAddress: parseIpv4('10.9.0.2') };
  const expectedV2: Expectation = { ...expected, version: 2, intervalUs: 1_000_000 };
  const received = (advertisement: Advertisement): ReceivedAdvertisement => ({
    source,
    destination: VRRP_MULTICAST,
    checksumForm: 'message',
    advertisement,
  });
  const withPassword = (password: string): Advertisement => ({
    ...exampleV2,
    version: 2,
    authentication: { type: 'simple-text', password },
  });
  const asks = (password: string): Expectation => ({ ...expectedV2, authentication: { type: 'simple-text', password } });

  it.each<[string, Advertisement, Expectation, InvalidReason | undefined]>([
    ['ours', example, expected, undefined],
    ['another virtual router', { ...example, vrid: 52 }, expected, 'vrid'],
    ['our own, looped back', example, { ...expected, primaryAddress: source }, 'own-source'],
    ['no unicast peer', example, { ...expected, unicastPeers: [1] }, 'unexpected-source'],
    ['a unicast peer', example, { ...expected, unicastPeers: [1, source] }, undefined],
    ['v2 where v3 is spoken', exampleV2, expected, 'version-mismatch'],
    ['v3 where v2 is spoken', example, expectedV2, 'version-mismatch'],
    ['a v3 interval that differs is adopted', example, { ...expected, intervalUs: 10_000 }, undefined],
    ['a v2 interval that differs is not', exampleV2, { ...expectedV2, intervalUs: 2_000_000 }, 'interval-mismatch'],
    ['a v3 address list that differs is noted', example, { ...expected, addresses: [1] }, undefined],
    ['a v2 address list that differs is refused', exampleV2, { ...expectedV2, addresses: [1] }, 'address-mismatch'],
    ['a v2 address list that is longer', { ...exampleV2, addresses: [1, 2] }, { ...expectedV2, addresses: [1] }, 'address-mismatch'],
    ['a v2 address list in another order', { ...exampleV2, addresses: [1, 2] }, { ...expectedV2, addresses: [2, 1] }, undefined],
    ['any address list of a v2 owner', { ...exampleV2, priority: 255 }, { ...expectedV2, addresses: [1] }, undefined],
    ['no password where one is asked for', exampleV2, asks('openstac'), 'authentication'],
    ['a password where none is', withPassword('openstac'), expectedV2, 'authentication'],
    ['the wrong password', withPassword('openstax'), asks('openstac'), 'authentication'],
    ['the right password', withPassword('openstac'), asks('openstac'), undefined],
    ['the first eight bytes of a longer one', withPassword('openstac'), asks('openstack123'), undefined],
  ])('%s', (_, advertisement, expectation, reason) => {
    expect(checkAdvertisement(received(advertisement), expectation)).toBe(reason);
  });
});

describe('IPv4 addresses', () => {
  it('round-trip', () => {
    fc.assert(fc.property(fc.nat(0xffffffff), (address) => parseIpv4(formatIpv4(address)) === address));
    fc.assert(fc.property(fc.ipV4(), (text) => formatIpv4(parseIpv4(text)) === text));
  });

  it.each(['', '10.9.0', '10.9.0.256', '10.9.0.1.2', 'a.b.c.d', '::1'])('refuses "%s"', (text) => {
    expect(() => parseIpv4(text)).toThrow('is not an IPv4 address');
  });
});
