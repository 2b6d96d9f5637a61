// The gateways of the lab: the real daemon, with a configuration made from the topology.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ApiClient } from '../api/client.js';
import type { Status } from '../api/status.js';
import { HopelessError, LabError, messageOf } from './error.js';
import { isRunning, run, runIn, startDaemon } from './process.js';
import { stateFolder, type LabState, type ProcessRecord } from './state.js';
import { gatewayNamed, tenantOf, tunnelVip, vmNamed, vrid, type ExternalNetwork, type Gateway, type Network, type Tenant, type Topology } from './topology.js';
import { until } from './wait.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const program = join(root, 'dist', 'cli', 'main.js');

export type SyncMode = 'strict' | 'none';

export const gatewayFolder = (node: string): string => join(stateFolder, node);
export const configurationFile = (node: string): string => join(gatewayFolder(node), 'floatgate.yaml');
const stateDirectory = (node: string): string => join(gatewayFolder(node), 'state');
const keyFile = join(stateFolder, 'sync.key');

/** Writes the gateways' configurations and the key that they share. */
export async function configureGateways(topology: Topology, sync: SyncMode, key = randomBytes(16).toString('hex')): Promise<void> {
  writeFileSync(keyFile, key, { mode: 0o600 });
  for (const gateway of topology.gateways) {
    mkdirSync(stateDirectory(gateway.node), { recursive: true });
    writeFileSync(configurationFile(gateway.node), stringify(gatewayConfiguration(topology, gateway, sync)));
  }
  await Promise.all(topology.gateways.map(({ node }) => run(process.execPath, [program, 'check', '--config', configurationFile(node)])));
}

/** The configuration of one gateway as `floatgate run --config` reads it. */
export function gatewayConfiguration(topology: Topology, gateway: Gateway, sync: SyncMode): object {
  return {
    gateway: { name: gateway.node, id: gateway.id },
    interfaces: { underlay: { name: 'underlay0' }, external: { name: 'external0' }, ha: { name: 'ha0' } },
    peer: { address: gateway.peerHaAddress },
    sync: { mode: sync, keyFile, heartbeatInterval: '2ms', soloAfter: '20ms' },
    virtualRouters: [{ vrid, interface: 'underlay', address: tunnelVip, priority: gateway.priority, advertisementInterval: '100ms', preempt: true, preemptDelay: '0s' }],
    externalNetworks: topology.externalNetworks.map(externalNetworkOf),
    routers: topology.tenants.map((tenant) => routerOf(topology, tenant)),
    stateDirectory: stateDirectory(gateway.node),
    log: { level: 'info' },
  };
}

function externalNetworkOf({ name, vlan, subnet, gateway, subnets, routes }: ExternalNetwork): object {
  return { name, ...(vlan === undefined ? {} : { vlan }), subnet, gateway, subnets, routes };
}

function routerOf(topology: Topology, tenant: Tenant): object {
  const vms = topology.vms.filter((vm) => tenantOf(vm) === tenant);
  return {
    name: tenant.name,
    virtualRouter: vrid,
    externalNetwork: tenant.externalNetwork,
    externalAddresses: tenant.externalAddresses,
    networks: topology.networks.filter((network) => network.tenant === tenant.name).map(configuredNetwork),
    floatingIps: vms.flatMap((vm) => (vm.floatingAddress === undefined ? [] : [{ address: vm.floatingAddress, network: vm.network, fixedIp: vm.address }])),
    portForwardings: tenant.forwardings.map(({ protocol, externalPort, node, port }) => {
      const vm = vmNamed(node);
      return { protocol, port: externalPort, network: vm.network, fixedIp: vm.address, fixedPort: port };
    }),
  };
}

function configuredNetwork({ name, encapsulation, vni, subnet, gatewayAddress, gatewayMac, mtuBytes }: Network): object {
  return { name, encapsulation, vni, subnet, gateway: gatewayAddress, mac: gatewayMac, mtu: mtuBytes };
}

