import { z } from 'zod';
import { absolutePath, boolean, integer, interfaceName, ipv4Address, ipv4Subnet, list, listenAddress, macAddress, mapping, microseconds, milliseconds, name, oneOf, powerOfTwo } from './scalar.js';

/*
 * The configuration file, key by key. The descriptions are the reference:
 * `floatgate schema` prints them as JSON Schema, for editors and for people.
 * A default stands here and nowhere else. What several keys must satisfy
 * together is in cross-checks.ts.
 */

const xdpMode = oneOf(['auto', 'native', 'generic'])
  .default('auto')
  .describe(
    'How programs are attached. `native`: in the driver, or not at all. `generic`: in the kernel, after the driver, on any interface. `auto`: native where the driver has it, else generic, and the log says which. Default: auto. A change needs a restart.',
  );

function interfaceSettings(purpose: string) {
  return mapping({
    name: interfaceName().describe('Name of the Linux interface, 1 to 15 characters, such as eth1. A change needs a restart.'),
    mode: xdpMode,
  }).describe(purpose);
}

const gateway = mapping({
  name: name().describe('What this gateway is called in logs, metrics and `floatgate status`. 1 to 63 letters, digits, "-", "_", ".".'),
  id: integer(0, 1).describe(
    'Which half of the external ports is ours: 0 or 1, and the other one on the peer. The split makes it impossible that both give one port away. A change needs a restart.',
  ),
}).describe('This node.');

const interfaces = mapping({
  underlay: interfaceSettings('Towards the compute nodes: Geneve tunnels end here.'),
  external: interfaceSettings('Towards the provider network: floating IPs and router addresses are answered here.'),
  ha: interfaceSettings(
    'Towards the peer: session records, the packets that wait for them, and heartbeats. Its MTU should be larger than the other two by 160 bytes, so that a full packet travels with its record. Needed with a peer; optional without.',
  ).optional(),
}).describe('The network interfaces, one for each role; no interface can have two.');

const peer = mapping({
  address: ipv4Address().describe("The peer's IPv4 address on the ha interface."),
}).describe('The other gateway of the pair. Optional: without it this gateway is alone, and nothing is replicated.');

const sync = mapping({
  mode: oneOf(['strict', 'async', 'none'])
    .optional()
    .describe(
      'When a packet that changes a session may leave. `strict`: when the peer holds the session as well. `async`: at once; the peer hears of it a little later. `none`: sessions are not replicated and break at a takeover. Default: strict with a peer, none without.',
    ),
  keyFile: absolutePath()
    .optional()
    .describe(
      'Absolute path of the file with the key that both gateways share: 32 hexadecimal digits (128 bits), as from `openssl rand -hex 16`. Readable by root only. Needed by the modes strict and async.',
    ),
  heartbeatInterval: microseconds('1ms', '1s')
    .prefault('2ms')
    .describe('How often a heartbeat is sent on the ha interface. Duration, 1ms to 1s. Default: 2ms.'),
  soloAfter: microseconds('3ms', '60s')
    .prefault('20ms')
    .describe(
      'After how much silence of the peer we stop waiting for it (strict mode) and count new sessions as unprotected. Duration, 3ms to 60s, at least three heartbeat intervals. Default: 20ms.',
    ),
}).describe('Replication of sessions between the two gateways.');

