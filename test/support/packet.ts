/**
 * Frames from readable descriptions: a frame is its layers from the outside in.
 *
 *   frame(
 *     ethernet({ source: compute.mac, destination: gateway.mac }),
 *     ipv4({ source: '192.168.33.31', destination: '192.168.33.100' }),
 *     udp({ sourcePort: 50000, destinationPort: 6081, checksum: 0 }),
 *     geneve({ vni: 100 }),
 *     ...
 *   )
 *
 * Lengths, types and checksums that a description leaves out are computed; any
 * that it gives are written as given, so a description can lie.
 */
import { internetChecksum, pseudoHeader } from './checksum.js';
import { ipv4ToNumber, macToBuffer } from './bytes.js';
import { encodeSync, type Sync } from './sync-frame.js';

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, transparentEthernet: 0x6558 } as const;
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, esp: 50, sctp: 132 } as const;
export const TCP = { FIN: 0x01, SYN: 0x02, RST: 0x04, PSH: 0x08, ACK: 0x10 } as const;
export const ICMP = { echoReply: 0, unreachable: 3, echo: 8, timeExceeded: 11, timestamp: 13 } as const;
export const GENEVE_PORT = 6081;

export interface Ethernet {
  readonly layer: 'ethernet';
  readonly destination: string;
  readonly source: string;
  readonly etherType?: number;
}

export interface Arp {
  readonly layer: 'arp';
  readonly operation: number;
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetMac: string;
  readonly targetAddress: string;
  readonly hardwareType?: number;
  readonly protocolType?: number;
  readonly hardwareLength?: number;
  readonly protocolLength?: number;
}

export interface Ipv4 {
  readonly layer: 'ipv4';
  readonly source: string;
  readonly destination: string;
  readonly version?: number;
  /** IHL, 32-bit words. */
  readonly headerLength?: number;
  readonly typeOfService?: number;
  readonly totalLength?: number;
  readonly identification?: number;
  readonly reservedFlag?: boolean;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Units of eight bytes. */
  readonly fragmentOffset?: number;
  readonly ttl?: number;
  readonly protocol?: number;
  readonly checksum?: number;
  /** As on the wire; the length has to be a multiple of four unless IHL lies. */
  readonly options?: Buffer;
}

export interface Icmp {
  readonly layer: 'icmp';
  readonly type: number;
  readonly code?: number;
  readonly checksum?: number;
  readonly identifier?: number;
  /** Sequence number of an echo; next-hop MTU of "fragmentation needed". */
  readonly sequence?: number;
}

export interface Udp {
  readonly layer: 'udp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly length?: number;
  /** 0: none (RFC 768); undefined: computed. */
  readonly checksum?: number | undefined;
}

export interface Tcp {
  readonly layer: 'tcp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  /** 32-bit words. */
  readonly dataOffset?: number;
  /** The twelve bits after the data offset; see TCP. */
  readonly flags?: number;
  readonly window?: number;
  readonly checksum?: number;
  readonly urgent?: number;
  readonly options?: Buffer;
}

export interface GeneveOption {
  readonly optionClass: number;
  /** The high bit says critical (RFC 8926 §3.5). */
  readonly type: number;
  readonly reserved?: number;
  /** 32-bit words of data. */
  readonly length?: number;
  readonly data: Buffer;
}

export interface Geneve {
  readonly layer: 'geneve';
  readonly vni: number;
  readonly version?: number;
  /** 32-bit words. */
  readonly optionLength?: number;
  readonly control?: boolean;
  readonly critical?: boolean;
  readonly reserved?: number;
  readonly protocolType?: number;
  readonly reserved2?: number;
  readonly options?: readonly GeneveOption[];
  /** Instead of options: bytes that do not parse as options. */
  readonly optionBytes?: Buffer;
}

export interface Payload {
  readonly layer: 'payload';
  readonly bytes: Buffer;
}

/** Bytes after the IPv4 packet's end, as Ethernet adds to short frames. */
export interface Padding {
  readonly layer: 'padding';
  readonly bytes: Buffer;
}

export type Layer = Ethernet | Arp | Ipv4 | Icmp | Udp | Tcp | Geneve | Sync | Payload | Padding;
type Description<T extends Layer> = Omit<T, 'layer'>;

export const ethernet = (fields: Description<Ethernet>): Ethernet => ({ layer: 'ethernet', ...fields });
export const arp = (fields: Description<Arp>): Arp => ({ layer: 'arp', ...fields });
export const ipv4 = (fields: Description<Ipv4>): Ipv4 => ({ layer: 'ipv4', ...fields });
export const icmp = (fields: Description<Icmp>): Icmp => ({ layer: 'icmp', ...fields });
export const udp = (fields: Description<Udp>): Udp => ({ layer: 'udp', ...fields });
export const tcp = (fields: Description<Tcp>): Tcp => ({ layer: 'tcp', ...fields });
export const geneve = (fields: Description<Geneve>): Geneve => ({ layer: 'geneve', ...fields });
export const sync = (fields: Description<Sync>): Sync => ({ layer: 'sync', ...fields });
export const payload = (bytes: Buffer | string): Payload => ({ layer: 'payload', bytes: Buffer.from(bytes) });
export const padding = (bytes: number | Buffer): Padding => ({
  layer: 'padding',
  bytes: typeof bytes === 'number' ? Buffer.alloc(bytes) : bytes,
});

