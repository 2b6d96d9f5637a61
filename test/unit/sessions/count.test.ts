import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../../src/api/query.js';
import { countParameters } from '../../../src/api/session-query.js';
import type { SessionCount } from '../../../src/api/sessions.js';
import { countSessions } from '../../../src/sessions/count.js';
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
    ['router', [group('tenant-a', 4), group('?', 1), group('tenant-b', 1)]],
    ['vm', [group('172.16.100.10 tenant-a/a-net', 3), group('172.16.0.1 ?', 1), group('172.16.100.10 tenant-b/a-net', 1), group('172.16.101.11 tenant-a/a-other', 1)]],
    ['protocol', [group('tcp', 4), group('icmp', 1), group('udp', 1)]],
    ['state', [group('established', 4), group('closing', 1), group('transitory', 1)]],
    ['remote', [group('203.0.113.10', 3), group('198.51.100.1', 2), group('198.51.100.2', 1)]],
  ])('by %s/largest first, then by name', async (by, groups) => {
    expect(await count({ by })).toEqual({ sessions: 6, groups, moreGroups: 0 });
  });

  it('more groups than asked for/said', async () => {
    expect(await count({ by: 'remote', limit: '1' })).toEqual({ sessions: 6, groups: [group('203.0.113.10', 3)], moreGroups: 2 });
  });
});
