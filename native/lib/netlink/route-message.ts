/** What rtnetlink says of links, addresses, routes and neighbours (linux/rtnetlink.h), IPv4 only. */
import { formatIpv4, formatMac } from './address.js';
import {
  NetlinkFormatError, parseAttributes, sized, stringAttribute, u32Attribute, type Attributes, type NetlinkMessage,
} from './message.js';

const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;

/** nlmsg_type. */
export const routeMessage = {
  newLink: 16, removeLink: 17, getLink: 18,
  newAddress: 20, removeAddress: 21, getAddress: 22,
  newRoute: 24, removeRoute: 25, getRoute: 26,
  newNeighbour: 28, removeNeighbour: 29, getNeighbour: 30,
} as const;

/** IFLA_*, IFA_*, RTA_*, NDA_* */
export const linkAttribute = { address: 1, name: 3, mtu: 4, link: 5, master: 10, info: 18, infoKind: 1 } as const;
export const addressAttribute = { address: 1, local: 2, label: 3, broadcast: 4 } as const;
export const routeAttribute = { destination: 1, interface: 4, gateway: 5, priority: 6, source: 7, table: 15 } as const;
export const neighbourAttribute = { destination: 1, mac: 2 } as const;

export const INTERFACE_UP = 0x1;
const INTERFACE_RUNNING = 0x40;
export const INTERFACE_PROMISCUOUS = 0x100;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** aa:bb:cc:dd:ee:ff; '' if the link has no address. */
  readonly mac: string;
  /** Bytes of packet, without link-layer header. */
  readonly mtu: number;
  /** Administratively. */
  readonly up: boolean;
  /** Up and with carrier. */
  readonly running: boolean;
  /** Made so by somebody (`ip link set … promisc on`), not by a socket or a bridge that needs it meanwhile. */
  readonly promiscuous: boolean;
  /** 'veth', 'bridge', 'vlan' …; undefined for hardware and lo. */
  readonly kind: string | undefined;
  /** The other end of a veth, or the interface that this one is on top of; an index of *its* namespace. */
  readonly peerIndex: number | undefined;
  /** The bridge or bond that this is a port of. */
  readonly master: number | undefined;
}

export interface Address {
  readonly ifindex: number;
  /** Dotted decimal. */
  readonly address: string;
  readonly prefixLength: number;
  /** The other end of a point-to-point address. */
  readonly peer: string | undefined;
  readonly label: string | undefined;
}

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'anycast' | 'multicast' | 'blackhole' | 'unreachable'
  | 'prohibit' | 'throw' | 'nat' | 'unspecified';

export interface Route {
  /** a.b.c.d/n; the default route is 0.0.0.0/0. */
  readonly destination: string;
  readonly type: RouteType;
  /** 254: main, 255: local. */
  readonly table: number;
  readonly gateway: string | undefined;
  /** undefined for multipath and blackhole routes. */
  readonly ifindex: number | undefined;
  /** Preferred source address. */
  readonly source: string | undefined;
  /** Lower wins. */
  readonly metric: number;
}

/** NUD_*: how far the kernel is with resolving an address. */
export type NeighbourState = 'NONE' | 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED' | 'NOARP' | 'PERMANENT';

export interface Neighbour {
  readonly ifindex: number;
  /** Dotted decimal. */
  readonly address: string;
  /** undefined until it is resolved. */
  readonly mac: string | undefined;
  readonly state: NeighbourState;
}

/** set: it appeared or changed. */
export type Change = 'set' | 'removed';

/** A message of the kernel, understood. */
export type RouteEvent =
  | { readonly type: 'link'; readonly change: Change; readonly value: Link }
  | { readonly type: 'address'; readonly change: Change; readonly value: Address }
  | { readonly type: 'route'; readonly change: Change; readonly value: Route }
  | { readonly type: 'neighbour'; readonly change: Change; readonly value: Neighbour };

/**
 * @returns undefined for messages about something else: IPv6, bridge ports and their forwarding tables.
 * @throws {NetlinkFormatError} for malformed messages.
 */
export function parseRouteMessage({ type, payload }: NetlinkMessage): RouteEvent | undefined {
  switch (type) {
    case routeMessage.newLink: return wrap('link', 'set', parseLink(payload));
    case routeMessage.removeLink: return wrap('link', 'removed', parseLink(payload));
    case routeMessage.newAddress: return wrap('address', 'set', parseAddress(payload));
    case routeMessage.removeAddress: return wrap('address', 'removed', parseAddress(payload));
    case routeMessage.newRoute: return wrap('route', 'set', parseRoute(payload));
    case routeMessage.removeRoute: return wrap('route', 'removed', parseRoute(payload));
    case routeMessage.newNeighbour: return wrap('neighbour', 'set', parseNeighbour(payload));
    case routeMessage.removeNeighbour: return wrap('neighbour', 'removed', parseNeighbour(payload));
    default: return undefined;
  }
}

