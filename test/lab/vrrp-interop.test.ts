/**
 * Our election against keepalived, both real, on one cable:
 *
 *     our election 10.9.0.2 ── eth0 ═══ eth0 ── 10.9.0.1 keepalived       VRID 51, 10.9.0.100, 100 ms
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VirtualRouterOptions } from '../../src/vrrp/options.js';
import { activeDownIntervalUs, skewTimeUs } from '../../src/vrrp/timing.js';
import { connectTwoHosts, type TwoHosts } from '../support/two-hosts.js';
import { Keepalived, Ours, type KeepalivedOptions } from '../support/vrrp-programs.js';
import { ms } from '../support/vrrp-segment.js';

const INTERVAL_US = 100_000;
/** The event loop of a busy machine may be late by so much. */
const LATENESS_MS = 100;

const downMs = (priority: number, intervalUs = INTERVAL_US): number => activeDownIntervalUs(3, priority, intervalUs) / 1000;
const skewMs = (priority: number): number => skewTimeUs(3, priority, INTERVAL_US) / 1000;

let hosts: TwoHosts;
let started: { end(): Promise<void> }[];

beforeEach(async () => {
  started = [];
  hosts = await connectTwoHosts('10.9.0.2', '10.9.0.1');
});

afterEach(async () => {
  for (const one of started.reverse()) await one.end();
  await hosts.remove();
});

// keepalived 2.2.7 and FRR 8.4.4 sum a pseudo-header, as they read RFC 5798.
function ours(options: Partial<VirtualRouterOptions>): Ours {
  const election = new Ours(hosts.ours, { checksum: 'pseudo-header', ...options });
  started.push(election);
  return election;
}

function theirs(options: KeepalivedOptions): Keepalived {
  const keepalived = new Keepalived(hosts.theirs, options);
  started.push(keepalived);
  return keepalived;
}

