/** `floatgate sessions`: what the gateway holds, a page at a time. */
import { createInterface } from 'node:readline/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { ApiClient, Parameters } from '../api/client.js';
import { formatMilliseconds } from '../api/format.js';
import type { SessionCount, SessionGroup, SessionPage, SessionsKilled, SessionView } from '../api/sessions.js';
import { counted } from './counted.js';
import { clientOf, forDaemon } from './daemon-client.js';
import type { DaemonOptions } from './daemon-client.js';
import { Table } from './table.js';
import type { Column } from './table.js';

interface FilterOptions extends DaemonOptions {
  readonly router?: string;
  readonly network?: string;
  readonly vm?: string;
  readonly external?: string;
  readonly remote?: string;
  readonly protocol?: string;
  readonly state?: string;
  readonly unprotected?: boolean;
  readonly idleOver?: string;
  readonly json?: boolean;
}

interface ListOptions extends FilterOptions {
  readonly limit: number;
  readonly after?: string;
  readonly all?: boolean;
}

/** The API's own limit. */
const PAGE = 1000;

const write = (text: string): void => void process.stdout.write(text);

export function register(program: Command): void {
  const sessions = program.command('sessions').description('List, count or kill the sessions that a running gateway holds.');
  withFilters(forDaemon(sessions, 'list', 'Print sessions, one line each, as they come.'))
    .option('--limit <count>', 'how many at most', wholeNumber, 100)
    .option('--after <cursor>', 'go on where an earlier list ended')
    .addOption(new Option('--all', 'all of them, however many').conflicts('limit'))
    .option('--json', 'print a JSON object on each line')
    .action(listAction);
  withFilters(forDaemon(sessions, 'count', 'Count sessions.'))
    .option('--by <what>', 'how many for each router, vm, protocol, state or remote; the largest groups first')
    .option('--limit <count>', 'groups at most', wholeNumber, 100)
    .option('--json', 'print it as JSON')
    .action(countAction);
  withFilters(forDaemon(sessions, 'kill', 'End sessions, here and on the peer. What a filter finds by router, network, VM, protocol or external address loses its ports as well.'))
    .option('--yes', 'do not ask')
    .option('--json', 'print how many as JSON')
    .action(killAction);
}

function withFilters(command: Command): Command {
  return command
    .option('--router <name>', 'of this router')
    .option('--network <name>', 'of a network of this name')
    .option('--vm <address>', 'of VMs with this address')
    .option('--external <address[:port]>', 'that look like this from outside')
    .option('--remote <address[/length][:port]>', 'with this host or subnet outside')
    .option('--protocol <name>', 'tcp, udp or icmp')
    .option('--state <name>', 'transitory, established or closing')
    .option('--unprotected', 'that the peer does not hold')
    .option('--idle-over <duration>', 'without a packet for longer, such as 60s');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number of at least 1 is needed');
  return value;
}

/** As written: the daemon knows what they must be. */
function parametersOf({ router, network, vm, external, remote, protocol, state, unprotected, idleOver }: FilterOptions): Parameters {
  return { router, network, vm, external, remote, protocol, state, unprotected: unprotected === true ? 'true' : undefined, idleOver };
}

// --------------------------------------------------------------------- list

async function listAction(options: ListOptions): Promise<void> {
  const client = await clientOf(options);
  const limit = options.all === true ? Infinity : options.limit;
  const table = new Table(columns);
  let next = options.after;
  for await (const page of pages(client, { ...parametersOf(options), after: options.after }, limit)) {
    write(options.json === true ? page.sessions.map((session) => `${JSON.stringify(session)}\n`).join('') : table.format(page.sessions));
    next = page.next;
  }
  if (next !== undefined) process.stderr.write(`there may be more: --after ${next} goes on from here, --all is all of them\n`);
}

