// Everything that a run measures, as values; checks.ts judges them and report.ts shows them.
import type { FlowReport } from './clients/flow-client.js';
import type { ProbeWindow } from './clients/probe-log.js';
import type { ProgressReport, SessionReport } from './clients/session-client.js';
import type { ConnectionReport } from './clients/session-server.js';

export interface Measurements {
  /** One per VM: the address that the outside server saw. */
  readonly addresses: readonly { readonly vm: string; readonly wanted: string; readonly seen: string }[];
  readonly downloads: readonly Download[];
  /** UDP echo; `seen` is the source address that the server saw. */
  readonly echoes: readonly { readonly from: string; readonly to: string; readonly wanted: string; readonly seen: string }[];
  readonly pings: readonly { readonly from: string; readonly to: string; readonly sent: number; readonly received: number }[];
  readonly throughput: readonly { readonly path: string; readonly megabitsPerSecond: number; readonly error?: string }[];
  readonly sessions: Sessions;
  readonly flows: Flows;
  /** The undisturbed lab, gw-a killed and cut off, gw-a back: in that order. */
  readonly steady: readonly NamedWindow[];
  readonly failover: Failover;
  readonly handOver: HandOver;
}

export interface Download {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly wantedSha256: string;
  readonly durationMs: number;
}

export interface NamedWindow {
  readonly probe: string;
  readonly window: ProbeWindow;
}

export interface Sessions {
  readonly wanted: number;
  readonly afterFailover: ProgressReport;
  readonly afterHandOver: ProgressReport;
  readonly clients: readonly SessionReport[];
  readonly server: readonly ConnectionReport[];
}

export interface Flows {
  readonly wanted: number;
  readonly afterFailover: ProgressReport;
  readonly afterHandOver: ProgressReport;
  readonly clients: readonly FlowReport[];
}

export interface Failover {
  /** From the kill until the Backup says that it is Active. */
  readonly takeoverMs: number;
  /** From the kill until the last session and flow that goes on has had an echo of something new. */
  readonly allGoOnMs: number;
  readonly probes: readonly NamedWindow[];
}

export interface HandOver {
  /** From links up and daemon start until both gateways hold the same; absent without replication. */
  readonly synchronisedMs?: number;
  /** From links up and daemon start until the returned gateway is Active. */
  readonly activeMs: number;
  readonly probes: readonly NamedWindow[];
}
