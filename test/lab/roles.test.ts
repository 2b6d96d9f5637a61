// What moves roles on purpose: drains, things that are tracked, and who is told of it. Traffic through all of it.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from 'yaml';
import type { VirtualRouterStatus } from '../../src/api/status.js';
import { monotonicMs } from '../../src/lab/clock.js';
import { configurationFile, program } from '../../src/lab/gateway.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { run, runIn } from '../../src/lab/process.js';
import { stateFolder } from '../../src/lab/state.js';
import { until } from '../../src/lab/wait.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import { mapAt, type GatewayNode, type RunningLab } from '../support/running-lab.js';

const connections = 20;
const flows = 20;
/** `DRAINS=100 npx vitest run test/lab/roles.test.ts -t drains` is the longer form. */
const drains = Number(process.env['DRAINS'] ?? 10);

let lab: RunningLab;
let load: Load;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync('/tmp/floatgate-roles-');
  chmodSync(folder, 0o755);
  ({ lab, load } = await loadedLab({ connections, flows }));
}, 90_000);

afterAll(async () => {
  load?.close();
  await downIfOurs();
  rmSync(folder, { recursive: true });
}, 30_000);

beforeEach(async () => {
  await lab.restore();
}, 60_000);

const configured = (node: GatewayNode): ['--config', string] => ['--config', configurationFile(node)];

/** Waits until the virtual router of a gateway is as wanted. */
async function becomes(node: GatewayNode, what: string, is: (router: VirtualRouterStatus) => boolean): Promise<VirtualRouterStatus> {
  return until(`${node} ${what}`, async () => {
    const router = await lab.virtualRouter(node);
    return is(router) && router;
  });
}

/** Lines of a daemon's log, parsed. */
function logOf(node: GatewayNode): { readonly reason?: string; readonly time: number }[] {
  return readFileSync(join(stateFolder, 'log', `${node}.log`), 'utf8').split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { reason?: string; time: number });
}

describe('drain', () => {
  it(`${drains} drains and as many undrains/1 kHz of numbered datagrams by shared SNAT and by a floating IP, 0 lost`, { timeout: 60_000 + drains * 10_000 }, async () => {
    const observed = await lab.observe(load, async () => {
      for (let round = 0; round < drains; round += 1) {
        expect(await lab.api('gw-a').drain()).toEqual({ draining: true, virtualRouters: [51] });
        await lab.reaches('gw-b', 'active');
        await lab.api('gw-a').undrain();
        expect(await lab.reaches('gw-a', 'active')).toBe('preempting');
        await lab.reaches('gw-b', 'backup');
      }
    });
    expectNothingLost(observed);
    const sent = observed.windows.map(({ probe, window }) => `${probe} ${window.sent}`);
    process.stdout.write(`${drains} drains, 0 lost of: ${sent.join(', ')}\n`);
  });

  it('of a Backup/stays over a restart of its daemon, and is told', { timeout: 60_000 }, async () => {
    expect(await lab.floatgate('drain', '--vrid', '51', ...configured('gw-b'))).toBe('drained: virtual router 51\n');
    await lab.end('gw-b', 'SIGTERM');
    await lab.start('gw-b');
    expect(await becomes('gw-b', 'to be drained', ({ condition }) => condition === 'drained')).toMatchObject({ reason: 'drain', drained: true, activeOn: 'gw-a' });
    expect(await lab.floatgate('status', ...configured('gw-b'))).toMatch(/51 +192\.168\.33\.100 +drained/);
    await expect(lab.floatgate('drain', ...configured('gw-a'))).rejects.toThrow('the peer 169.254.77.2 is not Backup of virtual router 51');
    expect(await lab.floatgate('undrain', '--vrid', '51', ...configured('gw-b'))).toBe('takes part again: virtual router 51\n');
    await lab.reaches('gw-b', 'backup');
  });

  it('without a peer that could go on/is refused with a code of its own, and forced all the same', { timeout: 60_000 }, async () => {
    await lab.end('gw-b', 'SIGTERM');
    await until('gw-a to miss its peer', async () => (await lab.virtualRouter('gw-a')).peerState === undefined);
    const code = await run('sh', ['-c', `${process.execPath} ${program} drain --config ${configurationFile('gw-a')} 2>&1; echo "code $?"`]);
    expect(code).toMatch(/^floatgate: not drained: this gateway is Active and its peer 169\.254\.77\.2 is silent\ncode 3\n$/);
    expect(await lab.floatgate('drain', '--force', ...configured('gw-a'))).toBe('drained: virtual router 51\n');
    expect(await lab.virtualRouter('gw-a')).toMatchObject({ condition: 'drained', reason: 'drain' });
    await lab.floatgate('undrain', ...configured('gw-a'));
    await lab.reaches('gw-a', 'active');
    await lab.start('gw-b');
  });

  it('a gateway that returns/preempts only after it holds all that its peer has', { timeout: 60_000 }, async () => {
    await lab.loseNode('gw-a');
    await lab.reaches('gw-b', 'active');
    const before = logOf('gw-a').length;
    await lab.returnNode('gw-a');
    expect(await lab.reaches('gw-a', 'active')).toBe('preempting');
    const order = logOf('gw-a').slice(before).map(({ reason }) => reason).filter((reason) => reason === 'synchronised' || reason === 'preempting');
    expect(order.slice(0, 2)).toEqual(['synchronised', 'preempting']);
  });
});

