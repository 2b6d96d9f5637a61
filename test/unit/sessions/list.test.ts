import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listParameters } from '../../../src/api/session-query.js';
import type { ListQuery } from '../../../src/api/session-query.js';
import { parseQuery } from '../../../src/api/query.js';
import type { SessionView } from '../../../src/api/sessions.js';
import { sessionFlag } from '../../../src/dataplane/layout.generated.js';
import { listSessions } from '../../../src/sessions/list.js';
import { checkNames } from '../../../src/sessions/names.js';
import { directory, pace, World } from './world.js';

const query = (parameters: Record<string, string> = {}): ListQuery => parseQuery(listParameters, parameters);

/** Follows the cursors; `between` is called after each page. */
async function all({ tables }: World, parameters: Record<string, string>, limits: readonly number[], between: () => void = () => undefined): Promise<SessionView[]> {
  const found: SessionView[] = [];
  let after: string | undefined;
  for (let page = 0; ; page++) {
    const limit = String(limits[page % limits.length]);
    const { sessions, next } = await listSessions(query({ ...parameters, limit, ...(after !== undefined && { after }) }), tables, directory, pace);
    expect(sessions.length).toBeLessThanOrEqual(Number(limit));
    found.push(...sessions);
    if (next === undefined) return found;
    after = next;
    between();
  }
}

const ports = (sessions: readonly SessionView[]): number[] => sessions.map(({ externalPort }) => externalPort);

describe('a session', () => {
  it('is told with names, addresses and what holds it', async () => {
    const world = new World();
    world.map(1025, { idleTicks: 60, remotePort: 80 });
    expect(await all(world, {}, [10])).toEqual([{
      protocol: 'tcp', router: 'tenant-a', network: 'a-net', internalAddress: '172.16.100.10', internalPort: 40_000,
      externalAddress: '10.0.2.201', externalPort: 1025, remoteAddress: '203.0.113.10', remotePort: 80,
      state: 'established', idleSeconds: 64.4, protected: true,
    }]);
  });

  it('with all ports of its remote/has none', async () => {
    const world = new World();
    world.map(2000, { protocol: 'udp', remotePort: 0 });
    expect((await all(world, {}, [10]))[0]!.remotePort).toBeUndefined();
  });

  it('beyond the first of its mapping/has what is the mapping\'s from there, and its own port where it has one', async () => {
    const world = new World();
    const mapping = world.map(3000, { address: 1, protocol: 'icmp', empty: true, sessionCount: 2, vm: 1 });
    world.add(5, mapping, { remote: '198.51.100.1' });
    world.add(9, mapping, { remote: '198.51.100.2', internalPort: 50_000 });
    expect((await all(world, {}, [10])).map(({ router, externalAddress, externalPort, internalPort, remoteAddress, protocol }) => [router, externalAddress, externalPort, internalPort, remoteAddress, protocol])).toEqual([
      ['tenant-b', '10.0.2.202', 3000, 40_000, '198.51.100.1', 'icmp'],
      ['tenant-b', '10.0.2.202', 3000, 50_000, '198.51.100.2', 'icmp'],
    ]);
  });

  it('of a network that has gone/has no names', async () => {
    const world = new World();
    world.map(3000, { vm: 3 });
    expect((await all(world, {}, [10]))[0]).toMatchObject({ router: undefined, network: undefined, internalAddress: '172.16.0.1' });
  });

  it('that is being made or whose mapping has gone/is none', async () => {
    const world = new World();
    world.map(3000, { empty: true });
    world.add(5, world.map(3001, { empty: true, sessionCount: 1 }), { state: 'free', remote: 0 });
    const gone = world.map(3002);
    world.add(6, gone);
    world.unmap(gone);
    world.add(7, 2 ** 31, { vm: 0 });
    // Left by a mapping of VM 0 where VM 2 has one now.
    world.add(8, world.map(3003, { vm: 2, empty: true }), { vm: 0 });
    expect(await all(world, {}, [10])).toEqual([]);
  });
});

