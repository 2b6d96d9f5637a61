/**
 * Random histories of a pair's configuration with packets in between: routers, networks, floating IPs, forwardings,
 * endpoints, VLANs come, change hands, go and return, on one gateway after the other; a reload fails or its daemon
 * dies on the way; the Backup takes over. Whatever came before, the maps are those of a gateway that starts with the
 * last configuration, nothing is left of what is gone, and every packet finds what the configuration says.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { virtualRouterMac } from '../../src/compile/compile.js';
import type { Configuration, RouterConfiguration } from '../../src/config/schema.js';
import { virtualRouterState } from '../../src/dataplane/layout.generated.js';
import { formatIpv4 } from '../../src/config/address.js';
import { ConfiguredGateway } from '../support/configured-gateway.js';
import { dissect } from '../support/dissect.js';
import { fuzzAsync, fuzzRuns } from '../support/fuzz.js';
import type { RunResult } from '../support/gateway-fixture.js';
import { tableFaults } from '../support/invariants.js';
import { ethernet, frame, ipv4, ovnOption, tcp, TCP, udp, vlan, type Layer } from '../support/packet.js';
import { isSyncFrame } from '../support/pair.js';
import { address, computes, edit, fixedIp, gatewayMac, homeOf, internalPorts, outsideHosts, protocols, vm, vmMac, vxlanVni, Wishes, allVms, networkName, virtualAddress, type Edit, type Protocol, type Vm } from '../support/tenancy.js';
import { frameFromVm, nodeA, nodeB, tenantA, type Node, type VirtualMachine } from '../support/world.js';

const runs = fuzzRuns(12);
const [a, b, fresh] = [ConfiguredGateway.load(), ConfiguredGateway.load(), ConfiguredGateway.loadWithoutPackets()];
const nodeOf = (gateway: ConfiguredGateway): Node => (gateway === a ? nodeA : nodeB);
/** Long runs are asked for on purpose. */
vi.setConfig({ testTimeout: 60_000 + runs * 5_000 });
afterAll(() => [a, b, fresh].forEach((gateway) => gateway.close()));

const LONGEST_HISTORY = 60;
const remotes = ['203.0.113.10', '203.0.113.11'] as const;
const REMOTE_PORT = 53;
const ROUTER_MAC = '02:00:00:00:02:01';

type End = 'done' | 'fails' | 'dies';
interface Packet {
  readonly vm: Vm;
  readonly protocol: Protocol;
  readonly port: number;
  readonly remote: string;
}
type Step =
  | { readonly kind: 'edit'; readonly edit: Edit }
  | { readonly kind: 'reload'; readonly of: 'a' | 'b'; readonly end: End; readonly part: number }
  | { readonly kind: 'settle' }
  | { readonly kind: 'out'; readonly packet: Packet }
  | { readonly kind: 'takeOver' };

const packet: fc.Arbitrary<Packet> = fc.record({ vm, protocol: fc.constantFrom(...protocols), port: fc.constantFrom(...internalPorts), remote: fc.constantFrom(...remotes) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('edit' as const), edit }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const), of: fc.constantFrom('a' as const, 'b' as const),
      end: fc.constantFrom('done' as const, 'fails' as const, 'dies' as const), part: fc.integer({ min: 0, max: 100 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('out' as const), packet }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'takeOver' as const }) },
);

/** What has become of a packet: by which translation it goes on, or the reason that it does not. */
interface Outcome {
  readonly reason: string;
  readonly address?: string;
  readonly port?: number;
}

/** Of shared SNAT, made by a packet. */
interface Mapping {
  readonly vm: Vm;
  readonly protocol: Protocol;
  readonly internalPort: number;
  readonly router: string;
  readonly address: string;
  readonly port: number;
  readonly remotes: Set<string>;
  /** Who surely has it. */
  readonly heldBy: Set<ConfiguredGateway>;
  /** Who may have it: a reload that was to take it away has not come to its end. */
  readonly doubtedBy: Set<ConfiguredGateway>;
}

const vmName = ({ vni, host }: Vm): string => `${vni}/${host}`;

