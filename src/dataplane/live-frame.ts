/**
 * Puts a frame through a program and carries its verdict out: how a packet that
 * waited for its next hop goes on.
 */
import type { BpfProgram } from 'libbpf-ts';

/**
 * The kernel lets the frame come in on the loopback interface, which does not
 * matter to programs that redirect: they know their interface by themselves.
 * @throws SystemError EINVAL for frames shorter than an Ethernet header. Since Linux 5.18.
 */
export function receiveAgain(program: BpfProgram, frame: Buffer): void {
  program.testRun({ data: frame, liveFrames: true, repeat: 1, batchSize: 1 });
}