describe('a gateway outside that is tracked with a weight', () => {
  const tracked = '10.0.2.250';
  const address = (verb: 'add' | 'del') => runIn('router', ['ip', 'address', verb, `${tracked}/24`, 'dev', 'external0']);
  const told = (): string[] => readFileSync(join(folder, 'told'), 'utf8').trim().split('\n');

  function track(configuration: Document): void {
    mapAt(configuration, 'virtualRouters', 0).set('track', configuration.createNode([{ gateway: { address: tracked, weight: 150 } }]));
    const command = ['/bin/sh', '-c', `echo "$FLOATGATE_GATEWAY $FLOATGATE_VRID $FLOATGATE_STATE $FLOATGATE_PREVIOUS $FLOATGATE_REASON $FLOATGATE_PRIORITY" >> ${folder}/told`];
    configuration.set('notify', configuration.createNode({ command }));
  }

  it('its loss moves the role within 3 s and more, nothing is lost, and those are told who want to know', { timeout: 90_000 }, async () => {
    await address('add');
    writeFileSync(join(folder, 'told'), '');
    chmodSync(join(folder, 'told'), 0o666);
    lab.edit('gw-a', track);
    await lab.floatgate('reload', ...configured('gw-a'));
    await until('the address to answer', async () => (await lab.status('gw-a')).tracked[0]?.state === 'up');

    const moved = await lab.observe(load, async () => {
      const beganMs = monotonicMs();
      await address('del');
      await becomes('gw-a', 'to weigh less', ({ effectivePriority }) => effectivePriority === 50);
      const noticedMs = monotonicMs() - beganMs;
      await lab.reaches('gw-b', 'active');
      return { noticedMs, movedMs: monotonicMs() - beganMs };
    });
    expectNothingLost(moved);
    process.stdout.write(`noticed after ${Math.round(moved.result.noticedMs)} ms, moved after ${Math.round(moved.result.movedMs)} ms\n`);
    expect(moved.result.noticedMs).toBeLessThan(3000);
    expect(await becomes('gw-a', 'to be Backup', ({ condition }) => condition === 'backup')).toMatchObject({ reason: 'higher-priority', causes: [`gateway ${tracked}`], activeOn: 'gw-b' });
    expect(await lab.floatgate('status', '--router', 'tenant-a', ...configured('gw-a'))).toContain('tenant-a, virtual router 51, is Active on gw-b\n');
    expect(await lab.floatgate('status', ...configured('gw-a'))).toMatch(/gateway 10\.0\.2\.250 +DOWN .* 51 -150 +no answer within 500 ms/);

    const back = await lab.observe(load, async () => {
      await address('add');
      return lab.reaches('gw-a', 'active');
    });
    expect(back.result).toBe('preempting');
    expectNothingLost(back);
    await until('all to be told', () => told().length >= 2);
    expect(told()).toEqual(['gw-a 51 backup active higher-priority 50', 'gw-a 51 active backup preempting 200']);
    await address('del');
  });
});
