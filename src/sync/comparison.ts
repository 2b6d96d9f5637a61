/**
 * Whether both gateways really hold the same, as (state, event) → (state, ordered
 * effects): what bulk synchronisation and commits promise is looked at from the
 * outside, round by round, and put right where it does not hold.
 *
 * Gateway 0 begins a **round**; both sum up what they hold, by segments, and each
 * fetches the other's sums, asking again for what was lost. Sessions come and go
 * meanwhile, so a segment that differs once says nothing: one whose sums are both
 * what they were a round before, and are not the same, **differs**. A round in
 * which anything differs is followed by another one soon.
 *
 * The Active of what differs then begins a **repair**: the standby doubts all that
 * it holds of these segments, the Active says what there is, and what is still in
 * doubt ends. So the standby loses what a lost delete has left, and nothing that
 * the Active holds. Every step is asked for until it is answered.
 */
import { SEGMENTS, SEGMENTS_PER_MESSAGE } from './messages.js';
import type { Compare, Digests, Message, Repair } from './messages.js';

const PARTS = SEGMENTS / SEGMENTS_PER_MESSAGE;
const ALL_PARTS: readonly number[] = Array.from({ length: PARTS }, (_, part) => part);

export interface ComparisonConfig {
  /** Gateway 0 begins the rounds. */
  readonly id: number;
  /** Of the sums: any 64 bits, 16 hexadecimal digits. Those of gateway 0 are used. */
  readonly seed: string;
  /** First round and first repair: any number that no earlier run of this gateway used, such as Unix ms. */
  readonly instance: number;
  /** From one round to the next where nothing differs. */
  readonly intervalNs: bigint;
  /** From one round to the next where something does. */
  readonly followUpNs: bigint;
  /** How long an answer is waited for before it is asked for again. */
  readonly repeatNs: bigint;
  /** How long one step of a repair may take. */
  readonly stepTimeoutNs: bigint;
  /** Longest pause between two repairs that do not help, such as where the peer has no room. */
  readonly maxRepairPauseNs: bigint;
}

export const COMPARISON_DEFAULTS = {
  intervalNs: 10_000_000_000n,
  followUpNs: 1_000_000_000n,
  repeatNs: 200_000_000n,
  stepTimeoutNs: 10_000_000_000n,
  maxRepairPauseNs: 300_000_000_000n,
} as const;

/** A segment counts as equal while it was seen so in one of the last rounds: traffic hides it in some. */
const RECENT_ROUNDS = 3;

export type Verdict =
  /** Not compared yet, or too much changes. */
  | { readonly kind: 'Unknown' }
  | { readonly kind: 'Equal'; readonly atNs: bigint }
  | { readonly kind: 'Different'; readonly atNs: bigint; readonly segments: readonly number[] };

interface Round {
  readonly number: number;
  readonly seed: string;
  /** Undefined while it is being summed up. */
  readonly own: readonly string[] | undefined;
  /** By part. */
  readonly theirs: readonly (readonly string[] | undefined)[];
  readonly askAgainNs: bigint;
  readonly judged: boolean;
}

/** The sums of a round that is over. */
interface Sums {
  readonly seed: string;
  readonly own: readonly string[];
  readonly theirs: readonly string[];
}

type Repairing =
  | { readonly kind: 'Idle' }
  | { readonly kind: 'Doubting' | 'Sweeping'; readonly repair: number; readonly segments: readonly number[]; readonly askAgainNs: bigint; readonly deadlineNs: bigint }
  | { readonly kind: 'Doubted'; readonly repair: number; readonly segments: readonly number[] }
  | { readonly kind: 'Telling'; readonly repair: number; readonly segments: readonly number[]; readonly baseSent: bigint; readonly baseAcknowledged: bigint }
  | { readonly kind: 'AwaitingAcknowledgements'; readonly repair: number; readonly segments: readonly number[]; readonly baseSent: bigint; readonly baseAcknowledged: bigint; readonly deadlineNs: bigint };

