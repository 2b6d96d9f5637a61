/** Two ends of a BFD session over a link that loses, in simulated time. */
import { createSession, step, transmitIntervalUs, controlPacket, type Effect, type Event, type Session, type SessionConfig } from '../../../src/bfd/machine.js';
import { decodeControlPacket, encodeControlPacket, type ControlPacket, type SessionState } from '../../../src/bfd/control-packet.js';

/** Of a deterministic source: 0 inclusive to 1 exclusive. */
export type Chance = () => number;

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

const DELAY_US = 500;

export class End {
  session: Session;
  /** States in the order in which they were entered. */
  readonly history: SessionState[] = [];
  /** The passive one waits to be spoken to (RFC 5880 §6.1). */
  readonly isPassive: boolean;
  timer: { readonly atUs: number; readonly generation: number } | undefined;
  nextUs: number;

  constructor(config: SessionConfig, isPassive: boolean, nowUs = 0) {
    this.session = createSession(config);
    this.isPassive = isPassive;
    this.nextUs = nowUs;
  }
}

export class Link {
  nowUs = 0;
  /** Of packets to this end: the part that is lost. */
  readonly loss = { a: 0, b: 0 };
  readonly ends: { a: End; b: End };
  readonly #chance: Chance;
  #flying: { readonly atUs: number; readonly to: 'a' | 'b'; readonly bytes: Uint8Array }[] = [];

  /** `a` is passive. */
  constructor(a: SessionConfig, b: SessionConfig, chance: Chance) {
    this.ends = { a: new End(a, true), b: new End(b, false) };
    this.#chance = chance;
  }

  /** The other gateway of the virtual router goes on, knowing nothing but the discriminator. */
  takeOver(): void {
    this.ends.a = new End(this.ends.a.session.config, true, this.nowUs);
  }

  dispatch(name: 'a' | 'b', event: Event): void {
    const end = this.ends[name];
    const { session, effects } = step(end.session, event);
    end.session = session;
    for (const effect of effects) this.#execute(name, end, effect);
  }

  run(forUs: number, watch: () => void = () => undefined): this {
    const untilUs = this.nowUs + forUs;
    for (let atUs = this.#next(); atUs <= untilUs; atUs = this.#next()) {
      this.nowUs = Math.max(this.nowUs, atUs);
      this.#happen();
      watch();
    }
    this.nowUs = untilUs;
    return this;
  }

  get states(): [SessionState, SessionState] {
    return [this.ends.a.session.sessionState, this.ends.b.session.sessionState];
  }

  #next(): number {
    const ends = Object.values(this.ends);
    return Math.min(...this.#flying.map(({ atUs }) => atUs), ...ends.map(({ timer }) => timer?.atUs ?? Infinity), ...ends.map((end) => (speaks(end) ? end.nextUs : Infinity)));
  }

  #happen(): void {
    const arrived = this.#flying.filter(({ atUs }) => atUs <= this.nowUs);
    this.#flying = this.#flying.filter(({ atUs }) => atUs > this.nowUs);
    for (const { to, bytes } of arrived) {
      const decoded = decodeControlPacket(bytes);
      if (!decoded.ok) throw new Error(`a machine sent what is to be discarded: ${decoded.reason}`);
      this.dispatch(to, { type: 'PacketReceived', packet: decoded.packet });
    }
    for (const name of ['a', 'b'] as const) {
      const end = this.ends[name];
      const { timer } = end;
      if (timer !== undefined && timer.atUs <= this.nowUs) {
        end.timer = undefined;
        this.dispatch(name, { type: 'DetectionTimerExpired', generation: timer.generation });
      }
      if (speaks(end) && end.nextUs <= this.nowUs) {
        this.#send(name, end.session.periodic?.packet ?? controlPacket(end.session));
        end.nextUs = this.nowUs + transmitIntervalUs(end.session) * (1 - this.#chance() / 4);
      }
    }
  }

  #execute(name: 'a' | 'b', end: End, effect: Effect): void {
    switch (effect.type) {
      case 'Transmit': return this.#send(name, effect.packet);
      case 'TransmitPeriodically': return void (end.nextUs = Math.min(Math.max(end.nextUs, this.nowUs), this.nowUs + effect.intervalUs));
      case 'StartDetectionTimer': return void (end.timer = { atUs: this.nowUs + effect.afterUs, generation: effect.generation });
      case 'RecordTransition': return void end.history.push(effect.to);
      case 'StopTransmitting':
    }
  }

  #send(from: 'a' | 'b', packet: ControlPacket): void {
    const to = from === 'a' ? 'b' : 'a';
    if (this.#chance() >= this.loss[to]) this.#flying.push({ atUs: this.nowUs + DELAY_US, to, bytes: encodeControlPacket(packet) });
  }
}

function speaks({ isPassive, session }: End): boolean {
  return session.periodic !== undefined || (!isPassive && session.remoteDiscriminator === 0);
}
