// Replication over a bad link and to a bad peer, with traffic all along: frames lost, repeated, late and out of order, a
// first packet that does not fit in with its record, another key, a peer whose table is full. New sessions come through,
// none that is established is lost, and afterwards both gateways hold the same. The link down and up: split-brain.test.ts.
// Somebody without the key floods it. REPLICATION_ALL: each impairment by itself, in async mode as well. SYNC_FORGERIES: how
// many frames the flood has, 30,000 by default.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SessionView } from '../../src/api/sessions.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { logFileOf, run, runIn } from '../../src/lab/process.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { stateFolder } from '../../src/lab/state.js';
import { outsideAddress, ports } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { HaWire, topologyWithHaWire, type FrameCounts, type Impairment } from '../support/ha-wire.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import { echoed } from '../support/nat-tools.js';
import { mapAt, type GatewayNode, type MoreClients, type RunningLab } from '../support/running-lab.js';

const connections = 40;
const flows = 40;
const added = 10;
const seed = 6086;
const forgeries = Number(process.env['SYNC_FORGERIES'] ?? 30_000);
const all = process.env['REPLICATION_ALL'] !== undefined;
const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];
/** Enough that a share of 5 % of them cannot be half of that by chance. */
const framesPerImpairment = 2000;
/** From one comparison of the tables to the next, and a repair with two more. */
const equalDeadlineMs = 60_000;

let lab: RunningLab;
let load: Load;
let wire: HaWire;
const more: MoreClients[] = [];
let nextClient = 1000;

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }, topologyWithHaWire));
  wire = await HaWire.insert(lab.state, seed);
}, 90_000);

afterAll(async () => {
  load?.close();
  wire?.close();
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  wire.impair({});
  await lab.restore();
  await load.checkpoint();
  expect((await load.progressWithin(8000)).sessions.advanced).toBe(connections);
}, 60_000);

afterEach(() => {
  for (const clients of more.splice(0)) clients.close();
});

/** New connections and flows. @returns ms until each has had an answer, the start of their programs included */
async function arrive(): Promise<number> {
  const fromMs = monotonicMs();
  more.push(await lab.moreClients('vm-a1', nextClient, added));
  nextClient += added;
  return monotonicMs() - fromMs;
}

async function expectAllGoOn(): Promise<void> {
  await load.checkpoint();
  const { sessions, flows: datagrams } = await load.progressWithin(8000);
  expect([...sessions.broken, ...datagrams.broken]).toEqual([]);
  for (const clients of more) expect(await clients.goOn()).toEqual([]);
}

/** Of a session all that a takeover needs. */
const nameOf = ({ network, internalAddress, internalPort, protocol, externalAddress, externalPort, remoteAddress }: SessionView): string =>
  `${network} ${protocol} ${internalAddress}:${internalPort} as ${externalAddress}:${externalPort} to ${remoteAddress}`;

async function sessionsOf(node: GatewayNode): Promise<string[]> {
  return (await lab.sessions(node)).map(nameOf).sort();
}

/**
 * Waits until the gateways have compared their tables since this was called and found them the same, and until every
 * session of the one is the other's: a comparison calls a segment equal for some rounds that has just begun to differ.
 * @returns ms until then
 */
async function holdTheSame(): Promise<number> {
  const fromMs = monotonicMs();
  for (const node of both) {
    const compared = async () => {
      const { tablesEqual, tablesComparedMs = Infinity } = (await lab.status(node)).peer;
      return tablesEqual === true && tablesComparedMs < monotonicMs() - fromMs;
    };
    await until(`${node} to find the tables equal`, compared, { deadlineMs: equalDeadlineMs });
  }
  await haveTheSameSessions();
  return monotonicMs() - fromMs;
}

