/**
 * Our election against programs that we did not write, as Active and as Backup, through all that
 * may happen to either. Who is Active is what an observer on the LAN hears, not what either side
 * says. Pairs of version 2, which counts in seconds, run all at once; those of version 3 in two lanes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VirtualRouterOptions } from '../../src/vrrp/options.js';
import { activeDownIntervalUs, skewTimeUs, type VrrpVersion } from '../../src/vrrp/timing.js';
import type { Host } from '../support/two-hosts.js';
import { flood } from '../support/vrrp-flood.js';
import { Frr, Keepalived, Ours, type Peer } from '../support/vrrp-programs.js';
import { Segment, isClaim, ms, other, type Seen, type Side } from '../support/vrrp-segment.js';

/** The event loops of a busy machine, and of theirs, may be late by so much. */
const LATENESS_MS = 250;
const HIGH = 200;
const LOW = 100;

interface Dialect {
  readonly name: string;
  readonly version: VrrpVersion;
  readonly intervalMs: number;
  readonly ours: Partial<VirtualRouterOptions>;
  readonly start: (host: Host, priority: number) => Promise<Peer>;
}

const keepalived = (intervalS: number, instance = '', quiet = false) => async (host: Host, priority: number): Promise<Peer> => new Keepalived(host, { priority, intervalS, instance, quiet });
const frr = (version: VrrpVersion, intervalMs: number) => (host: Host, priority: number): Promise<Peer> => Frr.start(host, { priority, version, intervalMs });
const PASSWORD = 'openstack';
const passwordOf = (password: string): Partial<VirtualRouterOptions> => ({ authentication: { type: 'simple-text', password } });
const authenticated = `version 2\n authentication { auth_type PASS\n auth_pass ${PASSWORD}\n }`;

const v2 = { version: 2, intervalMs: 1_000, ours: { version: 2, advertisementIntervalUs: 1_000_000 } } as const;
// keepalived 2.2.7 and FRR 8.4.4 sum a pseudo-header, as they read RFC 5798.
const v3 = { version: 3, intervalMs: 100, ours: { checksum: 'pseudo-header' } } as const;

const dialects: readonly Dialect[] = [
  { name: 'keepalived, v2', ...v2, start: keepalived(1, 'version 2') },
  { name: 'keepalived, v2 with a password', ...v2, ours: { ...v2.ours, ...passwordOf(PASSWORD) }, start: keepalived(1, authenticated) },
  { name: 'FRR, v2', ...v2, start: frr(2, 1_000) },
  { name: 'keepalived, v3', ...v3, start: keepalived(0.1) },
  { name: 'keepalived, v3 unicast', ...v3, ours: { ...v3.ours, unicastPeers: ['10.9.0.1'] }, start: keepalived(0.1, 'unicast_src_ip 10.9.0.1\n unicast_peer {\n 10.9.0.2\n }') },
  { name: 'keepalived, v3 with use_vmac', ...v3, start: keepalived(0.1, 'use_vmac vrrp.51') },
  { name: 'FRR, v3', ...v3, start: frr(3, 100) },
];

/** What was measured: the silence or the wait before the first advert of the new Active. */
interface Figure {
  readonly event: string;
  readonly tookMs: number;
  readonly atMostMs: number;
}

class Duel {
  readonly figures: Figure[] = [];
  readonly segment: Segment;
  readonly dialect: Dialect;
  #ours: Ours | undefined;
  #peer: Peer | undefined;

  private constructor(segment: Segment, dialect: Dialect) {
    this.segment = segment;
    this.dialect = dialect;
  }

