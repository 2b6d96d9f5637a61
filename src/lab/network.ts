// Namespaces, veth pairs and bridges, from the topology.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run, runIn } from './process.js';
import type { LabState } from './state.js';
import { facesGateway, namespaceOf, routesOf, type Cabling, type Link, type LinkEnd, type Node } from './topology.js';

const passObject = fileURLToPath(new URL('../../dist/bpf/pass.bpf.o', import.meta.url));

/**
 * @param plug the line for `ip -batch` that makes a link; a veth pair by default
 * @throws LabError when the machine refuses; what was made until then is in the state file.
 */
export async function makeNetwork(cabling: Cabling, state: LabState, plug: (link: Link) => string = addLink): Promise<void> {
  const namespaces = cabling.nodes.map(({ name }) => namespaceOf(name));
  state.addNamespaces(namespaces);
  await batch(namespaces.map((name) => `netns add ${name}`));
  await Promise.all(cabling.nodes.map(prepareNode));
  await batch(cabling.links.map(plug));
  await Promise.all(cabling.nodes.map((node) => configureNode(cabling, node)));
}

export async function removeNamespaces(namespaces: readonly string[]): Promise<void> {
  const present = namespaces.filter((name) => existsSync(`/run/netns/${name}`));
  if (present.length > 0) await batch(present.map((name) => `netns del ${name}`));
}

/** The links of a node, as its machine losing power would leave them: all down in one go. */
export async function setLinks(cabling: Cabling, node: string, state: 'up' | 'down'): Promise<void> {
  await batch(endsOf(cabling, node).map(({ end }) => `link set ${end.interface} ${state}`), node);
}

export function addLink({ ends: [a, b], mtuBytes }: Link): string {
  const mac = (end: LinkEnd) => (end.mac === undefined ? '' : ` address ${end.mac}`);
  const place = (end: LinkEnd) => `${end.interface} netns ${namespaceOf(end.node)} mtu ${end.mtuBytes ?? mtuBytes}${mac(end)}`;
  return `link add ${place(a)} type veth peer name ${place(b)}`;
}

/** Before the links come: IPv6 would add its own packets to every measurement, and there is nothing of it in the lab. */
async function prepareNode({ name, kind }: Node): Promise<void> {
  const settings = [
    'ipv6/conf/all/disable_ipv6=1',
    'ipv6/conf/default/disable_ipv6=1',
    'ipv4/conf/all/rp_filter=0',
    'ipv4/conf/default/rp_filter=0',
    `ipv4/ip_forward=${kind === 'router' ? 1 : 0}`,
    // What a host says to one and the same address in a second: with a NAT between, that is everybody behind it.
    'ipv4/icmp_ratelimit=0',
  ];
  const write = (setting: string) => {
    const [key, value] = setting.split('=');
    return `[ ! -e /proc/sys/net/${key} ] || echo ${value} > /proc/sys/net/${key}`;
  };
  await runIn(name, ['sh', '-ec', settings.map(write).join('\n')]);
}

async function configureNode(cabling: Cabling, node: Node): Promise<void> {
  const ends = endsOf(cabling, node.name);
  const bridge = node.kind === 'switch' ? [bridgeOf(ends)] : [];
  // What a trunk router routes with is Open vSwitch's, which comes later.
  const isTrunk = cabling.trunkRouters.some(({ node: name }) => name === node.name);
  await takeFromXdp(node.name, ends);
  await setOffloads(node.name, ends);
  await batch(
    [
      'link set lo up',
      ...bridge.flat(),
      ...ends.flatMap(({ end }) => (end.address === undefined ? [] : [`address add ${end.address} dev ${end.interface}`])),
      ...ends.map(({ end }) => `link set ${end.interface} up`),
      ...cabling.furtherAddresses.filter((further) => further.node === node.name).map(({ interface: name, address }) => `address add ${address} dev ${name}`),
      ...(isTrunk ? [] : routeLines(node.name, cabling)),
    ],
    node.name,
  );
}

/** Lines for `ip -batch` in the node. */
export function routeLines(node: string, cabling?: Cabling): string[] {
  return routesOf(node, cabling).map(({ destination, via }) => `route add ${destination} via ${via}`);
}

/** A plain learning switch: no spanning tree (ports forward at once), no snooping (VRRP's multicast is flooded), no netfilter. */
function bridgeOf(ends: readonly { link: Link; end: LinkEnd }[]): string[] {
  const mtuBytes = Math.min(...ends.map(({ link }) => link.mtuBytes));
  return [
    'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 nf_call_iptables 0 nf_call_arptables 0',
    ...ends.map(({ end }) => `link set ${end.interface} master br0`),
    `link set br0 mtu ${mtuBytes} up`,
  ];
}

/**
 * Transmit checksums off on every end. A veth sender with the offload leaves the checksum half finished
 * (CHECKSUM_PARTIAL) for hardware that does not exist; XDP sees and forwards exactly those bytes, in which the
 * mark is lost, and the receiver drops every packet. Real network cards finish the checksum on the wire.
 * TSO goes with it, so XDP sees packets, not super-packets.
 * GRO off: what the gateway gets and sends are packets, and packets are what is counted.
 * VLAN insertion and extraction off: a tag that is left to the hardware stands beside the packet, where XDP does not see it.
 */
async function setOffloads(node: string, ends: readonly { link: Link; end: LinkEnd }[]): Promise<void> {
  await runIn(node, ['sh', '-ec', ends.map(({ end }) => `ethtool -K ${end.interface} tx off gro off txvlan off rxvlan off >&2`).join('\n')]);
}

/**
 * A veth takes what XDP redirects to it when its other end has NAPI, but what XDP sends back (XDP_TX, an ARP reply)
 * only when its other end has an XDP program: otherwise the frame lies in the ring until something else comes along.
 */
async function takeFromXdp(node: string, ends: readonly { link: Link; end: LinkEnd }[]): Promise<void> {
  const facing = ends.filter(({ link, end }) => facesGateway(link, end));
  if (facing.length > 0) await batch(facing.map(({ end }) => `link set ${end.interface} xdpdrv object ${passObject} section xdp`), node);
}

function endsOf(cabling: Cabling, node: string): { link: Link; end: LinkEnd }[] {
  return cabling.links.flatMap((link) => link.ends.filter((end) => end.node === node).map((end) => ({ link, end })));
}

/** One process for all the lines: half of the time that the lab takes to come up would otherwise be spent starting `ip`. */
export async function batch(lines: readonly string[], node?: string): Promise<void> {
  const where = node === undefined ? [] : ['-n', namespaceOf(node)];
  await run('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
