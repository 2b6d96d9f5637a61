/**
 * The vocabulary of the election: what a virtual router can be, what can happen to
 * it, and what it can ask for. Every value is plain data; `step` in machine.ts maps
 * (machine, event) to (machine, effects), and election.ts carries the effects out.
 */
import { PRIORITY_OWNER } from './advertisement.js';
import type { Ipv4Address } from './ipv4.js';
import type { DeferralReason, PeerSight } from './peer.js';
import type { Microseconds, VrrpVersion } from './timing.js';

/** Parameters per virtual router (RFC 9568 §6.1), and ours. */
export interface MachineConfig {
  readonly version: VrrpVersion;
  /** 1–255; 255 is the owner, who starts Active when synchronised and always preempts. */
  readonly priority: number;
  readonly advertisementIntervalUs: Microseconds;
  /** Decides ties between two Actives of equal priority. */
  readonly primaryAddress: Ipv4Address;
  readonly preempt: boolean;
  /** From the first lower-priority advert to the moment from which they are discarded. Never delays taking over from a dead Active. */
  readonly preemptDelayUs: Microseconds;
  /** How long stragglers are forwarded after another router became Active. */
  readonly lingerUs: Microseconds;
  /** How long a resigning Active waits for a successor at most, linger included. */
  readonly handOverLimitUs: Microseconds;
  /** From the first gratuitous ARP to its repetition: Linux ignores changes within its `locktime` of 1 s. */
  readonly gratuitousArpRepeatUs: Microseconds;
  /** Between later repetitions; 0 for none. */
  readonly gratuitousArpRefreshUs: Microseconds;
}

/** Named as RFC 9568 §6.2 does; the last four are ours. */
export type TimerName = 'Adver' | 'ActiveDown' | 'GratuitousArp' | 'Linger' | 'PreemptDelay' | 'HandOver';

/** Number of a started timer. An expiry that carries another than the state's own is stale, and ignored. */
export type Generation = number;

/** Why a Backup's Active_Down_Timer runs, if it is not for plain silence. */
export type Awaiting = 'advertisement' | 'resignation' | 'preemption';

/** Not started, drained or faulty: adverts are ignored (RFC 9568 §6.4.1). */
export interface Initialize {
  readonly name: 'Initialize';
}

/** RFC 9568 §6.4.2. */
export interface Backup {
  readonly name: 'Backup';
  readonly activeDownTimer: Generation;
  readonly activeAdverIntervalUs: Microseconds;
  readonly awaiting: Awaiting;
  /** Who sent the last advert that was followed. Absent: none since we are Backup. */
  readonly following?: Ipv4Address;
  /** The Active_Down_Interval is over, and the peer says that it is Active all the same. */
  readonly deferred?: DeferralReason;
  /** Runs since the first advert of lower priority; absent when none has been heard. */
  readonly preemption?: { readonly phase: 'delayed'; readonly timer: Generation } | { readonly phase: 'due' };
  /** Runs while stragglers of our own time as Active are forwarded. */
  readonly lingerTimer?: Generation;
}

/** RFC 9568 §6.4.3. */
export interface Active {
  readonly name: 'Active';
  readonly term: number;
  readonly adverTimer: Generation;
  /** `repeat`: the announcement is fresh, and is due once more. Absent when no refresh is configured. */
  readonly gratuitousArp?: { readonly phase: 'repeat' | 'refresh'; readonly timer: Generation };
  /** We could not advertise for so long that a Backup may have taken over: whoever is Active now has the right to be. */
  readonly wasSilent: boolean;
}

/**
 * Resigned (Initialize in the RFC's words: adverts carry priority 0, no ARP is
 * answered), but forwarding until the successor is heard, plus linger.
 */
export interface HandingOver {
  readonly name: 'HandingOver';
  readonly limitTimer: Generation;
  /** Repeats the resignation, which may have been lost. Absent once a successor is heard. */
  readonly adverTimer?: Generation;
  /** Runs once a successor is heard. */
  readonly lingerTimer?: Generation;
}

export type State = Initialize | Backup | Active | HandingOver;
export type StateName = State['name'];

/**
 * The priority that is advertised and compared. The owner's is 255 whatever is down
 * (RFC 9568 §5.2.4: "The priority value for the VRRP Router that owns the IPvX
 * address associated with the Virtual Router MUST be 255"), and nobody else's is 0,
 * which would say that we resign.
 */
