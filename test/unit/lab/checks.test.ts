import { describe, expect, it } from 'vitest';
import { hasPassed, isIntact, judge, longestOutageMs } from '../../../src/lab/checks.js';
import type { ProbeWindow } from '../../../src/lab/clients/probe-log.js';
import type { Measurements } from '../../../src/lab/measurements.js';

const quiet: ProbeWindow = { sent: 2000, lost: 0, longestGapMs: 2, gapFromMs: 0, medianRoundTripMs: 0.4, longestRoundTripMs: 3 };
const interrupted: ProbeWindow = { ...quiet, lost: 380, longestGapMs: 381 };
const all = { advanced: 1, broken: [] };
const client = { id: 0, sentBytes: 10, sentSha256: 'a', receivedBytes: 10, receivedSha256: 'a' };
const connection = { id: 0, peer: '10.0.2.201:4000', bytes: 10, sha256: 'a', ended: true };

const good: Measurements = {
  addresses: [{ vm: 'vm-a1', wanted: '10.0.2.201', seen: '10.0.2.201' }],
  downloads: [{ path: 'vm-a1 ← outside', bytes: 1024, sha256: 'x', wantedSha256: 'x', durationMs: 10 }],
  echoes: [{ from: 'vm-a1', to: 'outside', wanted: '10.0.2.201', seen: '10.0.2.201' }],
  pings: [{ from: 'vm-a1', to: 'outside', sent: 5, received: 5 }],
  throughput: [{ path: 'vm-a1 → outside', megabitsPerSecond: 900 }],
  sessions: { wanted: 1, afterFailover: all, afterHandOver: all, clients: [client], server: [connection] },
  flows: { wanted: 1, afterFailover: all, afterHandOver: all, clients: [{ id: 0, sent: 9, received: 8, reordered: 0, duplicates: 0, peers: ['10.0.2.201:5000'] }] },
  steady: [{ probe: 'shared SNAT', window: quiet }],
  failover: { takeoverMs: 370, allGoOnMs: 900, probes: [{ probe: 'shared SNAT', window: interrupted }] },
  handOver: { synchronisedMs: 900, activeMs: 1200, probes: [{ probe: 'shared SNAT', window: quiet }] },
};

const failedNames = (measured: Measurements): string[] => judge(measured).flatMap(({ name, passed }) => (passed === false ? [name] : []));

const none = { advanced: 0, broken: [{ id: 0, error: 'ECONNRESET' }] };

/** What is changed about the good run, and the check that must notice it: exactly that one. */
const faults: readonly (readonly [string, Partial<Measurements>, string])[] = [
  ['a VM seen by a foreign address', { addresses: [{ vm: 'vm-a1', wanted: '10.0.2.201', seen: '10.0.2.202' }] }, 'vm-a1 is seen outside as'],
  ['a download with a wrong byte', { downloads: [{ path: 'p', bytes: 1024, sha256: 'y', wantedSha256: 'x', durationMs: 10 }] }, 'download p'],
  ['an echo from elsewhere', { echoes: [{ from: 'a', to: 'b', wanted: '1', seen: '2' }] }, 'UDP echo a → b, seen from'],
  ['a lost ping', { pings: [{ from: 'a', to: 'b', sent: 5, received: 4 }] }, 'ping a → b'],
  ['iperf3 without a transfer', { throughput: [{ path: 'p', megabitsPerSecond: 0 }] }, 'iperf3 TCP p'],
  ['a loss before anything failed', { steady: [{ probe: 'p', window: { ...quiet, lost: 1 } }] }, 'undisturbed: lost, 1 kHz probe p'],
  ['a probe that sent nothing', { steady: [{ probe: 'p', window: { ...quiet, sent: 0 } }] }, 'undisturbed: lost, 1 kHz probe p'],
  ['a long outage', { failover: { ...good.failover, probes: [{ probe: 'p', window: { ...interrupted, longestGapMs: longestOutageMs } }] } }, 'failover: outage, 1 kHz probe p'],
  ['an outage without end', { failover: { ...good.failover, probes: [{ probe: 'p', window: { ...interrupted, lost: 2000 } }] } }, 'failover: outage, 1 kHz probe p'],
  ['a loss in the hand-over', { handOver: { ...good.handOver, probes: [{ probe: 'p', window: { ...quiet, lost: 1 } }] } }, 'return and hand-over: lost, 1 kHz probe p'],
  ['a session broken by the failover', { sessions: { ...good.sessions, afterFailover: none } }, 'failover: TCP connections that go on'],
  ['a session broken by the hand-over', { sessions: { ...good.sessions, afterHandOver: none } }, 'hand-over: TCP connections that go on'],
  ['a flow broken by the failover', { flows: { ...good.flows, afterFailover: none } }, 'failover: UDP flows that go on'],
  ['a flow broken by the hand-over', { flows: { ...good.flows, afterHandOver: none } }, 'hand-over: UDP flows that go on'],
  ['a second connection of one session', { sessions: { ...good.sessions, server: [connection, { ...connection, peer: '10.0.2.201:4001', bytes: 0 }] } }, 'TCP: one and the same port outside'],
  ['a reset seen by the server', { sessions: { ...good.sessions, server: [{ ...connection, error: 'ECONNRESET' }] } }, 'TCP: resets and closes'],
  ['a flow with a new port', { flows: { ...good.flows, clients: [{ id: 0, sent: 9, received: 8, reordered: 0, duplicates: 0, peers: ['a:1', 'a:2'] }] } }, 'UDP: one and the same port outside'],
  ['a duplicate', { flows: { ...good.flows, clients: [{ id: 0, sent: 9, received: 8, reordered: 0, duplicates: 1, peers: ['a:1'] }] } }, 'UDP: duplicated datagrams'],
];

describe('judge', () => {
  it('a good run passes', () => {
    expect(failedNames(good)).toEqual([]);
    expect(hasPassed(judge(good))).toBe(true);
  });

  it.each(faults)('%s fails its check and no other', (_fault, change, name) => {
    expect(failedNames({ ...good, ...change })).toEqual([name]);
    expect(hasPassed(judge({ ...good, ...change }))).toBe(false);
  });
});

describe('isIntact', () => {
  it.each([
    ['the server has less', client, { ...connection, bytes: 9 }],
    ['the server has other bytes', client, { ...connection, sha256: 'b' }],
    ['less came back', { ...client, receivedBytes: 9 }, connection],
    ['other bytes came back', { ...client, receivedSha256: 'b' }, connection],
    ['the connection was reset', { ...client, error: 'ECONNRESET' }, connection],
    ['nothing was ever sent', { ...client, sentBytes: 0, receivedBytes: 0 }, { ...connection, bytes: 0 }],
    ['the server has never seen it', client, { ...connection, id: 1 }],
  ])('not when %s', (_case, sent, seen) => {
    expect(isIntact(sent, [seen])).toBe(false);
  });

  it('when sent, seen and echoed are the same', () => {
    expect(isIntact(client, [connection])).toBe(true);
  });
});
