/** ICMP echo (RFC 792) by the kernel's routes, from its address. */
import { randomInt } from 'node:crypto';
import { RawSocket } from 'libbpf-ts';
import { formatIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { finishChecksum, sumWords } from '../vrrp/ipv4.js';
import { AnswersAwaited } from './answers-awaited.js';
import type { ProbeResult } from './prober.js';

const PROTOCOL_ICMP = 1;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const HEADER_BYTES = 8;

export class EchoProbes {
  /** Other programs of this machine ask as well. */
  readonly #identifier = randomInt(0x10000);
  readonly #awaited = new AnswersAwaited();
  #socket: RawSocket | undefined;
  #sequence = 0;

  probe(address: Ipv4Address, timeoutMs: number): Promise<ProbeResult> {
    const sequence = (this.#sequence = (this.#sequence + 1) & 0xffff);
    return this.#awaited.answered(`${address} ${sequence}`, timeoutMs, () => this.#open().send(echoRequest(this.#identifier, sequence), formatIpv4(address)));
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #open(): RawSocket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = new RawSocket({ protocol: PROTOCOL_ICMP });
    socket.on('message', (packet) => {
      const reply = echoReplyOf(packet);
      if (reply?.identifier === this.#identifier) this.#awaited.heard(`${reply.source} ${reply.sequence}`);
    });
    // What it loses is not answered.
    socket.on('error', () => undefined);
    this.#socket = socket;
    return socket;
  }
}

export function echoRequest(identifier: number, sequence: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt8(ECHO_REQUEST, 0);
  message.writeUInt16BE(identifier, 4);
  message.writeUInt16BE(sequence, 6);
  message.writeUInt16BE(finishChecksum(sumWords(message)), 2);
  return message;
}

/** What an IPv4 packet answers; undefined for anything but an echo reply that is whole. */
export function echoReplyOf(packet: Buffer): { readonly source: number; readonly identifier: number; readonly sequence: number } | undefined {
  if (packet.length < 20) return undefined;
  const headerBytes = (packet.readUInt8(0) & 15) * 4;
  if (headerBytes < 20 || packet.length < headerBytes + HEADER_BYTES) return undefined;
  const message = packet.subarray(headerBytes);
  if (message.readUInt8(0) !== ECHO_REPLY || message.readUInt8(1) !== 0 || finishChecksum(sumWords(message)) !== 0) return undefined;
  return { source: packet.readUInt32BE(12), identifier: message.readUInt16BE(4), sequence: message.readUInt16BE(6) };
}
