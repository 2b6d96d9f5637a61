import type { Ipv4Address } from './address.js';
import type { Check } from './check.js';
import { addressesPerRouter, poolSize } from './external-checks.js';
import { sizeOf } from './forwarding-checks.js';
import { namedVms } from './normalise.js';
import type { WrittenConfiguration, WrittenRouter } from './schema.js';

/** Entries of the kernel's table of routes, which has one size. */
export const maxRoutes = 65_536;

/** Whether the tables have room for what the file says. */
export function checkLimits({ routers, externalNetworks, limits }: WrittenConfiguration, check: Check): void {
  const sum = (of: (router: WrittenRouter) => number): number => routers.reduce((total, router) => total + of(router), 0);
  const used = {
    routers: routers.length,
    networks: sum(({ networks }) => networks.length),
    externalAddresses: sum(externalAddressCount),
    floatingIps: sum(({ floatingIps }) => floatingIps.length),
    forwardings: sum(({ portForwardings }) => portForwardings.reduce((total, { port }) => total + sizeOf(port), 0)),
    // Each has a VM slot, whether its VM is there or not.
    vms: sum(namedVmCount),
  };
  for (const limit of ['routers', 'networks', 'externalAddresses', 'floatingIps', 'forwardings', 'vms'] as const) {
    if (used[limit] <= limits[limit]) continue;
    const what = limit === 'vms' ? 'VMs with a floating IP, a port forwarding or an endpoint, which take one each' : 'of them';
    check.conflict(['limits', limit], `is ${limits[limit]}, but must be at least ${used[limit]}: the file has that many ${what}`);
  }
  const routes = used.networks + sum((router) => router.routes.length) + externalNetworks.reduce((total, network) => total + 1 + network.subnets.length + network.routes.length, 0);
  if (routes > maxRoutes) check.conflict(['routers'], `and externalNetworks have ${routes} networks and routes together, but must have at most ${maxRoutes}`);
}

/** Its pool, and what else its port forwardings need. */
function externalAddressCount(router: WrittenRouter): number {
  const size = poolSize(router);
  if (size > addressesPerRouter) return 0;
  const isInPool = (address: Ipv4Address): boolean => address === router.externalAddress || router.externalAddresses.some(({ first, last }) => address >= first && address <= last);
  const others = router.portForwardings.flatMap(({ address }) => (address === undefined || isInPool(address) ? [] : [address]));
  return size + new Set(others).size;
}

function namedVmCount(router: WrittenRouter): number {
  return [...namedVms(router).values()].reduce((total, { size }) => total + size, 0);
}
