/** A simulated event loop and sockets, to hold an election in a test's hand. */
import { EventEmitter } from 'node:events';
import { VRRP_MULTICAST, decodePacket, encodeMessage, type Advertisement, type Authentication, type ReceivedAdvertisement } from '../../../src/vrrp/advertisement.js';
import type { Cancel, Clock } from '../../../src/vrrp/clock.js';
import { Election, type ElectionParts, type Transition } from '../../../src/vrrp/election.js';
import { encodeIpv4, parseIpv4 } from '../../../src/vrrp/ipv4.js';
import type { VirtualRouterOptions } from '../../../src/vrrp/options.js';

const MS = 1_000_000n;

interface Scheduled {
  readonly deadlineNs: bigint;
  readonly callback: () => void;
}

/** Runs rounds like libuv's: timers that are due, then sockets, then immediates. */
export class Loop implements Clock {
  now = 1_000_000_000_000n;
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
    this.#settle();
    for (let next = this.#next(); next !== undefined && next.deadlineNs + this.latenessNs <= end; next = this.#next()) {
      const at = next.deadlineNs + this.latenessNs;
      if (at > this.now) this.now = at;
      this.#settle();
    }
    this.now = end;
    this.#settle();
  }

  /** The process is stopped: time passes and nothing runs. */
  sleepMs(ms: number): void {
    this.now += BigInt(ms) * MS;
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
  const loop = new Loop();
  const receiver = new Wire();
  const sender = new Wire();
  const external = new Wire();
  const calls: string[] = [];
  const leases: bigint[] = [];
  const transitions: Transition[] = [];
  const election = new Election({
    options: { ...options, ...change },
    synchronised: true,
    sockets: { receiver, sender },
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
