/** `floatgate lab`: the lab of namespaces on this machine, and the failover in it. */
import { InvalidArgumentError, type Command } from 'commander';
import { down, downIfOurs, exec, status, up } from '../lab/lab.js';
import { LabError } from '../lab/error.js';
import { upMachine } from '../lab/machine.js';
import { runLab } from '../lab/run.js';
import { topology } from '../lab/topology.js';

const write = (text: string) => void process.stdout.write(text);
const say = (line: string) => write(`  ${line}\n`);

interface SyncOption {
  /** false with --no-sync */
  readonly sync: boolean;
}

interface RunOptions extends SyncOption {
  readonly keep?: boolean;
  readonly connections: number;
  readonly flows: number;
}

export function register(program: Command): void {
  const lab = program.command('lab').description('a gateway pair, computes, VMs and an outside server in network namespaces of this machine').enablePositionalOptions();
  lab.hook('preAction', refuseUnlessRoot);
  const noSync = 'run the gateways without replication: sessions must break';
  lab.command('run').description('bring the lab up, fail a gateway over under load, print what was measured, take the lab down')
    .option('--no-sync', noSync)
    .option('--keep', 'leave the lab up')
    .option('--connections <count>', 'TCP connections through the failover', wholeNumber, 200)
    .option('--flows <count>', 'UDP flows through the failover', wholeNumber, 200)
    .action(runAction);
  lab.command('up').description('bring the lab up and leave it').option('--no-sync', noSync).action(upAction);
  lab.command('machine').description('bring up the part of the lab that is on this virtual machine, see Vagrantfile').argument('<name>')
    .argument('<interface=mac...>', 'network cards, by the interface of the lab that each becomes').action(machineAction);
  lab.command('down').description('take the lab down, also one that is half made').action(downAction);
  lab.command('status').description('list the nodes and their processes').action(statusAction);
  lab.command('exec').description('run a command in a node').argument('<node>').argument('<command...>').passThroughOptions()
    .action((node: string, command: string[]) => void (process.exitCode = exec(node, command)));
}

function refuseUnlessRoot(): void {
  if (process.getuid?.() !== 0) throw new LabError('the lab needs root: it makes network namespaces and loads BPF programs');
}

async function runAction({ sync, keep = false, connections, flows }: RunOptions): Promise<void> {
  const passed = await runLab({ sync: sync ? 'strict' : 'none', keep, connections, flows, write });
  if (keep) write(lookAround);
  if (!passed) process.exitCode = 1;
}

async function upAction({ sync }: SyncOption): Promise<void> {
  const signal = interruption();
  await takenDownOnFailure(() => up({ sync: sync ? 'strict' : 'none', say, signal }, 'up'));
  write(lookAround);
}

function interruption(): AbortSignal {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new LabError('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  return controller.signal;
}

/** The gateways' key comes by the environment: arguments can be read by everybody. */
async function machineAction(name: string, cards: string[]): Promise<void> {
  const syncKey = process.env['FLOATGATE_SYNC_KEY'] ?? '';
  if (!/^[0-9a-f]{32}$/i.test(syncKey)) throw new LabError('FLOATGATE_SYNC_KEY must hold the key of the gateways, 32 hexadecimal digits');
  const signal = interruption();
  await takenDownOnFailure(() => upMachine(name, { cards: new Map(cards.map(card)), syncKey, say, signal }));
}

function card(text: string): [string, string] {
  const [name = '', mac = ''] = text.split('=');
  if (name === '' || mac === '') throw new LabError(`'${text}' is not a card: INTERFACE=MAC is needed`);
  return [name, mac];
}

/** A lab that somebody else has up is not ours to take down. */
async function takenDownOnFailure(make: () => Promise<unknown>): Promise<void> {
  try {
    await make();
  } catch (error) {
    await downIfOurs();
    throw error;
  }
}

async function downAction(): Promise<void> {
  write((await down()) ? 'the lab is down\n' : 'there is no lab\n');
}

async function statusAction(): Promise<void> {
  const report = await status();
  if (report === undefined) {
    write("the lab is not up; 'floatgate lab up' makes it\n");
    process.exitCode = 1;
    return;
  }
  write(`up since ${report.since}\n`);
  for (const { node, processes, note } of report.nodes) {
    const running = processes.map(({ name, pid, running: alive }) => (alive ? `${name} (${pid})` : `${name} (ended)`)).join(', ');
    write(`  ${node.padEnd(10)} ${[note, running].filter((text) => text !== '').join(' — ')}\n`);
  }
}

const example = (node: string, command: string) => `  node dist/cli/main.js lab exec ${node} ${command}\n`;
const lookAround = `the lab is up: ${topology.nodes.map(({ name }) => name).join(', ')}
${example('vm-a1', 'curl -s http://203.0.113.10/address')}${example('outside', 'ping -c 3 10.0.2.215')}${example('compute-1', 'ovs-ofctl dump-flows br-int')}${example('gw-a', 'tcpdump -ni underlay0 -c 10')}  node dist/cli/main.js status --state-directory /run/floatgate-lab/gw-a/state
  node dist/cli/main.js lab status
  node dist/cli/main.js lab down
`;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number of at least 1 is needed');
  return value;
}
