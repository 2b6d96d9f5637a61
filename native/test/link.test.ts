import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from './support/compile.js';
import { compileFixture, runIsolated } from './support/fixture.js';

const directory = temporaryDirectory();
// fixtures/link-steps.ts runs once, in a network of its own; its findings are judged here.
let steps: Record<string, unknown> & { left: number };

beforeAll(async () => {
  steps = await runIsolated('link-steps', compileFixture(directory.path, 'attach'));
}, 30_000);

afterAll(() => directory.remove());

describe('XDP', () => {
  test('native: attached through a link that knows its place', () => {
    const attached = steps['attached'] as { programId: number; expectedProgram: number };
    expect(attached).toMatchObject({ type: 'xdp', ifindex: steps.left, mode: 'native' });
    expect(attached.programId).toBe(attached.expectedProgram);
    expect(steps['firstCount']).toBeGreaterThanOrEqual(5);
  });

  test('a second program is refused in either mode', () => {
    expect(steps['occupied']).toBe('EBUSY');
    expect(steps['otherMode']).toBe('EEXIST');
  });

  test('update replaces the program in place', () => {
    const updated = steps['updated'] as { programId: number; expectedProgram: number };
    expect(updated.programId).toBe(updated.expectedProgram);
    const counts = steps['afterUpdate'] as { first: number; second: number };
    expect(counts.first).toBe(0);
    expect(counts.second).toBeGreaterThanOrEqual(5);
    expect(steps['updateOtherType']).toBe('EINVAL');
  });

  test('a pin keeps the attachment beyond close, and can be adopted', () => {
    expect(steps['closed']).toBe('EBADF');
    expect(steps['pinnedKeepsRunning']).toBe(true);
    expect(steps['adopted']).toEqual({ type: 'xdp', ifindex: steps.left, mode: 'native' });
    expect(steps['gone']).toEqual({ native: 0, generic: 0, hardware: 0 });
  });

  test('detach ends the attachment and leaves a link without an interface', () => {
    expect(steps['generic']).toBe('generic');
    expect(steps['detached']).toEqual({ ifindex: 0, programs: { native: 0, generic: 0, hardware: 0 }, update: 'ENOLINK' });
  });

  test('an attachment that nobody holds stays', () => {
    expect(steps['forgotten']).toBe(true);
  });

  test('auto is native where the driver can, else generic', () => {
    expect(steps['nativeOnLoopback']).toBe('EOPNOTSUPP');
    expect(steps['autoOnLoopback']).toBe('generic');
    expect(steps['autoOnVeth']).toBe('native');
  });

  test('errors have the kernel\'s codes', () => {
    expect(steps['noInterface']).toBe('ENODEV');
    expect(steps['notXdp']).toBe('EINVAL');
    expect(steps['queryNothing']).toBe('ENODEV');
  });

  test('a program opened by its pin can be attached', () => {
    expect(steps['fromPin']).toBe('native');
  });
});

describe('TC', () => {
  test('attaches with the given or a chosen priority and handle', () => {
    expect(steps['tc']).toEqual({ priority: 10, handle: 3, chosen: true });
    expect(steps['ingressCount']).toBeGreaterThanOrEqual(5);
    expect(steps['tcTaken']).toBe('EEXIST');
  });

  test('update replaces the program in place', () => {
    const counts = steps['afterTcUpdate'] as { ingress: number; egress: number };
    expect(counts.ingress).toBe(0);
    expect(counts.egress).toBeGreaterThanOrEqual(5);
  });

  test('detach removes the filter, once', () => {
    expect(steps['tcGone']).toBe('ENOENT');
    expect(steps['filters']).toBe('');
    expect(steps['tcNoInterface']).toMatch(/^E/);
  });
});