/** What the peer has asked this gateway for, and how far it is. */
interface Serving {
  readonly repair: number;
  readonly step: 'doubt' | 'sweep';
  readonly seed: string;
  readonly segments: readonly number[];
  readonly done: boolean;
}

export interface ComparisonState {
  readonly round: Round | undefined;
  readonly previous: Sums | undefined;
  /** By segment: the last round in which both sums were the same; 0: none. */
  readonly equalIn: readonly number[];
  /** Rounds judged. */
  readonly judged: number;
  readonly verdict: Verdict;
  readonly nextRoundNs: bigint;
  readonly lastRound: number;
  readonly repairing: Repairing;
  readonly lastRepair: number;
  readonly repairNotBeforeNs: bigint;
  /** The first of the rounds, counted, whose sums are of after the last repair. */
  readonly repairAfterRound: number;
  readonly repairPauseNs: bigint;
  readonly serving: Serving | undefined;
}

export interface ComparisonReading {
  readonly nowNs: bigint;
  /** Both hear each other, and both hold the other's generation: else bulk synchronisation is at work. */
  readonly settled: boolean;
  /** Whether this gateway is Active for anything: else it has nothing to say in a repair. Read where one is due only. */
  readonly active: boolean;
  /** Frames of bulk synchronisation and repairs. */
  readonly sent: bigint;
  readonly acknowledged: bigint;
}

export type ComparisonEvent =
  | { readonly type: 'Polled'; readonly reading: ComparisonReading }
  | { readonly type: 'MessageReceived'; readonly nowNs: bigint; readonly message: Compare | Digests | Repair }
  | { readonly type: 'DigestWalkEnded'; readonly nowNs: bigint; readonly digests: readonly string[] }
  | { readonly type: 'RepairWalkEnded'; readonly nowNs: bigint }
  /** Of what the peer has asked for. */
  | { readonly type: 'ServiceEnded'; readonly step: 'doubt' | 'sweep' };

export type ComparisonEffect =
  | { readonly type: 'SendMessage'; readonly message: Message }
  | { readonly type: 'StartDigestWalk'; readonly seed: string }
  | { readonly type: 'StartRepairWalk'; readonly seed: string; readonly segments: readonly number[] }
  | { readonly type: 'StartService'; readonly step: 'doubt' | 'sweep'; readonly seed: string; readonly segments: readonly number[] }
  | { readonly type: 'StopWalks' }
  | { readonly type: 'VerdictChanged'; readonly verdict: Verdict }
  | { readonly type: 'RepairEnded'; readonly segments: number; readonly complete: boolean };

export interface ComparisonStep {
  readonly state: ComparisonState;
  readonly effects: readonly ComparisonEffect[];
}

export function initialComparisonState(config: ComparisonConfig): ComparisonState {
  return {
    round: undefined, previous: undefined, equalIn: Array.from({ length: SEGMENTS }, () => 0), judged: 0, verdict: { kind: 'Unknown' }, nextRoundNs: 0n, lastRound: config.instance,
    repairing: { kind: 'Idle' }, lastRepair: config.instance, repairNotBeforeNs: 0n, repairAfterRound: 0, repairPauseNs: config.followUpNs, serving: undefined,
  };
}

export function stepComparison(config: ComparisonConfig, state: ComparisonState, event: ComparisonEvent): ComparisonStep {
  const effects: ComparisonEffect[] = [];
  return { state: step(config, state, event, effects), effects };
}

function step(config: ComparisonConfig, state: ComparisonState, event: ComparisonEvent, effects: ComparisonEffect[]): ComparisonState {
  switch (event.type) {
    case 'Polled':
      return polled(config, state, event.reading, effects);
    case 'MessageReceived':
      return messageReceived(config, state, event.message, event.nowNs, effects);
    case 'DigestWalkEnded':
      return state.round?.own === undefined && state.round !== undefined
        ? judge(config, { ...state, round: { ...state.round, own: event.digests, askAgainNs: 0n } }, event.nowNs, effects)
        : state;
    case 'RepairWalkEnded':
      return state.repairing.kind === 'Telling'
        ? { ...state, repairing: { ...state.repairing, kind: 'AwaitingAcknowledgements', deadlineNs: event.nowNs + config.repeatNs } }
        : state;
    case 'ServiceEnded':
      return serviceEnded(state, event.step, effects);
  }
}

