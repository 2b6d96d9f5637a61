/** Kernels of Debian, unpacked for guests: downloaded and verified by apt, not installed on this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Kept between runs; 110 MB per kernel. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/debian-kernel/', import.meta.url));

export interface DebianKernel {
  /** As `uname -r` says it. */
  readonly release: string;
  /** The bootable kernel. */
  readonly image: string;
  /** Folder with `kernel/drivers/…/*.ko`. */
  readonly modules: string;
}

/**
 * @param metaPackage names the newest kernel of a kind, e.g. `linux-image-cloud-amd64`
 * @throws Error with apt's words when it cannot be had
 */
export function debianKernel(metaPackage: string): DebianKernel {
  let name = imagePackage(metaPackage);
  // Lists that are missing name no package, and old ones a file that the mirror no longer has.
  if (name === undefined || !download(name)) {
    run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', 'update']);
    name = imagePackage(metaPackage);
    if (name === undefined) throw new Error(`apt knows no kernel of the name ${metaPackage}`);
    if (!download(name)) throw new Error(`apt cannot download ${name}`);
  }
  const folder = join(CACHE, name);
  const release = name.replace('linux-image-', '');
  return { release, image: join(folder, 'boot', `vmlinuz-${release}`), modules: join(folder, 'lib/modules', release) };
}

function imagePackage(metaPackage: string): string | undefined {
  const { stdout } = spawnSync('apt-cache', ['depends', '--important', metaPackage], { encoding: 'utf8' });
  return /Depends: (linux-image-\d\S+)/.exec(stdout)?.[1];
}

/** Unpacks beside the cache and moves, so that a run that was interrupted leaves nothing half done. */
function download(name: string): boolean {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return true;
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, 'new-'));
  try {
    const { status } = spawnSync('apt-get', ['-q', 'download', name], { cwd: scratch, stdio: 'ignore' });
    if (status !== 0) return false;
    const archive = readdirSync(scratch).find((file) => file.endsWith('.deb'));
    run('dpkg-deb', ['-x', join(scratch, archive!), join(scratch, 'root')]);
    renameSync(join(scratch, 'root'), folder);
    return true;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`'${command} ${args.join(' ')}' failed (${status}):\n${stdout}${stderr}`);
}
