import { describe, expect, it } from 'vitest';
import { diagnostic, type SessionState } from '../../../src/bfd/control-packet.js';
import { createSession, detectionTimeUs, step, transmitIntervalUs, type Session } from '../../../src/bfd/machine.js';
import { adminDownSession, after, baseConfig, downSession, effectsOf, freshSession, initSession, LOCAL, REMOTE, said, silence, upSession } from './sessions.js';

const states: Readonly<Record<SessionState, () => Session>> = { AdminDown: adminDownSession, Down: downSession, Init: initSession, Up: upSession };

describe('RFC 5880 §6.8.1, state variables', () => {
  it('a session begins Down, knowing nothing of the remote', () => {
    expect(freshSession()).toMatchObject({
      sessionState: 'Down', remoteSessionState: 'Down', remoteDiscriminator: 0, localDiagnostic: 0, remoteMinRxUs: 1, desiredMinTxUs: 1_000_000, polling: false,
    });
  });

  it('a slower wish than a second is kept from the start', () => {
    expect(freshSession({ desiredMinTxUs: 3_000_000 }).desiredMinTxUs).toBe(3_000_000);
  });

  it('a discriminator of zero is refused', () => {
    expect(() => createSession({ ...baseConfig, localDiscriminator: 0 })).toThrow(RangeError);
  });

  it('bfd.RemoteDiscr is forgotten after a Detection Time of silence, in every state', () => {
    for (const make of Object.values(states)) {
      expect(make().remoteDiscriminator).toBe(REMOTE);
      expect(after(make(), silence).remoteDiscriminator).toBe(0);
    }
  });

  it('but not while a later timer runs', () => {
    const session = upSession();
    const stale = { type: 'DetectionTimerExpired', generation: session.generation - 1 } as const;
    expect(step(session, stale)).toEqual({ session, effects: [] });
  });
});

describe('RFC 5880 §6.2, §6.8.6, the state machine', () => {
  it.each<[SessionState, SessionState, SessionState]>([
    ['Down', 'AdminDown', 'Down'], ['Down', 'Down', 'Init'], ['Down', 'Init', 'Up'], ['Down', 'Up', 'Down'],
    ['Init', 'AdminDown', 'Down'], ['Init', 'Down', 'Init'], ['Init', 'Init', 'Up'], ['Init', 'Up', 'Up'],
    ['Up', 'AdminDown', 'Down'], ['Up', 'Down', 'Down'], ['Up', 'Init', 'Up'], ['Up', 'Up', 'Up'],
    ['AdminDown', 'AdminDown', 'AdminDown'], ['AdminDown', 'Down', 'AdminDown'], ['AdminDown', 'Init', 'AdminDown'], ['AdminDown', 'Up', 'AdminDown'],
  ])('%s that hears %s is %s', (state, heard, becomes) => {
    expect(after(states[state](), said(heard)).sessionState).toBe(becomes);
  });

  it.each<[SessionState, SessionState]>([['Up', 'Down'], ['Up', 'AdminDown'], ['Init', 'AdminDown']])('%s that hears %s says: neighbor signaled session down', (state, heard) => {
    expect(after(states[state](), said(heard)).localDiagnostic).toBe(diagnostic.neighborSignaledSessionDown);
  });

  it.each<[SessionState, SessionState, number]>([
    ['Up', 'Down', diagnostic.controlDetectionTimeExpired],
    ['Init', 'Down', diagnostic.controlDetectionTimeExpired],
    ['Down', 'Down', diagnostic.neighborSignaledSessionDown],
    ['AdminDown', 'AdminDown', diagnostic.administrativelyDown],
  ])('%s is %s after a Detection Time of silence (§6.8.4)', (state, becomes, localDiagnostic) => {
    expect(after(states[state](), silence)).toMatchObject({ sessionState: becomes, localDiagnostic });
  });

  it('and says so once, to whom it still knows', () => {
    expect(effectsOf(upSession(), silence(upSession()), 'Transmit').map(({ packet }) => packet)).toEqual([
      expect.objectContaining({ state: 'Down', diagnostic: diagnostic.controlDetectionTimeExpired, yourDiscriminator: REMOTE }),
    ]);
  });

  it('what names another session changes nothing', () => {
    for (const make of Object.values(states)) {
      const session = make();
      expect(step(session, said('Down', { yourDiscriminator: LOCAL + 1 }))).toEqual({ session, effects: [] });
    }
  });

  it('the values of the last packet are kept', () => {
    const packet = { myDiscriminator: 77, desiredMinTxUs: 11_000, requiredMinRxUs: 12_000, detectMult: 9 };
    expect(after(upSession(), said('Init', packet))).toMatchObject({
      remoteDiscriminator: 77, remoteSessionState: 'Init', remoteMinRxUs: 12_000, remoteDesiredMinTxUs: 11_000, remoteDetectMult: 9,
    });
  });
});

