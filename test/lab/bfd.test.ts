// The tunnels are watched, not only the links: Open vSwitch computes speak BFD with the gateways, the way to one
// gateway's tunnels is cut while everything else works, roles change, gateways are drained, strangers lie.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from 'yaml';
import { encodeControlPacket, type ControlPacket } from '../../src/bfd/control-packet.js';
import type { BfdStatus } from '../../src/api/status.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { downIfOurs, up } from '../../src/lab/lab.js';
import { Load } from '../../src/lab/load.js';
import { addTunnel, bfdOf, endBfd, forgetTunnelEnds, removeTunnel, speakBfd, type TunnelBfd } from '../../src/lab/openvswitch.js';
import { nsenter, runIn } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';
import { outsideAddress, topology, tunnelVip } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { ethernet, frame, geneve, ipv4, payload, udp } from '../support/packet.js';
import { listAt, mapAt, RunningLab, type GatewayNode } from '../support/running-lab.js';

const computes = topology.computes.map(({ node }) => node);
const both: readonly GatewayNode[] = ['gw-a', 'gw-b'];
/** Longer than a takeover takes: what the computes wait for is ten times our interval. */
const multiplier = 10;
const holdDownMs = 3000;
/** Of our detection (three packets of 100 ms), then of VRRP (a little over three adverts of 100 ms), and of a busy machine. */
const noticedWithinMs = 3000;

let lab: RunningLab;
let load: Load;

const configureBfd = (change: object) => (configuration: Document): void => mapAt(configuration, 'virtualRouters', 0).set('bfd', configuration.createNode({ multiplier, holdDown: `${holdDownMs}ms`, ...change }));

async function bfdAt(node: GatewayNode): Promise<BfdStatus> {
  const { bfd } = await lab.virtualRouter(node);
  if (bfd === undefined) throw new Error(`${node} does not watch its tunnels`);
  return bfd;
}

const seen = (): Promise<TunnelBfd[]> => Promise.all(computes.map((node) => bfdOf(node)));
const flaps = async (): Promise<number[]> => {
  // The database, which counts them, is behind by up to five seconds.
  await delay(5500);
  return (await seen()).map((bfd) => bfd.flaps);
};

/** Sessions with all computes are Up, at both ends. */
async function everythingUp(node: GatewayNode): Promise<void> {
  await until(`BFD of ${node} to be Up`, async () => {
    const { sessions: all, tunnels } = await bfdAt(node);
    const sessions = all.filter(({ encapsulation }) => encapsulation === 'geneve');
    const found = await seen();
    if (sessions.length === computes.length && sessions.every(({ state }) => state === 'Up') && tunnels === 'whole' && found.every(({ forwarding }) => forwarding)) return true;
    throw new Error(JSON.stringify({ sessions, tunnels, found }));
  }, { deadlineMs: 20_000 });
}

/** Between the underlay's switch and a gateway, which notices nothing of it: its link, ARP and VRRP are as they were. */
async function cutTunnels(node: GatewayNode): Promise<void> {
  await runIn('underlay', ['nft', '-f', '-'], { input: `table bridge cut {\n chain forward {\n type filter hook forward priority 0;\n oifname "${node}" udp dport 6081 drop\n }\n}\n` });
}

const mendTunnels = (): Promise<unknown> => runIn('underlay', ['nft', 'delete', 'table', 'bridge', 'cut']).catch(() => undefined);

const logOf = (node: string): string => readFileSync(join(stateFolder, node, 'ovs-vswitchd.log'), 'utf8');

/** What lab.restore() does not know of. */
async function restore(): Promise<void> {
  await mendTunnels();
  await lab.restore();
  await lab.reconfigure(configureBfd({}));
  for (const node of computes) await speakBfd(node, ['min_tx=100', 'min_rx=100']);
  await lab.reaches('gw-a', 'active');
  await everythingUp('gw-a');
}

beforeAll(async () => {
  lab = new RunningLab(await up({ sync: 'strict', say: () => {} }, 'running'));
  load = new Load(lab.state, { connections: 10, flows: 10 });
  await load.start();
}, 120_000);

