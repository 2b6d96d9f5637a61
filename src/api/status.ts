/** The shape of the local API's answers; additions only, for other people's scripts read it. */

export interface Status {
  readonly gateway: {
    readonly name: string;
    readonly id: number;
    readonly pid: number;
    /** ISO 8601. */
    readonly startedAt: string;
    /** Whether the maps of an earlier daemon were adopted at start. */
    readonly adopted: boolean;
    readonly draining: boolean;
    /** floatgate's version. */
    readonly version: string;
  };
  readonly virtualRouters: readonly VirtualRouterStatus[];
  /** What virtual routers depend on, each thing once. */
  readonly tracked: readonly TrackedStatus[];
  readonly peer: PeerStatus;
  readonly interfaces: readonly InterfaceStatus[];
  readonly neighbours: { readonly resolved: number; readonly unresolved: number; readonly heldFrames: number; readonly heldFramesDropped: number };
  /** Reasons that have counted something, by name. Packets and bytes are exact as long as they are below 2^53. */
  readonly counters: Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;
}

export interface DrainAnswer {
  readonly draining: boolean;
  /** VRIDs of those that it came true for. */
  readonly virtualRouters: readonly number[];
}

export interface VirtualRouterStatus {
  readonly vrid: number;
  /** 'initialize' | 'backup' | 'active' | 'draining', as the programs hold it. */
  readonly state: string;
  readonly term: number;
  /** ISO 8601: when it came to be in this state. */
  readonly since: string;
  /** Why it came to be in this state. */
  readonly reason: string;
  /** As configured. */
  readonly priority: number;
  /** As advertised: less what tracked things that are down take away. */
  readonly effectivePriority: number;
  readonly address: string;
  /** 'active' | 'backup' | 'handing-over' | 'fault' | 'drained' | 'stopped', as the election has it: notifications say the same. */
  readonly condition: string;
  /** What is down and lowers the priority or is a fault, by name. */
  readonly causes: readonly string[];
  /** Out of the election until it is undrained. */
  readonly drained: boolean;
  readonly syncGroup?: string | undefined;
  /** The gateway that has the role; absent: none that we know of. */
  readonly activeOn?: string | undefined;
  /** 'initialize' | 'backup' | 'active' | 'draining' at the peer; absent: it has not said. */
  readonly peerState?: string | undefined;
  /** The last transitions, newest first. */
  readonly history: readonly Transition[];
  /** Absent where the configuration has it off. */
  readonly bfd?: BfdStatus | undefined;
}

/** What BFD (RFC 5880) says of the tunnels. */
export interface BfdStatus {
  /** 'whole': as far as is known. 'broken': Active, and no compute is heard. 'held': not trusted for a while after that. */
  readonly tunnels: string;
  /** Points taken from the priority over it. */
  readonly penalty: number;
  /** With compute nodes, while Active. */
  readonly sessions: readonly BfdSessionStatus[];
}

export interface BfdSessionStatus {
  /** The compute's tunnel endpoint. */
  readonly address: string;
  /** 'geneve' | 'vxlan' */
  readonly encapsulation: string;
  /** 'AdminDown' | 'Down' | 'Init' | 'Up' */
  readonly state: string;
  readonly remoteState: string;
  /** Why it was last not Up: RFC 5880 §4.1. */
  readonly diagnostic: number;
  /** After so much silence the compute is given up. */
  readonly detectionTimeMs: number;
  /** ISO 8601: since when it is in this state. */
  readonly since: string;
}

/** A tenant's router, and where it is carried. */
export interface RouterStatus {
  readonly name: string;
  readonly vrid: number;
  /** As in VirtualRouterStatus, of its virtual router. */
  readonly condition: string;
  readonly activeOn?: string | undefined;
  readonly since: string;
  readonly reason: string;
}

export interface TrackedStatus {
  /** Its kind and its target: `gateway 10.0.2.1`. */
  readonly name: string;
  /** 'link' | 'gateway' | 'script' */
  readonly kind: string;
  readonly state: 'up' | 'down' | 'unknown';
  /** What was seen last, for people. */
  readonly detail: string;
  /** ISO 8601: in this state. */
  readonly since: string;
  /** Who tracks it. `weight`: points that its loss takes from the priority; absent: its loss is a fault. */
  readonly virtualRouters: readonly { readonly vrid: number; readonly weight?: number | undefined }[];
}

export interface Transition {
  /** ISO 8601. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly reason: string;
}

export interface PeerStatus {
  readonly configured: boolean;
  readonly address?: string | undefined;
  readonly name?: string | undefined;
  readonly alive: boolean;
  /** Versions of replication. `theirs`: absent until its control plane was heard. `refused`: it is silent, and frames of a version that is not read arrive. */
  readonly wire: { readonly ours: number; readonly theirs?: number | undefined; readonly refused: boolean };
  /** This gateway holds all that its peer has (always true without a peer). */
  readonly synchronised: boolean;
  /** The peer holds all that this gateway has. */
  readonly holdsOurs: boolean;
  readonly syncMode: string;
  /** Whether the sums of all that both hold are the same; absent: not known, for they have not been compared yet or too much changes. */
  readonly tablesEqual?: boolean | undefined;
  /** Since they were found so. */
  readonly tablesComparedMs?: number | undefined;
  /** Of the last authentic frame; absent: never. */
  readonly lastHeardMs?: number | undefined;
  /** Interfaces on which its programs answer our heartbeats: 'ha', 'underlay'. */
  readonly answersOn: readonly string[];
  /** Frames come that are not sealed with our key: the peer may have another one. */
  readonly hearsOtherKey: boolean;
  readonly virtualRouters: readonly { readonly vrid: number; readonly state: string; readonly term: number }[];
}

export interface InterfaceStatus {
  /** 'underlay' | 'external' | 'ha' */
  readonly role: string;
  readonly name: string;
  /** Where its program runs: in the driver, in the kernel, or as a filter of the kernel. */
  readonly hook: 'xdp native' | 'xdp generic' | 'tc';
  readonly mtu: number;
  readonly address: string;
}
