import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient } from '../../../src/api/client.js';
import type { Parameters } from '../../../src/api/client.js';
import { buildApi, listenOnSocket } from '../../../src/api/server.js';
import type { ApiActions } from '../../../src/api/server.js';
import { sessionActions } from './session-actions.js';

let directory: string;
let calls: unknown[];
let close: () => Promise<void>;
let client: ApiClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'floatgate-api-'));
  calls = [];
  const server = buildApi(sessionActions(calls) as ApiActions);
  await listenOnSocket(server, join(directory, 'api.sock'));
  close = () => server.close();
  client = new ApiClient(join(directory, 'api.sock'));
});

afterEach(async () => {
  await close();
  rmSync(directory, { recursive: true });
});

describe('questions about sessions', () => {
  it('every filter/parsed', async () => {
    await client.sessions({
      router: 'tenant a', network: 'a-net', vm: '172.16.100.10', external: '10.0.2.201:1025', remote: '203.0.113.7/24:443', protocol: 'tcp',
      state: 'established', unprotected: 'true', idleOver: '60s', limit: '7', after: 'm300',
    });
    expect(calls).toEqual([{
      router: 'tenant a', network: 'a-net', vm: 0xac10640a, external: { address: 0x0a0002c9, port: 1025 },
      remote: { subnet: { address: 0xcb007100, prefixLength: 24 }, port: 443 }, protocol: 'tcp',
      state: 'established', unprotected: true, idleOver: 60_000_000, limit: 7, after: { table: 'mappings', index: 300 },
    }]);
  });

  it('nothing said/the first hundred', async () => {
    expect(await client.sessions({ router: undefined })).toEqual({ sessions: [], next: 'm7' });
    expect(calls).toEqual([{ limit: 100 }]);
  });

  it('an address alone/every port of the one host', async () => {
    await client.countSessions({ remote: '203.0.113.10', external: '10.0.2.201', by: 'vm' });
    expect(calls).toEqual([{ remote: { subnet: { address: 0xcb00710a, prefixLength: 32 } }, external: { address: 0x0a0002c9 }, by: 'vm', limit: 100 }]);
  });

  const refused: [Parameters, string][] = [
    [{ vm: '172.16.100' }, 'vm is 172.16.100, but must be an IPv4 address, such as 172.16.100.10'],
    [{ external: '10.0.2.1:70000' }, 'external is 10.0.2.1:70000, but must be an IPv4 address, with a port or without one'],
    [{ external: '10.0.2.1:1:2' }, 'external is 10.0.2.1:1:2, but must be'],
    [{ remote: '203.0.113.0/33' }, 'remote is 203.0.113.0/33, but must be an IPv4 address or subnet'],
    [{ protocol: 'sctp' }, 'protocol is sctp, but must be one of tcp, udp, icmp'],
    [{ state: 'free' }, 'state is free, but must be one of transitory, established, closing'],
    [{ idleOver: '60' }, 'idleOver is 60, but must be a duration with its unit, such as 60s'],
    [{ unprotected: 'perhaps' }, 'unprotected is perhaps, but must be true or false'],
    [{ limit: '1001' }, 'limit is 1001, but must be a whole number from 1 to 1000'],
    [{ after: 'x1' }, 'after is x1, but must be what an earlier page gave as next'],
    [{ router: '' }, 'router is empty, but must be the name of a router'],
    [{ rooter: 'a' }, 'rooter is not a parameter: did you mean router'],
    [{ colour: 'red' }, 'colour is not a parameter: there are router, network, vm, external,'],
  ];
  it.each(refused)('%j/refused with the parameter and what it must be', async (parameters, says) => {
    await expect(client.sessions(parameters)).rejects.toThrow(says);
    expect(calls).toEqual([]);
  });

  it('said twice/refused', async () => {
    const server = buildApi(sessionActions(calls) as ApiActions);
    const { statusCode, json } = await server.inject('/sessions?vm=10.0.0.1&vm=10.0.0.2');
    expect(statusCode).toBe(400);
    expect(json<{ message: string }>().message).toContain('vm is 10.0.0.1,10.0.0.2, but must be an IPv4 address');
    await server.close();
  });
});

describe('killing sessions', () => {
  it('with a filter/done', async () => {
    expect(await client.killSessions({ vm: '172.16.100.10', after: 's12' })).toEqual({ killed: 2, notActiveHere: 0 });
    expect(calls).toEqual([{ vm: 0xac10640a, after: { table: 'sessions', index: 12 } }]);
  });

  it.each([{}, { after: 'm0' }, { unprotected: 'false' }])('without a filter %j/refused', async (parameters) => {
    await expect(client.killSessions(parameters)).rejects.toThrow(/^which sessions to kill is not said: one of router, network, vm,/);
    expect(calls).toEqual([]);
  });
});

describe('questions about floating IPs', () => {
  it('where a page ended/address and router', async () => {
    await client.floatingIps({ router: 'tenant-a', after: '10.0.2.215/tenant/a' });
    expect(calls).toEqual([{ router: 'tenant-a', after: { address: 0x0a0002d7, router: 'tenant/a' }, limit: 1000 }]);
  });

  it.each(['10.0.2.215', '10.0.2/a', '10.0.2.215/'])('a cursor like %s/refused', async (after) => {
    await expect(client.floatingIps({ after })).rejects.toThrow('but must be what an earlier page gave as next');
  });
});
