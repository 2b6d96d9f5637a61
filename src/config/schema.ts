import { z } from 'zod';
import type { Ipv4Address } from './address.js';
import { absolutePath, boolean, commandLine, destination, eitherNumber, integer, interfaceName, ipv4Address, ipv4Range, ipv4Subnet, list, listenAddress, macAddress, mapping, microseconds, milliseconds, name, oneOf, portRange, powerOfTwo, secretText, userName } from './scalar.js';
import type { Microseconds, Milliseconds } from './duration.js';
import type { PortRange } from './scalar.js';

/*
 * The configuration file, key by key. The descriptions are the reference:
 * `floatgate schema` prints them as JSON Schema, for editors and for people.
 * A default stands here and nowhere else. What several keys must satisfy
 * together is in cross-checks.ts.
 */

const hookMode = oneOf(['auto', 'native', 'generic', 'tc'])
  .default('auto')
  .describe(
    'How the program is attached. `native`: by XDP in the driver, or not at all. `tc`: as a filter in the kernel, on any interface; keeps the packets whole that the kernel has merged. `generic`: by XDP in the kernel, the slowest. `auto`: native where the drivers of all interfaces have it, else tc, and the log says which. Default: auto. A change needs a restart.',
  );

const haMode = oneOf(['auto', 'native', 'generic'])
  .default('auto')
  .describe(
    'How the program is attached. `native`: by XDP in the driver, or not at all. `generic`: by XDP in the kernel, on any interface. `auto`: native where the drivers of all interfaces have it, else generic, and the log says which. Default: auto. A change needs a restart.',
  );

const nameKey = {
  name: interfaceName().describe('Name of the Linux interface, 1 to 15 characters, such as eth1. A change needs a restart.'),
};
const interfaceKeys = { ...nameKey, mode: hookMode };

const gateway = mapping({
  name: name().describe('What this gateway is called in logs, metrics and `floatgate status`. 1 to 63 letters, digits, "-", "_", ".".'),
  id: integer(0, 1).describe(
    'Which half of the external ports is ours: 0 or 1, and the other one on the peer. The split makes it impossible that both give one port away. A change needs a restart.',
  ),
  icmpErrorsPerSecond: integer(0, 1_000_000)
    .default(1_000)
    .describe('How many ICMP errors (time exceeded, fragmentation needed, unreachable) are sent in a second on each CPU, 0 to 1000000; 0: none. Default: 1000. RFC 1812 §4.3.2.8.'),
  restingPorts: integer(0, 16_777_216)
    .default(0)
    .describe('How many freed external ports may rest at a time (timeouts.portHoldDown), 0 to 16777216; one that is freed beyond is free at once. 0: no limit. Default: 0. RFC 6888 REQ-8.'),
}).describe('This node.');

/** The card must leave tags to the programs: what it takes off before them, they never see. */
function vlan(of: string, more: string) {
  return integer(0, 4_094)
    .default(0)
    .describe(`VLAN identifier (802.1Q) of every frame of ${of}, 1 to 4094; 0: untagged. The card must let the VLAN in and leave its tags in the frames (\`ethtool -K ens4 rxvlan off rx-vlan-filter off\`). Default: 0. ${more}`);
}

const interfaces = mapping({
  underlay: mapping({
    ...interfaceKeys,
    vlan: vlan(
      'the underlay',
      "With a VLAN, `name` is the interface that carries the tags, and no VLAN interface is needed: the election, ARP and the tunnels are ours. The node's own underlay address, which advertisements come from and which both gateways need, is that of `name` itself (`ip address add 192.168.33.11/24 dev ens4`), or of a VLAN interface over it where there is one (ens4.100). A change needs a restart.",
    ),
  }).describe('Towards the compute nodes: tunnels end here.'),
  external: mapping(interfaceKeys).describe('Towards the provider networks: floating IPs and router addresses are answered here. Needs an address of its own only where an external network is untagged.'),
  ha: mapping({ ...nameKey, mode: haMode }).describe(
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
      'Absolute path of the file with the key that both gateways share: 32 hexadecimal digits (128 bits), as from `openssl rand -hex 16`. While one key follows another there are two, on lines of their own: the first signs, both are accepted. Readable by root only. Needed by the modes strict and async.',
    ),
  heartbeatInterval: microseconds('1ms', '1s')
    .prefault('2ms')
    .describe('How often a heartbeat is sent on the ha interface, and one on the underlay. Duration, 1ms to 1s. Default: 2ms.'),
  livenessAfter: microseconds('3ms', '60s')
    .optional()
    .describe(
      'After how long without an answer to heartbeats a way to the peer counts as silent. When both fall silent together the peer is dead, and its virtual routers are taken over at once, without waiting for three advertisement intervals. Duration, 3ms to 60s, at least three heartbeat intervals. Optional: without it three of them, 5ms at least.',
    ),
  soloAfter: microseconds('3ms', '60s')
    .prefault('20ms')
    .describe(
      'After how much silence of the peer we stop waiting for it (strict mode) and count new sessions as unprotected. Duration, 3ms to 60s, at least three heartbeat intervals. Default: 20ms.',
    ),
}).describe('Replication of sessions between the two gateways.');

