import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { Fifo } from '../../../src/gateway/fifo.js';
import { Notifier } from '../../../src/gateway/notifier.js';
import type { StateChange } from '../../../src/gateway/notifier.js';
import { publicState, reasonOf } from '../../../src/gateway/public-state.js';
import { runCommand } from '../../../src/gateway/run-command.js';
import type { Command, CommandResult } from '../../../src/gateway/run-command.js';
import { example } from '../config/example.js';

const change = (vrid: number, state: StateChange['state'], term = 1): StateChange => ({ vrid, state, previous: 'backup', reason: 'active-silent', priority: 200, term });

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'floatgate-notify-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function notifyOf(text: string) {
  const { configuration, errors } = parseConfiguration(`${example}notify: ${text}\n`, 'gw.yaml');
  expect(errors).toBeUndefined();
  return configuration!.notify!;
}

/** Commands end when the test says so. */
function setUp(text = '{ command: [/bin/tell, -v], timeout: 3s }') {
  const running: { command: Command; end: (result: CommandResult) => void }[] = [];
  const begun: string[] = [];
  const warnings: string[] = [];
  const notifier = new Notifier({
    run: (command) => {
      begun.push(`${command.environment['FLOATGATE_VRID']} ${command.environment['FLOATGATE_STATE']} ${command.environment['FLOATGATE_TERM']}`);
      return new Promise((resolve) => running.push({ command, end: resolve }));
    },
    warn: (_, sentence) => void warnings.push(sentence),
  });
  notifier.configure(notifyOf(text), 'gw-a');
  const endNext = async (result: CommandResult = { succeeded: true, detail: 'exit code 0' }): Promise<void> => {
    running.shift()!.end(result);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { notifier, running, begun, warnings, endNext };
}

describe('a command', () => {
  it('gets what there is to know, and nothing else', () => {
    const { notifier, running } = setUp();
    notifier.tell(change(51, 'active', 7));
    expect(running.map(({ command }) => command)).toEqual([{
      words: ['/bin/tell', '-v'], user: 'nobody', timeoutMs: 3000,
      environment: {
        FLOATGATE_GATEWAY: 'gw-a', FLOATGATE_VRID: '51', FLOATGATE_STATE: 'active', FLOATGATE_PREVIOUS: 'backup',
        FLOATGATE_REASON: 'active-silent', FLOATGATE_PRIORITY: '200', FLOATGATE_TERM: '7',
      },
    }]);
  });

  it('runs one at a time for each virtual router, in order', async () => {
    const { notifier, begun, endNext } = setUp();
    for (const state of ['active', 'backup', 'fault'] as const) notifier.tell(change(51, state));
    notifier.tell(change(52, 'active'));
    expect(begun).toEqual(['51 active 1', '52 active 1']);
    await endNext();
    expect(begun).toEqual(['51 active 1', '52 active 1', '51 backup 1']);
    await endNext();
    await endNext();
    expect(begun.at(-1)).toBe('51 fault 1');
  });

  it('that hangs makes no more wait than eight, the newest of them', async () => {
    const { notifier, begun, endNext } = setUp();
    for (let term = 1; term <= 30; term += 1) notifier.tell(change(51, term % 2 === 0 ? 'backup' : 'active', term));
    for (let i = 0; i < 9; i += 1) await endNext();
    expect(begun.map((line) => Number(line.split(' ')[2]))).toEqual([1, 23, 24, 25, 26, 27, 28, 29, 30]);
  });

  it('that fails is told of, and the next one runs', async () => {
    const { notifier, begun, warnings, endNext } = setUp();
    notifier.tell(change(51, 'active'));
    notifier.tell(change(51, 'backup'));
    await endNext({ succeeded: false, detail: 'killed after 3000 ms' });
    expect(warnings).toEqual(['notify.command failed: killed after 3000 ms']);
    expect(begun).toHaveLength(2);
  });

  it('is waited for at the end, but not for long', async () => {
    const { notifier, endNext } = setUp();
    await notifier.finished(10_000);
    notifier.tell(change(51, 'stopped'));
    const begunMs = performance.now();
    await notifier.finished(50);
    expect(performance.now() - begunMs).toBeGreaterThan(40);
    const ended = notifier.finished(10_000);
    await endNext();
    await ended;
  });

  it('runs for real, with the environment of the newest state', async () => {
    const file = join(folder, 'told');
    const notifier = new Notifier({ run: runCommand, warn: () => undefined });
    notifier.configure(notifyOf(`{ command: [/bin/sh, -c, 'echo "$FLOATGATE_VRID $FLOATGATE_STATE $FLOATGATE_GATEWAY" >> ${file}'], user: root }`), 'gw-a');
    notifier.tell(change(51, 'active'));
    notifier.tell(change(51, 'fault'));
    await notifier.finished(10_000);
    expect(readFileSync(file, 'utf8')).toBe('51 active gw-a\n51 fault gw-a\n');
  });
});

describe('a FIFO', () => {
  const make = (): string => {
    const path = join(folder, 'fifo');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    return path;
  };
  const read = (fd: number): string => {
    const buffer = Buffer.alloc(4096);
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
      throw error;
    }
  };

  it('gets a line at every change', () => {
    const path = make();
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const notifier = new Notifier({ run: runCommand, warn: () => undefined });
    notifier.configure(notifyOf(`{ fifo: ${path} }`), 'gw-a');
    notifier.tell(change(51, 'active'));
    notifier.tell(change(52, 'handing-over'));
    expect(read(reader)).toBe('INSTANCE "51" ACTIVE 200\nINSTANCE "52" HANDING-OVER 200\n');
    notifier.close();
    closeSync(reader);
  });

  it('without a reader keeps the newest of each, and delivers it to the one that comes', async () => {
    const path = make();
    const fifo = new Fifo(path, () => expect.unreachable());
    for (let i = 0; i < 10_000; i += 1) fifo.write(i % 2, `${i}\n`);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let text = '';
    await vi.waitFor(() => expect((text += read(reader))).toBe('9998\n9999\n'), { timeout: 5000, interval: 50 });
    fifo.close();
    closeSync(reader);
  });

  it('that a reader leaves full delivers the newest once it reads on', async () => {
    const path = make();
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const fifo = new Fifo(path, () => expect.unreachable());
    const begunMs = performance.now();
    for (let i = 0; i < 20_000; i += 1) fifo.write(51, `${String(i).padStart(9)}\n`);
    expect(performance.now() - begunMs).toBeLessThan(20_000);
    let text = '';
    await vi.waitFor(() => expect((text += read(reader))).toMatch(/ 19999\n$/), { timeout: 5000, interval: 10 });
    fifo.close();
    closeSync(reader);
  });

  it('that is none is never written to, and said once', () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'precious');
    const warnings: string[] = [];
    const fifo = new Fifo(path, (sentence) => void warnings.push(sentence));
    fifo.write(51, 'x\n');
    fifo.write(51, 'y\n');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(warnings).toEqual([`notify.fifo: ${path} is not a FIFO`]);
    fifo.close();
  });
});

describe('the state that is told', () => {
  const known = { faulty: false, drained: false, history: [] };

  it.each([
    ['Active', {}, 'active', 'startup'],
    ['Backup', {}, 'backup', 'startup'],
    ['HandingOver', { drained: true }, 'handing-over', 'startup'],
    ['Initialize', {}, 'stopped', 'startup'],
    ['Initialize', { faulty: true }, 'fault', 'fault'],
    ['Initialize', { drained: true }, 'drained', 'drain'],
    ['Initialize', { faulty: true, drained: true }, 'fault', 'fault'],
  ] as const)('%s with %o is %s, by %s', (state, holds, told, reason) => {
    const status = { ...known, ...holds, state };
    expect([publicState(status), reasonOf(status)]).toEqual([told, reason]);
  });

  it('has the reason of its last transition', () => {
    const history = [{ atMs: 1, from: 'Backup', to: 'Active', reason: 'preempting', term: 2 }] as const;
    expect(reasonOf({ ...known, state: 'Active', history })).toBe('preempting');
  });
});
