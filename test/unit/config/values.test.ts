import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressesOf, broadcastAddressOf, commonPrefixOf, formatIpv4, isUnicast, macBytes, netmaskOf, networkAddressOf, parseIpv4, parseIpv4Range, parseIpv4Subnet, parseMac, subnetContains, subnetsOverlap } from '../../../src/config/address.js';
import type { Ipv4Address, Ipv4Subnet } from '../../../src/config/address.js';
import { formatDuration, parseDuration, toMilliseconds, toNanoseconds } from '../../../src/config/duration.js';
import type { Microseconds } from '../../../src/config/duration.js';
import { parseKey, parseKeys } from '../../../src/config/key.js';
import { suggest } from '../../../src/config/suggestion.js';

const anyAddress = fc.integer({ min: 0, max: 0xffffffff }).map((value) => value as Ipv4Address);
const anySubnet = fc.record({ address: anyAddress, prefixLength: fc.integer({ min: 0, max: 32 }) });

/** Another way to say it: the prefix as a string of bits. */
function bits({ address, prefixLength }: Ipv4Subnet): string {
  return address.toString(2).padStart(32, '0').slice(0, prefixLength);
}

describe('duration', () => {
  it.each([
    ['100ms', 100_000],
    ['2s', 2_000_000],
    ['7440s', 7_440_000_000],
    ['2h', 7_200_000_000],
    ['5m', 300_000_000],
    ['250us', 250],
    ['1d', 86_400_000_000],
    ['0s', 0],
  ])('%s', (text, microseconds) => expect(parseDuration(text)).toBe(microseconds));

  it.each(['', '1', 's', '1.5s', '-1s', '1 s', '1S', '1s ', '1e3s', '999999999999d', '0x1s'])('refused/%s', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('formatted/parses to itself', () => {
    fc.assert(fc.property(fc.nat(), (value) => void expect(parseDuration(formatDuration(value as Microseconds))).toBe(value)));
  });

  it('units/exact', () => {
    expect(toMilliseconds(parseDuration('40950ms')!)).toBe(40_950);
    expect(toNanoseconds(parseDuration('7d')!)).toBe(604_800_000_000_000n);
  });
});

describe('address', () => {
  it('formatted/parses to itself', () => {
    fc.assert(fc.property(anyAddress, (address) => void expect(parseIpv4(formatIpv4(address))).toBe(address)));
  });

  it.each(['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.-4', '1.2.3.4/32', '１.2.3.4'])('refused/%s', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });

  it('high addresses/not negative', () => {
    expect(parseIpv4('255.255.255.255')).toBe(0xffffffff);
    expect(netmaskOf(24)).toBe(0xffffff00);
    expect(netmaskOf(0)).toBe(0);
    expect(netmaskOf(32)).toBe(0xffffffff);
    expect(broadcastAddressOf(parseIpv4Subnet('192.168.33.0/24')!)).toBe(parseIpv4('192.168.33.255'));
  });

  it('containment and overlap/agree with prefixes as strings of bits', () => {
    fc.assert(
      fc.property(anySubnet, anySubnet, anyAddress, (one, other, address) => {
        expect(subnetContains(one, address)).toBe(bits({ address, prefixLength: 32 }).startsWith(bits(one)));
        expect(subnetsOverlap(one, other)).toBe(bits(one).startsWith(bits(other)) || bits(other).startsWith(bits(one)));
      }),
    );
  });

  it('common prefix/the longest string of bits that all begin with', () => {
    fc.assert(
      fc.property(fc.array(anySubnet, { minLength: 1, maxLength: 5 }), (some) => {
        const subnets = some.map((subnet) => ({ ...subnet, address: networkAddressOf(subnet) }));
        const common = commonPrefixOf(subnets)!;
        expect(common.address).toBe(networkAddressOf(common));
        expect(subnets.every((subnet) => bits(subnet).startsWith(bits(common)))).toBe(true);
        const longer = subnets.map((subnet) => bits(subnet)[common.prefixLength]);
        expect(longer.includes(undefined) || new Set(longer).size > 1).toBe(true);
      }),
    );
    expect(commonPrefixOf([])).toBeUndefined();
  });

  it.each([
    ['10.0.2.1', ['10.0.2.1']],
    ['10.0.2.7/30', ['10.0.2.4', '10.0.2.5', '10.0.2.6', '10.0.2.7']],
    ['10.0.2.255-10.0.3.1', ['10.0.2.255', '10.0.3.0', '10.0.3.1']],
  ])('range/%s', (text, all) => expect(addressesOf(parseIpv4Range(text)!).map(formatIpv4)).toEqual(all));

  it.each(['10.0.2.2-10.0.2.1', '10.0.2.1-', '10.0.2.1/33', '10.0.2.1/24-10.0.2.9', '10.0.2.1 - 10.0.2.9'])('range refused/%s', (text) => expect(parseIpv4Range(text)).toBeUndefined());

  it.each([
    ['10.0.2.1', true],
    ['169.254.77.1', true],
    ['223.255.255.1', true],
    ['0.0.0.0', false],
    ['127.0.0.1', false],
    ['224.0.0.18', false],
    ['255.255.255.255', false],
  ])('unicast/%s', (text, unicast) => expect(isUnicast(parseIpv4(text)!)).toBe(unicast));

  it('mac/bytes in order, case ignored', () => {
    expect(macBytes(parseMac('FA:16:3e:00:01:0F')!)).toEqual(Buffer.from([0xfa, 0x16, 0x3e, 0, 1, 15]));
    expect(parseMac('fa:16:3e:00:01')).toBeUndefined();
    expect(parseMac('fa:16:3e:00:01:0g')).toBeUndefined();
  });
});

