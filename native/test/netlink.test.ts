import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Address, Change, Link, Neighbour, Route } from '../lib/index.js';
import { Agent, type RemoteObject } from './support/agent.js';
import { temporaryDirectory } from './support/compile.js';
import { Namespaces } from './support/namespace.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

let net: Namespaces;
let agent: Agent;
let route: RemoteObject;
let v0 = 0;
let v1 = 0;

beforeAll(async () => {
  net = new Namespaces('nl-a', 'nl-b');
  net.connect({ namespace: 'nl-a', device: 'v0', address: '10.9.0.1/24' }, { namespace: 'nl-b', device: 'p0', address: '10.9.0.2/24' });
  net.connect({ namespace: 'nl-a', device: 'v1', address: '10.9.1.1/24' }, { namespace: 'nl-b', device: 'p1', address: '10.9.1.2/24' });
  agent = new Agent(net.path('nl-a'));
  route = await agent.create('RouteNetlink');
  await route.call('watch');
  v0 = await agent.run('interfaceIndex', 'v0') as number;
  v1 = await agent.run('interfaceIndex', 'v1') as number;
}, 30_000);
afterAll(async () => {
  await agent?.stop();
  net?.remove();
});

const ip = (...args: string[]): string => net.ip('nl-a', ...args);

/** What iproute2 says, as JSON. */
function ipJson<T>(...args: string[]): T[] {
  return JSON.parse(net.ip('nl-a', '-j', '-d', ...args)) as T[];
}

describe('netlink/dump', () => {
  test('links are those of ip link', async () => {
    const links = await route.call('links') as Link[];
    const expected = ipJson<{ ifindex: number; ifname: string; address: string; mtu: number; flags: string[]; link_index?: number; linkinfo?: { info_kind: string } }>('link', 'show');
    expect(links).toEqual(expected.map((link) => ({
      index: link.ifindex, name: link.ifname, mac: link.address, mtu: link.mtu,
      up: link.flags.includes('UP'), running: link.flags.includes('LOWER_UP'), promiscuous: link.flags.includes('PROMISC'),
      kind: link.linkinfo?.info_kind, peerIndex: link.link_index, master: undefined,
    })));
    expect(links.find((link) => link.name === 'v0')).toMatchObject({ kind: 'veth', up: true, running: true });
  });

  test('addresses are those of ip address', async () => {
    ip('address', 'add', '10.9.0.7/32', 'dev', 'v0');
    ip('address', 'add', '10.77.0.1', 'peer', '10.77.0.2/32', 'dev', 'v1');
    const addresses = await route.call('addresses') as Address[];
    expect(addresses.map(({ ifindex, address, prefixLength, peer }) => [ifindex, address, prefixLength, peer])).toEqual([
      [1, '127.0.0.1', 8, undefined],
      [v0, '10.9.0.1', 24, undefined], [v0, '10.9.0.7', 32, undefined],
      [v1, '10.9.1.1', 24, undefined], [v1, '10.77.0.1', 32, '10.77.0.2'],
    ].sort((left, right) => (left[0] as number) - (right[0] as number)));
    ip('address', 'delete', '10.77.0.1', 'peer', '10.77.0.2/32', 'dev', 'v1');
  });

  test('a dump of many datagrams is complete', async () => {
    const count = 2000;
    const batch = Array.from({ length: count }, (_, index) => `neighbour replace 10.20.${index >> 8}.${index & 255} lladdr 02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')} dev v1`);
    ipBatch(batch);
    const neighbours = (await route.call('neighbours') as Neighbour[]).filter(({ address }) => address.startsWith('10.20.'));
    expect(new Set(neighbours.map(({ address, mac }) => `${address} ${mac}`)).size).toBe(count);
    expect(neighbours.every(({ ifindex, state }) => ifindex === v1 && state === 'PERMANENT')).toBe(true);
    await route.next<[Neighbour]>('neighbour', ({ address }) => address === `10.20.${(count - 1) >> 8}.${(count - 1) & 255}`);
    ip('neighbour', 'flush', 'dev', 'v1', 'nud', 'permanent');
  });
});

function ipBatch(lines: readonly string[]): void {
  execFileSync('ip', ['-n', net.name('nl-a'), '-batch', '-'], { input: lines.join('\n') });
}