/** Never more than one of them in memory. */
async function* pages(client: ApiClient, parameters: Parameters, limit: number): AsyncGenerator<SessionPage> {
  let { after } = parameters;
  for (let left = limit; left > 0; ) {
    const page = await client.sessions({ ...parameters, after, limit: String(Math.min(left, PAGE)) });
    yield page;
    if (page.next === undefined) return;
    after = page.next;
    left -= page.sessions.length;
  }
}

const columns: readonly Column<SessionView>[] = [
  { heading: 'protocol', value: ({ protocol }) => protocol },
  { heading: 'network', value: ({ router, network }) => `${router ?? '?'}/${network ?? '?'}` },
  { heading: 'internal', value: ({ internalAddress, internalPort }) => `${internalAddress}:${internalPort}` },
  { heading: 'external', value: ({ externalAddress, externalPort }) => `${externalAddress}:${externalPort}` },
  { heading: 'remote', value: ({ remoteAddress, remotePort }) => `${remoteAddress}:${remotePort ?? '*'}` },
  { heading: 'state', value: ({ state }) => state },
  { heading: 'idle', value: ({ idleSeconds }) => formatMilliseconds(idleSeconds * 1000), align: 'right' },
  { heading: '', value: (session) => (session.protected ? '' : 'unprotected') },
];

// -------------------------------------------------------------------- count

async function countAction(options: FilterOptions & { readonly by?: string; readonly limit: number }): Promise<void> {
  const limit = options.by === undefined ? undefined : String(options.limit);
  const count = await (await clientOf(options)).countSessions({ ...parametersOf(options), by: options.by, limit });
  write(options.json === true ? `${JSON.stringify(count)}\n` : formatCount(count, options.by));
}

function formatCount({ sessions, groups = [], moreGroups = 0 }: SessionCount, by = ''): string {
  const table = new Table<SessionGroup>([
    { heading: 'sessions', value: (group) => String(group.sessions), align: 'right' },
    { heading: by, value: ({ group }) => group },
  ]);
  const more = moreGroups === 0 ? '' : `and ${counted(moreGroups, 'smaller group')}\n`;
  return `${by === '' ? '' : table.format(groups)}${more}${counted(sessions, 'session')}\n`;
}

// --------------------------------------------------------------------- kill

async function killAction(options: FilterOptions & { readonly yes?: boolean }, command: Command): Promise<void> {
  const parameters = parametersOf(options);
  if (Object.values(parameters).every((value) => value === undefined)) command.error('error: which sessions to kill is not said: at least one filter is needed, such as --vm');
  const client = await clientOf(options);
  const killed = options.yes === true || (await agreed(client, parameters)) ? await killAll(client, parameters) : none;
  write(options.json === true ? `${JSON.stringify(killed)}\n` : formatKilled(killed));
  if (killed.notActiveHere > 0) process.exitCode = 1;
}

const none: SessionsKilled = { killed: 0, notActiveHere: 0 };

/** @throws Error where nobody can be asked */
async function agreed(client: ApiClient, parameters: Parameters): Promise<boolean> {
  const { sessions } = await client.countSessions(parameters);
  // Nothing to ask about, and the daemon may know why.
  if (sessions === 0) return true;
  if (!process.stdin.isTTY) throw new Error(`${counted(sessions, 'session')} would be killed, and nobody can be asked here: --yes is needed`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`kill ${counted(sessions, 'session')}? [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

async function killAll(client: ApiClient, parameters: Parameters): Promise<SessionsKilled> {
  let sum = none;
  let after: string | undefined;
  do {
    const { next, killed, notActiveHere } = await client.killSessions({ ...parameters, after });
    sum = { killed: sum.killed + killed, notActiveHere: sum.notActiveHere + notActiveHere };
    after = next;
  } while (after !== undefined);
  return sum;
}

function formatKilled({ killed, notActiveHere }: SessionsKilled): string {
  const left = notActiveHere === 0 ? '' : `${counted(notActiveHere, 'session')} not killed: this gateway is not Active for them, ask the one that is\n`;
  return `${counted(killed, 'session')} killed\n${left}`;
}
