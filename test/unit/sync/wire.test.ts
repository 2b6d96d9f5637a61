import { describe, expect, it } from 'vitest';
import { RecordBatch } from '../../../src/sync/batch.js';
import { Channel } from '../../../src/sync/channel.js';
import { ipv4Checksum, syncFrame, SYNC_RECORD_BYTES, SYNC_TYPE_CONTROL, SYNC_TYPE_RECORDS } from '../../../src/sync/frame.js';
import type { HaPath } from '../../../src/sync/frame.js';
import { decodeMessage, encodeMessage, SEGMENTS, SEGMENTS_PER_MESSAGE, VIRTUAL_ROUTERS_PER_HELLO } from '../../../src/sync/messages.js';
import type { Hello, Message } from '../../../src/sync/messages.js';
import { adoptedTerm } from '../../../src/sync/terms.js';

const path: HaPath = {
  sourceMac: Buffer.from('020000000001', 'hex'),
  destinationMac: Buffer.from('020000000002', 'hex'),
  sourceAddress: 0xa9fe4d01,
  destinationAddress: 0xa9fe4d02,
};

describe('a sync frame', () => {
  it('has the bytes of bpf/README.md before sealing', () => {
    const frame = syncFrame(path, SYNC_TYPE_CONTROL, 0, Buffer.from('hello'));
    expect(frame.toString('hex')).toBe(
      '0200000000020200000000010800'
      + '45c000410000400' + '0ff11' + frame.subarray(24, 26).toString('hex') + 'a9fe4d01a9fe4d02'
      + '17c617c6002d0000'
      + '0104000000000005' + '0000000000000000' + '0000000000000000' + '0000000000000000'
      + Buffer.from('hello').toString('hex'),
    );
  });

  it('has an IPv4 header that sums to zero', () => {
    const frame = syncFrame(path, SYNC_TYPE_CONTROL, 0, Buffer.alloc(100));
    expect(ipv4Checksum(frame, 14, 20)).toBe(0);
  });

  it('does not count records as payload', () => {
    const frame = syncFrame(path, SYNC_TYPE_RECORDS, 2, Buffer.alloc(2 * SYNC_RECORD_BYTES));
    expect(frame.readUInt8(14 + 28 + 3)).toBe(2);
    expect(frame.readUInt16BE(14 + 28 + 6)).toBe(0);
  });
});

