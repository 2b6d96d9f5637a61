import { SecretKey } from '../config/key.js';
import type { Ipv4Address } from '../config/address.js';
import type { CompiledState } from './compile.js';
import type { FloatingIp, MapContents, MapEntries, MapName } from './contents.js';
import { repurposedIndexes } from './index-table.js';
import { restartReasons } from './restart.js';

/** Sets these fields of a map's entry and leaves the others; creates the entry where a hash has none. */
export type Write = { readonly [Name in MapName]: { readonly operation: 'write'; readonly map: Name; readonly key: number; readonly value: MapEntries[Name] } }[MapName];

/** Deletes from a hash; fills an array's entry with zeros. */
export interface Remove {
  readonly operation: 'remove';
  readonly map: MapName;
  readonly key: number;
}

/** One step from what the maps hold to what they should. */
export type Change =
  | Write
  | Remove
  /** `vm_ensure` with this floating IP, then external_addresses[address] = {EXTERNAL_FLOATING_IP, the VM, router}. */
  | ({ readonly operation: 'bindFloatingIp' } & FloatingIp)
  /** `vm_ensure` without a floating IP. */
  | { readonly operation: 'clearFloatingIp'; readonly vni: number; readonly fixedIp: Ipv4Address }
  /** VMs of this VNI that were learned when it had another index: `network` of their slots becomes this one. */
  | { readonly operation: 'adoptVms'; readonly vni: number; readonly network: number }
  /** Frees all mappings and port blocks of that index of external addresses, and takes the blocks from their VMs. */
  | { readonly operation: 'releaseAddressPorts'; readonly externalAddress: number }
  /** Frees all mappings and port blocks of the VMs of this VNI. */
  | { readonly operation: 'releaseNetworkPorts'; readonly vni: number }
  /** The whole change has to wait for a restart; the sentence says why. */
  | { readonly operation: 'restart'; readonly sentence: string };

/**
 * The steps that turn maps which hold `previous` into maps which hold `next`, in
 * an order in which no packet is lost or misdelivered on the way: what is
 * pointed to comes before the pointer, and goes after it.
 *
 * A change that needs a restart gives `restart` steps only, one for each
 * reason, and nothing may be applied. Nothing to do gives no steps.
 *
 * @param previous undefined: the maps are empty
 * @param extent `everything` writes what seems to be there already as well, for
 *   maps of an earlier daemon that may have died half way
 */
export function plan(previous: CompiledState | undefined, next: CompiledState, extent: 'changes' | 'everything' = 'changes'): Change[] {
  if (previous === undefined) return new Planner(emptyState, next).steps();
  const restarts = restartReasons(previous, next).map((sentence): Change => ({ operation: 'restart', sentence }));
  if (restarts.length > 0) return restarts;
  return new Planner(previous, next, extent === 'everything').steps();
}

type Empty = Pick<CompiledState, 'maps' | 'floatingIps'> & { readonly indexes?: CompiledState['indexes'] };

const emptyState: Empty = {
  maps: {
    gateways: new Map(),
    interfaces: new Map(),
    ports: new Map(),
    virtual_routers: new Map(),
    virtual_router_by_address: new Map(),
    external_networks: new Map(),
    routers: new Map(),
    networks: new Map(),
    network_by_vni: new Map(),
    external_addresses: new Map(),
  },
  floatingIps: new Map(),
};

/** Pointers stand after what they point to. */
const writingOrder = [
  'gateways',
  'interfaces',
  'ports',
  'virtual_routers',
  'virtual_router_by_address',
  'external_networks',
  'routers',
  'networks',
  'external_addresses',
  'network_by_vni',
] as const satisfies readonly MapName[];

class Planner {
  readonly #previous: Empty;
  readonly #next: CompiledState;
  readonly #rewrite: boolean;
  readonly #steps: Change[] = [];
  /** `map/key` of entries that were taken out to make room and may have to come back. */
  readonly #removed = new Set<string>();

  constructor(previous: Empty, next: CompiledState, rewrite = false) {
    this.#previous = previous;
    this.#next = next;
    this.#rewrite = rewrite;
  }

  steps(): Change[] {
    this.#vacate();
    for (const map of writingOrder) {
      if (map === 'network_by_vni') this.#adoptVms();
      this.#write(map);
    }
    this.#bindFloatingIps();
    this.#unbindFloatingIps();
    this.#remove('external_addresses');
    this.#remove('network_by_vni');
    this.#releasePorts();
    for (const map of writingOrder.toReversed()) this.#remove(map);
    return this.#steps;
  }

