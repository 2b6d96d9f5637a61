/** As much of IPv4 (RFC 791) as frames need that the control plane makes or takes apart. */

export const ETHERTYPE_IPV4 = 0x0800;
export const HEADER_BYTES = 20;

/** Offsets into a header. */
export const at = { versionAndLength: 0, totalLength: 2, identification: 4, fragment: 6, protocol: 9, checksum: 10, source: 12, destination: 16, options: 20 } as const;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
/** Of the field `fragment`: the offset, in units of FRAGMENT_UNIT. */
export const OFFSET_MASK = 0x1fff;
export const FRAGMENT_UNIT = 8;

/** Bytes of the header of the packet that begins here; undefined for anything but a whole IPv4 packet. */
export function headerLengthOf(packet: Buffer): number | undefined {
  if (packet.length < HEADER_BYTES || packet[at.versionAndLength]! >> 4 !== 4) return undefined;
  const header = (packet[at.versionAndLength]! & 15) * 4;
  const total = packet.readUInt16BE(at.totalLength);
  return header < HEADER_BYTES || total < header || total > packet.length ? undefined : header;
}

/** Writes the checksum of a header (RFC 1071) into it. */
export function writeChecksum(header: Buffer): void {
  header.writeUInt16BE(0, at.checksum);
  let sum = 0;
  for (let offset = 0; offset < header.length; offset += 2) sum += header.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  header.writeUInt16BE(~sum & 0xffff, at.checksum);
}