describe('messages', () => {
  const hello: Hello = { type: 'hello', version: 1, name: 'gw-a', id: 0, epoch: 5, generation: 17, holds: null, want: 3, virtualRouters: [{ vrid: 51, state: 2, term: 9, penalty: 0 }] };

  it('survive the wire', () => {
    expect(decodeMessage(encodeMessage(hello))).toEqual(hello);
    const placed = { ...hello, underlayAddress: 0xc0a8210b, sentUs: 12_345_678, virtualRouters: [{ vrid: 51, state: 2, term: 9, penalty: 30 }, { vrid: 52, state: 2, term: 9, penalty: 0, tunnelsUp: 3 }] };
    expect(decodeMessage(encodeMessage(placed))).toEqual(placed);
    expect(decodeMessage(encodeMessage({ type: 'bulkComplete', generation: 1, want: 2 }))).toEqual({ type: 'bulkComplete', generation: 1, want: 2 });
  });

  it.each<Message>([
    { type: 'compare', round: 7, seed: '0123456789abcdef', parts: [0, 31] },
    { type: 'digests', round: 7, part: 3, digests: ['0123456789abcdef', 'f'.repeat(16)] },
    { type: 'repair', repair: 9, step: 'doubt', seed: '0123456789abcdef', segments: [0, 1, 8, 511, 1023], done: false },
    { type: 'repair', repair: 9, step: 'sweep', seed: '0123456789abcdef', segments: [], done: true },
  ])('of a comparison survive the wire: $type $step', (message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });

  it.each([
    '{"type":"compare","round":1,"seed":"xyz","parts":[]}', '{"type":"compare","round":1,"seed":"0123456789abcdef","parts":[-1]}',
    '{"type":"digests","round":1,"part":0,"digests":"0123"}', '{"type":"digests","round":1,"part":0,"digests":[1]}',
    '{"type":"repair","repair":1,"step":"doubt","seed":"0123456789abcdef","segments":"ff","done":false}',
    `{"type":"repair","repair":1,"step":"burn","seed":"0123456789abcdef","segments":"${'0'.repeat(256)}","done":false}`,
  ])('of a comparison that are none are dropped: %s', (text) => {
    expect(decodeMessage(Buffer.from(text))).toBeUndefined();
  });

  it('of a later version are understood as far as they go', () => {
    const later = { ...JSON.parse(encodeMessage(hello).toString()) as object, version: 2, mood: 'sunny' };
    expect(decodeMessage(Buffer.from(JSON.stringify(later)))).toEqual({ ...hello, version: 2 });
  });

  it('of an earlier version have no penalties and no address', () => {
    const earlier = { ...JSON.parse(encodeMessage(hello).toString()) as object, virtualRouters: [[51, 2, 9]] };
    expect(decodeMessage(Buffer.from(JSON.stringify(earlier)))).toEqual(hello);
  });

  it.each(['', '[]', 'null', '{"type":"other"}', '{"type":"hello"}', '{"type":"bulkComplete","generation":-1,"want":0}',
    '{"type":"hello","version":1,"name":"x","id":0,"epoch":1,"generation":1,"holds":null,"want":1,"virtualRouters":[[1,"2",3]]}', '\xff\xfe'])('that are none are dropped: %s', (text) => {
    expect(decodeMessage(Buffer.from(text, 'latin1'))).toBeUndefined();
  });

  it('fit a frame of any ha link at their longest', () => {
    const virtualRouters = Array.from({ length: VIRTUAL_ROUTERS_PER_HELLO }, () => ({ vrid: 255, state: 3, term: 0xffffffff, penalty: 509, tunnelsUp: 4096 }));
    const longest = encodeMessage({ ...hello, name: 'n'.repeat(63), generation: Number.MAX_SAFE_INTEGER, holds: Number.MAX_SAFE_INTEGER, want: Number.MAX_SAFE_INTEGER, sentUs: Number.MAX_SAFE_INTEGER, epoch: 0xffffffff, underlayAddress: 0xffffffff, virtualRouters });
    expect(longest.length).toBeLessThan(1024);
    const digests = Array.from({ length: SEGMENTS_PER_MESSAGE }, () => 'f'.repeat(16));
    expect(encodeMessage({ type: 'digests', round: Number.MAX_SAFE_INTEGER, part: 31, digests }).length).toBeLessThan(1024);
    const parts = Array.from({ length: SEGMENTS / SEGMENTS_PER_MESSAGE }, (_, part) => part);
    expect(encodeMessage({ type: 'compare', round: Number.MAX_SAFE_INTEGER, seed: 'f'.repeat(16), parts }).length).toBeLessThan(1024);
    const segments = Array.from({ length: SEGMENTS }, (_, segment) => segment);
    expect(encodeMessage({ type: 'repair', repair: Number.MAX_SAFE_INTEGER, step: 'doubt', seed: 'f'.repeat(16), segments, done: false }).length).toBeLessThan(1024);
  });
});

