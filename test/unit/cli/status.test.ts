import { describe, expect, it } from 'vitest';
import type { Status, VirtualRouterStatus } from '../../../src/api/status.js';
import { changesBetween, formatHistory, formatRouter, formatRouters, formatStatus } from '../../../src/cli/status-format.js';

const active: VirtualRouterStatus = {
  vrid: 51, state: 'active', term: 7, since: '2026-01-01T00:00:05.000Z', reason: 'active-silent', priority: 200, effectivePriority: 150, address: '192.168.33.100',
  condition: 'active', causes: ['gateway 10.0.2.1'], drained: false, activeOn: 'gw-a', peerState: 'backup',
  history: [
    { at: '2026-01-01T00:00:05.000Z', from: 'Backup', to: 'Active', term: 7, reason: 'active-silent' },
    { at: '2026-01-01T00:00:00.000Z', from: 'Initialize', to: 'Backup', term: 6, reason: 'startup' },
  ],
};
const faulty: VirtualRouterStatus = {
  vrid: 52, state: 'initialize', term: 3, since: '2026-01-01T00:00:02.000Z', reason: 'fault', priority: 100, effectivePriority: 100, address: '192.168.33.101',
  condition: 'fault', causes: ['link ens7'], drained: false, activeOn: 'gw-b', peerState: 'active', history: [{ at: '2026-01-01T00:00:02.000Z', from: 'Backup', to: 'Initialize', term: 3, reason: 'fault' }],
};

const status: Status = {
  gateway: { name: 'gw-a', id: 0, pid: 42, startedAt: '2026-01-01T00:00:00.000Z', adopted: false, draining: false, version: '0.1.0' },
  virtualRouters: [active, faulty],
  tracked: [
    { name: 'gateway 10.0.2.1', kind: 'gateway', state: 'down', detail: 'no answer within 500 ms', since: '2026-01-01T01:02:00.000Z', virtualRouters: [{ vrid: 51, weight: 50 }] },
    { name: `script /usr/local/bin/${'x'.repeat(60)}`, kind: 'script', state: 'up', detail: 'exit code 0', since: '2026-01-01T00:00:01.000Z', virtualRouters: [{ vrid: 51 }, { vrid: 52 }] },
  ],
  peer: { configured: true, address: '169.254.77.2', name: 'gw-b', alive: true, wire: { ours: 1, theirs: 1, refused: false }, synchronised: true, holdsOurs: false, syncMode: 'strict', tablesEqual: true, tablesComparedMs: 900, lastHeardMs: 1.25, answersOn: ['ha', 'underlay'], hearsOtherKey: false, virtualRouters: [] },
  interfaces: [{ role: 'underlay', name: 'underlay0', hook: 'xdp native', mtu: 1600, address: '192.168.33.11' }],
  neighbours: { resolved: 2, unresolved: 0, heldFrames: 0, heldFramesDropped: 0 },
  counters: { outbound_snat: { packets: 10, bytes: 1000 }, drop_truncated: { packets: 0, bytes: 0 } },
};
const now = new Date('2026-01-01T01:02:10.000Z');

describe('status', () => {
  const text = formatStatus(status, now);

  it('tells of each virtual router where it is Active, since when and why', () => {
    expect(text.split('\n').slice(2, 5)).toEqual([
      'vrid  address         state     for  peer    term    priority  why',
      '  51  192.168.33.100  ACTIVE  1h02m  backup     7  150 of 200  active-silent; down: gateway 10.0.2.1',
      '  52  192.168.33.101  FAULT   1h02m  ACTIVE     3         100  fault; down: link ens7',
    ]);
  });

  it('tells what they depend on, and what its loss does', () => {
    expect(text.split('\n').slice(6, 9)).toEqual([
      'tracked                                   state    for  vrid                seen',
      'gateway 10.0.2.1                          DOWN   10.0s  51 -50              no answer within 500 ms',
      'script /usr/local/bin/xxxxxxxxxxxxxxx...  up     1h02m  51 fault, 52 fault  exit code 0',
    ]);
  });

  it('tells of the peer and of both directions of synchronisation', () => {
    expect(text).toContain('peer       gw-b 169.254.77.2 alive, heard 1.3 ms ago, answers on ha and underlay\nsync       strict: we hold all it has, it lacks what we have; tables equal 0.9s ago\n');
  });

  it.each([
    [{ ours: 1, theirs: 1, refused: false }, ''],
    [{ ours: 1, refused: false }, ''],
    [{ ours: 1, theirs: 2, refused: false }, 'version    the peer speaks 2, this gateway 1: each reads the other\n'],
    [{ ours: 1, refused: true }, 'version    the peer speaks another one than 1 and its neighbours: nothing is replicated\n'],
  ])('tells where the peer speaks another version: %o', (wire, line) => {
    expect(/^version .*\n/m.exec(formatStatus({ ...status, peer: { ...status.peer, wire } }, now))?.[0] ?? '').toBe(line);
  });

  it('says so where the peer may have another key', () => {
    expect(text).not.toContain('key ');
    expect(formatStatus({ ...status, peer: { ...status.peer, hearsOtherKey: true } }, now)).toContain('key        frames come that are not sealed with ours: is sync.keyFile the same on both gateways?\n');
  });

  describe('what BFD says of the tunnels', () => {
    const session = (state: string) => ({ address: '192.168.33.31', encapsulation: 'geneve', state, remoteState: state, diagnostic: 0, detectionTimeMs: 300, since: '2026-01-01T00:00:00.000Z' });
    const textOf = (bfd: NonNullable<VirtualRouterStatus['bfd']>): string => formatStatus({ ...status, virtualRouters: [{ ...active, bfd }] }, now);

    it('stands where computes speak it', () => {
      expect(textOf({ tunnels: 'whole', penalty: 0, sessions: [session('Up'), session('Down'), session('Up')] })).toContain('\nvrid 51: tunnels whole; BFD with computes: 1 Down, 2 Up\n');
    });

    it('or something is held against them', () => {
      expect(textOf({ tunnels: 'held', penalty: 253, sessions: [] })).toContain('\nvrid 51: tunnels held, priority lowered by 253; BFD with computes: none\n');
    });

    it('and nowhere else', () => {
      expect(textOf({ tunnels: 'whole', penalty: 0, sessions: [] })).not.toContain('BFD');
      expect(text).not.toContain('BFD');
    });
  });

  it('leaves out what is not counted, what is not tracked', () => {
    expect(text).toMatch(/outbound_snat +10 +1000\n$/);
    expect(text).not.toContain('drop_truncated');
    expect(formatStatus({ ...status, tracked: [], counters: {} }, now)).not.toContain('tracked');
    expect(formatStatus({ ...status, counters: {} }, now)).toMatch(/\n\nno packets counted yet\n$/);
  });

  it('fits 100 columns', () => {
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
  });

  it('does not hide that programs go on in a role that the election does not have', () => {
    expect(formatStatus({ ...status, virtualRouters: [{ ...active, condition: 'backup' }] }, now)).toContain('ACTIVE (backup)');
  });
});

