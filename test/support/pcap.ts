/**
 * Reader of classic pcap files (not pcapng): the captures under test/pcaps.
 *
 * Either byte order, microsecond or nanosecond stamps. A file that is cut in the
 * middle of a record is an error: a fixture which lost its tail would let tests
 * pass on fewer packets than they name.
 */
import { readFileSync } from 'node:fs';

export interface PcapPacket {
  /** Bytes as captured, link-layer header included. A view of the file's buffer. */
  readonly data: Buffer;
  /** Time of capture, nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Length on the wire, bytes; larger than `data.length` if the capture was cut short. */
  readonly originalLength: number;
}

export interface Pcap {
  /** LINKTYPE_ value; 1 is Ethernet. */
  readonly linkType: number;
  readonly packets: readonly PcapPacket[];
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const NANOSECONDS_PER_UNIT = new Map([
  [0xa1b2c3d4, 1000n],
  [0xa1b23c4d, 1n],
]);

/** Parses the bytes of a pcap file. Throws one sentence if they are not a whole one. */
function parsePcap(file: Buffer): Pcap {
  if (file.length < FILE_HEADER_BYTES) throw new Error(`pcap: ${file.length} bytes are too few for a file header`);
  const littleEndian = NANOSECONDS_PER_UNIT.has(file.readUInt32LE(0));
  const read = (offset: number): number => (littleEndian ? file.readUInt32LE(offset) : file.readUInt32BE(offset));
  const unit = NANOSECONDS_PER_UNIT.get(read(0));
  if (unit === undefined) throw new Error(`pcap: magic number 0x${file.toString('hex', 0, 4)} is not a classic pcap's`);

  const packets: PcapPacket[] = [];
  let offset = FILE_HEADER_BYTES;
  while (offset < file.length) {
    const start = offset + RECORD_HEADER_BYTES;
    if (start > file.length) throw new Error(`pcap: record header at byte ${offset} is cut off`);
    const end = start + read(offset + 8);
    if (end > file.length) throw new Error(`pcap: record at byte ${offset} is cut off`);
    packets.push({
      data: file.subarray(start, end),
      timestampNs: BigInt(read(offset)) * 1_000_000_000n + BigInt(read(offset + 4)) * unit,
      originalLength: read(offset + 12),
    });
    offset = end;
  }
  return { linkType: read(20) & 0xffff, packets };
}

/** Reads a capture of test/pcaps by its file name, e.g. `vrrp-ka-v3-1s.pcap`. */
export function readPcap(name: string): Pcap {
  return parsePcap(readFileSync(new URL(`../pcaps/${name}`, import.meta.url)));
}
