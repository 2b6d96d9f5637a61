// Processes of the lab: tools that run to their end, daemons that outlive the command, clients that are spoken to.
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { LabError } from './error.js';
import { identityOf, isAlive, readProcStat, stateFolder, type LabState, type ProcessRecord } from './state.js';
import { namespaceOf } from './topology.js';
import { until } from './wait.js';

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default 30 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a tool to its end and returns its standard output; a failure is a LabError with what the tool said. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, env, timeoutMs = 30_000, signal } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: timeoutMs, maxBuffer: 64 << 20, signal, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (signal?.aborted === true) reject(error);
      else if (error.killed === true) reject(new LabError(`'${command} ${args.join(' ')}' has not ended within ${timeoutMs} ms: ${(stderr || stdout).trim()}`));
      else reject(new LabError(`'${command} ${args.join(' ')}' failed: ${(stderr || stdout || error.message).trim()}`));
    });
    child.stdin?.on('error', () => {}); // a tool that ended early has told why by its status
    child.stdin?.end(input ?? '');
  });
}

/** Not `ip netns exec`: its private mount namespace would hide the BPF file systems that the daemon mounts. */
export function nsenter(node: string, command: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=/run/netns/${namespaceOf(node)}`, ...command];
}

export function runIn(node: string, command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = nsenter(node, command);
  return run(program, args, options);
}

export interface DaemonOptions {
  readonly name: string;
  readonly node: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Switches and instruments run before everything else (SCHED_RR) when they have something to do. Otherwise a busy
   * machine lets their socket buffers overflow, and the lab measures its own scheduler instead of the gateways.
   */
  readonly prompt?: boolean;
  /** Runs before everything but those: it has a machine for itself in the world, where no test takes its processor away. */
  readonly alone?: boolean;
}

export function logFileOf(name: string): string {
  return join(stateFolder, 'log', `${name}.log`);
}

/** Starts a process in its own session, with its output in a log, and records it before anything else can happen. */
export function startDaemon(state: LabState, options: DaemonOptions): ProcessRecord {
  const log = logFileOf(options.name);
  mkdirSync(join(stateFolder, 'log'), { recursive: true });
  const output = openSync(log, 'a');
  const [program, ...args] = commandOf(options);
  const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output], env: { ...process.env, ...options.env } });
  closeSync(output);
  child.unref();
  return recorded(state, child.pid, options, log);
}

export type Client = ChildProcessByStdio<Writable, Readable, null>;

/** Starts a process that is spoken to over its standard input and output; its errors go to a log. */
export function startClient(state: LabState, options: DaemonOptions): { child: Client; record: ProcessRecord } {
  const log = logFileOf(options.name);
  mkdirSync(join(stateFolder, 'log'), { recursive: true });
  const errors = openSync(log, 'a');
  const [program, ...args] = commandOf(options);
  const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', errors], env: { ...process.env, ...options.env } }) as Client;
  closeSync(errors);
  return { child, record: recorded(state, child.pid, options, log) };
}

/** Each of these words executes the next: the process that is recorded is the last of them. */
function commandOf({ node, command, prompt = false, alone = false }: DaemonOptions): [string, ...string[]] {
  const priority = prompt ? 10 : alone ? 5 : undefined;
  return nsenter(node, priority === undefined ? command : ['chrt', '--rr', String(priority), ...command]);
}

function recorded(state: LabState, pid: number | undefined, { name, node }: DaemonOptions, log: string): ProcessRecord {
  const identity = pid === undefined ? undefined : identityOf(pid);
  if (pid === undefined || identity === undefined) throw new LabError(`${name} could not be started in ${node}; see ${log}`);
  const record = { ...identity, name, node, log };
  state.addProcess(record);
  return record;
}

/** Ends a recorded process and what it has started: asks first, then insists. */
export async function stop(record: ProcessRecord, patienceMs = 3000): Promise<void> {
  signalGroup(record, 'SIGTERM');
  try {
    await until(`${record.name} to end`, () => groupOf(record).length === 0, { deadlineMs: patienceMs });
  } catch {
    signalGroup(record, 'SIGKILL');
    await until(`${record.name} (pid ${record.pid}) to be killed`, () => groupOf(record).length === 0, { deadlineMs: 5000 });
  }
}

/** What the record's process has started stays in its group, also when the process itself is gone. */
function groupOf(record: ProcessRecord): number[] {
  const leader = readProcStat(record.pid);
  // The number belongs to another process now: a group that still lived would have kept it from being given out.
  if (leader !== undefined && leader.startTicks !== record.startTicks) return [];
  return allPids().filter((pid) => {
    const stat = readProcStat(pid);
    return stat !== undefined && stat.groupId === record.pid && stat.state !== 'Z';
  });
}

function signalGroup(record: ProcessRecord, signal: NodeJS.Signals): void {
  for (const pid of groupOf(record)) sendSignal(pid, signal);
}

/** False when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function allPids(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

export function isRunning(record: ProcessRecord): boolean {
  return isAlive(record);
}
