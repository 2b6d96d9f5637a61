import { describe, expect, it } from 'vitest';
import type { RepeaterEntry, RepeaterEntryChange, RepeaterEntryOptions } from 'libbpf-ts';
import type { ControlPacket } from '../../../src/bfd/control-packet.js';
import { decodeControlPacket } from '../../../src/bfd/control-packet.js';
import { BfdSession, type BfdTransition } from '../../../src/gateway/bfd-session.js';

const LOCAL = 0x0a0a0a0a;
const REMOTE = 0x0b0b0b0b;
const COMPUTE_MAC = Buffer.from('020000330001', 'hex');
const VIRTUAL_MAC = Buffer.from('00005e000133', 'hex');
const path = { ifindex: 7, vlan: 0, mac: VIRTUAL_MAC, address: 0xc0a82164, remote: 0xc0a8211f, encapsulation: 0 };
const MS = 1_000_000n;

const said = (state: ControlPacket['state'], change: Partial<ControlPacket> = {}): ControlPacket => ({
  diagnostic: 0, state, poll: false, final: false, demand: false, detectMult: 3, myDiscriminator: REMOTE, yourDiscriminator: state === 'Down' ? 0 : LOCAL,
  desiredMinTxUs: 100_000, requiredMinRxUs: 100_000, ...change,
});

/** A session in simulated time, with all that leaves it. */
class Bench {
  nowNs = 1_000n * MS;
  /** CLOCK_MONOTONIC of what the programs have seen last, without telling. */
  stampNs = 0n;
  #heard = 0n;
  readonly sent: Buffer[] = [];
  readonly transitions: BfdTransition[] = [];
  added: RepeaterEntryOptions | undefined;
  readonly changes: RepeaterEntryChange[] = [];
  renewed: bigint | undefined;
  closed = 0;
  readonly session: BfdSession;
  #timers: { atNs: bigint; callback: () => void }[] = [];

  constructor(detectMult = 3, overrides: Partial<typeof path> = {}) {
    this.session = new BfdSession({ localDiscriminator: LOCAL, detectMult, desiredMinTxUs: 100_000, requiredMinRxUs: 100_000 }, { ...path, ...overrides }, COMPUTE_MAC, {
      clock: {
        nowNs: () => this.nowNs,
        schedule: (atNs, callback) => {
          const timer = { atNs, callback };
          this.#timers.push(timer);
          return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
        },
      },
      repeater: { add: (options) => this.#add(options) },
      socket: { send: (bytes) => void this.sent.push(bytes) },
      heard: () => ({ packet: said('Up'), receivedNs: this.stampNs, mac: COMPUTE_MAC }),
      transition: (transition) => void this.transitions.push(transition),
    });
  }

  #add(options: RepeaterEntryOptions): RepeaterEntry {
    this.added = options;
    return {
      update: (change: RepeaterEntryChange) => void this.changes.push(change),
      renew: (untilNs: bigint) => void (this.renewed = untilNs),
      close: () => void (this.closed += 1),
    } as unknown as RepeaterEntry;
  }

