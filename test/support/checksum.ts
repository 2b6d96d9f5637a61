/**
 * RFC 1071 straight over the bytes. Deliberately shares nothing with the
 * incremental arithmetic (RFC 1624) of the programs under test.
 */
import { hexdump } from './bytes.js';

/** The Internet checksum of `bytes`; an odd last byte is padded with zero. */
export function internetChecksum(...parts: Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) {
    sum += (bytes[offset]! << 8) | (bytes[offset + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** RFC 768, RFC 9293 §3.1: what TCP and UDP sum in front of their segment. */
export function pseudoHeader(source: Uint8Array, destination: Uint8Array, protocol: number, length: number): Buffer {
  const header = Buffer.alloc(12);
  header.set(source, 0);
  header.set(destination, 4);
  header[9] = protocol;
  header.writeUInt16BE(length, 10);
  return header;
}

const VLAN_BYTES = 4;
const GENEVE_PORT = 6081;
const VXLAN_PORT = 4789;
/** Unreachable, source quench, redirect, time exceeded, parameter problem: they quote a packet. */
const ICMP_ERRORS = [3, 4, 5, 11, 12];

/** The IPv4 packet of an Ethernet frame, tagged or not. */
function packetOf(frame: Buffer): Buffer | undefined {
  for (let type = 12; frame.length >= type + 2; type += VLAN_BYTES) {
    const etherType = frame.readUInt16BE(type);
    if (etherType === 0x0800) return frame.length >= type + 2 + 20 ? frame.subarray(type + 2) : undefined;
    if (etherType !== 0x8100) return undefined;
  }
  return undefined;
}

/**
 * Every wrong checksum of an Ethernet frame, outermost first: IPv4 header, then
 * ICMP, TCP, UDP (zero allowed, RFC 768) or UDP-Lite, then the same inside of
 * Geneve and VXLAN, and of what an ICMP error quotes. Transport sums of
 * fragments and of cut quotes cannot be told and are left out.
 */
export function checksumFaults(frame: Buffer, where = 'frame'): string[] {
  const packet = packetOf(frame);
  return packet === undefined ? [] : packetFaults(packet, where, false);
}

function packetFaults(packet: Buffer, where: string, isQuote: boolean): string[] {
  const headerBytes = (packet[0]! & 0x0f) * 4;
  const totalLength = packet.readUInt16BE(2);
  const isCut = totalLength > packet.length;
  if (headerBytes < 20 || totalLength < headerBytes || packet.length < headerBytes || (isCut && !isQuote)) {
    return [`${where}: IPv4 lengths do not fit (${headerBytes}, ${totalLength} of ${packet.length})`];
  }
  const header = packet.subarray(0, headerBytes);
  const faults = internetChecksum(header) === 0 ? [] : [`${where}: IPv4 header checksum`];
  if (isCut || (packet.readUInt16BE(6) & 0x3fff) !== 0) return faults;
  return [...faults, ...segmentFaults(header, packet.subarray(headerBytes, totalLength), where)];
}

function segmentFaults(header: Buffer, segment: Buffer, where: string): string[] {
  const protocol = header[9]!;
  const pseudo = pseudoHeader(header.subarray(12, 16), header.subarray(16, 20), protocol, segment.length);
  if (protocol === 1) return icmpFaults(segment, where);
  if (protocol === 6) return internetChecksum(pseudo, segment) === 0 ? [] : [`${where}: TCP checksum`];
  if (protocol === 136) return udpLiteFaults(pseudo, segment, where);
  if (protocol !== 17) return [];
  if (segment.length < 8) return [`${where}: UDP header does not fit`];
  const sumIsAbsent = segment.readUInt16BE(6) === 0;
  const faults = sumIsAbsent || internetChecksum(pseudo, segment) === 0 ? [] : [`${where}: UDP checksum`];
  if (segment.readUInt16BE(4) !== segment.length) faults.push(`${where}: UDP length`);
  return [...faults, ...geneveFaults(segment, where), ...vxlanFaults(segment, where)];
}

function icmpFaults(message: Buffer, where: string): string[] {
  const faults = internetChecksum(message) === 0 ? [] : [`${where}: ICMP checksum`];
  if (!ICMP_ERRORS.includes(message[0]!) || message.length < 8 + 20) return faults;
  return [...faults, ...packetFaults(message.subarray(8), `${where}.quote`, true)];
}

/** RFC 3828 §3.1: the sum is of as many bytes as the header says, the pseudo-header's length is the datagram's. */
function udpLiteFaults(pseudo: Buffer, segment: Buffer, where: string): string[] {
  if (segment.length < 8) return [`${where}: UDP-Lite header does not fit`];
  const coverage = segment.readUInt16BE(4) || segment.length;
  if (coverage < 8 || coverage > segment.length) return [`${where}: UDP-Lite coverage`];
  return internetChecksum(pseudo, segment.subarray(0, coverage)) === 0 ? [] : [`${where}: UDP-Lite checksum`];
}

function vxlanFaults(segment: Buffer, where: string): string[] {
  if (segment.readUInt16BE(2) !== VXLAN_PORT || segment.length < 16) return [];
  return checksumFaults(segment.subarray(16), `${where}.inner`);
}

function geneveFaults(segment: Buffer, where: string): string[] {
  if (segment.readUInt16BE(2) !== GENEVE_PORT || segment.length < 16) return [];
  const inner = 16 + (segment[8]! & 0x3f) * 4;
  return inner < segment.length ? checksumFaults(segment.subarray(inner), `${where}.inner`) : [];
}

/** Throws with every fault named and the bytes shown. */
export function expectValidChecksums(frame: Buffer): void {
  const faults = checksumFaults(frame);
  if (faults.length > 0) throw new Error(`${faults.join('; ')}\n${hexdump(frame)}`);
}
