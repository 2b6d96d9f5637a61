/** The Vagrantfile is valid and describes the lab. Its machines are not started here. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { machines, outwardInterfaces, partOn } from '../../src/lab/machine.js';
import { topology } from '../../src/lab/topology.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const VAGRANT_TIME_LIMIT_MS = 120_000;

describe('Vagrantfile/vagrant', () => {
  let home: string;

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'floatgate-vagrant-'));
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** Nothing of this user's, nothing from the network, and nothing left in the clone. */
  function validate(args: readonly string[], env: Record<string, string> = {}): { status: number | null; output: string } {
    const own = { VAGRANT_HOME: join(home, 'home'), VAGRANT_DOTFILE_PATH: join(home, 'dotfiles'), VAGRANT_CHECKPOINT_DISABLE: '1' };
    const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...own, ...env }, timeout: VAGRANT_TIME_LIMIT_MS } as const;
    const { status, stdout, stderr } = spawnSync('vagrant', ['validate', ...args], options);
    return { status, output: `${stdout}${stderr}` };
  }

  it('validate/for libvirt', () => {
    const { status, output } = validate([], { VAGRANT_DEFAULT_PROVIDER: 'libvirt' });
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('validated successfully') });
  }, VAGRANT_TIME_LIMIT_MS);

  // Where neither VirtualBox nor the libvirt plugin is, Vagrant itself refuses to look at provider settings.
  it('validate/without a provider', () => {
    const { status, output } = validate(['--ignore-provider']);
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('validated successfully') });
  }, VAGRANT_TIME_LIMIT_MS);
});

describe('Vagrantfile/topology', () => {
  const text = readFileSync(join(ROOT, 'Vagrantfile'), 'utf8');
  const cards = new Map([...text.matchAll(/^  '([\w-]+)' => \{((?: '\w+' => '[\da-f:]+',?)+) \},$/gm)].map(([, name, list]) => [name!, cardsIn(list!)]));

  it('cards/every machine has those that its part of the lab needs', () => {
    expect([...cards.keys()].sort()).toEqual([...machines.keys()].sort());
    for (const [name, own] of cards) expect([...own.keys()].sort(), name).toEqual(outwardInterfaces(partOn(name)).sort());
  });

  it('cards/their addresses are unique, unicast and locally administered', () => {
    const addresses = [...cards.values()].flatMap((own) => [...own.values()]);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const address of addresses) expect(address).toMatch(/^[\da-f][26ae](:[\da-f]{2}){5}$/);
  });

  it('networks/have the MTU of the links that they stand for', () => {
    const mtus = [...text.matchAll(/'(\w+)' => \{ name: '[\w-]+', mtu: (\d+) \}/g)].map(([, name, mtu]) => [name!, Number(mtu)] as const);
    expect(mtus.map(([name]) => name).sort()).toEqual(['external0', 'ha0', 'trunk0', 'underlay0']);
    for (const [name, mtu] of mtus) {
      for (const link of topology.links.filter(({ ends }) => ends.some((end) => end.interface === name))) expect(link.mtuBytes, name).toBe(mtu);
    }
  });

  it('parts/every node but the switches is on one machine', () => {
    const placed = [...machines.values()].flat().sort();
    expect(placed).toEqual(topology.nodes.filter(({ kind }) => kind !== 'switch').map(({ name }) => name).sort());
  });

  it('parts/links between nodes of one machine stay there', () => {
    expect(outwardInterfaces(partOn('compute-1'))).toEqual(['underlay0']);
    expect(partOn('compute-1').nodes.map(({ name }) => name)).toEqual(['compute-1', 'vm-a1', 'vm-b2', 'vm-c1']);
    expect(() => partOn('compute-3')).toThrow("the lab has no machine 'compute-3': gw-a, gw-b, compute-1, compute-2, outside");
  });
});

function cardsIn(list: string): Map<string, string> {
  return new Map([...list.matchAll(/'(\w+)' => '([\da-f:]+)'/g)].map(([, name, mac]) => [name!, mac!]));
}
