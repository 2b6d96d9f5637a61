// Generated from floatgate.bpf.o by libbpf-ts/codegen: do not edit. Run `npm run generate`.
import type { Codec, EnumLayout, MapLayout, StructLayout } from 'libbpf-ts';

/** Changes whenever a struct, an enum or a map changes its layout. */
export const layoutHash = '41152519817ec83881b07129178c2203';

function expectLength(actual: number, expected: number, field: string): void {
  if (actual !== expected) throw new RangeError(`${field} takes ${expected} elements, not ${actual}`);
}

function expectRoom(buffer: Buffer, offset: number, size: number, struct: string): void {
  if (offset + size <= buffer.length) return;
  throw new RangeError(`struct ${struct} takes ${size} bytes at ${offset}: the buffer has ${buffer.length}`);
}

/** enum event_type */
export const eventType = {
  neighbourUnresolved: 1,
  syncMessage: 2,
  peerSilent: 3,
  record: 4,
} as const;
export type EventType = (typeof eventType)[keyof typeof eventType];
export const eventTypeNames: Readonly<Record<number, string>> = {
  1: 'neighbour_unresolved',
  2: 'sync_message',
  3: 'peer_silent',
  4: 'record',
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

/** enum reason */
export const reason = {
  outboundSnat: 0,
  outboundFloatingIp: 1,
  inboundSnat: 2,
  inboundFloatingIp: 3,
  arpReplyInner: 4,
  arpReplyUnderlay: 5,
  arpReplyExternal: 6,
  echoReplyInner: 7,
  echoReplyExternal: 8,
  passToKernel: 9,
  commitSent: 10,
  commitReleased: 11,
  commitApplied: 12,
  syncApplied: 13,
  syncAcknowledged: 14,
  heartbeatTurned: 15,
  heartbeatReturned: 16,
  syncToControlPlane: 17,
  sessionUnprotected: 18,
  commitOversize: 19,
  sessionCreated: 20,
  sessionEstablished: 21,
  sessionExpired: 22,
  vmLearned: 23,
  vmMoved: 24,
  dropTruncated: 25,
  dropNotActive: 26,
  dropGeneveVersion: 27,
  dropGeneveOptionLength: 28,
  dropGeneveCriticalOption: 29,
  dropGeneveControl: 30,
  dropGeneveProtocol: 31,
  dropOuterFragment: 32,
  dropVniUnknown: 33,
  dropInnerNotIpv4: 34,
  dropInnerMac: 35,
  dropInnerArp: 36,
  dropIpv4Header: 37,
  dropSourceNotInSubnet: 38,
  dropDestinationNotRouted: 39,
  dropTtlExceeded: 40,
  dropFragment: 41,
  dropProtocolNotTranslated: 42,
  dropIcmpType: 43,
  dropNoSharedSnat: 44,
  dropNoMapping: 45,
  dropFiltered: 46,
  dropPortsExhausted: 47,
  dropVmTableFull: 48,
  dropSessionTableFull: 49,
  dropNeighbourUnresolved: 50,
  dropGatewayUnresolved: 51,
  dropEndpointUnknown: 52,
  dropMtuExceeded: 53,
  dropCongestion: 54,
  dropAdjustFailed: 55,
  dropSyncVersion: 56,
  dropSyncMalformed: 57,
  dropSyncMac: 58,
  dropSyncReplayed: 59,
  dropSyncOwn: 60,
  dropSyncTerm: 61,
  dropSyncUnapplied: 62,
} as const;
export type Reason = (typeof reason)[keyof typeof reason];
export const reasonNames: readonly string[] = [
  'outbound_snat',
  'outbound_floating_ip',
  'inbound_snat',
  'inbound_floating_ip',
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
  'drop_truncated',
  'drop_not_active',
  'drop_geneve_version',
  'drop_geneve_option_length',
  'drop_geneve_critical_option',
  'drop_geneve_control',
  'drop_geneve_protocol',
  'drop_outer_fragment',
  'drop_vni_unknown',
  'drop_inner_not_ipv4',
  'drop_inner_mac',
  'drop_inner_arp',
  'drop_ipv4_header',
  'drop_source_not_in_subnet',
  'drop_destination_not_routed',
  'drop_ttl_exceeded',
  'drop_fragment',
  'drop_protocol_not_translated',
  'drop_icmp_type',
  'drop_no_shared_snat',
  'drop_no_mapping',
  'drop_filtered',
  'drop_ports_exhausted',
  'drop_vm_table_full',
  'drop_session_table_full',
  'drop_neighbour_unresolved',
  'drop_gateway_unresolved',
  'drop_endpoint_unknown',
  'drop_mtu_exceeded',
  'drop_congestion',
  'drop_adjust_failed',
  'drop_sync_version',
  'drop_sync_malformed',
  'drop_sync_mac',
  'drop_sync_replayed',
  'drop_sync_own',
  'drop_sync_term',
  'drop_sync_unapplied',
];
export const reasonCount = 63;

/** enum replay_direction */
export const replayDirection = {
  requests: 0,
  replies: 1,
} as const;
export type ReplayDirection = (typeof replayDirection)[keyof typeof replayDirection];
export const replayDirectionNames: readonly string[] = [
  'requests',
  'replies',
];
export const replayDirectionCount = 2;

/** enum session_flag */
export const sessionFlag = {
  committed: 1,
  establishedCommitted: 2,
  finOutbound: 4,
  finInbound: 8,
  unprotected: 16,
  replied: 32,
} as const;
export type SessionFlag = (typeof sessionFlag)[keyof typeof sessionFlag];
export const sessionFlagNames: Readonly<Record<number, string>> = {
  1: 'committed',
  2: 'established_committed',
  4: 'fin_outbound',
  8: 'fin_inbound',
  16: 'unprotected',
  32: 'replied',
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

/** enum sync_flag */
export const syncFlag = {
  reply: 1,
  refused: 2,
  unapplied: 4,
} as const;
export type SyncFlag = (typeof syncFlag)[keyof typeof syncFlag];
export const syncFlagNames: Readonly<Record<number, string>> = {
  1: 'reply',
  2: 'refused',
  4: 'unapplied',
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

/** enum sync_record_kind */
export const syncRecordKind = {
  vm: 1,
  session: 2,
  delete: 3,
} as const;
export type SyncRecordKind = (typeof syncRecordKind)[keyof typeof syncRecordKind];
export const syncRecordKindNames: Readonly<Record<number, string>> = {
  1: 'vm',
  2: 'session',
  3: 'delete',
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
} as const;
export type VmFlag = (typeof vmFlag)[keyof typeof vmFlag];
export const vmFlagNames: Readonly<Record<number, string>> = {
  1: 'committed',
};

/** enum walk_kind */
export const walkKind = {
  bulk: 0,
  age: 1,
} as const;
export type WalkKind = (typeof walkKind)[keyof typeof walkKind];
export const walkKindNames: readonly string[] = [
  'bulk',
  'age',
];
export const walkKindCount = 2;

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

/** struct event, 16 bytes */
export interface Event {
  type: number;
  interface: number;
  address: number;
  length: number;
}

export const eventLayout: StructLayout = {
  name: 'event',
  size: 16,
  fields: [
    { name: 'type', offset: 0, size: 4, kind: 'u32' },
    { name: 'interface', offset: 4, size: 4, kind: 'u32' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
    { name: 'length', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct event. */
export const eventOffsets = {
  type: 0,
  interface: 4,
  address: 8,
  length: 12,
} as const;

export const eventCodec: Codec<Event> = {
  name: 'event',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'event');
    into.writeUInt32LE(value.type, offset);
    into.writeUInt32LE(value.interface, offset + 4);
    into.writeUInt32BE(value.address, offset + 8);
    into.writeUInt32LE(value.length, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'event');
    return {
      type: from.readUInt32LE(offset),
      interface: from.readUInt32LE(offset + 4),
      address: from.readUInt32BE(offset + 8),
      length: from.readUInt32LE(offset + 12),
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

/** struct external_network, 20 bytes */
export interface ExternalNetwork {
  subnet: number;
  netmask: number;
  gateway: number;
  gatewayMac: Buffer;
}

export const externalNetworkLayout: StructLayout = {
  name: 'external_network',
  size: 20,
  fields: [
    { name: 'subnet', offset: 0, size: 4, kind: 'be32' },
    { name: 'netmask', offset: 4, size: 4, kind: 'be32' },
    { name: 'gateway', offset: 8, size: 4, kind: 'be32' },
    { name: 'gateway_mac', offset: 12, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 18, size: 2, kind: 'u8', count: 2 },
  ],
};

/** Bytes from the start of struct external_network. */
export const externalNetworkOffsets = {
  subnet: 0,
  netmask: 4,
  gateway: 8,
  gatewayMac: 12,
} as const;

export const externalNetworkCodec: Codec<ExternalNetwork> = {
  name: 'external_network',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'external_network');
    into.fill(0, offset, offset + 20);
    into.writeUInt32BE(value.subnet, offset);
    into.writeUInt32BE(value.netmask, offset + 4);
    into.writeUInt32BE(value.gateway, offset + 8);
    expectLength(value.gatewayMac.length, 6, 'external_network.gateway_mac');
    into.set(value.gatewayMac, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'external_network');
    return {
      subnet: from.readUInt32BE(offset),
      netmask: from.readUInt32BE(offset + 4),
      gateway: from.readUInt32BE(offset + 8),
      gatewayMac: Buffer.from(from.subarray(offset + 12, offset + 18)),
    };
  },
};

/** struct gateway, 88 bytes */
export interface Gateway {
  id: number;
  syncMode: number;
  key: bigint[];
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
}

export const gatewayLayout: StructLayout = {
  name: 'gateway',
  size: 88,
  fields: [
    { name: 'id', offset: 0, size: 4, kind: 'u32' },
    { name: 'sync_mode', offset: 4, size: 4, kind: 'u32' },
    { name: 'key', offset: 8, size: 16, kind: 'u64', count: 2 },
    { name: 'solo_after_ns', offset: 24, size: 8, kind: 'u64' },
    { name: 'epoch', offset: 32, size: 4, kind: 'u32' },
    { name: 'ha_address', offset: 36, size: 4, kind: 'be32' },
    { name: 'peer_address', offset: 40, size: 4, kind: 'be32' },
    { name: 'peer_mac', offset: 44, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 50, size: 2, kind: 'u8', count: 2 },
    { name: 'tcp_established_ticks', offset: 52, size: 4, kind: 'u32' },
    { name: 'tcp_transitory_ticks', offset: 56, size: 4, kind: 'u32' },
    { name: 'udp_ticks', offset: 60, size: 4, kind: 'u32' },
    { name: 'icmp_ticks', offset: 64, size: 4, kind: 'u32' },
    { name: 'hold_down_ticks', offset: 68, size: 4, kind: 'u32' },
    { name: 'external_addresses', offset: 72, size: 4, kind: 'u32' },
    { name: 'session_buckets', offset: 76, size: 4, kind: 'u32' },
    { name: 'pad2', offset: 80, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct gateway. */
export const gatewayOffsets = {
  id: 0,
  syncMode: 4,
  key: 8,
  soloAfterNs: 24,
  epoch: 32,
  haAddress: 36,
  peerAddress: 40,
  peerMac: 44,
  tcpEstablishedTicks: 52,
  tcpTransitoryTicks: 56,
  udpTicks: 60,
  icmpTicks: 64,
  holdDownTicks: 68,
  externalAddresses: 72,
  sessionBuckets: 76,
} as const;

export const gatewayCodec: Codec<Gateway> = {
  name: 'gateway',
  size: 88,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 88, 'gateway');
    into.fill(0, offset, offset + 88);
    into.writeUInt32LE(value.id, offset);
    into.writeUInt32LE(value.syncMode, offset + 4);
    expectLength(value.key.length, 2, 'gateway.key');
    value.key.forEach((element, index) => into.writeBigUInt64LE(element, offset + 8 + index * 8));
    into.writeBigUInt64LE(value.soloAfterNs, offset + 24);
    into.writeUInt32LE(value.epoch, offset + 32);
    into.writeUInt32BE(value.haAddress, offset + 36);
    into.writeUInt32BE(value.peerAddress, offset + 40);
    expectLength(value.peerMac.length, 6, 'gateway.peer_mac');
    into.set(value.peerMac, offset + 44);
    into.writeUInt32LE(value.tcpEstablishedTicks, offset + 52);
    into.writeUInt32LE(value.tcpTransitoryTicks, offset + 56);
    into.writeUInt32LE(value.udpTicks, offset + 60);
    into.writeUInt32LE(value.icmpTicks, offset + 64);
    into.writeUInt32LE(value.holdDownTicks, offset + 68);
    into.writeUInt32LE(value.externalAddresses, offset + 72);
    into.writeUInt32LE(value.sessionBuckets, offset + 76);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 88, 'gateway');
    return {
      id: from.readUInt32LE(offset),
      syncMode: from.readUInt32LE(offset + 4),
      key: Array.from({ length: 2 }, (_, index) => from.readBigUInt64LE(offset + 8 + index * 8)),
      soloAfterNs: from.readBigUInt64LE(offset + 24),
      epoch: from.readUInt32LE(offset + 32),
      haAddress: from.readUInt32BE(offset + 36),
      peerAddress: from.readUInt32BE(offset + 40),
      peerMac: Buffer.from(from.subarray(offset + 44, offset + 50)),
      tcpEstablishedTicks: from.readUInt32LE(offset + 52),
      tcpTransitoryTicks: from.readUInt32LE(offset + 56),
      udpTicks: from.readUInt32LE(offset + 60),
      icmpTicks: from.readUInt32LE(offset + 64),
      holdDownTicks: from.readUInt32LE(offset + 68),
      externalAddresses: from.readUInt32LE(offset + 72),
      sessionBuckets: from.readUInt32LE(offset + 76),
    };
  },
};

/** struct gateway_state, 40 bytes */
export interface GatewayState {
  sequence: bigint;
  vms: number;
  peerHeardNs: bigint;
  acknowledged: bigint;
  unansweredSinceNs: bigint;
}

export const gatewayStateLayout: StructLayout = {
  name: 'gateway_state',
  size: 40,
  fields: [
    { name: 'sequence', offset: 0, size: 8, kind: 'u64' },
    { name: 'vms', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
    { name: 'peer_heard_ns', offset: 16, size: 8, kind: 'u64' },
    { name: 'acknowledged', offset: 24, size: 8, kind: 'u64' },
    { name: 'unanswered_since_ns', offset: 32, size: 8, kind: 'u64' },
  ],
};

/** Bytes from the start of struct gateway_state. */
export const gatewayStateOffsets = {
  sequence: 0,
  vms: 8,
  peerHeardNs: 16,
  acknowledged: 24,
  unansweredSinceNs: 32,
} as const;

export const gatewayStateCodec: Codec<GatewayState> = {
  name: 'gateway_state',
  size: 40,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 40, 'gateway_state');
    into.fill(0, offset, offset + 40);
    into.writeBigUInt64LE(value.sequence, offset);
    into.writeUInt32LE(value.vms, offset + 8);
    into.writeBigUInt64LE(value.peerHeardNs, offset + 16);
    into.writeBigUInt64LE(value.acknowledged, offset + 24);
    into.writeBigUInt64LE(value.unansweredSinceNs, offset + 32);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 40, 'gateway_state');
    return {
      sequence: from.readBigUInt64LE(offset),
      vms: from.readUInt32LE(offset + 8),
      peerHeardNs: from.readBigUInt64LE(offset + 16),
      acknowledged: from.readBigUInt64LE(offset + 24),
      unansweredSinceNs: from.readBigUInt64LE(offset + 32),
    };
  },
};

/** struct interface, 20 bytes */
export interface Interface {
  ifindex: number;
  mtu: number;
  address: number;
  mac: Buffer;
}

export const interfaceLayout: StructLayout = {
  name: 'interface',
  size: 20,
  fields: [
    { name: 'ifindex', offset: 0, size: 4, kind: 'u32' },
    { name: 'mtu', offset: 4, size: 4, kind: 'u32' },
    { name: 'address', offset: 8, size: 4, kind: 'be32' },
    { name: 'mac', offset: 12, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 18, size: 2, kind: 'u8', count: 2 },
  ],
};

/** Bytes from the start of struct interface. */
export const interfaceOffsets = {
  ifindex: 0,
  mtu: 4,
  address: 8,
  mac: 12,
} as const;

export const interfaceCodec: Codec<Interface> = {
  name: 'interface',
  size: 20,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 20, 'interface');
    into.fill(0, offset, offset + 20);
    into.writeUInt32LE(value.ifindex, offset);
    into.writeUInt32LE(value.mtu, offset + 4);
    into.writeUInt32BE(value.address, offset + 8);
    expectLength(value.mac.length, 6, 'interface.mac');
    into.set(value.mac, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 20, 'interface');
    return {
      ifindex: from.readUInt32LE(offset),
      mtu: from.readUInt32LE(offset + 4),
      address: from.readUInt32BE(offset + 8),
      mac: Buffer.from(from.subarray(offset + 12, offset + 18)),
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
  term: number;
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
    { name: 'term', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct session. */
export const sessionOffsets = {
  remote: 0,
  remotePort: 4,
  state: 6,
  flags: 7,
  lastSeen: 8,
  term: 12,
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
    into.writeUInt32LE(value.term, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'session');
    return {
      remote: from.readUInt32BE(offset),
      remotePort: from.readUInt16BE(offset + 4),
      state: from.readUInt8(offset + 6),
      flags: from.readUInt8(offset + 7),
      lastSeen: from.readUInt32LE(offset + 8),
      term: from.readUInt32LE(offset + 12),
    };
  },
};

/** struct mapping, 32 bytes */
export interface Mapping {
  vm: number;
  internalPort: number;
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
    { name: 'pad', offset: 6, size: 2, kind: 'u16' },
    { name: 'last_seen', offset: 8, size: 4, kind: 'u32' },
    { name: 'session_count', offset: 12, size: 4, kind: 'u32' },
    { name: 'first', offset: 16, size: 16, kind: 'struct', struct: sessionLayout },
  ],
};

/** Bytes from the start of struct mapping. */
export const mappingOffsets = {
  vm: 0,
  internalPort: 4,
  lastSeen: 8,
  sessionCount: 12,
  first: 16,
} as const;

export const mappingCodec: Codec<Mapping> = {
  name: 'mapping',
  size: 32,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 32, 'mapping');
    into.fill(0, offset, offset + 32);
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt16BE(value.internalPort, offset + 4);
    into.writeUInt32LE(value.lastSeen, offset + 8);
    into.writeUInt32LE(value.sessionCount, offset + 12);
    sessionCodec.encode(value.first, into, offset + 16);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 32, 'mapping');
    return {
      vm: from.readUInt32LE(offset),
      internalPort: from.readUInt16BE(offset + 4),
      lastSeen: from.readUInt32LE(offset + 8),
      sessionCount: from.readUInt32LE(offset + 12),
      first: sessionCodec.decode(from, offset + 16),
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
  address: number;
}

export const neighbourKeyLayout: StructLayout = {
  name: 'neighbour_key',
  size: 8,
  fields: [
    { name: 'interface', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
  ],
};

/** Bytes from the start of struct neighbour_key. */
export const neighbourKeyOffsets = {
  interface: 0,
  address: 4,
} as const;

export const neighbourKeyCodec: Codec<NeighbourKey> = {
  name: 'neighbour_key',
  size: 8,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 8, 'neighbour_key');
    into.writeUInt32LE(value.interface, offset);
    into.writeUInt32BE(value.address, offset + 4);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 8, 'neighbour_key');
    return {
      interface: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
    };
  },
};

/** struct network, 28 bytes */
export interface Network {
  vni: number;
  router: number;
  subnet: number;
  netmask: number;
  gateway: number;
  gatewayMac: Buffer;
}

export const networkLayout: StructLayout = {
  name: 'network',
  size: 28,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'router', offset: 4, size: 4, kind: 'u32' },
    { name: 'subnet', offset: 8, size: 4, kind: 'be32' },
    { name: 'netmask', offset: 12, size: 4, kind: 'be32' },
    { name: 'gateway', offset: 16, size: 4, kind: 'be32' },
    { name: 'gateway_mac', offset: 20, size: 6, kind: 'u8', count: 6 },
    { name: 'pad', offset: 26, size: 2, kind: 'u8', count: 2 },
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
} as const;

