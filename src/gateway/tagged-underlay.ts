/**
 * VRRP on a tagged underlay, where the kernel's IP stack takes no part: what the
 * programs hear comes as an event, what is said leaves as a frame with its tag.
 */
import { PacketSocket, RawSocket } from 'libbpf-ts';
import { parseIpv4 } from '../config/address.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { ethernetOf, tagged } from '../dataplane/vlan.js';
import type { FrameSender } from '../vrrp/announcer.js';
import { systemClock, type Clock } from '../vrrp/clock.js';
import type { ElectionSockets } from '../vrrp/advertiser.js';
import { ETHERTYPE_IPV4, encodeEthernet, virtualRouterMac } from '../vrrp/ethernet.js';
import { PROTOCOL_VRRP } from '../vrrp/ipv4.js';
import { Receiver } from '../vrrp/receiver.js';
import type { Outgoing } from '../vrrp/repetition.js';
import { VRRP_GROUP } from '../vrrp/sockets.js';

interface Closable {
  close(): void;
}

export interface TaggedUnderlayPorts {
  readonly vlan: number;
  readonly socket: FrameSender & Closable;
  /** When all that had arrived has been read. Default: the event loop's. */
  readonly afterInput?: Clock['afterInput'];
  /** Undefined: it does not answer, and is being asked. */
  macOf(address: number): Buffer | undefined;
}

export class TaggedUnderlay implements FrameSender {
  readonly #ports: TaggedUnderlayPorts;
  readonly #receiver: Receiver;

  constructor(ports: TaggedUnderlayPorts) {
    this.#ports = ports;
    this.#receiver = new Receiver(ports.afterInput ?? systemClock.afterInput);
  }

  /** What one election hears and speaks by; closing them leaves the others theirs. */
  socketsOf(vrid: number): ElectionSockets {
    const receiver = this.#receiver.channelOf(vrid, (packet, destination) => this.#sendTo(destination, vrid, packet));
    return { receiver, sender: { send: (frame) => this.send(frame), close: () => undefined } };
  }

  /** An untagged frame, which leaves with the tag. */
  send(frame: Buffer): void {
    this.#ports.socket.send(tagged(frame, this.#ports.vlan));
  }

  /** From the programs. */
  received({ frame, receivedNs }: Pick<DataPlaneEvent, 'frame' | 'receivedNs'>): void {
    const packet = ipv4Of(frame);
    if (packet !== undefined) this.#receiver.received(packet, { timestampNs: receivedNs });
  }

  close(): void {
    this.#ports.socket.close();
  }

  /** As it leaves; undefined where there is no next hop yet. As the kernel would have it, it is lost without a word then. */
  frameOf(vrid: number, advert: Outgoing): Buffer | undefined {
    if ('frame' in advert) return tagged(advert.frame, this.#ports.vlan);
    const mac = this.#ports.macOf(parseIpv4(advert.destination)!);
    return mac && tagged(Buffer.from(encodeEthernet(mac, virtualRouterMac(vrid), ETHERTYPE_IPV4, advert.packet).buffer), this.#ports.vlan);
  }

  #sendTo(destination: string, vrid: number, packet: Buffer): void {
    const frame = this.frameOf(vrid, { packet, destination });
    if (frame !== undefined) this.#ports.socket.send(frame);
  }
}

/** What the frame carries. */
function ipv4Of(frame: Buffer): Buffer | undefined {
  const ethernet = ethernetOf(frame);
  return ethernet?.etherType === ETHERTYPE_IPV4 ? frame.subarray(ethernet.length) : undefined;
}

/**
 * A frame socket of the interface that carries the tags. Cards filter multicast by
 * what the kernel has joined, so it joins VRRP's group; what the kernel hears by
 * that has no tag, and is not for us.
 * @throws SystemError
 */
export function openTrunk(interfaceName: string, failed: (error: Error) => void): FrameSender & Closable {
  const socket = new PacketSocket({ interface: interfaceName });
  try {
    const member = new RawSocket({ protocol: PROTOCOL_VRRP, interface: interfaceName, multicast: [VRRP_GROUP] });
    for (const each of [socket, member]) each.on('error', failed);
    return {
      send: (frame) => socket.send(frame),
      close: () => {
        socket.close();
        member.close();
      },
    };
  } catch (error) {
    socket.close();
    throw error;
  }
}
