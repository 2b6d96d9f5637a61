import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Track } from '../../../src/config/schema.js';
import { AnswersAwaited } from '../../../src/gateway/answers-awaited.js';
import { echoReplyOf, echoRequest } from '../../../src/gateway/echo-probes.js';
import { whereaboutsOf } from '../../../src/gateway/arp-probes.js';
import { LinkStates } from '../../../src/gateway/link-states.js';
import { Prober } from '../../../src/gateway/prober.js';
import { endCommands, runCommand } from '../../../src/gateway/run-command.js';
import { Trackers } from '../../../src/gateway/trackers.js';
import type { TrackState } from '../../../src/gateway/tracking.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { parseIpv4 } from '../../../src/config/address.js';
import { example } from '../config/example.js';

const link = (name: string, weight?: number): Track => ({ kind: 'link', name, ...(weight !== undefined && { weight }) });

function setUp() {
  const made: { name: string; state: TrackState; closed: boolean; changed: () => void }[] = [];
  let changes = 0;
  const make = (name: string, changed: () => void) => {
    const one = { name, state: 'unknown' as TrackState, closed: false, changed };
    made.push(one);
    return { get state() { return one.state; }, detail: 'as told', close: () => void (one.closed = true) };
  };
  const trackers = new Trackers({
    makers: { link: ({ name }, changed) => make(name, changed), gateway: (_, changed) => make('gateway', changed), script: (_, changed) => make('script', changed) },
    log: { info: () => undefined, warn: () => undefined } as never,
    changed: () => void (changes += 1),
  });
  const set = (name: string, state: TrackState): void => {
    const one = made.find((candidate) => candidate.name === name && !candidate.closed)!;
    one.state = state;
    one.changed();
  };
  return { trackers, made, set, changes: () => changes };
}

describe('trackers', () => {
  it('watch each thing once, and judge it for each virtual router', () => {
    const { trackers, made, set } = setUp();
    trackers.follow([{ vrid: 51, track: [link('ens7', 20), link('ens8')] }, { vrid: 52, track: [link('ens7')] }, { vrid: 53, track: [] }]);
    expect(made.map(({ name }) => name)).toEqual(['ens7', 'ens8']);
    expect(trackers.judgementOf(51)).toEqual({ faulty: false, undecided: true, penalty: 0 });
    set('ens7', 'down');
    set('ens8', 'up');
    expect(trackers.judgementOf(51)).toEqual({ faulty: false, undecided: false, penalty: 20 });
    expect(trackers.judgementOf(52)).toEqual({ faulty: true, undecided: false, penalty: 0 });
    expect(trackers.judgementOf(53)).toEqual({ faulty: false, undecided: false, penalty: 0 });
    expect(trackers.downFor(52)).toEqual(['link ens7']);
    expect(trackers.things).toMatchObject([
      { name: 'link ens7', kind: 'link', state: 'down', detail: 'as told', virtualRouters: [{ vrid: 51, weight: 20 }, { vrid: 52, weight: undefined }] },
      { name: 'link ens8', state: 'up', virtualRouters: [{ vrid: 51, weight: undefined }] },
    ]);
  });

  it('tell of changes alone', () => {
    const { trackers, set, changes } = setUp();
    trackers.follow([{ vrid: 51, track: [link('ens7')] }]);
    set('ens7', 'up');
    set('ens7', 'up');
    expect(changes()).toBe(1);
  });

  it('go on without a break when the configuration changes', () => {
    const { trackers, made, set } = setUp();
    trackers.follow([{ vrid: 51, track: [link('ens7'), link('ens8')] }]);
    set('ens7', 'down');
    trackers.follow([{ vrid: 51, track: [link('ens7', 20)] }]);
    expect(trackers.judgementOf(51)).toEqual({ faulty: false, undecided: false, penalty: 20 });
    expect(made.map(({ name, closed }) => [name, closed])).toEqual([['ens7', false], ['ens8', true]]);
    trackers.close();
    expect(made.every(({ closed }) => closed)).toBe(true);
  });
});

