/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one contract between the programs, the control plane and the wire.
 *
 * TypeScript's view of it is generated from this file's BTF; a pinned map that
 * was made from another version of it is refused at load. Fixed-width fields,
 * explicit padding that is written as zero, no bitfields, no anonymous unions,
 * no enum-typed fields, __be16/__be32 wherever the bytes are in wire order.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#define ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

/* Ports of one external address are handed out in blocks; block b belongs to gateway (b & 1). */
#define PORT_BLOCK_SIZE 256
#define PORT_BLOCKS_PER_ADDRESS (65536 / PORT_BLOCK_SIZE)
/*
 * Ports below 1024 serve internal ports below 1024 (RFC 4787 REQ-3a). Their blocks
 * have no VM as owner: too few for that, their slots are given out one by one.
 */
#define FIRST_PORT_BLOCK (1024 / PORT_BLOCK_SIZE)
/* How many blocks one VM may hold from one gateway, and how many slots are looked at in each. */
#define VM_PORT_BLOCKS 8
#define PORT_PROBES 8
#define GATEWAYS 2
#define VIRTUAL_ROUTERS 256
/* Tunnel endpoints from which BFD is heard, over all virtual routers. */
#define BFD_SESSIONS 4096

/* One coarse tick is 2^30 ns, about 1.07 s: the unit of every last_seen. */
#define TICK_SHIFT 30

enum interface_role {
	INTERFACE_UNDERLAY = 0,
	INTERFACE_EXTERNAL = 1,
	INTERFACE_HA = 2,
	INTERFACES = 3,
};

/* RFC 9568 §6.4, and DRAINING: no longer Active, still forwards stragglers, answers no ARP. */
enum virtual_router_state {
	VIRTUAL_ROUTER_INITIALIZE = 0,
	VIRTUAL_ROUTER_BACKUP = 1,
	VIRTUAL_ROUTER_ACTIVE = 2,
	VIRTUAL_ROUTER_DRAINING = 3,
};

enum sync_mode {
	SYNC_NONE = 0,
	SYNC_ASYNC = 1,
	SYNC_STRICT = 2,
};

/* In the upper byte of a VNI: both have a space of 24 bits of their own. */
enum encapsulation {
	ENCAPSULATION_GENEVE = 0,     /* RFC 8926 */
	ENCAPSULATION_VXLAN = 1,      /* RFC 7348 */
};
#define ENCAPSULATION_SHIFT 24

/* RFC 4787 §4.1. */
enum mapping_behaviour {
	MAPPING_ENDPOINT_INDEPENDENT = 0,
	/* With port overloading: one external port for several internal ones whose remotes differ. */
	MAPPING_ADDRESS_AND_PORT_DEPENDENT = 1,
};

/* RFC 4787 §5. */
enum filtering_behaviour {
	FILTERING_ENDPOINT_INDEPENDENT = 0,
	FILTERING_ADDRESS_DEPENDENT = 1,
	FILTERING_ADDRESS_AND_PORT_DEPENDENT = 2,
};

/* Which third of an external address's mapping slots. */
enum mapping_protocol {
	MAPPING_TCP = 0,
	MAPPING_UDP = 1,
	MAPPING_ICMP = 2,
	MAPPING_PROTOCOLS = 3,
};

/* RFC 5382 §2.1, RFC 7857 §2: which timeout holds. */
enum session_state {
	SESSION_FREE = 0,
	SESSION_TRANSITORY = 1,
	SESSION_ESTABLISHED = 2,
	SESSION_CLOSING = 3,
};

enum session_flag {
	/* The peer has acknowledged the record that created the session. */
	SESSION_COMMITTED = 1,
	/* The peer has acknowledged that it is established. */
	SESSION_ESTABLISHED_COMMITTED = 2,
	SESSION_FIN_OUTBOUND = 4,
	SESSION_FIN_INBOUND = 8,
	/* Created while the peer was silent: bulk synchronisation has yet to copy it. */
	SESSION_UNPROTECTED = 16,
	/* The remote has answered. */
	SESSION_REPLIED = 32,
	/* On a standby: the Active has not spoken of it since it was asked what there is. */
	SESSION_DOUBTED = 64,
};

enum external_address_kind {
	EXTERNAL_FLOATING_IP = 1,
	/* A router's own address: shared SNAT, port forwardings, ICMP echo. */
	EXTERNAL_ROUTER = 2,
};

enum vm_flag {
	/* The peer has acknowledged the endpoint as it is now. */
	VM_COMMITTED = 1,
	/* Its endpoint is the configuration's: packets from elsewhere are spoofed. */
	VM_PINNED = 2,
	/* Some of its ports are in forwardings. */
	VM_HAS_FORWARDINGS = 4,
	/* No longer found by address; its slot is free once everybody who holds it has let go. */
	VM_RETIRED = 8,
	/* As SESSION_DOUBTED. */
	VM_DOUBTED = 16,
};

enum network_flag {
	/* Only VMs that the configuration names may send. */
	NETWORK_PINNED = 1,
};

enum external_network_flag {
	/* Something beside its subnet and its gateway stands in routes. */
	EXTERNAL_NETWORK_HAS_ROUTES = 1,
};

enum mapping_flag {
	/* A port forwarding: the configuration's, neither replicated nor aged. */
	MAPPING_STATIC = 1,
};

