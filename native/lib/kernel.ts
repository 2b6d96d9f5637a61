/**
 * What the BPF half of the addon exports: one function per kernel operation on
 * plain descriptors. Internal; lengths and states are checked by the callers.
 */
import { addon } from './binding.js';

/** Owns a descriptor. `fd` is -1 once closed. */
export interface Handle {
  readonly fd: number;
  close(): void;
}

export interface MapNumbers {
  type: number;
  name: string;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
}

export interface ObjectFile {
  maps(): (MapNumbers & { internal: boolean })[];
  programs(): { name: string; section: string; type: number }[];
  setMaxEntries(map: string, maxEntries: number): void;
  reuse(map: string, fd: number): void;
  initialValue(map: string): Buffer | undefined;
  setInitialValue(map: string, value: Buffer): void;
  setAutoload(program: string, enabled: boolean): void;
  load(): string;
  mapHandle(map: string): Handle | undefined;
  programHandle(program: string): Handle | undefined;
  close(): void;
}

export interface NativeRing {
  ref(): void;
  unref(): void;
  close(): void;
}

export interface NativeBeacon {
  stats(): {
    sent: bigint;
    failed: bigint;
    skipped: bigint;
    lateMaxUs: number;
    lastErrno: number;
    realtime: boolean;
    paths: { sent: bigint; failed: bigint; lastErrno: number }[];
  };
  findings(): { silent: boolean[]; words: bigint[]; atNs: bigint } | undefined;
  close(): void;
}

export interface NativeWatch {
  mapFd: number;
  answered: readonly number[];
  words: readonly number[];
  silentAfterUs: number;
  beats: number;
}

export interface NativeMessage {
  interface: number;
  isFrame: boolean;
  bytes: Buffer;
}

interface RepeaterCounts {
  sent: bigint;
  failed: bigint;
  skipped: bigint;
  lapsed: bigint;
  lateMaxUs: number;
}

export interface NativeRepeater {
  stats(): RepeaterCounts & { entries: number; realtime: boolean };
  close(): void;
}

export interface NativeRepeaterEntry {
  update(messages: readonly NativeMessage[] | undefined, intervalUs: number | undefined, jitter: number | undefined, stampForNs: bigint | undefined): void;
  renew(untilNs: bigint): void;
  stats(): RepeaterCounts & { lastErrno: number; lastSentNs: bigint };
  close(): void;
}

/** Functions that answer a `number` return 0 or -errno; all others throw a SystemError. */
export interface Kernel {
  pin(fd: number, path: string): void;
  openPin(path: string, kind: 'map' | 'prog' | 'link'): Handle;
  unpin(path: string): void;

  ObjectFile: new (path: string, kernelLogLevel: number) => ObjectFile;

  mapCreate(type: number, name: string, keySize: number, valueSize: number, maxEntries: number, flags: number): Handle;
  mapOpen(id: number): Handle;
  mapInfo(fd: number): MapNumbers & { id: number; btfId: number };
  mapLookup(fd: number, key: Buffer, value: Buffer, flags: number): number;
  mapUpdate(fd: number, key: Buffer, value: Buffer, flags: number): number;
  mapDelete(fd: number, key: Buffer): number;
  mapNextKey(fd: number, key: Buffer | undefined, next: Buffer): number;
  mapLookupBatch(fd: number, cursor: Buffer | undefined, next: Buffer, keys: Buffer, values: Buffer, count: number): BatchResult;
  mapUpdateBatch(fd: number, keys: Buffer, values: Buffer, count: number): BatchResult;
  mapDeleteBatch(fd: number, keys: Buffer, count: number): BatchResult;
  mapMemory(fd: number, bytes: number): Buffer;
  possibleCpus(): number;

  programInfo(fd: number): { id: number; type: number; name: string; tag: string; jitedBytes: number; xlatedBytes: number; btfId: number };
  programTestRun(
    fd: number,
    data: Buffer | undefined,
    dataOut: Buffer | undefined,
    context: Buffer | undefined,
    contextOut: Buffer | undefined,
    repeat: number,
    flags: number,
    batchSize: number,
  ): { status: number; returnValue: number; dataSize: number; contextSize: number; durationNs: number };

  linkCreateXdp(programFd: number, ifindex: number, flags: number): Handle;
  linkUpdate(linkFd: number, programFd: number): void;
  linkDetach(linkFd: number): void;
  linkInfo(linkFd: number): { id: number; type: number; programId: number; ifindex: number };
  xdpQuery(ifindex: number): { native: number; generic: number; hardware: number };

  tcAttach(programFd: number, ifindex: number, ingress: boolean, priority: number, handle: number, replace: boolean): {
    priority: number;
    handle: number;
    programId: number;
  };
  tcDetach(ifindex: number, ingress: boolean, priority: number, handle: number): void;

  btfBytes(id: number): Buffer;

  Ring: new (mapFd: number, onRecords: (records: Buffer[]) => void) => NativeRing;
  Beacon: new (
    programFd: number,
    paths: readonly { interface: number; frame: Buffer }[],
    intervalUs: number,
    watch: NativeWatch | undefined,
    onChange: () => void,
  ) => NativeBeacon;
  Repeater: new () => NativeRepeater;
  RepeaterEntry: new (
    repeater: NativeRepeater,
    messages: readonly NativeMessage[],
    intervalUs: number,
    jitter: number,
    untilNs: bigint,
    firstAfterUs: number,
    stampMapFd: number | undefined,
    stampOffset: number,
    stampForNs: bigint,
    silenceNs: bigint,
  ) => NativeRepeaterEntry;
}

export interface BatchResult {
  /** 0 or -errno. */
  status: number;
  /** Elements that were processed, also when status is an error. */
  count: number;
}

export function kernel(): Kernel {
  return addon<Kernel>();
}
