// What is done to gw-a.
import { monotonicMs } from '../../src/lab/clock.js';
import { batch } from '../../src/lab/network.js';
import type { LabState } from '../../src/lab/state.js';
import { victim } from './cabling.js';
import { cutPower } from './power.js';
import type { System } from './system.js';

export const scenarios = ['crash', 'kill', 'link', 'planned'] as const;
export type Scenario = (typeof scenarios)[number];

export interface Fault {
  readonly fromMs: number;
  /** When all of it was done; for a planned move, when the command has returned. CLOCK_MONOTONIC, as fromMs. */
  readonly toMs: number;
}

const inflictions: Readonly<Record<Scenario, (system: System, state: LabState) => Promise<void>>> = {
  /** The machine loses power: its cables first, for daemons that died before would be missed before the first packet is. */
  crash: async (system, state) => {
    cutPower();
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