enum route_kind {
	/* To the VMs of a network of the router. */
	ROUTE_NETWORK = 1,
	/* To a VM that routes on: `via`, in a network of the router. */
	ROUTE_VM = 2,
	/* On the external network without a router between. */
	ROUTE_ON_LINK = 3,
	/* By way of a router on the external network: `via`. */
	ROUTE_GATEWAY = 4,
};

/*
 * Why a packet left a program the way it did. A reason is at once the index of
 * its counter, the label of its metric, the field in a log line and the word
 * that the CLI prints (lower case, prefix removed).
 */
enum reason {
	/* Forwarded. */
	REASON_OUTBOUND_SNAT = 0,
	REASON_OUTBOUND_FLOATING_IP,
	REASON_INBOUND_SNAT,
	REASON_INBOUND_FLOATING_IP,
	REASON_OUTBOUND_FORWARDING,
	REASON_INBOUND_FORWARDING,
	REASON_HAIRPIN,
	REASON_EAST_WEST,
	REASON_ICMP_ERROR_OUTBOUND,
	REASON_ICMP_ERROR_INBOUND,
	/* Said by us about a packet that is counted with its own reason as well. */
	REASON_ICMP_ERROR_TO_VM,
	REASON_ICMP_ERROR_TO_OUTSIDE,
	REASON_ICMP_ERROR_LIMITED,
	REASON_ARP_REPLY_INNER,
	REASON_ARP_REPLY_UNDERLAY,
	REASON_ARP_REPLY_EXTERNAL,
	REASON_ECHO_REPLY_INNER,
	REASON_ECHO_REPLY_EXTERNAL,
	REASON_PASS_TO_KERNEL,
	/* Replication. */
	REASON_COMMIT_SENT,
	REASON_COMMIT_RELEASED,
	REASON_COMMIT_APPLIED,
	REASON_SYNC_APPLIED,
	REASON_SYNC_ACKNOWLEDGED,
	REASON_HEARTBEAT_TURNED,
	REASON_HEARTBEAT_RETURNED,
	REASON_SYNC_TO_CONTROL_PLANE,
	REASON_SESSION_UNPROTECTED,
	REASON_COMMIT_OVERSIZE,
	REASON_SESSION_CREATED,
	REASON_SESSION_ESTABLISHED,
	REASON_SESSION_EXPIRED,
	REASON_VM_LEARNED,
	REASON_VM_MOVED,
	REASON_VM_EXPIRED,
	/* An allocation or a release of ports that nobody was told of. */
	REASON_PORT_LOG_LOST,
	REASON_MSS_CLAMPED,
	/* Learned from a packet that asks for nothing else: an announcement, an answer to our ARP. */
	REASON_ENDPOINT_ANNOUNCED,
	/* At TC: the control plane finishes what is left to the hardware, and brings the frame again. */
	REASON_FRAME_UNFINISHED,
	/* BFD of a compute (RFC 5880): noted, and told where it says something new. */
	REASON_BFD_HEARD,
	/* Dropped. */
	REASON_DROP_TRUNCATED,
	REASON_DROP_NOT_ACTIVE,
	REASON_DROP_GENEVE_VERSION,
	REASON_DROP_GENEVE_OPTION_LENGTH,
	REASON_DROP_GENEVE_CRITICAL_OPTION,
	REASON_DROP_GENEVE_CONTROL,
	REASON_DROP_GENEVE_PROTOCOL,
	REASON_DROP_OUTER_FRAGMENT,
	REASON_DROP_OUTER_CHECKSUM,
	REASON_DROP_VXLAN_HEADER,
	REASON_DROP_VNI_UNKNOWN,
	/* What RFC 5880 §6.8.6 discards, or from further away than the other end of the tunnel. */
	REASON_DROP_BFD_MALFORMED,
	/* Of somebody with whom there is no session; the control plane hears of some, and may make one. */
	REASON_DROP_BFD_STRANGER,
	REASON_DROP_INNER_NOT_IPV4,
	REASON_DROP_INNER_MAC,
	REASON_DROP_INNER_ARP,
	REASON_DROP_IPV4_HEADER,
	REASON_DROP_SOURCE_NOT_IN_SUBNET,
	/* From the outside: no host's, or one that only the inside has (RFC 1812 §5.3.7, RFC 2827). */
	REASON_DROP_SOURCE_NOT_OUTSIDE,
	REASON_DROP_ENDPOINT_SPOOFED,
	REASON_DROP_DESTINATION_NOT_ROUTED,
	/* To the router itself, which answers echo requests only. */
	REASON_DROP_PORT_UNREACHABLE,
	REASON_DROP_TTL_EXCEEDED,
	REASON_DROP_FRAGMENT,
	/* A later fragment before its first: the control plane brings it again. */
	REASON_DROP_FRAGMENT_EARLY,
	/* Too big without "do not fragment": the control plane splits it. */
	REASON_DROP_FRAGMENTATION_NEEDED,
	REASON_DROP_PROTOCOL_NOT_TRANSLATED,
	REASON_DROP_ICMP_TYPE,
	REASON_DROP_ICMP_QUOTE,
	REASON_DROP_NO_SHARED_SNAT,
	REASON_DROP_NO_MAPPING,
	REASON_DROP_FILTERED,
	REASON_DROP_PORTS_EXHAUSTED,
	REASON_DROP_VM_SESSION_LIMIT,
	REASON_DROP_VM_SESSION_RATE,
	REASON_DROP_ROUTER_SESSION_LIMIT,
	REASON_DROP_NETWORK_VM_LIMIT,
	REASON_DROP_VM_TABLE_FULL,
	REASON_DROP_SESSION_TABLE_FULL,
	REASON_DROP_NEIGHBOUR_UNRESOLVED,
	/* It was asked for, and did not answer. */
	REASON_DROP_NEIGHBOUR_UNREACHABLE,
	REASON_DROP_GATEWAY_UNRESOLVED,
	REASON_DROP_GATEWAY_UNREACHABLE,
	REASON_DROP_ENDPOINT_UNKNOWN,
	REASON_DROP_MTU_EXCEEDED,
	REASON_DROP_CONGESTION,
	/* Advertisements for virtual routers of ours, in the order in which they are looked at (RFC 9568 §7.1). */
	REASON_DROP_ADVERTISEMENT_SOURCE, /* our own, or none of unicastPeers */
	REASON_DROP_ADVERTISEMENT_TTL,
	REASON_DROP_ADVERTISEMENT_VERSION,
	REASON_DROP_ADVERTISEMENT_TYPE,
	REASON_DROP_ADVERTISEMENT_COUNT,
	REASON_DROP_ADVERTISEMENT_LENGTH,
	REASON_DROP_ADVERTISEMENT_CHECKSUM,
	REASON_DROP_ADVERTISEMENT_AUTHENTICATION,
	REASON_DROP_ADVERTISEMENT_INTERVAL,
	/* Well-formed and noted, but more than an election can need. */
	REASON_DROP_ADVERTISEMENT_RATE,
	REASON_DROP_ADJUST_FAILED,
	/* At TC: a frame that stands for many, which the kernel could not cut as they have to leave. */
	REASON_DROP_SEGMENTS,
	REASON_DROP_SYNC_VERSION,
	REASON_DROP_SYNC_MALFORMED,
	REASON_DROP_SYNC_MAC,
	REASON_DROP_SYNC_REPLAYED,
	REASON_DROP_SYNC_OWN,
	REASON_DROP_SYNC_TERM,
	REASON_DROP_SYNC_UNAPPLIED,
	REASONS,
};

