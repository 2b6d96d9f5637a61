// A gateway that runs at TC, between a compute with the kernel's own VXLAN device and a host outside: what the kernel has
// merged stays whole on the way through. A lab of its own, for Open vSwitch in user space sends no such packets.
import { createHash } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../../src/lab/process.js';
import { until } from '../../src/lab/wait.js';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const [compute, gateway, outside] = ['fgtc-compute', 'fgtc-gateway', 'fgtc-outside'];
const folder = mkdtempSync(join(tmpdir(), 'floatgate-tc-'));
const configuration = join(folder, 'gateway.json');
const BYTES = 50_000_000;
let daemon: ChildProcess;

const inside = (node: string, ...command: string[]): string[] => ['nsenter', `--net=/run/netns/${node}`, ...command];
const output = async (node: string, ...command: string[]): Promise<string> => {
  const result: unknown = await run(inside(node, ...command)[0]!, inside(node, ...command).slice(1));
  return typeof result === 'string' ? result : (result as { stdout: string }).stdout;
};

/** A veth from a host to one of the gateway's interfaces. */
async function cable(host: string, device: string, role: string, mtu: number): Promise<void> {
  await output(host, 'ip', 'link', 'add', device, 'mtu', String(mtu), 'type', 'veth', 'peer', 'name', role, 'mtu', String(mtu), 'netns', gateway);
  await output(host, 'ip', 'link', 'set', device, 'up');
  await output(gateway, 'ip', 'link', 'set', role, 'up');
}

async function build(): Promise<void> {
  for (const node of [compute, gateway, outside]) await run('ip', ['netns', 'add', node]);
  await cable(compute, 'u0', 'underlay0', 1600);
  await cable(outside, 'e0', 'external0', 1500);
  await output(compute, 'ip', 'addr', 'add', '10.71.0.2/24', 'dev', 'u0');
  await output(gateway, 'ip', 'addr', 'add', '10.71.0.11/24', 'dev', 'underlay0');
  await output(gateway, 'ip', 'addr', 'add', '203.0.113.11/24', 'dev', 'external0');
  await output(outside, 'ip', 'addr', 'add', '203.0.113.2/24', 'dev', 'e0');
  await output(compute, 'ip', 'link', 'add', 'vx0', 'mtu', '1500', 'type', 'vxlan', 'id', '77', 'local', '10.71.0.2', 'remote', '10.71.0.100', 'dstport', '4789');
  await output(compute, 'ip', 'link', 'set', 'vx0', 'up');
  await output(compute, 'ip', 'addr', 'add', '172.16.0.10/24', 'dev', 'vx0');
  await output(compute, 'ip', 'route', 'add', 'default', 'via', '172.16.0.1');
}

function configure(): void {
  writeFileSync(configuration, JSON.stringify({
    gateway: { name: gateway, id: 0 },
    interfaces: { underlay: { name: 'underlay0', mode: 'tc' }, external: { name: 'external0', mode: 'tc' } },
    virtualRouters: [{ vrid: 71, interface: 'underlay', address: '10.71.0.100', priority: 100, advertisementInterval: '100ms' }],
    externalNetworks: [{ name: 'provider', subnet: '203.0.113.0/24', gateway: '203.0.113.2' }],
    routers: [{
      name: 'r', virtualRouter: 71, externalNetwork: 'provider', externalAddresses: ['203.0.113.20'],
      networks: [{ name: 'n', encapsulation: 'vxlan', vni: 77, subnet: '172.16.0.0/24', gateway: '172.16.0.1', mac: '02:71:00:00:00:06' }],
    }],
    stateDirectory: join(folder, 'state'),
  }));
}

beforeAll(async () => {
  await build();
  configure();
  const [command, ...rest] = inside(gateway, process.execPath, program, 'run', '--config', configuration);
  daemon = spawn(command!, rest, { stdio: 'ignore' });
  await until('the VM to reach the outside', () => output(compute, 'ping', '-c', '1', '-W', '1', '203.0.113.2').then(() => true, () => false), { deadlineMs: 60_000 });
}, 90_000);

afterAll(async () => {
  daemon.kill();
  await new Promise((resolve) => daemon.once('exit', resolve));
  await output(gateway, process.execPath, program, 'detach', '--config', configuration);
  for (const node of [compute, gateway, outside]) await run('ip', ['netns', 'del', node]);
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

/** Packets that a device has sent or received. */
async function packets(node: string, device: string, direction: 'rx' | 'tx'): Promise<number> {
  const [link] = JSON.parse(await output(node, 'ip', '-j', '-s', 'link', 'show', 'dev', device)) as { stats64: Record<'rx' | 'tx', { packets: number }> }[];
  return link!.stats64[direction].packets;
}

const sender = `const s = require('net').createServer((c) => c.end(Buffer.alloc(${BYTES}, 'floatgate'))).listen(5000); s.on('connection', () => s.close());`;
const receiver = (host: string): string => `const h = require('crypto').createHash('sha256'); require('net').connect(5000, '${host}').on('data', (b) => h.update(b)).on('end', () => console.log(h.digest('hex')));`;

it('a download through the gateway/most packets are longer than the MTU, and every byte arrives', async () => {
  const [command, ...rest] = inside(outside, process.execPath, '-e', sender);
  const server = spawn(command!, rest, { stdio: 'ignore' });
  await until('the server', () => output(outside, 'ss', '-Hlnt', 'sport', '=', ':5000').then((text) => text.includes('5000')), { deadlineMs: 20_000 });
  const before = await packets(compute, 'u0', 'rx');
  const hash = (await output(compute, process.execPath, '-e', receiver('203.0.113.2'))).trim();
  const received = (await packets(compute, 'u0', 'rx')) - before;
  server.kill();
  expect(hash).toBe(createHash('sha256').update(Buffer.alloc(BYTES, 'floatgate')).digest('hex'));
  expect(BYTES / received).toBeGreaterThan(2 * 1500);
}, 60_000);

it('no packet has had a wrong checksum', async () => {
  for (const node of [compute, outside]) {
    const counters = await output(node, 'nstat', '-az', 'TcpInCsumErrors', 'UdpInCsumErrors', 'IcmpInCsumErrors');
    expect(counters.match(/CsumErrors\s+(\d+)/g)?.filter((line) => !/\s0$/.test(line)) ?? [], node).toEqual([]);
  }
});
