import { SecretKey } from '../config/key.js';
import { Password } from '../config/password.js';
import type { CompiledState } from './compile.js';
import { parseRouteKey, scopeExternal, vmName } from './contents.js';
import type { FloatingIp, Forwarding, KeyOf, MapContents, MapEntries, MapName, Segment, VmContents } from './contents.js';
import { repurposedIndexes } from './index-table.js';
import { mappingProtocolCount } from '../dataplane/layout.generated.js';
import { portsPerProtocol } from './map-sizes.js';
import { restartReasons } from './restart.js';

/** Sets these fields of a map's entry and leaves the others; creates the entry where a hash has none. */
export type Write = {
  readonly [Name in MapName]: { readonly operation: 'write'; readonly map: Name; readonly key: KeyOf<Name>; readonly value: MapEntries[Name] };
}[MapName];

/** Deletes from a hash; fills an array's entry with zeros. */
export type Remove = { readonly [Name in MapName]: { readonly operation: 'remove'; readonly map: Name; readonly key: KeyOf<Name> } }[MapName];

/** One step from what the maps hold to what they should. */
export type Change =
  | Write
  | Remove
  /** `vm_ensure` with all that is said of a VM. */
  | ({ readonly operation: 'ensureVm' } & VmContents)
  /** `vm_ensure` with nothing: the VM is one like others. */
  | { readonly operation: 'clearVm'; readonly segment: Segment; readonly address: number }
  /** external_addresses[vlan, address] = {EXTERNAL_FLOATING_IP, its VM, router}. */
  | ({ readonly operation: 'bindFloatingIp' } & FloatingIp)
  /** From here on the counter counts for another floating IP. */
  | { readonly operation: 'resetCounter'; readonly index: number }
  /** The way back, then the way in: forwardings, and `forwarding_ensure`. */
  | ({ readonly operation: 'bindForwarding' } & Forwarding)
  /** The way in, then the way back: `forwarding_remove`, and forwardings. */
  | ({ readonly operation: 'unbindForwarding' } & Forwarding)
  /** VMs of this VNI that were learned when it had another index: `network` of their slots becomes this one. */
  | { readonly operation: 'adoptVms'; readonly segment: Segment; readonly network: number }
  /** Frees all mappings but static ones and all port blocks of that index of snat_addresses, and takes the blocks from their VMs. */
  | { readonly operation: 'releaseAddressPorts'; readonly externalAddress: number }
  /** Frees the same of the VMs of this VNI. */
  | { readonly operation: 'releaseNetworkPorts'; readonly segment: Segment }
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

type Empty = Pick<CompiledState, 'maps' | 'vms' | 'floatingIps' | 'forwardings' | 'runs'> & { readonly indexes?: CompiledState['indexes'] };

/** Pointers stand after what they point to. */
const writingOrder = [
  'gateways',
  'interfaces',
  'ports',
  'virtual_routers',
  'advertisement_rules',
  'virtual_router_by_address',
  'external_networks',
  'snat_addresses',
  'pools',
  'routers',
  'networks',
  'routes',
  'external_addresses',
  'network_by_vni',
] as const satisfies readonly MapName[];

const emptyState: Empty = {
  maps: Object.fromEntries(writingOrder.map((name) => [name, new Map()])) as unknown as MapContents,
  vms: new Map(),
  floatingIps: new Map(),
  forwardings: new Map(),
  runs: new Map(),
};

class Planner {
  readonly #previous: Empty;
  readonly #next: CompiledState;
  readonly #rewrite: boolean;
  readonly #steps: Change[] = [];
  /** Names of what was taken out to make room and may have to come back. */
  readonly #removed = new Set<string>();
  /** Indexes of routers whose pools were taken from them to make room. */
  readonly #emptied = new Set<number>();

  constructor(previous: Empty, next: CompiledState, rewrite = false) {
    this.#previous = previous;
    this.#next = next;
    this.#rewrite = rewrite;
  }

