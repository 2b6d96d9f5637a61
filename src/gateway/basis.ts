/** What every part of a gateway stands on. */
import type { RouteNetlink } from 'libbpf-ts';
import { checkFacts } from '../compile/facts.js';
import type { Facts } from '../compile/facts.js';
import type { Configuration } from '../config/schema.js';
import type { DataPlane } from '../dataplane/dataplane.js';
import type { Installation } from '../dataplane/installation.js';
import type { NodeInterface, Role } from '../dataplane/interfaces.js';
import { factsOf } from '../dataplane/node.js';
import { ConfigurationRefused } from '../files/configuration-file.js';
import { readKeyFile } from '../files/key-file.js';
import type { Logger } from '../log.js';

/** Changes as a whole, at a reload. */
export interface InForce {
  readonly configuration: Configuration;
  readonly nodes: readonly NodeInterface[];
}

export class Basis {
  readonly log: Logger;
  readonly netlink: RouteNetlink;
  readonly installation: Installation;
  inForce: InForce;

  constructor(parts: { readonly log: Logger; readonly netlink: RouteNetlink; readonly installation: Installation; readonly inForce: InForce }) {
    this.log = parts.log;
    this.netlink = parts.netlink;
    this.installation = parts.installation;
    this.inForce = parts.inForce;
  }

  get dataPlane(): DataPlane {
    return this.installation.dataPlane;
  }

  get configuration(): Configuration {
    return this.inForce.configuration;
  }

  /** @throws Error for a role that the configuration does not give to an interface */
  node(role: Role): NodeInterface {
    const node = this.inForce.nodes.find((candidate) => candidate.role === role);
    if (node === undefined) throw new Error(`interfaces.${role} is missing`);
    return node;
  }
}

/** Replicates: has a peer, and something to tell it. */
export function replicates({ peer, sync }: Configuration): boolean {
  return peer !== undefined && sync.mode !== 'none';
}

/** @throws KeyFileError; ConfigurationRefused when an address is the node's own */
export function checkedFacts({ configuration, nodes }: InForce, log: Logger): Facts {
  const facts = factsOf(nodes, readKeys(configuration, log));
  const problems = checkFacts(configuration, facts);
  if (problems.length > 0) throw new ConfigurationRefused(problems.join('\n'));
  return facts;
}

function readKeys({ sync: { keyFile, mode } }: Configuration, log: Logger): Pick<Facts, 'key' | 'otherKey'> {
  if (keyFile === undefined || mode === 'none') return {};
  const { keys, warning } = readKeyFile(keyFile);
  if (warning !== undefined) log.warn(warning);
  return keys;
}

/** CLOCK_MONOTONIC, the programs' clock. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}
