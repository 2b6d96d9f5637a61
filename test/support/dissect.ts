/**
 * Bytes back to the layers of packet.ts, with every field explicit: building
 * the result again gives the same bytes, whatever the bytes were.
 */
import { bufferToMac, numberToIpv4 } from './bytes.js';
import { ETHER_TYPE, GENEVE_PORT, ICMP_ERRORS, PROTOCOL, VXLAN_PORT, type GeneveOption, type Layer } from './packet.js';
import { decodeSync, SYNC_PORT, SYNC_TYPE } from './sync-frame.js';

/** Never throws: what does not parse becomes payload. */
export function dissect(frame: Buffer): Layer[] {
  if (frame.length < 14) return rest(frame);
  const etherType = frame.readUInt16BE(12);
  const link: Layer = {
    layer: 'ethernet',
    destination: bufferToMac(frame.subarray(0, 6)),
    source: bufferToMac(frame.subarray(6, 12)),
    etherType,
  };
  return [link, ...dissectBody(etherType, frame.subarray(14))];
}

function dissectBody(etherType: number, body: Buffer): Layer[] {
  if (etherType === ETHER_TYPE.ipv4) return dissectIpv4(body);
  if (etherType === ETHER_TYPE.arp) return dissectArp(body);
  if (etherType === ETHER_TYPE.vlan) return dissectVlan(body);
  return rest(body);
}

function dissectVlan(bytes: Buffer): Layer[] {
  if (bytes.length < 4) return rest(bytes);
  const control = bytes.readUInt16BE(0);
  const etherType = bytes.readUInt16BE(2);
  const layer: Layer = {
    layer: 'vlan',
    identifier: control & 0x0fff,
    priority: control >> 13,
    dropEligible: (control & 0x1000) !== 0,
    etherType,
  };
  return [layer, ...dissectBody(etherType, bytes.subarray(4))];
}

function rest(bytes: Buffer): Layer[] {
  return bytes.length === 0 ? [] : [{ layer: 'payload', bytes: Buffer.from(bytes) }];
}

function dissectArp(bytes: Buffer): Layer[] {
  if (bytes.length < 28) return rest(bytes);
  const layer: Layer = {
    layer: 'arp',
    hardwareType: bytes.readUInt16BE(0),
    protocolType: bytes.readUInt16BE(2),
    hardwareLength: bytes[4]!,
    protocolLength: bytes[5]!,
    operation: bytes.readUInt16BE(6),
    senderMac: bufferToMac(bytes.subarray(8, 14)),
    senderAddress: numberToIpv4(bytes.readUInt32BE(14)),
    targetMac: bufferToMac(bytes.subarray(18, 24)),
    targetAddress: numberToIpv4(bytes.readUInt32BE(24)),
  };
  return [layer, ...trailer(bytes.subarray(28))];
}

function trailer(bytes: Buffer): Layer[] {
  return bytes.length === 0 ? [] : [{ layer: 'padding', bytes: Buffer.from(bytes) }];
}

function dissectIpv4(bytes: Buffer): Layer[] {
  const headerBytes = ((bytes[0] ?? 0) & 0x0f) * 4;
  if (bytes.length < 20 || headerBytes < 20 || bytes.length < headerBytes) return rest(bytes);
  const totalLength = bytes.readUInt16BE(2);
  const flags = bytes.readUInt16BE(6);
  const protocol = bytes[9]!;
  const layer: Layer = {
    layer: 'ipv4',
    version: bytes[0]! >> 4,
    headerLength: headerBytes / 4,
    typeOfService: bytes[1]!,
    totalLength,
    identification: bytes.readUInt16BE(4),
    reservedFlag: (flags & 0x8000) !== 0,
    dontFragment: (flags & 0x4000) !== 0,
    moreFragments: (flags & 0x2000) !== 0,
    fragmentOffset: flags & 0x1fff,
    ttl: bytes[8]!,
    protocol,
    checksum: bytes.readUInt16BE(10),
    source: numberToIpv4(bytes.readUInt32BE(12)),
    destination: numberToIpv4(bytes.readUInt32BE(16)),
    options: Buffer.from(bytes.subarray(20, headerBytes)),
  };
  const end = totalLength >= headerBytes ? Math.min(totalLength, bytes.length) : bytes.length;
  const body = bytes.subarray(headerBytes, end);
  const segment = (flags & 0x1fff) === 0 ? dissectSegment(protocol, body) : rest(body);
  return [layer, ...segment, ...trailer(bytes.subarray(end))];
}

function dissectSegment(protocol: number, bytes: Buffer): Layer[] {
  if (protocol === PROTOCOL.icmp) return dissectIcmp(bytes);
  if (protocol === PROTOCOL.tcp) return dissectTcp(bytes);
  if (protocol === PROTOCOL.udp) return dissectUdp(bytes);
  if (protocol === PROTOCOL.udpLite) return dissectUdpLite(bytes);
  return rest(bytes);
}

function dissectIcmp(bytes: Buffer): Layer[] {
  if (bytes.length < 8) return rest(bytes);
  const layer: Layer = {
    layer: 'icmp',
    type: bytes[0]!,
    code: bytes[1]!,
    checksum: bytes.readUInt16BE(2),
    identifier: bytes.readUInt16BE(4),
    sequence: bytes.readUInt16BE(6),
  };
  const body = bytes.subarray(8);
  if (ICMP_ERRORS.includes(layer.type) && body.length >= 20) return [layer, { layer: 'quote', layers: dissectIpv4(body) }];
  return [layer, ...rest(body)];
}

