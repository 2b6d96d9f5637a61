/** Floating IPs in the local API's answers; additions only, for other people's scripts read it. */

export interface FloatingIpView {
  readonly address: string;
  readonly router: string;
  readonly network: string;
  /** Of the VM. */
  readonly fixedIp: string;
  /** VRID of the virtual router that carries it. */
  readonly vrid: number;
  /** Of that virtual router here: 'initialize' | 'backup' | 'active' | 'draining' */
  readonly state: string;
  /** Whether this gateway answers for the address: it is Active. */
  readonly answers: boolean;
  /** The compute that the VM is on; absent: nothing was heard of the VM yet. */
  readonly compute?: string | undefined;
  /** The VM's MAC address. */
  readonly mac?: string | undefined;
  /** Since the VM was last heard, to about a second. */
  readonly idleSeconds?: number | undefined;
  /** From outside to the VM, since the gateway's tables were made. */
  readonly inbound: Traffic;
  readonly outbound: Traffic;
}

/** Exact as long as they are below 2^53. Bytes of IPv4 packets. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface FloatingIpPage {
  readonly floatingIps: readonly FloatingIpView[];
  /** To be given as `after`; absent: this was the last page. */
  readonly next?: string | undefined;
}