describe('a prober', () => {
  afterEach(() => void vi.useRealTimers());

  it('asks once per interval, one question at a time, and tells what became of it', async () => {
    vi.useFakeTimers();
    const results: (() => void)[] = [];
    let outcome = true;
    const states: TrackState[] = [];
    const prober: Prober = new Prober({
      intervalMs: 100, rise: 2, fall: 2,
      probe: () => new Promise((resolve) => results.push(() => resolve({ succeeded: outcome, detail: String(outcome) }))),
      changed: () => void states.push(prober.state),
    });
    const answer = async (succeeded: boolean): Promise<void> => {
      outcome = succeeded;
      results.at(-1)!();
      await vi.advanceTimersByTimeAsync(100);
    };
    await vi.advanceTimersByTimeAsync(1000);
    expect([results.length, prober.state]).toEqual([1, 'unknown']);
    for (const succeeded of [true, false, false, false, true, true]) await answer(succeeded);
    expect(states).toEqual(['up', 'down', 'up']);
    expect(results).toHaveLength(7);
    prober.close();
    await answer(false);
    expect([results.length, prober.state]).toEqual([7, 'up']);
  });
});

describe('answers', () => {
  it('are heard by those who asked for them, in time', async () => {
    const awaited = new AnswersAwaited();
    const one = awaited.answered('a', 1000, () => undefined);
    const both = awaited.answered('b', 20, () => undefined);
    awaited.heard('c');
    awaited.heard('a');
    expect(await one).toMatchObject({ succeeded: true });
    expect(await both).toEqual({ succeeded: false, detail: 'no answer within 20 ms' });
  });

  it('do not come to what could not be asked', async () => {
    const failing = (): void => {
      throw new Error('network is down');
    };
    expect(await new AnswersAwaited().answered('a', 1000, failing)).toEqual({ succeeded: false, detail: 'network is down' });
  });
});

describe('links', () => {
  const up = { index: 7, name: 'ens7', up: true, running: true };

  it('are unknown until the kernel was read, and then up with carrier alone', () => {
    const links = new LinkStates();
    let changes = 0;
    const tracker = links.track('ens7', () => void (changes += 1));
    expect(tracker.state).toBe('unknown');
    links.replace([up]);
    expect([tracker.state, tracker.detail]).toEqual(['up', 'it has carrier']);
    links.observe({ ...up, running: false }, false);
    expect([tracker.state, tracker.detail]).toEqual(['down', 'it has no carrier']);
    links.observe({ ...up, up: false }, false);
    expect(tracker.detail).toBe('it is set down');
    links.observe({ ...up, name: 'other0' }, false);
    expect([tracker.state, tracker.detail]).toEqual(['down', 'there is no such interface']);
    links.observe(up, false);
    links.observe(up, true);
    expect(tracker.state).toBe('down');
    expect(changes).toBe(6);
    tracker.close();
    links.observe(up, false);
    expect(changes).toBe(6);
  });
});

describe('echo', () => {
  const ip = (message: Buffer): Buffer => Buffer.concat([Buffer.from('4500001c0000000040010000c0a82101c0a8210b', 'hex'), message]);
  /** RFC 792: the reply is the request with type 0 and its checksum. */
  const reply = (): Buffer => Buffer.from('0000edca12340001', 'hex');

  it('a request is what RFC 792 says', () => {
    expect(echoRequest(0x1234, 1).toString('hex')).toBe('0800e5ca12340001');
  });

  it('a reply is taken apart, whatever options its header has', () => {
    expect(echoReplyOf(ip(reply()))).toEqual({ source: 0xc0a82101, identifier: 0x1234, sequence: 1 });
    const options = ip(reply());
    options[0] = 0x46;
    expect(echoReplyOf(Buffer.concat([options.subarray(0, 20), Buffer.alloc(4), reply()]))?.sequence).toBe(1);
  });

  it('anything else is none', () => {
    const damaged = reply();
    damaged[7] = 2;
    for (const packet of [ip(damaged), ip(echoRequest(0x1234, 1)), ip(reply()).subarray(0, 27), Buffer.alloc(0), Buffer.alloc(40)]) expect(echoReplyOf(packet)).toBeUndefined();
  });
});