function polled(config: ComparisonConfig, before: ComparisonState, reading: ComparisonReading, effects: ComparisonEffect[]): ComparisonState {
  if (!reading.settled) return interrupted(config, before, effects);
  let state = before;
  if (config.id === 0 && reading.nowNs >= state.nextRoundNs) state = beginRound(config, state, state.lastRound + 1, config.seed, reading.nowNs, effects);
  state = askForSums(config, state, reading.nowNs, effects);
  return driveRepair(config, state, reading, effects);
}

/** What was summed up before a silence is nothing to compare with. */
function interrupted(config: ComparisonConfig, state: ComparisonState, effects: ComparisonEffect[]): ComparisonState {
  if (state.round === undefined && state.repairing.kind === 'Idle' && state.serving === undefined && state.verdict.kind === 'Unknown') return state;
  effects.push({ type: 'StopWalks' });
  const { lastRound, lastRepair } = state;
  return settleVerdict({ ...initialComparisonState(config), verdict: state.verdict, lastRound, lastRepair }, { kind: 'Unknown' }, effects);
}

function settleVerdict(state: ComparisonState, verdict: Verdict, effects: ComparisonEffect[]): ComparisonState {
  const told = verdict.kind !== state.verdict.kind || (verdict.kind === 'Different' && state.verdict.kind === 'Different' && verdict.segments.length !== state.verdict.segments.length);
  if (told) effects.push({ type: 'VerdictChanged', verdict });
  return { ...state, verdict };
}

/* ------------------------------------------------------------------ rounds */

function beginRound(config: ComparisonConfig, state: ComparisonState, number: number, seed: string, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  effects.push({ type: 'StartDigestWalk', seed });
  const round: Round = { number, seed, own: undefined, theirs: ALL_PARTS.map(() => undefined), askAgainNs: 0n, judged: false };
  return { ...state, round, lastRound: number, nextRoundNs: nowNs + config.intervalNs };
}

function lackedParts(round: Round): number[] {
  return ALL_PARTS.filter((part) => round.theirs[part] === undefined);
}

/** Gateway 0 asks at once, for that is how the other hears of the round; the other when it has its own. */
function askForSums(config: ComparisonConfig, state: ComparisonState, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  const { round } = state;
  if (round === undefined || nowNs < round.askAgainNs || (config.id !== 0 && round.own === undefined)) return state;
  const parts = lackedParts(round);
  if (parts.length === 0) return state;
  effects.push({ type: 'SendMessage', message: { type: 'compare', round: round.number, seed: round.seed, parts } });
  return { ...state, round: { ...round, askAgainNs: nowNs + config.repeatNs } };
}

function messageReceived(config: ComparisonConfig, state: ComparisonState, message: Compare | Digests | Repair, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  if (message.type === 'compare') return compareReceived(config, state, message, nowNs, effects);
  if (message.type === 'digests') return digestsReceived(config, state, message, nowNs, effects);
  return message.done ? answerReceived(config, state, message, nowNs, effects) : serve(state, message, effects);
}

function compareReceived(config: ComparisonConfig, before: ComparisonState, message: Compare, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  let state = before;
  if (config.id !== 0 && message.round !== state.round?.number) state = beginRound(config, state, message.round, message.seed, nowNs, effects);
  const { round } = state;
  if (round?.own === undefined || round.number !== message.round) return state;
  for (const part of message.parts) {
    if (part >= PARTS) continue;
    const digests = round.own.slice(part * SEGMENTS_PER_MESSAGE, (part + 1) * SEGMENTS_PER_MESSAGE);
    effects.push({ type: 'SendMessage', message: { type: 'digests', round: round.number, part, digests } });
  }
  return state;
}

