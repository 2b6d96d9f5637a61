/** The real sockets of elections on an interface without a VLAN. */
import { PacketSocket, RawSocket } from 'libbpf-ts';
import type { ElectionSockets } from './advertiser.js';
import { systemClock } from './clock.js';
import { PROTOCOL_VRRP } from './ipv4.js';
import { Receiver } from './receiver.js';

export const VRRP_GROUP = '224.0.0.18';
const TTL = 255;

/** Shared by all elections on an interface of this network namespace. */
export interface ElectionInterface {
  /** Closing them leaves the other elections theirs. */
  socketsOf(vrid: number): ElectionSockets;
  close(): void;
}

/**
 * Received through the IP stack, which checks and reassembles; sent as frames,
 * because the source MAC must be the virtual one.
 *
 * Throws SystemError, e.g. ENODEV.
 */
export function openElectionInterface(interfaceName: string): ElectionInterface {
  const socket = new RawSocket({
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
    const receiver = new Receiver(systemClock.afterInput);
    socket.on('message', (packet, info) => receiver.received(packet, info));
    socket.on('error', (error) => receiver.failed(error));
    return {
      socketsOf: (vrid) => ({
        receiver: receiver.channelOf(vrid, (packet, destination) => socket.send(packet, destination)),
        sender: { send: (frame) => sender.send(frame), close: () => undefined },
      }),
      close: () => {
        socket.close();
        sender.close();
      },
    };
  } catch (error) {
    socket.close();
    throw error;
  }
}
