/** Carries out what src/compile has planned. */
import { createHmac, randomBytes } from 'node:crypto';
import { SystemError } from 'libbpf-ts';
import { parseExternalKey, parseRouteKey } from '../compile/contents.js';
import type { AdvertisementRuleContents, ExternalNetworkContents, FloatingIp, Forwarding, GatewayContents, KeyOf, MapName, Segment, VmContents } from '../compile/contents.js';
import type { Change, Remove, Write } from '../compile/plan.js';
import { externalAddressKind, floatingIpCounterCodec, forwardingEnsureCodec, vmEnsureCodec } from './layout.generated.js';
import type { DataPlaneMaps } from './maps.js';
import type { PortTables } from './port-tables.js';
import type { Roles } from './roles.js';

export type ApplyProgram = 'vm_ensure' | 'forwarding_ensure' | 'forwarding_remove';

export interface ApplyTargets {
  readonly maps: DataPlaneMaps;
  readonly roles: Roles;
  readonly ports: PortTables;
  runSystemCall(program: ApplyProgram, context: Buffer): { readonly result: number; readonly context: Buffer };
}

/** A change that the kernel refused. */
export class ApplyError extends Error {}

/** Yields where somebody else may have a turn: what takes ports away takes its time. @throws ApplyError naming the step */
export function* applyChange(change: Change, targets: ApplyTargets): Generator<void, void> {
  try {
    yield* carryOut(change, targets);
  } catch (error) {
    throw new ApplyError(`${describe(change)} failed: ${(error as Error).message}`);
  }
}

function* carryOut(change: Change, targets: ApplyTargets): Generator<void, void> {
  switch (change.operation) {
    case 'write':
      return write(change, targets);
    case 'remove':
      return remove(change, targets);
    case 'ensureVm':
      return ensureVm(targets, change);
    case 'clearVm':
      return clearVm(targets, change);
    case 'bindFloatingIp':
      return bindFloatingIp(targets, change);
    case 'resetCounter':
      return resetCounter(targets, change.index);
    case 'bindForwarding':
      return bindForwarding(targets, change);
    case 'unbindForwarding':
      return unbindForwarding(targets, change);
    case 'adoptVms':
      return targets.ports.adoptVms(change.segment, change.network);
    case 'releaseAddressPorts':
      return yield* targets.ports.releaseAddress(change.externalAddress);
    case 'releaseNetworkPorts':
      return yield* targets.ports.releaseNetwork(change.segment);
    case 'restart':
      throw new Error(change.sentence);
  }
}

function write(change: Write, { maps, roles }: ApplyTargets): void {
  switch (change.map) {
    case 'gateways':
      return writeGateway(maps, change.value);
    case 'interfaces':
      return maps.interfaces.set(change.key, change.value);
    case 'ports':
      return maps.ports.set(change.key, change.value);
    case 'virtual_routers':
      return roles.configure(change.key, change.value.address, change.value.mac);
    case 'advertisement_rules':
      return writeAdvertisementRule(maps, change.key, change.value);
    case 'virtual_router_by_address':
      return maps.virtualRouterByAddress.set(change.key, change.value);
    case 'external_networks':
      return writeExternalNetwork(maps, change.key, change.value);
    case 'snat_addresses':
      return maps.snatAddresses.set(change.key, change.value);
    case 'pools':
      return maps.pools.set(change.key, change.value);
    case 'routers':
      return maps.routers.set(change.key, change.value);
    case 'networks':
      return maps.networks.set(change.key, change.value);
    case 'routes':
      return maps.routes.set(parseRouteKey(change.key), change.value);
    case 'external_addresses':
      return maps.externalAddresses.set(parseExternalKey(change.key), change.value);
    case 'network_by_vni':
      return maps.networkByVni.set(change.key, change.value);
  }
}

