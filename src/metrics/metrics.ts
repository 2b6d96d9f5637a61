/** Prometheus metrics, read from the data plane when they are asked for. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import { floatingIpMetrics } from './floating-ip-metrics.js';
import type { FloatingIpTraffic } from './floating-ip-metrics.js';

/** What the metrics are read from, at each scrape. */
export interface MetricsSource {
  /** floatgate's. */
  readonly version: string;
  /** By reason; monotonic as long as the pinned maps live. */
  counters(): Iterable<readonly [string, { readonly packets: bigint; readonly bytes: bigint }]>;
  virtualRouters(): readonly { readonly vrid: number; readonly state: number; readonly term: number; readonly transitions: number; readonly priority: number; readonly faulty: boolean; readonly drained: boolean }[];
  /** What virtual routers depend on. */
  tracked(): readonly { readonly name: string; readonly state: 'up' | 'down' | 'unknown' }[];
  peer(): { readonly alive: boolean; readonly synchronised: boolean; readonly holdsOurs: boolean; readonly tablesEqual?: boolean | undefined };
  sessions(): { readonly mappings: number; readonly vms: number };
  /** None unless the configuration wants them. */
  floatingIps(): Promise<readonly FloatingIpTraffic[]>;
  neighbours(): { readonly resolved: number; readonly unresolved: number };
  /** Frames that waited and were given up, by cause. */
  heldFramesDropped(): Iterable<readonly [string, number]>;
  /** Advertisements by kind: sent, received, and what was discarded and why. */
  advertisements(): Iterable<readonly [string, number]>;
  gratuitousArps(): number;
  /** BFD sessions with compute nodes by state, in words of RFC 5880. */
  bfdSessions(): Iterable<readonly [string, number]>;
  /** By VRID: points that broken tunnels take from the priority. */
  tunnelPenalties(): Iterable<readonly [number, number]>;
  /** Takeovers that VRRP alone would have made, by why they were not. */
  takeoversDeferred(): Iterable<readonly [string, number]>;
  /** By interface: 1 where the peer's programs answer our heartbeats. */
  peerAnswers(): Iterable<readonly [string, number]>;
  /** Frames of the control plane on the ha interface, since the link to the peer was last configured. */
  syncFrames(): { readonly messages: number; readonly records: number; readonly failed: number };
  heartbeats(): { readonly sent: bigint; readonly failed: bigint; readonly lateMaxUs: number } | undefined;
}

export function createRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  absoluteGauge(registry, 'floatgate_build_info', "1, with floatgate's version", 'version', () => [[source.version, 1]]);
  trafficMetrics(registry, source);
  electionMetrics(registry, source);
  replicationMetrics(registry, source);
  tableMetrics(registry, source);
  floatingIpMetrics(registry, () => source.floatingIps());
  eventLoopMetrics(registry);
  return registry;
}

