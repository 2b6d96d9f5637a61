/** The configuration that is in force: compiled, planned, applied, and remembered beside the maps. */
import { setImmediate } from 'node:timers/promises';
import { RouteNetlink } from 'libbpf-ts';
import type { BpfMap, BpfObject } from 'libbpf-ts';
import { compile } from '../compile/compile.js';
import type { CompiledState } from '../compile/compile.js';
import type { Facts } from '../compile/facts.js';
import { mapSizes } from '../compile/map-sizes.js';
import { plan } from '../compile/plan.js';
import type { Change } from '../compile/plan.js';
import type { Configuration } from '../config/schema.js';
import { applyChange } from './apply.js';
import type { ApplyTargets } from './apply.js';
import { unmountBpffs } from './bpffs.js';
import { closeFilters } from './card-filters.js';
import { announceCheckpoint, confirmCheckpoint, readAbandoned, readCheckpoint, removeCheckpoint, withdrawCheckpoint } from './checkpoint.js';
import { DataPlane, detachDataPlane } from './dataplane.js';
import { takeEpoch } from './epoch.js';
import type { PortTables } from './port-tables.js';
import { statePaths } from './state-paths.js';
import type { StatePaths } from './state-paths.js';

export interface InstallationOptions {
  readonly objectPath: string;
  readonly configuration: Configuration;
  readonly facts: Facts;
  readonly checkLayout: (object: BpfObject, name: string, pinned: BpfMap) => void;
  /** A sentence about state that had to be given up. */
  readonly onDiscard: (sentence: string) => void;
}

/** Detaches all programs and gives up all state of a gateway that is not running. Returns the roles that were attached. */
export async function giveUp(stateDirectory: string): Promise<string[]> {
  const { pins, checkpoint, filters } = statePaths(stateDirectory);
  const roles = detachDataPlane(pins);
  unmountBpffs(pins);
  removeCheckpoint(checkpoint);
  const netlink = new RouteNetlink();
  try {
    await closeFilters(filters, netlink);
  } finally {
    netlink.close();
  }
  return roles;
}

/** Good for the state that it was prepared from. */
export interface PreparedChange {
  readonly next: CompiledState;
  readonly changes: readonly Change[];
}

/** How long the event loop is held at a time, ms. */
const SLICE_MS = 2;

export class Installation {
  readonly dataPlane: DataPlane;
  readonly #ports: PortTables;
  readonly #checkpoint: string;
  #state: CompiledState;

  /** Loads or adopts, and puts the configuration in force. Nothing is attached yet. */
  static open(options: InstallationOptions): Installation {
    const { configuration, facts } = options;
    const paths = statePaths(configuration.stateDirectory);
    const found = usableCheckpoint(options, paths);
    const dataPlane = DataPlane.open({
      objectPath: options.objectPath, pinDirectory: paths.pins, mapSizes: mapSizes(configuration), checkLayout: options.checkLayout,
    });
    try {
      const previous = dataPlane.adopted ? found : undefined;
      if (!dataPlane.adopted) dataPlane.writeGateway({ epoch: takeEpoch(paths.epoch, Date.now()) });
      return new Installation(dataPlane, paths.checkpoint, compile(configuration, facts, previous), previous);
    } catch (error) {
      dataPlane.close();
      throw error;
    }
  }

  private constructor(dataPlane: DataPlane, checkpoint: string, state: CompiledState, previous: CompiledState | undefined) {
    this.dataPlane = dataPlane;
    this.#checkpoint = checkpoint;
    this.#ports = dataPlane.portTables();
    const held = previous && asFixed(previous, state);
    if (held !== undefined) this.#apply(planRetreat(readAbandoned(checkpoint, state), held));
    announceCheckpoint(checkpoint, state);
    // An earlier daemon may have died between two steps: everything is written again.
    this.#apply(plan(held, state, 'everything'));
    this.#state = state;
    confirmCheckpoint(checkpoint);
  }

