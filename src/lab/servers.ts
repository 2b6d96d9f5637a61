// What VMs and the outside server offer: nginx (a large file, and the address that it sees), iperf3, UDP echo.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runIn, startDaemon } from './process.js';
import { stateFolder, type LabState } from './state.js';
import { isServer, outsideAddress, ports, routedAddress, type Topology } from './topology.js';
import { until } from './wait.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const downloadBytes = 32 * 1024 * 1024;

/** Clients are run as compiled programs, whoever starts them (this code may itself be run from its sources by the tests). */
export function clientCommand(name: string, ...args: (string | number)[]): string[] {
  return [process.execPath, join(root, 'dist', 'lab', 'clients', `${name}.js`), ...args.map(String)];
}

export const downloadName = 'download.bin';
const contentFolder = join(stateFolder, 'www');
const digestFile = join(stateFolder, 'download.sha256');

/** Random bytes, so that no path can get them right by chance or by compression; returns their SHA-256. */
function makeContent(): void {
  mkdirSync(contentFolder, { recursive: true });
  const content = randomBytes(downloadBytes);
  writeFileSync(join(contentFolder, downloadName), content);
  writeFileSync(digestFile, createHash('sha256').update(content).digest('hex'));
}

export { digestFile };

export async function startServers(topology: Topology, state: LabState, signal?: AbortSignal): Promise<void> {
  const inside = topology.vms.filter(isServer);
  const isHere = ({ node }: { readonly node: string }) => topology.nodes.some(({ name }) => name === node);
  const places = [{ node: 'outside', address: outsideAddress }, { node: 'router-20', address: routedAddress }, ...inside].filter(isHere);
  if (places.length > 0) makeContent();
  await Promise.all(places.map(({ node, address }) => startPlace(state, node, address, signal)));
  if (places.some(({ node }) => node === 'outside')) await startIperf(state, signal);
}

async function startIperf(state: LabState, signal?: AbortSignal): Promise<void> {
  startDaemon(state, { name: 'iperf3', node: 'outside', command: ['iperf3', '--server', '--bind', outsideAddress] });
  await listening('outside', 'tcp', ports.iperf, signal);
}

async function startPlace(state: LabState, node: string, address: string, signal?: AbortSignal): Promise<void> {
  startDaemon(state, { name: `${node}-nginx`, node, command: nginxCommand(node, address) });
  await listening(node, 'tcp', ports.http, signal);
  await startEcho(state, node, address, signal);
}

/** UDP echo, twice. */
export async function startEcho(state: LabState, node: string, address: string, signal?: AbortSignal): Promise<void> {
  // The probe has an echo of its own: it measures the gateway, not the load of the flows' echo.
  startDaemon(state, { name: `${node}-echo`, node, command: clientCommand('datagram-echo', address, ports.datagrams), prompt: true });
  startDaemon(state, { name: `${node}-probe-echo`, node, command: clientCommand('datagram-echo', address, ports.probe), prompt: true });
  await listening(node, 'udp', ports.datagrams, signal);
  await listening(node, 'udp', ports.probe, signal);
}

function listening(node: string, protocol: 'tcp' | 'udp', port: number, signal?: AbortSignal): Promise<string> {
  const look = async () => (await runIn(node, ['ss', '-Hln', `--${protocol}`, `sport = :${port}`])).trim();
  return until(`${node} to listen on ${protocol} port ${port}`, async () => (await look()) || undefined, { signal, intervalMs: 50 });
}

function nginxCommand(node: string, address: string): string[] {
  const folder = join(stateFolder, node);
  mkdirSync(folder, { recursive: true });
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(configuration, nginxConfiguration(folder, address));
  return ['nginx', '-p', folder, '-c', configuration, '-e', join(folder, 'nginx-error.log')];
}

function nginxConfiguration(folder: string, address: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${folder}/${kind};`);
  return `daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log ${folder}/nginx-access.log;
  sendfile on;
${temporary.join('\n')}
  server {
    listen ${address}:${ports.http};
    root ${contentFolder};
    # Who the server thinks it is talking to.
    location = /address { default_type text/plain; return 200 $remote_addr; }
  }
}
`;
}
