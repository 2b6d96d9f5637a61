// The scoreboard itself: both systems really fail over in it, and what it says of them can be true. Who is faster is no test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { cabling } from '../../bench/scoreboard/cabling.js';
import type { RunResult } from '../../bench/scoreboard/run.js';
import { down, removeLeftovers } from '../../src/lab/lab.js';
import { isRunning } from '../../src/lab/process.js';
import { LabState, stateFolder } from '../../src/lab/state.js';
import { namespaceOf } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'scoreboard-'));

function scoreboard(...args: string[]): { output: () => string; exited: Promise<number | null>; pid: number } {
  const child = spawn(process.execPath, [join(root, 'node_modules/vite-node/vite-node.mjs'), 'bench/scoreboard/scoreboard.ts', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (text += part.toString()));
  return { output: () => text, exited: once(child, 'close').then(([code]) => code as number | null), pid: child.pid ?? 0 };
}

function leftovers(): string[] {
  const ours = cabling.nodes.map(({ name }) => namespaceOf(name));
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => ours.includes(name)) : [];
  return [...namespaces, ...(existsSync(stateFolder) ? [stateFolder] : [])];
}

afterEach(async () => {
  await down();
  rmSync(folder, { recursive: true, force: true });
});

it('quick/both fail over, and the figures are those of a failover', { timeout: 120_000 }, async () => {
  const { exited, output } = scoreboard('--quick', '--output', folder);
  expect(await exited, output()).toBe(0);
  const { runs, failures } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as { runs: RunResult[]; failures: object[] };
  expect(failures).toEqual([]);
  expect(runs.map(({ system }) => system)).toEqual(['floatgate', 'keepalived']);
  for (const { system, steady, outages, tcp, udp, young, stallsMs, corrupt } of runs) {
    expect(steady.map(({ lost }) => lost), `${system} before`).toEqual([0, 0, 0]);
    for (const { probe, gapMs, lost, sent } of outages) {
      expect(lost, `${system}, ${probe}: links were cut`).toBeGreaterThan(0);
      expect(sent).toBeGreaterThan(lost);
      // What is lost was sent in the gap, one in a millisecond, and the gap is below three adverts, the skew and a busy machine.
      expect(gapMs, `${system}, ${probe}`).toBeGreaterThan(lost / 2);
      expect(gapMs, `${system}, ${probe}`).toBeLessThan(1000);
    }
    expect([tcp.wanted, udp.wanted]).toEqual([50, 50]);
    expect(young.wanted).toBeGreaterThan(50);
    expect(tcp.lost, `${system}: sessions that had long been replicated`).toBe(0);
    expect(corrupt).toBe(0);
    expect(Math.max(...stallsMs), `${system}: a busy connection feels the fault`).toBeGreaterThan(1);
  }
  // Nothing but three silent adverts tells keepalived, the first of them up to an interval late.
  for (const { gapMs } of runs[1]?.outages ?? []) expect(gapMs).toBeGreaterThan(150);
  expect(output()).toContain('crash, adverts every 100 ms');
  expect(readFileSync(join(folder, 'outage-crash-100ms.svg'), 'utf8')).toContain('keepalived');
  expect(leftovers()).toEqual([]);
});

it('interrupted/says so, and takes everything down', { timeout: 60_000 }, async () => {
  const { exited, output, pid } = scoreboard('--quick', '--systems', 'keepalived');
  await until('daemons to be started', () => (LabState.read()?.processes.length ?? 0) >= 4, { deadlineMs: 30_000 });
  process.kill(pid, 'SIGTERM');
  expect(await exited, output()).toBe(1);
  expect(output()).toContain('SIGTERM: taking the lab down');
  expect(leftovers()).toEqual([]);
});

it('killed/what it has left is removed by whoever comes next', { timeout: 60_000 }, async () => {
  const { exited, output, pid } = scoreboard('--quick', '--systems', 'keepalived');
  await until('daemons to be started', () => (LabState.read()?.processes.length ?? 0) >= 4, { deadlineMs: 30_000 });
  process.kill(pid, 'SIGKILL');
  await exited;
  const processes = LabState.read()?.processes ?? [];
  expect(processes.length, output()).toBeGreaterThanOrEqual(4);
  await removeLeftovers(() => {});
  expect(processes.filter(isRunning)).toEqual([]);
  expect(leftovers()).toEqual([]);
});
