import { z } from 'zod';
import { formatIpv4Subnet, ipv4Pattern, ipv4RangePattern, ipv4SubnetPattern, isUnicast, isUnicastMac, macPattern, networkAddressOf, parseIpv4, parseIpv4Range, parseIpv4Subnet, parseMac } from './address.js';
import type { Ipv4Address, Ipv4Range, Ipv4Subnet, MacAddress } from './address.js';
import { durationPattern, formatDuration, parseDuration, toMilliseconds } from './duration.js';
import type { Microseconds, Milliseconds } from './duration.js';

/*
 * The kinds of value a configuration is made of. The message of every check is
 * what the value must be, as the tail of "… is 300, but must be"; the sentence
 * around it is made in one place (configuration.ts).
 */

/** A string that `parse` turns into something better, or refuses with undefined. */
function parsed<T>(mustBe: string, pattern: RegExp, parse: (text: string) => T | undefined | { mustBe: string }) {
  return z
    .string({ error: mustBe })
    .meta({ pattern: pattern.source })
    .transform((text, context): T => {
      const value = parse(text);
      if (value !== undefined && !isRefusal(value)) return value;
      context.issues.push({ code: 'custom', input: text, message: isRefusal(value) ? value.mustBe : mustBe });
      return z.NEVER;
    });
}

function isRefusal(value: unknown): value is { mustBe: string } {
  return typeof value === 'object' && value !== null && 'mustBe' in value;
}

/** What is shared as text: it is marked, and no message shows it. */
export function secretText(maxLength: number) {
  const error = `a text of 1 to ${maxLength} printable ASCII characters without spaces, in quotes where it is all digits`;
  return z.string({ error }).regex(new RegExp(`^[!-~]{1,${maxLength}}$`), { error }).meta({ writeOnly: true });
}

