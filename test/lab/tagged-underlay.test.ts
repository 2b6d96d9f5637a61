/**
 * Two gateways on an underlay that is VLAN 33, without a VLAN device anywhere:
 *
 *     compute .31 ══ bridge ══ gw-a .11, gw-b .12 ── bridge ── outside 10.0.2.1
 *                                 └── ha ──┘
 *
 * The underlay's bridge knows of no VLANs and hands tags on as they are. The compute
 * sends frames that the test makes, and writes down what it sees.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient } from '../../src/api/client.js';
import { until } from '../../src/lab/wait.js';
import { arp, ethernet, frame, ipv4, payload, udp, vlan } from '../support/packet.js';
import { Talker } from '../support/two-hosts.js';
import { a1, compute1, externalRouter, frameFromVm, nodeA, nodeB, tenantA, VIRTUAL_ADDRESS, VIRTUAL_MAC, VRID, type Node } from '../support/world.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');
/** A veth that gets what XDP sends must have a program itself. */
const PASS = join(ROOT, 'dist', 'bpf', 'pass.bpf.o');
const VLAN = 33;
const PORT = 9;

/** Sends frames that it is told, in hexadecimal digits. */
const SENDER = `
  import { PacketSocket } from 'libbpf-ts';
  import { createInterface } from 'node:readline';
  const socket = new PacketSocket({ interface: 'eth0' });
  createInterface({ input: process.stdin }).on('line', (line) => socket.send(Buffer.from(line, 'hex')));
  console.log('ready');`;
const ECHO = `
  const socket = require('node:dgram').createSocket('udp4').bind(${PORT}, '${externalRouter.address}');
  socket.on('message', (bytes, from) => { console.log('from ' + from.address + ' ' + bytes); socket.send(bytes, from.port, from.address); });
  socket.on('listening', () => console.log('ready'));`;

/** Network and mounts of its own, for as long as its process lives: what is pinned goes with it. */
class Place {
  readonly #holder = new Talker(['unshare', '--net', '--mount', 'sh', '-c', 'echo ready; exec cat']);

  get pid(): string {
    return String(this.#holder.pid);
  }

  async ready(): Promise<this> {
    await this.#holder.find('a namespace', (line) => line === 'ready' || undefined);
    return this;
  }

  within(command: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, `--mount=/proc/${this.pid}/ns/mnt`, `--wd=${ROOT}`, ...command];
  }

  run(...command: string[]): string {
    const [program, ...args] = this.within(command);
    return execFileSync(program!, args, { encoding: 'utf8' });
  }

  /** Lines for ip(8). */
  ip(...lines: string[]): void {
    for (const line of lines) this.run('ip', ...line.split(' '));
  }

  end(): Promise<void> {
    return this.#holder.end('SIGKILL');
  }
}

class Gateway {
  readonly place: Place;
  readonly #folder: string;
  #daemon: Talker | undefined;

  constructor(place: Place, folder: string, node: Node, peer: Node, change: object) {
    this.place = place;
    this.#folder = folder;
    mkdirSync(folder);
    writeFileSync(join(folder, 'key'), '00112233445566778899aabbccddeeff', { mode: 0o600 });
    // JSON is YAML.
    writeFileSync(join(folder, 'gateway.yaml'), JSON.stringify({
      gateway: { name: `gw-${node.id}`, id: node.id },
      interfaces: { underlay: { name: 'underlay0', vlan: VLAN }, external: { name: 'external0' }, ha: { name: 'ha0' } },
      peer: { address: peer.ha.address },
      // A busy machine must not make them strangers: who is not synchronised does not preempt.
      sync: { keyFile: join(folder, 'key'), soloAfter: '500ms' },
      virtualRouters: [{ vrid: VRID, address: VIRTUAL_ADDRESS, priority: node.id === 0 ? 200 : 100, advertisementInterval: '100ms', ...change }],
      externalNetworks: [{ name: 'provider', subnet: '10.0.2.0/24', gateway: externalRouter.address }],
      routers: [{
        name: 'a', virtualRouter: VRID, externalNetwork: 'provider', externalAddress: tenantA.externalAddress,
        networks: [{ name: 'a-net', vni: tenantA.vni, subnet: '172.16.100.0/24', gateway: tenantA.gateway, mac: tenantA.gatewayMac }],
      }],
      limits: { vms: 1024, sessions: 4096 },
      stateDirectory: join(folder, 'state'),
    }));
  }

