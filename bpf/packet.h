/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet on its way through: what every stage finds and leaves behind. */
#pragma once

#include "geneve.h"
#include "vxlan.h"

/*
 * The packet that an ICMP error speaks of (RFC 792). `source` and `destination`
 * are its own: what we sent, seen from whoever complains.
 */
struct quote {
	__u16 offset;                 /* of its IPv4 header in the frame */
	__u16 l4_offset;
	__u16 length;                 /* bytes that are quoted, header included */
	__u8 protocol;
	__u8 icmp_type;
	__be32 source;
	__be32 destination;
	__be16 source_port;           /* or query id */
	__be16 destination_port;
	bool later_fragment;          /* has no L4 header */
};

/* Who has to do with it. Pointers do not survive in a map: these live on the stack of a program. */
struct party {
	struct gateway *gateway;
	struct network *network;      /* the VM's */
	struct router *router;
	struct virtual_router *virtual_router;
	struct vm *vm;
};

/* A packet as shared SNAT sees it: one end is ours, the other is the remote. */
struct flow {
	__u32 protocol;               /* enum mapping_protocol */
	__be32 remote;
	__be16 remote_port;
	__be16 port;                  /* outbound: the VM's; inbound: the external one */
	__u8 tcp_flags;
	bool error;                   /* an ICMP error about the flow: makes, refreshes and ends nothing (RFC 5382 REQ-10) */
};

/* One address and port for another, on one side of a packet. */
struct rewrite {
	__be32 from;
	__be32 to;
	__be16 from_port;
	__be16 to_port;
	bool source;                  /* else the destination */
	__u8 pad[3];                  /* global functions take it whole */
};

/* An internal endpoint's mapping: what is looked for, and where it is. */
struct mapping_place {
	__u32 vm;                     /* index */
	__u32 address_index;
	__u32 protocol;               /* enum mapping_protocol */
	__be16 internal_port;
	__u16 external_port;          /* out, host order */
	__u32 index;                  /* out, into mappings */
};

/* A mapping's session with a remote: what is looked for, and what was found on the way. */
struct session_place {
	__u32 mapping;                /* index */
	__u32 vm;                     /* index */
	__be32 remote;
	__be16 remote_port;
	__be16 internal_port;
	__be16 known_port;            /* out: internal port of a session with the remote's address */
	bool known;                   /* out: there is such a session */
	bool created;                 /* out */
	bool shared;                  /* the mapping has sessions of other internal ports as well */
	__u8 pad[3];                  /* global functions take it whole */
};

/* What shared SNAT made of a flow. */
struct snat {
	__u32 mapping;                /* index into mappings */
	__u32 vm;                     /* inbound: index */
	__be32 address;               /* outbound: the external one */
	__be16 port;                  /* outbound: the external one; inbound: the VM's */
	bool is_static;               /* a port forwarding */
	__s64 session;                /* where it is, as far as it was looked for: see session.h */
	struct mapping_place mapping_place;
	struct session_place session_place;
};

/* How a packet of a VM leaves. */
struct departure {
	int forwarded;                /* the reason when nothing fails */
	__u16 vlan;
	__u8 source_mac[6];
	__u8 next_hop_mac[6];
	bool hairpin;                 /* to an address of ours: it comes in again */
	bool commit;                  /* commit_record() has to reach the peer first */
};

/*
 * Too large for the stack of 512 bytes that all functions of a call chain share.
 * A CPU handles one packet at a time.
 */
struct packet {
	struct ipv4 ip;               /* tunnelled: the inner one. Kept true while it is rewritten */
	struct quote quote;           /* where ip.icmp_error */
	struct tunnel tunnel;         /* from INTERFACE_UNDERLAY */
	__u64 now_ns;                 /* CLOCK_MONOTONIC, coarse: asked for once */
	__u32 from;                   /* enum interface_role: where it came in */
	__u32 router;                 /* index: whose packet it is */
	__u32 network;                /* index: tunnelled, where it came from */
	__u32 vm;                     /* index: who sent it */
	__u32 end;                    /* tunnelled: bytes of the frame up to the end of the outer UDP datagram */
	__u16 vlan;                   /* 802.1Q identifier that it came with; 0: untagged */
	__u16 mss;                    /* that the sender's own network has room for; 0: any */
	__u16 mtu;                    /* DROP_MTU_EXCEEDED: the largest IPv4 packet that would pass */
	__u8 mac[6];                  /* who sent it: tunnelled, the inner source */
	__u8 destination_mac[6];      /* tunnelled, the inner destination */
	struct flow flow;
	struct snat snat;
	struct rewrite rewrite;
	struct departure departure;   /* tunnelled */
	__u8 scratch[FRAME_SETTLE_BYTES];
	bool rewritten;               /* no longer what was sent: not to be quoted */
	bool explainable;             /* from a VM that may send: it is told what became of the packet */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} packets SEC(".maps");

static __always_inline struct packet *packet_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&packets, &zero);
}
