// The victim's power switch: see power.bpf.c.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BpfObject } from 'libbpf-ts';
import { batch } from '../../src/lab/network.js';
import { run } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';
import { word } from '../hot-path/world.js';
import { loadBpf } from '../load-bpf.js';
import { cabling, victim } from './cabling.js';

let loaded: BpfObject | undefined;

/** Puts the switch between the victim and its cables, on. */
export async function wirePower(): Promise<void> {
  loaded ??= loadBpf(new URL('power.bpf.c', import.meta.url));
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
