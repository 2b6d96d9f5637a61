/** What the sockets of this library have in common: batches from the addon become events. */
import { addon } from './binding.js';
import { SystemError } from './errors.js';

/** A datagram as src/receiver.cc delivers it. */
export interface Received {
  readonly data: Buffer;
  readonly ifindex: number;
  /** CLOCK_MONOTONIC, the clock of process.hrtime.bigint(). */
  readonly timestampNs: bigint;
  readonly packetType: number;
}

/** errno: 0, or why recvmsg failed after these messages. */
export type OnMessages = (messages: readonly Received[], errno: number) => void;

/** The part of the addon's socket classes that they share. */
export interface NativeSocket {
  close(): void;
  ref(): void;
  unref(): void;
}

/**
 * The index of a network interface of this process's network namespace.
 * @throws {SystemError} ENODEV if there is no such interface.
 */
export function interfaceIndex(name: string): number {
  return addon<{ interfaceIndex(name: string): number }>().interfaceIndex(name);
}

/**
 * Hands messages on one by one until `isOpen` says that a listener has closed
 * the socket, then the error, if any.
 */
export function deliver(
  messages: readonly Received[], errno: number, isOpen: () => boolean,
  onMessage: (message: Received) => void, onError: (error: SystemError) => void,
): void {
  for (const message of messages) {
    if (!isOpen()) return;
    onMessage(message);
  }
  if (errno !== 0 && isOpen()) onError(new SystemError('recvmsg', errno));
}
