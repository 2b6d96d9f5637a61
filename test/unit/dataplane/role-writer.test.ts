import { beforeEach, describe, expect, it } from 'vitest';
import { RoleWriter } from '../../../src/dataplane/role-writer.js';
import { Roles, VIRTUAL_ROUTER_BYTES } from '../../../src/dataplane/roles.js';

const [INITIALIZE, BACKUP, ACTIVE, DRAINING] = [0, 1, 2, 3];
const VRID = 51;
let roles: Roles;
let writer: RoleWriter;
let nowNs: bigint;

beforeEach(() => {
  const memory = Buffer.from(new ArrayBuffer(256 * VIRTUAL_ROUTER_BYTES));
  roles = new Roles({ mmap: () => memory });
  nowNs = 1_000n;
  writer = new RoleWriter(roles, () => nowNs);
});

describe('the role writer', () => {
  it('writes what the election decides', () => {
    writer.setRole(VRID, 'backup');
    expect(roles.read(VRID)).toMatchObject({ state: BACKUP, term: 0 });
    writer.setRole(VRID, 'active', 1);
    expect(roles.read(VRID)).toMatchObject({ state: ACTIVE, term: 1, activeSinceNs: 1_000n });
    writer.setRole(VRID, 'draining');
    expect(roles.read(VRID)).toMatchObject({ state: DRAINING, term: 1 });
    writer.setRole(VRID, 'initialize');
    expect(roles.read(VRID)).toMatchObject({ state: INITIALIZE, term: 1 });
  });

  it('outbids a term that records have brought meanwhile', () => {
    roles.setRole(VRID, { state: BACKUP, term: 9 });
    writer.setRole(VRID, 'active', 7);
    expect(roles.read(VRID)).toMatchObject({ state: ACTIVE, term: 10 });
  });

  it('raises the term of an Active without starting its time anew', () => {
    writer.setRole(VRID, 'active', 1);
    nowNs = 2_000n;
    writer.setRole(VRID, 'active', 4);
    expect(roles.read(VRID)).toMatchObject({ state: ACTIVE, term: 4, activeSinceNs: 1_000n });
  });
});

describe('what an earlier daemon left', () => {
  it('is resumed while its lease runs', () => {
    roles.setRole(VRID, { state: ACTIVE, term: 5 });
    roles.renewLease(VRID, 2_000n);
    expect(writer.inherit(VRID, true)).toEqual({ term: 5, resume: true });
  });

  it('is resumed without a peer, however long ago its lease ended', () => {
    roles.setRole(VRID, { state: ACTIVE, term: 5 });
    expect(writer.inherit(VRID, false)).toEqual({ term: 5, resume: true });
  });

  it('goes on forwarding after its lease while the election listens as Backup', () => {
    roles.setRole(VRID, { state: ACTIVE, term: 5 });
    expect(writer.inherit(VRID, true)).toEqual({ term: 5, resume: false });
    writer.setRole(VRID, 'backup');
    expect(roles.read(VRID)).toMatchObject({ state: ACTIVE, term: 5 });
    expect(writer.isInherited(VRID)).toBe(true);
  });

  it('ends when another Active is heard', () => {
    roles.setRole(VRID, { state: ACTIVE, term: 5 });
    writer.inherit(VRID, true);
    writer.setRole(VRID, 'backup');
    writer.release(VRID);
    expect(roles.read(VRID)).toMatchObject({ state: BACKUP, term: 5 });
    writer.release(VRID);
    expect(writer.isInherited(VRID)).toBe(false);
  });

  it('becomes the election\'s when that becomes Active', () => {
    roles.setRole(VRID, { state: ACTIVE, term: 5 });
    writer.inherit(VRID, true);
    writer.setRole(VRID, 'backup');
    writer.setRole(VRID, 'active', 6);
    expect(roles.read(VRID)).toMatchObject({ state: ACTIVE, term: 6 });
    writer.setRole(VRID, 'backup');
    expect(roles.read(VRID)).toMatchObject({ state: BACKUP, term: 6 });
  });

  it('is nothing to keep when it was Backup', () => {
    roles.setRole(VRID, { state: BACKUP, term: 5 });
    expect(writer.inherit(VRID, true)).toEqual({ term: 5, resume: false });
    expect(writer.isInherited(VRID)).toBe(false);
  });
});

describe('a term', () => {
  it('is raised beside the state, never lowered', () => {
    roles.setRole(VRID, { state: BACKUP, term: 5 });
    roles.raiseTerm(VRID, 3);
    expect(roles.read(VRID)).toMatchObject({ state: BACKUP, term: 5 });
    roles.raiseTerm(VRID, 0xffffffff);
    expect(roles.read(VRID)).toMatchObject({ state: BACKUP, term: 0xffffffff });
  });
});
