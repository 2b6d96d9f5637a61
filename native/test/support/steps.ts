/** For scripts of fixtures/ that run in a network of their own. */
import { execFileSync, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { SystemError } from '../../lib/index.js';

export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8' });
}

export interface Cable {
  readonly left: number;
  readonly right: number;
}

/** A veth pair, up; returns the interfaces' indices. IPv6 is off: it would chatter. */
export function connect(left: string, right: string): Cable {
  ip(`link add ${left} type veth peer name ${right}`);
  for (const name of [left, right]) {
    execFileSync('sysctl', ['-q', '-w', `net.ipv6.conf.${name}.disable_ipv6=1`]);
    ip(`link set ${name} up`);
  }
  return { left: indexOf(left), right: indexOf(right) };
}

export function indexOf(name: string): number {
  return (JSON.parse(ip(`-j link show ${name}`)) as [{ ifindex: number }])[0].ifindex;
}

/** CLOCK_MONOTONIC. */
export function now(): bigint {
  return process.hrtime.bigint();
}

/** Polls because nothing announces a counter. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

/** Nothing of JavaScript runs meanwhile. */
export function block(ms: number): void {
  const end = now() + BigInt(ms) * 1_000_000n;
  while (now() < end);
}

/** All of this process stands still: SIGSTOP, and SIGCONT after `ms` from somebody else. `before` runs right before it. */
export function stopMyself(ms: number, before: () => void = () => undefined): { stoppedNs: bigint; continuedNs: bigint } {
  const script = `until grep -q 'State:.T' /proc/${process.pid}/status; do sleep 0.002; done; sleep ${ms / 1000}; kill -CONT ${process.pid}`;
  spawn('sh', ['-c', script], { stdio: 'ignore' }).unref();
  before();
  const stoppedNs = now();
  process.kill(process.pid, 'SIGSTOP');
  // The signal may take another thread first.
  while (now() - stoppedNs < BigInt(ms) * 1_000_000n);
  return { stoppedNs, continuedNs: now() };
}

/** The code of the error that `call` throws. */
export function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return error instanceof SystemError ? error.code : error instanceof Error ? error.constructor.name : String(error);
  }
}

/** What runIsolated() reads. */
export function print(result: unknown): void {
  console.log(JSON.stringify(result, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)));
}