/** OVN's option (0x0102, 0x80): the ports by which a packet came in and goes out. */
export function ovnOption(ingress: number, egress: number): GeneveOption {
  const data = Buffer.alloc(4);
  data.writeUInt16BE(ingress, 0);
  data.writeUInt16BE(egress, 2);
  return { optionClass: 0x0102, type: 0x80, data };
}

/** The bytes of the described frame. */
export function frame(...layers: readonly Layer[]): Buffer {
  return encode(layers, 0, undefined);
}

function encode(layers: readonly Layer[], index: number, network: Ipv4 | undefined): Buffer {
  const layer = layers[index];
  if (layer === undefined) return Buffer.alloc(0);
  const rest = encode(layers, index + 1, layer.layer === 'ipv4' ? layer : network);
  const next = layers[index + 1];
  const outside = bytesOutside(layers, index);
  const body = rest.subarray(0, rest.length - outside);
  const trailer = rest.subarray(rest.length - outside);
  switch (layer.layer) {
    case 'ethernet':
      return Buffer.concat([encodeEthernet(layer, next), rest]);
    case 'arp':
      return Buffer.concat([encodeArp(layer), rest]);
    case 'ipv4':
      return Buffer.concat([encodeIpv4(layer, next, body.length), rest]);
    case 'icmp':
      return Buffer.concat([encodeIcmp(layer, body), trailer]);
    case 'udp':
      return Buffer.concat([encodeUdp(layer, body, network), trailer]);
    case 'tcp':
      return Buffer.concat([encodeTcp(layer, body, network), trailer]);
    case 'geneve':
      return Buffer.concat([encodeGeneve(layer, next), rest]);
    case 'sync':
      return Buffer.concat([encodeSync(layer, body), trailer]);
    case 'payload':
    case 'padding':
      return Buffer.concat([layer.bytes, rest]);
  }
}

/** Of the bytes after a layer, how many are padding of an Ethernet frame around it: the first padding is the innermost frame's. */
function bytesOutside(layers: readonly Layer[], index: number): number {
  const framesInside = layers.slice(index + 1).filter((layer) => layer.layer === 'ethernet').length;
  const paddings = layers.filter((layer) => layer.layer === 'padding');
  return paddings.slice(framesInside).reduce((sum, layer) => sum + layer.bytes.length, 0);
}

const ETHER_TYPE_OF: Partial<Record<Layer['layer'], number>> = { ipv4: ETHER_TYPE.ipv4, arp: ETHER_TYPE.arp };
const PROTOCOL_OF: Partial<Record<Layer['layer'], number>> = {
  icmp: PROTOCOL.icmp,
  udp: PROTOCOL.udp,
  tcp: PROTOCOL.tcp,
};

function encodeEthernet(layer: Ethernet, next: Layer | undefined): Buffer {
  const header = Buffer.alloc(14);
  header.set(macToBuffer(layer.destination), 0);
  header.set(macToBuffer(layer.source), 6);
  header.writeUInt16BE(layer.etherType ?? (next && ETHER_TYPE_OF[next.layer]) ?? 0xffff, 12);
  return header;
}

function encodeArp(layer: Arp): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt16BE(layer.hardwareType ?? 1, 0);
  header.writeUInt16BE(layer.protocolType ?? ETHER_TYPE.ipv4, 2);
  header[4] = layer.hardwareLength ?? 6;
  header[5] = layer.protocolLength ?? 4;
  header.writeUInt16BE(layer.operation, 6);
  header.set(macToBuffer(layer.senderMac), 8);
  header.writeUInt32BE(ipv4ToNumber(layer.senderAddress), 14);
  header.set(macToBuffer(layer.targetMac), 18);
  header.writeUInt32BE(ipv4ToNumber(layer.targetAddress), 24);
  return header;
}

function encodeIpv4(layer: Ipv4, next: Layer | undefined, bodyBytes: number): Buffer {
  const options = layer.options ?? Buffer.alloc(0);
  const header = Buffer.alloc(20 + options.length);
  header[0] = ((layer.version ?? 4) << 4) | (layer.headerLength ?? header.length / 4);
  header[1] = layer.typeOfService ?? 0;
  header.writeUInt16BE(layer.totalLength ?? header.length + bodyBytes, 2);
  header.writeUInt16BE(layer.identification ?? 0, 4);
  const flags = (layer.reservedFlag ? 0x8000 : 0) | (layer.dontFragment ? 0x4000 : 0) | (layer.moreFragments ? 0x2000 : 0);
  header.writeUInt16BE(flags | (layer.fragmentOffset ?? 0), 6);
  header[8] = layer.ttl ?? 64;
  header[9] = layer.protocol ?? (next && PROTOCOL_OF[next.layer]) ?? 0xff;
  header.writeUInt32BE(ipv4ToNumber(layer.source), 12);
  header.writeUInt32BE(ipv4ToNumber(layer.destination), 16);
  header.set(options, 20);
  header.writeUInt16BE(layer.checksum ?? internetChecksum(header), 10);
  return header;
}

