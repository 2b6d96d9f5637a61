/**
 * A whole gateway on the segment of vrrp-segment.ts: the daemon of dist with its programs on both of its
 * interfaces, a compute whose VM sends all the time, and the outside where that comes out.
 *
 *   compute ═══ br0 ═══ eth0 [ours] external0 ─── outside 10.0.2.1
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApiClient } from '../../src/api/client.js';
import type { Status, VirtualRouterStatus } from '../../src/api/status.js';
import { unmountBpffs } from '../../src/dataplane/bpffs.js';
import { statePaths } from '../../src/dataplane/state-paths.js';
import { until } from '../../src/lab/wait.js';
import { ipv4, udp } from './packet.js';
import { INTERFACE, Talker } from './two-hosts.js';
import { AT_ONCE, onHost, VIRTUAL_ADDRESS, VRID } from './vrrp-programs.js';
import type { Segment } from './vrrp-segment.js';
import { a1, frameFromVm, server, tenantA } from './world.js';

/** Sends one frame all the time. */
export const trafficScript = fileURLToPath(new URL('./vrrp-traffic.py', import.meta.url));
const root = fileURLToPath(new URL('../../', import.meta.url));
const [EXTERNAL, OUTSIDE, COMPUTE] = ['external0', 'outside', 'compute'];
/** How long a program takes to start on a machine that is busy with others. */
const STARTING_MS = 60_000;

/** Of its one virtual router, as in the file. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

interface Passed {
  readonly sent: number;
  readonly forwarded: number;
}

export class WholeGateway {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vrrp-daemon-'));
  readonly #segment: Segment;
  readonly #traffic: Talker;
  #daemon: Talker | undefined;
  #settings: Settings;

  constructor(segment: Segment, settings: Settings) {
    this.#segment = segment;
    this.#settings = settings;
    segment.addCable(EXTERNAL, OUTSIDE);
    segment.addPort(COMPUTE);
    const pass = join(root, 'dist/bpf/pass.bpf.o');
    // A veth takes what XDP sends only where its other end has a program as well.
    for (const end of ['ours', OUTSIDE]) onHost(segment.switch, 'ip', 'link', 'set', end, 'xdpdrv', 'object', pass, 'section', 'xdp');
    onHost(segment.switch, 'sh', '-ec', `ip address add 10.0.2.1/24 dev ${OUTSIDE}; ip link set ${OUTSIDE} addrgenmode none up`);
    onHost(segment.ours, 'sh', '-ec', `ip address add 10.0.2.11/24 dev ${EXTERNAL}; ip link set ${EXTERNAL} addrgenmode none up`);
    const frame = frameFromVm(a1, [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 5000, destinationPort: 53 })], { ipv4: { source: '10.9.0.31', destination: VIRTUAL_ADDRESS } });
    this.#traffic = new Talker(segment.switch.within(['chrt', '--rr', '2', 'python3', trafficScript, COMPUTE, OUTSIDE, frame.toString('hex')]));
  }

  async start(): Promise<void> {
    await this.#daemon?.end('SIGKILL');
    this.#write();
    this.#daemon = new Talker(this.#segment.ours.within([...AT_ONCE, process.execPath, join(root, 'dist/cli/main.js'), 'run', '--config', this.#file('gateway.yaml')]));
    await this.#daemon.find('the daemon to start', (line) => line.includes('"gateway started"') || undefined, 0, STARTING_MS);
  }

  /** As a daemon that is killed: its programs stay in the kernel. */
  crash(): void {
    this.#daemon!.signal('SIGKILL');
  }

  async reconfigure(change: Settings): Promise<void> {
    this.#settings = { ...this.#settings, ...change };
    this.#write();
    await this.#api.reload();
  }

  status(): Promise<Status> {
    return this.#api.status();
  }

  async virtualRouter(): Promise<VirtualRouterStatus> {
    return (await this.status()).virtualRouters[0]!;
  }

  /** In the programs, which is where packets are decided about. */
  async reaches(state: 'active' | 'backup'): Promise<void> {
    await until(`the gateway to be ${state}`, async () => (await this.virtualRouter()).state === state, { deadlineMs: STARTING_MS });
  }

  async counted(reason: string): Promise<number> {
    return (await this.status()).counters[reason]?.packets ?? 0;
  }

  /** CPU time of the daemon so far, of all its threads. */
  cpuMs(): number {
    const fields = execFileSync('cat', [`/proc/${this.#daemon!.pid}/stat`], { encoding: 'utf8' }).split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** What the VM sends comes out: nearly all of the next packets. */
  async forwards(): Promise<void> {
    const from = this.#traffic.lines.length;
    await this.#traffic.find('packets to come out', () => {
      const recent = this.#passed(from).slice(-3);
      return recent.length === 3 && recent[2]!.forwarded - recent[0]!.forwarded >= 15 ? true : undefined;
    }, from);
  }

  /** Nothing of it comes out, from the moment on at which stragglers have stopped. */
  async forwardsNothing(): Promise<void> {
    const from = this.#traffic.lines.length;
    await this.#traffic.find('packets to stop coming out', () => {
      const recent = this.#passed(from).slice(-6);
      return recent.length === 6 && recent[5]!.forwarded === recent[0]!.forwarded ? true : undefined;
    }, from);
  }

  async end(): Promise<void> {
    await this.#traffic.end('SIGKILL');
    await this.#daemon?.end('SIGKILL');
    unmountBpffs(statePaths(this.#file('state')).pins);
    rmSync(this.#folder, { recursive: true });
  }

  /** What the daemon has written, for a failure's message. */
  get lines(): readonly string[] {
    return this.#daemon?.lines ?? [];
  }

  get #api(): ApiClient {
    return new ApiClient(statePaths(this.#file('state')).socket);
  }

  #passed(from: number): Passed[] {
    return this.#traffic.lines.slice(from).map((line) => JSON.parse(line) as Passed);
  }

  #write(): void {
    writeFileSync(this.#file('gateway.yaml'), JSON.stringify({
      gateway: { name: 'whole', id: 0 },
      interfaces: { underlay: { name: INTERFACE, mode: 'native' }, external: { name: EXTERNAL, mode: 'native' } },
      virtualRouters: [{ vrid: VRID, address: VIRTUAL_ADDRESS, ...this.#settings }],
      externalNetworks: [{ name: 'provider', subnet: '10.0.2.0/24', gateway: '10.0.2.1' }],
      routers: [{
        name: 'tenant-a', virtualRouter: VRID, externalNetwork: 'provider', externalAddress: tenantA.externalAddress,
        networks: [{ name: 'a-net', vni: tenantA.vni, subnet: '172.16.100.0/24', gateway: tenantA.gateway, mac: tenantA.gatewayMac }],
      }],
      limits: { vms: 64, sessions: 1024, externalAddresses: 1, floatingIps: 16 },
      stateDirectory: this.#file('state'),
    }));
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}
