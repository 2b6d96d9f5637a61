import { describe, expect, it } from 'vitest';
import { ArpCache } from '../../../src/dataplane/arp-cache.js';
import { HeldFrames } from '../../../src/dataplane/held-frames.js';
import { MAX_ON_DEMAND, MAX_UNANSWERED, NeighbourTable } from '../../../src/dataplane/neighbour-table.js';

const S = 1_000_000_000n;
const gateway = { role: 1, vlan: 0, address: 0x0a000201 };
const mac = Buffer.from('0200000000aa', 'hex');
const other = Buffer.from('0200000000bb', 'hex');

describe('the neighbour table', () => {
  it('asks at once, writes the answer once', () => {
    const table = new NeighbourTable();
    expect(table.want(gateway, 'gateway', 0n)).toEqual([]);
    expect(table.tick(0n)).toEqual([{ type: 'Probe', ...gateway }]);
    expect(table.observe({ ...gateway, state: 'REACHABLE', mac })).toEqual([{ type: 'Resolved', purpose: 'gateway', mac, ...gateway }]);
    expect(table.observe({ ...gateway, state: 'REACHABLE', mac })).toEqual([]);
    expect(table.tick(100n * S)).toEqual([]);
  });

  it('uses a stale answer and asks again, for forwarded packets confirm nothing', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'gateway', 0n);
    expect(table.observe({ ...gateway, state: 'STALE', mac })).toMatchObject([{ type: 'Resolved' }]);
    expect(table.tick(S)).toEqual([{ type: 'Probe', ...gateway }]);
    expect(table.tick(S + S)).toEqual([]);
    expect(table.tick(S + 2n * S)).toEqual([{ type: 'Probe', ...gateway }]);
  });

  it('takes a gateway that fails out of the programs and keeps asking', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'gateway', 0n);
    table.observe({ ...gateway, state: 'REACHABLE', mac });
    expect(table.observe({ ...gateway, state: 'FAILED', mac: undefined })).toEqual([{ type: 'Unresolved', purpose: 'gateway', ...gateway }]);
    for (let i = 1n; i < 100n; i += 1n) expect(table.tick(i * 2n * S)).toEqual([{ type: 'Probe', ...gateway }]);
  });

  it('keeps the MAC of a silent peer', () => {
    const table = new NeighbourTable();
    const peer = { role: 2, vlan: 0, address: 1 };
    table.want(peer, 'peer', 0n);
    table.observe({ ...peer, state: 'REACHABLE', mac });
    expect(table.observe({ ...peer, state: 'FAILED', mac: undefined })).toEqual([]);
    expect(table.macOf(peer)).toEqual(mac);
    expect(table.tick(10n * S)).toEqual([{ type: 'Probe', ...peer }]);
  });

  it('follows a neighbour that moves to another MAC', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'gateway', 0n);
    table.observe({ ...gateway, state: 'REACHABLE', mac });
    expect(table.observe({ ...gateway, state: 'STALE', mac: other })).toMatchObject([{ type: 'Resolved', mac: other }]);
  });

  it('forgets one that a packet asked for and that never answers', () => {
    const table = new NeighbourTable();
    table.want({ role: 1, vlan: 0, address: 9 }, 'onDemand', 0n);
    const effects = [];
    for (let i = 0n; i < 20n; i += 1n) effects.push(...table.tick(i * S));
    expect(effects.filter((effect) => effect.type === 'Probe')).toHaveLength(4);
    expect(effects.at(-1)).toMatchObject({ type: 'Unresolved', purpose: 'onDemand' });
    expect(table.size).toEqual({ resolved: 0, unresolved: 0 });
  });

  it('does not take INCOMPLETE for an answer', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'gateway', 0n);
    table.observe({ ...gateway, state: 'REACHABLE', mac });
    expect(table.observe({ ...gateway, state: 'INCOMPLETE', mac: undefined })).toEqual([]);
    expect(table.macOf(gateway)).toBeDefined();
  });

  it('asks for one at once, and not again before its time', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'gateway', 0n);
    table.want({ role: 1, vlan: 0, address: 7 }, 'onDemand', 0n);
    expect(table.ask(gateway, 0n)).toEqual([{ type: 'Probe', ...gateway }]);
    expect(table.ask(gateway, 1n)).toEqual([]);
    expect(table.ask({ role: 1, vlan: 0, address: 8 }, 0n)).toEqual([]);
    expect(table.tick(0n)).toEqual([{ type: 'Probe', role: 1, vlan: 0, address: 7 }]);
  });

  it('tells one address on two VLANs apart', () => {
    const table = new NeighbourTable();
    const other = { ...gateway, vlan: 12 };
    table.want(gateway, 'gateway', 0n);
    table.want(other, 'nextHop', 0n);
    expect(table.observe({ ...other, state: 'REACHABLE', mac })).toEqual([{ type: 'Resolved', purpose: 'nextHop', mac, ...other }]);
    expect(table.macOf(gateway)).toBeUndefined();
  });

  it('ignores neighbours that nobody asked for', () => {
    const table = new NeighbourTable();
    expect(table.observe({ ...gateway, state: 'REACHABLE', mac })).toEqual([]);
    expect(table.size).toEqual({ resolved: 0, unresolved: 0 });
  });

  it('is bounded against scans, but never refuses a gateway', () => {
    const table = new NeighbourTable();
    const at = (i: number) => ({ role: 1, vlan: 0, address: 1000 + i });
    for (let i = 0; i < MAX_ON_DEMAND; i += 1) table.want(at(i), 'onDemand', 0n, i % 8);
    expect(table.size.unresolved).toBe(MAX_UNANSWERED);
    table.want(gateway, 'gateway', 0n);
    expect(table.size.unresolved).toBe(MAX_UNANSWERED + 1);
    for (let i = 0; i < MAX_ON_DEMAND + 50; i += 1) {
      table.want(at(i), 'onDemand', 0n);
      table.observe({ ...at(i), state: 'REACHABLE', mac });
    }
    expect(table.size).toEqual({ resolved: MAX_ON_DEMAND, unresolved: 1 });
  });

  it("is not filled by one tenant's scan, which gives back what has answered, failed or become a gateway", () => {
    const table = new NeighbourTable();
    const at = (i: number) => ({ role: 1, vlan: 0, address: 1000 + i });
    const scan = (): void => {
      for (let i = 0; i < MAX_UNANSWERED; i += 1) table.want(at(i), 'onDemand', 0n, 1);
    };
    scan();
    expect(table.size.unresolved).toBe(MAX_UNANSWERED / 4);
    table.want({ role: 1, vlan: 0, address: 9 }, 'onDemand', 0n, 2);
    expect(table.wants({ role: 1, vlan: 0, address: 9 })).toBe(true);
    table.observe({ ...at(0), state: 'REACHABLE', mac });
    table.want(at(1), 'gateway', 0n);
    scan();
    expect(table.size).toEqual({ resolved: 1, unresolved: MAX_UNANSWERED / 4 + 2 });
    for (let i = 0n; i < 20n; i += 1n) table.tick(i * S);
    expect(table.size).toEqual({ resolved: 1, unresolved: 1 });
    scan();
    expect(table.size.unresolved).toBe(MAX_UNANSWERED / 4 + 1);
  });

  it('writes again what becomes a gateway after it was asked for by a packet', () => {
    const table = new NeighbourTable();
    table.want(gateway, 'onDemand', 0n);
    table.observe({ ...gateway, state: 'REACHABLE', mac });
    expect(table.want(gateway, 'gateway', 0n)).toEqual([{ type: 'Resolved', purpose: 'gateway', mac, ...gateway }]);
    expect(table.unwant(gateway)).toEqual([{ type: 'Unresolved', purpose: 'gateway', ...gateway }]);
  });
});

