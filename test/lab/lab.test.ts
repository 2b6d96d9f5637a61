// The lab and the failover in it, with the real parts. One run each; what each must show is in src/lab/checks.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { down, leftovers, status, up } from '../../src/lab/lab.js';
import { isRunning, run, runIn } from '../../src/lab/process.js';
import { runLab } from '../../src/lab/run.js';
import { LabState } from '../../src/lab/state.js';
import { until } from '../../src/lab/wait.js';

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const quiet = () => {};

/** Rows of the table that `lab run` prints, by the name of the check. */
function verdictsIn(text: string): Map<string, string> {
  const rows = text.split('\n').flatMap((line) => {
    const match = /^(\S.*?) {2,}.* (ok|FAILED)$/.exec(line);
    return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const];
  });
  return new Map(rows);
}

function lab(...args: string[]): { output: () => string; exited: Promise<number | null>; pid: number } {
  const child = spawn(process.execPath, [main, 'lab', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (text += part.toString()));
  return { output: () => text, exited: once(child, 'close').then(([code]) => code as number | null), pid: child.pid ?? 0 };
}

afterEach(async () => {
  await down();
});

describe('lab run', () => {
  it('replicated/every check passes, nothing is left', { timeout: 180_000 }, async () => {
    let output = '';
    const passed = await runLab({ sync: 'strict', keep: false, connections: 200, flows: 200, write: (text) => (output += text) });
    expect([...verdictsIn(output)].filter(([, verdict]) => verdict !== 'ok'), output).toEqual([]);
    expect(verdictsIn(output).size).toBeGreaterThan(30);
    expect(passed).toBe(true);
    expect(leftovers()).toEqual([]);
  });

  it('not replicated/sessions break, and the command says so', { timeout: 180_000 }, async () => {
    const { exited, output } = lab('run', '--no-sync');
    expect(await exited, output()).toBe(1);
    const verdicts = verdictsIn(output());
    expect(verdicts.get('failover: TCP connections that go on'), output()).toBe('FAILED');
    expect(verdicts.get('failover: UDP flows that go on')).toBe('FAILED');
    expect(verdicts.get('UDP: one and the same port outside')).toBe('FAILED');
    // Without replication everything else is as it was: what fails is what replication is for.
    expect(verdicts.get('download vm-a1 ← outside (203.0.113.10)')).toBe('ok');
    expect(verdicts.get('undisturbed: lost, 1 kHz probe shared SNAT')).toBe('ok');
    expect(leftovers()).toEqual([]);
  });

  it('interrupted/takes the lab down and leaves with an error', { timeout: 60_000 }, async () => {
    const running = lab('run');
    await until('the gateways to be started', () => running.output().includes('gateways: '), { deadlineMs: 30_000 });
    process.kill(running.pid, 'SIGINT');
    expect(await running.exited, running.output()).toBe(1);
    expect(running.output()).toContain('interrupted by SIGINT');
    expect(leftovers()).toEqual([]);
  });

  it('killed/its processes and namespaces are found again and removed by down', { timeout: 60_000 }, async () => {
    const running = lab('run');
    await until('the gateways to be started', () => running.output().includes('gateways: '), { deadlineMs: 30_000 });
    process.kill(running.pid, 'SIGKILL');
    await running.exited;
    const processes = LabState.read()?.processes ?? [];
    expect(processes.length).toBeGreaterThan(10);
    expect(await down()).toBe(true);
    expect(leftovers()).toEqual([]);
    expect(processes.filter(isRunning)).toEqual([]);
  });
});

describe('lab up', () => {
  it('up/computes send real Geneve with the option; a second up is refused; exec and status work', { timeout: 120_000 }, async () => {
    await up({ sync: 'strict', say: quiet }, 'up');
    await expect(up({ sync: 'strict', say: quiet }, 'up')).rejects.toThrow("the lab is already up; 'floatgate lab down' takes it down");

    const seen = runIn('underlay', ['timeout', '20', 'tcpdump', '-c', '1', '-nnvvv', '-i', 'compute-1', 'udp port 6081 and src host 192.168.33.31']);
    let captured = false;
    seen.then(() => (captured = true), quiet);
    await until('a captured datagram', async () => {
      await runIn('vm-a1', ['ping', '-n', '-c', '1', '-W', '1', '172.16.100.1']);
      return captured;
    });
    expect(await seen).toMatch(/192\.168\.33\.31\.\d+ > 192\.168\.33\.100\.6081: \[udp sum ok\] Geneve, Flags \[C\], vni 0x64, options \[class Open Virtual Networking \(OVN\) \(0x102\) type 0x80\(C\) len 8 data 000a0001\]/);

    const refused = lab('run');
    expect(await refused.exited).toBe(1);
    expect(refused.output()).toContain("the lab is already up; 'floatgate lab down' takes it down");

    const report = await status();
    expect(report?.nodes.find(({ node }) => node === 'gw-a')?.note).toBe('active, peer alive, synchronised');
    expect(await run(process.execPath, [main, 'lab', 'exec', 'vm-b1', 'curl', '-s', 'http://203.0.113.10/address'])).toMatch(/^10\.0\.2\.20[23]$/);
    await expect(run(process.execPath, [main, 'lab', 'exec', 'nowhere', 'true'])).rejects.toThrow("the lab has no node 'nowhere'");
  });
});