struct counter {
	__u64 packets;
	__u64 bytes;
};
ASSERT_SIZE(struct counter, 16);

/* gateways[0]: what the control plane tells the programs about this node. */
struct gateway {
	__u32 id;                     /* 0 or 1: owns port blocks b with (b & 1) == id */
	__u32 sync_mode;              /* enum sync_mode */
	__u64 key[2];                 /* SipHash-2-4 key shared with the peer: what we say is sealed with it */
	__u64 other_key[2];           /* what the peer says may be sealed with it as well; 0: none */
	__u64 seed[2];                /* of what must not be guessed, and stay when the key changes */
	__u64 solo_after_ns;          /* peer counts as silent after this long without a frame */
	__u32 epoch;                  /* of our sequence numbers: grows whenever they restart */
	__be32 ha_address;
	__be32 peer_address;
	__u8 peer_mac[6];
	__u8 pad[2];
	__u32 tcp_established_ticks;  /* RFC 5382 REQ-5 */
	__u32 tcp_transitory_ticks;   /* RFC 5382 REQ-5 */
	__u32 udp_ticks;              /* RFC 4787 REQ-5 */
	__u32 icmp_ticks;             /* RFC 5508 REQ-2 */
	__u32 hold_down_ticks;        /* RFC 6888 REQ-8: a freed port rests this long */
	__u32 external_addresses;     /* how many the mapping table is walked for */
	__u32 session_buckets;        /* of SESSION_BUCKET_SIZE slots; a power of two */
	__u32 vm_ticks;               /* a VM without ports, floating IP and packets is forgotten after this long */
	__u32 icmp_errors_per_second; /* RFC 1812 §4.3.2.8; per CPU; "fragmentation needed" is not counted */
	__u32 resting_port_limit;     /* RFC 6888 REQ-8: a port freed beyond is free at once; 0: no limit */
	__u32 log_ports;              /* 1: allocations of ports are told */
	__be32 peer_underlay_address; /* the peer's own; 0: not told yet */
};
ASSERT_SIZE(struct gateway, 136);

/* interfaces[enum interface_role] */
struct interface {
	__u32 ifindex;
	__u32 mtu;                    /* bytes of IPv4 packet */
	__be32 address;
	__u8 mac[6];
	__u16 vlan;                   /* 802.1Q identifier of every frame on underlay; 0: untagged */
};
ASSERT_SIZE(struct interface, 20);

