// The lab as a whole: up, down, status.
import { existsSync, readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import type { Status } from '../api/status.js';
import { LabError, messageOf } from './error.js';
import { configureGateways, electionState, forgetPinned, readStatus, startGateway, type SyncMode } from './gateway.js';
import { makeNetwork, removeNamespaces } from './network.js';
import { openVswitchEnvironment, startCompute, startTrunkRouter } from './openvswitch.js';
import { isRunning, nsenter, run, runIn, sendSignal, stop } from './process.js';
import { startServers } from './servers.js';
import { LabState, identityOf, stateFolder } from './state.js';
import { namespaceOf, networkOf, topology, type Node, type Topology, type Vm } from './topology.js';
import { until } from './wait.js';

export interface UpOptions {
  readonly sync: SyncMode;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** The gateways share the processors with whatever else runs, at the priority that they give themselves. Default: before it. */
  readonly crowded?: boolean;
  /** Default: the lab's own. Another one has all that is in it. */
  readonly topology?: Topology;
}

/**
 * Makes the lab and waits until it works: gw-a Active, both gateways synchronised, every VM reaches its gateway.
 * In phase 'up' it stays until `lab down`; in phase 'running' it belongs to this process, and the next `up` removes it if this one dies.
 * @throws LabError when one is up already, or a condition does not come; what was made is then left for down().
 */
export async function up({ sync, say, signal, crowded = false, topology: cabling = topology }: UpOptions, phase: 'running' | 'up'): Promise<LabState> {
  await removeLeftovers(say);
  const state = LabState.create();
  say('network: namespaces, links, bridges');
  await makeNetwork(cabling, state);
  say('computes: Open vSwitch; servers: nginx, iperf3, UDP echo');
  await Promise.all([
    ...topology.computes.map((compute) => startCompute(topology, state, compute, signal)),
    ...topology.trunkRouters.map((router) => startTrunkRouter(state, router, signal)),
    startServers(topology, state, signal),
  ]);
  say(`gateways: ${topology.gateways.map(({ node }) => node).join(' and ')}${sync === 'none' ? ', without replication' : ''}`);
  await configureGateways(topology, sync);
  for (const { node } of topology.gateways) startGateway(state, node, { alone: !crowded });
  await gatewaysReady(state, sync, signal);
  say('VMs: each reaches its gateway through the tunnel');
  await Promise.all(topology.vms.map((vm) => gatewayReachable(vm, signal)));
  state.setPhase(phase);
  return state;
}

/** An interrupted run that could not clean up after itself (killed, power lost) must not keep the next one from starting. */
export async function removeLeftovers(say: (line: string) => void): Promise<void> {
  const state = LabState.read();
  if (state === undefined || state.phase === 'up') return;
  if (state.isOwned) throw new LabError('another floatgate process is making or running the lab');
  say('removing what an interrupted run has left');
  await down();
}

export async function gatewaysReady(state: LabState, sync: SyncMode, signal?: AbortSignal): Promise<void> {
  const [first, second] = topology.gateways.map(({ node }) => node);
  if (first === undefined || second === undefined) throw new LabError('the lab needs two gateways');
  await until(`${first} to be Active`, async () => electionState(await readStatus(state, first)) === 'active', { signal });
  await until(`${second} to be Backup`, async () => electionState(await readStatus(state, second)) === 'backup', { signal });
  if (sync === 'none') return;
  for (const { node } of topology.gateways) {
    await until(`${node} and its peer to hold the same`, async () => isSynchronised(await readStatus(state, node)), { signal });
  }
}

export function isSynchronised({ peer }: Status): boolean {
  return peer.alive && peer.synchronised && peer.holdsOurs;
}

/** Also makes the gateway learn where the VM is: a floating IP reaches it from now on. */
export async function gatewayReachable(vm: Vm, signal?: AbortSignal): Promise<void> {
  const { gatewayAddress } = networkOf(vm);
  const ping = () => runIn(vm.node, ['ping', '-n', '-c', '1', '-W', '1', gatewayAddress]);
  await until(`${vm.node} to reach its gateway ${gatewayAddress}`, ping, { signal, deadlineMs: 15_000 });
}

/** Removes everything that the state file names; returns false when there is no lab. */
export async function down(): Promise<boolean> {
  const state = LabState.read();
  if (state === undefined) return false;
  await Promise.all(state.processes.map((record) => stop(record)));
  await endStrangers(state.namespaces);
  await forgetPinned(stateFolder);
  await removeNamespaces(state.namespaces);
  state.remove();
  return true;
}

/** Like down(), but only what this process has made: a lab that refused us stays. */
export async function downIfOurs(): Promise<boolean> {
  return LabState.read()?.isOurs === true && down();
}

/** Whatever else runs in our namespaces, such as a shell from `lab exec`, would keep them in memory. */
async function endStrangers(namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) {
    if (!existsSync(`/run/netns/${namespace}`)) continue;
    const pids = (await run('ip', ['netns', 'pids', namespace]).catch(() => '')).split('\n').filter((line) => line !== '').map(Number);
    const others = pids.filter((pid) => pid !== process.pid).flatMap((pid) => identityOf(pid) ?? []);
    for (const { pid } of others) sendSignal(pid, 'SIGKILL');
    await Promise.all(others.map((identity) => until(`process ${identity.pid} to end`, () => !isRunning({ ...identity, name: '', node: '', log: '' }), { deadlineMs: 5000 })));
  }
}