const virtualRouter = mapping({
  vrid: integer(1, 255).describe('Virtual router identifier (VRID), 1 to 255, equal on both gateways. RFC 9568 §5.2.3.'),
  interface: oneOf(['underlay'])
    .default('underlay')
    .describe('The role of the interface on which the election takes place and the address lives. Only underlay. Default: underlay.'),
  address: ipv4Address().describe("The virtual IPv4 address: the compute nodes' tunnel endpoint. Equal on both gateways."),
  priority: integer(1, 255)
    .default(100)
    .describe("Who becomes Active: the higher one, 1 to 255. 255 is for the address's owner, whose underlay interface has this very address. Default: 100. RFC 9568 §5.2.4."),
  advertisementInterval: microseconds('10ms', '40950ms', '10ms')
    .prefault('1s')
    .describe('How often the Active gateway says so. Duration, 10ms to 40950ms in steps of 10ms. Default: 1s. A takeover needs a little over three of them. RFC 9568 §5.2.7.'),
  preempt: boolean()
    .default(true)
    .describe('Whether to take over from an Active gateway of lower priority. Never before the sessions are synchronised. Default: true. RFC 9568 §6.1, Preempt_Mode.'),
  preemptDelay: milliseconds('0s', '1000s')
    .prefault('0s')
    .describe('How long to wait before preempting, so that routing can settle. Does not delay taking over from a dead gateway. Duration, 0s to 1000s. Default: 0s.'),
  checksum: oneOf(['message', 'pseudo-header'])
    .default('message')
    .describe(
      'What the checksum of the advertisements that we send covers; both forms are accepted. `message`: the VRRP message alone, RFC 9568 §5.2.8. `pseudo-header`: IPv4 addresses as well, as keepalived and FRR have it and expect it; choose it where one of them shares the election. Default: message.',
    ),
  unicastPeers: list(ipv4Address(), 'IPv4 addresses', 8)
    .prefault([])
    .describe(
      "For an underlay without multicast: the other gateways' own underlay addresses, at most 8. Advertisements go to these, and are taken from these alone, instead of 224.0.0.18. Default: none, which is multicast.",
    ),
}).describe('One election, and one tunnel endpoint with one virtual MAC address.');

const externalNetwork = mapping({
  name: name().describe('What routers call it in externalNetwork. Unique.'),
  subnet: ipv4Subnet().describe('The provider subnet, with a prefix length of 8 to 30 and no host bits, such as 10.0.2.0/24. Subnets do not overlap.'),
  gateway: ipv4Address().describe('The next hop to everything outside the subnet: an address within it.'),
}).describe('A provider network behind the external interface.');

const network = mapping({
  name: name().describe("What the router's floatingIps call it. Unique within the router."),
  vni: integer(1, 16_777_215).describe('Virtual network identifier in the Geneve header, 1 to 16777215, unique in the file. RFC 8926 §3.4.'),
  subnet: ipv4Subnet().describe(
    "The tenant's subnet, with a prefix length of 8 to 30 and no host bits. Subnets of one router do not overlap; those of different routers may.",
  ),
  gateway: ipv4Address().describe('The address in the subnet that VMs use as their default route. ARP and ICMP echo for it are answered.'),
  mac: macAddress().describe("The MAC address of that gateway address: the logical router port's. Quote it in YAML."),
}).describe('A tenant network.');

const floatingIp = mapping({
  address: ipv4Address().describe("The address outside: in the subnet of the router's external network, unique in the file."),
  network: name().describe('Name of the network, of the same router, that the VM is in.'),
  fixedIp: ipv4Address().describe("The VM's own address: in the network's subnet, with at most one floating IP."),
}).describe('An address outside that stands for one VM: both directions, all protocols, all ports.');

const router = mapping({
  name: name().describe('Unique, such as the UUID that the cloud gave it. A router that gets another name is another router: its sessions end.'),
  virtualRouter: integer(1, 255).describe('VRID of the virtual router that carries it: where that one is Active, this one forwards.'),
  externalNetwork: name().describe('Name of the external network that it leads to.'),
  externalAddress: ipv4Address()
    .optional()
    .describe(
      'The address that VMs without a floating IP share (SNAT): in the subnet of the external network, used by this router alone. Optional: without it such VMs cannot reach the outside.',
    ),
  networks: list(network, 'networks').prefault([]).describe('The tenant networks that are attached to it. Default: none.'),
  floatingIps: list(floatingIp, 'floating IPs').prefault([]).describe('Its floating IPs. Default: none.'),
}).describe("A tenant's router.");

const timeouts = mapping({
  tcpEstablished: milliseconds('1s', '7d')
    .prefault('7440s')
    .describe('Idle established TCP connections are forgotten after this long. Duration, 1s to 7d. Default: 7440s, the least that RFC 5382 REQ-5 allows.'),
  tcpTransitory: milliseconds('1s', '7d')
    .prefault('240s')
    .describe('TCP connections that are half open or closing. Duration, 1s to 7d. Default: 240s, the least that RFC 5382 REQ-5 allows.'),
  udp: milliseconds('1s', '7d')
    .prefault('300s')
    .describe('Idle UDP mappings. Duration, 1s to 7d. Default: 300s, recommended by RFC 4787 REQ-5, which forbids less than 120s.'),
  icmp: milliseconds('1s', '7d')
    .prefault('60s')
    .describe('Idle ICMP queries. Duration, 1s to 7d. Default: 60s, the least that RFC 5508 REQ-2 allows.'),
  portHoldDown: milliseconds('0s', '1h')
    .prefault('120s')
    .describe('How long a freed external port rests before it is given to somebody else. Duration, 0s to 1h. Default: 120s, from RFC 6888 REQ-8.'),
}).describe('How long idle state is kept. Counted in ticks of 2^30 ns (about 1.07 s) and rounded up. Take effect at reload.');

