/** Type information of what the kernel has loaded. */
import { Btf } from './btf.js';
import { kernel } from './kernel.js';

/**
 * The types of a loaded map or program, by the `btfId` of its info. Since Linux 4.18, of programs 5.0.
 * @throws SystemError ENOENT when there is no such id, EPERM (CAP_SYS_ADMIN)
 */
export function kernelBtf(id: number): Btf {
  return Btf.parse(kernel().btfBytes(id));
}
