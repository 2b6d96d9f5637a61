// N TCP connections that carry numbered messages both ways (the server echoes) until they are stopped.
// usage: session-client ADDRESS PORT COUNT FIRST_ID MESSAGES_PER_SECOND [SOURCE…]     commands: connect, openMore {perSecond}, openNoMore, checkpoint, progress, watch, waits, stop
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { argument, serveCommands, sourceOf } from './control.js';
import { message } from './pattern.js';

export interface SessionReport {
  readonly id: number;
  readonly sentBytes: number;
  readonly sentSha256: string;
  readonly receivedBytes: number;
  readonly receivedSha256: string;
  readonly error?: string;
}

export interface ProgressReport {
  /** Sessions that got an echo of something sent after the last checkpoint. */
  readonly advanced: number;
  readonly broken: readonly { readonly id: number; readonly error: string }[];
}

/** Unsent bytes beyond which a session waits: a stalled one must not fill the memory. */
const highWaterBytes = 256 * 1024;

class Session {
  readonly id: number;
  readonly #socket: Socket;
  readonly #sent = createHash('sha256');
  readonly #received = createHash('sha256');
  #sequence = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #checkpointBytes = 0;
  /** What has no echo yet: where each message ends in the stream, and when it was sent. */
  readonly #waiting: { readonly endBytes: number; readonly sentMs: number }[] = [];
  #longestWaitMs = 0;
  #stopped = false;
  error: string | undefined;
  readonly connected: Promise<void>;

  constructor(id: number, address: string, port: number) {
    this.id = id;
    const localAddress = sourceOf(6, id);
    this.#socket = connect({ host: address, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) });
    this.#socket.on('data', (data) => {
      this.#received.update(data);
      this.#receivedBytes += data.length;
      this.#noteEchoes();
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error ??= error.code ?? error.message;
    });
    this.#socket.on('close', () => {
      if (!this.#stopped) this.error ??= 'closed by the server';
    });
    this.connected = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve);
      this.#socket.once('error', (error) => reject(new Error(`session ${id} could not connect: ${error.message}`)));
    });
  }

  sendNext(): void {
    if (this.#stopped || this.error !== undefined || this.#socket.writableLength > highWaterBytes) return;
    const bytes = message(this.id, this.#sequence++);
    this.#sent.update(bytes);
    this.#sentBytes += bytes.length;
    this.#waiting.push({ endBytes: this.#sentBytes, sentMs: performance.now() });
    this.#socket.write(bytes);
  }

  #noteEchoes(): void {
    const nowMs = performance.now();
    for (let oldest = this.#waiting[0]; oldest !== undefined && oldest.endBytes <= this.#receivedBytes; oldest = this.#waiting[0]) {
      this.#longestWaitMs = Math.max(this.#longestWaitMs, nowMs - oldest.sentMs);
      this.#waiting.shift();
    }
  }

  /** From here on `longestWaitMs` counts. */
  watch(): void {
    this.#longestWaitMs = 0;
  }

  /** The longest time from a message to its echo, one that has not come until now included. */
  get longestWaitMs(): number {
    return Math.max(this.#longestWaitMs, performance.now() - (this.#waiting[0]?.sentMs ?? Number.POSITIVE_INFINITY));
  }

  checkpoint(): void {
    this.#checkpointBytes = this.#sentBytes;
  }

  get hasAdvanced(): boolean {
    return this.error === undefined && this.#receivedBytes > this.#checkpointBytes;
  }

  get isSettled(): boolean {
    return this.error !== undefined || this.#receivedBytes === this.#sentBytes;
  }

  stop(): void {
    this.#stopped = true;
  }

  end(): void {
    this.#socket.end();
  }

  report(): SessionReport {
    return {
      id: this.id,
      sentBytes: this.#sentBytes,
      sentSha256: this.#sent.copy().digest('hex'),
      receivedBytes: this.#receivedBytes,
      receivedSha256: this.#received.copy().digest('hex'),
      ...(this.error === undefined ? {} : { error: this.error }),
    };
  }
}

const address = argument(1, 'ADDRESS');
const port = Number(argument(2, 'PORT'));
const count = Number(argument(3, 'COUNT'));
const firstId = Number(argument(4, 'FIRST_ID'));
const perSecond = Number(argument(5, 'MESSAGES_PER_SECOND'));
const sessions: Session[] = [];
const tickMs = 10;

async function connectAll(): Promise<object> {
  for (let index = 0; index < count; index += 1) sessions.push(new Session(firstId + index, address, port));
  await Promise.all(sessions.map(({ connected }) => connected));
  sendSpread();
  return { connected: sessions.length };
}

let opening: NodeJS.Timeout | undefined;

/** Further connections, one after the other, until openNoMore: there is always one that is half open, and one that is young. */
function openMore({ perSecond: rate }: Record<string, unknown>): void {
  const started = performance.now();
  const before = sessions.length;
  opening = setInterval(() => {
    const due = before + Math.floor(((performance.now() - started) / 1000) * Number(rate));
    while (sessions.length < due) {
      const session = new Session(firstId + sessions.length, address, port);
      session.connected.catch(() => {}); // its error is told by progress
      sessions.push(session);
    }
  }, tickMs);
}

/** Sessions take turns, so that the load is even over the second. */
function sendSpread(): void {
  const started = performance.now();
  let turns = 0;
  setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * perSecond * sessions.length);
    // A late timer is not made up for beyond one turn each: sessions have no fixed rate to keep.
    turns = Math.max(turns, due - sessions.length);
    for (; turns < due; turns += 1) sessions[turns % sessions.length]?.sendNext();
  }, tickMs);
}

function progress(): ProgressReport {
  return {
    advanced: sessions.filter(({ hasAdvanced }) => hasAdvanced).length,
    broken: sessions.filter(({ hasAdvanced }) => !hasAdvanced).map(({ id, error }) => ({ id, error: error ?? 'nothing comes back' })),
  };
}

/** Sends nothing new, waits for what is under way, closes. */
async function stop({ deadlineMs }: Record<string, unknown>): Promise<object> {
  for (const session of sessions) session.stop();
  const end = performance.now() + Number(deadlineMs);
  while (performance.now() < end && !sessions.every(({ isSettled }) => isSettled)) await delay(20);
  const reports = sessions.map((session) => session.report());
  for (const session of sessions) session.end();
  return { sessions: reports };
}

serveCommands({
  connect: connectAll,
  openMore,
  openNoMore: () => clearInterval(opening),
  checkpoint: () => sessions.forEach((session) => session.checkpoint()),
  progress,
  watch: () => sessions.forEach((session) => session.watch()),
  waits: () => ({ longestMs: sessions.map(({ longestWaitMs }) => longestWaitMs) }),
  stop,
});
