import { broadcastAddressOf, formatIpv4, formatIpv4Subnet, subnetContains, subnetsOverlap } from './address.js';
import type { Ipv4Address, Ipv4Subnet } from './address.js';
import { formatPath } from './problem.js';
import type { ConfigurationError, ConfigurationErrorCode, ConfigurationWarning, ConfigurationWarningCode, KeyPath, Reporter } from './problem.js';
import { suggest } from './suggestion.js';

/** Collects what is found. */
export class Check {
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

  /** An address that a host in one of the subnets may have. */
  hostOf(path: KeyPath, address: Ipv4Address, subnets: readonly Ipv4Subnet[], whose: string): boolean {
    if (subnets.some((subnet) => isHostOf(address, subnet))) return true;
    const [first, more] = [subnets[0]!, subnets.length > 1];
    const allowed = more ? subnets.map(formatIpv4Subnet).join(', ') : `${formatIpv4Subnet(first)}: ${formatHosts(first)}`;
    this.conflict(path, `is {value}, but must be a host address of ${more ? `one of ${whose} subnets` : `${whose} subnet`} ${allowed}`);
    return false;
  }
}

export function isHostOf(address: Ipv4Address, subnet: Ipv4Subnet): boolean {
  return subnetContains(subnet, address) && address !== subnet.address && address !== broadcastAddressOf(subnet);
}

function formatHosts(subnet: Ipv4Subnet): string {
  return `${formatIpv4((subnet.address + 1) as Ipv4Address)} to ${formatIpv4((broadcastAddressOf(subnet) - 1) as Ipv4Address)}`;
}

function abbreviate(known: readonly (string | number)[]): string {
  return known.length <= 8 ? known.join(', ') : `${known.slice(0, 8).join(', ')} and ${known.length - 8} more`;
}

/** Something that has a place in the file and a prefix. */
export interface Placed {
  readonly path: KeyPath;
  readonly subnet: Ipv4Subnet;
}

/** Sorted by first address, prefixes that overlap are neighbours of one that contains them. In the order of the file. */
export function checkOverlaps(placed: readonly Placed[], check: Check): void {
  const sorted = placed
    .map(({ path, subnet }, order) => ({ path, subnet, order }))
    .sort((one, other) => one.subnet.address - other.subnet.address || one.subnet.prefixLength - other.subnet.prefixLength);
  let wide = sorted[0];
  for (const one of sorted.slice(1)) {
    if (wide !== undefined && subnetsOverlap(wide.subnet, one.subnet)) {
      const [later, earlier] = one.order > wide.order ? [one, wide] : [wide, one];
      check.conflict(later.path, `is {value}, but must not overlap ${formatPath(earlier.path)}, which is ${formatIpv4Subnet(earlier.subnet)}`);
    } else {
      wide = one;
    }
  }
}
