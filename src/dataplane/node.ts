/** This node as the configuration's interfaces see it, read through netlink. */
import { parseMac } from '../config/address.js';
import type { Facts, InterfaceFacts } from '../compile/facts.js';
import { resolveInterface } from './interfaces.js';
import type { AddressView, LinkView, NodeInterface, Role } from './interfaces.js';

export interface NodeReader {
  links(): Promise<readonly LinkView[]>;
  addresses(): Promise<readonly AddressView[]>;
}

export type InterfaceNames = { readonly [R in Role]?: { readonly name: string; readonly vlan?: number } | undefined };

const roles: readonly Role[] = ['underlay', 'external', 'ha'];

/** @throws Error naming the interface that is missing or without an address */
export async function readNode(names: InterfaceNames, reader: NodeReader): Promise<NodeInterface[]> {
  const [links, addresses] = await Promise.all([reader.links(), reader.addresses()]);
  return roles.flatMap((role) => {
    const wanted = names[role];
    return wanted === undefined ? [] : [resolveInterface(role, wanted.name, links, addresses, wanted.vlan)];
  });
}

/** What src/compile wants of them. */
export function factsOf(nodes: readonly NodeInterface[], keys: Pick<Facts, 'key' | 'otherKey'>): Facts {
  const of = (role: Role): InterfaceFacts | undefined => {
    const node = nodes.find((candidate) => candidate.role === role);
    return node && { ifindex: node.ifindex, mtu: node.mtu, mac: macText(node.mac), address: node.address, prefixLength: node.prefixLength };
  };
  const [underlay, external] = [of('underlay'), of('external')];
  if (underlay === undefined || external === undefined) throw new Error('a gateway needs an underlay and an external interface');
  return { interfaces: { underlay, external, ha: of('ha') }, ...keys };
}

function macText(mac: Buffer): NonNullable<ReturnType<typeof parseMac>> {
  const text = parseMac(mac.toString('hex').match(/../g)?.join(':') ?? '');
  if (text === undefined) throw new Error('an interface has no Ethernet address');
  return text;
}