function digestsReceived(config: ComparisonConfig, state: ComparisonState, { round: number, part, digests }: Digests, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  const { round } = state;
  if (round?.number !== number || part >= PARTS || digests.length !== SEGMENTS_PER_MESSAGE) return state;
  return judge(config, { ...state, round: { ...round, theirs: round.theirs.with(part, digests) } }, nowNs, effects);
}

/** Once, when both sides' sums are there. */
function judge(config: ComparisonConfig, state: ComparisonState, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  const { round, previous } = state;
  if (round?.own === undefined || round.judged || lackedParts(round).length > 0) return state;
  const sums: Sums = { seed: round.seed, own: round.own, theirs: round.theirs.flatMap((part) => part ?? []) };
  const judged = state.judged + 1;
  const equalIn = state.equalIn.map((last, segment) => (sums.own[segment] === sums.theirs[segment] ? judged : last));
  const unequal = sums.own.flatMap((sum, segment) => (sum === sums.theirs[segment] ? [] : [segment]));
  const settled = previous?.seed === sums.seed ? unequal.filter((segment) => previous.own[segment] === sums.own[segment] && previous.theirs[segment] === sums.theirs[segment]) : [];
  const next = {
    ...state, round: { ...round, judged: true }, previous: sums, equalIn, judged,
    nextRoundNs: unequal.length === 0 ? state.nextRoundNs : nowNs + config.followUpNs,
    repairPauseNs: unequal.length === 0 ? config.followUpNs : state.repairPauseNs,
  };
  return settleVerdict(next, verdictOf(settled, equalIn, judged, nowNs), effects);
}

function verdictOf(settled: readonly number[], equalIn: readonly number[], judged: number, atNs: bigint): Verdict {
  if (settled.length > 0) return { kind: 'Different', atNs, segments: settled };
  return equalIn.every((last) => last !== 0 && last > judged - RECENT_ROUNDS) ? { kind: 'Equal', atNs } : { kind: 'Unknown' };
}

/* ------------------------------------------------------------------ repairs */

function driveRepair(config: ComparisonConfig, state: ComparisonState, reading: ComparisonReading, effects: ComparisonEffect[]): ComparisonState {
  const { repairing } = state;
  switch (repairing.kind) {
    case 'Idle':
      return beginRepair(config, state, reading, effects);
    case 'Doubting':
    case 'Sweeping':
      if (reading.nowNs >= repairing.deadlineNs) return endRepair(config, state, false, reading.nowNs, effects);
      return askForService(config, state, repairing, reading.nowNs, effects);
    case 'Doubted':
      return tell(state, repairing, reading, effects);
    case 'Telling':
      return state;
    case 'AwaitingAcknowledgements':
      return judgeRepair(config, state, repairing, reading, effects);
  }
}

function beginRepair(config: ComparisonConfig, state: ComparisonState, reading: ComparisonReading, effects: ComparisonEffect[]): ComparisonState {
  if (state.verdict.kind !== 'Different' || state.judged < state.repairAfterRound || reading.nowNs < state.repairNotBeforeNs || !reading.active) return state;
  const repair = state.lastRepair + 1;
  const repairing = { kind: 'Doubting', repair, segments: state.verdict.segments, askAgainNs: 0n, deadlineNs: reading.nowNs + config.stepTimeoutNs } as const;
  return askForService(config, { ...state, lastRepair: repair, repairing }, repairing, reading.nowNs, effects);
}

function askForService(config: ComparisonConfig, state: ComparisonState, repairing: Extract<Repairing, { kind: 'Doubting' | 'Sweeping' }>, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  if (nowNs < repairing.askAgainNs || state.previous === undefined) return state;
  const { repair, segments } = repairing;
  effects.push({ type: 'SendMessage', message: { type: 'repair', repair, step: repairing.kind === 'Doubting' ? 'doubt' : 'sweep', seed: state.previous.seed, segments, done: false } });
  return { ...state, repairing: { ...repairing, askAgainNs: nowNs + config.repeatNs } };
}

