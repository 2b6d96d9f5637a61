// The part of the lab that is on one virtual machine (see Vagrantfile): the same namespaces, links and processes as on a
// single machine, except that a link which leaves the machine is one of its network cards, moved into the namespace.
import { LabError } from './error.js';
import { configureGateways, readStatus, startGateway } from './gateway.js';
import { gatewayReachable } from './lab.js';
import { addLink, makeNetwork } from './network.js';
import { startCompute, startTrunkRouter } from './openvswitch.js';
import { run } from './process.js';
import { startServers } from './servers.js';
import { LabState } from './state.js';
import { namespaceOf, topology, type Link, type LinkEnd, type Topology } from './topology.js';
import { until } from './wait.js';

/** MAC address of the card by the interface that it becomes: `underlay0` → `02:66:67:00:02:01`. */
export type Cards = ReadonlyMap<string, string>;

/** Nodes by machine. The switches are on none: they are the private networks between the machines. */
export const machines: ReadonlyMap<string, readonly string[]> = new Map([
  ...topology.gateways.map(({ node }) => [node, [node]] as const),
  ...topology.computes.map(({ node }) => [node, [node, ...topology.vms.filter(({ compute }) => compute === node).map((vm) => vm.node)]] as const),
  ['outside', ['router', 'router-20', 'outside']] as const,
]);

/** What of the lab is on a machine. Tenants and VMs are whole: a gateway serves those of every compute. */
export function partOn(machine: string): Topology {
  const nodes = machines.get(machine);
  if (nodes === undefined) throw new LabError(`the lab has no machine '${machine}': ${[...machines.keys()].join(', ')}`);
  const isHere = ({ node }: { readonly node: string }) => nodes.includes(node);
  return {
    ...topology,
    nodes: topology.nodes.filter(({ name }) => nodes.includes(name)),
    links: topology.links.filter(({ ends }) => ends.some(isHere)),
    computes: topology.computes.filter(isHere),
    trunkRouters: topology.trunkRouters.filter(isHere),
    gateways: topology.gateways.filter(isHere),
  };
}

/** The end of a link that is here when the other one is not. */
function outwardEnd(part: Topology, { ends }: Link): LinkEnd | undefined {
  const here = ends.filter(({ node }) => part.nodes.some(({ name }) => name === node));
  return here.length === 1 ? here[0] : undefined;
}

/** The interfaces for which a machine needs cards. */
export function outwardInterfaces(part: Topology): string[] {
  return part.links.flatMap((link) => outwardEnd(part, link)?.interface ?? []);
}

export interface MachineOptions {
  readonly cards: Cards;
  /** 32 hexadecimal digits, the same on both gateways. */
  readonly syncKey: string;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes this machine its part of the lab and leaves it up. Gateways answer then; computes have their VMs reach
 * the gateway, so the gateways' machines come first.
 * @throws LabError when the lab is up here already, a card is missing, or a condition does not come
 */
export async function upMachine(machine: string, { cards, syncKey, say, signal }: MachineOptions): Promise<void> {
  const part = partOn(machine);
  const names = await findCards(part, cards, signal);
  const state = LabState.create();
  say(`network: ${part.nodes.map(({ name }) => name).join(', ')}`);
  await makeNetwork(part, state, (link) => plug(part, link, names));
  await Promise.all([
    ...part.computes.map((compute) => startCompute(part, state, compute, signal)),
    ...part.trunkRouters.map((router) => startTrunkRouter(state, router, signal)),
    startServers(part, state, signal),
  ]);
  await configureGateways(part, 'strict', syncKey);
  for (const { node } of part.gateways) {
    say(`gateway: ${node}`);
    startGateway(state, node);
    await until(`the daemon of ${node} to answer`, () => readStatus(state, node), { signal });
  }
  const vms = part.vms.filter(({ node }) => part.nodes.some(({ name }) => name === node));
  for (const vm of vms) say(`VM: ${vm.node}, to reach its gateway through the tunnel`);
  await Promise.all(vms.map((vm) => gatewayReachable(vm, signal)));
  state.setPhase('up');
}

/** Present names of the cards by the interface that they become. The kernel hands cards of a deleted namespace back with a delay. */
async function findCards(part: Topology, cards: Cards, signal?: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const wanted of outwardInterfaces(part)) {
    const mac = cards.get(wanted)?.toLowerCase();
    if (mac === undefined) throw new LabError(`no card is given for ${wanted}; needed are ${outwardInterfaces(part).join(', ')}`);
    found.set(wanted, await until(`a network card with the address ${mac}`, () => cardWith(mac), { signal, deadlineMs: 10_000, intervalMs: 100 }));
  }
  return found;
}

async function cardWith(mac: string): Promise<string | undefined> {
  const links = JSON.parse(await run('ip', ['-json', 'link', 'show'])) as { readonly ifname: string; readonly address?: string }[];
  return links.find(({ address }) => address === mac)?.ifname;
}

/** A line for `ip -batch`. */
function plug(part: Topology, link: Link, names: ReadonlyMap<string, string>): string {
  const end = outwardEnd(part, link);
  if (end === undefined) return addLink(link);
  return `link set dev ${names.get(end.interface)} name ${end.interface} mtu ${link.mtuBytes} netns ${namespaceOf(end.node)}`;
}