/** keepalived's `weight -20` and, with 20 points more of priority, its `weight 20`. */
const weightKey = {
  weight: integer(1, 253)
    .optional()
    .describe('How many points are taken from the priority while it is down, 1 to 253; 1 point is left at least. Optional: without it its loss is a fault: this gateway gives the role away and does not take it, also when no other can.'),
};

function hysteresisKeys(rise: number, fall: number) {
  return {
    rise: integer(1, 100).default(rise).describe(`After how many successes in a row it counts as up again, 1 to 100. The very first success needs no second. Default: ${rise}.`),
    fall: integer(1, 100).default(fall).describe(`After how many failures in a row it counts as down, 1 to 100. Default: ${fall}.`),
  };
}

const linkTrack = mapping({
  name: interfaceName().describe('Name of any Linux interface. Down: it is not there, not up, or without carrier.'),
  ...weightKey,
}).describe('An interface. Those of the underlay and external roles need no entry: their loss is always a fault.').optional();

const gatewayTrack = mapping({
  address: ipv4Address().describe('Whom to ask: the next hop of an external network, or any other address.'),
  by: oneOf(['arp', 'icmp'])
    .default('arp')
    .describe(
      "How to ask. `arp`: on the external network whose subnets have the address, with its VLAN, else on the underlay. `icmp`: an echo request by the kernel's routes, which needs one. Always from the node's own address, so that a Backup disturbs nobody. Default: arp.",
    ),
  interval: milliseconds('10ms', '1h').prefault('500ms').describe('How often to ask. Duration, 10ms to 1h. A loss is noticed within interval times fall, plus timeout: 2s by default. Default: 500ms.'),
  timeout: milliseconds('5ms', '1h').optional().describe('How long to wait for an answer, at most an interval. Duration, 5ms to 1h. Optional: without it an interval.'),
  ...hysteresisKeys(3, 3),
  ...weightKey,
}).describe('A neighbour or a host further away. With a weight, unless it can fail for one gateway alone: a fault of both leaves nobody Active.').optional();

const scriptTrack = mapping({
  command: commandLine().describe('The program, by its absolute path, and its arguments; no shell. Success is exit code 0. It runs without input and output, in /, with PATH alone in its environment, one at a time.'),
  user: userName().default('nobody').describe('The user of /etc/passwd that it runs as, with their primary group. Default: nobody.'),
  interval: milliseconds('100ms', '1d').prefault('5s').describe('From one start to the next. Duration, 100ms to 1d. Default: 5s.'),
  timeout: milliseconds('10ms', '1d').optional().describe('After how long it is killed, with all that it has started in its process group, and has failed; at most an interval. Duration, 10ms to 1d. Optional: without it an interval.'),
  ...hysteresisKeys(2, 2),
  ...weightKey,
}).describe('A program that is run again and again.').optional();

const track = mapping({ link: linkTrack, gateway: gatewayTrack, script: scriptTrack }).describe('One thing: exactly one of the keys.');

