/**
 * Puts frames through the programs again and carries the verdict out: how a
 * packet goes on that waited for its next hop, or had to be finished.
 */
import { PacketSocket, SystemError } from 'libbpf-ts';
import type { BpfProgram } from 'libbpf-ts';
import type { FrameSource } from './frame-source.js';
import { interfaceRole } from './layout.generated.js';
import type { Role } from './interfaces.js';
import { tagged } from './vlan.js';

const TC_ACT_REDIRECT = 7;
/** struct __sk_buff, and what hook_leave() of bpf/hook.h tells in its cb: the role, or that of nobody for back where it came from; the tag. */
const SK_BUFF_BYTES = 192;
const ROLE = 48;
const TAG = 52;
const VLAN_MASK = 0xfff;
/** What may happen to any frame on its way out. */
const LOST: ReadonlySet<string> = new Set(['EAGAIN', 'ENOBUFS', 'ENETDOWN', 'EMSGSIZE', 'ENXIO']);

export class FrameReturn {
  /** Of the interfaces. */
  names: Partial<Record<Role, string>> = {};
  readonly #sockets = new Map<Role, PacketSocket>();

  /**
   * The kernel lets the frame come in on the loopback interface, which does not
   * matter to programs that redirect: they know their interface by themselves.
   * @throws SystemError EINVAL for frames shorter than an Ethernet header. Since Linux 5.18.
   */
  byXdp(program: BpfProgram, frame: Buffer): void {
    program.testRun({ data: frame, liveFrames: true, repeat: 1, batchSize: 1 });
  }

  /** TC has no such thing: the frame that comes out is sent from here. @throws SystemError EINVAL for frames that are too short */
  byTc(program: BpfProgram, from: FrameSource, frame: Buffer): void {
    const { returnValue, data, context } = program.testRun({ data: frame, dataOutSize: frame.length + 512, contextOutSize: SK_BUFF_BYTES });
    if (returnValue !== TC_ACT_REDIRECT) return;
    this.#send(roleOf(context.readUInt32LE(ROLE)) ?? from, tagged(data, context.readUInt32LE(TAG) & VLAN_MASK));
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #send(role: Role, frame: Buffer): void {
    try {
      this.#socket(role)?.send(frame);
    } catch (error) {
      if (!(error instanceof SystemError) || !LOST.has(error.code)) throw error;
    }
  }

  #socket(role: Role): PacketSocket | undefined {
    const name = this.names[role];
    const open = this.#sockets.get(role);
    if (open !== undefined || name === undefined) return open;
    const socket = new PacketSocket({ interface: name });
    // What a link that is down means is told by netlink.
    socket.on('error', () => undefined);
    this.#sockets.set(role, socket);
    return socket;
  }
}

function roleOf(number: number): Role | undefined {
  return (Object.keys(interfaceRole) as Role[]).find((role) => interfaceRole[role] === number);
}