  static async of(dialect: Dialect, fight: (duel: Duel) => Promise<void>): Promise<Figure[]> {
    const duel = new Duel(await Segment.create(), dialect);
    try {
      await fight(duel);
      return duel.figures;
    } catch (error) {
      const said = [...(duel.#peer?.lines.slice(-30) ?? []), ...duel.segment.seen().slice(-60).map((seen) => `${ms(duel.segment.seen()[1]?.atNs ?? '0', seen.atNs ?? '0').toFixed(0)} ms ${seen.port} ${seen.kind} ${seen.priority ?? seen.mac}`)];
      throw new Error(`${(error as Error).message}\nafter ${duel.figures.map(({ event }) => event).join(', ')}; theirs and the observer said last:\n${said.join('\n')}`, { cause: error });
    } finally {
      await duel.#ours?.end();
      await duel.#peer?.end();
      await duel.segment.remove();
    }
  }

  get ours(): Ours {
    return this.#ours!;
  }

  get peer(): Peer {
    return this.#peer!;
  }

  async startOurs(priority: number, change: Partial<VirtualRouterOptions> = {}): Promise<Ours> {
    await this.#ours?.end();
    this.#ours = new Ours(this.segment.ours, { priority, ...this.dialect.ours, ...change });
    return this.#ours;
  }

  async startPeer(priority: number): Promise<Peer> {
    await this.#peer?.end();
    this.#peer = undefined;
    this.#peer = await this.dialect.start(this.segment.theirs, priority);
    return this.#peer;
  }

  /** Ours is the election alone, and answers nobody. */
  agree(side: Side, from: number): Promise<Seen> {
    return this.segment.agree(side, from, { intervalMs: this.dialect.intervalMs, answers: side === 'theirs' });
  }

  /** The other side has fallen silent: within the Active_Down_Interval of `side` it is followed. */
  async succeeds(side: Side, event: string, from: number, priority: number, intervalMs = this.dialect.intervalMs): Promise<void> {
    const first = await this.agree(side, from);
    const last = this.segment.seen().filter((seen) => seen.port === other(side) && isClaim(seen) && BigInt(seen.atNs) < BigInt(first.atNs)).at(-1)!;
    const downMs = activeDownIntervalUs(this.dialect.version, priority, intervalMs * 1_000) / 1_000;
    this.#note(event, ms(last.atNs, first.atNs), 3 * intervalMs, downMs);
  }

  /** The other side resigns: after the Skew_Time of `side` it is followed. */
  async inherits(side: Side, event: string, from: number, priority: number): Promise<void> {
    const resigned = await this.segment.find(`${other(side)} to resign`, (seen) => seen.port === other(side) && seen.kind === 'advertisement' && seen.priority === 0, from);
    const first = await this.agree(side, from);
    const skewMs = skewTimeUs(this.dialect.version, priority, this.dialect.intervalMs * 1_000) / 1_000;
    this.#note(event, ms(resigned.atNs, first.atNs), 0, skewMs);
  }

  /** Something was done that makes `side` preempt, or that brings both together: within its Active_Down_Interval, after what it takes to notice. */
  async preempts(side: Side, event: string, from: number, priority: number, noticeMs = 0): Promise<void> {
    const askedNs = process.hrtime.bigint();
    const first = await this.agree(side, from);
    const downMs = activeDownIntervalUs(this.dialect.version, priority, this.dialect.intervalMs * 1_000) / 1_000;
    this.#note(event, ms(askedNs, first.atNs), -1_000, downMs + this.dialect.intervalMs + noticeMs);
  }

  #note(event: string, tookMs: number, atLeastMs: number, atMostMs: number): void {
    this.figures.push({ event, tookMs, atMostMs });
    expect(tookMs, event).toBeGreaterThanOrEqual(atLeastMs);
    expect(tookMs, event).toBeLessThan(atMostMs + LATENESS_MS);
  }
}

/** How long programs take to start, on a machine where a dozen of them do. */
const STARTING_MS = 5_000;

async function weAreBackup(duel: Duel): Promise<void> {
  const { segment } = duel;
  await duel.startPeer(HIGH);
  await duel.agree('theirs', 0);
  let { mark } = segment;
  const ours = await duel.startOurs(LOW);
  await ours.told({ type: 'role', role: 'backup' });
  await duel.agree('theirs', mark);

  ({ mark } = segment);
  duel.peer.crash();
  await duel.succeeds('ours', 'kill -9', mark, LOW);

  ({ mark } = segment);
  await duel.startPeer(HIGH);
  await duel.preempts('theirs', 'return', mark, HIGH, STARTING_MS);

  ({ mark } = segment);
  segment.setLink('theirs', 'down');
  await duel.succeeds('ours', 'link down', mark, LOW);
  ({ mark } = segment);
  segment.setLink('theirs', 'up');
  await duel.preempts('theirs', 'link up', mark, HIGH, STARTING_MS);

  ({ mark } = segment);
  duel.peer.setPriority(LOW / 2);
  await duel.preempts('ours', 'priority lowered', mark, LOW, 1_000);
  ({ mark } = segment);
  duel.peer.setPriority(HIGH);
  await duel.preempts('theirs', 'priority raised', mark, HIGH, 1_000);

  ({ mark } = segment);
  await duel.peer.stop();
  await duel.inherits('ours', 'stop', mark, LOW);
  const { counters } = await ours.status();
  expect(Object.entries(counters!.invalid).filter(([, count]) => count > 0)).toEqual([]);
}

async function weAreActive(duel: Duel): Promise<void> {
  const { segment } = duel;
  await duel.startOurs(HIGH);
  await segment.claim('ours');
  let { mark } = segment;
  const peer = await duel.startPeer(LOW);
  await peer.listening();
  await duel.agree('ours', mark);

  ({ mark } = segment);
  duel.ours.signal('SIGKILL');
  await duel.succeeds('theirs', 'kill -9', mark, LOW);

  ({ mark } = segment);
  await duel.startOurs(HIGH);
  await duel.preempts('ours', 'return', mark, HIGH, STARTING_MS);

  ({ mark } = segment);
  segment.setLink('ours', 'down');
  await duel.succeeds('theirs', 'link down', mark, LOW);
  ({ mark } = segment);
  segment.setLink('ours', 'up');
  await duel.preempts('ours', 'link up', mark, HIGH);

  ({ mark } = segment);
  duel.ours.reconfigure({ priority: LOW / 2 });
  await duel.preempts('theirs', 'priority lowered', mark, LOW);
  ({ mark } = segment);
  duel.ours.reconfigure({ priority: HIGH });
  await duel.preempts('ours', 'priority raised', mark, HIGH);

  ({ mark } = segment);
  duel.ours.say('drain');
  await duel.inherits('theirs', 'drain', mark, LOW);
  ({ mark } = segment);
  duel.ours.say('undrain');
  await duel.preempts('ours', 'undrain', mark, HIGH);
}

/** A misconfiguration of two that refuse each other makes both Active, as the RFC has it; either correction ends that. */
function refuses(wrong: Partial<VirtualRouterOptions>, reason: string) {
  return async (duel: Duel): Promise<void> => {
    const { segment } = duel;
    await duel.startPeer(HIGH);
    await duel.agree('theirs', 0);
    const ours = await duel.startOurs(LOW, wrong);
    await segment.claim('ours');
    const { counters } = await ours.status();
    expect(counters!.invalid[reason]).toBeGreaterThan(0);
    expect(counters!.advertisementsReceived).toBe(0);
    const { mark } = segment;
    ours.reconfigure(duel.dialect.ours);
    await ours.told({ type: 'transition', reason: 'higher-priority' });
    await duel.agree('theirs', mark);
  };
}

/** The interval of a v3 Active is adopted: silence is counted in it. */
async function adoptsTheInterval(duel: Duel): Promise<void> {
  await duel.startPeer(HIGH);
  await duel.agree('theirs', 0);
  const ours = await duel.startOurs(LOW);
  await ours.told({ type: 'notice' });
  const { mark } = duel.segment;
  await duel.agree('theirs', mark);
  duel.peer.crash();
  await duel.succeeds('ours', 'kill -9', duel.segment.mark, LOW, 300);
}

/** More than the worst network has; what the programs of underlay keep from a whole gateway, an election by itself has to read. */
const FORGERIES_PER_SECOND = 2_000;

async function flooded(duel: Duel): Promise<void> {
  const { segment } = duel;
  await duel.startPeer(HIGH);
  await duel.agree('theirs', 0);
  const ours = await duel.startOurs(LOW);
  await ours.told({ type: 'role', role: 'backup' });

  const perSecond = await flood(segment, duel.dialect.version, FORGERIES_PER_SECOND, async () => {
    let { mark } = segment;
    await delay(1_500);
    await duel.agree('theirs', mark);
    expect(ours.roles()).toEqual(['backup']);
    ({ mark } = segment);
    duel.peer.crash();
    await duel.succeeds('ours', 'kill -9 in the flood', mark, LOW);
    ({ mark } = segment);
    await duel.agree('ours', mark);
  });
  duel.figures.push({ event: `${perSecond} forgeries a second`, tookMs: 0, atMostMs: 0 });
  expect(ours.roles()).toEqual(['backup', 'active']);
  const { counters } = await ours.status();
  expect(counters!.invalid['checksum']).toBeGreaterThan(100);
}

interface Job {
  readonly name: string;
  readonly dialect: Dialect;
  readonly fight: (duel: Duel) => Promise<void>;
}

const named = (name: string): Dialect => dialects.find((dialect) => dialect.name === name)!;
const jobs: readonly Job[] = [
  ...dialects.flatMap((dialect) => [
    { name: `${dialect.name}: we are Backup`, dialect, fight: weAreBackup },
    { name: `${dialect.name}: we are Active`, dialect, fight: weAreActive },
  ]),
  { name: 'keepalived, v2 with a password: ours is another', dialect: named('keepalived, v2 with a password'), fight: refuses(passwordOf('elsewhere'), 'authentication') },
  { name: 'keepalived, v2: our interval is another', dialect: named('keepalived, v2'), fight: refuses({ advertisementIntervalUs: 2_000_000 }, 'interval-mismatch') },
  { name: 'FRR, v2: our interval is another', dialect: named('FRR, v2'), fight: refuses({ advertisementIntervalUs: 2_000_000 }, 'interval-mismatch') },
  { name: 'keepalived, v3: their interval is another', dialect: { ...named('keepalived, v3'), start: keepalived(0.3) }, fight: adoptsTheInterval },
  // keepalived falls silent itself under them.
  { name: 'FRR, v2: forgeries', dialect: named('FRR, v2'), fight: flooded },
  { name: 'FRR, v3: forgeries', dialect: named('FRR, v3'), fight: flooded },
];

const outcomes = new Map<string, Promise<Figure[]>>();
const figures: [string, Figure[]][] = [];

/** v2 waits more than it works: all at once. v3 counts in milliseconds: one after the other, in two lanes. */
beforeAll(() => {
  const chain = (lane: readonly Job[], before: Promise<unknown>): void =>
    void lane.reduce((earlier, { name, dialect, fight }) => {
      const outcome = earlier.then(() => Duel.of(dialect, fight));
      outcomes.set(name, outcome);
      return outcome.catch(() => undefined);
    }, before);
  const slow = jobs.filter(({ dialect }) => dialect.version === 2);
  const fast = jobs.filter(({ dialect }) => dialect.version === 3);
  slow.forEach((job, index) => chain([job], delay(500 * index)));
  for (const lane of [0, 1]) chain(fast.filter((_, index) => index % 2 === lane), delay(500 * lane));
});

afterAll(() => {
  for (const [name, measured] of figures) {
    const texts = measured.map(({ event, tookMs, atMostMs }) => (atMostMs === 0 ? event : `${event} ${tookMs.toFixed(0)} of ${atMostMs.toFixed(0)}`));
    process.stderr.write(`${name}: ${texts.join(', ')} (ms, of at most)\n`);
  }
});

describe('at most one is Active, and the right one', () => {
  it.each(jobs.map(({ name }) => [name]))('%s', { timeout: 120_000 }, async (name) => {
    const { dialect, fight } = jobs.find((job) => job.name === name)!;
    // Run once more, it begins anew.
    const outcome = outcomes.get(name) ?? Duel.of(dialect, fight);
    outcomes.delete(name);
    figures.push([name, await outcome]);
  });
});
