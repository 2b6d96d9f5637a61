/** IEEE 802.1Q tags, as they stand in the frame. */

const TAG_PROTOCOL = 0x8100;
const MACS = 12;
const TAG_BYTES = 4;

/** The same frame on a VLAN; 0: untagged, the frame itself. */
export function tagged(frame: Buffer, vlan: number): Buffer {
  if (vlan === 0) return frame;
  const tag = Buffer.alloc(TAG_BYTES);
  tag.writeUInt16BE(TAG_PROTOCOL, 0);
  tag.writeUInt16BE(vlan, 2);
  return Buffer.concat([frame.subarray(0, MACS), tag, frame.subarray(MACS)]);
}

/** Bytes before what the frame carries, and its EtherType; undefined for one that is too short. */
export function ethernetOf(frame: Buffer): { readonly length: number; readonly etherType: number; readonly vlan: number } | undefined {
  if (frame.length < MACS + 2) return undefined;
  const etherType = frame.readUInt16BE(MACS);
  if (etherType !== TAG_PROTOCOL) return { length: MACS + 2, etherType, vlan: 0 };
  if (frame.length < MACS + 2 + TAG_BYTES) return undefined;
  return { length: MACS + 2 + TAG_BYTES, etherType: frame.readUInt16BE(MACS + TAG_BYTES), vlan: frame.readUInt16BE(MACS + 2) & 0xfff };
}