afterAll(async () => {
  load?.close();
  await downIfOurs();
}, 30_000);

beforeEach(restore, 90_000);

describe('sessions', () => {
  it('come Up with both computes and stay', { timeout: 60_000 }, async () => {
    const before = await flaps();
    for (const { state, remoteState } of await seen()) expect([state, remoteState]).toEqual(['up', 'up']);
    const { sessions, penalty } = await bfdAt('gw-a');
    expect(sessions.map(({ address, encapsulation, state, remoteState, detectionTimeMs }) => ({ address, encapsulation, state, remoteState, detectionTimeMs })).toSorted((a, b) => a.address.localeCompare(b.address))).toEqual(
      topology.computes.map(({ tunnelAddress }) => ({ address: tunnelAddress, encapsulation: 'geneve', state: 'Up', remoteState: 'Up', detectionTimeMs: 300 })),
    );
    expect(penalty).toBe(0);
    expect((await bfdAt('gw-b')).sessions).toEqual([]);
    expect(await flaps()).toEqual(before);
    // Counted from the programs' clock, which is read again.
    for (const [index, { since }] of (await bfdAt('gw-a')).sessions.entries()) expect(Math.abs(Date.parse(since) - Date.parse(sessions[index]!.since))).toBeLessThan(100);
  });

  it('come Up in VXLAN tunnels as well', { timeout: 60_000 }, async () => {
    for (const node of computes) await speakBfd(node, ['min_tx=100', 'min_rx=100'], 'vxlan0');
    try {
      await until('BFD in VXLAN to be Up', async () => {
        const { sessions } = await bfdAt('gw-a');
        const found = await Promise.all(computes.map((node) => bfdOf(node, 'vxlan0')));
        return found.every(({ forwarding }) => forwarding) && sessions.filter(({ encapsulation, state }) => encapsulation === 'vxlan' && state === 'Up').length === computes.length;
      }, { deadlineMs: 20_000 });
    } finally {
      for (const node of computes) await endBfd(node, 'vxlan0');
    }
  });

  it('a daemon that stands still says Up no longer', { timeout: 60_000 }, async () => {
    lab.signal('gw-a', 'SIGSTOP');
    try {
      await lab.reaches('gw-b', 'active');
      await everythingUp('gw-b');
    } finally {
      lab.signal('gw-a', 'SIGCONT');
    }
  });
});

describe('a way into the tunnels of the Active that is cut', () => {
  it('moves the role, and the traffic with it', { timeout: 120_000 }, async () => {
    const cutAtMs = monotonicMs();
    const { windows } = await lab.observe(load, async () => {
      await cutTunnels('gw-a');
      await lab.reaches('gw-b', 'active');
    });
    const tookMs = Math.max(...windows.map(({ window }) => window.longestGapMs));
    console.log(`role moved within ${Math.round(monotonicMs() - cutAtMs)} ms, the cut's outage ${JSON.stringify(windows.map(({ window }) => window.lost))} ${tookMs}`);
    for (const { window } of windows) expect(window.lost).toBeLessThan(noticedWithinMs);
    expect(await bfdAt('gw-a')).toMatchObject({ tunnels: 'held', penalty: 253 });
    await everythingUp('gw-b');
    await mendTunnels();
    await lab.reaches('gw-a', 'active');
    await everythingUp('gw-a');
  });

  it('moves nothing where nobody watches: that is what VRRP alone does', { timeout: 60_000 }, async () => {
    await lab.reconfigure(configureBfd({ mode: 'off' }));
    const fromMs = monotonicMs();
    await cutTunnels('gw-a');
    await delay(noticedWithinMs);
    const windows = await load.windows(fromMs, monotonicMs());
    expect((await lab.virtualRouter('gw-a')).state).toBe('active');
    for (const { window } of windows) expect(window.lost).toBeGreaterThan(noticedWithinMs / 2);
  });

  it('computes that die take the role nowhere for long', { timeout: 90_000 }, async () => {
    const lastOf = async (): Promise<string | undefined> => (await lab.virtualRouter('gw-a')).history[0]?.at;
    const before = await lastOf();
    // They are silent, and nothing is wrong with the tunnels.
    for (const node of computes) await endBfd(node);
    await lab.reaches('gw-b', 'active');
    await until('the role to be where it was', async () => (await lab.virtualRouter('gw-a')).state === 'active' && (await lastOf()) !== before, { deadlineMs: 30_000 });
    const settled = await lastOf();
    await delay(3 * holdDownMs);
    expect(await lastOf()).toBe(settled);
    expect(await bfdAt('gw-a')).toMatchObject({ tunnels: 'whole', penalty: 0 });
  });
});

