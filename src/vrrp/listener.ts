/** What an election hears: which packets it believes, and what is to be noted about them. */
import {
  PRIORITY_OWNER,
  PRIORITY_RESIGN,
  checkAdvertisement,
  decodePacket,
  sameAddresses,
  type InvalidReason,
  type ReceivedAdvertisement,
} from './advertisement.js';
import type { ElectionCounters } from './counters.js';
import { formatIpv4, type Ipv4Address } from './ipv4.js';
import type { Notice } from './notices.js';
import type { VirtualRouter } from './options.js';

export interface ListenerParts {
  readonly counters: ElectionCounters;
  readonly notice: Notice;
  /** What we are ourselves at the moment. */
  readonly self: () => { readonly active: boolean; readonly priority: number };
}

export class Listener {
  readonly #parts: ListenerParts;
  router: VirtualRouter;

  constructor(router: VirtualRouter, parts: ListenerParts) {
    this.router = router;
    this.#parts = parts;
  }

  /** Undefined for a packet that is not to be believed; it is counted then. */
  hear(packet: Uint8Array): ReceivedAdvertisement | undefined {
    const decoded = decodePacket(packet);
    if (!decoded.ok) return this.#refuse(decoded.reason);
    const reason = checkAdvertisement(decoded.received, this.router.expectation);
    if (reason !== undefined) return this.#refuse(reason, decoded.received.source);
    this.#count(decoded.received);
    this.#compare(decoded.received);
    return decoded.received;
  }

  #refuse(reason: InvalidReason, source?: Ipv4Address): undefined {
    this.#parts.counters.invalid[reason] += 1;
    // Other virtual routers on the same link are no event at all.
    if (reason === 'vrid') return;
    const from = source === undefined ? '' : ` from ${formatIpv4(source)}`;
    this.#parts.notice(`invalid-${reason}`, `refused an advertisement${from}: ${reason}`);
  }

  #count({ advertisement: { priority }, checksumForm }: ReceivedAdvertisement): void {
    const { counters } = this.#parts;
    counters.advertisementsReceived += 1;
    counters.checksumForms[checksumForm] += 1;
    if (priority === PRIORITY_RESIGN) counters.resignationsReceived += 1;
  }

  /** RFC 9568 §2.5, §7.1, §8.3.2: differences that are to be noted, and that change nothing. */
  #compare({ advertisement: { addresses, intervalUs, priority }, source }: ReceivedAdvertisement): void {
    const { counters, notice } = this.#parts;
    const self = this.#parts.self();
    const { machine, addresses: ours } = this.router;
    const from = formatIpv4(source);
    if (intervalUs !== machine.advertisementIntervalUs) {
      counters.intervalMismatches += 1;
      notice('interval', `${from} advertises every ${intervalUs / 1000} ms, we every ${machine.advertisementIntervalUs / 1000} ms`);
    }
    if (!sameAddresses(addresses, ours)) {
      counters.addressMismatches += 1;
      notice('addresses', `${from} advertises ${addresses.map(formatIpv4).join(', ')}, we ${ours.map(formatIpv4).join(', ')}`);
    }
    if (priority === PRIORITY_OWNER && machine.priority === PRIORITY_OWNER) {
      counters.ownerConflicts += 1;
      notice('owner', `${from} claims to own the virtual addresses, as we do`);
    } else if (priority === self.priority) {
      notice('priority', `${from} has priority ${priority}, as we do: both may take over at once`);
    }
    if (self.active && priority !== PRIORITY_RESIGN && priority < self.priority) {
      notice('unheard', `${from} became Active with priority ${priority} while we are: our advertisements are late or lost`);
    }
  }
}
