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
  readonly priority: number;
  readonly address: string;
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
