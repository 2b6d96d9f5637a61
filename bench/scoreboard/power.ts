// A machine's power switch: see power.bpf.c.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BpfObject } from 'libbpf-ts';
import { batch } from '../../src/lab/network.js';
import { run } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';
import type { Cabling } from '../../src/lab/topology.js';
import { word } from '../hot-path/world.js';
import { loadBpf } from '../load-bpf.js';

let loaded: BpfObject | undefined;

/** Puts the switch between a machine and those of its cables that end at a network switch, on. */
export async function wirePower({ nodes, links }: Cabling, machine: string): Promise<void> {
  loaded ??= loadBpf(new URL('power.bpf.c', import.meta.url));
  givePower();
  // Pinned where `ip` of another namespace finds it; down() removes what is mounted here.
  const folder = join(stateFolder, 'power');
  mkdirSync(folder, { recursive: true });
  await run('mount', ['-t', 'bpf', 'bpf', folder]);
  const pinned = join(folder, 'power_xdp');
  loaded.program('power_xdp').pin(pinned);
  const isSwitch = (node: string): boolean => nodes.some(({ name, kind }) => name === node && kind === 'switch');
  const ports = links.flatMap(({ ends: [end, port] }) => (end.node === machine && isSwitch(port.node) ? [port] : []));
  for (const { node, interface: name } of ports) {
    await batch([`link set ${name} xdpdrv off`, `link set ${name} xdpdrv pinned ${pinned}`], node);
  }
}

export function givePower(): void {
  loaded?.map('power').update(word(0), word(1));
}

/** From this moment on nothing that the machine sends by those cables arrives anywhere. */
export function cutPower(): void {
  loaded?.map('power').update(word(0), word(0));
}
