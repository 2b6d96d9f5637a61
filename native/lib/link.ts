/** An attachment that is an object of its own (`bpf_link`). */
import { SystemError } from './errors.js';
import { kernel, type Handle } from './kernel.js';
import { descriptorOf, pin } from './pin.js';
import type { BpfProgram, XdpMode } from './program.js';

/** In the order of the kernel's `enum bpf_link_type`. */
const linkTypes = [
  'unspec', 'raw_tracepoint', 'tracing', 'cgroup', 'iter', 'netns', 'xdp', 'perf_event', 'kprobe_multi', 'struct_ops',
  'netfilter', 'tcx', 'uprobe_multi', 'netkit',
] as const;

export type LinkTypeName = (typeof linkTypes)[number];

export interface LinkInfo {
  /** System-wide. */
  readonly id: number;
  /** A type newer than this library reads `unspec`. */
  readonly type: LinkTypeName;
  /** 0 once detached, or when the interface is gone; 0 for links that are not XDP. */
  readonly ifindex: number;
  readonly programId: number;
}

/** `XDP_FLAGS_*_MODE` */
const modeFlags = { generic: 1 << 1, native: 1 << 2 } as const;

/** How drivers say that they cannot: no XDP at all, not with this MTU, not with these queues. */
const unableCodes: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'EINVAL', 'ERANGE', 'ENOSPC', 'ENOMEM', 'E2BIG']);

/** Attachments made here are not the garbage collector's to end: who attaches and forgets stays attached. */
const attached = new Set<BpfLink>();

/**
 * Made by {@link BpfProgram.attachXdp}: attached until close(), detach() or the end of the process.
 * Or by {@link BpfLink.openPinned}.
 */
export class BpfLink {
  readonly #handle: Handle;

  private constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** @internal Use {@link BpfProgram.attachXdp}. */
  static attachXdp(programFd: number, ifindex: number, mode: XdpMode): BpfLink {
    if (mode !== 'auto') return BpfLink.#createXdp(programFd, ifindex, mode);
    try {
      return BpfLink.#createXdp(programFd, ifindex, 'native');
    } catch (error) {
      if (!(error instanceof SystemError && unableCodes.has(error.code))) throw error;
      return BpfLink.#createXdp(programFd, ifindex, 'generic');
    }
  }

  static #createXdp(programFd: number, ifindex: number, mode: keyof typeof modeFlags): BpfLink {
    try {
      const link = new BpfLink(kernel().linkCreateXdp(programFd, ifindex, modeFlags[mode]));
      attached.add(link);
      return link;
    } catch (error) {
      // EINVAL says among much else that there is no such interface: the query says ENODEV.
      if (error instanceof SystemError && error.code === 'EINVAL') kernel().xdpQuery(ifindex);
      throw error;
    }
  }

  /** @throws SystemError ENOENT; EINVAL when the pin is not a link */
  static openPinned(path: string): BpfLink {
    return new BpfLink(kernel().openPin(path, 'link'));
  }

  /** The descriptor. @throws SystemError EBADF when the link is closed */
  get fd(): number {
    return descriptorOf(this.#handle, 'link');
  }

  /** Asked anew each time. */
  get info(): LinkInfo {
    const { id, type, ifindex, programId } = kernel().linkInfo(this.fd);
    return { id, type: linkTypes[type] ?? 'unspec', ifindex, programId };
  }

  /**
   * How an XDP link runs; undefined once detached, for other links, and for an interface
   * that is not in this process's network namespace.
   */
  get mode(): Exclude<XdpMode, 'auto'> | undefined {
    const { type, ifindex, programId } = this.info;
    if (type !== 'xdp' || ifindex === 0) return undefined;
    const attached = xdpPrograms(ifindex);
    if (attached.native === programId) return 'native';
    return attached.generic === programId ? 'generic' : undefined;
  }

  /**
   * Replaces the program; every packet meets the old one or the new one. Since Linux 5.9 for XDP.
   * @throws SystemError EINVAL when the program is of another type; ENOLINK once detached
   */
  update(program: BpfProgram): void {
    kernel().linkUpdate(this.fd, program.fd);
  }

  /** Ends the attachment now, whoever else holds the link. Since Linux 5.9. */
  detach(): void {
    kernel().linkDetach(this.fd);
  }

  /** Names the link in a bpffs, which keeps the attachment alive. @throws SystemError EEXIST, ENOENT, EPERM (not a bpffs) */
  pin(path: string): void {
    pin(this.fd, path);
  }

  /** Removes a name. @throws SystemError ENOENT; EINVAL outside of a bpffs */
  unpin(path: string): void {
    kernel().unpin(path);
  }

  /** Gives up the descriptor, which ends the attachment unless the link is pinned. Idempotent. */
  close(): void {
    attached.delete(this);
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Ids of the XDP programs of an interface by mode, 0 where there is none. @throws SystemError ENODEV */
export function xdpPrograms(ifindex: number): { native: number; generic: number; hardware: number } {
  return kernel().xdpQuery(ifindex);
}
