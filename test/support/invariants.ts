/** What has to hold in the tables of a gateway after whatever traffic. */
import type { GatewayFixture } from './gateway-fixture.js';

const SESSION_COMMITTED = 1;
const PORT_BLOCK_SIZE = 256;
const PORTS = 65536;
const PROTOCOLS = 3;

/** Every broken rule, as a sentence. */
export function tableFaults(gateway: GatewayFixture): string[] {
  return [...mappingFaults(gateway), ...blockFaults(gateway), ...sessionFaults(gateway)];
}

function mappingFaults(gateway: GatewayFixture): string[] {
  const faults: string[] = [];
  const owners = new Map<string, number>();
  const blocks = new Map(gateway.portBlocks().map((block) => [`${block.externalAddress}/${block.block}`, block]));
  for (const mapping of gateway.mappings()) {
    const { externalAddress, externalPort, protocol, internalPort, vm } = mapping;
    const name = `mapping ${externalAddress}:${externalPort}/${protocol}`;
    const holder = blocks.get(`${externalAddress}/${Math.floor(externalPort / PORT_BLOCK_SIZE)}`);
    if (externalPort < 1024) faults.push(`${name} is below 1024`);
    if (holder === undefined || holder.vm !== vm) faults.push(`${name} of VM ${vm} is in a block of VM ${holder?.vm}`);
    // One whose commit was lost may stay beside the one that the peer made instead, until it ages.
    if ((mapping.first.flags & SESSION_COMMITTED) === 0) continue;
    const owner = `${vm}:${internalPort}/${protocol}`;
    const earlier = owners.get(owner);
    if (earlier !== undefined) faults.push(`${owner} has two mappings: ${earlier} and ${externalPort}`);
    owners.set(owner, externalPort);
  }
  return faults;
}

function blockFaults(gateway: GatewayFixture): string[] {
  const mappings = gateway.mappings();
  return gateway.portBlocks().flatMap(({ externalAddress, block, vm, mappings: counted }) => {
    const inside = mappings.filter((mapping) => mapping.externalAddress === externalAddress && Math.floor(mapping.externalPort / PORT_BLOCK_SIZE) === block);
    const faults = inside.length === counted ? [] : [`block ${externalAddress}/${block} counts ${counted} mappings and has ${inside.length}`];
    if (!gateway.vms.get(vm - 1).blocks.includes(block)) faults.push(`VM ${vm} does not know its block ${block}`);
    return faults;
  });
}

function sessionFaults(gateway: GatewayFixture): string[] {
  const faults: string[] = [];
  const counts = new Map<number, number>();
  const names = new Set<string>();
  for (const { mapping, session } of gateway.sessions()) {
    const owner = gateway.mappingTable.get(mapping - 1);
    const name = `session of mapping ${mapping - 1} with ${session.remote}:${session.remotePort}`;
    counts.set(mapping - 1, (counts.get(mapping - 1) ?? 0) + 1);
    if (owner.vm === 0) faults.push(`${name} has no mapping`);
    if (names.has(name)) faults.push(`${name} exists twice`);
    if (owner.first.state !== 0 && owner.first.remote === session.remote && owner.first.remotePort === session.remotePort) {
      faults.push(`${name} is also the first one`);
    }
    names.add(name);
  }
  for (const [index, mapping] of gateway.mappingTable.used()) {
    const found = counts.get(index) ?? 0;
    if (found !== mapping.sessionCount) {
      faults.push(`mapping ${index % PORTS}/${Math.floor(index / PORTS) % PROTOCOLS} counts ${mapping.sessionCount} sessions and has ${found}`);
    }
  }
  return faults;
}
