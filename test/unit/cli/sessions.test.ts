import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FloatingIpView } from '../../../src/api/floating-ips.js';
import { buildApi, listenOnSocket } from '../../../src/api/server.js';
import type { ApiActions } from '../../../src/api/server.js';
import type { SessionActions } from '../../../src/api/session-routes.js';
import type { SessionView } from '../../../src/api/sessions.js';
import { ratesOf } from '../../../src/cli/fip.js';
import { sessionActions } from '../api/session-actions.js';
import { run } from './run.js';

const session = (port: number, change: Partial<SessionView> = {}): SessionView => ({
  protocol: 'tcp', router: 'tenant-a', network: 'a-net', internalAddress: '172.16.100.10', internalPort: 40_000, externalAddress: '10.0.2.201', externalPort: port,
  remoteAddress: '203.0.113.10', remotePort: 443, state: 'established', idleSeconds: 3.2, protected: true, ...change,
});

let directory: string;
let calls: unknown[];
let close: () => Promise<void>;

async function serve(actions: Partial<SessionActions> = {}): Promise<void> {
  const server = buildApi({ ...sessionActions(calls), ...actions } as ApiActions);
  await listenOnSocket(server, join(directory, 'api.sock'));
  close = () => server.close();
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'floatgate-cli-'));
  calls = [];
  close = async () => undefined;
});

afterEach(async () => {
  await close();
  rmSync(directory, { recursive: true });
});

const floatgate = (...args: string[]): ReturnType<typeof run> => run(...args, '-s', directory);

describe('sessions list', () => {
  it('sessions/aligned under their headings, times with units', async () => {
    await serve({ sessions: async () => ({ sessions: [session(1025), session(65_000, { router: undefined, network: undefined, protocol: 'udp', remotePort: undefined, idleSeconds: 300, protected: false })] }) });
    expect(await floatgate('sessions', 'list')).toEqual({
      code: 0,
      out: [
        'protocol  network         internal             external          remote            state         idle',
        'tcp       tenant-a/a-net  172.16.100.10:40000  10.0.2.201:1025   203.0.113.10:443  established   3.2s',
        'udp       ?/?             172.16.100.10:40000  10.0.2.201:65000  203.0.113.10:*    established  5m00s  unprotected',
        '',
      ].join('\n'),
      err: '',
    });
  });

  it('--json/an object on each line', async () => {
    await serve({ sessions: async () => ({ sessions: [session(1025), session(1026)] }) });
    const lines = (await floatgate('sessions', 'list', '--json')).out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([session(1025), session(1026)]);
  });

  it('filters/passed on as they were written', async () => {
    await serve({ sessions: async (query) => (calls.push(query), { sessions: [] }) });
    await floatgate('sessions', 'list', '--router', 'tenant-a', '--vm', '172.16.100.10', '--remote', '203.0.113.0/24:443', '--unprotected', '--idle-over', '60s', '--after', 's5');
    expect(calls).toEqual([{
      router: 'tenant-a', vm: 0xac10640a, remote: { subnet: { address: 0xcb007100, prefixLength: 24 }, port: 443 }, unprotected: true, idleOver: 60_000_000,
      limit: 100, after: { table: 'sessions', index: 5 },
    }]);
  });

  it('limit reached/said how to go on', async () => {
    await serve({ sessions: async ({ limit }) => ({ sessions: Array.from({ length: limit }, (_, i) => session(i)), next: 'm77' }) });
    const { out, err } = await floatgate('sessions', 'list', '--limit', '3');
    expect(out.trimEnd().split('\n')).toHaveLength(1 + 3);
    expect(err).toBe('there may be more: --after m77 goes on from here, --all is all of them\n');
  });

  it('--all/follows the cursors, also over pages without a session', async () => {
    const asked: unknown[] = [];
    await serve({
      sessions: async ({ after, limit }) => {
        asked.push([after?.index, limit]);
        const page = after?.index ?? 0;
        return page < 3 ? { sessions: page === 1 ? [] : [session(page)], next: `m${page + 1}` } : { sessions: [session(3)] };
      },
    });
    const { out, err } = await floatgate('sessions', 'list', '--all');
    expect(asked).toEqual([[undefined, 1000], [1, 1000], [2, 1000], [3, 1000]]);
    expect(out.trimEnd().split('\n')).toHaveLength(1 + 3);
    expect(err).toBe('');
  });

  it('a wrong value/the daemon\'s sentence, exit 1', async () => {
    await serve();
    expect(await floatgate('sessions', 'list', '--protocol', 'sctp')).toEqual({ code: 1, out: '', err: 'floatgate: protocol is sctp, but must be one of tcp, udp, icmp\n' });
  });

  it('no daemon/one sentence that names the socket', async () => {
    expect((await floatgate('sessions', 'list')).err).toContain(`no floatgate daemon answers on ${directory}/api.sock`);
  });
});