export const networkCodec: Codec<Network> = {
  name: 'network',
  size: 28,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 28, 'network');
    into.fill(0, offset, offset + 28);
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32LE(value.router, offset + 4);
    into.writeUInt32BE(value.subnet, offset + 8);
    into.writeUInt32BE(value.netmask, offset + 12);
    into.writeUInt32BE(value.gateway, offset + 16);
    expectLength(value.gatewayMac.length, 6, 'network.gateway_mac');
    into.set(value.gatewayMac, offset + 20);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 28, 'network');
    return {
      vni: from.readUInt32LE(offset),
      router: from.readUInt32LE(offset + 4),
      subnet: from.readUInt32BE(offset + 8),
      netmask: from.readUInt32BE(offset + 12),
      gateway: from.readUInt32BE(offset + 16),
      gatewayMac: Buffer.from(from.subarray(offset + 20, offset + 26)),
    };
  },
};

/** struct port_block, 16 bytes */
export interface PortBlock {
  vm: number;
  mappings: number;
  lastSeen: number;
}

export const portBlockLayout: StructLayout = {
  name: 'port_block',
  size: 16,
  fields: [
    { name: 'vm', offset: 0, size: 4, kind: 'u32' },
    { name: 'mappings', offset: 4, size: 4, kind: 'u32' },
    { name: 'last_seen', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct port_block. */
export const portBlockOffsets = {
  vm: 0,
  mappings: 4,
  lastSeen: 8,
} as const;

export const portBlockCodec: Codec<PortBlock> = {
  name: 'port_block',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'port_block');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.vm, offset);
    into.writeUInt32LE(value.mappings, offset + 4);
    into.writeUInt32LE(value.lastSeen, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'port_block');
    return {
      vm: from.readUInt32LE(offset),
      mappings: from.readUInt32LE(offset + 4),
      lastSeen: from.readUInt32LE(offset + 8),
    };
  },
};