function wrap(type: RouteEvent['type'], change: Change, value: RouteEvent['value'] | undefined): RouteEvent | undefined {
  return value === undefined ? undefined : { type, change, value } as RouteEvent;
}

/** The attributes behind the fixed head; undefined if the message is about another address family. */
function attributesOf(payload: Buffer, headSize: number, family: number, what: string): Attributes | undefined {
  if (payload.length < headSize) throw new NetlinkFormatError(`${what} message of ${payload.length} bytes`);
  return payload.readUInt8(0) === family ? parseAttributes(payload, headSize) : undefined;
}

function parseLink(payload: Buffer): Link | undefined {
  // AF_BRIDGE and AF_INET6 messages tell of other things under the same type.
  const attributes = attributesOf(payload, 16, AF_UNSPEC, 'link');
  if (attributes === undefined) return undefined;
  const flags = payload.readUInt32LE(8);
  const info = attributes.get(linkAttribute.info);
  return {
    index: payload.readInt32LE(4),
    name: stringAttribute(attributes, linkAttribute.name) ?? '',
    mac: formatMac(attributes.get(linkAttribute.address) ?? Buffer.alloc(0)),
    mtu: u32Attribute(attributes, linkAttribute.mtu) ?? 0,
    up: (flags & INTERFACE_UP) !== 0,
    running: (flags & INTERFACE_RUNNING) !== 0,
    promiscuous: (flags & INTERFACE_PROMISCUOUS) !== 0,
    kind: info === undefined ? undefined : stringAttribute(parseAttributes(info), linkAttribute.infoKind),
    peerIndex: u32Attribute(attributes, linkAttribute.link),
    master: u32Attribute(attributes, linkAttribute.master),
  };
}

function parseAddress(payload: Buffer): Address | undefined {
  const attributes = attributesOf(payload, 8, AF_INET, 'address');
  if (attributes === undefined) return undefined;
  const local = ipv4(attributes, addressAttribute.local);
  const remote = ipv4(attributes, addressAttribute.address);
  const address = local ?? remote;
  if (address === undefined) throw new NetlinkFormatError('address message without an address');
  return {
    ifindex: payload.readUInt32LE(4),
    address,
    prefixLength: payload.readUInt8(1),
    peer: remote === address ? undefined : remote,
    label: stringAttribute(attributes, addressAttribute.label),
  };
}

/** Indexed by RTN_*. */
const ROUTE_TYPES: readonly RouteType[] = ['unspecified', 'unicast', 'local', 'broadcast', 'anycast', 'multicast',
  'blackhole', 'unreachable', 'prohibit', 'throw', 'nat'];
const ROUTE_CLONED = 0x200;

function parseRoute(payload: Buffer): Route | undefined {
  const attributes = attributesOf(payload, 12, AF_INET, 'route');
  if (attributes === undefined || (payload.readUInt32LE(8) & ROUTE_CLONED) !== 0) return undefined;
  return {
    destination: `${ipv4(attributes, routeAttribute.destination) ?? '0.0.0.0'}/${payload.readUInt8(1)}`,
    type: ROUTE_TYPES[payload.readUInt8(7)] ?? 'unspecified',
    table: u32Attribute(attributes, routeAttribute.table) ?? payload.readUInt8(4),
    gateway: ipv4(attributes, routeAttribute.gateway),
    ifindex: u32Attribute(attributes, routeAttribute.interface),
    source: ipv4(attributes, routeAttribute.source),
    metric: u32Attribute(attributes, routeAttribute.priority) ?? 0,
  };
}

/** NUD_* */
export const neighbourState: Readonly<Record<NeighbourState, number>> = {
  NONE: 0, INCOMPLETE: 0x01, REACHABLE: 0x02, STALE: 0x04, DELAY: 0x08, PROBE: 0x10, FAILED: 0x20, NOARP: 0x40, PERMANENT: 0x80,
};
const STATE_NAMES = new Map(Object.entries(neighbourState).map(([name, bit]) => [bit, name as NeighbourState]));

function parseNeighbour(payload: Buffer): Neighbour | undefined {
  const attributes = attributesOf(payload, 12, AF_INET, 'neighbour');
  if (attributes === undefined) return undefined;
  const address = ipv4(attributes, neighbourAttribute.destination);
  if (address === undefined) throw new NetlinkFormatError('neighbour message without an address');
  const mac = attributes.get(neighbourAttribute.mac);
  return {
    ifindex: payload.readInt32LE(4),
    address,
    mac: mac === undefined || mac.length === 0 ? undefined : formatMac(mac),
    state: STATE_NAMES.get(payload.readUInt16LE(8)) ?? 'NONE',
  };
}

function ipv4(attributes: Attributes, type: number): string | undefined {
  const bytes = sized(attributes, type, 4);
  return bytes === undefined ? undefined : formatIpv4(bytes);
}
