/** Ethernet II frames and the two MAC addresses of VRRP over IPv4. */

export type Mac = Uint8Array;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const BROADCAST_MAC: Mac = new Uint8Array(6).fill(0xff);
/** Group address of 224.0.0.18 (RFC 1112 §6.4). */
export const VRRP_MULTICAST_MAC: Mac = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x12);

/** 00-00-5E-00-01-{VRID} (RFC 9568 §7.3). */
export function virtualRouterMac(vrid: number): Mac {
  return Uint8Array.of(0x00, 0x00, 0x5e, 0x00, 0x01, vrid);
}

/** Without padding: the kernel pads what it transmits. */
export function encodeEthernet(destination: Mac, source: Mac, etherType: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  frame.set(destination, 0);
  frame.set(source, 6);
  new DataView(frame.buffer).setUint16(12, etherType);
  frame.set(payload, 14);
  return frame;
}