/* gateway_states[0]: what the programs keep about this node; the control plane only reads. */
struct gateway_state {
	__u64 sequence;               /* last sequence number that we sent */
	__u32 vms;                    /* VM slots ever taken */
	__u32 pad;
	__u64 peer_heard_ns;          /* CLOCK_MONOTONIC of the last authentic frame of the peer */
	__u64 acknowledged;           /* frames of records acknowledged by the peer */
	__u64 bulk_acknowledged;      /* those of them that are of bulk synchronisation or a repair */
	__u64 unanswered_since_ns;    /* CLOCK_MONOTONIC of our first request since its last reply; 0: none */
	/* Eight bytes that change together: a list that has changed meanwhile is never taken for the same. */
	__u32 free_vm;                /* index + 1 of the first slot that was given back; 0: none */
	__u32 free_vm_changes;
	__u32 resting_ports;          /* freed, and neither given away again nor rested for long enough */
	__u32 pad2;
	__u64 peer_heard_underlay_ns; /* CLOCK_MONOTONIC of the peer's last heartbeat there */
};
ASSERT_SIZE(struct gateway_state, 72);

/* Where heartbeats go: ways that no single fault takes away together. */
enum sync_path {
	SYNC_PATH_HA = 0,
	SYNC_PATH_UNDERLAY = 1,
	SYNC_PATHS = 2,
};

/* A set of VRIDs: bit VRID % 64 of word VRID / 64. */
#define ROLE_WORDS (VIRTUAL_ROUTERS / 64)

/* liveness[0]: what the peer's programs have answered to our own heartbeats. */
struct liveness {
	__u64 answered_ns[SYNC_PATHS]; /* CLOCK_MONOTONIC of the last answer; 0: never */
	__u64 roles[ROLE_WORDS];      /* where the peer is Active, and its lease runs */
	__u64 roles_known;            /* 0: the peer is of a version that does not tell */
	__u64 sequence;               /* of the heartbeat that the roles answered */
};
ASSERT_SIZE(struct liveness, 64);

/* virtual_routers[VRID] */
struct virtual_router {
	__u32 state;                  /* enum virtual_router_state */
	__u32 term;                   /* grows at every takeover, by anyone */
	__u64 lease_until_ns;         /* CLOCK_MONOTONIC: past it, and with a peer alive, Active stands down */
	__u64 active_since_ns;
	__be32 address;               /* the computes' tunnel endpoint */
	__u8 mac[6];                  /* RFC 9568 §7.3 */
	__u8 pad[6];
};
ASSERT_SIZE(struct virtual_router, 40);

/* How an advertisement compares with the virtual router here: noted apart. */
enum advertisement_kind {
	ADVERTISEMENT_SUPERIOR = 0,   /* of our priority or a higher one */
	ADVERTISEMENT_INFERIOR = 1,
	ADVERTISEMENT_KINDS = 2,
};
#define ADVERTISEMENT_PEERS 8

/* advertisement_rules[VRID]: what the configuration says of advertisements, RFC 9568 §7.1, RFC 3768 §7.1. */
struct advertisement_rule {
	__u8 version;                 /* 2 or 3; 0: no virtual router of ours */
	__u8 authentication;          /* v2: RFC 2338 §5.3.6, 0 none, 1 simple text */
	__u8 priority;                /* as configured */
	__u8 interval;                /* v2: seconds */
	__u32 peers;                  /* how many of peer; 0: whoever it is */
	__u32 password[2];            /* v2: the authentication data's bytes as they stand */
	__be32 peer[ADVERTISEMENT_PEERS];
};
ASSERT_SIZE(struct advertisement_rule, 48);

/* advertisements[VRID * ADVERTISEMENT_KINDS + enum advertisement_kind]: the last well-formed one that came. */
struct advertisement {
	__u64 received_ns;            /* CLOCK_MONOTONIC; 0: none, or it is being written */
	__u32 length;                 /* bytes of packet */
	__u32 window;                 /* of time, in which so many passed: */
	__u32 passed;
	__u32 pad;
	__u8 packet[1096];            /* IPv4, header included: the longest that there is */
};
ASSERT_SIZE(struct advertisement, 1120);

/* networks[i], found by network_by_vni */
struct network {
	__u32 vni;                    /* upper byte: enum encapsulation */
	__u32 router;                 /* index into routers */
	__be32 subnet;
	__be32 netmask;
	__be32 gateway;
	__u8 gateway_mac[6];
	__u16 mss;                    /* bytes of TCP payload that fit into a tunnel; 0: SYNs are left alone */
	__u32 flags;                  /* enum network_flag */
	__u32 vm_limit;               /* VMs that are learned; 0: no limit but the table */
	__u32 mtu;                    /* bytes of IPv4 packet that its VMs take; 0: whatever the tunnel has room for */
};
ASSERT_SIZE(struct network, 40);

/* network_states[i]: the programs count, the control plane reads. */
struct network_state {
	__u32 vms;                    /* slots held by its VMs */
	__u32 pad;
};
ASSERT_SIZE(struct network_state, 8);

struct router {
	__be32 external_address;      /* what the router itself says has this source; 0: none */
	__u32 pool;                   /* first of its addresses for shared SNAT, in pools */
	__u32 pool_size;              /* 0: no shared SNAT */
	__u32 external_network;       /* index into external_networks */
	__u32 virtual_router;         /* VRID */
	__be32 inner_prefix;          /* the smallest prefix over all its networks and static routes: */
	__be32 inner_mask;            /* only what is within is looked for in routes; none: all ones, both of them */
	__u8 mapping;                 /* enum mapping_behaviour */
	__u8 filtering;               /* enum filtering_behaviour */
	__u16 vm_block_limit;         /* port blocks of a VM from one gateway, 1 to VM_PORT_BLOCKS; RFC 6888 REQ-4 */
	__u32 session_limit;          /* of all its VMs; 0: none */
	__u32 vm_session_limit;       /* RFC 6888 REQ-5; 0: none */
	__u32 vm_sessions_per_second; /* new ones, with a burst of as many; 0: no limit */
};
ASSERT_SIZE(struct router, 44);

