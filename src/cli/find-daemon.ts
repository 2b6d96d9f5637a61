/** Which gateway is meant when nobody says so: the one that there is. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { answers } from '../api/answers.js';
import { statePaths } from '../dataplane/state-paths.js';

/**
 * The socket of the only daemon that answers in `directory` or in one of its
 * folders, where gateways that share a machine have theirs.
 * @throws Error saying how to name one when there is none or more than one
 */
export async function findDaemon(directory: string): Promise<string> {
  const places = [directory, ...foldersOf(directory)];
  const alive = await Promise.all(places.map((place) => answers(statePaths(place).socket)));
  const [found, ...others] = places.filter((_, index) => alive[index]);
  if (found === undefined) {
    throw new Error(`no floatgate daemon answers on ${statePaths(directory).socket} or in a folder of ${directory}: name its configuration file (-c) or its stateDirectory (-s)`);
  }
  if (others.length > 0) throw new Error(`several floatgate daemons answer, name one of them: ${[found, ...others].map((place) => `-s ${place}`).join(', ')}`);
  return statePaths(found).socket;
}

function foldersOf(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name)).sort();
  } catch {
    return [];
  }
}
