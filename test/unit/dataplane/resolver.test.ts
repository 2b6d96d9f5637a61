import { describe, expect, it } from 'vitest';
import { Resolver } from '../../../src/dataplane/resolver.js';

const EXTERNAL = 1;
const gateway = { role: EXTERNAL, vlan: 0, address: 0x0a000201 };
const host = { role: EXTERNAL, vlan: 0, address: 0x0a000209 };
/** On a VLAN the kernel asks for nothing. */
const tagged = { ...gateway, vlan: 12 };

function setUp() {
  const did: string[] = [];
  const note = (what: string) => (id: { address: number }, mac: Buffer | undefined) => void did.push(`${what} ${id.address & 255} ${mac === undefined ? 'none' : mac.equals(Buffer.alloc(6)) ? 'nobody' : mac.toString('hex')}`);
  let nowNs = 0n;
  const resolver = new Resolver(new Map([[EXTERNAL, 7]]), {
    isKernels: ({ vlan }) => vlan === 0,
    ask: ({ vlan, address }) => void did.push(`ask ${address & 255} on ${vlan}`),
    probe: (ifindex, address) => void did.push(`probe ${ifindex} ${address}`),
    writeNeighbour: note('neighbour'),
    writeGateway: note('gateway'),
    writePeer: note('peer'),
    resume: (frame) => void did.push(`resume ${frame.toString()}`),
    nowNs: () => nowNs,
    log: () => undefined,
  });
  return { resolver, take: () => did.splice(0), pass: (ns: bigint) => void (nowNs += ns) };
}

