/** ARP (RFC 826) for neighbours that the kernel cannot ask for, and for VMs in their tunnels. */
import { ethernetOf } from './vlan.js';

const BROADCAST = Buffer.alloc(6, 0xff);
export const ETHERTYPE_ARP = 0x0806;
const ETHERNET_BYTES = 14;
const ARP_BYTES = 28;
const OPERATION_REQUEST = 1;
/** Ethernet, IPv4, six and four bytes. */
const KIND = Buffer.from('000108000604', 'hex');

export interface ArpQuestion {
  readonly senderMac: Buffer;
  /** 0: a probe that claims no address for its sender, and is answered all the same (RFC 5227 §2.1.1). */
  readonly sender: number;
  readonly target: number;
}

/** An untagged frame to everybody. */
export function arpRequest({ senderMac, sender, target }: ArpQuestion): Buffer {
  const frame = Buffer.alloc(ETHERNET_BYTES + ARP_BYTES);
  BROADCAST.copy(frame, 0);
  senderMac.copy(frame, 6);
  frame.writeUInt16BE(ETHERTYPE_ARP, 12);
  KIND.copy(frame, ETHERNET_BYTES);
  frame.writeUInt16BE(OPERATION_REQUEST, ETHERNET_BYTES + 6);
  senderMac.copy(frame, ETHERNET_BYTES + 8);
  frame.writeUInt32BE(sender, ETHERNET_BYTES + 14);
  frame.writeUInt32BE(target, ETHERNET_BYTES + 24);
  return frame;
}

/** Who says in this frame where it is; undefined for anything but ARP. */
export function arpSender(frame: Buffer): { readonly address: number; readonly mac: Buffer } | undefined {
  const ethernet = ethernetOf(frame);
  if (ethernet === undefined || ethernet.etherType !== ETHERTYPE_ARP) return undefined;
  const arp = frame.subarray(ethernet.length);
  if (arp.length < ARP_BYTES || !arp.subarray(0, KIND.length).equals(KIND)) return undefined;
  return { address: arp.readUInt32BE(14), mac: Buffer.from(arp.subarray(8, 14)) };
}
