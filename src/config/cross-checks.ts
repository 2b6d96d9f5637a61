import { broadcastAddressOf, formatIpv4, formatIpv4Subnet, subnetContains, subnetsOverlap } from './address.js';
import type { Ipv4Address, Ipv4Subnet } from './address.js';
import { formatDuration } from './duration.js';
import type { Microseconds, Milliseconds } from './duration.js';
import { formatPath } from './problem.js';
import type { ConfigurationError, ConfigurationErrorCode, ConfigurationWarning, ConfigurationWarningCode, KeyPath, Reporter } from './problem.js';
import type { NetworkConfiguration, RouterConfiguration, WrittenConfiguration } from './schema.js';
import { suggest } from './suggestion.js';

/**
 * What a schema cannot say: values that are good alone and wrong together.
 * Reports everything that it finds.
 */
export function crossCheck(
  configuration: WrittenConfiguration,
  report: Reporter,
): { errors: ConfigurationError[]; warnings: ConfigurationWarning[] } {
  const check = new Check(report);
  checkInterfaces(configuration, check);
  checkSync(configuration, check);
  checkVirtualRouters(configuration, check);
  checkExternalNetworks(configuration, check);
  checkRouters(configuration, check);
  checkExternalSide(configuration, check);
  checkLimits(configuration, check);
  warnOfShortTimeouts(configuration, check);
  warnOfUnused(configuration, check);
  return { errors: check.errors, warnings: check.warnings };
}

/** Collects what is found. */
class Check {
  readonly errors: ConfigurationError[] = [];
  readonly warnings: ConfigurationWarning[] = [];
  readonly #report: Reporter;

  constructor(report: Reporter) {
    this.#report = report;
  }

