/**
 * Templates of the frames that cross the ha interface: Ethernet, IPv4, UDP and
 * the sync header of bpf/layout.h with the fields that the control plane knows.
 * `seal_xdp` fills in gateway, epoch, sequence and MAC.
 */

export const SYNC_UDP_PORT = 6086;
export const SYNC_VERSION = 1;
export const SYNC_MAX_RECORDS = 12;
export const SYNC_RECORD_BYTES = 72;
export const SYNC_HEADER_BYTES = 32;

export const SYNC_TYPE_RECORDS = 2;
export const SYNC_TYPE_HEARTBEAT = 3;
export const SYNC_TYPE_CONTROL = 4;

/** The ways of heartbeats, by enum sync_path. */
export const syncPaths = ['ha', 'underlay'] as const;
export type SyncPath = (typeof syncPaths)[number];
/** Of sync_header.path. */
const PATH_OFFSET = 12;
/** A bit for each VRID. */
const ROLE_BYTES = 32;

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const UDP_BYTES = 8;
export const SYNC_FRAME_HEAD_BYTES = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + SYNC_HEADER_BYTES;

/** The two ends of a way to the peer. Addresses are unsigned 32-bit integers in host order. */
export interface HaPath {
  readonly sourceMac: Buffer;
  readonly destinationMac: Buffer;
  readonly sourceAddress: number;
  readonly destinationAddress: number;
}

/** A whole frame, UDP checksum 0 (the keyed MAC covers more than it would). */
export function syncFrame(path: HaPath, type: number, records: number, body: Buffer): Buffer {
  const frame = Buffer.alloc(SYNC_FRAME_HEAD_BYTES + body.length);
  path.destinationMac.copy(frame, 0, 0, 6);
  path.sourceMac.copy(frame, 6, 0, 6);
  frame.writeUInt16BE(0x0800, 12);
  writeIpv4(frame, path, frame.length - ETHERNET_BYTES);
  writeUdp(frame, frame.length - ETHERNET_BYTES - IPV4_BYTES);
  const header = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;
  frame.writeUInt8(SYNC_VERSION, header);
  frame.writeUInt8(type, header + 1);
  frame.writeUInt8(records, header + 3);
  frame.writeUInt16BE(body.length - records * SYNC_RECORD_BYTES, header + 6);
  body.copy(frame, SYNC_FRAME_HEAD_BYTES);
  return frame;
}

/** A heartbeat asks with zeros where the peer is Active (bpf/README.md). */
export function heartbeatFrame(path: HaPath, way: SyncPath): Buffer {
  const frame = syncFrame(path, SYNC_TYPE_HEARTBEAT, 0, Buffer.alloc(ROLE_BYTES));
  frame.writeUInt8(syncPaths.indexOf(way), ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + PATH_OFFSET);
  return frame;
}

/** Room for the largest records frame: what walks are given, and fill by themselves. */
export const RECORDS_FRAME_BYTES = SYNC_FRAME_HEAD_BYTES + SYNC_MAX_RECORDS * SYNC_RECORD_BYTES;

function writeIpv4(frame: Buffer, path: HaPath, bytes: number): void {
  const at = ETHERNET_BYTES;
  frame.writeUInt8(0x45, at);
  frame.writeUInt8(0xc0, at + 1); // CS6: replication goes before data in any queue
  frame.writeUInt16BE(bytes, at + 2);
  frame.writeUInt16BE(0x4000, at + 6); // don't fragment
  frame.writeUInt8(255, at + 8);
  frame.writeUInt8(17, at + 9);
  frame.writeUInt32BE(path.sourceAddress, at + 12);
  frame.writeUInt32BE(path.destinationAddress, at + 16);
  frame.writeUInt16BE(ipv4Checksum(frame, at, IPV4_BYTES), at + 10);
}

function writeUdp(frame: Buffer, bytes: number): void {
  const at = ETHERNET_BYTES + IPV4_BYTES;
  frame.writeUInt16BE(SYNC_UDP_PORT, at);
  frame.writeUInt16BE(SYNC_UDP_PORT, at + 2);
  frame.writeUInt16BE(bytes, at + 4);
}

/** RFC 1071 over `length` (even) bytes from `offset`, with the checksum field as zero. */
export function ipv4Checksum(buffer: Buffer, offset: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += buffer.readUInt16BE(offset + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
