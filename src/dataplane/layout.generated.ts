// Generated from floatgate.bpf.o by libbpf-ts/codegen: do not edit. Run `npm run generate`.
import type { Codec, EnumLayout, MapLayout, StructLayout } from 'libbpf-ts';

/** Changes whenever a struct, an enum or a map changes its layout. */
export const layoutHash = '7c1445e5b2e773698f710583757c3405';

function expectLength(actual: number, expected: number, field: string): void {
  if (actual !== expected) throw new RangeError(`${field} takes ${expected} elements, not ${actual}`);
}

function expectRoom(buffer: Buffer, offset: number, size: number, struct: string): void {
  if (offset + size <= buffer.length) return;
  throw new RangeError(`struct ${struct} takes ${size} bytes at ${offset}: the buffer has ${buffer.length}`);
}

/** enum advertisement_kind */
export const advertisementKind = {
  superior: 0,
  inferior: 1,
} as const;
export type AdvertisementKind = (typeof advertisementKind)[keyof typeof advertisementKind];
export const advertisementKindNames: readonly string[] = [
  'superior',
  'inferior',
];
export const advertisementKindCount = 2;

/** enum encapsulation */
export const encapsulation = {
  geneve: 0,
  vxlan: 1,
} as const;
export type Encapsulation = (typeof encapsulation)[keyof typeof encapsulation];
export const encapsulationNames: readonly string[] = [
  'geneve',
  'vxlan',
];

/** enum event_type */
export const eventType = {
  neighbourUnresolved: 1,
  syncMessage: 2,
  peerSilent: 3,
  record: 4,
  endpointUnresolved: 5,
  fragmentEarly: 6,
  fragmentationNeeded: 7,
  neighbourHeard: 8,
  frameUnfinished: 9,
  advertisement: 10,
  portsAllocated: 11,
  portsReleased: 12,
  bfd: 13,
} as const;
export type EventType = (typeof eventType)[keyof typeof eventType];
export const eventTypeNames: Readonly<Record<number, string>> = {
  1: 'neighbour_unresolved',
  2: 'sync_message',
  3: 'peer_silent',
  4: 'record',
  5: 'endpoint_unresolved',
  6: 'fragment_early',
  7: 'fragmentation_needed',
  8: 'neighbour_heard',
  9: 'frame_unfinished',
  10: 'advertisement',
  11: 'ports_allocated',
  12: 'ports_released',
  13: 'bfd',
};

/** enum external_address_kind */
export const externalAddressKind = {
  floatingIp: 1,
  router: 2,
} as const;
export type ExternalAddressKind = (typeof externalAddressKind)[keyof typeof externalAddressKind];
export const externalAddressKindNames: Readonly<Record<number, string>> = {
  1: 'floating_ip',
  2: 'router',
};

/** enum external_network_flag */
export const externalNetworkFlag = {
  hasRoutes: 1,
} as const;
export type ExternalNetworkFlag = (typeof externalNetworkFlag)[keyof typeof externalNetworkFlag];
export const externalNetworkFlagNames: Readonly<Record<number, string>> = {
  1: 'has_routes',
};

/** enum filtering_behaviour */
export const filteringBehaviour = {
  endpointIndependent: 0,
  addressDependent: 1,
  addressAndPortDependent: 2,
} as const;
export type FilteringBehaviour = (typeof filteringBehaviour)[keyof typeof filteringBehaviour];
export const filteringBehaviourNames: readonly string[] = [
  'endpoint_independent',
  'address_dependent',
  'address_and_port_dependent',
];

/** enum interface_role */
export const interfaceRole = {
  underlay: 0,
  external: 1,
  ha: 2,
} as const;
export type InterfaceRole = (typeof interfaceRole)[keyof typeof interfaceRole];
export const interfaceRoleNames: readonly string[] = [
  'underlay',
  'external',
  'ha',
];
export const interfaceRoleCount = 3;

/** enum mapping_behaviour */
export const mappingBehaviour = {
  endpointIndependent: 0,
  addressAndPortDependent: 1,
} as const;
export type MappingBehaviour = (typeof mappingBehaviour)[keyof typeof mappingBehaviour];
export const mappingBehaviourNames: readonly string[] = [
  'endpoint_independent',
  'address_and_port_dependent',
];

/** enum mapping_flag */
export const mappingFlag = {
  static: 1,
} as const;
export type MappingFlag = (typeof mappingFlag)[keyof typeof mappingFlag];
export const mappingFlagNames: Readonly<Record<number, string>> = {
  1: 'static',
};

/** enum mapping_protocol */
export const mappingProtocol = {
  tcp: 0,
  udp: 1,
  icmp: 2,
} as const;
export type MappingProtocol = (typeof mappingProtocol)[keyof typeof mappingProtocol];
export const mappingProtocolNames: readonly string[] = [
  'tcp',
  'udp',
  'icmp',
];
export const mappingProtocolCount = 3;

/** enum network_flag */
export const networkFlag = {
  pinned: 1,
} as const;
export type NetworkFlag = (typeof networkFlag)[keyof typeof networkFlag];
export const networkFlagNames: Readonly<Record<number, string>> = {
  1: 'pinned',
};

/** enum reason */
export const reason = {
  outboundSnat: 0,
  outboundFloatingIp: 1,
  inboundSnat: 2,
  inboundFloatingIp: 3,
  outboundForwarding: 4,
  inboundForwarding: 5,
  hairpin: 6,
  eastWest: 7,
  icmpErrorOutbound: 8,
  icmpErrorInbound: 9,
  icmpErrorToVm: 10,
  icmpErrorToOutside: 11,
  icmpErrorLimited: 12,
  arpReplyInner: 13,
  arpReplyUnderlay: 14,
  arpReplyExternal: 15,
  echoReplyInner: 16,
  echoReplyExternal: 17,
  passToKernel: 18,
  commitSent: 19,
  commitReleased: 20,
  commitApplied: 21,
  syncApplied: 22,
  syncAcknowledged: 23,
  heartbeatTurned: 24,
  heartbeatReturned: 25,
  syncToControlPlane: 26,
  sessionUnprotected: 27,
  commitOversize: 28,
  sessionCreated: 29,
  sessionEstablished: 30,
  sessionExpired: 31,
  vmLearned: 32,
  vmMoved: 33,
  vmExpired: 34,
  portLogLost: 35,
  mssClamped: 36,
  endpointAnnounced: 37,
  frameUnfinished: 38,
  bfdHeard: 39,
  dropTruncated: 40,
  dropNotActive: 41,
  dropGeneveVersion: 42,
  dropGeneveOptionLength: 43,
  dropGeneveCriticalOption: 44,
  dropGeneveControl: 45,
  dropGeneveProtocol: 46,
  dropOuterFragment: 47,
  dropOuterChecksum: 48,
  dropVxlanHeader: 49,
  dropVniUnknown: 50,
  dropBfdMalformed: 51,
  dropBfdStranger: 52,
  dropInnerNotIpv4: 53,
  dropInnerMac: 54,
  dropInnerArp: 55,
  dropIpv4Header: 56,
  dropSourceNotInSubnet: 57,
  dropSourceNotOutside: 58,
  dropEndpointSpoofed: 59,
  dropDestinationNotRouted: 60,
  dropPortUnreachable: 61,
  dropTtlExceeded: 62,
  dropFragment: 63,
  dropFragmentEarly: 64,
  dropFragmentationNeeded: 65,
  dropProtocolNotTranslated: 66,
  dropIcmpType: 67,
  dropIcmpQuote: 68,
  dropNoSharedSnat: 69,
  dropNoMapping: 70,
  dropFiltered: 71,
  dropPortsExhausted: 72,
  dropVmSessionLimit: 73,
  dropVmSessionRate: 74,
  dropRouterSessionLimit: 75,
  dropNetworkVmLimit: 76,
  dropVmTableFull: 77,
  dropSessionTableFull: 78,
  dropNeighbourUnresolved: 79,
  dropNeighbourUnreachable: 80,
  dropGatewayUnresolved: 81,
  dropGatewayUnreachable: 82,
  dropEndpointUnknown: 83,
  dropMtuExceeded: 84,
  dropCongestion: 85,
  dropAdvertisementSource: 86,
  dropAdvertisementTtl: 87,
  dropAdvertisementVersion: 88,
  dropAdvertisementType: 89,
  dropAdvertisementCount: 90,
  dropAdvertisementLength: 91,
  dropAdvertisementChecksum: 92,
  dropAdvertisementAuthentication: 93,
  dropAdvertisementInterval: 94,
  dropAdvertisementRate: 95,
  dropAdjustFailed: 96,
  dropSegments: 97,
  dropSyncVersion: 98,
  dropSyncMalformed: 99,
  dropSyncMac: 100,
  dropSyncReplayed: 101,
  dropSyncOwn: 102,
  dropSyncTerm: 103,
  dropSyncUnapplied: 104,
} as const;
export type Reason = (typeof reason)[keyof typeof reason];
export const reasonNames: readonly string[] = [
  'outbound_snat',
  'outbound_floating_ip',
  'inbound_snat',
  'inbound_floating_ip',
  'outbound_forwarding',
  'inbound_forwarding',
  'hairpin',
  'east_west',
  'icmp_error_outbound',
  'icmp_error_inbound',
  'icmp_error_to_vm',
  'icmp_error_to_outside',
  'icmp_error_limited',
  'arp_reply_inner',
  'arp_reply_underlay',
  'arp_reply_external',
  'echo_reply_inner',
  'echo_reply_external',
  'pass_to_kernel',
  'commit_sent',
  'commit_released',
  'commit_applied',
  'sync_applied',
  'sync_acknowledged',
  'heartbeat_turned',
  'heartbeat_returned',
  'sync_to_control_plane',
  'session_unprotected',
  'commit_oversize',
  'session_created',
  'session_established',
  'session_expired',
  'vm_learned',
  'vm_moved',
  'vm_expired',
  'port_log_lost',
  'mss_clamped',
  'endpoint_announced',
  'frame_unfinished',
  'bfd_heard',
  'drop_truncated',
  'drop_not_active',
  'drop_geneve_version',
  'drop_geneve_option_length',
  'drop_geneve_critical_option',
  'drop_geneve_control',
  'drop_geneve_protocol',
  'drop_outer_fragment',
  'drop_outer_checksum',
  'drop_vxlan_header',
  'drop_vni_unknown',
  'drop_bfd_malformed',
  'drop_bfd_stranger',
  'drop_inner_not_ipv4',
  'drop_inner_mac',
  'drop_inner_arp',
  'drop_ipv4_header',
  'drop_source_not_in_subnet',
  'drop_source_not_outside',
  'drop_endpoint_spoofed',
  'drop_destination_not_routed',
  'drop_port_unreachable',
  'drop_ttl_exceeded',
  'drop_fragment',
  'drop_fragment_early',
  'drop_fragmentation_needed',
  'drop_protocol_not_translated',
  'drop_icmp_type',
  'drop_icmp_quote',
  'drop_no_shared_snat',
  'drop_no_mapping',
  'drop_filtered',
  'drop_ports_exhausted',
  'drop_vm_session_limit',
  'drop_vm_session_rate',
  'drop_router_session_limit',
  'drop_network_vm_limit',
  'drop_vm_table_full',
  'drop_session_table_full',
  'drop_neighbour_unresolved',
  'drop_neighbour_unreachable',
  'drop_gateway_unresolved',
  'drop_gateway_unreachable',
  'drop_endpoint_unknown',
  'drop_mtu_exceeded',
  'drop_congestion',
  'drop_advertisement_source',
  'drop_advertisement_ttl',
  'drop_advertisement_version',
  'drop_advertisement_type',
  'drop_advertisement_count',
  'drop_advertisement_length',
  'drop_advertisement_checksum',
  'drop_advertisement_authentication',
  'drop_advertisement_interval',
  'drop_advertisement_rate',
  'drop_adjust_failed',
  'drop_segments',
  'drop_sync_version',
  'drop_sync_malformed',
  'drop_sync_mac',
  'drop_sync_replayed',
  'drop_sync_own',
  'drop_sync_term',
  'drop_sync_unapplied',
];
export const reasonCount = 105;

/** enum replay_direction */
export const replayDirection = {
  requests: 0,
  replies: 1,
  underlayRequests: 2,
  underlayReplies: 3,
} as const;
export type ReplayDirection = (typeof replayDirection)[keyof typeof replayDirection];
export const replayDirectionNames: readonly string[] = [
  'requests',
  'replies',
  'underlay_requests',
  'underlay_replies',
];
export const replayDirectionCount = 4;

/** enum route_kind */
export const routeKind = {
  network: 1,
  vm: 2,
  onLink: 3,
  gateway: 4,
} as const;
export type RouteKind = (typeof routeKind)[keyof typeof routeKind];
export const routeKindNames: Readonly<Record<number, string>> = {
  1: 'network',
  2: 'vm',
  3: 'on_link',
  4: 'gateway',
};

/** enum session_flag */
export const sessionFlag = {
  committed: 1,
  establishedCommitted: 2,
  finOutbound: 4,
  finInbound: 8,
  unprotected: 16,
  replied: 32,
  doubted: 64,
} as const;
export type SessionFlag = (typeof sessionFlag)[keyof typeof sessionFlag];
export const sessionFlagNames: Readonly<Record<number, string>> = {
  1: 'committed',
  2: 'established_committed',
  4: 'fin_outbound',
  8: 'fin_inbound',
  16: 'unprotected',
  32: 'replied',
  64: 'doubted',
};

/** enum session_state */
export const sessionState = {
  free: 0,
  transitory: 1,
  established: 2,
  closing: 3,
} as const;
export type SessionState = (typeof sessionState)[keyof typeof sessionState];
export const sessionStateNames: readonly string[] = [
  'free',
  'transitory',
  'established',
  'closing',
];

/** enum sweep_phase */
export const sweepPhase = {
  sessions: 0,
  mappings: 1,
  vms: 2,
} as const;
export type SweepPhase = (typeof sweepPhase)[keyof typeof sweepPhase];
export const sweepPhaseNames: readonly string[] = [
  'sessions',
  'mappings',
  'vms',
];

/** enum sync_flag */
export const syncFlag = {
  reply: 1,
  refused: 2,
  unapplied: 4,
  roles: 8,
} as const;
export type SyncFlag = (typeof syncFlag)[keyof typeof syncFlag];
export const syncFlagNames: Readonly<Record<number, string>> = {
  1: 'reply',
  2: 'refused',
  4: 'unapplied',
  8: 'roles',
};

/** enum sync_mode */
export const syncMode = {
  none: 0,
  async: 1,
  strict: 2,
} as const;
export type SyncMode = (typeof syncMode)[keyof typeof syncMode];
export const syncModeNames: readonly string[] = [
  'none',
  'async',
  'strict',
];

/** enum sync_path */
export const syncPath = {
  ha: 0,
  underlay: 1,
} as const;
export type SyncPath = (typeof syncPath)[keyof typeof syncPath];
export const syncPathNames: readonly string[] = [
  'ha',
  'underlay',
];
export const syncPathCount = 2;

/** enum sync_record_kind */
export const syncRecordKind = {
  vm: 1,
  session: 2,
  delete: 3,
  vmDelete: 4,
} as const;
export type SyncRecordKind = (typeof syncRecordKind)[keyof typeof syncRecordKind];
export const syncRecordKindNames: Readonly<Record<number, string>> = {
  1: 'vm',
  2: 'session',
  3: 'delete',
  4: 'vm_delete',
};

/** enum sync_type */
export const syncType = {
  commit: 1,
  records: 2,
  heartbeat: 3,
  control: 4,
} as const;
export type SyncType = (typeof syncType)[keyof typeof syncType];
export const syncTypeNames: Readonly<Record<number, string>> = {
  1: 'commit',
  2: 'records',
  3: 'heartbeat',
  4: 'control',
};

/** enum virtual_router_state */
export const virtualRouterState = {
  initialize: 0,
  backup: 1,
  active: 2,
  draining: 3,
} as const;
export type VirtualRouterState = (typeof virtualRouterState)[keyof typeof virtualRouterState];
export const virtualRouterStateNames: readonly string[] = [
  'initialize',
  'backup',
  'active',
  'draining',
];

/** enum vm_flag */
export const vmFlag = {
  committed: 1,
  pinned: 2,
  hasForwardings: 4,
  retired: 8,
  doubted: 16,
} as const;
export type VmFlag = (typeof vmFlag)[keyof typeof vmFlag];
export const vmFlagNames: Readonly<Record<number, string>> = {
  1: 'committed',
  2: 'pinned',
  4: 'has_forwardings',
  8: 'retired',
  16: 'doubted',
};

/** enum walk_kind */
export const walkKind = {
  bulk: 0,
  age: 1,
  digest: 2,
  doubt: 3,
  repair: 4,
  sweep: 5,
} as const;
export type WalkKind = (typeof walkKind)[keyof typeof walkKind];
export const walkKindNames: readonly string[] = [
  'bulk',
  'age',
  'digest',
  'doubt',
  'repair',
  'sweep',
];
export const walkKindCount = 6;

/** enum walk_phase */
export const walkPhase = {
  vms: 0,
  mappings: 1,
  sessions: 2,
  ended: 3,
} as const;
export type WalkPhase = (typeof walkPhase)[keyof typeof walkPhase];
export const walkPhaseNames: readonly string[] = [
  'vms',
  'mappings',
  'sessions',
  'ended',
];

/** struct advertisement, 1120 bytes */
export interface Advertisement {
  receivedNs: bigint;
  length: number;
  window: number;
  passed: number;
  packet: Buffer;
}

export const advertisementLayout: StructLayout = {
  name: 'advertisement',
  size: 1120,
  fields: [
    { name: 'received_ns', offset: 0, size: 8, kind: 'u64' },
    { name: 'length', offset: 8, size: 4, kind: 'u32' },
    { name: 'window', offset: 12, size: 4, kind: 'u32' },
    { name: 'passed', offset: 16, size: 4, kind: 'u32' },
    { name: 'pad', offset: 20, size: 4, kind: 'u32' },
    { name: 'packet', offset: 24, size: 1096, kind: 'u8', count: 1096 },
  ],
};

/** Bytes from the start of struct advertisement. */
export const advertisementOffsets = {
  receivedNs: 0,
  length: 8,
  window: 12,
  passed: 16,
  packet: 24,
} as const;

export const advertisementCodec: Codec<Advertisement> = {
  name: 'advertisement',
  size: 1120,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 1120, 'advertisement');
    into.fill(0, offset, offset + 1120);
    into.writeBigUInt64LE(value.receivedNs, offset);
    into.writeUInt32LE(value.length, offset + 8);
    into.writeUInt32LE(value.window, offset + 12);
    into.writeUInt32LE(value.passed, offset + 16);
    expectLength(value.packet.length, 1096, 'advertisement.packet');
    into.set(value.packet, offset + 24);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 1120, 'advertisement');
    return {
      receivedNs: from.readBigUInt64LE(offset),
      length: from.readUInt32LE(offset + 8),
      window: from.readUInt32LE(offset + 12),
      passed: from.readUInt32LE(offset + 16),
      packet: Buffer.from(from.subarray(offset + 24, offset + 1120)),
    };
  },
};