describe('against keepalived, v3, 100 ms', { timeout: 60_000 }, () => {
  it('loses to a higher priority, forwards stragglers, and takes over when it crashes', async () => {
    const election = ours({ priority: 100 });
    await election.told({ type: 'role', role: 'active' });
    const alone = election.mark;
    const keepalived = theirs({ priority: 200 });
    await election.told({ type: 'transition', reason: 'higher-priority', to: 'Backup' });
    await keepalived.entered('MASTER');
    await election.told({ type: 'role', role: 'backup' }, alone);
    expect(election.roles()).toEqual(['backup', 'active', 'draining', 'backup']);

    const { mark } = election;
    keepalived.crash();
    const { atNs, heard } = await election.told({ type: 'role', role: 'active' }, mark);
    await election.told({ type: 'transition', reason: 'active-silent' }, mark);
    const silenceMs = ms(heard!.atNs, atNs);
    expect(silenceMs).toBeGreaterThanOrEqual(downMs(100));
    expect(silenceMs).toBeLessThan(downMs(100) + LATENESS_MS);
  });

  it('wins with a higher priority: keepalived hears it and yields', async () => {
    const keepalived = theirs({ priority: 100 });
    await keepalived.entered('MASTER');
    const election = ours({ priority: 200 });
    await election.told({ type: 'transition', reason: 'preempting', to: 'Active' });
    await keepalived.entered('BACKUP', keepalived.lines.findIndex((line) => line.includes('Entering MASTER')));
    const { counters } = await election.status();
    expect(counters!.advertisementsReceived).toBeGreaterThan(0);
    expect(counters!.checksumForms['pseudo-header']).toBe(counters!.advertisementsReceived);
    expect(Object.values(counters!.invalid).every((count) => count === 0)).toBe(true);
  });

  it('does not preempt when told not to', async () => {
    const keepalived = theirs({ priority: 100 });
    await keepalived.entered('MASTER');
    const election = ours({ priority: 200, preempt: false });
    await election.told({ type: 'role', role: 'backup' });
    // keepalived gives up by itself: only then may we become Active.
    const { mark } = keepalived;
    await keepalived.stop();
    expect(keepalived.lines.slice(mark).join()).not.toContain('Entering BACKUP');
    await election.told({ type: 'transition', to: 'Active', reason: 'active-resigned' });
    expect(election.roles()).toEqual(['backup', 'active']);
  });

  it('takes over after Skew_Time when keepalived stops', async () => {
    const keepalived = theirs({ priority: 200 });
    await keepalived.entered('MASTER');
    const election = ours({ priority: 100 });
    await election.told({ type: 'role', role: 'backup' });
    await keepalived.stop();
    const { atNs, heard } = await election.told({ type: 'role', role: 'active' });
    expect(heard!.priority).toBe(0);
    expect(ms(heard!.atNs, atNs)).toBeGreaterThanOrEqual(skewMs(100));
    expect(ms(heard!.atNs, atNs)).toBeLessThan(skewMs(100) + LATENESS_MS);
  });

  it('hands over with priority 0, and forwards until keepalived is heard and for the linger', async () => {
    const election = ours({ priority: 200 });
    await election.told({ type: 'role', role: 'active' });
    const keepalived = theirs({ priority: 100 });
    await keepalived.entered('BACKUP');
    const { mark } = election;
    const askedNs = process.hrtime.bigint();
    election.say('shutdown');
    const tookOverNs = await keepalived.entered('MASTER');
    // Skew_Time, not the Active_Down_Interval of 360 ms: the resignation was heard.
    expect(ms(askedNs, tookOverNs)).toBeLessThan(downMs(100) - 100);
    const stopped = await election.told({ type: 'stopped' });
    expect(election.roles(mark)).toEqual(['draining', 'initialize']);
    expect(ms(tookOverNs, stopped.atNs)).toBeGreaterThan(500 - LATENESS_MS);
    expect(ms(askedNs, stopped.atNs)).toBeLessThan(1_000 + LATENESS_MS);
  });

  it('takes the role back from keepalived after a drain is undone', async () => {
    const election = ours({ priority: 200 });
    await election.told({ type: 'role', role: 'active' });
    const keepalived = theirs({ priority: 100 });
    await keepalived.entered('BACKUP');
    election.say('drain');
    await keepalived.entered('MASTER');
    await election.told({ type: 'role', role: 'initialize' });
    const { mark } = election;
    election.say('undrain');
    await election.told({ type: 'transition', reason: 'preempting' }, mark);
    const sinceMaster = keepalived.lines.findIndex((line) => line.includes('Entering MASTER'));
    await keepalived.entered('BACKUP', sinceMaster);
  });

  it('is not heard with the checksum of RFC 9568: the reason why the form is a choice', async () => {
    const keepalived = theirs({ priority: 100 });
    ours({ priority: 200, checksum: 'message' });
    const refused = await keepalived.said('Invalid VRRPv3 checksum');
    expect(refused).toContain('(V)');
    await keepalived.entered('MASTER');
  });

  it('does not take over from a living Active after five seconds without running, 10 ms adverts', async () => {
    const keepalived = theirs({ priority: 200, intervalS: 0.01 });
    await keepalived.entered('MASTER');
    const election = ours({ priority: 100, advertisementIntervalUs: 10_000 });
    await election.told({ type: 'role', role: 'backup' });
    // Long enough for the socket buffer to fill up, after which the kernel drops the newest adverts.
    election.signal('SIGSTOP');
    await delay(5_000);
    election.signal('SIGCONT');
    const awakeNs = process.hrtime.bigint();
    while (ms(awakeNs, (await election.status()).lastAdvertisement?.atNs ?? 0n) < 200) await delay(10);
    expect(election.roles()).toEqual(['backup']);
    // And it can still take over when there is a reason to.
    const { mark } = election;
    keepalived.crash();
    const { atNs, heard } = await election.told({ type: 'role', role: 'active' }, mark);
    expect(ms(heard!.atNs, atNs)).toBeGreaterThanOrEqual(downMs(100, 10_000));
  });
});

describe('between two of ours', { timeout: 60_000 }, () => {
  it('at 10 ms the Backup succeeds an Active that is killed, after the Active_Down_Interval', async () => {
    const interval = { advertisementIntervalUs: 10_000, checksum: 'message' } as const;
    const active = new Ours(hosts.theirs, { priority: 200, ...interval });
    started.push(active);
    await active.told({ type: 'role', role: 'active' });
    const backup = ours({ priority: 100, ...interval });
    await backup.told({ type: 'role', role: 'backup' });
    while ((await backup.status()).counters!.advertisementsReceived < 20) await delay(10);
    expect(backup.roles()).toEqual(['backup']);
    active.signal('SIGKILL');
    const { atNs, heard } = await backup.told({ type: 'role', role: 'active' });
    expect(ms(heard!.atNs, atNs)).toBeGreaterThanOrEqual(downMs(100, 10_000));
    expect(ms(heard!.atNs, atNs)).toBeLessThan(downMs(100, 10_000) + LATENESS_MS);
  });

  it('an Active that was stopped yields to its successor when it wakes, then preempts it as usual', async () => {
    const sleeper = new Ours(hosts.theirs, { priority: 200 });
    started.push(sleeper);
    await sleeper.told({ type: 'role', role: 'active' });
    const backup = ours({ priority: 100 });
    await backup.told({ type: 'role', role: 'backup' });
    sleeper.signal('SIGSTOP');
    await backup.told({ type: 'role', role: 'active' });
    const { mark } = sleeper;
    sleeper.signal('SIGCONT');
    await sleeper.told({ type: 'transition', reason: 'was-silent' }, mark);
    await sleeper.told({ type: 'transition', reason: 'preempting' }, mark);
    await backup.told({ type: 'transition', reason: 'higher-priority' });
  });
});
