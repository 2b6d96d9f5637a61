import { EventEmitter } from 'node:events';
import { SystemError } from '../errors.js';
import { interfaceIndex, type NativeSocket, type Received } from '../socket.js';
import { parseIpv4, parseMac, parsePrefix } from './address.js';
import { NetlinkChannel, openNetlink } from './channel.js';
import { attribute, flag, NetlinkFormatError, parseMessages } from './message.js';
import {
  addressAttribute, AF_BRIDGE, AF_INET, INTERFACE_PROMISCUOUS, INTERFACE_UP, linkAttribute, neighbourAttribute, neighbourState, parseRouteMessage,
  routeAttribute, routeMessage, type Address, type Change, type Link, type Neighbour, type NeighbourState, type Route,
  type RouteEvent,
} from './route-message.js';

const NETLINK_ROUTE = 0;
/** RTNLGRP_*: what watch() subscribes to. */
const GROUPS = { link: 1, neighbour: 3, ipv4Address: 5, ipv4Route: 7 } as const;
const EEXIST = 17;
const EPROTO = 71;
const ENOBUFS = 105;

const TABLE_MAIN = 254;
const PROTOCOL_STATIC = 4;
const TYPE_UNICAST = 1;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;
const NEIGHBOUR_USE = 1;
const NEIGHBOUR_SELF = 2;
const ROUTE_ONLINK = 4;

export interface LinkSettings {
  readonly up?: boolean | undefined;
  /** Receives frames for others as well. Outlives the process. */
  readonly promiscuous?: boolean | undefined;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac?: string | undefined;
  /** Bytes. */
  readonly mtu?: number | undefined;
}

export interface RouteSpecification {
  /** 'a.b.c.d/n' or 'default'. */
  readonly destination: string;
  readonly gateway?: string | undefined;
  /** Name or index. Needed without a gateway. */
  readonly interface?: string | number | undefined;
  /** Preferred source address. */
  readonly source?: string | undefined;
  /** Default 0, the most preferred. */
  readonly metric?: number | undefined;
  /** Default 254, main. */
  readonly table?: number | undefined;
  /** The gateway is reached through `interface` even if no prefix of it says so. Default false. */
  readonly onLink?: boolean | undefined;
}

interface RouteValues { link: Link; address: Address; route: Route; neighbour: Neighbour }

interface RouteEvents {
  link: [link: Link, change: Change];
  address: [address: Address, change: Change];
  route: [route: Route, change: Change];
  neighbour: [neighbour: Neighbour, change: Change];
  /** Events were lost: read again what you need. */
  resync: [];
  error: [error: SystemError];
}

/**
 * Links, IPv4 addresses, routes and neighbours of this process's network
 * namespace. Reading needs no privilege, changing CAP_NET_ADMIN.
 *
 * Every promise rejects with a {@link SystemError} that carries the kernel's
 * errno and words, or a RangeError for text that is no address. Call
 * {@link watch} before the first dump, so that no change falls in between.
 */
export class RouteNetlink extends EventEmitter<RouteEvents> {
  readonly #channel = new NetlinkChannel(NETLINK_ROUTE);
  #watcher: NativeSocket | undefined;

  // ------------------------------------------------------------------ reading

  async links(): Promise<Link[]> {
    return this.#dump('RTM_GETLINK', routeMessage.getLink, Buffer.alloc(16), 'link');
  }

  /** IPv4 only; primary addresses of an interface before secondary ones. */
  async addresses(): Promise<Address[]> {
    return this.#dump('RTM_GETADDR', routeMessage.getAddress, ipv4Header(8), 'address');
  }

  /** Of all tables, IPv4 only. */
  async routes(): Promise<Route[]> {
    return this.#dump('RTM_GETROUTE', routeMessage.getRoute, ipv4Header(12), 'route');
  }

  /** IPv4 only. */
  async neighbours(): Promise<Neighbour[]> {
    return this.#dump('RTM_GETNEIGH', routeMessage.getNeighbour, ipv4Header(12), 'neighbour');
  }

