/** Floating IPs with what has passed through them, a page at a time. */
import type { FloatingIpCursor, FloatingIpQuery } from '../api/floating-ip-query.js';
import type { FloatingIpPage, FloatingIpView, Traffic } from '../api/floating-ips.js';
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { virtualRouterState, virtualRouterStateNames } from '../dataplane/layout.generated.js';
import { secondsSince } from './directory.js';
import type { Pace } from './scan.js';
import type { Vm } from './tables.js';

/** As configured. */
export interface FloatingIp {
  readonly address: Ipv4Address;
  readonly router: string;
  readonly network: string;
  /** VNI of the network, encapsulation included. */
  readonly vni: number;
  readonly fixedIp: Ipv4Address;
  readonly vrid: number;
}

/** What one CPU counted: struct floating_ip_counter. */
export interface FloatingIpCounts {
  readonly inboundPackets: bigint;
  readonly inboundBytes: bigint;
  readonly outboundPackets: bigint;
  readonly outboundBytes: bigint;
}

export interface FloatingIpPorts {
  /** In the order of compareFloatingIps. */
  readonly floatingIps: readonly FloatingIp[];
  vmOf(floatingIp: FloatingIp): Vm | undefined;
  /** By CPU; index into floating_ip_counters. */
  counts(index: number): readonly FloatingIpCounts[];
  /** enum virtual_router_state */
  stateOf(vrid: number): number;
  readonly tick: number;
  readonly pace: Pace;
}

export interface FloatingIpTraffic {
  readonly address: string;
  readonly router: string;
  readonly inbound: Traffic;
  readonly outbound: Traffic;
}

/** Floating IPs between two turns of everybody else: each takes two system calls. */
const AT_ONCE = 64;

export async function listFloatingIps(query: FloatingIpQuery, ports: FloatingIpPorts): Promise<FloatingIpPage> {
  const found = select(query, ports.floatingIps);
  const page = found.slice(0, query.limit);
  const floatingIps = await mapInSlices(page, ports, (each) => viewOf(each, ports));
  return found.length > page.length ? { floatingIps, next: cursorOf(page.at(-1)!) } : { floatingIps };
}

/** Of every floating IP. */
export async function floatingIpTraffic(ports: FloatingIpPorts): Promise<FloatingIpTraffic[]> {
  return mapInSlices(ports.floatingIps, ports, (each) => ({ address: formatIpv4(each.address), router: each.router, ...trafficOf(ports.vmOf(each), ports) }));
}

async function mapInSlices<T>(floatingIps: readonly FloatingIp[], { pace }: FloatingIpPorts, view: (floatingIp: FloatingIp) => T): Promise<T[]> {
  const views: T[] = [];
  for (const [index, each] of floatingIps.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await pace.breathe();
    views.push(view(each));
  }
  return views;
}

/** One more than the page holds tells that there is another one. */
function select({ router, address, limit, after }: FloatingIpQuery, floatingIps: readonly FloatingIp[]): FloatingIp[] {
  const found: FloatingIp[] = [];
  for (let index = firstAfter(floatingIps, after); index < floatingIps.length && found.length <= limit; index++) {
    const candidate = floatingIps[index]!;
    if ((router === undefined || candidate.router === router) && (address === undefined || candidate.address === address)) found.push(candidate);
  }
  return found;
}

export function compareFloatingIps(one: FloatingIpCursor, other: FloatingIpCursor): number {
  return one.address - other.address || (one.router === other.router ? 0 : one.router < other.router ? -1 : 1);
}

function cursorOf({ address, router }: FloatingIp): string {
  return `${formatIpv4(address)}/${router}`;
}

/** Also where that one itself has gone meanwhile. */
function firstAfter(floatingIps: readonly FloatingIp[], after: FloatingIpCursor | undefined): number {
  if (after === undefined) return 0;
  let [low, high] = [0, floatingIps.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareFloatingIps(floatingIps[middle]!, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function viewOf(floatingIp: FloatingIp, ports: FloatingIpPorts): FloatingIpView {
  const { address, router, network, fixedIp, vrid } = floatingIp;
  const state = ports.stateOf(vrid);
  const vm = ports.vmOf(floatingIp);
  return {
    address: formatIpv4(address), router, network, fixedIp: formatIpv4(fixedIp), vrid,
    state: virtualRouterStateNames[state] ?? String(state),
    answers: state === virtualRouterState.active,
    ...(vm !== undefined && vm.tunnelEndpoint !== 0 && {
      compute: formatIpv4(vm.tunnelEndpoint),
      mac: formatMac(vm.mac),
      idleSeconds: vm.lastSeen === 0 ? undefined : secondsSince(vm.lastSeen, ports.tick),
    }),
    ...trafficOf(vm, ports),
  };
}

/** Zero until the programs have a place to count it. */
function trafficOf(vm: Vm | undefined, { counts }: Pick<FloatingIpPorts, 'counts'>): { inbound: Traffic; outbound: Traffic } {
  const perCpu = vm === undefined || vm.floatingIpCounter === 0 ? [] : counts(vm.floatingIpCounter);
  const sum = (field: keyof FloatingIpCounts): number => Number(perCpu.reduce((total, counter) => total + counter[field], 0n));
  return {
    inbound: { packets: sum('inboundPackets'), bytes: sum('inboundBytes') },
    outbound: { packets: sum('outboundPackets'), bytes: sum('outboundBytes') },
  };
}

function formatMac(mac: Buffer): string {
  return [...mac].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
}
