import type { CompiledState } from '../../../src/compile/compile.js';
import { externalKey, vmName } from '../../../src/compile/contents.js';
import type { FloatingIp, Forwarding, MapName, NetworkContents, RouterContents, VmContents } from '../../../src/compile/contents.js';
import type { Change } from '../../../src/compile/plan.js';

type Entry = Record<string, unknown> | number;

/** The kernel's side, as plain maps: what the changes do to it, and what a state says it should be. */
export class MapsModel {
  readonly #maps = new Map<string, Map<number | string, Entry>>();
  /** What vm_ensure was told, by vmName(); nothing that is said of a VM is no entry. */
  readonly #vms = new Map<string, VmContents>();
  /** Static mappings: index → VM and port. */
  readonly #waysIn = new Map<number, string>();
  /** VM, protocol and port → address and port outside. */
  readonly #waysBack = new Map<string, string>();

  /** Written down from the state alone, without any plan. */
  static of(state: CompiledState): MapsModel {
    const model = new MapsModel();
    for (const [name, entries] of Object.entries(state.maps)) model.#maps.set(name, new Map(entries as Map<number | string, Entry>));
    for (const [name, vm] of state.vms) model.#vms.set(name, vm);
    for (const floatingIp of state.floatingIps.values()) model.#bind(floatingIp);
    for (const forwarding of state.forwardings.values()) model.#forward(forwarding);
    return model;
  }

  map(name: MapName): Map<number | string, Entry> {
    const map = this.#maps.get(name) ?? new Map<number | string, Entry>();
    this.#maps.set(name, map);
    return map;
  }

  /** Ways in by way of a forwarding: indexes into mappings. */
  get waysIn(): ReadonlyMap<number, string> {
    return this.#waysIn;
  }

  apply(change: Change): void {
    switch (change.operation) {
      case 'write':
        this.map(change.map).set(change.key, change.value as Entry);
        return;
      case 'remove':
        if (!this.map(change.map).delete(change.key)) throw new Error(`${change.map} has no ${change.key} to remove`);
        return;
      case 'ensureVm': {
        const { operation: _, ...vm } = change;
        this.#expectSegment(change.segment);
        this.#vms.set(vmName(vm), vm);
        return;
      }
      case 'clearVm':
        this.#expectSegment(change.segment);
        this.#vms.delete(`${change.segment}/${change.address}`);
        return;
      case 'bindFloatingIp':
        return this.#bind(change);
      case 'bindForwarding':
        if (this.#waysIn.has(change.mapping) && this.#waysIn.get(change.mapping) !== inside(change)) throw new Error(`mapping ${change.mapping} is another's`);
        return this.#forward(change);
      case 'unbindForwarding':
        this.#waysIn.delete(change.mapping);
        this.#waysBack.delete(inside(change));
        return;
      case 'resetCounter':
      case 'adoptVms':
      case 'releaseAddressPorts':
      case 'releaseNetworkPorts':
        return;
      case 'restart':
        throw new Error(`cannot be applied: ${change.sentence}`);
    }
  }

  #bind({ address, vlan, segment, fixedIp, router }: FloatingIp): void {
    this.#expectVm(segment, fixedIp);
    this.map('external_addresses').set(externalKey(vlan, address), { kind: 1, vm: `${segment}/${fixedIp}`, router });
  }

  #forward(forwarding: Forwarding): void {
    this.#expectVm(forwarding.segment, forwarding.fixedIp);
    this.#waysIn.set(forwarding.mapping, inside(forwarding));
    this.#waysBack.set(inside(forwarding), `${forwarding.address}:${forwarding.port}`);
  }

  /** As the program does: -ENOENT for a VNI that is not there. */
  #expectSegment(segment: number): void {
    if (!this.map('network_by_vni').has(segment)) throw new Error(`vm_ensure: no VNI ${segment}`);
  }

  #expectVm(segment: number, address: number): void {
    if (!this.#vms.has(`${segment}/${address}`)) throw new Error(`no VM ${segment}/${address} was ensured`);
  }

  /** The router that the packets of a VNI are sent through now; undefined: dropped. */
  routerOf(vni: number): RouterContents | undefined {
    const index = this.map('network_by_vni').get(vni) as number | undefined;
    const network = index === undefined ? undefined : (this.map('networks').get(index) as NetworkContents | undefined);
    if (network === undefined || network.vni !== vni) return undefined;
    return this.map('routers').get(network.router) as RouterContents | undefined;
  }

  /** The addresses that such a router's VMs would be given. */
  poolOf({ pool, poolSize }: RouterContents): number[] {
    return Array.from({ length: poolSize }, (_, offset) => {
      const index = this.map('pools').get(pool + offset) as number;
      return (this.map('snat_addresses').get(index) as { address: number } | undefined)?.address ?? 0;
    });
  }

  /** Everything, for comparison. */
  contents(): unknown {
    return {
      maps: Object.fromEntries([...this.#maps].filter(([, map]) => map.size > 0).map(([name, map]) => [name, sorted(map)])),
      vms: sorted(this.#vms), waysIn: sorted(this.#waysIn), waysBack: sorted(this.#waysBack),
    };
  }
}

function inside({ segment, fixedIp, protocol, fixedPort }: Forwarding): string {
  return `${segment}/${fixedIp}/${protocol}/${fixedPort}`;
}

function sorted<K, V>(map: Map<K, V>): [K, V][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}