  hear(packet: ControlPacket, mac = COMPUTE_MAC): this {
    this.#heard += 1n;
    this.session.received({ packet, receivedNs: this.nowNs + this.#heard, mac });
    return this;
  }

  up(): this {
    return this.hear(said('Down')).hear(said('Up')).hear(said('Up', { final: true }));
  }

  wait(ms: number): this {
    const untilNs = this.nowNs + BigInt(ms) * MS;
    for (;;) {
      const due = this.#timers.filter(({ atNs }) => atNs <= untilNs).sort((a, b) => (a.atNs < b.atNs ? -1 : 1))[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      if (due.atNs > this.nowNs) this.nowNs = due.atNs;
      due.callback();
    }
    this.nowNs = untilNs;
    return this;
  }

  get state(): string {
    return this.session.view.state;
  }
}

const controlOf = (bytes: Buffer): ControlPacket => {
  const decoded = decodeControlPacket(bytes.subarray(-24));
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.packet;
};

describe('packets of a session', () => {
  it('are as Open vSwitch sends its own: Geneve without flags and options, VNI 0', () => {
    const bench = new Bench().hear(said('Down'));
    // Ethernet, IPv4, UDP 6081, Geneve; inner Ethernet, IPv4 with TTL 255 and TOS 0xc0, UDP 3784 without checksum.
    expect(bench.sent[0]!.toString('hex')).toMatch(new RegExp(
      '^02000033000100005e0001330800' + '45000066' + '.{8}4011.{4}c0a82164c0a8211f' + 'c00017c100520000' + '0000655800000000'
      + '00232000000100005e0001330800' + '45c0003400000000ff1164fba9fe0101a9fe0100' + 'ca0a0ec800200000' + '.{48}$',
    ));
    expect(controlOf(bench.sent[0]!)).toMatchObject({ state: 'Init', myDiscriminator: LOCAL, yourDiscriminator: REMOTE });
  });

  it('are in VXLAN where the compute is, and carry the underlay\'s tag', () => {
    const [frame] = new Bench(3, { encapsulation: 1, vlan: 33 }).hear(said('Down')).sent;
    expect(frame!.subarray(12, 16).toString('hex')).toBe('81000021');
    expect(frame!.subarray(18 + 20 + 2, 18 + 20 + 4).readUInt16BE()).toBe(4789);
    expect(frame!.subarray(18 + 28, 18 + 36).toString('hex')).toBe('0800000000000000');
  });

  it('leave by the thread, at the agreed interval, under a lease of a second', () => {
    const bench = new Bench().up();
    expect(bench.added).toMatchObject({ intervalUs: 1_000_000, untilNs: bench.nowNs + 1000n * MS });
    expect(bench.changes.at(-1)).toMatchObject({ intervalUs: 100_000, messages: [{ interface: 7 }] });
    bench.wait(50).session.renew();
    expect(bench.renewed).toBe(bench.nowNs + 1000n * MS);
  });

  it.each([
    [3, 1, 0.25],
    [1, 0.9, 0.15 / 0.9],
  ])('leave at random within a quarter, with a multiplier of %d', (detectMult, share, jitter) => {
    const { intervalUs, jitter: taken } = new Bench(detectMult).up().changes.at(-1)!;
    expect(intervalUs).toBe(100_000 * share);
    expect(taken).toBeCloseTo(jitter, 10);
    expect(intervalUs! * (1 - taken!)).toBeCloseTo(75_000, 3);
  });

  it('go where the compute was heard from last', () => {
    const bench = new Bench().up().hear(said('Up'), Buffer.from('020000330099', 'hex'));
    const [message] = bench.changes.at(-1)!.messages!;
    expect('frame' in message! && message.frame.subarray(0, 6).toString('hex')).toBe('020000330099');
  });

  it('stop when it is closed, and nothing happens any more', () => {
    const bench = new Bench().up();
    bench.session.close();
    const sent = bench.sent.length;
    bench.hear(said('Down')).wait(10_000);
    expect([bench.closed, bench.sent.length, bench.state]).toEqual([1, sent, 'Up']);
  });

  it('AdminDown is said at once', () => {
    const bench = new Bench().up();
    bench.session.disable();
    expect(controlOf(bench.sent.at(-1)!)).toMatchObject({ state: 'AdminDown', diagnostic: 7 });
  });

  it('no link to send on ends nothing', () => {
    const bench = new Bench();
    bench.sent.push = () => { throw new Error('ENETDOWN'); };
    expect(bench.up().state).toBe('Up');
  });
});

describe('silence', () => {
  it('of a Detection Time takes the session down', () => {
    const bench = new Bench().up();
    expect(bench.wait(299).state).toBe('Up');
    expect(bench.wait(2).state).toBe('Down');
    expect(controlOf(bench.sent.at(-1)!)).toMatchObject({ state: 'Down', diagnostic: 1 });
    expect(bench.session.view).toEqual({ state: 'Down', wasUp: true, remoteAdminDown: false });
  });

  it('is not believed while the programs have heard something: what is steady reaches nobody else', () => {
    const bench = new Bench().up();
    for (let i = 0; i < 100; i += 1) {
      bench.stampNs = bench.nowNs + 90n * MS;
      bench.wait(100);
    }
    expect(bench.state).toBe('Up');
    expect(bench.wait(310).state).toBe('Down');
  });

  it('is counted from the programs\' stamp, not from when we come to look', () => {
    const bench = new Bench().up();
    // We sleep for five seconds; the last packet came 200 ms before we woke.
    bench.stampNs = bench.nowNs + 4_800n * MS;
    bench.nowNs += 5_000n * MS;
    bench.wait(0);
    expect(bench.state).toBe('Up');
    expect(bench.wait(99).state).toBe('Up');
    expect(bench.wait(2).state).toBe('Down');
  });

  it('that lasted while we slept is noticed when we wake', () => {
    const bench = new Bench().up();
    bench.stampNs = bench.nowNs + 100n * MS;
    bench.nowNs += 5_000n * MS;
    expect(bench.wait(0).state).toBe('Down');
  });
});
