/**
 * Random histories of a pair of gateways: traffic of several VMs, answers, a
 * lossy ha link, ageing, hand-overs. Whatever happened, the tables are sound,
 * and what the Active has let out is what the Backup knows.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { mappingFlag } from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import { fuzz, fuzzRuns } from '../support/fuzz.js';
import { ticksAgo, type GatewayFixture, type MappingEntry } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { isSyncFrame, Pair } from '../support/pair.js';
import { ipv4, tcp, TCP, udp, type Layer } from '../support/packet.js';
import * as world from '../support/world.js';
import { a1, a2, a3, b1, frameFromVm, fromOutside, type VirtualMachine } from '../support/world.js';

const runs = fuzzRuns(150);
const pair = Pair.load();
/** Long runs are asked for on purpose. */
vi.setConfig({ testTimeout: 60_000 + runs * 200 });
afterAll(() => pair.close());

const vms: readonly VirtualMachine[] = [a1, b1, { ...a1, address: '172.16.100.20', mac: 'fa:16:3e:00:01:14' }, a3];
/** The last one is a floating IP of ours: hairpinned. */
const remotes = ['203.0.113.10', '203.0.113.11', '203.0.113.12', a2.floatingIp!];
/** Some of them below 1024. */
const ports = [500, 501, 5000, 5001, 5002, 5003];

type Step =
  | { readonly kind: 'out'; readonly vm: number; readonly port: number; readonly remote: number; readonly tcp: boolean; readonly lost: 'no' | 'request' | 'reply' }
  | { readonly kind: 'in'; readonly which: number; readonly reset: boolean }
  | { readonly kind: 'age' }
  | { readonly kind: 'takeOver' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('out' as const),
      vm: fc.nat(vms.length - 1),
      port: fc.constantFrom(...ports),
      remote: fc.nat(remotes.length - 1),
      tcp: fc.boolean(),
      lost: fc.constantFrom('no' as const, 'no' as const, 'no' as const, 'request' as const, 'reply' as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('in' as const), which: fc.nat(), reset: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'age' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'takeOver' as const }) },
);

/** What outsiders may rely on: internal endpoint and remote → external port, of packets that were let out. */
class Released {
  readonly ports = new Map<string, number>();

  note(vm: VirtualMachine, protocol: string, port: number, remote: string, externalPort: number): void {
    const key = `${vm.tenant.vni}/${vm.address}:${port}/${protocol}`;
    const earlier = this.ports.get(key);
    if (earlier !== undefined) expect(externalPort, `${key} to ${remote}`).toBe(earlier);
    this.ports.set(key, externalPort);
  }
}

class History {
  active: GatewayFixture = pair.a;
  released = new Released();

  run(steps: readonly Step[]): void {
    pair.reset();
    for (const gateway of [pair.a, pair.b]) {
      gateway.addForwarding({ vm: a1, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
      // The floating IP's VM is where the configuration says, on both.
      gateway.pinVm(a2);
    }
    for (const next of steps) this.take(next);
  }

  private take(next: Step): void {
    if (next.kind === 'out') return this.out(next);
    if (next.kind === 'in') return this.answer(next);
    if (next.kind === 'age') return this.age();
    const to = pair.other(this.active);
    pair.takeOver(to, 'draining');
    pair.other(to).setState('backup');
    this.active = to;
  }

  private out(next: Extract<Step, { kind: 'out' }>): void {
    const vm = vms[next.vm]!;
    const remote = remotes[next.remote]!;
    const segment: Layer = next.tcp
      ? tcp({ sourcePort: next.port, destinationPort: 80, flags: TCP.ACK })
      : udp({ sourcePort: next.port, destinationPort: 53 });
    let result = this.active.run('underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: remote }), segment]));
    if (isSyncFrame(result.frame)) {
      if (next.lost === 'request') return;
      const turned = pair.other(this.active).run('ha_xdp', result.frame);
      expect(turned.verdict).toBe('TX');
      if (next.lost === 'reply') return;
      result = this.active.run('ha_xdp', turned.frame);
    }
    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
    const layers = dissect(result.frame);
    const { sourcePort } = layers.filter((layer) => layer.layer === 'tcp' || layer.layer === 'udp').at(-1)!;
    this.released.note(vm, next.tcp ? 'tcp' : 'udp', next.port, remote, sourcePort);
  }

  private answer(next: Extract<Step, { kind: 'in' }>): void {
    const mappings = this.active.mappings().filter((mapping) => mapping.first.state !== 0 && mapping.first.remote !== ipv4ToNumber(a2.floatingIp!));
    const mapping = mappings[next.which % Math.max(1, mappings.length)];
    if (mapping === undefined) return;
    const result = this.active.run('external', answerTo(mapping, next.reset));
    expect(result.verdict, JSON.stringify(result.counters)).toBe('REDIRECT');
  }

  /** Half of all sessions are suddenly too old. */
  private age(): void {
    for (const [index, mapping] of this.active.mappingTable.used()) {
      if (index % 2 === 0) this.active.mappingTable.update(index, { first: { ...mapping.first, lastSeen: ticksAgo(20_000) } });
    }
    this.active.virtualRouters.update(world.VRID, { activeSinceNs: BigInt(ticksAgo(20_000)) << 30n });
    pair.walk(this.active, 'age_xdp');
    this.released = new Released();
    for (const mapping of this.active.mappings()) if ((mapping.flags & mappingFlag.static) === 0) this.keep(mapping);
  }

  private keep(mapping: MappingEntry): void {
    const { vni, address } = this.active.vms.get(mapping.vm - 1);
    const vm = vms.find((candidate) => candidate.tenant.vni === vni && this.active.vmIndex(candidate) === mapping.vm - 1);
    if (vm === undefined) throw new Error(`mapping of an unknown VM ${vni}/${address}`);
    this.released.note(vm, mapping.protocol === 0 ? 'tcp' : 'udp', mapping.internalPort, '', mapping.externalPort);
  }
}

function answerTo(mapping: MappingEntry, reset: boolean): Buffer {
  const source = [24, 16, 8, 0].map((shift) => (mapping.first.remote >>> shift) & 0xff).join('.');
  const segment: Layer = mapping.protocol === 0
    ? tcp({ sourcePort: mapping.first.remotePort, destinationPort: mapping.externalPort, flags: reset ? TCP.RST : TCP.ACK })
    : udp({ sourcePort: 53, destinationPort: mapping.externalPort });
  return fromOutside([ipv4({ source, destination: mapping.externalAddress }), segment]);
}

describe('a pair', () => {
  it('keeps every port that it has let out, on both gateways, over every hand-over', async () => {
    await fuzz(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const history = new History();
        history.run(steps);
        for (const gateway of [pair.a, pair.b]) expect(tableFaults(gateway)).toEqual([]);
        expectKnownByBackup(history.active);
      }),
      runs,
    );
  });
});

/** Every session that the peer has acknowledged is in the peer's tables. */
function expectKnownByBackup(active: GatewayFixture): void {
  const backup = pair.other(active);
  const theirs = new Set(backup.mappings().map((mapping) => `${mapping.externalAddress}:${mapping.externalPort}/${mapping.protocol} ${mapping.internalPort}`));
  for (const mapping of active.mappings()) {
    if ((mapping.first.flags & 1) === 0) continue;
    expect(theirs).toContain(`${mapping.externalAddress}:${mapping.externalPort}/${mapping.protocol} ${mapping.internalPort}`);
  }
}
