/** Carries out what src/compile has planned. */
import { randomBytes } from 'node:crypto';
import { SystemError } from 'libbpf-ts';
import type { Change, Write } from '../compile/plan.js';
import type { GatewayContents, MapName } from '../compile/contents.js';
import type { DataPlaneMaps } from './maps.js';
import type { PortTables } from './port-tables.js';
import type { Roles } from './roles.js';
import { externalAddressKind, vmEnsureCodec } from './layout.generated.js';

export interface ApplyTargets {
  readonly maps: DataPlaneMaps;
  readonly roles: Roles;
  readonly ports: PortTables;
  /** Runs vm_ensure. */
  runSystemCall(program: 'vm_ensure', context: Buffer): { readonly result: number; readonly context: Buffer };
}

/** A change that the kernel refused. */
export class ApplyError extends Error {}

/** @throws ApplyError naming the step */
export function applyChange(change: Change, targets: ApplyTargets): void {
  try {
    carryOut(change, targets);
  } catch (error) {
    throw new ApplyError(`${describe(change)} failed: ${(error as Error).message}`);
  }
}

function carryOut(change: Change, targets: ApplyTargets): void {
  switch (change.operation) {
    case 'write':
      return write(change, targets);
    case 'remove':
      return remove(change.map, change.key, targets);
    case 'bindFloatingIp': {
      const index = ensureVm(targets, change.vni, change.fixedIp, change.address);
      targets.maps.externalAddresses.set(change.address, { kind: externalAddressKind.floatingIp, index, router: change.router });
      return;
    }
    case 'clearFloatingIp':
      return clearFloatingIp(targets, change.vni, change.fixedIp);
    case 'adoptVms':
      return targets.ports.adoptVms(change.vni, change.network);
    case 'releaseAddressPorts':
      return targets.ports.releaseAddress(change.externalAddress);
    case 'releaseNetworkPorts':
      return targets.ports.releaseNetwork(change.vni);
    case 'restart':
      throw new Error(change.sentence);
  }
}

function write(change: Write, { maps, roles }: ApplyTargets): void {
  const { key } = change;
  switch (change.map) {
    case 'gateways':
      return writeGateway(maps, change.value);
    case 'interfaces':
      return maps.interfaces.set(key, change.value);
    case 'ports':
      return maps.ports.set(key, change.value);
    case 'virtual_routers':
      return roles.configure(key, change.value.address, change.value.mac);
    case 'virtual_router_by_address':
      return maps.virtualRouterByAddress.set(key, change.value);
    case 'external_networks':
      return writeExternalNetwork(maps, key, change.value);
    case 'routers':
      return maps.routers.set(key, change.value);
    case 'networks':
      return maps.networks.set(key, change.value);
    case 'external_addresses':
      return maps.externalAddresses.set(key, change.value);
    case 'network_by_vni':
      return maps.networkByVni.set(key, change.value);
  }
}

function writeGateway(maps: DataPlaneMaps, { key, ...fields }: GatewayContents): void {
  const now = maps.gateways.get(0);
  if (now === undefined) throw new Error('the map has no element 0');
  const words = key?.words() ?? now.key;
  // All zero is the key of a map that nobody has written: anyone could guess it.
  const secret = words.every((word) => word === 0n) ? randomKey() : words;
  maps.gateways.set(0, { ...now, ...fields, key: [...secret] });
}

function randomKey(): bigint[] {
  const bytes = randomBytes(16);
  return [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
}

/** The gateway's MAC belongs to the resolver; that of another gateway address is no longer good. */
function writeExternalNetwork(maps: DataPlaneMaps, key: number, value: { subnet: number; netmask: number; gateway: number }): void {
  const now = maps.externalNetworks.get(key);
  const gatewayMac = now?.gateway === value.gateway ? now.gatewayMac : Buffer.alloc(6);
  maps.externalNetworks.set(key, { ...value, gatewayMac });
}

const arrays = {
  gateways: 'gateways',
  interfaces: 'interfaces',
  external_networks: 'externalNetworks',
  routers: 'routers',
  networks: 'networks',
} as const satisfies Partial<Record<MapName, keyof DataPlaneMaps>>;

const hashes = {
  ports: 'ports',
  virtual_router_by_address: 'virtualRouterByAddress',
  external_addresses: 'externalAddresses',
  network_by_vni: 'networkByVni',
} as const satisfies Partial<Record<MapName, keyof DataPlaneMaps>>;

function remove(map: MapName, key: number, { maps, roles }: ApplyTargets): void {
  if (map === 'virtual_routers') return roles.clear(key);
  if (map in hashes) return void maps[hashes[map as keyof typeof hashes]].delete(key);
  const { raw } = maps[arrays[map as keyof typeof arrays]];
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32LE(key);
  raw.update(encoded, Buffer.alloc(raw.info.valueSize));
}

/** A VNI that is gone went after its floating IPs: a plan is being repeated that an earlier daemon did not finish. */
function clearFloatingIp(targets: ApplyTargets, vni: number, address: number): void {
  try {
    ensureVm(targets, vni, address, 0);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === 'ENOENT')) throw error;
  }
}

/** Finds or makes the VM's slot and sets its floating IP; 0: none. */
function ensureVm(targets: ApplyTargets, vni: number, address: number, floatingIp: number): number {
  const context = Buffer.alloc(vmEnsureCodec.size);
  vmEnsureCodec.encode({ vni, address, floatingIp, vm: 0 }, context);
  const { result, context: after } = targets.runSystemCall('vm_ensure', context);
  if (result < 0) throw new SystemError('vm_ensure', -result, result === -28 ? 'limits.vms VMs are known already' : '');
  return vmEnsureCodec.decode(after).vm;
}

function describe(change: Change): string {
  return change.operation === 'write' || change.operation === 'remove'
    ? `${change.operation} ${change.map}[${change.key}]`
    : change.operation;
}
