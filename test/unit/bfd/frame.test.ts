import { describe, expect, it } from 'vitest';
import { INNER_BYTES, innerFrame, sourcePortOf } from '../../../src/bfd/frame.js';

/** Of Open vSwitch 3.1: the inner frame of the first packet of test/pcaps/ovn-01-bfd-establish-underlay.pcap. */
const CAPTURED = '00232000000102f92a89c6b2080045c0003400000000ff1164fba9fe0101a9fe0100c0000ec8002000002040031886b9c31100000000000f4240000f424000000000';
const MAC = Buffer.from('02f92a89c6b2', 'hex');
const PACKET = Buffer.from(CAPTURED.slice(-48), 'hex');

describe('the inner frame', () => {
  it('is byte for byte that of Open vSwitch', () => {
    expect(Buffer.from(innerFrame(MAC, 49_152, PACKET)).toString('hex')).toBe(CAPTURED);
    expect(CAPTURED).toHaveLength(2 * INNER_BYTES);
  });

  it('has a source port from 49152 on, one for each session', () => {
    const ports = Array.from({ length: 20_000 }, (_, i) => sourcePortOf(1 + i * 214_729));
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(49_152);
    expect(Math.max(...ports)).toBeLessThanOrEqual(65_535);
    expect(sourcePortOf(7)).toBe(sourcePortOf(7));
    expect(sourcePortOf(7)).not.toBe(sourcePortOf(8));
    expect(sourcePortOf(0xffffffff)).toBe(65_535);
  });
});
