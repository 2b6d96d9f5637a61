// What the lab has made on this machine, on disk before it is made: `lab down` cleans up from this file alone.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './error.js';

export const stateFolder = '/run/floatgate-lab';
const stateFile = join(stateFolder, 'state.json');

/** A pid alone may be somebody else's by now; with its start time it cannot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

export interface ProcessRecord extends ProcessIdentity {
  readonly name: string;
  readonly node: string;
  readonly log: string;
}

export type Phase = 'making' | 'running' | 'up';

interface Contents {
  owner: ProcessIdentity;
  phase: Phase;
  since: string;
  namespaces: string[];
  processes: ProcessRecord[];
}

export class LabState {
  readonly #contents: Contents;

  private constructor(contents: Contents) {
    this.#contents = contents;
  }

  /** @throws LabError when a state file exists. */
  static create(): LabState {
    const owner = identityOf(process.pid);
    if (owner === undefined) throw new LabError('cannot read /proc: is it mounted?');
    mkdirSync(stateFolder, { recursive: true });
    const state = new LabState({ owner, phase: 'making', since: new Date().toISOString(), namespaces: [], processes: [] });
    try {
      writeFileSync(stateFile, '', { flag: 'wx' });
    } catch {
      throw new LabError("the lab is already up; 'floatgate lab down' takes it down");
    }
    state.#save();
    return state;
  }

  static read(): LabState | undefined {
    let text: string;
    try {
      text = readFileSync(stateFile, 'utf8');
    } catch {
      return undefined;
    }
    // Empty: its maker was killed between creating and writing the file, and so had made nothing.
    const nothing: Contents = { owner: { pid: 0, startTicks: 0 }, phase: 'making', since: '', namespaces: [], processes: [] };
    return new LabState(text === '' ? nothing : (JSON.parse(text) as Contents));
  }

  get phase(): Phase {
    return this.#contents.phase;
  }

  get since(): string {
    return this.#contents.since;
  }

  get namespaces(): readonly string[] {
    return this.#contents.namespaces;
  }

  get processes(): readonly ProcessRecord[] {
    return this.#contents.processes;
  }

  /** Being made or run by a process that is still there. */
  get isOwned(): boolean {
    return this.phase !== 'up' && isAlive(this.#contents.owner);
  }

  /** Made by this very process: nobody else's lab is ours to take down. */
  get isOurs(): boolean {
    const { pid, startTicks } = this.#contents.owner;
    return pid === process.pid && startTicks === identityOf(pid)?.startTicks;
  }

  setPhase(phase: Phase): void {
    this.#contents.phase = phase;
    this.#save();
  }

  addNamespaces(names: readonly string[]): void {
    this.#contents.namespaces.push(...names);
    this.#save();
  }

  addProcess(record: ProcessRecord): void {
    this.#contents.processes.push(record);
    this.#save();
  }

  removeProcess(record: ProcessRecord): void {
    this.#contents.processes = this.#contents.processes.filter(({ pid, startTicks }) => pid !== record.pid || startTicks !== record.startTicks);
    this.#save();
  }

  /** Removes the file and everything else in the state folder. */
  remove(): void {
    rmSync(stateFolder, { recursive: true, force: true });
  }

  #save(): void {
    const next = `${stateFile}.next`;
    writeFileSync(next, JSON.stringify(this.#contents, undefined, 2));
    renameSync(next, stateFile);
  }
}

interface ProcStat {
  readonly state: string;
  readonly groupId: number;
  readonly startTicks: number;
}

/** proc_pid_stat(5); the command name may itself hold spaces and brackets, so fields are counted from the last bracket. */
export function readProcStat(pid: number): ProcStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', groupId: Number(fields[2]), startTicks: Number(fields[19]) };
}

export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = readProcStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks };
}

/** A zombie has ended: only its parent has not looked yet. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = readProcStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== 'Z';
}
