/**
 * What is known of the peer beside its adverts, and what it means for one virtual
 * router. Every bit of it is authenticated, which adverts are not; where the two
 * contradict each other it says which is wrong: the other router, or the way.
 */
import type { Ipv4Address } from './ipv4.js';

/** Of one virtual router, at one moment. */
export interface PeerSight {
  /** Its own on the underlay: the source of its adverts. Absent: not told. */
  readonly address?: Ipv4Address;
  /** Its programs answer our heartbeats by that way. */
  readonly answersOnHa: boolean;
  readonly answersOnUnderlay: boolean;
  /** Its programs' word: Active, and the lease runs. Absent: they do not answer, or are of a version that does not tell. */
  readonly isActive?: boolean;
  /** Its control plane's, over the ha link. Absent: silent for so long that it may be stopped. */
  readonly word?: PeerWord;
}

export interface PeerWord {
  readonly isActive: boolean;
  readonly term: number;
  /** Whether more is wrong with it than with us, or less: tracked things that are down, an underlay on which nobody is heard. */
  readonly fitness: 'better' | 'equal' | 'worse';
  /** Decides where nothing else does: the same on both sides. */
  readonly winsTies: boolean;
}

/** Nothing is known: VRRP alone decides. */
export const unknownPeer: PeerSight = { answersOnHa: false, answersOnUnderlay: false };

export function peerAnswers({ answersOnHa, answersOnUnderlay }: PeerSight): boolean {
  return answersOnHa || answersOnUnderlay;
}

/** Its programs answer, and say that it is Active: it forwards. */
export function programsSayActive(peer: PeerSight): boolean {
  return peerAnswers(peer) && peer.isActive === true;
}

/** Undefined: it does not say. The programs know better than a hello that may be a tenth of a second old. */
export function peerSaysActive(peer: PeerSight): boolean | undefined {
  return peer.isActive ?? peer.word?.isActive;
}

/** Why a Backup that hears no adverts does not take over. Each is the label of a counter. */
export const deferralReasons = ['peer-is-active', 'underlay-cut'] as const;
export type DeferralReason = (typeof deferralReasons)[number];

/**
 * Silence on the underlay, from a peer whose programs say that it is Active and
 * that its lease runs. While they answer there too, adverts are not sent (its
 * process is stopped: the lease ends) or get lost alone; the world reaches it all
 * the same. Only where the underlay carries nothing between us is one of us cut
 * off, and the fitter one takes it; `followed`: its adverts came here before that.
 */
export function reasonToDefer(peer: PeerSight, followed: boolean): DeferralReason | undefined {
  if (!programsSayActive(peer)) return undefined;
  if (peer.answersOnUnderlay || peer.word === undefined) return 'peer-is-active';
  return followed && peer.word.fitness === 'worse' ? undefined : 'underlay-cut';
}

/** Whether an Active of this term has to make way for the peer's word, over the ha link: terms fence. */
export function isFenced(peer: PeerSight, term: number): boolean {
  const { word } = peer;
  if (word === undefined || !word.isActive) return false;
  if (word.term !== term) return word.term > term;
  // Adverts decide, where they arrive.
  if (peer.answersOnUnderlay) return false;
  return word.fitness === 'better' || (word.fitness === 'equal' && word.winsTies);
}

/** Whether the peer is to make way for us, and hears so: its adverts are the last of an Active that is fenced. */
export function isFencing(peer: PeerSight, term: number, source: Ipv4Address): boolean {
  const { address, answersOnHa, word } = peer;
  return source === address && answersOnHa && word !== undefined && word.isActive && word.term < term;
}
