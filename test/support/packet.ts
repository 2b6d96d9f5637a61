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
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50, sctp: 132, udpLite: 136 } as const;
export const TCP = { FIN: 0x01, SYN: 0x02, RST: 0x04, PSH: 0x08, ACK: 0x10, URG: 0x20, ECE: 0x40, CWR: 0x80 } as const;
export const ICMP = {
  echoReply: 0, unreachable: 3, sourceQuench: 4, redirect: 5, echo: 8, timeExceeded: 11, parameterProblem: 12, timestamp: 13,
} as const;
/** Codes of "destination unreachable". */
export const UNREACHABLE = { network: 0, host: 1, protocol: 2, port: 3, fragmentationNeeded: 4, prohibited: 13 } as const;
/** Types of ICMP that quote the packet they are about. */
export const ICMP_ERRORS: readonly number[] = [ICMP.unreachable, ICMP.sourceQuench, ICMP.redirect, ICMP.timeExceeded, ICMP.parameterProblem];
export const GENEVE_PORT = 6081;
export const VXLAN_PORT = 4789;

export interface Ethernet {
  readonly layer: 'ethernet';
  readonly destination: string;
  readonly source: string;
  readonly etherType?: number;
}

/** IEEE 802.1Q. */
export interface Vlan {
  readonly layer: 'vlan';
  readonly identifier: number;
  readonly priority?: number;
  readonly dropEligible?: boolean;
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

/** RFC 3828. */
export interface UdpLite {
  readonly layer: 'udpLite';
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Bytes from the header's start that the checksum covers; 0: all. */
  readonly coverage?: number;
  readonly checksum?: number;
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

/** RFC 7348. */
export interface Vxlan {
  readonly layer: 'vxlan';
  readonly vni: number;
  /** 0x08: the VNI is valid. */
  readonly flags?: number;
  /** 24 bits. */
  readonly reserved?: number;
  readonly reserved2?: number;
}

/** In an ICMP error: the packet that it is about, as far as it is quoted. */
export interface Quote {
  readonly layer: 'quote';
  /** From its IPv4 header on, whole: lengths and sums are those of the packet that was sent. */
  readonly layers: readonly Layer[];
  /** Bytes behind its IPv4 header that are quoted; undefined: all. */
  readonly bytes?: number | undefined;
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

export type Layer = Ethernet | Vlan | Arp | Ipv4 | Icmp | Udp | UdpLite | Tcp | Geneve | Vxlan | Sync | Quote | Payload | Padding;
type Description<T extends Layer> = Omit<T, 'layer'>;

export const ethernet = (fields: Description<Ethernet>): Ethernet => ({ layer: 'ethernet', ...fields });
export const vlan = (identifier: number, fields: Partial<Description<Vlan>> = {}): Vlan => ({ layer: 'vlan', identifier, ...fields });
export const arp = (fields: Description<Arp>): Arp => ({ layer: 'arp', ...fields });
export const ipv4 = (fields: Description<Ipv4>): Ipv4 => ({ layer: 'ipv4', ...fields });
export const icmp = (fields: Description<Icmp>): Icmp => ({ layer: 'icmp', ...fields });
export const udp = (fields: Description<Udp>): Udp => ({ layer: 'udp', ...fields });
export const udpLite = (fields: Description<UdpLite>): UdpLite => ({ layer: 'udpLite', ...fields });
export const tcp = (fields: Description<Tcp>): Tcp => ({ layer: 'tcp', ...fields });
export const geneve = (fields: Description<Geneve>): Geneve => ({ layer: 'geneve', ...fields });
export const vxlan = (fields: Description<Vxlan>): Vxlan => ({ layer: 'vxlan', ...fields });
export const quote = (layers: readonly Layer[], bytes?: number): Quote => ({ layer: 'quote', layers, bytes });
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

/** TCP options one by one (RFC 9293 §3.1, RFC 7323, RFC 2018); put together by tcpOptions(). */
export const tcpOption = {
  end: Buffer.from([0]),
  nop: Buffer.from([1]),
  mss: (bytes: number): Buffer => Buffer.from([2, 4, bytes >> 8, bytes & 0xff]),
  windowScale: (shift: number): Buffer => Buffer.from([3, 3, shift]),
  sackPermitted: Buffer.from([4, 2]),
  sack: (left: number, right: number): Buffer => Buffer.concat([Buffer.from([5, 10]), word(left), word(right)]),
  timestamps: (value: number, echo = 0): Buffer => Buffer.concat([Buffer.from([8, 10]), word(value), word(echo)]),
} as const;

/** Filled with "end of options" to whole words. */
export function tcpOptions(...options: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(options);
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Packets of protocols without ports that a NAT knows, or sums that it has to touch. Their IPv4 header names the protocol. */
export const gre = (inner: Buffer | string = 'inner packet'): Payload => payload(Buffer.concat([Buffer.from('00000800', 'hex'), Buffer.from(inner)]));
export const esp = (index = 0x1000, sequence = 1): Payload => payload(Buffer.concat([word(index), word(sequence), Buffer.alloc(40, 0x5e)]));
/** RFC 9260: its CRC32c covers no address. */
export const sctp = (sourcePort: number, destinationPort: number): Payload => {
  const bytes = Buffer.alloc(12 + 20, 0x11);
  bytes.writeUInt16BE(sourcePort, 0);
  bytes.writeUInt16BE(destinationPort, 2);
  return payload(bytes);
};

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
    case 'vlan':
      return Buffer.concat([encodeVlan(layer, next), rest]);
    case 'arp':
      return Buffer.concat([encodeArp(layer), rest]);
    case 'ipv4':
      return Buffer.concat([encodeIpv4(layer, next, body.length), rest]);
    case 'icmp':
      return Buffer.concat([encodeIcmp(layer, body), trailer]);
    case 'udp':
      return Buffer.concat([encodeUdp(layer, body, network), trailer]);
    case 'udpLite':
      return Buffer.concat([encodeUdpLite(layer, body, network), trailer]);
    case 'tcp':
      return Buffer.concat([encodeTcp(layer, body, network), trailer]);
    case 'geneve':
      return Buffer.concat([encodeGeneve(layer, next), rest]);
    case 'vxlan':
      return Buffer.concat([encodeVxlan(layer), rest]);
    case 'quote':
      return Buffer.concat([encodeQuote(layer), rest]);
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

const ETHER_TYPE_OF: Partial<Record<Layer['layer'], number>> = { ipv4: ETHER_TYPE.ipv4, arp: ETHER_TYPE.arp, vlan: ETHER_TYPE.vlan };
const PROTOCOL_OF: Partial<Record<Layer['layer'], number>> = {
  icmp: PROTOCOL.icmp,
  udp: PROTOCOL.udp,
  udpLite: PROTOCOL.udpLite,
  tcp: PROTOCOL.tcp,
};

function encodeEthernet(layer: Ethernet, next: Layer | undefined): Buffer {
  const header = Buffer.alloc(14);
  header.set(macToBuffer(layer.destination), 0);
  header.set(macToBuffer(layer.source), 6);
  header.writeUInt16BE(layer.etherType ?? (next && ETHER_TYPE_OF[next.layer]) ?? 0xffff, 12);
  return header;
}

function encodeVlan(layer: Vlan, next: Layer | undefined): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(((layer.priority ?? 0) << 13) | (layer.dropEligible ? 0x1000 : 0) | layer.identifier, 0);
  header.writeUInt16BE(layer.etherType ?? (next && ETHER_TYPE_OF[next.layer]) ?? 0xffff, 2);
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

function transportChecksum(network: Ipv4 | undefined, protocol: number, segment: Buffer, length = segment.length): number {
  if (network === undefined) throw new Error('a transport checksum needs an IPv4 layer around it');
  const addresses = Buffer.alloc(8);
  addresses.writeUInt32BE(ipv4ToNumber(network.source), 0);
  addresses.writeUInt32BE(ipv4ToNumber(network.destination), 4);
  return internetChecksum(
    pseudoHeader(addresses.subarray(0, 4), addresses.subarray(4), protocol, length),
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

/** RFC 3828 §3.1: a coverage of zero is the whole datagram, as is none given. */
function encodeUdpLite(layer: UdpLite, body: Buffer, network: Ipv4 | undefined): Buffer {
  const segment = Buffer.concat([Buffer.alloc(8), body]);
  segment.writeUInt16BE(layer.sourcePort, 0);
  segment.writeUInt16BE(layer.destinationPort, 2);
  segment.writeUInt16BE(layer.coverage ?? segment.length, 4);
  const covered = segment.subarray(0, layer.coverage || segment.length);
  const checksum = layer.checksum ?? (transportChecksum(network, PROTOCOL.udpLite, covered, segment.length) || 0xffff);
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

function encodeVxlan(layer: Vxlan): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE((layer.flags ?? 0x08) * 0x1000000 + (layer.reserved ?? 0), 0);
  header.writeUInt32BE(layer.vni * 256 + (layer.reserved2 ?? 0), 4);
  return header;
}

function encodeQuote(layer: Quote): Buffer {
  const packet = frame(...layer.layers);
  const headerBytes = (packet[0]! & 0x0f) * 4;
  return layer.bytes === undefined ? packet : packet.subarray(0, headerBytes + layer.bytes);
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
  const [link, ...packet] = layers;
  return split(bytes, packet as [Ipv4, ...Layer[]]).map((part) => frame({ ...link, etherType: ETHER_TYPE.ipv4 }, ...part));
}

/** The layers of each fragment of a packet that begins with its IPv4 header. */
export function split(bytes: number, packet: readonly [Ipv4, ...Layer[]]): Layer[][] {
  if (bytes % 8 !== 0) throw new Error('a fragment carries a multiple of eight bytes');
  const [network] = packet;
  const whole = frame(...packet);
  const body = whole.subarray(20 + (network.options?.length ?? 0));
  const parts: Layer[][] = [];
  for (let start = 0; start < body.length; start += bytes) {
    const protocol = whole[9]!;
    const moreFragments = start + bytes < body.length;
    const part = { ...network, protocol, moreFragments, fragmentOffset: start / 8 };
    parts.push([part, payload(body.subarray(start, start + bytes))]);
  }
  return parts;
}