/* router_states[i]: the programs count, the control plane reads. */
struct router_state {
	__u32 sessions;               /* of all its VMs */
	__u32 hand_over_tick;         /* when it last handed a packet to the control plane */
	__u32 hand_overs;             /* in that tick */
	__u32 pad;
};
ASSERT_SIZE(struct router_state, 16);

/* snat_addresses[i]: i is the address's dimension in mappings and port_blocks. */
struct snat_address {
	__be32 address;               /* 0: unused */
	__u32 router;                 /* index into routers */
};
ASSERT_SIZE(struct snat_address, 8);

/* routes: the longest prefix wins. */
struct route_key {
	__u32 prefix_length;          /* 32 for the scope, and the route's own */
	__u32 scope;                  /* index of a router, or ROUTE_SCOPE_EXTERNAL | index of an external network */
	__be32 address;
};
ASSERT_SIZE(struct route_key, 12);
#define ROUTE_SCOPE_EXTERNAL 0x80000000u

struct route {
	__u32 kind;                   /* enum route_kind */
	__u32 network;                /* ROUTE_NETWORK, ROUTE_VM: index into networks */
	__be32 via;                   /* ROUTE_VM, ROUTE_GATEWAY */
	__u32 pad;
};
ASSERT_SIZE(struct route, 16);

struct external_network {
	__be32 subnet;
	__be32 netmask;
	__be32 gateway;
	__u8 gateway_mac[6];          /* all zero: unresolved */
	__u16 vlan;                   /* 802.1Q identifier of its frames; 0: untagged */
	__u32 flags;                  /* enum external_network_flag */
};
ASSERT_SIZE(struct external_network, 24);

struct external_key {
	__be32 address;
	__u16 vlan;                   /* of its external network */
	__u16 pad;
};
ASSERT_SIZE(struct external_key, 8);

/* external_addresses[external_key]: every address that we answer ARP for on the external side. */
struct external_address {
	__u32 kind;                   /* enum external_address_kind */
	__u32 index;                  /* floating IP: VM; router: index into snat_addresses */
	__u32 router;
	__u32 pad;
};
ASSERT_SIZE(struct external_address, 16);

struct neighbour_key {
	__u16 interface;              /* enum interface_role */
	__u16 vlan;                   /* 0 on underlay, whatever its tag */
	__be32 address;
};
ASSERT_SIZE(struct neighbour_key, 8);

struct neighbour {
	__u8 mac[6];                  /* all zero: it does not answer */
	__u8 pad[2];
};
ASSERT_SIZE(struct neighbour, 8);

struct vm_key {
	__u32 vni;
	__be32 address;
};
ASSERT_SIZE(struct vm_key, 8);

/*
 * vms[i], found by vm_by_address. Outbound packets and the peer's records write
 * it; what the control plane knows of it goes through vm_ensure.
 */
struct vm {
	__u32 vni;                    /* upper byte: enum encapsulation */
	__be32 address;
	__u32 network;                /* index into networks */
	__be32 floating_ip;           /* 0: none */
	__be32 tunnel_endpoint;       /* 0: not learned yet */
	__u8 mac[6];
	__u8 next_hop_mac[6];         /* outer source MAC of its last packet: the way back */
	__u8 option_length;           /* bytes of option to send: 0 or 8 */
	__u8 pad[3];
	__u32 flags;                  /* enum vm_flag; only ever changed by atomic operations */
	__u8 option[8];               /* Geneve option, header included, as received */
	__u32 port_key;               /* makes external ports hard to guess */
	__u32 last_seen;              /* ticks */
	__u32 blocks[16];             /* [gateway * VM_PORT_BLOCKS + n]: block numbers; 0: none */
	__u32 snat_address;           /* where its blocks are: index into snat_addresses + 1; 0: none (RFC 4787 REQ-2) */
	__u32 floating_ip_counter;    /* index into floating_ip_counters; 0: none */
	/* Eight bytes that change together: then no session is ever counted at one router and taken off another. */
	__u32 sessions;               /* that it holds */
	__u32 session_router;         /* index of the router in whose count they are */
	/* New sessions that it may still make: a bucket that fills with time. */
	__u32 session_tokens;
	__u32 session_tokens_tick;
	__u32 mapping_count;          /* dynamic ones that it holds: with none it can be forgotten */
	__u32 static_mapping_count;   /* with none its slot can be given to another */
	__u32 moved;                  /* ticks: when it was last learned to live elsewhere */
	__u32 stamp;                  /* of the newest record about it: RECORD_STAMP_SHIFT */
	__u32 pad2[8];
};
ASSERT_SIZE(struct vm, 192);

/* floating_ip_counters[i], per CPU. Bytes of IPv4 packets. */
struct floating_ip_counter {
	__u64 inbound_packets;
	__u64 inbound_bytes;
	__u64 outbound_packets;
	__u64 outbound_bytes;
};
ASSERT_SIZE(struct floating_ip_counter, 32);

