import { describe, expect, it } from 'vitest';
import { parseSyncKey } from '../../../src/sync/key.js';

describe('the shared key', () => {
  it('is two little-endian words, as in the SipHash reference', () => {
    expect(parseSyncKey('000102030405060708090a0b0c0d0e0f\n', 'f')).toEqual([0x0706050403020100n, 0x0f0e0d0c0b0a0908n]);
  });

  it.each(['', 'secret', '00'.repeat(15), `${'00'.repeat(16)}0`, 'zz'.repeat(16)])('that is none is refused without being shown: %s', (text) => {
    let message = '';
    try {
      parseSyncKey(text, '/etc/key');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('/etc/key must hold 32 hexadecimal digits');
    if (text !== '') expect(message).not.toContain(text);
  });
});
