/** A loaded BPF program. */
import { errnos, SystemError } from './errors.js';
import { kernel, type Handle, type ObjectFile } from './kernel.js';
import { BpfLink } from './link.js';
import { descriptorOf, pin } from './pin.js';
import { TcAttachment, type TcDirection, type TcOptions } from './tc.js';

/** In the order of the kernel's `enum bpf_prog_type`. */
const programTypes = [
  'unspec', 'socket_filter', 'kprobe', 'sched_cls', 'sched_act', 'tracepoint', 'xdp', 'perf_event', 'cgroup_skb',
  'cgroup_sock', 'lwt_in', 'lwt_out', 'lwt_xmit', 'sock_ops', 'sk_skb', 'cgroup_device', 'sk_msg', 'raw_tracepoint',
  'cgroup_sock_addr', 'lwt_seg6local', 'lirc_mode2', 'sk_reuseport', 'flow_dissector', 'cgroup_sysctl',
  'raw_tracepoint_writable', 'cgroup_sockopt', 'tracing', 'struct_ops', 'ext', 'lsm', 'sk_lookup', 'syscall',
  'netfilter',
] as const;

export type ProgramTypeName = (typeof programTypes)[number];

export interface ProgramInfo {
  /** System-wide. */
  readonly id: number;
  /** As in the object; for a program opened by pin the kernel's copy, cut to 15 bytes. */
  readonly name: string;
  /** A type newer than this library reads `unspec`. */
  readonly type: ProgramTypeName;
  /** Hash of the instructions, 16 hexadecimal digits. */
  readonly tag: string;
  /** Machine code; 0 when the JIT is off. */
  readonly jitedBytes: number;
  /** Instructions after the verifier's rewriting. */
  readonly xlatedBytes: number;
  /** 0: none. */
  readonly btfId: number;
}

export type XdpMode = 'native' | 'generic' | 'auto';

export interface TestRunOptions {
  /** The packet; required by programs that take one (at least 14 bytes). */
  data?: Buffer;
  /**
   * `struct xdp_md` or `__sk_buff` of packet programs (optional; since Linux 5.15 for XDP),
   * or the argument of a `SEC("syscall")` program.
   */
  context?: Buffer;
  /** Room for the packet that comes out, in bytes. Default: `data` and 256 of headroom. */
  dataOutSize?: number;
  /** Room for the context that comes out, in bytes. Default: that of `context`. */
  contextOutSize?: number;
  /** Runs; the packet is not reset in between. Default 1. The thread is blocked meanwhile. */
  repeat?: number;
  /** XDP: carry out the verdicts, i.e. transmit and redirect for real; nothing comes out. Since Linux 5.18. */
  liveFrames?: boolean;
  /** Live frames per NAPI round, 1 to 256. Default 64. */
  batchSize?: number;
}

export interface TestRunResult {
  /** The verdict; of syscall programs a negative errno as an unsigned number. */
  readonly returnValue: number;
  /** Empty where nothing comes out. */
  readonly data: Buffer;
  readonly context: Buffer;
  /** Mean of one run; 0 for syscall programs. */
  readonly durationNs: number;
}

const BPF_F_TEST_XDP_LIVE_FRAMES = 2;
const HEADROOM = 256;

/** Made by {@link BpfProgram.openPinned}, or declared by a BpfObject. */
export class BpfProgram {
  readonly name: string;
  readonly type: ProgramTypeName;
  #handle: Handle | undefined;
  #object: ObjectFile | undefined;

  private constructor(name: string, type: number, source: { handle: Handle } | { object: ObjectFile }) {
    this.name = name;
    this.type = programTypes[type] ?? 'unspec';
    if ('handle' in source) this.#handle = source.handle;
    else this.#object = source.object;
  }

  /** @throws SystemError ENOENT; EINVAL when the pin is not a program */
  static openPinned(path: string): BpfProgram {
    const handle = kernel().openPin(path, 'prog');
    const { name, type } = kernel().programInfo(handle.fd);
    return new BpfProgram(name, type, { handle });
  }

  /** @internal */
  static declared(object: ObjectFile, name: string, type: number): BpfProgram {
    return new BpfProgram(name, type, { object });
  }

  /** @internal Called by BpfObject once the kernel has the program. */
  adopt(handle: Handle | undefined): void {
    this.#handle = handle;
    this.#object = undefined;
  }