/** struct advertisement_rule, 48 bytes */
export interface AdvertisementRule {
  version: number;
  authentication: number;
  priority: number;
  interval: number;
  peers: number;
  password: number[];
  peer: number[];
}

export const advertisementRuleLayout: StructLayout = {
  name: 'advertisement_rule',
  size: 48,
  fields: [
    { name: 'version', offset: 0, size: 1, kind: 'u8' },
    { name: 'authentication', offset: 1, size: 1, kind: 'u8' },
    { name: 'priority', offset: 2, size: 1, kind: 'u8' },
    { name: 'interval', offset: 3, size: 1, kind: 'u8' },
    { name: 'peers', offset: 4, size: 4, kind: 'u32' },
    { name: 'password', offset: 8, size: 8, kind: 'u32', count: 2 },
    { name: 'peer', offset: 16, size: 32, kind: 'be32', count: 8 },
  ],
};

/** Bytes from the start of struct advertisement_rule. */
export const advertisementRuleOffsets = {
  version: 0,
  authentication: 1,
  priority: 2,
  interval: 3,
  peers: 4,
  password: 8,
  peer: 16,
} as const;

export const advertisementRuleCodec: Codec<AdvertisementRule> = {
  name: 'advertisement_rule',
  size: 48,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 48, 'advertisement_rule');
    into.writeUInt8(value.version, offset);
    into.writeUInt8(value.authentication, offset + 1);
    into.writeUInt8(value.priority, offset + 2);
    into.writeUInt8(value.interval, offset + 3);
    into.writeUInt32LE(value.peers, offset + 4);
    expectLength(value.password.length, 2, 'advertisement_rule.password');
    value.password.forEach((element, index) => into.writeUInt32LE(element, offset + 8 + index * 4));
    expectLength(value.peer.length, 8, 'advertisement_rule.peer');
    value.peer.forEach((element, index) => into.writeUInt32BE(element, offset + 16 + index * 4));
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 48, 'advertisement_rule');
    return {
      version: from.readUInt8(offset),
      authentication: from.readUInt8(offset + 1),
      priority: from.readUInt8(offset + 2),
      interval: from.readUInt8(offset + 3),
      peers: from.readUInt32LE(offset + 4),
      password: Array.from({ length: 2 }, (_, index) => from.readUInt32LE(offset + 8 + index * 4)),
      peer: Array.from({ length: 8 }, (_, index) => from.readUInt32BE(offset + 16 + index * 4)),
    };
  },
};

/** struct bfd_budget, 16 bytes */
export interface BfdBudget {
  sinceNs: bigint;
  taken: number;
}

export const bfdBudgetLayout: StructLayout = {
  name: 'bfd_budget',
  size: 16,
  fields: [
    { name: 'since_ns', offset: 0, size: 8, kind: 'u64' },
    { name: 'taken', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct bfd_budget. */
export const bfdBudgetOffsets = {
  sinceNs: 0,
  taken: 8,
} as const;

export const bfdBudgetCodec: Codec<BfdBudget> = {
  name: 'bfd_budget',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'bfd_budget');
    into.fill(0, offset, offset + 16);
    into.writeBigUInt64LE(value.sinceNs, offset);
    into.writeUInt32LE(value.taken, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'bfd_budget');
    return {
      sinceNs: from.readBigUInt64LE(offset),
      taken: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct bfd_key, 8 bytes */
export interface BfdKey {
  endpoint: number;
  virtualRouter: number;
  encapsulation: number;
}

export const bfdKeyLayout: StructLayout = {
  name: 'bfd_key',
  size: 8,
  fields: [
    { name: 'endpoint', offset: 0, size: 4, kind: 'be32' },
    { name: 'virtual_router', offset: 4, size: 1, kind: 'u8' },
    { name: 'encapsulation', offset: 5, size: 1, kind: 'u8' },
    { name: 'pad', offset: 6, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct bfd_key. */
export const bfdKeyOffsets = {
  endpoint: 0,
  virtualRouter: 4,
  encapsulation: 5,
} as const;

export const bfdKeyCodec: Codec<BfdKey> = {
  name: 'bfd_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'bfd_key');
    into.fill(0, offset, offset + 8);
    into.writeUInt32BE(value.endpoint, offset);
    into.writeUInt8(value.virtualRouter, offset + 4);
    into.writeUInt8(value.encapsulation, offset + 5);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'bfd_key');
    return {
      endpoint: from.readUInt32BE(offset),
      virtualRouter: from.readUInt8(offset + 4),
      encapsulation: from.readUInt8(offset + 5),
    };
  },
};

/** struct bfd_report, 40 bytes */
export interface BfdReport {
  key: BfdKey;
  mac: Buffer;
  known: number;
  packet: Buffer;
}

export const bfdReportLayout: StructLayout = {
  name: 'bfd_report',
  size: 40,
  fields: [
    { name: 'key', offset: 0, size: 8, kind: 'struct', struct: bfdKeyLayout },
    { name: 'mac', offset: 8, size: 6, kind: 'u8', count: 6 },
    { name: 'known', offset: 14, size: 1, kind: 'u8' },
    { name: 'pad', offset: 15, size: 1, kind: 'u8' },
    { name: 'packet', offset: 16, size: 24, kind: 'u8', count: 24 },
  ],
};

/** Bytes from the start of struct bfd_report. */
export const bfdReportOffsets = {
  key: 0,
  mac: 8,
  known: 14,
  packet: 16,
} as const;

export const bfdReportCodec: Codec<BfdReport> = {
  name: 'bfd_report',
  size: 40,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 40, 'bfd_report');
    into.fill(0, offset, offset + 40);
    bfdKeyCodec.encode(value.key, into, offset);
    expectLength(value.mac.length, 6, 'bfd_report.mac');
    into.set(value.mac, offset + 8);
    into.writeUInt8(value.known, offset + 14);
    expectLength(value.packet.length, 24, 'bfd_report.packet');
    into.set(value.packet, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 40, 'bfd_report');
    return {
      key: bfdKeyCodec.decode(from, offset),
      mac: Buffer.from(from.subarray(offset + 8, offset + 14)),
      known: from.readUInt8(offset + 14),
      packet: Buffer.from(from.subarray(offset + 16, offset + 40)),
    };
  },
};

/** struct bfd_session, 56 bytes */
export interface BfdSession {
  receivedNs: bigint;
  toldNs: bigint;
  localDiscriminator: number;
  mac: Buffer;
  untold: number;
  term: number;
  packet: Buffer;
}

export const bfdSessionLayout: StructLayout = {
  name: 'bfd_session',
  size: 56,
  fields: [
    { name: 'received_ns', offset: 0, size: 8, kind: 'u64' },
    { name: 'told_ns', offset: 8, size: 8, kind: 'u64' },
    { name: 'local_discriminator', offset: 16, size: 4, kind: 'be32' },
    { name: 'mac', offset: 20, size: 6, kind: 'u8', count: 6 },
    { name: 'untold', offset: 26, size: 1, kind: 'u8' },
    { name: 'pad', offset: 27, size: 1, kind: 'u8' },
    { name: 'term', offset: 28, size: 4, kind: 'u32' },
    { name: 'packet', offset: 32, size: 24, kind: 'u8', count: 24 },
  ],
};

/** Bytes from the start of struct bfd_session. */
export const bfdSessionOffsets = {
  receivedNs: 0,
  toldNs: 8,
  localDiscriminator: 16,
  mac: 20,
  untold: 26,
  term: 28,
  packet: 32,
} as const;

export const bfdSessionCodec: Codec<BfdSession> = {
  name: 'bfd_session',
  size: 56,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 56, 'bfd_session');
    into.fill(0, offset, offset + 56);
    into.writeBigUInt64LE(value.receivedNs, offset);
    into.writeBigUInt64LE(value.toldNs, offset + 8);
    into.writeUInt32BE(value.localDiscriminator, offset + 16);
    expectLength(value.mac.length, 6, 'bfd_session.mac');
    into.set(value.mac, offset + 20);
    into.writeUInt8(value.untold, offset + 26);
    into.writeUInt32LE(value.term, offset + 28);
    expectLength(value.packet.length, 24, 'bfd_session.packet');
    into.set(value.packet, offset + 32);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 56, 'bfd_session');
    return {
      receivedNs: from.readBigUInt64LE(offset),
      toldNs: from.readBigUInt64LE(offset + 8),
      localDiscriminator: from.readUInt32BE(offset + 16),
      mac: Buffer.from(from.subarray(offset + 20, offset + 26)),
      untold: from.readUInt8(offset + 26),
      term: from.readUInt32LE(offset + 28),
      packet: Buffer.from(from.subarray(offset + 32, offset + 56)),
    };
  },
};

/** struct counter, 16 bytes */
export interface Counter {
  packets: bigint;
  bytes: bigint;
}

export const counterLayout: StructLayout = {
  name: 'counter',
  size: 16,
  fields: [
    { name: 'packets', offset: 0, size: 8, kind: 'u64' },
    { name: 'bytes', offset: 8, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct counter. */
export const counterOffsets = {
  packets: 0,
  bytes: 8,
} as const;

export const counterCodec: Codec<Counter> = {
  name: 'counter',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'counter');
    into.writeBigUInt64LE(value.packets, offset);
    into.writeBigUInt64LE(value.bytes, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'counter');
    return {
      packets: from.readBigUInt64LE(offset),
      bytes: from.readBigUInt64LE(offset + 8),
    };
  },
};

/** struct departure, 20 bytes */
export interface Departure {
  forwarded: number;
  vlan: number;
  sourceMac: Buffer;
  nextHopMac: Buffer;
  hairpin: boolean;
  commit: boolean;
}

export const departureLayout: StructLayout = {
  name: 'departure',
  size: 20,
  fields: [
    { name: 'forwarded', offset: 0, size: 4, kind: 'i32' },
    { name: 'vlan', offset: 4, size: 2, kind: 'u16' },
    { name: 'source_mac', offset: 6, size: 6, kind: 'u8', count: 6 },
    { name: 'next_hop_mac', offset: 12, size: 6, kind: 'u8', count: 6 },
    { name: 'hairpin', offset: 18, size: 1, kind: 'bool' },
    { name: 'commit', offset: 19, size: 1, kind: 'bool' },
  ],
};

/** Bytes from the start of struct departure. */
export const departureOffsets = {
  forwarded: 0,
  vlan: 4,
  sourceMac: 6,
  nextHopMac: 12,
  hairpin: 18,
  commit: 19,
} as const;

export const departureCodec: Codec<Departure> = {
  name: 'departure',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'departure');
    into.writeInt32LE(value.forwarded, offset);
    into.writeUInt16LE(value.vlan, offset + 4);
    expectLength(value.sourceMac.length, 6, 'departure.source_mac');
    into.set(value.sourceMac, offset + 6);
    expectLength(value.nextHopMac.length, 6, 'departure.next_hop_mac');
    into.set(value.nextHopMac, offset + 12);
    into.writeUInt8(value.hairpin ? 1 : 0, offset + 18);
    into.writeUInt8(value.commit ? 1 : 0, offset + 19);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'departure');
    return {
      forwarded: from.readInt32LE(offset),
      vlan: from.readUInt16LE(offset + 4),
      sourceMac: Buffer.from(from.subarray(offset + 6, offset + 12)),
      nextHopMac: Buffer.from(from.subarray(offset + 12, offset + 18)),
      hairpin: from.readUInt8(offset + 18) !== 0,
      commit: from.readUInt8(offset + 19) !== 0,
    };
  },
};

/** struct event, 32 bytes */
export interface Event {
  type: number;
  interface: number;
  vlan: number;
  address: number;
  network: number;
  mtu: number;
  length: number;
  receivedNs: bigint;
}

export const eventLayout: StructLayout = {
  name: 'event',
  size: 32,
  fields: [
    { name: 'type', offset: 0, size: 4, kind: 'u32' },
    { name: 'interface', offset: 4, size: 2, kind: 'u16' },
    { name: 'vlan', offset: 6, size: 2, kind: 'u16' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
    { name: 'network', offset: 12, size: 4, kind: 'u32' },
    { name: 'mtu', offset: 16, size: 4, kind: 'u32' },
    { name: 'length', offset: 20, size: 4, kind: 'u32' },
    { name: 'received_ns', offset: 24, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct event. */
export const eventOffsets = {
  type: 0,
  interface: 4,
  vlan: 6,
  address: 8,
  network: 12,
  mtu: 16,
  length: 20,
  receivedNs: 24,
} as const;

export const eventCodec: Codec<Event> = {
  name: 'event',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'event');
    into.writeUInt32LE(value.type, offset);
    into.writeUInt16LE(value.interface, offset + 4);
    into.writeUInt16LE(value.vlan, offset + 6);
    into.writeUInt32BE(value.address, offset + 8);
    into.writeUInt32LE(value.network, offset + 12);
    into.writeUInt32LE(value.mtu, offset + 16);
    into.writeUInt32LE(value.length, offset + 20);
    into.writeBigUInt64LE(value.receivedNs, offset + 24);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'event');
    return {
      type: from.readUInt32LE(offset),
      interface: from.readUInt16LE(offset + 4),
      vlan: from.readUInt16LE(offset + 6),
      address: from.readUInt32BE(offset + 8),
      network: from.readUInt32LE(offset + 12),
      mtu: from.readUInt32LE(offset + 16),
      length: from.readUInt32LE(offset + 20),
      receivedNs: from.readBigUInt64LE(offset + 24),
    };
  },
};

/** struct external_address, 16 bytes */
export interface ExternalAddress {
  kind: number;
  index: number;
  router: number;
}

export const externalAddressLayout: StructLayout = {
  name: 'external_address',
  size: 16,
  fields: [
    { name: 'kind', offset: 0, size: 4, kind: 'u32' },
    { name: 'index', offset: 4, size: 4, kind: 'u32' },
    { name: 'router', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct external_address. */
export const externalAddressOffsets = {
  kind: 0,
  index: 4,
  router: 8,
} as const;

export const externalAddressCodec: Codec<ExternalAddress> = {
  name: 'external_address',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'external_address');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.kind, offset);
    into.writeUInt32LE(value.index, offset + 4);
    into.writeUInt32LE(value.router, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'external_address');
    return {
      kind: from.readUInt32LE(offset),
      index: from.readUInt32LE(offset + 4),
      router: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct external_key, 8 bytes */
export interface ExternalKey {
  address: number;
  vlan: number;
}

export const externalKeyLayout: StructLayout = {
  name: 'external_key',
  size: 8,
  fields: [
    { name: 'address', offset: 0, size: 4, kind: 'be32' },
    { name: 'vlan', offset: 4, size: 2, kind: 'u16' },
    { name: 'pad', offset: 6, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct external_key. */
export const externalKeyOffsets = {
  address: 0,
  vlan: 4,
} as const;

export const externalKeyCodec: Codec<ExternalKey> = {
  name: 'external_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'external_key');
    into.fill(0, offset, offset + 8);
    into.writeUInt32BE(value.address, offset);
    into.writeUInt16LE(value.vlan, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'external_key');
    return {
      address: from.readUInt32BE(offset),
      vlan: from.readUInt16LE(offset + 4),
    };
  },
};

/** struct external_network, 24 bytes */
export interface ExternalNetwork {
  subnet: number;
  netmask: number;
  gateway: number;
  gatewayMac: Buffer;
  vlan: number;
  flags: number;
}

export const externalNetworkLayout: StructLayout = {
  name: 'external_network',
  size: 24,
  fields: [
    { name: 'subnet', offset: 0, size: 4, kind: 'be32' },
    { name: 'netmask', offset: 4, size: 4, kind: 'be32' },
    { name: 'gateway', offset: 8, size: 4, kind: 'be32' },
    { name: 'gateway_mac', offset: 12, size: 6, kind: 'u8', count: 6 },
    { name: 'vlan', offset: 18, size: 2, kind: 'u16' },
    { name: 'flags', offset: 20, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct external_network. */
export const externalNetworkOffsets = {
  subnet: 0,
  netmask: 4,
  gateway: 8,
  gatewayMac: 12,
  vlan: 18,
  flags: 20,
} as const;

export const externalNetworkCodec: Codec<ExternalNetwork> = {
  name: 'external_network',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'external_network');
    into.writeUInt32BE(value.subnet, offset);
    into.writeUInt32BE(value.netmask, offset + 4);
    into.writeUInt32BE(value.gateway, offset + 8);
    expectLength(value.gatewayMac.length, 6, 'external_network.gateway_mac');
    into.set(value.gatewayMac, offset + 12);
    into.writeUInt16LE(value.vlan, offset + 18);
    into.writeUInt32LE(value.flags, offset + 20);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'external_network');
    return {
      subnet: from.readUInt32BE(offset),
      netmask: from.readUInt32BE(offset + 4),
      gateway: from.readUInt32BE(offset + 8),
      gatewayMac: Buffer.from(from.subarray(offset + 12, offset + 18)),
      vlan: from.readUInt16LE(offset + 18),
      flags: from.readUInt32LE(offset + 20),
    };
  },
};

/** struct floating_ip_counter, 32 bytes */
export interface FloatingIpCounter {
  inboundPackets: bigint;
  inboundBytes: bigint;
  outboundPackets: bigint;
  outboundBytes: bigint;
}

export const floatingIpCounterLayout: StructLayout = {
  name: 'floating_ip_counter',
  size: 32,
  fields: [
    { name: 'inbound_packets', offset: 0, size: 8, kind: 'u64' },
    { name: 'inbound_bytes', offset: 8, size: 8, kind: 'u64' },
    { name: 'outbound_packets', offset: 16, size: 8, kind: 'u64' },
    { name: 'outbound_bytes', offset: 24, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct floating_ip_counter. */
export const floatingIpCounterOffsets = {
  inboundPackets: 0,
  inboundBytes: 8,
  outboundPackets: 16,
  outboundBytes: 24,
} as const;

export const floatingIpCounterCodec: Codec<FloatingIpCounter> = {
  name: 'floating_ip_counter',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'floating_ip_counter');
    into.writeBigUInt64LE(value.inboundPackets, offset);
    into.writeBigUInt64LE(value.inboundBytes, offset + 8);
    into.writeBigUInt64LE(value.outboundPackets, offset + 16);
    into.writeBigUInt64LE(value.outboundBytes, offset + 24);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'floating_ip_counter');
    return {
      inboundPackets: from.readBigUInt64LE(offset),
      inboundBytes: from.readBigUInt64LE(offset + 8),
      outboundPackets: from.readBigUInt64LE(offset + 16),
      outboundBytes: from.readBigUInt64LE(offset + 24),
    };
  },
};

/** struct flow, 16 bytes */
export interface Flow {
  protocol: number;
  remote: number;
  remotePort: number;
  port: number;
  tcpFlags: number;
  error: boolean;
}

export const flowLayout: StructLayout = {
  name: 'flow',
  size: 16,
  fields: [
    { name: 'protocol', offset: 0, size: 4, kind: 'u32' },
    { name: 'remote', offset: 4, size: 4, kind: 'be32' },
    { name: 'remote_port', offset: 8, size: 2, kind: 'be16' },
    { name: 'port', offset: 10, size: 2, kind: 'be16' },
    { name: 'tcp_flags', offset: 12, size: 1, kind: 'u8' },
    { name: 'error', offset: 13, size: 1, kind: 'bool' },
  ],
};

/** Bytes from the start of struct flow. */
export const flowOffsets = {
  protocol: 0,
  remote: 4,
  remotePort: 8,
  port: 10,
  tcpFlags: 12,
  error: 13,
} as const;

export const flowCodec: Codec<Flow> = {
  name: 'flow',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'flow');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.protocol, offset);
    into.writeUInt32BE(value.remote, offset + 4);
    into.writeUInt16BE(value.remotePort, offset + 8);
    into.writeUInt16BE(value.port, offset + 10);
    into.writeUInt8(value.tcpFlags, offset + 12);
    into.writeUInt8(value.error ? 1 : 0, offset + 13);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'flow');
    return {
      protocol: from.readUInt32LE(offset),
      remote: from.readUInt32BE(offset + 4),
      remotePort: from.readUInt16BE(offset + 8),
      port: from.readUInt16BE(offset + 10),
      tcpFlags: from.readUInt8(offset + 12),
      error: from.readUInt8(offset + 13) !== 0,
    };
  },
};

/** struct forwarding, 8 bytes */
export interface Forwarding {
  externalAddress: number;
  externalPort: number;
}

export const forwardingLayout: StructLayout = {
  name: 'forwarding',
  size: 8,
  fields: [
    { name: 'external_address', offset: 0, size: 4, kind: 'be32' },
    { name: 'external_port', offset: 4, size: 2, kind: 'be16' },
    { name: 'pad', offset: 6, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct forwarding. */
export const forwardingOffsets = {
  externalAddress: 0,
  externalPort: 4,
} as const;

export const forwardingCodec: Codec<Forwarding> = {
  name: 'forwarding',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'forwarding');
    into.fill(0, offset, offset + 8);
    into.writeUInt32BE(value.externalAddress, offset);
    into.writeUInt16BE(value.externalPort, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'forwarding');
    return {
      externalAddress: from.readUInt32BE(offset),
      externalPort: from.readUInt16BE(offset + 4),
    };
  },
};

/** struct forwarding_ensure, 12 bytes */
export interface ForwardingEnsure {
  mapping: number;
  vm: number;
  internalPort: number;
}

export const forwardingEnsureLayout: StructLayout = {
  name: 'forwarding_ensure',
  size: 12,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'vm', offset: 4, size: 4, kind: 'u32' },
    { name: 'internal_port', offset: 8, size: 2, kind: 'be16' },
    { name: 'pad', offset: 10, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct forwarding_ensure. */
export const forwardingEnsureOffsets = {
  mapping: 0,
  vm: 4,
  internalPort: 8,
} as const;

export const forwardingEnsureCodec: Codec<ForwardingEnsure> = {
  name: 'forwarding_ensure',
  size: 12,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 12, 'forwarding_ensure');
    into.fill(0, offset, offset + 12);
    into.writeUInt32LE(value.mapping, offset);
    into.writeUInt32LE(value.vm, offset + 4);
    into.writeUInt16BE(value.internalPort, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 12, 'forwarding_ensure');
    return {
      mapping: from.readUInt32LE(offset),
      vm: from.readUInt32LE(offset + 4),
      internalPort: from.readUInt16BE(offset + 8),
    };
  },
};

/** struct forwarding_key, 8 bytes */
export interface ForwardingKey {
  vm: number;
  protocol: number;
  internalPort: number;
}

export const forwardingKeyLayout: StructLayout = {
  name: 'forwarding_key',
  size: 8,
  fields: [
    { name: 'vm', offset: 0, size: 4, kind: 'u32' },
    { name: 'protocol', offset: 4, size: 2, kind: 'u16' },
    { name: 'internal_port', offset: 6, size: 2, kind: 'be16' },
  ],
};

/** Bytes from the start of struct forwarding_key. */
export const forwardingKeyOffsets = {
  vm: 0,
  protocol: 4,
  internalPort: 6,
} as const;

export const forwardingKeyCodec: Codec<ForwardingKey> = {
  name: 'forwarding_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'forwarding_key');
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt16LE(value.protocol, offset + 4);
    into.writeUInt16BE(value.internalPort, offset + 6);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'forwarding_key');
    return {
      vm: from.readUInt32LE(offset),
      protocol: from.readUInt16LE(offset + 4),
      internalPort: from.readUInt16BE(offset + 6),
    };
  },
};

