/** What anybody on the underlay hears of the election: tcpdump on the switch. */
import { createInterface } from 'node:readline';
import { startClient, stop } from '../../src/lab/process.js';
import type { LabState, ProcessRecord } from '../../src/lab/state.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { vrid } from '../../src/lab/topology.js';
import type { HeardAdvertisement } from './verdict.js';

const COMMAND = ['tcpdump', '-l', '-n', '-tt', '-i', 'br0', 'ip proto 112'];

export class Observer {
  readonly heard: HeardAdvertisement[] = [];
  readonly #record: ProcessRecord;

  constructor(state: LabState) {
    const { child, record } = startClient(state, { name: 'advertisements', node: 'underlay', command: COMMAND, prompt: true });
    this.#record = record;
    const offsetMs = monotonicMs() - Date.now();
    createInterface(child.stdout).on('line', (line) => {
      const advertisement = parseLine(line, offsetMs);
      if (advertisement !== undefined) this.heard.push(advertisement);
    });
  }

  stop(): Promise<void> {
    return stop(this.#record);
  }
}

/** A resignation claims nothing. @param offsetMs from Unix time to CLOCK_MONOTONIC */
function parseLine(line: string, offsetMs: number): HeardAdvertisement | undefined {
  const found = /^(\d+\.\d+) IP ([\d.]+) > .*VRRPv[23], Advertisement, vrid (\d+), prio (\d+),/.exec(line);
  if (found === null || Number(found[3]) !== vrid || Number(found[4]) === 0) return undefined;
  return { atMs: Number(found[1]) * 1000 + offsetMs, source: found[2]! };
}
