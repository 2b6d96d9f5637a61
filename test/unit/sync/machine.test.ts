import { describe, expect, it } from 'vitest';
import { initialSyncState, stepSync, SYNC_MACHINE_DEFAULTS } from '../../../src/sync/machine.js';
import type { Reading, SyncEffect, SyncEvent, SyncMachineConfig, SyncState } from '../../../src/sync/machine.js';
import type { BulkComplete, Hello, Message } from '../../../src/sync/messages.js';

const MS = 1_000_000n;

function configOf(name: string, id: number, instance: number): SyncMachineConfig {
  return { name, id, epoch: 100 + id, underlayAddress: 0xc0a8210b + id, instance, soloAfterNs: 20n * MS, ...SYNC_MACHINE_DEFAULTS };
}

/** One machine and what it has asked for. */
class Gateway {
  readonly config: SyncMachineConfig;
  state: SyncState;
  effects: SyncEffect[] = [];
  reading: Reading = { nowNs: 1000n * MS, peerHeardNs: 0n, sent: 0n, acknowledged: 0n, unprotected: 0n };

  constructor(name: string, id: number, instance: number) {
    this.config = configOf(name, id, instance);
    this.state = initialSyncState(this.config);
  }

  step(event: SyncEvent): SyncEffect[] {
    const { state, effects } = stepSync(this.config, this.state, event);
    this.state = state;
    this.effects.push(...effects);
    return [...effects];
  }

  poll(change: Partial<Reading> = {}): SyncEffect[] {
    this.reading = { ...this.reading, ...change };
    return this.step({ type: 'Polled', reading: this.reading, virtualRouters: [{ vrid: 51, state: 1, term: 3, penalty: 0 }] });
  }

  /** Polls with the peer heard just now. */
  pollAlive(atMs: bigint, change: Partial<Reading> = {}): SyncEffect[] {
    return this.poll({ nowNs: atMs * MS, peerHeardNs: atMs * MS - MS, ...change });
  }

  receive(message: Hello | BulkComplete): SyncEffect[] {
    return this.step({ type: 'MessageReceived', nowNs: this.reading.nowNs, message });
  }
}

function helloFrom(peer: Partial<Hello> = {}): Hello {
  return { type: 'hello', version: 1, name: 'gw-b', id: 1, epoch: 7, generation: 900, holds: null, want: 900, virtualRouters: [], ...peer };
}

const typesOf = (effects: readonly SyncEffect[]): string[] => effects.map((effect) => effect.type);
const sentBy = (effects: readonly SyncEffect[]): Message[] => effects.flatMap((effect) => (effect.type === 'SendMessage' ? [effect.message] : []));

describe('liveness', () => {
  it('is not alive before an authentic frame', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    expect(typesOf(gateway.poll())).toEqual(['SendMessage']);
    expect(gateway.state.peer.kind).toBe('Silent');
  });

  it('appears with its first frame and asks for everything', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    const effects = gateway.pollAlive(1000n);
    expect(effects[0]).toEqual({ type: 'PeerAppeared' });
    expect(sentBy(effects)).toMatchObject([{ type: 'hello', holds: null, want: 501, generation: 500 }]);
  });

  it('vanishes after soloAfter, not before, and what it lacks grows by one generation', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    expect(typesOf(gateway.poll({ nowNs: 1018n * MS }))).not.toContain('PeerVanished');
    expect(typesOf(gateway.poll({ nowNs: 1019n * MS }))).toContain('PeerVanished');
    expect(gateway.state.generation).toBe(501);
  });

  it('sends hellos at their interval', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    expect(sentBy(gateway.pollAlive(1099n))).toHaveLength(0);
    expect(sentBy(gateway.pollAlive(1100n))).toHaveLength(1);
  });

  it('splits a long list of virtual routers over several hellos', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    const virtualRouters = Array.from({ length: 70 }, (_, i) => ({ vrid: i + 1, state: 2, term: 1, penalty: 0 }));
    const messages = sentBy(gateway.step({ type: 'RolesChanged', nowNs: 0n, virtualRouters })) as Hello[];
    expect(messages.map((message) => message.virtualRouters.length)).toEqual([24, 24, 22]);
    expect(messages.flatMap((message) => message.virtualRouters)).toEqual(virtualRouters);
  });
});

