import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeControlPacket, type ControlPacket } from '../../../src/bfd/control-packet.js';
import type { Ipv4Address } from '../../../src/config/address.js';
import type { BfdEndpoint, BfdMessage, BfdTable } from '../../../src/dataplane/bfd-table.js';
import type { DataPlaneEvent } from '../../../src/dataplane/events.js';
import { bfdReportCodec, eventType, interfaceRole, virtualRouterState } from '../../../src/dataplane/layout.generated.js';
import { monotonicNs, type Basis } from '../../../src/gateway/basis.js';
import { endpointName } from '../../../src/gateway/bfd-admission.js';
import { Bfd } from '../../../src/gateway/bfd.js';
import { discriminatorOf } from '../../../src/gateway/discriminators.js';

const VRID = 51;
const SEED = [1n, 2n];
const REMOTE = 0x0b0b0b0b;
const COMPUTE_MAC = Buffer.from('020000330001', 'hex');
const compute: BfdEndpoint = { vrid: VRID, address: 0xc0a8211f, encapsulation: 0 };
const LOCAL = discriminatorOf(SEED, compute);

const saying = (state: ControlPacket['state'], change: Partial<ControlPacket> = {}): Buffer => Buffer.from(encodeControlPacket({
  diagnostic: 0, state, poll: false, final: false, demand: false, detectMult: 3, myDiscriminator: REMOTE, yourDiscriminator: state === 'Down' ? 0 : LOCAL,
  desiredMinTxUs: 100_000, requiredMinRxUs: 100_000, ...change,
}));
const up = saying('Up');
const down = saying('Down', { desiredMinTxUs: 1_000_000 });

/** As bpf/bfd.h has it: a packet is taken note of while we are Active, and told of when it is new or the Active is. */
class Programs {
  state: number = virtualRouterState.backup;
  term = 1;
  readonly told: DataPlaneEvent[] = [];
  readonly #entries = new Map<string, BfdMessage & { readonly term: number }>();

  readonly table: Pick<BfdTable, 'set' | 'delete' | 'heard' | 'clear'> = {
    set: (endpoint) => void this.#entries.set(endpointName(endpoint), { receivedNs: 0n, term: 0, mac: Buffer.alloc(6), packet: Buffer.alloc(24) }),
    delete: (endpoint) => void this.#entries.delete(endpointName(endpoint)),
    heard: (endpoint) => {
      const entry = this.#entries.get(endpointName(endpoint));
      return entry === undefined || entry.receivedNs === 0n ? undefined : entry;
    },
    clear: () => this.#entries.clear(),
  };

  becomeActive(): void {
    this.term += 1;
    this.state = virtualRouterState.active;
  }

  hear(packet: Buffer, endpoint = compute): void {
    const name = endpointName(endpoint);
    const before = this.#entries.get(name);
    if (this.state !== virtualRouterState.active) return;
    const receivedNs = monotonicNs();
    if (before !== undefined) this.#entries.set(name, { receivedNs, term: this.term, mac: COMPUTE_MAC, packet });
    if (before?.term !== this.term || !before.packet.equals(packet)) this.#tell(endpoint, packet, receivedNs, before !== undefined);
  }

  #tell({ vrid, address, encapsulation }: BfdEndpoint, packet: Buffer, receivedNs: bigint, known: boolean): void {
    const frame = Buffer.alloc(bfdReportCodec.size);
    bfdReportCodec.encode({ key: { endpoint: address, virtualRouter: vrid, encapsulation }, mac: COMPUTE_MAC, known: Number(known), packet }, frame);
    this.told.push({ type: eventType.bfd, interface: interfaceRole.underlay, vlan: 0, address, receivedNs, frame } as DataPlaneEvent);
  }
}

const configured = (change: object = {}) => ({
  vrid: VRID, address: 0xc0a82164 as Ipv4Address, syncGroup: undefined,
  bfd: { mode: 'passive', minTx: 100_000, minRx: 100_000, multiplier: 3, peers: [], share: 50, weight: 253, holdDown: 60_000_000 }, ...change,
});

class Bench {
  readonly programs = new Programs();
  readonly bfd: Bfd;
  virtualRouters = [configured()];
  computes = [compute];
  sent = 0;

