/** The configuration that is in force: compiled, planned, applied, and remembered beside the maps. */
import { join } from 'node:path';
import type { BpfMap, BpfObject } from 'libbpf-ts';
import { compile } from '../compile/compile.js';
import type { CompiledState } from '../compile/compile.js';
import type { Facts } from '../compile/facts.js';
import { mapSizes } from '../compile/map-sizes.js';
import { plan } from '../compile/plan.js';
import type { Configuration } from '../config/schema.js';
import { applyChanges } from './apply.js';
import { unmountBpffs } from './bpffs.js';
import { readCheckpoint, removeCheckpoint, writeCheckpoint } from './checkpoint.js';
import { DataPlane, detachDataPlane } from './dataplane.js';
import { takeEpoch } from './epoch.js';
import type { PortTables } from './port-tables.js';

export interface InstallationOptions {
  readonly objectPath: string;
  readonly configuration: Configuration;
  readonly facts: Facts;
  readonly checkLayout: (object: BpfObject, name: string, pinned: BpfMap) => void;
  /** A sentence about state that had to be given up. */
  readonly onDiscard: (sentence: string) => void;
}

/** Paths under the state directory. */
export function statePaths(stateDirectory: string): { pins: string; checkpoint: string; epoch: string; socket: string } {
  return {
    pins: join(stateDirectory, 'bpf'),
    checkpoint: join(stateDirectory, 'checkpoint.json'),
    epoch: join(stateDirectory, 'epoch'),
    socket: join(stateDirectory, 'api.sock'),
  };
}

/** Detaches all programs and gives up all state of a gateway that is not running. Returns the roles that were attached. */
export function giveUp(stateDirectory: string): string[] {
  const { pins, checkpoint } = statePaths(stateDirectory);
  const roles = detachDataPlane(pins);
  unmountBpffs(pins);
  removeCheckpoint(checkpoint);
  return roles;
}

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
    // An earlier daemon may have died between two steps: everything is written again.
    this.#apply(previous === undefined ? plan(undefined, state) : plan(asFixed(previous, state), state, 'everything'));
    this.#state = state;
    writeCheckpoint(checkpoint, state);
  }

  get state(): CompiledState {
    return this.#state;
  }

  /**
   * Changes what differs, and only that. Returns the number of changes.
   * @throws Error with the reasons when it needs a restart; nothing has changed then
   */
  change(configuration: Configuration, facts: Facts): number {
    const next = compile(configuration, facts, this.#state);
    const changes = plan(this.#state, next);
    const restarts = changes.flatMap((change) => (change.operation === 'restart' ? [change.sentence] : []));
    if (restarts.length > 0) throw new Error(restarts.join(' '));
    this.#apply(changes);
    this.#state = next;
    writeCheckpoint(this.#checkpoint, next);
    return changes.length;
  }

  #apply(changes: ReturnType<typeof plan>): void {
    const { maps, roles } = this.dataPlane;
    applyChanges(changes, { maps, roles, ports: this.#ports, runSystemCall: (program, context) => this.dataPlane.runSystemCall(program, context) });
  }
}

/** At a restart, interfaces may be others than they were: they are attached anew, and sizes were compared before. */
function asFixed(previous: CompiledState, next: CompiledState): CompiledState {
  return { ...previous, fixed: next.fixed, maps: { ...previous.maps, ports: next.maps.ports } };
}

/** What the pinned maps hold; maps that this configuration cannot go on with are given up. */
function usableCheckpoint({ configuration, onDiscard }: InstallationOptions, paths: ReturnType<typeof statePaths>): CompiledState | undefined {
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