function writeGateway(maps: DataPlaneMaps, { key, otherKey, ...fields }: GatewayContents): void {
  const now = maps.gateways.get(0);
  if (now === undefined) throw new Error('the map has no element 0');
  const words = key?.words() ?? now.key;
  // All zero is the key of a map that nobody has written: anyone could guess it.
  const secret = isZero(words) ? randomKey() : [...words];
  const seed = isZero(now.seed) ? seedOf(secret) : now.seed;
  maps.gateways.set(0, { ...now, ...fields, key: secret, otherKey: key === undefined ? now.otherKey : (otherKey?.words() ?? [0n, 0n]), seed });
}

function isZero(words: readonly bigint[]): boolean {
  return words.every((word) => word === 0n);
}

/** The same on both gateways whose maps began with the same key, so that either knows what BFD's discriminators speak of; the key does not follow from it. */
function seedOf(key: readonly bigint[]): bigint[] {
  const secret = Buffer.alloc(16);
  key.forEach((word, index) => secret.writeBigUInt64LE(word, 8 * index));
  const digest = createHmac('sha256', secret).update('floatgate seed').digest();
  return [digest.readBigUInt64LE(0), digest.readBigUInt64LE(8)];
}

/** The programs compare the password word by word, as its bytes stand. */
function writeAdvertisementRule(maps: DataPlaneMaps, key: number, { password, ...fields }: AdvertisementRuleContents): void {
  const data = password?.data() ?? Buffer.alloc(8);
  maps.advertisementRules.set(key, { ...fields, password: [data.readUInt32LE(0), data.readUInt32LE(4)] });
}

