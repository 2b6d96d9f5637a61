/** A virtual router as the composition root describes it, and as the machine wants it. */
import type { Authentication, ChecksumForm, Expectation } from './advertisement.js';
import { parseIpv4, type Ipv4Address } from './ipv4.js';
import type { MachineConfig } from './state.js';
import type { Microseconds, VrrpVersion } from './timing.js';

export interface VirtualRouterOptions {
  /** 1–255. */
  readonly vrid: number;
  /** Virtual addresses, dotted decimal, at least one. */
  readonly addresses: readonly string[];
  /** The interface's own address: source of the adverts, decides ties. */
  readonly primaryAddress: string;
  /** 1–255. */
  readonly priority: number;
  /** v3: 10 ms to 40.95 s in steps of 10 ms; v2: 1–255 s. */
  readonly advertisementIntervalUs: Microseconds;
  /** Default true. */
  readonly preempt?: boolean;
  /** Default 0. */
  readonly preemptDelayUs?: Microseconds;
  /** Default 3. */
  readonly version?: VrrpVersion;
  /** What the checksums that we send cover, v3 only; both are accepted. Default `message`; keepalived and FRR need `pseudo-header`. */
  readonly checksum?: ChecksumForm;
  /** v2 only. Default none. */
  readonly authentication?: Authentication;
  /** Adverts go to these, and are taken from these alone, instead of 224.0.0.18. */
  readonly unicastPeers?: readonly string[];
  /** Default 500 ms. */
  readonly lingerUs?: Microseconds;
  /** Default 1 s, or two intervals if that is longer: a Backup's Skew_Time may be a whole one. */
  readonly handOverLimitUs?: Microseconds;
  /** Default 2 s. */
  readonly gratuitousArpRepeatUs?: Microseconds;
  /** Default 60 s; 0 for none. */
  readonly gratuitousArpRefreshUs?: Microseconds;
}

/** The options with addresses read and defaults filled in. */
export interface VirtualRouter {
  readonly vrid: number;
  readonly addresses: readonly Ipv4Address[];
  readonly checksum: ChecksumForm;
  readonly authentication: Authentication;
  readonly unicastPeers: readonly Ipv4Address[] | undefined;
  readonly machine: MachineConfig;
  readonly expectation: Expectation;
}

const SECOND_US = 1_000_000;

/** Throws RangeError for an address that is none. */
export function describeVirtualRouter(options: VirtualRouterOptions): VirtualRouter {
  const machine = machineConfig(options);
  const authentication = options.authentication ?? { type: 'none' };
  const unicastPeers = options.unicastPeers?.map(parseIpv4);
  const { version, primaryAddress, advertisementIntervalUs: intervalUs } = machine;
  const addresses = options.addresses.map(parseIpv4);
  const expectation = { version, vrid: options.vrid, intervalUs, primaryAddress, authentication, addresses };
  return {
    vrid: options.vrid,
    addresses,
    checksum: options.checksum ?? 'message',
    authentication,
    unicastPeers,
    machine,
    expectation: unicastPeers === undefined ? expectation : { ...expectation, unicastPeers },
  };
}

function machineConfig(options: VirtualRouterOptions): MachineConfig {
  const { advertisementIntervalUs } = options;
  return {
    version: options.version ?? 3,
    priority: options.priority,
    advertisementIntervalUs,
    primaryAddress: parseIpv4(options.primaryAddress),
    preempt: options.preempt ?? true,
    preemptDelayUs: options.preemptDelayUs ?? 0,
    lingerUs: options.lingerUs ?? SECOND_US / 2,
    handOverLimitUs: options.handOverLimitUs ?? Math.max(SECOND_US, 2 * advertisementIntervalUs),
    gratuitousArpRepeatUs: options.gratuitousArpRepeatUs ?? 2 * SECOND_US,
    gratuitousArpRefreshUs: options.gratuitousArpRefreshUs ?? 60 * SECOND_US,
  };
}
