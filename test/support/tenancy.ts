/**
 * What tenants may ask for, over few names, so that things are often kept, moved, removed and brought back:
 * a wish list that random edits change, and the configuration file that follows from it. What contradicts
 * what stands before it is left out, so that every file is good.
 */
import fc from 'fast-check';
import { parseConfiguration } from '../../src/config/configuration.js';
import type { Configuration } from '../../src/config/schema.js';
import { nodeA, nodeB, type Node } from './world.js';

export const routerNames = ['red', 'green', 'blue', 'white', 'black'] as const;
/** The last is VXLAN. Four of them are neighbours of four others: the same addresses. */
export const vnis = [20, 21, 22, 23, 24, 25, 26, 27] as const;
export const vxlanVni = 27;
export const hosts = [10, 11, 12] as const;
export const protocols = ['tcp', 'udp'] as const;
/** One below 1024. */
export const internalPorts = [500, 5000, 5001, 5002] as const;
export const computes = ['192.168.33.31', '192.168.33.32'] as const;
const poolHosts = [201, 202, 203, 204, 205, 206];
/** Two of them may be routers' own addresses as well. */
const floatingHosts = [205, 206, 207, 208, 209, 210];
/** Every host number of an address outside. */
export const outsideHosts = [...new Set([...poolHosts, ...floatingHosts])];
const forwardedPorts = [500, 8080, 8081];
const vrids = [51, 52];

/** So small that indexes run out, and pass from one holder to another. */
export const limits = { networks: 6, routers: 4, externalAddresses: 4, floatingIps: 6, sessions: 64, vms: 64 };

export type Protocol = (typeof protocols)[number];

export interface Vm {
  readonly vni: number;
  readonly host: number;
}

export const allVms: readonly Vm[] = vnis.flatMap((vni) => hosts.map((host) => ({ vni, host })));

interface RouterWish {
  readonly virtualRouter: number;
  readonly externalNetwork: 'provider' | 'other';
  readonly pool: readonly number[];
  readonly isRouted: boolean;
}

interface ForwardingWish {
  readonly router: string;
  readonly address: number;
  readonly protocol: Protocol;
  readonly port: number;
  readonly vm: Vm;
  readonly fixedPort: number;
}

/** Undefined: taken away. */
export type Edit =
  | { readonly of: 'router'; readonly name: string; readonly to: RouterWish | undefined }
  | { readonly of: 'network'; readonly vni: number; readonly to: string | undefined }
  | { readonly of: 'floatingIp'; readonly host: number; readonly to: Vm | undefined }
  | { readonly of: 'forwarding'; readonly number: number; readonly to: ForwardingWish | undefined }
  | { readonly of: 'endpoint'; readonly vm: Vm; readonly to: number | undefined }
  | { readonly of: 'externalNetwork'; readonly name: 'provider' | 'other'; readonly to: { readonly vlan: number; readonly isRouted: boolean } };

export const vm: fc.Arbitrary<Vm> = fc.record({ vni: fc.constantFrom(...vnis), host: fc.constantFrom(...hosts) });

const orGone = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined, freq: 3 });

export const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      of: fc.constant('router' as const),
      name: fc.constantFrom(...routerNames),
      to: orGone(fc.record({
        virtualRouter: fc.constantFrom(...vrids), externalNetwork: fc.constantFrom('provider' as const, 'provider' as const, 'other' as const),
        pool: fc.shuffledSubarray(poolHosts, { maxLength: 3 }), isRouted: fc.boolean(),
      })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ of: fc.constant('network' as const), vni: fc.constantFrom(...vnis), to: orGone(fc.constantFrom(...routerNames)) }) },
  { weight: 4, arbitrary: fc.record({ of: fc.constant('floatingIp' as const), host: fc.constantFrom(...floatingHosts), to: orGone(vm) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      of: fc.constant('forwarding' as const), number: fc.nat(3),
      to: orGone(fc.record({
        router: fc.constantFrom(...routerNames), address: fc.constantFrom(...poolHosts), protocol: fc.constantFrom(...protocols),
        port: fc.constantFrom(...forwardedPorts), vm, fixedPort: fc.constantFrom(...internalPorts),
      })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('endpoint' as const), vm, to: orGone(fc.nat(1)) }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('externalNetwork' as const), name: fc.constantFrom('provider' as const, 'other' as const), to: fc.record({ vlan: fc.constantFrom(0, 12, 13), isRouted: fc.boolean() }) }) },
);

export const address = (host: number): string => `10.0.2.${host}`;
export const fixedIp = ({ vni, host }: Vm): string => `172.16.${vni % 4}.${host}`;
export const gatewayMac = (vni: number): string => `fa:16:3e:00:00:${vni}`;
export const vmMac = ({ vni, host }: Vm): string => `fa:16:3e:00:${vni}:${host}`;
export const networkName = (vni: number): string => `net-${vni}`;
export const virtualAddress = (vrid: number): string => `192.168.33.${vrid}`;
/** Where a VM is; an endpoint may say otherwise. */
export const homeOf = ({ vni, host }: Vm): number => (vni + host) % 2;

