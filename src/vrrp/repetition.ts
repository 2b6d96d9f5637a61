/** Adverts that a native thread repeats, whatever keeps the event loop from its work. */
import type { Repeater, RepeaterEntry, RepeaterMessage, RepeaterStamp } from 'libbpf-ts';

/** To the group as a frame, to a unicast peer as an IPv4 packet. */
export type Outgoing =
  | { readonly frame: Buffer }
  | { readonly packet: Buffer; /** Dotted decimal. */ readonly destination: string };

export interface RepetitionStart {
  readonly adverts: readonly Outgoing[];
  /** The first one leaves that much later. */
  readonly intervalUs: number;
  /** Nothing leaves from then on (CLOCK_MONOTONIC), unless it is renewed. */
  readonly untilNs: bigint;
  /** Nor after so long a silence, by which others may have taken us for gone, unless it is renewed. */
  readonly silenceNs: bigint;
  /** From each advert on the data plane may believe for so long that it is Active. */
  readonly leaseForNs: bigint;
}

export interface RepetitionStats {
  readonly sent: bigint;
  readonly failed: bigint;
  /** Of the last that failed. */
  readonly lastErrno: number;
  /** CLOCK_MONOTONIC; 0: nothing was. */
  readonly lastSentNs: bigint;
}

export interface Repetition {
  readonly stats: RepetitionStats;
  /** When it returns, only these leave. */
  update(change: Pick<RepetitionStart, 'adverts' | 'leaseForNs'>): void;
  renew(untilNs: bigint): void;
  /** When it returns, nothing leaves any more. */
  close(): void;
}

/** What stands for an advert on the way that it takes; undefined while there is none. */
export type MessageOf = (advert: Outgoing) => RepeaterMessage | undefined;

/**
 * Undefined while there is no way for any of the adverts.
 * @param stamp where the data plane reads its lease; left out where there is none
 * @throws SystemError ENODEV
 */
export function repeatByThread(repeater: Repeater, start: RepetitionStart, messageOf: MessageOf, stamp?: Pick<RepeaterStamp, 'map' | 'offset'>): Repetition | undefined {
  const messages = messagesOf(start.adverts, messageOf);
  if (messages.length === 0) return undefined;
  const { intervalUs, untilNs, silenceNs, leaseForNs } = start;
  const entry = repeater.add({ messages, intervalUs, untilNs, silenceNs, ...(stamp && { stamp: { ...stamp, forNs: leaseForNs } }) });
  return new ThreadRepetition(entry, messageOf, { messages, leaseForNs }, stamp !== undefined);
}

interface Said {
  readonly messages: readonly RepeaterMessage[];
  readonly leaseForNs: bigint;
}

class ThreadRepetition implements Repetition {
  readonly #entry: RepeaterEntry;
  readonly #messageOf: MessageOf;
  readonly #isStamped: boolean;
  #said: Said;

  constructor(entry: RepeaterEntry, messageOf: MessageOf, said: Said, isStamped: boolean) {
    this.#entry = entry;
    this.#messageOf = messageOf;
    this.#said = said;
    this.#isStamped = isStamped;
  }

  get stats(): RepetitionStats {
    return this.#entry.stats;
  }

  /** While there is no way, the last that there was is as good as any. */
  update({ adverts, leaseForNs }: Pick<RepetitionStart, 'adverts' | 'leaseForNs'>): void {
    const messages = messagesOf(adverts, this.#messageOf);
    if (messages.length === 0 || (leaseForNs === this.#said.leaseForNs && sameMessages(messages, this.#said.messages))) return;
    this.#entry.update({ messages, ...(this.#isStamped && { stampForNs: leaseForNs }) });
    this.#said = { messages, leaseForNs };
  }

  renew(untilNs: bigint): void {
    this.#entry.renew(untilNs);
  }

  close(): void {
    this.#entry.close();
  }
}

function messagesOf(adverts: readonly Outgoing[], messageOf: MessageOf): RepeaterMessage[] {
  return adverts.flatMap((advert) => messageOf(advert) ?? []);
}

function sameMessages(some: readonly RepeaterMessage[], others: readonly RepeaterMessage[]): boolean {
  return some.length === others.length && some.every((message, index) => bytesOf(message).equals(bytesOf(others[index]!)));
}

function bytesOf(message: RepeaterMessage): Buffer {
  return 'frame' in message ? message.frame : message.packet;
}