  /**
   * Only when a table has no index left that was never used, or not lately:
   * whatever points to the old holder goes first. A tenant's packet may be lost
   * here, but must not reach another tenant.
   */
  #vacate(): void {
    const { indexes: before, maps } = this.#previous;
    if (before === undefined) return;
    const after = this.#next.indexes;
    const routers = repurposedIndexes(before.routers, after.routers);
    const networks = repurposedIndexes(before.networks, after.networks);
    const addresses = repurposedIndexes(before.externalAddresses, after.externalAddresses);
    for (const { address, router } of this.#previous.floatingIps.values()) {
      if (routers.has(router)) this.#take('external_addresses', address);
    }
    for (const [address, { index, router }] of maps.external_addresses) {
      if (routers.has(router) || addresses.has(index)) this.#take('external_addresses', address);
    }
    for (const [index, { vni, router }] of maps.networks) {
      if (!routers.has(router) && !networks.has(index)) continue;
      // A VM that has lost its network can no longer be told that it has lost its floating IP.
      this.#clearFloatingIpsOf(vni);
      this.#take('network_by_vni', vni);
      this.#take('networks', index);
    }
    for (const index of addresses) this.#steps.push({ operation: 'releaseAddressPorts', externalAddress: index });
  }

  #take(map: MapName, key: number): void {
    this.#removed.add(`${map}/${key}`);
    this.#steps.push({ operation: 'remove', map, key });
  }

  #clearFloatingIpsOf(vni: number): void {
    for (const { vni: of, fixedIp } of this.#previous.floatingIps.values()) {
      if (of !== vni) continue;
      this.#removed.add(vmOf(vni, fixedIp));
      this.#steps.push({ operation: 'clearFloatingIp', vni, fixedIp });
    }
  }

  #write<Name extends MapName>(map: Name): void {
    const before: MapContents[Name] = this.#previous.maps[map];
    for (const [key, value] of this.#next.maps[map]) {
      const old = before.get(key);
      const isThere = old !== undefined && !this.#removed.has(`${map}/${key}`);
      if (!isThere || this.#rewrite || !sameFields(old, value)) this.#steps.push({ operation: 'write', map, key, value } as Write);
    }
  }

  #remove(map: MapName): void {
    for (const key of this.#previous.maps[map].keys()) {
      const stays = this.#next.maps[map].has(key) || (map === 'external_addresses' && this.#next.floatingIps.has(key));
      if (!stays && !this.#removed.has(`${map}/${key}`)) this.#take(map, key);
    }
  }

  #adoptVms(): void {
    for (const [vni, network] of this.#next.maps.network_by_vni) {
      const isNew = this.#previous.maps.network_by_vni.get(vni) !== network;
      if (isNew || this.#rewrite) this.#steps.push({ operation: 'adoptVms', vni, network });
    }
  }

  #bindFloatingIps(): void {
    for (const [address, floatingIp] of this.#next.floatingIps) {
      const old = this.#previous.floatingIps.get(address);
      const vm = vmOf(floatingIp.vni, floatingIp.fixedIp);
      const isThere = old !== undefined && !this.#removed.has(`external_addresses/${address}`) && !this.#removed.has(vm);
      if (!isThere || this.#rewrite || !sameFields(old, floatingIp)) this.#steps.push({ operation: 'bindFloatingIp', ...floatingIp });
    }
  }

  /** First nothing comes in any more, then nothing goes out. */
  #unbindFloatingIps(): void {
    const { floatingIps: next, maps } = this.#next;
    const bound = new Set([...next.values()].map(({ vni, fixedIp }) => vmOf(vni, fixedIp)));
    for (const { address, vni, fixedIp } of this.#previous.floatingIps.values()) {
      const addressStays = next.has(address) || maps.external_addresses.has(address) || this.#removed.has(`external_addresses/${address}`);
      if (!addressStays) this.#take('external_addresses', address);
      const vm = vmOf(vni, fixedIp);
      if (!bound.has(vm) && !this.#removed.has(vm)) this.#steps.push({ operation: 'clearFloatingIp', vni, fixedIp });
    }
  }

  #releasePorts(): void {
    const { indexes: before, maps } = this.#previous;
    if (before === undefined) return;
    const after = this.#next.indexes;
    const held = new Set(after.externalAddresses.held.values());
    for (const index of before.externalAddresses.held.values()) {
      if (!held.has(index)) this.#steps.push({ operation: 'releaseAddressPorts', externalAddress: index });
    }
    const routerNames = namesOf(after.routers.held);
    const oldRouterNames = namesOf(before.routers.held);
    for (const [vni, index] of maps.network_by_vni) {
      const now = this.#next.maps.network_by_vni.get(vni);
      const router = now === undefined ? undefined : routerNames.get(this.#next.maps.networks.get(now)!.router);
      if (router !== oldRouterNames.get(maps.networks.get(index)!.router)) this.#steps.push({ operation: 'releaseNetworkPorts', vni });
    }
  }
}

function vmOf(vni: number, fixedIp: number): string {
  return `vm/${vni}/${fixedIp}`;
}

function namesOf(held: ReadonlyMap<string, number>): Map<number, string> {
  return new Map([...held].map(([name, index]) => [index, name]));
}

/** Equal numbers, or flat objects whose fields are equal. */
function sameFields(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
  const keys = Object.keys(one) as (keyof typeof one)[];
  return keys.length === Object.keys(other).length && keys.every((key) => sameField(one[key], other[key]));
}

function sameField(one: unknown, other: unknown): boolean {
  if (one instanceof SecretKey && other instanceof SecretKey) return one.equals(other);
  if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return one.equals(other);
  return one === other;
}
