import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BpfMap } from 'libbpf-ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Facts } from '../../../src/compile/facts.js';
import type { Change } from '../../../src/compile/plan.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { SecretKey } from '../../../src/config/key.js';
import type { Configuration } from '../../../src/config/schema.js';
import { unmountBpffs } from '../../../src/dataplane/bpffs.js';
import { Installation } from '../../../src/dataplane/installation.js';
import { checkLayout } from '../../../src/dataplane/layout-check.js';

/* The object in the kernel, on a BPF file system of its own; nothing is attached. */
const objectPath = new URL('../../../dist/bpf/floatgate.bpf.o', import.meta.url).pathname;

const text = `
gateway: { name: gw-a, id: 0 }
interfaces: { underlay: { name: underlay0 }, external: { name: external0 }, ha: { name: ha0 } }
peer: { address: 169.254.77.2 }
sync: { keyFile: /etc/floatgate/sync.key }
virtualRouters: [ { vrid: 51, address: 192.168.33.100 } ]
externalNetworks: [ { name: provider, subnet: 10.0.2.0/24, gateway: 10.0.2.1 } ]
routers:
  - name: tenant-a
    virtualRouter: 51
    externalNetwork: provider
    externalAddress: 10.0.2.201
    networks: [ { name: a-net, vni: 100, subnet: 172.16.100.0/24, gateway: 172.16.100.1, mac: "fa:16:3e:00:01:01" } ]
    floatingIps: [ { address: 10.0.2.215, network: a-net, fixedIp: 172.16.100.11 } ]
  - { name: tenant-b, virtualRouter: 51, externalNetwork: provider }
limits: { vms: 64, sessions: 1024, externalAddresses: 1, floatingIps: 16, forwardings: 16, networks: 16, routers: 16 }
`;

/** A devmap takes only interfaces that exist: the loopback one does everywhere. */
const ifindex = 1;
const facts: Facts = {
  interfaces: {
    underlay: { ifindex, mtu: 1600, mac: '02:00:00:00:00:01' as never, address: 0xc0a8210b as never, prefixLength: 24 },
    external: { ifindex, mtu: 1500, mac: '02:00:00:00:00:02' as never, address: 0x0a00020b as never, prefixLength: 24 },
    ha: { ifindex, mtu: 2000, mac: '02:00:00:00:00:03' as never, address: 0xa9fe4d01 as never, prefixLength: 24 },
  },
  key: new SecretKey([0x1111n, 0x2222n]),
};
const FLOATING_IP = 0x0a0002d7;
/** In external_addresses. */
const outside = (address: number, vlan = 0) => ({ vlan, address });
const TENANT_A = 0;
const TENANT_B = 1;

let directory: string;
let discarded: string[];
let open: Installation | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'floatgate-installation-'));
  discarded = [];
});

afterEach(() => {
  open?.dataPlane.close();
  open = undefined;
  unmountBpffs(join(directory, 'bpf'));
  rmSync(directory, { recursive: true });
});

function configurationOf(change: (text: string) => string = (same) => same): Configuration {
  const result = parseConfiguration(`${change(text)}\nstateDirectory: ${directory}\n`, 'test.yaml');
  if (result.configuration === undefined) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result.configuration;
}

/** As a new process would: the earlier one's descriptors are gone. */
function start(configuration: Configuration = configurationOf()): Installation {
  open?.dataPlane.close();
  open = Installation.open({ objectPath, configuration, facts, checkLayout, onDiscard: (sentence) => void discarded.push(sentence) });
  return open;
}