const bfd = mapping({
  mode: oneOf(['passive', 'off'])
    .default('passive')
    .describe('`passive`: while Active, answers compute nodes that speak BFD in VNI 0 of their tunnels, as Open vSwitch does with `bfd:enable=true` and OVN between chassis. `off`: BFD is dropped. Default: passive.'),
  minTx: microseconds('10ms', '60s')
    .prefault('100ms')
    .describe(
      'How often we want to send (bfd.DesiredMinTxInterval). A compute node waits for multiplier times the greater of this and its own min_rx before it gives us up: where that is longer than a takeover takes, it notices none. Duration, 10ms to 60s. Default: 100ms. RFC 5880 §6.8.3.',
    ),
  minRx: microseconds('10ms', '60s')
    .prefault('100ms')
    .describe('How often we are willing to hear of a compute node (bfd.RequiredMinRxInterval): we wait for its multiplier times the greater of this and its own min_tx. Duration, 10ms to 60s. Default: 100ms. RFC 5880 §6.8.4.'),
  multiplier: integer(1, 255).default(3).describe('After how many of our packets in a row that were lost a compute node gives us up (bfd.DetectMult), 1 to 255. Default: 3. RFC 5880 §6.8.4.'),
  peers: list(destination().describe('A prefix of 1 to 32 bits without host bits, such as 192.168.33.0/24.'), 'IPv4 prefixes', 64)
    .prefault([])
    .describe(
      'Tunnel endpoints that may speak BFD with us although none of their VMs is known yet: prefixes, at most 64. Give it where compute nodes send nothing to a gateway whose BFD is not Up. Default: none, only those that VMs were learned from, and those in endpoints.',
    ),
  share: integer(1, 100)
    .default(100)
    .describe('Which part of the sessions that were Up has to be Down for the tunnels of this gateway to be broken, in percent, 1 to 100. Sessions that a compute node has taken down itself do not count. Default: 100.'),
  weight: integer(0, 253)
    .default(253)
    .describe('How many points broken tunnels take from the priority, 0 to 253, which is never less than 1; the priority 255 keeps all. 0: they change nothing. Default: 253, so that any Backup that preempts takes over.'),
  holdDown: microseconds('1s', '1h')
    .prefault('60s')
    .describe(
      'How long the points stay taken from a gateway that has lost the role over it, for it cannot see its tunnels any more; twice as long each time that it happens again, up to 64 times. Duration, 1s to 1h. Default: 60s.',
    ),
}).describe('Bidirectional Forwarding Detection (RFC 5880) with the compute nodes, inside the tunnels: notices that no tunnelled packet arrives while everything else works.');

const virtualRouter = mapping({
  vrid: integer(1, 255).describe('Virtual router identifier (VRID), 1 to 255, equal on both gateways. RFC 9568 §5.2.3.'),
  interface: oneOf(['underlay'])
    .default('underlay')
    .describe('The role of the interface on which the election takes place and the address lives. Only underlay. Default: underlay.'),
  version: eitherNumber(2, 3)
    .default(3)
    .describe('VRRP version of the election, 2 (RFC 3768) or 3 (RFC 9568), equal on all of its routers: advertisements of another version are dropped. Choose 2 only where a router takes part that knows no other. Default: 3.'),
  authentication: secretText(8)
    .optional()
    .describe(
      'Password of VRRPv2, 1 to 8 printable ASCII characters, equal on all routers of the election. It travels in clear text (RFC 2338 §5.3.6, simple text password) and keeps routers of another configuration apart, not attackers. Needs version 2. Optional: without it none is sent, and advertisements with one are dropped.',
    ),
  address: ipv4Address().describe("The virtual IPv4 address: the compute nodes' tunnel endpoint. Equal on both gateways."),
  priority: integer(1, 255)
    .default(100)
    .describe("Who becomes Active: the higher one, 1 to 255. 255 is for the address's owner, whose underlay interface has this very address. Default: 100. RFC 9568 §5.2.4."),
  advertisementInterval: microseconds('10ms', '40950ms', '10ms')
    .prefault('1s')
    .describe('How often the Active gateway says so. Duration, 10ms to 40950ms in steps of 10ms; with version 2 whole seconds from 1s to 255s, equal on all routers of the election. Default: 1s. A takeover needs a little over three of them. RFC 9568 §5.2.7, RFC 3768 §5.3.7.'),
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
      "For an underlay without multicast: the other gateways' own underlay addresses, at most 8; on a tagged underlay within our own subnet. Advertisements go to these, and are taken from these alone, instead of 224.0.0.18. Default: none, which is multicast.",
    ),
  track: list(track, 'things to track', 32)
    .prefault([])
    .describe(
      'What the role depends on, at most 32. What is down is a fault, or takes its weight from the priority, which a Backup of higher priority then preempts; 255, the owner\'s, never changes. What is not known yet keeps a gateway from becoming Active for 3s at most. Default: none, but the links of underlay and external.',
    ),
  syncGroup: name()
    .optional()
    .describe(
      'Virtual routers with one name here are Active in one place: a fault or a drain of one is one of all, what one tracks all track, and a gateway that has lost one gives the others away. They must agree in version, priority, preempt, preemptDelay and advertisementInterval, on each gateway. Optional: without it each is by itself.',
    ),
  bfd: bfd.prefault({}),
}).describe('One election, and one tunnel endpoint with one virtual MAC address.');

