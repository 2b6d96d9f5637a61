/** What an election has counted since it was created: plain numbers, for metrics and status. */
import { invalidReasons, type ChecksumForm, type InvalidReason } from './advertisement.js';
import { deferralReasons, type DeferralReason } from './peer.js';
import { transitionReasons, type TransitionReason } from './state.js';

export interface ElectionCounters {
  advertisementsSent: number;
  /** Believed ones. */
  advertisementsReceived: number;
  /** Of those, with priority 0. */
  resignationsSent: number;
  resignationsReceived: number;
  readonly invalid: Record<InvalidReason, number>;
  readonly checksumForms: Record<ChecksumForm, number>;
  /** Adopted (v3): RFC 9568 §7.1 asks to note it. */
  intervalMismatches: number;
  /** Another list of virtual addresses than ours: noted, not dropped. */
  addressMismatches: number;
  /** Two owners of one address (RFC 9568 §8.3.2). */
  ownerConflicts: number;
  gratuitousArpsSent: number;
  sendErrors: number;
  receiveErrors: number;
  /** Heard from the data plane's notes, before a timer was believed. */
  notesRead: number;
  /** Read from a socket after a newer one was heard from the notes. */
  overtaken: number;
  /** Timers that the event loop kept waiting for more than an interval. */
  lateTimers: number;
  readonly transitions: Record<TransitionReason, number>;
  /** Takeovers that VRRP alone would have made. */
  readonly deferrals: Record<DeferralReason, number>;
}

export function createCounters(): ElectionCounters {
  return {
    advertisementsSent: 0,
    advertisementsReceived: 0,
    resignationsSent: 0,
    resignationsReceived: 0,
    invalid: zeros(invalidReasons),
    checksumForms: { message: 0, 'pseudo-header': 0 },
    intervalMismatches: 0,
    addressMismatches: 0,
    ownerConflicts: 0,
    gratuitousArpsSent: 0,
    sendErrors: 0,
    receiveErrors: 0,
    notesRead: 0,
    overtaken: 0,
    lateTimers: 0,
    transitions: zeros(transitionReasons),
    deferrals: zeros(deferralReasons),
  };
}

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
