// The victim's power switch: see power.bpf.c.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfObject } from 'libbpf-ts';
import { LabError } from '../../src/lab/error.js';
import { batch } from '../../src/lab/network.js';
import { run } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';
import { cabling, victim } from './cabling.js';

const source = fileURLToPath(new URL('power.bpf.c', import.meta.url));

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function load(): BpfObject {
  const folder = mkdtempSync(join(tmpdir(), 'floatgate-scoreboard-'));
  try {
    const output = join(folder, 'power.bpf.o');
    const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
    const { status, stderr } = spawnSync('clang-19', ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-idirafter', `/usr/include/${machine}-linux-gnu`, '-c', source, '-o', output], { encoding: 'utf8' });
    if (status !== 0) throw new LabError(`${source} does not compile: ${stderr}`);
    const object = BpfObject.open(output);
    object.load();
    return object;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let loaded: BpfObject | undefined;

/** Puts the switch between the victim and its cables, on. */
export async function wirePower(): Promise<void> {
  loaded ??= load();
  loaded.map('power').update(word(0), word(1));
  // Pinned where `ip` of another namespace finds it; down() removes what is mounted here.
  const folder = join(stateFolder, 'power');
  mkdirSync(folder, { recursive: true });
  await run('mount', ['-t', 'bpf', 'bpf', folder]);
  const pinned = join(folder, 'power_xdp');
  loaded.program('power_xdp').pin(pinned);
  const ports = cabling.links.flatMap(({ ends: [machine, port] }) => (machine.node === victim.node ? [port] : []));
  for (const { node, interface: name } of ports) {
    await batch([`link set ${name} xdpdrv off`, `link set ${name} xdpdrv pinned ${pinned}`], node);
  }
}

/** From this moment on nothing that the victim sends arrives anywhere. */
export function cutPower(): void {
  loaded?.map('power').update(word(0), word(0));
}
