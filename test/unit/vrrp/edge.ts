/** A simulated event loop and sockets, to hold an election in a test's hand. */
import { EventEmitter } from 'node:events';
import { VRRP_MULTICAST, decodePacket, encodeMessage, type Advertisement, type Authentication, type ReceivedAdvertisement } from '../../../src/vrrp/advertisement.js';
import type { Cancel, Clock } from '../../../src/vrrp/clock.js';
import { Election, type ElectionParts, type Transition } from '../../../src/vrrp/election.js';
import { encodeIpv4, parseIpv4 } from '../../../src/vrrp/ipv4.js';
import type { VirtualRouterOptions } from '../../../src/vrrp/options.js';
import type { Outgoing, Repetition, RepetitionStart, RepetitionStats } from '../../../src/vrrp/repetition.js';

const MS = 1_000_000n;

interface Scheduled {
  readonly deadlineNs: bigint;
  readonly callback: () => void;
}

/** What the native thread does of an entry: on time whatever the event loop does, but not while the process is stopped. */
export class SimulatedRepetition implements Repetition {
  nextNs: bigint;
  closed = false;
  stats: RepetitionStats = { sent: 0n, failed: 0n, lastErrno: 0, lastSentNs: 0n };
  readonly #loop: Loop;
  readonly #start: RepetitionStart;
  readonly #send: (advert: Outgoing) => void;
  #adverts: readonly Outgoing[];
  #leaseForNs: bigint;
  #untilNs: bigint;
  #renewedNs: bigint;

  constructor(loop: Loop, start: RepetitionStart, send: (advert: Outgoing) => void) {
    this.#loop = loop;
    this.#start = start;
    this.#send = send;
    this.#adverts = start.adverts;
    this.#leaseForNs = start.leaseForNs;
    this.#untilNs = start.untilNs;
    this.#renewedNs = loop.now;
    this.nextNs = loop.now + BigInt(start.intervalUs) * 1000n;
    loop.repetitions.add(this);
  }

  update({ adverts, leaseForNs }: Pick<RepetitionStart, 'adverts' | 'leaseForNs'>): void {
    this.#adverts = adverts;
    this.#leaseForNs = leaseForNs;
  }

  renew(untilNs: bigint): void {
    this.#untilNs = untilNs;
    this.#renewedNs = this.#loop.now;
  }

  close(): void {
    this.closed = true;
    this.#loop.repetitions.delete(this);
  }

  round(): void {
    const intervalNs = BigInt(this.#start.intervalUs) * 1000n;
    const { now } = this.#loop;
    const aliveNs = this.stats.lastSentNs > this.#renewedNs ? this.stats.lastSentNs : this.#renewedNs;
    const lapsed = now >= this.#untilNs || now > aliveNs + this.#start.silenceNs;
    // What was missed is left out.
    for (this.nextNs += intervalNs; this.nextNs + intervalNs <= now; ) this.nextNs += intervalNs;
    for (const advert of lapsed ? [] : this.#adverts) this.#sendOne(advert, now);
  }

  #sendOne(advert: Outgoing, now: bigint): void {
    try {
      this.#send(advert);
      this.stats = { ...this.stats, sent: this.stats.sent + 1n, lastSentNs: now };
      this.#loop.stamps.push(now + this.#leaseForNs);
    } catch {
      this.stats = { ...this.stats, failed: this.stats.failed + 1n, lastErrno: 100 };
    }
  }
}

/** Runs rounds like libuv's: timers that are due, then sockets, then immediates. */
export class Loop implements Clock {
  now = 1_000_000_000_000n;
  readonly repetitions = new Set<SimulatedRepetition>();
  /** Leases that the thread has stored for the data plane. */
  readonly stamps: bigint[] = [];
  /** What every timer is late by. */
  latenessNs = 0n;
  readonly #scheduled = new Set<Scheduled>();
  #immediates: { callback: () => void; cancelled: boolean }[] = [];
  readonly #inputs: (() => void)[] = [];

  nowNs(): bigint {
    return this.now;
  }

  wallMs(): number {
    return Number(this.now / MS);
  }

  schedule(deadlineNs: bigint, callback: () => void): Cancel {
    const entry = { deadlineNs, callback };
    this.#scheduled.add(entry);
    return () => this.#scheduled.delete(entry);
  }

  afterInput(callback: () => void): Cancel {
    const entry = { callback, cancelled: false };
    this.#immediates.push(entry);
    return () => void (entry.cancelled = true);
  }

  /** `read` delivers one packet to whoever listens, in the next round's turn of sockets. */
  arrive(read: () => void): void {
    this.#inputs.push(read);
  }

  get timers(): number {
    return this.#scheduled.size;
  }

  /** Lets time pass, running what becomes due at its time. */
  advanceMs(ms: number): void {
    const end = this.now + BigInt(Math.round(ms * 1e6));
    // After a standstill the thread is there first.
    this.#runThread(this.now);
    this.#settle();
    for (let next = this.#next(); next !== undefined && next.deadlineNs + this.latenessNs <= end; next = this.#next()) {
      const at = next.deadlineNs + this.latenessNs;
      this.#runThread(at);
      if (at > this.now) this.now = at;
      this.#settle();
    }
    this.#runThread(end);
    this.now = end;
    this.#settle();
  }

  /** The process is stopped: time passes and nothing runs. */
  sleepMs(ms: number): void {
    this.now += BigInt(ms) * MS;
  }

