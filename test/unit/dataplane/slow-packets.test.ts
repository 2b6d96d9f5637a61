import { describe, expect, it } from 'vitest';
import { arpRequest, arpSender } from '../../../src/dataplane/arp.js';
import { Computes } from '../../../src/dataplane/computes.js';
import { EarlyFragments } from '../../../src/dataplane/early-fragments.js';
import { EndpointSearch } from '../../../src/dataplane/endpoint-search.js';
import { vmCodec, vmFlag } from '../../../src/dataplane/layout.generated.js';
import { destinationOf, tunnelFrame } from '../../../src/dataplane/tunnel.js';
import { ethernetOf, tagged } from '../../../src/dataplane/vlan.js';

describe('ARP and tunnels', () => {
  const senderMac = Buffer.from('00005e000133', 'hex');
  const request = arpRequest({ senderMac, sender: 0x0a0002c9, target: 0x0a000201 });

  it('a request is what RFC 826 says', () => {
    expect(request.toString('hex')).toBe('ffffffffffff' + '00005e000133' + '0806' + '0001' + '0800' + '06' + '04' + '0001' + '00005e000133' + '0a0002c9' + '000000000000' + '0a000201');
  });

  it('a tag stands behind the MACs, and 0 is none', () => {
    expect(tagged(request, 12).toString('hex')).toBe('ffffffffffff' + '00005e000133' + '8100000c' + request.subarray(12).toString('hex'));
    expect(tagged(request, 0)).toBe(request);
    expect(ethernetOf(tagged(request, 12))).toEqual({ length: 18, etherType: 0x0806, vlan: 12 });
    expect(ethernetOf(Buffer.alloc(13))).toBeUndefined();
    expect(ethernetOf(tagged(request, 12).subarray(0, 16))).toBeUndefined();
  });

  it('whoever speaks is found, tagged or not; in anything else nobody', () => {
    expect(arpSender(request)).toEqual({ address: 0x0a0002c9, mac: senderMac });
    expect(arpSender(tagged(request, 12))).toEqual({ address: 0x0a0002c9, mac: senderMac });
    expect(arpSender(request.subarray(0, 41))).toBeUndefined();
    const other = Buffer.from(request);
    other[15] = 6;
    expect(arpSender(other)).toBeUndefined();
  });

  it.each([
    ['Geneve', 100, 'c00017c10032000000006558' + '00006400'],
    ['VXLAN', 0x01000064, 'c00012b50032000008000000' + '00006400'],
  ])('%s/outer headers of its RFC', (_, segment, udp) => {
    const frame = tunnelFrame({ sourceMac: senderMac, destinationMac: Buffer.alloc(6, 4), vlan: 0, source: 0xc0a82164, destination: 0xc0a8211f, segment }, request);
    expect(frame.subarray(0, 14).toString('hex')).toBe('04040404040400005e0001330800');
    // Not fragmented, TTL 64, UDP; its length and checksum as ones' complement arithmetic has it.
    expect(frame.subarray(14, 34).toString('hex')).toMatch(/^4500004e000000004011[0-9a-f]{4}c0a82164c0a8211f$/);
    expect(frame.subarray(34, 50).toString('hex')).toBe(udp.replace('0032', '003a'));
    expect(frame.subarray(50)).toEqual(request);
    expect(destinationOf(frame)).toBe(0xc0a8211f);
  });
});

describe('fragments before their first one', () => {
  const frame = Buffer.from('fragment');

  it('are brought again after 5, 20 and 100 ms, and then given up', () => {
    const fragments = new EarlyFragments();
    const broughtAt: number[] = [];
    fragments.early('underlay', frame, 0);
    for (let now = 0; now < 400; now += 5) {
      for (const brought of fragments.due(now)) {
        broughtAt.push(now);
        fragments.early(brought.from, Buffer.from(brought.frame), now);
      }
    }
    expect(broughtAt).toEqual([5, 25, 125]);
    expect({ count: fragments.count, dropped: fragments.dropped }).toEqual({ count: 0, dropped: 1 });
  });

  it('that do not come back have found their way', () => {
    const fragments = new EarlyFragments();
    fragments.early('external', frame, 0);
    expect(fragments.due(4)).toEqual([]);
    expect(fragments.due(5)).toMatchObject([{ from: 'external', frame }]);
    expect(fragments.due(204)).toEqual([]);
    expect(fragments.count).toBe(1);
    fragments.due(205);
    expect({ count: fragments.count, dropped: fragments.dropped }).toEqual({ count: 0, dropped: 0 });
  });

  it('are copies, and told apart by where they came from', () => {
    const fragments = new EarlyFragments();
    const original = Buffer.from(frame);
    fragments.early('external', original, 0);
    fragments.early('underlay', original, 0);
    original.fill(0);
    expect(fragments.due(5).map((brought) => brought.frame)).toEqual([frame, frame]);
  });

  it('are bounded', () => {
    const fragments = new EarlyFragments();
    for (let i = 0; i < 300; i += 1) fragments.early('underlay', Buffer.from(`fragment ${i}`), 0, i % 5);
    expect({ count: fragments.count, dropped: fragments.dropped }).toEqual({ count: 256, dropped: 44 });
  });

  it('of one tenant take no more than a quarter, until they have gone', () => {
    const fragments = new EarlyFragments();
    for (let i = 0; i < 300; i += 1) fragments.early('underlay', Buffer.from(`fragment ${i}`), 0, 1);
    expect(fragments.count).toBe(64);
    fragments.early('underlay', frame, 0, 2);
    expect(fragments.count).toBe(65);
    fragments.due(5);
    fragments.due(205);
    fragments.early('underlay', frame, 205, 1);
    expect(fragments.count).toBe(1);
  });
});