describe('history', () => {
  it('is of all virtual routers, newest first', () => {
    expect(formatHistory(status)).toBe([
      'at                        vrid  from        to          term  why',
      '2026-01-01T00:00:05.000Z    51  Backup      Active         7  active-silent',
      '2026-01-01T00:00:02.000Z    52  Backup      Initialize     3  fault',
      '2026-01-01T00:00:00.000Z    51  Initialize  Backup         6  startup',
      '',
    ].join('\n'));
  });

  it('may be empty', () => {
    expect(formatHistory({ ...status, virtualRouters: [] })).toBe('nothing has changed since the daemon started\n');
  });
});

describe('a router', () => {
  const router = { name: 'tenant-b', vrid: 52, condition: 'fault', activeOn: 'gw-b', since: faulty.since, reason: 'fault' };

  it('is told where it is, and what has become of its virtual router', () => {
    const [where, own, ...history] = formatRouter(router, status, now).split('\n');
    expect([where, own]).toEqual(['tenant-b, virtual router 52, is Active on gw-b', 'gw-a is FAULT for 1h02m: fault']);
    expect(history.join('\n')).toContain('2026-01-01T00:00:02.000Z    52');
    expect(history.join('\n')).not.toContain('    51  ');
  });

  it('is said to be here, or nowhere that we know of', () => {
    expect(formatRouter({ ...router, activeOn: 'gw-a' }, status, now)).toContain('is Active on gw-a, this gateway\n');
    expect(formatRouter({ ...router, activeOn: undefined }, status, now)).toContain('is Active nowhere that this gateway knows of\n');
  });

  it('has a line in the list of all', () => {
    expect(formatRouters([router, { ...router, name: 'c', activeOn: undefined }], now).split('\n').slice(0, 3)).toEqual([
      'router    vrid  active on  here     for  why',
      'tenant-b    52  gw-b       FAULT  1h02m  fault',
      'c           52  -          FAULT  1h02m  fault',
    ]);
  });
});

describe('changes', () => {
  const at = new Date('2026-01-01T02:00:00.000Z');

  it('of nothing are what is', () => {
    expect(changesBetween(undefined, status, at)).toEqual([
      '2026-01-01T02:00:00.000Z gw-a runs as pid 42\n',
      '2026-01-01T02:00:00.000Z virtual router 51 is ACTIVE, priority 150, Active on gw-a: active-silent, gateway 10.0.2.1\n',
      '2026-01-01T02:00:00.000Z virtual router 52 is FAULT, priority 100, Active on gw-b: fault, link ens7\n',
      '2026-01-01T02:00:00.000Z gateway 10.0.2.1 is down\n',
      expect.stringContaining(' is up\n'),
      '2026-01-01T02:00:00.000Z peer is alive, not in synchronisation\n',
    ]);
  });

  it('are one line each, and none for what grows by itself', () => {
    const grown = { ...status, counters: {}, peer: { ...status.peer, lastHeardMs: 3 }, tracked: status.tracked.map((thing) => ({ ...thing, detail: 'x' })) };
    expect(changesBetween(status, grown, at)).toEqual([]);
    const other = { ...status, virtualRouters: [{ ...active, condition: 'drained', state: 'initialize', reason: 'drain', activeOn: 'gw-b', causes: [] }], peer: { ...status.peer, holdsOurs: true } };
    expect(changesBetween(status, other, at)).toEqual([
      '2026-01-01T02:00:00.000Z virtual router 51 is drained, priority 150, Active on gw-b: drain\n',
      '2026-01-01T02:00:00.000Z peer is alive, in synchronisation\n',
      '2026-01-01T02:00:00.000Z virtual router 52 is no longer there\n',
    ]);
  });
});
