/**
 * A LAN on which two routers elect, and what the world sees of it:
 *
 *     ours 10.9.0.2 ── eth0 ═══ ours ┐
 *                                    ├ bridge, which floods everything ── observer, who asks for 10.9.0.100
 *   theirs 10.9.0.1 ── eth0 ═ theirs ┘
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { INTERFACE, Talker, holdNamespace, hostIn, type Host } from './two-hosts.js';
import { VIRTUAL_ADDRESS } from './vrrp-programs.js';

export type Side = 'ours' | 'theirs';
export const other = (side: Side): Side => (side === 'ours' ? 'theirs' : 'ours');

export interface Seen {
  readonly kind: 'ready' | 'advertisement' | 'answer';
  readonly port: Side;
  readonly atNs: string;
  readonly priority: number;
  readonly version: number;
  readonly intervalMs: number;
  readonly source: string;
  readonly destination: string;
  /** Of an advert the frame's source, of an answer what it says. */
  readonly mac: string;
}

export interface Agreement {
  readonly intervalMs: number;
  /** Whether who is Active answers for the virtual address. */
  readonly answers: boolean;
  /** How long the other one may take to fall silent. Default: half of the time for which it has to be silent then. */
  readonly patienceMs?: number | undefined;
}

const BRIDGE = 'br0';

export class Segment {
  readonly ours: Host;
  readonly theirs: Host;
  readonly switch: Host;
  readonly #holders: readonly [Talker, Talker, Talker];
  readonly #observer: Talker;

  private constructor(holders: readonly [Talker, Talker, Talker]) {
    this.#holders = holders;
    const [ours, theirs, bridge] = holders.map(({ pid }) => String(pid)) as [string, string, string];
    this.switch = hostIn(bridge, '10.9.0.254');
    this.#ip('switch', `link add ${BRIDGE} type bridge ageing_time 0 mcast_snooping 0`, `link set ${BRIDGE} addrgenmode none up`);
    for (const [side, pid] of [['ours', ours], ['theirs', theirs]] as const) {
      execFileSync('ip', ['link', 'add', side, 'netns', bridge, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', pid]);
      this.#ip('switch', `link set ${side} addrgenmode none master ${BRIDGE} up`);
    }
    this.ours = hostIn(ours, '10.9.0.2');
    this.theirs = hostIn(theirs, '10.9.0.1');
    for (const side of ['ours', 'theirs'] as const) this.#ip(side, 'link set lo up', `address add ${this[side].address}/24 dev ${INTERFACE}`, `link set ${INTERFACE} up`);
    const script = fileURLToPath(new URL('./vrrp-observer.py', import.meta.url));
    this.#observer = new Talker(this.switch.within(['chrt', '--rr', '2', 'python3', script, BRIDGE, VIRTUAL_ADDRESS, 'ours', 'theirs']));
  }

  static async create(): Promise<Segment> {
    const segment = new Segment([await holdNamespace(), await holdNamespace(), await holdNamespace()]);
    await segment.find('the observer to be ready', ({ kind }) => kind === 'ready');
    return segment;
  }

  /** A third one on the LAN, whose own end of the cable is in the switch's namespace as well. The observer does not listen to it. */
  addPort(name: string): void {
    this.#ip('switch', `link add ${name} type veth peer name ${name}-port`, `link set ${name}-port master ${BRIDGE} addrgenmode none up`, `link set ${name} addrgenmode none up`);
  }

  /** A cable between us and the switch's namespace that is not part of the LAN. */
  addCable(ours: string, atSwitch: string): void {
    const [we, , bridge] = this.#holders;
    execFileSync('ip', ['link', 'add', atSwitch, 'netns', String(bridge.pid), 'type', 'veth', 'peer', 'name', ours, 'netns', String(we.pid)]);
  }

  /** Pulls the plug of one side, or puts it back. */
  setLink(side: Side, state: 'up' | 'down'): void {
    this.#ip('switch', `link set ${side} ${state}`);
  }

  /** How much was seen: only what comes after counts for the next wait. */
  get mark(): number {
    return this.#observer.lines.length;
  }

  seen(from = 0): Seen[] {
    return this.#observer.lines.slice(from).map((line) => JSON.parse(line) as Seen);
  }

  find(what: string, wanted: (seen: Seen) => boolean, from = 0): Promise<Seen> {
    return this.#observer.find(what, (line) => {
      const seen = JSON.parse(line) as Seen;
      return wanted(seen) ? seen : undefined;
    }, from);
  }

  /** The first advert of a side that claims the role. */
  claim(side: Side, from = 0): Promise<Seen> {
    return this.find(`${side} to advertise`, (seen) => isClaim(seen) && seen.port === side, from);
  }

  /**
   * Waits for `side` to advertise, and for that to be the end of it: once adverts have crossed nobody else does,
   * nor answers for the virtual address, and `side` does where `answers` says that it would.
   */
  async agree(side: Side, from: number, { intervalMs, answers, patienceMs }: Agreement): Promise<Seen> {
    const first = await this.claim(side, from);
    const quietNs = BigInt(Math.max(2.5 * intervalMs, 300)) * 1_000_000n;
    const settledNs = BigInt(first.atNs) + (patienceMs === undefined ? quietNs / 2n : BigInt(patienceMs) * 1_000_000n);
    const since = (): Seen[] => this.seen(from).filter(({ atNs }) => atNs !== undefined && BigInt(atNs) > BigInt(first.atNs));
    const rivals = (): Seen[] => since().filter((seen) => seen.port === other(side) && (isClaim(seen) || seen.kind === 'answer'));
    for (let quietFromNs = BigInt(first.atNs); ;) {
      await this.find(`${side} to go on`, (seen) => seen.port === side && isClaim(seen) && BigInt(seen.atNs) > quietFromNs + quietNs, from);
      expect(rivals().filter(({ atNs }) => BigInt(atNs) > settledNs), `adverts and answers of ${other(side)} though ${side} is Active`).toEqual([]);
      const lastNs = BigInt(rivals().at(-1)?.atNs ?? first.atNs);
      if (patienceMs === undefined || lastNs <= quietFromNs) break;
      quietFromNs = lastNs;
    }
    if (answers) expect(since().filter(({ kind, port }) => kind === 'answer' && port === side).length, `answers of ${side}`).toBeGreaterThan(0);
    return first;
  }

  async remove(): Promise<void> {
    await this.#observer.end('SIGKILL');
    await Promise.all(this.#holders.map((holder) => holder.end('SIGKILL')));
  }

  #ip(where: Side | 'switch', ...lines: string[]): void {
    const [program, ...args] = this[where].within(['ip', '-batch', '-']);
    execFileSync(program!, args, { input: `${lines.join('\n')}\n` });
  }
}

export const isClaim = ({ kind, priority }: Seen): boolean => kind === 'advertisement' && priority > 0;
export const ms = (fromNs: string | bigint, toNs: string | bigint): number => Number(BigInt(toNs) - BigInt(fromNs)) / 1e6;