export interface NodeReport {
  readonly node: string;
  readonly processes: readonly { readonly name: string; readonly pid: number; readonly running: boolean }[];
  readonly note: string;
}

/** undefined when the lab is not up. */
export async function status(): Promise<{ since: string; nodes: readonly NodeReport[] } | undefined> {
  const state = LabState.read();
  if (state === undefined) return undefined;
  const report = async (node: string): Promise<NodeReport> => ({
    node,
    processes: state.processes.filter((record) => record.node === node).map((record) => ({ name: record.name, pid: record.pid, running: isRunning(record) })),
    note: await noteOn(state, node),
  });
  return { since: state.since, nodes: await Promise.all(topology.nodes.filter(({ name }) => state.namespaces.includes(namespaceOf(name))).map(({ name }) => report(name))) };
}

async function noteOn(state: LabState, node: string): Promise<string> {
  if (!topology.gateways.some((gateway) => gateway.node === node)) return '';
  try {
    const answer = await readStatus(state, node);
    const peer = `peer ${answer.peer.alive ? 'alive' : 'silent'}, ${isSynchronised(answer) ? '' : 'not '}synchronised`;
    return `${electionState(answer) ?? 'no election'}, ${peer}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Runs a command in a node with this terminal; returns its exit status. Where there is an Open vSwitch, ovs-vsctl and the like find it. */
export function exec(node: string, command: readonly string[]): number {
  if (LabState.read() === undefined) throw new LabError("the lab is not up; 'floatgate lab up' makes it");
  const known = topology.nodes.find(({ name }) => name === node);
  if (known === undefined) throw new LabError(`the lab has no node '${node}': ${topology.nodes.map(({ name }) => name).join(', ')}`);
  const [program, ...args] = nsenter(node, command);
  const env = hasOpenVswitch(known) ? openVswitchEnvironment(node) : {};
  return spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1;
}

function hasOpenVswitch({ name, kind }: Node): boolean {
  return kind === 'compute' || topology.trunkRouters.some(({ node }) => node === name);
}

/** State folders that are left after down(): none, or the lab was not clean. */
export function leftovers(): string[] {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => topology.nodes.some((node) => name === `fg-${node.name}`)) : [];
  return [...namespaces, ...(existsSync(stateFolder) ? [stateFolder] : [])];
}
