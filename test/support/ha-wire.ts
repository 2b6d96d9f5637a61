/**
 * The ha link of a lab with a switch in its middle that loses, repeats and delays
 * frames by a program (ha-wire.bpf.c), at rates that can be changed while they
 * pass. What has been done to how many frames is counted: a test can ask whether
 * anything was.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runIn, startDaemon } from '../../src/lab/process.js';
import { stateFolder, type LabState } from '../../src/lab/state.js';
import { topology, type Link, type Topology } from '../../src/lab/topology.js';
import { until } from '../../src/lab/wait.js';
import { LabPrograms } from './lab-programs.js';

const NODE = 'ha';
const INTERFACE = 'ha0';
/** Of the link. */
const MTU_BYTES = 2000;
const sourceOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
/** Frames that follow each other within it change places. */
const DELAY_US = { min: 1000, max: 3000 } as const;

/** Each by itself, of the frames of both directions. */
export interface Impairment {
  readonly lossPercent?: number;
  readonly duplicatePercent?: number;
  /** By 1 to 3 ms. */
  readonly delayPercent?: number;
}

export interface FrameCounts {
  readonly seen: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly delayed: number;
  /** Of those delayed: they have come out again. */
  readonly returned: number;
}

/** Both ends of the link at ports of a switch, named after who is there. */
function divided(link: Link): readonly Link[] {
  if (!link.ends.every((end) => end.interface === INTERFACE)) return [link];
  return link.ends.map((end) => ({ ends: [end, { node: NODE, interface: end.node }], mtuBytes: link.mtuBytes }));
}

export const topologyWithHaWire: Topology = {
  ...topology,
  nodes: [...topology.nodes, { name: NODE, kind: 'switch' }],
  links: topology.links.flatMap(divided),
};

const ports = topology.gateways.map(({ node }) => node);
const lineOf = (port: string): string => `line-${port}`;

export class HaWire {
  readonly #programs: LabPrograms;
  readonly #impairment: Buffer;
  readonly #counts: Buffer;

  private constructor(programs: LabPrograms) {
    this.#programs = programs;
    this.#impairment = programs.map('impairments').mmap();
    this.#counts = programs.map('frame_counts').mmap();
  }

  /** Into a lab of `topologyWithHaWire`. It ends with the lab. */
  static async insert(state: LabState, seed: number): Promise<HaWire> {
    const wire = new HaWire(await LabPrograms.load(sourceOf('ha-wire.bpf.c')));
    wire.#impairment.writeBigUInt64LE(BigInt(seed), 0);
    await startLines(state, seed);
    await wire.#connect();
    for (const port of ports) {
      await wire.#programs.attach('port', NODE, port, 'ingress');
      await wire.#programs.attach('line', NODE, lineOf(port), 'ingress');
    }
    return wire;
  }

  impair({ lossPercent = 0, duplicatePercent = 0, delayPercent = 0 }: Impairment): void {
    [lossPercent, duplicatePercent, delayPercent].forEach((percent, index) => {
      this.#impairment.writeBigUInt64LE((BigInt(Math.round(percent * 1000)) << 32n) / 100_000n, (2 + index) * 8);
    });
  }

  get counts(): FrameCounts {
    const [seen, lost, duplicated, delayed, returned] = Array.from({ length: 5 }, (_, index) => Number(this.#counts.readBigUInt64LE(index * 8)));
    return { seen: seen!, lost: lost!, duplicated: duplicated!, delayed: delayed!, returned: returned! };
  }

  close(): void {
    this.#programs.close();
  }

  async #connect(): Promise<void> {
    const shown = JSON.parse(await runIn(NODE, ['ip', '-json', 'link', 'show'])) as { readonly ifname: string; readonly ifindex: number }[];
    const indexOf = (name: string): number => shown.find(({ ifname }) => ifname === name)!.ifindex;
    const ways = this.#programs.map('ways');
    for (const port of ports) {
      const out = indexOf(ports.find((other) => other !== port)!), line = indexOf(lineOf(port));
      ways.update(words(indexOf(port)), words(out, line));
      ways.update(words(line), words(out, 0));
    }
  }
}

/** Of each port one, for what came in there. */
async function startLines(state: LabState, seed: number): Promise<void> {
  const program = join(stateFolder, 'delay-line');
  execFileSync('gcc', ['-O2', '-Wall', '-o', program, sourceOf('delay-line.c')]);
  for (const [index, port] of ports.entries()) {
    startDaemon(state, { name: lineOf(port), node: NODE, command: [program, lineOf(port), String(DELAY_US.min), String(DELAY_US.max), String(seed + index)], prompt: true });
    await until(`the delay line of ${port}`, async () => {
      await runIn(NODE, ['ip', 'link', 'set', lineOf(port), 'mtu', String(MTU_BYTES), 'up']);
      return true;
    });
  }
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}
