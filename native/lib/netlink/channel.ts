/** Netlink requests, one after the other, each with its answer. */
import { addon } from '../binding.js';
import { SystemError } from '../errors.js';
import type { NativeSocket, OnMessages, Received } from '../socket.js';
import {
  buildMessage, control, flag, NetlinkFormatError, parseAttributes, parseMessages, stringAttribute, type NetlinkMessage,
} from './message.js';

const EINTR = 4;
const ENOBUFS = 105;
const ECANCELED = 125;
const EPROTO = 71;
const ERROR_HEADER_SIZE = 20;
const EXPLANATION = 1;
/** A dump that is interrupted more often than this is not going to succeed. */
const MAX_RETRIES = 32;

interface NativeNetlinkSocket extends NativeSocket {
  send(message: Buffer): void;
}

interface Binding {
  NetlinkSocket: new (protocol: number, groups: readonly number[], onMessages: OnMessages) => NativeNetlinkSocket;
}

/** @throws {SystemError} EPERM, ENOBUFS … */
export function openNetlink(protocol: number, groups: readonly number[], onMessages: OnMessages): NativeNetlinkSocket {
  return new (addon<Binding>().NetlinkSocket)(protocol, groups, onMessages);
}

/** What the kernel is asked for. */
export interface NetlinkRequest {
  /** For errors: 'RTM_NEWADDR 10.0.0.1/24'. */
  readonly operation: string;
  readonly type: number;
  /** In addition to REQUEST, and ACK where this is no dump. */
  readonly flags: number;
  readonly payload: Buffer;
}

interface Pending {
  readonly request: NetlinkRequest;
  readonly resolve: (answer: NetlinkMessage[]) => void;
  readonly reject: (error: Error) => void;
  sequence: number;
  retries: number;
  interrupted: boolean;
  answer: NetlinkMessage[];
}

/**
 * A socket for requests. They are sent one at a time, in order, because the
 * kernel runs one dump per socket. Keeps the process alive only while a request
 * is under way.
 */
export class NetlinkChannel {
  readonly #native: NativeNetlinkSocket;
  readonly #waiting: Pending[] = [];
  #current: Pending | undefined;
  #sequence = 0;
  #open = true;

  constructor(protocol: number) {
    this.#native = openNetlink(protocol, [], (messages, errno) => this.#onMessages(messages, errno));
    this.#native.unref();
  }

  /**
   * @returns the messages of a dump, of others none.
   * @throws {SystemError} with the kernel's errno and words; ECANCELED after close();
   *   EINTR for a dump of what does not stop changing; EPROTO for an answer that is malformed.
   */
  request(request: NetlinkRequest): Promise<NetlinkMessage[]> {
    return new Promise((resolve, reject) => {
      const pending = { request, resolve, reject, sequence: 0, retries: 0, interrupted: false, answer: [] };
      if (!this.#open) {
        reject(new SystemError(request.operation, ECANCELED, 'the socket is closed'));
        return;
      }
      this.#waiting.push(pending);
      this.#next();
    });
  }

  /** Idempotent; what is under way fails with ECANCELED. */
  close(): void {
    this.#open = false;
    this.#native.close();
    const abandoned = [this.#current, ...this.#waiting.splice(0)];
    this.#current = undefined;
    for (const pending of abandoned) {
      pending?.reject(new SystemError(pending.request.operation, ECANCELED, 'the socket was closed'));
    }
  }

  #next(): void {
    while (this.#current === undefined && this.#open) {
      const pending = this.#waiting.shift();
      if (pending === undefined) return this.#native.unref();
      this.#native.ref();
      this.#current = pending;
      this.#send(pending);
    }
  }

  #send(pending: Pending): void {
    const { type, flags, payload } = pending.request;
    this.#sequence = (this.#sequence + 1) >>> 0;
    Object.assign(pending, { sequence: this.#sequence, interrupted: false, answer: [] });
    const acknowledge = isDump(pending.request) ? 0 : flag.ack;
    try {
      this.#native.send(buildMessage(type, flags | flag.request | acknowledge, pending.sequence, payload));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #onMessages(datagrams: readonly Received[], errno: number): void {
    try {
      for (const { data } of datagrams) for (const message of parseMessages(data)) this.#onMessage(message);
    } catch (error) {
      if (!(error instanceof NetlinkFormatError)) throw error;
      this.#failWith(EPROTO, error.message);
    }
    if (errno === ENOBUFS && this.#current !== undefined && isDump(this.#current.request)) this.#retry();
    else if (errno !== 0) this.#failWith(errno, 'the answer is lost');
  }

  #onMessage(message: NetlinkMessage): void {
    const current = this.#current;
    // Answers to a dump that was given up are still in the queue.
    if (current === undefined || message.sequence !== current.sequence) return;
    if ((message.flags & flag.dumpInterrupted) !== 0) current.interrupted = true;
    switch (message.type) {
      case control.noop: return;
      case control.overrun: return this.#retry();
      case control.error: return this.#onStatus(message, true);
      case control.done: return this.#onStatus(message, false);
      default: current.answer.push(message);
    }
  }

  /** NLMSG_ERROR with 0 is the acknowledgement; NLMSG_DONE carries the errno of a dump that failed. */
  #onStatus({ payload, flags }: NetlinkMessage, isError: boolean): void {
    const errno = payload.length >= 4 ? -payload.readInt32LE(0) : 0;
    if (errno > 0) {
      const explained = (flags & flag.explained) !== 0;
      this.#failWith(errno, explained ? explanation(payload, isError ? ERROR_HEADER_SIZE : 4) : '');
    } else if (this.#current?.interrupted === true) {
      this.#retry();
    } else {
      this.#finish((pending) => pending.resolve(pending.answer));
    }
  }

  #retry(): void {
    const current = this.#current;
    if (current === undefined) return;
    current.retries += 1;
    if (current.retries > MAX_RETRIES) this.#failWith(EINTR, 'it changes faster than it can be read');
    else this.#send(current);
  }

  #failWith(errno: number, detail: string): void {
    const operation = this.#current?.request.operation ?? 'recvmsg';
    this.#fail(new SystemError(operation, errno, detail));
  }

  #fail(error: Error): void {
    this.#finish((pending) => pending.reject(error));
  }

  #finish(settle: (pending: Pending) => void): void {
    const pending = this.#current;
    if (pending === undefined) return;
    this.#current = undefined;
    settle(pending);
    this.#next();
  }
}

function isDump(request: NetlinkRequest): boolean {
  return (request.flags & flag.dump) === flag.dump;
}

/** What the kernel says besides errno (NLMSGERR_ATTR_MSG). */
function explanation(payload: Buffer, offset: number): string {
  try {
    return stringAttribute(parseAttributes(payload, Math.min(offset, payload.length)), EXPLANATION) ?? '';
  } catch {
    return '';
  }
}
