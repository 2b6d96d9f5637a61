#!/usr/bin/env node
// Makes a fresh clone on a fresh Debian 12 ready: checks the machine, installs what is missing, builds what has changed.
// usage: setup.mjs [--test]     --test: also the packages that only the tests need
// Runs before node_modules exists: Node's own modules only.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { StepError, endChildren, fail, nodeHeaders, root, runQuiet, say } from './steps.mjs';
import { isBuilt } from './build.mjs';

const minimumNode = 20;
const minimumKernel = [6, 1];

function checkMachine() {
  const node = Number(process.versions.node.split('.')[0]);
  if (node < minimumNode) throw new StepError(`floatgate needs Node ${minimumNode} or later; this is Node ${process.versions.node}.`);
  if (process.platform !== 'linux') throw new StepError(`floatgate runs on Linux only; this is ${process.platform}.`);
  if (process.getuid() !== 0) throw new StepError('floatgate must be run as root: it creates network namespaces and loads BPF programs.');
  const [major, minor] = release().split('.').map(Number);
  if (major < minimumKernel[0] || (major === minimumKernel[0] && minor < minimumKernel[1])) {
    throw new StepError(`floatgate needs Linux ${minimumKernel.join('.')} or later; this kernel is ${release()}.`);
  }
  if (!existsSync('/sys/kernel/btf/vmlinux')) {
    throw new StepError('floatgate needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF): /sys/kernel/btf/vmlinux is missing.');
  }
  if (!existsSync('/usr/bin/dpkg-query')) throw new StepError('floatgate sets itself up on Debian only: dpkg-query is missing.');
}

/** Tried for real, in a namespace that ends with the process: modules may be absent or creation forbidden. */
function checkNetworking() {
  const probe = spawnSync('unshare', ['--net', 'sh', '-c', 'ip link add fg-probe0 type veth peer name fg-probe1 && ip link add fg-probe2 type bridge'], { encoding: 'utf8' });
  if (probe.status !== 0) {
    throw new StepError(`floatgate needs network namespaces with veth pairs and bridges, and this machine refuses to make them: ${(probe.stderr || String(probe.error ?? '')).trim()}`);
  }
  if (!existsSync('/dev/net/tun')) throw new StepError('floatgate needs /dev/net/tun (CONFIG_TUN): the Open vSwitch of the lab keeps its own interfaces there.');
}

function packagesIn(file) {
  const lines = readFileSync(join(root, '.ci', file), 'utf8').split('\n');
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '');
}

function missingPackages(wanted) {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...wanted], { encoding: 'utf8' });
  const installed = new Set(query.stdout.split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
  return wanted.filter((name) => !installed.has(name));
}

const policyFile = '/usr/sbin/policy-rc.d';
const policy = '#!/bin/sh\n# floatgate setup: no service starts while its packages are installed; removed afterwards\nexit 101\n';

/** Returns the function that removes it again; leaves a policy that somebody else has made alone. */
function forbidServices() {
  if (existsSync(policyFile) && readFileSync(policyFile, 'utf8') !== policy) return () => {};
  writeFileSync(policyFile, policy, { mode: 0o755 });
  const remove = () => rmSync(policyFile, { force: true });
  process.once('exit', remove);
  return remove;
}

const wantsFolder = '/etc/systemd/system/multi-user.target.wants';
const enabledUnits = () => (existsSync(wantsFolder) ? readdirSync(wantsFolder) : []);

/** nginx and Open vSwitch are only tools here: their services must not come up at the next boot either. */
function disableNewUnits(before) {
  for (const unit of enabledUnits().filter((name) => !before.includes(name))) {
    spawnSync('systemctl', ['disable', unit], { stdio: 'ignore' });
  }
}

async function installPackages(names) {
  say(`  packages: ${names.length} missing: ${names.join(' ')}`);
  const environment = { env: { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' } };
  const apt = ['-q', '-y', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=300'];
  const install = () => runQuiet('packages', 'packages: installing', 'apt-get', [...apt, 'install', '--fix-broken', '--no-install-recommends', ...names], environment);
  const update = () => runQuiet('package-lists', 'package-lists: updating', 'apt-get', [...apt, 'update'], environment);
  const unitsBefore = enabledUnits();
  const allowServices = forbidServices();
  try {
    if (wasInterrupted()) {
      // What cannot be configured for want of another package is left to apt's --fix-broken.
      await runQuiet('packages-repair', 'packages-repair: finishing an interrupted installation', 'dpkg', ['--configure', '-a'], environment).catch(() => {});
    }
    if (!haveCandidates(names)) {
      await update();
      await install();
    } else {
      // Lists that are too old name files that the mirror no longer has.
      await install().catch(async () => {
        await update();
        await install();
      });
    }
    disableNewUnits(unitsBefore);
  } finally {
    allowServices();
  }
}

/** After Ctrl-C in the middle of dpkg, apt refuses to install anything. */
function wasInterrupted() {
  return readdirSync('/var/lib/dpkg/updates').length > 0 || spawnSync('dpkg', ['--audit'], { encoding: 'utf8' }).stdout !== '';
}

function haveCandidates(names) {
  const answer = spawnSync('apt-cache', ['policy', ...names], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).stdout;
  return (answer.match(/^ {2}Candidate: (?!\(none\))/gm) ?? []).length === names.length;
}

/** npm keeps what it has installed in node_modules/.package-lock.json; that, and the folders, must be what the lock file asks for. */
function npmPackagesAreCurrent() {
  const hidden = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/')) return true;
    const have = installed[path];
    if (have === undefined) return entry.optional === true || entry.peer === true;
    const present = entry.link === true ? linksTo(path, entry.resolved) : existsSync(join(root, path, 'package.json'));
    return present && have.version === entry.version && have.integrity === entry.integrity;
  });
}

function linksTo(path, folder) {
  try {
    return readlinkSync(join(root, path)).endsWith(folder);
  } catch {
    return false;
  }
}

async function setUp(withTests) {
  checkMachine();
  const wanted = [...packagesIn('packages.txt'), ...(withTests ? packagesIn('packages-test.txt') : [])];
  const missing = missingPackages(wanted);
  if (missing.length > 0) await installPackages(missing);
  checkNetworking();
  if (!npmPackagesAreCurrent()) {
    // --ignore-scripts: the addon is built below, from the sources, once.
    await runQuiet('npm', 'npm: installing packages', 'npm', ['ci', '--ignore-scripts', '--no-progress']);
  }
  if (!isBuilt()) {
    const { status } = spawnSync(process.execPath, [join(root, '.ci', 'build.mjs')], { stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { endChildren(); process.exit(130); });
const started = Date.now();
say('floatgate: setting up');
/** Ends with a sentence on a word that is not known: a misspelt --test must not install half of what is needed. */
function wantsTests(words) {
  const unknown = words.find((word) => word !== '--test');
  if (unknown !== undefined) fail(new StepError(`unknown argument '${unknown}': setup.mjs [--test]`));
  return words.length > 0;
}

setUp(wantsTests(process.argv.slice(2)))
  .then(() => say(`floatgate: ready (${((Date.now() - started) / 1000).toFixed(1)} s)`))
  .catch(fail);