/** The lists are read one after the other, while sessions come and go. */
async function haveTheSameSessions(): Promise<void> {
  const lists = async () => Promise.all(both.map(async (node) => (await sessionsOf(node)).join('\n')));
  await until('each to have the sessions of the other', async () => new Set(await lists()).size === 1, { deadlineMs: equalDeadlineMs, intervalMs: 200 });
}

/** The Active's node dies: whoever has taken its place knows everybody. */
async function expectTakeoverWithoutLoss(): Promise<void> {
  await lab.loseNode('gw-a');
  await lab.reaches('gw-b', 'active');
  await expectAllGoOn();
}

const since = (before: FrameCounts): FrameCounts => {
  const now = wire.counts;
  return Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - before[name as keyof FrameCounts]])) as unknown as FrameCounts;
};

/** What was asked of the wire has happened, by half at the least. */
function expectImpaired({ seen, lost, duplicated, delayed }: FrameCounts, { lossPercent = 0, duplicatePercent = 0, delayPercent = 0 }: Impairment): void {
  const passed = seen - lost;
  for (const [done, of, percent] of [[lost, seen, lossPercent], [duplicated, passed, duplicatePercent], [delayed, passed, delayPercent]] as const) {
    expect(done).toBeGreaterThanOrEqual((of * percent) / 200);
    expect(done === 0).toBe(percent === 0);
  }
}

const severally: readonly Impairment[] = [{ lossPercent: 5 }, { lossPercent: 20 }, { duplicatePercent: 20 }, { delayPercent: 100 }];
const together: Impairment = { lossPercent: 20, duplicatePercent: 20, delayPercent: 50 };
const impairments = all ? [...severally, together] : [together];

describe.each(all ? ['strict', 'async'] : ['strict'])('%s', (mode) => {
  it('frames are lost, repeated, late and overtake each other/all that is new comes through, what is established goes on; afterwards both hold the same, and a takeover loses nothing', { timeout: 240_000 }, async () => {
    if (mode !== 'strict') await lab.reconfigure((configuration) => mapAt(configuration, 'sync').set('mode', mode));
    const histories = await lab.histories();
    for (const impairment of impairments) {
      const before = wire.counts;
      wire.impair(impairment);
      const tookMs = await arrive();
      await until('enough frames', () => since(before).seen >= framesPerImpairment);
      await expectAllGoOn();
      const counts = since(before);
      console.log(`${mode}, ${JSON.stringify(impairment)}: ${2 * added} new sessions in ${tookMs.toFixed(0)} ms; frames ${JSON.stringify(counts)}`);
      expectImpaired(counts, impairment);
    }
    expect(await lab.histories(), 'nobody has moved').toEqual(histories);
    wire.impair({});
    await lab.synchronised();
    console.log(`${mode}: tables equal ${(await holdTheSame()).toFixed(0)} ms after the link was whole`);
    await expectTakeoverWithoutLoss();
    await lab.returnNode('gw-a');
  });
});

describe('a first packet that does not fit in with its record', () => {
  const payloadBytes = 1500 - 20 - 8;
  const setMtu = async (bytes: number): Promise<void> => {
    for (const node of both) {
      await runIn(node, ['ip', 'link', 'set', 'ha0', 'mtu', String(bytes)]);
      await lab.api(node).reload();
    }
  };
  afterEach(() => setMtu(2000));

  it('leaves at once; its session is counted, and held by the peer', { timeout: 60_000 }, async () => {
    await setMtu(1500);
    await lab.synchronised();
    const before = await lab.counted('gw-a', 'commit_oversize');
    const known = new Set(await sessionsOf('gw-b'));
    for (let i = 0; i < 5; i++) expect(await echoed('vm-a1', outsideAddress, ports.datagrams, payloadBytes)).toBe('10.0.2.201');
    expect(await lab.counted('gw-a', 'commit_oversize')).toBe(before + 5);
    await until('the peer to hold them', async () => (await sessionsOf('gw-b')).filter((session) => !known.has(session)).length >= 5);
    await haveTheSameSessions();
  });
});

