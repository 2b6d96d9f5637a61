/** One election for each virtual router, between the programs' roles and the world. */
import { PacketSocket, Repeater } from 'libbpf-ts';
import type { RepeaterMessage } from 'libbpf-ts';
import { ApiConflict } from '../api/server.js';
import type { Configuration, VirtualRouterConfiguration } from '../config/schema.js';
import type { DataPlaneEvent } from '../dataplane/events.js';
import type { Role } from '../dataplane/interfaces.js';
import { virtualRouterState } from '../dataplane/layout.generated.js';
import { statePaths } from '../dataplane/state-paths.js';
import { RoleWriter } from '../dataplane/role-writer.js';
import type { VirtualRouterView } from '../sync/messages.js';
import { adoptedTerm } from '../sync/terms.js';
import type { ElectionSockets } from '../vrrp/advertiser.js';
import type { FrameSender } from '../vrrp/announcer.js';
import { Election } from '../vrrp/election.js';
import type { ElectionActions, ElectionStatus } from '../vrrp/election.js';
import { parseIpv4 } from '../vrrp/ipv4.js';
import type { VirtualRouterOptions } from '../vrrp/options.js';
import { repeatByThread } from '../vrrp/repetition.js';
import type { Outgoing } from '../vrrp/repetition.js';
import { openElectionInterface } from '../vrrp/sockets.js';
import type { ElectionInterface } from '../vrrp/sockets.js';
import { monotonicNs } from './basis.js';
import type { Basis } from './basis.js';
import { Drained } from './drained.js';
import { electionOptions } from './election-options.js';
import { externalAddressesOf, externalSide } from './external-side.js';
import type { Faults } from './faults.js';
import { leaseUntil, wouldFollow } from './lease.js';
import type { PeerView } from './lease.js';
import type { Liveness } from './liveness.js';
import type { StateChange } from './notifier.js';
import { publicState, reasonOf } from './public-state.js';
import type { PublicState } from './public-state.js';
import { toYield, withSiblings } from './sync-groups.js';
import type { Member } from './sync-groups.js';
import type { Judgement } from './tracking.js';
import { openTrunk, TaggedUnderlay } from './tagged-underlay.js';

export interface ElectionsPorts {
  readonly faults: Faults;
  readonly liveness: Liveness;
  /** What the things that it tracks make of its role. */
  judgementOf(vrid: number): Judgement;
  /** Whether we hold all that the peer has, or there is none. */
  synchronised(): boolean;
  /** Undefined: nothing is replicated. */
  peerView(): PeerView | undefined;
  /** Compute nodes whose BFD is Up; undefined: nobody watches. */
  tunnelsUp(vrid: number): number | undefined;
  /** The peer should hear of our roles now. */
  rolesChanged(): void;
  /** A virtual router is something else now. */
  stateChanged(change: StateChange): void;
  /** Of a next hop on the underlay; undefined while it does not answer. */
  underlayMac(address: number): Buffer | undefined;
}

export interface RunningElection {
  readonly configuration: VirtualRouterConfiguration;
  readonly election: Election;
}

export class Elections {
  readonly #basis: Basis;
  readonly #ports: ElectionsPorts;
  readonly #roles: RoleWriter;
  readonly #running = new Map<number, RunningElection>();
  /** Advertises while the event loop is busy. */
  readonly #repeater = new Repeater();
  /** For gratuitous ARP. */
  readonly #announcers = new Map<Role, PacketSocket>();
  /** All that is heard on an underlay without a VLAN, or said and heard on one with; made by the first election. */
  #untagged: ElectionInterface | undefined;
  #tagged: TaggedUnderlay | undefined;
  readonly #drained: Drained;
  #telling: NodeJS.Immediate | undefined;
  #judging: NodeJS.Immediate | undefined;
  /** What each was told to be. */
  readonly #toldStates = new Map<number, PublicState>();
  #leaving = false;

