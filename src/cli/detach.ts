/** `floatgate detach`: what a stopped gateway has left in the kernel, given up. */
import { answers } from '../api/answers.js';
import { giveUp } from '../dataplane/installation.js';
import { statePaths } from '../dataplane/state-paths.js';

/**
 * Detaches the programs, drops all sessions, unmounts the BPF file system, takes the virtual MACs out of the cards' filters.
 * @returns the interface roles from which programs were detached
 * @throws Error while a daemon is running there
 */
export async function detach(stateDirectory: string): Promise<string[]> {
  const { socket } = statePaths(stateDirectory);
  if (await answers(socket)) throw new Error(`a floatgate daemon answers on ${socket}: stop it first`);
  return giveUp(stateDirectory);
}
