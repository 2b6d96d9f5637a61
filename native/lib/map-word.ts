/** Single u64 values of an array map, which native threads read and write in the kernel's memory. */
import { errnos, SystemError } from './errors.js';
import { type BpfMap, MMAPABLE } from './map.js';

/**
 * The descriptor of a map all of whose `offsets` are words.
 * @throws SystemError EINVAL when the map is not an array with BPF_F_MMAPABLE; RangeError for an
 *   offset that is no multiple of 8 inside of its memory
 */
export function wordsOf(map: BpfMap, offsets: readonly number[]): number {
  const { type, name, flags, valueSize, maxEntries } = map.info;
  if (type !== 'array' || (flags & MMAPABLE) === 0) {
    throw new SystemError('mmap', errnos.EINVAL, `map '${name}' is not an array with BPF_F_MMAPABLE`);
  }
  const bytes = Math.ceil(valueSize / 8) * 8 * maxEntries;
  for (const offset of offsets) {
    if (!Number.isInteger(offset) || offset < 0 || offset % 8 !== 0 || offset >= bytes) {
      throw new RangeError(`map '${name}': a word is at a multiple of 8 below ${bytes}, not at ${offset}`);
    }
  }
  return map.fd;
}
