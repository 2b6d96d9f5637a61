import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTROL_PACKET_BYTES, decodeControlPacket, encodeControlPacket, sessionStates, type ControlPacket } from '../../../src/bfd/control-packet.js';

/** Of Open vSwitch 3.1, from test/pcaps/ovn-01-bfd-establish-underlay.pcap. */
const captured = {
  down: '2040031886b9c31100000000000f4240000f424000000000',
  init: '20800318a0da07ff86b9c311000f4240000f424000000000',
  up: '20c0031886b9c311a0da07ff000186a0000f424000000000',
};

const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** The bytes of a good packet, with some of them changed. */
function changed(...changes: readonly (readonly [offset: number, value: number])[]): Buffer {
  const bytes = bytesOf(captured.up);
  for (const [offset, value] of changes) bytes[offset] = value;
  return bytes;
}

const packets = fc.record<ControlPacket>({
  diagnostic: fc.nat(31),
  state: fc.constantFrom(...sessionStates),
  poll: fc.boolean(),
  final: fc.boolean(),
  demand: fc.boolean(),
  detectMult: fc.integer({ min: 1, max: 255 }),
  myDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
  yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
  desiredMinTxUs: fc.nat(0xffffffff),
  requiredMinRxUs: fc.nat(0xffffffff),
}).filter(({ poll, final }) => !(poll && final));

describe('control packet', () => {
  it.each([
    ['Down', captured.down, { state: 'Down', diagnostic: 0, detectMult: 3, myDiscriminator: 0x86b9c311, yourDiscriminator: 0, desiredMinTxUs: 1_000_000, requiredMinRxUs: 1_000_000 }],
    ['Init', captured.init, { state: 'Init', myDiscriminator: 0xa0da07ff, yourDiscriminator: 0x86b9c311 }],
    ['Up', captured.up, { state: 'Up', desiredMinTxUs: 100_000, requiredMinRxUs: 1_000_000, poll: false, final: false }],
  ])('%s of Open vSwitch is read, and written as it was', (_, hex, expected) => {
    const decoded = decodeControlPacket(bytesOf(hex));
    if (!decoded.ok) throw new Error(decoded.reason);
    expect(decoded.packet).toMatchObject(expected);
    expect(Buffer.from(encodeControlPacket(decoded.packet)).toString('hex')).toBe(hex);
  });

  it('what is written is read again', () => {
    fc.assert(fc.property(packets, (packet) => {
      expect(decodeControlPacket(encodeControlPacket(packet))).toEqual({ ok: true, packet });
    }));
  });

  it.each([
    ['version', 'version 0', changed([0, 0x00])],
    ['version', 'version 2', changed([0, 0x40])],
    ['length', 'Length 23', changed([3, 23])],
    ['length', 'Length 25 with the A bit', changed([1, 0xc4], [3, 25])],
    ['truncated', 'Length beyond the payload', changed([3, 25])],
    ['truncated', '23 bytes', bytesOf(captured.up).subarray(0, 23)],
    ['truncated', 'nothing', Buffer.alloc(0)],
    ['detect-mult', 'Detect Mult 0', changed([2, 0])],
    ['multipoint', 'the M bit', changed([1, 0xc1])],
    ['my-discriminator', 'My Discriminator 0', changed([4, 0], [5, 0], [6, 0], [7, 0])],
    ['your-discriminator', 'Your Discriminator 0 with Up', changed([8, 0], [9, 0], [10, 0], [11, 0])],
    ['your-discriminator', 'Your Discriminator 0 with Init', changed([1, 0x80], [8, 0], [9, 0], [10, 0], [11, 0])],
    ['authentication', 'the A bit', Buffer.concat([changed([1, 0xc4], [3, 28]), Buffer.alloc(4)])],
  ])('%s: %s is discarded (RFC 5880 §6.8.6)', (reason, _, bytes) => {
    expect(decodeControlPacket(bytes)).toEqual({ ok: false, reason });
  });

  it.each([['Down', 0x40], ['AdminDown', 0x00]])('%s may come without Your Discriminator', (state, byte) => {
    expect(decodeControlPacket(changed([1, byte], [8, 0], [9, 0], [10, 0], [11, 0]))).toMatchObject({ ok: true, packet: { state } });
  });

  it('of a longer datagram the rest is ignored', () => {
    expect(decodeControlPacket(Buffer.concat([bytesOf(captured.up), Buffer.alloc(40, 0xff)]))).toMatchObject({ ok: true });
  });

  it('whatever the bytes, it is one or a reason', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoded = decodeControlPacket(bytes);
      if (decoded.ok) expect(bytes.length).toBeGreaterThanOrEqual(CONTROL_PACKET_BYTES);
    }));
  });

  it.each([
    ['both Poll and Final', { poll: true, final: true }],
    ['Detect Mult 0', { detectMult: 0 }],
    ['Detect Mult 256', { detectMult: 256 }],
  ])('%s is not sent (RFC 5880 §6.5, §6.8.1)', (_, change) => {
    const decoded = decodeControlPacket(bytesOf(captured.up));
    if (!decoded.ok) throw new Error(decoded.reason);
    expect(() => encodeControlPacket({ ...decoded.packet, ...change })).toThrow(RangeError);
  });
});
