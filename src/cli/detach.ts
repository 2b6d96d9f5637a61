/** `floatgate detach`: what a stopped gateway has left in the kernel, given up. */
import { answers } from '../api/server.js';
import { removeCheckpoint } from '../dataplane/checkpoint.js';
import { detachDataPlane } from '../dataplane/dataplane.js';
import { statePaths } from '../dataplane/installation.js';
import { unmountBpffs } from '../dataplane/bpffs.js';

/**
 * Detaches the programs, drops all sessions, unmounts the BPF file system.
 * @returns the interface roles from which programs were detached
 * @throws Error while a daemon is running there
 */
export async function detach(stateDirectory: string): Promise<string[]> {
  const { pins, checkpoint, socket } = statePaths(stateDirectory);
  if (await answers(socket)) throw new Error(`a floatgate daemon answers on ${socket}: stop it first`);
  const roles = detachDataPlane(pins);
  unmountBpffs(pins);
  removeCheckpoint(checkpoint);
  return roles;
}
