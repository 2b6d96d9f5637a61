/**
 * Gratuitous ARP (RFC 9568 §6.4.1, §6.4.2, §8.1.2): tells switches where the
 * virtual MAC is now, and hosts which MAC the address has.
 */
import { BROADCAST_MAC, ETHERTYPE_ARP, encodeEthernet, type Mac } from './ethernet.js';
import type { Ipv4Address } from './ipv4.js';

const ARP_BYTES = 28;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const OPERATION_REQUEST = 1;
const OPERATION_REPLY = 2;

/** Both forms: some hosts update their cache only from requests, some only from replies (RFC 5227 §3). */
export function gratuitousArp(address: Ipv4Address, mac: Mac): readonly [request: Uint8Array, reply: Uint8Array] {
  return [encode(OPERATION_REQUEST, address, mac), encode(OPERATION_REPLY, address, mac)];
}

function encode(operation: number, address: Ipv4Address, mac: Mac): Uint8Array {
  const arp = new Uint8Array(ARP_BYTES);
  const view = new DataView(arp.buffer);
  view.setUint16(0, HARDWARE_ETHERNET);
  view.setUint16(2, PROTOCOL_IPV4);
  view.setUint8(4, 6);
  view.setUint8(5, 4);
  view.setUint16(6, operation);
  arp.set(mac, 8);
  view.setUint32(14, address);
  // RFC 9568 §6.4.2 with erratum 7949: the target link-layer address is the virtual MAC too.
  arp.set(mac, 18);
  view.setUint32(24, address);
  return encodeEthernet(BROADCAST_MAC, mac, ETHERTYPE_ARP, arp);
}
