/** Which hook a role's program runs at: XDP in the driver, XDP behind it, or TC. At one of them, never at two. */
import { SystemError } from 'libbpf-ts';
import type { BpfProgram } from 'libbpf-ts';
import type { FrameSource } from './frame-source.js';
import type { NodeInterface, Role } from './interfaces.js';
import { attachFilter, detachFilters, hasFilter } from './tc.js';
import { attachProgram, detachPrograms } from './xdp.js';
import type { XdpMode } from './xdp.js';

export type HookMode = XdpMode | 'tc';

export interface AttachedInterface {
  readonly node: NodeInterface;
  readonly mode: HookMode;
  /** The program of an earlier daemon was replaced in place. */
  readonly replaced: boolean;
}

export interface HookPrograms {
  xdp(role: Role): BpfProgram;
  tc(role: FrameSource): BpfProgram;
}

export type WantedModes = Readonly<Partial<Record<Role, HookMode | 'auto'>>>;

/** @param chosen is told why `auto` is not native */
export function attachHooks(pinDirectory: string, programs: HookPrograms, nodes: readonly NodeInterface[], modes: WantedModes, chosen: (sentence: string) => void): AttachedInterface[] {
  const roles = nodes.map(({ role }) => role);
  // Roles that the configuration has no longer.
  detachPrograms(pinDirectory, roles);
  detachFilters(pinDirectory, roles);
  const attach = (node: NodeInterface, mode: HookMode): AttachedInterface => attachAt(pinDirectory, programs, node, mode);
  const [auto, said] = [nodes.filter(isOpen(modes)), nodes.filter((node) => !isOpen(modes)(node))];
  const decided = said.some(({ role }) => modes[role] !== 'native') || auto.some(({ role, ifindex }) => hasFilter(pinDirectory, role, ifindex));
  const attached = attachAuto(auto, decided, attach, chosen);
  return nodes.map((node) => attached.find((done) => done.node === node) ?? attach(node, modes[node.role] as HookMode));
}

function isOpen(modes: WantedModes): (node: NodeInterface) => boolean {
  return ({ role }) => (modes[role] ?? 'auto') === 'auto';
}

/**
 * Native XDP sends only by drivers that have it, so it is for all of them or for
 * none: programs send to each other's interfaces.
 * @param decided it is not for all of them, as is known before they are asked
 */
function attachAuto(nodes: readonly NodeInterface[], decided: boolean, attach: (node: NodeInterface, mode: HookMode) => AttachedInterface, chosen: (sentence: string) => void): AttachedInterface[] {
  if (!decided) {
    try {
      return nodes.map((node) => attach(node, 'native'));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      chosen((error as Error).message);
    }
  }
  return nodes.map((node) => attach(node, node.role === 'ha' ? 'generic' : 'tc'));
}

/** The driver, not somebody else who is there already. */
function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof SystemError && !['EBUSY', 'EEXIST', 'EPERM', 'ENODEV'].includes(cause.code);
}

/** The new hook first: what passes the one is passed by the other as well, so for that moment nothing is translated twice. */
function attachAt(pinDirectory: string, programs: HookPrograms, node: NodeInterface, mode: HookMode): AttachedInterface {
  const { role, name: interfaceName, ifindex } = node;
  const others = (['underlay', 'external', 'ha'] as const).filter((other) => other !== role);
  if (mode === 'tc') {
    if (role === 'ha') throw new Error(`interfaces.ha.mode: ${interfaceName} cannot run at tc`);
    const replaced = attachFilter(programs.tc(role), pinDirectory, { role, interfaceName, ifindex });
    detachPrograms(pinDirectory, others);
    return { node, mode, replaced };
  }
  const { mode: is, replaced } = attachProgram(programs.xdp(role), pinDirectory, { role, interfaceName, ifindex, mode });
  detachFilters(pinDirectory, others);
  return { node, mode: is, replaced };
}
