/**
 * The composition root: the one file that knows all parts. It reads the
 * configuration, puts the data plane in place, starts election and
 * synchronisation over it, and serves what is to be known of them.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { Beacon, PacketSocket, RouteNetlink } from 'libbpf-ts';
import type { Neighbour } from 'libbpf-ts';
import { answers, buildApi, listenOnSocket, ApiConflict } from './api/server.js';
import type { Status, VirtualRouterStatus } from './api/status.js';
import { checkFacts } from './compile/facts.js';
import type { Facts } from './compile/facts.js';
import type { NeighbourTarget } from './compile/contents.js';
import { formatIpv4 } from './config/address.js';
import { parseConfiguration } from './config/configuration.js';
import { toNanoseconds } from './config/duration.js';
import { parseKey } from './config/key.js';
import type { SecretKey } from './config/key.js';
import type { Configuration, VirtualRouterConfiguration } from './config/schema.js';
import type { AttachedInterface, DataPlane } from './dataplane/dataplane.js';
import type { DataPlaneEvent } from './dataplane/events.js';
import { giveUp, Installation, statePaths } from './dataplane/installation.js';
import { interfaceWarnings } from './dataplane/interfaces.js';
import type { NodeInterface, Role } from './dataplane/interfaces.js';
import { checkLayout, checkObject } from './dataplane/layout-check.js';
import { eventType, interfaceRole, reason, virtualRouterState, virtualRouterStateNames, walkKind } from './dataplane/layout.generated.js';
import { factsOf, readNode } from './dataplane/node.js';
import { Resolver, RESOLVER_TICK_MS } from './dataplane/resolver.js';
import { RoleWriter } from './dataplane/role-writer.js';
import { createRegistry, serveMetrics } from './metrics/metrics.js';
import type { MetricsSource } from './metrics/metrics.js';
import type { Logger } from './log.js';
import { RECORDS_FRAME_BYTES } from './sync/frame.js';
import { SyncLink } from './sync/link.js';
import { SYNC_MACHINE_DEFAULTS } from './sync/machine.js';
import type { VirtualRouterView } from './sync/messages.js';
import { adoptedTerm } from './sync/terms.js';
import { Election } from './vrrp/election.js';
import type { ElectionSockets } from './vrrp/election.js';
import type { VirtualRouterOptions } from './vrrp/options.js';
import { openSockets } from './vrrp/sockets.js';

export interface GatewayOptions {
  readonly configFile: string;
  readonly log: Logger;
}

/** Programs are built beside the compiled TypeScript. */
const OBJECT_PATH = fileURLToPath(new URL('../dist/bpf/floatgate.bpf.o', import.meta.url));
const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** The peer's control plane counts as gone after this long without a hello. */
const HELLO_LOST_MS = 1000;
const DRAIN_POLL_MS = 10;
/** How long an external gateway that does not answer keeps us from becoming Active after a start or a link's return. */
const NEXT_HOP_PATIENCE_NS = 3_000_000_000n;

/** What is wrong with a configuration: one line for each problem. */
export class ConfigurationRefused extends Error {}

/** @throws ConfigurationRefused; Error when the file cannot be read */
export function loadConfiguration(file: string, log?: Logger): Configuration {
  const { configuration, errors, ...rest } = parseConfiguration(readFileSync(file, 'utf8'), file);
  if (configuration === undefined) throw new ConfigurationRefused(errors.map(({ message }) => message).join('\n'));
  if ('warnings' in rest) for (const { message, code } of rest.warnings) log?.warn({ code }, message);
  return configuration;
}

interface RunningVirtualRouter {
  readonly configuration: VirtualRouterConfiguration;
  readonly election: Election;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #log: Logger;
  readonly #netlink: RouteNetlink;
  readonly #startedAt = new Date();
  readonly #installation: Installation;
  readonly #dataPlane: DataPlane;
  readonly #roles: RoleWriter;
  readonly #resolver: Resolver;
  readonly #virtualRouters = new Map<number, RunningVirtualRouter>();
  readonly #sockets = new Map<Role, PacketSocket>();
  #attached: readonly AttachedInterface[] = [];
  #configuration: Configuration;
  #nodes: readonly NodeInterface[];
  #link: SyncLink | undefined;
  #api: FastifyInstance | undefined;
  #metrics: Server | undefined;
  #timers: NodeJS.Timeout[] = [];
  #draining = false;
  #stopping = false;