export function effectivePriority({ config: { priority }, penalty }: Pick<Machine, 'config' | 'penalty'>): number {
  return priority === PRIORITY_OWNER ? priority : Math.max(1, priority - penalty);
}

/** What keeps a virtual router out of the election; all must be clear. */
export interface Holds {
  readonly stopped: boolean;
  readonly drained: boolean;
  readonly faulty: boolean;
  /** Drained, and to stay so though nobody may follow. */
  readonly forced: boolean;
}

export interface Machine {
  readonly config: MachineConfig;
  /** Points that tracked things which are down take from `config.priority`, at least 0; see `effectivePriority`. */
  readonly penalty: number;
  readonly state: State;
  readonly holds: Holds;
  /** Our sessions are the peer's: required to preempt, never to succeed a dead Active. */
  readonly synchronised: boolean;
  readonly peer: PeerSight;
  /** Of all takeovers heard of, ours included. */
  readonly highestTerm: number;
  /** Of the timer that was started last. */
  readonly generation: Generation;
}

export interface AdvertisementReceived {
  readonly type: 'AdvertisementReceived';
  readonly priority: number;
  readonly intervalUs: Microseconds;
  readonly source: Ipv4Address;
}

export interface Startup {
  readonly type: 'Startup';
  /** The pinned data plane is Active in this term under a lease that still runs: go on without interruption. */
  readonly resume?: { readonly term: number };
}

export type TimerExpired = {
  [T in TimerName]: { readonly type: `${T}TimerExpired`; readonly generation: Generation };
}[TimerName];

export type Event =
  | Startup
  | { readonly type: 'Shutdown' }
  | AdvertisementReceived
  | TimerExpired
  /** Planned hand-over; the router stays out of the election until `Undrain`. `forced`: also when nobody follows. */
  | { readonly type: 'Drain'; readonly forced?: boolean }
  | { readonly type: 'Undrain' }
  /** Hand the role to a better router and be its Backup: another one of our sync group follows it already. */
  | { readonly type: 'Yield' }
  /** A link or another thing that we need as Active is gone, or back. */
  | { readonly type: 'FaultRaised' }
  | { readonly type: 'FaultCleared' }
  | { readonly type: 'SynchronisedChanged'; readonly synchronised: boolean }
  | { readonly type: 'TermSeen'; readonly term: number }
  /** Three intervals passed since our last advert, and no Active_Down_Interval is shorter. */
  | { readonly type: 'WasSilent' }
  | { readonly type: 'ConfigChanged'; readonly config: MachineConfig }
  | { readonly type: 'PenaltyChanged'; readonly penalty: number }
  /** `died`: its programs have stopped answering on all ways at once. */
  | { readonly type: 'PeerSeen'; readonly peer: PeerSight; readonly died: boolean };

export const transitionReasons = [
  'startup',
  'owner-startup',
  'resumed',
  'active-silent',
  'active-resigned',
  'peer-silent',
  'peer-cut-off',
  'preempting',
  'higher-priority',
  'higher-address',
  'was-silent',
  'fenced',
  'shutdown',
  'drain',
  'undrain',
  'sync-group',
  'fault',
  'fault-cleared',
  'handed-over',
  'no-successor',
] as const;
export type TransitionReason = (typeof transitionReasons)[number];

/** What the data plane is told; `draining` forwards with the interface's own MAC and answers no ARP. */
export type Role =
  | { readonly role: 'initialize' | 'backup' | 'draining' }
  | { readonly role: 'active'; readonly term: number };

export type SetRole = { readonly type: 'SetRole' } & Role;

export interface StartTimer {
  readonly type: 'StartTimer';
  readonly timer: TimerName;
  readonly generation: Generation;
  /** Counted from when the event happened: the kernel's stamp of an advert, the deadline of a timer. */
  readonly afterUs: Microseconds;
}

export interface RecordTransition {
  readonly type: 'RecordTransition';
  readonly from: StateName;
  readonly to: StateName;
  readonly reason: TransitionReason;
}

/** To be carried out in the order given. */
export type Effect =
  | SetRole
  | { readonly type: 'SendAdvertisement'; readonly priority: number }
  | { readonly type: 'SendGratuitousArp' }
  | StartTimer
  | { readonly type: 'CancelTimer'; readonly timer: TimerName }
  | RecordTransition
  /** A takeover that VRRP alone would have made. Once for each silence, and each reason in it. */
  | { readonly type: 'NoteDeferral'; readonly reason: DeferralReason }
  /** After `Shutdown`: nothing is forwarded any more, the process may go. */
  | { readonly type: 'Stopped' };
