/** BPF programs of a test at interfaces of the lab, whose node is another namespace than the test's. */
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BpfObject, type BpfMap } from 'libbpf-ts';
import { compileBpf } from '../../native/test/support/compile.js';
import { run, runIn } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';

export class LabPrograms {
  readonly #object: BpfObject;
  readonly #pins: string;

  private constructor(object: BpfObject, pins: string) {
    this.#object = object;
    this.#pins = pins;
  }

  /** Compiles and loads a file of C. Its folder is the lab's, and goes with it. */
  static async load(source: string): Promise<LabPrograms> {
    const name = basename(source, '.bpf.c');
    const pins = join(stateFolder, name, 'bpf');
    mkdirSync(pins, { recursive: true });
    const object = BpfObject.open(compileBpf(join(stateFolder, name), name, readFileSync(source, 'utf8')));
    object.load();
    // `tc` runs in the namespace, where nobody has loaded anything.
    await run('mount', ['-t', 'bpf', 'bpf', pins]);
    for (const [program, loaded] of object.programs) loaded.pin(join(pins, program));
    return new LabPrograms(object, pins);
  }

  map(name: string): BpfMap {
    return this.#object.map(name);
  }

  /** Until the interface ends. */
  async attach(program: string, node: string, name: string, direction: 'ingress' | 'egress'): Promise<void> {
    const disciplines = JSON.parse(await runIn(node, ['tc', '-json', 'qdisc', 'show', 'dev', name])) as { readonly kind: string }[];
    if (!disciplines.some(({ kind }) => kind === 'clsact')) await runIn(node, ['tc', 'qdisc', 'add', 'dev', name, 'clsact']);
    await runIn(node, ['tc', 'filter', 'add', 'dev', name, direction, 'bpf', 'direct-action', 'object-pinned', join(this.#pins, program)]);
  }

  /** What is attached goes on. */
  close(): void {
    this.#object.close();
  }
}
