/** What a switch of the lab hears of the election, which no gateway can colour: election-observer.mjs runs there. */
import { fileURLToPath } from 'node:url';
import { LabClient } from '../../src/lab/client.js';
import type { LabState } from '../../src/lab/state.js';
import { vrid } from '../../src/lab/topology.js';

export interface Advert {
  /** CLOCK_MONOTONIC, by the kernel. */
  readonly atMs: number;
  /** IPv4 address of the sender. */
  readonly source: string;
}

/** The virtual MAC was learned on another port than before: from then on its traffic goes there. */
export interface Move {
  /** CLOCK_MONOTONIC, by the observer. */
  readonly atMs: number;
  /** Of the switch: named after the node behind it. */
  readonly port: string;
}

export interface Heard {
  readonly adverts: readonly Advert[];
  readonly moves: readonly Move[];
}

export interface Gap {
  readonly ms: number;
  /** When it began, CLOCK_MONOTONIC. */
  readonly fromMs: number;
}

const script = fileURLToPath(new URL('election-observer.mjs', import.meta.url));
const virtualMac = `00:00:5e:00:01:${vrid.toString(16).padStart(2, '0')}`;

export class ElectionObserver {
  readonly #client: LabClient;

  /** `network`: one of the lab's switches. */
  constructor(state: LabState, network: 'underlay' | 'external') {
    this.#client = new LabClient(state, {
      program: [process.execPath, script], name: `${network}-observer`, node: network, args: ['br0', virtualMac], prompt: true,
    });
  }

  heard(fromMs: number, toMs: number): Promise<Heard> {
    return this.#client.call('heard', { fromMs, toMs });
  }

  /** Whether the node behind this port of the switch answers ARP for an address. */
  async answersFor(port: string, address: string): Promise<boolean> {
    return (await this.#client.call<{ answered: boolean }>('ask', { port, address })).answered;
  }

  close(): void {
    this.#client.close();
  }
}

/** The longest time without an advert, the edges of the stretch included. */
export function longestGap(adverts: readonly Advert[], fromMs: number, toMs: number): Gap {
  let longest: Gap = { ms: 0, fromMs };
  let last = fromMs;
  for (const { atMs } of [...adverts, { atMs: toMs }]) {
    if (atMs - last > longest.ms) longest = { ms: atMs - last, fromMs: last };
    last = atMs;
  }
  return longest;
}
