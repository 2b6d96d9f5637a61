/**
 * What a packet costs the data plane itself, in ns and as a ratio to a bare
 * decapsulation: the first packet's path is not meant, the others' is.
 *
 *   npx vite-node bench/hot-path/hot-path.ts [--before DIRECTORY]… [--rounds N] [--packets N]
 *
 * DIRECTORY: a built checkout of another version, measured in the same run,
 * turn by turn; the figures bear its last name. On a machine that does other things as
 * well, many short rounds find the minimum: --rounds 60 --packets 30000.
 * Programs run by BPF_PROG_TEST_RUN, so no driver and no wire is
 * in the figures; the cost of presenting packets is measured and subtracted.
 */
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PerCpuMap, u32, type BpfObject, type BpfProgram, type Codec } from 'libbpf-ts';
import { loadBpf } from '../load-bpf.js';
import { floatingInwards, floatingOutwards, inwards, outwards, type Traffic, type WayBack } from './traffic.js';
import { fill, load, word, type Layout } from './world.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Version {
  readonly name: string;
  readonly object: BpfObject;
  readonly layout: Layout;
  readonly inward: WayBack;
}

/** One column of the result. */
interface Subject {
  readonly name: string;
  readonly program: BpfProgram;
  readonly traffic: Traffic;
  /** Checked before and after the clock runs: this reason, and no other, counts the packets. */
  readonly counts?: { readonly version: Version; readonly reason: string };
}

const { values: options } = parseArgs({
  options: { before: { type: 'string', multiple: true, default: [] }, rounds: { type: 'string', default: '15' }, packets: { type: 'string', default: '300000' } },
});
const rounds = Number(options.rounds);
const REPEAT = Number(options.packets);

const driver = loadBpf(new URL('driver.bpf.c', import.meta.url));
const flowMemory = driver.map('flows').mmap();

function present(subject: { readonly program: BpfProgram; readonly traffic: Traffic }, flows: number, sequential: boolean): void {
  driver.map('target').update(word(0), word(subject.program.fd));
  subject.traffic.flows.copy(flowMemory);
  driver.map('drives').update(word(0), subject.traffic.drive(flows, sequential));
}

function run(traffic: Traffic, repeat: number): number {
  return driver.program('drive_xdp').testRun({ data: traffic.frame, dataOutSize: 512, repeat }).durationNs;
}

function counted({ object, layout }: Version): Map<string, number> {
  const map = new PerCpuMap(object.map('counters'), u32, layout['counterCodec'] as Codec<{ packets: bigint }>);
  const totals = new Map<string, number>();
  for (const [reason, perCpu] of map.entries()) {
    totals.set(layout.reasonNames[reason]!, perCpu.reduce((sum, counter) => sum + Number(counter.packets), 0));
  }
  return totals;
}

/** Every packet has to be forwarded: a figure of anything else would be of something else. */
function checked(subject: Subject, packets: number, work: () => number): number {
  if (subject.counts === undefined) return work();
  const { version, reason } = subject.counts;
  const before = counted(version);
  const result = work();
  for (const [name, total] of counted(version)) {
    const difference = total - (before.get(name) ?? 0);
    if (name === reason ? difference !== packets : difference !== 0 && !name.startsWith('session_')) {
      throw new Error(`${subject.name}: ${difference} of ${packets} packets counted as ${name}`);
    }
  }
  return result;
}

async function open(name: string, directory: string): Promise<Version> {
  const layout = (await import(join(directory, 'src/dataplane/layout.generated.ts'))) as Layout;
  const object = load(join(directory, 'dist/bpf/floatgate.bpf.o'));
  fill(object, layout);
  const program = object.program('underlay_xdp');
  present({ program, traffic: outwards }, outwards.count, true);
  run(outwards, outwards.count);
  present({ program, traffic: floatingOutwards }, floatingOutwards.count, true);
  run(floatingOutwards, floatingOutwards.count);
  const inward = inwards(object, layout);
  console.log(`${name}: ${inward.count} of ${outwards.count} flows have a mapping`);
  return { name, object, layout, inward };
}

function subjectsOf(version: Version): Subject[] {
  const subject = (program: string, traffic: Traffic, reason: string): Subject => ({
    name: `${version.name}: ${reason}`, program: version.object.program(program), traffic, counts: { version, reason },
  });
  return [
    subject('underlay_xdp', version.inward.outward, 'outbound_snat'),
    subject('external_xdp', version.inward, 'inbound_snat'),
    subject('underlay_xdp', floatingOutwards, 'outbound_floating_ip'),
    subject('external_xdp', floatingInwards, 'inbound_floating_ip'),
  ];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

interface Row {
  readonly subject: Subject;
  readonly flows: number;
  /** ns per packet, of each round, what presenting costs taken off. */
  readonly costs: number[];
}

function measure(row: Row): void {
  const { subject, flows, costs } = row;
  const nothing = { program: driver.program('nothing_xdp'), traffic: subject.traffic };
  present(nothing, flows, false);
  const overhead = run(subject.traffic, REPEAT);
  present(subject, flows, false);
  costs.push(checked(subject, REPEAT, () => run(subject.traffic, REPEAT)) - overhead);
}

function print(rows: readonly Row[], floors: ReadonlyMap<number, number>): void {
  console.log(`\n${'ns per packet'.padEnd(34)}${'flows'.padStart(9)}${'median'.padStart(9)}${'min'.padStart(8)}${'max'.padStart(8)}${'ratio to decap'.padStart(16)}`);
  for (const { subject, flows, costs } of rows) {
    const middle = median(costs);
    const cells = [middle, Math.min(...costs), Math.max(...costs)].map((cost, n) => cost.toFixed(0).padStart(n === 0 ? 9 : 8));
    console.log(`${subject.name.padEnd(34)}${String(flows).padStart(9)}${cells.join('')}${(middle / floors.get(flows)!).toFixed(2).padStart(16)}`);
  }
}

const versions: Version[] = [];
for (const directory of options.before) versions.push(await open(basename(directory), resolve(directory)));
versions.push(await open('now', ROOT));
const common = Math.min(...versions.map(({ inward }) => inward.count));
const floor: Subject = { name: 'bare decap', program: driver.program('decap_xdp'), traffic: outwards };
const subjects = [floor, ...versions.flatMap(subjectsOf)];
const rows = [1, common].flatMap((flows) => subjects.map((subject): Row => ({ subject, flows, costs: [] })));
for (let round = 0; round < rounds; round++) {
  for (const row of rows) measure(row);
  process.stderr.write(`\rround ${round + 1} of ${rounds}`);
}
print(rows, new Map(rows.filter(({ subject }) => subject === floor).map(({ flows, costs }) => [flows, median(costs)])));
