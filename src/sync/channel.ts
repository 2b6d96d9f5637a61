/**
 * The ha link as the control plane uses it: control messages and records out,
 * sealed by the data plane's own program so that one place holds key, epoch and
 * sequence. What comes in is verified by the ha program and arrives as events.
 */
import { encodeMessage } from './messages.js';
import type { Message } from './messages.js';
import { syncFrame, SYNC_TYPE_CONTROL, SYNC_TYPE_RECORDS } from './frame.js';
import type { HaPath } from './frame.js';

export interface ChannelPorts {
  /** Seals a template; undefined when the program refused it. */
  seal(template: Buffer): Buffer | undefined;
  /** Puts one frame on the ha interface. */
  transmit(frame: Buffer): void;
}

export interface ChannelStats {
  readonly messagesSent: number;
  readonly recordFramesSent: bigint;
  /** Of bulk synchronisation or a repair, also those that could not be sent: their records are missing as well. */
  readonly bulkFrames: bigint;
  readonly failed: number;
}

export class Channel {
  readonly #ports: ChannelPorts;
  #path: HaPath | undefined;
  #messagesSent = 0;
  #recordFramesSent = 0n;
  #bulkFrames = 0n;
  #failed = 0;

  constructor(ports: ChannelPorts) {
    this.#ports = ports;
  }

  /** Until the peer's MAC address is known there is no path, and nothing is sent. */
  setPath(path: HaPath | undefined): void {
    this.#path = path;
  }

  get stats(): ChannelStats {
    return { messagesSent: this.#messagesSent, recordFramesSent: this.#recordFramesSent, bulkFrames: this.#bulkFrames, failed: this.#failed };
  }

  sendMessage(message: Message): void {
    if (this.#sealAndSend(SYNC_TYPE_CONTROL, 0, encodeMessage(message))) this.#messagesSent += 1;
  }

  sendRecords(records: Buffer, count: number): void {
    if (this.#sealAndSend(SYNC_TYPE_RECORDS, count, records)) this.#recordFramesSent += 1n;
  }

  /** A frame that a walk has sealed already. Without a path it ends here. */
  sendSealedRecords(frame: Buffer, bulk: boolean): void {
    if (bulk) this.#bulkFrames += 1n;
    if (this.#path !== undefined && this.#transmit(frame)) this.#recordFramesSent += 1n;
  }

  #sealAndSend(type: number, records: number, body: Buffer): boolean {
    if (this.#path === undefined) return false;
    const sealed = this.#ports.seal(syncFrame(this.#path, type, records, body));
    if (sealed === undefined) {
      this.#failed += 1;
      return false;
    }
    return this.#transmit(sealed);
  }

  /** A full queue or a link that is down loses the frame, as a wire would: both ends repeat. */
  #transmit(frame: Buffer): boolean {
    try {
      this.#ports.transmit(frame);
      return true;
    } catch {
      this.#failed += 1;
      return false;
    }
  }
}