describe('filters', () => {
  const world = new World();
  world.map(1, { vm: 0, remote: '203.0.113.10', remotePort: 443 });
  world.map(2, { vm: 1, remote: '203.0.113.99', remotePort: 80, state: 'closing' });
  world.map(3, { vm: 2, protocol: 'udp', remote: '198.51.100.1', remotePort: 0, state: 'transitory', idleTicks: 100 });
  world.map(4, { vm: 0, address: 1, protocol: 'icmp', remote: '203.0.114.1', remotePort: 0, flags: sessionFlag.committed | sessionFlag.unprotected });
  world.map(5, { vm: 0, flags: 0 });
  world.map(6, { isStatic: true });

  it.each([
    [{}, [1, 2, 5, 3, 4]],
    [{ router: 'tenant-a' }, [1, 5, 3, 4]],
    [{ router: 'tenant-b' }, [2]],
    [{ network: 'a-net' }, [1, 2, 5, 4]],
    [{ network: 'a-net', router: 'tenant-b' }, [2]],
    [{ vm: '172.16.100.10' }, [1, 2, 5, 4]],
    [{ vm: '172.16.100.10', router: 'tenant-b' }, [2]],
    [{ external: '10.0.2.202' }, [4]],
    [{ external: '10.0.2.201:2' }, [2]],
    [{ external: '10.0.2.203' }, []],
    [{ remote: '203.0.113.10' }, [1, 5]],
    [{ remote: '203.0.113.0/24' }, [1, 2, 5]],
    [{ remote: '0.0.0.0/0:80' }, [2, 3, 4]],
    [{ protocol: 'tcp' }, [1, 2, 5]],
    [{ state: 'transitory' }, [3]],
    [{ unprotected: 'true' }, [5, 4]],
    [{ unprotected: 'false' }, [1, 2, 5, 3, 4]],
    [{ idleOver: '60s' }, [3]],
    [{ protocol: 'tcp', state: 'closing', vm: '172.16.100.10', remote: '203.0.113.99:80' }, [2]],
  ] as [Record<string, string>, number[]][])('%j/external ports %j', async (parameters, expected) => {
    expect(ports(await all(world, parameters, [2]))).toEqual(expected);
  });

  it.each([['everything', []], ['nothing', [1, 2, 5, 3, 4]]] as const)('peer that holds %s/unprotected are %j', async (peerHolds, expected) => {
    const { sessions } = await listSessions(query({ unprotected: 'true' }), world.tables, { ...directory, peerHolds }, pace);
    expect(ports(sessions)).toEqual(expected);
  });

  it('names that do not exist/told', () => {
    expect(() => checkNames({ router: 'tenant_c' }, directory)).toThrow('router is tenant_c, but the configuration has no router of this name: did you mean tenant-a');
    expect(() => checkNames({ network: 'production' }, directory)).toThrow(/^network is production, but the configuration has no network of this name$/);
    expect(() => checkNames({ router: 'tenant-a', network: 'a-other' }, directory)).not.toThrow();
  });
});

describe('paging', () => {
  it('a cursor of larger tables/the end', async () => {
    const { tables } = new World();
    expect(await listSessions(query({ after: 's4000000000' }), tables, directory, pace)).toEqual({ sessions: [], next: undefined });
  });

  it('a filter that matches nothing/the event loop turns on the way', async () => {
    const world = new World();
    let [clock, turns] = [0, 0];
    await listSessions(query({ vm: '9.9.9.9' }), world.tables, directory, { now: () => clock++, breathe: async () => void turns++ });
    expect(turns).toBeGreaterThan(20);
  });

  // Memory for the property: emptied between runs, which is quicker than new memory.
  const world = new World({ addresses: 1, sessionSlots: 64 });
  const slot = fc.record({ table: fc.constantFrom('mapping', 'session'), at: fc.integer({ min: 0, max: 63 }) });
  const mappingPort = (at: number): number => at * 1021;
  let remote = 0;

  function write({ table, at }: { table: string; at: number }): void {
    remote += 1;
    if (table === 'mapping') world.map(mappingPort(at), { remote });
    else world.add(at, world.map(65_535, { empty: true }), { remote });
  }

  function clear({ table, at }: { table: string; at: number }): void {
    if (table === 'mapping') world.unmap(mappingPort(at));
    else world.remove(at);
  }

  it('pages of any sizes/are the whole, in its order', async () => {
    await fc.assert(fc.asyncProperty(fc.array(slot, { maxLength: 80 }), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }), async (slots, limits) => {
      slots.forEach(write);
      const whole = await all(world, {}, [1000]);
      expect(await all(world, {}, limits)).toEqual(whole);
      slots.forEach(clear);
    }), { numRuns: 60 });
  });

  it('slots that change between pages/nothing twice, and what stays is not missed', async () => {
    const change = fc.record({ slot, to: fc.constantFrom('used', 'free') });
    await fc.assert(fc.asyncProperty(fc.array(slot, { maxLength: 60 }), fc.array(change, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), async (slots, changes, limit) => {
      slots.forEach(write);
      const before = await all(world, {}, [1000]);
      const left = [...changes];
      const seen = await all(world, {}, [limit], () => {
        for (const { slot: where, to } of left.splice(0, 3)) (to === 'used' ? write : clear)(where);
      });
      const after = new Set((await all(world, {}, [1000])).map(({ remoteAddress }) => remoteAddress));
      const addresses = seen.map(({ remoteAddress }) => remoteAddress);
      expect(new Set(addresses).size).toBe(addresses.length);
      expect(addresses).toEqual(expect.arrayContaining(before.map(({ remoteAddress }) => remoteAddress).filter((address) => after.has(address))));
      for (const where of [...slots, ...changes.map((each) => each.slot)]) clear(where);
    }), { numRuns: 60 });
  });
});
