import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import { externalKey, routeKey } from '../../../src/compile/contents.js';
import type { CompiledState } from '../../../src/compile/compile.js';
import { plan } from '../../../src/compile/plan.js';
import type { Change } from '../../../src/compile/plan.js';
import { segmentOf } from '../../../src/compile/routers.js';
import type { Configuration } from '../../../src/config/schema.js';
import { example, exampleWith } from '../config/example.js';
import { MapsModel } from './model.js';
import { anyConfiguration, facts, ip, key, parse } from './states.js';

/** Each compiled on top of the one before. */
function compileAll(configurations: readonly Configuration[]): CompiledState[] {
  const states: CompiledState[] = [];
  for (const configuration of configurations) states.push(compile(configuration, facts, states.at(-1)));
  return states;
}

/** Who has a VNI: by name, for an index may pass to another. */
function ownersOfVnis({ routers }: Configuration): Map<number, string> {
  return new Map(routers.flatMap(({ name, networks }) => networks.map((network) => [segmentOf(network), name] as const)));
}

const history = fc.array(anyConfiguration, { minLength: 2, maxLength: 8 });

describe('plan/any history of configurations', () => {
  it('applied to maps that hold the previous state/they hold the next one', () => {
    fc.assert(
      fc.property(history, (configurations) => {
        let previous: CompiledState | undefined;
        const model = new MapsModel();
        for (const state of compileAll(configurations)) {
          for (const change of plan(previous, state)) model.apply(change);
          expect(model.contents()).toEqual(MapsModel.of(state).contents());
          previous = state;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('nothing has changed/no steps', () => {
    fc.assert(
      fc.property(history, (configurations) => {
        const state = compileAll(configurations).at(-1)!;
        expect(plan(state, compile(configurations.at(-1)!, { ...facts, key: key() }, state))).toEqual([]);
      }),
    );
  });

  it('objects that stay/keep their index; no index has two holders', () => {
    fc.assert(
      fc.property(history, (configurations) => {
        const states = compileAll(configurations);
        states.forEach(({ indexes }, position) => {
          for (const [table, { held }] of Object.entries(indexes)) {
            expect(new Set(held.values()).size).toBe(held.size);
            const before = states[position - 1]?.indexes[table as keyof typeof indexes];
            for (const [holder, index] of before?.held ?? []) if (held.has(holder)) expect(held.get(holder)).toBe(index);
          }
        });
      }),
    );
  });

  it('on the way/what stays is never interrupted, and no tenant leaves through another', () => {
    fc.assert(
      fc.property(history, (configurations) => {
        const states = compileAll(configurations);
        for (let position = 1; position < states.length; position++) {
          const [before, after] = [configurations[position - 1]!, configurations[position]!];
          const kept = keptAddresses(before, after);
          const model = MapsModel.of(states[position - 1]!);
          for (const change of plan(states[position - 1]!, states[position]!)) {
            model.apply(change);
            checkTenants(model, before, after, change);
            for (const address of kept) expect(model.map('external_addresses').has(address), `address after ${change.operation}`).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('maps of a daemon that died half way through any plan/everything written again sets them right', () => {
    fc.assert(
      fc.property(history, fc.nat(), (configurations, stop) => {
        const [previous, next] = compileAll(configurations).slice(-2) as [CompiledState, CompiledState];
        const changes = plan(previous, next);
        const model = MapsModel.of(previous);
        for (const change of changes.slice(0, stop % (changes.length + 1))) model.apply(change);
        for (const change of plan(previous, next, 'everything')) applyAgain(model, change);
        expect(model.contents()).toEqual(MapsModel.of(next).contents());
      }),
      { numRuns: 150 },
    );
  });
});

/** Removing twice is no error in the kernel. */
function applyAgain(model: MapsModel, change: Change): void {
  if (change.operation === 'remove' && !model.map(change.map).has(change.key)) return;
  if (change.operation === 'clearVm' && !model.map('network_by_vni').has(change.segment)) return;
  model.apply(change);
}

/** Floating IPs and shared addresses that one router has before and after, whatever else happens. */
function keptAddresses(before: Configuration, after: Configuration): string[] {
  const now = new Set(ownedAddresses(after).map(({ owned }) => owned));
  return ownedAddresses(before).flatMap(({ owned, address }) => (now.has(owned) ? [address] : []));
}

function ownedAddresses({ routers, externalNetworks }: Configuration): { owned: string; address: string }[] {
  return routers.flatMap(({ name, externalNetwork, externalAddresses, floatingIps }) => {
    const vlan = externalNetworks.find((network) => network.name === externalNetwork)!.vlan;
    const own = (how: string, address: number) => ({ owned: `${name} ${how} ${vlan}/${address}`, address: `${vlan}/${address}` });
    return [...externalAddresses.map((address) => own('shares', address)), ...floatingIps.map(({ address }) => own('floats', address))];
  });
}

function checkTenants(model: MapsModel, before: Configuration, after: Configuration, change: Change): void {
  const [old, now] = [ownersOfVnis(before), ownersOfVnis(after)];
  for (const vni of new Set([...old.keys(), ...now.keys()])) {
    const router = model.routerOf(vni);
    const owners = [old.get(vni), now.get(vni)];
    if (owners[0] === owners[1]) expect(router, `VNI ${vni} after ${change.operation}`).toBeDefined();
    // Its router may still have its last address, or already its next one.
    const pools = [before, after].flatMap(({ routers }) => routers.filter(({ name }) => owners.includes(name)).map(({ externalAddresses }) => externalAddresses.join()));
    // None while an address passes to another router.
    pools.push('');
    if (router !== undefined) expect(pools, `pool of VNI ${vni} after ${change.operation}`).toContain(model.poolOf(router).join());
  }
}

const initial = compile(parse(example), facts);

/** What one edit of the example leads to. */
function changesAfter(from: string, to: string): Change[] {
  return plan(initial, compile(parse(exampleWith(from, to)), facts, initial));
}

const vm = { segment: 200, address: ip('172.16.100.11'), floatingIp: ip('10.0.2.216'), floatingIpCounter: 2, flags: 0, tunnelEndpoint: 0, mac: Buffer.alloc(6) };
const floatingIp = { address: ip('10.0.2.216'), vlan: 0, segment: 200, fixedIp: ip('172.16.100.11'), router: 1 };

describe('plan/one edit', () => {
  it('floating IP added/its VM, then the way in, nothing else', () => {
    const to = '{ address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 }, { address: 10.0.2.217, network: b-net, fixedIp: 172.16.100.12 }';
    expect(changesAfter('{ address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 }', to)).toEqual([
      { operation: 'ensureVm', ...vm, address: ip('172.16.100.12'), floatingIp: ip('10.0.2.217'), floatingIpCounter: 3 },
      { operation: 'bindFloatingIp', ...floatingIp, address: ip('10.0.2.217'), fixedIp: ip('172.16.100.12') },
    ]);
  });

  it('floating IP removed/its address first, then its VM', () => {
    expect(changesAfter('[ { address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 } ]', '[]')).toEqual([
      { operation: 'remove', map: 'external_addresses', key: externalKey(0, ip('10.0.2.216')) },
      { operation: 'clearVm', segment: 200, address: ip('172.16.100.11') },
    ]);
  });

  it('floating IP given to another VM/bound there before it is cleared here, and goes on counting', () => {
    expect(changesAfter('network: b-net, fixedIp: 172.16.100.11', 'network: b-net, fixedIp: 172.16.100.12')).toEqual([
      { operation: 'ensureVm', ...vm, address: ip('172.16.100.12') },
      { operation: 'bindFloatingIp', ...floatingIp, fixedIp: ip('172.16.100.12') },
      { operation: 'clearVm', segment: 200, address: ip('172.16.100.11') },
    ]);
  });

  it('VM gets another floating IP/the old address goes, the VM is not cleared', () => {
    expect(changesAfter('10.0.2.216', '10.0.2.218')).toEqual([
      { operation: 'ensureVm', ...vm, floatingIp: ip('10.0.2.218'), floatingIpCounter: 3 },
      { operation: 'bindFloatingIp', ...floatingIp, address: ip('10.0.2.218') },
      { operation: 'remove', map: 'external_addresses', key: externalKey(0, ip('10.0.2.216')) },
    ]);
  });

  it('counter/set to zero for one that gets it after another', () => {
    const few = (text: string) => parse(text.replace('floatingIps: 65536', 'floatingIps: 16'));
    const numbered = (from: number): string => Array.from({ length: 15 }, (_, i) => `{ address: 10.0.2.${from + i}, network: b-net, fixedIp: 172.16.100.${20 + i} }`).join(', ');
    const [first, second] = [20, 40].map((from) => exampleWith('floatingIps: [ { address: 10.0.2.216, network: b-net, fixedIp: 172.16.100.11 } ]', `floatingIps: [ ${numbered(from)} ]`));
    const before = compile(few(first!), facts);
    const resets = plan(before, compile(few(second!), facts, before)).filter(({ operation }) => operation === 'resetCounter');
    // The table is full: all but that of tenant A pass to others.
    expect(resets).toEqual(Array.from({ length: 15 }, (_, i) => ({ operation: 'resetCounter', index: 2 + i })));
  });

  it('timeout/one entry', () => {
    const changes = changesAfter('udp: 300s', 'udp: 400s');
    expect(changes).toMatchObject([{ operation: 'write', map: 'gateways', key: 0, value: { udpTicks: 373 } }]);
  });

  it('key/one entry, and it does not show', () => {
    const changes = plan(initial, compile(parse(example), { ...facts, key: key('f'.repeat(32)) }, initial));
    expect(changes).toMatchObject([{ operation: 'write', map: 'gateways', key: 0 }]);
    expect(JSON.stringify(changes, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).toContain('"key":"[secret]"');
  });

  it('priority/what advertisements are compared with', () => {
    const value = { ...initial.maps.advertisement_rules.get(51)!, priority: 100 };
    expect(changesAfter('priority: 200', 'priority: 100')).toEqual([{ operation: 'write', map: 'advertisement_rules', key: 51, value }]);
  });

  it('order of routers and networks/nothing', () => {
    const configuration = parse(example);
    const turned = { ...configuration, routers: configuration.routers.toReversed().map((router) => ({ ...router, networks: router.networks.toReversed() })) };
    expect(plan(initial, compile(turned, facts, initial))).toEqual([]);
  });

  it("router's shared address/a run of its own before the router points to it, then the old one's ports", () => {
    expect(changesAfter('externalAddress: 10.0.2.202', 'externalAddress: 10.0.2.203')).toEqual([
      // One more address to walk.
      expect.objectContaining({ operation: 'write', map: 'gateways' }),
      { operation: 'write', map: 'snat_addresses', key: 2, value: { address: ip('10.0.2.203'), router: 1 } },
      { operation: 'write', map: 'pools', key: 2, value: 2 },
      { operation: 'write', map: 'routers', key: 1, value: { ...initial.maps.routers.get(1), externalAddress: ip('10.0.2.203'), pool: 2 } },
      { operation: 'write', map: 'external_addresses', key: externalKey(0, ip('10.0.2.203')), value: { kind: 2, index: 2, router: 1 } },
      { operation: 'remove', map: 'external_addresses', key: externalKey(0, ip('10.0.2.202')) },
      { operation: 'releaseAddressPorts', externalAddress: 1 },
      { operation: 'remove', map: 'pools', key: 1 },
      { operation: 'remove', map: 'snat_addresses', key: 1 },
    ]);
  });

  it('second shared address/nothing of the first is released', () => {
    const changes = changesAfter('externalAddress: 10.0.2.202', 'externalAddresses: [ 10.0.2.202, 10.0.2.203 ]');
    expect(changes.map(({ operation }) => operation)).not.toContain('releaseAddressPorts');
    expect(changes).toContainEqual(expect.objectContaining({ map: 'routers', value: expect.objectContaining({ pool: 2, poolSize: 2 }) }));
  });

  it('network added/the VNI comes last', () => {
    const changes = changesAfter('networks: [ { name: b-net', 'networks: [ { name: b-back, vni: 201, subnet: 172.16.102.0/24, gateway: 172.16.102.1, mac: "fa:16:3e:00:02:02" }, { name: b-net');
    expect(changes).toEqual([
      expect.objectContaining({ operation: 'write', map: 'routers', value: expect.objectContaining({ innerPrefix: ip('172.16.100.0'), innerMask: ip('255.255.252.0') }) }),
      expect.objectContaining({ operation: 'write', map: 'networks', key: 3 }),
      { operation: 'write', map: 'routes', key: routeKey(1, ip('172.16.102.0'), 24), value: { kind: 1, network: 3, via: 0 } },
      { operation: 'adoptVms', segment: 201, network: 3 },
      { operation: 'write', map: 'network_by_vni', key: 201, value: 3 },
    ]);
  });

  it('network removed/the ways to it go first', () => {
    const changes = changesAfter('      - { name: a-back, vni: 101, subnet: 172.16.101.0/24, gateway: 172.16.101.1, mac: FA:16:3E:00:01:02 }\n', '');
    expect(changes).toEqual([
      expect.objectContaining({ operation: 'write', map: 'routers', key: 0 }),
      { operation: 'remove', map: 'routes', key: routeKey(0, ip('172.16.101.0'), 24) },
      { operation: 'remove', map: 'network_by_vni', key: 101 },
      { operation: 'releaseNetworkPorts', segment: 101 },
      { operation: 'remove', map: 'networks', key: 1 },
    ]);
  });
});

describe('plan/port forwardings', () => {
  const web = 'protocol: tcp, network: b-net, fixedIp: 172.16.100.12';
  const withForwarding = (port: string, of = web): string =>
    exampleWith('network: b-net, fixedIp: 172.16.100.11 } ]', `network: b-net, fixedIp: 172.16.100.11 } ]\n    portForwardings: [ { ${of}, ${port} } ]`);
  const one = (port: number, fixedPort: number) => ({ mapping: 3 * 65_536 + port, address: ip('10.0.2.202'), port, protocol: 0, segment: 200, fixedIp: ip('172.16.100.12'), fixedPort });
  const bound = compile(parse(withForwarding('port: 8080, fixedPort: 80')), facts, initial);

  it('added/the VM first, then its port', () => {
    expect(plan(initial, bound)).toEqual([
      { operation: 'ensureVm', ...vm, address: ip('172.16.100.12'), floatingIp: 0, floatingIpCounter: 0, flags: 4 },
      { operation: 'bindForwarding', ...one(8080, 80) },
    ]);
  });

  it('removed/its port before anything else, then the VM', () => {
    expect(plan(bound, compile(parse(example.replace('udp: 300s', 'udp: 400s')), facts, bound))).toEqual([
      { operation: 'unbindForwarding', ...one(8080, 80) },
      expect.objectContaining({ operation: 'write', map: 'gateways' }),
      { operation: 'clearVm', segment: 200, address: ip('172.16.100.12') },
    ]);
  });

  it('given another port of the VM/never two ways back', () => {
    expect(plan(bound, compile(parse(withForwarding('port: 8080, fixedPort: 81')), facts, bound))).toEqual([
      { operation: 'unbindForwarding', ...one(8080, 80) },
      { operation: 'bindForwarding', ...one(8080, 81) },
    ]);
  });

  it('range/each port by itself', () => {
    const next = compile(parse(withForwarding('port: "8080-8082", fixedPort: "80-82"')), facts, bound);
    expect(plan(bound, next)).toEqual([
      { operation: 'bindForwarding', ...one(8081, 81) },
      { operation: 'bindForwarding', ...one(8082, 82) },
    ]);
  });

  it('address beside the pool/has mappings, and is given to no VM', () => {
    const { maps, runs } = compile(parse(withForwarding('address: 10.0.2.220, port: 80')), facts, initial);
    expect(maps.snat_addresses.get(2)).toEqual({ address: ip('10.0.2.220'), router: 1 });
    expect(maps.external_addresses.get(externalKey(0, ip('10.0.2.220')))).toEqual({ kind: 2, index: 2, router: 1 });
    expect(runs.get('tenant-b')!.members).toEqual([1]);
  });
});

describe('plan/needs a restart', () => {
  it.each([
    ['gateway id', 'id: 0', 'id: 1', 'gateway.id has changed from 0 to 1, which needs a restart.'],
    ['limit', 'vms: 16384', 'vms: 32768', 'limits.vms has changed from 16384 to 32768, which needs a restart.'],
    ['interface', 'name: external0', 'name: eth1', 'interfaces.external.name has changed from external0 to eth1, which needs a restart.'],
    ['interface mode', 'mode: auto', 'mode: native', 'interfaces.underlay.mode has changed from auto to native, which needs a restart.'],
    ['underlay VLAN', 'name: underlay0, mode: auto', 'name: underlay0, mode: auto, vlan: 7', 'interfaces.underlay.vlan has changed from 0 to 7, which needs a restart.'],
    ['state directory', '/run/floatgate/gw-a', '/run/elsewhere', 'stateDirectory has changed from /run/floatgate/gw-a to /run/elsewhere, which needs a restart.'],
  ])('%s/said in one sentence, and nothing else is done', (_, from, to, sentence) => {
    const configuration = parse(exampleWith(from, to).replace('udp: 300s', 'udp: 400s'));
    expect(plan(initial, compile(configuration, facts, initial))).toEqual([{ operation: 'restart', sentence }]);
  });

  it('ha interface taken away/said', () => {
    const text = exampleWith('  ha:       { name: ha0 }\n', '').replace('peer: { address: 169.254.77.2 }\n', '').replace('mode: strict', 'mode: none');
    const next = compile(parse(text), { interfaces: { underlay: facts.interfaces.underlay, external: facts.interfaces.external } }, initial);
    expect(plan(initial, next)).toEqual([{ operation: 'restart', sentence: 'interfaces.ha has changed from ha0 to nothing, which needs a restart.' }]);
  });

  it('interface made anew under its name/said', () => {
    const interfaces = { ...facts.interfaces, external: { ...facts.interfaces.external, ifindex: 60 } };
    expect(plan(initial, compile(parse(example), { ...facts, interfaces }, initial))).toEqual([
      { operation: 'restart', sentence: 'the external interface external0 has been made anew (index 6, now 60), which needs a restart.' },
    ]);
  });

  it('MTU of an interface/is written, no restart', () => {
    const interfaces = { ...facts.interfaces, underlay: { ...facts.interfaces.underlay, mtu: 9000 } };
    expect(plan(initial, compile(parse(example), { ...facts, interfaces }, initial))).toMatchObject([{ operation: 'write', map: 'interfaces', key: 0, value: { mtu: 9000 } }]);
  });
});
