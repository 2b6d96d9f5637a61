import { formatIpv4, formatIpv4Subnet } from './address.js';
import type { Ipv4Address } from './address.js';
import { checkOverlaps, isHostOf } from './check.js';
import type { Check } from './check.js';
import { checkOutsideOf } from './external-checks.js';
import { checkForwardings } from './forwarding-checks.js';
import { filteringOf } from './normalise.js';
import type { KeyPath } from './problem.js';
import type { WrittenConfiguration, WrittenNetwork, WrittenRouter } from './schema.js';

/* Everything that is inside: routers, their networks, and the VMs that the file names. */

export function checkRouters({ routers, virtualRouters, externalNetworks }: WrittenConfiguration, check: Check): void {
  const vrids = virtualRouters.map(({ vrid }) => vrid);
  const externalNames = externalNetworks.map(({ name }) => name);
  check.unique(routers.map(({ name }, index) => [['routers', index, 'name'], name]));
  checkVnis(routers, check);
  routers.forEach((router, index) => {
    const at = ['routers', index];
    check.reference([...at, 'virtualRouter'], router.virtualRouter, vrids, 'the vrid of one of the virtualRouters');
    if (check.reference([...at, 'externalNetwork'], router.externalNetwork, externalNames, 'the name of one of the externalNetworks')) {
      checkOutsideOf(router, externalNetworks.find(({ name }) => name === router.externalNetwork)!, at, check);
    }
    checkBehaviour(router, at, check);
    checkNetworks(router, at, check);
    checkRoutes(router, at, check);
    checkFixedIps(router, at, check);
    checkForwardings(router, at, check);
  });
}

/** Each encapsulation has VNIs of its own. */
function checkVnis(routers: readonly WrittenRouter[], check: Check): void {
  for (const wanted of ['geneve', 'vxlan']) {
    check.unique(
      routers.flatMap(({ networks }, router) =>
        networks.flatMap(({ vni, encapsulation }, index) => (encapsulation === wanted ? [[['routers', router, 'networks', index, 'vni'], vni] as const] : [])),
      ),
    );
  }
}

function checkBehaviour(router: WrittenRouter, at: KeyPath, check: Check): void {
  if (router.mapping === 'endpoint-independent' || filteringOf(router) === 'address-and-port-dependent') return;
  check.conflict([...at, 'filtering'], 'is {value}, but with mapping address-and-port-dependent it must be address-and-port-dependent');
}

function checkNetworks({ networks }: WrittenRouter, at: KeyPath, check: Check): void {
  check.unique(networks.map(({ name }, index) => [[...at, 'networks', index, 'name'], name]), ' within the router');
  networks.forEach((network, index) => {
    check.hostOf([...at, 'networks', index, 'gateway'], network.gateway, [network.subnet], 'its');
    checkEndpoints(network, [...at, 'networks', index], check);
  });
  checkOverlaps(networks.map(({ subnet }, index) => ({ path: [...at, 'networks', index, 'subnet'], subnet })), check);
}

function checkEndpoints({ endpoints, ...network }: WrittenNetwork, at: KeyPath, check: Check): void {
  endpoints.forEach(({ address }, index) => checkVm([...at, 'endpoints', index, 'address'], address, network, 'its', check));
  check.unique(endpoints.map(({ address }, index) => [[...at, 'endpoints', index, 'address'], address]), ' within the network');
  if (network.vmLimit && endpoints.length > network.vmLimit) {
    check.conflict([...at, 'vmLimit'], `is {value}, but must be at least ${endpoints.length}: the network has that many endpoints`);
  }
}

/** An address that a VM of the network may have. */
export function checkVm(path: KeyPath, address: Ipv4Address, network: Pick<WrittenNetwork, 'name' | 'subnet' | 'gateway'>, whose: string, check: Check): boolean {
  if (!check.hostOf(path, address, [network.subnet], whose)) return false;
  if (address !== network.gateway) return true;
  check.conflict(path, `is {value}, but must be a VM's address: it is the gateway of ${network.name}`);
  return false;
}

function checkRoutes({ routes, networks }: WrittenRouter, at: KeyPath, check: Check): void {
  const subnets = networks.map(({ subnet }, index): [KeyPath, string] => [[...at, 'networks', index, 'subnet'], formatIpv4Subnet(subnet)]);
  const destinations = routes.map(({ destination }, index): [KeyPath, string] => [[...at, 'routes', index, 'destination'], formatIpv4Subnet(destination)]);
  // Two equal subnets are reported as overlapping.
  check.unique([...new Map(subnets.map((entry) => [entry[1], entry])).values(), ...destinations], ' within the router');
  routes.forEach(({ via }, index) => {
    const path = [...at, 'routes', index, 'via'];
    const network = networks.find(({ subnet }) => isHostOf(via, subnet));
    if (network !== undefined) checkVm(path, via, network, 'its', check);
    else check.conflict(path, `is {value}, but must be a VM's address in one of the router's networks${networks.length === 0 ? ', of which there is none' : `: ${networks.map(({ subnet }) => formatIpv4Subnet(subnet)).join(', ')}`}`);
  });
}

function checkFixedIps({ networks, floatingIps }: WrittenRouter, at: KeyPath, check: Check): void {
  floatingIps.forEach(({ network, fixedIp }, index) => checkNamedVm({ network, fixedIp }, networks, [...at, 'floatingIps', index], check));
  check.unique(
    floatingIps.map(({ network, fixedIp }, index) => [[...at, 'floatingIps', index, 'fixedIp'], `${network}/${fixedIp}`]),
    ' within its network',
  );
}

/** A VM that something gives a way in: its network exists, and can know it. */
export function checkNamedVm({ network: name, fixedIp }: { network: string; fixedIp: Ipv4Address }, networks: readonly WrittenNetwork[], at: KeyPath, check: Check): void {
  // Of two with one name, which is reported as such, the first counts.
  const network = networks.find((candidate) => candidate.name === name);
  if (!check.reference([...at, 'network'], name, networks.map((candidate) => candidate.name), "the name of one of the router's networks") || network === undefined) return;
  if (!checkVm([...at, 'fixedIp'], fixedIp, network, `${name}'s`, check)) return;
  if (network.learnEndpoints || network.endpoints.some(({ address }) => address === fixedIp)) return;
  check.conflict([...at, 'fixedIp'], `is {value}, but must be one of the endpoints of ${name}, which learns no others${network.endpoints.length === 0 ? '' : `: ${formatSome(network.endpoints.map(({ address }) => address))}`}`);
}

function formatSome(addresses: readonly Ipv4Address[]): string {
  const shown = addresses.slice(0, 8).map(formatIpv4).join(', ');
  return addresses.length <= 8 ? shown : `${shown} and ${addresses.length - 8} more`;
}
