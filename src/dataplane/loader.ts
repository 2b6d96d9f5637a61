/**
 * Programs and maps: loads the object, adopts the maps of an earlier daemon,
 * pins new ones. Maps outlive daemons; programs are loaded anew by each and put
 * in place of the old ones without a gap (see xdp.ts).
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BpfMap, BpfObject } from 'libbpf-ts';

export interface LoadRequest {
  /** dist/bpf/floatgate.bpf.o */
  readonly objectPath: string;
  /** A directory on a BPF file system. */
  readonly pinDirectory: string;
  /** max_entries of the maps whose size the configuration decides. */
  readonly mapSizes: Readonly<Record<string, number>>;
  /** @throws Error with one sentence when a pinned map has another layout than the object's. */
  readonly checkLayout: (object: BpfObject, name: string, pinned: BpfMap) => void;
}

export interface Loaded {
  readonly object: BpfObject;
  /** True: the maps are an earlier daemon's, with its state. */
  readonly adopted: boolean;
}

/** A pinned map cannot be used by this daemon with this configuration. */
export class AdoptionError extends Error {}

/** .rodata and the like belong to one load of the object. */
const isShared = (name: string): boolean => !name.includes('.');

/** @throws AdoptionError, or SystemError with the verifier's last words. */
export function loadPrograms(request: LoadRequest): Loaded {
  const object = BpfObject.open(request.objectPath);
  try {
    for (const [name, entries] of Object.entries(request.mapSizes)) object.map(name).setMaxEntries(entries);
    const directory = mapsDirectory(request.pinDirectory);
    const adopted = existsSync(directory);
    const replaced = adopted ? adoptMaps(object, directory, request) : [];
    object.load();
    if (!adopted) pinMaps(object, directory);
    for (const name of replaced) replacePin(object.map(name), join(directory, name));
    return { object, adopted };
  } catch (error) {
    object.close();
    throw error;
  }
}

/** The programs of the TC hook, which share all maps. @throws Error when the two objects are not of one version, SystemError with the verifier's last words */
export function loadTwin(object: BpfObject, { objectPath, checkLayout }: LoadRequest): BpfObject {
  const twin = BpfObject.open(join(dirname(objectPath), `${basename(objectPath, '.bpf.o')}-tc.bpf.o`));
  try {
    for (const [name, map] of twin.maps) {
      if (!isShared(name)) continue;
      const shared = object.map(name);
      checkLayout(twin, name, shared);
      map.setMaxEntries(shared.info.maxEntries);
      map.reuse(shared);
    }
    twin.load();
    return twin;
  } catch (error) {
    twin.close();
    throw error;
  }
}

export function mapsDirectory(pinDirectory: string): string {
  return join(pinDirectory, 'maps');
}

/**
 * What an upgrade may begin anew: scratch memory, and what nothing is forwarded
 * by for longer than a moment. Another version counts other reasons.
 */
const expendable: ReadonlySet<string> = new Set(['counters', 'events', 'commits', 'walks', 'packets', 'siphash_jobs', 'icmp_budgets', 'bfd_sessions', 'bfd_budgets', 'fragments']);

/** Returns the names of maps that are not adopted but made anew. */
function adoptMaps(object: BpfObject, directory: string, request: LoadRequest): string[] {
  const pinned = new Set(readdirSync(directory));
  const anew: string[] = [];
  for (const [name, map] of object.maps) {
    if (!isShared(name)) continue;
    if (expendable.has(name) && !(pinned.has(name) && isSame(object, name, directory, request))) {
      anew.push(name);
      continue;
    }
    if (!pinned.has(name)) throw new AdoptionError(`${directory} has no map ${name}: it was pinned by another version; ${remedy}`);
    const found = BpfMap.openPinned(join(directory, name));
    checkMap(object, name, found, request);
    checkShape(name, found, map);
    map.reuse(found);
    found.close();
  }
  return anew;
}

function isSame(object: BpfObject, name: string, directory: string, request: LoadRequest): boolean {
  const found = BpfMap.openPinned(join(directory, name));
  try {
    checkMap(object, name, found, request);
    checkShape(name, found, object.map(name));
    return true;
  } catch (error) {
    if (error instanceof AdoptionError) return false;
    throw error;
  } finally {
    found.close();
  }
}

function replacePin(map: BpfMap, path: string): void {
  rmSync(path, { force: true });
  map.pin(path);
}

const remedy = 'run `floatgate detach` to give up its state, or start the version that pinned it';

function checkMap(object: BpfObject, name: string, found: BpfMap, { checkLayout }: LoadRequest): void {
  try {
    checkLayout(object, name, found);
  } catch (error) {
    throw new AdoptionError(`the state of an earlier daemon cannot be adopted, ${(error as Error).message}: ${remedy}`);
  }
}

/** Everything that bpf_map__reuse_fd would not have checked. */
function checkShape(name: string, found: BpfMap, wanted: BpfMap): void {
  for (const field of ['type', 'keySize', 'valueSize', 'maxEntries'] as const) {
    const [is, wants] = [found.info[field], wanted.info[field]];
    if (is !== wants) throw new AdoptionError(`the pinned map ${name} has ${field} ${is}, this daemon needs ${wants}: ${remedy}`);
  }
}

/** All or none: a daemon that dies while it pins leaves nothing that another would adopt. */
function pinMaps(object: BpfObject, directory: string): void {
  const unfinished = `${directory}_new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  for (const [name, map] of object.maps) if (isShared(name)) map.pin(join(unfinished, name));
  renameSync(unfinished, directory);
}
