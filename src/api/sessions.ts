/** Sessions in the local API's answers; additions only, for other people's scripts read it. */

/** A mapping with one remote endpoint. */
export interface SessionView {
  /** 'tcp' | 'udp' | 'icmp' */
  readonly protocol: string;
  /** Absent, like `network`: the configuration does not have it any more. */
  readonly router?: string | undefined;
  readonly network?: string | undefined;
  readonly internalAddress: string;
  /** Or the identifier of an ICMP query. */
  readonly internalPort: number;
  readonly externalAddress: string;
  readonly externalPort: number;
  readonly remoteAddress: string;
  /** Absent: the session is with all ports of the remote (RFC 4787 REQ-8). */
  readonly remotePort?: number | undefined;
  /** 'transitory' | 'established' | 'closing' */
  readonly state: string;
  /** To about a second; on a gateway that is not Active for it, since the peer last told of it. */
  readonly idleSeconds: number;
  /** The peer holds it as well. */
  readonly protected: boolean;
}

export interface SessionPage {
  readonly sessions: readonly SessionView[];
  /** Where the next page starts; absent: this was the last one. A page can be empty and yet have a next one. */
  readonly next?: string | undefined;
}

export interface SessionCount {
  readonly sessions: number;
  /** Only with `by`: the largest groups, largest first. */
  readonly groups?: readonly SessionGroup[] | undefined;
  /** Groups that are not among these. */
  readonly moreGroups?: number | undefined;
}

export interface SessionGroup {
  readonly group: string;
  readonly sessions: number;
}

export interface SessionsKilled {
  readonly killed: number;
  /** Sessions of virtual routers that are not Active here. */
  readonly notActiveHere: number;
  /** Where to go on; absent: that was all. */
  readonly next?: string | undefined;
}
