// The failover, with real clients: functions first, then load, then gw-a dies, then it comes back.
import { monotonicMs } from './clock.js';
import { LabError } from './error.js';
import { measureFunctions } from './functions.js';
import { daemonOf, electionState, forgetGateway, readStatus, startGateway, type SyncMode } from './gateway.js';
import { isSynchronised } from './lab.js';
import { Load, type Progress } from './load.js';
import type { Failover, HandOver, Measurements, NamedWindow } from './measurements.js';
import { setLinks } from './network.js';
import { isRunning, sendSignal } from './process.js';
import type { TimelineEvent } from './report.js';
import type { LabState } from './state.js';
import { topology } from './topology.js';
import { until } from './wait.js';

export interface ScenarioOptions {
  readonly sync: SyncMode;
  readonly connections: number;
  readonly flows: number;
  /** Told as things happen. */
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ScenarioResult {
  readonly measurements: Measurements;
  readonly timeline: readonly TimelineEvent[];
  /** When gw-a was killed: the zero of the timeline. */
  readonly killedAtMs: number;
}

const victim = 'gw-a';
const survivor = 'gw-b';
/** Probe replies that make an undisturbed stretch, and the tail of a hand-over. */
const steadyReplies = 2000;
/** After this even a client that has backed off twice has tried again; what does not go on by then is broken. */
const goOnDeadlineMs = 8000;

/** Mostly the start of a Node process on a machine that has other things to do. */
const rejoinDeadlineMs = 60_000;

class Timeline {
  readonly #events: TimelineEvent[] = [];
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Returns the time of the event. */
  add(text: string): number {
    const atMs = monotonicMs();
    this.#events.push({ atMs, text });
    this.#say(text);
    return atMs;
  }

  /** What the probes tell afterwards takes its place among what was seen at the time. */
  addLosses(windows: readonly NamedWindow[]): void {
    for (const { probe, window } of windows) {
      if (window.lostFromMs === undefined || window.lostToMs === undefined) continue;
      this.#events.push({ atMs: window.lostFromMs, text: `probe ${probe}: first of ${window.lost} lost` });
      if (window.lost > 1) this.#events.push({ atMs: window.lostToMs, text: `probe ${probe}: last of ${window.lost} lost` });
    }
  }

