// The gateways of the lab: the real daemon, with a configuration made from the topology.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ApiClient } from '../api/client.js';
import type { Status } from '../api/status.js';
import { HopelessError, LabError, messageOf } from './error.js';
import { isRunning, run, startDaemon } from './process.js';
import { stateFolder, type LabState, type ProcessRecord } from './state.js';
import { externalRouter, externalSubnet, gatewayNamed, tunnelVip, vrid, type Gateway, type Tenant, type Topology } from './topology.js';

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
    externalNetworks: [{ name: 'provider', subnet: externalSubnet, gateway: externalRouter }],
    routers: topology.tenants.map((tenant) => routerOf(topology, tenant)),
    stateDirectory: stateDirectory(gateway.node),
    log: { level: 'info' },
  };
}

function routerOf(topology: Topology, tenant: Tenant): object {
  return {
    name: tenant.name,
    virtualRouter: vrid,
    externalNetwork: 'provider',
    externalAddress: tenant.externalAddress,
    networks: [{ name: tenant.networkName, vni: tenant.vni, subnet: tenant.subnet, gateway: tenant.gatewayAddress, mac: tenant.gatewayMac }],
    floatingIps: topology.vms.flatMap(({ tenant: owner, address, floatingAddress }) =>
      owner === tenant.name && floatingAddress !== undefined ? [{ address: floatingAddress, network: tenant.networkName, fixedIp: address }] : [],
    ),
  };
}

/** The daemon's process, if it runs. */
export function daemonOf(state: LabState, node: string): ProcessRecord | undefined {
  return state.processes.find((record) => record.name === node && isRunning(record));
}

export function startGateway(state: LabState, node: string): ProcessRecord {
  gatewayNamed(node);
  const previous = state.processes.find((record) => record.name === node);
  if (previous !== undefined) {
    if (isRunning(previous)) throw new LabError(`the daemon of ${node} is already running (pid ${previous.pid})`);
    state.removeProcess(previous);
  }
  return startDaemon(state, { name: node, node, command: [process.execPath, program, 'run', '--config', configurationFile(node)] });
}

/** The daemons mount BPF file systems in their state folders: what they have pinned there lives until it is unmounted, and no longer. */
export async function forgetPinned(folder: string): Promise<void> {
  const points = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').flatMap((line) => line.split(' ')[4] ?? []);
  for (const point of points.filter((path) => path.startsWith(`${folder}/`)).reverse()) await run('umount', [point]);
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
