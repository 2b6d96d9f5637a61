/**
 * Two gateways on one ha link: frames that one sends to the other are carried
 * by hand, so that a test can look at, lose, change or repeat each of them.
 */
import { expect } from 'vitest';
import { dissect } from './dissect.js';
import { GatewayFixture, type FixtureOptions, type ProgramName, type RunResult } from './gateway-fixture.js';
import * as world from './world.js';

export class Pair {
  readonly a: GatewayFixture;
  readonly b: GatewayFixture;

  private constructor(a: GatewayFixture, b: GatewayFixture) {
    this.a = a;
    this.b = b;
  }

  static load(): Pair {
    return new Pair(GatewayFixture.load(), GatewayFixture.load());
  }

  close(): void {
    this.a.close();
    this.b.close();
  }

  /** A Active, B Backup, both alive and in the same term. */
  reset(options: FixtureOptions = {}): this {
    this.a.reset({ node: world.nodeA, ...options });
    this.b.reset({ node: world.nodeB, state: 'backup', ...options });
    return this;
  }

  other(gateway: GatewayFixture): GatewayFixture {
    return gateway === this.a ? this.b : this.a;
  }

  /**
   * A packet into `gateway` and, if it was held for a commit, the commit's way
   * to the peer and back. Returns what leaves in the end and every step.
   */
  forward(gateway: GatewayFixture, program: ProgramName, frame: Buffer): { final: RunResult; steps: RunResult[] } {
    const held = gateway.run(program, frame);
    if (!isSyncFrame(held.frame) || held.verdict !== 'REDIRECT') return { final: held, steps: [held] };
    const turned = this.other(gateway).run('ha_xdp', held.frame);
    expect(turned.verdict, JSON.stringify(turned.counters)).toBe('TX');
    const released = gateway.run('ha_xdp', turned.frame);
    return { final: released, steps: [held, turned, released] };
  }

  /**
   * The active side hands over: the former Active drains or is gone, the other
   * one becomes Active in the next term.
   */
  takeOver(to: GatewayFixture, former: 'draining' | 'gone'): void {
    const from = this.other(to);
    const term = Math.max(from.virtualRouters.get(world.VRID).term, to.virtualRouters.get(world.VRID).term) + 1;
    from.setState(former === 'draining' ? 'draining' : 'initialize');
    to.setState('active', { term, activeSinceNs: process.hrtime.bigint() });
    if (former === 'gone') to.setPeerAlive(false);
  }
}

export function isSyncFrame(frame: Buffer): boolean {
  return dissect(frame).some((layer) => layer.layer === 'sync');
}