describe('bulk synchronisation of a peer that lacks our generation', () => {
  function walking(): Gateway {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    gateway.receive(helloFrom());
    expect(typesOf(gateway.pollAlive(1005n))).toContain('StartBulkWalk');
    return gateway;
  }

  it('waits for frames of before, whose answers would be counted for the round', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n, { sent: 5n, acknowledged: 3n });
    gateway.receive(helloFrom());
    expect(typesOf(gateway.pollAlive(1005n))).not.toContain('StartBulkWalk');
    expect(typesOf(gateway.pollAlive(1010n, { acknowledged: 5n }))).toContain('StartBulkWalk');
  });

  it('does not wait for them for ever', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n, { sent: 5n, acknowledged: 3n });
    gateway.receive(helloFrom());
    gateway.pollAlive(1005n);
    expect(typesOf(gateway.pollAlive(1205n))).toContain('StartBulkWalk');
  });

  it('is complete when every frame of the round is acknowledged', () => {
    const gateway = walking();
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    expect(typesOf(gateway.pollAlive(1012n, { sent: 10n, acknowledged: 9n }))).not.toContain('BulkCompleted');
    const effects = gateway.pollAlive(1015n, { acknowledged: 10n });
    expect(effects).toContainEqual({ type: 'BulkCompleted', rounds: 1, frames: 10n });
    expect(sentBy(effects)).toContainEqual({ type: 'bulkComplete', generation: 500, want: 900 });
  });

  it('is not complete while the walk goes on, however much is acknowledged', () => {
    const gateway = walking();
    expect(typesOf(gateway.pollAlive(1012n, { sent: 10n, acknowledged: 10n }))).not.toContain('BulkCompleted');
  });

  it('sends another round when acknowledgements are missing, counted from where it began', () => {
    const gateway = walking();
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    expect(gateway.pollAlive(1210n, { sent: 10n, acknowledged: 9n })).toContainEqual({ type: 'StartBulkWalk', round: 2 });
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1220n * MS });
    const effects = gateway.pollAlive(1225n, { sent: 20n, acknowledged: 19n });
    expect(effects).toContainEqual({ type: 'BulkCompleted', rounds: 2, frames: 10n });
  });

  it('gives up after its rounds, and tries again later', () => {
    const gateway = walking();
    let now = 1010n;
    for (let round = 1; round <= 5; round += 1) {
      gateway.step({ type: 'BulkWalkEnded', nowNs: now * MS });
      now += 200n;
      gateway.pollAlive(now, { sent: BigInt(round) * 10n });
    }
    expect(gateway.effects).toContainEqual({ type: 'BulkFailed', rounds: 5, missing: 10n });
    expect(gateway.state.bulk.kind).toBe('Idle');
    expect(typesOf(gateway.pollAlive(now + 900n, { acknowledged: 50n }))).not.toContain('StartBulkWalk');
    expect(typesOf(gateway.pollAlive(now + 1001n))).toContain('StartBulkWalk');
  });

  it('goes on when sessions were created unprotected in the meantime, and is followed by another one for them', () => {
    const gateway = walking();
    expect(typesOf(gateway.pollAlive(1010n, { unprotected: 3n }))).not.toContain('StopBulkWalk');
    expect(gateway.state.generation).toBe(501);
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    const effects = gateway.pollAlive(1015n, { unprotected: 3n });
    expect(typesOf(effects)).toContain('BulkCompleted');
    // It lacks those: it is not told that it holds everything.
    expect(sentBy(effects).filter(({ type }) => type === 'bulkComplete')).toEqual([]);
    expect(typesOf(gateway.pollAlive(1020n, { unprotected: 3n }))).toContain('StartBulkWalk');
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1025n * MS });
    expect(sentBy(gateway.pollAlive(1030n, { unprotected: 3n }))).toContainEqual({ type: 'bulkComplete', generation: 501, want: 900 });
  });

  it('stops with the peer', () => {
    const gateway = walking();
    const types = typesOf(gateway.poll({ nowNs: 1100n * MS }));
    expect(types.slice(0, 2)).toEqual(['PeerVanished', 'StopBulkWalk']);
    expect(gateway.state.bulk.kind).toBe('Idle');
  });

  it('repeats only the message when that was lost', () => {
    const gateway = walking();
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    gateway.pollAlive(1015n);
    const effects = gateway.receive(helloFrom());
    expect(sentBy(effects)).toEqual([{ type: 'bulkComplete', generation: 500, want: 900 }]);
    expect(typesOf(gateway.pollAlive(1020n))).not.toContain('StartBulkWalk');
  });

  it('sends everything again to a peer that asks again', () => {
    const gateway = walking();
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    gateway.pollAlive(1015n);
    gateway.receive(helloFrom({ want: 901 }));
    expect(typesOf(gateway.pollAlive(1020n))).toContain('StartBulkWalk');
  });

  it('sends nothing to a peer that holds our generation', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    gateway.receive(helloFrom({ holds: 500 }));
    expect(typesOf(gateway.pollAlive(1005n))).not.toContain('StartBulkWalk');
  });

  it('tells a peer at once that it does not hold everything any more, and once', () => {
    const gateway = walking();
    gateway.step({ type: 'BulkWalkEnded', nowNs: 1010n * MS });
    gateway.pollAlive(1015n);
    expect(sentBy(gateway.pollAlive(1020n, { unprotected: 1n }))).toMatchObject([{ type: 'hello', generation: 501 }]);
    expect(sentBy(gateway.pollAlive(1025n, { unprotected: 2n }))).toEqual([]);
  });

  it('notices a silence that was over before the next poll', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    gateway.receive(helloFrom({ holds: 500 }));
    gateway.step({ type: 'PeerSilenceReported', nowNs: 1003n * MS });
    expect(typesOf(gateway.pollAlive(1005n))).toContain('StartBulkWalk');
  });
});

