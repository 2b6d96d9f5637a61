import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIpv4, formatMac, parseIpv4, parseMac, parsePrefix } from '../lib/netlink/address.js';
import { attribute, buildMessage, NetlinkFormatError, parseAttributes, parseMessages } from '../lib/netlink/message.js';
import { neighbourState, parseRouteMessage, routeMessage } from '../lib/netlink/route-message.js';

const bytes = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** What the kernel says about a stale neighbour. */
function neighbourMessage(): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(2, 0);
  header.writeInt32LE(7, 4);
  header.writeUInt16LE(neighbourState.STALE, 8);
  const payload = Buffer.concat([header, attribute(1, Buffer.from([10, 0, 0, 1])), attribute(2, Buffer.from('0200000000aa', 'hex'))]);
  return buildMessage(routeMessage.newNeighbour, 0, 0, payload);
}

function onlyFormatErrors(use: () => void): void {
  try {
    use();
  } catch (error) {
    if (!(error instanceof NetlinkFormatError)) throw error;
  }
}

describe('netlink/message', () => {
  test('what is built can be parsed, however many messages share a datagram', () => {
    const message = fc.record({ type: fc.nat(0xffff), flags: fc.nat(0xffff), sequence: fc.integer({ min: 0, max: 0xffffffff }), payload: bytes(40) });
    fc.assert(fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      const datagram = Buffer.concat(messages.map(({ type, flags, sequence, payload }) => {
        const built = buildMessage(type, flags, sequence, payload);
        return Buffer.concat([built, Buffer.alloc((4 - (built.length % 4)) % 4)]);
      }));
      expect(parseMessages(datagram)).toEqual(messages);
    }));
  });

  test('attributes keep their bytes, padded or not', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), bytes(20)), { selector: ([type]) => type }), (pairs) => {
      const payload = Buffer.concat(pairs.map(([type, data]) => attribute(type, data)));
      expect([...parseAttributes(payload)]).toEqual(pairs);
    }));
  });

  test('nested and byte-order marks are no part of the type', () => {
    expect([...parseAttributes(attribute(18 | 0x8000, 'x')).keys()]).toEqual([18]);
    expect([...parseAttributes(attribute(18 | 0x4000, 'x')).keys()]).toEqual([18]);
  });

  test.each([
    ['a header cut short', Buffer.alloc(15), '15 bytes are no netlink message'],
    ['a length of zero', Buffer.alloc(16), 'netlink message of 0 bytes in 16'],
    ['a length beyond the datagram', buildMessage(1, 0, 0, Buffer.alloc(8)).subarray(0, 20), 'netlink message of 24 bytes in 20'],
  ])('%s is refused', (_name, datagram, sentence) => {
    expect(() => parseMessages(datagram)).toThrow(NetlinkFormatError);
    expect(() => parseMessages(datagram)).toThrow(sentence);
  });

  test.each([
    ['of length zero', Buffer.from('00000100', 'hex')],
    ['of length three', Buffer.from('03000100', 'hex')],
    ['beyond the payload', Buffer.from('09000100ffffffff', 'hex')],
  ])('an attribute %s is refused', (_name, payload) => {
    expect(() => parseAttributes(payload)).toThrow(NetlinkFormatError);
  });
});

describe('netlink/route-message', () => {
  test('a neighbour is understood', () => {
    expect(parseRouteMessage(parseMessages(neighbourMessage())[0]!)).toEqual({
      type: 'neighbour', change: 'set', value: { ifindex: 7, address: '10.0.0.1', mac: '02:00:00:00:00:aa', state: 'STALE' },
    });
  });

  test('an address attribute of the wrong size is refused', () => {
    const header = Buffer.alloc(12);
    header.writeUInt8(2, 0);
    const payload = Buffer.concat([header, attribute(1, Buffer.alloc(16))]);
    expect(() => parseRouteMessage({ type: routeMessage.newNeighbour, flags: 0, sequence: 0, payload }))
      .toThrow('netlink attribute 1 has 16 bytes, not 4');
  });

  test('messages of IPv6, of bridges and of other types are nobody\'s event', () => {
    for (const family of [7, 10]) {
      const payload = Buffer.alloc(16);
      payload.writeUInt8(family, 0);
      for (const type of Object.values(routeMessage)) {
        expect(parseRouteMessage({ type, flags: 0, sequence: 0, payload })).toBeUndefined();
      }
    }
    expect(parseRouteMessage({ type: 99, flags: 0, sequence: 0, payload: Buffer.alloc(0) })).toBeUndefined();
  });

  test('no bytes at all get past the checks', () => {
    const types = fc.constantFrom(...Object.values(routeMessage));
    const families = fc.constantFrom(0, 2, 7, 10);
    fc.assert(fc.property(types, families, bytes(120), (type, family, payload) => {
      if (payload.length > 0) payload[0] = family;
      onlyFormatErrors(() => parseRouteMessage({ type, flags: 0, sequence: 0, payload }));
    }), { numRuns: 3000 });
  });

  test('no mutation of a real message gets past the checks', () => {
    const original = neighbourMessage();
    const mutation = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(fc.property(mutation, fc.nat(original.length), (changes, length) => {
      const datagram = Buffer.from(original.subarray(0, length));
      for (const [at, value] of changes) if (at < length) datagram[at] = value;
      onlyFormatErrors(() => parseMessages(datagram).forEach(parseRouteMessage));
    }), { numRuns: 3000 });
  });
});

describe('netlink/address', () => {
  test('text and bytes correspond', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 6, maxLength: 6 }), (address, mac) => {
      expect(parseIpv4(formatIpv4(Buffer.from(address)))).toEqual(Buffer.from(address));
      expect(parseMac(formatMac(Buffer.from(mac)))).toEqual(Buffer.from(mac));
    }));
  });

  test('prefixes', () => {
    expect(parsePrefix('10.0.0.0/8')).toEqual({ address: Buffer.from([10, 0, 0, 0]), length: 8 });
    expect(parsePrefix('10.0.0.1')).toEqual({ address: Buffer.from([10, 0, 0, 1]), length: 32 });
    expect(parsePrefix('default')).toEqual({ address: Buffer.alloc(4), length: 0 });
  });

  test.each(['10.0.0', '10.0.0.256', '10.0.0.1/33', '10.0.0.1/', '10.0.0.1/8/8', '', '10.0.0.1/-1', 'default/0'])('%s is no prefix', (text) => {
    expect(() => parsePrefix(text)).toThrow(RangeError);
  });

  test.each(['02:00:00:00:00', '02:00:00:00:00:00:00', '0200.0000.0000', '02:00:00:00:00:0g'])('%s is no MAC address', (text) => {
    expect(() => parseMac(text)).toThrow(`'${text}' is not a MAC address`);
  });
});