it('a neighbour is asked for on the external network that has it, else on the underlay', () => {
  const { configuration } = parseConfiguration(example.replace('gateway: 10.0.2.1 }', 'subnets: [ 10.0.9.0/24 ], vlan: 7, gateway: 10.0.2.1 }'), 'gw.yaml');
  const at = (address: string): unknown => whereaboutsOf(parseIpv4(address)!, configuration!);
  expect([at('10.0.2.1'), at('10.0.9.3'), at('192.168.33.1')]).toEqual([{ side: 'external', vlan: 7 }, { side: 'external', vlan: 7 }, { side: 'underlay', vlan: 0 }]);
});

describe('a command', () => {
  const base = { user: 'root', timeoutMs: 5000, environment: {} };

  it('succeeds with exit code 0 alone', async () => {
    expect(await runCommand({ ...base, words: ['/bin/true'] })).toEqual({ succeeded: true, detail: 'exit code 0' });
    expect(await runCommand({ ...base, words: ['/bin/sh', '-c', 'exit 3'] })).toEqual({ succeeded: false, detail: 'exit code 3' });
    expect(await runCommand({ ...base, words: ['/bin/sh', '-c', 'kill -TERM $$'] })).toEqual({ succeeded: false, detail: 'ended by SIGTERM' });
    expect(await runCommand({ ...base, words: ['/no/such/program'] })).toEqual({ succeeded: false, detail: '/no/such/program cannot be run: ENOENT' });
    expect(await runCommand({ ...base, user: 'nobody-at-all', words: ['/bin/true'] })).toEqual({ succeeded: false, detail: 'there is no user nobody-at-all in /etc/passwd' });
  });

  it('is killed with what it has started', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'floatgate-command-'));
    const result = await runCommand({ ...base, words: ['/bin/sh', '-c', `sleep 60 & echo $! > ${folder}/pid; wait`], timeoutMs: 300 });
    expect(result).toEqual({ succeeded: false, detail: 'killed after 300 ms' });
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    // An orphan that nobody has reaped yet is dead all the same.
    await vi.waitFor(() => expect(stateOf(pid)).toMatch(/^[ZX-]$/));
    rmSync(folder, { recursive: true });
  });

  it('sees nothing of our environment, and is who it is said to be', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'floatgate-command-'));
    const file = join(folder, 'environment');
    writeFileSync(file, '', { mode: 0o666 });
    process.env['FLOATGATE_TEST_SECRET'] = 'hush';
    await runCommand({ ...base, words: ['/bin/sh', '-c', `env > ${file}; id -un >> ${file}; pwd >> ${file}`], environment: { FLOATGATE_VRID: '51' } });
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('FLOATGATE_VRID=51');
    expect(text).not.toContain('hush');
    expect(text.trim().split('\n').slice(-2)).toEqual(['root', '/']);
    delete process.env['FLOATGATE_TEST_SECRET'];
    rmSync(folder, { recursive: true });
  });

  it.runIf(process.getuid?.() === 0)('gives up root', async () => {
    const words = ['/bin/sh', '-c', '[ "$(id -un) $(id -Gn)" = "nobody nogroup" ]'];
    expect(await runCommand({ ...base, user: 'nobody', words })).toEqual({ succeeded: true, detail: 'exit code 0' });
  });

  it('ends with us', async () => {
    const running = runCommand({ ...base, words: ['/bin/sleep', '60'] });
    endCommands();
    expect(await running).toEqual({ succeeded: false, detail: 'ended by SIGKILL' });
  });
});

/** Of /proc: R, S, Z …; `-` when there is none. */
function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]!;
  } catch {
    return '-';
  }
}