/** struct replay_window, 144 bytes */
export interface ReplayWindow {
  highest: bigint;
  seen: bigint[];
  epoch: number;
}

export const replayWindowLayout: StructLayout = {
  name: 'replay_window',
  size: 144,
  fields: [
    { name: 'highest', offset: 0, size: 8, kind: 'u64' },
    { name: 'seen', offset: 8, size: 128, kind: 'u64', count: 16 },
    { name: 'epoch', offset: 136, size: 4, kind: 'u32' },
    { name: 'lock', offset: 140, size: 4, kind: 'opaque' },
  ],
};

/** Bytes from the start of struct replay_window. */
export const replayWindowOffsets = {
  highest: 0,
  seen: 8,
  epoch: 136,
} as const;

export const replayWindowCodec: Codec<ReplayWindow> = {
  name: 'replay_window',
  size: 144,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 144, 'replay_window');
    into.fill(0, offset, offset + 144);
    into.writeBigUInt64LE(value.highest, offset);
    expectLength(value.seen.length, 16, 'replay_window.seen');
    value.seen.forEach((element, index) => into.writeBigUInt64LE(element, offset + 8 + index * 8));
    into.writeUInt32LE(value.epoch, offset + 136);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 144, 'replay_window');
    return {
      highest: from.readBigUInt64LE(offset),
      seen: Array.from({ length: 16 }, (_, index) => from.readBigUInt64LE(offset + 8 + index * 8)),
      epoch: from.readUInt32LE(offset + 136),
    };
  },
};

