/** One BFD session between the machine of src/bfd and the world: packets and time in, frames out. */
import type { PacketSocket, Repeater, RepeaterEntry } from 'libbpf-ts';
import { encodeControlPacket } from '../bfd/control-packet.js';
import type { ControlPacket, SessionState } from '../bfd/control-packet.js';
import { innerFrame, sourcePortOf } from '../bfd/frame.js';
import { createSession, detectionTimeUs, step } from '../bfd/machine.js';
import type { Effect, Event, Periodic, Session, SessionConfig } from '../bfd/machine.js';
import type { SessionView } from '../bfd/tunnel-plane.js';
import { encapsulationShift } from '../compile/routers.js';
import { tunnelFrame } from '../dataplane/tunnel.js';
import type { Clock, Cancel } from '../vrrp/clock.js';

export interface BfdTransition {
  readonly from: SessionState;
  readonly to: SessionState;
  readonly diagnostic: number;
  /** Up without a handshake of ours: our predecessor's. */
  readonly adopted: boolean;
}

/** The two ends of the tunnel. */
export interface BfdPath {
  readonly ifindex: number;
  readonly vlan: number;
  /** Six bytes: the virtual router's. */
  readonly mac: Buffer;
  /** Unsigned 32-bit, host order: the virtual router's. */
  readonly address: number;
  /** The compute's. */
  readonly remote: number;
  /** enum encapsulation. */
  readonly encapsulation: number;
}

/** What the remote has said. */
export interface BfdHeard {
  readonly packet: ControlPacket;
  /** CLOCK_MONOTONIC. */
  readonly receivedNs: bigint;
  /** Six bytes: where its frames go. */
  readonly mac: Buffer;
}

export interface BfdSessionPorts {
  readonly clock: Pick<Clock, 'nowNs' | 'schedule'>;
  readonly repeater: Pick<Repeater, 'add'>;
  readonly socket: Pick<PacketSocket, 'send'>;
  /** What the programs have seen last. */
  heard(): BfdHeard | undefined;
  transition(transition: BfdTransition): void;
}

/** The Repeater's longest interval: who wants fewer packets gets none. */
const LONGEST_INTERVAL_US = 60_000_000;
/** RFC 5880 §6.8.7: taken off at random; with a multiplier of 1 never less than a tenth. */
const JITTER = 0.25;
const LONE_PACKET_SHARE = 0.9;
/** For so long packets go on leaving when nobody renews: the event loop hangs, and must not say Up for ever. */
const LEASE_NS = 1_000_000_000n;

export class BfdSession {
  readonly #ports: BfdSessionPorts;
  readonly #path: BfdPath;
  #session: Session;
  #wasUp = false;
  #remoteMac: Buffer;
  #entry: RepeaterEntry | undefined;
  #timer: Cancel | undefined;
  #lastNs = 0n;
  #sinceNs: bigint;
  #closed = false;

  /** `remoteMac`: where its frames go. */
  constructor(config: SessionConfig, path: BfdPath, remoteMac: Buffer, ports: BfdSessionPorts) {
    this.#ports = ports;
    this.#path = path;
    this.#remoteMac = remoteMac;
    this.#session = createSession(config);
    this.#sinceNs = ports.clock.nowNs();
  }

