/**
 * The oldest kernel that is supported, Debian 12's 6.1, has another verifier
 * than the one that these tests run on. So a virtual machine boots it, loads the
 * objects of both hooks, attaches the programs of XDP to veth pairs, and runs
 * some of the packet tests.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfObject } from 'libbpf-ts';
import { beforeAll, describe, expect, it } from 'vitest';
import { debianKernel, type DebianKernel } from '../support/debian-kernel.js';
import { runGuest, type GuestResult, type GuestStep } from '../support/guest.js';
import type { Initramfs } from '../support/initramfs.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OBJECTS = { xdp: 'dist/bpf/floatgate.bpf.o', tc: 'dist/bpf/floatgate-tc.bpf.o' } as const;
const TIME_LIMIT_MS = 600_000;
const MEMORY_MIB = 2048;
/**
 * What comes from outside, what goes to the peer and comes from it, the walks of ageing, and the MTU of networks at
 * both hooks. The rest of test/bpf, tens of thousands of frames, stays out: emulation makes minutes of its seconds, and
 * what the verifier has accepted runs alike on all kernels.
 */
const testFiles = ['inbound', 'maintain', 'network-mtu', 'replication'].map((name) => `test/bpf/${name}.test.ts`);
const TEST_TIMEOUT_MS = 120_000;
/** What ignoring ignores is vitest's own time-outs between its processes, which emulation provokes; failed tests still fail. */
const VITEST = `node node_modules/vitest/vitest.mjs run ${testFiles.join(' ')} --testTimeout=${TEST_TIMEOUT_MS} --hookTimeout=${TEST_TIMEOUT_MS} --dangerouslyIgnoreUnhandledErrors`;

const entryPoints = ['underlay', 'external', 'ha'] as const;
const pinnedAt = (hook: keyof typeof OBJECTS): string => `/sys/fs/bpf/floatgate-${hook}`;
const hookNames = Object.keys(OBJECTS) as (keyof typeof OBJECTS)[];

const steps: readonly GuestStep[] = [
  { name: 'release', command: 'uname -r' },
  ...hookNames.flatMap((hook) => [
    { name: `load-${hook}`, command: `bpftool prog loadall /floatgate/${OBJECTS[hook]} ${pinnedAt(hook)}` },
    { name: `programs-${hook}`, command: `ls -1 ${pinnedAt(hook)}` },
  ]),
  { name: 'attach', command: ['set -e', 'insmod /veth.ko', ...entryPoints.flatMap(attachCommands)].join('\n') },
  { name: 'attached', command: 'bpftool -j net show' },
  { name: 'packet-tests', command: `cd /floatgate && ${VITEST} --reporter=default --reporter=json --outputFile.json=/tmp/results.json` },
  { name: 'packet-results', command: 'cat /tmp/results.json' },
];

function attachCommands(role: string): string[] {
  return [
    `/usr/bin/ip link add ${role}0 mtu 2000 type veth peer name ${role}1`,
    `bpftool net attach xdpdrv pinned ${pinnedAt('xdp')}/${role}_xdp dev ${role}0`,
  ];
}

function fill(initramfs: Initramfs, kernel: DebianKernel): void {
  initramfs.file('/veth.ko', join(kernel.modules, 'kernel/drivers/net/veth.ko'));
  initramfs.programs(['/usr/sbin/bpftool', '/usr/sbin/ip', process.execPath]);
  const copy = (path: string): void => initramfs.file(join('/floatgate', path), join(ROOT, path));
  const copyTree = (path: string, except?: string[]): void => initramfs.tree(join('/floatgate', path), join(ROOT, path), except);
  for (const path of ['package.json', 'tsconfig.json', 'vitest.config.ts', ...Object.values(OBJECTS)]) copy(path);
  for (const path of ['src', 'test/bpf', 'test/support', 'test/pcaps', 'native/lib', 'native/dist']) copyTree(path);
  for (const path of ['package.json', 'tsconfig.json', 'binding.gyp', 'build/Release/libbpf_ts.node']) copy(join('native', path));
  copyTree('node_modules', ['.cache', '.vite', 'typescript']);
  initramfs.libraries([...addons(join(ROOT, 'node_modules')), join(ROOT, 'native/build/Release/libbpf_ts.node')]);
}

function addons(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.node')).map((name) => join(folder, name));
}

function programNames(path: string): string[] {
  const object = BpfObject.open(join(ROOT, path));
  try {
    return [...object.programs.keys()].sort();
  } finally {
    object.close();
  }
}

describe.skipIf(process.arch !== 'x64')('Linux 6.1 (a virtual machine; amd64 only)', () => {
  let guest: GuestResult;

  beforeAll(async () => {
    const kernel = debianKernel('linux-image-cloud-amd64');
    guest = await runGuest({
      kernel: kernel.image,
      fill: (initramfs) => fill(initramfs, kernel),
      steps,
      timeLimitMs: TIME_LIMIT_MS,
      memoryMiB: MEMORY_MIB,
    });
  }, TIME_LIMIT_MS + 120_000);

  /** The output of a step that has to succeed; of one that has not, the error shows the end of what it printed. */
  function output(name: string): string {
    const result = guest.steps.get(name);
    if (result === undefined) {
      const why = guest.timedOut ? `was ended after ${TIME_LIMIT_MS / 1000} s` : 'stopped';
      throw new Error(`the guest ${why} before '${name}' was done:\n${tail(guest.console)}`);
    }
    if (result.status !== 0) throw new Error(`'${name}' failed (${result.status}):\n${tail(result.output)}`);
    return result.output;
  }

  it('kernel/is the oldest supported one', () => {
    expect(output('release')).toMatch(/^6\.1\./);
  });

  it.each(hookNames)('verifier/accepts every program, %s', (hook) => {
    output(`load-${hook}`);
    expect(output(`programs-${hook}`).trim().split('\n').sort()).toEqual(programNames(OBJECTS[hook]));
  });

  it('attach/native mode on veth', () => {
    output('attach');
    const [{ xdp }] = JSON.parse(output('attached')) as [{ xdp: { devname: string; mode: string }[] }];
    const modes = Object.fromEntries(xdp.map(({ devname, mode }) => [devname, mode]));
    expect(modes).toEqual(Object.fromEntries(entryPoints.map((role) => [`${role}0`, 'driver'])));
  });

  it('packets/the tests pass', () => {
    output('packet-tests');
    const results = JSON.parse(output('packet-results')) as { success: boolean; testResults: { name: string; status: string }[] };
    expect(results.testResults.map(({ name }) => relative('/floatgate', name)).sort()).toEqual(testFiles);
    expect(results).toMatchObject({ success: true });
  });
});

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-60).join('\n');
}
