/**
 * The composition root: reads the configuration, puts the data plane in place,
 * starts elections and synchronisation over it, and serves what is to be known
 * of them. What each part needs of another is joined in the constructor.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { fileURLToPath } from 'node:url';
import { activeFeatures, RouteNetlink } from 'libbpf-ts';
import { answers } from '../api/answers.js';
import { ApiConflict } from '../api/server.js';
import type { Status } from '../api/status.js';
import { virtualRouterMac } from '../compile/compile.js';
import { openFilters } from '../dataplane/card-filters.js';
import type { AttachedInterface } from '../dataplane/dataplane.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import { giveUp, Installation } from '../dataplane/installation.js';
import { interfaceWarnings, tagWarning } from '../dataplane/interfaces.js';
import { checkLayout, checkObject } from '../dataplane/layout-check.js';
import { eventType } from '../dataplane/layout.generated.js';
import { readNode } from '../dataplane/node.js';
import { RESOLVER_TICK_MS } from '../dataplane/resolver.js';
import { statePaths } from '../dataplane/state-paths.js';
import { readConfiguration } from '../files/configuration-file.js';
import type { ReadConfiguration } from '../files/configuration-file.js';
import type { Logger } from '../log.js';
import type { VirtualRouterView } from '../sync/messages.js';
import { Bfd } from './bfd.js';
import { Basis, checkedFacts } from './basis.js';
import type { InForce } from './basis.js';
import { Commands } from './commands.js';
import { readConfigurationAside } from './configuration-reader.js';
import { Elections } from './elections.js';
import { Faults } from './faults.js';
import { handOver, peerIsFilled } from './hand-over.js';
import type { DrainRequest } from './hand-over.js';
import { Liveness } from './liveness.js';
import { NextHops } from './next-hops.js';
import { Notifier } from './notifier.js';
import { portLogLine } from './port-log.js';
import { Servers } from './servers.js';
import { SlowPackets } from './slow-packets.js';
import { Sessions } from './sessions.js';
import { countersOf, hookName, metricsSource, routersOf, statusOf } from './status.js';
import { Synchronisation } from './synchronisation.js';
import { Trackers } from './trackers.js';
import { withPenalty } from './tracking.js';
import { Watchers } from './watchers.js';

export interface GatewayOptions {
  readonly configFile: string;
  readonly log: Logger;
}

/** An end does not wait longer for those who are told of it. */
const NOTIFY_LIMIT_MS = 2000;
/** Programs are built beside the compiled TypeScript. */
const OBJECT_PATH = fileURLToPath(new URL('../../dist/bpf/floatgate.bpf.o', import.meta.url));
const VERSION = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

export class Gateway {
  readonly #configFile: string;
  readonly #basis: Basis;
  readonly #nextHops: NextHops;
  readonly #slowPackets: SlowPackets;
  readonly #faults: Faults;
  readonly #liveness: Liveness;
  readonly #synchronisation: Synchronisation;
  readonly #bfd: Bfd;
  readonly #elections: Elections;
  readonly #commands = new Commands();
  readonly #notifier: Notifier;
  readonly #watchers: Watchers;
  readonly #trackers: Trackers;
  readonly #sessions: Sessions;
  readonly #servers: Servers;
  readonly #startedAt = new Date();
  #attached: readonly AttachedInterface[] = [];
  #ticking: NodeJS.Timeout | undefined;
  /** The end of the last reload, however it ended. */
  #reloaded: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  /** Resolves when packets are forwarded or could be, and the API answers. @throws Error with one sentence */
  static async start({ configFile, log }: GatewayOptions): Promise<Gateway> {
    const configuration = logged(readConfiguration(configFile), log);
    log.level = configuration.log.level;
    mkdirSync(configuration.stateDirectory, { recursive: true, mode: 0o700 });
    const { socket } = statePaths(configuration.stateDirectory);
    if (await answers(socket)) throw new Error(`another floatgate answers on ${socket}: one daemon per state directory`);
    checkObject(OBJECT_PATH);
    const netlink = new RouteNetlink();
    try {
      // Before the first dump, so that no change falls in between.
      netlink.watch();
      const inForce = { configuration, nodes: await readNode(configuration.interfaces, netlink) };
      const installation = Installation.open({
        objectPath: OBJECT_PATH, configuration, facts: checkedFacts(inForce, log), checkLayout, onDiscard: (sentence) => log.warn(sentence),
      });
      const gateway = new Gateway(configFile, new Basis({ log, netlink, installation, inForce }));
      await gateway.#startOrClose();
      return gateway;
    } catch (error) {
      netlink.close();
      throw error;
    }
  }