/** A configuration, asked about one packet. */
class Meaning {
  readonly #configuration: Configuration;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
  }

  routerOf({ vni }: Vm): RouterConfiguration | undefined {
    return this.#configuration.routers.find(({ networks }) => networks.some((network) => network.vni === vni));
  }

  vlanOf({ externalNetwork }: RouterConfiguration): number {
    return this.#configuration.externalNetworks.find(({ name }) => name === externalNetwork)!.vlan;
  }

  get vlans(): number[] {
    return this.#configuration.externalNetworks.map((network) => network.vlan);
  }

  floatingIpOf(of: Vm): string | undefined {
    const found = this.routerOf(of)?.floatingIps.find(({ network, fixedIp: at }) => network === networkName(of.vni) && formatIpv4(at) === fixedIp(of));
    return found && formatIpv4(found.address);
  }

  forwardingFrom({ vm: of, protocol, port }: Packet): Outcome | undefined {
    const found = this.routerOf(of)?.portForwardings.find((one) =>
      one.network === networkName(of.vni) && formatIpv4(one.fixedIp) === fixedIp(of) && one.protocol === protocol && one.fixedPorts.first === port);
    return found && { reason: 'outbound_forwarding', address: formatIpv4(found.address), port: found.ports.first };
  }

  isForwarded(router: RouterConfiguration, outside: string, protocol: Protocol, port: number): boolean {
    return router.portForwardings.some((one) => formatIpv4(one.address) === outside && one.protocol === protocol && one.ports.first === port);
  }

  /** The compute that is said to be the VM's, where one is. */
  pinnedTo(of: Vm): string | undefined {
    const network = this.routerOf(of)?.networks.find(({ vni }) => vni === of.vni);
    const endpoint = network?.endpoints.find((one) => formatIpv4(one.address) === fixedIp(of));
    return endpoint && formatIpv4(endpoint.compute);
  }

  /** Whether shared SNAT may go on with what it has. */
  allows({ vm: of, router: name, address: outside, protocol, port }: Mapping): boolean {
    const router = this.routerOf(of);
    return router?.name === name && router.externalAddresses.some((one) => formatIpv4(one) === outside) && !this.isForwarded(router, outside, protocol, port);
  }

  /** Who answers for an address: a VM, or a router. */
  holderOf(outside: string, vlan: number): { readonly router: RouterConfiguration; readonly fixedIp?: string; readonly vni?: number } | undefined {
    for (const router of this.#configuration.routers.filter((one) => this.vlanOf(one) === vlan)) {
      const floating = router.floatingIps.find((one) => formatIpv4(one.address) === outside);
      if (floating !== undefined) return { router, fixedIp: formatIpv4(floating.fixedIp), vni: router.networks.find(({ name }) => name === floating.network)!.vni };
      if ([...router.externalAddresses, ...router.portForwardings.map((one) => one.address)].some((one) => formatIpv4(one) === outside)) return { router };
    }
    return undefined;
  }

  forwardingTo(router: RouterConfiguration, outside: string, protocol: Protocol, port: number): { readonly vni: number; readonly fixedIp: string; readonly port: number } | undefined {
    const found = router.portForwardings.find((one) => formatIpv4(one.address) === outside && one.protocol === protocol && one.ports.first === port);
    return found && { vni: router.networks.find(({ name }) => name === found.network)!.vni, fixedIp: formatIpv4(found.fixedIp), port: found.fixedPorts.first };
  }
}

class History {
  #wishes = Wishes.first();
  #active = a;
  #term = 1;
  /** What is in force on each that runs. */
  readonly #inForce = new Map<ConfiguredGateway, Wishes>();
  /** By internal endpoint. */
  #mappings: Mapping[] = [];
  /** VMs whose compute each surely knows. */
  readonly #heard = new Map([[a, new Set<string>()], [b, new Set<string>()]]);
  /** Floating IPs at the last look, by VM. */
  #floating = new Map<string, string>();

  run(steps: readonly Step[]): void {
    for (const gateway of [a, b]) gateway.startOver(nodeOf(gateway));
    for (const next of [{ kind: 'settle' } as const, ...steps, { kind: 'settle' } as const]) this.#take(next);
    for (const gateway of [a, b]) {
      // What ends a mapping at once leaves sessions beyond its first behind, which nobody finds: ageing takes them.
      gateway.age();
      expect(gateway.stale()).toEqual([]);
      expect(tableFaults(gateway.fixture)).toEqual([]);
    }
  }

