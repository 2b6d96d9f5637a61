/** What a control packet is carried in inside a tunnel, as Open vSwitch has it: Ethernet, IPv4, UDP (RFC 5881 §4). */
import { CONTROL_PACKET_BYTES } from './control-packet.js';

/** Open vSwitch's address for BFD, and its defaults for bfd_src_ip and bfd_dst_ip. */
const DESTINATION_MAC = [0x00, 0x23, 0x20, 0x00, 0x00, 0x01];
const SOURCE = 0xa9fe0101;
const DESTINATION = 0xa9fe0100;
const UDP_PORT = 3784;
const FIRST_SOURCE_PORT = 49_152;
const SOURCE_PORTS = 16_384;
/** RFC 5881 §5: whoever is further away cannot have it. */
const TTL = 255;
/** Internetwork control. */
const TYPE_OF_SERVICE = 0xc0;
const PROTOCOL_UDP = 17;

const IPV4_AT = 14;
const UDP_AT = IPV4_AT + 20;
const CONTROL_AT = UDP_AT + 8;
export const INNER_BYTES = CONTROL_AT + CONTROL_PACKET_BYTES;

/** RFC 5881 §4: the same for all packets of a session, and its own as far as there are enough. */
export function sourcePortOf(localDiscriminator: number): number {
  return FIRST_SOURCE_PORT + (localDiscriminator % SOURCE_PORTS);
}

/** The inner frame around a control packet. `sourceMac`: six bytes. */
export function innerFrame(sourceMac: Uint8Array, sourcePort: number, controlPacket: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(INNER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(DESTINATION_MAC, 0);
  bytes.set(sourceMac, 6);
  view.setUint16(12, 0x0800);
  view.setUint8(IPV4_AT, 0x45);
  view.setUint8(IPV4_AT + 1, TYPE_OF_SERVICE);
  view.setUint16(IPV4_AT + 2, INNER_BYTES - IPV4_AT);
  view.setUint8(IPV4_AT + 8, TTL);
  view.setUint8(IPV4_AT + 9, PROTOCOL_UDP);
  view.setUint32(IPV4_AT + 12, SOURCE);
  view.setUint32(IPV4_AT + 16, DESTINATION);
  view.setUint16(IPV4_AT + 10, headerChecksum(view));
  view.setUint16(UDP_AT, sourcePort);
  view.setUint16(UDP_AT + 2, UDP_PORT);
  view.setUint16(UDP_AT + 4, INNER_BYTES - UDP_AT);
  bytes.set(controlPacket, CONTROL_AT);
  return bytes;
}

/** RFC 1071, of a header whose own field is still zero. */
function headerChecksum(view: DataView): number {
  let sum = 0;
  for (let at = IPV4_AT; at < UDP_AT; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
