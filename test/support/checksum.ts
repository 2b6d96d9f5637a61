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

const ETHERNET_BYTES = 14;
const GENEVE_PORT = 6081;

function isIpv4Frame(frame: Buffer): boolean {
  return frame.length >= ETHERNET_BYTES + 20 && frame.readUInt16BE(12) === 0x0800;
}

/**
 * Every wrong checksum of an Ethernet frame, outermost first: IPv4 header, then
 * ICMP, TCP or UDP (zero allowed, RFC 768), then the same inside Geneve.
 * Fragments' transport checksums cannot be told from one packet and are left out.
 */
export function checksumFaults(frame: Buffer, where = 'frame'): string[] {
  if (!isIpv4Frame(frame)) return [];
  const packet = frame.subarray(ETHERNET_BYTES);
  const headerBytes = (packet[0]! & 0x0f) * 4;
  const totalLength = packet.readUInt16BE(2);
  if (headerBytes < 20 || totalLength < headerBytes || totalLength > packet.length) {
    return [`${where}: IPv4 lengths do not fit (${headerBytes}, ${totalLength} of ${packet.length})`];
  }
  const header = packet.subarray(0, headerBytes);
  const faults = internetChecksum(header) === 0 ? [] : [`${where}: IPv4 header checksum`];
  if ((packet.readUInt16BE(6) & 0x3fff) !== 0) return faults;
  return [...faults, ...segmentFaults(header, packet.subarray(headerBytes, totalLength), where)];
}

function segmentFaults(header: Buffer, segment: Buffer, where: string): string[] {
  const protocol = header[9]!;
  const pseudo = pseudoHeader(header.subarray(12, 16), header.subarray(16, 20), protocol, segment.length);
  if (protocol === 1) return internetChecksum(segment) === 0 ? [] : [`${where}: ICMP checksum`];
  if (protocol === 6) return internetChecksum(pseudo, segment) === 0 ? [] : [`${where}: TCP checksum`];
  if (protocol !== 17) return [];
  if (segment.length < 8) return [`${where}: UDP header does not fit`];
  const sumIsAbsent = segment.readUInt16BE(6) === 0;
  const faults = sumIsAbsent || internetChecksum(pseudo, segment) === 0 ? [] : [`${where}: UDP checksum`];
  if (segment.readUInt16BE(4) !== segment.length) faults.push(`${where}: UDP length`);
  return [...faults, ...geneveFaults(segment, where)];
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
