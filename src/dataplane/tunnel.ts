/** Geneve (RFC 8926) and VXLAN (RFC 7348) around frames that the control plane makes or takes apart. */
import { encapsulationShift } from '../compile/routers.js';
import { encapsulation } from './layout.generated.js';
import { at, ETHERTYPE_IPV4, headerLengthOf, HEADER_BYTES, writeChecksum } from './ipv4.js';
import { ethernetOf, tagged } from './vlan.js';

const PROTOCOL_UDP = 17;
const UDP_BYTES = 8;
const TUNNEL_BYTES = 8;
const GENEVE_PORT = 6081;
const VXLAN_PORT = 4789;
const ETHERTYPE_BRIDGING = 0x6558;
const VXLAN_VNI_IS_VALID = 0x08;
const TTL = 64;
const ETHERNET_BYTES = 14;
/** RFC 8926 §3.3 and RFC 7348 §5 ask for one of the dynamic range. */
const SOURCE_PORT = 49_152;

export interface Tunnel {
  readonly sourceMac: Buffer;
  readonly destinationMac: Buffer;
  /** Of the underlay; 0: untagged. */
  readonly vlan: number;
  readonly source: number;
  readonly destination: number;
  /** VNI with enum encapsulation in its upper byte. */
  readonly segment: number;
}

/** A frame in a tunnel without options. The outer checksum is zero, as both RFCs allow over IPv4. */
export function tunnelFrame({ sourceMac, destinationMac, vlan, source, destination, segment }: Tunnel, inner: Buffer): Buffer {
  const ethernet = Buffer.concat([destinationMac, sourceMac, Buffer.from([ETHERTYPE_IPV4 >> 8, 0])]);
  const isVxlan = segment >>> encapsulationShift === encapsulation.vxlan;
  const headers = Buffer.alloc(HEADER_BYTES + UDP_BYTES + TUNNEL_BYTES);
  headers[at.versionAndLength] = 0x45;
  headers[8] = TTL;
  headers[at.protocol] = PROTOCOL_UDP;
  headers.writeUInt32BE(source, at.source);
  headers.writeUInt32BE(destination, at.destination);
  headers.writeUInt16BE(SOURCE_PORT, HEADER_BYTES);
  headers.writeUInt16BE(isVxlan ? VXLAN_PORT : GENEVE_PORT, HEADER_BYTES + 2);
  const tunnel = headers.subarray(HEADER_BYTES + UDP_BYTES);
  if (isVxlan) tunnel[0] = VXLAN_VNI_IS_VALID;
  else tunnel.writeUInt16BE(ETHERTYPE_BRIDGING, 2);
  tunnel.writeUIntBE(segment & 0xffffff, 4, 3);
  return withInner(tagged(Buffer.concat([ethernet, headers]), vlan), ethernet.length + headers.length + (vlan === 0 ? 0 : 4), inner);
}

/** Where the inner frame begins; undefined for anything but a tunnel. */
export function innerOffsetOf(frame: Buffer): number | undefined {
  const ethernet = ethernetOf(frame);
  if (ethernet === undefined || ethernet.etherType !== ETHERTYPE_IPV4) return undefined;
  const packet = frame.subarray(ethernet.length);
  const header = headerLengthOf(packet);
  if (header === undefined || packet[at.protocol] !== PROTOCOL_UDP || packet.length < header + UDP_BYTES + TUNNEL_BYTES) return undefined;
  const port = packet.readUInt16BE(header + 2);
  const tunnel = ethernet.length + header + UDP_BYTES;
  const options = port === GENEVE_PORT ? (frame[tunnel]! & 0x3f) * 4 : port === VXLAN_PORT ? 0 : undefined;
  if (options === undefined || tunnel + TUNNEL_BYTES + options + ETHERNET_BYTES > frame.length) return undefined;
  return tunnel + TUNNEL_BYTES + options;
}

/** Which network's tunnel: its VNI, with enum encapsulation in the upper byte; undefined for anything but a tunnel. */
export function segmentOf(frame: Buffer): number | undefined {
  if (innerOffsetOf(frame) === undefined) return undefined;
  const packet = frame.subarray(ethernetOf(frame)!.length);
  const udp = packet.subarray(headerLengthOf(packet)!);
  const kind = udp.readUInt16BE(2) === VXLAN_PORT ? encapsulation.vxlan : encapsulation.geneve;
  return ((kind << encapsulationShift) | udp.readUIntBE(UDP_BYTES + 4, 3)) >>> 0;
}

/** The same tunnel with another inner frame: lengths and checksums follow. `start`: where the inner frame begins. */
export function withInner(frame: Buffer, start: number, inner: Buffer): Buffer {
  const result = Buffer.concat([frame.subarray(0, start), inner]);
  const packet = result.subarray(ethernetOf(result)!.length);
  const header = (packet[at.versionAndLength]! & 15) * 4;
  packet.writeUInt16BE(packet.length, at.totalLength);
  writeChecksum(packet.subarray(0, header));
  packet.writeUInt16BE(packet.length - header, header + 4);
  packet.writeUInt16BE(0, header + 6);
  return result;
}

/** The IPv4 destination of a frame, of the tunnel's where it is in one. */
export function destinationOf(frame: Buffer): number | undefined {
  const ethernet = ethernetOf(frame);
  if (ethernet === undefined || ethernet.etherType !== ETHERTYPE_IPV4 || frame.length < ethernet.length + HEADER_BYTES) return undefined;
  return frame.readUInt32BE(ethernet.length + at.destination);
}
