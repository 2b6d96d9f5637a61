import { macBytes } from '../config/address.js';
import type { Ipv4Address, MacAddress } from '../config/address.js';
import type { Configuration, RouterConfiguration } from '../config/schema.js';
import { mappingProtocol, mappingProtocolCount, vmFlag } from '../dataplane/layout.generated.js';
import type { CompiledState, Indexes } from './compile.js';
import { externalKey, vmName } from './contents.js';
import type { FloatingIp, Forwarding, Segment, VmContents } from './contents.js';
import { portsPerProtocol } from './map-sizes.js';
import { addressHolder, segmentOf, vlansOf } from './routers.js';

/** VMs that the configuration speaks of, and what it gives them outside. */
export function compileNamedVms({ externalNetworks, routers }: Configuration, indexes: Indexes): Pick<CompiledState, 'vms' | 'floatingIps' | 'forwardings'> {
  const vlans = vlansOf(externalNetworks);
  const floatingIps = new Map<string, FloatingIp>();
  const forwardings = new Map<number, Forwarding>();
  const vms = new NamedVms();
  for (const router of routers) {
    const segments = new Map(router.networks.map((network) => [network.name, segmentOf(network)]));
    for (const network of router.networks) for (const endpoint of network.endpoints) vms.pin(segmentOf(network), endpoint);
    for (const floatingIp of floatingIpsOf(router, segments, vlans.get(router.externalNetwork)!, indexes)) {
      const key = externalKey(floatingIp.vlan, floatingIp.address);
      floatingIps.set(key, floatingIp);
      vms.change(floatingIp.segment, floatingIp.fixedIp, { floatingIp: floatingIp.address, floatingIpCounter: indexes.floatingIps.held.get(key)! + 1 });
    }
    for (const forwarding of forwardingsOf(router, segments, indexes)) {
      forwardings.set(forwarding.mapping, forwarding);
      vms.flag(forwarding.segment, forwarding.fixedIp, vmFlag.hasForwardings);
    }
  }
  return { vms: vms.all, floatingIps, forwardings };
}

class NamedVms {
  readonly all = new Map<string, VmContents>();

  change(segment: Segment, address: Ipv4Address, change: Partial<VmContents>): void {
    const name = vmName({ segment, address });
    const nothing = { segment, address, floatingIp: 0, floatingIpCounter: 0, flags: 0, tunnelEndpoint: 0, mac: Buffer.alloc(6) };
    this.all.set(name, { ...(this.all.get(name) ?? nothing), ...change });
  }

  flag(segment: Segment, address: Ipv4Address, flag: number): void {
    this.change(segment, address, { flags: (this.all.get(vmName({ segment, address }))?.flags ?? 0) | flag });
  }

  pin(segment: Segment, { address, mac, compute }: { address: Ipv4Address; mac: MacAddress; compute: Ipv4Address }): void {
    this.flag(segment, address, vmFlag.pinned);
    this.change(segment, address, { tunnelEndpoint: compute, mac: macBytes(mac) });
  }
}

function floatingIpsOf({ name, floatingIps }: RouterConfiguration, segments: ReadonlyMap<string, Segment>, vlan: number, indexes: Indexes): FloatingIp[] {
  const router = indexes.routers.held.get(name)!;
  return floatingIps.map(({ address, network, fixedIp }) => ({ address, vlan, segment: segments.get(network)!, fixedIp, router }));
}

/** One for each port. */
function forwardingsOf(router: RouterConfiguration, segments: ReadonlyMap<string, Segment>, indexes: Indexes): Forwarding[] {
  return router.portForwardings.flatMap(({ address, protocol: name, ports, network, fixedIp, fixedPorts }) => {
    const protocol = mappingProtocol[name];
    const first = (indexes.externalAddresses.held.get(addressHolder(router, address))! * mappingProtocolCount + protocol) * portsPerProtocol;
    return Array.from({ length: ports.last - ports.first + 1 }, (_, offset): Forwarding => ({
      mapping: first + ports.first + offset,
      address,
      port: ports.first + offset,
      protocol,
      segment: segments.get(network)!,
      fixedIp,
      fixedPort: fixedPorts.first + offset,
    }));
  });
}
