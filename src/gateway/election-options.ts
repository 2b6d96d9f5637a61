import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import type { VirtualRouterConfiguration } from '../config/schema.js';
import type { VirtualRouterOptions } from '../vrrp/options.js';

/** A virtual router of the configuration as an election wants it. `primaryAddress`: the interface's own. */
export function electionOptions(configuration: VirtualRouterConfiguration, primaryAddress: Ipv4Address): VirtualRouterOptions {
  const { vrid, address, priority, advertisementInterval, preempt, preemptDelay, checksum, unicastPeers, version, authentication } = configuration;
  return {
    vrid,
    addresses: [formatIpv4(address)],
    primaryAddress: formatIpv4(primaryAddress),
    priority,
    advertisementIntervalUs: advertisementInterval,
    preempt,
    preemptDelayUs: preemptDelay * 1000,
    checksum,
    version,
    ...(authentication !== undefined && { authentication: { type: 'simple-text', password: authentication } as const }),
    ...(unicastPeers.length > 0 && { unicastPeers: unicastPeers.map(formatIpv4) }),
  };
}