/** struct fragment, 12 bytes */
export interface Fragment {
  sourcePort: number;
  destinationPort: number;
  lastSeen: number;
  icmpType: number;
}

export const fragmentLayout: StructLayout = {
  name: 'fragment',
  size: 12,
  fields: [
    { name: 'source_port', offset: 0, size: 2, kind: 'be16' },
    { name: 'destination_port', offset: 2, size: 2, kind: 'be16' },
    { name: 'last_seen', offset: 4, size: 4, kind: 'u32' },
    { name: 'icmp_type', offset: 8, size: 1, kind: 'u8' },
    { name: 'pad', offset: 9, size: 3, kind: 'u8', count: 3 },
  ],
};

/** Bytes from the start of struct fragment. */
export const fragmentOffsets = {
  sourcePort: 0,
  destinationPort: 2,
  lastSeen: 4,
  icmpType: 8,
} as const;

export const fragmentCodec: Codec<Fragment> = {
  name: 'fragment',
  size: 12,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 12, 'fragment');
    into.fill(0, offset, offset + 12);
    into.writeUInt16BE(value.sourcePort, offset);
    into.writeUInt16BE(value.destinationPort, offset + 2);
    into.writeUInt32LE(value.lastSeen, offset + 4);
    into.writeUInt8(value.icmpType, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 12, 'fragment');
    return {
      sourcePort: from.readUInt16BE(offset),
      destinationPort: from.readUInt16BE(offset + 2),
      lastSeen: from.readUInt32LE(offset + 4),
      icmpType: from.readUInt8(offset + 8),
    };
  },
};

/** struct fragment_key, 16 bytes */
export interface FragmentKey {
  source: number;
  destination: number;
  segment: number;
  identification: number;
  protocol: number;
}

export const fragmentKeyLayout: StructLayout = {
  name: 'fragment_key',
  size: 16,
  fields: [
    { name: 'source', offset: 0, size: 4, kind: 'be32' },
    { name: 'destination', offset: 4, size: 4, kind: 'be32' },
    { name: 'segment', offset: 8, size: 4, kind: 'u32' },
    { name: 'identification', offset: 12, size: 2, kind: 'be16' },
    { name: 'protocol', offset: 14, size: 1, kind: 'u8' },
    { name: 'pad', offset: 15, size: 1, kind: 'u8' },
  ],
};

/** Bytes from the start of struct fragment_key. */
export const fragmentKeyOffsets = {
  source: 0,
  destination: 4,
  segment: 8,
  identification: 12,
  protocol: 14,
} as const;

export const fragmentKeyCodec: Codec<FragmentKey> = {
  name: 'fragment_key',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'fragment_key');
    into.fill(0, offset, offset + 16);
    into.writeUInt32BE(value.source, offset);
    into.writeUInt32BE(value.destination, offset + 4);
    into.writeUInt32LE(value.segment, offset + 8);
    into.writeUInt16BE(value.identification, offset + 12);
    into.writeUInt8(value.protocol, offset + 14);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'fragment_key');
    return {
      source: from.readUInt32BE(offset),
      destination: from.readUInt32BE(offset + 4),
      segment: from.readUInt32LE(offset + 8),
      identification: from.readUInt16BE(offset + 12),
      protocol: from.readUInt8(offset + 14),
    };
  },
};

/** struct gateway, 136 bytes */
export interface Gateway {
  id: number;
  syncMode: number;
  key: bigint[];
  otherKey: bigint[];
  seed: bigint[];
  soloAfterNs: bigint;
  epoch: number;
  haAddress: number;
  peerAddress: number;
  peerMac: Buffer;
  tcpEstablishedTicks: number;
  tcpTransitoryTicks: number;
  udpTicks: number;
  icmpTicks: number;
  holdDownTicks: number;
  externalAddresses: number;
  sessionBuckets: number;
  vmTicks: number;
  icmpErrorsPerSecond: number;
  restingPortLimit: number;
  logPorts: number;
  peerUnderlayAddress: number;
}

export const gatewayLayout: StructLayout = {
  name: 'gateway',
  size: 136,
  fields: [
    { name: 'id', offset: 0, size: 4, kind: 'u32' },
    { name: 'sync_mode', offset: 4, size: 4, kind: 'u32' },
    { name: 'key', offset: 8, size: 16, kind: 'u64', count: 2 },
    { name: 'other_key', offset: 24, size: 16, kind: 'u64', count: 2 },
    { name: 'seed', offset: 40, size: 16, kind: 'u64', count: 2 },
    { name: 'solo_after_ns', offset: 56, size: 8, kind: 'u64' },
    { name: 'epoch', offset: 64, size: 4, kind: 'u32' },
    { name: 'ha_address', offset: 68, size: 4, kind: 'be32' },
    { name: 'peer_address', offset: 72, size: 4, kind: 'be32' },
    { name: 'peer_mac', offset: 76, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 82, size: 2, kind: 'u8', count: 2 },
    { name: 'tcp_established_ticks', offset: 84, size: 4, kind: 'u32' },
    { name: 'tcp_transitory_ticks', offset: 88, size: 4, kind: 'u32' },
    { name: 'udp_ticks', offset: 92, size: 4, kind: 'u32' },
    { name: 'icmp_ticks', offset: 96, size: 4, kind: 'u32' },
    { name: 'hold_down_ticks', offset: 100, size: 4, kind: 'u32' },
    { name: 'external_addresses', offset: 104, size: 4, kind: 'u32' },
    { name: 'session_buckets', offset: 108, size: 4, kind: 'u32' },
    { name: 'vm_ticks', offset: 112, size: 4, kind: 'u32' },
    { name: 'icmp_errors_per_second', offset: 116, size: 4, kind: 'u32' },
    { name: 'resting_port_limit', offset: 120, size: 4, kind: 'u32' },
    { name: 'log_ports', offset: 124, size: 4, kind: 'u32' },
    { name: 'peer_underlay_address', offset: 128, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct gateway. */
export const gatewayOffsets = {
  id: 0,
  syncMode: 4,
  key: 8,
  otherKey: 24,
  seed: 40,
  soloAfterNs: 56,
  epoch: 64,
  haAddress: 68,
  peerAddress: 72,
  peerMac: 76,
  tcpEstablishedTicks: 84,
  tcpTransitoryTicks: 88,
  udpTicks: 92,
  icmpTicks: 96,
  holdDownTicks: 100,
  externalAddresses: 104,
  sessionBuckets: 108,
  vmTicks: 112,
  icmpErrorsPerSecond: 116,
  restingPortLimit: 120,
  logPorts: 124,
  peerUnderlayAddress: 128,
} as const;

export const gatewayCodec: Codec<Gateway> = {
  name: 'gateway',
  size: 136,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 136, 'gateway');
    into.fill(0, offset, offset + 136);
    into.writeUInt32LE(value.id, offset);
    into.writeUInt32LE(value.syncMode, offset + 4);
    expectLength(value.key.length, 2, 'gateway.key');
    value.key.forEach((element, index) => into.writeBigUInt64LE(element, offset + 8 + index * 8));
    expectLength(value.otherKey.length, 2, 'gateway.other_key');
    value.otherKey.forEach((element, index) => into.writeBigUInt64LE(element, offset + 24 + index * 8));
    expectLength(value.seed.length, 2, 'gateway.seed');
    value.seed.forEach((element, index) => into.writeBigUInt64LE(element, offset + 40 + index * 8));
    into.writeBigUInt64LE(value.soloAfterNs, offset + 56);
    into.writeUInt32LE(value.epoch, offset + 64);
    into.writeUInt32BE(value.haAddress, offset + 68);
    into.writeUInt32BE(value.peerAddress, offset + 72);
    expectLength(value.peerMac.length, 6, 'gateway.peer_mac');
    into.set(value.peerMac, offset + 76);
    into.writeUInt32LE(value.tcpEstablishedTicks, offset + 84);
    into.writeUInt32LE(value.tcpTransitoryTicks, offset + 88);
    into.writeUInt32LE(value.udpTicks, offset + 92);
    into.writeUInt32LE(value.icmpTicks, offset + 96);
    into.writeUInt32LE(value.holdDownTicks, offset + 100);
    into.writeUInt32LE(value.externalAddresses, offset + 104);
    into.writeUInt32LE(value.sessionBuckets, offset + 108);
    into.writeUInt32LE(value.vmTicks, offset + 112);
    into.writeUInt32LE(value.icmpErrorsPerSecond, offset + 116);
    into.writeUInt32LE(value.restingPortLimit, offset + 120);
    into.writeUInt32LE(value.logPorts, offset + 124);
    into.writeUInt32BE(value.peerUnderlayAddress, offset + 128);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 136, 'gateway');
    return {
      id: from.readUInt32LE(offset),
      syncMode: from.readUInt32LE(offset + 4),
      key: Array.from({ length: 2 }, (_, index) => from.readBigUInt64LE(offset + 8 + index * 8)),
      otherKey: Array.from({ length: 2 }, (_, index) => from.readBigUInt64LE(offset + 24 + index * 8)),
      seed: Array.from({ length: 2 }, (_, index) => from.readBigUInt64LE(offset + 40 + index * 8)),
      soloAfterNs: from.readBigUInt64LE(offset + 56),
      epoch: from.readUInt32LE(offset + 64),
      haAddress: from.readUInt32BE(offset + 68),
      peerAddress: from.readUInt32BE(offset + 72),
      peerMac: Buffer.from(from.subarray(offset + 76, offset + 82)),
      tcpEstablishedTicks: from.readUInt32LE(offset + 84),
      tcpTransitoryTicks: from.readUInt32LE(offset + 88),
      udpTicks: from.readUInt32LE(offset + 92),
      icmpTicks: from.readUInt32LE(offset + 96),
      holdDownTicks: from.readUInt32LE(offset + 100),
      externalAddresses: from.readUInt32LE(offset + 104),
      sessionBuckets: from.readUInt32LE(offset + 108),
      vmTicks: from.readUInt32LE(offset + 112),
      icmpErrorsPerSecond: from.readUInt32LE(offset + 116),
      restingPortLimit: from.readUInt32LE(offset + 120),
      logPorts: from.readUInt32LE(offset + 124),
      peerUnderlayAddress: from.readUInt32BE(offset + 128),
    };
  },
};

/** struct gateway_state, 72 bytes */
export interface GatewayState {
  sequence: bigint;
  vms: number;
  peerHeardNs: bigint;
  acknowledged: bigint;
  bulkAcknowledged: bigint;
  unansweredSinceNs: bigint;
  freeVm: number;
  freeVmChanges: number;
  restingPorts: number;
  peerHeardUnderlayNs: bigint;
}

