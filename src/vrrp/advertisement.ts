/**
 * VRRP advertisements on the wire: v3 of RFC 9568 §5.2 and v2 of RFC 3768 §5.3,
 * both over IPv4. Pure functions over bytes that anybody may have sent.
 */
import {
  IPV4_HEADER_BYTES,
  PROTOCOL_VRRP,
  finishChecksum,
  parseIpv4,
  sumPseudoHeader,
  sumWords,
  type Ipv4Address,
} from './ipv4.js';
import type { Microseconds, VrrpVersion } from './timing.js';

/** 224.0.0.18 (RFC 9568 §5.1.1.2). */
export const VRRP_MULTICAST: Ipv4Address = parseIpv4('224.0.0.18');
/** The owner of the virtual addresses (RFC 9568 §5.2.4). */
export const PRIORITY_OWNER = 255;
/** "The current Active Router has stopped participating" (RFC 9568 §5.2.4). */
export const PRIORITY_RESIGN = 0;

export const CENTISECOND_US = 10_000;
export const SECOND_US = 1_000_000;

/**
 * Why an advert was not believed. Each is the label of a counter. Up to
 * `interval-zero` in the order in which they are looked for (RFC 9568 §7.1);
 * the rest compare it with the virtual router that it is for.
 */
export const invalidReasons = [
  'ip-truncated',
  'ip-header',
  'ip-fragment',
  'ip-protocol',
  'ttl',
  'truncated',
  'version',
  'type',
  'no-addresses',
  'length',
  'checksum',
  'authentication-type',
  'interval-zero',
  'vrid',
  'own-source',
  'unexpected-source',
  'version-mismatch',
  'authentication',
  'address-mismatch',
  'interval-mismatch',
] as const;
export type InvalidReason = (typeof invalidReasons)[number];

/**
 * What an IPv4 v3 checksum covers. RFC 9568 §5.2.8: the `message`. RFC 5798 was
 * read as `pseudo-header` too by keepalived, FRR and VPP. v2 is always `message`.
 */
export type ChecksumForm = 'message' | 'pseudo-header';

/** RFC 2338 §5.3.6. Simple text is no secret: it keeps routers of another configuration apart. */
export type Authentication =
  | { readonly type: 'none' }
  /** At most 8 bytes count, as in keepalived; Latin-1. */
  | { readonly type: 'simple-text'; readonly password: string };

interface CommonFields {
  /** 1–255. */
  readonly vrid: number;
  /** 0–255. */
  readonly priority: number;
  /** v3: 1–4095 centiseconds; v2: 1–255 seconds. */
  readonly intervalUs: Microseconds;
  /** 1–255 of them. */
  readonly addresses: readonly Ipv4Address[];
}

export interface AdvertisementV3 extends CommonFields {
  readonly version: 3;
}
export interface AdvertisementV2 extends CommonFields {
  readonly version: 2;
  readonly authentication: Authentication;
}
export type Advertisement = AdvertisementV3 | AdvertisementV2;

export interface ReceivedAdvertisement {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  readonly checksumForm: ChecksumForm;
  readonly advertisement: Advertisement;
}

export type Decoded =
  | { readonly ok: true; readonly received: ReceivedAdvertisement }
  | { readonly ok: false; readonly reason: InvalidReason };

const FIXED_BYTES = 8;
const AUTHENTICATION_BYTES = 8;
const TYPE_ADVERTISEMENT = 1;
const AUTHENTICATION_NONE = 0;
const AUTHENTICATION_SIMPLE_TEXT = 1;

const invalid = (reason: InvalidReason): Decoded => ({ ok: false, reason });

/**
 * Decodes an IPv4 packet, header included, as a raw socket delivers it. Bytes
 * behind the header's total length (Ethernet padding) are ignored. Never throws.
 */
export function decodePacket(packet: Uint8Array): Decoded {
  if (packet.length < IPV4_HEADER_BYTES) return invalid('ip-truncated');
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const headerBytes = (view.getUint8(0) & 15) * 4;
  const totalBytes = view.getUint16(2);
  if (view.getUint8(0) >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES || totalBytes < headerBytes) return invalid('ip-header');
  if (totalBytes > packet.length) return invalid('ip-truncated');
  if ((view.getUint16(6) & 0x3fff) !== 0) return invalid('ip-fragment');
  if (view.getUint8(9) !== PROTOCOL_VRRP) return invalid('ip-protocol');
  // RFC 9568 §5.1.1.3: the only proof that the sender is on this link.
  if (view.getUint8(8) !== 255) return invalid('ttl');
  return decodeMessage(packet.subarray(headerBytes, totalBytes), view.getUint32(12), view.getUint32(16));
}