describe('RFC 5880 §6.1, the passive role', () => {
  it('says nothing before it is spoken to', () => {
    const session = freshSession();
    for (const event of [silence(session), { type: 'ConfigChanged', config: { ...baseConfig, detectMult: 5 } }, { type: 'Disabled' }] as const) {
      expect(step(session, event).effects.map(({ type }) => type).filter((type) => type.includes('Transmit'))).toEqual([]);
    }
    expect(effectsOf(session, said('Down'), 'TransmitPeriodically')).toHaveLength(1);
  });

  it('is silent again once the remote was for a Detection Time', () => {
    expect(effectsOf(upSession(), silence(upSession()), 'StopTransmitting')).toHaveLength(1);
  });
});

describe('RFC 5880 §6.8.2, §6.8.3, §6.8.7, intervals', () => {
  it('packets leave at a second at most while the session is not Up', () => {
    expect(transmitIntervalUs(initSession())).toBe(1_000_000);
    expect(initSession().periodic).toMatchObject({ intervalUs: 1_000_000, packet: { desiredMinTxUs: 1_000_000 } });
  });

  it('and then at the greater of our wish and what the remote can take', () => {
    expect(upSession().periodic).toMatchObject({ intervalUs: 300_000, packet: { desiredMinTxUs: 100_000 } });
    expect(after(upSession(), said('Up', { requiredMinRxUs: 20_000 })).periodic?.intervalUs).toBe(100_000);
  });

  it('a remote that wants none gets none', () => {
    expect(effectsOf(upSession(), said('Up', { requiredMinRxUs: 0 }), 'StopTransmitting')).toHaveLength(1);
  });

  it('a remote in demand mode gets none while both are Up, but for a poll', () => {
    const spared = after(upSession(), said('Up', { demand: true }));
    expect(spared.periodic).toBeUndefined();
    expect(after(spared, { type: 'ConfigChanged', config: { ...baseConfig, desiredMinTxUs: 50_000 } }).periodic).toMatchObject({ packet: { poll: true } });
    expect(after(spared, said('Up')).periodic).toBeDefined();
    expect(after(initSession(), said('Init', { demand: true })).periodic).toBeDefined();
  });

  it('a change of what is said is said at once', () => {
    expect(effectsOf(freshSession(), said('Down'), 'Transmit').map(({ packet }) => packet.state)).toEqual(['Init']);
    expect(effectsOf(initSession(), said('Up'), 'Transmit').map(({ packet }) => packet.state)).toEqual(['Up']);
    expect(effectsOf(upSession(), said('Up'), 'Transmit')).toEqual([]);
  });

  it('what is steady causes nothing but a new Detection Time', () => {
    const session = after(upSession(), said('Up'));
    expect(step(session, said('Up')).effects.map(({ type }) => type)).toEqual(['StartDetectionTimer']);
  });

  it('a longer interval of ours holds when the remote has heard of it', () => {
    const slower = after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, desiredMinTxUs: 900_000 } });
    expect(slower.periodic).toMatchObject({ intervalUs: 300_000, packet: { desiredMinTxUs: 900_000, poll: true } });
    expect(after(slower, said('Up')).periodic?.intervalUs).toBe(300_000);
    expect(after(slower, said('Up', { final: true })).periodic).toMatchObject({ intervalUs: 900_000, packet: { poll: false } });
  });

  it('a shorter one at once', () => {
    const quick = after(upSession({ desiredMinTxUs: 900_000 }), { type: 'ConfigChanged', config: { ...baseConfig, desiredMinTxUs: 400_000 } });
    expect(quick.periodic?.intervalUs).toBe(400_000);
  });
});

