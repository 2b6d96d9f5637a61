/** An attachment to the clsact queueing discipline. */
import { kernel } from './kernel.js';
import type { BpfProgram } from './program.js';

export type TcDirection = 'ingress' | 'egress';

export interface TcOptions {
  /** 1 to 65535, lower runs first. Default: the kernel chooses. */
  priority?: number;
  /** Tells filters of one priority apart, from 1. Default: the kernel chooses. */
  handle?: number;
}

/** Belongs to the interface, not to the process: only {@link detach} or the interface's end removes it. */
export class TcAttachment {
  readonly ifindex: number;
  readonly direction: TcDirection;
  /** As given, or as chosen by the kernel. */
  readonly priority: number;
  readonly handle: number;

  private constructor(ifindex: number, direction: TcDirection, chosen: { priority: number; handle: number }) {
    this.ifindex = ifindex;
    this.direction = direction;
    this.priority = chosen.priority;
    this.handle = chosen.handle;
  }

  /** @internal Use {@link BpfProgram.attachTc}. */
  static attach(program: BpfProgram, ifindex: number, direction: TcDirection, o: TcOptions): TcAttachment {
    const chosen = kernel().tcAttach(program.fd, ifindex, direction === 'ingress', o.priority ?? 0, o.handle ?? 0, false);
    return new TcAttachment(ifindex, direction, chosen);
  }

  /** An attachment that an earlier process made, by the numbers that it noted. Nothing is checked. */
  static at(ifindex: number, direction: TcDirection, priority: number, handle: number): TcAttachment {
    return new TcAttachment(ifindex, direction, { priority, handle });
  }

  /** Replaces the program; every packet meets the old one or the new one. */
  update(program: BpfProgram): void {
    kernel().tcAttach(program.fd, this.ifindex, this.direction === 'ingress', this.priority, this.handle, true);
  }

  /** The clsact hook itself stays: others may use it. @throws SystemError ENOENT when it is gone already */
  detach(): void {
    kernel().tcDetach(this.ifindex, this.direction === 'ingress', this.priority, this.handle);
  }
}
