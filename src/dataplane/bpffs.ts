/** The BPF file system of one gateway, where its maps and links outlive the daemon. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statfsSync } from 'node:fs';

/** BPF_FS_MAGIC of linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/**
 * Makes `path` a mount point of a BPF file system of its own.
 * @throws Error with one sentence when the mount is refused, as in an unprivileged container.
 */
export function ensureBpffs(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isBpffs(path) && isMountPoint(path)) return;
  const { status, stderr, error } = spawnSync('mount', ['-t', 'bpf', '-o', 'mode=0700', 'bpf', path], { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`a BPF file system cannot be mounted at ${path}: ${error?.message ?? stderr.trim()}`);
}

/** Unmounts what ensureBpffs mounted; everything pinned there and not otherwise held ends. */
export function unmountBpffs(path: string): void {
  if (!isBpffs(path) || !isMountPoint(path)) return;
  const { status, stderr } = spawnSync('umount', [path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the BPF file system at ${path} cannot be unmounted: ${stderr.trim()}`);
}

function isMountPoint(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').some((line) => line.split(' ')[4] === path);
}