  /** Resolves when packets are forwarded or could be, and the API answers. @throws Error with one sentence */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const configuration = loadConfiguration(options.configFile, options.log);
    options.log.level = configuration.log.level;
    mkdirSync(configuration.stateDirectory, { recursive: true, mode: 0o700 });
    const { socket } = statePaths(configuration.stateDirectory);
    if (await answers(socket)) throw new Error(`another floatgate answers on ${socket}: one daemon per state directory`);
    checkObject(OBJECT_PATH);
    const netlink = new RouteNetlink();
    try {
      // Before the first dump, so that no change falls in between.
      netlink.watch();
      const nodes = await readNode(configuration.interfaces, netlink);
      const gateway = new Gateway(options, configuration, netlink, nodes);
      await gateway.#start();
      return gateway;
    } catch (error) {
      netlink.close();
      throw error;
    }
  }

  private constructor(options: GatewayOptions, configuration: Configuration, netlink: RouteNetlink, nodes: NodeInterface[]) {
    this.#options = options;
    this.#log = options.log;
    this.#configuration = configuration;
    this.#netlink = netlink;
    this.#nodes = nodes;
    this.#installation = Installation.open({
      objectPath: OBJECT_PATH, configuration, facts: checkedFacts(configuration, nodes),
      checkLayout, onDiscard: (sentence) => this.#log.warn(sentence),
    });
    this.#dataPlane = this.#installation.dataPlane;
    this.#roles = new RoleWriter(this.#dataPlane.roles, now);
    this.#resolver = this.#createResolver();
  }

  // -------------------------------------------------------------------- start

  async #start(): Promise<void> {
    const { interfaces } = this.#configuration;
    for (const warning of interfaceWarnings(this.#nodes)) this.#log.warn(warning);
    for (const { role, name } of this.#nodes) this.#sockets.set(role, this.#openSocket(name));
    this.#startLink();
    this.#dataPlane.onEvent((event) => this.#dataPlaneEvent(event));
    this.#attached = this.#dataPlane.attach(this.#nodes, {
      underlay: interfaces.underlay.mode, external: interfaces.external.mode, ha: interfaces.ha?.mode ?? 'auto',
    });
    for (const { node, mode, replaced } of this.#attached) {
      this.#log.info({ interface: node.name, role: node.role, xdpMode: mode, mtu: node.mtu, replaced }, 'program attached');
    }
    await this.#startResolver();
    // Before the elections: loading the servers takes longer than an advertisement may wait.
    await this.#serve();
    for (const router of this.#configuration.virtualRouters) this.#startVirtualRouter(router);
    this.#watchLinks();
    this.#timers.push(setInterval(() => this.#housekeeping(), RESOLVER_TICK_MS));
    this.#log.info({ adopted: this.#dataPlane.adopted, pid: process.pid, version: VERSION }, 'gateway started');
  }

  #openSocket(name: string): PacketSocket {
    const socket = new PacketSocket({ interface: name });
    // What a link that is down means is told by netlink.
    socket.on('error', (error) => this.#log.debug({ interface: name }, error.message));
    return socket;
  }

  async #serve(): Promise<void> {
    const api = buildApi({
      status: () => this.status(),
      counters: () => this.#counters(() => true),
      drain: () => this.drain(),
      undrain: () => this.undrain(),
      reload: () => this.reload(),
    });
    await listenOnSocket(api, statePaths(this.#configuration.stateDirectory).socket);
    this.#api = api;
    await this.#startMetrics();
  }

  async #startMetrics(): Promise<void> {
    const { metrics } = this.#configuration;
    if (metrics !== undefined) this.#metrics = await serveMetrics(createRegistry(this.#metricsSource()), metrics.listen);
  }

  /** What must be noticed without an event: terms that records brought, questions that are due. */
  #housekeeping(): void {
    this.#resolver.tick();
    if (!this.#stopping) this.#judgeFaults();
    for (const [vrid, { election }] of this.#virtualRouters) {
      const { state, term } = this.#dataPlane.roles.read(vrid);
      if (state !== virtualRouterState.active) election.termSeen(term);
      const heard = election.status().lastAdvertisement;
      if (this.#roles.isInherited(vrid) && heard !== undefined && heard.priority > 0) this.#roles.release(vrid);
    }
  }

  // --------------------------------------------------------------- next hops

  #createResolver(): Resolver {
    const { maps } = this.#dataPlane;
    return new Resolver(new Map(this.#nodes.map((node) => [interfaceRole[node.role], node.ifindex])), {
      probe: (ifindex, address) => void this.#netlink.probeNeighbour(ifindex, address).catch((error: Error) => this.#log.debug({ address }, error.message)),
      writeNeighbour: (id, mac) => this.#dataPlane.writeNeighbour(id, mac),
      writeGateway: ({ address }, mac) => {
        for (const [index, network] of this.#installation.state.maps.external_networks) {
          if (network.gateway === address) maps.externalNetworks.set(index, { ...network, gatewayMac: mac ?? Buffer.alloc(6) });
        }
        if (mac !== undefined) this.#judgeFaults();
      },
      writePeer: (_, mac) => this.#peerResolved(mac),
      resume: (frame) => this.#resume(frame),
      nowNs: now,
      log: ({ type, purpose, address, mac }) => this.#log[purpose === 'onDemand' ? 'debug' : 'info']({ reason: `neighbour_${type}`, purpose, address, mac }, `next hop ${type}`),
    });
  }

  async #startResolver(): Promise<void> {
    this.#netlink.on('neighbour', (neighbour, change) => this.#observe(neighbour, change === 'removed'));
    this.#netlink.on('resync', () => void this.#readNeighbours());
    this.#netlink.on('error', (error) => this.#log.error(error.message));
    await this.#readNeighbours();
    for (const target of this.#installation.state.neighbourTargets) this.#want(target);
  }

  async #readNeighbours(): Promise<void> {
    for (const neighbour of await this.#netlink.neighbours()) this.#observe(neighbour, false);
  }

  #observe({ ifindex, address, mac, state }: Neighbour, gone: boolean): void {
    this.#resolver.observe({ ifindex, address, mac, state }, gone);
  }

  #want(target: NeighbourTarget): void {
    this.#resolver.want({ role: interfaceRole[target.interface], address: target.address }, target.for === 'peer' ? 'peer' : 'gateway');
  }

  #unwant(target: NeighbourTarget): void {
    this.#resolver.unwant({ role: interfaceRole[target.interface], address: target.address });
  }

  #resume(frame: Buffer): void {
    try {
      this.#dataPlane.receiveTunnelledAgain(frame);
    } catch (error) {
      this.#log.debug({ reason: 'held_frame' }, (error as Error).message);
    }
  }

  // ---------------------------------------------------------- synchronisation

  #hasPeer(configuration = this.#configuration): boolean {
    return configuration.peer !== undefined && configuration.sync.mode !== 'none';
  }

  #startLink(): void {
    const { gateway, sync } = this.#configuration;
    const template = Buffer.alloc(RECORDS_FRAME_BYTES);
    this.#link = new SyncLink({
      name: gateway.name, id: gateway.id, epoch: this.#dataPlane.readGateway().epoch, instance: Date.now(),
      soloAfterNs: toNanoseconds(sync.soloAfter), ...SYNC_MACHINE_DEFAULTS,
    }, {
      nowNs: now,
      readGatewayState: () => this.#dataPlane.tables.gatewayState(),
      unprotectedSessions: () => this.#dataPlane.counters.read(reason.sessionUnprotected).packets,
      virtualRouters: () => this.#views(),
      seal: (frame) => this.#dataPlane.seal(frame),
      transmit: (frame) => this.#sockets.get('ha')?.send(frame),
      rewind: (walk) => this.#dataPlane.rewindWalk(walkKind[walk]),
      step: (walk) => this.#dataPlane.stepWalk(`${walk}_xdp`, template),
      startBeacon: (frame) => this.#startBeacon(frame),
    }, {
      peerChanged: (alive) => this.#log[alive ? 'info' : 'warn']({ reason: alive ? 'peer_alive' : 'peer_silent' }, alive ? 'peer is alive' : 'peer is silent: on our own'),
      synchronisedChanged: (synchronised) => this.#synchronisedChanged(synchronised),
      peerRolesHeard: (views) => this.#peerRolesHeard(views),
      bulkCompleted: (rounds, frames) => this.#log.info({ reason: 'bulk_complete', rounds, frames: Number(frames) }, 'peer holds all that we have'),
      bulkFailed: (rounds, missing) => this.#log.warn({ reason: 'bulk_failed', rounds, missing: Number(missing) }, 'peer did not take all that we have'),
    });
    this.#link.start(this.#hasPeer());
  }

  #startBeacon(frame: Buffer): Beacon {
    const ha = this.#nodes.find(({ role }) => role === 'ha');
    if (ha === undefined) throw new Error('heartbeats need an ha interface');
    return new Beacon({ program: this.#dataPlane.sealProgram, frame, interface: ha.ifindex, intervalUs: this.#configuration.sync.heartbeatInterval });
  }

  #peerResolved(mac: Buffer): void {
    this.#dataPlane.writeGateway({ peerMac: mac });
    const ha = this.#nodes.find(({ role }) => role === 'ha');
    const { peer } = this.#configuration;
    if (ha === undefined || peer === undefined || !this.#hasPeer()) return;
    this.#link?.setPath({ sourceMac: ha.mac, destinationMac: mac, sourceAddress: ha.address, destinationAddress: peer.address });
  }

  #views(): VirtualRouterView[] {
    return [...this.#virtualRouters.keys()].map((vrid) => {
      const { state, term } = this.#dataPlane.roles.read(vrid);
      return { vrid, state, term };
    });
  }

  #synchronised(): boolean {
    return !this.#hasPeer() || this.#link?.synchroniser.synchronised === true;
  }

  #synchronisedChanged(synchronised: boolean): void {
    this.#log.info({ reason: synchronised ? 'synchronised' : 'not_synchronised' }, synchronised ? 'we hold all that the peer has' : 'the peer has what we lack');
    for (const { election } of this.#virtualRouters.values()) election.setSynchronised(synchronised);
  }

  #peerRolesHeard(views: readonly VirtualRouterView[]): void {
    const ours = new Set(this.#configuration.virtualRouters.map(({ vrid }) => vrid));
    for (const { vrid, term } of views.filter((view) => ours.has(view.vrid))) {
      // Also before our election runs: it starts from the term that it finds.
      this.#dataPlane.roles.raiseTerm(vrid, adoptedTerm(this.#dataPlane.roles.read(vrid), term));
      this.#virtualRouters.get(vrid)?.election.termSeen(term);
    }
  }

  #dataPlaneEvent(event: DataPlaneEvent): void {
    switch (event.type) {
      case eventType.neighbourUnresolved:
        return this.#resolver.unresolved({ role: event.interface, address: event.address }, event.frame);
      case eventType.syncMessage:
        return this.#link?.synchroniser.messageReceived(event.frame);
      case eventType.peerSilent:
        return this.#link?.synchroniser.peerSilenceReported();
      case eventType.record:
        return this.#link?.record(event.frame);
      default:
        this.#log.warn({ type: event.type }, 'an event of a type that this version does not know');
    }
  }

  // ---------------------------------------------------------------- elections

  #startVirtualRouter(configuration: VirtualRouterConfiguration): void {
    const { vrid } = configuration;
    const { term, resume } = this.#roles.inherit(vrid, this.#configuration.peer !== undefined);
    const election = new Election({
      options: this.#electionOptions(configuration),
      synchronised: this.#synchronised(),
      highestTerm: term,
      sockets: openSockets(this.#node(configuration.interface).name) as ElectionSockets,
      announce: [
        { sender: this.#socket('underlay'), addresses: () => [this.#virtualRouters.get(vrid)?.configuration.address ?? configuration.address] },
        { sender: this.#socket('external'), addresses: () => this.#externalAddresses(vrid) },
      ],
      actions: {
        setRole: (role) => {
          this.#roles.setRole(vrid, role.role, role.role === 'active' ? role.term : 0);
          this.#link?.synchroniser.rolesChanged();
        },
        renewLease: (untilNs) => this.#dataPlane.roles.renewLease(vrid, untilNs),
        transition: ({ from, to, reason: why, term: inTerm }) => this.#log.info({ vrid, from, to, reason: why, term: inTerm }, `virtual router ${vrid}: ${from} → ${to}`),
        notice: (kind, sentence) => this.#log.warn({ vrid, reason: kind }, sentence),
      },
    });
    this.#virtualRouters.set(vrid, { configuration, election });
    election.setFaulty(this.#lacksLinks() || (!resume && this.#lacksNextHops()));
    if (this.#draining) election.drain();
    election.start(resume ? { term } : undefined);
  }

  #electionOptions({ vrid, address, priority, advertisementInterval, preempt, preemptDelay, ...rest }: VirtualRouterConfiguration): VirtualRouterOptions {
    return {
      vrid, addresses: [formatIpv4(address)], primaryAddress: formatIpv4(this.#node(rest.interface).address), priority,
      advertisementIntervalUs: advertisementInterval, preempt, preemptDelayUs: preemptDelay * 1000,
    };
  }

  #externalAddresses(vrid: number): number[] {
    return this.#configuration.routers
      .filter(({ virtualRouter }) => virtualRouter === vrid)
      .flatMap(({ externalAddress, floatingIps }) => [...(externalAddress === undefined ? [] : [externalAddress]), ...floatingIps.map(({ address }) => address)]);
  }

  #node(role: Role): NodeInterface {
    const node = this.#nodes.find((candidate) => candidate.role === role);
    if (node === undefined) throw new Error(`there is no ${role} interface`);
    return node;
  }

  #socket(role: Role): PacketSocket {
    const socket = this.#sockets.get(role);
    if (socket === undefined) throw new Error(`there is no ${role} interface`);
    return socket;
  }

  // -------------------------------------------------------------------- links

  readonly #down = new Set<Role>();
  /** Until then, next hops that are being asked for keep us from becoming Active. */
  #patientUntilNs = now() + NEXT_HOP_PATIENCE_NS;

  /** Without underlay or external side nobody can be Active. */
  #lacksLinks(): boolean {
    return this.#down.has('underlay') || this.#down.has('external');
  }

  /** Nor should a gateway become Active that would drop what it attracts, for the moment that a next hop takes. */
  #lacksNextHops(): boolean {
    if (now() >= this.#patientUntilNs) return false;
    return this.#installation.state.neighbourTargets.some((target) => target.for === 'external_network'
      && this.#resolver.macOf({ role: interfaceRole.external, address: target.address }) === undefined);
  }

  #judgeFaults(): void {
    const [links, nextHops] = [this.#lacksLinks(), this.#lacksNextHops()];
    for (const { election } of this.#virtualRouters.values()) election.setFaulty(links || (nextHops && election.status().state !== 'Active'));
  }

  #watchLinks(): void {
    for (const { role, running } of this.#nodes) if (!running) this.#linkChanged(role, false);
    this.#netlink.on('link', (link, change) => {
      const node = this.#nodes.find(({ ifindex }) => ifindex === link.index);
      if (node !== undefined) this.#linkChanged(node.role, change !== 'removed' && link.up && link.running);
    });
  }

  #linkChanged(role: Role, works: boolean): void {
    if (works !== this.#down.has(role)) return;
    if (works) this.#down.delete(role);
    else this.#down.add(role);
    if (works) this.#patientUntilNs = now() + NEXT_HOP_PATIENCE_NS;
    this.#log[works ? 'info' : 'error']({ role, reason: works ? 'link_up' : 'link_down' }, `the ${role} interface is ${works ? 'up again' : 'down'}`);
    this.#judgeFaults();
  }

  // ------------------------------------------------------------------ actions

  /**
   * Hands over everything; resolves when nothing is forwarded here any more.
   * @throws ApiConflict when there is nobody who could go on without a loss; this gateway stays what it is then
   */
  async drain(): Promise<void> {
    const obstacle = this.#drainObstacle();
    if (obstacle !== undefined) throw new ApiConflict(`not drained: ${obstacle}`);
    this.#draining = true;
    const elections = [...this.#virtualRouters.values()].map(({ election }) => election);
    for (const election of elections) election.drain();
    // An election that finds no successor, or that is told to undrain meanwhile, is not drained any more.
    await this.#until(() => elections.every((election) => election.status().state === 'Initialize' || !election.status().drained));
    if (elections.every((election) => election.status().drained)) return;
    this.#draining = false;
    for (const election of elections) election.undrain();
    throw new ApiConflict('not drained: the peer has not taken over, so this gateway goes on');
  }

  /** Why what is Active here cannot be handed over now. A gateway that is Backup everywhere needs nobody. */
  #drainObstacle(): string | undefined {
    const active = [...this.#virtualRouters].filter(([, { election }]) => election.status().state === 'Active').map(([vrid]) => vrid);
    const { peer } = this.#configuration;
    if (active.length === 0) return undefined;
    if (peer === undefined) return 'this gateway is Active and has no peer to hand over to';
    if (!this.#hasPeer()) return undefined;
    const address = formatIpv4(peer.address);
    if (!this.#peerListens()) return `this gateway is Active and its peer ${address} is silent`;
    const { holdsOurs, virtualRouters } = this.#link!.synchroniser.peerStatus();
    if (!holdsOurs) return `the peer ${address} does not hold all of our sessions yet`;
    const waits = (vrid: number): boolean => virtualRouters.some((view) => view.vrid === vrid && view.state === virtualRouterState.backup);
    const orphan = active.find((vrid) => !waits(vrid));
    return orphan === undefined ? undefined : `the peer ${address} is not Backup of virtual router ${orphan}`;
  }

  async undrain(): Promise<void> {
    if (!this.#draining) throw new ApiConflict('this gateway is not drained');
    this.#draining = false;
    for (const { election } of this.#virtualRouters.values()) election.undrain();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }

  /** Reads the configuration again and changes what differs. @throws Error; the last good one stays in force then */
  async reload(): Promise<{ changes: number }> {
    const configuration = loadConfiguration(this.#options.configFile, this.#log);
    const nodes = await readNode(configuration.interfaces, this.#netlink);
    const facts = checkedFacts(configuration, nodes);
    const before = this.#configuration;
    const targets = this.#installation.state.neighbourTargets;
    await this.#stopVirtualRoutersMissingFrom(configuration);
    const changes = this.#installation.change(configuration, facts);
    this.#configuration = configuration;
    this.#nodes = nodes;
    this.#log.level = configuration.log.level;
    this.#changeTargets(targets, this.#installation.state.neighbourTargets);
    if (!sameJson([before.sync, before.peer, before.gateway], [configuration.sync, configuration.peer, configuration.gateway])) this.#restartLink();
    this.#changeVirtualRouters();
    if (!sameJson(before.metrics, configuration.metrics)) await this.#restartMetrics();
    this.#log.info({ changes }, 'configuration reloaded');
    return { changes };
  }

  #changeTargets(before: readonly NeighbourTarget[], after: readonly NeighbourTarget[]): void {
    const has = (list: readonly NeighbourTarget[], target: NeighbourTarget): boolean => list.some(({ interface: side, address }) => side === target.interface && address === target.address);
    for (const target of before) if (!has(after, target)) this.#unwant(target);
    for (const target of after) if (!has(before, target)) this.#want(target);
    this.#rewriteResolved(after);
  }

  /** Two networks may share a gateway, and a network may change to one that was resolved long ago. */
  #rewriteResolved(targets: readonly NeighbourTarget[]): void {
    for (const target of targets) {
      const mac = this.#resolver.macOf({ role: interfaceRole[target.interface], address: target.address });
      if (target.for !== 'external_network' || mac === undefined) continue;
      const network = this.#installation.state.maps.external_networks.get(target.index);
      if (network !== undefined) this.#dataPlane.maps.externalNetworks.set(target.index, { ...network, gatewayMac: mac });
    }
  }

  #restartLink(): void {
    this.#link?.close();
    this.#startLink();
    const { peer } = this.#configuration;
    const mac = peer && this.#resolver.macOf({ role: interfaceRole.ha, address: peer.address });
    if (mac !== undefined) this.#peerResolved(mac);
    for (const { election } of this.#virtualRouters.values()) election.setSynchronised(this.#synchronised());
  }

  async #restartMetrics(): Promise<void> {
    this.#metrics?.close();
    this.#metrics = undefined;
    await this.#startMetrics();
  }

  async #stopVirtualRoutersMissingFrom({ virtualRouters }: Configuration): Promise<void> {
    const gone = [...this.#virtualRouters].filter(([vrid]) => !virtualRouters.some((router) => router.vrid === vrid));
    await Promise.all(gone.map(async ([vrid, { election }]) => {
      await election.shutdown();
      election.close();
      this.#virtualRouters.delete(vrid);
    }));
  }

  #changeVirtualRouters(): void {
    for (const configuration of this.#configuration.virtualRouters) {
      const running = this.#virtualRouters.get(configuration.vrid);
      if (running === undefined) {
        this.#startVirtualRouter(configuration);
        continue;
      }
      running.election.reconfigure(this.#electionOptions(configuration));
      this.#virtualRouters.set(configuration.vrid, { ...running, configuration });
      running.election.announce();
    }
  }

  /**
   * Ends this process's part. With a peer that listens, everything is handed
   * over first; alone, the pinned programs go on forwarding for the next daemon.
   */
  async stop(options: { readonly detach: boolean }): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    const elections = [...this.#virtualRouters.values()].map(({ election }) => election);
    const handOver = options.detach || this.#peerListens();
    this.#log.info({ handOver, detach: options.detach }, 'stopping');
    if (handOver) await Promise.all(elections.map((election) => election.shutdown()));
    for (const election of elections) election.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#link?.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#netlink.close();
    this.#metrics?.close();
    await this.#api?.close();
    this.#dataPlane.close();
    if (options.detach) giveUp(this.#configuration.stateDirectory);
    this.#log.info({ detached: options.detach }, 'gateway stopped');
  }

  /** Not only its programs: somebody there who can take over. */
  #peerListens(): boolean {
    if (this.#configuration.peer === undefined) return false;
    if (!this.#hasPeer()) return true;
    const { alive, lastHelloMs } = this.#link?.synchroniser.peerStatus() ?? { alive: false, lastHelloMs: undefined };
    return alive && lastHelloMs !== undefined && lastHelloMs < HELLO_LOST_MS;
  }

  // ------------------------------------------------------------------- status

  status(): Status {
    const { gateway } = this.#configuration;
    return {
      gateway: {
        name: gateway.name, id: gateway.id, pid: process.pid, startedAt: this.#startedAt.toISOString(),
        adopted: this.#dataPlane.adopted, draining: this.#draining, version: VERSION,
      },
      virtualRouters: [...this.#virtualRouters.values()].map((router) => this.#virtualRouterStatus(router)),
      peer: this.#peerStatus(),
      interfaces: this.#attached.map(({ node, mode }) => ({ role: node.role, name: node.name, xdpMode: mode, mtu: node.mtu, address: formatIpv4(node.address) })),
      neighbours: this.#resolver.status,
      counters: this.#counters((packets) => packets > 0n),
    };
  }

  #virtualRouterStatus({ configuration: { vrid, address }, election }: RunningVirtualRouter): VirtualRouterStatus {
    const { state, term } = this.#dataPlane.roles.read(vrid);
    const { priority, history } = election.status();
    const transitions = history.map((step) => ({ at: new Date(step.atMs).toISOString(), from: step.from, to: step.to, term: step.term, reason: step.reason }));
    return {
      vrid, state: virtualRouterStateNames[state] ?? String(state), term, priority, address: formatIpv4(address),
      since: transitions[0]?.at ?? this.#startedAt.toISOString(), reason: transitions[0]?.reason ?? 'startup', history: transitions,
    };
  }

  #peerStatus(): Status['peer'] {
    const { peer, sync } = this.#configuration;
    const status = this.#hasPeer() ? this.#link?.synchroniser.peerStatus() : undefined;
    return {
      configured: peer !== undefined,
      address: peer && formatIpv4(peer.address),
      name: status?.name,
      alive: status?.alive ?? false,
      synchronised: this.#synchronised(),
      holdsOurs: status?.holdsOurs ?? !this.#hasPeer(),
      syncMode: sync.mode,
      lastHeardMs: status?.lastHeardMs,
      virtualRouters: (status?.virtualRouters ?? []).map(({ vrid, state, term }) => ({ vrid, state: virtualRouterStateNames[state] ?? String(state), term })),
    };
  }

  #counters(wanted: (packets: bigint) => boolean): Status['counters'] {
    const all = [...this.#dataPlane.counters.readAll()].filter(([, { packets }]) => wanted(packets));
    return Object.fromEntries(all.map(([name, { packets, bytes }]) => [name, { packets: Number(packets), bytes: Number(bytes) }]));
  }

  #metricsSource(): MetricsSource {
    const elections = (): Election[] => [...this.#virtualRouters.values()].map(({ election }) => election);
    return {
      counters: () => this.#dataPlane.counters.readAll(),
      virtualRouters: () => this.#views().map((view) => ({ ...view, transitions: sum(Object.values(this.#virtualRouters.get(view.vrid)?.election.counters.transitions ?? {})) })),
      peer: () => {
        const { alive, synchronised, holdsOurs } = this.#peerStatus();
        return { alive, synchronised, holdsOurs };
      },
      sessions: () => ({ mappings: this.#dataPlane.tables.mappingsInUse(), vms: this.#dataPlane.tables.gatewayState().vms }),
      neighbours: () => this.#resolver.status,
      advertisements: () => advertisementCounts(elections()),
      heartbeats: () => this.#link?.heartbeats,
    };
  }
}

function now(): bigint {
  return process.hrtime.bigint();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Refusals of other virtual routers' adverts are no fault, and come first in number. */
function advertisementCounts(elections: readonly Election[]): [string, number][] {
  const counters = elections.map((election) => election.counters);
  const refusals = Object.keys(counters[0]?.invalid ?? {}) as (keyof Election['counters']['invalid'])[];
  return [
    ['sent', sum(counters.map(({ advertisementsSent }) => advertisementsSent))],
    ['received', sum(counters.map(({ advertisementsReceived }) => advertisementsReceived))],
    ['send_error', sum(counters.map(({ sendErrors }) => sendErrors))],
    ...refusals.map((why): [string, number] => [`refused_${why.replaceAll('-', '_')}`, sum(counters.map(({ invalid }) => invalid[why]))]),
  ];
}

/** @throws Error when the key file cannot be used, or an address is the node's own */
function checkedFacts(configuration: Configuration, nodes: readonly NodeInterface[]): Facts {
  const facts = factsOf(nodes, readKey(configuration));
  const problems = checkFacts(configuration, facts);
  if (problems.length > 0) throw new ConfigurationRefused(problems.join('\n'));
  return facts;
}

function readKey({ sync: { keyFile, mode } }: Configuration): SecretKey | undefined {
  if (keyFile === undefined || mode === 'none') return undefined;
  const result = parseKey(readFileSync(keyFile, 'utf8'));
  if ('error' in result) throw new ConfigurationRefused(`sync.keyFile ${keyFile}: ${result.error}`);
  return result.key;
}
