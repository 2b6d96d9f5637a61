// One run: a lab of its own, one system in it, proof that it translates, load, one fault, and what the clients saw of it.
import { setTimeout as delay } from 'node:timers/promises';
import { LabClient } from '../../src/lab/client.js';
import { isIntact } from '../../src/lab/checks.js';
import type { ConnectionReport } from '../../src/lab/clients/session-server.js';
import type { ProgressReport, SessionReport } from '../../src/lab/clients/session-client.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { LabError } from '../../src/lab/error.js';
import { echo } from '../../src/lab/functions.js';
import { downIfOurs, removeLeftovers } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import type { NamedWindow } from '../../src/lab/measurements.js';
import { makeNetwork } from '../../src/lab/network.js';
import { startEcho } from '../../src/lab/servers.js';
import { LabState } from '../../src/lab/state.js';
import { ports } from '../../src/lab/topology.js';
import { cabling, computes, externalRouter, floating, floatingAddress, outsideAddress, plugCompute, sharedAddress, sharers, victim, type Machine } from './cabling.js';
import { inflict, type Scenario } from './faults.js';
import { wirePower } from './power.js';
import type { System } from './system.js';

export interface RunOptions {
  readonly system: System;
  readonly scenario: Scenario;
  readonly advertisementIntervalMs: number;
  readonly connections: number;
  readonly flows: number;
  /** New connections in each second, from before the fault until after it. */
  readonly openPerSecond: number;
  readonly signal: AbortSignal;
}

/** What one 1 kHz probe saw. */
export interface Outage {
  readonly probe: string;
  /** The longest time between two replies. */
  readonly gapMs: number;
  readonly lost: number;
  readonly sent: number;
}

export interface Sessions {
  readonly wanted: number;
  /** Reset, without an answer for `patienceMs`, or seen from another port than before. */
  readonly lost: number;
  /** The first of them. */
  readonly example?: string;
}

export interface RunResult {
  readonly system: string;
  readonly scenario: Scenario;
  readonly advertisementIntervalMs: number;
  /** Before the fault, over as long a time. */
  readonly steady: readonly Outage[];
  readonly outages: readonly Outage[];
  readonly tcp: Sessions;
  readonly udp: Sessions;
  /** Of TCP connections opened one after the other from a second before the fault: young ones, and some half open. */
  readonly young: Sessions;
  /** Of each of some busy TCP connections: the longest time from a message to its echo. */
  readonly stallsMs: readonly number[];
  /** Connections that were not lost and whose bytes were not right, both ways, by hash. */
  readonly corrupt: number;
  /** How long the fault took to inflict: see faults.ts. */
  readonly inflictedWithinMs: number;
}

/** A session that has not gone on after so long is lost to its user: TCP has retransmitted five times. */
const patienceMs = 6000;
const steadyReplies = 1000;
/** After the first replies: late retransmissions, second announcements and the like still belong to the fault. */
const settlingReplies = 1500;
const returnDeadlineMs = 15_000;
const busyConnections = 10;
const busyMessagesPerSecond = 100;
/** Of all idle connections, and of all flows: what two cores can carry beside what is measured. */
const messagesPerSecond = 800;
/** Where what is measured one by one comes from: its address is not the load's. */
const first = sharers[0] as Machine;
const youngFirstId = 1_000_000;
const busyFirstId = 2_000_000;

export async function measure(options: RunOptions): Promise<RunResult> {
  await removeLeftovers(() => {});
  const state = LabState.create();
  try {
    await makeNetwork(cabling, state);
    await wirePower(cabling, victim.node);
    for (const compute of computes) await plugCompute(compute);
    state.setPhase('running');
    await Promise.all([options.system.start(state, options), startServers(state, options.signal)]);
    await proveTranslation(state, options.signal);
    return await failOver(state, options);
  } finally {
    await downIfOurs();
  }
}

async function startServers(state: LabState, signal: AbortSignal): Promise<void> {
  const places = [{ node: 'outside', address: outsideAddress }, floating];
  await Promise.all(places.map(({ node, address }) => startEcho(state, node, address, signal)));
}

/** Before the clock starts: whom the other side sees, in each direction. */
async function proveTranslation(state: LabState, signal: AbortSignal): Promise<void> {
  const paths = [
    ...sharers.map(({ node }) => ({ from: node, to: 'outside', address: outsideAddress, wanted: [sharedAddress] })),
    { from: floating.node, to: 'outside', address: outsideAddress, wanted: [floatingAddress] },
    { from: 'outside', to: floating.node, address: floatingAddress, wanted: [externalRouter] },
  ];
  for (const path of paths) {
    const { from, to, wanted, seen } = await echo(state, path, signal);
    if (wanted !== seen) throw new LabError(`${to} sees ${from} as ${seen}, not as ${wanted}: nothing is measured of a gateway that does not translate`);
  }
}

/** Two clients beside those of the load: busy connections, whose stall is measured, and young ones. */
class Extras {
  readonly #busyServer: LabClient;
  readonly busy: LabClient;
  readonly young: LabClient;
  readonly #openPerSecond: number;
  readonly #signal: AbortSignal;

  constructor(state: LabState, { openPerSecond, signal }: RunOptions) {
    this.#openPerSecond = openPerSecond;
    this.#signal = signal;
    // As prompt as the probes: what is measured is the gateway's stall, not that of a busy machine.
    this.#busyServer = new LabClient(state, { program: 'session-server', name: 'busy-server', node: 'outside', args: [outsideAddress, ports.busy], prompt: true });
    this.busy = new LabClient(state, { program: 'session-client', name: 'busy', node: first.node, args: [outsideAddress, ports.busy, busyConnections, busyFirstId, busyMessagesPerSecond], prompt: true });
    this.young = new LabClient(state, { program: 'session-client', name: 'young', node: first.node, args: [outsideAddress, ports.sessions, 0, youngFirstId, 1] });
  }

