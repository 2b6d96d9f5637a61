/** What is announced on the external side (RFC 9568 §6.4.1): every address, on its VLAN. */
import type { Configuration } from '../config/schema.js';
import { arpSender } from '../dataplane/arp.js';
import { tagged } from '../dataplane/vlan.js';

interface FrameSender {
  send(frame: Buffer): void;
}

/** VLANs of every address that a virtual router has outside; the first of each VLAN first, for one frame is enough to tell its switches. */
export function externalAddressesOf({ routers, externalNetworks }: Configuration, vrid: number): Map<number, number[]> {
  const vlans = new Map(externalNetworks.map(({ name, vlan }) => [name, vlan]));
  const all = routers
    .filter(({ virtualRouter }) => virtualRouter === vrid)
    .flatMap(({ externalNetwork, externalAddresses, floatingIps, portForwardings }) =>
      [...externalAddresses, ...floatingIps.map(({ address }) => address), ...portForwardings.map(({ address }) => address)].map((address) => ({ address, vlan: vlans.get(externalNetwork)! })));
  const firsts = [...new Map(all.toReversed().map((entry) => [entry.vlan, entry])).values()];
  const found = new Map<number, Set<number>>();
  for (const { address, vlan } of [...firsts, ...all]) found.set(address, (found.get(address) ?? new Set()).add(vlan));
  return new Map([...found].map(([address, of]) => [address, [...of]]));
}

/** A side of an announcement: one untagged frame for each address becomes one for each of its VLANs. */
export function externalSide(socket: FrameSender, read: () => Map<number, number[]>): { readonly sender: FrameSender; addresses(): Iterable<number> } {
  /** Of the announcement under way. */
  let vlans = new Map<number, number[]>();
  return {
    sender: {
      send: (frame) => {
        for (const vlan of vlans.get(arpSender(frame)?.address ?? 0) ?? []) socket.send(tagged(frame, vlan));
      },
    },
    addresses: () => {
      vlans = read();
      return vlans.keys();
    },
  };
}