/** A whole number, both ends allowed. */
export function integer(min: number, max: number, unit = '') {
  const error = `a whole number${unit && ` of ${unit}`} from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

export function eitherNumber<const One extends number, const Other extends number>(one: One, other: Other) {
  return z.literal([one, other], { error: `${one} or ${other}` });
}

/** 1, 2, 4, … : the kernel rounds its tables up to these, so anything else would hold more than it says. */
export function powerOfTwo(min: number, max: number) {
  const error = `a power of two from ${min} to ${max}`;
  const powers = Array.from({ length: 32 }, (_, exponent) => 2 ** exponent).filter((power) => power >= min && power <= max);
  return z.literal(powers, { error });
}

export function boolean() {
  return z.boolean({ error: 'true or false' });
}

export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  const error = values.length === 1 ? values[0] : `one of ${values.join(', ')}`;
  return z.enum(values, { error });
}

/** What people call things; ends up in metrics' labels and log lines. */
export function name() {
  const error = 'a name of 1 to 63 letters, digits, "-", "_" or "." that starts with a letter or digit';
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error });
}

/** Linux's rules: at most 15 bytes, no slash, no space. */
export function interfaceName() {
  const error = 'the name of a network interface: 1 to 15 characters without spaces, "/" or ":"';
  return z.string({ error }).regex(/^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/, { error });
}

/** From the root, so that the daemon's working directory does not matter. */
export function absolutePath(maxBytes = 4095) {
  const error = `an absolute path of at most ${maxBytes} bytes`;
  return z
    .string({ error })
    .regex(/^\/[^\0]*$/, { error })
    .refine((path) => Buffer.byteLength(path) <= maxBytes, { error });
}

/** Of /etc/passwd. */
export function userName() {
  const error = "a user's name: 1 to 32 letters, digits, \"-\", \"_\" or \".\" that begins with a letter or \"_\"";
  return z.string({ error }).regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, { error });
}

/** A program and its arguments, as execve(2) takes them: no shell reads it. */
export function commandLine() {
  const error = 'a list of a program, by its absolute path, and its arguments, at most 64 in all, such as [/usr/local/bin/check, "-q"]';
  const word = z.string({ error }).regex(/^[^\0]*$/, { error }).max(4095, { error });
  return z.array(word, { error }).min(1, { error }).max(64, { error }).refine(([program = '']) => program.startsWith('/'), { error });
}

export function ipv4Address() {
  const mustBe = 'the IPv4 address of one host, such as 10.0.2.1';
  return parsed<Ipv4Address>(mustBe, ipv4Pattern, (text) => {
    const address = parseIpv4(text);
    return address !== undefined && isUnicast(address) ? address : undefined;
  });
}

/** Prefix lengths that leave room for a gateway and a host. */
export function ipv4Subnet() {
  return prefix('an IPv4 subnet with a prefix length from 8 to 30, such as 172.16.100.0/24', 8, 30);
}

/** Where a static route leads; everything else is the default route's. */
export function destination() {
  return prefix('an IPv4 prefix with a length from 1 to 32, such as 192.168.0.0/16', 1, 32);
}

function prefix(mustBe: string, shortest: number, longest: number) {
  return parsed<Ipv4Subnet>(mustBe, ipv4SubnetPattern, (text) => {
    const subnet = parseIpv4Subnet(text);
    if (subnet === undefined || subnet.prefixLength < shortest || subnet.prefixLength > longest || !isUnicast(subnet.address)) return undefined;
    const network = { address: networkAddressOf(subnet), prefixLength: subnet.prefixLength };
    if (network.address === subnet.address) return subnet;
    return { mustBe: `a subnet without host bits: did you mean ${formatIpv4Subnet(network)}` };
  });
}

/** Several addresses in one word. */
export function ipv4Range() {
  const mustBe = 'an IPv4 address, a prefix or a range, such as 10.0.2.1, 10.0.2.16/28 or 10.0.2.1-10.0.2.9';
  return parsed<Ipv4Range>(mustBe, ipv4RangePattern, (text) => {
    const range = parseIpv4Range(text);
    return range !== undefined && isUnicast(range.first) && isUnicast(range.last) ? range : undefined;
  });
}

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const portRangePattern = /^\d{1,5}-\d{1,5}$/;

/** A port, or several: 8080 or "8000-8010". */
export function portRange() {
  const error = 'a port from 1 to 65535 or a range of them, such as 8080 or "8000-8010"';
  return z
    .union([z.number(), z.string().regex(portRangePattern)], { error })
    .transform((value, context): PortRange => {
      const [first = 0, last = first] = typeof value === 'number' ? [value] : value.split('-').map(Number);
      if (Number.isInteger(first) && first >= 1 && first <= last && last <= 65_535) return { first, last };
      context.issues.push({ code: 'custom', input: value, message: error });
      return z.NEVER;
    });
}

export function macAddress() {
  const mustBe = 'the MAC address of one host, such as fa:16:3e:00:01:01';
  return parsed<MacAddress>(mustBe, macPattern, (text) => {
    const mac = parseMac(text);
    return mac !== undefined && isUnicastMac(mac) ? mac : undefined;
  });
}

/** `127.0.0.1:9477`. 0.0.0.0 is every address of the machine. */
export function listenAddress() {
  const mustBe = 'an IPv4 address and a port from 1 to 65535, such as 127.0.0.1:9477';
  return parsed<{ readonly host: string; readonly port: number }>(mustBe, /^[0-9.]+:[0-9]{1,5}$/, (text) => {
    const [host = '', digits = ''] = text.split(':');
    const port = Number(digits);
    if (!/^[0-9.]+:[0-9]{1,5}$/.test(text) || parseIpv4(host) === undefined || port < 1 || port > 65535) return undefined;
    return { host, port };
  });
}

/** A duration in microseconds; `step` when the wire cannot say every value in between. */
export function microseconds(min: string, max: string, step = '1us') {
  const [low, high, grain] = [min, max, step].map((text) => parseDuration(text)!) as [Microseconds, Microseconds, Microseconds];
  const steps = grain === 1 ? '' : ` in steps of ${formatDuration(grain)}`;
  const mustBe = `a duration from ${min} to ${max}${steps}, with its unit (us, ms, s, m, h, d)`;
  return parsed<Microseconds>(mustBe, durationPattern, (text) => {
    const value = parseDuration(text);
    return value !== undefined && value >= low && value <= high && value % grain === 0 ? value : undefined;
  });
}

/** A duration in whole milliseconds. */
export function milliseconds(min: string, max: string) {
  return microseconds(min, max, '1ms').transform((value): Milliseconds => toMilliseconds(value));
}

/** A mapping with these keys and no others. */
export function mapping<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, { error: `a mapping with the keys ${Object.keys(shape).join(', ')}` });
}

/** `max` where a table in the kernel has a fixed size. */
export function list<Element extends z.ZodType>(element: Element, of: string, max = Number.MAX_SAFE_INTEGER) {
  const error = max === Number.MAX_SAFE_INTEGER ? `a list of ${of}` : `a list of at most ${max} ${of}`;
  return z.array(element, { error }).max(max, { error });
}
