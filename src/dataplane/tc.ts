/**
 * Programs on interfaces, by filters of the clsact queueing discipline: they
 * belong to the interface and outlive us. Which ones are ours is noted by
 * pinning the program under a name that says where its filter is.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SystemError, TcAttachment } from 'libbpf-ts';
import type { BpfProgram } from 'libbpf-ts';

/** Others may have filters of their own before and behind ours. */
const PRIORITY = 100;
const HANDLE = 0xf10a7;

export interface TcRequest {
  /** 'underlay' | 'external' */
  readonly role: string;
  readonly interfaceName: string;
  readonly ifindex: number;
}

function notesDirectory(pinDirectory: string): string {
  return join(pinDirectory, 'filters');
}

function noteOf(role: string, ifindex: number): string {
  return `${role}-${ifindex}`;
}

/** True: the filter of an earlier daemon was replaced in place. */
export function attachFilter(program: BpfProgram, pinDirectory: string, { role, ifindex, interfaceName }: TcRequest): boolean {
  const directory = notesDirectory(pinDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, noteOf(role, ifindex));
  const replaced = existsSync(path);
  // First the note: a filter that nobody knows of would translate for ever.
  rmSync(path, { force: true });
  program.pin(path);
  try {
    if (replaced) TcAttachment.at(ifindex, 'ingress', PRIORITY, HANDLE).update(program);
    else program.attachTc(ifindex, 'ingress', { priority: PRIORITY, handle: HANDLE });
  } catch (error) {
    if (!replaced) rmSync(path, { force: true });
    throw error instanceof SystemError ? attachError(error, interfaceName) : error;
  }
  detachNotes(directory, (note) => note.startsWith(`${role}-`) && note !== noteOf(role, ifindex));
  return replaced;
}

function attachError(error: SystemError, interfaceName: string): Error {
  if (error.code === 'EEXIST') {
    return new Error(`another TC filter is attached to ${interfaceName} at our place, perhaps of a gateway whose state directory is lost: remove it first (tc filter del dev ${interfaceName} ingress pref ${PRIORITY})`, { cause: error });
  }
  return new Error(`${interfaceName} does not take a TC filter: ${error.message}`, { cause: error });
}

/** Whether an earlier daemon's filter is there. */
export function hasFilter(pinDirectory: string, role: string, ifindex: number): boolean {
  return existsSync(join(notesDirectory(pinDirectory), noteOf(role, ifindex)));
}

/** Removes the filters of all roles but `except`. Returns the roles. */
export function detachFilters(pinDirectory: string, except: readonly string[] = []): string[] {
  return detachNotes(notesDirectory(pinDirectory), (note) => !except.includes(roleOf(note)));
}

function roleOf(note: string): string {
  return note.slice(0, note.lastIndexOf('-'));
}

function detachNotes(directory: string, which: (note: string) => boolean): string[] {
  if (!existsSync(directory)) return [];
  const notes = readdirSync(directory).filter(which);
  for (const note of notes) {
    detach(Number(note.slice(note.lastIndexOf('-') + 1)));
    rmSync(join(directory, note));
  }
  return notes.map(roleOf);
}

/** The filter goes with its interface or its queueing discipline. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENODEV', 'EINVAL']);

function detach(ifindex: number): void {
  try {
    TcAttachment.at(ifindex, 'ingress', PRIORITY, HANDLE).detach();
  } catch (error) {
    if (!(error instanceof SystemError) || !GONE.has(error.code)) throw error;
  }
}
