import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createRegistry, serveMetrics } from '../../../src/metrics/metrics.js';
import type { MetricsSource } from '../../../src/metrics/metrics.js';

function source(): MetricsSource & { packets: bigint } {
  return {
    packets: 5n,
    version: '1.2.3',
    counters() {
      return [['drop_vni_unknown', { packets: this.packets, bytes: 700n }]];
    },
    virtualRouters: () => [{ vrid: 51, state: 2, term: 9, transitions: 3, priority: 150, faulty: false, drained: true }],
    tracked: () => [{ name: 'gateway 10.0.2.1', state: 'down' }, { name: 'link ens7', state: 'up' }, { name: 'link ens8', state: 'unknown' }],
    peer: () => ({ alive: true, synchronised: false, holdsOurs: true, tablesEqual: false }),
    sessions: () => ({ mappings: 1234, vms: 2 }),
    floatingIps: async () => [{ address: '10.0.2.215', router: 'tenant-a', inbound: { packets: 3, bytes: 30 }, outbound: { packets: 4, bytes: 40 } }],
    neighbours: () => ({ resolved: 2, unresolved: 1 }),
    heldFramesDropped: () => [['unresolved', 4], ['fragment_early', 1]],
    advertisements: () => [['sent', 17], ['checksum', 2]],
    gratuitousArps: () => 12,
    bfdSessions: () => [['AdminDown', 0], ['Up', 3]],
    tunnelPenalties: () => [[51, 253]],
    takeoversDeferred: () => [['peer_is_active', 4], ['underlay_cut', 5]],
    peerAnswers: () => [['ha', 1], ['underlay', 0]],
    syncFrames: () => ({ messages: 6, records: 7, failed: 8 }),
    heartbeats: () => ({ sent: 1000n, failed: 1n, lateMaxUs: 250 }),
  };
}

describe('metrics', () => {
  it('carry every reason, role and state by its name', async () => {
    const text = await createRegistry(source()).metrics();
    for (const line of [
      'floatgate_build_info{version="1.2.3"} 1',
      'floatgate_gratuitous_arps_total{result="sent"} 12',
      'floatgate_sync_frames_total{kind="records"} 7',
      'floatgate_packets_total{reason="drop_vni_unknown"} 5',
      'floatgate_bytes_total{reason="drop_vni_unknown"} 700',
      'floatgate_virtual_router_state{vrid="51"} 2',
      'floatgate_virtual_router_term{vrid="51"} 9',
      'floatgate_virtual_router_transitions_total{vrid="51"} 3',
      'floatgate_virtual_router_priority{vrid="51"} 150',
      'floatgate_virtual_router_fault{vrid="51"} 0',
      'floatgate_virtual_router_drained{vrid="51"} 1',
      'floatgate_tracked_up{name="gateway 10.0.2.1"} 0',
      'floatgate_tracked_up{name="link ens7"} 1',
      'floatgate_advertisements_total{result="checksum"} 2',
      'floatgate_bfd_sessions{state="admin_down"} 0',
      'floatgate_bfd_sessions{state="up"} 3',
      'floatgate_tunnel_penalty{vrid="51"} 253',
      'floatgate_takeovers_deferred_total{reason="underlay_cut"} 5',
      'floatgate_peer_answers{interface="ha"} 1',
      'floatgate_peer_alive 1',
      'floatgate_synchronised 0',
      'floatgate_sync_tables_equal{peer="ha"} 0',
      'floatgate_mappings 1234',
      'floatgate_floating_ip_packets_total{address="10.0.2.215",router="tenant-a",direction="inbound"} 3',
      'floatgate_floating_ip_bytes_total{address="10.0.2.215",router="tenant-a",direction="outbound"} 40',
      'floatgate_neighbours{state="unresolved"} 1',
      'floatgate_held_frames_dropped_total{cause="unresolved"} 4',
      'floatgate_heartbeats_total{result="failed"} 1',
      'floatgate_heartbeat_lateness_max_seconds 0.00025',
    ]) expect(text.split('\n')).toContain(line);
    expect(text).not.toContain('link ens8');
  });

  it('are read at each scrape, not added up', async () => {
    const counted = source();
    const registry = createRegistry(counted);
    await registry.metrics();
    counted.packets = 6n;
    expect(await registry.metrics()).toContain('floatgate_packets_total{reason="drop_vni_unknown"} 6\n');
  });

  it('of floating IPs/only as long as they are wanted', async () => {
    const counted = source();
    const registry = createRegistry(counted);
    expect(await registry.metrics()).toContain('floatgate_floating_ip_packets_total{');
    expect(await createRegistry({ ...counted, floatingIps: async () => [] }).metrics()).not.toContain('floatgate_floating_ip_packets_total{');
  });

  it('do not count the interval of the measurement as lag', async () => {
    const registry = createRegistry(source());
    await new Promise((resolve) => setTimeout(resolve, 100));
    const blockedUntil = performance.now() + 60;
    while (performance.now() < blockedUntil);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const value = (name: string, text: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)![1]);
    const [busy, idle] = [await registry.metrics(), await new Promise((resolve) => setTimeout(resolve, 200)).then(() => registry.metrics())];
    expect(value('floatgate_event_loop_lag_max_seconds', busy)).toBeGreaterThan(0.045);
    expect(value('floatgate_event_loop_lag_seconds', idle)).toBeLessThan(0.009);
  });

  it('say which address cannot be listened on', async () => {
    const server = await serveMetrics(createRegistry(source()), { host: '127.0.0.1', port: 0 });
    const { port } = server.address() as AddressInfo;
    await expect(serveMetrics(createRegistry(source()), { host: '127.0.0.1', port })).rejects.toThrow(`metrics.listen is 127.0.0.1:${port}, but nothing can listen there: EADDRINUSE`);
    await new Promise((resolve) => server.close(resolve));
  });

  it('are served under /metrics, and nothing else is', async () => {
    const server = await serveMetrics(createRegistry(source()), { host: '127.0.0.1', port: 0 });
    const { port } = server.address() as AddressInfo;
    const [found, missing] = await Promise.all([fetch(`http://127.0.0.1:${port}/metrics`), fetch(`http://127.0.0.1:${port}/`)]);
    expect(found.headers.get('content-type')).toContain('text/plain');
    expect(await found.text()).toContain('floatgate_peer_alive 1');
    expect(missing.status).toBe(404);
    await new Promise((resolve) => server.close(resolve));
  });
});