describe('netlink/link', () => {
  test('up, MTU and MAC are set together, and announced', async () => {
    await route.call('setLink', 'v1', { up: false, mac: '02:11:22:33:44:55', mtu: 1400 });
    await route.next<[Link, Change]>('link', (link, change) => change === 'set' && link.index === v1 && !link.up && link.mtu === 1400 && link.mac === '02:11:22:33:44:55');
    expect(ipJson<object>('link', 'show', 'v1')[0]).toMatchObject({ address: '02:11:22:33:44:55', mtu: 1400 });
    await route.call('setLink', v1, { up: true });
    await route.next<[Link, Change]>('link', (link) => link.index === v1 && link.up && link.running);
    expect(ipJson<{ flags: string[] }>('link', 'show', 'v1')[0]!.flags).toContain('UP');
  });

  test('links come, lose their carrier, and go', async () => {
    ip('link', 'add', 'v9', 'type', 'veth', 'peer', 'name', 'p9');
    const [link] = await route.next<[Link, Change]>('link', ({ name }) => name === 'v9');
    ip('link', 'set', 'v9', 'up');
    await route.next<[Link, Change]>('link', ({ name, up, running }) => name === 'v9' && up && !running);
    ip('link', 'delete', 'v9');
    const [removed] = await route.next<[Link, Change]>('link', (gone, change) => change === 'removed' && gone.name === 'v9');
    expect(removed.index).toBe(link.index);
  });

  test('a bridge port is told from its bridge', async () => {
    ip('link', 'add', 'br9', 'type', 'bridge');
    ip('link', 'set', 'v1', 'master', 'br9');
    const [port] = await route.next<[Link, Change]>('link', ({ name, master }) => name === 'v1' && master !== undefined);
    const bridge = (await route.call('links') as Link[]).find(({ name }) => name === 'br9');
    expect(bridge).toMatchObject({ kind: 'bridge', index: port.master });
    ip('link', 'delete', 'br9');
  });
});

describe('netlink/unicast address', () => {
  const virtual = '00:00:5e:00:01:33';
  const filter = (device: string): string => net.exec('nl-a', 'bridge', 'fdb', 'show', 'dev', device);

  test.each([
    ['a veth', ['uc0', 'type', 'veth', 'peer', 'name', 'uc1']],
    ['a macvlan that passes all through', ['link', 'v1', 'uc0', 'type', 'macvlan', 'mode', 'passthru']],
  ])('of %s is added once, outlives who added it, and is removed', async (_, settings) => {
    const device = 'uc0';
    ip('link', 'add', ...settings);
    const other = await agent.create('RouteNetlink');
    expect(await other.call('addUnicastAddress', device, virtual)).toBe(true);
    expect(await other.call('addUnicastAddress', device, virtual)).toBe(false);
    await other.call('close');
    expect(filter(device)).toContain(`${virtual} self permanent`);
    await route.call('removeUnicastAddress', device, virtual);
    expect(filter(device)).not.toContain(virtual);
    await expect(route.call('removeUnicastAddress', device, virtual)).rejects.toMatchObject({ code: 'ENOENT', operation: `RTM_DELNEIGH ${virtual}` });
    ip('link', 'delete', device);
  });

  test('a driver that has no such thing says so, and may be promiscuous', async () => {
    ip('link', 'add', 'link', 'v0', 'uc-bridge', 'type', 'macvlan', 'mode', 'bridge');
    await expect(route.call('addUnicastAddress', 'uc-bridge', virtual)).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    const [before] = (await route.call('links') as Link[]).filter(({ name }) => name === 'uc-bridge');
    await route.call('setLink', 'uc-bridge', { promiscuous: true });
    await route.next<[Link, Change]>('link', ({ name, promiscuous, up }) => name === 'uc-bridge' && promiscuous && up === before!.up);
    expect(ip('link', 'show', 'uc-bridge')).toContain('PROMISC');
    await route.call('setLink', 'uc-bridge', { promiscuous: false });
    expect(ip('link', 'show', 'uc-bridge')).not.toContain('PROMISC');
    ip('link', 'delete', 'uc-bridge');
  });

  test('what is no address, or no interface, is refused', async () => {
    await expect(route.call('addUnicastAddress', 'v0', '00:00:5e')).rejects.toMatchObject({ name: 'RangeError' });
    await expect(route.call('addUnicastAddress', 9999, virtual)).rejects.toMatchObject({ code: 'ENODEV' });
  });
});

