import { describe, expect, it } from 'vitest';
import { Counters } from '../../../src/dataplane/counters.js';
import { nextEpoch } from '../../../src/dataplane/epoch.js';
import { decodeEvent } from '../../../src/dataplane/events.js';
import { interfaceWarnings, resolveInterface, tagWarning } from '../../../src/dataplane/interfaces.js';
import type { AddressView, LinkView, NodeInterface } from '../../../src/dataplane/interfaces.js';
import { eventCodec } from '../../../src/dataplane/layout.generated.js';

const link: LinkView = { index: 4, name: 'underlay0', mac: '02:00:00:00:00:0b', mtu: 1600, up: true, running: true, kind: 'veth' };
const address: AddressView = { ifindex: 4, address: '192.168.33.11', prefixLength: 24 };

describe('an interface', () => {
  it('is described by its link and its first IPv4 address', () => {
    const found = resolveInterface('underlay', 'underlay0', [link], [{ ifindex: 4, address: 'fe80::1', prefixLength: 64 }, address, { ifindex: 4, address: '192.168.33.99', prefixLength: 24 }]);
    expect(found).toMatchObject({ role: 'underlay', ifindex: 4, mtu: 1600, address: 0xc0a8210b, prefixLength: 24, kind: 'veth' });
    expect(found.mac.toString('hex')).toBe('02000000000b');
  });

  it.each<[string, LinkView[], AddressView[], RegExp]>([
    ['is missing', [{ ...link, name: 'eth7' }], [address], /interfaces\.underlay\.name: there is no interface underlay0 .*eth7/],
    ['has no IPv4 address', [link], [{ ifindex: 4, address: 'fe80::1', prefixLength: 64 }, { ifindex: 5, address: '10.0.0.1', prefixLength: 24 }], /no IPv4 address/],
  ])('that %s is refused with one sentence', (_, links, addresses, message) => {
    expect(() => resolveInterface('underlay', 'underlay0', links, addresses)).toThrow(message);
  });

  it('that is down is described all the same: a file can be read without a cable', () => {
    expect(resolveInterface('underlay', 'underlay0', [{ ...link, up: false, running: false }], [address])).toMatchObject({ ifindex: 4, running: false });
  });

  it('on the external side needs no address of its own', () => {
    expect(resolveInterface('external', 'underlay0', [link], []).address).toBe(0);
  });

  const over: LinkView = { ...link, index: 9, name: 'underlay0.100', kind: 'vlan', peerIndex: 4 };

  const ofOver: AddressView = { ...address, ifindex: 9, address: '192.168.33.12' };

  it('with a VLAN has the address of the VLAN interface over it, and its own number', () => {
    const found = resolveInterface('underlay', 'underlay0', [link, over], [address, ofOver], 100);
    expect(found).toMatchObject({ name: 'underlay0', ifindex: 4, address: 0xc0a8210c });
  });

  it.each<[string, LinkView[], AddressView[], number]>([
    ['there is none', [link], [address], 100],
    ['it is over another interface', [link, { ...over, peerIndex: 5 }], [address, ofOver], 100],
    ['it is of another VLAN', [link, over], [address, ofOver], 101],
    ['it has no address', [link, over], [address], 100],
    ['the underlay is untagged', [link, over], [address, ofOver], 0],
  ])('needs no VLAN interface: its own address where %s', (_, links, addresses, vlan) => {
    expect(resolveInterface('underlay', 'underlay0', links, addresses, vlan)).toMatchObject({ ifindex: 4, address: 0xc0a8210b });
  });

  it('with a VLAN and no address on either is refused', () => {
    expect(() => resolveInterface('underlay', 'underlay0', [link, over], [], 100)).toThrow(/underlay0 has no IPv4 address/);
  });

  const node = (role: NodeInterface['role'], mtu: number, running = true): NodeInterface =>
    ({ role, name: role, ifindex: 1, mtu, address: 1 as never, prefixLength: 24, mac: Buffer.alloc(6), kind: undefined, running });

  it('for ha should carry a full packet with its record', () => {
    expect(interfaceWarnings([node('underlay', 1600), node('external', 1500), node('ha', 1759)])).toEqual([expect.stringMatching(/ha has MTU 1759.*1760/)]);
    expect(interfaceWarnings([node('underlay', 1600), node('external', 1500), node('ha', 1760)])).toEqual([]);
  });

  it('that is a veth needs another end that finishes its checksums', () => {
    const veth = { ...node('external', 1500), kind: 'veth' };
    expect(interfaceWarnings([veth, { ...veth, name: 'other' }])).toEqual([expect.stringMatching(/^external, other: .*ethtool -K/)]);
  });

  it.each<[string, boolean, boolean, string[], string | undefined]>([
    ['neither', true, false, ['rx-checksum'], undefined],
    ['one of them', true, false, ['rx-vlan-hw-parse'], 'interface ens5 takes the tags of VLANs off before the programs (ethtool -K ens5 rxvlan off)'],
    ['both', true, false, ['rx-vlan-hw-parse', 'rx-vlan-filter'], 'interface ens5 takes the tags of VLANs off before the programs and drops frames of VLANs that the kernel has no interface on (ethtool -K ens5 rxvlan off rx-vlan-filter off)'],
    ['both, at TC', false, false, ['rx-vlan-hw-parse', 'rx-vlan-filter'], 'interface ens5 drops frames of VLANs that the kernel has no interface on (ethtool -K ens5 rx-vlan-filter off)'],
    ['a filter that the kernel has told the VLAN', true, true, ['rx-vlan-filter'], undefined],
  ])('with VLANs should leave them to the programs: its card has %s', (_, isXdp, isKnownToKernel, active, warning) => {
    expect(tagWarning({ name: 'ens5', isXdp, isKnownToKernel }, new Set(active))).toBe(warning);
  });

  it('without carrier is mentioned', () => {
    expect(interfaceWarnings([node('external', 1500, false)])).toEqual([expect.stringMatching(/no carrier/)]);
  });
});