  private constructor(configFile: string, basis: Basis) {
    this.#configFile = configFile;
    this.#basis = basis;
    this.#nextHops = new NextHops(basis, {
      peerResolved: (mac) => this.#synchronisation.peerResolved(mac),
      gatewayResolved: () => this.#elections.judgeFaults(),
      underlayResolved: (address, mac) => this.#synchronisation.underlayResolved(address, mac),
    });
    this.#slowPackets = new SlowPackets(basis, this.#nextHops);
    this.#faults = new Faults(basis, this.#nextHops);
    this.#notifier = new Notifier({ run: (command) => this.#commands.run(command), warn: (fields, sentence) => basis.log.warn(fields, sentence) });
    this.#watchers = new Watchers(basis, this.#commands);
    this.#trackers = new Trackers({ makers: this.#watchers.makers, log: basis.log, changed: () => this.#elections.judgeFaults() });
    this.#liveness = new Liveness(basis, {
      changed: (died) => this.#elections.peerChanged(died),
      askUnderlay: (address) => this.#nextHops.askUnderlay(address),
    });
    this.#synchronisation = new Synchronisation(basis, this.#liveness, {
      views: () => this.#elections.views,
      synchronisedChanged: (synchronised) => this.#elections.setSynchronised(synchronised),
      peerRolesHeard: (views) => this.#peerRolesHeard(views),
      wantPeer: (address) => this.#nextHops.wantPeer(address),
    });
    this.#bfd = new Bfd(basis, { changed: () => this.#elections.judgeFaults() });
    this.#elections = new Elections(basis, {
      faults: this.#faults,
      liveness: this.#liveness,
      judgementOf: (vrid) => withPenalty(this.#trackers.judgementOf(vrid), this.#bfd.penaltyOf(vrid)),
      synchronised: () => this.#synchronisation.synchronised,
      peerView: () => this.#synchronisation.peerView,
      tunnelsUp: (vrid) => this.#bfd.tunnelsUp(vrid),
      rolesChanged: () => {
        this.#bfd.rolesChanged((vrid) => this.#elections.isHandingOver(vrid));
        this.#synchronisation.rolesChanged();
      },
      stateChanged: (change) => this.#notifier.tell(change),
      underlayMac: (address) => this.#nextHops.underlayMac(address),
    });
    this.#sessions = new Sessions(basis, this.#synchronisation);
    this.#servers = new Servers(metricsSource({ ...this.#parts, sessions: this.#sessions, version: VERSION }));
  }

  get #parts() {
    return {
      basis: this.#basis, bfd: this.#bfd, elections: this.#elections, nextHops: this.#nextHops, slowPackets: this.#slowPackets, synchronisation: this.#synchronisation,
      faults: this.#faults, trackers: this.#trackers,
    };
  }

  // -------------------------------------------------------------------- start

  async #startOrClose(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { log, dataPlane, installation, inForce: { nodes } } = this.#basis;
    for (const warning of interfaceWarnings(nodes)) log.warn(warning);
    this.#watchKernel();
    this.#synchronisation.start();
    this.#synchronisation.resume();
    dataPlane.onEvent((event) => this.#dataPlaneEvent(event));
    this.#attach();
    await this.#openFilters();
    await this.#warnOfTags();
    await this.#readKernel();
    this.#nextHops.follow(installation.state.neighbourTargets);
    this.#prepareNotifier();
    this.#trackers.follow(this.#basis.configuration.virtualRouters);
    // Before the elections: loading the servers takes longer than an advertisement may wait.
    await this.#serve();
    this.#bfd.follow();
    this.#elections.follow();
    this.#ticking = setInterval(() => this.#tick(), RESOLVER_TICK_MS);
    log.info({ adopted: dataPlane.adopted, pid: process.pid, version: VERSION }, 'gateway started');
  }

  #prepareNotifier(): void {
    const { notify, gateway, virtualRouters } = this.#basis.configuration;
    this.#notifier.configure(notify, gateway.name);
    if (notify?.command !== undefined || virtualRouters.some(({ track }) => track.some(({ kind }) => kind === 'script'))) this.#commands.prepare();
  }

  #attach(): void {
    const { log, dataPlane, inForce: { nodes }, configuration: { interfaces } } = this.#basis;
    this.#attached = dataPlane.attach(nodes, { underlay: interfaces.underlay.mode, external: interfaces.external.mode, ha: interfaces.ha?.mode ?? 'auto' },
      (why) => log.warn(`${why}: the programs run at tc`));
    for (const { node, mode, replaced } of this.#attached) {
      log.info({ interface: node.name, role: node.role, hook: hookName(mode), mtu: node.mtu, replaced }, 'program attached');
    }
  }

  /** A card lets nothing in for the virtual MACs by itself. */
  async #openFilters(): Promise<void> {
    const { log, netlink, configuration, inForce } = this.#basis;
    const nodes = inForce.nodes.filter(({ role }) => role !== 'ha');
    const wanted = nodes.flatMap(({ name, ifindex }) => configuration.virtualRouters.map(({ vrid }) => ({ name, ifindex, mac: virtualRouterMac(vrid) })));
    await openFilters(statePaths(configuration.stateDirectory).filters, wanted, netlink, { warn: (sentence) => log.warn(sentence), error: (sentence) => log.error(sentence) });
  }

  /** Where the kernel can tell what its cards do by themselves. */
  async #warnOfTags(): Promise<void> {
    const { log, configuration: { interfaces, externalNetworks } } = this.#basis;
    const isTagged = { underlay: interfaces.underlay.vlan !== 0, external: externalNetworks.some(({ vlan }) => vlan !== 0), ha: false };
    for (const { node: { role, name, ifindex }, mode } of this.#attached.filter(({ node }) => isTagged[node.role])) {
      const active = await activeFeatures(ifindex).catch(() => new Set<string>());
      const warning = tagWarning({ name, isXdp: mode !== 'tc', isKnownToKernel: role === 'underlay' }, active);
      if (warning !== undefined) log.warn(warning);
    }
  }

  async #serve(): Promise<void> {
    const { stateDirectory, metrics } = this.#basis.configuration;
    await this.#servers.serveApi({
      status: () => this.status(),
      routers: (name) => routersOf({ ...this.#parts, startedAt: this.#startedAt }, name),
      counters: () => countersOf(this.#basis, () => true),
      drain: (request) => this.drain(request),
      undrain: async (vrids) => this.undrain(vrids),
      reload: () => this.reload(),
      sessions: (query) => this.#sessions.sessions(query),
      countSessions: (query) => this.#sessions.countSessions(query),
      killSessions: (query) => this.#sessions.killSessions(query),
      floatingIps: (query) => this.#sessions.floatingIps(query),
    }, statePaths(stateDirectory).socket);
    await this.#servers.serveMetrics(metrics?.listen);
  }

  // ------------------------------------------------------------------- events

  #watchKernel(): void {
    const { netlink, log } = this.#basis;
    netlink.on('link', (link, change) => {
      this.#watchers.links.observe(link, change === 'removed');
      this.#linkObserved(link.index, change !== 'removed' && link.up && link.running);
    });
    netlink.on('neighbour', (neighbour, change) => this.#nextHops.observe(neighbour, change === 'removed'));
    netlink.on('resync', () => void this.#readKernel().catch((error: Error) => log.error(`the kernel's links and neighbours cannot be read: ${error.message}`)));
    netlink.on('error', (error) => log.error(error.message));
  }

  /** At start, and when the kernel had to discard events. */
  async #readKernel(): Promise<void> {
    const links = await this.#basis.netlink.links();
    this.#watchers.links.replace(links);
    for (const { ifindex } of this.#basis.inForce.nodes) {
      const link = links.find(({ index }) => index === ifindex);
      this.#linkObserved(ifindex, link !== undefined && link.up && link.running);
    }
    await this.#nextHops.readKernel();
  }

  /** First what they say of now: a term may be another Active's, which is to be followed and not outbid. */
  #peerRolesHeard(views: readonly VirtualRouterView[]): void {
    this.#liveness.viewsHeard(views);
    this.#bfd.peerRolesHeard(views);
    this.#elections.peerRolesHeard(views);
  }

  #linkObserved(ifindex: number, works: boolean): void {
    if (this.#faults.linkObserved(ifindex, works)) this.#elections.judgeFaults();
  }

  #dataPlaneEvent(event: DataPlaneEvent): void {
    switch (event.type) {
      case eventType.neighbourUnresolved:
        return this.#nextHops.unresolved(event);
      case eventType.neighbourHeard:
        return this.#neighbourHeard(event);
      case eventType.bfd:
        return this.#bfd.reported(event);
      case eventType.advertisement:
        return this.#elections.advertisementReceived(event);
      case eventType.endpointUnresolved:
        return this.#slowPackets.endpointUnresolved(event);
      case eventType.fragmentEarly:
        return this.#slowPackets.fragmentEarly(event);
      case eventType.fragmentationNeeded:
        return this.#slowPackets.fragmentationNeeded(event);
      case eventType.frameUnfinished:
        return this.#slowPackets.frameUnfinished(event);
      case eventType.syncMessage:
        return this.#synchronisation.messageReceived(event);
      case eventType.peerSilent:
        return this.#synchronisation.silenceReported();
      case eventType.portsAllocated:
      case eventType.portsReleased:
        return this.#portsTold(event);
      case eventType.record:
        return this.#synchronisation.recordReceived(event);
      default:
        this.#basis.log.warn({ type: event.type }, 'an event of a type that this version does not know');
    }
  }

  #neighbourHeard(event: DataPlaneEvent): void {
    this.#watchers.arp.heard(event.interface, event.vlan, event.address);
    this.#nextHops.heard(event);
  }

  #portsTold(event: DataPlaneEvent): void {
    const line = portLogLine(event, this.#basis.configuration);
    if (line !== undefined) this.#basis.log.info(line, line.reason === 'ports_allocated' ? 'ports allocated' : 'ports released');
  }

  /** What must be noticed without an event. */
  #tick(): void {
    this.#nextHops.tick();
    this.#liveness.tick();
    this.#synchronisation.tick();
    this.#elections.tick();
    this.#bfd.tick();
  }

  // ------------------------------------------------------------------ actions

  status(): Status {
    return statusOf({ ...this.#parts, attached: this.#attached, startedAt: this.#startedAt, version: VERSION });
  }

  /** Hands over everything, or some virtual routers; resolves when nothing is forwarded for them here any more, with their VRIDs. @throws ApiConflict when nobody can go on without a loss */
  async drain(request: DrainRequest): Promise<readonly number[]> {
    return handOver({ ...this.#parts, configuration: this.#basis.configuration, stopping: () => this.#stopping !== undefined }, request);
  }

  /** `vrids` undefined: all. @returns those that were drained @throws ApiConflict when none was */
  undrain(vrids: readonly number[] | undefined): readonly number[] {
    const drained = this.#elections.chosen(vrids).filter(({ election }) => election.status().drained).map(({ configuration: { vrid } }) => vrid);
    if (drained.length === 0) throw new ApiConflict(vrids === undefined ? 'this gateway is not drained' : `not drained: virtual router ${vrids.join(', ')}`);
    this.#elections.undrain(vrids === undefined ? 'all' : drained);
    return drained;
  }

  /** Reads the configuration again and changes what differs; one at a time. @throws Error; the last good one stays in force then */
  async reload(): Promise<{ changes: number }> {
    const reloading = this.#reloaded.then(() => this.#reload());
    this.#reloaded = reloading.catch(() => undefined);
    return reloading;
  }

  async #reload(): Promise<{ changes: number }> {
    if (this.#stopping !== undefined) throw new ApiConflict('this gateway is stopping');
    const { log, netlink, installation } = this.#basis;
    const configuration = logged(await readConfigurationAside(this.#configFile), log);
    const wanted = { configuration, nodes: await readNode(configuration.interfaces, netlink) };
    const prepared = await installation.prepare(configuration, checkedFacts(wanted, log));
    try {
      await this.#elections.stopMissingFrom(configuration);
      await installation.carryOut(prepared);
    } catch (error) {
      this.#elections.follow();
      throw error;
    }
    await this.#follow(wanted);
    const changes = prepared.changes.length;
    log.info({ changes }, 'configuration reloaded');
    return { changes };
  }

  /** The maps hold the new configuration: now everything else. */
  async #follow(wanted: InForce): Promise<void> {
    const before = this.#basis.inForce;
    this.#basis.inForce = wanted;
    this.#basis.log.level = wanted.configuration.log.level;
    await this.#openFilters();
    this.#nextHops.follow(this.#basis.installation.state.neighbourTargets);
    if (!isDeepStrictEqual(linkSettings(before), linkSettings(wanted))) {
      this.#synchronisation.restart(this.#nextHops.peerMac);
      this.#elections.setSynchronised(this.#synchronisation.synchronised);
    }
    this.#prepareNotifier();
    this.#trackers.follow(wanted.configuration.virtualRouters);
    this.#bfd.follow();
    this.#elections.follow();
    this.#elections.judgeFaults();
    await this.#servers.serveMetrics(wanted.configuration.metrics?.listen);
  }

  /**
   * Ends this process's part. With a peer that listens, everything is handed
   * over first; alone, the pinned programs go on forwarding for the next daemon.
   */
  stop({ detach }: { readonly detach: boolean }): Promise<void> {
    this.#stopping ??= this.#stop(detach);
    return this.#stopping;
  }

  async #stop(detach: boolean): Promise<void> {
    const { log, configuration } = this.#basis;
    const handOver = detach || this.#synchronisation.peerListens;
    log.info({ handOver, detach }, 'stopping');
    await this.#reloaded;
    if (handOver && !(await peerIsFilled(this.#synchronisation))) log.warn('handing over to a peer that does not hold all of our sessions');
    if (handOver) await this.#elections.shutdown();
    await this.#notifier.finished(NOTIFY_LIMIT_MS);
    await this.#close();
    if (detach) await giveUp(configuration.stateDirectory);
    log.info({ detached: detach }, 'gateway stopped');
  }

  /** Servers first: nobody is to ask for what is no longer there. */
  async #close(): Promise<void> {
    clearInterval(this.#ticking);
    await this.#servers.close();
    this.#elections.close();
    this.#trackers.close();
    this.#watchers.close();
    this.#notifier.close();
    this.#commands.close();
    this.#bfd.close();
    this.#slowPackets.close();
    this.#nextHops.close();
    this.#synchronisation.close();
    this.#basis.netlink.close();
    this.#basis.dataPlane.close();
  }
}

/** What a link to the peer is made from. */
function linkSettings({ configuration: { sync, peer, gateway }, nodes }: InForce): unknown {
  const ha = nodes.find(({ role }) => role === 'ha');
  return [sync, peer, gateway, ha?.mac.toString('hex'), ha?.address];
}

function logged({ configuration, warnings }: ReadConfiguration, log: Logger): ReadConfiguration['configuration'] {
  for (const { message, code } of warnings) log.warn({ code }, message);
  return configuration;
}
