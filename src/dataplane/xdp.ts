/**
 * Programs on interfaces, by pinned links: the link keeps the program running
 * without us, and a new program is put into it in place.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfLink, SystemError } from 'libbpf-ts';
import type { BpfProgram } from 'libbpf-ts';

export type XdpMode = 'native' | 'generic';

export interface AttachRequest {
  /** 'underlay' | 'external' | 'ha': names the pin. */
  readonly role: string;
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly mode: XdpMode | 'auto';
}

export interface Attached {
  readonly mode: XdpMode;
  /** True: the program of an earlier daemon was replaced in place. */
  readonly replaced: boolean;
  readonly link: BpfLink;
}

/** The mode is part of the pin's name: the kernel does not tell it of a link. */
const modes: readonly XdpMode[] = ['native', 'generic'];

export function linksDirectory(pinDirectory: string): string {
  return join(pinDirectory, 'links');
}

export function attachProgram(program: BpfProgram, pinDirectory: string, request: AttachRequest): Attached {
  const directory = linksDirectory(pinDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return replaceProgram(program, directory, request) ?? attachAnew(program, directory, request);
}

/** Undefined when there is no link to adopt: none pinned, its interface is gone, or another mode is wanted. */
function replaceProgram(program: BpfProgram, directory: string, request: AttachRequest): Attached | undefined {
  for (const mode of modes) {
    const path = join(directory, `${request.role}_${mode}`);
    if (!existsSync(path)) continue;
    const link = BpfLink.openPinned(path);
    const wanted = request.mode === 'auto' || request.mode === mode;
    if (wanted && link.info.ifindex === request.ifindex && updated(link, program)) return { mode, replaced: true, link };
    // Closing the last reference detaches, which is what frees the interface for the new link.
    rmSync(path);
    link.close();
  }
  return undefined;
}

/** The link of an interface that was deleted stays pinned, and refuses with ENOLINK. */
function updated(link: BpfLink, program: BpfProgram): boolean {
  try {
    link.update(program);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOLINK') return false;
    throw error;
  }
}

function attachAnew(program: BpfProgram, directory: string, request: AttachRequest): Attached {
  const { link, mode } = attachInMode(program, request);
  link.pin(join(directory, `${request.role}_${mode}`));
  return { mode, replaced: false, link };
}

function attachInMode(program: BpfProgram, request: AttachRequest): { link: BpfLink; mode: XdpMode } {
  const { ifindex, interfaceName } = request;
  if (request.mode !== 'generic') {
    try {
      return { link: program.attachXdp(ifindex, 'native'), mode: 'native' };
    } catch (error) {
      if (request.mode === 'native') throw new Error(`${interfaceName} does not take a native XDP program (mode: auto would fall back): ${(error as Error).message}`);
      // EBUSY: someone else's program is there; generic mode beside it would see nothing.
      if (error instanceof SystemError && error.code === 'EBUSY') throw occupied(interfaceName);
    }
  }
  try {
    return { link: program.attachXdp(ifindex, 'generic'), mode: 'generic' };
  } catch (error) {
    if (error instanceof SystemError && (error.code === 'EBUSY' || error.code === 'EEXIST')) throw occupied(interfaceName);
    throw error;
  }
}

function occupied(interfaceName: string): Error {
  return new Error(`another XDP program is attached to ${interfaceName}: detach it first (ip link set dev ${interfaceName} xdp off)`);
}

/** Unpins all links, which detaches the programs unless somebody else holds them. */
export function detachPrograms(pinDirectory: string): string[] {
  const directory = linksDirectory(pinDirectory);
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory);
  for (const name of names) {
    const link = BpfLink.openPinned(join(directory, name));
    try {
      link.detach();
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'ENOLINK') throw error;
    }
    rmSync(join(directory, name));
    link.close();
  }
  return names;
}
