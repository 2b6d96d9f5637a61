/** Names in a bpffs, which keep BPF objects alive without a process. */
import { errnos, SystemError } from './errors.js';
import { kernel, type Handle } from './kernel.js';

/** @internal The descriptor of an object that must be loaded and open. */
export function descriptorOf(handle: Handle | undefined, what: string): number {
  if (!handle) throw new SystemError('bpf', errnos.EBADF, `${what} is not loaded`);
  if (handle.fd < 0) throw new SystemError('bpf', errnos.EBADF, `${what} is closed`);
  return handle.fd;
}

/** @internal */
export function pin(fd: number, path: string): void {
  try {
    kernel().pin(fd, path);
  } catch (error) {
    // The kernel's EPERM and EINVAL do not say what is wrong with the path.
    if (error instanceof SystemError && (error.code === 'EPERM' || error.code === 'EINVAL')) {
      throw new SystemError(error.operation, error.errno, `${path} must be in a bpffs (mount -t bpf) and must not contain a dot`);
    }
    throw error;
  }
}