describe('the ARP cache', () => {
  it('takes an answer for fresh, then for stale, and for failed when three questions go unanswered', () => {
    const cache = new ArpCache();
    expect(cache.heard(gateway, mac, 0n)).toEqual({ ...gateway, state: 'REACHABLE', mac });
    expect(cache.tick(29n * S)).toEqual([]);
    expect(cache.tick(30n * S)).toEqual([{ ...gateway, state: 'STALE', mac }]);
    expect(cache.tick(31n * S)).toEqual([]);
    for (const at of [31n, 33n, 35n]) cache.asked(gateway, at * S);
    expect(cache.tick(35n * S + S / 2n)).toEqual([]);
    expect(cache.tick(36n * S)).toEqual([{ ...gateway, state: 'FAILED', mac: undefined }]);
    expect(cache.tick(99n * S)).toEqual([]);
  });

  it('begins anew with every answer', () => {
    const cache = new ArpCache();
    cache.heard(gateway, mac, 0n);
    cache.tick(30n * S);
    for (const at of [31n, 33n, 35n]) cache.asked(gateway, at * S);
    cache.heard(gateway, other, 35n * S);
    expect(cache.tick(36n * S)).toEqual([]);
    expect(cache.tick(65n * S)).toEqual([{ ...gateway, state: 'STALE', mac: other }]);
  });

  it('forgets', () => {
    const cache = new ArpCache();
    cache.heard(gateway, mac, 0n);
    cache.forget(gateway);
    expect(cache.tick(99n * S)).toEqual([]);
  });
});

