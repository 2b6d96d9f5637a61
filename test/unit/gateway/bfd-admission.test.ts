import { describe, expect, it } from 'vitest';
import { BFD_SESSIONS, type BfdEndpoint } from '../../../src/dataplane/bfd-table.js';
import type { TunnelEndpoint } from '../../../src/dataplane/computes.js';
import { BfdAdmission, endpointName, type Standing } from '../../../src/gateway/bfd-admission.js';

const SECOND = 1_000_000_000n;
const compute = (address: number): TunnelEndpoint => ({ address, encapsulation: 0 });
const at = (address: number, vrid = 51): BfdEndpoint => ({ vrid, address, encapsulation: 0 });
const gone: Standing = { isUp: false, wasUp: true, lastNs: 0n };
const up: Standing = { isUp: true, wasUp: true, lastNs: 0n };

class Bench {
  nowNs = 1_000n * SECOND;
  endpoints: TunnelEndpoint[] = [];
  vrids = [51];
  looked = 0;
  readonly table = new Map<string, number>();
  readonly standings = new Map<string, Standing>();
  readonly expelled: string[] = [];
  readonly admission: BfdAdmission;

  constructor(isNamed: (endpoint: BfdEndpoint) => boolean = () => false) {
    this.admission = new BfdAdmission({
      table: { set: (endpoint, discriminator) => void this.table.set(endpointName(endpoint), discriminator), delete: (endpoint) => void this.table.delete(endpointName(endpoint)) },
      endpoints: () => {
        this.looked += 1;
        return this.endpoints;
      },
      vrids: () => this.vrids,
      isNamed,
      standingOf: (endpoint) => this.standings.get(endpointName(endpoint)),
      expelled: (endpoint) => void this.expelled.push(endpointName(endpoint)),
      seed: () => [1n, 2n],
      nowNs: () => this.nowNs,
    });
  }

  wait(seconds: number): this {
    this.nowNs += BigInt(seconds) * SECOND;
    this.admission.tick();
    return this;
  }
}

describe('who may speak BFD', () => {
  it('computes that VMs are behind, with every virtual router, before they have spoken', () => {
    const bench = new Bench();
    bench.vrids = [51, 52];
    bench.endpoints = [compute(1), compute(2)];
    bench.wait(0);
    expect([...bench.table.keys()].toSorted()).toEqual(['51/0/1', '51/0/2', '52/0/1', '52/0/2']);
    expect(new Set(bench.table.values()).size).toBe(4);
    expect(bench.admission.discriminatorOf(at(1))).toBe(bench.table.get('51/0/1'));
  });

  it('one that has just been learned, when it speaks', () => {
    const bench = new Bench().wait(0);
    bench.endpoints = [compute(1)];
    bench.nowNs += 2n * SECOND;
    expect(bench.admission.stranger(at(1))).toBeDefined();
  });

  it('nobody else', () => {
    const bench = new Bench();
    expect(bench.admission.stranger(at(9))).toBeUndefined();
    expect([bench.table.size, bench.admission.refused]).toEqual([0, 1]);
  });

  it('strangers do not have the VMs looked through more than once a second', () => {
    const bench = new Bench();
    for (let i = 0; i < 1000; i += 1) bench.admission.stranger(at(i + 1));
    expect(bench.looked).toBe(1);
  });

  it('and those that the configuration names, few at a time and not for long unless they come Up', () => {
    const bench = new Bench(({ address }) => address < 1000);
    for (let i = 1; i <= 2000; i += 1) bench.admission.stranger(at(i));
    expect(bench.table.size).toBe(64);
    bench.standings.set('51/0/1', up);
    expect(bench.admission.stranger(at(65))).toBeDefined();
    expect(bench.admission.stranger(at(66))).toBeUndefined();
    bench.wait(11);
    expect([...bench.table.keys()]).toEqual(['51/0/1']);
    expect(bench.expelled).toHaveLength(64);
  });

  it('no more than the programs\' table holds', () => {
    const bench = new Bench();
    bench.endpoints = Array.from({ length: BFD_SESSIONS + 100 }, (_, i) => compute(i + 1));
    bench.wait(0);
    expect(bench.table.size).toBeLessThanOrEqual(BFD_SESSIONS);
    expect(bench.table.size).toBeGreaterThan(BFD_SESSIONS - 10);
  });
});

describe('who does no longer', () => {
  it('a compute without VMs that has not come Up', () => {
    const bench = new Bench();
    bench.endpoints = [compute(1)];
    bench.wait(0);
    bench.endpoints = [];
    expect(bench.wait(11).table.size).toBe(0);
  });

  it('one that was Up, after ten minutes of silence, VMs or not', () => {
    const bench = new Bench();
    bench.endpoints = [compute(1)];
    bench.wait(0).standings.set('51/0/1', { ...gone, lastNs: bench.nowNs });
    expect(bench.wait(599).table.size).toBe(1);
    bench.endpoints = [];
    expect(bench.wait(11).table.size).toBe(0);
    expect(bench.expelled).toEqual(['51/0/1']);
  });

  it('never one that is Up', () => {
    const bench = new Bench();
    bench.endpoints = [compute(1)];
    bench.wait(0).standings.set('51/0/1', up);
    bench.endpoints = [];
    expect(bench.wait(100_000).table.size).toBe(1);
  });

  it('all of a virtual router that is gone', () => {
    const bench = new Bench();
    bench.vrids = [51, 52];
    bench.endpoints = [compute(1)];
    bench.wait(0).vrids = [52];
    bench.admission.follow();
    expect([...bench.table.keys()]).toEqual(['52/0/1']);
  });
});