const externalRoute = mapping({
  destination: destination().describe('Where to: a prefix of 1 to 32 bits without host bits, outside of the subnets, such as 192.168.0.0/16. Each once; the longest one wins.'),
  via: ipv4Address().describe('The next hop: an address in one of the subnets that is not ours.'),
}).describe('A static route on a provider network.');

const externalNetwork = mapping({
  name: name().describe('What routers call it in externalNetwork. Unique.'),
  vlan: vlan('this network', 'Networks with one VLAN share it, and must not overlap; those with different VLANs may.'),
  subnet: ipv4Subnet().describe('The provider subnet with the gateway: a prefix length of 8 to 30 and no host bits, such as 10.0.2.0/24. Subnets of one VLAN do not overlap.'),
  subnets: list(ipv4Subnet().describe('A subnet with a prefix length of 8 to 30 and no host bits.'), 'IPv4 subnets', 64)
    .prefault([])
    .describe('More subnets that are on link, at most 64: routers and floating IPs may have addresses of these as well, and neighbours in them need no gateway. Default: none.'),
  gateway: ipv4Address().describe('The next hop to everything that neither the subnets nor the routes have: an address within subnet.'),
  routes: list(externalRoute, 'static routes', 1_024).prefault([]).describe('Static routes by way of other routers, at most 1024. Default: none.'),
}).describe('A provider network behind the external interface.');

const endpoint = mapping({
  address: ipv4Address().describe("The VM's address: in the network's subnet, each once."),
  mac: macAddress().describe("The VM's MAC address. Quote it in YAML."),
  compute: ipv4Address().describe("The compute node's tunnel address: where packets to the VM go, and the only one that packets of the VM may come from."),
}).describe('Where a VM is, said once and for all: nothing that it sends changes it.');

const network = mapping({
  name: name().describe("What the router's floatingIps and portForwardings call it. Unique within the router."),
  vni: integer(1, 16_777_215).describe('Virtual network identifier in the tunnel header, 1 to 16777215, unique in the file among networks of one encapsulation. RFC 8926 §3.4, RFC 7348 §5.'),
  encapsulation: oneOf(['geneve', 'vxlan'])
    .default('geneve')
    .describe('The tunnels of its compute nodes: `geneve` (UDP port 6081, RFC 8926) or `vxlan` (UDP port 4789, RFC 7348). Default: geneve.'),
  subnet: ipv4Subnet().describe(
    "The tenant's subnet, with a prefix length of 8 to 30 and no host bits. Subnets of one router do not overlap; those of different routers may.",
  ),
  gateway: ipv4Address().describe('The address in the subnet that VMs use as their default route. ARP and ICMP echo for it are answered.'),
  mac: macAddress().describe("The MAC address of that gateway address: the logical router port's. Quote it in YAML."),
  mtu: integer(576, 65_535)
    .optional()
    .describe(
      "The MTU of its VMs in bytes, 576 to 65535: larger packets to them are split, or their senders told so (RFC 1191). Give it where VMs have a smaller one than the tunnels have room for, or what is between is lost without a word. Optional: without it the underlay's MTU less the encapsulation.",
    ),
  mssClamp: boolean()
    .default(true)
    .describe(
      "Whether a TCP SYN that asks for larger segments than VMs or the way to them take is made to ask for less: the network's MTU, or the underlay's less the encapsulation (58 bytes Geneve with an option, 50 bytes VXLAN), or the external MTU, less 40. Default: true. RFC 879.",
    ),
  endpoints: list(endpoint, 'endpoints').prefault([]).describe('VMs whose place is known beforehand; one limits.vms slot each. Default: none, places are learned from what VMs send.'),
  learnEndpoints: boolean()
    .default(true)
    .describe('Whether VMs that endpoints does not name are learned from what they send. With false their packets are dropped. Default: true.'),
  vmLimit: integer(0, 1_048_576)
    .optional()
    .describe(
      'How many VMs of this network may be known at a time, 0 to 1048576; 0: no limit but the table. VMs that the file names count, and are never refused. Optional: without it an eighth of limits.vms, so that no network fills the table of all with addresses that it makes up; at least 16, and as many eighths more as it takes to leave half of one to VMs that are learned. RFC 6888 REQ-5.',
    ),
}).describe('A tenant network.');