export const gatewayStateLayout: StructLayout = {
  name: 'gateway_state',
  size: 72,
  fields: [
    { name: 'sequence', offset: 0, size: 8, kind: 'u64' },
    { name: 'vms', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
    { name: 'peer_heard_ns', offset: 16, size: 8, kind: 'u64' },
    { name: 'acknowledged', offset: 24, size: 8, kind: 'u64' },
    { name: 'bulk_acknowledged', offset: 32, size: 8, kind: 'u64' },
    { name: 'unanswered_since_ns', offset: 40, size: 8, kind: 'u64' },
    { name: 'free_vm', offset: 48, size: 4, kind: 'u32' },
    { name: 'free_vm_changes', offset: 52, size: 4, kind: 'u32' },
    { name: 'resting_ports', offset: 56, size: 4, kind: 'u32' },
    { name: 'pad2', offset: 60, size: 4, kind: 'u32' },
    { name: 'peer_heard_underlay_ns', offset: 64, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct gateway_state. */
export const gatewayStateOffsets = {
  sequence: 0,
  vms: 8,
  peerHeardNs: 16,
  acknowledged: 24,
  bulkAcknowledged: 32,
  unansweredSinceNs: 40,
  freeVm: 48,
  freeVmChanges: 52,
  restingPorts: 56,
  peerHeardUnderlayNs: 64,
} as const;

export const gatewayStateCodec: Codec<GatewayState> = {
  name: 'gateway_state',
  size: 72,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 72, 'gateway_state');
    into.fill(0, offset, offset + 72);
    into.writeBigUInt64LE(value.sequence, offset);
    into.writeUInt32LE(value.vms, offset + 8);
    into.writeBigUInt64LE(value.peerHeardNs, offset + 16);
    into.writeBigUInt64LE(value.acknowledged, offset + 24);
    into.writeBigUInt64LE(value.bulkAcknowledged, offset + 32);
    into.writeBigUInt64LE(value.unansweredSinceNs, offset + 40);
    into.writeUInt32LE(value.freeVm, offset + 48);
    into.writeUInt32LE(value.freeVmChanges, offset + 52);
    into.writeUInt32LE(value.restingPorts, offset + 56);
    into.writeBigUInt64LE(value.peerHeardUnderlayNs, offset + 64);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 72, 'gateway_state');
    return {
      sequence: from.readBigUInt64LE(offset),
      vms: from.readUInt32LE(offset + 8),
      peerHeardNs: from.readBigUInt64LE(offset + 16),
      acknowledged: from.readBigUInt64LE(offset + 24),
      bulkAcknowledged: from.readBigUInt64LE(offset + 32),
      unansweredSinceNs: from.readBigUInt64LE(offset + 40),
      freeVm: from.readUInt32LE(offset + 48),
      freeVmChanges: from.readUInt32LE(offset + 52),
      restingPorts: from.readUInt32LE(offset + 56),
      peerHeardUnderlayNs: from.readBigUInt64LE(offset + 64),
    };
  },
};

/** struct icmp_budget, 16 bytes */
export interface IcmpBudget {
  refilledNs: bigint;
  tokens: number;
}

export const icmpBudgetLayout: StructLayout = {
  name: 'icmp_budget',
  size: 16,
  fields: [
    { name: 'refilled_ns', offset: 0, size: 8, kind: 'u64' },
    { name: 'tokens', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct icmp_budget. */
export const icmpBudgetOffsets = {
  refilledNs: 0,
  tokens: 8,
} as const;

export const icmpBudgetCodec: Codec<IcmpBudget> = {
  name: 'icmp_budget',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'icmp_budget');
    into.fill(0, offset, offset + 16);
    into.writeBigUInt64LE(value.refilledNs, offset);
    into.writeUInt32LE(value.tokens, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'icmp_budget');
    return {
      refilledNs: from.readBigUInt64LE(offset),
      tokens: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct interface, 20 bytes */
export interface Interface {
  ifindex: number;
  mtu: number;
  address: number;
  mac: Buffer;
  vlan: number;
}

export const interfaceLayout: StructLayout = {
  name: 'interface',
  size: 20,
  fields: [
    { name: 'ifindex', offset: 0, size: 4, kind: 'u32' },
    { name: 'mtu', offset: 4, size: 4, kind: 'u32' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
    { name: 'mac', offset: 12, size: 6, kind: 'u8', count: 6 },
    { name: 'vlan', offset: 18, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct interface. */
export const interfaceOffsets = {
  ifindex: 0,
  mtu: 4,
  address: 8,
  mac: 12,
  vlan: 18,
} as const;

export const interfaceCodec: Codec<Interface> = {
  name: 'interface',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'interface');
    into.writeUInt32LE(value.ifindex, offset);
    into.writeUInt32LE(value.mtu, offset + 4);
    into.writeUInt32BE(value.address, offset + 8);
    expectLength(value.mac.length, 6, 'interface.mac');
    into.set(value.mac, offset + 12);
    into.writeUInt16LE(value.vlan, offset + 18);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'interface');
    return {
      ifindex: from.readUInt32LE(offset),
      mtu: from.readUInt32LE(offset + 4),
      address: from.readUInt32BE(offset + 8),
      mac: Buffer.from(from.subarray(offset + 12, offset + 18)),
      vlan: from.readUInt16LE(offset + 18),
    };
  },
};

/** struct ipv4, 32 bytes */
export interface Ipv4 {
  offset: number;
  l4Offset: number;
  totalLength: number;
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
  protocol: number;
  ttl: number;
  tos: number;
  tcpFlags: number;
  icmpType: number;
  fragment: boolean;
  laterFragment: boolean;
  dontFragment: boolean;
  icmpError: boolean;
}

export const ipv4Layout: StructLayout = {
  name: 'ipv4',
  size: 32,
  fields: [
    { name: 'offset', offset: 0, size: 2, kind: 'u16' },
    { name: 'l4_offset', offset: 2, size: 2, kind: 'u16' },
    { name: 'total_length', offset: 4, size: 2, kind: 'u16' },
    { name: 'source', offset: 8, size: 4, kind: 'be32' },
    { name: 'destination', offset: 12, size: 4, kind: 'be32' },
    { name: 'source_port', offset: 16, size: 2, kind: 'be16' },
    { name: 'destination_port', offset: 18, size: 2, kind: 'be16' },
    { name: 'protocol', offset: 20, size: 1, kind: 'u8' },
    { name: 'ttl', offset: 21, size: 1, kind: 'u8' },
    { name: 'tos', offset: 22, size: 1, kind: 'u8' },
    { name: 'tcp_flags', offset: 23, size: 1, kind: 'u8' },
    { name: 'icmp_type', offset: 24, size: 1, kind: 'u8' },
    { name: 'fragment', offset: 25, size: 1, kind: 'bool' },
    { name: 'later_fragment', offset: 26, size: 1, kind: 'bool' },
    { name: 'dont_fragment', offset: 27, size: 1, kind: 'bool' },
    { name: 'icmp_error', offset: 28, size: 1, kind: 'bool' },
  ],
};

/** Bytes from the start of struct ipv4. */
export const ipv4Offsets = {
  offset: 0,
  l4Offset: 2,
  totalLength: 4,
  source: 8,
  destination: 12,
  sourcePort: 16,
  destinationPort: 18,
  protocol: 20,
  ttl: 21,
  tos: 22,
  tcpFlags: 23,
  icmpType: 24,
  fragment: 25,
  laterFragment: 26,
  dontFragment: 27,
  icmpError: 28,
} as const;

export const ipv4Codec: Codec<Ipv4> = {
  name: 'ipv4',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'ipv4');
    into.fill(0, offset, offset + 32);
    into.writeUInt16LE(value.offset, offset);
    into.writeUInt16LE(value.l4Offset, offset + 2);
    into.writeUInt16LE(value.totalLength, offset + 4);
    into.writeUInt32BE(value.source, offset + 8);
    into.writeUInt32BE(value.destination, offset + 12);
    into.writeUInt16BE(value.sourcePort, offset + 16);
    into.writeUInt16BE(value.destinationPort, offset + 18);
    into.writeUInt8(value.protocol, offset + 20);
    into.writeUInt8(value.ttl, offset + 21);
    into.writeUInt8(value.tos, offset + 22);
    into.writeUInt8(value.tcpFlags, offset + 23);
    into.writeUInt8(value.icmpType, offset + 24);
    into.writeUInt8(value.fragment ? 1 : 0, offset + 25);
    into.writeUInt8(value.laterFragment ? 1 : 0, offset + 26);
    into.writeUInt8(value.dontFragment ? 1 : 0, offset + 27);
    into.writeUInt8(value.icmpError ? 1 : 0, offset + 28);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'ipv4');
    return {
      offset: from.readUInt16LE(offset),
      l4Offset: from.readUInt16LE(offset + 2),
      totalLength: from.readUInt16LE(offset + 4),
      source: from.readUInt32BE(offset + 8),
      destination: from.readUInt32BE(offset + 12),
      sourcePort: from.readUInt16BE(offset + 16),
      destinationPort: from.readUInt16BE(offset + 18),
      protocol: from.readUInt8(offset + 20),
      ttl: from.readUInt8(offset + 21),
      tos: from.readUInt8(offset + 22),
      tcpFlags: from.readUInt8(offset + 23),
      icmpType: from.readUInt8(offset + 24),
      fragment: from.readUInt8(offset + 25) !== 0,
      laterFragment: from.readUInt8(offset + 26) !== 0,
      dontFragment: from.readUInt8(offset + 27) !== 0,
      icmpError: from.readUInt8(offset + 28) !== 0,
    };
  },
};

/** struct liveness, 64 bytes */
export interface Liveness {
  answeredNs: bigint[];
  roles: bigint[];
  rolesKnown: bigint;
  sequence: bigint;
}

export const livenessLayout: StructLayout = {
  name: 'liveness',
  size: 64,
  fields: [
    { name: 'answered_ns', offset: 0, size: 16, kind: 'u64', count: 2 },
    { name: 'roles', offset: 16, size: 32, kind: 'u64', count: 4 },
    { name: 'roles_known', offset: 48, size: 8, kind: 'u64' },
    { name: 'sequence', offset: 56, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct liveness. */
export const livenessOffsets = {
  answeredNs: 0,
  roles: 16,
  rolesKnown: 48,
  sequence: 56,
} as const;

export const livenessCodec: Codec<Liveness> = {
  name: 'liveness',
  size: 64,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 64, 'liveness');
    expectLength(value.answeredNs.length, 2, 'liveness.answered_ns');
    value.answeredNs.forEach((element, index) => into.writeBigUInt64LE(element, offset + index * 8));
    expectLength(value.roles.length, 4, 'liveness.roles');
    value.roles.forEach((element, index) => into.writeBigUInt64LE(element, offset + 16 + index * 8));
    into.writeBigUInt64LE(value.rolesKnown, offset + 48);
    into.writeBigUInt64LE(value.sequence, offset + 56);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 64, 'liveness');
    return {
      answeredNs: Array.from({ length: 2 }, (_, index) => from.readBigUInt64LE(offset + index * 8)),
      roles: Array.from({ length: 4 }, (_, index) => from.readBigUInt64LE(offset + 16 + index * 8)),
      rolesKnown: from.readBigUInt64LE(offset + 48),
      sequence: from.readBigUInt64LE(offset + 56),
    };
  },
};

/** struct session, 16 bytes */
export interface Session {
  remote: number;
  remotePort: number;
  state: number;
  flags: number;
  lastSeen: number;
  internalPort: number;
  sequence: number;
}

export const sessionLayout: StructLayout = {
  name: 'session',
  size: 16,
  fields: [
    { name: 'remote', offset: 0, size: 4, kind: 'be32' },
    { name: 'remote_port', offset: 4, size: 2, kind: 'be16' },
    { name: 'state', offset: 6, size: 1, kind: 'u8' },
    { name: 'flags', offset: 7, size: 1, kind: 'u8' },
    { name: 'last_seen', offset: 8, size: 4, kind: 'u32' },
    { name: 'internal_port', offset: 12, size: 2, kind: 'be16' },
    { name: 'sequence', offset: 14, size: 2, kind: 'u16' },
  ],
};

/** Bytes from the start of struct session. */
export const sessionOffsets = {
  remote: 0,
  remotePort: 4,
  state: 6,
  flags: 7,
  lastSeen: 8,
  internalPort: 12,
  sequence: 14,
} as const;

export const sessionCodec: Codec<Session> = {
  name: 'session',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'session');
    into.writeUInt32BE(value.remote, offset);
    into.writeUInt16BE(value.remotePort, offset + 4);
    into.writeUInt8(value.state, offset + 6);
    into.writeUInt8(value.flags, offset + 7);
    into.writeUInt32LE(value.lastSeen, offset + 8);
    into.writeUInt16BE(value.internalPort, offset + 12);
    into.writeUInt16LE(value.sequence, offset + 14);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'session');
    return {
      remote: from.readUInt32BE(offset),
      remotePort: from.readUInt16BE(offset + 4),
      state: from.readUInt8(offset + 6),
      flags: from.readUInt8(offset + 7),
      lastSeen: from.readUInt32LE(offset + 8),
      internalPort: from.readUInt16BE(offset + 12),
      sequence: from.readUInt16LE(offset + 14),
    };
  },
};

/** struct mapping, 32 bytes */
export interface Mapping {
  vm: number;
  internalPort: number;
  flags: number;
  lastSeen: number;
  sessionCount: number;
  first: Session;
}

export const mappingLayout: StructLayout = {
  name: 'mapping',
  size: 32,
  fields: [
    { name: 'vm', offset: 0, size: 4, kind: 'u32' },
    { name: 'internal_port', offset: 4, size: 2, kind: 'be16' },
    { name: 'flags', offset: 6, size: 2, kind: 'u16' },
    { name: 'last_seen', offset: 8, size: 4, kind: 'u32' },
    { name: 'session_count', offset: 12, size: 4, kind: 'u32' },
    { name: 'first', offset: 16, size: 16, kind: 'struct', struct: sessionLayout },
  ],
};

/** Bytes from the start of struct mapping. */
export const mappingOffsets = {
  vm: 0,
  internalPort: 4,
  flags: 6,
  lastSeen: 8,
  sessionCount: 12,
  first: 16,
} as const;

export const mappingCodec: Codec<Mapping> = {
  name: 'mapping',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'mapping');
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt16BE(value.internalPort, offset + 4);
    into.writeUInt16LE(value.flags, offset + 6);
    into.writeUInt32LE(value.lastSeen, offset + 8);
    into.writeUInt32LE(value.sessionCount, offset + 12);
    sessionCodec.encode(value.first, into, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'mapping');
    return {
      vm: from.readUInt32LE(offset),
      internalPort: from.readUInt16BE(offset + 4),
      flags: from.readUInt16LE(offset + 6),
      lastSeen: from.readUInt32LE(offset + 8),
      sessionCount: from.readUInt32LE(offset + 12),
      first: sessionCodec.decode(from, offset + 16),
    };
  },
};

/** struct mapping_place, 20 bytes */
export interface MappingPlace {
  vm: number;
  addressIndex: number;
  protocol: number;
  internalPort: number;
  externalPort: number;
  index: number;
}

export const mappingPlaceLayout: StructLayout = {
  name: 'mapping_place',
  size: 20,
  fields: [
    { name: 'vm', offset: 0, size: 4, kind: 'u32' },
    { name: 'address_index', offset: 4, size: 4, kind: 'u32' },
    { name: 'protocol', offset: 8, size: 4, kind: 'u32' },
    { name: 'internal_port', offset: 12, size: 2, kind: 'be16' },
    { name: 'external_port', offset: 14, size: 2, kind: 'u16' },
    { name: 'index', offset: 16, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct mapping_place. */
export const mappingPlaceOffsets = {
  vm: 0,
  addressIndex: 4,
  protocol: 8,
  internalPort: 12,
  externalPort: 14,
  index: 16,
} as const;

export const mappingPlaceCodec: Codec<MappingPlace> = {
  name: 'mapping_place',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'mapping_place');
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt32LE(value.addressIndex, offset + 4);
    into.writeUInt32LE(value.protocol, offset + 8);
    into.writeUInt16BE(value.internalPort, offset + 12);
    into.writeUInt16LE(value.externalPort, offset + 14);
    into.writeUInt32LE(value.index, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'mapping_place');
    return {
      vm: from.readUInt32LE(offset),
      addressIndex: from.readUInt32LE(offset + 4),
      protocol: from.readUInt32LE(offset + 8),
      internalPort: from.readUInt16BE(offset + 12),
      externalPort: from.readUInt16LE(offset + 14),
      index: from.readUInt32LE(offset + 16),
    };
  },
};

/** struct neighbour, 8 bytes */
export interface Neighbour {
  mac: Buffer;
}

export const neighbourLayout: StructLayout = {
  name: 'neighbour',
  size: 8,
  fields: [
    { name: 'mac', offset: 0, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 6, size: 2, kind: 'u8', count: 2 },
  ],
};

/** Bytes from the start of struct neighbour. */
export const neighbourOffsets = {
  mac: 0,
} as const;

export const neighbourCodec: Codec<Neighbour> = {
  name: 'neighbour',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'neighbour');
    into.fill(0, offset, offset + 8);
    expectLength(value.mac.length, 6, 'neighbour.mac');
    into.set(value.mac, offset);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'neighbour');
    return {
      mac: Buffer.from(from.subarray(offset, offset + 6)),
    };
  },
};

/** struct neighbour_key, 8 bytes */
export interface NeighbourKey {
  interface: number;
  vlan: number;
  address: number;
}

export const neighbourKeyLayout: StructLayout = {
  name: 'neighbour_key',
  size: 8,
  fields: [
    { name: 'interface', offset: 0, size: 2, kind: 'u16' },
    { name: 'vlan', offset: 2, size: 2, kind: 'u16' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct neighbour_key. */
export const neighbourKeyOffsets = {
  interface: 0,
  vlan: 2,
  address: 4,
} as const;

export const neighbourKeyCodec: Codec<NeighbourKey> = {
  name: 'neighbour_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'neighbour_key');
    into.writeUInt16LE(value.interface, offset);
    into.writeUInt16LE(value.vlan, offset + 2);
    into.writeUInt32BE(value.address, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'neighbour_key');
    return {
      interface: from.readUInt16LE(offset),
      vlan: from.readUInt16LE(offset + 2),
      address: from.readUInt32BE(offset + 4),
    };
  },
};

/** struct network, 40 bytes */
export interface Network {
  vni: number;
  router: number;
  subnet: number;
  netmask: number;
  gateway: number;
  gatewayMac: Buffer;
  mss: number;
  flags: number;
  vmLimit: number;
  mtu: number;
}

export const networkLayout: StructLayout = {
  name: 'network',
  size: 40,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'router', offset: 4, size: 4, kind: 'u32' },
    { name: 'subnet', offset: 8, size: 4, kind: 'be32' },
    { name: 'netmask', offset: 12, size: 4, kind: 'be32' },
    { name: 'gateway', offset: 16, size: 4, kind: 'be32' },
    { name: 'gateway_mac', offset: 20, size: 6, kind: 'u8', count: 6 },
    { name: 'mss', offset: 26, size: 2, kind: 'u16' },
    { name: 'flags', offset: 28, size: 4, kind: 'u32' },
    { name: 'vm_limit', offset: 32, size: 4, kind: 'u32' },
    { name: 'mtu', offset: 36, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct network. */
export const networkOffsets = {
  vni: 0,
  router: 4,
  subnet: 8,
  netmask: 12,
  gateway: 16,
  gatewayMac: 20,
  mss: 26,
  flags: 28,
  vmLimit: 32,
  mtu: 36,
} as const;

export const networkCodec: Codec<Network> = {
  name: 'network',
  size: 40,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 40, 'network');
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32LE(value.router, offset + 4);
    into.writeUInt32BE(value.subnet, offset + 8);
    into.writeUInt32BE(value.netmask, offset + 12);
    into.writeUInt32BE(value.gateway, offset + 16);
    expectLength(value.gatewayMac.length, 6, 'network.gateway_mac');
    into.set(value.gatewayMac, offset + 20);
    into.writeUInt16LE(value.mss, offset + 26);
    into.writeUInt32LE(value.flags, offset + 28);
    into.writeUInt32LE(value.vmLimit, offset + 32);
    into.writeUInt32LE(value.mtu, offset + 36);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 40, 'network');
    return {
      vni: from.readUInt32LE(offset),
      router: from.readUInt32LE(offset + 4),
      subnet: from.readUInt32BE(offset + 8),
      netmask: from.readUInt32BE(offset + 12),
      gateway: from.readUInt32BE(offset + 16),
      gatewayMac: Buffer.from(from.subarray(offset + 20, offset + 26)),
      mss: from.readUInt16LE(offset + 26),
      flags: from.readUInt32LE(offset + 28),
      vmLimit: from.readUInt32LE(offset + 32),
      mtu: from.readUInt32LE(offset + 36),
    };
  },
};

/** struct network_state, 8 bytes */
export interface NetworkState {
  vms: number;
}

export const networkStateLayout: StructLayout = {
  name: 'network_state',
  size: 8,
  fields: [
    { name: 'vms', offset: 0, size: 4, kind: 'u32' },
    { name: 'pad', offset: 4, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct network_state. */
export const networkStateOffsets = {
  vms: 0,
} as const;

export const networkStateCodec: Codec<NetworkState> = {
  name: 'network_state',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'network_state');
    into.fill(0, offset, offset + 8);
    into.writeUInt32LE(value.vms, offset);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'network_state');
    return {
      vms: from.readUInt32LE(offset),
    };
  },
};

/** struct quote, 24 bytes */
export interface Quote {
  offset: number;
  l4Offset: number;
  length: number;
  protocol: number;
  icmpType: number;
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
  laterFragment: boolean;
}