/* port_blocks[address index * PORT_BLOCKS_PER_ADDRESS + block] */
struct port_block {
	__u32 vm;                     /* index + 1; 0: free */
	__u32 mappings;               /* dynamic ones in it, all protocols */
	__u32 last_seen;              /* ticks: when a slot of it was last taken or freed */
	__u32 exhausted;              /* of an address's first block: the tick in which no block of ours was free */
};
ASSERT_SIZE(struct port_block, 16);

/* A mapping with one remote endpoint. Remote port 0 for ICMP, and for UDP unless the router asks for the port. */
struct session {
	__be32 remote;
	__be16 remote_port;
	__u8 state;                   /* enum session_state */
	__u8 flags;                   /* enum session_flag */
	__u32 last_seen;              /* ticks */
	__be16 internal_port;         /* its own where ports are overloaded; else the mapping's */
	__u16 sequence;               /* low bits of that of the record that wrote it last */
};
ASSERT_SIZE(struct session, 16);

/*
 * sessions[bucket * SESSION_BUCKET_SIZE + n]: the sessions of a mapping beyond its
 * first, in one of two buckets: the one of the remote's address, or the one of
 * its address and port.
 */
#define SESSION_BUCKET_SIZE 8
struct session_slot {
	__u32 mapping;                /* index + 1; 0: free */
	__u32 vm;                     /* index + 1: in whose count it is. Not the mapping's: left behind by an earlier one */
	struct session session;
};
ASSERT_SIZE(struct session_slot, 24);

/*
 * mappings[(address index * MAPPING_PROTOCOLS + protocol) * 65536 + external port]:
 * one slot serves both directions. The first eight bytes are claimed by one
 * compare-and-exchange against zero.
 */
struct mapping {
	__u32 vm;                     /* index + 1; 0: free */
	__be16 internal_port;         /* or ICMP query id */
	__u16 flags;                  /* enum mapping_flag */
	__u32 last_seen;              /* ticks: free, when it was freed; taken, the stamp of the newest record about it */
	__u32 session_count;          /* slots beyond the first that name it, also those left behind by an earlier one */
	struct session first;
};
ASSERT_SIZE(struct mapping, 32);

/* forwardings: from the inside out. The way in is a static mapping. */
struct forwarding_key {
	__u32 vm;                     /* index */
	__u16 protocol;               /* enum mapping_protocol */
	__be16 internal_port;
};
ASSERT_SIZE(struct forwarding_key, 8);

struct forwarding {
	__be32 external_address;
	__be16 external_port;
	__u16 pad;
};
ASSERT_SIZE(struct forwarding, 8);

/* fragments: what the first fragment of a packet says and the later ones do not (RFC 4787 REQ-14). */
struct fragment_key {
	__be32 source;
	__be32 destination;
	__u32 segment;                /* VNI with its upper byte, or FRAGMENT_EXTERNAL | VLAN */
	__be16 identification;
	__u8 protocol;
	__u8 pad;
};
ASSERT_SIZE(struct fragment_key, 16);
#define FRAGMENT_EXTERNAL 0x80000000u

struct fragment {
	__be16 source_port;
	__be16 destination_port;
	__u32 last_seen;              /* ticks */
	__u8 icmp_type;
	__u8 pad[3];
};
ASSERT_SIZE(struct fragment, 12);

/* icmp_budgets[0], per CPU. */
struct icmp_budget {
	__u64 refilled_ns;            /* CLOCK_MONOTONIC */
	__u32 tokens;
	__u32 pad;
};
ASSERT_SIZE(struct icmp_budget, 16);

/* bfd_sessions: who speaks BFD with which virtual router, by the control plane's leave alone. */
struct bfd_key {
	__be32 endpoint;
	__u8 virtual_router;          /* VRID */
	__u8 encapsulation;           /* enum encapsulation: of the tunnel that it watches */
	__u16 pad;
};
ASSERT_SIZE(struct bfd_key, 8);

#define BFD_PACKET_BYTES 24
struct bfd_session {
	__u64 received_ns;            /* CLOCK_MONOTONIC of the last packet; 0: none. Looked at before a session is given up */
	__u64 told_ns;                /* of the last one that the control plane was told of */
	__be32 local_discriminator;   /* the control plane's: what names another is for another session */
	__u8 mac[6];                  /* outer source MAC of the last packet: the way back */
	__u8 untold;                  /* 1: what is new since told_ns came too soon after it to be told */
	__u8 pad;
	__u32 term;                   /* of the virtual router when it was last told: a new Active hears of everybody once */
	__u8 packet[BFD_PACKET_BYTES]; /* the last one, RFC 5880 §4.1 */
};
ASSERT_SIZE(struct bfd_session, 56);

/* bfd_budgets[0], per CPU: strangers that are told of in the second since. */
struct bfd_budget {
	__u64 since_ns;               /* CLOCK_MONOTONIC */
	__u32 taken;
	__u32 pad;
};
ASSERT_SIZE(struct bfd_budget, 16);

/*
 * So far frames may overtake each other: as many as the transmit queues of a fast
 * card hold together, while one is emptied and another is not.
 */
#define SYNC_WINDOW 16384
#define SYNC_WINDOW_WORDS (SYNC_WINDOW / 32)