/** Kernel counters are absolute; a prom-client Counter only grows, so it is set anew at each scrape. */
function absoluteCounter(registry: Registry, name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void {
  new Counter({
    name, help, labelNames: [label], registers: [registry],
    collect() {
      this.reset();
      for (const [value, count] of read()) this.inc({ [label]: value }, count);
    },
  });
}

/** Label values that are no longer read disappear. */
function absoluteGauge(registry: Registry, name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void {
  new Gauge({
    name, help, labelNames: [label], registers: [registry],
    collect() {
      this.reset();
      for (const [value, number] of read()) this.set({ [label]: value }, number);
    },
  });
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({ name, help, registers: [registry], collect() { this.set(read()); } });
}

function trafficMetrics(registry: Registry, source: MetricsSource): void {
  const reasons = (field: 'packets' | 'bytes'): [string, number][] => [...source.counters()].map(([reason, counter]) => [reason, Number(counter[field])]);
  absoluteCounter(registry, 'floatgate_packets_total', 'Packets by the reason of their verdict', 'reason', () => reasons('packets'));
  absoluteCounter(registry, 'floatgate_bytes_total', 'Bytes of packets by the reason of their verdict', 'reason', () => reasons('bytes'));
}

function electionMetrics(registry: Registry, source: MetricsSource): void {
  const perRouter = (name: string, help: string, read: (router: ReturnType<MetricsSource['virtualRouters']>[number]) => number): void => {
    absoluteGauge(registry, name, help, 'vrid', () => source.virtualRouters().map((router) => [String(router.vrid), read(router)]));
  };
  perRouter('floatgate_virtual_router_state', '0 initialize, 1 backup, 2 active, 3 draining', (router) => router.state);
  perRouter('floatgate_virtual_router_term', 'Term of the virtual router; grows at every takeover', (router) => router.term);
  perRouter('floatgate_virtual_router_priority', 'Priority as advertised: less what tracked things that are down take away', (router) => router.priority);
  perRouter('floatgate_virtual_router_fault', '1 while a fault keeps it out of the election', (router) => Number(router.faulty));
  perRouter('floatgate_virtual_router_drained', '1 while it is drained', (router) => Number(router.drained));
  absoluteGauge(registry, 'floatgate_tracked_up', '1 up, 0 down, of each thing that is tracked and known', 'name',
    () => source.tracked().flatMap(({ name, state }): [string, number][] => (state === 'unknown' ? [] : [[name, Number(state === 'up')]])));
  absoluteCounter(registry, 'floatgate_virtual_router_transitions_total', 'Changes of state since the daemon started', 'vrid',
    () => source.virtualRouters().map((router) => [String(router.vrid), router.transitions]));
  absoluteCounter(registry, 'floatgate_advertisements_total', 'VRRP advertisements by what became of them', 'result', () => source.advertisements());
  absoluteGauge(registry, 'floatgate_bfd_sessions', 'BFD sessions with compute nodes by state', 'state', () => [...source.bfdSessions()].map(([state, sessions]): [string, number] => [snakeOf(state), sessions]));
  absoluteGauge(registry, 'floatgate_tunnel_penalty', 'Points that broken tunnels take from the priority', 'vrid', () => [...source.tunnelPenalties()].map(([vrid, points]): [string, number] => [String(vrid), points]));
  absoluteCounter(registry, 'floatgate_gratuitous_arps_total', 'Gratuitous ARP frames by result', 'result', () => [['sent', source.gratuitousArps()]]);
  absoluteCounter(registry, 'floatgate_takeovers_deferred_total', 'Silences of the Active that were not followed by a takeover, for the peer said that it is Active', 'reason', () => source.takeoversDeferred());
}

/** AdminDown → admin_down. */
function snakeOf(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

function replicationMetrics(registry: Registry, source: MetricsSource): void {
  gauge(registry, 'floatgate_peer_alive', '1 while authentic frames of the peer arrive', () => Number(source.peer().alive));
  absoluteGauge(registry, 'floatgate_peer_answers', "1 while the peer's programs answer heartbeats on the interface", 'interface', () => source.peerAnswers());
  gauge(registry, 'floatgate_synchronised', '1 while this gateway holds all that its peer has', () => Number(source.peer().synchronised));
  gauge(registry, 'floatgate_peer_synchronised', '1 while the peer holds all that this gateway has', () => Number(source.peer().holdsOurs));
  absoluteGauge(registry, 'floatgate_sync_tables_equal', '1 where the sums of all that both gateways hold are the same, 0 where they differ; absent: not known', 'peer', () => {
    const { tablesEqual } = source.peer();
    return tablesEqual === undefined ? [] : [['ha', Number(tablesEqual)]];
  });
  absoluteCounter(registry, 'floatgate_sync_frames_total', 'Frames that the control plane sent to the peer, and those that it could not send', 'kind', () => Object.entries(source.syncFrames()));
  absoluteCounter(registry, 'floatgate_heartbeats_total', 'Heartbeats by result', 'result', () => {
    const stats = source.heartbeats();
    return stats === undefined ? [] : [['sent', Number(stats.sent)], ['failed', Number(stats.failed)]];
  });
  gauge(registry, 'floatgate_heartbeat_lateness_max_seconds', 'Worst lateness of the heartbeat thread', () => (source.heartbeats()?.lateMaxUs ?? 0) / 1e6);
}

function tableMetrics(registry: Registry, source: MetricsSource): void {
  gauge(registry, 'floatgate_mappings', 'Shared-SNAT mappings in use', () => source.sessions().mappings);
  gauge(registry, 'floatgate_vms', 'VM slots taken', () => source.sessions().vms);
  absoluteGauge(registry, 'floatgate_neighbours', 'Next hops by resolution', 'state', () => {
    const { resolved, unresolved } = source.neighbours();
    return [['resolved', resolved], ['unresolved', unresolved]];
  });
  absoluteCounter(registry, 'floatgate_held_frames_dropped_total', 'Frames that waited in the control plane and were given up', 'cause', () => source.heldFramesDropped());
}

const LAG_RESOLUTION_MS = 10;

function eventLoopMetrics(registry: Registry): void {
  const delay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  delay.enable();
  // Measured between two rounds of a timer, so that its own interval is in it.
  const lagOf = (betweenNs: number): number => (Number.isFinite(betweenNs) ? Math.max(0, betweenNs / 1e9 - LAG_RESOLUTION_MS / 1e3) : 0);
  gauge(registry, 'floatgate_event_loop_lag_seconds', 'Mean lag of the control plane since the last scrape', () => lagOf(delay.mean));
  gauge(registry, 'floatgate_event_loop_lag_max_seconds', 'Worst lag of the control plane since the last scrape', () => {
    const worst = lagOf(delay.max);
    delay.reset();
    return worst;
  });
}

/** Serves GET /metrics on `host:port`. */
export async function serveMetrics(registry: Registry, listen: { readonly host: string; readonly port: number }): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end('metrics are at /metrics\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(`metrics.listen is ${listen.host}:${listen.port}, but nothing can listen there: ${error.code ?? error.message}`)));
    server.listen(listen.port, listen.host, resolve);
  });
  return server;
}
