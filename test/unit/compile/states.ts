import fc from 'fast-check';
import { parseIpv4, parseMac } from '../../../src/config/address.js';
import type { Ipv4Address, MacAddress } from '../../../src/config/address.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { parseKey } from '../../../src/config/key.js';
import type { SecretKey } from '../../../src/config/key.js';
import type { Configuration, RouterConfiguration } from '../../../src/config/schema.js';
import type { Facts } from '../../../src/compile/facts.js';
import { smallest } from '../config/example.js';

export function ip(text: string): Ipv4Address {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

export function mac(text: string): MacAddress {
  return parseMac(text)!;
}

export function key(digits = '000102030405060708090a0b0c0d0e0f'): SecretKey {
  const result = parseKey(digits);
  if (!('key' in result)) throw new Error(result.error);
  return result.key;
}

export function parse(text: string): Configuration {
  const { configuration, errors } = parseConfiguration(text, 'gw.yaml');
  if (configuration === undefined) throw new Error(errors?.map(({ message }) => message).join('\n'));
  return configuration;
}

export const facts: Facts = {
  interfaces: {
    underlay: { ifindex: 5, mtu: 1600, mac: mac('02:00:00:00:01:01'), address: ip('192.168.33.11'), prefixLength: 24 },
    external: { ifindex: 6, mtu: 1500, mac: mac('02:00:00:00:01:02'), address: ip('10.0.2.11'), prefixLength: 24 },
    ha: { ifindex: 7, mtu: 2000, mac: mac('02:00:00:00:01:03'), address: ip('169.254.77.1'), prefixLength: 24 },
  },
  key: key(),
};

const routerNames = ['red', 'green', 'blue', 'white', 'constructor'];
const vnis = [11, 12, 13, 14, 15, 16, 17];
const externalNames = ['provider', 'other'];

/**
 * Small configurations over few names, so that things are often kept, moved,
 * removed and brought back; with tables so small that indexes run out.
 */
export const anyConfiguration: fc.Arbitrary<Configuration> = fc
  .record({
    routers: fc.subarray(routerNames, { maxLength: 3 }),
    virtualRouters: fc.array(fc.constantFrom(51, 52), { minLength: 3, maxLength: 3 }),
    outside: fc.array(fc.constantFrom(...externalNames), { minLength: 3, maxLength: 3 }),
    externalNetworks: fc.subarray(externalNames, { minLength: 1 }),
    networks: fc.subarray(vnis, { maxLength: 5 }),
    owners: fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }),
    addresses: fc.shuffledSubarray([201, 202, 203, 204, 205, 206], { minLength: 6 }),
    addressCount: fc.nat(3),
    floatingIps: fc.uniqueArray(fc.record({ address: fc.integer({ min: 207, max: 210 }), vni: fc.constantFrom(...vnis), host: fc.integer({ min: 10, max: 12 }) }), {
      selector: ({ address }) => address,
    }),
    more: fc.array(fc.subarray([211, 212, 213]), { minLength: 3, maxLength: 3 }),
    forwardings: fc.uniqueArray(fc.record({ router: fc.nat(2), vni: fc.constantFrom(...vnis), host: fc.integer({ min: 20, max: 22 }), port: fc.constantFrom(80, 81), fixedPort: fc.constantFrom(8080, 8081), own: fc.boolean() }), {
      selector: ({ router, port }) => `${router}/${port}`,
      maxLength: 4,
    }),
    pinned: fc.subarray([11, 12, 20]),
    vxlan: fc.boolean(),
    vlan: fc.constantFrom(0, 12),
    onLink: fc.boolean(),
    udp: fc.constantFrom(300_000, 310_000),
  })
  .map((choice) => {
    const base = parse(smallest);
    const owners = choice.networks.map((vni, index) => ({ vni, router: choice.owners[index]! % Math.max(choice.routers.length, 1) }));
    const taken = new Set<string>();
    const shared = new Set<string>();
    const routers = choice.routers.map((name, index): RouterConfiguration => {
      const networks = owners.filter(({ router }) => router === index).map(({ vni }) => vni);
      const extra = choice.more[index]!.filter((last) => isFirst(shared, String(last))).map((last) => ip(`10.0.2.${last}`));
      const externalAddresses = index < choice.addressCount ? [ip(`10.0.2.${choice.addresses[index]}`), ...extra] : [];
      const returns = new Set<string>();
      return {
        name,
        virtualRouter: choice.virtualRouters[index]!,
        externalNetwork: pick(choice.externalNetworks, choice.outside[index]!),
        externalAddresses: externalAddresses,
        mapping: 'endpoint-independent',
        filtering: 'address-dependent',
        limits: { sessions: 0, sessionsPerVm: 0, newSessionsPerSecondPerVm: 0, portBlocksPerVm: 8 },
        networks: networks.map((vni) => ({
          name: `net-${vni}`,
          vni,
          encapsulation: choice.vxlan && vni === vnis[0] ? ('vxlan' as const) : ('geneve' as const),
          subnet: { address: ip('172.16.100.0'), prefixLength: 24 },
          gateway: ip('172.16.100.1'),
          mac: mac(`fa:16:3e:00:00:${vni}`),
          mssClamp: true,
          endpoints: choice.pinned.map((host) => ({ address: ip(`172.16.100.${host}`), mac: mac(`fa:16:3e:00:01:${host}`), compute: ip('192.168.33.31') })),
          learnEndpoints: true,
          vmLimit: 0,
          mtu: 0,
        })),
        routes: networks.length === 0 ? [] : [{ destination: { address: ip('10.99.0.0'), prefixLength: 16 }, via: ip('172.16.100.9') }],
        portForwardings: choice.forwardings
          .filter(({ router, vni, host, fixedPort }) => router === index && externalAddresses.length > 0 && networks.includes(vni) && isFirst(returns, `${vni}/${host}/${fixedPort}`))
          .map(({ vni, host, port, fixedPort, own }) => ({
            // Sometimes an address beside the pool.
            address: own ? externalAddresses[0]! : ip(`10.0.2.${220 + index}`),
            protocol: 'tcp' as const,
            ports: { first: port, last: port },
            network: `net-${vni}`,
            fixedIp: ip(`172.16.100.${host}`),
            fixedPorts: { first: fixedPort, last: fixedPort },
          })),
        floatingIps: choice.floatingIps
          .filter(({ vni, host }) => networks.includes(vni) && isFirst(taken, `${vni}/${host}`))
          .map(({ address, vni, host }) => ({
            // Sometimes one that was a router's own address, and the other way round.
            address: ip(`10.0.2.${choice.addresses.slice(3)[address - 207] ?? address}`),
            network: `net-${vni}`,
            fixedIp: ip(`172.16.100.${host}`),
          })),
      };
    });
    return {
      ...base,
      virtualRouters: [51, 52].map((vrid) => ({
        vrid,
        interface: 'underlay' as const,
        address: ip(`192.168.33.${vrid}`),
        priority: 100,
        advertisementInterval: 1_000_000 as Configuration['sync']['soloAfter'],
        preempt: true,
        preemptDelay: 0 as Configuration['timeouts']['udp'],
        checksum: 'message' as const,
        version: 3,
        unicastPeers: [],
        track: [],
        bfd: { mode: 'off' as const, minTx: 100_000 as Configuration['sync']['soloAfter'], minRx: 100_000 as Configuration['sync']['soloAfter'], multiplier: 3, peers: [], share: 100, weight: 253, holdDown: 60_000_000 as Configuration['sync']['soloAfter'] },
      })),
      externalNetworks: choice.externalNetworks.map((name) => ({
        name,
        vlan: name === 'other' ? choice.vlan : 0,
        subnet: { address: ip('10.0.2.0'), prefixLength: 24 },
        subnets: choice.onLink ? [{ address: ip('10.0.4.0'), prefixLength: 24 }] : [],
        gateway: ip('10.0.2.1'),
        routes: choice.onLink ? [{ destination: { address: ip('10.8.0.0'), prefixLength: 16 }, via: ip('10.0.4.7') }] : [],
      })),
      routers,
      timeouts: { ...base.timeouts, udp: choice.udp as Configuration['timeouts']['udp'] },
      limits: { ...base.limits, networks: 6, routers: 4, externalAddresses: 9, floatingIps: 5 },
    };
  });

function pick(names: readonly string[], wish: string): string {
  return names.includes(wish) ? wish : names[0]!;
}

function isFirst(seen: Set<string>, value: string): boolean {
  return !seen.has(value) && seen.add(value) !== undefined;
}
