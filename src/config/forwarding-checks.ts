import { formatIpv4 } from './address.js';
import type { Check } from './check.js';
import { formatPath } from './problem.js';
import type { KeyPath } from './problem.js';
import { checkNamedVm } from './router-checks.js';
import type { PortRange } from './scalar.js';
import type { WrittenForwarding, WrittenRouter } from './schema.js';

/** The way in and the way back of every forwarded port must be one. */
export function checkForwardings({ networks, floatingIps, portForwardings, externalAddress, externalAddresses }: WrittenRouter, at: KeyPath, check: Check): void {
  const first = externalAddress ?? externalAddresses[0]?.first;
  const floating = new Map(floatingIps.map(({ network, fixedIp }, index) => [`${network}/${fixedIp}`, [...at, 'floatingIps', index]]));
  const [outside, inside] = [new PortsTaken(), new PortsTaken()];
  portForwardings.forEach((forwarding, index) => {
    const here = [...at, 'portForwardings', index];
    const { protocol, port, network, fixedIp, address = first } = forwarding;
    checkNamedVm(forwarding, networks, here, check);
    const has = floating.get(`${network}/${fixedIp}`);
    if (has !== undefined) check.conflict([...here, 'fixedIp'], `is {value}, but must be a VM without a floating IP: ${formatPath(has)} gives it one`);
    checkSizes(forwarding, here, check);
    const inWay = address === undefined ? undefined : outside.take(`${address}/${protocol}`, port, here);
    if (inWay !== undefined) check.conflict([...here, 'port'], `is {value}, but must be unique for ${formatIpv4(address!)} and ${protocol}: ${formatPath(inWay)}.port has it already`);
    const fixedPath = [...here, forwarding.fixedPort === undefined ? 'port' : 'fixedPort'];
    const answers = inside.take(`${network}/${fixedIp}/${protocol}`, forwarding.fixedPort ?? port, here);
    if (answers !== undefined) {
      check.conflict(fixedPath, `is {value}, but must be a port of ${formatIpv4(fixedIp)} that no other port outside stands for, or its answers could leave by either: ${formatPath(answers)} does already`);
    }
  });
}

function checkSizes({ port, fixedPort }: WrittenForwarding, at: KeyPath, check: Check): void {
  const wanted = sizeOf(port);
  if (fixedPort === undefined || sizeOf(fixedPort) === wanted) return;
  check.conflict([...at, 'fixedPort'], `is {value}, but must be ${wanted === 1 ? 'one port' : `a range of ${wanted} ports`}, as many as port has`);
}

export function sizeOf({ first, last }: PortRange): number {
  return last - first + 1;
}

/** Ports, by what they are ports of. */
class PortsTaken {
  readonly #taken = new Map<string, Map<number, KeyPath>>();

  /** Who has one of these already; nobody: they are taken from now on. */
  take(of: string, { first, last }: PortRange, path: KeyPath): KeyPath | undefined {
    const taken = this.#taken.get(of) ?? new Map<number, KeyPath>();
    this.#taken.set(of, taken);
    for (let port = first; port <= last; port++) {
      const earlier = taken.get(port);
      if (earlier !== undefined) return earlier;
      taken.set(port, path);
    }
    return undefined;
  }
}