  steps(): Change[] {
    this.#unbindForwardings();
    this.#vacate();
    for (const map of writingOrder) {
      if (map === 'network_by_vni') this.#adoptVms();
      this.#write(map);
    }
    this.#bindVms();
    this.#bindForwardings();
    this.#unbindFloatingIps();
    this.#remove('routes');
    this.#remove('external_addresses');
    this.#clearVms();
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
    const moved = {
      routers: repurposedIndexes(before.routers, after.routers),
      networks: repurposedIndexes(before.networks, after.networks),
      addresses: repurposedIndexes(before.externalAddresses, after.externalAddresses),
      externalNetworks: repurposedIndexes(before.externalNetworks, after.externalNetworks),
    };
    for (const [key, { router }] of this.#previous.floatingIps) if (moved.routers.has(router)) this.#take('external_addresses', key);
    for (const [key, { index, router }] of maps.external_addresses) {
      if (moved.routers.has(router) || moved.addresses.has(index)) this.#take('external_addresses', key);
    }
    for (const [key, { network }] of maps.routes) if (this.#isOfMoved(key, network, moved)) this.#take('routes', key);
    for (const [index, { vni, router }] of maps.networks) {
      if (moved.routers.has(router) || moved.networks.has(index)) this.#vacateNetwork(index, vni);
    }
    this.#emptyPools(moved.addresses);
    for (const index of moved.addresses) this.#steps.push({ operation: 'releaseAddressPorts', externalAddress: index });
  }

  /** Before an address becomes another router's. */
  #emptyPools(addresses: ReadonlySet<number>): void {
    if (addresses.size === 0) return;
    const { maps, runs } = this.#previous;
    for (const [index, router] of maps.routers) {
      const run = [...runs.values()].find(({ first }) => router.poolSize > 0 && first === router.pool);
      if (run === undefined || !run.members.some((member) => addresses.has(member))) continue;
      this.#emptied.add(index);
      this.#steps.push({ operation: 'write', map: 'routers', key: index, value: { ...router, poolSize: 0 } });
    }
  }

  #isOfMoved(key: string, network: number, moved: { routers: Set<number>; networks: Set<number>; externalNetworks: Set<number> }): boolean {
    const { scope } = parseRouteKey(key);
    if (scope >= scopeExternal) return moved.externalNetworks.has(scope - scopeExternal);
    return moved.routers.has(scope) || moved.networks.has(network);
  }

