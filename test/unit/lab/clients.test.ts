import { describe, expect, it } from 'vitest';
import { decodeEndpoint, encodeEndpoint } from '../../../src/lab/clients/endpoint.js';
import { message, sessionIdOf } from '../../../src/lab/clients/pattern.js';

describe('pattern', () => {
  it('message/the same every time, and 100 to 1000 bytes', () => {
    for (let sequence = 0; sequence < 2000; sequence += 1) {
      const bytes = message(7, sequence);
      expect(bytes.length).toBeGreaterThanOrEqual(100);
      expect(bytes.length).toBeLessThanOrEqual(1000);
      expect(bytes.equals(message(7, sequence))).toBe(true);
    }
  });

  it('message/differs from every other, so that an exchange changes the stream', () => {
    const seen = new Set<string>();
    for (let id = 0; id < 20; id += 1) for (let sequence = 0; sequence < 100; sequence += 1) seen.add(message(id, sequence).toString('latin1'));
    expect(seen.size).toBe(2000);
  });

  it('sessionIdOf/reads the first message', () => {
    expect(sessionIdOf(message(199, 0))).toBe(199);
  });
});

describe('endpoint', () => {
  it('encode/network order', () => {
    expect(encodeEndpoint('10.0.2.201', 0x1234).toString('hex')).toBe('0a0002c91234');
  });

  it('decode/gives back what was encoded', () => {
    expect(decodeEndpoint(encodeEndpoint('203.0.113.10', 65535))).toBe('203.0.113.10:65535');
  });
});
