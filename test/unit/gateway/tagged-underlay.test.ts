import { describe, expect, it } from 'vitest';
import { tagged } from '../../../src/dataplane/vlan.js';
import { TaggedUnderlay } from '../../../src/gateway/tagged-underlay.js';
import { parseIpv4 } from '../../../src/vrrp/ipv4.js';
import { dissect } from '../../support/dissect.js';
import { ethernet, frame, ipv4, payload } from '../../support/packet.js';
import { advertPacket, setUp } from '../vrrp/edge.js';
import type { Heard } from '../vrrp/edge.js';

const VLAN = 33;
const PEER = '10.9.0.1';
const PEER_MAC = '02:00:00:00:09:01';
const VIRTUAL_MAC = '00:00:5e:00:01:33';

/** An election on a tagged underlay, and what leaves there. */
function underlay(change: Parameters<typeof setUp>[0] = {}) {
  const sent: Buffer[] = [];
  const state = { closed: false, peerAnswers: true };
  const trunk = new TaggedUnderlay({
    vlan: VLAN,
    socket: { send: (bytes) => void sent.push(bytes), close: () => void (state.closed = true) },
    afterInput: (callback) => lab.loop.afterInput(callback),
    macOf: (address) => (state.peerAnswers && address === parseIpv4(PEER) ? Buffer.from(PEER_MAC.replaceAll(':', ''), 'hex') : undefined),
  });
  const lab = setUp(change, {
    sockets: trunk.socketsOf(51),
    announce: [{ sender: trunk, addresses: () => [parseIpv4('10.9.0.100')] }],
  });
  /** As the programs hand it over. */
  const hear = (heard: Heard = {}): void => trunk.received({ frame: tagged(frame(ethernet({ source: VIRTUAL_MAC, destination: '01:00:5e:00:00:12', etherType: 0x0800 }), payload(advertPacket(heard))), VLAN), receivedNs: lab.loop.now });
  return { ...lab, trunk, sent, state, hear };
}

describe('an election on a tagged underlay', () => {
  it('advertises with the tag, from the virtual MAC', () => {
    const { election, loop, sent } = underlay({ priority: 255 });
    election.start();
    loop.advanceMs(1);
    const [advert, ...announcements] = sent;
    expect(dissect(advert!).slice(0, 3)).toMatchObject([
      { layer: 'ethernet', source: VIRTUAL_MAC, destination: '01:00:5e:00:00:12', etherType: 0x8100 },
      { layer: 'vlan', identifier: VLAN, etherType: 0x0800 },
      { layer: 'ipv4', source: '10.9.0.2', destination: '224.0.0.18', protocol: 112, ttl: 255 },
    ]);
    expect(advert!.subarray(18 + 20, 18 + 22).toString('hex')).toBe('3133');
    expect(announcements.map((bytes) => dissect(bytes))).toMatchObject([1, 2].map((operation) => [
      { layer: 'ethernet', source: VIRTUAL_MAC, destination: 'ff:ff:ff:ff:ff:ff' },
      { layer: 'vlan', identifier: VLAN, etherType: 0x0806 },
      { layer: 'arp', operation, senderMac: VIRTUAL_MAC, senderAddress: '10.9.0.100', targetAddress: '10.9.0.100' },
    ]));
  });

  it('advertises to a unicast peer at its MAC, and loses what it has no MAC for without an error', () => {
    const { election, loop, sent, state } = underlay({ priority: 255, unicastPeers: [PEER, '10.9.0.3'] });
    election.start();
    loop.advanceMs(1);
    const adverts = (): Buffer[] => sent.splice(0).filter((bytes) => bytes.readUInt16BE(16) === 0x0800);
    expect(adverts().map((bytes) => dissect(bytes).slice(0, 3))).toMatchObject([[
      { layer: 'ethernet', source: VIRTUAL_MAC, destination: PEER_MAC },
      { layer: 'vlan', identifier: VLAN },
      { layer: 'ipv4', source: '10.9.0.2', destination: PEER, ttl: 255 },
    ]]);
    state.peerAnswers = false;
    loop.advanceMs(150);
    expect(adverts()).toEqual([]);
    expect(election.status()).toMatchObject({ state: 'Active', counters: { sendErrors: 0 } });
  });

  it('hears adverts, and stays Backup', () => {
    const { election, loop, hear } = underlay();
    election.start();
    for (let i = 0; i < 10; i += 1) {
      loop.advanceMs(100);
      hear();
    }
    expect(election.status()).toMatchObject({ state: 'Backup', lastAdvertisement: { source: PEER, priority: 200, atNs: loop.now } });
  });

  it('takes over from a silent Active one Active_Down_Interval after the stamp of its last advert', () => {
    const { election, loop, hear, trunk } = underlay();
    election.start();
    hear();
    loop.advanceMs(50);
    const late = loop.now - 30_000_000n;
    trunk.received({ frame: frame(ethernet({ source: VIRTUAL_MAC, destination: '01:00:5e:00:00:12', etherType: 0x0800 }), payload(advertPacket())), receivedNs: late });
    loop.advanceMs(330);
    expect(election.status().state).toBe('Backup');
    loop.advanceMs(1);
    expect(election.status().state).toBe('Active');
  });

  it.each<[string, Heard, string]>([
    ['TTL 254', { ttl: 254 }, 'ttl'],
    ['our own address', { source: '10.9.0.2' }, 'own-source'],
  ])('refuses %s as it does from a raw socket', (_, heard, reason) => {
    const { election, hear } = underlay();
    election.start();
    hear(heard);
    expect(election.counters).toMatchObject({ advertisementsReceived: 0, invalid: { [reason]: 1 } });
  });

  it('ignores what is no IPv4, and never throws for what is cut off', () => {
    const { election, trunk } = underlay();
    election.start();
    const whole = tagged(frame(ethernet({ source: VIRTUAL_MAC, destination: '01:00:5e:00:00:12', etherType: 0x0800 }), payload(advertPacket())), VLAN);
    for (let length = 0; length < whole.length; length += 1) trunk.received({ frame: whole.subarray(0, length), receivedNs: 0n });
    trunk.received({ frame: frame(ethernet({ source: VIRTUAL_MAC, destination: VIRTUAL_MAC }), ipv4({ source: PEER, destination: PEER })).fill(0x86, 12, 13), receivedNs: 0n });
    expect(election.counters.advertisementsReceived).toBe(0);
  });

  it('that ends leaves the others theirs', () => {
    const one = underlay();
    const other = setUp({ vrid: 52 }, { sockets: one.trunk.socketsOf(52) });
    for (const { election } of [one, other]) election.start();
    one.election.close();
    expect(one.state.closed).toBe(false);
    one.hear({ vrid: 52 });
    expect(one.election.counters).toMatchObject({ advertisementsReceived: 0, invalid: { vrid: 0 } });
    expect(other.election.counters.advertisementsReceived).toBe(1);
    one.trunk.close();
    expect(one.state.closed).toBe(true);
  });
});
