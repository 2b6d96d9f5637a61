/**
 * As much of IPv4 as VRRP needs: addresses as unsigned 32-bit numbers (so that the
 * tie-break of RFC 9568 §6.4.3 is `>`), the checksum of RFC 1071, the header.
 */

/** IPv4 address, unsigned, most significant byte first: 10.0.0.1 is 0x0a000001. */
export type Ipv4Address = number;

export const IPV4_HEADER_BYTES = 20;
/** IP protocol number of VRRP (RFC 9568 §5.1.1.4). */
export const PROTOCOL_VRRP = 112;

const DOTTED = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Reads dotted decimal. Throws one sentence for anything else. */
export function parseIpv4(text: string): Ipv4Address {
  const bytes = DOTTED.exec(text)?.slice(1).map(Number);
  if (bytes === undefined || bytes.some((byte) => byte > 255)) throw new RangeError(`"${text}" is not an IPv4 address`);
  return bytes.reduce((address, byte) => address * 256 + byte, 0);
}

/** Writes dotted decimal. */
export function formatIpv4(address: Ipv4Address): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** Sum of big-endian 16-bit words, an odd last byte padded with zero (RFC 1071); not folded yet. */
export function sumWords(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  return sum;
}

/** Folds a sum of words and complements it: the value of a checksum field. 0 when the field was part of the sum and right. */
export function finishChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = Math.floor(folded / 0x10000) + (folded & 0xffff);
  return ~folded & 0xffff;
}

/** Sum of the pseudo-header of source, destination, protocol and length (RFC 8200 §8.1 with IPv4 addresses). */
export function sumPseudoHeader(source: Ipv4Address, destination: Ipv4Address, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + PROTOCOL_VRRP + length;
}

export interface Ipv4Header {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  /** Default 0: a datagram that is never fragmented needs none (RFC 6864 §4.1). */
  readonly identification?: number;
  readonly dontFragment?: boolean;
}

/** Puts the header of a VRRP packet before `payload`: TTL 255, precedence internetwork control. */
export function encodeIpv4(header: Ipv4Header, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(IPV4_HEADER_BYTES + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  packet[1] = 0xc0;
  view.setUint16(2, packet.length);
  view.setUint16(4, header.identification ?? 0);
  view.setUint16(6, header.dontFragment === true ? 0x4000 : 0);
  packet[8] = 255;
  packet[9] = PROTOCOL_VRRP;
  view.setUint32(12, header.source);
  view.setUint32(16, header.destination);
  view.setUint16(10, finishChecksum(sumWords(packet.subarray(0, IPV4_HEADER_BYTES))));
  packet.set(payload, IPV4_HEADER_BYTES);
  return packet;
}