  async start(): Promise<void> {
    await this.#busyServer.call('ready');
    await Promise.all([this.busy.call('connect'), this.young.call('connect')]);
  }

  async beforeFault(): Promise<void> {
    await this.young.call('openMore', { perSecond: this.#openPerSecond });
    await this.busy.call('watch');
  }

  /** Waits until every young connection has advanced since the checkpoint, or the deadline. */
  async youngWithin(deadlineMs: number): Promise<ProgressReport> {
    const end = monotonicMs() + deadlineMs;
    for (;;) {
      const progress = await this.young.call<ProgressReport>('progress');
      if (progress.broken.length === 0 || monotonicMs() >= end) return progress;
      await delay(50, undefined, { signal: this.#signal });
    }
  }

  async stalls(): Promise<number[]> {
    const { longestMs } = await this.busy.call<{ longestMs: number[] }>('waits');
    return longestMs;
  }

  /** Stops the busy connections; returns what either side has seen of them. */
  async end(deadlineMs: number): Promise<{ sessions: SessionReport[]; connections: ConnectionReport[] }> {
    const { sessions } = await this.busy.call<{ sessions: SessionReport[] }>('stop', { deadlineMs });
    const { connections } = await this.#busyServer.call<{ connections: ConnectionReport[] }>('report');
    return { sessions, connections };
  }

  close(): void {
    this.#busyServer.close();
    this.busy.close();
    this.young.close();
  }
}

async function failOver(state: LabState, options: RunOptions): Promise<RunResult> {
  const { system, scenario, advertisementIntervalMs, connections, flows, signal } = options;
  const places = { server: { node: 'outside', address: outsideAddress }, senders: sharers.map(({ node, furtherAddresses }) => ({ node, addresses: furtherAddresses })), probes: probes() };
  const rate = Math.min(2, messagesPerSecond / Math.max(connections, flows));
  const load = new Load(state, { connections, flows, places, messagesPerSecond: rate, signal });
  const extras = new Extras(state, options);
  try {
    await load.start();
    await extras.start();
    await system.replicated(state, connections + flows, signal);
    const steadyFromMs = monotonicMs();
    await extras.beforeFault();
    if (!(await load.probed(steadyReplies))) throw new LabError('the probes get no steady answers before anything has failed');
    const fault = await inflict(scenario, system, state);
    const returned = await load.probed(settlingReplies, returnDeadlineMs);
    if (!returned) throw new LabError(`no answers ${returnDeadlineMs / 1000} s after ${scenario}: nobody has taken over`);
    const seenAtMs = monotonicMs();
    await extras.young.call('openNoMore');
    const stallsMs = await extras.stalls();
    const goesOn = await checkpointed(load, extras, rate);
    const steady = outagesOf(await load.windows(steadyFromMs, fault.fromMs));
    const outages = outagesOf(await load.windows(fault.fromMs, seenAtMs));
    return {
      system: system.name, scenario, advertisementIntervalMs, steady, outages, ...goesOn, stallsMs,
      corrupt: await corruptAtEnd(load, extras),
      inflictedWithinMs: fault.toMs - fault.fromMs,
    };
  } finally {
    extras.close();
    load.close();
  }
}

function probes() {
  return [
    { name: 'shared SNAT', node: first.node, address: outsideAddress },
    { name: 'floating IP outwards', node: floating.node, address: outsideAddress },
    { name: 'floating IP inwards', node: 'outside', address: floatingAddress },
  ];
}

function outagesOf(windows: readonly NamedWindow[]): Outage[] {
  return windows.map(({ probe, window: { longestGapMs, lost, sent } }) => ({ probe, gapMs: longestGapMs, lost, sent }));
}

/** Asks for an answer to something sent from now on: answers to what was sent before prove nothing. */
async function checkpointed(load: Load, extras: Extras, perSecond: number): Promise<Pick<RunResult, 'tcp' | 'udp' | 'young'>> {
  await Promise.all([load.checkpoint(), extras.young.call('checkpoint')]);
  const deadlineMs = patienceMs + 1000 / perSecond;
  const [{ sessions, flows }, young] = await Promise.all([load.progressWithin(deadlineMs), extras.youngWithin(deadlineMs)]);
  return { tcp: lostOf(sessions), udp: lostOf(flows), young: lostOf(young) };
}

function lostOf({ advanced, broken }: ProgressReport): Sessions {
  const [first] = broken;
  return { wanted: advanced + broken.length, lost: broken.length, ...(first === undefined ? {} : { example: `number ${first.id}: ${first.error}` }) };
}

async function corruptAtEnd(load: Load, extras: Extras): Promise<number> {
  const deadlineMs = 2000;
  const [busy, idle] = [await extras.end(deadlineMs), await load.stop(deadlineMs)];
  const byId = new Map([...busy.connections, ...idle.connections].map((connection) => [connection.id, connection]));
  // A connection that is lost is counted as such.
  const whole = [...busy.sessions, ...idle.sessions].filter(({ error, sentBytes, receivedBytes }) => error === undefined && sentBytes === receivedBytes);
  return whole.filter((client) => !isIntact(client, [byId.get(client.id)].flatMap((connection) => connection ?? []))).length;
}