/** The daemon's process, if it runs. */
export function daemonOf(state: LabState, node: string): ProcessRecord | undefined {
  return state.processes.find((record) => record.name === node && isRunning(record));
}

export interface DaemonStart {
  /** The command line of another build than this one. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** As if it had a machine for itself; see DaemonOptions. Default: true. */
  readonly alone?: boolean;
}

export function startGateway(state: LabState, node: string, { program: main = program, env = {}, alone = true }: DaemonStart = {}): ProcessRecord {
  gatewayNamed(node);
  const previous = state.processes.find((record) => record.name === node);
  if (previous !== undefined) {
    if (isRunning(previous)) throw new LabError(`the daemon of ${node} is already running (pid ${previous.pid})`);
    state.removeProcess(previous);
  }
  return startDaemon(state, { name: node, node, command: [process.execPath, main, 'run', '--config', configurationFile(node)], env, alone });
}

/**
 * The daemons mount BPF file systems in their state folders; what they have pinned there lives until it is removed.
 * Unmounting alone is not enough: a process that was given a mount namespace of its own meanwhile has a copy of the mount.
 */
export async function forgetPinned(folder: string): Promise<void> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map((line) => line.split(' '));
  const points = mounts.flatMap((fields) => (fields[4]?.startsWith(`${folder}/`) === true && fields.includes('bpf') ? [fields[4]] : []));
  for (const point of points.reverse()) {
    // The kernel's own files, maps.debug and progs.debug, cannot be removed and hold nothing.
    for (const name of readdirSync(point).filter((entry) => !entry.endsWith('.debug'))) rmSync(join(point, name), { recursive: true, force: true });
    await run('umount', [point]);
  }
}

/** What a reboot does to a gateway: no map, no program, no filter is left. */
export async function forgetGateway(node: string, signal?: AbortSignal): Promise<void> {
  await forgetPinned(gatewayFolder(node));
  const disciplines = JSON.parse(await runIn(node, ['tc', '-j', 'qdisc', 'show'])) as { kind: string; dev: string }[];
  for (const { dev } of disciplines.filter(({ kind }) => kind === 'clsact')) await runIn(node, ['tc', 'qdisc', 'del', 'dev', dev, 'clsact']);
  const attached = async () => (JSON.parse(await runIn(node, ['ip', '-j', 'link', 'show'])) as { ifname: string; xdp?: unknown }[]).filter(({ xdp }) => xdp !== undefined);
  await until(`the kernel to free the programs of ${node}`, async () => (await attached()).length === 0, { signal, deadlineMs: 10_000 });
}

const answerDeadlineMs = 1000;

/** Asks the daemon's local API. @throws LabError when it does not answer within a second, HopelessError when there is no daemon. */
export async function readStatus(state: LabState, node: string): Promise<Status> {
  if (daemonOf(state, node) === undefined) throw new HopelessError(`the daemon of ${node} does not run${lastWordsOf(node)}`);
  const client = new ApiClient(join(stateDirectory(node), 'api.sock'));
  const late = delay(answerDeadlineMs, undefined, { ref: false }).then(() => {
    throw new LabError(`no answer within ${answerDeadlineMs} ms`);
  });
  try {
    return await Promise.race([client.status(), late]);
  } catch (error) {
    throw new LabError(`${node}: ${messageOf(error)}${lastWordsOf(node)}`);
  }
}

/** The end of the daemon's log: why it does not answer is nearly always there. */
function lastWordsOf(node: string): string {
  const log = join(stateFolder, 'log', `${node}.log`);
  if (!existsSync(log)) return '';
  const last = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-3).join('\n  ');
  return last === '' ? '' : `; last in ${log}:\n  ${last}`;
}

/** 'initialize' | 'backup' | 'active' | 'draining' */
export function electionState(status: Status): string | undefined {
  return status.virtualRouters.find((router) => router.vrid === vrid)?.state;
}
