/**
 * A machine of its own for a few commands, with another kernel than this one:
 * QEMU without hardware help, started from an initramfs, no disk, no network.
 *
 * The first serial port is the guest's console; on the second one each step
 * leaves one line: `<name> <exit status> <output in base64>`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Initramfs } from './initramfs.js';

export interface GuestStep {
  /** Without spaces. */
  readonly name: string;
  /** For the shell; run in order, each also after a step that has failed. */
  readonly command: string;
}

export interface GuestOptions {
  /** The bootable kernel. */
  readonly kernel: string;
  /** Adds what the steps need, beside busybox. */
  readonly fill: (initramfs: Initramfs) => void;
  readonly steps: readonly GuestStep[];
  /** The machine is ended then, done or not. */
  readonly timeLimitMs: number;
  readonly memoryMiB: number;
}

export interface GuestStepResult {
  readonly status: number;
  /** Standard output and error. */
  readonly output: string;
}

export interface GuestResult {
  /** A step that was not reached is missing. */
  readonly steps: ReadonlyMap<string, GuestStepResult>;
  readonly console: string;
  readonly timedOut: boolean;
}

const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
set -o pipefail
for step in /steps/*; do
  name=\${step#/steps/*-}
  sh $step 2>&1 | tee /tmp/output
  status=$?
  echo "guest: $name: $status"
  echo "$name $status $(base64 -w 0 /tmp/output)" > /dev/ttyS1
done
poweroff -f
`;

export async function runGuest(options: GuestOptions): Promise<GuestResult> {
  const scratch = mkdtempSync(join(tmpdir(), 'floatgate-guest-'));
  try {
    writeInitramfs(join(scratch, 'initramfs'), options);
    const timedOut = await runMachine(scratch, options);
    return { steps: parseSteps(read(join(scratch, 'steps'))), console: read(join(scratch, 'console')), timedOut };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function writeInitramfs(path: string, { fill, steps }: GuestOptions): void {
  const initramfs = new Initramfs(path);
  initramfs.text('/init', INIT, 0o755);
  initramfs.file('/bin/busybox', '/usr/bin/busybox');
  initramfs.text('/etc/hosts', '127.0.0.1 localhost\n');
  steps.forEach(({ name, command }, index) => initramfs.text(`/steps/${String(index).padStart(3, '0')}-${name}`, `${command}\n`));
  fill(initramfs);
  initramfs.close();
}

/** Returns whether the time limit ended it. */
async function runMachine(scratch: string, { kernel, timeLimitMs, memoryMiB }: GuestOptions): Promise<boolean> {
  const machine = ['-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', String(memoryMiB), '-no-user-config', '-nodefaults', '-no-reboot'];
  const serial = ['-display', 'none', '-serial', `file:${join(scratch, 'console')}`, '-serial', `file:${join(scratch, 'steps')}`];
  const boot = ['-kernel', kernel, '-initrd', join(scratch, 'initramfs'), '-append', 'console=ttyS0 quiet panic=-1'];
  // Emulation takes all the time that it gets, and tests that measure time may be running beside it.
  const qemu = spawn('nice', ['-n', '5', 'qemu-system-x86_64', ...machine, ...serial, ...boot], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(qemu, 'exit');
  const kill = (): void => void qemu.kill('SIGKILL');
  process.once('exit', kill);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeLimitMs);
  try {
    await ended;
  } finally {
    clearTimeout(timer);
    process.off('exit', kill);
  }
  return timedOut;
}

function read(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function parseSteps(lines: string): Map<string, GuestStepResult> {
  const results = new Map<string, GuestStepResult>();
  for (const [, name, status, output] of lines.matchAll(/^(\S+) (\d+) (\S*)\r?\n/gm)) {
    results.set(name!, { status: Number(status), output: Buffer.from(output!, 'base64').toString() });
  }
  return results;
}