/** struct router, 16 bytes */
export interface Router {
  externalAddress: number;
  externalAddressIndex: number;
  externalNetwork: number;
  virtualRouter: number;
}

export const routerLayout: StructLayout = {
  name: 'router',
  size: 16,
  fields: [
    { name: 'external_address', offset: 0, size: 4, kind: 'be32' },
    { name: 'external_address_index', offset: 4, size: 4, kind: 'u32' },
    { name: 'external_network', offset: 8, size: 4, kind: 'u32' },
    { name: 'virtual_router', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct router. */
export const routerOffsets = {
  externalAddress: 0,
  externalAddressIndex: 4,
  externalNetwork: 8,
  virtualRouter: 12,
} as const;

export const routerCodec: Codec<Router> = {
  name: 'router',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'router');
    into.writeUInt32BE(value.externalAddress, offset);
    into.writeUInt32LE(value.externalAddressIndex, offset + 4);
    into.writeUInt32LE(value.externalNetwork, offset + 8);
    into.writeUInt32LE(value.virtualRouter, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'router');
    return {
      externalAddress: from.readUInt32BE(offset),
      externalAddressIndex: from.readUInt32LE(offset + 4),
      externalNetwork: from.readUInt32LE(offset + 8),
      virtualRouter: from.readUInt32LE(offset + 12),
    };
  },
};

/** struct session_slot, 24 bytes */
export interface SessionSlot {
  mapping: number;
  session: Session;
}

export const sessionSlotLayout: StructLayout = {
  name: 'session_slot',
  size: 24,
  fields: [
    { name: 'mapping', offset: 0, size: 4, kind: 'u32' },
    { name: 'pad', offset: 4, size: 4, kind: 'u32' },
    { name: 'session', offset: 8, size: 16, kind: 'struct', struct: sessionLayout },
  ],
};

/** Bytes from the start of struct session_slot. */
export const sessionSlotOffsets = {
  mapping: 0,
  session: 8,
} as const;

export const sessionSlotCodec: Codec<SessionSlot> = {
  name: 'session_slot',
  size: 24,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 24, 'session_slot');
    into.fill(0, offset, offset + 24);
    into.writeUInt32LE(value.mapping, offset);
    sessionCodec.encode(value.session, into, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 24, 'session_slot');
    return {
      mapping: from.readUInt32LE(offset),
      session: sessionCodec.decode(from, offset + 8),
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
    { name: 'pad', offset: 12, size: 4, kind: 'be32' },
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
      sequence: from.readBigUInt64BE(offset + 16),
      mac: from.readBigUInt64BE(offset + 24),
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
    { name: 'pad', offset: 64, size: 8, kind: 'be32', count: 2 },
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

/** struct vm, 128 bytes */
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
}

export const vmLayout: StructLayout = {
  name: 'vm',
  size: 128,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
    { name: 'network', offset: 8, size: 4, kind: 'u32' },
    { name: 'floating_ip', offset: 12, size: 4, kind: 'be32' },
    { name: 'tunnel_endpoint', offset: 16, size: 4, kind: 'be32' },
    { name: 'mac', offset: 20, size: 6, kind: 'u8', count: 6 },
    { name: 'next_hop_mac', offset: 26, size: 6, kind: 'u8', count: 6 },
    { name: 'option_length', offset: 32, size: 1, kind: 'u8' },
    { name: 'flags', offset: 33, size: 1, kind: 'u8' },
    { name: 'pad', offset: 34, size: 2, kind: 'u8', count: 2 },
    { name: 'option', offset: 36, size: 8, kind: 'u8', count: 8 },
    { name: 'port_key', offset: 44, size: 4, kind: 'u32' },
    { name: 'last_seen', offset: 48, size: 4, kind: 'u32' },
    { name: 'blocks', offset: 52, size: 64, kind: 'u32', count: 16 },
    { name: 'pad2', offset: 116, size: 12, kind: 'u32', count: 3 },
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
  flags: 33,
  option: 36,
  portKey: 44,
  lastSeen: 48,
  blocks: 52,
} as const;

export const vmCodec: Codec<Vm> = {
  name: 'vm',
  size: 128,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 128, 'vm');
    into.fill(0, offset, offset + 128);
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
    into.writeUInt8(value.flags, offset + 33);
    expectLength(value.option.length, 8, 'vm.option');
    into.set(value.option, offset + 36);
    into.writeUInt32LE(value.portKey, offset + 44);
    into.writeUInt32LE(value.lastSeen, offset + 48);
    expectLength(value.blocks.length, 16, 'vm.blocks');
    value.blocks.forEach((element, index) => into.writeUInt32LE(element, offset + 52 + index * 4));
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 128, 'vm');
    return {
      vni: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
      network: from.readUInt32LE(offset + 8),
      floatingIp: from.readUInt32BE(offset + 12),
      tunnelEndpoint: from.readUInt32BE(offset + 16),
      mac: Buffer.from(from.subarray(offset + 20, offset + 26)),
      nextHopMac: Buffer.from(from.subarray(offset + 26, offset + 32)),
      optionLength: from.readUInt8(offset + 32),
      flags: from.readUInt8(offset + 33),
      option: Buffer.from(from.subarray(offset + 36, offset + 44)),
      portKey: from.readUInt32LE(offset + 44),
      lastSeen: from.readUInt32LE(offset + 48),
      blocks: Array.from({ length: 16 }, (_, index) => from.readUInt32LE(offset + 52 + index * 4)),
    };
  },
};

