/**
 * What the kernel does for neighbours that it cannot ask for: on VLANs that it
 * has no interface on, and in subnets that it has no address in. An answer is
 * good for a while, then has to be heard again, else the neighbour has failed.
 * Speaks the kernel's words: (answer | question | time) → observations.
 */
import { neighbourName } from './neighbour-table.js';
import type { NeighbourId, NeighbourObservation } from './neighbour-table.js';

/** As long as Linux takes an answer for fresh on average. */
const FRESH_NS = 30_000_000_000n;
/** Questions that are asked about what was fresh once. */
const UNANSWERED = 3;
/** After the last of them. */
const LAST_WAIT_NS = 1_000_000_000n;

interface Answer {
  readonly id: NeighbourId;
  readonly mac: Buffer;
  heardNs: bigint;
  stale: boolean;
  unanswered: number;
  askedNs: bigint;
}

export class ArpCache {
  readonly #answers = new Map<string, Answer>();

  heard({ role, vlan, address }: NeighbourId, mac: Buffer, nowNs: bigint): NeighbourObservation {
    const id = { role, vlan, address };
    this.#answers.set(neighbourName(id), { id, mac, heardNs: nowNs, stale: false, unanswered: 0, askedNs: 0n });
    return { ...id, state: 'REACHABLE', mac };
  }

  /** A question is under way. */
  asked(id: NeighbourId, nowNs: bigint): void {
    const answer = this.#answers.get(neighbourName(id));
    if (answer === undefined) return;
    answer.unanswered += 1;
    answer.askedNs = nowNs;
  }

  forget(id: NeighbourId): void {
    this.#answers.delete(neighbourName(id));
  }

  tick(nowNs: bigint): NeighbourObservation[] {
    return [...this.#answers].flatMap(([name, answer]) => this.#age(name, answer, nowNs));
  }

  #age(name: string, answer: Answer, nowNs: bigint): NeighbourObservation[] {
    if (!answer.stale && nowNs - answer.heardNs >= FRESH_NS) {
      answer.stale = true;
      return [{ ...answer.id, state: 'STALE', mac: answer.mac }];
    }
    if (!answer.stale || answer.unanswered < UNANSWERED || nowNs - answer.askedNs < LAST_WAIT_NS) return [];
    this.#answers.delete(name);
    return [{ ...answer.id, state: 'FAILED', mac: undefined }];
  }
}
