/**
 * A whole gateway under adverts as fast as one core can send them, malformed, forged and of lower priority: as Active it is
 * not silenced, as Backup it is not moved, and it takes over in time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { activeDownIntervalUs } from '../../src/vrrp/timing.js';
import { advertFrame } from '../support/adverts.js';
import { INTERFACE, Talker } from '../support/two-hosts.js';
import { trafficScript, WholeGateway } from '../support/vrrp-daemon.js';
import { flood } from '../support/vrrp-flood.js';
import { AT_ONCE, onHost, VIRTUAL_ADDRESS } from '../support/vrrp-programs.js';
import { isClaim, ms, Segment } from '../support/vrrp-segment.js';

const PRIORITY = 150;
const INTERVAL_MS = 100;
/** Of a Backup, which may not believe that we are gone. */
const DOWN_MS = activeDownIntervalUs(3, 1, INTERVAL_MS * 1_000) / 1_000;
const FLOOD_MS = 2_500;
/** Of one processor: what the programs leave to the daemon is little, whatever comes. */
const MOST_CPU = 0.6;
/** What a busy machine may add to a takeover. */
const LATENESS_MS = 500;

/** All that is looked at before an advert is believed, and the rate at the end. */
const reasons = ['source', 'ttl', 'version', 'type', 'count', 'length', 'checksum', 'interval', 'rate'];

interface Burden {
  readonly perSecond: number;
  readonly cpu: number;
}

/** What the flood costs the daemon, which meanwhile goes on forwarding as it did. */
async function burden(segment: Segment, gateway: WholeGateway, during: () => Promise<void>): Promise<Burden> {
  const before = await gateway.status();
  let cpu = 0;
  const perSecond = await flood(segment, 3, 0, async () => {
    const [cpuMs, beganNs] = [gateway.cpuMs(), process.hrtime.bigint()];
    await delay(FLOOD_MS);
    cpu = (gateway.cpuMs() - cpuMs) / ms(beganNs, process.hrtime.bigint());
    await during();
  });
  const after = await gateway.status();
  for (const reason of reasons) {
    const packets = ({ counters }: typeof before): number => counters[`drop_advertisement_${reason}`]?.packets ?? 0;
    expect(packets(after), reason).toBeGreaterThan(packets(before));
  }
  return { perSecond, cpu };
}

it('flood of adverts/as Active not silenced, as Backup not moved, takes over in time', { timeout: 120_000 }, async () => {
  const segment = await Segment.create();
  const gateway = new WholeGateway(segment, { priority: PRIORITY, advertisementInterval: '100ms' });
  let peer: Talker | undefined;
  try {
    await gateway.start();
    await gateway.reaches('active');
    await gateway.forwards();
    const { history } = await gateway.virtualRouter();
    let { mark } = segment;
    const beganNs = process.hrtime.bigint();
    const asActive = await burden(segment, gateway, () => gateway.forwards());
    const claims = segment.seen(mark).filter((seen) => seen.port === 'ours' && isClaim(seen));
    // Silence counts from the first moment to the last.
    const times = [beganNs, ...claims.map(({ atNs }) => BigInt(atNs)), process.hrtime.bigint()];
    const longestMs = Math.max(...times.slice(1).map((atNs, before) => ms(times[before]!, atNs)));
    expect(longestMs).toBeLessThan(DOWN_MS);
    expect((await gateway.virtualRouter()).history).toEqual(history);

    // Somebody whose adverts come ten times as often as they say, so that none of them is missed for want of a processor.
    const advert = advertFrame({ priority: 200, source: segment.theirs.address, addresses: [VIRTUAL_ADDRESS], interval: INTERVAL_MS / 10 });
    onHost(segment.switch, 'ip', 'link', 'delete', 'attacker');
    peer = new Talker(segment.theirs.within([...AT_ONCE, 'python3', trafficScript, INTERFACE, INTERFACE, advert.toString('hex')]));
    await gateway.reaches('backup');
    const roles = (await gateway.virtualRouter()).history;
    const asBackup = await burden(segment, gateway, async () => {
      expect((await gateway.virtualRouter()).history).toEqual(roles);
      ({ mark } = segment);
      await peer?.end('SIGKILL');
      const first = await segment.claim('ours', mark);
      const last = segment.seen().filter((seen) => seen.port === 'theirs' && isClaim(seen)).at(-1)!;
      expect(ms(last.atNs, first.atNs)).toBeLessThan(DOWN_MS + LATENESS_MS);
      await gateway.forwards();
    });
    for (const { cpu } of [asActive, asBackup]) expect(cpu).toBeLessThan(MOST_CPU);
    const say = ({ perSecond, cpu }: Burden): string => `${perSecond} adverts a second, ${(cpu * 100).toFixed(0)} % of a processor`;
    process.stderr.write(`flood: as Active ${say(asActive)}, longest pause ${longestMs.toFixed(0)} ms; as Backup ${say(asBackup)}\n`);
  } finally {
    await peer?.end('SIGKILL');
    await gateway.end();
    await segment.remove();
  }
});