  #vacateNetwork(index: number, segment: Segment): void {
    // A VM that has lost its network can no longer be told that it has lost its floating IP.
    for (const [name, { segment: of, address }] of this.#previous.vms) {
      if (of !== segment) continue;
      this.#removed.add(`vms/${name}`);
      this.#steps.push({ operation: 'clearVm', segment, address });
    }
    this.#take('network_by_vni', segment);
    this.#take('networks', index);
  }

  #take<Name extends MapName>(map: Name, key: KeyOf<Name>): void {
    this.#removed.add(`${map}/${key}`);
    this.#steps.push({ operation: 'remove', map, key } as Remove);
  }

  #write<Name extends MapName>(map: Name): void {
    const before: MapContents[Name] = this.#previous.maps[map];
    for (const [key, value] of this.#next.maps[map] as ReadonlyMap<KeyOf<Name>, MapEntries[Name]>) {
      const old = (before as ReadonlyMap<KeyOf<Name>, MapEntries[Name]>).get(key);
      const isThere = old !== undefined && !this.#removed.has(`${map}/${key}`) && !(map === 'routers' && this.#emptied.has(key as number));
      if (!isThere || this.#rewrite || !sameFields(old, value)) this.#steps.push({ operation: 'write', map, key, value } as Write);
    }
  }

  #remove<Name extends MapName>(map: Name): void {
    const next = this.#next.maps[map] as ReadonlyMap<KeyOf<Name>, unknown>;
    for (const key of this.#previous.maps[map].keys() as Iterable<KeyOf<Name>>) {
      const stays = next.has(key) || (map === 'external_addresses' && this.#next.floatingIps.has(key as string));
      if (!stays && !this.#removed.has(`${map}/${key}`)) this.#take(map, key);
    }
  }

  #adoptVms(): void {
    for (const [segment, network] of this.#next.maps.network_by_vni) {
      const isNew = this.#previous.maps.network_by_vni.get(segment) !== network;
      if (isNew || this.#rewrite) this.#steps.push({ operation: 'adoptVms', segment, network });
    }
  }

  /** Each VM and then at once its floating IP, so that both directions change together. */
  #bindVms(): void {
    const floatingIps = new Map([...this.#next.floatingIps].map(([key, floatingIp]) => [vmOf(floatingIp), { key, floatingIp }]));
    for (const [name, vm] of this.#next.vms) {
      const bound = floatingIps.get(name);
      if (bound !== undefined) this.#resetCounter(bound.key);
      const old = this.#previous.vms.get(name);
      const isThere = old !== undefined && !this.#removed.has(`vms/${name}`);
      if (!isThere || this.#rewrite || !sameFields(old, vm)) this.#steps.push({ operation: 'ensureVm', ...vm });
      if (bound !== undefined) this.#bindFloatingIp(bound.key, bound.floatingIp);
    }
  }

  #bindFloatingIp(key: string, floatingIp: FloatingIp): void {
    const old = this.#previous.floatingIps.get(key);
    const isThere = old !== undefined && !this.#removed.has(`external_addresses/${key}`) && !this.#removed.has(`vms/${vmOf(floatingIp)}`);
    if (!isThere || this.#rewrite || !sameFields(old, floatingIp)) this.#steps.push({ operation: 'bindFloatingIp', ...floatingIp });
  }

  /** One that somebody else has had. */
  #resetCounter(key: string): void {
    const before = this.#previous.indexes?.floatingIps;
    const index = this.#next.indexes.floatingIps.held.get(key)!;
    if (before === undefined || index >= before.fresh || before.held.get(key) === index) return;
    const returns = before.released.some(({ holder, index: of }) => of === index && holder === key);
    if (!returns) this.#steps.push({ operation: 'resetCounter', index: index + 1 });
  }

  /** First nothing comes in any more, then nothing goes out: see clearVms. */
  #unbindFloatingIps(): void {
    const { floatingIps: next, maps } = this.#next;
    for (const key of this.#previous.floatingIps.keys()) {
      const stays = next.has(key) || maps.external_addresses.has(key) || this.#removed.has(`external_addresses/${key}`);
      if (!stays) this.#take('external_addresses', key);
    }
  }

  #clearVms(): void {
    for (const [name, { segment, address }] of this.#previous.vms) {
      if (!this.#next.vms.has(name) && !this.#removed.has(`vms/${name}`)) this.#steps.push({ operation: 'clearVm', segment, address });
    }
  }

  /** Before anything else: what is gone must not be reached any more, and what has changed has no two ways back at any time. */
  #unbindForwardings(): void {
    for (const [mapping, forwarding] of this.#previous.forwardings) {
      if (!sameFields(forwarding, this.#next.forwardings.get(mapping))) this.#unbindForwarding(forwarding);
    }
    for (const forwarding of this.#forwardingsOfMoved()) if (!this.#removed.has(`forwardings/${forwarding.mapping}`)) this.#unbindForwarding(forwarding);
  }

  #unbindForwarding(forwarding: Forwarding): void {
    this.#removed.add(`forwardings/${forwarding.mapping}`);
    this.#steps.push({ operation: 'unbindForwarding', ...forwarding });
  }

  /** Their address's index, or their VM's network, is somebody else's from now on. */
  #forwardingsOfMoved(): Forwarding[] {
    const { indexes: before, maps } = this.#previous;
    if (before === undefined) return [];
    const after = this.#next.indexes;
    const [addresses, networks, routers] = [
      repurposedIndexes(before.externalAddresses, after.externalAddresses),
      repurposedIndexes(before.networks, after.networks),
      repurposedIndexes(before.routers, after.routers),
    ];
    const isMoved = (segment: Segment): boolean => {
      const index = maps.network_by_vni.get(segment)!;
      return networks.has(index) || routers.has(maps.networks.get(index)!.router);
    };
    return [...this.#previous.forwardings.values()].filter(({ mapping, segment }) => addresses.has(Math.floor(mapping / mappingsPerAddress)) || isMoved(segment));
  }

  #bindForwardings(): void {
    for (const [mapping, forwarding] of this.#next.forwardings) {
      const isThere = this.#previous.forwardings.has(mapping) && !this.#removed.has(`forwardings/${mapping}`);
      if (!isThere || this.#rewrite) this.#steps.push({ operation: 'bindForwarding', ...forwarding });
    }
  }

  #releasePorts(): void {
    const { indexes: before, maps, runs } = this.#previous;
    if (before === undefined) return;
    const pooled = new Set([...this.#next.runs.values()].flatMap(({ members }) => members));
    for (const index of [...runs.values()].flatMap(({ members }) => members)) {
      if (!pooled.has(index)) this.#steps.push({ operation: 'releaseAddressPorts', externalAddress: index });
    }
    const routerNames = namesOf(this.#next.indexes.routers.held);
    const oldRouterNames = namesOf(before.routers.held);
    for (const [segment, index] of maps.network_by_vni) {
      const now = this.#next.maps.network_by_vni.get(segment);
      const router = now === undefined ? undefined : routerNames.get(this.#next.maps.networks.get(now)!.router);
      if (router !== oldRouterNames.get(maps.networks.get(index)!.router)) this.#steps.push({ operation: 'releaseNetworkPorts', segment });
    }
  }
}

const mappingsPerAddress = mappingProtocolCount * portsPerProtocol;

function vmOf({ segment, fixedIp }: FloatingIp): string {
  return vmName({ segment, address: fixedIp });
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
  if (one instanceof Password && other instanceof Password) return one.equals(other);
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((value, index) => value === other[index]);
  if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return one.equals(other);
  return one === other;
}