describe('an installation', () => {
  it('puts the configuration into the maps', () => {
    const { maps, roles } = start().dataPlane;
    expect(maps.gateways.get(0)).toMatchObject({ id: 0, syncMode: 2, key: [0x1111n, 0x2222n], haAddress: 0xa9fe4d01, peerAddress: 0xa9fe4d02 });
    expect(maps.interfaces.get(1)).toEqual({ ifindex, mtu: 1500, address: 0x0a00020b, mac: Buffer.from('020000000002', 'hex'), vlan: 0 });
    expect(maps.virtualRouters.get(51)).toMatchObject({ address: 0xc0a82164, mac: Buffer.from('00005e000133', 'hex'), state: 0 });
    const floating = maps.externalAddresses.get(outside(FLOATING_IP));
    expect(floating).toMatchObject({ kind: 1, router: TENANT_A });
    expect(maps.vms.get(floating!.index)).toMatchObject({ vni: 100, address: 0xac10640b, floatingIp: FLOATING_IP, network: maps.networkByVni.get(100) });
    expect(roles.read(51)).toMatchObject({ state: 0, term: 0 });
  });

  it('takes other keys on the fly, and keeps the seed that sessions are found by', async () => {
    const installation = start();
    const { seed } = installation.dataPlane.readGateway();
    expect(seed).not.toEqual([0n, 0n]);
    const [old, next] = [new SecretKey([0x1111n, 0x2222n]), new SecretKey([0x3333n, 0x4444n])];
    const keysAfter = async (keys: Pick<Facts, 'key' | 'otherKey'>): Promise<object> => {
      const prepared = await installation.prepare(configurationOf(), { ...facts, ...keys });
      await installation.carryOut(prepared);
      return { changes: prepared.changes.length, gateway: installation.dataPlane.readGateway() };
    };
    expect(await keysAfter({ key: old, otherKey: next })).toMatchObject({ changes: 1, gateway: { key: old.words(), otherKey: next.words(), seed } });
    expect(await keysAfter({ key: next, otherKey: old })).toMatchObject({ changes: 1, gateway: { key: next.words(), otherKey: old.words(), seed } });
    expect(await keysAfter({ key: next })).toMatchObject({ changes: 1, gateway: { key: next.words(), otherKey: [0n, 0n], seed } });
    expect(await keysAfter({ key: next, otherKey: undefined })).toMatchObject({ changes: 0 });
  });

  it('is adopted with roles, learned endpoints, next hops and epoch', () => {
    const first = start();
    const { index } = first.dataPlane.maps.externalAddresses.get(outside(FLOATING_IP))!;
    const { epoch } = first.dataPlane.readGateway();
    first.dataPlane.roles.setRole(51, { state: 2, term: 7 });
    first.dataPlane.maps.vms.set(index, { ...first.dataPlane.maps.vms.get(index)!, tunnelEndpoint: 0xc0a8211f });
    first.dataPlane.maps.externalNetworks.set(0, { ...first.dataPlane.maps.externalNetworks.get(0)!, gatewayMac: Buffer.alloc(6, 9) });
    const second = start();
    expect(second.dataPlane.adopted).toBe(true);
    expect(second.dataPlane.roles.read(51)).toMatchObject({ state: 2, term: 7 });
    expect(second.dataPlane.maps.vms.get(index)).toMatchObject({ tunnelEndpoint: 0xc0a8211f, floatingIp: FLOATING_IP });
    expect(second.dataPlane.maps.externalNetworks.get(0)!.gatewayMac).toEqual(Buffer.alloc(6, 9));
    expect(second.dataPlane.readGateway().epoch).toBe(epoch);
    expect(discarded).toEqual([]);
  });

  /** As a reload does it. @returns the number of changes */
  async function change(installation: Installation, configuration: Configuration): Promise<number> {
    const prepared = await installation.prepare(configuration, facts);
    await installation.carryOut(prepared);
    return prepared.changes.length;
  }

  it('changes only what differs, and takes away what is gone', async () => {
    const installation = start();
    const moved = configurationOf((all) => all.replace('10.0.2.215', '10.0.2.216'));
    expect(await change(installation, configurationOf())).toBe(0);
    expect(await change(installation, moved)).toBeGreaterThan(0);
    const { maps } = installation.dataPlane;
    expect(maps.externalAddresses.get(outside(FLOATING_IP))).toBeUndefined();
    const { index } = maps.externalAddresses.get(outside(FLOATING_IP + 1))!;
    expect(maps.vms.get(index)!.floatingIp).toBe(FLOATING_IP + 1);
    await change(installation, configurationOf((all) => all.replace(/ {4}floatingIps.*\n/, '')));
    expect(maps.externalAddresses.get(outside(FLOATING_IP + 1))).toBeUndefined();
    expect(maps.vms.get(index)!.floatingIp).toBe(0);
  });

  const routed = configurationOf.bind(undefined, (all) => all
    .replace('externalAddress: 10.0.2.201', 'externalAddresses: [ 10.0.2.201 ]\n    routes: [ { destination: 10.99.0.0/16, via: 172.16.100.9 } ]')
    .replace('gateway: 10.0.2.1 }', 'vlan: 12, subnets: [ 198.51.100.0/24 ], gateway: 10.0.2.1 }')
    .replace('fixedIp: 172.16.100.11 } ]', 'fixedIp: 172.16.100.11 } ]\n    portForwardings: [ { protocol: tcp, port: 8080, fixedPort: 80, network: a-net, fixedIp: 172.16.100.12 } ]'));

  it('puts routes, pools and port forwardings into the maps, and takes them away', async () => {
    const installation = start(routed());
    const { maps } = installation.dataPlane;
    expect(maps.externalNetworks.get(0)).toMatchObject({ vlan: 12, flags: 1 });
    expect(maps.externalAddresses.get(outside(FLOATING_IP, 12))).toMatchObject({ kind: 1 });
    expect(maps.routers.get(TENANT_A)).toMatchObject({ pool: 0, poolSize: 1, innerPrefix: 0, innerMask: 0 });
    expect([...maps.routes.entries()].map(([{ prefixLength }]) => prefixLength).sort()).toEqual([48, 56, 56, 56]);
    const vm = maps.vmByAddress.get({ vni: 100, address: 0xac10640c })!;
    expect(maps.vms.get(vm)).toMatchObject({ flags: 4, staticMappingCount: 1 });
    expect(maps.forwardings.get({ vm, protocol: 0, internalPort: 80 })).toEqual({ externalAddress: 0x0a0002c9, externalPort: 8080 });
    expect(await change(installation, routed())).toBe(0);
    await change(installation, configurationOf());
    expect(maps.forwardings.get({ vm, protocol: 0, internalPort: 80 })).toBeUndefined();
    expect(maps.vms.get(vm)).toMatchObject({ flags: 0, staticMappingCount: 0 });
    expect([...maps.routes.entries()]).toHaveLength(1);
    expect(maps.externalAddresses.get(outside(FLOATING_IP, 12))).toBeUndefined();
    expect(maps.externalAddresses.get(outside(FLOATING_IP))).toMatchObject({ kind: 1 });
  });

  it('is adopted with its port forwardings and counters', () => {
    start(routed());
    const { maps } = start(routed()).dataPlane;
    const vm = maps.vmByAddress.get({ vni: 100, address: 0xac10640c })!;
    expect(maps.vms.get(vm)).toMatchObject({ flags: 4, staticMappingCount: 1 });
    expect(maps.vms.get(maps.externalAddresses.get(outside(FLOATING_IP, 12))!.index)!.floatingIpCounter).toBe(1);
  });

  it('refuses a change that needs a restart, and changes nothing', async () => {
    const installation = start();
    const larger = configurationOf((all) => all.replace('vms: 64', 'vms: 128').replace('10.0.2.215', '10.0.2.216'));
    await expect(installation.prepare(larger, facts)).rejects.toThrow(/limits\.vms has changed from 64 to 128/);
    expect(installation.dataPlane.maps.externalAddresses.get(outside(FLOATING_IP))).toBeDefined();
  });

  it('goes back to what was in force when the kernel refuses a step', async () => {
    const installation = start();
    const { maps } = installation.dataPlane;
    const before = maps.externalAddresses.get(outside(FLOATING_IP))!;
    const moved = configurationOf((all) => all.replace('10.0.2.215', '10.0.2.216').replace('10.0.2.0/24, gateway: 10.0.2.1', '10.0.2.0/24, gateway: 10.0.2.2'));
    const prepared = await installation.prepare(moved, facts);
    // As when VMs that were learned have taken every slot: the last step of all.
    const refused: Change = { operation: 'bindFloatingIp', address: 0x0a0002d9 as never, vlan: 0, segment: 4_000_000, fixedIp: 1 as never, router: 0 };
    await expect(installation.carryOut({ ...prepared, changes: [...prepared.changes, refused] })).rejects.toThrow(/^bindFloatingIp failed/);
    expect(maps.externalAddresses.get(outside(FLOATING_IP))).toEqual(before);
    expect(maps.externalAddresses.get(outside(FLOATING_IP + 1))).toBeUndefined();
    expect(maps.vms.get(before.index)!.floatingIp).toBe(FLOATING_IP);
    expect(maps.externalNetworks.get(0)!.gateway).toBe(0x0a000201);
    expect(await change(installation, configurationOf())).toBe(0);
  });

  /** A reload whose daemon is killed before it has said that the maps hold the new configuration. */
  async function dieInReload(configuration: Configuration): Promise<void> {
    const [file, installation] = [join(directory, 'checkpoint.json'), start()];
    const before = readFileSync(file);
    await change(installation, configuration);
    renameSync(file, `${file}.next`);
    writeFileSync(file, before);
  }

  const withAnother = configurationOf.bind(undefined, (all) => all.replace('fixedIp: 172.16.100.11 } ]', 'fixedIp: 172.16.100.11 }, { address: 10.0.2.216, network: a-net, fixedIp: 172.16.100.12 } ]'));

  it('takes back what a daemon had begun that died on the way, where the next one is told something else', async () => {
    await dieInReload(withAnother());
    const { maps } = start(configurationOf((all) => all.replace('10.0.2.215', '10.0.2.217'))).dataPlane;
    expect([...maps.externalAddresses.entries()].map(([{ address }]) => address).sort()).toEqual([0x0a0002c9, FLOATING_IP + 2]);
    expect(maps.vms.get(maps.vmByAddress.get({ vni: 100, address: 0xac10640c })!)!.floatingIp).toBe(0);
    expect(existsSync(join(directory, 'checkpoint.json.next'))).toBe(false);
  });

  it('goes on with it where the next daemon is told the same', async () => {
    await dieInReload(withAnother());
    const installation = start(withAnother());
    expect(await change(installation, withAnother())).toBe(0);
    expect(installation.dataPlane.maps.externalAddresses.get(outside(FLOATING_IP + 1))).toMatchObject({ kind: 1 });
  });

  it('lets the event loop turn while it changes much', async () => {
    const many = (all: string): string => all.replace('floatingIps: 16', 'floatingIps: 4096').replace('vms: 64', 'vms: 4096').replace('10.0.2.0/24', '10.0.0.0/16');
    const installation = start(configurationOf(many));
    const bound = Array.from({ length: 4000 }, (_, i) => `{ address: 10.0.${16 + (i >> 8)}.${i & 255}, network: a-net, fixedIp: 172.16.${i >> 8}.${i & 255} }`);
    const wide = configurationOf((all) => many(all).replace('172.16.100.0/24', '172.16.0.0/16').replace(/floatingIps: \[.*/, `floatingIps: [ ${bound.slice(1).join(', ')} ]`));
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 1);
    expect(await change(installation, wide)).toBeGreaterThan(3999);
    clearInterval(turning);
    expect(turns).toBeGreaterThan(3);
  });

  it('keeps the index of every router over a restart with another order', () => {
    start();
    const swapped = configurationOf((all) => {
      const b = '  - { name: tenant-b, virtualRouter: 51, externalNetwork: provider }\n';
      return all.replace(b, '').replace('routers:\n', `routers:\n${b}`);
    });
    const { indexes } = start(swapped).state;
    expect([indexes.routers.held.get('tenant-a'), indexes.routers.held.get('tenant-b')]).toEqual([TENANT_A, TENANT_B]);
  });

  it('gives up maps of other sizes, and says why', () => {
    start();
    const second = start(configurationOf((all) => all.replace('vms: 64', 'vms: 128')));
    expect(second.dataPlane.adopted).toBe(false);
    expect(discarded).toEqual([expect.stringMatching(/limits\.vms was 64 and is 128/)]);
  });

  /** Puts another map where the earlier daemon's was, as another version would have. */
  function repin(name: string, change: { maxEntries?: number; valueSize?: number }): void {
    open!.dataPlane.close();
    open = undefined;
    const pinPath = join(directory, 'bpf', 'maps', name);
    const pinned = BpfMap.openPinned(pinPath);
    const { type, keySize, valueSize, maxEntries, flags } = pinned.info;
    rmSync(pinPath);
    BpfMap.create({ type, name, keySize, valueSize, maxEntries, flags, ...change }).pin(pinPath);
  }

  it('counts anew when another version counted other reasons', () => {
    start();
    repin('counters', { maxEntries: 3 });
    const second = start();
    expect(second.dataPlane.adopted).toBe(true);
    expect(BpfMap.openPinned(join(directory, 'bpf', 'maps', 'counters')).info.maxEntries).toBe(second.dataPlane.counters.readAll().size);
  });

  it('refuses maps whose bytes mean something else, naming the map and the way out', () => {
    start();
    repin('vms', { valueSize: 96 });
    expect(() => start()).toThrow(/cannot be adopted, map vms: .*192 bytes here, 96 bytes in the pinned map: run `floatgate detach`/);
  });

  it('does not trust maps without an account of them', () => {
    start();
    rmSync(join(directory, 'checkpoint.json'));
    expect(start().dataPlane.adopted).toBe(false);
  });

  it('has a later epoch with every fresh set of maps', () => {
    const { epoch } = start().dataPlane.readGateway();
    writeFileSync(join(directory, 'checkpoint.json'), 'torn');
    expect(start().dataPlane.readGateway().epoch).toBeGreaterThan(epoch);
  });

  it('writes no key to disk', () => {
    start();
    const checkpoint = readFileSync(join(directory, 'checkpoint.json'), 'utf8');
    expect(checkpoint).not.toMatch(/1111|4369|8738|secret/i);
  });

  it('without a key has one that nobody can guess', () => {
    const solo = configurationOf((all) => all.replace(/peer:.*\n/, '').replace(/sync:.*\n/, ''));
    open = Installation.open({ objectPath, configuration: solo, facts: { ...facts, key: undefined }, checkLayout, onDiscard: () => undefined });
    const { key } = open.dataPlane.readGateway();
    expect(key.every((word) => word === 0n)).toBe(false);
  });

  it('seals frames with its epoch and a sequence that grows over restarts', () => {
    const seal = (): Buffer => open!.dataPlane.seal(Buffer.alloc(14 + 20 + 8 + 32 + 4))!;
    start();
    const first = seal();
    start();
    const second = seal();
    expect(first.readUInt32BE(42 + 8)).toBe(open!.dataPlane.readGateway().epoch);
    expect(second.readBigUInt64BE(42 + 16)).toBe(first.readBigUInt64BE(42 + 16) + 1n);
    expect(second.readBigUInt64BE(42 + 24)).not.toBe(first.readBigUInt64BE(42 + 24));
  });

  it('walks tables that hold nothing to their end', () => {
    const { dataPlane } = start();
    for (const [kind, program] of [[0, 'bulk_xdp'], [1, 'age_xdp']] as const) {
      dataPlane.rewindWalk(kind);
      let steps = 0;
      while (dataPlane.stepWalk(program, Buffer.alloc(938)).kind === 'Nothing') steps += 1;
      expect(steps).toBeLessThan(100);
    }
  });
});
