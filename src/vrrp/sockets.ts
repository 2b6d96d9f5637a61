/** The real sockets of an election on an interface without a VLAN. */
import { PacketSocket, RawSocket } from 'libbpf-ts';
import type { ElectionSockets } from './election.js';
import { PROTOCOL_VRRP } from './ipv4.js';

export const VRRP_GROUP = '224.0.0.18';
const TTL = 255;

/**
 * Opens the sockets of one election on an interface of this network namespace.
 * Received through the IP stack, which checks and reassembles; sent as frames,
 * because the source MAC must be the virtual one.
 *
 * Throws SystemError, e.g. ENODEV.
 */
export function openSockets(interfaceName: string): ElectionSockets {
  const receiver = new RawSocket({
    protocol: PROTOCOL_VRRP,
    interface: interfaceName,
    multicast: [VRRP_GROUP],
    ttl: TTL,
    headerIncluded: true,
  });
  try {
    const sender = new PacketSocket({ interface: interfaceName });
    // What is wrong with it is told by `send`; without a listener it would end the process.
    sender.on('error', () => undefined);
    return { receiver, sender };
  } catch (error) {
    receiver.close();
    throw error;
  }
}
