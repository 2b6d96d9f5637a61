import { describe, expect, it } from 'vitest';
import { Roles, VIRTUAL_ROUTER_BYTES } from '../../../src/dataplane/roles.js';

describe('roles', () => {
  it('are written where struct virtual_router has them, and touch nothing else', () => {
    const memory = Buffer.from(new ArrayBuffer(256 * VIRTUAL_ROUTER_BYTES)).fill(0xee);
    const roles = new Roles({ mmap: () => memory });
    roles.setRole(51, { state: 2, term: 0xfffffffe });
    roles.renewLease(51, 0x1122334455667788n);
    roles.setActiveSince(51, 7n);
    const at = 51 * VIRTUAL_ROUTER_BYTES;
    expect(memory.readUInt32LE(at)).toBe(2);
    expect(memory.readUInt32LE(at + 4)).toBe(0xfffffffe);
    expect(memory.readBigUInt64LE(at + 8)).toBe(0x1122334455667788n);
    expect(memory.readBigUInt64LE(at + 16)).toBe(7n);
    const untouched = Buffer.concat([memory.subarray(0, at), memory.subarray(at + 24)]);
    expect(untouched.every((byte) => byte === 0xee)).toBe(true);
    expect(roles.read(51)).toEqual({ state: 2, term: 0xfffffffe, leaseUntilNs: 0x1122334455667788n, activeSinceNs: 7n });
  });
});
