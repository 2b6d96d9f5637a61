/** `floatgate fip`: floating IPs, and what passes through them. */
import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ApiClient, Parameters } from '../api/client.js';
import type { FloatingIpView, Traffic } from '../api/floating-ips.js';
import { formatMilliseconds } from '../api/format.js';
import { clientOf, forDaemon } from './daemon-client.js';
import type { DaemonOptions } from './daemon-client.js';
import { CLEAR_SCREEN, Table } from './table.js';
import type { Column } from './table.js';

interface ListOptions extends DaemonOptions {
  readonly router?: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

const WATCH_INTERVAL_MS = 1000;

const write = (text: string): void => void process.stdout.write(text);

export function register(program: Command): void {
  const fip = program.command('fip').description('Print floating IPs with their packets and bytes.');
  forDaemon(fip, 'list', 'Print floating IPs, one line each.')
    .option('--router <name>', 'of this router')
    .option('--watch', 'packets and bits per second, every second')
    .option('--json', 'print a JSON object on each line')
    .action(listAction);
  forDaemon(fip, 'show', 'Print all that is known of one floating IP.')
    .argument('<address>')
    .option('--json', 'print it as JSON')
    .action(showAction);
}

async function listAction(options: ListOptions): Promise<void> {
  const client = await clientOf(options);
  if (options.watch === true) return watch(client, { router: options.router });
  const table = new Table(listColumns);
  for await (const floatingIps of pages(client, { router: options.router })) {
    write(options.json === true ? floatingIps.map((each) => `${JSON.stringify(each)}\n`).join('') : table.format(floatingIps));
  }
}

async function* pages(client: ApiClient, parameters: Parameters): AsyncGenerator<readonly FloatingIpView[]> {
  let after: string | undefined;
  do {
    const page = await client.floatingIps({ ...parameters, after });
    yield page.floatingIps;
    after = page.next;
  } while (after !== undefined);
}

/** What stands in both tables. */
const commonColumns: readonly Column<FloatingIpView>[] = [
  { heading: 'address', value: ({ address }) => address },
  { heading: 'network', value: ({ router, network }) => `${router}/${network}` },
  { heading: 'vm', value: ({ fixedIp }) => fixedIp },
  { heading: 'compute', value: ({ compute }) => compute ?? '-' },
  { heading: 'state', value: ({ state }) => state },
];

const listColumns: readonly Column<FloatingIpView>[] = [
  ...commonColumns,
  { heading: 'in packets', value: ({ inbound }) => String(inbound.packets), align: 'right' },
  { heading: 'in bytes', value: ({ inbound }) => String(inbound.bytes), align: 'right' },
  { heading: 'out packets', value: ({ outbound }) => String(outbound.packets), align: 'right' },
  { heading: 'out bytes', value: ({ outbound }) => String(outbound.bytes), align: 'right' },
];

// -------------------------------------------------------------------- watch

/** A floating IP with what passed since a moment ago, per second. */
export interface Rate extends FloatingIpView {
  readonly inboundPerSecond: Traffic;
  readonly outboundPerSecond: Traffic;
}

async function watch(client: ApiClient, parameters: Parameters): Promise<void> {
  let before = await sample(client, parameters);
  for (;;) {
    await setTimeout(WATCH_INTERVAL_MS);
    const now = await sample(client, parameters);
    write(`${process.stdout.isTTY ? CLEAR_SCREEN : ''}${new Table(watchColumns).format(ratesOf(before, now))}`);
    before = now;
  }
}

interface Sample {
  readonly atMs: number;
  readonly floatingIps: ReadonlyMap<string, FloatingIpView>;
}

async function sample(client: ApiClient, parameters: Parameters): Promise<Sample> {
  const floatingIps = new Map<string, FloatingIpView>();
  for await (const page of pages(client, parameters)) for (const each of page) floatingIps.set(`${each.address}/${each.router}`, each);
  return { atMs: performance.now(), floatingIps };
}

/** Of those that were there both times. */
export function ratesOf(before: Sample, now: Sample): Rate[] {
  const seconds = (now.atMs - before.atMs) / 1000;
  const perSecond = (then: number, later: number): number => Math.round(Math.max(0, later - then) / seconds);
  const rate = (then: Traffic, later: Traffic): Traffic => ({ packets: perSecond(then.packets, later.packets), bytes: perSecond(then.bytes, later.bytes) });
  return [...now.floatingIps].flatMap(([key, each]) => {
    const then = before.floatingIps.get(key);
    return then === undefined ? [] : [{ ...each, inboundPerSecond: rate(then.inbound, each.inbound), outboundPerSecond: rate(then.outbound, each.outbound) }];
  });
}

const watchColumns: readonly Column<Rate>[] = [
  ...commonColumns,
  { heading: 'in packets/s', value: ({ inboundPerSecond }) => String(inboundPerSecond.packets), align: 'right' },
  { heading: 'in bits/s', value: ({ inboundPerSecond }) => String(inboundPerSecond.bytes * 8), align: 'right' },
  { heading: 'out packets/s', value: ({ outboundPerSecond }) => String(outboundPerSecond.packets), align: 'right' },
  { heading: 'out bits/s', value: ({ outboundPerSecond }) => String(outboundPerSecond.bytes * 8), align: 'right' },
];

// --------------------------------------------------------------------- show

/** @throws Error when the configuration has no such floating IP */
async function showAction(address: string, options: DaemonOptions & { readonly json?: boolean }): Promise<void> {
  const { floatingIps } = await (await clientOf(options)).floatingIps({ address });
  if (floatingIps.length === 0) throw new Error(`${address} is not a floating IP of this gateway`);
  write(options.json === true ? floatingIps.map((each) => `${JSON.stringify(each)}\n`).join('') : floatingIps.map(formatOne).join('\n'));
}

function formatOne(floatingIp: FloatingIpView): string {
  const { address, router, network, fixedIp, vrid, state, answers, compute, mac, idleSeconds, inbound, outbound } = floatingIp;
  const heard = idleSeconds === undefined ? '' : `, heard ${formatMilliseconds(idleSeconds * 1000)} ago`;
  const rows = [
    ['floating IP', address],
    ['router', `${router}, virtual router ${vrid}`],
    ['vm', `${fixedIp} in ${network}${mac === undefined ? '' : `, ${mac}`}`],
    ['compute', compute === undefined ? 'not known: nothing was heard of the VM yet' : `${compute}${heard}`],
    ['here', `${state}: ${answers ? 'this gateway answers for the address' : 'another gateway answers for the address, or none'}`],
    ['inbound', `${inbound.packets} packets, ${inbound.bytes} bytes`],
    ['outbound', `${outbound.packets} packets, ${outbound.bytes} bytes`],
  ];
  return rows.map(([name, value]) => `${name!.padEnd(12)} ${value}\n`).join('');
}
