// N UDP flows, each from a socket of its own, with numbered datagrams that the server echoes together with the source that it saw.
// usage: flow-client ADDRESS PORT COUNT FIRST_ID DATAGRAMS_PER_SECOND [SOURCE…]     commands: start, checkpoint, progress, stop
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { argument, serveCommands, sourceOf } from './control.js';
import { decodeEndpoint, endpointBytes } from './endpoint.js';
import type { ProgressReport } from './session-client.js';

export interface FlowReport {
  readonly id: number;
  readonly sent: number;
  readonly received: number;
  /** Replies that came although a later one had come before. */
  readonly reordered: number;
  readonly duplicates: number;
  /** Every 'address:port' that the server saw, in order of appearance. */
  readonly peers: readonly string[];
}

const payloadBytes = 64;

class Flow {
  readonly id: number;
  readonly #socket: Socket = createSocket('udp4');
  readonly #answered = new Set<number>();
  readonly #peers: string[] = [];
  #sent = 0;
  #highest = -1;
  #reordered = 0;
  #duplicates = 0;
  #checkpoint = 0;

  constructor(id: number) {
    this.id = id;
    this.#socket.on('message', (reply) => this.#receive(reply));
    this.#socket.on('error', () => {}); // an ICMP error is a lost datagram, which is counted anyway
  }

  async open(): Promise<void> {
    this.#socket.bind(0, sourceOf(6, this.id));
    await once(this.#socket, 'listening');
  }

  send(port: number, address: string): void {
    const payload = Buffer.alloc(payloadBytes);
    payload.writeUInt32BE(this.id, 0);
    payload.writeUInt32BE(this.#sent++, 4);
    this.#socket.send(payload, port, address, () => {});
  }

  checkpoint(): void {
    this.#checkpoint = this.#sent;
  }

  /** Echoes go on, and from the port they always came from. */
  get failure(): string | undefined {
    if (this.#peers.length > 1) return `the server saw a new source: ${this.#peers.join(', then ')}`;
    return this.#highest >= this.#checkpoint ? undefined : 'nothing comes back';
  }

  report(): FlowReport {
    return { id: this.id, sent: this.#sent, received: this.#answered.size, reordered: this.#reordered, duplicates: this.#duplicates, peers: this.#peers };
  }

  #receive(reply: Buffer): void {
    if (reply.length !== payloadBytes + endpointBytes || reply.readUInt32BE(0) !== this.id) return;
    const sequence = reply.readUInt32BE(4);
    const peer = decodeEndpoint(reply.subarray(payloadBytes));
    if (!this.#peers.includes(peer)) this.#peers.push(peer);
    if (this.#answered.has(sequence)) this.#duplicates += 1;
    else if (sequence < this.#highest) this.#reordered += 1;
    this.#answered.add(sequence);
    this.#highest = Math.max(this.#highest, sequence);
  }
}

const address = argument(1, 'ADDRESS');
const port = Number(argument(2, 'PORT'));
const count = Number(argument(3, 'COUNT'));
const firstId = Number(argument(4, 'FIRST_ID'));
const perSecond = Number(argument(5, 'DATAGRAMS_PER_SECOND'));
const flows = Array.from({ length: count }, (_, index) => new Flow(firstId + index));
let sending: NodeJS.Timeout | undefined;
const tickMs = 10;

async function start(): Promise<void> {
  await Promise.all(flows.map((flow) => flow.open()));
  const started = performance.now();
  let turns = 0;
  sending = setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * perSecond * flows.length);
    turns = Math.max(turns, due - flows.length);
    for (; turns < due; turns += 1) flows[turns % flows.length]?.send(port, address);
  }, tickMs);
}

function progress(): ProgressReport {
  const broken = flows.flatMap((flow) => (flow.failure === undefined ? [] : [{ id: flow.id, error: flow.failure }]));
  return { advanced: flows.length - broken.length, broken };
}

serveCommands({
  start,
  checkpoint: () => flows.forEach((flow) => flow.checkpoint()),
  progress,
  stop: () => {
    clearInterval(sending);
    return { flows: flows.map((flow) => flow.report()) };
  },
});