const limits = mapping({
  vms: powerOfTwo(16, 1_048_576)
    .default(16_384)
    .describe('VMs that the gateway can know, of all networks; each floating IP takes one. Power of two, 16 to 1048576. Default: 16384. 128 bytes each.'),
  sessions: powerOfTwo(1_024, 16_777_216)
    .default(262_144)
    .describe('Sessions beyond the first of each mapping. Power of two, 1024 to 16777216. Default: 262144. 24 bytes each.'),
  externalAddresses: powerOfTwo(1, 256)
    .default(4)
    .describe('Shared SNAT addresses (externalAddress of routers). Power of two, 1 to 256. Default: 4. Each takes 6 MiB for its 196608 mappings.'),
  floatingIps: powerOfTwo(16, 1_048_576).default(65_536).describe('Floating IPs. Power of two, 16 to 1048576. Default: 65536.'),
  networks: powerOfTwo(16, 65_536).default(4_096).describe('Tenant networks. Power of two, 16 to 65536. Default: 4096.'),
  routers: powerOfTwo(16, 65_536).default(4_096).describe('Routers. Power of two, 16 to 65536. Default: 4096.'),
}).describe('Sizes of the tables in the kernel; memory is taken at start. A change needs a restart, and ends all sessions of this gateway.');

/** The unix socket's path, `<stateDirectory>/api.sock`, must fit into sun_path: 108 bytes with the final zero. */
const stateDirectoryBytes = 107 - '/api.sock'.length;
export const defaultStateDirectory = '/run/floatgate';

export const configurationSchema = mapping({
  gateway,
  interfaces,
  peer: peer.optional(),
  sync: sync.prefault({}),
  virtualRouters: list(virtualRouter, 'virtual routers', 255).prefault([]).describe('The elections, at most 255. A pair needs a handful, whatever the number of routers. Default: none.'),
  externalNetworks: list(externalNetwork, 'external networks', 256).prefault([]).describe('The provider networks, at most 256. Default: none.'),
  routers: list(router, 'routers').prefault([]).describe("The tenants' routers. Default: none."),
  timeouts: timeouts.prefault({}),
  limits: limits.prefault({}),
  stateDirectory: absolutePath(stateDirectoryBytes)
    .default(defaultStateDirectory)
    .describe(
      `Absolute path, at most ${stateDirectoryBytes} bytes, of the folder for what must outlive the daemon: pinned maps and programs in bpf/, the API's socket api.sock. Default: ${defaultStateDirectory}. A change needs a restart.`,
    ),
  metrics: mapping({
    listen: listenAddress().describe('IPv4 address and port of the Prometheus endpoint /metrics, such as 127.0.0.1:9477.'),
  })
    .optional()
    .describe('Prometheus metrics over HTTP. Optional: without it there is no listener.'),
  log: mapping({
    level: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info').describe('The least important lines that are written. Default: info.'),
  })
    .prefault({})
    .describe('Structured logs, one JSON object per line on standard output.'),
}).meta({ title: 'floatgate configuration', description: 'One gateway of a floatgate pair.' });

/** What the file says, before `sync.mode`'s default is chosen. */
export type WrittenConfiguration = z.output<typeof configurationSchema>;

/** A checked configuration: defaults filled in, addresses and durations parsed, references good. */
export interface Configuration extends WrittenConfiguration {
  readonly sync: WrittenConfiguration['sync'] & { readonly mode: SyncMode };
}

export type SyncMode = 'strict' | 'async' | 'none';
export type InterfaceConfiguration = Configuration['interfaces']['underlay'];
export type InterfaceRole = keyof Configuration['interfaces'];
export type VirtualRouterConfiguration = Configuration['virtualRouters'][number];
export type ExternalNetworkConfiguration = Configuration['externalNetworks'][number];
export type RouterConfiguration = Configuration['routers'][number];
export type NetworkConfiguration = RouterConfiguration['networks'][number];
export type FloatingIpConfiguration = RouterConfiguration['floatingIps'][number];