  start(): void {
    this.#daemon = new Talker(this.place.within([process.execPath, PROGRAM, 'run', '--config', join(this.#folder, 'gateway.yaml')]));
  }

  async kill(): Promise<void> {
    await this.#daemon?.end('SIGKILL');
  }

  get log(): string {
    return this.#daemon?.lines.slice(-8).join('\n') ?? '';
  }

  async state(): Promise<string | undefined> {
    try {
      return (await new ApiClient(join(this.#folder, 'state', 'api.sock')).status()).virtualRouters[0]?.state;
    } catch {
      return undefined;
    }
  }
}

/** One veth: ours in `place`, the other end a port of a bridge. Tags stay in the frames, sums are finished. */
function plug(place: Place, name: string, fabric: Place, port: string, bridge: string, facesXdp: boolean): void {
  execFileSync('ip', ['link', 'add', name, 'netns', place.pid, 'type', 'veth', 'peer', 'name', port, 'netns', fabric.pid]);
  for (const [at, end] of [[place, name], [fabric, port]] as const) at.run('sh', '-ec', `ethtool -K ${end} tx off gro off txvlan off rxvlan off >/dev/null`);
  place.ip(`link set ${name} mtu 1600`);
  fabric.ip(`link set ${port} mtu 1600`, `link set ${port} master ${bridge}`, `link set ${port} up`);
  if (facesXdp) fabric.ip(`link set ${port} xdpdrv object ${PASS} section xdp`);
}

describe.each<[string, (peer: Node) => object]>([
  ['multicast', () => ({})],
  ['unicast', (peer) => ({ unicastPeers: [peer.underlay.address] })],
])('two gateways on a tagged underlay, %s', (_, changeFor) => {
  const folder = mkdtempSync(join(tmpdir(), 'floatgate-tagged-'));
  const places: Place[] = [];
  const talkers: Talker[] = [];
  let a: Gateway;
  let b: Gateway;
  let sender: Talker;
  /** tcpdump puts the tag back that the kernel takes off. */
  let seen: Talker;
  let echo: Talker;

  beforeAll(async () => {
    for (let i = 0; i < 5; i += 1) places.push(await new Place().ready());
    const [fabric, forA, forB, compute, outside] = places as [Place, Place, Place, Place, Place];
    fabric.ip('link add br0 type bridge mcast_snooping 0', 'link add br1 type bridge mcast_snooping 0', 'link set br0 up', 'link set br1 up');
    for (const [place, node, suffix] of [[forA, nodeA, 'a'], [forB, nodeB, 'b']] as const) {
      plug(place, 'underlay0', fabric, `under-${suffix}`, 'br0', true);
      plug(place, 'external0', fabric, `ext-${suffix}`, 'br1', true);
      place.ip('link set lo up', `address add ${node.underlay.address}/24 dev underlay0`, 'link set underlay0 up', `address add ${node.external.address}/24 dev external0`, 'link set external0 up');
    }
    plug(compute, 'eth0', fabric, 'compute', 'br0', false);
    compute.ip(`link set eth0 address ${compute1.mac}`, 'link set eth0 up');
    plug(outside, 'eth0', fabric, 'outside', 'br1', false);
    outside.ip('link set lo up', `address add ${externalRouter.address}/24 dev eth0`, 'link set eth0 up');
    execFileSync('ip', ['link', 'add', 'ha0', 'netns', forA.pid, 'type', 'veth', 'peer', 'name', 'ha0', 'netns', forB.pid]);
    for (const [place, { ha }] of [[forA, nodeA], [forB, nodeB]] as const) {
      place.run('sh', '-ec', 'ethtool -K ha0 tx off gro off >/dev/null');
      place.ip('link set ha0 mtu 2000', `address add ${ha.address}/24 dev ha0`, 'link set ha0 up');
    }
    a = new Gateway(forA, join(folder, 'a'), nodeA, nodeB, changeFor(nodeB));
    b = new Gateway(forB, join(folder, 'b'), nodeB, nodeA, changeFor(nodeA));
    sender = new Talker(compute.within([process.execPath, '--input-type=module', '-e', SENDER]));
    seen = new Talker(compute.within(['tcpdump', '-nn', '-e', '-l', '-Q', 'in', '-i', 'eth0']));
    echo = new Talker(outside.within([process.execPath, '-e', ECHO]));
    talkers.push(sender, echo, seen);
    for (const talker of talkers) await talker.find('a socket', (line) => line === 'ready' || line.startsWith('listening on') || undefined);
    for (const gateway of [a, b]) gateway.start();
  }, 60_000);

  afterAll(async () => {
    for (const gateway of [a, b]) await gateway?.kill();
    for (const talker of talkers) await talker.end('SIGKILL');
    for (const place of places) await place.end();
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  const states = async (): Promise<(string | undefined)[]> => Promise.all([a.state(), b.state()]);

  const reach = (wanted: readonly (string | undefined)[]): Promise<unknown> => until(`the gateways to be ${wanted.join(' and ')}`, async () => {
    const found = await states();
    if (found.some((state, i) => wanted[i] !== undefined && state !== wanted[i])) throw new Error(`they are ${found.join(' and ')}:\n${a.log}\n${b.log}`);
    return true;
  }, { deadlineMs: 40_000 });

  const sees = (what: string, pattern: RegExp, from: number): Promise<string> => seen.find(what, (line) => (pattern.test(line) ? line : undefined), from);

  /** From a VM through the tunnel to the outside, and the answer back. */
  async function crosses(text: string): Promise<void> {
    const [toOutside, toCompute] = [echo.lines.length, seen.lines.length];
    sender.say(frameFromVm(a1, [ipv4({ source: a1.address, destination: externalRouter.address }), udp({ sourcePort: 40_000, destinationPort: PORT }), payload(Buffer.from(text))], { vlan: VLAN }).toString('hex'));
    await echo.find(`${text} outside`, (line) => line === `from ${tenantA.externalAddress} ${text}` || undefined, toOutside);
    const answer = await sees(`${text} in a tunnel`, new RegExp(`Geneve.* ${externalRouter.address}.${PORT} > ${a1.address}.40000: UDP, length ${text.length}`), toCompute);
    expect(answer).toContain(`${VIRTUAL_MAC} > ${compute1.mac}`);
    expect(answer).toContain(`vlan ${VLAN},`);
  }

  /** Neither advertisements nor what is said of the VIP may be anywhere but on the VLAN. */
  function expectTagged(): void {
    const ours = seen.lines.filter((line) => line.includes('VRRP') || line.includes(VIRTUAL_ADDRESS));
    expect(ours.length).toBeGreaterThan(0);
    expect(ours.filter((line) => !line.includes(`vlan ${VLAN},`))).toEqual([]);
  }

  it('one is Active, says so on the VLAN, and forwards for a compute that asks for it', { timeout: 90_000 }, async () => {
    await reach(['active', 'backup']);
    await sees('gratuitous ARP', new RegExp(`vlan ${VLAN},.*ARP.*Reply ${VIRTUAL_ADDRESS} is-at ${VIRTUAL_MAC}`), 0);
    const from = seen.lines.length;
    const question = arp({ operation: 1, senderMac: compute1.mac, senderAddress: compute1.address, targetMac: '00:00:00:00:00:00', targetAddress: VIRTUAL_ADDRESS });
    sender.say(frame(ethernet({ source: compute1.mac, destination: 'ff:ff:ff:ff:ff:ff' }), vlan(VLAN), question).toString('hex'));
    await sees('an answer', new RegExp(`${VIRTUAL_MAC} > ${compute1.mac},.*vlan ${VLAN},.*ARP.*Reply ${VIRTUAL_ADDRESS} is-at ${VIRTUAL_MAC}`), from);
    await crosses('first');
    expectTagged();
  });

  it('the other takes over when its daemon dies, and gives back', { timeout: 120_000 }, async () => {
    await a.kill();
    await reach([undefined, 'active']);
    await crosses('second');
    a.start();
    await reach(['active', 'backup']);
    await crosses('third');
    expectTagged();
  });
});