function dissectUdpLite(bytes: Buffer): Layer[] {
  if (bytes.length < 8) return rest(bytes);
  const layer: Layer = {
    layer: 'udpLite',
    sourcePort: bytes.readUInt16BE(0),
    destinationPort: bytes.readUInt16BE(2),
    coverage: bytes.readUInt16BE(4),
    checksum: bytes.readUInt16BE(6),
  };
  return [layer, ...rest(bytes.subarray(8))];
}

function dissectTcp(bytes: Buffer): Layer[] {
  const headerBytes = ((bytes[12] ?? 0) >> 4) * 4;
  if (bytes.length < 20 || headerBytes < 20 || bytes.length < headerBytes) return rest(bytes);
  const layer: Layer = {
    layer: 'tcp',
    sourcePort: bytes.readUInt16BE(0),
    destinationPort: bytes.readUInt16BE(2),
    sequence: bytes.readUInt32BE(4),
    acknowledgement: bytes.readUInt32BE(8),
    dataOffset: headerBytes / 4,
    flags: bytes.readUInt16BE(12) & 0x0fff,
    window: bytes.readUInt16BE(14),
    checksum: bytes.readUInt16BE(16),
    urgent: bytes.readUInt16BE(18),
    options: Buffer.from(bytes.subarray(20, headerBytes)),
  };
  return [layer, ...rest(bytes.subarray(headerBytes))];
}

function dissectUdp(bytes: Buffer): Layer[] {
  if (bytes.length < 8) return rest(bytes);
  const destinationPort = bytes.readUInt16BE(2);
  const layer: Layer = {
    layer: 'udp',
    sourcePort: bytes.readUInt16BE(0),
    destinationPort,
    length: bytes.readUInt16BE(4),
    checksum: bytes.readUInt16BE(6),
  };
  const body = bytes.subarray(8);
  if (destinationPort === GENEVE_PORT) return [layer, ...dissectGeneve(body)];
  if (destinationPort === VXLAN_PORT) return [layer, ...dissectVxlan(body)];
  if (destinationPort === SYNC_PORT) return [layer, ...dissectSync(body)];
  return [layer, ...rest(body)];
}

function dissectGeneve(bytes: Buffer): Layer[] {
  const end = 8 + ((bytes[0] ?? 0) & 0x3f) * 4;
  if (bytes.length < end) return rest(bytes);
  const protocolType = bytes.readUInt16BE(2);
  const optionBytes = Buffer.from(bytes.subarray(8, end));
  const options = dissectOptions(optionBytes);
  const layer: Layer = {
    layer: 'geneve',
    version: bytes[0]! >> 6,
    optionLength: bytes[0]! & 0x3f,
    control: (bytes[1]! & 0x80) !== 0,
    critical: (bytes[1]! & 0x40) !== 0,
    reserved: bytes[1]! & 0x3f,
    protocolType,
    vni: bytes.readUIntBE(4, 3),
    reserved2: bytes[7]!,
    ...(options ? { options } : { optionBytes }),
  };
  const body = bytes.subarray(end);
  return [layer, ...(protocolType === ETHER_TYPE.transparentEthernet ? dissect(body) : rest(body))];
}

function dissectVxlan(bytes: Buffer): Layer[] {
  if (bytes.length < 8) return rest(bytes);
  const layer: Layer = {
    layer: 'vxlan',
    flags: bytes[0]!,
    reserved: bytes.readUIntBE(1, 3),
    vni: bytes.readUIntBE(4, 3),
    reserved2: bytes[7]!,
  };
  return [layer, ...dissect(bytes.subarray(8))];
}

function dissectOptions(bytes: Buffer): GeneveOption[] | undefined {
  const options: GeneveOption[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const length = bytes[offset + 3]! & 0x1f;
    const end = offset + 4 + length * 4;
    if (end > bytes.length) return undefined;
    options.push({
      optionClass: bytes.readUInt16BE(offset),
      type: bytes[offset + 2]!,
      reserved: bytes[offset + 3]! >> 5,
      length,
      data: Buffer.from(bytes.subarray(offset + 4, end)),
    });
    offset = end;
  }
  return options;
}

function dissectSync(bytes: Buffer): Layer[] {
  const message = decodeSync(bytes);
  if (message === undefined) return rest(bytes);
  const { sync, body } = message;
  return [sync, ...(sync.type === SYNC_TYPE.commit && body.length > 0 ? dissect(body) : rest(body))];
}

/** The only layer of a kind, or the one at `depth` counted from the outside. Throws if there is none. */
export function layerOf<K extends Layer['layer']>(
  layers: readonly Layer[],
  kind: K,
  depth = 0,
): Required<Extract<Layer, { layer: K }>> {
  const found = layers.filter((layer) => layer.layer === kind)[depth];
  if (found === undefined) throw new Error(`no ${kind} layer at depth ${depth} in ${layers.map((l) => l.layer).join('/')}`);
  return found as Required<Extract<Layer, { layer: K }>>;
}