describe('another key', () => {
  it('on one gateway/its frames are refused, counted and told of, nothing is applied, traffic and roles stay; with the right one again both hold the same', { timeout: 120_000 }, async () => {
    const applied = async (): Promise<number> => (await lab.counted('gw-b', 'commit_applied')) + (await lab.counted('gw-b', 'sync_applied'));
    const histories = await lab.histories();
    const text = lab.textOf('gw-b');
    const otherKey = join(stateFolder, 'other.key');
    writeFileSync(otherKey, '000102030405060708090a0b0c0d0e0f', { mode: 0o600 });
    const observed = await lab.observe(load, async () => {
      lab.edit('gw-b', (configuration) => mapAt(configuration, 'sync').set('keyFile', otherKey));
      await lab.api('gw-b').reload();
      for (const node of both) await until(`${node} to hear nobody`, async () => !(await lab.status(node)).peer.alive);
      const before = await applied();
      await arrive();
      for (const node of both) {
        expect(await lab.counted(node, 'drop_sync_mac'), node).toBeGreaterThan(100);
        expect((await lab.status(node)).peer, node).toMatchObject({ hearsOtherKey: true, answersOn: [] });
        expect(readFileSync(logFileOf(node), 'utf8'), node).toContain('"reason":"other_key"');
      }
      expect(await applied()).toBe(before);
    });
    expectNothingLost(observed);
    expect(await lab.histories(), 'nobody has moved').toEqual(histories);
    await lab.replace('gw-b', text);
    await lab.synchronised();
    await haveTheSameSessions();
    await expectAllGoOn();
    expect(await lab.histories(), 'nobody has moved').toEqual(histories);
  });
});

/** What nobody with the key has sent is dropped as one of these. */
const refusals = ['drop_sync_mac', 'drop_sync_replayed', 'drop_sync_own', 'drop_sync_malformed', 'drop_sync_version', 'drop_truncated'];

describe('a cable in the link, and no key', () => {
  const counted = async (): Promise<number[]> => Promise.all(refusals.map(async (reason) => (await Promise.all(both.map((node) => lab.counted(node, reason)))).reduce((sum, packets) => sum + packets)));
  /** The gateway's end of a port was full. */
  const notTaken = async (): Promise<number> => {
    const links = JSON.parse(await runIn('ha', ['ip', '-json', '-statistics', 'link', 'show'])) as { readonly ifname: string; readonly stats64: { readonly tx: { readonly dropped: number } } }[];
    return links.filter(({ ifname }) => both.some((node) => node === ifname)).reduce((sum, { stats64 }) => sum + stats64.tx.dropped, 0);
  };

  it(`${forgeries} recorded frames repeated, changed and thrown back, as fast as the link takes them/each is counted, nobody moves, nothing is lost, both hold the same`, { timeout: 120_000 + forgeries }, async () => {
    const program = join(stateFolder, 'sync-flood');
    execFileSync('gcc', ['-O2', '-Wall', '-o', program, fileURLToPath(new URL('../support/sync-flood.c', import.meta.url))]);
    const histories = await lab.histories();
    const before = { counted: await counted(), notTaken: await notTaken(), sessions: await sessionsOf('gw-a') };
    const observed = await lab.observe(load, async () => {
      const arriving = arrive();
      const told = JSON.parse(await runIn('ha', [program, ...both, '1000', String(forgeries), String(seed)], { timeoutMs: 60_000 + forgeries })) as { recorded: number; types: number; sent: number; tookMs: number };
      await arriving;
      return told;
    });
    const { recorded, types, sent, tookMs } = observed.result;
    const refused = (await counted()).map((packets, index) => packets - before.counted[index]!);
    const lost = (await notTaken()) - before.notTaken;
    console.log(`${recorded} frames recorded, ${sent} sent in ${tookMs} ms; ${refusals.map((reason, index) => `${reason} ${refused[index]}`).join(', ')}; ${lost} not taken`);
    expect(types, 'commits, heartbeats and messages were recorded').toBe(types | 1 << 1 | 1 << 3 | 1 << 4);
    expect(sent).toBe(forgeries);
    const sum = refused.reduce((all, packets) => all + packets);
    expect(sum).toBeLessThanOrEqual(sent);
    expect(sum + lost).toBeGreaterThanOrEqual(sent);
    expectNothingLost(observed);
    expect(await lab.histories(), 'nobody has moved').toEqual(histories);
    await lab.synchronised();
    const sessions = await sessionsOf('gw-a');
    expect(before.sessions.filter((session) => !sessions.includes(session)), 'of those before').toEqual([]);
    await haveTheSameSessions();
    await expectAllGoOn();
  });
});

