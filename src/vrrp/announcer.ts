/**
 * Gratuitous ARP for every address of a virtual router, paced.
 *
 * One frame per side is enough for the switches, because all addresses have the
 * same virtual MAC: so the first address of every side goes out at once, and the
 * others, which only refresh caches of hosts, follow in small batches.
 */
import { gratuitousArp } from './arp.js';
import type { Cancel, Clock } from './clock.js';
import type { Mac } from './ethernet.js';
import type { Ipv4Address } from './ipv4.js';

export interface FrameSender {
  /** Throws when the kernel refuses the frame. */
  send(frame: Buffer): void;
}

export interface AnnouncementSide {
  readonly sender: FrameSender;
  /** Read at every announcement, so that addresses may come and go. */
  addresses(): Iterable<Ipv4Address>;
}

/** Two frames each: 32,000 addresses per second, 22 Mbit/s. */
const ADDRESSES_PER_BATCH = 32;
const BATCH_INTERVAL_NS = 1_000_000n;

export interface AnnouncerCounters {
  gratuitousArpsSent: number;
  sendErrors: number;
}

export class Announcer {
  readonly #clock: Clock;
  readonly #mac: Mac;
  readonly #sides: readonly AnnouncementSide[];
  readonly #counters: AnnouncerCounters;
  #cancel: Cancel | undefined;

  constructor(clock: Clock, mac: Mac, sides: readonly AnnouncementSide[], counters: AnnouncerCounters) {
    this.#clock = clock;
    this.#mac = mac;
    this.#sides = sides;
    this.#counters = counters;
  }

  /** Starts over if an announcement is still under way. */
  announce(): void {
    this.cancel();
    const lists = this.#sides.map(({ sender, addresses }) => ({ sender, rest: [...addresses()] }));
    for (const { sender, rest } of lists) {
      const first = rest.shift();
      if (first !== undefined) this.#send(sender, first);
    }
    const pending = lists.flatMap(({ sender, rest }) => rest.map((address) => ({ sender, address })));
    this.#continue(pending, 0);
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #continue(pending: readonly { sender: FrameSender; address: Ipv4Address }[], from: number): void {
    this.#cancel = undefined;
    if (from >= pending.length) return;
    this.#cancel = this.#clock.schedule(this.#clock.nowNs() + BATCH_INTERVAL_NS, () => {
      for (const { sender, address } of pending.slice(from, from + ADDRESSES_PER_BATCH)) this.#send(sender, address);
      this.#continue(pending, from + ADDRESSES_PER_BATCH);
    });
  }

  #send(sender: FrameSender, address: Ipv4Address): void {
    for (const frame of gratuitousArp(address, this.#mac)) {
      try {
        sender.send(Buffer.from(frame.buffer));
        this.#counters.gratuitousArpsSent += 1;
      } catch {
        // An interface that is down has nobody to tell; the repetition will find it up again.
        this.#counters.sendErrors += 1;
      }
    }
  }
}
