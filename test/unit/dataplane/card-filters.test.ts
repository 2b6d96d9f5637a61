import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeFilters, openFilters } from '../../../src/dataplane/card-filters.js';
import type { FilterAddress } from '../../../src/dataplane/card-filters.js';

let directory: string;
let account: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'floatgate-filters-'));
  account = join(directory, 'card-filters.json');
});

afterEach(() => rmSync(directory, { recursive: true }));

const address = (name: string, ifindex: number, mac: string): FilterAddress => ({ name, ifindex, mac });
const [one, two, outside] = [address('ens4', 4, '00:00:5e:00:01:33'), address('ens4', 4, '00:00:5e:00:01:34'), address('ens5', 5, '00:00:5e:00:01:33')];

/** Cards, as the kernel has them. `mute`: take no address. */
function setUp({ mute = [] as number[], stubborn = false } = {}) {
  const links = new Map([[4, { index: 4, name: 'ens4', promiscuous: false }], [5, { index: 5, name: 'ens5', promiscuous: false }]]);
  const filters = new Set<string>();
  const said: string[] = [];
  const ports = {
    links: async () => [...links.values()],
    addUnicastAddress: async (ifindex: number, mac: string) => {
      if (mute.includes(ifindex)) throw new Error('Operation not supported');
      return filters.size !== filters.add(`${ifindex} ${mac}`).size;
    },
    removeUnicastAddress: async (ifindex: number, mac: string) => {
      if (!filters.delete(`${ifindex} ${mac}`)) throw new Error('No such file or directory');
    },
    setLink: async (ifindex: number, { promiscuous }: { readonly promiscuous: boolean }) => {
      if (stubborn) throw new Error('Operation not permitted');
      links.set(ifindex, { ...links.get(ifindex)!, promiscuous });
    },
  };
  const log = { warn: (sentence: string) => void said.push(`warn ${sentence}`), error: (sentence: string) => void said.push(`error ${sentence}`) };
  const promiscuous = (): string[] => [...links.values()].filter((link) => link.promiscuous).map(({ name }) => name);
  return { links, filters, ports, log, promiscuous, follow: async (...wanted: FilterAddress[]) => openFilters(account, wanted, ports, log), said };
}

describe("the cards' filters", () => {
  it('let each virtual MAC in on each side, and are told nothing twice', async () => {
    const { follow, filters, said } = setUp();
    await follow(one, outside);
    await follow(one, outside);
    expect([...filters]).toEqual(['4 00:00:5e:00:01:33', '5 00:00:5e:00:01:33']);
    expect(said).toEqual([]);
  });

  it('lose what a configuration has no longer, and at the end the rest', async () => {
    const { follow, filters, ports } = setUp();
    await follow(one, two, outside);
    await follow(two, outside);
    expect([...filters]).toEqual(['4 00:00:5e:00:01:34', '5 00:00:5e:00:01:33']);
    await closeFilters(account, ports);
    expect([...filters]).toEqual([]);
    expect(existsSync(account)).toBe(false);
    await closeFilters(account, ports);
  });

  it('keep what somebody else has let in', async () => {
    const { follow, filters, ports } = setUp();
    filters.add('4 00:00:5e:00:01:33');
    await follow(one, two);
    await closeFilters(account, ports);
    expect([...filters]).toEqual(['4 00:00:5e:00:01:33']);
  });

  it('are set again when the kernel has forgotten them', async () => {
    const { follow, filters, ports } = setUp();
    await follow(one);
    filters.clear();
    await follow(one);
    expect([...filters]).toEqual(['4 00:00:5e:00:01:33']);
    await closeFilters(account, ports);
    expect([...filters]).toEqual([]);
  });

  it('that take no address are opened for all, with a warning, until nothing is wanted there', async () => {
    const { follow, filters, promiscuous, said, ports } = setUp({ mute: [5] });
    await follow(one, outside, { ...outside, mac: two.mac });
    await follow(one, outside);
    expect([[...filters], promiscuous()]).toEqual([['4 00:00:5e:00:01:33'], ['ens5']]);
    expect(said).toEqual(['warn interface ens5 is promiscuous now, for it takes no further unicast address: Operation not supported']);
    await follow(one);
    expect(promiscuous()).toEqual([]);
    await follow(outside);
    await closeFilters(account, ports);
    expect(promiscuous()).toEqual([]);
  });

  it('that somebody else has opened for all stay open', async () => {
    const { follow, links, promiscuous, ports, said } = setUp({ mute: [5] });
    links.set(5, { ...links.get(5)!, promiscuous: true });
    await follow(outside);
    await closeFilters(account, ports);
    expect([promiscuous(), said]).toEqual([['ens5'], []]);
  });

  it('that cannot be opened are told, with what to do', async () => {
    const { follow, said } = setUp({ mute: [4], stubborn: true });
    await follow(one);
    expect(said).toEqual(['error interface ens4 may drop frames for the virtual MAC (ip link set dev ens4 promisc on): Operation not supported; Operation not permitted']);
  });

  it('of an interface that has gone, or whose number another has, are left alone', async () => {
    const { follow, links, filters, ports } = setUp();
    await follow(one, outside);
    links.set(4, { ...links.get(4)!, name: 'ens9' });
    links.delete(5);
    await closeFilters(account, ports);
    expect(filters.size).toBe(2);
    expect(existsSync(account)).toBe(false);
  });

  it('are set whatever has become of the account', async () => {
    const { follow, filters } = setUp();
    writeFileSync(account, '[{');
    await follow(one);
    expect(filters.size).toBe(1);
    rmSync(directory, { recursive: true });
    const { follow: again, said } = setUp();
    await again(one);
    expect(said).toEqual([expect.stringMatching(/^error what the cards let in will not be taken back: ENOENT/)]);
    directory = mkdtempSync(join(tmpdir(), 'floatgate-filters-'));
  });
});
