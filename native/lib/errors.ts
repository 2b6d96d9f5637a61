/** What every failing kernel operation throws. */
import { getSystemErrorMap } from 'node:util';

/** What Node's own table of errors lacks or calls otherwise. The codes from 4000 on are those of <bpf/libbpf.h>. */
const furtherErrors: Readonly<Record<number, readonly [string, string]>> = {
  4000: ['LIBBPF_ERRNO__LIBELF', 'libelf cannot read the file'],
  4001: ['LIBBPF_ERRNO__FORMAT', 'the BPF object has an invalid format'],
  4002: ['LIBBPF_ERRNO__KVERSION', 'the version section is missing or wrong'],
  4003: ['LIBBPF_ERRNO__ENDIAN', 'the BPF object has the other byte order'],
  4004: ['LIBBPF_ERRNO__INTERNAL', 'internal error in libbpf'],
  4005: ['LIBBPF_ERRNO__RELOC', 'a relocation failed'],
  4006: ['LIBBPF_ERRNO__LOAD', 'the program cannot be loaded'],
  4007: ['LIBBPF_ERRNO__VERIFY', 'the verifier refuses the program'],
  4008: ['LIBBPF_ERRNO__PROG2BIG', 'the program is too big'],
  4009: ['LIBBPF_ERRNO__KVER', 'the object is for another kernel version'],
  4010: ['LIBBPF_ERRNO__PROGTYPE', 'this kernel lacks the program type'],
  4011: ['LIBBPF_ERRNO__WRNGPID', 'netlink message with a wrong port id'],
  4012: ['LIBBPF_ERRNO__INVSEQ', 'netlink message with a wrong sequence number'],
  4013: ['LIBBPF_ERRNO__NLPARSE', 'netlink message that cannot be parsed'],
  // libuv says ENOTSUP, everybody else on Linux EOPNOTSUPP.
  95: ['EOPNOTSUPP', 'operation not supported'],
  67: ['ENOLINK', 'link has been severed'],
  // Kernel-internal, yet returned to user space by several BPF operations.
  524: ['ENOTSUPP', 'operation is not supported'],
};

/** Lines of the verifier's log that a message repeats: the verdict is at its end. */
const LOG_TAIL_LINES = 20;

/** A failed system call or libbpf function. */
export class SystemError extends Error {
  /** Symbolic errno, e.g. `ENOENT`, or libbpf's own, e.g. `LIBBPF_ERRNO__FORMAT`. */
  readonly code: string;
  /** Positive errno; 4000 and above are libbpf's codes. */
  readonly errno: number;
  /** The function that failed, e.g. `bpf_map_update_elem`. */
  readonly operation: string;
  /** What libbpf and the verifier said meanwhile (the last 16 MiB); empty if nothing. */
  readonly log: string;

  /**
   * @param detail what was operated on or why it matters; one phrase
   * @param log libbpf's and the verifier's output; the message repeats its tail
   */
  constructor(operation: string, errno: number, detail = '', log = '') {
    const [code, text] = furtherErrors[errno] ?? getSystemErrorMap().get(-errno) ?? [`E${errno}`, `errno ${errno}`];
    super(`${operation} failed with ${code} (${text})${detail ? `: ${detail}` : ''}${tail(log)}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.operation = operation;
    this.log = log;
  }
}

function tail(log: string): string {
  const lines = log.trimEnd().split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return '';
  const omitted = lines.length > LOG_TAIL_LINES ? '  ...\n' : '';
  return `\n${omitted}${lines.slice(-LOG_TAIL_LINES).map((line) => `  ${line}`).join('\n')}`;
}

/** errno values that this library itself raises. */
export const errnos = { ENOENT: 2, EBADF: 9, EEXIST: 17, EINVAL: 22, ENOSPC: 28, EOPNOTSUPP: 95, ENOTSUPP: 524 } as const;