describe('held frames', () => {
  const frame = (n: number): Buffer => Buffer.from([n]);

  it('come back in order, once', () => {
    const held = new HeldFrames();
    held.hold('a', frame(1));
    held.hold('a', frame(2));
    expect(held.release('a')).toEqual([frame(1), frame(2)]);
    expect(held.release('a')).toEqual([]);
    expect(held.count).toBe(0);
  });

  it('are copies', () => {
    const held = new HeldFrames();
    const original = frame(1);
    held.hold('a', original);
    original[0] = 9;
    expect(held.release('a')).toEqual([frame(1)]);
  });

  it('are bounded per neighbour: the oldest goes', () => {
    const held = new HeldFrames({ perNeighbour: 2, total: 100 });
    for (let i = 1; i <= 5; i += 1) held.hold('a', frame(i));
    expect(held.release('a')).toEqual([frame(4), frame(5)]);
    expect(held.dropped).toBe(3);
  });

  it('are bounded in total: the oldest neighbour loses', () => {
    const held = new HeldFrames({ perNeighbour: 16, total: 4 });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) held.hold(name, frame(1));
    expect(held.count).toBe(4);
    expect(held.dropped).toBe(2);
    expect(held.release('a')).toEqual([]);
    expect(held.release('f')).toEqual([frame(1)]);
  });

  it('of whoever has most go first: no tenant pushes out what another has waiting', () => {
    const held = new HeldFrames({ perNeighbour: 2, total: 4 });
    held.hold('a', frame(1), 1);
    held.hold('shared', frame(2), 1);
    for (const name of ['b', 'c', 'd', 'e', 'shared', 'shared', 'shared']) held.hold(name, frame(9), 2);
    expect(held.count).toBe(4);
    expect(held.release('a')).toEqual([frame(1)]);
    expect(held.release('shared')).toEqual([frame(2), frame(9), frame(9)]);
    expect({ count: held.count, dropped: held.dropped }).toEqual({ count: 0, dropped: 5 });
  });

  it('of a neighbour that does not answer are counted as dropped', () => {
    const held = new HeldFrames();
    held.hold('a', frame(1));
    held.drop('a');
    expect({ count: held.count, dropped: held.dropped }).toEqual({ count: 0, dropped: 1 });
  });
});