describe('sessions count', () => {
  it('nothing else/a sentence', async () => {
    await serve();
    expect((await floatgate('sessions', 'count')).out).toBe('3 sessions\n');
  });

  it('--by/the largest first, and what is not shown', async () => {
    await serve({ countSessions: async () => ({ sessions: 12, groups: [{ group: 'tenant-a', sessions: 10 }, { group: 'tenant-b', sessions: 1 }], moreGroups: 1 }) });
    expect((await floatgate('sessions', 'count', '--by', 'router')).out).toBe('sessions  router\n      10  tenant-a\n       1  tenant-b\nand 1 smaller group\n12 sessions\n');
  });
});

describe('sessions kill', () => {
  it('without a filter/exit 2, nothing is asked for', async () => {
    await serve();
    const { code, err } = await floatgate('sessions', 'kill', '--yes');
    expect(code).toBe(2);
    expect(err).toContain('which sessions to kill is not said');
    expect(calls).toEqual([]);
  });

  it('without --yes and nobody to ask/how many would be, exit 1', async () => {
    await serve();
    const { code, err } = await floatgate('sessions', 'kill', '--vm', '172.16.100.10');
    expect({ code, err }).toEqual({ code: 1, err: 'floatgate: 3 sessions would be killed, and nobody can be asked here: --yes is needed\n' });
  });

  it('--yes/all pages, their sum, and what stays and why', async () => {
    await serve({
      killSessions: async ({ after }) => (after === undefined
        ? { killed: 500, notActiveHere: 0, next: 's9' }
        : { killed: 1, notActiveHere: 1 }),
    });
    expect(await floatgate('sessions', 'kill', '--router', 'tenant-a', '--yes')).toEqual({
      code: 1,
      out: '501 sessions killed\n1 session not killed: this gateway is not Active for them, ask the one that is\n',
      err: '',
    });
  });

  it('none like that/said, without asking', async () => {
    await serve({ countSessions: async () => ({ sessions: 0 }), killSessions: async () => ({ killed: 0, notActiveHere: 0 }) });
    expect(await floatgate('sessions', 'kill', '--vm', '172.16.100.10')).toEqual({ code: 0, out: '0 sessions killed\n', err: '' });
  });
});

const floatingIp: FloatingIpView = {
  address: '10.0.2.215', router: 'tenant-a', network: 'a-net', fixedIp: '172.16.100.11', vrid: 51, state: 'active', answers: true,
  compute: '192.168.33.21', mac: 'fa:16:3e:00:00:0b', idleSeconds: 1.1, inbound: { packets: 3, bytes: 300 }, outbound: { packets: 40, bytes: 4000 },
};

describe('fip', () => {
  it('list/aligned', async () => {
    await serve({ floatingIps: async ({ after }) => (after === undefined ? { floatingIps: [floatingIp], next: '10.0.2.215/tenant-a' } : { floatingIps: [{ ...floatingIp, address: '10.0.2.9', compute: undefined, state: 'backup' }] }) });
    expect((await floatgate('fip', 'list')).out).toBe([
      'address     network         vm             compute        state   in packets  in bytes  out packets  out bytes',
      '10.0.2.215  tenant-a/a-net  172.16.100.11  192.168.33.21  active           3       300           40       4000',
      '10.0.2.9    tenant-a/a-net  172.16.100.11  -              backup           3       300           40       4000',
      '',
    ].join('\n'));
  });

  it('show/all that is known', async () => {
    await serve({ floatingIps: async (query) => (calls.push(query), { floatingIps: [floatingIp] }) });
    expect((await floatgate('fip', 'show', '10.0.2.215')).out).toBe([
      'floating IP  10.0.2.215',
      'router       tenant-a, virtual router 51',
      'vm           172.16.100.11 in a-net, fa:16:3e:00:00:0b',
      'compute      192.168.33.21, heard 1.1s ago',
      'here         active: this gateway answers for the address',
      'inbound      3 packets, 300 bytes',
      'outbound     40 packets, 4000 bytes',
      '',
    ].join('\n'));
    expect(calls).toMatchObject([{ address: 0x0a0002d7 }]);
  });

  it('show what is none/exit 1', async () => {
    await serve();
    expect(await floatgate('fip', 'show', '10.0.2.1')).toEqual({ code: 1, out: '', err: 'floatgate: 10.0.2.1 is not a floating IP of this gateway\n' });
  });

  it('rates/per second, never negative, of those that were there before', () => {
    const later = { ...floatingIp, inbound: { packets: 1003, bytes: 2300 }, outbound: { packets: 0, bytes: 0 } };
    const [rate, ...others] = ratesOf({ atMs: 1000, floatingIps: new Map([['a', floatingIp]]) }, { atMs: 3000, floatingIps: new Map([['a', later], ['b', later]]) });
    expect(others).toEqual([]);
    expect(rate).toMatchObject({ inboundPerSecond: { packets: 500, bytes: 1000 }, outboundPerSecond: { packets: 0, bytes: 0 } });
  });
});
