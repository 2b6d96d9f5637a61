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
}

function linksDirectory(pinDirectory: string): string {
  return join(pinDirectory, 'links');
}

export function attachProgram(program: BpfProgram, pinDirectory: string, request: AttachRequest): Attached {
  const directory = linksDirectory(pinDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, request.role);
  return replaceProgram(program, path, request) ?? attachAnew(program, path, request);
}

/** Undefined when there is no link to adopt: none pinned, its interface is gone, or another mode is wanted. */
function replaceProgram(program: BpfProgram, path: string, request: AttachRequest): Attached | undefined {
  if (!existsSync(path)) return undefined;
  const link = BpfLink.openPinned(path);
  const mode = link.info.ifindex === request.ifindex ? link.mode : undefined;
  const wanted = mode !== undefined && (request.mode === 'auto' || request.mode === mode);
  if (wanted && updated(link, program)) {
    // Pinned, it goes on without our descriptor.
    link.close();
    return { mode, replaced: true };
  }
  rmSync(path);
  endLink(link);
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

function endLink(link: BpfLink): void {
  try {
    link.detach();
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== 'ENOLINK') throw error;
  } finally {
    link.close();
  }
}

function attachAnew(program: BpfProgram, path: string, request: AttachRequest): Attached {
  try {
    const link = program.attachXdp(request.ifindex, request.mode);
    link.pin(path);
    const mode = link.mode ?? 'generic';
    link.close();
    return { mode, replaced: false };
  } catch (error) {
    throw error instanceof SystemError ? attachError(error, request) : error;
  }
}

function attachError(error: SystemError, { interfaceName, mode }: AttachRequest): Error {
  if (error.code === 'EBUSY' || error.code === 'EEXIST') {
    return new Error(`another XDP program is attached to ${interfaceName}: detach it first (ip link set dev ${interfaceName} xdp off)`, { cause: error });
  }
  const hint = mode === 'native' ? ' (mode: auto would do without)' : '';
  return new Error(`${interfaceName} does not take an XDP program in mode ${mode}${hint}: ${error.message}`, { cause: error });
}

/** Ends the links of all roles but `except`: the programs are detached, whoever else holds them. Returns the roles. */
export function detachPrograms(pinDirectory: string, except: readonly string[] = []): string[] {
  const directory = linksDirectory(pinDirectory);
  if (!existsSync(directory)) return [];
  const roles = readdirSync(directory).filter((role) => !except.includes(role));
  for (const role of roles) {
    const link = BpfLink.openPinned(join(directory, role));
    rmSync(join(directory, role));
    endLink(link);
  }
  return roles;
}