describe('netlink/ethtool', () => {
  test('features are those of ethtool -k', async () => {
    const active = async (): Promise<string[]> => [...await agent.run('activeFeatures', 'v0') as Set<string>];
    const told = (): string[] => net.exec('nl-a', 'ethtool', '-k', 'v0').split('\n').flatMap((line) => /^\t?([^:]+): on\b/.exec(line)?.[1] ?? []);
    const wanted = ['rx-vlan-filter', 'tx-scatter-gather', 'rx-gro-list'];
    for (const state of ['on', 'off']) {
      net.exec('nl-a', 'ethtool', '-K', 'v0', 'rx-gro-list', state);
      expect((await active()).filter((name) => wanted.includes(name)).sort()).toEqual(told().filter((name) => wanted.includes(name)).sort());
      expect((await active()).includes('rx-gro-list')).toBe(state === 'on');
    }
    await expect(agent.run('activeFeatures', 9999)).rejects.toMatchObject({ code: 'ENODEV', operation: 'ETHTOOL_MSG_FEATURES_GET 9999' });
  });
});

describe('netlink/address', () => {
  test('an address is added once, announced, and removed', async () => {
    await route.call('addAddress', 'v0', '10.9.0.100/24');
    await route.call('addAddress', 'v0', '10.9.0.100/24');
    const [address] = await route.next<[Address, Change]>('address', (value) => value.address === '10.9.0.100');
    expect(address).toMatchObject({ ifindex: v0, prefixLength: 24 });
    expect(ip('address', 'show', 'dev', 'v0')).toContain('inet 10.9.0.100/24');
    await route.call('removeAddress', v0, '10.9.0.100/24');
    await route.next<[Address, Change]>('address', (value, change) => value.address === '10.9.0.100' && change === 'removed');
    expect(ip('address', 'show', 'dev', 'v0')).not.toContain('10.9.0.100');
    await expect(route.call('removeAddress', v0, '10.9.0.100/24')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL', operation: 'RTM_DELADDR 10.9.0.100/24' });
  });
});

describe('netlink/route', () => {
  test('routes are added, replaced, listed and removed', async () => {
    await route.call('addRoute', { destination: 'default', gateway: '10.9.0.2', metric: 50 });
    const [added] = await route.next<[Route, Change]>('route', ({ destination }) => destination === '0.0.0.0/0');
    expect(added).toEqual({ destination: '0.0.0.0/0', type: 'unicast', table: 254, gateway: '10.9.0.2', ifindex: v0, source: undefined, metric: 50 });
    await route.call('addRoute', { destination: '172.16.0.0/12', interface: 'v0', source: '10.9.0.1' });
    await route.call('addRoute', { destination: '172.16.0.0/12', gateway: '10.9.0.2' });
    expect(ip('route', 'show', '172.16.0.0/12').trim()).toBe('172.16.0.0/12 via 10.9.0.2 dev v0 proto static');
    const routes = await route.call('routes') as Route[];
    expect(routes.filter(({ table, destination }) => table === 254 && destination === '172.16.0.0/12')).toHaveLength(1);
    expect(routes.some(({ table, destination, type }) => table === 255 && destination === '10.9.0.1/32' && type === 'local')).toBe(true);
    await route.call('removeRoute', { destination: '172.16.0.0/12', gateway: '10.9.0.2' });
    await route.next<[Route, Change]>('route', ({ destination }, change) => destination === '172.16.0.0/12' && change === 'removed');
    await expect(route.call('removeRoute', { destination: '172.16.0.0/12' })).rejects.toMatchObject({ code: 'ESRCH' });
  });

  test('a table beyond 255 and a gateway that is only on the link', async () => {
    await route.call('addRoute', { destination: '192.0.2.0/24', gateway: '198.51.100.1', interface: 'v0', onLink: true, table: 1000 });
    expect(ip('route', 'show', 'table', '1000')).toContain('192.0.2.0/24 via 198.51.100.1 dev v0 proto static onlink');
    expect((await route.call('routes') as Route[]).find(({ table }) => table === 1000)).toMatchObject({ destination: '192.0.2.0/24' });
  });

  test('the kernel\'s own words reach the error', async () => {
    await expect(route.call('addRoute', { destination: '192.0.2.0/24', gateway: '198.51.100.1' })).rejects.toMatchObject({
      name: 'SystemError', code: 'ENETUNREACH', operation: 'RTM_NEWROUTE 192.0.2.0/24', message: expect.stringContaining('Nexthop has invalid gateway'),
    });
  });
});

describe('netlink/neighbour', () => {
  test('entries are set, overwritten and removed', async () => {
    await route.call('setNeighbour', 'v0', '10.9.0.50', '02:00:00:00:00:50');
    await route.call('setNeighbour', v0, '10.9.0.50', '02:00:00:00:00:51', 'REACHABLE');
    expect(ip('neighbour', 'show', '10.9.0.50')).toContain('lladdr 02:00:00:00:00:51 REACHABLE');
    const [set] = await route.next<[Neighbour, Change]>('neighbour', ({ mac }) => mac === '02:00:00:00:00:51');
    expect(set).toEqual({ ifindex: v0, address: '10.9.0.50', mac: '02:00:00:00:00:51', state: 'REACHABLE' });
    await route.call('removeNeighbour', 'v0', '10.9.0.50');
    expect(ip('neighbour', 'show', '10.9.0.50')).not.toContain('lladdr');
    await expect(route.call('removeNeighbour', 'v0', '10.9.0.51')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a probe makes the kernel resolve, without any packet to send', async () => {
    await route.call('probeNeighbour', 'v0', '10.9.0.2');
    const [neighbour] = await route.next<[Neighbour, Change]>('neighbour', ({ address, state }) => address === '10.9.0.2' && state === 'REACHABLE');
    const mac = /link\/ether ([0-9a-f:]{17})/.exec(net.ip('nl-b', 'link', 'show', 'p0'))![1];
    expect(neighbour.mac).toBe(mac);
  });

  test('a probe of nobody fails, and a second one asks again', async () => {
    // One second per probe is the kernel's pace, not ours.
    net.ip('nl-a', 'ntable', 'change', 'name', 'arp_cache', 'dev', 'v0', 'mcast_probes', '1', 'retrans', '100');
    for (let attempt = 0; attempt < 2; attempt++) {
      await route.call('probeNeighbour', 'v0', '10.9.0.99');
      const [neighbour] = await route.next<[Neighbour, Change]>('neighbour', ({ address, state }) => address === '10.9.0.99' && state === 'FAILED');
      expect(neighbour.mac).toBeUndefined();
    }
  });
});

describe('netlink/channel', () => {
  test('requests made at once are answered in order, each with its own answer', async () => {
    const answers = await Promise.allSettled([
      route.call('links'), route.call('removeAddress', 'v0', '10.1.1.1/24'), route.call('neighbours'),
      route.call('addRoute', { destination: 'nonsense' }), route.call('routes'), route.call('addresses'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect((answers[0] as PromiseFulfilledResult<Link[]>).value.some(({ name }) => name === 'v0')).toBe(true);
    expect((answers[3] as PromiseRejectedResult).reason).toMatchObject({ name: 'RangeError', message: "'nonsense' is not an IPv4 address" });
    expect((answers[5] as PromiseFulfilledResult<Address[]>).value.some(({ address }) => address === '127.0.0.1')).toBe(true);
  });

  test('a dump stays complete while the table changes under it', async () => {
    const lines = Array.from({ length: 1500 }, (_, index) => `route add 10.30.${index >> 8}.${index & 255}/32 dev v0`);
    ipBatch(lines);
    const churn = spawn('ip', ['-n', net.name('nl-a'), '-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = new Promise((resolve) => churn.once('exit', resolve));
    churn.stdin.end(Array.from({ length: 3000 }, (_, index) => `route replace 10.31.0.${index % 250}/32 dev v${index % 2}`).join('\n'));
    let dumps = 0;
    let running = true;
    void ended.then(() => { running = false; });
    do {
      const routes = await route.call('routes') as Route[];
      expect(routes.filter(({ destination }) => destination.startsWith('10.30.'))).toHaveLength(1500);
      dumps += 1;
    } while (running);
    expect(dumps).toBeGreaterThan(0);
  }, 30_000);

  test('events that overflow the socket end in a resync, after which reading is exact', async () => {
    const blocked = await agent.create('RouteNetlink');
    await blocked.call('watch');
    // The agent's loop stands still while the kernel has more to say than the socket holds.
    const directory = temporaryDirectory();
    const busy = join(directory.path, 'busy');
    writeFileSync(busy, '');
    const unblocked = agent.call(0, 'blockWhileExists', [busy]);
    const flood = Array.from({ length: 30_000 }, (_, index) => `neighbour replace 10.40.0.${index % 200} lladdr 02:00:00:00:00:${(index % 250).toString(16).padStart(2, '0')} dev v0`);
    try {
      ipBatch(flood);
    } finally {
      directory.remove();
    }
    await unblocked;
    await blocked.next('resync');
    const neighbours = await blocked.call('neighbours') as Neighbour[];
    expect(neighbours.filter(({ address }) => address.startsWith('10.40.0.'))).toHaveLength(200);
    await blocked.call('close');
  }, 60_000);

  test('a closed channel rejects', async () => {
    const closed = await agent.create('RouteNetlink');
    await closed.call('close');
    await closed.call('close');
    await expect(closed.call('links')).rejects.toMatchObject({ code: 'ECANCELED', operation: 'RTM_GETLINK' });
  });
});
