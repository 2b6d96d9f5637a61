// What is done to a gateway that works: ten thousand floating IPs come and go, and a build comes whose maps mean
// something else. Traffic goes on through all of it, counted by sequence number.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from 'yaml';
import { configurationFile } from '../../src/lab/gateway.js';
import { downIfOurs } from '../../src/lab/lab.js';
import type { Load } from '../../src/lab/load.js';
import { runIn } from '../../src/lab/process.js';
import { until } from '../../src/lab/wait.js';
import { buildWithOtherLayout, type OtherBuild } from '../support/other-build.js';
import { expectNothingLost, loadedLab } from '../support/loaded-lab.js';
import { answersPing, listAt, type RunningLab } from '../support/running-lab.js';

const connections = 20;
const flows = 20;

let lab: RunningLab;
let load: Load;
let other: OtherBuild;

// Compilers beside a lab would take from it what is measured.
beforeAll(() => void (other = buildWithOtherLayout()), 240_000);

beforeAll(async () => {
  ({ lab, load } = await loadedLab({ connections, flows }));
}, 90_000);

afterAll(async () => {
  load?.close();
  other?.remove();
  await downIfOurs();
}, 30_000);

beforeEach(async () => {
  await lab.restore();
}, 60_000);

describe('ten thousand floating IPs', () => {
  const count = 10_000;
  const nth = (prefix: string, i: number): string => `${prefix}.${1 + (i >> 8)}.${i & 0xff}`;
  const address = (i: number): string => nth('10.80', i);
  const looked = [0, 4_999, count - 1].map(address);

  function add(configuration: Document): void {
    listAt(configuration, 'externalNetworks', 0, 'subnets').add('10.80.0.0/16');
    const router = { name: 'many', virtualRouter: 51, externalNetwork: 'provider',
      networks: [{ name: 'many-net', vni: 900, subnet: '172.20.0.0/16', gateway: '172.20.255.254', mac: 'fa:16:3e:00:09:01' }],
      floatingIps: Array.from({ length: count }, (_, i) => ({ address: address(i), network: 'many-net', fixedIp: nth('172.20', i) })) };
    listAt(configuration, 'routers').add(configuration.createNode(router));
  }

  /** Whether anybody on the provider's link says that it has the address. */
  async function answersArp(wanted: string): Promise<boolean> {
    await runIn('router', ['ip', 'neighbour', 'flush', 'to', wanted, 'dev', 'external0']);
    await answersPing('router', wanted);
    const known = JSON.parse(await runIn('router', ['ip', '-json', 'neighbour', 'show', 'to', wanted, 'dev', 'external0'])) as { lladdr?: string }[];
    return known.some(({ lladdr }) => lladdr !== undefined);
  }

  beforeAll(() => runIn('router', ['ip', 'route', 'add', '10.80.0.0/16', 'dev', 'external0']));
  afterAll(() => runIn('router', ['ip', 'route', 'del', '10.80.0.0/16', 'dev', 'external0']));

  it('added and removed on both gateways/nothing is lost, they answer and answer no longer', { timeout: 120_000 }, async () => {
    const before = await lab.histories();
    expect(await Promise.all(looked.map(answersArp))).toEqual(looked.map(() => false));
    const added = await lab.observe(load, () => lab.reconfigure(add));
    expectNothingLost(added);
    expect(await Promise.all(looked.map(answersArp))).toEqual(looked.map(() => true));
    const removed = await lab.observe(load, () => lab.reconfigure((configuration) => {
      listAt(configuration, 'routers').items.pop();
      listAt(configuration, 'externalNetworks', 0, 'subnets').items.pop();
    }));
    expectNothingLost(removed);
    expect(await Promise.all(looked.map(answersArp))).toEqual(looked.map(() => false));
    expect(await lab.histories()).toEqual(before);
  });
});

describe('a build whose maps mean something else', () => {
  it('over the maps of the former/is refused and changes nothing; when those are given up it joins, is filled, takes over; nothing is lost', { timeout: 120_000 }, async () => {
    const pinned = await lab.pinned('gw-a');
    const refused = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGTERM');
      await lab.reaches('gw-b', 'active');
      return runIn('gw-a', [process.execPath, other.program, 'run', '--config', configurationFile('gw-a')]).then(() => '', (error: Error) => error.message);
    });
    expect(refused.result).toMatch(/map port_blocks: struct port_block: field \w+ at byte \d of 4 bytes here, at byte \d of 4 bytes in the pinned map/);
    expectNothingLost(refused);
    expect(await lab.pinned('gw-a')).toEqual(pinned);
    const upgraded = await lab.observe(load, async () => {
      await lab.floatgate('detach', '--config', configurationFile('gw-a'));
      const status = await lab.start('gw-a', { program: other.program });
      expect(await lab.reaches('gw-a', 'active')).toBe('preempting');
      return status;
    });
    expectNothingLost(upgraded);
    expect(upgraded.result.gateway.adopted).toBe(false);
    await lab.synchronised();
    await downgrade();
  });

  /** Back, for whatever comes after. */
  async function downgrade(): Promise<void> {
    const observed = await lab.observe(load, async () => {
      await lab.end('gw-a', 'SIGTERM');
      await lab.floatgate('detach', '--config', configurationFile('gw-a'));
      await until('the first build to run again', () => lab.start('gw-a'));
      return lab.reaches('gw-a', 'active');
    });
    expect(observed.result).toBe('preempting');
    expectNothingLost(observed);
  }
});