describe('an event', () => {
  function record(length: number, frame: Buffer): Buffer {
    const head = Buffer.alloc(eventCodec.size);
    eventCodec.encode({ type: 2, interface: 1, vlan: 12, address: 0x0a000201, network: 3, mtu: 1400, length, receivedNs: 7n }, head);
    return Buffer.concat([head, frame]);
  }

  it('has the frame that its head tells of, not the slot behind it', () => {
    expect(decodeEvent(record(3, Buffer.from('abcdef')))).toEqual({ type: 2, interface: 1, vlan: 12, address: 0x0a000201, network: 3, mtu: 1400, receivedNs: 7n, frame: Buffer.from('abc') });
  });

  it('that lies about its length is dropped', () => {
    expect(decodeEvent(record(7, Buffer.from('abcdef')))).toBeUndefined();
    expect(decodeEvent(Buffer.alloc(eventCodec.size - 1))).toBeUndefined();
  });
});

describe('counters', () => {
  it('are summed over CPUs and called by their reason', () => {
    const perCpu = [[{ packets: 1n, bytes: 60n }, { packets: 2n, bytes: 120n }], [{ packets: 0n, bytes: 0n }]];
    const counters = new Counters({ get: (reason) => perCpu[reason]! }, ['outbound_snat', 'drop_ttl_exceeded']);
    expect(counters.readAll()).toEqual(new Map([['outbound_snat', { packets: 3n, bytes: 180n }], ['drop_ttl_exceeded', { packets: 0n, bytes: 0n }]]));
  });
});

describe('an epoch', () => {
  const now = Date.UTC(2026, 6, 1);

  it('grows with time, and when time does not', () => {
    const first = nextEpoch(0, now);
    expect(nextEpoch(first, now + 250)).toBe(first + 1);
    expect(nextEpoch(first, now)).toBe(first + 1);
    expect(nextEpoch(first, now - 86_400_000)).toBe(first + 1);
  });

  it('is never zero, and fits 32 bits for decades', () => {
    expect(nextEpoch(0, 0)).toBe(1);
    expect(nextEpoch(0, Date.UTC(2059, 0, 1))).toBeLessThan(2 ** 32);
  });
});
