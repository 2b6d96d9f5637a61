/**
 * IPv4 addresses, subnets and MAC addresses as values that have been checked.
 *
 * An address is a number in host order (10.0.2.1 is 0x0a000201), which is what
 * the generated codecs write into `__be32` fields.
 */

declare const kind: unique symbol;

/** Unsigned 32-bit number, host order. */
export type Ipv4Address = number & { readonly [kind]: 'ipv4' };
/** Six lower-case hexadecimal octets with colons between them. */
export type MacAddress = string & { readonly [kind]: 'mac' };
/** `address` has no bits set outside the prefix. */
export interface Ipv4Subnet {
  readonly address: Ipv4Address;
  readonly prefixLength: number;
}

/** Both ends belong to it. */
export interface Ipv4Range {
  readonly first: Ipv4Address;
  readonly last: Ipv4Address;
}

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
/** Dotted decimal without leading zeros: 010 is octal to some programs and ten to others. */
export const ipv4Pattern = new RegExp(`^(?:${octet}\\.){3}${octet}$`);
export const ipv4SubnetPattern = new RegExp(`^(?:${octet}\\.){3}${octet}/(?:3[0-2]|[12]?\\d)$`);
/** One address, a prefix, or two addresses with a hyphen between them. */
export const ipv4RangePattern = new RegExp(`^(?:${octet}\\.){3}${octet}(?:/(?:3[0-2]|[12]?\\d)|-(?:${octet}\\.){3}${octet})?$`);
export const macPattern = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/;

/** Dotted decimal → address, or undefined. */
export function parseIpv4(text: string): Ipv4Address | undefined {
  if (!ipv4Pattern.test(text)) return undefined;
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) as Ipv4Address;
}

export function formatIpv4(address: Ipv4Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/**
 * `172.16.100.0/24` → subnet, or undefined when it is not written like one.
 * Host bits are kept here: whether they may be set is for the caller to say.
 */
export function parseIpv4Subnet(text: string): Ipv4Subnet | undefined {
  if (!ipv4SubnetPattern.test(text)) return undefined;
  const [address = '', prefixLength = ''] = text.split('/');
  return { address: parseIpv4(address) as Ipv4Address, prefixLength: Number(prefixLength) };
}

/** `10.0.2.1`, `10.0.2.0/28` or `10.0.2.1-10.0.2.9` → its addresses, or undefined. Host bits of a prefix are ignored. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  if (!ipv4RangePattern.test(text)) return undefined;
  const subnet = parseIpv4Subnet(text);
  if (subnet !== undefined) return { first: networkAddressOf(subnet), last: broadcastAddressOf(subnet) };
  const [from = '', to = from] = text.split('-');
  const [first, last] = [parseIpv4(from) as Ipv4Address, parseIpv4(to) as Ipv4Address];
  return first <= last ? { first, last } : undefined;
}

export function sizeOfRange({ first, last }: Ipv4Range): number {
  return last - first + 1;
}

/** Every address of it: look at its size first. */
export function addressesOf(range: Ipv4Range): Ipv4Address[] {
  return Array.from({ length: sizeOfRange(range) }, (_, i) => (range.first + i) as Ipv4Address);
}

export function formatIpv4Subnet(subnet: Ipv4Subnet): string {
  return `${formatIpv4(subnet.address)}/${subnet.prefixLength}`;
}

/** Prefix length 0..32 → 255.255.255.0 and the like. */
export function netmaskOf(prefixLength: number): Ipv4Address {
  // A shift by 32 is a shift by 0 in JavaScript.
  return (prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0) as Ipv4Address;
}

/** The lowest address of the subnet that the address is in. */
export function networkAddressOf(subnet: Ipv4Subnet): Ipv4Address {
  return ((subnet.address & netmaskOf(subnet.prefixLength)) >>> 0) as Ipv4Address;
}

/** The highest address of the subnet. */
export function broadcastAddressOf(subnet: Ipv4Subnet): Ipv4Address {
  return ((subnet.address | ~netmaskOf(subnet.prefixLength)) >>> 0) as Ipv4Address;
}

export function subnetContains(subnet: Ipv4Subnet, address: Ipv4Address): boolean {
  return networkAddressOf({ address, prefixLength: subnet.prefixLength }) === networkAddressOf(subnet);
}

/** True when one of the two contains the other: prefixes cannot overlap otherwise. */
export function subnetsOverlap(one: Ipv4Subnet, other: Ipv4Subnet): boolean {
  const wider = one.prefixLength <= other.prefixLength ? one : other;
  return subnetContains(wider, wider === one ? other.address : one.address);
}

/** The longest prefix that all of these are in; undefined without any. */
export function commonPrefixOf(subnets: readonly Ipv4Subnet[]): Ipv4Subnet | undefined {
  return subnets.reduce<Ipv4Subnet | undefined>((common, subnet) => (common === undefined ? subnet : commonPrefix(common, subnet)), undefined);
}

function commonPrefix(one: Ipv4Subnet, other: Ipv4Subnet): Ipv4Subnet {
  const agree = Math.clz32((one.address ^ other.address) >>> 0);
  const prefixLength = Math.min(agree, one.prefixLength, other.prefixLength);
  return { address: networkAddressOf({ address: one.address, prefixLength }), prefixLength };
}

/** An address that a host may have: not 0.0.0.0/8, loopback, multicast or reserved (RFC 6890). */
export function isUnicast(address: Ipv4Address): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** Any of the cases of hexadecimal → lower case, or undefined. */
export function parseMac(text: string): MacAddress | undefined {
  return macPattern.test(text) ? (text.toLowerCase() as MacAddress) : undefined;
}

/** One host's own address: neither a group address nor all zero. */
export function isUnicastMac(mac: MacAddress): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== '00:00:00:00:00:00';
}

/** The six bytes, for `__u8 mac[6]` fields. */
export function macBytes(mac: MacAddress): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
