/**
 * What replication costs a session, on real gateways with real daemons: how long
 * after a session's first packet the peer holds it in async mode (the lag), and what
 * the commit of strict mode adds to the first packet and to those that follow.
 *
 *   npx vite-node bench/replication/lag.ts -- [--rounds 30] [--sessions 1000] [--rate 250]
 *
 * Rounds of all modes by turns. Every time is of the kernel's clock at the ports of
 * the switches around the gateway (stamps.bpf.c): a packet's from its arrival on the
 * underlay until it is on the external network, the lag from the same arrival until the
 * peer's answer is on the ha link. The ha link has a switch in its middle for that, which
 * strict mode pays: a commit crosses it twice. Needs root, as the lab does.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { runIn } from '../../src/lab/process.js';
import { outsideAddress, ports } from '../../src/lab/topology.js';
import { topologyWithHaWire } from '../../test/support/ha-wire.js';
import { LabPrograms } from '../../test/support/lab-programs.js';
import { interruption } from '../../test/support/interruption.js';
import { mapAt, RunningLab } from '../../test/support/running-lab.js';

const sourceOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const modes = ['none', 'async', 'strict'] as const;
type Mode = (typeof modes)[number];
const firstPort = 10_000;
/** Of the VM, from here on one for each round: they are VMs of their own, each with all the ports that a VM may have. */
const firstAddress = 100;
/** struct stamps of stamps.bpf.c. */
const STAMPS_BYTES = 40;

/** In µs, one of each session. */
interface Times {
  readonly first: number[];
  readonly established: number[];
  readonly lag: number[];
  /** Sessions without one of the stamps. */
  readonly incomplete: number;
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' }, sessions: { type: 'string', default: '1000' }, rate: { type: 'string', default: '250' } } });
const [rounds, sessions, rate] = [values.rounds, values.sessions, values.rate].map(Number) as [number, number, number];
const mostRounds = 255 - firstAddress;
if (!(rounds >= 1 && rounds <= mostRounds)) throw new Error(`--rounds ${values.rounds}: allowed are 1 to ${mostRounds}, each has an address of the VM's own`);

async function main(): Promise<void> {
  const say = (line: string): void => console.log(line);
  const { signal, release } = interruption(say);
  try {
    const lab = new RunningLab(await up({ sync: 'strict', say, signal, topology: topologyWithHaWire }, 'running'));
    const programs = await LabPrograms.load(sourceOf('stamps.bpf.c'));
    await programs.attach('arrives', 'underlay', 'gw-a', 'egress');
    await programs.attach('leaves', 'external', 'gw-a', 'ingress');
    await programs.attach('held', 'ha', 'gw-b', 'ingress');
    const memory = programs.map('sessions').mmap();
    const results: { mode: Mode; times: Times }[] = [];
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted();
      const mode = modes[round % modes.length]!;
      await lab.reconfigure((configuration) => mapAt(configuration, 'sync').set('mode', mode));
      if (mode !== 'none') await lab.synchronised();
      const address = `172.16.100.${firstAddress + round}`;
      await runIn('vm-a1', ['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      memory.fill(0);
      await runIn('vm-a1', [process.execPath, sourceOf('sender.mjs'), address, outsideAddress, ...[ports.datagrams, firstPort, sessions, rate].map(String)], { timeoutMs: 20_000 + (sessions / rate) * 5000 });
      const times = timesOf(memory, mode);
      results.push({ mode, times });
      console.log(`${String(round + 1).padStart(3)}  ${mode.padEnd(6)}  first ${shown(times.first)}   established ${shown(times.established)}   held ${mode === 'none' ? '-' : shown(times.lag)}   ${times.incomplete} incomplete`);
    }
    report(results);
    programs.close();
  } finally {
    await downIfOurs();
    release();
  }
}

function timesOf(memory: Buffer, mode: Mode): Times {
  const times: Times = { first: [], established: [], lag: [], incomplete: 0 };
  let incomplete = 0;
  for (let port = firstPort; port < firstPort + sessions; port++) {
    const [arrived, arrivedLater, left, leftLater, held] = Array.from({ length: 5 }, (_, index) => memory.readBigUInt64LE(port * STAMPS_BYTES + index * 8));
    if (!arrived || !arrivedLater || !left || !leftLater || (!held && mode !== 'none')) {
      incomplete += 1;
      continue;
    }
    const us = (from: bigint, to: bigint): number => Number(to - from) / 1000;
    times.first.push(us(arrived, left));
    times.established.push(us(arrivedLater, leftLater));
    if (held) times.lag.push(us(arrived, held));
  }
  return { ...times, incomplete };
}

/** Of rounds that followed each other, by the median over them. */
function added(more: readonly number[][], than: readonly number[][]): string {
  const at = (share: number): string => quantile(more.map((round, index) => quantile(round, share) - quantile(than[index] ?? [], share)), 0.5).toFixed(1);
  return `${at(0.5)} µs at the median, ${at(0.99)} µs at p99`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

const shown = (values: readonly number[]): string => `${quantile(values, 0.5).toFixed(1)}/${quantile(values, 0.99).toFixed(1)} µs`;

function report(results: readonly { mode: Mode; times: Times }[]): void {
  const of = (mode: Mode, what: 'first' | 'established' | 'lag'): number[][] => results.filter((result) => result.mode === mode).map(({ times }) => times[what]);
  console.log(`\nmedian/p99, ${sessions} sessions a round, ${rate} a second, ${results.reduce((sum, { times }) => sum + times.incomplete, 0)} incomplete`);
  for (const [what, title] of [['first', 'first packet'], ['established', 'established']] as const) {
    for (const mode of modes) console.log(`${title}, ${mode}: ${shown(of(mode, what).flat())}`);
    for (const than of ['none', 'async'] as const) console.log(`${title}, added by strict to ${than}: ${added(of('strict', what), of(than, what))}`);
  }
  const lag = of('async', 'lag').flat();
  console.log(`async lag over ${lag.length} sessions: ${shown(lag)}, p99.9 ${quantile(lag, 0.999).toFixed(1)} µs, longest ${Math.max(...lag).toFixed(1)} µs`);
}

await main();
