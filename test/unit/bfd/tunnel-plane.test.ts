import { describe, expect, it } from 'vitest';
import { isLowered, judge, wholeTunnelPlane, type SessionView, type Tenure, type TunnelPlane, type TunnelPlaneConfig } from '../../../src/bfd/tunnel-plane.js';

const SECOND = 1_000_000;
const config: TunnelPlaneConfig = { share: 1, holdDownUs: 60 * SECOND, patienceUs: 5 * SECOND };
const up: SessionView = { state: 'Up', wasUp: true, remoteAdminDown: false };
const down: SessionView = { state: 'Down', wasUp: true, remoteAdminDown: false };
const never: SessionView = { state: 'Down', wasUp: false, remoteAdminDown: false };
const left: SessionView = { state: 'Down', wasUp: true, remoteAdminDown: true };

const tenure = (sessions: readonly SessionView[], inherited = 0, sinceUs = 0): Tenure => ({ sinceUs, inherited, sessions });
const broken = judge(wholeTunnelPlane, config, tenure([down]), 0);

describe('the tunnel plane of an Active', () => {
  it.each<[string, readonly SessionView[], number, boolean]>([
    ['nobody speaks BFD', [], 1, false],
    ['all are Up', [up, up], 1, false],
    ['one of two is Down', [up, down], 1, false],
    ['one of two is Down, and half is enough', [up, down], 0.5, true],
    ['one of three is Down, and half is asked', [up, up, down], 0.5, false],
    ['all are Down', [down, down], 1, true],
    ['one is in Init again', [{ ...down, state: 'Init' }], 1, true],
    ['those that were never Up are Down', [up, never, never], 1, false],
    ['none was ever Up', [never, never], 1, false],
    ['all have said AdminDown', [left, left], 1, false],
    ['the rest has said AdminDown', [left, down], 1, true],
  ])('%s', (_, sessions, share, lowered) => {
    expect(isLowered(judge(wholeTunnelPlane, { ...config, share }, tenure(sessions), 0))).toBe(lowered);
  });

  it('is whole again with one that comes Up', () => {
    expect(isLowered(judge(broken, config, tenure([up, down]), 1))).toBe(false);
  });

  it('is broken where the predecessor had sessions Up, and none has come within the patience', () => {
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([never], 3), 5 * SECOND - 1))).toBe(false);
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([never], 3), 5 * SECOND))).toBe(true);
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([], 3), 5 * SECOND))).toBe(true);
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([up], 3), 5 * SECOND))).toBe(false);
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([], 0), 5 * SECOND))).toBe(false);
    expect(isLowered(judge(wholeTunnelPlane, config, tenure([{ ...never, remoteAdminDown: true }], 1), 5 * SECOND))).toBe(false);
  });
});

describe('after the role was lost over it', () => {
  it('the gateway stays lowered for the hold-down', () => {
    const held = judge(broken, config, undefined, 10);
    expect(isLowered(judge(held, config, undefined, 10 + 60 * SECOND - 1))).toBe(true);
    expect(isLowered(judge(held, config, undefined, 10 + 60 * SECOND))).toBe(false);
  });

  it('and a role that is lost for another reason costs nothing', () => {
    expect(isLowered(judge(wholeTunnelPlane, config, undefined, 10))).toBe(false);
  });

  it('the hold-down doubles each time, up to 64 times, and is forgotten', () => {
    let plane: TunnelPlane = wholeTunnelPlane;
    let nowUs = 0;
    const lengths: number[] = [];
    for (let strike = 0; strike < 9; strike += 1) {
      plane = judge(judge(plane, config, tenure([down]), nowUs), config, undefined, nowUs);
      lengths.push((plane.untilUs - nowUs) / SECOND);
      nowUs = plane.untilUs;
      plane = judge(plane, config, undefined, nowUs);
      expect(isLowered(plane)).toBe(false);
    }
    expect(lengths).toEqual([60, 120, 240, 480, 960, 1920, 3840, 3840, 3840]);
    nowUs += 601 * SECOND;
    plane = judge(judge(plane, config, tenure([down]), nowUs), config, undefined, nowUs);
    expect(plane.untilUs - nowUs).toBe(60 * SECOND);
  });

  it('it is released before that if it becomes Active and a session comes Up, else in time', () => {
    const held = judge(broken, config, undefined, 0);
    expect(isLowered(judge(held, config, tenure([up]), 1))).toBe(false);
    expect(isLowered(judge(held, config, tenure([never]), 1))).toBe(true);
    expect(isLowered(judge(held, config, tenure([never]), 60 * SECOND))).toBe(false);
  });
});