export const quoteLayout: StructLayout = {
  name: 'quote',
  size: 24,
  fields: [
    { name: 'offset', offset: 0, size: 2, kind: 'u16' },
    { name: 'l4_offset', offset: 2, size: 2, kind: 'u16' },
    { name: 'length', offset: 4, size: 2, kind: 'u16' },
    { name: 'protocol', offset: 6, size: 1, kind: 'u8' },
    { name: 'icmp_type', offset: 7, size: 1, kind: 'u8' },
    { name: 'source', offset: 8, size: 4, kind: 'be32' },
    { name: 'destination', offset: 12, size: 4, kind: 'be32' },
    { name: 'source_port', offset: 16, size: 2, kind: 'be16' },
    { name: 'destination_port', offset: 18, size: 2, kind: 'be16' },
    { name: 'later_fragment', offset: 20, size: 1, kind: 'bool' },
  ],
};

/** Bytes from the start of struct quote. */
export const quoteOffsets = {
  offset: 0,
  l4Offset: 2,
  length: 4,
  protocol: 6,
  icmpType: 7,
  source: 8,
  destination: 12,
  sourcePort: 16,
  destinationPort: 18,
  laterFragment: 20,
} as const;

export const quoteCodec: Codec<Quote> = {
  name: 'quote',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'quote');
    into.fill(0, offset, offset + 24);
    into.writeUInt16LE(value.offset, offset);
    into.writeUInt16LE(value.l4Offset, offset + 2);
    into.writeUInt16LE(value.length, offset + 4);
    into.writeUInt8(value.protocol, offset + 6);
    into.writeUInt8(value.icmpType, offset + 7);
    into.writeUInt32BE(value.source, offset + 8);
    into.writeUInt32BE(value.destination, offset + 12);
    into.writeUInt16BE(value.sourcePort, offset + 16);
    into.writeUInt16BE(value.destinationPort, offset + 18);
    into.writeUInt8(value.laterFragment ? 1 : 0, offset + 20);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'quote');
    return {
      offset: from.readUInt16LE(offset),
      l4Offset: from.readUInt16LE(offset + 2),
      length: from.readUInt16LE(offset + 4),
      protocol: from.readUInt8(offset + 6),
      icmpType: from.readUInt8(offset + 7),
      source: from.readUInt32BE(offset + 8),
      destination: from.readUInt32BE(offset + 12),
      sourcePort: from.readUInt16BE(offset + 16),
      destinationPort: from.readUInt16BE(offset + 18),
      laterFragment: from.readUInt8(offset + 20) !== 0,
    };
  },
};

/** struct tunnel, 40 bytes */
export interface Tunnel {
  source: number;
  destination: number;
  vni: number;
  innerOffset: number;
  udpOffset: number;
  sourceMac: Buffer;
  optionLength: number;
  tos: number;
  option: Buffer;
}

export const tunnelLayout: StructLayout = {
  name: 'tunnel',
  size: 40,
  fields: [
    { name: 'source', offset: 0, size: 4, kind: 'be32' },
    { name: 'destination', offset: 4, size: 4, kind: 'be32' },
    { name: 'vni', offset: 8, size: 4, kind: 'u32' },
    { name: 'inner_offset', offset: 12, size: 4, kind: 'u32' },
    { name: 'udp_offset', offset: 16, size: 2, kind: 'u16' },
    { name: 'source_mac', offset: 18, size: 6, kind: 'u8', count: 6 },
    { name: 'option_length', offset: 24, size: 1, kind: 'u8' },
    { name: 'tos', offset: 25, size: 1, kind: 'u8' },
    { name: 'pad', offset: 26, size: 6, kind: 'u8', count: 6 },
    { name: 'option', offset: 32, size: 8, kind: 'u8', count: 8 },
  ],
};

/** Bytes from the start of struct tunnel. */
export const tunnelOffsets = {
  source: 0,
  destination: 4,
  vni: 8,
  innerOffset: 12,
  udpOffset: 16,
  sourceMac: 18,
  optionLength: 24,
  tos: 25,
  option: 32,
} as const;

export const tunnelCodec: Codec<Tunnel> = {
  name: 'tunnel',
  size: 40,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 40, 'tunnel');
    into.fill(0, offset, offset + 40);
    into.writeUInt32BE(value.source, offset);
    into.writeUInt32BE(value.destination, offset + 4);
    into.writeUInt32LE(value.vni, offset + 8);
    into.writeUInt32LE(value.innerOffset, offset + 12);
    into.writeUInt16LE(value.udpOffset, offset + 16);
    expectLength(value.sourceMac.length, 6, 'tunnel.source_mac');
    into.set(value.sourceMac, offset + 18);
    into.writeUInt8(value.optionLength, offset + 24);
    into.writeUInt8(value.tos, offset + 25);
    expectLength(value.option.length, 8, 'tunnel.option');
    into.set(value.option, offset + 32);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 40, 'tunnel');
    return {
      source: from.readUInt32BE(offset),
      destination: from.readUInt32BE(offset + 4),
      vni: from.readUInt32LE(offset + 8),
      innerOffset: from.readUInt32LE(offset + 12),
      udpOffset: from.readUInt16LE(offset + 16),
      sourceMac: Buffer.from(from.subarray(offset + 18, offset + 24)),
      optionLength: from.readUInt8(offset + 24),
      tos: from.readUInt8(offset + 25),
      option: Buffer.from(from.subarray(offset + 32, offset + 40)),
    };
  },
};

/** struct session_place, 24 bytes */
export interface SessionPlace {
  mapping: number;
  vm: number;
  remote: number;
  remotePort: number;
  internalPort: number;
  knownPort: number;
  known: boolean;
  created: boolean;
  shared: boolean;
}

export const sessionPlaceLayout: StructLayout = {
  name: 'session_place',
  size: 24,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'vm', offset: 4, size: 4, kind: 'u32' },
    { name: 'remote', offset: 8, size: 4, kind: 'be32' },
    { name: 'remote_port', offset: 12, size: 2, kind: 'be16' },
    { name: 'internal_port', offset: 14, size: 2, kind: 'be16' },
    { name: 'known_port', offset: 16, size: 2, kind: 'be16' },
    { name: 'known', offset: 18, size: 1, kind: 'bool' },
    { name: 'created', offset: 19, size: 1, kind: 'bool' },
    { name: 'shared', offset: 20, size: 1, kind: 'bool' },
    { name: 'pad', offset: 21, size: 3, kind: 'u8', count: 3 },
  ],
};

/** Bytes from the start of struct session_place. */
export const sessionPlaceOffsets = {
  mapping: 0,
  vm: 4,
  remote: 8,
  remotePort: 12,
  internalPort: 14,
  knownPort: 16,
  known: 18,
  created: 19,
  shared: 20,
} as const;

export const sessionPlaceCodec: Codec<SessionPlace> = {
  name: 'session_place',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'session_place');
    into.fill(0, offset, offset + 24);
    into.writeUInt32LE(value.mapping, offset);
    into.writeUInt32LE(value.vm, offset + 4);
    into.writeUInt32BE(value.remote, offset + 8);
    into.writeUInt16BE(value.remotePort, offset + 12);
    into.writeUInt16BE(value.internalPort, offset + 14);
    into.writeUInt16BE(value.knownPort, offset + 16);
    into.writeUInt8(value.known ? 1 : 0, offset + 18);
    into.writeUInt8(value.created ? 1 : 0, offset + 19);
    into.writeUInt8(value.shared ? 1 : 0, offset + 20);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'session_place');
    return {
      mapping: from.readUInt32LE(offset),
      vm: from.readUInt32LE(offset + 4),
      remote: from.readUInt32BE(offset + 8),
      remotePort: from.readUInt16BE(offset + 12),
      internalPort: from.readUInt16BE(offset + 14),
      knownPort: from.readUInt16BE(offset + 16),
      known: from.readUInt8(offset + 18) !== 0,
      created: from.readUInt8(offset + 19) !== 0,
      shared: from.readUInt8(offset + 20) !== 0,
    };
  },
};

/** struct snat, 72 bytes */
export interface Snat {
  mapping: number;
  vm: number;
  address: number;
  port: number;
  isStatic: boolean;
  session: bigint;
  mappingPlace: MappingPlace;
  sessionPlace: SessionPlace;
}

export const snatLayout: StructLayout = {
  name: 'snat',
  size: 72,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'vm', offset: 4, size: 4, kind: 'u32' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
    { name: 'port', offset: 12, size: 2, kind: 'be16' },
    { name: 'is_static', offset: 14, size: 1, kind: 'bool' },
    { name: 'session', offset: 16, size: 8, kind: 'i64' },
    { name: 'mapping_place', offset: 24, size: 20, kind: 'struct', struct: mappingPlaceLayout },
    { name: 'session_place', offset: 44, size: 24, kind: 'struct', struct: sessionPlaceLayout },
  ],
};

/** Bytes from the start of struct snat. */
export const snatOffsets = {
  mapping: 0,
  vm: 4,
  address: 8,
  port: 12,
  isStatic: 14,
  session: 16,
  mappingPlace: 24,
  sessionPlace: 44,
} as const;

export const snatCodec: Codec<Snat> = {
  name: 'snat',
  size: 72,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 72, 'snat');
    into.fill(0, offset, offset + 72);
    into.writeUInt32LE(value.mapping, offset);
    into.writeUInt32LE(value.vm, offset + 4);
    into.writeUInt32BE(value.address, offset + 8);
    into.writeUInt16BE(value.port, offset + 12);
    into.writeUInt8(value.isStatic ? 1 : 0, offset + 14);
    into.writeBigInt64LE(value.session, offset + 16);
    mappingPlaceCodec.encode(value.mappingPlace, into, offset + 24);
    sessionPlaceCodec.encode(value.sessionPlace, into, offset + 44);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 72, 'snat');
    return {
      mapping: from.readUInt32LE(offset),
      vm: from.readUInt32LE(offset + 4),
      address: from.readUInt32BE(offset + 8),
      port: from.readUInt16BE(offset + 12),
      isStatic: from.readUInt8(offset + 14) !== 0,
      session: from.readBigInt64LE(offset + 16),
      mappingPlace: mappingPlaceCodec.decode(from, offset + 24),
      sessionPlace: sessionPlaceCodec.decode(from, offset + 44),
    };
  },
};

/** struct rewrite, 16 bytes */
export interface Rewrite {
  from: number;
  to: number;
  fromPort: number;
  toPort: number;
  source: boolean;
}

export const rewriteLayout: StructLayout = {
  name: 'rewrite',
  size: 16,
  fields: [
    { name: 'from', offset: 0, size: 4, kind: 'be32' },
    { name: 'to', offset: 4, size: 4, kind: 'be32' },
    { name: 'from_port', offset: 8, size: 2, kind: 'be16' },
    { name: 'to_port', offset: 10, size: 2, kind: 'be16' },
    { name: 'source', offset: 12, size: 1, kind: 'bool' },
    { name: 'pad', offset: 13, size: 3, kind: 'u8', count: 3 },
  ],
};

/** Bytes from the start of struct rewrite. */
export const rewriteOffsets = {
  from: 0,
  to: 4,
  fromPort: 8,
  toPort: 10,
  source: 12,
} as const;

export const rewriteCodec: Codec<Rewrite> = {
  name: 'rewrite',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'rewrite');
    into.fill(0, offset, offset + 16);
    into.writeUInt32BE(value.from, offset);
    into.writeUInt32BE(value.to, offset + 4);
    into.writeUInt16BE(value.fromPort, offset + 8);
    into.writeUInt16BE(value.toPort, offset + 10);
    into.writeUInt8(value.source ? 1 : 0, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'rewrite');
    return {
      from: from.readUInt32BE(offset),
      to: from.readUInt32BE(offset + 4),
      fromPort: from.readUInt16BE(offset + 8),
      toPort: from.readUInt16BE(offset + 10),
      source: from.readUInt8(offset + 12) !== 0,
    };
  },
};

/** struct packet, 312 bytes */
export interface Packet {
  ip: Ipv4;
  quote: Quote;
  tunnel: Tunnel;
  nowNs: bigint;
  from: number;
  router: number;
  network: number;
  vm: number;
  end: number;
  vlan: number;
  mss: number;
  mtu: number;
  mac: Buffer;
  destinationMac: Buffer;
  flow: Flow;
  snat: Snat;
  rewrite: Rewrite;
  departure: Departure;
  scratch: Buffer;
  rewritten: boolean;
  explainable: boolean;
}

export const packetLayout: StructLayout = {
  name: 'packet',
  size: 312,
  fields: [
    { name: 'ip', offset: 0, size: 32, kind: 'struct', struct: ipv4Layout },
    { name: 'quote', offset: 32, size: 24, kind: 'struct', struct: quoteLayout },
    { name: 'tunnel', offset: 56, size: 40, kind: 'struct', struct: tunnelLayout },
    { name: 'now_ns', offset: 96, size: 8, kind: 'u64' },
    { name: 'from', offset: 104, size: 4, kind: 'u32' },
    { name: 'router', offset: 108, size: 4, kind: 'u32' },
    { name: 'network', offset: 112, size: 4, kind: 'u32' },
    { name: 'vm', offset: 116, size: 4, kind: 'u32' },
    { name: 'end', offset: 120, size: 4, kind: 'u32' },
    { name: 'vlan', offset: 124, size: 2, kind: 'u16' },
    { name: 'mss', offset: 126, size: 2, kind: 'u16' },
    { name: 'mtu', offset: 128, size: 2, kind: 'u16' },
    { name: 'mac', offset: 130, size: 6, kind: 'u8', count: 6 },
    { name: 'destination_mac', offset: 136, size: 6, kind: 'u8', count: 6 },
    { name: 'flow', offset: 144, size: 16, kind: 'struct', struct: flowLayout },
    { name: 'snat', offset: 160, size: 72, kind: 'struct', struct: snatLayout },
    { name: 'rewrite', offset: 232, size: 16, kind: 'struct', struct: rewriteLayout },
    { name: 'departure', offset: 248, size: 20, kind: 'struct', struct: departureLayout },
    { name: 'scratch', offset: 268, size: 36, kind: 'u8', count: 36 },
    { name: 'rewritten', offset: 304, size: 1, kind: 'bool' },
    { name: 'explainable', offset: 305, size: 1, kind: 'bool' },
  ],
};

/** Bytes from the start of struct packet. */
export const packetOffsets = {
  ip: 0,
  quote: 32,
  tunnel: 56,
  nowNs: 96,
  from: 104,
  router: 108,
  network: 112,
  vm: 116,
  end: 120,
  vlan: 124,
  mss: 126,
  mtu: 128,
  mac: 130,
  destinationMac: 136,
  flow: 144,
  snat: 160,
  rewrite: 232,
  departure: 248,
  scratch: 268,
  rewritten: 304,
  explainable: 305,
} as const;

export const packetCodec: Codec<Packet> = {
  name: 'packet',
  size: 312,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 312, 'packet');
    into.fill(0, offset, offset + 312);
    ipv4Codec.encode(value.ip, into, offset);
    quoteCodec.encode(value.quote, into, offset + 32);
    tunnelCodec.encode(value.tunnel, into, offset + 56);
    into.writeBigUInt64LE(value.nowNs, offset + 96);
    into.writeUInt32LE(value.from, offset + 104);
    into.writeUInt32LE(value.router, offset + 108);
    into.writeUInt32LE(value.network, offset + 112);
    into.writeUInt32LE(value.vm, offset + 116);
    into.writeUInt32LE(value.end, offset + 120);
    into.writeUInt16LE(value.vlan, offset + 124);
    into.writeUInt16LE(value.mss, offset + 126);
    into.writeUInt16LE(value.mtu, offset + 128);
    expectLength(value.mac.length, 6, 'packet.mac');
    into.set(value.mac, offset + 130);
    expectLength(value.destinationMac.length, 6, 'packet.destination_mac');
    into.set(value.destinationMac, offset + 136);
    flowCodec.encode(value.flow, into, offset + 144);
    snatCodec.encode(value.snat, into, offset + 160);
    rewriteCodec.encode(value.rewrite, into, offset + 232);
    departureCodec.encode(value.departure, into, offset + 248);
    expectLength(value.scratch.length, 36, 'packet.scratch');
    into.set(value.scratch, offset + 268);
    into.writeUInt8(value.rewritten ? 1 : 0, offset + 304);
    into.writeUInt8(value.explainable ? 1 : 0, offset + 305);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 312, 'packet');
    return {
      ip: ipv4Codec.decode(from, offset),
      quote: quoteCodec.decode(from, offset + 32),
      tunnel: tunnelCodec.decode(from, offset + 56),
      nowNs: from.readBigUInt64LE(offset + 96),
      from: from.readUInt32LE(offset + 104),
      router: from.readUInt32LE(offset + 108),
      network: from.readUInt32LE(offset + 112),
      vm: from.readUInt32LE(offset + 116),
      end: from.readUInt32LE(offset + 120),
      vlan: from.readUInt16LE(offset + 124),
      mss: from.readUInt16LE(offset + 126),
      mtu: from.readUInt16LE(offset + 128),
      mac: Buffer.from(from.subarray(offset + 130, offset + 136)),
      destinationMac: Buffer.from(from.subarray(offset + 136, offset + 142)),
      flow: flowCodec.decode(from, offset + 144),
      snat: snatCodec.decode(from, offset + 160),
      rewrite: rewriteCodec.decode(from, offset + 232),
      departure: departureCodec.decode(from, offset + 248),
      scratch: Buffer.from(from.subarray(offset + 268, offset + 304)),
      rewritten: from.readUInt8(offset + 304) !== 0,
      explainable: from.readUInt8(offset + 305) !== 0,
    };
  },
};

/** struct port_block, 16 bytes */
export interface PortBlock {
  vm: number;
  mappings: number;
  lastSeen: number;
  exhausted: number;
}