  inOrder(): TimelineEvent[] {
    return this.#events.toSorted((a, b) => a.atMs - b.atMs);
  }
}

export async function runScenario(state: LabState, options: ScenarioOptions): Promise<ScenarioResult> {
  const { connections, flows, say, signal } = options;
  const timeline = new Timeline(say);
  timeline.add('functions: addresses, downloads, UDP echo, ping, throughput');
  const functions = await measureFunctions(state, signal);
  timeline.add(`load: ${connections} TCP connections, ${flows} UDP flows, two 1 kHz probes`);
  const load = new Load(state, options);
  try {
    await load.start();
    const steady = await measureSteady(load, timeline);
    const failed = await failOver(state, load, timeline, options);
    const returned = await handOver(state, load, timeline, options);
    timeline.add('clients stop');
    const ends = await load.stop();
    const measurements = {
      ...functions,
      steady,
      failover: failed.failover,
      handOver: returned.handOver,
      sessions: { wanted: connections, afterFailover: failed.progress.sessions, afterHandOver: returned.progress.sessions, clients: ends.sessions, server: ends.connections },
      flows: { wanted: flows, afterFailover: failed.progress.flows, afterHandOver: returned.progress.flows, clients: ends.flows },
    };
    return { measurements, timeline: timeline.inOrder(), killedAtMs: failed.killedAtMs };
  } finally {
    load.close();
  }
}

async function measureSteady(load: Load, timeline: Timeline): Promise<NamedWindow[]> {
  const fromMs = timeline.add('everything runs');
  if (!(await load.probed(steadyReplies))) throw new LabError('the probes get no steady answers before anything has failed');
  return probed(load, timeline, fromMs);
}

async function probed(load: Load, timeline: Timeline, fromMs: number): Promise<NamedWindow[]> {
  const windows = await load.windows(fromMs, monotonicMs());
  timeline.addLosses(windows);
  return windows;
}

/** The node loses power: its daemon is killed and its links go, within a few milliseconds. */
async function failOver(state: LabState, load: Load, timeline: Timeline, { signal }: ScenarioOptions): Promise<{ failover: Failover; progress: Progress; killedAtMs: number }> {
  const daemon = daemonOf(state, victim);
  if (daemon === undefined) throw new LabError(`the daemon of ${victim} is not running`);
  const killedAtMs = timeline.add(`kill -9 of the daemon of ${victim}`);
  sendSignal(daemon.pid, 'SIGKILL');
  await setLinks(topology, victim, 'down');
  timeline.add(`links of ${victim} are cut`);
  await until(`${survivor} to be Active`, async () => electionState(await readStatus(state, survivor)) === 'active', { signal, deadlineMs: 15_000, intervalMs: 5 });
  const takenOverAtMs = timeline.add(`${survivor} is Active`);
  if (isRunning(daemon)) throw new LabError(`the daemon of ${victim} has survived kill -9`);
  await load.checkpoint();
  const progress = await load.progressWithin(goOnDeadlineMs);
  const goOnAtMs = timeline.add(tell(progress));
  const probes = await probed(load, timeline, killedAtMs);
  return { failover: { takeoverMs: takenOverAtMs - killedAtMs, allGoOnMs: goOnAtMs - killedAtMs, probes }, progress, killedAtMs };
}

/** The node comes back, synchronises, and, having the higher priority, takes over by a planned hand-over. */
async function handOver(state: LabState, load: Load, timeline: Timeline, { sync, signal }: ScenarioOptions): Promise<{ handOver: HandOver; progress: Progress }> {
  await forgetGateway(victim, signal);
  const returnedAtMs = timeline.add(`${victim} comes back as after a reboot: its maps are gone, links up, daemon started`);
  await setLinks(topology, victim, 'up');
  startGateway(state, victim);
  const synchronisedAtMs = sync === 'none' ? undefined : await synchronised(state, timeline, signal);
  await until(`${victim} to be Active again`, async () => electionState(await readStatus(state, victim)) === 'active', { signal, deadlineMs: rejoinDeadlineMs, intervalMs: 10 });
  const activeAtMs = timeline.add(`${victim} is Active`);
  await until(`${survivor} to be Backup`, async () => electionState(await readStatus(state, survivor)) === 'backup', { signal });
  timeline.add(`${survivor} is Backup`);
  await load.checkpoint();
  const progress = await load.progressWithin(goOnDeadlineMs);
  timeline.add(tell(progress));
  await load.probed(steadyReplies);
  const probes = await probed(load, timeline, returnedAtMs);
  const synchronisedMs = synchronisedAtMs === undefined ? {} : { synchronisedMs: synchronisedAtMs - returnedAtMs };
  return { handOver: { ...synchronisedMs, activeMs: activeAtMs - returnedAtMs, probes }, progress };
}

async function synchronised(state: LabState, timeline: Timeline, signal?: AbortSignal): Promise<number> {
  await until(`${victim} and ${survivor} to hold the same`, async () => isSynchronised(await readStatus(state, victim)), { signal, deadlineMs: rejoinDeadlineMs, intervalMs: 10 });
  return timeline.add(`${victim} and ${survivor} hold the same`);
}

function tell({ sessions, flows }: Progress): string {
  const first = [...sessions.broken, ...flows.broken][0];
  const counts = `${sessions.advanced} TCP connections and ${flows.advanced} UDP flows go on`;
  return first === undefined ? counts : `${counts}; ${sessions.broken.length + flows.broken.length} do not, the first: number ${first.id}, ${first.error}`;
}