describe('RFC 5880 §6.8.4, the Detection Time', () => {
  it('is the remote\'s multiplier times the greater of what it wishes and what we can take', () => {
    expect(detectionTimeUs(upSession())).toBe(4 * 200_000);
    expect(effectsOf(upSession(), said('Up', { desiredMinTxUs: 250_000, detectMult: 5 }), 'StartDetectionTimer')).toMatchObject([{ afterUs: 5 * 250_000 }]);
  });

  it('starts again with every packet that is not discarded', () => {
    expect(effectsOf(upSession(), said('Up'), 'StartDetectionTimer')).toHaveLength(1);
    expect(effectsOf(downSession(), said('Up'), 'StartDetectionTimer')).toHaveLength(1);
  });

  it('a smaller bfd.RequiredMinRxInterval holds when the remote has heard of it', () => {
    const quicker = after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, requiredMinRxUs: 60_000 } });
    expect(quicker.requiredMinRxUs).toBe(60_000);
    expect(detectionTimeUs(quicker)).toBe(4 * 200_000);
    expect(detectionTimeUs(after(quicker, said('Up', { final: true })))).toBe(4 * 60_000);
  });

  it('a larger one at once', () => {
    expect(detectionTimeUs(after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, requiredMinRxUs: 600_000 } }))).toBe(4 * 600_000);
  });
});

describe('RFC 5880 §6.5, Poll Sequences', () => {
  it('a session that comes Up polls, for its interval has changed', () => {
    const session = after(freshSession(), said('Down'), said('Up'));
    expect(session).toMatchObject({ sessionState: 'Up', polling: true, periodic: { packet: { poll: true } } });
    expect(after(session, said('Up', { final: true }))).toMatchObject({ polling: false, periodic: { packet: { poll: false } } });
  });

  it.each([['desiredMinTxUs', 50_000], ['requiredMinRxUs', 50_000]] as const)('a change of %s is polled', (key, value) => {
    expect(after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, [key]: value } }).polling).toBe(true);
  });

  it('what does not change is not', () => {
    expect(after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, detectMult: 7 } })).toMatchObject({ polling: false, periodic: { packet: { detectMult: 7, poll: false } } });
  });

  it('the discriminator stays', () => {
    expect(after(upSession(), { type: 'ConfigChanged', config: { ...baseConfig, localDiscriminator: 5 } }).config.localDiscriminator).toBe(LOCAL);
  });

  it.each<[SessionState, () => Session]>(Object.entries(states).filter(([name]) => name !== 'AdminDown') as [SessionState, () => Session][])('%s answers a poll at once, with Final and without Poll', (_, make) => {
    expect(effectsOf(make(), said('Up', { poll: true }), 'Transmit').map(({ packet }) => packet)).toEqual([expect.objectContaining({ final: true, poll: false })]);
  });

  it('AdminDown discards it', () => {
    expect(effectsOf(adminDownSession(), said('Up', { poll: true }), 'Transmit')).toEqual([]);
  });
});

describe('RFC 5880 §6.8.16, administrative control', () => {
  it('is said at once, and for one more Detection Time', () => {
    const { session, effects } = step(upSession(), { type: 'Disabled' });
    expect(session).toMatchObject({ sessionState: 'AdminDown', localDiagnostic: diagnostic.administrativelyDown, periodic: { packet: { state: 'AdminDown' } } });
    expect(effects.map(({ type }) => type)).toEqual(['RecordTransition', 'Transmit', 'StartDetectionTimer', 'TransmitPeriodically']);
    expect(effectsOf(session, silence(session), 'StopTransmitting')).toHaveLength(1);
  });

  it('is said once', () => {
    expect(step(adminDownSession(), { type: 'Disabled' }).effects).toEqual([]);
  });
});

describe('adoption, after a takeover', () => {
  it('what the remote has Up with our discriminator goes on', () => {
    const { session, effects } = step(freshSession(), said('Up'));
    expect(session).toMatchObject({ sessionState: 'Up', remoteDiscriminator: REMOTE });
    expect(effects).toContainEqual({ type: 'RecordTransition', from: 'Down', to: 'Up', diagnostic: 0, adopted: true });
    expect(effects).toContainEqual(expect.objectContaining({ type: 'Transmit', packet: expect.objectContaining({ state: 'Up' }) }));
  });

  it('not with that of another', () => {
    expect(step(freshSession(), said('Up', { yourDiscriminator: 9 }))).toEqual({ session: freshSession(), effects: [] });
  });

  it.each([
    ['was silent', () => after(upSession(), silence)],
    ['said Down', () => downSession()],
    ['said AdminDown', () => after(upSession(), said('AdminDown'))],
    ['said AdminDown first of all', () => after(freshSession(), said('AdminDown'))],
  ])('not after the remote %s: it has to hear that we are Down', (_, make) => {
    expect(after(make(), said('Up')).sessionState).toBe('Down');
    expect(after(make(), said('Up'), said('Up')).sessionState).toBe('Down');
  });
});
