import { addressesOf, formatIpv4, formatIpv4Subnet, sizeOfRange, subnetContains } from './address.js';
import type { Ipv4Address, Ipv4Range, Ipv4Subnet } from './address.js';
import { checkOverlaps } from './check.js';
import type { Check, Placed } from './check.js';
import { formatPath } from './problem.js';
import type { KeyPath } from './problem.js';
import type { WrittenConfiguration, WrittenRouter } from './schema.js';

/* Everything that is outside: the provider networks, and whose their addresses are. */

type WrittenNetwork = WrittenConfiguration['externalNetworks'][number];

/** Addresses that the VMs of one router may share: a run of the table of pools. */
export const addressesPerRouter = 64;

export function onLinkOf({ subnet, subnets }: Pick<WrittenNetwork, 'subnet' | 'subnets'>): Ipv4Subnet[] {
  return [subnet, ...subnets];
}

export function checkExternalNetworks({ externalNetworks }: WrittenConfiguration, check: Check): void {
  check.unique(externalNetworks.map(({ name }, index) => [['externalNetworks', index, 'name'], name]));
  externalNetworks.forEach((network, index) => {
    const at = ['externalNetworks', index];
    check.hostOf([...at, 'gateway'], network.gateway, [network.subnet], 'its');
    checkRoutes(network, at, check);
  });
  for (const vlan of new Set(externalNetworks.map((network) => network.vlan))) {
    checkOverlaps(externalNetworks.flatMap((network, index) => (network.vlan === vlan ? placesOf(network, ['externalNetworks', index]) : [])), check);
  }
}

function placesOf({ subnet, subnets }: WrittenNetwork, at: KeyPath): Placed[] {
  return [{ path: [...at, 'subnet'], subnet }, ...subnets.map((more, index) => ({ path: [...at, 'subnets', index], subnet: more }))];
}

function checkRoutes(network: WrittenNetwork, at: KeyPath, check: Check): void {
  check.unique(network.routes.map(({ destination }, index) => [[...at, 'routes', index, 'destination'], formatIpv4Subnet(destination)]), ' within the network');
  network.routes.forEach(({ destination, via }, index) => {
    const here = [...at, 'routes', index];
    check.hostOf([...here, 'via'], via, onLinkOf(network), 'its');
    const within = onLinkOf(network).find((subnet) => subnet.prefixLength <= destination.prefixLength && subnetContains(subnet, destination.address));
    if (within !== undefined) check.conflict([...here, 'destination'], `is {value}, but must not be within ${formatIpv4Subnet(within)}, which is on link`);
  });
}

/** Every address that a router has outside is one of its external network. */
export function checkOutsideOf(router: WrittenRouter, external: WrittenNetwork, at: KeyPath, check: Check): void {
  const [subnets, whose] = [onLinkOf(external), `${external.name}'s`];
  if (router.externalAddress !== undefined) check.hostOf([...at, 'externalAddress'], router.externalAddress, subnets, whose);
  checkPool(router, subnets, whose, at, check);
  router.floatingIps.forEach(({ address }, index) => check.hostOf([...at, 'floatingIps', index, 'address'], address, subnets, whose));
  router.portForwardings.forEach(({ address }, index) => {
    const path = [...at, 'portForwardings', index, 'address'];
    if (address !== undefined) check.hostOf(path, address, subnets, whose);
    else if (router.externalAddress === undefined && router.externalAddresses.length === 0) {
      check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', path, "is missing: it must be an address outside, for the router has no externalAddress");
    }
  });
}

function checkPool({ externalAddress, externalAddresses }: WrittenRouter, subnets: readonly Ipv4Subnet[], whose: string, at: KeyPath, check: Check): void {
  externalAddresses.forEach((range, index) => {
    const path = [...at, 'externalAddresses', index];
    // Both ends in one subnet: then everything between them is.
    if (check.hostOf(path, range.first, subnets, whose)) check.hostOf(path, range.last, subnets.filter((subnet) => subnetContains(subnet, range.first)), whose);
  });
  const size = poolSize({ externalAddress, externalAddresses });
  if (size > addressesPerRouter) check.conflict([...at, 'externalAddresses'], `has ${size} addresses, but must have at most ${addressesPerRouter}`);
}

/** Without looking at the addresses: a prefix may have millions. */
export function poolSize({ externalAddress, externalAddresses }: Pick<WrittenRouter, 'externalAddress' | 'externalAddresses'>): number {
  const isExtra = externalAddress !== undefined && !externalAddresses.some(({ first, last }) => externalAddress >= first && externalAddress <= last);
  return externalAddresses.reduce((sum, range) => sum + sizeOfRange(range), isExtra ? 1 : 0);
}

interface Owner {
  readonly path: KeyPath;
  /** Of several owners of one kind, all may have the address. */
  readonly sharedBy?: string;
}

/** On the external side, an address of a VLAN belongs to one thing only. */
export function checkExternalSide(configuration: WrittenConfiguration, check: Check): void {
  const owners = new OwnersOfAddresses(check);
  configuration.externalNetworks.forEach(({ vlan, gateway, routes }, index) => {
    const at = ['externalNetworks', index];
    owners.add(vlan, gateway, { path: [...at, 'gateway'], sharedBy: 'neighbour' });
    routes.forEach(({ via }, route) => owners.add(vlan, via, { path: [...at, 'routes', route, 'via'], sharedBy: 'neighbour' }));
  });
  const vlans = new Map(configuration.externalNetworks.map(({ name, vlan }) => [name, vlan]));
  configuration.routers.forEach((router, index) => ownAddresses(router, vlans.get(router.externalNetwork) ?? 0, ['routers', index], owners));
}

function ownAddresses(router: WrittenRouter, vlan: number, at: KeyPath, owners: OwnersOfAddresses): void {
  const { externalAddress, externalAddresses, floatingIps, portForwardings } = router;
  const ofRouter = `router ${String(at[1])}`;
  if (externalAddress !== undefined) owners.add(vlan, externalAddress, { path: [...at, 'externalAddress'], sharedBy: ofRouter });
  if (poolSize(router) <= addressesPerRouter) externalAddresses.forEach((range, index) => owners.addRange(vlan, range, [...at, 'externalAddresses', index], ofRouter));
  floatingIps.forEach(({ address }, index) => owners.add(vlan, address, { path: [...at, 'floatingIps', index, 'address'] }));
  portForwardings.forEach(({ address }, index) => {
    if (address !== undefined) owners.add(vlan, address, { path: [...at, 'portForwardings', index, 'address'], sharedBy: ofRouter });
  });
}

class OwnersOfAddresses {
  readonly #check: Check;
  readonly #owners = new Map<string, Owner>();

  constructor(check: Check) {
    this.#check = check;
  }

  add(vlan: number, address: Ipv4Address, owner: Owner, says = 'is {value}, but'): void {
    const key = `${vlan}/${address}`;
    const earlier = this.#owners.get(key);
    if (earlier === undefined) this.#owners.set(key, owner);
    else if (owner.sharedBy === undefined || owner.sharedBy !== earlier.sharedBy) {
      this.#check.conflict(owner.path, `${says} must be unique on the external side: ${formatPath(earlier.path)} has it already`);
    }
  }

  addRange(vlan: number, range: Ipv4Range, path: KeyPath, sharedBy: string): void {
    for (const address of addressesOf(range)) {
      const says = range.first === range.last ? 'is {value}, but' : `holds ${formatIpv4(address)}, which`;
      this.add(vlan, address, { path, sharedBy }, says);
    }
  }
}
