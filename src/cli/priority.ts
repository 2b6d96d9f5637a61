import { constants, setPriority } from 'node:os';

/**
 * An election must not be lost to a busy machine: false takeovers because the
 * daemon was starved are what users of others complain about most. Without the
 * right to it (CAP_SYS_NICE) everything works, only later.
 */
export function raisePriority(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    // The heartbeats have a thread and a priority of their own.
  }
}
