// What is done to gw-a.
import { monotonicMs } from '../../src/lab/clock.js';
import { batch, setLinks } from '../../src/lab/network.js';
import type { LabState } from '../../src/lab/state.js';
import { cabling, victim } from './cabling.js';
import type { System } from './system.js';

export const scenarios = ['crash', 'kill', 'link', 'planned'] as const;
export type Scenario = (typeof scenarios)[number];

export interface Fault {
  readonly fromMs: number;
  /** When all of it was done; for a planned move, when the command has returned. CLOCK_MONOTONIC, as fromMs. */
  readonly toMs: number;
}

const inflictions: Readonly<Record<Scenario, (system: System, state: LabState) => Promise<void>>> = {
  /** The machine loses power. Links first: daemons that died before would be missed before the first packet is. */
  crash: async (system, state) => {
    await setLinks(cabling, victim.node, 'down');
    system.kill(state, victim.node);
  },
  kill: async (system, state) => system.kill(state, victim.node),
  link: async () => batch(['link set underlay0 down'], victim.node),
  planned: (system, state) => system.leave(state, victim.node),
};

export async function inflict(scenario: Scenario, system: System, state: LabState): Promise<Fault> {
  const fromMs = monotonicMs();
  await inflictions[scenario](system, state);
  return { fromMs, toMs: monotonicMs() };
}