type Names<T> = ReadonlyMap<string, T>;

export class Wishes {
  readonly #routers: Names<RouterWish>;
  readonly #networks: Names<{ readonly vni: number; readonly router: string }>;
  readonly #floatingIps: Names<{ readonly host: number; readonly vm: Vm }>;
  readonly #forwardings: Names<ForwardingWish>;
  readonly #endpoints: Names<{ readonly vm: Vm; readonly compute: number }>;
  readonly #externalNetworks: Names<{ readonly vlan: number; readonly isRouted: boolean }>;

  private constructor(
    routers: Names<RouterWish>, networks: Names<{ readonly vni: number; readonly router: string }>, floatingIps: Names<{ readonly host: number; readonly vm: Vm }>,
    forwardings: Names<ForwardingWish>, endpoints: Names<{ readonly vm: Vm; readonly compute: number }>, externalNetworks: Names<{ readonly vlan: number; readonly isRouted: boolean }>,
  ) {
    this.#routers = routers;
    this.#networks = networks;
    this.#floatingIps = floatingIps;
    this.#forwardings = forwardings;
    this.#endpoints = endpoints;
    this.#externalNetworks = externalNetworks;
  }

  /** Two tenants with the same addresses, some of their VMs with floating IPs: most edits then touch something. */
  static first(): Wishes {
    const router = (pool: number): RouterWish => ({ virtualRouter: 51, externalNetwork: 'provider', pool: [pool], isRouted: false });
    return new Wishes(
      new Map([['red', router(201)], ['green', router(202)]]),
      new Map([20, 21, 24, 25].map((vni) => [String(vni), { vni, router: vni < 24 ? 'red' : 'green' }])),
      new Map([[207, 20], [208, 24]].map(([host, vni]) => [String(host), { host: host!, vm: { vni: vni!, host: 11 } }])),
      new Map([['0', { router: 'red', address: 201, protocol: 'tcp', port: 8080, vm: { vni: 20, host: 10 }, fixedPort: 5000 }]]),
      new Map(),
      new Map([['provider', { vlan: 0, isRouted: false }], ['other', { vlan: 12, isRouted: false }]]),
    );
  }