const floatingIp = mapping({
  address: ipv4Address().describe("The address outside: in a subnet of the router's external network, unique on its VLAN."),
  network: name().describe('Name of the network, of the same router, that the VM is in.'),
  fixedIp: ipv4Address().describe("The VM's own address: in the network's subnet, with at most one floating IP."),
}).describe('An address outside that stands for one VM: both directions, all protocols, all ports.');

const portForwarding = mapping({
  address: ipv4Address()
    .optional()
    .describe(
      "The address outside: one of the router's own, or another one in a subnet of its external network that is no floating IP; that one takes a place of limits.externalAddresses. Optional: without it the first of the router's addresses.",
    ),
  protocol: oneOf(['tcp', 'udp']).describe('tcp or udp.'),
  port: portRange().describe('The port outside, 1 to 65535, or a range such as "8000-8010". Each port of an address and protocol is forwarded once.'),
  network: name().describe('Name of the network, of the same router, that the VM is in.'),
  fixedIp: ipv4Address().describe("The VM's own address: in the network's subnet, without a floating IP."),
  fixedPort: portRange()
    .optional()
    .describe(
      "The VM's port, or a range of as many as outside. Optional: without it the same as outside. A port of a VM is reached by one port outside only, for its answers must leave by that one.",
    ),
}).describe('A port outside that stands for a port of a VM. Works like a static mapping: never expires, and is filtered by nothing.');

const innerRoute = mapping({
  destination: destination().describe('Where to: a prefix of 1 to 32 bits without host bits, such as 10.99.0.0/16. Each once, and none of the subnets of its networks; the longest one wins.'),
  via: ipv4Address().describe("The VM that routes on: an address in one of the router's networks, not its gateway."),
}).describe('A static route to what is behind a VM.');

/** 0 is no limit, as everywhere here. */
function routerLimit(max: number, what: string) {
  return integer(0, max).default(0).describe(`${what}, 0 to ${max}; 0: no limit. Default: 0.`);
}

const maxSessions = 16_777_216;

const routerLimits = mapping({
  sessions: routerLimit(maxSessions, 'How many sessions all VMs of the router may have at a time'),
  sessionsPerVm: integer(0, maxSessions)
    .optional()
    .describe(
      `How many sessions one VM may have at a time, 0 to ${maxSessions}; 0: no limit. Optional: without it an eighth of limits.sessions, so that no VM fills the table of all. RFC 6888 REQ-4, REQ-5.`,
    ),
  newSessionsPerSecondPerVm: routerLimit(1_000_000, 'How many new sessions one VM may make in a second, with a burst of as many'),
  portBlocksPerVm: integer(1, 8)
    .default(8)
    .describe('How many blocks of 256 external ports one VM may have from each gateway, 1 to 8. Default: 8. RFC 6888 REQ-4.'),
}).describe('What one tenant may take. Floating IPs need no sessions, and are not limited.');

