import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BpfObject, RingBuffer } from '../lib/index.js';
import { repository, temporaryDirectory } from './support/compile.js';
import { compileFixture, failureOf, openDescriptors, runIsolated } from './support/fixture.js';

// Machines that run tests are busy.
vi.setConfig({ testTimeout: 20_000 });
const soon = { timeout: 15_000 };

const directory = temporaryDirectory();
let features = '';
let beacon = '';
let object: BpfObject;

beforeAll(() => {
  features = compileFixture(directory.path, 'features');
  beacon = compileFixture(directory.path, 'beacon');
  object = BpfObject.open(features);
  object.load();
});

afterAll(() => {
  object.close();
  directory.remove();
});

/** Has the program write records 1 to `count`; returns how many found room. */
function emit(count: number, from: BpfObject = object): number {
  const context = Buffer.alloc(16);
  context.writeUInt32LE(count, 0);
  return Number(from.program('emit').testRun({ context }).context.readBigUInt64LE(8));
}

function sequence(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

describe('delivery', () => {
  test('records arrive in order, once, also those of before', async () => {
    emit(3);
    const numbers: number[] = [];
    using _ring = new RingBuffer(object.map('events'), (record) => {
      expect(record.length).toBe(8);
      numbers.push(Number(record.readBigUInt64LE(0)));
    });
    await vi.waitFor(() => expect(numbers).toEqual([1, 2, 3]), soon);
    emit(2);
    await vi.waitFor(() => expect(numbers).toEqual([1, 2, 3, 1, 2]), soon);
  });

  test('more records than one wake-up takes arrive over several turns of the loop', async () => {
    const numbers: number[] = [];
    const turns = new Set<number>();
    let turn = 0;
    let counting = true;
    const count = (): void => {
      turn++;
      if (counting) setImmediate(count);
    };
    count();
    using _ring = new RingBuffer(object.map('events'), (record) => {
      numbers.push(Number(record.readBigUInt64LE(0)));
      turns.add(turn);
    });
    expect(emit(2000)).toBe(2000);
    await vi.waitFor(() => expect(numbers).toEqual(sequence(2000)), soon);
    counting = false;
    expect(turns.size).toBeGreaterThanOrEqual(8);
  });

  test('a full ring delivers what found room and goes on', async () => {
    const numbers: number[] = [];
    using _ring = new RingBuffer(object.map('events'), (record) => numbers.push(Number(record.readBigUInt64LE(0))));
    const room = emit(8000);
    // 16 bytes each with their header.
    expect(room).toBe(65536 / 16 - 1);
    await vi.waitFor(() => expect(numbers).toEqual(sequence(room)), soon);
    emit(1);
    await vi.waitFor(() => expect(numbers).toHaveLength(room + 1), soon);
  });

  test('records are the callee\'s to keep', async () => {
    const records: Buffer[] = [];
    using _ring = new RingBuffer(object.map('events'), (record) => records.push(record));
    emit(4095);
    await vi.waitFor(() => expect(records).toHaveLength(4095), soon);
    emit(4095);
    await vi.waitFor(() => expect(records).toHaveLength(2 * 4095), soon);
    expect(records.slice(0, 4095).map((record) => Number(record.readBigUInt64LE(0)))).toEqual(sequence(4095));
  });
});

describe('close', () => {
  test('in the callback ends delivery at once', async () => {
    const numbers: number[] = [];
    using own = BpfObject.open(features);
    own.load();
    const ring = new RingBuffer(own.map('events'), (record) => {
      numbers.push(Number(record.readBigUInt64LE(0)));
      ring.close();
    });
    let turns = 0;
    emit(500, own);
    await vi.waitFor(() => expect(numbers).toHaveLength(1), soon);
    await new Promise<void>((resolve) => {
      const next = (): void => void (++turns < 10 ? setImmediate(next) : resolve());
      next();
    });
    expect(numbers).toEqual([1]);
    ring.close();
  });

  test('the ring outlives its map', async () => {
    const own = BpfObject.open(features);
    own.load();
    let received = 0;
    using _ring = new RingBuffer(own.map('events'), () => received++);
    own.map('events').close();
    emit(5, own);
    await vi.waitFor(() => expect(received).toBe(5), soon);
    own.close();
  });

  test('leaves no descriptor', async () => {
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const cycle = (): void => new RingBuffer(object.map('events'), () => undefined).close();
    cycle();
    await settle();
    const before = openDescriptors();
    for (let i = 0; i < 200; i++) cycle();
    await settle();
    expect(openDescriptors()).toBe(before);
  });

  test('a map of another type is EINVAL', () => {
    expect(failureOf(() => new RingBuffer(object.map('pairs'), () => undefined))).toMatchObject({
      code: 'EINVAL', operation: 'ring_buffer__new',
    });
  });
});

describe('the end of the process', () => {
  test.each([
    ['unref', 'unreferenced'],
    ['stay', 'alive'],
    ['exit', 'exiting'],
    ['throw', 'thrown, beacon running: true'],
  ])('%s: comes with everything open, and not before', async (how, word) => {
    expect(await runIsolated('ring-steps', how, features, beacon)).toBe(word);
  });

  test.each([false, true])('a worker that is terminated with everything open leaves the process alone (in a callback: %s)', async (spin) => {
    // Several times, for termination falls on another moment each time.
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(join(repository, 'native/test/fixtures/worker.mjs'), {
        workerData: { addon: join(repository, 'native/build/Release/libbpf_ts.node'), features, spin },
      });
      const records = await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      expect(records).toBe(3);
      expect(await worker.terminate()).toBe(1);
    }
  });
});