  constructor(basis: Basis, ports: ElectionsPorts) {
    this.#basis = basis;
    this.#ports = ports;
    this.#drained = new Drained(statePaths(basis.configuration.stateDirectory).drained, (sentence) => basis.log.warn(sentence));
    this.#roles = new RoleWriter(basis.dataPlane.roles, monotonicNs);
  }

  get running(): readonly RunningElection[] {
    return [...this.#running.values()];
  }

  /** What the peer is told of each: role and term as the programs hold them, how unfit we are for it, and whose tunnels are Up. */
  get views(): VirtualRouterView[] {
    return [...this.#running.keys()].map((vrid) => {
      const { state, term } = this.#basis.dataPlane.roles.read(vrid);
      const tunnelsUp = this.#ports.tunnelsUp(vrid);
      const penalty = this.#penaltyOf(vrid) + this.#ports.liveness.penalty;
      return { vrid, state, term, penalty, ...(tunnelsUp !== undefined && { tunnelsUp }) };
    });
  }

  #penaltyOf(vrid: number): number {
    return this.#running.get(vrid)?.election.penalty ?? 0;
  }

  /** What is known of the peer has changed. `died`: it has just stopped answering on all ways at once. */
  peerChanged(died: boolean): void {
    for (const [vrid, { election }] of this.#running) election.peerSeen(this.#ports.liveness.sightOf(vrid, this.#penaltyOf(vrid)), died);
  }

  /** All of them are drained, or being drained. */
  get draining(): boolean {
    return this.#running.size > 0 && this.running.every(({ election }) => election.status().drained);
  }

  /** Every virtual router takes part that the configuration in force has; those that do already learn what is new about them. */
  follow(): void {
    for (const configuration of this.#basis.configuration.virtualRouters) {
      const running = this.#running.get(configuration.vrid);
      if (running === undefined) this.#start(configuration);
      else this.#change(running.election, configuration);
    }
  }

  /** It gives the role away, and still forwards. */
  isHandingOver(vrid: number): boolean {
    return this.#running.get(vrid)?.election.status().state === 'HandingOver';
  }

  /** Takes virtual routers out that a configuration has no longer; resolves when nothing is forwarded for them. */
  async stopMissingFrom({ virtualRouters }: Configuration): Promise<void> {
    const gone = [...this.#running].filter(([vrid]) => !virtualRouters.some((router) => router.vrid === vrid));
    await Promise.all(gone.map(async ([vrid, { election }]) => {
      await election.shutdown();
      election.close();
      this.#running.delete(vrid);
      this.#toldStates.delete(vrid);
    }));
  }

  judgeFaults(): void {
    if (this.#leaving) return;
    for (const [vrid, { election }] of this.#running) this.#judge(vrid, election, election.status().state === 'Active');
    this.#keepGroupsTogether();
  }

  /** Once, however many change in a moment. */
  #judgeSoon(): void {
    this.#judging ??= setImmediate(() => {
      this.#judging = undefined;
      this.judgeFaults();
    });
  }

  #keepGroupsTogether(): void {
    if (![...this.#running.values()].some(({ configuration }) => configuration.syncGroup !== undefined)) return;
    const members = this.running.map(({ configuration, election }) => this.#memberOf(configuration, election.status()));
    for (const vrid of toYield(members)) this.#running.get(vrid)?.election.yieldRole();
  }

  #memberOf({ vrid, interface: role, syncGroup: group }: VirtualRouterConfiguration, { state, effectivePriority, lastAdvertisement }: ElectionStatus): Member {
    const fresh = lastAdvertisement !== undefined && lastAdvertisement.priority > 0
      && monotonicNs() - lastAdvertisement.atNs < BigInt(lastAdvertisement.intervalUs) * 3_000n;
    return {
      vrid, group, state, rank: { priority: effectivePriority, address: this.#basis.node(role).address },
      follows: fresh ? { priority: lastAdvertisement.priority, address: parseIpv4(lastAdvertisement.source) } : undefined,
    };
  }

  #judge(vrid: number, election: Election, isActive: boolean): void {
    const { faults } = this.#ports;
    const judgement = this.#ports.judgementOf(vrid);
    election.setPenalty(judgement.penalty);
    election.setFaulty(faults.links || judgement.faulty || (!isActive && faults.hesitates(judgement)));
  }

  /** What comes without an event: terms that records brought, another Active where we inherited the role. */
  tick(): void {
    this.judgeFaults();
    for (const vrid of this.#running.keys()) this.#tellState(vrid);
    for (const [vrid, { election }] of this.#running) {
      const { state, term } = this.#basis.dataPlane.roles.read(vrid);
      if (state !== virtualRouterState.active) election.termSeen(term);
      const heard = election.status().lastAdvertisement;
      if (this.#roles.isInherited(vrid) && heard !== undefined && heard.priority > 0) this.#roles.release(vrid);
    }
  }

  setSynchronised(synchronised: boolean): void {
    for (const { election } of this.#running.values()) election.setSynchronised(synchronised);
  }

  peerRolesHeard(views: readonly VirtualRouterView[]): void {
    const { configuration, dataPlane } = this.#basis;
    const ours = new Set(configuration.virtualRouters.map(({ vrid }) => vrid));
    for (const { vrid, term } of views.filter((view) => ours.has(view.vrid))) {
      // Also before our election runs: it starts from the term that it finds.
      dataPlane.roles.raiseTerm(vrid, adoptedTerm(dataPlane.roles.read(vrid), term));
      this.#running.get(vrid)?.election.termSeen(term);
    }
  }

  /** The programs have seen one on a tagged underlay. */
  advertisementReceived(event: DataPlaneEvent): void {
    this.#tagged?.received(event);
  }

  /** These, or all, and those that are in a sync group with one of them. @throws ApiConflict for a VRID that there is not */
  chosen(vrids: readonly number[] | undefined): RunningElection[] {
    const unknown = vrids?.find((vrid) => !this.#running.has(vrid));
    if (unknown !== undefined) throw new ApiConflict(`this gateway has no virtual router ${unknown}: it has ${[...this.#running.keys()].join(', ') || 'none'}`);
    const wanted = vrids && withSiblings(vrids, this.#basis.configuration.virtualRouters);
    return this.running.filter(({ configuration: { vrid } }) => wanted === undefined || wanted.includes(vrid));
  }

  /** They stay so, also over a restart of the daemon. */
  rememberDrained(vrids: readonly number[] | 'all'): void {
    this.#drained.add(vrids);
  }

  undrain(vrids: readonly number[] | 'all'): void {
    this.#drained.remove(vrids, [...this.#running.keys()]);
    for (const [vrid, { election }] of this.#running) if (vrids === 'all' || vrids.includes(vrid)) election.undrain();
  }

  /** Hands everything over for good; resolves when nothing is forwarded any more. */
  async shutdown(): Promise<void> {
    this.#leaving = true;
    await Promise.all(this.running.map(({ election }) => election.shutdown()));
  }

  /** Behind the advertisement that goes with the role: who hears both is to go by VRRP. */
  #tellPeer(): void {
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined;
      this.#ports.rolesChanged();
    });
  }

  /** Says nothing to anyone: the programs keep their roles. */
  close(): void {
    clearImmediate(this.#telling);
    clearImmediate(this.#judging);
    for (const { election } of this.#running.values()) election.close();
    for (const socket of this.#announcers.values()) socket.close();
    this.#repeater.close();
    this.#untagged?.close();
    this.#tagged?.close();
  }

  #start(configuration: VirtualRouterConfiguration): void {
    const { vrid } = configuration;
    const { term, resume } = this.#roles.inherit(vrid, this.#basis.configuration.peer !== undefined);
    const election = new Election({
      options: this.#optionsOf(configuration),
      synchronised: this.#ports.synchronised(),
      highestTerm: term,
      sockets: this.#socketsOf(configuration),
      announce: [
        { sender: this.#isTagged ? this.#taggedUnderlay() : this.#announcer('underlay'), addresses: () => [this.#running.get(vrid)?.configuration.address ?? configuration.address] },
        externalSide(this.#announcer('external'), () => externalAddressesOf(this.#basis.configuration, vrid)),
      ],
      actions: this.#actionsOf(vrid),
    });
    this.#running.set(vrid, { configuration, election });
    this.#judge(vrid, election, resume);
    election.peerSeen(this.#ports.liveness.sightOf(vrid, this.#penaltyOf(vrid)), false);
    if (this.#drained.has(vrid)) election.drain();
    election.start(resume ? { term } : undefined);
  }

  #change(election: Election, configuration: VirtualRouterConfiguration): void {
    election.reconfigure(this.#optionsOf(configuration));
    this.#running.set(configuration.vrid, { configuration, election });
    election.announce();
  }

  #actionsOf(vrid: number): ElectionActions {
    const { log, dataPlane } = this.#basis;
    return {
      setRole: (role) => {
        this.#roles.setRole(vrid, role.role, role.role === 'active' ? role.term : 0);
        this.#tellPeer();
      },
      renewLease: (untilNs) => dataPlane.roles.renewLease(vrid, leaseUntil(untilNs, monotonicNs(), wouldFollow(this.#ports.peerView(), vrid))),
      transition: ({ from, to, reason, term }) => {
        log.info({ vrid, from, to, reason, term }, `virtual router ${vrid}: ${from} → ${to}`);
        this.#tellState(vrid);
        // After the effects of this one: siblings may have to follow.
        this.#judgeSoon();
      },
      notice: (kind, sentence) => log.warn({ vrid, reason: kind }, sentence),
    };
  }

  /** Also of what makes no transition: a hold on one that is out of the election already. */
  #tellState(vrid: number): void {
    const status = this.#running.get(vrid)?.election.status();
    if (status === undefined) return;
    const [state, previous] = [publicState(status), this.#toldStates.get(vrid) ?? 'stopped'];
    this.#toldStates.set(vrid, state);
    if (state !== previous) this.#ports.stateChanged({ vrid, state, previous, reason: reasonOf(status), priority: status.effectivePriority, term: status.term });
  }

  #optionsOf(configuration: VirtualRouterConfiguration): VirtualRouterOptions {
    return electionOptions(configuration, this.#basis.node(configuration.interface).address);
  }

  get #isTagged(): boolean {
    return this.#basis.configuration.interfaces.underlay.vlan !== 0;
  }

  #socketsOf({ vrid, interface: role }: VirtualRouterConfiguration): ElectionSockets {
    if (!this.#isTagged) this.#untagged ??= openElectionInterface(this.#basis.node(role).name);
    const sockets = (this.#untagged ?? this.#taggedUnderlay()).socketsOf(vrid);
    const { dataPlane } = this.#basis;
    return {
      ...sockets,
      noted: () => dataPlane.advertisementNotes.unread(vrid),
      repeat: (start) => repeatByThread(this.#repeater, start, (advert) => this.#messageOf(vrid, advert), dataPlane.leaseWord(vrid)),
    };
  }

  #messageOf(vrid: number, advert: Outgoing): RepeaterMessage | undefined {
    const { ifindex } = this.#basis.node('underlay');
    if (!this.#isTagged) return { interface: ifindex, ...advert };
    const frame = this.#taggedUnderlay().frameOf(vrid, advert);
    return frame && { interface: ifindex, frame };
  }

  #taggedUnderlay(): TaggedUnderlay {
    const { vlan } = this.#basis.configuration.interfaces.underlay;
    const { name } = this.#basis.node('underlay');
    this.#tagged ??= new TaggedUnderlay({ vlan, socket: openTrunk(name, this.#told(name)), macOf: (address) => this.#ports.underlayMac(address) });
    return this.#tagged;
  }

  #announcer(role: Role): FrameSender {
    const known = this.#announcers.get(role);
    if (known !== undefined) return known;
    const { name } = this.#basis.node(role);
    const socket = new PacketSocket({ interface: name });
    socket.on('error', this.#told(name));
    this.#announcers.set(role, socket);
    return socket;
  }

  /** What a link that is down means is told by netlink. */
  #told(name: string): (error: Error) => void {
    return (error) => this.#basis.log.debug({ interface: name }, error.message);
  }
}