/** The peer has done what it was asked for. Doubt begins the walk with the next poll, which knows what has been sent. */
function answerReceived(config: ComparisonConfig, state: ComparisonState, message: Repair, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  const { repairing } = state;
  if (repairing.kind === 'Idle' || repairing.repair !== message.repair) return state;
  if (repairing.kind === 'Doubting' && message.step === 'doubt') return { ...state, repairing: { kind: 'Doubted', repair: repairing.repair, segments: repairing.segments } };
  return repairing.kind === 'Sweeping' && message.step === 'sweep' ? endRepair(config, state, true, nowNs, effects) : state;
}

function tell(state: ComparisonState, { repair, segments }: { repair: number; segments: readonly number[] }, reading: ComparisonReading, effects: ComparisonEffect[]): ComparisonState {
  if (state.previous === undefined) return state;
  effects.push({ type: 'StartRepairWalk', seed: state.previous.seed, segments });
  return { ...state, repairing: { kind: 'Telling', repair, segments, baseSent: reading.sent, baseAcknowledged: reading.acknowledged } };
}

/** Nothing is swept unless every record has arrived: what is missing is told again another time. */
function judgeRepair(config: ComparisonConfig, state: ComparisonState, repairing: Extract<Repairing, { kind: 'AwaitingAcknowledgements' }>, reading: ComparisonReading, effects: ComparisonEffect[]): ComparisonState {
  const { repair, segments, baseSent, baseAcknowledged, deadlineNs } = repairing;
  if (reading.acknowledged - baseAcknowledged >= reading.sent - baseSent) {
    const sweeping = { kind: 'Sweeping', repair, segments, askAgainNs: 0n, deadlineNs: reading.nowNs + config.stepTimeoutNs } as const;
    return askForService(config, { ...state, repairing: sweeping }, sweeping, reading.nowNs, effects);
  }
  return reading.nowNs < deadlineNs ? state : endRepair(config, state, false, reading.nowNs, effects);
}

/** Sums of before it say nothing any more; and what it does not help is tried more and more rarely. */
function endRepair(config: ComparisonConfig, state: ComparisonState, complete: boolean, nowNs: bigint, effects: ComparisonEffect[]): ComparisonState {
  if (state.repairing.kind !== 'Idle') effects.push({ type: 'RepairEnded', segments: state.repairing.segments.length, complete });
  const doubled = state.repairPauseNs * 2n;
  return {
    ...state, repairing: { kind: 'Idle' }, repairAfterRound: state.judged + 2, repairNotBeforeNs: nowNs + state.repairPauseNs,
    repairPauseNs: doubled < config.maxRepairPauseNs ? doubled : config.maxRepairPauseNs, nextRoundNs: nowNs,
  };
}

/* ------------------------------------------------- what the peer's repair asks of this gateway */

/** Asked again for what is done, it says so again. */
function serve(state: ComparisonState, message: Repair, effects: ComparisonEffect[]): ComparisonState {
  const { repair, step: wanted, seed, segments } = message;
  const { serving } = state;
  if (serving?.repair === repair && serving.step === wanted) {
    if (serving.done) effects.push({ type: 'SendMessage', message: { ...message, done: true } });
    return state;
  }
  // Nothing is swept that has not been doubted for the same repair.
  if (wanted === 'sweep' && !(serving?.repair === repair && serving.done)) return state;
  effects.push({ type: 'StartService', step: wanted, seed, segments });
  return { ...state, serving: { repair, step: wanted, seed, segments, done: false } };
}

function serviceEnded(state: ComparisonState, ended: 'doubt' | 'sweep', effects: ComparisonEffect[]): ComparisonState {
  const { serving } = state;
  if (serving === undefined || serving.done || serving.step !== ended) return state;
  const { repair, seed, segments } = serving;
  effects.push({ type: 'SendMessage', message: { type: 'repair', repair, step: ended, seed, segments, done: true } });
  return { ...state, serving: { ...serving, done: true } };
}
