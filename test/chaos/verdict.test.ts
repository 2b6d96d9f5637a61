import { describe, expect, it } from 'vitest';
import type { SessionView } from '../../src/api/sessions.js';
import { rivalClaims, sharedPorts, sharedTerms, SETTLING_MS, type HeardAdvertisement } from './verdict.js';

const every = (source: string, fromMs: number, toMs: number, intervalMs = 100): HeardAdvertisement[] =>
  Array.from({ length: Math.floor((toMs - fromMs) / intervalMs) }, (_, i) => ({ atMs: fromMs + i * intervalMs, source }));
const inOrder = (...all: HeardAdvertisement[][]): HeardAdvertisement[] => all.flat().sort((a, b) => a.atMs - b.atMs);

describe('claims to be Active', () => {
  it('of one router/are right', () => expect(rivalClaims(every('a', 0, 5000), [])).toEqual([]));
  it('after each other/are right', () => expect(rivalClaims(inOrder(every('a', 0, 2000), every('b', 2005, 4000), every('a', 4001, 6000)), [])).toEqual([]));
  it('that cross once/are a hand-over', () => expect(rivalClaims(inOrder(every('a', 0, 2000), every('b', 1850, 4000)), []).length).toBeLessThanOrEqual(4));
  it('by turns/are not', () => expect(rivalClaims(inOrder(every('a', 0, 5000), every('b', 2050, 4050)), []).length).toBeGreaterThan(10));
  it('by turns while divided/are what a division does', () => {
    const heard = inOrder(every('a', 0, 5000), every('b', 2050, 4050));
    expect(rivalClaims(heard, [{ fromMs: 2000, toMs: 4050 - SETTLING_MS }])).toEqual([]);
    expect(rivalClaims(heard, [{ fromMs: 2000, toMs: 2500 }])).not.toEqual([]);
  });
});

describe('terms', () => {
  const transition = (to: string, term: number) => ({ at: '', from: '', to, term, reason: '' });
  it('of one Active each/are right', () => expect(sharedTerms({ a: [transition('Active', 1), transition('Backup', 2)], b: [transition('Active', 2)] })).toEqual([]));
  it('of two Actives/are told', () => expect(sharedTerms({ a: [transition('Active', 2)], b: [transition('Active', 2)] })).toEqual(['term 2 had more than one Active: a, b']));
});

describe('ports', () => {
  const view = (internalPort: number, externalPort: number): SessionView =>
    ({ protocol: 'udp', network: 'n', internalAddress: '10.0.0.1', internalPort, externalAddress: '192.0.2.1', externalPort, remoteAddress: '192.0.2.9', state: 'established', idleSeconds: 0, protected: true });
  it('of the same owner on both gateways/are right', () => expect(sharedPorts({ a: [view(1, 5), view(1, 5)], b: [view(1, 5), view(2, 6)] })).toEqual([]));
  it('of two owners/are told', () => {
    expect(sharedPorts({ a: [view(1, 5)], b: [view(2, 5)] })).toEqual(['udp 192.0.2.1:5 was given twice: to n 10.0.0.1:1 (a), to n 10.0.0.1:2 (b)']);
    expect(sharedPorts({ a: [view(1, 5), view(2, 5)], b: [] })).toHaveLength(1);
  });
});
