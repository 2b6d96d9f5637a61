/** Answers about sessions and floating IPs: the tables, with names, roles and clocks to them. */
import { setImmediate } from 'node:timers/promises';
import type { FloatingIpQuery } from '../api/floating-ip-query.js';
import type { FloatingIpPage } from '../api/floating-ips.js';
import type { SessionActions } from '../api/session-routes.js';
import type { CountQuery, KillQuery, ListQuery } from '../api/session-query.js';
import type { SessionCount, SessionPage, SessionsKilled } from '../api/sessions.js';
import type { Ipv4Address } from '../config/address.js';
import { sessionEndCodec, sessionEndOffsets, syncRecordCodec, syncRecordOffsets, virtualRouterState } from '../dataplane/layout.generated.js';
import type { SessionMaps } from '../dataplane/session-maps.js';
import { countSessions } from '../sessions/count.js';
import type { Directory } from '../sessions/directory.js';
import { floatingIpTraffic, listFloatingIps } from '../sessions/floating-ips.js';
import type { FloatingIp, FloatingIpPorts, FloatingIpTraffic } from '../sessions/floating-ips.js';
import { killSessions } from '../sessions/kill.js';
import type { SessionEnd } from '../sessions/kill.js';
import { listSessions } from '../sessions/list.js';
import { checkNames } from '../sessions/names.js';
import type { Pace } from '../sessions/scan.js';
import { SessionTables } from '../sessions/tables.js';
import type { Vm } from '../sessions/tables.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { placesOf } from './places.js';
import type { Synchronisation } from './synchronisation.js';

/** One tick is 2^30 ns. */
const TICK_SHIFT = 30n;
const ENOENT = -2;
const EMPTY_RECORD = syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size));

const pace: Pace = { now: () => performance.now(), breathe: async () => setImmediate() };

export class Sessions implements SessionActions {
  readonly #basis: Basis;
  readonly #synchronisation: Synchronisation;
  readonly #maps: SessionMaps;
  readonly #tables: SessionTables;

  constructor(basis: Basis, synchronisation: Synchronisation) {
    this.#basis = basis;
    this.#synchronisation = synchronisation;
    this.#maps = basis.dataPlane.sessionMaps();
    this.#tables = new SessionTables(this.#maps.memory);
  }

  async sessions(query: ListQuery): Promise<SessionPage> {
    return listSessions(query, this.#tables, this.#directoryFor(query), pace);
  }

  async countSessions(query: CountQuery): Promise<SessionCount> {
    return countSessions(query, this.#tables, this.#directoryFor(query), pace);
  }

  async killSessions(query: KillQuery): Promise<SessionsKilled> {
    const ports = { tables: this.#tables, directory: this.#directoryFor(query), pace, end: (which: SessionEnd) => this.#end(which) };
    const result = await killSessions(query, ports);
    if (result.killed > 0) this.#basis.log.info({ sessions: result.killed }, 'sessions were killed');
    return result;
  }

  async floatingIps(query: FloatingIpQuery): Promise<FloatingIpPage> {
    checkNames(query, placesOf(this.#basis.configuration));
    return listFloatingIps(query, this.#floatingIpPorts());
  }

  async floatingIpTraffic(): Promise<FloatingIpTraffic[]> {
    return floatingIpTraffic(this.#floatingIpPorts());
  }

  /** @throws ApiMistake for names that the configuration does not have */
  #directoryFor(query: { readonly router?: string | undefined; readonly network?: string | undefined }): Directory {
    const { byVni, routers, networks } = placesOf(this.#basis.configuration);
    const addresses = this.#maps.snatAddresses();
    const directory: Directory = {
      routers, networks, tick: presentTick(),
      place: (vni) => byVni.get(vni),
      externalAddress: (index) => addresses[index] as Ipv4Address | undefined,
      isActive: (vrid) => this.#stateOf(vrid) === virtualRouterState.active,
      peerHolds: this.#peerHolds(),
    };
    checkNames(query, directory);
    return directory;
  }

  #peerHolds(): Directory['peerHolds'] {
    const { peer } = this.#synchronisation;
    if (peer === undefined) return 'nothing';
    return peer.holdsOurs ? 'everything' : 'acknowledged';
  }

  #floatingIpPorts(): FloatingIpPorts {
    return {
      floatingIps: placesOf(this.#basis.configuration).floatingIps,
      vmOf: (floatingIp) => this.#vmOf(floatingIp),
      counts: (index) => this.#maps.floatingIpCounts(index),
      stateOf: (vrid) => this.#stateOf(vrid),
      tick: presentTick(),
      pace,
    };
  }

  #vmOf({ vni, fixedIp }: FloatingIp): Vm | undefined {
    const index = this.#maps.vmIndex({ vni, address: fixedIp });
    return index === undefined ? undefined : this.#tables.vm(index);
  }

  #stateOf(vrid: number): number {
    return this.#basis.dataPlane.roles.read(vrid).state;
  }

  /** Here at once, and at the peer as soon as it hears of it. */
  #end(which: SessionEnd): boolean {
    const request = Buffer.alloc(sessionEndCodec.size);
    sessionEndCodec.encode({ ...which, record: EMPTY_RECORD }, request);
    const { result, context } = this.#basis.dataPlane.runSystemCall('session_end', request);
    if (result === ENOENT) return false;
    if (result < 0) throw new Error(`session_end returned ${result}`);
    const record = context.subarray(sessionEndOffsets.record, sessionEndOffsets.record + syncRecordCodec.size);
    // Of a network that has gone: the peer has the configuration that says so.
    if (record.readUInt8(syncRecordOffsets.kind) !== 0) this.#synchronisation.tell(record);
    return true;
  }
}

function presentTick(): number {
  return Number(BigInt.asUintN(32, monotonicNs() >> TICK_SHIFT));
}
