/** Properties of two machines that speak over a link which loses packets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detectionTimeUs, type SessionConfig } from '../../../src/bfd/machine.js';
import { chanceOf, Link } from './link.js';

const SECOND = 1_000_000;
/** Until a session is Up on a link that loses nothing: three packets, at a second each at most, and then those of the poll. */
const HANDSHAKE_US = 6 * SECOND;

const interval = fc.integer({ min: 50_000, max: 800_000 });
const configOf = (localDiscriminator: number) =>
  fc.record<SessionConfig>({ localDiscriminator: fc.constant(localDiscriminator), detectMult: fc.integer({ min: 2, max: 8 }), desiredMinTxUs: interval, requiredMinRxUs: interval });
const links = fc.tuple(configOf(0xaaaa), configOf(0xbbbb), fc.nat()).map(([a, b, seed]) => () => new Link(a, b, chanceOf(seed)));
const check = (property: fc.IProperty<unknown>): void => fc.assert(property, { numRuns: 40 });

describe('two ends', () => {
  it('come Up and stay so where nothing is lost', () => {
    check(fc.property(links, (make) => {
      const link = make().run(HANDSHAKE_US);
      expect(link.states).toEqual(['Up', 'Up']);
      link.run(10 * SECOND);
      expect(link.ends.a.history).toEqual(['Init', 'Up']);
      expect(link.ends.b.history.filter((state) => state === 'Down')).toEqual([]);
    }));
  });

  it('end their polls, and agree on intervals', () => {
    check(fc.property(links, (make) => {
      const { a, b } = make().run(HANDSHAKE_US).ends;
      for (const [one, other] of [[a, b], [b, a]] as const) {
        expect(one.session.polling).toBe(false);
        expect(one.session.periodic?.intervalUs).toBe(Math.max(one.session.config.desiredMinTxUs, other.session.config.requiredMinRxUs));
        expect(detectionTimeUs(other.session)).toBe(one.session.config.detectMult * one.session.periodic!.intervalUs);
      }
    }));
  });

  it('come Up after any loss, once it ends', () => {
    const losses = fc.double({ min: 0, max: 1, noNaN: true });
    check(fc.property(links, fc.array(fc.tuple(losses, losses, fc.integer({ min: 1000, max: 5 * SECOND })), { maxLength: 6 }), (make, phases) => {
      const link = make();
      for (const [toA, toB, forUs] of phases) {
        Object.assign(link.loss, { a: toA, b: toB });
        link.run(forUs);
      }
      Object.assign(link.loss, { a: 0, b: 0 });
      // What is left of a Detection Time of packets at a second each, and then the handshake.
      link.run(9 * SECOND + HANDSHAKE_US);
      expect(link.states).toEqual(['Up', 'Up']);
    }));
  });

  it.each(['a', 'b'] as const)('both notice within a Detection Time that %s hears nothing any more', (deaf) => {
    check(fc.property(links, (make) => {
      const link = make().run(HANDSHAKE_US);
      const { a, b } = link.ends;
      link.loss[deaf] = 1;
      const slackUs = 1000;
      link.run(detectionTimeUs(link.ends[deaf].session) + slackUs);
      expect(link.ends[deaf].session.sessionState).not.toBe('Up');
      // The other one hears it, or nothing.
      link.run(Math.max(detectionTimeUs(a.session), detectionTimeUs(b.session)) + slackUs);
      expect(link.states).not.toContain('Up');
    }));
  });

  it('what is administratively down is Down at the other end, and stays so', () => {
    check(fc.property(links, (make) => {
      const link = make().run(HANDSHAKE_US);
      link.dispatch('a', { type: 'Disabled' });
      link.run(1000);
      expect(link.states).toEqual(['AdminDown', 'Down']);
      link.run(10 * SECOND);
      expect(link.states).toEqual(['AdminDown', 'Down']);
      expect(link.ends.a.history).toEqual(['Init', 'Up', 'AdminDown']);
    }));
  });

  it('new intervals on both sides, at any moment, never bring it Down', () => {
    check(fc.property(links, fc.array(fc.tuple(fc.constantFrom('a' as const, 'b' as const), interval, interval, fc.nat(3 * SECOND)), { maxLength: 8 }), (make, changes) => {
      const link = make().run(HANDSHAKE_US);
      for (const [name, desiredMinTxUs, requiredMinRxUs, thenUs] of changes) {
        link.dispatch(name, { type: 'ConfigChanged', config: { ...link.ends[name].session.config, desiredMinTxUs, requiredMinRxUs } });
        link.run(thenUs);
      }
      link.run(HANDSHAKE_US);
      expect(link.states).toEqual(['Up', 'Up']);
      expect(link.ends.b.history).not.toContain('Down');
      expect(link.ends.a.history).toEqual(['Init', 'Up']);
    }));
  });
});

describe('a takeover', () => {
  const quick = fc
    .tuple(configOf(0xaaaa), configOf(0xbbbb), fc.nat())
    // The new Active speaks when it is spoken to: the remote has to do so within its own Detection Time.
    .filter(([a, b]) => 1.5 * Math.max(b.desiredMinTxUs, a.requiredMinRxUs) < a.detectMult * Math.max(a.desiredMinTxUs, b.requiredMinRxUs) * 0.75)
    .map(([a, b, seed]) => new Link(a, b, chanceOf(seed)));

  it('is not noticed by the remote where it hears the new Active within its Detection Time', () => {
    check(fc.property(quick, fc.nat(SECOND), (link, atUs) => {
      link.run(HANDSHAKE_US + atUs);
      link.takeOver();
      link.run(10 * SECOND);
      expect(link.states).toEqual(['Up', 'Up']);
      expect(link.ends.b.history.filter((state) => state === 'Down')).toEqual([]);
      expect(link.ends.a.history).toEqual(['Up']);
    }));
  });

  it('after which the remote does not hear us ends at both ends', () => {
    check(fc.property(quick, (link) => {
      link.run(HANDSHAKE_US);
      link.takeOver();
      link.loss.b = 1;
      const untilUs = detectionTimeUs(link.ends.b.session) + 1000;
      link.run(untilUs + SECOND);
      expect(link.states).not.toContain('Up');
    }));
  });

  it('after which we do not hear the remote neither', () => {
    check(fc.property(quick, (link) => {
      link.run(HANDSHAKE_US);
      link.takeOver();
      link.loss.a = 1;
      link.run(detectionTimeUs(link.ends.b.session) + 1000);
      expect(link.states).toEqual(['Down', 'Down']);
    }));
  });
});
