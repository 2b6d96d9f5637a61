/**
 * VRRP advertisements as frames, byte by byte: shares nothing with the encoder of
 * src/vrrp, so that it can say what that one refuses to.
 */
import { ipv4ToNumber } from './bytes.js';
import { internetChecksum, pseudoHeader } from './checksum.js';
import { ethernet, frame, ipv4, padding, payload, vlan, type Ipv4 } from './packet.js';
import { nodeB, VIRTUAL_ADDRESS, VIRTUAL_MAC, VRID } from './world.js';

export const VRRP_GROUP = '224.0.0.18';
const PROTOCOL_VRRP = 112;

function ipv4ToBuffer(text: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(ipv4ToNumber(text));
  return bytes;
}

export interface Advert {
  readonly version?: number;
  readonly type?: number;
  readonly vrid?: number;
  readonly priority?: number;
  /** Default: as many as there are. */
  readonly count?: number;
  readonly addresses?: readonly string[];
  /** Default 10: centiseconds in version 3, seconds in version 2. */
  readonly interval?: number;
  /** v3: the four bits above the interval. */
  readonly reserved?: number;
  /** v2: RFC 2338 §5.3.6. */
  readonly authentication?: number;
  readonly password?: string;
  /** Default `message`; a number is written as it is. */
  readonly checksum?: 'message' | 'pseudo-header' | number;
  /** Bytes behind the message, which the packet has as well. */
  readonly more?: Buffer;
  /** Only so many bytes of the message. */
  readonly cutTo?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly ipv4?: Partial<Ipv4>;
  /** 802.1Q identifier; 0: untagged. */
  readonly tag?: number;
  /** Behind the packet, as Ethernet pads. */
  readonly padding?: number;
}

function message({ version = 3, type = 1, vrid = VRID, priority = 100, addresses = [VIRTUAL_ADDRESS], count = addresses.length, interval = 10, reserved = 0, authentication = 0, password = '' }: Advert): Buffer {
  const data = Buffer.alloc(version === 2 ? 8 : 0);
  data.write(password, 'latin1');
  const head = Buffer.from([(version << 4) | type, vrid, priority, count, 0, 0, 0, 0]);
  if (version === 2) head.writeUInt16BE((authentication << 8) | interval, 4);
  else head.writeUInt16BE((reserved << 12) | interval, 4);
  return Buffer.concat([head, ...addresses.map(ipv4ToBuffer), data]);
}

export function advertFrame(advert: Advert = {}): Buffer {
  const { source = nodeB.underlay.address, destination = VRRP_GROUP, checksum = 'message', tag = 0, more = Buffer.alloc(0) } = advert;
  const whole = Buffer.concat([message(advert), more]);
  const pseudo = checksum === 'pseudo-header' ? pseudoHeader(ipv4ToBuffer(source), ipv4ToBuffer(destination), PROTOCOL_VRRP, whole.length) : Buffer.alloc(0);
  whole.writeUInt16BE(typeof checksum === 'number' ? checksum : internetChecksum(pseudo, whole), 6);
  return frame(
    ethernet({ source: VIRTUAL_MAC, destination: '01:00:5e:00:00:12', ...(tag === 0 && { etherType: 0x0800 }) }),
    ...(tag === 0 ? [] : [vlan(tag, { etherType: 0x0800 })]),
    ipv4({ source, destination, protocol: PROTOCOL_VRRP, ttl: 255, ...advert.ipv4 }),
    payload(whole.subarray(0, advert.cutTo ?? whole.length)),
    padding(advert.padding ?? 0),
  );
}

export interface Malformation {
  /** Without `drop_advertisement_`. */
  readonly reason: string;
  readonly because: string;
  readonly advert: Advert;
}

/** For a virtual router of version 3. */
export const malformedV3: readonly Malformation[] = [
  { reason: 'ttl', because: 'it came by a router', advert: { ipv4: { ttl: 254 } } },
  { reason: 'ttl', because: 'TTL 1', advert: { ipv4: { ttl: 1 } } },
  { reason: 'version', because: 'version 2', advert: { version: 2 } },
  { reason: 'version', because: 'version 4', advert: { version: 4 } },
  { reason: 'version', because: 'version 0', advert: { version: 0 } },
  { reason: 'type', because: 'type 2', advert: { type: 2 } },
  { reason: 'type', because: 'type 0', advert: { type: 0 } },
  { reason: 'count', because: 'no address', advert: { addresses: [] } },
  { reason: 'length', because: 'cut off in its header', advert: { cutTo: 7 } },
  { reason: 'length', because: 'cut off in its addresses', advert: { cutTo: 11 } },
  { reason: 'length', because: 'fewer addresses than it counts', advert: { count: 2 } },
  { reason: 'length', because: 'more addresses than it counts', advert: { count: 1, addresses: [VIRTUAL_ADDRESS, '192.168.33.101'] } },
  { reason: 'length', because: 'a trailer, as version 2 has one', advert: { more: Buffer.alloc(8) } },
  { reason: 'checksum', because: 'checksum 0', advert: { checksum: 0 } },
  { reason: 'checksum', because: 'a checksum that is off by one', advert: { checksum: 0xbeef } },
  { reason: 'interval', because: 'interval 0', advert: { interval: 0 } },
  { reason: 'interval', because: 'interval 0 under reserved bits', advert: { interval: 0, reserved: 0xf } },
];

/** For a virtual router of version 2, every 10 s, with the password `openflag`. */
export const malformedV2: readonly Malformation[] = [
  { reason: 'version', because: 'version 3', advert: {} },
  { reason: 'length', because: 'no trailer', advert: { version: 2, authentication: 1, cutTo: 12 } },
  { reason: 'checksum', because: 'a pseudo-header, which only version 3 may have', advert: { version: 2, authentication: 1, password: 'openflag', checksum: 'pseudo-header' } },
  { reason: 'authentication', because: 'no authentication', advert: { version: 2 } },
  { reason: 'authentication', because: 'an IP authentication header, which is obsolete', advert: { version: 2, authentication: 2, password: 'openflag' } },
  { reason: 'authentication', because: 'another password', advert: { version: 2, authentication: 1, password: 'openflaG' } },
  { reason: 'authentication', because: 'a part of the password', advert: { version: 2, authentication: 1, password: 'open' } },
  { reason: 'interval', because: 'another interval, which version 2 does not adopt', advert: { version: 2, authentication: 1, password: 'openflag', interval: 9 } },
  { reason: 'interval', because: 'interval 0', advert: { version: 2, authentication: 1, password: 'openflag', interval: 0 } },
];

export const passwordWords = (text: string): [number, number] => {
  const data = Buffer.alloc(8);
  data.write(text, 'latin1');
  return [data.readUInt32LE(0), data.readUInt32LE(4)];
};