  constructor() {
    const { programs } = this;
    const of = this;
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const basis = {
      log,
      get configuration() { return { virtualRouters: of.virtualRouters, interfaces: { underlay: { vlan: 0 } } }; },
      node: () => ({ ifindex: 7, name: 'none' }),
      dataPlane: {
        bfdTable: () => programs.table,
        computes: { endpoints: () => of.computes },
        readGateway: () => ({ seed: SEED }),
        roles: { read: () => ({ state: programs.state, term: programs.term }) },
      },
    };
    const entry = { update() {}, renew() {}, close() {} };
    this.bfd = new Bfd(basis as unknown as Basis, { changed: () => {} }, {
      repeater: () => ({ add: () => entry as never, close: () => {} }),
      socket: () => ({ send: () => void (this.sent += 1), close: () => {} }),
    });
    this.bfd.follow();
    this.bfd.tick();
  }

  /** The event loop comes to what the programs have told. */
  report(): this {
    while (this.programs.told.length > 0) this.reportOne();
    return this;
  }

  reportOne(): this {
    this.bfd.reported(this.programs.told.shift()!);
    return this;
  }

  get states(): (string | undefined)[] {
    return this.bfd.statusOf(VRID)!.sessions.map(({ state }) => state);
  }
}

let bench: Bench;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'hrtime', 'performance'] });
  // At 0 nothing was ever heard.
  vi.advanceTimersByTime(1000);
  bench = new Bench();
});

afterEach(() => {
  bench.bfd.close();
  vi.useRealTimers();
});

describe('a remote that says the same all the time', () => {
  it('is heard when it is told of before rolesChanged()', () => {
    bench.programs.becomeActive();
    bench.programs.hear(up);
    bench.report().bfd.rolesChanged(() => false);
    expect(bench.states).toEqual(['Up']);
  });

  it('is heard when it is told of after rolesChanged()', () => {
    bench.programs.becomeActive();
    bench.programs.hear(up);
    bench.bfd.rolesChanged(() => false);
    expect(bench.report().states).toEqual(['Up']);
  });

  it('is not heard by who is no longer Active', () => {
    bench.programs.becomeActive();
    bench.programs.hear(up);
    bench.programs.state = virtualRouterState.backup;
    bench.report().bfd.rolesChanged(() => false);
    vi.advanceTimersByTime(100);
    bench.bfd.tick();
    expect([bench.states, bench.sent]).toEqual([[], 0]);
  });

  it('is heard again after a silence in which we forgot it', () => {
    bench.programs.becomeActive();
    bench.programs.hear(down);
    expect(bench.report().states).toEqual(['Init']);
    vi.advanceTimersByTime(4_000);
    expect(bench.states).toEqual(['Down']);
    bench.programs.hear(down);
    expect(bench.programs.told).toEqual([]);
    bench.bfd.tick();
    expect(bench.states).toEqual(['Init']);
  });

  it('is heard again at another address, and what it said to the old one is not', () => {
    bench.programs.becomeActive();
    bench.programs.hear(down);
    bench.report();
    vi.advanceTimersByTime(10);
    bench.virtualRouters = [configured({ address: 0xc0a82165 })];
    bench.bfd.follow();
    bench.bfd.tick();
    expect(bench.states).toEqual([]);
    vi.advanceTimersByTime(10);
    bench.programs.hear(down);
    expect(bench.programs.told).toEqual([]);
    bench.bfd.tick();
    expect(bench.states).toEqual(['Init']);
  });

  it('and was looked up is not heard twice, nor out of its order', () => {
    bench.programs.becomeActive();
    bench.bfd.rolesChanged(() => false);
    vi.advanceTimersByTime(1);
    bench.programs.hear(down);
    vi.advanceTimersByTime(1);
    bench.programs.hear(saying('Init'));
    bench.bfd.tick();
    expect(bench.states).toEqual(['Up']);
    // That it says Down is old.
    expect(bench.reportOne().states).toEqual(['Up']);
    expect(bench.report().states).toEqual(['Up']);
  });
});

it('of a long table every entry is looked up, a part at each tick', () => {
  bench.computes = Array.from({ length: 200 }, (_, index) => ({ ...compute, address: compute.address + index }));
  vi.advanceTimersByTime(10_000);
  bench.bfd.tick();
  bench.programs.becomeActive();
  bench.bfd.rolesChanged(() => false);
  vi.advanceTimersByTime(1);
  for (const endpoint of bench.computes) bench.programs.hear(saying('Down', { myDiscriminator: endpoint.address }), endpoint);
  const found = Array.from({ length: 5 }, () => {
    bench.bfd.tick();
    return bench.states.length;
  });
  expect(found[0]).toBeGreaterThan(0);
  expect(found[0]).toBeLessThan(200);
  expect(found.at(-1)).toBe(200);
});
