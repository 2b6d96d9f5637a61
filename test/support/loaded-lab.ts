/** The lab with load on it, and what must not happen to that load. */
import { expect } from 'vitest';
import { up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import type { Topology } from '../../src/lab/topology.js';
import { RunningLab, type Observed } from './running-lab.js';

export interface LoadedLab {
  readonly lab: RunningLab;
  readonly load: Load;
}

/** Resolves when every session and flow gets answers. Taken down by `downIfOurs`. */
export async function loadedLab(size: { readonly connections: number; readonly flows: number }, topology?: Topology): Promise<LoadedLab> {
  const lab = new RunningLab(await up({ sync: 'strict', say: () => {}, ...(topology && { topology }) }, 'running'));
  const load = new Load(lab.state, size);
  await load.start();
  return { lab, load };
}

/** Everything that was sent came back, and everything that ran goes on. */
export function expectNothingLost({ windows, progress: { sessions, flows } }: Observed<unknown>): void {
  const told = JSON.stringify(windows, undefined, 1);
  expect(windows.map(({ window }) => window.lost), told).toEqual(windows.map(() => 0));
  for (const { window } of windows) expect(window.sent, told).toBeGreaterThan(200);
  expect([...sessions.broken, ...flows.broken]).toEqual([]);
}