/**
 * Two gateways and their election, second by second: the one with the higher priority
 * is Active, of equals the one that is. A gateway's penalty takes it to priority 1.
 */
class World {
  nowUs = 0;
  active: 'a' | 'b' = 'a';
  moves = 0;
  computes = true;
  /** Whether packets of computes reach this gateway. */
  readonly reached = { a: true, b: true };
  readonly #planes: Record<'a' | 'b', TunnelPlane> = { a: wholeTunnelPlane, b: wholeTunnelPlane };
  readonly #base = { a: 200, b: 100 };
  #sinceUs = 0;
  #inherited = 0;
  #wasUp = false;

  run(seconds: number): this {
    for (let i = 0; i < seconds; i += 1) this.#second();
    return this;
  }

  get #isUp(): boolean {
    return this.computes && this.reached[this.active];
  }

  #second(): void {
    this.nowUs += SECOND;
    this.#wasUp ||= this.#isUp;
    const sessions: SessionView[] = this.#wasUp ? [this.#isUp ? up : down] : [];
    for (const gateway of ['a', 'b'] as const) {
      this.#planes[gateway] = judge(this.#planes[gateway], config, gateway === this.active ? tenure(sessions, this.#inherited, this.#sinceUs) : undefined, this.nowUs);
    }
    const other = this.active === 'a' ? 'b' : 'a';
    if (this.#priority(other) > this.#priority(this.active)) this.#move(other);
  }

  #priority(gateway: 'a' | 'b'): number {
    return isLowered(this.#planes[gateway]) ? 1 : this.#base[gateway];
  }

  #move(to: 'a' | 'b'): void {
    this.#inherited = this.#isUp ? 1 : 0;
    this.active = to;
    this.moves += 1;
    this.#sinceUs = this.nowUs;
    this.#wasUp = false;
  }
}

describe('two gateways', () => {
  it('the role goes to where the tunnels work, within a second', () => {
    const world = new World().run(10);
    world.reached.a = false;
    expect(world.run(1)).toMatchObject({ active: 'b', moves: 1 });
  });

  it('and comes back for good when the first is whole again', () => {
    const world = new World().run(10);
    world.reached.a = false;
    world.run(10);
    world.reached.a = true;
    expect(world.run(50)).toMatchObject({ active: 'b', moves: 1 });
    expect(world.run(3600)).toMatchObject({ active: 'a', moves: 2 });
  });

  it('a gateway that stays broken tries ever more rarely, and only for its patience', () => {
    const world = new World().run(10);
    world.reached.a = false;
    world.run(24 * 3600);
    expect(world.active).toBe('b');
    // 60 s, 2, 4, 8, 16, 32 and 64 minutes, then every 64.
    expect(world.moves).toBeGreaterThan(15);
    expect(world.moves).toBeLessThan(2 * 30);
  });

  it('computes that die move it once and back, and never again', () => {
    const world = new World().run(10);
    world.computes = false;
    expect(world.run(24 * 3600).moves).toBeLessThanOrEqual(2);
    world.computes = true;
    expect(world.run(3600).moves).toBeLessThanOrEqual(2);
  });

  it('where neither is reached it does not wander', () => {
    const world = new World().run(10);
    world.reached.a = false;
    world.reached.b = false;
    expect(world.run(24 * 3600).moves).toBeLessThanOrEqual(2);
  });
});