/** struct vm_ensure, 16 bytes */
export interface VmEnsure {
  vni: number;
  address: number;
  floatingIp: number;
  vm: number;
}

export const vmEnsureLayout: StructLayout = {
  name: 'vm_ensure',
  size: 16,
  fields: [
    { name: 'vni', offset: 0, size: 4, kind: 'u32' },
    { name: 'address', offset: 4, size: 4, kind: 'be32' },
    { name: 'floating_ip', offset: 8, size: 4, kind: 'be32' },
    { name: 'vm', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct vm_ensure. */
export const vmEnsureOffsets = {
  vni: 0,
  address: 4,
  floatingIp: 8,
  vm: 12,
} as const;

export const vmEnsureCodec: Codec<VmEnsure> = {
  name: 'vm_ensure',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'vm_ensure');
    into.writeUInt32LE(value.vni, offset);
    into.writeUInt32BE(value.address, offset + 4);
    into.writeUInt32BE(value.floatingIp, offset + 8);
    into.writeUInt32LE(value.vm, offset + 12);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'vm_ensure');
    return {
      vni: from.readUInt32LE(offset),
      address: from.readUInt32BE(offset + 4),
      floatingIp: from.readUInt32BE(offset + 8),
      vm: from.readUInt32LE(offset + 12),
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

/** struct walk, 16 bytes */
export interface Walk {
  phase: number;
  position: number;
  records: number;
}

export const walkLayout: StructLayout = {
  name: 'walk',
  size: 16,
  fields: [
    { name: 'phase', offset: 0, size: 4, kind: 'u32' },
    { name: 'position', offset: 4, size: 4, kind: 'u32' },
    { name: 'records', offset: 8, size: 4, kind: 'u32' },
    { name: 'pad', offset: 12, size: 4, kind: 'u32' },
  ],
};

/** Bytes from the start of struct walk. */
export const walkOffsets = {
  phase: 0,
  position: 4,
  records: 8,
} as const;

export const walkCodec: Codec<Walk> = {
  name: 'walk',
  size: 16,
  encode(value, into, offset = 0) {
    expectRoom(into, offset, 16, 'walk');
    into.fill(0, offset, offset + 16);
    into.writeUInt32LE(value.phase, offset);
    into.writeUInt32LE(value.position, offset + 4);
    into.writeUInt32LE(value.records, offset + 8);
  },
  decode(from, offset = 0) {
    expectRoom(from, offset, 16, 'walk');
    return {
      phase: from.readUInt32LE(offset),
      position: from.readUInt32LE(offset + 4),
      records: from.readUInt32LE(offset + 8),
    };
  },
};

/** What the maps of the object hold. */
export const mapLayouts: Readonly<Record<string, MapLayout>> = {
  commits: { key: { size: 4, kind: 'u32' }, value: { size: 72, kind: 'struct', struct: syncRecordLayout } },
  counters: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: counterLayout } },
  events: { key: undefined, value: undefined },
  external_addresses: { key: { size: 4, kind: 'be32' }, value: { size: 16, kind: 'struct', struct: externalAddressLayout } },
  external_networks: { key: { size: 4, kind: 'u32' }, value: { size: 20, kind: 'struct', struct: externalNetworkLayout } },
  gateway_states: { key: { size: 4, kind: 'u32' }, value: { size: 40, kind: 'struct', struct: gatewayStateLayout } },
  gateways: { key: { size: 4, kind: 'u32' }, value: { size: 88, kind: 'struct', struct: gatewayLayout } },
  interfaces: { key: { size: 4, kind: 'u32' }, value: { size: 20, kind: 'struct', struct: interfaceLayout } },
  mappings: { key: { size: 4, kind: 'u32' }, value: { size: 32, kind: 'struct', struct: mappingLayout } },
  neighbours: { key: { size: 8, kind: 'struct', struct: neighbourKeyLayout }, value: { size: 8, kind: 'struct', struct: neighbourLayout } },
  network_by_vni: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  networks: { key: { size: 4, kind: 'u32' }, value: { size: 28, kind: 'struct', struct: networkLayout } },
  port_blocks: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: portBlockLayout } },
  ports: { key: { size: 4, kind: 'u32' }, value: { size: 4, kind: 'u32' } },
  replay_windows: { key: { size: 4, kind: 'u32' }, value: { size: 144, kind: 'struct', struct: replayWindowLayout } },
  routers: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: routerLayout } },
  sessions: { key: { size: 4, kind: 'u32' }, value: { size: 24, kind: 'struct', struct: sessionSlotLayout } },
  virtual_router_by_address: { key: { size: 4, kind: 'be32' }, value: { size: 4, kind: 'u32' } },
  virtual_routers: { key: { size: 4, kind: 'u32' }, value: { size: 40, kind: 'struct', struct: virtualRouterLayout } },
  vm_by_address: { key: { size: 8, kind: 'struct', struct: vmKeyLayout }, value: { size: 4, kind: 'u32' } },
  vms: { key: { size: 4, kind: 'u32' }, value: { size: 128, kind: 'struct', struct: vmLayout } },
  walks: { key: { size: 4, kind: 'u32' }, value: { size: 16, kind: 'struct', struct: walkLayout } },
};

