// Real Open vSwitches (userspace datapath), each with its own database, folder and processes inside its node's namespace: computes, and the trunk router.
import { mkdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { batch, routeLines } from './network.js';
import { run, runIn, startDaemon } from './process.js';
import { stateFolder, type LabState } from './state.js';
import { namespaceOf, networkOf, ovnOption, tunnelVip, type Compute, type Encapsulation, type Topology, type TrunkRouter, type Vm } from './topology.js';
import { until } from './wait.js';

const tunnelPorts: Readonly<Record<Encapsulation, number>> = { geneve: 1, vxlan: 2 };
const schema = '/usr/share/openvswitch/vswitch.ovsschema';

/** Lets `ovs-vsctl` and `ovs-ofctl` find this node's Open vSwitch and no other. */
export function openVswitchEnvironment(node: string): Record<string, string> {
  const folder = join(stateFolder, node);
  return { OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder, OVS_SYSCONFDIR: folder };
}

export async function startCompute(topology: Topology, state: LabState, compute: Compute, signal?: AbortSignal): Promise<void> {
  await startOpenVswitch(state, compute.node, signal);
  const vms = topology.vms.filter((vm) => vm.compute === compute.node);
  await addBridges(compute, vms);
  await ofctl(compute.node, 'add-tlv-map', ['{class=0x102,type=0x80,len=4}->tun_metadata0']);
  await addFlows(compute.node, vms);
  await until(`${compute.node} to know a route for its tunnels`, async () => (await appctl(compute.node, ['ovs/route/show'])).includes('192.168.33.0/24 dev br-phy'), { signal });
}

/** Frames of an interface's VLAN have its tag on the port, those of the others have none. */
export async function startTrunkRouter(state: LabState, { node, port, interfaces }: TrunkRouter, signal?: AbortSignal): Promise<void> {
  await startOpenVswitch(state, node, signal);
  const [bridge, ...tagged] = interfaces;
  if (bridge === undefined || bridge.vlan !== undefined) throw new Error(`the first interface of ${node} is the bridge's own, without a VLAN`);
  await vsctl(node, [
    ...addBridge(bridge.name, 'standalone'),
    ...['--', 'add-port', bridge.name, port],
    ...tagged.flatMap(({ name, vlan }) => ['--', 'add-port', bridge.name, name, `tag=${vlan}`, '--', 'set', 'interface', name, 'type=internal']),
  ]);
  const up = interfaces.flatMap(({ name, address }) => [`address add ${address} dev ${name}`, `link set ${name} up`]);
  await batch([...up, ...routeLines(node)], node);
}

async function startOpenVswitch(state: LabState, node: string, signal?: AbortSignal): Promise<void> {
  const folder = join(stateFolder, node);
  mkdirSync(folder, { recursive: true });
  await startDatabase(state, node, folder, signal);
  await startSwitch(state, node, folder, signal);
}

async function startDatabase(state: LabState, node: string, folder: string, signal?: AbortSignal): Promise<void> {
  const database = join(folder, 'conf.db');
  const socket = join(folder, 'db.sock');
  await run('ovsdb-tool', ['create', database, schema]);
  const options = [`--remote=punix:${socket}`, `--unixctl=${join(folder, 'ovsdb-server.ctl')}`, `--log-file=${join(folder, 'ovsdb-server.log')}`, '-vconsole:off'];
  startDaemon(state, { name: `${node}-ovsdb-server`, node, command: ['ovsdb-server', database, ...options], env: openVswitchEnvironment(node) });
  await until(`the Open vSwitch database of ${node}`, () => existsSync(socket), { signal });
}

async function startSwitch(state: LabState, node: string, folder: string, signal?: AbortSignal): Promise<void> {
  // Threads beyond one of each kind would only compete for the lab's few cores.
  const settings = ['other_config:n-handler-threads=1', 'other_config:n-revalidator-threads=1'];
  await vsctl(node, ['--no-wait', 'init', '--', 'set', 'Open_vSwitch', '.', ...settings]);
  const options = [`--unixctl=${join(folder, 'ovs-vswitchd.ctl')}`, `--log-file=${join(folder, 'ovs-vswitchd.log')}`, '-vconsole:off', '--disable-system'];
  const command = ['ovs-vswitchd', `unix:${join(folder, 'db.sock')}`, ...options];
  startDaemon(state, { name: `${node}-ovs-vswitchd`, node, command, env: openVswitchEnvironment(node), prompt: true });
  await until(`ovs-vswitchd of ${node} to answer`, async () => (await appctl(node, ['version'])) !== '', { signal });
}

/** The tunnel address is on br-phy: the userspace datapath routes and resolves its tunnels through a bridge of its own. */
async function addBridges({ node, tunnelAddress }: Compute, vms: readonly Vm[]): Promise<void> {
  await vsctl(node, [
    ...addBridge('br-phy', 'standalone'),
    ...['--', 'add-port', 'br-phy', 'underlay0'],
    ...addBridge('br-int', 'secure'),
    ...addPort('geneve0', tunnelPorts.geneve),
    ...['type=geneve', `options:remote_ip=${tunnelVip}`, 'options:key=flow', 'options:csum=true'],
    ...addPort('vxlan0', tunnelPorts.vxlan),
    ...['type=vxlan', `options:remote_ip=${tunnelVip}`, 'options:key=flow'],
    ...vms.flatMap((vm) => addPort(vm.node, vm.portKey)),
  ]);
  await runIn(node, ['sh', '-ec', `ip address add ${tunnelAddress}/24 dev br-phy\nip link set br-phy up`]);
}

function addBridge(name: string, failMode: 'standalone' | 'secure'): string[] {
  return ['--', 'add-br', name, '--', 'set', 'bridge', name, 'datapath_type=netdev', `fail_mode=${failMode}`];
}

function addPort(name: string, number: number): string[] {
  return ['--', 'add-port', 'br-int', name, '--', 'set', 'interface', name, `ofport_request=${number}`];
}

async function addFlows(node: string, vms: readonly Vm[]): Promise<void> {
  await ofctl(node, 'add-flows', ['-'], vms.flatMap(flowsOf));
}

/** A VM moves while it runs: the same MAC and address, its port at another compute from now on. */
export async function moveVm(vm: Vm, from: string, to: string): Promise<void> {
  await vsctl(from, ['del-port', 'br-int', vm.node]);
  await ofctl(from, 'del-flows', ['-'], [`in_port=${vm.portKey}`, `dl_dst=${vm.mac}`]);
  await batch([`link set ${vm.node} netns ${namespaceOf(to)}`], from);
  await batch([`link set ${vm.node} up`], to);
  await vsctl(to, addPort(vm.node, vm.portKey));
  await addFlows(to, [vm]);
}

/** A compute's port towards the gateways, or a further one. */
export const geneveTunnel = 'geneve0';

/** What Open vSwitch says of BFD on a tunnel. */
export interface TunnelBfd {
  /** The compute would use the tunnel. */
  readonly forwarding: boolean;
  readonly state: string;
  readonly remoteState: string;
  readonly diagnostic: string;
  /** How often `forwarding` has changed. */
  readonly flaps: number;
}

/** Open vSwitch's own settings, such as `min_tx=100`: milliseconds. */
export async function speakBfd(node: string, settings: readonly string[], tunnel = geneveTunnel): Promise<void> {
  await vsctl(node, ['set', 'interface', tunnel, 'bfd:enable=true', ...settings.map((setting) => `bfd:${setting}`)]);
}

export async function endBfd(node: string, tunnel = geneveTunnel): Promise<void> {
  await vsctl(node, ['clear', 'interface', tunnel, 'bfd']);
}

/** Asks the switch itself: its database is behind by up to five seconds. */
export async function bfdOf(node: string, tunnel = geneveTunnel): Promise<TunnelBfd> {
  const shown = await appctl(node, ['bfd/show', tunnel]);
  const value = (name: string): string => new RegExp(`^\\s*${name}: (.*)$`, 'm').exec(shown)?.[1]?.trim() ?? '';
  const flaps = /flap_count="?(\d+)/.exec(await vsctl(node, ['get', 'interface', tunnel, 'bfd_status']))?.[1];
  return {
    forwarding: value('Forwarding') === 'true', state: value('Local Session State'), remoteState: value('Remote Session State'),
    diagnostic: value('Local Diagnostic'), flaps: Number(flaps ?? NaN),
  };
}

/** A further Geneve tunnel, to another virtual router. */
export async function addTunnel(node: string, name: string, address: string): Promise<void> {
  await vsctl(node, ['add-port', 'br-int', name, '--', 'set', 'interface', name, 'type=geneve', `options:remote_ip=${address}`, 'options:key=flow']);
}

export async function removeTunnel(node: string, name: string): Promise<void> {
  await vsctl(node, ['--if-exists', 'del-port', 'br-int', name]);
}

/** Where it has learned that tunnels end: asked again by the next packet. */
export async function forgetTunnelEnds(node: string): Promise<void> {
  await appctl(node, ['tnl/neigh/flush']);
}

/**
 * Out: the network's VNI and, in Geneve, the port's option. In: only the frame that carries both back, as a compute
 * under OVN would ask. ARP for the gateway goes through the tunnel like everything else.
 */
export function flowsOf(vm: Vm): string[] {
  const { encapsulation, vni } = networkOf(vm);
  const tunnelPort = tunnelPorts[encapsulation];
  if (encapsulation === 'vxlan') {
    return [
      `in_port=${vm.portKey},actions=set_field:${vni}->tun_id,output:${tunnelPort}`,
      `in_port=${tunnelPort},tun_id=${vni},dl_dst=${vm.mac},actions=output:${vm.portKey}`,
    ];
  }
  const option = `0x${ovnOption(vm).toString(16)}`;
  return [
    `in_port=${vm.portKey},actions=set_field:${vni}->tun_id,set_field:${option}->tun_metadata0,output:${tunnelPort}`,
    `in_port=${tunnelPort},tun_id=${vni},tun_metadata0=${option},dl_dst=${vm.mac},actions=output:${vm.portKey}`,
  ];
}

function vsctl(node: string, args: readonly string[]): Promise<string> {
  return run('ovs-vsctl', [`--timeout=15`, ...args], { env: openVswitchEnvironment(node) });
}

function ofctl(node: string, command: string, args: readonly string[], lines: readonly string[] = []): Promise<string> {
  const management = join(stateFolder, node, 'br-int.mgmt');
  return run('ovs-ofctl', [command, management, ...args], { env: openVswitchEnvironment(node), input: lines.map((line) => `${line}\n`).join('') });
}

function appctl(node: string, args: readonly string[]): Promise<string> {
  return run('ovs-appctl', ['-t', join(stateFolder, node, 'ovs-vswitchd.ctl'), ...args]);
}