  /** The event loop is busy: time passes, and the thread alone runs. */
  blockMs(ms: number): void {
    const end = this.now + BigInt(ms) * MS;
    this.#runThread(end);
    this.now = end;
  }

  #runThread(untilNs: bigint): void {
    for (;;) {
      const [next] = [...this.repetitions].sort((a, b) => (a.nextNs < b.nextNs ? -1 : 1));
      if (next === undefined || next.nextNs > untilNs) return;
      if (next.nextNs > this.now) this.now = next.nextNs;
      next.round();
    }
  }

  #next(): Scheduled | undefined {
    return [...this.#scheduled].sort((a, b) => (a.deadlineNs < b.deadlineNs ? -1 : a.deadlineNs > b.deadlineNs ? 1 : 0))[0];
  }

  #settle(): void {
    while (this.#round());
  }

  #round(): boolean {
    const due = [...this.#scheduled].filter(({ deadlineNs }) => deadlineNs + this.latenessNs <= this.now);
    for (const entry of due) if (this.#scheduled.delete(entry)) entry.callback();
    const read = this.#inputs.shift();
    read?.();
    const immediates = this.#immediates;
    this.#immediates = [];
    for (const { callback, cancelled } of immediates) if (!cancelled) callback();
    return due.length > 0 || read !== undefined || immediates.length > 0;
  }
}

export class Wire extends EventEmitter<{ message: [Buffer, { timestampNs: bigint }]; error: [Error] }> {
  readonly frames: Buffer[] = [];
  readonly unicast: { packet: Buffer; destination: string }[] = [];
  failure: Error | undefined;
  closed = false;

  send(packet: Buffer, destination?: string): void {
    if (this.failure !== undefined) throw this.failure;
    if (destination === undefined) this.frames.push(packet);
    else this.unicast.push({ packet, destination });
  }

  close(): void {
    this.closed = true;
  }

  adverts(): ReceivedAdvertisement[] {
    return this.#ofType(0x0800).map((frame) => {
      const decoded = decodePacket(frame.subarray(14));
      if (!decoded.ok) throw new Error(`sent an advert that is invalid: ${decoded.reason}`);
      return decoded.received;
    });
  }

  priorities(): number[] {
    return this.adverts().map(({ advertisement }) => advertisement.priority);
  }

  /** Operation and address of each ARP. */
  arps(): string[] {
    return this.#ofType(0x0806).map((frame) => `${frame.readUInt16BE(20)} ${[...frame.subarray(28, 32)].join('.')}`);
  }

  #ofType(etherType: number): Buffer[] {
    return this.frames.filter((frame) => frame.readUInt16BE(12) === etherType);
  }
}

export const options: VirtualRouterOptions = {
  vrid: 51,
  addresses: ['10.9.0.100'],
  primaryAddress: '10.9.0.2',
  priority: 100,
  advertisementIntervalUs: 100_000,
};

/** Active_Down_Interval of `options`. */
export const DOWN_MS = 360.937;

export function setUp(change: Partial<VirtualRouterOptions> = {}, parts: Partial<ElectionParts> = {}) {
  // Several elections may share one.
  const loop = parts.clock instanceof Loop ? parts.clock : new Loop();
  const receiver = new Wire();
  const sender = new Wire();
  const external = new Wire();
  const calls: string[] = [];
  const leases: bigint[] = [];
  const transitions: Transition[] = [];
  const election = new Election({
    options: { ...options, ...change },
    synchronised: true,
    sockets: { receiver, sender, repeat: (start) => repeatOn(loop, start, { receiver, sender }) },
    announce: [
      { sender, addresses: () => [parseIpv4('10.9.0.100')] },
      { sender: external, addresses: () => [parseIpv4('10.0.2.201')] },
    ],
    actions: {
      setRole: (role) => calls.push(role.role === 'active' ? `active ${role.term}` : role.role),
      renewLease: (untilNs) => {
        leases.push(untilNs);
        calls.push('lease');
      },
      transition: (transition) => transitions.push(transition),
      notice: (kind) => calls.push(`notice ${kind}`),
    },
    clock: loop,
    ...parts,
  });
  return { loop, receiver, sender, external, calls, leases, transitions, election };
}

/** As the native thread would, by these. */
function repeatOn(loop: Loop, start: RepetitionStart, { receiver, sender }: { readonly receiver: Wire; readonly sender: Wire }): SimulatedRepetition {
  return new SimulatedRepetition(loop, start, (advert) => ('frame' in advert ? sender.send(advert.frame) : receiver.send(advert.packet, advert.destination)));
}

export interface Heard {
  readonly priority?: number;
  readonly source?: string;
  readonly vrid?: number;
  readonly intervalUs?: number;
  readonly ttl?: number;
  readonly addresses?: readonly string[];
  /** Of a v2 advert. Default: it is v3. */
  readonly authentication?: Authentication;
}

export function advertPacket({ priority = 200, source = '10.9.0.1', vrid = 51, intervalUs = 100_000, ttl = 255, addresses = ['10.9.0.100'], authentication }: Heard = {}): Buffer {
  const from = parseIpv4(source);
  const fields = { vrid, priority, intervalUs, addresses: addresses.map(parseIpv4) };
  const advertisement: Advertisement = authentication === undefined ? { version: 3, ...fields } : { version: 2, ...fields, authentication };
  const message = encodeMessage(advertisement, { form: 'message', source: from, destination: VRRP_MULTICAST });
  const packet = encodeIpv4({ source: from, destination: VRRP_MULTICAST }, message);
  packet[8] = ttl;
  return Buffer.from(packet.buffer);
}
