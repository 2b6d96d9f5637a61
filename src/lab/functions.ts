// The functional checks: what a tenant does with a gateway on an ordinary day. All of it at once for both tenants.
import { readFileSync } from 'node:fs';
import { LabClient } from './client.js';
import type { FlowReport } from './clients/flow-client.js';
import type { ProgressReport } from './clients/session-client.js';
import type { Download, Measurements } from './measurements.js';
import { runIn } from './process.js';
import { clientCommand, digestFile, downloadName } from './servers.js';
import type { LabState } from './state.js';
import { outsideAddress, outsideAddressesOf, ports, topology, type Vm } from './topology.js';
import { until } from './wait.js';

type Functions = Pick<Measurements, 'addresses' | 'downloads' | 'echoes' | 'pings' | 'throughput'>;

const pingCount = 5;

export async function measureFunctions(state: LabState, signal?: AbortSignal): Promise<Functions> {
  const snatVms = topology.vms.filter(({ floatingAddress }) => floatingAddress === undefined);
  const floatingVms = topology.vms.filter(({ floatingAddress }) => floatingAddress !== undefined);
  const addresses = await Promise.all(topology.vms.map((vm) => seenAddress(vm, signal)));
  const downloads = await Promise.all([
    ...snatVms.map(({ node }) => download(node, outsideAddress, 'outside', signal)),
    ...floatingVms.map(({ node, floatingAddress }) => download('outside', floatingAddress ?? '', node, signal)),
  ]);
  const echoes = await Promise.all([
    ...topology.vms.map((vm) => echo(state, { from: vm.node, to: 'outside', address: outsideAddress, wanted: outsideAddressesOf(vm) }, signal)),
    ...floatingVms.map(({ node, floatingAddress }) => echo(state, { from: 'outside', to: node, address: floatingAddress ?? '', wanted: [outsideAddress] }, signal)),
  ]);
  const pings = await Promise.all([
    ...topology.vms.map(({ node }) => ping(node, outsideAddress, 'outside', signal)),
    ...floatingVms.map(({ node, floatingAddress }) => ping('outside', floatingAddress ?? '', node, signal)),
  ]);
  return { addresses, downloads, echoes, pings, throughput: await measureThroughput(signal) };
}

async function seenAddress(vm: Vm, signal?: AbortSignal): Promise<Measurements['addresses'][number]> {
  const seen = await runIn(vm.node, ['curl', '-sS', '--max-time', '10', `http://${outsideAddress}/address`], { signal });
  return { vm: vm.node, ...compared(outsideAddressesOf(vm), seen.trim()) };
}

/** Any of a pool's addresses is right. */
function compared(wanted: readonly string[], seen: string): { wanted: string; seen: string } {
  return { wanted: wanted.includes(seen) ? seen : wanted.join(' or '), seen };
}

async function download(from: string, address: string, to: string, signal?: AbortSignal): Promise<Download> {
  const wantedSha256 = readFileSync(digestFile, 'utf8');
  const url = `http://${address}:${ports.http}/${downloadName}`;
  const result = await runIn(from, clientCommand('download', url), { timeoutMs: 60_000, signal });
  return { path: `${from} ← ${to} (${address})`, wantedSha256, ...(JSON.parse(result) as Pick<Download, 'bytes' | 'sha256' | 'durationMs'>) };
}

interface EchoPath {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly wanted: readonly string[];
}

export async function echo(state: LabState, { from, to, address, wanted }: EchoPath, signal?: AbortSignal): Promise<Measurements['echoes'][number]> {
  const client = new LabClient(state, { program: 'flow-client', name: `${from}-echo-${to}`, node: from, args: [address, ports.datagrams, 1, 0, 10] });
  try {
    await client.call('start');
    await until(`a UDP echo from ${to} to ${from}`, async () => (await client.call<ProgressReport>('progress')).advanced === 1, { signal, deadlineMs: 5000 });
    const { flows } = await client.call<{ flows: FlowReport[] }>('stop');
    return { from, to, ...compared(wanted, flows[0]?.peers.map((peer) => peer.split(':')[0]).join(', ') ?? '') };
  } finally {
    client.close();
  }
}

async function ping(from: string, address: string, to: string, signal?: AbortSignal): Promise<Measurements['pings'][number]> {
  // ping exits with 1 when replies are missing: that is a measurement here, not an error.
  const output = await runIn(from, ['sh', '-c', `ping -n -c ${pingCount} -i 0.2 -W 1 ${address} || [ $? = 1 ]`], { signal });
  const received = Number(/(\d+) received/.exec(output)?.[1] ?? 0);
  return { from, to, sent: pingCount, received };
}

async function measureThroughput(signal?: AbortSignal): Promise<Measurements['throughput']> {
  const results = [];
  for (const { path, options } of [{ path: 'vm-a1 → outside', options: [] }, { path: 'vm-a1 ← outside', options: ['--reverse'] }]) {
    const output = await runIn('vm-a1', ['iperf3', '--client', outsideAddress, '--time', '2', '--json', ...options], { signal });
    const { end, error } = JSON.parse(output) as { end: { sum_received?: { bits_per_second: number } }; error?: string };
    results.push({ path, megabitsPerSecond: (end.sum_received?.bits_per_second ?? 0) / 1e6, ...(error === undefined ? {} : { error }) });
  }
  return results;
}