export const portBlockLayout: StructLayout = {
  name: 'port_block',
  size: 16,
  fields: [
    { name: 'vm', offset: 0, size: 4, kind: 'u32' },
    { name: 'mappings', offset: 4, size: 4, kind: 'u32' },
    { name: 'last_seen', offset: 8, size: 4, kind: 'u32' },
    { name: 'exhausted', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct port_block. */
export const portBlockOffsets = {
  vm: 0,
  mappings: 4,
  lastSeen: 8,
  exhausted: 12,
} as const;

export const portBlockCodec: Codec<PortBlock> = {
  name: 'port_block',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'port_block');
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt32LE(value.mappings, offset + 4);
    into.writeUInt32LE(value.lastSeen, offset + 8);
    into.writeUInt32LE(value.exhausted, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'port_block');
    return {
      vm: from.readUInt32LE(offset),
      mappings: from.readUInt32LE(offset + 4),
      lastSeen: from.readUInt32LE(offset + 8),
      exhausted: from.readUInt32LE(offset + 12),
    };
  },
};

/** struct port_log, 20 bytes */
export interface PortLog {
  vni: number;
  internalAddress: number;
  externalAddress: number;
  firstPort: number;
  ports: number;
  protocol: number;
}

export const portLogLayout: StructLayout = {
  name: 'port_log',
  size: 20,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'internal_address', offset: 4, size: 4, kind: 'be32' },
    { name: 'external_address', offset: 8, size: 4, kind: 'be32' },
    { name: 'first_port', offset: 12, size: 2, kind: 'u16' },
    { name: 'ports', offset: 14, size: 2, kind: 'u16' },
    { name: 'protocol', offset: 16, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct port_log. */
export const portLogOffsets = {
  vni: 0,
  internalAddress: 4,
  externalAddress: 8,
  firstPort: 12,
  ports: 14,
  protocol: 16,
} as const;

export const portLogCodec: Codec<PortLog> = {
  name: 'port_log',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'port_log');
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32BE(value.internalAddress, offset + 4);
    into.writeUInt32BE(value.externalAddress, offset + 8);
    into.writeUInt16LE(value.firstPort, offset + 12);
    into.writeUInt16LE(value.ports, offset + 14);
    into.writeUInt32LE(value.protocol, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'port_log');
    return {
      vni: from.readUInt32LE(offset),
      internalAddress: from.readUInt32BE(offset + 4),
      externalAddress: from.readUInt32BE(offset + 8),
      firstPort: from.readUInt16LE(offset + 12),
      ports: from.readUInt16LE(offset + 14),
      protocol: from.readUInt32LE(offset + 16),
    };
  },
};

/** struct replay_window, 4112 bytes */
export interface ReplayWindow {
  highest: bigint;
  epoch: number;
  seen: bigint[];
}

export const replayWindowLayout: StructLayout = {
  name: 'replay_window',
  size: 4112,
  fields: [
    { name: 'highest', offset: 0, size: 8, kind: 'u64' },
    { name: 'epoch', offset: 8, size: 4, kind: 'u32' },
    { name: 'lock', offset: 12, size: 4, kind: 'opaque' },
    { name: 'seen', offset: 16, size: 4096, kind: 'u64', count: 512 },
  ],
};

/** Bytes from the start of struct replay_window. */
export const replayWindowOffsets = {
  highest: 0,
  epoch: 8,
  seen: 16,
} as const;

export const replayWindowCodec: Codec<ReplayWindow> = {
  name: 'replay_window',
  size: 4112,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 4112, 'replay_window');
    into.fill(0, offset, offset + 4112);
    into.writeBigUInt64LE(value.highest, offset);
    into.writeUInt32LE(value.epoch, offset + 8);
    expectLength(value.seen.length, 512, 'replay_window.seen');
    value.seen.forEach((element, index) => into.writeBigUInt64LE(element, offset + 16 + index * 8));
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 4112, 'replay_window');
    return {
      highest: from.readBigUInt64LE(offset),
      epoch: from.readUInt32LE(offset + 8),
      seen: Array.from({ length: 512 }, (_, index) => from.readBigUInt64LE(offset + 16 + index * 8)),
    };
  },
};

/** struct route, 16 bytes */
export interface Route {
  kind: number;
  network: number;
  via: number;
}

export const routeLayout: StructLayout = {
  name: 'route',
  size: 16,
  fields: [
    { name: 'kind', offset: 0, size: 4, kind: 'u32' },
    { name: 'network', offset: 4, size: 4, kind: 'u32' },
    { name: 'via', offset: 8, size: 4, kind: 'be32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct route. */
export const routeOffsets = {
  kind: 0,
  network: 4,
  via: 8,
} as const;

export const routeCodec: Codec<Route> = {
  name: 'route',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'route');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.kind, offset);
    into.writeUInt32LE(value.network, offset + 4);
    into.writeUInt32BE(value.via, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'route');
    return {
      kind: from.readUInt32LE(offset),
      network: from.readUInt32LE(offset + 4),
      via: from.readUInt32BE(offset + 8),
    };
  },
};

/** struct route_key, 12 bytes */
export interface RouteKey {
  prefixLength: number;
  scope: number;
  address: number;
}

export const routeKeyLayout: StructLayout = {
  name: 'route_key',
  size: 12,
  fields: [
    { name: 'prefix_length', offset: 0, size: 4, kind: 'u32' },
    { name: 'scope', offset: 4, size: 4, kind: 'u32' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct route_key. */
export const routeKeyOffsets = {
  prefixLength: 0,
  scope: 4,
  address: 8,
} as const;

export const routeKeyCodec: Codec<RouteKey> = {
  name: 'route_key',
  size: 12,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 12, 'route_key');
    into.writeUInt32LE(value.prefixLength, offset);
    into.writeUInt32LE(value.scope, offset + 4);
    into.writeUInt32BE(value.address, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 12, 'route_key');
    return {
      prefixLength: from.readUInt32LE(offset),
      scope: from.readUInt32LE(offset + 4),
      address: from.readUInt32BE(offset + 8),
    };
  },
};

/** struct router, 44 bytes */
export interface Router {
  externalAddress: number;
  pool: number;
  poolSize: number;
  externalNetwork: number;
  virtualRouter: number;
  innerPrefix: number;
  innerMask: number;
  mapping: number;
  filtering: number;
  vmBlockLimit: number;
  sessionLimit: number;
  vmSessionLimit: number;
  vmSessionsPerSecond: number;
}

export const routerLayout: StructLayout = {
  name: 'router',
  size: 44,
  fields: [
    { name: 'external_address', offset: 0, size: 4, kind: 'be32' },
    { name: 'pool', offset: 4, size: 4, kind: 'u32' },
    { name: 'pool_size', offset: 8, size: 4, kind: 'u32' },
    { name: 'external_network', offset: 12, size: 4, kind: 'u32' },
    { name: 'virtual_router', offset: 16, size: 4, kind: 'u32' },
    { name: 'inner_prefix', offset: 20, size: 4, kind: 'be32' },
    { name: 'inner_mask', offset: 24, size: 4, kind: 'be32' },
    { name: 'mapping', offset: 28, size: 1, kind: 'u8' },
    { name: 'filtering', offset: 29, size: 1, kind: 'u8' },
    { name: 'vm_block_limit', offset: 30, size: 2, kind: 'u16' },
    { name: 'session_limit', offset: 32, size: 4, kind: 'u32' },
    { name: 'vm_session_limit', offset: 36, size: 4, kind: 'u32' },
    { name: 'vm_sessions_per_second', offset: 40, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct router. */
export const routerOffsets = {
  externalAddress: 0,
  pool: 4,
  poolSize: 8,
  externalNetwork: 12,
  virtualRouter: 16,
  innerPrefix: 20,
  innerMask: 24,
  mapping: 28,
  filtering: 29,
  vmBlockLimit: 30,
  sessionLimit: 32,
  vmSessionLimit: 36,
  vmSessionsPerSecond: 40,
} as const;

export const routerCodec: Codec<Router> = {
  name: 'router',
  size: 44,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 44, 'router');
    into.writeUInt32BE(value.externalAddress, offset);
    into.writeUInt32LE(value.pool, offset + 4);
    into.writeUInt32LE(value.poolSize, offset + 8);
    into.writeUInt32LE(value.externalNetwork, offset + 12);
    into.writeUInt32LE(value.virtualRouter, offset + 16);
    into.writeUInt32BE(value.innerPrefix, offset + 20);
    into.writeUInt32BE(value.innerMask, offset + 24);
    into.writeUInt8(value.mapping, offset + 28);
    into.writeUInt8(value.filtering, offset + 29);
    into.writeUInt16LE(value.vmBlockLimit, offset + 30);
    into.writeUInt32LE(value.sessionLimit, offset + 32);
    into.writeUInt32LE(value.vmSessionLimit, offset + 36);
    into.writeUInt32LE(value.vmSessionsPerSecond, offset + 40);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 44, 'router');
    return {
      externalAddress: from.readUInt32BE(offset),
      pool: from.readUInt32LE(offset + 4),
      poolSize: from.readUInt32LE(offset + 8),
      externalNetwork: from.readUInt32LE(offset + 12),
      virtualRouter: from.readUInt32LE(offset + 16),
      innerPrefix: from.readUInt32BE(offset + 20),
      innerMask: from.readUInt32BE(offset + 24),
      mapping: from.readUInt8(offset + 28),
      filtering: from.readUInt8(offset + 29),
      vmBlockLimit: from.readUInt16LE(offset + 30),
      sessionLimit: from.readUInt32LE(offset + 32),
      vmSessionLimit: from.readUInt32LE(offset + 36),
      vmSessionsPerSecond: from.readUInt32LE(offset + 40),
    };
  },
};

/** struct router_state, 16 bytes */
export interface RouterState {
  sessions: number;
  handOverTick: number;
  handOvers: number;
}

export const routerStateLayout: StructLayout = {
  name: 'router_state',
  size: 16,
  fields: [
    { name: 'sessions', offset: 0, size: 4, kind: 'u32' },
    { name: 'hand_over_tick', offset: 4, size: 4, kind: 'u32' },
    { name: 'hand_overs', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct router_state. */
export const routerStateOffsets = {
  sessions: 0,
  handOverTick: 4,
  handOvers: 8,
} as const;

export const routerStateCodec: Codec<RouterState> = {
  name: 'router_state',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'router_state');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.sessions, offset);
    into.writeUInt32LE(value.handOverTick, offset + 4);
    into.writeUInt32LE(value.handOvers, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'router_state');
    return {
      sessions: from.readUInt32LE(offset),
      handOverTick: from.readUInt32LE(offset + 4),
      handOvers: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct segment, 16 bytes */
export interface Segment {
  digest: bigint;
  wanted: number;
}

export const segmentLayout: StructLayout = {
  name: 'segment',
  size: 16,
  fields: [
    { name: 'digest', offset: 0, size: 8, kind: 'u64' },
    { name: 'wanted', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct segment. */
export const segmentOffsets = {
  digest: 0,
  wanted: 8,
} as const;

export const segmentCodec: Codec<Segment> = {
  name: 'segment',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'segment');
    into.fill(0, offset, offset + 16);
    into.writeBigUInt64LE(value.digest, offset);
    into.writeUInt32LE(value.wanted, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'segment');
    return {
      digest: from.readBigUInt64LE(offset),
      wanted: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct sync_record, 72 bytes */
export interface SyncRecord {
  kind: number;
  protocol: number;
  state: number;
  sessionFlags: number;
  term: number;
  vni: number;
  internalAddress: number;
  externalAddress: number;
  remote: number;
  internalPort: number;
  externalPort: number;
  remotePort: number;
  optionLength: number;
  virtualRouter: number;
  tunnelEndpoint: number;
  mac: Buffer;
  nextHopMac: Buffer;
  option: Buffer;
  portKey: number;
  idle: number;
  sequence: number;
}

export const syncRecordLayout: StructLayout = {
  name: 'sync_record',
  size: 72,
  fields: [
    { name: 'kind', offset: 0, size: 1, kind: 'u8' },
    { name: 'protocol', offset: 1, size: 1, kind: 'u8' },
    { name: 'state', offset: 2, size: 1, kind: 'u8' },
    { name: 'session_flags', offset: 3, size: 1, kind: 'u8' },
    { name: 'term', offset: 4, size: 4, kind: 'be32' },
    { name: 'vni', offset: 8, size: 4, kind: 'be32' },
    { name: 'internal_address', offset: 12, size: 4, kind: 'be32' },
    { name: 'external_address', offset: 16, size: 4, kind: 'be32' },
    { name: 'remote', offset: 20, size: 4, kind: 'be32' },
    { name: 'internal_port', offset: 24, size: 2, kind: 'be16' },
    { name: 'external_port', offset: 26, size: 2, kind: 'be16' },
    { name: 'remote_port', offset: 28, size: 2, kind: 'be16' },
    { name: 'option_length', offset: 30, size: 1, kind: 'u8' },
    { name: 'virtual_router', offset: 31, size: 1, kind: 'u8' },
    { name: 'tunnel_endpoint', offset: 32, size: 4, kind: 'be32' },
    { name: 'mac', offset: 36, size: 6, kind: 'u8', count: 6 },
    { name: 'next_hop_mac', offset: 42, size: 6, kind: 'u8', count: 6 },
    { name: 'option', offset: 48, size: 8, kind: 'u8', count: 8 },
    { name: 'port_key', offset: 56, size: 4, kind: 'be32' },
    { name: 'idle', offset: 60, size: 4, kind: 'be32' },
    { name: 'sequence', offset: 64, size: 4, kind: 'be32' },
    { name: 'pad', offset: 68, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct sync_record. */
export const syncRecordOffsets = {
  kind: 0,
  protocol: 1,
  state: 2,
  sessionFlags: 3,
  term: 4,
  vni: 8,
  internalAddress: 12,
  externalAddress: 16,
  remote: 20,
  internalPort: 24,
  externalPort: 26,
  remotePort: 28,
  optionLength: 30,
  virtualRouter: 31,
  tunnelEndpoint: 32,
  mac: 36,
  nextHopMac: 42,
  option: 48,
  portKey: 56,
  idle: 60,
  sequence: 64,
} as const;

export const syncRecordCodec: Codec<SyncRecord> = {
  name: 'sync_record',
  size: 72,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 72, 'sync_record');
    into.fill(0, offset, offset + 72);
    into.writeUInt8(value.kind, offset);
    into.writeUInt8(value.protocol, offset + 1);
    into.writeUInt8(value.state, offset + 2);
    into.writeUInt8(value.sessionFlags, offset + 3);
    into.writeUInt32BE(value.term, offset + 4);
    into.writeUInt32BE(value.vni, offset + 8);
    into.writeUInt32BE(value.internalAddress, offset + 12);
    into.writeUInt32BE(value.externalAddress, offset + 16);
    into.writeUInt32BE(value.remote, offset + 20);
    into.writeUInt16BE(value.internalPort, offset + 24);
    into.writeUInt16BE(value.externalPort, offset + 26);
    into.writeUInt16BE(value.remotePort, offset + 28);
    into.writeUInt8(value.optionLength, offset + 30);
    into.writeUInt8(value.virtualRouter, offset + 31);
    into.writeUInt32BE(value.tunnelEndpoint, offset + 32);
    expectLength(value.mac.length, 6, 'sync_record.mac');
    into.set(value.mac, offset + 36);
    expectLength(value.nextHopMac.length, 6, 'sync_record.next_hop_mac');
    into.set(value.nextHopMac, offset + 42);
    expectLength(value.option.length, 8, 'sync_record.option');
    into.set(value.option, offset + 48);
    into.writeUInt32BE(value.portKey, offset + 56);
    into.writeUInt32BE(value.idle, offset + 60);
    into.writeUInt32BE(value.sequence, offset + 64);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 72, 'sync_record');
    return {
      kind: from.readUInt8(offset),
      protocol: from.readUInt8(offset + 1),
      state: from.readUInt8(offset + 2),
      sessionFlags: from.readUInt8(offset + 3),
      term: from.readUInt32BE(offset + 4),
      vni: from.readUInt32BE(offset + 8),
      internalAddress: from.readUInt32BE(offset + 12),
      externalAddress: from.readUInt32BE(offset + 16),
      remote: from.readUInt32BE(offset + 20),
      internalPort: from.readUInt16BE(offset + 24),
      externalPort: from.readUInt16BE(offset + 26),
      remotePort: from.readUInt16BE(offset + 28),
      optionLength: from.readUInt8(offset + 30),
      virtualRouter: from.readUInt8(offset + 31),
      tunnelEndpoint: from.readUInt32BE(offset + 32),
      mac: Buffer.from(from.subarray(offset + 36, offset + 42)),
      nextHopMac: Buffer.from(from.subarray(offset + 42, offset + 48)),
      option: Buffer.from(from.subarray(offset + 48, offset + 56)),
      portKey: from.readUInt32BE(offset + 56),
      idle: from.readUInt32BE(offset + 60),
      sequence: from.readUInt32BE(offset + 64),
    };
  },
};

/** struct session_end, 84 bytes */
export interface SessionEnd {
  mapping: number;
  remote: number;
  remotePort: number;
  record: SyncRecord;
}

export const sessionEndLayout: StructLayout = {
  name: 'session_end',
  size: 84,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'remote', offset: 4, size: 4, kind: 'be32' },
    { name: 'remote_port', offset: 8, size: 2, kind: 'be16' },
    { name: 'pad', offset: 10, size: 2, kind: 'u16' },
    { name: 'record', offset: 12, size: 72, kind: 'struct', struct: syncRecordLayout },
  ],
};

/** Bytes from the start of struct session_end. */
export const sessionEndOffsets = {
  mapping: 0,
  remote: 4,
  remotePort: 8,
  record: 12,
} as const;

export const sessionEndCodec: Codec<SessionEnd> = {
  name: 'session_end',
  size: 84,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 84, 'session_end');
    into.fill(0, offset, offset + 84);
    into.writeUInt32LE(value.mapping, offset);
    into.writeUInt32BE(value.remote, offset + 4);
    into.writeUInt16BE(value.remotePort, offset + 8);
    syncRecordCodec.encode(value.record, into, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 84, 'session_end');
    return {
      mapping: from.readUInt32LE(offset),
      remote: from.readUInt32BE(offset + 4),
      remotePort: from.readUInt16BE(offset + 8),
      record: syncRecordCodec.decode(from, offset + 12),
    };
  },
};

/** struct session_slot, 24 bytes */
export interface SessionSlot {
  mapping: number;
  vm: number;
  session: Session;
}

export const sessionSlotLayout: StructLayout = {
  name: 'session_slot',
  size: 24,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'vm', offset: 4, size: 4, kind: 'u32' },
    { name: 'session', offset: 8, size: 16, kind: 'struct', struct: sessionLayout },
  ],
};

/** Bytes from the start of struct session_slot. */
export const sessionSlotOffsets = {
  mapping: 0,
  vm: 4,
  session: 8,
} as const;

export const sessionSlotCodec: Codec<SessionSlot> = {
  name: 'session_slot',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'session_slot');
    into.writeUInt32LE(value.mapping, offset);
    into.writeUInt32LE(value.vm, offset + 4);
    sessionCodec.encode(value.session, into, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'session_slot');
    return {
      mapping: from.readUInt32LE(offset),
      vm: from.readUInt32LE(offset + 4),
      session: sessionCodec.decode(from, offset + 8),
    };
  },
};

/** struct siphash, 32 bytes */
export interface Siphash {
  v0: bigint;
  v1: bigint;
  v2: bigint;
  v3: bigint;
}