describe('the search for a VM', () => {
  const vm = { network: 3, address: 0xac10640b };
  const S = 1_000_000_000n;

  function setUp() {
    const did: string[] = [];
    const world = { nowNs: 0n, known: false, learned: 0n, looked: 0 };
    const search = new EndpointSearch({
      ask: ({ network, address }) => void did.push(`ask ${network}/${address & 255}`),
      isKnown: () => (world.looked += 1) > 0 && world.known,
      learned: () => world.learned,
      resume: (from, frame) => void did.push(`resume ${from} ${frame.toString()}`),
      nowNs: () => world.nowNs,
    });
    return { search, world, take: () => did.splice(0) };
  }

  it('asks at once, once, and releases all packets in their order when the VM is learned', () => {
    const { search, world, take } = setUp();
    search.unresolved(vm, 1, 'external', Buffer.from('first'));
    search.unresolved(vm, 1, 'external', Buffer.from('second'));
    search.unresolved(vm, 1, 'underlay', Buffer.from('third'));
    expect(take()).toEqual(['ask 3/11']);
    search.tick();
    Object.assign(world, { known: true, learned: 1n });
    search.tick();
    expect(take()).toEqual(['resume underlay third', 'resume external first', 'resume external second']);
    expect(search.status).toEqual({ searches: 0, heldFrames: 0, heldFramesDropped: 0 });
  });

  it('asks three times in three seconds, then gives up', () => {
    const { search, world, take } = setUp();
    search.unresolved(vm, 1, 'external', Buffer.from('first'));
    for (; world.nowNs < 5n * S; world.nowNs += S / 100n) search.tick();
    expect(take()).toEqual(['ask 3/11', 'ask 3/11', 'ask 3/11']);
    expect(search.status).toEqual({ searches: 0, heldFrames: 0, heldFramesDropped: 1 });
  });

  it('looks only when something was learned, or a question is due', () => {
    const { search, world } = setUp();
    search.unresolved(vm, 1, 'external', Buffer.from('first'));
    search.tick();
    world.looked = 0;
    for (let i = 0; i < 50; i += 1) search.tick();
    expect(world.looked).toBe(0);
    world.learned = 9n;
    search.tick();
    expect(world.looked).toBe(1);
  });

  it('does not hold a packet whose VM was learned while its event was on the way', () => {
    const { search, world, take } = setUp();
    world.known = true;
    search.unresolved(vm, 1, 'external', Buffer.from('first'));
    expect(take()).toEqual(['resume external first']);
  });

  it('is bounded against scans', () => {
    const { search, take } = setUp();
    for (let i = 0; i < 2000; i += 1) search.unresolved({ network: 3, address: i }, i % 8, 'external', Buffer.from('x'));
    expect(search.status.searches).toBe(1024);
    expect(take()).toHaveLength(1024);
  });

  it('of one tenant takes no more than a quarter, and none of the packets that wait for another', () => {
    const { search, world, take } = setUp();
    search.unresolved(vm, 2, 'external', Buffer.from('first'));
    for (let i = 0; i < 2000; i += 1) search.unresolved({ network: 4, address: i }, 1, 'external', Buffer.from('x'));
    for (let i = 0; i < 20_000; i += 1) search.unresolved({ network: 4, address: i % 256 }, 1, 'underlay', Buffer.from('x'));
    expect(search.status).toMatchObject({ searches: 257, heldFrames: 1024 });
    search.unresolved({ network: 3, address: 12 }, 2, 'external', Buffer.from('second'));
    expect(take().at(-1)).toBe('ask 3/12');
    Object.assign(world, { known: true, learned: 1n });
    search.tick();
    expect(take().filter((did) => !did.endsWith(' x'))).toEqual(['resume external first', 'resume external second']);
    // What was taken is given back.
    Object.assign(world, { known: false });
    for (let i = 0; i < 2000; i += 1) search.unresolved({ network: 4, address: i }, 1, 'external', Buffer.from('x'));
    expect(search.status).toEqual({ searches: 256, heldFrames: 256, heldFramesDropped: expect.any(Number) as number });
  });
});

describe('computes', () => {
  const memory = Buffer.alloc(5 * vmCodec.size);
  const empty = vmCodec.decode(Buffer.alloc(vmCodec.size));
  const put = (index: number, network: number, tunnelEndpoint: number, mac: number, flags = 0): void =>
    vmCodec.encode({ ...empty, network, tunnelEndpoint, flags, nextHopMac: Buffer.alloc(6, mac) }, memory, index * vmCodec.size);

  it('are those of the network; where it has none, all; each once, with the MAC that leads there', () => {
    put(0, 1, 0xc0a8211f, 0);
    put(1, 1, 0xc0a8211f, 9);
    put(2, 1, 0xc0a82120, 0);
    put(3, 2, 0xc0a82121, 8);
    put(4, 1, 0xc0a82122, 7, vmFlag.retired);
    const computes = new Computes({ mmap: () => memory }, () => 0n);
    expect(computes.of(1)).toEqual([{ address: 0xc0a8211f, nextHopMac: Buffer.alloc(6, 9) }, { address: 0xc0a82120, nextHopMac: Buffer.alloc(6) }]);
    expect(computes.of(7).map(({ address }) => address)).toEqual([0xc0a8211f, 0xc0a82120, 0xc0a82121]);
  });
});
