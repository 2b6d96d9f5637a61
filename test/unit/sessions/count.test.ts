import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../../src/api/query.js';
import { countParameters } from '../../../src/api/session-query.js';
import type { SessionCount } from '../../../src/api/sessions.js';
import { countSessions } from '../../../src/sessions/count.js';
import { Groups } from '../../../src/sessions/groups.js';
import { directory, pace, World } from './world.js';

const world = new World();
const shared = world.map(1, { vm: 0, remote: '203.0.113.10' });
world.map(2, { vm: 1, remote: '203.0.113.10', state: 'closing' });
world.map(3, { vm: 2, protocol: 'udp', remote: '198.51.100.1', state: 'transitory' });
world.map(4, { vm: 3, address: 1, protocol: 'icmp' });
world.add(1, shared, { remote: '198.51.100.1' });
world.add(2, shared, { remote: '198.51.100.2' });

const count = (parameters: Record<string, string>): Promise<SessionCount> => countSessions(parseQuery(countParameters, parameters), world.tables, directory, pace);
const group = (name: string, sessions: number): { group: string; sessions: number } => ({ group: name, sessions });

describe('counting sessions', () => {
  it('all, and by a filter', async () => {
    expect(await count({})).toEqual({ sessions: 6 });
    expect(await count({ remote: '198.51.100.0/24' })).toEqual({ sessions: 3 });
  });

  it.each([
    ['router', [group('tenant-a', 4), group('tenant-b', 1), group('?', 1)]],
    ['vm', [group('172.16.100.10 tenant-a/a-net', 3), group('172.16.100.10 tenant-b/a-net', 1), group('172.16.101.11 tenant-a/a-other', 1), group('172.16.0.1 ?', 1)]],
    ['protocol', [group('tcp', 4), group('udp', 1), group('icmp', 1)]],
    ['state', [group('established', 4), group('transitory', 1), group('closing', 1)]],
    ['remote', [group('203.0.113.10', 3), group('198.51.100.1', 2), group('198.51.100.2', 1)]],
  ])('by %s/largest first', async (by, groups) => {
    expect(await count({ by })).toEqual({ sessions: 6, groups, moreGroups: 0 });
  });

  it('more groups than asked for/said', async () => {
    expect(await count({ by: 'remote', limit: '1' })).toEqual({ sessions: 6, groups: [group('203.0.113.10', 3)], moreGroups: 2 });
  });
});

describe('groups', () => {
  it('the largest of many/as sorting all of them has it', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffffffff }))), fc.integer({ min: 1, max: 20 }), async (keys, limit) => {
      const groups = new Groups();
      for (const key of keys) groups.add(key);
      const sorted = [...new Set(keys)].map((key) => ({ key, count: keys.filter((each) => each === key).length })).sort((a, b) => b.count - a.count || a.key - b.key);
      expect(await groups.largest(limit, pace)).toEqual(sorted.slice(0, limit));
      expect(groups.size).toBe(sorted.length);
    }));
  });

  it('more than are kept while looking/still the largest', async () => {
    const groups = new Groups();
    for (let key = 0; key < 30_000; key++) for (let times = 0; times < (key % 10_000 === 7 ? 2 : 1); times++) groups.add(key);
    let turns = 0;
    expect(await groups.largest(3, { ...pace, breathe: async () => void turns++ })).toEqual([7, 10_007, 20_007].map((key) => ({ key, count: 2 })));
    expect(turns).toBe(3);
  });
});