  /**
   * Emits 'link', 'address', 'route' and 'neighbour' (value, 'set' or 'removed') from now on, and 'resync' when the
   * kernel had to discard events. Keeps the process alive until close(). A second call does nothing.
   */
  watch(): void {
    this.#watcher ??= openNetlink(NETLINK_ROUTE, Object.values(GROUPS), (messages, errno) => {
      this.#onEvents(messages);
      if (errno === ENOBUFS) this.#emitIfOpen(() => this.emit('resync'));
      else if (errno !== 0) this.#emitIfOpen(() => this.emit('error', new SystemError('recvmsg', errno)));
    });
  }

  /** Idempotent. No event follows; requests under way reject with ECANCELED. */
  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // ----------------------------------------------------------------- changing

  /** Several settings at once. Some drivers take a new MAC only while the link is down: EBUSY. */
  async setLink(link: string | number, settings: LinkSettings): Promise<void> {
    const header = Buffer.alloc(16);
    header.writeInt32LE(indexOf(link), 4);
    const flags = [[settings.up, INTERFACE_UP], [settings.promiscuous, INTERFACE_PROMISCUOUS]] as const;
    const bits = (counts: (value: boolean) => boolean): number => flags.reduce((sum, [value, bit]) => (value !== undefined && counts(value) ? sum | bit : sum), 0);
    header.writeUInt32LE(bits((value) => value), 8);
    header.writeUInt32LE(bits(() => true), 12);
    await this.#change(`RTM_NEWLINK ${link}`, routeMessage.newLink, 0, [
      header,
      ...optional(settings.mac, (mac) => attribute(linkAttribute.address, parseMac(mac))),
      ...optional(settings.mtu, (mtu) => attribute(linkAttribute.mtu, mtu)),
    ]);
  }

  /** Does nothing if the interface has the address already. @param address 'a.b.c.d/n' */
  async addAddress(link: string | number, address: string): Promise<void> {
    const flags = flag.create | flag.replace;
    await this.#change(`RTM_NEWADDR ${address}`, routeMessage.newAddress, flags, addressParts(link, address));
  }

  /** @throws {SystemError} EADDRNOTAVAIL if the interface does not have the address. */
  async removeAddress(link: string | number, address: string): Promise<void> {
    await this.#change(`RTM_DELADDR ${address}`, routeMessage.removeAddress, 0, addressParts(link, address));
  }

  /** Replaces a route to the same destination with the same metric. @throws {SystemError} ENETUNREACH: no way to the gateway. */
  async addRoute(route: RouteSpecification): Promise<void> {
    const scope = route.gateway === undefined ? SCOPE_LINK : 0;
    const flags = flag.create | flag.replace;
    await this.#change(`RTM_NEWROUTE ${route.destination}`, routeMessage.newRoute, flags, routeParts(route, scope, PROTOCOL_STATIC));
  }

  /** @throws {SystemError} ESRCH if there is no such route. */
  async removeRoute(route: RouteSpecification): Promise<void> {
    await this.#change(`RTM_DELROUTE ${route.destination}`, routeMessage.removeRoute, 0, routeParts(route, SCOPE_NOWHERE, 0));
  }

  /** Adds or overwrites an entry. @param state default PERMANENT: never asked for, never forgotten */
  async setNeighbour(link: string | number, address: string, mac: string, state: NeighbourState = 'PERMANENT'): Promise<void> {
    await this.#change(`RTM_NEWNEIGH ${address}`, routeMessage.newNeighbour, flag.create | flag.replace, [
      neighbourHeader(link, state, 0),
      attribute(neighbourAttribute.destination, parseIpv4(address)),
      attribute(neighbourAttribute.mac, parseMac(mac)),
    ]);
  }

  /** @throws {SystemError} ENOENT if there is no such entry. */
  async removeNeighbour(link: string | number, address: string): Promise<void> {
    await this.#change(`RTM_DELNEIGH ${address}`, routeMessage.removeNeighbour, 0, [
      neighbourHeader(link, 'NONE', 0),
      attribute(neighbourAttribute.destination, parseIpv4(address)),
    ]);
  }

  /**
   * Makes the kernel resolve the address, or confirm a stale entry, as if it
   * had a packet to send (NTF_USE). Returns at once; the outcome is a
   * 'neighbour' event: REACHABLE, or FAILED after about three seconds. An entry
   * that is fresh stays as it is, a PERMANENT one becomes an ordinary one.
   */
  async probeNeighbour(link: string | number, address: string): Promise<void> {
    await this.#change(`RTM_NEWNEIGH ${address}`, routeMessage.newNeighbour, flag.create | flag.replace, [
      neighbourHeader(link, 'NONE', NEIGHBOUR_USE),
      attribute(neighbourAttribute.destination, parseIpv4(address)),
    ]);
  }

  /**
   * Has the interface receive frames for one more unicast MAC address, as `bridge fdb add … self permanent` does: a card
   * lets in what is addressed to it and drops the rest, before XDP. Outlives the process. A card without room for more
   * addresses becomes promiscuous by itself.
   * @returns false if it has the address already
   * @throws {SystemError} EOPNOTSUPP, or what else the driver dislikes
   */
  async addUnicastAddress(link: string | number, mac: string): Promise<boolean> {
    try {
      await this.#change(`RTM_NEWNEIGH ${mac}`, routeMessage.newNeighbour, flag.create | flag.exclusive, unicastParts(link, mac));
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.errno === EEXIST) return false;
      throw error;
    }
  }

  /** @throws {SystemError} ENOENT if the interface does not have the address. */
  async removeUnicastAddress(link: string | number, mac: string): Promise<void> {
    await this.#change(`RTM_DELNEIGH ${mac}`, routeMessage.removeNeighbour, 0, unicastParts(link, mac));
  }

  // ----------------------------------------------------------------- internal

  async #change(operation: string, type: number, flags: number, parts: readonly Buffer[]): Promise<void> {
    await this.#channel.request({ operation, type, flags, payload: Buffer.concat(parts) });
  }

  async #dump<K extends keyof RouteValues>(
    operation: string, type: number, payload: Buffer, wanted: K,
  ): Promise<RouteValues[K][]> {
    const messages = await this.#channel.request({ operation, type, flags: flag.dump, payload });
    return messages.flatMap((message) => {
      const event = understand(operation, () => parseRouteMessage(message));
      return event?.type === wanted ? [event.value as RouteValues[K]] : [];
    });
  }

  #onEvents(datagrams: readonly Received[]): void {
    try {
      for (const { data } of datagrams) {
        for (const message of parseMessages(data)) this.#onEvent(parseRouteMessage(message));
      }
    } catch (error) {
      if (!(error instanceof NetlinkFormatError)) throw error;
      this.#emitIfOpen(() => this.emit('error', new SystemError('recvmsg', EPROTO, error.message)));
    }
  }

  #onEvent(event: RouteEvent | undefined): void {
    if (event === undefined || this.#watcher === undefined) return;
    switch (event.type) {
      case 'link': this.emit('link', event.value, event.change); break;
      case 'address': this.emit('address', event.value, event.change); break;
      case 'route': this.emit('route', event.value, event.change); break;
      case 'neighbour': this.emit('neighbour', event.value, event.change); break;
    }
  }

  #emitIfOpen(emit: () => void): void {
    if (this.#watcher !== undefined) emit();
  }
}

