// Builds the addon (npm's `install` script), offline except for npm itself.
//
// node-pre-gyp looks for a prebuilt archive first. Nobody hosts one, so
// `binary.host` is a file: address: a site may put archives made by
// `node-pre-gyp package` into /var/lib/libbpf-ts; everywhere else the look-up
// fails at once, without any connection, and the addon is compiled.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageDirectory = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

if (process.platform !== 'linux') {
  console.error(`libbpf-ts: BPF exists on Linux only; this is ${process.platform}, the addon is not built.`);
  process.exit(1);
}

const env = { JOBS: 'max', ...process.env };
// Distributions ship Node's headers next to the binary; with them node-gyp has nothing to download.
const prefix = join(dirname(process.execPath), '..');
if (existsSync(join(prefix, 'include/node/node.h'))) env.npm_config_nodedir = prefix;

if (!existsSync('/usr/include/bpf/bpf.h')) {
  console.error('libbpf-ts: /usr/include/bpf/bpf.h is missing. On Debian and Ubuntu:');
  console.error('  apt install g++ make python3 binutils libbpf-dev libelf-dev zlib1g-dev linux-libc-dev');
}

const manifest = require.resolve('@mapbox/node-pre-gyp/package.json');
const nodePreGyp = join(dirname(manifest), 'bin/node-pre-gyp');
const build = spawnSync(
  process.execPath,
  [nodePreGyp, 'install', '--fallback-to-build', ...process.argv.slice(2)],
  { cwd: packageDirectory, env, stdio: 'inherit' },
);
process.exit(build.status ?? 1);
