/** What the data plane needs to know of the node's interfaces, and what it dislikes about them. */
import type { Ipv4Address } from '../config/address.js';
import { parseIpv4 } from '../config/address.js';

export type Role = 'underlay' | 'external' | 'ha';

/** What RouteNetlink tells of a link. */
export interface LinkView {
  readonly index: number;
  readonly name: string;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly running: boolean;
  readonly kind?: string | undefined;
  /** What a VLAN interface is on top of. */
  readonly peerIndex?: number | undefined;
}

/** What RouteNetlink tells of an address. */
export interface AddressView {
  readonly ifindex: number;
  /** Dotted decimal; IPv6 is skipped. */
  readonly address: string;
  readonly prefixLength: number;
}

export interface NodeInterface {
  readonly role: Role;
  readonly name: string;
  readonly ifindex: number;
  /** Bytes of IPv4 packet. */
  readonly mtu: number;
  /** The first IPv4 address; the kernel lists primary ones first. With a VLAN that of a VLAN interface over it, if there is one. 0: none, which only external may have. */
  readonly address: Ipv4Address;
  /** Bits of that address's subnet. */
  readonly prefixLength: number;
  readonly mac: Buffer;
  readonly kind: string | undefined;
  /** Is up and has a carrier. */
  readonly running: boolean;
}

/** IPv4, UDP, sync header and one record: what a commit puts around a packet, rounded up. */
export const COMMIT_OVERHEAD_BYTES = 160;

/**
 * @param vlan of every frame; 0: untagged
 * One that is down is no mistake: the node starts, and reads its file, without a cable as well.
 * @throws Error naming the interface that is missing or without an IPv4 address.
 */
export function resolveInterface(role: Role, name: string, links: readonly LinkView[], addresses: readonly AddressView[], vlan = 0): NodeInterface {
  const link = links.find((candidate) => candidate.name === name);
  const key = `interfaces.${role}.name`;
  if (link === undefined) {
    const others = links.map((candidate) => candidate.name).filter((other) => other !== 'lo').join(', ');
    throw new Error(`${key}: there is no interface ${name} in this network namespace, only ${others || 'lo'}`);
  }
  const over = vlan === 0 ? undefined : vlanInterface(link, vlan, links);
  const own = (over && firstAddress(over, addresses)) ?? firstAddress(link, addresses);
  // Nothing is sent from there but what the programs send, who know their addresses.
  if (own === undefined && role !== 'external') throw new Error(`${key}: interface ${name} has no IPv4 address`);
  const { index: ifindex, mtu, kind, running } = link;
  return {
    role, name, ifindex, mtu, kind, running,
    address: own?.address ?? (0 as Ipv4Address), prefixLength: own?.prefixLength ?? 0,
    mac: Buffer.from(link.mac.replaceAll(':', ''), 'hex'),
  };
}

/** We need none, but where the host has one our address is there. By its usual names: netlink's short list does not tell the tag. */
function vlanInterface({ name, index }: LinkView, vlan: number, links: readonly LinkView[]): LinkView | undefined {
  const usual = [`${name}.${vlan}`, `vlan${vlan}`, `vlan${String(vlan).padStart(4, '0')}`];
  return links.find((candidate) => candidate.kind === 'vlan' && candidate.peerIndex === index && usual.includes(candidate.name));
}

function firstAddress(link: LinkView, addresses: readonly AddressView[]): { address: Ipv4Address; prefixLength: number } | undefined {
  return addresses
    .filter((candidate) => candidate.ifindex === link.index)
    .flatMap(({ address: text, prefixLength }) => {
      const address = parseIpv4(text);
      return address === undefined ? [] : [{ address, prefixLength }];
    })[0];
}

/** Sentences for the log; nothing here stops the daemon. */
export function interfaceWarnings(interfaces: readonly NodeInterface[]): string[] {
  const of = (role: Role): NodeInterface | undefined => interfaces.find((candidate) => candidate.role === role);
  const warnings: string[] = [];
  const [underlay, external, ha] = [of('underlay'), of('external'), of('ha')];
  const largest = Math.max(underlay?.mtu ?? 0, external?.mtu ?? 0);
  if (ha !== undefined && ha.mtu < largest + COMMIT_OVERHEAD_BYTES) {
    warnings.push(`interface ${ha.name} has MTU ${ha.mtu}: packets above ${ha.mtu - COMMIT_OVERHEAD_BYTES} bytes that create a session leave before the peer holds it; set it to ${largest + COMMIT_OVERHEAD_BYTES} or more`);
  }
  for (const { name, running } of interfaces) {
    if (!running) warnings.push(`interface ${name} is down or has no carrier`);
  }
  const veths = interfaces.filter(({ kind }) => kind === 'veth').map(({ name }) => name);
  if (veths.length > 0) {
    warnings.push(`${veths.join(', ')}: the other end of a veth must send finished checksums (ethtool -K <other end> tx off), for the kernel leaves them to hardware that is not there`);
  }
  return warnings;
}

/** A card that has VLANs, and how the programs are on it. */
export interface TaggedInterface {
  readonly name: string;
  /** False: a TC program sees a tag that the card has taken off. */
  readonly isXdp: boolean;
  /** The kernel has a VLAN interface over it, which tells the card's filter. */
  readonly isKnownToKernel: boolean;
}

/** @param active features, as `ethtool -k` names them */
export function tagWarning({ name, isXdp, isKnownToKernel }: TaggedInterface, active: ReadonlySet<string>): string | undefined {
  const wrong = [
    { isBad: isXdp && active.has('rx-vlan-hw-parse'), does: 'takes the tags of VLANs off before the programs', remedy: 'rxvlan off' },
    { isBad: !isKnownToKernel && active.has('rx-vlan-filter'), does: 'drops frames of VLANs that the kernel has no interface on', remedy: 'rx-vlan-filter off' },
  ].filter(({ isBad }) => isBad);
  if (wrong.length === 0) return undefined;
  return `interface ${name} ${wrong.map(({ does }) => does).join(' and ')} (ethtool -K ${name} ${wrong.map(({ remedy }) => remedy).join(' ')})`;
}
