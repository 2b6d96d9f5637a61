/**
 * What an election says: its adverts as packets and frames, and the lease that each
 * one carries. The event loop sends what something has happened for; a thread
 * repeats it, for as long as the event loop comes round now and then.
 */
import { PRIORITY_RESIGN, VRRP_MULTICAST, encodeMessage, type Advertisement, type ChecksumOver } from './advertisement.js';
import type { FrameSender } from './announcer.js';
import type { Clock } from './clock.js';
import type { ElectionCounters } from './counters.js';
import { ETHERTYPE_IPV4, VRRP_MULTICAST_MAC, encodeEthernet, virtualRouterMac } from './ethernet.js';
import { encodeIpv4, formatIpv4, type Ipv4Address } from './ipv4.js';
import type { Notice } from './notices.js';
import type { VirtualRouter } from './options.js';
import type { Outgoing, Repetition, RepetitionStart } from './repetition.js';
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
  /** By a thread; undefined while it cannot. Left out: each advert is sent by the event loop. @throws SystemError */
  repeat?(start: RepetitionStart): Repetition | undefined;
}

export interface AdvertiserParts {
  readonly clock: Clock;
  readonly sockets: ElectionSockets;
  readonly counters: ElectionCounters;
  /** The data plane may believe that it is Active until then (CLOCK_MONOTONIC). */
  readonly renewLease: (untilNs: bigint) => void;
  readonly notice: Notice;
}

/** The event loop has to come round within this time, or three intervals if they are longer: then we say no more. */
const CONTROL_NS = 1_000_000_000n;
/** Every Active_Down_Interval is longer than so many, by its skew. */
const INTERVALS_UNTIL_DOWN = 3n;

export class Advertiser {
  readonly #parts: AdvertiserParts;
  #router: VirtualRouter;
  /** When the last advert left from here that claims the role. */
  #advertisedAtNs = 0n;
  /** The advert that the data plane's lease counts from. */
  #leasedFromNs = 0n;
  #repetition: Repetition | undefined;
  /** What the repetition has told of itself. */
  #accounted = { sent: 0n, failed: 0n };

  /** @throws RangeError for what no advert can carry: now, not at the first takeover */
  constructor(router: VirtualRouter, parts: AdvertiserParts) {
    this.#parts = parts;
    this.#router = checked(router);
  }

  /** Says this from now on. @throws RangeError for what no advert can carry; the old one stays then */
  set router(router: VirtualRouter) {
    const intervalUs = this.#router.machine.advertisementIntervalUs;
    this.#router = checked(router);
    if (router.machine.advertisementIntervalUs !== intervalUs) this.stop();
  }

  /** Nobody was told for so long that we are Active that a Backup may have taken over: neither by us nor by the thread. */
  get silentTooLong(): boolean {
    return this.#parts.clock.nowNs() - this.#lastAdvertisedNs > this.#silenceNs;
  }

  /** `priority`: the one that the Backups hear of. */
  renewLease(priority: number): void {
    this.#parts.renewLease(this.#parts.clock.nowNs() + this.#leaseNs(priority));
  }

  /** At once. An advert that claims the role renews the lease, and is repeated from here on; one that resigns ends that before. */
  send(priority: number): void {
    const { counters, clock, notice } = this.#parts;
    if (priority === PRIORITY_RESIGN) this.stop();
    const adverts = this.#outgoing(priority);
    try {
      this.#transmit(adverts);
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
    this.#leasedFromNs = this.#advertisedAtNs;
    this.renewLease(priority);
    this.#repeat(priority, adverts);
  }

  /** Advertisement_Interval has passed: what is repeated is repeated on. */
  goOn(priority: number): void {
    if (this.#repetition === undefined || this.silentTooLong) return this.send(priority);
    this.#account(this.#repetition);
    this.#repeat(priority, this.#outgoing(priority));
    const lastNs = this.#lastAdvertisedNs;
    // What could not be sent renews nothing.
    if (lastNs > this.#leasedFromNs) this.#parts.renewLease(lastNs + this.#leaseNs(priority));
    this.#leasedFromNs = lastNs;
  }

  /** Nothing is repeated any more. */
  stop(): void {
    if (this.#repetition === undefined) return;
    this.#repetition.close();
    this.#account(this.#repetition);
    this.#advertisedAtNs = this.#lastAdvertisedNs;
    this.#repetition = undefined;
  }

  get #lastAdvertisedNs(): bigint {
    const byThread = this.#repetition?.stats.lastSentNs ?? 0n;
    return byThread > this.#advertisedAtNs ? byThread : this.#advertisedAtNs;
  }

  get #silenceNs(): bigint {
    return BigInt(this.#router.machine.advertisementIntervalUs) * 1000n * INTERVALS_UNTIL_DOWN;
  }

  #leaseNs(priority: number): bigint {
    const { version, advertisementIntervalUs } = this.#router.machine;
    return leaseNs(version, priority, advertisementIntervalUs);
  }

  #repeat(priority: number, adverts: readonly Outgoing[]): void {
    const untilNs = this.#parts.clock.nowNs() + (this.#silenceNs > CONTROL_NS ? this.#silenceNs : CONTROL_NS);
    const said = { adverts, leaseForNs: this.#leaseNs(priority) };
    if (this.#repetition === undefined) return this.#startRepetition({ ...said, untilNs });
    this.#repetition.update(said);
    this.#repetition.renew(untilNs);
  }

  #startRepetition(start: Omit<RepetitionStart, 'intervalUs' | 'silenceNs'>): void {
    this.#accounted = { sent: 0n, failed: 0n };
    try {
      this.#repetition = this.#parts.sockets.repeat?.({ ...start, intervalUs: this.#router.machine.advertisementIntervalUs, silenceNs: this.#silenceNs });
    } catch (error) {
      // The next advert tries again.
      this.#parts.notice('repeat', `advertisements cannot be repeated by a thread: ${(error as Error).message}`);
    }
  }

  #account({ stats: { sent, failed, lastErrno } }: Repetition): void {
    const { counters, notice } = this.#parts;
    const failures = Number(failed - this.#accounted.failed);
    counters.advertisementsSent += Number(sent - this.#accounted.sent);
    counters.sendErrors += failures;
    this.#accounted = { sent, failed };
    if (failures > 0) notice('send', `an advertisement could not be sent: error ${lastErrno}`);
  }

  /** Multicast leaves with the virtual MAC (RFC 9568 §7.2); unicast takes the channel's way, which for the kernel's is its route, with the interface's own. */
  #outgoing(priority: number): Outgoing[] {
    const { vrid, unicastPeers } = this.#router;
    const advertisement = advertisementOf(this.#router, priority);
    if (unicastPeers !== undefined) {
      return unicastPeers.map((peer) => ({ packet: Buffer.from(packetOf(this.#router, advertisement, peer).buffer), destination: formatIpv4(peer) }));
    }
    const packet = packetOf(this.#router, advertisement, VRRP_MULTICAST);
    return [{ frame: Buffer.from(encodeEthernet(VRRP_MULTICAST_MAC, virtualRouterMac(vrid), ETHERTYPE_IPV4, packet).buffer) }];
  }

  #transmit(adverts: readonly Outgoing[]): void {
    const { sender, receiver } = this.#parts.sockets;
    const errors: unknown[] = [];
    for (const advert of adverts) {
      try {
        if ('frame' in advert) sender.send(advert.frame);
        else receiver.send(advert.packet, advert.destination);
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