function encodeIcmp(layer: Icmp, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = layer.type;
  header[1] = layer.code ?? 0;
  header.writeUInt16BE(layer.identifier ?? 0, 4);
  header.writeUInt16BE(layer.sequence ?? 0, 6);
  header.writeUInt16BE(layer.checksum ?? internetChecksum(header, body), 2);
  return Buffer.concat([header, body]);
}

function transportChecksum(network: Ipv4 | undefined, protocol: number, segment: Buffer): number {
  if (network === undefined) throw new Error('a transport checksum needs an IPv4 layer around it');
  const addresses = Buffer.alloc(8);
  addresses.writeUInt32BE(ipv4ToNumber(network.source), 0);
  addresses.writeUInt32BE(ipv4ToNumber(network.destination), 4);
  return internetChecksum(
    pseudoHeader(addresses.subarray(0, 4), addresses.subarray(4), protocol, segment.length),
    segment,
  );
}

function encodeUdp(layer: Udp, body: Buffer, network: Ipv4 | undefined): Buffer {
  const segment = Buffer.concat([Buffer.alloc(8), body]);
  segment.writeUInt16BE(layer.sourcePort, 0);
  segment.writeUInt16BE(layer.destinationPort, 2);
  segment.writeUInt16BE(layer.length ?? segment.length, 4);
  // RFC 768: a sum of zero is sent as all ones, zero says that there is none.
  const checksum = layer.checksum ?? (transportChecksum(network, PROTOCOL.udp, segment) || 0xffff);
  segment.writeUInt16BE(checksum, 6);
  return segment;
}

function encodeTcp(layer: Tcp, body: Buffer, network: Ipv4 | undefined): Buffer {
  const options = layer.options ?? Buffer.alloc(0);
  const segment = Buffer.concat([Buffer.alloc(20), options, body]);
  segment.writeUInt16BE(layer.sourcePort, 0);
  segment.writeUInt16BE(layer.destinationPort, 2);
  segment.writeUInt32BE(layer.sequence ?? 0, 4);
  segment.writeUInt32BE(layer.acknowledgement ?? 0, 8);
  segment.writeUInt16BE(((layer.dataOffset ?? 5 + options.length / 4) << 12) | (layer.flags ?? TCP.ACK), 12);
  segment.writeUInt16BE(layer.window ?? 65535, 14);
  segment.writeUInt16BE(layer.urgent ?? 0, 18);
  segment.writeUInt16BE(layer.checksum ?? transportChecksum(network, PROTOCOL.tcp, segment), 16);
  return segment;
}

function encodeGeneve(layer: Geneve, next: Layer | undefined): Buffer {
  const options = layer.optionBytes ?? Buffer.concat((layer.options ?? []).map(encodeGeneveOption));
  const header = Buffer.alloc(8);
  const isCritical = layer.critical ?? (layer.options ?? []).some((option) => (option.type & 0x80) !== 0);
  header[0] = ((layer.version ?? 0) << 6) | (layer.optionLength ?? options.length / 4);
  header[1] = (layer.control ? 0x80 : 0) | (isCritical ? 0x40 : 0) | (layer.reserved ?? 0);
  const protocolType = next === undefined || next.layer === 'ethernet' ? ETHER_TYPE.transparentEthernet : ETHER_TYPE_OF[next.layer];
  header.writeUInt16BE(layer.protocolType ?? protocolType ?? 0xffff, 2);
  header.writeUInt32BE(layer.vni * 256 + (layer.reserved2 ?? 0), 4);
  return Buffer.concat([header, options]);
}

function encodeGeneveOption(option: GeneveOption): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(option.optionClass, 0);
  header[2] = option.type;
  header[3] = ((option.reserved ?? 0) << 5) | (option.length ?? option.data.length / 4);
  return Buffer.concat([header, option.data]);
}

/**
 * The same packet as IPv4 fragments of at most `bytes` bytes of payload each.
 * `layers` has exactly one Ethernet and one IPv4 layer in front.
 */
export function fragments(bytes: number, ...layers: readonly [Ethernet, Ipv4, ...Layer[]]): Buffer[] {
  if (bytes % 8 !== 0) throw new Error('a fragment carries a multiple of eight bytes');
  const [link, network] = layers;
  const whole = frame(...layers);
  const headerBytes = 14 + 20 + (network.options?.length ?? 0);
  const body = whole.subarray(headerBytes);
  const parts: Buffer[] = [];
  for (let start = 0; start < body.length; start += bytes) {
    const protocol = whole[14 + 9]!;
    const moreFragments = start + bytes < body.length;
    const part = { ...network, protocol, moreFragments, fragmentOffset: start / 8 };
    parts.push(frame({ ...link, etherType: ETHER_TYPE.ipv4 }, part, payload(body.subarray(start, start + bytes))));
  }
  return parts;
}
