/** What has to hold in the tables of a gateway after whatever traffic. */
import { mappingBehaviour, mappingFlag, sessionState, vmFlag, type SessionSlot } from '../../src/dataplane/layout.generated.js';
import type { GatewayFixture, MappingEntry } from './gateway-fixture.js';

const SESSION_COMMITTED = 1;
const PORT_BLOCK_SIZE = 256;
const PORTS = 65536;
const PROTOCOLS = 3;
const ICMP = 2;

/** Every broken rule, as a sentence. */
export function tableFaults(gateway: GatewayFixture): string[] {
  const mappings = gateway.mappings();
  return [
    ...mappingFaults(gateway, mappings), ...blockFaults(gateway, mappings), ...sessionFaults(gateway, mappings), ...countFaults(gateway, mappings),
  ];
}

const isStatic = (mapping: { readonly flags: number }): boolean => (mapping.flags & mappingFlag.static) !== 0;

function mappingFaults(gateway: GatewayFixture, mappings: readonly MappingEntry[]): string[] {
  const faults: string[] = [];
  const owners = new Map<string, number>();
  const blocks = new Map(gateway.portBlocks().map((block) => [`${block.externalAddress}/${block.block}`, block]));
  for (const mapping of mappings) {
    const { externalAddress, externalPort, protocol, internalPort, vm } = mapping;
    const name = `mapping ${externalAddress}:${externalPort}/${protocol}`;
    const holder = blocks.get(`${externalAddress}/${Math.floor(externalPort / PORT_BLOCK_SIZE)}`);
    // A port forwarding is where the configuration says, by itself or within a VM's block.
    if (isStatic(mapping)) continue;
    if (externalPort < 1024) {
      if (internalPort >= 1024 || protocol === ICMP) faults.push(`${name} serves ${internalPort}`);
      continue;
    }
    if (holder === undefined || holder.vm !== vm) faults.push(`${name} of VM ${vm} is in a block of VM ${holder?.vm}`);
    if (overloads(gateway, vm - 1)) continue;
    // One whose commit was lost may stay beside the one that the peer made instead, until it ages.
    if ((mapping.first.flags & SESSION_COMMITTED) === 0) continue;
    const owner = `${vm}:${internalPort}/${protocol}`;
    const earlier = owners.get(owner);
    if (earlier !== undefined) faults.push(`${owner} has two mappings: ${earlier} and ${externalPort}`);
    owners.set(owner, externalPort);
  }
  return faults;
}

/** Whether the VM's router gives an internal port several external ones (RFC 4787 §4.1). */
function overloads(gateway: GatewayFixture, vm: number): boolean {
  const { router } = gateway.networks.get(gateway.vms.get(vm).network)!;
  return gateway.routers.get(router)!.mapping !== mappingBehaviour.endpointIndependent;
}

function blockFaults(gateway: GatewayFixture, mappings: readonly MappingEntry[]): string[] {
  return gateway.portBlocks().flatMap(({ externalAddress, block, vm, mappings: counted }) => {
    const inside = mappings.filter((mapping) => !isStatic(mapping) && mapping.externalAddress === externalAddress && Math.floor(mapping.externalPort / PORT_BLOCK_SIZE) === block);
    const faults = inside.length === counted ? [] : [`block ${externalAddress}/${block} counts ${counted} mappings and has ${inside.length}`];
    if (!gateway.vms.get(vm - 1).blocks.includes(block)) faults.push(`VM ${vm} does not know its block ${block}`);
    return faults;
  });
}

/** Of an earlier mapping in the same place: found by nobody, and ageing takes it away. */
function isLeftBehind(gateway: GatewayFixture, { mapping, vm, session }: SessionSlot): boolean {
  const owner = gateway.mappingTable.get(mapping - 1);
  return owner.vm !== vm || isStatic(owner) || (owner.internalPort !== session.internalPort && !overloads(gateway, vm - 1));
}

function sessionFaults(gateway: GatewayFixture, mappings: readonly MappingEntry[]): string[] {
  const faults: string[] = [];
  const counts = new Map<number, number>();
  const names = new Set<string>();
  for (const { mapping, vm, session } of gateway.sessions()) {
    const owner = gateway.mappingTable.get(mapping - 1);
    const name = `session of mapping ${mapping - 1} with ${session.remote}:${session.remotePort}`;
    counts.set(mapping - 1, (counts.get(mapping - 1) ?? 0) + 1);
    if (isLeftBehind(gateway, { mapping, vm, session })) continue;
    if (names.has(name)) faults.push(`${name} exists twice`);
    if (owner.first.state !== 0 && owner.first.remote === session.remote && owner.first.remotePort === session.remotePort) {
      faults.push(`${name} is also the first one`);
    }
    names.add(name);
  }
  for (const { index, ...mapping } of mappings) {
    const found = counts.get(index) ?? 0;
    if (found !== mapping.sessionCount) {
      faults.push(`mapping ${index % PORTS}/${Math.floor(index / PORTS) % PROTOCOLS} counts ${mapping.sessionCount} sessions and has ${found}`);
    }
  }
  return faults;
}

/** What is counted beside the tables is what a count of the tables finds. */
function countFaults(gateway: GatewayFixture, mappings: readonly MappingEntry[]): string[] {
  const sessions = new Map<number, number>();
  const dynamic = new Map<number, number>();
  const routers = new Map<number, number>();
  const networks = new Map<number, number>();
  const add = (counts: Map<number, number>, key: number, amount = 1): void => void counts.set(key, (counts.get(key) ?? 0) + amount);
  for (const mapping of mappings) {
    if (mapping.first.state !== sessionState.free) add(sessions, mapping.vm - 1);
    if (!isStatic(mapping)) add(dynamic, mapping.vm - 1);
  }
  for (const { vm } of gateway.sessions()) add(sessions, vm - 1);

  const faults: string[] = [];
  const compare = (what: string, counted: number, found: number): void => {
    if (counted !== found) faults.push(`${what}: ${counted} counted, ${found} found`);
  };
  for (const [index, vm] of gateway.vms.used()) {
    compare(`sessions of VM ${index}`, vm.sessions, sessions.get(index) ?? 0);
    compare(`mappings of VM ${index}`, vm.mappingCount, dynamic.get(index) ?? 0);
    if ((vm.flags & vmFlag.retired) === 0) add(networks, vm.network);
    add(routers, gateway.networks.get(vm.network)!.router, sessions.get(index) ?? 0);
  }
  for (const index of [...networks.keys(), 0, 1, 2]) compare(`VMs of network ${index}`, gateway.networkStates.get(index).vms, networks.get(index) ?? 0);
  for (const index of [...routers.keys(), 0, 1]) compare(`sessions of router ${index}`, gateway.routerStates.get(index).sessions, routers.get(index) ?? 0);
  return [...new Set(faults)];
}
