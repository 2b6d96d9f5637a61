/**
 * What each program of replication costs for itself: every frame is another one, goes through
 * BPF_PROG_TEST_RUN once, and the kernel's own clock around the program counts, no system call.
 */
import type { BpfObject, BpfProgram } from 'libbpf-ts';
import * as layout from '../../src/dataplane/layout.generated.js';
import { digests, expire, gateway, populate, rewind, ROOM } from './tables.js';

const XDP = { drop: 1, tx: 3 } as const;
/** Where the kind of a frame's first record stands. */
const KIND_OFFSET = 14 + 20 + 8 + 32;
const COUNT_OFFSET = 14 + 20 + 8 + 3;

export interface Part {
  readonly name: string;
  /** Records, or sessions that are looked at. */
  readonly records: number;
  /** By all runs, those included in which the machine did something else. */
  readonly meanNs: number;
  /** Of a record in the median frame. */
  readonly medianNs: number;
}

/** Durations of a program's runs, and what they were for. */
class Clock {
  readonly #nsPerRecord: number[] = [];
  #totalNs = 0;
  #records = 0;

  note(durationNs: number, records: number): void {
    this.#totalNs += durationNs;
    this.#records += records;
    if (records > 0) this.#nsPerRecord.push(durationNs / records);
  }

  part(name: string, records = this.#records): Part {
    const sorted = this.#nsPerRecord.toSorted((a, b) => a - b);
    const share = this.#records === 0 ? 1 : this.#records / records;
    return { name, records, meanNs: this.#totalNs / records, medianNs: (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) * share };
  }
}

/** A whole walk. `perRun`: what a run without a frame counts as. */
function walk(object: BpfObject, kind: keyof typeof layout.walkKind, clock: Clock, perRun = 0): Buffer[] {
  rewind(object, kind);
  const program = object.program(`${kind}_xdp`), frames: Buffer[] = [];
  for (;;) {
    const { returnValue, data, durationNs } = program.testRun({ data: ROOM, dataOutSize: ROOM.length });
    clock.note(durationNs, returnValue === XDP.tx ? data[COUNT_OFFSET]! : perRun);
    if (returnValue === XDP.tx) frames.push(Buffer.from(data));
    else if (returnValue === XDP.drop) return frames;
  }
}

/** @returns what became of the frames: the answers @throws Error if one gets another verdict */
function take(program: BpfProgram, frames: readonly Buffer[], verdict: number, clock: Clock): Buffer[] {
  return frames.map((frame) => {
    const { returnValue, data, durationNs } = program.testRun({ data: frame, dataOutSize: frame.length });
    if (returnValue !== verdict) throw new Error(`a frame of records got verdict ${returnValue} instead of ${verdict}`);
    clock.note(durationNs, frame[COUNT_OFFSET]!);
    return Buffer.from(data);
  });
}

function forged(frame: Buffer): Buffer {
  const other = Buffer.from(frame);
  other[other.length - 1]! ^= 1;
  return other;
}

const isOf = (kind: number) => (frame: Buffer): boolean => frame[KIND_OFFSET] === kind;

export interface Parts {
  readonly sessions: number;
  readonly frames: number;
  readonly parts: readonly Part[];
}

/** @throws Error if the tables do not end up equal, or what was to end is still there */
export function measureParts(): Parts {
  const [a, b] = [gateway(0, 'active'), gateway(1, 'backup')];
  const sessions = populate(a), parts: Part[] = [];
  const [digest, bulk, checked, vms, created, home, again, aged, ended] = Array.from({ length: 9 }, () => new Clock()) as [Clock, Clock, Clock, Clock, Clock, Clock, Clock, Clock, Clock];
  const sumOf = (object: BpfObject, clock = new Clock()): string => digests(object, () => walk(object, 'digest', clock, 1));
  const expectEqual = (when: string): void => {
    if (sumOf(a) !== sumOf(b)) throw new Error(`the tables differ ${when}`);
  };
  const ours = a.program('ha_xdp'), theirs = b.program('ha_xdp');
  const full = sumOf(a, digest);
  const frames = walk(a, 'bulk', bulk);
  take(theirs, frames.filter(isOf(layout.syncRecordKind.vm)), XDP.tx, vms);
  take(theirs, frames.filter(isOf(layout.syncRecordKind.session)).map(forged), XDP.drop, checked);
  const answers = take(theirs, frames.filter(isOf(layout.syncRecordKind.session)), XDP.tx, created);
  take(ours, answers, XDP.drop, home);
  expectEqual('after bulk synchronisation');
  take(theirs, walk(a, 'bulk', new Clock()).filter(isOf(layout.syncRecordKind.session)), XDP.tx, again);
  expectEqual('after the same once more');
  expire(a);
  take(theirs, walk(a, 'age', aged), XDP.tx, ended);
  expectEqual('after the end of all');
  if (sumOf(b) === full) throw new Error('nothing has ended');
  parts.push(
    digest.part('digest: a session summed up', sessions), bulk.part('bulk: a record written, its frame sealed'),
    checked.part('refused: a record under a wrong MAC'), vms.part('apply: a VM'), created.part('apply: a new session'), again.part('apply: a session that is known'),
    home.part('acknowledged: a record that is back'), aged.part('age: an end written'), ended.part('apply: an end'),
  );
  for (const object of [a, b]) object.close();
  return { sessions, frames: frames.length, parts };
}