const router = mapping({
  name: name().describe('Unique, such as the UUID that the cloud gave it. A router that gets another name is another router: its sessions end.'),
  virtualRouter: integer(1, 255).describe('VRID of the virtual router that carries it: where that one is Active, this one forwards.'),
  externalNetwork: name().describe('Name of the external network that it leads to.'),
  externalAddress: ipv4Address()
    .optional()
    .describe(
      'The address that VMs without a floating IP share (SNAT): in a subnet of the external network, used by this router alone. Short for externalAddresses with one address; with both, it is the first. Optional: without an address such VMs cannot reach the outside.',
    ),
  externalAddresses: list(ipv4Range().describe('An address, a prefix or a range.'), 'addresses, prefixes or ranges', 64)
    .prefault([])
    .describe(
      'Several such addresses: a VM has one of them, always the same (RFC 4787 REQ-2). Addresses, prefixes (all of their addresses) or ranges such as 10.0.2.10-10.0.2.13, at most 64 addresses in all. The first is what the router itself answers with. Default: none.',
    ),
  mapping: oneOf(['endpoint-independent', 'address-and-port-dependent'])
    .default('endpoint-independent')
    .describe(
      'What an external port depends on. `endpoint-independent`: on the internal port alone, as peer-to-peer applications need. `address-and-port-dependent`: on the remote as well, so that one external port serves many connections to different remotes. Default: endpoint-independent. RFC 4787 §4.1.',
    ),
  filtering: oneOf(['endpoint-independent', 'address-dependent', 'address-and-port-dependent'])
    .optional()
    .describe(
      'Who may send to an external port that is mapped: anybody, addresses that the VM has sent to, or their very ports. Optional: without it address-dependent, or address-and-port-dependent where mapping is, which allows nothing else. RFC 4787 §5.',
    ),
  limits: routerLimits.prefault({}),
  networks: list(network, 'networks').prefault([]).describe('The tenant networks that are attached to it. Default: none.'),
  routes: list(innerRoute, 'static routes', 1_024).prefault([]).describe('Static routes by way of VMs, at most 1024. Default: none.'),
  floatingIps: list(floatingIp, 'floating IPs').prefault([]).describe('Its floating IPs. Default: none.'),
  portForwardings: list(portForwarding, 'port forwardings').prefault([]).describe('Its port forwardings. Default: none.'),
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
  vm: milliseconds('0s', '7d')
    .prefault('1h')
    .describe('VMs that were learned and have neither ports nor a floating IP are forgotten after so long without a packet; 0s: never. Duration, 0s to 7d. Default: 1h.'),
}).describe('How long idle state is kept. Counted in ticks of 2^30 ns (about 1.07 s) and rounded up. Take effect at reload.');

const limits = mapping({
  vms: powerOfTwo(16, 1_048_576)
    .default(16_384)
    .describe('VMs that the gateway can know, of all networks; each that has a floating IP, a port forwarding or an endpoint takes one. Power of two, 16 to 1048576. Default: 16384. 192 bytes each.'),
  sessions: powerOfTwo(1_024, 16_777_216)
    .default(262_144)
    .describe('Sessions beyond the first of each mapping. Power of two, 1024 to 16777216. Default: 262144. 24 bytes each.'),
  externalAddresses: powerOfTwo(1, 256)
    .default(4)
    .describe('Shared SNAT addresses (externalAddresses of routers) and further addresses of port forwardings. Power of two, 1 to 256. Default: 4. Each takes 6 MiB for its 196608 mappings.'),
  floatingIps: powerOfTwo(16, 1_048_576).default(65_536).describe('Floating IPs. Power of two, 16 to 1048576. Default: 65536.'),
  forwardings: powerOfTwo(16, 1_048_576).default(16_384).describe('Forwarded ports, each port of a range by itself. Power of two, 16 to 1048576. Default: 16384.'),
  networks: powerOfTwo(16, 65_536).default(4_096).describe('Tenant networks. Power of two, 16 to 65536. Default: 4096.'),
  routers: powerOfTwo(16, 65_536).default(4_096).describe('Routers. Power of two, 16 to 65536. Default: 4096.'),
}).describe('Sizes of the tables in the kernel; memory is taken at start. A change needs a restart, and ends all sessions of this gateway.');

/** The unix socket's path, `<stateDirectory>/api.sock`, must fit into sun_path: 108 bytes with the final zero. */
const stateDirectoryBytes = 107 - '/api.sock'.length;
export const defaultStateDirectory = '/run/floatgate';

const notify = mapping({
  command: commandLine()
    .optional()
    .describe(
      "The program, by its absolute path, and its arguments, run at every change of a virtual router's state; no shell. For each virtual router one at a time and in order; of changes that wait only the newest 8 are kept. Environment: PATH, FLOATGATE_GATEWAY, FLOATGATE_VRID, FLOATGATE_STATE and FLOATGATE_PREVIOUS (active, backup, handing-over, fault, drained, stopped), FLOATGATE_REASON, FLOATGATE_PRIORITY, FLOATGATE_TERM. Optional: without it nothing is run.",
    ),
  user: userName().default('nobody').describe('The user of /etc/passwd that it runs as, with their primary group. Default: nobody.'),
  timeout: milliseconds('100ms', '1h').prefault('10s').describe('After how long it is killed, with all that it has started in its process group. Duration, 100ms to 1h. Default: 10s.'),
  fifo: absolutePath()
    .optional()
    .describe(
      'Absolute path of a FIFO, as from mkfifo, that gets a line such as `INSTANCE "51" ACTIVE 200` at every change: the VRID, the state in capitals, the priority. While nobody reads it, the newest state of each virtual router waits. Optional: without it nothing is written.',
    ),
}).describe('Whom to tell when a virtual router changes its state. Never delays an election.');