describe('the role moves', () => {
  it('and the computes notice nothing: the successor goes on with their sessions', { timeout: 120_000 }, async () => {
    const before = await flaps();
    await lab.loseNode('gw-a');
    await lab.reaches('gw-b', 'active');
    await everythingUp('gw-b');
    expect(await flaps()).toEqual(before);
    await lab.returnNode('gw-a');
    await lab.reaches('gw-a', 'active');
    await everythingUp('gw-a');
    expect(await flaps()).toEqual(before);
  });

  it('by a drain: the computes hear AdminDown, and nothing is lost', { timeout: 90_000 }, async () => {
    const before = computes.map((node) => logOf(node).length);
    const { windows } = await lab.observe(load, async () => {
      await lab.api('gw-a').drain();
      await lab.reaches('gw-b', 'active');
    });
    for (const { window } of windows) expect(window.lost, JSON.stringify(windows)).toBe(0);
    for (const [index, node] of computes.entries()) expect(logOf(node).slice(before[index])).toMatch(/up->down "No Diagnostic"->"Neighbor Signaled Session Down"[^]*Remote Session State: admin_down/);
    await everythingUp('gw-b');
  });
});

describe('who is no compute', () => {
  const up1: ControlPacket = { diagnostic: 0, state: 'AdminDown', poll: false, final: false, demand: false, detectMult: 1, myDiscriminator: 77, yourDiscriminator: 0, desiredMinTxUs: 0, requiredMinRxUs: 0 };

  /** From the underlay's switch, on its port to gw-a. */
  function lie({ vni = 0, ttl = 255, source = topology.computes[0]!.tunnelAddress, packet = up1 }: { vni?: number; ttl?: number; source?: string; packet?: ControlPacket }): string {
    return frame(
      ethernet({ source: '02:00:00:00:33:1f', destination: '00:00:5e:00:01:33' }), ipv4({ source, destination: tunnelVip }), udp({ sourcePort: 50_000, destinationPort: 6081, checksum: 0 }), geneve({ vni, options: [] }),
      ethernet({ source: 'f2:92:a8:9c:6b:2d', destination: '00:23:20:00:00:01' }), ipv4({ source: '169.254.1.1', destination: '169.254.1.0', ttl, typeOfService: 0xc0 }),
      udp({ sourcePort: 49_152, destinationPort: 3784, checksum: 0 }), payload(Buffer.from(encodeControlPacket(packet))),
    ).toString('hex');
  }

  const send = (frames: readonly string[]): Promise<unknown> => new Promise((resolve, reject) => {
    const script = `import { PacketSocket } from 'libbpf-ts'; const socket = new PacketSocket({ interface: 'gw-a' }); for (const hex of process.argv.slice(1)) for (let i = 0; i < 50; i += 1) socket.send(Buffer.from(hex, 'hex')); socket.close();`;
    const [program, ...args] = nsenter('underlay', [process.execPath, '--input-type=module', '-e', script, ...frames]);
    execFile(program, args, { cwd: process.cwd() }, (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stderr))));
  });

  it('ends nobody\'s session', { timeout: 90_000 }, async () => {
    const reasons = ['drop_source_not_in_subnet', 'drop_bfd_malformed', 'drop_bfd_stranger'] as const;
    const counts = () => Promise.all(reasons.map((reason) => lab.counted('gw-a', reason)));
    const [before, flapsBefore] = [await counts(), await flaps()];
    await send([
      ...[100, 200].map((vni) => lie({ vni })),
      lie({ ttl: 254 }),
      lie({ source: '192.168.33.77' }),
      lie({ packet: { ...up1, state: 'Down', yourDiscriminator: 0x12345678 } }),
    ]);
    const after = await counts();
    expect(after.map((count, index) => count - before[index]!)).toEqual([100, 50, 100]);
    expect((await bfdAt('gw-a')).sessions.every(({ state }) => state === 'Up')).toBe(true);
    expect(await flaps()).toEqual(flapsBefore);
    expect((await bfdAt('gw-a')).sessions).toHaveLength(computes.length);
  });
});

