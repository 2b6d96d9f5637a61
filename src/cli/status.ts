/** `floatgate status`: where the Active is, since when, and why. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { clientOf, forDaemon } from './daemon-client.js';
import type { DaemonOptions } from './daemon-client.js';
import { changesBetween, formatHistory, formatRouter, formatRouters, formatStatus } from './status-format.js';
import { CLEAR_SCREEN } from './table.js';

interface StatusOptions extends DaemonOptions {
  readonly router?: string;
  readonly routers?: boolean;
  readonly history?: boolean;
  readonly json?: boolean;
  readonly watch?: string | true;
}

export function register(program: Command): void {
  forDaemon(program, 'status', 'Print the state of a running gateway: where each virtual router is Active, since when and why, what it depends on, peer, synchronisation, counters.')
    .option('--router <name>', "where this tenant's router is carried")
    .option('--routers', "where each of the tenants' routers is carried, one line each")
    .option('--history', 'the last 32 changes of each virtual router, newest first')
    .option('--json', 'print it as JSON')
    .option('--watch [seconds]', 'again every so often (default: 1); where the output is no terminal, a line for each change')
    .action(statusAction);
}

async function statusAction(options: StatusOptions): Promise<void> {
  const client = await clientOf(options);
  if (options.watch === undefined) return print(await read(client, options));
  const seconds = options.watch === true ? 1 : Number(options.watch);
  if (!(seconds >= 0.1 && seconds <= 3600)) throw new Error(`--watch is ${options.watch}, but must be a number of seconds from 0.1 to 3600`);
  return process.stdout.isTTY || options.json === true ? redraw(client, options, seconds * 1000) : tellChanges(client, seconds * 1000);
}

async function read(client: ApiClient, { router, routers, history, json }: StatusOptions): Promise<string> {
  if (router !== undefined || routers === true) {
    const found = await client.routers({ name: router });
    if (router !== undefined && found.length === 0) throw new Error(`${router} is not a router of this gateway`);
    if (json === true) return jsonOf(router === undefined ? found : found[0]);
    return router === undefined ? formatRouters(found) : formatRouter(found[0]!, await client.status());
  }
  const status = await client.status();
  if (json === true) return jsonOf(status);
  return history === true ? formatHistory(status) : formatStatus(status);
}

async function redraw(client: ApiClient, options: StatusOptions, intervalMs: number): Promise<never> {
  for (;;) {
    const text = await read(client, options);
    print(process.stdout.isTTY ? `${CLEAR_SCREEN}${text}` : text);
    await delay(intervalMs);
  }
}

async function tellChanges(client: ApiClient, intervalMs: number): Promise<never> {
  let before = await client.status();
  for (const line of changesBetween(undefined, before)) print(line);
  for (;;) {
    await delay(intervalMs);
    const now = await client.status();
    for (const line of changesBetween(before, now)) print(line);
    before = now;
  }
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
