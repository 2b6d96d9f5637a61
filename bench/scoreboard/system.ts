// What the scoreboard asks of a pair of gateways, whoever made them.
import type { LabState } from '../../src/lab/state.js';

export interface StartOptions {
  readonly advertisementIntervalMs: number;
  readonly signal: AbortSignal;
}

export interface System {
  readonly name: string;
  /** Returns when gw-a is Active, gw-b is Backup, and gw-b follows gw-a's sessions. */
  start(state: LabState, options: StartOptions): Promise<void>;
  /** Waits until gw-b holds at least so many sessions. */
  replicated(state: LabState, sessions: number, signal: AbortSignal): Promise<void>;
  /** kill -9 of every daemon of the node: nothing says goodbye, nothing starts anything again. */
  kill(state: LabState, node: string): void;
  /** What an administrator does before maintenance of the node. */
  leave(state: LabState, node: string): Promise<void>;
}