export const configurationSchema = mapping({
  gateway,
  interfaces,
  peer: peer.optional(),
  sync: sync.prefault({}),
  virtualRouters: list(virtualRouter, 'virtual routers', 255).prefault([]).describe('The elections, at most 255. A pair needs a handful, whatever the number of routers. Default: none.'),
  notify: notify.optional(),
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
    floatingIps: boolean()
      .default(false)
      .describe('Whether packets and bytes are told for every floating IP by itself, in each direction: four time series each, too many for most servers where there are tens of thousands. Default: false.'),
  })
    .optional()
    .describe('Prometheus metrics over HTTP. Optional: without it there is no listener.'),
  log: mapping({
    level: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info').describe('The least important lines that are written. Default: info.'),
    portAllocations: boolean()
      .default(false)
      .describe(
        'Whether a line says which external ports a VM gets or gives back: one for each block of 256, and for each port below 1024. At level info. Default: false. RFC 6888 REQ-12, RFC 7422.',
      ),
  })
    .prefault({})
    .describe('Structured logs, one JSON object per line on standard output.'),
}).meta({ title: 'floatgate configuration', description: 'One gateway of a floatgate pair.' });

/** What the file says, before what depends on several keys is made one (normalise.ts). */
export type WrittenConfiguration = z.output<typeof configurationSchema>;
export type WrittenVirtualRouter = WrittenConfiguration['virtualRouters'][number];
export type WrittenTrack = WrittenVirtualRouter['track'][number];
export type TrackKind = keyof WrittenTrack;
/** Of its own, and of the others of its sync group. */
export type Track = { [Kind in TrackKind]: { readonly kind: Kind } & Timed<NonNullable<WrittenTrack[Kind]>> }[TrackKind];
type Timed<T> = T extends { timeout?: Milliseconds | undefined } ? T & { readonly timeout: Milliseconds } : T;
export type TrackOf<Kind extends TrackKind> = Extract<Track, { readonly kind: Kind }>;
export type WrittenRouter = WrittenConfiguration['routers'][number];
export type WrittenNetwork = WrittenRouter['networks'][number];
export type WrittenForwarding = WrittenRouter['portForwardings'][number];

/** A checked configuration: defaults filled in, addresses and durations parsed, references good. */
export interface Configuration extends Omit<WrittenConfiguration, 'sync' | 'virtualRouters' | 'routers'> {
  readonly sync: WrittenConfiguration['sync'] & { readonly mode: SyncMode; readonly livenessAfter: Microseconds };
  readonly virtualRouters: readonly VirtualRouterConfiguration[];
  readonly routers: readonly RouterConfiguration[];
}

export interface RouterConfiguration extends Omit<WrittenRouter, 'externalAddress' | 'externalAddresses' | 'filtering' | 'limits' | 'networks' | 'portForwardings'> {
  /** Shared by its VMs; each once, the one that the router itself answers with first. */
  readonly externalAddresses: readonly Ipv4Address[];
  readonly filtering: Filtering;
  readonly limits: WrittenRouter['limits'] & { readonly sessionsPerVm: number };
  readonly networks: readonly NetworkConfiguration[];
  readonly portForwardings: readonly PortForwardingConfiguration[];
}

export type NetworkConfiguration = WrittenNetwork & { readonly vmLimit: number };

export interface PortForwardingConfiguration {
  readonly address: Ipv4Address;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: PortRange;
  readonly network: string;
  readonly fixedIp: Ipv4Address;
  /** As many as ports. */
  readonly fixedPorts: PortRange;
}

export type SyncMode = 'strict' | 'async' | 'none';
export type Filtering = NonNullable<WrittenRouter['filtering']>;
export type InterfaceConfiguration = Configuration['interfaces']['underlay'];
export type InterfaceRole = keyof Configuration['interfaces'];
export type VirtualRouterConfiguration = Omit<WrittenVirtualRouter, 'track'> & { readonly track: readonly Track[] };
export type NotifyConfiguration = NonNullable<Configuration['notify']>;
export type ExternalNetworkConfiguration = Configuration['externalNetworks'][number];
export type FloatingIpConfiguration = RouterConfiguration['floatingIps'][number];