  get view(): SessionView {
    const { sessionState, remoteSessionState } = this.#session;
    return { state: sessionState, wasUp: this.#wasUp, remoteAdminDown: remoteSessionState === 'AdminDown' };
  }

  /** RFC 5880 §6.8.1, for people. */
  get variables(): Session {
    return this.#session;
  }

  get detectionTimeUs(): number {
    return detectionTimeUs(this.#session);
  }

  /** CLOCK_MONOTONIC: of the last packet, and of the last change of state. */
  get lastNs(): bigint {
    return this.#lastNs;
  }

  get sinceNs(): bigint {
    return this.#sinceNs;
  }

  /** Nothing is known of the remote, or no longer. */
  get isForgotten(): boolean {
    return this.#session.remoteDiscriminator === 0;
  }

  /** What is told may have been looked up before: each packet counts once, and none after a later one. */
  received({ packet, receivedNs, mac }: BfdHeard): void {
    if (receivedNs <= this.#lastNs) return;
    this.#lastNs = receivedNs;
    if (!mac.equals(this.#remoteMac)) this.#moved(mac);
    this.#dispatch({ type: 'PacketReceived', packet }, receivedNs);
  }

  reconfigure(config: SessionConfig): void {
    this.#dispatch({ type: 'ConfigChanged', config });
  }

  /** Says AdminDown, once (RFC 5880 §6.8.16): whoever takes over says what is true from then on. */
  disable(): void {
    this.#dispatch({ type: 'Disabled' });
  }

  /** To be called more often than the lease lasts. */
  renew(): void {
    this.#entry?.renew(this.#leaseUntilNs());
  }

  /** Says nothing any more. */
  close(): void {
    this.#closed = true;
    this.#timer?.();
    this.#entry?.close();
    this.#entry = undefined;
  }

  #dispatch(event: Event, atNs = this.#ports.clock.nowNs()): void {
    if (this.#closed) return;
    const { session, effects } = step(this.#session, event);
    this.#session = session;
    for (const effect of effects) this.#execute(effect, atNs);
  }

  #execute(effect: Effect, atNs: bigint): void {
    switch (effect.type) {
      case 'Transmit': return this.#transmit(effect.packet);
      case 'TransmitPeriodically': return this.#repeat(effect);
      case 'StopTransmitting': return this.#stop();
      case 'StartDetectionTimer': return this.#startTimer(effect.generation, atNs + BigInt(effect.afterUs) * 1000n);
      case 'RecordTransition': return this.#changed(effect);
    }
  }

  #changed(transition: BfdTransition): void {
    this.#wasUp ||= transition.to === 'Up';
    this.#sinceNs = this.#ports.clock.nowNs();
    this.#ports.transition(transition);
  }

  // ------------------------------------------------------------------- silence

  #startTimer(generation: number, deadlineNs: bigint): void {
    this.#timer?.();
    this.#timer = this.#ports.clock.schedule(deadlineNs, () => this.#doubtSilence(generation));
  }

  /** What is steady reaches the programs alone, and what does not may be waiting for us: nobody is given up before they were asked. */
  #doubtSilence(generation: number): void {
    const heard = this.#ports.heard();
    if (heard !== undefined && heard.receivedNs > this.#lastNs) this.received(heard);
    else this.#dispatch({ type: 'DetectionTimerExpired', generation });
  }

  // -------------------------------------------------------------------- frames

  #transmit(packet: ControlPacket): void {
    try {
      this.#ports.socket.send(this.#frame(packet));
    } catch {
      // A link that is down is noticed by itself; the periodic packets follow.
    }
  }

  #repeat({ packet, intervalUs }: Periodic): void {
    if (intervalUs > LONGEST_INTERVAL_US) return this.#stop();
    const share = packet.detectMult === 1 ? LONE_PACKET_SHARE : 1;
    const what = {
      messages: [{ interface: this.#path.ifindex, frame: this.#frame(packet) }],
      intervalUs: Math.floor(intervalUs * share),
      jitter: 1 - (1 - JITTER) / share,
    };
    if (this.#entry === undefined) this.#entry = this.#ports.repeater.add({ ...what, untilNs: this.#leaseUntilNs() });
    else this.#entry.update(what);
  }

  #stop(): void {
    this.#entry?.close();
    this.#entry = undefined;
  }

  #moved(remoteMac: Buffer): void {
    this.#remoteMac = remoteMac;
    const { periodic } = this.#session;
    if (periodic !== undefined) this.#repeat(periodic);
  }

  #leaseUntilNs(): bigint {
    return this.#ports.clock.nowNs() + LEASE_NS;
  }

  #frame(packet: ControlPacket): Buffer {
    const { mac, vlan, address, remote, encapsulation } = this.#path;
    const inner = Buffer.from(innerFrame(mac, sourcePortOf(packet.myDiscriminator), encodeControlPacket(packet)).buffer);
    // VNI 0.
    const segment = encapsulation << encapsulationShift;
    return tunnelFrame({ sourceMac: mac, destinationMac: this.#remoteMac, vlan, source: address, destination: remote, segment }, inner);
  }
}
