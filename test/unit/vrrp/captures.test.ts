/**
 * Adverts of keepalived 2.2.7 and FRR 8.4.4 as captured: decoded field by field,
 * and encoded again to the very bytes.
 */
import { describe, expect, it } from 'vitest';
import {
  VRRP_MULTICAST,
  decodePacket,
  encodeMessage,
  type Advertisement,
  type Authentication,
  type ChecksumForm,
  type ReceivedAdvertisement,
} from '../../../src/vrrp/advertisement.js';
import { gratuitousArp } from '../../../src/vrrp/arp.js';
import { ETHERTYPE_IPV4, VRRP_MULTICAST_MAC, encodeEthernet, virtualRouterMac } from '../../../src/vrrp/ethernet.js';
import { encodeIpv4, formatIpv4, parseIpv4 } from '../../../src/vrrp/ipv4.js';
import { readPcap } from '../../support/pcap.js';

const VIRTUAL_ADDRESS = parseIpv4('10.9.0.100');
const none: Authentication = { type: 'none' };
const openstack: Authentication = { type: 'simple-text', password: 'openstac' };

interface Capture {
  readonly file: string;
  readonly version: 2 | 3;
  readonly intervalUs: number;
  /** Sender and priority of each run of equal adverts, in order of appearance. */
  readonly says: readonly string[];
  /** As tcpdump counts them. */
  readonly count: number;
  readonly authentication?: Authentication;
  readonly destination?: string;
}