  #apply(changes: readonly Change[]): void {
    const targets = this.#targets();
    for (const change of changes) Array.from(applyChange(change, targets));
  }

  get state(): CompiledState {
    return this.#state;
  }

  /**
   * What would have to change, worked out and not yet done; lets the event loop
   * turn on the way, as everything here does after the start.
   * @throws Error with the reasons when it needs a restart
   */
  async prepare(configuration: Configuration, facts: Facts): Promise<PreparedChange> {
    const next = compile(configuration, facts, this.#state);
    await setImmediate();
    const changes = plan(this.#state, next);
    const restarts = changes.flatMap((change) => (change.operation === 'restart' ? [change.sentence] : []));
    if (restarts.length > 0) throw new Error(restarts.join(' '));
    return { next, changes };
  }

  /**
   * Changes what differs, in slices, because elections and heartbeats of the
   * control plane cannot wait until ten thousand floating IPs are bound. One at a time.
   * @throws ApplyError when the kernel refuses a step; what was in force before is so again then
   */
  async carryOut({ next, changes }: PreparedChange): Promise<void> {
    try {
      announceCheckpoint(this.#checkpoint, next);
      await setImmediate();
      await this.#applyInSlices(changes);
      confirmCheckpoint(this.#checkpoint);
    } catch (error) {
      await this.#applyInSlices(plan(next, this.#state, 'everything'));
      withdrawCheckpoint(this.#checkpoint);
      throw error;
    }
    this.#state = next;
  }

  async #applyInSlices(changes: readonly Change[]): Promise<void> {
    const targets = this.#targets();
    let sliceEndsMs = performance.now() + SLICE_MS;
    const breathe = async (): Promise<void> => {
      if (performance.now() < sliceEndsMs) return;
      await setImmediate();
      sliceEndsMs = performance.now() + SLICE_MS;
    };
    for (const change of changes) {
      await breathe();
      for (const _ of applyChange(change, targets)) await breathe();
    }
  }

  #targets(): ApplyTargets {
    const { maps, roles } = this.dataPlane;
    return { maps, roles, ports: this.#ports, runSystemCall: (program, context) => this.dataPlane.runSystemCall(program, context) };
  }
}

/** Back to what the maps held before an earlier daemon began to change them: nothing but its own announcement says what it has added. */
function planRetreat(abandoned: CompiledState | undefined, held: CompiledState): Change[] {
  return abandoned === undefined ? [] : plan(asFixed(abandoned, held), held, 'everything');
}

/** At a restart, interfaces may be others than they were: they are attached anew, and sizes were compared before. */
function asFixed(previous: CompiledState, next: CompiledState): CompiledState {
  return { ...previous, fixed: next.fixed, maps: { ...previous.maps, ports: next.maps.ports } };
}

/** What the pinned maps hold; maps that this configuration cannot go on with are given up. */
function usableCheckpoint({ configuration, onDiscard }: InstallationOptions, paths: StatePaths): CompiledState | undefined {
  const found = readCheckpoint(paths.checkpoint);
  const obstacle = found === undefined ? 'its account of them is missing' : sizeChange(found, configuration);
  if (obstacle === undefined) return found;
  const roles = detachDataPlane(paths.pins);
  removeCheckpoint(paths.checkpoint);
  if (found !== undefined || roles.length > 0) onDiscard(`the state of an earlier daemon was given up: ${obstacle}`);
  return undefined;
}

function sizeChange({ fixed }: CompiledState, { limits, gateway }: Configuration): string | undefined {
  if (fixed.gatewayId !== gateway.id) return `gateway.id was ${fixed.gatewayId} and is ${gateway.id}`;
  const changed = (Object.keys(limits) as (keyof typeof limits)[]).find((limit) => fixed.limits[limit] !== limits[limit]);
  return changed === undefined ? undefined : `limits.${changed} was ${fixed.limits[changed]} and is ${limits[changed]}`;
}
