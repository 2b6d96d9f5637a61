/**
 * The timers of an election, and when one that is due may be believed: adverts
 * that would have prevented its expiry may lie in a socket, read too late because
 * the process was not running.
 */
import type { Cancel, Clock } from './clock.js';
import type { Generation, TimerName } from './state.js';

export interface TimerPorts {
  readonly clock: Clock;
  /** What the data plane has noted is heard now. */
  readNotes(): void;
  /** Packets read so far: it tells whether a round of the event loop brought any. */
  packetsRead(): number;
  /** The Active's interval, for a Backup; else 0. */
  awaitedIntervalNs(): bigint;
  /** We are Active, and could not advertise for so long that another may have taken over. */
  wasSilent(): boolean;
  /** The machine has to know that we were, before it hears another advert. */
  noteOwnSilence(): void;
  /** The event loop kept a timer waiting. */
  late(): void;
  expired(timer: TimerName, generation: Generation, deadlineNs: bigint): void;
}

interface RunningTimer {
  readonly generation: Generation;
  readonly cancel: Cancel;
}

export class Timers {
  readonly #ports: TimerPorts;
  readonly #running = new Map<TimerName, RunningTimer>();

  constructor(ports: TimerPorts) {
    this.#ports = ports;
  }

  /** One that runs already starts over. */
  start(timer: TimerName, generation: Generation, deadlineNs: bigint): void {
    this.cancel(timer);
    this.#arm(timer, generation, deadlineNs, () => this.#due(timer, generation, deadlineNs));
  }

  cancel(timer: TimerName): void {
    this.#running.get(timer)?.cancel();
    this.#running.delete(timer);
  }

  cancelAll(): void {
    for (const timer of [...this.#running.keys()]) this.cancel(timer);
  }

  #arm(timer: TimerName, generation: Generation, deadlineNs: bigint, callback: () => void): void {
    this.#running.set(timer, { generation, cancel: this.#ports.clock.schedule(deadlineNs, callback) });
  }

  #due(timer: TimerName, generation: Generation, deadlineNs: bigint): void {
    if (timer === 'ActiveDown') return this.#doubtSilence(generation, deadlineNs);
    if ((timer === 'Adver' || timer === 'GratuitousArp') && this.#ports.wasSilent()) return this.#doubtRole(timer, generation, deadlineNs);
    this.#expire(timer, generation, deadlineNs);
  }

  #expire(timer: TimerName, generation: Generation, deadlineNs: bigint): void {
    if (this.#running.get(timer)?.generation !== generation) return;
    this.cancel(timer);
    this.#ports.expired(timer, generation, deadlineNs);
  }

  /**
   * Silence is believed once the data plane has noted nothing and the sockets are empty. After a long pause not even
   * that is enough, since a full socket buffer keeps the oldest packets and drops
   * the newest: then the Active gets one more interval to be heard.
   */
  #doubtSilence(generation: Generation, deadlineNs: bigint): void {
    this.#ports.readNotes();
    if (this.#running.get('ActiveDown')?.generation !== generation) return;
    const nowNs = this.#ports.clock.nowNs();
    const intervalNs = this.#ports.awaitedIntervalNs();
    if (nowNs - deadlineNs <= intervalNs) return this.#expireAfterInput('ActiveDown', generation, deadlineNs);
    this.#ports.late();
    const secondNs = nowNs + intervalNs + intervalNs / 2n;
    this.#arm('ActiveDown', generation, secondNs, () => this.#expireAfterInput('ActiveDown', generation, secondNs));
  }

  /** The adverts of a successor must be heard before we send one of ours, or anything else that draws traffic here. */
  #doubtRole(timer: 'Adver' | 'GratuitousArp', generation: Generation, deadlineNs: bigint): void {
    this.#ports.late();
    this.#ports.noteOwnSilence();
    this.#ports.readNotes();
    if (this.#running.get(timer)?.generation !== generation) return;
    this.#expireAfterInput(timer, generation, deadlineNs);
  }

  /** Reads the sockets until a round brings nothing. An advert that matters restarts the timer, which ends this. */
  #expireAfterInput(timer: TimerName, generation: Generation, deadlineNs: bigint): void {
    const before = this.#ports.packetsRead();
    const cancel = this.#ports.clock.afterInput(() => {
      if (this.#running.get(timer)?.generation !== generation) return;
      this.#ports.readNotes();
      if (this.#running.get(timer)?.generation !== generation) return;
      if (this.#ports.packetsRead() !== before) return this.#expireAfterInput(timer, generation, deadlineNs);
      this.#expire(timer, generation, deadlineNs);
    });
    this.#running.set(timer, { generation, cancel });
  }
}
