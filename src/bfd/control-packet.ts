/**
 * The BFD Control packet of RFC 5880 §4.1 in its 24 bytes, and what §6.8.6 asks
 * of one before a session is looked for. Authentication is not in use.
 */

export const CONTROL_PACKET_BYTES = 24;
const VERSION = 1;
const VERSION_SHIFT = 5;
const DIAGNOSTIC_MASK = 0x1f;
const STATE_SHIFT = 6;
const flag = { poll: 0x20, final: 0x10, controlPlaneIndependent: 0x08, authenticationPresent: 0x04, demand: 0x02, multipoint: 0x01 } as const;

/** By their number on the wire. */
export const sessionStates = ['AdminDown', 'Down', 'Init', 'Up'] as const;
export type SessionState = (typeof sessionStates)[number];

/** RFC 5880 §4.1: why the session last left Up, or what keeps it from it. Those that we say. */
export const diagnostic = {
  none: 0,
  controlDetectionTimeExpired: 1,
  neighborSignaledSessionDown: 3,
  administrativelyDown: 7,
} as const;

export interface ControlPacket {
  /** 0 to 31; see `diagnostic`. */
  readonly diagnostic: number;
  readonly state: SessionState;
  readonly poll: boolean;
  readonly final: boolean;
  /** The sender wants no periodic packets while the session is Up (§6.6). We never do. */
  readonly demand: boolean;
  /** 1 to 255. */
  readonly detectMult: number;
  readonly myDiscriminator: number;
  /** 0: not known. */
  readonly yourDiscriminator: number;
  readonly desiredMinTxUs: number;
  /** 0: the sender wants no periodic packets. */
  readonly requiredMinRxUs: number;
}

/** The checks of RFC 5880 §6.8.6, in its order. */
export type Refusal =
  | 'version'
  | 'length'
  | 'truncated'
  | 'detect-mult'
  | 'multipoint'
  | 'my-discriminator'
  | 'your-discriminator'
  | 'authentication';

export type Decoded = { readonly ok: true; readonly packet: ControlPacket } | { readonly ok: false; readonly reason: Refusal };

/** @throws RangeError for what the wire has no room for */
export function encodeControlPacket(packet: ControlPacket): Uint8Array {
  if (packet.poll && packet.final) throw new RangeError('a BFD Control packet has not both the Poll and the Final bit (RFC 5880 §6.5)');
  if (!Number.isInteger(packet.detectMult) || packet.detectMult < 1 || packet.detectMult > 255) throw new RangeError(`detectMult must be from 1 to 255, not ${packet.detectMult}`);
  const bytes = new Uint8Array(CONTROL_PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (VERSION << VERSION_SHIFT) | (packet.diagnostic & DIAGNOSTIC_MASK));
  view.setUint8(1, (sessionStates.indexOf(packet.state) << STATE_SHIFT) | (packet.poll ? flag.poll : 0) | (packet.final ? flag.final : 0) | (packet.demand ? flag.demand : 0));
  view.setUint8(2, packet.detectMult);
  view.setUint8(3, CONTROL_PACKET_BYTES);
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinTxUs);
  view.setUint32(16, packet.requiredMinRxUs);
  // Required Min Echo RX Interval: 0, we take no echo packets.
  return bytes;
}

/** What a UDP datagram to port 3784 says, or the first of §6.8.6's reasons to discard it. */
export function decodeControlPacket(payload: Uint8Array): Decoded {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length >= 1 && view.getUint8(0) >> VERSION_SHIFT !== VERSION) return { ok: false, reason: 'version' };
  if (payload.length < CONTROL_PACKET_BYTES) return { ok: false, reason: 'truncated' };
  const flags = view.getUint8(1);
  const reason = refusalOf(view, flags, payload.length);
  if (reason !== undefined) return { ok: false, reason };
  return {
    ok: true,
    packet: {
      diagnostic: view.getUint8(0) & DIAGNOSTIC_MASK,
      state: sessionStates[flags >> STATE_SHIFT]!,
      poll: (flags & flag.poll) !== 0,
      final: (flags & flag.final) !== 0,
      demand: (flags & flag.demand) !== 0,
      detectMult: view.getUint8(2),
      myDiscriminator: view.getUint32(4),
      yourDiscriminator: view.getUint32(8),
      desiredMinTxUs: view.getUint32(12),
      requiredMinRxUs: view.getUint32(16),
    },
  };
}

function refusalOf(view: DataView, flags: number, available: number): Refusal | undefined {
  const length = view.getUint8(3);
  const authenticated = (flags & flag.authenticationPresent) !== 0;
  if (length < CONTROL_PACKET_BYTES + (authenticated ? 2 : 0)) return 'length';
  if (length > available) return 'truncated';
  if (view.getUint8(2) === 0) return 'detect-mult';
  if ((flags & flag.multipoint) !== 0) return 'multipoint';
  if (view.getUint32(4) === 0) return 'my-discriminator';
  const state = sessionStates[flags >> STATE_SHIFT];
  if (view.getUint32(8) === 0 && state !== 'Down' && state !== 'AdminDown') return 'your-discriminator';
  return authenticated ? 'authentication' : undefined;
}