function decodeMessage(message: Uint8Array, source: Ipv4Address, destination: Ipv4Address): Decoded {
  if (message.length < FIXED_BYTES) return invalid('truncated');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const version = view.getUint8(0) >> 4;
  if (version !== 2 && version !== 3) return invalid('version');
  if ((view.getUint8(0) & 15) !== TYPE_ADVERTISEMENT) return invalid('type');
  const count = view.getUint8(3);
  if (count === 0) return invalid('no-addresses');
  const bytes = messageBytes(version, count);
  if (message.length < bytes) return invalid('truncated');
  if (message.length > bytes) return invalid('length');
  const checksumForm = verifyChecksum(version, message, source, destination);
  if (checksumForm === undefined) return invalid('checksum');
  const advertisement = version === 3 ? readV3(view) : readV2(view);
  if (typeof advertisement === 'string') return invalid(advertisement);
  if (advertisement.intervalUs === 0) return invalid('interval-zero');
  return { ok: true, received: { source, destination, checksumForm, advertisement } };
}

function messageBytes(version: VrrpVersion, count: number): number {
  return FIXED_BYTES + 4 * count + (version === 2 ? AUTHENTICATION_BYTES : 0);
}

function verifyChecksum(
  version: VrrpVersion,
  message: Uint8Array,
  source: Ipv4Address,
  destination: Ipv4Address,
): ChecksumForm | undefined {
  const sum = sumWords(message);
  if (finishChecksum(sum) === 0) return 'message';
  if (version === 3 && finishChecksum(sum + sumPseudoHeader(source, destination, message.length)) === 0) return 'pseudo-header';
  return undefined;
}

function readCommon(view: DataView): Omit<CommonFields, 'intervalUs'> {
  const addresses = Array.from({ length: view.getUint8(3) }, (_, i) => view.getUint32(FIXED_BYTES + 4 * i));
  return { vrid: view.getUint8(1), priority: view.getUint8(2), addresses };
}

function readV3(view: DataView): AdvertisementV3 {
  // RFC 9568 §5.2.6: the four bits above the interval are ignored on reception.
  return { version: 3, ...readCommon(view), intervalUs: (view.getUint16(4) & 0x0fff) * CENTISECOND_US };
}

function readV2(view: DataView): AdvertisementV2 | InvalidReason {
  const authentication = readAuthentication(view);
  if (authentication === undefined) return 'authentication-type';
  return { version: 2, ...readCommon(view), intervalUs: view.getUint8(5) * SECOND_US, authentication };
}

function readAuthentication(view: DataView): Authentication | undefined {
  const type = view.getUint8(4);
  if (type === AUTHENTICATION_NONE) return { type: 'none' };
  if (type !== AUTHENTICATION_SIMPLE_TEXT) return undefined;
  const start = view.byteLength - AUTHENTICATION_BYTES;
  const codes = Array.from({ length: AUTHENTICATION_BYTES }, (_, i) => view.getUint8(start + i));
  return { type: 'simple-text', password: String.fromCharCode(...codes).replace(/\0+$/, '') };
}

/** What an advert must agree with before a virtual router listens to it. */
export interface Expectation {
  readonly version: VrrpVersion;
  readonly vrid: number;
  readonly intervalUs: Microseconds;
  /** Our own: adverts from it are our own, looped back. */
  readonly primaryAddress: Ipv4Address;
  /** v2 only. Default none. */
  readonly authentication?: Authentication;
  /** v2 only: the list that adverts have to have, in any order. Default any. */
  readonly addresses?: readonly Ipv4Address[];
  /** If given, adverts from elsewhere are refused. */
  readonly unicastPeers?: readonly Ipv4Address[];
}

/**
 * Compares a well-formed advert with the virtual router that it may be for.
 * Returns undefined when it is to be believed. A v3 interval or address list that
 * differs is noted, not refused (RFC 9568 §7.1); a v2 one is refused (RFC 3768 §7.1).
 */
