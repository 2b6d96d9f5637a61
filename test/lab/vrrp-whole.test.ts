/**
 * A whole gateway, daemon and programs, in one election with keepalived and FRR. Who is Active is what an observer on the
 * LAN hears, adverts and answers for the virtual address; that the role is the data plane's too is seen by a VM's packets,
 * which come out where the gateway is Active and nowhere else.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lab/wait.js';
import type { Host } from '../support/two-hosts.js';
import { WholeGateway, type Settings } from '../support/vrrp-daemon.js';
import { Frr, Keepalived, type Peer } from '../support/vrrp-programs.js';
import { Segment, type Side } from '../support/vrrp-segment.js';

const HIGH = 200;
const LOW = 100;
/** Of theirs: FRR takes its device with the virtual address down by way of another daemon. */
const PATIENCE_MS = 2_000;

interface Dialect {
  readonly intervalMs: number;
  readonly ours: Settings;
  readonly start: (host: Host, priority: number) => Promise<Peer>;
}

const v3 = { intervalMs: 100, ours: { advertisementInterval: '100ms', checksum: 'pseudo-header' } };
const keepalivedV3: Dialect = { ...v3, start: async (host, priority) => new Keepalived(host, { priority, intervalS: 0.1 }) };
const frrV3: Dialect = { ...v3, start: (host, priority) => Frr.start(host, { priority, version: 3, intervalMs: 100 }) };
const keepalivedV2: Dialect = {
  intervalMs: 1_000,
  ours: { version: 2, advertisementInterval: '1s', authentication: 'openstac' },
  start: async (host, priority) => new Keepalived(host, { priority, intervalS: 1, instance: 'version 2\n authentication { auth_type PASS\n auth_pass openstac\n }' }),
};

class Match {
  readonly segment: Segment;
  readonly gateway: WholeGateway;
  readonly #dialect: Dialect;
  #peer: Peer | undefined;

  private constructor(segment: Segment, dialect: Dialect, priority: number) {
    this.segment = segment;
    this.#dialect = dialect;
    this.gateway = new WholeGateway(segment, { ...dialect.ours, priority });
  }

  static async of(dialect: Dialect, priority: number, play: (match: Match) => Promise<void>): Promise<void> {
    const match = new Match(await Segment.create(), dialect, priority);
    try {
      await play(match);
    } catch (error) {
      throw new Error(`${(error as Error).message}\nours and theirs said last:\n${[...match.gateway.lines.slice(-20), ...(match.#peer?.lines.slice(-20) ?? [])].join('\n')}`, { cause: error });
    } finally {
      await match.#peer?.end();
      await match.gateway.end();
      await match.segment.remove();
    }
  }

  get peer(): Peer {
    return this.#peer!;
  }

  async startPeer(priority: number): Promise<void> {
    await this.#peer?.end();
    this.#peer = undefined;
    this.#peer = await this.#dialect.start(this.segment.theirs, priority);
  }

  /** Something is done, and then `side` is Active, alone, and the VM's packets come out if that is ours. */
  async after(deed: () => unknown, side: Side): Promise<void> {
    const { mark } = this.segment;
    await deed();
    await this.segment.agree(side, mark, { intervalMs: this.#dialect.intervalMs, answers: true, patienceMs: side === 'ours' ? PATIENCE_MS : undefined });
    if (side === 'ours') await this.gateway.forwards();
    else await this.gateway.forwardsNothing();
  }
}

async function asBackup(match: Match): Promise<void> {
  const { gateway } = match;
  await match.after(() => match.startPeer(HIGH), 'theirs');
  await match.after(() => gateway.start(), 'theirs');
  await gateway.reaches('backup');
  await match.after(() => match.peer.crash(), 'ours');
  await match.after(() => match.startPeer(HIGH), 'theirs');
  await match.after(() => match.segment.setLink('theirs', 'down'), 'ours');
  await match.after(() => match.segment.setLink('theirs', 'up'), 'theirs');
  await match.after(() => match.peer.setPriority(LOW / 2), 'ours');
  await match.after(() => match.peer.setPriority(HIGH), 'theirs');
  await match.after(() => match.peer.stop(), 'ours');
}

async function asActive(match: Match): Promise<void> {
  const { gateway } = match;
  await match.after(() => gateway.start(), 'ours');
  await match.after(async () => {
    await match.startPeer(LOW);
    await match.peer.listening();
  }, 'ours');
  // The programs stay, and forward no longer than their lease.
  await match.after(() => gateway.crash(), 'theirs');
  await match.after(() => gateway.start(), 'ours');
  await match.after(() => gateway.reconfigure({ priority: LOW / 2 }), 'theirs');
  await match.after(() => gateway.reconfigure({ priority: HIGH }), 'ours');
}

/** Version 2 counts in seconds: what it has of its own, and once each way. */
async function inSeconds(match: Match): Promise<void> {
  const { gateway } = match;
  await match.after(() => match.startPeer(HIGH), 'theirs');
  await match.after(() => gateway.start(), 'theirs');
  for (const [wrong, reason] of [[{ authentication: 'another' }, 'authentication'], [{ advertisementInterval: '2s' }, 'interval']] as const) {
    await gateway.reconfigure(wrong);
    await until(`adverts to be refused: ${reason}`, async () => (await gateway.counted(`drop_advertisement_${reason}`)) > 0, { deadlineMs: 5_000 });
    await gateway.reconfigure({ authentication: 'openstac', advertisementInterval: '1s' });
    await match.after(() => undefined, 'theirs');
  }
  await match.after(() => match.peer.crash(), 'ours');
}

/** Those of a lane one after the other, the lanes beside each other: version 2 waits more than it works. */
const lanes: readonly (readonly [name: string, dialect: Dialect, priority: number, play: (match: Match) => Promise<void>][])[] = [
  [['keepalived, v3: as Backup', keepalivedV3, LOW, asBackup], ['FRR, v3: as Backup', frrV3, LOW, asBackup]],
  [['keepalived, v3: as Active', keepalivedV3, HIGH, asActive]],
  [['keepalived, v2: as Backup, with a password', keepalivedV2, LOW, inSeconds]],
];

describe('a whole gateway is Active where nobody else is, and forwards nowhere else', () => {
  const outcomes = new Map<string, Promise<void>>();
  /** For a test that is run once more. */
  const again = new Map<string, () => Promise<void>>();

  beforeAll(() => {
    for (const lane of lanes) {
      let earlier: Promise<unknown> = Promise.resolve();
      for (const [name, dialect, priority, play] of lane) {
        const outcome = earlier.then(() => Match.of(dialect, priority, play));
        outcomes.set(name, outcome);
        again.set(name, () => Match.of(dialect, priority, play));
        earlier = outcome.catch(() => undefined);
      }
    }
  });

  // Nothing may be left behind, whatever fails first.
  afterAll(async () => {
    await Promise.allSettled(outcomes.values());
  }, 120_000);

  it.each(lanes.flat().map(([name]) => [name]))('%s', { timeout: 120_000 }, async (name) => {
    const outcome = outcomes.get(name) ?? again.get(name)!();
    outcomes.delete(name);
    await expect(outcome).resolves.toBeUndefined();
  });
});
