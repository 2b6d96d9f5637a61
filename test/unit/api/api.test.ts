import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient } from '../../../src/api/client.js';
import { age } from '../../../src/api/format.js';
import { ApiConflict, buildApi, listenOnSocket } from '../../../src/api/server.js';
import type { ApiActions } from '../../../src/api/server.js';
import type { Status } from '../../../src/api/status.js';
import { sessionActions } from './session-actions.js';

const status: Status = {
  gateway: { name: 'gw-a', id: 0, pid: 42, startedAt: '2026-01-01T00:00:00.000Z', adopted: false, draining: false, version: '0.1.0' },
  virtualRouters: [{
    vrid: 51, state: 'active', term: 7, since: '2026-01-01T00:00:05.000Z', reason: 'active-silent', priority: 200, effectivePriority: 200, address: '192.168.33.100',
    condition: 'active', causes: [], drained: false, activeOn: 'gw-a',
    history: [
      { at: '2026-01-01T00:00:05.000Z', from: 'Backup', to: 'Active', term: 7, reason: 'active-silent' },
      { at: '2026-01-01T00:00:00.000Z', from: 'Initialize', to: 'Backup', term: 6, reason: 'startup' },
    ],
  }],
  tracked: [],
  peer: { configured: true, address: '169.254.77.2', name: 'gw-b', alive: true, wire: { ours: 1, theirs: 1, refused: false }, synchronised: true, holdsOurs: false, syncMode: 'strict', tablesEqual: true, tablesComparedMs: 2500, lastHeardMs: 1.25, answersOn: ['ha', 'underlay'], hearsOtherKey: false, virtualRouters: [] },
  interfaces: [{ role: 'underlay', name: 'underlay0', hook: 'xdp native', mtu: 1600, address: '192.168.33.11' }],
  neighbours: { resolved: 2, unresolved: 0, heldFrames: 0, heldFramesDropped: 0 },
  counters: { outbound_snat: { packets: 10, bytes: 1000 } },
};

let directory: string;
let actions: ApiActions & { calls: string[] };
let close: () => Promise<void>;
let client: ApiClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'floatgate-api-'));
  const calls: string[] = [];
  actions = {
    calls,
    status: () => status,
    counters: () => status.counters,
    routers: (name) => [{ name: name ?? 'all', vrid: 51, condition: 'active', activeOn: 'gw-a', since: '2026-01-01T00:00:05.000Z', reason: 'active-silent' }],
    drain: async ({ vrids, force }) => {
      calls.push(`drain ${vrids?.join() ?? 'all'} ${force}`);
      return vrids ?? [51, 52];
    },
    undrain: async () => {
      throw new ApiConflict('nothing is drained');
    },
    reload: async () => {
      throw new Error('routers[0].name is missing');
    },
    ...sessionActions(calls),
  };
  const server = buildApi(actions);
  await listenOnSocket(server, join(directory, 'api.sock'));
  close = () => server.close();
  client = new ApiClient(join(directory, 'api.sock'));
});

afterEach(async () => {
  await close();
  rmSync(directory, { recursive: true });
});

describe('the local API', () => {
  it('tells the status as it is', async () => {
    expect(await client.status()).toEqual(status);
    expect(await client.counters()).toEqual(status.counters);
    expect((await client.routers()).map(({ name }) => name)).toEqual(['all']);
    expect((await client.routers({ name: 'tenant-a' })).map(({ name }) => name)).toEqual(['tenant-a']);
  });

  it('passes on what it is asked to do', async () => {
    expect(await client.drain()).toEqual({ draining: true, virtualRouters: [51, 52] });
    expect(await client.drain({ vrid: '51,53', force: 'true' })).toEqual({ draining: true, virtualRouters: [51, 53] });
    expect(actions.calls).toEqual(['drain all false', 'drain 51,53 true']);
    await expect(client.drain({ vrid: '51,0' })).rejects.toThrow('vrid is 51,0, but must be whole numbers from 1 to 255 with commas between them');
  });

  it('says in one sentence why it cannot', async () => {
    await expect(client.undrain()).rejects.toThrow(/^nothing is drained$/);
    await expect(client.reload()).rejects.toThrow(/^routers\[0\]\.name is missing$/);
  });

  it('belongs to root alone', () => {
    expect(statSync(join(directory, 'api.sock')).mode & 0o777).toBe(0o600);
  });

  it('is not taken from a daemon that answers', async () => {
    await expect(listenOnSocket(buildApi(actions), join(directory, 'api.sock'))).rejects.toThrow(/another floatgate answers/);
  });

  it('takes over the socket of a daemon that was killed', async () => {
    const path = join(directory, 'stale.sock');
    writeFileSync(path, '');
    const server = buildApi(actions);
    await listenOnSocket(server, path);
    expect(await new ApiClient(path).status()).toEqual(status);
    await server.close();
  });
});

describe('a client without a daemon', () => {
  it('says where it looked', async () => {
    await expect(new ApiClient(join(directory, 'none.sock')).status()).rejects.toThrow(/no floatgate daemon answers on .*none\.sock/);
  });

  it('says so as well when the daemon dies while it answers', async () => {
    const path = join(directory, 'dying.sock');
    const dying = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => void dying.listen(path, resolve));
    await expect(new ApiClient(path).status()).rejects.toThrow(/dying\.sock/);
    await new Promise((resolve) => dying.close(resolve));
  });
});

describe('durations for people', () => {
  it.each([[0, '0.0s'], [4_200, '4.2s'], [185_000, '3m05s'], [90_000_000, '1d01h']])('ages of %i ms', (ms, expected) => {
    expect(age('2026-01-01T00:00:00.000Z', new Date(Date.parse('2026-01-01T00:00:00.000Z') + ms))).toBe(expected);
  });
});
