import { describe, expect, it } from 'vitest';
import { dissect, layerOf } from './dissect.js';
import { expectFrame } from './expect-frame.js';
import { ethernet, frame, ipv4, payload, sync, udp } from './packet.js';
import { decodeRecord, encodeRecord, messageMac, RECORD_KIND, SYNC_PORT, SYNC_TYPE } from './sync-frame.js';

const KEY = [1n, 2n] as const;
const around = [
  ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' }),
  ipv4({ source: '169.254.77.1', destination: '169.254.77.2' }),
  udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
];
const record = {
  kind: RECORD_KIND.session,
  protocol: 1,
  state: 2,
  sessionFlags: 4,
  term: 5,
  vni: 100,
  internalAddress: '172.16.100.10',
  externalAddress: '10.0.2.201',
  remote: '203.0.113.10',
  internalPort: 6,
  externalPort: 7,
  remotePort: 8,
  optionLength: 8,
  virtualRouter: 51,
  tunnelEndpoint: '192.168.33.31',
  mac: '02:00:00:00:00:03',
  nextHopMac: '02:00:00:00:00:04',
  option: Buffer.from('0102800100010003', 'hex'),
  portKey: 0xdeadbeef,
  idle: 9,
  sequence: 0x01020304,
  pad: 0,
};

describe('sync frames', () => {
  it('a record has its fields where layout.h has them', () => {
    expect(encodeRecord(record).toString('hex')).toBe(
      '02010204' + '00000005' + '00000064' + 'ac10640a' + '0a0002c9' + 'cb00710a' + '0006' + '0007' + '0008' + '0833' +
        'c0a8211f' + '020000000003' + '020000000004' + '0102800100010003' + 'deadbeef' + '00000009' + '01020304' + '00000000',
    );
    expect(decodeRecord(encodeRecord(record))).toEqual(record);
  });

  it('built, dissected and rebuilt is the same', () => {
    const inner = frame(...around.slice(0, 2), udp({ sourcePort: 1, destinationPort: 2 }), payload('hello'));
    const bytes = frame(...around, sync({ type: SYNC_TYPE.commit, records: [record], sequence: 7n, epoch: 3, key: KEY }), payload(inner));
    expectFrame(frame(...dissect(bytes)), bytes);
    expect(layerOf(dissect(bytes), 'ethernet', 1).source).toBe('02:00:00:00:00:01');
    const header = layerOf(dissect(bytes), 'sync');
    expect(header).toMatchObject({ version: 1, recordCount: 1, length: inner.length, epoch: 3, sequence: 7n });
    expect(header.mac).toBe(messageMac(bytes.subarray(42), KEY));
  });

  it('the MAC covers every byte of the message but itself', () => {
    const message = frame(...around, sync({ type: SYNC_TYPE.heartbeat, key: KEY }), payload('x')).subarray(42);
    const good = messageMac(message, KEY);
    for (let offset = 0; offset < message.length; offset++) {
      const changed = Buffer.from(message);
      changed[offset]! ^= 1;
      if (offset >= 24 && offset < 32) expect(messageMac(changed, KEY)).toBe(good);
      else expect(messageMac(changed, KEY)).not.toBe(good);
    }
  });
});