  after(change: Edit): Wishes {
    const { of } = change;
    return new Wishes(
      of === 'router' ? changed(this.#routers, change.name, change.to) : this.#routers,
      of === 'network' ? changed(this.#networks, String(change.vni), change.to === undefined ? undefined : { vni: change.vni, router: change.to }) : this.#networks,
      of === 'floatingIp' ? changed(this.#floatingIps, String(change.host), change.to && { host: change.host, vm: change.to }) : this.#floatingIps,
      of === 'forwarding' ? changed(this.#forwardings, String(change.number), change.to) : this.#forwardings,
      of === 'endpoint' ? changed(this.#endpoints, `${change.vm.vni}/${change.vm.host}`, change.to === undefined ? undefined : { vm: change.vm, compute: change.to }) : this.#endpoints,
      of === 'externalNetwork' ? changed(this.#externalNetworks, change.name, change.to) : this.#externalNetworks,
    );
  }

  /** The file of a gateway, read as the daemon reads it. */
  configuration(node: Node): Configuration {
    const text = JSON.stringify(this.#file(node));
    const { configuration, errors } = parseConfiguration(text, 'wishes.yaml');
    if (configuration === undefined) throw new Error(`${errors.map(({ message }) => message).join('\n')}\n${text}`);
    // Smaller than a file may ask for.
    return { ...configuration, limits: { ...configuration.limits, ...limits } };
  }

  #file({ id }: Node): unknown {
    const provider = this.#externalNetworks.get('provider')!.vlan;
    const vlanOf = (name: string): number => (name === 'provider' ? provider : this.#otherVlan(provider));
    const taken = new Taken();
    const routers = [...this.#routers].slice(0, limits.routers).map(([name, { pool, ...wish }]) => ({ name, ...wish, pool: pool.filter((host) => taken.takeAddress(host, name)) }));
    const networks = [...this.#networks.values()].filter(({ vni, router }) => routers.some(({ name }) => name === router) && taken.takeSubnet(router, vni));
    const routerOf = ({ vni }: Vm): string | undefined => networks.find((network) => network.vni === vni)?.router;
    const floatingIps = [...this.#floatingIps.values()].filter(({ host, vm: of }) => routerOf(of) !== undefined && !taken.isTaken(host) && taken.takeVm(of));
    const forwardings = [...this.#forwardings.values()].filter((wish) =>
      routerOf(wish.vm) === wish.router && !taken.isFloating(wish.vm) && !floatingIps.some(({ host }) => host === wish.address) && taken.takePort(wish) && taken.takeAddress(wish.address, wish.router));
    const endpoints = [...this.#endpoints.values()];
    return {
      gateway: { name: `gw-${id}`, id },
      interfaces: { underlay: { name: 'underlay0' }, external: { name: 'external0' }, ha: { name: 'ha0' } },
      peer: { address: (id === nodeA.id ? nodeB : nodeA).ha.address },
      sync: { keyFile: '/etc/floatgate/sync.key', soloAfter: '60s' },
      timeouts: { portHoldDown: '0s' },
      limits: { vms: limits.vms },
      virtualRouters: vrids.map((vrid) => ({ vrid, address: virtualAddress(vrid) })),
      externalNetworks: ['provider', 'other'].map((name) => ({ name, vlan: vlanOf(name), gateway: '10.0.2.1', ...externalOf(name, this.#externalNetworks.get(name)!.isRouted) })),
      routers: routers.map(({ name, virtualRouter, externalNetwork, pool, isRouted }) => {
        const own = networks.filter(({ router }) => router === name);
        return {
          name,
          virtualRouter,
          externalNetwork,
          externalAddresses: pool.map(address),
          networks: own.map(({ vni }) => ({
            name: networkName(vni), vni, encapsulation: vni === vxlanVni ? 'vxlan' : 'geneve', subnet: `172.16.${vni % 4}.0/24`, gateway: `172.16.${vni % 4}.1`, mac: gatewayMac(vni),
            endpoints: endpoints.filter((endpoint) => endpoint.vm.vni === vni).map((endpoint) => ({ address: fixedIp(endpoint.vm), mac: vmMac(endpoint.vm), compute: computes[endpoint.compute] })),
          })),
          routes: isRouted && own.length > 0 ? [{ destination: '10.99.0.0/16', via: fixedIp({ vni: own[0]!.vni, host: 9 }) }] : [],
          floatingIps: floatingIps.filter(({ vm: of }) => routerOf(of) === name).map(({ host, vm: of }) => ({ address: address(host), network: networkName(of.vni), fixedIp: fixedIp(of) })),
          portForwardings: forwardings.filter(({ router }) => router === name).map((wish) => ({
            address: address(wish.address), protocol: wish.protocol, port: wish.port, network: networkName(wish.vm.vni), fixedIp: fixedIp(wish.vm), fixedPort: wish.fixedPort,
          })),
        };
      }),
    };
  }

  /** Networks with one VLAN must not overlap. */
  #otherVlan(provider: number): number {
    const { vlan } = this.#externalNetworks.get('other')!;
    return vlan === provider ? 14 : vlan;
  }
}

/** The other one's further subnet is one of its own, for they may share nothing. */
function externalOf(name: string, isRouted: boolean): object {
  const third = name === 'provider' ? 4 : 5;
  return { subnet: '10.0.2.0/24', ...(isRouted && { subnets: [`10.0.${third}.0/24`], routes: [{ destination: '198.51.100.0/24', via: `10.0.${third}.7` }] }) };
}

function changed<T>(names: Names<T>, name: string, to: T | undefined): Names<T> {
  const copy = new Map(names);
  if (to === undefined) copy.delete(name);
  else copy.set(name, to);
  return copy;
}

/** First come, first served. */
class Taken {
  readonly #addresses = new Map<number, string>();
  readonly #subnets = new Set<string>();
  readonly #vms = new Set<string>();
  readonly #ports = new Set<string>();
  #networks = 0;

  takeAddress(host: number, router: string): boolean {
    const holder = this.#addresses.get(host);
    if (holder !== undefined) return holder === router;
    if (this.#addresses.size === limits.externalAddresses) return false;
    this.#addresses.set(host, router);
    return true;
  }

  isTaken(host: number): boolean {
    return this.#addresses.has(host);
  }

  takeSubnet(router: string, vni: number): boolean {
    return this.#networks < limits.networks && isFirst(this.#subnets, `${router}/${vni % 4}`) && ++this.#networks > 0;
  }

  takeVm({ vni, host }: Vm): boolean {
    return isFirst(this.#vms, `${vni}/${host}`);
  }

  isFloating({ vni, host }: Vm): boolean {
    return this.#vms.has(`${vni}/${host}`);
  }

  /** Outside and inside. */
  takePort({ address: outside, protocol, port, vm: { vni, host }, fixedPort }: ForwardingWish): boolean {
    const [one, other] = [`${outside}/${protocol}/${port}`, `${vni}/${host}/${protocol}/${fixedPort}`];
    if (this.#ports.has(one) || this.#ports.has(other)) return false;
    this.#ports.add(one).add(other);
    return true;
  }
}

function isFirst(seen: Set<string>, value: string): boolean {
  return !seen.has(value) && seen.add(value) !== undefined;
}