struct replay_window {
	__u64 highest;                /* sequence */
	__u32 epoch;
	struct bpf_spin_lock lock;
	/* [(sequence / 32) % SYNC_WINDOW_WORDS]: bit (sequence % 32), and above which 32 of which epoch they are. */
	__u64 seen[SYNC_WINDOW_WORDS];
};
ASSERT_SIZE(struct replay_window, 4112);

/* walks[enum walk_kind]: where a pass over the tables has come to. */
enum walk_kind {
	WALK_BULK = 0,
	WALK_AGE = 1,
	/* Sums up what is replicated, by segments. */
	WALK_DIGEST = 2,
	/* A standby doubts what it holds of the segments that differ. */
	WALK_DOUBT = 3,
	/* The Active says what there is of them. */
	WALK_REPAIR = 4,
	/* What is still in doubt then ends. */
	WALK_SWEEP = 5,
	WALKS = 6,
};

enum walk_phase {
	WALK_VMS = 0,
	WALK_MAPPINGS = 1,
	WALK_SESSIONS = 2,
	WALK_ENDED = 3,
};

/* Of WALK_SWEEP: mappings go with their sessions, VMs with their mappings. */
enum sweep_phase {
	SWEEP_SESSIONS = 0,
	SWEEP_MAPPINGS = 1,
	SWEEP_VMS = 2,
};

struct walk {
	__u32 phase;                  /* enum walk_phase; the control plane starts a pass by writing zeros */
	__u32 position;
	__u32 records;                /* in the frame of the present run */
	__u32 pad;
	__u64 seed;                   /* of the digests that are compared, and say which segment is whose */
};
ASSERT_SIZE(struct walk, 24);

/* segments[i]: what is replicated falls into one by the hash of its name. */
#define SEGMENTS 1024
struct segment {
	__u64 digest;                 /* WALK_DIGEST adds; the control plane begins a pass by writing zeros */
	__u32 wanted;                 /* 1 << WALK_REPAIR, 1 << WALK_DOUBT: those walks are about it */
	__u32 pad;
};
ASSERT_SIZE(struct segment, 16);

/* Context of vm_ensure: everything that the configuration says of a VM; what it no longer says ends. */
struct vm_ensure {
	__u32 vni;
	__be32 address;
	__be32 floating_ip;           /* 0: none */
	__u32 floating_ip_counter;    /* 0: none */
	__u32 flags;                  /* enum vm_flag: VM_PINNED, VM_HAS_FORWARDINGS */
	__be32 tunnel_endpoint;       /* VM_PINNED */
	__u8 mac[6];                  /* VM_PINNED */
	__u8 option_length;           /* VM_PINNED: 0 or 8 */
	__u8 pad;
	__u8 option[8];               /* VM_PINNED */
	__u32 vm;                     /* out: index */
};
ASSERT_SIZE(struct vm_ensure, 44);

/* Context of forwarding_ensure and forwarding_remove: the static mapping of a port forwarding. */
struct forwarding_ensure {
	__u32 mapping;                /* index */
	__u32 vm;                     /* index */
	__be16 internal_port;
	__u16 pad;
};
ASSERT_SIZE(struct forwarding_ensure, 12);

/* replay_windows[enum replay_direction] */
enum replay_direction {
	REPLAY_REQUESTS = 0,
	REPLAY_REPLIES = 1,
	/* Of their own: a heartbeat is late there by as many commits as the ha link is faster. */
	REPLAY_UNDERLAY_REQUESTS = 2,
	REPLAY_UNDERLAY_REPLIES = 3,
	REPLAY_DIRECTIONS = 4,
};

/* ------------------------------------------------------------------ events */

enum event_type {
	EVENT_NEIGHBOUR_UNRESOLVED = 1,
	EVENT_SYNC_MESSAGE = 2,
	EVENT_PEER_SILENT = 3,
	EVENT_RECORD = 4,
	/* A VM that was never heard has to be asked for in its network; the frame waits. */
	EVENT_ENDPOINT_UNRESOLVED = 5,
	/* The frame is to be brought again a little later. */
	EVENT_FRAGMENT_EARLY = 6,
	/* The packet is to be split, and its parts brought again. */
	EVENT_FRAGMENTATION_NEEDED = 7,
	/* A neighbour says where it is: the kernel hears it on no VLAN. */
	EVENT_NEIGHBOUR_HEARD = 8,
	/* What is left to the hardware is to be done, and the frame brought again; of many segments, the first. */
	EVENT_FRAME_UNFINISHED = 9,
	/* VRRP on a tagged underlay, where the kernel's sockets hear nothing. */
	EVENT_ADVERTISEMENT = 10,
	/* struct port_log follows: a VM has got these ports, or gives them back. */
	EVENT_PORTS_ALLOCATED = 11,
	EVENT_PORTS_RELEASED = 12,
	/* struct bfd_report follows: BFD says something new. */
	EVENT_BFD = 13,
};

