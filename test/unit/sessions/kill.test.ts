import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../../src/api/query.js';
import { killParameters } from '../../../src/api/session-query.js';
import type { SessionsKilled } from '../../../src/api/sessions.js';
import { killSessions } from '../../../src/sessions/kill.js';
import type { SessionEnd } from '../../../src/sessions/kill.js';
import { directory, pace, World } from './world.js';

const FIRST = 0xcb00710a;

/** All pages of it. */
async function kill(world: World, parameters: Record<string, string>, end: (which: SessionEnd) => boolean = ends(world)): Promise<{ asked: SessionEnd[]; result: SessionsKilled; pages: number }> {
  const asked: SessionEnd[] = [];
  const ports = { tables: world.tables, directory, pace, end: (which: SessionEnd) => (asked.push(which), end(which)) };
  let [killed, notActiveHere, pages] = [0, 0, 0];
  for (let after: string | undefined = 's0'; after !== undefined; pages++) {
    const page: SessionsKilled = await killSessions(parseQuery(killParameters, { ...parameters, after }), ports);
    killed += page.killed;
    notActiveHere += page.notActiveHere;
    after = page.next;
  }
  return { asked, result: { killed, notActiveHere }, pages };
}

/** What the program does. */
function ends(world: World): (which: SessionEnd) => boolean {
  return ({ mapping, remote, remotePort }) => {
    if (remote === 0) world.unmap(mapping);
    else world.end(mapping, remote, remotePort);
    return true;
  };
}

/** A mapping with three sessions, two of them beyond the first. */
function crowd(change: { empty?: boolean } = {}): { world: World; mapping: number } {
  const world = new World();
  const mapping = world.map(1025, { sessionCount: 2, ...change });
  world.add(1, mapping, { remote: '198.51.100.1' });
  world.add(2, mapping, { remote: '198.51.100.2', state: 'transitory' });
  return { world, mapping };
}

const BEYOND = [0xc6336401, 0xc6336402];

describe('killing sessions', () => {
  it('of a VM/those beyond the first one by one, then the mapping', async () => {
    const { world, mapping } = crowd();
    expect(await kill(world, { vm: '172.16.100.10' })).toEqual({
      asked: [...BEYOND.map((remote) => ({ mapping, remote, remotePort: 443 })), { mapping, remote: 0, remotePort: 0 }],
      result: { killed: 3, notActiveHere: 0 },
      pages: 2,
    });
  });

  it('of a VM, first place of the mapping free/the mapping ends all the same', async () => {
    const { world, mapping } = crowd({ empty: true });
    const { asked, result } = await kill(world, { vm: '172.16.100.10' });
    expect(asked.at(-1)).toEqual({ mapping, remote: 0, remotePort: 0 });
    expect(result.killed).toBe(2);
  });

  it('of a VM, made since the pass over them/counted with the mapping', async () => {
    const world = new World();
    world.map(1025, { sessionCount: 4 });
    expect((await kill(world, { vm: '172.16.100.10' })).result.killed).toBe(5);
  });

  it.each([
    [{ remote: '203.0.113.10' }, [FIRST]],
    [{ remote: '198.51.100.0/24' }, BEYOND],
    [{ state: 'transitory' }, [BEYOND[1]]],
    [{ state: 'established', protocol: 'tcp' }, [BEYOND[0], FIRST]],
    [{ idleOver: '60s' }, []],
  ] as [Record<string, string>, number[]][])('%j/only those, and the mapping stays', async (parameters, remotes) => {
    const { world, mapping } = crowd();
    expect((await kill(world, parameters)).asked).toEqual(remotes.map((remote) => ({ mapping, remote, remotePort: 443 })));
  });

  it('Active elsewhere/stay, and are counted', async () => {
    const world = new World();
    world.map(2000, { vm: 1 });
    world.map(2001, { vm: 3 });
    const mapping = world.map(3000, { vm: 0 });
    const { asked, result } = await kill(world, { protocol: 'tcp' });
    expect(asked).toEqual([{ mapping, remote: 0, remotePort: 0 }]);
    expect(result).toEqual({ killed: 1, notActiveHere: 2 });
  });

  it('the port of a forwarding/refused, and said where it is removed', async () => {
    const world = new World();
    world.map(80, { address: 1, protocol: 'udp', isStatic: true });
    await expect(kill(world, { external: '10.0.2.202:80' })).rejects.toThrow('external is 10.0.2.202:80, which is a port forwarding: it has no sessions, and ends when it is removed from the configuration');
    expect((await kill(world, { external: '10.0.2.201:80' })).asked).toEqual([]);
    expect((await kill(world, { external: '10.0.2.202' })).asked).toEqual([]);
  });

  it('gone meanwhile/not counted', async () => {
    const { world } = crowd();
    expect((await kill(world, { remote: '203.0.113.10' }, () => false)).result.killed).toBe(0);
  });

  it('given to somebody else meanwhile/left alone', async () => {
    const world = new World();
    const mappings = Array.from({ length: 40 }, (_, i) => world.map(2000 + i));
    const asked: number[] = [];
    // The first pause while killing comes after 31.
    const breathe = async (): Promise<void> => {
      for (const port of [2035, 2036]) world.map(port, { vm: 2 });
    };
    const end = ({ mapping }: SessionEnd): boolean => asked.push(mapping) > 0;
    await killSessions(parseQuery(killParameters, { router: 'tenant-a', after: 'm0' }), { tables: world.tables, directory, pace: { now: () => 0, breathe }, end });
    expect(asked).toEqual(mappings.filter((_, i) => i !== 35 && i !== 36));
  });

  it('very many/a page at a time, each once', async () => {
    const world = new World();
    for (let port = 1024; port < 3024; port++) world.map(port);
    const { asked, result, pages } = await kill(world, { router: 'tenant-a' });
    expect(new Set(asked.map(({ mapping }) => mapping)).size).toBe(2000);
    expect(result.killed).toBe(2000);
    expect(pages).toBe(1 + 5);
  });
});