describe('synchronised', () => {
  function synchronised(): Gateway {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    gateway.receive(helloFrom());
    expect(gateway.receive({ type: 'bulkComplete', generation: 900, want: gateway.state.want })).toContainEqual({ type: 'SynchronisedChanged', synchronised: true });
    return gateway;
  }

  it('needs the answer to our own request', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    gateway.receive(helloFrom());
    expect(gateway.receive({ type: 'bulkComplete', generation: 900, want: 12 })).toEqual([]);
    expect(gateway.state.synchronised).toBe(false);
  });

  it('ends when the peer has something newer', () => {
    const gateway = synchronised();
    expect(gateway.receive(helloFrom({ generation: 901 }))).toContainEqual({ type: 'SynchronisedChanged', synchronised: false });
  });

  it('is not believed of a peer that has not said yet who it is', () => {
    const gateway = new Gateway('gw-a', 0, 500);
    gateway.pollAlive(1000n);
    expect(gateway.receive({ type: 'bulkComplete', generation: 900, want: gateway.state.want })).toEqual([]);
    expect(gateway.state.holds).toBeUndefined();
  });

  it('is not told again by a hello that has been overtaken', () => {
    const gateway = synchronised();
    gateway.receive(helloFrom({ generation: 901, sentUs: 2000 }));
    expect(gateway.receive(helloFrom({ sentUs: 1000, virtualRouters: [{ vrid: 51, state: 2, term: 9, penalty: 0 }] }))).toEqual([]);
    expect(gateway.state.synchronised).toBe(false);
    // Of another epoch the clock is another one.
    expect(typesOf(gateway.receive(helloFrom({ epoch: 8, sentUs: 10, virtualRouters: [{ vrid: 51, state: 2, term: 9, penalty: 0 }] })))).toContain('PeerRolesHeard');
  });

  it('ends when the peer falls silent: it may be Active, and we no longer hear what it does', () => {
    const gateway = synchronised();
    expect(gateway.poll({ nowNs: 1100n * MS })).toContainEqual({ type: 'SynchronisedChanged', synchronised: false });
    gateway.pollAlive(1200n);
    gateway.receive(helloFrom());
    expect(gateway.state.synchronised).toBe(false);
    expect(gateway.receive({ type: 'bulkComplete', generation: 900, want: gateway.state.want })).toContainEqual({ type: 'SynchronisedChanged', synchronised: true });
  });

  it('ends when the peer lost its tables without a silence', () => {
    const gateway = synchronised();
    const want = gateway.state.want;
    gateway.receive(helloFrom({ epoch: 8 }));
    expect(gateway.state).toMatchObject({ synchronised: false, holds: undefined, want: want + 1 });
  });
});

describe('two gateways over a lossy link', () => {
  /** Deterministic: the same losses in every run. */
  function lossy(seed: number): () => boolean {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32 < 0.3;
    };
  }

  it.each([1, 2, 3, 4, 5])('both become synchronised (seed %i)', (seed) => {
    const lost = lossy(seed);
    const gateways = [new Gateway('gw-a', 0, 500), new Gateway('gw-b', 1, 900)] as const;
    const deliver = (from: number, effects: readonly SyncEffect[]): void => {
      for (const message of sentBy(effects) as (Hello | BulkComplete)[]) if (!lost()) deliver(1 - from, gateways[1 - from]!.receive(message));
    };
    for (let ms = 1000n; ms < 20_000n; ms += 5n) {
      gateways.forEach((gateway, i) => {
        const effects = gateway.pollAlive(ms);
        deliver(i, effects);
        for (const effect of effects) {
          if (effect.type !== 'StartBulkWalk') continue;
          const got = lost() ? 3n : 4n;
          gateway.reading = { ...gateway.reading, sent: gateway.reading.sent + 4n, acknowledged: gateway.reading.acknowledged + got };
          gateway.step({ type: 'BulkWalkEnded', nowNs: ms * MS });
        }
      });
    }
    expect(gateways.map((gateway) => gateway.state.synchronised)).toEqual([true, true]);
    expect(gateways[0].state.holds).toBe(gateways[1].state.generation);
    expect(gateways[1].state.holds).toBe(gateways[0].state.generation);
  });
});
