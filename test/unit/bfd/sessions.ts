/** Sessions in each state, and what is said to them, for the tests of src/bfd/machine.ts. */
import type { ControlPacket } from '../../../src/bfd/control-packet.js';
import { createSession, step, type Effect, type Event, type Session, type SessionConfig } from '../../../src/bfd/machine.js';

export const LOCAL = 0x0a0a0a0a;
export const REMOTE = 0x0b0b0b0b;
export const baseConfig: SessionConfig = { localDiscriminator: LOCAL, detectMult: 3, desiredMinTxUs: 100_000, requiredMinRxUs: 200_000 };

export const freshSession = (config: Partial<SessionConfig> = {}): Session => createSession({ ...baseConfig, ...config });

/** Of the remote, which knows us unless it says otherwise. */
export function said(state: ControlPacket['state'], change: Partial<ControlPacket> = {}): Event & { type: 'PacketReceived' } {
  const packet: ControlPacket = {
    diagnostic: 0, state, poll: false, final: false, demand: false, detectMult: 4, myDiscriminator: REMOTE, yourDiscriminator: state === 'Down' ? 0 : LOCAL,
    desiredMinTxUs: state === 'Up' ? 50_000 : 1_000_000, requiredMinRxUs: 300_000, ...change,
  };
  return { type: 'PacketReceived', packet };
}

export function after(session: Session, ...events: readonly (Event | ((session: Session) => Event))[]): Session {
  return events.reduce((now, event) => step(now, typeof event === 'function' ? event(now) : event).session, session);
}

export const silence = (session: Session): Event => ({ type: 'DetectionTimerExpired', generation: session.generation });

export const downSession = (config: Partial<SessionConfig> = {}): Session => after(freshSession(config), said('Down'), said('Up'), said('Down', { yourDiscriminator: LOCAL }));
export const initSession = (config: Partial<SessionConfig> = {}): Session => after(freshSession(config), said('Down'));
export const upSession = (config: Partial<SessionConfig> = {}): Session => after(freshSession(config), said('Down'), said('Up'), said('Up', { final: true }));
export const adminDownSession = (): Session => after(upSession(), { type: 'Disabled' });

export function effectsOf<T extends Effect['type']>(session: Session, event: Event, type: T): Extract<Effect, { type: T }>[] {
  return step(session, event).effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);
}
