/** What an election says: its adverts as packets and frames, and the lease that each one carries. */
import { PRIORITY_RESIGN, VRRP_MULTICAST, encodeMessage, type Advertisement, type ChecksumOver } from './advertisement.js';
import type { FrameSender } from './announcer.js';
import type { Clock } from './clock.js';
import type { ElectionCounters } from './counters.js';
import { ETHERTYPE_IPV4, VRRP_MULTICAST_MAC, encodeEthernet, virtualRouterMac } from './ethernet.js';
import { encodeIpv4, formatIpv4, type Ipv4Address } from './ipv4.js';
import type { Notice } from './notices.js';
import type { VirtualRouter } from './options.js';
import { leaseNs } from './timing.js';

/** A raw IPv4 socket of protocol 112 (libbpf-ts RawSocket with `headerIncluded`). */
export interface PacketChannel {
  /** `timestampNs`: the kernel's stamp, CLOCK_MONOTONIC. */
  on(event: 'message', listener: (packet: Buffer, info: { readonly timestampNs: bigint }) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** A whole IPv4 packet; used for unicast peers only. A peer that does not answer ARP is no error. */
  send(packet: Buffer, destination: string): void;
  close(): void;
}

export interface ElectionSockets {
  readonly receiver: PacketChannel;
  /** Of the interface on which the election takes place. */
  readonly sender: FrameSender & { close(): void };
  /**
   * Adverts that the data plane has noted since the last call, IPv4 header included, the oldest first:
   * also those that found no room in the receiver's buffer. Left out where there is no data plane.
   */
  noted?(): readonly { readonly packet: Buffer; readonly receivedNs: bigint }[];
}

export interface AdvertiserParts {
  readonly clock: Clock;
  readonly sockets: ElectionSockets;
  readonly counters: ElectionCounters;
  /** The data plane may believe that it is Active until then (CLOCK_MONOTONIC). */
  readonly renewLease: (untilNs: bigint) => void;
  readonly notice: Notice;
}

export class Advertiser {
  readonly #parts: AdvertiserParts;
  #router: VirtualRouter;
  /** When the last advert left that claims the role. */
  #advertisedAtNs = 0n;

  /** @throws RangeError for what no advert can carry: now, not at the first takeover */
  constructor(router: VirtualRouter, parts: AdvertiserParts) {
    this.#parts = parts;
    this.#router = checked(router);
  }

  /** Says this from now on. @throws RangeError for what no advert can carry; the old one stays then */
  set router(router: VirtualRouter) {
    this.#router = checked(router);
  }

  /** Since the last advert that claims the role. Every Active_Down_Interval is longer than three intervals, by its skew. */
  get silentTooLong(): boolean {
    const limitNs = BigInt(this.#router.machine.advertisementIntervalUs) * 3_000n;
    return this.#parts.clock.nowNs() - this.#advertisedAtNs > limitNs;
  }

  /** `priority`: the one that the Backups hear of. */
  renewLease(priority: number): void {
    const { version, advertisementIntervalUs } = this.#router.machine;
    this.#parts.renewLease(this.#parts.clock.nowNs() + leaseNs(version, priority, advertisementIntervalUs));
  }

  /** An advert that claims the role renews the lease. */
  send(priority: number): void {
    const { counters, clock, notice } = this.#parts;
    try {
      this.#transmit(advertisementOf(this.#router, priority));
    } catch (error) {
      // No lease either: if this goes on, the data plane stands down for the peer that does not hear us.
      counters.sendErrors += 1;
      notice('send', `an advertisement could not be sent: ${(error as Error).message}`);
      return;
    }
    counters.advertisementsSent += 1;
    if (priority === PRIORITY_RESIGN) {
      counters.resignationsSent += 1;
      return;
    }
    this.#advertisedAtNs = clock.nowNs();
    this.renewLease(priority);
  }

  /** Multicast leaves with the virtual MAC (RFC 9568 §7.2); unicast takes the channel's way, which for the kernel's is its route, with the interface's own. */
  #transmit(advertisement: Advertisement): void {
    const { vrid, unicastPeers } = this.#router;
    if (unicastPeers === undefined) {
      const packet = packetOf(this.#router, advertisement, VRRP_MULTICAST);
      const frame = encodeEthernet(VRRP_MULTICAST_MAC, virtualRouterMac(vrid), ETHERTYPE_IPV4, packet);
      return this.#parts.sockets.sender.send(Buffer.from(frame.buffer));
    }
    const errors: unknown[] = [];
    for (const peer of unicastPeers) {
      const packet = packetOf(this.#router, advertisement, peer);
      try {
        this.#parts.sockets.receiver.send(Buffer.from(packet.buffer), formatIpv4(peer));
      } catch (error) {
        // One peer without a route must not silence us for the others.
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

function checked(router: VirtualRouter): VirtualRouter {
  packetOf(router, advertisementOf(router, router.machine.priority), VRRP_MULTICAST);
  return router;
}

function advertisementOf({ vrid, addresses, authentication, machine }: VirtualRouter, priority: number): Advertisement {
  const fields = { vrid, priority, intervalUs: machine.advertisementIntervalUs, addresses };
  return machine.version === 3 ? { version: 3, ...fields } : { version: 2, ...fields, authentication };
}

function packetOf({ checksum: form, machine: { primaryAddress: source } }: VirtualRouter, advertisement: Advertisement, destination: Ipv4Address): Uint8Array {
  const over: ChecksumOver = { form, source, destination };
  return encodeIpv4({ source, destination }, encodeMessage(advertisement, over));
}