describe('a peer whose table is full', () => {
  const limit = 1024;
  const remotes = 2 * limit;
  /** Nobody's; whoever is spoken to there is seen at the server alone. */
  const range = '198.18.0.0/20';
  const counting = `add table ip remotes; add chain ip remotes in { type filter hook prerouting priority 0; }; add rule ip remotes in ip daddr ${range} counter drop`;
  const arrivals = async (): Promise<number> => Number(/packets (\d+)/.exec(await runIn('outside', ['nft', 'list', 'table', 'ip', 'remotes']))?.[1]);
  /** From one port, so that all but one of its sessions are in the table. */
  const toManyRemotes = `
    const socket = require('dgram').createSocket('udp4');
    const send = (n) => new Promise((sent) => socket.send('x', 9, '198.18.' + (n >> 8) + '.' + (n & 255), sent));
    (async () => {
      for (let n = 0; n < ${remotes}; n++) {
        await send(n);
        if (n % 8 === 0) await new Promise((late) => setTimeout(late, 1));
      }
      socket.close();
    })();`;

  afterEach(async () => {
    await runIn('outside', ['nft', 'delete', 'table', 'ip', 'remotes']).catch(() => undefined);
    // Limits are read at the start alone.
    await lab.end('gw-b', 'SIGTERM').catch(() => undefined);
    lab.edit('gw-b', (configuration) => configuration.deleteIn(['limits', 'sessions']));
    await lab.returnNode('gw-b');
  }, 90_000);

  it('what has no room there leaves all the same, counted; what is established goes on, with either', { timeout: 180_000 }, async () => {
    await lab.end('gw-b', 'SIGTERM');
    lab.edit('gw-b', (configuration) => configuration.setIn(['limits', 'sessions'], limit));
    await lab.returnNode('gw-b');
    await lab.synchronised();
    await run('ip', ['-n', 'fg-router', 'route', 'replace', range, 'via', outsideAddress]);
    await run('ip', ['-n', 'fg-outside', 'route', 'replace', 'local', range, 'dev', 'lo']);
    await runIn('outside', ['nft', counting]);
    const before = await lab.counted('gw-a', 'session_unprotected');
    await runIn('vm-a1', [process.execPath, '-e', toManyRemotes]);
    await until('every first packet to arrive', async () => (await arrivals()) === remotes);

    const lacking = (await sessionsOf('gw-a')).length - (await sessionsOf('gw-b')).length;
    console.log(`${remotes} sessions of one port, room for ${limit}: the peer lacks ${lacking}, ${(await lab.counted('gw-a', 'session_unprotected')) - before} counted as unprotected`);
    expect(lacking, 'all but those in the table, and the first in its mapping').toBeGreaterThanOrEqual(remotes - limit - 1);
    expect((await lab.counted('gw-a', 'session_unprotected')) - before).toBeGreaterThanOrEqual(lacking);
    expect((await lab.status('gw-a')).peer).toMatchObject({ alive: true, holdsOurs: false });
    await expectAllGoOn();
    await expectTakeoverWithoutLoss();
  });
});
