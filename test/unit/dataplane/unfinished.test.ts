import { describe, expect, it } from 'vitest';
import { finishFrame } from '../../../src/dataplane/unfinished.js';
import { expectValidChecksums } from '../../support/checksum.js';
import { ethernet, frame, ipv4, payload, tcp, udp } from '../../support/packet.js';
import { a1, frameFromVm, server } from '../../support/world.js';

const body = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 37) & 0xff));
const plain = ethernet({ source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' });
const layers = {
  tcp: [ipv4({ source: a1.address, destination: server }), tcp({ sourcePort: 1, destinationPort: 2 })],
  udp: [ipv4({ source: a1.address, destination: server }), udp({ sourcePort: 1, destinationPort: 2 })],
} as const;

/** What CHECKSUM_PARTIAL leaves in the field: the pseudo-header's sum. */
function withSumLeft(whole: Buffer, ip: number, protocol: 'tcp' | 'udp'): Buffer {
  const left = Buffer.from(whole);
  const length = left.readUInt16BE(ip + 2) - 20;
  let sum = (protocol === 'tcp' ? 6 : 17) + length;
  for (let offset = 12; offset < 20; offset += 2) sum += left.readUInt16BE(ip + offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  left.writeUInt16BE(sum, ip + 20 + (protocol === 'tcp' ? 16 : 6));
  return left;
}

describe.each(['tcp', 'udp'] as const)('finishFrame of %s', (protocol) => {
  it.each([0, 1, 2, 99, 1000])('%d bytes/a sum that is left/is computed', (length) => {
    const whole = frame(plain, ...layers[protocol], payload(body(length)));
    expect(finishFrame(withSumLeft(whole, 14, protocol), 'external').equals(whole)).toBe(true);
  });

  it('a sum that is there, right or wrong/stays', () => {
    const whole = frame(plain, ...layers[protocol], payload(body(99)));
    const wrong = Buffer.from(whole);
    wrong[whole.length - 1]! ^= 1;
    expect(finishFrame(whole, 'external').equals(whole)).toBe(true);
    expect(finishFrame(wrong, 'external').equals(wrong)).toBe(true);
  });

  it('many segments, cut off/the first of them', () => {
    const many = frame(plain, ...layers[protocol], payload(body(5000)));
    const first = finishFrame(withSumLeft(many, 14, protocol).subarray(0, 2047), 'external', 1000);
    expect(first.length).toBe(many.length - 4000);
    expectValidChecksums(first);
  });

  it('in a tunnel/both packets are whole', () => {
    const whole = frameFromVm(a1, [...layers[protocol], payload(body(3000))]);
    const first = finishFrame(whole.subarray(0, 2047), 'underlay', 1000);
    expect(first.length).toBe(whole.length - 2000);
    expectValidChecksums(first);
  });
});
