/**
 * Bulk synchronisation from one gateway's table into the other's over a veth pair, native XDP at both ends: the walk's
 * program puts its frames on the wire itself (live frames), the peer's takes them in its driver, answers, and the
 * answers are counted here. One core does the work of both gateways. For a network namespace of its own.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { BpfObject } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { connect, print } from '../../native/test/support/steps.js';
import { digests, gateway, hasEnded, populate, rewind, ROOM } from './tables.js';

/** A NAPI round; veth's ring has 256 places. */
const BATCH = 64;
/** The kernel waits for a grace period in each call. */
const FRAMES_PER_CALL = 1 << 15;
/** While it is measured, on a machine that does other things as well: below what the lab runs so. */
const SCHEDULING = { prompt: ['--rr', '--pid', '1'], ordinary: ['--other', '--pid', '0'] } as const;
const STATISTICS = '/proc/sys/kernel/bpf_stats_enabled';

export interface Path {
  readonly sessions: number;
  /** That were acknowledged. */
  readonly frames: number;
  readonly seconds: number;
  /** Of the process and what the kernel did on its behalf. */
  readonly cpuSeconds: number;
  /** By the sender's walk, by the receiver, and by the sender again when the answers come back. */
  readonly programSeconds: Readonly<Record<'written' | 'applied' | 'acknowledged', number>>;
  readonly equal: boolean;
}

/** `struct xdp_md`: where the frames come from, and so go to. */
function contextOf(ifindex: number): Buffer {
  const context = Buffer.alloc(24);
  context.writeUInt32LE(ROOM.length, 4);
  context.writeUInt32LE(ifindex, 12);
  return context;
}

/** Microseconds of a processor that a program has used since statistics are kept. */
function usedUs(object: BpfObject, program: string): number {
  const { run_time_ns: ns } = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show', 'id', String(object.program(program).info.id)], { encoding: 'utf8' })) as { run_time_ns?: number };
  return (ns ?? 0) / 1000;
}

function schedule(how: keyof typeof SCHEDULING): void {
  execFileSync('chrt', [...SCHEDULING[how], String(process.pid)], { stdio: 'ignore' });
}

/** @returns frames that were acknowledged */
function sendAll(object: BpfObject, ifindex: number): number {
  const context = contextOf(ifindex);
  rewind(object, 'bulk');
  while (!hasEnded(object, 'bulk')) {
    object.program('bulk_xdp').testRun({ data: ROOM, context, contextOutSize: 0, liveFrames: true, repeat: FRAMES_PER_CALL, batchSize: BATCH });
  }
  return Number(object.map('gateway_states').mmap().readBigUInt64LE(layout.gatewayStateOffsets.bulkAcknowledged));
}

function measure(): Path {
  const cable = connect('ha-a', 'ha-b');
  const [a, b] = [gateway(0, 'active'), gateway(1, 'backup')];
  const links = [a.program('ha_xdp').attachXdp(cable.left, 'native'), b.program('ha_xdp').attachXdp(cable.right, 'native')];
  const sessions = populate(a);
  schedule('prompt');
  const [beganNs, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  const frames = sendAll(a, cable.left);
  const seconds = Number(process.hrtime.bigint() - beganNs) / 1e9, { user, system } = process.cpuUsage(cpu);
  schedule('ordinary');
  const sumOf = (object: BpfObject): string => digests(object, () => walkWithoutFrames(object));
  const path = {
    sessions, frames, seconds, cpuSeconds: (user + system) / 1e6, equal: sumOf(a) === sumOf(b),
    programSeconds: { written: usedUs(a, 'bulk_xdp') / 1e6, applied: usedUs(b, 'ha_xdp') / 1e6, acknowledged: usedUs(a, 'ha_xdp') / 1e6 },
  };
  for (const link of links) link.close();
  for (const object of [a, b]) object.close();
  return path;
}

function walkWithoutFrames(object: BpfObject): void {
  rewind(object, 'digest');
  while (!hasEnded(object, 'digest')) object.program('digest_xdp').testRun({ data: ROOM, dataOutSize: ROOM.length });
}

const before = readFileSync(STATISTICS, 'utf8');
// On its own core, so that what the peer answers is dealt with there as well.
execFileSync('taskset', ['-p', '-c', '0', String(process.pid)], { stdio: 'ignore' });
writeFileSync(STATISTICS, '1');
try {
  print(measure());
} finally {
  writeFileSync(STATISTICS, before);
}