function randomKey(): bigint[] {
  const bytes = randomBytes(16);
  return [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
}

/** The gateway's MAC belongs to the resolver; that of another gateway address, or on another VLAN, is no longer good. */
function writeExternalNetwork(maps: DataPlaneMaps, key: number, value: ExternalNetworkContents): void {
  const now = maps.externalNetworks.get(key);
  const isSame = now?.gateway === value.gateway && now.vlan === value.vlan;
  maps.externalNetworks.set(key, { ...value, gatewayMac: isSame ? now.gatewayMac : Buffer.alloc(6) });
}

const arrays = {
  advertisement_rules: 'advertisementRules',
  gateways: 'gateways',
  interfaces: 'interfaces',
  external_networks: 'externalNetworks',
  snat_addresses: 'snatAddresses',
  pools: 'pools',
  routers: 'routers',
  networks: 'networks',
} as const satisfies Partial<Record<MapName, keyof DataPlaneMaps>>;

function remove(change: Remove, { maps, roles }: ApplyTargets): void {
  switch (change.map) {
    case 'virtual_routers':
      return roles.clear(change.key);
    case 'ports':
      return void maps.ports.delete(change.key);
    case 'virtual_router_by_address':
      return void maps.virtualRouterByAddress.delete(change.key);
    case 'network_by_vni':
      return void maps.networkByVni.delete(change.key);
    case 'routes':
      return void maps.routes.delete(parseRouteKey(change.key));
    case 'external_addresses':
      return void maps.externalAddresses.delete(parseExternalKey(change.key));
    default:
      return zero(maps[arrays[change.map]].raw, change.key);
  }
}

function zero(map: DataPlaneMaps[keyof DataPlaneMaps]['raw'], key: KeyOf<keyof typeof arrays>): void {
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32LE(key);
  map.update(encoded, Buffer.alloc(map.info.valueSize));
}

const ENOENT = -2;
const EAGAIN = -11;
const EBUSY = -16;
const ENOSPC = -28;

const nothingSaid = { floatingIp: 0, floatingIpCounter: 0, flags: 0, tunnelEndpoint: 0, mac: Buffer.alloc(6) };

/** A VNI that is gone went after its VMs: a plan is being repeated that an earlier daemon did not finish. */
function clearVm(targets: ApplyTargets, { segment, address }: { readonly segment: Segment; readonly address: number }): void {
  const index = targets.maps.vmByAddress.get({ vni: segment, address });
  if (index === undefined) return;
  try {
    ensureVm(targets, { segment, address: address as VmContents['address'], ...nothingSaid });
  } catch (error) {
    if (!(error instanceof SystemError && error.code === 'ENOENT')) throw error;
  }
}

/** How often a VM may be forgotten in the very moment in which it is spoken of. */
const ATTEMPTS = 3;

/** Finds or makes the VM's slot and tells it all that the configuration says. */
function ensureVm(targets: ApplyTargets, { segment, ...said }: VmContents): void {
  const context = Buffer.alloc(vmEnsureCodec.size);
  const { address, floatingIp, floatingIpCounter, flags, tunnelEndpoint, mac } = said;
  vmEnsureCodec.encode({ vni: segment, address, floatingIp, floatingIpCounter, flags, tunnelEndpoint, mac, optionLength: 0, option: Buffer.alloc(8), vm: 0 }, context);
  for (let attempt = 1; ; attempt++) {
    const { result } = targets.runSystemCall('vm_ensure', context);
    if (result >= 0) return;
    if (result !== EAGAIN || attempt === ATTEMPTS) throw new SystemError('vm_ensure', -result, result === ENOSPC ? 'limits.vms VMs are known already' : '');
  }
}

/** Of a VM that was ensured before. @throws Error */
function indexOf({ maps }: ApplyTargets, vni: Segment, address: number): number {
  const index = maps.vmByAddress.get({ vni, address });
  if (index === undefined) throw new Error('its VM has no slot');
  return index;
}

function bindFloatingIp(targets: ApplyTargets, { vlan, address, segment, fixedIp, router }: FloatingIp): void {
  targets.maps.externalAddresses.set({ vlan, address }, { kind: externalAddressKind.floatingIp, index: indexOf(targets, segment, fixedIp), router });
}

function resetCounter({ maps: { floatingIpCounters } }: ApplyTargets, index: number): void {
  const none = floatingIpCounterCodec.decode(Buffer.alloc(floatingIpCounterCodec.size));
  floatingIpCounters.set(index, floatingIpCounters.get(index).map(() => none));
}

function bindForwarding(targets: ApplyTargets, { mapping, address, port, protocol, segment, fixedIp, fixedPort }: Forwarding): void {
  const vm = indexOf(targets, segment, fixedIp);
  targets.maps.forwardings.set({ vm, protocol, internalPort: fixedPort }, { externalAddress: address, externalPort: port });
  const result = runForwarding(targets, 'forwarding_ensure', { mapping, vm, internalPort: fixedPort });
  if (result < 0) throw new SystemError('forwarding_ensure', -result, result === EBUSY ? 'the port is being given away at this moment' : '');
}

/** What is not there need not go: a plan is being repeated that an earlier daemon did not finish. */
function unbindForwarding(targets: ApplyTargets, { mapping, protocol, segment, fixedIp, fixedPort }: Forwarding): void {
  const vm = targets.maps.vmByAddress.get({ vni: segment, address: fixedIp });
  if (vm === undefined) return;
  const result = runForwarding(targets, 'forwarding_remove', { mapping, vm, internalPort: fixedPort });
  if (result < 0 && result !== ENOENT) throw new SystemError('forwarding_remove', -result);
  targets.maps.forwardings.delete({ vm, protocol, internalPort: fixedPort });
}

function runForwarding(targets: ApplyTargets, program: ApplyProgram, which: { mapping: number; vm: number; internalPort: number }): number {
  const context = Buffer.alloc(forwardingEnsureCodec.size);
  forwardingEnsureCodec.encode(which, context);
  return targets.runSystemCall(program, context).result;
}

function describe(change: Change): string {
  return change.operation === 'write' || change.operation === 'remove'
    ? `${change.operation} ${change.map}[${change.key}]`
    : change.operation;
}
