import { join } from 'node:path';

/** What a gateway keeps in its state directory. */
export interface StatePaths {
  /** A BPF file system of its own. */
  readonly pins: string;
  readonly checkpoint: string;
  readonly epoch: string;
  /** What the cards let in because of us. */
  readonly filters: string;
  /** Which virtual routers were drained. */
  readonly drained: string;
  /** Of the local API. */
  readonly socket: string;
}

export function statePaths(stateDirectory: string): StatePaths {
  return {
    pins: join(stateDirectory, 'bpf'),
    checkpoint: join(stateDirectory, 'checkpoint.json'),
    epoch: join(stateDirectory, 'epoch'),
    filters: join(stateDirectory, 'card-filters.json'),
    drained: join(stateDirectory, 'drained.json'),
    socket: join(stateDirectory, 'api.sock'),
  };
}