  #take(next: Step): void {
    switch (next.kind) {
      case 'edit':
        this.#wishes = this.#wishes.after(next.edit);
        return;
      case 'reload':
        return this.#reload(next.of === 'a' ? a : b, next.end, next.part);
      case 'settle':
        for (const gateway of [a, b]) this.#reload(gateway, 'done', 100);
        return this.#checkPackets();
      case 'out':
        return this.#isSettled ? this.#out(next.packet) : undefined;
      case 'takeOver':
        return this.#isSettled ? this.#takeOver() : undefined;
    }
  }

  /** Both run, with the same configuration. */
  get #isSettled(): boolean {
    return this.#inForce.get(a) !== undefined && this.#inForce.get(a) === this.#inForce.get(b);
  }

  get #standby(): ConfiguredGateway {
    return this.#active === a ? b : a;
  }

  get #meaning(): Meaning {
    return new Meaning(this.#inForce.get(this.#active)!.configuration(nodeOf(this.#active)));
  }

  #takeOver(): void {
    this.#active = this.#standby;
    this.#term++;
    this.#setRoles();
  }

  #setRoles(): void {
    this.#active.setRole(virtualRouterState.active, this.#term);
    this.#standby.setRole(virtualRouterState.backup, this.#term);
  }

  // ------------------------------------------------------------ configuration

  #reload(gateway: ConfiguredGateway, wanted: End, part: number): void {
    const configuration = this.#wishes.configuration(nodeOf(gateway));
    // A daemon that cannot carry out its very first configuration does not run.
    const end = wanted === 'fails' && !this.#inForce.has(gateway) ? 'dies' : wanted;
    reloads[end]++;
    if (end === 'done') gateway.reload(configuration);
    else if (end === 'fails') gateway.fail(configuration, part);
    else gateway.die(configuration, part);
    this.#forget(gateway, new Meaning(configuration), end);
    if (end === 'dies') this.#inForce.delete(gateway);
    if (end === 'done') this.#inForce.set(gateway, this.#wishes);
    if (this.#isSettled) this.#setRoles();
    if (end === 'done') this.#checkMaps(gateway, configuration);
  }

  #forget(gateway: ConfiguredGateway, meaning: Meaning, end: End): void {
    for (const mapping of this.#mappings.filter((one) => !meaning.allows(one))) {
      if (end !== 'done' && mapping.heldBy.has(gateway)) mapping.doubtedBy.add(gateway);
      if (end === 'done') mapping.doubtedBy.delete(gateway);
      mapping.heldBy.delete(gateway);
    }
  }

  #checkMaps(gateway: ConfiguredGateway, configuration: Configuration): void {
    fresh.startOver(nodeOf(gateway));
    fresh.reload(configuration);
    fresh.setRole(0, 0);
    expect(gateway.configured()).toEqual(fresh.configured());
    expect(gateway.stale().filter((sentence) => !sentence.startsWith('session '))).toEqual([]);
  }

  // ------------------------------------------------------------------ packets

  /** Every address from outside; every mapping; and from inside whoever got a floating IP, or lost it. */
  #checkPackets(): void {
    const meaning = this.#meaning;
    for (const vlanId of meaning.vlans) {
      for (const host of outsideHosts) this.#in(meaning, address(host), vlanId, { protocol: 'udp', port: 5001, remote: remotes[0] });
    }
    for (const { address: outside, protocol, port, remotes: known, router } of this.#mappings) {
      const vlanId = this.#vlanOfRouter(meaning, router);
      for (const remote of known) this.#in(meaning, outside, vlanId, { protocol, port, remote });
    }
    const floating = new Map(allVms.flatMap((of) => { const outside = meaning.floatingIpOf(of); return outside === undefined ? [] : [[vmName(of), outside] as const]; }));
    for (const of of allVms) {
      if (floating.get(vmName(of)) !== this.#floating.get(vmName(of))) this.#out({ vm: of, protocol: 'udp', port: 5001, remote: remotes[0] });
    }
    this.#floating = floating;
  }

  #vlanOfRouter(meaning: Meaning, name: string): number {
    const router = allVms.map((of) => meaning.routerOf(of)).find((one) => one?.name === name);
    return router === undefined ? meaning.vlans[0]! : meaning.vlanOf(router);
  }

  /** From a VM, with the commit's way to the peer and back. */
  #out(sent: Packet): void {
    const meaning = this.#meaning;
    const [expected, mapping] = this.#expectOut(meaning, sent);
    let result = this.#active.fixture.run('underlay', frameOf(meaning, sent));
    const isCommit = isSyncFrame(result.frame);
    if (isCommit) {
      const turned = this.#standby.fixture.run('ha_xdp', result.frame);
      expect(turned.counters).toEqual({ commit_applied: 1 });
      result = this.#active.fixture.run('ha_xdp', turned.frame);
    }
    const outcome = outcomeOf(result);
    packets++;
    if (expected !== undefined) expect({ ...outcome, reason: isCommit ? expected.reason : outcome.reason }, JSON.stringify(sent)).toEqual(expected);
    if (outcome.address === undefined) return;
    this.#learn(sent.vm, isCommit);
    if (outcome.address !== meaning.floatingIpOf(sent.vm) && meaning.forwardingFrom(sent) === undefined) this.#note(meaning, sent, outcome as Required<Outcome>, mapping, isCommit);
  }

  #learn(of: Vm, isCommit: boolean): void {
    this.#heard.get(this.#active)!.add(vmName(of));
    if (isCommit) this.#heard.get(this.#standby)!.add(vmName(of));
  }

  /** What the configuration and what went before leave no choice about; undefined: either. With the flow's mapping. */
  #expectOut(meaning: Meaning, sent: Packet): [Outcome | undefined, Mapping | undefined] {
    const router = meaning.routerOf(sent.vm);
    if (router === undefined) return [{ reason: 'drop_vni_unknown' }, undefined];
    const pinned = meaning.pinnedTo(sent.vm);
    if (pinned !== undefined && pinned !== computes[homeOf(sent.vm)]) return [{ reason: 'drop_endpoint_spoofed' }, undefined];
    const forwarding = meaning.forwardingFrom(sent);
    if (forwarding !== undefined) return [forwarding, undefined];
    const floatingIp = meaning.floatingIpOf(sent.vm);
    const mapping = this.#mappings.find((one) => vmName(one.vm) === vmName(sent.vm) && one.protocol === sent.protocol && one.internalPort === sent.port);
    if (mapping?.doubtedBy.has(this.#active)) return [undefined, mapping];
    const isHeld = mapping?.heldBy.has(this.#active) === true;
    if (isHeld && (floatingIp === undefined || mapping.remotes.has(sent.remote))) {
      return [router.externalAddresses.length === 0 ? { reason: 'drop_no_shared_snat' } : { reason: 'outbound_snat', address: mapping.address, port: mapping.port }, mapping];
    }
    if (floatingIp !== undefined) return [{ reason: 'outbound_floating_ip', address: floatingIp, port: sent.port }, mapping];
    if (router.externalAddresses.length === 0) return [{ reason: 'drop_no_shared_snat' }, mapping];
    return [undefined, mapping];
  }

  /** What shared SNAT has made of a packet. */
  #note(meaning: Meaning, sent: Packet, { address: outside, port }: Required<Outcome>, old: Mapping | undefined, isCommit: boolean): void {
    const router = meaning.routerOf(sent.vm)!;
    expect(router.externalAddresses.map((one) => formatIpv4(one))).toContain(outside);
    const isOld = old !== undefined && old.address === outside && old.port === port && (old.heldBy.has(this.#active) || old.doubtedBy.has(this.#active));
    const mapping: Mapping = isOld
      ? old
      : { vm: sent.vm, protocol: sent.protocol, internalPort: sent.port, router: router.name, address: outside, port, remotes: new Set(), heldBy: new Set(), doubtedBy: new Set() };
    this.#mappings = [...this.#mappings.filter((one) => one !== old && one !== mapping), mapping];
    // It is known of one remote only where it was in doubt.
    if (mapping.doubtedBy.delete(this.#active)) mapping.remotes.clear();
    mapping.remotes.add(sent.remote);
    mapping.heldBy.add(this.#active);
    if (isCommit) mapping.heldBy.add(this.#standby);
    if (isCommit) mapping.doubtedBy.delete(this.#standby);
  }

  /** From outside. */
  #in(meaning: Meaning, outside: string, vlanId: number, sent: Omit<Packet, 'vm'>): void {
    const expected = this.#expectIn(meaning, outside, vlanId, sent);
    if (expected === undefined) return;
    packets++;
    const layers = [ipv4({ source: sent.remote, destination: outside }), segmentOf(sent.protocol, REMOTE_PORT, sent.port)];
    const router = meaning.holderOf(outside, vlanId)?.router;
    const destination = virtualRouterMac(router?.virtualRouter ?? 51);
    const bytes = frame(ethernet({ source: ROUTER_MAC, destination }), ...(vlanId === 0 ? [] : [vlan(vlanId)]), ...layers);
    expect(outcomeOf(this.#active.fixture.run('external', bytes)), `${outside} on VLAN ${vlanId} ${JSON.stringify(sent)}`).toEqual(expected);
  }

  #expectIn(meaning: Meaning, outside: string, vlanId: number, { protocol, port, remote }: Omit<Packet, 'vm'>): Outcome | undefined {
    const holder = meaning.holderOf(outside, vlanId);
    if (holder === undefined) return { reason: 'pass_to_kernel' };
    const to = holder.fixedIp === undefined ? meaning.forwardingTo(holder.router, outside, protocol, port) : { vni: holder.vni!, fixedIp: holder.fixedIp, port };
    if (to !== undefined) {
      const of = allVms.find((one) => one.vni === to.vni && fixedIp(one) === to.fixedIp)!;
      if (meaning.pinnedTo(of) === undefined && !this.#heard.get(this.#active)!.has(vmName(of))) return undefined;
      return { reason: holder.fixedIp === undefined ? 'inbound_forwarding' : 'inbound_floating_ip', address: to.fixedIp, port: to.port };
    }
    const there = this.#mappings.filter((one) => one.address === outside && one.protocol === protocol && one.port === port && (one.heldBy.has(this.#active) || one.doubtedBy.has(this.#active)));
    if (there.some((one) => one.doubtedBy.has(this.#active))) return undefined;
    if (there.length === 0) return { reason: 'drop_no_mapping' };
    const [{ vm: of, remotes: known, internalPort }] = there as [Mapping];
    return known.has(remote) ? { reason: 'inbound_snat', address: fixedIp(of), port: internalPort } : { reason: 'drop_filtered' };
  }
}

function segmentOf(protocol: Protocol, sourcePort: number, destinationPort: number): Layer {
  return protocol === 'tcp' ? tcp({ sourcePort, destinationPort, flags: TCP.ACK }) : udp({ sourcePort, destinationPort });
}

/** As the VM's compute sends it to the virtual router of its router. */
function frameOf(meaning: Meaning, { vm: of, protocol, port, remote }: Packet): Buffer {
  const vrid = meaning.routerOf(of)?.virtualRouter ?? 51;
  const home = homeOf(of);
  const sender: VirtualMachine = {
    tenant: { ...tenantA, vni: of.vni, encapsulation: of.vni === vxlanVni ? 'vxlan' : 'geneve', gatewayMac: gatewayMac(of.vni) },
    address: fixedIp(of), mac: vmMac(of), compute: { address: computes[home]!, mac: `02:00:00:00:33:${31 + home}` }, option: ovnOption(1, of.host),
  };
  return frameFromVm(sender, [ipv4({ source: fixedIp(of), destination: remote }), segmentOf(protocol, port, REMOTE_PORT)], {
    ethernet: { destination: virtualRouterMac(vrid) }, ipv4: { destination: virtualAddress(vrid) },
  });
}

/** Counted with a packet's own reason. */
const beside = new Set(['session_created', 'session_established', 'vm_learned', 'vm_moved', 'icmp_error_to_vm', 'icmp_error_to_outside', 'icmp_error_limited']);

/** Whose end has changed: of a packet outwards the source, of one in a tunnel the inner destination. */
function outcomeOf({ verdict, frame: bytes, counters }: RunResult): Outcome {
  const reason = Object.keys(counters).filter((name) => !beside.has(name)).join();
  if (verdict !== 'REDIRECT') return { reason };
  const layers = dissect(bytes);
  // An ICMP error that says why, on its way home from the peer.
  if (layers.some(({ layer }) => layer === 'icmp')) return { reason };
  const isTunnelled = layers.some(({ layer }) => layer === 'geneve' || layer === 'vxlan');
  const ip = layers.filter((layer) => layer.layer === 'ipv4').at(-1)!;
  const segment = layers.filter((layer) => layer.layer === 'tcp' || layer.layer === 'udp').at(-1)!;
  return isTunnelled ? { reason, address: ip.destination, port: segment.destinationPort } : { reason, address: ip.source, port: segment.sourcePort };
}

/** Over all histories. */
const reloads: Record<End, number> = { done: 0, fails: 0, dies: 0 };
let packets = 0;

describe('a configuration', () => {
  it('of any history/leaves what it says and nothing else, in maps, sessions and packets', async () => {
    await fuzzAsync(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: LONGEST_HISTORY, size: 'max' }), async (steps) => new History().run(steps)), runs);
    process.stderr.write(`configurations ${JSON.stringify(reloads)}, packets ${packets}\n`);
  });
});