describe('a virtual address that appears while computes send to it already', () => {
  /** Replies of a ping that goes on all the time, by when they came: milliseconds since 1970. */
  function pinging(node: string): { readonly replies: number[]; stop(): void } {
    const replies: number[] = [];
    const [program, ...args] = nsenter(node, ['ping', '-n', '-D', '-O', '-i', '0.02', outsideAddress]);
    const child = execFile(program, args);
    child.stdout?.on('data', (text: string) => {
      for (const [, seconds] of text.matchAll(/\[([\d.]+)\] \d+ bytes from/g)) replies.push(Number(seconds) * 1000);
    });
    return { replies, stop: () => void child.kill('SIGKILL') };
  }

  it('announces itself when the gateways start: their packets arrive within a second', { timeout: 120_000 }, async () => {
    for (const node of both) await lab.end(node, 'SIGKILL');
    for (const node of both) await lab.floatgate('detach', '--config', join(stateFolder, node, 'floatgate.yaml'));
    for (const node of computes) await forgetTunnelEnds(node);
    const ping = pinging('vm-a1');
    try {
      await delay(3000);
      expect(ping.replies).toEqual([]);
      await lab.start('gw-a');
      await lab.reaches('gw-a', 'active');
      const activeAtMs = Date.parse((await lab.virtualRouter('gw-a')).history[0]!.at);
      await until('a reply', () => ping.replies.length > 0, { deadlineMs: 20_000 });
      console.log(`first reply ${Math.round(ping.replies[0]! - activeAtMs)} ms after gw-a became Active`);
      expect(ping.replies[0]! - activeAtMs).toBeLessThan(1000);
    } finally {
      ping.stop();
      await lab.start('gw-b');
    }
  });

  it('and when a reload adds one: BFD of the computes is heard', { timeout: 90_000 }, async () => {
    const address = '192.168.33.101';
    for (const node of computes) {
      await addTunnel(node, 'geneve1', address);
      await speakBfd(node, ['min_tx=100', 'min_rx=100'], 'geneve1');
    }
    try {
      await delay(3000);
      await lab.reconfigure((configuration) => listAt(configuration, 'virtualRouters').add(configuration.createNode({ vrid: 52, address, priority: 150, advertisementInterval: '100ms' })));
      const sessions = await until('BFD with the new virtual router', async () => {
        const { virtualRouters } = await lab.status('gw-a');
        const added = virtualRouters.find(({ vrid }) => vrid === 52);
        return added?.state === 'active' && added.bfd?.sessions.length === computes.length && added.bfd.sessions.every(({ state }) => state === 'Up') && added;
      }, { deadlineMs: 20_000 });
      const activeAtMs = Date.parse(sessions.history.find(({ to }) => to === 'Active')!.at);
      const upMs = Math.max(...sessions.bfd!.sessions.map(({ since }) => Date.parse(since))) - activeAtMs;
      console.log(`BFD Up ${upMs} ms after virtual router 52 became Active`);
      // Computes that are not Up send once in a second: the first packet within one, the handshake within three.
      expect(upMs).toBeLessThan(3500);
    } finally {
      for (const node of computes) await removeTunnel(node, 'geneve1');
    }
  });
});
