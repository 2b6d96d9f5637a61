import type { CompiledState } from '../../../src/compile/compile.js';
import type { MapName, NetworkContents, RouterContents } from '../../../src/compile/contents.js';
import type { Change } from '../../../src/compile/plan.js';

type Entry = Record<string, unknown> | number;

/** The kernel's side, as plain maps: what the changes do to it, and what a state says it should be. */
export class MapsModel {
  readonly #maps = new Map<string, Map<number, Entry>>();
  /** `vni/address` → floating IP. */
  readonly #floatingIpOfVm = new Map<string, number>();

  /** Written down from the state alone, without any plan. */
  static of(state: CompiledState): MapsModel {
    const model = new MapsModel();
    for (const [name, entries] of Object.entries(state.maps)) model.#maps.set(name, new Map(entries as Map<number, Entry>));
    for (const { address, vni, fixedIp, router } of state.floatingIps.values()) {
      model.map('external_addresses').set(address, { kind: 1, vm: `${vni}/${fixedIp}`, router });
      model.#floatingIpOfVm.set(`${vni}/${fixedIp}`, address);
    }
    return model;
  }

  map(name: MapName): Map<number, Entry> {
    const map = this.#maps.get(name) ?? new Map<number, Entry>();
    this.#maps.set(name, map);
    return map;
  }

  apply(change: Change): void {
    switch (change.operation) {
      case 'write':
        this.map(change.map).set(change.key, change.value as Entry);
        return;
      case 'remove':
        if (!this.map(change.map).delete(change.key)) throw new Error(`${change.map} has no ${change.key} to remove`);
        return;
      case 'bindFloatingIp':
        this.#ensureVm(change.vni);
        this.#floatingIpOfVm.set(`${change.vni}/${change.fixedIp}`, change.address);
        this.map('external_addresses').set(change.address, { kind: 1, vm: `${change.vni}/${change.fixedIp}`, router: change.router });
        return;
      case 'clearFloatingIp':
        this.#ensureVm(change.vni);
        this.#floatingIpOfVm.delete(`${change.vni}/${change.fixedIp}`);
        return;
      case 'adoptVms':
      case 'releaseAddressPorts':
      case 'releaseNetworkPorts':
        return;
      case 'restart':
        throw new Error(`cannot be applied: ${change.sentence}`);
    }
  }

  /** As the program does: -ENOENT for a VNI that is not there. */
  #ensureVm(vni: number): void {
    if (!this.map('network_by_vni').has(vni)) throw new Error(`vm_ensure: no VNI ${vni}`);
  }

  /** The router that the packets of a VNI are sent through now; undefined: dropped. */
  routerOf(vni: number): RouterContents | undefined {
    const index = this.map('network_by_vni').get(vni) as number | undefined;
    const network = index === undefined ? undefined : (this.map('networks').get(index) as NetworkContents | undefined);
    if (network === undefined || network.vni !== vni) return undefined;
    return this.map('routers').get(network.router) as RouterContents | undefined;
  }

  /** Everything, for comparison. */
  contents(): unknown {
    return { maps: Object.fromEntries([...this.#maps].filter(([, map]) => map.size > 0).map(([name, map]) => [name, sorted(map)])), vms: sorted(this.#floatingIpOfVm) };
  }
}

function sorted<K, V>(map: Map<K, V>): [K, V][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}