/* The ring buffer's records: this head, then length bytes of frame. */
struct event {
	__u32 type;                   /* enum event_type */
	__u16 interface;              /* enum interface_role: where it came in, or the neighbour is */
	__u16 vlan;                   /* NEIGHBOUR_UNRESOLVED, NEIGHBOUR_HEARD: of the neighbour; 0 on underlay */
	__be32 address;               /* who is asked for */
	__u32 network;                /* ENDPOINT_UNRESOLVED: index into networks */
	__u32 mtu;                    /* FRAGMENTATION_NEEDED: bytes of IPv4 packet; FRAME_UNFINISHED: payload of a segment, or 0 */
	__u32 length;
	__u64 received_ns;            /* ADVERTISEMENT, BFD: CLOCK_MONOTONIC */
};
ASSERT_SIZE(struct event, 32);

struct port_log {
	__u32 vni;                    /* upper byte: enum encapsulation */
	__be32 internal_address;
	__be32 external_address;
	__u16 first_port;
	__u16 ports;                  /* how many */
	__u32 protocol;               /* IPv4's; 0: all */
};
ASSERT_SIZE(struct port_log, 20);

struct bfd_report {
	struct bfd_key key;
	__u8 mac[6];                  /* outer source MAC */
	__u8 known;                   /* 0: a stranger */
	__u8 pad;
	__u8 packet[BFD_PACKET_BYTES];
};
ASSERT_SIZE(struct bfd_report, 40);

/* -------------------------------------------------------------------- wire */
/* UDP/IPv4 between the ha addresses, heartbeats also between the underlay's; integers in network byte order. Documented with test vectors in bpf/WIRE.md. */

#define SYNC_UDP_PORT 6086
/*
 * What is sent. The versions before and after it are read as well: the header
 * never changes its length, and a record only grows at its end.
 */
#define SYNC_VERSION 1
#define SYNC_VERSION_FIRST 1
#define SYNC_VERSION_LAST (SYNC_VERSION + 1)
#define SYNC_MAX_RECORDS 12
/* A stamp: the low bits of the tick in which a record came, and below them those of its sequence. */
#define RECORD_STAMP_SHIFT 24

enum sync_type {
	/* One record, then the frame that made it: apply, turn round, release. */
	SYNC_COMMIT = 1,
	/* Records alone: apply, turn round as acknowledgement. */
	SYNC_RECORDS = 2,
	/* ROLE_WORDS of zeros, or nothing: fill in, turn round. */
	SYNC_HEARTBEAT = 3,
	/* For the peer's control plane. */
	SYNC_CONTROL = 4,
};

enum sync_flag {
	/* Turned round by the peer. */
	SYNC_REPLY = 1,
	/* The peer knows a later term: the sender is fenced. */
	SYNC_REFUSED = 2,
	/* The peer had no room for a record, or does not know its network. */
	SYNC_UNAPPLIED = 4,
	/* The peer has filled in where it is Active. */
	SYNC_ROLES = 8,
};

struct sync_header {
	__u8 version;                 /* SYNC_VERSION */
	__u8 type;                    /* enum sync_type */
	__u8 flags;                   /* enum sync_flag */
	__u8 records;
	__u8 gateway;                 /* id of the gateway that sent it first */
	__u8 egress;                  /* COMMIT: enum interface_role where the frame leaves; RECORDS: 1 in bulk */
	__be16 length;                /* bytes after header and records */
	__be32 epoch;
	__u8 path;                    /* HEARTBEAT: enum sync_path */
	__u8 record_words;            /* bytes of each record / 8; 0: sizeof(struct sync_record) */
	__u8 pad[2];
	__be64 sequence;
	__be64 mac;                   /* SipHash-2-4 of everything from version on, mac as zero */
};
ASSERT_SIZE(struct sync_header, 32);

struct sync_heartbeat {
	struct sync_header header;
	__u64 roles[ROLE_WORDS];      /* as in liveness; little-endian */
};
ASSERT_SIZE(struct sync_heartbeat, 64);

enum sync_record_kind {
	/* VM only. */
	RECORD_VM = 1,
	/* VM, mapping and session. */
	RECORD_SESSION = 2,
	/* The session ended; with remote 0 the whole mapping did. */
	RECORD_DELETE = 3,
	/* The VM is forgotten: it has no ports and was not heard for long. */
	RECORD_VM_DELETE = 4,
};

struct sync_record {
	__u8 kind;                    /* enum sync_record_kind */
	__u8 protocol;                /* enum mapping_protocol */
	__u8 state;                   /* enum session_state */
	__u8 session_flags;           /* enum session_flag: SESSION_FLAGS_REPLICATED */
	__be32 term;
	__be32 vni;
	__be32 internal_address;
	__be32 external_address;
	__be32 remote;
	__be16 internal_port;
	__be16 external_port;
	__be16 remote_port;
	__u8 option_length;
	__u8 virtual_router;          /* VRID */
	__be32 tunnel_endpoint;
	__u8 mac[6];
	__u8 next_hop_mac[6];
	__u8 option[8];
	__be32 port_key;
	__be32 idle;                  /* ticks since it was last seen */
	__be32 sequence;              /* low half of the one taken when it was made; 0: its frame's */
	__be32 pad;
};
ASSERT_SIZE(struct sync_record, 72);

/* Context of session_end: ends one session, or with remote 0 a mapping with all of its sessions. */
struct session_end {
	__u32 mapping;                /* index */
	__be32 remote;
	__be16 remote_port;
	__u16 pad;
	struct sync_record record;    /* out: what the peer is to be told */
};
ASSERT_SIZE(struct session_end, 84);
