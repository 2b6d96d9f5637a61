import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BpfObject } from '../lib/index.js';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, failureOf } from './support/fixture.js';

const directory = temporaryDirectory();
let object: BpfObject;

beforeAll(() => {
  object = BpfObject.open(compileFixture(directory.path, 'features'));
  object.load();
});

afterAll(() => {
  object.close();
  directory.remove();
});

const packet = Buffer.from(Array.from({ length: 64 }, (_, i) => i));

describe('info', () => {
  test('describes the loaded program', () => {
    const info = object.program('count_packet').info;
    expect(info).toMatchObject({ name: 'count_packet', type: 'xdp' });
    expect(info.id).toBeGreaterThan(0);
    expect(info.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(info.xlatedBytes % 8).toBe(0);
    expect(info.xlatedBytes).toBeGreaterThan(0);
    expect(info.btfId).toBeGreaterThan(0);
  });
});

describe('test run of a packet program', () => {
  test('returns verdict and packet', () => {
    const result = object.program('grow_packet').testRun({ data: packet });
    expect(result.returnValue).toBe(3);
    expect(result.data).toEqual(Buffer.concat([Buffer.from('cafebabe', 'hex'), packet]));
    expect(packet[0]).toBe(0);
  });

  test('repeats and measures', () => {
    const total = (): bigint => object.map('.bss').lookup(Buffer.alloc(4))?.readBigUInt64LE(0) ?? 0n;
    const before = total();
    const { durationNs } = object.program('count_packet').testRun({ data: packet, repeat: 1000 });
    expect(total() - before).toBe(1000n);
    expect(durationNs).toBeGreaterThan(0);
  });

  test('without room for the packet it is ENOSPC with both sizes', () => {
    const error = failureOf(() => object.program('grow_packet').testRun({ data: packet, dataOutSize: 10 }));
    expect(error.code).toBe('ENOSPC');
    expect(error.message).toContain('has 68 bytes, there is room for 10');
  });

  test('without a packet it is EINVAL and names the program', () => {
    const error = failureOf(() => object.program('count_packet').testRun({}));
    expect(error).toMatchObject({ code: 'EINVAL', operation: 'bpf_prog_test_run' });
    expect(error.message).toContain("program 'count_packet'");
  });

  test('takes the context of XDP: a device and its receive queue', () => {
    // struct xdp_md {data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex}
    const context = Buffer.alloc(24);
    context.writeUInt32LE(packet.length, 4);
    context.writeUInt32LE(1, 12);
    const run = object.program('queue_verdict').testRun({ data: packet, context });
    expect(run.returnValue).toBe(0);
    expect(run.context).toEqual(context);
    context.writeUInt32LE(5, 16);
    // Loopback has no fifth queue.
    expect(failureOf(() => object.program('queue_verdict').testRun({ data: packet, context })).code).toBe('EINVAL');
  });

  test('returns the context of a classifier as the program left it', () => {
    // struct __sk_buff: mark at 8, priority at 32
    const context = Buffer.alloc(192);
    context.writeUInt32LE(35, 8);
    const run = object.program('mark_packet').testRun({ data: packet, context });
    expect(run.returnValue).toBe(0);
    expect(run.context.readUInt32LE(8)).toBe(42);
    expect(run.context.readUInt32LE(32)).toBe(3);
    expect(context.readUInt32LE(8)).toBe(35);
  });

  test('live frames: nothing comes out', () => {
    const run = object.program('count_packet').testRun({ data: packet, liveFrames: true, repeat: 10, batchSize: 4 });
    expect(run.data).toEqual(Buffer.alloc(0));
    expect(failureOf(() => object.program('count_packet').testRun({ data: packet, liveFrames: true, batchSize: 1000 })).code).toBe('E2BIG');
  });
});

describe('test run of a syscall program', () => {
  function request(left: number, right: number): Buffer {
    const context = Buffer.alloc(16);
    context.writeUInt32LE(left, 0);
    context.writeUInt32LE(right, 4);
    return context;
  }

  test('returns its argument as the program left it', () => {
    const context = request(0xffffffff, 2);
    const run = object.program('add').testRun({ context });
    expect(run.returnValue).toBe(0);
    expect(run.context.readBigUInt64LE(8)).toBe(0x100000001n);
    expect(context.readBigUInt64LE(8)).toBe(0n);
  });

  test('returns its errno', () => {
    expect(object.program('add').testRun({ context: request(0, 2) }).returnValue | 0).toBe(-22);
  });

  test('takes nothing else', () => {
    expect(failureOf(() => object.program('add').testRun({ data: packet })).message).toContain("takes a context only, not 'data'");
    expect(failureOf(() => object.program('add').testRun({ context: Buffer.alloc(8) })).code).toBe('EINVAL');
  });
});