export const siphashLayout: StructLayout = {
  name: 'siphash',
  size: 32,
  fields: [
    { name: 'v0', offset: 0, size: 8, kind: 'u64' },
    { name: 'v1', offset: 8, size: 8, kind: 'u64' },
    { name: 'v2', offset: 16, size: 8, kind: 'u64' },
    { name: 'v3', offset: 24, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct siphash. */
export const siphashOffsets = {
  v0: 0,
  v1: 8,
  v2: 16,
  v3: 24,
} as const;

export const siphashCodec: Codec<Siphash> = {
  name: 'siphash',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'siphash');
    into.writeBigUInt64LE(value.v0, offset);
    into.writeBigUInt64LE(value.v1, offset + 8);
    into.writeBigUInt64LE(value.v2, offset + 16);
    into.writeBigUInt64LE(value.v3, offset + 24);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'siphash');
    return {
      v0: from.readBigUInt64LE(offset),
      v1: from.readBigUInt64LE(offset + 8),
      v2: from.readBigUInt64LE(offset + 16),
      v3: from.readBigUInt64LE(offset + 24),
    };
  },
};

/** struct siphash_job, 56 bytes */
export interface SiphashJob {
  state: Siphash;
  last: bigint;
  offset: number;
  words: number;
  rest: number;
  zeroWord: number;
}

export const siphashJobLayout: StructLayout = {
  name: 'siphash_job',
  size: 56,
  fields: [
    { name: 'state', offset: 0, size: 32, kind: 'struct', struct: siphashLayout },
    { name: 'last', offset: 32, size: 8, kind: 'u64' },
    { name: 'offset', offset: 40, size: 4, kind: 'u32' },
    { name: 'words', offset: 44, size: 4, kind: 'u32' },
    { name: 'rest', offset: 48, size: 4, kind: 'u32' },
    { name: 'zero_word', offset: 52, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct siphash_job. */
export const siphashJobOffsets = {
  state: 0,
  last: 32,
  offset: 40,
  words: 44,
  rest: 48,
  zeroWord: 52,
} as const;

export const siphashJobCodec: Codec<SiphashJob> = {
  name: 'siphash_job',
  size: 56,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 56, 'siphash_job');
    siphashCodec.encode(value.state, into, offset);
    into.writeBigUInt64LE(value.last, offset + 32);
    into.writeUInt32LE(value.offset, offset + 40);
    into.writeUInt32LE(value.words, offset + 44);
    into.writeUInt32LE(value.rest, offset + 48);
    into.writeUInt32LE(value.zeroWord, offset + 52);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 56, 'siphash_job');
    return {
      state: siphashCodec.decode(from, offset),
      last: from.readBigUInt64LE(offset + 32),
      offset: from.readUInt32LE(offset + 40),
      words: from.readUInt32LE(offset + 44),
      rest: from.readUInt32LE(offset + 48),
      zeroWord: from.readUInt32LE(offset + 52),
    };
  },
};

/** struct snat_address, 8 bytes */
export interface SnatAddress {
  address: number;
  router: number;
}

export const snatAddressLayout: StructLayout = {
  name: 'snat_address',
  size: 8,
  fields: [
    { name: 'address', offset: 0, size: 4, kind: 'be32' },
    { name: 'router', offset: 4, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct snat_address. */
export const snatAddressOffsets = {
  address: 0,
  router: 4,
} as const;

export const snatAddressCodec: Codec<SnatAddress> = {
  name: 'snat_address',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'snat_address');
    into.writeUInt32BE(value.address, offset);
    into.writeUInt32LE(value.router, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'snat_address');
    return {
      address: from.readUInt32BE(offset),
      router: from.readUInt32LE(offset + 4),
    };
  },
};

/** struct sync_header, 32 bytes */
export interface SyncHeader {
  version: number;
  type: number;
  flags: number;
  records: number;
  gateway: number;
  egress: number;
  length: number;
  epoch: number;
  path: number;
  recordWords: number;
  sequence: bigint;
  mac: bigint;
}

export const syncHeaderLayout: StructLayout = {
  name: 'sync_header',
  size: 32,
  fields: [
    { name: 'version', offset: 0, size: 1, kind: 'u8' },
    { name: 'type', offset: 1, size: 1, kind: 'u8' },
    { name: 'flags', offset: 2, size: 1, kind: 'u8' },
    { name: 'records', offset: 3, size: 1, kind: 'u8' },
    { name: 'gateway', offset: 4, size: 1, kind: 'u8' },
    { name: 'egress', offset: 5, size: 1, kind: 'u8' },
    { name: 'length', offset: 6, size: 2, kind: 'be16' },
    { name: 'epoch', offset: 8, size: 4, kind: 'be32' },
    { name: 'path', offset: 12, size: 1, kind: 'u8' },
    { name: 'record_words', offset: 13, size: 1, kind: 'u8' },
    { name: 'pad', offset: 14, size: 2, kind: 'u8', count: 2 },
    { name: 'sequence', offset: 16, size: 8, kind: 'be64' },
    { name: 'mac', offset: 24, size: 8, kind: 'be64' },
  ],
};

/** Bytes from the start of struct sync_header. */
export const syncHeaderOffsets = {
  version: 0,
  type: 1,
  flags: 2,
  records: 3,
  gateway: 4,
  egress: 5,
  length: 6,
  epoch: 8,
  path: 12,
  recordWords: 13,
  sequence: 16,
  mac: 24,
} as const;

export const syncHeaderCodec: Codec<SyncHeader> = {
  name: 'sync_header',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'sync_header');
    into.fill(0, offset, offset + 32);
    into.writeUInt8(value.version, offset);
    into.writeUInt8(value.type, offset + 1);
    into.writeUInt8(value.flags, offset + 2);
    into.writeUInt8(value.records, offset + 3);
    into.writeUInt8(value.gateway, offset + 4);
    into.writeUInt8(value.egress, offset + 5);
    into.writeUInt16BE(value.length, offset + 6);
    into.writeUInt32BE(value.epoch, offset + 8);
    into.writeUInt8(value.path, offset + 12);
    into.writeUInt8(value.recordWords, offset + 13);
    into.writeBigUInt64BE(value.sequence, offset + 16);
    into.writeBigUInt64BE(value.mac, offset + 24);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'sync_header');
    return {
      version: from.readUInt8(offset),
      type: from.readUInt8(offset + 1),
      flags: from.readUInt8(offset + 2),
      records: from.readUInt8(offset + 3),
      gateway: from.readUInt8(offset + 4),
      egress: from.readUInt8(offset + 5),
      length: from.readUInt16BE(offset + 6),
      epoch: from.readUInt32BE(offset + 8),
      path: from.readUInt8(offset + 12),
      recordWords: from.readUInt8(offset + 13),
      sequence: from.readBigUInt64BE(offset + 16),
      mac: from.readBigUInt64BE(offset + 24),
    };
  },
};

/** struct sync_heartbeat, 64 bytes */
export interface SyncHeartbeat {
  header: SyncHeader;
  roles: bigint[];
}

export const syncHeartbeatLayout: StructLayout = {
  name: 'sync_heartbeat',
  size: 64,
  fields: [
    { name: 'header', offset: 0, size: 32, kind: 'struct', struct: syncHeaderLayout },
    { name: 'roles', offset: 32, size: 32, kind: 'u64', count: 4 },
  ],
};

/** Bytes from the start of struct sync_heartbeat. */
export const syncHeartbeatOffsets = {
  header: 0,
  roles: 32,
} as const;

export const syncHeartbeatCodec: Codec<SyncHeartbeat> = {
  name: 'sync_heartbeat',
  size: 64,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 64, 'sync_heartbeat');
    syncHeaderCodec.encode(value.header, into, offset);
    expectLength(value.roles.length, 4, 'sync_heartbeat.roles');
    value.roles.forEach((element, index) => into.writeBigUInt64LE(element, offset + 32 + index * 8));
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 64, 'sync_heartbeat');
    return {
      header: syncHeaderCodec.decode(from, offset),
      roles: Array.from({ length: 4 }, (_, index) => from.readBigUInt64LE(offset + 32 + index * 8)),
    };
  },
};

/** struct virtual_router, 40 bytes */
export interface VirtualRouter {
  state: number;
  term: number;
  leaseUntilNs: bigint;
  activeSinceNs: bigint;
  address: number;
  mac: Buffer;
}

export const virtualRouterLayout: StructLayout = {
  name: 'virtual_router',
  size: 40,
  fields: [
    { name: 'state', offset: 0, size: 4, kind: 'u32' },
    { name: 'term', offset: 4, size: 4, kind: 'u32' },
    { name: 'lease_until_ns', offset: 8, size: 8, kind: 'u64' },
    { name: 'active_since_ns', offset: 16, size: 8, kind: 'u64' },
    { name: 'address', offset: 24, size: 4, kind: 'be32' },
    { name: 'mac', offset: 28, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 34, size: 6, kind: 'u8', count: 6 },
  ],
};

/** Bytes from the start of struct virtual_router. */
export const virtualRouterOffsets = {
  state: 0,
  term: 4,
  leaseUntilNs: 8,
  activeSinceNs: 16,
  address: 24,
  mac: 28,
} as const;

export const virtualRouterCodec: Codec<VirtualRouter> = {
  name: 'virtual_router',
  size: 40,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 40, 'virtual_router');
    into.fill(0, offset, offset + 40);
    into.writeUInt32LE(value.state, offset);
    into.writeUInt32LE(value.term, offset + 4);
    into.writeBigUInt64LE(value.leaseUntilNs, offset + 8);
    into.writeBigUInt64LE(value.activeSinceNs, offset + 16);
    into.writeUInt32BE(value.address, offset + 24);
    expectLength(value.mac.length, 6, 'virtual_router.mac');
    into.set(value.mac, offset + 28);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 40, 'virtual_router');
    return {
      state: from.readUInt32LE(offset),
      term: from.readUInt32LE(offset + 4),
      leaseUntilNs: from.readBigUInt64LE(offset + 8),
      activeSinceNs: from.readBigUInt64LE(offset + 16),
      address: from.readUInt32BE(offset + 24),
      mac: Buffer.from(from.subarray(offset + 28, offset + 34)),
    };
  },
};

/** struct vm, 192 bytes */
export interface Vm {
  vni: number;
  address: number;
  network: number;
  floatingIp: number;
  tunnelEndpoint: number;
  mac: Buffer;
  nextHopMac: Buffer;
  optionLength: number;
  flags: number;
  option: Buffer;
  portKey: number;
  lastSeen: number;
  blocks: number[];
  snatAddress: number;
  floatingIpCounter: number;
  sessions: number;
  sessionRouter: number;
  sessionTokens: number;
  sessionTokensTick: number;
  mappingCount: number;
  staticMappingCount: number;
  moved: number;
  stamp: number;
}

export const vmLayout: StructLayout = {
  name: 'vm',
  size: 192,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
    { name: 'network', offset: 8, size: 4, kind: 'u32' },
    { name: 'floating_ip', offset: 12, size: 4, kind: 'be32' },
    { name: 'tunnel_endpoint', offset: 16, size: 4, kind: 'be32' },
    { name: 'mac', offset: 20, size: 6, kind: 'u8', count: 6 },
    { name: 'next_hop_mac', offset: 26, size: 6, kind: 'u8', count: 6 },
    { name: 'option_length', offset: 32, size: 1, kind: 'u8' },
    { name: 'pad', offset: 33, size: 3, kind: 'u8', count: 3 },
    { name: 'flags', offset: 36, size: 4, kind: 'u32' },
    { name: 'option', offset: 40, size: 8, kind: 'u8', count: 8 },
    { name: 'port_key', offset: 48, size: 4, kind: 'u32' },
    { name: 'last_seen', offset: 52, size: 4, kind: 'u32' },
    { name: 'blocks', offset: 56, size: 64, kind: 'u32', count: 16 },
    { name: 'snat_address', offset: 120, size: 4, kind: 'u32' },
    { name: 'floating_ip_counter', offset: 124, size: 4, kind: 'u32' },
    { name: 'sessions', offset: 128, size: 4, kind: 'u32' },
    { name: 'session_router', offset: 132, size: 4, kind: 'u32' },
    { name: 'session_tokens', offset: 136, size: 4, kind: 'u32' },
    { name: 'session_tokens_tick', offset: 140, size: 4, kind: 'u32' },
    { name: 'mapping_count', offset: 144, size: 4, kind: 'u32' },
    { name: 'static_mapping_count', offset: 148, size: 4, kind: 'u32' },
    { name: 'moved', offset: 152, size: 4, kind: 'u32' },
    { name: 'stamp', offset: 156, size: 4, kind: 'u32' },
    { name: 'pad2', offset: 160, size: 32, kind: 'u32', count: 8 },
  ],
};

/** Bytes from the start of struct vm. */
export const vmOffsets = {
  vni: 0,
  address: 4,
  network: 8,
  floatingIp: 12,
  tunnelEndpoint: 16,
  mac: 20,
  nextHopMac: 26,
  optionLength: 32,
  flags: 36,
  option: 40,
  portKey: 48,
  lastSeen: 52,
  blocks: 56,
  snatAddress: 120,
  floatingIpCounter: 124,
  sessions: 128,
  sessionRouter: 132,
  sessionTokens: 136,
  sessionTokensTick: 140,
  mappingCount: 144,
  staticMappingCount: 148,
  moved: 152,
  stamp: 156,
} as const;

export const vmCodec: Codec<Vm> = {
  name: 'vm',
  size: 192,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 192, 'vm');
    into.fill(0, offset, offset + 192);
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32BE(value.address, offset + 4);
    into.writeUInt32LE(value.network, offset + 8);
    into.writeUInt32BE(value.floatingIp, offset + 12);
    into.writeUInt32BE(value.tunnelEndpoint, offset + 16);
    expectLength(value.mac.length, 6, 'vm.mac');
    into.set(value.mac, offset + 20);
    expectLength(value.nextHopMac.length, 6, 'vm.next_hop_mac');
    into.set(value.nextHopMac, offset + 26);
    into.writeUInt8(value.optionLength, offset + 32);
    into.writeUInt32LE(value.flags, offset + 36);
    expectLength(value.option.length, 8, 'vm.option');
    into.set(value.option, offset + 40);
    into.writeUInt32LE(value.portKey, offset + 48);
    into.writeUInt32LE(value.lastSeen, offset + 52);
    expectLength(value.blocks.length, 16, 'vm.blocks');
    value.blocks.forEach((element, index) => into.writeUInt32LE(element, offset + 56 + index * 4));
    into.writeUInt32LE(value.snatAddress, offset + 120);
    into.writeUInt32LE(value.floatingIpCounter, offset + 124);
    into.writeUInt32LE(value.sessions, offset + 128);
    into.writeUInt32LE(value.sessionRouter, offset + 132);
    into.writeUInt32LE(value.sessionTokens, offset + 136);
    into.writeUInt32LE(value.sessionTokensTick, offset + 140);
    into.writeUInt32LE(value.mappingCount, offset + 144);
    into.writeUInt32LE(value.staticMappingCount, offset + 148);
    into.writeUInt32LE(value.moved, offset + 152);
    into.writeUInt32LE(value.stamp, offset + 156);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 192, 'vm');
    return {
      vni: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
      network: from.readUInt32LE(offset + 8),
      floatingIp: from.readUInt32BE(offset + 12),
      tunnelEndpoint: from.readUInt32BE(offset + 16),
      mac: Buffer.from(from.subarray(offset + 20, offset + 26)),
      nextHopMac: Buffer.from(from.subarray(offset + 26, offset + 32)),
      optionLength: from.readUInt8(offset + 32),
      flags: from.readUInt32LE(offset + 36),
      option: Buffer.from(from.subarray(offset + 40, offset + 48)),
      portKey: from.readUInt32LE(offset + 48),
      lastSeen: from.readUInt32LE(offset + 52),
      blocks: Array.from({ length: 16 }, (_, index) => from.readUInt32LE(offset + 56 + index * 4)),
      snatAddress: from.readUInt32LE(offset + 120),
      floatingIpCounter: from.readUInt32LE(offset + 124),
      sessions: from.readUInt32LE(offset + 128),
      sessionRouter: from.readUInt32LE(offset + 132),
      sessionTokens: from.readUInt32LE(offset + 136),
      sessionTokensTick: from.readUInt32LE(offset + 140),
      mappingCount: from.readUInt32LE(offset + 144),
      staticMappingCount: from.readUInt32LE(offset + 148),
      moved: from.readUInt32LE(offset + 152),
      stamp: from.readUInt32LE(offset + 156),
    };
  },
};

/** struct vm_ensure, 44 bytes */
export interface VmEnsure {
  vni: number;
  address: number;
  floatingIp: number;
  floatingIpCounter: number;
  flags: number;
  tunnelEndpoint: number;
  mac: Buffer;
  optionLength: number;
  option: Buffer;
  vm: number;
}

export const vmEnsureLayout: StructLayout = {
  name: 'vm_ensure',
  size: 44,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
    { name: 'floating_ip', offset: 8, size: 4, kind: 'be32' },
    { name: 'floating_ip_counter', offset: 12, size: 4, kind: 'u32' },
    { name: 'flags', offset: 16, size: 4, kind: 'u32' },
    { name: 'tunnel_endpoint', offset: 20, size: 4, kind: 'be32' },
    { name: 'mac', offset: 24, size: 6, kind: 'u8', count: 6 },
    { name: 'option_length', offset: 30, size: 1, kind: 'u8' },
    { name: 'pad', offset: 31, size: 1, kind: 'u8' },
    { name: 'option', offset: 32, size: 8, kind: 'u8', count: 8 },
    { name: 'vm', offset: 40, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct vm_ensure. */
export const vmEnsureOffsets = {
  vni: 0,
  address: 4,
  floatingIp: 8,
  floatingIpCounter: 12,
  flags: 16,
  tunnelEndpoint: 20,
  mac: 24,
  optionLength: 30,
  option: 32,
  vm: 40,
} as const;

export const vmEnsureCodec: Codec<VmEnsure> = {
  name: 'vm_ensure',
  size: 44,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 44, 'vm_ensure');
    into.fill(0, offset, offset + 44);
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32BE(value.address, offset + 4);
    into.writeUInt32BE(value.floatingIp, offset + 8);
    into.writeUInt32LE(value.floatingIpCounter, offset + 12);
    into.writeUInt32LE(value.flags, offset + 16);
    into.writeUInt32BE(value.tunnelEndpoint, offset + 20);
    expectLength(value.mac.length, 6, 'vm_ensure.mac');
    into.set(value.mac, offset + 24);
    into.writeUInt8(value.optionLength, offset + 30);
    expectLength(value.option.length, 8, 'vm_ensure.option');
    into.set(value.option, offset + 32);
    into.writeUInt32LE(value.vm, offset + 40);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 44, 'vm_ensure');
    return {
      vni: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
      floatingIp: from.readUInt32BE(offset + 8),
      floatingIpCounter: from.readUInt32LE(offset + 12),
      flags: from.readUInt32LE(offset + 16),
      tunnelEndpoint: from.readUInt32BE(offset + 20),
      mac: Buffer.from(from.subarray(offset + 24, offset + 30)),
      optionLength: from.readUInt8(offset + 30),
      option: Buffer.from(from.subarray(offset + 32, offset + 40)),
      vm: from.readUInt32LE(offset + 40),
    };
  },
};