describe('the channel', () => {
  it('sends nothing before the peer has a MAC address', () => {
    const transmitted: Buffer[] = [];
    const channel = new Channel({ seal: (frame) => frame, transmit: (frame) => void transmitted.push(frame) });
    channel.sendMessage({ type: 'bulkComplete', generation: 1, want: 1 });
    expect(transmitted).toHaveLength(0);
  });

  it('sends what the program sealed, and counts records frames apart', () => {
    const transmitted: Buffer[] = [];
    const channel = new Channel({ seal: (frame) => Buffer.concat([frame, Buffer.from('!')]), transmit: (frame) => void transmitted.push(frame) });
    channel.setPath(path);
    channel.sendMessage({ type: 'bulkComplete', generation: 1, want: 1 });
    channel.sendRecords(Buffer.alloc(144), 2);
    expect(transmitted.every((frame) => frame.at(-1) === 0x21)).toBe(true);
    expect(transmitted[1]!.readUInt8(14 + 28 + 3)).toBe(2);
    expect(channel.stats).toEqual({ messagesSent: 1, recordFramesSent: 1n, bulkFrames: 0n, failed: 0 });
  });

  it('counts frames of bulk synchronisation that could not be sent: the peer lacks their records', () => {
    const channel = new Channel({
      seal: (frame) => frame,
      transmit: () => {
        throw new Error('ENOBUFS');
      },
    });
    channel.sendSealedRecords(Buffer.alloc(72), true);
    channel.setPath(path);
    channel.sendSealedRecords(Buffer.alloc(72), true);
    expect(channel.stats).toEqual({ messagesSent: 0, recordFramesSent: 0n, bulkFrames: 2n, failed: 1 });
  });

  it('counts refusals and full queues as failures, not as sent', () => {
    let seals = 0;
    const channel = new Channel({
      seal: (frame) => (seals++ === 0 ? undefined : frame),
      transmit: () => {
        throw new Error('ENOBUFS');
      },
    });
    channel.setPath(path);
    channel.sendRecords(Buffer.alloc(72), 1);
    channel.sendRecords(Buffer.alloc(72), 1);
    expect(channel.stats).toEqual({ messagesSent: 0, recordFramesSent: 0n, bulkFrames: 0n, failed: 2 });
  });
});

describe('the batch of records', () => {
  function batch(): { batch: RecordBatch; sent: { bytes: number; count: number }[]; deferred: (() => void)[] } {
    const sent: { bytes: number; count: number }[] = [];
    const deferred: (() => void)[] = [];
    return {
      sent, deferred,
      batch: new RecordBatch({ send: (records, count) => void sent.push({ bytes: records.length, count }), defer: (flush) => void deferred.push(flush) }),
    };
  }

  it('fills frames, and sends the rest when the backlog is read', () => {
    const { batch: records, sent, deferred } = batch();
    for (let i = 0; i < 14; i += 1) records.add(Buffer.alloc(SYNC_RECORD_BYTES));
    expect(sent).toEqual([{ bytes: 864, count: 12 }]);
    deferred.forEach((flush) => flush());
    expect(sent).toEqual([{ bytes: 864, count: 12 }, { bytes: 144, count: 2 }]);
  });

  it('copies records, for the ring buffer reuses its memory', () => {
    let got: Buffer | undefined;
    const deferred: (() => void)[] = [];
    const records = new RecordBatch({ send: (bytes) => void (got = bytes), defer: (flush) => void deferred.push(flush) });
    const record = Buffer.alloc(SYNC_RECORD_BYTES, 1);
    records.add(record);
    record.fill(2);
    deferred[0]!();
    expect(got).toEqual(Buffer.alloc(SYNC_RECORD_BYTES, 1));
  });

  it('refuses what is no record', () => {
    expect(() => batch().batch.add(Buffer.alloc(71))).toThrow(/72 bytes/);
  });
});

describe('terms', () => {
  const [backup, active, draining] = [1, 2, 3];

  it.each([
    ['a Backup adopts a higher one', { state: backup, term: 3 }, 5, 5],
    ['a Backup keeps its higher one', { state: backup, term: 7 }, 5, 7],
    ['one that drains adopts, so that its stragglers are not refused', { state: draining, term: 4 }, 5, 5],
    ['an Active leaves it to the election', { state: active, term: 5 }, 8, 5],
  ])('%s', (_, own, peerTerm, expected) => {
    expect(adoptedTerm(own, peerTerm)).toBe(expected);
  });
});