  /** The descriptor. @throws SystemError EBADF when the program is not loaded or closed */
  get fd(): number {
    return descriptorOf(this.#handle, `program '${this.name}'`);
  }

  /** @throws SystemError EBADF when the program is not loaded or closed */
  get info(): ProgramInfo {
    const { type: _, ...info } = kernel().programInfo(this.fd);
    return { ...info, name: this.name, type: this.type };
  }

  /** Before load: whether the program is to be loaded at all. */
  setAutoload(enabled: boolean): void {
    if (!this.#object) throw new SystemError('setAutoload', errnos.EINVAL, `program '${this.name}' is already loaded`);
    this.#object.setAutoload(this.name, enabled);
  }

  /**
   * Runs the program once, now, in this thread (`BPF_PROG_TEST_RUN`).
   * @throws SystemError ENOSPC when the packet that comes out has more than `dataOutSize` bytes;
   *   EINVAL for data or a context that the program type does not take;
   *   EINTR when a signal ends a repeated run
   */
  testRun(o: TestRunOptions = {}): TestRunResult {
    return this.type === 'syscall' ? this.#runSyscall(o) : this.#runPacket(o);
  }

  /**
   * Attaches to an interface of this process's network namespace, until the link is closed or
   * detached, or as long as it is pinned. `native` runs in the driver, `generic` in the stack;
   * `auto` tries them in this order. Since Linux 5.9.
   * @throws SystemError EBUSY or EEXIST (another program is there), EOPNOTSUPP, ENODEV, EPERM
   */
  attachXdp(ifindex: number, mode: XdpMode = 'auto'): BpfLink {
    return BpfLink.attachXdp(this.fd, ifindex, mode);
  }

  /**
   * Attaches to the clsact hook of an interface, which is created if missing. It stays
   * until {@link TcAttachment.detach}, also after the process has ended.
   * @throws SystemError EEXIST when priority and handle are taken; EINVAL, EPERM, ENODEV
   */
  attachTc(ifindex: number, direction: TcDirection, o: TcOptions = {}): TcAttachment {
    return TcAttachment.attach(this, ifindex, direction, o);
  }

  /** Names the program in a bpffs, which keeps it alive. @throws SystemError EEXIST, ENOENT, EPERM (not a bpffs) */
  pin(path: string): void {
    pin(this.fd, path);
  }

  /** Removes a name. @throws SystemError ENOENT; EINVAL outside of a bpffs */
  unpin(path: string): void {
    kernel().unpin(path);
  }

  /** Gives up the descriptor; attachments and pins keep the program alive. Idempotent. */
  close(): void {
    this.#handle?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The kernel takes a context only, and writes into it. */
  #runSyscall(o: TestRunOptions): TestRunResult {
    for (const option of ['data', 'dataOutSize', 'contextOutSize', 'repeat', 'liveFrames', 'batchSize'] as const) {
      if (o[option] !== undefined) {
        throw new SystemError('bpf_prog_test_run', errnos.EINVAL, `syscall program '${this.name}' takes a context only, not '${option}'`);
      }
    }
    const context = o.context && Buffer.from(o.context);
    const run = kernel().programTestRun(this.fd, undefined, undefined, context, undefined, 0, 0, 0);
    if (run.status !== 0) throw this.#error(run.status);
    return { returnValue: run.returnValue, data: Buffer.alloc(0), context: context ?? Buffer.alloc(0), durationNs: 0 };
  }

  #runPacket(o: TestRunOptions): TestRunResult {
    const live = o.liveFrames ?? false;
    const room = live ? 0 : (o.dataOutSize ?? (o.data ? o.data.length + HEADROOM : 0));
    const contextRoom = o.contextOutSize ?? o.context?.length ?? 0;
    const data = room > 0 ? Buffer.alloc(room) : undefined;
    const context = contextRoom > 0 ? Buffer.alloc(contextRoom) : undefined;
    const run = kernel().programTestRun(
      this.fd, o.data, data, o.context, context, o.repeat ?? 1, live ? BPF_F_TEST_XDP_LIVE_FRAMES : 0, o.batchSize ?? 0,
    );
    if (run.status === -errnos.ENOSPC && run.dataSize > room) {
      throw this.#error(run.status, `the packet that came out has ${run.dataSize} bytes, there is room for ${room}`);
    }
    if (run.status !== 0) throw this.#error(run.status);
    return {
      returnValue: run.returnValue,
      data: data?.subarray(0, run.dataSize) ?? Buffer.alloc(0),
      context: context?.subarray(0, run.contextSize) ?? Buffer.alloc(0),
      durationNs: run.durationNs,
    };
  }

  #error(status: number, detail = ''): SystemError {
    return new SystemError('bpf_prog_test_run', -status, `program '${this.name}'${detail && `: ${detail}`}`);
  }
}