/** The enumerators under their names in C. */
export const enumLayouts: readonly EnumLayout[] = [
  {
    name: 'event_type',
    values: {
      EVENT_NEIGHBOUR_UNRESOLVED: 1,
      EVENT_SYNC_MESSAGE: 2,
      EVENT_PEER_SILENT: 3,
      EVENT_RECORD: 4,
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
    name: 'interface_role',
    values: {
      INTERFACE_UNDERLAY: 0,
      INTERFACE_EXTERNAL: 1,
      INTERFACE_HA: 2,
      INTERFACES: 3,
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
    name: 'reason',
    values: {
      REASON_OUTBOUND_SNAT: 0,
      REASON_OUTBOUND_FLOATING_IP: 1,
      REASON_INBOUND_SNAT: 2,
      REASON_INBOUND_FLOATING_IP: 3,
      REASON_ARP_REPLY_INNER: 4,
      REASON_ARP_REPLY_UNDERLAY: 5,
      REASON_ARP_REPLY_EXTERNAL: 6,
      REASON_ECHO_REPLY_INNER: 7,
      REASON_ECHO_REPLY_EXTERNAL: 8,
      REASON_PASS_TO_KERNEL: 9,
      REASON_COMMIT_SENT: 10,
      REASON_COMMIT_RELEASED: 11,
      REASON_COMMIT_APPLIED: 12,
      REASON_SYNC_APPLIED: 13,
      REASON_SYNC_ACKNOWLEDGED: 14,
      REASON_HEARTBEAT_TURNED: 15,
      REASON_HEARTBEAT_RETURNED: 16,
      REASON_SYNC_TO_CONTROL_PLANE: 17,
      REASON_SESSION_UNPROTECTED: 18,
      REASON_COMMIT_OVERSIZE: 19,
      REASON_SESSION_CREATED: 20,
      REASON_SESSION_ESTABLISHED: 21,
      REASON_SESSION_EXPIRED: 22,
      REASON_VM_LEARNED: 23,
      REASON_VM_MOVED: 24,
      REASON_DROP_TRUNCATED: 25,
      REASON_DROP_NOT_ACTIVE: 26,
      REASON_DROP_GENEVE_VERSION: 27,
      REASON_DROP_GENEVE_OPTION_LENGTH: 28,
      REASON_DROP_GENEVE_CRITICAL_OPTION: 29,
      REASON_DROP_GENEVE_CONTROL: 30,
      REASON_DROP_GENEVE_PROTOCOL: 31,
      REASON_DROP_OUTER_FRAGMENT: 32,
      REASON_DROP_VNI_UNKNOWN: 33,
      REASON_DROP_INNER_NOT_IPV4: 34,
      REASON_DROP_INNER_MAC: 35,
      REASON_DROP_INNER_ARP: 36,
      REASON_DROP_IPV4_HEADER: 37,
      REASON_DROP_SOURCE_NOT_IN_SUBNET: 38,
      REASON_DROP_DESTINATION_NOT_ROUTED: 39,
      REASON_DROP_TTL_EXCEEDED: 40,
      REASON_DROP_FRAGMENT: 41,
      REASON_DROP_PROTOCOL_NOT_TRANSLATED: 42,
      REASON_DROP_ICMP_TYPE: 43,
      REASON_DROP_NO_SHARED_SNAT: 44,
      REASON_DROP_NO_MAPPING: 45,
      REASON_DROP_FILTERED: 46,
      REASON_DROP_PORTS_EXHAUSTED: 47,
      REASON_DROP_VM_TABLE_FULL: 48,
      REASON_DROP_SESSION_TABLE_FULL: 49,
      REASON_DROP_NEIGHBOUR_UNRESOLVED: 50,
      REASON_DROP_GATEWAY_UNRESOLVED: 51,
      REASON_DROP_ENDPOINT_UNKNOWN: 52,
      REASON_DROP_MTU_EXCEEDED: 53,
      REASON_DROP_CONGESTION: 54,
      REASON_DROP_ADJUST_FAILED: 55,
      REASON_DROP_SYNC_VERSION: 56,
      REASON_DROP_SYNC_MALFORMED: 57,
      REASON_DROP_SYNC_MAC: 58,
      REASON_DROP_SYNC_REPLAYED: 59,
      REASON_DROP_SYNC_OWN: 60,
      REASON_DROP_SYNC_TERM: 61,
      REASON_DROP_SYNC_UNAPPLIED: 62,
      REASONS: 63,
    },
  },
  {
    name: 'replay_direction',
    values: {
      REPLAY_REQUESTS: 0,
      REPLAY_REPLIES: 1,
      REPLAY_DIRECTIONS: 2,
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
    name: 'sync_flag',
    values: {
      SYNC_REPLY: 1,
      SYNC_REFUSED: 2,
      SYNC_UNAPPLIED: 4,
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
    name: 'sync_record_kind',
    values: {
      RECORD_VM: 1,
      RECORD_SESSION: 2,
      RECORD_DELETE: 3,
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
    },
  },
  {
    name: 'walk_kind',
    values: {
      WALK_BULK: 0,
      WALK_AGE: 1,
      WALKS: 2,
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
