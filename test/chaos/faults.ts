/** Faults carried out in the running lab; each gives back what ends it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from 'yaml';
import type { Status } from '../../src/api/status.js';
import { gatewayFolder } from '../../src/lab/gateway.js';
import { run, runIn } from '../../src/lab/process.js';
import { namespaceOf, vmNamed } from '../../src/lab/topology.js';
import { listAt, mapAt, type MoreClients, type RunningLab } from '../support/running-lab.js';
import { beginsWhole, names, type Fault, type GatewayName } from './plan.js';

export type End = () => Promise<void>;

/** Its daemon's clock is what this file says; CLOCK_MONOTONIC stays the kernel's. */
const clockFile = (node: GatewayName): string => join(gatewayFolder(node), 'clock');

/** Of Debian's package faketime; the dynamic linker knows what its architecture calls $LIB. */
const CLOCK_LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';
/** More than any clock is wrong by. */
const PROOF_HOURS = 26;

export class Faults {
  readonly #lab: RunningLab;
  readonly #arrived: MoreClients[] = [];
  #nextClient = 1000;

  constructor(lab: RunningLab) {
    this.#lab = lab;
  }

  /** Everybody who came in the course of it. */
  get arrived(): readonly MoreClients[] {
    return this.#arrived;
  }

  /** Of a daemon whose clock can be moved. */
  environmentOf(node: GatewayName): Record<string, string> {
    return { LD_PRELOAD: CLOCK_LIBRARY, FAKETIME_TIMESTAMP_FILE: clockFile(node), FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
  }

  setClock(node: GatewayName, hours: number): void {
    writeFileSync(clockFile(node), `${hours < 0 ? '' : '+'}${hours * 3600}\n`);
  }

  async begin(fault: Fault): Promise<End> {
    const lab = this.#lab;
    if (beginsWhole(fault)) await lab.synchronised();
    switch (fault.kind) {
      case 'kill': {
        await lab.end(fault.node, 'SIGKILL');
        return async () => void (await this.#start(fault.node));
      }
      case 'stop': {
        lab.signal(fault.node, 'SIGSTOP');
        return async () => lab.signal(fault.node, 'SIGCONT');
      }
      case 'lose': {
        await lab.loseNode(fault.node);
        return () => lab.returnNode(fault.node, { env: this.environmentOf(fault.node) });
      }
      case 'link': {
        const set = (state: 'up' | 'down') => run('ip', ['-n', namespaceOf(fault.node), 'link', 'set', fault.interface, state]);
        await set('down');
        return async () => void (await set('up'));
      }
      case 'loss':
        return this.#lose(fault.segment, fault.percent);
      case 'clock': {
        this.setClock(fault.node, fault.hours);
        return async () => this.setClock(fault.node, 0);
      }
      case 'drain': {
        await lab.api(fault.node).drain();
        return async () => void (await lab.api(fault.node).undrain());
      }
      case 'floating-ip':
        return this.#reconfigured((configuration) => {
          const { address: fixedIp, network } = vmNamed('vm-b1');
          listAt(configuration, 'routers', 1, 'floatingIps').add(configuration.createNode({ address: '10.0.2.217', network, fixedIp }));
        });
      case 'priority':
        return this.#reconfigured((configuration) => {
          const router = mapAt(configuration, 'virtualRouters', 0);
          if (Number(router.get('priority')) === 200) router.set('priority', 50);
        });
      case 'arrivals': {
        const first = this.#nextClient;
        this.#nextClient += fault.count;
        this.#arrived.push(await lab.moreClients('vm-a1', first, fault.count));
        return async () => undefined;
      }
    }
  }

  /** The daemon ends and begins in order, with a clock that can be moved. @throws Error when it cannot */
  async giveClock(node: GatewayName): Promise<void> {
    this.setClock(node, PROOF_HOURS);
    await this.#lab.end(node, 'SIGTERM');
    const { gateway: { startedAt } } = await this.#start(node);
    if (Date.parse(startedAt) - Date.now() < (PROOF_HOURS - 1) * 3_600_000) throw new Error(`the clock of ${node} cannot be moved: it started at ${startedAt}`);
    this.setClock(node, 0);
  }

  #start(node: GatewayName): Promise<Status> {
    return this.#lab.start(node, { env: this.environmentOf(node) });
  }

  /** Until it is over, both have another configuration. */
  async #reconfigured(change: (configuration: Document) => void): Promise<End> {
    const before = names.map((node) => this.#lab.textOf(node));
    await this.#lab.reconfigure(change);
    return async () => {
      for (const [i, node] of names.entries()) await this.#lab.replace(node, before[i]!);
    };
  }

  /** Whatever crosses the switch, from whom to whom ever. */
  async #lose(segment: string, percent: number): Promise<End> {
    const table = 'bridge floatgate_chaos';
    const rules = `table ${table} { chain forward { type filter hook forward priority 0; numgen random mod 100 < ${percent} drop; }; }`;
    const nft = (script: string) => runIn(segment, ['nft', '-f', '-'], { input: `${script}\n` });
    await nft(rules);
    return async () => void (await nft(`delete table ${table}`));
  }
}