function understand<T>(operation: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof NetlinkFormatError) throw new SystemError(operation, EPROTO, error.message);
    throw error;
  }
}

function indexOf(link: string | number): number {
  return typeof link === 'number' ? link : interfaceIndex(link);
}

function optional<T>(value: T | undefined, build: (value: T) => Buffer): Buffer[] {
  return value === undefined ? [] : [build(value)];
}

function ipv4Header(size: number): Buffer {
  const header = Buffer.alloc(size);
  header.writeUInt8(AF_INET, 0);
  return header;
}

function addressParts(link: string | number, text: string): Buffer[] {
  const { address, length } = parsePrefix(text);
  const header = ipv4Header(8);
  header.writeUInt8(length, 1);
  header.writeUInt32LE(indexOf(link), 4);
  return [header, attribute(addressAttribute.local, address), attribute(addressAttribute.address, address)];
}

function routeParts(route: RouteSpecification, scope: number, protocol: number): Buffer[] {
  const { address, length } = parsePrefix(route.destination);
  const table = route.table ?? TABLE_MAIN;
  const header = ipv4Header(12);
  header.writeUInt8(length, 1);
  header.writeUInt8(table < 256 ? table : 0, 4);
  header.writeUInt8(protocol, 5);
  header.writeUInt8(scope, 6);
  header.writeUInt8(TYPE_UNICAST, 7);
  header.writeUInt32LE(route.onLink === true ? ROUTE_ONLINK : 0, 8);
  return [
    header,
    attribute(routeAttribute.destination, address),
    attribute(routeAttribute.table, table),
    ...optional(route.gateway, (gateway) => attribute(routeAttribute.gateway, parseIpv4(gateway))),
    ...optional(route.interface, (link) => attribute(routeAttribute.interface, indexOf(link))),
    ...optional(route.source, (source) => attribute(routeAttribute.source, parseIpv4(source))),
    ...optional(route.metric, (metric) => attribute(routeAttribute.priority, metric)),
  ];
}

function unicastParts(link: string | number, mac: string): Buffer[] {
  const header = neighbourHeader(link, 'PERMANENT', NEIGHBOUR_SELF);
  header.writeUInt8(AF_BRIDGE, 0);
  return [header, attribute(neighbourAttribute.mac, parseMac(mac))];
}

function neighbourHeader(link: string | number, state: NeighbourState, flags: number): Buffer {
  const header = ipv4Header(12);
  header.writeInt32LE(indexOf(link), 4);
  header.writeUInt16LE(neighbourState[state], 8);
  header.writeUInt8(flags, 10);
  return header;
}