export function checkAdvertisement(received: ReceivedAdvertisement, expected: Expectation): InvalidReason | undefined {
  const { advertisement, source } = received;
  if (advertisement.vrid !== expected.vrid) return 'vrid';
  if (source === expected.primaryAddress) return 'own-source';
  if (expected.unicastPeers !== undefined && !expected.unicastPeers.includes(source)) return 'unexpected-source';
  if (advertisement.version !== expected.version) return 'version-mismatch';
  if (advertisement.version === 3) return undefined;
  if (!sameAuthentication(advertisement.authentication, expected.authentication ?? { type: 'none' })) return 'authentication';
  const { addresses = advertisement.addresses } = expected;
  // RFC 3768 §7.1: an owner's list is taken as it is.
  if (advertisement.priority !== PRIORITY_OWNER && !sameAddresses(advertisement.addresses, addresses)) return 'address-mismatch';
  return advertisement.intervalUs === expected.intervalUs ? undefined : 'interval-mismatch';
}

function sameAuthentication(a: Authentication, b: Authentication): boolean {
  if (a.type === 'none' || b.type === 'none') return a.type === b.type;
  return a.password.slice(0, AUTHENTICATION_BYTES) === b.password.slice(0, AUTHENTICATION_BYTES);
}

/** Whatever the order: RFC 9568 §5.2.9 asks for the same one only so that people can compare them. */
export function sameAddresses(a: readonly Ipv4Address[], b: readonly Ipv4Address[]): boolean {
  return a.length === b.length && a.every((address) => b.includes(address));
}

/** Where a message goes, for checksums that cover it. */
export interface ChecksumOver {
  readonly form: ChecksumForm;
  readonly source: Ipv4Address;
  /** The real one: a peer's address when unicast. */
  readonly destination: Ipv4Address;
}

/**
 * Encodes a message, without IPv4 header. Throws RangeError, naming the field,
 * for what the wire cannot carry. The checksum form is ignored for v2.
 */
export function encodeMessage(advertisement: Advertisement, checksum: ChecksumOver): Uint8Array {
  const { version, addresses } = advertisement;
  requireRange('virtual router id', advertisement.vrid, 1, 255);
  requireRange('priority', advertisement.priority, 0, 255);
  requireRange('number of addresses', addresses.length, 1, 255);
  const message = new Uint8Array(messageBytes(version, addresses.length));
  const view = new DataView(message.buffer);
  view.setUint8(0, (version << 4) | TYPE_ADVERTISEMENT);
  view.setUint8(1, advertisement.vrid);
  view.setUint8(2, advertisement.priority);
  view.setUint8(3, addresses.length);
  addresses.forEach((address, i) => view.setUint32(FIXED_BYTES + 4 * i, address));
  if (version === 3) writeV3(view, advertisement);
  else writeV2(view, advertisement);
  const overPseudoHeader = version === 3 && checksum.form === 'pseudo-header';
  const initial = overPseudoHeader ? sumPseudoHeader(checksum.source, checksum.destination, message.length) : 0;
  view.setUint16(6, finishChecksum(sumWords(message, initial)));
  return message;
}

function writeV3(view: DataView, advertisement: AdvertisementV3): void {
  const centiseconds = advertisement.intervalUs / CENTISECOND_US;
  requireRange('advertisement interval in centiseconds', centiseconds, 1, 4095);
  view.setUint16(4, centiseconds);
}

function writeV2(view: DataView, advertisement: AdvertisementV2): void {
  const seconds = advertisement.intervalUs / SECOND_US;
  requireRange('advertisement interval in seconds', seconds, 1, 255);
  view.setUint8(5, seconds);
  if (advertisement.authentication.type === 'none') return;
  view.setUint8(4, AUTHENTICATION_SIMPLE_TEXT);
  const { password } = advertisement.authentication;
  const start = view.byteLength - AUTHENTICATION_BYTES;
  for (let i = 0; i < Math.min(password.length, AUTHENTICATION_BYTES); i++) view.setUint8(start + i, password.charCodeAt(i));
}

function requireRange(what: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`VRRP ${what} must be a whole number from ${low} to ${high}, not ${value}`);
  }
}
