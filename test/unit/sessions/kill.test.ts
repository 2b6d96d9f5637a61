import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../../src/api/query.js';
import { killParameters } from '../../../src/api/session-query.js';
import type { SessionsKilled } from '../../../src/api/sessions.js';
import { killSessions } from '../../../src/sessions/kill.js';
import type { SessionEnd } from '../../../src/sessions/kill.js';
import { directory, pace, World } from './world.js';

const REMOTE = 0xcb00710a;

async function kill(world: World, parameters: Record<string, string>, end: (which: SessionEnd) => boolean = () => true): Promise<{ asked: SessionEnd[]; result: SessionsKilled }> {
  const asked: SessionEnd[] = [];
  const result = await killSessions(parseQuery(killParameters, parameters), world.tables, directory, pace, (which) => {
    asked.push(which);
    return end(which);
  });
  return { asked, result };
}

/** A mapping with three sessions, two of them beyond the first. */
function crowd(): { world: World; mapping: number } {
  const world = new World();
  const mapping = world.map(1025, { sessionCount: 2 });
  world.add(1, mapping, { remote: '198.51.100.1' });
  world.add(2, mapping, { remote: '198.51.100.2', state: 'transitory' });
  return { world, mapping };
}

/** What the program does with a whole mapping. */
function ends(world: World): (which: SessionEnd) => boolean {
  return ({ mapping, remote }) => {
    if (remote !== 0) return true;
    world.unmap(mapping);
    world.sessions.fill(0);
    return true;
  };
}

describe('killing sessions', () => {
  it('of a VM/its mappings end, with all of their sessions', async () => {
    const { world, mapping } = crowd();
    expect(await kill(world, { vm: '172.16.100.10' }, ends(world))).toEqual({
      asked: [{ mapping, remote: 0, remotePort: 0 }],
      result: { killed: 3, ofForwardings: 0, notActiveHere: 0, next: undefined },
    });
  });

  it('of a VM, first place of the mapping free/the mapping ends all the same', async () => {
    const world = new World();
    const mapping = world.map(1025, { empty: true, sessionCount: 2 });
    world.add(1, mapping, { remote: '198.51.100.1' });
    world.add(2, mapping, { remote: '198.51.100.2' });
    const { asked, result } = await kill(world, { vm: '172.16.100.10' }, ends(world));
    expect(asked).toEqual([{ mapping, remote: 0, remotePort: 0 }]);
    expect(result.killed).toBe(2);
  });

  it('with a remote/only those, and the mapping stays', async () => {
    const { world, mapping } = crowd();
    expect((await kill(world, { remote: '203.0.113.10' })).asked).toEqual([{ mapping, remote: REMOTE, remotePort: 443 }]);
    expect((await kill(world, { state: 'transitory' })).asked).toEqual([{ mapping, remote: 0xc6336402, remotePort: 443 }]);
    expect((await kill(world, { idleOver: '60s' })).asked).toEqual([]);
  });

  it('of port forwardings, or Active elsewhere/stay, and are counted', async () => {
    const world = new World();
    world.map(80, { isStatic: true });
    world.map(2000, { vm: 1 });
    const mapping = world.map(3000, { vm: 0 });
    const { asked, result } = await kill(world, { protocol: 'tcp' });
    expect(asked).toEqual([{ mapping, remote: 0, remotePort: 0 }]);
    expect(result).toEqual({ killed: 1, ofForwardings: 1, notActiveHere: 1, next: undefined });
  });

  it('gone meanwhile/not counted', async () => {
    const { world } = crowd();
    expect((await kill(world, { remote: '203.0.113.10' }, () => false)).result.killed).toBe(0);
  });

  it('given to somebody else meanwhile/left alone', async () => {
    const world = new World();
    const mappings = Array.from({ length: 40 }, (_, i) => world.map(2000 + i));
    const asked: number[] = [];
    // The first pause comes after 31.
    const breathe = async (): Promise<void> => {
      for (const port of [2035, 2036]) world.map(port, { vm: 2 });
    };
    await killSessions(parseQuery(killParameters, { router: 'tenant-a' }), world.tables, directory, { now: () => 0, breathe }, ({ mapping }) => asked.push(mapping) > 0);
    expect(asked).toEqual(mappings.filter((_, i) => i !== 35 && i !== 36));
  });

  it('very many/a page at a time, each once', async () => {
    const world = new World();
    for (let port = 1024; port < 3024; port++) world.map(port);
    let [killed, pages] = [0, 0];
    for (let after: string | undefined = 'm0'; after !== undefined; pages++) {
      const { result } = await kill(world, { router: 'tenant-a', after }, ends(world));
      killed += result.killed;
      after = result.next;
    }
    expect(killed).toBe(2000);
    expect(pages).toBe(5);
  });
});
