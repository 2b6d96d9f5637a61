/** What goes wrong, and when: values, made from a seed. The same seed makes the same plan. */

export type GatewayName = 'gw-a' | 'gw-b';
export type Segment = 'underlay' | 'external';
export type Interface = 'underlay0' | 'external0' | 'ha0';

export type Fault =
  /** kill -9 of the daemon; its programs go on. Ends with a new daemon. */
  | { readonly kind: 'kill'; readonly node: GatewayName }
  /** SIGSTOP of the daemon. */
  | { readonly kind: 'stop'; readonly node: GatewayName }
  /** Power: daemon and links at once. Comes back as after a reboot, with nothing in the kernel. */
  | { readonly kind: 'lose'; readonly node: GatewayName }
  /** Its carrier is gone at both ends. */
  | { readonly kind: 'link'; readonly node: GatewayName; readonly interface: Interface }
  /** So many of a hundred frames are lost between any two ports of a switch. */
  | { readonly kind: 'loss'; readonly segment: Segment; readonly percent: number }
  /** The daemon's CLOCK_REALTIME jumps. */
  | { readonly kind: 'clock'; readonly node: GatewayName; readonly hours: number }
  | { readonly kind: 'drain'; readonly node: GatewayName }
  /** Both read a configuration with one floating IP more. */
  | { readonly kind: 'floating-ip' }
  /** The Active's priority falls below the other's. */
  | { readonly kind: 'priority' }
  /** More sessions and flows begin, and are never to end. */
  | { readonly kind: 'arrivals'; readonly count: number };

export interface Step {
  readonly fault: Fault;
  /** After the end of what came before, ms. */
  readonly afterMs: number;
  /** How long it lasts, ms. */
  readonly lastsMs: number;
  /** Begins while this one lasts. */
  readonly during?: Step;
}

export const names: readonly GatewayName[] = ['gw-a', 'gw-b'];

/** Steps for so many seconds; at least one. */
export function makePlan(seed: number, seconds: number): Step[] {
  const random = new Random(seed);
  const steps: Step[] = [];
  for (let leftMs = seconds * 1000; leftMs > 0 || steps.length === 0; ) {
    const step = makeStep(random);
    steps.push(step);
    leftMs -= step.afterMs + step.lastsMs + RECOVERY_MS;
  }
  return steps;
}

/** About what everything takes to be as it was: a daemon's start, synchronisation, preemption. */
const RECOVERY_MS = 2500;

function makeStep(random: Random): Step {
  const fault = makeFault(random, random.pick(kinds));
  const lastsMs = random.between(...durationsMs[fault.kind]);
  const step = { fault, afterMs: random.between(0, 800), lastsMs };
  const companion = random.below(2) === 0 ? companionOf(random, fault) : undefined;
  if (companion === undefined) return step;
  const afterMs = random.between(0, Math.floor(lastsMs / 2));
  return { ...step, during: { fault: companion, afterMs, lastsMs: random.between(...durationsMs[companion.kind]) } };
}

type Kind = Fault['kind'];

/** As often as they stand here. */
const kinds: readonly Kind[] = ['kill', 'kill', 'stop', 'stop', 'lose', 'lose', 'link', 'link', 'link', 'loss', 'clock', 'drain', 'floating-ip', 'priority', 'arrivals'];

const durationsMs: Readonly<Record<Kind, readonly [number, number]>> = {
  kill: [0, 2500],
  stop: [50, 2500],
  lose: [200, 2500],
  link: [50, 2500],
  loss: [300, 1500],
  clock: [200, 1500],
  drain: [0, 1000],
  'floating-ip': [0, 500],
  priority: [200, 1500],
  arrivals: [0, 100],
};

function makeFault(random: Random, kind: Kind): Fault {
  const node = random.pick(names);
  switch (kind) {
    case 'kill': case 'stop': case 'lose': case 'drain': return { kind, node };
    case 'link': return { kind, node, interface: random.pick(['underlay0', 'external0', 'ha0'] as const) };
    // More, and a packet in a hundred needs so many attempts that its connection gives up by itself.
    case 'loss': return { kind, segment: random.pick(['underlay', 'external'] as const), percent: random.between(1, 15) };
    // Less is what a packet socket may take for the time that a packet has waited.
    case 'clock': return { kind, node, hours: random.pick([-26, -1, 1, 26]) };
    case 'floating-ip': case 'priority': return { kind };
    case 'arrivals': return { kind, count: random.between(1, 5) };
  }
}

/** Two faults at a time: never such that no gateway is left, nor two that meet the same process, link or file. */
function companionOf(random: Random, fault: Fault): Fault | undefined {
  const wanted = makeFault(random, random.pick(kinds));
  const away = new Set([takenAway(fault), takenAway(wanted)].filter((node) => node !== undefined));
  return away.size > 1 || areaOf(fault) === areaOf(wanted) || beginsWhole(wanted) ? undefined : wanted;
}

/** Begins only when both gateways hold the same: a loss before that is nobody's fault. */
export function beginsWhole({ kind }: Fault): boolean {
  return kind === 'lose' || kind === 'drain';
}

/** The gateway that cannot do its work while it lasts; without the ha link both can, each by itself. */
export function takenAway(fault: Fault): GatewayName | undefined {
  switch (fault.kind) {
    case 'kill': case 'stop': case 'lose': case 'drain': return fault.node;
    case 'link': return fault.interface === 'ha0' ? undefined : fault.node;
    default: return undefined;
  }
}

/** Losing power is everything at once, and has no companion but what does not touch a gateway. */
function areaOf({ kind }: Fault): 'daemon' | 'network' | 'load' {
  if (kind === 'link' || kind === 'loss') return 'network';
  return kind === 'arrivals' ? 'load' : 'daemon';
}

/** While it lasts, and a little longer, the gateways may not hear each other's advertisements. */
export function dividesUnderlay(fault: Fault): boolean {
  return fault.kind === 'lose' || fault.kind === 'stop' || (fault.kind === 'link' && fault.interface === 'underlay0') || (fault.kind === 'loss' && fault.segment === 'underlay');
}

export function describe(fault: Fault): string {
  switch (fault.kind) {
    case 'kill': return `kill -9 of ${fault.node}'s daemon`;
    case 'stop': return `SIGSTOP of ${fault.node}'s daemon`;
    case 'lose': return `${fault.node} loses power`;
    case 'link': return `${fault.node}'s ${fault.interface} is cut`;
    case 'loss': return `${fault.percent} % of the frames of ${fault.segment} are lost`;
    case 'clock': return `the clock of ${fault.node} jumps by ${fault.hours} h`;
    case 'drain': return `${fault.node} is drained`;
    case 'floating-ip': return 'a floating IP is added';
    case 'priority': return "gw-a's priority falls below gw-b's";
    case 'arrivals': return `${fault.count} more TCP sessions and UDP flows begin`;
  }
}

/** Mulberry32: 32 bits of state are enough to tell seeds apart. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** Both ends may come. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}
