import { describe as suite, expect, it } from 'vitest';
import fc from 'fast-check';
import { beginsWhole, describe, takenAway, makePlan, names } from './plan.js';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const several = Array.from({ length: 300 }, (_, seed) => makePlan(seed, 60)).flat();

suite('a plan', () => {
  it('is the same for the same seed, and another for another', () => {
    fc.assert(fc.property(seeds, (seed) => {
      expect(makePlan(seed, 30)).toEqual(makePlan(seed, 30));
      expect(makePlan(seed, 30)).not.toEqual(makePlan(seed + 1, 30));
    }));
  });

  it('always leaves a gateway', () => {
    for (const { fault, during } of several) {
      const away = [fault, during?.fault].map((each) => each && takenAway(each)).filter((node) => node !== undefined);
      expect(new Set(away).size, JSON.stringify([fault, during])).toBeLessThan(names.length);
    }
  });

  it('begins nothing that needs both gateways whole while something is broken', () => {
    expect(several.filter(({ during }) => during !== undefined && beginsWhole(during.fault))).toEqual([]);
  });

  it('has faults of every kind, alone and two at a time', () => {
    const kinds = new Set(several.map(({ fault }) => fault.kind));
    expect([...kinds].sort()).toEqual(['arrivals', 'clock', 'drain', 'floating-ip', 'kill', 'link', 'lose', 'loss', 'priority', 'stop']);
    expect(several.filter(({ during }) => during !== undefined).length).toBeGreaterThan(several.length / 20);
  });

  it('lasts about as long as asked', () => {
    expect(makePlan(1, 1).length).toBe(1);
    expect(makePlan(1, 600).length).toBeGreaterThan(80);
  });

  it('says what each fault is', () => {
    expect(new Set(several.map(({ fault }) => describe(fault))).size).toBeGreaterThan(30);
  });
});