const captures: readonly Capture[] = [
  { file: 'frr-v2-1s', version: 2, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'] },
  { file: 'frr-v3-100ms', version: 3, intervalUs: 100_000, count: 36, says: ['10.9.0.1 150'] },
  { file: 'frr-v3-1s', version: 3, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'] },
  { file: 'ka-v2-crash-failover-1s', version: 2, intervalUs: 1_000_000, count: 6, says: ['10.9.0.1 150', '10.9.0.2 100'] },
  { file: 'ka-v2-noauth-1s', version: 2, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'] },
  { file: 'ka-v2-pass-1s', version: 2, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'], authentication: openstack },
  { file: 'ka-v2-pass-2s-seed-furyu', version: 2, intervalUs: 2_000_000, count: 2, says: ['10.9.0.1 150'], authentication: openstack },
  { file: 'ka-v2-unicast-1s', version: 2, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'], destination: '10.9.0.2' },
  { file: 'ka-v2-vmac-1s', version: 2, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'] },
  { file: 'ka-v3-100ms', version: 3, intervalUs: 100_000, count: 37, says: ['10.9.0.1 150'] },
  { file: 'ka-v3-10ms', version: 3, intervalUs: 10_000, count: 291, says: ['10.9.0.1 150'] },
  { file: 'ka-v3-1s', version: 3, intervalUs: 1_000_000, count: 5, says: ['10.9.0.1 150'] },
  {
    file: 'ka-v3-graceful-stop-prio0-100ms',
    version: 3,
    intervalUs: 100_000,
    count: 68,
    says: ['10.9.0.1 150', '10.9.0.1 0', '10.9.0.2 100'],
  },
  { file: 'ka-v3-unicast-100ms', version: 3, intervalUs: 100_000, count: 37, says: ['10.9.0.1 150'], destination: '10.9.0.2' },
  { file: 'ka-v3-vmac-100ms', version: 3, intervalUs: 100_000, count: 37, says: ['10.9.0.1 150'] },
  { file: 'mixed-ka-master-frr-backup-v3-100ms', version: 3, intervalUs: 100_000, count: 37, says: ['10.9.0.1 150'] },
];

/** The IPv4 packets of protocol 112, without Ethernet header. */
function vrrpFrames(file: string): Buffer[] {
  const frames = readPcap(`vrrp-${file}.pcap`).packets.map((packet) => packet.data);
  return frames.filter((frame) => frame.readUInt16BE(12) === ETHERTYPE_IPV4 && frame[23] === 112);
}

function decode(frame: Buffer): ReceivedAdvertisement {
  const decoded = decodePacket(frame.subarray(14));
  if (!decoded.ok) throw new Error(`refused: ${decoded.reason}`);
  return decoded.received;
}

function runs(received: readonly ReceivedAdvertisement[]): string[] {
  const texts = received.map(({ source, advertisement }) => `${formatIpv4(source)} ${advertisement.priority}`);
  return texts.filter((text, i) => text !== texts[i - 1]);
}

describe.each(captures)('$file', ({ file, version, intervalUs, says, count, authentication = none, destination }) => {
  const frames = vrrpFrames(file);
  const received = frames.map(decode);

  it('is decoded field by field', () => {
    expect(received.length).toBe(count);
    expect(runs(received)).toEqual(says);
    const fields = { version, vrid: 51, intervalUs, addresses: [VIRTUAL_ADDRESS], ...(version === 2 ? { authentication } : {}) };
    for (const { advertisement, destination: to } of received) {
      expect(advertisement).toEqual({ ...fields, priority: advertisement.priority } satisfies Record<string, unknown>);
      expect(to).toBe(destination === undefined ? VRRP_MULTICAST : parseIpv4(destination));
    }
  });

  it('has a pseudo-header in its checksum if and only if it is v3: both implementations follow RFC 5798', () => {
    const form: ChecksumForm = version === 3 ? 'pseudo-header' : 'message';
    expect(new Set(received.map(({ checksumForm }) => checksumForm))).toEqual(new Set([form]));
  });

  it('is encoded again to the same frames', () => {
    frames.forEach((frame, i) => expect(encodeAgain(frame, received[i]!)).toEqual(new Uint8Array(frame)));
  });
});

/** Only the MACs and what RFC 791 leaves to the sender (identification, don't fragment) are taken from the capture. */
function encodeAgain(frame: Buffer, { source, destination, advertisement, checksumForm }: ReceivedAdvertisement): Uint8Array {
  const message = encodeMessage(advertisement satisfies Advertisement, { form: checksumForm, source, destination });
  const dontFragment = (frame.readUInt16BE(20) & 0x4000) !== 0;
  const packet = encodeIpv4({ source, destination, identification: frame.readUInt16BE(18), dontFragment }, message);
  return encodeEthernet(frame.subarray(0, 6), frame.subarray(6, 12), ETHERTYPE_IPV4, packet);
}

describe('MAC addresses', () => {
  it.each(['frr-v3-100ms', 'ka-v3-vmac-100ms'])('%s: from the virtual MAC to the group MAC', (file) => {
    for (const frame of vrrpFrames(file)) {
      expect(new Uint8Array(frame.subarray(0, 6))).toEqual(VRRP_MULTICAST_MAC);
      expect(new Uint8Array(frame.subarray(6, 12))).toEqual(virtualRouterMac(51));
    }
  });
});

describe('gratuitous ARP', () => {
  const arps = readPcap('vrrp-ka-v3-vmac-100ms.pcap').packets.map(({ data }) => data).filter((frame) => frame.readUInt16BE(12) === 0x0806);

  it('request is keepalived\'s, but for the target MAC of erratum 7949', () => {
    const mac = virtualRouterMac(51);
    const [request] = gratuitousArp(VIRTUAL_ADDRESS, mac);
    expect(arps.length).toBeGreaterThan(0);
    for (const frame of arps) {
      const theirs = new Uint8Array(frame);
      theirs.set(mac, 32);
      expect(request).toEqual(theirs);
    }
  });

  it('reply differs from the request in the operation only', () => {
    const [request, reply] = gratuitousArp(VIRTUAL_ADDRESS, virtualRouterMac(51));
    const differing = [...request.keys()].filter((i) => request[i] !== reply[i]);
    expect(differing).toEqual([21]);
    expect(reply[21]).toBe(2);
  });
});