/** struct vm_key, 8 bytes */
export interface VmKey {
  vni: number;
  address: number;
}

export const vmKeyLayout: StructLayout = {
  name: 'vm_key',
  size: 8,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct vm_key. */
export const vmKeyOffsets = {
  vni: 0,
  address: 4,
} as const;

export const vmKeyCodec: Codec<VmKey> = {
  name: 'vm_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'vm_key');
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32BE(value.address, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'vm_key');
    return {
      vni: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
    };
  },
};

/** struct walk, 24 bytes */
export interface Walk {
  phase: number;
  position: number;
  records: number;
  seed: bigint;
}

export const walkLayout: StructLayout = {
  name: 'walk',
  size: 24,
  fields: [
    { name: 'phase', offset: 0, size: 4, kind: 'u32' },
    { name: 'position', offset: 4, size: 4, kind: 'u32' },
    { name: 'records', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
    { name: 'seed', offset: 16, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct walk. */
export const walkOffsets = {
  phase: 0,
  position: 4,
  records: 8,
  seed: 16,
} as const;

export const walkCodec: Codec<Walk> = {
  name: 'walk',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'walk');
    into.fill(0, offset, offset + 24);
    into.writeUInt32LE(value.phase, offset);
    into.writeUInt32LE(value.position, offset + 4);
    into.writeUInt32LE(value.records, offset + 8);
    into.writeBigUInt64LE(value.seed, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'walk');
    return {
      phase: from.readUInt32LE(offset),
      position: from.readUInt32LE(offset + 4),
      records: from.readUInt32LE(offset + 8),
      seed: from.readBigUInt64LE(offset + 16),
    };
  },
};

/** What the maps of the object hold. */
export const mapLayouts: Readonly<Record<string, MapLayout>> = {
  advertisement_rules: { key: { size: 4, kind: 'u32' }, value: { size: 48, kind: 'struct', struct: advertisementRuleLayout } },
  advertisements: { key: { size: 4, kind: 'u32' }, value: { size: 1120, kind: 'struct', struct: advertisementLayout } },
  bfd_budgets: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: bfdBudgetLayout } },
  bfd_sessions: { key: { size: 8, kind: 'struct', struct: bfdKeyLayout }, value: { size: 56, kind: 'struct', struct: bfdSessionLayout } },
  commits: { key: { size: 4, kind: 'u32' }, value: { size: 72, kind: 'struct', struct: syncRecordLayout } },
  counters: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: counterLayout } },
  events: { key: undefined, value: undefined },
  external_addresses: { key: { size: 8, kind: 'struct', struct: externalKeyLayout }, value: { size: 16, kind: 'struct', struct: externalAddressLayout } },
  external_networks: { key: { size: 4, kind: 'u32' }, value: { size: 24, kind: 'struct', struct: externalNetworkLayout } },
  floating_ip_counters: { key: { size: 4, kind: 'u32' }, value: { size: 32, kind: 'struct', struct: floatingIpCounterLayout } },
  forwardings: { key: { size: 8, kind: 'struct', struct: forwardingKeyLayout }, value: { size: 8, kind: 'struct', struct: forwardingLayout } },
  fragments: { key: { size: 16, kind: 'struct', struct: fragmentKeyLayout }, value: { size: 12, kind: 'struct', struct: fragmentLayout } },
  free_vms: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  gateway_states: { key: { size: 4, kind: 'u32' }, value: { size: 72, kind: 'struct', struct: gatewayStateLayout } },
  gateways: { key: { size: 4, kind: 'u32' }, value: { size: 136, kind: 'struct', struct: gatewayLayout } },
  icmp_budgets: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: icmpBudgetLayout } },
  interfaces: { key: { size: 4, kind: 'u32' }, value: { size: 20, kind: 'struct', struct: interfaceLayout } },
  liveness: { key: { size: 4, kind: 'u32' }, value: { size: 64, kind: 'struct', struct: livenessLayout } },
  mappings: { key: { size: 4, kind: 'u32' }, value: { size: 32, kind: 'struct', struct: mappingLayout } },
  neighbours: { key: { size: 8, kind: 'struct', struct: neighbourKeyLayout }, value: { size: 8, kind: 'struct', struct: neighbourLayout } },
  network_by_vni: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  network_states: { key: { size: 4, kind: 'u32' }, value: { size: 8, kind: 'struct', struct: networkStateLayout } },
  networks: { key: { size: 4, kind: 'u32' }, value: { size: 40, kind: 'struct', struct: networkLayout } },
  packets: { key: { size: 4, kind: 'u32' }, value: { size: 312, kind: 'struct', struct: packetLayout } },
  pools: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  port_blocks: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: portBlockLayout } },
  ports: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  replay_windows: { key: { size: 4, kind: 'u32' }, value: { size: 4112, kind: 'struct', struct: replayWindowLayout } },
  router_states: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: routerStateLayout } },
  routers: { key: { size: 4, kind: 'u32' }, value: { size: 44, kind: 'struct', struct: routerLayout } },
  routes: { key: { size: 12, kind: 'struct', struct: routeKeyLayout }, value: { size: 16, kind: 'struct', struct: routeLayout } },
  segments: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: segmentLayout } },
  sessions: { key: { size: 4, kind: 'u32' }, value: { size: 24, kind: 'struct', struct: sessionSlotLayout } },
  siphash_jobs: { key: { size: 4, kind: 'u32' }, value: { size: 56, kind: 'struct', struct: siphashJobLayout } },
  snat_addresses: { key: { size: 4, kind: 'u32' }, value: { size: 8, kind: 'struct', struct: snatAddressLayout } },
  virtual_router_by_address: { key: { size: 4, kind: 'be32' }, value: { size: 4, kind: 'u32' } },
  virtual_routers: { key: { size: 4, kind: 'u32' }, value: { size: 40, kind: 'struct', struct: virtualRouterLayout } },
  vm_by_address: { key: { size: 8, kind: 'struct', struct: vmKeyLayout }, value: { size: 4, kind: 'u32' } },
  vms: { key: { size: 4, kind: 'u32' }, value: { size: 192, kind: 'struct', struct: vmLayout } },
  walks: { key: { size: 4, kind: 'u32' }, value: { size: 24, kind: 'struct', struct: walkLayout } },
};

/** The enumerators under their names in C. */
export const enumLayouts: readonly EnumLayout[] = [
  {
    name: 'advertisement_kind',
    values: {
      ADVERTISEMENT_SUPERIOR: 0,
      ADVERTISEMENT_INFERIOR: 1,
      ADVERTISEMENT_KINDS: 2,
    },
  },
  {
    name: 'encapsulation',
    values: {
      ENCAPSULATION_GENEVE: 0,
      ENCAPSULATION_VXLAN: 1,
    },
  },
  {
    name: 'event_type',
    values: {
      EVENT_NEIGHBOUR_UNRESOLVED: 1,
      EVENT_SYNC_MESSAGE: 2,
      EVENT_PEER_SILENT: 3,
      EVENT_RECORD: 4,
      EVENT_ENDPOINT_UNRESOLVED: 5,
      EVENT_FRAGMENT_EARLY: 6,
      EVENT_FRAGMENTATION_NEEDED: 7,
      EVENT_NEIGHBOUR_HEARD: 8,
      EVENT_FRAME_UNFINISHED: 9,
      EVENT_ADVERTISEMENT: 10,
      EVENT_PORTS_ALLOCATED: 11,
      EVENT_PORTS_RELEASED: 12,
      EVENT_BFD: 13,
    },
  },
  {
    name: 'external_address_kind',
    values: {
      EXTERNAL_FLOATING_IP: 1,
      EXTERNAL_ROUTER: 2,
    },
  },
  {
    name: 'external_network_flag',
    values: {
      EXTERNAL_NETWORK_HAS_ROUTES: 1,
    },
  },
  {
    name: 'filtering_behaviour',
    values: {
      FILTERING_ENDPOINT_INDEPENDENT: 0,
      FILTERING_ADDRESS_DEPENDENT: 1,
      FILTERING_ADDRESS_AND_PORT_DEPENDENT: 2,
    },
  },
  {
    name: 'interface_role',
    values: {
      INTERFACE_UNDERLAY: 0,
      INTERFACE_EXTERNAL: 1,
      INTERFACE_HA: 2,
      INTERFACES: 3,
    },
  },
  {
    name: 'mapping_behaviour',
    values: {
      MAPPING_ENDPOINT_INDEPENDENT: 0,
      MAPPING_ADDRESS_AND_PORT_DEPENDENT: 1,
    },
  },
  {
    name: 'mapping_flag',
    values: {
      MAPPING_STATIC: 1,
    },
  },
  {
    name: 'mapping_protocol',
    values: {
      MAPPING_TCP: 0,
      MAPPING_UDP: 1,
      MAPPING_ICMP: 2,
      MAPPING_PROTOCOLS: 3,
    },
  },
  {
    name: 'network_flag',
    values: {
      NETWORK_PINNED: 1,
    },
  },
  {
    name: 'reason',
    values: {
      REASON_OUTBOUND_SNAT: 0,
      REASON_OUTBOUND_FLOATING_IP: 1,
      REASON_INBOUND_SNAT: 2,
      REASON_INBOUND_FLOATING_IP: 3,
      REASON_OUTBOUND_FORWARDING: 4,
      REASON_INBOUND_FORWARDING: 5,
      REASON_HAIRPIN: 6,
      REASON_EAST_WEST: 7,
      REASON_ICMP_ERROR_OUTBOUND: 8,
      REASON_ICMP_ERROR_INBOUND: 9,
      REASON_ICMP_ERROR_TO_VM: 10,
      REASON_ICMP_ERROR_TO_OUTSIDE: 11,
      REASON_ICMP_ERROR_LIMITED: 12,
      REASON_ARP_REPLY_INNER: 13,
      REASON_ARP_REPLY_UNDERLAY: 14,
      REASON_ARP_REPLY_EXTERNAL: 15,
      REASON_ECHO_REPLY_INNER: 16,
      REASON_ECHO_REPLY_EXTERNAL: 17,
      REASON_PASS_TO_KERNEL: 18,
      REASON_COMMIT_SENT: 19,
      REASON_COMMIT_RELEASED: 20,
      REASON_COMMIT_APPLIED: 21,
      REASON_SYNC_APPLIED: 22,
      REASON_SYNC_ACKNOWLEDGED: 23,
      REASON_HEARTBEAT_TURNED: 24,
      REASON_HEARTBEAT_RETURNED: 25,
      REASON_SYNC_TO_CONTROL_PLANE: 26,
      REASON_SESSION_UNPROTECTED: 27,
      REASON_COMMIT_OVERSIZE: 28,
      REASON_SESSION_CREATED: 29,
      REASON_SESSION_ESTABLISHED: 30,
      REASON_SESSION_EXPIRED: 31,
      REASON_VM_LEARNED: 32,
      REASON_VM_MOVED: 33,
      REASON_VM_EXPIRED: 34,
      REASON_PORT_LOG_LOST: 35,
      REASON_MSS_CLAMPED: 36,
      REASON_ENDPOINT_ANNOUNCED: 37,
      REASON_FRAME_UNFINISHED: 38,
      REASON_BFD_HEARD: 39,
      REASON_DROP_TRUNCATED: 40,
      REASON_DROP_NOT_ACTIVE: 41,
      REASON_DROP_GENEVE_VERSION: 42,
      REASON_DROP_GENEVE_OPTION_LENGTH: 43,
      REASON_DROP_GENEVE_CRITICAL_OPTION: 44,
      REASON_DROP_GENEVE_CONTROL: 45,
      REASON_DROP_GENEVE_PROTOCOL: 46,
      REASON_DROP_OUTER_FRAGMENT: 47,
      REASON_DROP_OUTER_CHECKSUM: 48,
      REASON_DROP_VXLAN_HEADER: 49,
      REASON_DROP_VNI_UNKNOWN: 50,
      REASON_DROP_BFD_MALFORMED: 51,
      REASON_DROP_BFD_STRANGER: 52,
      REASON_DROP_INNER_NOT_IPV4: 53,
      REASON_DROP_INNER_MAC: 54,
      REASON_DROP_INNER_ARP: 55,
      REASON_DROP_IPV4_HEADER: 56,
      REASON_DROP_SOURCE_NOT_IN_SUBNET: 57,
      REASON_DROP_SOURCE_NOT_OUTSIDE: 58,
      REASON_DROP_ENDPOINT_SPOOFED: 59,
      REASON_DROP_DESTINATION_NOT_ROUTED: 60,
      REASON_DROP_PORT_UNREACHABLE: 61,
      REASON_DROP_TTL_EXCEEDED: 62,
      REASON_DROP_FRAGMENT: 63,
      REASON_DROP_FRAGMENT_EARLY: 64,
      REASON_DROP_FRAGMENTATION_NEEDED: 65,
      REASON_DROP_PROTOCOL_NOT_TRANSLATED: 66,
      REASON_DROP_ICMP_TYPE: 67,
      REASON_DROP_ICMP_QUOTE: 68,
      REASON_DROP_NO_SHARED_SNAT: 69,
      REASON_DROP_NO_MAPPING: 70,
      REASON_DROP_FILTERED: 71,
      REASON_DROP_PORTS_EXHAUSTED: 72,
      REASON_DROP_VM_SESSION_LIMIT: 73,
      REASON_DROP_VM_SESSION_RATE: 74,
      REASON_DROP_ROUTER_SESSION_LIMIT: 75,
      REASON_DROP_NETWORK_VM_LIMIT: 76,
      REASON_DROP_VM_TABLE_FULL: 77,
      REASON_DROP_SESSION_TABLE_FULL: 78,
      REASON_DROP_NEIGHBOUR_UNRESOLVED: 79,
      REASON_DROP_NEIGHBOUR_UNREACHABLE: 80,
      REASON_DROP_GATEWAY_UNRESOLVED: 81,
      REASON_DROP_GATEWAY_UNREACHABLE: 82,
      REASON_DROP_ENDPOINT_UNKNOWN: 83,
      REASON_DROP_MTU_EXCEEDED: 84,
      REASON_DROP_CONGESTION: 85,
      REASON_DROP_ADVERTISEMENT_SOURCE: 86,
      REASON_DROP_ADVERTISEMENT_TTL: 87,
      REASON_DROP_ADVERTISEMENT_VERSION: 88,
      REASON_DROP_ADVERTISEMENT_TYPE: 89,
      REASON_DROP_ADVERTISEMENT_COUNT: 90,
      REASON_DROP_ADVERTISEMENT_LENGTH: 91,
      REASON_DROP_ADVERTISEMENT_CHECKSUM: 92,
      REASON_DROP_ADVERTISEMENT_AUTHENTICATION: 93,
      REASON_DROP_ADVERTISEMENT_INTERVAL: 94,
      REASON_DROP_ADVERTISEMENT_RATE: 95,
      REASON_DROP_ADJUST_FAILED: 96,
      REASON_DROP_SEGMENTS: 97,
      REASON_DROP_SYNC_VERSION: 98,
      REASON_DROP_SYNC_MALFORMED: 99,
      REASON_DROP_SYNC_MAC: 100,
      REASON_DROP_SYNC_REPLAYED: 101,
      REASON_DROP_SYNC_OWN: 102,
      REASON_DROP_SYNC_TERM: 103,
      REASON_DROP_SYNC_UNAPPLIED: 104,
      REASONS: 105,
    },
  },
  {
    name: 'replay_direction',
    values: {
      REPLAY_REQUESTS: 0,
      REPLAY_REPLIES: 1,
      REPLAY_UNDERLAY_REQUESTS: 2,
      REPLAY_UNDERLAY_REPLIES: 3,
      REPLAY_DIRECTIONS: 4,
    },
  },
  {
    name: 'route_kind',
    values: {
      ROUTE_NETWORK: 1,
      ROUTE_VM: 2,
      ROUTE_ON_LINK: 3,
      ROUTE_GATEWAY: 4,
    },
  },
  {
    name: 'session_flag',
    values: {
      SESSION_COMMITTED: 1,
      SESSION_ESTABLISHED_COMMITTED: 2,
      SESSION_FIN_OUTBOUND: 4,
      SESSION_FIN_INBOUND: 8,
      SESSION_UNPROTECTED: 16,
      SESSION_REPLIED: 32,
      SESSION_DOUBTED: 64,
    },
  },
  {
    name: 'session_state',
    values: {
      SESSION_FREE: 0,
      SESSION_TRANSITORY: 1,
      SESSION_ESTABLISHED: 2,
      SESSION_CLOSING: 3,
    },
  },
  {
    name: 'sweep_phase',
    values: {
      SWEEP_SESSIONS: 0,
      SWEEP_MAPPINGS: 1,
      SWEEP_VMS: 2,
    },
  },
  {
    name: 'sync_flag',
    values: {
      SYNC_REPLY: 1,
      SYNC_REFUSED: 2,
      SYNC_UNAPPLIED: 4,
      SYNC_ROLES: 8,
    },
  },
  {
    name: 'sync_mode',
    values: {
      SYNC_NONE: 0,
      SYNC_ASYNC: 1,
      SYNC_STRICT: 2,
    },
  },
  {
    name: 'sync_path',
    values: {
      SYNC_PATH_HA: 0,
      SYNC_PATH_UNDERLAY: 1,
      SYNC_PATHS: 2,
    },
  },
  {
    name: 'sync_record_kind',
    values: {
      RECORD_VM: 1,
      RECORD_SESSION: 2,
      RECORD_DELETE: 3,
      RECORD_VM_DELETE: 4,
    },
  },
  {
    name: 'sync_type',
    values: {
      SYNC_COMMIT: 1,
      SYNC_RECORDS: 2,
      SYNC_HEARTBEAT: 3,
      SYNC_CONTROL: 4,
    },
  },
  {
    name: 'virtual_router_state',
    values: {
      VIRTUAL_ROUTER_INITIALIZE: 0,
      VIRTUAL_ROUTER_BACKUP: 1,
      VIRTUAL_ROUTER_ACTIVE: 2,
      VIRTUAL_ROUTER_DRAINING: 3,
    },
  },
  {
    name: 'vm_flag',
    values: {
      VM_COMMITTED: 1,
      VM_PINNED: 2,
      VM_HAS_FORWARDINGS: 4,
      VM_RETIRED: 8,
      VM_DOUBTED: 16,
    },
  },
  {
    name: 'walk_kind',
    values: {
      WALK_BULK: 0,
      WALK_AGE: 1,
      WALK_DIGEST: 2,
      WALK_DOUBT: 3,
      WALK_REPAIR: 4,
      WALK_SWEEP: 5,
      WALKS: 6,
    },
  },
  {
    name: 'walk_phase',
    values: {
      WALK_VMS: 0,
      WALK_MAPPINGS: 1,
      WALK_SESSIONS: 2,
      WALK_ENDED: 3,
    },
  },
];