describe('the resolver', () => {
  it('asks the kernel, then writes the answer for the programs', () => {
    const { resolver, take } = setUp();
    resolver.want(gateway, 'gateway');
    expect(take()).toEqual(['probe 7 10.0.2.1']);
    resolver.observe({ ifindex: 7, address: '10.0.2.1', mac: '02:00:00:00:00:aa', state: 'REACHABLE' });
    expect(take()).toEqual(['gateway 1 0200000000aa', 'neighbour 1 0200000000aa']);
  });

  it('uses what the kernel had resolved before anyone asked, and told only once', () => {
    const { resolver, take } = setUp();
    resolver.observe({ ifindex: 7, address: '10.0.2.1', mac: '02:00:00:00:00:aa', state: 'REACHABLE' });
    resolver.want(gateway, 'gateway');
    expect(take()).toEqual(['gateway 1 0200000000aa', 'neighbour 1 0200000000aa']);
  });

  it('clears what the kernel no longer has after events were lost', () => {
    const { resolver, take } = setUp();
    const [stays, goes] = ['10.0.2.9', '10.0.2.1'].map((address) => ({ ifindex: 7, address, mac: '02:00:00:00:00:aa', state: 'REACHABLE' }));
    resolver.want(gateway, 'gateway');
    resolver.want(host, 'onDemand');
    resolver.replace([stays!, goes!]);
    take();
    resolver.replace([stays!, { ...goes!, ifindex: 8 }]);
    expect(take()).toEqual(['gateway 1 none', 'neighbour 1 nobody']);
    expect(resolver.macOf(host)).toBeDefined();
  });

  it('clears what has failed or was deleted', () => {
    const { resolver, take } = setUp();
    resolver.observe({ ifindex: 7, address: '10.0.2.1', mac: '02:00:00:00:00:aa', state: 'REACHABLE' });
    resolver.want(gateway, 'gateway');
    take();
    resolver.observe({ ifindex: 7, address: '10.0.2.1', state: 'STALE', mac: '02:00:00:00:00:aa' }, true);
    expect(take()).toEqual(['gateway 1 none', 'neighbour 1 nobody']);
  });

  it('sends what waited, in order, when the neighbour answers', () => {
    const { resolver, take } = setUp();
    resolver.unresolved(host, Buffer.from('first'));
    resolver.unresolved(host, Buffer.from('second'));
    take();
    resolver.observe({ ifindex: 7, address: '10.0.2.9', mac: '02:00:00:00:00:bb', state: 'REACHABLE' });
    expect(take()).toEqual(['neighbour 9 0200000000bb', 'resume first', 'resume second']);
    expect(resolver.status).toEqual({ resolved: 1, unresolved: 0, heldFrames: 0, heldFramesDropped: 0 });
  });

  it('does not keep a packet whose neighbour was resolved while its event was on the way', () => {
    const { resolver, take } = setUp();
    resolver.unresolved(host, Buffer.from('first'));
    resolver.observe({ ifindex: 7, address: '10.0.2.9', mac: '02:00:00:00:00:bb', state: 'REACHABLE' });
    take();
    resolver.unresolved(host, Buffer.from('late'));
    expect(take()).toEqual(['resume late']);
  });

  it("drops what one tenant's scan has no room for, and keeps another's", () => {
    const { resolver, take } = setUp();
    for (let i = 0; i < 300; i += 1) resolver.unresolved({ ...tagged, address: 1000 + i }, Buffer.from('scan'), 1);
    expect(resolver.status).toEqual({ resolved: 0, unresolved: 256, heldFrames: 256, heldFramesDropped: 44 });
    take();
    resolver.unresolved(host, Buffer.from('first'), 2);
    resolver.observe({ ifindex: 7, address: '10.0.2.9', mac: '02:00:00:00:00:bb', state: 'REACHABLE' });
    expect(take()).toEqual(['probe 7 10.0.2.9', 'neighbour 9 0200000000bb', 'resume first']);
  });

  it('brings what waited for a neighbour that fails again, to be told that nobody is there', () => {
    const { resolver, take, pass } = setUp();
    resolver.unresolved(host, Buffer.from('first'));
    for (let i = 0; i < 30; i += 1) {
      pass(100_000_000n);
      resolver.tick();
    }
    expect(take().filter((did) => !did.startsWith('probe'))).toEqual(['neighbour 9 nobody', 'resume first']);
    expect(resolver.status).toEqual({ resolved: 0, unresolved: 0, heldFrames: 0, heldFramesDropped: 0 });
    for (let i = 0; i < 30; i += 1) {
      pass(100_000_000n);
      resolver.tick();
    }
    // From here on a packet asks again.
    expect(take()).toEqual(['neighbour 9 none']);
  });

  it('forgets that nobody was there when somebody is', () => {
    const { resolver, take, pass } = setUp();
    resolver.unresolved(host, Buffer.from('first'));
    for (let i = 0; i < 30; i += 1) {
      pass(100_000_000n);
      resolver.tick();
    }
    resolver.want(host, 'onDemand');
    resolver.observe({ ifindex: 7, address: '10.0.2.9', mac: '02:00:00:00:00:bb', state: 'REACHABLE' });
    take();
    pass(10_000_000_000n);
    resolver.tick();
    expect(take()).toEqual([]);
  });

  it('asks by itself on a VLAN, and again before the answer is old', () => {
    const { resolver, take, pass } = setUp();
    resolver.want(tagged, 'gateway');
    expect(take()).toEqual(['ask 1 on 12']);
    resolver.observe({ ifindex: 7, address: '10.0.2.1', mac: '02:00:00:00:00:bb', state: 'REACHABLE' });
    resolver.heard(tagged, Buffer.from('0200000000aa', 'hex'));
    expect(take()).toEqual(['gateway 1 0200000000aa', 'neighbour 1 0200000000aa']);
    pass(29_000_000_000n);
    resolver.tick();
    expect(take()).toEqual([]);
    pass(1_000_000_000n);
    resolver.tick();
    expect(take()).toEqual(['ask 1 on 12']);
  });

  it('gives a gateway on a VLAN up that does not answer, and takes it back when it does', () => {
    const { resolver, take, pass } = setUp();
    resolver.want(tagged, 'gateway');
    resolver.heard(tagged, Buffer.from('0200000000aa', 'hex'));
    take();
    for (let i = 0; i < 500; i += 1) {
      pass(100_000_000n);
      resolver.tick();
    }
    const did = take();
    expect(did.slice(0, 5)).toEqual(['ask 1 on 12', 'ask 1 on 12', 'ask 1 on 12', 'gateway 1 none', 'neighbour 1 nobody']);
    expect(did.slice(5).length).toBeGreaterThan(8);
    resolver.heard(tagged, Buffer.from('0200000000ab', 'hex'));
    expect(take()).toEqual(['gateway 1 0200000000ab', 'neighbour 1 0200000000ab']);
  });

  it('learns nothing that nobody wants', () => {
    const { resolver, take } = setUp();
    resolver.heard(tagged, Buffer.alloc(6, 2));
    resolver.want(tagged, 'gateway');
    expect(take()).toEqual(['ask 1 on 12']);
  });

  it('ignores other interfaces and other protocols', () => {
    const { resolver, take } = setUp();
    resolver.want(gateway, 'gateway');
    take();
    resolver.observe({ ifindex: 8, address: '10.0.2.1', mac: '02:00:00:00:00:aa', state: 'REACHABLE' });
    resolver.observe({ ifindex: 7, address: 'fe80::1', mac: '02:00:00:00:00:aa', state: 'REACHABLE' });
    expect(take()).toEqual([]);
  });
});