  error(code: ConfigurationErrorCode, path: KeyPath, says: string): void {
    this.errors.push(this.#report(code, path, says));
  }

  conflict(path: KeyPath, says: string): void {
    this.error('FLOATGATE_ERR_CONFIG_CONFLICT', path, says);
  }

  warn(code: ConfigurationWarningCode, path: KeyPath, says: string): void {
    this.warnings.push(this.#report(code, path, says));
  }

  /** Each value at most once; a later one is reported with the path of the first. */
  unique(values: Iterable<readonly [path: KeyPath, value: string | number]>, of = ''): void {
    const first = new Map<string | number, KeyPath>();
    for (const [path, value] of values) {
      const earlier = first.get(value);
      if (earlier === undefined) first.set(value, path);
      else this.conflict(path, `is {value}, but must be unique${of}: ${formatPath(earlier)} has it already`);
    }
  }

  /** A name or number that something else in the file must have. */
  reference<T extends string | number>(path: KeyPath, value: T, known: readonly T[], what: string): boolean {
    if (known.includes(value)) return true;
    const guess = typeof value === 'string' ? suggest(value, known as readonly string[]) : undefined;
    const choice = known.length === 0 ? 'there is none in the file' : guess === undefined ? `there is ${abbreviate(known)}` : `did you mean ${guess}`;
    this.error('FLOATGATE_ERR_CONFIG_UNKNOWN_REFERENCE', path, `is {value}, but must be ${what}: ${choice}`);
    return false;
  }

  /** An address that a host in the subnet may have. */
  hostOf(path: KeyPath, address: Ipv4Address, subnet: Ipv4Subnet, whose: string): boolean {
    const isHost = subnetContains(subnet, address) && address !== subnet.address && address !== broadcastAddressOf(subnet);
    if (isHost) return true;
    const range = `${formatIpv4((subnet.address + 1) as Ipv4Address)} to ${formatIpv4((broadcastAddressOf(subnet) - 1) as Ipv4Address)}`;
    this.conflict(path, `is {value}, but must be a host address of ${whose} subnet ${formatIpv4Subnet(subnet)}: ${range}`);
    return false;
  }
}

function abbreviate(known: readonly (string | number)[]): string {
  return known.length <= 8 ? known.join(', ') : `${known.slice(0, 8).join(', ')} and ${known.length - 8} more`;
}

function checkInterfaces({ interfaces }: WrittenConfiguration, check: Check): void {
  const roles = ['underlay', 'external', 'ha'] as const;
  check.unique(roles.flatMap((role) => (interfaces[role] ? [[['interfaces', role, 'name'], interfaces[role].name] as const] : [])));
}

function checkSync({ interfaces, peer, sync }: WrittenConfiguration, check: Check): void {
  const mode = sync.mode ?? (peer ? 'strict' : 'none');
  if (peer && !interfaces.ha) check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', ['interfaces', 'ha'], 'is missing: with a peer it must name the interface towards the peer');
  if (mode !== 'none' && !peer) check.conflict(['sync', 'mode'], 'is {value}, but without a peer it must be none');
  if (mode !== 'none' && peer && sync.keyFile === undefined) {
    check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', ['sync', 'keyFile'], `is missing: with sync.mode ${mode} it must be the absolute path of the file with the shared key`);
  }
  if (mode === 'none' && peer) {
    check.warn('FLOATGATE_WARN_CONFIG_UNPROTECTED', ['sync', 'mode'], 'is {value} although there is a peer: sessions will break at a takeover');
  }
  if (sync.soloAfter < 3 * sync.heartbeatInterval) {
    const least = formatDuration((3 * sync.heartbeatInterval) as Microseconds);
    check.conflict(['sync', 'soloAfter'], `is ${formatDuration(sync.soloAfter)}, but must be at least three heartbeat intervals: ${least}`);
  }
}

function checkVirtualRouters({ virtualRouters, peer }: WrittenConfiguration, check: Check): void {
  check.unique(virtualRouters.map(({ vrid }, index) => [['virtualRouters', index, 'vrid'], vrid]));
  check.unique(virtualRouters.map(({ address }, index) => [['virtualRouters', index, 'address'], address]));
  virtualRouters.forEach(({ address, priority, preempt, unicastPeers }, index) => {
    const peers = unicastPeers.map((one, at): [KeyPath, Ipv4Address] => [['virtualRouters', index, 'unicastPeers', at], one]);
    check.unique([[['virtualRouters', index, 'address'], address], ...peers], ' within the virtual router');
    if (address === peer?.address) check.conflict(['virtualRouters', index, 'address'], "is {value}, but must differ from the peer's own address");
    // RFC 9568 §6.1: the owner always preempts, whatever Preempt_Mode says.
    if (priority === 255 && !preempt) check.conflict(['virtualRouters', index, 'preempt'], 'is {value}, but with priority 255 it must be true');
  });
}

function checkExternalNetworks({ externalNetworks }: WrittenConfiguration, check: Check): void {
  check.unique(externalNetworks.map(({ name }, index) => [['externalNetworks', index, 'name'], name]));
  externalNetworks.forEach(({ gateway, subnet }, index) => {
    check.hostOf(['externalNetworks', index, 'gateway'], gateway, subnet, 'its');
  });
  checkOverlaps(externalNetworks, ['externalNetworks'], check);
}

/** Sorted by first address, prefixes that overlap are neighbours of one that contains them. */
function checkOverlaps(networks: readonly { readonly subnet: Ipv4Subnet }[], at: KeyPath, check: Check): void {
  const sorted = networks
    .map(({ subnet }, index) => ({ subnet, index }))
    .sort((one, other) => one.subnet.address - other.subnet.address || one.subnet.prefixLength - other.subnet.prefixLength);
  let wide = sorted[0];
  for (const one of sorted.slice(1)) {
    if (wide !== undefined && subnetsOverlap(wide.subnet, one.subnet)) {
      const [later, earlier] = one.index > wide.index ? [one, wide] : [wide, one];
      const other = formatPath([...at, earlier.index, 'subnet']);
      check.conflict([...at, later.index, 'subnet'], `is {value}, but must not overlap ${other}, which is ${formatIpv4Subnet(earlier.subnet)}`);
    } else {
      wide = one;
    }
  }
}

function checkRouters({ routers, virtualRouters, externalNetworks }: WrittenConfiguration, check: Check): void {
  const vrids = virtualRouters.map(({ vrid }) => vrid);
  const externalNames = externalNetworks.map(({ name }) => name);
  check.unique(routers.map(({ name }, index) => [['routers', index, 'name'], name]));
  check.unique(routers.flatMap(({ networks }, router) => networks.map(({ vni }, index) => [['routers', router, 'networks', index, 'vni'], vni] as const)));
  routers.forEach((router, index) => {
    const at = ['routers', index];
    check.reference([...at, 'virtualRouter'], router.virtualRouter, vrids, 'the vrid of one of the virtualRouters');
    if (check.reference([...at, 'externalNetwork'], router.externalNetwork, externalNames, 'the name of one of the externalNetworks')) {
      checkOutsideOf(router, externalNetworks.find(({ name }) => name === router.externalNetwork)!, at, check);
    }
    checkNetworks(router, at, check);
    checkFixedIps(router, at, check);
  });
}

/** Every address that a router has outside is one of its external network. */
function checkOutsideOf(router: RouterConfiguration, external: { name: string; subnet: Ipv4Subnet }, at: KeyPath, check: Check): void {
  const whose = `${external.name}'s`;
  if (router.externalAddress !== undefined) check.hostOf([...at, 'externalAddress'], router.externalAddress, external.subnet, whose);
  router.floatingIps.forEach(({ address }, index) => {
    check.hostOf([...at, 'floatingIps', index, 'address'], address, external.subnet, whose);
  });
}

function checkNetworks({ networks }: RouterConfiguration, at: KeyPath, check: Check): void {
  check.unique(networks.map(({ name }, index) => [[...at, 'networks', index, 'name'], name]), ' within the router');
  networks.forEach(({ gateway, subnet }, index) => {
    check.hostOf([...at, 'networks', index, 'gateway'], gateway, subnet, 'its');
  });
  checkOverlaps(networks, [...at, 'networks'], check);
}

function checkFixedIps({ networks, floatingIps }: RouterConfiguration, at: KeyPath, check: Check): void {
  // Of two with one name, which is reported as such, the first counts.
  const byName = new Map<string, NetworkConfiguration>(networks.toReversed().map((network) => [network.name, network]));
  floatingIps.forEach(({ network: name, fixedIp }, index) => {
    const here = [...at, 'floatingIps', index];
    if (!check.reference([...here, 'network'], name, [...byName.keys()], "the name of one of the router's networks")) return;
    const network = byName.get(name)!;
    if (!check.hostOf([...here, 'fixedIp'], fixedIp, network.subnet, `${name}'s`)) return;
    if (fixedIp === network.gateway) check.conflict([...here, 'fixedIp'], `is {value}, but must be a VM's address: it is the gateway of ${name}`);
  });
  check.unique(
    floatingIps.map(({ network, fixedIp }, index) => [[...at, 'floatingIps', index, 'fixedIp'], `${network}/${fixedIp}`]),
    ' within its network',
  );
}

/** On the external side, an address belongs to one thing only. */
function checkExternalSide({ externalNetworks, routers }: WrittenConfiguration, check: Check): void {
  const owners: (readonly [KeyPath, Ipv4Address])[] = externalNetworks.map(({ gateway }, index) => [['externalNetworks', index, 'gateway'], gateway]);
  routers.forEach(({ externalAddress, floatingIps }, router) => {
    if (externalAddress !== undefined) owners.push([['routers', router, 'externalAddress'], externalAddress]);
    floatingIps.forEach(({ address }, index) => owners.push([['routers', router, 'floatingIps', index, 'address'], address]));
  });
  check.unique(owners, ' on the external side');
}

function checkLimits({ routers, limits }: WrittenConfiguration, check: Check): void {
  const floatingIps = routers.reduce((sum, router) => sum + router.floatingIps.length, 0);
  const used = {
    routers: routers.length,
    networks: routers.reduce((sum, { networks }) => sum + networks.length, 0),
    externalAddresses: routers.filter(({ externalAddress }) => externalAddress !== undefined).length,
    floatingIps,
    // Each floating IP has a VM slot, whether its VM is there or not.
    vms: floatingIps,
  };
  for (const limit of ['routers', 'networks', 'externalAddresses', 'floatingIps', 'vms'] as const) {
    if (used[limit] <= limits[limit]) continue;
    const what = limit === 'vms' ? 'floating IPs, which take one each' : 'of them';
    check.conflict(['limits', limit], `is ${limits[limit]}, but must be at least ${used[limit]}: the file has that many ${what}`);
  }
}

/** What the RFCs forbid, in milliseconds; allowed all the same, for laboratories. */
const shortestTimeouts = {
  tcpEstablished: [7_440_000, 'RFC 5382 REQ-5'],
  tcpTransitory: [240_000, 'RFC 5382 REQ-5'],
  udp: [120_000, 'RFC 4787 REQ-5'],
  icmp: [60_000, 'RFC 5508 REQ-2'],
  portHoldDown: [120_000, 'RFC 6888 REQ-8'],
} as const;

function warnOfShortTimeouts({ timeouts }: WrittenConfiguration, check: Check): void {
  for (const [name, [least, rfc]] of Object.entries(shortestTimeouts)) {
    const timeout: Milliseconds = timeouts[name as keyof typeof timeouts];
    if (timeout >= least) continue;
    check.warn('FLOATGATE_WARN_CONFIG_SHORT_TIMEOUT', ['timeouts', name], `is {value}, less than the ${least / 1_000}s that ${rfc} asks for`);
  }
}

function warnOfUnused({ virtualRouters, externalNetworks, routers }: WrittenConfiguration, check: Check): void {
  const code = 'FLOATGATE_WARN_CONFIG_UNUSED';
  const vrids = new Set(routers.map(({ virtualRouter }) => virtualRouter));
  const names = new Set(routers.map(({ externalNetwork }) => externalNetwork));
  virtualRouters.forEach(({ vrid }, index) => {
    if (!vrids.has(vrid)) check.warn(code, ['virtualRouters', index, 'vrid'], 'is {value}, but no router uses it');
  });
  externalNetworks.forEach(({ name }, index) => {
    if (!names.has(name)) check.warn(code, ['externalNetworks', index, 'name'], 'is {value}, but no router uses it');
  });
}
