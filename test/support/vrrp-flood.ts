/** Adverts that nobody may believe, from a port of its own on the segment. */
import { fileURLToPath } from 'node:url';
import type { VrrpVersion } from '../../src/vrrp/timing.js';
import { Talker } from './two-hosts.js';
import { VIRTUAL_ADDRESS, VRID } from './vrrp-programs.js';
import { ms, type Segment } from './vrrp-segment.js';

const script = fileURLToPath(new URL('./vrrp-flood.py', import.meta.url));

/** Lets them come while something happens. @param perSecond 0: as many as there can be @returns how many came in a second */
export async function flood(segment: Segment, version: VrrpVersion, perSecond: number, during: () => Promise<void>): Promise<number> {
  segment.addPort('attacker');
  const addresses = [segment.ours.address, segment.theirs.address, VIRTUAL_ADDRESS];
  const talker = new Talker(segment.switch.within(['python3', script, String(perSecond), 'attacker', String(version), String(VRID), ...addresses]));
  const beganNs = process.hrtime.bigint();
  try {
    await talker.find('the flood to begin', (line) => line === 'flooding' || undefined);
    await during();
  } finally {
    talker.closeInput();
  }
  const sent = await talker.find('how much was sent', (line) => /^sent (\d+)$/.exec(line)?.[1]);
  return Math.round(Number(sent) / (ms(beganNs, process.hrtime.bigint()) / 1_000));
}