describe('suggestion', () => {
  const keys = ['advertisementInterval', 'preempt', 'preemptDelay', 'priority', 'vrid'];
  it.each([
    ['advertisement_interval', 'advertisementInterval'],
    ['advertisementinterval', 'advertisementInterval'],
    ['preemt', 'preempt'],
    ['PreemptDelay', 'preemptDelay'],
    ['prioirty', 'priority'],
    ['color', undefined],
    ['', undefined],
  ])('%s', (word, candidate) => expect(suggest(word, keys)).toBe(candidate));
});

describe('keys', () => {
  const [one, other] = ['000102030405060708090a0b0c0d0e0f', '101112131415161718191a1b1c1d1e1f'];
  const wordsOf = (digits: string): bigint[] => {
    const result = parseKey(digits);
    return 'key' in result ? result.key.words() : [];
  };

  it.each([
    [`${one}\n`, [one]],
    [`${one}\n${other}\n`, [one, other]],
    [`\n  ${one}\r\n\n${other}`, [one, other]],
  ])('the first one signs, the second is accepted: %j', (text, expected) => {
    const result = parseKeys(text);
    if ('error' in result) throw new Error(result.error);
    expect([result.key, result.otherKey].flatMap((key) => (key === undefined ? [] : [key.words()]))).toEqual(expected.map(wordsOf));
  });

  it.each([
    ['', 'the key has 0 characters'],
    [`${one}\n${other.slice(2)}`, 'line 2: the key has 30 characters, but must have 32'],
    [`${one.slice(2)}\n${other}`, 'line 1: the key has 30 characters, but must have 32'],
    [`${one}\n\n${one.toUpperCase()}`, 'line 3: the key is that of line 1, but the second one must be another'],
    [`${one}\n${other}\n${'2'.repeat(32)}`, 'it has 3 keys, but must have one, or two'],
  ])('refused without quoting: %j', (text, says) => {
    const result = parseKeys(text);
    const error = 'error' in result ? result.error : '';
    expect(error).toContain(says);
    for (const digits of [one, other]) expect(error).not.toContain(digits.slice(0, 6));
  });
});

describe('key', () => {
  // SipHash's own test key: bytes 00 to 0f.
  const text = '000102030405060708090a0b0c0d0e0f';

  it('words/little-endian halves, as in the SipHash paper', () => {
    const result = parseKey(`${text}\n`);
    expect('key' in result && result.key.words()).toEqual([0x0706050403020100n, 0x0f0e0d0c0b0a0908n]);
  });

  it('shown/never', () => {
    const result = parseKey(text);
    if (!('key' in result)) throw new Error('refused');
    const { key } = result;
    for (const shown of [String(key), JSON.stringify({ key }), inspect(key), inspect({ deep: [key] }), `${key}`]) {
      expect(shown).toContain('[secret]');
      expect(shown).not.toMatch(/0706|506097522914230528/);
    }
  });

  it('equality/by value', () => {
    const [one, same, other] = [text, text.toUpperCase(), text.replace('f', 'e')].map((digits) => parseKey(digits));
    if (!('key' in one!) || !('key' in same!) || !('key' in other!)) throw new Error('refused');
    expect(one.key.equals(same.key)).toBe(true);
    expect(one.key.equals(other.key)).toBe(false);
  });

  it.each([
    ['', 'has 0 characters'],
    ['deadbeef', 'has 8 characters'],
    [`${text}00`, 'has 34 characters'],
    [`${text.slice(0, 31)}x`, 'character 32 is not a hexadecimal digit'],
    ['0'.repeat(32), 'all zeros'],
  ])('refused without quoting/%s', (bad, says) => {
    const result = parseKey(bad);
    const error = 'error' in result ? result.error : '';
    expect(error).toContain(says);
    if (bad.length >= 8 && !/^0+$/.test(bad)) expect(error).not.toContain(bad.slice(0, 8));
  });
});
